#!/usr/bin/perl

# Calls that wait for a name when something happens: the client leaves, the
# api changes or goes, the gateway reloads or ends, the answer comes late;
# over HTTP/1.1 and HTTP/2.  And what only HTTP/2 can send.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;
use Test::Stoa::Base qw(slurp spew wait_until json_decode);
use IO::Socket::INET;
use Time::HiRes qw(sleep time);

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin;
my $dns = $t->port('dns');
my $h2 = $t->port('h2');
my $sock = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.3',
    LocalPort => $dns) or die "dns: $!";

# it answers 127.0.0.1 to A, once dns.go is there; what came before too

$t->start('dns', foreign => 1, code => sub {
    my @wait;
    for (;;) {
        my $r = '';
        vec($r, fileno $sock, 1) = 1;
        if (select $r, undef, undef, 0.02) {
            my $peer = $sock->recv(my $q, 512) or next;
            push @wait, [$peer, $q];
        }
        next unless -e $t->dir('dns.go');
        while (my $w = shift @wait) {
            my ($peer, $q) = @$w;
            my $end = index($q, "\0", 12) + 5;
            my $a = unpack('n', substr $q, $end - 4, 2) == 1;
            $sock->send(pack('nnnnnn', unpack('n', $q), 0x8180, 1, $a, 0, 0)
                . substr($q, 12, $end - 12)
                . ($a ? pack('nnnNn', 0xc00c, 1, 1, 1, 4) . "\x7f\0\0\1" : ''),
                0, $peer);
        }
    }
});

my $key = $f->world($port, concurrency => 50);
sub fid { return Test::Stoa::FakeControl::id(@_) }
sub named { my ($i, $host, %o) = @_;
    $f->api($i, $port, targets => [{ tls => \0, host => $host,
        port => $port, path => '', weight => 1 }], %o);
    $f->put('subscription', 'sub:' . fid('a', 1) . ':' . fid('r', $i),
        { id => fid('s', $i), tenant => fid('t', 1),
          application => fid('a', 1), target => fid('r', $i),
          target_kind => 'api', plan => fid('p', 1), state => 'active',
          expires_ms => 0 }) }
named($_, "n$_.test") for 2 .. 9;
$f->api(1, $port, key_query => 'k', identity => 'headers');
$f->save;
my %gw = (wait => 0, workers => 2, location => 'resolver_timeout 8s;',
    http => "resolver 127.0.0.3:$dns ipv6=off valid=1s;\n"
    . "log_format full '\$request|\$request_uri|\$args';\n"
    . "server { listen 127.0.0.1:$h2 http2; access_log logs/h2.log full;\n"
    . 'location / { stoa; resolver_timeout 8s; } }');
$gw{http} =~ s/ipv6=off //;
$t->gateway(%gw);
$f->ready or die 'not ready';

sub start { my ($i, $cut) = @_;
    my $c = $t->connection;
    $c->send_raw("POST /apis/acme/api$i/x HTTP/1.1\r\nHost: x\r\n"
        . "X-API-Key: $key\r\nContent-Length: 4\r\n\r\n"
        . ($cut ? 'ab' : 'abcd'));
    return $c }
my @curls;
sub curl { my ($path, @more) = @_;
    my $out = $t->dir('curl' . @curls);
    my $pid = fork // die;
    if (!$pid) {
        open STDOUT, '>', $out;
        open STDERR, '>', '/dev/null';
        exec 'curl', '-s', '-m', 12, '--http2-prior-knowledge', '-w',
            "\n%{http_code}", (grep { $_ eq 'X-API-Key:' } @more) ? ()
                : ('-H', "X-API-Key: $key"), @more,
            "http://127.0.0.1:$h2$path";
    }
    push @curls, $pid;
    return [$pid, $out] }
sub end { my ($c) = @_; waitpid $c->[0], 0;
          return (split /\n/, slurp($c->[1]))[-1] // '' }
sub in_flight { my $m = $t->metrics;
                my ($k) = grep { /^stoa_.*in_flight/ } keys %$m;
                return $m->{$k} }


# the client leaves

my @c = ((map { start($_ % 2 + 2, $_ % 3 == 0) } 1 .. 8));
my @h = map { curl("/apis/acme/api" . ($_ % 2 + 2) . '/x') } 1 .. 4;
is((wait_until { in_flight() == 12 } 5), 1, 'twelve wait for a name')
    or diag(in_flight());
$_->close for @c;
kill 'KILL', map { $_->[0] } @h;
end($_) for @h;
is((wait_until { in_flight() == 0 } 5), 1, 'those who left are forgotten')
    or diag(in_flight());

# the api changes, goes, is suspended from under it

my $a = start(4);
my $b = start(5);
my $hb = curl('/apis/acme/api5/x');
my $d = start(6);
is((wait_until { in_flight() == 4 } 5), 1, 'four wait');
named(4, '127.0.0.1');
$f->delete('api', 'api:' . fid('r', 5));
$f->put('tenant', 'tenant:' . fid('t', 1),
        { id => fid('t', 1), name => 'acme', state => 'suspended' });
$f->save;
ok($f->ready, 'their api changes or goes');
$t->get('/apis/acme/api4/x', key => $key) for 1 .. 4;
spew($t->dir('dns.go'), '');
like(join(' ', (map { $_->response(timeout => 12)->{status} } $a, $b, $d),
          end($hb)), qr/^(?:(?:200|403|404|502) ?){4}$/,
     'all get an answer');
$f->put('tenant', 'tenant:' . fid('t', 1),
        { id => fid('t', 1), name => 'acme', state => 'active' });
$f->save;
$f->ready;
unlink $t->dir('dns.go');

# reload, then the end, while they wait; the answer comes late

$a = start(7);
$hb = curl('/apis/acme/api7/x');
is((wait_until { in_flight() == 2 } 5), 1, 'two wait');
ok($t->reload('gw'), 'a reload');
spew($t->dir('dns.go'), '');
is($a->response(timeout => 12)->{status}, 200, 'the old worker answers');
is(end($hb), 200, 'over HTTP/2 too');
unlink $t->dir('dns.go');
sleep 1.2;
$a = start(8);
$b = start(9);
$hb = curl('/apis/acme/api8/x');
is((wait_until { in_flight() == 3 } 5), 1, 'three wait');
kill 'QUIT', $t->pid('gw');
$b->close;
sleep 0.3;
spew($t->dir('dns.go'), '');
is($a->response(timeout => 12)->{status}, 200, 'at the end too');
is(end($hb), 200, 'over HTTP/2 too');
wait_until { !$t->alive('gw') } 12;
$t->stop('gw');

# ... and not in time: a TERM with calls that wait

unlink $t->dir('dns.go');
$t->gateway(%gw);
$f->ready;
$a = start(8);
$hb = curl('/apis/acme/api9/x');
is((wait_until { in_flight() == 2 } 5), 1, 'two wait');
kill 'TERM', $t->pid('gw');
wait_until { !$t->alive('gw') } 12;
end($hb);
$t->stop('gw');


# what only HTTP/2 can send

$t->gateway(%gw);
$f->ready;
sub one { my ($path, @more) = @_;
          my $c = curl($path, @more);
          my $code = end($c);
          my ($body) = slurp($c->[1]) =~ /\A(.*)\n\d+\z/s;
          return ($code, json_decode($body // '')) }
my ($code, $j) = one("/apis/acme/echo/a?k=$key&x=1", '-H', 'X-API-Key:');
is($code, 200, 'a key in the query');
is("$j->{path}?$j->{query}", '/a?x=1', 'is not for the upstream');
is(scalar(grep { /\Q$key/ } $t->log_lines('gw', 'h2.log'),
          $t->log_lines('gw', 'error.log')), 0, 'nor for the logs');
($code, $j) = one('/apis/acme/echo/a?k=a&x=a/b', '-H', 'Host: other.test',
    '-H', 'x-stoa-tenant: evil', '-H', 'te: trailers');
is("$code $j->{path}?$j->{query}", '200 /a?x=a/b', 'a short one');
is($j->{headers}{'x-stoa-tenant'}, 'acme', 'who calls, the gateway says');
($code) = one('/apis/acme/echo/../../../../x', '--path-as-is');
is($code, 400, 'a path above the root');
($code) = one('/apis/acme/echo/%2e%2e%3b/x', '--path-as-is');
is($code, 400, 'an ambiguous one');
($code) = one('/apis/acme/echo/a', '-X', 'TRACE');
is($code, 405, 'TRACE');
($code) = one('/apis/acme/echo/a', '-H', 'X-API-Key:');
is($code, 401, 'no key');

$f->done;
