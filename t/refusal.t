#!/usr/bin/perl

# Refusals: every row of the table that a REST call can meet has its status,
# code, problem and headers; what nginx refuses itself looks the same; what an
# upstream says is left alone; a user's error_page wins; HEAD, HTTP/2.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control', 'curl');

$t->control;
my $port = $t->origin(sub {
    my ($q, $c) = @_;
    return undef if $q->{path} =~ /drop/;
    select undef, undef, undef, 1 if $q->{path} =~ /slow/;
    return [$1, ['Content-Type' => 'text/html'], 'of the upstream']
        if $q->{path} =~ m{/say/(\d+)};
    return [200, [], 'ok'];
});
my $to = "http://127.0.0.1:$port";
my $dead = 'http://127.0.0.1:' . $t->port('dead');
my @apis = (
    [plain => $to], [nosub => $to], [gone => $to],
    [ops => $to, operations_only => \1,
     operations => [{ method => 'GET', path => '/x' }]],
    [denied => $to, ip_deny => ['127.0.0.0/8']],
    [denied6 => $to, ip_deny => ['::1/128'], ip_allow => ['127.0.0.1']],
    [notallowed => $to, ip_allow => ['10.0.0.0/8', '::1']],
    [small => $to, max_body_bytes => 10],
    [pending => $to], [suspended => $to], [revoked => $to], [expired => $to],
    [rate => $to], [quota => $to], [conc => $to], [dead => $dead],
    [quick => $to, upstream => { read_timeout_ms => 300 }],
);
$t->apply(docs(tenant('acme'), tenant('beta'), tenant('away'),
    app('acme', 'demo'), app('acme', 'halted'), app('away', 'left'),
    plan('acme', 'free'), plan('acme', 'manual', approval => 'manual'),
    plan('acme', 'rate', rate => 1, per_ms => 600_000),
    plan('acme', 'quota', quota_month => 1),
    plan('acme', 'conc', concurrency => 1),
    rest('beta', 'hidden', $to), rest('away', 'theirs', $to,
                                      audience => 'public'),
    (map { rest('acme', @$_) } @apis),
    (map { sub_('acme', 'demo', $_->[0], 'free') }
     grep { $_->[0] !~ /nosub|pending|rate|quota|conc|expired/ } @apis),
    sub_('acme', 'demo', 'pending', 'manual'),
    sub_('acme', 'demo', 'expired', 'free', expires_at =>
         POSIX::strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime(time + 2))),
    sub_('acme', 'demo', 'rate', 'rate'), sub_('acme', 'demo', 'quota',
        'quota'), sub_('acme', 'demo', 'conc', 'conc')));
my $key = $t->key('acme', 'demo');
my $halted = $t->key('acme', 'halted');
my $left = $t->key('away', 'left');
my %sub = map { $_->{api} => $_->{id} } @{ $t->must('GET',
    '/v1/tenants/acme/subscriptions?limit=500')->{items} };
$t->must('POST', "/v1/tenants/acme/subscriptions/$sub{suspended}/suspend");
$t->must('POST', "/v1/tenants/acme/subscriptions/$sub{revoked}/revoke");
$t->must('POST', '/v1/tenants/acme/applications/halted/suspend');
$t->must('POST', '/v1/tenants/away/suspend');
my $was = $t->key('acme', 'demo', expires_at =>
    POSIX::strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime(time + 2)));
my $h2 = $t->port('h2');
$t->gateway(main => 'worker_shutdown_timeout 5s;',
    http => <<"END", server => <<"END");
    stoa_external_url https://gw.example.test;
    server {
        listen 127.0.0.1:$h2 http2;
        location / { stoa; }
    }
END
        location /paged/ { stoa; error_page 404 /page.html; }
        location = /page.html { return 200 "a page"; }
        location /limited/ { stoa; client_max_body_size 20; }
        large_client_header_buffers 2 1k;
END
sleep 2;


sub is_problem {
    my ($r, $status, $code, $what) = @_;
    is($r->{status}, $status, "$what: $status") or diag($r->{body});
    my $p = $r->{json} || {};
    is($p->{code}, $code, "$what: $code") or diag($r->{body});
    my @bad;
    push @bad, 'type' unless ($r->{headers}{'content-type'} // '')
                             eq 'application/problem+json';
    push @bad, 'status' unless ($p->{status} // 0) == $status;
    push @bad, 'url' unless ($p->{type} // '') =~ m{^https://gw\.example\.test
                                                   /problems/$code$}x;
    push @bad, $_ for grep { !length($p->{$_} // '') } qw(title detail);
    push @bad, 'id' unless ($p->{request_id} // '')
                           eq ($r->{headers}{'x-request-id'} // '-');
    is("@bad", '', "$what: a whole problem") or diag($r->{raw} . $r->{body});
    return $r;
}
sub call { my ($path, %o) = @_;
           return $t->http($o{method} || 'GET', $path, key => $key, %o) }
sub chunked { return (method => 'POST',
    headers => { 'Transfer-Encoding' => 'chunked' },
    body => sprintf("%x\r\n%s\r\n0\r\n\r\n", $_[0], 'x' x $_[0])) }

# status, code, path, options

my @rows = (
    [404, 'no_route', '/nowhere'],
    [404, 'no_route', '/apis/beta/hidden/'],
    [404, 'no_route', '/apis/acme/ops/y'],
    [405, 'method_not_allowed', '/apis/acme/ops/x', method => 'PUT'],
    [403, 'ip_denied', '/apis/acme/denied/'],
    [403, 'ip_denied', '/apis/acme/notallowed/'],
    [413, 'body_too_large', '/apis/acme/small/', method => 'POST',
     body => 'x' x 11],
    [413, 'body_too_large', '/apis/acme/small/', chunked(11)],
    [413, 'body_too_large', '/limited/', method => 'POST', body => 'x' x 21],
    [401, 'key_missing', '/apis/acme/plain/', key => undef],
    [401, 'key_invalid', '/apis/acme/plain/', key => 'junk'],
    [401, 'key_expired', '/apis/acme/plain/', key => $was],
    [403, 'application_suspended', '/apis/acme/plain/', key => $halted],
    [403, 'tenant_suspended', '/apis/acme/plain/', key => $left],
    [403, 'tenant_suspended', '/apis/away/theirs/'],
    [403, 'not_subscribed', '/apis/acme/nosub/'],
    [403, 'subscription_pending', '/apis/acme/pending/'],
    [403, 'subscription_suspended', '/apis/acme/suspended/'],
    [403, 'subscription_revoked', '/apis/acme/revoked/'],
    [403, 'subscription_expired', '/apis/acme/expired/'],
    [502, 'upstream_unreachable', '/apis/acme/dead/'],
    [502, 'upstream_invalid', '/apis/acme/plain/drop'],
    [504, 'upstream_timeout', '/apis/acme/quick/slow'],
);
for my $row (@rows) {
    my ($status, $code, $path, %o) = @$row;
    my $r = is_problem(call($path, %o), $status, $code, $path);
    is(!!$r->{headers}{'www-authenticate'}, $status == 401, 'a challenge');
    like($r->{json}{detail}, qr{ Application: acme/\w+; API: acme/\w+\.$},
         'names of both') if $code =~ /subscri/;
}
is(call('/apis/acme/denied6/')->{status}, 200, 'an address that is allowed');
is(call('/apis/acme/small/', chunked(10))->{status}, 200,
   'a body that fits');

for (qw(rate quota)) {
    is(call("/apis/acme/$_/")->{status}, 200, "$_: the first");
    my $r = is_problem(call("/apis/acme/$_/"), 429, "${_}_exceeded", $_);
    like($r->{headers}{'retry-after'}, qr/^[1-9]\d*$/, 'Retry-After');
    ok($r->{headers}{ratelimit} && $r->{headers}{'ratelimit-policy'},
       'RateLimit, RateLimit-Policy');
}
my $c = $t->connection;
$c->send_raw($c->request_text('GET', '/apis/acme/conc/slow-one',
    headers => { 'X-API-Key' => $key }));
wait_until { grep { $_->{path} =~ m{^/slow-one} } $t->origin_log } 10;
is_problem(call('/apis/acme/conc/'), 429, 'concurrency_exceeded', 'conc');
is($c->response->{status}, 200, 'the one');
$c->close;


# what nginx refuses before any location

sub raw { my ($text) = @_;
          my $c = $t->connection;
          $c->send_raw($text);
          my $r = $c->response;
          $c->close;
          $r->{json} = json_decode($r->{body});
          return $r }
is_problem(raw("GET / HTTP/1.1\r\n\r\n"), 400, 'bad_request', 'no Host');
is_problem(raw("GET /" . 'x' x 3000 . " HTTP/1.1\r\nHost: x\r\n\r\n"), 414,
           'uri_too_long', 'a long URI');
is(json_decode(raw("GET /" . 'x' x 3000 . " HTTP/1.1\r\nHost: x\r\n\r\n")
               ->{body})->{detail}, 'The request line has more than 1024 bytes.',
   'which limit');
for ('X: ' . 'x' x 3000, join "\r\n", map { "X$_: " . 'x' x 400 } 1 .. 9) {
    my $r = raw("GET / HTTP/1.1\r\nHost: x\r\n$_\r\n\r\n");
    is_problem($r, 431, 'headers_too_large', 'large headers');
    is(json_decode($r->{body})->{detail},
       'A header has more than 1024 bytes, or all of them together 2048.',
       'which limit');
}
is_problem(raw("GET / HTTP/1.1\r\nHost: x\r\nA: " . 'x' x 3000 . "\r\n\r\n"),
           431, 'headers_too_large', 'a large header');
is_problem(raw("POST /apis/acme/plain/ HTTP/1.1\r\nHost: x\r\n"
               . "X-API-Key: $key\r\nTransfer-Encoding: chunked\r\n\r\n"
               . "nonsense\r\n"), 400, 'bad_request', 'a bad chunk');


# an upstream's own errors

for my $status (400, 401, 404, 429, 500, 502, 503, 504) {
    my $r = call("/apis/acme/plain/say/$status");
    is("$r->{status} $r->{body}", "$status of the upstream",
       "an upstream's $status is its own");
}


# an error_page, HEAD, keep-alive, HTTP/2

my $r = call('/paged/x');
is("$r->{status} $r->{body}", '404 a page', 'an error_page wins');
$r = call('/nowhere', method => 'HEAD');
is($r->{status}, 404, 'HEAD');
is($r->{body}, '', 'no body');
ok($r->{headers}{'content-length'} > 100, 'its length');

my $k = $t->connection;
for (1 .. 3) {
    $r = $k->request('POST', '/nowhere', keepalive => 1, body => 'x' x 5000);
    is($r->{status}, 404, 'kept alive');
    is(length $r->{body}, $r->{headers}{'content-length'}, 'a whole body');
}
$k->close;

sub h2 { my (@args) = @_;
         my ($code, $out, $err) = $t->run_cmd(['curl', '-sS', '-m', '10',
             '--http2-prior-knowledge', '-o', $t->dir('h2.body'),
             '-w', '%{http_version} %{http_code} %{content_type}', @args]);
         return $out }
my $at = "http://127.0.0.1:$h2";
is(h2("$at/nowhere"), '2 404 application/problem+json', 'HTTP/2');
is(json_decode(slurp($t->dir('h2.body')))->{code}, 'no_route', 'its body');
is(h2('-I', "$at/nowhere"), '2 404 application/problem+json', 'HEAD');
is(h2('-H', "X-API-Key: $key", '-d', 'x' x 10, "$at/apis/acme/small/")
   =~ s/ \S*$//r, '2 200', 'a body that fits');
like(h2('-H', "X-API-Key: $key", "$at/apis/acme/plain/"), qr/^2 200/,
     'a call');


# not ready

$t->stop('control');
mkdir $t->dir('late');
$t->write_file('late/token', slurp($t->dir('gw/token')), 0600);
$t->gateway(name => 'late', wait => 0,
            http => 'stoa_external_url https://gw.example.test;');
$r = call('/apis/acme/plain/', gateway => 'late');
is_problem($r, 503, 'not_ready', 'no configuration');
ok($r->{headers}{'retry-after'}, 'Retry-After');

$t->done;
