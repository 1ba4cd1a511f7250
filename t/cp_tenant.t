#!/usr/bin/perl

# Tenants, and what every resource has in common: create, read, list, change,
# delete, ETag, pages.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;

my $t = Test::Stoa->new;
$t->control;

my $r = $t->api(POST => '/v1/tenants', { name => 'acme', title => 'Acme' });
is($r->{status}, 201, 'create');
is($r->{headers}{location}, '/v1/tenants/acme', 'Location');
like($r->{headers}{etag}, qr/^"[0-9a-z]{16}-1"$/, 'ETag');
is($r->{json}{state}, 'active', 'initial state');
like($r->{json}{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
    'a time in RFC 3339');
my ($id, $etag) = ($r->{json}{id}, $r->{headers}{etag});

is_deeply($t->api(GET => '/v1/tenants/acme')->{json}, $r->{json},
    'read is what create answered');
is($t->api(GET => "/v1/tenants/$id")->{json}{name}, 'acme', 'read by id');
is($t->api(GET => '/v1/tenants/none')->{status}, 404, 'unknown');
is($t->api(GET => '/v1/tenants/acme', undef,
    headers => { 'If-None-Match' => $etag })->{status}, 304,
    'If-None-Match');

$r = $t->api(POST => '/v1/tenants', { name => 'acme' });
is($r->{status}, 409, 'the name is taken');
is($r->{json}{type}, 'urn:stoa:problem:already_exists', 'its problem type');
is($r->{headers}{'content-type'}, 'application/problem+json',
    'its content type');

# PUT, PATCH

$r = $t->api(PATCH => '/v1/tenants/acme', { title => 'Acme Inc.' });
is($r->{status}, 200, 'patch');
is($r->{json}{title}, 'Acme Inc.', 'patched');
isnt($r->{headers}{etag}, $etag, 'another ETag');
my $new = $r->{headers}{etag};

$r = $t->api(PATCH => '/v1/tenants/acme', { title => 'Acme Inc.' });
is($r->{headers}{etag}, $new, 'a change that changes nothing keeps the ETag');

$r = $t->api(PATCH => '/v1/tenants/acme', { title => 'x' },
    headers => { 'If-Match' => $etag });
is($r->{status}, 412, 'stale If-Match');
is($t->api(GET => '/v1/tenants/acme')->{json}{title}, 'Acme Inc.',
    'nothing changed');
for my $form ('%s', '"other", %s', '*') {
    my $now = $t->api(GET => '/v1/tenants/acme')->{headers}{etag};
    (my $match = $form) =~ s/%s/$now/;
    is($t->api(PUT => '/v1/tenants/acme', { name => 'acme' },
        headers => { 'If-Match' => $match })->{status}, 200,
        "If-Match: $form");
}
is($t->api(GET => '/v1/tenants/acme')->{json}{title}, undef,
    'PUT without title removes it');
is($t->api(PATCH => '/v1/tenants/acme', { name => 'other' })->{status}, 422,
    'a name cannot be changed');
is($t->api(PATCH => '/v1/tenants/acme', { state => 'archived' })->{status},
    422, 'a state is no member to write');

$r = $t->api(GET => '/v1/tenants/acme');
$r->{json}{title} = 'read, changed, written';
is($t->api(PUT => '/v1/tenants/acme', $r->{json},
    headers => { 'If-Match' => $r->{headers}{etag} })->{json}{title},
    'read, changed, written', 'what was read can be changed and written');

# lists

$t->must(POST => '/v1/tenants', { name => sprintf 'page-%02d', $_ })
    for 1 .. 12;
my ($cursor, @names, $pages) = ('');
do {
    $r = $t->must(GET => "/v1/tenants?limit=5&cursor=$cursor");
    push @names, map { $_->{name} } @{ $r->{items} };
    cmp_ok(scalar @{ $r->{items} }, '<=', 5, 'a page is not larger');
    $cursor = $r->{next} // '';
    $pages++;
} while $cursor ne '';
is_deeply(\@names, ['acme', map { sprintf 'page-%02d', $_ } 1 .. 12],
    'all of them, once, in order');
is($pages, 3, 'pages');

is(scalar @{ $t->must(GET => '/v1/tenants?name=page-03')->{items} }, 1,
    'filter');
is(scalar @{ $t->must(GET => '/v1/tenants?state=archived')->{items} }, 0,
    'filter that nothing fits');
is($t->api(GET => "/v1/tenants?$_")->{status}, 400, "refused: $_")
    for qw(limit=0 limit=501 limit=x limit=5x cursor=zz cursor=61zz
        cursor=00 cursor=ff sate=active title=x);

# deletion

$t->must(POST => '/v1/tenants/acme/applications', { name => 'app' });
$r = $t->api(DELETE => '/v1/tenants/acme');
is($r->{status}, 409, 'what is used is not deleted');
is($r->{json}{type}, 'urn:stoa:problem:in_use', 'its problem type');
is($t->api(DELETE => '/v1/tenants/page-01', undef,
    headers => { 'If-Match' => '"stale"' })->{status}, 412,
    'DELETE and If-Match');
is($t->api(DELETE => '/v1/tenants/page-01')->{status}, 204, 'delete');
is($t->api(DELETE => '/v1/tenants/page-01')->{status}, 404, 'delete again');
is($t->api(DELETE => '/v1/tenants/acme?force=1')->{status}, 204, 'force');
is($t->api(GET => '/v1/tenants/acme/applications/app')->{status}, 404,
    'with everything in it');

# labels

$t->must(PATCH => '/v1/tenants/page-03', { labels => { team => 'pay_ments',
    cost => '10%' =~ s/%//r } });
$t->must(PATCH => '/v1/tenants/page-04', { labels => { team => 'payXments',
    Team => 'b' } });
sub labelled { return join ' ', map { $_->{name} }
    @{ $t->must(GET => "/v1/tenants?label=$_[0]")->{items} } }
is(labelled('team=pay_ments'), 'page-03', 'by a label, which is no pattern');
is(labelled('Team=b'), 'page-04', 'upper case is another name');
is(labelled('team=b'), '', 'a value that is another label\'s');
is($t->api(GET => "/v1/tenants?label=$_")->{status}, 400, "no label: $_")
    for 'team', 'team%22=a';
is($t->api(GET => '/v1/plans?label=a=b')->{status}, 400, 'who has none');
is($t->api(PATCH => '/v1/tenants/page-03', { labels => $_->[1] })->{status},
    422, "labels: $_->[0]")
    for ['a number', { a => 1 }], ['a space', { 'a b' => 'c' }],
        ['nothing', { a => '' }], ['a long one', { a => 'x' x 64 }],
        ['many', { map { ("l$_" => 'x') } 1 .. 33 }];

# limits

$t->must(PATCH => '/v1/tenants/page-03',
    { limits => { application => 2, credential => 1, plan => 0 } });
my $apps = '/v1/tenants/page-03/applications';
sub limited {
    my ($r, $re, $what) = @_;
    is($r->{json}{type}, 'urn:stoa:problem:limit_reached', $what);
    like($r->{json}{detail}, $re, "$what: which, and how many");
}
$t->must(POST => $apps, { name => $_ }) for qw(a b);
limited($t->api(POST => $apps, { name => 'c' }),
    qr/2 of at most 2 \(limits\.application\)/, 'one too many');
$t->must(DELETE => "$apps/a");
$t->must(POST => $apps, { name => 'c' });
my $key = $t->must(POST => "$apps/b/credentials", {})->{id};
limited($t->api(POST => "$apps/c/credentials", {}), qr/limits\.credential/,
    'over all applications');
my $next = $t->must(POST => "$apps/b/credentials/$key/rotate",
    { grace_s => 0 })->{id};
$t->must(POST => "$apps/b/credentials/$next/revoke");
is($t->api(POST => "$apps/c/credentials", {})->{status}, 201,
    'what has ended does not count');
$t->must(POST => '/v1/tenants/page-03/plans', { name => "p$_" }) for 1 .. 3;
my @doc = map { "apiVersion: stoa/v1\nkind: Application\n"
    . "metadata: { name: x$_, tenant: page-05 }\nspec: {}\n" } 1 .. 4;
$t->must(PATCH => '/v1/tenants/page-05', { limits => { application => 3 } });
limited($t->api(POST => '/v1/apply', join("---\n", @doc),
    headers => { 'Content-Type' => 'application/yaml' }), qr/3 of at most 3/,
    'an apply');
is(scalar @{ $t->must(GET => '/v1/tenants/page-05/applications')->{items} },
    0, 'of which nothing is done');
is($t->api(POST => '/v1/apply', join("---\n", @doc[0 .. 2]),
    headers => { 'Content-Type' => 'application/yaml' })->{status}, 200,
    'as many as it may');
my %has = map { ($_->{kind} => $_) }
    @{ $t->must(GET => '/v1/tenants/page-03/limits')->{items} };
is_deeply([@{ $has{application} }{qw(used limit)}], [2, 2], 'used, limit');
is_deeply($has{plan}, { kind => 'plan', used => 3 }, 'none');
my $ta = $t->must(POST => '/v1/admin-tokens', { name => 'ta',
    role => 'tenant-admin', tenant => 'page-03' })->{token};
is($t->api(PATCH => '/v1/tenants/page-03', { limits => {} }, token => $ta)
    ->{status}, 403, 'a tenant does not raise its own');
is($t->api(GET => '/v1/tenants/page-03/limits', undef, token => $ta)
    ->{status}, 200, 'but sees them');

# regions: groups of gateways

$t->must(POST => '/v1/gateway-groups', { name => $_ }) for qw(eu us);
my $apis = '/v1/tenants/page-06/apis';
my %rest = (kind => 'rest', upstream => { targets =>
    [{ url => 'http://a.test' }] });
$t->must(POST => $apis, { name => 'old', %rest });
$r = $t->api(PATCH => '/v1/tenants/page-06', { gateway_groups => ['eu'] });
is($r->{status}, 409, 'an api that is everywhere');
like($r->{json}{detail}, qr/"old"/, 'is named');
$t->must(PATCH => "$apis/old", { gateway_groups => ['eu'] });
$t->must(PATCH => '/v1/tenants/page-06', { gateway_groups => ['eu'] });
is_deeply($t->must(POST => $apis, { name => 'new', %rest })
    ->{gateway_groups}, ['eu'], 'a new one is where the tenant may be');
$r = $t->api(POST => $apis, { name => 'far', gateway_groups => ['us'],
    %rest });
is($r->{status}, 422, 'nowhere else');
like($r->{json}{errors}[0]{message}, qr/"us"/, 'which is named');
is_deeply($t->must(PUT => "$apis/new", { name => 'new', %rest })
    ->{gateway_groups}, ['eu'], 'not by leaving it out');
is($t->api(PATCH => "$apis/new", { gateway_groups => ['eu', 'us'] })
    ->{status}, 422, 'nor in both');
is($t->api(DELETE => '/v1/gateway-groups/eu')->{status}, 409,
    'its region stays');
$t->must(PATCH => '/v1/tenants/page-06', { gateway_groups => [] });
$t->must(PATCH => "$apis/new", { gateway_groups => ['us'] });

# what could not be undone is there, when it is tried again

my $state = sub { $t->must(GET => '/v1/tenants/half')->{state} };
my $is = sub { my ($want) = @_; wait_until { $state->() eq $want } 20 };
$t->must(POST => '/v1/tenants', { name => 'half', provision => { plan => {
    rate => 5 } } });
ok($is->('active'), 'a tenant with a plan');
Test::Stoa::Feed::sql($t, "UPDATE tenants SET state = 'failed', provisioning ="
    . " '{\"done\":[\"plan\"],\"error\":\"a\",\"undo_error\":\"b\"}'"
    . " WHERE name = 'half'");
$t->must(POST => '/v1/tenants/half/retry');
ok($is->('active'), 'a retry goes on from there');

# an archived tenant is kept as it is

$t->must(POST => '/v1/tenants/page-02/archive');
is($t->api(POST => '/v1/tenants/page-02/applications', { name => 'x' })
    ->{status}, 409, 'nothing is made in an archived tenant');

is($t->api(GET => '/v1/audit/verify')->{json}{ok}, JSON::PP::true,
    'the audit log is whole');

$t->done;
