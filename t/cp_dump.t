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
    - {name: i, method: PUT, path: '/orders/{id}', imported: true}
  pages:
    - {name: start, title: Start, position: 1, body: "# Start\n\n  *here*  \n"}
    - {name: end, body: "- a\n- b"}
  document:
    format: json
    text: '{"openapi": "3.0.3", "info": {"title": "Orders", "version": "1"},
      "paths": {"/orders/{id}": {"put": {"operationId": "i",
      "responses": {"200": {"description": "ok"}}}}}}'
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


# Pages and the OpenAPI document of an api

my $of = '/v1/tenants/acme/apis/orders';
is(join(' ', map { $_->{name} } @{ $t->must(GET => "$of/pages")->{items} }),
   'end start', 'an apply makes pages');
is($t->must(GET => "$of/documents")->{items}[0]{title}, 'Orders',
   'and keeps the document');
is(join(' ', map { $_->{name} . ($_->{imported} ? '!' : '') }
         @{ $t->must(GET => "$of/operations")->{items} }), 'a i! z',
   'its operations are marked');

my $tag = sub { return $t->api(GET => "$of/operations/z")->{headers}{etag} };
my $etag = $tag->();
for my $on (qw(true false)) {
    apply($first =~ s/(- name: )z\b/$1z\n      imported: $on/r, '');
    is(Test::Stoa::json_encode($t->must(GET => '/v1/audit?kind=operation')
       ->{items}[0]{diff}{imported}{after}), $on,
       "a mark of one that is there, $on, is told of");
    isnt($tag->(), $etag, 'and makes it another');
    $etag = $tag->();
}

sub docs_of {
    my ($spec, $query) = @_;
    return apply(Test::Stoa::json_encode({ apiVersion => 'stoa/v1',
        kind => 'Api', metadata => { name => 'docs', tenant => 'acme' },
        spec => { kind => 'rest', upstream => { targets => [
            { url => 'http://x' }] }, %$spec } }), $query // '');
}
sub differs {
    my ($r) = @_;
    return join ' ', sort map { $_->{field} } map { @{ $_->{diff} } }
        @{ $r->{json}{changes} };
}
my $text = "\x{feff}openapi: 3.1.0\r\ninfo: {title: T, version: '1'}\r\n"
    . "paths:\r\n  /a b: {}\r\n  /a/{id}:\r\n    get:\r\n"
    . "      description: \"\x{1f600} \x{85} \x{2028}\"   \r\n"
    . "      responses: {'200': {description: ok}}\r\n\r\n\r\n";
my $d = docs_of({ document => { text => $text }, pages => [
    { name => 'one', body => 'x' x 60_000 }] });
is($d->{status}, 200, 'a document alone') or diag $d->{body};
$of = '/v1/tenants/acme/apis/docs';
is($t->must(GET => "$of/operations")->{items}[0]{name}, 'get-a-id',
   'makes the operations');
my $docs = dump_of()->{body};
unchanged(apply($docs, '?dry_run=1'), 'as the dump has them');
is($t->must(GET => "$of/documents")->{total} // scalar @{ $t->must(GET =>
    "$of/documents")->{items} }, 1, 'the same is not kept again');
(my $moved = $docs) =~ s/name: docs$/name: docs2/mg;
$d = apply($moved, '');
my ($was, $is) = map { $t->api(GET => "/v1/tenants/acme/apis/$_/documents/1")
    ->{body} } qw(docs docs2);
is($is, $was, 'byte for byte elsewhere');
$t->must(DELETE => '/v1/tenants/acme/apis/docs2');
is(differs(docs_of({ pages => [{ name => 'two' }] }, '?dry_run=1')),
   'pages[one] pages[two]', 'a list of pages is all of them');
is(differs(docs_of({ document => { text => $text =~ s/a b/b/r }})),
   'document', 'another document');
$d = docs_of({ document => { text => $text =~ s/get:/put:/r }});
is(differs($d), 'document operations[get-a-id] operations[put-a-id]',
   'which other operations');
is(docs_of({})->{json}{changes}[0]{action}, 'none', 'what is left out stays');
is(docs_of({ document => { text => 'openapi: 9' } })->{status}, 422,
   'what is no document');
is(docs_of({ document => { text => 'x', size => 1 } })->{json}{errors}[0]
   {field}, 'spec.document.size', 'an unknown member');
is(docs_of({ pages => [{ name => 'a' }, { name => 'a' }] })->{json}{errors}[0]
   {field}, 'spec.pages[1].name', 'a page twice');
is(docs_of({ pages => [{ name => 'a', bdy => 1 }] })->{json}{errors}[0]
   {field}, 'spec.pages[0].bdy', 'a page that is not right');
is($t->must(GET => '/v1/audit/verify')->{ok}, JSON::PP::true,
   'the audit log is whole');
$t->must(DELETE => '/v1/tenants/acme/apis/docs');


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
