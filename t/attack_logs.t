#!/usr/bin/perl

# No key reaches a log, wherever a client puts it and whoever refuses the
# request: nginx while it reads, the route, a location of somebody else.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin;
my $key = $f->world($port);
my ($start, $id, $secret) = $key =~ /^(stoa_[a-z]+_)([^_]+)_(\w+)$/;

sub fid { return Test::Stoa::FakeControl::id(@_) }

$f->api(2, $port, key_query => 'k', base_path => '/own');
$f->put('subscription', 'sub:' . fid('a', 1) . ':' . fid('r', 2),
    { id => fid('s', 2), tenant => fid('t', 1), application => fid('a', 1),
      target => fid('r', 2), target_kind => 'api', plan => fid('p', 1),
      state => 'active', expires_ms => 0 });
$f->save;

# as it ships
my ($shipped) = slurp("$Test::Stoa::ROOT/conf/stoa.conf")
    =~ /(log_format stoa_json .*?;)\n/s;
my ($level) = slurp("$Test::Stoa::ROOT/conf/stoa.conf")
    =~ /^error_log \S+ (\w+);/m;
is($level, 'notice', 'the level that ships');
$t->write_file('html/a.txt', 'a file');
$t->gateway(wait => 0, workers => 1, level => $level, http => "$shipped
    access_log logs/json.log stoa_json;\n" . <<'END',
    log_format all '$request|$request_uri|$uri|$args|$query_string|$is_args|'
        '$http_referer|$http_x_api_key|$http_authorization|$status|$arg_k';
    access_log logs/all.log all;
    access_log logs/combined.log combined;
    client_max_body_size 1k;
END
    server => <<'END');
        location /rw/ { stoa_protect tenant=acme api=api2;
                        rewrite ^/rw/(.*)$ /apis/acme/echo/$1 last; }
        location /guard/ { stoa_protect tenant=acme api=api2;
                           root %%DIR%%/html; }
        location /files/ { root %%DIR%%/html; }
        location /body/ { stoa; client_max_body_size 10; }
        location /dead/ { stoa_protect tenant=acme api=api2;
                          proxy_pass http://127.0.0.1:%%PORT_dead%%; }
END
$f->ready or die 'not ready';

sub raw {
    my ($text) = @_;
    my $c = $t->connection;
    $c->send_raw($text);
    my $r = $c->response(timeout => 5);
    $c->close;
    return $r->{status} || 0;
}
sub get { my ($path, $more) = @_;
          return raw("GET $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     . ($more // '') . "\r\n") }

(my $odd = $key) =~ s/_/%5f/g;
my $hex = join '', map { sprintf '%%%02x', ord } split //, $key;
(my $twice = $hex) =~ s/%/%25/g;

is(get("/own/a?k=$key"), 200, 'a good call');
is(get("/own/a?k=$odd&x=$key"), 200, 'with an encoded key');
is(get("/own/a?k=$hex"), 200, 'with one that is encoded whole');
is(get("/own/a?k=$key", "X_Foo: 1\r\n"), 200, 'with an odd header');
is(get("/own/a?k=$key", "Referer: http://x/?k=$key\r\n"), 200,
   'with a Referer');
is(get('/own/a', "X-API-Key: $key\r\nReferer: http://x/?k=$odd\r\n"), 200,
   'with one of another page');
is(get('/apis/acme/echo/', "X_API_Key: $key\r\n"), 401, 'a slip');
is(get('/apis/acme/echo/', "Authorization: Bearer $key\r\n" x 2), 400,
   'two Authorization lines');
is(get('/apis/acme/echo/', "X-API-Key\x01: $key\r\n"), 400, 'a control byte');
is(get('/apis/acme/echo/', "X-API-Key: $key\x00\r\n"), 400, 'a NUL');
is(get("/own/..;/x?k=$key"), 400, 'refused by the route');
is(get("/own/a\\b?k=$key"), 400, 'a backslash');
is(get("/apis/acme/typo/x?k=$key"), 404, 'a typo');
is(get("/apis/acme/echo/x?$_"), 401, 'another name: ' . substr $_, 0, 5)
    for "k=$key", "api_key=$key", $key, "x=%73toa_${\ substr $key, 5}",
        "x=%2573toa_${\ substr $key, 5}", "x=$twice", "x=%25$twice";
is(get("/rw/x?k=$key"), 401, 'rewritten');
is(get("/guard/none?k=$key"), 404, 'behind stoa_protect');
is(get("/files/none?k=$key"), 404, 'in somebody else\'s location');
is(get("/dead/?x=$key&k=$key"), 502, 'an upstream that is down');
is(get("/mcp/acme?k=$key"), 401, 'MCP');
is(get("/own/$twice/x?$twice", "X-API-Key: $key\r\nReferer: http://x/"
       . "?k=$twice\r\n"), 200, 'in the path and the Referer, encoded twice');
is(get("/own/$key/x", "X-API-Key: $key\r\n"), 200, 'in the path');
is(get("/$key"), 404, 'alone');
is(get("/stoa/none?k=$key"), 404, 'no route');
is(get("http://own.test/own/x?k=$key"), 200, 'the absolute form');
is(get("/own/%zz?k=$key"), 400, 'no path');
is(get("/own/a?k=$key", "Bad Header: 1\r\n"), 400, 'no header');
is(get("/own/a?k=$key", "Host: y\r\n"), 400, 'two hosts');
is(get("/own/a?k=$key", 'X: ' . 'x' x 40000 . "\r\n"), 431, 'a long header');
is(get("/own/a?k=$key&" . 'x' x 40000), 414, 'a long line');
is(raw("GET /own/a?k=$key HTTP/1.1\r\n\r\n"), 400, 'no host');
is(raw("GET /own/a?k=$key HTTP/3.1\r\n\r\n"), 505, 'no such version');
is(raw("TRACE /own/a?k=$key HTTP/1.1\r\nHost: x\r\n\r\n"), 405, 'TRACE');
is(raw("POST $_?k=$key HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"),
   413, "a body: $_") for '/body/', '/own/a', '/files/a.txt';
is(raw("POST /body/?k=$key HTTP/1.1\r\nHost: x\r\n"
       . "Transfer-Encoding: x\r\n\r\n"), 501, 'a coding');
raw("GET /own/a?k=$key\r\n");

my $c = $t->connection;
$c->send_raw("POST /own/a?k=$key HTTP/1.1\r\nHost: x\r\n"
             . "Content-Length: 500\r\n\r\nabc");
$c->close;
$c = $t->connection;
$c->send_raw("GET /own/gone?k=$key HTTP/1.1\r\nHost: x\r\nX-Half");
$c->close;
wait_until { 3 <= grep { m{/own/(?:a|gone)\?.* (?:400|408|499|0)} }
    $t->log_lines('gw', 'combined.log') } 5;

my %leak;
for my $file (qw(access.log all.log combined.log error.log)) {
    my @lines = $t->log_lines('gw', $file);
    cmp_ok(scalar @lines, '>', 0, "$file has lines");
    for my $line (@lines) {
        my $plain = $line;
        1 while $plain =~ s/%([0-9a-f]{2})/chr hex $1/gie;
        push @{ $leak{$file} }, $line if $plain =~ /\Q$secret/;
    }
    is(join("\n", @{ $leak{$file} || [] }), '', "and no key: $file");
}
ok((grep { /\Q$start$id\E_\*+/ } $t->log_lines('gw', 'all.log')),
   'of a key its id is told');

# each line of the format that ships is JSON, whatever bytes a client sends

is(get("/own/\xff\xe2\x80\xa8%ff\"?\xc3\x28", "User-Agent: a\xff\"\\\xc3\xa9\r\n"
       . "Referer: \xff\r\nX-API-Key: $key\r\n"), 200, 'odd bytes');
is(raw("GET /apis/acme/\xf8 HTTP/1.1\r\nHost: \"\xff\r\n\r\n"), 404,
   'an odd host');
my @json;
wait_until { @json = $t->log_lines('gw', 'json.log');
             grep { m{"/apis/acme/} } @json[-2 .. -1] } 5;
is(join("\n", grep { !json_decode($_) } @json), '', 'all lines are JSON');
like($json[-2], qr{"uri":"/own/\?\xe2\x80\xa8\?\\"".*"agent":"a\?\\"\\\\\xc3\xa9"},
     'what is UTF-8 stays');

my @sent = $t->origin_log;
is(scalar(grep { json_encode($_) =~ /\Q$secret/ } @sent), 0,
   'and no upstream has it');

$f->done;
