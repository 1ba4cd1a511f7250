package Test::Stoa::Bench;

# What measurements have in common: both planes, cheap upstreams, a gateway
# and a bare nginx before the same upstreams, and the requests that are
# compared.
#
#   my $b = Test::Stoa::Bench->new($t);
#   Test::Stoa::Bench->new($t, shared => 1)   one more, with a Redis
#   $b->rows;      # { name, proc, path, method, headers, body, base, want }
#
# base names the row that a row is compared with.

use strict;
use warnings;

use Test::Stoa::Token;
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;
use Test::Stoa::Redis;

my $NS = 'io.modelcontextprotocol';

# what the upstreams answer: an API's small object, a tool's result, the
# session of the older protocol

my $ANSWER = '{"id":1,"note":"a small answer of a REST API, 110 bytes or so, '
    . 'as many are: number, text and nothing more"}';
my $RESULT = '{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete",'
    . '"content":[{"type":"text","text":"ok"}]}}';
my $SESSION = '{"jsonrpc":"2.0","id":"stoa-0","result":{"protocolVersion":'
    . '"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"up",'
    . '"version":"1"}}}';


sub new {
    my ($class, $t, %o) = @_;
    my $self = bless { t => $t, rest => $t->port('rest'),
                       opa => $t->port('opa') }, $class;

    $t->control;
    $self->{mcp} = $self->discovered;
    $self->upstreams;
    $t->gateway(server => '', level => 'error', location => $o{location},
        http => "stoa_opa opa http://127.0.0.1:$self->{opa};\n"
            . "keepalive_requests 100000000;\naccess_log off;\n");
    if ($o{shared}) {
        $self->{redis} = Test::Stoa::Redis->new($t, 'redis');
        $t->gateway(name => 'shared', server => '', level => 'error',
            location => $o{location}, http => "stoa_redis "
            . $self->{redis}->address . " timeout=1s;\n"
            . "keepalive_requests 100000000;\naccess_log off;\n");
    }
    $self->{key} = { map { $_ => $t->key('acme', $_) } qw(app heavy) };
    $self->{large} = $t->key('large', 'app');
    $self->{across} = $t->key('modern', 'app');
    $self->{back} = $t->key('legacy', 'app');
    $t->sync;
    $t->sync('shared') if $o{shared};

    $self->{list} = $t->mcp('/mcp/acme', 'tools/list', undef,
                            key => $self->{key}{app});
    my $n = @{ $self->{list}{rpc}{result}{tools} || [] };
    die "tools/list: $self->{list}{status} $self->{list}{body}\n"
        unless $n == 100;
    $self->{page} = $t->mcp('/mcp/large', 'tools/list', undef,
                            key => $self->{large});
    die "tools/list: $self->{page}{status}\n"
        unless $self->{page}{rpc}{result}{nextCursor};
    $self->bare;
    return $self;
}


# A real MCP server for discovery, which a cheaper one then replaces.

sub discovered {
    my ($self) = @_;
    my $t = $self->{t};
    my $port = $t->mcp_origin(name => 'mcpup',
        tools => { echo => sub { 'ok' },
                   map { (sprintf('tool_%03d', $_) => sub { 'ok' }) }
                       1 .. 99 });

    $t->apply(demo(rest => { kept => { port => $self->{rest}, path => '/kept' },
                   map { $_ => $self->{rest} } qw(rest known asked chain) },
        mcp => { m => $port },
        plan => "rate: 10000000\nper_ms: 1000\nburst: 1000000\n"));
    $t->apply(document('Plan', 'acme', 'full', "rate: 10000000\n"
        . "per_ms: 1000\nburst: 1000000\nquota_day: 1000000000\n"
        . "quota_month: 1000000000\nconcurrency: 1000\n")
        . document('Application', 'acme', 'heavy')
        . $self->issuer . judged('known', 300_000) . judged('asked', 0)
        . chain() . document('Policy', 'acme', 'kept', "type: cache\n"
            . "config: {shared: true}\nattach: [{api: kept}]\n")
        . subscribe('acme', 'heavy', 'api', 'rest', 'full')
        . subscribe('acme', 'heavy', 'api', 'm', 'full'));
    wait_until {
        ($t->api('GET', '/v1/tenants/acme/apis/m')->{json}{discovery}{state}
            // '') eq 'ok'
    } 30 or die "the MCP upstream was not discovered\n";
    $t->stop('mcpup');
    $self->large;
    $self->one_era('modern');
    $self->one_era('legacy', sessions => 1);
    return $port;
}

# What a rule of OPA decides, once or each time.

sub judged {
    my ($api, $ms) = @_;
    return document('Policy', 'acme', "opa-$api", "type: opa\n"
        . "config: {agent: opa, path: a/allow, cache_ms: $ms, "
        . "deadline_ms: 10000}\nattach: [{api: $api}]\n");
}

# Eight policies that look at what is there anyway.

sub chain {
    my %of = ('ip-filter' => '{allow: [127.0.0.0/8, 10.0.0.0/8]}',
        'user-agent' => '{deny: ["*evilbot*"]}',
        'request-shape' => '{methods: [GET, POST], max_headers: 50}',
        'body-limit' => '{max_bytes: 1000000}', cost => '{cost: 2}',
        'rate-limit' => '{rate: 100000000, by: [application]}',
        'result-limit' => '{max_bytes: 1000000}',
        headers => '{response_set: [{name: X-Served-By, value: gw}]}');
    return join '', map { document('Policy', 'acme', "chain-$_",
        "type: $_\nconfig: $of{$_}\nattach: [{api: chain}]\n") }
        sort keys %of;
}

# One that speaks 2026-07-28 alone, for clients with sessions, and one with
# sessions alone, for those of 2026-07-28.

sub one_era {
    my ($self, $era, %o) = @_;
    my $t = $self->{t};
    $self->{$era} = $t->mcp_origin(name => "mcp$era", era => $era, %o);

    $t->apply(demo(tenant => $era, mcp => { m => $self->{$era} }));
    wait_until {
        ($t->api('GET', "/v1/tenants/$era/apis/m")->{json}{discovery}{state}
            // '') eq 'ok'
    } 60 or die "the $era MCP upstream was not discovered\n";
    $t->stop("mcp$era");
}

# A token as Keycloak makes them, about a kilobyte, of the application "app".

sub issuer {
    my ($self) = @_;
    my $key = token_key($self->{t}, 'bench', 'RS256');
    $self->{token} = token($key, claims('https://idp.example/a', 'bench',
        exp => time + 86_400, jti => 'x' x 36, sid => 'y' x 36,
        realm_access => { roles => [qw(offline_access uma_authorization
                                       default-roles-acme)] },
        scope => 'openid profile email', preferred_username => 'alice',
        email => 'alice@acme.example'));
    return document('Issuer', 'acme', 'bench', json_encode({
        issuer => 'https://idp.example/a', jwks => jwks($key),
        audiences => ['bench'], application => 'app',
        claims => { roles => '/realm_access/roles' } }));
}

# 5,000 tools, which are listed in pages of 500.

sub large {
    my ($self) = @_;
    my $t = $self->{t};
    my $port = $t->mcp_origin(name => 'mcplarge', tools => {
        map { (sprintf('tool_%04d', $_) => sub { 'ok' }) } 1 .. 5000 });

    $t->apply(demo(tenant => 'large', mcp => { m => $port }));
    wait_until {
        ($t->api('GET', '/v1/tenants/large/apis/m')->{json}{discovery}{state}
            // '') eq 'ok'
    } 60 or die "the large MCP upstream was not discovered\n";
    $t->stop('mcplarge');
}

sub upstreams {
    my ($self) = @_;
    my $t = $self->{t};
    my $user = $> == 0 ? 'user root;' : '';

    my $server = sub {
        my ($port, $text) = @_;
        return "server { listen 127.0.0.1:$port reuseport; "
            . "keepalive_requests 100000000; access_log off; location / { "
            . "default_type application/json; client_body_buffer_size 64k; "
            . "$text } }\n";
    };
    $t->write_file('up/nginx.conf', <<"END");
$user
daemon off; worker_processes 1; pid nginx.pid; error_log logs/error.log;
events { worker_connections 1024; }
http {
@{[ $server->($self->{rest}, "return 200 '$ANSWER'; location /kept { "
    . "add_header Cache-Control max-age=86400; return 200 '$ANSWER'; }") ]}
@{[ $server->($self->{opa}, q(return 200 '{"result":true}';)) ]}
@{[ $server->($self->{modern}, "return 200 '$RESULT';") ]}
@{[ $server->($self->{legacy}, 'if ($http_mcp_session_id = "") { '
    . "add_header Mcp-Session-Id up-2; return 200 '$SESSION'; } "
    . "return 200 '$RESULT';") ]}
@{[ $server->($self->{mcp}, 'if ($http_mcp_session_id = "") { set $a i; } '
    . 'if ($http_mcp_protocol_version = "2026-07-28") { set $a m; } '
    . 'if ($a = i) { add_header Mcp-Session-Id up-1; '
    . "return 200 '$SESSION'; } return 200 '$RESULT';") ]}
}
END
    $t->start_nginx('up');
}


# The same upstreams and the same list behind nginx alone.

sub bare {
    my ($self) = @_;
    my $t = $self->{t};

    $t->write_file('bare/nginx.conf', $t->bare_conf(<<"END", name => 'bare',
        location / { proxy_pass http://rest; }
        location /mcp { proxy_pass http://mcp; }
        location /list { default_type application/json;
                         @{[ returns($self->{list}{body}) ]} }
        location /page { default_type application/json;
                         @{[ returns($self->{page}{body}) ]} }
END
        http => $self->bare_http, level => 'error'));
    $t->start_nginx('bare');
}

sub bare_http {
    my ($self) = @_;
    return <<"END";
    keepalive_requests 100000000;
    access_log off;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream rest { server 127.0.0.1:$self->{rest}; keepalive 64; }
    upstream mcp { server 127.0.0.1:$self->{mcp}; keepalive 64; }
END
}

# nginx takes 4,096 bytes in one parameter.

sub returns {
    my ($text) = @_;
    my ($sets, $names, $i) = ('', '', 0);

    $text =~ s/\$//g;
    for my $piece ($text =~ /.{1,3000}/sg) {
        $piece =~ s/([\\'])/\\$1/g;
        $sets .= "set \$part" . ++$i . " '$piece';\n";
        $names .= "\${part$i}";
    }
    return "${sets}return 200 $names;";
}


sub rows {
    my ($self) = @_;
    my $t = $self->{t};
    my ($app, $heavy) = @{ $self->{key} }{qw(app heavy)};
    my %meta = (_meta => { "$NS/protocolVersion" => '2026-07-28',
                           "$NS/clientCapabilities" => {} });
    my $body = sub {
        my ($method, %params) = @_;
        return json_encode({ jsonrpc => '2.0', id => 1, method => $method,
                             params => \%params });
    };
    my %call = (name => 'm__echo', arguments => { id => 7 });
    my @mcp = ('Content-Type' => 'application/json',
               Accept => 'application/json, text/event-stream');
    my @modern = (@mcp, 'MCP-Protocol-Version' => '2026-07-28');
    my @call = (@modern, 'Mcp-Method' => 'tools/call');
    my @list = (@modern, 'Mcp-Method' => 'tools/list');
    my @token = (Authorization => "Bearer $self->{token}");
    my ($sid) = $t->mcp_session('/mcp/acme', key => $app);
    my ($bridged) = $t->mcp_session('/mcp/modern', key => $self->{across});
    my @legacy = (@mcp, 'MCP-Protocol-Version' => '2025-11-25',
                  'Mcp-Session-Id' => $sid, 'X-API-Key' => $app);
    my ($rest, $tool) = ('bare proxy_pass, REST',
                         'bare proxy_pass, tools/call');
    my $bare_list = 'bare return of the list';
    my $bare_page = 'bare return of a page of 500 tools';
    my $api = '/apis/acme/rest/x';

    # name, process, path, headers, body of a POST, compared with
    my @rows = (
        ['bare return', 'bare', '/list', []],
        [$rest, 'bare', '/x', []],
        ['stoa REST: key, subscription, rate, usage', 'gw', $api,
         ['X-API-Key' => $app], undef, $rest],
        ['stoa REST: and quotas, concurrency', 'gw', $api,
         ['X-API-Key' => $heavy], undef, $rest],
        $self->{redis} ? ['stoa REST: the same, shared by Redis', 'shared',
            $api, ['X-API-Key' => $heavy], undef,
            'stoa REST: and quotas, concurrency'] : (),
        ['stoa REST: a decision of OPA that is known', 'gw',
         '/apis/acme/known/x', ['X-API-Key' => $app], undef,
         'stoa REST: key, subscription, rate, usage'],
        ['stoa REST: OPA is asked', 'gw', '/apis/acme/asked/x',
         ['X-API-Key' => $app], undef,
         'stoa REST: key, subscription, rate, usage'],
        ['stoa REST: eight policies more', 'gw', '/apis/acme/chain/x',
         ['X-API-Key' => $app], undef,
         'stoa REST: key, subscription, rate, usage'],
        ['stoa REST: a hit of the cache', 'gw', '/apis/acme/kept/x',
         ['X-API-Key' => $app], undef, $rest],
        ["$rest, with a token", 'bare', '/x', \@token],
        ['stoa REST: a token that is known', 'gw', $api, \@token, undef,
         "$rest, with a token"],
        ['stoa REST refused: no key', 'gw', $api, [], undef, $rest],
        ['stoa REST refused: wrong checksum', 'gw', $api,
         ['X-API-Key' => $app . '0'], undef, $rest],
        [$tool, 'bare', '/mcp', [@call, 'Mcp-Name' => 'echo'],
         $body->('tools/call', %call, %meta)],
        ['stoa tools/call, 2026-07-28', 'gw', '/mcp/acme',
         [@call, 'Mcp-Name' => 'm__echo', 'X-API-Key' => $app],
         $body->('tools/call', %call, %meta), $tool],
        ['stoa tools/call, 2025-11-25', 'gw', '/mcp/acme', \@legacy,
         $body->('tools/call', %call), $tool],
        ['stoa tools/call, 2025-11-25 before 2026-07-28', 'gw', '/mcp/modern',
         [@mcp, 'MCP-Protocol-Version' => '2025-11-25', 'Mcp-Session-Id' =>
          $bridged, 'X-API-Key' => $self->{across}],
         $body->('tools/call', %call), 'stoa tools/call, 2025-11-25'],
        ['stoa tools/call, 2026-07-28 before 2025-11-25', 'gw', '/mcp/legacy',
         [@call, 'Mcp-Name' => 'm__echo', 'X-API-Key' => $self->{back}],
         $body->('tools/call', %call, %meta), 'stoa tools/call, 2026-07-28'],
        ["$tool, with a token", 'bare', '/mcp',
         [@call, 'Mcp-Name' => 'echo', @token],
         $body->('tools/call', %call, %meta)],
        ['stoa tools/call, a token that is known', 'gw', '/mcp/acme',
         [@call, 'Mcp-Name' => 'm__echo', @token],
         $body->('tools/call', %call, %meta), "$tool, with a token"],
        [$bare_list, 'bare', '/list', \@list, $body->('tools/list', %meta)],
        ['stoa tools/list, 2026-07-28', 'gw', '/mcp/acme',
         [@list, 'X-API-Key' => $app], $body->('tools/list', %meta),
         $bare_list],
        ['stoa tools/list, 2025-11-25', 'gw', '/mcp/acme', \@legacy,
         $body->('tools/list'), $bare_list],
        [$bare_page, 'bare', '/page', \@list, $body->('tools/list', %meta)],
        ['stoa tools/list of 5,000, a page', 'gw', '/mcp/large',
         [@list, 'X-API-Key' => $self->{large}],
         $body->('tools/list', %meta), $bare_page],
    );
    return map {
        my %row;
        @row{qw(name proc path headers body base)} = @$_;
        $row{method} = defined $row{body} ? 'POST' : 'GET';
        $row{want} = $row{name} =~ /refused/ ? 401 : 200;
        \%row;
    } @rows;
}


# ---- the same work by others: rows, none where the program is not there ---

sub row_rest {
    my ($self, $name, $proc, $path) = @_;
    return { name => $name, proc => $proc, path => $path, method => 'GET',
             headers => ['X-API-Key' => $self->{key}{app}], want => 200,
             base => 'bare proxy_pass, REST' };
}

sub protect {
    my ($self) = @_;
    my $t = $self->{t};

    $t->register('protect', 'default');
    $t->gateway(name => 'protect', http => $self->bare_http, level => 'error',
        conf => $t->template(name => 'protect', http => $self->bare_http,
            level => 'error', server => <<'END'));
        location /x { stoa_protect tenant=acme api=rest;
                      proxy_pass http://rest; }
END
    return $self->row_rest('stoa_protect before proxy_pass', 'protect', '/x');
}

# A key known by a map, a subscription by another, a rate and what was used
# by a stick table; an id for the request and the rate in the answer.

sub haproxy {
    my ($self) = @_;
    my $t = $self->{t};
    my $bin = "$Test::Stoa::PARTS/haproxy/bin/haproxy";
    return unless -x $bin;

    $t->write_file('haproxy/keys.map', "$self->{key}{app} app\n"
        . join '', map { "other-key-$_ app-$_\n" } 1 .. 999);
    $t->write_file('haproxy/plans.map', "app.rest basic\n");
    $t->write_file('haproxy/haproxy.cfg', <<"END");
global
    nbthread 1
    maxconn 1024
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 2s
    option forwardfor
    http-reuse always
frontend in
    bind 127.0.0.1:%%PORT_haproxy%%
    unique-id-format %{+X}o%ci%cp%fi%fp%Ts%rt
    unique-id-header X-Request-Id
    http-request set-var(txn.app) req.hdr(x-api-key),map(%%DIR%%/haproxy/keys.map)
    http-request deny deny_status 401 unless { var(txn.app) -m found }
    http-request set-var(txn.sub) var(txn.app),concat(.rest)
    http-request set-var(txn.plan) var(txn.sub),map(%%DIR%%/haproxy/plans.map)
    http-request deny deny_status 403 unless { var(txn.plan) -m found }
    http-request track-sc0 var(txn.sub) table usage
    http-request deny deny_status 429 if { sc0_http_req_rate(usage) gt 10000000 }
    http-request del-header X-API-Key
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request replace-path /apis/acme/rest(.*) \\1
    http-response set-header X-Request-Id %[unique-id]
    http-response set-header RateLimit "\\"rate\\";r=%[sc0_http_req_rate(usage)]"
    default_backend rest
backend usage
    stick-table type string len 40 size 100k store http_req_rate(1s),http_req_cnt,bytes_in_cnt,bytes_out_cnt
backend rest
    server up 127.0.0.1:$self->{rest} pool-max-conn 64
END
    $t->start('haproxy', foreign => 1, argv => [$bin, '-db', '-q', '-f',
        $t->dir('haproxy/haproxy.cfg')]);
    return $self->when_up($self->row_rest('HAProxy: key map, stick table',
                                          'haproxy', '/apis/acme/rest/x'));
}

sub envoy {
    my ($self) = @_;
    my $t = $self->{t};
    my $bin = "$Test::Stoa::PARTS/envoy/bin/envoy";
    return unless -x $bin;

    my $http = 'type.googleapis.com/envoy.extensions.filters.http';
    my $net = 'type.googleapis.com/envoy.extensions.filters.network';
    $t->write_file('envoy/envoy.yaml', <<"END");
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: %%PORT_envoy%% } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "\@type": $net.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          codec_type: HTTP1
          use_remote_address: true
          always_set_request_id_in_response: true
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: { prefix: "/apis/acme/rest/" }
                route: { cluster: rest, prefix_rewrite: "/" }
          http_filters:
          - name: envoy.filters.http.api_key_auth
            typed_config:
              "\@type": $http.api_key_auth.v3.ApiKeyAuth
              credentials:
              - { key: "$self->{key}{app}", client: app }
              key_sources: [ { header: x-api-key } ]
              forwarding: { header: x-client, hide_credentials: true }
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "\@type": $http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: rate
              enable_x_ratelimit_headers: DRAFT_VERSION_03
              token_bucket: { max_tokens: 10000000, tokens_per_fill: 10000000, fill_interval: 1s }
              filter_enabled: { default_value: { numerator: 100 } }
              filter_enforced: { default_value: { numerator: 100 } }
          - name: envoy.filters.http.router
            typed_config: { "\@type": $http.router.v3.Router }
  clusters:
  - name: rest
    type: STATIC
    load_assignment:
      cluster_name: rest
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: $self->{rest} } } }
END
    $t->start('envoy', foreign => 1, argv => [$bin, '--concurrency', '1',
        '--disable-hot-restart', '--log-level', 'error', '-c',
        $t->dir('envoy/envoy.yaml')]);
    return $self->when_up($self->row_rest('Envoy: API key, local rate limit',
                                          'envoy', '/apis/acme/rest/x'));
}

sub when_up {
    my ($self, $row) = @_;
    wait_until { $self->{t}->connection(gateway => $row->{proc}) } 20
        or die "$row->{proc}: ", slurp($self->{t}->dir("$row->{proc}.out"));
    return $row;
}


# Correct before fast: dies unless a row's answer is the one it stands for.

sub checked {
    my ($self, $row) = @_;
    my $c = $self->{t}->connection(gateway => $row->{proc});
    my $r = request($c, $row);
    $c->close;
    die "$row->{name}: $r->{status} $r->{body}\n"
        if $r->{status} != $row->{want} || $r->{body} =~ /"error"/;
    return $row;
}

sub request {
    my ($c, $row) = @_;
    return $c->request($row->{method}, $row->{path}, keepalive => 1,
        headers => $row->{headers},
        defined $row->{body} ? (body => $row->{body}) : ());
}


1;
