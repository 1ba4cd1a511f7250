#!/usr/bin/perl

# A forwarded call whose upstream answers with a stream of events: whatever
# becomes of the stream, the client gets an answer to its call and a proper
# end, and what is counted is what happened.  Rows T1 and T7 of the checklist.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use Test::Stoa::Demo;

use Time::HiRes qw(time);

my $t = Test::Stoa->new;
$t->control;

# A tool answers with the bytes of its argument; <N> waits so many seconds,
# <go> for a file, <close> resets.

my %server = (name => 'up', tools => { raw => sub { 'plain' } });
my $answer = sub {
    my ($era, $q, $c) = @_;
    my $m = json_decode($q->{body}) || {};
    my $raw = ($m->{params}{arguments} || {})->{raw};
    return Test::Stoa::MCP::answer({ %server, era => $era eq 'modern'
        ? $era : 'legacy', $era eq 'batch' ? (speaks => '2025-03-26',
        sessions => 1) : (), versions => [
        $era eq 'modern' ? '2026-07-28' : @Test::Stoa::MCP::LEGACY ] },
        $q, $c) unless defined $raw;
    my $big = sub { $_[0] x $_[1] };
    $raw =~ s/<big (\d+)>/'x' x $1/ge;
    for my $piece (split /(<[a-z0-9.]+>)/, $raw) {
        if ($piece eq '<go>') { wait_until { -f $t->dir('go') } 20 }
        elsif ($piece eq '<flood>') {
            my $event = 'data: {"jsonrpc":"2.0","method":"notifications/'
                . 'message","params":{"data":"' . ('x' x 8000) . "\"}}\n\n";
            for (1 .. 4000) { $c->send_raw($event) or last;
                open my $fh, '>', $t->dir('flooded'); print $fh $_ }
        }
        elsif ($piece =~ /^<([\d.]+)>$/) { $c->fill(time + $1) }
        else { $c->send_raw($piece) }
    }
    return undef;
};
my %port = map { my $era = $_;
    ($era => $t->origin(sub { $answer->($era, @_) }, name => $era)) }
    qw(modern legacy batch);
$t->apply(demo(plan => 'concurrency: 50', mcp => {
    modern => { port => $port{modern} }, legacy => { port => $port{legacy} },
    batch => { port => $port{batch} },
    hasty => { port => $port{legacy}, upstream => "  read_timeout_ms: 1500\n"
                                               . "  max_call_ms: 4000\n" }
}));
for my $api (keys %port, 'hasty') {
    wait_until { @{ $t->api('GET', "/v1/tenants/acme/apis/$api/tools")
        ->{json}{items} || [] } } 20 or $t->give_up("$api: not discovered");
}
$t->gateway(http => 'stoa_mcp_keepalive 3s;');
my $key = $t->key('acme', 'app');
$t->apply(document('Server', 'acme', 'new', "state: published\n"
    . "prefix: never\ntools:\n  - { api: modern, tool: raw }\n")
    . subscribe('acme', 'app', 'server', 'new', 'basic'));
$t->sync;

my ($session) = $t->mcp_session('/mcp/acme', key => $key);
sub call {
    my ($era, $raw, %o) = @_;
    return $t->mcp($era eq 'modern' ? '/mcp/acme/new' : '/mcp/acme',
        'tools/call', { name => $o{name} // ($era eq 'modern' ? 'raw'
            : 'legacy__raw'), arguments => { raw => $raw } }, key => $key,
        id => 'me"1', era => $era, timeout => 10,
        $era eq 'legacy' ? (session => $session) : (), %o);
}
sub said { my ($r) = @_;
    my $e = ($r->{rpc} || {})->{error} || {};
    return join ' ', $r->{status} || $r->{error}, $r->{error} || (),
        ($r->{rpc} || {})->{id} // 'no id',
        ($r->{rpc} || {})->{result} ? 'result' : $e->{data}{code}
        // $e->{code} // 'nothing' }
sub head { join "\r\n", 'HTTP/1.1 200 OK', 'Content-Type: text/event-stream',
    @_, '', '' }
sub chunked { join('', map { sprintf "%x\r\n%s\r\n", length, $_ } @_) }
sub refused { my ($code) = @_;
    return $t->metrics->{qq(stoa_refused_total{code="$code"})} // 0 }

my $note = '{"jsonrpc":"2.0","method":"notifications/progress","params":'
    . '{"progressToken":1,"progress":1}}';
my $ok = '{"jsonrpc":"2.0","id":"me\"1","result":{"content":[]}}';
my $other = '{"jsonrpc":"2.0","id":"you","result":{"content":[]}}';
my $close = 'Connection: close';

# ---- T1: what a stream is

for my $era (qw(modern legacy)) {
    my $r = call($era, head($close) . "data: $note\n\ndata: $ok\n\n");
    is(said($r), '200 me"1 result', "T1 $era: events and the answer");
    is(@{ $r->{events} }, 2, '... both of them');
    is($r->{headers}{'x-accel-buffering'}, 'no', '... that nobody buffers');
    $r = call($era, head($close) . "data: $ok\n\ndata: $note\n\n");
    is(said($r), '200 me"1 result', "$era: the answer first");
    is($r->{headers}{'content-type'}, 'application/json', '... comes as JSON');
    is($r->{body}, $ok, '... as it was, and nothing behind it');
    $r = call($era, head($close) . 'data: ' . $ok
        =~ s/\[\]/[{"type":"text","text":"<big 3000000>"}]/r . "\n\n");
    is(length $r->{body}, length($ok) + 3_000_025, '... at any size');
    $r = call($era, head($close, 'Transfer-Encoding: chunked')
        . chunked(map { "$_\n" } "data: $note", '', "data: $ok", '')
        . "0\r\n\r\n");
    is(said($r), '200 me"1 result', "$era: in chunks");
}

my $c = $t->connection;
my $body = json_encode({ jsonrpc => '2.0', id => 'me"1', method =>
    'tools/call', params => { name => 'legacy__raw', arguments => { raw =>
    head($close) . ": hi\n\ndata: $note\n\n<go>data: $ok\n\n<5>" } } });
my @headers = ('X-API-Key' => $key, 'Mcp-Session-Id' => $session,
    'Content-Type' => 'application/json');
my $r = $c->request('POST', '/mcp/acme', headers => [@headers], body => $body,
                    headers_only => 1, keepalive => 1);
is($c->event(5)->{data}, $note, 'T1: an event comes when it was sent');
spew($t->dir('go'), '');
is($c->event(5)->{data}, $ok, '... and so does the answer');
is($c->event(4), undef, '... the stream ends though the upstream does not');
is($c->{error}, '', '... properly');
$r = $c->request('POST', '/mcp/acme', headers => [@headers], body =>
    '{"jsonrpc":"2.0","id":7,"method":"ping"}');
is($r->{status}, 200, '... and the connection goes on');
$c->close;

# several messages in one event, as 2025-03-26 has them

$r = call('legacy', head($close) . "data: [$note,$note]\n\ndata: [$note,$ok]"
    . "\n\n", name => 'batch__raw');
is(said($r), '200 me"1 result', 'T1: an event may be a batch');
is(@{ $r->{events} }, 4, '... each of whose messages is one');
is(said(call('legacy', head($close) . "data: [$ok]\n\n", name =>
    'batch__raw')), '200 me"1 result',
   '... of one');
$r = call('legacy', head($close) . join('', map { "data: $_\n\n" } '[]', '[[]]',
    '[1', "$ok"), name => 'batch__raw');
is(said($r), '200 me"1 result', '... what is none is no message');

# lines and ends as the standard has them

for my $form ("event: message\rdata: $ok\r\r", "\xef\xbb\xbf:c\n\ndata:$ok\n\n",
              "data: " . $ok =~ s/,/,\ndata: /gr . "\n\n",
              "event: other\ndata: {}\n\nid: 1\nretry: 5\ndata:\n\ndata: $ok\n\n",
              'id: ' . 'x' x 3000 . "\ndata: $ok\n\n",
              'event: ' . 'x' x 3000 . "\ndata: {}\n\ndata: $ok\n\n")
{
    $r = call('legacy', head($close) . $form);
    is_deeply($r->{rpc}, json_decode($ok), 'an answer in another form');
}
for my $form (["retry: 5\n", 100], ["retry: 7000000\n", 60000],
              ["retry: 1x\n", undef], ["retry: 700\n", 700])
{
    my $r = call('legacy', head($close)
        . "$form->[0]data: $note\n\ndata: $ok\n\n");
    is(($r->{body} =~ /^retry: (.*)$/m)[0], $form->[1], 'retry within bounds');
}

# ---- cut at every byte

for my $way ('until close', 'in chunks') {
    my $stream = ": 7\ndata: $note\n\ndata: $ok\n\n";
    my $text = $way eq 'in chunks'
        ? head('Transfer-Encoding: chunked') . chunked(
            map { "$_\n" } split /\n/, $stream, -1) . "0\r\n\r\n"
        : head($close) . $stream;
    my $from = length head($way eq 'in chunks' ? 'Transfer-Encoding: chunked'
                                               : $close);
    my (%seen, @bad);
    my $before = refused('upstream_invalid');
    for my $n ($from .. length $text) {
        my $r = call('legacy', substr $text, 0, $n);
        my $said = said($r);
        $seen{$said}++;
        push @bad, "$n: $said $r->{body}" if $said
            !~ /^200 me"1 (?:result|upstream_invalid)$/;
    }
    is(join("\n", @bad), '', "row 15: $way, cut at every byte, each is "
        . 'answered and ends');
    ok($seen{'200 me"1 result'} && $seen{'200 me"1 upstream_invalid'},
       '... by the answer once it was there, by an error before');
    is(refused('upstream_invalid') - $before,
       $seen{'200 me"1 upstream_invalid'}, '... counted as such');
}

# what nginx ends without a word

for my $era (qw(modern legacy)) {
    for my $before ('', chunked("data: $note\n\n")) {
        my $r = call($era, head('Transfer-Encoding: chunked') . $before
            . "no size\r\n");
        is(said($r), '200 me"1 upstream_invalid', "$era: no size of a chunk");
        is(@{ $r->{events} }, $before ? 2 : 0, '... after what came before');
    }
}

# ---- what is no stream of this call's

my %bad = (
    'nothing' => '', 'comments' => ":a\n\n:b\n\n", 'garbage' => 'x' x 5000,
    'no JSON' => "data: no\n\n" x 4, 'half an answer' => "data: $ok\n",
    'another id' => "data: $other\n\n", 'an id of another type' =>
        'data: ' . $ok =~ s/"me\\"1"/1/r . "\n\n",
    'result and error' => 'data: {"jsonrpc":"2.0","id":"me\"1","result":{},'
        . "\"error\":{}}\n\n",
    'an array' => "data: [$ok]\n\n", 'too long' => 'data: <big 17000000>',
    'no jsonrpc' => 'data: ' . $ok =~ s/"jsonrpc":"2.0",//r . "\n\n",
);
for my $era (qw(modern legacy)) {
    for my $what (sort keys %bad) {
        my $r = call($era, head($close) . $bad{$what});
        is(said($r), '200 me"1 upstream_invalid', "$era: $what");
        $r = call($era, head($close) . "data: $note\n\n" . $bad{$what});
        is(said($r), '200 me"1 upstream_invalid', '... behind an event');
        is($r->{events}[0]{method}, 'notifications/progress', '... of which '
           . 'the client knows');
    }
    my $dropped = $t->metrics->{stoa_mcp_events_dropped_total};
    my $r = call($era, head($close) . "data: no\n\ndata: $note\n\n"
        . "data: $other\n\ndata: [1]\n\ndata: $ok\n\ndata: $ok\n\n");
    is(said($r) . @{ $r->{events} }, '200 me"1 result2',
       "$era: three of them are overlooked");
    is($t->metrics->{stoa_mcp_events_dropped_total}, $dropped + 3,
       '... and counted');
    $r = call($era, head($close) . "data: no\n\n" x 4 . "data: $ok\n\n<9>");
    is(said($r), '200 me"1 upstream_invalid', '... a fourth ends it at once');
}
$r = call('modern', head($close) . 'data: {"jsonrpc":"2.0","id":1,"method":'
    . "\"roots/list\"}\n\ndata: $ok\n\n");
is(said($r), '200 me"1 result', 'modern: a request of the server is dropped');

# ---- a client that does not read, while all that is silent below is waited for

my $full = $t->connection;
$full->send_raw($full->request_text('POST', '/mcp/acme', headers => [@headers,
    'Content-Length' => length($body = json_encode({ jsonrpc => '2.0',
        id => 'me"1', method => 'tools/call', params => { name =>
        'legacy__raw', arguments => { raw => head() . "<flood>data: $ok\n\n" }
        } }))]) . $body);

# ---- T7: silence

my @row;                         # [era, what its upstream sends, options]
sub row { push @row, [@_]; return $#row }
my $late = 'HTTP/1.1 200 OK' . "\r\n$close\r\n"
    . "Content-Type: application/json\r\n";
(my $cr = $ok) =~ s/,/\r,\r\n/g;
my @silent = map { row('legacy', $_, name => 'hasty__raw') }
    head() . "data: $note\n\n<9>", head() . '<9>', '<9>';
my $progress = row('legacy', head() . "data: $note\n\n<1>" x 3
    . "data: $ok\n\n", name => 'hasty__raw');
my $endless = row('legacy', head() . "data: $note\n\n<1>" x 20,
                  name => 'hasty__raw', timeout => 15);
my %late = map { my $era = $_; ($era => [
    row($era, "<5>" . $late . 'Content-Length: ' . length($cr)
        . "\r\n\r\n$cr", timeout => 15),
    row($era, "<1.5>" . head($close) . "data: $note\n\ndata: $ok\n\n"),
    row($era, "<1.5>HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n"
        . "Content-Length: 0\r\n\r\n"),
    row($era, "<1.5>"),
    row($era, "<1.5>${late}Content-Length: 5\r\n\r\nhello"),
]) } qw(modern legacy);
my $quiet = row('legacy', head($close) . "data: $note\n\n<4>data: $ok\n\n");

my $timeouts = refused('upstream_timeout');
my @got = $t->together(map { my ($era, $raw, %o) = @$_;
    # a session of its own: ids of calls are unique in one
    sub { call($era, $raw, %o, $era eq 'legacy' ? (session =>
              ($t->mcp_session('/mcp/acme', key => $key))[0]) : ()) } } @row);

$r = $got[$silent[0]];
is(said($r), '200 me"1 upstream_timeout', 'an upstream that falls silent');
$r = $got[$silent[1]];
is(said($r), '200 me"1 upstream_timeout', '... before its first event');
like($r->{headers}{'content-type'}, qr/^text/, '... its client has a head');
$r = $got[$silent[2]];
is(said($r), '200 me"1 upstream_timeout', '... before its head');
like($r->{headers}{'content-type'}, qr/^text/, '... its client has one');

is(said($got[$progress]), '200 me"1 result', 'T7: progress extends the time');
$r = $got[$endless];
is(said($r), '200 me"1 upstream_timeout', '... not beyond max_call_ms');
cmp_ok(@{ $r->{events} }, '<', 9, '... of which it may take');
ok((wait_until { refused('upstream_timeout') - $timeouts >= 4 })
   && refused('upstream_timeout') - $timeouts == 4, '... counted as such');

for my $era (qw(modern legacy)) {
    my ($json, $stream, $redirect, $none, $no) = @got[@{ $late{$era} }];
    is(said($json), '200 me"1 result', "T7 $era: JSON that comes late");
    unlike($json->{body}, qr/\r/, '... a CR in it ends no line of the stream');
    like($json->{body}, qr/\A:\n\n:\n\ndata: /, '... behind comments');
    is(said($stream), '200 me"1 result', "T7 $era: a stream that comes late");
    is(@{ $stream->{events} }, 2, '... with all events');
    is(said($redirect), '200 me"1 upstream_redirect',
       '... a refusal that comes late');
    unlike($redirect->{raw} . $redirect->{body}, qr/evil/,
           '... as clean as any');
    is(said($none), '200 me"1 upstream_invalid', '... none at all');
    is(said($no), '200 me"1 upstream_invalid', '... what is no answer')
        or diag($no->{raw}, $no->{body});
}
like($got[$quiet]{body}, qr/progress.*\n\n:\n\ndata/s,
     'T7: a comment where nothing else was written');

# ---- and then that client reads; one that leaves

my ($n, $was) = (0, -1);
wait_until { my $is = -f $t->dir('flooded') ? slurp($t->dir('flooded')) : 0;
    $n = $is && $is eq $was ? $n + 1 : 0; $was = $is; $n > 20 } 20;
cmp_ok($was, '<', 3000, 'an upstream waits for a client that does not read');
my $got = 0;
$full->response(headers_only => 1);
while (my $e = $full->event(10)) { $got++ if $e->{data} =~ /"params"|result/ }
is($got, 4001, '... who gets all of it when he does');
$full->close;

$c = $t->connection;
$c->send_raw($c->request_text('POST', '/mcp/acme', headers => [@headers,
    'Content-Length' => length $body]) . $body);
$c->fill(time + 5);
$c->close;
ok((wait_until { $t->metrics->{stoa_in_flight} == 0 } 10),
   'a client that leaves holds nothing');

$t->done;
