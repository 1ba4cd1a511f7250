#!/usr/bin/perl

# Two processes on one PostgreSQL read the same MCP servers at the same time:
# everything is found once.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Demo;
use Test::Stoa::MCP;

my $t = Test::Stoa->new(db => 'pg')->has('pg');
$t->control;
my $second = $t->port('second');
$t->start('second',
    argv => ["$Test::Stoa::OBJS/stoa-control", "--listen=127.0.0.1:$second",
             '--database=' . $t->database, '--log-level=info'],
    env => { $t->sanitizer_env('second') });
my $ready = wait_until {
    Test::Stoa::http_once($second, 'GET', '/health/ready')->{status} == 200
} 20;
ok($ready, 'two processes');

my $tools = 40;
my $port = $t->mcp_origin(tools => { map { ("t$_" => sub { 'x' }) }
                                     1 .. $tools });
$t->apply(demo(mcp => { map { ("m$_" => $port) } 1 .. 4 }));

# both jobs run each second; and both are asked at once

for my $round (1 .. 3) {
    my @pids = map {
        my ($at, $api) = @$_;
        my $pid = fork // die "fork: $!\n";
        if ($pid == 0) {
            my $r = Test::Stoa::http_once($at, 'POST',
                "/v1/tenants/acme/apis/m$api/discover", timeout => 30,
                headers => { Authorization => "Bearer $t->{token}" });
            POSIX::_exit($r->{status} == 200 ? 0 : 1);
        }
        $pid;
    } map { my $api = $_; map { [$_, $api] } $t->port('control'), $second }
        1 .. 4;
    my $bad = 0;
    for (@pids) { waitpid $_, 0; $bad++ if $?; }
    is($bad, 0, "round $round: all are answered");
}

for my $api (1 .. 4) {
    my $list = $t->must('GET', "/v1/tenants/acme/apis/m$api/tools?limit=500");
    is(scalar @{ $list->{items} }, $tools, "m$api: all tools, once");
}
my @made = grep { $_->{kind} eq 'tool' } map { @{ $_->{items} } }
    $t->must('GET', '/v1/audit?limit=500');
is(scalar @made, 4 * $tools, 'each is one event of the audit log');
is($t->must('GET', '/v1/audit/verify')->{ok} + 0, 1, 'which is whole');
unlike(slurp($t->dir("$_.out")), qr/cannot store/, "$_: no failure")
    for qw(control second);

$t->done;
