#!/usr/bin/perl

# Writers at once and a reader that follows: no revision is missed, and what
# was replayed is the table.  Then the same through a kill -9.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;

my $writers = 4;
my $t = Test::Stoa->new;
$t->control;

$t->apply(join "---\n", "apiVersion: stoa/v1\nkind: Tenant\n"
    . "metadata: {name: acme}\n", map { <<"END" } 1 .. $writers);
apiVersion: stoa/v1
kind: Plan
metadata: {name: p$_, tenant: acme}
---
apiVersion: stoa/v1
kind: Api
metadata: {name: a$_, tenant: acme}
spec: {kind: rest, state: published, upstream: {targets: [{url: 'http://x'}]}}
END

# enough for an answer of many pages, each a snapshot of its own
$t->apply(join "---\n", map { <<"END" } 1 .. 2500);
apiVersion: stoa/v1
kind: Application
metadata: {name: seed$_, tenant: acme}
END

my $g = Test::Stoa::Feed->new($t, 'gw', 'default');
my $other = Test::Stoa::Feed->new($t, 'other', 'other');
$g->pull;
$other->pull;


# Each writer: changes of a plan, keys made and revoked, an api that moves
# between groups, refused requests in between.

sub writer {
    my ($n, $rounds, $what) = @_;
    my $fails = 0;
    my $try = sub {
        my ($want, @call) = @_;
        my $r = $t->api(@call);
        $want = qr/^[24]/ if $what eq 'killed';
        if ($r->{status}) { $fails++ if $r->{status} !~ $want }
        else { select undef, undef, undef, 0.05 }
    };
    srand $n;
    for my $i (1 .. $rounds) {
        my $app = "$what-$n-$i";
        $try->(qr/^2/, 'PATCH', "/v1/tenants/acme/plans/p$n", { rate => $i });
        $try->(qr/^201/, 'POST', '/v1/tenants/acme/applications',
               { name => $app });
        $try->(qr/^201/, 'POST',
               "/v1/tenants/acme/applications/$app/credentials", {});
        $try->(qr/^409/, 'POST', '/v1/tenants/acme/applications',
               { name => $app });
        $try->(qr/^2/, 'PATCH', "/v1/tenants/acme/apis/a$n",
               { gateway_groups => $i % 3 ? ['other'] : [] });
        $try->(qr/^20/, 'DELETE', "/v1/tenants/acme/applications/$app")
            if rand() < 0.5;
    }
    return $fails;
}

sub race {
    my ($what, $rounds, $during) = @_;
    my @pids;
    for my $n (1 .. $writers) {
        my $pid = fork // die;
        if ($pid == 0) {
            my $fails = eval { writer($n, $rounds, $what) } // 99;
            warn $@ if $@;
            POSIX::_exit($fails > 99 ? 99 : $fails);
        }
        push @pids, $pid;
    }

    my ($pulls, $rows) = (0, 0);
    my @late;
    my %running = map { ($_ => 1) } @pids;
    my $fails = 0;
    while (%running) {
        for my $x ($g, $other) {
            my $r = eval { $x->pull(wait => 1) };
            if (!$r) { fail("$what: $@"); return }
            $rows += @{ $x->{lines} } if $r->{status} == 200;
            $pulls++;
        }
        if ($pulls % 10 == 0) {
            my $x = Test::Stoa::Feed->new($t, 'gw', 'default',
                                          token => $g->{token});
            my $r = eval { $x->pull };
            push @late, $x if $r && $r->{status} == 200;
            if (!$r && $@ !~ /closing|head line/) { fail("$what: $@"); return }
        }
        $during->($pulls) if $during;
        for my $pid (keys %running) {
            next if waitpid($pid, POSIX::WNOHANG()) != $pid;
            $fails += $? >> 8;
            delete $running{$pid};
        }
    }

    is($fails, 0, "$what: every request was answered as it should");
    for my $x ($g, $other) {
        1 while @{ ($x->pull, $x->{lines})[1] };
        my $fresh = Test::Stoa::Feed->new($t, "$what-$x->{name}",
                                          $x->{name} eq 'gw' ? 'default'
                                                             : 'other');
        $fresh->pull;
        is_deeply($x->{rows}, $fresh->{rows},
                  "$what: $x->{name}, the replay is the snapshot");
        $x->status;
        is($x->shown->{sync}, 'in-sync',
           "$what: $x->{name}, and the running digest is right");
    }
    my $wrong = 0;
    for my $x (@late) {
        1 while @{ ($x->pull, $x->{lines})[1] };
        $wrong++ if $x->digest ne $g->digest;
    }
    is($wrong, 0, "$what: who began in the middle has the same");
    note("$pulls pulls, $rows rows, head $g->{rev}, began late "
         . scalar @late);
}

race('together', 30);

my $killed = 0;
race('killed', 30, sub {
    return if $killed++ % 6 != 3 || $killed > 15;
    $t->kill9('control');
    $t->control;
});

$t->done;
