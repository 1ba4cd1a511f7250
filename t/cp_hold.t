#!/usr/bin/perl

# What a publisher decides about another tenant's application holds for that
# application and its own api, whatever the consumer deletes, makes again or
# applies again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX qw(strftime);
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('stoactl');
$t->control;

my $up = 'http://127.0.0.1:1';
$t->apply(docs(tenant('pub'), tenant('con'),
    plan('pub', 'auto'), plan('pub', 'manual', approval => 'manual'),
    (map { rest('pub', $_, $up, audience => 'public') }
        qw(suspend revoke reject expire limit del ask twice)),
    rest('pub', 'gone', $up, audience => 'public'),
    app('con', 'app')));
my %token = map { $_ => $t->must(POST => '/v1/admin-tokens', { name => "t-$_",
    role => 'tenant-admin', tenant => $_ })->{token} } qw(pub con);

my $subs = '/v1/tenants/con/subscriptions';
sub later { strftime '%Y-%m-%dT%H:%M:%S', gmtime time + $_[0] }
sub con { my ($method, $path, $body) = @_;
          return $t->api($method, $path, $body, token => $token{con}) }
sub pub { my ($id, $event) = @_;
          return $t->must(POST => "/v1/tenants/pub/subscriptions/$id/$event",
              undef, token => $token{pub}) }
sub ask {
    my ($api, %more) = @_;
    return con(POST => $subs, { application => 'app', api => $api,
        target_tenant => 'pub', plan => 'auto', %more })->{json};
}
sub again {
    my ($id, $api, %more) = @_;
    is(con(DELETE => "$subs/$id")->{status}, 204, "$api: deleted");
    return ask($api, %more);
}
sub ours {
    my ($api, %more) = @_;
    return docs(sub_('con', 'app', $api, 'auto', target_tenant => 'pub',
                     %more));
}
sub apply {
    my ($api, %more) = @_;
    return $t->api(POST => '/v1/apply', ours($api, %more),
        headers => { 'Content-Type' => 'application/yaml' }, token => $token{con});
}
sub rows {
    my ($api) = @_;
    return join ' ', map { $_->{state} } @{ con(GET =>
        "$subs?target_tenant=pub&api=$api")->{json}{items} };
}
sub state { my ($id) = @_;
             return con(GET => "$subs/$id")->{json}{state} }


# a suspension

my $s = ask('suspend');
is($s->{state}, 'active', 'at once active');
pub($s->{id}, 'suspend');
is(con(GET => "$subs/$s->{id}")->{json}{held}{state}, 'suspended',
    'both see that the publisher did it');
$s = again($s->{id}, 'suspend');
is($s->{state}, 'suspended', 'a new one is suspended too');
my $r = apply('suspend', state => 'active');
is($r->{status}, 200, 'the unchanged file is applied');
is($r->{json}{changes}[0]{action}, 'none', 'changes nothing');
is($r->{json}{changes}[0]{held}, 'suspended', 'and says why');
is(rows('suspend'), 'suspended', 'it is suspended');
is(con(POST => "$subs/$s->{id}/resume")->{status}, 403,
    'and not resumed by the consumer');
pub($s->{id}, 'resume');
$s = again($s->{id}, 'suspend');
is($s->{state}, 'active', 'what the publisher takes back is over');
is($s->{held}, undef, 'and not told');


# a revocation, a rejection, a deletion by the publisher

for my $case (['revoke', sub { pub($_[0], 'revoke') }],
              ['del', sub { $t->must(DELETE =>
                  "/v1/tenants/pub/subscriptions/$_[0]", undef,
                  token => $token{pub}) }]) {
    my ($api, $end) = @$case;
    $s = ask($api);
    $end->($s->{id});
    my $before = rows($api);
    for (1 .. 2) {
        $r = apply($api, state => 'active');
        is($r->{json}{changes}[0]{action}, 'none',
            "$api: the consumer's file makes nothing");
        is($r->{json}{changes}[0]{held}, 'revoked', "$api: and says why");
    }
    is(rows($api), $before, "$api: no new row");
    $s = ask($api);
    is($s->{state}, 'pending', "$api: a new one waits for the publisher");
    $r = apply($api, state => 'active');
    is($r->{status}, 200, "$api: also beside the file");
    is($r->{json}{changes}[0]{held}, 'revoked', "$api: which is still held");
    $s = again($s->{id}, $api);
    is($s->{state}, 'pending', "$api: and again");
    is(con(POST => "$subs/$s->{id}/approve")->{status}, 403,
        "$api: the consumer does not approve");
    is(pub($s->{id}, 'approve')->{state}, 'active', "$api: the publisher does");
    is(again($s->{id}, $api)->{state}, 'active', "$api: then it is free");
}

$s = ask('reject', plan => 'manual');
pub($s->{id}, 'reject');
for (1 .. 2) {
    is(apply('reject', plan => 'manual')->{json}{changes}[0]{held},
        'rejected', 'a rejected one is not asked for at each apply');
}
is(rows('reject'), 'rejected', 'it stays one row');
con(DELETE => "$subs/$s->{id}");
is(apply('reject')->{json}{changes}[0]{held}, 'rejected',
    'not even when the row is gone, with another plan');
is(rows('reject'), '', 'nothing is there');
is(ask('reject')->{state}, 'pending', 'who asks by hand asks the publisher');

my (undef, $out) = $t->stoactl('apply', '-', { stdin => ours('revoke'),
    env => { STOA_TOKEN => $token{con} } });
unlike($out, qr/held/, 'stoactl is silent about what is free');
(undef, $out) = $t->stoactl('apply', '-', { stdin => ours('reject') });
like($out, qr{! Subscription con/app/reject: held by the publisher: rejected},
    'and tells what is held');

$s = ask('twice', plan => 'manual');
pub($s->{id}, 'reject');
$s = ask('twice', plan => 'manual');
pub($s->{id}, 'reject');
is(rows('twice'), 'rejected rejected', 'and may be refused again');


# a time limit

my $until = later(3600);
$s = ask('limit');
$t->must(PATCH => "/v1/tenants/pub/subscriptions/$s->{id}",
    { expires_at => "${until}Z" }, token => $token{pub});
$r = apply('limit');
is($r->{status}, 200, 'a file without a time is applied');
is($r->{json}{changes}[0]{action}, 'none', 'and changes nothing');
is(apply('limit', expires_at => later(9999) . 'Z')->{json}{changes}[0]{action},
    'none', 'nor does a later time');
is(con(PATCH => "$subs/$s->{id}", { expires_at => later(9999) . 'Z' })->{status},
    403, 'asked for, it is refused');
$s = again($s->{id}, 'limit');
like($s->{expires_at}, qr/^$until\./,
    'a new one ends when the publisher said');
$s = again($s->{id}, 'limit', expires_at => later(9999) . 'Z');
like($s->{expires_at}, qr/^$until\./, 'not later');
my $soon = later(1800);
$s = again($s->{id}, 'limit', expires_at => "${soon}Z");
like($s->{expires_at}, qr/^$soon\./, 'but earlier');
$t->must(PATCH => "/v1/tenants/pub/subscriptions/$s->{id}",
    { expires_at => undef }, token => $token{pub});
is(again($s->{id}, 'limit')->{expires_at}, undef,
    'until the publisher takes the limit away');

$s = ask('expire');
my $ms = Time::HiRes::time() + 0.3;
$t->must(PATCH => "/v1/tenants/pub/subscriptions/$s->{id}",
    { expires_at => strftime('%Y-%m-%dT%H:%M:%S', gmtime $ms)
        . sprintf('.%03dZ', ($ms - int $ms) * 1000) },
    token => $token{pub});
ok(scalar(&wait_until(sub { state($s->{id}) eq 'expired' })), 'it expires');
is(apply('expire')->{json}{changes}[0]{held}, 'expired',
    'which an apply does not undo');
is(rows('expire'), 'expired', 'no new row');
$s = ask('expire');
is($s->{state}, 'pending', 'a new one waits for the publisher');
is($s->{expires_at}, undef, 'without the time that is over');
pub($s->{id}, 'approve');
is(again($s->{id}, 'expire')->{state}, 'active', 'who lets it live again');


# the platform may say what is

$s = ask('ask');
pub($s->{id}, 'revoke');
$r = $t->api(POST => '/v1/apply', ours('ask', state => 'active'),
    headers => { 'Content-Type' => 'application/yaml' });
is($r->{json}{changes}[0]{action}, 'create',
    'the platform\'s document that says active makes it so');
is(rows('ask'), 'revoked active', 'with the approval in it');


# an own api has nobody to hold it

$t->apply(docs(plan('con', 'auto'), rest('con', 'own', $up)));
my $own = { application => 'app', api => 'own', plan => 'auto' };
$s = con(POST => $subs, $own)->{json};
con(POST => "$subs/$s->{id}/revoke");
is(con(POST => $subs, $own)->{json}{state}, 'active',
    'of the own tenant nothing is held');

# who did what to whom stands in both chains, without the other's names

$s = ask('twice', plan => 'auto');
$t->must(DELETE => "$subs/$_") for map { $_->{id} } grep {
    $_->{state} ne 'active' && $_->{id} ne $s->{id} } @{ $t->must(GET =>
    "$subs?target_tenant=pub&api=twice")->{items} };
pub($s->{id}, 'approve');
pub($s->{id}, 'suspend');
$t->must(POST => "$subs/$s->{id}/revoke");
my %told = map { my $who = $_; $who => join ', ', map {
        "$_->{actor} $_->{action} $_->{name}" }
    @{ $t->must(GET => "/v1/audit?kind=subscription&order=asc&limit=500"
        . "&resource=$s->{id}", undef, token => $token{$who})->{items} } }
    qw(pub con);
my $admin = $t->must(GET => '/v1/whoami')->{name};
is($told{pub}, join(', ', map { "$_ app/twice" } 'the consumer create',
    't-pub approve', 't-pub suspend', "$admin revoke"),
    'the publisher\'s log has both sides');
is($told{con}, join(', ', map { "$_ app/twice" } 't-con create',
    'the publisher approve', 'the publisher suspend', "$admin revoke"),
    'so has the consumer\'s');
my ($ev) = grep { $_->{action} eq 'suspend' } @{ $t->must(GET =>
    "/v1/audit?resource=$s->{id}", undef, token => $token{con})->{items} };
is($ev->{actor_id}, '', 'whose token it was is not told');


# what is decided about a thing ends with the thing

$s = ask('gone');
pub($s->{id}, 'revoke');
$t->must(DELETE => '/v1/tenants/pub/apis/gone?force=1', undef,
    token => $token{pub});
$t->must(DELETE => '/v1/tenants/con/applications/app?force=1', undef,
    token => $token{con});
is($t->api(GET => '/v1/audit/verify')->{json}{ok}, JSON::PP::true,
    'the audit log is whole');

$t->done;
