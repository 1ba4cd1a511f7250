#!/usr/bin/perl

# MCP seals with the keys of the gateway's group: without one it is not ready.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $key = $f->world($t->origin);
my $row = 'sealkey:' . id('k', 1);
sub id { return Test::Stoa::FakeControl::id(@_) }
$f->delete('sealkey', $row);
$f->api(2, $t->port('none'), kind => 'mcp', era => 'legacy');
$f->put('subscription', 'sub:' . id('a', 1) . ':' . id('r', 2),
    { id => id('s', 2), tenant => id('t', 1), application => id('a', 1),
      target => id('r', 2), target_kind => 'api', plan => id('p', 1),
      state => 'active', expires_ms => 0 })->save;
$t->gateway(workers => 2, wait => 0);
ok($f->ready, 'a configuration without a sealing key');

sub ask { return $t->mcp('/mcp/acme', 'ping', undef, key => $_[0] // $key,
                         era => 'legacy', session => $_[1] // 'none') }
my $r = ask();
is($r->{status}, 503, 'no key: MCP is not ready');
is($r->{rpc}{error}{data}{code}, 'not_ready', 'and says so');
is(ask('stoa_live_x')->{status}, 401, 'but to whom is known alone');
is($t->get('/apis/acme/echo/x', key => $key)->{status}, 200, 'REST is');

$f->put('sealkey', $row, { id => id('k', 1),
    kid => 0, since_ms => 0, key => '00' x 32 })->save;
ok($f->ready, 'a key comes');
is(ask()->{status}, 404, 'and MCP is ready') for 1 .. 4;
my ($session, $why) = $t->mcp_session("/mcp/acme", key => $key);
diag $why->{body} if !$session;
is(ask($key, $session)->{status}, 200, 'with sessions');

$f->put('sealkey', $row, { id => id('k', 1),
    kid => 62, since_ms => 0, key => '00' x 32 })->save;
ok((wait_until { ($f->status_of->{rejected} // 0) ne '0' } 10),
   'a key with a number that is none is rejected');

$f->done;
