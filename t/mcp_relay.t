#!/usr/bin/perl

# Rows S5, S6, C1, C2: what a legacy server asks its client, what he answers, at
# any worker and any gateway of the group, and what he cancels.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

# A tool whose call is answered by the text of its argument, and, once the
# upstream got an answer or <go> is there, by a result.

my $n = 0;
my $up = sub {
    my ($name, $q, $c) = @_;
    my $m = json_decode($q->{body}) || {};
    my $method = $m->{method} // '';
    my $raw = ($m->{params}{arguments} || {})->{raw};
    return [405] unless $q->{method} eq 'POST';
    wait_until { -f $t->dir('loud') } 20
        if $method =~ /list_changed/ && -f $t->dir('silent');
    return [202] unless $method =~ m{^(?:initialize|tools/)};
    my $r = Test::Stoa::MCP::answer({ name => 'up', era => 'legacy', tools =>
        { raw => sub { 'plain' } }, versions => \@Test::Stoa::MCP::LEGACY,
        sessions => 0 }, $q, $c);
    push @{ $r->[1] }, 'Mcp-Session-Id' => "$name-$$-" . $n++
        if $method eq 'initialize';
    return $r unless defined $raw;
    $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        . "Connection: close\r\n\r\n");
    for my $part (split /(<[a-z]+>)/, $raw) {
        if ($part =~ /<(\w+)>/) { my $file = $t->dir($1);
            wait_until { -f $file } 20 }
        else { $c->send_raw($part) }
    }
    $c->send_raw('data: ' . json_encode({ jsonrpc => '2.0', id => $m->{id},
        result => { content => [] } }) . "\n\n");
    return undef;
};
my %port = map { my $name = $_;
    ($name => $t->origin(sub { $up->($name, @_) }, name => $name)) } qw(a b);
$t->apply(demo(mcp => \%port)
    . document('Application', 'acme', 'other')
    . subscribe('acme', 'other', 'api', 'a', 'basic'));
$t->apply(document('Application', 'acme', 'many') . join '', map {
    document('Api', 'acme', sprintf('m%03d', $_), "kind: mcp\n"
        . "state: published\nupstream:\n  targets:\n"
        . "    - url: http://127.0.0.1:$port{b}/mcp\n")
    . subscribe('acme', 'many', 'api', sprintf('m%03d', $_), 'basic') } 1 .. 40);
for my $api (keys %port, 'm001', 'm040') {
    wait_until { @{ $t->api('GET', "/v1/tenants/acme/apis/$api/tools")
        ->{json}{items} || [] } } 40 or $t->give_up("$api: not discovered");
}
my ($key, $other) = map { $t->key('acme', $_) } qw(app other);
$t->gateway(name => 'gw', workers => 4);
$t->gateway(name => 'gw2', workers => 2);
$t->sync($_) for qw(gw gw2);

my $caps = { elicitation => {}, sampling => {}, tasks => { list => {} },
             experimental => { x => { y => 1 } } };
sub session { my (%o) = @_;
    my $r = $t->mcp('/mcp/acme', 'initialize', { protocolVersion =>
        '2025-11-25', capabilities => $o{caps} // $caps, clientInfo => {
        name => 'test', version => '1' } }, era => 'legacy',
        key => $o{key} // $key, gateway => 'gw');
    return $r->{session};
}
sub say_to { my ($session, $body, %o) = @_;
    return $t->http('POST', '/mcp/acme', key => $o{key} // $key,
        gateway => $o{gateway} // 'gw', body => $body, headers => {
            'Content-Type' => 'application/json', 'Mcp-Session-Id' => $session,
            'MCP-Protocol-Version' => $o{version} // '2025-11-25' });
}
sub call { my ($session, $raw, %o) = @_;
    my $c = $t->connection(gateway => 'gw');
    my $body = json_encode({ jsonrpc => '2.0', id => $o{id} // 'c', method =>
        'tools/call', params => { name => ($o{api} // 'a') . '__raw',
        arguments => { raw => $raw } } });
    $c->{head} = $c->request('POST', '/mcp/acme', headers => [
        'X-API-Key' => $o{key} // $key, 'Mcp-Session-Id' => $session,
        'Content-Type' => 'application/json'], body => $body,
        headers_only => 1, timeout => 20);
    return $c;
}
sub got { my ($name, $want) = @_;
    return grep { $_->{body} =~ $want } $t->origin_log($name) }
sub ask { my ($id, $more, $method) = @_;
    return 'data: {"jsonrpc":"2.0","id":' . $id . ',"method":"'
        . ($method // 'elicitation/create') . '","params":{"message":"m\u00e9"'
        . ($more // '') . "}}\n\n" }
sub go { my ($name) = @_; spew($t->dir($name), '') }

# ---- a request and its answer

my $s = session();
my $c = call($s, ask(7) . '<one>');
my $e = $c->event(10);
like($e->{data}, qr/^\{"jsonrpc":"2\.0","id":"r0[\w-]+","method":"elicitation\/create","params":\{"message":"m\\u00e9"\}\}$/,
     'S5: the request of a server, with an id of ours, else as it came');
my $id = json_decode($e->{data})->{id};
my ($init) = map { json_decode($_->{body})->{params}{capabilities} }
    (got('a', qr/"initialize"/))[-1];
is_deeply($init, { map { ($_ => $caps->{$_}) } qw(elicitation sampling
    experimental) }, 'S5: the server knows what the client can, but for what '
    . 'is not carried');
my $r = say_to($s, qq({"jsonrpc":"2.0","id":"$id","result":{"action":"cancel"}}),
             gateway => 'gw2');
is("$r->{status} $r->{body}", '202 ', 'S5: the answer, at another gateway');
my $said = '{"jsonrpc":"2.0","id":7,"result":{"action":"cancel"}}';
ok((wait_until { got('a', qr/^\Q$said\E$/) } 10), '... is at the server, with '
   . 'its own id, else as it came');
my ($q) = got('a', qr/^\Q$said\E$/);
my ($tc) = got('a', qr/"tools\/call"/);
is($q->{headers}{'mcp-session-id'}, $tc->{headers}{'mcp-session-id'},
   '... in its session');
is($q->{headers}{'mcp-protocol-version'}, '2025-11-25', '... and version');
go('one');
is(json_decode($c->event(10)->{data})->{id}, 'c', '... and the call ends');
$c->close;

# all workers, ids of all kinds

my %kind = ('0' => 0, '-3' => -3, '"7"' => '7', '"\u00e9\""' => "\x{e9}\"",
            '9007199254740993' => '9007199254740993', '""' => '');
for my $text (sort keys %kind) {
    my $c = call($s, ask($text) . '<two>');
    my $id = json_decode($c->event(10)->{data})->{id};
    my @status = map { say_to($s, qq({"id":"$id","jsonrpc":"2.0","result":{"n":)
        . $_ . '}}', gateway => $_ % 2 ? 'gw' : 'gw2')->{status} } 1 .. 6;
    is("@status", '202 ' x 5 . '202', "S5: id $text, answered at any worker");
    ok((wait_until { 6 == got('a',
        qr/^\{"id":\Q$text\E,"jsonrpc":"2.0","result":\{"n":\d\}\}$/) } 10),
       '... each is sent on');
    $c->close;
}

# its progress, its end

$c = call($s, ask(8, ',"_meta":{"a":1,"progressToken":"t"}')
    . 'data: {"jsonrpc":"2.0","method":"notifications/cancelled","params":'
    . "{\"requestId\":8,\"reason\":\"x\"}}\n\n<three>");
my $asked = json_decode($c->event(10)->{data});
my $token = $asked->{params}{_meta}{progressToken};
like($token, qr/^p0[\w-]+$/, 'S5: its progress token is ours, too');
is_deeply(json_decode($c->event(10)->{data})->{params},
    { requestId => $asked->{id}, reason => 'x' },
    'S5: a server that cancels its request names it as we did');
$r = say_to($s, '{"jsonrpc":"2.0","method":"notifications/progress","params":'
    . qq({"progressToken":"$token","progress":1}}));
is($r->{status}, 202, 'S5: progress of the client');
ok((wait_until { got('a', qr/"progressToken":"t","progress":1/) } 10),
   '... is at the server');
$r = say_to($s, '{"jsonrpc":"2.0","method":"notifications/progress","params":'
    . '{"progressToken":"t","progress":2}}');
is($r->{status}, 202, '... with a token of nobody it is nobody\'s');
go('three');
$c->close;

# what the gateway answers itself

my $note = 'data: {"jsonrpc":"2.0","method":"notifications/message",'
    . "\"params\":{}}\n\n";
$c = call($s, $note . ask(1, '', 'ping') . ask('"x"', '', 'roots/list')
    . ask('"y"', '', 'foo/bar') . ask('"' . 'z' x 1100 . '"'));
$c->event(10);
is(json_decode($c->event(10)->{data})->{id}, 'c', 'what is not for the client '
   . 'does not reach him');
ok((wait_until { got('a', qr/^\{"jsonrpc":"2.0","id":1,"result":\{\}\}$/) } 10),
   '... a ping is answered');
ok((wait_until { got('a', qr/^\{"jsonrpc":"2.0","id":"$_","error":\{"code":-32601/)
    } 10), "... what he did not declare, too") for qw(x y);
ok((wait_until { got('a', qr/"z{1100}","error":\{"code":-32600/) } 10),
   '... and an id that is too long');
is(scalar(got('a', qr/"progress":2/)), 0, '... nobody\'s progress was sent');
$c->close;

# ---- what is no answer

my $mine = session();
my $foreign = session(key => $other);
my $ok = qq({"jsonrpc":"2.0","id":"$id","result":{}});
my $before = () = got('a', qr/"result":\{\}/);
my %bad = ('another session' => [$mine, $ok], 'another principal' =>
    [$foreign, $ok, key => $other], 'changed' => [$s, $ok =~ s/r0(.)/"r0" . ($1
    eq 'A' ? 'B' : 'A')/er], 'cut' => [$s, $ok =~ s/.{5}","result/","result/r],
    'another key' => [$s, $ok =~ s/"r0/"r1/r], 'a number' => [$s,
    '{"jsonrpc":"2.0","id":7,"result":{}}'], 'a token' => [$s,
    qq({"jsonrpc":"2.0","id":"$token","result":{}})], 'the session id' => [$s,
    qq({"jsonrpc":"2.0","id":"$s","result":{}})], 'nothing' => [$s,
    '{"jsonrpc":"2.0","id":"","result":{}}']);
for my $what (sort keys %bad) {
    my ($session, $body, %o) = @{ $bad{$what} };
    my $r = say_to($session, $body, %o);
    is("$r->{status} " . ($r->{json}{error}{code} // ''), '400 -32600',
       "row 3: $what");
}
is(scalar(() = got('a', qr/"result":\{\}/)), $before, '... reached nobody');
my @status = map { say_to($mine, $ok)->{status} } 1 .. 450;
is($status[-1], 429, 'S5: a flood of them ends');
is(say_to($mine, '{"jsonrpc":"2.0","id":1,"method":"ping"}')->{status}, 200,
   '... the session does not');

# ---- S6: two clients with equal ids

my @two = map { session() } 1, 2;
my @c = map { call($_, ask(5) . '<six>', id => 1) } @two;
my @id = map { json_decode($_->event(10)->{data})->{id} } @c;
isnt($id[0], $id[1], 'S6: one id of two servers, or sessions, is two');
is(say_to($two[1], qq({"jsonrpc":"2.0","id":"$id[0]","result":{}}))->{status},
   400, '... and neither answers the other');
go('six');
for (@c) { is(json_decode($_->event(10)->{data})->{id}, 1, 'S6: each gets the '
              . 'answer to its call'); $_->close }

# ---- C2: cancellation

$c = call($s, "$note<seven>", id => 42);
$c->event(10);
my $b = call($s, $note, api => 'b', id => 43);
$b->event(10); $b->close;
my $cancel = '{"jsonrpc":"2.0", "method":"notifications/cancelled","params":'
    . '{"requestId":42,"reason":"no"}}';
my %of = (a => 42, b => 43);
for my $name (qw(a b)) {
    (my $cancel = $cancel) =~ s/42/$of{$name}/;
    is(say_to($s, $cancel)->{status}, 202, "C2: a cancellation at $name");
    ok((wait_until { got($name, qr/^\Q$cancel\E$/) } 10),
       'C2: ... is at its server, as it came');
    my %of = map { ($_->{headers}{'mcp-session-id'} => 1) }
        got($name, qr/^\Q$cancel\E$/);
    is(scalar keys %of, 1, '... in this session alone');
}
(my $unknown = $cancel) =~ s/42/"nobody's"/;
is(say_to($s, $unknown)->{status}, 202, 'C2: of a call that is not known');
for my $name (qw(a b)) {
    ok((wait_until { got($name, qr/^\Q$unknown\E$/) } 10),
       "... each server is told, $name");
    is(scalar(() = got($name, qr/"notifications\/cancelled".*:$_,/)), 0,
       '... and of no other\'s') for grep { $_ ne $of{$name} } values %of;
}
is(say_to($s, '{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}')
    ->{status}, 202, 'changed roots');
ok((wait_until { got('b', qr/roots\/list_changed/) } 10), '... too');
go('seven');
is(json_decode($c->event(10)->{data})->{id}, 42, '... who goes on is answered');
$c->close;

# ---- C1: who leaves without a word

my $seen = () = got('a', qr/cancelled/);
$c = call($s, "$note<ten>", id => 'left');
$c->event(10); $c->close;
my $m = $t->connection(gateway => 'gw');
my $ns = 'io.modelcontextprotocol';
$m->{out} = $m->request('POST', '/mcp/acme', headers_only => 1, timeout => 10,
    headers => ['X-API-Key' => $key, 'Content-Type' => 'application/json',
    Accept => 'application/json, text/event-stream', 'MCP-Protocol-Version' =>
    '2026-07-28', 'Mcp-Method' => 'tools/call', 'Mcp-Name' => 'a__raw'],
    body => json_encode({ jsonrpc => '2.0', id => 1, method => 'tools/call',
    params => { name => 'a__raw', arguments => { raw => 'data: {"jsonrpc":"2.0"'
    . ',"method":"notifications/progress","params":{}}' . "\n\n<ten>" }, _meta
    => { "$ns/protocolVersion" => '2026-07-28', "$ns/clientCapabilities" => {}
    } } }));
my ($of) = map { $_->{headers}{'mcp-session-id'} }
    grep { $_->{body} =~ /progress.*<ten>/ } $t->origin_log('a');
$m->close;
ok((wait_until { grep { $_->{method} eq 'DELETE' && $of eq
    ($_->{headers}{'mcp-session-id'} // '') } $t->origin_log('a') } 10),
   'C1: a modern client who leaves ends what was begun for him');
is(scalar(() = got('a', qr/cancelled/)), $seen,
   '... a legacy one says nothing by it');
my ($lasting) = map { $_->{headers}{'mcp-session-id'} } got('a', qr/"left"/);
is(scalar(grep { $_->{method} eq 'DELETE' && $lasting eq
    ($_->{headers}{'mcp-session-id'} // '') } $t->origin_log('a')), 0,
   '... his session stays');
go('ten');

# ---- more apis than were once looked at: the last one's session is reached

my $many = $t->key('acme', 'many');
$t->sync('gw');
my $wide = session(key => $many);
for my $api (qw(m001 m040)) {
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => "${api}__raw",
        arguments => {} }, era => 'legacy', key => $many, session => $wide,
        gateway => 'gw');
    ok($r->{rpc}{result}, "a call of $api") or diag($r->{body});
}
my $told = sub { scalar grep { $_->{body} =~ m{roots/list_changed} }
                 $t->origin_log('b') };
my $had = $told->();
say_to($wide, '{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}',
       key => $many);
ok((wait_until { $told->() == $had + 2 } 10),
   'C2: each of forty apis is told that has a session open');
is($t->metrics->{stoa_mcp_left_out_total}, 0, '... and none was left out');

# ---- one client's messages to a server that is silent

my @pair = map { my $s = session(key => $_);
    my $c = call($s, ask(8) . '<nine>', key => $_);
    [$s, json_decode($c->event(10)->{data})->{id}, $c, $_] } $key, $other;
go('silent');
$t->gateway(name => 'gw1', workers => 1);
$t->sync('gw1');
sub at_one { my ($who, $body) = @_;
    return say_to($who->[0], $body, key => $who->[3], gateway => 'gw1') }
@status = map { at_one($pair[0], '{"jsonrpc":"2.0","method":'
    . '"notifications/roots/list_changed"}')->{status} } 1 .. 140;
is((grep { $_ != 202 } @status) || 0, 0, 'notifications are accepted');
my @answer = map { at_one($_, qq({"jsonrpc":"2.0","id":"$_->[1]","result":)
    . '{"late":1}}') } @pair;
is(join(' ', map { $_->{status} } @answer), '503 202', 'an answer of who has '
   . 'too many under way is refused, another client\'s is not');
like($answer[0]{headers}{'retry-after'}, qr/^\d+$/, '... until later');
ok((wait_until { 1 == (() = got('a', qr/"late":1/)) } 10),
   '... which is at its server');
go('loud');
ok((wait_until { at_one($pair[0], qq({"jsonrpc":"2.0","id":"$pair[0][1]",)
    . '"result":{"late":1}}')->{status} == 202 } 10), '... when they are over');
go('nine');
$_->[2]->event(10), $_->[2]->close for @pair;

# a server that is gone

$c = call($s, ask(77) . '<eight>', api => 'b');
$id = json_decode($c->event(10)->{data})->{id};
$t->kill9('b');
is(say_to($s, qq({"jsonrpc":"2.0","id":"$id","result":{}}))->{status}, 202,
   'S5: an answer to who is gone is accepted');
ok((wait_until { $t->metrics->{stoa_mcp_answers_lost_total} } 10),
   '... and counted');
is(json_decode($c->event(10)->{data})->{error}{data}{code},
   'upstream_invalid', '... the call says what became of it');
$c->close;

$t->done;
