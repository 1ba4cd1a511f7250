#!/usr/bin/perl

# The harness itself: a client, a scripted origin and a bare nginx between.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new;

isnt($t->port('a'), $t->port('b'), 'two names, two ports');
is($t->port('a'), $t->port('a'), 'one name, one port');

my $port = $t->origin(sub {
    my ($q, $c) = @_;

    if ($q->{path} eq '/sse') {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                     . "Connection: close\r\n\r\n: hi\n\n"
                     . "id: 1\ndata: a\ndata: b\n\nevent: x\ndata: c\n\n");
        return undef;
    }
    return [204] if $q->{path} eq '/empty';
    return [200, [], "$q->{method} $q->{path} " . length $q->{body}];
});

$t->write_file('gw/nginx.conf', $t->bare_conf(<<"END"));
        location / {
            proxy_pass http://127.0.0.1:$port;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
END
$t->start_nginx('gw');

is($t->get('/x')->{body}, 'GET /x 0', 'through nginx');
is($t->http('POST', '/y', body => 'abc')->{body}, 'POST /y 3', 'a body');
is($t->get('/empty')->{status}, 204, 'no body');

my $c = $t->connection;
is($c->request('GET', '/1', keepalive => 1)->{body}, 'GET /1 0', 'first');
is($c->request('POST', '/2', keepalive => 1,
               headers => { 'Transfer-Encoding' => 'chunked' },
               body => "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")->{body},
   'POST /2 5', 'second on the same connection, chunked');
$c->close;

$c = $t->connection;
$c->send_raw($c->request_text('GET', '/sse'));
is($c->response(headers_only => 1)->{status}, 200, 'a stream opens');
is($c->event->{data}, "a\nb", 'its first event');
is($c->event->{event}, 'x', 'its second');
is($c->event, undef, 'its end');
$c->close;

my @before = $t->workers;
ok($t->reload(undef, drain => 1), 'reload');
isnt("@{[ $t->workers ]}", "@before", 'other workers');
is($t->get('/z')->{status}, 200, 'which answer');
is(scalar(grep { $_->{path} eq '/z' } $t->origin_log), 1, 'origin log');

is($t->http('GET', '/', port => $t->port('nobody'))->{status}, 0,
   'nobody there');

my ($code, $out) = $t->run_cmd(['/bin/sh', '-c', 'cat; exit 3'],
                               stdin => 'in');
is("$code $out", '3 in', 'a program');

$t->done;
