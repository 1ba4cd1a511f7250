#!/usr/bin/perl

# Who may do what: every route of the OpenAPI document x every role x the own
# and a foreign tenant.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;

my $t = Test::Stoa->new;
$t->control;

my $up = { targets => [{ url => 'http://a.test' }] };

# Two tenants with one of everything.

my (%sub, %cred);
for my $tenant (qw(own foreign)) {
    my $p = "/v1/tenants/$tenant";
    $t->must(POST => '/v1/tenants', { name => $tenant });
    $t->must(POST => "$p/apis",
        { name => 'x', kind => 'rest', upstream => $up });
    $t->must(POST => "$p/apis/x/operations",
        { name => 'x', method => 'GET', path => '/' });
    $t->must(POST => "$p/plans", { name => 'x', approval => 'manual' });
    $t->must(POST => "$p/servers", { name => 'x' });
    $t->must(POST => "$p/applications", { name => 'x' });
    $sub{$tenant} = $t->must(POST => "$p/subscriptions",
        { application => 'x', api => 'x', plan => 'x' })->{id};
    $cred{$tenant} = $t->must(POST => "$p/applications/x/credentials", {})
        ->{id};
    $t->must(POST => '/v1/admin-tokens', { name => "of-$tenant",
        role => 'viewer', tenant => $tenant });
}
$t->must(POST => '/v1/gateway-groups', { name => 'x' });
$t->must(POST => '/v1/gateways', { name => 'x', group => 'x' });

my %token = (
    'platform-admin' => $t->{token},
    'tenant-admin' => $t->must(POST => '/v1/admin-tokens',
        { name => 'ta', role => 'tenant-admin', tenant => 'own' })->{token},
    'tenant-viewer' => $t->must(POST => '/v1/admin-tokens',
        { name => 'tv', role => 'viewer', tenant => 'own' })->{token},
);

# What must be, said independently of the tables: who may change what.  Reading
# is everybody's, in his tenant; the platform's things are the platform's.

my %letter = (V => 'viewer', A => 'auditor', D => 'developer', O => 'devops',
    T => 'tenant-admin', P => 'platform-admin');
my %writes = (
    AP   => ['audit:checkpoint'],
    P    => [qw(audit:erase tenant:write gateway_group:write gateway:write
                api:platform
                global_secret:write global_policy:write
                global_policy_template:write
                global_role_binding:write mail:write group_removal:write
                audit:erase)],
    AP   => [qw(audit:checkpoint)],
    TP   => [qw(application:tie notice:write admin_token:write role:write
                role_binding:write
                plan:write issuer:write subscription:approve approval:write
                user:write invitation:write)],
    OTP  => [qw(api:write cache:purge operation:write page:write tool:write server:write
                promotion:write promotion:approve
                secret:write policy:write policy_template:write
                policy_set:write bundle:write apply:write)],
    DOTP => [qw(application:write handover:write subscription:write credential:write)],
);
my $listed = $t->must(GET => '/v1/roles');
my %scope = map { ($_->{name} => $_->{scope}) } @{ $listed->{permissions} };
my %may;
for my $who (keys %writes) {
    for my $p (@{ $writes{$who} }) {
        $may{$p}{$letter{$_}} = 1 for split //, $who;
    }
}
for my $p (grep { /:read$/ } keys %scope) {
    $may{$p}{$_} = 1 for values %letter;
}
is_deeply([sort keys %may], [sort keys %scope],
    'every permission is in the table above');
for my $role (@{ $listed->{roles} }) {
    is_deeply([sort @{ $role->{permissions} }],
        [sort grep { $may{$_}{ $role->{role} } } keys %may],
        "$role->{role} has what it should");
}

# A custom role of what comes up.

my $seed = $ENV{STOA_TEST_SEED} // time;
srand $seed;
my @odd = grep { $scope{$_} eq 'tenant' && $_ ne 'self:read'
    && rand() < 0.4 } sort keys %scope;
push @odd, 'self:read';
$t->must(POST => '/v1/tenants/own/roles',
    { name => 'odd', permissions => \@odd });
$may{$_}{odd} = 1 for @odd;

# name of the role, tenant

my %who = (
    'platform-admin' => ['platform-admin'],
    'platform-viewer' => ['viewer'],
    'platform-devops' => ['devops'],
    map { ("tenant-$_" => [$_, 'own']) }
        qw(viewer auditor developer devops odd),
);
$who{'tenant-admin'} = ['tenant-admin', 'own'];
for my $who (sort keys %who) {
    $token{$who} //= $t->must(POST => '/v1/admin-tokens', { name => $who,
        role => $who{$who}[0], tenant => $who{$who}[1] })->{token};
}

sub allowed {
    my ($who, $permission) = @_;
    my ($role, $tenant) = @{ $who{$who} };
    return $may{$permission}{$role}
        && !($tenant && $scope{$permission} eq 'platform');
}

my $doc = $t->must(GET => '/v1/openapi.json');
my @routes;
for my $path (sort keys %{ $doc->{paths} }) {
    push @routes, map { [uc, $path, $doc->{paths}{$path}{$_}{'x-permission'}] }
        grep { /^(?:get|post|put|patch|delete)$/ }
        sort keys %{ $doc->{paths}{$path} };
}
@routes = grep { $_->[1] =~ m{^/v1/} && $_->[2] } @routes;
cmp_ok(scalar @routes, '>', 80, 'routes: ' . @routes);

# A body that fails after authorization, so that nothing is done: what is
# refused is 401, 403 or 404; what is allowed is anything else.

sub path_of {
    my ($path, $tenant) = @_;
    my %value = (tenant => $tenant, subscription => $sub{$tenant},
        credential => $cred{$tenant}, admin_token => "of-$tenant");
    $path =~ s/\{(\w+)\}/$value{$1} || 'x'/ge;
    return $path;
}

for (@routes) {
    my ($method, $path, $permission) = @$_;
    my $body = $method =~ /^P/ ? { 'no-such-member' => 1 } : undef;
    my %headers = ('If-Match' => '"never"');
    my @bad;
    my $ask = sub { $t->api($method, path_of($path, $_[0]), $body,
        token => $_[1], headers => { %headers })->{status} };

    push @bad, 'without a token' if $ask->('own', undef) != 401;

    for my $who (sort keys %token) {
        for my $whose (qw(own foreign)) {
            next if $whose eq 'foreign'
                && $path !~ /\{(?:tenant|admin_token)\}/;
            my $got = $ask->($whose, $token{$who});
            my $may = allowed($who, $permission);

            # a token is not in a path of a tenant: a role that may not write
            # any is told so
            my $right = $whose eq 'foreign' && $who{$who}[1]
                ? ($path =~ /\{admin_token\}/ && !$may ? $got =~ /^40[34]$/
                                                       : $got == 404)
                : $may ? $got !~ /^(?:401|403|5..)$/ : $got == 403;
            push @bad, "$who, $whose: $got" unless $right;
        }
    }
    is(join('; ', @bad), '', "$method $path")
        or diag("STOA_TEST_SEED=$seed odd: @odd");
}

# "May I" says what a call would be told.

my %verb = (GET => 'get', POST => 'create', PATCH => 'update',
    DELETE => 'delete');
my $asked;
for (@routes) {
    my ($method, $path, $permission) = @$_;
    my ($kind) = $path =~ m{/\{tenant\}/([\w-]+)/\{\w+\}$} or next;
    $verb{$method} or next;
    for my $who (sort keys %token) {
        my $r = $t->api(GET => "/v1/can-i?verb=$verb{$method}&kind=$kind"
            . '&tenant=own', undef, token => $token{$who});
        $asked++;
        is("$r->{json}{permission} " . ($r->{json}{allowed} ? 1 : 0),
            "$permission " . (allowed($who, $permission) ? 1 : 0),
            "can-i $verb{$method} $kind: $who")
            if ($r->{json}{permission} // '') ne $permission
            || !!$r->{json}{allowed} ne !!allowed($who, $permission);
    }
}
cmp_ok($asked, '>', 100, "can-i: $asked questions");
is($t->api(GET => '/v1/can-i?verb=get&kind=api&tenant=foreign', undef,
    token => $token{'tenant-devops'})->{status}, 404, 'can-i elsewhere');
is_deeply($t->must(GET => '/v1/can-i?verb=publish&kind=apis', undef,
    token => $token{'tenant-devops'}), { allowed => JSON::PP::true,
    permission => 'api:write', tenants => ['own'] }, 'can-i anywhere');
is($t->api(GET => "/v1/can-i?$_")->{status}, 400, "can-i: $_")
    for 'verb=fly&kind=api', 'verb=get', 'verb=create&kind=tool',
        'verb=get&kind=dragon';
is(($t->stoactl('auth', 'can-i', 'create', 'plan', '-t', 'own', '--token',
    $token{'tenant-devops'}))[0], 2, 'stoactl auth can-i: no');
my ($code, $said) = $t->stoactl('auth', 'can-i', 'read', 'usage',
    '--token', $token{'tenant-devops'});
is($code, 0, 'stoactl auth can-i: yes');
like($said, qr/usage:read.*own/, 'and where');

# Lists over several tenants are of those in which one may, all of them.

my %needs = ('/v1/audit' => 'audit:read', '/v1/audit/export' => 'audit:read',
    '/v1/audit/verify' => 'audit:read', '/v1/usage' => 'usage:read',
    '/v1/dump' => 'apply:read');
for my $path (sort keys %needs) {
    my @bad;
    for my $who (sort keys %token) {
        my $may = allowed($who, $needs{$path});
        for my $whose ('own', 'foreign', 'own,foreign', 'foreign,own') {
            my $got = $t->api(GET => "$path?tenant=$whose", undef,
                token => $token{$who})->{status};
            my $want = !$may ? 403 : $whose eq 'own' ? 200
                : $who{$who}[1] ? 404 : 200;
            push @bad, "$who, $whose: $got" if $got != $want;
        }
    }
    is(join('; ', @bad), '', "$path of several tenants");
}

# Lists show no foreign thing.

for my $role (qw(tenant-admin tenant-viewer)) {
    is_deeply([map { $_->{name} } @{ $t->must(GET => '/v1/tenants', undef,
        token => $token{$role})->{items} }], ['own'], "$role: its tenant");
    ok(!(grep { ($_->{tenant} // '') ne 'own' } @{ $t->must(GET =>
        '/v1/admin-tokens', undef, token => $token{$role})->{items} }),
        "$role: tokens of its tenant");
    my %seen = map { $_->{tenant} => 1 } @{ $t->must(GET => '/v1/audit',
        undef, token => $token{$role})->{items} };
    is_deeply(\%seen, { own => 1 }, "$role: audit of its tenant");
    is($t->api(GET => '/v1/audit?tenant=foreign', undef,
        token => $token{$role})->{status}, 404, "$role: and no other's");
    is($t->api(GET => '/v1/audit?tenant=', undef,
        token => $token{$role})->{status}, 404,
        "$role: nor the platform's");
}

# A token makes none that reaches further.

my $ta = $token{'tenant-admin'};
my $tokens = '/v1/admin-tokens';
is($t->api(POST => $tokens, { name => 'a', role => 'platform-admin' },
    token => $ta)->{status}, 403, 'no higher role');
is($t->api(POST => $tokens, { name => 'b', role => 'viewer',
    tenant => 'foreign' }, token => $ta)->{status}, 422,
    'no other tenant');
my $r = $t->api(POST => $tokens, { name => 'c', role => 'viewer' },
    token => $ta);
is($r->{json}{tenant}, 'own', 'not outside of its tenant');
is($t->api(POST => $tokens, { name => 'd', role => 'platform-admin',
    tenant => 'own' })->{status}, 422, 'platform-admin has no tenant');
is($t->api(POST => $tokens, { name => 'e', role => 'tenant-admin' })
    ->{status}, 422, 'tenant-admin has one');

# A tenant's own roles: never more than who makes them holds.

Test::Stoa::Feed::sql($t, "INSERT INTO users (id, name, state, tenant, "
    . 'created_at, updated_at, ver) SELECT '
    . "'0123456789abcdef', 'ann', 'active', id, 1, 1, 1 FROM tenants WHERE "
    . "name = 'own'");
Test::Stoa::Feed::sql($t, 'INSERT INTO users (id, name, state, '
    . "created_at, updated_at, ver) VALUES ('0123456789abcdeg', 'pat', "
    . "'active', 1, 1, 1)");

my $roles = '/v1/tenants/own/roles';
sub role { return $t->must(POST => $tokens, { name => $_[0], role => $_[1],
    tenant => 'own' })->{token} }
sub refused {
    my ($who, $method, $path, $body, $re, $what) = @_;
    my $r = $t->api($method, $path, $body, token => $who);
    is($r->{status}, 403, $what);
    like($r->{json}{detail}, $re, "$what: and what lacks");
}

$t->must(POST => $roles, { name => 'staff', permissions => [qw(self:read
    role:read role:write user:read role_binding:read role_binding:write
    admin_token:read admin_token:write)] }, token => $ta);
my $staff = role('staff', 'staff');
is_deeply([sort @{ $t->must(GET => '/v1/whoami', undef, token => $staff)
    ->{grants}[0]{permissions} }], [sort qw(self:read role:read role:write user:read
    role_binding:read role_binding:write admin_token:read
    admin_token:write)], 'a role of its own');
refused($staff, GET => '/v1/tenants/own/apis', undef, qr/api:read/,
    'what it has not');
refused($staff, GET => '/v1/apis', undef, qr/api:read/, 'nor anywhere');
refused($staff, POST => $roles, { name => 'king',
    permissions => ['self:read', 'plan:write'] }, qr/plan:write/,
    'a role with more');
refused($staff, PATCH => "$roles/staff",
    { permissions => [qw(self:read role:write api:read)] }, qr/api:read/,
    'more for its own role');
refused($staff, POST => '/v1/tenants/own/role-bindings',
    { user => '0123456789abcdef', role => 'tenant-admin' }, qr/it would give/,
    'a strong role for somebody');
refused($staff, POST => $tokens, { name => 'strong',
    role => 'tenant-admin' }, qr/it would give/, 'a strong token');
refused($staff, POST => '/v1/apply', { documents => [] }, qr/apply:write/,
    'by documents');
is($t->api(POST => $roles, { name => 'platform-admin',
    permissions => ['self:read'] }, token => $staff)->{status}, 422,
    'not the name of a built-in one');
is($t->api(POST => $roles, { name => 'p',
    permissions => ['gateway:write'] })->{status}, 422,
    'nothing of the platform');
is($t->api(POST => $roles, { name => 'p', permissions => ['x:y'] })
    ->{status}, 422, 'nothing that there is not');
is($t->api(POST => '/v1/tenants/foreign/roles', { name => 'x',
    permissions => ['self:read'] }, token => $staff)->{status}, 404,
    'nothing in another tenant');
$t->must(POST => $roles, { name => 'less', permissions => ['self:read'] },
    token => $staff);
my $binding = $t->must(POST => '/v1/tenants/own/role-bindings',
    { user => '0123456789abcdef', role => 'less' }, token => $staff);
is($t->api(DELETE => "$roles/less", undef, token => $staff)->{status}, 409,
    'a role that somebody holds stays');
is($t->api(POST => '/v1/tenants/own/role-bindings',
    { user => '0123456789abcdef', role => 'less' })->{status}, 409,
    'held once');
is($binding->{user}, 'ann', 'a person is called by name');
for ('pat', '0123456789abcdeg', 'nobody') {
    is($t->api(POST => '/v1/tenants/own/role-bindings',
        { user => $_, role => 'less' }, token => $staff)->{status}, 422,
        "whom the giver does not see is nobody: $_");
}
$t->must(DELETE => '/v1/tenants/own/role-bindings/' . $t->must(
    POST => '/v1/tenants/own/role-bindings', { user => 'pat',
    role => 'less' })->{id});
$t->must(DELETE => "/v1/tenants/own/role-bindings/$binding->{id}", undef,
    token => $staff);
$t->must(DELETE => "$roles/less", undef, token => $staff);
my $strong = $t->must(POST => '/v1/tenants/own/role-bindings',
    { user => '0123456789abcdef', role => 'tenant-admin' });
$t->must(DELETE => "/v1/tenants/own/role-bindings/$strong->{id}", undef,
    token => $staff);
is($t->api(POST => '/v1/tenants/own/role-bindings',
    { user => '0123456789abcdef', role => 'platform-admin' })->{status}, 422,
    'the platform has its own list');
is($t->api(POST => '/v1/role-bindings',
    { user => '0123456789abcdef', role => 'staff' })->{status}, 422,
    'in which roles of tenants are not');
$t->must(PATCH => "$roles/staff", { permissions => ['self:read'] });
refused($staff, GET => $roles, undef, qr/role:read/,
    'what is taken counts at once');

# A developer of the publisher decides nothing for it.

my $dev = role('dev', 'developer');
my $ops = role('ops', 'devops');
is($t->api(POST => '/v1/tenants/own/applications', { name => 'd' },
    token => $dev)->{status}, 201, 'a developer makes an application');
refused($dev, POST => '/v1/tenants/own/apis', { name => 'd' }, qr/api:write/,
    'not an api');
is($t->api(POST => '/v1/tenants/own/apis', { name => 'o', kind => 'rest',
    upstream => $up }, token => $ops)->{status}, 201, 'devops makes an api');
refused($ops, POST => '/v1/tenants/own/plans', { name => 'o' },
    qr/plan:write/, 'not a plan');

# The publisher's rights over a subscription of another tenant.

$t->must(PATCH => '/v1/tenants/foreign/apis/x', { audience => 'public' });
$t->must(POST => '/v1/tenants/foreign/apis/x/publish');
my $sub = $t->must(POST => '/v1/tenants/own/subscriptions',
    { application => 'x', target_tenant => 'foreign', api => 'x',
      plan => 'x' }, token => $ta)->{id};
my $path = "/v1/tenants/own/subscriptions/$sub";
is($t->api(POST => "$path/approve", undef, token => $ta)->{status}, 403,
    'the consumer does not approve');
my $fa = $t->must(POST => $tokens, { name => 'fa', role => 'tenant-admin',
    tenant => 'foreign' })->{token};
my $fd = $t->must(POST => $tokens, { name => 'fd', role => 'developer',
    tenant => 'foreign' })->{token};
for (qw(revoke approve)) {
    is($t->api(POST => ($path =~ s/own/foreign/r) . "/$_", undef,
        token => $fd)->{status}, 403, "nor a developer of the publisher: $_");
}
is($t->api(DELETE => $path =~ s/own/foreign/r, undef, token => $fd)
    ->{status}, 403, 'who does not delete it either');
is($t->api(POST => "$path/approve", undef, token => $fa)->{status}, 404,
    'not under the consumer\'s path');
(my $theirs = $path) =~ s/own/foreign/;
is($t->api(GET => $theirs, undef, token => $fa)->{json}{state}, 'pending',
    'the publisher sees it under its own');
is($t->api(POST => "$theirs/approve", undef, token => $fa)->{json}{state},
    'active', 'and approves');
is($t->api(POST => "$theirs/suspend", undef, token => $fa)->{status}, 200,
    'the publisher suspends');
is($t->api(POST => "$path/resume", undef, token => $ta)->{status}, 403,
    'which the consumer does not take back');
is($t->api(PATCH => $theirs, { expires_at => '2030-01-01T00:00:00Z' },
    token => $fa)->{status}, 200, 'the publisher limits');
is($t->api(PATCH => $path, { expires_at => '2040-01-01T00:00:00Z' },
    token => $ta)->{status}, 403, 'which the consumer does not lengthen');

# Tokens that are none.

my $gw = $t->must(POST => '/v1/gateways', { name => 'g', group => 'x' })
    ->{token};
my %bad = (
    'a gateway token' => $gw, 'an API key' => $t->key('own', 'x'),
    'no token' => '', 'junk' => 'stoa_adm_x', 'too long' => 'x' x 5000,
    'a changed secret' => do {
        (my $s = $t->{token})
            =~ s{_(.)(.{31})_}{'_' . ($1 eq 'Z' ? 'Y' : 'Z') . "$2_"}e;
        $s;
    },
);
is($t->api(GET => '/v1/whoami', undef, token => $bad{$_})->{status}, 401, $_)
    for sort keys %bad;
is($t->api(GET => '/gateway/v1/feed?since=0', undef, token => $t->{token})
    ->{status}, 401, 'an admin token at the feed');
$r = $t->api(GET => '/v1/whoami', undef, token => undef);
like($r->{headers}{'www-authenticate'}, qr/^Bearer/, 'WWW-Authenticate');

# Revocation counts at once, expiry too.

$t->must(GET => '/v1/whoami', undef, token => $token{'tenant-viewer'});
$t->must(POST => '/v1/admin-tokens/tv/revoke');
is($t->api(GET => '/v1/whoami', undef, token => $token{'tenant-viewer'})
    ->{status}, 401, 'a revoked token');
$t->must(GET => '/v1/whoami', undef, token => $ta);
$t->must(DELETE => '/v1/admin-tokens/ta');
is($t->api(GET => '/v1/whoami', undef, token => $ta)->{status}, 401,
    'a deleted token');
my $ms = Time::HiRes::time() + 1;
my $short = $t->must(POST => $tokens, { name => 'short', role => 'viewer',
    expires_at => do { my @d = gmtime($ms); sprintf
        '%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', $d[5] + 1900, $d[4] + 1,
        @d[3, 2, 1, 0], ($ms - int $ms) * 1000 } })->{token};
is($t->api(GET => '/v1/whoami', undef, token => $short)->{status}, 200,
    'a token before its time');
ok(scalar(&wait_until(sub { $t->api(GET => '/v1/whoami', undef, token => $short)
    ->{status} == 401 }, 5)),
    'and after');

# The last way in stays open.

my ($own) = grep { $_->{role} eq 'platform-admin' && $_->{state} eq 'active' }
    @{ $t->must(GET => $tokens)->{items} };
my %last = (revoke => sub { (POST => "$tokens/$own->{name}/revoke") },
    delete => sub { (DELETE => "$tokens/$own->{name}") },
    expire => sub { (PATCH => "$tokens/$own->{name}",
                     { expires_at => '2020-01-01T00:00:00Z' }) });
for my $how (sort keys %last) {
    $r = $t->api($last{$how}->());
    is($r->{status}, 409, "$how the last platform-admin token");
    like($r->{json}{detail}, qr/last token of a platform-admin/, 'says why');
}
$t->must(PATCH => "$tokens/$own->{name}", { title => 'ours' });
my $second = $t->must(POST => $tokens, { name => 'second',
                                         role => 'platform-admin' })->{token};
$t->must($last{revoke}->());
is($t->api(POST => "$tokens/second/revoke", undef, token => $second)
    ->{status}, 409, 'with another one it goes, and that is the last one');

$t->done;
