#!/usr/bin/perl

# Every state x event of every resource, against the table of
# ARCHITECTURE.md section 3.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new;
$t->control;

# kind => { initial, events => { event => [to, from...] },
#           reach => { state => [events] } }

my %machine = (
    tenant => { initial => 'active', events => {
        suspend => ['suspended', 'active'],
        resume => ['active', 'suspended'],
        archive => ['archived', 'active', 'suspended'] } },
    api => { initial => 'draft', events => {
        publish => ['published', 'draft', 'deprecated'],
        deprecate => ['deprecated', 'published'],
        retire => ['retired', 'published', 'deprecated'] } },
    operation => { initial => 'enabled', events => {
        disable => ['disabled', 'enabled'],
        enable => ['enabled', 'disabled'] } },
    server => { initial => 'draft', events => {
        publish => ['published', 'draft'],
        unpublish => ['draft', 'published'] } },
    plan => { initial => 'active', events => {
        deprecate => ['deprecated', 'active'],
        archive => ['archived', 'deprecated'] } },
    application => { initial => 'active', events => {
        suspend => ['suspended', 'active'],
        resume => ['active', 'suspended'] } },
    subscription => { initial => 'pending', events => {
        approve => ['active', 'pending'],
        reject => ['rejected', 'pending'],
        suspend => ['suspended', 'active'],
        resume => ['active', 'suspended'],
        revoke => ['revoked', 'pending', 'active', 'suspended'] } },
    credential => { initial => 'active', events => {
        rotate => ['rotating', 'active'],
        revoke => ['revoked', 'active', 'rotating'] } },
    'admin-token' => { initial => 'active', events => {
        revoke => ['revoked', 'active'] } },
);

my $n = 0;
my $up = { targets => [{ url => 'http://a.test' }] };

$t->must(POST => '/v1/tenants', { name => 'acme' });
$t->must(POST => '/v1/tenants/acme/apis',
    { name => 'base', kind => 'rest', upstream => $up });
$t->must(POST => '/v1/tenants/acme/applications', { name => 'base' });
$t->must(POST => '/v1/tenants/acme/plans',
    { name => 'manual', approval => 'manual' });

# A fresh one; its path.

my %make = (
    tenant => sub { ['/v1/tenants', {}] },
    api => sub { ['/v1/tenants/acme/apis',
        { kind => 'rest', upstream => $up }] },
    operation => sub { ['/v1/tenants/acme/apis/base/operations',
        { method => 'GET', path => "/$n" }] },
    server => sub { ['/v1/tenants/acme/servers', {}] },
    plan => sub { ['/v1/tenants/acme/plans', {}] },
    application => sub { ['/v1/tenants/acme/applications', {}] },
    subscription => sub {
        $t->must(POST => '/v1/tenants/acme/applications',
            { name => "sub-$n" });
        ['/v1/tenants/acme/subscriptions', { application => "sub-$n",
            api => 'base', plan => 'manual' }] },
    credential => sub { ['/v1/tenants/acme/applications/base/credentials',
        {}] },
    'admin-token' => sub { ['/v1/admin-tokens', { role => 'viewer' }] },
);
my %unnamed = map { $_ => 1 } qw(subscription credential);

sub fresh {
    my ($kind) = @_;
    $n++;
    my ($path, $body) = @{ $make{$kind}->() };
    $body->{name} = "n$n" unless $unnamed{$kind};
    my $r = $t->must(POST => $path, $body);
    return "$path/" . ($unnamed{$kind} ? $r->{id} : $r->{name});
}

# The events that lead from the initial state to each other one.

sub ways {
    my ($m) = @_;
    my %way = ($m->{initial} => []);
    my @todo = ($m->{initial});
    while (defined(my $s = shift @todo)) {
        for my $e (sort keys %{ $m->{events} }) {
            my ($to, @from) = @{ $m->{events}{$e} };
            next if exists $way{$to} || !grep { $_ eq $s } @from;
            $way{$to} = [@{ $way{$s} }, $e];
            push @todo, $to;
        }
    }
    return \%way;
}

for my $kind (sort keys %machine) {
    my $m = $machine{$kind};
    my $way = ways($m);

    for my $state (sort keys %$way) {
        for my $event (sort keys %{ $m->{events} }) {
            my ($to, @from) = @{ $m->{events}{$event} };
            my $path = fresh($kind);
            $t->must(POST => "$path/$_") for @{ $way->{$state} };
            is($t->must(GET => $path)->{state}, $state,
                "$kind is $state");

            my $legal = grep { $_ eq $state } @from;
            my $r = $t->api(POST => "$path/$event");
            my $now = $t->must(GET => $path)->{state};

            if ($legal) {
                is($r->{status}, 200, "$kind: $event from $state");
                is($now, $to, "$kind: then it is $to");
            } else {
                is($r->{status}, 409, "$kind: no $event from $state");
                is($r->{json}{type}, 'urn:stoa:problem:illegal_transition',
                    "$kind: which is said");
                is($now, $state, "$kind: it is still $state");
            }
        }
    }
}

# events that only the system has

for my $kind (qw(subscription credential)) {
    my $path = fresh($kind);
    is($t->api(POST => "$path/expire")->{status}, 404,
        "$kind: nobody asks for expire");
}

# If-Match of an event

my $path = fresh('application');
is($t->api(POST => "$path/suspend", undef,
    headers => { 'If-Match' => '"stale"' })->{status}, 412,
    'stale If-Match of an event');
is($t->must(GET => $path)->{state}, 'active', 'nothing changed');

is($t->api(GET => '/v1/audit/verify')->{json}{ok}, JSON::PP::true,
    'the audit log is whole');

$t->done;
