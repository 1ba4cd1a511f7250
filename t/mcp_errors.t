#!/usr/bin/perl

# What an MCP endpoint refuses, and how: always JSON, with the id where one
# could be read, and never a byte of it at an upstream.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;
my $one = $t->mcp_origin(name => 'one');
$t->apply(demo(mcp => { one => $one })
    . demo(tenant => 'other', mcp => { theirs => $one }));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/one/tools')->{json}{items} || [] }
        == 1
} 20 or $t->give_up('tools were not discovered');
$t->gateway(server => "underscores_in_headers on;");

my $key = $t->key('acme', 'app');
my $theirs = $t->key('other', 'app');
$t->sync;

my %json = (Accept => 'application/json, text/event-stream',
            'Content-Type' => 'application/json');
my $ns = 'io.modelcontextprotocol';
my $meta = qq("_meta":{"$ns/protocolVersion":"2026-07-28",)
           . qq("$ns/clientCapabilities":{}});
my %modern = (%json, 'MCP-Protocol-Version' => '2026-07-28',
              'Mcp-Method' => 'tools/call', 'Mcp-Name' => 'one__echo');

sub call {
    my ($body, %o) = @_;
    my $r = $t->http($o{method} || 'POST', $o{path} || '/mcp/acme',
        key => exists $o{key} ? $o{key} : $key, body => $body,
        headers => $o{headers} || { %modern });
    my $code = $r->{json} ? $r->{json}{error}{code} // 'no code' : 'no JSON';
    return "$r->{status} $code";
}

sub raw { my ($name, %o) = @_;
    return qq({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":)
        . qq("$name","arguments":{},$meta}}) }

is(call(raw('one__echo')), '200 no code', 'the call that all others vary');
is(call(raw('one__echo'), headers => { %modern, 'Content-Type' =>
    'Application/JSON ; charset="UTF-8"; x=y', 'Content-Encoding' =>
    'identity', 'Content_Type' => 'application/json; charset=utf-7' }),
   '200 no code', 'UTF-8, said in another way');
for my $accept (undef, '*/*', 'application/json', 'application/*, text/*',
    'text/html;q=0.1, application/json; q=0.5, text/event-stream')
{
    is(call(raw('one__echo'), headers => { %modern, Accept => $accept }),
       '200 no code', 'accept: ' . ($accept // 'nothing'));
}
is(call(raw('one__echo'), headers => { %modern, Accept => 'text/event-stream',
    accept => 'application/json;q=0.1' }), '200 no code', 'accept, two lines');
is(call(raw('one__echo'), headers => { %modern, Cookie => 'a=b',
    Authorization => 'Basic Zm9vOmJhcg==', 'Proxy-Authorization' => 'x',
    'X-API-Key' => $key }), '200 no code', 'credentials of others');
my $q = ($t->origin_log('one'))[-1]{headers};
is(join('|', map { $_ // '' } @$q{qw(cookie authorization
    proxy-authorization x-api-key)}), '|||', 'stay here');
is(join('|', map { $_ // '' } @$q{qw(content-type content-encoding
    content_type accept-encoding)}), 'application/json|||identity',
   'the upstream is told what was judged');
my $before = scalar $t->origin_log('one');

# ---- who

is(call(raw('one__echo'), key => undef), '401 401', 'no key');
is(call(raw('one__echo'), key => 'junk'), '401 401', 'a malformed key');
is(call(raw('one__echo'), key => $theirs), '404 404',
   "another tenant's key: nothing there");
is(call(raw('one__echo'), path => '/mcp/nobody'), '404 404',
   'no such tenant');
is(call(raw('one__echo'), path => '/mcp/acme/nothing'), '404 404',
   'no such server');
is(call('', path => '/mcp/acme', key => undef), '401 401',
   'who calls is asked before the body is read');
for my $method (qw(GET DELETE PUT OPTIONS)) {
    is(call('', method => $method, key => 'junk', headers => {}), '401 401',
       "... and before what he does, $method");
}

# ---- the transport

is(call('', method => 'GET'), '405 -32600', 'GET');
is(call('', method => 'DELETE'), '405 -32600', 'DELETE');
is(call(raw('one__echo'), headers => { %modern,
    'Content-Type' => 'text/plain' }), '415 -32600', 'content type');
for my $type ('application/json; charset=utf-7', 'application/json;CHARSET='
    . '"utf-16"', 'application/json; charset=utf-8; charset=utf-7',
    'application/jsonp', 'application/json; charset')
{
    is(call(raw('one__echo'), headers => { %modern, 'Content-Type' => $type }),
       '415 -32600', $type);
}
for my $coding ('gzip', 'identity, br') {
    is(call(raw('one__echo'), headers => { %modern, 'Content-Encoding' =>
        $coding }), '415 -32600', "coding $coding");
}
is(call(raw('one__echo'), headers => { %modern, 'content-type' =>
    'application/json; charset=utf-7' }), '415 -32600', 'two content types');
for my $accept ('text/html', 'application/json;q=0, text/*;q=0.0',
                'application/jsonp')
{
    is(call(raw('one__echo'), headers => { %modern, Accept => $accept }),
       '406 -32600', "accept: $accept");
}
is(call(raw('one__echo'), headers => { %modern,
    Origin => 'http://evil.example' }), '403 -32600', 'origin');

# before it is known whose it is

is(call('', path => '/mcp'), '404 404', 'no tenant');
is(call('', path => '/mcp/acme/..;/x'), '400 -32600', 'an ambiguous path');
is(call('', path => '/mcp/acme', headers => { Host => '' }), '400 -32600',
   'no host');
is(call('', path => '/mcp/acme', headers => { X => 'x' x 40_000 }),
   '431 -32600', 'a long header');
is($t->http('GET', '/mcpx')->{json}{code}, 'no_route', 'another path');

# ---- the message

my %bad = (
    'no JSON' => ['{', -32700],
    'nothing' => ['', -32700],
    'trailing data' => [raw('one__echo') . '{}', -32700],
    'bad UTF-8' => ["{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}",
                    -32700],
    'NaN' => ['{"jsonrpc":"2.0","id":NaN,"method":"ping"}', -32700],
    'a key twice' => ['{"jsonrpc":"2.0","id":1,"method":"tools/call",'
        . '"method":"ping"}', -32700],
    'a name twice' => [qq({"jsonrpc":"2.0","id":1,"method":"tools/call",)
        . qq("params":{"name":"one__echo","name":"one__x",$meta}}), -32700],
    'too deep' => ['[' x 200 . ']' x 200, -32700],
    'another case' => [qq({"jsonrpc":"2.0","id":1,"method":"tools/call",)
        . qq("params":{"name":"one__echo","Name":"one__x",$meta}}), -32600],
    'not 2.0' => ['{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
    'a null id' => ['{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600],
    'an object as id' => ['{"jsonrpc":"2.0","id":{},"method":"ping"}',
                          -32600],
    'params as array' => ['{"jsonrpc":"2.0","id":1,"method":"ping",'
        . '"params":[]}', -32600],
    'a batch' => ['[' . raw('one__echo') . ']', -32600],
);
is(call($bad{$_}[0]), "400 $bad{$_}[1]", $_) for sort keys %bad;

# ---- the modern era's headers against its body

my %vary = (
    'no version header' => ['MCP-Protocol-Version', undef],
    'another version in the header' => ['MCP-Protocol-Version', '2025-11-25'],
    'no method header' => ['Mcp-Method', undef],
    'another method' => ['Mcp-Method', 'tools/list'],
    'the method in another case' => ['Mcp-Method', 'TOOLS/CALL'],
    'no name' => ['Mcp-Name', undef],
    'another name' => ['Mcp-Name', 'one__other'],
    'bad base64' => ['Mcp-Name', '=?base64?###?='],
);
for my $what (sort keys %vary) {
    my %h = %modern;
    my ($name, $value) = @{ $vary{$what} };
    defined $value ? ($h{$name} = $value) : delete $h{$name};
    is(call(raw('one__echo'), headers => \%h), '400 -32020', $what);
}
is(call(raw('one__echo'), headers => { %modern,
    'Mcp-Name' => '=?base64?b25lX19lY2hv?=' }), '200 no code',
    'a name in base64 is the same name');
$before++;

(my $old = raw('one__echo')) =~ s/2026-07-28/2031-01-01/;
is(call($old, headers => { %modern, 'MCP-Protocol-Version' => '2031-01-01' }),
   '400 -32022', 'an unsupported version');
my $r = $t->http('POST', '/mcp/acme', key => $key, body => $old, headers =>
    { %modern, 'MCP-Protocol-Version' => '2031-01-01' });
is($r->{json}{error}{data}{supported}[0], '2026-07-28', '... says which are');
is($r->{json}{error}{data}{requested}, '2031-01-01', '... and which was asked');

is(call('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":'
    . qq("one__echo","_meta":{"$ns/protocolVersion":"2026-07-28"}}})),
   '400 -32602', 'no client capabilities');
is(call('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":'
    . '"one__echo"}}'), '400 -32602', 'the version in the header alone');
is(call(qq({"jsonrpc":"2.0","id":1,"method":"no/such","params":{$meta}}),
    headers => { %modern, 'Mcp-Method' => 'no/such' }), '404 -32601',
   'an unknown method');
is(call(qq({"jsonrpc":"2.0","id":1,"method":"initialize","params":{$meta}}),
    headers => { %modern, 'Mcp-Method' => 'initialize' }), '404 -32601',
   "one of the other era");
is(call(qq({"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":)
    . qq(7,$meta}}), headers => { %modern, 'Mcp-Method' => 'tools/list' }),
   '200 -32602', 'a parameter of another type');
is(call('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":7}}'),
   '400 -32602', '... and _meta');
is(call(raw('one__nothing'), headers => { %modern,
    'Mcp-Name' => 'one__nothing' }), '200 -32602', 'an unknown tool');
is(call(raw('../etc'), headers => { %modern, 'Mcp-Name' => '../etc' }),
   '200 -32602', 'a name that is none');

# ---- legacy sessions

my ($session) = $t->mcp_session('/mcp/acme', key => $key);
my %legacy = (%json, 'MCP-Protocol-Version' => '2025-11-25');
my $list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';

is(call($list, headers => { %legacy, 'Mcp-Session-Id' => $session }),
   '200 no code', 'a session');
is(call($list, headers => \%legacy), '400 -32600', 'no session id');
for my $message ('"id":1,"method":"ping"', '"id":1,"method":"tools/list"',
    '"method":"notifications/initialized"', '"id":1,"method":"initialize"')
{
    my $m = qq({"jsonrpc":"2.0",$message,"params":null});
    like(call($m, headers => { %legacy, 'Mcp-Session-Id' => $session }),
         qr/^20[02] no (?:code|JSON)$/, "params null: $message");
}
for my $id (7, -1, 0, '18446744073709551616', '""', '"1"', '"\u00e9"',
    '"' . 'x' x 8190 . '"', '"' . 'x' x 8191 . '"', '"' . 'x' x 70_000 . '"')
{
    my $r = $t->http('POST', '/mcp/acme', key => $key, body =>
        qq({"jsonrpc":"2.0","id":$id,"method":"ping"}), headers =>
        { %legacy, 'Mcp-Session-Id' => $session });
    my $good = length $id <= 8192;
    like("$r->{status} $r->{body}", $good ? qr/^200 .*"id":\Q$id\E,/
         : qr/^400 .*"id":null,.*-32600/, 'the id comes back: '
         . substr $id, 0, 20);
}
is(call($list, headers => { %legacy, 'Mcp-Session-Id' => 'x' x 80 }),
   '404 -32001', 'an invented one');
(my $forged = $session) =~ s/^(.{30})(.)/$1 . ($2 eq 'A' ? 'B' : 'A')/e;
is(call($list, headers => { %legacy, 'Mcp-Session-Id' => $forged }),
   '404 -32001', 'an altered one');
is(call($list, headers => { %legacy, 'Mcp-Session-Id' => $session,
    'MCP-Protocol-Version' => 'junk' }), '400 -32600', 'a junk version');
is(call('{"jsonrpc":"2.0","id":1,"method":"no/such"}',
    headers => { %legacy, 'Mcp-Session-Id' => $session }), '200 -32601',
   'an unknown method');
is(call($list, key => $theirs, path => '/mcp/other',
    headers => { %legacy, 'Mcp-Session-Id' => $session }), '404 -32001',
   "another principal cannot use it");

is(scalar $t->origin_log('one'), $before,
   'nothing of all this reached the upstream');

# ---- an upstream that is not there

$t->kill9('one');
$r = $t->http('POST', '/mcp/acme', key => $key, body => raw('one__echo'),
    headers => \%modern);
is("$r->{status} $r->{json}{id} $r->{json}{error}{data}{code}",
   '200 1 upstream_unreachable', 'a dead upstream: JSON with the id');

$t->done;
