#!/usr/bin/perl

# Writes and the gateways: every write names its revision and waits when it
# is asked to, a gateway that refuses what was written is told of; a repeated
# apply does nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Feed;

my $t = Test::Stoa->new->has('stoactl');
$t->control;

my $gw = Test::Stoa::Feed->new($t, 'gw', 'default');
my $acme = docs(tenant('acme'), plan('acme', 'gold', rate => 5),
    rest('acme', 'orders', 'http://127.0.0.1:1'), app('acme', 'web'),
    sub_('acme', 'web', 'orders', 'gold'));
$t->apply($acme);
$gw->pull;
$gw->status;

# A gateway that follows while code runs.

sub following {
    my ($code, %status) = @_;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        for (1 .. 400) { $gw->pull(wait => 1); $gw->status(%status) }
        POSIX::_exit(0);
    }
    my @r = $code->();
    kill 'KILL', $pid;
    waitpid $pid, 0;
    $gw->pull;
    return wantarray ? @r : $r[0];
}
sub post {
    my ($docs, %o) = @_;
    return $t->api(POST => '/v1/apply' . ($o{query} ? "?$o{query}" : ''),
        $docs, headers => { 'Content-Type' => 'application/yaml',
                            %{ $o{headers} || {} } });
}


# writes

my $apps = '/v1/tenants/acme/applications';
my $r = $t->api(POST => $apps, { name => 'a' });
like($r->{headers}{'stoa-revision'}, qr/^\d+$/, 'a write tells its revision');
is($r->{headers}{'stoa-state'}, undef, 'who does not wait hears no more');
my $rev = $r->{headers}{'stoa-revision'};
$gw->pull;
is($gw->{rev}, $rev, 'which is what gateways reach');

$gw->status;
$r = $t->api(PATCH => "$apps/a?wait=300ms", { title => 'x' });
is("$r->{status} " . ($r->{headers}{'stoa-state'} // ''), '200 acked',
   'what no gateway is told of is there at once');
$r = $t->api(POST => "$apps?wait=300ms", { name => 'z', title => 'x' });
is("$r->{status} " . ($r->{headers}{'stoa-state'} // ''), '201 pending',
   'a gateway that does not follow is waited for, and told');
is($r->{headers}{'stoa-gateways'}, 'gw=pending', 'with its name');
is($r->{json}{title}, 'x', 'the answer is the write\'s');
like($r->{headers}{etag}, qr/^"/, 'with its headers');

my $creds = "$apps/a/credentials";
my ($key, $revoked, $deleted) = following(sub {
    my $k = $t->api(POST => "$creds?wait=20s", {}, timeout => 30);
    my $v = $t->api(POST => "$creds/$k->{json}{id}/revoke?wait=20s", undef,
                    timeout => 30);
    my $d = $t->api(DELETE => "$apps/a?wait=20s", undef, timeout => 30);
    return ($k, $v, $d);
});
is("$key->{status} $key->{headers}{'stoa-state'}", '201 acked',
   'a key, when it may be used');
is("$revoked->{status} $revoked->{headers}{'stoa-state'}", '200 acked',
   'a revocation, when it is in force');
is("$deleted->{status} $deleted->{headers}{'stoa-state'}", '204 acked',
   'a deletion');
is($t->api(POST => "$apps?wait=x", { name => 'b' })->{status}, 400,
   'no time to wait');
is($t->api(GET => "$apps/web?wait=1s")->{status}, 400, 'reading never waits');

my $ta = $t->must(POST => '/v1/admin-tokens', { name => 'ta',
    role => 'tenant-admin', tenant => 'acme' })->{token};
$gw->status;
$r = $t->api(POST => "$apps?wait=100ms", { name => 'c' }, token => $ta);
is($r->{headers}{'stoa-state'}, 'pending', 'a tenant hears how it went');
is($r->{headers}{'stoa-gateways'}, undef, 'but not at which gateways');


# what a gateway refuses

my $plan = $t->must(GET => '/v1/tenants/acme/plans/gold')->{id};
my $sub = $t->must(GET => '/v1/tenants/acme/subscriptions')->{items}[0];
my ($web, $orders) = map { $t->must(GET => "/v1/tenants/acme/$_")->{id} }
    qw(applications/web apis/orders);
$gw->pull;
$gw->status(rejected => [{ key => "plan:$plan", rev => 1, error => 'e' }]);
$r = post($acme, query => 'wait=5s');
is("$r->{status} $r->{json}{state}", '200 rejected',
   'an apply tells of a row that is still refused');
is($r->{json}{gateways}[0]{state}, 'rejected', 'and by whom');
$r = post(docs(app('acme', 'web')), query => 'wait=5s');
is($r->{json}{state}, 'acked', 'not of what it is not about');
$r = $t->api(PATCH => '/v1/tenants/acme/plans/gold?wait=100ms',
    { rate => 5 });
is($r->{headers}{'stoa-state'}, 'rejected', 'a write does the same');
$gw->pull;
$gw->status(rejected => [{ key => "sub:$web:$orders", rev => 1 }]);
is(post($acme, query => 'wait=5s')->{json}{state}, 'rejected',
   'a subscription by its application and target');
is(post(docs(app('acme', 'web')), query => 'wait=5s')->{json}{state},
   'acked', 'which alone are another matter');


# stoactl

my ($code, $out, $err) = $t->stoactl('apply', '-', '--wait', '5s',
    { stdin => $acme });
is($code, 5, 'apply --wait ends with its own code when a gateway refuses');
like($err, qr/refuse/, 'and says so');
$gw->status;
($code) = $t->stoactl('apply', '-', '--wait', '5s', { stdin => $acme });
is($code, 0, 'not when none does');
($code, $out, $err) = following(sub { $t->stoactl('key', 'create', 'web',
    '--tenant', 'acme', '-o', 'key') });
is("$code $err", '0 ', 'key create waits for the gateways');
like($out, qr/^stoa_live_\w+$/, 'and prints the key alone');
my ($id) = $out =~ /^stoa_live_(\w{16})/;
($code, $out, $err) = following(sub { $t->stoactl('key', 'revoke', 'web',
    $id, '--tenant', 'acme') });
is($code, 0, 'key revoke too');
like($out, qr/revision \d+/, 'and prints the revision');
$gw->status;
($code, $out, $err) = $t->stoactl('event', 'application', 'web', 'suspend',
    '--tenant', 'acme', '--wait', '200ms');
is($code, 4, 'an event that a gateway does not have yet');
like($err, qr/gateway gw: pending/, 'names the gateway');
($code, $out, $err) = $t->stoactl('event', 'application', 'web', 'resume',
    '--tenant', 'acme', '--no-wait');
is("$code $err", '0 ', '--no-wait');
($code, $out, $err) = following(sub { $t->stoactl('subscription', 'suspend',
    $sub->{id}, '--tenant', 'acme') });
is($code, 0, 'subscription suspend waits');
($code, $out, $err) = following(sub { $t->stoactl('delete', 'subscription',
    $sub->{id}, '--tenant', 'acme') });
is($code, 0, 'delete waits') or diag $err;
$t->register('away', 'default');
my $leaked = $t->key('acme', 'web');
($code, $out, $err) = following(sub { $t->stoactl('key', 'revoke', $leaked) });
is("$code $err", "0   gateway away: offline\n",
   'who is not waited for, and may still take the key, is named');
my @as_ta = ({ env => { STOA_TOKEN => $ta, STOA_TENANT => 'acme' } });
$leaked = $t->key('acme', 'web');
($code, $out, $err) = following(sub { $t->stoactl('key', 'revoke', $leaked,
    @as_ta) });
is("$code $err", "0   1 gateway is stale or offline, not waited for\n",
   'a tenant hears how many there are');
($code, $out, $err) = following(sub { $t->stoactl('apply', '-', '--wait',
    '5s', { stdin => $acme, %{ $as_ta[0] } }) });
is("$code $err", "0   1 gateway is stale or offline, not waited for\n",
   'of an apply too') or diag $out;


# Idempotency-Key of an apply

my %once = ('Idempotency-Key' => 'one');
my $two = docs(plan('acme', 'gold', rate => 6));
$r = post($two, headers => \%once);
is($r->{json}{changes}[0]{action}, 'update', 'an apply with a key');
$t->apply(docs(plan('acme', 'gold', rate => 7)));
my $again = post($two, headers => \%once);
is_deeply($again->{json}{changes}, $r->{json}{changes},
   'again: the first answer');
is($again->{headers}{'idempotency-replayed'}, 'true', 'which it says');
is($t->must(GET => '/v1/tenants/acme/plans/gold')->{rate}, 7,
   'nothing was done');
is(post(docs(plan('acme', 'gold', rate => 8)), headers => \%once)->{status},
   422, 'the same key with another body');
is(post($two, headers => \%once, query => 'prune=1')->{status}, 422,
   'or another query');
is(post($two, headers => \%once, query => 'wait=1ms')->{status} =~ /20[02]/,
   1, 'the time to wait is no other request');
my %dry = ('Idempotency-Key' => 'dry');
is(post($two, headers => \%dry, query => 'dry_run=1')->{status}, 200,
   'a dry run');
like(post(docs(plan('acme', 'gold', rate => 9)), headers => \%dry)->{status},
     qr/^20[02]$/, 'leaves the key free');

$t->done;
