#!/usr/bin/perl

# result-limit: answers that are too long, by what says how long they are: of
# REST, of MCP as JSON and in streams, in each cell of the eras.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

# REST: by Content-Length, in chunks, until it closes

my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q, $c) = @_;
    my ($how, $n) = $q->{path} =~ m{/(\w+)/(\d+)} or return [200, [], 'ok'];
    my $body = 'x' x $n;
    return [200, [], $body] if $how eq 'length';
    return [304, ['Content-Length' => $n], ''] if $how eq 'same';
    my $head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    $c->send_raw($how eq 'chunks'
        ? $head . "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
          . join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
                 $body =~ /.{1,100}/gs) . "0\r\n\r\n"
        : $head . "Connection: close\r\n\r\n$body");
    return undef;
});
my %tools = map { my $n = $_; "t$n" => sub { 'y' x $n } } qw(10 900 1000 9000);
my %more = (
    stream => sub { return { sse => [map { { jsonrpc => '2.0',
        method => 'notifications/message', params => { level => 'info',
        data => "n$_" } } } 1 .. 60], result => {
            content => [{ type => 'text', text => 'y' x ($_[0]{n} || 10) }] } } },
    loud => sub { return { sse => [{ jsonrpc => '2.0',
        method => 'notifications/message', params => { level => 'info',
        data => 'n' x 2000 } }], result => { content => [] } } },
);
my %mcp = map { $_ => $t->mcp_origin(name => $_, era => $_,
    tools => { %tools, %more }) } qw(modern legacy);

# of a length that nobody says

my $dual = { era => 'dual', name => 'chunks', tools => { %tools, %more },
    versions => [$Test::Stoa::MCP::MODERN, @Test::Stoa::MCP::LEGACY] };
$mcp{chunks} = $t->origin(sub {
    my ($q, $c) = @_;
    my $a = Test::Stoa::MCP::answer($dual, $q, $c);
    return $a unless $a && $a->[2] && $q->{body} =~ m{tools/call};
    my %h = @{ $a->[1] };
    $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: $h{'Content-Type'}\r\n"
        . "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        . join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
               $a->[2] =~ /.{1,500}/gs) . "0\r\n\r\n");
    return undef;
}, name => 'chunks');

sub policy { my ($name, $attach, $max, %o) = @_;
             return doc('Policy', 'acme', $name, { type => 'result-limit',
                 config => { max_bytes => $max }, attach => $attach, %o }) }
$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    (map { (rest('acme', $_, $to), sub_('acme', 'demo', $_, 'free')) }
     qw(echo free shade)),
    (map { (doc('Api', 'acme', $_, { kind => 'mcp', state => 'published',
        upstream => { targets => [
            { url => "http://127.0.0.1:$mcp{$_}/mcp" }] } }),
        sub_('acme', 'demo', $_, 'free')) } sort keys %mcp),
    policy('rest', [{ api => 'echo' }], 1000),
    policy('wide', [{ tenant => 'acme' }], 1_000_000),
    policy('try', [{ api => 'shade' }], 10, state => 'shadow'),
    policy('mcp', [map { { api => $_ } } sort keys %mcp], 1200),
    policy('tool', [{ api => 'legacy', tool => 't900' }], 100)));
for my $api (sort keys %mcp) {
    wait_until { @{ $t->api('GET', "/v1/tenants/acme/apis/$api/tools")
                 ->{json}{items} || [] } == 6 } 20 or $t->give_up('no tools');
}
$t->gateway(workers => 2);
my $key = $t->key('acme', 'demo');
$t->sync;

sub get_ { my ($path, %o) = @_;
    my $r = $t->http($o{method} || 'GET', "/apis/acme/$path", key => $key);
    return "$r->{status} " . ($r->{json}{code} // '') . ' '
           . length($r->{body} // '') }

for my $round (1, 2) {                         # the second by the fast lane
    is(get_('echo/length/1000'), '200  1000', "the limit itself, $round");
    like(get_('echo/length/1001'), qr/^502 result_too_large /,
         "one more, $round");
}
like($t->get('/apis/acme/echo/length/1001', key => $key)->{json}{detail},
     qr/the limit is 1000 bytes/, 'which limit');
is(get_('echo/chunks/1000'), '200  1000', 'chunks: the limit itself');
my $r = $t->get('/apis/acme/echo/chunks/5000', key => $key);
ok(!$r->{status} || $r->{error} || length($r->{body} // '') < 5000,
   'chunks: what goes on is cut') or diag(explain($r));
is(get_('echo/length/99999', method => 'HEAD'), '200  0', 'HEAD has no body');
is(get_('echo/same/99999'), '304  0', 'nor has 304');
is(get_('free/length/5000'), '200  5000', 'another api');
is(get_('shade/length/5000'), '200  5000', 'a shadow');
is(get_('shade/chunks/5000'), '200  5000', '... of chunks');

sub call { my ($api, $tool, $args, %o) = @_;
    return $t->mcp('/mcp/acme', 'tools/call', { name => "${api}__$tool",
        arguments => $args || {} }, key => $key, %o) }
sub told { my ($r) = @_;
    return $r->{rpc}{error} ? "$r->{rpc}{error}{code} "
        . $r->{rpc}{error}{data}{code} : 'ok' }

my ($session) = $t->mcp_session('/mcp/acme', key => $key);
for my $api (qw(modern legacy)) {
    for my $era (qw(modern legacy)) {
        my @as = (era => $era, $era eq 'legacy' ? (session => $session) : ());
        my $what = "$era client, $api upstream";
        is(told(call($api, 't1000', {}, @as)), 'ok', "$what: JSON");
        my $r = call($api, 't9000', {}, @as);
        is(told($r), '502 result_too_large', "$what: too long");
        is($r->{status}, 200, '... said in JSON-RPC');
        like($r->{rpc}{error}{message}, qr/the limit is 1200 bytes/,
             '... with the limit');
        $r = call($api, 'stream', {}, @as);
        is(told($r), 'ok', "$what: a long stream of short messages");
        $r = call($api, 'stream', { n => 9000 }, @as);
        is(told($r), '502 result_too_large', "$what: its answer is too long");
        cmp_ok(scalar @{ $r->{events} }, '>', $era eq $api ? 50 : -1,
               '... an event behind the others');
        is(told(call($api, 'loud', {}, @as)), '502 result_too_large',
           "$what: a message that is too long");
    }
}
for my $era (qw(modern legacy)) {
    my @as = (era => $era, $era eq 'legacy' ? (session => $session) : ());
    is(told(call('chunks', 't1000', {}, @as)), 'ok', "$era, JSON in chunks");
    is(told(call('chunks', 't9000', {}, @as)), '502 result_too_large',
       '... too long');
}
is(told(call('legacy', 't900')), '502 result_too_large', 'a tool\'s own limit');
is(told(call('legacy', 't10')), 'ok', '... is not another\'s');

my $m = $t->metrics;
cmp_ok($m->{'stoa_policy_total{policy_type="result-limit",outcome="refused"}'},
       '>', 10, 'counted');
is($m->{'stoa_policy_total{policy_type="result-limit",'
        . 'outcome="shadow_refused"}'}, 2, 'and the shadow, once a call');
$t->allow_log(qr/the answer is cut/);

$t->done;
