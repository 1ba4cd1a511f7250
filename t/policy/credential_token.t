#!/usr/bin/perl

# upstream-credential, client_credentials: tokens that the gateway fetches, of
# a token endpoint that is strict, slow, broken or gone; an upstream that no
# longer takes one.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::HTTP;
use Test::Stoa::Token;
use Test::Stoa::Docs;
use MIME::Base64;

my $t = Test::Stoa->new->has('module', 'control', 'openssl');
$t->control;
my $base = '/v1/tenants/acme';
my $text = 'idp-internal-words';

# The token endpoint: /<mode>.  Each token is another one.

sub form { my %f = map { my ($k, $v) = split /=/, $_, 2;
                         for ($k, $v) { s/%([0-9A-F]{2})/chr hex $1/eg }
                         ($k => $v) } split /&/, $_[0];
           return \%f }
sub login { my ($q, $f) = @_;
    return ($f->{client_id}, $f->{client_secret}) if defined $f->{client_id};
    my ($b) = ($q->{headers}{authorization} // '') =~ /^Basic (\S+)$/
        or return;
    my @l = split /:/, decode_base64($b), 2;
    s/%([0-9A-F]{2})/chr hex $1/eg for @l;
    return @l }
my $n = 0;
sub given { my ($more) = @_;
    return [200, ['Content-Type' => 'application/json', 'Cache-Control' =>
        'no-store'], json_encode({ access_token => "tok-$$-" . ++$n,
        token_type => 'bearer', expires_in => 300, note => $text,
        %{ $more || {} } })] }
my %mode = (
    ok => sub { given() }, x => sub { given() },
    short => sub { given({ expires_in => 2 }) },
    slow => sub { wait_until { -f $t->dir('go') } 20; given() },
    html => sub { [200, ['Content-Type' => 'text/html'], "<p>$text"] },
    garbage => sub { [200, ['Content-Type' => 'application/json'],
                      "{\"access_token\": $text"] },
    huge => sub { [200, ['Content-Type' => 'application/json'],
                   json_encode({ access_token => 'x' x 40_000,
                                 token_type => 'Bearer' })] },
    long => sub { given({ access_token => 'x' x 9000 }) },
    blank => sub { given({ access_token => "a\r\nX-Evil: 1" }) },
    mac => sub { given({ token_type => 'mac' }) },
    none => sub { given({ access_token => undef }) },
    expired => sub { given({ expires_in => 0 }) },
    word => sub { given({ expires_in => 'soon' }) },
    late => sub { $_[1]->fill(time + 2.2); given({ expires_in => 1 }) },
    redirect => sub { [302, [Location => '/ok'], $text] },
    error => sub { [500, ['Content-Type' => 'text/plain'], $text] },
    cut => sub { $_[1]->send_raw("HTTP/1.1 200 OK\r\nContent-Type: "
        . "application/json\r\nContent-Length: 99\r\n\r\n{\"acc"); undef },
);
my $idp = $t->origin(sub {
    my ($q, $c) = @_;
    my $f = form($q->{body});
    my ($id, $word) = login($q, $f);
    my ($mode) = $q->{path} =~ m{^/(\w+)};
    return [400, [], $text] unless $q->{method} eq 'POST'
        && $f->{grant_type} eq ($mode eq 'x' ? 'urn:ietf:params:oauth:'
            . 'grant-type:token-exchange' : 'client_credentials')
        && ($mode ne 'x' || $f->{subject_token_type} eq
            'urn:ietf:params:oauth:token-type:access_token')
        && $q->{headers}{'content-type'}
           eq 'application/x-www-form-urlencoded';
    return [401, ['WWW-Authenticate' => "Basic realm=$text"], $text]
        unless ($word // '') eq slurp($t->dir('word')) && $id eq 'cl:ient %';
    return $mode{$mode}->($q, $c);
}, name => 'idp');
my $word = 's3cret/idp&1:%';
spew($t->dir('word'), $word);

# Upstreams take what the endpoint gave out, but what is withdrawn.

my $taken = sub { my ($q) = @_;
    my ($tok) = ($q->{headers}{authorization} // '')
        =~ /^Bearer (tok-\d+-\d+)$/ or return 0;
    my $gone = slurp($t->dir('gone'));
    return $gone !~ /^(?:all|\Q$tok\E)$/m };
spew($t->dir('gone'), '');
my @no = (401, ['WWW-Authenticate' => 'Bearer realm="inside"',
                'Content-Type' => 'text/plain'], 'inside');
my $up = $t->origin(sub { my ($q) = @_;
    return [@no] unless $taken->($q);
    return [200, ['Content-Type' => 'application/json'],
            json_encode({ got => $q->{headers}{authorization} })] },
    name => 'up');
my $m = $t->origin(sub { my ($q, $c) = @_;
    return [@no] unless $taken->($q);
    return [204] if $q->{method} eq 'DELETE';
    return [405] if $q->{method} eq 'GET';
    return [202] unless (json_decode($q->{body}) || {})->{method};
    my $a = Test::Stoa::MCP::answer({ name => 'm', era => 'legacy',
        sessions => 1, versions => \@Test::Stoa::MCP::LEGACY,
        tools => { hi => sub { 'hi' } } }, $q, $c);
    s/^(s-\d+)$/$1 . ++$n/e for @{ $a->[1] || [] };    # each another one
    return $a }, name => 'm');
my $modern = $t->mcp_origin(name => 'n', era => 'modern',
                            tools => { hi => sub { 'hi' } });

my %api = ((map { ($_ => "http://127.0.0.1:$idp/$_") }
            grep { $_ ne 'x' } keys %mode),
           two => "http://127.0.0.1:$idp/ok",
           post => "http://127.0.0.1:$idp/ok",
           down => 'http://127.0.0.1:' . $t->port('nobody') . '/',
           special => 'http://169.254.169.254/token');
sub policy { my ($api, %o) = @_;
    return doc('Policy', 'acme', "p-$api", { type => 'upstream-credential',
        config => { kind => 'client_credentials', client_id => 'cl:ient %',
        token_url => $api{$api}, client_secret => '${secret:idp}', %o },
        attach => [{ api => $api }] }) }
$api{m} = $api{ok};
$t->apply(docs(tenant('acme'), app('acme', 'demo'), plan('acme', 'free'),
    doc('Secret', 'acme', 'idp', { value => $word }),
    doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published', upstream =>
        { targets => [{ url => "http://127.0.0.1:$m/mcp" }] } }),
    (map { rest('acme', $_, "http://127.0.0.1:$up") }
     grep { $_ ne 'm' } sort keys %api),
    (map { (sub_('acme', 'demo', $_, 'free'), policy($_,
        $_ eq 'post' ? (client_auth => 'post', scope => 'a b',
                        audience => 'crm&x', resource => 'https://crm/x')
        : $_ eq 'two' ? (scope => 'two') : ())) } sort keys %api)));
ok(wait_until(sub { @{ $t->api('GET', "$base/apis/m/tools")->{json}{items}
                       || [] } }, 20), 'discovery fetches one, too');
for my $bad (['ftp://x/', 'token_url'], ['https://u@x/', 'token_url'],
             ['https://', 'token_url'], ['https:///x', 'token_url'])
{
    is($t->api(POST => "$base/policies", { name => 'bad', type =>
        'upstream-credential', config => { kind => 'client_credentials',
        token_url => $bad->[0], client_id => 'x', client_secret =>
        '${secret:idp}' } })->{status}, 422, "not the endpoint $bad->[0]");
}
my $front = "location /p/ { stoa_protect tenant=acme api=two;"
    . " proxy_pass http://127.0.0.1:$up/; }";
$t->gateway(server => $front);
$t->gateway(name => 'slow', server => 'stoa_fast off;');
my $key = $t->key('acme', 'demo');
$t->sync($_) for qw(gw slow);
sub call { my ($api, %o) = @_;
           return $t->get($o{path} // "/apis/acme/$api/", key => $key,
                          gateway => $o{gw} // 'gw') }
sub asked { my ($mode) = @_;
    return grep { $_->{path} =~ m{^/$mode\b}
                  && ($_->{headers}{'user-agent'} // '') !~ /stoa-control/ }
           $t->origin_log('idp') }
sub code { $_[0]{json}{code} // $_[0]{rpc}{error}{data}{code} // '' }


# once, and kept

for my $gw (qw(gw slow)) {
    my $before = asked('ok');
    my @got = map { call('ok', gw => $gw)->{json}{got} // 'none' } 1 .. 4;
    like($got[0], qr/^Bearer tok-/, "$gw: the upstream gets a token");
    is(join(' ', @got), join(' ', ($got[0]) x 4), "$gw: and keeps getting it");
    is(asked('ok') - $before, 1, "$gw: which was fetched once");
}
isnt(call('two')->{json}{got}, call('ok')->{json}{got}, 'another api\'s');
like(call('two', path => '/p/')->{json}{got}, qr/^Bearer tok-/,
     'stoa_protect: too');
is(call('post')->{status}, 200, 'id and secret in the form');
my ($f) = map { form($_->{body}) } grep { $_->{body} =~ /client_id/ }
    $t->origin_log('idp');
is(join('|', map { $f->{$_} } qw(scope audience resource)),
   'a b|crm&x|https://crm/x', 'scope, audience and resource are asked for');

my @c = map { my $c = $t->connection;
    $c->send_raw($c->request_text('GET', '/apis/acme/slow/', headers =>
        { 'X-API-Key' => $key })); $c } 1 .. 8;
ok(wait_until(sub { asked('slow') }, 20), 'many at once: asked');
$c[7]->close;                                  # one does not wait for it
spew($t->dir('go'), '1');
my @status = map { $_->response->{status} } @c[0 .. 6];
is(join(' ', @status), join(' ', (200) x 7), 'all of them have it');
is(scalar(() = asked('slow')), 1, 'by one fetch');

my $bad = 0;
ok(wait_until(sub { $bad++ if call('short')->{status} != 200;
                    return asked('short') >= 3 }, 20),
   'near its end another one is fetched');
is($bad, 0, 'and no call waits in vain');


# none comes

for my $mode (qw(html garbage huge long blank mac none expired word late
                 redirect error cut down special))
{
    my @r = map { call($mode) } 1, 2;
    is(join(' ', map { "$_->{status} " . code($_) } @r),
       '502 upstream_credential 502 upstream_credential', "$mode: 502");
    unlike(join('', map { $_->{body} . json_encode($_->{headers}) } @r),
           qr/$text|127\.0\.0\.1:$idp|tok-|Evil/, "$mode: nothing of it is told");
    cmp_ok(scalar(() = asked($mode)), '<=', 2, "$mode: not asked by each call");
}
is(scalar(grep { ($_->{headers}{authorization} // '') !~ /^Bearer tok-/ }
          $t->origin_log('up')), 0, 'no call goes out without one');


# the upstream no longer takes it

my $s = $t->mcp('/mcp/acme', 'initialize', { protocolVersion => '2025-11-25',
    capabilities => {}, clientInfo => { name => 't', version => '1' } },
    era => 'legacy', key => $key)->{session};
sub tool { $t->mcp('/mcp/acme', 'tools/call', { name => 'm__hi',
    arguments => {} }, era => 'legacy', session => $s, key => $key) }
sub calls { grep { $_->{body} =~ m{tools/call} } $t->origin_log('m') }
is(tool()->{rpc}{result}{content}[0]{text}, 'hi', 'MCP: a call');
my ($old) = map { $_->{headers}{authorization} =~ /(tok-\S+)/ } calls();
spew($t->dir('gone'), "$old\n" . (call('ok')->{json}{got} =~ s/Bearer //r)
                      . "\n");
is(tool()->{rpc}{result}{content}[0]{text}, 'hi',
   'MCP: withdrawn, another one is fetched and the call sent once more');
is(scalar(() = calls()), 3, 'once');
my $r = call('ok');
is("$r->{status} " . code($r), '502 upstream_credential', 'REST: told');
unlike($r->{body} . json_encode($r->{headers}), qr/inside/,
       'not as the upstream said it');
is(call('ok')->{status}, 200, 'REST: the next call has another one');
spew($t->dir('gone'), 'all');
my $before = asked('ok');
is(code(tool()), 'upstream_credential', 'MCP: when it takes none') for 1 .. 5;
cmp_ok(asked('ok') - $before, '<=', 2, 'the endpoint is not asked each time');
spew($t->dir('gone'), '');


# exchanged: each caller's own, for callers with a token

my $k = token_key($t, 'k', 'ES256');
$t->apply(docs(doc('Issuer', 'acme', 'idp', { issuer => 'https://idp.example',
    audiences => ['orders'], jwks => jwks($k), application => 'demo' }),
    rest('acme', 'x', "http://127.0.0.1:$up"),
    doc('Api', 'acme', 'n', { kind => 'mcp', state => 'published', upstream =>
        { targets => [{ url => "http://127.0.0.1:$modern/mcp" }] } }),
    sub_('acme', 'demo', 'n', 'free'),
    sub_('acme', 'demo', 'x', 'free'), map { doc('Policy', 'acme', "p-$_", {
        type => 'upstream-credential', attach => [{ api => $_ }], config => {
        kind => 'token_exchange', token_url => "http://127.0.0.1:$idp/x",
        client_id => 'cl:ient %', client_secret => '${secret:idp}',
        audience => 'crm' } }) } qw(x m n)));
wait_until { @{ $t->api('GET', "$base/apis/n/tools")->{json}{items} || [] } }
    20 or $t->give_up('no tools');
$t->sync($_) for qw(gw slow);
my %who = map { ($_ => token($k, claims('https://idp.example',
    'orders', sub => $_))) } qw(ann bob);
sub as { my ($who, $gw) = @_; my $r = $t->get('/apis/acme/x/', gateway =>
    $gw // 'gw', headers => { Authorization => "Bearer $who{$who}" });
    return $r->{json}{got} // "$r->{status} " . code($r) }
my $ann = as('ann');
like($ann, qr/^Bearer tok-/, 'exchange: the upstream gets a token');
is(as('ann'), $ann, 'the same for the same caller');
isnt(as('bob'), $ann, 'another one for another');
like(as('bob', 'slow'), qr/^Bearer tok-/, 'without the fast lane too');
is(join(' ', map { form($_->{body})->{subject_token} } asked('x')),
   join(' ', @who{qw(ann bob bob)}), 'by his own token, each once');
$r = call('x');
is("$r->{status} " . code($r), '502 upstream_credential', 'a key has none');
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'm__hi', arguments => {} },
    era => 'legacy', session => $s, key => $key);
is(code($r), 'upstream_credential', 'on MCP too');

# MCP: sessions are a user's, and all that is said in them is with his token

sub mcp_as { my ($who, $method, $params, %o) = @_;
    return $t->mcp('/mcp/acme', $method, $params, %o,
                   headers => { Authorization => "Bearer $who{$who}" }) }
sub text { my ($r) = @_;
           return $r->{rpc}{result}{content}[0]{text} // code($r) }
my $seen = () = $t->origin_log('m');
my %s;
for my $who (qw(ann bob)) {
    $s{$who} = mcp_as($who, 'initialize', { protocolVersion => '2025-11-25',
        capabilities => { elicitation => {} },
        clientInfo => { name => 't', version => '1' } },
        era => 'legacy')->{session};
    my @o = (era => 'legacy', session => $s{$who});
    is(text(mcp_as($who, 'tools/call', { name => 'm__hi', arguments => {} },
                   @o)), 'hi', "a session of $who: a call") for 1, 2;
    is(text(mcp_as($who, 'tools/call', { name => 'm__hi', arguments => {} })),
       'hi', "a modern call of $who") for 1, 2;
    mcp_as($who, 'notifications/roots/list_changed', undef, @o);
}
isnt(text(mcp_as('bob', 'tools/call', { name => 'm__hi', arguments => {} },
     era => 'legacy', session => $s{ann})), 'hi', "not by another's session");
my @said;
wait_until { @said = $t->origin_log('m'); splice @said, 0, $seen;
             2 == grep { $_->{body} =~ /list_changed/ } @said } 10;
my (%of, %by);
for my $q (@said) {
    my $sid = $q->{headers}{'mcp-session-id'} or next;
    $of{$sid}{$q->{headers}{authorization} // 'none'} = 1;
    $by{$q->{headers}{authorization} // 'none'}{$sid} = 1;
}
is(join(' ', sort map { scalar keys %$_ } values %of), '1 1 1 1',
   'four sessions, each with one token') or diag json_encode(\%of);
is(join(' ', map { scalar keys %$_ } values %by), '2 2',
   'two of each caller');
is(scalar(grep { ($_->{headers}{authorization} // '') !~ /^Bearer tok-/ }
          @said), 0, 'initialize and what a client says too');
for my $name (qw(up m)) {
    unlike(join('', map { json_encode($_->{headers}) } $t->origin_log($name)),
           qr/\Q$who{ann}\E|\Q$who{bob}\E/, 'the caller\'s own stays here');
}
is(text(mcp_as('ann', 'tools/call', { name => 'n__hi', arguments => {} },
        era => 'legacy', session => $s{ann})), 'hi',
   'a session\'s call of a modern upstream') or diag json_encode($r);
my ($n_call) = grep { $_->{body} =~ m{tools/call} } $t->origin_log('n');
like($n_call->{headers}{authorization}, qr/^Bearer tok-/, 'with a token');
my $get = $t->connection;
$get->send_raw($get->request_text('GET', '/mcp/acme', headers => {
    Authorization => "Bearer $who{ann}", 'Mcp-Session-Id' => $s{ann},
    Accept => 'text/event-stream' }));
my @gets;
ok(wait_until(sub { @gets = grep { $_->{method} eq 'GET' }
                    $t->origin_log('m') }, 10), 'the stream of a session');
like($gets[0]{headers}{authorization} // '', qr/^Bearer tok-/,
     'is asked for with a token');
$get->close;
$seen = () = $t->origin_log('m');
is($t->http('DELETE', '/mcp/acme', headers => { Authorization =>
    "Bearer $who{ann}", 'Mcp-Session-Id' => $s{ann} })->{status}, 200,
   'the end of a session');
my @ends;
ok(wait_until(sub { @ends = $t->origin_log('m'); splice @ends, 0, $seen;
                    @ends = grep { $_->{method} eq 'DELETE' } @ends }, 10),
   'ends it at the upstream');
like($ends[0]{headers}{authorization} // '', qr/^Bearer tok-/,
     'with a token, too');
$t->apply(docs(policy('m')));
$t->sync($_) for qw(gw slow);


# rotated: the new secret fetches a new token at once

spew($t->dir('word'), 's3cret-idp-2');
$t->must(PATCH => "$base/secrets/idp", { value => 's3cret-idp-2' });
$t->sync;
$before = call('two')->{json}{got};
like($before, qr/^Bearer tok-/, 'a rotated secret');
spew($t->dir('word'), 's3cret-idp-3');
is(call('two')->{json}{got}, $before, 'a token outlives its secret');
$t->must(PATCH => "$base/secrets/idp", { value => 's3cret-idp-wrong' });
$t->sync;
$r = call('two');
is("$r->{status} " . code($r), '502 upstream_credential', 'a wrong one');
$t->api(POST => "$base/apis/m/discover");
ok(wait_until(sub { ($t->api('GET', "$base/apis/m")->{json}{discovery}{error}
                     // '') =~ /no token.*401/ }, 20), 'discovery says why');

my %x = map { ($_ => $t->metrics->{"stoa_credentials_${_}_total"}) }
    qw(fetched failed);
cmp_ok($x{fetched}, '>', $x{failed}, 'fetches are counted');
cmp_ok($x{failed}, '>=', 13, 'and failures');
my $said = join '', (map { $t->api(GET => $_)->{body} } '/v1/dump',
    "$base/policies", '/v1/audit?limit=500', "$base/apis/m"),
    map { slurp($_) } glob($t->dir('*/logs/*.log')), glob($t->dir('*.out'));
unlike($said, qr/s3cret|tok-\d+-\d|$text/, 'told and logged nowhere');
$t->done;
