#!/usr/bin/perl

# Checks of targets: what all workers know of them, and what they do with it.
# The targets are servers of an nginx of their own, ill where a file says so.

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
);
sub documents {
    my (%more) = @_;
    my %now = (%apis, %more);
    return docs($example, tenant('acme'), app('acme', 'demo'), plan('acme', 'free'),
        doc('Api', 'acme', 'tools', { kind => 'mcp', state => 'published',
            upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" },
                                      { url => url('two') }],
                health => { type => 'mcp', interval_ms => 100 } } }),
        map { (rest('acme', $_, $now{$_}[0], upstream => $now{$_}[1]),
               sub_('acme', 'demo', $_, 'free')) } sort keys %now);
}
$t->apply(documents());
$t->gateway(workers => 2);
my $key = $t->key('acme', 'demo');
$t->sync;

sub call { my ($api) = @_;
           return $t->http('GET', "/apis/acme/$api/", key => $key) }
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
    my $r = $t->api('POST', '/v1/apply', documents(
        http => [[@all], { health => { type => 'http', %$health } }]),
        headers => { 'Content-Type' => 'application/yaml' });
    is("$r->{status} " . ($r->{json}{errors}[0]{field} // $r->{body}),
       "422 spec.upstream.health.$field", $what);
}
wrong({ type => 'icmp' }, 'type', 'a type that there is not');
wrong({ type => 'mcp' }, 'type', 'a ping of MCP at an api of REST');
wrong({ path => 'health' }, 'path', 'a path without a slash');
wrong({ path => "/a b" }, 'path', 'a path with a blank');
wrong({ statuses => ['2xx', '2x'] }, 'statuses[1]', 'no status');
wrong({ statuses => ['999'] }, 'statuses[0]', 'none that there is');
wrong({ interval_ms => 1 }, 'interval_ms', 'too often');
wrong({ up => 0 }, 'up', 'up after nothing');
wrong({ type => 'tcp', path => '/x' }, 'path', 'a path of a connection');


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

$t->allow_log('exited on signal 9');
$t->done;
