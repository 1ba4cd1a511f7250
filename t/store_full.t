#!/usr/bin/perl

# A store that is full keeps the last revision that did fit, says so, and goes
# on when there is room.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin;
my $key = $f->world($port);
$f->save;

sub call { return $t->get('/apis/acme/echo/x', key => $key)->{status} }

$t->gateway(workers => 2, wait => 0, store => 'size=1m');
ok($f->ready, 'in force');
my $rev = $f->{rev};

$f->credential($_) for 100 .. 5000;
$f->save;
my $full = wait_until {
    ($f->status_of->{sync}{state} // '') eq 'store_full' } 15;
is($full, 1, 'five thousand keys do not fit into 1m');
my $s = $f->status_of;
is($s->{revision}, $rev, 'the last revision stays');
ok($s->{ready}, 'in force');
like($s->{sync}{error}, qr/MAP_FULL.*size= of stoa_store/, 'the reason');
my $told = wait_until { my ($last) = (reverse $f->posts('status'))[0];
    $last && $last->{sync_state} eq 'store_full' && $last } 15;
like($told->{sync_error}, qr/size= of stoa_store/, 'is told');
cmp_ok($t->metrics->{stoa_store_full_total}, '>=', 1, 'a metric');
is(call(), 200, 'it serves');
my $pid = join ' ', sort $t->workers;

# less again: it fits without anybody's help

$f->delete('credential', "cred:" . Test::Stoa::FakeControl::id('c', $_))
    for 100 .. 5000;
$f->save;
ok($f->ready(undef, 30), 'what fits again is taken');
is($f->status_of->{digest}, $f->digest, 'whole');
ok((wait_until { my ($last) = (reverse $f->posts('status'))[0];
    $last->{sync_state} eq 'connected' && $last->{sync_error} eq '' } 15),
   'and that it is over');
is(join(' ', sort $t->workers), $pid, 'by the same workers');

# more room by a reload

$f->credential($_) for 100 .. 5000;
$f->save;
wait_until { ($f->status_of->{sync}{state} // '') eq 'store_full' } 15;
my $conf = slurp($t->dir('gw/nginx.conf'));
$conf =~ s/size=1m/size=64m/;
spew($t->dir('gw/nginx.conf'), $conf);
$t->reload;
ok($f->ready(undef, 30), 'a reload with more room');
is($f->status_of->{digest}, $f->digest, 'takes all of it');
is(call(), 200, 'and serves');

# the first load does not fit

$t->stop('gw');
unlink glob($t->dir('gw/store/*'));
$conf =~ s/size=64m/size=1m/;
spew($t->dir('gw/nginx.conf'), $conf);
$t->start_nginx('gw');
$full = wait_until {
    ($f->status_of->{sync}{state} // '') eq 'store_full' } 15;
is($full, 1, 'a first load that does not fit');
is($t->get('/stoa/ready')->{status}, 503, 'is not ready');
is(call(), 503, 'and refuses');

$f->done;
