#!/usr/bin/perl

# Prompts, resources, templates and completion of MCP: listed as tools are,
# sent to the upstream that has them; what is not listed is not reached.
# Rows F1, F2, F3, F5, F6, F7, F8, H2 and V6 of the checklist.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;

sub contents {
    my ($who) = @_;
    return sub { { contents => [ { uri => $_[0]{uri}, text => "$who" } ] } };
}
sub messages {
    my ($who) = @_;
    return sub { { messages => [ { role => 'user', content => {
        type => 'text', text => "$who:$_[0]{name}" } } ] } };
}
sub complete {
    my ($who) = @_;
    return sub { { completion => { values =>
        [ $who, $_[0]{ref}{name} // $_[0]{ref}{uri} ] } } };
}

my $one = $t->mcp_origin(name => 'one',
    tools => { show => sub { 'shown' } },
    prompts => { ask => messages('one'), "f\x{fc}r dich \"x\"" =>
                 messages('one') },
    resources => { 'file:///a.txt' => contents('one'),
                   'file:///both' => contents('one'),
                   'ui://show/page.html' => contents('one') },
    templates => [ 'file:///t/{name}', 'file:///{+any}' ],
    read => contents('one'), complete => complete('one'));
my $two = $t->mcp_origin(name => 'two',
    prompts => { ask => messages('two') },
    resources => { 'file:///both' => contents('two') },
    templates => [ 'db://{table}/{id}' ],
    read => contents('two'), complete => complete('two'));
my $bare = $t->mcp_origin(name => 'bare');

$t->apply(demo(mcp => { one => $one }));      # the older one
$t->apply(demo(mcp => { one => $one, two => $two, bare => $bare })
    . document('Application', 'acme', 'chosen')
    . document('Application', 'acme', 'bundled')
    . document('Application', 'acme', 'plain')
    . document('Application', 'acme', 'alone'));
for my $api (qw(one two bare)) {
    wait_until { $t->api('GET', "/v1/tenants/acme/apis/$api")
                     ->{json}{discovery}{state} eq 'ok' } 20
        or $t->give_up('not discovered');
}
$t->apply(document('Server', 'acme', 'desk', <<'END')
state: published
prefix: never
tools:
  - { api: one, tool: show }
prompts:
  - { api: one, prompt: ask, alias: question }
  - { api: two, prompt: ask }
  - { api: two, prompt: later }
resources:
  - { api: two }
  - { api: one, uri: "file:///a.txt" }
END
    . subscribe('acme', 'bundled', 'server', 'desk', 'basic')
    . subscribe('acme', 'plain', 'api', 'bare', 'basic')
    . subscribe('acme', 'alone', 'api', 'two', 'basic')
    . subscribe('acme', 'chosen', 'api', 'one', 'basic', "  tools: [show]\n"));

$t->gateway(workers => 2);
my %key = map { ($_ => $t->key('acme', $_)) } qw(app chosen bundled plain alone);
$t->sync;

my %kinds = (prompts => ['prompts/list', 'prompts', 'name'],
             resources => ['resources/list', 'resources', 'uri'],
             templates => ['resources/templates/list', 'resourceTemplates',
                           'uriTemplate']);
sub listed {
    my ($kind, $path, @o) = @_;
    my ($method, $member, $name) = @{ $kinds{$kind} };
    my $r = $t->mcp($path, $method, undef, @o);
    return join ' ', map { $_->{$name} } @{ $r->{rpc}{result}{$member} || [] };
}

my ($session) = $t->mcp_session('/mcp/acme', key => $key{app});
my %era = (modern => [key => $key{app}],
           legacy => [key => $key{app}, era => 'legacy',
                      session => $session]);

for my $era (sort keys %era) {
    my @k = @{ $era{$era} };

    is(listed('prompts', '/mcp/acme', @k),
       "one__ask one__f\x{fc}r dich \"x\" two__ask",
       "$era: F1, F2: prompts of two upstreams, sorted, with their api");
    is(listed('resources', '/mcp/acme', @k), 'file:///a.txt file:///both '
       . 'stoa:two/file%3A%2F%2F%2Fboth ui://show/page.html',
       "$era: F7: URIs as they are, but for the second of two alike");
    is(listed('templates', '/mcp/acme', @k),
       'db://{table}/{id} file:///t/{name} file:///{+any}',
       "$era: templates");

    my $r = $t->mcp('/mcp/acme', 'prompts/get', { name => 'two__ask' }, @k);
    is($r->{rpc}{result}{messages}[0]{content}{text}, 'two:ask',
       "$era: F7: a prompt is its upstream's, by its own name");
    $r = $t->mcp('/mcp/acme', 'prompts/get',
                 { name => "one__f\x{fc}r dich \"x\"" }, @k,
                 headers => { 'Mcp-Name' =>
                    '=?base64?b25lX19mw7xyIGRpY2ggIngi?=' });
    is($r->{rpc}{result}{messages}[0]{content}{text},
       "one:f\x{fc}r dich \"x\"",
       "$era: H2: a name that needs escapes and base64");

    my %read = ('file:///a.txt' => 'one', 'file:///both' => 'one',
        'ui://show/page.html' => 'one',
        'stoa:two/file%3A%2F%2F%2Fboth' => 'two',
        'db://users/7' => 'two', 'file:///t/x' => 'one',
        'file:///deep/er' => 'one');
    for my $uri (sort keys %read) {
        $r = $t->mcp('/mcp/acme', 'resources/read', { uri => $uri }, @k);
        is($r->{rpc}{result}{contents}[0]{text}, $read{$uri},
           "$era: F7: $uri is of $read{$uri}");
        is($r->{rpc}{result}{contents}[0]{uri}, $uri,
           "$era: F7: $uri is what its contents say");
    }
    $r = $t->mcp('/mcp/acme', 'resources/read', { uri => 'x://none' }, @k);
    is($r->{status} . $r->{rpc}{error}{code},
       $era eq 'modern' ? '200-32602' : '200-32002',
       "$era: a URI that nobody has");
    $r = $t->mcp('/mcp/acme', 'prompts/get', { name => 'ask' }, @k);
    is($r->{rpc}{error}{code}, -32602, "$era: an unknown prompt");

    for my $c ([ { type => 'ref/prompt', name => 'two__ask' }, 'two ask' ],
               [ { type => 'ref/resource', uri => 'db://{table}/{id}' },
                 'two db://{table}/{id}' ],
               [ { type => 'ref/resource', uri => 'file:///a.txt' },
                 'one file:///a.txt' ])
    {
        $r = $t->mcp('/mcp/acme', 'completion/complete', { ref => $c->[0],
            argument => { name => 'a', value => 'b' } }, @k, name => 1);
        is(join(' ', @{ $r->{rpc}{result}{completion}{values} || [] }),
           $c->[1], "$era: F7: completion by $c->[0]{type}");
    }
    for my $ref ({ type => 'ref/prompt', name => 'x' },
                 { type => 'ref/prompt', name => 'two__ask', Name => 'y' },
                 { type => 'ref/tool', name => 'x' }, {}, undef)
    {
        $r = $t->mcp('/mcp/acme', 'completion/complete', { ref => $ref,
            argument => { name => 'a', value => 'b' } }, @k);
        is($r->{rpc}{error}{code}, -32602, "$era: no such completion");
    }

    for my $cursor ('', undef) {
        $r = $t->mcp('/mcp/acme', 'prompts/list', { cursor => $cursor }, @k);
        is(@{ $r->{rpc}{result}{prompts} }, 3,
           "$era: F3: an empty cursor is the start");
    }
    for my $cursor ('zz', 'abc', 'ab' x 9000) {
        $r = $t->mcp('/mcp/acme', 'resources/list', { cursor => $cursor },
                     @k);
        is($r->{rpc}{error}{code}, -32602, "$era: F3: a bad cursor");
    }
}

# ---- what the modern era wants, what is told at the beginning

my $r = $t->mcp('/mcp/acme', 'resources/list', undef, key => $key{app});
is($r->{rpc}{result}{resultType}, 'complete', 'V6: resultType');
is($r->{rpc}{result}{cacheScope}, 'private', 'F5, V6: cacheScope');
ok($r->{rpc}{result}{ttlMs} > 0, 'V6: ttlMs');
is($r->{rpc}{result}{resources}[0]{name}, 'r file:///a.txt',
   'F8: definitions are whole');
is_deeply([ sort keys %{ $t->mcp('/mcp/acme', 'server/discover', undef,
    key => $key{app})->{rpc}{result}{capabilities} } ],
    [qw(completions prompts resources tools)],
    'V5: what one of the upstreams can');
my (undef, $init) = $t->mcp_session('/mcp/acme', key => $key{plain});
is_deeply([ sort keys %{ $init->{rpc}{result}{capabilities} } ], ['tools'],
    'V5: and nothing that none can');
$r = $t->mcp('/mcp/acme', 'resources/read', { uri => 'file:///a.txt' },
             key => $key{app}, headers => { 'Mcp-Name' => 'file:///b' });
is("$r->{status} $r->{rpc}{error}{code}", '400 -32020',
   'H1: Mcp-Name is the URI');

# ---- F6: what is hidden is refused

my @c = (key => $key{chosen});
is(listed('prompts', '/mcp/acme', @c), '', 'who chose tools has no prompts');
is(listed('resources', '/mcp/acme', @c), 'ui://show/page.html',
   'F7: and of the resources the pages of his tools');
is(listed('templates', '/mcp/acme', @c), '', 'no templates');
for my $call (['prompts/get', { name => 'one__ask' }],
              ['resources/read', { uri => 'file:///a.txt' }],
              ['resources/read', { uri => 'file:///t/x' }],
              ['completion/complete', { ref => { type => 'ref/prompt',
                  name => 'one__ask' }, argument => {} }])
{
    my $n = () = $t->origin_log('one');
    $r = $t->mcp('/mcp/acme', @$call, @c);
    is($r->{rpc}{error}{code}, -32602, "F6: $call->[0] of what is hidden");
    is(scalar(() = $t->origin_log('one')), $n, 'F6: no upstream sees it');
}
is($t->mcp('/mcp/acme', 'resources/read', { uri => 'ui://show/page.html' },
           @c)->{rpc}{result}{contents}[0]{text}, 'one',
   'F7: a page of his tool is read');

# ---- a bundle says what it shows

my @b = (key => $key{bundled});
is(listed('prompts', '/mcp/acme/desk', @b), 'ask question',
   'F1: a bundle: its own names');
is(listed('resources', '/mcp/acme/desk', @b), 'file:///a.txt file:///both '
   . 'ui://show/page.html', 'a bundle: an api, a URI, the pages of its tools');
is(listed('templates', '/mcp/acme/desk', @b), 'db://{table}/{id}',
   'a bundle: templates of a whole api');
is($t->mcp('/mcp/acme/desk', 'prompts/get', { name => 'question' }, @b)
     ->{rpc}{result}{messages}[0]{content}{text}, 'one:ask',
   'a bundle: an alias');
is($t->mcp('/mcp/acme/desk', 'resources/read', { uri => 'file:///both' }, @b)
     ->{rpc}{result}{contents}[0]{text}, 'two', 'a bundle: its api');
is_deeply($t->must('GET', '/v1/tenants/acme/servers/desk')->{unresolved},
          ['two/later'], 'what is not found is said');
my $dump = $t->api('GET', '/v1/dump?tenant=acme')->{body};
my $d = $t->api('POST', '/v1/diff', $dump,
                headers => { 'Content-Type' => 'application/yaml' });
is_deeply($d->{json}{changes}, [], 'a dump of it changes nothing');

# ---- on and off, kept by name

$t->must('POST', '/v1/tenants/acme/apis/one/prompts/ask/disable?wait=10s');
is(listed('prompts', '/mcp/acme', key => $key{app}),
   "one__f\x{fc}r dich \"x\" two__ask", 'disabled: not listed');
is($t->mcp('/mcp/acme', 'prompts/get', { name => 'one__ask' },
           key => $key{app})->{rpc}{error}{code}, -32602, '... nor given');
my ($id) = map { $_->{id} } grep { $_->{name} eq 'file:///a.txt' }
    @{ $t->must('GET', '/v1/tenants/acme/apis/one/resources')->{items} };
$t->must('POST', "/v1/tenants/acme/apis/one/resources/$id/disable?wait=10s");
unlike(listed('resources', '/mcp/acme', key => $key{app}), qr/a\.txt/,
       'a resource, too');
sub read_uri { my ($uri, $who) = @_;
    return $t->mcp('/mcp/acme', 'resources/read', { uri => $uri }, key =>
        $key{$who})->{rpc}{error}{code} // 'read' }
is(read_uri('file:///a.txt', 'app'), -32602, '... nor read, by no template');
is(read_uri('db://x/1', 'alone'), 'read', 'what nobody lists is read');
for my $kind (qw(resources templates)) {
    my ($it) = map { $_->{id} } grep { $_->{name} =~ /both|db:/ }
        @{ $t->must('GET', "/v1/tenants/acme/apis/two/$kind")->{items} };
    $t->must('POST', "/v1/tenants/acme/apis/two/$kind/$it/disable?wait=10s");
}
is(read_uri($_, 'alone'), -32602, "... but not what is disabled: $_")
    for qw(file:///both db://x/1);
is(read_uri('file:///other', 'alone'), 'read', '... and all else is');
like($t->api('GET', '/v1/dump?tenant=acme')->{body},
     qr{prompts:\n\s+- name: ask\n\s+state: disabled}, 'the dump says so');


# two of whom each has one era only: what is read by another name says it, and
# what else is in it stays

my %late = map { my $era = $_;
    ($era => $t->mcp_origin(name => $era, era => $era, resources => {
        'file:///both' => sub { +{ $era eq 'legacy' ? (sse => [{ jsonrpc =>
            '2.0', method => 'notifications/message', params => { level =>
            'info', data => 'x' } }]) : (), contents => [
            map { +{ uri => $_, text => "$era $_" } } 'file:///both',
            'file:///other', 'file:///both' ] } } })) } qw(modern legacy);
$t->apply(demo(mcp => { one => $one, two => $two, bare => $bare, %late }));
for my $api (sort keys %late) {
    wait_until { $t->api('GET', "/v1/tenants/acme/apis/$api")
                     ->{json}{discovery}{state} eq 'ok' } 20
        or $t->give_up('not discovered');
}
$t->sync;
for my $era (sort keys %era) {
    for my $api (sort keys %late) {
        my $uri = "stoa:$api/file%3A%2F%2F%2Fboth";
        my $r = $t->mcp('/mcp/acme', 'resources/read', { uri => $uri },
                        @{ $era{$era} });
        is(join(' ', map { "$_->{uri} $_->{text}" }
                @{ $r->{rpc}{result}{contents} || [] }),
           "$uri $api file:///both file:///other $api file:///other "
           . "$uri $api file:///both", "F7: $era client, $api upstream")
            or diag $r->{body};
    }
}

$t->done;
