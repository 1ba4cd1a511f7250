#!/usr/bin/perl

# The control plane dies under load, stays away, comes back: callers notice
# nothing, and a gateway starts without it.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Demo;
use Test::Stoa::Load;

my $t = Test::Stoa->new;
$t->control;
my $port = $t->origin;
$t->apply(demo(rest => { echo => $port }));
$t->gateway(workers => 2);
my $key = $t->key('acme', 'app');
my $bad = $t->key('acme', 'app');
$t->sync;

my @call = ('GET', '/apis/acme/echo/x');
is($t->http(@call, key => $key)->{status}, 200, 'a call');

my $load = load($t, clients => 4, request => [@call, { 'X-API-Key' => $key }]);
wait_until { $load->count > 50 };
$t->kill9('control');
my $then = $load->count;
wait_until { $load->count > $then + 500 } 30;
$t->control;
$then = $load->count;
wait_until { $load->count > $then + 200 } 30;
my $got = $load->stop;
cmp_ok($got->{200}, '>', 700, 'calls went on');
is_deeply([grep { $_ ne '200' } keys %$got], [],
    'not one failed while the control plane was killed and came back');

# a restart without it: the same answers

$t->must('POST', "/v1/tenants/acme/applications/app/credentials/"
    . (split /_/, $bad)[2] . '/revoke');
$t->sync;
$t->stop('control');
$t->stop('gw');
$t->start_nginx('gw');
my $ready = wait_until {
    $t->get('/stoa/ready')->{status} == 200
} 10;
ok($ready, 'ready without a control plane');
is($t->http(@call, key => $key)->{status}, 200, '... and serves');
is($t->http(@call, key => $bad)->{status}, 401,
   '... what was revoked stays revoked');
is($t->http(@call)->{status}, 401, '... and refuses as before');

# and it catches up

$t->control;
$t->must('POST', '/v1/tenants/acme/applications/app/suspend');
$t->sync;
is($t->http(@call, key => $key)->{status}, 403, 'changes arrive again');

$t->done;
