#!/usr/bin/perl

# Promotion of an api from one gateway group to another: what is shown, who
# may approve, what becomes of the target, and the way back.  And what a
# deletion would meet.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Text::ParseWords;

my $t = Test::Stoa->new->has('stoactl', 'module');
$t->control;
$t->must(POST => '/v1/gateway-groups', { name => $_ }) for qw(dev prod);
my $up = 'http://127.0.0.1:1';
$t->apply(docs(tenant('acme'), tenant('other'), plan('acme', 'free'),
    app('acme', 'app'),
    rest('acme', 'shop', $up, base_path => '/shop', gateway_groups => ['dev'],
        title => 'One', tags => ['x'], operations => [
        { name => 'list', method => 'GET', path => '/a' },
        { name => 'make', method => 'POST', path => '/a' }]),
    sub_('acme', 'app', 'shop', 'free')));
my %token = map { my ($who, $role, $tenant) = @$_;
    ($who => $t->must(POST => '/v1/admin-tokens', { name => $who,
        role => $role, tenant => $tenant })->{token}) }
    ['ann', 'tenant-admin', 'acme'], ['bob', 'tenant-admin', 'acme'],
    ['eve', 'viewer', 'acme'], ['far', 'tenant-admin', 'other'];

my $apis = '/v1/tenants/acme/apis';
my $all = '/v1/tenants/acme/promotions';
sub as { my ($who, $method, $path, $body) = @_;
         return $t->api($method, $path, $body, token => $token{$who}) }
sub ask { return as('ann', POST => $all, { api => 'shop', to => 'prod', @_ }) }
sub decide { my ($who, $id, $event) = @_;
             my $r = as($who, POST => "$all/$id/$event",
                        { reason => 'as agreed' });
             return "$r->{status} " . ($r->{json}{state} // $r->{json}{detail}) }
sub operations { return join ' ', map { "$_->{name}=$_->{path}=$_->{state}" }
    @{ $t->must(GET => "$apis/shop-prod/operations")->{items} } }
sub title { return $t->must(GET => "$apis/shop-prod")->{title} }
sub dump_ { return $t->api(GET => '/v1/dump?tenant=acme')->{body} }


# the first one makes the api there

my $dump = dump_();
my $r = ask(reason => 'release', instead => { upstream => { targets =>
    [{ url => 'http://127.0.0.1:2' }] } });
is($r->{status}, 201, 'asked for');
my $id = $r->{json}{id};
is_deeply([@{ $r->{json} }{qw(state target requested_by reason)}],
    ['pending', 'shop-prod', 'ann', 'release'], 'what, and who asked');
is($r->{json}{diff}{title}{after}, 'One', 'with what it changes');
is_deeply($r->{json}{diff}{operations}, ['+ list', '+ make'],
    '... operations too');
is(dump_(), $dump, 'nothing has changed yet');
sub inbox { my ($who) = @_;
            return as($who, GET => '/v1/inbox?kind=promotion')->{json} }
is_deeply([@{ inbox('bob')->{items}[0] }{qw(id events path)}],
    [$id, ['approve', 'reject'], "$all/$id"], 'it waits for a second person');
is(inbox($_)->{total}, 0, "not for $_")
    for qw(ann eve far);
is(ask()->{status}, 409, 'one at a time');
is(decide('ann', $id, 'approve'), '403 who asked for it does not approve it',
    'four eyes');
is((split ' ', decide('eve', $id, 'approve'))[0], 403, 'a viewer does not');
is(as('far', GET => "$all/$id")->{status}, 404, 'another tenant sees none');
is(decide('bob', $id, 'approve'), '200 applied', 'somebody else does');
$r = $t->must(GET => "$apis/shop-prod");
is_deeply([@$r{qw(title state base_path)}, $r->{gateway_groups}[0],
    $r->{upstream}{targets}[0]{url}],
    ['One', 'published', '/shop', 'prod', 'http://127.0.0.1:2'],
    'it is there, on the same path, with its own upstream');
is(operations(), 'list=/a=enabled make=/a=enabled', 'and its operations');
is(inbox('bob')->{total}, 0, 'what is decided waits no more');
is(decide('bob', $id, 'approve'), '409 ' . as('bob', POST =>
    "$all/$id/approve")->{json}{detail}, 'once');
is(ask()->{status}, 409, 'there is nothing more to promote');


# a change

$t->must(POST => "$apis/shop/documents", { openapi => '3.1.0', info =>
    { title => 'D', version => '1' }, paths => { '/b' => { get => {} } } });
$t->must(PATCH => "$apis/shop", { title => 'Two', tags => undef });
$t->must(POST => "$apis/shop/operations/make/disable");
$t->must(DELETE => "$apis/shop/operations/list");
$r = ask()->{json};
is_deeply($r->{diff}{title}, { before => 'One', after => 'Two' }, 'a diff');
is_deeply([$r->{diff}{document}{before},
    @{ $r->{diff}{document}{after} }{qw(title version)}], [undef, 'D', '1'],
    'which names the document');
is_deeply([sort @{ $r->{diff}{operations} }], ['+ get-b', '- list', '~ make'],
    'of operations');
$t->must(PATCH => "$apis/shop", { title => 'Three' });
is(title(), 'One', 'before');
my $before = dump_() =~ s/title: Three//r;
is(decide('bob', $r->{id}, 'approve'), '200 applied', 'approved');
is(title(), 'Two', 'what was looked at, not what came later');
is(operations(), 'get-b=/b=enabled make=/a=disabled', 'operations');
is($t->must(GET => "$apis/shop-prod/documents")->{items}[0]{title}, 'D',
    'the document');
is_deeply($t->must(GET => "$apis/shop-prod")->{tags} // [], [],
    'what is taken away is');
is($t->must(GET => "$apis/shop-prod")->{upstream}{targets}[0]{url},
    'http://127.0.0.1:2', 'the place keeps its own');
is(decide('bob', $r->{id}, 'rollback'), '200 rolled_back', 'the way back');
is(operations(), 'list=/a=enabled make=/a=enabled', 'operations as before');
is(title(), 'One', '... and the rest');
is(scalar @{ $t->must(GET => "$apis/shop-prod/documents")->{items} }, 0,
    'no document where there was none');
is(dump_() =~ s/title: Three//r, $before, 'all of it');


# what was changed meanwhile

$r = ask()->{json};
$t->must(PATCH => "$apis/shop-prod", { description => 'by hand' });
like(decide('bob', $r->{id}, 'approve'), qr/^409 .*changed since/,
    'a target that was changed');
is(decide('ann', $r->{id}, 'withdraw'), '200 withdrawn', 'taken back');
$r = ask()->{json};
is(decide('bob', $r->{id}, 'approve'), '200 applied', 'asked again');
$t->must(PATCH => "$apis/shop-prod", { description => 'again' });
like(decide('bob', $r->{id}, 'rollback'), qr/^409 .*changed since/,
    'no rollback over another change');
$r = ask()->{json};
is(decide('bob', $r->{id}, 'reject'), '200 rejected', 'rejected');
$r = $t->must(GET => "$all/$r->{id}");
is("$r->{decided_by} $r->{decision}", 'bob as agreed', 'by whom, and why');

sub documents { my ($n) = @_;
    $t->must(POST => "$apis/shop/documents?operations=none",
        { openapi => '3.1.0', info => { title => 'D', version => "$n" },
          paths => {} }) }
documents(2);
$r = ask()->{json};
documents($_) for 3 .. 23;
like(decide('bob', $r->{id}, 'approve'), qr/^409 .*not kept any more/,
    'a document that is not there any more is not left out silently');
is(decide('ann', $r->{id}, 'withdraw'), '200 withdrawn', 'so it is asked again');
for (24 .. 45) {
    documents($_);
    $r = ask()->{json};
    decide('bob', $r->{id}, 'approve');
}
is(scalar @{ $t->must(GET => "$apis/shop-prod/documents")->{items} },
    20, 'the target keeps as many as any api');
$t->must(POST => "$apis/shop-prod/documents?operations=none", { openapi =>
    '3.1.0', info => { title => 'by hand', version => '1' }, paths => {} });
like(decide('bob', $r->{id}, 'rollback'), qr/^409 .*changed since/,
    'no rollback over another document');
is(ask(target => 'shop')->{status}, 422, 'not onto itself');
$t->apply(docs(rest('acme', 'wide', $up)));
is(ask(target => 'wide')->{status}, 409, 'nor onto an api of all gateways');
is(ask(instead => { platform => \1 })->{status}, 422,
    'what a target may not have of its own');
is(ask(to => 'none')->{status}, 422, 'a group that is not there');
is(as('eve', POST => $all, { api => 'shop', to => 'prod' })->{status}, 403,
    'a viewer does not ask');
is($t->api(POST => $apis, { name => 'clash', kind => 'rest', base_path =>
    '/shop', upstream => { targets => [{ url => $up }] } })->{status}, 201,
    'a third of that path');
is($t->api(POST => "$apis/clash/publish")->{status}, 409,
    'is not served beside them');


# an api that was made is retired by the way back

$r = ask(target => 'second', instead => { base_path => '/second' })->{json};
is(decide('bob', $r->{id}, 'approve'), '200 applied', 'another target');
is(decide('bob', $r->{id}, 'rollback'), '200 rolled_back', 'and back');
is($t->must(GET => "$apis/second")->{state}, 'retired', 'it is retired');
ok((grep { $_->{action} eq 'rollback' && $_->{kind} eq 'promotion' }
    @{ $t->must(GET => '/v1/audit?tenant=acme&limit=50')->{items} }),
    'the audit log has it');


# a gateway has what its group has, on the same path

my ($dev, $prod) = map { $t->origin(undef, name => $_) } qw(dev prod);
$t->apply(docs(plan('acme', 'free'), app('acme', 'app'),
    rest('acme', 'cart', "http://127.0.0.1:$dev", base_path => '/cart',
        gateway_groups => ['dev'])));
$r = ask(api => 'cart', instead => { upstream => { targets =>
    [{ url => "http://127.0.0.1:$prod" }] } })->{json};
is(decide('bob', $r->{id}, 'approve'), '200 applied', 'one for a gateway');
$t->apply(docs(sub_('acme', 'app', 'cart-prod', 'free')));
my $key = $t->key('acme', 'app');
$t->gateway(name => 'gw', group => 'prod');
is($t->get('/cart/x', key => $key)->{status}, 200, 'a call');
is(scalar $t->origin_log('prod'), 1, 'reaches the target\'s upstream');


# what a deletion would meet

$t->must(POST => '/v1/tenants/acme/policies', { name => 'far',
    type => 'ip-filter', config => { deny => ['192.0.2.1'] },
    attach => [{ api => 'shop' }] });
my %met = map { ($_->{kind} => "$_->{effect} $_->{count} $_->{names}[0]") }
    @{ $t->must(GET => "$apis/shop/dependents")->{items} };
like(delete $met{subscription}, qr/^forced 1 \w{16}$/, 'subscriptions');
is_deeply(\%met, { policy => 'refused 1 far', operation => 'deleted 2 get-b' },
    'policies, operations');
is($t->api(DELETE => "$apis/shop")->{status}, 409, 'so it is');
is_deeply($t->must(GET => "$apis/second/dependents")->{items}[0]{kind},
    'operation', 'what nobody uses');
is(as('far', GET => "$apis/shop/dependents")->{status}, 404,
    'not another tenant\'s');
$t->must(DELETE => "$apis/second");
is($t->api(DELETE => '/v1/tenants/acme?force=1')->{status}, 204,
    'a tenant goes with its promotions');


# stoactl

$t->apply(docs(tenant('acme'), rest('acme', 'shop', $up,
    gateway_groups => ['dev'])));
my ($code, $out) = $t->stoactl(qw(promote shop prod --reason why --tenant
    acme));
like($out, qr/^\w{16} +pending +shop +prod +shop-prod/m, 'stoactl promote');
($code, $out) = $t->stoactl(qw(get promotions --tenant acme -o json));
$id = json_decode($out)->[0]{id};
($code, $out) = $t->stoactl(qw(event promotion), $id, qw(withdraw --tenant
    acme));
is($code, 0, 'and its events');
($code, $out) = $t->stoactl(qw(dependents api shop --tenant acme));
is($code, 0, 'dependents');

# docs/catalogue.md, line by line, as who it says

$t->apply(docs(tenant('paged'), rest('paged', 'shop', $up, tags => ['beta'],
    category => 'shop', description => 'Parcels that are tracked.',
    gateway_groups => ['dev'])));
my %is = map { ($_ => $t->must(POST => '/v1/admin-tokens', { name => "$_-too",
    role => 'tenant-admin', tenant => 'paged' })->{token}) } qw(ann bob);
my $file = $t->write_file('openapi.yaml', "openapi: 3.1.0\ninfo: {title: A,"
    . " version: '4'}\npaths:\n  /a: {get: {responses: {200: {description: ok"
    . "}}}}\n");
$t->must(POST => '/v1/tenants/paged/apis/shop/documents', { openapi => '3.1.0',
    info => { title => 'A', version => "$_" }, paths => {} }) for 1 .. 3;
my $page = slurp("$Test::Stoa::ROOT/docs/catalogue.md");
my $promotion;
my $err;
for my $line (map { split /\n/ } $page =~ /^```\n(.*?)^```/msg) {
    $line =~ s/\s+# as (\w+).*// and $t->{token} = $is{$1};
    $line =~ s/\s+#.*//;
    $line =~ s/01m8fv9dmzw88f69/$promotion/;
    my $to = $line =~ s/ > (\S+)$// && $1;
    my @words = map { $_ eq 'openapi.yaml' ? $file : $_ } shellwords($line);
    if (shift @words eq 'curl') {
        ($code, $out, $err) = $t->run_cmd(['sh', '-c', $line], env => {
            TOKEN => $t->{token}, URL => $t->control_url, no_proxy => '*' });
    } else {
        ($code, $out, $err) = $t->stoactl(@words,
            { env => { STOA_TENANT => 'paged' } });
    }
    is($code, 0, "docs/catalogue.md: $line") or diag $err;
    ($promotion) = $out =~ /^(\w{16}) +pending/m if $line =~ / promote /;
    is($out, slurp($file), '... is what was imported') if $to;
    like($out, qr/\bshop\b/, '... finds it') if $line =~ /search|q=/;
}
like($out, qr/^\Q$promotion\E +rolled_back/m, '... and ends as it says');

$t->done;
