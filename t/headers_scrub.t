#!/usr/bin/perl

# Headers that must not reach an upstream as a client sends them: its key in
# any spelling, claims that only a proxy can make, what is for one hop, what
# leads a framework elsewhere.  And what an upstream may not say to a client.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

use MIME::Base64 qw(encode_base64);

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->origin(sub {
    my ($q) = @_;
    return [200, ['Content-Type' => 'application/json',
        Connection => 'X-Hop, x-other', 'X-Hop' => '1', 'X-OTHER' => '2',
        'X-Stay' => '3', 'Proxy-Authenticate' => 'Basic', TE => 'trailers',
        Upgrade => 'h2c', 'Proxy-Connection' => 'x', 'Keep-Alive' => '9',
        'X-Stoa-Identity' => 'evil', 'X_Stoa_Tenant' => 'evil'],
        json_encode($q)] if $q->{path} eq '/hop';
    return [200, [map { ("X-Large-$_" => 'x' x 3000) } 1 .. $1], '']
        if $q->{path} =~ m{^/large/(\d+)};
    return [200, ['Content-Type' => 'application/json'], json_encode($q)];
});
my $key = $f->world($port);
my ($secret) = $key =~ /_(\w+)$/;

sub fid { return Test::Stoa::FakeControl::id(@_) }

$f->api(2, $port, operations => [{ id => fid('m', 1), method => 'GET',
    path => '/', enabled => \1 }]);
$f->api(3, $port, host => 'own.test', base_path => '/own');
$f->api(4, $port, base_path => '/guard', operations_only => \1,
    operations => [{ id => fid('m', 2), method => 'GET', path => '/x',
                     enabled => \1 }]);
$f->put('subscription', 'sub:' . fid('a', 1) . ':' . fid('r', $_),
    { id => fid('s', $_), tenant => fid('t', 1), application => fid('a', 1),
      target => fid('r', $_), target_kind => 'api', plan => fid('p', 1),
      state => 'active', expires_ms => 0 }) for 2 .. 4;
$f->save;
$t->port('lb');
$t->gateway(wait => 0, http => <<'END', server => <<"END");
    underscores_in_headers on;
    ignore_invalid_headers off;
END
        location /apis/acme/echo/small/ {
            stoa;
            proxy_buffers 4 4k;
            rewrite ^/apis/acme/echo/small/(.*) /apis/acme/echo/\$1 break;
        }
        location /guard/ { stoa_protect tenant=acme api=api4;
                           proxy_pass http://127.0.0.1:$port; }
    }
    server {
        listen 127.0.0.1:%%PORT_lb%%;
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Forwarded-For;
        location / { stoa; }
    }
    server {
        listen 127.0.0.1:%%PORT_l4%% proxy_protocol;
        set_real_ip_from 127.0.0.1;
        real_ip_header proxy_protocol;
        location / { stoa; }
END
$f->ready or die 'not ready';

sub call {
    my ($path, @headers) = @_;
    my $port = ref $path ? (@$path)[1] : 'gw';
    my $c = $t->connection(port => $t->port($port));
    $c->send_raw("PROXY TCP4 9.9.9.9 127.0.0.1 1 2\r\n") if $port eq 'l4';
    my $r = $c->request('GET', ref $path ? $path->[0] : $path,
        headers => ['X-API-Key' => $key, @headers]);
    $c->close;
    my $j = json_decode($r->{body});
    $r->{sent} = $j->{headers} || {};
    return $r;
}
my $echo = '/apis/acme/echo/';


# the key

for my $path ($echo, '/guard/x') {
    for (['Authorization' => "Token $key"], ['Authorization' => "token=$key"],
         ['Authorization' => 'Basic ' . encode_base64("$key:", '')],
         ['Authorization' => "basic\t" . encode_base64("me:$key", '')],
         ['Authorization' => "Bearer\t$key"], ['X_API_Key' => $key],
         ['X.API-Key' => "  $key"], ['Api-Key' => $key],
         ['X-Token' => "a=$key; b"], ['Cookie' => "a=b; key=$key; c=d"],
         ['Proxy-Authorization' => "Bearer $key"],
         ['Referer' => "http://x/?k=$key"])
    {
        my $r = call($path, @$_);
        my $all = json_encode($r->{sent});
        (my $plain = $all) =~ s/basic\s+([\w+\/=]+)/MIME::Base64::decode($1)/ie;
        is($r->{status}, 200, "beside @$_[0]: 200");
        unlike("$all$plain", qr/\Q$secret/, "@$_[0] @{[substr $_->[1], 0, 12]}"
               . " ($path)");
    }
    my $r = call($path, Authorization => 'Basic ' . encode_base64('a:b', ''),
        Cookie => 'a=b');
    is($r->{sent}{authorization}, 'Basic YTpi', 'another one stays');
    is($r->{sent}{cookie}, 'a=b', 'a cookie too');
    like(call($path, Cookie => "a=b; k=$key; c=d")->{sent}{cookie},
         qr/^a=b; k=stoa_live_\w+_\*+; c=d$/, 'and loses nothing else');
}
my $c = $t->connection;
for my $value ("$key\t", "\t$key", " \t $key \t ") {
    $c->send_raw("GET $echo HTTP/1.1\r\nHost: x\r\nX-API-Key:$value\r\n\r\n");
    is($c->response->{status}, 200, 'tabs and blanks around a key');
    $c->send_raw("GET $echo HTTP/1.1\r\nHost: x\r\n"
                 . "Authorization: bearer \t $value\r\n\r\n");
    is($c->response->{status}, 200, 'and a Bearer');
}
for ("X-API-Key:", "X-API-Key: \t", 'Authorization: Bearer',
     "Authorization: Bearer \t")
{
    $c->send_raw("GET $echo HTTP/1.1\r\nHost: x\r\n$_\r\n\r\n");
    like($c->response->{body}, qr/key_missing/, "nothing presented: $_");
}
$c->close;


# what only a proxy can say

my %claim = (Forwarded => 'for=1.1.1.1;host=evil', 'X-Real-IP' => '1.1.1.1',
    'X-Forwarded-Port' => '1', 'X-Forwarded-Prefix' => '/evil',
    'X-Forwarded-Server' => 'evil', 'X-Forwarded-Ssl' => 'on',
    'X-Forwarded-Whatever' => 'evil', 'X_Forwarded_For' => '1.1.1.1',
    'X.Forwarded-For' => '1.1.1.1', 'X_Forwarded_Host' => 'evil',
    'X_Real_IP' => '1.1.1.1', 'True-Client-IP' => '1.1.1.1',
    'CF-Connecting-IP' => '1.1.1.1', 'X-Client-IP' => '1.1.1.1',
    'X-Cluster-Client-IP' => '1.1.1.1', 'Client-IP' => '1.1.1.1',
    'Proxy' => 'http://evil', 'X.Stoa-Tenant' => 'evil',
    'X-Stoa.Tenant' => 'evil', 'X!stoa#tenant' => 'evil',
    'X.Request-Id' => 'evil', 'X-Forwarded-For' => '1.1.1.1',
    'X-Forwarded-Proto' => 'https', 'X-Forwarded-Host' => 'evil');
my $r = call($echo, %claim);
unlike(json_encode($r->{sent}), qr/evil|1\.1\.1\.1/, 'claims of a client');
is(join(' ', grep { /forwarded/ } sort keys %{ $r->{sent} }),
   'x-forwarded-for x-forwarded-host x-forwarded-prefix x-forwarded-proto',
   'ours remain');
is($r->{sent}{'x-forwarded-for'}, '127.0.0.1', 'who it is');
is($r->{sent}{'x-forwarded-proto'}, 'http', 'how it came');

# a proxy of ours in front: real_ip knows it

my @lb = ('X-Forwarded-For' => '5.5.5.5', 'X-Forwarded-Proto' => 'https',
    'X-Forwarded-Port' => '443', 'X-Forwarded-Host' => 'evil',
    'Forwarded' => 'for=5.5.5.5;proto=https');
$r = call([$echo, 'lb'], @lb);
is($r->{sent}{'x-forwarded-for'}, '5.5.5.5, 5.5.5.5', 'real_ip: For');
is($r->{sent}{'x-forwarded-proto'}, 'https', 'real_ip: Proto');
is($r->{sent}{'x-forwarded-port'}, '443', 'real_ip: Port');
is($r->{sent}{forwarded}, 'for=5.5.5.5;proto=https', 'real_ip: Forwarded');
unlike($r->{sent}{'x-forwarded-host'}, qr/evil/, 'the host is what routed');
is(call([$echo, 'lb'], 'X-Forwarded-For' => '5.5.5.5',
        'X-Forwarded-Proto' => 'gopher')->{sent}{'x-forwarded-proto'},
   'http', 'no such protocol');
is(call([$echo, 'lb'], 'X-Forwarded-Proto' => 'https')
   ->{sent}{'x-forwarded-proto'}, 'http', 'an address that names nobody else');
$r = call([$echo, 'l4'], @lb);
is($r->{sent}{'x-forwarded-for'}, '9.9.9.9',
   'the PROXY protocol: headers are the client\'s');
is($r->{sent}{'x-forwarded-proto'}, 'http', 'all of them');


# the host is the one that was routed on

for (['http://own.test/own/x', 'other.test', 'own.test'],
     ['http://OWN.test:81/own/x', 'other.test', 'own.test:81'],
     ['http://own.test./own/x', 'other.test:5', 'own.test'],
     ['/own/x', 'own.test:82', 'own.test:82'],
     ['/own/x', 'Own.Test', 'own.test'])
{
    my ($path, $host, $want) = @$_;
    my $r = call($path, Host => $host);
    is($r->{sent}{'x-forwarded-host'}, $want, "$path for $host");
}


# for one hop

$r = call($_, Connection => 'close, X-Foo, x-bar ,, Content-Type, Host',
    'X-Foo' => 1, 'X-BAR' => 2, 'X-Baz' => 3, 'Content-Type' => 'a/b',
    'Proxy-Authorization' => 'x', 'Proxy-Connection' => 'x',
    'Proxy-Authenticate' => 'x', 'Keep-Alive' => 'x', TE => 'trailers')
    and is(join(' ', map { $r->{sent}{$_} // '-' } qw(x-foo x-bar x-baz
        content-type proxy-authorization proxy-connection proxy-authenticate
        keep-alive te)), '- - 3 a/b - - - - -', "hop by hop: $_")
    for $echo, '/guard/x';
is(call($echo, Connection => join(',', 'close', map { "x$_" } 1 .. 100))
   ->{status}, 400, 'a hundred options are none');
$r = call("${echo}hop");
is(join(' ', map { $r->{headers}{$_} // '-' } qw(x-hop x-other x-stay
    proxy-authenticate te upgrade proxy-connection keep-alive x-stoa-identity
    x_stoa_tenant)), '- - 3 - - - - - - -', 'and back');


# headers of an answer: up to 32 KiB, or what the operator says

is($t->get("${echo}large/$_->[0]", key => $key)->{status}, $_->[1],
   "$_->[0] headers of 3 kB") for [1, 200], [10, 200], [11, 502];
is($t->get("/apis/acme/echo/small/large/2", key => $key)->{status}, 502,
   'buffers of the operator');
is($t->get("/apis/acme/echo/small/large/1", key => $key)->{status}, 200,
   'that are large enough');


# steering

my %steer = map { $_ => 'DELETE' } qw(X-HTTP-Method-Override X-HTTP-Method
    X-Method-Override X-Original-URL X-Rewrite-URL X_HTTP_Method_Override);
for my $path ('/apis/acme/api2/', '/guard/x') {
    my $r = call($path, %steer);
    is($r->{status}, 200, "an api with operations ($path)");
    unlike(json_encode($r->{sent}), qr/DELETE/, 'decides which one it is');
}
is(call($echo, 'X-HTTP-Method-Override' => 'DELETE')
   ->{sent}{'x-http-method-override'}, 'DELETE', 'others: as it was sent');


# a trace that is none has no state

$r = call($echo, traceparent => 'junk', tracestate => 'a=1');
is($r->{sent}{tracestate}, undef, 'a state without its trace');
$r = call($echo, tracestate => 'a=1', traceparent =>
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
is($r->{sent}{tracestate}, 'a=1', 'with it');

$f->done;
