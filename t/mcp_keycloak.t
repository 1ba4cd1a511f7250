#!/usr/bin/perl

# The way of t/mcp_oauth.t with a real Keycloak: registration, its login page,
# a code, a token, whose audience is the endpoint's URL, by a client scope's
# mapper, or what the client has asked for, by Keycloak's resource-indicators;
# roles of the realm.  "make test-keycloak"; nothing of it in CI, where its start
# takes a minute and 500 MB.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::MCP;

my $home = "$Test::Stoa::PARTS/keycloak";
Test::More::plan(skip_all => 'make test-keycloak runs it')
    unless $ENV{STOA_TEST_KEYCLOAK} && -x "$home/bin/kc.sh";

my $t = Test::Stoa->new->has('module', 'control', 'node', 'python');
$t->control;
my $mcp = $t->mcp_origin(name => 'm', tools => { one => sub { 'hi' },
                                                 two => sub { 'ho' } });
my ($idp, $health, $gw) = map { $t->port($_) } qw(idp health gw);
my ($ISS, $URL) = ("http://127.0.0.1:$idp/realms/gw", "http://127.0.0.1:$gw");


# its own copy of what Keycloak writes, with a realm of ours: two resource
# servers, of which each token is for both, but that the client says which

sub keycloak_up {
    my ($name, @build) = @_;
    my $kc = $t->dir($name);
    system('cp', '-a', "$home/.", $kc) == 0 or die "cp: $?\n";
    mkdir "$kc/data";
    mkdir "$kc/data/import";
    my %java = (JAVA_OPTS_KC_HEAP => '-Xms32m -Xmx192m');
    if (@build) {
        my ($code, $out, $err) = $t->run_cmd(["$kc/bin/kc.sh", 'build', @build],
                                             timeout => 240, env => \%java);
        die "kc.sh build: $out$err\n" if $code;
    }
    my $mapper = sub { my ($name, $what, %config) = @_;
        return { name => $name, protocol => 'openid-connect',
                 protocolMapper => $what, config => {
                     'access.token.claim' => 'true',
                     'introspection.token.claim' => 'true', %config } } };
    my $scope = sub { my ($name, $in, @mappers) = @_;
        return { name => $name, protocol => 'openid-connect', attributes => {
            'include.in.token.scope' => $in,
            'display.on.consent.screen' => 'false' },
            protocolMappers => [@mappers] } };
    spew("$kc/data/import/gw-realm.json", json_encode({
        realm => 'gw', enabled => JSON::PP::true, sslRequired => 'none',
        roles => { realm => [{ name => 'clerk' }] },
        clientScopes => [
            $scope->('tools', 'true',
                $mapper->('sub', 'oidc-sub-mapper'),
                $mapper->('roles', 'oidc-usermodel-realm-role-mapper',
                    'claim.name' => 'realm_access.roles', multivalued => 'true',
                    'jsonType.label' => 'String'),
                @build ? (map { $mapper->("aud-$_", 'oidc-audience-mapper',
                    'included.client.audience' => $_) } qw(mcp-acme another))
                : $mapper->('aud', 'oidc-audience-mapper',
                    'included.custom.audience' => "$URL/mcp/acme"))],
        clients => [map { { clientId => $_, enabled => JSON::PP::true,
            bearerOnly => JSON::PP::true, attributes => {
                resource_url => "$URL/mcp/" . s/.*-//r } } }
            qw(mcp-acme another)],
        defaultOptionalClientScopes => ['tools'],
        components => { 'org.keycloak.services.clientregistration.policy'
            . '.ClientRegistrationPolicy' => [{ name => 'Max Clients Limit',
                providerId => 'max-clients', subType => 'anonymous',
                config => { 'max-clients' => ['200'] } }] },
        users => [map { { username => $_, enabled => JSON::PP::true,
            email => "$_\@acme.example", emailVerified => JSON::PP::true,
            firstName => $_, lastName => 'X', credentials => [
                { type => 'password', value => "$_-pw" }],
            # the Python SDK asks for a token that outlives the session
            realmRoles => ['offline_access', $_ eq 'alice' ? 'clerk' : ()] } }
            qw(alice bob)] }));
    $t->start($name, stop => 'TERM', cwd => $kc, argv => ["$kc/bin/kc.sh",
        'start', '--optimized', '--cache=local', '--http-enabled=true',
        '--http-host=127.0.0.1', "--http-port=$idp",
        "--http-management-port=$health", '--hostname-strict=false',
        '--import-realm'],
        env => \%java);
    wait_until { Test::Stoa::http_once($health, 'GET', '/health/ready')
                 ->{status} == 200 } 180 or $t->give_up('keycloak is not ready');
}
keycloak_up('keycloak');


$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'agents'),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    sub_('acme', 'agents', 'm', 'free'),
    doc('Policy', 'acme', 'scope', { type => 'require-token',
        config => { scopes => ['tools'] }, attach => [{ tenant => 'acme' }] }),
    doc('Issuer', 'acme', 'idp', { issuer => $ISS, application => 'agents',
        jwks_url => "$ISS/protocol/openid-connect/certs",
        claims => { roles => '/realm_access/roles' } })));
wait_until { ($t->must(GET => '/v1/tenants/acme/issuers/idp')->{keys}{state}
             // '') eq 'ok'
             && @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } } 30 or $t->give_up('no keys, no tools');
$t->apply(docs(doc('Policy', 'acme', 'role', { type => 'require-token',
    config => { roles => ['clerk'] }, attach => [{ api => 'm',
                                                   tool => 'two' }] })));
my $keys = $t->must(GET => '/v1/tenants/acme/issuers/idp')->{keys};
is(join(' ', map { @{ $_->{algorithms} } } @{ $keys->{items} }), 'RS256',
   'the key that signs');
like($keys->{skipped}[0]{why} // '', qr/not for signatures/,
     'not the one that encrypts');
$t->gateway(workers => 2, http => "stoa_external_url $URL;");
$t->sync;

my $parts = $Test::Stoa::PARTS;
my %client = (
    ts2 => sub { ['node', "$FindBin::Bin/sdk/oauth_ts2.mjs", @_] },
    py => sub { ["$parts/python/venv/bin/python",
                 "$FindBin::Bin/sdk/oauth_py.py", @_] },
);
sub way {
    my ($what, @cases) = @_;
    for my $case (@cases) {
        my ($name, $user, $list) = @$case;
        my ($code, $out, $err) = $t->run_cmd($client{$name}->(
            "$URL/mcp/acme", 'm__one', '{}', $user, "$user-pw"),
            timeout => 90, env => { STOA_NODE_DIR => "$parts/node" });
        my ($line) = $out =~ /^(\{.*\})\s*$/m;
        my $got = json_decode($line // '') || {};
        my $who = "$name, $user$what";
        is(join(' ', @{ $got->{tools} || [] }), $list,
           "$who: found the way, and sees what the role lets see")
            or diag $out, $err;
        is($got->{result}{content}[0]{text}, 'hi', "$who: and called");
        ok($got->{registered}, "$who: registered by itself");
    }
}
way('', ['ts2', 'alice', 'm__one m__two'], ['py', 'alice', 'm__one m__two'],
    ['ts2', 'bob', 'm__one']);
$t->kill9('keycloak');                   # whose end says that it was asked to


# with --features=resource-indicators the token is for what the client asks
# for: the client of that URL, and no other that its scope has

keycloak_up('indicators', '--db=dev-file', '--health-enabled=true',
            '--features=resource-indicators');
$t->must(DELETE => '/v1/tenants/acme/issuers/idp');
$t->apply(docs(doc('Issuer', 'acme', 'one', { issuer => $ISS,
    application => 'agents', audiences => ['mcp-acme'],
    jwks_url => "$ISS/protocol/openid-connect/certs",
    claims => { roles => '/realm_access/roles' } })));
wait_until { ($t->must(GET => '/v1/tenants/acme/issuers/one')->{keys}{state}
             // '') eq 'ok' } 30 or $t->give_up('no keys');
$t->sync;
way(' (resource-indicators)', ['ts2', 'alice', 'm__one m__two'],
    ['py', 'bob', 'm__one']);

$t->kill9('indicators');
$t->done;
