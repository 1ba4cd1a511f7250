#!/usr/bin/perl

# Several targets: weights, least connections, failover, passive health, what
# is tried again and what not, another target's path and Host.

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
        select undef, undef, undef, 1 if $q->{path} =~ /slow$name/;
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
