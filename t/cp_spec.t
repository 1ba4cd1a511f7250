#!/usr/bin/perl

# OpenAPI documents of apis: what is taken and what is refused, with its
# place; versions; operations made of them, and what an import leaves alone;
# what a change breaks, in each direction.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('stoactl');
$t->control;
$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'app'),
    tenant('other'), rest('acme', 'shop', 'http://127.0.0.1:1'),
    rest('acme', 'big', 'http://127.0.0.1:1'),
    sub_('acme', 'app', 'shop', 'free')));
my $viewer = $t->must(POST => '/v1/admin-tokens', { name => 'v',
    role => 'viewer', tenant => 'acme' })->{token};
my $other = $t->must(POST => '/v1/admin-tokens', { name => 'o',
    role => 'tenant-admin', tenant => 'other' })->{token};

my $shop = '/v1/tenants/acme/apis/shop';
my %yaml = (headers => { 'Content-Type' => 'application/yaml' });
sub lint { return $t->api(POST => '/v1/specs/lint', @_) }
sub faults { my ($r) = @_;
             return join ' ', map { ($_->{line} // 0) . ":$_->{field}" }
                 @{ $r->{json}{errors} || [] } }
sub rules { my ($r) = @_;
            return join ' ', sort map { $_->{rule} } @{ $r->{json}{findings} } }
sub spec { my (%o) = @_;
           return { openapi => '3.0.3', info => { title => 'T', version => '1' },
                    paths => {}, %o } }


# validity

my $r = lint(<<'END', %yaml);
openapi: 3.0.3
info: {title: Shop}
paths:
  orders: {}
  /a/{x}: {get: {responses: {}}, put: {responses: {}}}
  /a/{y}: {get: {responses: {}}, delete: {responses: {}}}
  /b:
    get:
      operationId: same
      responses:
        200: {description: ok}
        2000: {description: no}
    post:
      operationId: same
      tags: all
      responses: {default: {$ref: '#/components/responses/None'}}
    put:
      responses: {default: {$ref: 'http://169.254.169.254/x.yaml#/a'}}
    patch:
      responses: {default: {$ref: '../../etc/passwd'}}
components:
  responses:
    A: {$ref: '#/components/responses/B'}
    B: {$ref: '#/components/responses/A'}
END
is($r->{status}, 422, 'a document with faults');
is(faults($r), join(' ', qw(2:/info 4:/paths/orders 6:/paths/~1a~1{y}
    12:/paths/~1b/get/responses/2000 14:/paths/~1b/post/operationId
    15:/paths/~1b/post/tags 16:/paths/~1b/post/responses/default/$ref
    18:/paths/~1b/put/responses/default/$ref
    20:/paths/~1b/patch/responses/default/$ref
    23:/components/responses/A/$ref 24:/components/responses/B/$ref)),
    'each with its line and pointer');
like($r->{body}, qr/169\.254\.169\.254.*not in the document/,
    'what is elsewhere is named, not read');
is(lint({ swagger => '2.0' })->{status}, 422, 'Swagger 2.0 is refused');
is(lint({ openapi => '4.0.0' })->{status}, 422, 'and what is to come');
is(lint('[1,', headers => { 'Content-Type' => 'application/json' })->{status},
    400, 'so is no JSON');
my $bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
$bomb .= chr($_ + 1) . ': &' . chr($_ + 1) . ' [' . join(',',
    ('*' . chr $_) x 10) . "]\n" for ord('a') .. ord('i');
is(lint($bomb, %yaml)->{status}, 400, 'aliases that explode are refused');

my $node = { type => 'object', properties => {
    next => { '$ref' => '#/components/schemas/Node' } } };
my $loop = spec(openapi => '3.1.0', components => { schemas => {
    Node => $node, List => { type => 'array', items => {
        '$ref' => '#/components/schemas/Node' } },
    Tree => { '$dynamicAnchor' => 'node', type => 'object', properties => {
        kid => { '$dynamicRef' => '#node' }, at => { '$ref' => '#node' } },
        anyOf => [ { '$ref' => '#/components/schemas/Tree' }, {} ] } } });
is(lint($loop)->{status}, 200, 'schemas that hold themselves are fine');
is(lint("\xef\xbb\xbf" . encode(spec()), headers =>
    { 'Content-Type' => 'application/json' })->{status}, 200,
    'a byte order mark is passed over');

sub encode { return Test::Stoa::json_encode($_[0]) }


# lint

my $dull = spec(servers => [{ url => 'http://x.test' }], paths => {
    '/a/{id}/' => { get => { summary => '<script>alert(1)</script>',
        requestBody => { content => {} }, security => [{ none => [] }],
        responses => { 404 => { description => 'x' } } } } },
    components => { schemas => { Lost => { type => 'array' } } });
$r = lint($dull);
is(rules($r), join(' ', qw(info-contact info-description info-license markup
    operation-body operation-id operation-success path-form path-parameters
    schema-items security-unknown server-tls unused-component)),
    'what a reviewer would say');
is_deeply($r->{json}{counts}, { error => 3, warning => 7, info => 3 },
    'by severity');
my %said = map { (lint($dull)->{body} => 1) } 1 .. 10;
is(scalar keys %said, 1, 'the same each time');


# imports

sub op { my (%o) = @_;
         return { responses => { 200 => { description => 'ok' } }, %o } }
my %paths = ('/orders' => { get => op(operationId => 'listOrders',
                                      summary => "All\nof them"),
                            post => op() },
             '/orders/{id}' => { get => op(operationId => 'getOrder'),
                                 delete => op() });
sub import_ {
    my ($doc, $query, %o) = @_;
    return $t->api(POST => "$shop/documents" . ($query ? "?$query" : ''),
        $doc, %o);
}
sub operations {
    return join ' ', map { "$_->{name}=$_->{method}:$_->{path}" }
        @{ $t->must(GET => "$shop/operations")->{items} };
}
sub revision { return $t->must(POST => '/v1/diff', tenant('acme'),
    %yaml)->{rev} }

$t->must(POST => "$shop/operations", { name => 'mine', method => 'PUT',
    path => '/by-hand' });
my $before = revision();
$r = import_(spec(paths => \%paths), 'dry_run=1');
is($r->{status}, 200, 'a dry run');
is(scalar @{ $r->{json}{imported}{create} }, 4, 'tells what it would make');
ok($r->{json}{findings}, 'and what it thinks of it');
is(operations(), 'mine=PUT:/by-hand', 'and makes nothing');
is(revision(), $before, 'not even a revision');
is(@{ $t->must(GET => "$shop/documents")->{items} }, 0, 'and keeps nothing');

$r = import_(spec(paths => \%paths));
is($r->{status}, 201, 'imported');
is(operations(), 'delete-orders-id=DELETE:/orders/{id}'
    . ' get-order=GET:/orders/{id} list-orders=GET:/orders'
    . ' mine=PUT:/by-hand post-orders=POST:/orders', 'operations are made');
is($t->must(GET => "$shop/operations/list-orders")->{title}, 'All',
    'with a title');

$t->must(POST => '/v1/tenants/acme/policies', { name => 'slow',
    type => 'ip-filter', config => { deny => ['192.0.2.1'] }, attach => [
    { api => 'shop', operation => 'get-order' }] });
$t->must(POST => "$shop/operations/post-orders/disable");
my $dump = $t->api(GET => '/v1/dump?tenant=acme')->{body};
$before = revision();
$r = import_(spec(paths => \%paths));
is("$r->{status} $r->{json}{changed}", '200 ' . 0, 'the same again');
is(revision(), $before, 'makes no revision');
is($t->api(GET => '/v1/dump?tenant=acme')->{body}, $dump,
    'and changes nothing');

my %renamed = %paths;
$renamed{'/orders/{order}'} = delete $renamed{'/orders/{id}'};
$r = import_(spec(info => { title => 'T', version => '2' },
                  paths => \%renamed));
is($r->{status}, 201, 'a parameter with another name');
like(operations(), qr{get-order=GET:/orders/\{order\}},
    'is the same operation');
is($r->{json}{diff}{breaking}, 0, 'which breaks nothing');
is(($t->must(GET => "$shop/operations/post-orders"))->{state}, 'disabled',
    'what was decided stays');

my %less = ('/orders' => $paths{'/orders'});
$r = import_(spec(paths => \%less), 'dry_run=1');
is($r->{json}{imported}{held}[0]{name}, 'get-order',
    'an operation with a policy is told');
like($r->{json}{imported}{held}[0]{why}, qr/slow/, 'by the policy\'s name');
is($r->{json}{diff}{breaking}, 2, 'and that it breaks callers');
$r = import_(spec(paths => \%less));
is("$r->{status} $r->{json}{errors}[0]{field}", '409 get-order',
    'and is not removed');
is(scalar split(/ /, operations()), 5, 'nor is any other');
$r = import_(spec(paths => \%less), 'operations=add');
is($r->{status}, 201, 'unless it stays');
$t->must(DELETE => '/v1/tenants/acme/policies/slow');
is(import_(spec(info => { title => 'T', version => '3' },
                paths => \%less))->{status}, 201, 'without the policy');
is(operations(), 'list-orders=GET:/orders mine=PUT:/by-hand'
    . ' post-orders=POST:/orders', 'it goes; what was made by hand stays');

$r = import_(spec(info => { title => 'T', version => '4' }, paths => {
    '/orders' => $paths{'/orders'}, '/x/{a}...{b}' => { get => op() } }),
    'dry_run=1');
is($r->{json}{imported}{left_out}[0]{operation}, 'GET /x/{}...{}',
    'a path that gateways have no form for is left out and told');
my $text = "openapi: 3.1.0 # kept\ninfo: {title: Y, version: '1'}\npaths: {}\n";
$r = import_($text, 'operations=none', %yaml);
is($r->{status}, 201, 'YAML');
my $got = $t->api(GET => "$shop/documents/latest");
is($got->{body}, $text, 'is given back as it was sent');
is($got->{headers}{'content-type'}, 'application/yaml', 'by its type');
for ($got->{headers}{etag}, "\"x\", W/$got->{headers}{etag}", '*') {
    is($t->api(GET => "$shop/documents/latest", undef, headers =>
        { 'If-None-Match' => $_ })->{status}, 304, "once is enough: $_");
}
is($t->must(GET => "$shop/document-diff?from=1")->{breaking}, 4,
    'two that are kept are compared');
is($t->api(GET => "$shop/documents/99")->{status}, 404, 'no such one');
import_("$text# $_\n", 'operations=none', %yaml) for 1 .. 20;
my $kept = $t->must(GET => "$shop/documents")->{items};
is(@$kept, 20, 'the last 20 are kept');
is($kept->[0]{number}, 25, 'and numbers go on');

is(import_(spec(), '', token => $viewer)->{status}, 403, 'a viewer reads');
is($t->api(GET => "$shop/documents", undef, token => $viewer)->{status}, 200,
    '... them');
is($t->api(GET => "$shop/documents", undef, token => $other)->{status}, 404,
    'another tenant sees none');
is(import_(spec(), 'operations=all')->{status}, 400, 'a bad word');
is(import_({ openapi => '3.0.0', info => { title => 'T', version => 1 } })
    ->{status}, 422, 'faults keep it out');


# size

my %json = (headers => { 'Content-Type' => 'application/json' },
            timeout => 60);
my $head = '{"openapi":"3.0.3","info":{"title":"T","version":"1"';
my $large = $head . ',"description":"' . 'z' x 14_000_000 . '"},"paths":{'
    . join(',', map { qq("/p$_/{id}":{"get":{"operationId":"op$_",)
        . '"responses":{}}}' } 1 .. 1000)
    . '},"components":{"schemas":{' . join(',', map {
        qq("S$_":{"type":"object","description":") . 'y' x 1000
        . qq(","properties":{"next":{"\$ref":"#/components/schemas/S)
        . ($_ % 5000 + 1) . '"}}}' } 1 .. 5000) . '}}}';
$r = $t->api(POST => '/v1/tenants/acme/apis/big/documents', $large, %json);
is($r->{status}, 201, 'a document of ' . int(length($large) / 1048576)
    . ' MiB with 1,000 operations');
is(length $t->api(GET => '/v1/tenants/acme/apis/big/documents/latest')
    ->{body}, length $large, 'comes back whole');
$r = $t->api(POST => '/v1/tenants/acme/apis/big/documents', 'x' x 25_300_000,
    %yaml);
is($r->{status}, 413, 'one of more than 24 MiB is refused');
my $many = spec(paths => { map { ("/p$_" => { get => op() }) } 1 .. 3000 });
$r = $t->api(POST => '/v1/tenants/acme/apis/big/documents', $many);
is("$r->{status} $r->{json}{errors}[0]{field}", '422 /paths',
    'more operations than an api may have');
$r = lint("$head},\"paths\":{"
    . join(',', map { qq("/p$_":{"get":{"responses":{}},)
    . '"put":{"responses":{}}}' } 1 .. 50_001)
    . '}}', %json);
is("$r->{status} " . faults($r), '422 0:/paths', '100,001 are too many');
$r = lint('[' . ('1,' x 11_000_000) . '1]', %json);
is($r->{status}, 413, 'more values than memory is for');


# what breaks; request, response

my $int = { type => 'integer' };
my $str = { type => 'string' };
sub obj { my ($props, %o) = @_;
          return { type => 'object', properties => $props, %o } }
sub verdict {
    my ($way, $version, @two) = @_;
    my @doc = map { my $s = $_;
        my $body = { content => { 'application/json' => { schema => $s } } };
        { openapi => $version, info => { title => 'T', version => '1' },
          components => { schemas => { Moved => obj({ a => $int }),
              Self => obj({ me => { '$ref' => '#/components/schemas/Self' }}),
              A => obj({ a => $int }), B => obj({ b => $str }) } },
          paths => { '/x' => { post => $way eq 'request'
            ? { requestBody => $body, responses => {} }
            : { responses => { 200 => { %$body, description => 'ok' } } } } } }
    } @two;
    my $r = $t->api(POST => '/v1/specs/diff',
        { old => $doc[0], new => $doc[1] });
    return $r->{body} if $r->{status} != 200;
    return $r->{json}{breaking} ? 'breaking' : $r->{json}{may_break}
        ? 'may_break' : $r->{json}{harmless} ? 'harmless' : 'same';
}

my @pairs = (
    ['keys in another order', obj({ a => $int, b => $str }),
     obj({ b => $str, a => $int }), qw(same same)],
    ['text only', obj({ a => $int }), obj({ a => { %$int, description =>
     'x' } }, title => 'T', example => { a => 1 }), qw(same same)],
    ['a schema behind $ref', obj({ a => $int }),
     { '$ref' => '#/components/schemas/Moved' }, qw(same same)],
    ['allOf split', obj({ a => $int, b => $str }, required => ['a']),
     { allOf => [obj({ a => $int }, required => ['a']), obj({ b => $str })] },
     qw(same same)],
    ['oneOf of one', $str, { oneOf => [$str] }, qw(same same)],
    ['null as nullable', $str, { %$str, nullable => \1 },
     qw(harmless breaking), '3.0.3'],
    ['null as a type', $str, { type => ['string', 'null'] },
     qw(harmless breaking)],
    ['null in oneOf', $str, { oneOf => [$str, { type => 'null' }] },
     qw(harmless breaking)],
    ['two spellings of null', { type => ['string', 'null'] },
     { anyOf => [{ type => 'null' }, $str] }, qw(same same)],
    ['null taken away', { type => ['string', 'null'] }, $str,
     qw(breaking harmless)],
    ['a branch more', { oneOf => [$int, $str] },
     { oneOf => [$str, $int, { type => 'boolean' }] },
     qw(harmless breaking)],
    ['a branch less', { anyOf => [$int, $str, obj({})] },
     { anyOf => [obj({}), $int] }, qw(breaking harmless)],
    ['a union at all', $str, { oneOf => [$str, $int] },
     qw(harmless breaking)],
    ['branches behind $ref', { oneOf => [obj({ a => $int }),
     obj({ b => $str })] }, { oneOf => [{ '$ref' => '#/components/schemas/B' },
     { '$ref' => '#/components/schemas/A' }] }, qw(same same)],
    ['a property required', obj({ a => $int }),
     obj({ a => $int }, required => ['a']), qw(breaking harmless)],
    ['a required property', obj({}), obj({ a => $int }, required => ['a']),
     qw(breaking harmless)],
    ['no longer required', obj({ a => $int }, required => ['a']),
     obj({ a => $int }), qw(harmless breaking)],
    ['an optional property', obj({}), obj({ a => $int }),
     qw(harmless harmless)],
    ['a property gone', obj({ a => $int }), obj({}), qw(may_break may_break)],
    ['a promised property gone', obj({ a => $int }, required => ['a']),
     obj({}), qw(may_break breaking)],
    ['one gone that is refused then', obj({ a => $int },
     additionalProperties => \0), obj({}, additionalProperties => \0),
     qw(breaking may_break)],
    ['closed', obj({}), obj({}, additionalProperties => \0),
     qw(breaking harmless)],
    ['an enum grown', { %$str, enum => ['a'] }, { %$str, enum => ['a', 'b'] },
     qw(harmless may_break)],
    ['an enum shrunk', { %$str, enum => ['a', 'b'] },
     { %$str, enum => ['a'] }, qw(breaking harmless)],
    ['an enum of one is const', { %$str, enum => ['a'] },
     { %$str, const => 'a' }, qw(same same)],
    ['a number that was an integer', $int, { type => 'number' },
     qw(harmless breaking)],
    ['another type', $int, $str, qw(breaking breaking)],
    ['a lower maximum', { %$int, maximum => 9 }, { %$int, maximum => 5 },
     qw(breaking harmless)],
    ['no minimum', { %$int, minimum => 1 }, $int, qw(harmless may_break)],
    ['another default', { %$int, default => 1 }, { %$int, default => 2 },
     qw(may_break may_break)],
    ['what has no form', { not => $int }, { not => $str },
     qw(may_break may_break)],
    ['items', { type => 'array', items => $int },
     { type => 'array', items => { type => 'number' } },
     qw(harmless breaking)],
    ['what holds itself', { '$ref' => '#/components/schemas/Self' },
     { '$ref' => '#/components/schemas/Self' }, qw(same same)],
    ['read only in a request', obj({}), obj({ id => { %$int,
     readOnly => \1 } }, required => ['id']), qw(same harmless)],
);
for (@pairs) {
    my ($what, $old, $new, $request, $response, $version) = @$_;
    is(verdict('request', $version // '3.1.0', $old, $new), $request,
        "$what, in a request");
    is(verdict('response', $version // '3.1.0', $old, $new), $response,
        "$what, in a response");
}

sub changed {
    my ($old, $new) = @_;
    my $r = $t->must(POST => '/v1/specs/diff', { map {
        my $o = $_->[1]; ($_->[0] => spec(paths => { '/x/{a}' => $o })) }
        ['old', $old], ['new', $new] });
    return join ' ', map { "$_->{verdict}:$_->{rule}" } @{ $r->{changes} };
}
my $q = { name => 'q', in => 'query', schema => $str };
for (['a parameter more', { get => op() }, { get => op(parameters => [$q]) },
      'harmless:parameter-added'],
     ['a required one', { get => op() }, { get => op(parameters =>
      [{ %$q, required => \1 }]) }, 'breaking:required-parameter-added'],
     ['declared by the path', { get => op(parameters => [$q]) },
      { get => op(), parameters => [$q] }, ''],
     ['an operation less', { get => op(), put => op() }, { get => op() },
      'breaking:operation-removed'],
     ['an operation more', { get => op() }, { get => op(), put => op() },
      'harmless:operation-added'],
     ['a key needed', { get => op() }, { get => op(security =>
      [{ k => [] }]) }, 'breaking:security-added'],
     ['an answer less', { get => op() }, { get => { responses => {} } },
      'breaking:success-removed'],
     ['a body needed', { put => op() }, { put => op(requestBody =>
      { required => \1, content => {} }) }, 'breaking:required-body-added'],
     ['other words', { get => op(summary => 'a') }, { get => op(summary =>
      'b', tags => ['x']) }, '']) {
    is(changed($_->[1], $_->[2]), $_->[3], $_->[0]);
}
$r = $t->must(POST => '/v1/specs/diff', {
    old => spec(paths => { '/o' => { post => op(requestBody => { content =>
        { 'application/json' => { schema => obj({ n => $int }) } } }) } }),
    new => spec(paths => { '/o' => { post => op(requestBody => { content =>
        { 'application/json' => { schema => obj({ n => $str }) } } }) } }) });
is_deeply($r->{changes}, [{ verdict => 'breaking', rule => 'type-changed',
    where => 'request', operation => 'POST /o', before => 'integer',
    after => 'string', pointer => '/paths/~1o/post/requestBody/content/'
    . 'application~1json/schema/properties/n/type' }],
    'a change says where, and both values');



# anything at all in the place of anything

srand(my $seed = $ENV{STOA_TEST_SEED} // time);
my @odd = (undef, \1, 0, -1, 1e300, '', '#', '#/', '#/paths', '#/%', '/', [],
    {}, [[]], { '$ref' => '#' }, { '$ref' => '#/components/schemas/Node' },
    { '$ref' => 1 }, { allOf => [{ '$ref' => '#' }] }, { type => ['null'] },
    { oneOf => [{}, { '$ref' => '#/components/schemas/Tree' }] });
sub places { my ($v) = @_;
    return ref $v eq 'HASH' ? map { my $k = $_; (\$v->{$k}, places($v->{$k})) }
               sort keys %$v
         : ref $v eq 'ARRAY' ? map { (\$v->[$_], places($v->[$_])) } 0 .. $#$v
         : () }
my $base = encode({ %$dull, components => { schemas => { %{
    $loop->{components}{schemas} }, Lost => { type => 'array' } } } });
my %came;
for (1 .. 150) {
    my $doc = json_decode($base);
    for (0 .. rand 4) {
        my @at = places($doc);
        ${ $at[rand @at] } = json_decode(encode([$odd[rand @odd]]))->[0];
    }
    my $status = lint($doc)->{status};
    $came{$status}++;
    next if $status != 200;
    $came{ $t->api(POST => '/v1/specs/diff', { old => $doc,
        new => json_decode($base) })->{status} }++;
}
is(join(' ', grep { !/^(?:200|422)$/ } sort keys %came), '',
    "documents with odd values are judged (seed $seed)");


# stoactl

$t->write_file('a.yaml', "openapi: 3.1.0\ninfo: {title: A, version: '1'}\n"
    . "paths:\n  /a: {get: {responses: {200: {description: ok}}}}\n");
$t->write_file('b.json', encode({ openapi => '3.1.0', info => {
    title => 'A', version => '2' }, paths => {} }));
my @to = ('--tenant', 'acme');
sub ctl { return ($t->stoactl(@_, @to))[0, 1] }
my ($code, $out) = ctl(qw(document import big), $t->dir('a.yaml'),
                       '--dry-run');
like($out, qr{^create get-a \(GET /a\)}m, 'what an import would do');
($code, $out) = ctl(qw(document import big), $t->dir('a.yaml'));
like($out, qr/^new document \d+ of big, yaml, 1 /, 'what it has done');
($code, $out) = ctl(qw(document import big), $t->dir('a.yaml'));
like($out, qr/^unchanged document/, 'nothing, the second time');
($code, $out) = ctl(qw(document get big));
is($out, slurp($t->dir('a.yaml')), 'the document');
ctl(qw(document import big), $t->dir('b.json'));
($code, $out) = ctl(qw(document diff big 2));
is($code, 2, 'what breaks is a difference');
like($out, qr{^breaking +operation-removed +operation +GET /a}m,
    '... that is shown');
($code, $out) = ctl(qw(document list big));
like($out, qr/^3 +2 +json/m, 'the versions');
($code, $out) = ctl(qw(document lint), $t->dir('b.json'));
like($out, qr/^info +info-license/m, 'lint');

$t->done;
