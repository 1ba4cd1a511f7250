#!/usr/bin/perl

# response-locations: what an upstream says of its own address, in each header
# that can say it; what is not its own stays.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $port = $t->port('origin');
my $to = "http://127.0.0.1:$port";
my %hex = map { (chr($_) => sprintf '%02x', $_) } 0 .. 255;
$t->origin(sub {
    my ($q) = @_;
    my ($name, $value) = $q->{query} =~ /^([\w-]+)=([0-9a-f]*)/;
    return [$name eq 'Location' ? 302 : 200,
            [$name => pack('H*', $value),
             'X-Prefix' => $q->{headers}{'x-forwarded-prefix'} // '-',
             'X-Path' => $q->{path}], 'ok'];
}, port => $port);

$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    rest('acme', 'echo', $to),
    rest('acme', 'deep', "$to/v1/api"),
    rest('acme', 'own', $to, base_path => '/shop'),
    rest('acme', 'kept', $to, base_path => '/kept',
         strip_base_path => \0),
    rest('acme', 'off', $to), rest('acme', 'more', $to),
    rest('acme', 'named', $to, host => 'shop.test', base_path => '/',
         upstream => { host_header => 'inner.test' }),
    rest('acme', 'two', [$to, 'http://127.0.0.1:1']),
    doc('Policy', 'acme', 'off', { type => 'response-locations',
        state => 'disabled', attach => [{ api => 'off' }] }),
    doc('Policy', 'acme', 'more', { type => 'response-locations',
        config => { cookies => \0, inside => ['http://inner.test:9000',
                                              'https://inner.test'] },
        attach => [{ api => 'more' }] }),
    (map { sub_('acme', 'demo', $_, 'free') }
        qw(echo deep own kept off more named two))));
$t->gateway;
my $key = $t->key('acme', 'demo');
$t->sync;

sub said {
    my ($base, $name, $value, %o) = @_;
    my $r = $t->get("$base/x?$name=" . unpack('H*', $value), key => $key, %o);
    return $r->{headers}{ lc $name } // '-';
}

my $E = '/apis/acme/echo';
my @rows = (
    # base, header, what the upstream says, what the client gets
    [$E, 'Location', "$to/items/1", "$E/items/1"],
    [$E, 'Location', '/items/1?q=1#f', "$E/items/1?q=1#f"],
    [$E, 'Location', "$to", $E],
    [$E, 'Location', "$to?a", "$E?a"],
    [$E, 'Location', "HTTP://127.0.0.1:$port/A", "$E/A"],
    [$E, 'Location', "//127.0.0.1:$port/a", "$E/a"],
    [$E, 'Location', 'items/1', 'items/1'],
    [$E, 'Location', '?x', '?x'],
    [$E, 'Location', 'https://elsewhere.test/a', 'https://elsewhere.test/a'],
    [$E, 'Location', '//elsewhere.test/a', '//elsewhere.test/a'],
    [$E, 'Location', 'http://127.0.0.1/a', 'http://127.0.0.1/a'],
    [$E, 'Location', "http://127.0.0.1:${port}0/a",
     "http://127.0.0.1:${port}0/a"],
    [$E, 'Location', "http://u\@127.0.0.1:$port/a",
     "http://u\@127.0.0.1:$port/a"],
    [$E, 'Location', "http://127.0.0.1:$port.evil.test/a",
     "http://127.0.0.1:$port.evil.test/a"],
    [$E, 'Content-Location', "$to/a", "$E/a"],
    [$E, 'Refresh', "5; url=$to/a", "5; url=$E/a"],
    [$E, 'Refresh', "5;URL='$to/a'", "5;URL='$E/a'"],
    [$E, 'Refresh', '5', '5'],
    [$E, 'Set-Cookie', 's=1; Path=/; HttpOnly', "s=1; Path=$E/; HttpOnly"],
    [$E, 'Set-Cookie', 's=1; path=/a; Domain=127.0.0.1; Secure',
     "s=1; Path=$E/a; Secure"],
    [$E, 'Set-Cookie', 's=1', 's=1'],
    [$E, 'Set-Cookie', 's=/; Domain=example.test', 's=/; Domain=example.test'],
    [$E, 'Set-Cookie', '__Host-s=1; Path=/; Secure',
     '__Host-s=1; Path=/; Secure'],
    [$E, 'Set-Cookie', 's=1;Path=/;Path=/b', "s=1; Path=$E/; Path=$E/b"],
    [$E, 'Link', "<$to/a>", "<$to/a>"],

    ['/apis/acme/deep', 'Location', "$to/v1/api/a", '/apis/acme/deep/a'],
    ['/apis/acme/deep', 'Location', '/v1/api', '/apis/acme/deep'],
    ['/apis/acme/deep', 'Location', '/v1/apis', '/v1/apis'],
    ['/apis/acme/deep', 'Location', "$to/login", "$to/login"],
    ['/apis/acme/deep', 'Set-Cookie', 's=1; Path=/',
     's=1; Path=/apis/acme/deep/'],
    ['/apis/acme/deep', 'Set-Cookie', 's=1; Path=/v1/api/a',
     's=1; Path=/apis/acme/deep/a'],
    ['/apis/acme/deep', 'Set-Cookie', 's=1; Path=/other',
     's=1; Path=/other'],

    ['/shop', 'Location', "$to/a", '/shop/a'],
    ['/kept', 'Location', "$to/kept/a", '/kept/a'],

    ['/apis/acme/off', 'Location', "$to/a", "$to/a"],
    ['/apis/acme/off', 'Set-Cookie', 's=1; Path=/', 's=1; Path=/'],
    ['/apis/acme/more', 'Location', 'http://inner.test:9000/a',
     '/apis/acme/more/a'],
    ['/apis/acme/more', 'Location', 'https://INNER.test/a',
     '/apis/acme/more/a'],
    ['/apis/acme/more', 'Location', 'http://inner.test/a',
     'http://inner.test/a'],
    ['/apis/acme/more', 'Set-Cookie', 's=1; Path=/', 's=1; Path=/'],
    ['/apis/acme/two', 'Location', 'http://127.0.0.1:1/a',
     '/apis/acme/two/a'],
);
is(said(@$_[0 .. 2]), $_->[3], "$_->[0] $_->[1]: $_->[2]") for @rows;

my %host = (headers => { Host => 'shop.test' });
is(said('', 'Location', 'http://inner.test/a', %host), '/a',
   'by the Host that was sent');
is(said('', 'Location', "$to//evil.test", %host), '/.//evil.test',
   'a path does not become another host');

my $r = $t->get("$E/x?A=", key => $key,
                headers => { 'X-Forwarded-Prefix' => '/evil' });
is($r->{headers}{'x-prefix'}, $E, 'X-Forwarded-Prefix, the client\'s not');
$r = $t->get('/apis/acme/off/x?A=', key => $key,
             headers => { 'X-Forwarded-Prefix' => '/evil' });
is($r->{headers}{'x-prefix'}, '-', 'off: none, nor the client\'s');
is($t->get('/kept/x?A=', key => $key)->{headers}{'x-prefix'}, '-',
   'nothing is taken off, nothing is told');
$r = $t->get("$E/x?Location=" . unpack('H*', "$to/a"),
             headers => { 'X-API-Key' => 'none' });
is($r->{status}, 401, 'a refusal has no location');

$t->done;
