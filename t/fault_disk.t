#!/usr/bin/perl

# A full disk below the store: the configuration in force is served, nobody
# dies, the reason is told; with room again everything arrives, usage too.
#
# The disk is a small tmpfs in a mount namespace of the test's own.

use FindBin;
use lib "$FindBin::Bin/lib";
BEGIN {
    if (!$ENV{STOA_TEST_NS}) {
        if ($> != 0 || system('unshare -m --propagation private true '
                              . '2>/dev/null') != 0)
        {
            print "1..0 # SKIP needs a mount namespace (root)\n";
            exit 0;
        }
        $ENV{STOA_TEST_NS} = 1;
        exec 'unshare', '-m', '--propagation', 'private', $^X, $0;
    }
}
use Test::Stoa;
use Test::Stoa::FakeControl;
use Test::Stoa::Base qw(slurp wait_until);

my $t = Test::Stoa->new->has('module')->allow_log(qr/cannot allocate/);
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin;
my $key = $f->world($port);
$f->save;

my $dir = $t->dir('gw/store');
mkdir $t->dir('gw');
mkdir $dir;
system('mount', '-t', 'tmpfs', '-o', 'size=6m,mode=700', 'tmpfs', $dir) == 0
    or $t->give_up('no tmpfs');

sub fill {
    open my $fh, '>', "$dir/filler" or die $!;
    1 while syswrite $fh, 'x' x 4096;
    close $fh;
}
sub room { unlink "$dir/filler" }
sub call { return $t->get('/apis/acme/echo/x', key => $_[0] // $key)->{status} }
my $calls = 0;
sub calls { my ($n, $what) = @_;
            is(join(' ', map { $calls++; call() } 1 .. $n),
               join(' ', (200) x $n), $what) }

my %gw = (wait => 0, workers => 2, http => 'stoa_usage_interval 300ms;',
          store => 'counters=1m size=64m');
$t->gateway(%gw);
$f->ready or die 'not ready';
wait_until { my @w = $t->workers; @w == 2 } 10;
my $pids = join ' ', sort $t->workers;
calls(3, 'room');


# changes do not fit

fill();
my ($rev, $digest) = ($f->{rev}, $f->digest);
$f->credential($_) for 10 .. 400;
$f->save;
my $ok = wait_until { $f->status_of->{sync}{error} } 15;
ok($ok, 'a full disk is noticed');
my $s = $f->status_of;
like($s->{sync}{error}, qr/store failed: No space/, 'and named');
is("$s->{revision} $s->{digest}", "$rev $digest", 'what is in force stays');
calls(20, 'and serves');
sub errors { return scalar(grep { /\[(?:error|crit)\]/ }
                           $t->log_lines('gw', 'error.log')) }
my $lines = errors();
sleep 3;
cmp_ok(errors() - $lines, '<', 6, 'the log is short')
    or diag(join "\n", ($t->log_lines('gw', 'error.log'))[-12 .. -1]);
is(join(' ', sort $t->workers), $pids, 'nobody died');

# a restart and a reload on a full disk

ok($t->reload('gw', drain => 1), 'a reload');
calls(5, 'after a reload');
$t->stop('gw');
$t->start_nginx('gw');
$ok = wait_until { $t->get('/stoa/ready')->{status} == 200 } 10;
is($ok, 1, 'a start on a full disk is ready');
wait_until { my @w = $t->workers; @w == 2 } 10;
$pids = join ' ', sort $t->workers;
calls(5, 'after a restart');

# another history on a full disk: a new store file cannot be made

$f->forget('e' x 16);
my $second = $f->world($port);
$f->save;
$ok = wait_until { $f->status_of->{sync}{error} } 15;
ok($ok, 'another history does not fit');
sleep 2;
calls(20, 'the old one is served');
is(join(' ', sort $t->workers), $pids, 'nobody died');


# room

room();
ok($f->ready(undef, 40), 'with room it is taken');
is($f->status_of->{digest}, $f->digest, 'whole');
is(call($second), 200, 'and serves'); $calls++;
ok((wait_until { ($f->usage->{':2'} // 0) == $calls } 15) == 1,
   'no call is missing in the usage')
    or diag(($f->usage->{':2'} // 0) . " of $calls");
is(scalar(grep { /signal 7|SIGBUS|signal 11/ }
          $t->log_lines('gw', 'error.log')), 0, 'no worker was killed');


# the first start on a full disk says so

$t->stop('gw');
unlink glob "$dir/*";
fill();
my %env = $t->sanitizer_env('gw', 1);
$env{ASAN_OPTIONS} .= ':detect_leaks=0' if %env;     # it exits as it is
my ($code, undef, $text) = $t->run_cmd([$t->{nginx}, '-p', $t->dir('gw')
    . '/', '-c', 'nginx.conf', '-e', 'stderr'],
    env => { %env });
isnt($code, 0, 'no room for the counters: nginx does not start');
like($text . slurp($t->dir('gw/logs/error.log')),
     qr/\[emerg\].*cannot allocate \d+ bytes for .*counters/,
     'and says why');
is(join(' ', glob("$dir/counters*")), '', 'nothing is left behind');
room();

$f->down;
system('umount', $dir);
$t->done;
