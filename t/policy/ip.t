#!/usr/bin/perl

# ip-filter: at every scope it refuses what it is for, and nothing else.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $port = $t->origin(sub { return [200, [], 'ok'] });
my $to = "http://127.0.0.1:$port";
my $mcp = $t->mcp_origin(name => 'm', tools => {
    one => sub { 'one' }, two => sub { 'two' } });

my %held = map { my $name = $_; ($name => $t->mcp_origin(name => $name,
    era => 'legacy', sessions => 1, tools => { one => sub { 'one' } })) }
    qw(kept left);

sub policy { my ($name, $attach, %config) = @_;
             return doc('Policy', 'acme', $name, { type => 'ip-filter',
                 config => \%config, attach => $attach }) }

my @far = (allow => ['192.0.2.0/24', '2001:db8::/32']);
my @near = (allow => ['127.0.0.1', '::1'], deny => ['192.0.2.1']);

$t->apply(docs(doc('GatewayGroup', undef, 'default'), tenant('acme'),
    plan('acme', 'free'), plan('acme', 'gold'),
    app('acme', 'demo'), app('acme', 'two'), app('acme', 'three'),
    rest('acme', 'echo', $to, operations => [
        { name => 'one', method => 'GET', path => '/one' },
        { name => 'two', method => 'GET', path => '/two' },
        { name => 'any', method => 'GET', path => '/any/{id}' },
        { name => 'own', method => 'GET', path => '/any/own' }]),
    rest('acme', 'shut', $to),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    sub_('acme', 'demo', 'echo', 'free'), sub_('acme', 'two', 'echo', 'gold'),
    sub_('acme', 'three', 'echo', 'free'), sub_('acme', 'demo', 'shut',
    'free'), sub_('acme', 'demo', 'm', 'free'),
    (map { (doc('Api', 'acme', $_, { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url =>
            "http://127.0.0.1:$held{$_}/mcp" }] } }),
        sub_('acme', 'demo', $_, 'free')) } qw(kept left)),
    policy('left', [{ api => 'left' }], deny => ['127.0.0.0/8']),
    doc('Server', 'acme', 's', { state => 'published',
        tools => [{ api => 'm', tool => 'one' }] }),
    doc('Subscription', 'acme', undef, { application => 'two',
        server => 's', plan => 'gold' }),
    policy('near', [{ tenant => 'acme' }, { api => 'shut' }], @near),
    policy('shut', [{ api => 'shut' }], deny => ['127.0.0.0/8']),
    policy('op', [map { { api => 'echo', operation => $_ } } qw(two own)],
           @far),
    policy('gold', [{ plan => 'gold' }], @far),
    policy('app', [{ application => 'three' }], @far),
    policy('tool', [{ api => 'm', tool => 'two' }], @far)));
for my $api (qw(m kept left)) {
    wait_until { @{ $t->api('GET', "/v1/tenants/acme/apis/$api/tools")
                 ->{json}{items} || [] } >= 1 } 20
        or $t->give_up('no tools');
}
$t->gateway;
my %key = map { $_ => $t->key('acme', $_) } qw(demo two three);
$t->sync;

sub says { my ($path, $app) = @_;
    my $r = $t->get("/apis/acme/$path", $app ? (key => $key{$app}) : ());
    return "$r->{status} " . ($r->{json}{code} // '') }
sub tool { my ($name) = @_;
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => "m__$name",
        arguments => {} }, key => $key{demo});
    return $r->{rpc}{error}{data}{code} // $r->{rpc}{result}{content}[0]{text}
           // $r->{status} }

is(says('echo/one', 'demo'), '200 ', 'the tenant\'s lets it in');
is(says('echo/two', 'demo'), '403 ip_denied', 'an operation\'s does not');
is(says($_, 'demo'), '403 ip_denied', "nor where servers take $_ for it")
    for map { "echo/$_" } qw(two/ /two two;x two. two%20 two// two%2F two/;y
                             any/own any/own;x any//own any/own/);
is(says('echo/any/one', 'demo'), '200 ', 'another operation is served');
is(says('echo/two/more', 'demo'), '200 ', 'and what is none');
is(says('echo/one', 'two'), '403 ip_denied', 'a plan\'s');
is(says('echo/one', 'three'), '403 ip_denied', 'an application\'s');
is(says('shut/x'), '403 ip_denied', 'an api\'s: before authentication');
is(says('echo/two'), '401 key_missing', 'of a part: after it');
is(tool('one'), 'one', 'another tool is called');
is(tool('two'), 'ip_denied', 'one is not');

# nor is an upstream asked for a session, for whom it is shut

my ($session) = $t->mcp_session('/mcp/acme', key => $key{demo});
ok($session, 'a session');
for my $api (qw(kept left)) {
    my @opened = grep { ($_->{headers}{'user-agent'} // '') !~ /control/
                        && $_->{body} =~ /"initialize"/ } $t->origin_log($api);
    is(scalar @opened, $api eq 'kept' ? 1 : 0, "what it opens: $api");
}

# what the gateway answers itself is a call too

sub lists { my ($path, $app, $method, @o) = @_;
    my $r = $t->mcp($path, $method, {}, key => $key{$app}, @o);
    return $r->{rpc}{error}{data}{code}
           // ($r->{rpc}{result} ? 'ok' : $r->{status}) }

for my $method (qw(tools/list prompts/list resources/list server/discover)) {
    is(lists('/mcp/acme', 'three', $method), 'ip_denied',
       "an application's: $method");
    is(lists('/mcp/acme/s', 'two', $method), 'ip_denied',
       "a plan's: $method of the server that is called by it");
    is(lists('/mcp/acme', 'demo', $method), 'ok', 'others have it');
}
is(lists('/mcp/acme', 'three', 'initialize', era => 'legacy'), 'ip_denied',
   'no session');
is($t->get('/apis', key => $key{three})->{json}{code}, 'ip_denied',
   'nor what it may call');

$t->apply(docs(policy('near', [{ tenant => 'acme' }], @far)));
$t->sync;
is(says('echo/one', 'demo'), '403 ip_denied', 'a tenant\'s: REST');
is(tool('one'), 'ip_denied', 'and MCP');

$t->done;
