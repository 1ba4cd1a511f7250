#!/usr/bin/perl

# Rows T3, T4, T5, T8, V1, V4, H1, H2, H3, H4, H5, A5, A6, A7 and A8 of the
# checklist: each by its name, whatever other tests hold of it in passing.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Base qw(config);
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $full = $ENV{STOA_TEST_FULL};
my $t = Test::Stoa->new->has('node');
$t->control;

my %tools = (tools => {
    echo => sub { json_encode($_[0]) },
    secret => sub { 'RAN' },
    headers => sub { json_encode($_[2]{headers}) },
});
my $up = $t->mcp_origin(name => 'up', %tools);
my $old = $t->mcp_origin(name => 'old', era => 'legacy', sessions => 1,
                         %tools);
my $node = $t->mcp_everything(name => 'node');
# bodies that are too long for our own servers end in one that only counts
my $sink = $t->port('sink');
mkdir $t->dir($_) for 'sink', 'sink/logs';
$t->write_file('sink/nginx.conf', $t->bare_conf(<<'END', name => 'sink',
        client_max_body_size 20m;
        default_type application/json;
        location / {
            if ($http_content_length ~ "^[0-9]{7,}$") { return 200
                '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"$http_content_length"}]}}';
            }
            proxy_pass http://127.0.0.1:%%PORT_up%%;
        }
END
));
$t->start_nginx('sink');
my $page = 'https://app.example';
my $big = "max_body_bytes: 16777216\n";

$t->apply(demo(mcp => { up => { port => $up, spec => $big },
        old => { port => $old, spec => $big } })
    . demo(tenant => 'long', mcp => { up => { port => $sink, spec => $big } })
    . demo(tenant => 'dual', mcp => { up => { port => $up, spec => $big } })
    . demo(tenant => 'node', mcp => { ev => $node })
    . document('Application', 'dual', 'some')
    . subscribe('dual', 'some', 'api', 'up', 'basic', "  tools: [echo, "
        . "headers]\n")
    . document('Application', 'dual', 'none')
    . document('Plan', 'dual', 'tight', "rate: 1\nper_ms: 3600000\n")
    . document('Application', 'dual', 'slow')
    . subscribe('dual', 'slow', 'api', 'up', 'tight')
    . document('Policy', 'dual', 'web', "type: cors\nconfig: { origins: "
        . "['$page'] }\nattach: [ { tenant: dual } ]\n"));
for my $api (qw(acme/apis/up acme/apis/old dual/apis/up long/apis/up
                node/apis/ev)) {
    wait_until { ($t->api('GET', "/v1/tenants/$api")->{json}{discovery}{state}
        // '') eq 'ok' } 30 or $t->give_up("$api was not discovered");
}
$t->gateway(location => 'client_max_body_size 20m;');
my %key = (map({ ($_ => $t->key($_, 'app')) } qw(acme dual node long)),
           map({ ($_ => $t->key('dual', $_)) } qw(some none slow)));
$t->sync;

my $ns = 'io.modelcontextprotocol';
my %meta = ("$ns/protocolVersion" => '2026-07-28',
            "$ns/clientCapabilities" => {});
my %modern = (Accept => 'application/json, text/event-stream',
    'Content-Type' => 'application/json', 'Mcp-Method' => 'tools/call',
    'MCP-Protocol-Version' => '2026-07-28', 'Mcp-Name' => 'up__echo');

sub hits { scalar $t->origin_log($_[0] // 'up') }
sub text { my ($r) = @_;
    return $r->{rpc}{result}{content}[0]{text} // $r->{body} }
sub call { my ($tool, $arguments, %o) = @_;
    return $t->mcp('/mcp/dual', 'tools/call', { name => $tool, arguments =>
        $arguments || {} }, key => $key{dual}, %o) }
sub post { my ($body, %o) = @_;
    my $r = $t->http('POST', $o{path} // '/mcp/dual', key =>
        exists $o{key} ? $o{key} : $key{dual}, body => $body, headers =>
        { %modern, %{ $o{headers} || {} } });
    $r->{json} ||= json_decode($r->{body});
    return $r }
sub said { my ($r) = @_;
    return "$r->{status} " . ($r->{json}{error}{code} // $r->{rpc}{error}{code}
        // 'no error') }

my ($session) = $t->mcp_session('/mcp/acme', key => $key{acme});
my @legacy = (era => 'legacy', session => $session, key => $key{acme});

# ---- T3, T4

{
    my @n = map {
        my ($s, $init) = $t->mcp_session('/mcp/node', key => $key{node});
        my $r = $t->mcp('/mcp/node', 'notifications/initialized', undef,
            era => 'legacy', session => $s, key => $key{node});
        my $c = $t->mcp('/mcp/node', 'tools/call', { name => 'ev__echo',
            arguments => { message => "n$_" } }, era => 'legacy',
            session => $s, key => $key{node});
        "$r->{status}'$r->{body}' $c->{status} "
            . (text($c) =~ /n$_/ ? 'called' : text($c));
    } 1 .. 8;
    is("@n", join(' ', ("202'' 200 called") x 8),
       'T3, T4: eight sessions at a Node server, none loses its initialized');
    my @q = map { $_->{headers} } grep { $_->{method} eq 'POST' }
        $t->origin_log('old');
    text($t->mcp('/mcp/acme', 'tools/call', { name => 'old__echo' },
                 @legacy));
    my @connection = map { $_->{headers}{connection} // '' }
        splice @{ [grep { $_->{method} eq 'POST' } $t->origin_log('old')] },
            scalar @q;
    cmp_ok(scalar @connection, '>', 0, 'T4: an upstream is asked');
    unlike("@connection", qr/close/i, 'T4: no Connection: close to upstreams');
}

# ---- T5

for my $row ([200, $page, undef, 'one that a policy names'],
             [403, 'https://evil.example', undef, 'one that none names'],
             [403, 'http://evil.example', 'evil.example',
              'the host that a page has rebound'],
             [403, 'null', undef, 'null'])
{
    my ($want, $origin, $host, $what) = @$row;
    is($t->mcp('/mcp/dual', 'tools/list', undef, key => $key{dual}, headers =>
        { Origin => $origin, $host ? (Host => $host) : () })->{status}, $want,
       "T5: an Origin, $what");
}

# ---- T8

{
    my ($before, $large) = (hits(), sub { my ($n) = @_;
        my $body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
            . '{"name":"up__echo","arguments":{"x":""},"_meta":'
            . json_encode(\%meta) . '}}';
        my $more = $n - length $body;
        return post($body =~ s/"x":""/'"x":"' . 'x' x $more . '"'/er,
                    path => '/mcp/long', key => $key{long}) });
    for my $mb (1, 8, 15.9) {
        my $n = int $mb * 1024 * 1024;
        # the name is shorter there
        is($large->($n)->{json}{result}{content}[0]{text}, $n - length 'up__',
           "T8: a body of $mb MiB arrives");
    }
    my $r = $large->(16 * 1024 * 1024 + 1);
    is("$r->{status} " . ($r->{json}{error}{code} // ''), '413 -32600',
       'T8: more than 16 MiB: 413 in JSON-RPC');
    my $deep = '[' x 70 . ']' x 70;
    is(said(post('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
        . qq({"name":"up__echo","arguments":{"a":$deep},"_meta":)
        . json_encode(\%meta) . '}}')), '400 -32700', 'T8: 70 levels: no');
    is(hits(), $before, 'T8: nothing of it reaches an upstream');
}

# ---- V1: the content decides, on one URL

{
    my %s = ('Mcp-Session-Id' => $session);
    my $list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
    my $init = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":'
        . '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":'
        . '{"name":"x","version":"1"}}}';
    my $r = post($init, headers => { 'Mcp-Method' => undef,
                                     'Mcp-Name' => undef });
    is($r->{json}{result}{protocolVersion}, '2025-11-25',
       'V1: initialize under a modern header is legacy');
    is(said(post($list, headers => { 'Mcp-Method' => 'tools/list',
        'Mcp-Name' => undef })), '400 -32602',
       'V1: a modern header without _meta is not modern');
    $r = $t->mcp('/mcp/dual', 'tools/list', undef, key => $key{dual},
                 headers => { %s });
    is($r->{rpc}{result}{resultType}, 'complete',
       'V1: _meta under a session id is modern');
    is($r->{headers}{'mcp-session-id'}, undef, 'V1: ... and gets none');
    is($t->mcp('/mcp/acme', 'tools/list', undef, @legacy)
       ->{rpc}{result}{resultType}, undef, 'V1: a session is legacy');
}

# ---- V4

{
    my $before = hits();
    for my $version (qw(2025-11-25 2025-06-18)) {
        my ($s) = $t->mcp_session('/mcp/acme', key => $key{acme},
                                  version => $version);
        my $one = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
            . '{"name":"up__echo","arguments":{}}}';
        is(said(post("[$one,$one]", path => '/mcp/acme', key => $key{acme},
            headers => { 'Mcp-Session-Id' => $s, 'MCP-Protocol-Version' =>
            $version, 'Mcp-Method' => undef, 'Mcp-Name' => undef })),
           '400 -32600', "V4: a batch in a session of $version");
    }
    is(hits(), $before, 'V4: and nothing in it is called');
}

# ---- H1, H4: headers against the body

{
    my $before = hits();
    my $body = sub { json_encode({ jsonrpc => '2.0', id => 1, method =>
        $_[1] // 'tools/call', params => { name => $_[0] // 'up__echo',
        arguments => {}, _meta => { %meta } } }) };
    my %bad = (
        'no version' => { 'MCP-Protocol-Version' => undef },
        'another version' => { 'MCP-Protocol-Version' => '2025-11-25' },
        'no method' => { 'Mcp-Method' => undef },
        'another method' => { 'Mcp-Method' => 'tools/list' },
        'the method in capitals' => { 'Mcp-Method' => 'TOOLS/CALL' },
        'no name' => { 'Mcp-Name' => undef },
        'another name' => { 'Mcp-Name' => 'up__secret' },
        'the name in capitals' => { 'Mcp-Name' => 'UP__ECHO' },
        'base64 that is none' => { 'Mcp-Name' => '=?base64?###?=' },
        'a marker in capitals' => { 'Mcp-Name' => '=?BASE64?dXBfX2VjaG8=?=' },
        'two names' => { 'Mcp-Name' => 'up__echo', 'mcp-name' => 'up__echo' },
    );
    is(said(post($body->(), headers => $bad{$_})), '400 -32020', "H1: $_")
        for sort keys %bad;
    is(hits(), $before, 'H1: nothing of it reaches an upstream');
    is(said(post($body->(), headers => { 'Mcp-Name' => $_ })), '200 no error',
       "H1: the same name: '$_'") for '=?base64?dXBfX2VjaG8=?=', ' up__echo ';

    $before = hits();
    is(said(post($body->('up__secret'), key => $key{some})), '400 -32020',
       'H4: the header names a tool that is allowed, the body another');
    is(said(post($body->('up__secret'), key => $key{some}, headers =>
        { 'Mcp-Name' => 'up__secret' })), '200 -32602',
       'H4: both name the other');
    my ($s) = $t->mcp_session('/mcp/dual', key => $key{some});
    is(said($t->mcp('/mcp/dual', 'tools/call', { name => 'up__secret',
        arguments => {} }, era => 'legacy', session => $s, key => $key{some},
        headers => { 'Mcp-Method' => 'tools/call', 'Mcp-Name' => 'up__echo' })),
       '200 -32602', 'H4: headers of a legacy message decide nothing');
    is(hits(), $before, 'H4: the other tool is never reached');
}

# ---- H2, H3

{
    my $r = call('up__headers', { x => 'a' }, headers =>
        { 'Mcp-Name' => '=?base64?dXBfX2hlYWRlcnM=?=',
          'Mcp-Param-Region' => 'eu', 'Mcp-Param-x' => '=?base64?w6k=?=' });
    my $h = json_decode(text($r)) || {};
    is($h->{'mcp-name'}, 'headers', 'H2: Mcp-Name follows the body');
    my ($q) = grep { $_->{body} =~ /"headers"/ } reverse $t->origin_log('up');
    is($h->{'content-length'}, length $q->{body}, 'H2: and Content-Length');
    is(join('|', map { $h->{"mcp-param-$_"} // '' } 'region', 'x'),
       'eu|=?base64?w6k=?=', 'H3: Mcp-Param-* as it came');
    my %many = map { ("Mcp-Param-P$_" => 'x') } 1 .. 32;
    is(said(call('up__echo', {}, headers => { %many })), '200 no error',
       'H3: 32 of them');
    is(said(call('up__echo', {}, headers => { %many, 'Mcp-Param-Q' => 1 })),
       '400 -32020', 'H3: 33');
    is(said(call('up__echo', {}, headers => { map { ("Mcp-Param-P$_" =>
        'x' x 2000) } 1 .. 5 })), '400 -32020', 'H3: more than 8 KiB of them');
    is($t->api('POST', '/v1/tenants/dual/policies', { name => "h$_", type =>
        'headers', config => { request => [{ set => $_, value => 'x' }] },
        attach => [] })->{status}, 422, "H3: no configuration sets $_")
        for qw(Mcp-Method Mcp-Name Mcp-Param-Region MCP-Protocol-Version);
}

# ---- H5: the corpus, and that it leaves nothing behind

{
    my $ok = '"jsonrpc":"2.0","id":1,"method":"tools/call"';
    my $p = '"name":"up__echo","arguments":{},"_meta":' . json_encode(\%meta);
    my @corpus = (
        '', ' ', 'x', '{', '[', '"', '{}', '[]', 'null', '1', "\0",
        "\xef\xbb\xbf{$ok,\"params\":{$p}}", "{$ok,\"params\":{$p}}{}",
        "{$ok,\"params\":{$p}}x", "{$ok,\"params\":{$p},}",
        "{$ok,\"method\":\"tools/list\",\"params\":{$p}}",
        "{$ok,\"m\\u0065thod\":\"tools/list\",\"params\":{$p}}",
        "{$ok,\"Method\":\"tools/list\",\"params\":{$p}}",
        "{$ok,\"params\":{$p},\"params\":{}}",
        "{$ok,\"params\":{$p,\"name\":\"up__secret\"}}",
        "{$ok,\"params\":{$p,\"n\\u0061me\":\"up__secret\"}}",
        "{$ok,\"params\":{$p,\"NAME\":\"up__secret\"}}",
        "{$ok,\"params\":{$p,\"na\xc5\xbfe\":1,\"argument\xc5\xbf\":{}}}",
        "{$ok,\"params\":{$p,\"x\":NaN}}", "{$ok,\"params\":{$p,\"x\":01}}",
        "{$ok,\"params\":{$p,\"x\":1.}}", "{$ok,\"params\":{$p,\"x\":+1}}",
        "{$ok,\"params\":{$p,\"x\":Infinity}}",
        "{$ok,\"params\":{$p,\"x\":'a'}}", "{$ok,\"params\":{$p,\"x\":\"\t\"}}",
        "{$ok,\"params\":{$p,\"x\":\"\xff\"}}",
        "{$ok,\"params\":{$p,\"x\":\"\xc0\xaf\"}}",
        "{$ok,\"params\":{$p,\"x\":\"\xed\xa0\x80\"}}",
        "{$ok,\"params\":{$p,\"x\":\"\\ud800\"}}",
        "{$ok,\"params\":{$p,\"x\":\"\\u12\"}}",
        "{$ok,\"params\":{$p,\"x\":\"\\x41\"}}",
        "{$ok,\"params\":{$p,/**/\"x\":1}}", "{$ok,\"params\":[$p]}",
        '{"jsonrpc":"1.0","id":1,"method":"ping"}',
        '{"jsonrpc":"2.0","id":{},"method":"ping"}',
        '{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
        '{"jsonrpc":"2.0","id":1,"method":7}',
        '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
        '[' x 5000, '{"a":' x 5000, '"' . 'x' x 100_000,
    );
    my $before = hits();
    my @odd = grep { said(post($_)) !~ /^400 -32[67]00$/ } @corpus;
    is(join("\n", @odd), '', 'H5: ' . @corpus . ' bodies are no message');
    is(hits(), $before, 'H5: none reaches an upstream');

    # what is refused leaves nothing behind
    my ($pid) = $t->workers('gw');
    my $rss = sub { $t->memory($pid) };
    my ($n, $size) = (0, 0);
    my $round = sub {
        my ($times) = @_;
        my $c;
        for (1 .. $times) {
            for my $body (@corpus) {
                $c = $t->connection if !$c || $n++ % 900 == 0;
                my $r = $c->request('POST', '/mcp/dual', body => $body,
                    keepalive => 1, headers => { %modern,
                        'X-API-Key' => $key{dual} });
                $c = $t->connection
                    if ($r->{headers}{connection} // '') eq 'close';
            }
        }
        return $rss->();
    };
    $size = $round->(20);
    my $then = $round->($full ? 2200 : 40);
    # a sanitizer keeps what is freed
    cmp_ok($then - $size, '<', config('SANITIZE') ? 1 << 20 : 1024, "H5: $n of them, no growth (KiB)");
}

# ---- A5

for my $row (['modern', '/mcp/dual', 'up__headers', key => $key{dual}],
             ['legacy', '/mcp/acme', 'old__headers', @legacy])
{
    my ($era, $path, $tool, %o) = @$row;
    my $name = $tool =~ /^(\w+?)__/ ? $1 : '';
    my $seen = $t->origin_log($name);
    ($o{session}) = $t->mcp_session($path, key => $o{key})
        if $era eq 'legacy';
    my %secret = (Authorization => 'Bearer someone.elses.token',
        Cookie => 'session=1', 'Proxy-Authorization' => 'Basic x',
        'X-Stoa-Tenant' => 'evil', 'Last-Event-ID' => 'x');
    $t->mcp($path, 'tools/call', { name => $tool, arguments => {} }, %o,
            headers => \%secret);
    my @q = ($t->origin_log($name))[$seen .. scalar($t->origin_log($name)) - 1];
    cmp_ok(scalar @q, '>=', $era eq 'legacy' ? 3 : 1, "A5: $era: upstream saw");
    my $all = json_encode([map { $_->{headers} } @q]);
    unlike($all, qr/someone|session=1|Basic x|evil|last-event|\Q$o{key}\E/i,
           "A5: $era: no credential of the client is among it");
}

# ---- A6

{
    my $c = $t->connection;
    $c->send_raw("POST /mcp/dual HTTP/1.1\r\nHost: x\r\nContent-Type: "
        . "application/json\r\nContent-Length: 19000000\r\n\r\n{");
    is($c->response(timeout => 5)->{status}, 401,
       'A6: who calls is asked before the body is there');
    $c->close;
    my $r = call('up__echo', {}, key => $key{slow});
    $r = call('up__echo', {}, key => $key{slow}, id => 'q');
    is("$r->{rpc}{id} $r->{rpc}{error}{code}", 'q 429', 'A6: a rate, per plan');
    like($r->{headers}{'retry-after'}, qr/^\d+$/, 'A6: Retry-After');
    is(said($t->mcp('/mcp/dual', 'tools/list', undef, key => $key{slow})),
       '200 no error', 'A6: lists are not counted');
    is(said(call('up__echo')), '200 no error', 'A6: others are not held up');
}

# ---- A7

{
    my $r = $t->http('OPTIONS', '/mcp/dual', headers => { Origin => $page,
        'Access-Control-Request-Method' => 'POST',
        'Access-Control-Request-Headers' => 'authorization, content-type, '
            . 'mcp-protocol-version, mcp-session-id, mcp-method, mcp-name' });
    is("$r->{status} " . ($r->{headers}{'access-control-allow-origin'} // ''),
       "204 $page", 'A7: a preflight needs no key');
    my $allow = lc($r->{headers}{'access-control-allow-headers'} // '');
    ok($allow eq '*' || $allow =~ /$_/, "A7: $_ may be sent")
        for qw(mcp-protocol-version mcp-session-id mcp-method mcp-name);
    for my $row ([200, $key{dual}], [401, 'junk']) {
        $r = $t->mcp('/mcp/dual', 'tools/list', undef, key => $row->[1],
                     headers => { Origin => $page });
        is($r->{status}, $row->[0], "A7: the request itself, $row->[0]");
        my $told = lc($r->{headers}{'access-control-expose-headers'} // '');
        like($told, qr/\b$_\b/, "A7: ... $_ may be read")
            for qw(mcp-session-id www-authenticate retry-after);
    }
}

# ---- A8: whatever goes wrong, it is JSON-RPC

{
    my $good = json_encode({ jsonrpc => '2.0', id => 'me', method =>
        'tools/call', params => { name => 'up__echo', arguments => {},
        _meta => { %meta } } });
    my $ping = '{"jsonrpc":"2.0","id":"me","method":"ping"}';
    my @rows = (
        ['no tenant', null => 404, path => '/mcp'],
        ['no such tenant', null => 404, path => '/mcp/nobody'],
        ['no such server', null => 404, path => '/mcp/dual/none'],
        ['no key', null => 401, key => undef],
        ['a bad key', null => 401, key => 'junk'],
        ['another verb', null => 405, verb => 'PUT'],
        ['GET', null => 405, verb => 'GET'],
        ['an Origin', null => 403, headers => { Origin => 'http://x' }],
        ['a type', null => 415, headers => { 'Content-Type' => 'text/xml' }],
        ['an Accept', null => 406, headers => { Accept => 'text/html' }],
        ['a long header', null => 431, headers => { X => 'x' x 60_000 }],
        ['no JSON', null => 400, body => '{'],
        ['no session', me => 400, body => $ping, headers =>
            { 'MCP-Protocol-Version' => '2025-11-25' }],
        ['an unknown session', me => 404, body => $ping, headers =>
            { 'MCP-Protocol-Version' => '2025-11-25',
              'Mcp-Session-Id' => 'x' x 80 }],
        ['a header that differs', me => 400, headers =>
            { 'Mcp-Name' => 'x' }],
        ['an unknown method', me => 404, headers => { 'Mcp-Method' => 'x/y',
            'Mcp-Name' => undef }, body => $good =~ s{tools/call}{x/y}r],
        ['an unknown tool', me => 200, headers => { 'Mcp-Name' => 'up__x' },
            body => $good =~ s/up__echo/up__x/r],
        ['no subscription', me => 200, key => $key{none}],
        ['a rate', me => 200, key => $key{slow}],
    );
    for my $row (@rows) {
        my ($what, $id, $status, %o) = @$row;
        my $r = $t->http($o{verb} || 'POST', $o{path} || '/mcp/dual', key =>
            exists $o{key} ? $o{key} : $key{dual}, body => $o{body} // $good,
            headers => { %modern, %{ $o{headers} || {} } });
        my $e = $r->{json} && $r->{json}{error} ? $r->{json} : {};
        is(join(' ', $r->{status}, $e->{jsonrpc} // 'no JSON-RPC',
            $e->{id} // 'null', $e->{error}{data}{code} ? 'code' : 'no code'),
           "$status 2.0 $id code", "A8: $what")
            or diag($r->{raw}, $r->{body});
    }
    $t->kill9('up');
    my $r = post($good);
    is("$r->{status} $r->{json}{id} $r->{json}{error}{code}", '200 me 502',
       'A8: an upstream that is down');
}

$t->done;
