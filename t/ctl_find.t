#!/usr/bin/perl

# Looking things up: a key by what an operator has of it, subscriptions and
# lists over tenants, tools of a bundle that are not there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('stoactl');
$t->control;

my $up = 'http://127.0.0.1:1';
my $docs = docs(tenant('pub'), tenant('one'), tenant('two'),
    plan('pub', 'p', approval => 'manual'),
    rest('pub', 'api', $up, audience => 'public'),
    map { (app($_, 'web'), rest($_, 'own', $up), sub_($_, 'web', 'api', 'p',
           target_tenant => 'pub')) } qw(one two));
$t->apply($docs);
my %token = map { $_ => $t->must(POST => '/v1/admin-tokens', { name => "t-$_",
    role => 'tenant-admin', tenant => $_ })->{token} } qw(pub one two);
sub ctl { my ($who, @argv) = @_;
          my $o = ref $argv[-1] ? pop @argv : {};
          return $t->stoactl(@argv, { %$o, $who ? (env => {
              STOA_TOKEN => $token{$who} }) : () }) }


# keys

my $keys = '/v1/tenants/one/applications/web/credentials';
my $key = $t->must(POST => $keys, { title => 'laptop' });
$t->must(POST => $keys, {});
for my $by ($key->{key}, $key->{prefix}, $key->{id}, $key->{last4}) {
    my ($code, $out) = ctl('', 'key', 'find', $by);
    is($code, 0, 'key find');
    like($out, qr/^\Q$key->{id}\E +one +web +laptop /m,
         'by what there is of it: ' . length $by);
}
my ($code, $out, $err) = ctl('', 'key', 'find', '-',
    { stdin => "$key->{key}\n" });
like($out, qr/\Q$key->{id}\E/, 'from the standard input');
is((ctl('one', 'key', 'find', $key->{prefix}))[0], 0, 'its tenant finds it');
is((ctl('two', 'key', 'find', $key->{prefix}))[0], 3, 'no other does');
is((ctl('', 'key', 'find', 'stoa_live_nothing'))[0], 1, 'what is no key');
is((ctl('', 'key', 'find', '0' x 16))[0], 3, 'or nobody\'s');
($code, $out, $err) = ctl('', 'key', 'find', $key->{key}, '-v');
unlike($err, qr/\Q$key->{key}\E/, 'the key itself is not sent');

is((ctl('two', 'key', 'revoke', $key->{prefix}))[0], 3,
   'another tenant revokes none');
($code, $out) = ctl('one', 'key', 'revoke', $key->{key});
is($code, 0, 'a key is revoked without its application');
is($t->must(GET => "$keys/$key->{id}")->{state}, 'revoked', 'it is');
$key = $t->must(POST => $keys, {});
($code) = ctl('', 'key', 'revoke', 'web', $key->{prefix}, '-t', 'one');
is($code, 0, 'by application and what key list prints');
is($t->must(GET => "$keys/$key->{id}")->{state}, 'revoked', 'it is');

my $r = $t->api(GET => "/v1/credentials?id=$key->{id}", undef,
    token => $token{two});
is_deeply($r->{json}{items}, [], 'over REST a tenant sees its own');
unlike($t->api(GET => '/v1/credentials')->{body}, qr/key_digest|"key"/,
    'without secrets');


# lists over all tenants

($code, $out) = ctl('', 'get', 'apis', '-A');
is(join(',', sort map { s/ +/ /r } $out =~ /^(\S+ +(?:api|own)) /mg),
   'one own,pub api,two own', 'apis, with their tenants');
($code, $out) = ctl('one', 'get', 'apis', '-A');
is(join(' ', $out =~ /^(\S+ +\S+) +rest/mg) =~ s/ +/ /gr, 'one own',
   'of those that one sees');
my (@names, $cursor);
do {
    $r = $t->must(GET => '/v1/applications?limit=1'
        . ($cursor ? "&cursor=$cursor" : ''));
    push @names, map { "$_->{tenant}/$_->{name}" } @{ $r->{items} };
} while ($cursor = $r->{next});
is("@{[sort @names]}", 'one/web two/web', 'pages lose none of one name');
is((ctl('', 'get', 'gateways', '-A'))[0], 1, 'not of what has no tenant');
$t->must(POST => '/v1/tenants/two/policies', { name => 'small',
    type => 'body-limit', config => { max_bytes => 9 } });
$t->must(POST => '/v1/tenants/two/secrets', { name => 'word',
    value => 'x' x 20 });
for (['policies', 'small'], ['secrets', 'word']) {
    ($code, $out) = ctl('', 'get', $_->[0], '-A');
    like($out, qr/^two +$_->[1] /m, "$_->[0] of all tenants, with whose");
    ($code, $out) = ctl('one', 'get', $_->[0], '-A');
    unlike($out, qr/$_->[1]/, "a tenant's admin does not see others'");
}


# subscriptions of two tenants

($code, $out) = ctl('pub', 'get', 'subscriptions');
like($out, qr/\b$_ +web +pub +api\b/, "the publisher sees $_")
    for qw(one two);
($code, $out, $err) = ctl('pub', 'subscription', 'approve', 'web/api');
is($code, 1, 'one name of two tenants');
like($err, qr/several/, 'is no answer');
is((ctl('pub', 'subscription', 'approve', 'one/web/api'))[0], 0,
   'with the tenant it is');
($code, $out) = ctl('one', 'get', 'subscription', 'web/api', '-o', 'json');
is(json_decode($out)->{state}, 'active', 'get by name');
is((ctl('one', 'event', 'subscription', 'web/api', 'suspend'))[0], 0,
   'event by name');
is((ctl('one', 'delete', 'subscription', 'web/api'))[0], 0, 'delete by name');


# tools that are not there

my $desk = docs(doc('Api', 'pub', 'bot', { kind => 'mcp', upstream =>
        { targets => [{ url => "$up/mcp" }] } }),
    doc('Server', 'pub', 'desk', { tools => [{ api => 'bot',
        tool => 'forecast' }] }));
($code, $out) = ctl('', 'apply', '-', { stdin => $desk });
like($out, qr{pub/desk: a draft.*\n +not found yet: \["bot/forecast"\]},
     'apply tells of a tool that is not found yet');
($code, $out) = ctl('', 'apply', '-', { stdin => $desk });
like($out, qr{! Server pub/desk\n +not found yet}, 'each time');
($code, $out) = ctl('', 'get', 'server', 'desk', '-t', 'pub', '-o', 'json');
is_deeply(json_decode($out)->{unresolved}, ['bot/forecast'], 'so does get');
is_deeply([grep { $_->{action} ne 'none' } @{ $t->apply($t->api(GET =>
    '/v1/dump?tenant=pub')->{body})->{changes} }], [],
    'which is no part of a document');

$t->done;
