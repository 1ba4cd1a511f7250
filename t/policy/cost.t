#!/usr/bin/perl

# cost: a call uses up as much of its plan's rate and quotas as the narrowest
# policy says, and what is told follows.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($said) = $_[0]{path} =~ m{/say/(.*)};
    return [defined $said && $said eq '500' ? 500 : 200, [map { ('X-Cost',
        $_) } grep { $_ ne 'none' && $_ ne '500' } split /,/, $said // ''],
        'ok'] });
my $mcp = $t->mcp_origin(name => 'm', tools => {
    map { my $n = $_; $n => sub { $n } } qw(cheap dear huge) });

sub cost { my ($name, $attach, %config) = @_;
           my $state = delete $config{state};
           return doc('Policy', 'acme', $name, { type => 'cost',
               config => \%config, attach => $attach,
               $state ? (state => $state) : () }) }

my %plans = (
    ten => { rate => 10, per_ms => 3_600_000, burst => 10 },
    priced => { rate => 10, per_ms => 3_600_000, burst => 10 },
    daily => { quota_day => 10, quota_month => 12 },
    both => { rate => 10, per_ms => 3_600_000, quota_day => 5 },
    fast => { rate => 10, per_ms => 1000, burst => 4 },
    later => { quota_day => 40, quota_month => 1000 },
    owes => { rate => 10, per_ms => 3_600_000, burst => 10 },
    window => { rate => 0 },
);
$t->apply(docs(tenant('acme'), (map { plan('acme', $_, %{ $plans{$_} }),
        app('acme', $_) } sort keys %plans),
    rest('acme', 'echo', $to, operations => [
        { name => 'one', method => 'GET', path => '/one' },
        { name => 'four', method => 'GET', path => '/four' }]),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    (map { sub_('acme', $_, 'echo', $_), sub_('acme', $_, 'm', $_) }
     sort keys %plans),
    rest('acme', 'said', $to), rest('acme', 'shown', $to),
    rest('acme', 'counted', $to),
    (map { sub_('acme', $_, 'said', $_), sub_('acme', $_, 'shown', $_),
           sub_('acme', $_, 'counted', $_) } sort keys %plans),
    cost('said', [{ api => 'said' }], cost => 2, header => 'X-Cost',
         max => 50),
    cost('shown', [{ api => 'shown' }, { api => 'counted' }],
         header => 'x-cost', remove => JSON::PP::false()),
    doc('Policy', 'acme', 'counted', { type => 'rate-limit', config => {
        rate => 10, per_ms => 3_600_000, cost => JSON::PP::true() },
        attach => [{ api => 'counted' }] }),
    cost('four', [{ api => 'echo', operation => 'four' }], cost => 4),
    cost('mcp', [{ api => 'm' }], cost => 2),
    cost('dear', [{ api => 'm', tool => 'dear' }], cost => 5),
    cost('huge', [{ api => 'm', tool => 'huge' }], cost => 11),
    cost('none', [{ api => 'm', tool => 'dear' }], cost => 9,
         state => 'shadow'),
    cost('prices', [{ plan => 'priced' }], weights => [
         { api => 'm', tool => 'dear', cost => 7 }, { api => 'echo', cost => 3 },
         { api => 'm', cost => 1 }])));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } == 3 } 20 or $t->give_up('no tools');
$t->gateway(workers => 4);
my %key = map { $_ => $t->key('acme', $_) } keys %plans;
$t->sync;

sub rest_ { my ($who, $path) = @_;
            return $t->get("/apis/acme/echo/$path", key => $key{$who}) }
sub tool { my ($who, $name) = @_;
           return $t->mcp('/mcp/acme', 'tools/call', { name => "m__$name",
               arguments => {} }, key => $key{$who}) }
sub left { my ($r) = @_;
           return ($r->{rpc} ? $r->{rpc}{error} ? $r->{rpc}{error}{data}{code}
                   : 'ok' : $r->{status} == 200 ? 'ok' : $r->{json}{code})
                  . " " . join ',', ($r->{headers}{ratelimit} // '')
                                    =~ /"(\w+";r=\d+)/g }

# a bucket of ten: REST by operation, MCP by tool

is(left(rest_('ten', 'one')), 'ok rate";r=9', 'a call costs one');
is(left(rest_('ten', 'four')), 'ok rate";r=5', 'an operation four');
my $r = rest_('ten', 'one') for 1 .. 2;
is(left($r = rest_('ten', 'four')), 'rate_exceeded rate";r=3',
   'what is left is not enough: it is told, not taken');
is($r->{status}, 429, 'it is a 429');
cmp_ok($r->{headers}{'retry-after'}, '<=', 361, 'until there is enough');
cmp_ok($r->{headers}{'retry-after'}, '>', 300, '... for this one');
is(left(rest_('ten', 'one')), 'ok rate";r=2', 'a smaller one passes');

is(left(tool('ten', 'cheap')), 'ok rate";r=8', 'MCP: by the api');
is(left(tool('ten', 'dear')), 'ok rate";r=3', 'a tool: the narrower counts');
is(left(tool('ten', 'dear')), 'rate_exceeded rate";r=3', 'not twice');
$r = tool('ten', 'huge');
is($r->{rpc}{error}{data}{code}, 'cost_exceeded', 'more than there ever is');
is($r->{status}, 200, 'said in JSON-RPC');
is($r->{rpc}{error}{code}, 403, 'and not as something to wait for');
ok(!defined $r->{headers}{'retry-after'}, 'no Retry-After');
like($r->{rpc}{error}{message}, qr/costs 11, more than the 10 /,
     'with both numbers');
is(left(tool('ten', 'cheap')), 'ok rate";r=1', 'nothing was taken for it');

# a plan's prices come before what they are attached to

is(left(tool('priced', 'cheap')), 'ok rate";r=9', 'a plan: the api');
is(left(tool('priced', 'dear')), 'ok rate";r=2', 'a plan: the tool');
is(left(rest_('priced', 'four')), 'ok rate";r=7', 'a plan: REST');

# quotas, day before month

is(left(tool('daily', 'dear')), 'ok day";r=5,month";r=7', 'a quota');
is(left(rest_('daily', 'four')), 'ok day";r=6,month";r=8',
   'each target has its own');
is(left(tool('daily', 'dear')), 'ok day";r=0,month";r=2',
   'to the last');
is(left(tool('daily', 'cheap')), 'quota_exceeded day";r=0', 'used up');
is(left(tool('daily', 'huge')), 'cost_exceeded ', 'more than a day has');

# refused by the quota: the rate gets back all that was taken

is(left(rest_('both', 'four')), 'ok day";r=1,rate";r=6',
   'rate and quota');
is(left(rest_('both', 'four')), 'quota_exceeded day";r=1', 'no second one');
is(left(rest_('both', 'one')), 'ok day";r=0,rate";r=5',
   'the rest of the day');
is(rest_('both', 'one')->{status}, 429, 'nothing more');

# four at once, then four of ten in 0.4 s

is(join(' ', map { (rest_('fast', 'four'))->{status} } 1, 2), '200 429',
   'a whole bucket');
ok((wait_until { rest_('fast', 'four')->{status} == 200 } 5), 'full again');

is($t->metrics->{'stoa_policy_total{policy_type="cost",'
                 . 'outcome="shadow_applied"}'} > 0 ? 1 : 0, 1,
   'a shadow is counted, and is no price');

# what the answer says, when it has ended

sub said { my ($who, $api, $cost) = @_;
           return $t->get("/apis/acme/$api/say/$cost", key => $key{$who}) }
sub day { my ($r) = @_;
          return ($r->{headers}{ratelimit} // '') =~ /"day";r=(\d+)/ ? $1 : '' }
$r = said('later', 'said', 15);
is($r->{status}, 200, 'a call that says 15');
is($r->{headers}{'x-cost'}, undef, '... which the client does not see');
ok((wait_until { day($r = said('later', 'said', 0)) <= 23 } 5),
   '... has cost that, and the one that says 0 two until it ends')
    or diag json_encode($r->{headers});
my $had = day($r) + 2;
is($had, 25, '... and nothing then');
for my $bad ('none', 'x', '51', '-1', '1.5', '1,1', '12345678', '500') {
    said('later', 'said', $bad);
    $had -= 2;
    is(day($r = said('later', 'said', 0)), $had - 2, "as it was: $bad");
}
is($had, 9, 'each has cost what was taken');
said('later', 'said', 50);
ok((wait_until { said('later', 'said', 0)->{status} == 429 } 5),
   'beyond the quota is counted');
ok($t->metrics->{stoa_cost_unsaid_total} >= 7, 'what does not say is counted');

is(said('owes', 'said', 30)->{status}, 200, 'more than a bucket has');
ok((wait_until { ($r = said('owes', 'said', 0))->{status} == 429 } 5),
   '... is owed');
cmp_ok($r->{headers}{'retry-after'}, '>', 7000, '... until it is refilled');

$r = said('window', 'shown', 3);
is($r->{headers}{'x-cost'}, 3, 'a header that is not removed');
is(said('window', 'counted', 12)->{status}, 200, 'rate-limit by cost');
ok((wait_until { said('window', 'counted', 1)->{status} == 429 } 5),
   '... is charged');

# bounds

for ([{}, 'nothing'], [{ cost => 1_000_001 }, 'too much'],
     [{ weights => [{ api => 'm', cost => 0 }] }, 'free'],
     [{ weights => [{ cost => 2 }] }, 'of what?'],
     [{ header => 'Connection' }, 'a header of the connection'],
     [{ header => 'a b' }, 'no header'])
{
    $r = $t->api(POST => '/v1/apply?dry_run=1', docs(doc('Policy', 'acme',
        'bad', { type => 'cost', config => $_->[0] })),
        headers => { 'Content-Type' => 'application/yaml' });
    is($r->{status}, 422, "refused: $_->[1]");
}

$t->done;
