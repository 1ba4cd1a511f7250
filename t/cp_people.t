#!/usr/bin/perl

# People without a provider: the first administrator, logging in and out,
# cookies, other sites, lock-out, ended logins.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Feed;
use Test::Stoa::People;

use Digest::SHA ();

my $t = Test::Stoa->new;
my $first = $t->dir('admin.password');
my $key = '--secret-key-file=' . $t->dir('stoa.key');
my ($yaml) = slurp("$Test::Stoa::ROOT/docs/identity.md")
    =~ /```yaml\n(listen: .*?)```/s;
$yaml =~ s/(?<=admin-password-file: ).*/$first/;
my @args = ('--config=' . $t->write_file('stoa-control.yaml', $yaml),
    '--session-idle-s=30', $key,
    '--trusted-proxies=127.0.0.0/8,10.0.0.0/8,2001:db8:1::/48');
$t->control(args => \@args);
Test::Stoa::People::at($t);

my $port = $t->port('control');
my $own = 'https://stoa.example';
my %json = ('Content-Type' => 'application/json');


# The first administrator

my ($once) = slurp($first) =~ /(\S+)/;
is((stat $first)[2] & 0777, 0600, 'the first password is in a file of its own');
is(login('admin', $once)->{json}{type},
   'urn:stoa:problem:password_change_needed', 'it is for one login');
is(login('admin', $once, body => { new_password => 'short' })->{status}, 422,
   'a short one is no other one');
is(login('admin', $once, body => { new_password => $once })->{status}, 422,
   'nor is the same');
my $good = 'correct horse battery';
my $r = login('Admin ', $once, body => { new_password => $good });
is($r->{status}, 201, 'another one is');
my $said = $r->{headers}{'set-cookie'};
like($said, qr/(?:^|, )__Host-stoa=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
     'the cookie: for this host, no script, no plain text, no other site');
my $a = cookie_of($r);
is($r->{json}{user}{name}, 'admin', 'who it is');
unlike($r->{body}, qr/argon|\Q$good\E|mail_key|totp/, 'and no secret');
is(login('admin', $once)->{status}, 401, 'the first password is over');
is(ask(GET => '/v1/session', undef, cookie => $a)->{status}, 200,
   'he is logged in');
is_deeply([map { $_->{name} } @{ ask(GET => '/v1/users', undef,
    cookie => $a)->{json}{items} }], ['admin'], 'and sees who there is');
is(ask(GET => '/v1/whoami', undef, cookie => $a)->{json}{role},
   'platform-admin', 'he is an administrator');
ok(!(grep { $_ eq $a } map { slurp($_) =~ /\Q$a\E/ ? $a : () }
     grep { -f } glob($t->dir('*'))), 'his cookie stands nowhere');
ok(!(grep { slurp($_) =~ /\Q$good\E/ } grep { -f } glob($t->dir('*'))),
   'nor his password');


# From where: right to left past the proxies that are trusted

for (['203.0.113.9', '203.0.113.9', 'whom the proxy names'],
     ['198.51.100.1, 203.0.113.9,10.1.2.3', '203.0.113.9',
      'not what he says himself'],
     ['203.0.113.9, [2001:db8:1::5]:4711', '203.0.113.9', 'over IPv6'],
     ['2001:db8:2::7 , 10.1.2.3:99', '2001:db8:2::7', 'one of IPv6'],
     ['::ffff:203.0.113.9', '203.0.113.9', 'IPv4 in IPv6'],
     ['203.0.113.9, unknown, 10.1.2.3', '10.1.2.3', 'up to what is none'],
     ['10.7.7.7, 10.1.2.3', '10.7.7.7', 'when all are ours'],
     [['203.0.113.8', '203.0.113.9', '10.1.2.3'], '203.0.113.9',
      'of several lines'],
     ['', '127.0.0.1', 'nobody is named'],
     [',' x 3000, '127.0.0.1', 'nobody, often'],
     [[('10.9.9.9') x 40], '10.9.9.9', 'many lines'])
{
    my ($h, $want, $what) = @$_;
    my $r = Test::Stoa::http_once($port, 'GET', '/v1/session', headers => [
        Cookie => "__Host-stoa=$a",
        map { ('X-Forwarded-For' => $_) } ref $h ? @$h : $h ]);
    is($r->{status}, 200, "$what: an answer");
    wait_until { slurp($t->dir('control.out'))
        =~ /client:\Q$want\E .*\Q$r->{headers}{'x-request-id'}\E/ } 5;
    like(slurp($t->dir('control.out')),
         qr/client:\Q$want\E .*\Q$r->{headers}{'x-request-id'}\E/, $what);
}


# Other sites

my $tenant = { name => 'csrf' };
for (['no header of ours, and a form', { 'Content-Type' => 'text/plain' }, 0],
     ['another Origin', { Origin => 'https://evil.test' }, 1],
     ['the Origin null', { Origin => 'null' }, 1],
     ['another port', { Origin => "$own:1" }, 1],
     ['what Host says is not asked', { Origin => "http://127.0.0.1:$port" },
      1],
     ['Sec-Fetch-Site: cross-site', { 'Sec-Fetch-Site' => 'cross-site' }, 1],
     ['Sec-Fetch-Site: same-site', { 'Sec-Fetch-Site' => 'same-site' }, 1])
{
    my ($what, $h, $client) = @$_;
    for my $to (['/v1/tenants', $tenant, $a],
                ['/v1/session', { name => 'admin', password => $good }, undef])
    {
        is(ask(POST => $to->[0], $to->[1], cookie => $to->[2], headers => $h,
               client => $client)->{status}, 403, "$what: $to->[0]");
    }
}
is(ask(POST => '/v1/tenants', $tenant, cookie => $a,
       headers => { Origin => $own, 'Sec-Fetch-Site' => 'same-origin' })
   ->{status}, 201, 'the own Origin');
is(ask(DELETE => '/v1/tenants/csrf', undef, cookie => $a, client => 0)
   ->{status}, 403, 'a DELETE without a body needs the header');
is(ask(DELETE => '/v1/tenants/csrf', undef, cookie => $a)->{status}, 204,
   'and has it');


# Fixation, rotation, logout

my $b = cookie_of(login('admin', $good, cookie => 'A' x 43));
isnt($b, 'A' x 43, 'a cookie from before is not taken');
my $c = cookie_of(login('admin', $good, cookie => $b));
isnt($c, $b, 'each login has another id');
is(ask(GET => '/v1/session', undef, cookie => $b)->{status}, 401,
   'the one before is over');
is(ask(GET => '/v1/session', undef, cookie => $a)->{status}, 200,
   'other logins are not');
my $list = ask(GET => '/v1/sessions', undef, cookie => $c)->{json}{items};
is(scalar @$list, 2, 'the own logins');
is(scalar(grep { $_->{current} } @$list), 1, 'one is this one');
my ($other) = grep { !$_->{current} } @$list;
is(ask(DELETE => "/v1/sessions/$other->{id}", undef, cookie => $c)->{status},
   204, 'another one is ended');
is(ask(GET => '/v1/session', undef, cookie => $a)->{status}, 401, 'at once');
is(ask(DELETE => "/v1/sessions/$other->{id}", undef, cookie => $c)->{status},
   404, 'and is not there any more');
$r = ask(DELETE => '/v1/session', undef, cookie => $c);
is($r->{status}, 204, 'logout');
like($r->{headers}{'set-cookie'}, qr/^__Host-stoa=;.*Max-Age=0/,
     'takes the cookie away');
is(ask(GET => '/v1/session', undef, cookie => $c)->{status}, 401,
   'and the copied one is worth nothing');
is(ask(GET => '/v1/session', undef, cookie => "' OR 1=1 --")->{status}, 401,
   'nor is what is no cookie');


# Who is disabled is out

my $db = sub {
    my ($sql) = @_;
    return Test::Stoa::Feed::sql($t, $sql);
};
$c = cookie_of(login('admin', $good));
my $admin = ask(GET => '/v1/session', undef, cookie => $c)->{json}{user}{id};
is($t->api(POST => "/v1/users/admin/disable")->{status}, 200,
   'somebody disables him') ;
is(ask(GET => '/v1/session', undef, cookie => $c)->{status}, 401,
   'his login is over at once');
my $wrong = login('admin', $good);
is($wrong->{status}, 401, 'he cannot log in');
is($wrong->{json}{detail}, login('nobody', $good)->{json}{detail},
   'and is told no more than nobody is');
is($t->api(POST => "/v1/users/admin/enable")->{status}, 200, 'enabled again');
is(ask(GET => '/v1/session', undef, cookie => $c)->{status}, 401,
   'the old login stays over');


# Lock-out: the same for a name that there is and one that there is not

$db->("DELETE FROM login_tries");
my %seen;
for my $name (qw(admin nobody-at-all)) {
    for (1 .. 8) {
        my $r = login($name, 'wrong wrong wrong');
        push @{ $seen{$name} }, "$r->{status} $r->{json}{detail}";
        last if $r->{status} == 429;
    }
}
$db->("UPDATE login_tries SET until = until + 20000 WHERE until > 0");
for my $name (qw(admin nobody-at-all)) {
    is_deeply([@{ $seen{$name} }[0 .. 4]],
              [('401 the name or the password is wrong') x 5],
              "$name: some attempts are free");
    $seen{$name} = login($name, 'wrong wrong wrong');
    is($seen{$name}{status}, 429, "$name: then one has to wait");
    cmp_ok($seen{$name}{headers}{'retry-after'}, '>', 10, 'and is told for how'
        . ' long');
}
is($seen{admin}{json}{detail}, $seen{'nobody-at-all'}{json}{detail},
   'in the same words');
is(login('admin', $good)->{status}, 429,
   'the right password is not confirmed meanwhile');
is(login('admin', 'x' x 257)->{status}, 422, 'what is too long is not hashed');
$db->("UPDATE login_tries SET until = until - 20000 WHERE until > 0");
wait_until { login('admin', $good)->{status} == 201 } 20;
is(login('admin', $good)->{status}, 201, 'and nobody is locked out for ever');


# Who has many addresses puts a name off, but not where it was logged in before

sub known_of { my ($r) = @_;
    return ($r->{headers}{'set-cookie'} // '') =~ /__Host-stoa-known=([^;]*)/
        ? $1 : '' }
sub with { my ($known, $at, $name, $password) = @_;
    return ask(POST => '/v1/session', { name => $name, password => $password },
        headers => { 'X-Forwarded-For' => $at,
                     Cookie => "__Host-stoa-known=$known" }) }

$r = with('', '203.0.113.1', 'admin', $good);
my $known = known_of($r);
like($r->{headers}{'set-cookie'}, qr/__Host-stoa-known=\S+; Path=\/; HttpOnly; Secure; SameSite=Strict; Max-Age=15552000/,
     'a browser is known afterwards');
is(with('', '2001:db8:2:1::1', 'admin', 'wrong')->{status}, 401, 'an attacker');
$db->("UPDATE login_tries SET failures = 120 WHERE what LIKE 'name:%'");
is(with('', '2001:db8:2:2::1', 'admin', 'wrong')->{status}, 401,
   'with many addresses');
is(with('', '203.0.113.1', 'admin', $good)->{status}, 429, 'puts a name off');
is(with($known, '203.0.113.1', 'admin', $good)->{status}, 201,
   '... not where it was logged in');
is(with('', '203.0.113.1', 'admin', $good)->{status}, 429,
   'and that gives the attacker nothing');
is(with($known, '203.0.113.1', 'Admin', 'wrong')->{status}, 401,
   'its guesses are counted');
my @guesses = map { with($known, "203.0.113.$_", 'admin', 'wrong')->{status} }
    1 .. 12;
is($guesses[0], 401, 'some are free');
is($guesses[-1], 429, 'no more than an address has, wherever it goes');
$db->("UPDATE login_tries SET until = 0 WHERE what LIKE 'device:%'");
(my $forged = $known) =~ s/(.)$/$1 eq '0' ? 1 : 0/e;
is(with($forged, '203.0.113.1', 'admin', $good)->{status}, 429, 'no forged one');
$db->("UPDATE login_tries SET what = REPLACE(what, 'name:', 'name-was:')");
is(with('', '203.0.113.1', 'nobody', 'wrong')->{status}, 401, 'another name');
$db->("UPDATE login_tries SET until = last_at + 20000 WHERE what LIKE 'name:%'");
is(with($known, '203.0.113.1', 'nobody', $good)->{status}, 429,
   'the cookie is of one name');
$db->("DELETE FROM login_tries");


# Invitations: bound to a mail, good once, judged again when they are accepted

$t->must(POST => '/v1/tenants', { name => $_ }) for qw(acme other);
my $db_admin = cookie_of(login('admin', $good));
sub invite {
    my ($mail, %o) = @_;
    return ask(POST => '/v1/invitations', { mail => $mail, role => 'viewer',
        tenant => 'acme', %{ $o{body} || {} } },
        cookie => $o{cookie} || $db_admin);
}
sub accept_it { my ($token, $body, %o) = @_;
    return ask(POST => '/v1/invitation/accept', { token => $token, %$body },
               %o) }

$r = invite('Jay@X.org');
is($r->{status}, 201, 'an invitation');
is($r->{json}{link}, "https://stoa.example/invitation#$r->{json}{token}",
   'its link is that of the configuration, behind a #');
my $token = $r->{json}{token};
my $listed = ask(GET => '/v1/invitations', undef, cookie => $db_admin);
unlike($listed->{body}, qr/\Q$token\E|digest/, 'it is shown once');
for (1 .. 3) {
    is(ask(POST => '/v1/invitation/look', { token => $token })->{json}{tenant},
       'acme', 'who looks at it uses nothing up');
}
is(ask(GET => "/v1/invitation/accept?token=$token")->{status}, 405,
   'no GET accepts it');
$r = accept_it($token, { name => 'jay', password => 'x' x 12 },
               cookie => $db_admin);
is($r->{status}, 409, 'not who is logged in as somebody else');
like($r->{json}{detail}, qr/logged in as "admin"/, 'and is told so');
is(accept_it($token, { name => 'jay', password => 'short' })->{status}, 422,
   'a short password spends nothing');
my @two = map { my $n = $_; sub { accept_it($token,
    { name => "jay$n", password => 'a password of jay' })->{status} } } 1, 2;
is(join(' ', sort $t->together(@two)), '200 404', 'of two at once one is in');
my ($jay) = map { $_->{name} } grep { ($_->{mail} // '') eq 'Jay@X.org' }
    @{ $t->must(GET => '/v1/users')->{items} };
ok($jay, 'the person has the mail, as it was typed');
my $j = cookie_of(login('JAY@x.ORG', 'a password of jay'));
ok($j, 'and logs in by it, in any case');
is_deeply([map { $_->{name} } @{ ask(GET => '/v1/tenants', undef,
    cookie => $j)->{json}{items} }], ['acme'], 'and sees the one tenant');
is(ask(GET => '/v1/tenants/other', undef, cookie => $j)->{status}, 404,
   'no other');
is(ask(POST => '/v1/tenants/acme/plans', { name => 'x' }, cookie => $j)
   ->{status}, 403, 'and changes nothing');

# what one does not hold one does not give; nor takes from who is stronger

my $before_gain = $j;
my $ja = ask(GET => '/v1/session', undef, cookie => $j)->{json}{user}{id};
$t->must(POST => '/v1/tenants/acme/role-bindings',
    { user => $ja, role => 'tenant-admin' });
$r = ask(GET => '/v1/session', undef, cookie => $j);
ok(cookie_of($r), 'who may more gets another cookie');
$j = cookie_of($r);
is(ask(GET => '/v1/session', undef, cookie => $j)->{status}, 200, 'it is good');
$db->("UPDATE sessions SET was_until = 0");
ok(wait_until(sub { ask(GET => '/v1/session', undef, cookie => $before_gain)
    ->{status} == 401 }, 10), 'the one before is not, after some seconds');
is(invite('a@x.org', cookie => $j, body => { role => 'platform-admin',
    tenant => undef })->{status} =~ /^4(?:03|22)$/ ? 1 : 0, 1,
   'an administrator of a tenant makes none of the platform');
is(invite('a@x.org', cookie => $j, body => { tenant => 'other' })->{status},
   422, 'nor one of another tenant');
is(ask(POST => '/v1/users/admin/reset', {}, cookie => $j)->{status}, 404,
   'nor sees the platform\'s people');
my $first_link = invite('kim@x.org', cookie => $j)->{json}{token};
my $kim = invite('KIM@x.org ', cookie => $j)->{json}{token};
is(accept_it($first_link, { name => 'kim', password => 'a password of kim' })
   ->{status}, 404, 'a new invitation ends the one before');
is($t->api(POST => "/v1/users/$jay/disable")->{status}, 200,
   'the inviter is disabled');
is(accept_it($kim, { name => 'kim', password => 'a password of kim' })
   ->{status}, 409, 'what he gave is not given');
$t->must(POST => "/v1/users/$jay/enable");
my ($bound) = grep { $_->{role} eq 'tenant-admin' } @{ $t->must(GET =>
    '/v1/tenants/acme/role-bindings')->{items} };
$t->must(DELETE => "/v1/tenants/acme/role-bindings/$bound->{id}");
is(accept_it($kim, { name => 'kim', password => 'a password of kim' })
   ->{status}, 409, 'nor when he may not give it any more');
$t->must(POST => '/v1/tenants/acme/role-bindings',
    { user => $ja, role => 'tenant-admin' });
is(accept_it($kim, { name => $jay, password => 'a password of kim' })
   ->{status}, 409, 'a name is taken once');
is(accept_it($kim, { name => 'kim', password => 'a password of kim' })
   ->{status}, 200, 'and else it is');
my $k = cookie_of(login('kim', 'a password of kim'));
$r = invite('kim@x.org', body => { tenant => 'other', role => 'developer' });
my $again = $r->{json}{token};
is(accept_it($again, { name => 'kim2', password => 'x' x 12 })->{status}, 409,
   'there is a person of that mail: he has to log in');
is(accept_it($again, {}, cookie => $k)->{status}, 200, 'and then it is his');
is(scalar @{ ask(GET => '/v1/tenants', undef, cookie => $k)->{json}{items} },
   2, 'he is in both');
my $over = invite('lee@x.org')->{json};
$t->must(POST => "/v1/invitations/$over->{id}/revoke");
is(accept_it($over->{token}, { name => 'lee', password => 'x' x 12 })
   ->{status}, 404, 'a revoked one is none');
my $late = invite('lee@x.org')->{json};
$db->("UPDATE invitations SET expires_at = 1 WHERE id = '$late->{id}'");
is(accept_it($late->{token}, { name => 'lee', password => 'x' x 12 })
   ->{status}, 404, 'nor is an expired one');
for my $bad ("ja\xc3\xbd\@x.org", 'no mail', "a\@x.org\nBcc: b\@x.org") {
    is(invite($bad)->{status}, 422, 'no mail of ASCII');
}


# Signing up, where it is allowed

sub sign_up { my ($tenant, $name) = @_;
    return ask(POST => '/v1/sign-up', { tenant => $tenant, name => $name,
        mail => "$name\@y.org", password => 'a password of one' }) }
is(sign_up('acme', 'sam')->{status}, 404, 'nobody signs up by default');
is(sign_up('no-such', 'sam')->{json}{detail},
   sign_up('acme', 'sam')->{json}{detail}, 'nor where there is no tenant');
$t->must(PATCH => '/v1/tenants/acme', { sign_up => 'approve' });
$r = sign_up('acme', 'sam');
is("$r->{status} $r->{json}{state}", '201 pending', 'one who waits');
is(login('sam', 'a password of one')->{status}, 401, 'is not in');
is($t->api(POST => '/v1/users/sam/enable')->{status}, 200, 'is enabled');
is(login('sam', 'a password of one')->{status}, 201, 'and then is');
is(login('sam@y.org', 'a password of one')->{status}, 401,
   'a mail that nobody has proved lets nobody in');
$t->must(PATCH => '/v1/users/sam', { title => 'Sam' });
is(login('sam@y.org', 'a password of one')->{status}, 401,
   'nor when something else of him has changed');
$t->must(PATCH => '/v1/tenants/acme', { sign_up => 'open' });
$r = sign_up('acme', 'pat');
is("$r->{status} $r->{json}{state}", '201 active', 'one who is in at once');
$k = cookie_of(login('pat', 'a password of one'));
is(ask(POST => '/v1/tenants/acme/plans', { name => 'x' }, cookie => $k)
   ->{status}, 403, 'as the tenant says');
is(sign_up('acme', 'pat')->{status}, 409, 'a name once');
my @flood = map { sign_up('acme', 'pat')->{status} } 1 .. 8;
is($flood[-1], 429, 'an address has so many attempts');
$db->("DELETE FROM login_tries");


# A reset ends all and lets choose another password, once

$j = cookie_of(login($jay, 'a password of jay'));
is(ask(POST => "/v1/users/$jay/reset", {}, cookie => $k)->{status}, 403,
   'not by who may not');
$r = ask(POST => '/v1/users/kim/reset', {}, cookie => $j);
is($r->{status}, 403, 'nor of one who has what the other has not');
$db->("INSERT INTO recovery_codes (person, digest) VALUES ('$ja', 'x')");
$r = $t->api(POST => "/v1/users/$jay/reset", { second_factor => JSON::PP::true });
is($r->{status}, 200, 'a reset');
is($db->("SELECT COUNT(*) FROM recovery_codes WHERE person = '$ja'"), 0,
   '... with the second factor takes its recovery codes, too');
my $reset = $r->{json}{token};
is(ask(GET => '/v1/session', undef, cookie => $j)->{status}, 401,
   'the logins are over');
is(login($jay, 'a password of jay')->{status}, 401, 'and the password');
is(accept_it($reset, { password => 'another of jay' })->{status}, 200,
   'another one');
is(accept_it($reset, { password => 'a third of jay' })->{status}, 404, 'once');
is(login($jay, 'another of jay')->{status}, 201, 'it is good');
$db->("DELETE FROM login_tries");

# The maker of a link does not get with it what the person got since

for my $by (['a person', cookie => cookie_of(login($jay, 'another of jay'))],
            ['a token', token => $t->must(POST => '/v1/admin-tokens',
                { name => 'acme-ta', role => 'tenant-admin',
                  tenant => 'acme' })->{token}])
{
    my ($who, $how, $what) = @$by;
    $r = $how eq 'cookie'
        ? ask(POST => '/v1/users/sam/reset', {}, cookie => $what)
        : $t->api(POST => '/v1/users/sam/reset', {}, token => $what);
    is($r->{status}, 200, "$who resets somebody");
    my $held = $t->must(POST => '/v1/role-bindings',
        { user => 'sam', role => 'platform-admin' });
    is(accept_it($r->{json}{token}, { password => 'a password of evil' })
       ->{status}, 409, 'who is an administrator of the platform now');
    $t->must(DELETE => "/v1/role-bindings/$held->{id}");
    is(accept_it($r->{json}{token}, { password => 'a password of one' })
       ->{status}, 200, 'and is not any more');
}
my @may = qw(self:read invitation:write plan:read);
$t->must(POST => '/v1/tenants/acme/roles', { name => $_->[0],
    permissions => $_->[1] }) for ['inviting', \@may], ['planner', [$may[2]]];
my $lent = $t->must(POST => '/v1/admin-tokens', { name => 'acme-inv',
    role => 'inviting', tenant => 'acme' })->{token};
$r = $t->api(POST => '/v1/invitations', { mail => 'zed@x.org',
    role => 'planner', tenant => 'acme' }, token => $lent);
is($r->{status}, 201, 'a token invites');
$t->must(PATCH => '/v1/tenants/acme/roles/inviting',
    { permissions => [$may[0]] });
is(accept_it($r->{json}{token}, { name => 'zed', password => 'x' x 12 })
   ->{status}, 409, 'what its role has no more is not given');

# A token never may more than who made it may now

$db->("DELETE FROM login_tries");
$j = cookie_of(login($jay, 'another of jay'));
my %made;
$made{his} = ask(POST => '/v1/admin-tokens', { name => 'of-jay',
    role => 'tenant-admin', tenant => 'acme' }, cookie => $j)->{json}{token};
$made{grandchild} = $t->api(POST => '/v1/admin-tokens', { name => 'of-of-jay',
    role => 'developer', tenant => 'acme' }, token => $made{his})
    ->{json}{token};
sub by { my ($name) = @_;
    return $t->api(GET => '/v1/tenants/acme/applications', undef,
                   token => $made{$name})->{status} }
sub writes { my ($name) = @_;
    return $t->api(POST => '/v1/tenants/acme/applications', { name => '-' },
                   token => $made{$name})->{status} }
is(join(' ', map { by($_), writes($_) } qw(his grandchild)), '200 422 200 422',
   'made by a person, and by that token');
my ($role) = grep { $_->{role} eq 'tenant-admin' } @{ $t->must(GET =>
    '/v1/tenants/acme/role-bindings?limit=500')->{items} };
$t->must(DELETE => "/v1/tenants/acme/role-bindings/$role->{id}");
is(join(' ', map { by($_), writes($_) } qw(his grandchild)), '200 403 200 403',
   'who may less now has tokens that may less');
$t->must(POST => '/v1/tenants/acme/role-bindings', { user => $jay,
    role => 'tenant-admin' });
is(join(' ', map { writes($_) } qw(his grandchild)), '422 422', 'and again');
$t->must(POST => "/v1/users/$jay/disable");
is(join(' ', map { by($_) } qw(his grandchild)), '401 401',
   'of one who is disabled they are none');
$t->must(POST => "/v1/users/$jay/enable");
is(by('his'), 200, 'until he is enabled');
$r = $t->api(POST => '/v1/admin-tokens', { name => 'mine', role => 'viewer',
    tenant => 'acme' }, token => $made{his});
is($r->{json}{maker}, $ja, 'it is told whose it is');

# nor is it a second pair of eyes

$t->must(POST => '/v1/gateway-groups', { name => $_ }) for qw(here live);
$t->apply(docs(rest('acme', 'shop', 'http://127.0.0.1:1',
    base_path => '/shop', gateway_groups => ['here'])));
my $promotions = '/v1/tenants/acme/promotions';
my $of_jay = cookie_of(login($jay, 'another of jay'));
my $wish = { api => 'shop', to => 'live' };
sub approve { my ($id, @how) = @_;
    return $t->api(POST => "$promotions/$id/approve", undef, @how)->{status} }
sub waits { return scalar @{ $t->api(GET => '/v1/inbox', undef, @_)
    ->{json}{items} } }
my @as_jay = (token => undef, headers => { 'Stoa-Client' => 'test',
    Cookie => "__Host-stoa=$of_jay" });
my @by_his = (token => $made{his});
my $second = $t->api(POST => '/v1/admin-tokens', { name => 'second',
    role => 'tenant-admin', tenant => 'acme' }, @by_his)->{json}{token};
for (['his token', [@by_his], 'himself', [@as_jay]],
     ['himself', [@as_jay], 'his token', [@by_his]],
     ['one token', [@by_his], 'another', [token => $second]])
{
    my ($who, $asks, $whom, $decides) = @$_;
    my $p = $t->api(POST => $promotions, $wish, @$asks);
    is($p->{status}, 201, "$who asks for a promotion") or diag $p->{body};
    is(waits(@$decides), 0, "which does not wait for $whom");
    is(approve($p->{json}{id}, @$decides), 403, '... to approve it');
    $t->must(POST => "$promotions/$p->{json}{id}/reject",
             { reason => 'no' });
}

# nor let in by a role that its maker has no more

$t->must(POST => '/v1/tenants/acme/role-bindings', { user => $jay,
    role => 'developer' });
$t->must(POST => '/v1/tenants/acme/plans', { name => 'reviewed',
    approval => 'manual', auto_roles => ['tenant-admin'] });
sub subscribed { my ($name) = @_;
    $t->must(POST => '/v1/tenants/acme/applications', { name => $name });
    my $r = $t->api(POST => '/v1/tenants/acme/subscriptions', {
        application => $name, api => 'shop', plan => 'reviewed' }, @by_his);
    return $r->{json}{state} // $r->{body} }
is(subscribed('first'), 'active', 'let in by his role and its own');
($role) = grep { $_->{role} eq 'tenant-admin' } @{ $t->must(GET =>
    '/v1/tenants/acme/role-bindings?limit=500')->{items} };
$t->must(DELETE => "/v1/tenants/acme/role-bindings/$role->{id}");
is(subscribed('second'), 'pending', 'not by its own alone');

# What a person of a tenant does is in that tenant's chain

$j = cookie_of(login($jay, 'another of jay'));
is(ask(DELETE => '/v1/session', undef, cookie => $j)->{status}, 204, 'out');
ok(wait_until(sub { scalar grep { $_->{actor} eq $ja || $_->{name} eq $jay }
    @{ $t->must(GET => '/v1/audit?tenant=acme&action=logout')->{items} } },
    10), 'a logout is told to the tenant');


# Whose cookie is to change keeps his login when another one fails

my $s = cookie_of(login('sam', 'a password of one'));
is(ask(GET => '/v1/session', undef, cookie => $s)->{status}, 200, 'in');
$t->must(POST => '/v1/tenants/acme/role-bindings',
    { user => 'sam', role => 'developer' });
$r = login('sam', 'wrong wrong wrong', cookie => $s);
is($r->{status}, 401, 'another login fails');
is(ask(GET => '/v1/session', undef, cookie => cookie_of($r) // '')->{status},
   200, 'and tells the new cookie');
$s = cookie_of($r) // $s;

# An answer that is kept is opened by who has the key file alone

$r = ask(POST => '/v1/tenants/acme/applications', { name => 'kept' },
         cookie => $s, headers => { 'Idempotency-Key' => 'weak' });
is($r->{status}, 201, 'an answer is kept');
is(ask(POST => '/v1/tenants/acme/applications', { name => 'kept' },
       cookie => $s, headers => { 'Idempotency-Key' => 'weak' })
   ->{headers}{'idempotency-replayed'}, 'true', 'and given again');
my $in_hex = ($ENV{STOA_TEST_DB} // '') eq 'pg' ? "encode(answer, 'hex')"
    : 'hex(answer)';
my ($hex) = $db->("SELECT $in_hex FROM idempotency WHERE key_digest = '"
    . Digest::SHA::sha256_hex('weak') . "'") =~ /([0-9A-F]+)/i;
$t->write_file('sealed', substr pack('H*', $hex), 28);
my $guess = Digest::SHA::hmac_sha256_hex("stoa-idempotency\nweak", '');
my $opened = `openssl enc -d -aes-256-ctr -K $guess -iv ${\ lc substr $hex, 0, 24}00000002 -in @{[ $t->dir('sealed') ]}`;
unlike($opened, qr/kept/, 'not by who has the database');
$db->("DELETE FROM login_tries");


# stoactl: as a person

my $conf = $t->dir('person.yaml');
my $pass = $t->write_file('pass', "$good\n");
sub ctl { my (@argv) = @_;
          return $t->stoactl(@argv, { env => { STOA_TOKEN => '',
              STOA_CONFIG => $conf } }) }
my ($code, $out, $err) = ctl('login', '--user', 'admin', '--password-file',
    $t->dir('none'));
is($code, 1, 'login without the password');
($code, $out, $err) = ctl('login', '--user', 'admin', '--password-file', $pass);
is("$code $err", '0 ', 'login');
like($out, qr/^admin +password /m, 'who it is');
is((stat $conf)[2] & 0777, 0600, 'what it keeps is its own');
($code, $out) = ctl('whoami');
like($out, qr/platform-admin/, 'without a token');
($code, $out) = ctl('users', 'list');
like($out, qr/^admin .*active/m, 'users list');
($code, $out) = ctl('users', 'invite', 'max@x.org', '--tenant', 'acme');
like($out, qr{https://stoa.example/invitation#[\w-]{43}}, 'users invite');
($code, $out) = ctl('users', 'disable', 'kim');
like($out, qr/disabled/, 'users disable');
($code, $out) = ctl('users', 'enable', 'kim');
like($out, qr/active/, 'users enable');
($code, $out) = ctl('users', 'reset', 'kim');
like($out, qr{https://stoa.example/invitation#[\w-]{43}}, 'users reset');
($code, undef, $err) = ctl('users', 'reset', 'nobody');
is($code, 3, 'of nobody');
my $kept = slurp($conf) =~ /(__Host-stoa=[\w-]+)/ ? $1 : '';
is((ctl('logout'))[0], 0, 'logout');
unlike(slurp($conf), qr/\Q$kept\E/, 'keeps nothing');
is((ctl('whoami'))[0], 3, 'and is nobody');


# Told in the audit log, the failures together

my @events;
my $told = wait_until {
    @events = @{ $t->must(GET => '/v1/audit?kind=user&limit=100')->{items} };
    return grep { $_->{action} eq 'logout' } @events;
} 10;
ok($told, 'the audit log tells of logins');
ok(scalar(grep { $_->{action} eq 'login' && $_->{actor} eq 'admin'
                 && $_->{address} eq '127.0.0.1' } @events), 'who, from where');
ok(!(grep { json_encode($_) =~ /\Q$good\E/ } @events), 'and no password');
my $m = $t->metrics('control');
cmp_ok($m->{'stoa_control_logins_total{result="ok"}'}, '>', 3, 'a metric');


# Idle logins end; what a page asks by itself does not keep one

my $idle = cookie_of(login('admin', $good));
$db->("UPDATE sessions SET last_at = last_at - 25000");
$over = wait_until { ask(GET => '/v1/session', undef, cookie => $idle,
    headers => { 'Stoa-Client' => 'background' }, client => 0)->{status} == 401
} 15;
ok($over, 'a login that is not used ends');


# Erased: nobody reads who it was, the chains are whole, and an old database
# does not bring it back

$db->("DELETE FROM login_tries");
my $zoe = invite('Zora.Quill@x.org', cookie => cookie_of(login('admin',
    $good)))->{json}{token};
is(accept_it($zoe, { name => 'zoraquill', password => 'a password of zora' })
   ->{status}, 200, 'somebody');
my $z = cookie_of(login('zoraquill', 'a password of zora'));
login('zoraquill', 'wrong');
ask(POST => '/v1/tenants/acme/plans', { name => 'x' }, cookie => $z);
my ($zora) = map { $_->{id} } grep { $_->{name} eq 'zoraquill' }
    @{ $t->must(GET => '/v1/users')->{items} };
sub of_zora { my ($q) = @_;
    return grep { json_encode($_) =~ /zora/i } @{ $t->must(GET =>
        "/v1/audit?limit=500&$q")->{items} } }
my $seen = wait_until { scalar of_zora("actor=$zora&action=login") };
ok($seen, 'the log knows who it was');
is($t->api(POST => '/v1/audit/erasures', { person => $zora })->{status}, 409,
   'not while there is the account');
is($t->api(DELETE => '/v1/users/zoraquill')->{status}, 204, 'deleted');
my $key_row = $db->("SELECT sealed FROM person_keys WHERE person = '$zora'");
my $erased = $t->must(POST => '/v1/audit/erasures', { person => $zora });
is($erased->{erased}, JSON::PP::true(), 'erased');
cmp_ok($erased->{events}, '>', 1, 'of several events');
is($t->must(POST => '/v1/audit/erasures', { person => $zora })->{erased},
   JSON::PP::false(), 'once');
my $her = qr/zoraquill|(?<![\w-])(?:zora|quill)(?![\w-])/i;      # a word
sub left_of_zora {
    my ($file) = $t->database =~ /^sqlite:(.*)/;
    my ($code, $text) = $t->run_cmd($file ? ['sqlite3', $file, '.dump']
        : [Test::Stoa::Base::pg_bin() . '/pg_dump', '--data-only', '-d',
           $t->database]);
    return join "\n", grep { $_ =~ $her } split /\n/, $text;
}
is(left_of_zora(), '', 'nothing of who it was in the database');
is(scalar(grep { $_ =~ $her } split /\n/,
    $t->api(GET => '/v1/audit/export')->{body}), 0, 'nor in an export');
my @hers = @{ $t->must(GET => "/v1/audit?actor=$zora")->{items} };
ok(@hers && !(grep { !$_->{erased} || defined $_->{actor} } @hers),
   'that she did what she did stays');
is($t->must(GET => '/v1/audit/verify')->{ok}, JSON::PP::true(),
   'the chains are whole');
$db->("UPDATE person_keys SET sealed = '$key_row' WHERE person = '$zora'");
isnt(scalar(of_zora("actor=$zora")), 0, 'an old database brings it back');


# A start with another database of the same people

$t->stop('control');
($code, $out) = $t->run_cmd(["$Test::Stoa::OBJS/stoa-control",
    '--new-admin-password', $key, '--database=' . $t->database]);
is($code, 0, 'a new password, on the host');
$t->control(args => \@args);
my ($new) = $out =~ /(\S+)/;
is(login('admin', $good)->{status}, 401, 'ends the old one');
is(login('admin', $new, body => { new_password => $good })->{status}, 201,
   'and is for one login');

is(scalar(of_zora("actor=$zora")), 0, 'and a start erases again');

# Who holds the lock that orders configuration holds up nobody who logs in

SKIP: {
    skip 'SQLite has one writer', 7 if $t->{db} ne 'pg';
    my $held = Test::Stoa::Feed::hold($t);
    my $in = login('admin', $good);
    is($in->{status}, 201, 'a login');
    my $c = cookie_of($in);
    is(ask(GET => '/v1/session', undef, cookie => $c)->{status}, 200,
       'its check');
    is(login('admin', 'wrong')->{status}, 401, 'one that fails');
    is(ask(DELETE => '/v1/session', undef, cookie => $c)->{status}, 204,
       'its end');
    my %told;
    wait_until {
        %told = map { ($_->{action} => 1) } @{ $t->must(GET =>
            '/v1/audit?tenant=&limit=5')->{items} };
        $told{login} && $told{logout};
    } 30;
    ok($told{login} && $told{logout}, 'what the audit log says of it')
        or diag join ' ', %told;
    is($t->api(POST => '/v1/tenants', { name => 'waits' }, timeout => 1)
       ->{status}, 0, 'configuration does wait');
    close $held;
    ok((wait_until { $t->api(GET => '/v1/tenants/waits')->{status} == 200 } 20),
       'which goes on');
}

$t->done;
