#!/usr/bin/perl

# API keys: places, forms, checksums, states, tenants; where the credential
# goes and where not.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Digest::SHA;

my $t = Test::Stoa->new->has('module', 'control');

$t->control;
my $to = 'http://127.0.0.1:' . $t->origin;
$t->apply(docs((map { tenant($_) } qw(acme beta gamma)),
    plan('acme', 'free'), plan('beta', 'free'),
    app('acme', 'demo'), app('acme', 'gone'), app('gamma', 'third'),
    rest('acme', 'echo', $to), rest('beta', 'hidden', $to),
    rest('beta', 'open', $to, audience => 'public'),
    rest('beta', 'shared', $to, audience => 'partner',
         partners => ['acme']),
    sub_('acme', 'demo', 'echo', 'free'), sub_('acme', 'gone', 'echo',
                                               'free'),
    sub_('acme', 'demo', 'open', 'free', target_tenant => 'beta'),
    sub_('acme', 'demo', 'shared', 'free', target_tenant => 'beta')));
$t->gateway(workers => 2);
my $key = $t->key('acme', 'demo');
my $other = $t->key('acme', 'gone');
my $third = $t->key('gamma', 'third');
$t->sync;

sub call { my (%o) = @_;
           return $t->get($o{path} // '/apis/acme/echo/', %o) }
sub code { my $r = call(@_);
           return $r->{status} == 200 ? 200
                  : "$r->{status} " . ($r->{json}{code} // '') }
sub flip { my ($s, $i) = @_;
           substr($s, $i, 1) = substr($s, $i, 1) eq '1' ? '2' : '1';
           return $s }

# a key with a right checksum of its own

sub make {
    my ($head) = @_;
    my $crc = 0xffffffff;
    for (unpack 'C*', $head) {
        $crc ^= $_;
        $crc = $crc & 1 ? ($crc >> 1) ^ 0xedb88320 : $crc >> 1 for 1 .. 8;
    }
    return sprintf '%s_%08x', $head, $crc ^ 0xffffffff;
}

(my $head = $key) =~ s/_[0-9a-f]{8}$//;
is(make($head), $key, 'the checksum is what the design says');


my @rows = (
    ['X-API-Key', { 'X-API-Key' => $key }, 200],
    ['Bearer', { Authorization => "Bearer $key" }, 200],
    ['bearer', { Authorization => "bearer  $key" }, 200],
    ['none', {}, '401 key_missing'],
    ['Basic alone', { Authorization => 'Basic eDp5' }, '401 key_missing'],
    ['another token', { Authorization => 'Bearer eyJhbGciOiJub25lIn0.e30.' },
     '401 token_invalid'],
    ['junk', { 'X-API-Key' => 'junk' }, '401 key_invalid'],
    ['empty', { 'X-API-Key' => '' }, '401 key_missing'],
    ['very long', { 'X-API-Key' => 'stoa_' . 'x' x 4000 },
     '401 key_invalid'],
    ['a wrong checksum', { 'X-API-Key' => flip($key, -1) },
     '401 key_invalid'],
    ['a wrong secret', { 'X-API-Key' => make(flip($head, -1)) },
     '401 key_invalid'],
    ['an unknown id', { 'X-API-Key' => make(flip($head, 12)) },
     '401 key_invalid'],
    ['another env', { 'X-API-Key' => make($head =~ s/live/test/r) },
     '401 key_invalid'],
    ['something behind it', { 'X-API-Key' => "$key " . 'x' },
     '401 key_invalid'],
    ['twice the same', { 'X-API-Key' => $key,
                         Authorization => "Bearer $key" }, 200],
    ['two keys', { 'X-API-Key' => $key, Authorization => "Bearer $other" },
     '401 key_invalid'],
    ['Basic beside it', { 'X-API-Key' => $key,
                          Authorization => 'Basic eDp5' }, 200],
);
is(code(headers => $_->[1]), $_->[2], $_->[0]) for @rows;

my $c = $t->connection;
my $r = $c->request('GET', '/apis/acme/echo/', headers => [
    'X-API-Key' => $key, 'X-API-Key' => $other ]);
is($r->{status}, 401, 'two X-API-Key that differ');


# what goes on

$r = call(headers => { 'X-API-Key' => $key,
                       Authorization => 'Bearer of-the-upstream' });
is($r->{json}{headers}{authorization}, 'Bearer of-the-upstream',
   'an Authorization that is the upstream\'s goes on');
is($r->{json}{headers}{'x-api-key'}, undef, 'the key does not');
$r = call(headers => { 'X-API-Key' => 'theirs',
                       Authorization => "Bearer $key" });
is($r->{json}{headers}{'x-api-key'}, 'theirs', 'the other way round');
is($r->{json}{headers}{authorization}, undef, 'the key does not');


# challenges

$r = call();
is($r->{headers}{'www-authenticate'}, 'Bearer realm="stoa"',
   'a challenge without an error');
$r = call(key => 'junk');
like($r->{headers}{'www-authenticate'},
     qr/^Bearer realm="stoa", error="invalid_token"/, 'one with an error');


# tenants

is(code(path => '/apis/beta/hidden/', key => $key), '404 no_route',
   'another tenant\'s api');
is(code(path => '/apis/beta/hidden/'), '401 key_missing',
   'the same without a key');
is(code(path => '/apis/beta/open/', key => $key), 200, 'a public one');
is(code(path => '/apis/beta/open/', key => $third), '403 not_subscribed',
   'a public one without a subscription');
is(code(path => '/apis/beta/shared/', key => $key), 200, 'as a partner');
is(code(path => '/apis/beta/shared/', key => $third), '404 no_route',
   'not a partner');


# states: at once in every worker

sub all_say {
    my ($want, $what, %o) = @_;
    my @got;
    my $ok = wait_until {
        @got = map { my $x = $t->get('/apis/acme/echo/', key => $other);
                     "$x->{status} " . ($x->{json}{code} // '') } 1 .. 6;
        !grep { $_ !~ /^$want/ } @got;
    } 5;
    ok($ok, $what) or diag("@got");
}

all_say('200', 'the other application');
$t->must('POST', '/v1/tenants/acme/applications/gone/suspend');
all_say('403 application_suspended', 'suspended');
$t->must('POST', '/v1/tenants/acme/applications/gone/resume');
all_say('200', 'resumed');
my ($cred) = @{ $t->must('GET',
    '/v1/tenants/acme/applications/gone/credentials')->{items} };
my $new = $t->must('POST', '/v1/tenants/acme/applications/gone/credentials/'
    . "$cred->{id}/rotate", { grace_s => 60 })->{key};
$t->sync;
is(code(key => $new), 200, 'the new key of a rotation');
is(code(key => $other), 200, 'and the old one, for its grace');
$t->must('POST', '/v1/tenants/acme/applications/gone/credentials/'
    . "$cred->{id}/revoke");
all_say('401 key_invalid', 'revoked');
is(code(key => $new), 200, 'the new key goes on');

# what docs/operate.md has for a night without a control plane

my $page = slurp("$Test::Stoa::ROOT/docs/operate.md");
my ($map) = $page =~ /^    (map "\$.*?^    \})/ms;
my ($if) = $page =~ /^    (if \(\$blocked_key\).*)$/m;
my ($prefix) = $new =~ /^(stoa_\w+?_\w+?_)/;
my $was = slurp($t->dir('gw/nginx.conf'));
(my $conf = $was) =~ s/(\bhttp \{)/$1 $map/;
$conf =~ s/stoa_live_\w+/$prefix/;
$conf =~ s/(\bserver \{)/$1 $if/;
spew($t->dir('gw/nginx.conf'), $conf);
$t->reload;
ok((wait_until { call(key => $new)->{status} == 401 } 10),
   'nginx blocks a key by its prefix');
is(call(headers => { Authorization => "Bearer $new" })->{status}, 401,
   'as a bearer token, too');
is(code(key => $key), 200, 'and no other');
spew($t->dir('gw/nginx.conf'), $was);
$t->reload;
ok((wait_until { code(key => $new) eq 200 } 10), 'until that is taken out');

# a key of another product, imported by its digest

my $theirs = 'Old-Gateway/key+1 with blanks==';
my $import = sub { return $t->must(POST =>
    '/v1/tenants/acme/applications/demo/credentials/import', { keys => [
    map { { sha256 => Digest::SHA::sha256_hex($_), prefix => 'old-gateway' } }
    @_ ] })->{items} };
is(code(key => $theirs), '401 key_invalid', 'a key of elsewhere');
my $made = $import->($theirs)->[0];
is($made->{result}, 'created', '... is imported');
is($import->($theirs)->[0]{result}, 'exists', '... once');
$t->sync;
is(code(key => $theirs), 200, '... and works');
my $seen = call(key => $theirs)->{json}{headers};
ok(!exists $seen->{'x-api-key'}, '... and no upstream sees it');
is(code(headers => { Authorization => "Bearer $theirs" }), '401 key_invalid',
   '... nor is it a Bearer');
is(code(key => "${theirs}x"), '401 key_invalid', '... nor another one');
is(code(key => $made->{id}), '401 key_invalid', '... nor its id');
is(call(headers => { Authorization => "Bearer $key", 'X-API-Key' => 'theirs' })
   ->{json}{headers}{'x-api-key'}, 'theirs', "an upstream's stays its own");
$seen = call(headers => { Authorization => "Bearer $key",
    'X-API-Key' => $theirs })->{json}{headers};
ok($seen && !exists $seen->{'x-api-key'}, '... and a key of his beside ours');
is($import->('stoa_live_01jd0000000000aa_x')->[0]{result}, 'created',
   'what begins as ours');
$t->sync;
is(code(key => 'stoa_live_01jd0000000000aa_x'), '401 key_invalid',
   '... has to have all of our form');
$t->must(POST => '/v1/tenants/acme/applications/demo/credentials/'
         . "$made->{id}/revoke");
ok((wait_until { code(key => $theirs) eq '401 key_invalid' } 5),
   '... until it is revoked');

my $soon = $t->key('acme', 'demo', expires_at =>
    POSIX::strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime(time + 2)));
$t->sync;
is(code(key => $soon), 200, 'a key that will expire');
my $ok = wait_until { code(key => $soon) eq '401 key_expired' } 8;
ok($ok, 'and does');

$t->must('POST', '/v1/tenants/acme/suspend');
$ok = wait_until { code(key => $key) eq '403 tenant_suspended' } 5;
ok($ok, 'a suspended tenant');
is(code(path => '/apis/beta/open/', key => $key), '403 tenant_suspended',
   'elsewhere too');

my ($secret) = $key =~ /_([0-9A-Za-z]{32})_/;
is(scalar(grep { /$secret/ } $t->log_lines('gw', 'error.log'),
          $t->log_lines), 0, 'no log has the secret');

$t->done;
