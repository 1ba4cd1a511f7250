#!/usr/bin/perl

# Streams of sessions that nothing is said in: what each costs a worker, and
# that none costs more for waiting longer.  STOA_TEST_STREAMS: how many.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Base qw(config);
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use Test::Stoa::Demo;

my $n = $ENV{STOA_TEST_STREAMS} || 500;
my $t = Test::Stoa->new;
$t->control;
$t->apply(demo(mcp => { m => $t->mcp_origin(name => 'm', era => 'legacy') }));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')->{json}{items}
    || [] } } 20 or $t->give_up('not discovered');
my $key = $t->key('acme', 'app');
$t->gateway(workers => 1,
            http => 'stoa_mcp_keepalive 1s; stoa_mcp_streams 65535;');
$t->sync;

my ($pid) = grep { slurp("/proc/$_/cmdline") =~ /worker/ }
    split ' ', slurp('/proc/' . $t->pid('gw') . '/task/' . $t->pid('gw')
    . '/children');
sub rss { return (slurp("/proc/$pid/statm") =~ /^\d+ (\d+)/)[0] * 4 }

my ($session) = $t->mcp_session('/mcp/acme', key => $key);
my (@open, %was);
sub more {
    my ($n) = @_;
    for (1 .. $n) {
        my $s = ($t->mcp_session('/mcp/acme', key => $key))[0];
        my $c = $t->connection;
        $c->request('GET', '/mcp/acme', headers => ['X-API-Key' => $key,
            'Mcp-Session-Id' => $s, Accept => 'text/event-stream'],
            headers_only => 1);
        $c->event(10) or return 0;
        push @open, $c;
    }
    return 1;
}
ok(more(50), 'some streams');
my $before = rss();
ok(more($n), "$n more");
my $each = (rss() - $before) / $n;
diag(sprintf '%.1f KiB each', $each);
cmp_ok($each, '<=', config('SANITIZE') ? 200 : 16,
       'an idle stream costs so much memory at most');
my $full = rss();
my $c = $open[-1];
for (1 .. 4) { $c->{in} = ''; $c->fill(time + 5); }
cmp_ok(rss() - $full, '<', 1024, '... and no more with time');
$_->close for @open;
ok((wait_until { $t->http('GET', '/stoa/ready')->{status} == 200 } 10),
   'all of them leave');

$t->done;
