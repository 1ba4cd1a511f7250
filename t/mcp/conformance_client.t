#!/usr/bin/perl

# The conformance suite's scenarios for clients, with the gateway between the
# client and the suite: what the gateway sends to upstreams.  All but auth/*,
# which ask of the client what the gateway keeps from upstreams.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Conformance;

my $t = Test::Stoa->new->has('conformance');
$t->suite_gateway;

# the client speaks 2026-07-28 where it can; "legacy": it may not
my @legacy = qw(initialize tools_call sse-retry
    elicitation-sep1034-client-defaults json-schema-2020-12-preservation);
my %scenarios = (
    '2026-07-28' => [qw(tools_call request-metadata http-standard-headers
        http-custom-headers http-invalid-tool-headers json-schema-ref-no-deref
        json-schema-2020-12-preservation sep-2322-client-request-state)],
    '2025-11-25' => [@legacy], '2025-11-25 legacy' => [@legacy],
    '2025-06-18 legacy' => [qw(initialize tools_call)],
);

# What the gateway still lacks.  Nobody adds a line here.

my %lacking = (
    '2026-07-28' => {
        'request-metadata' => 'each server is asked for its older era, too, '
            . 'as many of both name the newer one only' },
    '2025-11-25' => {},
    '2025-11-25 legacy' => {},
    '2025-06-18 legacy' => {},
);

my %run;
for my $set (sort keys %scenarios) {
    for my $name (@{ $scenarios{$set} }) {
        my ($version, $legacy) = split ' ', $set;
        $run{$set}{$name} = [map { $t->suite_client($version, $name,
            direct => $_, legacy => $legacy) }
            0, $ENV{STOA_TEST_FULL} ? 1 : ()];
    }
}

for my $set (reverse sort keys %run) {
    my (%through, %direct);
    for my $name (@{ $scenarios{$set} }) {
        my ($through, $direct) = map { $t->suite_client_result($_) }
            @{ $run{$set}{$name} };
        is($direct->[1], 0, "$set, $name: the client alone passes")
            if $direct;
        $through{$name} = $through;
    }
    Test::Stoa::Conformance::ratchet($set, \%through, $lacking{$set});
    diag("$set: ", Test::Stoa::Conformance::passed(\%through));
}

# auth/*: not run, and said why of each

my $dir = "$Test::Stoa::PARTS/conformance";
my (undef, $list) = $t->run_cmd(["$dir/bin/node", "$dir/node_modules"
    . '/@modelcontextprotocol/conformance/dist/index.js', 'list']);
my @auth = sort $list =~ m{- (auth/\S+)}g;
my @told = sort map { m{`(auth/[^`*]+)`}g }
    slurp("$FindBin::Bin/../../docs/mcp-checklist.md");
is("@told", "@auth", 'docs/mcp-checklist.md has each of the auth/* scenarios');

$t->done;
