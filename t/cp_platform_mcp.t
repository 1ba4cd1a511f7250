#!/usr/bin/perl

# The platform's own MCP server and its REST twin: both eras on one URL, and
# answers about the calling application only.  The identity is signed here as
# a gateway signs it.

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA ();
use MIME::Base64 ();
use Test::Stoa;
use Test::Stoa::Demo;
use Test::Stoa::Identity;

my $META = 'io.modelcontextprotocol';
my $MODERN = '2026-07-28';

my $t = Test::Stoa->new;
$t->control;
my $spec = { openapi => '3.1.0', info => { title => "O\x{e9}", version => '1' },
             paths => {} };

$t->apply(demo(tenant => 'acme', rest => { orders => 9 }, mcp => { bot => 9 })
    . demo(tenant => 'other', rest => { open => 9, shared => 9, hidden => 9 })
    . demo(tenant => 'third') . demo(tenant => 'house'));
$t->must('PATCH', '/v1/tenants/acme/apis/orders',
    { spec => $spec, description => 'Buys 100% of_things', title => 'Orders' });
$t->must('PATCH', '/v1/tenants/other/apis/open', { audience => 'public' });
$t->must('PATCH', '/v1/tenants/other/apis/shared',
    { audience => 'partner', partners => ['acme'] });
$t->must('POST', '/v1/tenants/acme/apis/orders/operations',
    { name => 'list', method => 'GET', path => '/orders' });
$t->must('POST', '/v1/tenants/acme/apis',
    { name => 'draft', kind => 'rest',
      upstream => { targets => [{ url => 'http://127.0.0.1:9' }] } });
$t->must('POST', '/v1/gateway-groups', { name => 'g' });
my $gw = $t->must('POST', '/v1/gateways', { name => 'gw', group => 'g' });

my ($signer) = group_keys($t, $gw->{token});

# the api that is the control plane's own

my %platform = (kind => 'rest', identity => 'signed', platform => \1,
    upstream => { targets => [{ url => $t->control_url }] });
my $aud = $t->must('POST', '/v1/tenants/house/apis',
    { name => 'platform', %platform })->{id};
$t->must('POST', '/v1/tenants/house/apis/platform/publish');

my $port = $t->port('control');
my %id = map {
    my $tenant = $_;
    $tenant => {
        tenant => $t->must('GET', "/v1/tenants/$tenant")->{id},
        application => $t->must('GET',
            "/v1/tenants/$tenant/applications/app")->{id},
    }
} qw(acme other third);


my %made;
sub identity {
    my ($who, %o) = @_;
    my $make = sub { assertion($t, $o{key} // $signer, { aud => $aud,
        %{ $id{$who} }, %{ $o{claims} || {} } }, $o{head}) };
    return %o ? $make->() : ($made{$who} //= $make->());
}

sub rest {
    my ($who, $path) = @_;
    my $r = Test::Stoa::http_once($port, 'GET', "/platform/v1/$path",
        headers => { 'X-Stoa-Identity' => ref $who ? $$who
                                                   : identity($who) });
    $r->{json} = json_decode($r->{body});
    return $r;
}

# post(BODY or DATA, headers...)

sub post {
    my ($body, %h) = @_;
    $body = json_encode($body) if ref $body;
    $h{'X-Stoa-Identity'} = identity('acme')
        unless exists $h{'X-Stoa-Identity'};
    my $r = Test::Stoa::http_once($port, $h{method} // 'POST', '/mcp',
        body => $body, headers => { 'Content-Type' => 'application/json',
            Accept => 'application/json, text/event-stream', %h,
            method => undef });
    $r->{json} = json_decode($r->{body});
    return $r;
}

sub legacy {
    my ($method, $params, %h) = @_;
    return post({ jsonrpc => '2.0', id => 1, method => $method,
                  params => $params || {} },
                'MCP-Protocol-Version' => '2025-11-25', %h);
}

sub modern {
    my ($method, $params, %h) = @_;
    my %p = %{ $params || {} };
    $p{_meta} = { "$META/protocolVersion" => $MODERN,
                  "$META/clientCapabilities" => {}, %{ $p{_meta} || {} } };
    delete $p{_meta}{$_} for grep { !defined $p{_meta}{$_} } keys %{$p{_meta}};
    return post({ jsonrpc => '2.0', id => 'a-1', method => $method,
                  params => \%p },
        'MCP-Protocol-Version' => $MODERN, 'Mcp-Method' => $method,
        defined $p{name} ? ('Mcp-Name' => $p{name}) : (), %h);
}

sub code { return $_[0]{json}{error}{code} // 0 }
sub names { return join ' ', map { "$_->{tenant}/$_->{name}" }
                   @{ $_[0]{items} || [] } }


# REST: who sees what

my $r = rest('acme', 'apis');
is($r->{status}, 200, 'search');
is(names($r->{json}), 'acme/bot acme/orders other/open other/shared',
   'own, public and shared ones; no draft');
like($r->{headers}{'cache-control'}, qr/private/, 'for nobody else');
is(names(rest('other', 'apis')->{json}),
   'other/hidden other/open other/shared', 'another tenant');
is(names(rest('third', 'apis')->{json}), 'other/open', 'a third one');
is(names(rest('acme', 'apis?kind=mcp')->{json}), 'acme/bot', 'by kind');
is(names(rest('acme', 'apis?query=ORDERS%20Of')->{json}), 'acme/orders',
   'all words, any case');
is(names(rest('acme', 'apis?query=100%25')->{json}), 'acme/orders',
   'a percent sign is no wildcard');
is(names(rest('acme', 'apis?query=r_ers')->{json}), '', 'nor an underscore');
is(names(rest('acme', 'apis?query=%27%20OR%201=1')->{json}), '', 'no SQL');
$r = rest('acme', 'apis?limit=1');
is(@{ $r->{json}{items} } . $r->{json}{more}, '11', 'limit says more');
for my $bad ('limit=0', 'limit=101', 'limit=x', 'kind=soap',
             'query=' . 'x' x 201, 'query=a+b+c+d+e+f+g')
{
    is(rest('acme', "apis?$bad")->{status}, 422, "$bad: refused");
}

$r = rest('acme', 'apis/acme/orders/spec');
is_deeply($r->{json}{spec}, json_decode(json_encode($spec)), 'the spec');
is($r->{json}{operations}[0]{path}, '/orders', 'and the operations');
is($r->{json}{subscription}, 'active', 'and the subscription');
is(rest('acme', 'apis/other/open')->{json}{subscription}, 'none', 'or none');
is(rest('acme', 'apis/other/hidden')->{status}, 404, 'not another\'s');
is(rest('acme', 'apis/acme/draft')->{status}, 404, 'no draft');
is(rest('acme', 'apis/nobody/x')->{status}, 404, 'nor what is not there');

$r = rest('acme', 'subscriptions');
is($r->{json}{application}{name}, 'app', 'my application');
is(join(' ', map { "$_->{name}:$_->{state}" } @{ $r->{json}{items} }),
   'bot:active orders:active', 'my subscriptions');
is(rest('acme', 'usage')->{json}{total}{requests}, 0, 'my usage');
is(rest('acme', 'usage?days=32')->{status}, 422, 'not so long ago');

# what is left of quotas, by what gateways have reported

is($r->{json}{items}[1]{quota}, undef, 'a plan without quotas');
my %sub = map { $_->{name} => $_->{id} } @{ $r->{json}{items} };
my $batch = 0;
sub used {
    my ($name, %o) = @_;
    my $now = int(time) * 1000;
    my $posted = $t->api('POST', '/gateway/v1/usage', {
        file => 'a' x 32, batch => ++$batch, from_ms => $now,
        to_ms => $now + 1000, rows => [{ tenant => $id{acme}{tenant},
            application => $id{acme}{application},
            subscription => $sub{$name}, operation => '', refused => '',
            api => $t->must('GET', "/v1/tenants/acme/apis/$name")->{id},
            c2xx => 1, c3xx => 0, c4xx => 0, c5xx => 0, bytes_in => 1,
            bytes_out => 1, latency_us => [1, (0) x 15], %o }]
    }, token => $gw->{token});
    is($posted->{status}, 200, 'usage') or diag($posted->{body});
}
sub left {
    my %left = map { my $s = $_; $s->{name} => join ' ', map {
        my $q = $s->{quota}{$_}; $q ? "$_ $q->{used}/$q->{remaining}" : ()
    } qw(day month) } @{ rest('acme', 'subscriptions')->{json}{items} };
    return "$left{orders}, $left{bot}";
}
my $plan = '/v1/tenants/acme/plans/basic';
$t->must('PATCH', $plan, { quota_day => 10, quota_month => 100 });
used('orders', c2xx => 3, c5xx => 1);
used('orders', c2xx => 0, c4xx => 5, refused => 'rate_exceeded');
used('orders', c2xx => 0, c5xx => 1, refused => 'upstream_timeout');
used('bot');
is(left(), 'day 5/5 month 5/95, day 1/9 month 1/99', 'of each subscription');
like(rest('acme', 'subscriptions')->{json}{items}[0]{quota}{day}{reset_at},
     qr/T00:00:00/, 'until midnight');
my $subs = '/v1/tenants/acme/subscriptions';
$t->must('DELETE', "$subs/$sub{orders}");
$t->must('POST', $subs, { application => 'app', api => 'orders',
                          plan => 'basic' });
is(left(), 'day 5/5 month 5/95, day 1/9 month 1/99', 'also of a new one');
$t->must('PATCH', $plan, { limit_by => 'application', quota_month => 0 });
is(left(), 'day 6/4, day 6/4', 'shared, by application');
$t->must('PATCH', $plan, { limit_by => 'credential' });
is(left(), ', ', 'each key has its own');
$t->must('PATCH', $plan, { limit_by => 'subscription', quota_day => 0 });
is(rest('acme', 'health')->{json}{gateways}{offline}, 1, 'health');

# my usage is what I called, of whom ever

my $before = rest('acme', 'usage')->{json}{total}{requests};
my $mine = $t->api('POST', '/gateway/v1/usage', { file => 'b' x 32, batch => 1,
    from_ms => time * 1000, to_ms => time * 1000, rows => [map { {
        tenant => $id{$_->[0]}{tenant},
        application => $id{acme}{application}, c2xx => $_->[2],
        api => $t->must('GET', "/v1/tenants/$_->[0]/apis/$_->[1]")->{id} } }
        ['acme', 'orders', 2], ['other', 'open', 5]] },
    token => $gw->{token});
is($mine->{status}, 200, 'calls of two publishers') or diag($mine->{body});
$mine = rest('acme', 'usage');
is($mine->{json}{total}{requests}, $before + 7, 'are all in my usage');
is_deeply([map { $_->{requests} } grep { $_->{publisher} eq 'other' }
           @{ $mine->{json}{items} }], [5], 'with their publishers');
is(rest('other', 'usage')->{json}{total}{requests}, 0,
   'and is of the one application');


# identity: everything about it must be right

$t->must('POST', '/v1/tenants/other/suspend');
is(names(rest('acme', 'apis')->{json}), 'acme/bot acme/orders',
   'nothing of a suspended tenant');
$t->must('POST', '/v1/tenants/other/resume');

# another tenant's api, as anybody may publish one; another group's gateway

my $foreign = $t->must('POST', '/v1/tenants/other/apis',
    { name => 'foreign', kind => 'rest', identity => 'signed',
      upstream => $platform{upstream} })->{id};
$t->must('POST', '/v1/tenants/other/apis/foreign/publish');
my $narrow = $t->must('POST', '/v1/tenants/house/apis',
    { name => 'narrow', %platform, gateway_groups => ['g'] })->{id};
$t->must('POST', '/v1/tenants/house/apis/narrow/publish');
my $draft = $t->must('POST', '/v1/tenants/house/apis',
    { name => 'platform-draft', %platform })->{id};
$t->must('POST', '/v1/gateway-groups', { name => 'h' });
my $other = $t->must('POST', '/v1/gateways', { name => 'gw2', group => 'h' });
my ($stranger) = group_keys($t, $other->{token});
isnt($stranger->{id}, $signer->{id}, 'each group has a key of its own');
my $made_up = { id => $signer->{id}, private => 'ab' x 32 };
my $hmac = assertion($t, $signer, { aud => $aud, %{ $id{acme} } },
                     { alg => 'HS256' }) =~ s/\.[^.]*$//r;
my ($jwk) = grep { $_->{kid} eq $signer->{id} }
    @{ $t->api(GET => '/.well-known/jwks.json')->{json}{keys} };

my $now = time;
for my $case (
    ['another key', identity('acme', key => $made_up)],
    ['an unknown key', identity('acme', head => { kid => '0' x 16 })],
    ['another group\'s key under this name', identity('acme',
        key => { %$stranger, id => $signer->{id} })],
    ['no algorithm', identity('acme', head => { alg => 'none' })],
    ['no signature', identity('acme') =~ s/\.[^.]*$/./r],
    ['another algorithm', identity('acme', head => { alg => 'HS256' })],
    ['HMAC by the public key', "$hmac." . MIME::Base64::encode_base64url(
        Digest::SHA::hmac_sha256($hmac, $jwk->{x}))],
    ['a key of its own', identity('acme', head => { jwk => $jwk })],
    ['something critical', identity('acme', head => { crit => ['b64'] })],
    ['another type', identity('acme', head => { typ => 'at+jwt' })],
    ['another issuer', identity('acme', claims => { iss => 'me' })],
    ['a past one', identity('acme', claims => { iat => $now - 900,
                                                exp => $now - 600 })],
    ['a future one', identity('acme', claims => { iat => $now + 300,
                                                  exp => $now + 360 })],
    ['too long a life', identity('acme', claims => { exp => $now + 900 })],
    ['no end', identity('acme', claims => { exp => undef })],
    ['no application', identity('acme', claims => { application => '' })],
    ['another tenant\'s application', identity('acme',
        claims => { application => $id{other}{application} })],
    ['no audience', identity('acme', claims => { aud => undef })],
    ['an unknown audience', identity('acme', claims => { aud => '0' x 16 })],
    ['several audiences', identity('acme', claims => { aud => [$aud] })],
    ['an api of another tenant', identity('acme',
        claims => { aud => $foreign })],
    ['an api of the own tenant', identity('acme', claims => { aud =>
        $t->must('GET', '/v1/tenants/acme/apis/orders')->{id} })],
    ['a draft', identity('acme', claims => { aud => $draft })],
    ['an api of another group', identity('acme', key => $stranger,
        claims => { aud => $narrow })],
    ['no token', 'x'], ['an empty one', ''],
) {
    is(rest(\$case->[1], 'health')->{status}, 401, "$case->[0]: 401");
    is(legacy('ping', {}, 'X-Stoa-Identity' => $case->[1])->{status}, 401,
       "$case->[0]: 401 for MCP, too") if $case->[1] ne '';
}
is(rest(\identity('acme', claims => { aud => $narrow }), 'health')
   ->{status}, 200, 'an api of this group');
is(rest(\identity('acme', key => $stranger), 'health')->{status}, 200,
   'an api of all groups, by another one');
my $cut = identity('acme');
$cut =~ s/\.(\w)/'.' . ($1 eq 'e' ? 'f' : 'e')/e;
is(rest(\$cut, 'health')->{status}, 401, 'changed claims');

is(legacy('ping', {}, 'X-Stoa-Identity' => undef)->{status}, 200,
   'what the server is may be asked without');
is(legacy('tools/call', { name => 'stoa_platform_health' },
          'X-Stoa-Identity' => undef)->{status}, 401, 'a call may not');
is(legacy('ping', {}, 'X-Stoa-Identity' => undef,
          Origin => 'http://evil.example')->{status}, 403,
   'nor anything from a page in a browser');


# MCP, legacy

for my $v (['2025-11-25', '2025-11-25'], ['2025-06-18', '2025-06-18'],
           ['2025-03-26', '2025-03-26'], ['2024-11-05', '2025-11-25'],
           ['2099-01-01', '2025-11-25'], [$MODERN, '2025-11-25'])
{
    $r = legacy('initialize', { protocolVersion => $v->[0],
        capabilities => {}, clientInfo => { name => 'x', version => '1' } },
        'MCP-Protocol-Version' => undef);
    is($r->{json}{result}{protocolVersion}, $v->[1], "initialize $v->[0]");
}
ok(!exists $r->{headers}{'mcp-session-id'}, 'no session');
ok($r->{json}{result}{capabilities}{tools}, 'tools are announced');
$r = post({ jsonrpc => '2.0', method => 'notifications/initialized' });
is("$r->{status}$r->{body}", '202', 'a notification: 202, no body');
is_deeply(legacy('ping')->{json}{result}, {}, 'ping');

$r = legacy('tools/list');
my %tool = map { $_->{name} => $_ } @{ $r->{json}{result}{tools} };
is(join(' ', sort keys %tool), 'stoa_api_spec stoa_catalog_search '
   . 'stoa_my_subscriptions stoa_my_usage stoa_platform_health', 'tools/list');
for my $name (sort keys %tool) {
    my $d = $tool{$name};
    is($d->{inputSchema}{type} . $d->{outputSchema}{type}
       . $d->{annotations}{readOnlyHint}, 'objectobject1', "$name: schemas");
}
ok(!exists $r->{json}{result}{resultType}, 'as 2025-11-25 has it');

is(code(legacy('nope')), -32601, 'an unknown method');
is(legacy('nope')->{status}, 200, 'is no 404: that would end a session');
is(code(legacy('tools/list', { cursor => 'x' })), -32602, 'no such page');
$r = legacy('ping', {}, 'MCP-Protocol-Version' => '1999-01-01');
is($r->{status} . code($r), '400-32022', 'an unknown version');
is_deeply($r->{json}{error}{data}{supported},
    [$MODERN, '2025-11-25', '2025-06-18', '2025-03-26'], 'names those it has');

# calls

sub call { return legacy('tools/call', { name => $_[0],
               defined $_[1] ? (arguments => $_[1]) : () })->{json} }

for my $case (['stoa_catalog_search', { query => 'orders' }],
              ['stoa_api_spec', { api => 'orders' }],
              ['stoa_api_spec', { api => 'other/open' }],
              ['stoa_my_subscriptions', undef],
              ['stoa_my_usage', { days => 31 }],
              ['stoa_platform_health', {}])
{
    my $result = call(@$case)->{result};
    ok(!$result->{isError}, "$case->[0]");
    is_deeply(json_decode($result->{content}[0]{text}),
              $result->{structuredContent}, 'text and structure are the same')
        if $case->[0] ne 'stoa_api_spec';
}
is(names(call('stoa_catalog_search', { kind => 'rest' })
         ->{result}{structuredContent}),
   'acme/orders other/open other/shared', 'the same as REST');

for my $case (['stoa_catalog_search', { limit => 0 }, 'limit: must be 1'],
              ['stoa_catalog_search', { limit => '5' }, 'limit: must be an'],
              ['stoa_catalog_search', { kind => 'soap' }, 'kind: is none'],
              ['stoa_catalog_search', { nope => 1 }, 'nope: is not'],
              ['stoa_api_spec', {}, 'api: is required'],
              ['stoa_api_spec', { api => 'x' x 500 }, 'api: must have'],
              ['stoa_api_spec', { api => 'hidden' }, 'no api "hidden"'],
              ['stoa_api_spec', { api => 'other/hidden' }, 'no api'],
              ['stoa_my_usage', { days => 1.5 }, 'days: must be an integer'])
{
    my $result = call($case->[0], $case->[1])->{result};
    ok($result->{isError}, "$case->[0]: a fault is a result");
    like($result->{content}[0]{text}, qr/\Q$case->[2]\E/, 'that says why');
}
is(code({ json => call('nope') }), -32602, 'an unknown tool');
is(code({ json => call('stoa_my_usage', []) }), -32602,
   'arguments that are no object');


# MCP, modern

$r = modern('server/discover');
is($r->{json}{result}{resultType}, 'complete', 'server/discover');
is($r->{json}{id}, 'a-1', 'the id comes back');
is_deeply($r->{json}{result}{supportedVersions},
    [$MODERN, '2025-11-25', '2025-06-18', '2025-03-26'], 'all versions');
like($r->{json}{result}{ttlMs}, qr/^\d+$/, 'ttlMs');
$r = modern('tools/list');
is($r->{json}{result}{cacheScope}, 'public', 'cacheScope');
is($r->{json}{result}{_meta}{"$META/serverInfo"}{name}, 'stoa-control',
   'serverInfo');
$r = modern('tools/call', { name => 'stoa_my_subscriptions' });
is($r->{json}{result}{resultType}, 'complete', 'tools/call');
ok(!exists $r->{json}{result}{ttlMs}, 'a call is not to be kept');
is(modern('tools/call', { name => 'stoa_my_subscriptions' }, 'Mcp-Name' =>
    '=?base64?' . MIME::Base64::encode_base64('stoa_my_subscriptions', '')
    . '?=')->{status}, 200, 'a name in base64');

for my $case (
    ['no version header', -32020, 'tools/list', {},
     'MCP-Protocol-Version' => undef],
    ['another version', -32020, 'tools/list', {},
     'MCP-Protocol-Version' => '2025-11-25'],
    ['no method header', -32020, 'tools/list', {}, 'Mcp-Method' => undef],
    ['another method', -32020, 'tools/list', {},
     'Mcp-Method' => 'tools/call'],
    ['another case', -32020, 'tools/list', {}, 'Mcp-Method' => 'TOOLS/LIST'],
    ['no name header', -32020, 'tools/call', { name => 'stoa_my_usage' },
     'Mcp-Name' => undef],
    ['another name', -32020, 'tools/call', { name => 'stoa_my_usage' },
     'Mcp-Name' => 'stoa_api_spec'],
    ['bad base64', -32020, 'tools/call', { name => 'stoa_my_usage' },
     'Mcp-Name' => '=?base64?***?='],
    ['no version in _meta', -32602, 'tools/list',
     { _meta => { "$META/protocolVersion" => undef } }],
    ['no capabilities', -32602, 'tools/list',
     { _meta => { "$META/clientCapabilities" => undef } }],
    ['an unknown version', -32022, 'tools/list',
     { _meta => { "$META/protocolVersion" => '2099-01-01' } },
     'MCP-Protocol-Version' => '2099-01-01'],
) {
    my ($what, $want, $method, $params, %h) = @$case;
    $r = modern($method, $params, %h);
    is($r->{status} . code($r), "400$want", "$what: 400 $want");
}
for my $method (qw(initialize ping nope resources/list logging/setLevel)) {
    $r = modern($method);
    is($r->{status} . code($r), '404-32601', "$method: 404");
}


# what is no message

for my $case (['{', -32700], ['', -32700], ['null', -32600], ['[]', -32600],
    ['{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600],
    ['{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"ping","method":"x"}', -32700],
    ["{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", -32700],
    ['[' x 100, -32700])
{
    $r = post($case->[0]);
    is($r->{status} . code($r), "400$case->[1]", "$case->[1]");
}
is(post('{}', 'Content-Type' => 'text/plain')->{status}, 415, 'no JSON');
is(post('{}', 'Content-Type' => 'application/json; charset=utf-7')->{status},
   415, 'another charset');
is(post('{}', 'Content-Encoding' => 'gzip')->{status}, 415, 'encoded');
for my $method (qw(GET DELETE)) {
    $r = post(undef, method => $method);
    is("$r->{status} $r->{headers}{allow}", '405 POST', "$method: 405");
}

# arrays are of 2025-03-26

my $pings = '[{"jsonrpc":"2.0","id":7,"method":"ping"},'
    . '{"jsonrpc":"2.0","method":"notifications/x"},'
    . '{"jsonrpc":"2.0","id":8,"method":"nope"}]';
for my $version (undef, '2025-03-26') {
    $r = post($pings, 'MCP-Protocol-Version' => $version);
    is(join(' ', map { $_->{id} } @{ $r->{json} }), '7 8', 'a batch');
}
$r = post($pings, 'MCP-Protocol-Version' => '2025-06-18');
is($r->{status} . code($r), '400-32600', 'not later');
$r = post('[{"jsonrpc":"2.0","method":"notifications/x"}]');
is($r->{status}, 202, 'of notifications: 202');
is(post('[' . join(',', ('{"jsonrpc":"2.0","id":1,"method":"ping"}') x 101)
        . ']')->{status}, 400, 'too many');

$t->done;
