package Test::Stoa::Cost;

# What the control plane and its database cost: CPU time, which another load
# on the machine changes little, beside the time that somebody waits.
#
#   my ($cpu, $wall) = cost($t, 20, sub { asked($t, '/v1/apis') });
#   printf "%.1f MB\n", memory($t);

use strict;
use warnings;

use Exporter 'import';
use Test::Stoa::Base qw(slurp);
use Time::HiRes qw(time);

our @EXPORT = qw(cost asked cpu memory load);

# ms of the daemon's threads, and of PostgreSQL's processes, those that have
# ended (its parallel workers) among them.

sub cpu {
    my ($t) = @_;
    my $ns = 0;
    my @pids = ($t->pid('control'));
    if (my $pg = $t->pid('postgres')) {
        push @pids, split ' ', slurp("/proc/$pg/task/$pg/children") // '';
        my @f = split ' ', (slurp("/proc/$pg/stat") =~ /.*\) (.*)/s)[0];
        $ns += ($f[13] + $f[14]) * 1e7;         # cutime, cstime
    }
    for (map { glob "/proc/$_/task/*/schedstat" } @pids) {
        $ns += (split ' ', slurp($_) // '0')[0] || 0;
    }
    return $ns / 1e6;
}

# A call in ms: CPU of n of them by the call, the wall's median.

sub cost {
    my ($t, $n, $call) = @_;
    $call->() for 1 .. 3;
    my (@took, $from);
    my $before = cpu($t);
    for (1 .. $n) {
        $from = time;
        $call->();
        push @took, 1000 * (time - $from);
    }
    my $cpu = (cpu($t) - $before) / $n;
    return ($cpu, (sort { $a <=> $b } @took)[$#took / 2]);
}

# A page as the platform's admin, which is not read: that is our own time.

sub asked {
    my ($t, $path) = @_;
    my $r = Test::Stoa::http_once($t->port('control'), 'GET', $path,
        headers => { Authorization => "Bearer $t->{token}" }, timeout => 60);
    die "$path: $r->{status} $r->{body}\n" if $r->{status} != 200;
}

# MB that the daemon holds: now, and at most so far.

sub memory {
    my ($t) = @_;
    my ($status) = slurp('/proc/' . $t->pid('control') . '/status');
    my %kb = $status =~ /^(VmHWM|VmRSS):\s+(\d+)/mg;
    return ($kb{VmRSS} / 1024, $kb{VmHWM} / 1024);
}

sub load { return (split ' ', slurp('/proc/loadavg'))[0] }

1;
