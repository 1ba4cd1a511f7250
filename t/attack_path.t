#!/usr/bin/perl

# Ways around the pipeline: odd paths, hosts, methods, framing, arguments;
# what reaches an upstream is what was judged, and no secret reaches a log.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;
use Time::HiRes qw(time);

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin;
my $key = $f->world($port);
my $n = 1;

sub fid { return Test::Stoa::FakeControl::id(@_) }
sub subscribe {
    my ($i) = @_;
    $f->put('subscription', 'sub:' . fid('a', 1) . ':' . fid('r', $i),
        { id => fid('s', $i), tenant => fid('t', 1),
          application => fid('a', 1), target => fid('r', $i),
          target_kind => 'api', plan => fid('p', 1), state => 'active',
          expires_ms => 0 });
}
sub op { my ($i, $method, $path, %o) = @_;
         return { id => fid('m', $i), method => $method, path => $path,
                  enabled => \1, %o } }

$f->api(2, $port, key_query => 'k');
$f->api(3, $port, operations_only => \1, operations => [
    op(1, 'GET', '/public/{id}'), op(2, 'GET', '/closed', enabled => \0),
    op(3, 'POST', '/public/{id}') ]);
$f->api(4, $port, key_query => 'k', ip_deny => ['127.0.0.0/8']);
$f->api(5, $port, host => 'own.test', base_path => '/base',
    strip_base_path => \0, operations_only => \1, operations => [
    op(4, 'GET', '/open') ]);
$f->api(6, $port, key_query => 'k', base_path => '/six',
    strip_base_path => \0);
$f->api(7, $port, operations => [ op(5, 'GET', '/users/{id}'),
    op(6, 'GET', '/users/me', enabled => \0) ]);
$f->api(8, $port, operations_only => \1, operations => [
    op(7, 'GET', '/users/{id}'), op(8, 'GET', '/users/me',
    enabled => \0) ]);
$f->api(9, $port, keep_encoded_slashes => \1, base_path => '/kept',
    operations_only => \1, operations => [
    op(9, 'GET', '/p/{id}/f/{name}'), op(10, 'GET', '/p/{id}/g') ]);
subscribe($_) for 2 .. 9;
$f->save;
$t->gateway(wait => 0, workers => 1, http => <<'END');
    log_format full '$request|$request_uri|$args|$http_referer|$status';
    underscores_in_headers on;
    server {
        listen 127.0.0.1:%%PORT_slash%%;
        merge_slashes off;
        location / { stoa; }
    }
END
$f->ready or die 'not ready';

my $head = "Host: x\r\nX-API-Key: $key\r\n";

sub raw {
    my ($text, $port) = @_;
    my $c = $t->connection(port => $t->port($port // 'gw'));
    $c->send_raw($text);
    my $r = $c->response;
    $c->close;
    return $r;
}
sub line { my ($line, $more) = @_;
           return raw("$line HTTP/1.1\r\n${head}Connection: close\r\n"
                      . ($more // '') . "\r\n") }
sub sent { my $r = line(@_);
           my $j = Test::Stoa::Base::json_decode($r->{body});
           return $r->{status} == 200 && $j->{method}
                  ? $j->{path} . (defined $j->{query} ? "?$j->{query}" : '')
                  : $r->{status} }


# an argument that is the key's by name never changes another part

is(sent('GET /apis/acme/api2/foo/book?k=o&name=book'),
   '/foo/book?name=book', 'a short argument masks nothing else');
is(sent('GET /apis/acme/api2/foo/bar?k=/&x=/'), '/foo/bar?x=/',
   'nor slashes');
is(sent('GET /six/a?k=s&s=1'), '/six/a?s=1', 'nor a base path');
is(sent('GET /apis/acme/api2/a?x=k&k=x'), '/a?x=k', 'nor other arguments');

my $start = time;
sent('GET /apis/acme/api2/?' . 'k=a&' x 1900) for 1 .. 20;
cmp_ok(time - $start, '<', 2, 'two thousand keys cost little');

# refused before anybody looked for a key

is($t->get("/apis/acme/api4/?k=$key")->{status}, 403, 'an address');
is(scalar(grep { /\Q$key/ } $t->log_lines('gw'),
          $t->log_lines('gw', 'error.log')), 0,
   'no log has the key of a call that was refused early');


# paths: what is judged is what is sent

for ([ '/public/7', '/public/7' ],
     [ '/public/7?a=/admin', '/public/7?a=/admin' ],
     [ '//public//7', '/public/7' ],
     [ '/./public/./7', '/public/7' ],
     [ '/x/../public/7', '/public/7' ],
     [ '/public/%37', '/public/%37' ],
     [ '/public/a%3fb', '/public/a%3fb' ],
     [ '/public/..', 404 ],
     [ '/public/../admin', 404 ],
     [ '/public/%2e%2e/admin', 404 ],
     [ '/public/..%2fadmin', 404 ],
     [ '/public/7%2f..%2f..%2fadmin', 404 ],
     [ '/public/7/', 404 ],
     [ '/public/', 404 ],
     [ '/PUBLIC/7', 404 ],
     [ '/public/7%00', 400 ],
     [ '/public/%zz', 400 ],
     [ '/closed', 404 ],
     [ '/admin', 404 ],
     [ '/../echo/admin', '/admin' ],
     [ '/../../../etc', 404 ],
     [ '/public/..;', 400 ],
     [ '/public/..;a=b', 400 ],
     [ '/public/%2e%2e;', 400 ],
     [ '/public/..%3b', 400 ],
     [ '/public/.;', 400 ],
     [ '/public/..%5cadmin', 400 ],
     [ '/public/..\\admin', 400 ],
     [ '/public/x%5c..%5c..', 400 ],
     [ '/public/a..;b', '/public/a..;b' ],
     [ '/public/...;b', '/public/...;b' ],
     [ '/public/7;a=../b', 404 ],
     [ '/public/.well', '/public/.well' ])
{
    my $got = sent("GET /apis/acme/api3$_->[0]");
    is($got, $_->[1], "path $_->[0]");
}
for (qw(/apis/acme/api3 /apis/acme /apis/acme//api3
        /apis//acme/api3/ /APIS/acme/api3/public/7
        /apis/Acme/api3/public/7 /apis/acme/api3;x/public/7
        /apis/acme/api3%20/public/7))
{
    is(sent("GET $_"), 404, "no route $_");
}
is(sent('GET /' . 'a' x 9000), 414, 'a long path');


# an operation that is switched off is off in every spelling that servers take
# for the same path

for my $api (7, 8) {
    is(sent("GET /apis/acme/api$api$_"), 404, "off: $_ of $api")
        for '/users/me', '/users/%6de', '/users/me/', '/users//me',
            '/users/me//', '/users/me;x=1', '/users/me;', '/users;a=b/me',
            '/users/me%3bx', '/users/me/;x', '/users/me.', '/users/me%20',
            '/users/me/%2e', '/users/;x/me';
    is(sent("GET /apis/acme/api$api$_"), 400, "no URI: $_ of $api")
        for '/users\\me', '/users/me\\', '/users%5cme', '/users/1\\delete',
            '/users/1%5cdelete';
    is(sent("GET /apis/acme/api$api/users/you;x=1"), '/users/you;x=1',
       'another one is not');
}
is(sent('POST /apis/acme/api7/users/me'), '/users/me', 'nor another method');
is(sent('GET /apis/acme/echo/a%5cb'), '/a%5cb',
   'an api without operations gets what it was sent');
is(sent("GET /apis/acme/$_"), 400, "never a URI: $_")
    for 'echo/a\\b', 'echo\\a', 'nope\\a';
is(sent('GET /apis/acme/echo/a?b\\c'), '/a?b\\c', 'in a query it is data');


# what is not touched of a path keeps its bytes

for (['/x/../a/b%3Bc%2B%26%3D;d', '/a/b%3Bc%2B%26%3D;d'],
     ['//a/%7e%41', '/a/%7e%41'], ['/a%2Fb%2fc%3bd', '/a/b/c%3bd'],
     ['/./%c3%a9/', '/%c3%a9/'], ['/a/%2e/b%20c', '/a/b%20c'],
     ['/a%2f%2fb/%2e%2e/%3b', '/a/%3b'], ['/a/b/..', '/a/'])
{
    is(sent("GET /apis/acme/echo$_->[0]"), $_->[1], "mended: $_->[0]");
}

# encoded slashes that an api keeps

for my $base ('/apis/acme/api9', '/kept') {
    for (['/p/g%2Fn/f/a%2Fb.txt', '/p/g%2Fn/f/a%2Fb.txt'],
         ['/p/g%2fn/f/%41', '/p/g%2fn/f/%41'],
         ['/p/1/x/../f/a%2fb', '/p/1/f/a%2fb'], ['/p/1/f/2', '/p/1/f/2'],
         ['/p/1%2fg', 404], ['/p%2f1/g', 404], ['/p/1/f/a/b', 404],
         ['/p/1/f/a%2f..%2f..%2fg', 400], ['/p/1/f/..%2fg', 400],
         ['/p/1/f/a%2f.', 400], ['/p/1/f/a%2f%2fb', 400],
         ['/p/1/f/a%2f..;%2fb', 400], ['/p/1/f/%2e%2e%2fg', 400],
         ['%2fp/1/g', 400], ['/p/a%5cb/g', 400], ['/p/1/f/%252f', '/p/1/f/%252f'])
    {
        is(sent("GET $base$_->[0]"), $_->[1], "kept: $base$_->[0]");
    }
}
is(sent('GET /apis/acme%2fapi9/p/1/g'), 400, 'not before the api\'s part');
is(sent('GET %2fkept/p/1/g'), 400, 'nor there');


# slashes that are not merged

for (['echo/fetch/http://x.test//a', '/fetch/http://x.test//a'],
     ['echo//', '//'], ['api3/public//7', 404], ['api3//public/7', 404],
     ['api8/users//me', 404], ['api7/users//me', 404],
     ['api7//users/me//', 404], ['api3/x//../../public/7', '/public/7'],
     ['api3/x//..//../public/7', 404])
{
    my $r = raw("GET /apis/acme/$_->[0] HTTP/1.1\r\n${head}"
                . "Connection: close\r\n\r\n", 'slash');
    my $j = Test::Stoa::Base::json_decode($r->{body});
    is($r->{status} == 200 ? $j->{path} : $r->{status}, $_->[1],
       "merge_slashes off: $_->[0]");
}

# hosts

is(sent('GET http://own.test/base/open'), '/base/open',
   'the absolute form names the host');
is(sent('GET http://own.test./base/open'), '/base/open', 'with a dot');
is(sent('GET http://own.test:1/base/open'), '/base/open', 'with a port');
is(sent('GET http://OWN.test/base/../base/open'), '/base/open', 'any case');
is(sent('GET http://own.test/base/openx'), 404, 'no such operation');
is(sent('GET http://own.test/basex/open'), 404, 'no such base path');
is(sent('GET /base/open', "X-Forwarded-Host: own.test\r\n"), 404,
   'X-Forwarded-Host does not route');
for ("Host: a\r\nHost: own.test", 'Host: own.test/base', "Host: a b",
     'Host:', "Host: own.test\@x")
{
    my $r = raw("GET /base/open HTTP/1.1\r\n$_\r\nX-API-Key: $key\r\n"
                . "Connection: close\r\n\r\n");
    like($r->{status}, qr/^40[04]$/, "refused: $_" =~ s/\r\n/, /r);
}


# without a key no method gets through, with one only those of nginx do

my $before = $t->origin_log;
for my $m (qw(GET HEAD POST PUT DELETE OPTIONS PATCH PROPFIND FOO TRACE
              CONNECT))
{
    my $r = raw("$m /apis/acme/echo/ HTTP/1.1\r\nHost: x\r\n"
                . "Connection: close\r\n\r\n");
    like($r->{status}, qr/^40[015]$/, "$m without a key");
}
is(scalar(my @now = $t->origin_log), $before, 'no upstream was asked');
is(line("$_ /apis/acme/echo/")->{status}, 405, "$_ with one") for 'TRACE';


# framing

for ("Content-Length: 3\r\nTransfer-Encoding: chunked",
     "Content-Length: 3\r\nContent-Length: 4",
     "Content-Length: 3, 3", 'Content-Length: -1', 'Content-Length: +3',
     "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
     'Transfer-Encoding: identity, chunked', 'Transfer-Encoding: xchunked',
     'Transfer-Encoding: chunked, gzip', "Content-Length : 3")
{
    my $b = @{[ $t->origin_log ]};
    my $r = raw("POST /apis/acme/echo/ HTTP/1.1\r\n$head$_\r\n\r\n"
                . "0\r\n\r\nGET /apis/acme/echo/smuggled HTTP/1.1\r\n"
                . "$head\r\n");
    like($r->{status}, qr/^(?:400|501)$/, "refused: $_" =~ s/\r\n/, /r);
    is(scalar(my @l = $t->origin_log), $b, 'and nothing was sent');
}

my $c = $t->connection;
$c->send_raw("POST /apis/acme/echo/a HTTP/1.1\r\n$head"
    . "Transfer-Encoding: chunked\r\n\r\n3;x=\"\r\"\r\nabc\r\n0\r\n"
    . "X-Stoa-Tenant: evil\r\n\r\n");
my $r = $c->response(timeout => 3);
ok($r->{status} == 400 || $r->{body} !~ /evil/, 'trailers are no headers');
$c->close;

$c = $t->connection;
$c->send_raw("POST /apis/acme/echo/a HTTP/1.1\r\nHost: x\r\n"
    . "Content-Length: 40\r\n\r\n"
    . "GET /apis/acme/echo/ HTTP/1.1\r\nHost: x\r\n\r\n");
is($c->response->{status}, 401, 'a refused body is no request ...');
$c->send_raw("GET /apis/acme/echo/ HTTP/1.1\r\n${head}Connection: close\r\n"
             . "\r\n");
my @more;
while (my $r = $c->response(timeout => 2)) {
    last unless $r->{status};
    push @more, $r->{status};
}
isnt($more[0] // 0, 200, '... and what follows is not mixed up')
    if @more > 1;
$c->close;

# a connection carries no identity

$c = $t->connection;
is($c->request('GET', '/apis/acme/echo/', keepalive => 1,
               headers => { 'X-API-Key' => $key })->{status}, 200, 'a call');
is($c->request('GET', '/apis/acme/echo/', keepalive => 1)->{status}, 401,
   'the next one on the connection needs its own key');
$c->close;


# Upgrade, Connection

$r = line('GET /apis/acme/echo/', "Upgrade: h2c\r\n"
          . "Connection: Upgrade, X-Stoa-Tenant\r\n"
          . "Proxy-Connection: x\r\nX_STOA_TENANT: evil\r\n"
          . "x-stoa_identity: evil\r\nX-STOA-: evil\r\n");
my $h = Test::Stoa::Base::json_decode($r->{body})->{headers};
is(join(' ', grep { /stoa|^upgrade|api.key/i } sort keys %$h), '',
   'nothing of the connection and of ours goes on');
unlike($r->{body}, qr/evil/, 'no value either');

$f->done;
