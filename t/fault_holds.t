#!/usr/bin/perl

# Places among concurrent calls are given back whoever ends and however:
# clients that leave at each stage, upstreams that cut, all workers killed at
# once, reloads; and never more than the plan allows are held.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;
use Time::HiRes qw(sleep);

my $t = Test::Stoa->new->has('module')->allow_log(qr/exited on signal 9/);
my $f = Test::Stoa::FakeControl->new($t);
my $answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello";
my $port = $t->origin(sub {
    my ($q, $c) = @_;
    if ($q->{path} =~ m{/cut(\d+)}) {
        $c->send_raw(substr $answer, 0, $1);
        return undef;
    }
    if ($q->{path} eq '/hold') { sleep 1 for 1 .. 3 }
    return [200, [], 'ok'];
});
my $key = $f->world($port, concurrency => 8);
$f->save;
$t->gateway(wait => 0, workers => 4);
$f->ready or die 'not ready';

my $head = "Host: x\r\nX-API-Key: $key\r\n";

sub start {
    my ($text) = @_;
    my $c = $t->connection;
    $c->send_raw($text);
    return $c;
}
sub held { return $t->get('/stoa/status')->{json} }
sub in_flight { my $m = $t->metrics;
                my ($k) = grep { /^stoa_.*in_flight/ } keys %$m;
                return defined $k ? $m->{$k} : -1 }
sub free { my ($what) = @_;
    my $ok = wait_until { in_flight() == 0 } 10;
    is($ok, 1, "$what: nothing is held") or diag(in_flight());
    my @c = map { start("GET /apis/acme/echo/hold HTTP/1.1\r\n$head\r\n") }
            1 .. 8;
    wait_until { in_flight() == 8 } 5;
    is($t->get('/apis/acme/echo/x', key => $key)->{status}, 429,
       "$what: eight, and no more");
    $_->close for @c;
    $ok = wait_until { in_flight() == 0 } 10;
    is($ok, 1, "$what: clients that leave give back") or diag(in_flight());
}

free('at first');

# clients that leave at each byte of a request

my $text = "POST /apis/acme/echo/hold HTTP/1.1\r\n${head}"
           . "Content-Length: 10\r\n\r\n0123456789";
for my $n (1 .. length $text) {
    my $c = start(substr $text, 0, $n);
    sleep 0.002;
    if ($n % 2) {            # a reset instead of an orderly end
        setsockopt $c->{sock}, Socket::SOL_SOCKET(), Socket::SO_LINGER(),
            pack('ii', 1, 0);
    }
    $c->close;
}
free('aborted requests');

# upstreams that close at each byte of an answer

my %got;
for my $n (0 .. length $answer) {
    my $r = $t->get("/apis/acme/echo/cut$n", key => $key);
    $got{ $r->{status} }++;
}
is(join(' ', grep { !/^(?:200|502)$/ } keys %got), '', '502, or cut short');
free('upstreams that cut');

# all workers killed at once, with all places taken, again and again

for my $round (1 .. 6) {
    my @c = map { start("GET /apis/acme/echo/hold HTTP/1.1\r\n$head\r\n") }
            1 .. 8;
    wait_until { in_flight() == 8 } 5;
    my @old = $t->workers;
    kill 'KILL', @old;
    my %old = map { ($_ => 1) } @old;
    wait_until { my @now = $t->workers; @now == 4 && !grep { $old{$_} } @now }
        10;
    $_->close for @c;

    # at once: what a new worker holds already must not be cleared

    my @n = map { start("GET /apis/acme/echo/hold HTTP/1.1\r\n$head\r\n") }
            1 .. 12;
    my @s = sort map { $_->response(timeout => 8)->{status} } @n;
    my $ok = grep { $_ == 200 } @s;
    is($ok, 8, "round $round: eight at a time after a kill") or diag("@s");
}
free('kills');

# reload with all places taken: the old worker's count too

my @c = map { start("GET /apis/acme/echo/hold HTTP/1.1\r\n$head\r\n") } 1 .. 8;
wait_until { in_flight() == 8 } 5;
$t->reload('gw');
is($t->get('/apis/acme/echo/x', key => $key)->{status}, 429,
   'over a reload the old calls count');
is(join(' ', map { $_->response(timeout => 8)->{status} } @c),
   join(' ', (200) x 8), 'and end well');
free('reload');

$f->done;
