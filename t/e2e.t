#!/usr/bin/perl

# The walking slice: both planes, one REST API, one MCP server, one key; what
# is refused; and the usage that was counted equals the calls that were made.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;

my $t = Test::Stoa->new->has('module', 'control');

$t->control;
my $rest = $t->origin;
my $tools = $t->mcp_origin(name => 'tools', tools => {
    add => sub { $_[0]{a} + $_[0]{b} },
});

my $applied = $t->apply(<<"END");
apiVersion: stoa/v1
kind: Tenant
metadata: { name: acme }
spec: { title: Acme }
---
apiVersion: stoa/v1
kind: Tenant
metadata: { name: other }
spec: { title: Other }
---
apiVersion: stoa/v1
kind: Plan
metadata: { name: standard, tenant: acme }
spec: { rate: 1000, burst: 1000 }
---
apiVersion: stoa/v1
kind: Plan
metadata: { name: tiny, tenant: acme }
spec: { rate: 1, per_ms: 60000, burst: 3 }
---
apiVersion: stoa/v1
kind: Api
metadata: { name: echo, tenant: acme }
spec:
  kind: rest
  state: published
  upstream: { targets: [ { url: "http://127.0.0.1:$rest/base" } ] }
---
apiVersion: stoa/v1
kind: Api
metadata: { name: sums, tenant: acme }
spec:
  kind: mcp
  state: published
  upstream: { targets: [ { url: "http://127.0.0.1:$tools/mcp" } ] }
---
apiVersion: stoa/v1
kind: Application
metadata: { name: demo, tenant: acme }
spec: { title: Demo }
---
apiVersion: stoa/v1
kind: Application
metadata: { name: slow, tenant: acme }
spec: { title: Slow }
---
apiVersion: stoa/v1
kind: Application
metadata: { name: stranger, tenant: other }
spec: { title: Stranger }
---
apiVersion: stoa/v1
kind: Subscription
metadata: { tenant: acme }
spec: { application: demo, api: echo, plan: standard }
---
apiVersion: stoa/v1
kind: Subscription
metadata: { tenant: acme }
spec: { application: demo, api: sums, plan: standard }
---
apiVersion: stoa/v1
kind: Subscription
metadata: { tenant: acme }
spec: { application: slow, api: echo, plan: tiny }
END
ok($applied->{rev} > 0, 'applied');

$t->gateway(workers => 2);
my $key = $t->key('acme', 'demo');
like($key, qr/^stoa_live_[0-9a-z]{16}_[0-9A-Za-z]{32}_[0-9a-f]{8}$/,
     'a key');
my $stranger = $t->key('other', 'stranger');
my $slow = $t->key('acme', 'slow');
$t->sync;


# REST

my $r = $t->get('/apis/acme/echo/orders/1?x=y', key => $key);
is($r->{status}, 200, 'with the key');
is($r->{json}{path}, '/base/orders/1', 'the upstream\'s path');
is($r->{json}{query}, 'x=y', 'and query');
is($r->{json}{headers}{'x-api-key'}, undef, 'the key stays here');

$r = $t->http('POST', '/apis/acme/echo/', key => $key, body => 'x' x 100_000);
is(length $r->{json}{body}, 100_000, 'a body');

$r = $t->get('/apis/acme/echo/');
is($r->{status}, 401, 'without a key');
like($r->{headers}{'content-type'}, qr{^application/problem\+json},
     'a problem');
ok($r->{headers}{'www-authenticate'}, 'with a challenge');

(my $wrong = $key) =~ s/.$/$& eq '0' ? '1' : '0'/e;
is($t->get('/apis/acme/echo/', key => $wrong)->{status}, 401, 'a wrong key');
is($t->get('/apis/acme/echo/', key => $stranger)->{status}, 404,
   'another tenant\'s key');
is($t->get('/apis/acme/nothing/', key => $key)->{status}, 404, 'no such api');

my @status = map { $t->get('/apis/acme/echo/', key => $slow)->{status} }
             1 .. 5;
is("@status", '200 200 200 429 429', 'a rate and its burst, two workers');
$r = $t->get('/apis/acme/echo/', key => $slow);
ok($r->{headers}{'retry-after'} > 0, 'Retry-After');
ok($r->{headers}{ratelimit} && $r->{headers}{'ratelimit-policy'},
   'RateLimit headers');


# MCP

my $found = wait_until {
    $r = $t->mcp('/mcp/acme', 'tools/list', undef, key => $key);
    $r->{rpc} && @{ $r->{rpc}{result}{tools} || [] };
} 15;
ok($found, 'tools are discovered') or diag($r->{status} . $r->{body});
is($r->{rpc}{result}{tools}[0]{name}, 'sums__add', 'under the api\'s name');

$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'sums__add',
    arguments => { a => 2, b => 3 } }, key => $key);
is($r->{rpc}{result}{content}[0]{text}, '5', 'a call, 2026-07-28')
    or diag($r->{status} . $r->{body});

my ($session, $init) = $t->mcp_session('/mcp/acme', key => $key);
is($init->{rpc}{result}{protocolVersion}, '2025-11-25', 'initialize')
    or diag($init->{status} . $init->{body});
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'sums__add',
    arguments => { a => 20, b => 3 } }, key => $key, era => 'legacy',
    session => $session);
is($r->{rpc}{result}{content}[0]{text}, '23', 'a call, 2025-11-25')
    or diag($r->{status} . $r->{body});
is($t->mcp('/mcp/acme', 'tools/list', undef)->{status}, 401,
   'MCP without a key');


# what happens in the control plane counts here

$t->must('POST', '/v1/tenants/acme/applications/demo/suspend');
ok((wait_until { call() == 403 } 2), 'suspended: 403');
$t->must('POST', '/v1/tenants/acme/applications/demo/resume');
ok((wait_until { call() == 200 } 2), 'resumed: 200');


# the usage equals the log (MCP answers without a tool have no api to count for)

my $usage;
my ($rest_served, $rest_counted) = (0, 0);
wait_until {
    # a line is written after its answer
    $rest_served = grep { m{^200 \S+ /apis/} } $t->log_lines;
    $usage = $t->api('GET', '/v1/tenants/acme/usage?by=application,api');
    $rest_counted = 0;
    for (@{ $usage->{json}{items} || [] }) {
        $rest_counted += $_->{c2xx} // 0 if ($_->{api} // '') =~ /echo/;
    }
    $rest_served && $rest_counted >= $rest_served;
} 20;
is($rest_counted, $rest_served, 'usage counted equals calls answered')
    or diag($usage->{body});


# who was refused stands in the audit log; the first at once, the others within
# a minute, or when a worker ends

my %denied;
$t->reload;
wait_until {
    %denied = map { ("$_->{diff}{reason} " . ($_->{name} // '-') => $_) }
        @{ $t->must(GET => '/v1/audit?tenant=acme&action=deny&kind=call')
           ->{items} };
    keys %denied >= 3;
} 20;
my $refused = $denied{'application_suspended echo'}{diff};
is($refused->{application}, 'acme/demo', 'who was refused is told')
    or diag(join ', ', sort keys %denied);
is($refused->{network}, '127.0.0.0/24', 'from where');
is(($denied{'key_invalid echo'} || {})->{actor}, 'gw', 'by which gateway');
unlike(json_encode(\%denied), qr/stoa_live_/, 'and nothing that he sent');


# without a control plane

$t->kill9('control');
is(call(), 200, 'the control plane is dead, calls are not');
$t->stop('gw');
$t->start_nginx('gw');
ok((wait_until { call() == 200 } 5), 'nor after a restart');

$t->control;
$t->sync;
is(call(), 200, 'it is back');

$t->done;


sub call { return $t->get('/apis/acme/echo/', key => $key)->{status} }
