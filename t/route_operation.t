#!/usr/bin/perl

# Operations: templates, methods, disabled ones, apis that serve nothing else;
# headers of deprecated apis.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');

$t->control;
my $to = 'http://127.0.0.1:' . $t->origin;

my @ops = (
    { method => 'GET', path => '/orders' },
    { method => 'POST', path => '/orders' },
    { method => 'GET', path => '/orders/{id}' },
    { method => 'DELETE', path => '/orders/{id}' },
    { method => 'GET', path => '/orders/special' },
    { method => 'PUT', path => '/{kind}/all' },
    { method => 'GET', path => '/' },
);
$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    rest('acme', 'strict', $to, operations => \@ops,
         operations_only => \1, base_path => '/strict'),
    rest('acme', 'loose', $to, operations => \@ops),
    rest('acme', 'old', $to, state => 'deprecated',
         sunset_at => '2031-05-06T07:08:09.000Z'),
    map { sub_('acme', 'demo', $_, 'free') } qw(strict loose old)));
$t->must('POST', '/v1/tenants/acme/apis/strict/operations/'
         . (grep { $_->{path} eq '/orders/special' } @{ $t->must('GET',
            '/v1/tenants/acme/apis/strict/operations')->{items} })[0]{id}
         . '/disable');
$t->gateway;
my $key = $t->key('acme', 'demo');
$t->sync;


# api, method, path, status, Allow

my @rows = (
    ['strict', 'GET', '/orders', 200],
    ['strict', 'HEAD', '/orders', 200],
    ['strict', 'POST', '/orders', 200],
    ['strict', 'GET', '/orders/7', 200],
    ['strict', 'GET', '/orders/special', 404],
    ['strict', 'GET', '/', 200],
    ['strict', 'GET', '', 200],
    ['strict', 'PUT', '/orders', 405, 'GET, HEAD, POST'],
    ['strict', 'POST', '/orders/7', 405, 'DELETE, GET, HEAD'],
    ['strict', 'PUT', '/things/all', 200],
    ['strict', 'PUT', '/orders/all', 200],
    ['strict', 'GET', '/orders/7/lines', 404],
    ['strict', 'GET', '/orders/', 404],
    ['strict', 'GET', '/nothing', 404],
    ['strict', 'OPTIONS', '/orders', 405, 'GET, HEAD, POST'],
    ['loose', 'PUT', '/orders', 200],
    ['loose', 'GET', '/nothing', 200],
);
for my $row (@rows) {
    my ($api, $method, $path, $status, $allow) = @$row;
    my $r = $t->http($method, "/apis/acme/$api$path", key => $key);
    is($r->{status}, $status, "$api $method $path");
    is(join(', ', sort split /, /, $r->{headers}{allow} // ''), $allow // '',
       'Allow');
}
is($t->get('/strict/orders/7', key => $key)->{status}, 200,
   'relative to the base path');

my $r = $t->http('PUT', '/apis/acme/strict/orders');
is($r->{status}, 401, 'without a key methods are not told');
is($r->{headers}{allow}, undef, 'nor in Allow');

$r = $t->get('/apis/acme/old/', key => $key);
is($r->{status}, 200, 'deprecated, served');
my ($since) = ($r->{headers}{deprecation} // '') =~ /^\@(\d+)$/;
ok($since && abs($since - time) < 60, 'Deprecation, since when it is');
is($r->{headers}{sunset}, 'Tue, 06 May 2031 07:08:09 GMT', 'Sunset');
$r = $t->get('/apis/acme/loose/', key => $key);
is($r->{headers}{deprecation}, undef, 'not where it is not');

$t->done;
