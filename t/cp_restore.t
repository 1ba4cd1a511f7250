#!/usr/bin/perl

# An older copy of the database is put back, and goes on from there: gateways
# that have what came after it find out and start over, once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Feed;

my $t = Test::Stoa->new(db => 'sqlite');
$t->control;

my $db = $t->dir('control.db');
my $apps = '/v1/tenants/acme/applications';
$t->must(POST => '/v1/tenants', { name => 'acme' });
my $gw = Test::Stoa::Feed->new($t, 'gw1', 'default');
my $ahead = Test::Stoa::Feed->new($t, 'gw2', 'default');

$t->stop('control');
system('cp', $db, "$db.old") == 0 or die "cp\n";
$t->control;
$t->must(POST => $apps, { name => "lost$_" }) for 1 .. 3;
$gw->pull;
$ahead->pull;
$gw->status;
is($gw->shown->{sync}, 'in-sync', 'a gateway has everything');
$t->stop('control');
unlink "$db-wal", "$db-shm";
system('cp', "$db.old", $db) == 0 or die "cp\n";
$t->control;

# it asks before the copy has caught up: 410 by its revision

is($ahead->pull->{status}, 410, 'a revision that is not there yet');

# it asks later: the revisions go on, the rows do not

$t->must(POST => $apps, { name => "new$_" }) for 1 .. 5;
is($gw->pull->{status}, 200, 'revisions that go on');
my $is = Test::Stoa::Feed->new($t, 'gw1', 'default', token => $gw->{token});
$is->pull;
isnt($gw->digest, $is->digest, 'but it has what is not there');

$gw->status;
is($gw->shown->{sync}, 'drifted', 'which its digest tells');
is($gw->pull->{status}, 410, 'so it is sent back to the start');

@$gw{qw(rev rows)} = (0, {});
is($gw->pull->{status}, 200, 'where it gets everything');
is($gw->digest, $is->digest, 'and has what it should');
$gw->status;
is($gw->shown->{sync}, 'in-sync', 'in sync');
is($gw->pull->{status}, 200, 'and goes on from there');

# one that cannot be right is not sent back again and again, nor is one that
# knows why it differs

$gw->status(digest => '0' x 32);
is($gw->pull->{status}, 200, 'twice in a row does not help');

$ahead->{rev} = 0;
$ahead->pull;
$ahead->status(digest => '0' x 32, rejected => [
    { key => 'app:x', rev => 1, error => 'odd' }]);
is($ahead->pull->{status}, 200, 'one that refused a record differs rightly');

# one that waits is told at once

my $third = Test::Stoa::Feed->new($t, 'gw3', 'default');
$third->pull;
my $pid = fork // die "fork: $!\n";
if (!$pid) {
    $Test::Stoa::Base::current = undef;
    spew($t->dir('waited'), $third->pull(wait => 20)->{status});
    POSIX::_exit(0);
}
select undef, undef, undef, 0.5;
my $from = time;
$third->status(digest => '0' x 32);
waitpid $pid, 0;
is(slurp($t->dir('waited')), 410, 'while it waits');
cmp_ok(time - $from, '<', 10, 'at once');

# a copy of a running one, and the way back in when the token is lost

sub control_cmd {
    my ($code, $out, $err) = $t->run_cmd(["$Test::Stoa::OBJS/stoa-control",
        "--database=sqlite:$db", @_], env => { $t->sanitizer_env('cmd') });
    return ($code, $out, $err);
}

my $copy = $t->dir('copy.db');
my ($code, $out, $err) = control_cmd("--backup=$copy");
is("$code$out$err", '0', '--backup beside a running stoa-control');
is((stat $copy)[2] & 0777, 0600, 'is for its owner only');
($code, $out, $err) = control_cmd('--backup', $copy);
is($code, 1, 'never over a file that is there');
like($err, qr/cannot copy .* to .*exists/, 'and says so');
($code, $out, $err) = control_cmd('--new-admin-token');
like($err, qr/is in use by another process/, 'a token, not beside a running');

$t->must(POST => $apps, { name => 'later' });
$t->stop('control');
unlink "$db-wal", "$db-shm";
rename $copy, $db or die "rename: $!\n";
($code, $out, $err) = control_cmd('--new-admin-token');
is($code, 0, '--new-admin-token') or diag($err);
like($out, qr/^stoa_adm_\w+\n\z/, 'prints one, and nothing else');
my $old = $t->{token};
$t->control;
$t->{token} = $out =~ s/\n//r;
is($t->must(GET => '/v1/whoami')->{role}, 'platform-admin', 'it works');
is($t->api(GET => "$apps/new1")->{status}, 200, 'what the copy has is there');
is($t->api(GET => "$apps/later")->{status}, 404, 'what came later is not');
$t->{token} = $old;
is($t->api(GET => '/v1/whoami')->{status}, 200, 'older tokens go on');

# after a migration that marks records: those that hold secrets need the key

$t->apply(docs(doc('Secret', 'acme', 's', { value => 'hush' }),
    rest('acme', 'hushed', 'http://127.0.0.1:1'),
    doc('Policy', 'acme', 'p', { type => 'headers', config => { request_set =>
        [{ name => 'X-S', value => '${secret:s}' }] },
        attach => [{ api => 'hushed' }] })));
my $id = $t->must(GET => '/v1/tenants/acme/apis/hushed')->{id};
$t->stop('control');
Test::Stoa::Feed::sql($t, "INSERT INTO feed_stale (kind, id)"
                          . " VALUES ('api', '$id')");
rename "$db.key", "$db.away" or die "rename: $!\n";
($code, $out, $err) = control_cmd('--new-admin-token');
is("$code$err", '0', 'a token does not need them') or diag($err);
like($out, qr/^stoa_adm_\w+\n\z/, 'and is printed');
rename "$db.away", "$db.key" or die "rename: $!\n";
is(Test::Stoa::Feed::sql($t, 'SELECT count(*) FROM feed_stale'), 1,
   'they wait for the start');
$t->control;
is(Test::Stoa::Feed::sql($t, 'SELECT count(*) FROM feed_stale'), 0,
   'which makes them anew');

$t->done;
