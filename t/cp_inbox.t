#!/usr/bin/perl

# The inbox: a view over what waits for a decision, for who may decide; one
# event for many, each judged by itself.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;

my $t = Test::Stoa->new;
$t->control;
$t->must(POST => '/v1/tenants', { name => $_ }) for qw(pub con other);
my %token = map { my ($name, $role, $tenant) = @$_;
    ($name => $t->must(POST => '/v1/admin-tokens', { name => $name,
        role => $role, tenant => $tenant })->{token}) }
    ['pub', 'tenant-admin', 'pub'], ['con', 'tenant-admin', 'con'],
    ['see', 'viewer', 'pub'];
my ($p, $c) = ('/v1/tenants/pub', '/v1/tenants/con');
for my $api (qw(one two)) {
    $t->must(POST => "$p/apis", { name => $api, kind => 'rest',
        audience => 'public', base_path => "/$api",
        upstream => { targets => [{ url => 'http://10.0.0.1' }] } });
    $t->must(POST => "$p/apis/$api/publish");
}
$t->must(POST => "$p/plans", { name => $_, approval => 'manual' })
    for qw(gold silver);

sub wish {
    my ($app, $api, $plan) = @_;
    return $t->must(POST => "$c/subscriptions", { application => $app,
        target_tenant => 'pub', api => $api, plan => $plan })->{id};
}
sub inbox {
    my ($who, $query) = @_;
    return $t->must(GET => '/v1/inbox' . ($query // ''), undef,
        $who ? (token => $token{$who}) : ());
}
sub bulk {
    my ($who, $query, $body) = @_;
    return $t->api(POST => "/v1/subscriptions/bulk$query", $body,
        $who ? (token => $token{$who}) : (), timeout => 60);
}

is(inbox('pub')->{total}, 0, 'nothing waits');
my @id;
for my $n (0 .. 9) {
    $t->must(POST => "$c/applications", { name => "a$n" });
    push @id, wish("a$n", $n % 2 ? 'one' : 'two', $n < 3 ? 'gold' : 'silver');
}
my $box = inbox('pub');
is($box->{total}, 10, 'what waits is counted');
is_deeply($box->{counts}, { subscription => 10 }, 'by its kind');
is(join(' ', map { $_->{id} } @{ $box->{items} }), "@id", 'oldest first');
my $first = $box->{items}[0];
is($first->{resource}{plan}, 'gold', 'with the resource');
is_deeply($first->{events}, ['approve', 'reject'], 'what can be done');
is($t->api(GET => $first->{path}, undef, token => $token{pub})->{status}, 200,
   'and where');
is(inbox('con')->{total}, 0, 'who asks has nothing to decide');
is(inbox('see')->{total}, 0, 'nor has who may only look');
is(inbox()->{total}, 10, 'the platform sees all');
is(inbox('pub', '?tenant=pub&plan=gold')->{total}, 3, 'of a plan');
is(inbox('pub', '?tenant=pub&api=one')->{total}, 5, 'of an api');
is(inbox('pub', '?kind=approval')->{total}, 0, 'of a kind');
is(inbox('pub', '?kind=promotion&consumer=pub')->{total}, 0,
   '... that has no consumers');
is(inbox(undef, '?consumer=con')->{total}, 10, 'of a consumer');
is(inbox(undef, '?consumer=other')->{total}, 0, 'of another');
is_deeply(inbox('pub', "?consumer=$_"), inbox('pub', '?consumer=other'),
          "$_: which tenants there are is not told")
    for 'nobody', 'x' x 16;
is($t->api(GET => "/v1/inbox?$_")->{status}, 400, "?$_")
    for 'kind=x', 'plan=gold', 'cursor=zz', 'other=1';
my @pages;
my $next = '';
do {
    my $page = inbox('pub', "?limit=4$next");
    push @pages, map { $_->{id} } @{ $page->{items} };
    $next = $page->{next} ? "&cursor=$page->{next}" : '';
} while ($next);
is("@pages", "@id", 'pages');

# what is gone, or was decided, is not there

$t->must(POST => "$p/subscriptions/$id[0]/approve");
$t->must(DELETE => "$c/subscriptions/$id[1]");
$t->must(DELETE => "$c/applications/a2?force=1");
is(join(' ', map { $_->{id} } @{ inbox('pub')->{items} }), "@id[3 .. 9]",
   'decided, withdrawn, deleted with its application');
$t->must(POST => "$p/apis/two/retire");
is(inbox('pub')->{total}, 4, 'of an api that is retired');

# many at once

is(bulk('pub', '', { event => 'approve' })->{status}, 422,
   'neither ids nor a number');
is(bulk('pub', '', { event => 'approve', ids => [], expected => 1 })
    ->{status}, 422, 'or both');
is(bulk('see', '', { event => 'approve', ids => [$id[3]] })->{status}, 403,
   'a viewer');
is(bulk('pub', '?state=pending&planet=x', { event => 'approve',
    expected => 1 })->{status}, 400, 'a filter that is none');
my $r = bulk('pub', '?state=pending&target_tenant=pub&api=one', { event => 'approve',
    expected => 5 });
is($r->{status}, 409, 'other rows than were seen: nothing is done');
like($r->{json}{detail}, qr/there are 4, not 5/, 'and how many there are');
is(inbox('pub')->{total}, 4, 'nothing');

$r = bulk('pub', '', { event => 'reject', reason => 'no', ids =>
    [$id[3], $id[0], $id[5], '0' x 16, 'x'] });
is($r->{status}, 200, 'by ids');
is("$r->{json}{done} $r->{json}{failed}", '2 3', 'each by itself');
is(join(' ', map { $_->{code} // $_->{state} } @{ $r->{json}{items} }),
   'rejected illegal_transition rejected not_found not_found', 'a result for each');
is($t->must(GET => "$c/subscriptions/$id[3]")->{reason}, 'no',
   'with the reason');
$r = bulk('con', '', { event => 'approve', ids => [$id[7]] });
is($r->{json}{items}[0]{code}, 'forbidden',
   'a consumer approves nothing this way either');
is($t->api(POST => '/v1/subscriptions/bulk', { event => 'expire',
    ids => [$id[7]] })->{json}{failed}, 1, 'nor is there a system event');

# 120 of 500 by a filter; one answer for one request

$t->apply(join "---\n", map { <<"END" } 1 .. 500);
apiVersion: stoa/v1
kind: Application
metadata: {name: b$_, tenant: con}
END
$t->apply(join "---\n", map { my $plan = $_ <= 120 ? 'gold' : 'silver';
    <<"END" } 1 .. 500);
apiVersion: stoa/v1
kind: Subscription
metadata: {tenant: con}
spec: {application: b$_, target_tenant: pub, api: one, plan: $plan}
END
my $gw = Test::Stoa::Feed->new($t, 'gw', 'default');
$gw->pull;
my %once = (headers => { 'Idempotency-Key' => 'k1' }, token => $token{pub},
            timeout => 60);
my $plan = $t->must(GET => "$p/plans/gold")->{id};
my $path = "/v1/subscriptions/bulk?state=pending&plan=$plan";
my $body = { event => 'approve', expected => 120 };
my $begin = Time::HiRes::time();
$r = $t->api(POST => $path, $body, %once);
diag(sprintf 'approving 120: %.0f ms',
     1000 * (Time::HiRes::time() - $begin));
is("$r->{json}{done} $r->{json}{failed}", '120 0', '120 of 500 by a filter');
is($t->api(POST => $path, $body, %once)->{json}{done}, 120,
   'pressed twice: the same answer');
is(bulk('pub', "?state=pending&plan=$plan", $body)->{status}, 409,
   'and no second time');
is(inbox('pub')->{total}, 382, 'the others wait on');
$gw->pull;
is(scalar(grep { $_->{kind} eq 'subscription'
                 && ($_->{body}{state} // '') eq 'active' }
          @{ $gw->{lines} }), 120, 'gateways get them');
is($t->must(GET => '/v1/audit/verify')->{ok}, JSON::PP::true,
   'the audit log is whole');

# the command line

my ($code, $out) = $t->stoactl('inbox', '--kind', 'subscription', '-A');
like($out, qr/^subscription +$id[7] +pub /m, 'stoactl inbox');
($code, $out) = $t->stoactl(qw(bulk subscriptions reject), $id[7], $id[3],
    '--reason', 'later');
is($code, 1, 'stoactl bulk: one fails');
like($out, qr/^$id[7] +done +rejected/m, 'and one does not');

# one that is new does not take the place of one that is gone

my @seen = sort map { my $app = "seen$_";
    $t->must(POST => "$c/applications", { name => $app });
    wish($app, 'one', 'gold') } 1 .. 3;
$t->must(POST => "$c/applications", { name => 'young' });
$t->must(DELETE => "$c/subscriptions/$seen[0]");
my $young = wish('young', 'one', 'gold');
my %seen = (event => 'reject', expected => 3, upto => $seen[2]);
is(bulk('pub', "?state=pending&plan=$plan", { %seen })->{status}, 409,
   'three, but not those that were seen');
$r = bulk('pub', "?state=pending&plan=$plan", { %seen, expected => 2 });
is("$r->{status} $r->{json}{done}", '200 2', 'those that are left of them');
is($t->must(GET => "$c/subscriptions/$young")->{state}, 'pending',
   'and not what came after');

# an archived publisher's requests are kept as they are

my $waits = inbox('pub')->{items}[0];
$t->must(POST => '/v1/tenants/pub/archive');
is($t->api(POST => "$waits->{path}/approve")->{status}, 409,
   'nothing of an archived publisher is approved');
is(inbox()->{total}, 0, 'nor waits');
is($t->api(POST => "$waits->{path}/revoke")->{status}, 200,
   'who asked may take it back');

$t->done;
