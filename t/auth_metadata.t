#!/usr/bin/perl

# A1, A2: whoever has no token is told where to get one: the challenge of 401
# and the metadata of RFC 9728, for each route, by the URL that is configured.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Token;

my $t = Test::Stoa->new->has('module', 'control', 'openssl');
$t->control;
my $to = 'http://127.0.0.1:' . $t->origin;
my $URL = 'https://gw.example';
my $WELL = '/.well-known/oauth-protected-resource';
my $key = token_key($t, 'k', 'ES256');
$t->apply(docs((map { tenant($_) } qw(acme bare)), plan('acme', 'free'),
    app('acme', 'demo'), rest('acme', 'echo', $to, title => 'The echo'),
    rest('acme', 'own', $to, base_path => '/own/v1'),
    rest('acme', 'host', $to, host => 'api.example'),
    rest('bare', 'none', $to),
    sub_('acme', 'demo', 'echo', 'free'),
    doc('Server', 'acme', 'tools', { state => 'published' }),
    (map { doc('Issuer', 'acme', $_, { issuer => "https://$_.example/a",
        jwks => jwks($key), application => 'demo', audiences => ['x'] }) }
     qw(one two)),
    doc('Issuer', 'acme', 'again', { issuer => 'https://one.example/a',
        jwks => jwks($key) })));
$t->gateway(http => "stoa_external_url $URL; stoa_resource_root /mcp/acme;");
$t->gateway(name => 'plain');
my $api_key = $t->key('acme', 'demo');
$t->sync;
$t->sync('plain');

sub meta { my ($path, %o) = @_; return $t->get("$WELL$path", %o) }
sub challenge { my ($method, $path, %o) = @_;
    my $r = $t->http($method, $path, %o);
    return "$r->{status} " . ($r->{headers}{'www-authenticate'} // '') }
my $SERVERS = ['https://one.example/a', 'https://two.example/a'];


# the metadata

for my $case (
    ['a tenant\'s MCP endpoint', '/mcp/acme', "$URL/mcp/acme"],
    ['with a slash', '/mcp/acme/', "$URL/mcp/acme"],
    ['a server', '/mcp/acme/tools', "$URL/mcp/acme/tools"],
    ['an api by its name', '/apis/acme/echo', "$URL/apis/acme/echo"],
    ['an api by its path', '/own/v1', "$URL/own/v1"],
    ['the root', '', "$URL/mcp/acme"],
    ['the root, with a slash', '/', "$URL/mcp/acme"],
) {
    my ($what, $path, $want) = @$case;
    my $r = meta($path);
    is($r->{status}, 200, $what);
    is($r->{json}{resource}, $want, "$what: the resource");
    is_deeply([sort @{ $r->{json}{authorization_servers} || [] }], $SERVERS,
              "$what: its issuers, each once");
}
my $r = meta('/apis/acme/echo', host => 'evil.example');
is($r->{json}{resource}, "$URL/apis/acme/echo", 'whatever the Host says');
is($r->{json}{resource_name}, 'The echo', 'with its name');
is_deeply($r->{json}{bearer_methods_supported}, ['header'], 'in a header');
is($r->{headers}{'access-control-allow-origin'}, '*', 'for every page');
is(meta('', host => 'api.example')->{status}, 200, 'the root at any host');
$r = $t->http('OPTIONS', "$WELL/mcp/acme", headers => {
    Origin => 'https://app.example',
    'Access-Control-Request-Method' => 'GET',
    'Access-Control-Request-Headers' => 'mcp-protocol-version' });
is($r->{status} . ' ' . $r->{headers}{'access-control-allow-origin'},
   '204 *', 'a preflight');
like($r->{headers}{'access-control-allow-headers'} // '',
     qr/MCP-Protocol-Version/, 'with the header that MCP clients send');
is($t->http('POST', "$WELL/mcp/acme")->{status}, 405, 'read only');
for my $case (['no tenant', '/mcp/nobody'], ['a tenant without issuers',
              '/mcp/bare'], ['an api of it', '/apis/bare/none'],
              ['no api', '/apis/acme/none'], ['below an api',
              '/apis/acme/echo/x'], ['nothing', '/x'])
{
    is(meta($case->[1])->{status}, 404, "$case->[0]: 404");
}
$r = $t->get('/.well-known/oauth-authorization-server');
is($r->{status}, 404, 'the gateway is no authorization server');
is($r->{json}{code}, 'no_route', 'as JSON');


# the challenge

my $at = qq(resource_metadata="$URL$WELL/mcp/acme");
for my $method (qw(POST GET DELETE PUT)) {
    is(challenge($method, '/mcp/acme'),
       qq(401 Bearer realm="stoa", $at), "$method");
}
is(challenge('GET', '/apis/acme/echo/x/y', host => 'evil.example'),
   qq(401 Bearer realm="stoa", resource_metadata="$URL$WELL/apis/acme/echo"),
   'an api by its name');
is(challenge('GET', '/own/v1/x'), qq(401 Bearer realm="stoa", )
   . qq(resource_metadata="$URL$WELL/own/v1"), 'by its path');
is(challenge('GET', '/x', host => 'api.example'),
   qq(401 Bearer realm="stoa", )
   . qq(resource_metadata="https://api.example$WELL"), 'by its host');
my $bad = token($key, claims('https://one.example/a', 'x', exp => time - 99));
is(challenge('POST', '/mcp/acme', headers => {
       Authorization => "Bearer $bad" }),
   '401 Bearer realm="stoa", error="invalid_token", '
   . qq(error_description="The token has expired", $at), 'an expired token');
is(challenge('POST', '/mcp/acme', headers => { 'X-API-Key' => 'x' }),
   '401 Bearer realm="stoa", error="invalid_token", '
   . qq(error_description="The API key is not valid", $at), 'a bad key');
is(challenge('GET', '/apis/bare/none/'), '401 Bearer realm="stoa"',
   'a tenant without issuers');
is(challenge('POST', '/mcp/nobody'), '401 Bearer realm="stoa"', 'no tenant');
is(challenge('POST', '/mcp/acme', port => $t->port('plain')),
   '401 Bearer realm="stoa"', 'without stoa_external_url');
is(meta('/mcp/acme', port => $t->port('plain'))->{status}, 404,
   'nor is there metadata');

my $good = token($key, claims('https://one.example/a', "$URL/mcp/acme"));
$r = $t->post('/mcp/acme', { jsonrpc => '2.0', id => 1,
    method => 'initialize', params => { protocolVersion => '2025-11-25',
    capabilities => {}, clientInfo => { name => 'x', version => '1' } } },
    headers => { Authorization => "Bearer $good",
                 Accept => 'application/json, text/event-stream' });
is($r->{status}, 200, 'a token for the endpoint is taken there')
    or diag $r->{body};
is($t->post('/mcp/acme/tools', { jsonrpc => '2.0', id => 1,
       method => 'ping' }, headers => { Authorization => "Bearer $good" })
   ->{status}, 401, 'and at no other');

$t->done;
