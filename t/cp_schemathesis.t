#!/usr/bin/perl

# schemathesis, all its checks, over the whole served document, with an admin's
# and a gateway's token: nothing that the document does not say.
#
# The names of what is there are in the paths, so that most calls get past
# 404; deletions go to a tenant that is not there, or the world would be gone.
# The seed is fixed.  STOA_FUZZ_EXAMPLES=N looks longer, STOA_FUZZ_SEED=N
# elsewhere.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new;
$t->has('schemathesis');
$t->control;

# What it says and is right all the same: operation, what it calls it, the
# answer; why.

my @EXCLUDED = (
    [qr{^(?:GET|DELETE) /mcp$}, qr/ST202/, qr/^405/,
     'these two are there to be refused: no streams, no sessions'],
    [qr{^POST /mcp$}, qr/ST20[12]/, qr/^(?:400|200)/,
     'JSON-RPC has its own errors, below HTTP'],
    [qr{^GET /gateway/v1/feed$}, qr/ST202/, qr/^(?:400|410)/,
     'epoch goes with since, and names a database'],
    [qr{^GET /v1/can-i$}, qr/ST202/, qr/^400.*no such thing to do/s,
     'which verbs a kind has stands in its x-transitions'],
    [qr{^POST /v1/mails/test$}, qr/ST101|ST202/, qr/^503.*no mail server/s,
     'none is configured here'],
    [qr{^GET /v1/inbox$}, qr/ST202/, qr/^400.*is needed with an api/s,
     'an api is named below a tenant'],
    [qr{^GET /v1/notices$}, qr/ST202/, qr/^400.*no kind of notice/s,
     'which kinds there are grows with what is told'],
    [qr{^POST /v1/tenant-imports$}, qr/ST202/, qr/^400.*(?:no tenant in it|of one tenant alone)/s,
     'documents of anything else are none of a tenant'],
    [qr{^POST /v1/(?:apply|diff)$}, qr/ST201/,
     qr/^20[02].*"expires_at": "(?:19|20[01])/s,
     'what has ended already is not made, whatever else it says'],
    [qr{^OPTIONS .*/credentials/import$}, qr/ST205/, qr/^405/,
     'the path is that of a credential, too'],
    [qr{/plan-preview$}, qr/ST201/, qr/^200/,
     'it changes nothing that somebody could have changed'],
    [qr{/usage$}, qr/ST202/, qr/^400.*(?:from must be before|of one tenant)/s,
     'two parameters that contradict each other'],
);

$t->apply(docs(doc('GatewayGroup', undef, 'prod'), tenant('acme'),
    plan('acme', 'gold', rate => 10), app('acme', 'app'),
    rest('acme', 'orders', 'http://127.0.0.1:1',
         operations => [{ name => 'x', method => 'GET', path => '/x' }]),
    doc('Server', 'acme', 'desk'),
    sub_('acme', 'app', 'orders', 'gold'),
    doc('Policy', 'acme', 'cors', { type => 'cors',
        config => { origins => ['https://a.example'] } })));
my $gateway = $t->must(POST => '/v1/gateways',
                       { name => 'gw', group => 'prod' })->{token};

# It reads no streams of YAML, and ends without a word at the first; of events
# it waits for the end.

my $doc = $t->api('GET', '/v1/openapi.json')->{json};
my @streams = grep { my $all = $doc->{paths}{$_};
    grep { my $of = $_->{responses}{200}{content} || {};
           $of->{'application/yaml'} || $of->{'text/event-stream'} }
        values %$all
} sort keys %{ $doc->{paths} };
my $streams = join '', map { <<"END" } @streams;
[[operations]]
include-path = "$_"
enabled = false

END

my $seed = $ENV{STOA_FUZZ_SEED} || 1;
my $examples = $ENV{STOA_FUZZ_EXAMPLES} || 3;
$t->write_file('st.toml', <<"END");
seed = $seed
continue-on-failure = true
max-failures = 10000
workers = 1                             # Python 3.11 reads no code in two threads

[auth.openapi]
admin = { bearer = "\${ADMIN}" }
gateway = { bearer = "\${GATEWAY}" }

[generation]
max-examples = $examples
no-shrink = true
database = "none"
allow-x00 = false                       # in a path: 400, as in every text

[parameters]
"path.tenant" = "acme"
"path.api" = "orders"
"path.application" = "app"
"path.plan" = "gold"
"path.server" = "desk"
"path.operation" = "x"
"path.policy" = "cors"
"path.gateway_group" = "prod"
"query.cursor" = ""                     # made by us alone

# what a schema cannot say: that a reference names something (422), what a
# state allows (409), what others did meanwhile (412)
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "412", "422",
                     "429"]

[checks.negative_data_rejection]
expected-statuses = ["4xx"]

$streams
[[operations]]
include-method = "DELETE"
parameters = { "path.tenant" = "none" }
END

# all phases once in a CI, where it is fastest

my $whole = $t->{db} ne 'pg' && $Test::Stoa::Base::SLOW == 1;
my ($code, $out, $err) = $t->run_cmd(
    ["$Test::Stoa::PARTS/schemathesis/venv/bin/schemathesis", '--config-file',
     $t->dir('st.toml'), 'run', $t->control_url . '/v1/openapi.json',
     $whole ? () : ('--phases', 'examples,fuzzing,stateful'),
     '--report', 'json', '--report-json-path', $t->dir('report.json')],
    cwd => $t->dir, timeout => 600, env => {
        ADMIN => $t->{token}, GATEWAY => $gateway, HOME => $t->dir,
        COLUMNS => 200, no_proxy => '*', NO_PROXY => '*' });

my $report = json_decode(slurp($t->dir('report.json'))) || {};
my $routes = -1;                        # the document itself is none
$routes += keys %$_ for values %{ $doc->{paths} };
$routes -= keys %{ $doc->{paths}{$_} } for @streams;
is($report->{stop_reason}, 'completed', 'the run is complete') or diag $out;
cmp_ok($report->{operations}{tested}, '>=', $whole ? $routes : $routes - 5,
       'every route is tried') or diag $out;
cmp_ok($report->{test_cases}{generated}, '>', $whole ? 10_000 : 1000,
       'many times');
is(join("\n", map { "$_->{title}: $_->{count}" } @{ $report->{errors} }), '',
   'nothing that it could not try') or diag $out;

# Failures by operation, from the text that people read.

my ($text) = $out =~ /=+ FAILURES =+\n(.*?)\n=+ (?:WARNINGS|SUMMARY) =/s;
my ($op, @found, $parsed);
for (split /^(?=_+ [A-Z]+ \S+ _+$)/m, $text // '') {
    s/\A_+ ([A-Z]+ \S+) _+\n// and $op = $1;
    for my $case (split /^(?=\d+\. Test Case ID)/m) {
        my $said = join ' ', $case =~ /^- (ST\d+.*)$/mg or next;
        my ($answer) = $case =~ /^\[(\d+\].*)/ms;
        $parsed++;
        next if grep { $op =~ $_->[0] && $said =~ $_->[1]
                       && ($answer // '') =~ $_->[2] } @EXCLUDED;
        push @found, "$op: $case";
    }
}
is(join("\n", @found), '', 'nothing but what is excluded');
my $unparsed = $code != 0 && !$parsed;
ok(!$unparsed, 'its report is understood') or diag $out, $err;
ok($t->alive('control'), 'the control plane lives');

$t->done;
