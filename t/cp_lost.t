#!/usr/bin/perl

# PostgreSQL loses connections, freezes, dies and comes back: nobody is told
# something wrong, what can be tried again is a 503, nothing leaks.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::Stoa;
use Test::Stoa::Feed;
use Test::Stoa::HTTP;
use Time::HiRes qw(sleep time);

my $t = Test::Stoa->new(db => 'pg');
$t->allow_log(qr/./);
$t->control;

my $apps = '/v1/tenants/acme/applications';
my $ours = "application_name = 'stoa-control'";

sub sql { return Test::Stoa::Feed::sql($t, $_[0]) }

sub child {
    my ($code) = @_;
    my $pid = fork // die "fork: $!\n";
    return $pid if $pid;
    $Test::Stoa::Base::current = undef;
    $code->();
    POSIX::_exit(0);
}

sub ready {
    return wait_until {
        $t->api(GET => '/health/ready', undef, timeout => 2)->{status} == 200
    } 30;
}

$t->must(POST => '/v1/tenants', { name => 'acme' });


# connections are killed while four write

my $killer = child(sub {
    for (1 .. 20) {
        eval { sql('SELECT count(pg_terminate_backend(pid)) FROM '
            . "pg_stat_activity WHERE $ours AND query NOT LIKE 'LISTEN%'") };
        sleep 0.1;
    }
});
my @writers = map {
    my $n = $_;
    child(sub {
        my $said = '';
        for my $i (1 .. 40) {
            my $r = $t->api(POST => $apps, { name => "w$n-$i" });
            $said .= "w$n-$i $r->{status}\n";
            sleep 0.03;
        }
        spew($t->dir("said-$n"), $said);
    });
} 1 .. 4;
waitpid $_, 0 for @writers, $killer;

my %have = map { $_ => 1 } split /\n/, sql('SELECT name FROM applications');
my (%n, @lies);
for (map { split /\n/, slurp($t->dir("said-$_")) } 1 .. 4) {
    my ($name, $status) = split;
    $n{$status}++;
    push @lies, $name if $status == 201 && !$have{$name};
}
is_deeply([grep { $_ != 201 && $_ != 503 } keys %n], [],
    'made, or to be tried again') or diag(join ' ', %n);
is_deeply(\@lies, [], 'what was said to be made is there');
ok($t->must(GET => '/v1/audit/verify')->{ok}, 'the audit log is whole');

my $gw = Test::Stoa::Feed->new($t, 'gw1', 'default');
$gw->pull;
$gw->status;
is($gw->shown->{sync}, 'in-sync', 'the feed and its digest agree');
cmp_ok(sql("SELECT count(*) FROM pg_stat_activity WHERE $ours"), '<=', 10,
    'no connection more than configured');


# it freezes: all workers wait, but the process lives

my @frozen = ($t->pid('postgres'), split /\n/,
    sql("SELECT pid FROM pg_stat_activity WHERE $ours"));
kill STOP => $_ for @frozen;
my @askers = map { child(sub { $t->api(GET => '/v1/tenants', undef,
    timeout => 3) }) } 1 .. 12;
sleep 0.5;
is($t->api(GET => '/health/live', undef, timeout => 5)->{status}, 200,
    'alive while the database is frozen');
is($t->api(GET => '/health/ready', undef, timeout => 1)->{status}, 0,
    'not ready then');
kill CONT => $_ for @frozen;
waitpid $_, 0 for @askers;
ok(ready(), 'ready when it goes on');


# it dies, and comes back

my $poll = Test::Stoa::HTTP->connect($t->port('control'));
$poll->send_raw($poll->request_text('GET', "/gateway/v1/feed?since=$gw->{rev}"
    . "&epoch=$gw->{epoch}&wait=30",
    headers => { Authorization => "Bearer $gw->{token}" }));
sleep 0.3;
$t->kill9('postgres');

is($t->api(GET => '/health/ready')->{status}, 503, 'not ready without it');
is($t->api(GET => '/health/live')->{status}, 200, 'alive');
is($t->api(GET => '/metrics')->{status}, 200, 'metrics');
is($t->api(POST => $apps, { name => 'down' })->{status}, 503, 'a write');
is($gw->get(since => 0)->{status}, 503, 'the feed');
ok(slurp($t->dir("control.out")) =~ / error db (?:cannot|lost)/, "logged");

my @user = $> == 0 ? (user => 'postgres') : ();
my ($port, $data) = ($t->port('postgres'), $t->dir('pg'));
$t->start('again', @user, stop => 'INT',
    argv => [Test::Stoa::Base::pg_bin() . '/postgres', '-D', $data, '-p',
             $port, map { ('-c', $_) } 'listen_addresses=127.0.0.1',
             "unix_socket_directories=$data", 'fsync=off']);
ok(ready(), 'ready again');
is($t->api(POST => $apps, { name => 'after' })->{status}, 201, 'a write');
like($poll->response(timeout => 35)->{body}, qr/"name":"after"/,
    'who waited all the time is told');


# it takes no writes, as after a failover, or only slow ones

sub kick { sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
               . " WHERE $ours AND pid <> pg_backend_pid()") }

sql('ALTER ROLE stoa SET default_transaction_read_only = on');
kick();
my $r = $t->api(POST => $apps, { name => 'readonly' });
is("$r->{status} " . ($r->{headers}{'retry-after'} // '-'), '503 1',
   'a write where none is taken may be tried again');
is($t->api(GET => '/health/ready')->{status}, 503, 'not ready then');
is($t->api(GET => $apps)->{status}, 200, 'but read');
sql('SET TRANSACTION READ WRITE;'
    . ' ALTER ROLE stoa RESET default_transaction_read_only');
is($t->api(POST => $apps, { name => 'writable' })->{status}, 201,
   'the next write finds that it takes them again');
ok(ready(), 'and so does who asks');

sql("ALTER ROLE stoa SET statement_timeout = '300ms'");
kick();
my $holder = child(sub { sql('SET statement_timeout = 0; BEGIN;'
    . ' LOCK TABLE applications; SELECT pg_sleep(2); COMMIT') });
sleep 0.5;
is($t->api(POST => $apps, { name => 'slow' })->{status}, 503,
   'a statement that took too long may be tried again');
waitpid $holder, 0;
sql('ALTER ROLE stoa RESET statement_timeout');


# a URL that cannot be read is not repeated: there is a password in it

for my $url ('postgresql://u:s3cret%zz@127.0.0.1:1/x',
             'postgresql://u:s3cret@[::1/x',
             'postgresql://u:s3cret@127.0.0.1:1/x?s3cret',
             'postgresql://u:s3cret@127.0.0.1:1/x') {
    my ($code, $out, $err) = $t->run_cmd(["$Test::Stoa::OBJS/stoa-control",
        '--listen=127.0.0.1:' . $t->port('url'), "--database=$url"],
        env => { $t->sanitizer_env('url') });
    is($code, 1, 'no such database');
    unlike("$out$err", qr/s3cret/, 'its URL is not told');
}

$t->done;
