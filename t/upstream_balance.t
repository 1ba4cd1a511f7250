#!/usr/bin/perl

# Several targets: weights, least connections, failover, passive health, what
# is tried again and what not, and how often in all, another target's path and
# Host; how long a call may take.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');

$t->control;
my @port = map {
    my $name = $_;
    $t->origin(sub {
        my ($q, $c) = @_;
        return undef if $q->{path} =~ /drop/;
        select undef, undef, undef, 1 if $q->{path} =~ /slow(?:$name|all)/;
        return [503, $q->{path} =~ /later/ ? ['Retry-After' => 1] : [],
                "busy at $name"] if $q->{path} =~ /busy(?:all|$name)/;
        return [404, [], 'none'] if $q->{path} =~ /none$name/;
        if ($q->{path} =~ /drip/) {
            $c->send_raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
            select undef, undef, undef, 0.6;
            $c->send_raw('def');
            return undef;
        }
        return [200, ['Content-Type' => 'application/json'], json_encode({
            at => $name, path => $q->{path}, host => $q->{headers}{host},
            method => $q->{method}, body => length $q->{body} })];
    }, name => $name);
} qw(one two three);
my $dead = $t->port('dead');
my ($one, $two, $three) = map { "http://127.0.0.1:$_" } @port;

my %apis = (
    weights => [[{ url => $one, weight => 5 }, { url => $two, weight => 2 },
                 { url => $three }]],
    least => [[$one, $two, $three], upstream => { balance => 'least_conn' }],
    over => [["http://127.0.0.1:$dead/dead", "$two/alive"],
             upstream => { max_fails => 1, fail_timeout_ms => 600 }],
    names => [["http://127.0.0.1:$dead/a", "http://localhost:$port[1]/b/"],
              upstream => { max_fails => 0 }],
    once => [["http://127.0.0.1:$dead", $two],
             upstream => { retries => 0, max_fails => 0 }],
    pair => [[$one, $two], upstream => { max_fails => 0, retries => 1,
                                         read_timeout_ms => 300 }],
    dead => ["http://127.0.0.1:$dead"],
    budget => [[$one, $two, $three], upstream => { max_fails => 0,
        retries => 2, retry => { causes => ['503'], budget_min => 0 } }],
    few => [[$one, $two, $three], upstream => { max_fails => 0,
        retries => 2, retry => { causes => ['503'], budget_percent => 0,
                                 budget_min => 3 } }],
    status => [[$one, $two], upstream => { max_fails => 0,
        retry => { causes => ['503', '404'], budget_percent => 100 } }],
    all => [[$one, $two], upstream => { max_fails => 0,
        idle_timeout_ms => 0,
        retry => { causes => ['503', 'error'], non_idempotent => \1,
                   budget_percent => 100 } }],
    again => [[$one], upstream => { max_fails => 0, retries => 2,
        retry => { causes => ['503'], same_target => \1,
                   budget_percent => 100, budget_min => 100 } }],
    connect => [["http://127.0.0.1:$dead", $one], upstream => {
        max_fails => 0, idle_timeout_ms => 0, retry => { causes => ['connect'],
                                   budget_min => 100 } }],
    head => [[$one, $two], upstream => { max_fails => 0, retries => 0,
        first_byte_timeout_ms => 200, read_timeout_ms => 3000 }],
    total => [[$one, $two, $three], upstream => { max_fails => 0,
        retries => 2, total_timeout_ms => 300 }, operations => [
            { name => 'get', method => 'GET', path => '/{any}' },
            { name => 'long', method => 'GET', path => '/long/{any}',
              total_timeout_ms => 5000 },
            { name => 'head', method => 'GET', path => '/head/{any}',
              total_timeout_ms => 5000, first_byte_timeout_ms => 150 },
        ]],
    same => [["http://127.0.0.1:$port[0]/x", "http://127.0.0.1:$port[0]/y"]],
);
$t->apply(docs(tenant('acme'), app('acme', 'demo'), plan('acme', 'free'),
    map { (rest('acme', $_, @{ $apis{$_} }),
           sub_('acme', 'demo', $_, 'free')) } sort keys %apis));
$t->gateway(http => "log_format up '\$uri \$upstream_addr \$upstream_status';",
    server => 'access_log logs/up.log up;');
my $key = $t->key('acme', 'demo');
$t->sync;

sub call { my ($api, $path, %o) = @_;
           return $t->http($o{method} || 'GET', "/apis/acme/$api/"
                           . ($path // ''), key => $key, %o) }
sub counts {
    my ($n, @a) = @_;
    my %n;
    $n{ $_->{json}{at} // $_->{status} }++ for map { call(@a) } 1 .. $n;
    return join ' ', map { "$_:$n{$_}" } sort keys %n;
}


# balancing

is(counts(80, 'weights'), 'one:50 three:10 two:20', 'weights 5, 2, 1');
my $order = join ' ', map { call('weights')->{json}{at} } 1 .. 8;
unlike($order, qr/one one one one/, 'smoothly') or diag($order);
is(counts(30, 'least'), 'one:10 three:10 two:10', 'equals in turn');
my @busy = map { $t->connection } 1 .. 2;
$_->send_raw($_->request_text('GET', '/apis/acme/least/slowone',
    headers => { 'X-API-Key' => $key })) for @busy;
select undef, undef, undef, 0.1;
my %least = map { split /:/ } split / /, counts(20, 'least');
ok(($least{one} // 0) <= 2 , 'a busy one gets less')
    or diag(join ' ', %least);
$_->response && $_->close for @busy;
is(join(' ', sort map { call('same')->{json}{path} } 1 .. 4),
   '/x/ /x/ /y/ /y/', 'two paths of one server');


# failover

my $r = call('over', 'z?q=1');
my $s = call('over', 'z?q=1');
is("$r->{status} $s->{status}", '200 200', 'another target helps');
is("$r->{json}{path} $s->{json}{path}", '/alive/z /alive/z', 'by its path');
my @log = grep { m{/over/} } $t->log_lines('gw', 'up.log');
my $tried = grep { /127.0.0.1:$dead, 127.0.0.1:$port[1] 502, 200/ } @log;
is($tried, 1, 'a dead one is tried once') or diag("@log");
counts(10, 'over');
@log = grep { m{/over/} } $t->log_lines('gw', 'up.log');
is(scalar(grep { /$dead/ } @log), 1, 'then left alone');
select undef, undef, undef, 0.8;
counts(6, 'over');
@log = grep { m{/over/} } $t->log_lines('gw', 'up.log');
is(scalar(grep { /$dead/ } @log), 2, 'and tried again after a pause');

my @hosts = map { call('names')->{json} } 1 .. 2;
is(join(' ', map { $_->{host} } @hosts),
   "localhost:$port[1] localhost:$port[1]", 'the other target\'s Host');
is(join(' ', map { $_->{path} } @hosts), '/b/ /b/', 'and path');
$r = call('names', 'z', method => 'POST', body => 'x' x 300_000);
$s = call('names', 'z', method => 'POST', body => 'x' x 300_000);
is("$r->{status} $s->{status} $r->{json}{body} $s->{json}{body}",
   '200 200 300000 300000', 'a body that was not sent goes to another');

is(join(' ', sort map { call('once')->{status} } 1 .. 4), '200 200 502 502',
   'no retries');
is(join(' ', sort map { call('pair', 'drop')->{status} } 1 .. 2), '502 502',
   'no answer of either');
sub tries {
    my ($what) = @_;
    my $line;
    wait_until { ($line) = grep { m{/$what } } $t->log_lines('gw', 'up.log') };
    return scalar(() = $line =~ /127\.0\.0\.1:/g);
}

is(call('pair', 'drop1')->{status}, 502, 'a GET');
is(tries('drop1'), 2, 'is tried again');
is(call('pair', 'drop2', method => 'POST', body => 'x')->{status}, 502,
   'a POST that was sent');
is(tries('drop2'), 1, 'is not');
is(call('pair', 'drop3', method => 'PUT', body => 'x')->{status}, 502,
   'a PUT');
is(tries('drop3'), 2, 'is');


# by causes, with a budget: attempts are counted where they arrive

sub arrived { my ($path) = @_;
    return scalar grep { $_->{path} =~ $path }
        map { $t->origin_log($_) } qw(one two three) }
my %codes;
my $many = 500;
$codes{ call('budget', 'busyall')->{status} }++ for 1 .. $many;
my $made = arrived(qr/busyall/);
is_deeply(\%codes, { 503 => $many }, 'all of them fail');
cmp_ok($made, '<=', $many * 1.2, "$many calls, a budget of 20 %: $made tries");
cmp_ok($made, '>', $many * 1.1, 'which is used');
$r = call('budget', 'busyall');
like($r->{body}, qr/busy at/, 'the last answer is the upstream\'s own');
call('few', 'busyall-few') for 1 .. 20;
cmp_ok(arrived(qr/busyall-few/), '<=', 26, 'no share, and three in 10 s');
my $m = $t->metrics;
cmp_ok($m->{stoa_retries_denied_total}, '>', 300, 'what was denied is counted');

is(counts(20, 'status', 'busyone'), 'two:20', 'one answers 503: the other');
is(counts(20, 'status', 'noneone'), 'two:20', 'one answers 404: the other');
my $here = arrived(qr/busyall-later/);
is(call('status', 'busyall-later')->{status}, 503, 'with Retry-After');
is(arrived(qr/busyall-later/), 1, 'it is the answer');
call('status', 'busyall-post', method => 'POST', body => 'x');
is(arrived(qr/busyall-post/), 1, 'a POST is not tried again');
call('all', 'busyall-post2', method => 'POST', body => 'x');
is(arrived(qr/busyall-post2/), 2, 'but where it is said');
call('all', 'drop-post', method => 'POST', body => 'x');
is(arrived(qr/drop-post/), 2, 'also without an answer');
call('again', 'busyall-again');
is(arrived(qr/busyall-again/), 3, 'the same target again');
is(counts(10, 'connect', '', method => 'POST', body => 'x'), 'one:10',
   'no connection: another');
is(join(' ', map { call('connect', 'drop-c')->{status} } 1 .. 4),
   '502 502 502 502', 'a lost one: not there');
is(arrived(qr/drop-c/), 4, 'nobody else was asked');

for (['causes', ['500', 'teapot'], 'causes[1]', 'a cause that there is not'],
     ['budget_percent', 101, 'budget_percent', 'a budget above all calls']) {
    $r = $t->api('POST', '/v1/apply', rest('acme', 'budget', $one,
        upstream => { retry => { $_->[0] => $_->[1] } }),
        headers => { 'Content-Type' => 'application/yaml' });
    is("$r->{status} $r->{json}{errors}[0]{field}",
       "422 spec.upstream.retry.$_->[2]", $_->[3]);
}


# how long a call may take

$r = call('head', 'slowall');
is("$r->{status} $r->{json}{code}", '504 upstream_timeout',
   'no head in its time');
is(call('head', 'drip')->{body}, 'abcdef', 'a body has its own');
call('total', 'get') for 1 .. 2;
$r = call('total', 'slowall-total');
is("$r->{status} $r->{json}{code}", '504 upstream_timeout', 'the total time');
is(arrived(qr/slowall-total/), 1, 'ends all tries');
$r = call('total', 'drip-total');
ok(length $r->{body} < 6, 'and answers') or diag($r->{body});
is(call('total', 'long/drip')->{body}, 'abcdef', 'an operation has its own');
$r = call('total', 'head/slowone-slowtwo');
is($r->{json}{at} // $r->{status}, 'three', 'also for the head, for each try');
wait_until { $t->metrics->{stoa_calls_late_total} >= 2 };
is($t->metrics->{stoa_calls_late_total}, 2, 'what is late is counted');


# what a failing upstream looks like

$r = call('dead');
is("$r->{status} $r->{json}{code}", '502 upstream_unreachable',
   'upstream_unreachable');
$r = call('pair', 'drop');
is("$r->{status} $r->{json}{code}", '502 upstream_invalid',
   'upstream_invalid: it hung up');
$r = call('pair', 'slowone-slowtwo', method => 'POST', body => 'x');
is("$r->{status} $r->{json}{code}", '504 upstream_timeout',
   'upstream_timeout');

$t->done;
