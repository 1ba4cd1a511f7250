#!/usr/bin/perl

# Logging in with a browser at a real Keycloak: who gets which login, what
# comes back and is not ours, the end of it on either side.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use HTTP::Tiny;
use POSIX ();
use Test::Stoa::Browser;
use Test::Stoa::Docs;
use Test::Stoa::Feed;
use Test::Stoa::Keycloak;
use Test::Stoa::Token;
use Time::HiRes ();

my $t = Test::Stoa->new->has('control', 'keycloak', 'slapd', 'openssl');
my $kc = Test::Stoa::Keycloak->new($t);
$t->control(args => $kc->control_args);
$t->apply(docs(tenant('acme'), tenant('globex')));
wait_until { $t->must(GET => '/v1/identity-provider')->{state} eq 'ok' } 10;

my $ID = '/v1/session/oidc';
sub browser { return Test::Stoa::Browser->new($t) }
sub arg { my ($url, $name) = @_;
          my ($v) = $url =~ /[?&]$name=([^&]*)/ or return undef;
          return $v =~ s/%(..)/chr hex $1/ger }
sub in { my ($user, $b, %o) = @_;
         my $back = $b->at_keycloak($o{start} // $ID, $user, %o);
         return $back ? $b->get($back) : { status => 0,
             content => $b->{stuck}, to => '' } }

# There and back

my $ways = $t->api(GET => '/v1/session/ways', undef, token => undef)->{json};
is($ways->{oidc}{login}, $ID, 'where a login at the provider begins');
my $dev = $kc->user('dev', groups => ['/tenants/acme/developer']);
my $b = browser();
my $r = $b->get("$ID?to=/apis%3Fx=1%23part");
is($r->{status}, 303, 'the browser is sent to the provider');
my $auth = $r->{to};
like($auth, qr{^\Q$kc->{url}\E/}, 'to the one that is configured');
is(arg($auth, 'redirect_uri'), $t->control_url . "$ID/callback",
   'to come back to where the configuration says');
is(arg($auth, 'code_challenge_method'), 'S256', 'with PKCE');
like($r->{headers}{'set-cookie'},
     qr/^__Host-stoa-login=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax; Max-Age=600$/,
     'and a cookie, for ten minutes, that ties the attempt to it');
unlike($auth, qr/\Q${\ $b->cookie('__Host-stoa-login') }\E/,
       'which nobody else learns');
my $back = $b->at_keycloak($auth, 'dev');
ok($back, 'Keycloak lets him in') or diag $b->{stuck};
$r = $b->get($back);
is($r->{status}, 303, 'he is back') or diag $r->{content};
is($r->{to}, '/apis?x=1#part', 'and goes on where he wanted to');
like($r->{headers}{'set-cookie'}, qr/^__Host-stoa=[\w-]{43};/,
     'with a login of ours');
$r = $b->get('/v1/whoami');
is($r->{json}{role}, 'developer', 'and the role of his group');
is($r->{json}{tenant}, 'acme', 'in its tenant');
is($r->{json}{grants}[0]{roles}[0]{from}, 'claim', 'by the claim');
my $me = $b->get('/v1/session')->{json};
is($me->{how}, 'oidc', 'the login says how');
is($me->{user}{subject}, $dev, 'a person by his subject');
is($me->{user}{login}, 'dev', 'called as there');
is($me->{user}{mail}, 'dev@example.org', 'with a mail that was proved');
is($me->{user}{tenant}, 'acme', 'at home in his tenant');
is($b->page(POST => '/v1/tenants/acme/applications', { name => 'a' })
   ->{status}, 201, 'he may what his role may');
ok(!(grep { slurp($_) =~ /eyJ[\w-]+\.eyJ/ } grep { -f } glob($t->dir('*'))),
   'no token stands anywhere');

# used once, by who began it

my $mine = $b->cookie('__Host-stoa');
$r = $b->get($back);
is("$r->{status} $r->{to}", '303 /apis?x=1#part',
   'a reload of the callback, logged in: he goes on');
is($b->cookie('__Host-stoa'), $mine, 'with the login that he has');
my %login = ($b->{jar}{'__Host-stoa-login /'} ? (
    '__Host-stoa-login /' => $b->{jar}{'__Host-stoa-login /'}) : ());
my $other = browser();
$other->{jar} = { %login };
is($other->get($back)->{status}, 400, 'not logged in: it is over');
$back = $b->at_keycloak($ID, 'dev');
is(browser()->get($back)->{status}, 400,
   "a callback in another browser is nobody's login");
my $evil = browser();
$evil->get($ID);
$r = $evil->get($back);
is($r->{status}, 400, 'nor is it in one that has begun another');
ok(!$evil->cookie('__Host-stoa'), 'which is not logged in by it');
is($b->get($back)->{status}, 303, 'it is still good where it was begun');
isnt($b->cookie('__Host-stoa'), $mine, 'each login has another id');
$other = browser();
$other->{jar}{'__Host-stoa /'} = ['__Host-stoa', $mine, '/'];
is($other->get('/v1/session')->{status}, 401, 'the one before is over');
$other->{jar} = { '__Host-stoa /' => ['__Host-stoa', 'A' x 43, '/'] };
is(in('dev', $other)->{status}, 303, 'with a cookie from before');
isnt($other->cookie('__Host-stoa'), 'A' x 43, 'another one is given');

# several tabs

my $tabs = browser();
my @tab = map { $tabs->get("$ID?to=/tab/$_")->{to} } 1 .. 8;
for my $n (8, 1, 2 .. 7) {
    my $back = $tabs->at_keycloak($tab[$n - 1], 'dev');
    is($back && $tabs->get($back)->{to}, "/tab/$n",
       "tab $n lands where it began");
}

# where to go on

for my $to ('//evil.test', '/\\evil.test', 'https://evil.test', 'javascript:x',
            '/' . 'x' x 4096, "/%0d%0aX: y", '/ x', '/%5cevil', '%2f%2fevil',
            "/\xc3\xa4", '')
{
    my $b = browser();
    my $r = $b->get("$ID?to=" . ($to =~ s/([^\w%])/sprintf '%%%02x', ord $1/ger));
    my $where = $r->{status} == 303 ? in('dev', $b, start => $r->{to})->{to}
        : $r->{status};
    like($where, qr{^(?:/|400|414|431)$}, 'not to ' . substr $to, 0, 20)
        or diag $where;
}

is(in('dev', browser(), start => "$ID?to=$ID%3Fto=/x")->{to}, '/',
   'nor to another login, round and round');

# what comes back and is none of ours

my $state = sub { my ($b, $to) = @_;
                  return arg($b->get($to // $ID)->{to}, 'state') };
sub callback {
    my ($b, %p) = @_;
    return $b->get("$ID/callback?" . join '&', map {
        "$_=" . ($p{$_} =~ s/([^\w.~-])/sprintf '%%%02X', ord $1/ger) }
        sort keys %p);
}
$b = browser();
my %good = (state => $state->($b), code => 'x', iss => $kc->issuer);
is(callback($b, %good, state => substr($good{state}, 0, -1))->{status}, 400,
   'a state cut');
is(callback($b, code => 'x', iss => $kc->issuer)->{status}, 400, 'none');
$r = callback($b, %good, iss => 'https://evil.test');
is($r->{status}, 401, 'another provider answers (mix-up)');
is(callback($b, state => $good{state}, code => 'x')->{status}, 401,
   'nor does the one asked without its name');
$r = callback($b, %good, error => 'access_denied');
is($r->{status}, 401, 'the provider says no');
like($r->{json}{detail}, qr/access_denied/, 'and why');
is(callback($b, state => $good{state}, iss => $kc->issuer)->{status}, 400,
   'no code');
is(callback($b, %good)->{status}, 401, 'a made-up code');
$state->($b, "$ID?to=/a%26b%3D%22%3C");
$r = $b->get("$ID/callback?state=x", headers => { Accept => 'text/html' });
is($r->{status}, 400, 'to a person');
like($r->{headers}{'content-type'}, qr{^text/html}, 'it is a page');
like($r->{content}, qr{begin again.*<a href="\Q$ID\E">}s, 'with a way on');
my $odd = arg($b->get("$ID?to=/%22%3E%3Cscript%3E")->{to}, 'state');
$r = $b->get("$ID/callback?state=$odd&error=%3Cb%3E&iss="
             . ($kc->issuer =~ s/:/%3A/gr), headers => { Accept => 'text/html' });
is($r->{status}, 401, 'one that has where to go on');
unlike($r->{content}, qr/<script|<b>/, 'and nothing that was sent as it is');
like($r->{content}, qr{href="\Q$ID\E\?to=%2F%22%3E%3Cscript%3E"},
     'but its target');
is(callback($b, %good, code => 'y' x 5000)->{status}, 400, 'a long one');
my $theirs = browser();
$back = $theirs->at_keycloak($ID, 'dev');
is(callback($b, %good, code => arg($back, 'code'))->{status}, 401,
   "another attempt's code: its verifier is not this one's");
ok(!$b->cookie('__Host-stoa'), 'by nothing of it is anybody logged in');


# a second factor, asked for by the provider; the directory

my $root = $kc->user('root');
$kc->role($root, 'platform-admin');
my $otp;
$b = browser();
is(in('root', $b, otp => \$otp)->{status}, 303, 'an administrator logs in')
    or diag $b->{stuck};
like("@{ $b->{asked} }", qr/totpSecret/, 'after he made a second factor');
is($b->get('/v1/tenants')->{status}, 200, 'and sees all tenants');
is(browser()->at_keycloak($ID, 'root', otp => \'wrong secret'), undef,
   'without it he does not');
is(browser()->at_keycloak($ID, 'dev', password => 'wrong'), undef,
   'nor does anybody with a wrong password');
$b = browser();
is(in('lena', $b)->{status}, 303, 'somebody of the directory logs in');
$r = $b->get('/v1/whoami');
is($r->{status}, 403, 'whom no claim gives a role, who may nothing');
like($r->{json}{detail}, qr/groups/, 'and is told which claims were looked at');

# who he is stays: renamed, disabled here, made again

$kc->must(PUT => "/users/$dev", { username => 'dave', email => 'admin@x.org',
    firstName => 'D', lastName => 'D', emailVerified => JSON::PP::false });
$b = browser();
is(in('dave', $b)->{status}, 303, 'renamed, he logs in')
    or diag substr $b->{stuck} // '', 0, 800;
my $now = $b->get('/v1/session')->{json}{user};
is($now->{id}, $me->{user}{id}, 'a new name is the same person');
is($now->{login}, 'dave', 'shown by it');
is($now->{mail}, undef, 'a mail that nobody has proved is not');
is($t->api(POST => "/v1/users/$now->{id}/disable")->{status}, 200,
   'disabled here');
is($b->get('/v1/session')->{status}, 401, 'his logins are over');
is(in('dave', browser())->{status}, 403, 'and no other one begins');
my $token = $kc->token('dave')->{access_token};
is($t->api(GET => '/v1/whoami', undef, token => $token)->{status}, 403,
   'nor is his token taken');
$t->must(POST => "/v1/users/$now->{id}/enable");
is($t->api(GET => '/v1/whoami', undef, token => $token)->{json}{id},
   $now->{id}, 'enabled: his token is of the same person as his logins');


# nobody becomes somebody else by a name or a mail

$kc->user('admin', email => 'boss@x.org');
my ($boss) = grep { $_->{name} eq 'admin' }
    @{ $t->must(GET => '/v1/users?limit=500')->{items} };
Test::Stoa::Feed::sql($t, "UPDATE users SET mail = 'boss\@x.org',"
    . " mail_key = 'boss\@x.org' WHERE id = '$boss->{id}'");
$b = browser();
is(in('admin', $b)->{status}, 303, "one who is called as the administrator");
my $not = $b->get('/v1/session')->{json}{user};
isnt($not->{id}, $boss->{id}, 'is not the administrator');
is($b->get('/v1/whoami')->{status}, 403, 'and may nothing');
my $gone = $kc->user('twin', groups => ['/tenants/acme/developer']);
$b = browser();
in('twin', $b);
my $was = $b->get('/v1/session')->{json}{user}{id};
$t->must(POST => '/v1/tenants/globex/role-bindings',
         { user => $was, role => 'viewer' });
is($b->get('/v1/tenants/globex')->{status}, 200, 'somebody with a role here');
$kc->must(DELETE => "/users/$gone");
$kc->user('twin', groups => ['/tenants/acme/developer']);
$b = browser();
in('twin', $b);
isnt($b->get('/v1/session')->{json}{user}{id}, $was,
     'made again under his name there: another person');
is($b->get('/v1/tenants/globex')->{status}, 404, 'without his roles');


# The end: here, there

$b = browser();
in('dave', $b);
my $copy = browser();
$copy->{jar} = { %{ $b->{jar} } };
$r = $b->page(POST => "$ID/logout");
is($r->{status}, 200, 'logged out') or diag $r->{content};
my $end = $r->{json}{location};
like($end, qr{^\Q$kc->{url}\E/.*logout}, 'and is told where else to');
is(arg($end, 'client_id'), 'stoa-console', 'with our name');
is($copy->get('/v1/session')->{status}, 401, 'a copied cookie is over');
$r = $b->get($end);
is("$r->{status} $r->{to}", '302 ' . $t->control_url . '/',
   'Keycloak ends its own and sends him home, without a question');
delete $b->{asked};
ok($b->at_keycloak($ID, 'dave'), 'the next login');
is(scalar @{ $b->{asked} || [] }, 1, 'asks for the password again');
$b = browser();
in('dave', $b);
is($b->request(POST => "$ID/logout", form => { x => 1 })->{status}, 403,
   'a page of another site logs nobody out');

my $second = browser();
in('dave', $second);
is($second->get('/v1/session')->{status}, 200, 'two browsers');
my ($own) = grep { $_->{id} } @{ $kc->must(GET => "/users/$dev/sessions")
                                 ->{json} };
my ($of) = map { arg($_, 'session_state') } $back = $b->at_keycloak($ID, 'dave');
$b->get($back);
$kc->must(DELETE => "/sessions/$of");
ok((wait_until { $b->get('/v1/session')->{status} == 401 } 10),
   "ended at Keycloak: the login is over here, by the back channel");
is($second->get('/v1/session')->{status}, 200, 'the other one is not');
$kc->must(POST => "/users/$dev/logout");
ok((wait_until { $second->get('/v1/session')->{status} == 401 } 10),
   'all are when he is logged out there');


# A provider that lies: Keycloak's keys and pages, a token endpoint of ours,
# and a key of ours among its own

my $sign = token_key($t, 'own', 'RS256');
my $component = $kc->own_key($sign);
spew($t->dir('mode'), 'fine');
my $door = $t->origin(sub {
    my ($q) = @_;
    my $mode = slurp($t->dir('mode'));
    my $h = $q->{headers};
    my $json = ['Content-Type' => 'application/json'];
    if ($q->{path} =~ m{/token$} && $mode ne 'fine') {
        return [500, [], 'sorry'] if $mode eq '500';
        return [200, ['Content-Type' => 'text/html'], '<html>']
            if $mode eq 'html';
        return [200, $json, '{"access_token":"x"}'] if $mode eq 'without';
        return [200, $json, '"' . ('x' x 400_000) . '"'] if $mode eq 'long';
        select undef, undef, undef, 4 if $mode eq 'slow';
        return [200, $json, json_encode({ id_token => $mode })];
    }
    my $r = HTTP::Tiny->new->request($q->{method}, $kc->issuer . $q->{path}, {
        headers => { map { $h->{$_} ? ($_ => $h->{$_}) : () }
                     qw(authorization content-type accept) },
        length($q->{body} // '') ? (content => $q->{body}) : () });
    return [$r->{status}, $json, $r->{content}];
}, name => 'door');
sub again {
    my (@args) = @_;
    $t->stop('control');
    $t->control(args => $kc->control_args(
        "--oidc-url=http://127.0.0.1:$door", @args));
    wait_until { $t->must(GET => '/v1/identity-provider')->{state} eq 'ok' }
        20;
}
again();

sub answered {
    my ($claims, %o) = @_;
    my $b = browser();
    my $to = $b->get($ID)->{to};
    my $c = claims($kc->issuer, 'stoa-console', azp => 'stoa-console',
        typ => 'ID', sid => 'sid-1', nonce => arg($to, 'nonce'),
        groups => ['/tenants/globex/viewer'], sub => 'liar', %$claims);
    $c = $o{written}->(json_encode($c)) if $o{written};
    spew($t->dir('mode'), $o{mode} // token($o{key} // $sign, $c,
                                            %{ $o{header} || {} }));
    my $r = callback($b, state => arg($to, 'state'), code => 'x',
                     iss => $kc->issuer);
    spew($t->dir('mode'), 'fine');
    return wantarray ? ($r, $b) : $r;
}
($r, $b) = answered({});
is($r->{status}, 303, 'a token by that key is fine') or diag $r->{content};
is($b->get('/v1/whoami')->{json}{tenant}, 'globex', 'and gives what it says');
($r, $b) = answered({ sub => 'zoe', name => 'NAME' }, written => sub {
    return $_[0] =~ s/NAME/Zo\\u00eb/r =~ s{/}{\\/}gr });
is($r->{status}, 303, 'so is one that is written with escapes')
    or diag $r->{content};
is($b->get('/v1/session')->{json}{user}{title}, "Zo\xeb", 'of her name');
is(answered({ sub => 'N' }, written => sub { $_[0] =~ s/"N"/"a\\u0000b"/r })
   ->{status}, 401, 'a name with U+0000 is none');
my $foreign = token_key($t, 'foreign', 'RS256');
my $time = time;
for (['another nonce', { nonce => 'x' }], ['no nonce', { nonce => undef }],
     ['for another client', { aud => 'stoa-portal' }],
     ['azp another', { azp => 'stoa-portal' }],
     ['for several, azp none', { aud => ['stoa-console', 'x'],
                                 azp => undef }],
     ['expired', { exp => $time - 60 }], ['without an end', { exp => undef }],
     ['of another issuer', { iss => 'https://evil.test' }],
     ['an access token', { typ => 'Bearer' }],
     ['nobody', { sub => undef }], ['nobody at all', { sub => '' }],
     ['made ahead', { iat => $time + 600 }],
     ['alg none', {}, header => { alg => 'none' }],
     ['HS256', {}, header => { alg => 'HS256' }],
     ['ES256', {}, header => { alg => 'ES256' }],
     ['a logout token', {}, header => { typ => 'logout+jwt' }],
     ['a foreign key', {}, key => $foreign],
     ['not signed', {}, mode => part({ alg => 'none' }) . '.' . part({}) . '.'],
     ['no token', {}, mode => 'x'])
{
    my ($what, $claims, %o) = @$_;
    ($r, $b) = answered($claims, %o);
    is($r->{status}, 401, "ID token: $what");
    ok(!$b->cookie('__Host-stoa'), "$what: no login");
    unlike($r->{content}, qr/eyJ/, "$what: nothing of it is said");
}
is(answered({ aud => ['stoa-console', 'x'] })->{status}, 303,
   'for several, made for us');
is(answered({}, mode => $_->[0])->{status}, $_->[1], "answer: $_->[0]")
    for ['500', 502], ['html', 502], ['without', 502], ['long', 503],
        ['slow', 503];
# many who log in while it is slow hold up nobody else

spew($t->dir('mode'), 'slow');
my @many = map { my $b = browser(); [$b, $b->get($ID)->{to}] } 1 .. 20;
my @pids;
for my $one (@many) {
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        my $r = callback($one->[0], state => arg($one->[1], 'state'),
            code => 'x', iss => $kc->issuer);
        POSIX::_exit($r->{status} == 503 ? 0 : 1);
    }
    push @pids, $pid;
}
my %says;
until (waitpid $pids[-1], POSIX::WNOHANG()) {
    $says{ $t->api(GET => '/v1/whoami', undef,
                   timeout => 2 * $Test::Stoa::SLOW)->{status} }++;
    Time::HiRes::sleep(0.1);
}
my $odd = $? ? 1 : 0;
pop @pids;
is(join(' ', keys %says), '200', 'while 20 wait for it others are answered');
$odd += grep { waitpid $_, 0; $? } @pids;
is($odd, 0, 'and these are told that it is slow');
wait_until { $t->must(GET => '/v1/identity-provider')->{state} eq 'ok' } 20;
spew($t->dir('mode'), 'fine');

my $users = $t->must(GET => '/v1/users?limit=500')->{items};
is(scalar(grep { ($_->{subject} // '') eq 'liar' } @$users), 1,
   'one person of all of it');
is(scalar(grep { ($_->{subject} // '') eq '' && $_->{name} ne 'admin' }
          @$users), 0, 'nobody without a subject');

# Logouts that are told

my $told = sub {
    my ($claims, %o) = @_;
    my $c = claims($kc->issuer, 'stoa-console', jti => 'j' . rand,
        events => { 'http://schemas.openid.net/event/backchannel-logout'
                    => {} }, azp => undef, %$claims);
    my $jwt = token($sign, $c, typ => 'logout+jwt', %{ $o{header} || {} });
    return browser()->request(POST => "$ID/backchannel-logout",
        form => $o{form} // { x => 'y', logout_token => $jwt });
};
my @alive = map { (answered({ sid => "s$_" }))[1] } 1 .. 3;
my $lives = sub { join '', map { $_->get('/v1/session')->{status} == 200 }
                  @alive };
is($lives->(), '111', 'three logins of one');
for (['with a nonce', { nonce => 'x' }], ['no events', { events => undef }],
     ['other events', { events => { x => {} } }],
     ['events a text', { events => 'http://schemas.openid.net/event/'
                         . 'backchannel-logout' }],
     ['for another client', { aud => 'stoa-portal' }],
     ['of another issuer', { iss => 'https://evil.test' }],
     ['old', { iat => $time - 3600, exp => undef }],
     ['expired', { exp => $time - 60 }], ['ahead', { iat => $time + 600 }],
     ['of nobody', { sub => undef }], ['no name', { jti => undef }],
     ['not signed', {}, header => { alg => 'none' }],
     ['an access token', {}, header => { typ => 'at+jwt' }])
{
    my ($what, $claims, %o) = @$_;
    $r = $told->({ sub => 'liar', sid => undef, %$claims }, %o);
    is($r->{status}, 400, "logout token: $what");
    is($r->{headers}{'cache-control'}, 'no-store', 'kept by nobody');
}
is($told->({}, form => { logout_token => 'x' })->{status}, 400, 'no token');
is($told->({}, form => {})->{status}, 400, 'nothing');
is(browser()->request(POST => "$ID/backchannel-logout", body => { a => 1 })
   ->{status}, 415, 'no form');
is($lives->(), '111', 'by none of these is anybody logged out');
is($told->({ sub => 'liar', sid => 'unknown' })->{status}, 200,
   'a login that is not here');
is($told->({ sub => 'somebody', sid => 's1' })->{status}, 200,
   "another's login");
is($lives->(), '111', 'nor by these');
my $jti = 'twice' . rand;
is($told->({ sub => undef, sid => 's2', jti => $jti })->{status}, 200,
   'one by its sid');
is($lives->(), '11', 'ends that one, at once');
is($alive[1]->get('/v1/session')->{status}, 401, 'which was meant');
is($told->({ sub => 'liar', sid => undef, jti => $jti })->{status}, 400,
   'told twice under one name');
is(answered({ sid => 's2' })->{status}, 401,
   'a login that the provider has ended meanwhile does not begin');
is($told->({ sub => 'liar', sid => undef })->{status}, 200,
   'a person by his subject');
is($lives->(), '', 'ends all of his');

# The proof of who we are: a secret in the body, keys of each kind

my $console = $kc->must(GET => '/clients?clientId=stoa-console')->{json}[0];
again('--oidc-client-auth=post', '--public-url=' . $t->control_url . '//');
$b = browser();
is(in('dave', $b)->{status}, 303,
   'the secret in the body; back to an address that ends with slashes');
is(arg($b->page(POST => "$ID/logout")->{json}{location},
       'post_logout_redirect_uri'), $t->control_url . '/', 'and home');
for my $alg (qw(RS256 ES256 ES384 ES512 EdDSA)) {
    my $key = token_key($t, "key-$alg", $alg);
    $kc->must(PUT => "/clients/$console->{id}", { %$console,
        clientAuthenticatorType => 'client-jwt', attributes => {
            %{ $console->{attributes} }, 'use.jwks.string' => 'true',
            'jwks.string' => json_encode(jwks($key)),
            'token.endpoint.auth.signing.alg' => $alg } });
    again('--oidc-secret-file=', "--oidc-key-file=$key->{pem}",
          "--oidc-key-id=$key->{kid}");
    is(in('dave', browser())->{status}, 303, "a key, $alg");
}
again('--oidc-secret-file=', "--oidc-key-file=$foreign->{pem}");
is(in('dave', browser())->{status}, 502, 'another key than is registered');
$kc->must(PUT => "/clients/$console->{id}", $console);

# What happens there to who is logged in here counts, without a request of his
# that waits

again('--oidc-refresh-s=2');
my $eve = $kc->user('eve', groups => ['/tenants/acme/developer']);
my $viewers = $kc->group('/tenants/acme/viewer');
$b = browser();
in('eve', $b);
my $before = $b->cookie('__Host-stoa');
sub role { return $b->get('/v1/whoami')->{json}{role} // '' }
is(role(), 'developer', 'a login');
$kc->must(DELETE => "/users/$eve/groups/"
          . $kc->group('/tenants/acme/developer'));
$kc->must(PUT => "/users/$eve/groups/$viewers");
ok((wait_until { role() eq 'viewer' } 15), 'another group: another role');
isnt($b->cookie('__Host-stoa'), $before, 'under another id');
if ($t->database !~ /^sqlite:/) {              # others write the same rows
    Test::Stoa::Feed::sql($t, $_) for 'CREATE SEQUENCE clashes',
        q{CREATE FUNCTION clash() RETURNS trigger LANGUAGE plpgsql AS $$
          BEGIN IF nextval('clashes') < 5 THEN RAISE EXCEPTION 'clash'
          USING ERRCODE = 'serialization_failure'; END IF; RETURN NEW; END $$},
        'CREATE TRIGGER clash BEFORE UPDATE OF secret ON sessions'
        . ' FOR EACH ROW EXECUTE FUNCTION clash()';
    ok((wait_until { $b->get('/v1/session');
        Test::Stoa::Feed::sql($t, 'SELECT last_value FROM clashes') >= 5 } 15),
       'four of five tries to write down what the provider gave fail');
    Test::Stoa::Feed::sql($t, 'DROP TRIGGER clash ON sessions');
    ok(!$t->metrics('control')
       ->{'stoa_control_oidc_renewals_total{result="failed"}'},
       'and it is not lost');
    is(role(), 'viewer', 'the login goes on');
}
for my $mode (qw(500 html slow)) {
    my $had = $t->metrics('control')
        ->{'stoa_control_oidc_renewals_total{result="failed"}'} // 0;
    spew($t->dir('mode'), $mode);
    $t->must(GET => '/v1/tenants');
    ok((wait_until { $b->get('/v1/session');
        ($t->metrics('control')
        ->{'stoa_control_oidc_renewals_total{result="failed"}'} // 0) > $had }
        45), "$mode: no answer of the provider");
    spew($t->dir('mode'), 'fine');
    is(role(), 'viewer', "$mode: the login goes on");
    Test::Stoa::Feed::sql($t, 'UPDATE sessions SET refresh_at = 1');
}
$kc->must(PUT => "/users/$eve", { enabled => JSON::PP::false,
    username => 'eve', firstName => 'E', lastName => 'E' });
ok((wait_until { $b->get('/v1/session')->{status} == 401 } 15),
   'disabled there: the login is over here');
$kc->must(PUT => "/users/$eve", { enabled => JSON::PP::true,
    username => 'eve', firstName => 'E', lastName => 'E' });
is($b->get('/v1/session')->{status}, 401, 'and stays over');


# From a terminal: a code, typed in a browser

again();
$kc->must(PUT => '', { oauth2DevicePollingInterval => 1,
                       accessTokenLifespan => 11 });
my $conf = $t->dir('ctl.yaml');
my %env = (STOA_CONFIG => $conf, STOA_URL => $t->control_url);
sub ctl { my (@args) = @_;
          return $t->run_cmd(["$Test::Stoa::OBJS/stoactl", @args],
                             env => \%env, timeout => 60) }
sub device {
    my ($user, $say, @more) = @_;
    local @ENV{keys %env} = values %env;
    delete local $ENV{STOA_TOKEN};
    open my $fh, '-|', "exec timeout 30 $Test::Stoa::OBJS/stoactl login @more 2>&1"
        or die;
    my $said = '';
    my $url;
    while (<$fh>) {
        $said .= $_;
        ($url) = /^or open (\S+)/ and last;
    }
    my $b = browser();
    my $page = $url && $say ? $b->at_device($url, $user, $say) : '';
    $said .= $_ while <$fh>;
    close $fh;
    return ($? >> 8, $said, $page);
}
my ($code, $said) = device('dave', 'accept');
is($code, 0, 'stoactl login') or diag $said;
like($said, qr{^Open \Q$kc->{url}\E\S+ in a browser and type the code \w{4}-\w{4}$}m,
     'where to go, what to type');
like($said, qr/^dave +user +developer +acme/m, 'who it is');
unlike($said, qr/eyJ/, 'and no token');
is((stat $conf)[2] & 0777, 0600, 'what it keeps is its own');
my ($out, $err);
($code, $out, $err) = ctl('whoami');
is($code, 0, 'a command as that person') or diag $err;
like($out, qr/dave/, 'without a token being given');
my $kept = sub { (slurp($conf) =~ /refresh_token: (\S+)/)[0] // '' };
my $first = $kept->();
spew($conf, slurp($conf) =~ s/expires_at: \d+/expires_at: 1/r, 0600);
my @runs = $t->together(map { sub { (ctl('whoami'))[0] } } 1 .. 8);
is("@runs", '0 0 0 0 0 0 0 0', 'eight at once, the token over');
isnt($kept->(), $first, 'one of them has asked for another');
is((stat $conf)[2] & 0777, 0600, 'which is kept likewise');
my $spent = $kept->();
($code, $out, $err) = ctl('logout');
is("$code $err", '0 ', 'logout');
unlike(slurp($conf), qr/eyJ/, 'forgets');
is($kc->token_of($kc->{realm}, grant_type => 'refresh_token',
    client_id => 'stoactl', refresh_token => $spent)->{error}, 'invalid_grant',
    'there, too');
($code, $out, $err) = ctl('whoami');
is($code, 3, 'nobody is logged in any more');
($code, $said) = device('dave', 'cancel');
is($code, 3, 'the person says no');
like($said, qr/was refused/, 'which is told');
$kc->must(PUT => '', { oauth2DeviceCodeLifespan => 3 });
($code, $said) = device('dave', '');
is($code, 4, 'nobody types the code');
like($said, qr/has ended/, 'which is told, too');
($code, $said) = device('dave', '', '--user', 'x', '--password-file',
                        $t->dir('none'));
is($code, 1, 'with --user it is a login by password');

# a server and a provider that play tricks

spew($t->dir('play'), '');
my $fake = $t->port('fake');
$t->origin(sub {
    my ($q) = @_;
    my $json = ['Content-Type' => 'application/json'];
    my $at = "http://127.0.0.1:$fake";
    my $play = slurp($t->dir('play'));
    return [200, $json, json_encode({ password => JSON::PP::true, oidc => {
        device => $play eq 'none' ? undef : { client_id => 'c', scope => 's',
            token_endpoint => $play eq 'file' ? 'file:///etc/passwd'
            : "$at/token", device_authorization_endpoint => "$at/device" } } })]
        if $q->{path} eq '/v1/session/ways';
    return [200, [@$json, 'Set-Cookie' => '__Host-stoa=theirs; Path=/'],
        json_encode({ device_code => 'd', user_code => "A\e[31mB",
            verification_uri => 'http://x', expires_in => 12, interval => 1 })]
        if $q->{path} eq '/device';
    return [200, $json, '{"name":"me","kind":"user"}']
        if $q->{path} eq '/v1/whoami';
    return [404, $json, '{}'] if $q->{path} ne '/token';
    my $n = grep { $_->{path} eq '/token' } $t->origin_log('fake');
    return [400, $json, '{"error":"expired_token"}'] if $play eq 'expired';
    return [400, $json, '{"error":"invalid_client"}'] if $play eq 'client';
    return [502, ['Content-Type' => 'text/html'], '<h1>no</h1>'] if $n == 1;
    return [400, $json, '{"error":"authorization_pending"}'] if $n == 2;
    return [200, $json, '{"access_token":"tok-1","expires_in":100}'];
}, name => 'fake', port => $fake);
my $mine2 = $t->dir('ctl2.yaml');
sub ctl2 { my (@args) = @_; unlink $mine2;
           return $t->run_cmd(["$Test::Stoa::OBJS/stoactl", @args],
               env => { STOA_CONFIG => $mine2, STOA_TOKEN => '', STOA_URL =>
                        "http://127.0.0.1:$fake" }, timeout => 60) }
($code, $out, $err) = ctl2('login');
is($code, 0, 'a bad gateway, then a yes') or diag $err;
unlike($err, qr/\e/, 'nothing for the terminal but text');
like(slurp($mine2), qr/access_token: tok-1/, 'the token is kept');
unlike(slurp($mine2), qr/theirs/, "no cookie of the provider's is");
my @sent = grep { $_->{path} =~ /token|device/ } $t->origin_log('fake');
ok(!(grep { $_->{headers}{authorization} || $_->{headers}{cookie} } @sent),
   'it gets nothing of ours');
for (['expired', 4], ['client', 3], ['none', 1], ['file', 1]) {
    spew($t->dir('play'), $_->[0]);
    is((ctl2('login'))[0], $_->[1], "login: $_->[0]");
    ok(!-e $mine2, 'and nothing is kept');
}
device('dave', 'accept') if $kc->must(PUT => '',
    { oauth2DeviceCodeLifespan => 600 });
$kc->must(POST => "/users/$dev/logout");
spew($conf, slurp($conf) =~ s/expires_at: \d+/expires_at: 1/r, 0600);
($code, $out, $err) = ctl('whoami');
is($code, 3, 'logged out at the provider');
like($err, qr/stoactl login/, 'and what to do');
$kc->must(PUT => '', { accessTokenLifespan => 300 });


# Rules that change, a provider that is away

again();
$b = browser();
in('dave', $b);
is($b->get('/v1/session')->{status}, 200, 'a login');
again('--oidc-grants=group:/tenants/{tenant}/{role}={tenant}:viewer');
is($b->get('/v1/session')->{status}, 401,
   'by rules that are no more: log in again');
in('dave', $b);
is($b->get('/v1/whoami')->{json}{role}, 'viewer', 'with what the new ones say');
$t->stop('control');
$t->control(args => $kc->control_args('--oidc-url=http://127.0.0.1:'
    . $t->port('nobody')));
$r = browser()->get($ID);
is($r->{status}, 503, 'it is away: nobody is sent there');
is($b->get('/v1/session')->{status}, 401, 'logins by other rules are over');
for my $bad (['--public-url='], ['--oidc-secret-file='],
             ['--oidc-key-file=' . $sign->{pem}],
             ['--oidc-secret-file=', '--oidc-key-file=' . $t->dir('mode')])
{
    my ($code, $out, $err) = $t->run_cmd(["$Test::Stoa::OBJS/stoa-control",
        @{ $kc->control_args }, @$bad, '--check-config']);
    isnt($code, 0, "not started with @$bad");
    like($err, qr/oidc_|public_url/, 'and why');
}

$t->done;
