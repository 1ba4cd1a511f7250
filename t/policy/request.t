#!/usr/bin/perl

# What is asked of a request before anybody reads it: maintenance, user-agent,
# request-shape, and ip-filter with lists that are long.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $port = $t->origin(sub { return [200, [], 'ok'] });
my $mcp = $t->mcp_origin(name => 'm', tools => {
    one => sub { 'one' }, two => sub { 'two' } });

sub policy { my ($name, $type, $attach, %config) = @_;
             return doc('Policy', 'acme', $name, { type => $type,
                 config => \%config, attach => $attach }) }

my @apis = qw(away agent named shape far near);
$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    (map { (rest('acme', $_, "http://127.0.0.1:$port"),
            sub_('acme', 'demo', $_, 'free')) } @apis),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    sub_('acme', 'demo', 'm', 'free')));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } >= 2 } 20 or $t->give_up('no tools');
$t->gateway;
my $key = $t->key('acme', 'demo');

$t->apply(docs(
    policy('away', 'maintenance', [{ api => 'away' }], retry_after_s => 90,
           text => "back at \"noon\"", allow => ['192.0.2.1'],
           paths => ['/health', '/jobs/{id}']),
    policy('tool', 'maintenance', [{ api => 'm' }], tools => ['one'],
           text => 'later'),
    policy('agent', 'user-agent', [{ api => 'agent' }],
           deny => ['curl', '*bot', 'python-*'], empty => JSON::PP::false),
    policy('named', 'user-agent', [{ api => 'named' }], allow => ['acme-app'],
           deny => ['beta']),
    policy('shape', 'request-shape', [{ api => 'shape' }], max_arguments => 3,
           max_argument_name => 4, max_argument_value => 8,
           unique_arguments => JSON::PP::true, max_headers => 12,
           max_header_bytes => 100, methods => [qw(GET POST)],
           content_types => ['application/json', 'image/*'])));
$t->sync;

sub call { my ($path, %o) = @_;
           my $r = $t->http($o{method} // 'GET', "/apis/acme/$path",
                            key => $key, %o);
           return $r }
sub says { my $r = call(@_); return "$r->{status} " . ($r->{json}{code} // '') }
sub tool { my ($name) = @_;
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => "m__$name",
        arguments => {} }, key => $key);
    return $r }

# maintenance

my $r = call('away/x');
is($r->{status}, 503, 'maintenance: a call');
is($r->{json}{code}, 'maintenance', 'and why');
is($r->{json}{detail}, 'back at "noon"', 'in its own words');
is($r->{headers}{'retry-after'}, 90, 'and when to come again');
is($t->http('GET', '/apis/acme/away/x')->{status}, 503, 'for anybody');
is(says('away/health'), '200 ', 'a path that it names is served');
is(says('away/jobs/7'), '200 ', 'and a template');
is(says('away/health/x'), '503 maintenance', 'but what is below it is not');
is(says('away/jobs/7%2Fx'), '503 maintenance', 'nor what an encoded slash makes');
$r = tool('two');
is($r->{rpc}{error}{data}{code}, 'maintenance', 'MCP: a tool');
is(tool('one')->{rpc}{result}{content}[0]{text}, 'one', 'MCP: one that is served');
$t->apply(docs(policy('away', 'maintenance', [{ api => 'away' }],
    allow => ['127.0.0.0/8'])));
$t->sync;
is(says('away/x'), '200 ', 'from an address that it names');

# user-agent

sub as { my ($agent, $api) = @_;
         return says(($api // 'agent') . '/', headers => { 'User-Agent' => $agent }) }
is(as('curl/8.0'), '403 user_agent_denied', 'user-agent: a name');
is(as('CURL'), '403 user_agent_denied', 'in another case');
is(as('libcurl/8.0'), '200 ', 'not as a part of a word');
is(as('curly/1'), '200 ', 'nor as its beginning');
is(as('Mozilla/5.0 (compatible; AhrefsBot/7.0)'), '403 user_agent_denied',
   'the end of a word');
is(as('Mozilla/5.0 robotics'), '200 ', 'not its middle');
is(as('Python-urllib/3'), '403 user_agent_denied', 'the beginning of one');
is(as(''), '403 user_agent_denied', 'none');
is(as('x' x 1025), '403 user_agent_denied', 'one that is too long to be judged');
is(as('x' x 1024), '200 ', 'one that is not');
is(as('acme-app/1.0', 'named'), '200 ', 'allow: a name');
is(as('other/1.0', 'named'), '403 user_agent_denied', 'allow: another');
is(as('acme-app/1.0 beta', 'named'), '403 user_agent_denied', 'deny comes first');
is(as('', 'named'), '200 ', 'none, unless empty says no');

# request-shape

is(says('shape/?a=1&b=2&c=3'), '200 ', 'shape: as many arguments');
for my $row (['a=1&b=2&c=3&d=4', 'more arguments'],
             ['abcde=1', 'a longer name'], ['%61bcde=1', 'the same, encoded'],
             ['a=123456789', 'a longer value'], ['a=1&a=2', 'one twice'],
             ['a=1&%61=2', 'the same in another spelling'],
             ['a&a', 'without a value'])
{
    is(says("shape/?$row->[0]"), '400 query_denied', "shape: $row->[1]");
}
is(says('shape/?%61bcd=%31%32%33%34%35%36%37%38'), '200 ',
   'what counts is what is meant');
is(says('shape/?&&&&&&a=1'), '200 ', 'and nothing is no argument');
is(says('shape/', headers => { 'X-A' => 'x' x 101 }), '431 headers_denied',
   'a long header');
is(says('shape/', headers => { map { ("X-$_" => 1) } 1 .. 12 }),
   '431 headers_denied', 'many headers');
$r = call('shape/', method => 'DELETE');
is("$r->{status} $r->{json}{code} $r->{headers}{allow}",
   '405 method_denied GET, POST', 'another method');
for my $row (['application/json', 200], ['Application/JSON ; charset=utf-8', 200],
             ['image/png', 200], ['text/plain', 415], ['imagex/png', 415],
             ['application/json5', 415], ['', 415])
{
    is(call('shape/', method => 'POST', body => 'x',
            headers => { 'Content-Type' => $row->[0] })->{status}, $row->[1],
       "a body that is '$row->[0]'");
}

# ip-filter: 100,000 ranges, of which one is the client's or none

sub many { my ($more) = @_;
           return [(map { sprintf '10.%d.%d.%d/31', $_ >> 15, $_ >> 7 & 255,
                          ($_ & 127) * 2 } 0 .. 59_998),
                   (map { sprintf '2001:db8:%x::/48', $_ } 0 .. 39_999),
                   $more] }
for my $row (['far', allow => '192.0.2.0/24', '403 ip_denied'],
             ['near', allow => '127.0.0.0/8', '200 '],
             ['near', deny => '127.0.0.0/8', '403 ip_denied'])
{
    my ($api, $list, $more, $want) = @$row;
    $t->apply(docs(policy("$api-many", 'ip-filter', [{ api => $api }],
                          $list => many($more))));
    $t->sync;
    is(says("$api/"), $want, "ip-filter: $list, 100,000 and $more");
}
$r = $t->api(POST => '/v1/apply?dry_run=1', docs(policy('far-many',
    'ip-filter', [{ api => 'far' }], allow => [@{ many('::1') }, '::2'])),
    headers => { 'Content-Type' => 'application/yaml' });
is($r->{status}, 422, 'one more is refused');
like($r->{body}, qr/config\.allow.*0\.\.100000/, 'and says which member');

$t->done;
