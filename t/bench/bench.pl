#!/usr/bin/perl

# The gateway beside bare nginx proxy_pass, HAProxy and Envoy, on one machine:
# first instructions and system calls per request, which are the same on a
# busy machine, then an interleaved run of wrk: requests per second, latency,
# CPU microseconds per request, private memory.  A report, never a test.
#
#   make bench                       21 rounds of a second a row
#   t/bench/bench.pl --rounds 9 --seconds 2 [--only REGEX] [--markdown]
#                    [--count 200] [--no-wrk]
#
# CPU time is that of all threads of the process (schedstat, ns); a ratio is
# taken within each round against the row that is named, then the median.
# Every row has one worker, plain HTTP, keep-alive on both sides, 32
# connections.  HAProxy and Envoy are t/parts/get.sh's: rows of what is not
# there are left out.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Getopt::Long;
use Time::HiRes qw(time);
use Test::Stoa;
use Test::Stoa::Bench;
use Test::Stoa::Count;

my %o = (rounds => 21, seconds => 1, connections => 32, count => 200,
         wrk => 1);
GetOptions(\%o, 'rounds=i', 'seconds=i', 'connections=i', 'only=s',
           'markdown', 'count=i', 'wrk!', 'help') or exit 1;
if ($o{help}) {
    print "bench.pl [--rounds N] [--seconds S] [--connections N]\n"
        . "         [--only REGEX] [--markdown] [--count N] [--no-wrk]\n";
    exit;
}

$| = 1;
my $t = Test::Stoa->new;

print STDERR "starting: control plane, upstreams, gateways\n";
my $bench = Test::Stoa::Bench->new($t, shared =>
    -x '/usr/bin/redis-server');
my @rows = ($bench->rows, $bench->protect, $bench->haproxy, $bench->envoy);
@rows = grep { $_->{name} =~ /$o{only}/ || needed($_->{name}) } @rows
    if $o{only};

sub needed { my ($name) = @_;
    return grep { defined $_->{base} && $_->{base} eq $name
                  && $_->{name} =~ /$o{only}/ } @rows }

sub median { my @s = sort { $a <=> $b } @_; return $s[$#s / 2] }

sub table {
    my (@table) = @_;

    if ($o{markdown}) {
        splice @table, 1, 0, [('---') x @{ $table[0] }];
        print '| ', join(' | ', @$_), " |\n" for @table;
    } else {
        my @w = map { my $i = $_; (sort { $b <=> $a }
            map { length $_->[$i] } @table)[0] } 0 .. $#{ $table[0] };
        for my $line (@table) {
            print join('  ', map { sprintf $_ ? "%$w[$_]s" : "%-$w[$_]s",
                                   $line->[$_] } 0 .. $#$line), "\n";
        }
    }
    print "\n";
}


# ---- the rounds -----------------------------------------------------------

my %pid = map { $_ => ($t->workers($_))[0] // $t->pid($_) }
    map { $_->{proc} } @rows;
my (%sample, %ratio);

for my $row (@rows) {
    $bench->checked($row);
    $row->{script} = script(@$row{qw(name method headers body)});
}

for my $round (0 .. ($o{wrk} ? $o{rounds} : -1)) {      # round 0 warms up
    my %us;
    my @order = @rows;
    push @order, splice @order, 0, $round % @rows;      # nobody is always first
    for my $row (@order) {
        my $m = measure($row, $round ? $o{seconds} : 1);
        next unless $round;
        $us{ $row->{name} } = $m->{us};
        push @{ $sample{ $row->{name} } }, $m;
    }
    for my $row (@rows) {
        push @{ $ratio{ $row->{name} } },
            $us{ $row->{name} } / $us{ $row->{base} }
            if $round && defined $row->{base} && $us{ $row->{base} };
    }
    print STDERR $round ? "round $round\n" : "warm\n";
}

sub script {
    my ($name, $method, $h, $body) = @_;
    my %h = @$h;
    (my $file = $name) =~ s/\W+/-/g;
    my $lua = "wrk.method = \"$method\"\n";
    $lua .= "wrk.body = [==[$body]==]\n" if defined $body;
    $lua .= "wrk.headers[\"$_\"] = \"$h{$_}\"\n" for sort keys %h;
    $lua .= <<'END';
done = function(summary, latency)
    io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests,
        summary.duration, latency:percentile(50), latency:percentile(99),
        summary.errors.status, summary.errors.connect + summary.errors.read
        + summary.errors.write + summary.errors.timeout))
end
END
    return $t->write_file("wrk/$file.lua", $lua);
}

sub cpu_ns {
    my ($pid) = @_;
    my $ns = 0;
    $ns += (split / /, slurp($_))[0] // 0
        for glob("/proc/$pid/task/*/schedstat");
    return $ns;
}

sub measure {
    my ($row, $seconds) = @_;
    my $pid = $pid{ $row->{proc} };
    my $port = $t->port($row->{proc});
    my $from = cpu_ns($pid);
    my $cmd = "wrk -t1 -c$o{connections} -d${seconds}s -s '$row->{script}' "
        . "http://127.0.0.1:$port$row->{path} 2>&1";
    my $out = `$cmd`;
    my $cpu = cpu_ns($pid) - $from;
    my ($n, $us, $p50, $p99, $bad, $broken) =
        $out =~ /^RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)/m
        or die "$row->{name}: $out\n";
    $bad = 0 if $row->{want} != 200;
    die "$row->{name}: $bad answers that are no 2xx, $broken broken\n"
        if $bad || $broken || !$n;
    return { rps => $n / ($us / 1e6), p50 => $p50, p99 => $p99,
             us => $cpu / 1000 / $n };
}

my @table = (['row', 'req/s', 'p50 us', 'p99 us', 'CPU us/req', 'ratio',
              'range']);
for my $row (@rows) {
    my @m = @{ $sample{ $row->{name} } || [] } or next;
    my @r = @{ $ratio{ $row->{name} } || [] };
    push @table, [$row->{name}, map({ my $k = $_;
            sprintf $k eq 'us' ? '%.2f' : '%.0f', median(map { $_->{$k} } @m)
        } qw(rps p50 p99 us)),
        @r ? sprintf('%.2f', median(@r)) : '-',
        @r ? sprintf('%.2f-%.2f', (sort { $a <=> $b } @r)[0, -1]) : '-'];
}

if ($o{wrk}) {
    table(@table);
    my ($cpu) = slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)$/m;
    my ($load) = split / /, slurp('/proc/loadavg');
    my $version = `$t->{nginx} -v 2>&1`;
    chomp $version;
    printf "%s, %d cores, load %s; %s; %d rounds of %gs, %d connections\n",
        $cpu // 'unknown CPU', scalar(() = slurp('/proc/cpuinfo') =~
        /^processor/mg), $load, $version, $o{rounds}, $o{seconds},
        $o{connections};
}
for my $proc (grep { $pid{$_} } qw(gw bare)) {
    my ($anonymous) = slurp("/proc/$pid{$proc}/smaps_rollup")
        =~ /^Anonymous:\s+(\d+)/m;
    printf "memory of the worker's own (not of files, not shared), %s: "
        . "%.1f MB\n", $proc, $anonymous / 1024;
}

revocations() unless $o{only} || !$o{wrk};
instructions() if $o{count};
$t->stop_all;
$t->clean;


# Instructions and system calls, one connection, below valgrind.

sub instructions {
    if (system('command -v valgrind >/dev/null')) {
        print "no valgrind: no instructions\n";
        return;
    }
    print STDERR "counting\n";
    my %proc = map { ($_ => 1) } map { $_->{proc} } @rows;
    my %c = map { ($_ => Test::Stoa::Count->start($t, $_)) }
        grep { $proc{$_} } qw(bare gw protect);
    $_->ready for values %c;

    # a session of this process
    my @legacy = grep { $_->{name} =~ /2025-11-25/ } $bench->rows;
    my %all;
    my @table = (['row', 'instructions', 'nginx', 'libc', 'module', 'ratio',
                  'system calls']);
    for my $row (@rows) {
        my $c = $c{ $row->{proc} } or next;
        ($row) = grep { $_->{name} eq $row->{name} } @legacy, $row;
        my $n = $c->row($row, $o{count});
        $all{ $row->{name} } = $n->{all};
        my $base = $all{ $row->{base} // '' };
        push @table, [$row->{name}, map({ sprintf '%.0f', $_ // 0 } $n->{all},
            @{ $n->{objects} }{qw(nginx libc module)}),
            $base ? sprintf('%.2f', $n->{all} / $base) : '-',
            join ', ', map { my $k = $n->{calls}{$_} // 0;
                             $k < 0.5 ? () : sprintf '%.0f %s', $k, $_ }
                       qw(recvfrom writev sendto getsockopt epoll_ctl)];
    }
    print "\n";
    table(@table);
    $_->stop for values %c;
}


# How long a revoked key still works, in every one of four workers, from the
# moment the admin's request is sent: one open connection to each is asked
# without pause.

sub revocations {
    $t->gateway(name => 'four', workers => 4, level => 'error',
        location => 'add_header X-Worker $pid always;',
        http => "keepalive_requests 100000000; access_log off;\n");

    my %c;
    for (1 .. 500) {
        my $c = $t->connection(gateway => 'four');
        my $w = $c->request('GET', '/none', keepalive => 1)
            ->{headers}{'x-worker'} // next;
        $c{$w} ? $c->close : ($c{$w} = $c);
        last if keys %c == 4;
    }

    my @ms;
    for my $i (1 .. 100) {
        my $key = $t->key('acme', 'app');
        my ($id) = $key =~ /^stoa_[a-z]+_([^_]+)_/;
        my @call = ('GET', '/apis/acme/rest/x', keepalive => 1,
                    headers => { 'X-API-Key' => $key });
        until_status($c{$_}, 200, @call) for keys %c;
        my $from = time;
        $t->must('POST', '/v1/tenants/acme/applications/app/credentials/'
            . "$id/revoke");
        until_status($c{$_}, 401, @call) for keys %c;
        push @ms, (time - $from) * 1000;
    }
    @ms = sort { $a <=> $b } @ms;
    printf "a revoked key is refused in all of %d workers after %.1f ms"
        . " (p50), %.1f ms (p99), of %d revocations\n", scalar keys %c,
        $ms[$#ms / 2], $ms[$#ms * 0.99], scalar @ms;
    $_->close for values %c;
}


sub until_status {
    my ($c, $want, @call) = @_;
    my $end = time + 20;
    my $r;
    do { $r = $c->request(@call) } until $r->{status} == $want || time > $end;
    die "no $want in 20 s but $r->{status} $r->{body}\n"
        unless $r->{status} == $want;
}
