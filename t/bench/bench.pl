#!/usr/bin/perl

# The gateway beside bare nginx proxy_pass, in one interleaved run on one
# machine: requests per second, latency, CPU microseconds per request of the
# nginx worker, its private memory.  A report, never a test.
#
#   make bench                       five rounds of three seconds a row
#   t/bench/bench.pl --rounds 9 --seconds 2 [--only REGEX] [--markdown]
#
# CPU time is the worker's own (schedstat, ns); the quotient is taken within
# each round against the row that is named, then the median.  Every row has
# one worker, plain HTTP, keep-alive on both sides, 32 connections.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Getopt::Long;
use Time::HiRes qw(time);
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my %o = (rounds => 5, seconds => 3, connections => 32);
GetOptions(\%o, 'rounds=i', 'seconds=f', 'connections=i', 'only=s',
           'markdown', 'help') or exit 1;
if ($o{help}) {
    print "bench.pl [--rounds N] [--seconds S] [--connections N]\n"
        . "         [--only REGEX] [--markdown]\n";
    exit;
}

$| = 1;
my $t = Test::Stoa->new;
my $ns = 'io.modelcontextprotocol';

# ---- the parts ------------------------------------------------------------

print STDERR "starting: control plane, upstreams, gateways\n";
$t->control;

my $mcp = $t->mcp_origin(name => 'mcpup',
    tools => { echo => sub { 'ok' },
               map { (sprintf('tool_%03d', $_) => sub { 'ok' }) } 1 .. 99 });
my $rest = $t->port('rest');

$t->apply(demo(plan => "rate: 10000000\nper_ms: 1000\nburst: 1000000\n",
    rest => { rest => $rest }, mcp => { m => $mcp }));
$t->apply(document('Plan', 'acme', 'full', "rate: 10000000\nper_ms: 1000\n"
    . "burst: 1000000\nquota_day: 1000000000\nquota_month: 1000000000\n"
    . "concurrency: 1000\n") . document('Application', 'acme', 'heavy')
    . subscribe('acme', 'heavy', 'api', 'rest', 'full')
    . subscribe('acme', 'heavy', 'api', 'm', 'full'));
wait_until {
    ($t->api('GET', '/v1/tenants/acme/apis/m')->{json}{discovery}{state}
        // '') eq 'ok'
} 30 or die "the MCP upstream was not discovered\n";
$t->stop('mcpup');

# upstreams that cost little: nginx itself; one answers as an MCP server would

my $answer = '{"id":1,"note":"a small answer of a REST API, 110 bytes or so, '
    . 'as many are: number, text and nothing more"}';
my $result = '{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete",'
    . '"content":[{"type":"text","text":"ok"}]}}';
my $session = '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":'
    . '"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"up",'
    . '"version":"1"}}}';

sub origin_conf {
    my ($port, $text) = @_;
    return "server { listen 127.0.0.1:$port reuseport; "
        . "keepalive_requests 100000000; access_log off; location / { "
        . "default_type application/json; client_body_buffer_size 64k; "
        . "$text } }\n";
}

my $user = $> == 0 ? 'user root;' : '';
$t->write_file('up/nginx.conf', <<"END");
$user
daemon off; worker_processes 1; pid nginx.pid; error_log logs/error.log;
events { worker_connections 1024; }
http {
@{[ origin_conf($rest, "return 200 '$answer';") ]}
@{[ origin_conf($mcp, 'if ($http_mcp_session_id = "") { set $a i; } '
    . 'if ($http_mcp_protocol_version = "2026-07-28") { set $a m; } '
    . 'if ($a = i) { add_header Mcp-Session-Id up-1; '
    . "return 200 '$session'; } return 200 '$result';") ]}
}
END
mkdir $t->dir('up/logs');
$t->start_nginx('up');

# the gateway, and a bare nginx with the same list in a file of its own

my %upstream = (rest => $rest, mcp => $mcp);
$t->gateway(server => '', http => "keepalive_requests 100000000;\n"
    . "access_log off;\n", level => 'error');
my %key = map { $_ => $t->key('acme', $_) } qw(app heavy);
$t->sync;

my %meta = (_meta => { "$ns/protocolVersion" => '2026-07-28',
                       "$ns/clientCapabilities" => {} });
my $list = $t->mcp('/mcp/acme', 'tools/list', undef, key => $key{app});
my $n = @{ $list->{rpc}{result}{tools} || [] };
die "tools/list: $list->{status} $list->{body}\n" unless $n == 100;

$t->write_file('bare/nginx.conf', $t->bare_conf(<<"END", name => 'bare',
        location / { proxy_pass http://rest; }
        location /mcp { proxy_pass http://mcp; }
        location /list { default_type application/json;
                         @{[ returns($list->{body}) ]} }
END
    http => <<"END", level => 'error'));
    keepalive_requests 100000000;
    access_log off;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream rest { server 127.0.0.1:$rest; keepalive 64; }
    upstream mcp { server 127.0.0.1:$mcp; keepalive 64; }
END
mkdir $t->dir('bare/logs');
$t->start_nginx('bare');

$t->write_file('protect/nginx.conf', $t->bare_conf(<<"END", name => 'protect',
        location / { stoa_protect tenant=acme api=rest;
                     proxy_pass http://rest; }
        location = /stoa/status { stoa_status; }
        location = /stoa/ready { stoa_ready; }
        location = /stoa/metrics { stoa_metrics; }
END
    main => 'load_module %%MODULE%%;', level => 'error', http => <<"END"));
    stoa_control_plane http://127.0.0.1:%%PORT_control%%;
    stoa_gateway_token_file %%DIR%%/protect/token;
    stoa_store %%DIR%%/protect/store;
    stoa_zone stoa:8m;
    keepalive_requests 100000000;
    access_log off;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream rest { server 127.0.0.1:$rest; keepalive 64; }
END
mkdir $t->dir('protect/logs');
$t->register('protect', 'default');
$t->start_nginx('protect');
$t->sync('protect');

# nginx takes 4,096 bytes in one parameter.

sub returns {
    my ($text) = @_;
    my ($sets, $names, $i) = ('', '', 0);

    $text =~ s/\$//g;
    for my $piece ($text =~ /.{1,3000}/sg) {
        $piece =~ s/([\\'])/\\$1/g;
        $sets .= "set \$part" . ++$i . " '$piece';\n";
        $names .= "\${part$i}";
    }
    return "${sets}return 200 $names;";
}

# ---- the rows -------------------------------------------------------------

my ($sid) = $t->mcp_session('/mcp/acme', key => $key{app});
my $call = json_encode({ jsonrpc => '2.0', id => 1, method => 'tools/call',
    params => { name => 'm__echo', arguments => { id => 7 }, %meta } });
my $lcall = json_encode({ jsonrpc => '2.0', id => 1, method => 'tools/call',
    params => { name => 'm__echo', arguments => { id => 7 } } });
my $lists = json_encode({ jsonrpc => '2.0', id => 1, method => 'tools/list',
    params => { %meta } });
my @mcp = ('Content-Type' => 'application/json',
           Accept => 'application/json, text/event-stream');
my @modern = (@mcp, 'MCP-Protocol-Version' => '2026-07-28');

my @rows = (
    # name, process, path, method, headers, body, compared with, target
    ['bare return', 'bare', '/list', 'GET', [], undef, undef],
    ['bare proxy_pass, REST', 'bare', '/x', 'GET', [], undef, undef],
    ['stoa REST: key, subscription, rate, usage', 'gw', '/apis/acme/rest/x',
     'GET', ['X-API-Key' => $key{app}], undef, 'bare proxy_pass, REST', 1.25],
    ['stoa REST: and quotas, concurrency', 'gw', '/apis/acme/rest/x',
     'GET', ['X-API-Key' => $key{heavy}], undef, 'bare proxy_pass, REST',
     undef],
    ['stoa_protect before proxy_pass', 'protect', '/x', 'GET',
     ['X-API-Key' => $key{app}], undef, 'bare proxy_pass, REST', undef],
    ['stoa REST refused: no key', 'gw', '/apis/acme/rest/x', 'GET', [],
     undef, 'bare proxy_pass, REST', undef],
    ['bare proxy_pass, tools/call', 'bare', '/mcp', 'POST',
     [@modern, 'Mcp-Method' => 'tools/call', 'Mcp-Name' => 'echo'], $call,
     undef],
    ['stoa tools/call, 2026-07-28', 'gw', '/mcp/acme', 'POST',
     [@modern, 'Mcp-Method' => 'tools/call', 'Mcp-Name' => 'm__echo',
      'X-API-Key' => $key{app}], $call, 'bare proxy_pass, tools/call', 1.4],
    ['stoa tools/call, 2025-11-25', 'gw', '/mcp/acme', 'POST',
     [@mcp, 'MCP-Protocol-Version' => '2025-11-25', 'Mcp-Session-Id' => $sid,
      'X-API-Key' => $key{app}], $lcall, 'bare proxy_pass, tools/call', 1.4],
    ['bare return of the list', 'bare', '/list', 'POST',
     [@modern, 'Mcp-Method' => 'tools/list'], $lists, undef],
    ['stoa tools/list, 100 tools', 'gw', '/mcp/acme', 'POST',
     [@modern, 'Mcp-Method' => 'tools/list', 'X-API-Key' => $key{app}],
     $lists, 'bare return of the list', 1.5],
);
@rows = grep { $_->[0] =~ /$o{only}/ || needed($_->[0]) } @rows if $o{only};

sub needed { my ($name) = @_;
    return grep { defined $_->[6] && $_->[6] eq $name
                  && $_->[0] =~ /$o{only}/ } @rows }

my %pid = map { $_ => ($t->workers($_))[0] } qw(gw bare protect);
my (%sample, %ratio);

for my $row (@rows) {                   # correct before fast
    my ($name, $proc, $path, $method, $h, $body) = @$row;
    my $r = $t->http($method, $path, gateway => $proc, headers => { @$h },
        defined $body ? (body => $body) : ());
    my $want = $name =~ /refused/ ? 401 : 200;
    die "$name: $r->{status} $r->{body}\n"
        if $r->{status} != $want || $r->{body} =~ /"error"/;
    $row->[8] = script($name, $method, $h, $body);
}

for my $round (0 .. $o{rounds}) {       # round 0 warms up
    my %us;
    for my $row (@rows) {
        my ($name, $proc, $path, undef, undef, undef, $base) = @$row;
        my $m = measure($row, $round ? $o{seconds} : 1);
        next unless $round;
        $us{$name} = $m->{us};
        push @{ $sample{$name} }, $m;
        push @{ $ratio{$name} }, $us{$name} / $us{$base}
            if defined $base && $us{$base};
    }
    print STDERR $round ? "round $round\n" : "warm\n";
}

sub script {
    my ($name, $method, $h, $body) = @_;
    my %h = @$h;
    (my $file = $name) =~ s/\W+/-/g;
    my $lua = "wrk.method = \"$method\"\n";
    $lua .= "wrk.body = [==[$body]==]\n" if defined $body;
    $lua .= "wrk.headers[\"$_\"] = \"$h{$_}\"\n" for sort keys %h;
    $lua .= <<'END';
done = function(summary, latency)
    io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests,
        summary.duration, latency:percentile(50), latency:percentile(99),
        summary.errors.status, summary.errors.connect + summary.errors.read
        + summary.errors.write + summary.errors.timeout))
end
END
    return $t->write_file("wrk/$file.lua", $lua);
}

sub cpu_ns { my ($pid) = @_;
             return (split / /, slurp("/proc/$pid/schedstat"))[0] }

sub measure {
    my ($row, $seconds) = @_;
    my ($name, $proc, $path) = @$row;
    my $port = $t->port($proc);
    my $from = cpu_ns($pid{$proc});
    my $cmd = "wrk -t1 -c$o{connections} -d${seconds}s -s '$row->[8]' "
        . "http://127.0.0.1:$port$path 2>&1";
    my $out = `$cmd`;
    my $cpu = cpu_ns($pid{$proc}) - $from;
    my ($n, $us, $p50, $p99, $bad, $broken) =
        $out =~ /^RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)/m
        or die "$name: $out\n";
    $bad = 0 if $name =~ /refused/;
    die "$name: $bad answers that are no 2xx, $broken broken\n"
        if $bad || $broken || !$n;
    return { rps => $n / ($us / 1e6), p50 => $p50, p99 => $p99,
             us => $cpu / 1000 / $n };
}

sub median { my @s = sort { $a <=> $b } @_; return $s[$#s / 2] }

# ---- the table ------------------------------------------------------------

my @head = ('row', 'req/s', 'p50 us', 'p99 us', 'CPU us/req', 'ratio',
            'range', 'to reach');
my @table;
for my $row (@rows) {
    my $name = $row->[0];
    my @m = @{ $sample{$name} || [] } or next;
    my @r = @{ $ratio{$name} || [] };
    push @table, [$name, map({ my $k = $_;
            sprintf $k eq 'us' ? '%.2f' : '%.0f', median(map { $_->{$k} } @m)
        } qw(rps p50 p99 us)),
        @r ? sprintf('%.2f', median(@r)) : '-',
        @r ? sprintf('%.2f-%.2f', (sort { $a <=> $b } @r)[0, -1]) : '-',
        $row->[7] // '-'];
}

if ($o{markdown}) {
    print '| ', join(' | ', @head), " |\n", '|', '---|' x @head, "\n";
    print '| ', join(' | ', @$_), " |\n" for @table;
} else {
    my @w = map { my $i = $_; (sort { $b <=> $a }
        map { length $_->[$i] } \@head, @table)[0] } 0 .. $#head;
    for my $line (\@head, @table) {
        print join('  ', map { sprintf $_ ? "%$w[$_]s" : "%-$w[$_]s",
                               $line->[$_] } 0 .. $#head), "\n";
    }
}

my ($cpu) = slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)$/m;
my ($load) = split / /, slurp('/proc/loadavg');
my $version = `$t->{nginx} -v 2>&1`;
chomp $version;
printf "\n%s, %d cores, load %s; %s; %d rounds of %gs, %d connections\n",
    $cpu // 'unknown CPU', scalar(() = slurp('/proc/cpuinfo') =~
    /^processor/mg), $load, $version, $o{rounds}, $o{seconds},
    $o{connections};
for my $proc (qw(gw bare)) {
    my ($anonymous) = slurp("/proc/$pid{$proc}/smaps_rollup")
        =~ /^Anonymous:\s+(\d+)/m;
    printf "memory of the worker's own (not of files, not shared), %s: "
        . "%.1f MB\n", $proc, $anonymous / 1024;
}

revocations() unless $o{only};
$t->stop_all;
$t->clean;


# How long a revoked key still works, in every one of four workers, from the
# moment the admin's request is sent: one open connection to each is asked
# without pause.

sub revocations {
    $t->gateway(name => 'four', workers => 4, level => 'error',
        location => 'add_header X-Worker $pid always;',
        http => "keepalive_requests 100000000; access_log off;\n");

    my %c;
    for (1 .. 500) {
        my $c = $t->connection(gateway => 'four');
        my $w = $c->request('GET', '/none', keepalive => 1)
            ->{headers}{'x-worker'} // next;
        $c{$w} ? $c->close : ($c{$w} = $c);
        last if keys %c == 4;
    }

    my @ms;
    for my $i (1 .. 100) {
        my $key = $t->key('acme', 'app');
        my ($id) = $key =~ /^stoa_[a-z]+_([^_]+)_/;
        my @call = ('GET', '/apis/acme/rest/x', keepalive => 1,
                    headers => { 'X-API-Key' => $key });
        until_status($c{$_}, 200, @call) for keys %c;
        my $from = time;
        $t->must('POST', '/v1/tenants/acme/applications/app/credentials/'
            . "$id/revoke");
        until_status($c{$_}, 401, @call) for keys %c;
        push @ms, (time - $from) * 1000;
    }
    @ms = sort { $a <=> $b } @ms;
    printf "a revoked key is refused in all of %d workers after %.1f ms"
        . " (p50), %.1f ms (p99), of %d revocations\n", scalar keys %c,
        $ms[$#ms / 2], $ms[$#ms * 0.99], scalar @ms;
    $_->close for values %c;
}


sub until_status {
    my ($c, $want, @call) = @_;
    my $end = time + 20;
    my $r;
    do { $r = $c->request(@call) } until $r->{status} == $want || time > $end;
    die "no $want in 20 s but $r->{status} $r->{body}\n"
        unless $r->{status} == $want;
}
