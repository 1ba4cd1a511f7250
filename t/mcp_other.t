#!/usr/bin/perl

# Row S1, F5: methods of extensions go to the only upstream that declares one,
# under the rights and limits of its api; the protocol's own never do.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;
my %list = map { ($_ => sub { { method => $_[0]{method},
    params => $_[0]{params} } }) } qw(x/echo tasks/get tasks/list);
my %port = map { my $name = $_; ($name => $t->mcp_origin(name => $name,
    sessions => 1, list => \%list, capabilities => $name eq 'b' ? {} : {
        experimental => { $name => { deep => \1 } },
        extensions => { 'io.modelcontextprotocol/tasks' => {} } })) }
    qw(a b c);
$t->apply(demo(mcp => { a => $port{a}, b => $port{b} })
    . document('Api', 'acme', 'c', "kind: mcp\nstate: published\nupstream:\n"
        . "  targets:\n    - url: http://127.0.0.1:$port{c}/mcp\n")
    . document('Plan', 'acme', 'tight', "rate: 1\nper_ms: 3600000\nburst: 1\n")
    . join('', map { document('Application', 'acme', $_) }
        qw(tight part two desk none))
    . subscribe('acme', 'tight', 'api', 'a', 'tight')
    . subscribe('acme', 'two', 'api', 'a', 'basic')
    . subscribe('acme', 'two', 'api', 'c', 'basic')
    . subscribe('acme', 'none', 'api', 'b', 'basic'));
for my $api (qw(a b c)) {
    wait_until { @{ $t->api('GET', "/v1/tenants/acme/apis/$api/tools")
        ->{json}{items} || [] } } 20 or $t->give_up("$api: not discovered");
}
$t->apply(document('Server', 'acme', 'desk',
        "state: published\ntools:\n  - { api: a, tool: echo }\n")
    . subscribe('acme', 'desk', 'server', 'desk', 'basic')
    . subscribe('acme', 'part', 'api', 'a', 'basic', "  tools: [echo]\n"));
$t->gateway(workers => 2);
my %key = map { $_ => $t->key('acme', $_) }
    qw(app tight part two desk none);
$t->sync;

sub session { my ($who) = @_;
    return $t->mcp('/mcp/acme', 'initialize', { protocolVersion =>
        '2025-11-25', capabilities => {}, clientInfo => { name => 'test',
        version => '1' } }, era => 'legacy', key => $key{$who});
}
sub ask { my ($who, $era, $method, $params, %o) = @_;
    my $r = $t->mcp($o{path} // '/mcp/acme', $method, $params, era => $era,
        key => $key{$who}, $era eq 'legacy'
            ? (session => $o{session} // session($who)->{session}) : ());
    return $r->{rpc}{error} ? $r->{rpc}{error}{code} : $r->{rpc}{result};
}
sub seen { my ($api, $method) = @_;
    return scalar grep { $_->{body} =~ /"method":"\Q$method\E"/ }
        $t->origin_log($api) }

my $r = session('app');
is_deeply($r->{rpc}{result}{capabilities}{experimental}, { a => { deep =>
    JSON::PP::true() } }, 'S1: what is declared is told');
ok(!exists $r->{rpc}{result}{capabilities}{extensions},
   '... but for what is not carried');
is_deeply($t->mcp('/mcp/acme', 'server/discover', undef, key => $key{app})
    ->{rpc}{result}{capabilities}{experimental}, { a => { deep =>
    JSON::PP::true() } }, '... in both eras');
for my $era (qw(legacy modern)) {
    my $got = ask('app', $era, 'x/echo', { q => 1 });
    is(ref $got ? "$got->{method} $got->{params}{q}" : $got, 'x/echo 1',
       "F5: an extension's method, $era");
}
is(seen('a', 'x/echo') . seen('b', 'x/echo'), '20',
   '... is at the upstream that declares it, and at no other');

for my $of (['two that declare', 'two'], ['none', 'none'],
            ['a selection of tools', 'part'], ['a bundle', 'desk']) {
    for my $era (qw(legacy modern)) {
        is(ask($of->[1], $era, 'x/echo', {}), -32601,
           "F5: $of->[0]: not found, $era");
    }
}
for my $method (qw(tasks/list sampling/x ping/x)) {
    for my $era (qw(legacy modern)) {
        is(ask('app', $era, $method, { taskId => 'of-somebody' }), -32601,
           "F5: $method is never passed as it came, $era");
    }
}
is(seen('a', 'x/echo') . seen('a', 'tasks/list') . seen('c', 'x/echo'), '200',
   '... and no upstream saw any of that');

is(ref ask('tight', 'modern', 'x/echo', {}), 'HASH', 'F5: it counts');
is(ask('tight', 'modern', 'x/echo', {}), 429, '... against the plan');

# ---- notifications

my $s = session('app')->{session};
my $note = sub { $t->mcp('/mcp/acme', 'notifications/x/told', { n => 7 },
    era => 'legacy', key => $key{app}, session => $s)->{status} };
my $lost = $t->metrics->{stoa_mcp_answers_lost_total} // 0;
ask('app', 'legacy', 'x/echo', {}, session => $s);
is($note->(), 202, "F5: an extension's notification");
ok((wait_until { seen('a', 'notifications/x/told') == 1 } 10),
   '... is at its upstream');
is(seen('b', 'notifications/x/told'), 0, '... alone');
$s = session('none')->{session};
$key{app} = $key{none};
is($note->(), 202, 'F5: one that is for nobody');
ok((wait_until { ($t->metrics->{stoa_mcp_answers_lost_total} // 0) > $lost }
    10), '... is counted');

# what nobody could judge does not go around who has to approve calls

$key{again} = $t->key('acme', 'app');
$t->sync;
is(ref ask('again', 'modern', 'x/echo', {}), 'HASH', 'F5: it passes');
$t->apply(document('Policy', 'acme', 'careful', "type: approval\nconfig: {}\n"
    . "attach: [{ api: a, tool: echo }]\n"));
$t->sync;
is(ask('again', $_, 'x/echo', {}), -32601,
   "F5: not where calls have to be approved, $_") for qw(legacy modern);

done_testing();
