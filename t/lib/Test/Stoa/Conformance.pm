package Test::Stoa::Conformance;

# The public conformance suite of MCP, run against servers and, with a gateway
# between them, against clients.  Methods of Test::Stoa:
#
#   use Test::Stoa; use Test::Stoa::MCP; use Test::Stoa::Conformance;
#   my $run = $t->suite_server('2026-07-28', $port);     # starts it
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
    my $limit = ($o{limit} || 8000) * $Test::Stoa::Base::SLOW;

    $self->start($name, foreign => 1,
        argv => ["$dir/bin/node",
                 "$dir/node_modules/\@modelcontextprotocol/conformance"
                 . '/dist/index.js', $mode, @$more,
                 '--timeout', $limit, '-o', $self->dir($name)],
        env => { NO_COLOR => 1, %{ $o{env} || {} } });
    return $name;
}

sub suite_server {
    my ($self, $set, $port, $path, %o) = @_;
    return $self->suite('server', ['--url', "http://127.0.0.1:$port"
        . ($path // '/mcp'), @{ $SET{$set} }], %o);
}

sub suite_result {
    my ($self, $name) = @_;
    wait_until { !$self->alive($name) } 300
        or $self->give_up("$name did not end");
    my ($summary) = slurp($self->dir("$name.out")) =~ /=== SUMMARY ===(.*)/s;
    my %result;
    $result{$1} = [$2, $3, 0] while ($summary // '') =~
        m{^\W+ ([\w/.-]+): (\d+) passed, (\d+) failed}mg;
    $result{$1}[2] = 1 while ($summary // '') =~
        m{^\W+ ([\w/.-]+) \((?:extension|pending|added-after-release)\)}mg;
    return \%result;
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


# The gateway as the suite finds it: a tenant with one upstream, whose tools
# have their own names in the bundle /mcp/<tenant>/all, behind a bare nginx
# that adds the key, as the suite sends none.  ->suite_gateway(tenant => port)

sub suite_gateway {
    my ($self, %port) = @_;
    my $front = $self->port('front');
    my $cors = "type: cors\nconfig: { origins: ['http://127.0.0.1:$front', "
        . "'http://localhost:$front'] }\nattach: [ { server: all } ]\n";

    $self->apply(join '', map { demo(tenant => $_,
        mcp => { up => $port{$_} }) } sort keys %port);
    for my $tenant (sort keys %port) {
        my $path = "/v1/tenants/$tenant/apis/up";
        wait_until { ($self->api('GET', $path)->{json}{discovery}{state}
                      // '') eq 'ok' } 30
            or $self->give_up("$tenant was not discovered");
        my $tools = $self->api('GET', "$path/tools?limit=500")->{json}{items};
        $self->apply(document('Server', $tenant, 'all', "state: published\n"
            . "prefix: never\ntools:\n" . join '', map {
                "  - { api: up, tool: $_->{name} }\n" } @$tools)
            . document('Policy', $tenant, 'web', $cors)
            . subscribe($tenant, 'app', 'server', 'all', 'basic'));
    }
    $self->gateway(workers => 2);
    my $locations = join '', map { "        location /$_ {
            proxy_pass http://127.0.0.1:%%PORT_gw%%/mcp/$_/all;
            proxy_set_header X-API-Key " . $self->key($_, 'app') . ";
            proxy_set_header Host \$http_host;
            proxy_set_header Connection '';
            proxy_http_version 1.1;
            proxy_buffering off;
        }\n" } sort keys %port;
    $self->write_file('front/nginx.conf', $self->bare_conf($locations,
        name => 'front'));
    mkdir $self->dir('front/logs');
    $self->start_nginx('front');
    $self->sync;
    return $front;
}


for my $name (qw(suite suite_server suite_result suite_gateway)) {
    no strict 'refs';
    *{"Test::Stoa::$name"} = \&$name;
}


1;
