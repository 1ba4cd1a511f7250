#!/usr/bin/perl

# proxy_cache in a location with "stoa": what one caller got is never given to
# another, nor to another api.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;
my @up = map { my $n = $_; $t->origin(sub {
    [200, ['Cache-Control' => 'max-age=60'], "$n " . rand]
}, name => "up$n") } 1, 2;
$t->apply(demo(rest => { one => $up[0], two => $up[1] })
    . document('Application', 'acme', 'other')
    . subscribe('acme', 'other', 'api', 'one', 'basic'));
$t->gateway(http => 'proxy_cache_path %%DIR%%/cache keys_zone=c:1m;',
    location => 'proxy_cache c; proxy_cache_valid 200 1m;');
my %key = map { $_ => $t->key('acme', $_) } qw(app other);
$t->sync;

sub body { my ($who, $api, $path) = @_;
    my $r = $t->get("/apis/acme/$api/" . ($path // 'x'), key => $key{$who});
    return $r->{status} == 200 ? $r->{body} : $r->{status} }

my $first = body('app', 'one');
like($first, qr/^1 /, 'a call');
is(body('app', 'one'), $first, 'the same caller gets it from the cache');
like(body('app', 'two'), qr/^2 /, 'another api with the same path does not');
isnt(body('other', 'one'), $first, 'another caller does not');
isnt(body('app', 'one', 'x?y'), $first, 'another query does not');
is($t->get('/apis/acme/one/x')->{status}, 401, 'without a key: 401 as ever');
$t->must('POST', '/v1/tenants/acme/applications/app/suspend');
$t->sync;
is(body('app', 'one'), 403, 'who is suspended gets nothing from the cache');

$t->done;
