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
             $_[0] =~ s/(\Q$id\E.{80})(.{64})/$1 . "\xf0" x 64/gse });
told('numbers');

# a file that is nearly full: what was not used for an hour is taken out of
# use, and is given to another only after a rest, in which a call that had
# found it before may still be counted where it belongs

sub slots {
    my ($data) = @_;
    my ($tags, $usage, $sets) = (unpack 'Q<L<2a16Q<8', $data)[8, 10, 11];
    return map { { tag => $tags + 8 * $_, at => $usage + 320 * $_ } }
           1 .. 8 * $sets - 1;
}
sub tags { my $data = slurp($path); my %n;
           $n{ unpack 'Q<', substr $data, $_->{tag}, 8 }++ for slots($data);
           return \%n }
my ($used, $retired) = (12345, ~0);
my $tag = sub { my ($from, $to, $ago) = @_; return sub {
    for my $s (slots($_[0])) {
        next if unpack('Q<', substr $_[0], $s->{tag}, 8) != $from;
        substr($_[0], $s->{tag}, 8) = pack 'Q<', $to;
        substr($_[0], $s->{at} + 272, 8) = pack 'Q<', time - $ago;
    } } };

counted(1);
damage($tag->(0, $used, 4000));
my $all = tags()->{$used};
told('full');
is(tags()->{$used} // 0, 0, 'nobody finds the old ones any more');
is(tags()->{$retired}, $all, 'but they are not free');
damage(sub {
    $tag->($retired, $retired, 100)->(@_);
    my ($s) = grep { unpack('Q<', substr $_[0], $_->{tag}, 8) == $retired }
              slots($_[0]);
    substr($_[0], $s->{at} + 120, 8) = pack 'Q<', 7;
});
my $before = $f->usage->{all};
told('rested');
is((wait_until { $f->usage->{all} == $before + 8 } 10), 1,
   'a late call is counted');
is(tags()->{0}, $all - 1, 'and all others are free');


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
