#!/usr/bin/perl

# The pages of docs/ against the programs' own tables.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Pages;

my $t = Test::Stoa->new->has('control', 'stoactl');
my $root = $Test::Stoa::ROOT;
my $page = slurp("$root/docs/control-plane.md");

my ($code, $help) = $t->run_cmd(["$Test::Stoa::OBJS/stoa-control", '--help']);
my %option = $help =~ /^  --([a-z-]+)  +.*?(?: \[(.*)\])?$/mg;
delete @option{qw(check-config new-admin-token new-admin-password backup print-openapi version help)};
cmp_ok(scalar keys %option, '>', 10, 'options');

for my $name (sort keys %option) {
    my ($row) = grep { /`\Q$name\E`/ } $page =~ /^\|(.*)\|$/mg;
    ok($row, "$name is in docs/control-plane.md");
    like($row // '', qr/\| \Q$option{$name}\E \|/, "$name: its default")
        if defined $option{$name};
}
while ($page =~ /^\| `([a-z-]+)`[^|]*\| [^|]* \| [^|]*\|$/mg) {
    ok(exists $option{$1}, "$1 is an option");
}

# every path of the interface has its place on the page

$t->control;
my $api = $t->must('GET', '/v1/openapi.json');
my @missing;
for my $path (sort keys %{ $api->{paths} }) {
    my ($last) = grep { !/^\{/ } reverse split m{/}, $path;
    my $event = ($api->{paths}{$path}{post}{summary} // '') =~ /^Event /;
    push @missing, $path unless $event || $page =~ m{/\Q$last\E\b}
        || $page =~ /`\Q$last\E`/;
}
is(join(' ', @missing), '', 'every path is on the page');

# the fields

my ($failed, $fields) = $t->stoactl('explain', '--markdown');
is($fields, slurp("$root/docs/reference.md"),
   'docs/reference.md is what "stoactl explain --markdown" prints');
my $types = policy_pages(map { slurp("$root/docs/$_.md") } qw(reference policies
                                                              approval));
for my $type (sort keys %$types) {
    my $file = "$root/docs/policies/$type.md";
    is(-e $file ? slurp($file) : '', $types->{$type},
       "docs/policies/$type.md is what \"make docs\" writes");
    like($types->{$type}, qr/^```yaml$/m, "and has an example");
}
(undef, my $out) = $t->stoactl('explain', 'api.upstream');
like($out, qr/^targets\[\]\.url +string +required +http or https/m,
     'stoactl explain KIND.FIELD');
unlike($out, qr/base_path/, 'and only that');
(undef, $out) = $t->stoactl('explain', 'plans.rate', '-o', 'json');
is(json_decode($out)->[0]{type}, 'integer 0 to 1000000000', 'of one field');
for my $kind ('GlobalPolicy', 'Policy', 'global-policies') {
    (undef, $out) = $t->stoactl('explain', $kind);
    like($out, qr/^attach\[\]/m, "explain $kind");
}
(undef, $out) = $t->stoactl('explain');
like($out, qr/^api +.*^policy-config-cors /ms, 'explain alone: what there is');
for my $bad ('api.upstrem', 'apy') {
    my ($code, undef, $err) = $t->stoactl('explain', $bad);
    is($code, 1, "explain $bad");
    like($err, qr/there is no field "upstrem"|unknown kind "apy"/, 'is told');
}

# what links within the tree leads somewhere

for my $file (glob("$root/*.md"), glob("$root/docs/*.md"),
              glob("$root/*/README.md"))
{
    my ($dir) = $file =~ m{(.*)/};
    my @dead = grep { !/^https?:|^#/ && !-e "$dir/" . s/#.*//r }
               slurp($file) =~ /\]\(([^()\[\]\s]+)\)/g;
    is(join(' ', @dead), '', substr($file, length($root) + 1)
       . ': no dead link');
}

$t->done;
