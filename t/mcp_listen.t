#!/usr/bin/perl

# Rows C3, C4: what a client is told of lists that have changed: each kind
# once, when the list that he gets is another one, in both eras, and to nobody
# who sees the same as before.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use Test::Stoa::Demo;

use Time::HiRes qw(time);

my $t = Test::Stoa->new;
$t->control;
my $NS = 'io.modelcontextprotocol';
my $port = $t->mcp_origin(name => 'm', list => { 'tools/list' => sub { {
    tools => [ map { { name => $_, inputSchema => { type => 'object' } } }
        qw(noisy one two), -f $t->dir('third') ? 'three' : () ] } } }, tools => {
    (map { ($_ => sub { 'ok' }) } qw(one two)),
    noisy => sub { return { sse => [ { jsonrpc => '2.0', method =>
        'notifications/tools/list_changed' } ], result => {} } } });
# one with resources: it tells of some, and which are new a file says; `full`:
# it takes no listen; `none`: nor honours any; `flood`: it tells until that is
# not read for a second, or is too much

sub flood { my ($c, $uri) = @_;
    my ($n, $k) = 0;
    my $w = IO::Select->new($c->{sock});
    my $all = ('data: ' . json_encode({ jsonrpc => '2.0', method =>
        'notifications/resources/updated', params => { uri => $uri } })
        . "\n\n") x 200;
    $c->{sock}->blocking(0);
    while ($n < 48 << 20 && $w->can_write(1)) {
        $k = syswrite $c->{sock}, $all;
        last unless defined $k || $!{EAGAIN};
        $n += $k // 0;
    }
    spew($t->dir('flood.' . substr $uri, -1), $n);
    return undef;
}
my $res = { name => 'r', era => 'modern', versions => ['2026-07-28'], tools =>
    { nop => sub { 'ok' } }, capabilities => { resources => { subscribe =>
    JSON::PP::true() } }, resources => { map { $_ => sub { 'text' } }
    qw(x://a x://b x://deaf) } };
my $res_up = sub {
    my ($q, $c) = @_;
    my $m = json_decode($q->{body}) || {};
    return Test::Stoa::MCP::answer($res, $q, $c)
        if ($m->{method} // '') ne 'subscriptions/listen';
    if (-f $t->dir('full')) { spew($t->dir('was.full'), ''); return [429] }
    my $uris = $m->{params}{notifications}{resourceSubscriptions};
    my $say = sub { $c->send_raw('data: ' . json_encode({ jsonrpc => '2.0',
        method => "notifications/$_[0]", params => { %{ $_[1] }, _meta => {
        "$NS/subscriptionId" => $m->{id} } } }) . "\n\n") };
    open my $fh, '>>', $t->dir('listened') or die;
    syswrite $fh, join(' ', map { $q->{headers}{$_} // 'none' }
        qw(mcp-method mcp-protocol-version x-api-key)) . "\n";
    $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        . "Connection: close\r\n\r\n");
    my $ack = sub { $say->('subscriptions/acknowledged', { notifications => {
        resourceSubscriptions => [-f $t->dir('none') ? ()
            : grep { /^x:..[abc]$/ } @$uris] } }) };
    $ack->();
    for (1 .. 3000) {
        return undef if unlink $t->dir('cut');
        $ack->() if unlink $t->dir('ack');
        return flood($c, $uris->[-1]) if -f $t->dir('flood');
        for my $uri (qw(x://a x://b x://c x://a/p)) {
            $say->('resources/updated', { uri => $uri })
                if unlink $t->dir('new.' . substr $uri, -1);
        }
        last if IO::Select->new($c->{sock})->can_read(0.01);
    }
    spew($t->dir('left'), '');
    return undef;
};
my $res_port = $t->origin($res_up, name => 'r');
my $moved_port = $t->origin($res_up, name => 'moved');
# one that has sessions, each with a stream of its own; `gone` is the last that
# it has forgotten

my $opened = 0;
my $old_port = $t->origin(sub {
    my ($q, $c) = @_;
    my $m = json_decode($q->{body} || '{}');
    my $uri = ($m->{params} || {})->{uri} // '';
    my $sid = $q->{headers}{'mcp-session-id'};
    my $gone = -f $t->dir('gone') ? slurp($t->dir('gone')) : '';
    return [404] if defined $sid && $sid eq $gone;
    if ($q->{method} eq 'GET') {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "Connection: close\r\n\r\n");
        for (1 .. 3000) {
            return undef if unlink $t->dir('old.cut');
            for my $n (grep { unlink $t->dir("old.$_") } qw(a no x)) {
                $c->send_raw('data: ' . json_encode({ jsonrpc => '2.0', $n eq
                    'x' ? (id => 9, method => 'ping') : (method =>
                    'notifications/resources/updated', params => { uri =>
                    "y://$n" }) }) . "\n\n");
            }
            last if IO::Select->new($c->{sock})->can_read(0.01);
        }
        return undef;
    }
    return [$q->{method} eq 'POST' ? 202 : 204] unless defined $m->{id}
        && $m->{method};
    my %result = (initialize => { protocolVersion => '2025-11-25',
        capabilities => { resources => { subscribe => JSON::PP::true() } },
        serverInfo => { name => 'l', version => '1' } },
        'resources/list' => { resources => [ map { { uri => "y://$_", name =>
            $_ } } qw(a no) ] }, 'resources/templates/list' => {
        resourceTemplates => [] }, 'resources/subscribe' => {});
    my $r = $uri =~ /no|x:/ ? undef : $result{$m->{method}};
    return [200, ['Content-Type' => 'application/json', $m->{method} eq
        'initialize' ? ('Mcp-Session-Id' => "$$-" . $opened++) : ()],
        json_encode({ jsonrpc => '2.0', id => $m->{id}, $r ? (result => $r)
        : (error => { code => -32601, message => 'no' }) })];
}, name => 'l');
$t->apply(demo(mcp => { m => $port, r => $res_port })
    . document('Api', 'acme', 'l', "kind: mcp\nstate: published\nupstream:\n"
        . "  targets:\n    - url: http://127.0.0.1:$old_port/mcp\n")
    . document('Application', 'acme', 'old')
    . subscribe('acme', 'old', 'api', 'l', 'basic')
    . document('Application', 'acme', 'other')
    . subscribe('acme', 'other', 'api', 'm', 'basic', "  tools: [one]\n"));
wait_until {
    3 == @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')->{json}{items}
        || [] } } 20 or $t->give_up('tools were not discovered');
wait_until {
    2 == @{ $t->api('GET', '/v1/tenants/acme/apis/l/resources')->{json}{items}
        || [] } } 20 or $t->give_up('resources were not discovered');
my ($key, $other, $old_key) = map { $t->key('acme', $_) } qw(app other old);
$t->gateway(workers => 2, http => 'stoa_mcp_keepalive 2s;
    log_format time $request_time; access_log logs/time.log time;');
$t->sync;

sub listen_to {
    my ($id, $want, %o) = @_;
    my $c = $t->connection;
    my $body = json_encode({ jsonrpc => '2.0', id => $id, method =>
        'subscriptions/listen', params => { notifications => $want, _meta => {
            "$NS/protocolVersion" => '2026-07-28',
            "$NS/clientCapabilities" => {} } } });
    $c->{head} = $c->request('POST', '/mcp/acme', headers => [
        'X-API-Key' => $o{key} // $key, 'Content-Type' => 'application/json',
        Accept => 'application/json, text/event-stream',
        'MCP-Protocol-Version' => '2026-07-28', 'Mcp-Method' =>
        'subscriptions/listen'], body => $body, headers_only => 1);
    return $c;
}
sub get { my ($session, @more) = @_;
    my $c = $t->connection;
    $c->request('GET', '/mcp/acme', headers => ['X-API-Key' => $key,
        'Mcp-Session-Id' => $session, Accept => 'text/event-stream', @more],
        headers_only => 1);
    $c->{first} = $c->event(5);
    return $c;
}
sub said { my ($c, $s) = @_;
    my $e = $c->event($s // 10);
    return $e ? json_decode($e->{data}) : {} }
sub updated { my ($c) = @_;
    for (;;) {
        my $m = said($c);
        return $m->{params}{uri} // 'none'
            unless ($m->{method} // '') =~ /list_changed/;
    } }
sub tool { my ($name, $event) = @_;
    $t->must(POST => "/v1/tenants/acme/apis/m/tools/$name/$event") }
my $true = JSON::PP::true();

# ---- C3: listen

my $r = $t->mcp('/mcp/acme', 'server/discover', undef, key => $key);
is_deeply($r->{rpc}{result}{capabilities}{tools}, { listChanged => $true },
   'C4: what is told of is advertised');
my $all = listen_to('L', { toolsListChanged => $true, promptsListChanged =>
    $true, resourceSubscriptions => ['x://y'] });
is($all->{head}{status}, 200, 'C3: a subscription');
like($all->{head}{headers}{'content-type'}, qr/^text\/event-stream/,
     '... is a stream');
is_deeply(said($all), { jsonrpc => '2.0', method =>
    'notifications/subscriptions/acknowledged', params => {
        _meta => { "$NS/subscriptionId" => 'L' }, notifications => {
            toolsListChanged => $true, promptsListChanged => $true } } },
    'C3: first of all what is honoured');
my $number = listen_to(7, { toolsListChanged => $true });
my $raw = $number->event(10)->{data};
like($raw, qr/"\Q$NS\E\/subscriptionId":7\}/, 'C3: an id keeps its type');
my $none = listen_to('N', { promptsListChanged => $true });
said($none);
my $same = listen_to('S', { toolsListChanged => $true }, key => $other);
said($same);
$r = $t->mcp('/mcp/acme', 'subscriptions/listen', {}, key => $key);
is($r->{rpc}{error}{code}, -32602, '... without a filter: an error');

for my $want ([ more => { x => 'y' x 65536 } ],
              [ resourceSubscriptions => [ ('x://y') x 20_000 ] ])
{
    is(listen_to('M', { @$want })->{head}{status}, 413,
       "C3: what is held with the stream is not long ($want->[0])");
}

my ($session, $init) = $t->mcp_session('/mcp/acme', key => $key);
my $get = get($session);
my $e;

# ---- C3: of resources

is($t->mcp('/mcp/acme', 'server/discover', undef, key => $key)->{rpc}{result}
    {capabilities}{resources}{subscribe}, $true, 'C3: is advertised');
my $new = listen_to('R', { toolsListChanged => $true, resourceSubscriptions =>
    [qw(x://b x://deaf x://nobody x://a x://b), 7] });
is_deeply(said($new)->{params}{notifications}, { toolsListChanged => $true,
    resourceSubscriptions => [qw(x://b x://a)] },
    'C3: what its upstream tells of is honoured');
is_deeply(said(listen_to('F', { resourceSubscriptions => [
    (7) x 256, 'x://a'] }))->{params}{notifications},
    {}, 'C3: and no more of them are looked at than a request may cost');
is(slurp($t->dir('listened')), "subscriptions/listen 2026-07-28 none\n" x 2,
   '... of which one listen is enough');
spew($t->dir("new.$_"), '') for qw(c a);
is_deeply(said($new), { jsonrpc => '2.0', method =>
    'notifications/resources/updated', params => { uri => 'x://a', _meta => {
    "$NS/subscriptionId" => 'R' } } }, 'C3: an update, and no other');
is_deeply(said(listen_to('O', { resourceSubscriptions => ['x://a'] }, key =>
    $other))->{params}{notifications}, {},
    'C3: who may not read it hears nothing');
spew($t->dir('cut'), '');
is(join(' ', sort map { said($new)->{params}{uri} // 'none' } 1 .. 2),
   'x://a x://b', 'C3: after a cut each may be another one');
spew($t->dir('new.b'), '');
is(said($new)->{params}{uri}, 'x://b', '... and the stream goes on');
spew($t->dir("new.p"), '');
is(said($new)->{params}{uri}, 'x://a', 'C3: a part of a resource is of it');
spew($t->dir($_), '') for qw(ack full);
wait_until { !-f $t->dir('ack') } 10;
spew($t->dir('new.b'), '');
is(said($new)->{params}{uri}, 'x://b', 'C3: who says twice what he honours');
spew($t->dir('cut'), '');
ok((wait_until { -f $t->dir('was.full') } 10),
   'C3: a listen that is refused for now');
unlink $t->dir('full');
is(join(' ', sort map { said($new, 20)->{params}{uri} // 'none' } 1 .. 2),
   'x://a x://b', '... is asked for again');
sub at { my ($port, $value) = @_;
    $t->apply(document('Secret', 'acme', 'up', "value: $value\n")
        . document('Policy', 'acme', 'cred', "type: upstream-credential\n"
            . "config: {kind: header, header: X-Up, value: '\${secret:up}'}\n"
            . "attach: [{api: r}]\n")
        . document('Api', 'acme', 'r', "kind: mcp\nstate: published\n"
            . "upstream:\n  targets:\n    - url: http://127.0.0.1:$port/mcp\n"));
    $t->sync;
    spew($t->dir('cut'), '');
    said($new, 20) for 1 .. 2;
    return join ' ', map { $_->{headers}{'x-up'} // 'none' }
        (grep { $_->{body} =~ m{subscriptions/listen} } $t->origin_log(
        $port == $res_port ? 'r' : 'moved'))[-1];
}
is(at($res_port, 'one'), 'one', 'C3: what is asked for again has the headers '
   . 'that there are now');
is(at($moved_port, 'two'), 'two', '... and goes where the api is now');
is(at($res_port, 'three'), 'three', '... and back');
unlink $t->dir('left');
$new->close;
ok((wait_until { -f $t->dir('left') } 10), 'C3: who leaves leaves there, too');

# ---- C3: of resources at an upstream with sessions

sub at_old { my ($method) = @_;
    return grep { $_->{method} eq $method && $_->{body} !~ /stoa-control/
        } $t->origin_log('l') }
sub subscribed { return grep { $_->{body} =~ m{resources/subscribe} }
    at_old('POST') }
my ($first) = map { scalar @{ [at_old($_)] } } 'GET';
my $old = listen_to('Y', { resourceSubscriptions =>
    [qw(y://no y://a x://a)] }, key => $old_key);
is_deeply(said($old)->{params}{notifications}{resourceSubscriptions},
    [qw(y://a)], 'C3: an upstream with sessions honours what it takes');
my @get = at_old('GET');
is(@get, $first + 1, '... in a session of the listen, with its stream');
is_deeply([map { [json_decode($_->{body})->{params}{uri}, @{ $_->{headers} }{
    qw(mcp-session-id mcp-protocol-version x-api-key)}] } subscribed()],
    [map { [$_, $get[-1]{headers}{'mcp-session-id'}, '2025-11-25', undef] }
    qw(y://no y://a x://a)], '... without the key');
spew($t->dir("old.$_"), '') for qw(x no a);
is_deeply(said($old), { jsonrpc => '2.0', method =>
    'notifications/resources/updated', params => { uri => 'y://a', _meta => {
    "$NS/subscriptionId" => 'Y' } } }, 'C3: its update, and no other');
ok((wait_until { grep { $_->{body} =~ /"id":9,"result":\{\}/ } at_old('POST') }
   10), 'C3: its ping is answered');
spew($t->dir('old.cut'), '');
is(said($old)->{params}{uri}, 'y://a', 'C3: after a cut it may be another one');
my $sid = $get[-1]{headers}{'mcp-session-id'};
spew($t->dir('gone'), $sid);
spew($t->dir('old.cut'), '');
is(said($old)->{params}{uri}, 'y://a',
   'C3: a session that was forgotten is opened again');
isnt((subscribed())[-1]{headers}{'mcp-session-id'}, $sid, '... and asked');
is(scalar(subscribed()), 4, '... for what it had honoured');
spew($t->dir('old.a'), '');
is(said($old)->{params}{uri}, 'y://a', '... and goes on');
$sid = (subscribed())[-1]{headers}{'mcp-session-id'};
$old->close;
ok((wait_until { grep { $_->{headers}{'mcp-session-id'} eq $sid }
    at_old('DELETE') } 10), 'C3: who leaves ends it there');

# ---- C3: sessions subscribe at upstreams that have none

sub ask { my ($method, $params, %o) = @_;
    return $t->mcp('/mcp/acme', $method, $params, key => $key, era => 'legacy',
        session => $o{session} // $session)->{rpc} }
sub listens { return slurp($t->dir('listened')) =~ tr/\n// }
is($init->{rpc}{result}{capabilities}{resources}{subscribe}, $true,
   'C3: a session is told that it can subscribe');
unlink $t->dir('left'), $t->dir('listened');
is_deeply(ask('resources/subscribe', { uri => 'x://a' })->{result}, {},
    'C3: resources/subscribe at an upstream of 2026-07-28');
ok((wait_until { -f $t->dir('listened') } 10), '... listens there');
is(slurp($t->dir('listened')), "subscriptions/listen 2026-07-28 none\n",
   '... by its own headers, without the key');
spew($t->dir('new.a'), '');
$e = $get->event(10);
is_deeply(json_decode($e->{data}), { jsonrpc => '2.0', method =>
    'notifications/resources/updated', params => { uri => 'x://a' } },
    '... and its updates come in the stream of the session');
is_deeply(ask('resources/subscribe', { uri => 'x://b' })->{result}, {},
    'C3: another resource');
ok((wait_until { listens() == 2 && -f $t->dir('left') } 10),
   '... is listened for in the place of the first alone');
for my $n (qw(b a)) {
    spew($t->dir("new.$n"), '');
    is(json_decode($get->event(10)->{data})->{params}{uri}, "x://$n",
       "... x://$n is told of");
}
spew($t->dir('cut'), '');
is(join(' ', sort map { json_decode($get->event(10)->{data})->{params}{uri} }
    1 .. 2), 'x://a x://b', 'C3: after a cut each may be another one');
ask('resources/unsubscribe', { uri => 'x://a' });
ok((wait_until { listens() == 4 } 10), 'C3: resources/unsubscribe');
spew($t->dir('new.b'), '');
is(json_decode($get->event(10)->{data})->{params}{uri}, 'x://b',
   '... leaves the others');
unlink $t->dir('left');
ask('resources/unsubscribe', { uri => $_ }) for qw(x://b x://b x://no);
ok((wait_until { -f $t->dir('left') } 10), '... and after the last the listen');
# what is told of the two, until x://b is
sub told_of { my ($c) = @_;
    my ($until, @told) = time + 20;
    unlink $t->dir('new.a'), $t->dir('new.b');
    while (time < $until && !grep { $_ eq 'x://b' } @told) {
        spew($t->dir("new.$_"), '') for qw(a b);
        my $e = $c->event(1) or next;
        push @told, json_decode($e->{data})->{params}{uri} // ();
    }
    unlink $t->dir('new.a'), $t->dir('new.b');
    return join ' ', @told;
}
my $had = listens();
ask('resources/subscribe', { uri => $_ }) for qw(x://a x://b);
ok((wait_until { told_of($get) =~ /x:..b/ } 20), 'C3: of two');
spew($t->dir('none'), '');
$had = listens();
ask('resources/unsubscribe', { uri => 'x://a' });
ok((wait_until { listens() > $had } 10),
   'C3: a listen for what is left, that is not honoured');
while (my $e = $get->event(1)) { }
is(told_of($get), 'x://b', '... what was unsubscribed is told of no more');
unlink $t->dir('none');
$had = listens();
ask('resources/subscribe', { uri => 'x://a' });
wait_until { listens() > $had } 10;
my ($a) = map { $_->{id} } grep { $_->{name} eq 'x://a' }
    @{ $t->must(GET => '/v1/tenants/acme/apis/r/resources')->{items} };
sub off { my ($c) = @_;
    $t->must(POST => "/v1/tenants/acme/apis/r/resources/$a/disable?wait=10s");
    while (my $e = $c->event(1)) { }
    is(told_of($c), 'x://b', 'C3: what is disabled is told of no more');
    $t->must(POST => "/v1/tenants/acme/apis/r/resources/$a/enable?wait=10s");
}
off($get);
ask('resources/unsubscribe', { uri => $_ }) for qw(x://a x://b);
$new = listen_to('D', { resourceSubscriptions => [qw(x://a x://b)] });
said($new);
off($new);
$new->close;
my @long = map { "x://$_/" . 'y' x 1900 } 1 .. 3;
is(join(' ', map { ask('resources/subscribe', { uri => $_ })->{error}{code}
    // 'ok' } @long), 'ok ok -32602', 'C3: what would not be kept is said');
ask('resources/unsubscribe', { uri => $_ }) for @long;
my $some = 0;
$some += defined ask('resources/subscribe', { uri => "x://c/$_" })->{result}
    for 1 .. 65;
is($some, 64, 'C3: 64 resources of an api');
ask('resources/unsubscribe', { uri => "x://c/$_" }) for 1 .. 64;
my ($short) = $t->mcp_session('/mcp/acme', key => $key);
unlink $t->dir('listened'), $t->dir('left');
ask('resources/subscribe', { uri => 'x://a' }, session => $short);
my $late = get($short);
ok((wait_until { -f $t->dir('listened') } 10),
   'C3: a stream that is opened later');
wait_until { spew($t->dir('new.a'), ''); $late->event(1) } 10;
$late->close;
ok((wait_until { -f $t->dir('left') } 10), '... and left');
unlink $t->dir('new.a'), $t->dir('left');
$late = get($short, 'Last-Event-ID' => $late->{first}{id});
is(updated($late), 'x://a', 'C3: what a stream that goes on may have missed');
$t->connection->request('DELETE', '/mcp/acme', headers => ['X-API-Key' => $key,
    'Mcp-Session-Id' => $short]);
ok((wait_until { -f $t->dir('left') } 10),
   'C3: a session that is ended listens no more');
$late->close;
my ($slow) = $t->mcp_session('/mcp/acme', key => $key);
my $unread = get($slow);
ask('resources/subscribe', { uri => 'x://a' }, session => $slow);
spew($t->dir('flood'), '');
ok((wait_until { -f $t->dir('flood.a') } 60),
   'C3: who does not read is not told more');
ask('resources/subscribe', { uri => 'x://b' }, session => $slow);
wait_until { -f $t->dir('flood.b') } 60;
cmp_ok(slurp($t->dir('flood.b')), '<', 32 << 20, '... by a later listen either');
$unread->close;
unlink $t->dir('flood');

# ---- C4: a list that is another one

$t->mcp('/mcp/acme', 'tools/call', { name => 'm__noisy', arguments => {} },
    key => $key);
tool('two', 'disable');
my $m = said($all);
is_deeply($m, { jsonrpc => '2.0', method => 'notifications/tools/list_changed',
    params => { _meta => { "$NS/subscriptionId" => 'L' } } },
    'C4: a tool that is gone is told of');
my $list = $t->mcp('/mcp/acme', 'tools/list', undef, key => $key);
is(join(' ', map { $_->{name} } @{ $list->{rpc}{result}{tools} }),
   'm__noisy m__one r__nop', '... when the list is the new one');
is(said($number)->{params}{_meta}{"$NS/subscriptionId"}, 7,
   '... to each who listens, with his id');
sub not_resources {
    my $e = $get->event(10) || {};
    return ($e->{data} // '') =~ m{resources/} ? not_resources() : $e;
}
$e = not_resources();
is($e->{data}, '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
   'C4: and in the stream of a session');
like($e->{id}, qr/^e0/, '... with an id');
$t->apply(document('Plan', 'acme', 'basic', "rate: 0\ntitle: New\n"));
$t->sync;
tool('two', 'enable');
is(said($all)->{method}, 'notifications/tools/list_changed',
   'C4: the next change');
is(not_resources()->{data}, $e->{data}, '... there, too');
$none->fill(time + 4) until $none->{in} =~ /:\n\n/;
unlike($none->{in}, qr/tools/, 'C3: nobody is told what he did not ask for');
$same->fill(time + 4) until $same->{in} =~ /:\n\n/;
unlike($same->{in}, qr/list_changed/,
       'C4: nor what changed for others alone');
unlike($all->{in} . ($all->{sse} // ''), qr/list_changed/,
       'C4: each change once, and what an upstream says of its own lists not');

# ---- what an upstream says of its lists: they are read again at once

spew($t->dir('third'), '');
$t->mcp('/mcp/acme', 'tools/call', { name => 'm__noisy', arguments => {} },
    key => $key);
is(said($all, 20)->{method}, 'notifications/tools/list_changed',
   'C4: an upstream that says that its tools are others has them read');
$list = $t->mcp('/mcp/acme', 'tools/list', undef, key => $key);
is(join(' ', map { $_->{name} } @{ $list->{rpc}{result}{tools} }),
   'm__noisy m__one m__three m__two r__nop', '... which are there, then');

# ---- ends

$t->reload;
$m = said($all);
is_deeply([@$m{qw(id result)}], ['L', { resultType => 'complete', _meta => {
    "$NS/subscriptionId" => 'L' } }], 'C3: at a reload it is answered');
is($all->event(5), undef, '... and ends');
is($all->{error}, '', '... properly');
$t->sync;
my $shut = listen_to('P', { toolsListChanged => $true });
said($shut);
$t->must(POST => '/v1/tenants/acme/policies', { name => 'shut', type =>
    'ip-filter', config => { deny => ['127.0.0.0/8'] },
    attach => [{ application => 'app' }] });
is($shut->event(10), undef, 'C3: nor whom a policy shuts out');
$t->must(DELETE => '/v1/tenants/acme/policies/shut');
$t->sync;
my $last = listen_to('E', { toolsListChanged => $true });
said($last);
$t->must(POST => '/v1/tenants/acme/applications/app/suspend');
is($last->event(10), undef, 'C3: who may no longer hears nothing');
my $held = 0;
wait_until { $held = 0;
             $held += $_ for $t->log_lines('gw', 'time.log');
             $held > 3 } 10;
cmp_ok($t->metrics->{'stoa_request_duration_seconds_sum'}, '<', $held - 2,
       'how long one listened is no latency');

$t->done;
