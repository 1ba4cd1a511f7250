#!/usr/bin/perl

# The memory of kept answers: how much one may take, whose goes first, what is
# lent to clients that read slowly, and what workers leave that are killed.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->allow_log(qr/worker process \d+ exited on signal 9/);
$t->control;

# n bytes in numbered lines, so that no piece is like another

my $count = $t->dir('count');
my $gate = $t->dir('gate');
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q) = @_;
    open my $f, '>>', $count or die; syswrite $f, 'x'; close $f;
    my ($n) = ($q->{query} // '') =~ /n=(\d+)/;
    if ($q->{query} =~ /wait/) { select undef, undef, undef, 0.02 while !-e $gate }
    return [200, ['Content-Type' => 'text/plain'], text($q->{path}, $n // 1)];
});
sub text { my ($path, $n) = @_;
           my ($name) = $path =~ m{(\w+)$};
           my $line = 0;
           my $s = '';
           $s .= sprintf "%s %08d\n", $name, $line++ while length $s < $n;
           return substr $s, 0, $n }
my @who = qw(acme other);
$t->apply(docs(map { my $who = $_; (tenant($who), plan($who, 'free'),
    app($who, 'app'), rest($who, 'shop', $to), sub_($who, 'app', 'shop',
    'free'), doc('Policy', $who, 'kept', { type => 'cache', attach => [
    { tenant => $who }], config => { shared => JSON::PP::true,
    default_ttl_s => 600, ignore_query => ['slow'] } }),
    doc('Policy', $who, 'once', { type => 'idempotency', attach => [
    { tenant => $who }], config => { max_answer_bytes => 400_000 } })) } @who));
my @more = map { "more$_" } 1 .. 5;
$t->apply(docs(map({ (app('acme', $_), sub_('acme', $_, 'shop', 'free')) }
                   @more),
    tenant('wide'), plan('wide', 'free'), rest('wide', 'shop', $to,
    open_plan => 'free'), doc('Policy', 'wide', 'once', {
    type => 'idempotency', attach => [{ tenant => 'wide' }], config => {} })));
my %key = ((map { $_ => $t->key($_, 'app') } @who),
           map { $_ => $t->key('acme', $_) } @more);
$t->gateway(workers => 2, http => 'stoa_answers 1m; stoa_idempotency 1m;',
            server => 'if ($arg_slow) { set $limit_rate $arg_slow; }');

sub call { my ($who, $path, %o) = @_;
           return $t->get("/apis/$who/shop/$path", key => $key{$who}, %o) }
sub hit { my ($who, $path) = @_;
          return (call($who, $path)->{headers}{'cache-status'} // '') =~ /hit/
              ? 1 : 0 }
sub metric { return $t->metrics->{"stoa_cache_$_[0]_total"} }

# sizes

my $r = call('acme', 'a?n=200000');
is($r->{body}, text('a', 200_000), 'a long answer');
$r = call('acme', 'a?n=200000');
is($r->{body}, text('a', 200_000), '... a kept one is the same');
like($r->{headers}{'cache-status'}, qr/hit/, '... and is kept');
is($r->{headers}{'content-length'}, 200_000, '... with its length');
call('acme', 'b?n=300000');
ok(!hit('acme', 'b?n=300000'), 'one answer has a quarter of the memory at most');
my $bytes = metric('hit_bytes');
$r = $t->http('HEAD', '/apis/acme/shop/a?n=200000', key => $key{acme});
is($r->{headers}{'content-length'}, 200_000, 'HEAD of a kept one');
is(metric('hit_bytes'), $bytes, '... has no body to pay for');
for my $range ('bytes=100000-100009', 'bytes=0-4095,100000-104095') {
    $r = $t->get('/apis/acme/shop/a?n=200000', key => $key{acme},
                 headers => { Range => $range });
    is($r->{status}, 206, "a part of it: $range");
    ok(index($r->{body}, substr text('a', 200_000), 100_000, 10) >= 0,
       '... the right one');
}

# whose goes first

call('other', "mine$_?n=20000") for 1 .. 5;
call('acme', "fill$_?n=20000") for 1 .. 120;
is(join('', map { hit('other', "mine$_?n=20000") } 1 .. 5), '11111',
   'who takes all the memory takes it from himself');
ok(hit('acme', 'fill120?n=20000'), '... his newest is kept');
ok(!hit('acme', 'fill2?n=20000'), '... his oldest has gone');
call('acme', "key?q=$_" . 'x' x 1000) for 1 .. 900;
is(join('', map { hit('other', "mine$_?n=20000") } 1 .. 5), '11111',
   'nor by many keys');
ok(hit('acme', 'key?q=900' . 'x' x 1000), '... and it goes on');

# slow readers

sub slow { my ($path) = @_;
           call('acme', $path);
           my $c = $t->connection(timeout => 60);
           $c->send_raw($c->request_text('GET',
               "/apis/acme/shop/$path&slow=20000",
               headers => { 'X-API-Key' => $key{acme} }));
           return $c }
my $hits = metric('hits');
my @c = map { slow("s$_?n=200000") } 1, 2;
ok((wait_until { metric('hits') >= $hits + 2 } 5), 'two read slowly');
my $copied = metric('copied');
call('acme', 's3?n=200000');
is(call('acme', 's3?n=200000')->{body}, text('s3', 200_000),
   'more than half of the memory is lent to nobody');
is(metric('copied'), $copied + 1, '... a hit is copied then');
$t->must(POST => '/v1/tenants/acme/apis/shop/cache/purge?wait=10s',
         { all => JSON::PP::true });
ok(!hit('acme', 's1?n=200000'), 'what is lent is purged all the same');
call('acme', "more$_?n=20000") for 1 .. 60;
ok(hit('acme', 'more60?n=20000'), '... and others have room');
for my $i (1, 2) {
    $r = $c[$i - 1]->response;
    is($r->{body} eq text("s$i", 200_000) ? 1 : 0, 1,
       "reader $i gets what he began to read, whatever became of it");
}

# workers that die

for my $round (1, 2) {
    $hits = metric('hits');
    @c = map { slow("d$_?n=200000") } 1, 2;
    ok((wait_until { metric('hits') >= $hits + 2 } 5), "$round: lent");
    my @old = $t->workers;
    kill 'KILL', @old;
    wait_until { !grep { kill 0, $_ } @old } 5;
    $_->close for @c;
    call('acme', 'd3?n=200000');
    ok((wait_until {
        my $n = metric('copied');
        $n == metric('copied') && call('acme', 'd3?n=200000')->{body}
            eq text('d3', 200_000) && metric('copied') == $n } 15),
       "$round: ... what killed workers had is lent again");
}
call('acme', "end$_?n=20000") for 1 .. 60;
is(join('', map { hit('acme', "end$_?n=20000") } 51 .. 60), '1' x 10,
   'all of it is of use');

# keys of calls: nobody has it all

sub once { my ($who, $id, $n) = @_;
           my $tenant = $who =~ /^more/ ? 'acme' : $who;
           return $t->http('POST', "/apis/$tenant/shop/o?n=$n", body => 'x',
               headers => { 'X-API-Key' => $key{$who},
                            'Idempotency-Key' => $id }) }
my $c = $t->connection(timeout => 60);
my $calls = -s $count;
$c->send_raw($c->request_text('POST', '/apis/acme/shop/o?n=9&wait=1',
    body => 'x', headers => { 'X-API-Key' => $key{acme},
                              'Idempotency-Key' => 'slow' }) . 'x');
wait_until { -s $count > $calls } 10;
my $n = 0;
$n++ while $n < 100 && once('acme', "k$n", 20_000)->{status} == 200;
ok($n > 10 && $n < 100, "one application has room for $n answers of 20 kB");
is(once('acme', "k$n", 20_000)->{json}{code}, 'idempotency_full',
   '... the next key is refused');
for my $who (@more) { once($who, "k$_", 20_000) for 1 .. 9 }
is(once('other', 'k', 20_000)->{status}, 200, '... and others are not');
is(once('other', 'k', 20_000)->{headers}{'idempotency-replayed'}, 'true',
   '... for whom there is room, however many applications a tenant has');
spew($gate, '');
is($c->response->{status}, 200, 'a call from before is answered');
$calls = -s $count;
like(once('acme', 'slow', '9&wait=1')->{json}{code} // 'made again',
     qr/^idempotency_unknown$/, '... and is not forgotten for want of room');
my %got;
$got{ $_->{headers}{'idempotency-replayed'} // $_->{json}{code} }++
    for map { once('acme', "k$_", 20_000) } 0 .. $n - 1;
is(-s $count, $calls, '... nothing was taken away for it');
like(join(' ', sort keys %got), qr/^(?:idempotency_unknown )?true$/,
     '... of the last ones there may be room to know that they were made');
ok($got{true} > 10, '... and the others are answered again');
$r = once('other', 'long', 350_000);
is($r->{body} eq text('o', 350_000) ? 1 : 0, 1, 'an answer beyond the room');
is(once('other', 'long', 350_000)->{json}{code}, 'idempotency_unknown',
   '... is told as made');

# with a memory that is new: many small answers, and more owners than places

sub anew { my ($k) = @_;
           $t->write_file('gw/nginx.conf', $t->template(name => 'gw',
               workers => 2, http => "stoa_idempotency ${k}k;"
                   . ' set_real_ip_from 127.0.0.0/8;'
                   . ' real_ip_header X-Test-Address;'));
           $t->reload }
sub fill { my ($n) = @_;
           for my $who ('acme', @more) {
               my $i = 0;
               $i++ while $i < 1000 && once($who, "f$i", $n)->{status} == 200;
           } }
sub again { my ($n) = @_;
            once('other', "f$_", $n) for 1 .. 9;
            return scalar grep { (once('other', "f$_", $n)->{headers}
                                      {'idempotency-replayed'} // '')
                                 eq 'true' } 1 .. 9 }
anew(1088);
fill(1);
is(again(1), 9, 'a tenant that has all it may of small answers shuts out none');
anew(1152);
sub guest { my ($i) = @_;
            return $t->http('POST', '/apis/wide/shop/o', body => 'x',
                headers => { 'Idempotency-Key' => 'k',
                             'X-Test-Address' => "192.0.2.$i" }) }
is(join(' ', grep { guest($_)->{status} != 200 } 0 .. 255), '',
   'more owners than places');
is(join(' ', grep { (guest($_)->{headers}{'idempotency-replayed'} // '')
                    ne 'true' } 0 .. 255), '', '... each with its own');
fill(20_000);
is(again(10_000), 9, '... and a tenant has no more than its share beside them');

$t->done;
