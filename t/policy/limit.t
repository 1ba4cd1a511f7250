#!/usr/bin/perl

# rate-limit: a rate of calls that have something in common, as a bucket and as
# a window.  What one limit refuses no other is charged for.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $to = 'http://127.0.0.1:' . $t->origin(sub { return [200, [], 'ok'] });
my $mcp = $t->mcp_origin(name => 'm', tools => {
    map { my $n = $_; $n => sub { $n } } qw(one two) });

my $hour = 3_600_000;
sub limit { my ($name, $attach, %config) = @_;
            my $state = delete $config{state};
            return doc('Policy', 'acme', $name, { type => 'rate-limit',
                config => \%config, attach => $attach,
                $state ? (state => $state) : () }) }

my @apis = qw(all each header window order shadow wide slow flood calm);
$t->apply(docs(tenant('acme'), plan('acme', 'free', rate => 0),
    plan('acme', 'three', quota_day => 3),
    (map { app('acme', $_) } qw(a b)),
    (map { my $n = $_; (rest('acme', $n, $to, operations => [
        { name => 'one', method => 'GET', path => '/one' },
        { name => 'two', method => 'GET', path => '/two' }]),
        sub_('acme', 'a', $n, $n eq 'order' ? 'three' : 'free'),
        sub_('acme', 'b', $n, 'free')) } @apis),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    sub_('acme', 'a', 'm', 'free'),
    limit('all', [{ api => 'all' }], rate => 3, per_ms => $hour),
    limit('each', [{ api => 'each' }], rate => 2, per_ms => $hour,
          by => ['application', 'operation']),
    limit('header', [{ api => 'header' }], rate => 2, per_ms => $hour,
          by => ['header:X-Room', 'argument:q', 'address']),
    limit('window', [{ api => 'window' }], rate => 5, per_ms => $hour,
          algorithm => 'window', by => ['credential']),
    limit('order', [{ api => 'order' }], rate => 4, per_ms => $hour),
    limit('shadow', [{ api => 'shadow' }], rate => 1, per_ms => $hour,
          state => 'shadow'),
    limit('wide', [{ api => 'wide' }], rate => 200, per_ms => $hour,
          algorithm => 'window'),
    limit('slow', [{ api => 'slow' }], rate => 3, per_ms => 1000,
          algorithm => 'window'),
    limit('flood', [{ api => 'flood' }], rate => 2, per_ms => 24 * $hour,
          by => ['argument:q']),
    limit('calm', [{ api => 'calm' }], rate => 1, per_ms => $hour,
          by => ['application', 'operation']),
    limit('tool', [{ api => 'm' }], rate => 2, per_ms => $hour,
          by => ['tool']),
    limit('sub', [{ plan => 'subs' }], rate => 2, per_ms => $hour,
          by => ['subscription']), plan('acme', 'subs', rate => 0),
    (map { (rest('acme', $_, $to), sub_('acme', 'a', $_, 'subs'),
            sub_('acme', 'b', $_, 'subs')) } qw(suba subb)),
    rest('acme', 'net', $to), sub_('acme', 'a', 'net', 'free'),
    limit('net', [{ api => 'net' }], rate => 2, per_ms => $hour,
          by => ['address'])));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } == 2 } 20 or $t->give_up('no tools');
$t->gateway(workers => 4, zone => 'stoa:1m',      # 28 thousand slots
            http => 'real_ip_header X-Real-IP; set_real_ip_from 127.0.0.1;');
my %key = map { $_ => $t->key('acme', $_) } qw(a b);
$t->sync;

sub call { my ($who, $path, %headers) = @_;
           my $r = $t->get("/apis/acme/$path", key => $key{$who},
               headers => \%headers);
           return ($r->{status} == 200 ? 'ok' : $r->{json}{code}) }
sub many { my ($n, @what) = @_; return join ' ', map { call(@what) } 1 .. $n }

is(many(3, 'a', 'all/one'), 'ok ok ok', 'all calls of an api share one');
my $r = $t->get('/apis/acme/all/two', key => $key{b});
is($r->{status}, 429, '... whoever calls');
is($r->{json}{code}, 'rate_exceeded', '... and is told so');
cmp_ok($r->{headers}{'retry-after'}, '>', 1000, '... and for how long');

is(many(3, 'a', 'each/one'), 'ok ok rate_exceeded', 'by application');
is(many(2, 'a', 'each/two'), 'ok ok', '... and operation');
is(many(3, 'b', 'each/one'), 'ok ok rate_exceeded', "another's is his own");

my @room = ('X-Room' => 'r1');
is(many(3, 'a', 'header/one?q=1', @room), 'ok ok rate_exceeded', 'by a header');
is(many(1, 'a', 'header/one?q=2', @room), 'ok', '... and an argument');
is(many(1, 'a', 'header/one?q=1', 'X-Room' => 'r2'), 'ok', 'other values');
is(many(3, 'b', 'header/one'), 'ok ok rate_exceeded', 'none share one');

is(many(1, 'a', 'header/one?%71=%31', @room), 'rate_exceeded',
   'an argument is the same however it is escaped');
is(many(1, 'a', 'header/one?Q=7&q=1', @room), 'rate_exceeded',
   '... and not by a name of another case');
is(join(' ', map { call('a', "header/one?q=$_&q=1", @room) } 1 .. 3),
   'ok ok rate_exceeded', '... and not more often for being there twice');

is(many(3, 'a', 'suba/one'), 'ok ok rate_exceeded', 'by subscription');
is(many(3, 'a', 'subb/one'), 'ok ok rate_exceeded',
   "... another one's of the same plan is its own");
is(many(3, 'b', 'suba/one'), 'ok ok rate_exceeded',
   "... and another application's");

sub net { return call('a', 'net/one', 'X-Real-IP' => $_[0]) }
is(join(' ', map { net("2001:db8:0:7::$_") } 1 .. 3), 'ok ok rate_exceeded',
   'IPv6: a /64 is one address');
is(net('2001:db8:0:7:ffff:ffff:ffff:ffff'), 'rate_exceeded', '... to its end');
is(net('2001:db8:0:8::1'), 'ok', '... the next one is another');
is(join(' ', map { net("192.0.2.$_") } 1, 1, 1, 2), 'ok ok rate_exceeded ok',
   'IPv4: each is its own');

is(many(6, 'a', 'window/one'), 'ok ok ok ok ok rate_exceeded', 'a window');
is(many(1, 'b', 'window/one'), 'ok', '... by credential');
$r = $t->get('/apis/acme/window/one', key => $key{a});
cmp_ok($r->{headers}{'retry-after'}, '<=', 3960, 'all of it is a tenth longer');
cmp_ok($r->{headers}{'retry-after'}, '>', 3200, '... at most, and not less');

# three pass the quota; what it refuses the policy gets back

is(many(5, 'a', 'order/one'), join(' ', ('ok') x 3, ('quota_exceeded') x 2),
   'another limit refuses');
is(many(2, 'b', 'order/one'), 'ok rate_exceeded', 'and it is not charged');
is(many(3, 'a', 'shadow/one'), 'ok ok ok', 'a shadow refuses nobody');
my $m = 'stoa_policy_total{policy_type="rate-limit",outcome="shadow_refused"}';
ok((wait_until { ($t->metrics->{$m} // 0) == 2 } 10), '... and counts it');

sub tool { my ($name) = @_;
           my $c = $t->mcp('/mcp/acme', 'tools/call', { name => "m__$name",
               arguments => {} }, key => $key{a});
           return $c->{rpc}{error} ? $c->{rpc}{error}{data}{code} : 'ok' }
is(join(' ', map { tool($_) } qw(one one one two)),
   'ok ok rate_exceeded ok', 'MCP: by tool');

# at once, by four workers: as many as it allows, and no more

my @pids = map { my $n = $_; my $pid = fork // die "fork: $!";
    if (!$pid) {
        my $ok = grep { call('a', 'wide/one') eq 'ok' } 1 .. 100;
        spew($t->dir("ok.$n"), $ok);
        POSIX::_exit(0);
    } $pid } 1 .. 4;
waitpid $_, 0 for @pids;
my $ok = 0;
$ok += slurp($t->dir("ok.$_")) for 1 .. 4;
cmp_ok($ok, '<=', 200, 'four at once: not one too many');
cmp_ok($ok, '>=', 190, '... and nearly all');

is(many(4, 'a', 'slow/one'), 'ok ok ok rate_exceeded', 'a short window');
ok((wait_until { call('a', 'slow/one') eq 'ok' } 10), '... moves on');

# one caller makes up more keys than there is room for: he hurts himself alone

my $c;
for my $n (1 .. 640) {
    $c = $t->connection(timeout => 30) unless $n % 19 > 1;
    $c->send_raw(join '', map { "HEAD /apis/acme/flood/one?q=$n.$_ HTTP/1.1\r\n"
        . "Host: x\r\nX-API-Key: $key{a}\r\n\r\n" } 1 .. 50);
    $c->response(head => 1, timeout => 30) for 1 .. 50;
}
cmp_ok($t->metrics->{stoa_rate_slots_missed_total} // 0, '>', 0,
       'made up keys fill their part of the zone');
is(join(' ', map { call('a', "flood/one?q=$_") } 'x' .. 'z'),
   'rate_exceeded rate_exceeded rate_exceeded', '... then share an allowance');
is(join(' ', map { my $n = $_; map { call($_, "calm/$n") } qw(a b) }
        qw(one two)), 'ok ok ok ok', '... and what others count has room');

sub refused { my (%config) = @_;
              return $t->api('POST', '/v1/tenants/acme/policies', {
                  name => 'x', type => 'rate-limit', config => \%config })
                  ->{status} }
is(refused(rate => 1, by => ['phase']), 422, 'what is no word');
is(refused(rate => 1, by => ['header:a b']), 422, 'what is no name');
is(refused(rate => 1, algorithm => 'window', burst => 2), 422,
   'a window has no burst');
is(refused(rate => 1, algorithm => 'window', per_ms => 10), 422,
   '... and is not that short');
is(refused(per_ms => 10), 422, 'a rate is asked for');

$t->done;
