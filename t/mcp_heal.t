#!/usr/bin/perl

# Sessions that an upstream has forgotten, against calls that it has executed
# and failed: row by row what servers say, with an upstream that counts what
# it executes.  A call is executed once at most; a session that is gone costs
# nobody more than a slower call.  (Rows T4 and S4 of the checklist.)

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

# Sessions are lines of a book.  What is in "gone" is said to a session that is
# not there, what is in "own" by a tool that has been executed.

my ($book, $gone, $own, $pong) = map { $t->dir($_) }
    qw(book gone own pong);
my $json = ['Content-Type' => 'application/json'];
my $port = $t->origin(sub {
    my ($q, $c) = @_;
    my $m = json_decode($q->{body}) or return [405];
    my $sid = $q->{headers}{'mcp-session-id'};
    my $id = json_encode([$m->{id}]) =~ s/^\[|\]$//gr;
    my $known = -f $book ? slurp($book) : '';
    my $ok = sub { [200, [@$json, @{ $_[1] || [] }], json_encode({
        jsonrpc => '2.0', id => $m->{id}, result => $_[0] })] };
    my $say = sub { my $raw = $_[0] =~ s/<id>/$id/gr; $c->send_raw($raw)
        if $raw ne '<close>'; return undef };
    if ($m->{method} eq 'initialize') {
        my $new = "up-$$-" . length $known;
        spew($book, "$known$new\n");
        return $ok->({ protocolVersion => $m->{params}{protocolVersion},
            capabilities => { tools => {} }, serverInfo => { name => 's',
            version => '1' } },
            $m->{params}{clientInfo}{name} eq 'stoa-control'  # at the first
            ? [] : ['Mcp-Session-Id' => $new]);               # call, then
    }
    return $say->(slurp($gone)) if -f $gone
        && !grep { $_ eq ($sid // '') } split /\n/, $known;
    return [202] unless exists $m->{id};
    return -f $pong ? $say->(slurp($pong)) : $ok->({})
        if $m->{method} eq 'ping';
    return $ok->({ tools => [ { name => 'who', inputSchema => {
        type => 'object' } } ] }) if $m->{method} eq 'tools/list';
    open my $fh, '>>', $t->dir('executed');
    print $fh "x\n";
    close $fh;
    if (-f $own) {
        unlink $book if slurp($own) =~ /^<dies>/;
        return $say->(slurp($own) =~ s/^<dies>//r);
    }
    return $ok->({ content => [ { type => 'text', text => $sid } ] });
}, name => 'up');
sub executed { my $n = () = (-f $t->dir('executed')
    ? slurp($t->dir('executed')) : '') =~ /x/g; return $n }
sub asked { my ($what) = @_;
    return scalar grep { $_->{body} =~ /"\Q$what\E"/ } $t->origin_log('up') }

$t->apply(demo(mcp => { up => { port => $port,
    upstream => "  read_timeout_ms: 1000\n" } }));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/up/tools')->{json}{items} || [] }
} 20 or $t->give_up('tools were not discovered');
$t->gateway(workers => 1);
my $key = $t->key('acme', 'app');
$t->sync;

sub call { my ($session) = @_;
    return $t->mcp('/mcp/acme', 'tools/call', { name => 'up__who',
        arguments => {} }, key => $key, era => 'legacy', id => 5,
        session => $session) }
sub said { my ($r) = @_;
    my $e = $r->{rpc}{error} or return "$r->{status} "
        . ($r->{rpc}{result} ? 'ok' : $r->{body});
    return "$r->{status} " . ($e->{data}{code} // $e->{code}) }

sub raw { my ($status, $type, $body, @more) = @_;
    return join("\r\n", "HTTP/1.1 $status", "Content-Type: $type", @more,
        'Connection: close', '', '') . $body }
sub rpc { my ($code, $message, $id) = @_;
    return qq({"jsonrpc":"2.0","id":$id,"error":{"code":$code,)
        . qq("message":"$message"}}) }
my ($J, $T, $H, $E) = ('application/json', 'text/plain; charset=utf-8',
    'text/html', 'text/event-stream');

# what is said; what a client gets when that is the tool's own answer
# (undef: nothing else but a session's end), and whether the session is asked

my %rows = (
    '404, for nobody' => [raw('404 Not Found', $J,
        rpc(-32001, 'Session not found', 'null')), undef, 0],
    '404, as text' => [raw('404 Not Found', $T, "session not found\n"),
        undef, 0],
    '404, to the call' => [raw('404 Not Found', $J,
        rpc(-32600, 'Session has been terminated', '<id>')), undef, 0],
    '404 and no word of it' => [raw('404 Not Found', $H, '<html>no'),
        '502 upstream_invalid', 1],
    '404, another error for the call' => [raw('404 Not Found', $J,
        rpc(-32600, 'no such row', '<id>')), '-32600', 1],
    '404 without a body' => ["HTTP/1.1 404 Not Found\r\nContent-Length: 0"
        . "\r\n\r\n", '502 upstream_invalid', 1],
    '410' => [raw('410 Gone', $T, 'gone'), '502 upstream_invalid', 1],
    '400, for nobody' => [raw('400 Bad Request', $J,
        rpc(-32000, 'Bad Request: No valid session ID', 'null')),
        '502 upstream_invalid', 1],
    '400, to the call' => [raw('400 Bad Request', $J,
        rpc(-32600, 'Invalid request: no session', '<id>')), '-32600', 1],
    '400, as text' => [raw('400 Bad Request', $T, 'invalid session'),
        '502 upstream_invalid', 1],
    '401, as text' => [raw('401 Unauthorized', $T,
        'Unauthorized: Session not found'), '502 upstream_credential', 1],
    '401, as JSON' => [raw('401 Unauthorized', $J,
        rpc(-32001, 'session expired', 'null')), '502 upstream_credential', 1],
    '403' => [raw('403 Forbidden', $J, rpc(-32001, 'Invalid session', '<id>')),
        '502 upstream_credential', 1],
    '200, to the call' => [raw('200 OK', $J,
        rpc(-32600, 'Session not initialized', '<id>')), '-32600', 1],
    '200, for nobody' => [raw('200 OK', $J,
        rpc(-32001, 'unknown session', 'null')), '502 upstream_invalid', 1],
    '200, an event that is none' => [raw('200 OK', $E,
        qq(data: {"error":"Session not found"}\n\n)),
        '502 upstream_invalid', 1],
);

for my $what (sort keys %rows) {
    my ($raw, $mine, $asks) = @{ $rows{$what} };

    # gone

    my ($session) = $t->mcp_session('/mcp/acme', key => $key);
    is(said(call($session)), '200 ok', "$what: before");
    spew($gone, $raw);
    unlink $book;
    my ($n, $init, $ping) = (executed(), asked('initialize'), asked('ping'));
    is(said(call($session)), '200 ok', '... a session that is gone');
    is(executed() - $n, 1, '... the call is executed once');
    is(asked('initialize') - $init, 1, '... in a new one');
    is(asked('ping') - $ping, $asks, '... the old one is asked if need be');
    is(said(call($session)), '200 ok', '... which is kept');
    is(asked('initialize') - $init, 1, '... and used');
    unlink $gone;

    next unless defined $mine;

    # the tool's own answer

    spew($own, $raw);
    $mine = "200 $mine" unless $mine =~ / /;
    ($n, $init, $ping) = (executed(), asked('initialize'), asked('ping'));
    for my $time (1 .. 3) {
        my $r = call($session);
        is(said($r) =~ s/^200 upstream/502 upstream/r, $mine,
           "... the tool's own answer, $time");
        unlike($r->{raw}, qr/www-authenticate/i, '... and no more of it');
    }
    is(executed() - $n, 3, '... each is executed once');
    is(asked('initialize') - $init, 0, '... and no session opened');
    is(asked('ping') - $ping, $asks ? 3 : 0, '... the session is asked');
    unlink $own;
    is(said(call($session)), '200 ok', '... and calls go on');
}

# a ping that is refused, too, but does not speak of sessions, leaves it open:
# the call is not repeated

{
    my ($session) = $t->mcp_session('/mcp/acme', key => $key);
    call($session);
    spew($gone, raw('400 Bad Request', $J, rpc(-32600, 'Invalid', '<id>')));
    unlink $book;
    my $init = asked('initialize');
    is(said(call($session)), '200 -32600', 'an open question');
    is(asked('initialize') - $init, 0, '... is no session that is gone');
    unlink $gone;
}

# nor does what an upstream logs meanwhile, in whatever words

my $log = '{"jsonrpc":"2.0","method":"notifications/message","params":'
    . '{"level":"info","data":"session cache warm"}}';
for my $row ([$E, "data: $log\n\n"], [$J, $log]) {
    my ($session) = $t->mcp_session('/mcp/acme', key => $key);
    call($session);
    spew($own, raw('400 Bad Request', $J, rpc(-32600, 'no session', '<id>')));
    spew($pong, raw('200 OK', @$row));
    my ($n, $init) = (executed(), asked('initialize'));
    is(said(call($session)), '200 -32600', "a ping with a log: $row->[0]");
    is(executed() - $n, 1, '... the call is executed once');
    is(asked('initialize') - $init, 0, '... and no session opened');
    unlink $own, $pong;
}

# what is nobody's session's end

for my $row (['401 with a challenge', raw('401 Unauthorized', $T,
                 'no session', 'WWW-Authenticate: Bearer'),
                 'upstream_credential', 'no'],
             ['a redirect', raw('307 Moved', $T, 'session',
                 'Location: http://127.0.0.1:1/'), 'upstream_redirect', 'no'],
             ['status 421', raw('421 Misdirected', $T, 'session'),
                 'upstream_invalid', 'unknown'],
             ['status 429', raw('429 Slow', $J, rpc(-32001, 'session limit', '<id>'),
                 'Retry-After: 7'), 'upstream_limited', 'no'])
{
    my ($what, $raw, $code, $executed) = @$row;
    my ($session) = $t->mcp_session('/mcp/acme', key => $key);
    call($session);
    my ($n, $init, $ping) = (executed(), asked('initialize'), asked('ping'));
    spew($own, $raw);
    my $e = call($session)->{rpc}{error}{data};
    is("$e->{code} $e->{executed}", "$code $executed", $what);
    is(executed() - $n, 1, '... is executed once');
    is(asked('initialize') - $init, 0, '... opens nothing');
    is(asked('ping') - $ping, 0, '... asks nothing');
    unlink $own;
    is(said(call($session)), '200 ok', '... and calls go on');
    is(asked('ping') - $ping, 0, '... as they were');
}

# nobody knows: the call is not repeated, the session is asked before the next

for my $row (['status 500', raw('500 Oops', $H, '<html>'), 'upstream_invalid'],
             ['status 503', raw('503 Busy', $H, '<html>'), 'upstream_busy'],
             ['no answer', '<close>', 'upstream_invalid upstream_unreachable'],
             ['half an answer', "HTTP/1.1 200 OK\r\nContent-",
              'upstream_invalid upstream_unreachable'])
{
    for my $dies (0, 1) {
        my ($what, $raw, $code) = @$row;
        $what .= $dies ? ', the server dies' : ', the session lives';
        my ($session) = $t->mcp_session('/mcp/acme', key => $key);
        call($session);
        my ($n, $init, $ping) = (executed(), asked('initialize'),
                                 asked('ping'));
        spew($own, ($dies ? '<dies>' : '') . $raw);
        spew($gone, $rows{'404, for nobody'}[0]);
        my $e = call($session)->{rpc}{error}{data} || {};
        like($code, qr/\b$e->{code}\b/, $what);
        is($e->{executed}, 'unknown', '... and it is said');
        is(executed() - $n, 1, '... it is executed once');
        unlink $own;
        is(said(call($session)), '200 ok', '... the next call');
        is(executed() - $n, 2, '... is executed once, too');
        is(asked('ping') - $ping, 1, '... the session was asked before it');
        is(asked('initialize') - $init, $dies, '... and opened again if gone');
        is(said(call($session)), '200 ok', '... calls go on');
        is(asked('ping') - $ping, 1, '... as they were');
        unlink $gone;
    }
}

$t->done;
