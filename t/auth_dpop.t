#!/usr/bin/perl

# Tokens that are bound to a key (RFC 9449): the proof has to be of this key,
# method, URL, token and time, and is taken once; a bound token is no Bearer's,
# an unbound one not DPoP's; the same of introspected ones and for MCP.

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256 hmac_sha256);
use MIME::Base64 qw(encode_base64url);
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::MCP;
use Test::Stoa::Token;

my $t = Test::Stoa->new->has('module', 'control', 'openssl');
$t->control;
my $ISS = 'https://idp.example/a';
my $URL = 'https://gw.example/edge';
my $ECHO = '/apis/acme/echo';
my $as = token_key($t, 'as', 'ES256');
my %key = map { ($_ => token_key($t, lc $_, $_)) }
    qw(RS256 PS256 ES256 ES384 ES512 EdDSA);
my $mine = $key{ES256};
my $other = token_key($t, 'other', 'ES256');

my %members = (EC => [qw(crv kty x y)], RSA => [qw(e kty n)],
               OKP => [qw(crv kty x)]);
sub bare { my $jwk = $_[0]{jwk};
    return { map { $_ => $jwk->{$_} } @{ $members{ $jwk->{kty} } } } }
sub jkt { my $b = bare(@_);
    return encode_base64url(sha256('{' . join(',', map {
        qq("$_":"$b->{$_}") } sort keys %$b) . '}')) }

# certificates: the gateway's own, two clients', and one of the first one's key
# that is another

sub certificate { my ($name, @key) = @_;
    my $pem = $t->dir("$name.pem");
    my ($code, undef, $err) = $t->run_cmd([qw(openssl req -x509 -nodes -days 2
        -subj), "/CN=$name", @key, '-out', $pem]);
    $code == 0 or die $err;
    my $der = `openssl x509 -in $pem -outform DER`;
    return { pem => $pem, x5t => encode_base64url(sha256($der)) } }
my %cert = map { my @new = (qw(-newkey ec -pkeyopt ec_paramgen_curve:P-256
    -keyout), $t->dir("$_.key")); $_ => certificate($_, @new) }
    qw(gw.example mine other);
$cert{renewed} = certificate('renewed', '-key', $t->dir('mine.key'));

my $to = 'http://127.0.0.1:' . $t->origin(sub {
    [200, ['Content-Type' => 'application/json'],
     json_encode({ headers => $_[0]{headers} })] });
my $idp = 'http://127.0.0.1:' . $t->origin(sub {
    my ($token) = $_[0]{body} =~ /token=([^&]*)/;
    [200, ['Content-Type' => 'application/json'],
     json_encode({ active => JSON::PP::true, aud => 'x', sub => 'u1',
         $token =~ /^bound/ ? (cnf => { jkt => jkt($mine) }) : (),
         $token =~ /^cert/ ? (cnf => { 'x5t#S256' => $cert{mine}{x5t} }) : () })] },
    name => 'idp');
my $mcp = $t->mcp_origin(name => 'm', tools => { one => sub { 'hi' } });

$t->apply(docs(tenant('acme'), tenant('safe'), plan('acme', 'free'),
    plan('safe', 'free'), app('acme', 'demo'), app('safe', 'demo'),
    rest('acme', 'echo', $to),
    rest('acme', 'kept', $to, keep_authorization => JSON::PP::true),
    rest('acme', 'host', $to, host => 'api.example', base_path => '/v1'),
    rest('safe', 'echo', $to),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    (map { sub_('acme', 'demo', $_, 'free') } qw(echo kept host m)),
    sub_('safe', 'demo', 'echo', 'free'),
    doc('Secret', 'acme', 'intro', { value => 's' }),
    doc('Issuer', 'acme', 'idp', { issuer => $ISS, jwks => jwks($as),
        application => 'demo', audiences => ['x'] }),
    doc('Issuer', 'acme', 'asks', { issuer => "$ISS/asks",
        introspection => { url => $idp, client_id => 'gw',
                           client_secret => 'intro' },
        application => 'demo', audiences => ['x'] }),
    doc('Issuer', 'acme', 'second', { issuer => "$ISS/second",
        jwks => jwks($as), application => 'demo', audiences => ['x'] }),
    rest('acme', 'who', $to), sub_('acme', 'demo', 'who', 'free'),
    doc('Policy', 'acme', 'who', { type => 'rate-limit', config => {
        rate => 2, per_ms => 3_600_000, by => ['claim:/org/id', 'api'] },
        attach => [{ api => 'who' }] }),
    doc('Issuer', 'safe', 'idp', { issuer => $ISS, jwks => jwks($as),
        application => 'demo', audiences => ['x'], dpop => 'required' })));
$t->gateway(workers => 2, http => "stoa_external_url $URL;"
    . 'large_client_header_buffers 4 24k;',
    server => 'listen 127.0.0.1:%%PORT_tls%% ssl;'
    . " ssl_certificate $cert{'gw.example'}{pem};"
    . " ssl_certificate_key @{[$t->dir('gw.example.key')]};"
    . ' ssl_verify_client optional_no_ca;');
$t->gateway(name => 'short', http => "stoa_external_url $URL;"
    . 'stoa_dpop_max_age 2s; stoa_dpop_ahead 0;');
$t->gateway(name => 'plain');
my $up = time;
my $api_key = $t->key('acme', 'demo');
$t->sync($_) for qw(gw short plain);
wait_until { time > $up } 5;               # iat is of whole seconds

my $n = 0;
sub bound { my ($key, %c) = @_;
    return token($as, claims($ISS, 'x', cnf => { jkt => jkt($key) }, %c)) }
my $token = bound($mine);

# Claims and members of the header may be given; undef leaves one out.

sub proof {
    my ($key, %o) = @_;
    my %c = (jti => 'p' . ++$n . "-$$", htm => 'GET', htu => "$URL$ECHO/",
             iat => time, ath => encode_base64url(sha256($o{token}
                                                         // $token)),
             %{ $o{claims} || {} });
    delete @c{grep { !defined $c{$_} } keys %c};
    return token($key, $o{raw} // \%c, kid => undef, typ => 'dpop+jwt',
                 jwk => bare($key), %{ $o{header} || {} });
}
sub call {
    my ($proof, %o) = @_;
    my @proofs = ref $proof ? @$proof : defined $proof ? $proof : ();
    return $t->http($o{method} // 'GET', $o{path} // "$ECHO/",
        (map { exists $o{$_} ? ($_ => $o{$_}) : () } qw(gateway host)),
        headers => { Authorization => ($o{scheme} // 'DPoP') . ' '
                         . ($o{token} // $token),
                     map { ($_ ? 'dpop' : 'DPoP', $proofs[$_]) }
                         0 .. $#proofs });
}
sub code { my ($r) = @_;
    return $r->{status} == 200 ? 200 : "$r->{status} $r->{json}{code}" }
sub is_code { my ($r, $want, $what) = @_;
    is(code($r), $want, $what) or diag json_encode($r->{json}) }


# keys

for my $alg (sort keys %key) {
    my $own = bound($key{$alg});
    is_code(call(proof($key{$alg}, token => $own), token => $own), 200, $alg);
}
my $r = call(proof($mine));
is_code($r, 200, 'a token that is known, too');
is($r->{json}{headers}{dpop}, undef, 'the upstream does not get the proof');
is($r->{json}{headers}{authorization}, undef, 'nor the token');
$r = call(proof($mine, claims => { htu => "$URL/apis/acme/kept/" }),
          path => '/apis/acme/kept/');
is($r->{json}{headers}{authorization}, "DPoP $token",
   'but where the api keeps it');
is($r->{json}{headers}{dpop}, undef, 'without the proof');
$r = call(proof($mine), scheme => 'dpop');
is_code($r, 200, 'the scheme in other letters');


# what is refused

my $HS = do {
    my $text = join '.', part({ alg => 'HS256', typ => 'dpop+jwt',
                                jwk => bare($mine) }), part({ a => 1 });
    "$text." . encode_base64url(hmac_sha256($text, 'k'));
};
my $twice = proof($mine);
is_code(call($twice), 200, 'a proof');
for my $case (
    ['shown again', $twice],
    ['no proof', undef],
    ['two proofs', [proof($mine), proof($mine)]],
    ['another key', proof($other)],
    ['another key under the name of ours', proof($other, header => {
        jwk => bare($mine) })],
    ['no key', proof($mine, header => { jwk => undef })],
    ['a private key', proof($mine, header => { jwk => { %{ bare($mine) },
        d => 'AAAA' } })],
    ['a symmetric key', proof($mine, header => { jwk => { kty => 'oct',
        k => 'AAAA' } })],
    ['another typ', proof($mine, header => { typ => 'JWT' })],
    ['no typ', proof($mine, header => { typ => undef })],
    ['none', proof($mine, header => { alg => 'none' })],
    ['HS256', $HS],
    ['an algorithm of another key', proof($mine, header => {
        alg => 'ES384' })],
    ['crit', proof($mine, header => { crit => ['x'] })],
    ['a token as the proof', $token],
    ['no JWT', 'x'],
    (map { [($$_[1] // "no") . " as $$_[0]",
            proof($mine, claims => { $$_[0] => $$_[1] })] }
        [htm => undef], [htm => 'get'], [htm => 'POST'], [htm => ['GET']],
        [htu => undef], [htu => "http://gw.example/edge$ECHO/"],
        [htu => "https://evil.example/edge$ECHO/"],
        [htu => "https://gw.example$ECHO/"], [htu => "$URL$ECHO"],
        [htu => "$ECHO/"], [htu => "https://u\@gw.example/edge$ECHO/"],
        [htu => "https://gw.example:444/edge$ECHO/"],
        [htu => "$URL$ECHO/%zz"],
        [iat => undef], [iat => time - 62], [iat => time + 30],
        [iat => '' . time], [iat => -1],
        [ath => undef], [ath => encode_base64url(sha256('x'))],
        [jti => undef], [jti => ''], [jti => 'x' x 300], [jti => 'x' x 10_000],
        [jti => 7]),
) {
    my ($what, $proof) = @$case;
    is_code(call($proof), '401 proof_invalid', $what);
}
is_code(call(proof($mine, claims => { iat => time - 50 })),
        '401 proof_invalid', 'one from before the gateway began');
is_code(call(proof($mine, claims => { iat => time + 3 })), 200,
        '3 s ahead');
is_code(call(proof($mine, claims => { iat => time + 3 }),
             gateway => 'short'), '401 proof_invalid', 'not allowed');
wait_until { time > $up + 5 } 10;
is_code(call(proof($mine, claims => { iat => $up + 1 })), 200,
        'some seconds ago');
is_code(call(proof($mine, claims => { iat => $up + 1 }),
             gateway => 'short'), '401 proof_invalid', 'too many');
ok(wait_until(sub { code(call(proof($mine), gateway => 'short')) eq 200 }),
   'none');
$r = call(proof($mine), method => 'POST');
is_code($r, '401 proof_invalid', 'a call of another method');


# URLs that are the same

for my $case (["$URL$ECHO/a%2Fb", "$ECHO/a%2Fb"],
              ["$URL$ECHO/a%2fb", "$ECHO/a%2Fb"],
              ["$URL$ECHO/%7Ea", "$ECHO/~a"],
              ["$URL$ECHO/~a", "$ECHO/%7ea"],
              ["$URL$ECHO/x/../y", "$ECHO/y"],
              ["HTTPS://GW.Example:443/edge$ECHO/", "$ECHO/"],
              ["$URL$ECHO/", "$ECHO/?a=1"],
              ["$URL$ECHO/?b=2#c", "$ECHO/?a=1"])
{
    my ($htu, $path) = @$case;
    is_code(call(proof($mine, claims => { htu => $htu }), path => $path), 200,
            "$htu is $path");
}
is_code(call(proof($mine, claims => { htu => "$URL$ECHO/a/b" }),
             path => "$ECHO/a%2Fb"), '401 proof_invalid',
        'an escaped slash is none');
is_code(call(proof($mine, claims => { htu => 'https://api.example/v1/x' }),
             path => '/v1/x', host => 'api.example'), 200,
        "an api's own host");
is_code(call(proof($mine), host => 'gw.other'), 200,
        'whatever the Host says');
my $json = json_encode({ jti => 'php', htm => 'GET', htu => "$URL$ECHO/",
    iat => time, ath => encode_base64url(sha256($token)) });
$json =~ s{/}{\\/}g;
is_code(call(proof($mine, raw => $json)), 200, 'slashes that JSON escapes');
$r = call(proof($mine), gateway => 'plain');
is_code($r, '401 proof_invalid', 'a gateway that knows no URL of its own');
like($r->{json}{detail}, qr/stoa_external_url/, 'says so');


# one proof, many times at once, over both workers

{
    my $p = proof($mine);
    my @pids;
    my $seen = $t->dir('seen');
    for (1 .. 8) {
        my $pid = fork // die;
        if (!$pid) {
            my $r = eval { call($p) };
            open my $f, '>>', $seen;
            print $f code($r), "\n";
            close $f;
            require POSIX;
            POSIX::_exit(0);
        }
        push @pids, $pid;
    }
    waitpid $_, 0 for @pids;
    my @got = split /\n/, slurp($seen);
    is(scalar(grep { $_ eq '200' } @got), 1, 'taken once of eight');
    is(scalar(grep { $_ eq '401 proof_invalid' } @got), 7, 'by all workers');
}


# schemes, and what is told

$r = call(undef, scheme => 'Bearer');
is_code($r, '401 token_invalid', 'a bound token as a Bearer');
like($r->{headers}{'www-authenticate'},
     qr/^DPoP .*algs="RS256 .*error="invalid_token"/, 'needs DPoP');
is_code(call(proof($mine), scheme => 'Bearer'), '401 token_invalid',
        'also with a proof');
$r = call('x');
like($r->{headers}{'www-authenticate'}, qr/^DPoP .*error="invalid_dpop_proof"/,
     'a bad proof');
like($r->{headers}{'www-authenticate'}, qr/resource_metadata="https:/,
     'and where tokens come from');
my $free = token($as, claims($ISS, 'x'));
is_code(call(proof($mine, token => $free), token => $free),
        '401 token_invalid', 'an unbound token by DPoP');
is_code(call(undef, token => $free, scheme => 'Bearer'), 200, 'as a Bearer');
for my $bad (['text', 'x'], ['a list', ['x']], ['too short', 'AAAA']) {
    my $odd = token($as, claims($ISS, 'x', cnf => { jkt => $$bad[1] }));
    is_code(call(undef, token => $odd, scheme => 'Bearer'),
            '401 token_invalid', "bound to $$bad[0]");
}
is_code($t->get("$ECHO/", headers => { Authorization => "DPoP $api_key" }),
        '401 key_invalid', 'a key is not bound');
is($t->get("$ECHO/", key => $api_key, headers => {
       Authorization => 'DPoP x', DPoP => 'y' })->{json}{headers}{dpop}, 'y',
   "beside a key both are the upstream's");
$r = call(undef, path => '/apis/safe/echo/', token => $free,
          scheme => 'Bearer');
is_code($r, '401 token_invalid', 'an issuer whose tokens have to be bound');
like($r->{headers}{'www-authenticate'}, qr/^DPoP /, 'is told');
is_code(call(proof($mine, claims => { htu => "$URL/apis/safe/echo/" }),
             path => '/apis/safe/echo/'), 200, 'a bound one');
$r = $t->get('/apis/safe/echo/');
like($r->{headers}{'www-authenticate'}, qr/^Bearer .*DPoP .*algs=/,
     'nothing shown: both schemes');
my $WELL = '/.well-known/oauth-protected-resource';
$r = $t->get("$WELL$ECHO")->{json};
is($r->{dpop_bound_access_tokens_required}, JSON::PP::false,
   'the metadata: not required');
ok(scalar(grep { $_ eq 'ES256' } @{ $r->{dpop_signing_alg_values_supported} }),
   'and with what');
is($t->get("$WELL/apis/safe/echo")->{json}{dpop_bound_access_tokens_required},
   JSON::PP::true, 'required');


# introspected tokens

for my $c (['bound1', 'DPoP', 200], ['bound1', 'DPoP', 200],
           ['bound1', 'Bearer', '401 token_invalid'],
           ['bound2', 'Bearer', '401 token_invalid'],
           ['free1', 'DPoP', '401 token_invalid'], ['free1', 'Bearer', 200])
{
    my ($opaque, $scheme, $want) = @$c;
    is_code(call(proof($mine, token => $opaque), token => $opaque,
                 scheme => $scheme), $want, "$opaque, asked about, $scheme");
}


# MCP

sub mcp_proof {
    return proof($mine, claims => { htm => 'POST', htu => "$URL/mcp/acme" }) }
sub post { my ($proof, $body, %h) = @_;
    return $t->http('POST', '/mcp/acme', headers => {
        Authorization => "DPoP $token", DPoP => $proof,
        'Content-Type' => 'application/json',
        Accept => 'application/json, text/event-stream', %h },
        body => json_encode($body)) }
sub tools { my ($proof, $version) = @_;
    return post($proof, { jsonrpc => '2.0', id => 1, method => 'initialize',
        params => { capabilities => {},
            protocolVersion => $version // '2025-06-18',
            clientInfo => { name => 'c', version => '1' } } }) }
my $p = mcp_proof();
is(tools($p)->{status}, 200, 'MCP');
$r = tools($p);
is($r->{status}, 401, 'once');
like($r->{headers}{'www-authenticate'}, qr/invalid_dpop_proof/, 'and is told');

$r = tools(mcp_proof(), '2025-03-26');
$r = post(mcp_proof(), [map { { jsonrpc => '2.0', id => $_,
    method => 'ping' } } 1 .. 3], 'Mcp-Session-Id' =>
    $r->{headers}{'mcp-session-id'} // 'none');
is(join(' ', map { ref $_->{result} eq 'HASH' ? 'ok' : json_encode($_) }
    @{ ref $r->{json} eq 'ARRAY' ? $r->{json} : [$r->{json}] }), 'ok ok ok',
   'a batch shows one proof for all its messages');

# tokens that are bound to a certificate (RFC 8705, section 3)

sub tls { my ($with, $bearer, %o) = @_;
    my (undef, $out) = $t->run_cmd(['curl', '-sk', '-o', $t->dir('tls.out'),
        '-w', '%{http_code}', ($with ? ('--cert', $cert{$with}{pem}, '--key',
            $t->dir(($with eq 'renewed' ? 'mine' : $with) . '.key')) : ()),
        '-H', 'Authorization: ' . ($o{scheme} // 'Bearer') . " $bearer",
        @{ $o{more} || [] },
        'https://127.0.0.1:' . $t->port('tls') . ($o{path} // "$ECHO/")]);
    return $out }
my $held = token($as, claims($ISS, 'x', cnf => { 'x5t#S256' =>
    $cert{mine}{x5t} }));
is(tls('mine', $held), 200, 'the certificate that the token is bound to');
is(tls('mine', $held), 200, '... once more');
is(tls('other', $held), 401, 'another one');
is(json_decode(slurp($t->dir('tls.out')))->{code}, 'token_invalid',
   '... is told');
is(tls('renewed', $held), 401, '... of the same key, too');
is(tls(undef, $held), 401, 'none');
is_code(call(undef, scheme => 'Bearer', token => $held), '401 token_invalid',
        'without TLS');
is(tls(undef, $held, more => ['-H', "$_: $cert{mine}{x5t}"]), 401,
   "a header $_ is none") for qw(X-Client-Cert Client-Cert
    X-Forwarded-Client-Cert);
is(tls('mine', $held, scheme => 'DPoP'), 401, 'the scheme of proofs');
is(tls('mine', token($as, claims($ISS, 'x', cnf => { 'x5t#S256' =>
    $cert{mine}{x5t}, jkt => jkt($mine) }))), 401, 'bound to two things');
is(tls('mine', token($as, claims($ISS, 'x', cnf => { 'x5t#S256' => $_ }))),
   401, "no thumbprint: $_") for '', 'x', $cert{mine}{x5t} . 'A';
is(tls('mine', 'cert-opaque'), 200, 'an opaque one, by its issuer');
is(tls('other', 'cert-opaque'), 401, '... with another certificate');
is(tls('mine', token($as, claims($ISS, 'x'))), 200,
   'one that is bound to nothing');

# by a claim: what its issuer says, and nothing that anybody else does

sub org { my ($id, %h) = @_;
    return $t->get('/apis/acme/who/', headers => { %h, Authorization =>
        'Bearer ' . token($as, claims($h{iss} // $ISS, 'x', defined $id
            ? (org => { id => $id }) : ())) })->{status} }
is(join(' ', map { org('one') } 1 .. 3), '200 200 429', 'by a claim');
is(join(' ', map { org('two') } 1 .. 3), '200 200 429', '... another value');
is(join(' ', map { org('one', iss => "$ISS/second") } 1 .. 3), '200 200 429',
   '... that another issuer says: its own');
is(join(' ', map { org(7) } 1 .. 3), '200 200 429', '... a number');
is(join(' ', org(undef), org(undef), org(['a']), org('x' x 256)),
   '200 200 429 429', 'none, a list and a long one share what none has');
is($t->get('/apis/acme/who/', key => $api_key, headers => { Org => 'three' })
   ->{status}, 429, '... with whoever has no token');

like($t->metrics->{stoa_dpop_proofs_total} // '', qr/^[1-9]/, 'counted');
is(scalar(grep { /eyJ/ } $t->log_lines), 0, 'no token or proof in the log');

$t->done;
