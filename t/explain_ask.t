#!/usr/bin/perl

# What would become of a call, without making it: what is said is what a call
# is told, nothing of it is counted, taken or sent, and nobody learns more by
# it than by calling.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::MCP;
use Digest::SHA qw(sha256_hex);

my $t = Test::Stoa->new->has('module', 'control');
$t->control;
my $to = 'http://127.0.0.1:' . $t->origin;
my $mcp = 'http://127.0.0.1:' . $t->mcp_origin(name => 'tools', tools => {
    echo => sub { 'hello' }, other => sub { 'there' } }) . '/mcp';

sub on { my ($name, $type, $config, $at, %o) = @_;
         return doc('Policy', $o{tenant} // 'acme', $name, { type => $type,
             config => $config, attach => [$at],
             state => $o{state} // 'enabled' }) }

$t->must(POST => '/v1/gateway-groups', { name => 'east' });
$t->apply(docs(tenant('acme'), tenant('other'), app('acme', 'demo'),
    app('other', 'foreign'),
    plan('acme', 'slow', rate => 3, per_ms => 600_000, quota_day => 9,
         concurrency => 2),
    plan('acme', 'free'), plan('other', 'tight', rate => 5, per_ms => 600_000),
    (map { rest('acme', $_->[0], $to), sub_('acme', 'demo', @$_) }
     ['slow', 'slow'], ['office', 'free'], ['trial', 'free'], ['form', 'free'],
     ['kept', 'free'], ['few', 'free']),
    rest('acme', 'alone', $to), rest('acme', 'east', $to,
        gateway_groups => ['east']),
    sub_('acme', 'demo', 'east', 'free'),
    rest('acme', 'small', $to, max_body_bytes => 8),
    sub_('acme', 'demo', 'small', 'free'),
    rest('other', 'lent', $to, audience => 'public'),
    sub_('acme', 'demo', 'lent', 'tight', target_tenant => 'other'),
    doc('Api', 'acme', 'tools', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => $mcp }] } }),
    sub_('acme', 'demo', 'tools', 'slow'),
    on('office-only', 'ip-filter', { deny => ['127.0.0.0/8'] },
       { api => 'office' }),
    on('maybe', 'ip-filter', { deny => ['127.0.0.0/8'] }, { api => 'trial' },
       state => 'shadow'),
    on('shape', 'json-schema', { schema => { type => 'object',
        required => ['name'] } }, { api => 'form' }),
    on('answers', 'headers', { response_remove => ['X-Inner'] },
       { api => 'form' }),
    on('keep', 'cache', {}, { api => 'kept' }),
    on('two', 'rate-limit', { rate => 2, per_ms => 600_000,
        algorithm => 'window', by => ['header:x-user'] }, { api => 'few' }),
    on('secret-rule', 'ip-filter', { deny => ['10.9.9.9/32'] },
       { api => 'lent' }, tenant => 'other')));

wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/tools/tools')->{json}{items}
       || [] } == 2
} 20 or $t->give_up('tools were not discovered');

$t->gateway(workers => 2, http => 'log_format back "$request_uri";'
    . 'server { listen unix:%%DIR%%/back.sock; location / { return 200;'
    . ' access_log %%DIR%%/back.log back; } }',
    server => 'location /hidden/ { internal; error_page 404 = @back; }'
    . 'location /back { proxy_pass http://unix:%%DIR%%/back.sock; }'
    . 'location @back { proxy_pass http://unix:%%DIR%%/back.sock; }');
my $key = $t->key('acme', 'demo');
my $foreign = $t->key('other', 'foreign');
$t->sync;
my ($id) = $key =~ /^stoa_live_(\w{16})_/;
my ($foreign_id) = $foreign =~ /^stoa_live_(\w{16})_/;

sub ask {
    my ($method, $url, %o) = @_;
    my $tenant = delete $o{tenant} // 'acme';
    my $token = delete $o{token};
    my $q = { method => $method, url => $url, credential => $id, %o };
    delete $q->{credential} if !defined $q->{credential};
    return $t->api('POST', "/v1/tenants/$tenant/explain", $q,
                   $token ? (token => $token) : ());
}
sub seen { my $r = ask(@_);
           ok($r->{status} == 200, "@_[0, 1]: is explained")
               or diag($r->{body});
           return $r->{json} // {} }
sub row { my ($seen, $type) = @_;
          my ($r) = grep { ($_->{type} // '') eq $type } @{ $seen->{steps} };
          return $r // {} }
sub refused { my ($r) = grep { $_->{verdict} eq 'refused' && $_->{type} }
                  @{ $_[0]{steps} };
              return $r // {} }
sub counters { my $m = $t->metrics;
               return { map { ($_ => $m->{$_}) }
                   grep { /policy|refused|requests|rate_|quota_|in_flight/ }
                   keys %$m } }

wait_until { ask('GET', '/apis/acme/trial/')->{status} == 200 } 10;


# ---- nothing is counted ----------------------------------------------------

my $before = counters();
my $s;
$s = seen('GET', 'http://api.test/apis/acme/slow/x?a=b') for 1 .. 5;
is($s->{verdict}, 'allowed', 'it would pass');
is_deeply([@{ row($s, 'rate') }{qw(verdict from of left)}],
          ['ok', 'plan', 3, 2], 'what would be left of the rate');
is_deeply([@{ row($s, 'concurrency') }{qw(of left)}], [2, 1],
          'of those at once');
is_deeply([@{ row($s, 'quota') }{qw(of left)}], [9, 8], 'of the day');
is_deeply([map { "$_->{limit} $_->{left}" } @{ $s->{limits} }],
          ['rate 2', 'day 8'], 'as of a trace');
is(row($s, 'key')->{from}, 'default', 'what is in force by itself');
is_deeply([map { $_->{step} } grep { $_->{verdict} eq 'not_judged' }
           @{ $s->{steps} }], [qw(repeat cache credential forward)],
          'what is not done is said');
is_deeply([@$s{qw(tenant api consumer application plan path host)}],
          [qw(acme slow acme demo slow /apis/acme/slow/x api.test)],
          'who would call what');
is($s->{credential}, $id, 'with what');
ok(!exists $s->{request_id}, 'it is no call');
is(scalar $t->origin_log, 0, 'nothing was sent');
is_deeply(counters(), $before, 'nothing was counted');
is(scalar(grep { m{/apis/} } $t->log_lines), 0, 'nor logged');
is($t->get('/stoa/traces', gateway => 'gw')->{json}{next}, 0,
   'nor kept as a trace');

is(ask('GET', '/hidden/x')->{status}, 404, 'what nginx itself refuses');
is($t->get('/back')->{status}, 200, 'a page of errors that is elsewhere');
my $back = sub { -e $t->dir('back.log') ? slurp($t->dir('back.log')) : '' };
wait_until { $back->() =~ m{^/back$}m } 5;
is($back->(), "/back\n", 'is not asked for');

# ---- what is said is what a call is told -----------------------------------

sub same {
    my ($what, $method, $path, %o) = @_;
    my %ask = map { exists $o{$_} ? ($_ => $o{$_}) : () }
        qw(body headers credential);
    my $x = seen($method, $path, %ask);
    my $r = $t->http($method, $path, key => exists $o{key} ? $o{key} : $key,
        headers => $o{headers} || {},
        defined $o{body} ? (body => $o{body}) : ());
    my $passed = $r->{status} == 200;
    is($x->{verdict}, $passed ? 'allowed' : 'refused', "$what: the verdict");
    is(join(' ', map { $_ // '-' } @$x{qw(status code detail)}),
       $passed ? '- - -'
       : join(' ', $r->{status}, $r->{json}{code}, $x->{detail} // '-'),
       "$what: status and code");
    return $x if $passed;
    my $tr;
    wait_until {
        my $l = $t->get('/stoa/traces?request_id='
                        . $r->{headers}{'x-request-id'});
        $tr = $l->{json}{items}[-1] if $l->{status} == 200;
        return $tr;
    } 5;
    is_deeply([@{ refused($x) }{qw(step type policy scope from id)}],
              [@{ refused($tr) }{qw(step type policy scope from id)}],
              "$what: the row");
    return $x;
}

same('passes', 'GET', '/apis/acme/slow/a') for 1 .. 3;
$s = same('the rate', 'GET', '/apis/acme/slow/a');
is_deeply([@{ row($s, 'rate') }{qw(verdict of left)}], ['refused', 3, 0],
          'the rate: and its figures');
cmp_ok(row($s, 'rate')->{retry_ms}, '>', 100_000, 'the rate: and until when');
same('an address', 'GET', '/apis/acme/office/');
$s = same('a shadow', 'GET', '/apis/acme/trial/');
is(row($s, 'ip-filter')->{verdict}, 'would_refuse', 'a shadow: would refuse');
same('no subscription', 'GET', '/apis/acme/alone/');
same('no key', 'GET', '/apis/acme/slow/', key => undef, credential => undef);
same('a long body', 'POST', '/apis/acme/small/', body => 'x' x 9);
my %json = (headers => { 'Content-Type' => 'application/json' });
same('a body that is not as it has to be', 'POST', '/apis/acme/form/',
     body => '{"nme":1}', %json);
$s = same('one that is', 'POST', '/apis/acme/form/', body => '{"name":1}',
          %json);
my ($later) = grep { ($_->{why} // '') eq 'it works on the answer' }
    @{ $s->{steps} };
is_deeply([@{ $later }{qw(verdict policy scope)}],
          [qw(not_judged answers api)], 'what looks at answers');
same('a segment of dots', 'GET', '/apis/acme/slow/..;/x');
same('a limit by a header', 'GET', '/apis/acme/few/',
     headers => { 'X-User' => 'a' }) for 1 .. 3;
is(row(seen('GET', '/apis/acme/few/', headers => { 'X-User' => 'b' }),
       'rate-limit')->{left}, 1, 'another value has its own');
is(seen('GET', '/apis/acme/nothing/')->{code}, 'no_route', 'no such api');
is(seen('PURGE', '/apis/acme/kept/')->{verdict}, 'allowed', 'any method');
is(seen('GET', '/apis/acme/kept/%2e%2e/office/')->{api}, 'office',
   'a path is read as nginx reads it');
is(seen('GET', '/apis/acme/office/', address => '192.0.2.7')->{verdict},
   'allowed', 'from another address');

my $known = '/.well-known/oauth-protected-resource/mcp/acme';
is(seen('GET', $_)->{verdict}, 'answered', "the gateway's own: $_")
    for '/apis', $known;
is(seen('POST', $known)->{code}, 'method_not_allowed', '... by GET alone');

# ---- MCP -------------------------------------------------------------------

my $ns = 'io.modelcontextprotocol';
sub message {
    my ($method, $params, %o) = @_;
    my %h = ('Content-Type' => 'application/json', 'Mcp-Method' => $method,
        Accept => 'application/json, text/event-stream',
        'MCP-Protocol-Version' => '2026-07-28',
        $params->{name} ? ('Mcp-Name' => $params->{name}) : ());
    return (headers => \%h, body => json_encode({ jsonrpc => '2.0', id => 1,
        method => $method, params => { %$params, _meta => {
            "$ns/protocolVersion" => '2026-07-28',
            "$ns/clientCapabilities" => {} } } }), %o);
}
my $calls = scalar $t->origin_log('tools');
$s = seen('POST', '/mcp/acme', message('tools/call',
    { name => 'tools__echo', arguments => {} }));
is_deeply([@$s{qw(verdict edge api tool plan)}],
          [qw(allowed mcp tools echo slow)], 'MCP: a tool');
is(row($s, 'rate')->{left}, 2, 'MCP: what is left');
is_deeply([map { $_->{step} } grep { $_->{verdict} eq 'not_judged' }
           @{ $s->{steps} }],
          [qw(where search back approve credential connect splice forward)],
          'MCP: what is not done');
$s = seen('POST', '/mcp/acme', message('tools/call', { name => 'nothing' }));
is_deeply([@$s{qw(verdict code)}], [qw(refused mcp_tool)],
          'MCP: no such tool');
is(seen('POST', '/mcp/acme', message('tools/list', {}))->{verdict},
   'answered', 'MCP: what the gateway answers');
is(seen('GET', '/mcp/acme', headers => { Accept => 'text/event-stream',
    'Mcp-Session-Id' => 'x' })->{verdict}, 'unknown', 'MCP: a stream');
my %legacy = (headers => { 'Content-Type' => 'application/json',
    Accept => 'application/json, text/event-stream' });
is(seen('POST', '/mcp/acme', %legacy, body => json_encode({ jsonrpc => '2.0',
    id => 1, method => 'tools/call', params => { name => 'tools__echo' } }))
   ->{verdict}, 'allowed', 'MCP: of a client with a session');
is(seen('POST', '/mcp/acme', %legacy, body => '[{"jsonrpc":"2.0","id":1,'
    . '"method":"ping"}]')->{verdict}, 'unknown', 'MCP: a batch');
is(seen('POST', '/mcp/acme', %legacy, body => json_encode({ jsonrpc => '2.0',
    id => 1, method => 'initialize', params => {} }))->{verdict}, 'answered',
   'MCP: a session is not begun');
is(seen('POST', '/mcp/acme', %legacy, body => 'x')->{code}, 'mcp_parse',
   'MCP: no JSON');
is(scalar $t->origin_log('tools'), $calls, 'MCP: nothing was sent');

# ---- whose it is -----------------------------------------------------------

my %token = map { ($_ => $t->must(POST => '/v1/admin-tokens',
    { name => "of-$_", role => 'viewer', tenant => $_ })->{token}) }
    qw(acme other);
my $r = ask('GET', '/apis/acme/slow/', credential => $foreign_id);
is($r->{status}, 404, 'a credential of another tenant is none');
is(ask('GET', '/apis/acme/slow/', credential => '0' x 16)->{body} =~
   s/"request_id".*//r, $r->{body} =~ s/"request_id".*//r,
   'as one that is not there');
is(ask('GET', '/apis/acme/slow/', token => $token{other})->{status}, 404,
   'nor does another tenant exist');
is(ask('GET', '/apis/acme/slow/', token => $token{acme})->{status}, 200,
   'its viewers may');
$s = seen('GET', '/apis/other/lent/', token => $token{acme});
is_deeply([@$s{qw(verdict tenant api consumer)}],
          [qw(allowed other lent acme)], 'an api of another tenant');
is_deeply([@{ row($s, 'rate') }{qw(of left)}], [5, 4],
          'the plan is known to who has it');
unlike(json_encode($s), qr/secret-rule/, 'not how the other has it set up');
is(ask('GET', '/apis/other/lent/', address => '10.9.9.9')->{status}, 422,
   'nor is it tried out from where');
$s = seen('GET', '/apis/other/lent/', tenant => 'other', credential => undef,
          address => '10.9.9.9', token => $token{other});
is(refused($s)->{policy}, 'secret-rule', 'who has it sees it');
$s = seen('GET', '/apis/acme/slow/', tenant => 'other', credential => undef,
          token => $token{other});
is_deeply([$s->{verdict}, $s->{code}, exists $s->{plan}],
          ['refused', 'key_missing', ''], 'as a stranger would be told');

my $gone = $t->must(POST => '/v1/tenants/acme/applications/demo/credentials',
                    {});
$t->must(POST => "/v1/tenants/acme/applications/demo/credentials/$gone->{id}"
               . '/revoke', {});
$t->sync;
is(seen('GET', '/apis/acme/trial/', credential => $gone->{id})->{code},
   'key_invalid', 'a key that was revoked');

# ---- what is no question ---------------------------------------------------

for (['no method', method => ''], ['a bad method', method => 'G T'],
     ['a bad url', url => 'ftp://a/b'], ['a relative one', url => 'apis/x'],
     ['a blank in it', url => '/a b'], ['a fragment', url => '/a#b'],
     ['a host that is none', url => 'http://a b/'],
     ['a port that is none', url => 'http://a:x/'],
     ['a user in it', url => 'http://u:p@a/'],
     ['a long one', url => '/' . 'x' x 8192],
     ['a long body', body => 'x' x 16385],
     ['a body of many bytes', body => "\x01" x 16384],
     ['a body that is no text', body => { a => 1 }],
     ['a key in the url', url => "/apis/acme/slow/?k=$key"],
     ['a key in a header', headers => { 'X-Other' => $key }],
     ['a key in the body', body => $key],
     ['Authorization', headers => { authorization => 'Bearer x' }],
     ['X-API-Key', headers => { 'X-API-KEY' => 'x' }],
     ['Host', headers => { Host => 'x' }],
     ['a header of gateways', headers => { 'X-Stoa-Peer' => 'x' }],
     ['a header with a line', headers => { X => "a\r\nY: b" }],
     ['a name that is none', headers => { 'X Y' => 'b' }],
     ['a header twice', headers => { X => 'a', x => 'b' }],
     ['no headers', headers => ['a']],
     ['many', headers => { map { +"X-$_" => 1 } 1 .. 65 }],
     ['a bad address', address => '1.2.3'], ['a member', nothing => 1],
     ['a digest that is none', digest => 'x'])
{
    my ($what, %o) = @$_;
    my $q = { method => 'GET', url => '/apis/acme/slow/', credential => $id,
              %o };
    $r = $t->api('POST', '/v1/tenants/acme/explain', $q);
    is($r->{status}, 422, "$what: no question") or diag($r->{body});
    unlike($r->{body}, qr/\Q$key\E/, "$what: no key in the answer");
}
is($t->api('POST', '/v1/tenants/acme/explain', [])->{status}, 400,
   'no object');
is(ask('GET', '/stoa/metrics')->{status}, 404, 'no place of ours');
is(ask('GET', '/apis/acme/slow/', gateway_group => 'west')->{status}, 404,
   'no such group');

# ---- stoactl ---------------------------------------------------------------

my ($code, $out, $err) = $t->stoactl('why', 'GET', '/apis/acme/trial/x',
    '--credential', $id, '-t', 'acme');
is($code, 0, 'stoactl why: allowed') or diag($err);
like($out, qr/^verdict +allowed$/m, 'and says so');
like($out, qr/^admit +would_refuse +ip-filter +maybe /m, 'with its rows');
$t->write_file('key', "$key\n");
($code, $out) = $t->stoactl('why', 'GET', '/apis/acme/office/',
    '--key-file', $t->dir('key'), '-t', 'acme');
is($code, 2, 'stoactl why: refused');
like($out, qr/^code +ip_denied$/m, 'and why');
unlike($out, qr/\Q$key\E/, 'without the key');
($code, $out) = $t->stoactl('why', 'POST', '/apis/acme/form/', '--header',
    'Content-Type: application/json', '--data', '{}', '--key-file', '-',
    '-t', 'acme', '-o', 'json', { stdin => $key });
is($code, 2, 'a key by the standard input, a header, a body');
is(json_decode($out)->{code}, 'schema_mismatch', 'as JSON');
my $wrong = $t->key('acme', 'demo');
substr($wrong, 24, 1) = substr($wrong, 24, 1) eq 'a' ? 'b' : 'a';
$t->write_file('key', $wrong);
($code, $out, $err) = $t->stoactl('why', 'GET', '/', '--key-file',
    $t->dir('key'), '-t', 'acme');
is($code, 1, 'a key that was mistyped');
like($err, qr/form or its checksum is wrong/, 'is told without asking');
($code) = $t->stoactl('why', 'GET', '/mcp/acme', '-H',
    'Accept: text/event-stream', '-H', 'Mcp-Session-Id: x', '--credential',
    $id, '-t', 'acme');
is($code, 1, 'stoactl why: only the call can tell');
my $imported = 'sk_live_' . 'q7' x 20;
$t->must(POST => '/v1/tenants/acme/applications/demo/credentials/import',
    { keys => [{ sha256 => sha256_hex($imported), prefix => 'old' }] });
$t->sync;
$t->write_file('key', $imported);
($code, $out, $err) = $t->stoactl('why', 'GET', '/apis/acme/trial/',
    '--key-file', $t->dir('key'), '-t', 'acme');
is($code, 0, 'a key that was made elsewhere') or diag($err);
$r = ask('GET', '/apis/acme/trial/', digest => 'a' x 64);
is($r->{status}, 404, 'a digest that is not the key\'s');
unlike(slurp($t->dir('control.log')), qr/\Q$key\E/, 'no key in a log');

# ---- two gateways, many at once, a restart ---------------------------------

$r = ask('GET', '/apis/acme/east/');
is($r->{json}{code}, 'no_route', 'the group here has no such api');
$t->gateway(name => 'far', group => 'east');
wait_until {
    my $x = ask('GET', '/apis/acme/east/');
    return ($x->{json}{verdict} // '') eq 'allowed';
} 10;
is(seen('GET', '/apis/acme/east/')->{verdict}, 'allowed',
   'the gateway that has it is found');
is(seen('GET', '/apis/acme/east/', gateway_group => 'east')->{verdict},
   'allowed', 'or is named');
is(seen('GET', '/apis/acme/east/', gateway_group => 'default')->{code},
   'no_route', 'another one says what it knows');

my $long = json_encode({ method => 'POST', url => '/apis/acme/trial/',
    credential => $id, body => 'x' x 16000 });
my @many = map {
    my $c = Test::Stoa::HTTP->connect($t->port('control'));
    $c->send_raw($c->request_text('POST', '/v1/tenants/acme/explain',
        headers => { Authorization => "Bearer $t->{token}",
                     'Content-Type' => 'application/json' },
        body => $long) . $long);
    $c
} 1 .. 40;
my %came;
$came{ $_->response(timeout => 20)->{status} }++ for @many;
is_deeply(\%came, { 200 => 40 }, 'many at once');
is($t->get('/apis/acme/trial/', key => $key)->{status}, 200,
   'calls go on');

$t->reload;
wait_until { ask('GET', '/apis/acme/trial/')->{status} == 200 } 10;
is(seen('GET', '/apis/acme/trial/')->{verdict}, 'allowed', 'after a reload');


# ---- as they come ----------------------------------------------------------

sub live {
    my ($after, %o) = @_;
    my $query = join '&', defined $after ? "after=$after" : (),
        map { exists $o{$_} ? "$_=$o{$_}" : () } qw(status api);
    my $r = $t->api('GET', '/v1/tenants/' . ($o{tenant} // 'acme')
        . '/traces/live?' . $query, undef,
        token => $o{token} // $t->{token}, timeout => 30);
    my @data = map { json_decode($_) } $r->{body} =~ /^data: (\{.*\})$/mg;
    my ($next) = $r->{body} =~ /^id: (.*)$/m;
    return ($next, [grep { $_->{steps} } @data],
            [grep { exists $_->{count} } @data], $r);
}
sub asks {
    my ($path) = @_;
    my $c = Test::Stoa::HTTP->connect($t->port('control'));
    $c->send_raw($c->request_text('GET', $path,
        headers => { Authorization => "Bearer $token{acme}" }));
    return $c;
}
my $from = join '-', map { $t->api('GET', "/v1/gateways/$_")->{json}{id} . '.0' }
    qw(gw far);
my $second = asks("/v1/tenants/acme/traces/live?status=4xx&api=office"
                  . "&after=$from");
my $none = asks('/v1/tenants/acme/traces/live?status=5xx');
my ($r1, $items, $lost, $one) = live($from);
is($one->{headers}{'content-type'}, 'text/event-stream', 'a stream of events');
like($one->{body}, qr/^data: \{"request_id".*ip_denied.*office-only/m,
     'a call as it was refused');
like($one->{body}, qr/^retry: \d+\nid: \w{16}\.\d+-\w{16}\.\d+\n\n\z/m,
     'and where it goes on');
$from = $r1;
my $two = $second->response(timeout => 20);
like($two->{body}, qr/"code":"ip_denied"/, 'another one who looks, by filters');
my $marked = $t->get('/apis/acme/office/marked', key => $key);
my (%seen);
wait_until {
    ($from, my $got) = live($from);
    $seen{ $_->{request_id} }++ for @$got;
    return $seen{ $marked->{headers}{'x-request-id'} };
} 20;
is($seen{ $marked->{headers}{'x-request-id'} }, 1,
   'who comes back misses none, and has none twice');
ok(!(grep { $_ > 1 } values %seen), 'of all that came');
$t->get('/apis/acme/office/', key => $key) for 1 .. 150;
($from, my $got, $lost) = live($from, api => 'office');
ok((grep { $_->{count} || $_->{more} } @$lost),
   'too many at once: it is said that some are left out');
cmp_ok(scalar @$got, '>=', 10, 'the others are there');
my $bad = (live('x'))[3];
is($bad->{status}, 400, 'no id of an event');
is((live(undef, status => '9xx'))[3]{status}, 400, 'no status');
is((live(undef, token => $token{other}))[3]{status}, 404,
   'another tenant\'s people do not look');
is_deeply((live('0' x 16 . '.5', tenant => 'other'))[1], [],
          'nor has another tenant anything');
my $short = $t->must(POST => '/v1/admin-tokens', { name => 'short',
    role => 'viewer', tenant => 'acme' });
$token{acme} = $short->{token};
my $over = asks('/v1/tenants/acme/traces/live?status=5xx');
$t->must(POST => "/v1/admin-tokens/short/revoke", {});
is($over->response(timeout => 14)->{status}, 401, 'whose token ends sees it end');
($code, $out) = $t->stoactl('trace', '--follow', '--for', '1s', '-t', 'acme',
    '--api', 'office');
is($code, 0, 'stoactl trace --follow');
unlike($none->response(timeout => 20)->{body}, qr/request_id/,
       'of another status: nothing');

$t->done;
