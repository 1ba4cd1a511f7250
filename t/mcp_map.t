#!/usr/bin/perl

# Rows S5, S6: upstream sessions are in a file that all workers map.  It
# outlives workers that are killed and nginx; ids of any length fit; what
# nobody needs any more is ended by a DELETE, and a client's DELETE ends all.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

# an upstream whose ids have the length that the file says; it books what was
# opened and ended

my $book = $t->dir('book');
spew($t->dir('len'), 36);
sub upstream {
    my ($name) = @_;
    return $t->origin(sub {
        my ($q) = @_;
        my @type = ('Content-Type' => 'application/json');
        my $id = $q->{headers}{'mcp-session-id'};
        my $note = sub {
            open my $fh, '>>', $book or die;
            syswrite $fh, "$name $_[0] $_[1]\n";
            close $fh;
        };
        if ($q->{method} eq 'DELETE') {
            $note->(ended => $id);
            return [-f $t->dir('no_delete') ? 405 : 200];
        }
        my $m = json_decode($q->{body}) or return [405];
        my $ok = sub { [200, [@type, @{ $_[1] || [] }], json_encode({
            jsonrpc => '2.0', id => $m->{id}, result => $_[0] })] };
        if ($m->{method} eq 'initialize') {
            my $len = slurp($t->dir('len'));
            srand($$ * 1000 + length slurp($book));
            my $new = join '', map { chr(97 + int rand 26) } 1 .. $len;
            $note->(opened => $new);
            return $ok->({ protocolVersion => $m->{params}{protocolVersion},
                capabilities => { tools => {} }, serverInfo => { name => 's',
                version => '1' } }, ['Mcp-Session-Id' => $new]);
        }
        return [404, [@type], '{"jsonrpc":"2.0","id":null,"error":'
                . '{"code":-32001,"message":"no session"}}']
            unless defined $id && slurp($book) =~ / opened \Q$id\E$/m;
        return [202] unless exists $m->{id};
        return $ok->({ tools => [ { name => 'who', inputSchema => {
            type => 'object' } } ] }) if $m->{method} eq 'tools/list';
        return $ok->({ content => [ { type => 'text', text => $id } ] });
    }, name => $name);
}
$t->apply(demo(mcp => { one => upstream('one'), two => upstream('two') }));
wait_until {
    2 == grep { @{ $t->api('GET', "/v1/tenants/acme/apis/$_/tools")
                   ->{json}{items} || [] } } qw(one two)
} 20 or $t->give_up('tools were not discovered');
$t->gateway(workers => 4, store => 'counters=1m');
my $key = $t->key('acme', 'app');
$t->sync;

sub session { return ($t->mcp_session('/mcp/acme', key => $key))[0] }
sub who {
    my ($session, $api) = @_;
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => ($api // 'one')
        . '__who', arguments => {} }, key => $key, era => 'legacy',
        session => $session);
    return $r->{rpc}{result}{content}[0]{text} // "$r->{status} $r->{body}";
}
sub gone {
    my ($session) = @_;
    return $t->http('DELETE', '/mcp/acme', key => $key,
                    headers => { 'Mcp-Session-Id' => $session });
}
sub booked { my ($what, $id) = @_;
             return scalar(() = slurp($book) =~ / $what \Q$id\E$/mg) }
sub upstream_sessions { my ($what) = @_;
                        return scalar(() = slurp($book) =~ / $what /g) }


# ids of any length

for my $len (1, 10, 60, 61, 64, 510, 511, 1000, 4095, 4096) {
    spew($t->dir('len'), $len);
    my $s = session();
    my $first = who($s);
    is(length $first, $len, "S5: an upstream id of $len characters");
    is(join(' ', map { who($s) } 1 .. 6), join(' ', ($first) x 6),
       'the same in all workers');
}
spew($t->dir('len'), 4097);
my $s = session();
like(who($s), qr/Mcp-Session-Id is too long/, 'S5: longer: it says why');
spew($t->dir('len'), 36);
is((stat $t->dir('gw/store/sessions'))[2] & 07777, 0600,
   'the file is ours alone');
my $file = slurp($t->dir('gw/store/sessions'));
$s = session();
my $mine = who($s);
$file = slurp($t->dir('gw/store/sessions'));
unlike($file, qr/$mine/, 'and the ids in it are sealed');


# what happens to nginx

$t->reload('gw');
is(who($s), $mine, 'S3: a reload keeps upstream sessions');
$t->stop('gw');
$t->start_nginx('gw');
$t->sync;
is(who($s), $mine, 'S3: so does a restart');
$t->kill9('gw');
$t->start_nginx('gw');
$t->sync;
is(who($s), $mine, 'S3: and the end by kill -9');


# a client's DELETE

my $two = who($s, 'two');
my $r = gone($s);
is("$r->{status} $r->{body}", '200 ', 'S6: DELETE ends the session');
ok((wait_until { booked(ended => $mine) == 1 && booked(ended => $two) == 1 }),
   'S6: and those at all upstreams');
like(who($s), qr/^404 .*-32001/, 'S6: it is no session any more') for 1 .. 4;
is(gone($s)->{status}, 404, 'S6: which another DELETE is told');
is(gone('x' x 80)->{status}, 404, 'S6: like one that never was');
is($t->http('DELETE', '/mcp/acme', key => $key)->{status}, 405,
   'S6: none at all: 405');
is($t->http('DELETE', '/mcp/acme', headers => { 'Mcp-Session-Id' => $s })
   ->{status}, 401, 'S6: without a key: 401');
$t->reload('gw');
like(who($s), qr/^404 /, 'S6: a reload does not bring it back');
spew($t->dir('no_delete'), '');
$s = session();
$mine = who($s);
is(gone($s)->{status}, 200, 'S6: an upstream that does not know DELETE');
ok((wait_until { booked(ended => $mine) == 1 }), 'is asked once');


# full: what was idle longest goes, and is ended

my $before = upstream_sessions('ended');
my @many = map { session() } 1 .. 8;
my $kept = who($many[0]);
spew($t->dir('len'), 1000);
for (1 .. 60) {
    my $s = session();
    like(who($s), qr/^[a-z]{1000}$/, 'a long id') or last;
}
cmp_ok(upstream_sessions('ended') - $before, '>', 10,
       'S6: more than there is room for: old ones are ended');
is(who($many[0]), $kept, 'short ones have room of their own');
spew($t->dir('len'), 36);


# killed at any moment

my $end = time + 6;
my ($calls, $bad, $kills) = (0, 0, 0);
my @some = map { session() } 1 .. 6;
my %last = map { ($_ => who($_)) } @some;
while (time < $end) {
    my ($pid) = ($t->workers('gw'))[int rand 4];
    spew($t->dir('len'), (36, 300, 3000)[rand 3]);
    kill 'KILL', $pid if $pid && $kills++ < 40;
    for my $s (@some, session()) {
        $calls++;
        my $id = who($s // '');
        $bad++ if $id !~ /^[a-z]+$/;
    }
}
cmp_ok($kills, '>', 5, 'workers were killed while they opened sessions');
cmp_ok($bad, '<=', 2 * $kills, 'a call is lost with its worker at most')
    or diag "$bad of $calls";
is(join(' ', map { who($_) } @some), join(' ', @last{@some}),
   'S3: their sessions are still there');
like(who(session()), qr/^[a-z]+$/, 'and new ones are opened');

$t->allow_log(qr/signal 9/);
$t->done;
