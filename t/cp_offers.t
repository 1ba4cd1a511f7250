#!/usr/bin/perl

# What a consumer sees of others' plans; what another plan would change; a
# subscription that moves to another application.

use POSIX ();
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;

my $t = Test::Stoa->new->has('stoactl');
$t->control;
$t->must(POST => '/v1/tenants', { name => $_ }) for qw(pub con mate far);
my %token = map { my ($name) = @$_;
    ($name => $t->must(POST => '/v1/admin-tokens', { name => $name,
        role => 'tenant-admin', tenant => $name })->{token}) }
    ['pub'], ['con'];
my ($p, $c) = ('/v1/tenants/pub', '/v1/tenants/con');
my $mine = $t->must(GET => $c)->{id};

sub api {
    my ($tenant, $name, %o) = @_;
    my $base = "/v1/tenants/$tenant/apis";
    $t->must(POST => $base, { name => $name, kind => 'rest',
        base_path => "/$tenant-$name", upstream => { targets => [
        { url => 'http://10.0.0.1' }] }, %o });
    $t->must(POST => "$base/$name/publish") unless $name eq 'draft';
}
api('pub', 'open', audience => 'public');
api('pub', 'inner');
api('pub', 'draft', audience => 'public');
api('mate', 'ours', audience => 'partner', partners => ['con']);
api('far', 'none');
$t->must(POST => "/v1/tenants/$_->[0]/plans", $_->[1])
    for ['pub', { name => 'gold', quota_day => 100, rate => 10 }],
        ['pub', { name => 'free', quota_day => 10 }],
        ['pub', { name => 'asked', approval => 'manual' }],
        ['pub', { name => 'old' }], ['mate', { name => 'm' }],
        ['far', { name => 'f' }], ['con', { name => 'own' }];
$t->must(POST => "$p/plans/old/deprecate");

# offers

sub offers {
    my ($query, $who) = @_;
    return $t->must(GET => "$c/offers" . ($query // ''), undef,
                    token => $token{ $who // 'con' });
}
my $all = offers();
is(join(' ', sort map { "$_->{publisher}/$_->{plan}" } @{ $all->{items} }),
   'mate/m pub/asked pub/free pub/gold',
   'active plans of who has an api that the tenant sees');
my ($gold) = grep { $_->{plan} eq 'gold' } @{ $all->{items} };
is("@{ $gold->{apis} }", 'open', 'with the apis that it sees');
is("$gold->{quota_day} $gold->{rate} $gold->{approval}", '100 10 auto',
   'and their limits');
is(join(' ', map { $_->{plan} } @{ offers('?publisher=mate')->{items} }), 'm',
   'of one publisher');
my $page = offers('?limit=3');
is(scalar(@{ offers("?limit=3&cursor=$page->{next}")->{items} }), 1, 'pages');
is($t->api(GET => "$c/offers", undef, token => $token{pub})->{status}, 404,
   'what others are offered is theirs');

# another plan

$t->must(POST => "$c/applications", { name => $_ }) for qw(shop till bar);
my $sub = $t->must(POST => "$c/subscriptions", { application => 'shop',
    target_tenant => 'pub', api => 'open', plan => 'free' });
my $gw = Test::Stoa::Feed->new($t, 'gw', 'default');
my $now = int(time) * 1000;
is($gw->call('POST', '/gateway/v1/usage', { file => 'd' x 32, batch => 1,
    from_ms => $now, to_ms => $now + 1000, rows => [{
    tenant => $t->must(GET => $p)->{id}, subscription => $sub->{id},
    api => $t->must(GET => "$p/apis/open")->{id}, refused => '',
    application => $t->must(GET => "$c/applications/shop")->{id},
    operation => '', c2xx => 4, c3xx => 0, c4xx => 0, c5xx => 0,
    bytes_in => 0, bytes_out => 0, latency_us => [(0) x 6, 4, (0) x 19] }] })
   ->{status}, 200, 'it was used');

sub preview {
    my ($plan) = @_;
    return $t->must(POST => "$c/subscriptions/$sub->{id}/plan-preview",
                    { plan => $plan }, token => $token{con});
}
my $see = preview('gold');
ok($see->{possible}, 'a preview of another plan');
is_deeply($see->{changes}, { quota_day => { before => 10, after => 100 },
    rate => { before => 0, after => 10 } }, 'what would change');
is_deeply($see->{used}, { day => 4, month => 4 }, 'and what is used already');
is($t->must(GET => "$c/subscriptions/$sub->{id}")->{plan}, 'free',
   'nothing is changed');
$see = preview('asked');
ok(!$see->{possible}, 'a plan that its publisher approves');
like($see->{detail}, qr/publisher's approval/, 'and why not');
ok(!preview('old')->{possible}, 'a deprecated one');
ok(!preview('nothing')->{possible}, 'one that is not there');
is($t->must(GET => '/v1/audit/verify')->{ok}, JSON::PP::true,
   'the audit log knows nothing of it');

# what is left

sub left {
    my ($base, $who, $path) = @_;
    return $t->api(GET => "$base/$path/quota", undef, token => $token{$who})
        ->{json};
}
my $left = left($c, 'con', 'applications/shop')->{items};
my $tomorrow = POSIX::strftime('%Y-%m-%d', gmtime(time + 86400));
is(scalar @$left, 1, 'of an application');
is_deeply([@{ $left->[0] }{qw(subscription application target_tenant api plan
                              limit_by)}],
    [$sub->{id}, qw(shop pub open free subscription)], 'of what');
is_deeply($left->[0]{day}, { limit => 10, used => 4, remaining => 6,
    reset_at => "${tomorrow}T00:00:00.000Z" }, 'what, and until when');
ok(!exists $left->[0]{month}, 'no quota, nothing left of it');
is_deeply(left($p, 'pub', "subscriptions/$sub->{id}"), $left->[0],
          'the publisher sees the same');
is($t->api(GET => "$c/applications/shop/quota", undef,
           token => $token{pub})->{status}, 404, 'not of the application');
$t->must(PATCH => "$p/plans/free", { limit_by => 'credential',
                                     quota_month => 2 });
$left = left($c, 'con', "subscriptions/$sub->{id}");
is_deeply([map { [@$_{qw(used remaining)}] } @{ $left->{credentials}[0] }
           {qw(day month)}], [[4, 6], [4, 0]], 'of each key, never below 0');
ok(!exists left($p, 'pub', "subscriptions/$sub->{id}")->{credentials},
   'keys are their consumer\'s');
$t->must(PATCH => "$p/plans/free", { limit_by => 'subscription' });
like(($t->stoactl(qw(quota shop -t con)))[1], qr/\bopen +free +4 +6 /,
     'stoactl quota');
like(($t->stoactl(qw(quota con/shop/open -t pub)))[1], qr/ 4 +6 /,
     'of one subscription');

# the day of a zone in which it began an hour ago

my $hour = (13 - (gmtime)[2]) % 24 - 12;
my $zone = sprintf '%+03d:00', $hour;
my $ago = (time - 3 * 3600) * 1000;
is($gw->call('POST', '/gateway/v1/usage', { file => 'd' x 32, batch => 2,
    from_ms => $ago, to_ms => $ago + 1000, rows => [{
    tenant => $t->must(GET => $p)->{id}, subscription => $sub->{id},
    api => $t->must(GET => "$p/apis/open")->{id}, refused => '',
    application => $t->must(GET => "$c/applications/shop")->{id},
    operation => '', c2xx => 50, c3xx => 0, c4xx => 0, c5xx => 0,
    bytes_in => 0, bytes_out => 0, latency_us => [(0) x 6, 50, (0) x 19] }] })
   ->{status}, 200, 'it was used before');
$t->must(PATCH => "$p/plans/$_", { time_zone => $zone }) for qw(free gold);
$left = left($c, 'con', "subscriptions/$sub->{id}");
is($left->{day}{used}, 4, 'what was used in the day of a zone');
is($left->{day}{reset_at}, POSIX::strftime('%Y-%m-%dT%H:%M:%S.000Z',
    gmtime((int((time + $hour * 3600) / 86400) + 1) * 86400 - $hour * 3600)),
   'and when that ends');
is(preview('gold')->{used}{day}, 4, 'what counts with a plan of the zone');
$t->must(PATCH => "$p/plans/$_", { time_zone => undef }) for qw(free gold);

# more keys than an answer has: it is said, and sums have them all

my $shop = $t->must(GET => "$c/applications/shop")->{id};
Test::Stoa::Feed::sql($t, 'WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT'
    . ' n + 1 FROM k WHERE n < 10001) INSERT INTO usage_day (tenant, start_ms,'
    . ' application, subscription, api, operation, credential, refused,'
    . ' consumer, c2xx, c3xx, c4xx, c5xx, bytes_in, bytes_out, '
    . join(', ', map { "h$_" } 0 .. 25) . ') SELECT '
    . join(', ', map { "'$_'" } $t->must(GET => $p)->{id})
    . ', ' . int(time / 86400) * 86400000 . ", '$shop', '$sub->{id}', '', '',"
    . " 'k' || n, '', '$mine', 1, 0, 0, 0, 0, 0" . ', 0' x 26 . ' FROM k');
my $sum = left($c, 'con', "subscriptions/$sub->{id}")->{day}{used};
cmp_ok($sum, '>=', 10005, 'the sum is of all keys');
$t->must(PATCH => "$p/plans/free", { limit_by => 'credential' });
$left = left($c, 'con', "subscriptions/$sub->{id}");
is(scalar @{ $left->{credentials} }, 10000, 'as many as an answer has');
is($left->{truncated}, JSON::PP::true, 'and that there are more');
$t->must(PATCH => "$p/plans/free", { limit_by => 'subscription' });

# another application

sub transfer {
    my ($id, $to, $who) = @_;
    return $t->api(POST => "$c/subscriptions/$id/transfer",
        { application => $to }, token => $token{ $who // 'con' });
}
my %app = map { $_ => $t->must(GET => "$c/applications/$_")->{id} }
    qw(shop till bar);
my $target = $t->must(GET => "$p/apis/open")->{id};
sub served {
    my ($app) = @_;
    $gw->pull;
    my $row = $gw->{rows}{"sub:$app{$app}:$target"};
    return $row && $row->{body} ? $row->{body}{state} : 'none';
}
is(served('shop'), 'active', 'the gateways have it');
is(transfer($sub->{id}, 'nobody')->{status}, 422, 'no such application');
my $r = transfer($sub->{id}, 'till');
is($r->{status}, 200, 'it moves');
is($r->{json}{application}, 'till', 'to the other application');
is(served('shop') . ' ' . served('till'), 'none active',
   'at the gateways too');
my $told = $t->must(GET => '/v1/notices?kind=subscription_moved', undef,
                    token => $token{pub})->{items};
is($told->[0]{text}, 'The subscription of con/shop is that of till now;'
   . ' it is active.', 'the publisher is told');
is($t->must(GET => "/v1/audit?tenant=con&action=transfer")->{items}[0]{diff}
   {application}{before}, 'shop', 'and the audit log');
$t->must(POST => "$c/subscriptions", { application => 'bar',
    target_tenant => 'pub', api => 'open', plan => 'free' });
is(transfer($sub->{id}, 'bar')->{status}, 409, 'not beside another one');

my $asked = $t->must(POST => "$c/subscriptions", { application => 'shop',
    target_tenant => 'pub', api => 'open', plan => 'asked' });
$t->must(POST => "$p/subscriptions/$asked->{id}/approve");
$t->must(DELETE => "$c/subscriptions/$sub->{id}");
is(transfer($asked->{id}, 'till')->{json}{state}, 'pending',
   'who was approved does not pass that on');
is(served('till'), 'pending', 'at the gateways too');
$t->must(POST => "$p/subscriptions/$asked->{id}/approve");
$t->must(POST => "$p/subscriptions/$asked->{id}/suspend", undef,
         token => $token{pub});
is(transfer($asked->{id}, 'shop')->{status}, 409,
   'nor get rid of what its publisher decided');
is(transfer($asked->{id}, 'shop', 'pub')->{status}, 404,
   'under a path that is not his');

# the command line

my ($code, $out) = $t->stoactl(qw(offers --tenant con));
like($out, qr/^pub +gold +10 /m, 'stoactl offers');
($code, $out) = $t->stoactl(qw(subscription preview con/bar/open gold
    --tenant con));
like($out, qr/^yes +free +gold/m, 'stoactl subscription preview');
($code, $out) = $t->stoactl(qw(subscription transfer con/bar/open shop
    --tenant con));
is($code, 0, 'stoactl subscription transfer');

$t->done;
