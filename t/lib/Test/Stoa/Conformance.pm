package Test::Stoa::Conformance;

# The public conformance suite of MCP, run against servers and, with a gateway
# between them, against clients.  Methods of Test::Stoa:
#
#   use Test::Stoa; use Test::Stoa::MCP; use Test::Stoa::Conformance;
#   my $run = $t->suite_server('2026-07-28', $url);      # starts it
#   my $result = $t->suite_result($run);                 # waits for it
#   $result->{'tools-list'}              # [checks passed, failed, unscored]
#
# ratchet(what, result, lacking): every scenario passes but those that are
# named in lacking, and those that are named fail: one that has begun to pass
# is taken off the list by whoever made it pass.

use strict;
use warnings;

use Test::More ();
use Test::Stoa::Base qw(wait_until slurp);
use Test::Stoa::Demo;

# what a revision asks for; the suite has a frozen list of the newer ones
our %SET = (
    '2026-07-28' => ['--requirements', '2026-07-28'],
    '2025-11-25' => ['--requirements', '2025-11-25'],
    '2025-06-18' => ['--spec-version', '2025-06-18', '--suite', 'all'],
);

my $runs = 0;


sub suite {
    my ($self, $mode, $more, %o) = @_;
    $self->has('conformance');
    my $dir = "$Test::Stoa::Base::PARTS/conformance";
    my $name = 'suite' . ++$runs;
    my $limit = ($o{limit} || 20_000) * $Test::Stoa::Base::SLOW;

    $self->start($name, foreign => 1,
        argv => ["$dir/bin/node",
                 "$dir/node_modules/\@modelcontextprotocol/conformance"
                 . '/dist/index.js', $mode, @$more,
                 '--timeout', $limit, '-o', $self->dir($name)],
        env => { NO_COLOR => 1, %{ $o{env} || {} } });
    return $name;
}

sub suite_server {
    my ($self, $set, $url, %o) = @_;
    return $self->suite('server', ['--url', $url, @{ $SET{$set} }], %o);
}

sub suite_result {
    my ($self, $name) = @_;
    my $text = suite_text($self, $name);
    my ($summary) = $text =~ /=== SUMMARY ===(.*)/s;
    my %result;
    $result{$1} = [$2, $3, 0] while ($summary // '') =~
        m{^\W+ ([\w/.-]+): (\d+) passed, (\d+) failed}mg;
    $result{$1}[2] = 1 while ($summary // '') =~
        m{^\W+ ([\w/.-]+) \((?:extension|pending|added-after-release)\)}mg;
    return \%result;
}

sub suite_text {
    my ($self, $name) = @_;
    wait_until { !$self->alive($name) } 300
        or $self->give_up("$name did not end");
    return slurp($self->dir("$name.out"));
}


# A scenario for clients: the suite is the upstream, the Go SDK's client asks
# the gateway (t/lib/suite-client.pl, between the two); or directly.

sub suite_client {
    my ($self, $version, $scenario, %o) = @_;
    my $era = $o{legacy} ? 'l' : 'k';
    my $client = "$Test::Stoa::Base::PARTS/conformance/bin/everything-client";
    return $self->suite('client', ['--scenario', $scenario, '--spec-version',
        $version, '--command', $o{direct} ? $client
        : "perl $Test::Stoa::Base::ROOT/t/lib/suite-client.pl"],
        env => { STOA_SUITE => join ' ',
            $self->port('control'), $self->{token}, $self->port('front'),
            $client, $era });
}

sub suite_client_result {
    my ($self, $name) = @_;
    my $text = suite_text($self, $name);
    return $text =~ m{^Passed: (\d+)/\d+, (\d+) failed}m
        ? [$1, $text =~ /OVERALL: PASSED/ ? 0 : $2 || 1, 0] : [0, 1, 0];
}


sub passed {
    my ($result) = @_;
    my @n = map { my $un = $_; my @r = grep { $_->[2] == $un } values %$result;
        (scalar(grep { !$_->[1] } @r), scalar @r) } 0, 1;
    return "$n[0] of $n[1] scenarios"
        . ($n[3] ? ", and $n[2] of $n[3] that are not scored" : '');
}

sub ratchet {
    my ($what, $result, $lacking) = @_;
    my @fails = sort grep { $result->{$_}[1] } keys %$result;
    my @bad = grep { !$lacking->{$_} } @fails;
    my @good = sort grep { !$result->{$_} || !$result->{$_}[1] }
        keys %$lacking;

    Test::More::is("@bad", '', "$what: what fails is known");
    Test::More::is("@good", '', "$what: what is known fails (else take it "
        . 'off the list)');
}


# The gateway as the suite finds it: tenants with one upstream each, whose
# tools have their own names in the bundle "all", behind a bare nginx that
# adds the key, as the suite sends none.  suite_gateway(tenant => port, ...)
# returns the urls; { port => port, open => 1 }: without a key, on an open plan.

sub suite_gateway {
    my ($self, %port) = @_;

    $self->control;
    $self->write_file('front/nginx.conf', $self->bare_conf(<<'END',
        # a client that speaks both eras is kept to the older one
        location ~ ^/l(/.*)$ {
            if ($http_mcp_method = server/discover) { return 404; }
            rewrite ^/l(/.*)$ /k$1 last;
        }
        # for callers without one
        location ~ ^/o(/.*)$ {
            proxy_pass http://127.0.0.1:%%PORT_gw%%/mcp$1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection '';
            proxy_http_version 1.1;
            proxy_buffering off;
        }
        location ~ ^/k/([^/]+)(/.*)$ {
            proxy_pass http://127.0.0.1:%%PORT_gw%%/mcp$2;
            proxy_set_header X-API-Key $1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection '';
            proxy_http_version 1.1;
            proxy_buffering off;
        }
END
        name => 'front'));
    mkdir $self->dir('front/logs');
    $self->start_nginx('front');
    $self->gateway(workers => 2);
    my %url = map { ($_ => suite_url($self, $_, $port{$_})) } sort keys %port;
    $self->sync;
    return %url;
}

# Through any object that has api() and port().

sub suite_url {
    my ($self, $tenant, $port) = @_;
    my $front = $self->port('front');
    my $base = "/v1/tenants/$tenant";
    my $apply = sub {
        my $r = $self->api('POST', '/v1/apply?wait=10s', join('', @_),
            headers => { 'Content-Type' => 'application/yaml' });
        die "apply: $r->{status} $r->{body}\n" unless $r->{status} == 200;
    };

    $port = { port => $port } unless ref $port;
    # what hangs ends before the suite does
    $apply->(demo(tenant => $tenant, mcp => { up => { %$port, upstream =>
            "  read_timeout_ms: 6000\n" } }),
        document('Policy', $tenant, 'web', "type: cors\nconfig: { origins: ["
            . "'http://127.0.0.1:$front', 'http://localhost:$front'] }\n"
            . "attach: [ { tenant: $tenant } ]\n"));
    wait_until { ($self->api('GET', "$base/apis/up")->{json}{discovery}{state}
                  // '') =~ /ok|failed/ } 15;
    my ($tools, $prompts) = map { join '', map { "\n  - { api: up, "
            . ($_->{prompt} ? "prompt: $_->{prompt}" : "tool: $_->{name}")
            . ' }' } @$_ }
        $self->api('GET', "$base/apis/up/tools?limit=500")->{json}{items}
            || [],
        [map { { prompt => $_->{name} } } @{ $self->api('GET',
            "$base/apis/up/prompts?limit=500")->{json}{items} || [] }];
    $apply->(document('Server', $tenant, 'all', "state: published\n"
            . ($port->{open} ? "open_plan: basic\n" : '') . "prefix: never\ntools: " . ($tools || '[]') . "\nprompts: "
            . ($prompts || '[]') . "\nresources: [ { api: up } ]\n"),
        subscribe($tenant, 'app', 'server', 'all', 'basic'));
    my $key = $self->api('POST', "$base/applications/app/credentials?wait=10s", {})
        ->{json}{key};
    return "http://127.0.0.1:$front/" . ($port->{open} ? 'o' : "k/$key")
        . "/$tenant/all";
}


for my $name (qw(suite suite_server suite_result suite_gateway suite_client
                 suite_client_result)) {
    no strict 'refs';
    *{"Test::Stoa::$name"} = \&$name;
}


1;
