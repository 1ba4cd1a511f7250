#!/usr/bin/perl

# cors: preflights, refusals, credentials, wildcards, the upstream's own
# headers, MCP endpoints; what browsers do is checked as they would.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $port = $t->origin(sub {
    my ($q) = @_;
    return [500, [], 'no'] if $q->{path} =~ /bad/;
    return [200, ['Access-Control-Allow-Origin' => '*',
                  'access-control-allow-credentials' => 'true',
                  'Access-Control-Expose-Headers' => 'X-Theirs',
                  Vary => 'Accept'], "$q->{method}"];
});
my $to = "http://127.0.0.1:$port";
my $mcp = $t->mcp_origin(name => 'm', tools => { echo => sub { 'hi' } });

sub cors { my ($name, $attach, %config) = @_;
           return doc('Policy', 'acme', $name, { type => 'cors',
               config => \%config, attach => [$attach] }) }

$t->apply(docs(tenant('acme'), plan('acme', 'free'),
    plan('acme', 'few', rate => 1, per_ms => 600_000), app('acme', 'demo'),
    (map { rest('acme', $_, $to) } qw(named any plain few below)),
    rest('acme', 'ops', $to, operations_only => \1,
         operations => [{ method => 'GET', path => '/a' }]),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    doc('Server', 'acme', 'desk', { state => 'published', prefix => 'never',
        tools => [{ api => 'm', tool => 'echo' }] }),
    (map { sub_('acme', 'demo', $_, 'free') } qw(named any plain below ops m)),
    sub_('acme', 'demo', 'few', 'few'),
    doc('Subscription', 'acme', undef, { application => 'demo',
        server => 'desk', plan => 'free' }),
    cors('named', { api => 'named' }, credentials => \1, max_age_s => 60,
         origins => ['https://a.example', 'http://localhost:6274'],
         methods => ['GET', 'PUT'], headers => ['X-API-Key', 'X-More'],
         expose => ['X-Extra']),
    cors('any', { api => 'any' }, origins => ['*']),
    cors('below', { api => 'below' }, origins => ['https://*.b.example']),
    cors('few', { api => 'few' }, origins => ['https://a.example']),
    cors('ops', { api => 'ops' }, origins => ['https://a.example']),
    cors('desk', { server => 'desk' },
         origins => ['http://localhost:6274'])));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } } 20 or $t->give_up('no tools');
$t->gateway;
my $key = $t->key('acme', 'demo');
$t->sync;

my $A = 'https://a.example';
sub call { my ($path, $origin, %o) = @_;
           return $t->http($o{method} // 'GET', $path, %o, headers => {
               defined $origin ? (Origin => $origin) : (),
               %{ $o{headers} || {} } }) }
sub preflight { my ($path, $origin, $method, $headers) = @_;
    return call($path, $origin, method => 'OPTIONS', headers => {
        'Access-Control-Request-Method' => $method // 'PUT',
        defined $headers
            ? ('Access-Control-Request-Headers' => $headers) : () }) }
sub h { my ($r, $name) = @_; return $r->{headers}{lc $name} // '-' }
sub acao { return h($_[0], 'Access-Control-Allow-Origin') }


# preflights: before authentication, never at the upstream

my $r = preflight('/apis/acme/named/x', $A, 'PUT', 'x-api-key');
is($r->{status}, 204, 'a preflight');
is(acao($r), $A, 'of an allowed origin');
is(h($r, 'Access-Control-Allow-Methods'), 'GET, PUT', 'methods');
is(h($r, 'Access-Control-Allow-Headers'), 'X-API-Key, X-More', 'headers');
is(h($r, 'Access-Control-Max-Age'), 60, 'how long');
is(h($r, 'Access-Control-Allow-Credentials'), 'true', 'credentials');
like(h($r, 'Vary'), qr/^Origin, Access-Control-Request-Method/, 'Vary');
is($r->{body}, '', 'without a body');
is(scalar $t->origin_log, 0, 'the upstream has not seen it');
$r = preflight('/apis/acme/named/x', 'https://evil.example');
is("$r->{status} " . acao($r), '204 -', 'of another origin');
$r = preflight('/apis/acme/any/x', $A, 'PATCH', 'x-api-key, x-b');
is(acao($r), '*', 'any origin');
is(h($r, 'Access-Control-Allow-Credentials'), '-', 'without credentials');
is(h($r, 'Access-Control-Allow-Methods'), 'PATCH', 'the method asked for');
is(h($r, 'Access-Control-Allow-Headers'), 'x-api-key, x-b',
   'the headers asked for');
is(h(preflight('/apis/acme/any/x', $A, 'PUT', 'a<b>'),
     'Access-Control-Allow-Headers'), '-', 'no echo of what is no name');
is(preflight('/apis/acme/plain/x', $A)->{status}, 401,
   'no policy: as any other call');
is(preflight('/apis/acme/ops/a', $A)->{status}, 204,
   'OPTIONS need not be an operation');
is(call('/apis/acme/named/x', $A, method => 'OPTIONS')->{status}, 401,
   'OPTIONS that is no preflight');


# answers

$r = call('/apis/acme/named/x', $A, key => $key);
is("$r->{status} $r->{body}", '200 GET', 'a call');
is(acao($r), $A, 'who may read it');
is(h($r, 'Access-Control-Allow-Credentials'), 'true', 'with credentials');
my $exposed = h($r, 'Access-Control-Expose-Headers');
like($exposed, qr/\b$_\b/, "$_ is exposed")
    for qw(RateLimit RateLimit-Policy Retry-After X-Request-Id
           Mcp-Session-Id WWW-Authenticate X-Extra);
unlike($exposed, qr/X-Theirs/, 'the upstream does not speak');
is(h($r, 'Vary'), 'Accept, Origin', 'Vary');
$r = call('/apis/acme/named/x', 'https://evil.example', key => $key);
is("$r->{status} " . acao($r), '200 -', 'another origin is told nothing');
$r = call('/apis/acme/named/x', undef, key => $key);
is(acao($r), '-', 'nor a program');
is(acao(call('/apis/acme/plain/x', $A, key => $key)), '*',
   'no policy: what the upstream says');
is(acao(call('/apis/acme/any/x', 'null', key => $key)), '*', 'null, by *');
for (['https://x.b.example', 1], ['https://x.y.b.example', 1],
     ['https://b.example', 0], ['https://.b.example', 0],
     ['http://x.b.example', 0], ['https://x.b.example:444', 0],
     ['https://evil.example/.b.example', 0],
     ['https://evil.example#.b.example', 0], ['https://xb.example', 0])
{
    my ($o, $ok) = @$_;
    is(acao(call('/apis/acme/below/x', $o, key => $key)), $ok ? $o : '-',
       "below b.example: $o");
}


# refusals can be read

for (['/apis/acme/named/x', [], 401], ['/apis/acme/ops/none', [key => $key],
     404], ['/apis/acme/named/bad', [key => $key], 500],
     ['/apis/acme/named/x', [key => 'stoa_live_x'], 401])
{
    my ($path, $with, $status) = @$_;
    $r = call($path, $A, @$with);
    is("$r->{status} " . acao($r), "$status $A", "$status of $path");
}
call('/apis/acme/few/x', $A, key => $key);
$r = call('/apis/acme/few/x', $A, key => $key);
is("$r->{status} " . acao($r), "429 $A", 'too many');
isnt(h($r, 'Retry-After'), '-', 'with Retry-After');


# MCP: a browser's client, Inspector and the like

my $I = 'http://localhost:6274';
$r = preflight('/mcp/acme/desk', $I, 'POST',
               'content-type,mcp-protocol-version,x-api-key');
is("$r->{status} " . acao($r), "204 $I", 'MCP: a preflight');
is(h($r, 'Access-Control-Allow-Headers'),
   'content-type,mcp-protocol-version,x-api-key', 'MCP: its headers');
my ($session, $init) = $t->mcp_session('/mcp/acme/desk', key => $key,
                                       headers => { Origin => $I });
is(acao($init), $I, 'MCP: initialize');
like(h($init, 'Access-Control-Expose-Headers'), qr/Mcp-Session-Id/,
     'MCP: the session can be read');
$r = $t->mcp('/mcp/acme/desk', 'tools/call', { name => 'echo',
    arguments => {} }, key => $key, era => 'legacy', session => $session,
    headers => { Origin => $I });
is($r->{rpc}{result}{content}[0]{text}, 'hi', 'MCP: a call');
is(acao($r), $I, 'MCP: its answer');
$r = $t->mcp('/mcp/acme/desk', 'tools/list', {}, headers => { Origin => $I });
is("$r->{status} " . acao($r), "401 $I", 'MCP: a refusal');
my $host = 'http://127.0.0.1:' . $t->port('gw');
for (['/mcp/acme/desk', $A, 'another origin'],
     ['/mcp/acme/desk', $host, 'the gateway\'s own host'],
     ['/mcp/acme/desk', 'null', 'null'], ['/mcp/acme', $I, 'no policy there'])
{
    my ($path, $o, $what) = @$_;
    $r = $t->mcp($path, 'tools/list', {}, key => $key,
                 headers => { Origin => $o });
    is("$r->{status} $r->{rpc}{error}{data}{code}", '403 mcp_origin',
       "MCP: $what");
}
$r = $t->mcp('/mcp/acme/desk', 'tools/list', {}, key => $key);
is($r->{status}, 200, 'MCP: programs send no Origin');
is($t->http('OPTIONS', '/mcp/acme/desk', key => $key,
   headers => { Origin => $I })->{status}, 405, 'MCP: OPTIONS that is no preflight');

$t->done;
