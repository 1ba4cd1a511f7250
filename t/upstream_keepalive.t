#!/usr/bin/perl

# Idle connections to upstreams: used again, also by another api with the same
# address; one that the upstream closed is nobody's failure; what breaks in an
# answer is seen as broken; a gateway that ends closes them all.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');

$t->control;
my $port = $t->origin(sub {
    my ($q, $c) = @_;
    my $answer = [200, ['Content-Type' => 'application/json'],
                  json_encode({ pid => $$, n => $q->{n} })];

    # silently: the first answer is good, then the connection is gone

    if ($q->{path} =~ /once/) {
        my $body = $answer->[2];
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
        return undef;
    }

    # a connection that was used before breaks at the next request

    return undef if $q->{path} =~ /fresh/ && $q->{n} > 1;

    if ($q->{path} =~ /cut/) {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        return undef;
    }

    if ($q->{path} =~ /closes/) {
        push @{ $answer->[1] }, Connection => 'close';
    }
    return $answer;
});
my $to = "http://127.0.0.1:$port";
$t->apply(docs(tenant('acme'), app('acme', 'demo'), plan('acme', 'free'),
    map { (rest('acme', $_, $to, $_ eq 'none'
               ? (upstream => { idle_timeout_ms => 0 }) : $_ eq 'short'
               ? (upstream => { idle_timeout_ms => 50 }) : ()),
           sub_('acme', 'demo', $_, 'free')) } qw(one two none short)));
$t->gateway;
my $key = $t->key('acme', 'demo');
$t->sync;

sub call { my ($path, %o) = @_;
           return $t->http($o{method} || 'GET', "/apis/acme/$path",
                           key => $key, %o) }
sub sockets {
    my ($pid) = $t->workers('gw');
    return scalar grep { (readlink $_ // '') =~ /^socket/ }
           glob("/proc/$pid/fd/*");
}

my $r = call('one/a');
my $pid = $r->{json}{pid};
is($r->{json}{n}, 1, 'a connection');
is(call('one/a')->{json}{n}, 2, 'is used again');
$r = call('two/a');
is("$r->{json}{pid} $r->{json}{n}", "$pid 3",
   'by another api with the same address too');
is(call('two/a', method => 'POST', body => 'x' x 50_000)->{json}{n}, 4,
   'with a body');
is(call('two/closes')->{status}, 200, 'Connection: close');
isnt(call('two/a')->{json}{pid}, $pid, 'is heard');

call('two/closes');
is(join(' ', map { call('none/a')->{json}{n} } 1 .. 3), '1 1 1',
   'idle_timeout_ms 0: none is left waiting');
ok((wait_until { call('short/a');
    select undef, undef, undef, 0.1;
    call('short/a')->{json}{n} == 1 } 5), 'and its time is over');
my $old = call('one/a')->{json}{pid};
select undef, undef, undef, 0.1;
isnt(call('short/a')->{json}{pid}, $old,
     'another api\'s is not used when it is too old for this one');

is(join(' ', map { call('one/once')->{status} } 1 .. 10),
   join(' ', (200) x 10), 'closed while idle: nobody notices');
select undef, undef, undef, 0.1;
is(call('one/a', method => 'POST', body => 'x')->{status}, 200,
   'not even a POST');

is(call('one/a')->{status}, 200, 'a connection is there');
$r = call('one/fresh');
is($r->{status}, 200, 'one that breaks when it is used again: tried anew');
is($r->{json}{n}, 1, 'on a fresh one');
call('one/a');
is(call('one/fresh', method => 'POST', body => 'x')->{status}, 502,
   'but never a POST that may have been done');

$r = call('one/cut');
is("$r->{status} $r->{error}", '200 closed in the body',
   'an answer that ends early is not made whole');
is(call('one/a')->{status}, 200, 'and the upstream stays in use');

# many at once leave many idle ones; none stays at the end

my @c = map { $t->connection } 1 .. 40;
$_->send_raw($_->request_text('GET', '/apis/acme/one/a',
    headers => { 'X-API-Key' => $key })) for @c;
is(scalar(grep { $_->response->{status} == 200 } @c), 40, 'forty at once');
$_->close for @c;
ok(sockets() > 10, 'some stay open') or diag(sockets());
$t->reload('gw', drain => 1);
is(call('one/a')->{status}, 200, 'after a reload');

$t->done;
