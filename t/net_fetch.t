#!/usr/bin/perl

# The HTTP client on nginx's event loop: framings, cut anywhere; what is sent
# twice and what is not; limits; TLS, names and whom it may ask; cancelled in
# each callback; the end of a worker; no growth.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Base qw(config);
use Test::Stoa::HTTP;

use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep);

my $t = Test::Stoa->new->has('module', 'control', 'tls', 'openssl');
my $module = "$Test::Stoa::OBJS/t/ngx_http_stoa_test_module.so";

# answers by path; /raw/N: what is in the file N, in pieces that "|" ends

my %raw = (
    length => "HTTP/1.1 200 OK\r\nConnection: close\r\n"
        . "Content-Length: 3\r\n\r\nabc",
    chunked => "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        . "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nA: b\r\n\r\n",
    close => "HTTP/1.1 200 OK\r\n\r\nabc",
    interim => "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\n"
        . "HTTP/1.1 201 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
    garbage => "SSH-2.0-OpenSSH\r\n\r\n",
    twolengths => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
        . "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    short => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    nolast => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc"
        . "\r\n",
    none => '',
    hello => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200",
);
my $up = $t->origin(sub {
    my ($q, $c) = @_;
    my ($how, $name) = $q->{path} =~ m{^/(\w+)/?(\w*)};
    if ($how eq 'raw' || $how eq 'bytes') {
        my @parts = $how eq 'raw' ? $raw{$name} : split //, $raw{$name};
        for (@parts) { $c->send_raw($_); sleep 0.001 if @parts > 1 }
        return undef;
    }
    if ($how eq 'wait') { $c->fill(time + 30); return undef }
    if ($how eq 'head') {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        $c->fill(time + 30);
        return undef;
    }
    # answers once, then closes when the next one is there
    if ($how eq 'once') {
        return [200, [], "first $$"] if $q->{n} == 1;
        return undef;
    }
    return [200, [], 'y' x $name] if $how eq 'big';
    return [200, [], "$q->{method} " . length($q->{body} // '')
            . " $q->{headers}{host} $q->{headers}{'x-test'} $q->{n}"];
}, name => 'up');

my $dir = $t->dir;
sub openssl { my @c = ('openssl', @_);
              my ($code, $out, $err) = $t->run_cmd(\@c);
              die "@c: $err" if $code }
openssl(qw(req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority),
        '-keyout', "$dir/ca.key", '-out', "$dir/ca.pem");
openssl(qw(req -newkey rsa:2048 -nodes -subj /CN=good.test),
        '-keyout', "$dir/server.key", '-out', "$dir/server.csr");
$t->write_file('ext', "subjectAltName=DNS:good.test\n");
openssl(qw(x509 -req -days 2 -set_serial 1), '-in', "$dir/server.csr",
        '-CA', "$dir/ca.pem", '-CAkey', "$dir/ca.key", '-extfile',
        "$dir/ext", '-out', "$dir/server.pem");
my $tls = $t->port('tls');
my $plain = $t->port('tlsup');
$t->write_file('tlsup/nginx.conf', $t->bare_conf(<<"END", name => 'tlsup'));
        listen 127.0.0.1:$tls ssl;
        ssl_certificate $dir/server.pem;
        ssl_certificate_key $dir/server.key;
        keepalive_requests 100000;
        location / { return 200 "sni:\$ssl_server_name \$connection_requests"; }
END
$t->start_nginx('tlsup');

my $dns = $t->port('dns');
my $udp = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.3',
    LocalPort => $dns) or die "dns: $!";
$t->start('dns', foreign => 1, code => sub {
    for (;;) {
        my $peer = $udp->recv(my $q, 512) or next;
        my $end = index($q, "\0", 12) + 5;
        next if $q =~ /silent/;
        my @a = $q =~ /two/ ? ([127, 0, 0, 9], [127, 0, 0, 1])
            : $q =~ /far/ ? [169, 254, 169, 254] : [127, 0, 0, 1];
        $udp->send(substr($q, 0, 2)
            . pack('nnnnn', $q =~ /nobody/ ? 0x8183 : 0x8180, 1, scalar @a,
                   0, 0) . substr($q, 12, $end - 12)
            . join('', map { pack('nnnNnC4', 0xc00c, 1, 1, 1, 4, @$_) } @a),
            0, $peer);
    }
});

$t->control;
my %o = (name => 'gw', http => "stoa_upstream_ca $dir/ca.pem;",
    server => "resolver 127.0.0.3:$dns ipv6=off; resolver_timeout 1s;"
        . 'location = /fetch { stoa_test_fetch; }');
$t->gateway(%o, conf => $t->template(%o) =~ s/%%MODULE%%/$module/r);

my $at = "http://127.0.0.1:$up";
sub fetch { my ($url, @args) = @_;
    my $r = $t->get('/fetch?' . join '&', @args, "url=$url");
    return $r->{status} == 200 ? $r->{body} : "$r->{status} $r->{error}" }

# How often a path was asked for.  The log is long: it is not parsed.

sub asked { my ($path) = @_;
            return scalar(() = slurp($t->dir('up.requests'))
                          =~ m{"path":"\Q$path\E"}g) }

# ---- framings ----

my %is = (
    length => "done 200 -\nabc", chunked => "done 200 -\nabcdefg",
    close => "done 200 -\nabc", interim => "done 201 -\nabc",
    garbage => "invalid 0 no status line\n",
    twolengths => "invalid 200 two lengths\n",
    short => "cut 200 it broke off\nabc",
    nolast => "cut 200 it broke off\nabc", none => "lost 0 it closed\n",
);
for my $name (sort keys %is) {
    is(fetch("$at/raw/$name"), $is{$name}, "$name, at once");
    is(fetch("$at/bytes/$name"), $is{$name}, "$name, byte by byte");
    is(fetch("$at/bytes/$name", 'pause=1'), $is{$name}, "$name, with pauses");
}
is(fetch("$at/raw/hello"), "done 200 -\nabc", 'bytes behind an answer');
is(fetch("$at/x?a=b"), "done 200 -\nGET 0 127.0.0.1:$up yes 1",
   'on a connection of its own, as that one is not used again');
like(fetch("$at/x"), qr/ 2$/, 'the next one uses an idle one');
like(fetch("$at?a=b"), qr/^done 200/, 'no path');

# ---- requests ----

for my $n (0, 1, 16384, 16385, 3_000_000) {
    like(fetch("$at/x", "post=$n"), qr/^done 200 -\nPOST $n /, "a body of $n");
}
is(length fetch("$at/big/3000000"), 3_000_000 + length "done 200 -\n",
   'a large answer');
is(length fetch("$at/big/300000", 'pause=1'), 300_000 + length "done 200 -\n",
   'and with pauses');

# ---- once or twice ----

my $other = "http://127.0.0.1:$up/once";
$t->reload('gw', drain => 1);
like(fetch($other), qr/^done 200 -\nfirst/, 'an idle connection');
my $before = asked('/once');
is(fetch($other, 'post=1'), "lost 0 it closed\n",
   'which closes when a request was written: it may have arrived');
is(asked('/once'), $before + 1, 'and is not sent twice');
like(fetch($other), qr/^done 200 -\nfirst/, 'once more');
$before = asked('/once');
like(fetch($other, 'post=1', 'twice=1'), qr/^done 200 -\nfirst/,
   'one that may be sent twice is, on a new connection');
is(asked('/once'), $before + 2, 'twice');
is(fetch("$at/raw/none", 'twice=1'), "lost 0 it closed\n",
   'but not for ever');

# ---- limits ----

is(fetch("$at/wait", 'read=100'), "timeout 0 -\n", 'no answer in time');
is(fetch("$at/head", 'read=100'), "timeout 200 -\nabc", 'no end in time');
is(fetch("$at/wait", 'whole=100'), "timeout 0 -\n", 'nor in all');
is(fetch("$at/big/1000", 'max=1000') =~ s/\n.*//sr, 'done 200 -', 'a maximum');
is(fetch("$at/big/1001", 'max=1000') =~ s/\n.*//sr, 'large 200 -',
   'and one byte past it');

# ---- cancelled ----

is(fetch("$at/raw/length", "cancel=$_"), "cancelled 0 -\n"
   . ($_ eq 'head' ? '' : 'abc'), "cancelled by $_") for qw(head chunk end);
my $c = $t->connection;
$c->send_raw("GET /fetch?url=$at/wait HTTP/1.1\r\nHost: x\r\n\r\n");
wait_until { asked('/wait') } 10;
$c->close;

# ---- TLS, names, whom it may ask ----

my %whom = (
    "https://good.test:$tls/" => "done 200 -\nsni:good.test 1",
    "https://bad.test:$tls/" => "unreachable 0 TLS name\n",
    "https://127.0.0.1:$tls/" => "unreachable 0 TLS name\n",
    "https://good.test:$up/" => "unreachable 0 TLS handshake\n",
    "http://two.test:$plain/" => "done 200 -\nsni: 1",
    "http://nobody.test/" => "unreachable 0 its name could not be resolved\n",
    "http://silent.test/" => "unreachable 0 its name could not be resolved\n",
    "http://far.test/" => "unreachable 0 an address that may not be asked\n",
    'http://169.254.169.254/' =>
        "unreachable 0 an address that may not be asked\n",
    'http://127.0.0.1:1/' => "unreachable 0 no connection\n",
    'ftp://127.0.0.1/' => "refused 0 no URL with http or https\n",
    'http://a@127.0.0.1/' => "refused 0 a URL that cannot be asked\n",
    'http://unix:/tmp/x' => "refused 0 a URL that cannot be asked\n",
    'http:///x' => "refused 0 a URL that cannot be asked\n",
);
is(fetch($_, 'connect=500'), $whom{$_}, $_) for sort keys %whom;
like(fetch("http://localhost:$plain/"), qr/^done/, 'localhost');
fetch("https://good.test:$tls/");
like(fetch("https://good.test:$tls/"), qr/sni:good.test [23]/,
   'TLS is kept, too');

# ---- no growth ----

my ($pid) = $t->workers;
sub rss { return $t->memory($pid) }
my $n = $ENV{STOA_FETCHES} || 4000;
my @urls = ("$at/x", "$at/raw/garbage", "http://127.0.0.1:1/",
            "http://127.0.0.1:$plain/", "$at/raw/short");
my $conn = $t->connection;
my $many = sub { my ($n) = @_;
    for (1 .. $n) {
        my $u = $urls[$_ % @urls];
        $conn ||= $t->connection;
        my $r = $conn->request('GET', "/fetch?url=$u");
        undef $conn if $r->{error};
        undef $conn if $r->{headers}{connection} // '' eq 'close';
    } };
$many->(500);
my $rss = rss();
$many->($n);
cmp_ok(rss() - $rss, '<', config('SANITIZE') ? 1 << 20 : 1024,
       "RSS after $n fetches");

# ---- the end of a worker ----

for my $path ('/wait', '/head') {
    my ($old) = $t->workers;
    my $c = $t->connection;
    my $was = asked($path);
    $c->send_raw("GET /fetch?url=$at$path HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until { $was < asked($path) } 10;
    kill 'HUP', $t->pid('gw');
    is($c->response->{body} =~ s/ .*//sr, 'exit', "$path: it ends at a reload");
    is((wait_until { !kill 0, $old } 10), 1, 'and so does the worker');
    $c->close;
}

$t->done;
