#!/usr/bin/perl

# What the conformance suite runs as a client: it makes the suite's server,
# whose url is the last argument, an upstream of the gateway, and then is the
# Go SDK's client of that (Test::Stoa::Conformance, suite_client).

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Test::Stoa::Conformance;
use Test::Stoa::HTTP;
use Test::Stoa::Base qw(json_decode json_encode);

my ($control, $token, $front, $client, $era) = split ' ', $ENV{STOA_SUITE};
my ($port) = $ARGV[-1] =~ m{:(\d+)} or die "no port: $ARGV[-1]\n";
my ($path) = $ARGV[-1] =~ m{:\d+(/.*)};

sub port { return $front }

sub api {
    my (undef, $method, $url, $body, %o) = @_;
    my $c = Test::Stoa::HTTP->connect($control) or die "no control plane\n";
    my %h = (Authorization => "Bearer $token", %{ $o{headers} || {} });
    if (ref $body) {
        $body = json_encode($body);
        $h{'Content-Type'} //= 'application/json';
    }
    my $r = $c->request($method, $url, body => $body, headers => \%h);
    $c->close;
    $r->{json} = json_decode($r->{body});
    return $r;
}

my $url = Test::Stoa::Conformance::suite_url(bless({}), "t$port",
    { port => $port, path => $path // '' });
exec $client, $url =~ s{/k/}{/$era/}r or die "$client: $!\n";
