#!/usr/bin/perl

# Usage: taken once, added up, shown; twice, at once, through a kill -9.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;
use IO::Socket::INET;
use POSIX qw(strftime);

my $t = Test::Stoa->new;
$t->control;
$t->apply(<<'END');
apiVersion: stoa/v1
kind: Tenant
metadata: {name: acme}
---
apiVersion: stoa/v1
kind: Tenant
metadata: {name: other}
---
apiVersion: stoa/v1
kind: Application
metadata: {name: app, tenant: acme}
---
apiVersion: stoa/v1
kind: Api
metadata: {name: orders, tenant: acme}
spec:
  kind: rest
  state: published
  upstream: {targets: [{url: 'http://x'}]}
  operations: [{name: list, method: GET, path: /orders}]
END
my $gw = Test::Stoa::Feed->new($t, 'gw', 'default');
my $gw2 = Test::Stoa::Feed->new($t, 'gw2', 'default');

my %id = map { $_ => $t->must('GET', "/v1/tenants/$_")->{id} }
    qw(acme other);
my $base = '/v1/tenants/acme';
$id{app} = $t->must('GET', "$base/applications/app")->{id};
$id{api} = $t->must('GET', "$base/apis/orders")->{id};
$id{op} = $t->must('GET', "$base/apis/orders/operations/list")->{id};

my $file = 'a' x 32;
my $now = int(time) * 1000;

sub row {
    return { tenant => $id{acme}, application => $id{app},
             subscription => '', api => $id{api}, operation => $id{op},
             refused => '', c2xx => 1, c3xx => 0, c4xx => 0, c5xx => 0,
             bytes_in => 10, bytes_out => 100,
             latency_us => [(0) x 6, 1, (0) x 19], @_ };
}

sub post {
    my ($g, $batch, $rows, %o) = @_;
    return $g->call('POST', '/gateway/v1/usage', {
        file => $file, batch => $batch, from_ms => $now, to_ms => $now + 1000,
        rows => $rows, %o });
}

sub usage {
    my ($query, %o) = @_;
    my $r = $t->api('GET', "$base/usage" . ($query ? "?$query" : ''), undef,
                    %o);
    return $r->{json}{items} || $r;
}

sub total { my $u = usage(); return @$u ? $u->[0]{requests} : 0 }


# Once

my $r = post($gw, 1, [row(), row(refused => 'rate_exceeded', c2xx => 0,
                                 c4xx => 3, latency_us => [3, (0) x 15])]);
is_deeply($r->{json}, { applied => JSON::PP::true(), refused => 0 },
          'a batch is applied');
$r = post($gw, 1, [row()]);
is_deeply($r->{json}, { applied => JSON::PP::false(), refused => 0 },
          'not twice');
is(post($gw, 5, [row()])->{json}{applied}, JSON::PP::true(),
   'numbers may be skipped');
is(post($gw, 4, [row()])->{json}{applied}, JSON::PP::false(),
   'but only grow');
is(post($gw, 1, [row()], file => 'b' x 32)->{json}{applied},
   JSON::PP::true(), 'another file counts for itself');
is(post($gw2, 1, [row()])->{json}{applied}, JSON::PP::true(),
   'and so does another gateway');
is(post($gw, 6, [])->{json}{applied}, JSON::PP::true(), 'an empty batch');
is(total(), 7, 'the sum of what was applied');


# Shown

my $u = usage('by=application,api,operation,refused&step=minute');
is(scalar @$u, 2, 'one item per combination');
my ($served) = grep { !defined $_->{refused} } @$u;
is("@$served{qw(application api operation)}", 'app orders GET /orders',
   'by name');
is("@$served{qw(requests c2xx bytes_in bytes_out)}", '4 4 40 400', 'counts');
is($served->{start},
   strftime('%Y-%m-%dT%H:%M:00.000Z', gmtime($now / 1000)), 'in its minute');
ok($served->{p50_us} > 2048 && $served->{p50_us} < 4096,
   'the median is in its bucket');
$u = usage('by=refused');
is_deeply([map { [@$_{qw(refused requests)}] } @$u],
          [[undef, 4], ['rate_exceeded', 3]], 'by refusal');
is(usage('step=hour')->[0]{requests}, 7, 'by hour');
is(usage('step=day')->[0]{requests}, 7, 'by day');
is_deeply(usage('to=2020-01-01T00:00:00Z'), [], 'another time');
is_deeply($t->must('GET', '/v1/tenants/other/usage')->{items}, [],
          'another tenant');

post($gw, 7, [row(latency_us => [(0) x 25, 100], c2xx => 100)],
     from_ms => $now - 7200_000);
is(usage('from=' . strftime('%Y-%m-%dT%H:%M:%SZ',
                            gmtime($now / 1000 - 7200)) . '&to='
         . strftime('%Y-%m-%dT%H:%M:%SZ', gmtime($now / 1000 - 3600)))
   ->[0]{p99_us}, 1 << 30, 'the last bucket counts as its lower bound');
post($gw, 8, [row()], from_ms => $now + 86400_000);
is(usage('step=day')->[-1]{requests} % 100, 8,
   'a clock that runs ahead does not write into the future');

for (['from=x', 'from'], ['to=2026-13-01T00:00:00Z', 'to'], ['by=x', 'by'],
     ['step=second', 'step'], ['from=2030-01-01T00:00:00Z', 'from'])
{
    my ($query, $field) = @$_;
    $r = usage($query);
    is($r->{status}, 400, "$query is refused");
    is($r->{json}{errors}[0]{field}, $field, 'by name of the field');
}


# Both sides: what others called here, and what its applications called

$t->apply(<<'END2');
apiVersion: stoa/v1
kind: Application
metadata: {name: app, tenant: other}
END2
$id{guest} = $t->must('GET', '/v1/tenants/other/applications/app')->{id};
my $key = $t->must('POST', '/v1/tenants/other/applications/app/credentials',
                   {});
my $then = $now - 5 * 86400_000;
post($gw2, 2, [row(application => $id{guest}, credential => $key->{id},
                   c2xx => 5, latency_us => [(0) x 22, 5, (0) x 3]), row()],
     from_ms => $then);
my $span = 'from=' . strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $then / 1000 - 60)
    . '&to=' . strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $then / 1000 + 60);
sub of {
    my ($tenant, $query, @members) = @_;
    return join '; ', map { my $i = $_; join ' ', map { $i->{$_} // '-' }
                            @members, 'requests' }
        @{ $t->must('GET', "/v1/tenants/$tenant/usage?$span&$query")
           ->{items} };
}
is(of('acme', 'by=application,api', qw(consumer application publisher api)),
   'acme app acme orders 1; other app acme orders 5',
   'the publisher tells two applications of one name apart');
is(of('other', 'by=application,api', qw(consumer application publisher api)),
   'other app acme orders 5', 'the consumer sees what it called');
is(of('acme', ''), '6', 'each call counts once');
is(of('acme', 'side=consumed'), '1', 'only what its applications called');
is(of('acme', 'side=published'), '6', 'only what was called here');
is(of('other', 'side=published'), '', 'there is none');
is(of('other', 'by=tenant', qw(publisher consumer)), 'acme other 5',
   'by tenant');
is(of('other', 'by=credential', 'credential'), "$key->{prefix} 5",
   'by key, for whom it is');
is(of('acme', 'by=credential', 'credential'), '- 6',
   'but whose key it is not learns none');
my $slow = $t->must('GET', "/v1/tenants/other/usage?$span")->{items}[0];
ok($slow->{p50_us} > 1 << 27 && $slow->{p50_us} < 1 << 28,
   'two minutes are told from one');
is(usage('side=x')->{status}, 400, 'a side that is none');
is(join('; ', map { "$_->{publisher} $_->{consumer} $_->{requests}" }
   @{ $t->must('GET', "/v1/usage?$span&by=tenant")->{items} }),
   'acme acme 1; acme other 5', 'of all tenants');
sub both { my ($q) = @_;
           return join '; ', sort map { "$_->{publisher} $_->{consumer}"
               . " $_->{requests}" } @{ $t->must('GET', "/v1/usage?$span"
               . "&by=tenant&$q")->{items} } }
is(both('tenant=acme,other'), 'acme acme 1; acme other 5',
   'of two, by name: what one calls of the other is told once');
is(both('tenant=other'), 'acme other 5', 'of one');
is(both('tenant=acme,other&side=published'), 'acme acme 1; acme other 5',
   'what they published');
is(both('tenant=acme,other&side=consumed'), 'acme acme 1; acme other 5',
   'what they consumed');
is($t->api('GET', "/v1/usage?$span&tenant=acme,none")->{status}, 404,
   'not with one that is not there');
is($t->api('GET', "/v1/usage?$span&side=published")->{status}, 400,
   'a side of all has no sense');
my ($ended, $sums) = $t->stoactl('usage', '--from', '1d', '-t', 'acme,other',
                                 '--by', 'tenant');
is($ended, 0, 'stoactl usage -t acme,other') or diag $sums;
my $ours = $t->must('POST', '/v1/admin-tokens', { name => 'o', role =>
    'viewer', tenant => 'other' })->{token};
is(join('; ', map { "$_->{publisher} $_->{consumer} $_->{requests}" }
   @{ $t->must('GET', "/v1/usage?$span&by=tenant", undef, token => $ours)
   ->{items} }), 'acme other 5', 'a tenant\'s token sees its own');
post($gw2, 3, [row(latency_us => [(0) x 15, 7])], from_ms => $then);
is(of('acme', ''), '7', 'a gateway of the version before has fewer buckets');


# Who may see it

my $token = sub { $t->must('POST', '/v1/admin-tokens',
                           { role => 'viewer', @_ })->{token} };
my $own = $token->(name => 'own', tenant => 'acme');
my $foreign = $token->(name => 'foreign', tenant => 'other');
is(ref usage('', token => $own), 'ARRAY', 'a viewer of the tenant');
is(usage('', token => $foreign)->{status}, 404, 'not one of another');
is($t->api('POST', '/gateway/v1/usage', {})->{status}, 401,
   'an admin token posts none');


# Bad batches: nothing of them counts

my $before = total();
my %bad = (
    'no object' => [[]],
    'no file' => [{ batch => 9, from_ms => 1, to_ms => 1, rows => [] }],
    'a file that is none' => ['x', 9, [row()], file => 'A' x 32],
    'batch 0' => ['x', 0, [row()]],
    'a negative count' => ['x', 9, [row(c2xx => -1)]],
    'a count beyond all' => ['x', 9, [row(c2xx => (1 << 40) + 1)]],
    'a text for a count' => ['x', 9, [row(c2xx => '1')]],
    'too few buckets' => ['x', 9, [row(latency_us => [1])]],
    'too many buckets' => ['x', 9, [row(latency_us => [(1) x 27])]],
    'an id that is none' => ['x', 9, [row(tenant => "a' OR 1=1")]],
    'a code that is none' => ['x', 9, [row(refused => 'Rate exceeded')]],
    'a good row before a bad one' => ['x', 9, [row(), row(api => 1)]],
    'too many rows' => ['x', 9, [map { row() } 1 .. 20001]],
);
for my $name (sort keys %bad) {
    my @b = @{ $bad{$name} };
    $r = ref $b[0] ? $gw->call('POST', '/gateway/v1/usage', $b[0])
                   : post($gw, @b[1 .. $#b]);
    is($r->{status}, 422, $name);
}
is(total(), $before, 'nothing of them was counted');
like(post($gw, 9, [row(), row(c2xx => -1)])->{json}{errors}[0]{field},
     qr/^rows\[1\]\.c2xx$/, 'the row and field are named');


# At once: every batch is sent twice by two clients, in order

my @pids = map {
    my $who = $_;
    my $pid = fork // die;
    if ($pid == 0) {
        my $applied = 0;
        for my $n (1 .. 40) {
            my $r = post($gw, $n, [row(), row(refused => "r$n")],
                         file => 'c' x 32);
            $applied++ if $r->{json} && $r->{json}{applied};
        }
        POSIX::_exit($applied);
    }
    $pid;
} 1, 2;
my $applied = 0;
for (@pids) { waitpid $_, 0; $applied += $? >> 8 }
is($applied, 40, 'of two clients that send the same, one counts each');
is(total(), $before + 80, 'and so does the roll-up');


# kill -9 of the control plane between post and answer: what was not
# answered is sent again, as a gateway does

$before = total();
my ($sent, $n, $retries) = (0, 0, 0);
my $killer = fork // die;
if ($killer == 0) {
    for (1 .. 6) {
        select undef, undef, undef, 0.15 + rand 0.2;
        my $pid = Test::Stoa::slurp($t->dir('control.pid.test'));
        kill 'KILL', $pid if $pid;
    }
    POSIX::_exit(0);
}
my $pidfile = sub { Test::Stoa::spew($t->dir('control.pid.test'),
                                     $t->pid('control') || '') };
$pidfile->();
while (waitpid($killer, POSIX::WNOHANG()) == 0) {
    $n++;
    for (;;) {
        my $r = post($gw, $n, [map { row(subscription => '') } 1 .. 3],
                     file => '2' x 32);
        last if $r->{status} == 200;
        $retries++;
        if (!$t->alive('control')) {
            $t->kill9('control');
            $t->control;
            $pidfile->();
        }
    }
    $sent += 3;
}
cmp_ok($retries, '>', 0, "killed in the middle ($retries times)");
is(total() - $before, $sent, "all $sent requests counted, none twice");

# Whose the application is, no gateway says

is(post($gw, 1, [row(tenant => '0' x 16, consumer => $id{other})],
        file => 'e' x 32)->{json}{refused}, 1, 'of a tenant that is none');
is(post($gw, 2, [row(consumer => $id{other})], file => 'e' x 32)
   ->{json}{applied}, JSON::PP::true(), 'a row that says whose it is');
is(Test::Stoa::Feed::sql($t, 'SELECT COUNT(*) FROM usage_view WHERE tenant = '
                         . "'" . '0' x 16 . "'"), 0, 'is not believed');

is(Test::Stoa::Feed::sql($t, "SELECT CAST(SUM(c2xx + c4xx + h0 + bytes_in) AS"
    . " BIGINT) FROM usage_view WHERE view = $_"),
   Test::Stoa::Feed::sql($t, 'SELECT CAST(SUM(c2xx + c4xx + h0 + bytes_in) AS'
    . ' BIGINT) FROM usage_quarter'), "view $_ has all that quarters have")
    for 0 .. 2;


# Minutes are kept for 14 days, quarters and days go on

$before = usage('from=2020-01-01T00:00:00Z')->[0]{requests};
Test::Stoa::Feed::sql($t, join '; ', map { "UPDATE usage_$_ SET start_ms ="
    . ' start_ms - 20 * 86400000' } qw(minute quarter two_hours day view));
my $ok = wait_until {
    Test::Stoa::Feed::sql($t, 'SELECT COUNT(*) FROM usage_minute') == 0
} 30;
ok($ok, 'old minutes go');
is(usage('from=2020-01-01T00:00:00Z')->[0]{requests}, $before,
   'and the sum stays');


# One sum, whatever the step, the zone and the level: calls of 300 days, at the
# edges of days and hours of the wall's clock, in any order

my %asked;
{
    srand 7;
    my $day = int($now / 86400_000) * 86400_000;
    my @at;
    for my $d (1 .. 40) {
        my $noon = $day - int(rand 300) * 86400_000;
        push @at, map { $noon + $_ * 1000 } 0, -1, 1, 18.5 * 3600,
            18.5 * 3600 - 1, 4 * 3600, 5 * 3600 - 1, int rand 86400;
    }
    push @at, map { $now - int(rand 13 * 86400) * 1000 } 1 .. 40;
    @at = sort { sin $a <=> sin $b } grep { $_ < $now - 60_000 } @at;
    my $n = 0;
    for my $at (@at) {
        my $r = post($gw2, ++$n, [row(c2xx => 0, c4xx => $n, c5xx => 1,
            refused => 'differ')], file => '9' x 32, from_ms => $at);
        is($r->{status}, 200, 'a late batch') if $r->{status} != 200;
        $asked{$at} += $n;
    }
}
my $span1 = 'status=4xx&refused=differ&from=' . strftime('%Y-%m-%dT00:00:00Z',
    gmtime($now / 1000 - 301 * 86400));
my $all = 0;
$all += $_ for values %asked;
for my $query ('', 'step=day', 'step=hour', 'step=day&zone=Asia/Kolkata',
               'step=day&zone=America/New_York', 'step=hour&zone=%2B05:45',
               'step=day&zone=Australia/Lord_Howe', 'by=operation,tenant',
               'step=day&zone=Australia/Lord_Howe&by=operation',
               'zone=Asia/Kolkata&by=credential',
               'step=day&by=status,refused')
{
    my $sum = 0;
    $sum += $_->{requests} for @{ usage("$span1&$query") };
    is($sum, $all, "the sum of all: $query");
}
for my $zone ('UTC', 'Asia/Kolkata', 'America/New_York', 'Pacific/Chatham') {
    my %want;
    for my $at (keys %asked) {
        local $ENV{TZ} = $zone;
        POSIX::tzset();
        my @t = localtime $at / 1000;
        $want{strftime('%Y-%m-%d', @t)} += $asked{$at};
    }
    my $got = usage("$span1&step=day&zone=$zone");
    is_deeply([map { [@$_{qw(start requests)}] } @{ usage("$span1&step=day"
        . "&zone=$zone&by=operation,refused") }],
        [map { [@$_{qw(start requests)}] } @$got],
        "$zone: the same where no view has it");
    my %got;
    for my $i (@$got) {
        my ($y, $m, $d, $h, $min) = $i->{start}
            =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):00\.000Z$/ or next;
        local $ENV{TZ} = 'UTC';
        POSIX::tzset();
        my $at = POSIX::mktime(0, $min, $h, $d, $m - 1, $y - 1900);
        $ENV{TZ} = $zone;
        POSIX::tzset();
        my @t = localtime $at;
        is("$t[2]:$t[1]", '0:0', "$zone: begins at midnight")
            if "$t[2]:$t[1]" ne '0:0';
        $got{strftime('%Y-%m-%d', @t)} += $i->{requests};
    }
    is_deeply(\%got, \%want, "days of $zone are those of its clocks");
}
delete $ENV{TZ};
POSIX::tzset();

my $minutes = 0;
my $since = int(($now - 12 * 86400_000) / 86400_000) * 86400_000;
my $span2 = 'from=' . strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $since / 1000);
for my $step (qw(step=minute step=hour step=day by=refused)) {
    my $sum = 0;
    my $u = usage("$span2&$step&status=5xx");
    diag(json_encode($u)) if ref $u ne 'ARRAY';
    $sum += $_->{requests} for @$u;
    $minutes ||= $sum;
    is($sum, $minutes, "minutes, hours, days: $step");
}
$r = $t->must('GET', "$base/usage?step=minute&from=2020-01-01T00:00:00Z");
like($r->{from}, qr/T00:00:00\.000Z$/, 'minutes: says since when');
cmp_ok($r->{from}, 'gt', '2026', 'there are some');
is($t->must('GET', "$base/usage?from=2026-11-01&to=2026-11-02"
   . '&zone=Asia/Kolkata')->{from}, '2026-10-31T18:30:00.000Z',
   'a date begins where the zone says');
is(usage('zone=Mars/Base')->{status}, 404, 'a zone that is none');
is(usage('zone=../../../etc/passwd')->{status}, 404, 'nor a path');

is(post($gw2, 999, [row(c2xx => 77)], file => '9' x 32,
    from_ms => 86400_000)->{json}{applied}, JSON::PP::true(), 'too late');
my $late = $t->metrics('control')->{stoa_control_usage_rows_late_total};
is($late, 1, 'what is older than what is kept is counted');
is(usage('from=1970-01-01T00:00:00Z&status=2xx&zone=UTC')->[0]{requests},
   usage('from=2020-01-01T00:00:00Z&status=2xx')->[0]{requests},
   'and not added');


# Filters, and a file

is(usage('status=7xx')->{status}, 400, 'a status that is none');
is(usage("api=orders&$span1")->[0]{requests}, $all, 'one api');
is(usage("operation=list&api=orders&$span1")->[0]{requests}, $all,
   'one operation, by its name');
is(usage('api=nowhere')->{status}, 404, 'an api that is none');
is(usage("application=app&$span1")->[0]{requests}, $all, 'an application');
my @many = map { $t->api('GET', "$base/usage?application=app&api=orders"
    . "&operation=list&refused=x&from=2020-01-01T11:20:00Z$_")->{status} }
    '', '&step=day', "&credential=$key->{id}";
is("@many", '200 200 200', 'several filters over many days');
is_deeply(usage('by=tool&from=2020-01-01'), [], 'tools alone');
is_deeply([map { $_->{refused} } @{ usage('refused=rate_exceeded&by=refused'
    . '&from=2020-01-01') }], ['rate_exceeded'], 'one refusal');
$span = 'from=2020-01-01';
is(of('other', "credential=$key->{id}"), '5', 'one key');
is(of('acme', "credential=$key->{id}"), '', 'of nobody else');

Test::Stoa::Feed::sql($t, "UPDATE operations SET method = '=X(\"1\")'");
for my $query ('by=operation', 'by=operation&step=day&zone=Asia/Kolkata',
               'by=operation&step=hour')
{
    $r = $t->api('GET', "$base/usage?format=csv&$query&$span1");
    is($r->{headers}{'content-type'},
       'text/csv; charset=utf-8; header=present', "csv: $query");
    my ($top, @lines) = split /\r\n/, $r->{body};
    my $want = $query =~ /step/ ? 'start,operation,status,requests'
                                : 'operation,status,requests';
    is($top, $want, 'its columns');
    my $sum = 0;
    $sum += (split /,/)[-1] for @lines;
    is($sum, $all, 'the same sum');
    like($lines[0], qr/"'=X\(""1""\) \/orders"/, 'no formula');
}
Test::Stoa::Feed::sql($t, "UPDATE operations SET method = 'GET'");
is($t->api('GET', "$base/usage?format=csv&from=2020-01-01&to=2020-01-02")
   ->{body}, 'requests,c2xx,c3xx,c4xx,c5xx,bytes_in,bytes_out,tokens_in,'
   . "tokens_out,tokens_cached,p50_us,p95_us,p99_us\r\n",
   'a file of nothing has its columns');

# tokens of language models, by the model that answered

my @models = (['gpt-4o', 100, 20, 40], ['gpt-4o', 1, 2, 0], ['', 7, 7, 0],
              ['claude-3', 10, 1, 0]);
my $tokens_at = $now - 3 * 86_400_000;
is(post($gw, 1, [map { row(model => $_->[0], tokens_in => $_->[1],
                           tokens_out => $_->[2], tokens_cached => $_->[3]) }
                 @models], file => 'd' x 32, from_ms => $tokens_at,
        to_ms => $tokens_at + 1000)->{json}{applied}, JSON::PP::true(),
   'tokens');
my $around = join '&', map { "$_->[0]=" . strftime('%Y-%m-%dT%H:%M:%SZ',
    gmtime(($tokens_at + $_->[1]) / 1000)) } [from => -60_000],
    [to => 120_000];
my @tokens = qw(model requests tokens_in tokens_out tokens_cached);
is_deeply([map { [@$_{@tokens}] } @{ usage("by=model&$around") }],
    [[undef, 1, 7, 7, 0], ['claude-3', 1, 10, 1, 0],
     ['gpt-4o', 2, 101, 22, 40]], '... by the model');
is(join(' ', @{ usage("model=gpt-4o&$around")->[0] }{qw(requests tokens_in)}),
   '2 101', '... of one alone');
is(join(' ', @{ usage($around)->[0] }{@tokens[1 .. 4]}), '4 118 30 40',
   '... and in the sum');
like($t->api('GET', "$base/usage?by=model&format=csv&$around")->{body},
     qr/^"gpt-4o",2,2,0,0,0,20,200,101,22,40,/m, '... as a file');
for my $by ('', 'api', 'application') {    # the views of quarters have them
    my $day = strftime('%Y-%m-%d', gmtime($tokens_at / 1000 - 86400));
    my $end = strftime('%Y-%m-%d', gmtime($tokens_at / 1000 + 2 * 86400));
    my $sum = 0;
    $sum += $_->{tokens_in} for @{ usage("from=$day&to=$end&step=day"
        . "&zone=%2B05:30&by=$by") };
    is($sum, 118, "... by days of another zone, by '$by'");
}

# nothing is counted of times to come, however many are asked for

for my $zone ('UTC', 'America/New_York') {
    for my $step (qw(minute hour day)) {
        my $all = "$base/usage?from=2026-01-01&to=9999-12-31&zone=$zone"
            . "&step=$step";
        is($t->api('GET', "$all&format=csv")->{status}, 200,
           "csv: $step of 8,000 years, $zone");
        $r = $t->must('GET', $all);
        cmp_ok($r->{to}, 'lt', strftime('%Y-%m-%d', gmtime(time + 4 * 86400)),
               'which end soon');
    }
}

# a slice of more rows than are asked for at once

my $many = 150_001;
my $long = (int(time / 86400) - 40) * 86_400_000;
Test::Stoa::Feed::sql($t, 'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT'
    . " n + 1 FROM c WHERE n < $many) INSERT INTO usage_day SELECT "
    . "'$id{other}', $long, '', 's' || n, '', '', '', '', '', '', 1"
    . ', 0' x 34 . ' FROM c');
my ($on, $off) = map { strftime('%Y-%m-%d', gmtime($long / 1000 + $_)) }
    0, 86400;

# and while it is read slowly, rows come in before and behind

my %had;
{
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                  PeerPort => $t->port('control')) or die;
    $s->sockopt(Socket::SO_RCVBUF(), 65536);
    print $s "GET /v1/tenants/other/usage?format=csv&from=$on&to=$off&step=day"
        . "&by=subscription HTTP/1.0\r\nAuthorization: Bearer $t->{token}"
        . "\r\n\r\n";
    my $body = '';
    sysread $s, $body, 4096, length $body while length $body < 65536;
    Test::Stoa::Feed::sql($t, "INSERT INTO usage_day SELECT '$id{other}',"
        . " $long, '', x || n, '', '', '', '', '', '', 1" . ', 0' x 34
        . ' FROM (SELECT 0 AS n UNION SELECT 1 UNION SELECT 2) c, (SELECT'
        . " 'a' AS x UNION SELECT 'z') d");
    1 while sysread $s, $body, 65536, length $body;
    $had{$_}++ for map { /^[^,]*,"(\w+)"/ } split /\r\n/,
        $body =~ s/^.*?\r\n\r\n//sr;
}
is((grep { /^s\d+$/ } keys %had) + 0, $many,
   'csv: a day of more rows than go at once');
is((grep { $_ > 1 } values %had) + 0, 0, '... each once');
is(join(' ', sort grep { /^[az]\d$/ } keys %had), 'z0 z1 z2',
   '... whatever comes in');
Test::Stoa::Feed::sql($t, "DELETE FROM usage_day WHERE start_ms = $long");

# a gateway speaks of what its group serves, and of no more than it can do

my $sum = sub { total() };
my $edge = Test::Stoa::Feed->new($t, 'edge', 'edge');
$t->must('POST', "$base/apis", { name => 'inner', kind => 'rest',
    upstream => { targets => [{ url => 'http://x' }] },
    gateway_groups => ['default'] });
$t->must('POST', "$base/apis/inner/publish");
my $inner = $t->must('GET', "$base/apis/inner")->{id};
my $far = '1' x 32;
my $batch = 0;
my $say = sub { my ($g, @rows) = @_;
                return post($g, ++$batch, [map { row(%$_) } @rows],
                            file => $far)->{json} };
my $had = $sum->();
is($say->($gw, { api => $inner, operation => '' })->{refused}, 0,
   'an api of the group');
is($sum->(), $had + 1, 'counts');
for my $case (
    ['an api of another group', { api => $inner, operation => '' }],
    ['no such tenant', { tenant => '0' x 16 }],
    ['no such application', { application => '0' x 16 }],
    ['no such api', { api => '0' x 16 }],
    ['no tenant, but an api', { tenant => '' }],
) {
    my $r = $say->($edge, {}, $case->[1]);
    is($r->{refused}, 1, "$case->[0]: refused");
    is($sum->(), ++$had + 1, "$case->[0]: what is beside it counts");
}
is($say->($edge, { operation => '0' x 16, subscription => $id{app} })
   ->{refused}, 0, 'an operation and a subscription that are not there');
is($sum->(), ++$had + 1, 'are counted without');
my $by = $t->must('GET', "$base/usage?by=operation,subscription");
unlike(json_encode($by), qr/0{16}/, 'without them');
$t->must('POST', "$base/apis/inner/retire");
is($say->($gw, { api => $inner, operation => '' })->{refused}, 0,
   'the last calls of an api that is gone');
is($sum->(), ++$had + 1, 'count');

for my $case (
    ['too many requests', [row(c2xx => 2 ** 40)], {}, 422],
    ['in many rows', [map { row(c2xx => 4_000_000) } 1 .. 1000], {}, 422],
    ['too many bytes', [row(bytes_out => 2 ** 50)], {}, 422],
    ['too many tokens', [row(tokens_in => 2 ** 50)], {}, 422],
    ['a model that is none', [row(model => "a\nb")], {}, 422],
    ['one that is too long', [row(model => 'm' x 56)], {}, 422],
    ['a time that never was', [row(c2xx => 2 ** 40)], { from_ms => 0, to_ms => 1 }, 422],
) {
    my ($name, $rows, $o, $status) = @$case;
    $had = $sum->();
    is(post($gw2, ++$batch, $rows, file => '2' x 32, %$o)->{status}, $status,
       "$name: $status");
    is($sum->(), $had, "$name: not counted") if $status != 200;
}
is(post($gw, 2 ** 62, [row()], file => $far)->{status}, 422,
   'a number that cannot follow');
is($say->($gw, {})->{applied}, JSON::PP::true(), 'the file goes on');
is(post($gw, 2 ** 62, [], file => '3' x 32)->{status}, 422,
   'nor begin');
post($gw2, 1, [], file => sprintf '%032x', $_) for 1 .. 70;
is(post($gw2, 1, [], file => sprintf('%032x', 70))->{json}{applied},
   JSON::PP::false(), 'a file is known');
is(post($gw2, 1, [], file => sprintf('%032x', 1))->{json}{applied},
   JSON::PP::true(), 'but of many the oldest ones are forgotten');

# what a gateway refused stands in the audit log of whose api it was

my $news = Test::Stoa::Feed->new($t, 'news', 'default');
my %ids = map { $_ => $t->must(GET => "/v1/tenants/acme/$_")->{id} }
    'apis/orders', 'applications/app';
my $acme = $t->must(GET => '/v1/tenants/acme')->{id};
sub told {
    my ($batch, $rows, %o) = @_;
    return $news->call('POST', '/gateway/v1/news', { table => 'a' x 32,
        batch => $batch, news => [map { { tenant => $acme, count => 3,
            refused => 'key_invalid', first_ms => 1_000_000_000_000, last_ms => 9_000_000_000_000_000,
            %$_ } } @$rows], %o });
}
sub denied {
    return join "\n", sort map { my $d = $_->{diff}; join ' ', $_->{actor},
        $_->{name} // '-', map { $d->{$_} // '-' } qw(reason count network
        application) } @{ $t->must(GET =>
        '/v1/audit?tenant=acme&action=deny&kind=call')->{items} };
}
my $row = { api => $ids{'apis/orders'}, address => '192.0.2.77' };
my $nr = told(1, [$row, { application => $ids{'applications/app'},
    refused => 'not_subscribed', address => '2001:db8:1:2::3' },
    { tenant => '0123456789abcdef' }]);
is($nr->{status}, 200, 'news of a gateway') or diag($nr->{body});
ok($nr->{json}{applied}, 'are taken');
is($nr->{json}{refused}, 1, 'but of what is not there');
is(denied(), "news  not_subscribed 3 2001:db8:1::/48 acme/app\n"
   . 'news orders key_invalid 3 192.0.2.0/24 -',
   'in the chain, by network');
my ($event) = @{ $t->must(GET => '/v1/audit?tenant=acme&action=deny')
    ->{items} };
cmp_ok($event->{diff}{last}, 'le', $event->{at}, 'not from the future');
ok(!told(1, [$row])->{json}{applied}, 'what comes again');
is(scalar(() = denied() =~ /^news/mg), 2, 'is there once');
ok(told(1, [$row], table => 'b' x 32)->{json}{applied}, 'another table');
is(told(2, [($row) x 65])->{status}, 422, 'too many rows at once');
is(told(3, [($row) x 64])->{status}, 200, 'as many as may be');
is(told(4, [($row) x 64])->{status}, 429, 'too many a minute');
told(1, [], table => sprintf '%032x', $_) for 1 .. 210;
is(told(4, [($row) x 64])->{status}, 429,
   'nor when empty ones of many tables were told in between');
is($t->must(GET => '/v1/audit/verify?tenant=acme')->{ok}, JSON::PP::true,
   'the chain is whole');

$t->done;
