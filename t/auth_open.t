#!/usr/bin/perl

# Open apis and servers: callers without a credential by the plan that the
# publisher names, each network address for itself; nobody gets more by a
# credential that is not good, or where nothing is open.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::MCP;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    [200, ['Content-Type' => 'application/json'],
     json_encode({ headers => $_[0]{headers} })] });
my $mcp = $t->mcp_origin(name => 'm', tools => { map { ($_ => sub { 'hi' }) }
                                                 qw(one two) });
my $shut = $t->mcp_origin(name => 's', tools => { three => sub { 'hi' } });
sub upstream { return { targets => [{ url => "http://127.0.0.1:$_[0]/mcp" }] } }
$t->apply(docs((map { tenant($_) } qw(acme shut)),
    plan('acme', 'free'), plan('shut', 'free'), app('acme', 'demo'),
    plan('acme', 'guests', rate => 2, per_ms => 3600000),
    plan('acme', 'many', limit_by => 'application', rate => 1,
         per_ms => 3600000),
    rest('acme', 'open', $to, open_plan => 'guests', identity => 'headers'),
    rest('acme', 'many', $to, open_plan => 'many', identity => 'signed'),
    rest('acme', 'closed', $to), rest('acme', 'rule', $to,
                                      open_plan => 'free'),
    (map { sub_('acme', 'demo', $_, 'free') } qw(open closed)),
    doc('Policy', 'acme', 'rule', { type => 'require-token',
        config => { keys => JSON::PP::true }, attach => [{ api => 'rule' }] }),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        open_plan => 'free', upstream => upstream($mcp) }),
    doc('Api', 'acme', 's', { kind => 'mcp', state => 'published',
        upstream => upstream($shut) }),
    (map { doc('Server', 'acme', $_->[0], { state => 'published',
        prefix => 'never', tools => [{ api => 's', tool => 'three' }],
        $_->[1] ? (open_plan => 'free') : () }) }
     ['public', 1], ['private', 0])));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/s/tools')
             ->{json}{items} || [] }
             && @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } } 20 or $t->give_up('no tools');
$t->gateway(http => 'set_real_ip_from 127.0.0.0/8; '
            . 'real_ip_header X-Test-Address;');
my $key = $t->key('acme', 'demo');
$t->sync;

sub at { my ($address, %h) = @_;
         return (headers => { 'X-Test-Address' => $address, %h }) }
sub code { my $r = $t->get("/apis/acme/$_[0]/", @_[1 .. $#_]);
           return $r->{status} == 200 ? 200 : "$r->{status} $r->{json}{code}" }


# REST

is(join(' ', map { code('open', at('192.0.2.1')) } 1 .. 3),
   '200 200 429 rate_exceeded', 'by the plan');
is(code('open', at('192.0.2.2')), 200, 'another address for itself');
is(join(' ', map { code('open', at($_)) } '2001:db8::1', '2001:db8::2',
        '2001:db8::3', '2001:db8:0:1::1'), '200 200 429 rate_exceeded 200',
   'of IPv6 each network');
is(code('open', key => $key), 200, 'a key has its own plan');
is(code('open', at('192.0.2.3', 'X-API-Key' => 'junk')), '401 key_invalid',
   'a bad key is no guest');
is(code('open', at('192.0.2.3', Authorization => 'Bearer junk')),
   '401 key_invalid', 'nor is a bad token');
is(code('many', at('192.0.2.4')) . ' ' . code('many', at('192.0.2.5')),
   '200 200', 'limit_by has no application to count');
is(code('closed', at('192.0.2.6')), '401 key_missing', 'what is not open');
is(code('rule', at('192.0.2.6')), '403 role_required',
   'a rule that lets keys in lets no guest in');
my $h = $t->get('/apis/acme/many/', at('192.0.2.7'))->{json}{headers};
is($h->{'x-stoa-tenant'}, 'acme', 'the upstream is told the publisher');
is($h->{'x-stoa-application'}, undef, 'and no application');
is($h->{'x-stoa-subscription'}, undef, 'nor a subscription');
like($h->{'x-stoa-identity'} // '', qr/^ey/, 'in a signed identity, too');
is($t->get('/apis')->{status}, 401, 'there is no list for nobody');


# MCP

sub tools { my ($path, %o) = @_;
    my $r = $t->mcp($path, 'tools/list', {}, %o);
    return $r->{status} == 200 ? join ' ', map { $_->{name} }
        @{ $r->{rpc}{result}{tools} } : $r->{status} }
sub tool { my ($path, $name, %o) = @_;
    my $r = $t->mcp($path, 'tools/call', { name => $name, arguments => {} },
                    %o);
    return "$r->{status} " . ($r->{rpc}{error} ? $r->{rpc}{error}{data}{code}
                              // 'error' : 'ok') }
is(tools('/mcp/acme'), 'm__one m__two three', 'what is open is listed');
is(tool('/mcp/acme', 'm__one'), '200 ok', 'and may be called');
is(tool('/mcp/acme', 'three'), '200 ok', 'by its open server, too');
like(tool('/mcp/acme', 's__three'), qr/^(?:401|200 (?!ok))/,
     'what is not open may not');
is(tools('/mcp/acme/public'), 'three', 'an open server');
is(tool('/mcp/acme/public', 'three'), '200 ok', 'is called');
is(tools('/mcp/acme/private'), 401, 'one that is not: 401');
is(tools('/mcp/acme/none'), 401, 'one that is not there: the same');
is(tools('/mcp/shut'), 401, 'a tenant with nothing open: 401');
is(tools('/mcp/none'), 401, 'no tenant: the same');


# counted; closed again at once

wait_until {
    my $u = $t->must(GET => '/v1/tenants/acme/usage?by=api,application');
    grep { ($_->{api} // '') eq 'open' && !length($_->{application} // '')
           && $_->{requests} >= 5 } @{ $u->{items} } } 20;
my ($row) = grep { ($_->{api} // '') eq 'open'
                   && !length($_->{application} // '') }
    @{ $t->must(GET => '/v1/tenants/acme/usage?by=api,application')->{items} };
ok($row && $row->{requests} >= 5, 'usage has them, of no application');
is($t->api(DELETE => '/v1/tenants/acme/plans/guests')->{status}, 409,
   'the plan stays');
is($t->api(PATCH => '/v1/tenants/acme/apis/open', { open_plan => 'none' })
   ->{status}, 422, 'a plan that is none');
$t->must(PATCH => '/v1/tenants/acme/apis/open', { open_plan => undef });
$t->sync;
is(code('open', at('192.0.2.9')), '401 key_missing', 'closed');

$t->done;
