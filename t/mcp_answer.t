#!/usr/bin/perl

# What upstreams answer to a call and to the gateway's own initialize: an
# MCP client gets MCP and nothing else of it, a call is executed once, and no
# answer holds it for longer than the API says.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

use List::Util qw(sum0);

my $t = Test::Stoa->new;
$t->control;

# An upstream whose tool answers with the bytes of its argument, and whose
# initialize does so with those of a file.

my %server = (name => 'up', tools => { raw => sub { 'plain' } });
my $answer = sub {
    my ($era, $q, $c) = @_;
    my $m = json_decode($q->{body}) || {};

    # discovery sees none, so that they are opened by a call
    local $server{sessions} =
        ($q->{headers}{'user-agent'} // '') !~ /stoa-control/;
    my $raw = ($m->{params}{arguments} || {})->{raw};
    my $file = $t->dir('initialize');
    $raw = slurp($file) if ($m->{method} // '') eq 'initialize' && -f $file;
    return Test::Stoa::MCP::answer({ %server, era => $era, versions => [
        $era eq 'dual' ? '2026-07-28' : (), @Test::Stoa::MCP::LEGACY ] },
        $q, $c) unless defined $raw;
    wait_until { !-f $t->dir('hold') } 20 if $raw =~ s/^<hold>//;
    return Test::Stoa::MCP::answer({ %server, era => 'dual', versions =>
        ['2026-07-28'] }, $q, $c) if $raw =~ /^<once>/ && -f $t->dir('once');
    spew($t->dir('once'), '') if $raw =~ s/^<once>//;
    my $id = json_encode([$m->{id}]) =~ s/^\[|\]$//gr;
    my ($head, @more) = split /<wait>/, $raw =~ s/<id>/$id/gr;
    $c->send_raw($head);
    for (@more) { $c->fill(time + $1) if s/^([\d.]+);?//; $c->send_raw($_) }
    $c->fill(time + 30) if $raw =~ /<wait>$/;
    return undef;
};
my %port = map { my $era = $_;
    ($era => $t->origin(sub { $answer->($era, @_) }, name => $era)) }
    qw(dual legacy);
my $fast = "  read_timeout_ms: 2000\n";
$t->apply(demo(plan => 'concurrency: 20',
    rest => { rest => $port{dual} },
    mcp => { legacy => { port => $port{legacy} },
             hasty => { port => $port{legacy}, upstream => $fast },
             dual => { port => $port{dual} },
             two => { port => $port{dual}, upstream =>
                 "    - url: http://localhost:$port{dual}/mcp\n"
                 . "  max_fails: 0\n" } }));
for my $api (keys %port, 'two', 'hasty') {
    wait_until { @{ $t->api('GET', "/v1/tenants/acme/apis/$api/tools")
        ->{json}{items} || [] } } 20 or $t->give_up("$api: not discovered");
}
$t->gateway(server => 'location = /mcp/acme/two { stoa; '
    . 'proxy_next_upstream error http_502 http_503 non_idempotent; }');
my $key = $t->key('acme', 'app');
$t->apply(document('Server', 'acme', 'both', "state: published\n"
    . "prefix: never\ntools:\n  - { api: dual, tool: raw }\n")
    . subscribe('acme', 'app', 'server', 'both', 'basic'));
$t->apply(document('Server', 'acme', 'two', "state: published\n"
    . "prefix: never\ntools:\n  - { api: two, tool: raw }\n")
    . subscribe('acme', 'app', 'server', 'two', 'basic'));
$t->sync;

sub session { my ($path) = @_;
    return ($t->mcp_session($path, key => $key))[0] }
sub call {
    my ($era, $raw, %o) = @_;
    my $path = $o{path} || ($era eq 'modern' ? '/mcp/acme/both' : '/mcp/acme');
    $o{session} //= session($path) if $era ne 'modern';
    return $t->mcp($path, 'tools/call', { name => $o{name}
        // ($era eq 'modern' ? 'raw' : 'legacy__raw'), arguments =>
        defined $raw ? { raw => $raw } : {} }, key => $key, id => 'me"1',
        era => $era, timeout => 10, %o);
}
sub said { my ($r) = @_;
    my $e = ($r->{rpc} || {})->{error} || {};
    # the status, or what it would be
    return join ' ', ($e->{code} // 0) > 0 ? $e->{code}
        : $r->{status} || $r->{error}, ($r->{rpc} || {})->{id}
        // 'no id', $e->{data}{code} // $e->{code} // 'no code' }
# in the log of requests, where a body is a string
sub sent { my ($api, $method) = @_;
    my $n = () = slurp($t->dir("$api.requests")) =~
        m{\\"method\\":\\"\Q$method\E\\"}g;
    return $n }
sub executed { sent($_[0], 'tools/call') }
sub opened { sent('legacy', 'initialize') }
sub refused { my $m = $t->metrics;
    return sum0(map { $m->{$_} } grep { /^stoa_refused/ } keys %$m) }
sub head { join "\r\n", "HTTP/1.1 $_[0]", @_[1 .. $#_], '', '' }
my $json = 'Content-Type: application/json';
my $sse = 'Content-Type: text/event-stream';
sub full { my ($status, $type, $body, @more) = @_;
    return head($status, $type ? "Content-Type: $type" : (), @more,
        'Connection: close',
        # the id's length differs from its mark's
        $body =~ /<id>/ ? () : 'Content-Length: ' . length $body) . $body }
sub chunked { my ($status, $type, $body, @more) = @_;
    $body =~ s/<id>/"me\\"1"/g;
    return head($status, "Content-Type: $type", 'Transfer-Encoding: chunked',
        'Connection: close', @more) . join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
            $body =~ /.{1,7}/sg) . "0\r\n\r\n" }
sub rpc { my ($code, $message, $id) = @_; $id //= '"me\\"1"';
    return qq({"jsonrpc":"2.0","id":$id,"error":{"code":$code,"message":)
        . qq("$message"}}) }
my @evil = ('Location: http://127.0.0.1:1/evil', 'Set-Cookie: a=b',
    'WWW-Authenticate: Bearer resource_metadata="http://evil/prm"',
    'Refresh: 0; url=http://evil', 'Proxy-Authenticate: Basic');
my $ok = '{"jsonrpc":"2.0","id":"me\"1","result":{"content":[]}}';
my $html = '<html>login</html>';

# ---- what is no answer of MCP

my %none = (
    (map { ("$_ with a Location" => [head("$_ Found", @evil,
        'Content-Length: 0') => "HTTP status $_"],
        "$_ with JSON" => [full("$_ Found", 'application/json', $ok, @evil)
        => "HTTP status $_"]) } 301, 302, 303, 307, 308),
    (map { ("$_" => [full("$_ No", 'text/html', $html, @evil)
        => "HTTP status $_"], "$_ with an error of JSON-RPC" => [
        full("$_ No", 'application/json', rpc(-32000, 'no'), @evil)
        => "HTTP status $_"]) } 401, 403, 407),
    '200 HTML' => [full('200 OK', 'text/html', $html, @evil), 'text/html'],
    '200 of no type' => [full('200 OK', '', $ok), 'Content-Type'],
    '200 with nothing in it' => [full('200 OK', 'application/json', ''),
        'no body'],
    '200 in UTF-7' => [full('200 OK', 'application/json; charset=utf-7', $ok),
        'utf-7'],
    '200 gzip' => [full('200 OK', 'application/json', $ok,
        'Content-Encoding: gzip'), 'gzip'],
    '200 as x-ndjson' => [full('200 OK', 'application/jsonl', $ok), 'jsonl'],
    (map { ("$_" => [head("$_ OK", 'Content-Length: 0'), "HTTP status $_"]) }
        201, 202, 205),
    '204' => [head('204 No Content'), 'HTTP status 204'],
    '304' => [head('304 Not Modified'), 'HTTP status 304'],
    '400 HTML' => [full('400 Bad', 'text/html', $html, @evil),
        'HTTP status 400'],
    '500 with a trace' => [full('500 Oops', 'text/plain', 'at line 1', @evil),
        'HTTP status 500'],
    '422 other JSON' => [full('422 No', 'application/json', '{"message":"x"}'),
        'HTTP status 422'],
    '500 an error for somebody else' => [full('500 No', 'application/json',
        rpc(-32603, 'their secret', 17)), 'HTTP status 500'],
    '500 an error for nobody' => [full('500 No', 'application/json',
        rpc(-32603, 'words of it', 'null')), 'words of it'],
    '413 an endless error' => [head('413 No', $json) . 'x<wait>',
        'HTTP status 413'],
    '500 an error too long' => [chunked('500 No', 'application/json',
        rpc(-32603, 'x' x 70_000)), 'HTTP status 500'],
    'an endless page' => [head('302 Found', 'Content-Type: text/html', @evil)
        . "$html<wait>", 'HTTP status 302'],
    '200 an answer to somebody else' => [full('200 OK', 'application/json',
        '{"jsonrpc":"2.0","id":17,"result":{"their":"secret"}}'), 'to the call'],
    '200 an array' => [full('200 OK', 'application/json', "[$ok]"), 'to the'],
    '200 other JSON' => [full('200 OK', 'application/json', '{"a":1}'), 'to'],
    '200 in chunks, to somebody else' => [chunked('200 OK',
        'application/json', '{"jsonrpc":"2.0","id":17,"result":{"x":"'
        . 'x' x 30_000 . '"}}'), 'to the call'],
    '200 an error for nobody' => [full('200 OK', 'application/json',
        rpc(-32603, 'words of it', 'null')), 'words of it'],
    '200 until it closes' => [head('200 OK', $json, 'Connection: close')
        . '{"a":1}', ''],
    '200 that is cut' => [full('200 OK', 'application/json', $ok) =~ s/.$//sr,
        ''],
    '200 that is cut, in chunks' => [chunked('200 OK', 'application/json',
        $ok) =~ s/0\r\n\r\n$//r, ''],
    'not HTTP' => ["hello world this is no http\r\n\r\n", ''],
    'bare JSON' => [$ok, ''],
    'HTTP/0.9 in pieces' => ["SSH-2.0<wait>0.2-OpenSSH\r\n", ''],
    'status 000' => [full('000 None', 'application/json', $ok), ''],
    'status 999' => [full('999 None', 'application/json', $ok), ''],
    '101 that nobody asked for' => [head('101 Switching Protocols',
        'Upgrade: h2c', 'Connection: Upgrade'), ''],
    'interim answers without end' => [head('102 Processing') x 40, ''],
);
sub cause { my ($raw) = @_;
    return 'upstream_redirect' if $raw =~ m{^HTTP/1.1 30[123578]};
    return 'upstream_credential' if $raw =~ m{^HTTP/1.1 40[137]};
    return 'upstream_invalid' }
for my $era (qw(modern legacy)) {
    my $session = $era eq 'legacy' ? session('/mcp/acme') : undef;
    is(call($era, undef, session => $session)->{rpc}{result}{content}[0]{text},
       'plain', "$era: a plain call") or BAIL_OUT('none works');
    my $before = executed('dual') + executed('legacy');
    my $n = 0;
    for my $what (sort keys %none) {
        my ($raw, $why) = @{ $none{$what} };
        my $r = call($era, $raw, session => $session);
        my $code = cause($raw);
        is(said($r), qq(502 me"1 $code), "$era: $what")
            or diag($r->{raw}, $r->{body});
        like($r->{rpc}{error}{message} // '', qr/\Q$why\E/, "... it says why");
        unlike($r->{raw} . $r->{body}, qr/evil|login|secret|www-auth|proxy-auth
            |^location|cookie|refresh|at\ line/mix, '... and no more');
        $n++;
    }
    is(executed('dual') + executed('legacy') - $before, $n,
       "$era: each was called once");
}
my $invalid = 2 * (grep { cause($_->[0]) eq 'upstream_invalid' } values %none);
ok((wait_until {
       $t->metrics->{'stoa_refused_total{code="upstream_invalid"}'} == $invalid
    } 10), 'counted as what they are')
    or diag(join "\n", grep { /refused/ } keys %{ $t->metrics });

# ---- what may stay

for my $era (qw(modern legacy)) {
    for my $raw (full('200 OK', 'application/json', $ok, @evil, 'X-Any: 1',
                      'Cache-Control: no-store'),
                 full('400 No', 'application/json', rpc(-32602, 'no'), @evil,
                      'X-Any: 1', 'Cache-Control: no-store'))
    {
        my $r = call($era, $raw);
        unlike($r->{raw}, qr/evil|cookie|basic|x-any/i,
               "$era: $r->{status}, without headers that steer a client");
        is($r->{headers}{'cache-control'}, 'no-store', '... but what it needs');
    }
    for my $row ([400, -32602], [404, -32601], [500, -32603], [422, -32000]) {
        my ($status, $code) = @$row;
        my $want = $era eq 'modern' && $code == -32601 ? 404 : 200;
        for my $raw (full("$status No", 'application/json; charset=utf-8',
                          rpc($code, 'of the upstream')),
                     chunked("$status No", 'application/json',
                             rpc($code, 'of the upstream ' . 'x' x 5000)),
                     full("$status No", 'application/json', rpc($code, 'x'))
                         =~ s/("code")/<wait>$1/r)
        {
            my $r = call($era, $raw);
            is(said($r), qq($want me"1 $code), "$era: an error at $status");
        }
    }
    for my $row ([429, 'upstream_limited'], [503, 'upstream_busy']) {
        my ($status, $code) = @$row;
        my $r = call($era, full("$status No", 'text/html', $html, @evil,
                                'Retry-After: 17'));
        is(said($r), qq($status me"1 $code), "$era: $status");
        is($r->{headers}{'retry-after'}, '17', '... and when to try again');
        unlike($r->{raw}, qr/evil/, '... and no more');
        $r = call($era, full("$status No", 'application/json',
                             rpc(-32000, 'later'), 'Retry-After: 17'));
        is(said($r), qq($status me"1 $code), "$era: $status, in JSON-RPC");
        like($r->{body}, qr/later/, '... with its words');
        is($r->{headers}{'retry-after'}, '17', '... and when to try again');
    }
    unlike(call($era, full('200 OK', 'application/json', $ok,
                           'Content-Type: text/html'))->{raw}, qr/html/,
           "$era: of two types none that was not judged");
    my $r = call($era, head('103 Early Hints', 'Link: </x>', 'X-Early: 1')
        . head('100 Continue') . '<wait>' . head('102 Processing')
        . full('200 OK', 'application/json', $ok));
    is("$r->{status} $r->{body}", "200 $ok", "$era: after interim answers");
    is($r->{headers}{'x-early'}, undef, '... of which nothing is left');
    for my $n (10, 3900, 4090, 8200, 65_400, 66_000, 200_000) {
        my $long = $ok =~ s/\[\]/sprintf '["%s"]', 'x' x $n/er;
        for my $raw (full('200 OK', 'application/json', $long),
                     chunked('200 OK', 'application/json', $long),
                     full('200 OK', 'application/json', $long)
                         =~ s/("result")/<wait>0.05;$1/r) {
            my $r = call($era, $raw);
            is("$r->{status} $r->{body}" eq "200 $long", 1, "$era: JSON of $n")
                or diag($r->{raw}, substr $r->{body}, 0, 400);
        }
    }
    $r = call($era, full('200 OK', 'application/json', "\xef\xbb\xbf$ok"));
    is($r->{body}, "\xef\xbb\xbf$ok", "$era: behind a mark of its encoding");
    $r = call($era, head('200 OK', $sse) . "data: $ok\n\n");
    is("$r->{status} $r->{body}", "200 $ok", "$era: an event stream");
}

# an event is passed on when it comes, whatever the upstream says of buffering

{
    my $c = $t->connection;
    my $raw = head('200 OK', $sse, 'X-Accel-Buffering: yes')
        . qq(data: {"jsonrpc":"2.0","method":"notifications/message"}\n\n)
        . '<wait>';
    my $body = json_encode({ jsonrpc => '2.0', id => 1, method =>
        'tools/call', params => { name => 'legacy__raw',
            arguments => { raw => $raw } } });
    $c->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
        . "Content-Type: application/json\r\nMcp-Session-Id: "
        . session('/mcp/acme') . "\r\nContent-Length: " . length($body)
        . "\r\n\r\n$body");
    $c->response(headers_only => 1, timeout => 10);
    like(($c->event(10) || {})->{data} // 'none', qr/message/, 'an event');
    $c->close;
}

# an error is held back until it is whole, wherever the network cuts it

{
    my $raw = chunked('400 No', 'application/json', rpc(-32602, 'in pieces'));
    my %said;
    for (my $cut = 3; $cut < length $raw; $cut += 7) {
        $said{ said(call('modern', substr($raw, 0, $cut) . '<wait>0.01;'
            . substr($raw, $cut))) }++;
    }
    is(join(' ', keys %said), '200 me"1 -32602', 'an error, cut anywhere')
        or diag(explain(\%said));
}

# what was no answer is forgotten where nginx is told to try another target

for my $raw (full('503 No', 'text/html', $html, 'Retry-After: 9'),
             full('302 Found', 'text/html', $html, @evil),
             chunked('500 No', 'application/json', rpc(-1, 'x', 9)))
{
    unlink $t->dir('once');
    my $refused = refused();
    my $r = call('modern', "<once>$raw", path => '/mcp/acme/two');
    is("$r->{status} $r->{rpc}{result}{content}[0]{text}", '200 plain',
       'another target answers');
    is($r->{headers}{'retry-after'}, undef, '... for itself');
    is(refused(), $refused, '... and nothing was refused');
}

# ---- the same for REST, which passes all that is HTTP

sub rest { return $t->post('/apis/acme/rest/', { params => { arguments =>
    { raw => $_[0] } } }, key => $key) }
for my $what ('not HTTP', 'bare JSON', 'HTTP/0.9 in pieces', 'status 000',
              'status 999', '101 that nobody asked for',
              'interim answers without end')
{
    my $r = rest($none{$what}[0]);
    is("$r->{status} " . ($r->{json}{code} // ''), '502 upstream_invalid',
       "REST: $what") or diag($r->{raw}, $r->{body});
}
my $r = rest(head('103 Early Hints', 'X-Early: 1') . head('102 Processing')
    . full('201 Created', 'text/plain', 'made', 'Trailer: X-Sum'));
is("$r->{status} $r->{body}", '201 made', 'REST: after interim answers');
is(join('', map { $_ // '' } @{ $r->{headers} }{qw(x-early trailer)}), '',
   'REST: no header of theirs, and no Trailer without trailers');
is(rest(full('302 Found', 'text/html', $html, @evil))->{status}, 302,
   'REST: a redirect is an answer');

# ---- the gateway's own initialize

my $result = '{"jsonrpc":"2.0","id":<id>,"result":{"protocolVersion":'
    . '"2025-11-25","capabilities":{},"serverInfo":{"name":"x","version":"1"}}}';
my $long = $result =~ s/"serverInfo"/sprintf '"x":"%s","serverInfo"',
    'x' x 200_000/er;
my %init = (
    '307' => [head('307 Moved', @evil, 'Content-Length: 0'),
              '502 upstream_redirect', 'HTTP status 307'],
    '401' => [full('401 No', 'text/html', $html, @evil),
              '502 upstream_credential', 'HTTP status 401'],
    'HTML' => [full('200 OK', 'text/html', $html), '502 upstream_invalid',
               'text/html'],
    'gzip' => [full('200 OK', 'application/json', $result,
               'Content-Encoding: gzip'), '502 upstream_invalid', 'gzip'],
    'too many' => [full('503 No', 'application/json', rpc(-32000, 'too many'),
        'Retry-After: 9'), '503 upstream_busy', 'HTTP status 503'],
    'limited' => [full('429 No', 'text/plain', 'no', 'Retry-After: 9'),
        '429 upstream_limited', 'HTTP status 429'],
    'an error' => [full('200 OK', 'application/json', rpc(-32000, 'no more',
        '<id>')), '502 upstream_invalid', 'error -32000: no more'],
    'an error at 500' => [full('500 No', 'application/json', rpc(-32603,
        'no more', '<id>')), '502 upstream_invalid', 'error -32603: no more'],
    'another id' => [full('200 OK', 'application/json', $result =~ s/<id>/9/r),
        '502 upstream_invalid', 'initialize'],
    'no HTTP' => ["220 mail.example ESMTP\r\n", '502 upstream_invalid', ''],
    'too long' => [full('200 OK', 'application/json', $long x 5),
        '502 upstream_invalid', 'longer than'],
    'too long, in events' => [head('200 OK', $sse) . (': ' . 'x' x 998 . "\n")
        x 2000 . '<wait>', '502 upstream_invalid', 'longer than'],
    'nothing' => ['<wait>', '504 upstream_timeout', ''],
    'half of it' => [head('200 OK', $json, 'Content-Length: 900') . '{<wait>',
        '504 upstream_timeout', ''],
    'comments' => [head('200 OK', $sse) . ":\n\n<wait>0.5:\n\n" x 9 . '<wait>',
        '504 upstream_timeout', ''],
    # and what is right, in ways that are not usual
    'long' => [full('200 OK', 'application/json', $long), 'ok'],
    'a stream that stays open' => [head('200 OK', $sse)
        . "event: message\ndata: $result\n\n<wait>", 'ok'],
    'others first' => [head('200 OK', $sse) . qq(data: {"jsonrpc":"2.0",)
        . qq("method":"notifications/message"}\n\n: x\n\ndata: $result\n\n)
        . '<wait>', 'ok'],
    'after interim answers' => [head('103 Early Hints') . full('200 OK',
        'application/json', $result), 'ok'],
);
for my $what (sort keys %init) {
    my ($raw, $want, $why) = @{ $init{$what} };
    my $session = session('/mcp/acme');
    my $executed = executed('legacy');
    spew($t->dir('initialize'), $raw);
    my $r = call('legacy', undef, session => $session, $want =~ /timeout/
        ? (name => 'hasty__raw') : ());
    unlink $t->dir('initialize');
    if ($want eq 'ok') {
        # no session id in this one, so that the upstream refuses the call;
        # within this client's time, which is shorter than the api's
        is(executed('legacy') - $executed, 1, "initialize, $what: it goes on");
        next;
    }
    is(said($r), $want =~ s/ / me"1 /r, "initialize, $what")
        or diag($r->{raw}, $r->{body});
    like($r->{rpc}{error}{message} // '', qr/\Q$why\E/, '... it says why');
    is($r->{headers}{'retry-after'}, '9', '... and when') if $raw =~ /Retry/;
    unlike($r->{raw} . $r->{body}, qr/evil|login/, '... and no more');
    is(executed('legacy'), $executed, '... and the call was not sent');
    is(call('legacy', undef, session => $session)->{status}, 200,
       '... the next call tries again');
}
# calls that wait for it fail with it, and not one after the other

{
    my $session = session('/mcp/acme');
    my $base = opened();
    spew($t->dir('initialize'), '<hold>' . $init{'too many'}[0]);
    spew($t->dir('hold'), '');
    my @c = map { $t->connection } 1 .. 4;
    my $body = json_encode({ jsonrpc => '2.0', id => 1, method =>
        'tools/call', params => { name => 'legacy__raw', arguments => {} } });
    $_->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
        . "Content-Type: application/json\r\nMcp-Session-Id: $session\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body") for @c;
    wait_until { ($t->metrics->{stoa_in_flight} // 0) == 4 } 10;
    unlink $t->dir('hold');
    is(join(' ', map { (json_decode($_->response(timeout => 10)->{body})
        || {})->{error}{code} } @c), '503 503 503 503',
       'four calls that wait');
    unlink $t->dir('initialize');
    is(opened() - $base, 1, '... for one initialize');
    is(call('legacy', undef, session => $session)->{status}, 200,
       '... and the next one tries again');
}

wait_until { ($t->metrics->{stoa_in_flight} // 1) == 0 } 10;
is($t->metrics->{stoa_in_flight}, 0, 'no place is kept');

# ---- a second try: what a tool says of itself, where its api allows it

my $hint = { name => 'hint', era => 'dual', versions => ['2026-07-28',
    @Test::Stoa::MCP::LEGACY], sessions => 1, tools => { map { $_ => sub {
    'done' } } qw(peek set poke) }, list => { 'tools/list' => sub { { tools =>
    [ map { { name => $_->[0], inputSchema => { type => 'object' },
        $_->[1] ? (annotations => { $_->[1] => JSON::PP::true() }) : () } }
        [peek => 'readOnlyHint'], [set => 'idempotentHint'], ['poke'] ] } } } };
my $hint_port = $t->origin(sub {
    my ($q, $c) = @_;
    my $m = json_decode($q->{body}) || {};
    for my $f (($m->{method} // '') eq 'tools/call'
               ? map { $t->dir("fail.$_") } 1, 2 : ()) {
        next unless -f $f;
        my $raw = slurp($f);
        unlink $f;
        $c->send_raw($raw) if length $raw;
        return undef;
    }
    return Test::Stoa::MCP::answer($hint, $q, $c);
}, name => 'hint');
my $causes = 'causes: [error, "503"]';
$t->apply(document('Api', 'acme', $_->[0], "kind: mcp\nstate: published\n"
        . "upstream:\n  targets:\n    - url: http://127.0.0.1:$hint_port/mcp\n"
        . "  max_fails: 0\n  retry: {$_->[1]}\n")
    . subscribe('acme', 'app', 'api', $_->[0], 'basic'))
    for ['hint', "$causes, hinted: true"], ['strict', $causes];
for my $api (qw(hint strict)) {
    wait_until { @{ $t->api('GET', "/v1/tenants/acme/apis/$api/tools")
        ->{json}{items} || [] } == 3 } 20 or $t->give_up("$api: no tools");
}
$t->sync;
sub hinted {
    my ($era, $tool, $fail, %o) = @_;
    my $before = executed('hint');
    spew($t->dir("fail.$_"), $fail->[$_ - 1]) for 1 .. @$fail;
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => ($o{api} // 'hint')
        . "__$tool", arguments => {}, %{ $o{params} || {} } }, key => $key,
        era => $era, timeout => 10, $era eq 'legacy'
            ? (session => session('/mcp/acme')) : ());
    unlink map { $t->dir("fail.$_") } 1, 2;
    return (($r->{rpc}{result} ? 'done' : $r->{rpc}{error}{data}{code}
        // 'none') . ' ' . (executed('hint') - $before));
}
my $busy = full('503 Busy', 'text/plain', 'x');
for my $era (qw(modern legacy)) {
    is(hinted($era, 'peek', ['']), 'done 2',
       "a tool that reads only is called again ($era)");
    is(hinted($era, 'set', ['']), 'done 2', '... and an idempotent one');
    is(hinted($era, 'peek', [$busy]), 'done 2', '... after a status of the api');
    is(hinted($era, 'peek', ['', '']), 'upstream_invalid 2', '... once');
    is(hinted($era, 'poke', ['']), 'upstream_invalid 1', '... and no other');
    is(hinted($era, 'poke', [$busy]), 'upstream_busy 1', '... after a status');
    is(hinted($era, 'peek', [''], api => 'strict'), 'upstream_invalid 1',
       '... nor where the api says nothing of it');
    is(hinted($era, 'peek', [full('503 Busy', 'text/plain', 'x',
       'Retry-After: 1')]), 'upstream_busy 1', '... nor who says when');
    is(hinted($era, 'peek', [head('200 OK', $sse) . 'data: {"jsonrpc":"2.0",'
       . '"method":"notifications/progress","params":{"progressToken":1,'
       . "\"progress\":1}}\n\n"]), 'upstream_invalid 1', '... nor what has begun');
}
is(hinted('legacy', 'peek', [''], params => { task => { ttl => 1000 } }),
   'upstream_invalid 1', '... nor what may have made a task');

$t->done;
