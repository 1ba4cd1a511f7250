#!/usr/bin/perl

# Rows S1, S3: a session id is the client's whole session.  Two gateways of one
# group behind a balancer, workers, reloads, restarts, another gateway token,
# other sealing keys: no client notices.  Whoever else has it, or changes it,
# gets one and the same 404.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Base qw(config);
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;
my $port = $t->mcp_origin(name => 'm', era => 'legacy', sessions => 1,
                          tools => { echo => sub { 'ok' } });
$t->apply(demo(mcp => { m => $port })
    . document('Application', 'acme', 'other')
    . subscribe('acme', 'other', 'api', 'm', 'basic')
    . document('Server', 'acme', 'desk', "tools: [{api: m, tool: echo}]\n"
        . "state: published\n")
    . subscribe('acme', 'app', 'server', 'desk', 'basic'));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')->{json}{items} || [] }
} 20 or $t->give_up('tools were not discovered');
my ($key, $other) = map { $t->key('acme', $_) } qw(app other);

$t->gateway(name => 'gw', workers => 4);
$t->gateway(name => 'gw2', workers => 2);
$t->write_file('lb/nginx.conf', $t->bare_conf('location / { '
    . 'proxy_pass http://both; }', name => 'lb', http => 'upstream both { '
    . 'server 127.0.0.1:%%PORT_gw%%; server 127.0.0.1:%%PORT_gw2%%; }'));
$t->start_nginx('lb');
$t->sync($_) for qw(gw gw2);

sub ask {
    my ($session, $method, %o) = @_;
    return $t->mcp($o{path} // '/mcp/acme', $method,
        $method eq 'tools/call' ? { name => 'm__echo', arguments => {} }
                                : undef,
        key => $o{key} // $key, era => 'legacy', session => $session,
        gateway => $o{gateway} // 'lb');
}
sub all_well {
    my ($session, $what, @gateways) = @_;
    my %seen;
    for my $gw (@gateways ? @gateways : 'lb') {
        for (1 .. 10) {
            for my $m (qw(ping tools/list tools/call)) {
                my $r = ask($session, $m, gateway => $gw);
                $seen{ "$m $r->{status}" . ($r->{rpc}{error} ? ' error' : '') }++;
            }
        }
    }
    is(join(', ', sort keys %seen),
       'ping 200, tools/call 200, tools/list 200', $what);
}

my ($session) = $t->mcp_session('/mcp/acme', key => $key, gateway => 'lb');
like($session, qr/^S0[\w-]+$/, 'an id of visible characters');
cmp_ok(length $session, '<', 256, 'not a long one');
all_well($session, 'S1: two gateways, 10 rounds');
all_well($session, 'S1: and each of them, all its workers', qw(gw gw2));


# what happens to nginx

$t->reload('gw');
$t->sync('gw');
all_well($session, 'S3: a reload', 'gw');
$t->stop('gw');
$t->start_nginx('gw');
$t->sync('gw');
all_well($session, 'S3: a restart', 'gw');

$t->must(DELETE => '/v1/gateways/gw2');
$t->register('gw2', 'default');
$t->reload('gw2');
$t->sync('gw2');
all_well($session, 'S3: another gateway token', 'gw2');


# other keys

sub revision { $t->get('/stoa/status', gateway => $_[0])->{json}{revision} }
sub rotate {
    my $rev = revision('gw');
    $t->must(POST => '/v1/gateway-groups/default/rotate', { lead_s => 0 });
    wait_until {
        !grep { revision($_) <= $rev } qw(gw gw2)
    } or $t->give_up('the new key did not arrive');
}
rotate();
my ($young) = $t->mcp_session('/mcp/acme', key => $key, gateway => 'lb');
like($young, qr/^S1/, 'a new key seals new ids');
all_well($session, 'S3: the one before still opens old ones');
rotate();
rotate();
is(ask($session, 'ping', gateway => $_)->{status}, 404,
   'three rotations end them, what was opened before, too') for qw(gw gw2);
all_well($young, 'but no younger ones');


# what is none

my $gone = ask('x' x 80, 'ping');
is($gone->{status}, 404, 'S1: no id of ours: 404');
is($gone->{rpc}{error}{code}, -32001, 'with its code');
my $flip = $young;
substr($flip, 40, 1) = substr($flip, 40, 1) eq 'A' ? 'B' : 'A';
my %bad = (
    'of another application' => [$young, key => $other],
    'of another endpoint' => [$young, path => '/mcp/acme/desk'],
    'altered' => [$flip], 'cut' => [substr $young, 0, -1],
    'longer' => ["${young}A"], 'with a key that is not there' =>
        [$young =~ s/^S./Sz/r], 'of another kind' => [$young =~ s/^S/r/r],
    'empty' => [''], 'as long as a header may be' => ['S1' . 'A' x 4000],
    'of what is no base64' => ['S1' . '*' x 100],
    'sealed before there were group keys' => ['A' x 80],
);
for my $what (sort keys %bad) {
    my ($id, %o) = @{ $bad{$what} };
    my $r = ask($id, 'tools/call', %o);
    next unless is($r->{status}, 404, "S1: $what: 404");
    is($r->{rpc}{error}{message}, $gone->{rpc}{error}{message}, 'one text');
}
is(scalar(grep { $_->{body} =~ /tools.call/ && $_->{body} =~ /desk/ }
          $t->origin_log('m')), 0, 'none of it reaches an upstream');


# a flood of them: nothing grows

sub rss { return $t->memory($t->workers) }
sub flood {
    my ($n) = @_;
    my $c = $t->connection(gateway => 'gw');
    my $body = json_encode({ jsonrpc => '2.0', id => 1, method => 'ping' });
    my $bad = 0;
    for my $i (1 .. $n) {
        if ($i % 900 == 0) {
            $c->close;
            $c = $t->connection(gateway => 'gw');
        }
        my $id = $i % 3 ? 'S1' . join('', map { chr(97 + rand 26) } 1 .. 90)
                        : substr($young, 0, -5) . sprintf '%05d', $i;
        my $r = $c->request('POST', '/mcp/acme', keepalive => 1,
            body => $body, headers => {
            'X-API-Key' => $key, 'Content-Type' => 'application/json',
            Accept => 'application/json, text/event-stream',
            'Mcp-Session-Id' => $id });
        $bad++ if $r->{status} != 404;
    }
    $c->close;
    return $bad;
}
is(flood(1000), 0, 'S1: made-up ids are 404, each');
my $before = rss();
is(flood(4000), 0, 'and four thousand more');
# a sanitizer keeps what is freed
cmp_ok(rss() - $before, '<', config('SANITIZE') ? 1 << 20 : 1500,
       'in no more memory');

$t->done;
