#!/usr/bin/perl

# Unchanged clients of MCP times unchanged servers, through the gateway: alone,
# and all of them federated at one URL; and clients that are refused in
# between.  "make test-matrix" (STOA_TEST_FULL=1) has more of both, and writes
# docs/mcp-matrix.md.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;
use Test::Stoa::Matrix;

my $full = $ENV{STOA_TEST_FULL};
my $t = Test::Stoa->new->has('node', 'python', 'go', 'clients',
                             $full ? 'matrix' : ());
my @clients = grep { $full || !$_->{full} } @Test::Stoa::Matrix::CLIENTS;
my @upstreams = grep { $full || !$_->{full} } @Test::Stoa::Matrix::UPSTREAMS;

# What does not work yet, or not by our fault: client, mode, route as patterns;
# a cell that works all the same fails.

my @red = (
    [qr/FastMCP 2/, qr/./, 'big|all', 'fastmcp 2.14.7, `Client.list_tools()` '
     . '(client/client.py) asks for one page, 500 tools, and drops its '
     . '`nextCursor`; 3 follows it'],
);

my @all = grep { !$_->{alone} } @upstreams;

# ---- the gateway

$t->control;
my %port = map { ($_->{name} => $_->{start}->($t)) } @upstreams;

# the one that refuses
my %say = (limited => [429, ['Content-Type' => 'text/plain',
                             'Retry-After' => 7], 'no'],
           html => [500, ['Content-Type' => 'text/html'], '<html>']);
$port{ref} = $t->origin(sub {
    my ($q, $c) = @_;
    my $m = json_decode($q->{body}) || {};
    my $tool = ($m->{method} // '') eq 'tools/call' ? $m->{params}{name} : '';
    return $say{$tool} || Test::Stoa::MCP::answer({ era => 'dual', versions =>
        ['2026-07-28', @Test::Stoa::MCP::LEGACY], tools =>
        { map { ($_ => sub { 'fine' }) } 'ok', keys %say } }, $q, $c);
}, name => 'ref');

$t->apply(join '', demo(tenant => 'all', mcp => { map { ($_->{name} =>
        $port{$_->{name}}) } @all }),
    map { demo(tenant => $_, mcp => { $_ => $port{$_} }) } sort keys %port);
for my $tenant ('all', keys %port) {
    for my $api ($tenant eq 'all' ? map { $_->{name} } @all : $tenant) {
        wait_until { ($t->api('GET', "/v1/tenants/$tenant/apis/$api")->{json}
            {discovery}{state} // '') =~ /ok|failed/ } 40
            or $t->give_up("$api was not discovered");
    }
}
$t->gateway(workers => 2);
my %key = map { ($_ => $t->key($_, 'app')) } 'all', keys %port;
$t->sync;

# ---- what is asked

my $url = 'http://127.0.0.1:' . $t->port('gw') . '/mcp/';
my @routes = (
    (map { my $u = $_; { name => $u->{name}, title => $u->{title}, of => [$u] }
     } @upstreams),
    { name => 'all', title => 'federated', of => \@all },
    { name => 'ref', title => 'refused in between' },
);

sub job {
    my ($route, $mode) = @_;
    my @calls = $route->{of}
        ? map { ["$_->{name}__$_->{tool}", $_->{arguments} || {}] }
            @{ $route->{of} }
        : map { ["ref__$_", {}] } qw(ok limited ok html ok);
    return { url => $url . $route->{name}, key => $key{ $route->{name} },
             mode => $mode, calls => \@calls };
}

# A cell: '' and the version, or what is wrong.

sub judge {
    my ($route, $a) = @_;
    return 'no answer' unless $a;
    return $a->{error} if exists $a->{error};
    my @r = @{ $a->{results} || [] };
    if (!$route->{of}) {
        my $said = join ' ', map { ref ? $_->{error} =~ /HTTP status (\d+)/
            ? $1 : "($_->{error})" : $_ } @r;
        return $said eq 'fine 429 fine 500 fine' ? '' : $said;
    }
    my %listed = map { ($_ => 1) } @{ $a->{tools} || [] };
    for my $u (@{ $route->{of} }) {
        my $n = grep { /^\Q$u->{name}\E__/ } keys %listed;
        return "lists $n tools of $u->{name}"
            if $n < ($u->{tools} || 1) || !$listed{"$u->{name}__$u->{tool}"};
        my $r = shift @r;
        return "$u->{name}: " . (ref $r ? $r->{error} : $r // 'no answer')
            if ref $r || ($r // '') !~ $u->{like};
    }
    return '';
}

# ---- all of it

my @rows = map { my $c = $_; map { { %$c, mode => $_ } } @{ $c->{modes} } }
    @clients;
my @answers = Test::Stoa::Matrix::run($t, map { my $row = $_;
    [$row->{argv}, [map { job($_, $row->{mode}) } @routes]] } @rows);
my (%cell, @table);

for my $i (0 .. $#rows) {
    my $row = $rows[$i];
    my $who = "$row->{name}, $row->{mode}";
    my @line;

    for my $n (0 .. $#routes) {
        my $route = $routes[$n];
        my $wrong = judge($route, $answers[$i][$n]);
        my ($red) = grep { $row->{name} =~ $_->[0] && $row->{mode} =~ $_->[1]
            && $route->{name} =~ /^(?:$_->[2])$/ } @red;
        my $version = $answers[$i][$n]{version} // '';

        if ($red) {
            isnt($wrong, '', "$who, $route->{title}: fails as yet")
                or diag('it works: take it off the list');
        } else {
            is($wrong, '', "$who, $route->{title}: works");
        }
        push @line, $wrong eq '' ? $version || 'yes'
            : '**no**' . ($red ? ": $red->[3]" : '');
    }
    push @table, "| $row->{name} | $row->{mode} | " . join(' | ', @line)
        . " |\n";
}

if ($full) {
    spew("$FindBin::Bin/../../docs/mcp-matrix.md", <<"END" . join '', @table);
# MCP clients and servers, through the gateway

Each row is an unchanged client, in a mode of its own; each column a server
behind the gateway, `federated` all of them at one URL. A cell has the version
that was agreed on where the tools are listed and called; `refused in between`:
whether the same client object goes on after calls that were refused (429) or
failed (an upstream's 500). Made by `make test-matrix`.

| client | mode | @{[ join ' | ', map { $_->{title} } @routes ]} |
|---|---|@{[ '---|' x @routes ]}
END
    pass('docs/mcp-matrix.md is written');
}

$t->done;
