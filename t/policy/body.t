#!/usr/bin/perl

# body-limit: at every scope, with and without a length that is said before.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $port = $t->origin(sub { return [200, [], length $_[0]{body}] });
my $to = "http://127.0.0.1:$port";
my $mcp = $t->mcp_origin(name => 'm', tools => {
    one => sub { 'one' }, two => sub { 'two' } });

sub policy { my ($name, $max, @attach) = @_;
             return doc('Policy', 'acme', $name, { type => 'body-limit',
                 config => { max_bytes => $max }, attach => \@attach }) }

$t->apply(docs(tenant('acme'), plan('acme', 'free'), plan('acme', 'small'),
    app('acme', 'demo'), app('acme', 'two'),
    rest('acme', 'echo', $to, max_body_bytes => 2000, operations => [
        { name => 'one', method => 'POST', path => '/one' },
        { name => 'two', method => 'POST', path => '/two' }]),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    sub_('acme', 'demo', 'echo', 'free'), sub_('acme', 'two', 'echo', 'small'),
    sub_('acme', 'demo', 'm', 'free'),
    policy('all', 4000, { tenant => 'acme' }),
    policy('op', 100, { api => 'echo', operation => 'two' }),
    policy('plan', 50, { plan => 'small' }),
    policy('tool', 300, { api => 'm', tool => 'two' })));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } == 2 } 20 or $t->give_up('no tools');
$t->gateway;
my %key = map { $_ => $t->key('acme', $_) } qw(demo two);
$t->sync;

sub chunks { return join '', (map { sprintf "%x\r\n%s\r\n", length, $_ }
                              unpack '(A40)*', $_[0]), "0\r\n\r\n" }

for my $chunked (0, 1) {
    my %h = $chunked ? ('Transfer-Encoding' => 'chunked') : ();
    my $how = $chunked ? 'chunked' : 'length';
    my $send = sub {
        my ($path, $app, $n) = @_;
        my $body = 'x' x $n;
        my $r = $t->http('POST', "/apis/acme/echo/$path", key => $key{$app},
            headers => \%h, body => $chunked ? chunks($body) : $body);
        return "$r->{status} " . ($r->{json}{code} // $r->{body}) };
    my $tool = sub {
        my ($name, $n) = @_;
        my $r = $t->mcp('/mcp/acme', 'tools/call', { name => "m__$name",
            arguments => { pad => 'x' x $n } }, key => $key{demo},
            headers => \%h, $chunked ? (wrap => \&chunks) : ());
        return $r->{rpc}{error}{data}{code}
            // $r->{rpc}{result}{content}[0]{text} };

    is($send->('one', 'demo', 2000), '200 2000', "$how: the api's own");
    is($send->('one', 'demo', 2001), '413 body_too_large', 'and no more');
    is($send->('two', 'demo', 100), '200 100', 'the operation\'s');
    is($send->('two', 'demo', 101), '413 body_too_large', 'and no more');
    is($send->('one', 'two', 50), '200 50', 'the plan\'s');
    is($send->('one', 'two', 51), '413 body_too_large', 'and no more');
    is($send->('two', 'two', 51), '413 body_too_large', 'of two the shorter');
    is($tool->('one', 3000), 'one', 'the tenant\'s');
    is($tool->('one', 4000), 'body_too_large', 'and no more');
    is($tool->('two', 1), 'two', 'the tool\'s');
    is($tool->('two', 300), 'body_too_large', 'and no more');
}

$t->done;
