#!/usr/bin/perl

# Reload under load: no call fails, limits and quotas go on counting, the
# configuration stream has one reader before and after.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Demo;
use Test::Stoa::Load;
use Test::Stoa::MCP;

my $t = Test::Stoa->new->allow_log(qr/exited on signal 9/,
    qr/\[emerg\] .*(?:bind\(\)|open\(\)|still could not bind)/);
$t->control;
my $port = $t->origin;
$t->apply(demo(rest => { echo => $port }, plan => "quota_day: 1000000\n",
    mcp => { m => $t->mcp_origin(name => 'm', sessions => 1) }));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')->{json}{items} || [] }
} 20 or $t->give_up('tools were not discovered');
$t->gateway(workers => 2);
my $key = $t->key('acme', 'app');
$t->sync;

my $load = load($t, clients => 4, request =>
    ['GET', '/apis/acme/echo/x', { 'X-API-Key' => $key }]);
my $conf = $t->dir('gw/nginx.conf');
my $good = slurp($conf);
for my $round ([], [4, '16m'], [1, '8m'], [3, '24m'], []) {
    my ($workers, $zone) = @$round;
    my $n = $load->count;
    wait_until { $load->count > $n + 60 } 20;
    my $now = $good;
    if ($workers) {
        $now =~ s/worker_processes \d+/worker_processes $workers/ or die;
        $now =~ s/stoa:8m/stoa:$zone/ or die;
    }
    spew($conf, $now);
    $t->reload('gw');
    is(scalar(my @w = $t->workers), $workers || 2, 'so many workers now');
}
my $n = $load->count;
wait_until { $load->count > $n + 60 } 20;
my $got = $load->stop;

is_deeply([grep { $_ ne '200' } keys %$got], [],
          'five reloads, other workers and zones, no failure')
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

# a reload that fails when the configuration is read already: what the master
# forks next still has the old one, and sessions go on

$t->must('POST', '/v1/tenants/acme/applications/app/resume');
$t->sync;
my ($session) = $t->mcp_session('/mcp/acme', key => $key);
sub tool { return $t->mcp('/mcp/acme', 'tools/call', { name => 'm__echo',
    arguments => { text => 'hi' } }, key => $key, era => 'legacy',
    session => $session)->{status} }
is(tool(), 200, 'a session');
for my $fault ('listen', 'log') {
    my $n = () = $t->log_lines('gw', 'error.log');
    (my $bad = $good) =~ s{(http \{)}{$fault eq 'listen'
        ? "$1 server { listen 192.0.2.1:1; }"
        : "$1 access_log /proc/none/x.log;"}e;
    spew($conf, $bad);
    kill 'HUP', $t->pid('gw');
    wait_until { my @new = $t->log_lines('gw', 'error.log');
                 splice @new, 0, $n; grep { /\[emerg\]/ } @new } 20;
    my @old = $t->workers;
    kill 'KILL', @old;
    my %old = map { ($_ => 1) } @old;
    wait_until { 2 == grep { !$old{$_} } $t->workers } 20;
    is_deeply([ map { tool() } 1 .. 4 ], [ (200) x 4 ],
              "a reload that failed ($fault), then killed workers");
}

$t->done;
