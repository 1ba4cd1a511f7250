#!/usr/bin/perl

# Server-side request forgery: tenants name addresses, and neither the control
# plane (discovery) nor a gateway asks one that the operator did not list,
# whatever way it is written, whatever a name leads to, wherever a redirect
# points.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

use Socket;

my $t = Test::Stoa->new->has('module', 'control');
my $port = $t->origin;
$t->origin(sub { return [302, [Location => "http://127.0.0.1:$port/"], ''] },
           name => 'listed', port => $port, address => '127.0.0.9');
sub reached { my @n = map { $t->origin_log($_) } @_ ? @_ : 'origin';
              return scalar @n }

# the machine's own name, where it is a loopback address
my ($name) = `hostname` =~ /^([a-z0-9-]+)$/;
my $ip = $name ? inet_aton($name) : undef;
$name = undef unless $ip && inet_ntoa($ip) =~ /^127\./ && $name ne 'localhost';

$t->control(args => ['--outbound-allow=192.168.7.0/24, 127.0.0.9']);
$t->apply(docs(tenant('acme'), app('acme', 'demo'), plan('acme', 'free')));

sub api {
    my ($kind, $name, $host, %upstream) = @_;
    return $t->api('POST', '/v1/tenants/acme/apis', { kind => $kind,
        name => $name, upstream => { %upstream,
            targets => [{ url => "http://127.0.0.9:$port/" },
                        { url => "http://$host:$port/x" }] } });
}

# what names its address is refused at once, with its field

my $n = 0;
for my $row (['127.0.0.1', 'a loopback'],
    ['localhost', 'a loopback'], ['[::1]', 'a loopback'],
    ['10.0.0.1', 'a private'],
    ['192.168.8.1', 'a private'], ['[fd00::1]', 'a private'],
    ['[64:ff9b::a00:1]', 'a private'])
{
    my ($host, $what) = @$row;
    my $r = api('mcp', 'x' . $n++, $host);
    is("$r->{status} $r->{json}{errors}[0]{field}",
       '422 upstream.targets[1].url', "mcp: $host");
    like($r->{json}{errors}[0]{message}, qr/is $what address, which/, 'why');
}
for my $host ('169.254.169.254', '[::ffff:169.254.169.254]', '[fe80::1]',
    '[fd00:ec2::254]', '100.100.100.200', '0.0.0.0', '[64:ff9b::a9fe:a9fe]')
{
    is(api('rest', 'x' . $n++, $host)->{status}, 422, "rest: $host");
}
for my $host ('127.1', '2130706433', '0x7f000001', '0177.0.0.1', '1.2.3.4.5') {
    my $r = api('rest', 'x' . $n++, $host);
    is("$r->{status} $r->{json}{errors}[0]{message}", '422 has no valid host',
       "$host: resolvers disagree about what it is");
}
for my $host ('127.0.0.1', '10.0.0.1', 'localhost', '192.0.2.1') {
    is(api('rest', 'x' . $n++, $host)->{status}, 201,
       "rest: $host is the gateways' to judge");
}
my $r = $t->api('POST', '/v1/apply', docs(doc('Api', 'acme', 'y', { kind => 'mcp',
    upstream => { targets => [{ url => "http://127.0.0.1:$port/" }] } })),
    headers => { 'Content-Type' => 'application/yaml' });
is("$r->{status} $r->{json}{errors}[0]{field}",
   '422 spec.upstream.targets[0].url', 'the same in a document');

is(reached(), 0, 'nobody was asked');

# a listed address is asked; where it leads to is not

sub discovered {
    my ($name) = @_;
    my $d;
    wait_until {
        $d = $t->must('GET', "/v1/tenants/acme/apis/$name")->{discovery};
        $d->{state} ne 'pending' } 15;
    return "$d->{state} " . ($d->{error} // '');
}
is(api('mcp', 'listed', '127.0.0.9')->{status}, 201, 'a listed address');
like(discovered('listed'), qr/^failed .*302/, 'is asked');
cmp_ok(reached('listed'), '>', 0, 'indeed');
is(reached(), 0, 'and where it leads to is not');

# a name is judged by what it leads to

SKIP: {
    skip 'the machine has no name for its loopback address', 2 unless $name;
    $t->must('POST', '/v1/tenants/acme/apis', { kind => 'mcp',
        name => 'named', upstream => {
            targets => [{ url => "http://$name:$port/" }] } });
    like(discovered('named'), qr/^failed .* is a loopback address, which/,
         'a name that leads to a loopback address');
    is(reached(), 0, 'is not asked');
}

# with a certificate's name the connection goes to the target all the same

is($t->api('POST', '/v1/tenants/acme/apis', { kind => 'mcp', name => 'sni',
    upstream => { targets => [{ url => "https://127.0.0.1:$port/" }],
                  tls => { server_name => 'example.com' } } })->{status},
   422, 'TLS by another name');

# ---- the gateway

my $to = "http://127.0.0.1:$port";
sub gateway {
    my ($name, $allow) = @_;
    $t->gateway(name => $name, allow => $allow);
    return map { my $api = $_;
        $t->get("/apis/acme/$api/", gateway => $name,
                key => $t->{the_key} //= $t->key('acme', 'demo'))->{status}
    } qw(here private both);
}
$t->apply(docs(
    rest('acme', 'here', $to), rest('acme', 'private', 'http://10.255.255.1:9',
        upstream => { connect_timeout_ms => 100 }),
    rest('acme', 'both', ['http://localhost:1', "http://127.0.0.9:$port"]),
    map { sub_('acme', 'demo', $_, 'free') } qw(here private both)));
$t->{the_key} = $t->key('acme', 'demo');

my ($here, undef, $both) = gateway('gw', '');
is($here, 502, 'loopback: by default not');
is($both, 502, 'localhost neither');
is(reached(), 0, 'nobody was asked');
like(slurp($t->dir('gw/logs/error.log')), qr/\[error\].*stoa: upstream "127\.0\.0\.1" is not asked at /, 'and the log says why');
$t->allow_log(qr/is not asked at|no live upstreams|timed out/);
(my $listed, undef, $both) = gateway('gw2', 'stoa_upstream_allow 127.0.0.9;');
is($listed, 502, 'another address than the listed one');
is($both, 302, 'the listed one');
($listed) = gateway('gw3', 'stoa_upstream_allow loopback;');
is($listed, 200, 'all of loopback');

$t->done;
