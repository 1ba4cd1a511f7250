#!/usr/bin/perl

# The demo as it ships, through a gateway: the platform's REST interface and
# MCP server know the calling application by what the gateway signs, and by
# nothing else.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Identity;
use Test::Stoa::MCP;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $demo = slurp("$Test::Stoa::ROOT/conf/demo.yaml");
my $control = $t->port('control');
$demo =~ s/127\.0\.0\.1:8400/127.0.0.1:$control/g;
$demo =~ s/127\.0\.0\.1:8500/127.0.0.1:${\ $t->port('nobody')}/g;
$t->apply($demo);
$t->apply(docs(app('acme', 'second'), app('acme', 'nosub'),
    sub_('acme', 'second', 'platform', 'standard')));
$t->must('POST', '/v1/tenants/acme/apis/tools/discover', undef,
         timeout => 30);
$t->gateway;
my %key = map { $_ => $t->key('acme', $_) } qw(demo agent second nosub);
$t->sync;

my $rest = '/apis/acme/platform';

sub mine {
    my ($key, %h) = @_;
    my $r = $t->get("$rest/subscriptions", key => $key, headers => \%h);
    return $r->{status} unless $r->{status} == 200;
    return $r->{json}{application}{name} . ': '
        . join ' ', map { $_->{name} } @{ $r->{json}{items} };
}

is(mine($key{demo}), 'demo: demo echo platform tools', 'what demo has');
is(mine($key{second}), 'second: platform', 'what second has');
is(mine($key{nosub}), 403, 'who has no subscription');
is(mine(undef), 401, 'who has no key');

# what a client says about itself counts for nothing

my $log = $t->get("$rest/health", key => $key{demo});
is($log->{status}, 200, 'health');
for my $h (['X-Stoa-Identity', 'e30.e30.x'],
           ['x-stoa-identity', ''],
           ['X-Stoa-Application', 'demo'], ['X-Stoa-Tenant', 'other'])
{
    is(mine($key{second}, @$h), 'second: platform', "$h->[0] from outside");
}

# MCP: the same through both endpoints and both eras

my $r = $t->mcp('/mcp/acme/assistant', 'tools/list', {}, key => $key{agent});
is(join(' ', sort map { $_->{name} } @{ $r->{rpc}{result}{tools} }),
   'stoa_api_spec stoa_catalog_search stoa_my_subscriptions stoa_my_usage',
   'the bundle');
$r = $t->mcp('/mcp/acme/assistant', 'tools/call',
    { name => 'stoa_my_subscriptions', arguments => {} }, key => $key{agent});
is($r->{rpc}{result}{structuredContent}{application}{name}, 'agent',
   'a call knows who calls');
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'tools__stoa_api_spec',
    arguments => { api => 'nope' } }, key => $key{demo});
ok($r->{rpc}{result}{isError}, 'a fault of the caller is a result');
is($t->mcp('/mcp/acme', 'tools/call', { name => 'tools__stoa_api_spec',
    arguments => {} }, key => $key{second})->{rpc}{result}, undef,
   'who is not subscribed cannot call');

# usage: the calls that were made are those that are told

my $calls = 7;
$t->get("$rest/health", key => $key{second}) for 1 .. $calls;
my ($made, $told);
my $equal = wait_until {
    $made = grep { m{ /apis/acme/platform/} } $t->log_lines;
    my $u = $t->must('GET', '/v1/tenants/acme/usage?by=api');
    ($told) = map { $_->{requests} }
        grep { ($_->{api} // '') eq 'platform'
               || (ref $_->{api} && $_->{api}{name} eq 'platform') }
        @{ $u->{items} };
    ($told // 0) == $made && $made == $calls + 9;
} 15;
ok($equal, "usage equals the calls: $made") or diag("told $told");
$r = $t->get("$rest/usage", key => $key{second});
cmp_ok($r->{json}{total}{requests}, '>=', $calls + 5, 'and tells me mine');
cmp_ok($r->{json}{total}{requests}, '<', $made, 'but not others\'');

# what another publisher's upstream is sent is of no use here, nor is what this
# control plane is sent of any use there

my $spy = $t->origin(sub { my ($q) = @_;
    return [200, ['Content-Type' => 'application/json'], json_encode(
        { jws => $q->{headers}{'x-stoa-identity'} })] }, name => 'spy');
$t->apply(docs(tenant('beta'), plan('beta', 'any'),
    rest('beta', 'bait', "http://127.0.0.1:$spy", identity => 'signed',
         audience => 'public'),
    sub_('acme', 'demo', 'bait', 'any', target_tenant => 'beta')));
$t->sync;
$r = $t->get('/apis/beta/bait/x', key => $key{demo});
my $jws = $r->{json}{jws};
my ($head, $claims) = parts($jws);
is("$claims->{tenant_name} $claims->{application_name}", 'acme demo',
   'another publisher is told who calls');
my $jwks = $t->api(GET => '/.well-known/jwks.json', undef, token => undef)
    ->{json};
ok(verifies($t, $jwks, $jws), 'and can be sure');
for my $path ('/platform/v1/apis', '/platform/v1/subscriptions',
              '/platform/v1/usage')
{
    my $said = $t->api(GET => $path, undef, token => undef,
                       headers => { 'X-Stoa-Identity' => $jws });
    is($said->{status}, 401, "but not use it for $path");
}
is($t->api(POST => '/mcp', { jsonrpc => '2.0', id => 1,
    method => 'tools/call', params => { name => 'stoa_my_usage',
                                        arguments => {} } },
    token => undef, headers => { 'X-Stoa-Identity' => $jws,
        Accept => 'application/json, text/event-stream' })->{status}, 401,
   'nor for a tool');

# nor by making its api lead here afterwards

$t->must(PATCH => '/v1/tenants/beta/apis/bait', { upstream => {
    targets => [{ url => $t->control_url }] } });
is($t->api(GET => '/platform/v1/apis', undef, token => undef,
           headers => { 'X-Stoa-Identity' => $jws })->{status}, 401,
   'an api that leads here is not the platform\'s for that');
my $beta = $t->must(POST => '/v1/admin-tokens', { name => 'beta',
    role => 'tenant-admin', tenant => 'beta' })->{token};
is($t->api(PATCH => '/v1/tenants/beta/apis/bait', { platform => \1 },
           token => $beta)->{status}, 403, 'who says that is no publisher');
my $acme = $t->must(POST => '/v1/admin-tokens', { name => 'acme',
    role => 'tenant-admin', tenant => 'acme' })->{token};
is($t->api(PATCH => '/v1/tenants/acme/apis/platform', { upstream => {
    targets => [{ url => "http://127.0.0.1:$spy" }] } }, token => $acme)
   ->{status}, 403, 'nor where the platform\'s leads');
is($t->api(PATCH => '/v1/tenants/acme/apis/platform', { platform => \0 },
           token => $acme)->{status}, 403, 'nor that it is none');
is($t->api(PATCH => '/v1/tenants/acme/apis/platform', { title => 'Ours' },
           token => $acme)->{status}, 200, 'but all the rest');


# ends at once

$t->must('POST', '/v1/tenants/acme/applications/second/suspend');
my $ended = wait_until { mine($key{second}) eq '403' } 5;
ok($ended, 'a suspended application');

$t->done;
