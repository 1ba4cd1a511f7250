#!/usr/bin/perl

# Bad input: a problem+json that names the place, nothing changed, no crash,
# no secret in a log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new;
$t->control;
$t->must(POST => '/v1/tenants', { name => 'acme' });
$t->must(POST => '/v1/tenants/acme/applications', { name => 'app' });

$t->must(POST => '/v1/tenants/acme/apis', { name => 'm', kind => 'mcp',
    upstream => { targets => [{ url => 'http://127.0.0.1:1' }] } });

my $apis = '/v1/tenants/acme/apis';
my $up = '"upstream":{"targets":[{"url":"http://a.test"}]}';

sub raw {
    my ($method, $path, $body, $type) = @_;
    return $t->api($method, $path, $body,
        headers => { 'Content-Type' => $type // 'application/json' });
}

# name, body, status, field, message

my @bad = (
    ['unknown field', qq({"name":"a","kind":"rest",$up,"colour":1}), 422,
     'colour', qr/not known/],
    ['a read-only field', qq({"name":"a","kind":"rest",$up,"id":"x"}), 422,
     'id', qr/read-only/],
    ['a secret column', '{"env":"live","key_digest":"00"}', 422,
     'key_digest', qr/not known/, '/v1/tenants/acme/applications/app/credentials'],
    ['required', qq({"kind":"rest",$up}), 422, 'name', qr/required/],
    ['null for required', qq({"name":null,"kind":"rest",$up}), 422, 'name',
     qr/required/],
    ['wrong type', qq({"name":1,"kind":"rest",$up}), 422, 'name',
     qr/must be a string/],
    ['wrong type inside',
     '{"name":"a","kind":"rest","upstream":{"targets":{}}}', 422,
     'upstream.targets', qr/must be a list/],
    ['wrong type of an item',
     '{"name":"a","kind":"rest","upstream":{"targets":[1]}}', 422,
     'upstream.targets[0]', qr/must be an object/],
    ['a number that is no integer',
     qq({"name":"a","kind":"rest",$up,"max_body_bytes":1.5}), 422,
     'max_body_bytes', qr/integer/],
    ['a number as text',
     qq({"name":"a","kind":"rest",$up,"max_body_bytes":"1"}), 422,
     'max_body_bytes', qr/integer/],
    ['out of bounds', qq({"name":"a","kind":"rest",$up,"max_body_bytes":0}),
     422, 'max_body_bytes', qr/1\.\.1073741824/],
    ['an integer beyond 64 bits',
     qq({"name":"a","kind":"rest",$up,"max_body_bytes":99999999999999999999}),
     422, 'max_body_bytes', qr/integer/],
    ['not one of', qq({"name":"a","kind":"soap",$up}), 422, 'kind',
     qr/rest, mcp/],
    ['too long', qq({"name":"a","kind":"rest",$up,"title":") . 'x' x 201
     . '"}', 422, 'title', qr/200/],
    ['a control character',
     qq({"name":"a","kind":"rest",$up,"title":"a\\u0007b"}), 422, 'title',
     qr/control/],
    (map { ['a character that is not seen or turns the text',
     qq({"name":"a","kind":"rest",$up,"title":"a${_}b"}), 422, 'title',
     qr/nobody sees, or that turns/] } map { sprintf '\\u%04x', $_ }
     0x85, 0x200b, 0x202e, 0x2028, 0x2060, 0x2066, 0xfeff),
    ['no targets', '{"name":"a","kind":"rest","upstream":{"targets":[]}}',
     422, 'upstream.targets', qr/1\.\.32/],
    ['too many targets', '{"name":"a","kind":"rest","upstream":{"targets":['
     . join(',', map { "{\"url\":\"http://h$_.test\"}" } 1 .. 33) . ']}}',
     422, 'upstream.targets', qr/1\.\.32/],
    ['the same twice',
     qq({"name":"a","kind":"rest",$up,"ip_allow":["::1","::1"]}), 422,
     'ip_allow[1]', qr/twice/],
    ['no address', qq({"name":"a","kind":"rest",$up,"ip_deny":["10.0.0.0/33"]}),
     422, 'ip_deny[0]', qr/address/],
    ['no host', qq({"name":"a","kind":"rest",$up,"host":"a b"}), 422, 'host',
     qr/host/],
    ['no time', qq({"name":"a","kind":"rest",$up,"sunset_at":"tomorrow"}),
     422, 'sunset_at', qr/RFC 3339/],
    ['no such reference',
     qq({"name":"a","kind":"rest",$up,"gateway_groups":["nowhere"]}), 422,
     'gateway_groups[0]', qr/no gateway_group "nowhere"/],
    (map { my ($what, $member, $field, $message) = @$_;
           [$what, qq({"name":"a","issuer":"https://i.test",$member}), 422,
            $field, $message, '/v1/tenants/acme/issuers'] }
        ['an empty text in a list', '"audiences":[""]', 'audiences[0]',
         qr/empty/],
        ['a required list without an item',
         '"scopes":[{"scope":"a","covers":[]}]', 'scopes[0].covers',
         qr/1\.\.200/]),
    (map { my ($what, $list, $member, $long) = @$_;
           ["$list.$member: bytes, where gateways count them",
            qq({"name":"a","$list":[{"api":"m",$what"$member":")
            . "\xc3\xa9" x $long . '"}]}', 422, "$list\[0].$member",
            qr/bytes/, '/v1/tenants/acme/servers'] }
        ['', 'prompts', 'prompt', 65], ['"prompt":"p",', 'prompts', 'alias',
        65], ['', 'resources', 'uri', 513]),
    ['not an object', '[1]', 422, '', qr/object/],
    ['a spec that is too large', qq({"name":"a","kind":"rest",$up,"spec":{"x":")
     . 'y' x 1048577 . '"}}', 422, 'spec', qr/larger/],
    (map { ["base path $_",
            qq({"name":"a","kind":"rest",$up,"base_path":"$_"}), 422,
            'base_path', qr/must be/] }
        'a', '/a/', '//', '/a/../b', '/%41', '/1/2/3/4/5/6/7/8/9'),
    (map { ["url $_",
            qq({"name":"a","kind":"rest","upstream":{"targets":[{"url":"$_"}]}}),
            422, 'upstream.targets[0].url', qr/./] }
        'ftp://a', 'http://', 'http://a:0', 'http://a:70000', 'http://u@a',
        'http://a?x=1', 'http://a#x', 'http://a/../b', 'http://a/..', 'http://a/b/.',
        'http://a/%2e%2E', 'http://a/.%2e/b', 'http://a b', 'http://-a', 'http://[::1', 'http://a..b'),
    (map { ["name $_", qq({"name":"$_","kind":"rest",$up}), 422, 'name',
            qr/must be/] } '', 'A', '-a', 'a-', 'a_b', 'a' x 64),
);

for (@bad) {
    my ($what, $body, $status, $field, $message, $path) = @$_;
    my $r = raw(POST => $path // $apis, $body);

    is($r->{status}, $status, $what);
    is($r->{headers}{'content-type'}, 'application/problem+json',
        "$what: problem+json");
    my ($e) = grep { $_->{field} eq $field } @{ $r->{json}{errors} };
    ok($e, "$what: names $field") or diag($r->{body});
    like($e->{message} // '', $message, "$what: says so");
}

# documents that are none

for (['broken JSON', '{"name":', 422], ['trailing data', '{} {}', 422],
    ['duplicate key', qq({"name":"a","name":"b","kind":"rest",$up}), 422],
    ['bad UTF-8', qq({"name":"a","kind":"rest",$up,"title":"\xff"}), 422],
    ['a lone surrogate',
     qq({"name":"a","kind":"rest",$up,"title":"\\ud800"}), 422],
    ['deep nesting', '{"spec":' . '{"a":' x 100 . '1' . '}' x 101, 422],
    ['NUL', qq({"name":"a","kind":"rest",$up,"title":"a\\u0000b"})],
    ['NaN', '{"name":NaN}', 422], ['no body', '', 400])
{
    my $r = raw(POST => $apis, $_->[1]);
    like($r->{status}, qr/^(?:400|422)$/, $_->[0]);
    is($r->{headers}{'content-type'}, 'application/problem+json',
        "$_->[0]: problem+json");
}

# texts that are echoed are cut, never within a character

for my $n (60 .. 70, 120 .. 130) {
    my $long = 'x' x $n . "\xc3\xa9" x 40;
    for (raw(POST => $apis, qq({"$long":1})),
        raw(GET => '/v1/tenants/' . $long =~ s/([^x])/sprintf '%%%02x',
            ord $1/ger),
        raw(GET => "$apis?kind=" . $long =~ s/([^x])/sprintf '%%%02x',
            ord $1/ger))
    {
        like($_->{status}, qr/^4/, "$n: refused");
        ok($_->{json} && utf8::decode(my $copy = $_->{body}),
            "$n: with UTF-8");
    }
}

my $r = raw(POST => $apis, qq({\n"name":"a",\n"kind":"rest",\n$up,\n"zz":1}));
is($r->{json}{errors}[0]{line}, 5, 'the line');

is(raw(POST => $apis, 'name=a', 'application/x-www-form-urlencoded')
    ->{status}, 415, 'content type');
is(raw(POST => $apis, '{}', 'text/plain')->{status}, 415, 'content type');
is($t->api(POST => $apis, '{}')->{status}, 415, 'no content type');
is(raw(POST => $apis, '{"a":"' . 'x' x (8 << 20) . '"}')->{status}, 413,
    'body too large');
is($t->api(BREW => $apis)->{status}, 405, 'method');
is($t->api(DELETE => $apis)->{status}, 405, 'method of a collection');
is($t->api(GET => '/v1/tenants/nobody/apis')->{status}, 404,
    'unknown tenant');
is($t->api(GET => '/v2')->{status}, 404, 'unknown path');

# YAML

is(raw(POST => $apis, "name: yaml\nkind: rest\nupstream:\n  targets:\n"
    . "  - url: http://a.test\n", 'application/yaml')->{status}, 201,
    'YAML is taken');
my $bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
$bomb .= "$_->[0]: &$_->[0] [" . join(',', ("*$_->[1]") x 10) . "]\n"
    for ['b', 'a'], ['c', 'b'], ['d', 'c'], ['e', 'd'], ['f', 'e'],
        ['g', 'f'];
like(raw(POST => $apis, $bomb, 'application/yaml')->{status},
    qr/^(?:400|413|422)$/, 'an alias bomb');
like(raw(POST => $apis, "name: a\nname: b\n", 'application/yaml')->{status},
    qr/^(?:400|422)$/, 'a duplicate YAML key');
like(raw(POST => $apis, "name: \xff\n", 'application/yaml')->{status},
    qr/^(?:400|422)$/, 'bad UTF-8 in YAML');

# patches

for (['null for a required member', '{"upstream":null}'],
    ['an immutable member', '{"kind":"mcp"}'],
    ['not an object', '[]'], ['unknown inside', '{"upstream":{"x":1}}'])
{
    is(raw(PATCH => "$apis/yaml", $_->[1])->{status}, 422,
        "patch: $_->[0]");
}
for (['titel', '{"titel":null}'],
     ['upstream.retrys', '{"upstream":{"retrys":null}}'])
{
    my $r = raw(PATCH => "$apis/yaml", $_->[1]);
    is("$r->{status} $r->{json}{errors}[0]{field}", "422 $_->[0]",
       "patch: what is taken away is known: $_->[0]");
}
is(raw(PATCH => "$apis/yaml", '{"description":"a\\r\\nb"}')->{json}{description},
   "a\nb", 'patch: lines end with CR LF in forms of the web');
is(raw(PATCH => "$apis/yaml", '{"description":"a\\rb"}')->{status}, 422,
   'patch: no other control characters');
is(raw(PATCH => "$apis/yaml", '{"upstream":{"retries":3}}')
    ->{json}{upstream}{targets}[0]{url}, 'http://a.test',
    'patch: objects are merged');

# events

is(raw(POST => "$apis/yaml/publish", '{"now":true}')->{status}, 422,
    'an unknown member of an event');
is(raw(POST => "$apis/yaml/explode", '{}')->{status}, 404,
    'an unknown event');

# nothing was made of all that

is_deeply([map { $_->{name} } @{ $t->must(GET => $apis)->{items} }],
    ['m', 'yaml'], 'nothing else was made');

# secrets

my $key = $t->key('acme', 'app');
$t->api(GET => '/v1/whoami', undef, token => $key);
$t->api(GET => '/v1/whoami', undef, token => "$t->{token}x");
my $log = slurp($t->dir('control.out'));
unlike($log, qr/\Q$key\E/, 'no key in the log');
unlike($log, qr/\Q$t->{token}\E/, 'no token in the log');
unlike($log, qr/ error /, 'no error in the log');

$t->done;
