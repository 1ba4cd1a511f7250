#!/usr/bin/perl

# Runs what was built from t/unit/*.c, and the fuzzers' seeds of t/fuzz/ as
# plain replays: each program is one subtest.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new;
my $objs = $Test::Stoa::OBJS;
my $root = $Test::Stoa::ROOT;

my @sources = glob "$root/t/unit/*.c";
ok(@sources > 0, 'there are unit tests');

for my $source (@sources) {
    my ($name) = $source =~ m{([^/]+)\.c$};
    program("unit $name", "$objs/t/unit/$name");
}

for my $source (glob "$root/t/fuzz/fuzz_*.c") {
    my ($name) = $source =~ m{fuzz_([^/]+)\.c$};
    my @seeds = grep { -f } glob "$root/t/fuzz/$name/*";

    ok(@seeds > 0, "t/fuzz/$name holds seeds");
    my ($code, $out, $err) = $t->run_cmd(
        ["$objs/t/replay/$name", "$root/t/fuzz/$name"], timeout => 120);
    is($code, 0, "replay of $name") or diag(tail($out . $err));
}

$t->done;


sub program {
    my ($name, $path) = @_;

    if (!-x $path) {
        fail("$name is built: make test-programs");
        return;
    }

    my ($code, $out, $err) = $t->run_cmd([$path], timeout => 300,
                                         cwd => $t->dir);

    subtest $name => sub {
        my ($planned, $seen) = (undef, 0);

        for (split /\n/, $out) {
            if (/^1\.\.(\d+)(?:\s*#\s*skip\s*(.*))?/i) {
                $planned = $1;
                plan(skip_all => $2) if $planned == 0;
            } elsif (/^(not )?ok\b(?:\s+\d+)?\s*(?:-\s*)?(.*)/) {
                $seen++;
                my ($bad, $what) = ($1, $2);
                if ($bad && $what =~ /#\s*todo/i) { next; }
                if ($bad) { fail($what); }
            } elsif (/^Bail out!(.*)/) {
                fail("bailed out:$1");
            }
        }

        # one assert per program keeps thousands of rows readable
        is($code, 0, 'exit code') or diag(tail("$out\n$err"));
        ok($seen > 0, "ran $seen asserts");
        is($planned, $seen, 'as many as planned');
        is($err =~ /Sanitizer|runtime error:/ ? $err : '', '',
           'no report of a sanitizer');
    };
}


sub tail {
    my ($text) = @_;
    return length $text > 3000 ? substr $text, -3000 : $text;
}
