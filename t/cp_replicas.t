#!/usr/bin/perl

# Two control planes over one PostgreSQL: one order of revisions, one audit
# chain, one winner of every race, one expiry.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::Stoa;
use Test::Stoa::HTTP;

my $t = Test::Stoa->new(db => 'pg');
$t->control;

my $port = $t->port('second');
$t->start('second', argv => ["$Test::Stoa::OBJS/stoa-control",
    "--listen=127.0.0.1:$port", '--database=' . $t->database,
    '--admin-token-file=' . $t->dir('second.token'), '--log-level=info'],
    env => { $t->sanitizer_env('control') });
my $up = wait_until { Test::Stoa::http_once($port, 'GET', '/health/ready',
    timeout => 2)->{status} == 200 } 30;
ok($up, 'a second one starts');
ok(!-f $t->dir('second.token'), 'and makes no token of its own');

sub at {
    my ($where, $method, $path, $body, %o) = @_;
    my $r = Test::Stoa::http_once($where ? $port : $t->port('control'),
        $method, $path, headers => {
            exists $o{headers}{Authorization} ? ()
                : (Authorization => 'Bearer ' . ($o{token} // $t->{token})),
            $body ? ('Content-Type' => 'application/json') : (),
            map { defined $o{headers}{$_} ? ($_ => $o{headers}{$_}) : () }
                keys %{ $o{headers} || {} } },
        body => $body && json_encode($body));
    $r->{json} = json_decode($r->{body}) if $r->{body};
    return $r;
}

my $round = 0;
sub at_once {
    my ($n, $code) = @_;
    my $start = Time::HiRes::time() + 0.3;
    my @pids;
    $round++;
    for my $i (0 .. $n - 1) {
        my $pid = fork // die "fork: $!\n";
        if (!$pid) {
            my $pause = $start - Time::HiRes::time();
            Time::HiRes::sleep($pause) if $pause > 0;
            spew($t->dir("at-once-$round-$i"), json_encode($code->($i)));
            POSIX::_exit(0);
        }
        push @pids, $pid;
    }
    waitpid $_, 0 for @pids;
    return map { json_decode(slurp($t->dir("at-once-$round-$_"))) }
        0 .. $n - 1;
}

sub count { my %n; $n{ $_->{status} }++ for @_; return \%n }

# People: one login for both, ended for both; one count of failures

my $once = (slurp($t->dir('control.out')) =~ /one login: (\S+)/)[0];
sub person { my ($where, $method, $path, $body, $cookie) = @_;
    return at($where, $method, $path, $body, headers => {
        'Stoa-Client' => 'test', Authorization => undef,
        $cookie ? (Cookie => "__Host-stoa=$cookie") : () }) }
my $in = person(0, POST => '/v1/session', { name => 'admin',
    password => $once, new_password => 'correct horse' });
is($in->{status}, 201, 'a login at the first');
my ($cookie) = $in->{headers}{'set-cookie'} =~ /__Host-stoa=([^;]+)/;
is(person(1, GET => '/v1/session', undef, $cookie)->{status}, 200,
   'is one at the second');
is(person(0, DELETE => '/v1/session', undef, $cookie)->{status}, 204,
   'logout at the first');
my $over = wait_until { person(1, GET => '/v1/session', undef, $cookie)
    ->{status} == 401 } 10;
ok($over, 'is one at the second, seconds later');
my @tries = map { person($_ % 2, POST => '/v1/session', { name => 'admin',
    password => 'wrong wrong' })->{status} } 1 .. 5;
is("@tries", '401 401 401 401 401', 'attempts at both');
my $wait = person(0, POST => '/v1/session', { name => 'admin',
    password => 'wrong wrong' })->{headers}{'retry-after'};
my $waits = person(1, POST => '/v1/session', { name => 'admin',
    password => 'wrong wrong' })->{headers}{'retry-after'};
ok($wait || $waits, 'are counted together');

my $apps = '/v1/tenants/acme/applications';
is(at(0, POST => '/v1/tenants', { name => 'acme' })->{status}, 201,
    'made at the first');
is(at(1, GET => '/v1/tenants/acme')->{status}, 200, 'seen at the second');

is_deeply(count(at_once(8, sub { at($_[0] % 2, POST => $apps,
    { name => 'same' }) })), { 201 => 1, 409 => 7 }, 'one name, once');
my $etag = at(0, GET => "$apps/same")->{headers}{etag};
is_deeply(count(at_once(8, sub { at($_[0] % 2, PATCH => "$apps/same",
    { title => "t$_[0]" }, headers => { 'If-Match' => $etag }) })),
    { 200 => 1, 412 => 7 }, 'one writer wins');
my @r = at_once(8, sub { at($_[0] % 2, POST => "$apps/same/credentials",
    { title => 'x' }, headers => { 'Idempotency-Key' => 'k' }) });
is_deeply(count(@r), { 201 => 8 }, 'one Idempotency-Key');
my %id = map { $_->{json}{id} => 1 } @r;
is(scalar keys %id, 1, 'one credential');

@r = at_once(8, sub {
    my ($i) = @_;
    for (1 .. 15) {
        my $r = at($i % 2, POST => $apps, { name => "w$i-$_" });
        return { status => $r->{status} } if $r->{status} != 201;
    }
    return { status => 201 };
});
is_deeply(count(@r), { 201 => 8 }, 'eight writers at both');

# many keys that end in the same moment

my $end = Time::HiRes::time() + 4;
my @d = gmtime $end;
my $stamp = sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $d[5] + 1900,
    $d[4] + 1, @d[3, 2, 1, 0];
my @ids = map { at($_ % 2, POST => "$apps/same/credentials",
    { expires_at => $stamp })->{json}{id} } 1 .. 30;
my $all = wait_until {
    my $items = at(0, GET => "$apps/same/credentials?limit=500")
        ->{json}{items};
    30 == grep { $_->{state} eq 'expired' } @$items;
} 30;
ok($all, 'all of them expire');
is(scalar @{ at(0, GET => '/v1/audit?action=expire&limit=500')
    ->{json}{items} }, 30, 'each once');
is(at(1, GET => '/v1/audit/verify')->{json}{ok}, JSON::PP::true,
    'the audit log is whole');
unlike(slurp($t->dir('control.out')) . slurp($t->dir('second.out')),
    qr/ error /, 'no error in either log');

# a token that was revoked at one is refused at the other, once its cache ends

my $token = at(0, POST => '/v1/admin-tokens',
    { name => 'x', role => 'viewer' })->{json}{token};
is(at(1, GET => '/v1/whoami', undef, token => $token)->{status}, 200,
    'a token');
at(0, POST => '/v1/admin-tokens/x/revoke');
my $from = Time::HiRes::time();
my $refused = wait_until { at(1, GET => '/v1/whoami', undef,
    token => $token)->{status} == 401 } 10;
ok($refused, 'revoked at the other');
cmp_ok(Time::HiRes::time() - $from, '<', 7, 'within seconds');

# two administrators end each other in one instant: one is left

my @root = map { at(0, POST => '/v1/admin-tokens', { name => "root-$_",
    role => 'platform-admin' })->{json}{token} } 0, 1;
at(0, POST => '/v1/users/admin/disable');
my ($mine) = grep { $_->{role} eq 'platform-admin'
    && $_->{name} !~ /^root-/ } @{ at(0, GET => '/v1/admin-tokens')->{json}
    {items} };
at(0, POST => "/v1/admin-tokens/$mine->{name}/revoke");
my @ended = map { $_->{status} } at_once(2, sub { my ($i) = @_;
    at($i, POST => '/v1/admin-tokens/root-' . (1 - $i) . '/revoke', undef,
        token => $root[$i]) });
is(scalar(grep { $_ == 200 } @ended), 1, "one ends the other: @ended");
my ($left) = map { $root[$_] } grep { $ended[$_] == 200 } 0, 1;
is(at(1, GET => '/v1/whoami', undef, token => $left)->{status}, 200,
    'who is left is in');
$t->{token} = $left;

# and what is taken out of a role

at(0, POST => '/v1/tenants', { name => 'roles' });
at(0, POST => '/v1/tenants/roles/roles', { name => 'r',
    permissions => ['self:read', 'plan:read'] });
$token = at(0, POST => '/v1/admin-tokens', { name => 'r', role => 'r',
    tenant => 'roles' })->{json}{token};
is(at(1, GET => '/v1/tenants/roles/plans', undef, token => $token)->{status},
    200, 'a role');
at(0, PATCH => '/v1/tenants/roles/roles/r', { permissions => ['self:read'] });
is(at(0, GET => '/v1/tenants/roles/plans', undef, token => $token)->{status},
    403, 'narrowed: at once here');
$from = Time::HiRes::time();
ok(scalar wait_until(sub { at(1, GET => '/v1/tenants/roles/plans', undef,
    token => $token)->{status} == 403 }, 10), 'and at the other');
cmp_ok(Time::HiRes::time() - $from, '<', 7, 'within seconds');

$t->stop('second');

# two that start at once over a new database, which neither has seen

for my $n (1 .. 4) {
    system('psql', '-q', $t->database, '-c', "CREATE DATABASE start$n") == 0
        or die "psql\n";
    my @at = map { [ "start$n$_", $t->port("start$n$_") ] } 'a' .. 'c';
    $t->start($_->[0], argv => ["$Test::Stoa::OBJS/stoa-control",
        "--listen=127.0.0.1:$_->[1]",
        '--database=' . ($t->database =~ s{[^/]+$}{start$n}r),
        '--secret-key-file=' . $t->dir("start$n.key"),
        '--admin-token-file=' . $t->dir("start$n.token")],
        env => { $t->sanitizer_env('control') }) for @at;
    for my $one (@at) {
        my $up = wait_until { !$t->alive($one->[0]) ? -1
            : Test::Stoa::http_once($one->[1], 'GET', '/health/ready',
                timeout => 2)->{status} == 200 } 30;
        is($up, 1, "$one->[0] is ready")
            or diag(slurp($t->dir("$one->[0].out")));
    }
    $t->stop($_->[0]) for @at;
}

$t->done;
