package Test::Stoa::Pages;

# docs/policies/: a page for each type of policy, of what "stoactl explain
# --markdown" prints of its configuration and the first example of it in the
# pages that people write.

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT = qw(policy_pages);


sub policy_pages {
    my ($reference, @pages) = @_;
    my %page;

    while ($reference =~ /^## policy-config-(\S+)\n\n(.*?)(?=^## |\z)/msg) {
        my ($type, $text) = ($1, $2);
        my ($example) = grep { /^kind: (?:Global)?Policy$/m
                               && /^  type: \Q$type\E$/m }
            map { /^```yaml\n(.*?)^```$/msg } @pages;
        $text =~ s/^`config` of a policy of type `\Q$type\E`: (.)/\u$1/;
        $text =~ s/\s+\z/\n/;
        $page{$type} = "# $type\n\n$text\n"
            . (defined $example ? "```yaml\n$example```\n\n" : '')
            . "More of it: [policies.md](../policies.md).\n";
    }

    return \%page;
}


1;
