#!/usr/bin/perl

# Refusals that clients survive: once the message is known, the answer is an
# answer to it, says who refuses and when to come again, and is counted as
# what it is.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

my %say = (
    html => [500, ['Content-Type' => 'text/html'], '<html>'],
    login => [401, ['Content-Type' => 'text/html',
                    'WWW-Authenticate' => 'Bearer x="evil"'], '<html>'],
    limited => [429, ['Content-Type' => 'text/plain', 'Retry-After' => 7],
                'no'],
    busy => [503, ['Content-Type' => 'text/plain', 'Retry-After' =>
             'Wed, 01 Jan 2094 00:00:00 GMT'], 'no'],
);
my $port = $t->origin(sub {
    my ($q, $c) = @_;
    my $m = json_decode($q->{body}) || {};
    my $name = $m->{method} && $m->{method} eq 'tools/call'
        ? $m->{params}{name} : '';
    return $say{$name} if $say{$name};
    if ($name eq 'hang') { $c->fill(time + 30); return undef; }
    return Test::Stoa::MCP::answer({ era => 'dual', versions =>
        ['2026-07-28', @Test::Stoa::MCP::LEGACY], tools =>
        { map { ($_ => sub { 'fine' }) } 'ok', 'hang', keys %say } }, $q, $c);
}, name => 'up');
my $dead = $t->mcp_origin(name => 'dead');

$t->apply(demo(mcp => { up => { port => $port, upstream =>
        "  read_timeout_ms: 300\n" }, dead => $dead })
    . document('Plan', 'acme', 'slow', "rate: 1\nper_ms: 4000\n")
    . document('Plan', 'acme', 'daily', "quota_day: 1\n")
    . join('', map { document('Application', 'acme', $_)
        . subscribe('acme', $_, 'api', 'up', $_) } qw(slow daily))
    . document('Application', 'acme', 'none'));
for my $api (qw(up dead)) {
    wait_until { ($t->api('GET', "/v1/tenants/acme/apis/$api")->{json}
        {discovery}{state} // '') eq 'ok' } 20 or $t->give_up($api);
}
$t->apply(document('Server', 'acme', 'desk', "state: published\ntools:\n"
        . "  - { api: up, tool: ok }\n")
    . subscribe('acme', 'app', 'server', 'desk', 'basic'));
my $http = $t->port('http');
$t->gateway(http => "server { listen 127.0.0.1:$http; "
    . "location / { stoa; stoa_mcp_refusal http; } }\n");
my %key = map { ($_ => $t->key('acme', $_)) } qw(app slow daily none);
$t->sync;
$t->kill9('dead');

sub ask {
    my ($era, $who, $tool, %o) = @_;
    my $path = delete $o{path} // '/mcp/acme';
    return $t->mcp($path, 'tools/call', { name => $tool, arguments => {} },
        era => $era, key => $key{$who}, id => 'a"b', %o);
}
sub said { my ($r) = @_;
    my $e = $r->{rpc}{error} || {};
    return join ' ', $r->{status}, $r->{rpc}{id} // 'no id',
        $e->{code} // 'no error', $e->{data}{code} // '' }

# who asks for what; the error, its api, whether it was executed, when to try
# again (seconds, as a pattern), what the message says
my @rows = (
    ['slow', 'up__ok', 429, 'rate_exceeded', 'up', 'no', '[1-4]',
     'up: The plan\'s rate is used up; retry in \d s.'],
    ['daily', 'up__ok', 429, 'quota_exceeded', 'up', 'no', '\d+',
     'up: The plan\'s quota is used up; retry in \d+ s.'],
    ['none', 'up__ok', 403, 'not_subscribed', undef, undef, undef,
     'The application has no subscription .* acme/up'],
    ['app', 'dead__echo', 502, 'upstream_unreachable', 'dead', 'no', undef,
     'dead: The API\'s server could not be reached'],
    ['app', 'up__hang', 504, 'upstream_timeout', 'up', 'unknown', undef,
     'up: The API\'s server did not answer in time'],
    ['app', 'up__html', 502, 'upstream_invalid', 'up', 'unknown', undef,
     'up: .*HTTP status 500'],
    ['app', 'up__login', 502, 'upstream_credential', 'up', 'no', undef,
     'up: .*HTTP status 401'],
    ['app', 'up__limited', 429, 'upstream_limited', 'up', 'no', '7',
     'up: .*HTTP status 429; retry in 7 s'],
    ['app', 'up__busy', 503, 'upstream_busy', 'up', 'unknown', '.* GMT',
     'up: .*HTTP status 503; retry in \d{10} s'],
);

for my $era (qw(modern legacy)) {
    my %session = map { ($_ => $era eq 'legacy'
        ? ($t->mcp_session('/mcp/acme', key => $key{$_}))[0] : undef) }
        keys %key;
    ask($era, $_, 'up__ok', session => $session{$_}) for qw(slow daily);

    for my $row (@rows) {
        my ($who, $tool, $code, $name, $api, $done, $when, $text) = @$row;
        my $logged = sub { scalar grep { /^$code / } $t->log_lines };
        my $lines = $logged->();
        my $r = ask($era, $who, $tool, session => $session{$who});

        is(said($r), qq(200 a"b $code $name), "$era: $name");
        my $e = $r->{rpc}{error} || {};
        like($e->{message}, qr/^\Q\E$text/, '... the message');
        is($e->{data}{api}, $api, '... the api');
        is($e->{data}{executed}, $done, '... whether it was executed');
        if (defined $when) {
            like($r->{headers}{'retry-after'}, qr/^$when$/, '... Retry-After');
            cmp_ok($e->{data}{retry_after_ms} || 0, '>', 0, '... as a number');
        } else {
            is($r->{headers}{'retry-after'}, undef, '... no Retry-After');
        }
        unlike($r->{raw}, qr/WWW-Auth/i, '... no challenge');
        ok((wait_until { $logged->() > $lines } 5), '... is in the log');
    }
    like(ask($era, 'slow', 'up__ok', session => $session{slow})
         ->{headers}{ratelimit}, qr/^"rate";r=0/, "$era: RateLimit");

    is(ask($era, 'app', 'up__ok', session => $session{app})
       ->{rpc}{result}{content}[0]{text}, 'fine', "$era: and it goes on");

    # as a status, where that is asked for

    my $r = ask($era, 'slow', 'up__ok', session => $session{slow},
                port => $http);
    is(said($r), '429 a"b 429 rate_exceeded', "$era: http, a rate");
    like($r->{headers}{'retry-after'}, qr/^[1-4]$/, '... Retry-After');
    is(said(ask($era, 'app', 'up__html', session => $session{app},
        port => $http)), '502 a"b 502 upstream_invalid',
       "$era: http, an upstream");
}

# ---- what ends while a client is there

my $desk = '/mcp/acme/desk';
my ($session) = $t->mcp_session($desk, key => $key{app});
my @s = (path => $desk, session => $session);
is(ask('legacy', 'app', 'up__ok', @s)->{rpc}{result}{content}[0]{text},
   'fine', 'a bundle');
my ($sub) = grep { $_->{server} } @{ $t->must('GET',
    '/v1/tenants/acme/subscriptions')->{items} };
for my $row (["/v1/tenants/acme/subscriptions/$sub->{id}",
              'subscription_suspended'],
             ['/v1/tenants/acme', undef])
{
    my ($what, $name) = @$row;
    $t->must('POST', "$what/suspend");
    $t->sync;
    if (!$name) {
        # the key is the tenant's own
        is(ask('legacy', 'app', 'up__ok', @s)->{status}, 403,
           'a tenant that is suspended is no longer served');
    } else {
        for my $method (qw(tools/list ping)) {
            is(said($t->mcp($desk, $method, undef, era => 'legacy', id => 5,
                session => $session, key => $key{app})), "200 5 403 $name",
               "$name: $method");
        }
        is(said(ask('legacy', 'app', 'up__ok', @s)), qq(200 a"b 403 $name),
           "$name: tools/call");
        is($t->mcp($desk, 'notifications/initialized', undef, era => 'legacy',
            session => $session, key => $key{app})->{status}, 403,
           "$name: a notification has no answer");
    }
    $t->must('POST', "$what/resume");
    $t->sync;
    is(ask('legacy', 'app', 'up__ok', @s)->{rpc}{result}{content}[0]{text},
       'fine', '... and resumed: the same session goes on');
}

# ---- it counts as what it is

my %seen;
wait_until {
    %seen = map { ($_->{refused} // '') => $_ } @{ $t->must('GET',
        '/v1/tenants/acme/usage?by=refused')->{items} };
    ($seen{upstream_busy}{c5xx} // 0) >= 2;
} 15;
is(join(' ', map { my $n = $seen{$_} || {};
    "$_:" . join '/', map { $n->{"c${_}xx"} // 0 } 2, 4, 5 }
    qw(upstream_busy upstream_timeout quota_exceeded)),
   'upstream_busy:0/0/2 upstream_timeout:0/0/2 quota_exceeded:0/3/0',
   'usage: a refusal is no success');

$t->done;
