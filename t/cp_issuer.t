#!/usr/bin/perl

# Issuers: who vouches for a tenant's callers by tokens.  Keys in the document
# or behind a url, which the control plane reads, and reads again; what is
# wrong is said, nothing is taken that verifies no token.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Feed;
use Test::Stoa::Token;

use POSIX qw(strftime);

my $t = Test::Stoa->new->has('openssl');
$t->control;
$t->apply(docs(tenant('acme'), tenant('beta'), app('acme', 'demo'), app('acme', 'demo2'),
               app('beta', 'other')));
my $base = '/v1/tenants/acme/issuers';
my $rsa = token_key($t, 'r1', 'RS256');
my $ed = token_key($t, 'e1', 'EdDSA');
my $served = $t->dir('jwks.json');
spew($served, json_encode(jwks($rsa)));
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    return $_[0]{path} eq '/jwks'
        ? [200, ['Content-Type' => 'application/json'], slurp($served)]
        : [404, [], '']; });
sub make { my ($name, %o) = @_;
    return $t->api(POST => $base, { name => $name,
        issuer => 'https://idp.example/realms/a', %o }) }

# As if it had been read so many seconds ago.

sub ago {
    my ($name, $s) = @_;
    my $at = show($name)->{keys}{at};
    my $then = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime time - $s);
    Test::Stoa::Feed::sql($t, "update issuers set keys = replace(keys, "
        . qq('"at":"$at"', '"at":"$then"') . ") where name = '$name'");
}
sub show { return $t->must(GET => "$base/$_[0]") }


# keys in the document

my $r = make('inline', jwks => jwks($rsa, $ed), audiences => ['a'],
             algorithms => ['RS256', 'PS256'], application => 'demo',
             claims => { roles => '/realm_access/roles' });
is($r->{status}, 201, 'an issuer') or diag $r->{body};
is($r->{json}{keys}{state}, 'inline', 'with its keys');
is(json_encode([map { $_->{kid} } @{ $r->{json}{keys}{items} }]), '["r1"]',
   'that fit its algorithms');
like($r->{json}{keys}{skipped}[0]{why}, qr/algorithms/, 'others are told');

$r = make('crowd', jwks => { keys => [map { { %{ $ed->{jwk} },
    kid => "k$_" } } 1 .. 100] });
cmp_ok(scalar(@{ $r->{json}{keys}{items} || [] }), '<', 100,
       'a set of many keys');
like($r->{json}{keys}{skipped}[0]{why} // '', qr/one too many/,
     'has some too many');
for my $case (
    ['no keys', {}, qr/is required/],
    ['two places', { jwks => jwks($rsa), jwks_url => "$to/jwks" },
     qr/beside it/],
    ['no key set', { jwks => { key => 1 } }, qr/no list/],
    ['a symmetric key',
     { jwks => { keys => [{ kty => 'oct', k => 'AAAA' }] } }, qr/no key/],
    ['a point on no curve', { jwks => { keys => [{ kty => 'EC',
        crv => 'P-256', x => 'A' x 43, y => 'A' x 43 }] } }, qr/OpenSSL/],
    ['an algorithm', { jwks => jwks($rsa), algorithms => ['HS256'] },
     qr/must be one of RS256/],
    ['a path', { jwks => jwks($rsa), claims => { roles => '/a~2' } },
     qr/claims.roles/],
    ['a client twice', { jwks => jwks($rsa),
        clients => [map { { client => 'x', application => $_ } } qw(demo demo2)] },
     qr/clients\[1\].client/],
    ["another tenant's application", { jwks => jwks($rsa),
        application => 'other' }, qr/application/],
    ['the metadata service', { jwks_url => 'http://169.254.169.254/' },
     qr/outbound_allow/],
    ['an address of no use', { jwks_url => 'http://10.0.0.1/' },
     qr/outbound_allow/],
    ['a secret that is none', { introspection => { url => "$to/i",
        client_id => 'x', client_secret => 'none' } }, qr/client_secret/],
) {
    $r = make('bad', %{ $case->[1] });
    is($r->{status}, 422, "no: $case->[0]");
    like($r->{body}, $case->[2], "$case->[0]: the reason");
}
is($t->api(DELETE => '/v1/tenants/acme/applications/demo')->{status}, 409,
   'an application that it speaks for stays');


# keys behind a url

is(make('url', jwks_url => "$to/jwks")->{json}{keys}{state}, 'pending',
   'a url is read later');
wait_until { show('url')->{keys}{state} eq 'ok' };
my $k = show('url')->{keys};
is(json_encode([map { [$_->{kid}, $_->{algorithms}] } @{ $k->{items} }]),
   '[["r1",["RS256"]]]', 'and was');
like($k->{at}, qr/^20.*Z$/, 'it says when');
is($k->{changed_at}, $k->{at}, 'and since when they are these');

my $feed = Test::Stoa::Feed->new($t, 'gw', 'default');
sub row { $feed->pull; my ($id) = @_; return $feed->{rows}{"issuer:$id"} }
my $row = row(show('url')->{id});
like(json_encode($row), qr/"spki/, 'gateways get them');

spew($served, '{"keys":[]}');
ago('url', 15);                  # longer than between two hints
$feed->status(unknown_keys => ['no id', 5, show('inline')->{id},
                               map { sprintf '%016d', $_ } 1 .. 64]);
wait_until { $feed->status(unknown_keys => [show('url')->{id}]);
             show('url')->{keys}{state} eq 'failed' } 25;
is(show('url')->{keys}{state}, 'failed',
   'a gateway that meets an unknown key has them read again');
is(show('url')->{keys}{items}[0]{kid}, 'r1', 'an empty set takes none away');
like(show('url')->{keys}{error}, qr/no key/, 'and is told');
spew($served, json_encode(jwks($ed)));
ago('url', 15);                  # longer than till a failure is tried again
wait_until { (show('url')->{keys}{items}[0]{kid} // '') eq 'e1' } 25;
is(show('url')->{keys}{items}[0]{kid}, 'e1', 'new keys take their place');


# the rest of its life

$t->must(POST => '/v1/tenants/acme/secrets',
         { name => 'intro', value => 'S3CRET-x' });
is(make('opaque', introspection => { url => "$to/i", client_id => 'gw',
        client_secret => 'intro' })->{status}, 201, 'introspection');
like(json_encode(row(show('opaque')->{id})), qr/S3CRET-x/,
     'gateways get the secret');
unlike(json_encode(show('opaque')), qr/S3CRET-x/, 'nobody else');
$t->must(PUT => '/v1/tenants/acme/secrets/intro',
         { name => 'intro', value => 'S3CRET-y' });
like(json_encode(row(show('opaque')->{id})), qr/S3CRET-y/,
     'a new value follows');
is($t->api(DELETE => '/v1/tenants/acme/secrets/intro')->{status}, 409,
   'which stays as long');

is($t->must(POST => "$base/url/suspend")->{state}, 'suspended', 'suspended');
like(json_encode(row(show('url')->{id})), qr/suspended/, 'for gateways too');
my $dump = $t->api(GET => '/v1/dump?tenant=acme')->{body};
like($dump, qr/kind: Issuer/, 'in a dump');
unlike($dump, qr/S3CRET|spki/, 'without what it is not told');
$r = $t->api(POST => '/v1/apply?dry_run=1', $dump,
             headers => { 'Content-Type' => 'application/yaml' });
is(scalar(grep { $_->{action} ne 'none' } @{ $r->{json}{changes} }), 0,
   'which changes nothing');
is($t->api(GET => '/v1/tenants/beta/issuers')->{json}{items}[0], undef,
   'not another tenant\'s');
is($t->api(DELETE => "$base/url")->{status}, 204, 'removed');

$t->done;
