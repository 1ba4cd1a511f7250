#!/usr/bin/perl

# Policies that look into answers: what is kept, judged, refused and passed, by
# what the upstream says of it.  response-schema.

use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Compress::Gzip ();
use IO::Select;
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $good = '{"id": 1, "big": 12345678901234567890.10, "list": []}';
my $bad = '{"id": "secret-value"}';
my @json = ('Content-Type' => 'application/json; charset=utf-8');
my %answer = (
    good => [200, [@json, ETag => '"v1"'], $good],
    bad => [200, [@json], $bad],
    created => [201, [@json], $bad],
    fault => [404, [@json], '{"error":1}'],
    none => [204, [], ''],
    same => [304, [ETag => '"v1"'], ''],
    part => [206, [@json, 'Content-Range' => 'bytes 0-9/99'], '{"id":1}  '],
    text => [200, ['Content-Type' => 'text/plain'], 'words'],
    problem => [200, ['Content-Type' => 'Application/Problem+JSON'], $bad],
    utf16 => [200, ['Content-Type' => 'application/json; charset=utf-16'],
              $bad],
    broken => [200, [@json], '{"id":1'],
    twice => [200, [@json], '{"id":1,"id":2}'],
    empty => [200, [@json], ''],
    long => [200, [@json], '{"id":1}' . ' ' x 5000],
    orders => [200, [@json, ETag => '"v1"', 'Last-Modified' => 'x',
                     Digest => 'x', 'Accept-Ranges' => 'bytes'],
               '{"list": [{"id": 1.0, "cost": 9}, [{"c\\u006fst": {}}], 7], '
               . '"cost": 12345678901234567890.10, "who": {"cost": [], '
               . '"iban": "DE", "l": []}, "e": {}}'],
    huge => [200, ['Content-Type' => 'text/plain'], 'x' x 4_000_000],
    vast => [200, [@json], '{"id":1,"s":"' . 'x' x 6_000_000 . '"}'],
    events => [200, ['Content-Type' => 'text/event-stream'], "data: x\n\n"],
);
IO::Compress::Gzip::gzip(\$good, \my $packed);
$answer{gzip} = [200, [@json, 'Content-Encoding' => 'gzip'], $packed];

my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q, $c) = @_;
    my ($how, $what) = $q->{path} =~ m{/(?:(chunks|close|cut)-)?(\w+)$}
        or return [404, [], ''];
    return [200, [@json], json_encode({ id => 1, saw => { map {
        ($_ => $q->{headers}{$_} // '-') } qw(accept-encoding range) } })]
        if $what eq 'saw';
    my $a = $answer{$what} or return [404, [], ''];
    return $a unless $how;
    my %h = @{ $a->[1] };
    my $head = "HTTP/1.1 $a->[0] x\r\n" . join('', map { "$_: $h{$_}\r\n" }
                                               sort keys %h);
    $c->send_raw($how eq 'chunks'
        ? "${head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
          . join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
                 $a->[2] =~ /.{1,7}/gs) . "0\r\n\r\n"
        : $how eq 'cut' ? $head . 'Content-Length: ' . (99 + length $a->[2])
          . "\r\nConnection: close\r\n\r\n$a->[2]"
        : "${head}Connection: close\r\n\r\n$a->[2]");
    return undef;
});

my %config = (schema => { type => 'object', required => ['id'],
    properties => { id => { type => 'integer' } } });
sub policy { my ($name, $api, %o) = @_;
             my %more = %{ delete $o{config} // {} };
             return doc('Policy', 'acme', $name, { type => 'response-schema',
                 config => { %config, %more }, attach => [{ api => $api }],
                 %o }) }
my @apis = qw(strict mild tried plain slow idle trim draft two large);
$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    (map { (rest('acme', $_, $to), sub_('acme', 'demo', $_, 'free')) } @apis),
    policy('strict', 'strict', config => { max_bytes => 2000 }),
    policy('mild', 'mild', config => { max_bytes => 2000,
        statuses => ['200', '4xx'], other_types => JSON::PP::true,
        unreadable => JSON::PP::true }),
    (map { my ($name, $at, $rate, %o) = @$_;
           doc('Policy', 'acme', $name, { type => 'bandwidth', attach => [$at],
               config => { bytes_per_s => $rate, after_bytes => 5000 }, %o }) }
     ['slow', { api => 'slow' }, 1000], ['fast', { plan => 'free' }, 1e12],
     ['idle', { api => 'idle' }, 1, state => 'shadow']),
    (map { my ($name, %o) = @$_;
           doc('Policy', 'acme', $name, { type => 'transform', attach => [
               { api => $name }], config => { response_remove => ['/list/cost',
               '/who/iban', '/id'], max_bytes => 2000 }, %o }) }
     ['trim'], ['draft', state => 'shadow']),
    policy('two-a', 'two'), policy('large-a', 'large',
        config => { max_bytes => 16_000_000 }),
    doc('Policy', 'acme', 'two-b', { type => 'transform', attach => [
        { api => 'two' }], config => { response_remove => ['/x'],
        max_bytes => 9 } }),
    doc('Policy', 'acme', 'large-b', { type => 'guardrail', attach => [
        { api => 'large' }], config => { action => 'mask',
        look_at => ['answer'] } }),
    policy('tried', 'tried', state => 'shadow',
           config => { max_bytes => 2000 })));
$t->gateway(workers => 1, server => "location /p/ { stoa_protect tenant=acme"
    . " api=strict; proxy_pass $to/; }\n"
    . "location /m/ { stoa_protect tenant=acme api=mild;"
    . " proxy_buffering off; proxy_pass $to/; }\n",
    http => 'server { listen 127.0.0.1:' . $t->port('h2')
    . " http2; location / { stoa; } }\n");
my $key = $t->key('acme', 'demo');
$t->sync;

sub call { my ($path, %o) = @_;
           return $t->http($o{method} // 'GET',
               $path =~ m{^/} ? $path : "/apis/acme/$path", key => $key, %o) }
sub says { my $r = call(@_);
           return "$r->{status} " . ($r->{json}{code} // $r->{body} // '') }
my $no = '502 answer_mismatch';

for my $round (1, 2) {                         # the second by the fast lane
    is(says('strict/good'), "200 $good", "what fits is passed as it is, $round");
    is(says('strict/bad'), $no, "what does not is refused, $round");
    is(says('strict/long'), $no, "what is too long, $round");
    is(says('strict/gzip'), $no, "what is encoded, $round");
}
my $refused =
    'stoa_policy_total{policy_type="response-schema",outcome="refused"}';
wait_until { ($t->metrics->{$refused} // 0) == 6 } 5;
is($t->metrics->{$refused}, 6, 'each is counted, by its body or by its head');
my $r = call('strict/bad');
like($r->{json}{detail}, qr/^The answer: id /, 'the detail has the place');
unlike($r->{body}, qr/secret/, '... and nothing of the answer');
$r = call('strict/good');
is($r->{headers}{etag}, '"v1"', 'what is not changed keeps its validators');
is($r->{headers}{'content-length'}, length $good, '... and its length');
my $c = $t->connection;
for my $path (qw(bad good bad none good)) {
    $r = $c->request('GET', "/apis/acme/strict/$path",
                     keepalive => 1, headers => { 'X-API-Key' => $key });
    is($r->{status}, { bad => 502, none => 204 }->{$path} // 200,
       "on one connection: $path");
}
$c->close;

for my $how (qw(chunks close)) {
    is(says("strict/$how-good"), "200 $good", "$how: what fits");
    is(says("strict/$how-bad"), $no, "$how: what does not");
    is(says("strict/$how-long"), $no, "$how: what gets too long");
}
is(says('strict/created'), $no, 'any 2xx is judged');
is(says('strict/fault'), '404 {"error":1}', 'no other status');
is(says('strict/none'), '204 ', '204 has no body');
is(says('strict/same'), '304 ', 'nor has 304');
is(call('strict/bad', method => 'HEAD')->{status}, 200, 'nor has HEAD');
is(says("strict/$_"), $no, "refused: $_")
    for qw(part text problem utf16 broken twice empty events);
is(says('strict/cut-good'), '502 upstream_invalid',
   'an answer that broke off is none');

$r = call('strict/saw', headers => { 'Accept-Encoding' => 'gzip, br',
                                     Range => 'bytes=0-9' });
is_deeply($r->{json}{saw}, { 'accept-encoding' => 'identity', range => '-' },
          'the upstream is asked for all of it, as it is');
$r = call('plain/saw', headers => { 'Accept-Encoding' => 'br' });
is($r->{json}{saw}{'accept-encoding'}, 'br', '... not without a policy');

# what passes unread is counted

is(says('mild/bad'), $no, 'a list of statuses: 200');
is(says('mild/created'), "201 $bad", '... not 201');
is(says('mild/fault'), $no, '... 4xx');
is(says('mild/text'), '200 words', 'another type');
is(says('mild/long'), "200 $answer{long}[2]", 'too long, and may pass');
is(says("mild/$_-long"), "200 $answer{long}[2]", "... $_") for qw(chunks close);
is(length call('mild/gzip')->{body}, length $packed, '... encoded');
is(says('mild/part'), "206 $answer{part}[2]", '... a part');
my $unread = 'stoa_policy_total{policy_type="response-schema",outcome="unread"}';
wait_until { ($t->metrics->{$unread} // 0) == 4 } 5;
is($t->metrics->{$unread}, 4, 'each is counted');

# a shadow

is(says("tried/$_"), "$answer{$_}[0] $answer{$_}[2]", "a shadow: $_")
    for qw(good bad long text broken none);
is(says("tried/$_-bad"), "200 $bad", "a shadow: $_") for qw(chunks close);
is(call('tried/saw', headers => { Range => 'bytes=0-9' })->{json}{saw}{range},
   'bytes=0-9', 'a shadow takes no range away');
my $shadow =
    'stoa_policy_total{policy_type="response-schema",outcome="shadow_refused"}';
wait_until { ($t->metrics->{$shadow} // 0) == 6 } 5;
is($t->metrics->{$shadow}, 6, '... and counts what it would have refused');

# transform

my $trimmed = '{"list":[{"id":1.0},[{}],7],"cost":12345678901234567890.10,'
    . '"who":{"cost":[],"l":[]},"e":{}}';
for my $how ('', 'chunks-', 'close-') {
    $r = call("trim/${how}orders");
    is($r->{body}, $trimmed, "transform: members go, ${how}the rest stays");
    is($r->{headers}{'content-length'}, length $trimmed, '... of its length');
    is(join(' ', grep { defined $r->{headers}{$_} }
            qw(etag last-modified digest accept-ranges transfer-encoding)), '',
       '... and nothing says what it was');
}
is(says('trim/good'), '200 {"big":12345678901234567890.10,"list":[]}',
   '... at the root');
$r = call('trim/orders', method => 'HEAD');
is(join(' ', grep { defined $r->{headers}{$_} } qw(etag content-length)), '',
   '... HEAD says nothing that would not be true');
is(says('trim/fault'), '404 {"error":1}', '... another status stays');
is(says("trim/$_"), '502 transform_failed', "... never as it was: $_")
    for qw(gzip part text broken twice long chunks-long);
is(says('draft/orders'), "200 $answer{orders}[2]", '... a shadow');

# two of them at one answer

is(says('two/good'), '502 transform_failed',
   'one keeps it, one refuses its head');
is(call($_, headers => { Connection => 'keep-alive' })->{headers}{connection},
   'close', "$_: a refused head ends the connection, and says so")
    for qw(two/good strict/text);
for my $how ('', 'chunks-') {
    $r = call("large/${how}vast");
    is("$r->{status} " . length $r->{body}, '200 ' . length $answer{vast}[2],
       "kept by one, ${how}read in pieces by the other, and long");
}

# bandwidth: what comes without a wait is the first bytes and a second's, the
# slowest of two policies; the rest is not waited for

is(length call('idle/huge')->{body}, 4_000_000, 'bandwidth: a shadow');
is(says('slow/good'), "200 $good", '... a short answer');
$c = $t->connection;
$c->send_raw("GET /apis/acme/slow/huge HTTP/1.1\r\nHost: x\r\n"
             . "X-API-Key: $key\r\n\r\n");
my $came = '';
my $select = IO::Select->new($c->{sock});
sub drain { sysread $c->{sock}, $came, 65536, length $came or last
                while $select->can_read(0.1) && length $came < 1_000_000 }
wait_until { drain(); length $came > 4000 } 5;
is(length call('plain/huge')->{body}, 4_000_000, '... another api\'s');
drain();
cmp_ok(length $came, '<', 1_000_000, '... a long one comes slowly');
$c->close;

# with stoa_protect, HTTP/2

is(says("/$_/good"), "200 $good", "$_: what fits") for qw(p m);
is(says("/$_/bad"), $no, "$_: what does not") for qw(p m);
is(says("/$_/chunks-bad"), $no, "$_: in chunks") for qw(p m);
is(says('/p/gzip'), $no, 'p: encoded');
is(says('/m/chunks-long'), "200 $answer{long}[2]", 'm: too long');
my $curl = 'curl -s --http2-prior-knowledge -H X-API-Key:' . $key
    . ' -w "%{http_code}" http://127.0.0.1:' . $t->port('h2') . '/apis/acme/';
is(`${curl}strict/good`, "${good}200", 'HTTP/2: what fits');
like(`${curl}strict/bad`, qr/answer_mismatch.*502$/, '... what does not');
like(`${curl}strict/gzip`, qr/answer_mismatch.*502$/, '... encoded');

$t->done;
