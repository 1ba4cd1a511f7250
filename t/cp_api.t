#!/usr/bin/perl

# Apis, operations, servers, plans, applications, subscriptions: their own
# rules, and the feed rows that follow.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new;
$t->control;

my $up = { targets => [{ url => 'http://127.0.0.1:9000' }] };
my $gw;

# The feed as a gateway sees it: {key => body}, tombstones left out.

sub feed {
    $gw ||= do {
        $t->api(POST => '/v1/gateway-groups', { name => 'default' });
        $t->must(POST => '/v1/gateways',
            { name => 'probe', group => 'default' })->{token};
    };
    my $r = $t->api(GET => '/gateway/v1/feed?since=0', undef, token => $gw);
    my %rows;
    for (split /\n/, $r->{body}) {
        my $row = json_decode($_);
        $rows{ $row->{key} } = $row->{body} if $row->{body};
    }
    return \%rows;
}

$t->must(POST => '/v1/tenants', { name => $_ }) for qw(acme globex initech);
my $r = $t->api(POST => '/v1/tenants/acme/apis', {
    name => 'orders', kind => 'rest', base_path => '/orders',
    host => 'API.Example.COM',
    upstream => { targets => [
        { url => 'https://Orders.Internal/v2/', weight => 3 },
        { url => 'http://[::1]:9001' }] },
    ip_allow => ['10.0.0.0/8', '::1'],
});
is($r->{status}, 201, 'create');
my $api = $r->{json};
is($api->{state}, 'draft', 'a draft');
is($api->{audience}, 'internal', 'default audience');
is($api->{host}, 'api.example.com', 'host in lower case');
is($api->{upstream}{connect_timeout_ms}, 2000, 'a default inside');
is($api->{upstream}{tls}{verify}, JSON::PP::true, 'and further inside');
ok(!feed()->{"api:$api->{id}"}, 'a draft is not in the feed');

$t->must(POST => '/v1/tenants/acme/apis/orders/publish');
my $body = feed()->{"api:$api->{id}"};
is_deeply($body->{targets}, [
    { tls => JSON::PP::true, host => 'orders.internal', port => 443,
      path => '/v2', weight => 3 },
    { tls => JSON::PP::false, host => '::1', port => 9001, path => '',
      weight => 1 }], 'targets in the feed');
is($body->{tenant_name}, 'acme', 'tenant_name in the feed');
is($body->{era}, 'unknown', 'era in the feed');

# operations

my $ops = '/v1/tenants/acme/apis/orders/operations';
my $op = $t->must(POST => $ops,
    { name => 'get', method => 'GET', path => '/{id}' });
is(feed()->{"api:$api->{id}"}{operations}[0]{path}, '/{id}',
    'an operation is in its api\'s row');
$t->must(POST => "$ops/get/disable");
is(feed()->{"api:$api->{id}"}{operations}[0]{enabled}, JSON::PP::false,
    'disabled');
is($t->api(POST => $ops, { name => 'other', method => 'GET',
    path => '/{id}' })->{status}, 409, 'one method and path, one operation');
for (qw(/x/* /*/y /x/** /users/:id)) {
    my $r = $t->api(POST => $ops, { name => 'o', method => 'GET', path => $_ });
    is($r->{status}, 422, "no wildcard: $_");
    like($r->{body}, qr/\{name\} matches any one segment/, 'with a hint');
}
is($t->api(POST => $ops, { name => 'o', method => 'get', path => '/' })
    ->{status}, 422, 'methods are upper case');
is($t->api(DELETE => "$ops/get")->{status}, 204, 'delete an operation');
is_deeply(feed()->{"api:$api->{id}"}{operations}, [], 'gone from the row');

# one route, one api

my %route = (kind => 'rest', upstream => $up);
$t->must(POST => '/v1/tenants/globex/apis', { %route, name => 'thief',
    host => 'api.example.com', base_path => '/orders' });
is($t->api(POST => '/v1/tenants/globex/apis/thief/publish')->{status}, 409,
    'another tenant cannot take a route');
$t->must(DELETE => '/v1/tenants/globex/apis/thief');
is($t->api(POST => '/v1/tenants/globex/apis', { %route, name => 'next',
    host => 'api.example.com', base_path => '/orders/v2' })->{status}, 201,
    'a longer path is another route');
is($t->api(POST => '/v1/tenants/globex/apis', { %route, name => 'own',
    base_path => $_ })->{status}, 422, "reserved: $_")
    for qw(/apis /mcp/acme);
is($t->api(POST => '/v1/tenants/globex/apis', { %route, name => 'own',
    host => 'x.test', base_path => '/apis' })->{status}, 201,
    'not with a host');

# targets that speak gRPC

my %grpc = (name => 'rpc', kind => 'rest', host => 'rpc.test',
    upstream => { targets => [{ url => 'grpc://10.0.0.1:50051' }] });
my ($said, $other);
sub grpc_wrong {
    my ($field, $why, $what, %o) = @_;
    $said = $t->api(POST => '/v1/tenants/globex/apis', { %grpc, %o });
    is($said->{status}, 422, "gRPC: $what");
    is_deeply([map { $_->{field} } @{ $said->{json}{errors} }], [$field],
              'its field') or diag($said->{body});
    like($said->{body}, qr/$why/, 'and why');
}
grpc_wrong('upstream.targets[1].url', 'all targets speak HTTP, or all gRPC',
    'both', upstream => { targets => [{ url => 'grpc://a.test:1' },
                                      { url => 'http://a.test:1' }] });
grpc_wrong('upstream.targets[0].url', 'has no path', 'a path',
    upstream => { targets => [{ url => 'grpcs://a.test/x' }] });
grpc_wrong('upstream.targets[0].url', 'gRPC is for kind rest', 'MCP',
    kind => 'mcp', host => undef,
    upstream => { targets => [{ url => 'grpc://a.test:1' }] });
grpc_wrong('upstream.health.type', 'checked by tcp', 'checks by HTTP',
    upstream => { %{ $grpc{upstream} }, health => { type => 'http' } });
grpc_wrong('upstream.mirror', 'not copied', 'a mirror',
    upstream => { %{ $grpc{upstream} },
                  mirror => { url => 'http://a.test' } });
$t->must(POST => '/v1/tenants/globex/apis', \%grpc);
$t->must(POST => '/v1/tenants/globex/apis/rpc/publish');
$other = $t->must(GET => '/v1/tenants/globex/apis/rpc');
is_deeply(feed()->{"api:$other->{id}"}{targets}, [{ tls => JSON::PP::false,
    grpc => JSON::PP::true, host => '10.0.0.1', port => 50051, path => '',
    weight => 1 }], 'what gateways get of it');
$said = $t->api(PATCH => '/v1/tenants/globex/apis/rpc',
    { upstream => { targets => [{ url => 'http://a.test' }] } });
is($said->{status}, 422, 'it stays gRPC');
like($said->{body}, qr/does not change between HTTP and gRPC/, 'and why');
for (['json-limits', {}], ['openapi-validation', {}],
     ['transform', { request_body => { a => 1 } }], ['require-signature',
     { keys => [{ keyid => 'a', application => 'b', public_key =>
        "-----BEGIN PUBLIC KEY-----\n"
        . "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        . "-----END PUBLIC KEY-----\n" }] }])
{
    $said = $t->api(POST => '/v1/tenants/globex/policies', { name => 'shape',
        type => $_->[0], config => $_->[1], attach => [{ api => 'rpc' }] });
    is($said->{status}, 422, "a policy that judges bodies: $_->[0]");
    like($said->{body}, qr/cannot read those of gRPC/, 'cannot be attached');
}
is($t->api(POST => '/v1/tenants/globex/policies', { name => 'shape',
    type => 'headers', config => {}, attach => [{ api => 'rpc' }] })->{status},
    201, 'another one can');
$t->must(DELETE => '/v1/tenants/globex/policies/shape');
$t->must(DELETE => '/v1/tenants/globex/apis/rpc');

# groups

$t->must(POST => '/v1/gateway-groups', { name => 'edge' });
$t->must(PATCH => '/v1/tenants/acme/apis/orders',
    { gateway_groups => ['edge'] });
ok(!feed()->{"api:$api->{id}"}, 'a gateway of another group does not get it');
is($t->api(DELETE => '/v1/gateway-groups/edge')->{status}, 409,
    'a group in use');
$t->must(PATCH => '/v1/tenants/acme/apis/orders',
    { gateway_groups => undef });
ok(feed()->{"api:$api->{id}"}, 'no groups: every gateway');

# subscriptions

my %plan = (rate => 5, per_ms => 1000);
$t->must(POST => '/v1/tenants/acme/plans', { name => 'auto', %plan });
$t->must(POST => '/v1/tenants/acme/plans',
    { name => 'manual', approval => 'manual', %plan });
$t->must(POST => '/v1/tenants/globex/plans', { name => 'foreign', %plan });
$t->must(POST => "/v1/tenants/$_/applications", { name => 'app' })
    for qw(acme globex initech);

my $subs = '/v1/tenants/acme/subscriptions';
$r = $t->api(POST => $subs,
    { application => 'app', api => 'orders', plan => 'auto' });
is($r->{status}, 201, 'subscribe');
is($r->{json}{state}, 'active', 'active at once');
is($r->{json}{target_tenant}, 'acme', 'target_tenant is filled in');
my $sub = $r->{json};
my ($row) = grep { /^sub:/ } keys %{ feed() };
like($row, qr/^sub:[0-9a-z]{16}:$api->{id}$/, 'key in the feed');
is($t->api(POST => $subs,
    { application => 'app', api => 'orders', plan => 'manual' })->{status},
    409, 'one at a time');
is($t->api(DELETE => '/v1/tenants/acme/apis/orders')->{status}, 409,
    'an api with subscribers');
is($t->api(DELETE => '/v1/tenants/acme/plans/auto')->{status}, 409,
    'a plan in use');
$t->must(POST => "$subs/$sub->{id}/revoke");
is(feed()->{$row}{state}, 'revoked', 'a revoked one stays in the feed');
$r = $t->must(POST => $subs,
    { application => 'app', api => 'orders', plan => 'manual' });
is($r->{state}, 'pending', 'a manual plan waits for approval');
is(feed()->{$row}{id}, $r->{id}, 'the live one has the row');
$t->must(POST => "$subs/$r->{id}/reject");
is(feed()->{$row}{id}, $sub->{id}, 'then the revoked one again');
is($t->api(POST => $subs, { application => 'app', api => 'orders',
    plan => 'foreign' })->{status}, 404, 'a plan of another tenant');
is($t->api(POST => $subs, { application => 'app', plan => 'auto' })
    ->{status}, 422, 'without a target');
is($t->api(POST => $subs, { application => 'app', api => 'orders',
    plan => 'auto', tools => ['x'] })->{status}, 422,
    'tools of a rest api');

# across tenants

sub foreign {
    my ($tenant, %o) = @_;
    return $t->api(POST => "/v1/tenants/$tenant/subscriptions", {
        application => 'app', target_tenant => 'acme', api => 'orders',
        plan => 'auto', %o });
}

my $internal = foreign('globex');
is($internal->{status}, 404, 'an internal api does not exist for others');
like($internal->{json}{detail},
     qr/audience of the api "orders" is internal .*"partners"/,
     'why, is told to a platform admin');
my $globex = $t->must(POST => '/v1/admin-tokens', { name => 'globex',
    role => 'tenant-admin', tenant => 'globex' })->{token};
is($t->api(POST => '/v1/tenants/globex/subscriptions', { application => 'app',
    target_tenant => 'acme', api => $_, plan => 'auto' },
    token => $globex)->{json}{detail},
   'there is no such api, server or plan there', "nobody else: $_")
    for qw(orders nothing);
my $nothing = foreign('globex', api => 'nothing');
is($nothing->{status}, 404, 'nor does what does not exist');
is(foreign('globex', target_tenant => 'nobody')->{status}, 404,
    'nor a tenant that does not exist');

$t->must(PATCH => '/v1/tenants/acme/apis/orders',
    { audience => 'partner', partners => ['globex'] });
is(foreign('initech')->{status}, 404, 'partner, and not one');
is(foreign('globex')->{status}, 201, 'partner');
is_deeply($t->must(GET => '/v1/tenants/acme/apis/orders')->{partners},
    ['globex'], 'partners by name');
$t->must(PATCH => '/v1/tenants/acme/apis/orders',
    { audience => 'public', partners => undef });
is(foreign('initech')->{status}, 201, 'public');
is($t->api(PATCH => '/v1/tenants/acme/apis/orders',
    { partners => ['globex'] })->{status}, 422,
    'partners need audience partner');

# servers

$t->must(POST => '/v1/tenants/acme/apis', { name => 'tools', kind => 'mcp',
    upstream => { targets => [{ url => 'http://127.0.0.1:1/mcp' }] } });
for (['host', 'm.test'], ['base_path', '/m'], ['key_query', 'k'],
    ['operations_only', JSON::PP::true])
{
    is($t->api(PATCH => '/v1/tenants/acme/apis/tools', { @$_ })->{status},
        422, "mcp: no $_->[0]");
}
$r = $t->must(GET => '/v1/tenants/acme/apis/tools');
is($t->api(PUT => '/v1/tenants/acme/apis/tools', { %$r,
    discovery => { at => 'long ago' } })->{status}, 200,
    'what moves by itself may come back stale');
my %tool = (api => 'tools', tool => 'echo');
$r = $t->api(POST => '/v1/tenants/acme/servers', { name => 's',
    tools => [\%tool, { %tool, tool => 'other', alias => 'tools__echo' }] });
is($r->{status}, 422, 'two tools with one name');
is($r->{json}{errors}[0]{field}, 'tools[1]', 'the place');
is($t->api(POST => '/v1/tenants/acme/servers', { name => 's',
    tools => [{ api => 'orders', tool => 'echo' }] })->{status}, 422,
    'tools of a rest api');
$r = $t->must(POST => '/v1/tenants/acme/servers',
    { name => 's', tools => [\%tool, { %tool, alias => 'again' }] });
ok(!feed()->{"server:$r->{id}"}, 'a draft is not in the feed');
$t->must(POST => '/v1/tenants/acme/servers/s/publish');
is_deeply(feed()->{"server:$r->{id}"}{tools}, [],
    'a tool that was not found yet is left out');
is($t->api(DELETE => '/v1/tenants/acme/apis/tools?force=1')->{status}, 409,
    'an api that a server bundles');
$t->must(POST => '/v1/tenants/acme/servers/s/unpublish');
ok(!feed()->{"server:$r->{id}"}, 'unpublished');

# plans

for ({ rate => 0, burst => 1 }, { rate => 1, per_ms => 86400000,
    burst => 1000 }, { rate => 1000000000, per_ms => 1 })
{
    is($t->api(POST => '/v1/tenants/acme/plans', { name => 'bad', %$_ })
        ->{status}, 422, 'a plan that cannot be counted');
}
$t->must(POST => '/v1/tenants/acme/plans/auto/deprecate');
is($t->api(POST => '/v1/tenants/acme/subscriptions', { application => 'app',
    api => 'tools', plan => 'auto' })->{status}, 409,
    'a deprecated plan takes no subscriptions');

# what has no value any more is not told as one

for (qw(deprecate publish)) {
    $r = $t->must(POST => "/v1/tenants/acme/apis/orders/$_");
    $r = [$r, $t->must(GET => '/v1/tenants/acme/apis/orders')];
    is(join(' ', map { exists $_->{deprecated_at} ? 1 : 0 } @$r),
       $_ eq 'deprecate' ? '1 1' : '0 0', "deprecated_at after $_");
}

# deletion takes along what belongs to it

$r = $t->api(DELETE => '/v1/tenants/acme/apis/orders?force=1');
is($r->{status}, 204, 'force');
ok(!feed()->{"api:$api->{id}"}, 'out of the feed');
ok(!(grep { /^sub:.*:$api->{id}$/ } keys %{ feed() }),
    'with its subscriptions');
is(scalar @{ $t->must(GET => '/v1/tenants/globex/subscriptions')->{items} },
    0, 'those of others too');
is($t->api(GET => '/v1/audit/verify')->{json}{ok}, JSON::PP::true,
    'the audit log is whole');

$t->done;
