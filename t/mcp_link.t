#!/usr/bin/perl

# Rows T1, S2: upstreams that speak HTTP+SSE of 2024-11-05 only.  Discovery
# finds out; to clients of all eras they are like any other.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use Test::Stoa::Demo;

use Time::HiRes qw(time);

my $t = Test::Stoa->new;
$t->control;

# One that is strict: a stream of a session is a file, which grows by what is
# POSTed.  What it does is noted in a book.

my $book = $t->dir('book');
my $n = 0;
sub book { open my $fh, '>>', $book or die; syswrite $fh, "@_\n" }
sub say_in { my ($sid, $m) = @_;
    open my $fh, '>>', $t->dir("s.$sid") or die;
    syswrite $fh, "event: message\ndata: " . (ref $m ? json_encode($m) : $m)
        . "\n\n" }
my %tool = (
    echo => sub { json_encode($_[0]) }, who => sub { $_[1] },
    big => sub { 'x' x $_[0]{n} },
    steps => sub { my ($a, $sid, $m) = @_;
        say_in($sid, { jsonrpc => '2.0', method => 'notifications/progress',
            params => { progressToken => $m->{params}{_meta}{progressToken},
            progress => $_ } }) for 1 .. 3; 'done' },
    asks => sub { my ($a, $sid, $m) = @_;
        spew($t->dir("asks.$sid"), json_encode($m->{id}));
        say_in($sid, { jsonrpc => '2.0', id => 77, method => 'roots/list' });
        undef },
    says => sub { my ($a, $sid) = @_;
        spew($t->dir("later.$sid"), ''); 'said' },
    twice => sub { my ($a, $sid, $m) = @_;
        say_in($sid, { jsonrpc => '2.0', id => $m->{id}, result => { content =>
            [{ type => 'text', text => 'once' }] } }); 'more' },
    junk => sub { my ($a, $sid, $m) = @_; say_in($sid, '}{');
        say_in($sid, { jsonrpc => '2.0', id => 'nobody', result => {} });
        'after junk' },
    cut => sub { my ($a, $sid) = @_; unlink $t->dir("s.$sid"); undef },
    wait => sub { wait_until { -f $t->dir('go') } 20; 'waited' },
    gone => sub { my ($a, $sid, $m) = @_;
        say_in($sid, { jsonrpc => '2.0', id => $m->{id}, result => { content =>
            [{ type => 'text', text => 'x' x 9_000_000 }] } });
        wait_until { -f $t->dir('heard') } 20; book("gone $sid"); undef },
    none => sub { undef },
    here => sub { 'x' x 100_000 },
);
my $up = sub {
    my ($q, $c) = @_;
    my ($path, $sid) = $q->{target} =~ m{^(/\w+)(?:\?sid=([\w-]+))?$};
    return [405] if $path eq '/sse' && $q->{method} ne 'GET';
    return [401] if ($q->{headers}{'x-up'} // '') ne 'secret';
    if ($path eq '/sse') {
        $sid = "$$-" . $n++;
        my $file = spew($t->dir("s.$sid"), '');
        my $named = -f $t->dir('named') ? slurp($t->dir('named'))
            : '/messages?sid=SID';
        book("open $sid");
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "Connection: close\r\n\r\nevent: endpoint\ndata: "
            . ($named =~ s/SID/$sid/r) . "\n\n");
        my $at = 0;
        for (1 .. 6000) {
            my $text = -f $file ? slurp($file) : last;
            if (length $text > $at) {
                $c->send_raw(substr $text, $at) or last;
                $at = length $text;
            }
            say_in($sid, { jsonrpc => '2.0', method => 'notifications/message',
                params => { level => 'info', data => 'later' } })
                if unlink $t->dir("later.$sid");
            $c->fill(time + 0.01);
            last if !$c->{sock}->connected || !defined getpeername $c->{sock};
        }
        unlink $file;
        book("close $sid");
        return undef;
    }
    return [404] if !defined $sid || !-f $t->dir("s.$sid");
    my $m = json_decode($q->{body}) or return [400];
    my $method = $m->{method} // '';
    if (!defined $m->{method}) {
        say_in($sid, { jsonrpc => '2.0', id => json_decode('[' . slurp($t->dir(
            "asks.$sid")) . ']')->[0], result => { content => [{ type => 'text',
            text => "roots " . @{ $m->{result}{roots} } }] } })
            if $m->{id} eq '77';
        return [202, [], 'Accepted'];
    }
    return [202, [], 'Accepted'] if !exists $m->{id};
    my $result = $method eq 'initialize' ? { protocolVersion => '2024-11-05',
            capabilities => { tools => {}, logging => {} }, serverInfo =>
            { name => 'old', version => '1' } }
        : $method eq 'tools/list' ? { tools => [map { { name => $_,
            inputSchema => { type => 'object' } } } sort keys %tool] }
        : $method eq 'tools/call' ? do {
            my $p = $m->{params};
            book("call $p->{name} $sid");
            my $text = $tool{ $p->{name} }->($p->{arguments}, $sid, $m);
            return [404] if $p->{name} eq 'gone';
            return [202, [], 'Accepted'] if !defined $text;
            return [200, ['Content-Type' => 'application/json'], json_encode({
                jsonrpc => '2.0', id => $m->{id}, result => { content =>
                [{ type => 'text', text => $text }] } })]
                if $p->{name} eq 'here';
            { content => [{ type => 'text', text => $text }] } } : {};
    say_in($sid, { jsonrpc => '2.0', id => $m->{id}, result => $result });
    return [202, ['Content-Type' => 'text/plain'], 'Accepted'];
};
my $port = $t->origin($up, name => 'old');
$t->apply(demo(mcp => { old => { port => $port, path => '/sse' } })
    . document('Secret', 'acme', 'up', "value: secret\n")
    . document('Policy', 'acme', 'cred', "type: upstream-credential\n"
        . "config: {kind: header, header: X-Up, value: '\${secret:up}'}\n"
        . "attach: [{api: old}]\n")
    . document('Application', 'acme', 'other')
    . subscribe('acme', 'other', 'api', 'old', 'basic'));
my $d;
ok((wait_until { $d = $t->api('GET', '/v1/tenants/acme/apis/old')->{json}
    {discovery} || {}; ($d->{state} // '') =~ /ok|failed/ } 20), 'discovery');
is($d->{state}, 'ok', 'T1: a server of 2024-11-05 is read')
    or diag(explain($d));
is("$d->{era} $d->{protocol_version} " . ($d->{sse} // ''),
   'legacy 2024-11-05 1', '... as what it is');
ok((wait_until { slurp($book) =~ /close/ } 10), '... and left');

my ($key, $other) = map { $t->key('acme', $_) } qw(app other);
$t->gateway(workers => 4, http => 'stoa_mcp_keepalive 2s;');
$t->sync;

sub session { return ($t->mcp('/mcp/acme', 'initialize', { protocolVersion =>
    '2025-11-25', capabilities => $_[0] || {}, clientInfo => { name => 'c',
    version => '1' } }, era => 'legacy', key => $_[1] // $key))->{session} }
sub call { my ($s, $tool, $arguments, %o) = @_;
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => "old__$tool",
        arguments => $arguments || {}, $o{meta} ? (_meta => $o{meta}) : () },
        era => defined $s ? 'legacy' : 'modern', session => $s,
        key => $o{key} // $key, id => $o{id} // 1);
    $t->{last} = $r;
    return $r->{rpc}{result}{content}[0]{text}
        // ($r->{rpc}{error}{data}{code} // $r->{body}) }
sub count { my ($re) = @_; return scalar(() = slurp($book) =~ /$re/mg) }

# ---- calls

my $s = session();
my $sid = call($s, 'who');
like($sid, qr/^\d+-\d+$/, 'T1: a call') or diag($sid);
is(join(' ', map { call($s, 'who') } 1 .. 12), join(' ', ($sid) x 12),
   'S2: one session, at all workers');
isnt(call(session(), 'who'), $sid, "... another client's is another one");
isnt(call(session({}, $other), 'who', {}, key => $other), $sid,
   "... and so is another application's");
is(length call($s, 'big', { n => 3_000_000 }), 3_000_000, 'T1: a large answer');
my $text = 'y' x 1_000_000;
is(length call($s, 'echo', { s => $text }), length json_encode({ s => $text }),
   '... and question');
is(call($s, 'steps', {}, meta => { progressToken => 'p' }), 'done',
   'T1: with progress');
is(join(' ', map { $_->{params}{progress} } grep { $_->{method} }
    @{ $t->{last}{events} }), '1 2 3', '... that is said');
is(call($s, 'twice'), 'once', 'T1: what answers twice is heard once');
is(length call($s, 'here'), 100_000, "T1: an answer in that of the POST");
is(call($s, 'junk'), 'after junk', '... and what is no answer, not at all');
is(call(undef, 'echo', { m => 1 }), '{"m":1}', 'V2: a modern client');
is(call(undef, 'who'), call(undef, 'who'), '... whose calls share a session');

sub begin { my ($s, $tool, $id) = @_;
    my $c = $t->connection;
    my $body = json_encode({ jsonrpc => '2.0', id => $id, method =>
        'tools/call', params => { name => "old__$tool", arguments => {} } });
    $c->send_raw($c->request_text('POST', '/mcp/acme', body => $body,
        headers => ['X-API-Key' => $key, 'Content-Type' => 'application/json',
        'Mcp-Session-Id' => $s]) . $body);
    return $c;
}
my @c = map { begin($s, 'wait', "c$_") } 1 .. 20;
ok((wait_until { count(qr/call wait/) == 20 } 10), 'T1: many at a time');
spew($t->dir('go'), '');
is(scalar(grep { my $r = $_->response(timeout => 30); ($r->{body} // '')
    =~ /waited/ } @c), 20, '... each is answered');
$_->close for @c;

sub files { return scalar map { glob "/proc/$_/fd/*" } $t->workers }
my $files = files();
@c = map { begin($s, 'none', "n$_") } 1 .. 40;
wait_until { count(qr/call none/) == 40 } 10;
$_->close for @c;
ok((wait_until { files() < $files + 10 } 10),
   'T1: calls that nobody waits for hold nothing, at any worker');

# ---- what it asks, and says

my $roots = session({ roots => {} });
my $c = begin($roots, 'asks', 'ask');
$c->response(headers_only => 1, timeout => 10);
my $asked = json_decode(($c->event(10) || {})->{data} // 'null') || {};
is($asked->{method}, 'roots/list', 'C1: what it asks its client');
$t->http('POST', '/mcp/acme', key => $key, headers => { 'Content-Type' =>
    'application/json', 'Mcp-Session-Id' => $roots }, body => json_encode({
    jsonrpc => '2.0', id => $asked->{id}, result => { roots => [{ uri =>
    'file:///a' }] } }));
like(($c->event(10) || {})->{data} // 'none', qr/roots 1/,
     '... his answer reaches it');
$c->close;

my $get = $t->connection;
$get->request('GET', '/mcp/acme', headers_only => 1, headers => ['X-API-Key' =>
    $key, Accept => 'text/event-stream', 'Mcp-Session-Id' => $roots]);
$get->event(5);
is(call($roots, 'says'), 'said', 'S4: what it says outside of calls');
like(($get->event(10) || {})->{data} // 'none', qr/later/,
     '... is in the stream of the session');
$get->close;

# ---- sessions that end

my $before = call($s, 'who');
unlink $t->dir("s.$before");
ok((wait_until { count(qr/^close \Q$before\E/m) } 10), 'its stream ends');
isnt(call($s, 'who'), $before, 'S2: the next call opens a session');
is(count(qr/call who \Q$before\E$/m), 14, '... and is made once');
is(call($s, 'cut'), 'upstream_invalid', 'S2: a stream that ends in a call');
is(count(qr/call cut/), 1, '... which is not made again');
like(call($s, 'who'), qr/^\d+-/, '... nor stands in the way of the next');
my $slow = session();
my $gone = begin($slow, 'gone', 'slow');
$gone->response(headers_only => 1, timeout => 20);
spew($t->dir('heard'), '');
ok((wait_until { count(qr/^gone /m) } 20),
   'S2: a POST that is refused when its answer is under way');
$gone->close;
like(call($s, 'who'), qr/^\d+-/, '... harms nobody') for 1 .. 8;
$t->http('DELETE', '/mcp/acme', key => $key, headers => { 'Mcp-Session-Id' =>
    $slow });
my $mine = session();
$sid = call($mine, 'who');
$t->http('DELETE', '/mcp/acme', key => $key, headers => { 'Mcp-Session-Id' =>
    $mine });
ok((wait_until { count(qr/^close \Q$sid\E$/m) } 10),
   'S2: a session that its client ends is ended there');

$t->reload;
$t->sync;
like(call($s, 'who'), qr/^\d+-/, 'S3: a reload') for 1 .. 4;
my %before = map { ($_ => 1) } $t->workers;
kill 'KILL', $_ for keys %before;
wait_until { my @w = grep { !$before{$_} } $t->workers; @w == 4 } 10;
$t->allow_log(qr/exited on signal 9|was not told/);
like(call($s, 'who'), qr/^\d+-/, 'S3: workers that were killed') for 1 .. 4;
my $old = open_pair();
like(pair_call($old, 'who'), qr/^\d+-/, 'T1: a client of 2024-11-05, too');
$old->close;

# ---- what it should not

for my $named ("http://127.0.0.2:$port/messages?sid=SID", '//evil/x?sid=SID',
               "https://127.0.0.1:$port/messages?sid=SID", '/mess ages',
               "http://127.0.0.1:${port}1/messages?sid=SID")
{
    spew($t->dir('named'), $named);
    is(call(session(), 'who'), 'upstream_invalid', "T1: an endpoint $named");
}
for my $named ("http://127.0.0.1:$port/messages?sid=SID", 'messages?sid=SID') {
    spew($t->dir('named'), $named);
    like(call(session(), 'who'), qr/^\d+-/, "T1: ... but $named");
}
unlink $t->dir('named');
is(scalar(grep { $_->{headers}{'x-api-key'} || $_->{headers}{'x-stoa-link'}
    || $_->{headers}{'mcp-session-id'} } $t->origin_log('old')), 0,
   'A5: it sees no credential of a client, nor what is ours');

sub open_pair {
    my $c = $t->connection;
    $c->request('GET', '/mcp/acme', headers_only => 1, headers => [
        'X-API-Key' => $key, Accept => 'text/event-stream']);
    $c->{url} = $c->event(5)->{data};
    pair_ask($c, 'initialize', { protocolVersion => '2024-11-05',
        capabilities => {}, clientInfo => { name => 'c', version => '1' } });
    return $c;
}
sub pair_ask { my ($c, $method, $params) = @_;
    $t->http('POST', $c->{url}, key => $key, headers => { 'Content-Type' =>
        'application/json' }, body => json_encode({ jsonrpc => '2.0', id => 9,
        method => $method, params => $params }));
    return json_decode(($c->event(10) || {})->{data} // 'null') || {} }
sub pair_call { return pair_ask($_[0], 'tools/call', { name => "old__$_[1]",
    arguments => {} })->{result}{content}[0]{text} // '' }

$t->stop('old');
like(call($s, 'who'), qr/^upstream_(?:invalid|unreachable)$/,
     'T1: one that is gone');
# ---- behind TLS

my $dir = $t->dir;
my ($code, undef, $err) = $t->run_cmd([qw(openssl req -x509 -newkey rsa:2048
    -nodes -days 2 -subj /CN=old), '-keyout', "$dir/key.pem", '-out',
    "$dir/cert.pem"]);
is($code, 0, 'a certificate') or diag($err);
my $tls = $t->port('tls');
my $behind = $t->origin($up, name => 'behind');
$t->write_file('safe/nginx.conf', $t->bare_conf("listen 127.0.0.1:$tls ssl;
    ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem;
    location / { proxy_pass http://127.0.0.1:$behind; proxy_buffering off;
        proxy_http_version 1.1; proxy_set_header X-Up secret; }",
    name => 'safe'));
$t->start_nginx('safe');
$t->apply(document('Api', 'acme', 'safe', "kind: mcp\nstate: published\n"
    . "upstream:\n  targets:\n    - url: https://127.0.0.1:$tls/sse\n"
    . "  tls: { verify: false }\n") . subscribe('acme', 'app', 'api', 'safe',
    'basic'));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/safe/tools')->{json}
    {items} || [] } } 20;
$t->sync;
my $r = $t->mcp('/mcp/acme', 'tools/call', { name => 'safe__echo', arguments =>
    { over => 'tls' } }, era => 'legacy', session => session(), key => $key);
is($r->{rpc}{result}{content}[0]{text}, '{"over":"tls"}', 'T1: over TLS')
    or diag $r->{body};
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'safe__echo', arguments =>
    { over => 'tls' } }, key => $key);
is($r->{rpc}{result}{content}[0]{text}, '{"over":"tls"}',
   '... for both eras') or diag $r->{body};

$t->done;
