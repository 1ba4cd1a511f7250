#!/usr/bin/perl

# Usage and quotas outlive every process: exactly once, whatever is killed.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin;
my $key = $f->world($port, quota_day => 1000, quota_month => 5000);
$f->save;

my $done = 0;

sub call { $done++; return $t->get('/apis/acme/echo/x', key => $_[0] // $key) }
sub calls { my ($n) = @_; my %s; $s{ call()->{status} }++ for 1 .. $n;
            return \%s }
sub counted { my ($n) = @_;
              wait_until { ($f->usage->{all} // 0) >= $n } 15;
              return $f->usage->{all} // 0 }

# A process that is killed may have answered a call without having come to log
# and count it.

sub logged { return scalar grep m{ /apis/}, split /\n/,
                    slurp($t->dir('gw/logs/access.log')) }
sub settled {
    my ($name) = @_;
    my $logged = logged();
    my $n = counted($logged);
    cmp_ok($n, '>=', $logged, "$name: what is logged is counted");
    cmp_ok($n, '<=', $done, "$name: nothing twice");
    $done = $n;
}

sub up { $t->start_nginx('gw');
         wait_until { $t->get('/stoa/ready')->{status} == 200 } 15 }

$t->gateway(workers => 2, wait => 0, http => "stoa_usage_interval 200ms;\n");
$f->ready;

is_deeply(calls(20), { 200 => 20 }, 'twenty calls');
call('junk') for 1 .. 3;
is(counted($done), $done, 'all are counted');
is($f->usage->{':2'}, 20, 'the good ones');
is($f->usage->{'key_invalid:4'}, 3, 'the refused ones by code');
is($f->usage->{latency}, $done, 'each has a latency');
my ($row) = map { @{ $_->{rows} } } grep { 1 } $f->posts('usage');
is($row->{tenant}, 't' . '0' x 14 . '1', 'a row names the tenant');

# the quota is told as it goes down: 20 used, the refused ones not

my $r = call();
like($r->{headers}{ratelimit} // '', qr/r=979\b/, 'the quota counts calls')
    or diag(explain($r->{headers}));


# the control plane refuses, forgets to answer, comes back

$f->set(usage => '503');
calls(10);
wait_until { $f->status_of->{report}{usage_failures} > 1 } 5;
cmp_ok($f->status_of->{report}{usage_waiting}, '>', 0, 'batches wait');
$f->set(usage => 'ok');
is(counted($done), $done, 'and arrive');

$f->set(usage => 'lost');
calls(10);
wait_until { my %n; $n{ $_->{batch} }++ for $f->posts('usage');
             grep { $_ > 1 } values %n } 15;
$f->set(usage => 'ok');
call();
is(counted($done), $done, 'a batch whose answer is lost counts once');


# killed

$t->allow_log(qr/exited on signal 9/);

for my $n (1 .. 8) {
    calls(5);
    my @w = $t->workers;
    kill 'KILL', $w[$n % 2];
    wait_until { my @now = $t->workers; @now == 2 && !grep { $_ == $w[$n % 2] }
                 @now } 10;
}
settled('workers killed');

for my $n (1 .. 4) {
    calls(5);
    select undef, undef, undef, rand 0.3;
    $t->kill9('gw');
    up();
}
settled('nginx killed');
my $left = 1000 - ($done - 3);
$r = call();
cmp_ok(abs(($r->{headers}{ratelimit} =~ /r=(\d+)/ ? $1 : 0) - $left), '<=',
       12, 'quotas survive as well');


# reload, a graceful end, without a control plane

calls(5);
$t->reload;
calls(5);
is(counted($done), $done, 'reload');

calls(5);
$t->stop('gw');
# a worker that counts after worker 0 has told is told of at the next start
cmp_ok($f->usage->{all}, '>=', $done - 1,
       'the last calls are sent before the end');

up();
$f->down;
calls(5);
$t->stop('gw');
$t->start_nginx('gw');
wait_until { $t->get('/stoa/ready')->{status} == 200 } 15;
calls(5);
$f->listen;
is(counted($done), $done, 'what was counted alone is sent later');


# the edge of a quota

my ($remain) = call()->{headers}{ratelimit} =~ /r=(\d+)/;
$f->world($port, quota_day => 1000, quota_month => 1000 - $remain + 5);
$f->save;
$f->ready;
is_deeply(calls(8), { 200 => 5, 429 => 3 }, 'five more and no more');
is(call()->{json}{code}, 'quota_exceeded', 'by the month');
is(counted($done), $done, 'refused calls are counted too');


# a counter file of its own id

$t->stop('gw');
unlink $t->dir('gw/store/counters');
up();
my $before = $f->usage->{all};
is_deeply(calls(3), { 200 => 3 }, 'a new counter file: quotas start afresh');
is(counted($before + 3), $before + 3, 'usage goes on');

# refused for good: only by the control plane itself, and nothing waits for it

sub report { return $f->status_of->{report} }
for my $status (422, 'ours 403') {
    my $had = report()->{usage_failures};
    my $before = $f->usage->{all};
    $f->set(usage => $status);
    call();
    wait_until { report()->{usage_failures} > $had } 10;
    is(report()->{usage_refused}, 0, "$status: the batch waits");
    $f->set(usage => 'ok');
    is((wait_until { $f->usage->{all} == $before + 1 } 15), 1,
       "$status: and is told later");
}
for my $n (1, 2) {
    $f->set(usage => 'ours 422');
    call();
    is((wait_until { report()->{usage_refused} == $n } 15), 1,
       "refused by the control plane: set aside, $n");
    $f->set(usage => 'ok');
    my $before = $f->usage->{all};
    call();
    wait_until { $f->usage->{all} > $before } 10;
    is($f->usage->{all}, $before + 1, 'the next one does not wait for it');
}
is($t->metrics->{stoa_usage_aside}, 2, 'metrics know them');
$f->set(refused => 3);
call();
is((wait_until { ($t->metrics->{stoa_usage_rows_refused_total} // 0) == 3 }
    15), 1, 'and the rows of a batch that were left out');
like(slurp($t->dir('gw/logs/error.log')),
     qr/set aside, the control plane refused it \(status 422\) .*told/,
     'the log says why');


$f->done;
