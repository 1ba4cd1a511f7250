#!/usr/bin/perl

# The interface protects itself and who reads it: security headers, pages of
# other origins, rates of callers and addresses, requests that never end.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new;

# -- settings -------------------------------------------------------------

for (['https://a.example/', 'a path'], ['*', 'a pattern'],
     ['https://A.example', 'what no browser sends'], ['null', 'null'])
{
    my ($code, $out, $err) = $t->run_cmd(["$Test::Stoa::OBJS/stoa-control",
        '--listen=127.0.0.1:' . $t->port('nobody'),
        '--database=sqlite:' . $t->dir('no.db'), "--cors-origins=$_->[0]"]);
    ok($code != 0 && "$out$err" =~ /\Q"$_->[0]" is no origin\E/,
       "an origin is not $_->[1]");
}

$t->control(args => ['--rate-caller=2', '--rate-address=50',
    '--request-timeout-s=2', '--cors-origins=https://ui.example,'
    . 'http://localhost:3000', '--cors-credentials=true']);
my $port = $t->port('control');

# -- headers on every answer ----------------------------------------------

my %want = ('x-content-type-options' => 'nosniff', 'x-frame-options' => 'DENY',
    'content-security-policy' => "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy' => 'no-referrer', 'cache-control' => 'no-store',
    'cross-origin-opener-policy' => 'same-origin',
    'vary' => 'Accept-Encoding, Origin');
for (['GET', '/v1/tenants', 200], ['GET', '/v1/nope', 404],
     ['GET', '/v1/tenants/x', 404], ['PUT', '/v1/tenants', 405],
     ['POST', '/v1/tenants', 400], ['GET', '/health/live', 200],
     ['GET', '/v1/tenants?a=%00', 400])
{
    my ($method, $path, $status) = @$_;
    my $r = $t->api($method, $path, undef, $method eq 'POST' ? (headers =>
        { 'Content-Type' => 'application/json' }) : ());
    is($r->{status}, $status, "$method $path");
    is(join(' ', grep { ($r->{headers}{$_} // '') ne $want{$_} } sort
            keys %want), '', '... has what protects who reads it');
    like($r->{headers}{'x-request-id'} // '', qr/^[\w.-]{1,64}$/,
         '... and an id');
}
is($t->api(GET => '/v1/nope', undef, headers => { 'X-Request-Id' => 'a.b-1' })
   ->{headers}{'x-request-id'}, 'a.b-1', 'the id of a request is kept');
isnt($t->api(GET => '/v1/nope', undef, headers => { 'X-Request-Id' => 'a b' })
     ->{headers}{'x-request-id'}, 'a b', '... one that no log should have not');

# -- pages of other origins -----------------------------------------------

my @anon = (token => undef);
sub from {
    my ($origin, $method, $path, %h) = @_;
    return $t->api($method, $path, undef, @anon, headers =>
        { ($origin ? (Origin => $origin) : ()), %h })->{headers};
}
my $h = from('https://ui.example', GET => '/v1/tenants');
is($h->{'access-control-allow-origin'}, 'https://ui.example',
   'a page of the list may read, also a 401');
is($h->{'access-control-allow-credentials'}, 'true', 'with a cookie');
like($h->{'access-control-expose-headers'}, qr/\bETag\b.*\bRetry-After\b/,
     '... and these headers');
for ('https://ui.example:444', 'http://ui.example', 'https://ui.example.evil',
     'https://evil.example', 'null', 'https://ui.exampl', 'HTTPS://UI.EXAMPLE',
     'https://ui.example, https://evil.example')
{
    my $h = from($_, GET => '/v1/tenants');
    is(join(' ', grep { /^access-control/ } keys %$h), '', "not $_");
}
for (['https://ui.example', 'same-site', 401, 'a page of the list logs in'],
     ['https://evil.example', 'same-site', 403, 'no other page'],
     ['https://ui.example', 'cross-site', 403, 'nor by a form'])
{
    my ($origin, $site, $status, $what) = @$_;
    is($t->api(POST => '/v1/session', { name => 'x', password => 'y' }, @anon,
       headers => { Origin => $origin, 'Sec-Fetch-Site' => $site,
                    $status == 403 && $site eq 'cross-site'
                    ? ('Content-Type' => 'text/plain')
                    : ('Stoa-Client' => 'test') })->{status}, $status, $what);
}
is(from(undef, GET => '/v1/tenants')->{'access-control-allow-origin'}, undef,
   'nor who has none');

my $r = $t->api(OPTIONS => '/v1/tenants/x', undef, @anon, headers =>
    { Origin => 'http://localhost:3000',
      'Access-Control-Request-Method' => 'PATCH' });
is($r->{status}, 204, 'a preflight needs no token');
like($r->{headers}{'access-control-allow-methods'}, qr/GET.*PATCH/,
     'it names the methods of the path');
like($r->{headers}{'access-control-allow-headers'},
     qr/Authorization.*If-Match.*Idempotency-Key/, 'and the headers');
$r = $t->api(OPTIONS => '/v1/tenants/x', undef, @anon, headers =>
    { Origin => 'https://evil.example',
      'Access-Control-Request-Method' => 'PATCH' });
is($r->{status}, 405, 'of another page it is refused');
is($r->{headers}{'access-control-allow-methods'}, undef, '... and tells none');

# -- a caller's rate ------------------------------------------------------

my @tokens = map {
    my $n = $_;
    my $r;
    wait_until {
        $r = $t->api(POST => '/v1/admin-tokens', { name => "n$n",
            role => 'viewer' });
        return $r->{status} == 201;
    } 20;
    $r->{json}{token};
} 1, 2;
my $c = Test::Stoa::HTTP->connect($port);
sub ask {
    my ($token, $path) = @_;
    return $c->request('GET', $path // '/v1/whoami', keepalive => 1,
        headers => $token ? { Authorization => "Bearer $token" } : {});
}
my ($n, $last) = (0);
while ($n++ < 60) {
    $last = ask($tokens[0]);
    last if $last->{status} != 200;
}
is($last->{status}, 429, 'a caller who asks too often is refused');
cmp_ok($n, '>', 20, 'after ten seconds\' worth');
is($last->{headers}{'ratelimit-policy'}, '"caller";q=20;w=10',
   'he reads how many he has');
like($last->{headers}{ratelimit}, qr/^"caller";r=0;t=\d+$/, 'and what is left');
like($last->{headers}{'retry-after'}, qr/^[12]$/, 'and when to come again');
is(json_decode($last->{body})->{type}, 'urn:stoa:problem:too_many_requests',
   'as a problem');
is(ask($tokens[1])->{status}, 200, 'another caller is served');
my $later = wait_until { ask($tokens[0])->{status} == 200 } 10;
ok($later, 'and later he is, too');

# -- an address's rate, before it is known who calls -----------------------

$n = 0;
$last = { status => 401 };
while ($n++ < 2000 && $last->{status} == 401) {
    $last = $c->request('GET', '/v1/whoami', keepalive => 1, headers => {
        Authorization => 'Bearer stoa_adm_wrong',
        'X-Forwarded-For' => "203.0.113.$n" });
}
is($last->{status}, 429, 'guesses of tokens end, whatever they say where they are from');
is($last->{headers}{'ratelimit-policy'}, '"address";q=500;w=10',
   'for the address');
is($c->request('GET', '/health/live', keepalive => 1)->{status}, 200,
   'probes are answered all the same');
is($c->request('GET', '/metrics', keepalive => 1)->{status}, 200,
   'and who measures');
$n = 0;
1 while $n++ < 2000 && ask(undef, '/v1/nope')->{status} == 404;
cmp_ok($n, '<', 2000, 'what is not there counts, too');
$c->close;
cmp_ok($t->metrics('control')->{stoa_control_http_limited_total}, '>', 1,
       'it is counted');

# -- requests that never end ----------------------------------------------

my @slow = map {
    my $s = Test::Stoa::HTTP->connect($port);
    $s->send_raw($_);
    $s;
} "GET /health/live HTTP/1.1\r\nHost: a\r\nX-A: ",
  "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
  . "Content-Length: 5000\r\n\r\n{";
my $trickle = 0;
wait_until {
    for my $s (@slow) {
        $trickle++;
        eval { local $SIG{PIPE} = 'IGNORE'; syswrite $s->{sock}, 'a' };
    }
    $t->metrics('control')->{stoa_control_http_slow_total} >= 2;
} 15;
is($t->metrics('control')->{stoa_control_http_slow_total}, 2,
   'a head and a body that trickle are cut off');
cmp_ok($trickle, '>', 4, 'though they were never silent');
$_->close for @slow;
is(Test::Stoa::http_once($port, 'GET', '/health/live')->{status}, 200,
   'others are served');

$t->done;
