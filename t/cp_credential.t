#!/usr/bin/perl

# API keys: form, digest, shown once, rotation with grace, expiry; the first
# admin token; the same with a pepper.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex hmac_sha256_hex);
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;

my $t = Test::Stoa->new;
my $pepper = 'p' x 40;
spew($t->dir('pepper'), $pepper, 0600);

sub crc32 {
    my $crc = 0xffffffff;
    for my $c (unpack 'C*', shift) {
        $crc ^= $c;
        $crc = $crc & 1 ? $crc >> 1 ^ 0xedb88320 : $crc >> 1 for 1 .. 8;
    }
    return $crc ^ 0xffffffff;
}

sub stamp {
    my ($at) = @_;
    my @d = gmtime $at;
    return sprintf '%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', $d[5] + 1900,
        $d[4] + 1, @d[3, 2, 1, 0], ($at - int $at) * 1000;
}

my $gw;
sub feed {
    my ($key) = @_;
    my $r = $t->api(GET => '/gateway/v1/feed?since=0', undef, token => $gw);
    for (split /\n/, $r->{body}) {
        my $row = json_decode($_);
        return $row->{body} if ($row->{key} // '') eq $key;
    }
    return undef;
}

for my $how (qw(sha256 hmac)) {
    $t->control(args => $how eq 'hmac'
        ? ['--pepper-file=' . $t->dir('pepper')] : []);

    my $tenant = "acme-$how";
    my $keys = "/v1/tenants/$tenant/applications/app/credentials";
    $t->must(POST => '/v1/tenants', { name => $tenant });
    $t->must(POST => "/v1/tenants/$tenant/applications", { name => 'app' });
    $t->api(POST => '/v1/gateway-groups', { name => 'x' });
    $gw = $t->must(POST => '/v1/gateways',
        { name => "gw-$how", group => 'x' })->{token};

    my $r = $t->api(POST => $keys, {});
    is($r->{status}, 201, "$how: create");
    my $c = $r->{json};
    my $id = $c->{id};
    like($c->{key}, qr/^stoa_live_$id\_[0-9A-Za-z]{32}_[0-9a-f]{8}$/,
        'the form');
    my ($head, $crc) = $c->{key} =~ /^(.*)_(\w+)$/;
    is($crc, sprintf('%08x', crc32($head)), 'the checksum');
    is($c->{prefix}, "stoa_live_$id", 'prefix');
    is($c->{last4}, substr($c->{key}, -4), 'last4');
    is($c->{application}, 'app', 'application');

    my $body = feed("cred:$id");
    is($body->{digest}, $how eq 'hmac'
        ? hmac_sha256_hex($c->{key}, $pepper) : sha256_hex($c->{key}),
        'the digest in the feed');
    is($body->{alg}, $how, 'alg');

    is($t->must(GET => "$keys/$id")->{key}, undef, 'shown once');
    unlike($t->api(GET => $keys)->{body}, qr/\Q$c->{key}\E|digest/,
        'not in a list');
    my $secret = substr $c->{key}, 28;
    unlike($t->api(GET => '/v1/audit')->{body}, qr/\Q$secret\E/,
        'not in the audit log');
    unlike($t->api(GET => '/v1/dump')->{body}, qr/\Q$secret\E/,
        'not in a dump');

    # an answer that is kept for a replay is sealed

    my %idem = (headers => { 'Idempotency-Key' => "k-$how" });
    my $one = $t->must(POST => $keys, { title => 'kept' }, %idem);
    my $two = $t->must(POST => $keys, { title => 'kept' }, %idem);
    is($two->{key}, $one->{key}, 'a replay has the key again');
    $t->stop('control');
    my $db = $t->{db} eq 'pg' ? '' : slurp($t->dir('control.db'))
        . slurp($t->dir('control.db-wal'));
    ok(index($db, substr $one->{key}, 28) < 0
        && index($db, substr $t->{token}, 26) < 0,
        'no key and no token in the database file');
    $t->control(args => $how eq 'hmac'
        ? ['--pepper-file=' . $t->dir('pepper')] : []);

    # rotation

    $r = $t->api(POST => "$keys/$id/rotate", { grace_s => 100 });
    is($r->{status}, 200, 'rotate');
    my $next = $r->{json};
    isnt($next->{id}, $id, 'a successor');
    like($next->{key}, qr/^stoa_live_$next->{id}_/, 'with its key');
    like($r->{headers}{etag}, qr/$next->{id}/, 'and its ETag');
    my $old = $t->must(GET => "$keys/$id");
    is($old->{state}, 'rotating', 'the old one is rotating');
    is($old->{rotated_to}, $next->{id}, 'and says to what');
    my $grace = feed("cred:$id")->{expires_ms} / 1000 - time;
    cmp_ok($grace, '>', 90, 'it ends');
    cmp_ok($grace, '<', 101, 'with the grace');
    is($t->api(POST => "$keys/$id/rotate")->{status}, 409,
        'no second rotation of it');
    is($t->api(POST => "$keys/$next->{id}/rotate")->{status}, 409,
        'nor of the successor during the grace');
    $t->must(POST => "$keys/$id/revoke");
    is(feed("cred:$id")->{state}, 'revoked', 'revoked stays in the feed');
    is($t->api(POST => "$keys/$next->{id}/rotate", { grace_s => 0 })
        ->{status}, 200, 'then it rotates');
    is($t->api(POST => "$keys/$next->{id}/rotate",
        { grace_s => 2592001 })->{status}, 409, 'not again');
    my $other = $t->must(POST => $keys, { env => 'test' });
    like($other->{key}, qr/^stoa_test_/, 'env');
    is($t->api(POST => "$keys/$other->{id}/rotate", { grace_s => $_ })
        ->{status}, 422, "grace_s $_") for -1, 2592001, 'x';
    is($t->api(POST => $keys, { env => $_ })->{status}, 422, "env $_")
        for qw(adm gw x LIVE ninechars), '';

    # expiry

    is($t->api(POST => $keys, { expires_at => '2020-01-01T00:00:00Z' })
        ->{status}, 422, 'no key that is over already');
    my $brief = $t->must(POST => $keys,
        { expires_at => stamp(Time::HiRes::time() + 0.5) });
    ok(scalar(&wait_until(sub { $t->must(GET => "$keys/$brief->{id}")->{state}
        eq 'expired' }, 90)),
    'it expires');
    is(feed("cred:$brief->{id}")->{state}, 'expired', 'in the feed too');
    is($t->must(GET => "/v1/audit?resource=$brief->{id}")->{items}[0]{actor},
        'expiry', 'and in the audit log');
    ok(scalar(&wait_until(sub { $t->must(GET => "$keys/$next->{id}")->{state}
        eq 'expired' }, 90)),
    'a rotated one expires with its grace');

    $t->stop('control');
}

# the first token

my @pepper = (args => ['--pepper-file=' . $t->dir('pepper')]);
$t->control(@pepper);
my $mode = (stat $t->dir('admin.token'))[2] & 0777;
is(sprintf('%o', $mode), '600', 'the first token\'s file is private');
my $before = $t->{token};
$t->stop('control');
$t->control(@pepper);
is($t->{token}, $before, 'a second start makes no other');
$t->stop('control');
Test::Stoa::Feed::sql($t, "UPDATE admin_tokens SET state = 'revoked'");
$t->control(@pepper);
isnt($t->{token}, $before, 'without one, a start makes a new one');
is($t->api(GET => '/v1/whoami')->{status}, 200, 'which works');
is($t->api(GET => '/v1/audit/verify')->{json}{ok}, JSON::PP::true,
    'the audit log is whole');

$t->done;
