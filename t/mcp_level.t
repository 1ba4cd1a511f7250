#!/usr/bin/perl

# What a legacy client asks servers to tell him of: logging/setLevel, for all
# of his sessions at upstreams, and resources/subscribe.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use Test::Stoa::Demo;

use Time::HiRes qw(time);

my $t = Test::Stoa->new;
$t->control;
my $n = 0;
my $up = sub {
    my ($name, $q, $c) = @_;
    my $m = json_decode($q->{body} // '') || {};
    my $method = $m->{method} // '';
    if ($q->{method} eq 'GET') {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "Connection: close\r\n\r\n");
        wait_until { -f $t->dir("$name.updated") } 20;
        $c->send_raw('data: {"jsonrpc":"2.0","method":'
            . '"notifications/resources/updated","params":{"uri":"x://'
            . "$name\"}}\n\n");
        wait_until { -f $t->dir("$name.same") } 20;
        $c->send_raw('data: {"jsonrpc":"2.0","method":'
            . '"notifications/resources/updated","params":{"uri":"x://same",'
            . "\"title\":\"$name\"}}\n\n");
        $c->fill(time + 20);
        return undef;
    }
    return [405] unless $q->{method} eq 'POST';
    return [202] unless defined $m->{id};
    my %result = (initialize => { protocolVersion => '2025-11-25',
        capabilities => { tools => {}, logging => {}, resources => {
            subscribe => JSON::PP::true() } }, serverInfo => { name => 'u',
            version => '1' } },
        'tools/list' => { tools => [{ name => 'one', inputSchema => {
            type => 'object' } }] },
        'resources/list' => { resources => [ map { { uri => "x://$_", name =>
            'x' } } $name, 'same' ] },
        'resources/templates/list' => { resourceTemplates => [] });
    return [200, ['Content-Type' => 'application/json', $method eq 'initialize'
        && $m->{params}{clientInfo}{name} ne 'stoa-control'  # at first calls
        ? ('Mcp-Session-Id' => "$name-$$-" . $n++) : ()], json_encode({
        jsonrpc => '2.0', id => $m->{id}, $method eq 'server/discover'
        ? (error => { code => -32601, message => 'no' })
        : (result => $result{$method} || {}) })];
};
my %port = map { my $name = $_;
    ($name => $t->origin(sub { $up->($name, @_) }, name => $name)) } qw(a b);
$t->apply(demo(mcp => \%port));
for my $api (keys %port) {
    wait_until { @{ $t->api('GET', "/v1/tenants/acme/apis/$api/tools")
        ->{json}{items} || [] } } 20 or $t->give_up("$api: not discovered");
}
my $key = $t->key('acme', 'app');
$t->gateway(workers => 4);
$t->sync;

my ($s, $init) = $t->mcp_session('/mcp/acme', key => $key);
sub ask { my ($method, $params, %o) = @_;
    return $t->mcp('/mcp/acme', $method, $params, key => $key, era => 'legacy',
        session => $s, %o) }
sub got { my ($name) = @_;
    return map { my $m = json_decode($_->{body}); [$_, $m->{method} eq
        'logging/setLevel' ? $m->{params}{level} : $m->{method}] }
        grep { ($_->{body} // '') =~ m{"(?:logging/setLevel|tools/call
            |resources/\w*subscribe)"}x } $t->origin_log($name) }

my $caps = $init->{rpc}{result}{capabilities};
is_deeply([$caps->{logging}, $caps->{resources}{subscribe}],
    [{}, JSON::PP::true()], 'what an upstream can is told');

ask('tools/call', { name => 'a__one', arguments => {} });
my $r = ask('logging/setLevel', { level => 'warning' }, id => 'x');
is_deeply($r->{rpc}, { jsonrpc => '2.0', id => 'x', result => {} },
    'logging/setLevel is answered');
is((got('a'))[-1][1], 'warning', '... when the sessions that are open know');
is((got('a'))[-1][0]{headers}{'mcp-session-id'},
   (got('a'))[0][0]{headers}{'mcp-session-id'}, '... in them');
is(scalar(got('b')), 0, '... and opens none');
for (1 .. 3) { ask('tools/call', { name => 'b__one', arguments => {} }) }
is(join(' ', map { $_->[1] } got('b')),
   'warning tools/call tools/call tools/call',
   'one that is opened later knows it before its first call');
for my $bad ({ level => 'loud' }, { level => 3 }, {}, undef) {
    is(ask('logging/setLevel', $bad)->{rpc}{error}{code}, -32602,
       'a level that is none');
}
is(scalar(grep { $_->[1] ne 'tools/call' } got('a')), 1, '... is told nobody');

# ---- resources

is_deeply(ask('resources/subscribe', { uri => 'x://b' })->{rpc}{result}, {},
    'resources/subscribe');
is((got('b'))[-1][1], 'resources/subscribe', '... is at the one that has it');
my $c = $t->connection;
$c->request('GET', '/mcp/acme', headers => ['X-API-Key' => $key,
    'Mcp-Session-Id' => $s, Accept => 'text/event-stream'], headers_only => 1);
$c->event(5);
spew($t->dir('b.updated'), '');
like($c->event(10)->{data}, qr{resources/updated.*x://b},
     '... whose updates come in the stream of the session');
my @same = map { $_->{uri} } grep { $_->{uri} =~ /same/ }
    @{ ask('resources/list')->{rpc}{result}{resources} };
my ($alias) = grep { /^stoa:/ } @same;
is(@same, 2, 'F7: two resources of one URI have two names');
ask('resources/subscribe', { uri => $_ }) for @same;
spew($t->dir("$_.updated"), '') for qw(a b);
wait_until { my $e = $c->event(10); $e && $e->{data} =~ m{x://a} };
my $which = $alias =~ m{^stoa:(\w)} ? $1 : '';
spew($t->dir("$which.same"), '');
is_deeply(json_decode($c->event(10)->{data})->{params}, { uri => $alias, title =>
    $which }, '... by which their updates are told');
spew($t->dir(($which eq 'a' ? 'b' : 'a') . '.same'), '');
is(json_decode($c->event(10)->{data})->{params}{uri}, 'x://same',
   '... and by the URI itself');
ask('resources/unsubscribe', { uri => 'x://b' });
is((got('b'))[-1][1], 'resources/unsubscribe', 'resources/unsubscribe');
$c->close;

$t->done;
