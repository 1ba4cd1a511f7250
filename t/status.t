#!/usr/bin/perl

# What the gateway says about itself: status, readiness, metrics, variables;
# stoa_max_stale.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t, down => 1);
my $port = $t->origin;

my $log = join ' ', map { "\$stoa_$_" } qw(tenant application api operation
    plan subscription credential refusal revision rate_limit rate_remaining
    rate_reset upstream_scheme upstream_host upstream_uri);

sub http { return "log_format vars '$log';\n" . ($_[0] // '') }
sub metric { return $t->metrics->{ $_[0] } // 'none' }

$t->gateway(workers => 2, wait => 0, http => http("stoa_max_stale 5s;\n"),
    server => 'access_log logs/vars.log vars;
               location = /few { stoa_metrics apis=0; }');


# before anything is known

is($t->get('/stoa/ready')->{status}, 503, 'not ready');
is($t->get('/apis/acme/echo/', key => 'x')->{json}{code}, 'not_ready',
   'calls are refused as not_ready');
my $s = $f->status_of;
ok(!$s->{ready}, 'status tells');
is($s->{revision}, 0, 'no revision');
wait_until { ($f->status_of->{sync}{state} // '') eq 'failing' } 5;
$s = $f->status_of;
is($s->{sync}{state}, 'failing', 'the sync fails');
like($s->{sync}{error}, qr/connect/i, 'and says why');
is($s->{sync}{age_ms}, -1, 'there was never any contact');
is(metric('stoa_ready'), 0, 'stoa_ready 0');
is(metric('stoa_feed_age_seconds'), '-1.000', 'stoa_feed_age_seconds -1');
is($t->http('POST', '/stoa/status')->{status}, 405, 'POST is not for it');
is($t->http('HEAD', '/stoa/status')->{status}, 200, 'HEAD is');


# in force

my $key = $f->world($port, rate => 100, burst => 50, per_ms => 60000);
$f->api(1, $port, operations => [{ id => 'e' . '0' x 14 . '1',
    method => 'GET', path => '/x/{id}', enabled => \1 }]);
$f->save;
$f->listen;
ok($f->ready, 'ready');
my $r = $t->get('/stoa/ready');
is_deeply([@$r{qw(status)}, $r->{json}{revision}], [200, $f->{rev}],
          '200 and the revision');
is($r->{headers}{'cache-control'}, 'no-store', 'nobody caches it');

$s = $f->status_of;
is($s->{workers}, 2, 'two workers');
is($s->{sync}{state}, 'connected', 'connected');
is($s->{gateway}, 'g' . '0' x 14 . '1', 'the gateway is named');
ok(!grep(/A{32}/, $t->get('/stoa/status')->{body}), 'the token is not');
cmp_ok($s->{store}{bytes}, '>', 0, 'the store has a size');

truncate $t->dir('gw/logs/vars.log'), 0;   # an old worker may answer yet
$t->reload;
$f->ready;
is($t->get('/apis/acme/echo/x/7?q', key => $key)->{status}, 200, 'a call');
is($t->get('/apis/acme/echo/x/7')->{status}, 401, 'without a key');
is($t->get('/apis/acme/none/x/7', key => $key)->{status}, 404, 'nowhere');
wait_until {
    my $log = slurp($t->dir('gw/logs/vars.log'));
    $log =~ /key_missing.*\n/ && $log =~ /no_route.*\n/ && $log =~ /^acme .*\n/m
} 5;
my %row = map { my @v = split / /; ($v[7] => \@v) }
    split /\n/, slurp($t->dir('gw/logs/vars.log'));
my ($c) = grep { $_->[0] eq 'acme' } values %row;
is_deeply([@$c[0 .. 8]], ['acme', 'demo', 'echo', '/x/{id}', 'free',
    's' . '0' x 14 . '1', 'c' . '0' x 14 . '1', '-', $f->{rev}],
    'variables of a call');
is($c->[10], 49, 'calls left');
is_deeply([@$c[12, 14]], ['http', '/x/7?q'], 'where it went');
is($row{key_missing}[0], '-', 'no tenant without a key');
ok($row{no_route}, 'the code of a refusal');

# what is counted is counted when the answer has left
my $m;
wait_until {
    $m = $t->metrics;
    $m->{'stoa_requests_total{class="2xx"}'} >= 1
        && $m->{'stoa_refused_total{code="key_missing"}'}
        && $m->{'stoa_api_requests_total{tenant="acme",api="echo",class="2xx"}'}
} 5;
cmp_ok($m->{'stoa_requests_total{class="2xx"}'}, '>=', 1, 'requests');
cmp_ok($m->{'stoa_refused_total{code="key_missing"}'}, '>=', 1, 'refusals');
is($m->{'stoa_request_duration_seconds_bucket{le="+Inf"}'},
   $m->{'stoa_request_duration_seconds_count'}, 'the histogram adds up');
is($m->{'stoa_records{kind="api"}'}, 1, 'records');
is($m->{stoa_revision}, $f->{rev}, 'revision');
is($m->{stoa_ready}, 1, 'ready');
is(join(' ', sort grep { /acme|demo|echo/ } keys %$m),
   join(' ', map { qq(stoa_api_requests_total{tenant="acme",api="echo",)
                   . qq(class="${_}xx"}) } 1 .. 5),
   'no label from the configuration but of apis');
cmp_ok($m->{'stoa_api_requests_total{tenant="acme",api="echo",class="2xx"}'},
       '>=', 1, 'calls of an api have its name');
sub named { my ($from) = @_;
    my %m = map { /^(\S+) (\d+)$/ ? ($1 => $2) : () }
        split /\n/, $t->get($from)->{body};
    return join ' ', sort grep { /^stoa_api.*2xx/ && $m{$_} } keys %m }
like(named('/few'), qr/^\S+tenant="",api="other",class="2xx"\}$/,
   'beyond so many, all are one');

my $before = $m->{'stoa_requests_total{class="2xx"}'};
$t->reload;
$f->ready;
is($t->get('/apis/acme/echo/x/7', key => $key)->{status}, 200, 'one more');
ok((wait_until { metric('stoa_requests_total{class="2xx"}') > $before } 10),
   'a reload does not set counters back')
    or diag(join "\n", map { "$_ $m->{$_}" } grep { /requests|refused/ }
            sort keys %{ $m = $t->metrics });


# too old

$f->down;
my $gone = wait_until { $t->get('/stoa/ready')->{status} == 503 } 15;
is($gone, 1, 'older than stoa_max_stale: not ready');
is($t->get('/apis/acme/echo/x/7', key => $key)->{json}{code}, 'not_ready',
   'calls are refused');
$t->stop('gw');
$t->start_nginx('gw');
wait_until { $t->get('/stoa/ready')->{status} } 5;
is($t->get('/stoa/ready')->{status}, 503, 'a restart does not make it young');
$f->listen;
is((wait_until { $t->get('/stoa/ready')->{status} == 200 } 20), 1,
   'contact does');

$f->done;
