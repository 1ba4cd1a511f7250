#!/usr/bin/perl

# cache: what is kept, for whom and for how long, by RFC 9111 and RFC 5861;
# and what must not cross from one caller, host, encoding or method to another.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control', 'openssl');
$t->control;

# Each answer has a number: who gets one twice was answered from the cache.
# The query says how: cc, st, h (more headers), etag, n bytes.

my $count = $t->dir('count');
my $gate = $t->dir('gate');
my $down = $t->dir('down');
my $number = sub {
    open my $f, '>>', $count or die; syswrite $f, 'x'; close $f;
    return -s $count;
};
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q) = @_;
    my %a = map { my ($k, $v) = split /=/, $_, 2;
                  $v = '' unless defined $v;
                  $v =~ s/%([0-9a-f]{2})/chr hex $1/gei; ($k => $v) }
            split /&/, $q->{query} // '';
    my $h = $q->{headers};
    my $n = $number->();
    return [503, [], 'down'] if -e $down;
    return [400, [], 'bad'] if $h->{'x-bad'};
    if ($a{wait}) { select undef, undef, undef, 0.02 while !-e $gate }
    my @h = ('Content-Type' => 'text/plain',
             $a{cc} ? ('Cache-Control' => $a{cc}) : (),
             $a{etag} ? (ETag => qq{"$a{etag}"}) : (),
             map { split /:/, $_, 2 } split /\|/, $a{h} // '');
    return [200, \@h, 'mail bob@example.com now'] if $a{mail};
    return [304, \@h, ''] if $a{etag}
        && ($h->{'if-none-match'} // '') eq qq{"$a{etag}"};
    return [$a{st} || 200, \@h, $a{n} ? 'y' x $a{n}
            : "n$n host=" . ($h->{'x-forwarded-host'} // '')
              . ' ae=' . ($h->{'accept-encoding'} // '')
              . ' url=' . ($h->{'x-original-url'} // '')
              . ' tier=' . ($h->{'x-tier'} // '')
              . ' proto=' . ($h->{'x-forwarded-proto'} // '')];
});
my $opa = $t->origin(sub { [200, [], '{"result":true}'] }, name => 'opa');
my @parts = map { my $name = $_; { group => $name, url => 'http://127.0.0.1:'
    . $t->origin(sub { [200, ['Cache-Control' => 'public, max-age=0'],
                        "$name " . $number->()] }, name => $name) } }
    qw(blue green);
my $pem = $t->dir('gw.pem');
$t->run_cmd([qw(openssl req -x509 -nodes -days 2 -subj /CN=gw -newkey ec
    -pkeyopt ec_paramgen_curve:P-256 -keyout), "$pem.key", '-out', $pem]);

sub policy { my ($api, %c) = @_;
             return doc('Policy', 'acme', "c-$api", { type => 'cache',
                 attach => [{ api => $api }], config => \%c }) }
my $true = JSON::PP::true;
my %apis = (
    plain => {},
    shared => { shared => $true, default_ttl_s => 60, negative_ttl_s => 60,
                sort_query => $true, ignore_query => ['utm_*'] },
    stale => { shared => $true, stale_if_error_s => 600 },
    while => { shared => $true, stale_while_revalidate_s => 600 },
    strip => { shared => $true, strip_set_cookie => $true,
               ignore_cookies => $true },
    small => { shared => $true, default_ttl_s => 60, max_bytes => 100 },
    mask => { shared => $true, default_ttl_s => 60 },
    who => { shared => $true, default_ttl_s => 60 },
    judge => { shared => $true, default_ttl_s => 60 },
    deaf => { shared => $true, obey_clients => JSON::PP::false },
    open => { default_ttl_s => 60 },
    plans => { shared => $true, default_ttl_s => 60 },
    asked => { shared => $true, stale_while_revalidate_s => 600 },
    spent => {}, spared => { charge_hits => 'none' },
    query => { shared => $true, stale_while_revalidate_s => 600 },
    parts => { shared => $true, stale_while_revalidate_s => 600 },
);
sub tier { my ($value) = @_;
           return doc('Policy', 'acme', 'tier', { type => 'headers',
               attach => [{ plan => 'gold' }], config => {
               request_set => [{ name => 'X-Tier', value => $value }] } }) }
$t->apply(docs(tenant('acme'), map({ plan('acme', $_) } qw(free gold guests)),
    tier('gold'),
    plan('acme', 'few', rate => 10, per_ms => 86_400_000, quota_day => 100),
    map({ app('acme', $_) } qw(one two)), rest('acme', 'off', $to),
    map({ (rest('acme', $_, $_ eq 'parts' ? \@parts : $to, $_ eq 'parts'
                ? (upstream => { split => { groups => [map {
                    { name => $_->{group}, weight => 1 } } @parts] } })
                : $_ eq 'query' ? (key_query => 'k')
                : $_ eq 'open' ? (open_plan => 'guests') : ()),
           policy($_, %{ $apis{$_} })) } sort keys %apis),
    map({ my $a = $_; map { sub_('acme', $_, $a, $a eq 'plans' && $_ eq 'two'
                                             ? 'gold' : $a =~ /^sp/ ? 'few'
                                             : 'free') } qw(one two) }
        'off', sort keys %apis),
    doc('Policy', 'acme', 'who', { type => 'headers', attach => [
        { api => 'who' }], config => { request_set => [
            { name => 'X-Who', value => '${application}' }] } }),
    map({ my ($api, $action) = @$_;
          doc('Policy', 'acme', "g-$api", { type => 'guardrail',
              attach => [{ api => $api }], config => {
              look_at => ['answer'], action => $action } }) }
        ['mask', 'mask'], ['judge', 'block']),
    doc('Policy', 'acme', 'o-asked', { type => 'opa',
        attach => [{ api => 'asked' }], config => { agent => 'judge',
        path => 'x', deadline_ms => 5000 } })));
my %key = map { $_ => $t->key('acme', $_) } qw(one two);
my $second = $t->key('acme', 'one');
$t->gateway(workers => 2, http => "stoa_opa judge http://127.0.0.1:$opa;",
    server => "listen 127.0.0.1:%%PORT_tls%% ssl; ssl_certificate $pem;"
        . " ssl_certificate_key $pem.key;");

sub call { my ($who, $path, %h) = @_;
           my $method = delete $h{':method'} || 'GET';
           return $t->http($method, "/apis/acme/$path",
               headers => { $who ? ('X-API-Key' => $key{$who}) : (), %h }) }
sub body { return call(@_)->{body} }
sub status { return call(@_)->{headers}{'cache-status'} // '' }
sub twice { my ($path, @h) = @_;      # is it answered from the cache?
            my ($a, $b) = (call('one', $path, @h), call('one', $path, @h));
            return $a->{status} == $b->{status} && $a->{body} eq $b->{body}
                ? 1 : 0 }

# what is kept

ok(!twice('off/a?cc=max-age%3d60'), 'no policy: nothing is kept');
my $r = call('one', 'plain/a?cc=max-age%3d60');
like($r->{headers}{'cache-status'}, qr/^stoa; fwd=uri-miss; stored$/, 'a miss');
my $s = call('one', 'plain/a?cc=max-age%3d60');
is($s->{body}, $r->{body}, 'a hit');
like($s->{headers}{'cache-status'}, qr/^stoa; hit; ttl=\d+$/, '... that says so');
like($s->{headers}{age}, qr/^\d$/, '... with its age');
is($s->{headers}{'content-type'}, 'text/plain', '... and its type');
ok($s->{headers}{'x-request-id'} ne $r->{headers}{'x-request-id'},
   '... and an id of its own');
for (['max-age%3d60', 1], ['s-maxage%3d60', 1], ['max-age%3d0', 0],
     ['no-store,max-age%3d60', 0], ['private,max-age%3d60', 0],
     ['private%3d"x",max-age%3d60', 0], ['no-cache', 0],
     ['max-age%3d60,max-age%3d0', 0], ['max-age%3dx', 0],
     ['MAX-AGE%3d"60"', 1], ['s-maxage%3d0,max-age%3d60', 0], ['', 0]) {
    my ($cc, $kept) = @$_;
    is(twice("plain/cc?cc=$cc"), $kept, "Cache-Control: $cc");
}
ok(twice('plain/ex?h=Expires:Fri, 01 Jan 2100 00:00:00 GMT' =~ s/ /%20/gr),
   'Expires');
ok(!twice('plain/ex0?h=Expires:0'), 'Expires: 0');
for my $p (map { "plain/age?cc=max-age%3d60&etag=a&h=Age:$_" }
           61, '9223372036854775807', '9300000000000000', '9' x 30) {
    call('one', $p);
    unlike(status('one', $p), qr/hit; ttl/, "what came too old: $p");
}
ok(twice('shared/d'), 'the time that the policy says');
ok(twice('shared/404?st=404'), '... of a 404');
ok(!twice("shared/s$_?st=$_&cc=max-age%3d60"), "a $_ is not kept")
    for 302, 401, 403, 429, 500, 503;
ok(!twice('shared/ck?h=Set-Cookie:a%3db'), 'an answer with a cookie is not');
$r = call('one', 'strip/ck?cc=max-age%3d60&h=Set-Cookie:a%3db');
$s = call('one', 'strip/ck?cc=max-age%3d60&h=Set-Cookie:a%3db');
is($r->{body}, $s->{body}, '... unless it is asked for');
ok($r->{headers}{'set-cookie'} && !$s->{headers}{'set-cookie'},
   '... and then without it');
ok(!twice('shared/ck2', Cookie => 'a=b'), 'a request with a cookie passes by');
ok(!twice('small/n?h=X:1&cc=max-age%3d60&n=101')
   || status('one', 'small/n?h=X:1&cc=max-age%3d60&n=101') !~ /hit/,
   'what is too long is not kept');

my $moved = 'shared/moved?st=301&h=Location:/x';
$r = call('one', $moved);
is(call('one', $moved)->{headers}{location}, $r->{headers}{location},
   'a kept redirect leads to the same place');

# whose it is

my $own = 'plain/own?cc=max-age%3d60';
is(body('one', $own), body('one', $own), 'a caller gets his own');
isnt(body('one', $own), body('two', $own), '... and nobody else does');
is(body('two', $own), body('two', $own), '... who has one, too');
for my $cc ('public,max-age%3d60', 's-maxage%3d60') {
    my $p = "plain/pub?cc=$cc";
    is(body('one', $p), body('two', $p), "for all: $cc");
}
is(body('one', 'shared/all'), body('two', 'shared/all'), '... or by policy');
is($t->http('GET', '/apis/acme/shared/all')->{status}, 401,
   'nobody gets what is kept without a credential');

is(body(undef, 'open/a'), body(undef, 'open/a'), 'who has no name gets his');
isnt(body('one', 'open/a'), body(undef, 'open/a'),
     '... and who has one another, whoever came first');
unlike(body('one', 'plans/a'), qr/tier=gold/, 'a plan that says nothing');
like(body('two', 'plans/a'), qr/tier=gold/,
     '... and one whose policies say something to the upstream');
unlike(body('one', 'plans/a'), qr/tier=gold/, '... are apart');
$t->apply(docs(tier('silver')));
wait_until { body('two', 'plans/a') =~ /tier=silver/ } 10
    or fail('what they said before counts no longer');

for (['X-API-Key', 'Authorization', 'Bearer '],
     ['Authorization', 'X-API-Key', '']) {
    my ($name, $ours, $before) = @$_;
    my $as = sub { my ($user, $key) = @_;
                   return $t->http('GET', "/apis/acme/plain/o-$name?cc=max-age%3d60", headers => {
                       $ours => $before . ($key // $key{one}),
                       $name => "Basic $user" })->{body} };
    my $his = $as->('alice');
    like($his, qr/^n/, "$name of the upstream");
    isnt($as->('bob'), $his, "... another's is another caller");
    is($as->('alice'), $his, '... and the same one is not');
    is($as->('alice', $second), $his,
       '... with whichever key of the application');
}

# what it is the answer to

my $p = 'shared/v?h=Vary:X-Lang';
isnt(body('one', $p, 'X-Lang' => 'a'), body('one', $p, 'X-Lang' => 'b'), 'Vary');
is(body('one', $p, 'X-Lang' => 'a'), body('two', $p, 'X-Lang' => 'a'), '... same');
ok(!twice('shared/vs?h=Vary:*'), 'Vary: *');
$p = 'shared/vl?h=Vary:X-A,X-B';
body('one', $p);
$r = call('one', $p, map { ($_ => 'x' x 5000) } qw(X-A X-B));
is($r->{status}, 200, 'what Vary names may be too long to be kept');
like($r->{headers}{'cache-status'}, qr/bypass/, '... it passes by');
like(status('one', $p), qr/hit/, '... and ends nothing');
for my $h ('X-Stoa-Application', 'X-Who') {
    $p = "who/v-$h?h=Vary:$h";
    my $one = body('one', $p);
    isnt(body('two', $p, $h => $_), $one,
         "Vary: $h, which the gateway says, and somebody says $_")
        for qw(one two);
}
$p = 'mask/ae?h=Vary:Accept-Encoding';
is(body('one', $p, 'Accept-Encoding' => 'br'),
   body('two', $p, 'Accept-Encoding' => 'br'),
   'Vary, and the upstream is asked otherwise');
$p = 'shared/gz?h=Content-Encoding:x-test';
isnt(body('one', $p, 'Accept-Encoding' => 'x-test'), body('one', $p),
     'an encoding that no Vary speaks of');
$p = 'shared/acao?h=Access-Control-Allow-Origin:https://a.example';
isnt(body('one', $p, Origin => 'https://a.example'),
     body('one', $p, Origin => 'https://b.example'), 'an origin, too');
isnt(body('one', 'shared/host', Host => 'a.example'),
     body('one', 'shared/host', Host => 'evil.example'), 'hosts are apart');
for my $h ('X-Original-URL', 'X-Rewrite-URL', 'X-HTTP-Method-Override',
           'X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded', 'X-Host',
           'X-Original-URI', 'X-Url-Scheme') {
    body('one', "shared/poison-$h", $h => 'evil');
    unlike(status('two', "shared/poison-$h"), qr/hit/, "$h poisons nobody");
}
is(body('one', 'shared/q?b=2&a=1&utm_x=1'), body('one', 'shared/q?a=1&b=2'),
   'a query in another order, without what is ignored');
isnt(body('one', 'shared/q?a=1&b=2'), body('one', 'shared/q?a=1&b=3'),
     '... another one is another');
isnt(body('one', 'shared/q?a=1&a=2'), body('one', 'shared/q?a=2&a=1'),
     '... and twice the same name keeps its order');
isnt(body('one', 'shared/x%2fy'), body('one', 'shared/x/y'), 'an encoded slash');
isnt($t->http('GET', '/apis/acme/shared/fat', headers => {
         'X-API-Key' => $key{one} }, body => 'evil')->{body},
     body('one', 'shared/fat'), 'a GET with a body is not kept');

# HEAD, ranges, conditions

my $c = 'shared/c?etag=e1&cc=max-age%3d60';
$r = call('one', $c, ':method' => 'HEAD');
unlike(status('one', $c), qr/hit/, 'HEAD keeps nothing');
$r = call('one', $c, ':method' => 'HEAD');
ok($r->{headers}{'cache-status'} =~ /hit/ && $r->{body} eq ''
   && $r->{headers}{'content-length'} > 5, '... and is answered by a GET');
is(call('one', $c, 'If-None-Match' => '"e1"')->{status}, 304, '304 of a hit');
$r = call('one', $c, Range => 'bytes=0-1');
is($r->{status}, 206, 'a part of a hit');
like($r->{body}, qr/^n\d$/, '... the right one');
$c = 'shared/c2?etag=e2&cc=max-age%3d60';
is(call('one', $c, 'If-None-Match' => '"e2"')->{status}, 200,
   "a client's condition does not reach the upstream");
like(status('two', $c), qr/hit/, '... and what comes is kept');
call('one', 'shared/r?cc=max-age%3d60', Range => 'bytes=0-1');
unlike(status('one', 'shared/r?cc=max-age%3d60'), qr/hit/, 'Range keeps nothing');

# asked again

$c = 'shared/e?etag=e3&cc=no-cache';
$r = call('one', $c);
$s = call('two', $c);
is($s->{body}, $r->{body}, 'no-cache: asked, and still good');
like($s->{headers}{'cache-status'}, qr/hit; detail=validated/, '... it says so');
is($s->{status}, 200, '... the 304 is not passed on');

$c = 'shared/e4?etag=e4&cc=max-age%3d60&h=X-Request-Id:evil|X-Stoa-Tenant:evil';
call('one', $c, 'Cache-Control' => 'no-cache') for 1 .. 2;
$r = call('one', $c);
like($r->{headers}{'cache-status'}, qr/hit; ttl/, 'good again after that');
unlike(join('|', values %{ $r->{headers} }), qr/evil/,
       '... nothing of the 304 is the word of the gateway');

# what requests say

$c = 'shared/req?cc=max-age%3d60';
my $b = body('one', $c);
for (['no-cache', 0], ['max-age=0', 0], ['min-fresh=100', 0],
     ['min-fresh=1', 1], ['max-age=50', 1], ['only-if-cached', 1]) {
    my ($cc, $hit) = @$_;
    my $st = status('one', $c, 'Cache-Control' => $cc);
    is($st =~ /hit/ ? 1 : 0, $hit, "request: $cc");
}
call('two', $c, 'Cache-Control' => 'no-cache', 'X-Bad' => 1);
like(status('one', $c), qr/hit/, 'who is told no takes it from nobody');
is(call('one', 'shared/none', 'Cache-Control' => 'only-if-cached')->{status},
   504, 'only-if-cached, and there is none');
like(status('one', 'shared/ns', 'Cache-Control' => 'no-store'), qr/bypass/,
     'no-store');
unlike(status('one', 'shared/ns'), qr/hit/, '... kept nothing');
call('one', 'deaf/a?cc=max-age%3d60');
like(status('one', 'deaf/a?cc=max-age%3d60', 'Cache-Control' => 'no-cache'),
     qr/hit/, 'a policy may not listen');

# what looks into answers looks into kept ones

for my $try (1, 2) {
    $r = call('one', 'mask/m?mail=1');
    unlike($r->{body}, qr/bob\@example/, "masked, call $try");
    is(call('one', 'judge/m?mail=1')->{status}, 502, "refused, call $try");
}
like($r->{headers}{'cache-status'}, qr/hit/, '... a kept one, too');

# what ends it

$c = 'shared/w?cc=max-age%3d60';
body('one', $c);
like(status('one', $c), qr/hit/, 'kept');
call('two', $c, ':method' => 'POST');
unlike(status('one', $c), qr/hit/, 'a POST to it ends it');
call('two', "$c&st=404", ':method' => 'DELETE');
like(status('one', $c), qr/hit/, '... one that failed, or another, does not');

# when the upstream is away

my @was = map { body('one', $_) } 'stale/a?cc=max-age%3d0',
    'shared/mr?etag=x&cc=max-age%3d0,must-revalidate';
spew($down, '');
$r = call('two', 'stale/a?cc=max-age%3d0');
is($r->{body}, $was[0], 'stale-if-error');
is($r->{status}, 200, '... as if nothing were wrong');
is(call('two', 'stale/b')->{status}, 503, '... where something is kept');
is(call('one', 'shared/mr?etag=x&cc=max-age%3d0,must-revalidate')->{status},
   503, 'must-revalidate: never');
unlink $down;

# one asks, the others wait; stale answers do not wait

sub many { my ($n, $path) = @_;
           my @c = map { $t->connection } 1 .. $n;
           $_->send_raw("GET /apis/acme/$path HTTP/1.1\r\nHost: x\r\n"
               . "X-API-Key: $key{one}\r\n\r\n") for @c;
           return @c }
my $before = -s $count;
my @c = many(8, 'shared/lock?wait=1&cc=max-age%3d60');
wait_until { -s $count > $before } 10;
select undef, undef, undef, 0.2;             # more would have come by now
spew($gate, '');
my %got; $got{ $_->response->{body} }++ for @c;
is(scalar keys %got, 1, 'eight at once: one answer');
is(-s $count, $before + 1, '... and one call to the upstream');
unlink $gate;
$c = 'shared/alone?etag=al&cc=no-cache';
spew($gate, '');
$_->response for many(1, "$c&wait=1");
unlink $gate;
$before = -s $count;
@c = many(3, "$c&wait=1");
ok(wait_until(sub { -s $count == $before + 3 }, 3),
   'what has to be asked about each time is not waited for');
spew($gate, '');
$_->response for @c;
unlink $gate;

# stale answers are asked for again by nobody in particular

spew($gate, '');
$c = 'while/a?wait=1&cc=max-age%3d0';
my $old = body('one', $c);
unlink $gate;
$before = -s $count;
for my $who (qw(one two one two)) {
    $r = call($who, $c);
    is($r->{body}, $old, "stale-while-revalidate: $who has the old one at once");
    like($r->{headers}{'cache-status'}, qr/hit; detail=stale/, '... it says so');
}
ok((wait_until { -s $count > $before } 5), '... another is asked for');
call('one', $c);
is(-s $count, $before + 1, '... once');
spew($gate, '');
ok((wait_until { body('one', $c) ne $old } 10), '... and takes its place');
$c = 'while/head?cc=max-age%3d0';
$old = body('one', $c);
is(call('one', $c, ':method' => 'HEAD')->{status}, 200, '... HEAD asks for it');
ok((wait_until { body('one', $c) ne $old } 10), '... too');
$c = 'while/bare';                        # without a query
$old = body('one', $c);
ok((wait_until { body('one', $c) ne $old } 10), '... without a query, too');
$c = 'while/e?etag=e5&cc=max-age%3d0';
$old = body('one', $c);
ok((wait_until { $t->metrics->{stoa_cache_refreshed_total} >= 3
                 && body('one', $c) eq $old } 5), '... by its validator');
$c = 'query/a?cc=public,max-age%3d0&k=' . $key{one};
my @own = (Authorization => 'Basic dTpw');
my $mine = sub { call('', $c, @own)->{body} };
$old = $mine->();
like($old, qr/^n\d+ /, 'a key in the query, beside what the upstream asks for');
ok((wait_until { $mine->() ne $old } 5), '... is not missing then');
my (%was, %now);
for (1, 2) { my ($name, $n) = split / /, body('one', 'parts/a');
             $was{$name} = $n }
is(join(' ', sort keys %was), 'blue green', 'each group has its answer');
ok((wait_until { my ($name, $n) = split / /, body('one', 'parts/a');
                 $now{$name} = 1 if $n > $was{$name}; keys %now == 2 } 5),
   '... and is asked for its own again');
unlink $gate;

# ... nor by another way than the client's, also where that waits

my $tls = sub { $t->http('GET', '/apis/acme/asked/a?cc=max-age%3d0', tls => 1,
    port => $t->port('tls'), key => $key{one})->{body} };
$old = $tls->();
like($old, qr/proto=https$/, 'over TLS');
my $new;
ok((wait_until { ($new = $tls->()) ne $old } 10), '... asked for again');
like($new, qr/proto=https$/, '... as if it were over TLS, too');

# what hits cost

sub left { my ($r) = @_;
           return join ',', $r->{headers}{ratelimit} =~ /"(?:rate|day)";r=(\d+)/g }
call('one', 'spent/a?cc=max-age%3d60');
is(left(call('one', 'spent/a?cc=max-age%3d60')), '8,98', 'a hit is charged');
call('one', 'spared/a?cc=max-age%3d60');
is(left(call('one', 'spared/a?cc=max-age%3d60')), '9,99', '... or is not')
    for 1 .. 2;
is(left(call('one', 'spared/b?cc=max-age%3d60')), '8,98', '... a miss is');
call('one', 'spared/c?cc=max-age%3d0,stale-while-revalidate%3d600');
$before = $t->metrics->{stoa_cache_refreshed_total};
is(left(call('one', 'spared/c?cc=max-age%3d0')), '6,96', '... another miss');
call('one', 'spared/c?cc=max-age%3d0,stale-while-revalidate%3d600');
ok((wait_until { $t->metrics->{stoa_cache_refreshed_total} > $before } 5),
   'what the gateway asks for by itself ...');
is(left(call('one', 'spared/a?cc=max-age%3d60')), '6,96',
   '... is charged to nobody');

# a change of the api begins with nothing

$c = 'shared/rev?cc=max-age%3d60';
body('one', $c);
$t->apply(docs(policy('shared', shared => $true, default_ttl_s => 61)));
wait_until { status('one', $c) !~ /hit/ } 10;
ok(1, 'another configuration knows nothing of what was kept before');

my $m = $t->metrics;
ok($m->{stoa_cache_hits_total} > 10, 'hits are counted');
$t->done;
