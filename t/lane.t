#!/usr/bin/perl

# The fast lane: what it serves and what it leaves to nginx's upstream is the
# same to clients and upstreams, byte for byte.  Two gateways, one with
# "stoa_fast off", are asked the same.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Demo;
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use IO::Socket::INET;
use Time::HiRes qw(sleep);

my $t = Test::Stoa->new->has('module', 'control');


# ---- an upstream that answers with the bytes it is told --------------------

# in pieces; "close" ends the connection, a number is a pause in ms

my $ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
    . "Content-Length: 2\r\n\r\nok";
my $head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    . "Content-Length: 11\r\nX-Up: a\r\nETag: \"v1\"\r\n\r\n";
my $big = 'x' x 200_000;

sub body { return "Content-Length: " . length($_[0]) . "\r\n\r\n$_[0]" }

my %shape = (
    small    => [$ok],
    many     => ["HTTP/1.1 201 Created\r\nServer: up\r\nDate: x\r\n"
                 . "Connection: Keep-Alive\r\nKeep-Alive: timeout=5\r\n"
                 . "Cache-Control: no-store\r\nCache-Control: private\r\n"
                 . "Expires: Thu, 01 Jan 1970 00:00:00 GMT\r\nVary: a\r\n"
                 . "Last-Modified: Thu, 01 Jan 2015 00:00:00 GMT\r\n"
                 . "Accept-Ranges: bytes\r\nLink: </a>; rel=a\r\n"
                 . "ETag: W/\"1\"\r\nWWW-Authenticate: Basic\r\n"
                 . "X-Request-Id: theirs\r\nRateLimit: theirs\r\n"
                 . "Content-Language: de\r\nx-lower: 1\r\nX-Empty:\r\n"
                 . "X-Tight:1\r\nMcp-Session-Id: theirs\r\nX-Pad: 1\r\n"
                 . "Content-Type: text/html; charset=koi8-r\r\n"
                 . body('seen')],
    encoded  => ["HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                 . body("\x1f\x8b\x08\0\0")],
    noreason => ["HTTP/1.1 200 \r\n" . body('a')],
    bare     => ["HTTP/1.1 200\r\n" . body('a')],
    odd      => ["HTTP/1.1 299 Odd as can be\r\n" . body('a')],
    none     => ["HTTP/1.1 204 No Content\r\nX-Up: a\r\n\r\n"],
    empty    => ["HTTP/1.1 200 OK\r\n" . body('')],
    partial  => ["HTTP/1.1 206 Partial Content\r\n"
                 . "Content-Range: bytes 0-0/9\r\n" . body('a')],
    first    => ["HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                 . $ok],
    moved    => ["HTTP/1.1 302 Found\r\nLocation: http://x.test/a\r\n"
                 . body('gone')],
    same     => ["HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n"],
    missing  => ["HTTP/1.1 404 Not Found\r\n" . body('none')],
    failed   => ["HTTP/1.1 500 Internal Server Error\r\n" . body('oh')],
    chunked  => ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                 "5\r\nhello\r\n", 5, "0\r\n\r\n"],
    once     => ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 . "5\r\nhello\r\n0\r\n\r\n"],
    both     => ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                 . "Content-Length: 5\r\n\r\n2\r\nhi\r\n0\r\n\r\n"],
    events   => ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                 . "Transfer-Encoding: chunked\r\n\r\n",
                 "9\r\ndata: 1\n\n\r\n", 5, "9\r\ndata: 2\n\n\r\n", 5,
                 "0\r\n\r\n"],
    closing  => ["HTTP/1.1 200 OK\r\nConnection: close\r\n" . body('bye'),
                 'close'],
    to_end   => ["HTTP/1.1 200 OK\r\n\r\nuntil the end", 'close'],
    old      => ["HTTP/1.0 200 OK\r\n" . body('old'), 'close'],
    large    => ["HTTP/1.1 200 OK\r\n" . body($big)],
    page     => ["HTTP/1.1 200 OK\r\n" . body('y' x 5000)],
    wide     => ["HTTP/1.1 200 OK\r\nX-Wide: " . ('w' x 3000) . "\r\n"
                 . body('wide')],
    too_wide => ["HTTP/1.1 200 OK\r\nX-Wide: " . ('w' x 70000) . "\r\n"
                 . body('wide')],
    names    => ["HTTP/1.1 200 OK\r\n"
                 . join('', map { "X-" . ('n' x 40) . "-$_: $_\r\n" } 1 .. 20)
                 . body('names')],
    headers  => ["HTTP/1.1 200 OK\r\n"
                 . join('', map { "X-N$_: $_\r\n" } 1 .. 60) . body('many')],
    cookies  => ["HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\n"
                 . "Set-Cookie: b=2\r\n" . body('a')],
    refresh  => ["HTTP/1.1 200 OK\r\nRefresh: 5; url=/x\r\n" . body('a')],
    accel    => ["HTTP/1.1 200 OK\r\nX-Accel-Redirect: /stoa/status\r\n"
                 . "X-Accel-Limit-Rate: 1\r\nX-Accel-Buffering: no\r\n"
                 . body('mine')],
    spaces   => ["HTTP/1.1 200 OK\r\nX-Up:   a \t\r\n" . body('a')],
    utf8     => ["HTTP/1.1 200 OK\r\nX-Up: \xc3\xa4\r\n" . body('a')],
    lines    => ["HTTP/1.1 200 OK\nX-Up: a\nContent-Length: 1\n\na"],
    folded   => ["HTTP/1.1 200 OK\r\nX-Up: a\r\n b\r\n" . body('a')],
    score    => ["HTTP/1.1 200 OK\r\nX_Up: a\r\n" . body('a')],
    nul      => ["HTTP/1.1 200 OK\r\nX-Up: a\0b\r\n" . body('a'), 'close'],
    twice    => ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" . body('a')],
    differs  => ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" . body('a'),
                 'close'],
    negative => ["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na", 'close'],
    garbage  => ["no HTTP at all\r\n\r\n", 'close'],
    nothing  => ['close'],
    short    => ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                 'close'],
    more     => ["${ok}surplus", 'close'],
    slow     => [$head, 20, '{"a":', 20, '12345}'],
    begun    => [substr($head, 0, 30), 'close'],
);

sub pieces {
    my ($name) = @_;
    my ($cut) = $name =~ /^cut-(\d+)/;
    my $text = $head . '{"a":12345}';
    return $cut ? (substr($text, 0, $cut), 3, substr($text, $cut))
                : @{ $shape{$name} || [$ok] };
}

my $log = $t->dir('raw.log');

sub serve_raw {
    my ($c) = @_;
    for (my $n = 1;; $n++) {
        my $end = Time::HiRes::time() + 60;
        until ($c->{in} =~ /\r\n\r\n/) { return unless $c->fill($end) }
        $c->{in} =~ s/\A(.*?\r\n\r\n)//s;
        my $text = $1;
        my ($len) = $text =~ /^content-length: (\d+)/mi;
        while (length $c->{in} < ($len // 0)) { return unless $c->fill($end) }
        my $body = substr $c->{in}, 0, $len // 0, '';
        while ($text =~ /^transfer-encoding: chunked/mi
               && $body !~ /0\r\n\r\n\z/)
        {
            $body .= substr $c->{in}, 0, length $c->{in}, '';
            last if $body =~ /0\r\n\r\n\z/;
            return unless $c->fill($end);
        }
        my ($name) = $text =~ m{^\S+ /([\w-]*)};
        open my $fh, '>>', $log;
        syswrite $fh, json_encode({ n => $n, name => $name, head => $text,
                                    body => $body, pid => $$ }) . "\n";
        return if $name =~ /^reused/ && $n > 1;
        if ($name eq 'hold') { $c->fill($end); return }
        for my $p (pieces($name)) {
            return if $p eq 'close';
            if ($p =~ /^\d+$/) { sleep $p / 1000 } else { $c->send_raw($p) }
        }
    }
}

my $port = $t->port('raw');
my $listen = IO::Socket::INET->new(Proto => 'tcp', Listen => 128,
    ReuseAddr => 1, LocalAddr => '127.0.0.1', LocalPort => $port)
    or die "raw: $!\n";
$t->start('raw', code => sub {
    $SIG{CHLD} = 'IGNORE';
    $SIG{TERM} = sub { POSIX::_exit(0) };
    for (;;) {
        my $sock = $listen->accept or next;
        if (fork) { close $sock; next }
        close $listen;
        setsockopt($sock, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1);
        serve_raw(Test::Stoa::HTTP->wrap($sock, timeout => 60));
        POSIX::_exit(0);
    }
});
close $listen;


# ---- two gateways -----------------------------------------------------------

my $server = { era => 'dual', sessions => 1, tools => {
    echo => sub { json_encode($_[0]) },
    stream => sub { { sse => [], result => { content => [] } } },
    bad => sub { { error => { code => -32000, message => 'no' } } } },
    versions => [$Test::Stoa::MCP::MODERN, @Test::Stoa::MCP::LEGACY] };
my $mcp = $t->origin(sub {
    my $answer = Test::Stoa::MCP::answer($server, @_);
    unshift @{ $answer->[1] }, Server => 'up', Date => 'then', 'X-Up' => 'a',
        'Cache-Control' => 'no-store' if $answer;
    return $answer;
}, name => 'mcpup');

$t->control;
$t->apply(demo(rest => { raw => $port }, mcp => { m => $mcp },
               plan => "rate: 100000\nconcurrency: 100"));
wait_until {
    ($t->api('GET', '/v1/tenants/acme/apis/m')->{json}{discovery}{state}
        // '') eq 'ok'
} 20;

# what the lane does not serve, with what shows that it is in force

my @directive = (
    ['proxy_set_header X-Set mine', qr/^X-Set: mine\r/m],
    ['proxy_method PUT', qr/^PUT /],
    ['proxy_http_version 1.0', qr{ HTTP/1\.0\r}],
    ['proxy_set_body theirs', undef, qr/theirs/],
    ['proxy_pass_request_headers off', qr/\A(?!.*X-Mine)/s],
    ['proxy_pass_request_body off; proxy_set_header Content-Length ""',
     undef, qr/\A\z/],
    ['proxy_request_buffering off', qr/^POST /],
    ['proxy_bind 127.0.0.1', qr/^POST /],
    ['proxy_force_ranges on', qr/^POST /],
    ['proxy_limit_rate 1m', qr/^POST /],
    ['proxy_ignore_client_abort on', qr/^POST /],
    ['proxy_pass_header Server', qr/^POST /],
    ['proxy_store %%DIR%%/stored', qr/^POST /],
    ['proxy_cache c', qr/^POST /],
    ['stoa_fast off', qr/^POST /],
);
my @served = (
    ['proxy_hide_header X-Up; add_header X-Add mine', 'X-Add: mine'],
    ['proxy_buffering off', ''],
    ['proxy_read_timeout 7s; proxy_connect_timeout 3s', ''],
    ['gzip on; gzip_min_length 1; gzip_proxied any; gzip_types text/plain',
     'Content-Encoding: gzip'],
    `$t->{nginx} -V 2>&1` !~ /sub_module/ ? ()
        : ['sub_filter ok yes; sub_filter_types *; sub_filter_once off', 'yes'],
    ['if ($request_method = GET) { add_header X-If 1; }', 'X-If: 1'],
);
my $n = 0;
my $locations = join '', map {
    my $i = $n++;
    "location /apis/acme/raw/d$i/ { stoa; $_->[0]; }\n"
        =~ s/\}; \}/} }/r;
} @directive, @served;

my $log_format = 'log_format up \'$request_uri $status "$upstream_addr" '
    . '$upstream_status $upstream_response_length $upstream_bytes_received '
    . '$upstream_http_x_up $upstream_http_content_type "$http_x_api_key" '
    . '"$http_authorization" $sent_http_content_length\'; '
    . 'access_log logs/up.log up;';
for my $name (qw(gw off)) {
    $t->gateway(name => $name, workers => 1, server => $locations,
        http => "$log_format proxy_cache_path %%DIR%%/$name/cache "
            . 'keys_zone=c:1m; stoa_fast ' . ($name eq 'gw' ? 'on' : 'off')
            . ';');
}
my $key = $t->key('acme', 'app');
$t->sync($_) for qw(gw off);

sub lane {
    my $m = $t->metrics($_[0] // 'gw');
    return map { $m->{"stoa_lane_${_}_total"} }
        qw(answered declined handed_over);
}

sub call {
    my ($gw, $path, %o) = @_;
    return $t->http($o{method} || 'GET', "/apis/acme/raw/$path",
        key => $key, gateway => $gw, timeout => 10, %o);
}

sub seen { my ($name) = @_;
           return map { json_decode($_) }
               grep { /"name":"\Q$name\E"/ } split /\n/, slurp($log) }

# a connection is idle; the api is not one whose answers are handed over

sub warm { call('gw', 'small') for 1 .. 2; call('off', 'small') }

# an answer without what differs by itself

sub shown {
    my ($r) = @_;
    my $raw = $r->{raw};
    $raw =~ s/^(Date|X-Request-Id|RateLimit): [^\r]*/$1/mgi;
    (my $body = $r->{body}) =~ s/"request_id":"\w+"//;
    return "$raw|$body|$r->{error}";
}


# ---- shapes of answers --------------------------------------------------------

my %lane = map { ($_ => 1) } qw(small many encoded noreason odd page wide);

for my $name (sort keys %shape) {
    warm();
    my @before = lane();
    my %r = map { ($_ => call($_, $name)) } qw(gw off);
    my @after = lane();
    is(shown($r{gw}), shown($r{off}), "$name: the same answer");
    my $got = $after[0] > $before[0] ? 'lane' : $after[2] > $before[2]
        ? 'handed over' : 'declined';
    my $want = $lane{$name} ? 'lane' : 'handed over';
    is($got, $want, "$name: by the $want") unless $name =~ /page|wide/;
}

my @lines = map { [grep { m{/raw/} && !m{/small } }
    $t->log_lines($_, 'up.log')] } qw(gw off);
is(join("\n", @{ $lines[0] }), join("\n", @{ $lines[1] }),
   'what the log says of upstreams is the same');


# ---- handed over at each byte of a head ---------------------------------------

my @wrong;
my $length = length($head) + 11;
warm();
my @before = lane();
for my $cut (1 .. $length - 1) {
    my $r = call('gw', "cut-$cut");
    push @wrong, "$cut: $r->{status} $r->{body}"
        unless $r->{status} == 200 && $r->{body} eq '{"a":12345}'
               && ($r->{headers}{'x-up'} // '') eq 'a';
    call('gw', 'small');
}
is("@wrong", '', 'an answer is whole wherever it was cut');
cmp_ok((lane())[2] - $before[2], '>', $length * 0.8,
       'and was handed over in the middle');


# ---- what the upstream gets ---------------------------------------------------

my @request = (
    ['GET'],
    ['GET', [Accept => '*/*', Cookie => 'a=1', 'User-Agent' => 'x',
             'X-Forwarded-For' => '192.0.2.1', 'x-lower' => '1',
             'X-Twice' => 1, 'X-Twice' => 2, 'X-Empty' => '']],
    ['GET', [TE => 'trailers', 'Keep-Alive' => '5', Connection => 'X-Mine',
             'X-Mine' => '1', Authorization => 'Basic eA==']],
    ['GET', ['Content-Length' => 0]],
    ['OPTIONS'], ['DELETE'],
    ['POST', [], 'a body'], ['PUT', [], 'b' x 3000],
    ['PATCH', ['Content-Type' => 'a/b'], '{}'],
    ['POST', [], ''],
    ['POST', ['Transfer-Encoding' => 'chunked'], "3\r\nabc\r\n0\r\n\r\n"],
    ['POST', [], 'c' x 60000],
    ['POST', [Expect => '100-continue'], 'expected'],
    ['HEAD'],
);
for my $q (@request) {
    my ($method, $headers, $body) = @$q;
    my @got;
    for my $gw (qw(gw off)) {
        warm();
        my $from = () = seen('echo');
        my $c = $t->connection(gateway => $gw);
        $c->request($method, '/apis/acme/raw/echo?q=%20', keepalive => 1,
            headers => [Host => 'h.test', 'X-API-Key' => $key,
                        @{ $headers || [] }],
            defined $body ? (body => $body) : ());
        $c->close;
        my @new = (seen('echo'))[$from .. 1e3];
        my ($one) = grep { $_ } @new;
        my $text = "$one->{head}|$one->{body}|" . grep { $_ } @new;
        $text =~ s/^(X-Request-Id|traceparent): [^\r]*/$1/mgi;
        push @got, $text;
    }
    is($got[0], $got[1], "$method " . length($body // '')
       . ': the upstream gets the same');
}


# ---- directives ---------------------------------------------------------------

for my $i (0 .. $#directive) {
    my ($text, $want_head, $want_body) = @{ $directive[$i] };
    warm();
    my @before = lane();
    my $r = call('gw', "d$i/x", method => 'POST', body => 'mine',
                 headers => { 'X-Mine' => 1 });
    my @after = lane();
    my ($q) = (seen("d$i"))[-1];
    is($r->{status}, 200, "$text: works");
    like($q->{head}, $want_head, "$text: is in force") if $want_head;
    like($q->{body}, $want_body, "$text: is in force") if $want_body;
    is($after[1] - $before[1], 1, "$text: the lane declines");
}
for my $i (0 .. $#served) {
    my ($text, $want) = @{ $served[$i] };
    my $path = 'd' . ($i + @directive) . '/x';
    warm();
    my @before = lane();
    my %r = map { ($_ => call($_, $path, headers =>
                              { 'Accept-Encoding' => 'gzip' })) } qw(gw off);
    is((lane())[0] - $before[0], 1, "$text: in the lane");
    like("$r{gw}{raw}$r{gw}{body}", qr/\Q$want\E/, "$text: is in force");
    is(shown($r{gw}), shown($r{off}), "$text: the same");
}


# ---- retries ------------------------------------------------------------------

for my $method (qw(PUT POST GET)) {
    my @got;
    for my $gw (qw(gw off)) {
        warm();
        my $name = "reused-$method-$gw";
        my $r = call($gw, $name, method => $method,
                     $method eq 'GET' ? () : (body => 'once more'));
        push @got, join ' ', $r->{status}, map { $_->{body} } seen($name);
    }
    is($got[0], $got[1], "$method on a connection that closes: $got[1]");
}


# ---- a client that leaves -----------------------------------------------------

for my $gw (qw(gw off)) {
    for (1 .. 5) {
        warm();
        my $from = () = seen('hold');
        my $c = $t->connection(gateway => $gw);
        $c->send_raw("GET /apis/acme/raw/hold HTTP/1.1\r\nHost: x\r\n"
                     . "X-API-Key: $key\r\n\r\n");
        wait_until { (() = seen('hold')) > $from } 5;
        $c->reset;
        my $ok = wait_until {
            scalar grep { m{/hold 499 127\.0\.0\.1} || m{/hold 499 "127\.} }
                ($t->log_lines($gw, 'up.log'))[-1] // ''
        } 5;
        ok($ok, "$gw: logged as 499");
    }
    my $c = $t->connection(gateway => $gw);
    $c->send_raw("POST /apis/acme/raw/echo HTTP/1.1\r\nHost: x\r\n"
                 . "X-API-Key: $key\r\nContent-Length: 10\r\n\r\nabc");
    $c->reset;
    my $ok = wait_until {
        $t->get('/stoa/status', gateway => $gw)->{json}{zone}{in_flight} == 0
    } 5;
    ok($ok, "$gw: nothing is in flight");
    is(call($gw, 'small')->{status}, 200, "$gw: and goes on");
}


# ---- MCP ----------------------------------------------------------------------

my @mcp_before = lane();
for my $era (undef, '2025-11-25') {
    my %sid = map { my $gw = $_;
        ($gw => $era ? ($t->mcp_session('/mcp/acme', key => $key,
                        gateway => $gw, version => $era))[0] : undef) }
        qw(gw off);
    for my $tool (qw(echo echo stream bad none)) {
        my @got = map { my $r = $t->mcp('/mcp/acme', 'tools/call',
            { name => "m__$tool", arguments => { a => [1, 'x'] } },
            key => $key, gateway => $_, defined $sid{$_}
                ? (session => $sid{$_}, version => $era, era => 'legacy')
                : (), id => 7);
            shown($r) } qw(gw off);
        is($got[0], $got[1], ($era // 'modern') . " $tool: the same");
    }
}
cmp_ok((lane())[0] - $mcp_before[0], '>=', 2, 'calls of tools in the lane');


# ---- no key anywhere ----------------------------------------------------------

for my $gw (qw(gw off)) {
    is(scalar(grep { m{/raw/} && /\Q$key\E/ } $t->log_lines($gw, 'up.log'),
        $t->log_lines($gw, 'error.log')), 0, "$gw: no key in a log");
    is(scalar(grep { m{upstream: "https} } $t->log_lines($gw, 'error.log')),
       0, "$gw: an upstream without TLS is called so");
}
unlike(slurp($log), qr/\Q$key\E/, 'none at the upstream');

$t->allow_log(qr/upstream/);
$t->done;
