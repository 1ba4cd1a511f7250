#!/usr/bin/perl

# Checks of targets and breakers: what all workers know of targets, and what
# they do with it.  The targets are servers of an nginx of their own, ill where
# a file says so; one that hangs up and waits is a script.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::MCP;

my $t = Test::Stoa->new->has('module', 'control');

$t->control;
my @names = qw(one two three);
my $dir = $t->dir('ups');
my %port = map { ($_ => $t->port("up-$_")) } @names;
my $servers = join '', map { <<"END" } @names;
    server {
        listen 127.0.0.1:$port{$_};
        access_log logs/calls.log calls;
        set \$me $_;
        location / {
            if (-f $dir/ill-$_) { return 503 "ill"; }
            default_type application/json;
            return 200 '{"at":"$_","host":"\$host"}';
        }
        location /missing { return 404; }
        location /health {
            if (-f $dir/ill-$_) { return 503; }
            return 204;
        }
    }
END
$t->write_file('ups/nginx.conf', $t->bare_conf('', name => 'ups', http =>
    "log_format calls '\$me \$request_uri \$http_user_agent';\n$servers"));
$t->start_nginx('ups');
my $mcp = $t->mcp_origin(name => 'mcp', era => 'legacy', sessions => 1);
my $dead = $t->port('dead');
my $odd = $t->origin(sub {
    my ($q, $c) = @_;
    return undef if $q->{path} =~ /drop/;
    select undef, undef, undef, 0.6 if $q->{path} =~ /slow/;
    if ($q->{path} =~ /cut/) {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nab");
        return undef;
    }
    return [$q->{path} =~ /ill/ ? 500 : 200, [], 'fine'];
}, name => 'odd');

sub ill { my ($name, $on) = @_;
          my $file = "$dir/ill-$name";
          return $on ? spew($file, '') : unlink $file }
sub url { my ($name) = @_; return "http://127.0.0.1:$port{$name}" }
my $check = { type => 'http', path => '/health', statuses => ['204'],
              interval_ms => 100, timeout_ms => 1000, up => 2, down => 2 };
my @all = map { url($_) } @names;

my ($example) = slurp("$FindBin::Bin/../docs/resilience.md")
    =~ /```yaml\n(.*?)```/s;
$example =~ s/10\.0\.0\.(\d):8080/"127.0.0.1:" . $port{$names[$1]}/ge;
$example =~ s/_ms: \d+/_ms: 100/g;
$example =~ s{/health}{/health?orders};
my %apis = (
    http => [[@all], { health => $check }],
    refuse => [[url('one')], { health => { %$check, all_down => 'refuse' } }],
    tcp => [[url('one'), "http://127.0.0.1:$dead"],
            { health => { type => 'tcp', interval_ms => 100, down => 1 } }],
    none => [[@all], {}],
    row => [[url('one')], { breaker => { failures => 3, error_percent => 0,
        open_ms => 400, max_open_ms => 1600 } }],
    share => [[url('one')], { breaker => { failures => 0,
        error_percent => 40, min_calls => 10, open_ms => 60_000 } }],
    half => [[url('one'), url('two')], { max_fails => 0, retries => 0,
        breaker => { failures => 2, open_ms => 60_000,
                     max_open_percent => 50 } }],
    single => [[url('one')], { breaker => { failures => 2, open_ms => 60_000,
        max_open_percent => 99 } }],
    odd => [["http://127.0.0.1:$odd"], { max_fails => 0, read_timeout_ms => 300,
        breaker => { failures => 2, error_percent => 0, open_ms => 200 } }],
    some => [[url('one')], { breaker => { failures => 1,
        statuses => ['404'], open_ms => 60_000 } }],
);
sub documents {
    my (%more) = @_;
    my %now = (%apis, %more);
    return docs($example, tenant('acme'), app('acme', 'demo'), plan('acme', 'free'),
        doc('Api', 'acme', 'tools', { kind => 'mcp', state => 'published',
            upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" },
                                      { url => url('two') }],
                health => { type => 'mcp', interval_ms => 100 } } }),
        doc('Api', 'acme', 'talk', { kind => 'mcp', state => 'published',
            upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }],
                breaker => { failures => 2, open_ms => 60_000 } } }),
        sub_('acme', 'demo', 'talk', 'free'),
        map { (rest('acme', $_, $now{$_}[0], upstream => $now{$_}[1]),
               sub_('acme', 'demo', $_, 'free')) } sort keys %now);
}
$t->apply(documents());
$t->gateway(workers => 2);
my $key = $t->key('acme', 'demo');
$t->sync;

sub call { my ($api, $path) = @_;
           return $t->http('GET', "/apis/acme/$api/" . ($path // ''),
                           key => $key) }
sub seen { my ($n, $api) = @_;
    my %n;
    for (1 .. $n) {
        my $r = call($api);
        $n{ $r->{json}{at} // $r->{json}{code} // $r->{status} }++;
    }
    return join ' ', sort keys %n }
sub targets {
    my ($api) = @_;
    return map { ("$_->{target}" => $_) } grep { $_->{api} eq $api }
        @{ $t->get('/stoa/status')->{json}{targets} };
}
sub state_is {
    my ($api, $port, $state) = @_;
    my %all;
    wait_until { %all = targets($api);
                 ($all{"127.0.0.1:$port"}{health} // '') eq $state };
    return $all{"127.0.0.1:$port"} || {};
}


# what is refused

sub wrong {
    my ($health, $field, $what) = @_;
    my ($part) = $field =~ /^(\w+)\./;
    my $r = $t->api('POST', '/v1/apply', documents(
        http => [[@all], { $part => $health }]),
        headers => { 'Content-Type' => 'application/yaml' });
    is("$r->{status} " . ($r->{json}{errors}[0]{field} // $r->{body}),
       "422 spec.upstream.$field", $what);
}
wrong({ type => 'icmp' }, 'health.type', 'a type that there is not');
wrong({ type => 'mcp' }, 'health.type', 'a ping of MCP at an api of REST');
wrong({ type => 'http', path => 'health' }, 'health.path', 'a path without a slash');
wrong({ type => 'http', path => "/a b" }, 'health.path', 'a path with a blank');
wrong({ type => 'http', statuses => ['2xx', '2x'] }, 'health.statuses[1]', 'no status');
wrong({ type => 'http', statuses => ['999'] }, 'health.statuses[0]', 'none that there is');
wrong({ type => 'http', interval_ms => 1 }, 'health.interval_ms', 'too often');
wrong({ type => 'http', up => 0 }, 'health.up', 'up after nothing');
wrong({ type => 'tcp', path => '/x' }, 'health.path', 'a path of a connection');
wrong({ failures => 0, error_percent => 0 }, 'breaker.failures',
      'a breaker that nothing opens');
wrong({ open_ms => 5000, max_open_ms => 4999 }, 'breaker.max_open_ms',
      'open for less than at first');
wrong({ statuses => ['teapot'] }, 'breaker.statuses[0]', 'no status');
wrong({ max_open_percent => 0 }, 'breaker.max_open_percent', 'none at all');


# all is well

is(state_is('orders', $port{two}, 'up')->{health}, 'up',
   'the example of the documentation');

is(state_is('http', $port{$_}, 'up')->{health}, 'up', "$_ is up") for @names;
is(seen(12, 'http'), 'one three two', 'all are called');
is(state_is('tools', $mcp, 'up')->{health}, 'up',
   'a server of MCP that wants a session first');
is(state_is('tools', $port{two}, 'down')->{error}, 'no MCP',
   'what answers, but not as MCP');
is(state_is('tcp', $port{one}, 'up')->{health}, 'up', 'a port that is open');
is(state_is('tcp', $dead, 'down')->{error}, 'no connection', 'a closed one');


# one is ill: no worker calls it, whatever its calls say

ill('two', 1);
my $s = state_is('http', $port{two}, 'down');
is("$s->{health} $s->{error}", 'down status 503', 'down, and why');
cmp_ok($s->{checked_ms}, '<', 60_000, 'when it was checked');
is(seen(40, 'http'), 'one three', 'it is left alone by all workers');
like(seen(12, 'none'), qr/503/, 'an api that checks nothing goes there');
is($t->metrics->{'stoa_target_up{tenant="acme",api="http",target="127.0.0.1:'
                 . $port{two} . '"}'}, 0, 'in the metrics');
my $told;
wait_until {
    ($told) = grep { $_->{api} eq 'http' && ($_->{health} // '') eq 'down' }
        @{ $t->api('GET', '/v1/gateways/gw')->{json}{targets} || [] } } 20;
is("$told->{tenant} $told->{target} $told->{error}",
   "acme 127.0.0.1:$port{two} status 503", 'and at the control plane');
like($told->{since}, qr/^\d{4}-\d\d-\d\dT/, 'since when');

ill('two', 0);
is(state_is('http', $port{two}, 'up')->{health}, 'up', 'up again');
is(seen(12, 'http'), 'one three two', 'and called');
my @lines = grep { /stoa: target 127.0.0.1:$port{two} of acme\/http/ }
    split /\n/, slurp($t->dir('gw/logs/error.log'));
is(scalar(@lines), 2, 'a line for each change') or diag(@lines);


# all are ill

ill($_, 1) for @names;
state_is('http', $port{$_}, 'down') for @names;
is(seen(12, 'http'), '503', 'they are called all the same');
state_is('refuse', $port{one}, 'down');
my $r = call('refuse');
is("$r->{status} $r->{json}{code}", '503 upstream_open', 'or they are not');
is($r->{headers}{'retry-after'}, 1, 'with the time of the next check');
ill($_, 0) for @names;
state_is('http', $port{$_}, 'up') for @names;
state_is('refuse', $port{one}, 'up');
is(call('refuse')->{status}, 200, 'until it is up again');


# breakers: failures in a row

sub reached { my ($api, $name) = @_;
    return scalar grep { m{^$name \S*} && m{ /\S*$api} }
        $t->log_lines('ups', 'calls.log') }
sub codes { my ($n, $api, $path) = @_;
    return join ' ', map {
        my $r = call($api, $path);
        $r->{json}{code} // $r->{status} } 1 .. $n }
sub log_of { my ($api, $text) = @_;
    return grep { /acme\/$api $text/ }
        split /\n/, slurp($t->dir('gw/logs/error.log')) }

ill('one', 1);
is(codes(5, 'row', 'row'), '503 503 503 upstream_open upstream_open',
   'three failures in a row open a breaker');
is(codes(10, 'row', 'row'), join(' ', ('upstream_open') x 10),
   'of all workers');
wait_until { reached('row', 'one') == 3 };
is(reached('row', 'one'), 3, 'the target is left alone');
$r = call('row');
is("$r->{status} $r->{headers}{'retry-after'}", '503 1', 'with Retry-After');
wait_until { (call('row', 'row')->{json}{code} // '') ne 'upstream_open' };
wait_until { reached('row', 'one') == 4 };
is(reached('row', 'one'), 4, 'one call finds out') or diag(codes(1, 'row'));
like((log_of('row', 'gets no calls'))[1] // '', qr/800 ms: status 503/,
     'then it is longer');
my $m = $t->metrics;
is($m->{"stoa_target_open{tenant=\"acme\",api=\"row\",target=\"127.0.0.1:"
        . "$port{one}\"}"}, 1, 'in the metrics');
my %row = targets('row');
is(join(' ', @{ (values %row)[0] }{qw(breaker opened_by)}),
   'open status 503', 'and the status');
ill('one', 0);
wait_until { call('row')->{status} == 200 };
is(codes(6, 'row'), join(' ', (200) x 6), 'a good one closes it');
is(scalar(log_of('row', 'is called again')), 1, 'a line says so');

# by share: a 4xx is no failure, and heals nothing

for (1 .. 12) {
    ill('one', $_ % 2);
    call('share', $_ % 2 ? '' : 'missing');
}
is(codes(1, 'share'), 'upstream_open', 'half of them failed');
is(codes(2, 'some', 'missing'), '404 upstream_open', 'what is a failure');

# no more than a share of the targets

ill($_, 1) for qw(one two);
call('half') for 1 .. 20;
my %half = targets('half');
is(join(' ', sort map { $_->{breaker} // 'closed' } values %half),
   'closed open', 'of two one stays');
is(codes(6, 'half'), join(' ', (503) x 6), 'which gets all calls');
is(codes(6, 'single'), join(' ', (503) x 6), 'one alone stays');
ill($_, 0) for qw(one two);

# however a probe ends, the next one may come

sub open_odd { wait_until { (call('odd', 'drop')->{json}{code} // '')
                            eq 'upstream_open' } }
open_odd();
wait_until { (call('odd', 'ill')->{json}{code} // '') ne 'upstream_open' };
ok(scalar(log_of('odd', 'gets no calls for 400 ms: status 500')),
   'an answer that is an error');
wait_until { (call('odd', 'slow')->{json}{code} // '')
             eq 'upstream_timeout' };
ok(scalar(log_of('odd', 'gets no calls for 800 ms: no answer in time')),
   'no answer in time');
my $gone;
wait_until {
    $gone = $t->connection;
    $gone->send_raw($gone->request_text('GET', '/apis/acme/odd/slow',
                                        headers => { 'X-API-Key' => $key }));
    my $state = wait_until { my %odd = targets('odd');
        (values %odd)[0]{breaker} eq 'half_open' } 0.2;
    $gone->close;
    $state };
wait_until { call('odd')->{status} == 200 };
is(call('odd')->{status}, 200, 'a client that leaves');
my @many = map { $t->connection } 1 .. 20;
open_odd();
my $asked = $t->origin_log('odd');
wait_until {
    my %odd = targets('odd');
    (values %odd)[0]{breaker_since_ms} > 900 };
$_->send_raw($_->request_text('GET', '/apis/acme/odd/slo',
    headers => { 'X-API-Key' => $key })) for @many;
my %codes;
$codes{ $_->response->{status} }++ for @many;
$_->close for @many;
is($t->origin_log('odd') - $asked, $codes{200} // 0,
   'of twenty at once, who was refused reached nobody')
    or diag(join ' ', %codes);
$t->reload('gw');
wait_until { call('odd')->{status} == 200 };
call('odd', 'cut') for 1 .. 2;
is(codes(1, 'odd'), 'upstream_open', 'answers that are cut are failures');

# one prober, also after it has died and after a reload; as calls are made

sub probes { return scalar grep { /^$_[0] \/health stoa-health/ }
                 $t->log_lines('ups', 'calls.log') }
ill('one', 1);
state_is('http', $port{one}, 'down');
$t->reload('gw');
is(state_is('http', $port{one}, 'down')->{health}, 'down',
   'a reload forgets nothing');
ok(seen(10, 'http') !~ /one/, 'new workers know it');
kill 'KILL', $t->workers('gw');
wait_until { $t->workers('gw') == 2 };
ill('one', 0);
is(state_is('http', $port{one}, 'up')->{health}, 'up',
   'a worker that was killed has a successor');

my $two = probes('two');
$t->apply(documents(http => [[url('one'), url('three')],
                             { health => $check }]));
$t->sync;
wait_until { my %now = targets('http'); !$now{"127.0.0.1:$port{two}"} };
my %now = targets('http');
is(join(' ', sort keys %now),
   join(' ', sort map { "127.0.0.1:$port{$_}" } qw(one three)),
   'a target that is no more is not shown');
my $before = probes('two');
my $other = probes('three');
wait_until { probes('three') > $other + 5 };
is(probes('two'), $before, 'nor asked');
cmp_ok($before, '>', 5, 'as it was before');


# MCP

sub talk { my ($session) = @_;
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => 'talk__echo',
        arguments => {} }, key => $key);
    return $r->{rpc}{error} || $r }
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/talk/tools')
                ->{json}{items} || [] } } 20;
$t->sync;
is(talk()->{status}, 200, 'a tool is called');
$t->kill9('mcp');
my $error;
wait_until { $error = talk(); ($error->{data}{code} // '')
             eq 'upstream_open' };
is("$error->{code} $error->{data}{code}", '503 upstream_open',
   'a call of a tool, when its server is set aside') or diag(json_encode($error));


# more apis than are checked: those that are go on, also when one changes

my $many = { type => 'tcp', interval_ms => 3_600_000 };
$t->apply(docs(map { rest('acme', "many$_", url('one'),
                          upstream => { health => $many }) } 1 .. 1030));
$t->sync;
$t->apply(documents(http => [[url('one'), url('three')],
                             { health => { %$check, up => 3 } }]));
$t->sync;
wait_until { grep { /stoa: only 1024 apis/ }
                 split /\n/, slurp($t->dir('gw/logs/error.log')) };
$other = probes('three');
ok(wait_until { probes('three') > $other + 5 },
   'one of more than can be checked is changed, and checked on');

$t->allow_log('exited on signal 9');
$t->done;
