#!/usr/bin/perl

# The HTTP side of stoa-control: routes, limits, compression, framing, long
# polls, the end.

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Uncompress::Gunzip qw(gunzip);
use Time::HiRes qw(sleep time);
use Test::Stoa;

my $t = Test::Stoa->new;
$t->control;
my $port = $t->port('control');
my $r;

# -- health ---------------------------------------------------------------

for my $path ('/health/live', '/health/ready', '/metrics') {
    $r = $t->api('GET', $path, undef, token => undef);
    is($r->{status}, 200, "$path needs no token");
}
$r = $t->api('GET', '/health/ready');
is($r->{json}{status}, 'ready', 'ready');
is($r->{json}{database}, $t->{db} eq 'pg' ? 'postgresql' : 'sqlite',
   'which database');

# -- routes ---------------------------------------------------------------

problem($t->api('GET', '/nope'), 404, 'not_found', 'no such path');
problem($t->api('GET', '/v1/tenants/'), 404, 'not_found', 'an empty segment');
problem($t->api('GET', '/v1/tenants/%zz'), 400, 'bad_request', 'bad escape');
problem($t->api('GET', '/v1/tenants/%00'), 400, 'bad_request', 'NUL');
problem($t->api('GET', '/v1/tenants/%ff'), 400, 'bad_request', 'no UTF-8');
problem($t->api('GET', '/v1/tenants/a%2Fb'), 404, 'not_found',
        'an escaped slash stays in its segment');
problem($t->api('GET', '/v1/tenants?limit=%'), 400, 'bad_request',
        'bad escape in the query');
problem($t->api('GET', '/v1/tenants?' . join '&', map { "a$_=1" } 1 .. 65),
        400, 'bad_request', '65 query parameters');

$r = $t->api('DELETE', '/v1/tenants');
problem($r, 405, 'method_not_allowed', 'another method');
is(join(' ', sort split /, /, $r->{headers}{allow}), 'GET HEAD POST',
   'Allow names those there are');

$r = $t->api('HEAD', '/health/live');
is($r->{status}, 200, 'HEAD');
is($r->{headers}{'content-length'}, 17, 'with the length of the body');

# -- request ids ----------------------------------------------------------

$r = $t->api('GET', '/nope', undef, headers => { 'X-Request-Id' => 'a.B-1_' });
is($r->{headers}{'x-request-id'}, 'a.B-1_', 'the id of the client is kept');
is($r->{json}{request_id}, 'a.B-1_', 'in the body too');
for my $id ('a b', "a\"b", 'x' x 65, '') {
    $r = $t->api('GET', '/nope', undef, headers => { 'X-Request-Id' => $id });
    like($r->{headers}{'x-request-id'}, qr/^[0-9a-z]{16}$/,
         'a strange one is replaced');
}

# -- bodies ---------------------------------------------------------------

my %json = ('Content-Type' => 'application/json');

problem($t->api('POST', '/v1/tenants', '', headers => { %json }), 400,
        'bad_request', 'no body');
problem($t->api('POST', '/v1/tenants', '{}'), 415, 'unsupported_media_type',
        'no content type');
problem($t->api('POST', '/v1/tenants', '{}', headers =>
        { 'Content-Type' => 'application/json; charset=utf-7' }), 415,
        'unsupported_media_type', 'another charset');
problem($t->api('POST', '/v1/tenants', '{}', headers =>
        { 'Content-Type' => 'text/plain' }), 415, 'unsupported_media_type',
        'another content type');
problem($t->api('POST', '/v1/tenants', '{"name":"a","name":"b"}',
        headers => { %json }), 400, 'bad_request', 'a member twice');
$r = $t->api('POST', '/v1/tenants', "{\n\"name\": \"a\",\n}",
             headers => { %json });
problem($r, 400, 'bad_request', 'no JSON');
is($r->{json}{errors}[0]{line}, 3, 'its line');
problem($t->api('POST', '/v1/tenants', '[' x 65 . ']' x 65,
        headers => { %json }), 400, 'bad_request', 'too deep');
problem($t->api('POST', '/v1/tenants', "{\"name\":\"\xff\"}",
        headers => { %json }), 400, 'bad_request', 'no UTF-8');
problem($t->api('POST', '/v1/tenants', '{"name":"a\u0000"}',
        headers => { %json }), 400, 'bad_request', 'U+0000');

$r = $t->api('POST', '/v1/tenants', "name: yaml\n", headers =>
             { 'Content-Type' => 'application/yaml; charset=utf-8' });
is($r->{status}, 201, 'YAML is taken');
my $bomb = join "\n", 'a0: &a0 [x,x,x,x,x,x,x,x,x,x]',
    map { my $p = $_ - 1; "a$_: &a$_ [" . join(',', ("*a$p") x 10) . ']' }
    1 .. 8;
$r = $t->api('POST', '/v1/tenants', $bomb,
             headers => { 'Content-Type' => 'text/yaml' });
problem($r, 400, 'bad_request', 'an alias bomb');
is($r->{json}{errors}[0]{line}, 5, 'its line');

my $eight = ' ' x (8 * 1024 * 1024 - 2) . '{}';
problem($t->api('POST', '/v1/tenants', $eight, headers => { %json }), 422,
        'validation', 'eight MiB are read');
problem($t->api('POST', '/v1/tenants', " $eight", headers => { %json }), 413,
        'body_too_large', 'one byte more is not');
problem($t->api('POST', '/v1/tenants', sprintf("%x\r\n%s\r\n0\r\n\r\n",
        length " $eight", " $eight"), headers =>
        { %json, 'Transfer-Encoding' => 'chunked' }), 413, 'body_too_large',
        'nor in chunks');

# -- framing --------------------------------------------------------------

sub raw {
    my ($text) = @_;
    my $c = Test::Stoa::HTTP->connect($port, timeout => 5) or return {};
    $c->send_raw($text);
    my $answer = $c->response;
    $c->close;
    return $answer;
}

is(raw("POST /v1/tenants HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
       . "Content-Length: 3\r\n\r\n{}")->{status}, 400, 'two lengths');
is(raw("POST /v1/tenants HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
       . "Transfer-Encoding: chunked\r\n\r\n{}")->{status}, 400,
   'a length and chunks');
is(raw("GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
       . join('', map { "X-$_: y\r\n" } 1 .. 62) . "\r\n")->{status}, 200,
   '64 headers');
is(raw("GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
       . join('', map { "X-$_: y\r\n" } 1 .. 63) . "\r\n")->{status}, 431,
   '65 headers');
is(raw("GET /health/live HTTP/1.1\r\nHost: a\r\nX: " . 'a' x 40000
       . "\r\n\r\n")->{status}, 431, 'a header of 40,000 bytes');
is(raw("GET /health/live HTTP/1.0\r\n\r\n")->{status}, 200, 'HTTP/1.0');

my $c = Test::Stoa::HTTP->connect($port);
for (1 .. 3) {
    is($c->request('GET', '/health/live', keepalive => 1)->{status}, 200,
       'one connection');
}
is($c->request('GET', '/nope', keepalive => 1)->{status}, 404,
   'an error does not close it');
is($c->request('POST', '/health/live', keepalive => 1, body => 'x' x 100000)
   ->{status}, 405, 'nor a refused body');
is($c->request('GET', '/health/live', keepalive => 1)->{status}, 200,
   'it goes on');
$c->close;

# -- compression ----------------------------------------------------------

sub packed {
    my ($accept, $path) = @_;
    return $t->api('GET', $path || '/v1/openapi.json', undef,
                   headers => { 'Accept-Encoding' => $accept });
}

my $plain = $t->api('GET', '/v1/openapi.json');
is($plain->{headers}{'content-encoding'}, undef, 'plain unless asked');
is($plain->{headers}{vary}, 'Accept-Encoding', 'Vary');
$r = packed('br, gzip');
is($r->{headers}{'content-encoding'}, 'gzip', 'gzip when asked');
my $packed = $r->{body};
my $unpacked = '';
gunzip(\$packed => \$unpacked);
is($unpacked, $plain->{body}, 'the same text');
ok(length $packed < length($unpacked) / 4, 'a quarter of the size');
is(packed('gzip;q=0')->{headers}{'content-encoding'}, undef, 'q=0 is a no');
is(packed('gzip', '/health/live')->{headers}{'content-encoding'}, undef,
   'small answers are not packed');

# -- long polls -----------------------------------------------------------

my $gw = $t->register('poll', 'default') && slurp($t->dir('poll/token'));
$gw =~ s/\s+//g;

sub feed { my ($query) = @_;
           return $t->api('GET', "/gateway/v1/feed?$query", undef,
                          token => $gw) }

my ($head) = split /\n/, feed('since=0')->{body};
my ($epoch, $rev) = @{ json_decode($head) }{qw(epoch rev)};

my $start = time;
$r = feed("since=$rev&epoch=$epoch&wait=1");
ok(time - $start > 0.9, 'a poll waits');
like($r->{body}, qr/^\{"feed":1.*\n\{"end":true,"rev":$rev\}\n\z/,
     'and says that nothing changed');

my @waiting = map {
    my $w = Test::Stoa::HTTP->connect($port);
    $w->send_raw($w->request_text('GET', "/gateway/v1/feed?since=$rev"
        . "&epoch=$epoch&wait=30", headers =>
        { Authorization => "Bearer $gw", 'Accept-Encoding' =>
          $_ % 2 ? 'gzip' : undef }));
    $w;
} 1 .. 40;
wait_until { $t->metrics('control')->{stoa_control_http_parked} == 40 } 10;
is($t->metrics('control')->{stoa_control_http_parked}, 40, 'forty wait');
$_->reset for splice @waiting, 0, 10;
$start = time;
$t->must('POST', '/v1/tenants', { name => 'news' });
my @got = map { $_->response(timeout => 10) } @waiting;
is(scalar(grep { $_->{status} == 200 } @got), 30, 'a change wakes them');
ok(time - $start < 5, 'at once');
my @bodies = map {
    my $body = $_->{body};
    if (($_->{headers}{'content-encoding'} // '') eq 'gzip') {
        my $out;
        gunzip(\$body => \$out);
        $body = $out;
    }
    $body;
} @got;
is(scalar(grep { /"name":"news"/ } @bodies), 30, 'and they get it');
wait_until { $t->metrics('control')->{stoa_control_http_parked} == 0 } 10;
is($t->metrics('control')->{stoa_control_http_parked}, 0, 'nobody waits');

my $m = $t->metrics('control');
my %family;
$family{ s/_total$//r }++ for $t->api(GET => '/metrics')->{body}
    =~ /^# TYPE (\w+)/mg;
is(join(' ', grep { $family{$_} > 1 } keys %family), '',
   'no two metrics that OpenMetrics takes for one');
ok($m->{'stoa_control_http_requests_total{method="GET",'
        . 'route="/gateway/v1/feed",status="2xx"}'} >= 32, 'they are counted');
ok($m->{'stoa_control_http_request_seconds_count{method="POST",'
        . 'route="/v1/tenants"}'} > 3, 'and timed');
ok($m->{process_resident_memory_bytes} > 1e6 && $m->{process_open_fds} > 5,
   'the process itself');

# -- TLS ------------------------------------------------------------------

SKIP: {
    skip 'no IO::Socket::SSL', 2
        if !$ENV{CI} && !eval { require IO::Socket::SSL };
    my @pem = map { $t->dir("tls.$_") } qw(crt key);
    my ($code) = $t->run_cmd(['openssl', 'req', '-x509', '-newkey', 'ec',
        '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', 2,
        '-subj', '/CN=localhost', '-out', $pem[0], '-keyout', $pem[1]]);
    is($code, 0, 'a certificate');
    my $tls = $t->port('tls');
    $t->start('tls', argv => ["$Test::Stoa::OBJS/stoa-control",
        "--listen=127.0.0.1:$tls", "--tls-certificate=$pem[0]",
        "--tls-key=$pem[1]", '--database=sqlite:' . $t->dir('tls.db')],
        env => { $t->sanitizer_env('tls') });
    wait_until { slurp($t->dir('tls.out')) =~ /listening/ } 20;
    is(Test::Stoa::http_once($tls, 'GET', '/health/ready', tls => 1)
       ->{status}, 200, 'HTTPS');
    $t->stop('tls');
}

# -- the end --------------------------------------------------------------

($head) = split /\n/, feed('since=0')->{body};
$rev = json_decode($head)->{rev};
@waiting = map {
    my $w = Test::Stoa::HTTP->connect($port);
    $w->send_raw($w->request_text('GET', "/gateway/v1/feed?since=$rev"
        . "&epoch=$epoch&wait=30",
        headers => { Authorization => "Bearer $gw" }));
    $w;
} 1 .. 20;
wait_until { $t->metrics('control')->{stoa_control_http_parked} == 20 } 10;
$t->api(GET => '/v1/tenants/' . $t->{token} =~ s/_/$_/gr) for '_', '%5f';
my @half = map {
    my $w = Test::Stoa::HTTP->connect($port);
    $w->send_raw($w->request_text('POST', '/v1/tenants', headers =>
        { %json, 'Content-Length' => 100 }) . '{"name":');
    $w;
} 1 .. 3;
$start = time;
$t->stop('control');
ok(time - $start < 5, 'it ends at once, whoever sent half a request');
is(scalar(grep { $_->response(timeout => 5)->{status} == 200 } @waiting), 20,
   'who waited gets an answer');
is(scalar(grep { /\b(?:error|warn)\b/ }
          split /\n/, slurp($t->dir('control.out'))), 0,
   'nothing of this is an error in its log');
my @slips = grep { m{/v1/tenants/stoa} } split /\n/,
    slurp($t->dir('control.out'));
is(scalar @slips, 2, 'a token in a path is logged');
is(scalar(grep { /\Q${\ substr $t->{token}, -30}/ } @slips), 0,
   'without its secret');

$t->done;


sub problem {
    my ($answer, $status, $code, $what) = @_;
    my $j = $answer->{json} || {};

    is("$answer->{status} " . ($answer->{headers}{'content-type'} // '')
       . ' ' . ($j->{type} // '') . ' ' . ($j->{status} // ''),
       "$status application/problem+json urn:stoa:problem:$code $status",
       $what);
}
