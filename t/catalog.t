#!/usr/bin/perl

# Who has a key and nothing else asks the gateway: GET / and GET /apis tell
# what it may call, and nothing of anybody else.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;
my $to = 'http://127.0.0.1:' . $t->origin;

$t->apply(docs(tenant('acme'), tenant('beta'), app('acme', 'demo'),
    app('acme', 'idle'), app('beta', 'other'), plan('acme', 'free'),
    plan('beta', 'gold'), plan('acme', 'manual', approval => 'manual'),
    rest('acme', 'echo', $to, title => 'An "echo"', version => '2'),
    rest('acme', 'own', $to, base_path => '/own', host => 'own.test'),
    rest('acme', 'waits', $to), rest('acme', 'none', $to),
    rest('acme', 'root', $to, base_path => '/', host => 'root.test'),
    rest('beta', 'open', $to, audience => 'public'),
    rest('beta', 'tools', "$to/mcp", kind => 'mcp', audience => 'public'),
    sub_('acme', 'demo', 'echo', 'free'), sub_('acme', 'demo', 'own', 'free'),
    sub_('acme', 'demo', 'waits', 'manual'),
    sub_('acme', 'demo', 'root', 'free'),
    sub_('acme', 'demo', 'open', 'gold', target_tenant => 'beta'),
    sub_('acme', 'demo', 'tools', 'gold', target_tenant => 'beta'),
    sub_('beta', 'other', 'open', 'gold')));
$t->gateway;
my %key = map { $_ => $t->key($_ eq 'other' ? 'beta' : 'acme', $_) }
          qw(demo idle other);
$t->sync;

sub mine {
    my ($key, $path) = @_;
    my $r = $t->get($path // '/apis', key => $key{$key});
    return $r->{json};
}

my $all = mine('demo');
is("$all->{tenant} $all->{application}", 'acme demo', 'who I am');
is_deeply([ sort map { "$_->{kind} " . ($_->{host} // '') . $_->{path} }
            @{ $all->{items} } ],
    ['mcp /mcp/beta', 'rest /apis/acme/echo', 'rest /apis/beta/open',
     'rest own.test/own', 'rest root.test/'],
    'where I may go: not what waits, not what I did not subscribe to');
my ($echo) = grep { $_->{name} eq 'echo' } @{ $all->{items} };
is_deeply($echo, { kind => 'rest', tenant => 'acme', name => 'echo',
    title => 'An "echo"', version => '2', plan => 'free',
    path => '/apis/acme/echo' }, 'what it is');
is_deeply(mine('demo', '/'), $all, '/ says the same');
is_deeply(mine('demo', '/apis/'), $all, 'and /apis/');
is_deeply(mine('idle')->{items}, [], 'no subscription, nothing');
is_deeply([ map { $_->{path} } @{ mine('other')->{items} } ],
          ['/apis/beta/open'], 'another tenant sees its own');

is($t->get('/apis')->{status}, 401, 'without a key');
is($t->get('/', key => 'stoa_live_x')->{status}, 401, 'with a bad one');
is($t->post('/apis', '{}', key => $key{demo})->{status}, 404, 'only GET');
is($t->get('/apisx', key => $key{demo})->{status}, 404, 'only there');
is($t->get('/', key => $key{demo},
           headers => { Host => 'root.test' })->{json}{path}, '/',
   'an api whose path is / comes first');
is($t->http('HEAD', '/', key => $key{demo})->{body}, '', 'HEAD');

# from a browser, where the gateway's group lets it

$t->apply(doc('GlobalPolicy', undef, 'web', { type => 'cors',
    config => { origins => ['https://a.example'] },
    attach => [{ gateway_group => 'default' }] }));
$t->sync;
my %from = (Origin => 'https://a.example');
for my $path ('/', '/apis') {
    my $r = $t->http('OPTIONS', $path, headers => { %from,
        'Access-Control-Request-Method' => 'GET',
        'Access-Control-Request-Headers' => 'x-api-key' });
    is("$r->{status} $r->{headers}{'access-control-allow-headers'}",
       '204 x-api-key', "$path: a preflight");
    $r = $t->http('OPTIONS', $path, key => $key{demo}, headers => \%from);
    is("$r->{status} " . ($r->{headers}{allow} // ''), '405 GET, HEAD',
       'OPTIONS of another kind');
}

# nor what a suspended publisher has

$t->api(POST => '/v1/tenants/beta/suspend');
$t->sync;
is_deeply([ grep { $_->{tenant} eq 'beta' } @{ mine('demo')->{items} } ],
          [], 'nothing of a suspended tenant');

# in force at once
$t->api(POST => '/v1/tenants/acme/applications/demo/suspend');
$t->sync;
is($t->get('/apis', key => $key{demo})->{status}, 403, 'suspended');

$t->done;
