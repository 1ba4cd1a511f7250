#!/usr/bin/perl

# People in tenants: what they hold where, giving and taking it, the last
# administrator; new tenants, which are provisioned step by step.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;

my $t = Test::Stoa->new;
my $first = $t->dir('admin.password');
my @args = ("--admin-password-file=$first",
    '--secret-key-file=' . $t->dir('stoa.key'),
    '--oidc-issuer=http://127.0.0.1:1/realms/none', '--oidc-audience=stoa',
    '--keycloak-client-id=look', '--keycloak-secret-file='
        . $t->write_file('look.secret', "x\n"));
$t->control(args => \@args);
sub sql { return Test::Stoa::Feed::sql($t, $_[0]) }

my $good = 'correct horse battery';
sub ask {
    my ($who, $method, $path, $body) = @_;
    return $t->api($method, $path, $body, token => undef, headers => {
        'Stoa-Client' => 'test', $who ? (Cookie => "__Host-stoa=$who") : () });
}
sub login {
    my ($name, %more) = @_;
    my $r = ask(undef, POST => '/v1/session',
        { name => $name, password => $good, %more });
    return ($r->{headers}{'set-cookie'} // '') =~ /__Host-stoa=([^;]*)/
        ? $1 : die "login: $r->{body}\n";
}
my ($once) = slurp($first) =~ /(\S+)/;
my $admin = login('admin', password => $once, new_password => $good);

# Two tenants, and people whose home one of them is.

$t->must(POST => '/v1/tenants', { name => $_ }) for qw(acme beta);
my %id = (ann => '00000000000000a1', bob => '00000000000000b1',
    cyd => '00000000000000c1', dan => '00000000000000d1');
my %home = (ann => 'acme', bob => 'acme', cyd => 'beta', dan => undef);
for my $name (sort keys %home) {
    my $tenant = $home{$name}
        ? "(SELECT id FROM tenants WHERE name = '$home{$name}')" : 'NULL';
    sql("INSERT INTO users (id, name, state, tenant, password, created_at, "
        . "updated_at, ver) SELECT '$id{$name}', '$name', 'active', "
        . "$tenant, password, 1, 1, 1 FROM users WHERE name = 'admin'");
}
sub give { my ($who, $tenant, $user, $role) = @_;
    return ask($who, POST => ($tenant ? "/v1/tenants/$tenant" : '/v1')
        . '/role-bindings', { user => $user, role => $role }) }
sub taken { my ($who, $b, $tenant) = @_;
    return ask($who, DELETE => ($tenant ? "/v1/tenants/$tenant" : '/v1')
        . "/role-bindings/$b->{json}{id}")->{status} }

is(give($admin, 'acme', 'ann', 'tenant-admin')->{status}, 201, 'a role');
is(give($admin, 'beta', 'ann', 'viewer')->{status}, 201, 'in two tenants');
my $ann = login('ann');
my $me = ask($ann, GET => '/v1/whoami')->{json};
is_deeply([map { [$_->{tenant}, map { $_->{role} } @{ $_->{roles} }] }
    sort { $a->{tenant} cmp $b->{tenant} } @{ $me->{grants} }],
    [['acme', 'tenant-admin'], ['beta', 'viewer']], 'whoami says both');
my %in = map { ($_->{tenant} => { map { ($_ => 1) } @{ $_->{permissions} } }) }
    @{ $me->{grants} };
ok($in{acme}{'api:write'} && !$in{beta}{'api:write'}
    && $in{beta}{'api:read'}, 'and what she may in each');

my $app = { name => 'a' };
is(ask($ann, POST => '/v1/tenants/acme/applications', $app)->{status}, 201,
    'she makes something in the one');
my $r = ask($ann, POST => '/v1/tenants/beta/applications', $app);
is($r->{status}, 403, 'not in the other');
like($r->{json}{detail}, qr/application:write/, 'and is told what lacks');
$t->must(POST => '/v1/tenants/beta/applications', $app);
is_deeply([sort map { $_->{tenant} }
    @{ ask($ann, GET => '/v1/applications')->{json}{items} }],
    ['acme', 'beta'], 'a list over all tenants is of both');
$t->must(POST => '/v1/tenants', { name => 'zeta' });
$t->must(POST => '/v1/tenants/zeta/applications', $app);
is(scalar @{ ask($ann, GET => '/v1/applications')->{json}{items} }, 2,
    'and of no third');
is(ask($ann, GET => '/v1/tenants/zeta')->{status}, 404, 'which is not there');
is_deeply([map { $_->{name} } @{ ask($ann, GET => '/v1/tenants')
    ->{json}{items} }], ['acme', 'beta'], 'her tenants');
# lists over several tenants: of those that she sees, or that she names

sub logs { my ($who, $q) = @_;
    my (%seen, @keys);
    my $next = '';
    do {
        my $page = ask($who, GET => "/v1/audit?limit=2&$q"
            . ($next ? "&cursor=$next" : ''))->{json};
        push @keys, map { "$_->{at} $_->{tenant} $_->{seq}" }
            @{ $page->{items} };
        $seen{$_->{tenant}}++ for @{ $page->{items} };
        $next = $page->{next};
    } while $next && @keys < 200;
    my %once = map { ($_ => 1) } @keys;
    is(scalar keys %once, scalar @keys, "pages of $q: nothing twice");
    return \%seen;
}
my $both = logs($ann, 'order=asc');
is_deeply([sort keys %$both], ['acme', 'beta'], 'the audit log of both');
is_deeply(logs($ann, 'tenant=acme,beta&order=desc'), $both, 'or by their names');
is_deeply([sort keys %{ logs($ann, 'tenant=beta') }], ['beta'], 'or of one');
ok(logs($admin, 'tenant=acme,zeta,')->{zeta}, 'the platform names any');
for my $path (qw(/v1/audit /v1/audit/export /v1/audit/verify /v1/usage /v1/dump)) {
    is(ask($ann, GET => $path)->{status}, 200, "$path of hers");
    is(ask($ann, GET => "$path?tenant=acme,beta")->{status}, 200, '... by name');
    is(ask($ann, GET => "$path?tenant=acme,zeta")->{status}, 404,
        '... not with another');
    is(ask($ann, GET => "$path?tenant=acme,")->{status}, 404,
        '... nor the platform\'s');
    is(ask($ann, GET => "$path?tenant=" . join ',', map { "t$_" } 1 .. 200)
        ->{status}, 404, '... nor what there is not');
}
is_deeply([sort map { $_->{tenant} } @{ ask($ann, GET => '/v1/audit/verify')
    ->{json}{chains} }], ['acme', 'beta'], 'both chains are checked');
my $yaml = ask($ann, GET => '/v1/dump')->{body};
like($yaml, qr/^  tenant: acme$/m, 'a dump has the one');
like($yaml, qr/^  tenant: beta$/m, 'and the other');
unlike($yaml, qr/^  (?:tenant|name): zeta$|GatewayGroup/m, 'and no more');
is(ask($ann, GET => '/v1/audit?tenant=beta')->{status}, 200, 'of hers');
is(ask($ann, GET => '/v1/audit?tenant=zeta')->{status}, 404, 'no other');
is_deeply(ask($ann, GET => '/v1/can-i?verb=create&kind=application')->{json},
    { allowed => JSON::PP::true, permission => 'application:write',
      tenants => ['acme'] }, 'can-i: where');
is_deeply(ask($ann, GET => '/v1/can-i?verb=get&kind=application')->{json}
    {tenants}, ['acme', 'beta'], 'can-i: in both');
$t->must(POST => '/v1/tenants/acme/roles', { name => 'keys',
    permissions => [qw(self:read credential:read)] });
is_deeply([map { $_->{tenant} } @{ ask($ann, GET => '/v1/credentials')
    ->{json}{items} }], [], 'no credentials yet');

# an application is handed to another owner: who asks does not say yes

my $H = '/v1/tenants/acme/handovers';
sub app_owner { return $t->must(GET => '/v1/tenants/acme/applications/a')
    ->{owner} }
sub hand { my ($who, $owner) = @_;
    return ask($who, POST => $H, { application => 'a', owner => $owner,
        reason => 'joe left' }) }
my @given = map { give($admin, 'acme', $_, 'developer') } qw(bob cyd);
is(join(' ', map { $_->{status} } @given), '201 201', 'two who develop');
my ($bob, $cyd) = map { login($_) } qw(bob cyd);
sql("UPDATE users SET issuer = 'http://127.0.0.1:1/realms/none', "
    . "subject = 's-cyd', login = 'cyd.kc' WHERE name = 'cyd'");
is(hand($bob, { user => 'x', client => 'y' })->{status}, 422,
    'one owner, not two');
is(hand($bob, { group => '/x' })->{status}, 422, 'nor none');
is(hand($bob, { user => 'x', group => $_ })->{status}, 422,
    "$_ is no path of a group") for 'x', '/', '/x/', '/x//y', '/../x', '/x/.';
my $asked = hand($bob, { user => 'cyd.kc' });
is($asked->{status}, 201, 'a developer asks');
my $one = "$H/$asked->{json}{id}";
is(hand($bob, { user => 'other' })->{status}, 409, 'one at a time');
is(app_owner(), undef, 'nothing has changed');
is($t->must(GET => '/v1/notices?tenant=acme&kind=handover_asked')->{items}[0]
    {text}, 'The application a is to be that of cyd.kc.', 'the tenant is told');
is(ask($bob, POST => "$one/accept")->{status}, 403, 'who asked does not accept');
is(ask($bob, PATCH => '/v1/tenants/acme/applications/a',
    { owner => { user => 'cyd.kc' } })->{status}, 403,
    'nor does it without asking');
is(ask($bob, POST => "$one/decline")->{status}, 403, 'nor declines');
is(ask($cyd, POST => "$one/withdraw")->{status}, 403,
    'who is asked does not take it back');
is($t->api(POST => "$one/accept", undef, token => $t->must(
    POST => '/v1/admin-tokens', { name => 'beta', role => 'tenant-admin',
    tenant => 'beta' })->{token})->{status}, 404, 'another tenant sees none');
sql("INSERT INTO users (id, name, state, issuer, subject, login, created_at, "
    . "updated_at, seen_at, ver) VALUES ('0000000000000000', 'oidc-new', "
    . "'active', 'http://127.0.0.1:1/realms/none', 's-new', 'cyd.kc', 1, 1, "
    . "9999999999999, 1)");
is(ask($cyd, POST => "$one/accept")->{status}, 403,
    'nor does who had the name before another one came with it');
sql("UPDATE users SET login = 'cyd.other' WHERE name = 'oidc-new'");
my $yes = ask($cyd, POST => "$one/accept", { reason => 'mine' });
is($yes->{status}, 200, 'the new owner accepts') or diag $yes->{body};
is("$yes->{json}{state} $yes->{json}{decision}", 'accepted mine', 'as is kept');
is_deeply(app_owner(), { user => 'cyd.kc' }, 'and the application is his');
is(ask($cyd, POST => "$one/accept")->{status}, 409, 'once');
is(hand($cyd, { user => 'cyd.kc' })->{status}, 409, 'it is his already');
ok((grep { $_->{name} eq 'a' && $_->{diff}{owner} && $_->{actor} eq 'cyd' }
    @{ $t->must(GET => '/v1/audit?tenant=acme&kind=application&action=update')
    ->{items} }), 'the audit log has who made it so');
is(scalar @{ $t->must(GET => '/v1/audit?tenant=acme&kind=handover')->{items} },
    2, '... and what was asked and agreed');
is($t->must(GET => '/v1/notices?tenant=acme&kind=handover_decided')->{items}[0]
    {text}, 'The application a is now that of cyd.kc.', 'and so is the tenant');
my ($hrc, $hout) = $t->stoactl('handover', 'a', '--client', 'billing', '-t',
    'acme', '-o', 'json');
is($hrc, 0, 'stoactl handover') or diag $hout;
my $two = json_decode($hout)->{id};
is($t->api(POST => "$H/$two/accept")->{status}, 403,
    'four eyes, whatever one may');
is(ask($cyd, POST => "$H/$two/accept")->{status}, 403,
    'a client has no say: who ties has');
$t->must(PATCH => '/v1/tenants/acme/applications/a',
    { owner => { user => 'zoe' } });
is(ask($ann, POST => "$H/$two/accept")->{status}, 409,
    'of an owner that was another when it was asked');
is($t->api(POST => "$H/$two/withdraw")->{status}, 200, 'taken back');
my $three = hand($bob, { client => 'billing' })->{json}{id};
is(ask($ann, POST => "$H/$three/accept")->{status}, 200,
    'who ties applications accepts for a client');
is_deeply(app_owner(), { client => 'billing' }, 'the owner as a whole');
my $four = hand($bob, { user => 'cyd.kc' })->{json}{id};
is(ask($cyd, POST => "$H/$four/decline", { reason => 'no' })->{json}{state},
    'declined', 'or he declines');
is_deeply(app_owner(), { client => 'billing' }, 'and it stays');
$t->must(PATCH => '/v1/tenants/acme/applications/a', { owner => undef });
taken($admin, $_, 'acme') for @given;
sql("UPDATE users SET issuer = NULL, subject = NULL, login = NULL "
    . "WHERE name = 'cyd'");
$t->must(DELETE => '/v1/admin-tokens/beta');

# Somebody else: for who may see what he holds.

sub can { my ($who, $q) = @_;
    return ask($who, GET => "/v1/can-i?verb=create&kind=application&$q") }
ok(can($admin, 'user=ann&tenant=acme')->{json}{allowed}, 'she may there');
ok(!can($admin, 'user=ann&tenant=beta')->{json}{allowed}, 'not there');
is_deeply(can($admin, 'user=ann')->{json}{tenants}, ['acme'], 'where');
ok(!can($ann, 'user=bob&tenant=acme')->{json}{allowed}, 'he may not yet');
is(can($ann, "user=$_&tenant=acme")->{status}, 404, "whom she sees not: $_")
    for qw(dan nobody);
is(can($ann, 'user=bob')->{status}, 403, 'nor everywhere');
is(can($ann, 'user=bob&tenant=zeta')->{status}, 404, 'nor elsewhere');
is(($t->stoactl('auth', 'can-i', 'create', 'plan', '--user', 'ann', '-t',
    'beta'))[0], 2, 'stoactl auth can-i --user');

# Giving and taking.

is(give($ann, 'acme', 'bob', 'developer')->{status}, 201, 'she gives');
is(give($ann, 'beta', 'bob', 'viewer')->{status}, 403, 'not in the other');
is(give($ann, 'acme', $_, 'viewer')->{status}, 422, "nobody to her: $_")
    for ('dan', $id{dan}, 'nobody');
is(give($ann, undef, 'bob', 'viewer')->{status}, 403, 'nor at the top');
my $bob = login('bob');
is(ask($bob, POST => '/v1/tenants/acme/applications', { name => 'b' })
    ->{status}, 201, 'he has it');
my ($b) = grep { $_->{role} eq 'developer' } @{ ask($ann,
    GET => '/v1/tenants/acme/role-bindings')->{json}{items} };
is($b->{user}, 'bob', 'listed by name');
is(ask($ann, DELETE => "/v1/tenants/acme/role-bindings/$b->{id}")->{status},
    204, 'she takes');
is(ask($bob, GET => '/v1/tenants/acme/applications')->{status}, 404,
    'at once');
is(ask($bob, GET => '/v1/tenants')->{status}, 403,
    'who holds nothing sees nothing');

# A stronger person is not taken over.

$t->must(POST => '/v1/tenants/acme/roles', { name => 'desk', permissions =>
    [qw(self:read user:read user:write role_binding:read
        role_binding:write)] });
give($admin, 'acme', 'bob', 'desk');
$bob = login('bob');
$r = ask($bob, PATCH => '/v1/users/ann', { mail => 'bob@evil.test' });
is($r->{status}, 403, 'her mail is not changed');
like($r->{json}{detail}, qr/it would give/, 'as it would give more');
is(give($bob, 'acme', 'bob', 'tenant-admin')->{status}, 403,
    'nor does he give himself more');
is(ask($bob, POST => '/v1/users/ann/disable')->{status}, 200,
    'to shut her out he may');
is(ask($ann, GET => '/v1/whoami')->{status}, 401, 'she is out');
is(ask($bob, POST => '/v1/users/ann/enable')->{status}, 403,
    'to let her in again he may not');
is(ask($admin, POST => '/v1/users/ann/enable')->{status}, 200, 'an admin may');

# The last platform-admin.

my ($root) = grep { $_->{user} eq 'admin' } @{ ask($admin,
    GET => '/v1/role-bindings')->{json}{items} };
my ($token) = grep { $_->{role} eq 'platform-admin' } @{ $t->must(
    GET => '/v1/admin-tokens')->{items} };
is(ask($admin, POST => "/v1/admin-tokens/$token->{name}/revoke")->{status},
    200, 'a person is left: the token may go');
for (['DELETE', "/v1/role-bindings/$root->{id}"],
     ['POST', '/v1/users/admin/disable'], ['DELETE', '/v1/users/admin'])
{
    $r = ask($admin, @$_);
    is($r->{status}, 409, "the last one stays: @$_");
    like($r->{json}{detail}, qr/last/, 'and says why');
}
is(give($admin, undef, 'dan', 'platform-admin')->{status}, 201, 'another');
is(ask($admin, DELETE => "/v1/role-bindings/$root->{id}")->{status}, 409,
    'who has never logged in is none yet');
my $dan = login('dan');
is(ask($dan, DELETE => "/v1/role-bindings/$root->{id}")->{status}, 204,
    'now the first may go');
is(ask($admin, GET => '/v1/tenants')->{status}, 403, 'at once');
$t->{token} = ask($dan, POST => '/v1/admin-tokens', { name => 'root',
    role => 'platform-admin' })->{json}{token};
give($dan, undef, 'admin', 'platform-admin');
$admin = login('admin');

# The page: its documents, its lines.

my $page = slurp("$Test::Stoa::ROOT/docs/roles.md");
my @blocks = $page =~ /^((?:(?: {4}.*|)\n)+)/mg;
s/^ {4}//mg for @blocks;
for (grep { /^apiVersion/m } reverse @blocks) {
    my ($kind) = /kind: (\w+)/;
    like($t->api(POST => '/v1/apply', $_, headers => { 'Content-Type' =>
        'application/yaml' })->{status}, qr/^20[02]$/, "docs/roles.md: $kind");
}
my ($new) = grep { /^\{/m } @blocks;
is($t->api(POST => '/v1/tenants', json_decode($new =~ s/"newco"/"paged"/r))
    ->{status}, 201, 'docs/roles.md: a new one, step by step');
my $phrase = $t->write_file('phrase', "correct horse battery\n");
for (map { split /\n/ } grep { /^stoactl/m } @blocks) {
    my ($words, $into) = /^stoactl (.*?)(?: > (\S+))?$/ or next;
    $words =~ s/--passphrase-file phrase/--passphrase-file $phrase/;
    $words =~ s/acme\.yaml/$t->dir('acme.yaml')/e;
    my ($code, $out, $err) = $t->stoactl(split / /, $words);
    is($code, 0, "docs/roles.md: stoactl $words") or diag $err;
    $t->write_file('acme.yaml', $out) if $into;
}

# A tenant that is provisioned.

sub state_of { return $t->must(GET => "/v1/tenants/$_[0]")->{state} }
$r = $t->api(POST => '/v1/tenants', { name => 'newco',
    limits => { application => 5 }, provision =>
    { plan => { rate => 10, quota_day => 1000 }, admin => 'bob' } });
is($r->{status}, 201, 'provisioning');
like($r->{json}{state}, qr/^(?:provisioning|active)$/, 'its first state');
ok(scalar wait_until(sub { state_of('newco') eq 'active' }), 'is active');
is($t->must(GET => '/v1/tenants/newco/plans/default')->{rate}, 10,
    'has its plan');
is($t->must(GET => '/v1/tenants/newco/role-bindings')->{items}[0]{user},
    'bob', 'and its admin');
is(ask(login('bob'), GET => '/v1/tenants/newco/plans')->{status}, 200,
    'who is in');
is($t->api(POST => '/v1/tenants', { name => 'bad', provision => $_->[1] })
    ->{status}, 422, "refused at once: $_->[0]")
    for ['a plan that is none', { plan => { rat => 1 } }],
        ['an admin who is nobody', { admin => 'nobody' }],
        ['what is not known', { house => 1 }];
is($t->api(POST => '/v1/tenants', { name => 'bad', invite => 'x@y.example' })
    ->{status}, 422, 'an invitation without mail');
is($t->api(PATCH => '/v1/tenants/newco', { provision =>
    { plan => { name => 'x' } } })->{status}, 422,
    'asked for once');

# One step is refused: the others are undone, and it can be tried again.

sql("INSERT INTO global_role_bindings (id, \"user\", role, created_at, "
    . "updated_at, ver) VALUES ('x$_', '$id{cyd}', 'r$_', 1, 1, 1)")
    for 1 .. 256;
$t->must(POST => '/v1/tenants', { name => 'late', provision =>
    { plan => {}, admin => 'cyd' } });
ok(scalar wait_until(sub { state_of('late') eq 'failed' }), 'it failed');
my $late = $t->must(GET => '/v1/tenants/late');
like($late->{provisioning}{error}, qr/at most 256 roles/, 'and says why');
is_deeply($late->{provisioning}{done}, [], 'what was done is undone');
is_deeply($t->must(GET => '/v1/tenants/late/plans')->{items}, [], 'all of it');
sql("DELETE FROM global_role_bindings WHERE role = 'r1'");
is($t->must(POST => '/v1/tenants/late/retry')->{state}, 'provisioning',
    'again');
ok(scalar wait_until(sub { state_of('late') eq 'active' }), 'now it is');
is($t->api(POST => '/v1/tenants/late/retry')->{status}, 409, 'and stays');
is(scalar @{ $t->must(GET => '/v1/audit?tenant=late&action=provisioned')
    ->{items} }, 1, 'the audit log has it');

# The process is killed on the way.

for my $n (1 .. 3) {
    $t->must(POST => '/v1/tenants', { name => "kill-$_", provision =>
        { plan => { name => 'p' }, admin => 'ann' } }) for $n * 10 .. $n * 10 + 4;
    $t->kill9('control');
    my $token = $t->{token};
    $t->control(args => \@args);
    $t->{token} = $token;
    for ($n * 10 .. $n * 10 + 4) {
        ok(scalar wait_until(sub { state_of("kill-$_") eq 'active' }, 20),
            "kill-$_ is active");
        is(scalar @{ $t->must(GET => "/v1/tenants/kill-$_/plans")->{items} },
            1, 'one plan');
        is(scalar @{ $t->must(GET => "/v1/tenants/kill-$_/role-bindings")
            ->{items} }, 1, 'one admin');
    }
}
is($t->must(GET => '/v1/audit/verify')->{ok}, JSON::PP::true,
    'the audit log is whole');

$t->done;
