#!/usr/bin/perl

# The audit log: what is in it, and that tampering with the database shows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Base qw(pg_bin);

my $t = Test::Stoa->new;

# SQL behind the control plane's back.

sub sql {
    my ($sql) = @_;
    my $url = $t->database;
    my ($file) = $url =~ /^sqlite:(.*)/;
    my ($code, $out, $err) = $t->run_cmd($file
        ? ['sqlite3', '-cmd', '.timeout 5000', $file, $sql]
        : [pg_bin() . '/psql', '-qAt', '-d', $url, '-c', $sql]);
    is($code, 0, 'sql') or diag($err);
}

sub verify {
    my ($what, $ok, $why) = @_;
    my $r = $t->must(GET => '/v1/audit/verify?tenant=acme');
    is($r->{ok} ? 1 : 0, $ok, $what);
    like($r->{broken_at} // '', $why, "$what: where and why") if $why;
}

plan(skip_all => 'sqlite3 is not there')
    if $t->{db} ne 'pg' && system('command -v sqlite3 >/dev/null') != 0;

$t->control;
$t->must(POST => '/v1/tenants', { name => 'acme', title => 'one' });
$t->must(PATCH => '/v1/tenants/acme', { title => 'two' },
    headers => { 'X-Request-Id' => 'my-request-1' });
$t->must(POST => '/v1/tenants/acme/applications', { name => "a$_" })
    for 1 .. 6;
$t->must(DELETE => '/v1/tenants/acme/applications/a6');

# what is in it

my $items = $t->must(GET => '/v1/audit?tenant=acme&order=asc')->{items};
is_deeply([map { $_->{seq} } @$items], [1 .. 9], 'numbered without a gap');
is($items->[0]{action}, 'create', 'action');
is($items->[0]{kind}, 'tenant', 'kind');
is($items->[0]{actor_kind}, 'admin_token', 'actor_kind');
is_deeply($items->[1]{diff},
    { title => { before => 'one', after => 'two' } }, 'diff of a change');
is($items->[1]{request_id}, 'my-request-1', 'request_id');
is($items->[8]{diff}{name}{before}, 'a6', 'diff of a deletion');
is(scalar @{ $t->must(GET => '/v1/audit?tenant=acme&kind=application'
    . '&action=delete')->{items} }, 1, 'filters');
is($t->must(GET => '/v1/audit?limit=1')->{items}[0]{action}, 'delete',
    'youngest first');
is($t->api(GET => '/v1/audit?sinc=x')->{status}, 400, 'unknown parameter');
is($t->api(GET => '/v1/audit?since=x')->{status}, 400, 'no time');
is($t->api(GET => '/v1/audit?cursor=6161')->{status}, 400, 'no cursor');
is(scalar @{ $t->must(GET => '/v1/audit?tenant=acme&since='
    . '2999-01-01T00:00:00Z')->{items} }, 0, 'since');

my (@seq, $cursor);
for my $order (qw(asc desc)) {
    @seq = ();
    $cursor = '';
    do {
        my $p = $t->must(GET =>
            "/v1/audit?tenant=acme&order=$order&limit=2&cursor=$cursor");
        push @seq, map { $_->{seq} } @{ $p->{items} };
        $cursor = $p->{next} // '';
    } while $cursor ne '';
    is_deeply(\@seq, [$order eq 'asc' ? 1 .. 9 : reverse 1 .. 9],
        "pages, $order");
}

# what failed is not in it

is($t->api(POST => '/v1/tenants/acme/applications', { name => 'a1' })
    ->{status}, 409, 'a write that fails');
is(scalar @{ $t->must(GET => '/v1/audit?tenant=acme')->{items} }, 9,
    'leaves no event');
is($t->api(PATCH => '/v1/tenants/acme', { title => 'two' })->{status}, 200,
    'a write that changes nothing');
is(scalar @{ $t->must(GET => '/v1/audit?tenant=acme')->{items} }, 9,
    'leaves none either');

# tampering, each on a copy that is put back

verify('as written', 1);

my $where = "tenant = (SELECT id FROM tenants WHERE name = 'acme')";
sql('CREATE TABLE keep AS SELECT * FROM audit');
sql('CREATE TABLE keep_head AS SELECT * FROM audit_head');

my $cut = "UPDATE audit_head SET seq = 7, hash = (SELECT hash FROM audit"
    . " WHERE seq = 7 AND $where) WHERE $where";
for (
    ['an edited row', qr/^acme:3: the row was changed/,
     "UPDATE audit SET actor_name = 'nobody' WHERE seq = 3 AND $where"],
    ['an edited diff', qr/^acme:2: the row was changed/,
     "UPDATE audit SET diff = '{}' WHERE seq = 2 AND $where"],
    ['an edited time', qr/^acme:4: the row was changed/,
     "UPDATE audit SET at = at + 1 WHERE seq = 4 AND $where"],
    ['an edited hash', qr/^acme:4: /,
     "UPDATE audit SET hash = prev_hash WHERE seq = 4 AND $where"],
    ['the first row gone', qr/^acme:1: the row is missing/,
     "DELETE FROM audit WHERE seq = 1 AND $where"],
    ['a row in the middle gone', qr/^acme:5: the row is missing/,
     "DELETE FROM audit WHERE seq = 5 AND $where"],
    ['a row in the middle gone, the rest moved up', qr/^acme:5: /,
     "DELETE FROM audit WHERE seq = 5 AND $where",
     "UPDATE audit SET seq = seq - 1 WHERE seq = 6 AND $where",
     "UPDATE audit SET seq = seq - 1 WHERE seq = 7 AND $where",
     "UPDATE audit SET seq = seq - 1 WHERE seq = 8 AND $where",
     "UPDATE audit SET seq = seq - 1 WHERE seq = 9 AND $where"],
    ['the tail gone', qr/^acme:8: the tail is missing/,
     "DELETE FROM audit WHERE seq > 7 AND $where"],
    ['the tail gone, the head set back', qr/head was changed/,
     "DELETE FROM audit WHERE seq > 7 AND $where", $cut],
    ['everything gone', qr/^acme:1: the tail is missing/,
     "DELETE FROM audit WHERE $where"],
    ['everything and the head gone', qr/^acme:1: the chain's head is missing/,
     "DELETE FROM audit WHERE $where",
     "DELETE FROM audit_head WHERE $where"],
    ['a row added', qr/^acme:10: /,
     'INSERT INTO audit SELECT tenant, 10, at, actor_kind, actor_id,'
     . ' actor_name, action, kind, resource, resource_name, diff,'
     . " request_id, hash, hash, '' FROM audit WHERE seq = 9 AND $where"],
) {
    my ($what, $why, @sql) = @$_;
    sql(join '; ', @sql);
    verify($what, 0, $why);
    sql('DELETE FROM audit; INSERT INTO audit SELECT * FROM keep;'
        . ' DELETE FROM audit_head;'
        . ' INSERT INTO audit_head SELECT * FROM keep_head');
}
verify('put back', 1);

# a forged head is not healed by going on

sql("DELETE FROM audit WHERE seq > 7 AND $where; $cut");
$t->must(POST => '/v1/tenants/acme/applications', { name => 'after' });
verify('forged, then continued', 0, qr/head was wrong/);
sql('DELETE FROM audit; INSERT INTO audit SELECT * FROM keep;'
    . ' DELETE FROM audit_head;'
    . ' INSERT INTO audit_head SELECT * FROM keep_head');

# who is refused is told: at once, then once a minute and at the end

$t->must(POST => '/v1/tenants', { name => 'guarded' });
my $viewer = $t->must(POST => '/v1/admin-tokens', { name => 'looker',
    role => 'viewer', tenant => 'guarded' })->{token};

sub denials {
    my ($tenant) = @_;
    my %n;
    $n{"$_->{actor} $_->{name} $_->{diff}{reason} $_->{diff}{network}"}
        += $_->{diff}{count} for @{ $t->must(GET =>
        "/v1/audit?tenant=$tenant&action=deny&kind=route")->{items} };
    return \%n;
}

for (1 .. 4) {
    is($t->api(POST => '/v1/tenants/guarded/applications', { name => 'x' },
        token => $viewer)->{status}, 403, 'not his');
    is($t->api(GET => '/v1/tenants/acme', undef, token => $viewer)->{status},
        404, 'of another tenant');
    is($t->api(GET => '/v1/tenants/guarded/apis/none', undef,
        token => $viewer)->{status}, 404, 'just not there');
    is($t->api(GET => '/v1/audit', undef, token => 'stoa_adm_x')->{status},
        401, 'nobody');
}
my $told = wait_until { scalar %{ denials('guarded') } };
ok($told, 'the first one is told');

# a pepper seals what was there

spew($t->dir('pepper'), 'p' x 40, 0600);
$t->stop('control');
$t->control(args => ['--pepper-file=' . $t->dir('pepper')]);
verify('sealed with the pepper', 1);
is_deeply(denials('guarded'), {
    'looker POST /v1/tenants/{tenant}/applications forbidden 127.0.0.0/24'
        => 4,
    'looker GET /v1/tenants/{tenant} not_found 127.0.0.0/24' => 4,
}, 'each denial is counted, where he may see it');
is_deeply(denials(''), { ' GET /v1/audit unauthorized 127.0.0.0/24' => 4 },
    'of nobody, too');
is($t->must(GET => '/v1/audit?tenant=&action=rekey')->{items}[0]{action},
    'rekey', 'which is in the platform\'s log');
$t->must(POST => '/v1/tenants/acme/applications', { name => 'more' });
verify('goes on', 1);
sql("UPDATE audit_head SET mac = (SELECT mac FROM keep_head WHERE $where)"
    . " WHERE $where");
verify('a head sealed without the pepper', 0, qr/without the pepper/);

$t->done;
