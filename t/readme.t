#!/usr/bin/perl

# What the README tells a person to paste works when it is pasted.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new->has('module', 'control', 'stoactl', 'curl',
                             'python');
$t->control;

my $root = $Test::Stoa::ROOT;
my $readme = slurp("$root/README.md");
my $control = $t->port('control');
my $demo = slurp("$root/conf/demo.yaml");
$demo =~ s/127\.0\.0\.1:8400/127.0.0.1:$control/g;
my $echo = $t->port('echo');
$demo =~ s/127\.0\.0\.1:8500/127.0.0.1:$echo/g;
$t->start('echo', argv => ["$root/conf/echo.pl", "127.0.0.1:$echo"],
          foreign => 1);
wait_until { $t->get('/', port => $echo)->{status} } 10;
$t->apply($demo);
$t->must('POST', '/v1/tenants/acme/apis/tools/discover', undef,
         timeout => 30);
$t->gateway;

my $gateway = 'http://127.0.0.1:' . $t->port('gw');
my %env = (
    GATEWAY_URL => $gateway, CONTROL_URL => $t->control_url,
    ADMIN_TOKEN => $t->{token}, DEMO_KEY => $t->key('acme', 'demo'),
    STOA_URL => $t->control_url, STOA_TOKEN => $t->{token},
    MCP_URL => "$gateway/mcp/acme", REST_URL => "$gateway/apis/acme/echo",
    no_proxy => '127.0.0.1', STOA_CONFIG => $t->dir('stoactl.yaml'),
);
$t->sync;

# The indented blocks, each from its first line to the next text.

my @blocks;
for my $part (split /\n(?=[^ \n])/, $readme) {
    push @blocks, $1 =~ s/^    //mgr while $part =~ /((?:^ {4}.*\n|^\n)+)/mg;
}
sub block { my ($re) = @_; my ($b) = grep { $_ =~ $re } @blocks;
            return $b // '' }

sub shell {
    my ($script) = @_;
    $script =~ s/^set -a; \. var\/demo\.env$//m;
    $script =~ s{objs/}{$Test::Stoa::OBJS/}g;
    return $t->run_cmd(['sh', '-e', $t->write_file('paste.sh', $script)],
                       env => \%env, cwd => $root, timeout => 90);
}

my ($code, $out, $err) = shell(block(qr/REST_URL\/hello/));
is($code, 0, 'the first call');
is(json_decode($out)->{query}, 'name=world', 'answers');

($code, $out) = shell(block(qr/"method":"tools\/list"/));
ok((grep { $_->{name} eq 'tools__stoa_catalog_search' }
    @{ json_decode($out)->{result}{tools} }), 'MCP with curl');

my $python = block(qr/^import asyncio/m);
($code, $out, $err) = $t->run_cmd(
    ["$Test::Stoa::PARTS/python/venv/bin/python",
     $t->write_file('paste.py', $python)], env => \%env, timeout => 60);
like($out, qr/'tools__stoa_catalog_search'/, 'MCP with the Python SDK')
    or diag($err);

($code, $out, $err) = shell(block(qr/stoactl apply/) . 'echo; echo $KEY');
is($code, 0, 'an API by one YAML file');
unlike($err, qr/stoactl/, 'without a complaint');
like($out, qr/Api shop\/orders\n.*revision \d+\n.*gateway gw: /s,
     'which the gateway has');
my ($key) = $out =~ /^(stoa_live_\w+)$/m;
ok($key, 'and a key');
my $status;
wait_until {              # a key is in force some ms after it was made
    $status = $t->get('/apis/shop/orders/x', key => $key)->{status};
    $status != 401;
} 5;
is($status, 502, 'whose upstream is not there yet');

# the shipped examples, with upstreams

my $port = $t->origin;
for my $file (qw(rest-api mcp-server)) {
    my $yaml = slurp("$root/conf/examples/$file.yaml");
    $yaml =~ s/127\.0\.0\.1:900\d/127.0.0.1:$port/;
    $t->apply($yaml);
}
$t->sync;
is($t->get('/apis/shop/orders/orders/5', key => $key)->{json}{path},
   '/orders/5', 'the REST example reaches its upstream');

# the page on publishing: its documents, as they are, and the line between

my $page = slurp("$root/docs/publish.md");
my @yaml = $page =~ /^```yaml\n(.*?)^```/msg;
is(scalar @yaml, 3, 'documents in docs/publish.md');
s/127\.0\.0\.1:9000/127.0.0.1:$port/ for @yaml;
$t->apply(join "---\n", map { "apiVersion: stoa/v1\nkind: Tenant\n"
    . "metadata: {name: $_}\n" } qw(team-a team-b));
$t->apply($_) for @yaml;
my ($waits) = map { $_->{id} } @{ $t->must(GET =>
    '/v1/tenants/labs/subscriptions?state=pending')->{items} };
($code, $out, $err) = shell(join '', map { "objs/$_\n" =~ s/ID/$waits/r }
      $page =~ /^    (stoactl (?:get|subscription).*)\n/mg);
is($code, 0, 'what the publisher does') or diag($err);
my %team = (web => $t->key('team-a', 'web'),
            crawler => $t->key('team-b', 'crawler'));
$t->sync;
for my $app (sort keys %team) {
    my $r = $t->get('/apis/labs/search/x', key => $team{$app},
                    headers => { Origin => 'https://app.example.com' });
    is($r->{json}{path}, '/x', "$app calls");
    is($r->{headers}{'access-control-allow-origin'},
       'https://app.example.com', 'also from the page');
}

$t->done;
