#!/usr/bin/perl

# What an MCP list lacks, or shows though its upstream is down, is said; and
# headers that repeat arguments.  Rows F4, H3 and V5 of the checklist.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

sub tool {
    my ($name, %properties) = @_;
    return { name => $name, inputSchema => { type => 'object',
             properties => \%properties } };
}
my %says = (type => 'string', 'x-mcp-header' => 'Region');
my @tools = (tool('plain'),
    tool('routed', region => { %says }, size => { type => 'integer',
        'x-mcp-header' => 'Size' }, on => { type => 'boolean',
        'x-mcp-header' => 'On' }, at => { type => 'object', properties => {
        deep => { type => 'string', 'x-mcp-header' => 'Deep' } } }),
    tool('twice', a => { %says }, b => { %says, 'x-mcp-header' => 'REGION' }),
    tool('token', a => { %says, 'x-mcp-header' => 'a b' }),
    tool('object', a => { %says, type => 'object' }),
    tool('items', a => { type => 'array', items => { %says } }),
    tool('example', a => { type => 'object', default => { 'x-mcp-header' => 1 } }),
    tool('y' x 126));
my $seen = sub { json_encode($_[2]{headers}) };
my $one = $t->mcp_origin(name => 'one', list => { 'tools/list' =>
    sub { { tools => \@tools } } }, tools => { map { ($_->{name} => $seen) }
    @tools });
my $old = $t->mcp_origin(name => 'old', era => 'legacy');

$t->apply(demo(mcp => { one => $one, old => $old, never => 9 }));
for my $api (qw(one old)) {
    wait_until { $t->api('GET', "/v1/tenants/acme/apis/$api")
                     ->{json}{discovery}{state} eq 'ok' } 20
        or $t->give_up('not discovered');
}
$t->gateway(workers => 2);
my $key = $t->key('acme', 'app');
$t->sync;

sub lists {
    my $r = $t->mcp('/mcp/acme', 'tools/list', undef, key => $key, @_);
    my $m = $r->{rpc}{result}{_meta} || {};
    return (join(' ', map { $_->{name} } @{ $r->{rpc}{result}{tools} || [] }),
        join('; ', map { "$_->{api}" . ($_->{items} ? " $_->{items}" : '')
                         . ": $_->{reason}" }
             sort { "$a->{api}$a->{reason}" cmp "$b->{api}$b->{reason}" }
             @{ $m->{'gateway.stoa/left_out'} || [] }),
        join(' ', @{ $m->{'gateway.stoa/stale'} || [] }));
}

my ($session) = $t->mcp_session('/mcp/acme', key => $key);
my @legacy = (era => 'legacy', session => $session);
my $long = 'the name is longer than 128 characters';
my ($names, $left) = lists(@legacy);
is($names, 'old__echo one__example one__items one__object one__plain '
   . 'one__routed one__token one__twice', 'legacy: what is there');
is($left, "never: it was never read; one 1: $long",
   'F1: what is not, and why');

# (the modern era is served where all upstreams speak it)

$t->must('DELETE', '/v1/tenants/acme/apis/old?force=1&wait=10s');
($names, $left) = lists();
is($names, 'one__example one__plain one__routed',
   'H3: tools with an invalid x-mcp-header are not for the modern era');
is($left, "never: it was never read; one 1: $long; "
   . 'one 4: x-mcp-header is not valid', '... which is said');
is($t->mcp('/mcp/acme', 'tools/call', { name => 'one__twice',
    arguments => {} }, key => $key)->{rpc}{error}{code}, -32602,
   'F6: nor are they called');
my $d = $t->mcp('/mcp/acme', 'server/discover', undef, key => $key);
ok($d->{rpc}{result}{_meta}{'gateway.stoa/left_out'}, 'discover says it, too');
my (undef, $init) = $t->mcp_session('/mcp/acme', key => $key);
ok($init->{rpc}{result}{_meta}{'gateway.stoa/left_out'}, 'so does initialize');

# ---- headers that repeat arguments

my %good = ('Mcp-Param-Region' => 'eu', 'Mcp-Param-Size' => 7,
            'Mcp-Param-On' => 'true', 'Mcp-Param-Deep' => '=?base64?w6Q=?=',
            'Mcp-Param-Other' => 'x');
my %arguments = (region => 'eu', size => 7, on => JSON::PP::true,
                 at => { deep => "\x{e4}" });
sub routed {
    my ($headers, %a) = @_;
    my $n = () = $t->origin_log('one');
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => 'one__routed',
        arguments => { %arguments, %a } }, key => $key, headers => $headers);
    my $now = () = $t->origin_log('one');
    return ($r, $now - $n);
}
my ($r, $hits) = routed(\%good);
my $h = json_decode($r->{rpc}{result}{content}[0]{text} // '{}');
is_deeply([map { $h->{lc "mcp-param-$_"} } qw(Region Size On Deep Other)],
    ['eu', 7, 'true', '=?base64?w6Q=?=', 'x'], 'H3: they reach the upstream');
for my $case (
    ['another value', { %good, 'Mcp-Param-Region' => 'us' }],
    ['another case', { %good, 'Mcp-Param-Region' => 'EU' }],
    ['no number', { %good, 'Mcp-Param-Size' => '7x' }],
    ['bad base64', { %good, 'Mcp-Param-Deep' => '=?base64?w6Q?=' }],
    ['missing', { map { ($_ => $good{$_}) } grep { !/Region/ } keys %good }],
    ['without an argument', \%good, region => undef],
    ['one of two', { %good, 'Mcp-Param-On' => 'false' }])
{
    my ($what, @o) = @$case;
    my ($r, $hits) = routed(@o);
    is("$r->{status} $r->{rpc}{error}{code} $hits", '400 -32020 0',
       "H3: $what is refused, and reaches nobody");
}
($r) = routed({ %good, 'Mcp-Param-Size' => '7.0' });
is($r->{status}, 200, 'H3: numbers are equal as numbers');
($r) = routed({ map { ($_ => $good{$_}) } grep { !/Region/ } keys %good },
              region => undef);
is($r->{status}, 200, 'H3: null has no header');

# ---- an upstream that is down

$t->stop('one');
my $discovered = $t->api('POST', '/v1/tenants/acme/apis/one/discover', undef,
                         timeout => 30);
is($discovered->{json}{state}, 'failed', 'it is down');
ok($discovered->{json}{stale}, '... and what it showed is stale');
wait_until { (lists())[2] } 10;
my ($still, undef, $stale) = lists();
is("$still: $stale", 'one__example one__plain one__routed: one',
   'F4: its list is served, and says so');
like($t->get('/stoa/metrics')->{body} // '', qr/stoa_mcp_lists_stale_total [1-9]/,
     'F4: and is counted') if $t->can('get');

$t->done;
