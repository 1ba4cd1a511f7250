#!/usr/bin/perl

# require-signature: calls that are signed by RFC 9421 with a key of their
# application, bodies by RFC 9530, also by a library of others; what is not
# covered, changed, old or shown before is refused, and says which rule.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Digest::SHA qw(sha256_base64 sha512_base64 hmac_sha256);
use MIME::Base64 qw(encode_base64);
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has(qw(module control openssl signatures));
$t->control;
my $PYTHON = "$Test::Stoa::Base::PARTS/signatures/venv/bin/python";

my %pem;
for ([ed => qw(-algorithm ed25519)],
     [ec => qw(-algorithm EC -pkeyopt ec_paramgen_curve:P-256)],
     [p384 => qw(-algorithm EC -pkeyopt ec_paramgen_curve:P-384)],
     [k256 => qw(-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1)],
     [rsa => qw(-algorithm RSA -pkeyopt rsa_keygen_bits:2048)])
{
    my ($name, @how) = @$_;
    my $file = $t->dir("$name.pem");
    $t->run_cmd(['openssl', 'genpkey', @how, '-out', $file]);
    $pem{$name} = { private => slurp($file),
                    public => scalar `openssl pkey -in $file -pubout` };
}

my $to = 'http://127.0.0.1:' . $t->origin(sub {
    return [200, ['Content-Type' => 'application/json'],
            json_encode({ got => $_[0]{body} // '' })] });
my $mcp = $t->mcp_origin(name => 'm', tools => { one => sub { 'hi' } });
my %secret = (one => 'a secret of 32 bytes, or of more',
              two => 'another secret of 32 bytes, here');
sub policy { my ($name, $api, %config) = @_;
    return doc('Policy', 'acme', $name, { type => 'require-signature',
        config => { secrets => [map { { keyid => $_, application => 'demo',
            secret => "\${secret:$_}" } } qw(one two)],
            keys => [map { { keyid => $_, application => 'demo',
                public_key => $pem{$_}{public} } } qw(ed ec)], %config },
        attach => [{ api => $api }] }) }
$t->apply(docs(tenant('acme'), plan('acme', 'free', rate => 0),
    (map { app('acme', $_) } qw(demo other)),
    (map { doc('Secret', 'acme', $_, { value => $secret{$_} }) } qw(one two)),
    (map { my $n = $_; (rest('acme', $n, $to,
                             $n eq 'query' ? (key_query => 'k') : ()),
        map { sub_('acme', $_, $n, 'free') } qw(demo other)) }
        qw(signed strict masked query)),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    sub_('acme', 'demo', 'm', 'free'),
    policy('signed', 'signed', max_bytes => 4096), policy('m', 'm'),
    policy('x-signed', 'masked'), policy('query', 'query'),
    (map { my $at = $_; doc('Policy', 'acme', "mask-$at", {
        type => 'guardrail', config => { action => 'mask',
            kinds => [$at eq 'tenant' ? 'mail' : 'phone'] },
        attach => [{ $at => $at eq 'tenant' ? 'acme' : 'masked' }] }) }
        qw(tenant api)),
    policy('strict', 'strict', nonce => JSON::PP::true(),
           components => ['x-room', '@authority'])));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } == 1 } 20 or $t->give_up('no tools');
$t->gateway(workers => 2);
my $up = time;
my %key = map { $_ => $t->key('acme', $_) } qw(demo other);
$t->sync;
wait_until { time > $up } 5;               # created is of whole seconds

my $host = '127.0.0.1:' . $t->port('gw');
my $n = 0;

# Signs what it is given; `sent` changes it after that.

sub sign {
    my (%o) = @_;
    my $body = $o{body};
    my $path = $o{path} // '/apis/acme/signed/x?b=2&a=%7E1';
    my %h = (%{ $o{headers} || {} }, defined $body && !$o{bare}
             ? ('Content-Digest' => $o{digest} // 'sha-256=:'
                . sha256_base64($body) . '=:') : ());
    my ($p, $q) = $path =~ /^([^?]*)(\?.*)?$/;
    my %of = ('@method' => $o{method} // (defined $body ? 'POST' : 'GET'),
        '@target-uri' => "http://$host$path", '@authority' => $host,
        '@path' => $p, '@query' => $q // '?', '@scheme' => 'http',
        '@request-target' => $path, map { lc $_ => $h{$_} } keys %h);
    my @covers = @{ $o{covers} || ['@method', '@target-uri',
        defined $body && !$o{bare} ? 'content-digest' : ()] };
    my $params = $o{params} // '(' . join(' ', map { qq("$_") } @covers) . ')'
        . join('', map { ";$_" } grep { length }
            exists $o{created} ? $o{created} : 'created=' . time,
            'keyid="' . ($o{keyid} // 'one') . '"',
            $o{nonce} // 'nonce="n' . ++$n . '"', $o{more} // '');
    my $base = join '', map { qq("$_": ) . ($o{value}{$_} // $of{$_} // '')
                              . "\n" } @covers;
    my $mac = encode_base64(hmac_sha256($base . qq("\@signature-params": )
        . $params, $o{secret} // $secret{one}), '');
    return { method => $of{'@method'}, path => $path, body => $body,
        headers => { %h, 'Signature-Input' => 'sig=' . $params,
                     Signature => "sig=:$mac:", %{ $o{add} || {} } } };
}
sub send_it {
    my ($s, %o) = @_;
    $o{sent}->($s) if $o{sent};
    return $t->http($s->{method}, $s->{path}, key => $key{$o{who} // 'demo'},
        headers => $s->{headers},
        defined $s->{body} ? (body => $s->{body}) : ());
}
sub call { my (%o) = @_; return send_it(sign(%o), %o) }
sub good { my ($what, %o) = @_;
    my $r = call(%o);
    is($r->{status}, 200, $what) or diag $r->{body} }
sub bad { my ($what, $why, %o) = @_;
    my $r = call(%o);
    is("$r->{status} " . ($r->{json}{code} // ''), '401 signature_invalid',
       $what);
    like($r->{json}{detail} // '', $why, '... says why') }

good('a GET');
good('a POST', body => 'hello');
good('an empty body', body => '');
good('a body by sha-512', body => 'hello',
     digest => 'sha-512=:' . sha512_base64('hello') . '==:');
good('by both, and one that is not known', body => 'hi', digest =>
     'sha-512=:' . sha512_base64('hi') . '==:, md5=:AAAA:, sha-256=:'
     . sha256_base64('hi') . '=:');
good('the parts of the URL', covers => ['@method', '@authority', '@path',
                                        '@query']);
good('without a query', path => '/apis/acme/signed/x', covers => ['@method',
    '@authority', '@path', '@query', '@scheme', '@request-target']);
good('headers in other letters, with blanks', covers => ['@method',
    '@target-uri', 'x-a'], headers => { 'X-A' => 'two  words' },
    sent => sub { $_[0]{headers}{'X-A'} = "  two  words \t" });
good('another key of the application', keyid => 'two',
     secret => $secret{two});
good('an algorithm that is the key\'s', more => 'alg="hmac-sha256"');
good('an end that has not come', more => 'expires=' . (time + 60));
good('a clock that is ahead', created => 'created=' . (time + 20));

my $calls = () = $t->origin_log;
my $r = $t->get('/apis/acme/signed/x', key => $key{demo});
is("$r->{status} $r->{json}{code}", '401 signature_invalid', 'none');
like($r->{json}{detail}, qr/one header Signature-Input/, '... says why');
bad('another secret', qr/^The signature is wrong/, secret => $secret{two});
bad("another application's", qr/none of the application's/, who => 'other');
bad('a key that nobody has', qr/none of the application's/, keyid => 'x');
bad('an algorithm of another key', qr/algorithm/, more => 'alg="ed25519"');
bad('a body that was changed', qr/not that of the header/, body => 'hello',
    sent => sub { $_[0]{body} = 'hellO' });
bad('one that was added', qr/not cover content-digest/,
    sent => sub { $_[0]{body} = 'x'; $_[0]{method} = 'GET' });
bad('one that is not covered', qr/not cover content-digest/, body => 'x',
    covers => ['@method', '@target-uri']);
bad('a digest that was changed', qr/^The signature is wrong/, body => 'hello',
    sent => sub { $_[0]{headers}{'Content-Digest'} =
                  'sha-256=:' . sha256_base64('x') . '=:' });
bad('one that is wrong', qr/not that of the header/, body => 'x', digest =>
    'sha-256=:' . sha256_base64('y') . '=:');
bad('one of two', qr/not that of the header/, body => 'x', digest =>
    'sha-512=:' . sha512_base64('y') . '==:, sha-256=:' . sha256_base64('x')
    . '=:');
bad('one of another sort', qr/neither sha-256/, body => 'x',
    digest => 'md5=:AAAA:');
bad('one that is none', qr/not well formed/, body => 'x',
    digest => "sha-256=$_") for ':AAA:', 'AAAA', ':AAAA';
bad('another method', qr/^The signature is wrong/,
    sent => sub { $_[0]{method} = 'DELETE' });
bad("another query: $_", qr/^The signature is wrong/,
    sent => do { my $q = $_; sub { $_[0]{path} = "/apis/acme/signed/x$q" } })
    for '?a=%7E1&b=2', '?b=2&a=~1', '?b=2&a=%7e1', '', '?';
for (['good', 'evil', 401], ['evil', 'good', 200]) {
    my $s = sign();
    my $c = $t->connection;
    my %at = (good => $host, evil => 'evil.example');
    $r = $c->request('GET', "http://$at{$_->[1]}$s->{path}", headers => {
        %{ $s->{headers} }, 'X-API-Key' => $key{demo},
        Host => $at{$_->[0]} });
    is($r->{status}, $_->[2], "a URL of the $_->[1] host, a header Host of "
        . "the $_->[0] one") or diag $r->{body};
}
bad('a header that was changed', qr/^The signature is wrong/,
    covers => ['@method', '@target-uri', 'x-a'], headers => { 'X-A' => 1 },
    sent => sub { $_[0]{headers}{'X-A'} = 2 });
bad('one that is gone', qr/does not have: x-a/,
    covers => ['@method', '@target-uri', 'x-a'], headers => { 'X-A' => 1 },
    sent => sub { delete $_[0]{headers}{'X-A'} });
bad('what is not covered: the method', qr/not cover \@method/,
    covers => ['@target-uri']);
bad('the URL', qr/not cover \@target-uri/,
    covers => ['@method', '@path', '@query']);
bad('what nobody knows', qr/not known here: \@status/,
    covers => ['@method', '@target-uri', '@status']);
bad('too old', qr/too old/, created => 'created=' . (time - 301));
bad('not yet', qr/has not come/, created => 'created=' . (time + 60));
bad('of no time', qr/when it was made/, created => '');
bad('past its end', qr/past its end/, more => 'expires=' . (time - 1));
my $s = sign();
is(send_it($s)->{status}, 200, 'once');
$r = send_it($s);
is($r->{status}, 401, '... and not twice');
like($r->{json}{detail}, qr/shown before/, '... says why');
$s = sign(nonce => '', more => 'tag="once"');
is(join(' ', map { send_it($s)->{status} } 1 .. 2), '200 401',
   '... also without a nonce');
bad("no form of Signature-Input: $_", qr/./, params => $_)
    for '', '()', '("@method"  "@target-uri");keyid="one"', '("@method"',
        '("@method" "@method");keyid="one"', '("@method";sf);keyid="one"',
        '("@method");keyid="one";keyid="one"', '("@method");keyid=one',
        '("@method"); keyid="one"', '("@method");x=1;keyid="one"',
        '("@METHOD");keyid="one"', '("@method");created=-1;keyid="one"',
        '("@method");created="1";keyid="one"', '("@method");keyid="o\\"ne"',
        '(' . join(' ', map { qq("a$_") } 1 .. 33) . ');keyid="one"';
bad("no form of Signature: $_", qr/./, add => { Signature => $_ })
    for '', 'sig=x', 'sig=:====:', 'other=:AAAA:', 'sig=:AAAA:, sig=:AAAA:',
        'sig=:' . 'A' x 400 . ':';
is(scalar(() = $t->origin_log), $calls + 3, 'nothing of it is sent on');
is(call(body => 'x' x 4097)->{status}, 413, 'a body that is too long');

# what a policy wants besides

my @strict = (path => '/apis/acme/strict/');
my @all = (covers => ['@method', '@target-uri', '@authority', 'x-room'],
           headers => { 'X-Room' => 'r' });
good('what a policy wants besides', @strict, @all);
bad('... that is missing', qr/not cover x-room/, @strict,
    covers => ['@method', '@target-uri', '@authority']);
bad('... and a nonce', qr/nonce/, @strict, @all, nonce => '');

# what is masked was signed as it came

my $masked = call(path => '/apis/acme/masked/', body =>
    '{"a":"ann@example.com","b":"+49 30 901820"}',
    headers => { 'Content-Type' => 'application/json' });
is($masked->{status}, 200, 'a body that is masked, by the digest of what came')
    or diag $masked->{body};
unlike($masked->{json}{got}, qr/ann\@|901820/, '... and masked');

# the key of the application in the query, which is signed as it was sent

for (["k=$key{demo}", 200], ["a=1&k=$key{demo}&b=%7E", 200],
     ["k=$key{demo}&k=$key{demo}", 200],
     ["a=*&k=$key{demo}", 401, "a=1&k=$key{demo}"])
{
    my $s = sign(path => '/apis/acme/query/?' . ($_->[2] // $_->[0]));
    my $r = $t->http('GET', "/apis/acme/query/?$_->[0]",
                     headers => $s->{headers});
    is($r->{status}, $_->[1], 'a key in the query: '
        . ($_->[2] ? 'a part that was changed' : 'signed as it was sent'))
        or diag $r->{body};
}

# by a library of others, each algorithm, on REST and MCP

sub theirs {
    my ($method, $path, $body, $algorithm, $keyid, $key, %h) = @_;
    my $in = $t->dir("sign.$n");
    spew($in, json_encode({ method => $method, url => "http://$host$path",
        headers => { Host => $host, %h }, body => $body,
        algorithm => $algorithm, keyid => $keyid, key => $key,
        nonce => 'p' . ++$n, covers => ['@method', '@authority',
            '@target-uri', defined $body ? 'content-digest' : ()] }) . "\n");
    my $out = `$PYTHON $FindBin::Bin/../sdk/sign.py < $in`;
    return $out ? json_decode($out) : {};
}
for (['HMAC_SHA256', 'one', $secret{one}], ['ED25519', 'ed',
     $pem{ed}{private}], ['ECDSA_P256_SHA256', 'ec', $pem{ec}{private}])
{
    my @how = @$_;
    for my $body (undef, '{"a":[1,2]}') {
        my $path = '/apis/acme/signed/y?z=%20&q=a+b';
        my $method = defined $body ? 'POST' : 'GET';
        my $h = theirs($method, $path, $body, @how);
        my $r = $t->http($method, $path, key => $key{demo}, headers => $h,
                         defined $body ? (body => $body) : ());
        is($r->{status}, 200, "$how[0] of a library: $method")
            or diag $r->{body};
        $r = $t->http($method, "$path&x", key => $key{demo}, headers => $h,
                      defined $body ? (body => $body) : ());
        is($r->{status}, 401, '... of another URL');
    }
    my (%h, $r);
    $r = $t->mcp('/mcp/acme', 'tools/call', { name => 'm__one',
        arguments => {} }, key => $key{demo}, headers => \%h, wrap => sub {
            %h = %{ theirs('POST', '/mcp/acme', $_[0], @how) };
            return $_[0] });
    is($r->{rpc}{result}{content}[0]{text}, 'hi', '... of MCP')
        or diag json_encode($r->{rpc});
    $r = $t->mcp('/mcp/acme', 'tools/call', { name => 'm__one',
        arguments => {} }, key => $key{demo}, headers => \%h, wrap => sub {
            %h = %{ theirs('POST', '/mcp/acme', $_[0], @how) };
            return $_[0] =~ s/\{\}/{"a":1}/r });
    is($r->{rpc}{error}{data}{code}, 'signature_invalid',
       '... whose arguments were changed') or diag json_encode($r->{rpc});
}

# a key that is taken away

$t->apply(docs(policy('signed', 'signed', secrets => [{ keyid => 'two',
    application => 'demo', secret => '${secret:two}' }])));
$t->sync;
bad('a key that was taken away', qr/none of the application's/);
good('... the next one', keyid => 'two', secret => $secret{two});

for ([{}, 'nothing'], [{ secrets => [{ keyid => 'a', application => 'b',
     secret => 'written down, which it must not be' }] }, 'no secret'],
     [{ secrets => [{ keyid => 'a', application => 'b', secret =>
     '${secret:one}' }, { keyid => 'b', application => 'b', secret =>
     'written down, which it must not be' }] }, 'a second one'],
     [{ keys => [{ keyid => 'a"', application => 'b',
        public_key => $pem{ed}{public} }] },
      'a keyid'],
     [{ keys => [{ keyid => 'a', application => 'b',
        public_key => $pem{ed}{public} }], components => ['X-A'] },
      'a component'],
     (map { [{ keys => [{ keyid => 'a', application => 'b', public_key =>
        $pem{$_}{public} // $_ }] }, "a key that none signs by: $_",
        qr/public key in PEM, of Ed25519/] } qw(p384 k256 rsa),
        "-----BEGIN PUBLIC KEY-----", $pem{ed}{private}))
{
    $r = $t->api(POST => '/v1/apply?dry_run=1', docs(doc('Policy', 'acme',
        'wrong', { type => 'require-signature', config => $_->[0] })),
        headers => { 'Content-Type' => 'application/yaml' });
    is($r->{status}, 422, "refused: $_->[1]");
    like($r->{body}, $_->[2], '... says why') if $_->[2];
}
unlike($t->api('GET', '/v1/dump?tenant=acme')->{body}, qr/a secret of 32/,
       'no secret in a dump');
like($t->metrics->{stoa_signatures_total} // '', qr/^[1-9]/, 'counted');
is(scalar(grep { /secret of 32/ } $t->log_lines), 0, 'no secret in the log');

$t->done;
