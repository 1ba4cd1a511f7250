#!/usr/bin/perl

# MCP for tools: two upstreams on one endpoint, both eras, bundles, and that
# what is listed is what may be called.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

my %seen = (tools => {
    echo => sub { json_encode($_[0]) },
    'raw.name-1' => sub { $_[1]{params}{name} },
    headers => sub { json_encode($_[2]{headers}) },
    slow => sub { { sse => [ { jsonrpc => '2.0',
        method => 'notifications/message', params => { data => 'first' } },
        0.3 ], result => { content => [ { type => 'text', text => 'done' } ] }
    } },
});

my $one = $t->mcp_origin(name => 'one', %seen);
my $two = $t->mcp_origin(name => 'two', sse => 1, tools => {
    add => sub { $_[0]{a} + $_[0]{b} },
    fail => sub { { error => { code => -32050, message => 'no' } } } });

$t->apply(demo(mcp => { one => $one, two => $two })
    . document('Application', 'acme', 'none')
    . document('Application', 'acme', 'some'));

wait_until {
    my $r = $t->api('GET', '/v1/tenants/acme/apis/two/tools');
    @{ $r->{json}{items} || [] } == 2
} 20 or $t->give_up('tools were not discovered');
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/one/tools')->{json}{items} || [] }
        == 4
} 20 or $t->give_up('tools were not discovered');

$t->apply(document('Server', 'acme', 'desk', <<'END')
state: published
instructions: "Say \"please\"."
title: Desk
prefix: never
tools:
  - { api: one, tool: echo }
  - { api: two, tool: add, alias: sum }
END
    . subscribe('acme', 'app', 'server', 'desk', 'basic')
    . subscribe('acme', 'some', 'api', 'one', 'basic', "  tools: [echo]\n"));

$t->gateway(workers => 2,
    http => 'log_format tool "$stoa_tool_name";',
    server => 'access_log logs/tool.log tool;');
my $key = $t->key('acme', 'app');
$t->sync;
my @k = (key => $key);

sub names { join ' ', map { $_->{name} } @{ $_[0]{rpc}{result}{tools} || [] } }
sub text { $_[0]{rpc}{result}{content}[0]{text} // "no text: $_[0]{body}" }

# ---- the modern era

my $r = $t->mcp('/mcp/acme', 'server/discover', undef, @k);
is($r->{rpc}{result}{supportedVersions}[0], '2026-07-28', 'discover');
is($r->{rpc}{result}{resultType}, 'complete', 'discover: resultType');
is($r->{rpc}{result}{cacheScope}, 'private', 'discover: cacheScope');

$r = $t->mcp('/mcp/acme', 'tools/list', undef, @k, id => 'a"b');
is(names($r), 'echo one__echo one__headers one__raw.name-1 one__slow sum '
   . 'two__add two__fail', 'one list over two upstreams and a bundle, sorted');
is($r->{rpc}{id}, 'a"b', 'the id comes back as it was');
like($r->{headers}{'content-type'}, qr{^application/json}, 'JSON');
ok((grep { $_->{description} } @{ $r->{rpc}{result}{tools} }),
   'definitions are whole');

$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'one__echo',
    arguments => { x => "\x{20ac} \\ \"" } }, @k);
is(json_decode(text($r))->{x}, "\x{20ac} \\ \"", 'a call reaches upstream one');
ok((scalar wait_until { grep { $_ eq 'echo' } $t->log_lines('gw', 'tool.log') }),
   'the log names the tool');
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'two__add',
    arguments => { a => 2, b => 3 } }, @k);
is(text($r), 5, 'a call reaches upstream two, answered as a stream');
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'one__raw.name-1',
    arguments => {} }, @k);
is(text($r), 'raw.name-1', 'the upstream sees its own name');
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'two__fail',
    arguments => {} }, @k);
is($r->{rpc}{error}{code}, -32050, "the upstream's error passes");

$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'one__headers',
    arguments => {} }, @k, headers => { 'X-Stoa-Tenant' => 'evil' });
my $h = json_decode(text($r));
is($h->{'mcp-name'}, 'headers', 'Mcp-Name goes with the body');
is($h->{'mcp-method'}, 'tools/call', 'Mcp-Method passes');
is($h->{'mcp-protocol-version'}, '2026-07-28', 'the version passes');
ok(!exists $h->{'x-api-key'}, 'the key does not');
ok(!exists $h->{'x-stoa-tenant'}, 'nor an identity that the client claims');
ok($h->{'x-request-id'}, 'a request id is sent');
like($h->{traceparent}, qr/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/,
     'a trace context is sent');

# ---- a stream is not held back

{
    my $c = $t->connection;
    my $body = json_encode({ jsonrpc => '2.0', id => 7,
        method => 'tools/call', params => { name => 'one__slow',
            arguments => {}, _meta => {
            'io.modelcontextprotocol/protocolVersion' => '2026-07-28',
            'io.modelcontextprotocol/clientCapabilities' => {} } } });
    $c->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
        . "Content-Type: application/json\r\nMcp-Method: tools/call\r\n"
        . "Mcp-Name: one__slow\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        . "Accept: application/json, text/event-stream\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
    my $got = '';
    while ($got !~ /first/) {
        my $n = sysread $c->{sock}, $got, 4096, length $got;
        last unless $n;
    }
    like($got, qr/first/, 'the first event came');
    unlike($got, qr/done/, '... before the last was there');
    $c->close;
}

# ---- the legacy eras

for my $version (qw(2025-11-25 2025-06-18 2025-03-26)) {
    my ($session, $init) = $t->mcp_session('/mcp/acme', @k,
                                           version => $version);
    is($init->{rpc}{result}{protocolVersion}, $version, "$version: initialize");
    like($session, qr/^[\x21-\x7e]{40,}$/, "$version: a session id");
    my @s = (@k, era => 'legacy', session => $session, version => $version);

    $r = $t->mcp('/mcp/acme', 'ping', undef, @s);
    is_deeply($r->{rpc}{result}, {}, "$version: ping");
    $r = $t->mcp('/mcp/acme', 'tools/list', undef, @s);
    like(names($r), qr/^echo one__echo .* two__fail$/, "$version: list");
    $r = $t->mcp('/mcp/acme', 'tools/call', { name => 'one__echo',
        arguments => { n => 1 } }, @s);
    is(text($r), '{"n":1}', "$version: call one");
    $r = $t->mcp('/mcp/acme', 'tools/call', { name => 'two__add',
        arguments => { a => 1, b => 1 } }, @s);
    is(text($r), 2, "$version: call two");
}

my (undef, $init) = $t->mcp_session('/mcp/acme', @k, version => '1999-01-01');
is($init->{rpc}{result}{protocolVersion}, '2025-11-25',
   'an unknown version is answered by ours, as a success');

$r = $t->mcp('/mcp/acme', 'notifications/initialized', undef, @k,
    era => 'legacy', session => $init->{session});
is("$r->{status} '$r->{body}'", "202 ''", 'a notification: 202, no body');

# ---- a bundle

$r = $t->mcp('/mcp/acme/desk', 'tools/list', undef, @k);
is(names($r), 'echo sum', 'a bundle lists its tools by its own names');
$r = $t->mcp('/mcp/acme/desk', 'tools/call', { name => 'sum',
    arguments => { a => 20, b => 1 } }, @k);
is(text($r), 21, 'an alias is called');
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'sum',
    arguments => { a => 20, b => 2 } }, @k);
is(text($r), 22, "... at the tenant's endpoint too, as it is listed there");
$r = $t->mcp('/mcp/acme/desk', 'tools/call', { name => 'one__echo',
    arguments => {} }, @k);
is($r->{rpc}{error}{code}, -32602, 'what a bundle lacks is unknown there');
(undef, $init) = $t->mcp_session('/mcp/acme/desk', @k);
is($init->{rpc}{result}{instructions}, 'Say "please".',
   'instructions of the bundle');
is($init->{rpc}{result}{serverInfo}{title}, 'Desk', 'title of the bundle');

# ---- what is listed is what may be called

my $some = $t->key('acme', 'some');
my $none = $t->key('acme', 'none');
$t->sync;

$r = $t->mcp('/mcp/acme', 'tools/list', undef, key => $some);
is(names($r), 'one__echo', 'a subscription that names its tools');
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'one__headers',
    arguments => {} }, key => $some);
is($r->{rpc}{error}{code}, -32602, '... refuses the others');
$r = $t->mcp('/mcp/acme', 'tools/list', undef, key => $none);
is(names($r), '', 'no subscription, no tools');
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'one__echo',
    arguments => {} }, key => $none);
is("$r->{rpc}{error}{code} $r->{rpc}{error}{data}{code}", '403 not_subscribed',
   'no subscription, no call');
$r = $t->mcp('/mcp/acme/desk', 'tools/list', undef, key => $some);
is($r->{rpc}{error}{code}, 403, 'a bundle needs its subscription');

$t->must('POST', '/v1/tenants/acme/apis/one/tools/echo/disable');
$t->sync;
$r = $t->mcp('/mcp/acme', 'tools/list', undef, @k);
unlike(names($r), qr/one__echo/, 'a disabled tool is not listed');
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'one__echo',
    arguments => {} }, @k);
is($r->{rpc}{error}{code}, -32602, '... nor called');
is_deeply([grep { $_->{body} =~ /one__/ } $t->origin_log('one')], [],
    'no upstream ever saw an exposed name');

$t->done;
