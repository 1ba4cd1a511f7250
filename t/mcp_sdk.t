#!/usr/bin/perl

# Unmodified SDK clients through the gateway: TypeScript v1 and v2, Python, in
# their default mode, pinned to each era that the upstreams speak and by the
# transport of 2024-11-05, with two real upstreams behind one endpoint.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new->has('node', 'go', 'python');
$t->control;

my $everything = $t->mcp_everything(name => 'everything');
my $go = $t->mcp_go(name => 'go');
my $go2 = $t->mcp_go(name => 'go2');
my $old = $t->mcp_go(name => 'old', stateless => 0);
my $ev1 = $t->mcp_everything(name => 'ev1', transport => 'sse');
my $py1 = $t->mcp_python_sse;

# "mixed": one legacy server with sessions and one of both eras;
# "modern": two servers of both eras; "legacy": two with sessions; "first": two
# of 2024-11-05

$t->apply(demo(tenant => 'mixed',
               mcp => { ev => $everything, go => $go })
    . demo(tenant => 'modern', mcp => { ga => $go, gb => $go2 })
    . demo(tenant => 'legacy', mcp => { ev => $everything, old => $old })
    . demo(tenant => 'first', mcp => { ev => { port => $ev1, path => '/sse' },
                                       py => { port => $py1, path => '/sse' } }));

for my $api (qw(mixed/apis/ev mixed/apis/go modern/apis/ga modern/apis/gb
                legacy/apis/ev legacy/apis/old first/apis/ev first/apis/py))
{
    wait_until {
        my $r = $t->api('GET', "/v1/tenants/$api");
        ($r->{json}{discovery}{state} // '') eq 'ok'
    } 30 or $t->give_up("$api was not discovered");
}
$t->gateway(workers => 2);
my %key = map { $_ => $t->key($_, 'app') } qw(mixed modern legacy first);
$t->sync;

my $parts = $Test::Stoa::PARTS;
my %client = (
    ts1 => sub { ['node', "$FindBin::Bin/sdk/ts1.mjs", @_] },
    'ts1-sse' => sub { ['node', "$FindBin::Bin/sdk/ts1.mjs", @_] },
    ts2 => sub { ['node', "$FindBin::Bin/sdk/ts2.mjs", @_] },
    py => sub { ["$parts/python/venv/bin/python", "$FindBin::Bin/sdk/py.py",
                 @_] },
);
my %call = (
    mixed => ['ev__echo', '{"message":"hello"}', 'go__test_simple_text', '{}'],
    modern => ['ga__test_simple_text', '{}', 'gb__test_simple_text', '{}'],
    legacy => ['ev__echo', '{"message":"hello"}',
               'old__test_simple_text', '{}'],
    first => ['ev__echo', '{"message":"hello"}', 'py__add', '{"a":2,"b":3}'],
);
my $url = 'http://127.0.0.1:' . $t->port('gw') . '/mcp/';

# client, mode, tenant, version that it must end up with

for my $case (
    [qw(ts1 default mixed 2025-11-25)],
    [qw(ts1 default modern 2025-11-25)],
    [qw(ts1 default legacy 2025-11-25)],
    (map { ['ts1-sse', 'default', $_, '2025-11-25'] } qw(mixed modern legacy first)),
    [qw(ts1 default first 2025-11-25)],
    [qw(ts2 auto first 2026-07-28)],
    [qw(py auto first 2026-07-28)],
    (map { [qw(py sse), $_, '2025-11-25'] } qw(mixed modern legacy first)),
    [qw(ts2 default mixed 2025-11-25)],
    [qw(ts2 auto mixed 2026-07-28)],
    [qw(ts2 auto modern 2026-07-28)],
    [qw(ts2 auto legacy 2026-07-28)],
    [qw(ts2 legacy modern 2025-11-25)],
    [qw(ts2 2026-07-28 modern 2026-07-28)],
    [qw(ts2 2026-07-28 legacy 2026-07-28)],
    [qw(py auto mixed 2026-07-28)],
    [qw(py auto modern 2026-07-28)],
    [qw(py auto legacy 2026-07-28)],
    [qw(py legacy modern 2025-11-25)],
    [qw(py 2026-07-28 modern 2026-07-28)],
    [qw(py 2026-07-28 mixed 2026-07-28)],
) {
    my ($who, $mode, $tenant, $version) = @$case;
    my @calls = @{ $call{$tenant} };
    my ($code, $text, $err) = $t->run_cmd($client{$who}->("$url$tenant",
        $key{$tenant}, $who =~ /^ts1/ ? () : $mode, @calls),
        env => { STOA_NODE_DIR => "$parts/node",
                 $who =~ /sse/ ? (STOA_SSE => 1) : () }, timeout => 60);
    my $out = json_decode($text) || {};

    is($out->{version}, $version, "$who $mode, $tenant upstreams: $version")
        or diag($text, $err);
    my %listed = map { $_ => 1 } @{ $out->{tools} || [] };
    ok($listed{ $calls[0] } && $listed{ $calls[2] },
       "$who $mode, $tenant: tools of both");
    is(scalar(grep { ($_->{content}[0]{type} // '') eq 'text'
                     && !$_->{isError} } @{ $out->{results} || [] }), 2,
       "$who $mode, $tenant: calls of both");
}

$t->done;
