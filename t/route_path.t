#!/usr/bin/perl

# Where a request goes: by name, by host and base path, the longest prefix by
# segments; and what of the URI the upstream gets to see.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');

$t->control;
my $to = 'http://127.0.0.1:' . $t->origin;

my %apis = (
    plain => [$to],
    prefixed => ["$to/v1/"],
    orders => [$to, base_path => '/orders'],
    archive => [$to, base_path => '/orders/old'],
    kept => [$to, base_path => '/kept/here', strip_base_path => \0],
    hosted => [$to, base_path => '/', host => 'api.example.test'],
    alone => [$to, host => 'alone.example.test'],
    query => [$to, key_query => 'api_key'],
);
$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    map { (rest('acme', $_, @{ $apis{$_} }),
           sub_('acme', 'demo', $_, 'free')) } sort keys %apis));
$t->gateway(http => "log_format full '\$request|\$request_uri|\$args';\n",
    server => 'access_log logs/full.log full;');
my $key = $t->key('acme', 'demo');
$t->sync;

sub sent {
    my ($target, %o) = @_;
    my $r = $t->get($target, key => $key, %o);
    return $r->{status} unless $r->{status} == 200;
    return $r->{json}{path}
           . (defined $r->{json}{query} ? "?$r->{json}{query}" : '');
}


# target, what the upstream gets (or the status), why

my @rows = (
    ['/apis/acme/plain', '/', 'by name, nothing behind'],
    ['/apis/acme/plain/', '/', 'by name, a slash'],
    ['/apis/acme/plain/a/b', '/a/b', 'by name'],
    ['/apis/acme/plain?x=1', '/?x=1', 'a query behind the name'],
    ['/apis/acme/plain/a?x=1&y=%2F', '/a?x=1&y=%2F', 'the query is kept'],
    ['/apis/acme/prefixed/a', '/v1/a', 'behind the target\'s path'],
    ['/apis/acme/prefixed', '/v1', 'the target\'s path alone'],
    ['/apis/acme/prefixed?x', '/v1?x', 'with a query'],
    ['/apis/acme/orders/7', '/7', 'by name, the base path does not count'],
    ['/apis/acme/kept/7', '/kept/here/7', 'by name, base path kept'],
    ['/orders/7', '/7', 'by base path'],
    ['/orders', '/', 'the base path alone'],
    ['/orders/old/7', '/7', 'the longest base path'],
    ['/ordersx', 404, 'prefixes end at segments'],
    ['/kept/here/7?a', '/kept/here/7?a', 'a base path that is kept'],
    ['/kept', 404, 'a part of a base path'],
    ['/nothing', 404, 'no api there'],
    ['/apis/acme/nothing/', 404, 'no such api'],
    ['/apis/nobody/plain/', 404, 'no such tenant'],
    ['/apis/acme', 404, 'no api named'],
    ['/apis/acme/plainx', 404, 'a longer name'],

    # encoding: as it was sent where that means the same

    ['/apis/acme/plain/a%20b', '/a%20b', 'a space'],
    ['/apis/acme/plain/%C3%A9', '/%C3%A9', 'UTF-8'],
    ['/apis/acme/plain/a%2Bb+c', '/a%2Bb+c', 'plus signs'],
    ['/apis/acme/plain/a%3Fb?c', '/a%3Fb?c', 'a question mark'],
    ['/%61pis/acme/plain/x%41', '/x%41', 'the prefix encoded'],
    ['/apis/acme/plain/a%2Fb', '/a/b', 'an encoded slash is one'],
    ['/apis/acme/plain/x/../b', '/b', 'dots'],
    ['/apis/acme/plain/x/%2e%2e/b', '/b', 'encoded dots'],
    ['/apis/acme/plain/x/%2e%2E/b%20c', '/b%20c', 'and escaped anew'],
    ['/apis/acme/plain//b', '/b', 'slashes are merged'],
    ['/apis/acme/plain/../orders/7', '/7', 'dots before the choice'],
    ['/apis/acme/plain/%252e%252e/b', '/%252e%252e/b', 'encoded twice'],
    ['/apis/acme/plain/../../../x', 404, 'out of it'],
    ['/apis/acme/plain/a%00b', 400, 'a zero byte'],
    ['/apis/acme/plain/%zz', 400, 'a bad escape'],
);
is(sent($_->[0]), $_->[1], "$_->[2]: $_->[0]") for @rows;

is(sent('/x/y', headers => { Host => 'API.example.test:80' }), '/x/y',
   'by host');
is(sent('/orders/7', headers => { Host => 'api.example.test' }), '/orders/7',
   'the host\'s own api wins');
is(sent($_, headers => { Host => 'alone.example.test' }), $_,
   "a host without a base path has all paths: $_") for '/', '/x/y';
is(sent('/x/y', headers => { Host => 'other.example.test' }), 404,
   'another host');


# the key as an argument

my @q = ("api_key=$key", "a=1&api_key=$key&b=2", "api_key=$key&api_key=$key",
         "ap%69_key=$key&c");
my @rest = ('', 'a=1&b=2', '', 'c');
for my $i (0 .. $#q) {
    my $r = $t->get("/apis/acme/query/x?$q[$i]");
    is($r->{status}, 200, "key in the query $i");
    is($r->{json}{query} // '', $rest[$i], 'and not for the upstream');
}
is($t->get("/apis/acme/plain/?api_key=$key")->{status}, 401,
   'only where the api allows it');
is($t->get("/apis/acme/query/?api_key=$key&api_key=stoa_x")->{status}, 401,
   'two that differ');
is($t->get("/apis/acme/query/?api_key=")->{status}, 401, 'an empty one');

my ($secret) = $key =~ /_([0-9A-Za-z]{32})_/;
my @lines = grep { /query/ } $t->log_lines('gw', 'full.log');
ok(@lines > 4, 'logged');
is(scalar(grep { /$secret/ } @lines), 0, 'no log has the secret');
is(scalar(grep { /$secret/ } $t->log_lines('gw', 'error.log')), 0,
   'nor the error log');

$t->done;
