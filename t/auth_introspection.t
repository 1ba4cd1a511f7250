#!/usr/bin/perl

# Tokens that only their issuer can read (RFC 7662): the gateway asks, with its
# own client, keeps what was said for a while, and lets nobody in where there
# is no answer.

use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(decode_base64);
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::MCP;
use Test::Stoa::Token;

my $t = Test::Stoa->new->has('module', 'control', 'openssl');
$t->control;
my $ISS = 'https://idp.example/a';
my ($said, $asked, $let_go) = map { $t->dir($_) } qw(said asked let_go);
spew($asked, '');
my $idp = $t->port('idp');
sub issuer_up {
    $t->origin(sub {
        my ($q, $c) = @_;
        open my $f, '>>', $asked;
        print $f json_encode({ body => $q->{body}, headers => $q->{headers} }),
            "\n";
        close $f;
        my %all = %{ json_decode(slurp($said)) };
        my ($token) = $q->{body} =~ /token=([^&]*)/;
        my $a = $all{$token} // { active => JSON::PP::false };
        wait_until { -e $let_go } 20 if $a->{slow};
        return $a->{hang} ? do { $c->fill(time + 30); undef }
            : [$a->{status} // 200, ['Content-Type' => 'application/json'],
               $a->{raw} // json_encode($a)];
    }, name => 'idp', port => $idp);
}
issuer_up();
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    [200, ['Content-Type' => 'application/json'],
     json_encode({ headers => $_[0]{headers} })] });
my $mcp = $t->mcp_origin(name => 'm', tools => { one => sub { 'hi' } });
my $url = "http://127.0.0.1:$idp/introspect";
my $key = token_key($t, 'k', 'ES256');
$t->apply(docs((map { tenant($_) } qw(acme bare snoop)), plan('acme', 'free'),
    plan('bare', 'free'), (map { app('acme', $_) } qw(demo web)),
    app('snoop', 'spy'), rest('snoop', 'seen', $to),
    rest('acme', 'echo', $to, identity => 'headers'),
    rest('bare', 'none', $to),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    (map { sub_('acme', $_, 'echo', 'free') } qw(demo web)),
    sub_('acme', 'demo', 'm', 'free'),
    doc('Secret', 'acme', 'intro', { value => 's3:cret/x y' }),
    doc('Issuer', 'acme', 'idp', { issuer => $ISS, application => 'demo',
        introspection => { url => $url, client_id => 'gw:1',
                           client_secret => 'intro' },
        clients => [{ client => 'web', application => 'web' }],
        audiences => ['x'] }),
    doc('Issuer', 'acme', 'keyed', { issuer => "$ISS/keyed",
        jwks => jwks($key), application => 'demo', audiences => ['x'] }),
    doc('Secret', 'snoop', 'intro', { value => 's' }),
    doc('Issuer', 'snoop', 'spy', { issuer => "$ISS/keyed",
        introspection => { url => $url, client_id => 'spy',
                           client_secret => 'intro' },
        application => 'spy', audiences => ['x'] })));
$t->gateway(workers => 2, server => <<"END");
    location /both/ {
        stoa_protect tenant=acme api=echo;
        auth_request /_yes;
        mirror /_mirror;
        proxy_pass $to;
    }
    location = /_yes { internal; return 204; }
    location = /_mirror { internal; proxy_pass $to; }
END
my $api_key = $t->key('acme', 'demo');
$t->sync;

my %all;
sub says { my ($token, %a) = @_;
    $all{$token} = { active => JSON::PP::true, aud => 'x', sub => 'u1', %a };
    spew($said, json_encode(\%all)) }
sub call { my ($token, %o) = @_;
    return $t->get($o{path} // '/apis/acme/echo/',
                   headers => { Authorization => "Bearer $token" }) }
sub code { my $r = call(@_); return $r->{status} == 200 ? 200
           : "$r->{status} " . ($r->{json}{code} // '') }
sub asked { my @lines = split /\n/, slurp($asked); return scalar @lines }
says('none', active => JSON::PP::false);


# asked, and known

says('good', client_id => 'other', scope => 'a b');
my $r = call('good');
is($r->{status}, 200, 'a token that its issuer knows') or diag $r->{body};
is($r->{json}{headers}{'x-stoa-application'}, 'demo', 'its application');
is($r->{json}{headers}{'x-stoa-subject'}, 'u1', 'its subject');
is($r->{json}{headers}{authorization}, undef, 'the token stays here');
my $q = json_decode((split /\n/, slurp($asked))[0]);
is($q->{body}, 'token=good', 'the issuer is asked by a form');
is(decode_base64(substr $q->{headers}{authorization}, 6),
   'gw%3A1:s3%3Acret%2Fx%20y', 'with the gateway\'s own client');
my $n = asked();
is(join(' ', map { code('good') } 1 .. 6), '200 200 200 200 200 200',
   'again, on any worker');
is(asked(), $n, 'without asking');
says('web', client_id => 'web');
is(call('web')->{json}{headers}{'x-stoa-application'}, 'web',
   'a client is an application');

is(code('unknown'), '401 token_invalid', 'one that it does not know');
$n = asked();
is(code('unknown'), '401 token_invalid', 'nor the next time');
is(asked(), $n, 'without asking');

says('odd+/=', scope => 'x');
$all{'odd%2B%2F%3D'} = $all{'odd+/='};
spew($said, json_encode(\%all));
is(code('odd+/='), 200, 'whatever a token is made of');

for my $case (
    ['another audience', '401 token_invalid', aud => 'y'],
    ['no audience', '401 token_invalid', aud => undef],
    ['another issuer', '401 token_invalid', iss => 'https://x.example'],
    ['the same issuer', 200, iss => $ISS],
    ['past its time', '401 token_expired', exp => time - 60],
    ['in its time', 200, exp => time + 60],
    ['not yet', '401 token_invalid', nbf => time + 90],
    ['active as text', '401 token_invalid', active => 'true'],
    ['an error', '503 issuer_unavailable', status => 500],
    ['refused', '503 issuer_unavailable', status => 401],
    ['moved', '503 issuer_unavailable', status => 302],
    ['no JSON', '503 issuer_unavailable', raw => '<html>'],
    ['a member twice', '503 issuer_unavailable',
     raw => '{"active":false,"active":true}'],
    ['no object', '503 issuer_unavailable', raw => '[true]'],
    ['nothing', '503 issuer_unavailable', raw => ''],
    ['too much', '503 issuer_unavailable', raw => '{"active":true,"x":"'
     . 'y' x 70000 . '"}'],
) {
    my ($what, $want, %a) = @$case;
    (my $token = $what) =~ tr/ /-/;
    says($token, %a);
    is(code($token), $want, $what);
}


# a JWT whose keys the issuer keeps to itself; MCP; nobody to ask

my $jwt = token($key, claims($ISS, 'x'));
says($jwt);
is(code($jwt), 200, 'a JWT without keys to verify it');
is(code(token($key, claims($ISS, 'y'))), '401 token_invalid', 'another one');
is($t->mcp('/mcp/acme', 'tools/call', { name => 'm__one', arguments => {} },
       headers => { Authorization => 'Bearer good' })->{status}, 200, 'MCP');
says('mcp');
is($t->mcp('/mcp/acme', 'tools/call', { name => 'm__one', arguments => {} },
       headers => { Authorization => 'Bearer mcp' })->{status}, 200,
   'MCP, where a call waits for the answer');
says('both');
is(code('both', path => '/both/'), 200, 'with subrequests once it is known');
wait_until { grep { $_->{path} eq '/_mirror' } $t->origin_log } 5;
$n = asked();
is(code('good', path => '/apis/bare/none/'), '401 key_invalid',
   'a tenant without introspection');
is(asked(), $n, 'asks nobody');
my $fresh = token(token_key($t, 'next', 'ES256'), claims("$ISS/keyed", 'x'));
says($fresh, client_id => 'spy');
is(code($fresh), '401 token_invalid', 'a key that is not there yet');
is(asked(), $n, 'another tenant of the same issuer gets no token to see');
is(code($fresh, path => '/apis/bare/none/'), '401 token_invalid',
   'nor where neither of them is called');
is(asked(), $n, 'none at all');
is(code($fresh, path => '/apis/snoop/seen/'), '403 not_subscribed',
   'what it is called with it does');
is(asked(), $n + 1, 'once');
my $twice = token($key, claims("$ISS/keyed", 'x'));
says($twice, active => JSON::PP::false);
is(code($twice, path => '/apis/snoop/seen/'), '401 token_invalid',
   'which refuses one');
is(code($twice), 200, 'there alone');
is($t->get('/apis/acme/echo/', key => $api_key)->{status}, 200,
   'a key asks nobody');


# the client leaves; the issuer is gone

says('hang', hang => 1);
my $c = $t->connection;
$c->send_raw("GET /apis/acme/echo/ HTTP/1.1\r\nHost: x\r\n"
             . "Authorization: Bearer hang\r\n\r\n");
wait_until { slurp($asked) =~ /token=hang/ } 10;
$c->close;
is(code('good'), 200, 'others go on');

my @c = map { $t->connection } 1 .. 140;
$_->send_raw("GET /apis/acme/echo/ HTTP/1.1\r\nHost: x\r\n"
             . "Authorization: Bearer hang\r\n\r\n") for @c;
wait_until { (() = slurp($asked) =~ /token=hang/g) > 16 } 10;
says('apart');
is(code('apart', path => '/apis/snoop/seen/'), '403 not_subscribed',
   'another tenant\'s, however many hang here');
$_->close for @c;
$t->stop('idp');
is(code('later'), '503 issuer_unavailable', 'nobody is let in on a guess');
is(code('good'), 200, 'what is known is known');
issuer_up();
says('later');
is(code('later'), 200, 'asked again');

# at a reload the question goes on

sub slow { my ($token) = @_;
    unlink $let_go;
    says($token, slow => 1);
    my $c = $t->connection;
    $c->send_raw("GET /apis/acme/echo/ HTTP/1.1\r\nHost: x\r\n"
                 . "Authorization: Bearer $token\r\n\r\n");
    wait_until { slurp($asked) =~ /token=$token/ } 10;
    return $c }
$c = slow('reload');
ok($t->reload, 'a reload while an issuer is asked');
spew($let_go, '');
is($c->response->{status}, 200, 'its answer counts');


# an answer is its issuer's alone: not the next one's that could be asked

$t->apply(docs(doc('Issuer', 'acme', 'next', { issuer => "$ISS/next",
    introspection => { url => $url, client_id => 'n',
                       client_secret => 'intro' },
    application => 'web', audiences => ['x'] })));
$t->sync;
$c = slow('slow');
$t->must(POST => '/v1/tenants/acme/issuers/idp/suspend');
$t->sync;
spew($let_go, '');
is($c->response->{status}, 503, 'an issuer suspended while it is asked');
$t->must(POST => '/v1/tenants/acme/issuers/next/suspend');
$t->sync;
is(code('good'), '401 key_invalid', 'a suspended issuer has said nothing');
$t->done;
