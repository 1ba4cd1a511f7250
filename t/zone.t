#!/usr/bin/perl

# The shared zone: exact over workers, kept over a reload, and what a killed
# worker held is given back.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin(sub {
    my ($q) = @_;
    sleep 30 if $q->{path} eq '/slow';
    return [200, [], 'x'];
});
my $key = $f->world($port, rate => 1, per_ms => 3600000, burst => 20);
$f->save;

sub get { return $t->get("/apis/acme/echo/$_[0]", key => $key) }
sub calls { my %s; $s{ get('x')->{status} }++ for 1 .. $_[0]; return \%s }

$t->gateway(workers => 4, wait => 0);
$f->ready;


# twenty at once over four workers, whoever asks

my @kids;
for my $kid (1 .. 8) {
    my $pid = fork;
    if ($pid) { push @kids, $pid; next }
    my $n = grep { get('x')->{status} == 200 } 1 .. 10;
    require POSIX;
    POSIX::_exit($n);
}
my $sum = 0;
for (@kids) { waitpid $_, 0; $sum += $? >> 8 }
is($sum, 20, 'eighty calls by eight clients: twenty pass');

$t->reload;
is_deeply(calls(3), { 429 => 3 }, 'a reload does not forget them');

my $conf = slurp($t->dir('gw/nginx.conf'));
(my $larger = $conf) =~ s/stoa:8m/stoa:16m/;
spew($t->dir('gw/nginx.conf'), $larger);
$t->reload;
$f->ready;
is(get('x')->{status}, 200, 'another size starts afresh');
like(slurp($t->dir('gw/logs/error.log')),
     qr/\[warn\].*replaces "stoa".*rate limits .* start afresh/,
     'and the log says so');


# in flight

$f->world($port, concurrency => 2);
$f->save;
$f->ready;
sub fly { return $f->status_of->{zone}{in_flight} }

my @c = map { my $c = $t->connection;
              $c->send_raw("GET /apis/acme/echo/slow HTTP/1.1\r\nHost: x\r\n"
                           . "X-API-Key: $key\r\n\r\n"); $c } 1, 2;
is((wait_until { fly() == 2 } 5), 1, 'two are in flight');
is(get('x')->{json}{code}, 'concurrency_exceeded', 'a third is refused');

$t->reload;
$f->ready;
is(fly(), 2, 'a reload keeps the count');
is(get('x')->{status}, 429, 'and the limit');

# one client goes

$c[0]->close;
is((wait_until { fly() == 1 } 10), 1, 'a client that leaves gives its place');
is(get('x')->{status}, 200, 'to the next');
is((wait_until { fly() == 1 } 5), 1, 'which gives it back');

# the old workers die, which nobody replaces

$t->allow_log(qr/exited on signal 9/);
my $master = $t->pid('gw');
my %new = map { ($_ => 1) } $t->workers;
for my $p (split ' ', slurp("/proc/$master/task/$master/children")) {
    kill 'KILL', $p unless $new{$p};
}
is((wait_until { fly() == 0 } 10), 1,
   'what killed workers held is given back');
$_->close for @c;

# and one that is replaced

@c = map { my $c = $t->connection;
           $c->send_raw("GET /apis/acme/echo/slow HTTP/1.1\r\nHost: x\r\n"
                        . "X-API-Key: $key\r\n\r\n"); $c } 1, 2;
is((wait_until { fly() == 2 } 5), 1, 'two are in flight');
kill 'KILL', keys %new;
is((wait_until { fly() == 0 } 10), 1, 'all workers killed');
is_deeply([map { get('x')->{status} } 1, 2], [200, 200], 'calls pass');
$_->close for @c;

cmp_ok($f->status_of->{zone}{rate_slots}, '>', 300000, '16m: slots');
is((wait_until { $f->status_of->{zone}{concurrency_used} == 0 } 5), 1,
   'none in use');

$f->done;
