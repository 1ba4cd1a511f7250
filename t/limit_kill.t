#!/usr/bin/perl

# What a worker held when it was killed comes back: places among the
# concurrent requests; and nothing that was used up does.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->allow_log(qr/worker process \d+ exited on signal 9/);

$t->control;
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q) = @_;
    select undef, undef, undef, 3 if $q->{path} =~ /slow/;
    return [200, [], 'ok'];
});
$t->apply(docs(tenant('acme'), app('acme', 'demo'),
    plan('acme', 'both', concurrency => 2, quota_day => 100, rate => 10,
         per_ms => 600_000, burst => 10),
    rest('acme', 'echo', $to), sub_('acme', 'demo', 'echo', 'both')));
$t->gateway(workers => 3);
my $key = $t->key('acme', 'demo');
$t->sync;

sub call { return $t->get('/apis/acme/echo/', key => $key) }

for my $round (1 .. 2) {
    my @c = map { $t->connection } 1 .. 2;
    $_->send_raw($_->request_text('GET', '/apis/acme/echo/slow',
        headers => { 'X-API-Key' => $key })) for @c;
    wait_until { 2 * $round == grep { $_->{path} =~ /slow/ }
                               $t->origin_log } 10;
    is(call()->{json}{code}, 'concurrency_exceeded', "$round: two are there");

    my @old = $t->workers;
    kill 'KILL', @old;
    wait_until { !grep { kill 0, $_ } @old } 5;
    ok((wait_until { call()->{status} == 200 } 10),
       "$round: given back by killed workers");
    $_->close for @c;

    # the two may have been held by two workers, each given back by itself
    ok((wait_until { ($t->metrics->{stoa_in_flight} // 1) == 0 } 10),
       "$round: both of them");
}

# 2 x (2 slow + 1) of the 10 were used, the kills gave none back

my $r = call();
is($r->{status}, 200, 'a call');
like($r->{headers}{ratelimit}, qr/^"rate";r=3;/, 'the rate goes on');
is(join(' ', map { wait_until { $t->metrics->{stoa_in_flight} == 0 } 10;
                   call()->{status} } 1 .. 4), '200 200 200 429', 'exactly');

$t->done;
