#!/usr/bin/perl

# The store on disk: last known good, damage, other formats, who may read it.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;
use Test::Stoa::Base qw(config);
use Time::HiRes qw(time);

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin;
my $key = $f->world($port);
$f->save;
my $dir = $t->dir('gw/store');

sub call { return $t->get('/apis/acme/echo/x', key => $key)->{status} }
sub up { $t->start_nginx('gw');
         return wait_until { $t->get('/stoa/ready')->{status} == 200 } 15 }
sub stores { return map { s{.*/}{}r } grep { !/lock/ }
                glob("$dir/store.*.mdb") }

$t->gateway(workers => 2, wait => 0);
ok($f->ready, 'in force');
is((stat $dir)[2] & 07777, 0700, 'the directory is the workers\' alone');
is((stat "$dir/$_")[2] & 0077, 0, "$_ is nobody else's")
    for stores(), 'counters', 'state', 'usage.mdb';
is(slurp("$dir/state"), "store.1.mdb\n", 'state names the file in force');


# without a control plane

$f->down;
is(call(), 200, 'the control plane goes, calls are served');
$t->stop('gw');
$t->start_nginx('gw');
my $start = time;
my $ok = wait_until { $t->get('/stoa/ready')->{status} == 200 } 10;
is($ok, 1, 'a restart without it is ready');
cmp_ok(time - $start, '<', 2, 'within two seconds');
is(call(), 200, 'and serves');
my $s = $f->status_of;
is($s->{revision}, $f->{rev}, 'the last revision');
cmp_ok($s->{sync}{age_ms}, '>', 0, 'the age of the configuration is known');
wait_until { $f->status_of->{sync}{state} eq 'failing' } 10;
is($f->status_of->{sync}{state}, 'failing', 'the failing sync is shown');
$f->listen;
$f->credential(2);
$f->save;
ok($f->ready(undef, 20), 'and ends when the control plane is back');


# killed at any moment

for my $n (1 .. 5) {
    my @w = $t->workers;
    $f->credential(10 + $n);
    $f->save;
    select undef, undef, undef, rand 0.05;
    kill 'KILL', $w[0];
    ok($f->ready(undef, 20), "worker 0 killed in a change: $n");
    is($f->status_of->{digest}, $f->digest, 'the store is whole');
}
$t->allow_log(qr/exited on signal 9/);


# a power cut: as if the machine had been started again since

sub noted { my ($file) = glob "$dir/store.*.mdb-durable"; return $file }
sub cut {
    my ($lost) = @_;
    my ($boot, $crc, $txn) = unpack 'a36 L Q', slurp(noted());
    my $old = pack 'a36 L Q', 'x' x 36, 0, $txn - $lost;
    spew(noted(), pack 'a36 L Q', 'x' x 36,
         hex Test::Stoa::FakeControl::crc($old),
         $txn - $lost);
}

$f->credential(30);
$f->save;
ok($f->ready(undef, 20), 'a change is in force');
$t->kill9('gw');
$f->down;
$t->start_nginx('gw');
is((wait_until { $f->status_of->{revision} == $f->{rev} } 15), 1,
   'and still is when all processes were killed at once');
$t->stop('gw');
cut(0);
$t->start_nginx('gw');
is((wait_until { call() == 200 } 15), 1,
   'power cut with all on disk: what was there is served');
$t->stop('gw');
cut(1);
$t->start_nginx('gw');
is(call(), 503, 'with a commit half on disk: it is not');
$f->listen;
ok($f->ready(undef, 20), 'but loaded anew');
is($f->status_of->{digest}, $f->digest, 'the store is whole');
my $loaded = () = slurp($t->dir('gw/logs/error.log')) =~ /loaded anew/g;
cmp_ok($loaded, '>=', 1, 'and the log says so');


# damage

sub damage {
    my ($name, $how) = @_;
    $t->stop('gw');
    $how->();
    is(up(), 1, "$name: loaded anew");
    ok($f->ready, "$name: in force");
    is($f->status_of->{digest}, $f->digest, "$name: whole");
    is((wait_until { call() == 200 } 10), 1, "$name: serves");
    is(scalar(stores()), 1, "$name: one store file");
}

damage('truncated', sub {
    my ($s) = stores();
    truncate "$dir/$s", 8192 or die $!;
});
damage('zeros', sub {
    my ($s) = stores();
    my $size = -s "$dir/$s";
    spew("$dir/$s", "\0" x $size);
});

# what the file system did not notice: places that lead out of the record

$t->allow_log(qr/a record of kind/);

for my $what ([6, 152, 'the targets of an api'],
              [1, 56, 'a tenant\'s name'], [3, 40, 'a credential\'s id'])
{
    my ($kind, $at, $name) = @$what;
    damage($name, sub {
        my ($s) = map { "$dir/$_" } stores();
        my ($data, @at) = slurp($s);
        while ($data =~ /ROTS.{4}(..)/gs) {
            push @at, $-[0] + $at if unpack('v', $1) == $kind;
        }
        die 'no record' unless @at;
        substr($data, $_, 4) = "\xf0\xff\xff\x7f" for @at;
        spew($s, $data, 0600);
    });
    unlike(slurp($t->dir('gw/logs/error.log')), qr/exited on signal (?!9)/,
           "$name: no worker falls over it");
    like(slurp($t->dir('gw/logs/error.log')), qr/a record of kind \w+ is br/,
         "$name: it is told");
}

# the group's policies hold for every call, or no call passes

my $group = Test::Stoa::FakeControl::id('g', 1);
$f->put('group', "group:$group", { id => $group, name => 'default',
    policies => [{ name => 'ops',
        type => 'ip-filter', scope => 'gateway_group', state => 'enabled',
        config => { deny => ['127.0.0.0/8'] } }] });
$f->save;
ok($f->ready && call() == 403, 'a policy of the group refuses');
$t->stop('gw');
$f->down;
{
    my ($s) = map { "$dir/$_" } stores();
    my ($data, @at) = slurp($s);
    while ($data =~ /ROTS.{4}\x09\x00/gs) { push @at, $-[0] + 64 }
    die 'no group' unless @at;
    substr($data, $_, 4) = "\xf0\xff\xff\x7f" for @at;
    spew($s, $data, 0600);
}
$t->start_nginx('gw');
is(call(), 503, 'a broken one: nothing is served without it');
$f->listen;
ok($f->ready(undef, 20), '... until it is there again');
is((wait_until { call() == 403 } 10), 1, '... and it refuses');
$f->delete('group', "group:$group")->save;
ok($f->ready, 'the group goes');

# damaged pages: LMDB calls them many things, or the worker dies of them

SKIP: {
    skip 'a sanitizer catches the signals', 15 if config('SANITIZE');
    for my $what (['records', qr/ROTS/], ['names', qr/acme.?echo/s],
                  ['the root', qr/rejected/])
    {
        damage("pages of $what->[0]", sub {
            my ($s) = map { "$dir/$_" } stores();
            my $data = slurp($s);
            for my $page (2 .. length($data) / 4096 - 1) {
                substr($data, $page * 4096 + 8, 64) = "\xff" x 64
                    if substr($data, $page * 4096, 4096) =~ $what->[1];
            }
            spew($s, $data, 0600);
        });
    }
    $t->allow_log(qr/exited on signal (?:6|7|11)\b/, qr/have crashed over/);
}

damage('no store file', sub { unlink glob("$dir/store.*") });
damage('no state', sub { unlink "$dir/state" });
damage('a strange state', sub { spew("$dir/state", "../../etc/passwd\n") });
damage('an empty state', sub { spew("$dir/state", '') });
damage('a half loaded one beside it', sub {
    spew("$dir/store.99.mdb", 'x' x 10000) });


# counters

my $seen = slurp("$dir/counters");
$t->stop('gw');
spew("$dir/counters", substr $seen, 0, 100000);
is(up(), 1, 'a short counter file: nginx starts');
is(call(), 200, 'and serves');
is(scalar(my @bad = glob("$dir/counters.bad.*")), 1, 'the old one is kept');
like(slurp($t->dir('gw/logs/error.log')), qr/counters" is damaged/,
     'and the log says so');
$t->stop('gw');
spew("$dir/counters.bad.170000000000$_", 'x') for 0 .. 8;
spew("$dir/counters", 'x');
is(up(), 1, 'again and again: nginx starts');
my @kept = glob("$dir/counters.bad.*");
is(scalar @kept, 4, 'some of them are kept');
like($kept[0], qr/bad\.1700000000007$/, 'the newest');
like(slurp($t->dir('gw/logs/error.log')),
     qr/counters\.bad\.1700000000000" is removed/, 'and the log names the rest');

$f->done;
