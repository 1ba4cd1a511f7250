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

my $to = 'http://127.0.0.1:' . $t->origin(sub { return [200, [], 'ok'] });
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

# bounds

for ([{}, 'nothing'], [{ cost => 1_000_001 }, 'too much'],
     [{ weights => [{ api => 'm', cost => 0 }] }, 'free'],
     [{ weights => [{ cost => 2 }] }, 'of what?'])
{
    my $r = $t->api(POST => '/v1/apply?dry_run=1', docs(doc('Policy', 'acme',
        'bad', { type => 'cost', config => $_->[0] })),
        headers => { 'Content-Type' => 'application/yaml' });
    is($r->{status}, 422, "refused: $_->[1]");
}

$t->done;
