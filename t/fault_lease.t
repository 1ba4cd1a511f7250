#!/usr/bin/perl

# One directory, several generations of workers: whoever has the lease loads
# and puts in force, whatever zone he has; who lost it touches nothing more,
# and takes it again when the other one dies.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;
use Test::Stoa::Base qw(config);

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $hold = $t->dir('hold');
my $port = $t->origin(sub {
    my ($q) = @_;
    if ($q->{path} =~ /held/) {
        spew("$hold.in", '');
        select undef, undef, undef, 0.02 while -e $hold;
    }
    return [200, [], 'ok'];
}, name => 'up');
my $key = $f->world($port);
$f->save;
my $dir = $t->dir('gw/store');
my %gw = (name => 'gw', workers => 1, wait => 0,
          http => 'stoa_usage_interval 200ms;');

sub call { return $t->get('/apis/acme/echo/x', key => $key)->{status} }
my $histories = 1;
sub history {
    $f->forget(sprintf '%016d', ++$histories);
    $key = $f->world($port);
    $f->credential(10 + $_) for 1 .. $histories;    # its own revision
    $f->save;
}
sub loads { return scalar grep { $_->{since} == 0 } $f->posts('feed') }
sub in_force { my ($name) = slurp("$dir/state") =~ /^(\S+)$/; return $name }


# two zones: an old worker is busy, the new one has another zone

$t->gateway(%gw);
ok($f->ready, 'in force');
spew($hold, '');
my $held = $t->connection;
$held->send_raw("GET /apis/acme/echo/held HTTP/1.1\r\nHost: x\r\n"
                . "X-API-Key: $key\r\n\r\n");
wait_until { -e "$hold.in" } 10;
my ($old) = $t->workers;
$t->write_file('gw/nginx.conf', $t->template(%gw, zone => 'stoa:9m'));
$t->reload('gw');
$f->credential(2);
$f->save;
ok($f->ready, 'the new generation is in force');
ok(kill(0, $old), 'the old worker is there, with another zone');
my $before = loads();
history();
ok($f->ready, 'another history is loaded');
is(loads() - $before, 1, '... by one generation');
ok(-e "$dir/" . in_force(), 'state names a file that is there');
unlink $hold;
is($held->response->{status}, 200, 'the old worker ends its call');
ok((wait_until { !kill 0, $old } 10) == 1, 'and goes');
ok((wait_until { ($f->usage->{all} // 0) == 1 } 10) == 1,
   'which is counted once');
$t->allow_log(qr/replaces/);


# two nginx, as in an upgrade of the binary that is taken back

$t->write_file('gw2/nginx.conf', $t->template(%gw, name => 'gw2')
               =~ s{gw2/(token|store)}{gw/$1}gr);
my $asked = $f->posts('feed');
$t->start_nginx('gw2');
wait_until { $f->posts('feed') > $asked } 10;
$key = $f->credential(3);
$f->save;
ok((wait_until { call() == 200 } 10) == 1, 'the other one keeps it in sync');
$t->kill9('gw2');
$key = $f->credential(4);
$f->save;
ok((wait_until { call() == 200 } 10) == 1, 'and when it dies, the first');


# asleep between the loaded file and its name: others have moved on since

SKIP: {
    skip 'a sanitizer has its own preload', 5 if config('SANITIZE');
    $t->stop('gw');
    spew($t->dir('nap.c'), <<'END');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
fdatasync(int fd)
{
    int      once;
    char     link[64], name[4096] = "", flag[4096];
    int    (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, "fdatasync");

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);

    if (readlink(link, name, sizeof(name) - 1) > 0
        && strstr(name, "/store.") && access(getenv("NAP"), F_OK) == 0)
    {
        snprintf(flag, sizeof(flag), "%s.on", getenv("NAP"));
        once = open(flag, O_CREAT|O_EXCL|O_WRONLY|O_CLOEXEC, 0600);

        while (once != -1 && access(getenv("NAP"), F_OK) == 0) {
            usleep(10000);
        }
    }

    return real(fd);
}
END
    my $cc = config('CC') || 'cc';
    system("$cc -shared -fPIC -o $t->{dir}/nap.so $t->{dir}/nap.c -ldl") == 0
        or die 'cc';
    my $nap = $t->dir('nap');
    my $nginx = $t->{nginx};
    $t->{nginx} = $t->write_file('nginx', "#!/bin/sh\n"
        . "NAP='$nap' LD_PRELOAD='$t->{dir}/nap.so' exec $nginx \"\$@\"\n",
        0755);
    $t->gateway(%gw, main => 'env NAP;');
    $f->ready or die 'not ready';

    spew($nap, '');
    history();
    ok((wait_until { -e "$nap.on" } 10) == 1, 'a load sleeps at its end');
    ($old) = $t->workers;
    $t->reload('gw');
    ok($f->ready, 'the next worker loads it meanwhile');
    history();
    ok($f->ready, 'and another one');
    my $name = in_force();
    unlink $nap;
    ok((wait_until { !kill 0, $old } 15) == 1, 'the sleeper wakes and goes');
    is(in_force(), $name, 'without a word in "state"');
    ok(-e "$dir/$name", 'the file in force is there');
    $t->stop('gw');
    $f->down;
    $t->{nginx} = $nginx;
    $t->start_nginx('gw');
    is(call(), 200, 'and a restart without a control plane serves it');
}

$f->done;
