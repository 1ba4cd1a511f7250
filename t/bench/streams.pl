#!/usr/bin/perl

# Streams: what the gateway adds to the first event of a call, and the memory
# of streams that nothing comes on.  A report.
#
#   t/bench/streams.pl [--rounds 400] [--idle 10000]

use FindBin;
use lib "$FindBin::Bin/../lib";
use Getopt::Long;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC sleep);
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use Test::Stoa::Demo;

my %o = (rounds => 400, idle => 10_000);
GetOptions(\%o, 'rounds=i', 'idle=i') or exit 1;

my $NS = 'io.modelcontextprotocol';
my $t = Test::Stoa->new;
$t->control;

# a tool whose answer is two events, 2 ms after the head; the first says when
# it was sent

my %server = (name => 'up', era => 'modern', versions => ['2026-07-28'],
              tools => { live => sub { 'plain' } });
my $port = $t->origin(sub {
    my ($q, $c) = @_;
    my $m = json_decode($q->{body}) || {};
    return Test::Stoa::MCP::answer(\%server, $q, $c)
        unless ($m->{method} // '') eq 'tools/call';
    my $chunk = sub { my $s = "data: $_[0]\n\n";
                      $c->send_raw(sprintf "%x\r\n%s\r\n", length $s, $s) };
    $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                 . "Transfer-Encoding: chunked\r\n\r\n");
    sleep 0.002;
    $chunk->(sprintf '{"jsonrpc":"2.0","method":"notifications/progress",'
        . '"params":{"progressToken":1,"progress":1,"message":"%.7f"}}',
        clock_gettime(CLOCK_MONOTONIC));
    $chunk->('{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete",'
             . '"content":[]}}');
    $c->send_raw("0\r\n\r\n");
    return undef;
}, name => 'up');

$t->apply(demo(mcp => { up => $port }));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/up/tools')->{json}{items}
                || [] } } 20 or $t->give_up('not discovered');
$t->gateway(workers => 1, level => 'error', connections => $o{idle} + 1000,
    http => 'stoa_mcp_streams 65535;');
my $key = $t->key('acme', 'app');
$t->sync;

my %meta = (_meta => { "$NS/protocolVersion" => '2026-07-28', progressToken =>
                       1, "$NS/clientCapabilities" => {} });
my @headers = ('X-API-Key' => $key, 'Content-Type' => 'application/json',
    Accept => 'application/json, text/event-stream', 'MCP-Protocol-Version' =>
    '2026-07-28');

# seconds from the upstream's sending to the client's reading

sub first_event {
    my ($c, $path, $name) = @_;
    $c->request('POST', $path, headers => [@headers, 'Mcp-Method' =>
        'tools/call', 'Mcp-Name' => $name], headers_only => 1,
        body => json_encode({ jsonrpc => '2.0', id => 1, method =>
            'tools/call', params => { name => $name, arguments => {}, %meta }
        }));
    my $e = $c->event(5) or die "no event\n";
    my $now = clock_gettime(CLOCK_MONOTONIC);
    my ($sent) = $e->{data} =~ /"message":"([\d.]+)"/ or die "$e->{data}\n";
    return $now - $sent;
}

sub median { my @s = sort { $a <=> $b } @_; return $s[$#s / 2] }

my (@direct, @through);
for (1 .. $o{rounds}) {
    my $c = Test::Stoa::HTTP->connect($port, timeout => 10);
    push @direct, first_event($c, '/', 'live');
    $c->close;
    $c = $t->connection;
    push @through, first_event($c, '/mcp/acme', 'up__live');
    $c->close;
}
printf "first event, median ms: upstream %.3f, through the gateway %.3f, "
    . "added %.3f\n", 1000 * median(@direct), 1000 * median(@through),
    1000 * (median(@through) - median(@direct));

# ---- memory

my ($pid) = $t->workers;
my @held;
my $before;
my $body = json_encode({ jsonrpc => '2.0', id => 1, method =>
    'subscriptions/listen', params => { notifications =>
        { toolsListChanged => JSON::PP::true() }, %meta } });
for my $n (1 .. $o{idle} + 100) {
    my $c = $t->connection;
    my $r = $c->request('POST', '/mcp/acme', headers => [@headers,
        'Mcp-Method' => 'subscriptions/listen'], body => $body,
        headers_only => 1);
    die "stream $n: $r->{status}\n" unless $r->{status} == 200;
    push @held, $c;
    $before = $t->memory($pid) if $n == 100;
}
printf "%d idle streams: %.1f KiB each of the worker's own memory\n",
    $o{idle}, ($t->memory($pid) - $before) / $o{idle};
$t->done;
