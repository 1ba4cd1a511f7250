#!/usr/bin/perl

# Documents: one transaction, states, operations, prune, diff, wait, faults.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;
use Time::HiRes qw(time);

my $t = Test::Stoa->new;
$t->control;

sub post {
    my ($path, $body, %o) = @_;
    return $t->api('POST', $path, $body, timeout => 120, %o, headers => {
        'Content-Type' => $o{type} || 'application/yaml',
        %{ $o{headers} || {} } });
}

sub actions {
    my ($r) = @_;
    return $r->{body} unless $r->{json}{changes};
    return join ' ', map { "$_->{kind}:$_->{action}" }
        @{ $r->{json}{changes} };
}

sub faults {
    my ($r) = @_;
    return join '; ', map { join ' ', map { $_ // '-' }
                            @$_{qw(document line field)} }
        @{ $r->{json}{errors} || [] };
}

sub state_of { $t->must('GET', $_[0])->{state} }

my $acme = <<'END';
# later documents first: the order of a stream does not matter
apiVersion: stoa/v1
kind: Subscription
metadata: {tenant: acme}
spec: {application: app, api: orders, plan: gold, state: active}
---
apiVersion: stoa/v1
kind: Application
metadata: {name: app, tenant: acme}
---
apiVersion: stoa/v1
kind: Server
metadata: {name: desk, tenant: acme}
spec: {tools: [{api: tools, tool: echo}], state: published}
---
apiVersion: stoa/v1
kind: Api
metadata: {name: tools, tenant: acme}
spec: {kind: mcp, upstream: {targets: [{url: 'http://127.0.0.1:1/mcp'}]}}
---
apiVersion: stoa/v1
kind: Api
metadata: {name: orders, tenant: acme}
spec:
  kind: rest
  upstream: {targets: [{url: 'http://127.0.0.1:1'}]}
  gateway_groups: [prod]
  state: published
  operations:
    - {name: list, method: GET, path: /orders}
    - {method: GET, path: '/orders/{id}', state: disabled}
---
apiVersion: stoa/v1
kind: Plan
metadata: {name: gold, tenant: acme}
spec: {rate: 10, approval: manual}
---
apiVersion: stoa/v1
kind: GatewayGroup
metadata: {name: prod}
---
apiVersion: stoa/v1
kind: Tenant
metadata: {name: acme}
---
END

my $r = post('/v1/apply?dry_run=1', $acme);
is($r->{status}, 200, 'a dry run');
is(actions($r), join(' ', map { "$_:create" } qw(Subscription Application
   Server Api Api Plan GatewayGroup Tenant)), 'tells what would be');
is($t->api('GET', '/v1/tenants/acme')->{status}, 404, 'and does nothing');

my $rev = $r->{json}{rev};
$r = post('/v1/apply', $acme);
is($r->{status}, 200, 'applied');
cmp_ok($r->{json}{rev}, '>', $rev, 'a new revision');
is(state_of('/v1/tenants/acme/apis/orders'), 'published', 'states: api');
is(state_of('/v1/tenants/acme/apis/tools'), 'draft', 'states: api, none');
is(state_of('/v1/tenants/acme/servers/desk'), 'published', 'states: server');
is($t->must('GET', '/v1/tenants/acme/subscriptions')->{items}[0]{state},
   'active', 'states: a subscription that needs approval');
is(join(' ', map { "$_->{name}=$_->{state}" }
        @{ $t->must('GET', '/v1/tenants/acme/apis/orders/operations')
           ->{items} }),
   'get-orders-id=disabled list=enabled', 'operations');

$rev = $r->{json}{rev};
$r = post('/v1/apply', $acme);
unlike(actions($r), qr/create|update|delete/, 'again: nothing to do');
is($r->{json}{rev}, $rev, 'and no new revision');
is(post('/v1/diff', $acme)->{body}, qq({"rev":$rev,"changes":[]}),
   'no difference');
like(post('/v1/apply?new=1', $acme)->{body}, qr/there is a\w* \w+ \\"[\w-]+\\" already/,
     'what is made new is not there already');
$r = post('/v1/apply?new=1', <<'END');
apiVersion: stoa/v1
kind: Tenant
metadata: {name: acme}
---
apiVersion: stoa/v1
kind: Application
metadata: {name: first, tenant: acme}
---
apiVersion: stoa/v1
kind: Plan
metadata: {name: gold, tenant: acme}
END
is($r->{status}, 409, 'a name that was taken meanwhile');
is($t->api('GET', '/v1/tenants/acme/applications/first')->{status}, 404,
   'nothing of it is made');
is($t->must('GET', '/v1/tenants/acme/plans/gold')->{rate}, 10,
   "and nothing of another's is changed");


# Changes

(my $changed = $acme) =~ s/rate: 10/rate: 20/;
$changed =~ s/name: list, method: GET/name: list, method: POST/;
$changed =~ s/    - \{method: GET.*\n//;
$r = post('/v1/diff', $changed);
is_deeply($r->{json}{changes}, [
    { kind => 'Api', tenant => 'acme', name => 'orders', action => 'update',
      diff => [
        { field => 'operations[get-orders-id]', after => undef, before =>
          { name => 'get-orders-id', method => 'GET', path => '/orders/{id}',
            state => 'disabled' } },
        { field => 'operations[list]',
          before => { name => 'list', method => 'GET', path => '/orders' },
          after => { name => 'list', method => 'POST', path => '/orders' } },
      ] },
    { kind => 'Plan', tenant => 'acme', name => 'gold', action => 'update',
      diff => [{ field => 'rate', before => 10, after => 20 }] },
], 'a diff, field by field');
is(post('/v1/diff', $acme)->{json}{changes}[0], undef, 'which did nothing');
$r = post('/v1/apply', $changed);
is(actions($r), 'Subscription:none Application:none Server:none Api:none '
   . 'Api:update Plan:update GatewayGroup:none Tenant:none', 'only those');


# JSON, one and many

my $plan = { apiVersion => 'stoa/v1', kind => 'Plan',
             metadata => { name => 'json', tenant => 'acme' } };
is(actions(post('/v1/apply', $plan, type => 'application/json')),
   'Plan:create', 'a JSON document');
is(actions(post('/v1/apply', [$plan, { %$plan, metadata => {
   name => 'json2', tenant => 'acme' } }], type => 'application/json')),
   'Plan:none Plan:create', 'a JSON array');


# States are walked

sub api_state { <<"END" }
apiVersion: stoa/v1
kind: Api
metadata: {name: walk, tenant: acme}
spec: {kind: rest, upstream: {targets: [{url: 'http://x'}]}, state: $_[0]}
END

for my $state (qw(retired)) {
    $r = post('/v1/apply', api_state($state));
    is($r->{status}, 200, "from nothing to $state");
    is(state_of('/v1/tenants/acme/apis/walk'), $state, 'is reached');
}
$r = post('/v1/apply', api_state('published'));
is($r->{status}, 409, 'from retired to published there is no way');
is(faults($r), '0 4 spec.state', 'which is told with its place');
is($r->{json}{type}, 'urn:stoa:problem:illegal_transition', 'and its code');
is(post('/v1/apply', api_state('nonsense'))->{status}, 409, 'no such state');

# a deprecated plan takes no new subscriptions, but in one apply both exist
$r = post('/v1/apply', <<'END');
apiVersion: stoa/v1
kind: Plan
metadata: {name: old, tenant: acme}
spec: {state: deprecated}
---
apiVersion: stoa/v1
kind: Application
metadata: {name: app2, tenant: acme}
spec: {state: suspended}
---
apiVersion: stoa/v1
kind: Subscription
metadata: {tenant: acme}
spec: {application: app2, api: orders, plan: old}
END
is($r->{status}, 200, 'what closes comes after what needs it open');
is(state_of('/v1/tenants/acme/plans/old'), 'deprecated', 'plan');
is(state_of('/v1/tenants/acme/applications/app2'), 'suspended', 'app');


# All or nothing

$rev = post('/v1/diff', $acme)->{json}{rev};
$r = post('/v1/apply', <<'END');
apiVersion: stoa/v1
kind: Tenant
metadata: {name: half}
---
apiVersion: stoa/v1
kind: Subscription
metadata: {tenant: half}
spec: {application: nobody, api: orders, plan: gold}
END
is($r->{status} >= 400, 1, 'a reference to nothing');
like(faults($r), qr/^1 \d+ spec/, 'is named');
is($t->api('GET', '/v1/tenants/half')->{status}, 404, 'nothing is done');
is(post('/v1/diff', $acme)->{json}{rev}, $rev, 'no revision is used');


# Faults: all of them at once, with document, line and field

$r = post('/v1/apply', <<'END');
apiVersion: stoa/v1
kind: Plan
metadata: {name: Bad Name, tenant: acme}
spec:
  rate: -1
  color: red
---
apiVersion: stoa/v2
kind: Plan
metadata: {name: x, tenant: acme}
---
apiVersion: stoa/v1
kind: Plane
metadata: {name: x, tenant: acme}
---
apiVersion: stoa/v1
kind: Api
metadata: {name: x, tenant: acme, color: red}
---
apiVersion: stoa/v1
kind: Tenant
metadata: {name: x, tenant: acme}
---
apiVersion: stoa/v1
kind: Subscription
metadata: {name: x, tenant: acme}
---
apiVersion: stoa/v1
kind: Api
metadata: {name: x, tenant: acme}
spec:
  kind: rest
  upstream:
    targets:
      - {url: 'ftp://x'}
END
is($r->{status}, 422, 'many faults');
is(join('; ', sort split /; /, faults($r)), join('; ', sort(
    '0 3 metadata.name', '0 5 spec.rate', '0 6 spec.color', '1 8 apiVersion',
    '2 13 kind', '3 18 metadata.color', '4 22 metadata.tenant',
    '5 26 metadata.name', '6 35 spec.upstream.targets[0].url')), 'each named')
    or diag $r->{body};

my %bad = (
    'two of one name' => [422, "$acme---\n" . (split /---\n/, $acme)[5]],
    'an operation twice' => [422, <<'END'],
apiVersion: stoa/v1
kind: Api
metadata: {name: x, tenant: acme}
spec:
  kind: rest
  upstream: {targets: [{url: 'http://x'}]}
  operations: [{method: GET, path: /a}, {method: GET, path: /a}]
END
    'a bad operation' => [422, <<'END'],
apiVersion: stoa/v1
kind: Api
metadata: {name: x, tenant: acme}
spec:
  kind: rest
  upstream: {targets: [{url: 'http://x'}]}
  operations: [{method: GOT, path: /a}]
END
    'an unknown tenant' => [404, <<'END'],
apiVersion: stoa/v1
kind: Plan
metadata: {name: x, tenant: nobody}
END
    'no YAML' => [400, "a: [\n"],
    'an alias bomb' => [400, "a: &a [x,x,x,x,x,x,x,x,x]\n" . join '', map {
        my ($p, $n) = ($_, chr(1 + ord $_));
        "$n: &$n [" . join(',', ("*$p") x 9) . "]\n" } 'a' .. 'h'],
    'a duplicate key' => [400, "kind: Plan\nkind: Plan\n"],
    'nothing' => [400, ''],
    'a text' => [422, 'hello'],
    'deep nesting' => [400, ('[' x 100) . (']' x 100)],
    'an immutable field' => [422, <<'END'],
apiVersion: stoa/v1
kind: Api
metadata: {name: orders, tenant: acme}
spec: {kind: mcp, upstream: {targets: [{url: 'http://x'}]}}
END
);
for my $name (sort keys %bad) {
    my ($status, $body) = @{ $bad{$name} };
    $r = post('/v1/apply', $body);
    ok($r->{status} == $status || ($status == 400 && $r->{status} == 422),
       "$name is refused") or diag "$r->{status} $r->{body}";
    ok($r->{json}{request_id}, "$name: problem+json");
}
like(faults(post('/v1/apply', $bad{'a bad operation'}[1])),
     qr/^0 7 spec\.operations\[0\]\.method$/, 'the operation is named');
is(faults(post('/v1/apply', <<'END')), '0 6 spec.partners', 'a cross rule too');
apiVersion: stoa/v1
kind: Api
metadata: {name: x, tenant: acme}
spec:
  kind: rest
  partners: [acme]
  upstream: {targets: [{url: 'http://x'}]}
END
is(post('/v1/apply', 'x', type => 'text/plain')->{status}, 415, 'text/plain');
is(post("/v1/apply?$_", $acme)->{status}, 400, "?$_")
    for qw(dry_run=x prune=2 max_delete=-1 wait=x wait=1h wait=301s
           dryrun=1);
is(post('/v1/diff', $acme)->{json}{rev}, $rev, 'none of it did anything');


# Prune

$r = post('/v1/apply?prune=1&max_delete=2', $acme);
is($r->{status}, 409, 'more than max_delete');
like($r->{json}{detail}, qr/^6 resources.*max_delete is 2$/, 'says how many');
is(actions(post('/v1/diff?prune=1', $acme)) =~ tr/:// , 8, 'diff of a prune');
$r = post('/v1/apply?prune=1', $acme);
is(actions($r), 'Subscription:none Application:none Server:none Api:none '
   . 'Api:update Plan:update GatewayGroup:none Tenant:none '
   . 'Subscription:delete Application:delete Api:delete Plan:delete '
   . 'Plan:delete Plan:delete', 'what is absent goes')
    or diag $r->{body};
post('/v1/apply', "apiVersion: stoa/v1\nkind: Tenant\n"
     . "metadata: {name: other}\n");
$r = post('/v1/apply?prune=1', "apiVersion: stoa/v1\nkind: Tenant\n"
          . "metadata: {name: other}\n");
is(actions($r), 'Tenant:none', 'other tenants are left alone');

# what hangs on something that goes, goes with it
post('/v1/apply', $acme . <<'END');
apiVersion: stoa/v1
kind: Application
metadata: {name: keyed, tenant: acme}
---
apiVersion: stoa/v1
kind: Subscription
metadata: {tenant: acme}
spec: {application: keyed, api: orders, plan: gold, state: active}
END
$t->key('acme', 'keyed');
my ($ended) = map { $_->{id} } grep { $_->{application} eq 'keyed' }
    @{ $t->must('GET', '/v1/tenants/acme/subscriptions')->{items} };
$t->must('POST', "/v1/tenants/acme/subscriptions/$ended/revoke");
$r = post('/v1/apply?prune=1', $acme);
like(actions($r), qr/ Application:delete$/, 'with its keys and its past')
    or diag $r->{body};


# Who may

my %token = map {
    my ($name, $role, $tenant) = @$_;
    $name => $t->must('POST', '/v1/admin-tokens', { name => $name,
        role => $role, $tenant ? (tenant => $tenant) : () })->{token};
} ['own', 'tenant-admin', 'acme'], ['foreign', 'tenant-admin', 'other'],
  ['viewer', 'viewer', 'acme'];
(my $in_acme = $acme) =~ s/apiVersion: stoa\/v1\nkind: GatewayGroup.*?---\n//s;
my $two = $in_acme;
$two =~ s/rate: 10/rate: 30/;

is(post('/v1/apply', $two, token => $token{viewer})->{status}, 403,
   'a viewer applies nothing');
is(actions(post('/v1/diff', $two, token => $token{viewer})), 'Plan:update',
   'but may ask');
is(post('/v1/apply', $two, token => $token{foreign})->{status}, 404,
   'another tenant does not exist');
is(post('/v1/apply', $two, token => $token{own})->{status}, 200,
   'the own one does, with its unchanged Tenant document');
(my $titled = $two) =~ s/metadata: \{name: acme\}/$&\nspec: {title: x}/;
is(post('/v1/apply', $titled, token => $token{own})->{status}, 403,
   'a changed one is not for a tenant-admin');
is(post('/v1/apply', "apiVersion: stoa/v1\nkind: Tenant\nmetadata: "
        . "{name: fresh}\n", token => $token{own})->{status}, 403,
   'nor is a new one');
like(post('/v1/apply', "apiVersion: stoa/v1\nkind: Tenant\nmetadata: "
        . "{name: other}\n", token => $token{own})->{status}, qr/^40[34]$/,
   'nor one of others');
is(post('/v1/apply', $acme, token => 'x')->{status}, 401, 'nobody');


# Waiting for gateways

my $gw = Test::Stoa::Feed->new($t, 'gw', 'default');
$r = post('/v1/apply?wait=1s', $acme);
is($r->{status}, 200, 'a gateway that was never there is not waited for');
is_deeply($r->{json}{gateways},
          [{ name => 'gw', rev => 0, state => 'offline' }], 'but told');
$gw->pull;
$gw->status;
is(post('/v1/apply?wait=1s', $acme)->{json}{gateways}[0]{state}, 'acked',
   'it has everything');
my $start = time;
$r = post('/v1/apply?wait=1s', $two);
is($r->{status}, 202, 'an online gateway that does not answer');
is($r->{json}{gateways}[0]{state}, 'pending', 'is pending');
cmp_ok(time - $start, '>=', 0.9, 'after the time to wait');

my $pid = fork // die;
if ($pid == 0) {
    for (1 .. 10) { $gw->pull(wait => 2); $gw->status }
    POSIX::_exit(0);
}
select undef, undef, undef, 0.5;
$start = time;
$r = post('/v1/apply?wait=20s', $acme);
is($r->{status}, 200, 'one that does is waited for');
cmp_ok(time - $start, '<', 4, 'no longer than it takes');
is($r->{json}{gateways}[0]{state}, 'acked', 'acked');
kill 'KILL', $pid;
waitpid $pid, 0;

$gw->pull;
$r = post('/v1/apply', $two);
$gw->pull;
$gw->status(rejected => [{ key => 'plan:x', rev => $r->{json}{rev},
                           error => 'bad' }]);
$r = post('/v1/apply', $two);
is($r->{json}{gateways}[0]{state}, 'acked', 'a rejection of before');


# At once: each whole, one after the other

my @pids = map {
    my $n = $_;
    my $pid = fork // die;
    if ($pid == 0) {
        my $bad = 0;
        for my $i (1 .. 8) {
            (my $mine = $acme) =~ s/rate: 10/rate: 10$n/;
            $mine =~ s/name: list, method: GET/name: list$n, method: GET/;
            my $r = post('/v1/apply?prune=1&max_delete=100', $mine);
            $bad++ if $r->{status} !~ /^20[02]$/;
        }
        POSIX::_exit($bad);
    }
    $pid;
} 1 .. 4;
my $refused = 0;
for (@pids) { waitpid $_, 0; $refused += $? >> 8 }
is($refused, 0, 'four at once, all are done');
my $rate = $t->must('GET', '/v1/tenants/acme/plans/gold')->{rate};
my ($n) = $rate =~ /^10(\d)$/;
is($t->must('GET', '/v1/tenants/acme/apis/orders/operations')
   ->{items}[-1]{name}, "list$n", 'and the last one is there as a whole');


# Much

my $many = join "---\n", map { <<"END" } 1 .. 10000;
apiVersion: stoa/v1
kind: Application
metadata: {name: n$_, tenant: acme}
END
$start = time;
$r = post('/v1/apply', $many);
like($r->{status}, qr/^20[02]$/, '10,000 documents');
note sprintf '%.1f s', time - $start;
cmp_ok(time - $start, '<', 20 * $Test::Stoa::SLOW * ($t->{db} eq 'pg' ? 4 : 1),
       'in time');
is(post('/v1/apply', "$many---\n$plan->{kind}: 1\n")->{status}, 413,
   '10,001 are too many');

$t->done;
