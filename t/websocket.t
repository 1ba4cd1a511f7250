#!/usr/bin/perl

# WebSocket: the same key, operations and limits as any call; a tunnel is one
# call that holds its place until it ends.  No other upgrade.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin(sub {
    my ($q, $c) = @_;
    return [200, ['Content-Type' => 'application/json'], json_encode($q)]
        unless (($q->{headers}{upgrade} // '') eq 'websocket'
                && $q->{path} !~ /plain/) || $q->{path} =~ /events|unasked/;
    if ($q->{path} =~ /events/) {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "\r\n");
        while (!defined $c->fill(time + 0.1)) { $c->send_raw("data: x\n\n") }
        return undef;
    }
    $c->send_raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        . "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n"
        . "X-Sent: $q->{path} $q->{headers}{connection} "
        . ($q->{headers}{'x-api-key'} // 'no key') . "\r\n\r\nhello ");
    while ($c->{in} ne '' || $c->fill(time + 30)) {
        $c->send_raw(uc $c->{in});
        $c->{in} = '';
    }
    return undef;
});
my $key = $f->world($port, concurrency => 2);

sub fid { return Test::Stoa::FakeControl::id(@_) }

$f->api(2, $port, base_path => '/guard');
$f->api(3, $port, read_timeout_ms => 300);
$f->put('subscription', 'sub:' . fid('a', 1) . ':' . fid('r', $_),
    { id => fid('s', $_), tenant => fid('t', 1), application => fid('a', 1),
      target => fid('r', $_), target_kind => 'api', plan => fid('p', 1),
      state => 'active', expires_ms => 0 }) for 2, 3;
$f->save;
$t->gateway(wait => 0, http => <<'END', server => <<"END");
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    log_format time '$request_time $request_uri';
    access_log logs/time.log time;
END
        location /guard/ {
            stoa_protect tenant=acme api=api2;
            proxy_pass http://127.0.0.1:$port;
            proxy_http_version 1.1;
            proxy_set_header Upgrade \$http_upgrade;
            proxy_set_header Connection \$connection_upgrade;
        }
END
$f->ready or die 'not ready';

my %ws = (Upgrade => 'websocket', Connection => 'Upgrade',
    'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version' => 13);

sub ask {
    my ($path, %o) = @_;
    my $c = $t->connection;
    my $method = delete $o{method} // 'GET';
    my $with = exists $o{key} ? delete $o{key} : $key;
    $c->send_raw($c->request_text($method, $path,
        headers => { defined $with ? ('X-API-Key' => $with) : (), %ws, %o }));
    $c->fill(time + 5) until $c->{in} =~ /\r\n\r\n/ || $c->{eof}++ > 3;
    $c->{in} =~ s/\A(.*?\r\n)\r\n//s;
    $c->{head} = $1 // '';
    ($c->{code}) = $c->{head} =~ m{^HTTP/1.1 (\d+)};
    return $c;
}
sub hear {
    my ($c, $want) = @_;
    my $end = time + 5;
    while (length $c->{in} < length $want && $c->fill($end)) { }
    return $c->{in} eq $want;
}
sub calls { return $f->usage->{$_[0]} // 0 }

for ('/apis/acme/echo/chat', '/guard/chat') {
    my $c = ask($_, Connection => 'keep-alive, Upgrade',
                Upgrade => 'WebSocket');
    $c = ask($_, Connection => 'keep-alive, upgrade') if /guard/;
    is($c->{code}, 101, "$_: switched");
    like($c->{head}, qr/^X-Sent: \S+chat upgrade no key\r$/mi,
         'asked of the upstream, without the key');
    like($c->{head}, qr/^Upgrade: websocket\r$/m, 'told to the client');
    ok(hear($c, 'hello '), 'what came with the answer');
    $c->{in} = '';
    $c->send_raw('abc');
    ok(hear($c, 'ABC'), 'a tunnel');
    $c->close;
}

is(ask('/apis/acme/echo/chat', key => undef)->{code}, 401, 'without a key');
is(ask('/guard/chat', key => undef)->{code}, 401, 'nor there');
is(ask('/apis/acme/echo/plain')->{code}, 200, 'an upstream that will not');

# a tunnel is a call that lasts

my @open = map { my $c = ask('/apis/acme/echo/chat'); hear($c, 'hello '); $c }
    1 .. 2;
is(join(' ', map { $_->{code} } @open), '101 101', 'two at once');
is(ask('/apis/acme/echo/chat')->{code}, 429, 'not a third');
is($t->get('/apis/acme/echo/x', key => $key)->{status}, 429,
   'nor another call');
$open[0]->{in} = '';
$open[0]->send_raw('x' x 5000);
hear($open[0], 'X' x 5000);
$open[0]->close;
ok((wait_until { $t->get('/apis/acme/echo/x', key => $key)->{status} == 200 }
    5), 'its place comes back with its end');
$open[1]->close;
my %sum;
ok((wait_until {
    %sum = (in => 0, out => 0, c => 0);
    for my $b ($f->posts('usage')) {
        for my $row (grep { $_->{refused} eq '' } @{ $b->{rows} }) {
            $sum{in} += $row->{bytes_in};
            $sum{out} += $row->{bytes_out};
            $sum{c} += $row->{c2xx};
        }
    }
    $sum{in} > 5000 && $sum{out} > 5000 && $sum{c} >= 6
} 10), 'counted once each, with its bytes') or diag(json_encode(\%sum));

my $c = ask('/apis/acme/api3/chat');
is($c->{code}, 101, 'a tunnel');
ok((wait_until { defined($c->fill(time + 5)) && !$c->fill(time + 5) } 5),
   'that is idle ends after the read timeout');

# other upgrades

for my $path ('/apis/acme/echo/chat', '/guard/chat') {
    for (['Upgrade' => 'foo'], ['Upgrade' => 'TLS/1.0'],
         ['Upgrade' => 'websocket, h2c'], [Connection => 'close'],
         [method => 'POST'])
    {
        my $before = () = $t->origin_log;
        my $c = ask($path, @$_);
        is($c->{code}, 501, "no upgrade: $path @$_");
        $c->fill(time + 5) until $c->{in} =~ /\}/ || $c->{eof}++ > 3;
        like($c->{in}, qr/"upgrade_refused"/, 'and why');
        is(scalar(my @now = $t->origin_log), $before, 'nothing was sent');
    }
    my $c = $t->connection;
    my $r = $c->request('GET', $path, headers => { 'X-API-Key' => $key,
        Upgrade => 'h2c', Connection => 'Upgrade, HTTP2-Settings, close',
        'HTTP2-Settings' => 'x' });
    $c->close;
    is($r->{status}, 200, 'h2c: offered by clients with every call, and left');
    unlike($r->{body}, qr/upgrade|http2-settings/i, 'nothing of it goes on');
}

# nobody has asked for it

for (qw(/apis/acme/echo/unasked /guard/unasked)) {
    is($t->get($_, key => $key)->{status}, 502, "$_: a 101 of its own accord");
}

# what lasts is judged again: by policies that are attached later

for my $of ([api => 'api:' . fid('r', 1)], [application => 'app:'
            . fid('a', 1)], [plan => 'plan:' . fid('p', 1)])
{
    my ($kind, $row) = @$of;
    my $text = $f->{rows}{$row}{text};
    my $shut = sub { my ($deny) = @_;
        $f->put($kind, $row, { %{ json_decode($text) },
            $deny ? (requires => [{ id => 4, version => 1 }], policies => [{
                name => 'shut', type => 'ip-filter', scope => $kind,
                state => 'enabled', config => { deny => [$deny] } }]) : () });
        $f->save;
        $f->ready or die 'not ready' };
    my $c = ask('/apis/acme/echo/chat');
    my $ends = sub { my ($s) = @_;
        my $more;
        return wait_until { $c->send_raw('ping');
                            $more = $c->fill(time + 0.2);
                            defined $more && !$more } $s };
    $shut->('192.0.2.1');
    ok(!$ends->(1.5), 'one that lets it in') if $kind eq 'api';
    $shut->('127.0.0.0/8');
    ok($ends->(8), "a tunnel ends: an ip-filter at the $kind");
    $shut->();
}

# and whatever else it hangs on

my @last = (ask('/apis/acme/echo/chat'), ask('/guard/chat'));
is("$last[0]{code} $last[1]{code}", '101 101', 'two tunnels');
push @last, $t->connection;
$last[2]->send_raw($last[2]->request_text('GET', '/apis/acme/echo/events',
    headers => { 'X-API-Key' => $key }));
ok((wait_until { $last[2]->fill(time + 1); $last[2]{in} =~ /data: x/ } 5),
   'and a stream of events');

# also in workers that a reload has left to their last calls

$t->reload;
$c = $last[0];
$c->send_raw('abc');
ok((wait_until { $c->{in} =~ /ABC/ || !$c->fill(time + 1) } 5)
   && $c->{in} =~ /ABC/, 'a reload leaves a tunnel alone');
$f->put('credential', 'cred:' . fid('c', 1), { %{ json_decode(
    $f->{rows}{ 'cred:' . fid('c', 1) }{text}) }, state => 'revoked' });
$f->save;
$f->ready or die 'not ready';
for my $c (@last) {
    my $more;
    ok((wait_until {
        $c->send_raw('ping') if $c != $last[2];
        $more = $c->fill(time + 0.2);
        defined $more && !$more;
    } 8), 'end when the key is revoked');
}

# they are in the log with all their time; as latency counts that to the head

sub seconds { my $s = 0; $s += (split)[0] for $t->log_lines('gw', 'time.log');
              return $s }
my ($lasted) = map { $_->{'stoa_request_duration_seconds_sum'} } $t->metrics;
cmp_ok($lasted, '<', seconds() - 1, 'a stream is no slow call');

$f->done;
