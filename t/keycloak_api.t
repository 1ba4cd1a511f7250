#!/usr/bin/perl

# Access tokens of a real Keycloak at the admin API: what they give, what is
# none, keys that change, and a provider that is away.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use HTTP::Tiny;
use Test::Stoa::Docs;
use Test::Stoa::Feed;
use Test::Stoa::Keycloak;
use Test::Stoa::Token;

my $t = Test::Stoa->new->has('control', 'keycloak', 'slapd', 'openssl');
my $kc = Test::Stoa::Keycloak->new($t);
my $own = token_key($t, 'own', 'RS256');
my $component = $kc->own_key($own);
$t->control(args => $kc->control_args);
$t->apply(docs(tenant('acme'), tenant('globex')));

sub as { my ($token, $path) = @_;
         return $t->api(GET => $path // '/v1/whoami', undef,
                        token => $token) }
sub state { return $t->must(GET => '/v1/identity-provider') }

wait_until { &state->{state} eq 'ok' } 10;
is(&state->{issuer}, $kc->issuer, 'the provider is known');
is($t->metrics('control')->{stoa_control_oidc_up}, 1, 'and a metric says so');


# who may what

my $dev = $kc->user('dev', groups => ['/tenants/acme/developer']);
my $tok = $kc->token('dev')->{access_token};
my $r = as($tok);
is($r->{status}, 200, 'an access token is taken') or diag $r->{body};
is($r->{json}{name}, 'dev', 'it is of whom it says');
is($r->{json}{role}, 'developer', "with the role of the group");
is($r->{json}{tenant}, 'acme', "and its tenant");
is($r->{json}{grants}[0]{roles}[0]{from}, 'claim', 'which is not stored');
is($t->api(POST => '/v1/tenants/acme/applications', { name => 'a' },
           token => $tok)->{status}, 201, 'may what that role may');
is($t->api(POST => '/v1/tenants/acme/plans', { name => 'p' },
           token => $tok)->{status}, 403, 'not what it may not');
is(as($tok, '/v1/tenants/globex')->{status}, 404, "nor another's tenant");

$kc->user('none');
$r = as($kc->token('none')->{access_token});
is($r->{status}, 403, 'who is in no group may nothing');
$kc->user('odd', groups => []);
$kc->must(POST => '/groups', { name => 'platform-admin' });
my $odd = $kc->user('odd2', groups => ['/platform-admin']);
is(as($kc->token('odd2')->{access_token})->{status}, 403,
   'a group that is called as a role gives none');
my $acme = $kc->group('/tenants/acme');
$kc->must(POST => "/groups/$acme/children", { name => 'platform-admin' });
$kc->user('odd3', groups => ['/tenants/acme/platform-admin']);
is(as($kc->token('odd3')->{access_token})->{status}, 403,
   "nor is the platform's role one of a tenant");
my $root = $kc->user('root');
$kc->role($root, 'platform-admin');
$r = as($kc->token('root')->{access_token}, '/v1/tenants');
is($r->{status}, 200, 'a role of the realm is one of the platform')
    or diag $r->{body};


# one person, by token or by login

my $me = as($tok)->{json}{id};
my $row = $t->must(GET => "/v1/users/$me");
is($row->{subject}, $dev, 'who comes with a token is a person here');
is($row->{issuer}, $kc->issuer, "the provider's");
is($row->{login}, 'dev', 'called as there');
is($row->{tenant}, 'acme', 'at home in his tenant');
as($tok) for 1 .. 5;
is($t->must(GET => "/v1/users/$me")->{seen_at}, $row->{seen_at},
   'that he was here is written once a day');
is($t->api(GET => '/v1/users?subject=' . $odd)->{json}{items}[0], undef,
   'who may nothing is nobody here');
$t->must(POST => '/v1/tenants/globex/role-bindings',
         { user => $me, role => 'viewer' });
is(as($tok, '/v1/tenants/globex')->{status}, 200,
   'he has what he was given here, too');
is($t->api(POST => "/v1/users/$me/disable")->{status}, 200, 'disabled here');
$r = as($tok);
is($r->{status}, 403, 'his token is refused at once');
like($r->{json}{detail}, qr/not active/, 'and why');
$t->must(POST => "/v1/users/$me/enable");
is(as($tok)->{status}, 200, 'enabled again: taken again');
is($t->api(DELETE => "/v1/users/$me")->{status}, 204, 'removed');
isnt(as($tok)->{json}{id}, $me, 'he is another person then');
is(as($tok, '/v1/tenants/globex')->{status}, 404,
   'who has nothing of what that one was given');
my $deeds = sub { return @{ $t->must(GET => "/v1/audit?limit=500&actor=$me")
                            ->{items} } };
ok((grep { $_->{action} eq 'create' && json_encode($_) =~ /"dev"/ } $deeds->()),
   'what he did stands in the log, under his id');
is($t->must(POST => '/v1/audit/erasures', { person => $me })->{erased},
   JSON::PP::true(), 'and is erased like that of anybody');
ok(!(grep { json_encode($_) =~ /"dev"/ } $deeds->()), 'name and all');
my $robot = $kc->client('robot', serviceAccountsEnabled => JSON::PP::true,
    publicClient => JSON::PP::false, secret => 'robot-secret');
my $account = $kc->must(GET => "/clients/$robot/service-account-user")
    ->{json}{id};
$kc->must(PUT => "/users/$account/groups/"
          . $kc->group('/tenants/acme/viewer'));
my $machine = $kc->token_of($kc->{realm}, grant_type => 'client_credentials',
    client_id => 'robot', client_secret => 'robot-secret');
note(json_encode($machine)) if !$machine->{access_token};
$machine = $machine->{access_token};
is(as($machine)->{json}{role}, 'viewer', 'a program has its roles')
    or diag as($machine)->{body};
is(as($machine)->{json}{id}, $account, 'and is no person');


# what is no access token of ours

my $good = $kc->token('dev', scope => 'openid');
my %sample = (
    'an ID token' => $good->{id_token},
    'a refresh token' => $good->{refresh_token},
    'a token for another audience' => $kc->token_of($kc->{realm},
        grant_type => 'client_credentials', client_id => 'stoa-control',
        client_secret => $kc->{secret}{control})->{access_token},
    "another realm's" => $kc->token_of('master', grant_type => 'password',
        client_id => 'admin-cli', username => 'admin',
        password => $Test::Stoa::Keycloak::ADMIN_PASSWORD)->{access_token},
    'a bit changed' => $tok =~ s/(.)$/$1 eq 'A' ? 'B' : 'A'/er,
    'cut' => substr($tok, 0, -20),
);
my @all = (realm_access => { roles => ['platform-admin'] });
my $forge = sub { my ($more, %h) = @_;
    return token($own, claims($kc->issuer, 'stoa-api', @all, typ => 'Bearer',
                              azp => 'stoa-console', %$more), %h) };
is(as($forge->({}))->{status}, 200, 'one by the key of this test is fine');
for (['as Keycloak names a service account', 200,
      { preferred_username => 'service-account-ci-robot' }],
     ['as RFC 9068 does', 200, { sub => 'ci-robot', azp => undef,
                                 client_id => 'ci-robot' }],
     ['a person who uses that client', 403, { preferred_username => 'dev' }],
     ['another service account', 403,
      { preferred_username => 'service-account-ci' }])
{
    my ($what, $status, $more) = @$_;
    $r = as(token($own, claims($kc->issuer, 'stoa-api', typ => 'Bearer',
                               azp => 'ci-robot', %$more)));
    is($r->{status}, $status, "a rule for a client: $what");
    is($r->{json}{role}, 'devops', '... has its role') if $status == 200;
}
my $now = time;
$sample{$_->[0]} = $forge->($_->[1], %{ $_->[2] || {} }) for (
    ['expired by a minute', { exp => $now - 60 }],
    ['without an end', { exp => undef }],
    ['from ten minutes ahead', { iat => $now + 600 }],
    ['not before ten minutes', { nbf => $now + 600 }],
    ['azp right, no audience', { aud => undef, azp => 'stoa-api' }],
    ['nobody\'s', { sub => undef }],
    ['another issuer', { iss => "$kc->{url}/realms/other" }],
    ['the issuer with a slash', { iss => $kc->issuer . '/' }],
    ['bound to a key', { cnf => { jkt => 'x' } }],
    ['with a nonce', { nonce => 'x' }],
    ['a logout token', { typ => undef }, { typ => 'logout+jwt' }],
    ['of another kind', { typ => 'Logout' }],
    ['an algorithm none', {}, { alg => 'none' }],
    ['HS256', {}, { alg => 'HS256' }],
    ['PS256 by a key for RS256', {}, { alg => 'PS256' }],
    ['critical', {}, { crit => ['x'] }],
    ['with its own key', {}, { jwk => $own->{jwk} }],
    ['with a key to fetch', {}, { jku => 'http://127.0.0.1:1/' }],
);
$sample{'not signed'} = $forge->({}, alg => 'none') =~ s/[^.]*$//r;
for my $what (sort keys %sample) {
    $r = as($sample{$what});
    is($r->{status}, 401, "$what: 401") or diag $r->{body};
    unlike($r->{body}, qr/eyJ/, "$what: the token is not said again");
}
is(as($forge->({ aud => ['account', 'stoa-api'] }))->{status}, 200,
   'one of several audiences');
is(as($forge->({ exp => $now - 5 }))->{status}, 200,
   'five seconds over: within what clocks differ');


# keys

my $new = token_key($t, 'new', 'RS256');
my $second = $kc->own_key($new, 200);
my $text = $kc->token('dev')->{access_token};
wait_until { as($text)->{status} == 200 } 12;
is(as($text)->{status}, 200, 'a new key works when its first token comes');

# groups of a new tenant

sub made { my ($name, %more) = @_;
    $t->must(POST => '/v1/tenants', { name => $name,
        provision => { group => JSON::PP::true, %more } });
    wait_until { ($t->must(GET => "/v1/tenants/$name")->{state} // '')
                 =~ /active|failed/ } 20;
    return $t->must(GET => "/v1/tenants/$name") }
my $new_tenant = made('newco');
is($new_tenant->{state}, 'active', 'a tenant with groups in Keycloak')
    or diag json_encode($new_tenant);
my $groups = $kc->must(GET => '/group-by-path/tenants/newco')->{json};
is($groups->{attributes}{stoa_tenant}[0], $new_tenant->{id}, 'its own');
my $children = $kc->must(GET => "/groups/$groups->{id}/children")->{json};
is(join(' ', sort map { $_->{name} } @$children),
   'auditor developer devops tenant-admin viewer', 'one for each role');
my ($admins) = grep { $_->{name} eq 'tenant-admin' } @$children;
is($kc->must(GET => "/groups/$admins->{id}/role-mappings/realm")
   ->{json}[0]{name}, 'administrator', 'whose administrators need a factor');
$kc->user('nina', groups => ['/tenants/newco/devops']);
is(as($kc->token('nina')->{access_token})->{json}{tenant}, 'newco',
   'who is put into one is in the tenant');
$kc->must(POST => '/groups/' . $kc->group('/tenants') . '/children',
          { name => 'theirs' });
$new_tenant = made('theirs');
is($new_tenant->{state}, 'failed', "somebody else's group is not taken");
like($new_tenant->{provisioning}{error}, qr/in Keycloak already/, 'and why');
ok($kc->group('/tenants/theirs'), 'nor removed');
my $full = as($tok)->{json}{id};
Test::Stoa::Feed::sql($t, 'INSERT INTO global_role_bindings (id, "user", role,'
    . " created_at, updated_at, ver) VALUES ('x$_', '$full', 'r$_', 1, 1, 1)")
    for 1 .. 256;
$new_tenant = made('late', admin => $full);
is($new_tenant->{state}, 'failed', 'a later step is refused');
is($kc->admin(GET => '/group-by-path/tenants/late')->{status}, 404,
   'its groups are removed');
Test::Stoa::Feed::sql($t, 'DELETE FROM global_role_bindings');
$t->must(POST => '/v1/tenants/late/retry');
ok((wait_until { $t->must(GET => '/v1/tenants/late')->{state} eq 'active' }
    20), 'and made again when it is tried again');
ok($kc->group('/tenants/late/viewer'), 'all of them');

# a tenant that is deleted leaves no roles to the next one of its name

my $gone = $t->must(GET => '/v1/tenants/newco')->{id};
$t->stop('control');
$t->control(args => [@{ $kc->control_args }, '--keycloak-groups-client-id=']);
$t->must(DELETE => "/v1/tenants/$_") for qw(newco theirs);
$r = $t->api(POST => '/v1/tenants', { name => 'newco' });
is($r->{status}, 409, "its name waits for its groups' end") or diag $r->{body};
like($r->{body}, qr/Keycloak.*needs keycloak_groups_client_id/,
     'and says what that needs');
$t->stop('control');
$t->control;
is($t->api(POST => '/v1/tenants', { name => 'newco' })->{status}, 201,
   'without a provider nobody is in a group');
$t->must(DELETE => '/v1/tenants/newco');
$t->stop('control');
$t->control(args => $kc->control_args);
ok((wait_until { $t->api(POST => '/v1/tenants', { name => 'newco' })->{status}
                 == 201 } 20), 'they are removed when Keycloak answers');
isnt($t->must(GET => '/v1/tenants/newco')->{id}, $gone, 'another tenant');
is($kc->admin(GET => '/group-by-path/tenants/newco')->{status}, 404,
   'and they are gone');
is(as($kc->token('nina')->{access_token})->{status}, 403,
   'who was in one is nobody in the new one');
ok($kc->group('/tenants/theirs'), "somebody else's stays");
ok((wait_until { $t->api(POST => '/v1/tenants', { name => 'theirs' })->{status}
                 == 201 } 20), 'and holds no name');
$t->must(POST => '/v1/tenants', { name => 'quick',
    provision => { group => JSON::PP::true } });
$t->must(DELETE => '/v1/tenants/quick');
ok((wait_until { $t->api(POST => '/v1/tenants', { name => 'quick' })->{status}
                 == 201 } 20), 'nor does one that is deleted on its way');
is($kc->admin(GET => '/group-by-path/tenants/quick')->{status}, 404,
   'whose groups go, too');

# what does not mend itself is tried so often, shown, and tried again by people

made('left');
$t->stop('control');
spew($t->dir('wrong.secret'), 'not that one', 0600);
Test::Stoa::Feed::sql($t, "UPDATE tenants SET state = 'provisioning',"
    . " provisioning = '{\"done\":[\"group\"],\"failing\":true,\"error\":\"no\"}'"
    . " WHERE name = 'left'");
$t->control(args => [@{ $kc->control_args }, '--provision-attempts=2',
    '--keycloak-groups-secret-file=' . $t->dir('wrong.secret')]);
$t->must(DELETE => '/v1/tenants/late?force=1');
$new_tenant = made('stuck');
is($new_tenant->{state}, 'failed', 'a step that fails for good has failed');
like($new_tenant->{provisioning}{error}, qr/^Keycloak, token/, 'and why');
ok((wait_until { $t->must(GET => '/v1/tenants/left')->{state} eq 'failed' }
    20), 'and so has one that cannot be undone');
$r = $t->must(GET => '/v1/tenants/left')->{provisioning};
is("@{ $r->{done} } $r->{error}", 'group no', 'what is left of it, and why');
like($r->{undo_error}, qr/^Keycloak, token/, 'it stays');
my $removal;
ok((wait_until { $removal = $t->must(GET => '/v1/group-removals')->{items}[0];
                 $removal && $removal->{state} eq 'failed' } 20),
   'groups of a deleted tenant that stay');
is("$removal->{name} $removal->{attempts}", 'late 2', 'whose they are');
like($removal->{error}, qr/^Keycloak, token/, 'and why');
like($t->api(POST => '/v1/tenants', { name => 'late' })->{body},
     qr{group-removals/$removal->{id}}, 'who wants the name is told');
$r = $t->metrics('control');
is("$r->{stoa_control_tenants_failed} "
   . "$r->{stoa_control_group_removals_failed}", '2 1', 'metrics');
like(($t->stoactl('get', 'group-removals'))[1],
     qr/$removal->{id}\s+late\s+failed\s+2\s+Keycloak, token/, 'stoactl');
like(($t->stoactl('get', 'tenants'))[1], qr/stuck.*Keycloak, token/,
     '... of tenants, too');
$t->stop('control');
$t->control(args => $kc->control_args);
is(($t->stoactl('event', 'group-removal', $removal->{id}, 'retry'))[0], 0,
   'again');
$t->must(POST => "/v1/tenants/$_/retry") for qw(stuck left);
ok((wait_until { $t->api(GET => "/v1/group-removals/$removal->{id}")->{status}
                 == 404 } 20), 'they are removed');
ok((wait_until { my $name = $_;
                 $t->must(GET => "/v1/tenants/$name")->{state} eq 'active' }
    20), "$_ is active") for qw(stuck left);
is($t->must(GET => '/v1/tenants/stuck')->{provisioning}{error}, undef,
   'with no error any more');

# away

$t->stop('control');
$t->control(args => ['--oidc-url=http://127.0.0.1:' . $t->port('nobody'),
                     @{ $kc->control_args }]);
is(as($text)->{status}, 503, 'no keys yet: try again, not 401');
is(&state->{state}, 'away', 'and it is said that the provider is away');
like(&state->{error}, qr/connect/i, 'and why');
is($t->api(GET => '/v1/whoami')->{status}, 200, 'other tokens are good');

# heard of at the inner address, with another name than the issuer

$t->stop('control');
my $inner = $t->port('inner');
$t->origin(sub {
    my ($q) = @_;
    my $mode = slurp($t->dir('mode'));
    return [200, ['Content-Type' => 'text/html'], '<html>'] if $mode eq 'html';
    return [500, [], ''] if $mode eq '500';
    my $at = $kc->issuer . $q->{path};
    my $r = HTTP::Tiny->new->get($at);
    return [200, ['Content-Type' => 'application/json'], '{"keys":[]}']
        if $mode eq 'empty' && $q->{path} =~ /certs/;
    return [$r->{status}, ['Content-Type' => 'application/json'],
            $r->{content}];
}, name => 'inner', port => $inner);
spew($t->dir('mode'), 'html');
$t->control(args => ["--oidc-url=http://127.0.0.1:$inner/",
                     @{ $kc->control_args }]);
wait_until { &state->{state} eq 'away' } 10;
is(&state->{state}, 'away', 'an answer that is no JSON is none');
spew($t->dir('mode'), 'fine');
wait_until { &state->{state} eq 'ok' } 20;
is(as($text)->{status}, 200, 'it heals by itself, by the inner address');
my $asked = sub { scalar grep { $_->{path} =~ /certs/ }
                  $t->origin_log('inner') };
my $had = $asked->();
is(as($forge->({}, kid => "made-up-$_"))->{status}, 401,
   "a made-up key, $_") for 1 .. 30;
cmp_ok($asked->() - $had, '<=', 2, 'for which nobody is asked each time');
spew($t->dir('mode'), 'empty');
my $other = token_key($t, 'other', 'RS256');
$other->{kid} = 'unknown';
wait_until { as(token($other, claims($kc->issuer, 'stoa-api')));
             &state->{state} eq 'away' } 15;
is(&state->{state}, 'away', 'an empty set of keys is a failure');
is(as($text)->{status}, 200, 'and takes no key away');
$t->stop('control');

for my $bad (['--oidc-audience='], ['--oidc-grants=x=y'],
             ['--oidc-grants=group:/{role}={role}'])
{
    my ($code, $out, $err) = $t->run_cmd(["$Test::Stoa::OBJS/stoa-control",
        @{ $kc->control_args }, @$bad, '--check-config']);
    isnt($code, 0, "not started with @$bad");
    like($err, qr/oidc_/, 'and why');
}

$t->done;
