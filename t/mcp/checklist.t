#!/usr/bin/perl

# docs/mcp-checklist.md: each row of what MCP asks of a gateway is there, the
# tests that it names exist and name the row in their first lines; what has no
# test says so.

use strict;
use warnings;

use FindBin;
use Test::More;

my $root = "$FindBin::Bin/../..";
my %rows = (T => 8, V => 6, H => 5, S => 6, C => 5, F => 8, A => 8);
my @want = map { my $k = $_; map { "$k$_" } 1 .. $rows{$k} }
    qw(T V H S C F A);

open my $fh, '<', "$root/docs/mcp-checklist.md" or die "the page: $!\n";
my (@have, %tests);
while (<$fh>) {
    my ($row, $tests) = /^\| ([A-Z]\d) \| [^|]+ \| (.+) \|$/ or next;
    push @have, $row;
    $tests{$row} = $tests eq 'missing' ? [] : [$tests =~ /`([^`]+)`/g];
}
is("@have", "@want", 'all rows, in their order');

for my $row (@have) {
    my @bad = grep {
        my $text = '';
        if (open my $t, '<', "$root/$_") {
            for my $n (1 .. 12) { $text .= readline($t) // '' }
        }
        $text !~ /\b$row\b/;
    } @{ $tests{$row} };
    is("@bad", '', "$row: the tests name it");
}
diag('no test: ', join ' ', grep { !@{ $tests{$_} } } @have);

done_testing();
