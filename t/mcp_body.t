#!/usr/bin/perl

# Bodies of MCP calls as the network brings them: in a file, in chunks, late,
# cut off, over HTTP/2; and clients that leave at the worst moment.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new->has('curl');
$t->control;
my %tools = (tools => {
    size => sub { length $_[0]{text} },
    hang => sub { select undef, undef, undef, 2; 'late' },
});
my $dual = $t->mcp_origin(name => 'dual', %tools);
my $old = $t->mcp_origin(name => 'old', era => 'legacy', sessions => 1,
                         sse => 1, %tools);
my $spec = "max_body_bytes: 4000000\n";
$t->apply(demo(mcp => { dual => { port => $dual, spec => $spec } })
    . demo(tenant => 'beta', mcp => { old => $old }));
for my $api (qw(acme/apis/dual beta/apis/old)) {
    wait_until {
        @{ $t->api('GET', "/v1/tenants/$api/tools")->{json}{items} || [] } == 2
    } 20 or $t->give_up("$api was not discovered");
}

my $h2 = $t->port('h2');
$t->gateway(workers => 2, location => 'client_body_buffer_size 4k;', http => "server { listen 127.0.0.1:$h2 "
    . "http2; location / { stoa; } }\n");
my $key = $t->key('acme', 'app');
my $beta = $t->key('beta', 'app');
$t->sync;

my $ns = 'io.modelcontextprotocol';
my %head = ('Content-Type' => 'application/json', Accept => '*/*',
    'MCP-Protocol-Version' => '2026-07-28', 'Mcp-Method' => 'tools/call',
    'Mcp-Name' => 'dual__size', 'X-API-Key' => $key);

sub body { json_encode({ jsonrpc => '2.0', id => 1, method => 'tools/call',
    params => { name => 'dual__size', arguments => { text => 'x' x $_[0] },
        _meta => { "$ns/protocolVersion" => '2026-07-28',
                   "$ns/clientCapabilities" => {} } } }) }
sub text { my ($r) = @_; my $j = json_decode($r->{body}) || {};
    return $j->{result}{content}[0]{text}
        // $j->{error}{data}{code} // "$r->{status} $r->{body}" }

for my $n (10, 3_000, 5_000, 200_000, 3_000_000) {
    my $r = $t->http('POST', '/mcp/acme', headers => { %head },
                     body => body($n));
    is(text($r), $n, "a body of $n bytes");
}

my $r = $t->http('POST', '/mcp/acme', headers => { %head },
                 body => body(4_000_000));
is("$r->{status} " . text($r), '413 body_too_large',
   "more than the api's own maximum");

# in chunks, cut anywhere

for my $step (1, 7, 1000) {
    my $n = $step == 1 ? 50 : 20_000;
    my $body = body($n);
    my $c = $t->connection;
    $c->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\n"
        . join('', map { "$_: $head{$_}\r\n" } keys %head)
        . "Transfer-Encoding: chunked\r\n\r\n"
        . join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
               $body =~ /.{1,$step}/sg) . "0\r\n\r\n");
    my $r = $c->response;
    is(text($r), $n, "chunks of $step");
    $c->close;
}

# a byte now and then, and two calls in one packet

{
    my $body = body(20);
    my $head = "POST /mcp/acme HTTP/1.1\r\nHost: x\r\n"
        . join('', map { "$_: $head{$_}\r\n" } keys %head)
        . 'Content-Length: ' . length($body) . "\r\n\r\n";
    my $c = $t->connection;
    for my $piece (substr($head, 0, 40), substr($head, 40),
                   substr($body, 0, 5), substr($body, 5, 60),
                   substr($body, 65))
    {
        $c->send_raw($piece);
        select undef, undef, undef, 0.02;
    }
    is(text($c->response), 20, 'in pieces');
    $c->send_raw("$head$body$head$body");
    is(text($c->response), 20, 'two in one packet: the first');
    is(text($c->response), 20, 'two in one packet: the second');
    $c->close;
}

# HTTP/2

{
    my $file = $t->write_file('body.json', body(60_000));
    my @h = map { ('-H', "$_: $head{$_}") } sort keys %head;
    my ($code, $out, $err) = $t->run_cmd(['curl', '-sS',
        '--http2-prior-knowledge', @h, '--data-binary', "\@$file",
        "http://127.0.0.1:$h2/mcp/acme"]);
    is(text({ body => $out, status => $code }), 60_000, 'HTTP/2')
        or diag($err);
    # without a body: nginx resets a stream whose body it does not want

    ($code, $out, $err) = $t->run_cmd(['curl', '-sS', '-o', '/dev/null',
        '-w', '%{http_code} %{content_type}', '--http2-prior-knowledge',
        "http://127.0.0.1:$h2/mcp/acme"]);
    is($out, '401 application/json', 'HTTP/2, refused') or diag($err);
}

# too large, known at once and only while it comes

my $c = $t->connection;
$c->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\n"
    . join('', map { "$_: $head{$_}\r\n" } keys %head)
    . 'Content-Length: ' . (17 << 20) . "\r\n\r\n");
$r = $c->response;
is("$r->{status} " . text($r), '413 body_too_large',
   'too large: refused before it is sent');
$c->close;

# over HTTP/2, where nobody says how long it is

for my $n (16 << 20, 4_000_000, 60_000) {
    my $file = $t->write_file('long', body($n));
    my @h = map { "-H '$_: $head{$_}'" } sort keys %head;
    my ($code, $out) = $t->run_cmd(['sh', '-c', "cat '$file' | curl -sS -o "
        . "- -w ' %{http_code}' --http2-prior-knowledge @h -X POST -T - "
        . "http://127.0.0.1:$h2/mcp/acme"]);
    like($out, $n > 100_000 ? qr/"body_too_large".* 413$/s
                            : qr/"text":"$n".* 200$/s, "HTTP/2, $n bytes");
}

# legacy, with sessions: the body waits while the upstream is connected

my ($session) = $t->mcp_session('/mcp/beta', key => $beta);
my @l = (key => $beta, era => 'legacy', session => $session);
$r = $t->mcp('/mcp/beta', 'tools/call', { name => 'old__size',
    arguments => { text => 'y' x 300_000 } }, @l);
is($r->{rpc}{result}{content}[0]{text}, 300_000,
   'a large first call of a session');

# clients that leave: in the head, in the body, while the upstream works

for my $cut (30, 200, 'body', 'answer') {
    for my $who (1 .. 5) {
        my ($s) = $t->mcp_session('/mcp/beta', key => $beta);
        my $body = json_encode({ jsonrpc => '2.0', id => 1,
            method => 'tools/call', params => { name => 'old__hang',
            arguments => {} } });
        my $all = "POST /mcp/beta HTTP/1.1\r\nHost: x\r\nX-API-Key: $beta\r\n"
            . "Content-Type: application/json\r\nMcp-Session-Id: $s\r\n"
            . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
        my $end = $cut eq 'body' ? length($all) - 5
            : $cut eq 'answer' ? length $all : $cut;
        my $c = $t->connection;
        $c->send_raw(substr $all, 0, $end);
        select undef, undef, undef, 0.01 * $who if $cut eq 'answer';
        $c->close;
    }
}
$r = $t->mcp('/mcp/beta', 'tools/call', { name => 'old__size',
    arguments => { text => 'still' } }, @l);
is($r->{rpc}{result}{content}[0]{text}, 5, 'clients left; calls go on');

wait_until { ($t->metrics->{stoa_in_flight} // 1) == 0 } 10;
is($t->metrics->{stoa_in_flight}, 0, 'nothing is left in flight');

$t->done;
