#!/usr/bin/perl

# Rows V2, C5, S6: a client of 2026-07-28 before upstreams that speak with
# sessions only: listed, called, answered as its era has it; sessions that are
# a caller's own, one call at a time, found again by all workers, and ended.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

my $book = $t->dir('book');
my $port = $t->origin(sub {
    my ($q, $c) = @_;
    my @type = ('Content-Type' => 'application/json');
    my $id = $q->{headers}{'mcp-session-id'} // '';
    my $note = sub {
        open my $fh, '>>', $book or die;
        syswrite $fh, join(' ', @_) . "\n";
        close $fh;
    };
    my $gone = sub { -f $t->dir('forgets')
                     && slurp($t->dir('forgets')) =~ /^\Q$id\E$/m };
    if ($q->{method} eq 'DELETE') { $note->(ended => $id); return [200] }
    my $m = json_decode($q->{body}) or return [405];
    my $answer = sub { json_encode({ jsonrpc => '2.0', id => $m->{id}, @_ }) };
    my $ok = sub { [200, [@type, @{ $_[1] || [] }], $answer->(result => $_[0])] };
    my $v = $q->{headers}{'mcp-protocol-version'} // '';

    return [400, [@type], $answer->(error => { code => -32601,
        message => 'no such method' })] if $m->{method} eq 'server/discover';
    if ($m->{method} eq 'initialize') {
        return [400] if $m->{params}{protocolVersion} =~ /^2026/;
        srand($$ * 1000 + length slurp($book));
        my $new = 's' . join '', map { int rand 10 } 1 .. 20;
        $note->(opened => $new, json_encode($m->{params}{capabilities}));
        return $ok->({ protocolVersion => $m->{params}{protocolVersion},
            capabilities => { tools => {} }, serverInfo => { name => 's',
            version => '1' } }, ['Mcp-Session-Id' => $new]);
    }
    return [404, [@type], '{"jsonrpc":"2.0","id":null,"error":'
            . '{"code":-32001,"message":"no session"}}']
        if $gone->() || slurp($book) !~ /^opened \Q$id\E /m;
    return [202] unless exists $m->{id};
    return $ok->({ tools => [ map { { name => $_, inputSchema => {
        type => 'object' } } } qw(who slow steps error odd) ] })
        if $m->{method} eq 'tools/list';
    return $ok->({}) if $m->{method} ne 'tools/call';
    my $name = $m->{params}{name};
    $note->(called => $id, $name, "v=$v",
            json_encode($m->{params}{_meta} // 'none'));
    if ($name eq 'slow') {
        my $end = time + 20;
        select undef, undef, undef, 0.02
            until -f $t->dir('go') || time > $end;
    }
    return [200, [@type], $answer->(error => { code => -32021,
        message => 'mine' })] if $name eq 'error';
    return [200, [@type], ' { "result" : { } , "id":'
            . json_encode($m->{id}) . ', "jsonrpc":"2.0"}'] if $name eq 'odd';
    if ($name eq 'steps') {
        my @events = (
            { jsonrpc => '2.0', method => 'notifications/progress', params =>
                { progressToken => $m->{params}{_meta}{progressToken},
                  progress => 1 } },
            { jsonrpc => '2.0', id => 'q1', method => 'sampling/createMessage',
                params => {} },
            { jsonrpc => '2.0', method => 'notifications/tools/list_changed' },
            json_decode($answer->(result => { content => [] })));
        return [200, ['Content-Type' => 'text/event-stream'], join '',
                map { 'data: ' . json_encode($_) . "\n\n" } @events];
    }
    return $ok->({ content => [ { type => 'text', text => $id } ] });
}, name => 'old');

$t->apply(demo(mcp => { old => $port })
    . document('Application', 'acme', 'other')
    . subscribe('acme', 'other', 'api', 'old', 'basic'));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/old/tools')->{json}{items} || [] }
} 20 or $t->give_up('tools were not discovered');
$t->gateway(workers => 4);
my ($key, $other) = map { $t->key('acme', $_) } qw(app other);
$t->sync;

sub ask { my ($method, $params, %o) = @_;
          return $t->mcp('/mcp/acme', $method, $params, key => $key,
                         era => 'modern', %o) }
sub call { my ($tool, %o) = @_;
           my $more = delete $o{params} || {};
           return ask('tools/call', { name => "old__$tool", arguments => {},
                                      %$more }, %o) }
sub who { my $r = call('who', @_);
          return $r->{rpc}{result}{content}[0]{text} // $r->{body} }
sub count { my ($re) = @_; return scalar(() = slurp($book) =~ /$re/mg) }


# what there is

my $r = ask('server/discover');
is($r->{status}, 200, 'V2: all upstreams are legacy: server/discover is 200');
is_deeply($r->{rpc}{result}{supportedVersions}, ['2026-07-28', '2025-11-25',
    '2025-06-18', '2025-03-26', '2024-11-05'], 'V2: with the versions of both eras');
$r = ask('tools/list');
is(join(' ', map { $_->{name} } @{ $r->{rpc}{result}{tools} }),
   'old__error old__odd old__slow old__steps old__who',
   'V2: its tools are listed');


# calls

my $base = count(qr/^opened/m);
my $first = who();
like($first, qr/^s\d{20}$/, 'C5: a call is answered');
is(join(' ', map { who() } 1 .. 8), join(' ', ($first) x 8),
   'S6: the next ones go on in its session, at all workers');
is(count(qr/^opened/m) - $base, 1, 'S6: one was opened');
like(slurp($book), qr/^opened $first \{\}$/m,
     'C5: and told of nothing that the gateway cannot carry');
like(slurp($book), qr/^called $first who v=2025-11-25 \{\}$/m,
     'C5: the version is the session\'s, and no _meta of the era');
$r = call('who');
is($r->{rpc}{result}{resultType}, 'complete', 'V2: the answer has its type');
is($r->{rpc}{result}{content}[0]{type}, 'text', 'and all that it had');
$r = call('odd');
is_deeply($r->{rpc}{result}, { resultType => 'complete' },
          'V2: an empty one, too');
$r = call('error');
is("$r->{status} $r->{rpc}{error}{code}", '200 -32603',
   'V2: a code that means something else in this era is another one');
is($r->{rpc}{error}{message}, 'mine', 'its words stay');
isnt(who(key => $other), $first, 'S6: another caller has another session');

$r = call('steps', params => { _meta => { progressToken => 'p' } });
is(join(' ', map { $_->{method} // 'answer' } @{ $r->{events} || [] }),
   'notifications/progress answer',
   'C5: progress and the answer come, nothing else') or diag $r->{body};
like(slurp($book), qr/ steps v=2025-11-25 \{"progressToken":"p"\}$/m,
     'C5: what is the client\'s own in _meta passes');
ok((wait_until { grep { $_->{body} =~ /"id":"q1"/
    && $_->{body} =~ /-32601/ } $t->origin_log('old') }),
   'C5: a request of the server is answered by an error');


# at once: a session is one call's

my @c = map {
    my $c = $t->connection;
    my $body = json_encode({ jsonrpc => '2.0', id => $_, method =>
        'tools/call', params => { name => 'old__slow', arguments => {},
        _meta => { 'io.modelcontextprotocol/protocolVersion' => '2026-07-28',
                   'io.modelcontextprotocol/clientCapabilities' => {} } } });
    $c->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
        . "Content-Type: application/json\r\nMcp-Method: tools/call\r\n"
        . "Accept: application/json, text/event-stream\r\n"
        . "Mcp-Name: old__slow\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        . "Content-Length: " . length($body)
        . "\r\nConnection: close\r\n\r\n$body");
    $c
} 1 .. 5;
ok((wait_until { count(qr/^called \w+ slow/m) == 5 }), 'five calls at once');
my %in = map { ($_ => 1) } slurp($book) =~ /^called (\w+) slow/mg;
is(scalar keys %in, 5, 'S6: each in a session of its own');
$c[0]->reset;
ok((wait_until { grep { $in{$_} } slurp($book) =~ /^ended (\w+)/mg }),
   'S6: one whose client has left is ended') or diag slurp($book);
spew($t->dir('go'), '');
for my $c (@c[1 .. 4]) {
    my ($all, $n) = ('');
    1 while $n = sysread $c->{sock}, $all, 4096, length $all;
    like($all, qr/"resultType":"complete"/, 'the others are answered');
    $c->close;
}
my $opened = count(qr/^opened/m);
who() for 1 .. 6;
is(count(qr/^opened/m), $opened, 'S6: and their sessions used again');


# what happens to upstream and gateway

$first = who();
spew($t->dir('forgets'), join('', map { "$_\n" }
    slurp($book) =~ /^opened (\w+)/mg));
$r = call('who');
is($r->{status}, 200, 'S5: an upstream that has forgotten: one slower call');
isnt($r->{rpc}{result}{content}[0]{text}, $first, 'in a new session');
$first = who();
$t->reload('gw');
is(who(), $first, 'S3: a reload keeps sessions');
$t->stop('gw');
$t->start_nginx('gw');
$t->sync;
is(who(), $first, 'S3: so does a restart');
$t->kill9('old');
$r = call('who');
is("$r->{status} $r->{rpc}{error}{data}{code}", '200 upstream_unreachable',
   'an upstream that is gone') or diag $r->{body};

$t->done;
