#!/usr/bin/perl

# What a call costs beside bare nginx before the same upstream, in
# instructions of the same run and in system calls: budgets, which a busy
# machine does not change.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Base qw(config);
use Test::Stoa::Bench;
use Test::Stoa::Count;

plan(skip_all => 'a sanitizer has costs of its own') if config('SANITIZE');

# at most so many times the instructions of the row it is compared with

my %BUDGET = (
    'stoa REST: key, subscription, rate, usage' => 1.13,
    'stoa REST: and quotas, concurrency'        => 1.20,
    'stoa REST: the same, shared by Redis'      => 1.10,
    'stoa REST: eight policies more'            => 1.15,
    'stoa REST: a hit of the cache'             => 1.07,
    'stoa REST: a decision of OPA that is known' => 1.42,
    'stoa REST: OPA is asked'                   => 1.85,
    'stoa REST: a token that is known'          => 1.20,
    'stoa tools/call, a token that is known'    => 1.49,
    'stoa REST refused: no key'                 => 0.79,
    'stoa REST refused: wrong checksum'         => 0.89,
    'stoa tools/call, 2026-07-28'               => 1.52,
    'stoa tools/call, 2025-11-25'               => 1.51,
    'stoa tools/call, 2025-11-25 before 2026-07-28' => 1.71,
    'stoa tools/call, 2026-07-28 before 2025-11-25' => 2.60,
    'stoa tools/list, 2026-07-28'               => 1.80,
    'stoa tools/list, 2025-11-25'               => 1.80,
    'stoa tools/list of 5,000, a page'          => 1.23,
);

my $t = Test::Stoa->new->has(qw(module control valgrind redis));
my $bench = Test::Stoa::Bench->new($t, shared => 1);
my %count = map { ($_ => Test::Stoa::Count->start($t, $_)) } qw(bare gw shared);
$_->ready for values %count;

# A call in a session of the caller's pool is not the fast lane's: its answer is
# gathered.

my (%got, $gathered);
for my $row ($bench->rows) {
    my ($name, $base) = @$row{qw(name base)};
    $gathered += 60 + 60 / 5 + 5 if $name =~ /28 before/;
    my $c = $count{ $row->{proc} };
    my $n = $c->row($row, 60);

    # messages to Redis and who looks after pools fall into some of them; what
    # they cost many calls share, on a quiet machine

    for ($name =~ /shared by/ ? 1 .. 8 : ()) {
        my $again = $c->row($row, 12);
        $n = $again if $again->{all} < $n->{all};
    }
    $got{$name} = $n;
    next unless defined $base;

    my $budget = delete $BUDGET{$name} // 0;
    my $ratio = $n->{all} / $got{$base}{all};
    cmp_ok($ratio, '<=', $budget, sprintf '%s: %.0f instructions, %.2f of'
        . ' %.2f', $name, $n->{all}, $ratio, $budget);

    # (a call that is bridged looks whether an idle connection is closed)
    my $looks = $name =~ /before/ ? 1 : 0;
    my @more = grep { calls($n, @$_) > calls($got{$base}, @$_) + 0.1
                      + ($_->[0] eq 'recvfrom' && $looks) }
        ['recvfrom'], [qw(writev sendto)], ['getsockopt'], ['setsockopt'],
        ['epoll_ctl'];
    next if $name =~ /28 before|is asked/;
    is("@{[ map { @$_ } @more ]}", '',
       "$name: no more system calls than bare nginx");
    cmp_ok(calls($n, 'getsockopt'), '<', 0.1, "$name: no getsockopt")
        if $row->{want} == 200;
}

sub calls { my ($n, @names) = @_; my $sum = 0;
            $sum += $n->{calls}{$_} // 0 for @names; return $sum }

my ($in, $out) = (0, 0);
my $metrics = $t->metrics;
$in += $metrics->{stoa_lane_answered_total};
$out += $metrics->{"stoa_lane_${_}_total"} for qw(declined handed_over);
cmp_ok($in / ($in + $out - $gathered), '>', 0.98, 'small answers are the fast lane\'s');

is_deeply([sort keys %BUDGET], [], 'every budget has its row');

$_->stop for values %count;
$t->done;
