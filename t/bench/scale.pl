#!/usr/bin/perl

# How cost grows with what is configured: the time of the first whole sync,
# of a restart, of a change to be seen; CPU per call; memory.  A report.
#
#   t/bench/scale.pl [--keys 1000,100000,1000000] [--routes 1,50000]
#                    [--seconds 3] [--changes 200]
#
# Records are written straight into the feed of a real control plane
# (t/bench/seed.py); keys are called at random over 2,000 of them.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Getopt::Long;
use Time::HiRes qw(time sleep);
use Test::Stoa;
use Test::Stoa::Demo;

my %o = (keys => '1000,100000,1000000', routes => '100,50000', seconds => 3,
         changes => 200, rounds => 3);
GetOptions(\%o, 'keys=s', 'routes=s', 'seconds=f', 'changes=i', 'rounds=i')
    or exit 1;
$| = 1;

my @routes = split /,/, $o{routes};
my @runs = ((map { [$_, $routes[0]] } split /,/, $o{keys}),
            map { [1000, $_] } @routes[1 .. $#routes]);
push @runs, [(split /,/, $o{keys})[-1], $routes[-1]]
    if @routes > 1 && $o{keys} =~ /,/;          # most of both at once
my @table = (['keys', 'routes', 'sync s', 'restart s', 'CPU us/req', 'ratio',
              'change p50 ms', 'p99 ms', 'own MB', 'store MB']);
my $first;

for my $run (@runs) {
    push @table, [one(@$run)];
    print STDERR join("\t", @{ $table[-1] }), "\n";
}
for my $line (@table) {
    print join('  ', map { sprintf '%12s', $_ } @$line), "\n";
}


sub one {
    my ($keys, $routes) = @_;
    my $t = Test::Stoa->new;
    $t->control;

    my $user = $> == 0 ? 'user root;' : '';
    $t->write_file('up/nginx.conf', "$user daemon off; pid nginx.pid; "
        . "error_log logs/error.log; events {}\nhttp { access_log off; "
        . 'server { listen 127.0.0.1:%%PORT_rest%%; keepalive_requests '
        . "100000000; location / { return 200 ok; } } }\n");
    mkdir $t->dir('up/logs');
    $t->start_nginx('up');
    $t->apply(demo(rest => { live => $t->port('rest') }));
    $t->register('gw', 'default') if mkdir $t->dir('gw');
    $t->stop('control');

    my @seed = ('python3', "$FindBin::Bin/seed.py", $t->dir('control.db'),
        $keys, $routes, $t->port('rest'), 2000, $t->dir('samples'));
    system(@seed) == 0 or die "seed.py failed\n";
    $t->control;

    my $from = time;
    $t->gateway(level => 'error', store => 'size=4g', wait => 0,
        http => "access_log off; keepalive_requests 100000000;\n");
    wait_until { $t->get('/stoa/ready')->{status} == 200 } 300
        or die "no sync: ", slurp($t->dir('gw/logs/error.log'));
    my $sync = time - $from;

    $t->stop('gw');
    $from = time;
    $t->start_nginx('gw', name => 'gw');
    wait_until { $t->get('/stoa/ready')->{status} == 200 } 60;
    my $restart = time - $from;

    my @us = sort { $a <=> $b } map { calls($t) } 1 .. $o{rounds};
    my $us = $us[$#us / 2];
    $first //= $us;
    my ($p50, $p99) = changes($t);

    my ($pid) = $t->workers('gw');
    my ($own) = slurp("/proc/$pid/smaps_rollup") =~ /^Anonymous:\s+(\d+)/m;
    my ($store) = split /\s/, `du -sk @{[ $t->dir('gw/store') ]}`;

    my @row = ($keys, $routes, map({ sprintf '%.2f', $_ } $sync, $restart,
        $us, $us / $first, $p50, $p99, $own / 1024),
        sprintf '%.0f', $store / 1024);
    $t->stop_all;
    $t->clean;
    return @row;
}


# CPU of the worker per call, keys at random

sub calls {
    my ($t) = @_;
    my ($pid) = $t->workers('gw');
    my $lua = $t->write_file('random.lua', <<'END');
local calls = {}
for line in io.lines("%%DIR%%/samples") do
    local key, path = line:match("^(%S+) (%S+)$")
    calls[#calls + 1] = wrk.format("GET", path, { ["X-API-Key"] = key,
        Host = "x" })
end
math.randomseed(1)
request = function() return calls[math.random(#calls)] end
done = function(s, l)
    io.write(string.format("RESULT %d %d\n", s.requests, s.errors.status))
end
END
    my $before = (split / /, slurp("/proc/$pid/schedstat"))[0];
    my $out = `wrk -t1 -c32 -d$o{seconds}s -s '$lua' http://127.0.0.1:@{[
        $t->port('gw') ]}/ 2>&1`;
    my $cpu = (split / /, slurp("/proc/$pid/schedstat"))[0] - $before;
    my ($n, $bad) = $out =~ /^RESULT (\d+) (\d+)/m or die $out;
    die "$bad of $n calls were refused\n" if $bad;
    return $cpu / 1000 / $n;
}


# From the moment the admin's request is sent to the first refusal, or the
# first answer, of a caller that asks without pause: an upper bound, with the
# admin API's own time in it.

sub changes {
    my ($t) = @_;
    my $key = $t->key('acme', 'app');
    $t->sync('gw', 60);
    my @ms;
    for my $i (1 .. $o{changes}) {
        my ($event, $want) = $i % 2 ? ('suspend', 403) : ('resume', 200);
        my $c = $t->connection;
        my $from = time;
        $t->must('POST', "/v1/tenants/acme/applications/app/$event");
        until ($c->request('GET', '/apis/acme/live/x',
            keepalive => 1, headers => { 'X-API-Key' => $key })->{status} == $want)
        {
            die "a change is not seen\n" if time - $from > 10;
        }
        push @ms, (time - $from) * 1000;
        $c->close;
    }
    @ms = sort { $a <=> $b } @ms;
    return ($ms[$#ms / 2], $ms[$#ms * 0.99]);
}
