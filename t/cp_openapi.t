#!/usr/bin/perl

# The OpenAPI document: judged by a validator, and compared with what the
# control plane really answers and takes.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;
use Digest::SHA ();

my $t = Test::Stoa->new;
$t->has('python');
$t->control;

my $r = $t->api('GET', '/v1/openapi.json', undef, token => undef);
is($r->{status}, 200, 'needs no token');
my $doc = $r->{json};
my ($ended, $printed) = $t->run_cmd(["$Test::Stoa::OBJS/stoa-control",
    '--print-openapi']);
is($ended, 0, 'stoa-control --print-openapi, without a database');
is($printed, "$r->{body}\n", 'prints the same');
is($doc->{openapi}, '3.1.0', 'is OpenAPI 3.1');

my @operations = map { my $p = $_; map { [$_, $p, $doc->{paths}{$p}{$_}] }
                       sort keys %{ $doc->{paths}{$p} } }
    sort keys %{ $doc->{paths} };
cmp_ok(scalar @operations, '>', 100, 'every route');
my %ids = map { ($_->[2]{operationId} => 1) } @operations;
is(scalar keys %ids, scalar @operations, 'operation ids are unique');
is(scalar(grep { !$_->[2]{summary} } @operations), 0, 'all have a summary');


# Routes are answered, with the security that is told

my $wrong = '';
for (@operations) {
    my ($method, $path, $op) = @$_;
    (my $real = $path) =~ s/\{\w+\}/x/g;
    my $a = $t->api(uc $method, $real, $method eq 'get' ? undef : {},
                    token => undef);
    my $open = !@{ $op->{security} };
    $wrong .= "$method $path $a->{status}\n"
        if !$open && $a->{status} != 401;
    $wrong .= "$method $path does not tell of $a->{status}\n"
        unless $op->{responses}{ $a->{status} };
}
is($wrong, '', 'every route is there and asks for what it says');

# What it tells somebody who may not, or of a tenant that is not there: a route
# that forgot one of these is found here

$t->must(POST => '/v1/tenants', { name => 'little' });
my $little = $t->must(POST => '/v1/admin-tokens', { name => 'little',
    role => 'viewer', tenant => 'little' })->{token};
$wrong = '';
for (@operations) {
    my ($method, $path, $op) = @$_;
    next unless grep { $_->{admin} } @{ $op->{security} };
    (my $real = $path) =~ s/\{\w+\}/x/g;
    $real .= '?tenant=nosuch' if $method eq 'get'
        && grep { $_->{name} eq 'tenant' && $_->{in} eq 'query' }
           @{ $op->{parameters} };
    my $a = $t->api(uc $method, $real, $method eq 'get' ? undef : {},
                    token => $little, timeout => 20);
    $wrong .= "$method $path does not tell of $a->{status}\n"
        unless $op->{responses}{ $a->{status} };
    $wrong .= "$method $path has no permission\n" unless $op->{'x-permission'};
}
is($wrong, '', 'and tells of what it answers to who may not');
ok($doc->{paths}{'/v1/tenants/{tenant}/apis/{api}/discover'}{post}{responses}
       {202}, 'a discovery may take longer');
is(join(' ', grep { !$doc->{paths}{$_}{get}{responses}{404} }
             qw(/v1/audit /v1/audit/verify /v1/dump)), '',
   'a tenant in the query may not be there');


# Query parameters: those that are told of are known, no others

sub named {
    my ($method, $path, $name, %o) = @_;
    (my $real = $path) =~ s/\{\w+\}/x/g;
    my $said = $t->api(uc $method, "$real?$name=1",
                       $method eq 'get' ? undef : {}, %o);
    return 0 + ($said->{status} == 404 ? 404
        : ($said->{json}{detail} // '') =~ /"\Q$name\E" is not known/ && 400);
}
my $gateway = Test::Stoa::Feed->new($t, 'query', 'query')->{token};
$wrong = '';
for (@operations) {
    my ($method, $path, $op) = @$_;
    next if $path =~ m{^/platform/v1};       # a gateway's word is needed
    next if $op->{security}[0]{session};     # a login is
    next if $path =~ m{/oidc/callback$};     # providers send what they like
    my %o = $path =~ m{^/gateway/} ? (token => $gateway) : ();
    $wrong .= "$method $path takes nosuch\n"
        unless named($method, $path, 'nosuch', %o)
            =~ ($method eq 'get' && $path =~ /\}/ ? qr/40[04]/ : qr/400/);
    for my $p (grep { $_->{in} eq 'query' } @{ $op->{parameters} }) {
        $wrong .= "$method $path does not know $p->{name}\n"
            if named($method, $path, $p->{name}, %o) == 400;
    }
}
is($wrong, '', 'query parameters are known where they are told of');


# The page for people

my $page = $t->api(GET => '/v1/reference', undef, token => undef);
for (['/v1/openapi.json', $r], ['/v1/reference', $page]) {
    my ($path, $first) = @$_;
    my $etag = $first->{headers}{etag};
    like($etag, qr/^W\/"[0-9a-f]{32}"$/, "$path: has an ETag");
    is($t->api(GET => $path, undef, token => undef)->{body}, $first->{body},
       '... is the same for all');
    is($t->api(GET => $path, undef, token => undef, headers =>
       { 'If-None-Match' => $etag })->{status}, 304, '... and is kept by it');
}
is($page->{headers}{'content-type'}, 'text/html; charset=utf-8', 'a page');
is(join(' ', grep { my ($m, $p) = (uc $_->[0], $_->[1]);
                    $page->{body} !~ m{<h2 id="$_->[2]{operationId}">\Q$m $p\E</h2>}
               } @operations), '', '... has every route');
my ($style) = $page->{body} =~ m{<style>(.*?)</style>}s;
is($page->{headers}{'content-security-policy'}, "default-src 'none'; style-src"
   . " 'sha256-" . Digest::SHA::sha256_base64($style) . "='; base-uri 'none';"
   . " form-action 'none'; frame-ancestors 'none'",
   '... which may load nothing, and its own style only');
unlike($page->{body}, qr/<script|<link|<img|\son\w+=|https?:\/\//i,
       '... and needs nothing');


my %type = map { ($_->{type} => $_) }
    @{ $t->must(GET => '/v1/policy-types')->{items} };
is(join(' ', @{ $type{rate}{scopes} }), 'plan', 'types of policies: where');
is($type{cors}{single}, 1, '... whether one counts');
is_deeply($type{cors}{schema}{properties}, $doc->{components}{schemas}
          {PolicyConfigCors}{properties}, '... the schema of the document');


# What pages are made from

my $schemas = $doc->{components}{schemas};
my ($retire) = grep { $_->{event} eq 'retire' }
    @{ $schemas->{Api}{'x-transitions'} };
is_deeply($retire, { event => 'retire', from => [qw(published deprecated)],
                     to => 'retired', permission => 'api:write' },
          'events by state and permission');
is_deeply($doc->{paths}{'/v1/tenants/{tenant}/apis/{api}/retire'}{post}
          {'x-transition'}, $retire, '... beside the route');
is($schemas->{ApiInput}{properties}{kind}{'x-immutable'}, 1, 'immutable');
is($schemas->{Api}{properties}{created_at}{readOnly}, 1, 'read only');
ok($schemas->{SecretInput}{properties}{value}{'x-secret'}
   && $schemas->{Credential}{properties}{key}{'x-secret'}, 'secret');
is($schemas->{SubscriptionInput}{properties}{plan}{'x-ref'}, 'plan',
   'what a reference names');
is(join(' ', @{ $doc->{components}{responses}{Error412}{content}
                {'application/problem+json'}{schema}{properties}{type}
                {enum} }), 'urn:stoa:problem:precondition_failed',
   'types of problems');


# ETags: of every read, and what they are good for

$wrong = '';
for (grep { $_->[0] eq 'get' && $_->[2]{responses}{304} } @operations) {
    my ($method, $path, $op) = @$_;
    next if $path =~ /\}|^\/platform/;
    my $a = $t->api(GET => $path);
    next unless $a->{status} == 200;
    my $tag = $a->{headers}{etag} // '';
    $wrong .= "$path has no ETag\n" unless $tag =~ m{^(?:W/)?"[!-~]+"$};
    my $b = $t->api(GET => $path, undef,
                    headers => { 'If-None-Match' => "\"x\", $tag" });
    $wrong .= "$path $b->{status}\n"
        unless $b->{status} == 304 && $b->{body} eq ''
            || $a->{body} ne $t->api(GET => $path)->{body};
}
is($wrong, '', 'reads that are known are 304');
$t->must(POST => '/v1/gateway-groups', { name => 'tag' });
for (['PATCH', '', { title => 'x' }], ['POST', '/rotate', undef],
     ['DELETE', '', undef])
{
    my ($method, $more, $body) = @$_;
    my $a = $t->api($method, "/v1/gateway-groups/tag$more", $body,
                    headers => { 'If-Match' => '"mine"' });
    is($a->{status}, 412, "$method$more with another ETag");
    like($a->{json}{detail}, qr/^it is "\w+-\d+" now, not "mine"$/,
         'both are named');
}


# Schemas against what is

my $yaml = <<'END';
apiVersion: stoa/v1
kind: GatewayGroup
metadata: {name: prod}
---
apiVersion: stoa/v1
kind: Tenant
metadata: {name: acme}
spec: {title: Acme}
---
apiVersion: stoa/v1
kind: Plan
metadata: {name: gold, tenant: acme}
spec: {rate: 10, limit_by: application}
---
apiVersion: stoa/v1
kind: Api
metadata: {name: orders, tenant: acme}
spec:
  kind: rest
  upstream: {targets: [{url: 'http://127.0.0.1:1'}], tls: {verify: false}}
  audience: partner
  partners: [acme]
  sunset_at: "2030-01-02T03:04:05Z"
  state: published
  operations: [{method: GET, path: /x}, {name: y, method: PUT, path: /y,
                                         state: disabled}]
---
apiVersion: stoa/v1
kind: Server
metadata: {name: desk, tenant: acme}
---
apiVersion: stoa/v1
kind: Application
metadata: {name: app, tenant: acme}
---
apiVersion: stoa/v1
kind: Subscription
metadata: {tenant: acme}
spec: {application: app, api: orders, plan: gold, state: suspended}
END
$t->apply($yaml);
$t->key('acme', 'app');
my $gw = Test::Stoa::Feed->new($t, 'gw', 'prod');
$gw->pull;
$gw->status(rejected => [{ key => 'k', rev => 1, error => 'e' }]);

my $base = '/v1/tenants/acme';
my %checks;
my $check = sub { push @{ $checks{$_[0]} }, $_[1] };
for (['Tenant', '/v1/tenants'], ['GatewayGroup', '/v1/gateway-groups'],
     ['Gateway', '/v1/gateways'], ['AdminToken', '/v1/admin-tokens'],
     ['Api', "$base/apis"], ['Plan', "$base/plans"],
     ['Server', "$base/servers"], ['Application', "$base/applications"],
     ['Operation', "$base/apis/orders/operations"],
     ['Subscription', "$base/subscriptions"],
     ['Credential', "$base/applications/app/credentials"])
{
    my ($schema, $path) = @$_;
    my $list = $t->must('GET', $path);
    $check->("${schema}List", $list);
    my $item = $list->{items}[0];
    $check->($schema, $t->must('GET', "$path/" . ($item->{name}
                                                  // $item->{id})));
}
$check->(ApplyAnswer => $t->apply($yaml));
$check->(ApplyAnswer => $t->apply($yaml, query => 'dry_run=1'));
$check->(AuditEvents => $t->must('GET', '/v1/audit?limit=5'));
$check->(UsageSums => $t->must('GET', "$base/usage?by=api&step=hour"));
$check->(Problem => $t->api('POST', '/v1/tenants', { name => 'A' })->{json});
$check->(Problem => $t->api('GET', '/v1/tenants/x')->{json});
$check->(FeedLine => json_decode($_))
    for split /\n/, $gw->get(since => 0)->{body};
$check->(GatewayStatusAnswer => $gw->status->{json});

# ... and what is sent: documents as the dump has them
$t->write_file('openapi.json', $r->{body});
$t->write_file('checks.json', json_encode(\%checks));
$t->write_file('dump.yaml', $t->api('GET', '/v1/dump')->{body});
my %good = (
    PlanInput => [{ name => 'x', rate => 1 }],
    PlanPatch => [{ rate => 1 }, { title => undef }],
    UsageBatch => [{ file => 'a' x 32, batch => 1, from_ms => 0, to_ms => 1,
                     rows => [{ c2xx => 1, latency_us => [(0) x 26] }] }],
    GatewayStatus => [{ epoch => 'a' x 16, rev => 1, digest => '0' x 32 }],
);
my %bad = (
    PlanInput => [{ rate => 1 }, { name => 'A B' }, { name => 'x', y => 1 },
                  { name => 'x', rate => -1 }, { name => 'x', rate => 'a' },
                  { name => 'x', limit_by => 'mood' }],
    PlanPatch => [{ rate => -1 }, { id => 'x' }],
    UsageBatch => [{ file => 'a' }],
    TenantDocument => [{ kind => 'Tenant' }, { apiVersion => 'stoa/v1',
                       kind => 'Tenant', metadata => { name => 'x' },
                       spec => { state => 'happy' } }],
);
$t->write_file('good.json', json_encode(\%good));
$t->write_file('bad.json', json_encode(\%bad));

# PyYAML comes with the validator.
$t->write_file('check.py', <<'END');
import json
import sys

import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

folder = sys.argv[1] + '/'
doc = json.load(open(folder + 'openapi.json'))
validate(doc)
print('document valid')


def errors(name, value):
    schema = {'$ref': '#/components/schemas/' + name,
              'components': doc['components']}
    return [e.message for e in
            Draft202012Validator(schema).iter_errors(value)]


for name, schema in doc['components']['schemas'].items():
    Draft202012Validator.check_schema(schema)
    for value in schema.get('examples') or [{'no': 'example'}]:
        found = errors(name, value)
        if found:
            print('example of', name, json.dumps(value)[:300], found[:3])

bodies = 0
for path, ops in doc['paths'].items():
    for method, op in ops.items():
        for body in [op.get('requestBody', {})] + list(op['responses'].values()):
            for media in body.get('content', {}).values():
                schema = media.get('schema')
                if not schema or '$ref' in schema:
                    continue
                bodies += 1
                schema = dict(schema, components=doc['components'])
                found = [e.message for e in Draft202012Validator(schema)
                         .iter_errors(media['example'])] \
                    if 'example' in media else ['none']
                if found:
                    print('example', method, path,
                          json.dumps(media.get('example'))[:300], found[:3])
print('bodies', bodies > 20)

n = 0
for file, want in (('checks', True), ('good', True), ('bad', False)):
    for name, values in json.load(open(folder + file + '.json')).items():
        for value in values:
            n += 1
            found = errors(name, value)
            if (not found) != want:
                print(file, name, json.dumps(value)[:300], found[:3])

for value in yaml.safe_load_all(open(folder + 'dump.yaml')):
    n += 1
    found = errors('Document', value)
    if found:
        print('dump', value['kind'], found[:3],
              errors(value['kind'] + 'Document', value))

print('checked', n > 40)
END
my ($code, $out, $err) = $t->run_cmd(["$Test::Stoa::PARTS/python/venv/bin/"
    . 'python', $t->dir('check.py'), $t->dir]);
is($out, "document valid\nbodies True\nchecked True\n",
   'the document is valid, and what is sent and answered is as it says')
    or diag $err;

$t->done;
