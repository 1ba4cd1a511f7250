#!/usr/bin/perl

# The rules of the tree that a program can check: who uses whom, how long
# things are, what never lands in a file.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $root = $Test::Stoa::ROOT;
chdir $root or die "$root: $!\n";

# limits of a C file: hard ones, past which review has failed
my ($LINES, $FUNCTION, $COLUMNS) = (800, 80, 79);

# A plane, from the top: a folder uses what stands in it and below it, by an
# include and by a call; core/ stands below both.  anyone: symbols that all may
# use.  loops: files that call each other, because what they read is nested.
my @PLANES = (
    { root   => 'ngx_stoa_module',
      floors => ['.', qw(observe conf mcp request cache limit upstream policy auth
                         sync store usage shm net base core)],
      anyone => ['ngx_http_stoa_module'],             # nginx's tag of it
      loops  => ['core/stoa_rec core/stoa_rec_types'] },
    { root   => 'control-plane',
      floors => ['.', qw(rest platform openapi apply http oidc catalogue
                         discovery kinds resource people audit feed auth client
                         op store spec stoactl base)],
      anyone => [],
      loops  => ['resource/cp_validate resource/cp_values',
                 'resource/cp_depend resource/cp_resource'] },
);

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
                m{include[ \t]*["<]([^">]*(?:control-plane|\bcp_)[^">]*)}g
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
    none("a function has at most $FUNCTION lines", long_functions());
}

layers($_) for @PLANES;

none('who is no edge asks for no edge by name', map {
    my $f = $_;
    lines($f, sub { /call\.mcp\b|_mcp_\w+\(/ })
} grep { m{^ngx_stoa_module/(?!mcp/|core/)\w+/.*\.c$} } @c);

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

none('who may write what is said in the matrix of roles, too', grep {
    $text{'t/cp_rbac.t'} !~ /[\[(\s']\Q$_\E[\])\s']/
} $text{'control-plane/auth/cp_rbac.c'} =~ /"(\w+:(?!read")\w+)"/g);

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

# One plane: its folders are on floors, nothing uses what stands above, files
# do not call in a circle, what is exported is used.  A call is seen in the
# objects, so that no header can hide one.

sub layers {
    my ($p) = @_;
    my $root = $p->{root};
    my @mine = grep { m{^$root/} } @c;
    my @floors = @{ $p->{floors} };
    my %floor = map { ($floors[$_] => $_) } 0 .. $#floors;
    my $up = sub {                      # is the second above the first?
        my ($from, $to) = map { $floor{folder($root, $_)} // 0 } @_;
        return $to < $from;
    };

    none("$root: each folder has a floor",
         keys %{{ map { ($_ => 1) } grep { !defined $floor{$_} }
                  map { folder($root, $_) } @mine }});

    my %header = map { (m{([^/]+)$} ? ($1 => $_) : ()) }
                 grep { /\.h$/ } @mine;
    none("$root: an include leads down", map {
        my $file = $_;
        map { "$file: $_" }
            grep { m{([^/]+)$}; $header{$1} && $up->($file, $header{$1}) }
            $text{$file} =~ m{^[ \t]*\#[ \t]*include[ \t]*"([^"]+)"}mg
    } @mine);

  SKIP: {
        my ($def, $use) = symbols();
        skip 'nothing is built', 3 unless grep { m{^$root/} } values %$def;

        my (@up, %calls, %used);
        for my $file (sort keys %$use) {
            for my $name (sort keys %{ $use->{$file} }) {
                my $to = $def->{$name} or next;
                $used{$name} = 1;
                next if $file !~ m{^$root/} || $to !~ m{^$root/}
                    || grep { $_ eq $name } @{ $p->{anyone} };
                $calls{$file}{$to} = $name;
                push @up, "$file: $name of $to" if $up->($file, $to);
            }
        }
        none("$root: a call leads down", @up);
        none("$root: files call in no circle", grep {
            my $loop = $_;
            !grep { $loop eq $_ } @{ $p->{loops} }
        } map { join ' ', map { s{^$root/}{}r =~ s{\.c$}{}r } sort @$_ }
          circles(\%calls));
        none("$root: what is exported is used", map { "$def->{$_}: $_" }
             grep { $def->{$_} =~ m{^$root/} && !$used{$_} && $_ ne 'main'
                    && !named($_, $def->{$_}) } sort keys %$def);
    }
}

sub folder {
    my ($root, $file) = @_;
    return $file =~ m{^\Q$root\E/([^/]+)/} ? $1 : '.';
}

# What the objects of both planes define (in which source) and ask for.

my (%defined, %asked);

sub symbols {
    return (\%defined, \%asked) if %asked;
    my $objs = $Test::Stoa::OBJS;
    my @objects = grep { -f }
        glob "$objs/{ngx_stoa_module,control-plane}/{,*/}*.o";
    return ({}, {}) if !@objects || !program('nm');

    open my $fh, '-|', 'nm', '-A', '--format=posix', @objects or return;
    while (<$fh>) {
        my ($file, $name, $type) = m{^\Q$objs\E/(\S+)\.o: (\S+) (\S)} or next;
        next if $name =~ /^__odr_asan/;                    # a sanitizer's
        $file .= '.c';
        next if !$text{$file} && $file !~ /_modules\.c$/;  # left behind
        if ($type eq 'U') {
            $asked{$file}{$name} = 1;
        } elsif ($type =~ /[A-TV-Z]/ && $text{$file}) {
            $defined{$name} = $file;
        }
    }
    return (\%defined, \%asked);
}

# Does another source than a symbol's own and its header name it, that is
# linked into tests or into tables?

sub named {
    my ($name, $file) = @_;
    my $own = $file =~ s{\.c$}{}r;
    return grep { !m{^\Q$own\E\.} && $text{$_} =~ /\b$name\b/ }
        grep { m{^t/} || m{/core/} } @c;
}

# The files that reach each other (Tarjan).

sub circles {
    my ($calls) = @_;
    my ($n, $visit, %index, %low, %on, @stack, @found) = (0);
    $visit = sub {
        my ($v) = @_;
        $index{$v} = $low{$v} = $n++;
        push @stack, $v;
        $on{$v} = 1;
        for my $w (sort keys %{ $calls->{$v} || {} }) {
            $visit->($w) if !defined $index{$w};
            $low{$v} = $low{$w} if $on{$w} && $low{$w} < $low{$v};
        }
        return if $low{$v} != $index{$v};
        my @group;
        do { push @group, pop @stack; $on{$group[-1]} = 0 }
            until $group[-1] eq $v;
        push @found, \@group if @group > 1;
    };
    $visit->($_) for grep { !defined $index{$_} } sort keys %$calls;
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
