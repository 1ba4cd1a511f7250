#!/usr/bin/perl

# openapi-validation: calls and answers by the document of the api, in both
# versions of OpenAPI; what cannot be judged is told where it is put in force.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Compress::Gzip ();
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $yes = JSON::PP::true;
my @json = ('Content-Type' => 'application/json');
my $good = '{"id": 7, "name": "Rex", "kind": "dog", "tag": null}';
my %answer = (
    good => [200, [@json], $good], bad => [200, [@json], '{"id": "x"}'],
    text => [200, ['Content-Type' => 'text/plain'], 'Rex'],
    csv => [200, ['Content-Type' => 'text/csv'], 'a,b'],
    teapot => [418, [@json], '{}'], fault => [404, [@json], '{"message":"no"}'],
    wrong => [404, [@json], '{}'], none => [204, [], ''],
    broken => [200, [@json], '{"id":'], empty => [200, [@json], ''],
    utf16 => [200, ['Content-Type' => 'application/json; charset=utf-16'],
              $good],
    long => [200, [@json], '{"id":1,"name":"' . 'x' x 9000 . '"}'],
    events => [200, ['Content-Type' => 'text/event-stream'], "data: {}\n\n"],
);
IO::Compress::Gzip::gzip(\$good, \my $packed);
$answer{gzip} = [200, [@json, 'Content-Encoding' => 'gzip'], $packed];

my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q, $c) = @_;
    my ($what) = ($q->{headers}{'x-answer'} // 'good') =~ /^(\w+)$/;
    if ($what eq 'chunks') {
        $c->send_raw("HTTP/1.1 200 x\r\nContent-Type: application/json\r\n"
            . "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            . join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
                   $good =~ /.{1,7}/gs) . "0\r\n\r\n");
        return undef;
    }
    my ($status, $headers, $body) = @{ $answer{$what} };
    return [$status, [@$headers, 'X-Body' => length $q->{body}], $body];
});

# A shop of animals, as 3.0 and as 3.1 say it.

sub document {
    my ($version, %o) = @_;
    my $new = $version =~ /^3\.1/;
    my $null = sub { $new ? { type => [$_[0], 'null'] }
                          : { type => $_[0], nullable => $yes } };
    return { openapi => $version, info => { title => 'Pets', version => '1' },
        paths => {
            '/pets' => {
                parameters => [{ name => 'X-Trace', in => 'header',
                    schema => { type => 'string', maxLength => 8 } }],
                get => { operationId => 'list', parameters => [
                    { name => 'limit', in => 'query', schema => {
                        type => 'integer', minimum => 1, $new
                        ? (exclusiveMaximum => 100)
                        : (maximum => 100, exclusiveMaximum => $yes) } },
                    { name => 'kind', in => 'query', schema => {
                        '$ref' => '#/components/schemas/Kind' } },
                    { name => 'ids', in => 'query', schema => {
                        type => 'array', maxItems => 3,
                        items => { type => 'integer' } } },
                    { name => 'tags', in => 'query', explode => JSON::PP::false,
                      schema => { type => 'array', uniqueItems => $yes,
                        items => { type => 'string', minLength => 1 } } },
                    { name => 'near', in => 'query', content => {
                        'application/json' => { schema => { type => 'object',
                            required => ['lat'] } } } },
                    { name => 'session', in => 'cookie', schema => {
                        type => 'string', pattern => '^[a-f0-9]{4}$' } },
                    { name => 'any', in => 'query', schema => { $new
                        ? ('$ref' => '#/components/schemas/Any') : (),
                        type => 'array', items => { type => 'integer' } } },
                    { name => 'X-Ids', in => 'header', schema => {
                        type => 'array', items => { type => 'integer' } } },
                    { name => 'Accept', in => 'header', schema => {
                        type => 'integer' } },
                    @{ $o{more} || [] } ],
                    responses => { 200 => { description => 'ok', content => {
                        'application/json' => { schema => {} } } } } },
                post => { operationId => 'add',
                    requestBody => { required => $yes, content => {
                        'application/json; charset=utf-8' => { schema => {
                            '$ref' => '#/components/schemas/Pet' } },
                        'text/*' => { schema => { type => 'string' } } } },
                    responses => {
                        200 => { '$ref' => '#/components/responses/Pet' },
                        '4XX' => { description => 'no', content => {
                            'application/json' => { schema => { type =>
                                'object', required => ['message'] } } } },
                        204 => { description => 'none' } } },
            },
            '/pets/{id}' => {
                parameters => [{ '$ref' => '#/components/parameters/Id' }],
                get => { operationId => 'get', responses => { default => {
                    '$ref' => '#/components/responses/Pet' } } },
                delete => { operationId => 'drop', responses => {
                    204 => { description => 'gone' } } } },
            '/known' => { post => { operationId => 'known', requestBody => {
                content => { 'application/json' => { schema => { allOf => [
                    { '$ref' => '#/components/schemas/Base' },
                    { type => 'object', required => [qw(id tag)] },
                    { properties => { id => {} } }] } } } }, responses => {
                        default => { description => 'any' } } } },
            '/pets/mine' => { get => { operationId => 'mine', responses => {
                200 => { description => 'ok' } } } },
        },
        components => {
            securitySchemes => { key => { type => 'apiKey', in => 'query',
                                          name => 'api_key' } },
            parameters => { Id => { name => 'id', in => 'path', required => $yes,
                schema => { type => 'integer', minimum => 1 } } },
            responses => { Pet => { description => 'a pet', content => {
                'application/json' => { schema => {
                    '$ref' => '#/components/schemas/Pet' } },
                'text/plain' => {} } } },
            schemas => {
                Any => {},
                Kind => { type => 'string', enum => [qw(dog cat)] },
                Base => { type => 'object', required => [qw(id name)],
                    properties => { id => { type => 'integer',
                                            readOnly => $yes },
                                    secret => { type => 'string',
                                                writeOnly => $yes } } },
                Pet => { allOf => [{ '$ref' => '#/components/schemas/Base' },
                    { type => 'object', properties => {
                        name => { type => 'string', maxLength => 20 },
                        tag => $null->('string'),
                        kind => { '$ref' => '#/components/schemas/Kind' },
                        mother => $new
                            ? { anyOf => [{ type => 'null' }, { '$ref' =>
                                '#/components/schemas/Pet' }] }
                            : { nullable => $yes, allOf => [{ '$ref' =>
                                '#/components/schemas/Pet' }] } } }] },
            } } };
}

my @apis = qw(old new report mixed strict loose part bare refused late);
sub policy { my ($name, %o) = @_;
             return doc('Policy', 'acme', $name, { type => 'openapi-validation',
                 attach => [{ api => $o{api} // $name,
                              $o{operation} ? (operation => $o{operation})
                                            : () }],
                 config => $o{config} // {}, $o{state} ? (state => $o{state})
                                                       : () }) }
sub import_ { my ($api, $doc) = @_;
              my $r = $t->api(POST => "/v1/tenants/acme/apis/$api/documents",
                              $doc);
              return $r }

$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    map { (rest('acme', $_, $to), sub_('acme', 'demo', $_, 'free')) } @apis));
is(import_($_, document($_ eq 'new' ? '3.1.0' : '3.0.3'))->{status}, 201,
   "$_: the document is taken") for grep { $_ ne 'bare' && $_ ne 'refused'
                                           && $_ ne 'late' } @apis;
$t->gateway;
my $key = $t->key('acme', 'demo');

# Schemas that hold themselves in each of their parts

my $self = { openapi => '3.1.0', info => { title => 'x', version => '1' },
    paths => { '/a' => { get => { parameters => [{ name => 'q', in => 'query',
        schema => { '$ref' => '#S' } }], responses => { 200 => {
            description => 'x' } } } } },
    components => { schemas => { S => { '$anchor' => 'S',
        anyOf => [map { { '$ref' => '#S' } } 1 .. 10] } } } };
is(import_('late', $self)->{status}, 201, 'a document that unfolds for ever');

# Where it is put in force

sub refused { my $r = $t->api(POST => '/v1/apply', $_[0], headers => {
                  'Content-Type' => 'application/yaml' });
              return "$r->{status} " . ($r->{json}{detail} // '') . ' '
                  . join ' ', map { $_->{message} }
                    @{ $r->{json}{errors} || [] } }
like(refused(policy('bare')), qr/^422 .*needs an OpenAPI document of the api "bare"/,
     'an api without a document has nothing to be judged by');
is(import_('refused', document('3.0.3', more => [
    { name => 'filter', in => 'query', style => 'deepObject', schema => {
        type => 'object' } },
    { name => 'p', in => 'query', schema => { type => 'string',
        pattern => '^(?=x)y' } }]))->{status}, 201,
   'a document with what gateways cannot judge is taken');
my $said = refused(policy('refused'));
like($said, qr{^422 .*/paths/~1pets/get/parameters/\d+ has a style}s,
     'but not put in force, and the place is told');
like($said, qr/and more/, 'the first of them');
is($t->apply(policy('refused', config => { skip_unsupported => $yes,
                                           strict_query => $yes }))->{status}
   // 200, 200, 'unless it is left out');

is(import_('bare', document('3.1.0', more => [{ name => 'f', in => 'query',
    content => { 'application/json' => { schema => {
        additionalProperties => JSON::PP::false, patternProperties => {
            '^n' => { type => 'integer' }, '^(?=x)y' => {} } } } } }]))
    ->{status}, 201, 'names of properties by patterns, too');
like(refused(policy('bare')), qr{^422 .*/patternProperties/\^\(\?=x\)y is a pattern},
     'are not put in force');
is($t->apply(policy('bare', config => { skip_unsupported => $yes }))->{status}
   // 200, 200, 'unless they are left out');

$t->apply(docs(
    (map { policy($_, config => { answers => 'enforce', max_bytes => 8000 }) }
     qw(old new)),
    policy('report', config => { requests => 'report', answers => 'report' }),
    policy('mixed', config => { requests => 'off', answers => 'enforce',
                                unreadable => $yes }),
    policy('strict', config => { strict_query => $yes }),
    policy('loose', config => { other_operations => $yes }),
    policy('part', operation => 'add')));
$t->sync;

sub call { my ($path, %o) = @_;
           my $h = delete $o{headers};
           return $t->http($o{method} // (defined $o{body} ? 'POST' : 'GET'),
               "/apis/acme/$path", key => $key, %o, headers => {
                   defined $o{body} ? (@json) : (), %{ $h // {} } }) }
sub says { my $r = call(@_);
           return "$r->{status} " . ($r->{json}{code} // '') }

# Parameters, in both versions

for my $api (qw(old new)) {
    for my $row (
        ['pets', '200 '], ['pets?limit=1', '200 '], ['pets?limit=99', '200 '],
        ['pets?limit=100', '400 request_mismatch'], ['pets?limit=0', 'no'],
        ['pets?limit=x', 'no'], ['pets?limit=1.5', 'no'],
        ['pets?limit=1&limit=2', 'no'], ['pets?limit=', 'no'],
        ['pets?limit', 'no'], ['pets?l%69mit=x', 'no'], ['pets?other=1', '200 '],
        ['pets?kind=dog', '200 '], ['pets?kind=cow', 'no'],
        ['pets?ids=1&ids=2', '200 '], ['pets?ids=1&ids=x', 'no'],
        ['pets?ids=1&ids=2&ids=3&ids=4', 'no'], ['pets?ids=1,2', 'no'],
        ['pets?tags=a,b', '200 '], ['pets?tags=a,a', 'no'],
        ['pets?tags=a,', 'no'], ['pets?tags=1,2', '200 '],
        ['pets?near=%7B%22lat%22:1%7D', '200 '], ['pets?near=%7B%7D', 'no'],
        ['pets?any=1&any=2', '200 '], ['pets?any=1&any=x', 'no'],
        ['pets?near=x', 'no'], ['pets?kind=%ff', 'no'],
        ['pets?kind=%20dog', 'no'], ['pets?limit=%091', 'no'],
        ['pets/%207', 'no'],
        ['pets/7', '200 '], ['pets/0', 'no'], ['pets/x', 'no'],
        ['pets/mine', '200 '], ['pets/7/more', '404 operation_unknown'],
        ['dogs', '404 operation_unknown'])
    {
        my ($path, $want) = @$row;
        $want = '400 request_mismatch' if $want eq 'no';
        is(says("$api/$path"), $want, "$api: $path");
    }
    for my $row (['X-Trace' => 'abc', 1], ['x-trace' => 'abcdefghi'],
                 [Cookie => 'a=b; session=0aff', 1], [Cookie => 'session=zz'],
                 ['X-Ids' => '1, 2', 1], ['X-Ids' => '1, x'],
                 [Accept => '*/*', 1])
    {
        is(says("$api/pets", headers => { $row->[0] => $row->[1] }), $row->[2]
           ? '200 ' : '400 request_mismatch', "$api: $row->[0]: $row->[1]");
    }
    is(says("$api/pets", method => 'HEAD'), '200 ', "$api: HEAD is a GET");
    is(says("$api/pets", method => 'PUT'), '404 operation_unknown',
       "$api: another method");
}
my $r = call('old/pets?limit=100');
like($r->{json}{detail}, qr/^The parameter "limit" of the query: is too large/,
     'the parameter and what is wrong are told');
unlike($r->{json}{detail}, qr/100.*100/, 'and not what it was');
like(call('old/pets?ids=1&ids=secret')->{json}{detail}, qr/"ids".*\[1\]/,
     'also which item it is');

# Bodies

for my $api (qw(old new)) {
    for my $row (
        ['{"name":"Rex"}', '200 '], ['{"name":"Rex","tag":null}', '200 '],
        ['{"name":"Rex","mother":{"name":"A","mother":null}}', '200 '],
        ['{"name":"Rex","mother":{"tag":"x"}}', 'no'],
        ['{"name":"Rex","kind":null}', 'no'], ['{}', 'no'], ['null', 'no'],
        ['{"name":7}', 'no'], ['{"name":"a","name":"b"}', 'no'], ['x', 'no'],
        ['[' x 70, 'no'], ["{\"name\":\"\xff\"}", 'no'],
        ["\xff\xfe{\0}\0", 'no'],
        ['{"name":"' . 'x' x 9000 . '"}', '413 body_too_large'])
    {
        my ($body, $want) = @$row;
        is(says("$api/pets", body => $body),
           $want eq 'no' ? '400 request_mismatch' : $want,
           "$api: " . substr $body, 0, 50);
    }
    is(says("$api/pets", method => 'POST'), '400 request_mismatch',
       "$api: no body");
    for my $row (['{"name":"R","tag":1}', '200 '], ['{"name":"R"}', 'no'],
                 ['{"tag":1}', 'no'])
    {
        is(says("$api/known", body => $row->[0]), $row->[1] eq 'no'
           ? '400 request_mismatch' : $row->[1], "$api: of parts: $row->[0]");
    }
    is(says("$api/pets/7", method => 'DELETE', body => '{}'),
       '400 request_mismatch', "$api: a body where none is taken");
    for my $row (['Application/JSON;charset=UTF-8', '400 request_mismatch'],
                 ['application/json; charset=utf-16', '400 request_mismatch'],
                 ['application/problem+json', '415 media_type_unknown'],
                 ['application/xml', '415 media_type_unknown'],
                 ['', '415 media_type_unknown'], ['text/json', '400 request_mismatch'],
                 ['text/plain', '200 '])
    {
        is(says("$api/pets", body => '{}', headers => {
            'Content-Type' => $row->[0] }), $row->[1],
           "$api: a body of the type '$row->[0]'");
    }
    is(says("$api/pets", body => '{"name":"Rex"}', headers => {
        'Content-Encoding' => 'gzip' }), '400 request_mismatch',
       "$api: what is packed cannot be judged");
}
is(call('old/pets', body => '{ "name" : "Rex" }')->{headers}{'x-body'}, 18,
   'what is sent on is what came');
like(call('old/pets', body => '{"name":7}')->{json}{detail},
     qr/^The body: name must be/, 'the place in the body is told');
is(says('part/pets?limit=x'), '200 ', 'a policy of one operation');
is(says('part/pets', body => '{}'), '400 request_mismatch', 'is for that one');

# Answers

for my $api (qw(old new)) {
    for my $row ([good => '200 '], [chunks => '200 '], [text => '200 '],
                 [bad => 'no'], [csv => 'no'], [teapot => '418 '],
                 [broken => 'no'], [empty => 'no'], [utf16 => 'no'],
                 [gzip => 'no'], [long => 'no'], [events => 'no'])
    {
        my ($what, $want) = @$row;
        $want = 'no' if $what eq 'teapot';             # default: a pet
        is(says("$api/pets/7", headers => { 'X-Answer' => $what }),
           $want eq 'no' ? '502 response_mismatch' : $want,
           "$api: the answer '$what'");
    }
    for my $row ([fault => '404 '], [wrong => 'no'], [none => '204 '],
                 [teapot => 'no'])
    {
        is(says("$api/pets", body => '{"name":"R"}', headers => {
            'X-Answer' => $row->[0] }), $row->[1] eq 'no'
           ? '502 response_mismatch' : $row->[1],
           "$api: by its status: $row->[0]");
    }
    is(says("$api/pets/7", method => 'HEAD'), '200 ', "$api: HEAD has no body");
    is(says("$api/pets/7", method => 'HEAD', headers => {
        'X-Answer' => 'csv' }), '502 ', "$api: but a type");
    is(says("$api/pets/mine", headers => { 'X-Answer' => 'csv' }), '200 ',
       "$api: of a status nothing is said but that it may be");
    is(says("$api/pets/mine", headers => { 'X-Answer' => 'teapot' }),
       '502 response_mismatch', "$api: others may not");
}
$r = call('old/pets/7', headers => { 'X-Answer' => 'bad' });
unlike($r->{body}, qr/"x"/, 'nothing of a refused answer is shown');
is($r->{headers}{'x-body'}, undef, 'nor of its head');

# report, one direction, strict

sub counted { my ($policy, $outcome) = @_;
              my ($n) = grep { defined } map {
                  /^stoa_policy_total\{policy_type="openapi-validation",outcome="$outcome"\} (\d+)/
                  ? $1 : undef } split /\n/, $t->get('/stoa/metrics')->{body};
              return $n // 0 }
my $before = counted('', 'shadow_refused');
is(says('report/pets?limit=x'), '200 ', 'report: a call passes');
is(says('report/dogs'), '200 ', 'also one that nobody knows');
is(says('report/pets', body => '{}', headers => {
    'Content-Type' => 'application/xml' }), '200 ', 'and any body');
for my $what (qw(bad csv broken gzip events text)) {
    is(says('report/pets/7', headers => { 'X-Answer' => $what }), '200 ',
       "report: the answer '$what' passes");
}
is(call('report/pets/7', headers => { 'X-Answer' => 'long' })->{body},
   $answer{long}[2], 'unchanged');
ok((wait_until { counted('', 'shadow_refused') == $before + 9 } 5),
   'all of that is counted') or diag(counted('', 'shadow_refused') - $before);
is(says('mixed/pets?limit=x'), '200 ', 'off: calls are not judged');
is(says('mixed/pets/7', headers => { 'X-Answer' => 'bad' }),
   '502 response_mismatch', 'answers are');
is(says('mixed/pets/7', headers => { 'X-Answer' => 'gzip' }), '200 ',
   'unreadable: what is packed passes');
for my $row (['limit=1', 1], ['limit=1&x=1'], ['api_key=1', 1], ['x'],
             ['%6cimit=1', 1])
{
    is(says("strict/pets?$row->[0]"), $row->[1] ? '200 '
       : '400 request_mismatch', "strict_query: $row->[0]");
}
is(says('refused/pets?filter[a]=1&p=z'), '200 ',
   'what is not judged is known by its name');
for my $row (['n%22:1', '200 '], ['n%22:%22x%22', '400 request_mismatch'],
             ['xy%22:1', '200 '])
{
    is(says("bare/pets?f=%7B%22$row->[0]%7D"), $row->[1],
       "the others are judged, and what they say of none is not: $row->[0]");
}
is(says('loose/dogs?x=1'), '200 ', 'other_operations pass');
is(says('loose/pets?limit=x'), '400 request_mismatch', 'those that are known '
   . 'are judged');

# Another document

my $other = document('3.0.3');
$other->{paths}{'/pets'}{get}{parameters}[0]{schema}{maximum} = 500;
is(import_('old', $other)->{status}, 201, 'another document');
$t->sync;
is(says('old/pets?limit=499'), '200 ', 'is in force when gateways have it');
$r = $t->api(POST => '/v1/tenants/acme/apis/old/documents',
    document('3.0.3', more => [{ name => 'f', in => 'query',
        style => 'deepObject', schema => { type => 'object' } }]));
is($r->{status}, 422, 'one that the policy cannot judge is refused');
like($r->{json}{detail}, qr/deepObject/, 'and it says why');
is(says('old/pets?limit=499'), '200 ', 'the last one stays');

# A document and its policy in one apply, large

my %many = map { my $n = $_; ("T$n" => { type => 'object', required => ['a'],
    properties => { a => { type => 'string' }, map { ("p$_" => {
        '$ref' => '#/components/schemas/T' . ($n * 7 + $_) % 1000 }) } 1 .. 6 }
    }) } 0 .. 999;
my $large = { openapi => '3.1.0', info => { title => 'L', version => '1' },
    paths => { map { ("/t$_" => { post => { operationId => "op-$_",
        requestBody => { content => { 'application/json' => { schema => {
            '$ref' => "#/components/schemas/T$_" } } } },
        responses => { 200 => { description => 'ok' } } } }) } 0 .. 999 },
    components => { schemas => \%many } };
$t->apply(docs(rest('acme', 'late', $to, document => { format => 'json',
    text => json_encode($large) }), policy('late')));
$t->sync;
is(says('late/t999', body => '{"a":"x","p1":{"a":"x","p2":{"a":"y"}}}'),
   '200 ', 'a thousand operations and schemas, in circles');
is(says('late/t999', body => '{"a":"x","p1":{"a":"x","p2":{"a":1}}}'),
   '400 request_mismatch', 'all of them are judged');
like(call('late/t999', body => '{"a":"x","p1":{"a":"x","p2":{"a":1}}}')
     ->{json}{detail}, qr/p1\.p2\.a/, 'with the place');

$t->done;
