#!/usr/bin/perl

# Every step at which a call may wait, with every way that its body may have
# come, and with a client that stays or leaves: the call is answered, or its
# place and its socket are given back.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

use IO::Socket::INET;

my $t = Test::Stoa->new->has('module', 'control')
                       ->allow_log(qr/exited on signal 9/);
$t->control;
my $hold = $t->dir('hold');
sub held { wait_until { !-f $hold } 20 }

# An upstream and a DNS server that wait for as long as there is the file.

my $server = { name => 'up', era => 'dual', sessions => 1, versions =>
    [ '2026-07-28', @Test::Stoa::MCP::LEGACY ], tools => { size => sub {
        length $_[0]{text} } } };
my $port = $t->origin(sub {
    my ($q, $c) = @_;
    held() if $q->{body} =~ /"initialize"/;

    # as discovery sees it, it has no sessions: they are opened by a call
    my %seen = %$server;
    $seen{sessions} = ($q->{headers}{'user-agent'} // '') !~ /stoa-control/;
    return Test::Stoa::MCP::answer(\%seen, $q, $c);
}, name => 'up');
my $dns = $t->port('dns');
my $udp = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.3',
    LocalPort => $dns) or die "dns: $!";
$t->start('dns', foreign => 1, code => sub {
    for (;;) {
        my $peer = $udp->recv(my $q, 512) or next;
        held();
        my $end = index($q, "\0", 12) + 5;
        $udp->send(substr($q, 0, 2) . pack('nnnnn', 0x8180, 1, 1, 0, 0)
            . substr($q, 12, $end - 12)
            . pack('nnnNnC4', 0xc00c, 1, 1, 1, 4, 127, 0, 0, 1), 0, $peer);
    }
});

my @bodies = ('in the header buffer', 'read at once', 'late', 'in a file',
              'late, in a file');
sub api { my ($host) = @_;
    return demo(mcp => { up => { port => $port, spec => '' } },
                plan => 'concurrency: 4') =~ s/127\.0\.0\.1/$host/r }
$t->apply(api('127.0.0.1'));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/up/tools')->{json}{items} || [] }
} 20 or $t->give_up('tools were not discovered');
$t->gateway(workers => 1, location => 'client_body_buffer_size 4k;',
    server => "resolver 127.0.0.3:$dns ipv6=off; resolver_timeout 20s;");
my $key = $t->key('acme', 'app');
$t->sync;

my $ns = 'io.modelcontextprotocol';
my %meta = (_meta => { "$ns/protocolVersion" => '2026-07-28',
                       "$ns/clientCapabilities" => {} });
my @modern = ('MCP-Protocol-Version: 2026-07-28', 'Mcp-Method: tools/call',
              'Mcp-Name: up__size');
sub body { my ($n, @more) = @_;
    return json_encode({ jsonrpc => '2.0', id => 7, method => 'tools/call',
        params => { name => 'up__size', arguments => { text => 'x' x $n },
                    @more } }) }
sub in_flight { $t->metrics->{stoa_in_flight} // -1 }
sub left_open { my $p = sprintf ':%04X', $t->port('gw');
    return scalar grep { /^\s*\d+: \S+$p \S+ 08 / }
        split /\n/, slurp('/proc/net/tcp') }

# sends a call whose body comes as the row says

sub start {
    my ($path, $body, $n, @headers) = @_;
    my $c = $t->connection;
    my $late = $bodies[$n] =~ /late/;
    my $head = join "\r\n", "POST $path HTTP/1.1", 'Host: x',
        "X-API-Key: $key", 'Content-Type: application/json', @headers,
        ($late ? 'Expect: 100-continue' : ()),
        'Content-Length: ' . length $body, '', '';
    $c->send_raw($late ? $head : "$head$body");
    if ($late) {
        $c->{in} =~ /\n\r\n/ or $c->fill(time + 10)
            or $t->give_up("no 100 Continue: $c->{in}");
        $c->{in} =~ s/^HTTP.1.1 100 .*?\r\n\r\n//s;
        $c->send_raw($body);
    }
    return $c;
}

my $named = 0;
my %step = (

    # the first call of a session: initialize goes before it
    connect => sub { my ($n, $id, $body) = @_;
        return start('/mcp/acme', $body, $n, "Mcp-Session-Id: $id") },

    # another one is connecting
    wait => sub { my ($n, $id, $body) = @_;
        my $first = start('/mcp/acme', body(5), 0, "Mcp-Session-Id: $id");
        wait_until { in_flight() == 1 } 10;
        return (start('/mcp/acme', $body, $n, "Mcp-Session-Id: $id"),
                $first) },

    # the upstream's name; another one is a change of the api
    resolve => sub { my ($n, $id, $body) = @_;
        $t->apply(api('name' . ++$named . '.test'));
        $t->sync;
        return start('/mcp/acme', $body, $n, "Mcp-Session-Id: $id") },

    # the same without a session: the call itself waits
    'resolve, modern' => sub { my ($n, $id, $body) = @_;
        $t->apply(api('name' . ++$named . '.test'));
        $t->sync;
        return start('/mcp/acme', $body, $n, @modern) },
);

for my $step (sort keys %step) {
    for my $n (0 .. $#bodies) {
        my $size = $bodies[$n] =~ /file/ ? 30_000
            : $bodies[$n] =~ /header/ ? 10 : 3_000;
        my $body = body($size, $step =~ /modern/ ? %meta : ());

        for my $leaves (0, 1) {
            my ($id) = $t->mcp_session('/mcp/acme', key => $key);
            my $what = "$step, body $bodies[$n], client "
                . ($leaves ? 'leaves' : 'stays');
            spew($hold, '');
            my ($c, @more) = $step{$step}->($n, $id, $body, $leaves);
            my $all = 1 + @more;
            wait_until { in_flight() == $all } 10;
            is(in_flight(), $all, "$what: it waits");
            if ($leaves) {
                $c->close;
                my $ok = wait_until { in_flight() == @more } 15;
                is($ok, 1, "$what: its place is given back")
                    or diag(in_flight());
            }
            unlink $hold;
            my $r = $leaves ? undef : $c->response(timeout => 15);
            my $json = json_decode($r->{body}) || {} if $r;
            is($json->{result}{content}[0]{text} // "$r->{status} $r->{error}",
               $size, "$what: the answer") if $r;
            $_->response(timeout => 15) for @more;
            $_->close for @more, $leaves ? () : $c;
            is((wait_until { in_flight() == 0 && left_open() == 0 } 10), 1,
               "$what: nothing is left") or diag(in_flight(), left_open());
        }
    }
}

# A body whose length nobody said is refused at the byte past the maximum, and
# not kept until it is whole.

for my $late (0, 1) {
    my $c = $t->connection;
    my $head = "POST /mcp/acme HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
        . "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    my $past = sprintf "%x\r\n%s", (16 << 20) + 1, 'x' x ((16 << 20) + 1);
    $c->send_raw($late ? "${head}Expect: 100-continue\r\n\r\n"
                       : "$head\r\n$past");
    if ($late) {
        $c->fill(time + 10);
        is($c->{in} =~ s/^HTTP.1.1 100 .*?\r\n\r\n//s, 1, 'it may send');
        $c->send_raw($past);
    }
    my $r = $c->response(timeout => 15);
    is("$r->{status} " . (json_decode($r->{body}) || {})->{error}{data}{code},
       '413 body_too_large', 'an endless body, ' . ($late ? 'late' : 'at once'));
    $c->close;
    is((wait_until { left_open() == 0 } 10), 1, 'and its socket');
}

# A worker that is killed while it connects: the next one does, at once.

{
    my ($id) = $t->mcp_session('/mcp/acme', key => $key);
    $t->apply(api('127.0.0.1'));
    $t->sync;
    spew($hold, '');
    my $c = start('/mcp/acme', body(5), 0, "Mcp-Session-Id: $id");
    wait_until { in_flight() == 1 } 10;
    my @old = $t->workers;
    kill 'KILL', @old;
    my %old = map { ($_ => 1) } @old;
    wait_until { grep { !$old{$_} } $t->workers } 10;
    unlink $hold;
    $c->close;
    $c = start('/mcp/acme', body(5), 0, "Mcp-Session-Id: $id");
    is($c->response(timeout => 15)->{status}, 200, 'the place of the dead');
    $c->close;
}

$t->done;
