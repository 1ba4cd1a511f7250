#!/usr/bin/perl

# The feed: snapshots, deltas, tombstones, groups, long poll, 410.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;
use Time::HiRes qw(time);

my $t = Test::Stoa->new;
$t->control;

my $all = Test::Stoa::Feed->new($t, 'all', 'default');
my $r = $all->pull;

is($r->{status}, 200, 'an empty database answers at once');
like($r->{headers}{'content-type'}, qr{^application/x-ndjson}, 'as NDJSON');
like($all->{epoch}, qr/^[0-9a-f]{16}$/, 'with its epoch');
is(join(' ', sort map { $_->{kind} } @{ $all->{lines} }),
   'groupkey sealkey', 'and with the group\'s keys alone');

sub documents {
    my (%o) = @_;
    my $rate = $o{rate} || 10;
    my $groups = $o{groups} ? "gateway_groups: [$o{groups}]" : '';
    return <<"END";
apiVersion: stoa/v1
kind: Tenant
metadata: {name: acme}
---
apiVersion: stoa/v1
kind: Plan
metadata: {name: gold, tenant: acme}
spec: {rate: $rate}
---
apiVersion: stoa/v1
kind: Api
metadata: {name: orders, tenant: acme}
spec:
  kind: rest
  upstream: {targets: [{url: 'http://127.0.0.1:1'}]}
  state: published
  $groups
---
apiVersion: stoa/v1
kind: Application
metadata: {name: app, tenant: acme}
---
apiVersion: stoa/v1
kind: Subscription
metadata: {tenant: acme}
spec: {application: app, api: orders, plan: gold}
END
}

$t->apply(documents());
$all->pull;
my %kinds = map { $_->{kind} => $_ } values %{ $all->{rows} };
is_deeply([sort keys %kinds],
          [qw(api application groupkey plan sealkey subscription tenant)], 'every kind');
is($kinds{plan}{body}{rate}, 10, 'with its body');
is($all->status->{json}{rev}, $all->{rev}, 'status answers the head');
is($all->shown->{sync}, 'in-sync', 'the digest is the one expected');
is($all->shown->{state}, 'online', 'and the gateway online');

my $fresh = Test::Stoa::Feed->new($t, 'fresh', 'default');
is($fresh->shown->{sync}, 'never', 'a gateway that never reported');
$fresh->pull;
is_deeply($fresh->{rows}, $all->{rows}, 'a snapshot is all deltas together');


# Deltas

my $before = $all->{rev};
$t->apply(documents(rate => 20));
$all->pull;
is_deeply([map { "$_->{kind} $_->{body}{rate}" } @{ $all->{lines} }],
          ['plan 20'], 'a change of the plan is one row');
$t->apply(documents(rate => 20));
$all->pull;
is(scalar @{ $all->{lines} }, 0, 'an apply that changes nothing is none');
is($fresh->status->{status}, 200, 'a report from behind');
is($fresh->shown->{sync}, 'behind', 'is shown as such');
ok(!exists $fresh->shown->{$_}, "no $_ of a gateway that tells none")
    for qw(sync_state sync_error);
$fresh->status(sync_state => 'store_full', sync_error => 'no room');
is(join(' ', @{ $fresh->shown }{qw(sync sync_state sync_error)}),
   'behind store_full no room', 'and why, in its own words');
for my $bad ({ sync_state => 'Store Full' }, { sync_error => "a\nb" }) {
    is($fresh->status(%$bad)->{status}, 422, 'not in any words');
}
$all->status(digest => '0' x 32);
is($all->shown->{sync}, 'drifted', 'a wrong digest is drift');
$all->status(rejected => [{ key => 'plan:x', rev => 3, error => 'no' }]);
is_deeply($all->shown->{rejected},
          [{ key => 'plan:x', rev => 3, error => 'no' }], 'rejections');

my $orders = $t->must('GET', '/v1/tenants/acme/apis/orders')->{id};
my @ill = map { { api => $_ % 7 ? $orders : 'x' x 16, health => 'down',
                  target => "10.0.0.$_:80" } } 1 .. 100;
is($all->status(targets => \@ill)->{status}, 200, 'a hundred targets');
is_deeply([map { "$_->{tenant}/$_->{api} $_->{target} $_->{health}" }
           @{ $all->shown->{targets} }],
          [map { $_->{api} eq $orders ? "acme/orders $_->{target} down" : () }
           @ill], 'are told of in their order, but of apis that are gone');
is($all->status(targets => [@ill, $ill[0]])->{status}, 422, 'not one more');
$all->status(targets => []);
is_deeply($all->shown->{targets}, [], 'nor any that it tells no more');

my $key = $t->key('acme', 'app');
$all->pull;
like($all->{lines}[0]{body}{digest}, qr/^[0-9a-f]{64}$/, 'a credential');
unlike($all->{lines}[0]{text}, qr/\Q@{[ (split '_', $key)[3] ]}/,
       'without the secret');


# Deletions

my $cred = $all->{lines}[0]{body}{id};
$t->must('DELETE', "/v1/tenants/acme/applications/app/credentials/$cred");
$all->pull;
is_deeply([map { "$_->{key} " . ($_->{deleted} ? 1 : 0) } @{ $all->{lines} }],
          ["cred:$cred 1"], 'a deletion is a tombstone');
my $again = Test::Stoa::Feed->new($t, 'again', 'default');
$again->pull;
is(scalar(grep { $_->{deleted} } @{ $again->{lines} }), 0,
   'a snapshot has none');
$again->status;
is($again->shown->{sync}, 'in-sync', 'and the same digest');


# Groups

my $prod = Test::Stoa::Feed->new($t, 'prod', 'prod');
$prod->pull;
$all->pull;
$t->apply(documents(rate => 20, groups => 'prod'));
$all->pull;
$prod->pull;
is($all->{lines}[0]{deleted}, 1, 'what left the group is a tombstone');
is($prod->{lines}[0]{kind}, 'api', 'and a row for the other group');
ok(!(grep { $_->{kind} eq 'api' } values %{ $all->{rows} }), 'it is gone');
$_->status for $all, $prod;
is($_->shown->{sync}, 'in-sync', "$_->{name} has what it should")
    for $all, $prod;
$again = Test::Stoa::Feed->new($t, 'again2', 'default');
$again->pull;
is_deeply($again->{rows}, $all->{rows}, 'a snapshot knows the group too');
$t->apply(documents(rate => 20, groups => 'default, prod'));
$_->pull, $_->status for $all, $prod;
is($_->shown->{sync}, 'in-sync', "$_->{name}, both groups") for $all, $prod;
$t->apply(documents(rate => 21));
$_->pull, $_->status for $all, $prod;
is($_->shown->{sync}, 'in-sync', "$_->{name}, no groups") for $all, $prod;


# Refusals

my %bad = (
    'another epoch' => [410, since => $all->{rev}, epoch => '0' x 16],
    'a revision to come' => [410, since => $all->{rev} + 1,
                             epoch => $all->{epoch}],
    'since without epoch' => [400, since => 5],
    'a negative since' => [400, since => -1],
    'a since that is no number' => [400, since => '1x'],
    'a since that is too large' => [400, since => '9' x 30],
    'a wait over the limit' => [400, since => 0, wait => 61],
);
for my $name (sort keys %bad) {
    my ($status, %ask) = @{ $bad{$name} };
    $r = $all->get(%ask);
    is($r->{status}, $status, $name);
    is($r->{json}{status}, $status, "$name: problem+json");
}
is($all->get(since => 0, epoch => 'x')->{status}, 200,
   'since=0 is right whatever the epoch');
for my $token ('', 'x', $t->{token}, $all->{token} . '0') {
    is($t->api('GET', '/gateway/v1/feed?since=0', undef,
               token => $token)->{status}, 401, 'a bad token');
}
is($all->status(digest => 'x')->{status}, 422, 'a digest that is none');
is($all->status(rejected => [{ key => "a\nb", rev => 1 }])->{status}, 422,
   'a rejection with a control character');
is($all->status(rejected => [map { { key => 'k', rev => 1 } } 1 .. 1001])
   ->{status}, 422, 'too many rejections');
is($all->call('POST', '/gateway/v1/status', [])->{status}, 422, 'no object');


# Long poll

my $start = time;
$r = $all->pull(wait => 1);
is($r->{status}, 200, 'nothing new');
cmp_ok(time - $start, '>=', 0.9, 'after the time that was asked for');
is(scalar @{ $all->{lines} }, 0, 'no rows');

my $pid = fork // die;
if ($pid == 0) {
    select undef, undef, undef, 0.5;
    $t->apply(documents(rate => 30));
    POSIX::_exit(0);
}
$start = time;
$all->pull(wait => 20);
my $took = time - $start;
is($all->{lines}[0]{body}{rate}, 30, 'a change ends the wait');
cmp_ok($took, '<', 5, "at once ($took s)");
waitpid $pid, 0;


# gzip, and an answer of many pages

$t->apply(join "---\n", map { <<"END" } 1 .. 3000);
apiVersion: stoa/v1
kind: Application
metadata: {name: many$_, tenant: acme}
END
$r = $all->pull(gzip => 1);
is($r->{headers}{'content-encoding'}, 'gzip', 'gzip when it is asked for');
is(scalar @{ $all->{lines} }, 3000, 'all rows of a long delta');
$fresh = Test::Stoa::Feed->new($t, 'fresh2', 'default');
$fresh->pull;
is_deeply($fresh->{rows}, $all->{rows}, 'and of a long snapshot');
$all->status;
is($all->shown->{sync}, 'in-sync', 'the digest of it all');


# A client that leaves in the middle

for (1 .. 5) {
    my $c = Test::Stoa::HTTP->connect($t->port('control'));
    $c->send_raw($c->request_text('GET', '/gateway/v1/feed?since=0',
        headers => { Authorization => "Bearer $all->{token}" }));
    $c->response(headers_only => 1);
    $c->reset;
}
is($all->get(since => 0)->{status}, 200, 'others go on');


# Compaction

$t->must('DELETE', '/v1/tenants/acme/applications/many1');
my $behind = $all->{rev};
$all->pull;
Test::Stoa::Feed::sql($t, 'UPDATE feed SET changed_ms = 1 WHERE deleted = 1');
my $ok = wait_until {
    $all->get(since => $behind, epoch => $all->{epoch})->{status} == 410
} 30;
ok($ok, 'a tombstone that is old is removed, and who is behind it starts over');
is($all->pull->{status}, 200, 'who is not goes on');
$all->status;
is($all->shown->{sync}, 'in-sync', 'and is in sync');



# What is left of a gateway that was removed goes too

$fresh->status;
my $gone = $fresh->shown->{id};
$t->must('DELETE', "/v1/gateways/$fresh->{name}");
is($fresh->get(since => 0)->{status}, 401, 'a removed gateway gets nothing');
Test::Stoa::Feed::sql($t, "UPDATE gateway_status SET last_seen = 1"
                          . " WHERE gateway = '$gone'");
$ok = wait_until {
    Test::Stoa::Feed::sql($t, 'SELECT COUNT(*) FROM gateway_status'
                              . " WHERE gateway = '$gone'") == 0
} 30;
ok($ok, 'and what it said is forgotten');
is($all->shown->{sync}, 'in-sync', 'others are not');

my $m = $t->metrics('control');
for my $kind (qw(snapshot delta nothing gone)) {
    cmp_ok($m->{qq(stoa_control_feed_answers_total{kind="$kind"})} // 0, '>',
           0, "answers are counted: $kind");
}
cmp_ok($m->{stoa_control_feed_rows_total}, '>', 6000, 'and rows');

$t->done;
