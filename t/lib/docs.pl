# Writes the pages of docs/ that are a program's output: "make docs".

use Test::Stoa;

my $t = Test::Stoa->new->has('control', 'stoactl');
$t->control;

my %page = (stoactl => ['help', '--markdown'],
            reference => ['explain', '--markdown']);
for my $name (sort keys %page) {
    my ($code, $text, $err) = $t->stoactl(@{ $page{$name} });
    is($code, 0, "docs/$name.md") or diag($err);
    spew("$Test::Stoa::ROOT/docs/$name.md", $text) if $code == 0;
}
$t->done;
