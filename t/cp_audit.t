#!/usr/bin/perl

# The audit log: what is in it, and that tampering with the database shows.

use strict;
use warnings;

use Digest::SHA ();
use FindBin;
use JSON::PP ();
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

# Rows as hashes: text columns come as hex, so that they may hold anything.

sub sqlrows {
    my ($sql) = @_;
    my @c = qw(tenant seq at actor_kind actor_id actor_name action kind
               resource resource_name diff request_id prev_hash hash);
    my ($file) = $t->database =~ /^sqlite:(.*)/;
    my $cols = join ", ", map { /^(?:seq|at)$/ ? $_ : $file ? "hex($_)"
        : "encode(convert_to($_, 'UTF8'), 'hex')" } @c;
    $sql =~ s/\*/$cols/;
    my ($code, $out) = $t->run_cmd($file
        ? ['sqlite3', '-cmd', '.timeout 5000', $file, $sql]
        : [pg_bin() . '/psql', '-qAt', '-d', $t->database, '-c', $sql]);
    return [map { my @v = split /\|/, $_, -1; my %r;
        $r{$_} = /^(?:seq|at)$/ ? shift @v : pack 'H*', shift @v for @c;
        \%r } split /\n/, $out];
}

sub verify {
    my ($what, $ok, $why) = @_;
    my $r = $t->must(GET => '/v1/audit/verify?tenant=acme');
    is($r->{ok} ? 1 : 0, $ok, $what);
    like($r->{broken_at} // '', $why, "$what: where and why") if $why;
}

plan(skip_all => 'sqlite3 is not there')
    if $t->{db} ne 'pg' && system('command -v sqlite3 >/dev/null') != 0;

my $key = '--audit-key-file=' . $t->dir('audit.key');
$t->control(args => [$key]);
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
$t->control(args => [$key, '--pepper-file=' . $t->dir('pepper')]);
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
sql('CREATE TABLE keep_head2 AS SELECT * FROM audit_head');
sql("UPDATE audit_head SET mac = (SELECT mac FROM keep_head WHERE $where)"
    . " WHERE $where");
verify('a head sealed without the pepper', 0, qr/without the pepper/);

# Checkpoints: who writes the database as he likes, heads and hashes computed
# anew, is found out; the key is a file beside it

$t->control(args => [$key, '--pepper-file=' . $t->dir('pepper')])
    if !$t->alive('control');
sql("UPDATE audit_head SET mac = (SELECT mac FROM keep_head2 WHERE $where)"
    . " WHERE $where");
verify('whole again', 1);

my $cp = $t->must(POST => '/v1/audit/checkpoint');
cmp_ok($cp->{number}, '>', 0, 'a checkpoint');
my ($mark) = grep { $_->{text} =~ /"seq":10,/ } @{ $cp->{marks} };
ok($mark, 'of each chain') or diag(json_encode($cp));
is($t->must(POST => '/v1/audit/verify', $cp)->{ok}, JSON::PP::true(),
    'the log has what the exported one says');
my $own = $t->must(POST => '/v1/admin-tokens', { name => 'own2',
    role => 'viewer', tenant => 'acme' })->{token};
my $theirs = $t->must(GET => '/v1/audit/checkpoint', undef, token => $own);
is(scalar @{ $theirs->{marks} }, 1, 'a tenant gets its own mark');
is($t->api(POST => '/v1/audit/checkpoint', undef, token => $viewer)->{status},
    403, 'and makes none');

my $kept = slurp($t->dir('audit.key.last'));
sql('CREATE TABLE keep3 AS SELECT * FROM audit');
sql('CREATE TABLE keep3_head AS SELECT * FROM audit_head');
sql('CREATE TABLE keep3_mark AS SELECT * FROM audit_mark');
sql('CREATE TABLE keep3_point AS SELECT * FROM audit_checkpoint');

# what somebody does who has the database and the program, but no key: the
# rows from n on get hashes that fit

sub rebuild {
    my ($from) = @_;
    my $rows = sqlrows("SELECT * FROM audit WHERE $where ORDER BY seq");
    my $prev = '';
    my @sql;
    for my $r (@$rows) {
        if ($r->{seq} < $from) { $prev = $r->{hash}; next }
        my $text = '[' . join(',', map { /^(?:seq|at)$/ ? $r->{$_}
            : JSON::PP->new->allow_nonref->encode($_ eq 'prev_hash' ? $prev
                                                             : $r->{$_}) }
            qw(tenant seq at actor_kind actor_id actor_name action kind
               resource resource_name diff request_id prev_hash)) . ']';
        my $hash = Digest::SHA::sha256_hex($text);
        push @sql, "UPDATE audit SET prev_hash = '$prev', hash = '$hash'"
            . " WHERE seq = $r->{seq} AND $where";
        $prev = $hash;
    }
    my $seq = $rows->[-1]{seq};
    my $id = $rows->[0]{tenant};
    my $mac = 'k:' . Digest::SHA::hmac_sha256_hex(
        "audit\n$id\n$seq\n$prev", 'p' x 40);
    sql(join '; ', @sql, "UPDATE audit_head SET hash = '$prev', mac = '$mac',"
        . " seq = $seq WHERE $where");
}

# (whatever else was signed meanwhile, a chain of denials, is put back, too)

sub back {
    spew($t->dir('audit.key.last'), $kept, 0600);
    sql('DELETE FROM audit; INSERT INTO audit SELECT * FROM keep3;'
        . ' DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM'
        . ' keep3_head; DELETE FROM audit_mark; INSERT INTO audit_mark'
        . ' SELECT * FROM keep3_mark; DELETE FROM audit_checkpoint; INSERT'
        . ' INTO audit_checkpoint SELECT * FROM keep3_point');
}

rebuild(1);
verify('the same computed anew is the same', 1);
for (
    ['an event that says something else', qr/not the row that the checkpoint/,
     "UPDATE audit SET actor_name = 'nobody' WHERE seq = 3 AND $where"],
    ['the tail cut off', qr/the checkpoint has it/,
     "DELETE FROM audit WHERE seq > 8 AND $where"],
) {
    my ($what, $why, $sql) = @$_;
    sql($sql);
    rebuild(2);
    verify("$what, all computed anew", 0, $why);
    is($t->must(POST => '/v1/audit/verify', $cp)->{ok}, JSON::PP::false(),
        "$what: the exported checkpoint tells, too");
    $t->must(POST => '/v1/tenants/acme/applications',
        { name => 'x' . int rand 1e9 });
    $t->api(POST => '/v1/audit/checkpoint');
    verify("$what: and no later checkpoint covers it", 0, qr/./);
    back();
    verify("$what: put back", 1);
}
for (
    ['a mark without a signature', qr/not signed by the key|not those of/,
     "UPDATE audit_mark SET seq = 8, hash = (SELECT hash FROM audit WHERE"
     . " seq = 8 AND $where) WHERE $where"],
    ['no marks', qr/not those of/, 'DELETE FROM audit_mark'],
    ['no checkpoints', qr/older than checkpoint|not those of/,
     'DELETE FROM audit_mark; DELETE FROM audit_checkpoint'],
    ['nothing at all', qr/./, 'DELETE FROM audit_mark; DELETE FROM'
     . " audit_checkpoint; DELETE FROM audit WHERE $where; DELETE FROM"
     . " audit_head WHERE $where"],
) {
    my ($what, $why, $sql) = @$_;
    sql($sql);
    verify($what, 0, $why);
    is($t->api(POST => '/v1/audit/checkpoint')->{status}, 409,
        "$what: is not signed") if $what ne 'nothing at all';
    back();
    verify("$what: put back", 1);
}

# an old copy of the database is one

my $before = $cp->{number};
$t->must(POST => '/v1/tenants/acme/applications', { name => 'later' });
my $then = $t->must(POST => '/v1/audit/checkpoint');
cmp_ok($then->{number}, '>', $before, 'the next one');
my $last = slurp($t->dir('audit.key.last'));
back();
spew($t->dir('audit.key.last'), $last, 0600);
verify('an old copy', 0, qr/older than checkpoint $then->{number}/);
is($t->api(POST => '/v1/audit/checkpoint')->{status}, 409, 'is not signed');
my $over = $t->must(POST => '/v1/audit/checkpoint?accept=1');
cmp_ok($over->{number}, '>', $then->{number}, 'until somebody says so');
verify('which holds from then on', 1);
is($t->must(GET => '/v1/audit?tenant=&action=accept')->{items}[0]{kind},
    'checkpoint', 'and is in the log');
is($t->must(POST => '/v1/audit/verify', $then)->{ok}, JSON::PP::false(),
    'what was kept elsewhere still tells');

# as a file

my @lines = split /\n/, $t->api(GET => '/v1/audit/export')->{body};
my $n = @{ $t->must(GET => '/v1/audit?limit=500')->{items} };
is(scalar @lines, $n, 'every event is a line');
is(json_decode($lines[0])->{action}, 'create', 'of JSON, the oldest first');
@lines = split /\r\n/, $t->api(GET =>
    '/v1/audit/export?tenant=acme&format=csv&kind=tenant')->{body};
is(scalar @lines, 3, 'CSV: the columns and what was asked for');
like($lines[0], qr/^"at","tenant","seq"/, 'its columns');
like($lines[1], qr/"create","tenant",/, 'its rows');
is($t->api(GET => '/v1/audit/export?format=xml')->{status}, 400, 'no XML');

# what is kept no longer goes, and the rest is proven all the same

sql("UPDATE audit SET at = at - 90000000 * 10 WHERE seq <= 6 AND $where");
rebuild(1);
$t->must(POST => '/v1/audit/checkpoint?accept=1');
$t->stop('control');
$t->control(args => [$key, '--pepper-file=' . $t->dir('pepper'),
    '--audit-kept-d=5', '--audit-checkpoint-s=1']);
my $gone = wait_until { my $i = $t->must(GET =>
    '/v1/audit?tenant=acme&order=asc&limit=1')->{items}; $i->[0]{seq} == 7 };
ok($gone, 'old events go');
verify('the rest is whole', 1);
sql("DELETE FROM audit WHERE seq = 7 AND $where");
verify('a row too many', 0, qr/^acme:/);

# a key that would not be looked at is no key

$t->stop('control');
spew($t->dir('many.key'), join('', map { '0123456789abcdef' x 4 . "\n" } 1 .. 17),
     0600);
my ($code, undef, $err) = $t->run_cmd(["$Test::Stoa::OBJS/stoa-control",
    '--database=' . $t->database, '--listen=127.0.0.1:' . $t->port('none'),
    '--audit-key-file=' . $t->dir('many.key'),
    '--pepper-file=' . $t->dir('pepper')], cwd => $t->dir);
isnt($code, 0, '17 keys are not served with');
like($err, qr/"[^"]*many\.key" has more than 16 keys/, 'and it is said');

$t->done;
