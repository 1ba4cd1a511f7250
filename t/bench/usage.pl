#!/usr/bin/perl

# How long a month's chart of usage takes on 10 million rows by the minute (14
# days, ROWS) with the quarters and days that belong to them.  Not in CI: fills
# some 8 GB.
#   t/bench/usage.pl [sqlite|pg]

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use POSIX qw(strftime);
use Test::Stoa;
use Test::Stoa::Cost;
use Test::Stoa::Feed;
use Time::HiRes qw(time);

my $db = shift || 'pg';
my $rows = $ENV{ROWS} || 10_000_000;
my $t = Test::Stoa->new(db => $db);
$t->control;
$t->must(POST => '/v1/tenants', { name => "t$_" }) for 0 .. 9;
my @tenant = map { $t->must(GET => "/v1/tenants/t$_")->{id} } 0 .. 9;
my %app;
for my $n (0 .. 9) {
    $t->must(POST => "/v1/tenants/t$n/applications", { name => 'a' });
    $app{$n} = $t->must(GET => "/v1/tenants/t$n/applications/a")->{id};
}
my $mcp = $t->must(POST => '/v1/tenants/t3/apis', { name => 'm', kind => 'mcp',
    upstream => { targets => [{ url => 'http://x/mcp' }] } })->{id};

# Keys per tenant that are used at each minute of 14 days; days of a month.

my $minutes = 14 * 1440;
my $keys = int($rows / $minutes / 10) || 1;
my $pg = $db eq 'pg';
my $now = int(time / 86400) * 86400_000;
my $series = sub {
    my ($n, $as) = @_;
    return $pg ? "generate_series(0::bigint, @{[$n - 1]}) AS $as(i)"
        : "(WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c"
          . " WHERE i < @{[$n - 1]}) SELECT i FROM c) AS $as";
};
my $t0 = time;
Test::Stoa::Feed::sql($t, 'INSERT INTO tools (id, tenant, api, name, state,'
    . ' definition, digest, created_at, updated_at, ver) SELECT \'op\' || i,'
    . " '$tenant[3]', '$mcp', 't' || i, 'enabled', '{}', '', 0, 0, 0 FROM "
    . $series->($keys, 'm'));
for (['minute', 60_000, $minutes], ['quarter', 900_000, 31 * 96],
     ['two_hours', 7200_000, 31 * 12], ['day', 86400_000, 31])
{
    my ($level, $ms, $n) = @$_;
    next if $ENV{LEVELS} && ",$ENV{LEVELS}," !~ /,$level,/;
    for my $k (map { my $k = $_; map { [$k, $_] } 0 .. $keys - 1 } 0 .. 9) {
        ($k, my $key) = @$k;
        my $start = $now - $n * $ms;
        my $h = join ', ', ('1') x 26;
        Test::Stoa::Feed::sql($t, "INSERT INTO usage_$level (tenant,"
            . ' start_ms, application, subscription, api, operation,'
            . ' credential, refused, consumer, c2xx, c3xx, c4xx, c5xx,'
            . ' bytes_in, bytes_out, ' . join(', ', map { "h$_" } 0 .. 25)
            . ") SELECT '$tenant[$k]', $start + m.i * $ms, '$app{$k}', '',"
            . " 'api@{[$key % 7]}', 'op$key', 'key$key', '', '$tenant[$k]', 26, 0,"
            . " 0, 0, 100, 1000, $h FROM " . $series->($n, 'm'));
    }
}
my $sums = join ', ', map { "CAST(SUM($_) AS BIGINT)" }
    qw(c2xx c3xx c4xx c5xx bytes_in bytes_out), map { "h$_" } 0 .. 25;
for ([0, "''", "''"], [1, "''", 'api'], [2, 'application', "''"]) {
    my ($view, $app, $api) = @$_;
    Test::Stoa::Feed::sql($t, "INSERT INTO usage_view (view, tenant,"
        . ' start_ms, consumer, application, api, c2xx, c3xx, c4xx, c5xx,'
        . ' bytes_in, bytes_out, ' . join(', ', map { "h$_" } 0 .. 25)
        . ") SELECT $view, tenant,"
        . " start_ms, consumer, $app, $api, $sums FROM usage_quarter GROUP BY"
        . " tenant, start_ms, consumer"
        . join('', map { ", $_" } grep { $_ ne "''" } $app, $api),
        timeout => 600);
}
Test::Stoa::Feed::sql($t, 'ANALYZE', timeout => 600);
printf "%s: %s rows by the minute, %d keys of each of 10 tenants, made in"
    . " %.0f s\n", $db, Test::Stoa::Feed::sql($t,
    'SELECT COUNT(*) FROM usage_minute'), $keys, time - $t0;

my $month = 'from=' . strftime('%Y-%m-%d', gmtime($now / 1000 - 30 * 86400))
    . '&to=' . strftime('%Y-%m-%d', gmtime($now / 1000));
for (['one tenant, days', "/v1/tenants/t3/usage?$month&step=day"],
     ['one tenant, days by api', "/v1/tenants/t3/usage?$month&step=day&by=api"],
     ['one tenant, days of Kolkata',
      "/v1/tenants/t3/usage?$month&step=day&zone=Asia/Kolkata"],
     ['one tenant, days of Kolkata by api',
      "/v1/tenants/t3/usage?$month&step=day&zone=Asia/Kolkata&by=api"],
     ['one tenant, days of Kathmandu by app', "/v1/tenants/t3/usage?$month"
      . '&step=day&zone=Asia/Kathmandu&by=application'],
     ['one tenant, days of Kolkata by operation',
      "/v1/tenants/t3/usage?$month&step=day&zone=Asia/Kolkata&by=operation"],
     ['one tenant, days of Paris by operation',
      "/v1/tenants/t3/usage?$month&step=day&zone=Europe/Paris&by=operation"],
     ['one tenant, days of Kolkata by tool',
      "/v1/tenants/t3/usage?$month&step=day&zone=Asia/Kolkata&by=tool"],
     ['one tenant, days of Kolkata by key',
      "/v1/tenants/t3/usage?$month&step=day&zone=Asia/Kolkata&by=credential"],
     ['one tenant, days of Kolkata by all', "/v1/tenants/t3/usage?$month"
      . '&step=day&zone=Asia/Kolkata&by=application,api,operation,credential'],
     ['one tenant, hours', "/v1/tenants/t3/usage?$month&step=hour"],
     ['all tenants, days', "/v1/usage?$month&step=day"],
     ['all tenants, days of Kolkata',
      "/v1/usage?$month&step=day&zone=Asia/Kolkata"],
     ['one tenant, minutes of an hour', '/v1/tenants/t3/usage?step=minute&from='
      . strftime('%Y-%m-%dT00:00:00Z', gmtime($now / 1000 - 86400)) . '&to='
      . strftime('%Y-%m-%dT01:00:00Z', gmtime($now / 1000 - 86400))])
{
    my ($what, $path) = @$_;
    my ($cpu, $wall) = cost($t, 5, sub { asked($t, $path) });
    printf "%-41s %7.1f ms, %7.1f ms of CPU\n", $what, $wall, $cpu;
}
printf "load %s\n", load();
$t->done;
