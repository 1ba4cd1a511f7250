#!/usr/bin/perl

# A full disk: the last revision stays in force, nothing crashes, and it goes
# on when there is room again.  The disk is a small tmpfs.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module');
my $dir = $t->dir('disk');
mkdir $dir or die "mkdir: $!";

my ($code) = $t->run_cmd(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs',
                          $dir]);
if ($code != 0) {
    $t->clean;
    plan(skip_all => 'this user may not mount a tmpfs');
}
my $mounted = 1;
sub away { system('umount', '-l', $dir) if $mounted; $mounted = 0 }
my $pid = $$;
END { away() if defined $pid && $pid == $$ }

my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin;
my $key = $f->world($port);
$f->save;

sub call { return $t->get('/apis/acme/echo/x', key => $key)->{status} }
sub fill { open my $fh, '>', "$dir/fill" or die $!;
           1 while syswrite $fh, 'x' x 65536; close $fh }

my $conf = $t->template(name => 'gw', workers => 2,
                        store => 'counters=1m',
                        http => "stoa_usage_interval 200ms;\n");
$conf =~ s{stoa_store \S+}{stoa_store $dir/store};
$t->gateway(conf => $conf, wait => 0);
ok($f->ready, 'in force');
my $rev = $f->{rev};
my $done = 0;

fill();
$f->credential($_) for 100 .. 2000;
$f->save;
my $full = wait_until {
    ($f->status_of->{sync}{state} // '') eq 'store_full' } 15;
is($full, 1, 'the disk is full');
my $s = $f->status_of;
is($s->{revision}, $rev, 'the last revision stays');
like($s->{sync}{error}, qr/No space left/, 'the reason');
for (1 .. 20) { $done += call() == 200 }
is($done, 20, 'calls are served');
select undef, undef, undef, 1;
is(scalar($t->workers), 2, 'the workers live');

unlink "$dir/fill";
ok($f->ready(undef, 40), 'room again: the change is taken');
is($f->status_of->{digest}, $f->digest, 'whole');
my $all = wait_until { ($f->usage->{all} // 0) >= $done } 20;
is($f->usage->{all}, $done, 'and usage is counted, once');

# a start on a full disk

fill();
$t->stop('gw');
$t->start_nginx('gw');
is((wait_until { $t->get('/stoa/ready')->{status} == 200 } 15), 1,
   'a start on a full disk serves what there is');
is(call(), 200, 'calls too');
$t->stop('gw');
unlink "$dir/fill", "$dir/store/counters";
fill();
my %env = $t->sanitizer_env('gw', 1);      # nginx that gives up frees nothing
$env{ASAN_OPTIONS} .= ':detect_leaks=0' if $env{ASAN_OPTIONS};
($code, my $out, my $err) = $t->run_cmd([$t->{nginx}, '-p',
    $t->dir('gw') . '/', '-c', 'nginx.conf', '-e', 'stderr'],
    env => \%env);
isnt($code, 0, 'no room for a counter file: nginx does not start');
like($out . $err, qr/\[emerg\].*cannot allocate 1048576 bytes for/,
     'and says so');

$t->allow_log(qr/cannot allocate/);
$f->down;
$t->stop_all;
away();
$t->done;
