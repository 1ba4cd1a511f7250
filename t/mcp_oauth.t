#!/usr/bin/perl

# A2: the whole way of an MCP client that knows a URL and nothing else, with
# unmodified SDKs: 401, metadata, registration, code with PKCE and resource,
# token, call.  The authorization server is a strict little stand-in of our
# own, which takes what the specification asks of a client and nothing else.

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256);
use MIME::Base64 qw(encode_base64url);
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::MCP;
use Test::Stoa::Token;

my $t = Test::Stoa->new->has('module', 'control', 'openssl', 'node',
                             'python');
$t->control;
my $mcp = $t->mcp_origin(name => 'm', tools => { one => sub { 'hi' },
                                                 two => sub { 'ho' } });
my $idp = $t->port('idp');
my $gw = $t->port('gw');
my $ISS = "http://127.0.0.1:$idp/realms/a";
my $URL = "http://127.0.0.1:$gw";
my $key = token_key($t, 'k', 'ES256');
my $kept = $t->dir('idp.json');
my $done = $t->dir('done');
spew($kept, '{}');
spew($done, '');

sub form { my %f = map { my ($k, $v) = split /=/, $_, 2;
    map { tr/+/ /; s/%(..)/chr hex $1/ger } $k, $v // '' }
    split /&/, $_[0] // ''; return \%f }
sub reply { my ($status, $json) = @_;
    return [$status, ['Content-Type' => 'application/json',
                      'Cache-Control' => 'no-store'], json_encode($json)] }
sub bad { my ($why) = @_;
    open my $f, '>>', $done; print $f "bad: $why\n";
    return reply(400, { error => 'invalid_request',
                        error_description => $why }) }
sub did { open my $f, '>>', $done; print $f "$_[0]\n" }

# Takes exactly what the specification asks of a client, and says what not.

sub stand_in {
    my ($q) = @_;
    my ($path, $query) = split /\?/, $q->{target} // $q->{path}, 2;
    $query //= $q->{query};
    my $kept_now = json_decode(slurp($kept));
    if ($path eq '/.well-known/oauth-authorization-server/realms/a') {
        did('metadata');
        return reply(200, { issuer => $ISS,
            authorization_endpoint => "$ISS/authorize",
            token_endpoint => "$ISS/token",
            registration_endpoint => "$ISS/register",
            jwks_uri => "$ISS/jwks", response_types_supported => ['code'],
            grant_types_supported => ['authorization_code'],
            token_endpoint_auth_methods_supported => ['none'],
            authorization_response_iss_parameter_supported => JSON::PP::true,
            code_challenge_methods_supported => ['S256'] });
    }
    return reply(200, jwks($key)) if $path eq '/realms/a/jwks';
    if ($path eq '/realms/a/register') {
        did('register');
        my $in = json_decode($q->{body}) or return bad('no JSON');
        return bad('redirect_uris') unless @{ $in->{redirect_uris} || [] };
        $kept_now->{client} = { %$in, client_id => 'c-1' };
        spew($kept, json_encode($kept_now));
        return reply(201, $kept_now->{client});
    }
    if ($path eq '/realms/a/authorize') {
        did('authorize');
        my $f = form($query);
        return bad('client') unless ($f->{client_id} // '') eq 'c-1';
        return bad('no code') unless ($f->{response_type} // '') eq 'code';
        return bad('no PKCE') unless ($f->{code_challenge_method} // '')
            eq 'S256' && length($f->{code_challenge} // '') == 43;
        return bad('resource') unless ($f->{resource} // '')
            eq "$URL/mcp/acme";
        return bad('redirect') unless grep { $_ eq $f->{redirect_uri} }
            @{ $kept_now->{client}{redirect_uris} };
        $kept_now->{code} = $f;
        spew($kept, json_encode($kept_now));
        my $iss = $ISS =~ s/([:\/])/sprintf '%%%02X', ord $1/ger;
        return [302, [Location => "$f->{redirect_uri}?code=code-1&"
                      . "state=$f->{state}&iss=$iss"], ''];
    }
    if ($path eq '/realms/a/token') {
        did('token');
        my ($f, $code) = (form($q->{body}), delete $kept_now->{code});
        return bad('a code once') unless $code;
        spew($kept, json_encode($kept_now));
        return bad('grant') unless $f->{grant_type} eq 'authorization_code'
            && $f->{code} eq 'code-1';
        return bad('resource') unless ($f->{resource} // '')
            eq $code->{resource};
        return bad('redirect') unless $f->{redirect_uri}
            eq $code->{redirect_uri};
        return bad('verifier') unless encode_base64url(sha256(
            $f->{code_verifier} // '')) eq $code->{code_challenge};
        return reply(200, { token_type => 'Bearer', expires_in => 300,
            scope => $code->{scope} // '', access_token => token($key,
            claims($ISS, $code->{resource}, azp => 'c-1',
                   scope => $code->{scope} // '')) });
    }
    return reply(404, { error => 'not_found' });
}

$t->origin(\&stand_in, name => 'idp', port => $idp);
$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'agents'),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    sub_('acme', 'agents', 'm', 'free'),
    doc('Policy', 'acme', 'scope', { type => 'require-token',
        config => { scopes => ['tools'] }, attach => [{ tenant => 'acme' }] }),
    doc('Issuer', 'acme', 'idp', { issuer => $ISS, jwks_url => "$ISS/jwks",
                                   application => 'agents' })));
wait_until { ($t->must(GET => '/v1/tenants/acme/issuers/idp')->{keys}{state}
             // '') eq 'ok'
             && @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } } 20 or $t->give_up('no keys, no tools');
$t->gateway(workers => 2, http => "stoa_external_url $URL;");
$t->sync;

my $parts = $Test::Stoa::PARTS;
my %client = (
    ts2 => sub { ['node', "$FindBin::Bin/sdk/oauth_ts2.mjs", @_] },
    py => sub { ["$parts/python/venv/bin/python",
                 "$FindBin::Bin/sdk/oauth_py.py", @_] },
);
for my $name (sort keys %client) {
    spew($kept, '{}');
    spew($done, '');
    my ($code, $out, $err) = $t->run_cmd(
        $client{$name}->("$URL/mcp/acme", 'm__one', '{}'), timeout => 60,
        env => { STOA_NODE_DIR => "$parts/node" });
    my ($line) = $out =~ /^(\{.*\})\s*$/m;
    my $got = json_decode($line // '') || {};
    is(join(' ', @{ $got->{tools} || [] }), 'm__one m__two',
       "$name: found its way") or diag $out, $err, slurp($done);
    is($got->{result}{content}[0]{text}, 'hi', "$name: and called");
    is($got->{resource}, "$URL/mcp/acme", "$name: a token for this endpoint");
    is($got->{scope}, 'tools', "$name: with the scope of the challenge");
    my %did;
    $did{$_}++ for grep { !/^bad/ } split /\n/, slurp($done);
    ok($did{metadata} && $did{register} && $did{authorize} && $did{token},
       "$name: by metadata, registration, code and token");
    unlike(slurp($done), qr/^bad/m, "$name: nothing that is not allowed");
}

$t->done;
