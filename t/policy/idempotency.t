#!/usr/bin/perl

# idempotency: a call that is made again with its key is made once; whose key
# it is, what is kept, and what is said where nobody knows what became of it.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control', 'curl');
$t->allow_log(qr/worker process \d+ exited on signal 9/,
              qr/upstream (?:timed out|prematurely closed)/,
              qr/connect\(\) failed|no live upstreams/);
$t->control;

# Each call that reaches the upstream has a number.

my $count = $t->dir('count');
my $gate = $t->dir('gate');
my $calls = sub { return -s $count || 0 };
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q) = @_;
    open my $f, '>>', $count or die; syswrite $f, 'x'; close $f;
    my %a = map { split /=/, $_, 2 } split /&/, $q->{query} // '';
    my $n = -s $count;
    if ($a{wait}) { select undef, undef, undef, 0.02 while !-e $gate }
    exit 0 if $a{die};
    return [$a{st} || 201, ['Content-Type' => 'text/plain', 'X-Number' => $n,
                            'Set-Cookie' => "n=$n", Location => "/n/$n"],
            $a{n} ? "n$n " . 'y' x $a{n} : $a{st} && $a{st} == 204 ? '' : "n$n"];
});
my $true = JSON::PP::true;
my %apis = (
    plain => {}, must => { required => $true },
    release => { on_failure => 'release' },
    small => { max_body_bytes => 100, max_answer_bytes => 100 },
    short => { ttl_s => 1 }, put => { methods => ['PUT'] },
    charged => { charge_repeats => $true }, free => { max_body_bytes => 100 },
    ops => {}, shadow => {},
);
$t->apply(docs(tenant('acme'), plan('acme', 'open'),
    plan('acme', 'few', rate => 20, per_ms => 86_400_000, quota_day => 100),
    map({ app('acme', $_) } qw(one two)),
    map({ my $a = $_;
          (rest('acme', $a, $to, upstream => { read_timeout_ms => 500,
                  retries => 0 },
                $a eq 'ops' ? (operations => [
                  { name => 'pay', method => 'POST', path => '/pay/{id}' },
                  { name => 'buy', method => 'POST', path => '/buy' }]) : ()),
           doc('Policy', 'acme', "i-$a", { type => 'idempotency',
               $a eq 'shadow' ? (state => 'shadow') : (),
               attach => [{ api => $a }], config => $apis{$a} }),
           map({ sub_('acme', $_, $a, $a =~ /charged|free/ ? 'few' : 'open') }
               qw(one two))) } sort keys %apis),
    rest('acme', 'away', 'http://127.0.0.1:1'),
    doc('Policy', 'acme', 'i-away', { type => 'idempotency',
        attach => [{ api => 'away' }], config => {} }),
    sub_('acme', 'one', 'away', 'open')));
my %key = map { $_ => $t->key('acme', $_) } qw(one two);
my $second = $t->key('acme', 'one');
my $h2 = $t->port('h2');
$t->gateway(workers => 2, http => "server { listen 127.0.0.1:$h2 http2;"
            . ' location / { stoa; } }');

my $k = 0;
sub fresh { return 'key-' . ++$k }
sub call { my ($who, $path, $id, $body, %h) = @_;
           my $method = delete $h{':method'} || 'POST';
           return $t->http($method, "/apis/acme/$path", body => $body // 'x',
               headers => { 'X-API-Key' => $key{$who},
                   defined $id ? ('Idempotency-Key' => $id) : (), %h }) }
sub code { return $_[0]{json}{code} // $_[0]{status} }

# once

my $id = fresh();
my $r = call('one', 'plain/a', $id);
my $s = call('one', 'plain/a', $id);
is($r->{status}, 201, 'the first goes on');
is($s->{status}, 201, 'the second gets the same status');
is($s->{body}, $r->{body}, '... and body');
is($s->{headers}{$_}, $r->{headers}{$_}, "... and $_")
    for qw(x-number location content-type);
is($s->{headers}{'idempotency-replayed'}, 'true', '... and says so');
ok(!$r->{headers}{'idempotency-replayed'}, '... the first does not');
ok(!$s->{headers}{'set-cookie'} && $r->{headers}{'set-cookie'},
   '... without its cookie');
ok($s->{headers}{'x-request-id'} ne $r->{headers}{'x-request-id'},
   '... with an id of its own');
is($calls->(), 1, '... and the upstream was called once');
is(call('one', 'plain/a', qq{"$id"})->{body}, $r->{body},
   'with quotes it is the same key');
$id = fresh();
call('one', 'plain/204?st=204', $id);
is(call('one', 'plain/204?st=204', $id)->{status}, 204, 'an empty answer');
$id = fresh();
$r = call('one', 'plain/422?st=422', $id);
is(call('one', 'plain/422?st=422', $id)->{body}, $r->{body},
   'a refusal of the upstream is an answer');
$id = fresh();
for my $st (401, 429, 425) {
    $r = call('one', "plain/$st?st=$st", $id = fresh());
    isnt(call('one', "plain/$st?st=$st", $id)->{body}, $r->{body},
         "a $st says that nothing was done, and is not");
}

# whose, and of what

$id = fresh();
$r = call('one', 'plain/a', $id);
isnt(call('two', 'plain/a', $id)->{body}, $r->{body}, "another's key");
isnt(call('one', 'must/a', $id)->{body}, $r->{body}, 'at another api');
my %other = (body => ['plain/a', $id, 'y'], query => ['plain/a?q=1', $id],
             path => ['plain/b', $id],
             type => ['plain/a', $id, 'x', 'Content-Type' => 'text/html'],
             method => ['plain/a', $id, 'x', ':method' => 'PATCH']);
for my $what (sort keys %other) {
    $r = call('one', @{ $other{$what} });
    is($r->{status} . code($r), '422idempotency_differs',
       "another $what under the same key");
}
$id = fresh();
call('one', 'ops/pay/1', $id);
is(call('one', 'ops/pay/2', $id)->{status}, 422, 'another path of an operation');
is(call('one', 'ops/buy', $id)->{status}, 201, 'another operation');

for my $name ('Authorization', 'X-API-Key') {
    my ($own, $other) = $name eq 'X-API-Key'
        ? ('Authorization', sub { ($name => "user-$_[0]") })
        : ('X-API-Key', sub { ($name => "Basic dXNlci0$_[0]") });
    my $as = sub { my ($id, $key, @h) = @_;
                   return $t->http('POST', '/apis/acme/plain/a', body => 'x',
                       headers => { 'Idempotency-Key' => $id, @h,
                           $own => ($own eq 'Authorization' ? 'Bearer ' : '')
                                   . $key }) };
    $id = fresh();
    $r = $as->($id, $key{one}, $other->('a'));
    is($r->{status}, 201, "$name of the upstream");
    is($as->($id, $key{one}, $other->('b'))->{json}{code},
       'idempotency_differs', "... another's is another call");
    is($as->($id, $key{one}, $other->('a'))->{body}, $r->{body},
       '... and the same one is not');
    is($as->($id, $second, $other->('a'))->{body}, $r->{body},
       '... with whichever key of the application');
}
my @sign = map { (Authorization => qq{Sig key="a", nonce="$_"}) } 1, 2;
$r = call('one', 'plain/a', $id = fresh(), 'x', @sign[0, 1]);
is(call('one', 'plain/a', $id, 'x', @sign[2, 3])->{body}, $r->{body},
   'a signature is another each time');

# which calls

my $n = $calls->();
call('one', 'plain/a') for 1 .. 2;
is($calls->(), $n + 2, 'without a key a call is a call');
is(code(call('one', 'must/a')), 'idempotency_missing', '... or refused');
is(call('one', 'must/a', undef, '', ':method' => 'GET')->{status}, 201,
   '... but for methods that are not meant');
$n = $calls->();
call('one', 'put/a', $id, 'x', ':method' => 'PUT') for 1 .. 2;
is($calls->(), $n + 1, 'PUT, where it is named');
call('one', 'put/a', $id) for 1 .. 2;
is($calls->(), $n + 3, '... and then POST is not meant');
$n = $calls->();
call('one', 'shadow/a', $id = fresh()) for 1 .. 2;
is($calls->(), $n + 2, 'a shadow does nothing');
for my $bad ('', 'x' x 256, 'a b', "\xc3\xa4", '"a"b"') {
    is(code(call('one', 'plain/a', $bad)), 'idempotency_invalid',
       'no key: ' . length($bad) . ' bytes');
}
is(call('one', 'plain/a', 'x' x 255)->{status}, 201, 'the longest one');
my $c = $t->connection;
$c->send_raw("POST /apis/acme/plain/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0"
    . "\r\nX-API-Key: $key{one}\r\nIdempotency-Key: a\r\nIdempotency-Key: b"
    . "\r\n\r\n");
like($c->response->{body}, qr/idempotency_invalid/, 'two keys');

# sizes

is(code(call('one', 'small/a', fresh(), 'x' x 101)), 'body_too_large',
   'a body that is too long');
is(call('one', 'small/a', $id = fresh(), 'x' x 100)->{status}, 201,
   '... and the longest');
$r = call('one', 'small/a?n=101', $id = fresh());
is($r->{status}, 201, 'an answer that is too long to be kept is sent');
$n = $calls->();
$r = call('one', 'small/a?n=101', $id);
is(code($r), 'idempotency_unknown', '... a repeat is told so');
like($r->{json}{detail}, qr/status 201/, '... with its status');
is($calls->(), $n, '... and not made');
$r = call('one', 'plain/big?n=100000', $id = fresh(), 'b' x 200_000);
is(call('one', 'plain/big?n=100000', $id, 'b' x 200_000)->{body}, $r->{body},
   'long bodies, both ways');

$r = call('one', 'plain/c', $id = fresh(), 'part one');
$c = $t->connection;
$c->send_raw("POST /apis/acme/plain/c HTTP/1.1\r\nHost: x\r\nX-API-Key: "
    . "$key{one}\r\nIdempotency-Key: $id\r\nTransfer-Encoding: chunked\r\n\r\n"
    . "5\r\npart \r\n3\r\none\r\n0\r\n\r\n");
is($c->response->{body}, $r->{body}, 'in chunks it is the same body');
$c->send_raw("GET /apis/acme/plain/d HTTP/1.1\r\nHost: x\r\n"
    . "X-API-Key: $key{one}\r\n\r\n");
is($c->response->{status}, 201, '... and the connection goes on');

# time

call('one', 'short/a', $id = fresh());
$n = $calls->();
ok((wait_until { call('one', 'short/a', $id); $calls->() > $n } 10),
   'after its time a key is new');

# at once

sub many { my ($n, $path, $id) = @_;
           my @c = map { $t->connection } 1 .. $n;
           $_->send_raw("POST /apis/acme/$path HTTP/1.1\r\nHost: x\r\n"
               . "X-API-Key: $key{one}\r\nIdempotency-Key: $id\r\n"
               . "Content-Length: 1\r\n\r\nx") for @c;
           return @c }
$n = $calls->();
unlink $gate;
my @c = many(1, 'plain/at-once?wait=1', $id = fresh());
wait_until { $calls->() > $n } 10;
$r = call('one', 'plain/at-once?wait=1', $id);
is($r->{status} . code($r), '409idempotency_running', 'under way');
is($r->{headers}{'retry-after'}, 1, '... with Retry-After');
is(call('one', 'plain/at-once?wait=1', $id, 'y')->{status}, 422,
   '... another body is another, then too');
spew($gate, '');
is($c[0]->response->{status}, 201, '... and the first has its answer');
is(call('one', 'plain/at-once?wait=1', $id)->{headers}{'idempotency-replayed'},
   'true', '... which is there for all');
$n = $calls->();
my %got;
$got{ $_->response->{status} }++ for many(20, 'plain/twenty', fresh());
is($calls->(), $n + 1, 'twenty at once: one call');
is(join(' ', grep { !/^(?:201|409)$/ } keys %got), '', '... the others wait');

# what failed

$r = call('one', 'plain/500?st=500', $id = fresh());
is(call('one', 'plain/500?st=500', $id)->{body}, $r->{body},
   "an upstream's 500 is its answer");
$r = call('one', 'release/500?st=500', $id = fresh());
isnt(call('one', 'release/500?st=500', $id)->{body}, $r->{body},
     '... or is asked for again');
is(call('one', 'away/a', $id = fresh())->{status}, 502,
   'an upstream that is not there');
is(call('one', 'away/a', $id)->{status}, 502, '... has got nothing: again');
for (['die=1', 502], ['wait=1', 504]) {
    my ($how, $status) = @$_;
    unlink $gate;
    $n = $calls->();
    is(call('one', "plain/x?$how", $id = fresh())->{status}, $status,
       "$how: no answer");
    is(code(call('one', "plain/x?$how", $id)), 'idempotency_unknown',
       '... nobody knows');
    is($calls->(), $n + 1, '... and it is not made again');
    call('one', "release/x?$how", $id) for 1 .. 2;
    ok((wait_until { $calls->() == $n + 3 } 5), '... unless that is asked for');
    spew($gate, '');
}

# who goes

unlink $gate;
$n = $calls->();
@c = many(1, 'plain/gone?wait=1', $id = fresh());
wait_until { $calls->() > $n } 10;
$_->close for @c;
spew($gate, '');
ok((wait_until { (call('one', 'plain/gone?wait=1', $id)
                      ->{headers}{'idempotency-replayed'} // '') eq 'true' } 10),
   'who has gone gets his answer when he comes back');
is($calls->(), $n + 1, '... of the one call');
unlink $gate;
$n = $calls->();
$id = fresh();
my $gone = fork // die;
exec 'curl', '-s', '--http2-prior-knowledge', '-o', '/dev/null', '-d', 'x',
    '-H', "X-API-Key: $key{one}", '-H', 'Content-Type:', '-H',
    "Idempotency-Key: $id", "http://127.0.0.1:$h2/apis/acme/plain/gone?wait=1"
  or die if !$gone;
wait_until { $calls->() > $n } 10;
kill 'KILL', $gone;
waitpid $gone, 0;
spew($gate, '');
ok((wait_until { (call('one', 'plain/gone?wait=1', $id)
                      ->{headers}{'idempotency-replayed'} // '') eq 'true' } 10),
   'who has gone over HTTP/2 gets his, too');
is($calls->(), $n + 1, '... of the one call');

# a worker dies

for my $api ('plain', 'release') {
    unlink $gate;
    $n = $calls->();
    @c = many(1, "$api/killed?wait=1", $id = fresh());
    wait_until { $calls->() > $n } 10;
    my @old = $t->workers;
    kill 'KILL', @old;
    wait_until { !grep { kill 0, $_ } @old } 5;
    spew($gate, '');
    wait_until { $t->get('/apis/acme/plain/', key => $key{one})->{status} } 10;
    $n = $calls->();
    $r = call('one', "$api/killed?wait=1", $id);
    is(code($r), $api eq 'plain' ? 'idempotency_unknown' : 201,
       "$api: its worker was killed");
    is($calls->() - $n, $api eq 'plain' ? 0 : 1, '... and it is made again '
       . ($api eq 'plain' ? 'by nobody' : 'as asked for'));
    $_->close for @c;
}
$r = call('one', 'plain/kept', $id = fresh());
my @old = $t->workers;
kill 'KILL', @old;
wait_until { !grep { kill 0, $_ } @old } 5;
is((wait_until { my $x = call('one', 'plain/kept', $id);
                 $x->{status} == 201 && $x->{body} } 10), $r->{body},
   'what is kept outlives its worker');
$t->reload;
is(call('one', 'plain/kept', $id)->{body}, $r->{body}, '... and a reload');

# what it costs

sub left { my ($r) = @_;
           return join ',', $r->{headers}{ratelimit} =~ /"(?:rate|day)";r=(\d+)/g }
is(left(call('one', 'free/a', $id = fresh())), '19,99', 'a call is charged');
is(left(call('one', 'free/a', $id)), '19,99', '... and a repeat is not');
call('one', 'free/a', $id, 'y');              # nor a refusal
is(code(call('one', 'free/a', fresh(), 'x' x 101)), 'body_too_large',
   '... nor a body that is too long,');
is(left(call('one', 'free/a', fresh())), '18,98', '... another call is');
call('one', 'charged/a', $id = fresh());
is(left(call('one', 'charged/a', $id)), '18,98', '... unless it is to be');

ok((wait_until { $t->metrics->{stoa_idempotency_repeats_total} > 5 } 5),
   'repeats are counted');
ok((wait_until { $t->metrics->{stoa_idempotency_unknown_total} >= 2 } 5),
   '... and what nobody knows');
$t->done;
