#!/usr/bin/perl

# What the upstream gets of the client's headers, and what is added: request
# id, trace context, forwarded-*, identity; what the client gets back.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Identity;

my $t = Test::Stoa->new->has('module', 'control');

$t->control;
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q) = @_;
    return [200, ['Content-Type' => 'application/json',
                  'X-Request-Id' => 'of-the-upstream',
                  'X-Accel-Redirect' => '/stoa/status',
                  'X-Accel-Limit-Rate' => '1'],
            json_encode({ headers => $q->{headers} })];
});
$t->apply(docs(tenant('acme'), app('acme', 'demo'), plan('acme', 'free'),
    app('acme', 'demo2'), rest('acme', 'signed2', $to,
        identity => 'signed'), sub_('acme', 'demo2', 'signed', 'free'),
    rest('acme', 'plain', $to), rest('acme', 'named', $to,
        identity => 'headers'), rest('acme', 'signed', $to,
        identity => 'signed'),
    rest('acme', 'hosted', $to, upstream => { host_header => 'in.side' }),
    map { sub_('acme', 'demo', $_, 'free') } qw(plain named signed signed2 hosted)));
$t->gateway(http => "log_format hdr '[\$http_authorization]"
    . "[\$http_x_api_key][\$remote_user]';\n",
    server => 'access_log logs/hdr.log hdr;');
my $key = $t->key('acme', 'demo');
$t->sync;

sub call {
    my ($api, @headers) = @_;
    my $c = $t->connection;
    my $r = $c->request('GET', "/apis/acme/$api/",
        headers => ['X-API-Key' => $key, @headers]);
    $c->close;
    $r->{sent} = json_decode($r->{body})->{headers} if $r->{status} == 200;
    return $r;
}


# request id

my $r = call('plain');
my $id = $r->{headers}{'x-request-id'};
like($id, qr/^[0-9a-f]{32}$/, 'a new request id');
is($r->{sent}{'x-request-id'}, $id, 'the same for both sides');
isnt(call('plain')->{headers}{'x-request-id'}, $id, 'another request');
$r = call('plain', 'X-Request-Id' => 'abc.DEF_1-2');
is($r->{headers}{'x-request-id'}, 'abc.DEF_1-2', 'the client\'s is kept');
is($r->{sent}{'x-request-id'}, 'abc.DEF_1-2', 'for the upstream too');
for my $bad ('a b', 'x' x 65, 'a"b', '', 'a/b') {
    $r = call('plain', 'X-Request-Id' => $bad);
    like($r->{headers}{'x-request-id'}, qr/^[0-9a-f]{32}$/,
         "not \"$bad\"");
    is($r->{sent}{'x-request-id'}, $r->{headers}{'x-request-id'}, 'once');
}


# trace context

my $trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
$r = call('plain', traceparent => $trace, tracestate => 'a=1,b=2');
is($r->{sent}{traceparent}, $trace, 'a trace goes on');
is($r->{sent}{tracestate}, 'a=1,b=2', 'with its state');
my $fresh = qr/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01$/;
like(call('plain')->{sent}{traceparent}, $fresh, 'a new trace');
for my $bad ('00-' . '0' x 32 . '-b7ad6b7169203331-01', uc $trace,
             "$trace-x", 'junk', $trace =~ s/^00/ff/r,
             '00-0af7651916cd43dd8448eb211c80319c-' . '0' x 16 . '-01')
{
    my $sent = call('plain', traceparent => $bad)->{sent}{traceparent};
    like($sent, $fresh, "not $bad");
}
is(call('plain', traceparent => $trace =~ s/^00/01/r . '-more')
   ->{sent}{traceparent}, $trace =~ s/^00/01/r . '-more',
   'a later version goes on');


# forwarded

my $gw = '127.0.0.1:' . $t->port('gw');
$r = call('plain');
is($r->{sent}{'x-forwarded-for'}, '127.0.0.1', 'X-Forwarded-For');
is($r->{sent}{'x-forwarded-proto'}, 'http', 'X-Forwarded-Proto');
is($r->{sent}{'x-forwarded-host'}, $gw, 'X-Forwarded-Host');
$r = call('plain', 'X-Forwarded-For' => '1.1.1.1, 2.2.2.2',
    'X-Forwarded-For' => '3.3.3.3', 'X-Forwarded-Proto' => 'gopher',
    'X-Forwarded-Host' => 'evil');
is($r->{sent}{'x-forwarded-for'}, '127.0.0.1', 'X-Forwarded-For is ours');
is($r->{sent}{'x-forwarded-proto'}, 'http', 'X-Forwarded-Proto is ours');
is($r->{sent}{'x-forwarded-host'}, $gw, 'X-Forwarded-Host too');
is(call('hosted')->{sent}{host}, 'in.side', 'host_header');
like(call('plain')->{sent}{host}, qr/^127\.0\.0\.1:\d+$/,
     'the target\'s host');


# identity

my @spoof = ('X-Stoa-Tenant' => 'evil', 'x-stoa-application' => 'evil',
    'X-STOA-Identity' => 'evil', 'X-Stoa-Whatever' => 'evil',
    'X_Stoa_Tenant' => 'evil');
$r = call('plain', @spoof);
is(scalar(grep { /stoa/ } keys %{ $r->{sent} }), 0,
   'a client cannot say who it is');
$r = call('named', @spoof);
is($r->{sent}{'x-stoa-tenant'}, 'acme', 'X-Stoa-Tenant');
is($r->{sent}{'x-stoa-application'}, 'demo', 'X-Stoa-Application');
like($r->{sent}{'x-stoa-subscription'}, qr/^[0-9a-hjkmnp-tv-z]{16}$/,
     'X-Stoa-Subscription');
is($r->{sent}{'x-stoa-identity'}, undef, 'nothing signed');
is($r->{sent}{'x-stoa-whatever'}, undef, 'nothing else');

$r = call('signed', @spoof);
my $jws = $r->{sent}{'x-stoa-identity'};
my $jwks = $t->api(GET => '/.well-known/jwks.json', undef, token => undef)
    ->{json};
ok(verifies($t, $jwks, $jws), 'an upstream verifies it');
ok(!verifies($t, $jwks, $jws =~ s/\.(.)/'.' . ($1 eq 'e' ? 'f' : 'e')/er),
   'and nothing else');
my ($h, $c) = parts($jws);
my %kid = map { ($_->{kid} => 1) } @{ $jwks->{keys} };
ok($kid{ $h->{kid} }, 'kid: the group\'s');
is_deeply([$h->{alg}, $h->{typ}, scalar keys %$h], ['EdDSA', 'JWT', 3],
          'EdDSA');
is($c->{iss}, 'stoa-gateway', 'iss');
is("$c->{tenant_name} $c->{application_name}", 'acme demo', 'names');
is($c->{subscription}, $r->{sent}{'x-stoa-subscription'}, 'subscription');
is($c->{aud}, $t->must(GET => '/v1/tenants/acme/apis/signed')->{id},
   'aud: the api');
is($c->{exp} - $c->{iat}, 60, 'for a minute');
ok(abs($c->{iat} - time) < 3, 'from now');
is_deeply([sort keys %$c], [qw(application application_name aud exp iat iss
    subscription tenant tenant_name)], 'and nothing more');

# one for all calls that say the same, and for no others

is(call('signed')->{sent}{'x-stoa-identity'}, $jws, 'used again');
my $two = (parts(call('signed2')->{sent}{'x-stoa-identity'}))[1];
is($two->{aud}, $t->must(GET => '/v1/tenants/acme/apis/signed2')->{id},
   'another api has its own');
my $mine = $key;
$key = $t->key('acme', 'demo2');
$t->sync;
my $other = (parts(call('signed')->{sent}{'x-stoa-identity'}))[1];
is("$other->{application_name} $other->{aud}", "demo2 $c->{aud}",
   'another application, too');
isnt($other->{subscription}, $c->{subscription}, 'by its subscription');
$key = $mine;

# rotated: the new key is used as soon as it is there, both are public

my $new = $t->must(POST => '/v1/gateway-groups/default/rotate',
                   { lead_s => 0 })->{kid};
$t->sync;
my $n = 2;
wait_until {
    $n++;
    $t->apply(docs(rest('acme', "s$n", $to, identity => 'signed'),
                   sub_('acme', 'demo', "s$n", 'free')));
    $t->sync;
    $jws = call("s$n")->{sent}{'x-stoa-identity'};
    (parts($jws))[0]{kid} eq $new;
} 10;
is((parts($jws))[0]{kid}, $new, 'rotated: the new key signs');
$jwks = $t->api(GET => '/.well-known/jwks.json', undef, token => undef)
    ->{json};
ok(verifies($t, $jwks, $jws), 'and is public');
ok(verifies($t, $jwks, call('signed')->{sent}{'x-stoa-identity'}),
   'what the old one signed is taken while it lives');


# an upstream cannot lead the request elsewhere in this nginx

is($r->{headers}{'x-accel-redirect'}, undef, 'X-Accel-Redirect does nothing');
ok($r->{json}{headers} || json_decode($r->{body})->{headers},
   'and is not shown');


# nothing of the credential in variables

call('plain', Authorization => "Bearer $key");
is((grep { !/^\[-\]\[-\]\[-\]$/ } $t->log_lines('gw', 'hdr.log'))[0] // '', '',
   'nor in variables');

$t->done;
