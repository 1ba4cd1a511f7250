#!/usr/bin/perl

# Rows T1, T2, V4, S3: the transport of 2024-11-05 to clients.  A GET is a stream,
# whose first event names the URL for POSTs; these arrive at any worker, and
# what they are answered comes in the stream.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

my $go = $t->dir('go');
my $port = $t->mcp_origin(name => 'm', era => 'legacy', sessions => 1, tools => {
    echo => sub { json_encode($_[0]) },
    big => sub { 'x' x $_[0]{n} },
    steps => sub { my ($a, $m) = @_;
        return { sse => [ map { { jsonrpc => '2.0', method =>
            'notifications/progress', params => { progressToken =>
            $m->{params}{_meta}{progressToken}, progress => $_ } } } 1 .. 3 ],
            result => { content => [{ type => 'text', text => 'done' }] } } },
    asks => sub { return { sse => [ { jsonrpc => '2.0', id => 77, method =>
            'roots/list' }, 0.3 ], result => { content => [{ type => 'text',
            text => 'asked' }] } } },
    wait => sub { wait_until { -f $go } 90; 'waited' },
});
$t->apply(demo(mcp => { m => $port })
    . document('Application', 'acme', 'other')
    . subscribe('acme', 'other', 'api', 'm', 'basic')
    . document('Plan', 'acme', 'narrow', "rate: 3\nper_ms: 600000\n")
    . document('Application', 'acme', 'poor')
    . subscribe('acme', 'poor', 'api', 'm', 'narrow')
    . document('Server', 'acme', 'desk', "tools: [{api: m, tool: echo}]\n"
        . "state: published\n")
    . subscribe('acme', 'app', 'server', 'desk', 'basic'));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')->{json}{items} || [] }
} 20 or $t->give_up('tools were not discovered');
my ($key, $other, $poor) = map { $t->key('acme', $_) } qw(app other poor);
$t->gateway(workers => 4, http => 'stoa_mcp_keepalive 2s;');
$t->sync;

# ---- a client

sub stream { my (%o) = @_;
    my $c = $t->connection;
    $c->{head} = $c->request('GET', $o{path} // '/mcp/acme', headers_only => 1,
        headers => [exists $o{key} ? () : ('X-API-Key' => $key),
            defined $o{key} ? ('X-API-Key' => $o{key}) : (),
            Accept => $o{accept} // 'text/event-stream',
            %{ $o{headers} || {} }]);
    return $c if $c->{head}{status} != 200;
    $c->{first} = $c->event(5);
    $c->{url} = ($c->{first} || {})->{data};
    $c->{key} = $o{key} // $key;
    return $c;
}
my $id = 0;
sub post { my ($c, $m, %o) = @_;
    return $t->http('POST', $o{url} // $c->{url}, body => ref $m
        ? json_encode($m) : $m, headers => { 'Content-Type' =>
        'application/json', 'X-API-Key' => $o{key} // $c->{key} });
}
sub send_to { my ($c, $method, $params, %o) = @_;
    my $mine = ++$id;
    $c->{status} = post($c, { jsonrpc => '2.0', id => $mine, method => $method,
        $params ? (params => $params) : () }, %o)->{status};
    return $mine;
}
sub answer { my ($c, $mine) = @_;
    $c->{others} = [];
    while (my $e = $c->{kept}{$mine} // $c->event(30)) {
        $c->{last} = $e->{id} if $e->{id} ne '';
        my $m = json_decode($e->{data}) or next;
        return $m if exists $m->{id} && $m->{id} eq $mine
            && !defined $m->{method};
        push @{ $c->{others} }, $m;
        $c->{kept}{ $m->{id} } = $e if exists $m->{id} && !$m->{method};
    }
    return { error => 'the end' };
}
sub ask { my ($c, @what) = @_; return answer($c, send_to($c, @what)) }
sub call { my ($c, $tool, $arguments, %o) = @_;
    my $r = ask($c, 'tools/call', { name => "m__$tool", arguments =>
        $arguments || {}, %o });
    return $r->{result}{content}[0]{text} // json_encode($r->{error}) }
sub open_one { my (%o) = @_;
    my $c = stream(%o);
    $c->{init} = ask($c, 'initialize', { protocolVersion => '2024-11-05',
        capabilities => $o{caps} || {}, clientInfo => { name => 'old',
        version => '1' } });
    post($c, { jsonrpc => '2.0', method => 'notifications/initialized' });
    return $c;
}

# ---- T2: what a GET is

is(stream(accept => '*/*')->{head}{status}, 405,
   'T2: a GET that does not ask for a stream is none of 2024-11-05');
is(stream(headers => { 'MCP-Protocol-Version' => '2025-11-25' })->{head}{status},
   405, '... nor is one of a later version');
is(stream(key => undef)->{head}{status}, 401, '... nor one without a key');
is(stream(headers => { 'Last-Event-ID' => 'S0nothing' })->{head}{status}, 404,
   '... and there is no session to go on with');
my $c = stream();
is($c->{head}{status}, 200, 'T1: a stream of 2024-11-05');
is($c->{first}{event}, 'endpoint', '... whose first event is the endpoint');
like($c->{url}, qr{^/mcp/acme\?stoa_s=d0[\w-]+$}, '... a path of ours');
is(ask($c, 'tools/list')->{error}{code}, -32600,
   'T1: nothing but initialize comes first');
is($c->{status}, 202, '... the POST of it is 202');

# ---- a session

$c = open_one();
is($c->{init}{result}{protocolVersion}, '2024-11-05', 'T1: initialize');
like($c->{last}, qr/^S0/, '... its event has the session as its id');
is(join(' ', map { $_->{name} } @{ ask($c, 'tools/list')->{result}{tools} }),
   'm__asks m__big m__echo m__steps m__wait', 'T1: lists');
is(join(' ', map { call($c, 'echo', { n => $_ }) } 1 .. 12),
   join(' ', map { "{\"n\":$_}" } 1 .. 12), 'T1: calls, at any worker');
my @mine = map { send_to($c, 'tools/call', { name => 'm__echo', arguments =>
    { n => $_ } }) } 1 .. 40;
is(scalar(grep { answer($c, $_)->{result} } @mine), 40, '... many at a time');
is(length call($c, 'big', { n => 3_000_000 }), 3_000_000,
   'T1: a large answer');
my $large = 'y' x 1_000_000;
is(length call($c, 'echo', { s => $large }), length(json_encode({ s =>
    $large })), '... and a large question');
is(call($c, 'steps', {}, _meta => { progressToken => 'p' }), 'done',
   'T1: an answer that is a stream');
is(join(' ', map { "$_->{params}{progressToken}$_->{params}{progress}" }
        grep { $_->{method} } @{ $c->{others} }), 'p1 p2 p3', '... with it all');
my $r = post($c, '{"jsonrpc":');
is($r->{status}, 400, 'T1: what is no message is said at once');
is(post($c, [{ jsonrpc => '2.0', id => 'b1', method => 'ping' },
    { jsonrpc => '2.0', id => 'b2', method => 'ping' }])->{status}, 202,
   'V4: a batch');
is_deeply([sort map { $_->{id} } @{ json_decode($c->event(10)->{data}) }],
          [qw(b1 b2)], '... is answered by an array');

my $roots = open_one(caps => { roots => {} });
my $mine = send_to($roots, 'tools/call', { name => 'm__asks', arguments => {} });
my $asked = json_decode($roots->event(10)->{data});
is($asked->{method}, 'roots/list', 'T1: what the server asks its client');
post($roots, { jsonrpc => '2.0', id => $asked->{id}, result => { roots => [] } });
is(answer($roots, $mine)->{result}{content}[0]{text}, 'asked', '... goes on');
ok((wait_until { grep { $_->{body} =~ /"id":77\b.*"result"/ }
    $t->origin_log('m') } 10), '... and his answer reaches it');
$roots->close;

my $bundle = open_one(path => '/mcp/acme/desk');
like($bundle->{url}, qr{^/mcp/acme/desk\?}, 'T1: of a bundle');
is(join(' ', map { $_->{name} } @{ ask($bundle, 'tools/list')
    ->{result}{tools} }), 'm__echo', '... which shows its own');

# ---- whose it is

my $ping = { jsonrpc => '2.0', id => 'theirs', method => 'ping' };
my $flip = $c->{url};
substr($flip, -5, 1) = substr($flip, -5, 1) eq 'A' ? 'B' : 'A';
my %bad = (
    "another application's" => [404, key => $other],
    'at another endpoint' => [404, url => $c->{url} =~ s/acme/acme\/desk/r],
    'of another endpoint' => [404, url => $bundle->{url} =~ s/\/desk//r],
    'altered' => [404, url => $flip], 'cut' => [404, url => substr $flip, 0, -4],
    'made up' => [404, url => '/mcp/acme?stoa_s=d0' . 'A' x 50],
    'empty' => [404, url => '/mcp/acme?stoa_s='],
    'of a wrong key' => [401, key => 'stoa_live_wrong'],
);
for my $what (sort keys %bad) {
    my ($status, %o) = @{ $bad{$what} };
    is(post($c, $ping, %o)->{status}, $status, "S1: a URL $what: $status");
}
is(call($c, 'echo', { mine => 1 }), '{"mine":1}', 'S1: and none of it is seen');
is(scalar(grep { ($_->{id} // '') eq 'theirs' } @{ $c->{others} }), 0,
   '... by the stream');

# ---- limits

my $limited = open_one(key => $poor);
my @said = map { call($limited, 'echo') } 1 .. 4;
like($said[3], qr/rate_exceeded/, "F8: the plan's rate holds")
    or diag("@said");
my $last = ($t->metrics->{'stoa_mcp_answers_lost_total'} // 0);
@mine = map { send_to($c, 'tools/call', { name => 'm__wait', arguments => {} }) }
    1 .. 70;
# POSTs reach the stream's worker through others, not always in their order
my $full;
while (!$full and my $e = $c->event(10)) {
    my $m = json_decode($e->{data});
    $c->{kept}{ $m->{id} } = $e if exists $m->{id};
    $full = $m if $m->{error};
}
like($full->{error}{message} // '', qr/too many/, 'F8: 64 calls at a time');
is(ask($bundle, 'ping')->{error}, undef, '... of one stream');
spew($go, '');
my %told;
for my $m (map { answer($c, $_) } @mine) {
    $told{ $m->{result}{content}[0]{text} // $m->{error}{message} // '' }++;
}
my $refused = delete $told{ $full->{error}{message} // '' } // 0;
ok($refused >= 6 && $refused <= 7 && ($told{waited} // 0) == 70 - $refused,
   '... the others are answered')
    or diag(json_encode({ %told, refused => $refused }));

my $deaf = open_one();
send_to($deaf, 'tools/call', { name => 'm__big', arguments => { n =>
    3_000_000 } }) for 1 .. 24;
ok((wait_until { post($deaf, $ping)->{status} == 404 } 30),
   'F8: a stream whose client does not read ends');
$deaf->close;

# ---- what happens to nginx, and to clients

$t->reload;
$t->sync;
is(join(' ', map { call($c, 'echo', { n => $_ }) } 1 .. 6),
   join(' ', map { "{\"n\":$_}" } 1 .. 6), 'S3: a reload ends no stream');
$bundle->close;
ok((wait_until { post($bundle, $ping)->{status} == 404 } 10),
   'T2: the URL ends with its stream');
my $again = stream(headers => { 'Last-Event-ID' => $c->{last} });
is($again->{first}{id}, $c->{last}, 'S3: a client that comes again');
is(call($again, 'echo', { a => 1 }), '{"a":1}', '... is in its session');
is(stream(key => $other, headers => { 'Last-Event-ID' => $c->{last} })
   ->{head}{status}, 404, "... which is nobody else's");
$_->close for $again, $limited;
my $session = $c->{last};
$c->close;                             # or its worker would not end
$t->stop('gw');
$t->start_nginx('gw');
$t->sync;
is(post($c, $ping)->{status}, 404, '... and its URL');
$again = stream(headers => { 'Last-Event-ID' => $session });
is(call($again, 'echo', { a => 2 }), '{"a":2}', '... a restart no session');

# its worker is killed

my %before = map { ($_ => 1) } $t->workers;
kill 'KILL', $_ for keys %before;
is($again->event(10), undef, 'S3: a stream ends with its worker');
wait_until { grep { !$before{$_} } $t->workers } 10;
ok((wait_until { post($again, $ping)->{status} == 404 } 10), '... told so');
$t->allow_log(qr/exited on signal 9|was not told/);

$again = open_one();
$t->stop('m');
my $gone = json_decode(call($again, 'echo'));
is($gone->{data}{code}, 'upstream_unreachable', 'T1: an upstream that is gone');
$again->close;

$t->done;
