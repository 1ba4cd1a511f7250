#!/usr/bin/perl

# Quotas of a day and a month: exact over workers, both or none, kept over a
# restart and a kill; legacy headers.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');

$t->control;
my $to = 'http://127.0.0.1:' . $t->origin(sub { [200, [], 'ok'] });

my %plans = (
    day => { quota_day => 3 },
    month => { quota_month => 2, quota_day => 100 },
    hundred => { quota_day => 40 },
    all => { quota_day => 9, quota_month => 5, rate => 7, per_ms => 600_000 },
    nepal => { quota_day => 2, time_zone => 'Asia/Kathmandu' },
    rated => { quota_day => 2, rate => 5, per_ms => 600_000, burst => 5 },
);
$t->apply(docs(tenant('acme'), app('acme', 'demo'),
    map { (plan('acme', $_, %{ $plans{$_} }), rest('acme', "a$_", $to),
           sub_('acme', 'demo', "a$_", $_)) } sort keys %plans));
my @gateway = (workers => 3, location => 'stoa_legacy_headers on;');
$t->gateway(@gateway);
my $key = $t->key('acme', 'demo');
$t->sync;

sub call { my ($api) = @_; return $t->get("/apis/acme/a$api/", key => $key) }
sub codes { my ($n, $api) = @_;
            return join ' ', map { call($api)->{status} } 1 .. $n }

my $r = call('day');
is($r->{status}, 200, 'the first');
is($r->{headers}{'ratelimit-policy'}, '"day";q=3;w=86400',
   'RateLimit-Policy');
like($r->{headers}{ratelimit}, qr/^"day";r=2;t=\d+$/, 'RateLimit');
is($r->{headers}{'x-ratelimit-limit'}, 3, 'X-RateLimit-Limit');
is($r->{headers}{'x-ratelimit-remaining'}, 2, 'X-RateLimit-Remaining');
like($r->{headers}{'x-ratelimit-reset'}, qr/^\d+$/, 'X-RateLimit-Reset');
is(codes(3, 'day'), '200 200 429', 'three a day');
$r = call('day');
is($r->{json}{code}, 'quota_exceeded', 'quota_exceeded');
is_deeply($r->{json}{'violated-policies'}, ['day'], 'which policy');
my $near = $t->metrics->{stoa_quota_near_total};
is($near, 1, 'who has nearly used it up is counted, who is refused is not');
my $left = 86400 - time % 86400;
ok(abs($r->{headers}{'retry-after'} - $left) < 5, 'Retry-After: midnight UTC')
    or diag("$r->{headers}{'retry-after'}, not $left");

is(codes(2, 'nepal'), '200 200', 'days of a time zone');
$r = call('nepal');
$left = 86400 - (time + 20700) % 86400;
ok(abs($r->{headers}{'retry-after'} - $left) < 5,
   'Retry-After: midnight there') or diag $r->{headers}{'retry-after'};
is($t->api('PATCH', '/v1/tenants/acme/plans/nepal',
           { time_zone => 'Asia/Nowhere' })->{status}, 422, 'no such zone');
is($t->api('PATCH', '/v1/tenants/acme/plans/nepal',
           { time_zone => '../localtime' })->{status}, 422, 'nor such a path');

is(codes(3, 'month'), '200 200 429', 'two a month');
$r = call('month');
is_deeply($r->{json}{'violated-policies'}, ['month'], 'which policy');
is($r->{headers}{'ratelimit-policy'},
   '"day";q=100;w=86400, "month";q=2;w=2592000', 'both policies');

$r = call('all');
like($r->{headers}{ratelimit},
     qr/^"month";r=4;t=\d+, "rate";r=6;t=\d+, "day";r=8;t=\d+$/,
     'what is left of each, the nearest first');
call('all') for 1 .. 5;
$r = call('all');
is($r->{status}, 429, 'refused by one');
like($r->{headers}{ratelimit}, qr/^"month";r=0;t=\d+$/, 'which is told');

my ($n, %count) = (0);
for (1 .. 5) {
    next if fork;
    my $ok = grep { call('hundred')->{status} == 200 } 1 .. 15;
    POSIX::_exit($ok);
}
for (1 .. 5) { wait; $n += $? >> 8; }
is($n, 40, 'exactly 40 of 75, at once');

is(codes(3, 'rated'), '200 200 429', 'a quota beside a rate');
$r = call('rated');
is($r->{json}{code}, 'quota_exceeded', 'the quota');
is(join(' ', map { call('rated')->{json}{code} } 1 .. 6),
   join(' ', ('quota_exceeded') x 6), 'which uses no rate up');

my $subs = '/v1/tenants/acme/subscriptions';
for my $way (qw(DELETE POST)) {
    my ($s) = grep { $_->{state} eq 'active' }
        @{ $t->must(GET => "$subs?api=aday")->{items} };
    $t->must($way, "$subs/$s->{id}" . ($way eq 'POST' ? '/revoke' : ''));
    $t->must(POST => $subs, { application => 'demo', api => 'aday',
                              plan => 'day' });
    $t->sync;
    is(codes(2, 'day'), '429 429', "$way and made again: the same allowance");
}

$t->stop('gw');
$t->gateway(@gateway);
is(call('day')->{status}, 429, 'kept over a restart');
$t->kill9('gw');
$t->gateway(@gateway);
is(call('hundred')->{status}, 429, 'and over a kill -9');

$t->done;
