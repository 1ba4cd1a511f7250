#!/usr/bin/perl

# The rules of the tree that a program can check: who includes what, how long
# things are, what never lands in a file.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $root = $Test::Stoa::ROOT;
chdir $root or die "$root: $!\n";

# limits of a C file: hard ones, past which review has failed
my ($LINES, $FUNCTION, $COLUMNS) = (1200, 100, 79);

my @files = files();
my @c = grep { /\.[ch]$/ && !m{^bpf/} } @files;
my @core = grep { m{^ngx_stoa_module/core/} } @c;
my %text = map { ($_ => slurp($_)) } @files;


none('core/ is plain C', map {
    my $file = $_;
    map { "$file: $_" } $text{$file} =~
        m{^[ \t]*\#[ \t]*include[ \t]*[<"]
          (ngx_[^>"]*|curl/[^>"]*|lmdb[^>"]*|openssl/[^>"]*|libpq[^>"]*
          |sqlite3[^>"]*|microhttpd[^>"]*|yaml[^>"]*|zlib[^>"]*)}mgx
} @core);

none('the planes include only core/ of each other', grep { $_ } map {
    my $file = $_;
    $file =~ m{^control-plane/}
        ? map { "$file: $_" } $text{$file} =~
            m{include[ \t]*["<]((?:[^">]*/)?ngx_(?!stoa_module/core/)[^">]*)}g
        : $file =~ m{^ngx_stoa_module/}
            ? map { "$file: $_" } $text{$file} =~
                m{include[ \t]*["<]([^">]*(?:control-plane|cp_)[^">]*)}g
            : ()
} @c);

none("a C file has at most $LINES lines", map {
    my $n = () = $text{$_} =~ /\n/g;
    $n > $LINES ? "$_: $n" : ()
} @c);

none("a line of C has at most $COLUMNS columns, no tab, no trailing space",
     map { my $f = $_; lines($f, sub {
         my $line = $_;
         utf8::decode($line);
         length $line > $COLUMNS || /\t/ || /[ \r]$/
     }) } @c);

none('comments are /* */', map { my $f = $_; lines($f, sub {
         m{^\s*//} || m{;\s+//}
     }) } @c);

SKIP: {
    skip 'no ctags', 1 if !$ENV{CI} && !program('ctags');
    my @long = long_functions();
    none("a function has at most $FUNCTION lines", @long);
}

none('a header says what it is', grep {
    /\.h$/ && $text{$_} !~ m{\A/\*.*?\*/}s
} @c);

none('nothing is left to do', map { my $f = $_; lines($f, sub {
         /\b(?:TODO|FIXME|XXX|HACK)\b/
     }) } @c);

# own sources say so in pieces, so that this file passes too
my @never = ('/wo' . 'rk/', '/ro' . 'ot/', '/ho' . 'me/[a-z]',
             'BEGIN [A-Z ]*PRIVATE' . ' KEY');
my $never = join '|', @never;
none('no path of a machine, no secret', map { my $f = $_; lines($f, sub {
         /(?:^|[\s"'=:(])(?:$never)/
     }) } grep { !m{^(?:LICENSE$|t/fuzz/)} } @files);

none('scripts are executable', grep {
    $text{$_} =~ /\A#!/ && !-x $_ && !/\.(?:t|pl|pm)$/ && !m{^\.ci/}
} @files);

SKIP: {
    my @sh = grep { $text{$_} =~ m{\A#!\s*/(?:usr/)?bin/(?:env )?(?:ba)?sh} }
        @files;
    skip 'no shellcheck', 1 if !$ENV{CI} && !program('shellcheck');
    my $said = @sh ? `shellcheck -- @sh 2>&1` : '';
    is($said, '', 'shellcheck');
}

done_testing();


# What git knows and what it would take, or, in an export, what is there.

sub files {
    my @list = -e '.git'
        ? split /\0/, `git ls-files -z -co --exclude-standard 2>/dev/null`
        : ();
    chomp(@list = `find . -type f -not -path './objs*' -not -path './var/*'`)
        unless @list;
    s{^\./}{} for @list;
    return sort grep { -f && -T && !-l } @list;
}

sub program {
    my ($name) = @_;
    return scalar grep { -x "$_/$name" } split /:/, $ENV{PATH};
}

sub none {
    my ($what, @bad) = @_;
    my $n = @bad;
    splice @bad, 20;
    is(join("\n", @bad), '', $what . ($n > 20 ? " ($n in all)" : ''));
}

sub lines {
    my ($file, $bad) = @_;
    my ($n, @found) = (0);
    for (split /\n/, $text{$file}) {
        $n++;
        push @found, "$file:$n: $_" if $bad->();
    }
    return @found;
}

# From the line of the name to the closing brace; a table or a parser written
# as one switch says "long:" in the comment above it.

sub long_functions {
    my @found;
    my @sources = grep { /\.c$/ } @c or return;

    open my $fh, '-|', 'ctags', '-f', '-', '--c-kinds=f', '--fields=+ne',
        '--sort=no', @sources or return ('ctags does not run');
    while (<$fh>) {
        my ($name, $file) = split /\t/;
        my ($from) = /\tline:(\d+)/ or next;
        my ($to) = /\tend:(\d+)/ or next;
        my $n = $to - $from + 1;
        next if $n <= $FUNCTION;
        my @above = (split /\n/, $text{$file})[
            ($from > 9 ? $from - 9 : 0) .. $from - 1];
        push @found, "$file:$from: $name: $n"
            unless grep { m{^\s*(?:/\*|\*).*\blong:} } @above;
    }
    return @found;
}
