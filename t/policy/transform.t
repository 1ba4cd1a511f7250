#!/usr/bin/perl

# transform: other requests and answers by lists of members and templates;
# what comes out is escaped for its place, and bounded.  What is taken out of
# answers is in t/policy/answer.t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Compress::Gzip ();
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my @json = ('Content-Type' => 'application/json');
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q) = @_;
    my $h = $q->{headers};
    return [204, [], ''] if $q->{path} =~ /none/;
    return [500, [@json], '{"error":{"text":"it \\"broke\\"","trace":[1]}}']
        if $q->{path} =~ /fault/;
    return [200, [@json, ETag => '"1"'], '{"id":12345678901234567890.10,'
        . '"tags":[],"inner":{"a":[{"n":"x\\ny"},7]},"s":"\\u00e9\\"\\\\"}']
        if $q->{path} =~ /answer/;
    return [200, [@json], json_encode({ body => $q->{body}, path => $q->{path},
        query => $q->{query} // '', map { ($_ => $h->{$_} // '-') }
        qw(x-made x-old x-evil digest content-length content-type) })];
});

sub policy { my ($api, %config) = @_;
             return doc('Policy', 'acme', $api, { type => 'transform',
                 attach => [{ api => $api }], config => \%config,
                 delete $config{state} ? (state => 'shadow') : () }) }

my @apis = qw(req query head small many own ans status tried cached plain sealed);
$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    (map { (rest('acme', $_, $to), sub_('acme', 'demo', $_, 'free')) } @apis),
    policy('req', request_remove => ['/gone'], request_body => {
        id => '${body/order/id}', app => '${application}', list => [
            '${body/lines/1}', '${body/none}', 'v ${body/order/id}-${query.v}'],
        all => '${body/order}', missing => '${header.X-None}', n => 1,
        gone => 'x', text => 'say "${body/say}" ${method} ${path}' },
        request_headers => [{ name => 'X-Made', value => '${body/say}' }]),
    policy('query', request_query_remove => ['drop'], request_query => [
        { name => 'who', value => '${application}/${query.v}&' },
        { name => 'v', value => '' }]),
    policy('head', request_headers => [
        { name => 'X-Made', value => '${header.X-Old}' },
        { name => 'X-Old', value => '' },
        { name => 'X-Evil', value => '${query.e}' }]),
    policy('small', max_bytes => 64, request_body => {
        a => '${body}', b => '${body}' }),
    policy('many', request_body => { a => '${body/s}' x 5000,
                                     b => '${body/no}' x 1000 }),
    policy('ans', response_body => { data => '${body}', id => '${body/id}',
        n => '${body/inner/a/0/n}', at => '${body/inner/a/1}', s => 's: ${body/s}',
        none => '${body/x}', request => '${request_id}' },
        response_remove => ['/data/tags'],
        response_headers => [{ name => 'X-App', value => '${application}' }]),
    policy('status', response_status => [{ from => '500', to => 503 },
                                         { from => '4xx', to => 400 }],
           statuses => ['5xx'], response_body => { title => '${body/error/text}' }),
    policy('tried', state => 1, request_body => { a => 1 },
           response_body => { a => 1 }, response_status => [{ from => '2xx',
                                                              to => 201 }]),
    policy('own', response_body => { who => '${header.X-Who}',
        data => '${body}' }, response_headers => [{ name => 'X-Own',
                                value => '${header.X-Who}' }]),
    doc('Policy', 'acme', 'owned', { type => 'cache', attach => [
        { api => 'own' }], config => { default_ttl_s => 60 } }),
    doc('Secret', 'acme', 'up', { value => 'sealed-value' }),
    doc('Policy', 'acme', 'shown', { type => 'upstream-credential',
        attach => [{ api => 'sealed' }], config => { kind => 'header',
            header => 'X-Old', value => '${secret:up}' } }),
    policy('sealed', response_body => { data => '${body}', up =>
        '${header.X-Old}' }, response_headers => [{ name => 'X-Up',
            value => '${header.X-Old}' }]),
    policy('cached', request_query => [{ name => 'who',
                                         value => '${header.X-Who}' }]),
    doc('Policy', 'acme', 'kept', { type => 'cache', attach => [
        { api => 'cached' }], config => { default_ttl_s => 60 } })));
$t->gateway;
my $key = $t->key('acme', 'demo');
$t->sync;

sub call { my ($path, %o) = @_;
           my $h = delete $o{headers};
           return $t->http($o{method} // (defined $o{body} ? 'POST' : 'GET'),
               "/apis/acme/$path", key => $key, %o, headers => {
                   defined $o{body} ? @json : (), %{ $h // {} } }) }
sub says { my $r = call(@_);
           return "$r->{status} " . ($r->{json}{code} // '') }

# Requests

my $body = '{"order":{"id":1.50,"x":[]},"lines":["a",{"b":12345678901234567890}],'
    . '"say":"a\\u000d\\nX-Evil: 1 \\"q\\" \\u00e9"}';
my $r = call('req/p/q?v=1%22', body => $body, headers => { Digest => 'x' });
is($r->{json}{body}, '{"all":{"id":1.50,"x":[]},"app":"demo","id":1.50,'
    . '"list":[{"b":12345678901234567890},"v 1.50-1\\""],"n":1,"text":"say \\"a\\r\\nX-Evil:'
    . ' 1 \\"q\\" é\\" POST /p/q"}', 'a body is made of the body: values as '
    . 'they were written, texts escaped, what is missing left out')
    or diag($r->{body});
is($r->{json}{'content-length'}, length $r->{json}{body},
   'its length is its own') unless utf8::is_utf8($r->{json}{body});
is($r->{json}{'x-made'} =~ /\r|\n/ ? 'line' : $r->{json}{'x-evil'}, '-',
   'a value makes no header of its own');
is($r->{json}{digest}, '-', 'what described the other bytes is gone');
is(says('req/x', body => $_), '400 transform_refused',
   'no body to be changed: ' . substr $_, 0, 20)
    for 'x', '{"a":1', "\xff", '[' x 70;
is(says('req/x', body => '{}', headers => { 'Content-Type' => 'text/plain' }),
   '200 ', 'JSON is read whatever it is called');
is(says('req/x', body => '{}', headers => { 'Content-Encoding' => 'gzip' }),
   '400 transform_refused', 'but not when it is packed');
is(call('req/x')->{json}{body}, '', 'a call without a body has none');
is(says('small/x', body => '{"a":"' . 'x' x 20 . '"}'), '400 transform_refused',
   'what becomes longer than max_bytes is refused');
is(says('small/x', body => '{}'), '200 ', 'not what fits');
is(says('many/x', body => '{"s":"' . 'x' x 1_000_000 . '"}'),
   '400 transform_refused', 'many names of a long body end at its maximum');
is(says('many/x', body => '{"t":"' . 'x' x 1_000_000 . '"}'),
   '400 transform_refused', 'also those that are not there');
is(says('many/x', body => '{"s":"x"}'), '200 ', 'a short one has room');
my $c = $t->connection;
$c->send_raw("POST /apis/acme/req/x HTTP/1.1\r\nHost: a\r\nX-API-Key: $key\r\n"
    . "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    . "8\r\n{\"say\":1\r\n1\r\n}\r\n0\r\n\r\n");
like($c->response(timeout => 5)->{body}, qr/say ....1/, 'chunks are one body');
$c->close;

$r = call('query/a%2fb?v=a%26b&drop=1&dr%6fp=2&keep=%20&who=x');
is($r->{json}{query}, 'keep=%20&who=demo%2Fa%26b%26',
   'a query: removed, set, escaped; the rest as it came');
is(call('query/x')->{json}{query}, 'who=demo%2F%26', 'also where there was none');
$r = call('head/x?e=1%0d%0aX-Bad:%202', headers => { 'X-Old' => 'o' });
is(join(' ', @{ $r->{json} }{qw(x-made x-old)}), 'o -', 'a header is renamed');
is($r->{json}{'x-evil'}, '1  X-Bad: 2', 'and gets no line of another');

# Answers

$r = call('ans/answer');
like($r->{body}, qr/"data":\{"id":12345678901234567890\.10,"inner":/,
     'an answer is made of the answer, without what is removed');
is($r->{json}{n}, "x\ny", 'a member by its pointer');
is($r->{json}{at}, 7, 'an item');
is($r->{json}{s}, "s: \x{e9}\"\\", 'within a text');
ok(!exists $r->{json}{none}, 'what is not there is left out');
is($r->{json}{request}, $r->{headers}{'x-request-id'}, 'a variable')
    if $r->{headers}{'x-request-id'};
is($r->{headers}{'x-app'}, 'demo', 'a header');
is($r->{headers}{etag}, undef, 'its ETag is not the upstream\'s');
is(call('ans/answer', method => 'HEAD')->{status}, 200, 'HEAD');
is(says('ans/none'), '204 ', '204 has nothing to be changed');
$r = call('status/fault');
is("$r->{status} $r->{body}", '503 {"title":"it \"broke\""}',
   'a status and a body by the status of the upstream');
is(call('status/answer')->{status}, 200, 'others stay');
$r = call('tried/x', body => '{"b":2}');
is("$r->{status} $r->{json}{body}", '200 {"b":2}', 'a shadow changes nothing');

# Nobody reads what the upstream is shown

$r = call('sealed/x', headers => { 'X-Old' => 'mine' });
is($r->{json}{data}{'x-old'}, 'sealed-value', 'the upstream has a secret');
is($r->{json}{up} . $r->{headers}{'x-up'}, 'minemine',
   'templates have what the client sent');

# What a cache keeps hangs on no template

is(call('cached/x', headers => { 'X-Who' => $_ })->{json}{query}, "who=$_",
   "no answer of another call: $_") for qw(a b);

# At apply

for my $row (
    [request_body => { a => { b => ['${nobody}'] } },
     'config.request_body.a.b[0]', 'unknown variable'],
    [request_body => { a => '${header.Authorization}' },
     'config.request_body.a', 'may not read'],
    [request_body => { a => '${body/x' }, 'config.request_body.a', 'must have a }'],
    [response_body => { a => 'x' x 70_000 }, 'config.response_body', 'too long'],
    [request_query => [{ name => 'a', value => '${secret:x}' }],
     'config.request_query[0].value', 'template'],
    [request_headers => [{ name => 'Host', value => 'x' }],
     'config.request_headers[0].name', 'header'],
    [request_headers => [{ name => 'X-A', value => "a\nb" }],
     'config.request_headers[0].value', ''],
    [response_headers => [{ name => 'X-A', value => '${body/a}' }],
     'config.response_headers', 'no ${body}'],
    [response_status => [{ from => '200', to => 204 }],
     'config.response_status', 'body'])
{
    my ($member, $value, $field, $text) = @$row;
    my $r = $t->api(POST => '/v1/apply', policy('plain', $member => $value),
                    headers => { 'Content-Type' => 'application/yaml' });
    my $e = $r->{json}{errors}[0] // {};
    is("$r->{status} $e->{field}", "422 spec.$field", "refused: $field");
    like($e->{message}, qr/\Q$text/, 'and why') if $text;
}

$r = call('own/x', headers => { 'X-Who' => 'a' });
is(call('own/x', headers => { 'X-Who' => 'b' })->{status}, 200, 'kept');
$r = call('own/x', headers => { 'X-Who' => 'c' });
like($r->{headers}{'cache-status'}, qr{hit}, 'from the cache');
is("$r->{json}{who} $r->{headers}{'x-own'}", 'c c',
   'an answer that was kept is changed for who gets it');
is($r->{json}{data}{query}, '', 'once');

$t->done;
