#!/usr/bin/perl

# kill -9 of the control plane while it writes: what was answered is kept, what
# is asked again with its Idempotency-Key happens once, the audit log and the
# feed are whole.  STOA_ROUNDS says how often.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::Stoa;
use Test::Stoa::HTTP;

my $rounds = $ENV{STOA_ROUNDS} || 12;
my $writers = 3;

my $t = Test::Stoa->new;
$t->control;
$t->must(POST => '/v1/tenants', { name => 'acme' });
$t->must(POST => '/v1/tenants/acme/applications', { name => 'app' });
my $keys = '/v1/tenants/acme/applications/app/credentials';

# One POST; the id, or nothing when there was no answer.

sub make {
    my ($c, $key) = @_;
    my $r = $c->request('POST', $keys, keepalive => 1, headers => {
        Authorization => "Bearer $t->{token}",
        'Content-Type' => 'application/json', 'Idempotency-Key' => $key },
        body => '{}');
    return undef unless $r && ($r->{status} // 0) == 201;
    my $json = json_decode($r->{body});
    return $json && $json->{id};
}

# Writes until the other side is gone; a line per key: what, and the id.

sub writer {
    my ($round, $w) = @_;
    open my $log, '>', $t->dir("log-$round-$w") or die;
    $log->autoflush(1);
    my $c = Test::Stoa::HTTP->connect($t->port('control')) or return;
    for my $i (1 .. 100000) {
        my $key = "$round-$w-$i";
        print $log "$key\n";
        my $id = make($c, $key) or return;
        print $log "$key $id\n";
    }
}

my (%id, $asked, $kept);
for my $round (1 .. $rounds) {
    my @pids;
    for my $w (1 .. $writers) {
        my $pid = fork // die "fork: $!\n";
        if (!$pid) {
            writer($round, $w);
            POSIX::_exit(0);
        }
        push @pids, $pid;
    }
    Time::HiRes::sleep(0.05 + rand 0.3);
    $t->kill9('control');
    waitpid $_, 0 for @pids;
    $t->control;

    # every key again: the same id where there was an answer

    my $c = Test::Stoa::HTTP->connect($t->port('control'));
    my @other;
    for my $w (1 .. $writers) {
        my (%seen, @order);
        for (split /\n/, slurp($t->dir("log-$round-$w"))) {
            my ($key, $id) = split / /;
            push @order, $key unless exists $seen{$key};
            $seen{$key} = $id;
        }
        for my $key (@order) {
            my $again = make($c, $key) // '';
            push @other, "$key: $seen{$key}, $again"
                if defined $seen{$key} && $seen{$key} ne $again;
            $kept++ if defined $seen{$key};
            $id{$again} = $key;
            $asked++;
        }
    }
    is_deeply(\@other, [], "round $round: what was answered is kept");
}
cmp_ok($kept, '>', $rounds, "$asked keys, $kept of them answered");

my ($cursor, %have) = ('');
do {
    my $p = $t->must(GET => "$keys?limit=500&cursor=$cursor");
    $have{ $_->{id} }++ for @{ $p->{items} };
    $cursor = $p->{next} // '';
} while $cursor ne '';
is(scalar keys %have, $asked, 'each key made one credential');
is_deeply([grep { !$have{$_} } keys %id], [], 'the one it was told');

my $v = $t->must(GET => '/v1/audit/verify');
is($v->{ok}, JSON::PP::true, 'the audit log is whole');
my ($chain) = grep { $_->{tenant} eq 'acme' } @{ $v->{chains} };
is($chain->{checked}, $asked + 2, 'with one event for each');

$t->must(POST => '/v1/gateway-groups', { name => 'g' });
my $gw = $t->must(POST => '/v1/gateways', { name => 'g', group => 'g' })
    ->{token};
my %feed = map { ($_->{body}{id} => 1) }
    grep { ($_->{kind} // '') eq 'credential' } map { json_decode($_) }
    split /\n/, $t->api(GET => '/gateway/v1/feed?since=0', undef,
        token => $gw, timeout => 30)->{body};
is(scalar(grep { $feed{$_} } keys %have), $asked, 'all are in the feed');
is(scalar keys %feed, $asked, 'and no other');

$t->done;
