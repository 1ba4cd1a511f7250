#!/usr/bin/perl

# Large catalogues and many callers: 5,000 tools in pages, one view for all
# who see the same.  Rows F2, F3 and F5 of the checklist.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

my $N = 5000;
my $port = $t->mcp_origin(name => 'big', list => { 'tools/list' => sub {
    my $from = $_[0]{params}{cursor} || 0;
    my $to = $from + 1000;
    return { tools => [ map { { name => sprintf('tool_%04d', $_),
        description => "what the tool $_ does", inputSchema => {
        type => 'object' } } } $from + 1 .. $to ],
        $to < $N ? (nextCursor => "$to") : () };
} });
my @apps = map { "agent$_" } 1 .. 40;
$t->apply(demo(mcp => { big => $port }) . join '', map {
    document('Application', 'acme', $_)
        . subscribe('acme', $_, 'api', 'big', 'basic') } @apps);
wait_until { ($t->api('GET', '/v1/tenants/acme/apis/big')->{json}{discovery}
              {tools} // 0) == $N } 60 or $t->give_up('not discovered');
$t->gateway(workers => 1);
my %key = map { ($_ => $t->key('acme', $_)) } 'app', @apps;
$t->sync;

sub views {
    return $t->http('GET', '/stoa/metrics')->{body}
        =~ /^stoa_mcp_views_made_total (\d+)/m ? $1 : undef;
}

my (@names, $cursor, @pages);
do {
    my $r = $t->mcp('/mcp/acme', 'tools/list',
        defined $cursor ? { cursor => $cursor } : undef, key => $key{app});
    my $page = $r->{rpc}{result}{tools} || [];
    push @names, map { $_->{name} } @$page;
    push @pages, scalar @$page;
    $cursor = $r->{rpc}{result}{nextCursor};
} while defined $cursor && @pages < 20;

is("@pages", join(' ', (500) x 10), 'F3: 5,000 tools in ten pages');
is("@names", join(' ', map { sprintf 'big__tool_%04d', $_ } 1 .. $N),
   'F2, F3: each once, in order');
is($t->mcp('/mcp/acme', 'tools/call', { name => 'big__tool_4999',
    arguments => {} }, key => $key{app})->{rpc}{error}{code}, -32602,
   'one of them is called (its upstream knows none)');

my $made = views();
ok($made, 'a view was made');
my %first;
for my $app (@apps) {
    my $r = $t->mcp('/mcp/acme', 'tools/list', undef, key => $key{$app});
    $first{ $r->{rpc}{result}{tools}[0]{name} }++;
}
is_deeply(\%first, { big__tool_0001 => 40 }, 'forty agents see the same');
is(views(), $made, 'F5: in one view');

my $new = $t->must('POST', '/v1/tenants/acme/applications/app/credentials'
                   . '?wait=10s', {})->{key};
$t->must('POST', '/v1/tenants/acme/applications?wait=10s', { name => 'late' });
is(@{ $t->mcp('/mcp/acme', 'tools/list', undef, key => $new)
      ->{rpc}{result}{tools} }, 500, 'a new key lists');
is(views(), $made, 'and nothing is rendered for it');

$t->must('POST', '/v1/tenants/acme/apis/big/tools/tool_0001/disable?wait=10s');
is($t->mcp('/mcp/acme', 'tools/list', undef, key => $new)
   ->{rpc}{result}{tools}[0]{name}, 'big__tool_0002',
   'a change of the catalogue counts at once');
is(views(), $made + 1, 'in one more view');

$t->done;
