#!/usr/bin/perl

# The catalogue: what is found, by whom, with how many there are; pages of
# documentation.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('stoactl');
$t->control;
my $up = 'http://127.0.0.1:1';
$t->apply(docs(tenant('pub'), tenant('con'), tenant('friend'),
    rest('pub', 'orders', $up, audience => 'public', title => 'Orders API',
        description => 'Buy and track parcels, Ελλάδα too', category => 'shop',
        tags => ['beta', 'pay-roll'], family => 'orders', version => '2',
        contact => 'team blue', operations => [{ method => 'GET',
        path => '/shipments/{id}' }]),
    rest('pub', 'bills', $up, audience => 'partner', partners => ['friend'],
        tags => ['beta']),
    rest('pub', 'ledger', $up, title => 'Secret ledger', category => 'shop'),
    rest('pub', 'coming', $up, audience => 'public', state => 'draft'),
    rest('con', 'own', $up, tags => ['beta']),
    doc('Server', 'pub', 'desk', { instructions => 'Ask about parcels' })));
my %token = (all => $t->{token}, map { $_ => $t->must(POST =>
    '/v1/admin-tokens', { name => "t-$_", role => 'viewer', tenant => $_ })
    ->{token} } qw(pub con friend));

sub look { my ($who, $query) = @_;
           return $t->api(GET => "/v1/catalogue?$query", undef,
                          token => $token{$who}) }
sub names { my $r = look(@_);
            return $r->{status} == 200
                ? join ' ', sort map { $_->{name} } @{ $r->{json}{items} }
                : "$r->{status} $r->{body}" }

is(names('all', ''), 'bills coming desk ledger orders own', 'all for all');
is(names('pub', ''), 'bills coming desk ledger orders', 'one\'s own');
is(names('con', ''), 'orders own', '... and what is public and served');
is(names('friend', ''), 'bills orders', '... or for partners');
is(names('all', 'q=parcels'), 'desk orders', 'by a word of its text');
is(names('con', 'q=parcels'), 'orders', 'as far as it is seen');
is(names('con', 'q=secret'), '', 'not a word of what is not');
is(names('all', 'q=PARC+tra'), 'orders', 'beginnings of words, all of them');
is(names('all', 'q=shipments'), 'orders', 'by what it offers');
is(names('all', 'q=%CE%95%CE%BB%CE%BB%CE%AC%CE%B4%CE%B1'), 'orders',
    'letters of all kinds');
is(names('all', 'q=blue'), 'orders', 'by whose it is');
is(names('all', 'tag=beta'), 'bills orders own', 'by tag');
is(names('all', 'tag=pay-roll'), 'orders', '... with a dash in it');
is(names('all', 'tag=pay'), '', '... all of it');
is(names('all', 'category=shop&q=orders'), 'orders', 'category and words');
is(names('all', 'kind=server'), 'desk', 'by kind');
is(names('all', 'state=draft'), 'coming desk', 'by state');
is(names('all', 'tenant=con'), 'own', 'by tenant');
is(names('con', 'tenant=pub'), 'orders', 'another one\'s');
is(names('all', 'tenant=none'), '', 'one that is not there');
is(names('all', 'q=vpublic'), '', 'marks are no words');

my ($bad) = (0);
for my $q ('"', "'", '*', '(', ')', ':', '&', '|', '!', 'a AND', 'NOT b',
           'NEAR(a b)', 'words:a', '^a', '-a', '+', '{a}', "a\\", '%', '_',
           "';DROP TABLE apis;--", 'a:*', '<->', "\xe2\x80\x94", 'OR',
           'x' x 400,
           'x' . "\xce\xb1" x 40, join(' ', 1 .. 100)) {
    my $e = $q =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger;
    for my $at ("q=$e", "tag=$e", "tenant=$e", "category=$e&facets=1") {
        my $r = look('con', $at);
        next if $r->{status} == 200;
        diag("$at: $r->{status} $r->{body}");
        $bad++;
    }
}
is($bad, 0, 'nothing in a question is an operator');
is(look('all', 'limit=0')->{status}, 400, 'a limit out of bounds');
is(look('all', 'cursor=zz')->{status}, 400, 'a cursor of somebody else\'s');
is(look('all', 'what=1')->{status}, 400, 'a parameter that is not known');

my $r = look('all', 'facets=1')->{json}{facets};
is_deeply($r->{tag}, [{ value => 'beta', count => 3 },
    { value => 'pay-roll', count => 1 }], 'facets: tags');
is_deeply($r->{kind}, [{ value => 'rest', count => 5 },
    { value => 'server', count => 1 }], 'kinds');
is("$r->{counted} $r->{complete}", '6 1', 'of how many');
$r = look('con', 'facets=1')->{json}{facets};
is_deeply($r->{tag}, [{ value => 'beta', count => 2 },
    { value => 'pay-roll', count => 1 }], 'of what is seen');
my $item = look('con', 'q=orders')->{json}{items}[0];
is_deeply([@$item{qw(kind tenant version state audience category contact)}],
    ['rest', 'pub', '2', 'published', 'public', 'shop', 'team blue'],
    'what is told of one');
is_deeply($item->{tags}, ['beta', 'pay-roll'], '... and its tags');

$t->must(PATCH => '/v1/tenants/con/apis/own', { description =>
    'a' x 298 . '€uro' });
is(look('con', 'tenant=con')->{json}{items}[0]{description}, 'a' x 298,
    'the first of its text, no letter parted');

my ($next, @seen) = ('');
do {
    my $page = look('all', 'limit=4' . ($next && "&cursor=$next"))->{json};
    push @seen, map { $_->{name} } @{ $page->{items} };
    $next = $page->{next};
} while $next;
is(join(' ', sort @seen), 'bills coming desk ledger orders own', 'pages');

my $p = '/v1/tenants/pub/apis';
$t->must(POST => "$p/orders/deprecate");
is(names('con', ''), 'orders own', 'deprecated: still there');
$t->must(PATCH => "$p/orders", { title => 'Anew', tags => ['gold'] });
is(names('con', 'q=anew&tag=gold'), 'orders', 'a change is found');
is(names('con', 'tag=beta'), 'own', 'and what it was is not');
$t->must(POST => "$p/orders/retire");
is(names('con', ''), 'own', 'retired: gone for others');
is(names('pub', 'state=retired'), 'orders', '... not for its own');
$t->must(PATCH => "$p/bills", { partners => [] });
is(names('friend', ''), '', 'no partner any more');
$t->must(PATCH => '/v1/tenants/con/apis/own', { audience => 'public' });
is(names('friend', 'tenant=con'), 'own', 'a public one');
$t->must(POST => '/v1/tenants/con/suspend');
is(names('friend', 'tenant=con'), '', 'a tenant that is suspended');
is(names('con', 'tenant=con'), 'own', '... sees its own');
$t->must(POST => '/v1/tenants/friend/applications', { name => 'late' });
is($t->api(POST => '/v1/tenants/friend/subscriptions', { application =>
    'late', target_tenant => 'con', api => 'own', plan => 'p' })->{status},
    404, 'nobody subscribes there');
$t->must(POST => '/v1/tenants/con/resume');
$t->must(PATCH => '/v1/tenants/con/apis/own', { audience => 'internal' });
$t->must(DELETE => "$p/ledger");
is(names('all', 'q=ledger'), '', 'what is deleted');
$t->must(POST => $p, { name => 'ledger', kind => 'rest', upstream =>
    { targets => [{ url => $up }] } });
is(names('pub', 'q=ledger'), 'ledger', 'and made again');
is(join(' ', map { $_->{name} } @{ $t->must(GET => "$p?family=orders")
    ->{items} }), 'orders', 'the versions of a family');


# pages

my $pages = "$p/orders/pages";
my $evil = "# Hi\n<script>alert(1)</script> [x](javascript:1)\n";
$t->must(POST => $pages, { name => 'intro', title => 'Start', position => 2,
    body => $evil });
is($t->must(GET => "$pages/intro")->{body}, $evil, 'a page as it was written');
ok(!exists $t->must(GET => $pages)->{items}[0]{body},
    'which lists leave out');
is($t->api(POST => $pages, { name => 'x', body => 'a' x 65537 })->{status},
    422, 'at most 64 KiB');
$t->must(POST => $pages, { name => "p$_", body => '' }) for 2 .. 50;
is($t->api(POST => $pages, { name => 'more', body => '' })->{status}, 422,
    'at most 50');
is($t->api(POST => $pages, { name => 'v', body => '' },
    token => $token{pub})->{status}, 403, 'a viewer reads');
is($t->api(GET => "$pages/intro", undef, token => $token{con})->{status}, 404,
    'another tenant does not');
is($t->must(GET => "$pages/p50")->{body}, '', 'one may be empty');
is(scalar @{ $t->must(GET => "$pages?limit=100")->{items} }, 50,
    'and the 51st is not there');
(my $roles = $p) =~ s{/apis$}{/roles};
(my $of = $p) =~ s{.*/tenants/([^/]+)/.*}{$1};
$t->must(POST => $roles, { name => 'coder', permissions =>
    [qw(self:read api:read api:write page:read)] });
my $coder = $t->must(POST => '/v1/admin-tokens', { name => 'coder',
    role => 'coder', tenant => $of })->{token};
is($t->must(PATCH => "$p/orders", { title => 'Orders' }, token => $coder)
    ->{title}, 'Orders', 'who writes apis');
for (['PATCH', "$pages/p3", { body => 'x' }], ['DELETE', "$pages/p3"],
     ['POST', $pages, { name => 'own', body => '' }]) {
    my ($method, $path, $body) = @$_;
    my $no = $t->api($method, $path, $body, token => $coder);
    is($no->{status}, 403, "$method: without page:write no page of them");
    like($no->{json}{detail}, qr/page:write/, '... and is told what lacks');
}
is($t->api(GET => "$pages/p3", undef, token => $coder)->{status}, 200,
    'but reads them');
$t->must(DELETE => "$pages/p2");
$t->must(DELETE => "$p/orders");
is($t->api(GET => $pages)->{status}, 404, 'they go with their api');


# stoactl

my ($code, $out) = $t->stoactl(qw(search ledger --category shop));
unlike($out, qr/^rest/m, 'nothing found');
($code, $out) = $t->stoactl(qw(search parc));
like($out, qr/^server +pub +desk/m, 'found');

$t->done;
