#!/usr/bin/perl

# A4: require-token.  Scopes and roles of a caller's token, for operations and
# tools; the challenge that names all scopes; scopes that stand for others; and
# what a list shows is what may be called.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::MCP;
use Test::Stoa::Token;

my $t = Test::Stoa->new->has('module', 'control', 'openssl');
$t->control;
my $to = 'http://127.0.0.1:' . $t->origin;
my $calls = $t->dir('calls');
spew($calls, '');
my $mcp = $t->mcp_origin(name => 'm', tools => { map { my $n = $_;
    ($n => sub { open my $f, '>>', $calls; print $f "$n\n"; 'hi' }) }
    qw(plain scoped hidden role both) });
my ($URL, $ISS) = ('https://gw.example', 'https://idp.example/a');
my $key = token_key($t, 'k', 'ES256');

sub rule { my ($name, $config, @attach) = @_;
    return doc('Policy', 'acme', $name, { type => 'require-token',
        config => $config, attach => [@attach] }) }
$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    rest('acme', 'echo', $to, operations => [
        { name => 'read', method => 'GET', path => '/r' },
        { name => 'write', method => 'POST', path => '/w' },
        { name => 'admin', method => 'GET', path => '/a' },
        { name => 'keys', method => 'GET', path => '/k' }]),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    (map { sub_('acme', 'demo', $_, 'free') } qw(echo m)),
    doc('Issuer', 'acme', 'idp', { issuer => $ISS, jwks => jwks($key),
        application => 'demo', audiences => ['x'],
        claims => { roles => '/realm_access/roles' },
        scopes => [{ scope => 'admin', covers => ['e:write', 'all'] },
                   { scope => 'all', covers => ['t:*'] }] })));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } == 5 } 20 or $t->give_up('no tools');
$t->apply(docs(
    doc('Server', 'acme', 'desk', { state => 'published',
        tools => [{ api => 'm', tool => 'plain' }] }),
    doc('Subscription', 'acme', undef, { application => 'demo',
        server => 'desk', plan => 'free' }),
    rule('desk', { scopes => ['d:use', 'd:more'] }, { server => 'desk' }),
    rule('read', { scopes => ['e:read'], keys => JSON::PP::true },
         { api => 'echo' }),
    rule('write', { scopes => ['e:write'] },
         { api => 'echo', operation => 'write' }),
    rule('admin', { roles => ['boss', 'chief'] },
         { api => 'echo', operation => 'admin' }),
    rule('scoped', { scopes => ['t:one'] }, { api => 'm', tool => 'scoped' }),
    rule('hidden', { scopes => ['t:two'], list_unscoped => JSON::PP::false },
         { api => 'm', tool => 'hidden' }),
    rule('role', { roles => ['boss'] }, { api => 'm', tool => 'role' }),
    rule('both', { roles => ['boss'], scopes => ['t:one'],
                   keys => JSON::PP::true }, { api => 'm', tool => 'both' })));
$t->gateway(http => "stoa_external_url $URL;");
my $api_key = $t->key('acme', 'demo');
$t->sync;

sub tok { my ($scope, @roles) = @_; return token($key, claims($ISS, 'x',
    scope => $scope, realm_access => { roles => [@roles] })) }
sub rest_call { my ($how, $token, %o) = @_;
    my ($method, $path) = split / /, $how;
    my $r = $t->http($method, "/apis/acme/echo$path", %o, $token
        ? (headers => { Authorization => "Bearer $token" }) : ());
    return $r->{status} == 200 ? 200 : "$r->{status} $r->{json}{code}" }


# operations

is(rest_call('GET /r', tok('e:read')), 200, 'a scope');
is(rest_call('GET /r', tok('x e:read y')), 200, 'among others');
is(rest_call('GET /r', tok('e:read2 re:read')), '403 insufficient_scope',
   'not a part of one');
is(rest_call('GET /r', tok(undef)), '403 insufficient_scope', 'none at all');
is(rest_call('POST /w', tok('e:write')), '403 insufficient_scope',
   'an operation is asked what its api is, too');
is(rest_call('POST /w', tok('e:read e:write')), 200, 'both');
is(rest_call('POST /w', tok('e:read admin')), 200,
   'a scope that stands for another');
is(rest_call('GET /a', tok('e:read', 'x')), '403 role_required', 'a role');
is(rest_call('GET /a', tok('e:read', 'x', 'chief')), 200, 'one of them');
is(rest_call('GET /r', undef, key => $api_key), 200,
   'a key, where the rule lets keys in');
is(rest_call('POST /w', undef, key => $api_key), '403 role_required',
   'and where it does not');

my $r = $t->http('POST', '/apis/acme/echo/w',
    headers => { Authorization => 'Bearer ' . tok('none') });
is($r->{headers}{'www-authenticate'}, 'Bearer realm="stoa", '
   . 'error="insufficient_scope", error_description="The token lacks a scope"'
   . qq(, resource_metadata="$URL/.well-known/oauth-protected-resource)
   . '/apis/acme/echo", scope="e:read e:write"',
   'the challenge names all scopes of the operation');
$r = $t->get('/apis/acme/echo/r');
like($r->{headers}{'www-authenticate'}, qr/, scope="e:read"$/,
     'without a token, those of the route');


# the metadata: what the route as a whole wants, no more

sub supported { my ($path) = @_;
    my $m = $t->get("/.well-known/oauth-protected-resource$path")->{json};
    return exists $m->{scopes_supported}
           ? join ' ', @{ $m->{scopes_supported} } : 'none' }
is(supported('/apis/acme/echo'), 'e:read',
   'scopes_supported of an api, without those of one operation');
is(supported('/mcp/acme/desk'), 'd:use d:more', 'of a server');
is(supported('/mcp/acme'), 'none', 'of an endpoint that wants none');
is(supported('/mcp/acme/none'), 'none', 'of a server that is not there');
$r = $t->post('/mcp/acme/desk', { jsonrpc => '2.0', id => 1,
    method => 'ping' });
like($r->{headers}{'www-authenticate'}, qr/, scope="d:use d:more"$/,
     'and the challenge of MCP names them');
$r = $t->mcp('/mcp/acme/desk', 'tools/call', { name => 'm__plain',
    arguments => {} }, headers => {
    Authorization => 'Bearer ' . tok('d:use') });
is($r->{status}, 403, 'a token that lacks one of a server: 403');
like($r->{headers}{'www-authenticate'}, qr{error="insufficient_scope".*
     /mcp/acme/desk",\ scope="d:use\ d:more"$}x, 'a challenge to step up');


# tools

sub tools { my ($token, %o) = @_;
    $r = $t->mcp('/mcp/acme', 'tools/list', {}, %o, $token
        ? (headers => { Authorization => "Bearer $token" }) : ());
    return join ' ', map { $_->{name} =~ s/^m__//r }
        @{ $r->{rpc}{result}{tools} || [] } }
sub tool { my ($name, $token, %o) = @_;
    spew($calls, '');
    $r = $t->mcp('/mcp/acme', 'tools/call', { name => "m__$name",
        arguments => {} }, %o, $token
        ? (headers => { Authorization => "Bearer $token" }) : ());
    my $code = $r->{rpc}{error} ? $r->{rpc}{error}{data}{code} // 'error'
                                : 'ok';
    is(slurp($calls), $code eq 'ok' ? "$name\n" : '',
       "$name: " . ($code eq 'ok' ? 'called' : 'the upstream sees nothing'));
    return "$r->{status} $code" }

for my $case (
    ['nothing', [''], 'plain scoped', plain => '200 ok',
     scoped => '403 insufficient_scope', hidden => '403 insufficient_scope',
     role => '200 role_required'],
    ['a scope', ['t:two'], 'hidden plain scoped', hidden => '200 ok'],
    ['a role', ['', 'boss'], 'both plain role scoped', role => '200 ok',
     both => '403 insufficient_scope'],
    ['a scope that stands for a family, by another', ['admin', 'boss'],
     'both hidden plain role scoped', both => '200 ok', hidden => '200 ok',
     scoped => '200 ok'],
) {
    my ($what, $claims, $list, %call) = @$case;
    my $token = tok(@$claims);
    is(tools($token), $list, "$what: what is listed");
    is(tool($_, $token), $call{$_}, "$what: $_") for sort keys %call;
}
is(tools(undef, key => $api_key), 'both plain', 'a key: what is listed');
is(tool('both', undef, key => $api_key), '200 ok', 'a key: both');
is(tool('role', undef, key => $api_key), '200 role_required', 'a key: role');
$t->mcp('/mcp/acme', 'tools/call', { name => 'm__both', arguments => {} },
        headers => { Authorization => 'Bearer ' . tok('', 'boss') });
tool('scoped', tok(''));
like($r->{headers}{'www-authenticate'}, qr{error="insufficient_scope".*
     /mcp/acme",\ scope="t:one"$}x, 'a challenge to step up');

$t->must(PATCH => '/v1/tenants/acme/policies/role', { state => 'disabled' });
$t->sync;
is(tools(tok('')), 'plain role scoped', 'a rule that is gone hides nothing');

$t->done;
