#!/usr/bin/perl

# How long what happens to an owner in Keycloak takes to be in the record that
# gateways have, with 10,000 applications that are tied to clients of a real
# Keycloak.  A report; it takes some minutes, most of them Keycloak's.
#
#   OWNERS=10000 CHANGES=10 t/bench/owners.pl [sqlite|pg]

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Cost;
use Test::Stoa::Docs;
use Test::Stoa::Keycloak;
use Time::HiRes qw(time);

my $n = $ENV{OWNERS} || 10_000;
my $t = Test::Stoa->new(db => shift || 'sqlite')->has('control', 'keycloak');
my $kc = Test::Stoa::Keycloak->new($t);
$| = 1;
$t->control(args => $kc->control_args);
my $from = time;
for (my $i = 0; $i < $n; $i += 500) {
    my $r = $kc->admin(POST => '/partialImport', { ifResourceExists => 'SKIP',
        clients => [map { { clientId => "own-$_", publicClient => \1 } }
                    $i .. $i + 499] });
    die "$r->{status} $r->{content}\n" if $r->{status} != 200;
}
printf "%d clients in %.0f s\n", $n, time - $from;
$t->apply(docs(tenant('acme')));
for (my $i = 0; $i < $n; $i += 2000) {
    $t->apply(docs(map { app('acme', "app-$_", owner => { client => "own-$_" })
                   } $i .. $i + 1999));
}

sub look { return $t->must(GET => '/v1/identity-provider')->{owners} }
sub state_of { return $t->must(GET => "/v1/tenants/acme/applications/app-$_[0]")
               ->{owner_seen}{state} }

$from = time;
wait_until { state_of($n - 1) eq 'active' } 600
    or die 'the owners were not seen: ', json_encode(look()), "\n";
printf "all of them were looked at %.0f s after they were tied\n",
    time - $from;
my @took;
my $cpu = cpu($t);
my $began = time;
for my $k (1 .. $ENV{CHANGES} || 10) {
    my $i = int rand $n;
    my ($client) = @{ $kc->must(GET => "/clients?clientId=own-$i")->{json} };
    for my $on (0, 1) {
        $kc->must(PUT => "/clients/$client->{id}", { %$client,
            enabled => $on ? \1 : \0 });
        $from = time;
        wait_until { (state_of($i) eq 'active') == $on } 60
            or die "own-$i is not seen\n";
        push @took, time - $from;
    }
}
@took = sort { $a <=> $b } @took;
printf "%d changes: %.1f s, median, %.1f s at most; %.1f %% of a core; load"
    . " %s\n", scalar @took, $took[$#took / 2], $took[-1],
    (cpu($t) - $cpu) / 10 / (time - $began), load();
printf "memory %.0f MB, at most %.0f MB\n", memory($t);
$t->done;
