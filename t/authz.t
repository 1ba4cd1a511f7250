#!/usr/bin/perl

# stoa_authz: proxies that ask before they forward.  A real nginx with
# auth_request; a real Envoy with ext_authz over HTTP; for Traefik a stand-in
# that sends the request which its forwardAuth documents.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;
my $up = $t->origin;
my $to = "http://127.0.0.1:$up";
sub rule { my ($type, $name, $config, @attach) = @_;
    return doc('Policy', 'acme', $name, { type => $type, config => $config,
                                          attach => [@attach] }) }
$t->apply(docs(tenant('acme'), app('acme', 'demo'), app('acme', 'alone'),
    plan('acme', 'free'),
    plan('acme', 'few', rate => 2, per_ms => 600_000, burst => 2),
    plan('acme', 'narrow', concurrency => 2),
    rest('acme', 'orders', $to, base_path => '/orders',
         operations_only => \1, key_query => 'k',
         operations => [{ method => 'GET', path => '/a/{id}' },
                        { method => 'HEAD', path => '/a/{id}' },
                        { method => 'POST', path => '/a/{id}' }]),
    rest('acme', 'hosted', $to, host => 'api.example.com', base_path => '/h',
         open_plan => 'free'),
    rest('acme', 'signed', $to, identity => 'signed'),
    rest('acme', 'few', $to, base_path => '/few'),
    rest('acme', 'narrow', $to),
    rest('acme', 'judged', $to), rest('acme', 'rewritten', $to),
    rule('json-limits', 'j', { max_depth => 3 }, { api => 'judged' }),
    rule('headers', 'h', { request_set => [{ name => 'X-A', value => 'b' }] },
         { api => 'rewritten' }),
    sub_('acme', 'demo', 'orders', 'free'), sub_('acme', 'demo', 'few', 'few'),
    sub_('acme', 'demo', 'signed', 'free'),
    sub_('acme', 'demo', 'narrow', 'narrow'),
    sub_('acme', 'demo', 'judged', 'free'),
    sub_('acme', 'demo', 'rewritten', 'free')));

my @ids = qw(Tenant Application Subscription Subject Identity);
my ($ask, $envoys) = ($t->port('ask'), $t->port('envoys'));
$t->gateway(http => <<"END");
    server {
        listen 127.0.0.1:$ask;
        location = /nginx { stoa_authz nginx; }
        location = /traefik { stoa_authz traefik; }
    }
    server {
        listen 127.0.0.1:$envoys;
        location / { stoa_authz envoy; }
    }
END
my $key = $t->key('acme', 'demo');
my $alone = $t->key('acme', 'alone');
$t->sync;

# what an api is asked, described by headers

sub ask { my ($front, $method, $uri, %o) = @_;
    my %h = $front eq 'nginx'
        ? ('X-Original-Method' => $method, 'X-Original-URI' => $uri,
           'X-Original-Host' => $o{host} // 'front.example.com')
        : ('X-Forwarded-Method' => $method, 'X-Forwarded-Uri' => $uri,
           'X-Forwarded-Host' => $o{host} // 'front.example.com',
           'X-Forwarded-Proto' => 'https');
    return $t->http('GET', "/$front", port => $ask, key => $o{key},
                    headers => { %h, %{ $o{headers} || {} } });
}
sub told { my ($r) = @_;
    return $r->{status} . ($r->{json} ? " $r->{json}{code}" : '') }

for my $front (qw(nginx traefik)) {
    my $r = ask($front, 'GET', '/orders/a/1?x=2', key => $key);
    is($r->{status}, 200, "$front: a call that may be made");
    is($r->{body}, '', 'no body');
    is($r->{headers}{'x-stoa-application'}, 'demo', 'who calls');
    is_deeply([map { defined $r->{headers}{ lc "X-Stoa-$_" } ? 1 : 0 } @ids],
        [(1) x 5], 'all headers of identity are there, if without a value');
    is(told(ask($front, 'GET', '/orders/a/1')), '401 key_missing', 'no key');
    ok(ask($front, 'GET', '/orders/a/1')->{headers}{'www-authenticate'},
       'the 401 has its challenge');
    is(told(ask($front, 'GET', '/orders/a/1', key => $alone)),
       '403 not_subscribed', 'no subscription');
    is(told(ask($front, 'DELETE', '/orders/a/1', key => $key)),
       '405 method_not_allowed', 'the method that is described counts');
    is(told(ask($front, 'get', '/orders/a/1', key => $key)),
       '400 bad_request', 'methods as they are');
    is(told(ask($front, 'GET', '/orders/b', key => $key)), '404 no_route',
       'no operation');
    is(told(ask($front, 'GET', '/none/b', key => $key)), '404 no_route',
       'no api');
    is(ask($front, 'HEAD', '/orders/a/1', key => $key)->{status}, 200,
       'HEAD');
    $r = ask($front, 'HEAD', '/orders/a/1');
    is(told($r), '401 key_missing', 'and its refusal is whole for who asks');
    is(ask($front, 'GET', '/h/x', host => 'API.example.com:443')->{status},
       200, 'by the host that is described');
    is(told(ask($front, 'GET', '/h/x', host => 'other.example.com')),
       '404 no_route', 'not by another');
    is(told(ask($front, 'GET', '/h/x', host => $_)), '400 bad_request',
       "a host that is none: $_") for 'a/b', '.', '.:80';
    is(ask($front, 'GET', "/orders/a/1?k=$key")->{status}, 200,
       'a key in the query');
    is(told(ask($front, 'GET', '/h/../orders/b', key => $key)),
       '404 no_route', 'dots are resolved');
    is(told(ask($front, 'GET', $_, key => $key)), '400 bad_request', "URI $_")
        for 'orders/a/1', '/../orders/a/1', '/orders/..;/a/1', '/orders\\a',
            'http://front/orders/a/1', '/orders/a/%zz';
}

my $r = ask('nginx', 'GET', '/h/x', host => 'api.example.com',
    headers => { 'X-Stoa-Application' => 'evil' });
is($r->{headers}{'x-stoa-application'}, '',
   'without a caller the application is told to be nobody');
like(ask('nginx', 'GET', '/apis/acme/signed/x', key => $key)
     ->{headers}{'x-stoa-identity'}, qr/^[\w-]+\.[\w-]+\.[\w-]+$/,
   'an identity that is signed');

# said twice, or not at all

my $c = $t->connection(port => $ask);
$c->send_raw(join "\r\n", 'GET /nginx HTTP/1.1', 'Host: x',
    'X-Original-Method: GET', 'X-Original-URI: /orders/a/1',
    'X-Original-URI: /h/x', 'X-Original-Host: api.example.com',
    "X-API-Key: $key", '', '');
is($c->response->{status}, 400, 'a URI twice is none');
$c->close;
is($t->http('GET', '/nginx', port => $ask, key => $key)->{status}, 400,
   'nothing described');
is($t->http('GET', '/traefik', port => $ask, key => $key, headers => {
    'X-Original-Method' => 'GET', 'X-Original-URI' => '/orders/a/1',
    'X-Original-Host' => 'x' })->{status}, 400,
   "another front's headers are nothing to it");

# what cannot be kept here

for my $api (qw(judged rewritten narrow)) {
    $r = ask('nginx', 'POST', "/apis/acme/$api/x", key => $key);
    is(told($r), '503 authz_unable', "$api: refused");
}
like($r->{json}{detail}, qr/"concurrency"/, 'and says by which policy');

# limits

is(ask('nginx', 'GET', '/few/x', key => $key)->{status}, 200, "call $_")
    for 1, 2;
$r = ask('nginx', 'GET', '/few/x', key => $key);
is(told($r), '429 rate_exceeded', 'each check is charged once');
ok($r->{headers}{'retry-after'}, 'with Retry-After');

# a real nginx; the recipe of docs/authz.md

my $doc = slurp("$Test::Stoa::ROOT/docs/authz.md");
sub recipe { my ($what) = @_;
    my ($text) = $doc =~ /<!-- $what -->\n```\w+\n(.*?)```/s;
    $text =~ s/gateway\.internal:9000/127.0.0.1:$ask/g;
    $text =~ s/gateway\.internal/127.0.0.1/g;
    $text =~ s/\b9001\b/$envoys/g;
    $text =~ s/(?<=port_value: )8080\b/%%PORT_envoy%%/g;
    $text =~ s/(?<=port_value: )8000\b/$up/g;
    $text =~ s/backend\.internal:8000/127.0.0.1:$up/g;
    $text =~ s/backend\.internal/127.0.0.1/g;
    return $text }
$t->write_file('front/nginx.conf',
    $t->bare_conf(recipe('nginx'), name => 'front'));
$t->start_nginx('front');
ok((wait_until { $t->connection(gateway => 'front') } 20), 'a real nginx');
front('front');
$r = $t->get('/few/x', gateway => 'front', key => $key);
is($r->{status}, 429, 'nginx: 429 reaches the client');
ok($r->{headers}{'retry-after'}, 'with Retry-After');

my $bin = "$Test::Stoa::PARTS/envoy/bin/envoy";
if (-x $bin) {
    $t->write_file('envoy/envoy.yaml', recipe('envoy'));
    $t->start('envoy', foreign => 1, argv => [$bin, '--concurrency', '1',
        '--disable-hot-restart', '--log-level', 'error', '-c',
        $t->dir('envoy/envoy.yaml')]);
    ok((wait_until { $t->connection(gateway => 'envoy') } 30), 'a real Envoy');
    front('envoy');
    $r = $t->get('/few/x', gateway => 'envoy', key => $key);
    is($r->{status}, 429, 'envoy: 429 reaches the client');
    ok($r->{headers}{'retry-after'}, 'with Retry-After');

} elsif ($ENV{CI}) {
    fail('Envoy is there, which CI must have: t/parts/get.sh envoy');
}

sub front {
    my ($name) = @_;
    my $host = 'api.example.com';
    my $seen = sub { scalar $t->origin_log };
    my $r = $t->post('/orders/a/1', { a => 1 }, gateway => $name, key => $key,
        headers => { 'X-Stoa-Application' => 'evil', 'X-Stoa-Subject' => 'e',
                     'X-Original-URI' => '/h/x', 'X-Original-Host' => $host,
                     'X-Original-Method' => 'GET' });
    is($r->{status}, 200, "$name: a call");
    is($r->{json}{body}, '{"a":1}', 'with its body');
    is($r->{json}{headers}{'x-stoa-application'}, 'demo',
       "the caller's own identity is overwritten");
    is($r->{json}{headers}{'x-stoa-subject'} // '', '',
       'also where there is none');

    $r = $t->get('/h/x', gateway => $name, headers => { Host => $host,
        map { ("X-Stoa-$_" => 'evil') } @ids });
    is($r->{status}, 200, 'an open api');
    is(join('', map { $r->{json}{headers}{ lc "x-stoa-$_" } // '' } @ids[1 .. 4]),
       '', 'nothing of what he says of himself survives');

    my $before = $seen->();
    $r = $t->get('/orders/a/1', gateway => $name, headers => {
        'X-Original-URI' => '/h/x', 'X-Forwarded-Uri' => '/h/x' });
    is($r->{status}, 401, 'no key');
    ok($r->{headers}{'www-authenticate'}, 'with its challenge');
    is($t->get('/orders/a/1', gateway => $name, key => $alone)->{status}, 403,
       'no subscription');
    isnt($t->http('DELETE', '/orders/a/1', gateway => $name, key => $key)
         ->{status}, 200, 'another method');
    isnt($t->get($_, gateway => $name, key => $key)->{status}, 200, "path $_")
        for '/orders/a/../b', '/none', '/stoa/status', '/nginx';
    like($t->get('/orders/a/1', gateway => $name, headers => {
        Upgrade => 'websocket', Connection => 'Upgrade' })->{status},
       qr/^40[13]$/, 'an upgrade without a key (Envoy takes none here)');
    is($seen->(), $before, 'none of which was forwarded');
}

# who may not be asked like this

for my $bad ('location /x { stoa_authz envoy; }',
             'location /x { stoa_authz caddy; }',
             'location /x { stoa_authz nginx; stoa; }',
             'location /x { stoa_protect tenant=a api=b; stoa_authz nginx; }',
             'location /x { stoa_authz nginx; proxy_pass http://127.0.0.1; }')
{
    my ($code) = $t->nginx_t(server => $bad, token => "x\n");
    isnt($code, 0, $bad);
}

# a check is a call, in usage

ok((wait_until {
    my $u = $t->api('GET', '/v1/tenants/acme/usage?api=few')->{json};
    $u && ($u->{items}[0]{requests} // 0) >= 3
} 20), 'checks are in the usage');

$t->done;
