#!/usr/bin/perl

# conf/keycloak/stoa-realm.json, imported by a real Keycloak: who gets which
# token, the directory behind it, the second factor of administrators.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Keycloak;

my $t = Test::Stoa->new->has('keycloak', 'slapd');
my $began = time;
my $kc = Test::Stoa::Keycloak->new($t);
note('started and imported after ', time - $began, ' s');

sub payload {
    my ($jwt) = @_;
    my (undef, $part) = split /\./, $jwt // '';
    require MIME::Base64;
    return json_decode(MIME::Base64::decode_base64url($part // '')) || {};
}

$kc->user('alice', groups => ['/tenants/acme/developer']);
my $got = $kc->token('alice', scope => 'openid');
my $claims = payload($got->{access_token});
is($claims->{aud}, 'stoa-api', "a token is for STOA's interface");
is(join(' ', @{ $claims->{groups} || [] }), '/tenants/acme/developer',
   'and says the groups, whole');
is(payload($got->{id_token})->{aud}, 'direct', "an ID token is the client's");

$got = $kc->token_of($kc->{realm}, grant_type => 'client_credentials',
    client_id => 'stoa-control', client_secret => $kc->{secret}{control});
is($got->{status}, 200, "the control plane's service account has a token");
my $r = $kc->{ua}->get("$kc->{url}/admin/realms/$kc->{realm}/users?max=5",
    { headers => { Authorization => "Bearer $got->{access_token}" } });
is($r->{status}, 200, 'with which it sees users');
$r = $kc->{ua}->request('POST', "$kc->{url}/admin/realms/$kc->{realm}/users",
    { headers => { Authorization => "Bearer $got->{access_token}",
                   'Content-Type' => 'application/json' },
      content => '{"username":"x"}' });
is($r->{status}, 403, 'and changes none');

$claims = payload($kc->token('lena')->{access_token});
is($claims->{preferred_username}, 'lena', 'somebody of the directory');
is(join(' ', @{ $claims->{groups} || [] }), '/ldap-ops',
   'with the groups of there');
is($kc->token('lena', password => 'wrong')->{error}, 'invalid_grant',
   'not by another password');

my %rep = %{ $kc->must(GET => '')->{json} };
is($rep{browserFlow}, 'stoa browser', 'its own way to log in');
ok($rep{adminEventsEnabled}, 'administrators leave a trace');

$t->done;
