#!/usr/bin/perl

# Whom an application stands for in a real Keycloak: what happens there counts
# at every gateway within ten seconds, and what does not answer says nothing.

use FindBin;
use lib "$FindBin::Bin/lib";
use HTTP::Tiny;
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Keycloak;
use Time::HiRes ();

my $t = Test::Stoa->new->has('module', 'control', 'keycloak', 'slapd');
my $kc = Test::Stoa::Keycloak->new($t);

# Keycloak through a door of ours, which can be shut in several ways

spew($t->dir('mode'), 'open');
my $door = $t->origin(sub {
    my ($q) = @_;
    my $mode = slurp($t->dir('mode'));
    my $is = sub { $mode eq $_[0] && $q->{path} =~ m{/admin/} };
    return [500, [], 'sorry'] if $is->('500');
    return [403, ['Content-Type' => 'application/json'],
            '{"error":"HTTP 403 Forbidden"}'] if $is->('403');
    return [200, ['Content-Type' => 'application/json'], '[]']
        if $is->('empty');
    return [404, ['Content-Type' => 'text/html'], '<h1>Not Found</h1>']
        if $is->('404');
    return [500, [], 'no'] if $is->('events alone')
        && $q->{path} =~ m{/clients$} && $q->{query} =~ /=stoa-control/;
    return [403, ['Content-Type' => 'application/json'],
            '{"error":"HTTP 403 Forbidden"}'] if $is->('no events')
        && $q->{path} =~ m{/admin-events$};
    return [404, ['Content-Type' => 'application/json'],
            '{"error":"Realm not found."}'] if $is->('realm');
    return [500, [], 'no'] if $is->('no groups')
        && $q->{path} =~ m{/users/[^/]+/groups$};
    Time::HiRes::sleep(4) if $is->('slow') && $q->{path} =~ m{/clients$};
    return [200, ['Content-Type' => 'application/json'],
            '[' . join(',', ('{"id":"x","representation":"' . 'x' x 1e6 . '"}')
                       x 40) . ']']
        if $is->('large') && $q->{path} =~ m{/admin-events$}
        && $q->{query} !~ /max=1$/;
    my $h = $q->{headers};
    my $r = HTTP::Tiny->new->request($q->{method}, $kc->{url} . $q->{path}
        . (length($q->{query} // '') ? "?$q->{query}" : ''), {
        headers => { map { $h->{$_} ? ($_ => $h->{$_}) : () }
                     qw(authorization content-type accept) },
        length($q->{body} // '') ? (content => $q->{body}) : () });
    if ($is->('hold') && $q->{path} =~ m{/clients/}) {
        spew($t->dir('held'), '1');
        wait_until { slurp($t->dir('mode')) ne 'hold' } 15;
    }
    return [$r->{status}, ['Content-Type' => $r->{headers}{'content-type'}
                           // 'application/json'], $r->{content}];
}, name => 'door');
my $inner = "http://127.0.0.1:$door/realms/$kc->{realm}";
my @args = (args => $kc->control_args("--oidc-url=$inner",
                                      '--keycloak-look-ms=400'));
$t->control(@args);

my $ann = $kc->user('ann', groups => ['/tenants/acme/developer']);
my $bob = $kc->user('bob');
my $billing = $kc->client('billing', serviceAccountsEnabled => JSON::PP::true);
my $to = 'http://127.0.0.1:' . $t->origin;
my @apps = qw(of-client of-ann of-ann-group of-bob of-nobody free);
$t->apply(docs(tenant('acme'), plan('acme', 'free'),
    rest('acme', 'echo', $to),
    app('acme', 'of-client', owner => { client => 'billing' }),
    app('acme', 'of-ann', owner => { user => 'ann' }),
    app('acme', 'of-ann-group', owner => { user => 'ann',
        group => '/tenants/acme/developer' }),
    app('acme', 'of-bob', owner => { user => 'bob' }),
    app('acme', 'of-nobody', owner => { client => 'nobody' }),
    app('acme', 'free'),
    map { sub_('acme', $_, 'echo', 'free') } @apps));
my %key = map { ($_ => $t->key('acme', $_)) } @apps;
$t->gateway;
$t->gateway(name => 'gw2');

sub app_of { return $t->must(GET => "/v1/tenants/acme/applications/$_[0]") }
sub look { return $t->must(GET => '/v1/identity-provider')->{owners} }
sub says {
    my ($app, $gw) = @_;
    my $r = $t->get('/apis/acme/echo/', key => $key{$app},
                    gateway => $gw // 'gw');
    return $r->{status} == 200 ? 'yes' : $r->{json}{type} =~ s/.*://r;
}

# Both gateways say so within the ten seconds that are promised.

sub becomes {
    my ($app, $want, $what) = @_;
    my $began = Time::HiRes::time();
    my $ok = wait_until { says($app) eq $want && says($app, 'gw2') eq $want }
        10 / $Test::Stoa::SLOW;
    is(says($app), $want, $what);
    ok($ok, sprintf '%s: after %.1f s, at every gateway', $what,
       Time::HiRes::time() - $began);
}

becomes('of-nobody', 'owner_disabled', 'an owner that is not there');
is(app_of('of-nobody')->{owner_seen}{state}, 'gone', 'and it is said');
wait_until { app_of('of-client')->{owner_seen}{state} eq 'active' } 10;
is(says($_), 'yes', "$_ may call")
    for qw(of-client of-ann of-ann-group of-bob free);
is(app_of('of-client')->{owner_seen}{id}, $billing,
   'known by what never changes');

# disabled, enabled

$kc->must(PUT => "/clients/$billing", { clientId => 'billing',
    enabled => JSON::PP::false });
becomes('of-client', 'owner_disabled', 'a client is disabled');
is(app_of('of-client')->{owner_seen}{state}, 'disabled', 'as is said');
$kc->must(PUT => "/clients/$billing", { clientId => 'billing',
    enabled => JSON::PP::true });
becomes('of-client', 'yes', 'enabled again');

$kc->must(PUT => "/users/$ann", { enabled => JSON::PP::false });
becomes('of-ann', 'owner_disabled', 'a user is disabled');
$kc->must(PUT => "/users/$ann", { enabled => JSON::PP::true });
becomes('of-ann', 'yes', 'enabled again');

# groups

my $group = $kc->group('/tenants/acme/developer');
$kc->must(DELETE => "/users/$ann/groups/$group");
becomes('of-ann-group', 'owner_disabled', 'out of the group');
is(app_of('of-ann-group')->{owner_seen}{state}, 'left', 'as is said');
is(says('of-ann'), 'yes', 'where no group was asked for nothing changes');
$kc->must(PUT => "/users/$ann/groups/$group");
becomes('of-ann-group', 'yes', 'in it again');

# another name, another one of that name

$kc->must(PUT => "/users/$bob", { username => 'robert' });
my $at = &look->{good_at};
wait_until { &look->{good_at} ne $at } 10;
is(says('of-bob'), 'yes', 'a new name is the same person');
$kc->must(DELETE => "/users/$bob");
becomes('of-bob', 'owner_disabled', 'deleted');
$kc->user('bob');
$at = &look->{good_at};
wait_until { &look->{good_at} gt $at } 10;
$at = &look->{good_at};
wait_until { &look->{good_at} gt $at } 10;
is(says('of-bob'), 'owner_disabled', 'somebody else of that name is not he');

# who may tie

my $dev = $t->must(POST => '/v1/admin-tokens', { name => 'dev',
    role => 'developer', tenant => 'acme' })->{token};
is($t->api(PATCH => '/v1/tenants/acme/applications/of-bob',
           { owner => undef }, token => $dev,
           headers => { 'Content-Type' => 'application/merge-patch+json' })
   ->{status}, 403, 'a developer does not untie what is held back');
for my $bad ({}, { client => 'a', user => 'b' },
             { client => 'a', group => '/x' })
{
    is($t->api(POST => '/v1/tenants/acme/applications', { name => 'bad',
        owner => $bad })->{status}, 422, 'no owner: ' . json_encode($bad));
}

# what does not answer says nothing

for my $mode (qw(500 403 empty 404 realm)) {
    spew($t->dir('mode'), $mode);
    wait_until { &look->{state} eq 'failing' } 15;
    is(&look->{state}, 'failing', "$mode: the look has failed, which is said");
    wait_until { events()->{state} eq 'failing' } 15;
    is(events()->{state}, 'failing', "$mode: and so has that at events");
    is($t->metrics('control')->{stoa_control_owners_failing}, 1,
       "$mode: and counted");
    $at = &look->{at};
    wait_until { &look->{at} gt $at } 15;
    is(says($_), $_ eq 'of-bob' ? 'owner_disabled' : 'yes',
       "$mode: $_ is as before") for qw(of-client of-ann of-ann-group of-bob);
    spew($t->dir('mode'), 'open');
    wait_until { &look->{state} eq 'ok' } 15;
}

# events alone: a look at all begins with ourselves, and fails

sub events { return &look->{events} }

is(events->{state}, 'ok', 'events are read');
spew($t->dir('mode'), 'events alone');
wait_until { &look->{state} eq 'failing' } 15;
is(events->{state}, 'ok', 'and are when nothing else is');
my $out = &look->{disowned};

$kc->must(PUT => "/clients/$billing", { clientId => 'billing',
    enabled => JSON::PP::false });
becomes('of-client', 'owner_disabled', 'by an event: a client is disabled');
is(&look->{disowned}, $out + 1, 'as is counted');
$kc->must(PUT => "/clients/$billing", { clientId => 'billing',
    enabled => JSON::PP::true });
becomes('of-client', 'yes', 'by an event: enabled again');
$kc->must(DELETE => "/users/$ann/groups/$group");
becomes('of-ann-group', 'owner_disabled', 'by an event: out of the group');
is(says('of-ann'), 'yes', 'she herself is not');
$kc->must(PUT => "/users/$ann/groups/$group");
becomes('of-ann-group', 'yes', 'by an event: in it again');
$kc->must(PUT => "/groups/$group", { name => 'makers' });
becomes('of-ann-group', 'owner_disabled', 'by an event: it has another name');
$kc->must(PUT => "/groups/$group", { name => 'developer' });
becomes('of-ann-group', 'yes', 'by an event: it has its own');
$kc->client('nobody');
becomes('of-nobody', 'yes', 'by an event: a client is made');
$t->apply(docs(app('acme', 'of-later', owner => { user => 'ann' })));
wait_until { app_of('of-later')->{owner_seen}{state} eq 'active' } 10;
is(app_of('of-later')->{owner_seen}{state}, 'active',
   'who is tied now is asked for now');

# a look that is answered in part: he is enabled, but is he in the group?

spew($t->dir('mode'), 'open');
wait_until { &look->{state} eq 'ok' } 15;
my $zoe = $kc->user('zoe', groups => ['/tenants/acme/viewer']);
my $viewer = $kc->group('/tenants/acme/viewer');
$t->apply(docs(app('acme', 'of-zoe-group', owner => { user => 'zoe',
    group => '/tenants/acme/viewer' })));
sub seen { return app_of($_[0])->{owner_seen}{state} }
wait_until { seen('of-zoe-group') eq 'active' } 10;
$kc->must(DELETE => "/users/$ann/groups/$group");
$kc->must(DELETE => "/users/$zoe/groups/$viewer");
wait_until { seen('of-zoe-group') eq 'left' && seen('of-ann-group') eq 'left' }
    10;
spew($t->dir('mode'), 'no groups');
for (1, 2) {
    $at = &look->{at};
    wait_until { &look->{at} gt $at } 15;
}
is(&look->{state}, 'failing', 'groups are not answered');
is(seen($_), 'left', "$_: so nobody is in one again")
    for qw(of-ann-group of-zoe-group);
spew($t->dir('mode'), 'open');
$kc->must(PUT => "/users/$ann/groups/$group");
becomes('of-ann-group', 'yes', 'answered again');

# an answer that was made before the event that is read behind it

sub writes { return scalar @{ $t->must(GET => '/v1/audit?tenant=acme&'
    . 'kind=application&action=update&limit=200')->{items} } }
my $writes = writes();
unlink $t->dir('held');
spew($t->dir('mode'), 'hold');
wait_until { -e $t->dir('held') } 15;
$kc->must(PUT => "/clients/$billing", { clientId => 'billing',
    enabled => JSON::PP::false });
Time::HiRes::sleep(0.6);                         # events are due then
spew($t->dir('mode'), 'open');
becomes('of-client', 'owner_disabled', 'disabled while another answer waited');
for (1, 2) {
    $at = &look->{good_at};
    wait_until { &look->{good_at} gt $at } 15;
}
is(writes() - $writes, 1, 'and was never enabled by that');
$kc->must(PUT => "/clients/$billing", { clientId => 'billing',
    enabled => JSON::PP::true });
becomes('of-client', 'yes', 'enabled again');

# events that are too long to be read at once

spew($t->dir('mode'), 'large');
$at = events->{at};
wait_until { events->{at} gt $at } 15;
$at = events->{at};
wait_until { events->{at} gt $at } 15;
is(events->{state}, 'ok', 'long events are read one by one');
spew($t->dir('mode'), 'open');

# looks at all that take long

spew($t->dir('mode'), 'slow');
for (1, 2) {
    $at = &look->{at};
    wait_until { &look->{at} gt $at } 30;
}
$kc->must(POST => '/partialImport', { ifResourceExists => 'OVERWRITE',
    clients => [{ clientId => 'billing', enabled => JSON::PP::true }] });
becomes('of-client', 'owner_disabled',
        'an import has put another one in its place');
$t->must(PATCH => '/v1/tenants/acme/applications/of-client',
    { owner => undef });
$billing = $kc->must(GET => '/clients?clientId=billing')->{json}[0]{id};
$t->must(PATCH => '/v1/tenants/acme/applications/of-client',
    { owner => { client => 'billing' } });
becomes('of-client', 'yes', 'tied to that');

# what events leave out is found by a look at all

spew($t->dir('mode'), 'no events');
wait_until { events->{state} eq 'failing' } 15;
is(events->{state}, 'failing', 'events that may not be read are said');
like(events->{error}, qr/403.*view-events/, 'with what is needed');
is($t->metrics('control')->{stoa_control_owner_events_failing}, 1,
   'and counted');
$kc->must(PUT => "/users/$ann", { enabled => JSON::PP::false });
becomes('of-ann', 'owner_disabled', 'without events: a user is disabled');
spew($t->dir('mode'), 'open');
wait_until { events->{state} eq 'ok' } 15;

$kc->must(PUT => '/events/config', { adminEventsEnabled => JSON::PP::false });
wait_until { events->{state} eq 'failing' } 15;
like(events->{error}, qr/adminEventsEnabled/, 'events that are off are said');
$kc->must(PUT => "/users/$ann", { enabled => JSON::PP::true });
becomes('of-ann', 'yes', 'without events: enabled again');
$kc->must(PUT => '/events/config', { adminEventsEnabled => JSON::PP::true });
wait_until { events->{state} eq 'ok' } 15;

$kc->must(PUT => "/users/$ann", { enabled => JSON::PP::false });
$kc->must(DELETE => '/admin-events');
becomes('of-ann', 'owner_disabled', 'events that are removed hide nothing');
wait_until { slurp($t->dir('control.out')) =~ /admin events were removed/ } 10;
like(slurp($t->dir('control.out')), qr/admin events were removed/, 'and that is logged');
$kc->must(PUT => "/users/$ann", { enabled => JSON::PP::true });
becomes('of-ann', 'yes', 'enabled again');

# while the control plane was away

$t->stop('control');
$kc->must(PUT => "/users/$ann", { enabled => JSON::PP::false });
$t->control(args => $kc->control_args);          # as often as it is by itself
becomes('of-ann', 'owner_disabled', 'disabled before a start');
$kc->must(PUT => "/users/$ann", { enabled => JSON::PP::true });
becomes('of-ann', 'yes', 'enabled again');

my ($code, $out) = $t->stoactl('identity');
like($out, qr/owners.*ok/s, 'stoactl says how the last look was');

# the document of docs/identity.md

my ($billing_doc) = slurp("$Test::Stoa::ROOT/docs/identity.md")
    =~ /```yaml\n(apiVersion: .*?)```/s;
$t->apply($billing_doc);
ok((wait_until { (app_of('billing')->{owner_seen}{state} // '') eq 'active' }
    10), 'docs/identity.md: an application that stands for a client');

$t->done;
