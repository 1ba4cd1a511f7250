#!/usr/bin/perl

# "make run" and "make stop": conf/run.sh in a folder and on ports of its own.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new->has('module', 'control', 'stoactl', 'curl');
my $var = $t->dir('var');
my %env = (
    STOA_VAR => $var, STOA_PORT => $t->port('gw'),
    STOA_CONTROL_PORT => $t->port('control'),
    STOA_ECHO_PORT => $t->port('echo'),
    OBJS => $Test::Stoa::OBJS, STOA_NGINX => $t->{nginx},
);
my @run = ('/bin/sh', "$Test::Stoa::ROOT/conf/run.sh");
my $n = 0;

# A sanitizer's runtime is preloaded into nginx alone.
if (my %asan = $t->sanitizer_env('run', 1)) {
    my $preload = delete $asan{LD_PRELOAD};
    %env = (%env, %asan);
    $env{STOA_NGINX} = $t->write_file('nginx', "#!/bin/sh\n"
        . "LD_PRELOAD='$preload' exec $t->{nginx} \"\$@\"\n", 0755);
}

sub run {
    my $name = 'run' . ++$n;
    $t->start($name, argv => [@run], env => \%env, exit => [0, 130, 143]);
    my $ok = wait_until {
        !$t->alive($name) || slurp($t->dir("$name.out")) =~ /^STOA is runn/m
    } 60;
    ok($t->alive($name), "$name is up") or do {
        diag(slurp($t->dir("$name.out")));
        $t->done;
        exit 1;
    };
    # all of it is printed at once, a moment later at most
    wait_until { slurp($t->dir("$name.out")) =~ /kill -9 \d+\s*\z/ } 5;
    return $name;
}

sub env_file { my %e; my $text = slurp("$var/demo.env");
               $e{$1} = $2 while $text =~ /^(\w+)='(.*)'$/mg; return \%e }

sub call {
    my ($key) = @_;
    return $t->get('/apis/acme/echo/x', key => $key)->{status};
}

# processes whose working folder is one of ours
sub left { return grep { (readlink("$_/cwd") // '')
                         =~ m{^\Q$var\E/(?:control|gateway|echo)$} }
                  glob '/proc/[0-9]*' }


my $name = run();
my $e = env_file();
is_deeply([ sort keys %$e ], [qw(ADMIN_TOKEN CONTROL_URL DEMO_KEY GATEWAY_URL
    MCP_URL REST_URL STOA_TOKEN STOA_URL)], 'demo.env');
is(((stat "$var/demo.env")[2]) & 0777, 0600, 'is for its owner only');
is(call($e->{DEMO_KEY}), 200, 'the key works');
is(call(undef), 401, 'without it, 401');

# the printed lines, as they are
my $printed = slurp($t->dir("$name.out"));
my @curl = grep { /^curl/ } map { s/^  //r } split /\n\n/, $printed;
ok(@curl >= 5, 'lines to paste: ' . @curl);
for my $line (@curl) {
    my ($code, $out, $err) = $t->run_cmd(['/bin/sh', '-c', $line]);
    is($code, 0, 'pasted');
    unlike($out, qr/"error"/, 'and answered') or diag("$line\n$out");
    like($out, qr/401/, 'with 401') if $line =~ /^curl -i/;
    like($out, qr/demo__add.*tools__stoa_catalog_search/, 'with tools')
        if $line =~ /tools.list/;
    like($out, qr/"text":"42"/, 'that can add') if $line =~ /tools.call/;
    like($out, qr/"path":"\/hello".*"query":"name=world"/, 'as it was sent')
        if $line =~ /name=world/;
    like($out, qr/"resultType":"complete"/, 'with a result')
        if $line =~ /jsonrpc/;
}
my ($line) = grep { /^STOA_URL/ } map { s/^  //r } split /\n\n/, $printed;
my ($code, $out) = $t->run_cmd(['/bin/sh', '-c', $line // 'false']);
is($code, 0, 'stoactl as printed');
like($out, qr/demo\b.*in-sync/, 'shows the gateway') or diag($out);

# the line that kills the control plane
my ($pid) = $printed =~ /^  kill -9 (\d+)$/m;
kill 'KILL', $pid;
wait_until { slurp($t->dir("$name.out")) =~ /ended; the gateway goes on/ } 5;
is(call($e->{DEMO_KEY}), 200, 'without a control plane the gateway goes on');
my $back = wait_until { slurp($t->dir("$name.out"))
                        =~ /is back as process (?!$pid)\d+/ } 30;
ok($back, 'which comes back');

# a second one beside it
($code, $out, my $err) = $t->run_cmd([@run], env => \%env);
is($code, 1, 'a second run beside it');
like($err, qr/already running as process \d+/, 'says why it does not start');
is(call($e->{DEMO_KEY}), 200, 'and disturbs nothing');

# Ctrl-C
$t->stop($name, signal => 'INT', timeout => 30);
is_deeply([ left() ], [], 'Ctrl-C ends all of it');
is(call($e->{DEMO_KEY}), 0, 'nothing listens');

# again, the same key
$name = run();
is(env_file()->{DEMO_KEY}, $e->{DEMO_KEY}, 'the second run keeps the key');
is(call($e->{DEMO_KEY}), 200, 'which works');

# all of it killed
$t->kill9($name);
wait_until { !left() } 5;
$name = run();
is(call($e->{DEMO_KEY}), 200, 'runs after kill -9 of everything');

# the script and the master killed: orphaned workers and stoa-control stay
my ($master) = slurp("$var/gateway/nginx.pid") =~ /(\d+)/;
kill 'KILL', $t->pid($name), $master;
$t->{procs}{$name}{killed} = 1;
wait_until { !$t->alive($name) } 5;
ok(scalar(left()), 'leftovers hold the ports');
my $orphans = $name;
$name = run();
like(slurp($t->dir("$name.out")), qr/ending what an earlier run left/,
     'the next run ends them');
is(call($e->{DEMO_KEY}), 200, 'and works');

# make stop
($code, $out) = $t->run_cmd([@run, 'stop'], env => \%env);
is($code, 0, 'stop');
wait_until { !$t->alive($name) } 10;
is_deeply([ left() ], [], 'ends all of it');
($code) = $t->run_cmd([@run, 'stop'], env => \%env);
is($code, 0, 'stop of nothing');

# what stands in the way is named
my $squatter = $t->origin(undef, name => 'squatter',
                          port => $env{STOA_CONTROL_PORT});
($code, $out, $err) = $t->run_cmd([@run], env => \%env, timeout => 40);
is($code, 1, 'a port that is taken');
like($err, qr/STOA_CONTROL_PORT/, 'is explained');

delete $t->{procs}{$orphans};
$t->allow_log(qr/exited on signal 9|emerg.*Address already in use/);
$t->done;
