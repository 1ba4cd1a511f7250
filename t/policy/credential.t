#!/usr/bin/perl

# upstream-credential: what an upstream is shown, by calls of REST and MCP, by
# what the gateway asks itself, and by discovery; by whom it is never seen.
# Row A5: nothing of the client's own credentials reaches an MCP upstream.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;
use MIME::Base64;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;
my $base = '/v1/tenants/acme';

# An MCP server that lets nobody in without the one credential in force.

my $strict = sub {
    my ($name, $q, $c) = @_;
    my $want = slurp($t->dir("$name.want"));
    return [401, ['WWW-Authenticate' => 'Bearer realm="inside"',
                  'Content-Type' => 'text/plain'], 'who are you?']
        if ($q->{headers}{authorization} // '') ne $want;
    return [204] if $q->{method} eq 'DELETE';
    my $m = json_decode($q->{body}) || {};
    return [202] unless $m->{method};
    return Test::Stoa::MCP::answer({ name => $name, era => 'legacy',
        sessions => 1, versions => \@Test::Stoa::MCP::LEGACY,
        tools => { seen => sub { json_encode($_[2]{headers}) } } }, $q, $c);
};
sub want { my ($name, $text) = @_; spew($t->dir("$name.want"), $text) }
my $m1 = 's3cret-M1-first';
want(m1 => "Bearer $m1");
want(m2 => 'Basic ' . encode_base64('agent:s3cret-M2', ''));
my %mcp = map { my $name = $_;
    ($name => $t->origin(sub { $strict->($name, @_) }, name => $name)) }
    qw(m1 m2);
my $to = 'http://127.0.0.1:' . $t->origin(undef, name => 'echo');

sub secret { my ($name, $value, %o) = @_;
             return doc('Secret', $o{tenant} // 'acme', $name,
                        { value => $value }) }
sub policy { my ($name, $api, %o) = @_;
             my $state = delete $o{state} // 'enabled';
             return doc('Policy', 'acme', $name, { state => $state,
                 type => 'upstream-credential', config => \%o,
                 attach => $api ? [{ api => $api }] : [] }) }
sub mcp_api { my ($name) = @_;
    return doc('Api', 'acme', $name, { kind => 'mcp', state => 'published',
        identity => 'headers', upstream => { targets => [
            { url => "http://127.0.0.1:$mcp{$name}/mcp" }] } }) }
sub tools { my ($api) = @_;
    return @{ $t->api('GET', "$base/apis/$api/tools")->{json}{items} || [] } }
sub discovery { $t->api('GET', "$base/apis/$_[0]")->{json}{discovery} }

$t->apply(docs(tenant('acme'), tenant('beta'), app('acme', 'demo'),
    plan('acme', 'free'), secret(beta => 's3cret-BETA', tenant => 'beta'),
    (map { rest('acme', $_, $to) } qw(r1 r2 r3)), mcp_api('m1'),
    map { sub_('acme', 'demo', $_, 'free') } qw(r1 r2 r3 m1)));


# discovery: refused, until it is shown what the policy says

wait_until { (discovery('m1')->{state} // '') eq 'failed' } 20;
like(discovery('m1')->{error}, qr/401/, 'discovery without it is refused');
$t->apply(docs(secret(m1 => $m1), secret(m2 => 's3cret-M2'),
    secret(r1 => 's3cret-R1'), secret(r2 => 's3cret-R2'), mcp_api('m2'),
    sub_('acme', 'demo', 'm2', 'free'),
    policy('m1', 'm1', kind => 'header', value => 'Bearer ${secret:m1}'),
    policy('m2', 'm2', kind => 'basic', username => 'agent',
           password => '${secret:m2}'),
    policy('r1', 'r1', kind => 'header', header => 'X-Upstream-Key',
           value => 'k ${secret:r1}'),
    policy('r2', 'r2', kind => 'basic', username => 'user',
           password => '${secret:r2}'),
    doc('Policy', 'acme', 'up', { type => 'headers', config => { request_set
        => [{ name => 'X-Up', value => '${api}' }] },
        attach => [{ api => 'm1' }] }),
    policy('r3', 'r3', state => 'shadow', kind => 'header',
           value => '${secret:r1}')));
ok(wait_until(sub { tools('m1') }, 20),
   'a credential that is attached is used by discovery at once');
ok(wait_until(sub { tools('m2') }, 20), 'a user and a password too');


# what is refused

for my $case (
    ['a text without a secret', { kind => 'header', value => 'Bearer x' },
     qr/must be a secret/],
    ['a password as it is', { kind => 'basic', username => 'u',
     password => 'x' }, qr/must be a secret/],
    ['a secret in a user\'s name', { kind => 'basic', password =>
     '${secret:r1}', username => '${secret:r1}' }, qr/without a colon/],
    ['another tenant\'s secret', { kind => 'header', value =>
     '${secret:beta}' }, qr/no secret/],
    ['a member of another kind', { kind => 'header', username => 'u',
     value => '${secret:r1}' }, qr/not of this kind/],
    ['one without its value', { kind => 'header' }, qr/required/],
    ['an unknown kind', { kind => 'magic' }, qr/must be one of/],
    (map { ["the header $_", { kind => 'header', header => $_,
            value => '${secret:r1}' }, qr/must be a header/] }
     'Host', 'X-Stoa-Key', 'Cookie', 'Proxy-Authorization',
     'Mcp-Session-Id', 'a b'),
) {
    my ($name, $config, $why) = @$case;
    my $r = $t->api(POST => "$base/policies", { name => 'bad',
        type => 'upstream-credential', config => $config,
        attach => [{ api => 'r3' }] });
    is($r->{status}, 422, "$name: 422");
    like($r->{body}, $why, "$name: the reason");
}
for my $attach ({ tenant => 'acme' }, { application => 'demo' },
                { plan => 'free' })
{
    is($t->api(POST => "$base/policies", { name => 'bad', attach => [$attach],
        type => 'upstream-credential', config => { kind => 'header',
        value => '${secret:r1}' } })->{status}, 422,
       'not for a ' . (keys %$attach)[0]);
}


# REST: in the fast lane, by nginx's own upstream, in front of a proxy_pass

$t->gateway(server => "location /p/ { stoa_protect tenant=acme api=r1;"
                      . " proxy_pass $to/; }");
$t->gateway(name => 'slow', server => 'stoa_fast off;');
my $key = $t->key('acme', 'demo');
my @gw = qw(gw slow);
$t->sync($_) for @gw;
sub got { my ($api, %o) = @_;
          return $t->get($o{path} // "/apis/acme/$api/", key => $key,
              gateway => $o{gw} // 'gw', headers => $o{headers} // {})
              ->{json}{headers} }
for my $gw (@gw) {
    is(got('r1', gw => $gw)->{'x-upstream-key'}, 'k s3cret-R1',
       "$gw: a header") for 1 .. 2;
    is(got('r2', gw => $gw)->{authorization},
       'Basic ' . encode_base64('user:s3cret-R2', ''), "$gw: basic");
    is(got('r3', gw => $gw)->{authorization}, undef, "$gw: not in shadow");
    my $h = got('r1', gw => $gw, headers => { 'X-Upstream-Key' => 'mine',
        'X_Upstream_Key' => 'mine', 'x-upstream.key' => 'mine' });
    is(join(',', map { $h->{$_} } grep { /^x.upstream.key/ } keys %$h),
       'k s3cret-R1', "$gw: instead of the client's own, however spelled");
}
is(got('r1', path => '/p/')->{'x-upstream-key'}, 'k s3cret-R1',
   'stoa_protect: the location\'s upstream gets it too');


# MCP: calls, and what the gateway asks by itself

sub open_session { my ($path) = @_;
    my $r = $t->mcp($path, 'initialize', { protocolVersion => '2025-11-25',
        capabilities => {}, clientInfo => { name => 't', version => '1' } },
        era => 'legacy', key => $key);
    return $r->{session} }
sub call { my ($session, $tool, %o) = @_;
    return $t->mcp('/mcp/acme', 'tools/call', { name => $tool,
        arguments => {} }, era => 'legacy', session => $session,
        key => $key, headers => $o{headers} // {}) }
my $s = open_session('/mcp/acme');
my $r = call($s, 'm1__seen', headers => { Cookie => 'a=b',
    'Proxy-Authorization' => 'Basic x', 'X-API-Key' => $key,
    Authorization => 'Basic bWluZQ==' });
my $seen = json_decode($r->{rpc}{result}{content}[0]{text} // '{}');
is($seen->{authorization}, "Bearer $m1", 'the upstream gets the gateway\'s');
is(join(',', map { $seen->{$_} // '' } 'cookie', 'proxy-authorization',
        'x-api-key'), ',,', 'A5: and nothing of the client\'s');
is($r->{status}, 200, 'a call');
is(call($s, 'm2__seen')->{status}, 200, 'another api, another credential');
$t->mcp('/mcp/acme', 'notifications/cancelled', { requestId => 'x' },
        era => 'legacy', session => $s, key => $key);
$t->http('DELETE', '/mcp/acme', key => $key, headers => {
    'Mcp-Session-Id' => $s, 'MCP-Protocol-Version' => '2025-11-25' });
my (%sent, %bare);
ok(wait_until(sub {
    %sent = ();
    for my $q (grep { ($_->{headers}{authorization} // '') eq "Bearer $m1" }
               $t->origin_log('m1')) {
        next if ($q->{headers}{'user-agent'} // '') =~ /stoa-control/;
        my $m = $q->{body} ? json_decode($q->{body}) : {};
        my $what = $m->{method} // $q->{method};
        $sent{$what}++;
        $bare{$what} = $q->{headers}
            if ($q->{headers}{'x-up'} // '') ne 'm1'
               || ($q->{headers}{'x-stoa-application'} // '') ne 'demo';
    }
    return $sent{DELETE};
}, 20), 'the end of a session has it');
for my $what (qw(initialize notifications/initialized tools/call
                 notifications/cancelled)) {
    ok($sent{$what}, "$what has it");
    is($bare{$what}, undef, "$what: and the api's headers and identity");
}


# rotated: in force at once; a wrong one is told as what it is

want(m1 => 'Bearer s3cret-M1-second');
$s = open_session('/mcp/acme');
$r = call($s, 'm1__seen');
is($r->{rpc}{error}{data}{code}, 'upstream_credential', 'a wrong one');
unlike($r->{body} . json_encode($r->{headers}), qr/s3cret|inside|who are you/,
       'of the upstream\'s 401 the client sees nothing');
$t->must(PATCH => "$base/secrets/m1", { value => 's3cret-M1-second' });
$t->sync;
$s = open_session('/mcp/acme');
is(call($s, 'm1__seen')->{status}, 200, 'a rotated one');
is($t->api(POST => "$base/apis/m1/discover")->{json}{state}, 'ok',
   'for discovery too');
$t->apply(docs(policy('m1', undef, kind => 'header',
                      value => 'Bearer ${secret:m1}')));
$t->sync;
ok(wait_until(sub { discovery('m1')->{state} eq 'failed' }, 20),
   'one that is taken away is no longer used');
is(got('r1')->{'x-upstream-key'}, 'k s3cret-R1', 'others stay');


# nobody else sees it

my $said = join '', map { $t->api(GET => $_)->{body} } '/v1/dump',
    "$base/policies", "$base/policies/r1", '/v1/audit?limit=500',
    "$base/effective-policies?api=r1", "$base/apis/m1";
like($said, qr/\$\{secret:r1\}/, 'what is told is its name');
my $logs = join '', map { slurp($_) } glob($t->dir('*/logs/*.log')),
    glob($t->dir('control*.out'));
unlike($said, qr/s3cret/, 'never the value: dump, diff, audit, views');
unlike($logs, qr/s3cret|\Q@{[encode_base64('user:s3cret-R2', '')]}/, 'logs');
unlike($t->get('/stoa/metrics')->{body}, qr/s3cret/, 'metrics');
$t->done;
