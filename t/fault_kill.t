#!/usr/bin/perl

# Fifty times kill -9 at a random moment: a worker, all of nginx, the control
# plane, during traffic, changes and usage posting.  Afterwards the store
# opens, the revision is whole, and usage equals what nginx logged.
#
# Exact is impossible for one thing: a worker that dies between counting a
# call and writing its log line.  So the difference may be at most one per
# worker that was killed, and never the other way round by more than that.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Demo;
use Test::Stoa::Load;

my $rounds = $ENV{STOA_KILL_ROUNDS} || 50;
my $t = Test::Stoa->new;
$t->allow_log(qr/exited on signal 9/, qr/signal 9/,
              qr/open socket .* left in connection/,
              qr/shared memory zone "\S+" was locked by/);
$t->control;
my $port = $t->origin;
$t->apply(demo(rest => { echo => $port }));
my @gw = (workers => 2);
$t->gateway(@gw, http => "stoa_usage_interval 200ms;\n");
my $key = $t->key('acme', 'app');
$t->sync;

my $load = load($t, clients => 3, seconds => 300, request =>
    ['GET', '/apis/acme/echo/x', { 'X-API-Key' => $key }]);
srand($ENV{STOA_SEED} // time);
my ($workers, $revision, %killed) = (0, 0);

for my $round (1 .. $rounds) {
    $t->api('PATCH', '/v1/tenants/acme/plans/basic',
            { title => "round $round" });
    select undef, undef, undef, rand 0.3;

    my $what = (qw(worker worker nginx control))[rand 4];
    $killed{$what}++;
    if ($what eq 'worker') {
        my @w = $t->workers('gw');
        kill 'KILL', $w[rand @w] if @w;
        $workers++;
    } elsif ($what eq 'nginx') {
        $t->kill9('gw');
        $t->start_nginx('gw');
        $workers += 2;
    } else {
        $t->kill9('control');
        select undef, undef, undef, rand 0.2;
        $t->control;
    }
}
diag(join ', ', map { "$_ $killed{$_}" } sort keys %killed);

my $n = $load->count;
ok((wait_until { $load->count > $n + 100 } 30), 'calls go on');
my $got = $load->stop;
$t->sync;
pass('the store opened, and is in sync with the control plane');

my $g = $t->must('GET', '/v1/gateways/gw');
is($g->{sync}, 'in-sync', 'the digest of all records is the same');
is_deeply($g->{rejected} || [], [], 'no record was rejected');

my $logged = grep { m{^200 GET /apis/acme/echo/x} } $t->log_lines('gw');
my ($counted, $last) = (0, -1);
wait_until {
    my $u = $t->must('GET', '/v1/tenants/acme/usage?by=api');
    $counted = 0;
    $counted += $_->{c2xx} // 0 for @{ $u->{items} };
    my $same = $counted == $last && $counted >= $logged - $workers;
    $last = $counted;
    select undef, undef, undef, 0.5;
    $same;
} 30;
diag("logged $logged, counted $counted, workers killed $workers, "
     . "clients saw $got->{200} answers");
cmp_ok(abs($counted - $logged), '<=', $workers,
   'usage equals the log, within one call per worker killed');
cmp_ok($counted, '>=', $got->{200} - $workers, 'no answered call is missing');

$t->done;
