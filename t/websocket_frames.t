#!/usr/bin/perl

# WebSocket frame by frame: what the policy "websocket" allows, what ends a
# connection and by which code, with a client and a server as there are.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module', 'wire');
my $f = Test::Stoa::FakeControl->new($t);
my $python = "$Test::Stoa::PARTS/wire/venv/bin/python";
my $log = $t->dir('ws.log');
$t->start('ws', foreign => 1, argv => [$python,
    "$FindBin::Bin/sdk/ws_server.py", $t->port('ws'), $log]);
my $port = $t->port('ws');
my $key = $f->world($port);

sub fid { return Test::Stoa::FakeControl::id(@_) }

my %policy = (10 => {}, 2 => { max_message_bytes => 1000, max_answer_bytes => 5000 },
    3 => { messages_per_s => 5 }, 4 => { bytes_per_s => 5000 },
    5 => { idle_s => 1 }, 6 => { max_s => 2 }, 7 => { ping_s => 1 },
    8 => { max_connections => 1 },
    9 => { subprotocols => ['chat'], origins => ['https://app.example'] });
for my $n (sort keys %policy) {
    $f->api($n, $port, requires => [{ id => 29, version => 1 }],
        policies => [{ type => 'websocket', name => "p$n", scope => 'api',
                       state => 'enabled', config => $policy{$n} }]);
    $f->put('subscription', 'sub:' . fid('a', 1) . ':' . fid('r', $n),
        { id => fid('s', $n), tenant => fid('t', 1),
          application => fid('a', 1), target => fid('r', $n),
          target_kind => 'api', plan => fid('p', 1), state => 'active',
          expires_ms => 0 });
}
$f->save;
$t->gateway(wait => 0);
$f->ready or die 'not ready';
wait_until { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                   PeerPort => $port) } 20;

sub child {
    pipe(my $from_r, my $from_w) or die;
    pipe(my $to_r, my $to_w) or die;
    my $pid = fork // die;
    if (!$pid) {
        open STDIN, '<&', $to_r;
        open STDOUT, '>&', $from_w;
        exec $python, "$FindBin::Bin/sdk/ws_client.py", $t->port('gw');
    }
    close $_ for $to_r, $from_w;
    $to_w->autoflush(1);
    return { pid => $pid, to => $to_w, from => $from_r };
}
my @child = map { child() } 1 .. 3;
sub ask {
    my ($api, %o) = @_;
    my $c = delete $o{by} // $child[0];
    $o{key} = $key if !exists $o{key};
    print { $c->{to} } json_encode({ path => "/apis/acme/$api/c", %o }), "\n";
    return $c;
}
sub heard {
    my ($c) = @_;
    my $in = $c->{from};
    return json_decode(<$in> // die 'no client');
}
sub ws { return heard(ask(@_)) }
sub told { my ($how) = @_; return scalar(grep { /$how/ }
                                         split /\n/, slurp($log)) }
sub opened {
    my ($n) = @_;
    return wait_until {
        my $m = $t->metrics;
        $m->{stoa_websockets_total} - $m->{stoa_websockets_ended_total} == $n
    } 15;
}
sub closed {
    my ($r, $code, $why, $what) = @_;
    is($r->{code}, $code, "$what: $code") or diag(json_encode($r));
    like($r->{reason}, $why, 'and why');
    return $r;
}

# ---- what passes -----------------------------------------------------------

my $r = ws('echo', send => ['abc', 'ü', ['frag', 'ments'], 70000]);
is_deeply($r->{got}, ['abc', 'ü', 'fragments', 70000],
          'messages of all sizes') or diag(json_encode($r));
is($r->{code}, 1000, 'the end is theirs');
is(ws('echo', send => ['z' x 5000], deflate => 1)->{got}[0], 5000,
   'compressed ones');
is(ws('api2', send => ['z' x 900000], deflate => 1)->{got}[0], 900000,
   'counted as they are sent');
is(ws('echo', send => ['close'])->{code}, 4000, "the server's close");
my $m;
ok((wait_until { $m = $t->metrics; $m->{stoa_websocket_messages_in_total} >= 7
                 && $m->{stoa_websockets_ended_total} >= 4 } 10),
   'counted') or diag(json_encode({ map { $_ => $m->{$_} }
                                    grep { /websock/ } keys %$m }));

# ---- limits ------------------------------------------------------------------

is(ws('api2', send => ['x' x 1000])->{got}[0], 1000, 'as long as may be');
closed(ws('api2', send => ['x' x 1001]), 1009, qr/too long/,
       'a message that is longer');
closed(ws('api2', send => [['x' x 600, 'x' x 600]]), 1009, qr/too long/,
       'in fragments, too');
closed(ws('api2', send => ['send 5001']), 1009, qr/too long/,
       'one of the server');
ok((wait_until { told('api2\S* 1009') >= 3 || told('/c 1009') >= 3 } 5),
   'the server is told the same') or diag(slurp($log));
closed(ws('api3', send => [('x') x 8], wait => -1, hold => 5), 1008,
       qr/too many messages/, 'too many at once');
closed(ws('api4', send => [(2000) x 4], wait => -1, hold => 5), 1008,
       qr/too many bytes/, 'too many bytes');
$r = closed(ws('api5', send => ['x'], hold => 8), 1001, qr/nothing was said/,
            'silence');
closed(ws('api6', send => ['x'], hold => 8), 1001, qr/its time is over/,
       'a life that is over');
$r = ws('api7', send => ['x'], hold => 3.5);
is($r->{code}, 1000, 'pings are answered and passed on');
ok(opened(0), 'all are over');
ask('api8', by => $child[1], send => ['a'], hold => 40);
ok(opened(1), 'one of its own');
$r = ws('api8', send => ['x']);
is($r->{status}, 429, 'is refused');
like($r->{body}, qr/"websocket_full"/, 'and why');
is(ws('api9', send => ['x'], origin => 'https://app.example')->{got}[0], 'x',
   'a page that may');
$r = ws('api9', send => ['x'], origin => 'https://evil.example');
is($r->{status}, 403, 'one that may not');
like($r->{body}, qr/"websocket_denied"/, 'and why');
$r = ws('api9', send => ['x'], protocols => ['chat', 'other']);
is($r->{protocol}, 'chat', 'a subprotocol');
is(ws('api9', send => ['x'], protocols => ['bad'])->{status}, 403,
   'one that may not be');
$r = ws('api9', send => ['x'], protocols => ['bad', 'chat']);
is($r->{status}, 502, 'nor may the server take it');
like($r->{body}, qr/"websocket_protocol"/, 'and why');

# ---- frames that are none ------------------------------------------------------

sub upgraded {
    my ($api) = @_;
    my $c = $t->connection;
    $c->send_raw($c->request_text('GET', "/apis/acme/$api/c",
        headers => { 'X-API-Key' => $key, Upgrade => 'websocket',
            Connection => 'Upgrade', 'Sec-WebSocket-Version' => 13,
            'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==' }));
    $c->fill(time + 5) until $c->{in} =~ /\r\n\r\n/ || $c->{eof}++ > 3;
    $c->{in} =~ s/\A.*?\r\n\r\n//s;
    return $c;
}
sub frames {
    my ($api, $bytes, $cut) = @_;
    my $c = upgraded($api);
    if ($cut) {
        for my $ch (split //, $bytes) {
            $c->send_raw($ch);
            select undef, undef, undef, 0.002;
        }
    } else {
        $c->send_raw($bytes);
    }
    my $end = time + 6;
    1 while time < $end && length $c->{in} < 4 && $c->fill($end);
    my ($op, $n, $code) = unpack 'CCn', $c->{in} . "\0" x 4;
    $c->close;
    return $op == 0x88 ? $code : sprintf '%02x', $op;
}
my $mask = "\1\2\3\4";
for (['not masked', "\x81\3abc"], ['a reserved bit', "\xb1\x80$mask"],
     ['compressed, and nobody has said so', "\xc1\x80$mask"],
     ['a reserved opcode', "\x83\x80$mask"],
     ['2^63 bytes', "\x82\xff" . pack('Q>', 1 << 63) . $mask],
     ['a length in a longer form', "\x82\xfe\0\5$mask"],
     ['a long ping', "\x89\xfe\0\x80$mask"],
     ['a ping in pieces', "\x09\x80$mask"],
     ['a continuation of nothing', "\x80\x80$mask"],
     ['a message within one', "\x01\x80$mask\x81\x80$mask"])
{
    my ($what, $bytes) = @$_;
    is(frames('api2', $bytes), 1002, $what);
}
is(frames('api2', "\x81\x83$mask" . ("abc" ^ "\1\2\3"), 1), '81',
   'byte by byte it passes');
is(frames('api2', "\x82\xff" . pack('Q>', (1 << 63) - 1) . $mask), 1009,
   'a length that nobody has');
is(frames('api3', "\x01\x80$mask" . "\0\x80$mask" x 20), 1008,
   'parts that are empty are messages');
is(frames('api4', "\x01\x80$mask" . "\0\x80$mask" x 1000), 1008,
   'and heads are bytes');
{
    my $c = upgraded('api5');
    $c->send_raw("\x82\x86$mask");
    for (1 .. 6) {
        $c->send_raw('x');
        select undef, undef, undef, 0.5;
    }
    $c->fill(time + 5) until length $c->{in} >= 2 || $c->{eof}++ > 3;
    is(sprintf('%02x', ord $c->{in}), '82', 'a frame that is slow is said');
    $c->close;
}
is(frames('echo', "\x81\3abc"), 1002, 'without a policy the server judges');

# ---- usage ---------------------------------------------------------------------

sub usage {
    my %n = (in => 0, out => 0, calls => 0);
    for my $b ($f->posts('usage')) {
        for my $row (grep { $_->{api} eq fid('r', 10) } @{ $b->{rows} }) {
            $n{in} += $row->{bytes_in};
            $n{out} += $row->{bytes_out};
            $n{calls} += $row->{c2xx};
        }
    }
    return \%n;
}
my $long = ask('api10', by => $child[2], send => ['x' x 3000], hold => 4);
my $n;
ok((wait_until { $n = usage(); $n->{calls} == 1 && $n->{in} > 3000
                 && $n->{out} > 3000 } 15), 'counted while it is open')
    or diag(json_encode($n));
$r = heard($long);
is($r->{code}, 1000, 'then it ends');
ok((wait_until { my $m = usage(); $m->{in} > $n->{in} } 15),
   'the rest is counted') or diag(json_encode(usage()));
is(usage()->{calls}, 1, 'it is one call');

# ---- who may no longer ----------------------------------------------------------

ask('echo', by => $child[2], send => ['a'], hold => 40);
ok(opened(2), 'two are open');
$f->credential(1, state => 'revoked');
$f->save;
closed(heard($child[1]), 1008, qr/refused now/, 'a key that is revoked');
closed(heard($child[2]), 1008, qr/refused now/, 'at all sockets');
$f->credential(1);
$f->save;
$f->ready or die 'not ready again';
ok((wait_until { ws('api8', send => ['x'])->{got}[0] } 5), 'its place is free');

ok(opened(0), 'all are over');
ask('echo', by => $child[1], send => ['a'], hold => 40);
ok(opened(1), 'one is open');
$t->reload('gw');
closed(heard($child[1]), 1001, qr/goes away/, 'a worker that exits');

ask('api8', by => $child[1], send => ['a'], hold => 40);
ok(opened(1), 'one more');
kill 'KILL', $t->workers('gw');
is(heard($child[1])->{code}, 0, 'a worker that is killed');
ok((wait_until { (ws('api8', send => ['x'])->{got} // [])->[0] } 10),
   'gives its place back');
ok(opened(0), 'and its connections are over');
$t->allow_log(qr/exited on signal 9/);

for (@child) {
    close $_->{to};
    waitpid $_->{pid}, 0;
}
$f->done;
