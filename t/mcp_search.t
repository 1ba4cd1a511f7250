#!/usr/bin/perl

# search_tools and call_tool: an option of a server with many tools; the rules
# and limits are those of the tools themselves.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

my %about = (get_weather => 'Tells the forecast of a city',
    list_cities => 'All cities, with their weather stations',
    send_mail => 'Sends a letter', hidden => 'weather of the board');
my $port = $t->mcp_origin(name => 'up', list => { 'tools/list' => sub {
    return { tools => [ map { { name => $_, description => $about{$_},
        inputSchema => { type => 'object' } } } sort keys %about ] };
} }, tools => { map { my $n = $_; ($n => sub { "$n " . json_encode($_[0]) }) }
                keys %about });
$t->apply(demo(mcp => { up => $port })
    . document('Application', 'acme', 'chosen')
    . document('Plan', 'acme', 'few', "rate: 3\nper_ms: 3600000\n"));
wait_until { ($t->api('GET', '/v1/tenants/acme/apis/up')->{json}{discovery}
              {tools} // 0) == 4 } 20 or $t->give_up('not discovered');
$t->apply(document('Server', 'acme', 'desk', "state: published\n"
    . "search_tools: true\ntools:\n" . join '', map {
      "  - { api: up, tool: $_ }\n" } grep { $_ ne 'hidden' } keys %about)
    . subscribe('acme', 'app', 'server', 'desk', 'basic')
    . subscribe('acme', 'chosen', 'server', 'desk', 'few',
                "  tools: [up__send_mail]\n"));
$t->gateway(workers => 2);
my %key = map { ($_ => $t->key('acme', $_)) } qw(app chosen);
$t->sync;
my ($session) = $t->mcp_session('/mcp/acme/desk', key => $key{app});

sub call {
    my ($name, $arguments, @o) = @_;
    return $t->mcp('/mcp/acme/desk', 'tools/call', { name => $name,
        arguments => $arguments }, key => $key{app}, @o);
}
sub found {
    my $r = call('search_tools', @_);
    my $text = json_decode($r->{rpc}{result}{content}[0]{text} // '{}');
    is_deeply($text, $r->{rpc}{result}{structuredContent} || {},
              'as text and as structure');
    return join ' ', map { $_->{name} } @{ $text->{tools} || [] };
}

for my $era ([], [era => 'legacy', session => $session]) {
    my @o = @$era;
    my $list = $t->mcp('/mcp/acme/desk', 'tools/list', undef,
                       key => $key{app}, @o)->{rpc}{result};
    is(join(' ', map { $_->{name} } @{ $list->{tools} }),
       'call_tool search_tools', 'two tools are listed');
    is(found({ query => 'Weather in which city?' }, @o),
       'up__get_weather up__list_cities', 'the better one first');
    is(found({ query => 'weather', limit => 1 }, @o), 'up__get_weather',
       'as many as are wanted');
    is(found({ query => 'board' }, @o), '', 'what is not bundled is not found');
    is(found({ query => '...' }, @o), '', 'no word, no tool');
    for my $bad ({}, { query => 1 }, { query => 'x' x 2000 },
                 { query => 'x', limit => 0 }) {
        is(call('search_tools', $bad, @o)->{rpc}{error}{code}, -32602,
           'a bad search');
    }

    is(call('call_tool', { arguments => { city => "K\x{f6}ln \"x\"" },
                           name => 'up__get_weather' }, @o)
       ->{rpc}{result}{content}[0]{text},
       'get_weather ' . json_encode({ city => "K\x{f6}ln \"x\"" }),
       'a tool is called with what is meant for it');
    is(call('call_tool', { name => 'up__send_mail' }, @o)
       ->{rpc}{result}{content}[0]{text}, 'send_mail {}', 'without arguments');
    is(call('up__send_mail', {}, @o)->{rpc}{result}{content}[0]{text},
       'send_mail {}', 'its own name will do');
    for my $bad ({}, { name => 1 }, { name => 'up__hidden' },
                 { name => 'call_tool' }, { name => 'up__get_weather',
                   arguments => [] }) {
        is(call('call_tool', $bad, @o)->{rpc}{error}{code}, -32602,
           'no such call');
    }
}

my @c = (key => $key{chosen});
is(found({ query => 'weather mail letter' }, @c), 'up__send_mail',
   'F6: who has chosen tools finds those');
is(call('call_tool', { name => 'up__get_weather' }, @c)->{rpc}{error}{code},
   -32602, 'F6: and calls no other');
is(call('call_tool', { name => 'up__send_mail' }, @c)->{status}, 200, 'one');
is(call('search_tools', { query => 'mail' }, @c)->{status}, 200,
   'a search is a call');
is(call('call_tool', { name => 'up__send_mail' }, @c)->{rpc}{error}{data}
   {code}, 'rate_exceeded', 'the limits are one');

is($t->api('PATCH', '/v1/tenants/acme/servers/desk', { tools => [
    { api => 'up', tool => 'send_mail', alias => 'call_tool' } ] })->{status},
   422, 'no tool is called as those two');

$t->done;
