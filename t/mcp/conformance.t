#!/usr/bin/perl

# The public conformance suite through the gateway with a key, each revision
# at an upstream that passes all of it when it is asked directly, and at one of
# the other era.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Conformance;

my $t = Test::Stoa->new->has('go', 'conformance');

my %port = (dual => $t->mcp_go(name => 'dual'),
            legacy => $t->mcp_go(name => 'legacy', stateless => 0));
my %url = $t->suite_gateway(%port);

# which upstream, how many scenarios it has
my %set = ('2026-07-28' => ['dual', 50], '2025-11-25' => ['legacy', 33],
           '2025-06-18' => ['legacy', 27],
           # the other era at the upstream
           '2026-07-28 bridged' => ['legacy', 50]);

# What the gateway still lacks.  Nobody adds a line here.

my %bridged = (
    'server-stateless' => 'an error of 2026-07-28 of an older server is not '
        . 'passed on',
    map { ("input-required-result-$_" => 'requests of older servers are not '
        . 'put to modern clients') } qw(basic-elicitation basic-list-roots
        basic-sampling capability-check multi-round multiple-input-requests
        non-tool-request request-state result-type tampered-state)
);
my %lacking = ('2026-07-28' => {}, '2025-11-25' => {}, '2025-06-18' => {},
               '2026-07-28 bridged' => \%bridged);

# Alone they do all but tasks, which are an extension; "make test-matrix" looks.

my $full = $ENV{STOA_TEST_FULL};
my (%direct, %through);
for my $set (sort keys %set) {
    my ($up) = @{ $set{$set} };
    my ($version) = split ' ', $set;
    $direct{$set} = $t->suite_server($version, "http://127.0.0.1:"
        . $port{$version eq '2026-07-28' ? 'dual' : $up} . '/mcp') if $full;
    $through{$set} = $t->suite_server($version, $url{$up});
}

for my $set (reverse sort keys %set) {
    if ($full) {
        my $direct = $t->suite_result($direct{$set});
        is(join(' ', grep { !/^tasks-/ && $direct->{$_}[1] }
            sort keys %$direct), '', "$set: the upstream alone passes");
    }
    my $through = $t->suite_result($through{$set});
    is(scalar(keys %$through), $set{$set}[1], "$set: the suite ran");
    delete @$through{grep { /^tasks-/ } keys %$through};
    Test::Stoa::Conformance::ratchet($set, $through, $lacking{$set});
    diag("$set: ", Test::Stoa::Conformance::passed($through));
}

$t->done;
