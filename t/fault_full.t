#!/usr/bin/perl

# A full disk below the database of the control plane: a write says so and has
# done nothing; reads go on; with room again writes do.
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

my $t = Test::Stoa->new->has('stoactl');
my $dir = $t->dir('disk');
mkdir $dir;
system('mount', '-t', 'tmpfs', '-o', 'size=8m,mode=700', 'tmpfs', $dir) == 0
    or $t->give_up('no tmpfs');
$t->{database} = "sqlite:$dir/control.db";
$t->control;
$t->must(POST => '/v1/tenants', { name => 'before' });

open my $fh, '>', "$dir/filler" or die $!;
1 while syswrite $fh, 'x' x 4096;
close $fh;

my ($r, @made, $tried);
do {
    my $name = 'full-' . $tried++;
    $r = $t->api(POST => '/v1/tenants', { name => $name,
                                          title => 'x' x 200 });
    push @made, $name if $r->{status} == 201;
} while $r->{status} == 201 && $tried < 2000;
is($r->{status}, 503, 'a write finds no room');
is($r->{json}{detail}, 'the disk of the database is full: nothing was done',
   'and says so');
my (undef, undef, $err) = $t->stoactl('apply', '-', { stdin => join "---\n",
    map { "apiVersion: stoa/v1\nkind: Tenant\nmetadata: {name: a-$_}\n" }
        1 .. 50 });
like($err, qr/disk of the database is full/, 'apply, too');
is($t->api(GET => '/v1/tenants/before')->{status}, 200, 'reads go on');

unlink "$dir/filler";
is($t->api(POST => '/v1/tenants', { name => 'after' })->{status}, 201,
   'with room again, writes do');
is(join(' ', sort map { $_->{name} } @{ $t->must(GET =>
    '/v1/tenants?limit=500')->{items} }), join(' ', sort 'before', 'after',
    @made), 'and nothing was done when it was said');

$t->stop("control");
system("umount", "-l", $dir);
$t->done;
