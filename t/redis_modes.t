#!/usr/bin/perl

# The ways to a Redis: Sentinels and a failover, a Cluster whose shards move,
# TLS with a user of ACL; and one that answers what no Redis does.

use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Redis;

my $t = Test::Stoa->new->has(qw(module control redis openssl));
$t->control;
my $to = 'http://127.0.0.1:' . $t->port('up');
my @plans = qw(single sentinel cluster tls fake);
my %plans = map { ($_ => { quota_day => 30, on_store_failure => 'deny' }) }
    @plans, map { "shard$_" } 1 .. 24;
$t->apply(docs(tenant('acme'), app('acme', 'demo'),
    map { (plan('acme', $_, %{ $plans{$_} }), rest('acme', "a$_", $to),
           sub_('acme', 'demo', "a$_", $_)) } sort keys %plans));
my $key = $t->key('acme', 'demo');

sub gateway {
    my ($name, $redis, %o) = @_;
    $t->gateway(name => $name, workers => 2, level => 'notice',
        http => "stoa_redis $redis timeout=300ms;"
        . ($name eq 'sentinel' ? ' server { listen 127.0.0.1:%%PORT_up%%; '
           . 'access_log off; location / { return 200 ok; } }' : ''), %o);
}
sub call { my ($gw, $api) = @_;
           return $t->get('/apis/acme/a' . ($api // $gw) . '/x', key => $key,
                          gateway => $gw) }
sub passes { my ($gw, $api, $seconds) = @_;
             return wait_until { call($gw, $api)->{status} == 200 }
                    $seconds // 15 }


# Sentinels: a failover that leaves the old master alive, as a replica

my @nodes = map { Test::Stoa::Redis->new($t, "node$_", $_ == 2
    ? (conf => ['--replicaof 127.0.0.1 ' . $t->port('node1')]) : ()) } 1, 2;
my @sentinels = map {
    my $file = $t->dir("sentinel$_.conf");
    spew($file, "sentinel monitor limits 127.0.0.1 @{[$nodes[0]->port]} 2\n"
        . "sentinel down-after-milliseconds limits 700\n"
        . "sentinel failover-timeout limits 3000\n");
    Test::Stoa::Redis->new($t, "sentinel$_", file => $file, sentinel => 1)
} 1 .. 3;
wait_until { ($nodes[1]->cmd('ROLE'))[3] eq 'connected' } 10;
wait_until { my $n = () = join(' ', map { ref $_ ? () : $_ }
    $_->cmd('SENTINEL', 'CKQUORUM', 'limits')) =~ /^OK 3/; $n } 15
    for @sentinels;
wait_until { my $got = $sentinels[0]->cmd('SENTINEL', 'REPLICAS', 'limits');
             ref $got && @$got } 15;
gateway('sentinel', join(' ', map { $_->address } @sentinels)
        . ' sentinel=limits');
my $used = 0;
ok(passes('sentinel'), 'the master that Sentinels name');
$used++;
like(join(' ', $nodes[0]->cmd('KEYS', '*')), qr/stoa:\{l/,
     'it is counted there');
wait_until { ($nodes[1]->cmd('DBSIZE')) >= 2 } 5;
wait_until { my $r = $sentinels[0]->cmd('SENTINEL', 'FAILOVER', 'limits');
             $r =~ /OK/ } 15;
wait_until { ($nodes[1]->cmd('ROLE'))[0] eq 'master'
             && ($nodes[0]->cmd('ROLE'))[0] eq 'slave' } 20;
$used++ if passes('sentinel');
wait_until { my $r = call('sentinel'); $used++ if $r->{status} == 200;
             $r->{status} == 429 } 15;
is($used, 30, 'after a failover what was used is known, and no more passes');
$nodes[1]->kill9;
wait_until { ($nodes[0]->cmd('ROLE'))[0] eq 'master' } 20;
ok((wait_until { call('sentinel')->{status} == 429 } 15),
   'a master that was killed: the other one knows');


# a Cluster: shards at three masters, and one that moves

my @cluster = map { Test::Stoa::Redis->new($t, "c$_", conf =>
    ['--cluster-enabled yes', '--cluster-node-timeout 1000',
     '--cluster-require-full-coverage no', '--cluster-port '
     . $t->port("bus$_")]) } 1 .. 3;
my @slots = ([0, 5460], [5461, 10922], [10923, 16383]);
$cluster[$_]->cmd('CLUSTER', 'ADDSLOTSRANGE', @{ $slots[$_] }) for 0 .. 2;
$cluster[0]->cmd('CLUSTER', 'MEET', '127.0.0.1', $cluster[$_]->port,
                 $t->port('bus' . ($_ + 1))) for 1, 2;
for my $c (@cluster) {
    wait_until { $c->cmd('CLUSTER', 'INFO') =~ /cluster_state:ok/
                 && $c->cmd('CLUSTER', 'INFO') =~ /known_nodes:3/ } 20;
}
gateway('cluster', "@{[$cluster[0]->address]} @{[$cluster[1]->address]} "
        . 'cluster');
is(join(' ', map { call('cluster', "shard$_")->{status} } 1 .. 24),
   join(' ', (200) x 24), 'budgets all over a Cluster');
my @at = map { scalar(my @k = $_->cmd('KEYS', '*b:*')) } @cluster;
is(scalar(grep { $_ } @at), 3, "on all its masters (@at)");

my ($where) = grep { $at[$_] } 0 .. 2;
my ($budget) = $cluster[$where]->cmd('KEYS', '*b:*');
my $slot = $cluster[$where]->cmd('CLUSTER', 'KEYSLOT', $budget);
my ($from, $into) = ($cluster[$where], $cluster[($where + 1) % 3]);
my @id = map { $_->cmd('CLUSTER', 'MYID') } $from, $into;
$into->cmd('CLUSTER', 'SETSLOT', $slot, 'IMPORTING', $id[0]);
$from->cmd('CLUSTER', 'SETSLOT', $slot, 'MIGRATING', $id[1]);
sub rest_of { my $n = 1;
              for my $s (1 .. 24) {
                  my $left = 31;
                  while (--$left) {
                      my $r = call('cluster', "shard$s");
                      last if $r->{status} == 429;
                      $n++ if $r->{status} == 200;
                  }
              }
              return $n }
is(join(' ', map { call('cluster', "shard$_")->{status} } 1 .. 24),
   join(' ', (200) x 24), 'a slot that moves');
$from->cmd('MIGRATE', '127.0.0.1', $into->port, '', 0, 5000, 'KEYS',
           $from->cmd('CLUSTER', 'GETKEYSINSLOT', $slot, 100));
is(join(' ', map { call('cluster', "shard$_")->{status} } 1 .. 24),
   join(' ', (200) x 24), 'its keys are at the other one already');
$_->cmd('CLUSTER', 'SETSLOT', $slot, 'NODE', $id[1]) for $into, $from,
    @cluster;
is(rest_of() - 1 + 24 * 3, 24 * 30, 'and it has moved: none was counted twice');


# TLS, and a user who may do no more than that

my $dir = $t->dir('tls');
mkdir $dir;
system('/bin/sh', '-c', "cd '$dir' && openssl req -x509 -newkey rsa:2048 "
    . '-nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=redis.test '
    . '-addext subjectAltName=DNS:redis.test,IP:127.0.0.1 2>/dev/null') == 0
    or $t->give_up('no certificate');
my $tls = Test::Stoa::Redis->new($t, 'secure', tls => 1, conf => [
    "--tls-cert-file $dir/cert.pem", "--tls-key-file $dir/key.pem",
    "--tls-ca-cert-file $dir/cert.pem", '--tls-auth-clients no',
    '--user default off', '--user gate on >hidden ~stoa:* +eval +evalsha '
    . '+time +get +set +pexpire +hget +hset +hdel +hgetall +del +ping +role '
    . '+select']);
spew($t->dir('redis-password'), "hidden\n", 0600);
my $secure = $tls->address . ' tls user=gate password_file='
    . $t->dir('redis-password');
gateway('tls', "$secure tls_ca=$dir/cert.pem db=3");
ok(passes('tls'), 'TLS, a user of ACL, a database');
ok(!(grep { /hidden/ } $t->log_lines('tls', 'error.log')),
   'its password is in no log');
$t->stop('tls');
gateway('tls', $secure);
is(call('tls')->{status}, 503, 'a certificate of nobody: not taken');
ok((wait_until { grep { /does not verify/ } $t->log_lines('tls',
    'error.log') } 5), 'and said');
$t->stop('tls');
gateway('tls', "$secure tls_ca=$dir/cert.pem tls_name=other.test");
is(call('tls')->{status}, 503, 'a certificate for another name: not taken');
$t->stop('tls');
spew($t->dir('redis-password'), "wrong\n", 0600);
gateway('tls', "$secure tls_ca=$dir/cert.pem");
is(call('tls')->{status}, 503, 'a wrong password');
ok((wait_until { grep { /WRONGPASS/ } $t->log_lines('tls', 'error.log') } 5),
   'and said');


# what no Redis says: each is a refusal, and the worker lives

my $says = $t->dir('says');
my %ANSWER = (
    garbage => "HTTP/1.1 400 Bad Request\r\n\r\n",
    half => "*10\r\n:1\r\n",
    huge => "*2000000000\r\n",
    long => '$500000000' . "\r\n" . 'x' x 100_000,
    deep => "*1\r\n" x 64,
    grows => "*512\r\n" . ("*512\r\n" . ":1\r\n" x 512) x 100,
    noscript => "-NOSCRIPT No matching script\r\n",
    moved => '-MOVED 1 127.0.0.1:' . $t->port('standin') . "\r\n",
    ask => '-ASK 1 127.0.0.1:' . $t->port('standin') . "\r\n",
    nowhere => "-MOVED 1 \r\n",
    again => "-TRYAGAIN half of it\r\n",
    down => "-CLUSTERDOWN The cluster is down\r\n",
    loading => "-LOADING Redis is loading\r\n",
    oom => "-OOM command not allowed\r\n",
    readonly => "-ERR in the script: -READONLY You can't write\r\n",
    text => "+OK\r\n",
    few => "*2\r\n:1\r\n:2\r\n",
    words => "*10\r\n" . "+x\r\n" x 10,
    minus => "*10\r\n" . ":-5\r\n" x 10,
    many => "*10\r\n" . ":9000000000000000000\r\n" x 10,
    twice => join('', map { "*10\r\n" . ":0\r\n" x 10 } 1 .. 3),
    silence => '',
    closed => undef,
);
spew($says, 'closed');
my $listen = IO::Socket::INET->new(Listen => 16, ReuseAddr => 1,
    LocalAddr => '127.0.0.1', LocalPort => $t->port('standin')) or die;
$t->start('standin', code => sub {
    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = sub { POSIX::_exit(0) };
    my $select = IO::Select->new($listen);
    while (1) {
        for my $s ($select->can_read) {
            if ($s == $listen) { $select->add($listen->accept); next }
            my $n = sysread $s, my $data, 65536;
            if (!$n) { $select->remove($s); close $s; next }
            my $answer = $ANSWER{ slurp($says) };
            for my $cmd ($data =~ /^(PING|ROLE|EVALSHA|EVAL|ASKING)\r/mg) {
                if ($cmd eq 'PING' || $cmd eq 'ASKING') {
                    syswrite $s, "+OK\r\n"
                } elsif (defined $answer) { syswrite $s, $answer }
                else { $select->remove($s); close $s; last }
            }
        }
    }
});
close $listen;
gateway('fake', '127.0.0.1:' . $t->port('standin') . ' cluster');
my @pids = $t->workers('fake');
for my $what (sort keys %ANSWER) {
    spew("$says.new", $what);
    rename "$says.new", $says;
    my $r;
    wait_until { $r = call('fake'); $r->{status} != 200 } 5;
    like($r->{status}, qr/^(?:503|429)$/, "$what: refused");
    next if $what ne 'grows';
    ok((wait_until { call('fake'); grep { /its answer is too long/ }
                     $t->log_lines('fake', 'error.log') } 10),
       "$what: not taken up to its end");
}
is(join(' ', sort $t->workers('fake')), join(' ', sort @pids),
   'its workers live');

$t->done;
