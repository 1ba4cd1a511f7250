#!/usr/bin/perl

# An apply is judged by what it leaves behind: exchanges and renames in any
# order of the documents; what is refused is named, with document and line;
# what prune takes is told; documents of ended subscriptions come to rest.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX qw(strftime);
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Feed;

my $t = Test::Stoa->new;
$t->control;

my $up = 'http://127.0.0.1:1';
my $feed = Test::Stoa::Feed->new($t, 'gw', 'default');
$t->apply(docs(tenant('one'), tenant('two')));

sub post {
    my ($docs, $query, $path) = @_;
    return $t->api(POST => ($path // '/v1/apply') . ($query ? "?$query" : ''),
        $docs, headers => { 'Content-Type' => 'application/yaml' });
}
sub faults {
    my ($r) = @_;
    return join '; ', map { "$_->{document} $_->{line} $_->{field}" }
        @{ $r->{json}{errors} || [] };
}
sub actions {
    my ($r) = @_;
    return $r->{body} unless $r->{json}{changes};
    return join ' ', map { "$_->{name}:$_->{action}" }
        @{ $r->{json}{changes} };
}
# Who serves a path, as gateways are told.
sub served {
    my ($path) = @_;
    $feed->pull;
    return join ' ', sort map { $_->{body}{name} }
        grep { $_->{kind} eq 'api' && ($_->{body}{base_path} // '') eq $path }
        values %{ $feed->{rows} };
}
sub at { my ($name, $path, %o) = @_;
         return rest($o{tenant} // 'one', $name, $up, base_path => $path,
                     $o{state} ? (state => $o{state}) : ()) }
sub ops { my ($name, @ops) = @_;
          return rest('one', $name, $up, operations => [map {
              my ($n, $method, $path) = split / /;
              { name => $n, method => $method, path => $path } } @ops]) }


# exchanges

$t->apply(docs(at('a', '/pa'), at('b', '/pb')));
for my $order (0, 1) {
    my @docs = (at('a', $order ? '/pa' : '/pb'),
                at('b', $order ? '/pb' : '/pa'));
    @docs = reverse @docs if $order;
    my $r = post(docs(@docs), 'dry_run=1');
    is(actions($r) =~ s/\w+://gr, 'update update', 'an exchange, tried');
    is(post(docs(@docs))->{status}, 200, 'two apis exchange their paths');
}
is(served('/pa') . served('/pb'), 'ab', 'and back');
my $openapi = "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths:\n"
    . "  /x: {get: {responses: {'200': {description: ok}}}}\n";
my @first = rest('one', 'first', $up, document => { text => $openapi });
my $r = post(docs(@first, at('a', '/pb'), at('b', '/pa')));
is($r->{status}, 200, 'also behind an api whose operations are made')
    or diag($r->{body});
is(post(docs(@first, at('b', '/pb'), at('a', '/pa')))->{status}, 200,
   'or are there');
$t->apply(docs(at('c', '/pc')));
is(post(docs(at('a', '/pb'), at('b', '/pc'), at('c', '/pa')))->{status}, 200,
   'three in a ring');
is(served('/pa') . served('/pb') . served('/pc'), 'cab', 'all moved');
is(post(docs(at('c', '/free'), at('a', '/pa')))->{status}, 200,
   'one takes what another lets go, in one order');
is(post(docs(at('b', '/pb'), at('a', '/pc')))->{status}, 200,
   'and in the other');

# new names, another tenant

$r = post(docs(at('a2', '/pc'), at('b', '/pb')), 'prune=1');
is($r->{status}, 200, 'a new name and prune are a rename');
is(served('/pc'), 'a2', 'with its path');
$r = post(docs(at('b', '/pb'), at('moved', '/pc', tenant => 'two'),
               plan('one', 'gold')), 'prune=1');
is($r->{status}, 200, 'into another tenant');
is(served('/pc'), 'moved', 'with its path');

# what conflicts is named, in each document that has it

$t->must(DELETE => '/v1/tenants/two/apis/moved');
$t->apply(docs(at('b', '/pb'), at('c', '/pc')));
$r = post(docs(at('b', '/pc')));
is($r->{status}, 409, 'a path of somebody else');
like($r->{json}{errors}[0]{message}, qr{"one/c" has this host and path},
     'says whose');
is(faults($r), '0 2 spec.base_path', 'and where');
$r = post(docs(at('x', '/same'), at('y', '/same')));
is(faults($r), '0 2 spec.base_path; 1 4 spec.base_path',
   'two that want one: both');
is(served('/same'), '', 'nothing was changed');

# only what is served holds a path

$t->apply(docs(at('d', '/pd', state => 'draft')));
is(post(docs(at('e', '/pd')))->{status}, 200, 'a draft holds no path');
is($t->api(POST => '/v1/tenants/one/apis/d/publish')->{status}, 409,
   'but is not published onto another');
$t->must(POST => '/v1/tenants/one/apis/e/retire');
is($t->api(POST => '/v1/tenants/one/apis/d/publish')->{status}, 200,
   'a retired one holds none either');
is($t->api(PATCH => '/v1/tenants/one/apis/d', { base_path => '/pb' })
   ->{status}, 409, 'one at a time is still judged at once');
my $other = $t->must(POST => '/v1/admin-tokens', { name => 'other',
    role => 'tenant-admin', tenant => 'two' })->{token};
$r = $t->api(POST => '/v1/apply', docs(at('spy', '/pb', tenant => 'two')),
    token => $other, headers => { 'Content-Type' => 'application/yaml' });
is($r->{status}, 409, 'over all tenants');
unlike($r->{body}, qr{one/b}, 'whose names are not told');

# operations

$t->apply(docs(ops('o', 'o1 GET /1', 'o2 GET /2')));
is(post(docs(ops('o', 'o1 GET /2', 'o2 GET /1')))->{status}, 200,
   'operations exchange their paths');
is(post(docs(ops('o', 'n1 GET /2', 'o2 GET /1')))->{status}, 200,
   'and get new names');
for my $twice ('o3 GET /1', 'o3 GET /x/{b}') {
    $r = post(docs(ops('o', 'o1 GET /1', 'o2 GET /x/{a}', $twice)));
    is($r->{status}, 422, "$twice is there twice");
    is(faults($r), '0 2 spec.operations[2]', 'which is told where it stands');
}
my $base = '/v1/tenants/one/apis/o/operations';
is($t->api(POST => $base, { name => 'x', method => 'GET', path => '/1' })
   ->{status}, 409, 'one made by itself too');
$t->must(POST => $base, { name => 'x', method => 'GET', path => '/x/{a}' });
is($t->api(POST => $base, { name => 'y', method => 'GET', path => '/x/{b}' })
   ->{status}, 409, 'also when the parameter has another name');
is($t->api(POST => $base, { name => 'y', method => 'PUT', path => '/x/{b}' })
   ->{status}, 201, 'not for another method');
sub limit { my (%to) = @_;
            return doc('Policy', 'one', 'limit', { type => 'body-limit',
                config => { max_bytes => 9 },
                attach => [{ api => 'o', %to }] }) }
$t->apply(docs(ops('o', 'o1 GET /1', 'o2 GET /2'), limit(operation => 'o1')));
$r = post(docs(ops('o', 'n1 GET /1', 'o2 GET /2')));
is($r->{status}, 409, 'one that a policy uses does not go');
like(join(' ', $r->{json}{detail}, faults($r)),
     qr{1 policy uses it, such as "limit"}, 'which is named');
is(post(docs(ops('o', 'n1 GET /1', 'o2 GET /2'), limit(operation => 'n1')))
   ->{status}, 200, 'but gets a new name together with the policy');
is(post(docs(limit(operation => 'n1'), ops('o', 'n1 GET /2', 'o2 GET /1')),
        'dry_run=1')->{status}, 200, 'or another path');
$r = post(docs(ops('o', 'o2 GET /1'), limit()));
is($r->{status}, 200, 'or goes, and the policy is moved');
is(scalar @{ $t->must(GET => $base)->{items} }, 1, 'it is gone');
$t->apply(docs(limit(operation => 'o2')));
is(post(docs(ops('o', 'o3 GET /1')), 'prune=1')->{status}, 200,
   'or is pruned');

# what is closed is closed when what used it is pruned

$t->apply(docs(app('one', 'last'), plan('one', 'old'), ops('o'),
               sub_('one', 'last', 'o', 'old')));
$r = post(docs(app('one', 'last'), plan('one', 'old', state => 'archived'),
               ops('o')));
is($r->{status}, 409, 'a plan in use is not archived');
is(post(docs(app('one', 'last'), plan('one', 'old', state => 'archived'),
             ops('o')), 'prune=1')->{status}, 200,
   'but is, when its last subscription is pruned');


# prune tells what it takes, keys too

$t->apply(docs(tenant('big'), plan('big', 'p'), rest('big', 'api', $up),
    (map { app('big', "app$_") } 1 .. 3),
    map { sub_('big', "app$_", 'api', 'p') } 1 .. 3));
$t->key('big', 'app1') for 1 .. 2;
my $keep = docs(plan('big', 'p'), rest('big', 'api', $up));
$r = post($keep, 'prune=1&max_delete=7');
is($r->{status}, 409, 'keys count for max_delete');
is(scalar @{ $r->{json}{errors} }, 8, 'what would go is listed');
like(join("\n", map { $_->{message} } @{ $r->{json}{errors} }),
     qr{Credential big/app1/stoa_live_\w+ would be deleted}, 'keys too');
$r = post($keep, 'prune=1', '/v1/diff');
is($r->{status}, 200, 'a diff within the limit');
is(scalar(grep { $_->{kind} eq 'Credential' } @{ $r->{json}{changes} }), 2,
   'tells of the keys');
$r = post(docs(app('big', 'app1'), rest('big', 'api', $up),
               sub_('big', 'app1', 'api', 'p')), 'prune=1');
is($r->{status}, 409, 'what a document uses is not pruned');
$r = post(docs(app('big', 'app1'), rest('big', 'api', $up)), 'prune=1');
is($r->{status}, 200, 'prune');
$t->apply(docs(plan('big', 'p'), sub_('big', 'app1', 'api', 'p')));
$t->apply(docs(app('two', 'guest'), rest('big', 'open', $up,
    audience => 'public'), sub_('two', 'guest', 'open', 'p',
    target_tenant => 'big')));
$r = post(docs(rest('big', 'open', $up, audience => 'public'),
               app('big', 'app1')), 'prune=1');
is($r->{status}, 409, 'what another tenant uses is not pruned');
like($r->{json}{detail},
     qr{^Plan big/p: 1 subscription uses it, such as "guest/open"},
     'both are named');
unlike($r->{json}{detail}, qr/force=1/, 'and no advice that does not fit');


# subscriptions that have ended come to rest

sub rows {
    return join ' ', map { $_->{state} }
        @{ $t->must(GET => "/v1/tenants/big/subscriptions?application=app2")
           ->{items} };
}
my $past = '2026-01-01T00:00:00Z';
$t->apply(docs(app('big', 'app2'), plan('big', 'p')));
my $doc = docs(sub_('big', 'app2', 'open', 'p', expires_at => $past));
is(actions(post($doc)), 'app2/open:none', 'one whose time is over is none')
    for 1 .. 2;
is(rows(), '', 'and makes no row');
is($t->api(POST => '/v1/tenants/big/subscriptions', { application => 'app2',
    api => 'open', plan => 'p', expires_at => $past })->{status}, 422,
   'nobody makes one that is over');
my $gone = docs(sub_('big', 'app2', 'open', 'p', state => 'revoked'));
is(actions(post($gone)), 'app2/open:none', 'revoked, where there is none');
$t->apply(docs(sub_('big', 'app2', 'open', 'p')));
is(actions(post($gone)), 'app2/open:update', 'revoked, where there is one');
is(actions(post($gone)), 'app2/open:none', 'and then no more');
is(rows(), 'revoked', 'one row');
my $soon = Time::HiRes::time() + 0.4;
$doc = docs(sub_('big', 'app2', 'open', 'p', expires_at => strftime(
    '%Y-%m-%dT%H:%M:%S', gmtime $soon)
    . sprintf('.%03dZ', ($soon - int $soon) * 1000)));
is(actions(post($doc)), 'app2/open:create', 'one with its day');
ok(scalar(&wait_until(sub { rows() eq 'revoked expired' })), 'the day comes');
is(actions(post($doc)), 'app2/open:none', 'the file changes nothing');
is(rows(), 'revoked expired', 'no new row');

# what has ended is not lengthened

my ($ended) = grep { $_->{state} eq 'expired' }
    @{ $t->must(GET => '/v1/tenants/big/subscriptions')->{items} };
is($t->api(PATCH => "/v1/tenants/big/subscriptions/$ended->{id}",
    { expires_at => '2099-01-01T00:00:00Z' })->{status}, 409,
   'an ended subscription takes no new end');
my $creds = '/v1/tenants/big/applications/app2/credentials';
my $key = $t->must(POST => $creds, {});
$t->must(POST => "$creds/$key->{id}/revoke");
is($t->api(PATCH => "$creds/$key->{id}",
    { expires_at => '2099-01-01T00:00:00Z' })->{status}, 409,
   'nor a revoked key');
is($t->api(PATCH => "$creds/$key->{id}", { title => 'lost' })->{status}, 200,
   'a title it takes');
my $manual = $t->must(POST => '/v1/tenants/big/plans', { name => 'm',
    approval => 'manual' });
$soon = Time::HiRes::time() + 0.2;
my $late = $t->must(POST => '/v1/tenants/big/subscriptions', {
    application => 'app2', api => 'open', plan => 'm', expires_at => strftime(
        '%Y-%m-%dT%H:%M:%S', gmtime $soon)
        . sprintf('.%03dZ', ($soon - int $soon) * 1000) });
&wait_until(sub { Time::HiRes::time() > $soon });
is($t->api(POST => "/v1/tenants/big/subscriptions/$late->{id}/approve")
   ->{status}, 409, 'what is past its time is not approved');


# a byte order mark

$r = post("\xef\xbb\xbf" . docs(app('big', 'bom')) =~ s/^---\n//r);
is($r->{status}, 200, 'a byte order mark before a document');
$r = post("\xef\xbb\xbf" . docs(app('big', 'bom'), app('big', 'bom2')));
is($r->{status}, 200, 'before a separator');
$r = $t->api(POST => '/v1/tenants', "\xef\xbb\xbf" . '{"name":"bom"}',
    headers => { 'Content-Type' => 'application/json' });
is($r->{status}, 201, 'and before JSON');

is($t->api(GET => '/v1/audit/verify')->{json}{ok}, JSON::PP::true,
   'the audit log is whole');

$t->done;
