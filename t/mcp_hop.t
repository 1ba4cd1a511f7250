#!/usr/bin/perl

# Rows S3, S5, C5, T1: what one gateway of a group holds is reached through any
# other: a call that waits for its client, what a modern upstream has asked a
# client of a session, a stream of 2024-11-05.  The request goes on there as it
# came; it is counted once, and its client's address is kept.

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

# an upstream with sessions: it asks, says how far it is, and answers

my $book = $t->dir('book');
sub mark { open my $fh, '>>', $book or die; syswrite $fh, "@_\n" }
sub flag { return -f $t->dir($_[0]) }
sub event { return 'data: ' . json_encode($_[0]) . "\n\n" }
my $old = { name => 'old', era => 'legacy', sessions => 1,
    versions => ['2025-11-25'], tools => { asks => sub { 'plain' } } };
my $old_port = $t->origin(sub {
    my ($q, $c) = @_;
    return [405] if $q->{method} eq 'GET';
    return [200] if $q->{method} eq 'DELETE';
    my $m = json_decode($q->{body}) or return [400];
    if (!defined $m->{method}) {
        mark(told => $m->{id}, json_encode($m->{result} // $m->{error}));
        return [202];
    }
    my $args = ($m->{params} || {})->{arguments} || {};
    return Test::Stoa::MCP::answer($old, $q, $c)
        if $m->{method} ne 'tools/call';
    my $id = "q$m->{id}";
    mark(called => $id, 'peer', $q->{headers}{'x-stoa-peer'} // 'none');
    $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        . "Connection: close\r\n\r\n" . event({ jsonrpc => '2.0', id => $id,
        method => 'elicitation/create', params => { message => 'm',
        requestedSchema => { type => 'object', properties => {} } } }));
    my $told;
    wait_until { ($told) = slurp($book) =~ /^told \Q$id\E (.*)$/m } 60;
    for (1 .. $args->{steps} || 0) {
        $c->send_raw(event({ jsonrpc => '2.0', method =>
            'notifications/progress', params => { progressToken =>
            $m->{params}{_meta}{progressToken}, progress => $_ } }));
    }
    wait_until { !flag('hold') } 30 if $args->{hold};
    $c->send_raw(event({ jsonrpc => '2.0', id => $m->{id}, result => {
        content => [{ type => 'text', text => $told
            . 'x' x ($args->{pad} // 0) }] } }));
    return undef;
}, name => 'old');

my $new_port = $t->mcp_origin(name => 'new', era => 'modern', tools => {
    need => sub {
        my ($args, $m) = @_;
        my $got = $m->{params}{inputResponses};
        return json_encode($got) if $got;
        return { resultType => 'input_required', requestState => 's',
            inputRequests => { k => { method => 'elicitation/create',
                params => { message => 'm', mode => 'form', requestedSchema =>
                { type => 'object', properties => {} } } } } };
    } });

$t->apply(demo(mcp => { old => $old_port, new => $new_port }));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/old/tools')->{json}{items} || [] }
    && @{ $t->api('GET', '/v1/tenants/acme/apis/new/tools')->{json}{items}
          || [] }
} 20 or $t->give_up('tools were not discovered');
my $key = $t->key('acme', 'app');
my %http = map { $_ => "stoa_peer http://127.0.0.1:%%PORT_$_%%;"
    . ' stoa_mcp_keepalive 2s; log_format who $remote_addr;'
    . ' access_log logs/who.log who;' } qw(gw gw2);
$t->gateway(name => $_, workers => 2, http => $http{$_}) for qw(gw gw2);
$t->sync($_) for qw(gw gw2);
my %other = (gw => 'gw2', gw2 => 'gw');


# ---- C5: a call of 2026-07-28 that waits for its client

my $ns = 'io.modelcontextprotocol';
my $n = 0;
sub call {
    my ($args, %o) = @_;
    return $t->mcp('/mcp/acme', 'tools/call', { name => 'old__asks',
        arguments => $args, %{ $o{with} || {} }, _meta => {
            "$ns/protocolVersion" => '2026-07-28', "$ns/clientCapabilities"
            => { elicitation => { form => {} } }, progressToken => 'p' } },
        key => $key, era => 'modern', id => ++$n, gateway => $o{gateway});
}
sub back {
    my ($r, $args, %o) = @_;
    my $asked = $r->{rpc}{result}{inputRequests} || {};
    return call($args, %o, with => { requestState =>
        $r->{rpc}{result}{requestState}, inputResponses => { map { $_ =>
        { action => 'accept', content => { n => 7 } } } keys %$asked } });
}
sub text {
    my ($r) = @_;
    my ($last) = grep { $_->{result} || $_->{error} }
        $r->{rpc} || (), @{ $r->{events} || [] };
    return $last->{result} ? $last->{result}{content}[0]{text}
        : "$r->{status} " . ($last->{error}{data}{code} // 'nothing');
}
my $accept = { action => 'accept', content => { n => 7 } };
for my $gw (qw(gw gw2)) {
    my $args = { steps => 3 };
    my $r = call($args, gateway => $gw);
    is($r->{rpc}{result}{resultType}, 'input_required', "C5: $gw asks")
        or diag $r->{body};
    my $e = back($r, $args, gateway => $other{$gw});
    is_deeply(json_decode(text($e)), $accept,
              "C5, S3: and goes on for who comes to $other{$gw}")
        or diag $e->{body};
    is(scalar(grep { ($_->{method} // '') =~ /progress/ }
              @{ $e->{events} || [] }), 3, '... with all that the upstream says') or diag $e->{body};
    is(text(back($r, $args, gateway => $other{$gw})), '400 mcp_state',
       '... once');
}
my $r = call({ pad => 3_000_000 }, gateway => 'gw');
is(length text(back($r, { pad => 3_000_000 }, gateway => 'gw2')),
   3_000_000 + length json_encode($accept), 'S3: a long answer');
$r = call({}, gateway => 'gw');
is(text(back($r, { other => 1 }, gateway => 'gw2')), '400 mcp_state',
   'C5: nothing else is done with a state');
is_deeply(json_decode(text(back($r, {}, gateway => 'gw2'))), $accept,
          '... and it is still good');
unlike(slurp($book), qr/peer (?!none)/, 'no upstream sees what gateways say');

# usage: one row for each of them, of the gateway that has the call

sub used {
    my $u = $t->must(GET => '/v1/tenants/acme/usage?by=api');
    my ($old) = grep { $_->{api} eq 'old' } @{ $u->{items} };
    return $old ? $old->{requests} : 0;
}
my $calls = $n;
ok((wait_until { used() == $calls } 20), 'S3: each request is counted once')
    or diag used() . " of $calls";
cmp_ok($t->metrics('gw2')->{stoa_mcp_hops_total}, '>=', 4,
       'and those of other gateways in a metric');

# whose address

$r = call({}, gateway => 'gw');
my $body = json_encode({ jsonrpc => '2.0', id => 9, method => 'tools/call',
    params => { name => 'old__asks', arguments => {}, requestState =>
    $r->{rpc}{result}{requestState}, inputResponses => { 1 => $accept },
    _meta => { "$ns/protocolVersion" => '2026-07-28',
               "$ns/clientCapabilities" => { elicitation => {} } } } });
my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', LocalAddr =>
    '127.0.0.9', PeerPort => $t->port('gw2')) or die "socket: $@";
print $s "POST /mcp/acme HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    . "X-API-Key: $key\r\nX-Stoa-Peer: h0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"
    . "X-Request-Id: the-same-one\r\n"
    . "Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\n"
    . "Accept: application/json, text/event-stream\r\nMcp-Method: tools/call"
    . "\r\nMcp-Name: old__asks\r\nContent-Length: " . length($body)
    . "\r\n\r\n$body";
my $all = join '', <$s>;
like($all, qr/accept/, 'S3: what a client says of gateways counts for nothing')
    or diag $all;
is(scalar(() = $all =~ /^X-Request-Id: the-same-one/mgi), 1,
   '... and the id of his request stays');
ok((wait_until { slurp($t->dir('gw/logs/who.log'))
                 =~ /^127\.0\.0\.9$/m } 10),
   "S3: the gateway that has the call knows the client's address");


# ---- S5: a client of a session, whom a modern upstream asks

my $session = $t->mcp('/mcp/acme', 'initialize', { protocolVersion =>
    '2025-11-25', capabilities => { elicitation => {} }, clientInfo => {
    name => 'c', version => '1' } }, key => $key, era => 'legacy')->{session};
sub head {
    return { 'X-API-Key' => $key, 'Content-Type' => 'application/json',
        Accept => 'application/json, text/event-stream',
        'Mcp-Session-Id' => $session, 'MCP-Protocol-Version' => '2025-11-25' };
}
for my $gw (qw(gw gw2)) {
    my $c = $t->connection(gateway => $gw);
    $c->request('POST', '/mcp/acme', headers_only => 1, headers => head(),
        body => json_encode({ jsonrpc => '2.0', id => 5, method =>
        'tools/call', params => { name => 'new__need', arguments => {} } }));
    my $ask = json_decode(($c->event(10) || {})->{data} // '{}');
    is($ask->{method}, 'elicitation/create', "S5: $gw passes a question on");
    my $a = $t->http('POST', '/mcp/acme', gateway => $other{$gw},
        headers => head(), body => json_encode({ jsonrpc => '2.0',
        id => $ask->{id}, result => $accept }));
    is($a->{status}, 202, "... whose answer $other{$gw} takes") or diag $a->{body};
    my $last = json_decode(($c->event(10) || {})->{data} // '{}');
    is_deeply(json_decode($last->{result}{content}[0]{text} // '{}'),
              { k => $accept }, '... and the upstream gets');
    $c->close;
}

# a batch of 2025-03-26 has answers for both

$session = $t->mcp('/mcp/acme', 'initialize', { protocolVersion =>
    '2025-03-26', capabilities => { elicitation => {} }, clientInfo => {
    name => 'c', version => '1' } }, key => $key, era => 'legacy')->{session};
my %old_head = (%{ head() }, 'MCP-Protocol-Version' => '2025-03-26');
my @two = map {
    my $c = $t->connection(gateway => $_);
    $c->request('POST', '/mcp/acme', headers_only => 1, headers => \%old_head,
        body => json_encode({ jsonrpc => '2.0', id => "of $_", method =>
        'tools/call', params => { name => 'new__need', arguments => {} } }));
    $c->{ask} = json_decode(($c->event(10) || {})->{data} // '{}');
    $c } qw(gw gw2);
my $both = $t->http('POST', '/mcp/acme', gateway => 'gw2', headers =>
    \%old_head, body => json_encode([map { { jsonrpc => '2.0', id =>
    $_->{ask}{id}, result => $accept } } @two]));
is($both->{status}, 202, 'S5: answers in a batch') or diag $both->{body};
for my $c (@two) {
    my $last = json_decode(($c->event(10) || {})->{data} // '{}');
    is_deeply(json_decode($last->{result}{content}[0]{text} // '{}'),
              { k => $accept }, "... get to each gateway: $last->{id}");
    $c->close;
}


# ---- T1: a stream of 2024-11-05

my $c = $t->connection(gateway => 'gw');
$c->request('GET', '/mcp/acme', headers_only => 1, headers => {
    'X-API-Key' => $key, Accept => 'text/event-stream' });
my $url = $c->event(5)->{data};
sub post {
    my ($m, $gw) = @_;
    return $t->http('POST', $url, gateway => $gw, headers => { 'X-API-Key' =>
        $key, 'Content-Type' => 'application/json' }, body => json_encode($m));
}
my $p = post({ jsonrpc => '2.0', id => 1, method => 'initialize', params => {
    protocolVersion => '2024-11-05', capabilities => {}, clientInfo => {
    name => 'o', version => '1' } } }, 'gw2');
is("$p->{status} $p->{body}", '202 ', 'T1: a POST at another gateway is 202');
like(($c->event(10) || {})->{data}, qr/"protocolVersion":"2024-11-05"/,
     '... and answered in the stream');
post({ jsonrpc => '2.0', method => 'notifications/initialized' }, $_ % 2
     ? 'gw' : 'gw2') for 1;
post({ jsonrpc => '2.0', id => 10 + $_, method => 'ping' }, 'gw2') for 1 .. 5;
is(join(' ', sort map { json_decode(($c->event(10) || {})->{data})->{id} }
        1 .. 5), '11 12 13 14 15', '... each');
is($t->http('POST', $url, gateway => 'gw2', headers => { 'Content-Type' =>
    'application/json' }, body => '{}')->{status}, 401,
   'T1: nobody else gets there');


# ---- the other gateway is gone

spew($t->dir('hold'), '');
my $held = { hold => 1, steps => 1 };
my ($here, $gone) = map { call($held, gateway => 'gw') } 1 .. 2;
my $w = $t->connection(gateway => 'gw2');
my $asked = $here->{rpc}{result}{inputRequests};
$w->request('POST', '/mcp/acme', headers_only => 1, headers => {
    'X-API-Key' => $key, 'Content-Type' => 'application/json',
    Accept => 'application/json, text/event-stream', 'Mcp-Method' =>
    'tools/call', 'Mcp-Name' => 'old__asks', 'MCP-Protocol-Version' =>
    '2026-07-28' }, body => json_encode({ jsonrpc => '2.0', id => 'w', method
    => 'tools/call', params => { name => 'old__asks', arguments => $held,
    requestState => $here->{rpc}{result}{requestState}, inputResponses => {
    map { $_ => $accept } keys %$asked }, _meta => { progressToken => 'p',
    "$ns/protocolVersion" => '2026-07-28', "$ns/clientCapabilities" =>
    { elicitation => { form => {} } } } } }));
like(($w->event(10) || {})->{data} // '', qr/progress/, 'S3: a call goes on');
$t->kill9('gw');
my $end = json_decode(($w->event(10) || {})->{data} // '{}');
is(($end->{id} // '') . ' ' . ($end->{error}{data}{code} // ''),
   'w call_lost', 'S3: its gateway dies: the stream says so') or diag
   explain($end);
ok(!defined $w->event(5), '... and ends');
# a connection that it kept may be noticed to have ended only by a first try
ok((wait_until { text(back($gone, $held, gateway => 'gw2'))
    eq '200 mcp_elsewhere' } 10),
   'S3: who comes later is told that it cannot be reached');
is(post({ jsonrpc => '2.0', id => 30, method => 'ping' }, 'gw2')->{status},
   503, 'T1: so is who POSTs to a stream');
unlink $t->dir('hold');


# ---- addresses that lead elsewhere

sub conf {
    my ($gw, $peer) = @_;
    my $text = slurp($t->dir("$gw/nginx.conf"));
    $text =~ s/stoa_peer [^;]*;/$peer/;
    spew($t->dir("$gw/nginx.conf"), $text);
}
conf(gw => 'stoa_peer http://127.0.0.1:' . $t->port('gw2') . ';');
conf(gw2 => '');
$t->start_nginx('gw');
$t->sync('gw');
$t->reload('gw2', drain => 1);
$t->sync('gw2');
$r = call({}, gateway => 'gw');
my $hops = $t->metrics('gw2')->{stoa_mcp_hops_total};
is(text(back($r, {}, gateway => 'gw2')), '200 mcp_elsewhere',
   'S3: an address that leads back to who asks is an end');
is($t->metrics('gw2')->{stoa_mcp_hops_total} - $hops, 1,
   '... at once, for a worker that has sealed nothing yet as well');

$t->done;
