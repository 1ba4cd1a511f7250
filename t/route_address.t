#!/usr/bin/perl

# IP lists: on the address that the realip module leaves, IPv4 and IPv6,
# mapped addresses, both lists, before any credential is looked at.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');

$t->control;
my $to = 'http://127.0.0.1:' . $t->origin;
my %apis = (
    allow => { ip_allow => ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'] },
    deny => { ip_deny => ['10.1.0.0/16', '2001:db8:1::/48'] },
    both => { ip_allow => ['10.0.0.0/8'], ip_deny => ['10.1.2.3'] },
    none => {},
);
$t->apply(docs(tenant('acme'), app('acme', 'demo'), plan('acme', 'free'),
    map { (rest('acme', $_, $to, %{ $apis{$_} }),
           sub_('acme', 'demo', $_, 'free')) } sort keys %apis));
$t->gateway(server => 'set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;');
my $key = $t->key('acme', 'demo');
$t->sync;

# api, address, status

my @rows = (
    ['allow', '10.255.255.255', 200], ['allow', '11.0.0.0', 403],
    ['allow', '192.0.2.7', 200], ['allow', '192.0.2.8', 403],
    ['allow', '2001:db8:ffff::1', 200], ['allow', '2001:db9::1', 403],
    ['allow', '::ffff:10.0.0.1', 200], ['allow', '::ffff:11.0.0.1', 403],
    ['deny', '10.1.255.1', 403], ['deny', '10.2.0.1', 200],
    ['deny', '2001:db8:1::5', 403], ['deny', '2001:db8:2::5', 200],
    ['deny', '::ffff:10.1.0.1', 403],
    ['both', '10.1.2.3', 403], ['both', '10.1.2.4', 200],
    ['both', '9.9.9.9', 403], ['none', '9.9.9.9', 200],
);
for my $row (@rows) {
    my ($api, $address, $status) = @$row;
    my $r = $t->get("/apis/acme/$api/", key => $key,
                    headers => { 'X-Real-IP' => $address });
    is($r->{status}, $status, "$api: $address");
    is($r->{json}{headers}{'x-forwarded-for'}, $address, 'as it is told on')
        if $status == 200;
}

my $r = $t->get('/apis/acme/deny/', key => 'junk',
                headers => { 'X-Real-IP' => '10.1.0.1' });
is("$r->{status} $r->{json}{code}", '403 ip_denied',
   'before the credential is looked at');
is($t->get('/apis/acme/allow/', key => $key)->{status}, 403,
   'the connection\'s own address');

$t->done;
