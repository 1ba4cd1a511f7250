#!/usr/bin/perl

# Every registered type of policy, by one table: it acts where it is attached
# and enabled, in a location with stoa, with stoa_protect and on MCP; not in
# shadow (but is counted), not disabled, not where it is not attached.  A type
# without a row fails.  Bounds are the control plane's as the tables say.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

# config; request: how to call; acts(answer, what the upstream got): did it?
# refuses: with which status and code; default: in force by itself; mcp: at a server too;
# protect: whether it acts with stoa_protect, if that is not as with stoa

my $in;                                        # the upstream's own address
my %case = (
    cors => {
        config => { origins => ['https://a.example'] },
        request => { headers => { Origin => 'https://a.example' } },
        acts => sub { ($_[0]{headers}{'access-control-allow-origin'} // '')
                      eq 'https://a.example' },
        mcp => 'server',
    },
    'response-locations' => {
        config => {}, default => 1, protect => 0,
        request => { path => 'moved' },
        acts => sub { ($_[0]{headers}{location} // '') =~ m{^/apis/} },
    },
    'body-limit' => {
        config => { max_bytes => 16 }, request => { body => 'x' x 17 },
        refuses => [413, 'body_too_large'], mcp => 'server',
    },
    'result-limit' => {
        config => { max_bytes => 1 }, request => {},
        refuses => [502, 'result_too_large'], mcp => 'server',
    },
    'require-token' => {                       # t/policy/token.t
        config => { roles => ['boss'] }, request => {},
        refuses => [403, 'role_required'], mcp => 'server',
    },
    'require-signature' => {                   # t/policy/signature.t
        config => { secrets => [{ keyid => 'k', application => 'demo',
                                  secret => '${secret:long}' }] },
        request => {}, refuses => [401, 'signature_invalid'],
    },
    'ip-filter' => {
        config => { deny => ['127.0.0.0/8'] }, request => {},
        refuses => [403, 'ip_denied'], mcp => 'server',
    },
    maintenance => {
        config => { text => 'back at noon' }, request => {},
        refuses => [503, 'maintenance'], mcp => 'server',
    },
    'user-agent' => {
        config => { deny => ['scraper*'] },
        request => { headers => { 'User-Agent' => 'x/1 (ScraperBot)' } },
        refuses => [403, 'user_agent_denied'], mcp => 'server',
    },
    'request-shape' => {                       # t/policy/request.t
        config => { max_header_bytes => 300, methods => [qw(GET POST)] },
        request => { headers => { 'X-Long' => 'x' x 301 } },
        refuses => [431, 'headers_denied'], mcp => 'server',
    },
    'path-rewrite' => {                        # t/policy/rewrite.t
        config => { rules => [{ from => '/{all*}', to => '/made/{all*}' }] },
        request => {}, protect => 0,
        acts => sub { ($_[0]{headers}{'x-path'} // '') =~ m{^/made/} },
    },
    'json-limits' => {                         # t/policy/content.t
        config => { max_depth => 3 },
        request => { body => '[[[[1]]]]', headers => {
            'Content-Type' => 'application/json' } },
        refuses => [400, 'json_denied'],
    },
    'json-schema' => {                         # t/policy/content.t
        config => { schema => { type => 'object' } },
        request => { body => '[1]', headers => {
            'Content-Type' => 'application/json' } },
        refuses => [400, 'schema_mismatch'],
    },
    'openapi-validation' => {                  # t/policy/openapi.t
        config => {}, request => { headers => { 'X-N' => 'x' } },
        api => { document => { format => 'json', text => json_encode({
            openapi => '3.0.3', info => { title => 'T', version => '1' },
            paths => { map { ($_ => { get => { parameters => [{ name => 'X-N',
                in => 'header', schema => { type => 'integer' } }],
                responses => { 200 => { description => 'ok' } } } }) }
                '/', '/{a}', '/{a}/{b}', '/{a}/{b}/' } }) } },
        refuses => [400, 'request_mismatch'],
    },
    'response-schema' => {                     # t/policy/answer.t
        config => { schema => { type => 'object' } }, request => {},
        refuses => [502, 'answer_mismatch'],
    },
    transform => {                             # t/policy/answer.t
        config => { response_remove => ['/a'] }, request => {},
        refuses => [502, 'transform_failed'],
    },
    opa => {                                   # t/policy/opa.t; nobody decides
        config => { agent => 'nobody', path => 'x' }, request => {},
        refuses => [503, 'policy_unavailable'], mcp => 'server',
    },
    'output-schema' => {                       # t/policy/guardrail.t
        config => {}, elsewhere => 1,
    },
    guardrail => {                             # t/policy/guardrail.t
        config => {},
        request => { body => 'to bob@example.com' },
        refuses => [400, 'guard_denied'],
    },
    headers => {
        config => { response_set => [{ name => 'X-Set', value => 'by-policy' }],
                    request_set => [{ name => 'X-Up', value => '${api}' }] },
        request => {},
        acts => sub { ($_[0]{headers}{'x-set'} // '') eq 'by-policy'
                      && ($_[1] // '') ne '-' },
        mcp => 'server',
    },
    'upstream-credential' => {
        config => { kind => 'header', header => 'X-Up',
                    value => '${secret:up}' },
        request => {}, acts => sub { ($_[1] // '') eq 'a-secret' },
    },

    'upstream-certificate' => {                # t/policy/certificate.t
        config => {}, elsewhere => 1,
    },

    # a plan's own: the policy says the state; one call uses it up

    rate => {
        config => {}, default => 1, request => {}, mcp => 'server',
        plan => { rate => 1, per_ms => 86_400_000 },
        refuses => [429, 'rate_exceeded'],
    },
    quota => {
        config => {}, default => 1, request => {}, mcp => 'server',
        plan => { quota_month => 1 }, refuses => [429, 'quota_exceeded'],
    },
    idempotency => {                           # t/policy/idempotency.t
        config => { required => JSON::PP::true }, request => { body => 'x' },
        refuses => [400, 'idempotency_missing'],
    },
    websocket => {                             # t/websocket_frames.t
        config => {}, elsewhere => 1,
    },
    cache => {                                 # t/policy/cache.t
        config => {}, elsewhere => 1,
    },
    bandwidth => {                             # t/policy/answer.t
        config => { bytes_per_s => 1 }, elsewhere => 1,
    },
    approval => {                              # t/mcp_approval.t
        config => {}, elsewhere => 1,
    },
    'rate-limit' => {                          # t/policy/limit.t
        config => { rate => 1 }, elsewhere => 1,
    },
    'llm-tokens' => {                          # t/policy/llm.t
        config => {}, elsewhere => 1,
    },
    cost => {                                  # t/policy/cost.t
        config => { cost => 1 }, elsewhere => 1,
    },
    concurrency => {                           # t/limit_rate.t
        config => {}, elsewhere => 1,
    },
);

my $schemas = $t->must(GET => '/v1/openapi.json')->{components}{schemas};
my %type = map { ($schemas->{$_}{title} => $schemas->{$_}) }
    grep { /^PolicyConfig/ } keys %$schemas;
is(join(' ', sort keys %type), join(' ', sort keys %case),
   'a row for every registered type');

my $port = $t->port('origin');
my $to = "http://127.0.0.1:$port";
$t->origin(sub {
    my ($q) = @_;
    return [302, [Location => "$to/elsewhere"], 'moved']
        if $q->{path} =~ /moved/;
    return [200, ['X-Set' => 'by-upstream', 'X-Path' => $q->{path}, 'X-Got' =>
                  $q->{headers}{'x-up'} // '-'], 'ok'];
}, port => $port);
my $mcp = $t->mcp_origin(name => 'm', tools => { echo => sub { 'hi' } });

my @states = qw(enabled shadow disabled none);
my (@docs, @more, $conf);
delete @case{grep { $case{$_}{elsewhere} } keys %case};
for my $type (sort keys %case) {
    (my $n = $type) =~ tr/-//d;
    for my $state (@states) {
        my $plan = $case{$type}{plan} ? "$n-$state" : 'free';
        push @docs, $plan eq 'free' ? ()
            : plan('acme', $plan, %{ $case{$type}{plan} }),
            rest('acme', "$n-$state", $to, %{ $case{$type}{api} // {} }),
            sub_('acme', 'demo', "$n-$state", $plan),
            doc('Server', 'acme', "$n-$state", { state => 'published',
                prefix => 'never', tools => [{ api => 'm', tool => 'echo' }] }),
            doc('Subscription', 'acme', undef, { application => 'demo',
                server => "$n-$state", plan => $plan });
        push @more, doc('Policy', 'acme', "$n-$state", { type => $type,
            state => $state, config => $case{$type}{config},
            attach => [$plan ne 'free' ? { plan => $plan }
                       : { api => "$n-$state" },
                       $case{$type}{mcp} && $plan eq 'free'
                       ? { server => "$n-$state" } : ()] })
            if $state ne 'none';
        $conf .= "location /p/$n-$state/ { stoa_protect tenant=acme "
            . "api=$n-$state; proxy_pass $to/; }\n";
    }
}
$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } })
    , doc('Secret', 'acme', 'up', { value => 'a-secret' }),
    doc('Secret', 'acme', 'long', { value => 'a secret that is long' })));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } } 20 or $t->give_up('no tools');
$t->apply(docs(@docs, @more));
$t->gateway(server => $conf);
my $key = $t->key('acme', 'demo');
$t->sync;

sub total { my ($type, $outcome) = @_;
            my ($n) = $t->get('/stoa/metrics')->{body} =~ m{^stoa_policy_total
                \{policy_type="\Q$type\E",outcome="$outcome"\}\s(\d+)}mx;
            return $n }

for my $type (sort keys %case) {
    my $c = $case{$type};
    (my $n = $type) =~ tr/-//d;
    my $acts = sub { my ($r) = @_;
                     return ($r->{json}{code} // $r->{rpc}{error}{data}{code}
                             // '') eq $c->{refuses}[1] ? 1 : 0
                         if $c->{refuses};
                     return $c->{acts}->($r, $r->{headers}{'x-got'}) ? 1 : 0 };
    my $did = $c->{refuses} ? 'refused' : 'applied';

    for my $state (@states) {
        my $want = $state eq 'enabled' || ($state eq 'none' && $c->{default})
            ? 1 : 0;
        my %before = map { ($_ => total($type, $_)) }
            ($did, "shadow_$did");
        my $call = sub { my ($base) = @_;
            return $t->http($c->{request}{body} ? 'POST' : 'GET',
                            $base . ($c->{request}{path} // ''), key => $key,
                            body => $c->{request}{body},
                            headers => $c->{request}{headers} // {}) };

        $call->("/apis/acme/$n-$state/") if $c->{plan};
        my $r = $call->("/apis/acme/$n-$state/");
        is($acts->($r), $want, "$type, $state: stoa")
            or diag(explain($r->{headers}));
        $r = $call->("/p/$n-$state/");
        is($acts->($r), exists $c->{protect} ? $c->{protect} : $want,
           "$type, $state: stoa_protect");
        is($r->{status}, $c->{refuses} && $want ? $c->{refuses}[0]
           : $c->{request}{path} ? 302 : 200, 'it is served, or not');

        for (1 .. ($c->{mcp} ? $c->{plan} ? 2 : 1 : 0)) {
            $r = $t->mcp("/mcp/acme/$n-$state", 'tools/call',
                { name => 'echo', arguments => {} }, key => $key,
                headers => $c->{request}{headers} // {});
        }
        if ($c->{mcp}) {
            is($acts->($r), $want, "$type, $state: MCP")
                or diag(explain($r));
        }
        is(total($type, $did) > $before{$did} ? 1 : 0, $want,
           "$type, $state: counted when it acts");
        is(total($type, "shadow_$did") > $before{"shadow_$did"} ? 1 : 0,
           $state eq 'shadow' ? 1 : 0, "$type, $state: and in shadow");
    }

    # bounds, as the table says them

    for my $field (sort keys %{ $type{$type}{properties} }) {
        my $s = $type{$type}{properties}{$field};
        next unless $s->{type} eq 'integer';
        for ([$s->{minimum}, 0], [$s->{minimum} - 1, 1], [$s->{maximum}, 0],
             [$s->{maximum} + 1, 1])
        {
            my ($value, $bad) = @$_;
            my $r = $t->api(POST => '/v1/apply?dry_run=1', docs(doc('Policy',
                'acme', 'bound', { type => $type, config => {
                    %{ $c->{config} }, $field => $value } })),
                headers => { 'Content-Type' => 'application/yaml' });
            is($r->{status} == 422 ? 1 : 0, $bad, "$type.$field: $value");
        }
    }
}

$t->done;
