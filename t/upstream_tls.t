#!/usr/bin/perl

# TLS to upstreams: verified by default, for the right name, with SNI; apis do
# not share connections that were verified for another name, or not at all.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control', 'tls', 'openssl');

# an authority and a server certificate for good.test

sub openssl { my @c = ('openssl', @_);
              my ($code, $out, $err) = $t->run_cmd(\@c);
              die "@c: $err" if $code; return $out }
my $dir = $t->dir;
openssl(qw(req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority),
        '-keyout', "$dir/ca.key", '-out', "$dir/ca.pem");
openssl(qw(req -newkey rsa:2048 -nodes -subj /CN=good.test),
        '-keyout', "$dir/server.key", '-out', "$dir/server.csr");
$t->write_file('ext', "subjectAltName=DNS:good.test,DNS:also.test\n");
openssl(qw(x509 -req -days 2 -set_serial 1), '-in', "$dir/server.csr",
        '-CA', "$dir/ca.pem", '-CAkey', "$dir/ca.key", '-extfile',
        "$dir/ext", '-out', "$dir/server.pem");

# an nginx as the upstream: it tells SNI, protocol, connection and reuse

my ($tls, $new) = ($t->port('tls'), $t->port('new'));
$t->write_file('up/nginx.conf', $t->bare_conf(<<"END", name => 'up'));
        listen 127.0.0.1:$tls ssl;
        ssl_certificate $dir/server.pem;
        ssl_certificate_key $dir/server.key;
        location / {
            return 200 "sni:\$ssl_server_name \$connection \$connection_requests \$ssl_session_reused \$host";
        }
        location /close { add_header Connection close; keepalive_timeout 0;
            return 200 "sni:\$ssl_server_name \$connection 1 \$ssl_session_reused"; }
    }
    server {
        listen 127.0.0.1:$new ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate $dir/server.pem;
        ssl_certificate_key $dir/server.key;
        location / { return 200 "\$ssl_protocol \$connection"; }
        location /close { keepalive_timeout 0;
            return 200 "\$ssl_protocol \$ssl_session_reused"; }
END
$t->start_nginx('up');

$t->control;
my $at = "https://127.0.0.1:$tls";
my %tls = (
    good => { verify => \1, server_name => 'good.test' },
    also => { verify => \1, server_name => 'also.test' },
    wrong => { verify => \1, server_name => 'bad.test' },
    unnamed => { verify => \1 },
    lax => { verify => \0 },
    laxgood => { verify => \0, server_name => 'good.test' },
);
$t->apply(docs(tenant('acme'), app('acme', 'demo'), plan('acme', 'free'),
    (map { (rest('acme', $_, $at, upstream => { tls => $tls{$_} }),
           sub_('acme', 'demo', $_, 'free')) } sort keys %tls),
    rest('acme', 'new', "https://127.0.0.1:$new", upstream => {
        tls => $tls{good} }), sub_('acme', 'demo', 'new', 'free')));
$t->gateway(http => "stoa_upstream_ca $dir/ca.pem;");
my $key = $t->key('acme', 'demo');
$t->sync;

sub call { my ($api, $path) = @_;
           return $t->get("/apis/acme/$api/" . ($path // ''), key => $key) }

my $r = call('good');
is($r->{status}, 200, 'verified') or diag($r->{body});
my ($sni, $conn, $n) = split ' ', $r->{body};
is($sni, "sni:good.test", "SNI");
for (qw(wrong unnamed)) {
    $r = call($_);
    is("$r->{status} $r->{json}{code}", '502 upstream_unreachable',
       "not for $_");
}
my @lines = grep { /does not match/ } $t->log_lines('gw', 'error.log');
like($lines[0] // '', qr/does not match "bad\.test"/, 'the log says why');
is(call('lax')->{status}, 200, 'without verification');

# TLS 1.3 alone, whichever nginx

$r = call('new');
is("$r->{status} " . (split ' ', $r->{body})[0], '200 TLSv1.3', 'TLS 1.3');
is(call('new')->{body}, $r->{body}, '... kept');
call('new', 'close') for 1 .. 2;
is(call('new', 'close')->{body}, 'TLSv1.3 r', '... resumed');

# connections: kept, never shared between names or verification

is((split ' ', call('good')->{body})[1], $conn, 'kept');
my %seen = map { $_ => (split ' ', call($_)->{body})[1] }
           qw(good also lax laxgood);
is(scalar(keys %{{ reverse %seen }}), 4, 'four apis, four connections')
    or diag(join ' ', %seen);
is((split ' ', call('also')->{body})[0], "sni:also.test", 'their own SNI');
is((split ' ', call($_)->{body})[1], $seen{$_}, "$_ keeps its own")
    for qw(good also lax laxgood);
is(call('wrong')->{status}, 502, 'wrong stays wrong');

# sessions are resumed, for the same name only

call('also', 'close') for 1 .. 2;
is((split ' ', call('also', 'close')->{body})[3], 'r', 'a session is resumed');
$r = call('wrong');
is($r->{status}, 502, 'never for another name');

# without a file of its own: what the system trusts, known before a call comes

{
    local $ENV{SSL_CERT_FILE} = "$dir/ca.pem";
    $t->gateway(name => 'sys', server => 'location /x/ { stoa; }',
                http => 'proxy_ssl_protocols TLSv1.2;');
}
$t->sync('sys');
is($t->get("/apis/acme/$_->[0]/a", key => $key, port => $t->port('sys'))
   ->{status}, $_->[1], "the system's authorities: $_->[0]")
    for ['good', 200], ['wrong', 502], ['also', 200];
is($t->get('/apis/acme/new/', key => $key, port => $t->port('sys'))->{status},
   502, 'no TLS 1.3 where the operator says so');

# the control plane's authority may be root's alone, as it is read at the start

SKIP: {
    my ($gid) = map { (getgrgid $_)[0] } grep { defined }
        (getpwnam 'nobody')[3];
    skip 'no root or nobody', 1 if $> || !$gid;
    chmod 0600, "$dir/ca.pem";
    my $conf = $t->template(name => 'far');
    $conf =~ s/user root;/user nobody $gid;/;
    $conf =~ s{(stoa_control_plane) \S+;}
              {$1 https://127.0.0.1:$tls ca=$dir/ca.pem;};
    $t->gateway(name => 'far', wait => 0, conf => $conf);
    my $said = '';
    wait_until { ($said) = grep { /the control plane/ }
                 $t->log_lines('far', 'error.log') } 10;
    like($said, qr/subject name/, 'a worker that cannot read it knows it');
}
$t->done;
