#!/usr/bin/perl

# The MCP servers that other tests put behind the gateway, asked directly:
# what fails here is not the gateway's fault.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;

my $t = Test::Stoa->new->has('node', 'go');

my %port = (
    scripted => $t->mcp_origin(name => 'scripted'),
    modern => $t->mcp_origin(name => 'modern', era => 'modern', sse => 1),
    sessions => $t->mcp_origin(name => 'sessions', era => 'legacy',
                               sessions => 1),
    go => $t->mcp_go(name => 'go'),
    go_legacy => $t->mcp_go(name => 'go_legacy', stateless => 0),
    everything => $t->mcp_everything(name => 'everything'),
);

my %modern = (scripted => 'echo', modern => 'echo', go => 'test_simple_text');
my %legacy = (scripted => 'echo', sessions => 'echo',
              go => 'test_simple_text', go_legacy => 'test_simple_text',
              everything => 'echo');

for my $name (sort keys %modern) {
    my @port = (port => $port{$name});

    my $r = $t->mcp('/mcp', 'server/discover', undef, @port);
    is($r->{rpc}{result}{supportedVersions}[0], '2026-07-28',
       "$name: discover");
    $r = $t->mcp('/mcp', 'tools/list', undef, @port);
    ok((grep { $_->{name} eq $modern{$name} } @{ $r->{rpc}{result}{tools} }),
       "$name: list");
    $r = $t->mcp('/mcp', 'tools/call', { name => $modern{$name},
        arguments => { message => 'x' } }, @port);
    is($r->{rpc}{result}{content}[0]{type}, 'text', "$name: call");
}

for my $name (sort keys %legacy) {
    my @port = (port => $port{$name});

    my ($session, $init) = $t->mcp_session('/mcp', @port);
    ok($init->{rpc}{result}{serverInfo}, "$name: initialize");
    my @s = (@port, era => 'legacy', session => $session);
    my $r = $t->mcp('/mcp', 'tools/list', undef, @s);
    ok((grep { $_->{name} eq $legacy{$name} } @{ $r->{rpc}{result}{tools} }),
       "$name: legacy list");
    $r = $t->mcp('/mcp', 'tools/call', { name => $legacy{$name},
        arguments => { message => 'x' } }, @s);
    is($r->{rpc}{result}{content}[0]{type}, 'text', "$name: legacy call");
}

my $r = $t->mcp('/mcp', 'tools/list', undef, port => $port{scripted},
    headers => { 'Mcp-Method' => 'tools/call' });
is("$r->{status} $r->{rpc}{error}{code}", '400 -32020',
   'scripted: headers are compared');
$r = $t->mcp('/mcp', 'tools/list', undef, port => $port{sessions},
    era => 'legacy', session => 'gone');
is($r->{status}, 404, 'scripted: unknown session');

$t->done;
