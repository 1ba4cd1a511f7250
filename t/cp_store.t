#!/usr/bin/perl

# The store of stoa-control on a real database: one process on a SQLite file,
# replicas on PostgreSQL, newer schemas, lost connections, kill -9.

use FindBin;
use lib "$FindBin::Bin/lib";
use Time::HiRes qw(time);
use Test::Stoa;
use Test::Stoa::Feed;

my $t = Test::Stoa->new;
my $bin = "$Test::Stoa::OBJS/stoa-control";

$t->control;
my $names = sub { my ($r) = @_; return join ' ',
                  sort map { $_->{name} } @{ $r->{json}{items} } };

# -- what was answered is there, whatever happens -------------------------

my @made;
for my $round (1 .. 3) {
    for (1 .. 5) {
        my $name = "t$round-$_";
        $t->must('POST', '/v1/tenants', { name => $name });
        push @made, $name;
    }
    $t->kill9('control');
    $t->control;
}
is($names->($t->api('GET', '/v1/tenants?limit=100')), join(' ', sort @made),
   'every answered write survives kill -9');
ok($t->must('GET', '/v1/audit/verify')->{ok}, 'and the audit chain with it');

$t->{db} eq 'pg' ? postgresql() : sqlite();

# -- a database that a newer program has migrated -------------------------

$t->stop('control');
sql("INSERT INTO schema_migrations (version, name, applied_at) "
    . "VALUES (9999, '9999_later', 0)");
my ($code, $out, $err) = start();
is($code, 1, 'a newer database is refused');
like($err, qr/^stoa-control: the database .*9999.*9999_later/m,
     'with its version');
sql("DELETE FROM schema_migrations WHERE version = 9999");
sql("UPDATE schema_migrations SET name = '0001_other' WHERE version = 1");
($code, $out, $err) = start();
is($code, 1, 'and one of another program');
like($err, qr/migration 1 "0001_other", which is not one of this program's/,
     'with the name of the migration');
sql("UPDATE schema_migrations SET name = '0001_core' WHERE version = 1");
$t->control;
is($t->api('GET', '/health/ready')->{status}, 200, 'it starts again');

# -- records that a migration changes go to the gateways ---------------------

my $plans = "/v1/tenants/$made[0]/plans";
$t->must('POST', $plans, { name => $_->[0], rate => 9, burst => $_->[1] })
    for [zero => 0], [four => 4];
my $f = Test::Stoa::Feed->new($t, 'follower', 'default');
$f->pull;
my $rev = $f->{rev};
$t->stop('control');
my ($earlier, $later) = map { my ($from, $to) = @$_; join '',
    map { slurp($_) } grep { m{/(\d+)_} && $1 >= $from && $1 < $to }
    glob "$FindBin::Bin/../control-plane/migrations/*.sql" } [1, 6], [6, 9999];
my $other = $t->{db} eq 'pg' ? 'SQLITE' : 'PG';
$later =~ s/^\{\{$other\}\}.*$//mg;
my %renamed = map { $_ => 1 } $later =~ /TABLE (\w+) RENAME TO/g;
my @new = grep { !$renamed{$_} } $later =~ /CREATE (?:VIRTUAL )?TABLE (\w+)/g;
my %new = map { $_ => 1 } @new;
sql($_) for 'DELETE FROM schema_migrations WHERE version >= 6',
    (map { "DROP INDEX IF EXISTS $_" }
     $later =~ /CREATE (?:UNIQUE )?INDEX (\w+)/g),
    (map { "DROP TABLE $_" } reverse @new),
    (map { $earlier =~ /^(CREATE TABLE $_ \(.*?^\));/ms }
     grep { $later !~ /RENAME TO $_;/ } $later =~ /^DROP TABLE (\w+)/mg),
    map { my ($table, $what, $column) = @$_;
          $new{$table} || $renamed{$table} ? ()
          : $what eq 'ADD' ? "ALTER TABLE $table DROP COLUMN $column"
          : "ALTER TABLE $table ADD COLUMN $column TEXT" }
    map { [/ALTER TABLE (\w+) (ADD|DROP) COLUMN (\w+)/] }
    $later =~ /ALTER TABLE \w+ (?:ADD|DROP) COLUMN \w+/g;
sql("UPDATE plans SET concurrency = 1000000 WHERE name = 'zero'");
$t->control;
my %plan = map { $_->{name} => $_ } @{ $t->must('GET', $plans)->{items} };
is("$plan{four}{burst} $plan{zero}{burst} $plan{zero}{concurrency}",
   '5 0 65535', 'a burst is one more than it was');
$f->pull;
is(join(' ', map { "$_->{name} $_->{burst} $_->{concurrency}" }
        sort { $a->{name} cmp $b->{name} }
        grep { defined $_->{burst} }
        map { $_->{body} } grep { $_->{rev} > $rev } values %{ $f->{rows} }),
   'four 5 0 zero 0 65535', 'and gateways hear of it');
$f->status;
is($f->shown->{sync}, 'in-sync', 'in order');

# -- what an older program has stored is no reason to refuse a write ---------

my $apis = "/v1/tenants/$made[0]/apis";
my $to = 'http://127.0.0.1:1/';
$t->must('POST', $apis, { name => $_, kind => $_,
    upstream => { targets => [{ url => $to }] } }) for 'mcp', 'rest';
$t->must('POST', "$apis/rest/operations", { name => $_, method => 'GET',
    path => "/$_/{id}" }) for 'one', 'two';
$t->stop('control');
sql("UPDATE apis SET upstream = "
    . qq{REPLACE(upstream, '"idle_timeout_ms":4000,', '')});
sql("UPDATE operations SET path = '/one/{nr}' WHERE name = 'two'");
$t->control(args => ['--outbound-allow=none']);
wait_until { $t->must('POST', "$apis/mcp/discover")->{state} eq 'failed' }
    or fail('a target that may not be asked any more is told');
like($t->must('GET', "$apis/mcp")->{discovery}{error}, qr/loopback/, 'why');
is($t->api('PATCH', "$apis/mcp", { title => 'T' })->{status}, 200,
   'its api can be changed');
is($t->api('PATCH', "$apis/mcp", { upstream => { targets => [
    { url => "${to}x" }] } })->{status}, 422, 'but leads to no other such');
is($t->api('POST', "$apis/rest/operations/two/disable")->{status}, 200,
   'one of two operations for the same requests can be disabled');
is($t->api('PATCH', "$apis/rest/operations/two", { path => '/one/{id}' })
   ->{status}, 409, 'but not be changed to the same again');

$t->done;


sub start {
    return $t->run_cmd([$bin, '--listen=127.0.0.1:0',
                        '--database=' . $t->database]);
}

sub sql {
    my ($text) = @_;
    my @argv = $t->{db} eq 'pg' ? ('psql', '-qAt', $t->database, '-c', $text)
        : ('sqlite3', $t->dir('control.db'), $text);
    my ($rc, $said, $why) = $t->run_cmd(\@argv);
    is($rc, 0, "SQL: $text") or diag($why);
    return $said;
}


sub sqlite {
    my ($rc, $said, $why) = start();
    is($rc, 1, 'a second process on the file is refused');
    like($why, qr/is in use by another process/, 'with the reason');
    is((stat $t->dir('control.db'))[2] & 077, 0, 'the file is ours alone');
}


sub postgresql {

    # a second replica hears of a change at once

    my $port = $t->port('second');
    $t->start('second', argv => [$bin, "--listen=127.0.0.1:$port",
              '--database=' . $t->database],
              env => { $t->sanitizer_env('second') });
    wait_until {
        Test::Stoa::http_once($port, 'GET', '/health/ready')->{status} == 200
    } 20;

    $t->register('gw', 'default');
    my ($gw) = slurp($t->dir('gw/token')) =~ /(\S+)/;
    my $feed = sub {
        my ($query) = @_;
        return Test::Stoa::http_once($port, 'GET', "/gateway/v1/feed?$query",
            headers => { Authorization => "Bearer $gw" });
    };
    my $head = sub { return json_decode((split /\n/,
                                         $feed->('since=0')->{body})[0]) };
    my $h = $head->();

    my $wake = sub {
        my ($name) = @_;
        my $c = Test::Stoa::HTTP->connect($port);
        $c->send_raw($c->request_text('GET', "/gateway/v1/feed?since=$h->{rev}"
            . "&epoch=$h->{epoch}&wait=20",
            headers => { Authorization => "Bearer $gw" }));
        wait_until {
            Test::Stoa::http_once($port, 'GET', '/metrics')->{body}
                =~ /^stoa_control_http_parked 1$/m
        } 10;
        my $from = time;
        $t->must('POST', '/v1/tenants', { name => $name });
        my $r = $c->response(timeout => 15);
        $h = $head->();
        return (time - $from, $r->{body});
    };

    my ($took, $body) = $wake->('far');
    like($body, qr/"name":"far"/, 'a replica tells what the other one wrote');
    ok($took < 2, 'at once');

    # both lose all their connections

    sql('SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity '
        . "WHERE application_name = 'stoa-control'");
    for (1 .. 5) {
        is($t->api('GET', '/v1/tenants')->{status}, 200, 'a read');
        is($t->api('POST', '/v1/tenants', { name => "again$_" })->{status},
           201, 'a write');
    }
    is(Test::Stoa::http_once($port, 'GET', '/health/ready')->{status}, 200,
       'the other one is ready');
    wait_until { sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
                     . "'LISTEN%' OR query = 'SELECT rev FROM feed_head'") > 1
    } 10;
    $h = $head->();
    ($took, $body) = $wake->('farther');
    like($body, qr/"name":"farther"/, 'it listens again');
    ok($took < 2, 'at once');

    # writers on both sides: every revision once

    my @pids = map {
        my $n = $_;
        my $pid = fork // die;
        if ($pid == 0) {
            $Test::Stoa::Base::current = undef;
            for my $i (1 .. 20) {
                Test::Stoa::http_once($n % 2 ? $port : $t->port('control'),
                    'POST', '/v1/tenants', body => "{\"name\":\"w$n-$i\"}",
                    headers => { Authorization => "Bearer $t->{token}",
                                 'Content-Type' => 'application/json' });
            }
            POSIX::_exit(0);
        }
        $pid;
    } 1 .. 4;
    waitpid $_, 0 for @pids;
    is(sql("SELECT count(*) FROM tenants WHERE name LIKE 'w%'") + 0, 80,
       'eighty writes through two replicas');
    is(sql('SELECT count(*) - count(DISTINCT rev) FROM feed') + 0, 0,
       'no revision twice');
    ok($t->must('GET', '/v1/audit/verify')->{ok}, 'one audit chain');

    $t->stop('second');

    # the unit tests of the store, which run on SQLite in t/unit.t

    SKIP: {
        my $unit = "$Test::Stoa::OBJS/t/unit/cp_db";
        skip 'unit tests are not built', 1 if !-x $unit && !$ENV{CI};
        sql('CREATE DATABASE unit');
        (my $url = $t->database) =~ s{/postgres$}{/unit};
        my ($rc, $said) = $t->run_cmd([$unit],
                                      env => { STOA_UNIT_DB => $url });
        is($rc, 0, 'unit tests on PostgreSQL') or diag($said);
    }
}
