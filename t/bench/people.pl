#!/usr/bin/perl

# What people ask of a control plane that has grown: a page of 100 apis with
# a search among 50,000, lists of a million keys and of two million events,
# and what it holds of them in memory.  A report; it fills 3 GB.
#
#   t/bench/people.pl [sqlite|pg]
#   APIS=50000 KEYS=1000000 EVENTS=2000000 ROUNDS=20

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Cost;
use Test::Stoa::Docs;
use Test::Stoa::Feed;
use Time::HiRes qw(time);

my %n = (APIS => 50_000, KEYS => 1_000_000, EVENTS => 2_000_000, ROUNDS => 20,
         %ENV);
my $t = Test::Stoa->new(db => shift || 'sqlite');
my $pg = $t->{db} eq 'pg';
$| = 1;
$t->control;
$t->apply(docs(doc('GatewayGroup', undef, 'default'), tenant('acme'), tenant('other'), plan('acme', 'gold'),
    rest('acme', 'first', 'http://127.0.0.1:1', audience => 'public',
         title => 'orders', description => 'What a customer has ordered.'),
    app('acme', 'shop'), sub_('acme', 'shop', 'first', 'gold')));
$t->key('acme', 'shop');
my $gateway = $t->must(POST => '/v1/gateways',
                       { name => 'gw', group => 'default' })->{token};
$t->stop('control');

sub sql { return Test::Stoa::Feed::sql($t, $_[0], timeout => 600) }

# Copies of a row, all that is not given as it is there.

sub copies {
    my ($table, $where, $n, %as) = @_;
    my @columns = split /\n/, sql($pg
        ? "SELECT column_name FROM information_schema.columns WHERE table_name"
          . " = '$table' AND is_generated = 'NEVER'"
        : "SELECT name FROM pragma_table_info('$table')");
    @columns = grep { $_ ne 'n' } @columns;
    my $series = $pg ? "generate_series(1, $n) AS s(i)"
        : "(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c"
          . " WHERE i < $n) SELECT i FROM c) AS s";
    my $from = time;
    sql("INSERT INTO $table (" . join(', ', map { "\"$_\"" } @columns)
        . ') SELECT ' . join(', ', map { $as{$_} // "x.\"$_\"" } @columns)
        . " FROM (SELECT * FROM $table WHERE $where LIMIT 1) AS x, $series");
    printf STDERR "%d of %s in %.0f s\n", $n, $table, time - $from;
}

sub id { return ($pg ? "'$_[0]' || lpad(CAST(i AS TEXT), 15, '0')"
                     : "'$_[0]' || printf('%015d', i)") }
my $digest = $pg ? "md5('a' || i) || md5('b' || i)"
                 : "printf('%064d', i)";

# A word of 997, so that a search finds 50 of 50,000, and one that all have.

copies('apis', "name = 'first'", $n{APIS}, id => id('a'), name => "'api-' || i",
       base_path => "'/b' || i");
copies('catalogue', "name = 'first'", $n{APIS}, id => id('a'),
       name => "'api-' || i", words => "x.words || ' area' || (i % 997)");
copies('credentials', '1 = 1', $n{KEYS}, id => id('c'), key_digest => $digest,
       prefix => "'stoa_live_' || " . id('c'),
       last4 => $pg ? "lpad(CAST(i % 10000 AS TEXT), 4, '0')"
                    : "printf('%04d', i % 10000)");
copies('feed', "kind = 'credential'", $n{KEYS}, key => "'cred:' || " . id('c'),
       rev => 'i + (SELECT rev FROM feed_head)');
sql("UPDATE feed_head SET rev = rev + $n{KEYS}");
copies('audit', "kind = 'api'", $n{EVENTS}, seq => '1000 + i',
       at => "x.at + i * 10", request_id => "'r' || i",
       actor_name => "'p' || (i % 500)",
       action => "CASE i % 4 WHEN 0 THEN 'create' WHEN 1 THEN 'login'"
           . " ELSE 'update' END", resource => "'res' || (i % 50000)");
sql("UPDATE audit SET action = 'rare' WHERE seq IN (1001, 2001, 3001)");
sql('ANALYZE') if $pg;

$t->control;
printf "%s, load %s\n%-48s %8s %8s\n", $t->{db}, load(), '', 'wall ms',
    'CPU ms';
for (['100 apis, a search that 50 answer', '/v1/catalogue?limit=100&q=area17'],
     ['100 apis, a search that all answer', '/v1/catalogue?limit=100&q=order'],
     ['100 apis, a search that none answers', '/v1/catalogue?limit=100&q=zzz'],
     ['100 apis, two words and a state',
      '/v1/catalogue?limit=100&q=orders+area5&state=published'],
     ['100 apis of all tenants', '/v1/apis?limit=100'],
     ['100 apis of a tenant', '/v1/tenants/acme/apis?limit=100'],
     ['100 keys of all tenants', '/v1/credentials?limit=100'],
     ['keys, a state that all have', '/v1/credentials?limit=100&state=active'],
     ['keys, a state that none has', '/v1/credentials?limit=100&state=revoked'],
     ['keys of an application, a state that none has',
      '/v1/tenants/acme/applications/shop/credentials?state=revoked'],
     ['a key by its prefix', '/v1/credentials?prefix=stoa_live_c000000000777777'],
     ['keys by their end', '/v1/credentials?last4=0042'],
     ['100 events', '/v1/audit?limit=100'],
     ['events, a deed that many do', '/v1/audit?limit=100&action=login'],
     ['events, a rare deed', '/v1/audit?limit=100&action=rare'],
     ['events, a rare deed in a tenant',
      '/v1/audit?limit=100&action=rare&tenant=acme'],
     ['events, a deed that nobody did', '/v1/audit?limit=100&action=never'],
     ['events, of somebody', '/v1/audit?limit=100&actor=p77'],
     ['events, of one thing', '/v1/audit?limit=100&resource=res77'],
     ['events, of one request', '/v1/audit?limit=100&request_id=r777'])
{
    my ($what, $path) = @$_;
    my ($cpu, $wall) = cost($t, $n{ROUNDS}, sub { asked($t, $path) });
    printf "%-48s %8.1f %8.1f\n", $what, $wall, $cpu;
}

# All of it by a gateway, twice; then what is held.

for (1, 2) {
    my ($code, $out) = $t->run_cmd(['curl', '-s', '-o', '/dev/null', '-w',
        '%{http_code} %{size_download}', '-H', "Authorization: Bearer $gateway",
        '-H', 'Stoa-Contract: 2', $t->control_url
        . '/gateway/v1/feed?since=0&wait=0'], timeout => 300);
    print "a gateway's whole feed: $out bytes\n";
}
printf "memory with %d keys: %.0f MB, at most %.0f MB\n", $n{KEYS}, memory($t);
printf "load %s\n", load();
$t->done;
