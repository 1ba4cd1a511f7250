#!/usr/bin/perl

# path-rewrite: what the upstream is asked for, byte by byte; nothing that was
# not judged gets there.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $port = $t->origin(sub { my ($q) = @_;
    return [200, ['X-Target' => $q->{target} // $q->{path}], 'ok'] });

sub policy { my ($name, $attach, $rules, %more) = @_;
             return doc('Policy', 'acme', $name, { type => 'path-rewrite',
                 config => { rules => [map { { from => $_->[0],
                                               to => $_->[1] } } @$rules] },
                 attach => $attach, %more }) }

$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    rest('acme', 'shop', "http://127.0.0.1:$port/base", operations => [
        { name => 'order', method => 'GET', path => '/orders/{id}' },
        { name => 'item', method => 'GET', path => '/items/{id}' }]),
    rest('acme', 'kept', "http://127.0.0.1:$port", upstream => { keep_encoded_slashes =>
         JSON::PP::true }),
    rest('acme', 'tried', "http://127.0.0.1:$port"),
    (map { sub_('acme', 'demo', $_, 'free') } qw(shop kept tried)),
    policy('shop', [{ api => 'shop' }], [
        ['/orders/{id}', '/shop/order-{id}/view'],
        ['/items/{id}', '/things/{id}'],
        ['/pair/{a}/{b}', '/{b}/{a}'],
        ['/old/{rest*}', '/{rest*}'],
        ['/dot/{x}', '/.{x}'],
        ['/fix', '/fixed']]),
    policy('item', [{ api => 'shop', operation => 'item' }],
           [['/items/{id}', '/own/{id}']]),
    policy('kept', [{ api => 'kept' }], [['/a/{x}', '/b/{x}']]),
    policy('tried', [{ api => 'tried' }], [['/a', '/b']], state => 'shadow')));
$t->gateway;
my $key = $t->key('acme', 'demo');
$t->sync;

sub sent { my ($path) = @_;
           my $r = $t->get("/apis/acme/$path", key => $key);
           return $r->{status} == 200 ? $r->{headers}{'x-target'}
                  : "$r->{status} $r->{json}{code}" }

for my $row (
    ['shop/orders/7', '/base/shop/order-7/view'],
    ['shop/orders/7?a=1&b=%2F?', '/base/shop/order-7/view?a=1&b=%2F?'],
    ['shop/orders/7?', '/base/shop/order-7/view'],
    ['shop/orders/a%20b', '/base/shop/order-a%20b/view'],
    ['shop/orders/a%3Fb%23c', '/base/shop/order-a%3Fb%23c/view'],
    ['shop/orders/%252f', '/base/shop/order-%252f/view'],
    ['shop/orders/a%0d%0aHost:%20x', '/base/shop/order-a%0d%0aHost:%20x/view'],
    ['shop/orders/%C3%A4+;x=1', '/base/shop/order-%C3%A4+;x=1/view'],
    ['shop/%6frders/7', '/base/shop/order-7/view'],
    ['shop/x/../orders/7', '/base/shop/order-7/view'],
    ['shop/pair/a/b%2fc', '/base/pair/a/b/c'],
    ['shop/pair/a/b', '/base/b/a'],
    ['shop/old/a/b/c', '/base/a/b/c'], ['shop/old/', '/base/'],
    ['shop/old/%2e%2e/fix', '/base/fixed'],
    ['shop/fix', '/base/fixed'], ['shop/fix/', '/base/fix/'],
    ['shop/other', '/base/other'], ['shop/orders/7/x', '/base/orders/7/x'],
    ['shop/items/7', '/base/own/7'],
    ['shop/dot/a', '/base/.a'],
    ['shop/dot/.', '/base/dot/'],
    ['shop/dot/%2e%2e', '/base/'],
    ['shop/dot/.;x', '400 bad_request'],
    ['kept/a/b%2Fc', '/b/b%2Fc'],
    ['tried/a', '/a'])
{
    is(sent($row->[0]), $row->[1], "$row->[0]");
}

for my $row (['orders', '/x', 'from'], ['/a//b', '/x', 'from'],
             ['/a/../b', '/x', 'from'], ['/a?b', '/x', 'from'],
             ['/a{x}', '/x', 'from'], ['/{x}/{x}', '/x', 'from'],
             ['/{x*}/a', '/x', 'from'], ['/a', '/%2e', 'to'],
             ['/a', '/{x}', 'to'], ['/{x}', '/{x*}', 'to'],
             ['/{x*}', '/a-{x*}', 'to'], ['/a', "/a\tb", 'to'],
             ['/a', '/{x', 'to'], ['/a', '/./b', 'to'])
{
    my $r = $t->api(POST => '/v1/apply?dry_run=1', docs(policy('bad',
        [{ api => 'shop' }], [[$row->[0], $row->[1]]])),
        headers => { 'Content-Type' => 'application/yaml' });
    is("$r->{status} " . ($r->{json}{errors}[0]{field} // ''),
       "422 spec.config.rules[0].$row->[2]", "refused: $row->[0] $row->[1]");
}

$t->done;
