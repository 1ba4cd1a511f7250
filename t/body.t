#!/usr/bin/perl

# Bodies: chunked, in a temporary file, slow, aborted half-way, with Expect;
# answers that stream, that are large, whose reader leaves.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

use Digest::SHA qw(sha1_hex);

my $t = Test::Stoa->new->has('module', 'control', 'curl');

$t->control;
my $root = $t->dir('events');
mkdir $root;
my $port = $t->origin(sub {
    my ($q, $c) = @_;
    if ($q->{path} =~ m{/big/(\d+)}) {
        return [200, [], 'x' x $1];
    }
    if ($q->{path} =~ m{/closes}) {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                     . "Connection: close\r\n\r\ndata: 1\n\n");
        my $seen = wait_until { -e "$root/seen" } 5;
        $c->send_raw('data: ' . ($seen ? 2 : 'unseen') . "\n\n");
        $c->close;
        return undef;
    }
    if ($q->{path} =~ m{/stream}) {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                     . "Transfer-Encoding: chunked\r\n"
                     . "X-Accel-Buffering: no\r\n\r\n");
        for (1 .. 4) {
            my $event = "data: $_\n\n";
            $c->send_raw(sprintf "%x\r\n%s\r\n", length $event, $event);
            select undef, undef, undef, 0.2;
        }
        $c->send_raw("0\r\n\r\n");
        return undef;
    }
    return [200, ['Content-Type' => 'application/json'], json_encode({
        length => length $q->{body}, sha1 => sha1_hex($q->{body}),
        headers => $q->{headers}, method => $q->{method} })];
});
$t->apply(docs(tenant('acme'), app('acme', 'demo'),
    plan('acme', 'free', concurrency => 3),
    rest('acme', 'echo', "http://127.0.0.1:$port",
         max_body_bytes => 8_000_000),
    sub_('acme', 'demo', 'echo', 'free')));
my $h2 = $t->port('h2');
$t->gateway(workers => 2, location => 'client_body_buffer_size 8k;',
            http => "server { listen 127.0.0.1:$h2 http2;\n"
                    . "location / { stoa; client_body_buffer_size 8k; } }\n");
my $key = $t->key('acme', 'demo');
$t->sync;

my $target = '/apis/acme/echo/';
sub send_body { my ($body, %o) = @_;
                return $t->http('POST', $target, key => $key, body => $body,
                                %o) }
sub chunks { my ($body, $size) = @_;
             return join '', (map { sprintf "%x\r\n%s\r\n", length, $_ }
                              unpack "(a$size)*", $body), "0\r\n\r\n" }

for my $n (0, 1, 8191, 8192, 8193, 100_000, 3_000_000) {
    my $body = join '', map { chr(97 + $_ % 26) } 1 .. $n;
    my $r = send_body($body);
    is("$r->{status} " . ($r->{json}{length} // ''), "200 $n", "$n bytes");
    is($r->{json}{sha1}, sha1_hex($body), 'unaltered');

    $r = send_body(chunks($body, 4000),
                   headers => { 'Transfer-Encoding' => 'chunked' });
    is("$r->{status} " . ($r->{json}{length} // ''), "200 $n",
       "$n bytes, chunked");
    is($r->{json}{sha1}, sha1_hex($body), 'unaltered');
}

my $r = send_body('x' x 100_000, headers => { Expect => '100-continue' });
is($r->{json}{length}, 100_000, 'Expect: 100-continue');
is(send_body('x' x 8_000_001)->{status}, 413, 'over the api\'s maximum');
is($t->http('DELETE', $target, key => $key, body => 'abc')->{json}{length}, 3,
   'DELETE with a body');

# slow, byte by byte

my $c = $t->connection;
$c->send_raw("POST $target HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
             . "Content-Length: 5\r\nConnection: close\r\n\r\n");
for (split //, 'slow!') {
    $c->send_raw($_);
    select undef, undef, undef, 0.05;
}
is(json_decode($c->response->{body})->{length}, 5, 'a slow client');
$c->close;

# aborted in the body: the places among the concurrent ones come back

for (1 .. 6) {
    $c = $t->connection;
    $c->send_raw("POST $target HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
                 . "Content-Length: 100000\r\n\r\n" . 'x' x 20_000);
    select undef, undef, undef, 0.05;
    $_ % 2 ? $c->reset : $c->close;
}
ok((wait_until { send_body('x')->{status} == 200 } 3), 'aborted bodies');

# answers

is(length $t->get("${target}big/5000000", key => $key)->{body}, 5_000_000,
   'a large answer');
for (1 .. 6) {
    $c = $t->connection;
    $c->send_raw($c->request_text('GET', "${target}big/9000000",
        headers => { 'X-API-Key' => $key }));
    $c->response(headers_only => 1);
    $c->reset;
}
ok((wait_until { send_body('x')->{status} == 200 } 3),
   'readers that leave');

$c = $t->connection;
$c->send_raw($c->request_text('GET', "${target}stream",
    headers => { 'X-API-Key' => $key }));
$r = $c->response(headers_only => 1);
is($r->{headers}{'content-type'}, 'text/event-stream', 'a stream');
my $begin = time;
my @times;
while (my $event = $c->event) { push @times, Time::HiRes::time(); }
is(scalar(@times), 4, 'four events');
ok($times[3] - $times[0] > 0.4, 'as they come');
$c->close;

$c = $t->connection;
$c->send_raw($c->request_text('GET', "${target}closes",
    headers => { 'X-API-Key' => $key }));
$c->response(headers_only => 1);
is($c->event->{data}, '1', 'an event of a stream that is to end by closing');
$t->write_file('events/seen', '');
is($c->event->{data}, '2', 'is there before the next one is sent');
$c->close;

# HTTP/2, with and without a length

$t->write_file('large', join '', map { chr(97 + $_ % 26) } 1 .. 200_000);
for my $how ('--data-binary @' . $t->dir('large'), '-T -') {
    my ($code, $out) = $t->run_cmd(['sh', '-c', 'curl -sS -m 20 '
        . "--http2-prior-knowledge -X POST -H 'X-API-Key: $key' $how "
        . "http://127.0.0.1:$h2$target < " . $t->dir('large')]);
    is((json_decode($out) || {})->{sha1}, sha1_hex(slurp($t->dir('large'))),
       'HTTP/2: ' . (split ' ', $how)[0]) or diag("$code $out");
}

# pipelined, once those who left have given their places back

wait_until { $t->get($target, key => $key)->{status} == 200 } 5;
$c = $t->connection;
my $one = "POST $target HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
          . "Content-Length: 3\r\n\r\nabc";
$c->send_raw($one x 3);
is(join(' ', map { json_decode($c->response->{body})->{length} } 1 .. 3),
   '3 3 3', 'pipelined');
$c->close;

$t->done;
