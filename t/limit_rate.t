#!/usr/bin/perl

# Rate and burst, exact over four workers under concurrency; the headers of
# draft-ietf-httpapi-ratelimit-headers-11; budgets by subscription, application
# and credential; concurrency.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');

$t->control;
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q) = @_;
    select undef, undef, undef, 1.2 if $q->{path} =~ /slow/;
    return [200, ['RateLimit' => '"theirs";r=9;t=9'], 'ok'];
});

my %plans = (
    five => { rate => 5, per_ms => 600_000, burst => 5 },
    fifty => { rate => 50, per_ms => 3_600_000, burst => 50 },
    whole => { rate => 3, per_ms => 600_000 },
    deep => { rate => 10, per_ms => 60_000, burst => 2 },
    second => { rate => 3, per_ms => 500, burst => 3 },
    byapp => { rate => 2, per_ms => 600_000, burst => 2,
               limit_by => 'application' },
    bykey => { rate => 2, per_ms => 600_000, burst => 2,
               limit_by => 'credential' },
    three => { concurrency => 3 },
    both => { rate => 4, per_ms => 600_000, burst => 4, concurrency => 1 },
    tried => { concurrency => 1 },
    none => {},
);
$t->apply(docs(tenant('acme'), app('acme', 'demo'), app('acme', 'two'),
    (map { (plan('acme', $_, %{ $plans{$_} }), rest('acme', "a$_", $to),
            sub_('acme', 'demo', "a$_", $_)) } sort keys %plans),
    rest('acme', 'abyapp2', $to), sub_('acme', 'demo', 'abyapp2', 'byapp'),
    sub_('acme', 'two', 'abyapp', 'byapp'),
    doc('Policy', 'acme', 'try', { type => 'concurrency', state => 'shadow',
                                   attach => [{ plan => 'tried' }] })));
$t->gateway(workers => 4);
my $key = $t->key('acme', 'demo');
my $key2 = $t->key('acme', 'demo');
my $other = $t->key('acme', 'two');
$t->sync;

sub call { my ($api, %o) = @_;
           return $t->get("/apis/acme/a$api/" . ($o{path} // ''),
                          key => $key, %o) }
sub codes { my ($n, @a) = @_;
            return join ' ', map { call(@a)->{status} } 1 .. $n }


# a burst, its headers

my $r = call('five');
is($r->{status}, 200, 'the first');
is($r->{headers}{'ratelimit-policy'}, '"rate";q=5;w=600',
   'RateLimit-Policy');
like($r->{headers}{ratelimit}, qr/^"rate";r=4;t=(?:119|120)$/,
     'RateLimit, and not the upstream\'s');
is($r->{headers}{'retry-after'}, undef, 'no Retry-After');
is($r->{headers}{'x-ratelimit-limit'}, undef, 'no legacy headers');
is(codes(5, 'five'), '200 200 200 200 429', 'five at once, then none');
$r = call('five');
is($r->{json}{code}, 'rate_exceeded', 'rate_exceeded');
is_deeply($r->{json}{'violated-policies'}, ['rate'], 'which policy');
like($r->{headers}{'retry-after'}, qr/^(?:119|120)$/, 'Retry-After');
like($r->{headers}{ratelimit}, qr/^"rate";r=0;t=/, 'RateLimit');
is($r->{headers}{'ratelimit-policy'}, '"rate";q=5;w=600',
   'RateLimit-Policy');

is(codes(4, 'whole'), '200 200 200 429', 'without a burst: the whole rate');
$r = call('deep');
is($r->{headers}{'ratelimit-policy'}, '"rate";q=2;w=12',
   'what is told is what is enforced');
like($r->{headers}{ratelimit}, qr/^"rate";r=1;t=6$/, 'of two at once');
is(codes(2, 'deep'), '200 429', 'and no more');

$r = call('second');
is($r->{headers}{'ratelimit-policy'}, '"rate";q=6;w=1',
   'a period below a second');
call('second') for 1 .. 4;
ok((wait_until { call("second")->{status} == 200 } 3), "it refills");
is(call('none')->{headers}{'ratelimit-policy'}, undef,
   'no plan limits, no headers');


# by whom

is(codes(3, 'byapp'), '200 200 429', 'by application');
is(call('byapp2')->{status}, 429, 'another api, the same budget');
is(call('byapp', key => $other)->{status}, 200, 'another application');
is(codes(3, 'bykey'), '200 200 429', 'by credential');
is(call('bykey', key => $key2)->{status}, 200, 'another credential');


# exact: 8 clients, 160 requests at once over 4 workers, 50 of them allowed

sub storm {
    my ($clients, $each, $target) = @_;
    my %count;
    my @pipes;
    for (1 .. $clients) {
        pipe my $in, my $out;
        my $pid = fork;
        if ($pid == 0) {
            my %c;
            for (1 .. $each) {
                $c{$t->get($target, key => $key)->{status}}++;
            }
            print $out "$_ $c{$_}\n" for keys %c;
            close $out;
            POSIX::_exit(0);
        }
        close $out;
        push @pipes, [$pid, $in];
    }
    for (@pipes) {
        my ($pid, $in) = @$_;
        while (<$in>) { my ($k, $n) = split; $count{$k} += $n; }
        waitpid $pid, 0;
    }
    return \%count;
}

is_deeply(storm(8, 20, '/apis/acme/afifty/'), { 200 => 50, 429 => 110 },
          'exactly 50 of 160');


# concurrency

sub at_once {
    my ($n, $target) = @_;
    my @c = map { $t->connection } 1 .. $n;
    $_->send_raw($_->request_text('GET', $target,
        headers => { 'X-API-Key' => $key })) for @c;
    my @status = sort map { $_->response->{status} } @c;
    $_->close for @c;
    return "@status";
}

is(at_once(6, '/apis/acme/athree/slow'), '200 200 200 429 429 429',
   'three at once');
ok((wait_until { at_once(3, '/apis/acme/athree/slow') eq '200 200 200' } 30),
   'given back');
# a place comes back after its answer: who asks at once may find it taken
sub idle { wait_until { ($t->metrics->{stoa_in_flight} // 1) == 0 } 10 }
idle();
sub slow { return scalar grep { $_->{path} =~ /slow/ } $t->origin_log }
my $before = slow();
my @c = map { $t->connection } 1 .. 3;
$_->send_raw($_->request_text('GET', '/apis/acme/athree/slow',
    headers => { 'X-API-Key' => $key })) for @c;
wait_until { slow() == $before + 3 } 10;
$r = call('three');
is($r->{status}, 429, 'a fourth');
is($r->{json}{code}, 'concurrency_exceeded', 'concurrency_exceeded');
is_deeply($r->{json}{'violated-policies'}, ['concurrency'], 'which policy');
is($r->{headers}{'retry-after'}, 1, 'Retry-After');
$_->reset for @c;
ok((wait_until { call("three")->{status} == 200 } 3),
   'clients that left give back');

# in shadow: who would be refused is counted, and nobody is

sub shadowed { my ($n) = $t->get('/stoa/metrics')->{body} =~ m{^stoa_policy_total
                   \{policy_type="concurrency",outcome="shadow_refused"\}
                   \s(\d+)}mx; return $n // 'none' }
is(shadowed(), 0, 'nothing was judged in shadow');
is(at_once(3, '/apis/acme/atried/slow'), '200 200 200',
   'three at once where one may be, in shadow');
is((wait_until { shadowed() == 2 } 10), 1, 'two are counted') or diag shadowed();
is(call('tried')->{headers}{'ratelimit-policy'}, undef, 'callers hear nothing');
$before = slow();

# what is refused for concurrency uses no token of the rate: 4 are there

my $one = $t->connection;
$one->send_raw($one->request_text('GET', '/apis/acme/aboth/slow',
    headers => { 'X-API-Key' => $key }));
wait_until { slow() == $before + 1 } 10;
is(codes(3, 'both'), '429 429 429', 'one at a time');
is($one->response->{status}, 200, 'the one');

idle();
my %left;
for (1 .. 4) {
    $r = call('both');
    $left{$r->{status} == 200 ? 'ok' : $r->{json}{code}}++;
    idle();
}
is_deeply(\%left, { ok => 3, rate_exceeded => 1 }, 'and three are left');
$one->close;

$t->done;
