#!/usr/bin/perl

# Rows V4, T5: batches of 2025-03-26.  Each message goes through the whole
# pipeline: a batch is no way around a limit, a right or a policy.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new->has('module', 'control', 'openssl');
$t->control;
my $dir = $t->dir;
my ($bad) = $t->run_cmd([qw(openssl req -x509 -newkey rsa:2048 -nodes -days 2
    -subj /CN=localhost -keyout), "$dir/key.pem", '-out', "$dir/cert.pem"]);
my $tls = $t->port('tls');
my %tools = (echo => sub { json_encode($_[0]) }, other => sub { 'other' },
    slow => sub { select undef, undef, undef, 0.2; 'slow' },
    hang => sub { wait_until { -f $t->dir('go') } 20; 'went' },
    proto => sub { $_[2]{headers}{'x-forwarded-proto'} // 'none' },
    big => sub { 'x' x 200_000 }, huge => sub { spew($t->dir('huge'), ''); 'x' x (8 << 20) },
    late => sub { wait_until { -f $t->dir('late') } 20;
        { sse => [ { jsonrpc => '2.0', method => 'notifications/message',
          params => { data => 'late' } } ], result => { content => [] } } },
    told => sub { { sse => [ { jsonrpc => '2.0',
        method => 'notifications/message', params => { data => 'first' } },
        0.1 ], result => { content => [] } } });
my $port = $t->mcp_origin(name => 'm', era => 'legacy', sessions => 1,
                          tools => \%tools);
$t->apply(demo(mcp => { m => $port })
    . document('Plan', 'acme', 'tight', "rate: 3\nper_ms: 3600000\nburst: 3\n")
    . document('Plan', 'acme', 'single', "concurrency: 1\n")
    . document('Plan', 'acme', 'twenty', "concurrency: 20\n")
    . join('', map { document('Application', 'acme', $_) }
           qw(tight single part twenty))
    . subscribe('acme', 'twenty', 'api', 'm', 'twenty')
    . subscribe('acme', 'tight', 'api', 'm', 'tight')
    . subscribe('acme', 'single', 'api', 'm', 'single')
    . subscribe('acme', 'part', 'api', 'm', 'basic', "  tools: [echo]\n"));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
    ->{json}{items} || [] } == keys %tools } 20
    or $t->give_up('tools were not discovered');
$t->gateway(workers => 2, server => "listen 127.0.0.1:$tls ssl http2;
    ssl_certificate $dir/cert.pem; ssl_certificate_key $dir/key.pem;");
my %key = map { $_ => $t->key('acme', $_) } qw(app tight single part
    twenty);
$t->sync;

sub session { my ($who, $version) = @_;
    my $r = $t->mcp('/mcp/acme', 'initialize', { protocolVersion =>
        $version // '2025-03-26', capabilities => {}, clientInfo => {
        name => 'test', version => '1' } }, era => 'legacy',
        key => $key{$who});
    return $r->{session};
}
sub post { my ($who, $session, $body, %o) = @_;
    $body = json_encode($body) if ref $body;
    my $r = $t->http('POST', '/mcp/acme', key => $key{$who}, body => $body,
        headers => { 'Content-Type' => 'application/json',
            Accept => 'application/json, text/event-stream',
            'Mcp-Session-Id' => $session, %o });
    $r->{events} = Test::Stoa::MCP::events($r);
    return $r;
}
sub message { my ($id, $method, $params) = @_;
    return { jsonrpc => '2.0', method => $method, defined $id ? (id => $id)
        : (), $params ? (params => $params) : () } }
sub call { my ($id, $tool, %args) = @_;
    return message($id, 'tools/call', { name => "m__$tool",
        arguments => \%args }) }
sub text { $_[0]{result}{content}[0]{text} // "code $_[0]{error}{code}" }
sub calls { return scalar grep { $_->{body} =~ m{"tools/call"} }
    $t->origin_log('m') }

# ---- vector 20

my $s = session('app');
my $r = post('app', $s, [message(1, 'ping'), message(undef,
    'notifications/initialized'), call('1', 'echo', a => 1)]);
is($r->{status}, 200, 'V4: a batch of a session of 2025-03-26');
like($r->{headers}{'content-type'}, qr{^application/json}, '... JSON');
my %got = map { (json_encode($_->{id}) => $_) } @{ $r->{json} };
is(join(' ', sort keys %got), '"1" 1', '... two answers, each with its id');
is_deeply($got{1}{result}, {}, '... of ping');
is(text($got{'"1"'}), '{"a":1}', '... and of the tool');
is(calls(), 1, '... which was called once');

my $new = session('app', '2025-11-25');
for my $of (['2025-11-25', $new, [message(1, 'ping')]],
            ['no messages', $s, '[]'],
            ['51 messages', $s, [map { message($_, 'ping') } 1 .. 51]]) {
    $r = post('app', $of->[1], $of->[2]);
    is("$r->{status} $r->{json}{error}{code}", '400 -32600',
       "V4: $of->[0]: refused as a whole");
}
is(calls(), 1, '... and nothing of it is done');
$r = post('app', 'nobody', [message(1, 'ping')]);
is($r->{status}, 404, 'V4: a session that is none');

$r = post('app', $s, [map { message($_, 'ping') } 1 .. 50]);
is(join(' ', sort { $a <=> $b } map { $_->{id} } @{ $r->{json} }),
   join(' ', 1 .. 50), 'V4: 50 messages');
$r = post('app', $s, [message(undef, 'notifications/initialized'),
                      message(undef, 'notifications/cancelled',
                              { requestId => 1 })]);
is("$r->{status} [$r->{body}]", '202 []', 'V4: notifications alone: 202');
$r = post('app', $s, [{ jsonrpc => '2.0', id => 'x', result => {} }]);
is($r->{status}, 400, 'V4: an answer that nobody asked for');

$r = post('app', $s, '[1, {"jsonrpc":"2.0","id":2,"method":"ping"},'
    . '[{"jsonrpc":"2.0","id":3,"method":"ping"}],'
    . '{"jsonrpc":"2.0","id":4,"method":"no/such"},'
    . '{"jsonrpc":"2.0","id":5,"method":"initialize","params":{}},'
    . '{"jsonrpc":"1.0","id":6,"method":"ping"}]');
is(join(' ', map { ($_->{id} // 'null') . ':' . ($_->{error}{code} // 'ok') }
    @{ $r->{json} }),
   'null:-32600 2:ok null:-32600 4:-32601 5:-32600 6:-32600',
   'V4: what is no message is told one by one');

# ---- no way around anything

my $before = calls();
$s = session('tight');
$r = post('tight', $s, [map { call($_, 'echo') } 1 .. 10]);
is(join(' ', sort map { $_->{error} ? "$_->{error}{code}" : 'ok' }
    @{ $r->{json} }), '429 429 429 429 429 429 429 ok ok ok',
   'V4: the rate holds for each message');
is(calls() - $before, 3, '... and no upstream sees the others');
my ($no) = grep { $_->{error} } @{ $r->{json} };
like($no->{error}{message}, qr/retry in \d+ s/, '... which are told why');
ok($no->{error}{data}{retry_after_ms}, '... and for how long');

$before = calls();
$s = session('part');
$r = post('part', $s, [call(1, 'echo'), call(2, 'other')]);
%got = map { ($_->{id} => $_) } @{ $r->{json} };
is(text($got{1}), '{}', 'V4: a tool of the selection');
ok($got{2}{error}, '... and one that is not');
is(calls() - $before, 1, '... does not reach the upstream');

$s = session('single');
$r = post('single', $s, [map { call($_, 'slow') } 1 .. 3]);
is(join(' ', sort map { $_->{error}{code} // 'ok' } @{ $r->{json} }),
   '429 429 ok', 'V4: concurrency holds for each message');
ok((wait_until { text(post('single', $s, [call(1, 'slow')])->{json}[0])
    eq 'slow' } 10), '... and its slot is given back');

ok((wait_until { ($t->metrics->{stoa_in_flight} // 0) == 0 } 10),
   'V4: nothing is in flight');

# ---- streams

$s = session('app');
$r = post('app', $s, [call(1, 'told'), call(2, 'echo'), message(3, 'ping')]);
like($r->{headers}{'content-type'}, qr{^text/event-stream},
     'V4: one that tells something is a stream');
my @e = @{ $r->{events} };
is(join(' ', sort map { $_->{id} // $_->{method} } @e),
   '1 2 3 notifications/message', '... of all that was told and answered');
my ($n) = grep { ($e[$_]{method} // '') eq 'notifications/message' } 0 .. $#e;
my ($a) = grep { ($e[$_]{id} // '') eq '1' } 0 .. $#e;
ok($n < $a, '... in its order');
$r = post('app', $s, [map { call($_, 'big') } 1 .. 10]);
is(scalar(grep { length text($_) == 200_000 } @{ $r->{json} }), 10,
   'V4: large answers');

# as much as is kept of a batch, when one answer becomes a stream

$s = session('twenty');
{
    my $pid = fork // die;
    if (!$pid) {
        wait_until { -f $t->dir('huge') && $t->metrics->{stoa_in_flight} == 1 }
            10;
        spew($t->dir('late'), '');
        POSIX::_exit(0);
    }
    my $r = $t->http('POST', '/mcp/acme', key => $key{twenty}, headers => {
        'Content-Type' => 'application/json', 'Mcp-Session-Id' => $s },
        body => json_encode([call(0, 'late'), map { call($_, 'huge') }
                             1 .. 4]));
    waitpid $pid, 0;
    my @data = map { length } $r->{body} =~ /^data: (.*)$/mg;
    is(scalar(@data), 6, 'V4: four answers of 8 MiB beside a stream that comes '
       . 'late: all is told') or diag "$r->{status} @data $r->{error}";
    is((grep { $_ > 8 << 20 } @data) || 0, 3, '... of which one is too much');
}

# ---- by TLS

$s = session('app');
SKIP: {
    my $curl = grep { -x "$_/curl" } split /:/, $ENV{PATH};
    skip 'no curl, or no certificate', 2 if !$curl || $bad;
    for my $http ('--http1.1', '--http2') {
        my (undef, $out) = $t->run_cmd(['curl', '-sk', $http, '-H',
            "X-API-Key: $key{app}", '-H', "Mcp-Session-Id: $s", '-H',
            'Content-Type: application/json', '-d', json_encode(
            [map { call($_, 'proto') } 1 .. 3]),
            "https://127.0.0.1:$tls/mcp/acme"]);
        is(join(' ', map { text($_) } @{ json_decode($out) || [] }),
           'https https https', "V4: by TLS, $http");
    }
}

# ---- who leaves

$s = session('twenty');
{
    my $c = $t->connection;
    $c->send_raw(do { my $b = json_encode([map { call($_, 'hang') } 1 .. 12]);
        "POST /mcp/acme HTTP/1.1\r\nHost: x\r\nX-API-Key: $key{twenty}\r\n"
        . "Content-Type: application/json\r\nMcp-Session-Id: $s\r\n"
        . 'Content-Length: ' . length($b) . "\r\n\r\n$b" });
    is((wait_until { ($t->metrics->{stoa_in_flight} // 0) == 8 } 10) ? 8
        : $t->metrics->{stoa_in_flight}, 8, 'V4: eight at a time');
    $c->close;
    ok((wait_until { ($t->metrics->{stoa_in_flight} // 0) == 0 } 10),
       '... which end with their client');
    spew($t->dir('go'), '');
}
is(post('twenty', $s, [message(1, 'ping')])->{json}[0]{id}, 1,
   '... and the gateway goes on');
is(join("\n", grep { /\[(?:alert|crit|emerg)\]/ }
    $t->log_lines('gw', 'error.log')), '', 'nothing alarming was logged');

done_testing();
