#!/usr/bin/perl

# gRPC: calls of an api whose targets speak it, by clients and servers as there
# are, behind the same key, operations, limits and accounting.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module', 'wire');
my $f = Test::Stoa::FakeControl->new($t);
my $wire = "$Test::Stoa::PARTS/wire";
my $python = "$wire/venv/bin/python";
my $port = $t->port('grpc');

sub serve {
    my ($name, @more) = @_;
    $t->start($name, foreign => 1, argv => [$python, "$FindBin::Bin/sdk/grpc_server.py",
                              $t->port($name), @more]);
    return { grpc => \1, tls => \0, host => '127.0.0.1',
             port => $t->port($name), path => '', weight => 1 };
}
sub up {
    my ($name) = @_;
    return wait_until {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                              PeerPort => $t->port($name)) } 20;
}

my $target = serve('grpc');
my $gone = { %$target, port => $t->port('gone') };
my $key = $f->world(1);
my @ops = map { { id => Test::Stoa::FakeControl::id('m', $_->[0]),
    method => 'POST', path => $_->[1], enabled => $_->[2] ? \1 : \0 } }
    [1, '/shop.Orders/Get', 1], [2, '/shop.Orders/Off', 0],
    [3, '/shop.Orders/Hot', 1];

sub fid { return Test::Stoa::FakeControl::id(@_) }
sub subscribed {
    my ($n, %o) = @_;
    $f->put('plan', 'plan:' . fid('p', $n),
        { id => fid('p', $n), tenant => fid('t', 1), name => "p$n",
          state => 'active', rate => 0, per_ms => 1000, burst => 0,
          quota_day => 0, quota_month => 0, concurrency => 0,
          limit_by => 'subscription', %o });
    $f->put('subscription', 'sub:' . fid('a', 1) . ':' . fid('r', $n),
        { id => fid('s', $n), tenant => fid('t', 1),
          application => fid('a', 1), target => fid('r', $n),
          target_kind => 'api', plan => fid('p', $n), state => 'active',
          expires_ms => 0 });
}
my @own = (strip_base_path => \0);
$f->api(1, 1, targets => [$target], max_body_bytes => 100000);
$f->api(2, 1, targets => [$target], base_path => '/shop.Orders', @own,
        operations_only => \1, operations => [
            { %{ $ops[0] }, path => '/Get' }, { %{ $ops[1] }, path => '/Off' }]);
$f->api(3, 1, targets => [$target]);
$f->api(4, 1, targets => [$gone]);
$f->api(5, 1, targets => [$gone, $target], retries => 1);
$f->api(6, 1, targets => [$target], read_timeout_ms => 300);
$f->api(7, 1, targets => [$target]);
$f->api(8, $t->origin(sub { [200, [], 'plain'] }));
$f->api(9, 1, targets => [$target],
        breaker => [{ failures => 3, error_percent => 0, min_calls => 3,
            window_ms => 10000, open_ms => 60000, max_open_ms => 60000,
            probes => 1, max_open_percent => 100, statuses => [] }]);
$t->start('odd', foreign => 1, argv => [$python,
    "$FindBin::Bin/sdk/h2_server.py", $t->port('odd')]);
$f->api(10, 1, targets => [{ %$target, port => $t->port('odd') }],
        max_fails => 0);
$f->api(11, 1, targets => [$target], requires => [{ id => 32, version => 1 }],
    policies => [{ type => 'require-signature', name => 'signed',
        scope => 'api', state => 'enabled', config => { keys => [{
            keyid => 'a', application => 'b', public_key =>
        "-----BEGIN PUBLIC KEY-----\n"
        . "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        . "-----END PUBLIC KEY-----\n" }] } }]);
subscribed($_) for 2, 4 .. 11;
subscribed(3, quota_day => 2);
$f->save;

my $h2 = $t->port('h2');
$t->gateway(wait => 0, server => <<"END");
        listen 127.0.0.1:$h2 http2;
        http2_max_concurrent_streams 256;
END
$f->ready or die 'not ready';
up('grpc') && up('odd') or die 'no server';

# a child that is asked line by line

pipe(my $from_r, my $from_w) or die;
pipe(my $to_r, my $to_w) or die;
my $pid = fork // die;
if (!$pid) {
    open STDIN, '<&', $to_r;
    open STDOUT, '>&', $from_w;
    exec $python, "$FindBin::Bin/sdk/grpc_client.py", "127.0.0.1:$h2";
}
close $_ for $to_r, $from_w;
$to_w->autoflush(1);
sub py {
    my ($api, $method, %o) = @_;
    my $path = $api ? "/apis/acme/$api$method" : $method;
    $o{key} = $key if !exists $o{key};
    print $to_w json_encode({ method => $path, %o }), "\n";
    my $line = <$from_r> // die 'no client';
    return json_decode($line);
}
sub go {
    my ($method, $kind, @m) = @_;
    my $out = '';
    open(my $p, '-|', "$wire/grpc-client", "127.0.0.1:$h2", $key, $method,
         $kind, @m) or die;
    { local $/; $out = <$p>; }
    return json_decode($out);
}

# ---- what passes ---------------------------------------------------------

my $r = py('echo', '/shop.Orders/Get', send => ['abc']);
is($r->{code}, 0, 'unary') or diag(json_encode($r));
is($r->{got}[0], 'ABC', 'its answer');
is($r->{trailer}{'x-end'}, 'unary', 'trailers come through');
ok($r->{header}{'x-request-id'}, 'and our headers');
$r = py('echo', '/shop.Orders/Meta', metadata => [['x-tag', 'v']]);
like($r->{got}[0], qr/x-tag=v/, 'metadata goes on');
unlike($r->{got}[0], qr/stoa_live|x-api-key/, 'the key does not');
like($r->{got}[0], qr/x-request-id=/, 'what is ours does');
is(py('echo', '/shop.Orders/Join', kind => 'client',
      send => [qw(a b c)])->{got}[0], 'a+b+c', 'a stream of the client');
$r = py('echo', '/shop.Orders/Count', kind => 'server', send => ['4 0.3']);
is(join(',', @{ $r->{got} }), '0,1,2,3', 'a stream of the server');
ok($r->{at}[3] - $r->{at}[0] > 0.5, 'message by message') or
    diag(json_encode($r));
$r = py('echo', '/shop.Orders/Chat', kind => 'bidi', send => [qw(a b c)],
        wait => 0.3);
is(join(',', @{ $r->{got} }), 'A,B,C', 'both ways');
ok($r->{at}[2] - $r->{at}[0] > 0.3, 'as they come') or diag(json_encode($r));
is(py('echo', '/shop.Orders/Large', send => [3000000])->{got}[0], 3000000,
   'a large answer');
for ([unary => 'Get', ['ABC'], 'abc'], [server => 'Count', [0, 1], '2 0'],
     [client => 'Join', ['a+b'], 'a', 'b'],
     [bidi => 'Chat', ['A', 'B'], 'a', 'b'])
{
    my ($kind, $method, $want, @m) = @$_;
    $r = go("/apis/acme/echo/shop.Orders/$method", $kind, @m);
    is_deeply([$r->{Code}, $r->{Got}], [0, $want], "grpc-go: $kind")
        or diag(json_encode($r));
}

# ---- what is refused, in its words ---------------------------------------

sub refused {
    my ($r, $code, $why, $name) = @_;
    is($r->{code} // $r->{Code}, $code, $name) or diag(json_encode($r));
    like($r->{message} // $r->{Message}, $why, 'and why');
    return $r;
}
refused(py('echo', '/shop.Orders/Get', key => ''), 16, qr/^key_missing: /,
        'no key');
refused(py('echo', '/shop.Orders/Get', key => 'x'), 16, qr/^key_invalid: /,
        'no good key');
refused(py('api11', '/shop.Orders/Get'), 12, qr/^grpc_unable: /,
        'what would have to be signed');
refused(py('nothing', '/shop.Orders/Get'), 12, qr/^no_route: /, 'no api');
$r = py('', '/shop.Orders/Get', send => ['a']);
is($r->{code}, 0, 'an own path') or diag(json_encode($r));
refused(py('', '/shop.Orders/Off'), 12, qr/^no_route: /,
        'a method that is off');
refused(py('', '/shop.Orders/Other'), 12, qr/^no_route: /,
        'one that is not there');
is(py('api3', '/shop.Orders/Get')->{code}, 0, 'a quota') for 1 .. 2;
$r = refused(py('api3', '/shop.Orders/Get'), 8, qr/^quota_exceeded: /,
             'that is used up');
ok($r->{trailer}{'grpc-retry-pushback-ms'} > 1000, 'says when to come again')
    or diag(json_encode($r));
$r = go('/apis/acme/api3/shop.Orders/Get', 'unary', 'a');
refused($r, 8, qr/^quota_exceeded: /, 'grpc-go reads it as well');
refused(py('api4', '/shop.Orders/Get'), 14, qr/^upstream_unreachable: /,
        'nobody there');
for (1 .. 4) {
    is(py('api5', '/shop.Orders/Get', send => ['a'])->{got}[0], 'A',
       'another target is tried');
}
refused(py('api6', '/shop.Orders/Slow', send => ['1.5']), 4,
        qr/^upstream_timeout: /, 'no answer in time');
refused(py('echo', '/shop.Orders/Get', size => 100001), 8,
        qr/^body_too_large: /, 'a message that is too long');
is(py('echo', '/shop.Orders/Join', kind => 'client', size => 60000,
      send => [('') x 5])->{got}[0], 300004, 'a maximum is of each message');
$r = py('echo', '/shop.Orders/Chat', kind => 'bidi', wait => 0.2,
        send => ['a', 'b' x 100001]);
is(join(',', @{ $r->{got} }), 'A', 'a long one in the middle');
refused($r, 8, qr/^body_too_large: /, 'ends the call by trailers');
isnt(py('api8', '/shop.Orders/Get')->{code}, 0,
     'an api of HTTP is none of gRPC');

# ---- what answers count as ------------------------------------------------

for ([3, 400], [5, 404], [14, 503], [16, 401], [7, 403]) {
    $r = py('api7', '/shop.Orders/Fail', send => [$_->[0]]);
    is($r->{code}, $_->[0], "the upstream's status $_->[0]");
    is($r->{message}, "as asked: \x{fc}", 'its words');
    is($r->{trailer}{'x-why'}, 'asked', 'its trailers');
}
sub rows {
    my %n;
    for my $b ($f->posts('usage')) {
        for my $row (@{ $b->{rows} }) {
            next if $row->{api} ne fid('r', $_[0]);
            $n{$_} += $row->{$_} for qw(c2xx c4xx c5xx);
            $n{requests} += $row->{c2xx} + $row->{c4xx} + $row->{c5xx};
        }
    }
    return \%n;
}
my $n;
ok((wait_until { $n = rows(7); ($n->{requests} // 0) == 5 } 10),
   'counted') or diag(json_encode($n));
is("$n->{c4xx} $n->{c5xx}", '4 1', 'as their status says');

py('api9', '/shop.Orders/None') for 1 .. 4;
is(py('api9', '/shop.Orders/Get')->{code}, 0,
   'methods that are not there open no breaker');
py('api9', '/shop.Orders/Fail', send => [14]) for 1 .. 3;
refused(py('api9', '/shop.Orders/Get'), 14, qr/^upstream_open: /,
        'what fails does');

# ---- servers and callers as there should be none -----------------------------

is(py('api10', '/s.S/Fine')->{code}, 0, 'a server of frames');
for (['NoTrailers', 14, qr/^upstream_invalid: /, 'no trailers'],
     ['Reset', 14, qr/^upstream_invalid: /, 'a reset in the middle'],
     ['Early', 14, qr/^upstream_/, 'a reset before the head'],
     ['Huge', 14, qr/^upstream_/, 'more metadata than there is room for'],
     ['Html', '14|2', qr/./, 'a page, which the client reads'])
{
    my ($how, $code, $why, $what) = @$_;
    $r = py('api10', "/s.S/$how");
    like($r->{code}, qr/^(?:$code)$/, $what) or diag(json_encode($r));
    like($r->{message}, $why, 'and why') if $why ne qr/./;
    is(py('api10', '/s.S/Fine')->{code}, 0, 'the next call is as ever');
}
sub raw_to {
    my (@what) = @_;
    open(my $p, '-|', $python, "$FindBin::Bin/sdk/h2_client.py", $h2, $key,
         @what) or die;
    return join '', <$p>;
}
sub raw { return raw_to('/apis/acme/echo/shop.Orders/Get', @_) }
like(raw_to('/apis/acme/api10/s.S/Word', '0000000000'), qr/^fine \n/,
     "a status that is none is the target's, and the only one");
like(raw('0000000001', '61'), qr/^0 /, 'a message in two frames');
like(raw(qw(00 00 00 00 01 61)), qr/^0 /, 'byte by byte');
like(raw('0200000000'), qr/^3 bad_request: A message begins/,
     'a flag that there is not');
like(raw('00ffffffff'), qr/^8 body_too_large/, 'the longest message');
like(raw_to('/apis/acme/echo/shop.Orders/Chat', '000000000161', '-',
            '0300000000'), qr/^3 bad_request: A message begins/,
     'a flag of the second message, when the answer has begun');
like(raw_to('/apis/acme/echo/shop.Orders/Chat', '000000000161', '-',
            '00000f4240', '61'), qr/^8 body_too_large: /,
     'the last one that is too long is not left out in silence');
like(py('echo', '/shop.Orders/Get', metadata => [['x-much', 'v' x 6000]])->{code},
     qr/^0$/, 'metadata that is long');
isnt(py('echo', '/shop.Orders/Get', metadata => [map { ["x-$_", 'v' x 8000] } 1 .. 9])
         ->{code}, 0, 'metadata that is too long');
is(py('echo', '/shop.Orders/Get')->{code}, 0, 'harms nobody else');

# ---- what is no gRPC -------------------------------------------------------

$r = $t->http('POST', '/apis/acme/echo/shop.Orders/Get', key => $key,
    headers => { 'Content-Type' => 'application/grpc' }, body => "\0" x 5);
is($r->{status}, 415, 'over HTTP/1.1');
like($r->{body}, qr/"grpc_only"/, 'in words of HTTP');

# ---- the caller leaves, the key goes ----------------------------------------

$r = py('echo', '/shop.Orders/Count', kind => 'server', send => ['100 0.1'],
        stop => 2);
is($r->{code}, 1, 'who leaves');
is(py('echo', '/shop.Orders/Get', send => ['a'])->{code}, 0, 'goes on');
$r = py('echo', '/shop.Orders/Slow', send => ['5'], timeout => 0.5);
is($r->{code}, 4, 'who waits no longer');
is(py('echo', '/shop.Orders/Get', send => ['a'])->{code}, 0,
   'says nothing of the target');

my $revoke = fork // die;
if (!$revoke) {
    select undef, undef, undef, 1;
    $f->credential(1, state => 'revoked');
    $f->save;
    POSIX::_exit(0);
}
$r = py('echo', '/shop.Orders/Count', kind => 'server', send => ['100 0.1']);
waitpid $revoke, 0;
refused($r, 7, qr/would be refused now/, 'a key that is revoked meanwhile');
ok(@{ $r->{got} } < 60, 'ends the call') or diag(scalar @{ $r->{got} });

$t->stop('grpc', 'KILL') if 0;
kill 'TERM', $pid;
waitpid $pid, 0;
$t->allow_log(qr/upstream|too long|stoa: the call ends|too large/);
$f->done;
