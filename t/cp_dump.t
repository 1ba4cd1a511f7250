#!/usr/bin/perl

# Dump: everything that documents can say, the same bytes again, no secrets.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new;
$t->control;

sub dump_of {
    my ($query, %o) = @_;
    return $t->api('GET', '/v1/dump' . ($query || ''), undef, %o);
}

sub apply {
    my ($body, $query) = @_;
    return $t->api('POST', "/v1/apply$query", $body,
                   headers => { 'Content-Type' => 'application/yaml' });
}

is(dump_of()->{body}, '', 'an empty database');

my $everything = <<'END';
apiVersion: stoa/v1
kind: GatewayGroup
metadata: {name: prod}
spec: {title: 'Production: "live"'}
---
apiVersion: stoa/v1
kind: Tenant
metadata: {name: zebra}
spec: {title: "yes", state: suspended}
---
apiVersion: stoa/v1
kind: Tenant
metadata: {name: acme}
spec: {title: "Ünïcödé – \u2603 # no comment"}
---
apiVersion: stoa/v1
kind: Plan
metadata: {name: gold, tenant: acme}
spec: {title: "1.0", rate: 10, per_ms: 60000, burst: 3, quota_day: 100,
  quota_month: 1000000000000, concurrency: 4, approval: manual,
  limit_by: application}
---
apiVersion: stoa/v1
kind: Plan
metadata: {name: old, tenant: acme}
spec: {state: deprecated}
---
apiVersion: stoa/v1
kind: Plan
metadata: {name: zplan, tenant: zebra}
---
apiVersion: stoa/v1
kind: Api
metadata: {name: orders, tenant: acme}
spec:
  title: "- a dash"
  kind: rest
  version: "2.10"
  description: "line one\nline two\n\n  indented: yes\n# not a comment\n"
  audience: partner
  partners: [zebra]
  host: api.example.com
  base_path: /a/b
  strip_base_path: false
  upstream:
    targets:
      - {url: 'https://10.0.0.1:8443/x', weight: 3}
      - {url: 'http://[::1]:80'}
    balance: least_conn
    connect_timeout_ms: 1
    retries: 0
    host_header: inner.example.com
    tls: {verify: false, server_name: sni.example.com}
  key_query: api_key
  ip_allow: [10.0.0.0/8, 'fe80::/10']
  ip_deny: ["10.1.2.3"]
  max_body_bytes: 5
  identity: signed
  operations_only: true
  sunset_at: "2030-01-02T03:04:05.678Z"
  gateway_groups: [prod]
  spec:
    openapi: 3.1.0
    info: {title: "null", version: "0x10"}
    x-numbers: [1, -1, 1.5, 1e3, 9007199254740993, 0.1, 1.0]
    x-odd: {"": empty, "a b": ~, "?": [], "{": {}, "true": true, "12": ["~"]}
    x-text: "tab\there \"quoted\" \\ back\r\nend  "
  state: deprecated
  operations:
    - {name: z, method: DELETE, path: '/orders/{id}', title: gone}
    - {name: a, method: GET, path: '/orders/{id}', state: disabled}
---
apiVersion: stoa/v1
kind: Api
metadata: {name: tools, tenant: acme}
spec: {kind: mcp, upstream: {targets: [{url: 'http://127.0.0.1:1/mcp'}]}}
---
apiVersion: stoa/v1
kind: Api
metadata: {name: gone, tenant: acme}
spec: {kind: rest, upstream: {targets: [{url: 'http://x'}]}, state: retired}
---
apiVersion: stoa/v1
kind: Server
metadata: {name: desk, tenant: acme}
spec:
  title: "@desk"
  instructions: "Use\n\twith care."
  prefix: never
  tools: [{api: tools, tool: b.x, alias: b}, {api: tools, tool: a}]
  state: published
---
apiVersion: stoa/v1
kind: Application
metadata: {name: app, tenant: acme}
spec: {title: " spaces ", state: suspended}
---
apiVersion: stoa/v1
kind: Application
metadata: {name: zapp, tenant: zebra}
---
apiVersion: stoa/v1
kind: Subscription
metadata: {tenant: acme}
spec: {application: app, server: desk, plan: gold, state: pending}
---
apiVersion: stoa/v1
kind: Subscription
metadata: {tenant: zebra}
spec: {application: zapp, target_tenant: acme, api: orders, plan: gold,
  expires_at: "2031-01-01T00:00:00Z", state: suspended}
---
apiVersion: stoa/v1
kind: Subscription
metadata: {tenant: acme}
spec: {application: app, api: tools, plan: old, tools: [a, b], state: active}
END

my $r = apply($everything, '');
is($r->{status}, 200, 'applied') or diag $r->{body};
my $dump = dump_of();
is($dump->{status}, 200, 'dumped');
like($dump->{headers}{'content-type'}, qr{^application/yaml}, 'as YAML');
my $first = $dump->{body};
is(scalar(() = $first =~ /^---$/mg), 15, 'every document');
unlike($first, qr/^\s*(?:weight: 1|per_ms: 1000|audience: internal)$/m,
       'no defaults');
unlike($first, qr/created_at|updated_at|etag|discovery/, 'nothing read-only');

sub unchanged {
    my ($r, $what) = @_;
    is(join(' ', grep { !/none/ } map { "$_->{kind} $_->{name} $_->{action} "
                                      . Test::Stoa::json_encode($_->{diff}) }
            @{ $r->{json}{changes} || [{ kind => $r->{body} }] }), '', $what);
}

unchanged(apply($first, '?dry_run=1'), 'an apply of it would change nothing');
unchanged(apply($first, '?prune=1&max_delete=0'), 'nor does a prune');
unchanged(apply($everything, ''), 'nor what it came from');
is(dump_of()->{body}, $first, 'and the dump is the same');


# Secrets and records are not configuration

my $key = $t->key('acme', 'app');
my $sub = (grep { ($_->{api} // '') eq 'tools' } @{ $t->must('GET',
    '/v1/tenants/acme/subscriptions')->{items} })[0]{id};
$t->register('gw', 'prod') if mkdir $t->dir('gw');
is(dump_of()->{body}, $first, 'no credentials, gateways or tokens');
$t->must('POST', "/v1/tenants/acme/subscriptions/$sub/revoke");
unlike(dump_of()->{body}, qr/api: tools\n  plan: old/,
       'a revoked subscription is a record');
unchanged(apply(dump_of()->{body}, '?prune=1&max_delete=0'),
          'which prune leaves alone');
is(apply($first, '')->{status}, 409, 'the plan takes no new ones now');


# Parts

my $acme = dump_of('?tenant=acme')->{body};
unlike($acme, qr/tenant: zebra|kind: GatewayGroup|name: zebra/,
       'of one tenant');
my ($token) = map { $t->must('POST', '/v1/admin-tokens', { name => 'v',
    role => 'viewer', tenant => 'acme' })->{token} } 1;
is(dump_of('', token => $token)->{body}, $acme, 'what a viewer of it gets');
is(dump_of('?tenant=zebra', token => $token)->{status}, 404,
   'no other tenant is there');
is(dump_of('?tenant=nobody')->{status}, 404, 'nor one that is not');
is(dump_of('', token => 'x')->{status}, 401, 'and nothing for nobody');


# Into an empty database: the same bytes

my $t2 = Test::Stoa->new;
$t2->control;
$r = $t2->api('POST', '/v1/apply', $first,
              headers => { 'Content-Type' => 'application/yaml' });
is($r->{status}, 200, 'applied to an empty database') or diag $r->{body};
is($t2->api('GET', '/v1/dump')->{body}, $first, 'the dump is the same');
$t2->stop('control');
$t2->stop('postgres') if $t2->{procs}{postgres};

$t->done;
