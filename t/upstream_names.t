#!/usr/bin/perl

# Names of upstreams through nginx's resolver, against a tiny DNS server:
# waiting, keeping, several addresses, refreshing, failing, stale answers, no
# resolver; connections kept alive and given up.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

use IO::Socket::INET;

my $t = Test::Stoa->new->has('module', 'control');

# answers what is in the folder dns/: a file per name with addresses; "slow"
# in it waits; each query is a line in dns.log

my $dns = $t->port('dns');
my $lock = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.3',
    LocalPort => $dns) or die "dns: $!";
mkdir $t->dir('dns');
sub name { my ($name, @a) = @_;
           spew($t->dir("dns/.$name"), "@a");
           rename $t->dir("dns/.$name"), $t->dir("dns/$name") }
$t->start('dns', foreign => 1, code => sub {
    for (;;) {
        my $peer = $lock->recv(my $q, 512) or next;
        my ($id, undef, $n) = unpack 'nnn', $q;
        my ($off, @labels) = (12);
        while (my $l = ord substr $q, $off, 1) {
            push @labels, substr $q, $off + 1, $l;
            $off += $l + 1;
        }
        my $name = lc join '.', @labels;
        my $type = unpack 'n', substr $q, $off + 1, 2;
        my @a = split ' ', slurp($t->dir("dns/$name"));
        open my $fh, '>>', $t->dir('dns.log');
        print $fh "$name $type\n";
        close $fh;
        next if grep { $_ eq 'mute' } @a;
        select undef, undef, undef, 0.4 if grep { $_ eq 'slow' } @a;
        my @ip = $type == 1 ? grep { /^[\d.]+$/ } @a : ();
        my $ttl = (map { /^ttl=(\d+)/ ? $1 : () } @a)[0] // 60;
        my $rcode = -f $t->dir("dns/$name") ? 0 : 3;
        $lock->send(pack('nnnnnn', $id, 0x8180 | $rcode, 1, scalar @ip, 0, 0)
            . substr($q, 12, $off + 5 - 12)
            . join('', map { pack('nnnNn', 0xc00c, 1, 1, $ttl, 4)
                             . pack('C4', split /\./) } @ip), 0, $peer);
    }
});
sub asked { my ($name) = @_;
            return scalar grep { /^\Q$name\E 1$/ }
                split /\n/, slurp($t->dir('dns.log')) }

$t->control;
my $port = $t->origin(sub {
    my ($q) = @_;
    return [200, ['Content-Type' => 'application/json'], json_encode({
        host => $q->{headers}{host}, n => $q->{n}, pid => $$ })];
});
name('up.test', '127.0.0.1');
name('slow.test', 'slow', '127.0.0.1');
name('two.test', '127.0.0.9', '127.0.0.1');
name('short.test', 'ttl=1', '127.0.0.1');
name($_, 'mute') for 'mute.test', 'late.test';
my @names = qw(turn.test late.test up.test slow.test two.test short.test mute.test none.test);
$t->apply(docs(tenant('acme'), app('acme', 'demo'), plan('acme', 'free'),
    (map { my $api = s/\W/-/gr;
           (rest('acme', $api, "http://$_:$port", upstream =>
                 { fail_timeout_ms => 60000, connect_timeout_ms => 1000 }),
            sub_('acme', 'demo', $api, 'free')) } @names),
    rest('acme', 'mixed', ["http://none.test:$port",
                           "http://127.0.0.1:$port"]),
    sub_('acme', 'demo', 'mixed', 'free')));
$t->gateway(server => "resolver 127.0.0.3:$dns ipv6=off; "
            . 'resolver_timeout 30s;');
my $key = $t->key('acme', 'demo');
$t->sync;
sub call { my ($api, %o) = @_;
           return $t->get("/apis/acme/$api/", key => $key, %o) }


my $r = call('up-test');
is($r->{status}, 200, 'a name');
is($r->{json}{host}, "up.test:$port", 'its Host');
my $pid = $r->{json}{pid};
$r = call('up-test');
is("$r->{json}{pid} $r->{json}{n}", "$pid 2", 'the connection is kept');
is(asked('up.test'), 1, 'asked once');

my @c = map { $t->connection } 1 .. 5;
$_->send_raw($_->request_text('GET', '/apis/acme/slow-test/',
    headers => { 'X-API-Key' => $key })) for @c;
is(join(' ', map { $_->response->{status} } @c), '200 200 200 200 200',
   'requests wait for one answer');
$_->close for @c;
is(asked('slow.test'), 1, 'asked once');

is(join(' ', map { call('two-test')->{status} } 1 .. 6),
   '200 200 200 200 200 200', 'a dead address among two');

is(call('none-test')->{status}, 502, 'no such name');
is(call('none-test')->{json}{code}, 'upstream_unreachable',
   'upstream_unreachable');
call('none-test') for 1 .. 6;
cmp_ok(asked('none.test'), '<', 8, 'and not asked each time');
is(call('mixed')->{status}, 200, 'a literal target beside it');

# a resolver that is silent: no longer than a connection may take, and over
# with the first answer

@c = map { $t->connection(timeout => 10) } 1 .. 3;
$_->send_raw($_->request_text('GET', '/apis/acme/late-test/',
    headers => { 'X-API-Key' => $key })) for @c;
is(join(' ', map { $_->response->{status} } @c), '502 502 502',
   'no answer: refused long before the resolver gives up');
$_->close for @c;
name('late.test', '127.0.0.1');
ok((wait_until { call('late-test')->{status} == 200 } 4),
   'an answer heals it');
is(call('late-test')->{status}, 200, 'for good');

my $gone = $t->connection;
$gone->send_raw($gone->request_text('GET', '/apis/acme/mute-test/',
    headers => { 'X-API-Key' => $key }));
select undef, undef, undef, 0.2;
$gone->reset;
is(call('mute-test')->{status}, 502, 'no answer, after a client left');
is(call('up-test')->{status}, 200, 'the worker lives');

# refreshed in the background; when that fails, the old ones stay

is(call('short-test')->{status}, 200, 'a short TTL');
select undef, undef, undef, 2.2;
name('short.test', 'mute');
my $asked = asked('short.test');
my $before = time;
is(call('short-test')->{status}, 200, 'stale, at once');
ok(time - $before < 1.5, 'without waiting');
ok((wait_until { asked('short.test') > $asked } 3), 'asked in the background');
select undef, undef, undef, 1.5;
is(call('short-test')->{status}, 200, 'the old address stays');
name('short.test', '127.0.0.8', 'ttl=1');

# a name that turns to an address that is not listed (rebinding)

name('turn.test', 'ttl=1', '127.0.0.1');
$t->gateway(name => 'strict', allow => 'stoa_upstream_allow 127.0.0.1;',
    server => "resolver 127.0.0.3:$dns ipv6=off;");
is(call('turn-test', gateway => 'strict')->{status}, 200, 'listed');
name('turn.test', 'ttl=1', '127.0.0.2');
ok((wait_until {
    call('turn-test', gateway => 'strict')->{status} == 502
} 10), 'the same name, and an address that is not');
my @not = grep { m{"turn.test" is not asked at 127\.0\.0\.2} }
          $t->log_lines('strict', 'error.log');
cmp_ok(scalar(@not), '>', 0, 'is not asked, and it is said');
name('turn.test', 'ttl=1', '127.0.0.2', '127.0.0.1');
ok((wait_until {
    call('turn-test', gateway => 'strict')->{status} == 200
} 10), 'of two addresses the listed one is');
$t->stop('strict');

# no resolver

$t->gateway(name => 'bare');
$r = call('up-test', gateway => 'bare');
is("$r->{status} $r->{json}{code}", '502 upstream_unreachable',
   'no resolver');
call('up-test', gateway => 'bare') for 1 .. 5;
my @lines = grep { /no "resolver" is defined to resolve the upstream "up/ }
            $t->log_lines('bare', 'error.log');
is(scalar(@lines), 1, 'said once, not at each request');

$t->done;
