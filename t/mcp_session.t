#!/usr/bin/perl

# Legacy sessions: upstream sessions are opened once per client session and
# upstream, again when the upstream forgot them, and survive what happens to
# nginx.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

# An upstream with sessions in a file: removing it is a restart that forgets.

my $book = $t->dir('sessions');
my $port = $t->origin(sub {
    my ($q) = @_;
    my @type = ('Content-Type' => 'application/json');
    my $m = json_decode($q->{body});
    return [405] unless $m;
    my $known = -f $book ? slurp($book) : '';
    my $id = $q->{headers}{'mcp-session-id'};
    my $ok = sub { [200, [@type, @{ $_[1] || [] }], json_encode({
        jsonrpc => '2.0', id => $m->{id}, result => $_[0] })] };

    if ($m->{method} eq 'initialize') {
        wait_until { !-f $t->dir('hold') } 20;
        my $new = sprintf 'up-%d-%d', $$, length $known;
        spew($book, "$known$new\n");
        return $ok->({ protocolVersion => $m->{params}{protocolVersion},
            capabilities => { tools => {} }, serverInfo => { name => 's',
            version => '1' } }, ['Mcp-Session-Id' => $new]);
    }
    return [400, [@type], '{"jsonrpc":"2.0","id":null,"error":'
            . '{"code":-32000,"message":"no session"}}'] unless defined $id;
    return [404, [@type], '{"jsonrpc":"2.0","id":null,"error":'
            . '{"code":-32001,"message":"gone"}}']
        unless $known =~ /^\Q$id\E$/m;
    return [202] unless exists $m->{id};
    return $ok->({ tools => [ { name => 'who', inputSchema => {
        type => 'object' } } ] }) if $m->{method} eq 'tools/list';
    return $ok->({ content => [ { type => 'text', text => $id } ] });
}, name => 'up');

$t->apply(demo(mcp => { up => $port }));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/up/tools')->{json}{items} || [] }
} 20 or $t->give_up('tools were not discovered');
$t->gateway(workers => 4);
my $key = $t->key('acme', 'app');
$t->sync;

sub who {
    my ($session) = @_;
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => 'up__who',
        arguments => {} }, key => $key, era => 'legacy', session => $session);
    return $r->{rpc}{result}{content}[0]{text} // "$r->{status} $r->{body}";
}
sub opened { scalar grep { $_->{body} =~ /"initialize"/ }
             $t->origin_log('up') }

my $base = opened();
my ($session) = $t->mcp_session('/mcp/acme', key => $key);
my ($other) = $t->mcp_session('/mcp/acme', key => $key);

is(opened(), $base + 2, 'initialize opens a session upstream');
my $first = who($session);
like($first, qr/^up-/, 'which the first call uses');
is(who($session), $first, 'the next uses it, on whichever worker')
    for 1 .. 8;
isnt(who($other), $first, 'another client session has its own');
is(opened(), $base + 2, 'two sessions were opened, not more');
unlike($session, qr/up-/, 'no upstream id is seen by the client');

# at once

my ($third) = $t->mcp_session('/mcp/acme', key => $key);
my @c = map { $t->connection } 1 .. 6;
my $body = json_encode({ jsonrpc => '2.0', id => 1, method => 'tools/call',
    params => { name => 'up__who', arguments => {} } });
$_->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
    . "Content-Type: application/json\r\nMcp-Session-Id: $third\r\n"
    . "MCP-Protocol-Version: 2025-11-25\r\nContent-Length: " . length($body)
    . "\r\nConnection: close\r\n\r\n$body") for @c;
my %ids;
for my $c (@c) {
    my ($all, $n) = ('');
    1 while $n = sysread $c->{sock}, $all, 4096, length $all;
    $ids{ $all =~ /"text":"(up-[^"]+)"/ ? $1 : $all }++;
    $c->close;
}
is_deeply([values %ids], [6], 'six calls at once share one upstream session')
    or diag(join "\n", keys %ids);

# forgotten upstream

unlink $book;
my $again = who($session);
like($again, qr/^up-/, 'an upstream that forgot is connected again');
is(who($session), $again, '... once');
like(who($other), qr/^up-/, '... for each session');

# a client that leaves while its session is opened leaves it to the next call

{
    my $was = opened();
    my $hold = $t->dir('hold');
    spew($hold, '');
    my ($id) = $t->mcp_session('/mcp/acme', key => $key);
    my $c = $t->connection;
    $c->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
        . "Content-Type: application/json\r\nMcp-Session-Id: $id\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
    wait_until { opened() == $was + 1 } 10;
    $c->close;
    wait_until { ($t->metrics->{stoa_in_flight} // 1) == 0 } 10;
    unlink $hold;
    like(who($id), qr/^up-/, 'it is there');
    is(opened(), $was + 1, 'and was opened once');
}

# nginx

$t->reload('gw');
is(who($session), $again, 'a reload breaks no session');
$t->stop('gw');
$t->start_nginx('gw');
$t->sync;
like(who($session), qr/^up-/, 'nor does a restart: a new one is opened');

# an upstream that refuses for good

$t->kill9('up');
my $r = $t->mcp('/mcp/acme', 'tools/call', { name => 'up__who',
    arguments => {} }, key => $key, era => 'legacy', session => $other);
is("$r->{json}{error}{code} $r->{json}{error}{data}{code}",
   '502 upstream_unreachable',
   'no upstream');

$t->done;
