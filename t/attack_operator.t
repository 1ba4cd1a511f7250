#!/usr/bin/perl

# What an operator meets: workers of another user, a store with wrong
# permissions, two nginx on one store, another zone size, floods of bad calls.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;
use Test::Stoa::Base qw(slurp spew wait_until);
use Time::HiRes qw(sleep);

my $t = Test::Stoa->new->has('module')
    ->allow_log(qr/of "stoa_store"|is too small/);
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin;
my $key = $f->world($port, rate => 3, per_ms => 86_400_000, burst => 3);
$f->save;

sub call { return $t->get('/apis/acme/echo/x', key => $_[0] // $key)->{status} }
sub lines { return scalar(my @l = $t->log_lines('gw', 'error.log')) }

sub conf { my (%o) = @_;
    my $c = $t->template(name => 'gw', workers => 2, %o);
    $c =~ s/user root;/user www-data;/ if $o{user};
    return $c;
}


# workers of another user than the master's

SKIP: {
    skip 'needs root and www-data', 14
        unless $> == 0 && getpwnam 'www-data';
    chmod 0755, $t->dir, $t->dir('gw');
    $t->gateway(wait => 0, conf => conf(user => 1));
    ok($f->ready, 'user www-data: ready');
    is(call(), 200, 'serves');
    my $uid = getpwnam 'www-data';
    my $dir = $t->dir('gw/store');
    is((stat $dir)[4], $uid, 'the store is the workers\'');
    is((stat $dir)[2] & 07777, 0700, 'and nobody else\'s');
    is(join(' ', grep { (stat $_)[2] & 077 } glob "$dir/*"), '',
       'its files too');
    is(join(' ', grep { (stat $_)[4] != $uid } glob "$dir/*"), '',
       'all of them');
    my ($worker) = $t->workers;
    like(slurp("/proc/$worker/status"), qr/^Uid:\s+$uid\b/m,
         'the workers are not root');
    is((stat $t->dir('gw/token'))[2] & 077, 0, 'the token is root\'s alone');
    ok($t->reload('gw', drain => 1), 'a reload');
    ok($f->ready, 'ready again');
    is(call(), 200, 'serves');

    # as root what was another user's
    $t->stop('gw');
    $t->gateway(wait => 0, conf => conf());
    ok($f->ready, 'another user takes the store over');
    $t->stop('gw');
    $t->gateway(wait => 0, conf => conf(user => 1));
    ok($f->ready, 'and back') or diag(slurp($t->dir('gw/logs/error.log')));
    call() for 1 .. 3;
    is(call(), 429, 'the limits are enforced');
    $t->stop('gw');
}

# a store that cannot be one

spew($t->dir('file'), 'x');
for (['a file', $t->dir('file'), qr/\[emerg\].*file/],
     ['below a file', $t->dir('file') . '/x', qr/\[emerg\].*file\/x/],
     ['nowhere', '/nonexistent-stoa/a/b', qr/\[emerg\].*nonexistent/])
{
    my ($what, $path, $re) = @$_;
    my $c = conf();
    $c =~ s/stoa_store \S+/stoa_store $path/ or die;
    my ($code, $text) = $t->nginx_t(name => 'gw', conf => $c);
    isnt($code, 0, "$what: refused");
    like($text, $re, "$what: and said");
}


# floods

$t->gateway(wait => 0, conf => conf());
ok($f->ready, 'ready');
my $before = lines();
my $c = $t->connection;
my %s;
for my $i (1 .. 1000) {
    my $k = $i % 3 == 0 ? 'junk' : $i % 3 == 1
        ? Test::Stoa::FakeControl::token('live', sprintf 'c%015d', $i + 50)
        : "stoa_live_$i";
    $s{ $c->request('GET', $i % 2 ? '/apis/acme/echo/x' : '/mcp/acme',
        keepalive => 1, headers => { 'X-API-Key' => $k })->{status} }++;
    $c = $t->connection if $i % 900 == 0;
}
$c->close;
is(join(' ', sort keys %s), '401', 'a thousand bad keys are refused')
    or diag(explain(\%s));
cmp_ok(lines() - $before, '<', 10, 'without a line each');
$before = lines();
for (1 .. 200) { call(); $t->get('/apis/acme/none') }
cmp_ok(lines() - $before, '<', 10, 'nor for limits and what is not there');


# another size of the zone

my $pid = $t->pid('gw');
$t->write_file('gw/nginx.conf', conf(zone => 'stoa:9m'));
ok($t->reload('gw', drain => 1), 'a reload with a larger zone');
like(slurp($t->dir('gw/logs/error.log')),
     qr/\[warn\].*limits and in-flight counts start afresh/, 'is told');
is(call(), 200, 'and serves, with limits from the start');
$t->write_file('gw/nginx.conf', conf(zone => 'stoa:8k'));
kill 'HUP', $pid;
wait_until { slurp($t->dir('gw/logs/error.log')) =~ /too small/ } 5;
is(call(), 200, 'one that is too small is refused, the old one goes on');
$t->write_file('gw/nginx.conf', conf(zone => 'stoa:9m'));


# a second nginx on the same store

my $two = conf();
my $other = $t->port('two');
my $gw = $t->port('gw');
$two =~ s/127\.0\.0\.1:$gw/127.0.0.1:$other/ or die;
mkdir $t->dir('two');
mkdir $t->dir('two/logs');
$t->write_file('two/nginx.conf', $two);
$t->start_nginx('two');
sub answered { return scalar(grep { /^\d/ } $t->log_lines('gw'),
                             $t->log_lines('two')) }
my $ok = wait_until { $t->get('/stoa/ready', gateway => 'two')->{status}
                      == 200 } 10;
is($ok, 1, 'a second nginx on the same store is ready');
my $k = $f->credential(7);
$f->save;
ok($f->ready, 'a change arrives');
$ok = wait_until { $t->get('/apis/acme/echo/x', gateway => 'two',
                           key => $k)->{status} =~ /200|429/ } 5;
is($ok, 1, 'in both');
for (1 .. 60) {
    $t->get('/apis/acme/echo/x', gateway => $_ % 2 ? 'gw' : 'two', key => $k);
}
$t->stop('two');
$t->stop('gw');
my $logged = scalar(grep { m{/(?:apis|mcp)/} } $t->log_lines('gw'),
                    $t->log_lines('two'));
is($f->usage->{all}, $logged, 'and what both counted is told once');

$f->done;
