#!/usr/bin/perl

# opa: a real Open Policy Agent decides, over TCP and a socket; a stand-in says
# what no OPA would.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;
use Test::Stoa::Token;

my $opa = "$Test::Stoa::Base::PARTS/opa/bin/opa";
my $t = Test::Stoa->new->has('module', 'control', 'openssl');
-x $opa or $t->give_up('no opa: t/parts/get.sh opa');
$t->control;

# the rule of the documentation, and one more

my ($rego) = slurp("$FindBin::Bin/../../docs/policies.md")
    =~ /```rego\n(.*?)```/s;
spew($t->dir('shop.rego'), $rego);
spew($t->dir('more.rego'), <<'END');
package more
yes := true
text := "true"
undefined if { input.method == "NEVER" }
seen := false
tools if { input.tool == "one" }
args if { input.body.n < 10 }
claim if { input.token.claims.department == "sales" }
claim if { "last" in input.token.claims.department }
region if { input.headers["x-region"] == ["eu"] }
head := {"allow": true, "headers": {"x-risk": "low", "X-Other": "no"}}
split := {"allow": true, "headers": {"x-risk": "a\nb: c"}}
bad_list := ["one"]
list contains i if {
	some i, item in input.items
	not hidden(item.name)
}
hidden(name) if { name in {"two", "off"} }
END
my $at = $t->port('opa');
my $sock = $t->dir('opa.sock');
my @opa = ($opa, 'run', '--server', '--disable-telemetry', '--set',
           'decision_logs.console=true', '--addr', "127.0.0.1:$at", '--addr',
           "unix://$sock", map { $t->dir("$_.rego") } qw(shop more));
my $start = sub {
    $t->start('opa', argv => \@opa, exit => [0, 2]);
    wait_until { my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $at, Proto => 'tcp') and -S $sock } 20
        or $t->give_up('OPA does not start');
};
$start->();
my $pem = $t->dir('opa.pem');
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
       . "-keyout $pem.key -out $pem -days 2 -subj /CN=opa -addext "
       . "subjectAltName=IP:127.0.0.1 2>/dev/null") == 0 or die;
my $tls = $t->port('tls');
$t->start('tls', argv => [$opa, 'run', '--server', '--disable-telemetry',
    '--addr', "127.0.0.1:$tls", '--tls-cert-file', $pem,
    '--tls-private-key-file', "$pem.key", $t->dir('more.rego')],
    exit => [0, 2]);

# answers by the path of the rule

my %odd = (
    garbage => [200, [], 'yes'], none => [200, [], '{}'],
    html => [200, ['Content-Type' => 'text/html'], '<html>true</html>'],
    string => [200, [], '{"result":"true"}'],
    one => [200, [], '{"result":1}'], null => [200, [], '{"result":null}'],
    list => [200, [], '{"result":[true]}'],
    twice => [200, [], '{"result":false,"result":true}'],
    soft => [200, [], '{"result":{"allow":"true"}}'],
    empty => [200, [], '{"result":{}}'], error => [500, [], '{"result":true}'],
    redirect => [302, [Location => 'http://127.0.0.1/'], '{"result":true}'],
    huge => [200, [], '{"result":true,"x":"' . 'x' x 100_000 . '"}'],
    cut => [200, [], '{"result":tr'],
    more => [200, [], '{"result":{"allow":true,"headers":{"a":"b"}}}'],
);
my $hold = $t->dir('hold');
my $stand = $t->origin(sub {
    my ($q) = @_;
    my ($what) = $q->{path} =~ m{/v1/data/(\w+)};
    if ($what eq 'late') { select undef, undef, undef, 0.05 while !-e $hold }
    return $odd{$what} || [200, [], '{"result":true}'];
}, name => 'stand');

my $to = 'http://127.0.0.1:' . $t->origin;
my $shows = 'http://127.0.0.1:' . $t->origin(sub { my ($q) = @_;
    return [200, [], join ';', map { $q->{headers}{$_} // '-' }
                               qw(x-risk x-other)] }, name => 'shows');
my $mcp = $t->mcp_origin(name => 'm', tools => {
    one => sub { 'one' }, two => sub { 'two' } });
my $many = $t->mcp_origin(name => 'many', tools => {
    map { ($_ => sub { "ran" }) } qw(one two three) },
    prompts => { on => sub { 'on' }, off => sub { 'off' } });
my $key = token_key($t, 'k', 'ES256');
my $ISS = 'https://idp.example/a';

sub policy { my ($name, $attach, %c) = @_;
             my $state = delete $c{state} // 'enabled';
             return doc('Policy', 'acme', $name, { type => 'opa',
                 state => $state, attach => [$attach],
                 config => { agent => 'shop', deadline_ms => 5000, %c } }) }
my @odd = (sort keys %odd, 'late');
my @apis = (qw(orders sock seen text undefined shadow open nobody away claim
               region known safe fake fine), map { "odd$_" } @odd);
$t->apply(docs(tenant('acme'), plan('acme', 'free'), app('acme', 'demo'),
    (map { (rest('acme', $_, $to), sub_('acme', 'demo', $_, 'free')) } @apis),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$mcp/mcp" }] } }),
    sub_('acme', 'demo', 'm', 'free'),
    (map { doc('Api', 'acme', $_, { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "http://127.0.0.1:$many/mcp" }] } }) }
        qw(many blind)),
    doc('Server', 'acme', 'box', { state => 'published', search_tools =>
        JSON::PP::true, prefix => 'never',
        tools => [map { { api => 'many', tool => $_ } } qw(one two three)] }),
    doc('Server', 'acme', 'shelf', { state => 'published', prefix => 'never',
        tools => [map { { api => 'many', tool => $_ } } qw(one two three)] }),
    (map { sub_('acme', 'demo', $_, 'free') } qw(many blind)),
    (map { doc('Subscription', 'acme', undef, { application => 'demo',
        server => $_, plan => 'free' }) } qw(box shelf)),
    (map { (rest('acme', $_, $shows), sub_('acme', 'demo', $_, 'free')) }
        qw(head split)),
    tenant('evil'), plan('evil', 'free'), app('evil', 'demo'),
    rest('evil', 'trip', $to), sub_('evil', 'demo', 'trip', 'free'),
    doc('Policy', 'evil', 'trip', { type => 'opa', attach => [{
        api => 'trip' }], config => { agent => 'stand', path => 'error' } }),
    doc('Issuer', 'acme', 'idp', { issuer => $ISS, jwks => jwks($key),
        application => 'demo', audiences => ['x'] })));
wait_until { @{ $t->api('GET', '/v1/tenants/acme/apis/m/tools')
             ->{json}{items} || [] } >= 2 } 20 or $t->give_up('no tools');
for my $api (qw(many blind)) {
    wait_until { @{ $t->api('GET', "/v1/tenants/acme/apis/$api/tools")
                 ->{json}{items} || [] } >= 3 } 20 or $t->give_up('no tools');
}
$t->apply(docs(
    policy('orders', { api => 'orders' }, path => 'shop/authz/decision',
           body => JSON::PP::true),
    policy('safe', { api => 'safe' }, agent => 'safe', path => 'more/yes'),
    policy('fake', { api => 'fake' }, agent => 'fake', path => 'more/yes'),
    policy('sock', { api => 'sock' }, agent => 'sock', path => 'more/yes'),
    policy('seen', { api => 'seen' }, path => 'more/seen',
           headers => ['x-region', 'x-note'], body => JSON::PP::true),
    policy('text', { api => 'text' }, path => 'more/text'),
    policy('undefined', { api => 'undefined' }, path => 'more/undefined'),
    policy('shadow', { api => 'shadow' }, path => 'more/undefined',
           state => 'shadow'),
    policy('open', { api => 'open' }, path => 'more/undefined',
           on_error => 'allow', body => JSON::PP::true, max_bytes => 100),
    policy('nobody', { api => 'nobody' }, agent => 'other', path => 'more/yes'),
    policy('fine', { api => 'fine' }, agent => 'stand', path => 'fine'),
    policy('away', { api => 'away' }, path => 'more/yes'),
    policy('claim', { api => 'claim' }, path => 'more/claim',
           claims => ['department']),
    policy('region', { api => 'region' }, path => 'more/region',
           headers => ['x-region']),
    policy('known', { api => 'known' }, path => 'more/yes',
           cache_ms => 300_000),
    policy('many', { api => 'many' }, path => 'more/yes',
           list_path => 'more/list', cache_ms => 300_000),
    policy('blind', { api => 'blind' }, path => 'more/yes',
           list_path => 'more/bad_list'),
    (map { policy($_, { api => $_ }, path => "more/$_",
                  headers_set => ['X-Risk']) } qw(head split)),
    policy('tools', { api => 'm' }, path => 'more/tools'),
    policy('args', { api => 'm', tool => 'one' }, path => 'more/args',
           body => JSON::PP::true),
    (map { policy("odd$_", { api => "odd$_" }, agent => 'stand', path => $_,
                  $_ eq 'late' ? (deadline_ms => 100) : ()) } @odd)));
$t->gateway(http => "stoa_opa shop http://127.0.0.1:$at;\n"
    . "stoa_opa safe https://127.0.0.1:$tls ca=$pem;\n"
    . "stoa_opa fake https://127.0.0.1:$tls;\n"
    . "stoa_opa sock unix:$sock;\nstoa_opa stand http://127.0.0.1:$stand/;\n"
    . "log_format opa '\$uri \$stoa_opa';\n"
    . 'access_log %%DIR%%/opa.log opa;');
my $api_key = $t->key('acme', 'demo');
my $evil = $t->key('evil', 'demo');
$t->sync;

sub call { my ($path, %o) = @_;
           my $r = $t->http($o{method} // 'GET', "/apis/acme/$path",
               exists $o{key} ? ($o{key} ? (key => $o{key}) : ())
                              : (key => $api_key),
               headers => $o{headers} // {},
               defined $o{body} ? (body => $o{body}) : ());
           return $r }
sub says { my $r = call(@_); return "$r->{status} " . ($r->{json}{code} // '') }

# the rule of the documentation

is(says('orders/orders/1'), '200 ', 'allowed');
my $r = call('orders/other');
is("$r->{status} $r->{json}{code}", '403 opa_denied', 'denied');
is($r->{json}{detail}, 'Nothing allows it.', 'and told why');
is(says('orders/orders', method => 'POST', body => '{"amount":99}'), '200 ',
   'by the body');
is(says('orders/orders', method => 'POST', body => '{"amount":100}'),
   '403 opa_denied', 'not by another one');
is(says('orders/orders', method => 'POST', body => 'amount=1'),
   '403 opa_denied', 'what is no JSON is not passed unread');
is(says('orders/orders', method => 'POST', body =>
    '{"amount":1000,"amount":1}'), '403 opa_denied', 'nor what says two things');
is(says('orders/orders', method => 'POST', body =>
    '{"amount":1,"x":"' . 'x' x 70_000 . '"}'), '413 body_too_large',
   'nor what is too long');
is(says('sock/x'), '200 ', 'over a socket');
wait_until { says('safe/x') eq '200 ' } 20;
is(says('safe/x'), '200 ', 'over TLS');
is(says('fake/x'), '503 policy_unavailable', 'not with a foreign certificate');
is(says('region/x', headers => { 'X-Region' => 'eu' }), '200 ', 'by a header');
is(says('region/x', headers => { 'X-Region' => 'us' }),
   '503 policy_unavailable', 'and not by another value');

# what it is shown

$r = call('seen/a%20b//c/../d?x=1&action=%64elete&x=2&y+%zz=1%k%', method => 'POST',
          body => '{"n": [1.50, "x"]}', headers => { 'X-Region' => 'eu',
          'X-Note' => "k $api_key", 'X-Other' => 'no' });
is($r->{json}{code}, 'opa_denied', 'false is no');
my $log_of = sub { my ($path) = @_;                      # OPA's own
    my ($d) = grep { ($_->{path} // '') eq $path }
        map { eval { json_decode($_) } || {} } grep { /decision_id/ }
        split /\n/, slurp($t->dir('opa.out'));
    return $d };
wait_until { $log_of->('more/seen') } 10;
my $in = $log_of->('more/seen')->{input} // {};
my ($note) = @{ $in->{headers}{'x-note'} || [''] };
unlike($note, qr/\Q@{[substr $api_key, -20]}/, 'no key in it');
like($note, qr/^k stoa_/, 'but what else is in the header');
is_deeply($in, { version => 1, protocol => 'rest',
    method => 'POST', path => '/a b/d', segments => ['a b', 'd'],
    query => [['x', '1'], ['action', 'delete'], ['x', '2'],
              ['y %zz', '1%k%']], api => 'seen',
    operation => undef, tool => undef, tenant => 'acme',
    application => 'demo', anonymous => JSON::PP::false, token => undef,
    headers => { 'x-region' => ['eu'], 'x-note' => [$note] }, source => '127.0.0.0/24', body => { n => [1.5, 'x'] } },
    'the input, in its canonical form') or diag(explain($r->{json}));

# no decision

for my $api (qw(text undefined nobody)) {
    is(says("$api/x"), '503 policy_unavailable', "no decision: $api");
}
is(says('shadow/x'), '200 ', 'a shadow refuses nothing');
is(says('open/x'), '200 ', 'on_error: allow');
is(says('open/x', method => 'POST', body => 'no'), '403 opa_denied',
   'but nobody gets there by what cannot be shown');
is(says('open/x', method => 'POST', body => '"' . 'x' x 200 . '"'),
   '413 body_too_large', 'nor by what is too long');
is(says("open/x?" . join '&', map { "a$_" } 1 .. 70), '403 opa_denied',
   'nor by many arguments');
is(says('open/%ff'), '403 opa_denied', 'nor by what is no text');
for my $odd (grep { $_ ne 'more' && $_ ne 'late' } @odd) {
    is(says("odd$odd/x"), '503 policy_unavailable', "an answer: $odd");
}
is(says('oddmore/x'), '200 ', 'more members say nothing');
is(says('oddlate/x'), '503 policy_unavailable', 'late');
spew($hold, '');

# claims of a token

sub bearer { return { Authorization => 'Bearer ' . token($key,
    claims($ISS, 'x', @_)) } }
is(says('claim/x', key => '', headers => bearer(department => 'sales')),
   '200 ', 'by a claim of the token');
is(says('claim/x', key => '', headers => bearer(department => 'it')),
   '503 policy_unavailable', 'and not by another one');
is(says('claim/x', key => '', headers => bearer(department =>
        [('x' x 50) x 90, 'last'])), '200 ', 'a long claim is whole');

# MCP

sub tool { my ($name, $args) = @_;
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => "m__$name",
        arguments => $args }, key => $api_key);
    return $r->{rpc}{error}{data}{code} // $r->{rpc}{result}{content}[0]{text} }
is(tool('one', { n => 1 }), 'one', 'MCP: a tool with arguments');
is(tool('one', { n => 10 }), 'policy_unavailable', 'MCP: other arguments');
is(tool('two', {}), 'policy_unavailable', 'MCP: another tool');

# what lists show

sub names { my ($method, $member, %o) = @_;
    my $r = $t->mcp($o{to} // '/mcp/acme', $method, {}, key => $api_key,
                    modern => $o{modern} // 1);
    return join ' ', map { $_->{name} } @{ $r->{rpc}{result}{$member} || [] } }
is(names('tools/list', 'tools'), 'm__one m__two many__one many__three one three',
   'a list shows what the rule lets through; of an api whose rule is no list '
   . 'nothing');
is(names('tools/list', 'tools'), 'm__one m__two many__one many__three one three',
   'the same, known');
is(names('tools/list', 'tools', to => '/mcp/acme/shelf'), 'one three',
   'a server\'s, too');
is(names('prompts/list', 'prompts'), 'many__on', 'prompts');
sub run { my ($name, $to, $args) = @_;
    my $r = $t->mcp($to // '/mcp/acme', 'tools/call', { name => $name,
        arguments => $args // {} }, key => $api_key);
    return $r->{rpc}{error} ? $r->{rpc}{error}{data}{code}
           : $r->{rpc}{result}{content}[0]{text} }
is(run('many__one'), 'ran', 'what is shown can be called');
is(run('many__two'), 'opa_denied', 'what is hidden cannot');
is(run('blind__one'), 'policy_unavailable', 'nor what nobody judged');
is(run('two', '/mcp/acme/shelf'), 'opa_denied', 'nor by a server');
is(run('call_tool', '/mcp/acme/box', { name => 'two' }), 'opa_denied',
   'nor by call_tool');
my $found = run('search_tools', '/mcp/acme/box', { query => 'one two three' });
is(join(' ', sort map { $_->{name} } @{ json_decode($found // '{}')->{tools} }),
   'one three', 'nor found');
is($t->mcp('/mcp/acme', 'prompts/get', { name => 'many__off' },
           key => $api_key)->{rpc}{error}{data}{code}, 'opa_denied',
   'a prompt that is hidden');

# what a decision says to the upstream

is(call('head/x', headers => { 'X-Risk' => 'mine', 'X-Other' => 'mine' })
   ->{body}, 'low;mine', 'it sets its own headers alone, the client does not');
is(says('split/x'), '503 policy_unavailable', 'and no lines');

# decisions that are known

my $asked = $t->metrics->{stoa_opa_asked_total};
is(says('known/x'), '200 ', 'asked for');
wait_until { ($t->metrics->{stoa_opa_asked_total} // 0) == $asked + 1 } 10;
is(says('known/x'), '200 ', 'known') for 1 .. 5;
is(says('known/y'), '200 ', 'another input');
wait_until { ($t->metrics->{stoa_opa_known_total} // 0) >= 1 } 10;
cmp_ok($t->metrics->{stoa_opa_known_total}, '>=', 1, 'counted');

# a tenant whose rules fail has a breaker of his own

my $open = $t->metrics->{stoa_opa_open_total} // 0;
ok((wait_until {
    is($t->get('/apis/evil/trip/x', key => $evil)->{json}{code},
       'policy_unavailable', 'a rule that fails') for 1 .. 6;
    ($t->metrics->{stoa_opa_open_total} // 0) > $open
} 10), '... is set aside');
is(says('fine/x'), '200 ', "... and takes nobody else's with it");

# it goes and comes back

$t->stop('opa');
is(says('away/x'), '503 policy_unavailable', 'OPA is away') for 1 .. 60;
cmp_ok($t->metrics->{stoa_opa_open_total} // 0, '>=', 1,
       'and not asked each time');
is(says('known/x'), '200 ', 'what is known counts on');
$start->();
wait_until { says('away/x') eq '200 ' } 10;
is(says('away/x'), '200 ', 'and is back');
my $log = slurp($t->dir('gw/logs/error.log'));
my @said = $log =~ /(no decision of "more\/yes" by "shop"[^\n]*)/g;
is(scalar @said, 1, 'said once') or diag(join "\n", @said);
like($log, qr/"shop" decides again/, 'and when it is over');

# the access log

wait_until { slurp($t->dir('opa.log')) =~ m{^/apis/acme/away/x.*allow}m } 10;
my ($line) = slurp($t->dir('opa.log')) =~ m{^/apis/acme/orders/other (.*)$}m;
$line =~ s/\\x22/"/g;
my $told = eval { json_decode($line) } || [];
is("$told->[0]{path} $told->[0]{says}", 'shop/authz/decision deny',
   'it is told') or diag($line);
like($told->[0]{id} // '', qr/^[0-9a-f-]{36}$/, 'with the key to OPA\'s own');

$t->done;
