#!/usr/bin/perl

# Internal redirects between locations with "stoa": each target is judged for
# itself, an upstream leads nowhere.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;
use Test::Stoa::Base qw(json_decode);

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $echo = sub { my ($q) = @_;
    return [200, ['X-Accel-Redirect' => '/apis/acme/api3/secret',
                  'X-Accel-Limit-Rate' => 1], 'x' x 3000]
        if $q->{path} =~ /accel/;
    return [200, ['X-Accel-Redirect' => '/inside/x'], 'mine']
        if $q->{path} =~ /inside/;
    return [200, ['Content-Type' => 'application/json',
                  'X-Secret' => 1, 'X-More' => 1],
            Test::Stoa::Base::json_encode({ path => $q->{path},
                method => $q->{method}, headers => $q->{headers} })] };
my $port = $t->origin($echo);
my $dead = $t->port('dead');
my $key = $f->world($port);
sub fid { return Test::Stoa::FakeControl::id(@_) }

$f->api(2, $dead);
$f->api(3, $port);                          # nobody has subscribed to it
$f->api(4, $dead, operations_only => \1, operations => [
    { id => fid('m', 1), method => 'GET', path => '/ok', enabled => \1 } ]);
for (2, 4) {
    $f->put('subscription', 'sub:' . fid('a', 1) . ':' . fid('r', $_),
        { id => fid('s', $_), tenant => fid('t', 1),
          application => fid('a', 1), target => fid('r', $_),
          target_kind => 'api', plan => fid('p', 1), state => 'active',
          expires_ms => 0 });
}
$f->save;
$f->api(5, $port, base_path => '/own', strip_base_path => \0);
$f->put('subscription', 'sub:' . fid('a', 1) . ':' . fid('r', 5),
    { id => fid('s', 5), tenant => fid('t', 1), application => fid('a', 1),
      target => fid('r', 5), target_kind => 'api', plan => fid('p', 1),
      state => 'active', expires_ms => 0 });
$f->save;
$f->api(6, $dead, kind => 'mcp', era => 'modern');
$f->put('tool', 'tool:' . fid('h', 1), { id => fid('h', 1),
    api => fid('r', 6), name => 'echo', enabled => \1,
    definition => { name => 'echo', inputSchema => { type => 'object' } } });
$f->put('subscription', 'sub:' . fid('a', 1) . ':' . fid('r', 6),
    { id => fid('s', 6), tenant => fid('t', 1), application => fid('a', 1),
      target => fid('r', 6), target_kind => 'api', plan => fid('p', 1),
      state => 'active', expires_ms => 0 });
$f->save;
my @ports = map { $t->port("p$_") } 0 .. 4;
my @to = ('/apis/acme/echo/fallback', '/apis/acme/api3/fallback',
          '/apis/other/echo/fallback', '/own/fallback', '/kept/x');
my $inherit = $t->port('inherit');
$t->gateway(wait => 0, http => "proxy_hide_header X-Secret;\n"
    . "proxy_hide_header X-Other;\n"
    . "add_header X-Subscription \$stoa_subscription always;\n"
    . "server { listen 127.0.0.1:$inherit; location / { stoa; }\n"
    . "location /apis/acme/echo/b { stoa; proxy_hide_header X-More; } }\n"
    . join '', map {
    "server { listen 127.0.0.1:$ports[$_]; location / { stoa;\n"
    . "error_page 502 504 = $to[$_]; }\n"
    . "location /kept/ { stoa_protect tenant=acme api=api3; empty_gif; }\n"
    . "location /inside/ { internal; return 200 secret; } }\n" } 0 .. 4);
$f->ready or die 'not ready';

sub call { my ($n, $path, %o) = @_;
           return $t->http($o{method} || 'GET', $path, key => $key,
                           port => $ports[$n], %o) }

my $r = call(0, '/apis/acme/api2/x');
is($r->{status}, 200, 'a fallback to another api');
is($r->{json}{path}, '/fallback', 'with that one\'s path');
is($r->{json}{headers}{'x-api-key'}, undef, 'without the credential');
is(call(3, '/apis/acme/api2/x')->{json}{path}, '/own/fallback',
   'from a name to a base path');
is(call(0, '/apis/acme/api2/x', key => undef)->{status}, 401,
   'not without a key');
is(call(1, '/apis/acme/api2/x')->{status}, 403,
   'a fallback that needs another subscription');
$r = call(2, '/apis/acme/api2/x');
is($r->{status}, 404, 'a fallback that is not there');
is($r->{headers}{'x-subscription'}, undef,
   'is not put to the account of the call before');
is(call(0, '/apis/acme/api4/ok')->{json}{path}, '/fallback',
   'from one with operations');
is(call(0, '/apis/acme/api4/other')->{status}, 404, 'that are judged first');
is(call(0, '/apis/acme/api2/x', method => 'POST', body => 'abc')
   ->{status}, 200, 'with a body');

# from MCP into what its caller has no subscription to

my $ns = 'io.modelcontextprotocol';
$r = call(4, '/mcp/acme', method => 'POST', headers => {
        Accept => 'application/json, text/event-stream',
        'Content-Type' => 'application/json', 'Mcp-Name' => 'api6__echo',
        'MCP-Protocol-Version' => '2026-07-28', 'Mcp-Method' => 'tools/call' },
    body => '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":'
        . qq("api6__echo","_meta":{"$ns/protocolVersion":"2026-07-28",)
        . qq("$ns/clientCapabilities":{}}}}));
is("$r->{status} " . ($r->{json}{code} // ''), '403 not_subscribed',
   'a fallback of an MCP call is judged too');

$r = call(0, '/apis/acme/echo/accel');
is("$r->{status} " . length $r->{body}, '200 3000',
   'X-Accel-Redirect leads nowhere');
is($r->{headers}{'x-accel-redirect'}, undef, 'nor to the client');
is(call(0, '/apis/acme/echo/inside')->{body}, 'mine',
   'nor to what is internal');
is(call(0, '/inside/x')->{status}, 404, 'which stays closed');

# what the http block hides stays hidden, as in any location

sub shown { my ($path) = @_;
    my $h = $t->get("/apis/acme/echo/$path", key => $key,
                    port => $inherit)->{headers};
    return join ' ', grep { exists $h->{$_} } 'x-secret', 'x-more' }
is(shown('a'), 'x-more', 'an inherited proxy_hide_header');
is(shown('b'), 'x-secret', 'one of the location\'s own replaces it');

$f->done;
