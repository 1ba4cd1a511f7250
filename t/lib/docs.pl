# Writes the pages of docs/ that are a program's output: "make docs".

use Test::Stoa;
use Test::Stoa::Pages;

my $t = Test::Stoa->new->has('control', 'stoactl');
$t->control;

my %page = (stoactl => ['help', '--markdown'],
            reference => ['explain', '--markdown']);
for my $name (sort keys %page) {
    my ($code, $text, $err) = $t->stoactl(@{ $page{$name} });
    is($code, 0, "docs/$name.md") or diag($err);
    spew("$Test::Stoa::ROOT/docs/$name.md", $text) if $code == 0;
}

my $docs = "$Test::Stoa::ROOT/docs";
my $page = policy_pages(map { slurp("$docs/$_.md") } qw(reference policies
                                                        approval));
mkdir("$docs/policies");
spew("$docs/policies/$_.md", $page->{$_}) for sort keys %$page;
$t->done;
