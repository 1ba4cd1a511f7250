#!/usr/bin/perl

# Legacy clients at modern upstreams: what such an upstream offers is in their
# lists and works; what it needs from them comes as requests on the stream of
# the call, is answered at any worker, and goes back with the upstream's state
# as it was.  (Rows V3, S2, C1 and T6 of the checklist.)

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;
my $ns = 'io.modelcontextprotocol';

# An upstream that says with its arguments what it answers: {raw}, or {need}:
# what it needs from the client, round by round.

my $server = { name => 'up', era => 'modern', versions => ['2026-07-28'],
    list => { 'tools/list' => sub { { tools => [ map { { name => $_,
        inputSchema => { type => 'object', properties => $_ eq 'routed' ? {
            region => { type => 'string', 'x-mcp-header' => 'Region' },
            size => { type => 'integer', 'x-mcp-header' => 'Size' },
            none => { type => 'string', 'x-mcp-header' => 'None' } } : {} } } }
        qw(echo need routed slow) ] } } },
    tools => {
        routed => sub { my $h = $_[2]{headers}; join '|', map { $h->{$_}
            // 'none' } qw(mcp-param-region mcp-param-size mcp-param-none) },
        echo => sub { json_encode([$_[0], $_[1]{params}{_meta}]) },
        slow => sub { wait_until { !-f $t->dir('hold') } 20; 'slept' },
        need => sub {
            my ($args, $m) = @_;
            my @rounds = @{ $args->{rounds} };
            my ($n) = ($m->{params}{requestState} // 'é:0:') =~ /:(\d+):/;
            my $got = $m->{params}{inputResponses};
            return json_encode($got) if $n >= @rounds;
            return { resultType => 'input_required',
                requestState => "\x{e9}:" . ($n + 1) . ':',
                %{ $rounds[$n] } };
        },
    } };
my $port = $t->origin(sub {
    my ($q, $c) = @_;
    my $m = json_decode($q->{body}) || {};
    my $args = ($m->{params} || {})->{arguments} || {};
    if (my $tag = ref $args eq 'HASH' ? $args->{watch} : undef) {
        $c->send_raw(head('200 OK', 'Content-Type: text/event-stream')
            . qq(data: {"jsonrpc":"2.0","method":"notifications/message",)
            . qq("params":{"level":"info","data":1}}\n\n));
        my $gone = 0;
        wait_until { -f $t->dir('enough') || ($gone =
            IO::Select->new($c->{sock})->can_read(0)
            && !length(do { recv $c->{sock}, my $x, 1, 2; $x // '' })) } 20;
        spew($t->dir("watched-$tag"), $gone ? 'cancelled' : 'worked on');
        return undef;
    }
    if (defined(my $raw = ref $args eq 'HASH' ? $args->{raw} : undef)) {
        my $id = json_encode([$m->{id}]) =~ s/^\[|\]$//gr;
        my ($head, @more) = split /<wait>/, $raw =~ s/<id>/$id/gr;
        $c->send_raw($head);
        my $flood = ($args->{flood} // '') =~ s/<pad>/'x' x 65536/er;
        my ($n, $stuck) = (0, 0);
        while ($flood && !$stuck && $n < 1024) {       # as much as fits in
            $stuck = !IO::Select->new($c->{sock})->can_write(0.5);
            spew($t->dir('stuck'), '') if $stuck;
            $c->send_raw($flood);
            $n++;
        }
        for (@more) { $c->fill(time + 0.3); $c->send_raw(s/<n>/$n/r) }
        return undef;
    }
    return Test::Stoa::MCP::answer($server, $q, $c);
}, name => 'up');

$t->apply(demo(mcp => { up => $port }));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/up/tools')->{json}{items} || [] }
} 20 or $t->give_up('tools were not discovered');
is($t->api('GET', '/v1/tenants/acme/apis/up')->{json}{discovery}{era},
   'modern', 'an upstream of the modern era alone');
$t->gateway(workers => 4, http => 'stoa_mcp_keepalive 3s;');
my $key = $t->key('acme', 'app');
$t->sync;

sub session { my ($caps, $version) = @_;
    my $r = $t->mcp('/mcp/acme', 'initialize', { protocolVersion => $version
        // '2025-11-25', capabilities => $caps || {}, clientInfo => {
        name => 'x', version => '1' } }, key => $key, era => 'legacy',
        session => undef);
    return $r->{headers}{'mcp-session-id'} }
sub head { join "\r\n", "HTTP/1.1 $_[0]", 'Connection: close', @_[1 .. $#_],
    '', '' }
my @sse = ('Content-Type: text/event-stream');
my @json = ('Content-Type: application/json');
sub call { my ($session, $name, $args, %o) = @_;
    return $t->mcp('/mcp/acme', 'tools/call', { name => "up__$name",
        arguments => $args || {}, %{ $o{params} || {} } }, key => $key,
        era => 'legacy', id => $o{id} // 'me"1', session => $session,
        timeout => 15) }
sub text { $_[0]{rpc}{result}{content}[0]{text} // "$_[0]{status} $_[0]{body}" }

my $session = session();
my $list = $t->mcp('/mcp/acme', 'tools/list', undef, key => $key,
    era => 'legacy', session => $session);
is(join(' ', sort map { $_->{name} } @{ $list->{rpc}{result}{tools} }),
   'up__echo up__need up__routed up__slow', 'V3: its tools are in the list');

# ---- a call

my $r = call($session, 'echo', { a => 1 }, params => { _meta => {
    progressToken => 'p', mine => [1] } });
is($r->{status}, 200, 'V3: a call');
is($r->{rpc}{id}, 'me"1', "... has the client's id");
my ($args, $meta) = @{ json_decode(text($r)) };
is_deeply($args, { a => 1 }, '... and his arguments');
is_deeply($meta, { progressToken => 'p', mine => [1],
    "$ns/protocolVersion" => '2026-07-28', "$ns/clientCapabilities" => {},
    "$ns/clientInfo" => { name => 'stoa-gateway', version => '0.2.0' } },
    '... and says what the era wants said');
{
    my $s = session();
    my $level = sub { my ($r) = @_;
        return json_decode(text($r))->[1]{"$ns/logLevel"} // 'none' };
    my $r = $t->mcp('/mcp/acme', 'logging/setLevel', { level => 'warning' },
        key => $key, era => 'legacy', session => $s);
    is_deeply($r->{rpc}{result}, {}, 'C4: logging/setLevel');
    is(join(' ', map { $level->(call($s, 'echo')) } 1 .. 4),
       join(' ', ('warning') x 4), '... is said with each call');
    is($level->(call($s, 'echo', {}, params => { _meta => {
        "$ns/logLevel" => 'debug' } })), 'warning', '... and nothing else');
    is($level->(call($session, 'echo')), 'none', '... of that session alone');
}
my ($q) = grep { $_->{body} =~ /tools\/call/ } $t->origin_log('up');
is(join('|', map { $_ // '' } @{ $q->{headers} }{qw(mcp-protocol-version
    mcp-method mcp-name mcp-session-id x-api-key)}),
   '2026-07-28|tools/call|echo||', '... in its headers, too');
{
    my $r = call($session, 'echo', {}, params => { _meta => {
        "$ns/clientCapabilities" => { sampling => {} }, "$ns/clientInfo" => {
        name => 'another' }, kept => 1 }, requestState => 'mine',
        inputResponses => { k => 1 }, also => 1 });
    my ($q) = grep { $_->{body} =~ /"also"/ } $t->origin_log('up');
    unlike($q->{body}, qr/sampling|another|mine|inputResponses/,
           'V3: what is said for a client he cannot say himself');
    like($q->{body}, qr/"kept":1/, '... all else he can');
}
for my $params ({}, { _meta => {} }, { arguments => {} }) {
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => 'up__echo',
        %$params }, key => $key, era => 'legacy', session => $session);
    is($r->{rpc}{result} ? 'ok' : $r->{body}, 'ok', 'V3: params as they come');
}
is(call($session, 'echo', {}, id => 7)->{rpc}{id}, 7, 'V3: a number as id');
is(call($session, 'nothing')->{rpc}{error}{code}, -32602, 'an unknown tool');

is(text(call($session, 'routed', { region => 'eu', size => 7 })),
   'eu|7|none', 'H3: arguments that are told in headers, too');
is(text(call($session, 'routed', { region => "\x{e4}\n" })),
   '=?base64?w6QK?=|none|none', '... in a form that fits there');

# ---- what it says

my $ok = '{"jsonrpc":"2.0","id":<id>,"result":{"resultType":"complete",'
    . '"content":[{"type":"text","text":"ok"}]}}';
my $note = '{"jsonrpc":"2.0","method":"notifications/progress","params":'
    . '{"progressToken":"p","progress":1}}';
sub rpc { return qq({"jsonrpc":"2.0","id":<id>,"error":{"code":$_[0],)
    . qq("message":"words"}}) }
sub said { my ($r) = @_;
    return "$r->{status} half" if $r->{body} =~ /\\ud83d"/;
    return "$r->{status} deep" if $r->{body} =~ /\[{99}/;
    my $e = ($r->{rpc} || {})->{error} or return "$r->{status} " . text($r);
    return "$r->{status} " . ($e->{data}{code} // $e->{code}) }
my %says = (
    'a result' => [head('200 OK', @json) . $ok, '200 ok'],
    'a result in events' => [head('200 OK', @sse) . "data: $ok\n\n",
        '200 ok'],
    'a stream that stays open' => [head('200 OK', @sse)
        . "data: $ok\n\n<wait>", '200 ok'],
    # what its client may make of it is his, as where it is forwarded
    'half a character' => [head('200 OK', @json) . $ok =~ s/ok/\\ud83d/r,
        '200 half'],
    'a name twice, in events' => [head('200 OK', @sse) . 'data: '
        . $ok =~ s/"result":\{/"result":{"a":1,"a":2,/r . "\n\n", '200 ok'],
    'deep ones' => [head('200 OK', @json) . $ok
        =~ s/"result":\{/'"result":{"a":' . '[' x 99 . ']' x 99 . ','/er,
        '200 deep'],
    'one that needs more, with a name twice' => [head('200 OK', @json) . $ok
        =~ s/complete/input_required/r =~ s/"content"/"x":1,"x":2,"content"/r,
        '200 upstream_invalid'],
    'half a character in an error' => [head('400 Bad', @json)
        . rpc(-32602) =~ s/words/\\ud83d/r, '200 half'],
    'S2: -32601 at 404' => [head('404 Not Found', @json) . rpc(-32601),
        '200 -32601'],
    '-32602 at 400' => [head('400 Bad', @json) . rpc(-32602), '200 -32602'],
    '-32603 at 500' => [head('500 No', @json) . rpc(-32603), '200 -32603'],
    '-32020' => [head('400 Bad', @json) . rpc(-32020),
        '200 upstream_invalid'],
    '-32021' => [head('400 Bad', @json) . rpc(-32021),
        '200 upstream_invalid'],
    '-32022' => [head('400 Bad', @json) . rpc(-32022),
        '200 upstream_invalid'],
    'a task' => [head('200 OK', @json) . $ok =~ s/complete/task/r,
        '200 upstream_invalid'],
    'nothing' => ["\r\n", '200 upstream_invalid'],
    'HTML' => [head('200 OK', 'Content-Type: text/html') . 'x',
        '200 upstream_invalid'],
    'a redirect' => [head('307 X', 'Location: http://evil/',
        'Content-Length: 0'), '200 upstream_redirect'],
    '401' => [head('401 X', 'WWW-Authenticate: Bearer', 'Content-Length: 0'),
        '200 upstream_credential'],
    '429' => [head('429 X', 'Retry-After: 3', 'Content-Length: 0'),
        '200 upstream_limited'],
    'half of it' => [head('200 OK', @sse) . "data: $note\n\n",
        '200 upstream_invalid'],
    "somebody else's" => [head('200 OK', @json) . $ok =~ s/<id>/"x"/r,
        '200 upstream_invalid'],
);
for my $what (sort keys %says) {
    my $r = call($session, 'echo', { raw => $says{$what}[0] });
    is(said($r), $says{$what}[1], "V3: $what") or diag($r->{body});
    unlike($r->{raw}, qr/evil|www-auth/i, '... and no more');
}
$r = call($session, 'echo', { raw => head('200 OK', @sse)
    . "data: $note\n\ndata: $ok\n\n" });
is(join(' ', map { $_->{method} // 'answer' } @{ $r->{events} }), 'notifications/progress answer', 'V3: progress');
spew($t->dir('hold'), '');
my $c = $t->connection;
sub send_call { my ($c, $session, $name, $args, $id) = @_;
    my $body = json_encode({ jsonrpc => '2.0', id => $id, method =>
        'tools/call', params => { name => "up__$name", arguments => $args } });
    $c->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
        . "Content-Type: application/json\r\nMcp-Session-Id: $session\r\n"
        . 'Accept: application/json, text/event-stream' . "\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
}
send_call($c, $session, 'slow', {}, 5);
$c->response(headers_only => 1, timeout => 10);
unlink $t->dir('hold');
like(($c->event(10) || {})->{data} // 'none', qr/"id":5.*slept/s,
     'T6: a slow one, behind comments');
$c->close;

# more than a client takes, who then reads on

$c = $t->connection;
setsockopt($c->{sock}, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(),
           pack('i', 65536));
send_call($c, $session, 'echo', { raw => head('200 OK', @sse)
    . '<wait>data: ' . ($ok =~ s/"ok"/"<n> ok"/r) . "\n\n", flood => 'data: '
    . ($note =~ s/"p"/"p","message":"<pad>"/r) . "\n\n" }, 6);
ok(wait_until(sub { -f $t->dir('stuck') }, 20),
   'an upstream waits for a client that does not read');
$c->response(headers_only => 1, timeout => 10);
my ($notes, $e) = (0);
while ($e = $c->event(10)) {
    last if $e->{data} !~ /"method"/;
    $notes++;
}
like(($e || {})->{data} // 'none', qr/"id":6,.*"$notes ok"/,
     '... who gets all of it, and the answer, when he does');
$c->close;

# ---- what it needs

my $form = { method => 'elicitation/create', params => { mode => 'form',
    message => 'who?', requestedSchema => { type => 'object',
    properties => { name => { type => 'string' } } } } };
my $sample = { method => 'sampling/createMessage', params => {
    messages => [], maxTokens => 1 } };
my $roots = { method => 'roots/list' };

# asks, and answers each request of the stream by what $say returns for it

sub talk {
    my ($session, $rounds, $say, %o) = @_;
    my $c = $t->connection;
    send_call($c, $session, 'need', { rounds => $rounds }, 'call');
    my $head = $c->response(headers_only => 1, timeout => 10);
    return $head if ($head->{headers}{'content-type'} // '') =~ /json/;
    my @asked;
    for (;;) {
        my $e = $c->event(10) or return { asked => \@asked };
        my $m = json_decode($e->{data}) or next;
        return { %$m, asked => \@asked } unless defined $m->{method};
        push @asked, $m;
        my $answer = $say->($m) or next;
        my $r = $t->http('POST', '/mcp/acme', key => $key, headers => {
            'Content-Type' => 'application/json', Accept =>
            'application/json, text/event-stream', 'Mcp-Session-Id' =>
            $o{as} // $session, 'MCP-Protocol-Version' => '2025-11-25' },
            body => json_encode({ jsonrpc => '2.0', id => $m->{id},
                                  %$answer }));
        push @{ $o{statuses} }, $r->{status} if $o{statuses};
    }
}
sub got { my ($r) = @_;
    return $r->{error} ? "error $r->{error}{code} "
        . ($r->{error}{data}{code} // '') : $r->{result}
        ? json_decode($r->{result}{content}[0]{text}) : 'nothing' }

my $all = session({ elicitation => {}, sampling => {}, roots => {} });
my %answers = (
    'elicitation/create' => { action => 'accept', content => { name => 'me' } },
    'sampling/createMessage' => { role => 'assistant', model => 'm',
        content => { type => 'text', text => 'hi' } },
    'roots/list' => { roots => [] },
);
my $say = sub { return { result => $answers{ $_[0]{method} } } };

for my $time (1 .. 4) {                         # at whichever worker
    my @statuses;
    $r = talk($all, [{ inputRequests => { k => $form } }], $say,
              statuses => \@statuses);
    is_deeply(got($r), { k => $answers{'elicitation/create'} },
       "T6: what it needs is asked of the client, $time") or diag(explain($r));
    is("@statuses", 202, '... whose answer is taken');
}
is($r->{id}, 'call', '... the answer has the id of the call');
is_deeply($r->{asked}[0]{params}, $form->{params}, '... the params are its');
$r = talk($all, [{ inputRequests => { a => $form, b => $sample, c => $roots } },
                 { inputRequests => { d => $form } }], $say);
is_deeply(got($r), { d => $answers{'elicitation/create'} },
          'T6: several, and in two rounds') or diag(explain($r));
is(scalar @{ $r->{asked} }, 4, '... each is asked once');
my ($last) = (grep { $_->{body} =~ /requestState/ } $t->origin_log('up'))[-1];
is(json_decode($last->{body})->{params}{requestState}, "\x{e9}:2:",
   '... its state comes back as it was');
is_deeply(json_decode($last->{body})->{params}{_meta}
    {"$ns/clientCapabilities"}, { elicitation => {}, sampling => {},
    roots => {} }, '... and it knows what the client can');
is_deeply(got(talk($all, [{}, {}, { inputRequests => { k => $roots } }], $say)),
    { k => { roots => [] } }, 'T6: one that only wants to be asked again');
is_deeply(got(talk($all, [{ inputRequests => { k => $form } }], sub {
    return { error => { code => -1, message => 'no' } } })),
    { k => { action => 'cancel' } }, 'T6: a refusal of a form');
is(got(talk($all, [{ inputRequests => { k => $sample } }], sub {
    return { error => { code => -7, message => 'no' } } })), 'error -7 ',
    'T6: a refusal of sampling ends the call');
is_deeply(talk(session({ elicitation => {} }, '2025-06-18'),
    [{ inputRequests => { k => $form } }], $say)->{asked}[0]{params}{mode},
    undef, 'T6: an older client sees no mode');
$r = call(session({ elicitation => {} }), 'need',
          { rounds => [{ inputRequests => { k => $sample } }] });
is(said($r), '200 upstream_invalid', 'T6: what was not declared is not asked');
is(got(talk($all, [ map { { inputRequests => { k => $roots } } } 1 .. 20 ],
    $say)), 'error 502 upstream_invalid', 'T6: not without end');

# of any length, at whichever worker: one datagram, and what takes a file

for my $len (60_000, 70_000, 500_000) {
    my $bad = 0;
    for (1 .. 4) {
        $r = talk($all, [{ inputRequests => { k => $sample } }], sub {
            return { result => { role => 'assistant', model => 'm', content =>
                { type => 'text', text => 'x' x $len } } } });
        $bad++ if ($r->{result}{content}[0]{text} // '')
            !~ /^\{.*"x{60000,}"/ || length $r->{result}{content}[0]{text}
            < $len;
    }
    is($bad, 0, "T6: answers of $len bytes reach the call");
}

# answers of others, twice, to nothing

{
    my @statuses;
    my $once = 0;
    $r = talk($all, [{ inputRequests => { k => $roots } }], sub {
        my ($m) = @_;
        for my $as (session(), 'junk') {
            my $r = $t->http('POST', '/mcp/acme', key => $key, headers => {
                'Content-Type' => 'application/json', 'Mcp-Session-Id' => $as },
                body => json_encode({ jsonrpc => '2.0', id => $m->{id},
                    result => { roots => ['theirs'] } }));
            push @statuses, $r->{status};
        }
        return $say->($m);
    });
    is_deeply(got($r), { k => { roots => [] } },
              "T6: another session's answer counts for nothing");
    is("@statuses", '400 404', '... and is refused');
    my $id = $r->{asked}[0]{id};
    my $late = $t->http('POST', '/mcp/acme', key => $key, headers => {
        'Content-Type' => 'application/json', 'Mcp-Session-Id' => $all },
        body => json_encode({ jsonrpc => '2.0', id => $id, result => {} }));
    is($late->{status}, 202, 'T6: one that comes late is taken, and lost');
}

# ---- C1: who leaves

my %leaving = (legacy => $t->connection, modern => $t->connection);
send_call($leaving{legacy}, $all, 'echo', { watch => 'legacy' }, 'c1');
$leaving{modern}->request('POST', '/mcp/acme', headers => ['X-API-Key' => $key,
    Accept => 'application/json, text/event-stream', 'Content-Type' =>
    'application/json', 'MCP-Protocol-Version' => '2026-07-28', 'Mcp-Method' =>
    'tools/call', 'Mcp-Name' => 'up__echo'], headers_only => 1, timeout => 10,
    body => json_encode({ jsonrpc => '2.0', id => 1, method => 'tools/call',
    params => { name => 'up__echo', arguments => { watch => 'modern' }, _meta
    => { "$ns/protocolVersion" => '2026-07-28', "$ns/clientCapabilities" => {},
    "$ns/logLevel" => 'info' } } }));
$leaving{legacy}->response(headers_only => 1, timeout => 10);
like(($leaving{$_}->event(10) || {})->{data} // '', qr/message/, "C1: a $_ "
     . 'client, called') for qw(legacy modern);
$leaving{$_}->close for qw(legacy modern);
ok((wait_until { -f $t->dir('watched-modern') } 10), 'C1: both have left');
is(slurp($t->dir('watched-modern')), 'cancelled',
   'C1: the modern one has cancelled his call by it');
is((wait_until { ($t->metrics->{stoa_in_flight} // 0) == 0 } 10), 1,
   '... and the legacy one is gone, too');
spew($t->dir('enough'), '');
ok((wait_until { -f $t->dir('watched-legacy') } 10)
   && slurp($t->dir('watched-legacy')) eq 'worked on',
   'C1: whose call was not: it went on');

# ---- cancelled, and left

for my $how (qw(cancelled left)) {
    my $flight = sub { $t->metrics->{stoa_in_flight} // 0 };
    my $c = $t->connection;
    send_call($c, $all, 'need', { rounds => [{ inputRequests => {
        k => $form } }] }, 'stop');
    $c->response(headers_only => 1, timeout => 10);
    like(($c->event(10) || {})->{data} // '', qr/elicitation/, "$how: asked");
    if ($how eq 'left') {
        $c->close;
    } else {
        $t->http('POST', '/mcp/acme', key => $key, headers => {
            'Content-Type' => 'application/json', 'Mcp-Session-Id' => $all },
            body => json_encode({ jsonrpc => '2.0', method =>
            'notifications/cancelled', params => { requestId => 'stop' } }));
        is($c->event(10), undef, '... nothing more is said');
        $c->close;
    }
    is((wait_until { $flight->() == 0 } 10), 1, '... and nothing is left');
}

# an argument that a header repeats cannot be masked

$t->apply(docs(doc('Policy', 'acme', 'guard', { type => 'guardrail', config => {
    action => 'mask' }, attach => [{ api => 'up' }] })));
$t->sync;
is(call($session, 'routed', { region => 'a@b.de' })->{rpc}{error}{data}{code},
   'guard_denied', 'what a header would say, too, is refused');
like(text(call($session, 'echo', { region => 'a@b.de' })), qr/"\*{6}"/,
     'what none says is masked');

$t->done;
