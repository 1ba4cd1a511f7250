#!/usr/bin/perl

# What is asked of a body before it is sent on: json-limits and json-schema,
# REST and MCP.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $port = $t->origin(sub { my ($q) = @_;
                            return [200, ['X-Body' => length $q->{body}], 'ok'] });
my $mcp = $t->mcp_origin(name => 'm', tools => {
    one => sub { 'one' }, two => sub { 'two' } });

sub policy { my ($name, $type, $attach, %config) = @_;
             my $state = delete $config{state};
             return doc('Policy', 'acme', $name, { type => $type,
                 $state ? (state => $state) : (),
                 config => \%config, attach => $attach }) }

my $order = { type => 'object', required => [qw(id lines)],
    additionalProperties => JSON::PP::false,
    properties => { id => { type => 'string', pattern => '^[A-Z]{2}[0-9]+$' },
        note => { type => ['string', 'null'], maxLength => 10 },
        lines => { type => 'array', minItems => 1, items => {
            '$ref' => '#/$defs/line' } } },
    '$defs' => { line => { type => 'object', required => ['sku'],
        properties => { sku => { type => 'string' },
            n => { type => 'integer', minimum => 1, maximum => 99 } } } } };

$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    (map { (rest('acme', $_, "http://127.0.0.1:$port", $_ eq 'orders'
                 ? (document => { format => 'json', text => json_encode({
                       openapi => '3.1.0', info => { title => 'O',
                           version => '1' }, paths => {} }) },
                    operations => [{ name => 'create', method => 'POST',
                                     path => '/orders' },
                                   { name => 'list', method => 'GET',
                                     path => '/orders' }]) : ()),
            sub_('acme', 'demo', $_, 'free')) }
     qw(limits orders other tried)),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    sub_('acme', 'demo', 'm', 'free')));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } >= 2 } 20 or $t->give_up('no tools');
$t->gateway(server => "location /p/ { stoa_protect tenant=acme api=limits;"
    . " proxy_pass http://127.0.0.1:$port/; }\n",
    http => 'server { listen 127.0.0.1:' . $t->port('h2')
    . " http2; location / { stoa; } }\n");
my $key = $t->key('acme', 'demo');

$t->apply(docs(
    policy('limits', 'json-limits', [{ api => 'limits' }], max_bytes => 100_000,
           max_depth => 3, max_members => 4, max_items => 5, max_name => 8,
           max_string => 16, max_number => 6),
    policy('other', 'json-limits', [{ api => 'other' }], max_string => 4,
           other_types => JSON::PP::true),
    policy('tried', 'json-limits', [{ api => 'tried' }], state => 'shadow',
           max_string => 4),
    policy('order', 'json-schema', [{ api => 'orders', operation => 'create' }],
           required => JSON::PP::true, schema => $order),
    policy('deep', 'json-limits', [{ api => 'm' }], max_depth => 5),
    policy('args', 'json-schema', [{ api => 'm', tool => 'one' }], schema => {
        type => 'object', required => ['n'], properties => {
            n => { type => 'integer' } } })));
$t->sync;

sub call { my ($path, $body, %o) = @_;
           my $h = delete $o{headers};
           return $t->http($o{method} // 'POST', "/apis/acme/$path", key => $key,
               defined $body ? (body => $body) : (), %o, headers => {
               'Content-Type' => 'application/json', %{ $h // {} } }) }
sub says { my $r = call(@_); return "$r->{status} " . ($r->{json}{code} // '') }

# json-limits

my $r = call('limits/x', '{"a":[1,2,{"b":"x"}]}');
is("$r->{status} $r->{headers}{'x-body'}", '200 21', 'limits: what is within');
is(says('limits/x', undef, method => 'GET'), '200 ', 'and no body at all');
for my $row (['[[[[1]]]]', 'has a value nested deeper than 3'],
             ['{"a":1,"b":1,"c":1,"d":1,"e":1}',
              'has an object with more members than 4'],
             ['[1,2,3,4,5,6]', 'has an array with more items than 5'],
             ['{"abcdefghi":1}', 'has a name with more bytes than 8'],
             ['["' . 'x' x 17 . '"]', 'has a string with more bytes than 16'],
             ['[1234567]', 'has a number with more bytes than 6'],
             ['{"a":1,"a":2}', 'a'], ['{"a":1,"\u0061":2}', 'a'],
             ['[' x 50_000, '64'], ['{"a":1} {}', ''], ['not json', ''],
             ["{\"a\":1}\0", ''], ["\xff", ''])
{
    $r = call('limits/x', $row->[0]);
    is("$r->{status} $r->{json}{code}", '400 json_denied',
       'limits: ' . substr($row->[0], 0, 40));
    like($r->{json}{detail}, qr/\Q$row->[1]/, 'and it says why');
}
is(says('limits/x', '[' . '1,' x 60_000 . '1]'), '413 body_too_large',
   'a long body is not read');
is(call('other/x', '[' . '1,' x 40_000 . '1]')->{headers}{'x-body'}, 80_003,
   'a body that nginx has put into a file is sent on, too');
for my $row (['[[1]]]]', 400, 'a body that comes in pieces'],
             ['', 200, 'the same within'])
{
    my ($rest, $want, $what) = @$row;
    my $c = $t->connection;
    $c->send_raw("POST /apis/acme/limits/x HTTP/1.1\r\nHost: a\r\n"
        . "X-API-Key: $key\r\nTransfer-Encoding: chunked\r\n\r\n"
        . "3\r\n[1,\r\n");
    $t->get('/stoa/metrics') for 1 .. 2;           # it is waited for
    $c->send_raw(sprintf "3\r\n2,[\r\n%x\r\n%s\r\n0\r\n\r\n", length $rest,
                 $rest) if $want == 400;
    $c->send_raw("2\r\n2]\r\n0\r\n\r\n") if $want == 200;
    $r = $c->response(timeout => 5);
    is($r->{status}, $want, $what);
    is($r->{headers}{'x-body'}, 5, 'and all of it is sent on') if $want == 200;
    $c->close;
}
for my $type ('text/plain', 'application/x-www-form-urlencoded', 'text/json-not')
{
    is(says('limits/x', 'a=1', headers => { 'Content-Type' => $type }),
       '400 json_denied', "whatever it says: $type");
    is(says('other/x', '["abcde"]', headers => { 'Content-Type' => $type }),
       '200 ', "other_types: $type passes");
}
for my $type ('application/json', 'Application/JSON;charset=UTF-8',
              'application/merge-patch+json ; x=1')
{
    is(says('other/x', '["abcde"]', headers => { 'Content-Type' => $type }),
       '400 json_denied', "but no JSON: $type");
}
is(says('limits/x', '[1]', headers => { 'Content-Encoding' => 'gzip' }),
   '400 json_denied', 'nor what is encoded');
is(says('limits/x', '[1]', headers => { 'Content-Type' =>
    'application/json; charset=utf-7' }), '400 json_denied',
   'nor what others read in another way');
is(says('tried/x', '["abcde"]'), '200 ', 'a shadow refuses nothing');
is($t->http(POST => '/p/x', key => $key, body => '[[[[1]]]]')->{json}{code},
   'json_denied', 'stoa_protect');
is($t->http(POST => '/p/x', key => $key, body => '[1]')->{headers}{'x-body'}, 3,
   'and what is within');

# HTTP/2, a length that is said and one that is not

my $h2 = 'http://127.0.0.1:' . $t->port('h2') . '/apis/acme/limits/x';
for my $row (['[1]', '200'], ['[[[[1]]]]', '400']) {
    for my $how ('--data-binary @-', '-T -') {
        my (undef, $said) = $t->run_cmd(['sh', '-c', "printf '$row->[0]' | "
            . "curl -s -m 10 -o /dev/null -X POST --http2-prior-knowledge "
            . "-w '%{http_code}' -H 'X-API-Key: $key' $how $h2"]);
        is($said, $row->[1], "HTTP/2: $row->[0] by $how");
    }
}

# json-schema

is(says('orders/orders', '{"id":"AB1","lines":[{"sku":"x","n":2}],"note":null}'),
   '200 ', 'schema: what fits');
for my $row (['{"id":"AB1"}', 'must have the member "lines"'],
             ['{"id":"A1","lines":[{"sku":"x"}]}',
              'id does not match its pattern'],
             ['{"id":"AB1","lines":[]}', 'lines must have 1 items or more'],
             ['{"id":"AB1","lines":[{"sku":"x"},{"sku":"y","n":0}]}',
              'lines[1].n is too small'],
             ['{"id":"AB1","lines":[{"sku":"x","n":1.5}]}',
              'lines[0].n must be integer'],
             ['{"id":"AB1","lines":[{"sku":"x"}],"more":1}',
              'more must not be there'],
             ['[]', 'must be object'], ['', 'The call needs a body'],
             ['{', 'at byte 1'])
{
    $r = call('orders/orders', $row->[0]);
    is("$r->{status} $r->{json}{code}", '400 schema_mismatch',
       "schema: $row->[0]");
    like($r->{json}{detail}, qr/\Q$row->[1]/, 'and it says why');
}
is(says('orders/orders', undef, method => 'GET'), '200 ',
   'another operation has none');
is(says('orders/orders/', '{}'), '400 schema_mismatch',
   'an operation is what servers take for it');

# MCP

sub tool { my ($name, $args) = @_;
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => "m__$name",
        arguments => $args }, key => $key);
    return $r->{rpc}{error}{data}{code} // $r->{rpc}{result}{content}[0]{text} }
is(tool('one', { n => 1 }), 'one', 'MCP: arguments that fit');
is(tool('one', { n => 'x' }), 'schema_mismatch', 'MCP: that do not');
is(tool('one', {}), 'schema_mismatch', 'MCP: none');
is(tool('two', { n => 'x' }), 'two', 'MCP: another tool');
is(tool('two', { n => [[[[1]]]] }), 'json_denied', 'MCP: json-limits');

like($t->get('/stoa/metrics')->{body}, qr/policy_type="json-schema",
     outcome="refused"\}\s[1-9]/x, 'they are counted');

# the examples of docs/policies.md are what may be written

my $page = slurp("$Test::Stoa::ROOT/docs/policies.md");
$t->apply(docs(plan('acme', 'gold'), doc('Secret', 'acme', 'crm-token',
    { value => 'x' }), doc('Secret', 'acme', 'crm-key', { value => 'x' }),
    doc('Secret', 'acme', 'shop-signing', { value => 'x' x 32 }),
    rest('acme', 'crm', "http://127.0.0.1:$port"),
    rest('acme', 'reports', "http://127.0.0.1:$port")));
for my $yaml (grep { /^kind: Policy$/m && !/certificate/ }
              $page =~ /^```yaml\n(.*?)^```$/msg)
{
    my ($type) = $yaml =~ /^  type: (\S+)$/m;
    $r = $t->api(POST => '/v1/apply?dry_run=1', $yaml,
                 headers => { 'Content-Type' => 'application/yaml' });
    is($r->{status}, 200, "docs/policies.md: $type") or diag($r->{body});
}

# what cannot be judged is refused when it is written

for my $row ([{ type => 'text' }, 'config.schema.type'],
             [{ properties => { a => { pattern => '(?<=a)b' } } },
              'config.schema.properties.a.pattern'],
             [{ unevaluatedItems => JSON::PP::false },
              'config.schema.unevaluatedItems'],
             [{ '$ref' => 'https://a.example/x' }, 'config.schema.$ref'])
{
    $r = $t->api(POST => '/v1/apply?dry_run=1', docs(policy('bad',
        'json-schema', [{ api => 'orders' }], schema => $row->[0])),
        headers => { 'Content-Type' => 'application/yaml' });
    is("$r->{status} " . ($r->{json}{errors}[0]{field} // ''),
       "422 spec.$row->[1]", "refused: $row->[1]");
}

$t->done;
