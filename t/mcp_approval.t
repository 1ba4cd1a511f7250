#!/usr/bin/perl

# Policy type approval: a call of a tool waits until a person of its publisher
# has said yes, and passes once: whoever asks, at whichever worker and gateway,
# and whatever restarts in between.

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use IO::Select;
use JSON::PP ();
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;
use Test::Stoa::Feed;
use Test::Stoa::Token;

my $t = Test::Stoa->new->has('module', 'control', 'openssl');
$t->control;
my %which = (q => { method => 'elicitation/create', params => {
    mode => 'form', message => 'which?', requestedSchema => {
        type => 'object', properties => {} } } });
my $port = $t->mcp_origin(name => 'm', era => 'dual', tools => {
    rounds => sub { my $p = $_[1]{params};
        $p->{inputResponses} ? "$p->{requestState} "
            . json_encode($p->{inputResponses})
        : { resultType => 'input_required', inputRequests => \%which,
            requestState => 'mine' } },
    map { my $n = $_; $n => sub { "$n " . json_encode($_[0]) } }
        qw(delete look wipe hold gone) }, prompts => { p => sub { { messages => [] } } });
my $signer = token_key($t, 'idp', 'ES256');
my $ISS = 'https://idp.example/a';

sub policy { my ($name, $attach, %o) = @_;
    my $state = delete $o{state};
    return doc('Policy', 'acme', $name, { type => 'approval', config => \%o,
        attach => $attach, $state ? (state => $state) : () }) }

my @docs = (tenant('acme'), tenant('beta'), plan('acme', 'free'),
    (map { app('acme', $_) } qw(demo other many planned)), app('beta', 'theirs'),
    plan('acme', 'watched'), sub_('acme', 'planned', 'm', 'watched'),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        audience => 'public', upstream => { targets => [
            { url => "http://127.0.0.1:$port/mcp" }] } }),
    (map { sub_('acme', $_, 'm', 'free') } qw(demo other many)),
    sub_('beta', 'theirs', 'm', 'free', target_tenant => 'acme'),
    doc('Issuer', 'acme', 'idp', { issuer => $ISS, jwks => jwks($signer),
        audiences => ['mcp'], application => 'demo' }),
    policy('careful', [{ api => 'm', tool => 'delete' },
                       { api => 'm', tool => 'rounds' },
                       { api => 'm', tool => 'gone' }],
           redact => ['secret'], max_pending => 3,
           url => 'https://console.example/a/{approval}?x=1'),
    policy('wipes', [{ api => 'm', tool => 'wipe' }], state => 'shadow'),
    policy('holds', [{ api => 'm', tool => 'hold' }], wait_s => 60),
    policy('all', [{ plan => 'watched' }], max_pending => 2));
$t->apply(docs(@docs));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } == 6 } 20 or $t->give_up('no tools');
$t->gateway(name => 'gw', workers => 2);
$t->gateway(name => 'gw2', workers => 2);
my %key = map { $_ => $t->key('acme', $_) } qw(demo other many planned);
$key{theirs} = $t->key('beta', 'theirs');
$t->sync($_) for qw(gw gw2);

my %admin = map { $_ => $t->must(POST => '/v1/admin-tokens', {
    name => $_, role => /view/ ? 'viewer' : 'tenant-admin',
    tenant => /beta/ ? 'beta' : 'acme' })->{token} } qw(acme beta view);

my @ask = (_meta => { 'io.modelcontextprotocol/clientCapabilities' => {
    elicitation => { form => {}, url => {} } } });

sub call {
    my ($tool, $args, %o) = @_;
    my $params = delete $o{params} || {};
    return $t->mcp('/mcp/acme', 'tools/call', { name => "m__$tool",
        arguments => $args, %$params }, key => $key{ delete $o{who} // 'demo' },
        gateway => 'gw', %o);
}
sub says {
    my ($r) = @_;
    my ($e, $ok) = ($r->{rpc}{error}, $r->{rpc}{result});
    return $e ? $e->{data}{code} : $ok->{resultType} eq 'input_required'
        ? 'input_required' : 'ran';
}
sub id { return $_[0]{rpc}{error}{data}{approval}{id} // '' }
sub ran { my ($tool) = @_;
    return scalar grep { my $m = json_decode($_->{body});
        ref $m && ($m->{method} // '') eq 'tools/call'
        && $m->{params}{name} eq $tool } $t->origin_log('m') }
sub approval { my ($id) = @_;
    return $t->must(GET => "/v1/tenants/acme/approvals/$id") }
sub decide { my ($id, $event, %body) = @_;
    return $t->api(POST => "/v1/tenants/acme/approvals/$id/$event", \%body) }

# what waits

my $args = { path => '/etc', secret => 'hunter2', n => 1.50 };
my $r = call('delete', $args);
is(says($r), 'approval_required', 'a call waits');
is($r->{status}, 200, 'said in JSON-RPC');
is($r->{rpc}{error}{code}, 403, 'as a 403');
is($r->{rpc}{error}{data}{executed}, 'no', 'it was not executed');
my $id = id($r);
like($id, qr/^[0-9a-z]{16}$/, 'it has an id');
like($r->{rpc}{error}{message}, qr/\Q$id\E/, 'the text says it, too');
is($r->{rpc}{error}{data}{approval}{url},
   "https://console.example/a/$id?x=1", 'and where people decide');
is(ran('delete'), 0, 'no upstream saw it');
is(id(call('delete', $args, gateway => 'gw2')), $id,
   'the same call at another gateway waits for the same');

my $a = approval($id);
is("$a->{state} $a->{api} $a->{tool} $a->{application} $a->{consumer}",
   'pending m delete demo acme', 'what a person sees');
like($a->{arguments}, qr/"secret":"\*\*\*"/, 'not what is redacted');
unlike($a->{arguments}, qr/hunter2/, '... nowhere');
like($a->{arguments}, qr{"path":"/etc"}, 'but all else, as it came');
is($a->{gateway}, 'gw', 'which gateway asked');
ok(!exists $a->{principal}, 'nor what is internal');
is(join(' ', map { $_->{id} } @{ $t->must(GET =>
   '/v1/approvals?state=pending')->{items} }), $id, 'the list of all tenants');
is(scalar @{ $t->must(GET => '/v1/tenants/beta/approvals')->{items} }, 0,
   'another tenant has none');

# who decides

for (['beta', 404, 'another tenant\'s admin'], ['view', 403, 'a viewer']) {
    my ($who, $status, $what) = @$_;
    is($t->api(POST => "/v1/tenants/acme/approvals/$id/approve", {},
       token => $admin{$who})->{status}, $status, "$what does not decide");
}
is(decide($id, 'use')->{status}, 404, 'nobody uses it by hand');
is($t->api(DELETE => "/v1/tenants/acme/approvals/$id")->{status}, 405,
   'nor removes it');
$r = $t->api(POST => "/v1/tenants/acme/approvals/$id/approve",
             { reason => 'as agreed' }, token => $admin{acme});
is("$r->{status} $r->{json}{state} $r->{json}{decided_by} $r->{json}{reason}",
   '200 approved acme as agreed', 'the publisher\'s admin does');
is(decide($id, 'approve')->{status}, 409, 'once');

# it passes once

is(says(call('delete', { %$args, path => '/' })), 'approval_required',
   'other arguments are another call');
is(says(call('delete', $args, who => 'other')), 'approval_required',
   'so is another application\'s');
sub as { my ($who, $a) = @_;
    return call('delete', $a, key => undef, headers => { Authorization =>
        'Bearer ' . token($signer, claims($ISS, 'mcp', sub => $who)) }) }
is(says($r = as('anna', $args)), 'approval_required',
   'and a person\'s of the same application');
is(approval(my $annas = id($r))->{subject}, 'anna', '... who is named');
sub raw { my ($raw) = @_;
    return call('delete', { x => 1 }, wrap => sub { my ($m) = @_;
        $m =~ s/"arguments":\{"x":1\}/"arguments":$raw/ or die; $m }) }
is(ran('delete'), 0, 'none of them ran');
my ($one) = json_encode($args);
$r = raw(join "\n ", map { $_ } split /(?<=,)/, $one);
is(says($r), 'ran', 'white space is not in the digest');
like($r->{rpc}{result}{content}[0]{text}, qr/hunter2/,
     'and the tool gets what was sent');
is(ran('delete'), 1, 'it ran');
$a = approval($id);
is("$a->{state} $a->{gateway}", 'used gw', 'the approval is used');
ok($a->{used_at}, 'when');
$r = call('delete', $args);
is(says($r), 'approval_required', 'the same once more waits anew');
isnt(id($r), $id, '... for another approval');
is(decide($id, 'deny')->{status}, 409, 'what is used is not denied');
decide($annas, 'approve');
isnt(id(as('bob', $args)), $annas, 'one person\'s approval is not another\'s');
is(says(as('anna', $args)), 'ran', 'it is hers');

# several: what any of them redacts

settle();
$t->apply(docs(policy('wide', [{ api => 'm' }], redact => ['pin']),
    policy('plain', [{ api => 'm', tool => 'look' }], redact => ['other'])));
$t->sync($_) for qw(gw gw2);
$id = id(call('delete', { pin => 1, other => 2, path => 3, secret => 4 }));
is(join(' ', approval($id)->{arguments} =~ /"\w+":(?:\d|"\*{3}")/g),
   '"other":2 "path":3 "pin":"***" "secret":"***"',
   'the wider one\'s too, no other tool\'s');
$t->must(DELETE => "/v1/tenants/acme/policies/$_") for qw(wide plain);
$t->sync($_) for qw(gw gw2);

# at once: two workers, two gateways

sub settle { $_->{state} =~ /pending|approved/ && decide($_->{id}, 'deny')
             for @{ $t->must(GET => '/v1/tenants/acme/approvals')->{items} } }
settle();
$id = id(call('delete', { race => 1 }));
decide($id, 'approve');
my $before = ran('delete');
my @pid;
for my $i (1 .. 8) {
    my $pid = fork // die;
    if (!$pid) {
        call('delete', { race => 1 }, gateway => $i % 2 ? 'gw' : 'gw2');
        POSIX::_exit(0);
    }
    push @pid, $pid;
}
waitpid $_, 0 for @pid;
is(ran('delete') - $before, 1, 'eight at once at two gateways: one ran');

# what people would not see, or see in another order, is shown escaped

settle();
my $sly = "{\"a\":\"x\x7f\xc2\x9b2J\",\"b\":\"\xe2\x80\xaecte/\","
          . "\"c\":\"\xf3\xa0\x81\xa1\xc3\xa9\"}";
$r = raw($sly);
is(approval(id($r))->{arguments}, '{"a":"x\u007f\u009b2J","b":"\u202ecte/",'
   . '"c":"\udb40\udc61' . "\x{e9}" . '"}', 'nothing hides from who decides');
is(decide(id($r), 'approve', reason => "\x{202e}\x{9b}ok")->{status}, 422,
   'a reason has none of these');
decide(id($r), 'approve', reason => 'ok');
is(says(raw($sly)), 'ran', '... and the tool gets what was sent');
my $odd = sub { $t->api(POST => '/v1/tenants/acme/applications',
    { name => 'odd', title => $_[0] })->{status} };
is($odd->("a\x{9b}b\x{202e}c"), 422, 'nor has a title');
is($odd->('abc'), 201, 'one without them');
Test::Stoa::Feed::sql($t, "UPDATE applications SET title = 'a\xc2\x9bb"
                          . "\xe2\x80\xaec' WHERE name = 'odd'");
unlike(($t->stoactl('get', 'applications', '--tenant', 'acme'))[1],
       qr/\xc2\x9b|\xe2\x80\xae/, 'stoactl writes no such to a terminal');

# denied, and denied after it was approved

settle();
$id = id(call('delete', { no => 1 }));
decide($id, 'deny', reason => 'too "dangerous"');
$r = call('delete', { no => 1 });
is(says($r), 'approval_denied', 'denied');
is($r->{rpc}{error}{data}{approval}{reason}, 'too "dangerous"',
   'with the reason');
is(decide($id, 'approve')->{status}, 409, 'that stays so');
$id = id(call('delete', { no => 2 }));
decide($id, 'approve');
is(decide($id, 'deny')->{status}, 200, 'an approval is taken back');
is(says(call('delete', { no => 2 })), 'approval_denied', '... and counts no more');

# as many as may wait

settle();
is(join(' ', map { says(call('delete', { full => $_ })) } 1 .. 4),
   'approval_required approval_required approval_required approvals_full',
   'no more than may wait at a time');
$r = call('delete', { full => 9 });
is($r->{rpc}{error}{code}, 429, 'a 429');
is(says(call('delete', { full => 1 }, who => 'other')), 'approval_required',
   'another application\'s do');
settle();

# where it applies

is(says(call('look', {})), 'ran', 'a tool without the policy');
is(says(call('wipe', {})), 'ran', 'a shadow');
cmp_ok($t->metrics->{'stoa_policy_total{policy_type="approval",'
       . 'outcome="shadow_applied"}'}, '>', 0, '... is counted');
is(says(call('look', {}, who => 'planned')), 'approval_required',
   'a plan\'s policy');
is($t->mcp('/mcp/acme', 'prompts/get', { name => 'm__p' },
   key => $key{planned})->{rpc}{error}, undef, 'a prompt is not a call of a tool');
is(says(call('delete', {}, who => 'theirs')), 'approval_required',
   'a consumer of another tenant');
my ($far) = grep { $_->{consumer} eq 'beta' }
    @{ $t->must(GET => '/v1/tenants/acme/approvals')->{items} };
is($far->{state}, 'pending', '... waits for the publisher');
is($t->api(GET => "/v1/tenants/acme/approvals/$far->{id}", undef,
   token => $admin{beta})->{status}, 404, '... and his tenant does not see it');
is($t->api(POST => '/v1/tenants/beta/policies', { name => 'mine',
   type => 'approval', attach => [{ application => 'theirs' }] },
   token => $admin{beta})->{status}, 422,
   'what a consumer wants approved does not wait for publishers');
is(says(call('delete', { big => 'x' x 70_000 })), 'mcp_arguments',
   'arguments that nobody could read');
settle();

# clients of 2026-07-28 that can ask

$r = call('delete', { ask => 1 }, params => { @ask });
is(says($r), 'input_required', 'such a client is asked');
my $in = $r->{rpc}{result}{inputRequests}{'gateway.stoa/approval'};
is("$in->{method} $in->{params}{mode}", 'elicitation/create url',
   'by a URL, as the policy has one');
like($in->{params}{url}, qr{^https://console\.example/a/[0-9a-z]{16}\?x=1$},
     '... which is its own');
my $state = $r->{rpc}{result}{requestState};
like($state, qr/^a/, 'with a sealed state');
$r = call('delete', { ask => 1 }, params => { _meta => {
    'io.modelcontextprotocol/clientCapabilities' => { elicitation => {} } } });
$in = $r->{rpc}{result}{inputRequests}{'gateway.stoa/approval'};
is($in->{params}{mode}, 'form', 'or by a form');
is(says(call('delete', { ask => 1 })), 'approval_required',
   'who cannot gets the error');

sub answer { my ($state, $action, $a, %o) = @_;
    return call('delete', $a // { ask => 1 }, %o, params => { @ask,
        requestState => $state, inputResponses => {
            'gateway.stoa/approval' => { action => $action } } }) }
is(says(answer($state, 'accept')), 'input_required', 'accepted: asked again');
is(says(answer($state, 'decline')), 'approval_required', 'declined: the error');
is(says(answer($state, 'accept', { ask => 2 })), 'mcp_params',
   'the state of another call');
is(says(answer($state, 'accept', undef, who => 'other')), 'mcp_params',
   'of another caller');
is(says(answer(substr($state, 0, -1), 'accept')), 'mcp_params', 'cut');
my ($waits) = @{ $t->must(GET => '/v1/tenants/acme/approvals?state=pending')
                 ->{items} };
decide($waits->{id}, 'approve');
$before = ran('delete');
is(says(answer($state, 'accept', undef, gateway => 'gw2')), 'ran',
   'approved: the call runs, at another gateway');
is(ran('delete') - $before, 1, 'once');
my ($got) = reverse grep { $_->{body} =~ /"ask"/ } $t->origin_log('m');
unlike($got->{body}, qr/requestState|inputResponses/,
       'the upstream gets neither state nor answer');
is(says(answer($state, 'accept')), 'input_required',
   'the state again: another approval');
settle();

# a tool that asks, too: what is said to it comes back when the call passes

sub round { my ($yes, %params) = @_;
    decide($_->{id}, 'approve') for $yes ? @{ $t->must(GET =>
        '/v1/tenants/acme/approvals?state=pending')->{items} } : ();
    return call('rounds', {}, params => { @ask, %params }) }
sub yes { my ($r) = @_;
    return (requestState => $r->{rpc}{result}{requestState},
            inputResponses => { 'gateway.stoa/approval' =>
                                { action => 'accept' } }) }
sub asks { return join ' ', keys %{ $_[0]{rpc}{result}{inputRequests} || {} } }
$r = round(1, yes(round(0)));
is(asks($r), 'q', 'approved: the tool asks');
my %said = (requestState => $r->{rpc}{result}{requestState},
            inputResponses => { q => { action => 'decline' } });
$r = round(0, %said);
is(asks($r), 'gateway.stoa/approval', 'its answer is a call to be approved');
$r = round(0, yes($r));
is(asks($r), 'gateway.stoa/approval', '... for as long as it takes');
$r = round(1, yes($r));
is($r->{rpc}{result}{content}[0]{text}, 'mine {"q":{"action":"decline"}}',
   'then the tool has its state and its answer') or diag $r->{body};
$said{inputResponses}{q}{content} = { long => 'x' x 20_000 };
is(says(round(0, %said)), 'approval_required', 'a long one is not kept');
is(says(round(1, %said)), 'ran', '... and comes again');
settle();

# held for a while, and legacy sessions

my ($session) = $t->mcp_session('/mcp/acme', key => $key{demo});
my @legacy = (era => 'legacy', session => $session);
is(says(call('delete', { old => 1 }, @legacy)), 'approval_required',
   'a legacy session');
my $pid = fork // die;
if (!$pid) {
    my $got = call('hold', { i => 1 }, @legacy);
    POSIX::_exit(($got->{rpc}{result}{content}[0]{text} // '') =~ /^hold/
                 ? 0 : 1);
}
my $held;
wait_until { ($held) = grep { $_->{tool} eq 'hold' }
    @{ $t->must(GET => '/v1/tenants/acme/approvals?state=pending')->{items} } }
    10;
like(($t->stoactl('approval', 'list', '--tenant', 'acme'))[1],
     qr/\Q$held->{id}\E .*hold/, 'stoactl lists what waits');
decide($held->{id}, 'approve');
waitpid $pid, 0;
is($?, 0, 'a call that is held goes on when it is approved');
is(approval($held->{id})->{state}, 'used', '... and has used it');

# legacy clients that can ask: on the stream of the call, answered at any
# worker; look says what happens before each answer

sub asked {
    my ($a, $caps, @looks) = @_;
    my @with = (key => $key{demo}, era => 'legacy', gateway => 'gw');
    my $s = $t->mcp('/mcp/acme', 'initialize', { protocolVersion =>
        '2025-11-25', capabilities => $caps, clientInfo => { name => 't',
        version => '1' } }, @with)->{session};
    my %h = ('X-API-Key' => $key{demo}, 'Content-Type' => 'application/json',
        Accept => 'application/json, text/event-stream',
        'Mcp-Session-Id' => $s, 'MCP-Protocol-Version' => '2025-11-25');
    my $c = $t->connection;
    my $body = json_encode({ jsonrpc => '2.0', id => 'c1',
        method => 'tools/call', params => { name => 'm__delete',
        arguments => $a } });
    $c->send_raw(join('', "POST /mcp/acme HTTP/1.1\r\nHost: x\r\n",
        (map { "$_: $h{$_}\r\n" } sort keys %h),
        'Content-Length: ' . length($body), "\r\n\r\n$body"));
    my $head = $c->response(headers_only => 1, timeout => 10);
    while (my $e = $c->event(10)) {
        my $m = json_decode($e->{data}) or next;
        return $m unless $m->{method};
        my $look = shift @looks or return $m;
        my $action = $look->($m);
        is($t->http(POST => '/mcp/acme', headers => \%h, gateway => 'gw',
            body => json_encode({ jsonrpc => '2.0', id => $m->{id},
                result => { action => $action } }))->{status}, 202,
            "the user says $action");
    }
    return $head;
}
settle();
my %seen;
$before = ran('delete');
$r = asked({ user => 1 }, { elicitation => {} }, sub { %seen = %{ $_[0] };
        'accept' },
    sub { my ($w) = @{ $t->must(GET =>
            '/v1/tenants/acme/approvals?state=pending')->{items} };
          decide($w->{id}, 'approve'); 'accept' });
is($seen{method}, 'elicitation/create', 'a legacy client that can is asked');
like($seen{params}{message}, qr/approval [0-9a-z]{16}/, '... about which');
like($r->{result}{content}[0]{text} // explain($r), qr/^delete/,
     'asked again while it waits; approved: it runs');
is($r->{id}, 'c1', '... as the answer to the call');
is(ran('delete') - $before, 1, '... once');
$r = asked({ user => 2 }, { elicitation => {} }, sub { 'decline' });
is($r->{error}{data}{code}, 'approval_required', 'declined: the error');
$r = asked({ user => 3 }, { elicitation => {} }, (sub { 'accept' }) x 9);
is($r->{error}{data}{code}, 'approval_required',
   'he is not asked without end');
$r = asked({ user => 4 }, { elicitation => {} }, sub {
    decide($_->{id}, 'deny') for @{ $t->must(GET =>
        '/v1/tenants/acme/approvals?state=pending')->{items} };
    'accept' });
is($r->{error}{data}{code}, 'approval_denied', 'denied meanwhile');
$r = asked({ user => 5 }, { elicitation => { form => {}, url => {} } }, sub {
    %seen = %{ $_[0]{params} }; 'cancel' });
like($seen{url}, qr{^https://console\.example/a/}, 'by a URL, if he can');
{
    no warnings 'exiting';
    asked({ user => 6 }, { elicitation => {} }, sub { last });
}
ok((wait_until { ($t->metrics->{stoa_in_flight} // 0) == 0 } 10),
   'a client that leaves meanwhile');
settle();

# what is gone meanwhile

settle();
$id = id(call('delete', { sub => 1 }));
decide($id, 'approve');
my ($sub) = grep { $_->{application} eq 'demo' }
    @{ $t->must(GET => '/v1/tenants/acme/subscriptions')->{items} };
$t->must(POST => "/v1/tenants/acme/subscriptions/$sub->{id}/suspend");
$t->sync($_) for qw(gw gw2);
is(says(call('delete', { sub => 1 })), 'subscription_suspended',
   'a suspended subscription comes first');
$t->must(POST => "/v1/tenants/acme/subscriptions/$sub->{id}/resume");
$t->sync($_) for qw(gw gw2);
is(says(call('delete', { sub => 1 })), 'ran', 'then it passes');

$id = id(call('gone', {}));
decide($id, 'approve');
$t->must(POST => '/v1/tenants/acme/apis/m/tools/gone/disable');
$t->sync($_) for qw(gw gw2);
is(says(call('gone', {})), 'mcp_tool', 'a tool that is disabled');
is(approval($id)->{state}, 'approved', '... has used nothing');

# restarts

$id = id(call('delete', { restart => 1 }));
$t->stop('gw');
$t->start_nginx('gw');
$t->stop('control');
is(says(call('delete', { restart => 1 }, gateway => 'gw2')),
   'approval_unavailable', 'nobody can be asked: nothing passes');
$r = call('delete', { restart => 1 }, gateway => 'gw2');
is($r->{rpc}{error}{code}, 503, 'a 503');
is(says(call('look', {}, gateway => 'gw2')), 'ran', 'all else does');
$t->control;
decide($id, 'approve');
$t->sync($_) for qw(gw gw2);
$before = ran('delete');
is(says(call('delete', { restart => 1 })), 'ran', 'after both were restarted');
is(ran('delete') - $before, 1, 'once');

# a control plane behind TLS, by its own authority

my $dir = $t->dir('tls');
mkdir $dir;
$t->run_cmd([qw(openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj
    /CN=control -addext subjectAltName=IP:127.0.0.1), '-keyout', "$dir/key",
    '-out', "$dir/pem"]);
my $tls = $t->port('tls');
$t->write_file('front/nginx.conf', $t->bare_conf(<<"END", name => 'front'));
        listen 127.0.0.1:$tls ssl;
        ssl_certificate $dir/pem;
        ssl_certificate_key $dir/key;
        location / { proxy_pass http://127.0.0.1:%%PORT_control%%;
                     proxy_read_timeout 90; }
END
$t->start_nginx('front');
(my $conf = $t->template(name => 'far')) =~
    s{(stoa_control_plane) \S+;}{$1 https://127.0.0.1:$tls ca=$dir/pem;};
$t->gateway(name => 'far', conf => $conf);
$r = call('delete', { tls => 1 }, gateway => 'far');
is(says($r), 'approval_required', 'a control plane behind TLS');
decide(id($r), 'approve');
is(says(call('delete', { tls => 1 }, gateway => 'far')), 'ran', 'and it runs');
settle();

# one worker: who holds many calls takes no more than a share of it

sub hold {
    my ($who, $n) = @_;
    my @with = (key => $key{$who}, gateway => 'far');
    my ($s) = $t->mcp_session('/mcp/acme', @with);
    my $body = json_encode({ jsonrpc => '2.0', id => 1, method => 'tools/call',
        params => { name => 'm__hold', arguments => { who => $who } } });
    my @c = map { $t->connection(gateway => 'far') } 1 .. $n;
    $_->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\nX-API-Key: $key{$who}"
        . "\r\nContent-Type: application/json\r\nAccept: application/json, "
        . "text/event-stream\r\nMcp-Session-Id: $s\r\nMCP-Protocol-Version: "
        . '2025-11-25' . "\r\nContent-Length: " . length($body)
        . "\r\n\r\n$body") for @c;
    return @c;
}
sub full { my ($n, @c) = @_;
    my $s = IO::Select->new(map { $_->{sock} } @c);
    return wait_until { my @r = $s->can_read(0); @r == $n } 10 }
my @hold = hold('other', 130);
ok(full(2, @hold), 'an application holds 128 calls');
is(says(call('delete', { share => 1 }, who => 'other', gateway => 'far')),
   'approval_unavailable', '... and asks for nothing more meanwhile');
is(says(call('delete', { share => 1 }, gateway => 'far')), 'approval_required',
   'another one does');
push @hold, hold('many', 130);
ok(full(4, @hold), 'so does a second of the tenant');
is(says(call('delete', { share => 1 }, gateway => 'far')), 'approval_unavailable',
   'a tenant holds 256');
is(says(call('delete', { share => 1 }, who => 'theirs', gateway => 'far')),
   'approval_required', 'another tenant asks');
$_->close for @hold;
ok((wait_until { says(call('delete', { share => 1 }, who => 'other',
    gateway => 'far')) eq 'approval_required' } 10), 'those who left hold none');
settle();

# docs/approval.md: its example

my $page = slurp("$Test::Stoa::ROOT/docs/approval.md");
my ($yaml) = $page =~ /```yaml\n(.*?)```/s;
my ($shell) = $page =~ /\n((?:    stoactl .*\n)+)/;
$t->apply(docs(doc('Api', 'acme', 'crm', { kind => 'mcp', state => 'published',
    upstream => { targets => [{ url => 'http://127.0.0.1:'
        . $t->mcp_origin(name => 'crm', tools => {
            delete_customer => sub { 'deleted' } }) . '/mcp' }] } }),
    sub_('acme', 'demo', 'crm', 'free')));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/crm/tools')
             ->{json}{items} || [] } } 20 or $t->give_up('no tools');
$t->apply($yaml);
$t->sync;
sub crm { return $t->mcp('/mcp/acme', 'tools/call', {
    name => 'crm__delete_customer', arguments => { id => 7, note => 'x' } },
    key => $key{demo}, gateway => 'gw') }
$id = id($r = crm());
is($r->{rpc}{error}{data}{approval}{url},
   "https://console.acme.example/approvals/$id", 'the example: waits');
my ($code, $out, $err) = $t->run_cmd(['sh', '-e', '-c', $shell], env => {
    APPROVAL => $id, STOA_URL => $t->control_url, STOA_TOKEN => $admin{acme},
    STOA_CONFIG => $t->dir('none.yaml'), PATH => "$Test::Stoa::OBJS:$ENV{PATH}",
    no_proxy => '*' });
is("$code$err", '0', 'its commands');
like($out, qr/\{"id":7,"note":"\*\*\*"\}/, 'show the arguments');
is(crm()->{rpc}{result}{content}[0]{text}, 'deleted', 'and let it pass');

$t->allow_log(qr/the control plane was asked for an approval/);

# what a gateway's token may say; an approval that is not used in time

my $gw = slurp($t->dir('gw/token'));
$gw =~ s/\s+$//;
my ($api) = $t->must(GET => '/v1/tenants/acme/apis/m')->{id};
my ($tool) = $t->must(GET => '/v1/tenants/acme/apis/m/tools/delete')->{id};
my ($app) = $t->must(GET => '/v1/tenants/acme/applications/demo')->{id};
my %good = (api => $api, tool => $tool, application => $app, ttl_s => 1,
    max_pending => 5, digest => sha256_hex("delete\0{\"late\":1}"),
    arguments => '{"late":1}');
sub tells { return $t->api(POST => '/gateway/v1/approvals', { %good, @_ },
                           token => $gw) }
for ([{ api => '0' x 16 }, 404, 'no such api'],
     [{ tool => $app }, 404, 'no such tool'], [{ ttl_s => 0 }, 422, 'no time'],
     [{ digest => 'x' }, 422, 'no digest'],
     [{ arguments => "\n" }, 422, 'control characters'],
     [{ arguments => undef }, 422, 'no arguments'])
{
    is(tells(%{ $_->[0] })->{status}, $_->[1], "a gateway says: $_->[2]");
}
is($t->api(POST => '/gateway/v1/approvals', \%good)->{status}, 401,
   'an admin\'s token does not');
$r = tells();
is("$r->{status} $r->{json}{says}", '200 pending', 'a good one');
$id = $r->{json}{id};
my $wakes = sub { $t->metrics('control')->{stoa_control_http_wakes_total} };
my $woken = $wakes->();
decide($id, 'approve');
ok((wait_until { $wakes->() > $woken } 5), 'a decision wakes those who wait');
ok((wait_until { approval($id)->{state} eq 'expired' } 20),
   'an approval ends in time');
$before = ran('delete');
$r = call('delete', { late => 1 });
is(says($r), 'approval_required', 'and lets nothing pass then');
isnt(id($r), $id, 'the call waits anew');
is(decide($id, 'approve')->{status}, 409, 'what has expired stays so');

my %audit;
$audit{$_->{action}}++ for @{ $t->must(GET =>
    "/v1/audit?kind=approval&tenant=acme&limit=500")->{items} };
is(join(' ', sort keys %audit), 'approve create deny expire use',
   'all is audited');
ok($t->must(GET => '/v1/audit/verify?tenant=acme')->{ok}, '... in the chain');
my $m = $t->metrics;
cmp_ok($m->{stoa_approvals_passed_total}, '>=', 1, 'metrics: passed');
cmp_ok($t->metrics('gw2')->{stoa_approvals_failed_total}, '>=', 2, 'failed');

$t->done;
