#!/usr/bin/perl

# The public conformance suite through the gateway with a key and, on an open
# server, without: each revision at an upstream that passes all of it when it is
# asked directly, and at one of the other era.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Conformance;

my $t = Test::Stoa->new->has('go', 'conformance');

my %port = (dual => $t->mcp_go(name => 'dual'),
            legacy => $t->mcp_go(name => 'legacy', stateless => 0));
my %url = $t->suite_gateway(%port, map { ("open-$_" => {
    port => $port{$_}, open => 1 }) } keys %port);

# which upstream, how many scenarios it has
my %set = ('2026-07-28' => ['dual', 50], '2025-11-25' => ['legacy', 33],
           '2025-06-18' => ['legacy', 27],
           # without any credential, on a server that names a plan for that
           '2026-07-28 open' => ['open-dual', 50],
           '2025-11-25 open' => ['open-legacy', 33],
           # the other era at the upstream
           '2026-07-28 bridged' => ['legacy', 50]);

# What cannot pass.  Nobody adds a line here.

my %bridged = (
    'input-required-result-basic-elicitation' => 'an older server does not say '
        . 'the keys of what it asks',
    'input-required-result-multi-round' => 'this server asks older clients '
        . 'one time only (its SDK calls the tool again once)',
);
my %lacking = ('2026-07-28' => {}, '2025-11-25' => {}, '2025-06-18' => {},
               '2026-07-28 open' => {}, '2025-11-25 open' => {},
               '2026-07-28 bridged' => \%bridged);

# Alone they do all but tasks, which are an extension; "make test-matrix" looks.

my $full = $ENV{STOA_TEST_FULL};
my (%direct, %through);
for my $set (sort keys %set) {
    my ($up) = @{ $set{$set} };
    my ($version) = split ' ', $set;
    $direct{$set} = $t->suite_server($version, "http://127.0.0.1:"
        . $port{$version eq '2026-07-28' ? 'dual' : $up =~ s/^open-//r}
        . '/mcp') if $full;
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
