#!/usr/bin/perl

# Rows S1, S3: the sessions at upstreams that a client's id carries: the same
# at every gateway of the group, whatever is lost.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

my $book = $t->dir('book');
spew($book, '');
sub upstream {
    my ($name) = @_;
    spew($t->dir("len.$name"), 36);
    return $t->origin(sub {
        my ($q) = @_;
        my @type = ('Content-Type' => 'application/json');
        my $id = $q->{headers}{'mcp-session-id'} // '';
        my $note = sub {
            open my $fh, '>>', $book or die;
            syswrite $fh, join(' ', $name, @_) . "\n";
            close $fh;
        };
        if ($q->{method} eq 'DELETE') { $note->(ended => $id); return [200] }
        my $m = json_decode($q->{body}) or return [405];
        my $ok = sub { [200, [@type, @{ $_[1] || [] }], json_encode({
            jsonrpc => '2.0', id => $m->{id}, result => $_[0] })] };
        if ($m->{method} eq 'initialize') {
            my $end = time + 10;
            select undef, undef, undef, 0.02
                while -f $t->dir("slow.$name") && time < $end;
            srand($$ * 1000 + length slurp($book));
            my $new = join '', map { chr(97 + int rand 26) }
                1 .. slurp($t->dir("len.$name"));
            $note->(opened => $new);
            return $ok->({ protocolVersion => '2025-06-18',
                capabilities => { tools => {} }, serverInfo => { name => 's',
                version => '1' } }, ['Mcp-Session-Id' => $new]);
        }
        return [404, [@type], '{"jsonrpc":"2.0","id":null,"error":'
                . '{"code":-32001,"message":"no session"}}']
            if slurp($book) !~ /^$name opened \Q$id\E$/m;
        return [202] unless exists $m->{id};
        return $ok->({ tools => [ { name => 'who', inputSchema => {
            type => 'object' } } ] }) if $m->{method} eq 'tools/list';
        return $ok->({ content => [ { type => 'text', text => $id . ' '
            . ($q->{headers}{'mcp-protocol-version'} // '') } ] });
    }, name => $name);
}
my @names = qw(one two three four five);
my @four = qw(six seven eight nine);
my %port = map { ($_ => upstream($_)) } @names, @four;
$t->apply(demo(mcp => { two => $port{two}, one => { port => $port{one},
    upstream => "  connect_timeout_ms: 2000\n  read_timeout_ms: 8000\n" } })
    . demo(tenant => 'big', mcp => { map { ($_ => $port{$_}) } @names })
    . demo(tenant => 'long', mcp => { map { ($_ => $port{$_}) } @four }));
for my $api (qw(acme/apis/one acme/apis/two), map({ "big/apis/$_" } @names),
             map { "long/apis/$_" } @four) {
    wait_until {
        @{ $t->api('GET', "/v1/tenants/$api/tools")->{json}{items} || [] }
    } 20 or $t->give_up('tools were not discovered');
}
my $d = $t->api('GET', '/v1/tenants/acme/apis/one')->{json}{discovery};
is($d->{sessions} ? 1 : 0, 1, 'discovery finds that an upstream has sessions');
$t->must(PATCH => '/v1/tenants/acme/apis/one', { identity => 'headers' });
$t->gateway(name => 'gw', workers => 2);
$t->gateway(name => 'gw2', workers => 2);
my %key = map { ($_ => $t->key($_, 'app')) } qw(acme big long);
$t->sync($_) for qw(gw gw2);

sub session { my ($tenant, $gw) = @_;
              return ($t->mcp_session("/mcp/$tenant", key => $key{$tenant},
                                      gateway => $gw // 'gw'))[0] }
sub who {
    my ($session, $api, $gw, $tenant) = @_;
    $tenant //= 'acme';
    my $r = $t->mcp("/mcp/$tenant", 'tools/call', { name => "${api}__who",
        arguments => {} }, key => $key{$tenant}, era => 'legacy',
        session => $session, gateway => $gw // 'gw');
    return $r->{rpc}{result}{content}[0]{text} // "$r->{status} $r->{body}";
}
sub opened { return scalar(() = slurp($book) =~ / opened /g) }

my $base = opened();
my $s = session('acme');
is(opened() - $base, 2, 'initialize opens the sessions of both upstreams');
my ($sub) = grep { ($_->{api} // '') eq 'one' }
    @{ $t->must(GET => '/v1/tenants/acme/subscriptions')->{items} };
is(join(' ', map { "$_->{method}:" . ($_->{headers}{'x-stoa-subscription'}
                                      // '-') }
        grep { $_->{headers}{'x-stoa-application'} } $t->origin_log('one')),
   join(' ', ("POST:$sub->{id}") x 2),
   'and tells them by which subscription its client has them');
my %first = map { ($_ => who($s, $_)) } qw(one two);
like($first{one}, qr/^[a-z]{36} 2025-06-18$/, 'a call is in one of them');
for my $api (qw(one two)) {
    is(join(' ', map { who($s, $api, $_) } qw(gw gw2 gw2 gw2 gw)),
       join(' ', ($first{$api}) x 5), "S1: $api: the same at both gateways");
}
is(opened() - $base, 2, 'S1: nothing else was opened');
my ($sid) = $first{one} =~ /^(\w+)/;
unlike($s, qr/$sid/, 'sealed');
cmp_ok(length $s, '<', 400, 'in an id of less than 400 characters');

$t->stop('gw2');
unlink $t->dir('gw2/store/sessions');
$t->start_nginx('gw2');
$t->sync('gw2');
is(who($s, 'one', 'gw2'), $first{one},
   'S3: a gateway that has lost all it knew goes on');

# forgotten: each gateway finds out for itself, and needs one slower call

my $kept = slurp($book);
spew($book, $kept =~ s/^one opened .*\n//mgr);
my $new = who($s, 'one');
like($new, qr/^[a-z]{36} /, 'S5: an upstream that has forgotten');
isnt($new, $first{one}, '... in a new session');
is(who($s, 'one'), $new, '... which counts from then on') for 1 .. 4;
like(who($s, 'one', 'gw2'), qr/^[a-z]{36} /, '... the other gateway, too');
is(who($s, 'two', 'gw2'), $first{two}, 'the others stay');

# DELETE

$t->http('DELETE', '/mcp/acme', key => $key{acme},
         headers => { 'Mcp-Session-Id' => $s });
my ($id) = $first{two} =~ /^(\w+)/;
ok((wait_until { slurp($book) =~ /^two ended $id$/m }),
   'S6: DELETE ends what the id carries');
($id) = $new =~ /^(\w+)/;
ok((wait_until { slurp($book) =~ /^one ended $id$/m }),
   'S6: and what has come in its place');

# what is not carried

$base = opened();
my $big = session('big');
is(opened(), $base, 'of five upstreams none is opened');
like(who($big, 'three', 'gw', 'big'), qr/^[a-z]{36} /,
     'they are at the first call');
spew($t->dir('len.two'), 300);
$s = session('acme');
my $long = who($s, 'two');
like($long, qr/^[a-z]{300} /, 'a long id is in the map of the gateway');
is(who($s, 'two'), $long, 'the same in all workers') for 1 .. 4;
like(who($s, 'two', 'gw2'), qr/^[a-z]{300} /,
     'the other one opens its own');

# more than an id has room for

spew($t->dir("len.$_"), 200) for @four;
$base = opened();
my $r = $t->mcp('/mcp/long', 'initialize', { protocolVersion => '2025-06-18',
    capabilities => { sampling => { of => 'x' x 700 } }, clientInfo => {
    name => 'test', version => '1' } }, key => $key{long}, era => 'legacy',
    gateway => 'gw');
is($r->{status}, 200, 'a client that can much and ids that are long');
is(opened() - $base, 4, '... all of which are opened');
like(who($r->{session}, $_, 'gw', 'long'), qr/^[a-z]{200} /, "... $_ is used")
    for @four;
is(opened() - $base, 4, '... and no other one');

# how many may begin

$t->gateway(name => 'gw4', workers => 2, http => 'stoa_mcp_sessions rate=3;');
$t->sync('gw4');
my @begun = map { $t->mcp('/mcp/acme', 'initialize', { protocolVersion =>
    '2025-11-25', capabilities => {}, clientInfo => { name => 'c', version =>
    '1' } }, key => $key{acme}, era => 'legacy', gateway => 'gw4') } 1 .. 4;
is(join(' ', map { $_->{session} ? 'ok' : $_->{rpc}{error}{data}{code} }
        @begun), 'ok ok ok mcp_sessions', 'initialize has a rate');
cmp_ok($begun[3]{headers}{'retry-after'} // 0, '>', 0, '... which says when');
$t->stop('gw4');

# as many as there may be: idle ones make room, others do not; all end

spew($t->dir("len.$_"), 36) for @names;
$t->gateway(name => 'gw3', workers => 2, http =>
            'stoa_mcp_sessions application=3 idle=6s;');
$t->sync('gw3');
$base = opened();
my $from = -s $book;
my @some = map { session('acme', 'gw3') } 1 .. 3;
is(opened() - $base, 6, 'as many as an application may have');
my $more = session('acme', 'gw3');
ok($more, 'one more session');
is(opened() - $base, 6, '... opens none');
like(who($more, 'one', 'gw3'), qr/429.*"mcp_sessions".*"api":"one"/,
     '... and a call that needs one is refused while all are in use');
like(who($some[0], 'one', 'gw3'), qr/^[a-z]{36} /, '... others are not');
sub ended { return scalar(() = substr(slurp($book), $from) =~ /one ended/g) }
my $last = who($some[0], 'one', 'gw3');
ok((wait_until { who($more, 'one', 'gw3') =~ /^[a-z]{36} / } 15),
   '... until one is idle');
cmp_ok(wait_until { ended() }, '>', 0, '... which was ended for it');
unlike(substr(slurp($book), $from), qr/one ended @{[ $last =~ m{^(\w+)} ]}/,
       '... not the one that was used last') if ended() == 1;
ok((wait_until { ended() >= 4 } 30), 'who is idle is ended, carried or not');
like(who($some[1], 'one', 'gw3'), qr/^[a-z]{36} /, '... and opened again');
spew($t->dir('len.two'), 300);

spew($t->dir('slow.one'), '');
$base = opened();
$s = session('acme');
ok($s, 'a slow upstream does not hold up initialize');
is(opened() - $base, 1, 'it has not opened one yet');
my $inits = sub { scalar grep { $_->{body} =~ /"initialize"/ }
                  $t->origin_log('one') };
my $before = $inits->();
my $c = $t->connection(gateway => 'gw');
my $body = json_encode({ jsonrpc => '2.0', id => 1, method => 'tools/call',
    params => { name => 'one__who', arguments => {} } });
$c->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\n"
    . "X-API-Key: $key{acme}\r\nMcp-Session-Id: $s\r\n"
    . "Content-Type: application/json\r\nConnection: close\r\n"
    . "Accept: application/json, text/event-stream\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
ok(!(wait_until { $inits->() > $before } 1), 'a call waits for it');
unlink $t->dir('slow.one');
ok((wait_until { opened() - $base == 2 }), 'then it does');
my ($waited, $got) = ('');
1 while $got = sysread $c->{sock}, $waited, 4096, length $waited;
like($waited, qr/[a-z]{36} 2025-06-18/, '... and the call goes on');
my $slow = who($s, 'one');
like($slow, qr/^[a-z]{36} /, 'and the call uses it');
is(opened() - $base, 2, 'no other one');

$t->kill9('one');
$s = session('acme');
ok($s, 'one that is down does not hold it up, either');
like(who($s, 'two'), qr/^[a-z]{300} /, 'the others work');

$t->done;
