#!/usr/bin/perl

# The module's README says what the tables in the code say: every directive,
# variable and metric is there, and no other; and its example is right.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new;
my $root = "$FindBin::Bin/..";
my $doc = slurp("$root/ngx_stoa_module/README.md");

sub source {
    my ($file) = grep { -f } glob "$root/ngx_stoa_module/{,*/}ngx_http_stoa_$_[0].c";
    return slurp($file);
}
sub sorted { my %s = map { ($_ => 1) } @_; return [sort keys %s] }

# directives, with their contexts

my %code;
my $table = source('module');
while ($table =~ /\{ ngx_string\("(stoa\w*)"\),\s+([A-Z0-9_|]+),/g) {
    my ($name, $flags) = ($1, $2);
    $code{$name} = join ', ', map { $flags =~ /HTTP_$_->[0]_CONF/ ? $_->[1]
        : () } ['MAIN', 'http'], ['SRV', 'server'], ['LOC', 'location'];
}
my %text;
$text{$1} = $2
    while $doc =~ /^### (stoa\w*)\n`\1.*?· ([a-z, ]+?)(?: ·.*)?$/mg;
cmp_ok(scalar(keys %code), '>', 10, 'directives were found');
is_deeply(\%text, \%code, 'each directive, and where it is allowed');

# variables

my @vars = source('variables') =~ /ngx_string\("(stoa_\w+)"\)/g;
cmp_ok(scalar(@vars), '>', 10, 'variables were found');
is_deeply(sorted($doc =~ /^\| `\$(stoa_\w+)` \|/mg), sorted(@vars),
          'each variable');

# metrics, with their types

my $m = source('metrics');
my %metrics = ($m =~ /metrics_head\(b, "(stoa_\w+)",\s*"(\w+)"/g,
               $m =~ /\{ "(stoa_\w+)", "(\w+)",/g);
my %told = $doc =~ /^\| `(stoa_\w+)` \| (\w+) \|/mg;
cmp_ok(scalar(keys %metrics), '>', 20, 'metrics were found');
is_deeply(\%told, \%metrics, 'each metric, and its type');

# the example

SKIP: {
    skip 'no module', 1 unless -f $t->module;
    my $f = Test::Stoa::FakeControl->new($t, down => 1);
    my ($conf) = $doc =~ /```nginx\n(.*?)```/s;
    my $dir = $t->dir;
    my $module = $t->module;
    $conf =~ s{modules/ngx_http_stoa_module.so}{$module};
    $conf =~ s{/etc/stoa/gateway.token}{$dir/gw/token};
    $conf =~ s{ ca=\S+;}{;};
    $conf =~ s{/var/lib/stoa}{$dir/store};
    $conf =~ s{orders\.internal}{127.0.0.1:1};
    my ($code, $out) = $t->nginx_t(conf => "pid $dir/pid;\n$conf");
    is($code, 0, 'nginx takes the example') or diag($out);
}

$t->done;
