#!/usr/bin/perl

# The feed as the gateway takes it: whole, in changes, with tombstones, from
# another history, with faults; and what it reports.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin;
my $key = $f->world($port);
$f->save;

$t->gateway(workers => 2, wait => 0);

sub call { my ($k) = @_;
           return $t->get('/apis/acme/echo/x', key => $k // $key)->{status} }
sub ids { return Test::Stoa::FakeControl::id(@_) }
sub status_post { my @p = $f->posts('status'); return $p[-1] || {} }


# whole

ok($f->ready, 'the first configuration is in force');
is(call(), 200, 'and serves');
is($f->status_of->{digest}, $f->digest, 'the digest is the contract\'s');
my $records = $f->status_of->{records};
is_deeply({ map { $_ => $records->{$_} } grep { $records->{$_} }
            keys %$records },
    { tenant => 1, application => 1, credential => 1, plan => 1,
      subscription => 1, api => 1, sealkey => 1 },
    'records are counted by kind');
ok((wait_until { (status_post()->{rev} // 0) == $f->{rev} } 5) == 1,
   'the revision is reported');
is(status_post()->{digest}, $f->digest, 'and the digest');
is(status_post()->{workers}, 2, 'and the workers');
like(status_post()->{policies}, qr/^(?:[a-z-]+:\d+ ?)+$/,
     'and which types of policies it knows');
like(status_post()->{policies}, qr/(?:^| )cors:1(?: |$)/, '... cors is one');


# changes

my $second = $f->credential(2);
$f->save;
ok($f->ready, 'a change arrives');
is(call($second), 200, 'a new key counts');
$f->credential(2, state => 'revoked');
$f->save;
ok($f->ready, 'a revocation arrives');
is(call($second), 401, 'in the worker that answers ...') for 1 .. 3;
$f->delete('credential', 'cred:' . ids('c', 2))->save;
ok($f->ready, 'a tombstone arrives');
is(call($second), 401, 'the key is unknown');
is($f->status_of->{digest}, $f->digest, 'the digest follows');
$f->delete('credential', 'cred:' . ids('c', 77))->save;
ok($f->ready, 'a tombstone for what was never there is fine');

# names move: the index entry belongs to the last who wrote it

$f->api(2, $port, name => 'moved', base_path => '/moved');
$f->save;
ok($f->ready, 'an api with a path of its own');
is($t->get('/moved/x', key => $key)->{status}, 403, 'is routed by its path');
$f->api(3, $port, name => 'moved2', base_path => '/moved');
$f->delete('api', 'api:' . ids('r', 2))->save;
ok($f->ready, 'another takes the path, then the first goes');
is($t->get('/moved/x', key => $key)->{status}, 403,
   'the path is still there');
$f->delete('api', 'api:' . ids('r', 3))->save;
$f->ready;
is($t->get('/moved/x', key => $key)->{status}, 404, 'until its owner goes');


# rejected rows

my $before = $f->digest;
$f->credential(1, state => 'dancing');
$f->save;
ok($f->ready, 'a row that does not validate does not stop the feed');
is(call(), 401, 'nothing is served by its previous record');
my $s = $f->status_of;
is($s->{rejected}, 1, 'it is counted');
is($s->{rejected_records}[0]{key}, 'cred:' . ids('c', 1), 'and named');
like($s->{rejected_records}[0]{error}, qr/state/, 'with the field');
isnt($s->{digest}, $f->digest, 'the digest says that something differs');
ok((wait_until { @{ status_post()->{rejected} || [] } == 1 } 5) == 1,
   'it is reported');
is(status_post()->{rejected}[0]{rev}, $f->{rev}, 'with its revision');
$f->put('teapot', 'teapot:' . ids('x', 1), { id => ids('x', 1) })->save;
ok($f->ready, 'a row of an unknown kind as well');
is($f->status_of->{rejected}, 2, 'is rejected');
$f->put('credential', 'cred:' . ids('c', 9),
        { id => ids('c', 8), tenant => ids('t', 1),
          application => ids('a', 1), digest => 'ab' x 32, alg => 'sha256',
          state => 'active', expires_ms => 0 })->save;
ok($f->ready, 'a body that speaks of another id');
is($f->status_of->{rejected}, 3, 'is rejected');
$f->credential(1);
$f->delete('teapot', 'teapot:' . ids('x', 1));
$f->delete('credential', 'cred:' . ids('c', 9))->save;
ok($f->ready, 'rows that are right again, or gone');
is($f->status_of->{rejected}, 0, 'are no longer noted');
is($f->status_of->{digest}, $f->digest, 'and the digest agrees');


# what this gateway lacks: the record is withheld, its routes stay its own

sub code { $t->get($_[0], key => $key)->{json}{code} || '-' }

my @cors = ({ name => 'c', type => 'cors', scope => 'api',
              state => 'enabled', config => { origins => ['*'] } });
my @odd = (
    ['another type', requires => [{ id => 999, version => 1 }]],
    ['another version', requires => [{ id => 1, version => 99 }]],
    ['more about a type than is known',
     requires => [{ id => 1, version => 1, mode => 2 }]],
    ['a policy of no known type',
     policies => [{ %{ $cors[0] }, type => 'teleport' }]],
    ['a member in its configuration that is not known',
     policies => [{ %{ $cors[0] }, config => { origins => ['*'],
                                               new => 1 } }]],
    ['a rule across fields broken',
     policies => [{ %{ $cors[0] }, config => { origins => ['*'],
                    credentials => JSON::PP::true() } }]],
    ['a word that is not known', audience => 'whoever'],
);

$f->api(4, $port, name => 'wide', base_path => '/wide');
$f->api(5, $port, name => 'deep', base_path => '/wide/deep');
$f->save;
$f->ready;
is(code('/wide/deep/x'), 'not_subscribed', "a path below another one's");

for (@odd) {
    my ($what, @with) = @$_;
    $f->api(1, $port, @with);
    $f->api(5, $port, name => 'deep', base_path => '/wide/deep', @with);
    $f->save;
    ok($f->ready, "$what: the feed goes on");
    is(code('/apis/acme/echo/x'), 'withheld', "$what: the api is withheld");
    is(code('/wide/deep/x'), 'withheld', "$what: its path leads nowhere else");
    is(code('/wide/x'), 'not_subscribed', "$what: others are served");
    is($f->status_of->{rejected}, 2, "$what: both are named");
    isnt($f->status_of->{digest}, $f->digest, "$what: the digest differs");
}

$f->api(1, $port, policies => \@cors, requires => [{ id => 1,
                                                     version => 1 }]);
$f->delete('api', 'api:' . ids('r', $_)) for 4, 5;
$f->save;
ok($f->ready, 'what is known');
is(call(), 200, 'is served');
is($f->status_of->{rejected}, 0, 'nothing is rejected');
is($f->status_of->{digest}, $f->digest, 'and the digest agrees');

my %rows = (tenant => 'tenant:' . ids('t', 1), application => 'app:'
    . ids('a', 1), plan => 'plan:' . ids('p', 1), subscription => 'sub:' . ids('a', 1) . ':' . ids('r', 1));
for my $kind (sort keys %rows) {
    my $body = json_decode($f->{rows}{ $rows{$kind} }{text});
    $f->put($kind, $rows{$kind}, { %$body,
        requires => [{ id => 999, version => 1 }] })->save;
    $f->ready;
    is(join(' ', map { code('/apis/acme/echo/x') } 1, 2), 'withheld withheld',
       "a $kind: it is there, and not understood");
    $f->put($kind, $rows{$kind}, $body)->save;
    $f->ready;
    is(call(), 200, "a $kind: understood");
}

$f->put('group', 'group:' . ids('g', 1), { id => ids('g', 1), name => 'edge',
    requires => [{ id => 999, version => 1 }] })->save;
$f->ready;
is(code('/apis/acme/echo/x'), 'withheld', 'the group\'s: nothing is served');
$f->put('group', 'group:' . ids('g', 1), { id => ids('g', 1),
                                           name => 'edge' })->save;
$f->ready;
is(call(), 200, 'a group that is understood');
$f->api(1, $port);
$f->delete('group', 'group:' . ids('g', 1))->save;
$f->ready;


# faults of the answer: nothing changes, the next good one counts

for my $mode (qw(500 401 garbage noend noheader cut)) {
    my $rev = $f->status_of->{revision};
    my $fails = $f->status_of->{sync}{failures};
    $f->set(mode => $mode);
    $f->credential(3)  if $mode !~ /^\d/;
    $f->save;
    ok((wait_until { $f->status_of->{sync}{failures} > $fails } 10) == 1,
       "$mode: a failure");
    my $s = $f->status_of;
    is($s->{ready} ? 1 : 0, 1, "$mode: the old configuration stays");
    isnt($s->{sync}{error}, '', "$mode: the reason is shown");
    is($s->{sync}{state}, 'unauthorized', '401 is told apart')
        if $mode eq '401';
    is(call(), 200, "$mode: served");
    if ($mode eq '401') {
        $f->set(mode => '500');
        is((wait_until { $f->status_of->{sync}{state} eq 'failing' } 15), 1,
           'and forgotten when something else fails');
    }
    $f->set(mode => 'ok');
    ok($f->ready(undef, 25), "$mode: and then it goes on");
    is($f->status_of->{digest}, $f->digest, "$mode: with everything");
}


# another history

$f->forget('f' x 16);
my $k = $f->world($port);
$f->save;
ok($f->ready, 'another epoch is loaded whole');
is(call($k), 200, 'and serves');
is($f->status_of->{epoch}, 'f' x 16, 'under its own name');
is($f->status_of->{digest}, $f->digest, 'nothing of the old one is left');
is(join(' ', map { s{.*/}{}r } grep { !/lock|durable/ }
        glob($t->dir('gw/store/store.*'))),
   'store.2.mdb', 'in a new file, and the old one is gone');

$f->credential(5);
$f->set(oldest => $f->{rev});
$f->save;
ok($f->ready, 'tombstones forgotten: 410');
is(call($k), 200, 'and the gateway starts again from nothing');

# a gap: requests during the switch

$f->forget('e' x 16);
$k = $f->world($port);
my $bad = 0;
$f->set(oldest => 0);
for (1 .. 50) { $bad++ if call($k) != 200 }
is($bad, 0, 'no call fails while another history is loaded');
ok($f->ready, 'which is then in force');

$f->done;
