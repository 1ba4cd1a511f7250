#!/usr/bin/perl

# A damaged counter file: what is no identifier and no number does not reach
# the control plane, so that no batch is refused for ever; calls go on.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;
use Test::Stoa::Base qw(slurp wait_until json_encode);

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin;
my $key = $f->world($port, quota_day => 100_000);
$f->save;
my $path = $t->dir('gw/store/counters');
sub call { return $t->get('/apis/acme/echo/x', key => $_[0] // $key)->{status} }
sub fid { return Test::Stoa::FakeControl::id(@_) }

# Counted, and killed before it was told.

sub counted {
    my ($n) = @_;
    $t->gateway(wait => 0, workers => 2,
                http => 'stoa_usage_interval 1h;');
    $f->ready or die 'not ready';
    call() for 1 .. $n;
    call('junk');
    $t->kill9('gw');
}
sub told { my ($what) = @_;
    $t->gateway(wait => 0, workers => 2,
                http => 'stoa_usage_interval 200ms;');
    ok($f->ready, "$what: ready");
    my $before = $f->usage->{all} // 0;
    is(call(), 200, "$what: served");
    is((wait_until { ($f->usage->{all} // 0) > $before } 10), 1,
       "$what: usage is told");
    my $bad = grep { my $b = $_; grep { my $r = $_;
        grep { $r->{$_} !~ /^(?:[0-9a-z]{16})?$/ }
            qw(tenant application subscription api operation) }
        @{ $b->{rows} } } $f->posts('usage');
    is($bad, 0, "$what: with identifiers only");
    my $huge = grep { /\d{19}/ } split /\n/, slurp($f->file('usage'));
    is($huge, 0, "$what: and numbers only");
    $t->stop('gw');
}
sub damage { my ($code) = @_;
    my $data = slurp($path);
    my $size = length $data;
    $code->($data);
    die 'another size' if length $data != $size;
    open my $fh, '+<', $path or die $!;
    binmode $fh;
    print $fh $data;
    close $fh or die $! }

counted(5);
damage(sub { my $id = fid('t', 1); $_[0] =~ s/\Q$id\E/"\xff\n\\\0\0abcdefghij/g });
told('a tenant');

counted(5);
damage(sub { $_[0] =~ s/key_invalid/k"y\xc3invalid/g });
told('a refusal');

counted(5);
damage(sub { my $id = fid('s', 1);
             $_[0] =~ s/(\Q$id\E.{64})(.{64})/$1 . "\xf0" x 64/gse });
told('numbers');

# noise in all that is behind the header

srand 7;
for my $round (1 .. 3) {
    counted(5);
    damage(sub { for (1 .. 20_000) {
        substr($_[0], 4096 + int rand(length($_[0]) - 4096), 1)
            = chr int rand 256 } });
    $t->gateway(wait => 0, workers => 2,
                http => 'stoa_usage_interval 200ms;');
    ok($f->ready, "noise $round: ready");
    like(join(' ', map { call() } 1 .. 5), qr/^(?:(?:200|429|503) ?){5}$/,
         "noise $round: calls are answered");
    sleep 1;
    is(scalar($t->workers), 2, "noise $round: nobody died");
    ok(eval { $f->posts('usage'); 1 }, "noise $round: only JSON is told")
        or diag($@);
    $t->stop('gw');
}

$f->done;
