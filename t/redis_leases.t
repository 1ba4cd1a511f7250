#!/usr/bin/perl

# Limits that gateways share by a real Redis: four gateways of four workers
# spend one budget and never more, whoever is killed, frozen or emptied; what a
# plan says about a Redis that is away happens.  Prints its counts.  With
# STOA_TEST_FULL the load lasts a minute (make test-leases).

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Load;
use Test::Stoa::Redis;
use Time::HiRes qw(time);

my $FULL = $ENV{STOA_TEST_FULL};
my $LOAD = $FULL ? 60 : 4;                      # seconds
my $t = Test::Stoa->new->has(qw(module control redis));
my $redis = Test::Stoa::Redis->new($t, 'redis');
$t->control;

my $quota = $FULL ? 12_000 : 1200;
my %plans = (
    five => { rate => 5, per_ms => 600_000, burst => 5 },
    months => { quota_day => 60, quota_month => 50 },
    both => { rate => 6, per_ms => 600_000, burst => 6, quota_day => 3 },
    fast => { rate => 200, per_ms => 1000, burst => 200 },
    day => { quota_day => $quota },
    kills => { quota_month => $quota, rate => 250, burst => 250 },
    empty => { quota_month => $quota, rate => 400, burst => 400,
               on_store_failure => 'deny' },
    deny => { rate => 1000, on_store_failure => 'deny' },
    allow => { rate => 1000, on_store_failure => 'allow' },
    share => { rate => 40, burst => 40 },
    edited => { quota_day => 4 },
    nepal => { quota_day => 2, time_zone => 'Asia/Kathmandu' },
);

# what policies count: plans of the same names have no limit

my $hour = 3_600_000;
my %policies = (
    some => ['rate-limit', rate => 7, per_ms => $hour, by => ['application']],
    rooms => ['rate-limit', rate => 3, per_ms => $hour,
              by => ['header:X-Room']],
    shut => ['rate-limit', rate => 1000, on_store_failure => 'deny'],
    near => ['rate-limit', rate => 2, per_ms => $hour,
             algorithm => 'window'],
    llm => ['llm-tokens', tokens => 1000, per_ms => $hour],
    loads => ['llm-tokens', tokens => 5800, per_ms => $hour, reserve => 70],
    debts => ['llm-tokens', tokens => 1000, per_ms => $hour],
);
sub policy { my ($name) = @_;
             my ($type, %config) = @{ $policies{$name} };
             return doc('Policy', 'acme', $name, { type => $type,
                 config => \%config, attach => [{ api => "a$name" }] }) }
my $to = 'http://127.0.0.1:' . $t->port('up');
$t->apply(docs(tenant('acme'), app('acme', 'demo'),
    (map { policy($_) } sort keys %policies),
    map { (plan('acme', $_, %{ $plans{$_} || { rate => 0 } }),
           rest('acme', "a$_", $to), sub_('acme', 'demo', "a$_", $_)) }
    sort keys %plans, keys %policies));
$t->write_file('up/nginx.conf', $t->bare_conf(
    'location / { access_log %%DIR%%/up/at.log at; return 200 ok; }'
    . ' location ~ ^/(llm|loads|debts) { access_log %%DIR%%/up/at.log at;'
    . ' default_type application/json; set $out 10;'
    . ' if ($uri = /debts) { set $out 1500; }'
    . q( return 200 '{"model":"m","usage":{"prompt_tokens":19,)
    . q("completion_tokens":$out}}'; }),
    name => 'up', http => 'log_format at "$msec $uri";'));
my @gw = map { "gw$_" } 1 .. 4;
sub gateway { my ($name) = @_;
              $t->gateway(name => $name, workers => 4, level => 'notice',
                  wait => 0, http => "stoa_redis @{[$redis->address]}"
                  . ' timeout=500ms; keepalive_requests 100000;') }
gateway($_) for @gw;
$t->start_nginx('up');
my $key = $t->key('acme', 'demo');
$t->sync($_) for @gw;

sub call { my ($api, $i, %o) = @_;
           return $t->get("/apis/acme/a$api/$api", key => $key,
                          gateway => $gw[($i // 0) % @gw], %o) }
sub codes { my ($api, $n) = @_;
            return join ' ', map { call($api, $_)->{status} } 1 .. $n }

# how many pass at whichever gateway; what another one holds comes back within
# a second

sub all_of {
    my ($api, $want) = @_;
    my ($i, $n) = (0, 0);
    wait_until { $n += call($api, $i++)->{status} == 200; $n >= $want } 10;
    $n += call($api, $_)->{status} == 200 for 0 .. 7;
    return $n;
}
sub metric { my ($name) = @_; my $sum = 0;
             $sum += $t->metrics($_)->{$name} for @_[1 .. $#_]; return $sum }

# when the upstream got calls of an api

sub admitted {
    my ($api) = @_;
    return map { m{^(\S+) /\Q$api\E$} ? $1 : () }
        split /\n/, slurp($t->dir('up/at.log'));
}
sub all_load { my ($api, $clients) = @_;
               return map { load($t, gateway => $_, clients => $clients // 2,
                   seconds => 120, request => ['GET', "/apis/acme/a$api/$api",
                   { 'X-API-Key' => $key }]) } @gw }
sub stop_load {
    my %sum;
    for my $load (@_) {
        my $got = $load->stop;
        $sum{$_} += $got->{$_} for keys %$got;
    }
    return \%sum;
}


# one budget, whoever is asked

is(codes('five', 7), '200 200 200 200 200 429 429',
   'a burst of five at four gateways');
my $r = call('five');
is($r->{json}{code}, 'rate_exceeded', 'the reason');
like($r->{headers}{'retry-after'}, qr/^1[12]\d$/, 'Retry-After');
is($r->{headers}{'stoa-limits'}, undef, 'nothing of a failure');
is(all_of('months', 50), 50, 'fifty in a month');
is_deeply(call('months')->{json}{'violated-policies'}, ['month'],
          'the month refuses');
is(all_of('both', 3), 3, 'three in a day');
is(call('both', $_)->{status}, 429, 'and no more') for 1 .. 6;
$t->must('PATCH', '/v1/tenants/acme/plans/both', { quota_day => 0 });
$t->sync($_) for @gw;
is(all_of('both', 3), 3,
   'what the day refused was not charged to the rate');
is(all_of('edited', 4), 4, 'four in a day');
$t->must('PATCH', '/v1/tenants/acme/plans/edited', { quota_day => 6 });
$t->sync($_) for @gw;
is(all_of('edited', 2), 2, 'a raise counts, and what was used');

# a worker killed between two words of a pool: its message and the answer that
# was counted last are no neighbours

is(call('deny', 0)->{status}, 200, 'a pool');
my $leases = $t->dir('gw1/store/leases');
sub pools { my $n = length(my $all = slurp($leases));
            return map { [$_, unpack 'Q*', substr $all, $_, 256] }
                grep { unpack 'Q', substr $all, $_, 8 }
                map { 16384 + 256 * $_ } 0 .. ($n - 16384) / 256 - 17 }
wait_until { !grep { $_->[2] >> 40 } pools() } 10;
open my $file, '+<:raw', $leases or die "$leases: $!";
for my $pool (pools()) {
    sysseek $file, $pool->[0] + 80, 0;
    syswrite $file, pack 'QQ', 3, 1;
}
close $file;
is(join(' ', map { call('deny', 0)->{status} } 1 .. 3), '200 200 200',
   'such a pool begins anew');

is(all_of('nepal', 2), 2, 'two in a day of a time zone');
my $left = 86400 - (time + 20700) % 86400;
$r = call('nepal');
cmp_ok(abs($r->{headers}{'retry-after'} - $left), '<', 5,
       'which ends at midnight there');

my $items = $t->must('GET', '/v1/tenants/acme/effective-policies?'
    . 'api=afive&application=demo')->{items};
is(join(' ', map { $_->{counted} // '-' } grep { $_->{type} eq 'rate' }
        @$items), 'shared', 'the view says that it is shared');
is($t->api('GET', '/v1/gateways/gw1')->{json}{limits}, 'shared',
   'so does the gateway');


# what policies count is shared, too: all of it, once

is(all_of('some', 7), 7, 'seven of an application at four gateways');
$r = call('some');
is($r->{json}{code}, 'rate_exceeded', 'the reason');
cmp_ok($r->{headers}{'retry-after'}, '>', 300, '... and for how long');
sub room { my ($room, $i) = @_;
           return call('rooms', $i, headers => { 'X-Room' => $room })
               ->{status} }
for my $room ('r1', 'r2') {
    my ($i, $n) = (0, 0);
    wait_until { $n += room($room, $i++) == 200; $n >= 3 } 10;
    $n += room($room, $_) == 200 for 0 .. 7;
    is($n, 3, "three of the room $room");
}
is(codes('near', 9), '200 ' x 8 . '429', 'a window is of each gateway alone');
my %how = map { my $n = $_; my ($item) = grep { $_->{type} eq
        $policies{$n}[0] } @{ $t->must('GET', '/v1/tenants/acme/'
        . "effective-policies?api=a$n")->{items} };
    $n => $item->{counted} } qw(some near llm);
is("@how{qw(some near llm)}", 'shared per node shared', 'and the view says so');

sub ask { my ($api, $max, $i) = @_;
          return $t->http('POST', "/apis/acme/a$api/$api", key => $key,
              gateway => $gw[($i // 0) % @gw], headers => { 'Content-Type' =>
              'application/json' }, body => qq({"max_tokens":$max})) }

# 19 and 10 each; what was set aside and not used comes back at once

my ($n, $i) = (0, 0);
wait_until { $n += ask('llm', 90, $i++)->{status} == 200; $i > 60 } 30;
my $refused = $i - $n;
cmp_ok($n, '<=', 32, "tokens of $n calls at four gateways");
ok((wait_until { $n += ask('llm', 40, $i++)->{status} == 200; $n >= 32 } 15),
   '... are all of them');
cmp_ok($n * 29, '<=', 1000 + 10, '... and no more');
is(ask('llm', 95, $_)->{status}, 429, '... whoever is asked') for 0 .. 3;

is(ask('debts', 10)->{status}, 200, 'more than was set aside');
ok((wait_until { $r = ask('debts', 1, 1); $r->{status} == 429 } 10),
   '... is owed at another gateway');
wait_until { $r = ask('debts', 1, 2);
             ($r->{headers}{'retry-after'} // 0) > 1800 } 10;
cmp_ok($r->{headers}{'retry-after'}, '>', 1800, '... until it is refilled');

my $began = time;
my @asks = map { load($t, gateway => $_, clients => 3, seconds => 120,
    body => '{"max_tokens":64}', request => ['POST',
        '/apis/acme/aloads/loads', { 'X-API-Key' => $key,
            'Content-Type' => 'application/json' }]) } @gw;
wait_until { time > $began + 3 && admitted('loads') >= 195 } 12;
my $sum = stop_load(@asks);
wait_until { admitted('loads') >= $sum->{200} } 5;
my $tokens = 29 * admitted('loads');
my $most = 5800 * (1 + (time - $began) / 3600);
diag(sprintf 'tokens 5800 an hour: %d calls of %d used %d of %.0f',
     scalar(my @a = admitted('loads')), $sum->{200} + ($sum->{429} // 0),
     $tokens, $most);
cmp_ok($tokens, '<=', $most, 'tokens under load: never more');
cmp_ok($tokens, '>', 0.9 * 5800, '... and hardly less');


# a rate under load: never more, hardly less

my $asked = metric('stoa_lease_asked_total', @gw);
my ($start, @load) = (time, all_load('fast'));
wait_until { time > $start + $LOAD } $LOAD + 10;
my $got = stop_load(@load);
my $seconds = time - $start;
wait_until { admitted('fast') >= $got->{200} } 5;
$n = admitted('fast');
my $bound = 200 + 200 * $seconds;
my $ops = (metric('stoa_lease_asked_total', @gw) - $asked) / $seconds / @gw;
diag(sprintf 'rate 200/s, burst 200: %d calls in %.1f s, %d admitted of %.0f'
     . ' (%.1f %%), %.1f messages a second and gateway',
     (eval { my $s = 0; $s += $_ for values %$got; $s }), $seconds, $n,
     $bound, 100 * $n / $bound, $ops);
cmp_ok($n, '<=', $bound, 'never more than the rate');
cmp_ok($n, '>', 0.5 * $bound, 'and it is used');
is($got->{503} // 0, 0, 'no call was without an answer of Redis');


# a quota: exactly all of it, with workers and gateways killed meanwhile

sub spend {
    my ($api, $clients, $fault) = @_;
    my @load = all_load($api, $clients);
    my ($i, $next) = (0, time + 0.3);
    wait_until {
        if ($fault && time > $next) { $fault->($i++); $next = time + 0.4 }
        admitted($api) >= $quota;
    } $FULL ? 100 : 25;
    return stop_load(@load);
}

$got = spend('day');
is(call('day', $_)->{status}, 429, 'the day is used up') for 1 .. 4;
is(scalar(my @day = admitted('day')), $quota, 'exactly the quota of a day');

my ($workers, $gateways) = (0, 0);
$t->allow_log(qr/exited on signal 9|shared memory zone|lost process/);
spend('kills', 2, sub {
    my ($i) = @_;
    my $name = $gw[$i % @gw];
    if ($i == 3) {
        kill 'HUP', $t->pid($name);
    } elsif ($i % 3 == 2 && $gateways < 3) {
        $gateways++;
        $t->kill9($name);
        gateway($name);
    } else {
        my @pids = $t->workers($name);
        kill 'KILL', $pids[rand @pids] if @pids;
        $workers++;
    }
});
wait_until { $t->get('/stoa/ready', gateway => $_)->{status} == 200 } 20
    for @gw;
my $kills = admitted('kills');
diag("quota $quota: $kills admitted, $workers workers and $gateways gateways "
     . 'killed');
cmp_ok($kills, '<=', $quota, 'never more than the quota of a month');
wait_until { call('kills', int rand 4)->{status} == 429 } 20;
cmp_ok($kills = admitted('kills'), '<=', $quota, 'nor later');
cmp_ok($kills, '>=', $quota - 40, 'what was leased was not lost');


# all are restarted, some by force: the month goes on where it was

my $used = admitted('months');
for my $name (@gw) {
    $name =~ /[12]/ ? $t->kill9($name) : $t->stop($name, signal => 'QUIT');
    gateway($name);
}
$t->sync($_) for @gw;
is(call('months', $_)->{status}, 429, 'restarted: the month is still used')
    for 1 .. 4;


# emptied in the middle: those who know tell it, meanwhile as the plan says

my $flushed = 0;
$got = spend('empty', 1, sub {
    $flushed++ || $redis->cmd('FLUSHALL') if admitted('empty') > $quota / 4;
});
wait_until { call('empty', int rand 4)->{status} == 429 } 30;
diag("quota $quota, emptied once: " . admitted('empty') . ' admitted');
ok($flushed, 'emptied');
cmp_ok(scalar(my @e = admitted('empty')), '<=', $quota,
       'never more than the quota, emptied or not');


# away: as the plan says, and nobody waits long

call($_, 0) for qw(deny allow share shut);
wait_until { metric('stoa_limits_shared', @gw) == 4 } 10;
$redis->freeze;
call('deny', $_) for 0 .. 3;
wait_until { metric('stoa_limits_shared', @gw) == 0 } 10;
$r = wait_until { my $r = call('deny', 1); $r->{status} == 503 && $r } 5;
is($r && $r->{json}{code}, 'limits_unavailable', 'deny: 503');
like($r && $r->{headers}{'stoa-limits'}, qr/mode=deny/, 'and says why');
$r = wait_until { my $r = call('shut', 1); $r->{status} == 503 && $r } 5;
is($r && $r->{json}{code}, 'limits_unavailable', '... of a policy, too');
$r = wait_until { my $r = call('allow', 1);
                  $r->{headers}{'stoa-limits'} && $r } 5;
is($r && $r->{status}, 200, 'allow: passes');
$r = wait_until { my $r = call('share', 1); $r->{status} == 200
    && $r->{headers}{'stoa-limits'} && $r } 10;
like($r && $r->{headers}{'stoa-limits'}, qr/mode=local_share/,
     'local_share: its part');
is($t->api('GET', '/v1/gateways/gw1')->{status}, 200, '(the others live)');
wait_until { ($t->api('GET', '/v1/gateways/gw1')->{json}{limits} // '')
             eq 'away' } 15;
is($t->api('GET', '/v1/gateways/gw1')->{json}{limits}, 'away', 'told');
$redis->thaw;
wait_until { metric('stoa_limits_shared', @gw) == 4 } 10;
ok((wait_until { my $r = call('deny', 1); $r->{status} == 200
                 && !$r->{headers}{'stoa-limits'} } 5), 'back');
my @lines = grep { /limits are/ } $t->log_lines('gw2', 'error.log');
cmp_ok(scalar(grep { /no longer shared/ } @lines), '<=',
       1 + grep({ /shared again/ } @lines), 'a line for each change');


# its keys end by themselves

my ($cursor, @bad) = (0);
do {
    my ($next, $keys) = @{ [$redis->cmd('SCAN', $cursor, 'COUNT', 1000)] };
    push @bad, grep { my $ttl = $redis->cmd('PTTL', $_); $ttl <= 0 } @$keys;
    $cursor = $next;
} while ($cursor);
is("@bad", '', 'each key has an end');

$t->done;
