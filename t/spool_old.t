#!/usr/bin/perl

# Batches of usage that an earlier version left in the spool are delivered:
# their rows have no credential and fewer buckets.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module');
my $why = Test::Stoa::Base::command('mdb_load');
plan(skip_all => $why) if $why ne 1 && !$ENV{CI};

my $f = Test::Stoa::FakeControl->new($t);
my $key = $f->world($t->origin);
$f->save;
$t->gateway(wait => 0, http => 'stoa_usage_interval 200ms;');
ok($f->ready, 'ready');
$f->down;

my $calls = 5;
is($t->get('/apis/acme/echo/x', key => $key)->{status}, 200, 'a call')
    for 1 .. $calls;

# What waits, as lines of mdb_dump: head, then keys and values by turns.

my $spool = $t->dir('gw/store/usage.mdb');
sub waiting {
    my (undef, $out) = $t->run_cmd(['mdb_dump', '-n', '-s', 'batches',
                                    $spool]);
    my ($head, $data) = $out =~ /^(.*?HEADER=END\n)(.*?)DATA=END/s or return;
    return ($head, $data =~ /^ (\w+)$/mg);
}
sub rows { my (undef, @kv) = waiting();
    my $n = 0;
    while (my (undef, $v) = splice @kv, 0, 2) {
        $n += (length($v) / 2 - 48) / 352;
    }
    return $n }
ok((wait_until { rows() }), 'a batch waits');
$t->stop('gw');

my ($head, @kv) = waiting();
my @old;
while (my ($k, $v) = splice @kv, 0, 2) {
    my ($start, $rows) = unpack 'H96 H*', pack 'H*', $v;
    my @rows = map { substr($_, 0, 208) . substr($_, 240, 224) }
        $rows =~ /(.{704})/g;
    push @old, $k, join '', $start, @rows;
}
cmp_ok(scalar @old, '>=', 2, 'taken out');
$t->write_file('old.dump', $head . join('', map { " $_\n" } @old)
               . "DATA=END\n");
my ($code, undef, $err) = $t->run_cmd(['mdb_load', '-n', '-f',
    $t->dir('old.dump'), $spool]);
is($code, 0, 'put back as the version before wrote it') or diag($err);

$f->listen;
$t->start_nginx('gw');
ok((wait_until { ($f->usage->{all} // 0) >= $calls } 15), 'delivered');
is($f->usage->{all}, $calls, 'each call once');
my @posted = map { @{ $_->{rows} } } $f->posts('usage');
is(join(' ', map { scalar @{ $_->{latency_us} } } @posted),
   join(' ', (16) x @posted), 'with the buckets that there were');
is(join('', map { $_->{credential} } @posted), '', 'and no credential');
is($f->usage->{latency}, $calls, 'which add up');

$f->done;
