#!/usr/bin/perl

# Secrets: a value goes in and never out, but into the records of gateways
# that serve what uses it, and from there to the upstream alone.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Feed;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    [200, ['Content-Type' => 'application/json'],
     json_encode({ headers => $_[0]{headers} })] });
$t->must(POST => '/v1/gateway-groups', { name => $_ }) for qw(default far);
$t->apply(docs(tenant('acme'), tenant('beta'), app('acme', 'demo'),
    plan('acme', 'free'),
    rest('acme', 'near', $to, gateway_groups => ['default']),
    rest('acme', 'all', $to),
    map { sub_('acme', 'demo', $_, 'free') } qw(near all)));
my $base = '/v1/tenants/acme';
my $value = 's3cret-TOKEN-1';
my $far = Test::Stoa::Feed->new($t, 'far', 'far');
my $near = Test::Stoa::Feed->new($t, 'near', 'default');
sub feed { my ($f) = @_; $f->pull; return json_encode($f->{rows}) }
sub policy { my ($name, $text, $attach, %o) = @_;
    return $t->api(POST => $o{at} // "$base/policies", { name => $name,
        type => 'headers', attach => $attach, config => { $o{where}
        // 'request_set' => [{ name => 'X-Upstream-Key', value => $text }] },
    }) }
my %said;
sub said { my ($what, $r) = @_; $said{$what} .= $r->{body} // ''; return $r }


# in, and not out

my $r = said('its creation', $t->api(POST => "$base/secrets",
    { name => 'token', title => 'For the upstream', value => $value }));
is($r->{status}, 201, 'a secret');
is($r->{json}{value}, undef, 'without its value');
for my $case (["a\nb", 'a line break'], ["a\x7fb", 'DEL'], ['a${b}', '${'],
              ['x' x 513, 'too long'], ['', 'nothing'], [5, 'a number'])
{
    is($t->api(POST => "$base/secrets", { name => 'bad', value => $case->[0] })
       ->{status}, 422, "not $case->[1]");
}


# used

is(policy('key', 'Bearer ${secret:token}', [{ api => 'near' }])->{status},
   201, 'a policy with it');
for my $case (
    ['none', 'Bearer ${secret:none}', [{ api => 'near' }], {},
     qr/no secret \\"none\\"/],
    ['every gateway\'s', '${secret:token}', [{ tenant => 'acme' }], {},
     qr/apis and to gateway groups/],
    ['an application\'s', '${secret:token}', [{ application => 'demo' }], {},
     qr/apis and to gateway groups/],
    ['the answer', '${secret:token}', [{ api => 'near' }],
     { where => 'response_set' }, qr/must be text/],
    ['another tenant\'s', '${secret:token}', [],
     { at => '/v1/tenants/beta/policies' }, qr/no secret/],
    ['the platform\'s', '${secret:token}', [], { at => '/v1/policies' },
     qr/no secret/],
) {
    my ($name, $text, $attach, $o, $why) = @$case;
    $r = policy('bad', $text, $attach, %$o);
    is($r->{status}, 422, "$name: 422");
    like($r->{body}, $why, "$name: the reason");
}
$t->gateway;
my $key = $t->key('acme', 'demo');
$t->sync;

sub sent { my ($api) = @_;
           my $r = $t->get("/apis/acme/$api/", key => $key);
           return $r->{json}{headers}{'x-upstream-key'} }
is(sent('near'), "Bearer $value", 'the upstream gets it');
is(sent('all'), undef, 'where it is not attached, nobody');
like(feed($near), qr/\Q$value/, 'the gateways that serve the api have it');
unlike(feed($far), qr/\Q$value/, 'others have not');


# changed: the same is no change, another one is there at once

my $tag = $t->api(GET => "$base/secrets/token")->{headers}{etag};
$t->must(PATCH => "$base/secrets/token", { value => $value });
is($t->api(GET => "$base/secrets/token")->{headers}{etag}, $tag,
   'the same value is no change');
$t->must(PUT => "$base/secrets/token", { name => 'token' });
$t->sync;
is(sent('near'), "Bearer $value", 'left out it stays');
$t->must(PATCH => "$base/secrets/token", { value => 'another-TOKEN-2' });
$t->sync;
is(sent('near'), 'Bearer another-TOKEN-2', 'another one');
$t->must(PATCH => "$base/secrets/token", { value => $value });
$t->sync;
$r = $t->api(DELETE => "$base/secrets/token");
is($r->{status}, 409, 'not deleted while it is used');
like($r->{body}, qr/key/, 'by which policy');


# the platform's

$t->must(POST => '/v1/secrets', { name => 'token', value => 'global-TOKEN-3' });
is(policy('all', 'G ${secret:token}', [{ gateway_group => 'default' }],
          at => '/v1/policies')->{status}, 201, 'a global policy');
$t->sync;
is(sent('all'), 'G global-TOKEN-3', 'has the platform\'s');
unlike(feed($far), qr/TOKEN/, 'and no other group');


# documents: declared by name

my $dump = $t->api(GET => '/v1/dump')->{body};
like($dump, qr/kind: Secret\n(?:.*\n)*?.*name: token/, 'declared by name');
my $again = $t->apply($dump);
is_deeply([grep { $_->{action} ne 'none' } @{ $again->{changes} }], [],
          'the dump is no change');
$t->apply("apiVersion: stoa/v1\nkind: Secret\nmetadata: {name: doc, "
          . "tenant: acme}\nspec: {value: doc-TOKEN-4}\n");
is(policy('doc', '${secret:doc}', [{ api => 'all' }])->{status}, 201,
   'a document may hold the value');
$t->sync;
is(sent('all'), 'doc-TOKEN-4', 'and it counts');
my $doc = sub { my ($path, $n) = @_;
    my $r = $t->api(POST => $path, "apiVersion: stoa/v1\nkind: Secret\n"
        . "metadata: {name: doc, tenant: acme}\nspec: {value: doc-TOKEN-$n}\n",
        headers => { 'Content-Type' => 'application/yaml' });
    $said{"the answer of $path"} .= $r->{body};
    return $r->{json}{changes}[0]{action} // 'none' };
is($doc->('/v1/apply', 4), 'none', 'again is no change');
is($doc->('/v1/diff', 5), 'update', 'another value is one');
is($doc->('/v1/apply', 5), 'update', 'that is made');
$t->sync;
is(sent('all'), 'doc-TOKEN-5', 'and counts');
my $diff = $t->api(POST => '/v1/diff', "apiVersion: stoa/v1\nkind: Secret\n"
    . "metadata: {name: doc, tenant: acme}\nspec: {value: doc-TOKEN-5}\n",
    headers => { 'Content-Type' => 'application/yaml' });


# nowhere

my $token = qr/TOKEN-\d/;
unlike($said{$_}, $token, "not in $_") for sort keys %said;
my %where = (
    'the dump' => $dump, 'the diff' => $diff->{body},
    'the secret' => $t->api(GET => "$base/secrets/token")->{body},
    'the list' => $t->api(GET => "$base/secrets")->{body},
    'the policy' => $t->api(GET => "$base/policies/key")->{body},
    'what applies' => $t->api(GET => "$base/effective-policies?api=near")
        ->{body},
    'the audit log' => join('', map { $t->api(
        GET => "/v1/audit?limit=500$_")->{body} } '', '&tenant=acme'),
    'the control plane\'s log' => slurp($t->dir('control.out')),
    'the gateway\'s log' => slurp($t->dir('gw/logs/error.log'))
        . slurp($t->dir('gw/logs/access.log')),
    'its status' => json_encode($t->get('/stoa/status')->{json}),
);
$where{'the database'} = join '', map { slurp($_) }
    grep { -f } glob $t->dir('control.db*') if $t->{db} eq 'sqlite';
unlike($where{$_}, $token, "not in $_") for sort keys %where;

$t->done;
