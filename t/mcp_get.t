#!/usr/bin/perl

# Rows S4, S5, T2: the stream of a session, which merges those of its upstreams,
# and streams of calls that go on where they ended, at any worker and any
# gateway of the group.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use Test::Stoa::Demo;

use Time::HiRes qw(time);

my $t = Test::Stoa->new;
$t->control;

# A call's answer is the text of its argument; what a GET gets is in a file,
# which is looked at again when it grows.  <file> waits for one; <end> ends.

my $n = 0;
my $write = sub {
    my ($c, $raw) = @_;
    for my $part (split /(<[a-z]+>)/, $raw) {
        return 0 if $part eq '<end>';
        if ($part =~ /<(\w+)>/) { my $file = $t->dir($1);
            wait_until { -f $file } 20 }
        else { $c->send_raw($part) or return 0 }
    }
    return 1;
};
my $up = sub {
    my ($name, $q, $c) = @_;
    my $m = json_decode($q->{body} // '') || {};
    my $method = $m->{method} // '';
    my $raw = ($m->{params}{arguments} || {})->{raw};
    my $sse = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        . "Connection: close\r\n\r\n";
    if ($q->{method} eq 'GET') {
        my $last = $q->{headers}{'last-event-id'} // 'live';
        my $file = $t->dir("$name.$last");
        return [405] if -f $t->dir("$name.none");
        return [404] if $last ne 'live' && !-f $file;
        wait_until { !-f $t->dir("$name.late") } 20;
        $t->write_file("$name.begun", '') if !$c->fill(time + 0.1);
        $c->send_raw($sse);
        my ($at, $text) = (0);
        for (1 .. 2000) {
            if (-f $file && length($text = slurp($file)) > $at) {
                return undef unless $write->($c, substr $text, $at);
                $at = length $text;
            }
            $c->fill(time + 0.01);
            return undef if !$c->{sock}->connected;
        }
        return undef;
    }
    return [405] unless $q->{method} eq 'POST';
    return [202] unless $method =~ m{^(?:initialize|tools/)};
    my $r = Test::Stoa::MCP::answer({ name => 'up', era => 'legacy', tools =>
        { raw => sub { 'plain' } }, versions => \@Test::Stoa::MCP::LEGACY,
        sessions => 0 }, $q, $c);
    push @{ $r->[1] }, 'Mcp-Session-Id' => "$name-$$-" . $n++
        if $method eq 'initialize';
    return $r unless defined $raw;
    $c->send_raw($sse);
    my $id = json_encode([$m->{id}]) =~ s/^\[|\]$//gr;
    $write->($c, $raw =~ s/<id>/$id/gr);
    return undef;
};
my %port = map { my $name = $_;
    ($name => $t->origin(sub { $up->($name, @_) }, name => $name)) } qw(a b);
$t->apply(demo(mcp => \%port));
for my $api (keys %port) {
    wait_until { @{ $t->api('GET', "/v1/tenants/acme/apis/$api/tools")
        ->{json}{items} || [] } } 20 or $t->give_up("$api: not discovered");
}
my $key = $t->key('acme', 'app');
my $dir = $t->dir;
my $tls = $t->port('tls');
my ($bad) = $t->run_cmd([qw(openssl req -x509 -newkey rsa:2048 -nodes -days 2
    -subj /CN=localhost -keyout), "$dir/key.pem", '-out', "$dir/cert.pem"]);
$t->gateway(name => 'gw', workers => 4, http => 'stoa_mcp_keepalive 2s;',
    $bad ? () : (server => "listen 127.0.0.1:$tls ssl http2;
    ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem;"));
$t->gateway(name => 'gw2', workers => 2);
$t->sync($_) for qw(gw gw2);

sub session { my (%o) = @_;
    return $t->mcp('/mcp/acme', 'initialize', { protocolVersion =>
        $o{version} // '2025-11-25', capabilities => $o{caps}
        // { elicitation => {} }, clientInfo => { name => 'test',
        version => '1' } }, era => 'legacy', key => $key,
        gateway => 'gw')->{session} }
sub call { my ($session, $raw, %o) = @_;
    my $c = $t->connection(gateway => 'gw');
    $c->{head} = $c->request('POST', '/mcp/acme', headers => [
        'X-API-Key' => $key, 'Mcp-Session-Id' => $session,
        'Content-Type' => 'application/json'], headers_only => 1,
        body => json_encode({ jsonrpc => '2.0', id => $o{id} // 'c',
            method => 'tools/call', params => { name => ($o{api} // 'a')
            . '__raw', arguments => { raw => $raw } } }));
    return $c;
}
sub get { my ($session, %o) = @_;
    my $c = $t->connection(gateway => $o{gateway} // 'gw');
    $c->{head} = $c->request('GET', '/mcp/acme', headers => ['X-API-Key' =>
        $key, Accept => 'text/event-stream', defined $session
        ? ('Mcp-Session-Id' => $session) : (), defined $o{last}
        ? ('Last-Event-ID' => $o{last}) : (), %{ $o{headers} || {} }],
        headers_only => 1);
    $c->{first} = $c->event(5) if $c->{head}{status} == 200 && !$o{plain};
    return $c;
}
sub asked { my ($name) = @_;
    return grep { $_->{method} eq 'GET' } $t->origin_log($name) }
sub put { my ($file, $text) = @_;
    open my $fh, '>>', $t->dir($file) or die; print $fh $text }
sub data { my ($e) = @_; return $e ? $e->{data} : 'the end' }
sub msg { return '{"jsonrpc":"2.0","method":"notifications/message",'
    . '"params":{"n":' . $_[0] . '}}' }
my $ok = '{"jsonrpc":"2.0","id":"c","result":{}}';

# ---- T2: what a GET is

is(get(undef, headers => { 'MCP-Protocol-Version' => '2025-11-25' })->{head}
   {status}, 405, 'T2: GET without a session');
my $r = $t->http('GET', '/mcp/acme', headers => { Accept => '*/*' });
is($r->{status}, 401, '... without a key');
is(get('S0bad')->{head}{status}, 404, 'T2: GET of a session that is none');
my $s = session();
is(get($s, headers => { Accept => 'application/json' })->{head}{status}, 200,
   'T2: two of Accept are one list');
my $g = get($s);
is($g->{head}{status}, 200, 'S4: the stream of a session');
like($g->{head}{headers}{'content-type'}, qr/^text\/event-stream/, '... is one');
is($g->{head}{headers}{'x-accel-buffering'}, 'no', '... that nobody buffers');
like($g->{first}{id}, qr/^e0[\w-]+$/, '... with an id at once');
cmp_ok($g->{first}{retry}, '>=', 1000, '... and when to come again');
$g->fill(time + 8) until ($g->{in} =~ /:\n\n/ || !$g->{sock}->connected);
like($g->{in}, qr/:\n\n/, 'T7: comments in silence');

# ---- merge

$_->close for map { my $c = call($s, "data: $ok\n\n", api => $_); $c->chunk;
    $c } qw(a b);
ok((wait_until { asked('a') && asked('b') } 10),
   'S4: the streams of its upstreams are gotten');
my ($q) = asked('a');
like($q->{headers}{'mcp-session-id'}, qr/^a-/, '... in its session');
put('a.live', "id: a1\ndata: " . msg(1) . "\n\n");
is(data(my $e = $g->event(10)), msg(1), 'S4: what one says');
put('b.live', "id: b1\ndata: " . msg(2) . "\n\ndata: " . msg(3) . "\n\n");
is(data($e = $g->event(10)), msg(2), '... and another one');
isnt($e->{id}, $g->{first}{id}, '... each with an id');
is(data($e = $g->event(10)), msg(3), '... also what has none there');
my $both = $e->{id};
put('a.live', 'data: {"jsonrpc":"2.0","id":1,"method":"elicitation/create",'
    . "\"params\":{}}\n\n");
like(data($e = $g->event(10)), qr/"id":"r0[\w-]+"/,
     'S5: a request outside of calls');
my $id = json_decode($e->{data})->{id};
$r = $t->http('POST', '/mcp/acme', key => $key, gateway => 'gw2', body =>
    qq({"jsonrpc":"2.0","id":"$id","result":{"x":1}}), headers => {
    'Content-Type' => 'application/json', 'Mcp-Session-Id' => $s });
is($r->{status}, 202, '... is answered');
ok((wait_until { grep { ($_->{body} // '') eq
    '{"jsonrpc":"2.0","id":1,"result":{"x":1}}' } $t->origin_log('a') } 10),
   '... at its server');
put('a.live', "data: $ok\n\ndata: no\n\ndata: " . msg(4) . "\n\n");
is(data($g->event(10)), msg(4), 'an answer has no place there');

# ---- one stream a session

put($_, '') for qw(a.a1 a.a2 b.b1);
my $g2 = get($s, last => $both, gateway => 'gw');
is(data($g->event(10)), 'the end', 'S4: the newest stream of a session wins');
ok((wait_until { ((asked('a'))[-1]{headers}{'last-event-id'} // '') eq 'a1' } 10),
   'S4: it goes on where the first was, at each upstream');
is((asked('b'))[-1]{headers}{'last-event-id'}, 'b1', '... each at its own');
put('a.a1', "id: a2\ndata: " . msg(5) . "\n\n");
is(data($e = $g2->event(10)), msg(5), '... and gets what came since');
$g2->close;

my $g3 = get($s, last => $e->{id}, gateway => 'gw2');
ok((wait_until { ((asked('a'))[-1]{headers}{'last-event-id'} // '') eq 'a2' }
   10), 'S4: another gateway, too');
$g3->close;

# who has the stream may call: an upstream that asks there has it, too

ok((wait_until { my $s = session(); call($s, "data: $ok\n\n")->chunk;
    unlink $t->dir('a.begun'); my $g = get($s, plain => 1);
    $g->{head}{status} == 200 && -f $t->dir('a.begun') } 20),
   'S4: the stream begins when those of its upstreams have begun');
my $s1 = session();
call($s1, "data: $ok\n\n")->chunk;
put('a.late', '');
is(get($s1)->{head}{status}, 200, '... one that says nothing is not waited for');
unlink $t->dir('a.late');

# an upstream that has none, one that ends

my $s2 = session();
my $c2 = call($s2, "data: $ok\n\n");
$c2->chunk;
put('b.none', '');
$g = get($s2);
put('a.live', 'data: ' . msg(6) . "\n\n<end>");
my $before = asked('a');
ok((wait_until { asked('a') > $before } 10),
   'S4: an upstream whose stream ends is asked again');
unlink $t->dir('b.none');
$g->close;

# ---- streams of calls: row 14

my $s3 = session();
my $c = call($s3, "id: x1\nretry: 700\ndata:\n\ndata: " . msg(1)
    . "\n\n<end>");
my $first = $c->event(10);
like($first->{id}, qr/^e0/, 'row 14: an id where a call goes on');
is("$first->{retry} $first->{data}", '700 ', '... and when');
is(data($c->event(10)), msg(1), '... an event without one has none');
is(data($c->event(10)), 'the end', '... the stream ends as its upstream\'s');
is($c->{error}, '', '... properly');
put('a.x1', "id: x2\ndata: " . msg(2) . "\n\ndata: $ok\n\n");
$g = get($s3, last => $first->{id}, gateway => 'gw2', plain => 1);
is(data($e = $g->event(10)), msg(2), 'row 14: GET with it gets the rest');
is($e->{id} =~ /^e0/ ? 1 : 0, 1, '... with ids of ours');
is(data($g->event(10)), $ok, '... and the answer');
is(data($g->event(5)), 'the end', '... and ends');
is((grep { $_->{headers}{'last-event-id'} } asked('a'))[-1]{headers}
   {'mcp-session-id'}, (grep { ($_->{body} // '') =~ /x1/ }
   $t->origin_log('a'))[-1]{headers}{'mcp-session-id'},
   '... in the same session');

$c = call($s3, "id: gone\ndata:\n\n<end>", id => 77);
$first = $c->event(10);
$g = get($s3, last => $first->{id}, plain => 1);
$e = $g->event(10);
my $error = json_decode($e->{data});
is("$error->{id} $error->{error}{data}{code}", '77 call_lost',
   'row 14: one that cannot go on is told by the call\'s id');
is(data($g->event(5)), 'the end', '... at once');
my $last = get($s3, last => $e->{id})->{head};
is("$last->{status} $last->{headers}{allow}", '405 GET, POST, DELETE',
   'row 14: behind which nothing comes');

# polled twice

$c = call($s3, "id: p1\ndata:\n\n<end>");
$first = $c->event(10);
put('a.p1', "id: p2\nretry: 100\ndata:\n\n<end>");
put('a.p2', "data: $ok\n\n");
$g = get($s3, last => $first->{id}, plain => 1);
$e = $g->event(10);
isnt($e->{id}, $first->{id}, 'a stream that ends again has a new id');
is(data($g->event(5)), 'the end', '... and ends for its client');
is(data(get($s3, last => $e->{id}, plain => 1)->event(10)), $ok,
   '... who comes again');

# an older client does not: the gateway does it for him

my $elder = session(version => '2025-06-18');
put('a.r1', 'data: ' . msg(7) . "\n\nid: r2\nretry: 100\ndata:\n\n<end>");
put('a.r2', 'data: ' . msg(8) . "\n\ndata: $ok\n\n");
$c = call($elder, "id: r1\nretry: 100\ndata:\n\ndata: " . msg(6)
    . "\n\n<end>");
is(join(' ', map { data($c->event(10)) } 1 .. 5), join(' ', '', msg(6), msg(7),
   '', msg(8)), 'S4: an older client sees one stream');
is(data($c->event(10)), $ok, '... with its answer');
is(data($c->event(10)), 'the end', '... and its end');
is($c->{error}, '', '... properly');
put('a.r3', "data: $ok\n\n");
for my $path (1, 2) {
    my $m = $t->mcp('/mcp/acme', 'tools/call', { name => 'a__raw', arguments =>
        { raw => "id: r3\nretry: 100\ndata:\n\n<end>" } }, key => $key,
        gateway => 'gw', id => 'c');
    is(json_encode($m->{rpc}{error} // {}), '{}',
       "S4: a modern client gets its answer, $path") or diag($m->{body});
}
$c = call($elder, "id: r9\nretry: 60000\ndata:\n\n<end>");
$c->event(10);
$c->close;
ok((wait_until { !($t->metrics->{stoa_in_flight} // 0) } 10),
   'S4: who leaves meanwhile leaves nothing');

# where it cannot go on

my $old = session(version => '2025-06-18');
$c = call($old, "id: o1\ndata:\n\n<end>");
$first = $c->event(10);
$e = $c->event(10);
is(json_decode($e->{data})->{error}{data}{code}, 'upstream_invalid',
   'an older client is told of the end');
is(get($old, last => $e->{id})->{head}{status}, 405, '... for good');
put('a.o1', "retry: 100\ndata:\n\n<end>");
$g = get($old, last => $first->{id}, plain => 1);
ok((wait_until { 2 <= grep { ($_->{headers}{'last-event-id'} // '') eq 'o1' }
    asked('a') } 10), '... but if he asks, the gateway comes again for him');
$g->close;

# what is no id of this session

my $foreign = session();
for my $bad ($first->{id}, 'x', 'e0' . 'A' x 100, '7') {
    my $g = get($foreign, last => $bad);
    is("$g->{head}{status} $g->{first}{data}", '200 ', 'S4: an id of nobody is '
        . 'none');
    isnt($g->{first}{id}, '', '... a new one comes');
    $g->close;
}
is(get($foreign, last => 'e' x 3100)->{head}{status}, 400, '... 400 if long');

# ---- a subscription that is suspended

$t->sync($_) for qw(gw gw2);
my $cut = session();
$_->close for map { my $c = call($cut, "data: $ok\n\n", api => $_); $c->chunk;
    $c } qw(a b);
my %seen = map { ($_ => scalar asked($_)) } qw(a b);
$g = get($cut);
wait_until { asked('a') > $seen{a} && asked('b') > $seen{b} } 10
    or $t->give_up('no streams of the upstreams');
put('a.live', "id: a9\ndata: {\"jsonrpc\":\"2.0\",\"id\":9,\"method\":"
    . "\"elicitation/create\",\"params\":{}}\n\n");
while ($e = $g->event(10)) { last if $e->{data} =~ /elicitation/ &&
    ($id = json_decode($e->{data})->{id}) && $e->{id} }
my ($sub) = grep { ($_->{api} // '') eq 'a' } @{ $t->must(GET =>
    '/v1/tenants/acme/subscriptions?limit=100')->{items} };
$t->must(POST => "/v1/tenants/acme/subscriptions/$sub->{id}/suspend");
$t->sync($_) for qw(gw gw2);
my $answers = () = grep { ($_->{body} // '') =~ /"id":9,/ }
    $t->origin_log('a');
$r = $t->http('POST', '/mcp/acme', key => $key, gateway => 'gw2', body =>
    qq({"jsonrpc":"2.0","id":"$id","result":{"x":1}}), headers => {
    'Content-Type' => 'application/json', 'Mcp-Session-Id' => $cut });
is("$r->{status} $r->{json}{error}{data}{code}", '400 mcp_unknown_request',
   'an answer to an api that is cut off is refused');
is(scalar(() = grep { ($_->{body} // '') =~ /"id":9,/ } $t->origin_log('a')),
   $answers, '... and is not sent');

# it is looked at every two seconds: what a says then comes no more, b's does

my ($i, $quiet) = (100, 0);
ok((wait_until { $i++; put('a.live', 'data: ' . msg($i) . "\n\n");
    put('b.live', 'data: ' . msg(1000 + $i) . "\n\n");
    my $a = 0;
    while (my $e = $g->event(3)) { my $n = json_decode($e->{data})->{params}{n}
        // next; $a = 1 if $n == $i; last if $n == 1000 + $i }
    ($quiet = $a ? 0 : $quiet + 1) == 3 } 15), 'its events come no more, those of others do');
%seen = map { ($_ => scalar asked($_)) } qw(a b);
put($_, '') for qw(a.a9 b.live);
$g->close;
$g = get($cut, last => $e->{id});
ok((wait_until { asked('b') > $seen{b} } 10), '... a resume asks the others');
is(scalar(asked('a')), $seen{a}, '... not this one');
$g->close;
$t->must(POST => "/v1/tenants/acme/subscriptions/$sub->{id}/resume");
$t->sync($_) for qw(gw gw2);

# one of 2024-11-05

my $pair = $t->connection(gateway => 'gw');
$pair->request('GET', '/mcp/acme', headers_only => 1, headers => ['X-API-Key' =>
    $key, Accept => 'text/event-stream']);
my $url = $pair->event(10)->{data};
my $say = sub { $t->http('POST', $url, key => $key, headers => { 'Content-Type'
    => 'application/json' }, body => json_encode({ jsonrpc => '2.0', @_ }));
    return data($pair->event(10)) };
$say->(id => 'i', method => 'initialize', params => { protocolVersion =>
    '2025-11-25', capabilities => {}, clientInfo => { name => 'p', version =>
    '1' } });
is($say->(id => 'c', method => 'tools/call', params => { name => 'a__raw',
    arguments => { raw => "id: r3\nretry: 100\ndata:\n\n<end>" } }), $ok,
   'S4: a client of 2024-11-05 gets its answer');
$pair->close;

# ---- over HTTP/2: streams of two sessions in one connection

SKIP: {
    my $curl = grep { -x "$_/curl" } split /:/, $ENV{PATH};
    skip 'no curl, or no certificate', 7 if !$curl || $bad;
    my @s = map { session() } 1, 2;
    for (@s) { my $c = call($_, "data: $ok\n\n", api => 'b'); $c->chunk; $c->close }
    my $url = "https://127.0.0.1:$tls/mcp/acme";
    my @one = map { ('-sk', '-N', '--http2', '-H', "X-API-Key: $key", '-H',
        "Mcp-Session-Id: $s[$_]", '-H', 'Accept: text/event-stream', '-w',
        '%{http_version}', '-o', $t->dir("h2.$_"), $url) } 0, 1;
    $t->start('curl', argv => ['curl', '-Z', @one[0 .. $#one / 2], '--next',
        @one[@one / 2 .. $#one]], foreign => 1, exit => [0 .. 255]);
    my $got = sub { my ($n, $want) = @_;
        return wait_until { (-f $t->dir("h2.$n") ? slurp($t->dir("h2.$n")) : '')
            =~ $want } 15 };
    ok($got->($_, qr/^id: e0/m), "T2: a stream over HTTP/2, $_") for 0, 1;
    put('b.live', 'data: ' . msg(80) . "\n\n");
    ok($got->($_, qr/"n":80/), "... with what its upstream says, $_") for 0, 1;
    ok($got->(0, qr/^:$/m), '... and comments');
    put('b.live', 'data: ' . msg(81) . "\n\n<end>");
    ok($got->(1, qr/"n":81/), '... when the upstream\'s ends, too');
    $t->stop('curl');
    ok((wait_until { ($t->metrics->{stoa_in_flight} // 0) == 0 } 15),
       '... nothing is left of them when their client is gone');
}

# ---- ends

sub ends { my ($g) = @_;
    return wait_until { my $more = $g->fill(time + 0.2);
                        defined $more && !$more } 10 }

$g = get($foreign);
$t->reload('gw');
my $at = time;
ok(ends($g), 'S4: a reload ends streams');
cmp_ok(time - $at, '<', 5, '... soon');
$t->sync('gw');
$g = get($foreign, last => $g->{first}{id});
is($g->{head}{status}, 200, '... which go on at the new workers');
$t->must(POST => '/v1/tenants/acme/applications/app/suspend');
ok(ends($g), 'S4: who may no longer has none');

$t->done;
