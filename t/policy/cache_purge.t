#!/usr/bin/perl

# Purges of kept answers: by path, prefix and tag, at every gateway of the
# group, also at one that was away, and of what was under way; nobody else's.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my $count = $t->dir('count');
my $gate = $t->dir('gate');
my $calls = sub { return -s $count || 0 };
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q) = @_;
    open my $f, '>>', $count or die; syswrite $f, 'x'; close $f;
    my $n = -s $count;
    my ($tags) = ($q->{query} // '') =~ /tags=([^&]*)/;
    my ($cc) = ($q->{query} // '') =~ /cc=([^&]*)/;
    s/%([0-9a-f]{2})/chr hex $1/gei for grep { defined } $tags, $cc;
    if (($q->{query} // '') =~ /wait/) {
        select undef, undef, undef, 0.02 while !-e $gate;
    }
    return [200, ['Cache-Control' => $cc || 'max-age=600',
                  map { split /:/, $_, 2 } split /\|/, $tags // ''], "n$n"];
});
my @kept = map { doc('Policy', $_, 'kept', { type => 'cache', attach => [
    { tenant => $_ }], config => { shared => JSON::PP::true } }) }
    qw(acme other);
$t->apply(docs(map({ my $who = $_; (tenant($who), plan($who, 'free'),
        app($who, 'app'), map({ (rest($who, $_, $to),
            sub_($who, 'app', $_, 'free')) } qw(shop blog))) } qw(acme other)),
    @kept, doc('Api', 'acme', 'tools', { kind => 'mcp', upstream => {
        targets => [{ url => 'http://127.0.0.1:1/mcp' }] } })));
my %key = map { $_ => $t->key($_, 'app') } qw(acme other);
$t->gateway(workers => 2);
$t->gateway(name => 'two');

sub body { my ($path, %o) = @_;
           my ($who) = $path =~ m{^(\w+)/};
           return $t->get("/apis/$path", key => $key{$who}, %o)->{body} }
sub purge { my ($what, %o) = @_;
            return $t->api('POST', "/v1/tenants/" . ($o{tenant} // 'acme')
                . "/apis/" . ($o{api} // 'shop') . "/cache/purge?wait=10s",
                $what, %{ $o{more} || {} }) }
# Which of these are answered as before?
sub same { my ($purge, @paths) = @_;
           my %was = map { ($_ => body($_)) } @paths;
           $purge->();
           return join ' ', grep { body($_) eq $was{$_} } @paths }

my @all = map { "acme/shop/$_" } 'a', 'a?q=1', 'b/1', 'b/2', 'b';
my $r;
is(same(sub { $r = purge({ paths => ['/a'] }) }, @all,
        'acme/blog/a', 'other/shop/a'),
   join(' ', @all[2 .. 4], 'acme/blog/a', 'other/shop/a'),
   'a path, with any query, of this api alone');
is($r->{status}, 200, '... 200');
is(json_encode($r->{json}{purged}), '[{"kind":"path","value":"/a"}]',
   '... it says what');
is($r->{headers}{'stoa-state'}, 'acked', '... and that gateways have it');
is(same(sub { purge({ prefixes => ['/b/'] }) }, @all),
   join(' ', @all[0, 1, 4]), 'a prefix');
is(same(sub { purge({ all => JSON::PP::true }) }, @all, 'acme/blog/a'),
   'acme/blog/a', 'everything of an api');
@all = map { "acme/shop/t?tags=$_" } 'Surrogate-Key:red%20blue',
    'Cache-Tag:blue,green', 'Surrogate-Key:bluegreen', 'X:1',
    'Surrogate-Key:a|Surrogate-Key:red';
is(same(sub { purge({ tags => ['blue'] }) }, @all), join(' ', @all[2 .. 4]),
   'a tag, in either header');
is(same(sub { purge({ tags => ['red', 'nobody'] }) }, @all[0, 1, 4]),
   $all[1], '... in any line of it');

# every gateway, also one that is away

is(body('acme/shop/g'), body('acme/shop/g'), 'kept here');
my $two = body('acme/shop/g', gateway => 'two');
is(body('acme/shop/g', gateway => 'two'), $two, '... and there');
my ($p, $q) = (body('acme/shop/g'), body('acme/shop/h'));
$t->stop('control');
is(body('acme/shop/g'), $p, 'without the control plane it stays');
$t->control;
kill 'STOP', $t->pid('two');
kill 'STOP', $t->workers('two');
$r = $t->api('POST', '/v1/tenants/acme/apis/shop/cache/purge',
             { paths => ['/g'] });
ok((wait_until { body('acme/shop/g') ne $p } 10), 'gone here');
is(body('acme/shop/h'), $q, '... and nothing else');
kill 'CONT', $t->workers('two');
kill 'CONT', $t->pid('two');
$t->sync('two', 30);
isnt(body('acme/shop/g', gateway => 'two'), $two,
     'a gateway that was away purges when it is back');

# what is under way

my @c = map { $t->connection } 1 .. 2;
my $n = $calls->();
$_->send_raw("GET /apis/acme/shop/w?wait HTTP/1.1\r\nHost: x\r\n"
    . "X-API-Key: $key{acme}\r\n\r\n") for @c;
wait_until { $calls->() > $n } 10;
purge({ paths => ['/w'] });
spew($gate, '');
my @got = map { $_->response->{body} } @c;
$n = $calls->();
isnt(body('acme/shop/w?wait'), $got[0],
     'what was under way when the purge came is not kept')
    if $got[0] eq $got[1];
my $w = body('acme/shop/w?wait');
is(body('acme/shop/w?wait'), $w, '... and what was asked for since then is');

# many

$p = body('acme/shop/many');
purge({ paths => ["/other-$_"] }) for 1 .. 20;
is(body('acme/shop/many'), $p, 'many others leave it');
for my $round (1 .. 3) {
    purge({ paths => [map { "/o-$_-$round" } 1 .. 100] });
}
isnt(body('acme/shop/many'), $p,
     '... too many to be remembered: everything older goes');

# who, and what not

for (['nothing', {}], ['false', { all => JSON::PP::false }],
     ['no path', { paths => ['x'] }], ['a query', { paths => ['/x?y=1'] }],
     ['two tags', { tags => ['a b'] }], ['an empty tag', { tags => [''] }],
     ['a long path', { paths => ['/' . 'x' x 256] }],
     ['too many', { tags => [1 .. 257] }], ['another member', { path => '/' }])
{
    my ($what, $body) = @$_;
    is(purge($body)->{status}, 422, "refused: $what");
}
$r = purge({ paths => ['/' . 'x' x 255] });
is($r->{status}, 200, 'the longest path') or diag($r->{body});
is(purge({ all => JSON::PP::true }, api => 'nobody')->{status}, 404, 'no api');
is(purge({ all => JSON::PP::true }, api => 'tools')->{status}, 409,
   'an api of MCP keeps none');
my $viewer = $t->must(POST => '/v1/admin-tokens', { name => 'v',
    role => 'viewer', tenant => 'acme' })->{token};
my $foreign = $t->must(POST => '/v1/admin-tokens', { name => 'f',
    role => 'devops', tenant => 'other' })->{token};
my $own = $t->must(POST => '/v1/admin-tokens', { name => 'o',
    role => 'devops', tenant => 'acme' })->{token};
$p = body('acme/shop/mine');
for ([$viewer, 403], [$foreign, 404], [$own, 200]) {
    my ($token, $status) = @$_;
    is(purge({ all => JSON::PP::true }, more => { token => $token })->{status},
       $status, "by whom: $status");
    is(body('acme/shop/mine') eq $p ? 1 : 0, $status == 200 ? 0 : 1,
       '... and then it is so');
}
my ($e) = grep { $_->{action} eq 'purge' } @{ $t->must(GET =>
    '/v1/audit?tenant=acme&order=desc')->{items} };
is($e && $e->{name}, 'shop', 'it is in the audit log');
is(ref $e->{diff}{purged}, 'ARRAY', 'with what was purged');

$p = body('acme/shop/cli');
my ($code, $out) = $t->stoactl('purge', 'shop', '/cl*', 'x', '--tenant',
                               'acme', '--wait', '10s');
is($code, 0, 'stoactl purge');
isnt(body('acme/shop/cli'), $p, '... purges');

# a change of the api's address or its deletion takes the list along

$t->must(DELETE => '/v1/tenants/acme/apis/shop?force=1');
$t->sync($_) for 'gw', 'two';
ok((wait_until { $t->metrics->{stoa_cache_purged_total} >= 8 } 5),
   'what was purged is counted');
$t->done;
