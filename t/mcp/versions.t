#!/usr/bin/perl

# What an endpoint says of its versions (V2, V5): never an empty list, and
# nothing is answered in a version that it says it does not speak.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;
my %port = map { ($_ => $t->mcp_origin(name => $_, era => $_)) }
    qw(modern legacy dual);
# refuses the version that it names, once
$port{unsure} = $t->origin(sub {
    my ($q, $c) = @_;
    if ($q->{body} =~ /server.discover/ && !-f $t->dir('asked')) {
        spew($t->dir('asked'), '');
        return Test::Stoa::MCP::problem(400, 1, -32022, 'no',
            { supported => ['2026-07-28'], requested => '2026-07-28' });
    }
    return Test::Stoa::MCP::answer({ era => 'modern', versions =>
        ['2026-07-28'], tools => { echo => sub { 'x' } } }, $q, $c);
}, name => 'unsure');
my %of = (none => [], modern => ['modern'], legacy => ['legacy'],
          dual => ['dual'], unsure => ['unsure'], mixed => [qw(modern legacy dual)]);
$t->apply(join '', map { my $tenant = $_; demo(tenant => $tenant, mcp =>
    { map { ($_ => $port{$_}) } @{ $of{$tenant} } }) } sort keys %of);
for my $tenant (sort keys %of) {
    for my $api (@{ $of{$tenant} }) {
        wait_until { ($t->api('GET', "/v1/tenants/$tenant/apis/$api")->{json}
            {discovery}{state} // '') eq 'ok' } 20 or $t->give_up($api);
    }
}
$t->gateway;
my %key = map { ($_ => $t->key($_, 'app')) } keys %of;
$t->sync;

is($t->api('GET', '/v1/tenants/unsure/apis/unsure')->{json}{discovery}{era},
   'modern', 'an upstream that refuses the version it names is asked again');

for my $tenant (sort keys %of) {
    my @k = (key => $key{$tenant});
    my $r = $t->mcp("/mcp/$tenant", 'server/discover', undef, @k);
    my $speaks = $r->{rpc}{result}{supportedVersions};
    my $refused = $r->{rpc}{error}{data}{supported};

    ok(@{ $speaks || $refused || [] }, "$tenant: versions are named");
    is(!!(grep { $_ eq '2026-07-28' } @{ $speaks || $refused || [] }),
       !!$speaks, "$tenant: ... the one that was asked in, if it is spoken");
    is("$r->{status} " . ($r->{rpc}{error}{code} // ''), $speaks ? '200 '
       : '400 -32022', "$tenant: ... else the answer says so");

    $r = $t->mcp("/mcp/$tenant", 'tools/list', undef, @k);
    is($r->{status}, $speaks ? 200 : 400, "$tenant: ... and so do the others");
    $r = $t->mcp("/mcp/$tenant", 'tools/list', undef, @k,
                 version => '2031-01-01');
    is("$r->{status} $r->{rpc}{error}{code}", '400 -32022',
       "$tenant: a version that is unknown");
    is_deeply($r->{rpc}{error}{data}{supported}, $speaks || $refused,
       '... the same list');

    my ($session, $init) = $t->mcp_session("/mcp/$tenant", @k,
                                           version => '2031-01-01');
    is($init->{rpc}{result}{protocolVersion}, '2025-11-25',
       "$tenant: initialize with one that is unknown succeeds");
    is($t->mcp("/mcp/$tenant", 'ping', undef, @k, era => 'legacy',
       session => $session)->{status}, 200, '... and serves');
}

$t->done;
