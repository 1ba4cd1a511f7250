#!/usr/bin/perl

# headers: set, add, remove, both ways; variables; order and scopes; what
# nginx sends by itself.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $port = $t->origin(sub {
    my ($q) = @_;
    return [200, ['X-A' => 'theirs', 'X-A' => 'again', 'X-Gone' => 'x',
                  'Cache-Control' => 'public', ETag => '"e"',
                  'Last-Modified' => 'Mon, 28 Sep 1970 06:00:00 GMT',
                  'Content-Type' => 'application/json'],
            json_encode($q->{headers})];
});
my $to = "http://127.0.0.1:$port";
my $mcp = $t->mcp_origin(name => 'm', tools => {
    seen => sub { json_encode($_[2]{headers}) },
    other => sub { json_encode($_[2]{headers}) } });

sub pair { return { name => $_[0], value => $_[1] } }
sub policy { my ($name, $attach, %config) = @_;
             return doc('Policy', 'acme', $name, { type => 'headers',
                 config => \%config, attach => $attach }) }

$t->apply(docs(doc('GatewayGroup', undef, 'default'), tenant('acme'),
    plan('acme', 'free'), plan('acme', 'gold'),
    app('acme', 'demo'), app('acme', 'two'),
    rest('acme', 'echo', $to, operations => [
        { name => 'one', method => 'GET', path => '/one' },
        { name => 'two', method => 'GET', path => '/two' }]),
    rest('acme', 'plain', $to),
    tenant('other'), app('other', 'guest'),
    rest('acme', 'shared', $to, audience => 'public', identity => 'headers'),
    sub_('other', 'guest', 'shared', 'free', target_tenant => 'acme'),
    policy('shared', [{ api => 'shared' }],
           request_set => [pair('X-Role', 'guest')],
           request_remove => ['X-Admin'], request_add => [pair('X-L', 'pub')]),
    doc('Policy', 'other', 'guest', { type => 'headers', config => {
        request_set => [pair('X-Role', 'admin'), pair('X-Admin', 'yes'),
                        pair('X-Real-IP', '10.0.0.1'), pair('X-L', 'con'),
                        pair('Forwarded', 'for=10.0.0.1'),
                        pair('X-Own', '${application}')],
        response_set => [pair('X-Own', 'guest')] },
        attach => [{ application => 'guest' }] }),
    doc('Policy', 'other', 'many', { type => 'headers', config => {
        request_add => [(map { pair("X-N$_", 'v') } 1 .. 20),
                        pair('X-Real-IP', '10.0.0.1'), pair('X-End', 'v')] },
        attach => [{ application => 'guest', order => 200 }] }),
    rest('acme', 'taken', $to), sub_('acme', 'demo', 'taken', 'free'),
    policy('add', [{ api => 'taken', order => 1 }],
           request_add => [map { pair("X-N$_", 'v') } 1 .. 20]),
    policy('take', [{ api => 'taken', order => 2 }],
           request_remove => [map { "X-N$_" } 1 .. 20]),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    sub_('acme', 'demo', 'echo', 'free'), sub_('acme', 'two', 'echo', 'gold'),
    sub_('acme', 'demo', 'plain', 'free'), sub_('acme', 'two', 'plain',
    'free'), sub_('acme', 'demo', 'm', 'free'),
    policy('ten', [{ tenant => 'acme' }],
           response_set => [pair('X-Who', 'tenant')]),
    policy('api', [{ api => 'echo', order => 10 }],
           request_set => [pair('X-Up', '${tenant}/${application}/${plan}/'
                                        . '${api} $1 ${'
                                        . 'request_id}')],
           request_add => [pair('X-More', 'a'), pair('X-More', 'b')],
           request_remove => ['X-Secret', 'x_under'],
           response_set => [pair('X-A', 'ours'), pair('X-Who', 'api'),
                            pair('Cache-Control', 'private')],
           response_add => [pair('X-B', '1'), pair('X-B', '2')],
           response_remove => ['x-gone', 'ETag', 'Last-Modified']),
    policy('later', [{ api => 'echo', order => 20 }],
           response_set => [pair('X-Order', 'later'), pair('X-Who', 'later')]),
    policy('op', [{ api => 'echo', operation => 'two' }],
           response_set => [pair('X-Op', 'two'), pair('server', 'ours'),
                            pair('Date', 'today')]),
    policy('gold', [{ plan => 'gold' }],
           request_set => [pair('X-Plan', 'gold')]),
    policy('op1', [{ api => 'echo', operation => 'one' }],
           response_set => [pair('Server', 'ours'), pair('Date', 'today')]),
    policy('app', [{ application => 'two' }],
           response_set => [pair('X-App', '${application}')],
           response_remove => ['SERVER', 'date']),
    policy('tool', [{ api => 'm', tool => 'seen' }],
           request_set => [pair('X-Tool', '${api}'), pair('Accept', 'x/y')],
           response_set => [pair('X-Tool', 'seen')]),
    doc('GlobalPolicy', undef, 'ops', { type => 'headers', config => {
        response_set => [pair('X-Group', '${client_address}')] },
        attach => [{ gateway_group => 'default' }] })));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } == 2 } 20 or $t->give_up('no tools');
$t->gateway(server => join '', map { "location /p/$_/ { stoa_protect "
    . "tenant=acme api=$_; proxy_pass $to/; }\n" } qw(shared taken));
my $key = $t->key('acme', 'demo');
my $key2 = $t->key('acme', 'two');
my $key3 = $t->key('other', 'guest');
$t->sync;

my $r = $t->get('/apis/acme/echo/one', key => $key, headers => {
    'X-Secret' => 'x', 'X-Up' => 'mine', 'X-More' => 'c',
    'X-Request-Id' => 'id-1' });
my ($got, $h) = ($r->{json}, $r->{headers});
is($got->{'x-up'}, 'acme/demo/free/echo $1 id-1', 'set, with variables');
is($got->{'x-more'}, 'c, a, b', 'added');
is($got->{'x-secret'}, undef, 'removed');
is($h->{'x-a'}, 'ours', 'set in the answer');
is($h->{'x-b'}, '1, 2', 'added');
is(join('|', map { $h->{$_} // '-' } qw(x-gone etag last-modified)),
   '-|-|-', 'removed');
is($h->{'cache-control'}, 'private', 'Cache-Control');
is($h->{'x-order'}, 'later', 'several run');
is($h->{'x-who'}, 'later', 'the narrowest and last has the last word');
is($h->{'x-op'}, undef, 'another operation\'s does not');
is("$h->{server} $h->{date}", 'ours today', 'what nginx says by itself');
is($h->{'x-group'}, '127.0.0.1', 'the gateway group\'s');
is($h->{'x-app'} // $got->{'x-plan'}, undef, 'another plan\'s, another\'s');

$r = $t->get('/apis/acme/echo/two', key => $key2);
is($r->{headers}{'x-op'}, 'two', 'of the operation');
is($r->{json}{'x-plan'}, 'gold', 'of the plan');
is($r->{headers}{'x-app'}, 'two', 'of the application');
is(join('|', map { $_ // '-' } @{ $r->{headers} }{qw(server date)}), '-|-',
   'taken out of what nginx, and another policy, says');
$r = $t->get('/apis/acme/plain/x', key => $key2);
is($r->{headers}{'x-app'}, 'two', 'whatever it calls');
is($r->{headers}{'x-who'}, 'tenant', 'of the tenant');
is($r->{headers}{'x-a'}, 'theirs, again', 'and nothing else');
$r = $t->get('/apis/acme/echo/one');
is("$r->{status} $r->{headers}{'x-who'}", '401 later', 'on refusals too');
is($t->get('/nothing')->{headers}{'x-group'}, '127.0.0.1',
   'the group\'s: where there is no api too');

# at another tenant's api a consumer's policy says no more than its client may

$r = $t->get('/apis/acme/shared/x', key => $key3);
($got, $h) = ($r->{json}, $r->{headers});
is(join('|', map { $got->{$_} // '-' } qw(x-role x-admin x-l)),
   'guest|-|con, pub', 'the publisher has the last word');
is(join('|', map { $got->{$_} // '-' } qw(x-real-ip forwarded)), '-|-',
   'nobody says who forwarded the call');
is("$got->{'x-own'} $h->{'x-own'}", 'guest guest', 'all else is said');

# wherever in nginx's list of headers (which has parts) one is refused or taken

for my $n (0 .. 24) {
    my %more = map { ("X-Stoa-$_" => 'dropped') } 1 .. $n;
    for my $base ('/p/shared/', '/p/taken/') {
        $r = $t->get($base, key => $base =~ /shared/ ? $key3 : $key,
                     headers => \%more);
        my @n = grep { /^x-n\d/ } sort keys %{ $r->{json} || {} };
        is("$r->{status} " . @n . ' ' . ($r->{json}{'x-real-ip'} // '-'),
           $base =~ /shared/ ? '200 20 -' : '200 0 -',
           "$base: $n headers dropped");
    }
}

$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'm__seen',
    arguments => {} }, key => $key);
$got = json_decode($r->{rpc}{result}{content}[0]{text});
is($got->{'x-tool'}, 'm', 'of a tool');
like($got->{accept}, qr{event-stream}, 'what MCP says itself stays');
unlike($got->{accept}, qr{x/y}, 'alone');
is($r->{headers}{'x-tool'}, 'seen', 'in the answer');
is($r->{headers}{'x-who'}, 'tenant', 'of the endpoint');
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'm__other',
    arguments => {} }, key => $key);
is($r->{headers}{'x-tool'}, undef, 'not of another tool');

$t->done;
