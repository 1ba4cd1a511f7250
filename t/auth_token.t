#!/usr/bin/perl

# A3: bearer tokens.  Which signatures, claims and audiences are taken, whose
# application a caller is, what an upstream gets of the token; and that an
# issuer speaks for its own tenant and nobody else.

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(hmac_sha256);
use MIME::Base64 qw(encode_base64url);
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Token;

my $t = Test::Stoa->new->has('module', 'control', 'openssl');
$t->control;
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    [200, ['Content-Type' => 'application/json'],
     json_encode({ headers => $_[0]{headers} })] });
my $URL = 'https://gw.example';
my $ISS = 'https://idp.example/realms/a';
my %key = map { ($_ => token_key($t, lc $_, $_)) }
    qw(RS256 PS384 ES256 ES384 ES512 EdDSA);
my $stranger = token_key($t, 'rs256', 'RS256');       # the same id
$key{RS256} = token_key($t, 'rs256', 'RS256');
my $new = token_key($t, 'new', 'ES256');
my $single = token_key($t, 'single', 'ES256');
my $their = token_key($t, 'their', 'ES256');

sub issuer { my ($tenant, $name, %o) = @_;
             return doc('Issuer', $tenant, $name, { issuer => $ISS, %o }) }
sub mine { return issuer('acme', 'idp', jwks => jwks(values %key, @_),
    audiences => ['orders'], clients => [
        { client => 'agent', application => 'demo' },
        { client => 'lost', application => 'gone' }],
    claims => { roles => '/realm_access/roles' },
    application_names => JSON::PP::true) }

my ($served, $reads) = map { $t->dir($_) } qw(served reads);
my $first = token_key($t, 'first', 'ES256');
my $second = token_key($t, 'second', 'ES256');
spew($served, json_encode(jwks($first)));
spew($reads, '');
my $idp = 'http://127.0.0.1:' . $t->origin(sub {
    open my $f, '>>', $reads;
    print $f time, "\n";
    close $f;
    [200, ['Content-Type' => 'application/json'], slurp($served)] },
    name => 'idp');
$t->apply(docs((map { tenant($_) } qw(many acme beta)), plan('acme', 'free'),
    plan('beta', 'free'), plan('acme', 'two', rate => 2, per_ms => 3600000,
                               limit_by => 'credential'),
    (map { app('acme', $_) } qw(demo gone web)), app('beta', 'demo'),
    rest('acme', 'echo', $to, identity => 'headers'),
    rest('acme', 'kept', $to, keep_authorization => JSON::PP::true),
    rest('acme', 'own', $to, base_path => '/own'),
    rest('acme', 'host', $to, host => 'api.example', base_path => '/v1'),
    rest('acme', 'few', $to),
    rest('acme', 'open', $to, audience => 'public'),
    rest('beta', 'theirs', $to),
    (map { sub_('acme', 'demo', $_, 'free') } qw(echo kept own host open)),
    sub_('acme', 'demo', 'few', 'two'), sub_('acme', 'web', 'echo', 'free'),
    sub_('acme', 'gone', 'echo', 'free'),
    sub_('beta', 'demo', 'theirs', 'free'),
    sub_('beta', 'demo', 'open', 'free', target_tenant => 'acme'),
    issuer('acme', 'turns', issuer => "$ISS/turns", jwks_url => "$idp/jwks",
           application => 'demo', audiences => ['orders']),
    mine(), issuer('acme', 'one', issuer => "$ISS/single",
        jwks => jwks($single), application => 'demo',
        audiences => ['orders'],
        scopes => [{ scope => 'all', covers => ['read', 'w:*'] }]),
    issuer('beta', 'evil', jwks => jwks($their), application => 'demo',
           audiences => ['orders']),
    issuer('beta', 'shared', issuer => "$ISS/shared", jwks => jwks($single),
           audiences => ['orders'], application => 'demo',
           claims => { tenant => 'org' }),
    issuer('acme', 'shared', issuer => "$ISS/shared", jwks => jwks($single),
           audiences => ['orders'], application => 'demo',
           claims => { tenant => 'org' }),
    (map { issuer($_, 'both', issuer => "$ISS/both", jwks => jwks($single),
                 audiences => ['orders'], application => 'demo') }
        qw(acme beta)),
    app('many', 'demo'), (map { issuer('many', "i$_", issuer => "$ISS/crowd",
        jwks => jwks($their), application => 'demo') } 1 .. 8),
    issuer('beta', 'crowd', issuer => "$ISS/crowd", jwks => jwks($single),
           application => 'demo', audiences => ['orders'])));
$t->gateway(workers => 2, http => "stoa_external_url $URL;"
    . 'large_client_header_buffers 4 16k;');
my $api_key = $t->key('acme', 'demo');
$t->sync;

sub call { my ($token, %o) = @_;
    my $headers = $o{headers} || {};
    return $t->get($o{path} // '/apis/acme/echo/', headers => { %$headers,
        defined $token ? (Authorization => "Bearer $token") : () }) }
sub code { my $r = call(@_);
           return $r->{status} == 200 ? 200
                  : "$r->{status} " . ($r->{json}{code} // '') }
sub good { return claims($ISS, 'orders', @_) }
sub say_ { my ($token, $want, $what, %o) = @_;
    my $got = code($token, %o);
    is($got, $want, $what) or diag json_encode(call($token, %o)->{json});
}


# signatures

say_(token($key{$_}, good()), 200, $_) for sort keys %key;
for my $alg (qw(RS384 RS512 PS256 PS384 PS512)) {
    my $any = { %{ $key{RS256} }, alg => $alg };
    say_(token($any, good()), '401 token_invalid',
         "$alg by a key that says it is RS256");
}
my $rs = token($key{RS256}, good());
say_(token($stranger, good()), '401 token_invalid',
     "a stranger's key of the same id");
say_(token($key{RS256}, good(), kid => undef), 200,
     'no key id, where one key fits');
say_(token($key{ES256}, good(), kid => 'rs256'), '401 token_invalid',
     'the id of a key of another type');
say_(token($new, good()), '401 token_invalid', 'a key that is not there');
say_(join('.', part({ alg => 'none', kid => 'rs256' }), part(good()), ''),
     '401 token_invalid', 'none');
say_(join('.', part({ alg => 'none', kid => 'rs256' }), part(good()), 'AAAA'),
     '401 token_invalid', 'none, with a signature');
my $public = `openssl pkey -in $key{RS256}{pem} -pubout`;
my $hs = join '.', part({ alg => 'HS256', kid => 'rs256' }), part(good());
say_("$hs." . encode_base64url(hmac_sha256($hs, $public)),
     '401 token_invalid', 'HS256 with the public key');
for my $case (['crit', crit => ['x']], ['jku', jku => 'https://x/'],
              ['x5u', x5u => 'https://x/'], ['b64', b64 => JSON::PP::false],
              ['a path as the key id', kid => '../../etc/passwd'],
              ['a list as the key id', kid => ['rs256']],
              ['a key id with a NUL', kid => "rs256\0"], ['a key inside',
               jwk => $stranger->{jwk}], ['another typ', typ => 'logout+jwt'])
{
    my ($what, %h) = @$case;
    say_(token($key{RS256}, good(), %h), '401 token_invalid', $what);
}
my ($head, $body, $sig) = split /\./, $rs;
my $twice = part('{"alg":"RS256","alg":"RS256","kid":"rs256"}') . ".$body";
say_("$twice." . encode_base64url(sign($key{RS256}, $twice)),
     '401 token_invalid', 'a member twice in the header');
my $json = json_encode(good());
$json =~ s/^\{/{"aud":"orders",/;
$twice = "$head." . part($json);
say_("$twice." . encode_base64url(sign($key{RS256}, $twice)),
     '401 token_invalid', 'a member twice in the claims');
say_("$head." . part(good(azp => 'web')) . ".$sig", '401 token_invalid',
     'other claims under the signature');
say_("$head.$body", '401 key_invalid', 'two parts are no token');
say_("$rs.x", '401 key_invalid', 'nor are four');
say_("$head.$body." . substr($sig, 0, -4), '401 token_invalid',
     'a signature cut');
say_("$rs=", '401 token_invalid', 'padding');
say_(token($key{RS256}, good(x => 'y' x 6000)), '401 token_invalid',
     'over 8 KiB');
say_($rs, 200, 'the good one is still good');


# claims

for my $case (
    ['expired', '401 token_expired', exp => time - 40],
    ['expired, within the leeway', 200, exp => time - 10],
    ['no exp', '401 token_invalid', exp => undef],
    ['exp as text', '401 token_invalid', exp => '' . (time + 100)],
    ['not yet', '401 token_invalid', nbf => time + 60],
    ['not yet, within the leeway', 200, nbf => time + 10],
    ['another audience', '401 token_invalid', aud => 'other'],
    ['no audience', '401 token_invalid', aud => undef],
    ['one of its audiences', 200, aud => ['x', 'orders']],
    ['the URL of the api', 200, aud => "$URL/apis/acme/echo"],
    ['with a slash at its end', '401 token_invalid',
     aud => "$URL/apis/acme/echo/"],
    ['the URL of another', '401 token_invalid', aud => "$URL/apis/acme/own"],
    ['the URL of the gateway', '401 token_invalid', aud => $URL],
    ['another issuer', '401 token_invalid', iss => "$ISS/"],
    ['no issuer', '401 token_invalid', iss => undef],
    ['an issuer of two', '401 token_invalid', iss => [$ISS]],
    ['an unknown client', '401 token_invalid', azp => 'nobody'],
    ['no client', '401 token_invalid', azp => undef],
    ['client_id in place of azp', 200, azp => undef, client_id => 'agent'],
    ['a client with the name of an application', 200, azp => 'web'],
    ['no subject', 200, sub => undef],
) {
    my ($what, $want, %c) = @$case;
    say_(token($key{RS256}, good(%c)), $want, $what);
}
say_(token($key{RS256}, good(aud => "$URL/own")), 200,
     'the URL of a base path', path => '/own/x');
say_(token($key{RS256}, good(aud => "$URL/own")), '401 token_invalid',
     'under the other name of the api', path => '/apis/acme/own/x');
my $r = $t->get('/v1/x', host => 'api.example', headers => {
    Authorization => 'Bearer '
        . token($key{RS256}, good(aud => 'https://api.example/v1')) });
is($r->{status}, 200, "the URL of an api's own host");
like(call(token($key{RS256}, good(aud => 'x')))->{json}{detail},
     qr/audience/, 'the reason is told');


# whose caller

$r = call($rs)->{json}{headers};
is($r->{'x-stoa-application'}, 'demo', 'a client is an application');
is($r->{authorization}, undef, 'the upstream does not get the token');
is($r->{'x-stoa-subject'}, 'user-1', 'it gets the subject');
is(call($rs, path => '/apis/acme/kept/')->{json}{headers}{authorization},
   "Bearer $rs", 'but where the api keeps it');
is(call(token($key{RS256}, good(azp => 'web')))->{json}{headers}
   {'x-stoa-application'}, 'web', 'another client is another one');
is($t->get('/apis/acme/echo/', key => $api_key, headers => {
       Authorization => 'Bearer not.a.token' })->{json}{headers}
   {authorization}, 'Bearer not.a.token',
   'beside a key it is the upstream\'s');
say_($rs, '401 key_invalid', 'beside a bad key it is not looked at',
     headers => { 'X-API-Key' => 'stoa_live_bad' });
say_($rs, 200, 'beside a key of another kind it is',
     headers => { 'X-API-Key' => 'of-the-upstream' });
say_($rs, '404 no_route', 'an api that its tenant may not see',
     path => '/apis/beta/theirs/');

my ($one, $two) = map { token($key{RS256}, good(sub => $_)) } 'u1', 'u2';
is(join(' ', map { call($_, path => '/apis/acme/few/')->{status} }
        $one, $one, $one, $two), '200 200 429 200',
   'a plan by credential counts each subject');
my ($c1, $c2) = map { token($key{RS256}, good(sub => undef, azp => $_)) }
    'agent', 'demo';
is(join(' ', map { call($_, path => '/apis/acme/few/')->{status} }
        $c1, $c1, $c1, $c2), '200 200 429 200',
   'and each client, where there is none');


# another tenant's issuer of the same name

say_(token($their, good()), '404 no_route',
     'speaks for its own applications, which are none of these here');
is(call(token($their, good()), path => '/apis/beta/theirs/')->{status}, 200,
   'there it does');
is(call(token($their, good(azp => 'agent')), path => '/apis/acme/open/')
   ->{status}, 200, 'in a public api as itself');
say_(token($single, good(iss => "$ISS/shared", org => 'acme')), 200,
     'one issuer of two tenants says which');
say_(token($single, good(iss => "$ISS/shared", org => 'beta')),
     '404 no_route', 'the other one is another caller');
say_(token($single, good(iss => "$ISS/shared", org => ['x'])),
     '401 token_invalid', 'of a third it says nothing');
say_(token($single, good(iss => "$ISS/shared")), '401 token_invalid',
     'nor without the claim');
is(call(token($single, good(iss => "$ISS/crowd")), path => '/apis/acme/open/')
   ->{status}, 200, 'however many a third tenant has of it');
my $both = token($single, good(iss => "$ISS/both"));
for (1, 2) {
    say_($both, 200, 'one that does not: each tenant\'s');
    say_($both, 200, 'whichever came first', path => '/apis/beta/theirs/');
}


# what is revoked counts at once, for a verdict that is known, too

sub changed { my ($what, $want) = @_;
    wait_until { code($rs) eq $want } 5; say_($rs, $want, $what) }
my $base = '/v1/tenants/acme';
my ($sub) = grep { ($_->{api} // '') eq 'echo' && $_->{application} eq 'demo' }
    @{ $t->must(GET => "$base/subscriptions?limit=100")->{items} };
$t->must(POST => "$base/subscriptions/$sub->{id}/suspend");
changed('a suspended subscription', '403 subscription_suspended');
$t->must(POST => "$base/subscriptions/$sub->{id}/resume");
changed('goes on', 200);
$t->must(POST => "$base/applications/demo/suspend");
changed('a suspended application', '403 application_suspended');
$t->must(POST => "$base/applications/demo/resume");
changed('goes on', 200);
$t->must(POST => "$base/issuers/idp/suspend");
changed('a suspended issuer', '401 token_invalid');
$t->must(POST => "$base/issuers/idp/resume");
changed('goes on', 200);

$key{RS256} = $new;                        # the old one is gone
$t->apply(docs(mine()));
changed('a key that was taken away', '401 token_invalid');
say_(token($new, good()), 200, 'the new one');


# an issuer that changes its key: a call with the new one has the set read
# again, however many there are; the old one ends with that

sub turns { return token($_[0], good(iss => "$ISS/turns"), @_[1 .. $#_]) }
my ($old, $next) = (turns($first), turns($second));
wait_until { slurp($reads) =~ /\n/ } 20;       # after a first try that failed
my @reads = split /\n/, slurp($reads);
is(scalar @reads, 1, 'the keys were read once');
say_($old, 200, 'the key of before');
spew($served, json_encode(jwks($second)));
$r = call($next);
is("$r->{status} $r->{json}{code}", '401 token_invalid',
   'a key that is not known yet');
like($r->{json}{detail}, qr/No key of its issuer fits/, 'is told as that');
wait_until { code(turns($second, kid => "x$_")) for 1 .. 20;
             code($next) eq '200' } 30;
say_($next, 200, 'and is known soon');
@reads = split /\n/, slurp($reads);
cmp_ok(scalar @reads, '<=', 2 + int((time - $reads[1]) / 9),
       'by one reading, for hundreds of calls');
cmp_ok($reads[1] - $reads[0], '>=', 9, 'ten seconds after the last');
say_($old, '401 token_invalid', 'the old key has ended, verdict or not');

like($t->metrics->{stoa_tokens_known_total} // '', qr/^[1-9]/,
     'verdicts are kept');
is(scalar(grep { /eyJ/ } $t->log_lines), 0, 'no token in the log');

$t->done;
