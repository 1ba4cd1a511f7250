#!/usr/bin/perl

# What a hostile or careless client tries against the admin interface: names
# that look like ids, tokens that lengthen their own life, bodies in disguise.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;
use Test::Stoa::HTTP;
use Test::Stoa::Identity;

my $t = Test::Stoa->new;
$t->control;

$t->must(POST => '/v1/tenants', { name => $_ }) for qw(acme beta);
my %json = ('Content-Type' => 'application/json');
my %yaml = ('Content-Type' => 'application/yaml');


# a name that is another's id would take its place in references and paths

my $acme = $t->must(GET => '/v1/tenants/acme')->{id};
my $admin = $t->must(GET => '/v1/whoami')->{id};
my $r = $t->api(POST => '/v1/tenants', { name => $acme });
is($r->{status}, 422, 'a tenant is not named like an id');
like($r->{body}, qr/form of an id/, 'with the reason');
is($t->must(GET => "/v1/tenants/$acme")->{name}, 'acme', 'the id is its own');

my $ta = $t->must(POST => '/v1/admin-tokens', { name => 'ta',
    role => 'tenant-admin', tenant => 'acme' })->{token};
is($t->api(POST => '/v1/admin-tokens', { name => $admin, role => 'viewer' },
    token => $ta)->{status}, 422, 'nor a token, which would be revoked '
    . 'instead of the one meant');
is($t->api(POST => '/v1/tenants', { name => 'payments2024beta' })->{status},
    201, 'sixteen characters are no offence');


# what was lent for a while does not become one's own

my @d = gmtime(time + 3600);
my $soon = sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $d[5] + 1900, $d[4] + 1,
    @d[3, 2, 1, 0];
my $lent = $t->must(POST => '/v1/admin-tokens', { name => 'lent',
    role => 'tenant-admin', tenant => 'acme', expires_at => $soon })->{token};

is($t->api(PATCH => '/v1/admin-tokens/lent', { expires_at => undef },
    token => $lent)->{status}, 403, 'a token does not lengthen its life');
is($t->api(PATCH => '/v1/admin-tokens/lent',
    { expires_at => '2099-01-01T00:00:00Z' }, token => $lent)->{status}, 403,
    'not by a date either');
is($t->api(POST => '/v1/admin-tokens', { name => 'heir',
    role => 'tenant-admin' }, token => $lent)->{status}, 403,
    'nor has it heirs');
is($t->api(POST => '/v1/admin-tokens', { name => 'heir', role => 'viewer',
    expires_at => $soon }, token => $lent)->{status}, 201,
    'but helpers, as long as it lives');
is($t->api(PATCH => '/v1/admin-tokens/lent', { title => 'x' },
    token => $lent)->{status}, 200, 'and a title');
is($t->api(PATCH => '/v1/admin-tokens/lent', { expires_at => undef },
    token => $ta)->{status}, 200, 'one without an end may');


# the grace of a key that was rotated is not made longer

$t->must(POST => '/v1/tenants/acme/applications', { name => 'app' });
my $creds = '/v1/tenants/acme/applications/app/credentials';
my $old = $t->must(POST => $creds, {})->{id};
$t->must(POST => "$creds/$old/rotate", { grace_s => 3600 });
is($t->api(PATCH => "$creds/$old", { expires_at => undef })->{status}, 409,
    'the old key does not live on');
is($t->api(PATCH => "$creds/$old", { expires_at => '2099-01-01T00:00:00Z' })
    ->{status}, 409, 'nor to a later day');
is($t->api(PATCH => "$creds/$old", { title => 'x' })->{status}, 200,
    'a title');
is($t->api(PATCH => "$creds/$old", { expires_at => '2020-01-01T00:00:00Z' })
    ->{status}, 200, 'an earlier end');


# If-None-Match: what moves without a change of the row is never "the same"

my $gw = Test::Stoa::Feed->new($t, 'gw1', 'default');
my $etag = $t->api(GET => '/v1/gateways/gw1')->{headers}{etag};
$gw->pull;
$gw->status;
$r = $t->api(GET => '/v1/gateways/gw1', undef,
    headers => { 'If-None-Match' => $etag });
is($r->{status}, 200, 'a gateway that has reported is news');
is($r->{json}{sync}, 'in-sync', 'and is shown');

$etag = $t->api(GET => '/v1/tenants/acme')->{headers}{etag};
for my $tag ($etag, "W/$etag", "\"x\", $etag", '*') {
    is($t->api(GET => '/v1/tenants/acme', undef,
        headers => { 'If-None-Match' => $tag })->{status}, 304,
        "If-None-Match: $tag");
}
is($t->api(GET => '/v1/tenants/acme', undef,
    headers => { 'If-None-Match' => '"x"' })->{status}, 200, 'another tag');


# a body that is packed is said to be, and said twice is asked back

$r = $t->api(POST => '/v1/tenants', '{"name":"packed"}',
    headers => { %json, 'Content-Encoding' => 'gzip' });
is($r->{status}, 415, 'a Content-Encoding');
is($r->{headers}{'accept-encoding'}, 'identity', 'what would do');
is($t->api(POST => '/v1/tenants', '{"name":"plain"}',
    headers => { %json, 'Content-Encoding' => 'identity' })->{status}, 201,
    'identity is none');
is($t->api(GET => '/v1/tenants?limit=1&limit=2')->{status}, 400,
    'a query parameter twice');
is($t->api(GET => '/v1/tenants?limit=1&%6cimit=1')->{status}, 400,
    'twice in disguise');


# many aliases of one long text

my $spec = "apiVersion: stoa/v1\nkind: Api\nmetadata: {name: b, tenant: acme}"
    . "\nspec:\n  kind: rest\n  upstream: {targets: [{url: 'http://a'}]}\n"
    . "  spec:\n    a: &a \"" . ('x' x 60000) . "\"\n    l: [";
$r = $t->api(POST => '/v1/apply', $spec . join(',', ('*a') x 20000) . "]\n",
    headers => \%yaml, timeout => 60);
is($r->{status}, 400, 'aliases of a long text');
like($r->{body}, qr/aliases make the document too large/, 'the reason');
is($t->api(POST => '/v1/apply', $spec . join(',', ('*a') x 10) . "]\n",
    headers => \%yaml, timeout => 60)->{status}, 202, 'some are fine');



# what a gateway vouches for ends with the application, not with the assertion

my $own = $t->must(GET => '/v1/tenants/acme')->{id};
my $beta = $t->must(GET => '/v1/tenants/beta')->{id};
my $app = $t->must(GET => '/v1/tenants/acme/applications/app')->{id};
my ($signer) = group_keys($t, $gw->{token});
my $aud = $t->must(POST => '/v1/tenants/acme/apis', { name => 'platform',
    kind => 'rest', identity => 'signed', platform => \1,
    upstream => { targets => [{ url => $t->control_url }] } })->{id};
$t->must(POST => '/v1/tenants/acme/apis/platform/publish');

sub vouched {
    my ($tenant, $application) = @_;
    return $t->api(GET => '/platform/v1/subscriptions', undef,
        token => undef, headers => { 'X-Stoa-Identity' => assertion($t,
            $signer, { aud => $aud, tenant => $tenant,
                       application => $application }) })->{status};
}

is(vouched($own, $app), 200, 'an application');
is(vouched($beta, $app), 401, 'not in another tenant');
is(vouched($own, $own), 401, 'none that is not there');
$t->must(POST => '/v1/tenants/acme/applications/app/suspend');
is(vouched($own, $app), 401, 'suspended');
$t->must(POST => '/v1/tenants/acme/applications/app/resume');
is(vouched($own, $app), 200, 'resumed');
$t->must(POST => '/v1/tenants/acme/suspend');
is(vouched($own, $app), 401, 'its tenant suspended');
$t->must(POST => '/v1/tenants/acme/resume');


# a consumer does not help itself to tools that were not approved

my $tb = $t->must(POST => '/v1/admin-tokens', { name => 'tb',
    role => 'tenant-admin', tenant => 'beta' })->{token};
$t->must(POST => '/v1/tenants/acme/apis', { name => 'mcp', kind => 'mcp',
    audience => 'public',
    upstream => { targets => [{ url => 'http://127.0.0.1:1/mcp' }] } });
$t->must(POST => '/v1/tenants/acme/apis/mcp/publish');
$t->must(POST => '/v1/tenants/acme/plans', { name => $_, approval => $_ })
    for qw(manual auto);
$t->must(POST => '/v1/tenants/beta/applications', { name => 'eve' });
my $subs = '/v1/tenants/beta/subscriptions';
my $sub = $t->must(POST => $subs, { application => 'eve', api => 'mcp',
    target_tenant => 'acme', plan => 'manual', tools => ['read'] },
    token => $tb)->{id};
is($t->api(PATCH => "$subs/$sub", { tools => ['read', 'list'] },
    token => $tb)->{status}, 200, 'what is pending may ask for more');
$t->must(POST => "/v1/tenants/acme/subscriptions/$sub/approve", undef,
    token => $ta);
is($t->api(PATCH => "$subs/$sub", { tools => $_ }, token => $tb)->{status},
    403, 'not once it is approved: ' . json_encode($_))
    for undef, ['read', 'delete'], ['delete'];
is($t->api(PATCH => "$subs/$sub", { tools => ['list'] }, token => $tb)
    ->{status}, 200, 'less is no matter');
is($t->api(PATCH => "$subs/$sub", { tools => ['read', 'list'] },
    token => $tb)->{status}, 403, 'and stays less');
is($t->api(PATCH => "/v1/tenants/acme/subscriptions/$sub",
    { tools => ['delete'] }, token => $ta)->{status}, 200,
    'the publisher may');
is($t->api(PATCH => "$subs/$sub", { tools => undef, plan => 'auto' },
    token => $tb)->{status}, 200, 'and who needs no approval');


# what another tenant has, and does not share, cannot be told from what it has
# not

$t->must(POST => '/v1/tenants/acme/apis', { name => 'hidden', kind => 'rest',
    upstream => { targets => [{ url => 'http://127.0.0.1:1' }] } });
$t->must(POST => '/v1/tenants/acme/apis/hidden/publish');
my %answers;
for my $try (['acme', 'hidden', 'auto'], ['acme', 'hidden', 'none'],
             ['acme', 'none', 'auto'], ['acme', 'none', 'none'],
             ['none', 'hidden', 'auto'], ['acme', 'mcp', 'none']) {
    $r = $t->api(POST => $subs, { application => 'eve', api => $try->[1],
        target_tenant => $try->[0], plan => $try->[2] }, token => $tb);
    delete $r->{json}{request_id};
    $answers{ $r->{status} . json_encode($r->{json}) }++;
}
is(scalar keys %answers, 1, 'one answer to whatever is missing')
    or diag(join "\n", keys %answers);
like((keys %answers)[0], qr/^404/, 'it is not there');


# strangers do not fill the memory that is there for bodies

my @strangers = map {
    my $c = Test::Stoa::HTTP->connect($t->port('control'));
    $c->send_raw("POST /v1/apply HTTP/1.1\r\nHost: x\r\nAuthorization: "
        . "Bearer no\r\nContent-Type: application/json\r\n"
        . 'Content-Length: ' . (4 << 20) . "\r\n\r\n" . 'x' x (3 << 20));
    $c;
} 1 .. 20;
my ($rss) = $t->api(GET => '/metrics')->{body}
    =~ /^process_resident_memory_bytes (\d+)/m;
cmp_ok($rss, '<', $Test::Stoa::OBJS =~ /asan/ ? 400 << 20 : 50 << 20,
    'sixty megabytes of strangers are not held');
for my $c (@strangers) {
    $c->send_raw('x' x (1 << 20));
    $r = $c->response(timeout => 30);
    last if $r->{status} != 401;
}
is($r->{status}, 401, 'and told so');
is($t->api(POST => '/v1/apply', 'x' x 100_000, headers => \%json,
    token => undef)->{status}, 401, 'without a token');
is($t->api(POST => '/v1/tenants', 'x' x 100_000, headers => \%json,
    token => $gw->{token})->{status}, 401, 'with one that is for others');
is($t->api(POST => '/v1/tenants/beta/plans', 'x' x 100_000,
    headers => \%json, token => $ta)->{status}, 404, 'of another tenant');
$r = $t->api(POST => '/v1/tenants/acme/plans', { name => 'big',
    title => 'x' x 100_000 }, token => $ta);
is($r->{status}, 422, 'who is known is read to the end');
$r = $t->api(POST => '/v1/tenants/acme/plans', { name => 'big',
    title => 'x' x (9 << 20) }, token => $ta);
is($r->{status}, 413, 'but not beyond the limit');
is($t->api(POST => '/mcp', 'x' x 100_000, headers => \%json,
    token => undef)->{status}, 413, 'where nobody is unknown there is less');



# a gateway that is removed while it waits gets nothing more

$gw->pull;
my $poll = Test::Stoa::HTTP->connect($t->port('control'));
$poll->send_raw($poll->request_text('GET', "/gateway/v1/feed?since=$gw->{rev}"
    . "&epoch=$gw->{epoch}&wait=20",
    headers => { Authorization => "Bearer $gw->{token}" }));
wait_until { $t->api(GET => '/metrics')->{body}
    =~ /^stoa_control_http_parked 1$/m } 10;
$t->must(DELETE => '/v1/gateways/gw1');
$t->must(POST => '/v1/tenants', { name => 'later' });
is($poll->response(timeout => 30)->{status}, 401, 'a removed gateway');


# a line of the log is of our length, not of the client's

$t->api(GET => '/v1/' . 'p' x 20_000);
$t->api('M' x 20_000, '/v1/tenants');
my ($longest) = sort { $b <=> $a } map { length }
    split /\n/, slurp($t->dir('control.out'));
cmp_ok($longest, '<', 1000, 'no long lines');

$t->done;
