#!/usr/bin/perl

# Writers at the same time: no lost update, no double creation, one answer per
# Idempotency-Key, no gap in the audit log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::Stoa;

my $t = Test::Stoa->new;
$t->control;
$t->must(POST => '/v1/tenants', { name => 'acme' });

my $round = 0;

# Runs code in n processes that start together; what each returns.

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

sub count {
    my %n;
    $n{ $_->{status} }++ for @_;
    return \%n;
}

my $apps = '/v1/tenants/acme/applications';

# one name

my @r = at_once(8, sub { $t->api(POST => $apps, { name => 'same' }) });
is_deeply(count(@r), { 201 => 1, 409 => 7 }, 'one name is made once');

# If-Match

my $etag = $t->api(GET => "$apps/same")->{headers}{etag};
@r = at_once(8, sub { $t->api(PATCH => "$apps/same", { title => "t$_[0]" },
    headers => { 'If-Match' => $etag }) });
is_deeply(count(@r), { 200 => 1, 412 => 7 }, 'one of eight writers wins');

# read, add, write: nothing is lost

$t->must(PATCH => "$apps/same", { title => '0' });
@r = at_once(4, sub {
    my $tries = 0;
    for (1 .. 10) {
        my $r;
        do {
            my $get = $t->api(GET => "$apps/same");
            $r = $t->api(PATCH => "$apps/same",
                { title => '' . ($get->{json}{title} + 1) },
                headers => { 'If-Match' => $get->{headers}{etag} });
            $tries++;
        } while $r->{status} == 412;
        return { status => $r->{status} } if $r->{status} != 200;
    }
    return { status => 200, tries => $tries };
});
is_deeply(count(@r), { 200 => 4 }, 'all additions are taken');
is($t->must(GET => "$apps/same")->{title}, 40, 'none is lost');

# states

@r = at_once(8, sub { $t->api(POST => "$apps/same/suspend") });
is_deeply(count(@r), { 200 => 1, 409 => 7 }, 'an event happens once');

# Idempotency-Key

@r = at_once(8, sub { $t->api(POST => "$apps/same/credentials", {},
    headers => { 'Idempotency-Key' => 'at-once' }) });
is_deeply(count(@r), { 201 => 8 }, 'the same key, the same answer');
my %keys = map { $_->{json}{key} => 1 } @r;
is(scalar keys %keys, 1, 'one credential');
is(scalar(grep { $_->{headers}{'idempotency-replayed'} } @r), 7,
    'seven replays');
is(scalar @{ $t->must(GET => "$apps/same/credentials")->{items} }, 1,
    'and no other');

my %idem = (headers => { 'Idempotency-Key' => 'k' });
my $one = $t->api(POST => $apps, { name => 'idem' }, %idem);
my $two = $t->api(POST => $apps, { name => 'idem' }, %idem);
is($two->{status}, 201, 'a replay');
is($two->{body}, $one->{body}, 'with the same body');
is($two->{headers}{$_}, $one->{headers}{$_}, "and the same $_")
    for qw(etag location);
is($t->api(POST => $apps, { name => 'other' }, %idem)->{status}, 422,
    'the same key with another body');
is($t->api(POST => "$apps/idem/suspend", undef, %idem)->{status}, 422,
    'or on another path');
my $viewer = $t->must(POST => '/v1/admin-tokens', { name => 'second',
    role => 'platform-admin' })->{token};
is($t->api(POST => $apps, { name => 'other' }, %idem,
    token => $viewer)->{status}, 201, 'keys of another token are others');
is($t->api(POST => $apps, { name => 'idem' },
    headers => { 'Idempotency-Key' => 'fails' })->{status}, 409,
    'what failed');
$t->must(DELETE => "$apps/idem");
is($t->api(POST => $apps, { name => 'idem' },
    headers => { 'Idempotency-Key' => 'fails' })->{status}, 201,
    'is tried again');
is($t->api(POST => $apps, { name => 'x' },
    headers => { 'Idempotency-Key' => 'x' x 256 })->{status}, 400,
    'a key that is too long');

# one subscription, and deletion against creation

$t->must(POST => '/v1/tenants/acme/apis', { name => 'a', kind => 'rest',
    upstream => { targets => [{ url => 'http://a.test' }] } });
$t->must(POST => '/v1/tenants/acme/plans', { name => 'p' });
my %sub = (application => 'idem', api => 'a', plan => 'p');
@r = at_once(8, sub { $t->api(POST => '/v1/tenants/acme/subscriptions',
    \%sub) });
is_deeply(count(@r), { 201 => 1, 409 => 7 }, 'one live subscription');

@r = at_once(8, sub {
    return $_[0] % 2
        ? $t->api(DELETE => '/v1/tenants/acme/plans/p?force=1')
        : $t->api(POST => '/v1/tenants/acme/subscriptions',
            { %sub, application => 'same' });
});
my $n = count(@r);
ok(!(grep { $_ >= 500 } keys %$n), 'deleting and using a plan')
    or diag(json_encode($n));
is($n->{204}, 1, 'it is deleted once');
is(scalar @{ $t->must(GET => '/v1/tenants/acme/subscriptions')->{items} },
    0, 'nothing refers to it');

# many writers of several tenants: chains without gaps, revisions too

$t->must(POST => '/v1/tenants', { name => "t$_" }) for 0 .. 3;
@r = at_once(8, sub {
    my ($i) = @_;
    my $tenant = 't' . $i % 4;
    for (1 .. 10) {
        my $r = $t->api(POST => "/v1/tenants/$tenant/applications",
            { name => "w$i-$_" });
        return { status => $r->{status}, body => $r->{body} }
            if $r->{status} != 201;
    }
    return { status => 201 };
});
is_deeply(count(@r), { 201 => 8 }, 'eight writers, four tenants')
    or diag(json_encode(\@r));
my $v = $t->must(GET => '/v1/audit/verify');
is($v->{ok}, JSON::PP::true, 'the audit log is whole');
my ($chain) = grep { $_->{tenant} eq 't1' } @{ $v->{chains} };
is($chain->{checked}, 21, 'with every event');

$t->must(POST => '/v1/gateway-groups', { name => 'g' });
my $gw = $t->must(POST => '/v1/gateways', { name => 'g', group => 'g' })
    ->{token};
my @rev = map { json_decode($_)->{rev} } grep { /^\{"key"/ } split /\n/,
    $t->api(GET => '/gateway/v1/feed?since=0', undef, token => $gw)->{body};
is_deeply(\@rev, [sort { $a <=> $b } @rev], 'revisions in order');

$t->done;
