#!/usr/bin/perl

# An api of several targets that keep sessions each for itself: the calls of a
# session go to the one that has it, and to another one when that is gone.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;
use Test::Stoa::Docs;

my $t = Test::Stoa->new;
$t->control;
my $json = ['Content-Type' => 'application/json'];
sub target {
    my ($name) = @_;
    my $book = $t->dir("$name.book");
    return $t->origin(sub {
        my ($q) = @_;
        my $m = json_decode($q->{body}) or return [405];
        my $known = -f $book ? slurp($book) : '';
        my $sid = $q->{headers}{'mcp-session-id'} // '';
        my $ok = sub { [200, [@$json, @{ $_[1] || [] }], json_encode({
            jsonrpc => '2.0', id => $m->{id}, result => $_[0] })] };
        if ($m->{method} eq 'initialize') {
            my $new = "$name-$$-" . length $known;
            spew($book, "$known$new\n");
            return $ok->({ protocolVersion => '2025-11-25', capabilities =>
                { tools => {} }, serverInfo => { name => 's', version => 1 } },
                ['Mcp-Session-Id' => $new]);
        }
        return [404, $json, '{"jsonrpc":"2.0","id":null,"error":{"code":'
            . '-32001,"message":"Session not found"}}']
            unless grep { $_ eq $sid } split /\n/, $known;
        return [202] unless exists $m->{id};
        return $ok->({ tools => [ { name => 'who', inputSchema => {
            type => 'object' } } ] }) if $m->{method} eq 'tools/list';
        return $ok->({ content => [ { type => 'text', text => $name } ] });
    }, name => $name);
}
my %port = map { ($_ => target($_)) } qw(one two three);
$t->apply(demo(mcp => { up => { port => $port{one}, upstream => join '',
    map { "    - url: http://127.0.0.1:$port{$_}/mcp\n" } qw(two three) } }));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/up/tools')->{json}{items} || [] }
} 20 or $t->give_up('tools were not discovered');
$t->gateway(workers => 2);
my $key = $t->key('acme', 'app');
$t->sync;

sub who { my ($session, $tool, %o) = @_;
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => $tool // 'up__who',
        arguments => {} }, key => $key, era => 'legacy', session => $session,
        %o);
    return $r->{rpc}{result}{content}[0]{text} // "$r->{status} $r->{body}" }
sub opened { my $n = 0;
    for my $name (keys %port) {
        $n += grep { $_->{body} =~ /"initialize"/ } $t->origin_log($name);
    }
    return $n }

my %seen;
for my $n (1 .. 6) {
    my $was = opened();
    my ($session) = $t->mcp_session('/mcp/acme', key => $key);
    my $first = who($session);
    $seen{$first}++;
    is(join(' ', map { who($session) } 1 .. 6), join(' ', ($first) x 6),
       "session $n: all calls at $first");
    is(opened(), $was + 1, '... and one session is opened');
}
cmp_ok(scalar keys %seen, '>', 1, 'sessions are spread over the targets');

# groups of targets: a session is opened in one, and stays

$t->apply(docs(plan('acme', 'free'), doc('Api', 'acme', 'part', { kind => 'mcp',
    state => 'published', upstream => {
        targets => [map { { url => "http://127.0.0.1:$port{$_}/mcp",
                            group => $_ eq 'one' ? 'old' : 'new' } }
                    qw(one two three)],
        split => { groups => [{ name => 'old', weight => 0 },
                              { name => 'new', weight => 100 }],
                   rules => [{ header => 'X-Old', group => 'old' }] } } }),
    sub_('acme', 'app', 'part', 'free')));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/part/tools')->{json}{items}
       || [] }
} 20 or $t->give_up('tools were not discovered');
$t->sync;
for my $n (1 .. 6) {
    my ($in) = $t->mcp_session('/mcp/acme', key => $key);
    like(who($in, 'part__who'), qr/^(?:two|three)$/, "split $n: the group's");
}
my ($old) = $t->mcp_session('/mcp/acme', key => $key,
                            headers => { 'X-Old' => 1 });
is(who($old, 'part__who', headers => { 'X-Old' => 1 }), 'one',
   'by a rule, the other one\'s');

my ($session) = $t->mcp_session('/mcp/acme', key => $key);
my $gone = who($session);
$t->kill9($gone);
my @then = map { who($session) } 1 .. 8;
is(scalar(grep { /^(?:one|two|three)$/ } @then[1 .. 7]), 7,
   'a target that is gone: another one goes on') or diag("@then");
is(scalar(grep { $_ eq $then[7] } @then[1 .. 7]), 7, '... one, not several')
    or diag("@then");

$t->done;
