#!/usr/bin/perl

# Reload under load: no call fails, limits and quotas go on counting, the
# configuration stream has one reader before and after.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Demo;
use Test::Stoa::Load;

my $t = Test::Stoa->new;
$t->control;
my $port = $t->origin;
$t->apply(demo(rest => { echo => $port },
               plan => "quota_day: 1000000\n"));
$t->gateway(workers => 2);
my $key = $t->key('acme', 'app');
$t->sync;

my $load = load($t, clients => 4, request =>
    ['GET', '/apis/acme/echo/x', { 'X-API-Key' => $key }]);
for my $round (1 .. 5) {
    my $n = $load->count;
    wait_until { $load->count > $n + 60 } 20;
    $t->reload('gw');
}
my $n = $load->count;
wait_until { $load->count > $n + 60 } 20;
my $got = $load->stop;

is_deeply([grep { $_ ne '200' } keys %$got], [], 'five reloads, no failure')
    or diag(explain($got));

$t->must('POST', '/v1/tenants/acme/applications/app/suspend');
$t->sync;
is($t->get('/apis/acme/echo/x', key => $key)->{status}, 403,
   'changes arrive after reloads');

my $total = 0;
wait_until {
    my $u = $t->must('GET', '/v1/tenants/acme/usage?by=api');
    $total = 0;
    $total += $_->{requests} // 0 for @{ $u->{items} };
    $total >= $got->{200} + 1;
} 20;
is($total, $got->{200} + 1, 'usage equals the calls, over five reloads');

$t->done;
