#!/usr/bin/perl

# Why was my call refused?  The request's id leads to a trace: which step, which
# row of what, what was left; and what it never holds.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Feed;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;
my $to = 'http://127.0.0.1:' . $t->origin(sub { [200, [], 'ok'] });

$t->apply(docs(tenant('acme'), tenant('other'), app('acme', 'demo'),
    plan('acme', 'slow', rate => 1, per_ms => 600_000),
    plan('acme', 'daily', quota_day => 1, quota_month => 50),
    plan('acme', 'free'),
    (map { rest('acme', $_->[0], $to), sub_('acme', 'demo', @$_) }
     ['slow', 'slow'], ['daily', 'daily'], ['office', 'free'],
     ['trial', 'free'], ['open', 'free']),
    rest('acme', 'alone', $to),
    rest('acme', 'gone', 'http://127.0.0.1:1'),
    sub_('acme', 'demo', 'gone', 'free'),
    plan('other', 'tight', rate => 1, per_ms => 600_000),
    rest('other', 'lent', $to, audience => 'public'),
    sub_('acme', 'demo', 'lent', 'tight', target_tenant => 'other'),
    doc('Policy', 'acme', 'office-only', { type => 'ip-filter',
        config => { deny => ['127.0.0.0/8'] },
        attach => [{ api => 'office' }] }),
    doc('Policy', 'acme', 'maybe', { type => 'ip-filter', state => 'shadow',
        config => { deny => ['127.0.0.0/8'] },
        attach => [{ api => 'trial' }] })));
$t->gateway;
$t->gateway(name => 'all', workers => 2, http => "stoa_trace_sample 1;\n",
            location => 'error_page 502 = /apis/acme/open/;');
my $key = $t->key('acme', 'demo');
$t->sync;
$t->sync('all');

sub call {
    my ($path, %o) = @_;
    return $t->get("/apis/acme/$path", key => $key, %o);
}
sub traces {
    my ($query, $gw) = @_;
    return $t->get("/stoa/traces?$query", gateway => $gw // 'gw');
}

# The trace of an answer, which is kept after it has left.

sub trace {
    my ($r, $gw) = @_;
    my $found;
    wait_until {
        my $x = traces("request_id=$r->{headers}{'x-request-id'}", $gw);
        $found = $x->{json}{items}[-1] if $x->{status} == 200;
        return defined $found;
    } 5;
    return $found // {};
}
sub refused {
    my ($trace) = @_;
    my @r = grep { $_->{verdict} eq 'refused' && $_->{type} }
        @{ $trace->{steps} };
    @r = grep { $_->{verdict} eq 'refused' } @{ $trace->{steps} } if !@r;
    return $r[0] // {};
}
sub same_story {
    my ($r, $trace, $what) = @_;
    is("$trace->{status} $trace->{code}", "$r->{status} $r->{json}{code}",
       "$what: trace and answer say the same");
}


# ---- refused, without any preparation -------------------------------------

call('slow/');
my $r = call('slow/x?secret=hunter2');
is($r->{status}, 429, 'a call too many');
my $tr = trace($r);
same_story($r, $tr, 'rate');
is_deeply([@{ refused($tr) }{qw(step type from)}], ['judge', 'rate', 'plan'],
          'the rate of the plan did it');
is($tr->{plan}, 'slow', 'of this plan');
my ($l) = grep { $_->{refused} } @{ $tr->{limits} };
is("$l->{limit} $l->{left} of $l->{of}", 'rate 0 of 1', 'what is left of it');
cmp_ok($l->{retry_ms}, '>', 500_000, 'and until when');
is(join(' ', map { $_->{step} } grep { $_->{verdict} eq 'ok' }
        @{ $tr->{steps} }), 'route conceal admit upgrade authenticate'
   . ' operation subscription', 'the steps before have said yes');
is_deeply([@$tr{qw(tenant api consumer application edge method path)}],
          [qw(acme slow acme demo rest GET /apis/acme/slow/x)],
          'who called what');

call('daily/');
$r = call('daily/');
$tr = trace($r);
same_story($r, $tr, 'quota');
is(refused($tr)->{type}, 'quota', 'the quota');
($l) = grep { $_->{refused} } @{ $tr->{limits} };
is("$l->{limit} $l->{left} of $l->{of}", 'day 0 of 1', 'of the day');

$r = call('office/');
$tr = trace($r);
same_story($r, $tr, 'ip-filter');
is_deeply([@{ refused($tr) }{qw(type policy scope from)}],
          [qw(ip-filter office-only api api)], 'this policy, attached here');

$r = call('open/', key => undef);
$tr = trace($r);
same_story($r, $tr, 'no key');
is_deeply([@{ refused($tr) }{qw(step type from)}],
          [qw(authenticate key default)], 'what is in force by itself');
ok(!exists $tr->{consumer}, 'nobody is known');

$r = call('open/', key => 'stoa_live_nonsense');
$tr = trace($r);
same_story($r, $tr, 'a wrong key');

$r = call('alone/');
$tr = trace($r);
same_story($r, $tr, 'no subscription');
is(refused($tr)->{step}, 'subscription', 'which step');

$r = call('nothing/');
same_story($r, trace($r), 'no such api');
is(refused(trace($r))->{step}, 'route', 'no route');

$r = $t->http('POST', '/mcp/acme', gateway => 'gw', key => 'stoa_live_no',
    json => { jsonrpc => '2.0', id => 1, method => 'ping' },
    headers => { Accept => 'application/json, text/event-stream' });
$tr = trace($r);
is("$tr->{edge} $tr->{status} $tr->{code}", "mcp $r->{status} key_invalid",
   'MCP: the same');
is_deeply([@{ refused($tr) }{qw(step type)}], [qw(authenticate key)],
          'at its own step');

$t->allow_log(qr/connect\(\) failed/, qr/no live upstreams/);
$r = call('gone/');
$tr = trace($r);
same_story($r, $tr, 'no upstream');
is(refused($tr)->{step}, 'upstream', 'all steps passed, the upstream did not');

$r = call('open/');
is($r->{status}, 200, 'a call that passes');
is(traces("request_id=$r->{headers}{'x-request-id'}")->{status}, 404,
   'leaves no trace where nothing is sampled');
is(traces('request_id=never')->{status}, 404, 'nor does what never was');


# ---- all steps, with their times -------------------------------------------

$r = call('trial/', gateway => 'all');
is($r->{status}, 200, 'a sampled call');
$tr = trace($r, 'all');
ok($tr->{sampled}, 'is traced');
is(scalar(grep { !defined $_->{us} } grep { $_->{step} ne 'upstream' }
          @{ $tr->{steps} }), 0, 'each step has its time');
my %by = map { (($_->{type} // $_->{step}) => $_) } @{ $tr->{steps} };
is($by{key}{verdict}, 'ok', 'the key was good');
is($by{$_}{verdict}, 'ok', "$_ said yes") for qw(subscription forward upstream);
is_deeply([@{ $by{'ip-filter'} }{qw(verdict policy)}],
          ['would_refuse', 'maybe'], 'a shadow is marked as one');
like($by{upstream}{target}, qr/^127\.0\.0\.1:\d+$/, 'where it went');

call('slow/', gateway => 'all');
$tr = trace(call('slow/', gateway => 'all'), 'all');
is($tr->{status}, 429, 'refused and sampled');
is(refused($tr)->{type}, 'rate', 'the same row');

$r = call('gone/', gateway => 'all');
is($r->{status}, 200, 'a call that nginx leads elsewhere');
$tr = trace($r, 'all');
is($tr->{api}, 'open', 'has the trace of where it ended');
is(scalar(grep { $_->{step} eq 'route' } @{ $tr->{steps} }), 1,
   'and of nothing before');


# ---- as a list, as events, for a tenant -----------------------------------

my $list = traces('tenant=acme')->{json};
cmp_ok(scalar @{ $list->{items} }, '>', 5, 'what one tenant has to do with');
is(scalar @{ traces('tenant=other')->{json}{items} }, 0,
   'another tenant has nothing to do with it');
is(traces('tenant=nobody')->{status}, 404, 'no such tenant');
is(scalar @{ traces("after=$list->{next}&tenant=acme")->{json}{items} }, 0,
   'and nothing is younger');
is(traces('after=x')->{status}, 400, 'a number');

$r = $t->get('/stoa/traces?tenant=acme',
             headers => { Accept => 'text/event-stream' });
is($r->{headers}{'content-type'}, 'text/event-stream', 'events');
my @id = $r->{body} =~ /^id: (\d+)\ndata: \{"request_id":/mg;
is(scalar @id, scalar @{ $list->{items} }, 'one each');
is("@id", join(' ', sort { $a <=> $b } @id), 'the oldest first');
$r = $t->get('/stoa/traces?tenant=acme', headers =>
    { Accept => 'text/event-stream', 'Last-Event-ID' => $id[-1] });
unlike($r->{body}, qr/data:/, 'who comes back gets what is new');

my $all = traces('')->{body} . traces('', 'all')->{body};
unlike($all, qr/hunter2/, 'no query in a trace');
unlike($all, qr/\Q$key\E|stoa_live_nonsense/, 'no key');
is($t->http('POST', '/stoa/traces')->{status}, 405, 'only to read');


# ---- for a tenant's people, by the control plane ---------------------------

sub asked {
    my ($id, $tenant, %o) = @_;
    my $found;
    wait_until {
        $found = $t->api('GET', "/v1/tenants/$tenant/traces/$id", undef, %o);
        return $found->{status} != 404;
    } 5;
    return $found;
}
my $of = sub { $t->must(POST => '/v1/admin-tokens', { name => "of-$_[0]",
    role => 'viewer', tenant => $_[0] })->{token} };
my %token = map { ($_ => $of->($_)) } qw(acme other);

$r = call('slow/x?secret=hunter2');
my $id = $r->{headers}{'x-request-id'};
$tr = asked($id, 'acme', token => $token{acme});
is($tr->{status}, 200, 'its people get the trace of a refusal');
same_story($r, $tr->{json}, 'asked of the control plane');
is(refused($tr->{json})->{type}, 'rate', 'with what refused it');
is($tr->{headers}{'cache-control'}, 'no-store', 'nobody keeps it');
is($t->api('GET', "/v1/tenants/acme/traces/$id", undef,
           token => $token{other})->{status}, 404, 'not for another tenant');
my $none = $t->api('GET', "/v1/tenants/other/traces/$id", undef,
                   token => $token{other});
is($none->{status}, 404, 'who had nothing to do with it');
like($none->{json}{detail}, qr/no gateway has a trace/, 'and is told so');
is($t->api('GET', '/v1/tenants/acme/traces/never', undef,
           token => $token{acme})->{status}, 404, 'what never was');
is($t->api('GET', '/v1/tenants/acme/traces/' . 'x' x 65)->{status}, 404,
   'what cannot be');
is($t->api('GET', '/v1/tenants/acme/traces/%22%7b%0a')->{status}, 404,
   'what is no id');

$r = call('trial/', gateway => 'all');
is(asked($r->{headers}{'x-request-id'}, 'acme')->{json}{sampled},
   JSON::PP::true, 'of whichever gateway it was');

my ($code, $out) = $t->stoactl('trace', $id, '-t', 'acme');
is($code, 0, 'stoactl trace');
like($out, qr/^code +rate_exceeded$/m, 'says why');
like($out, qr/^judge +refused +rate /m, 'and where');
like($out, qr/^rate +1 +0 /m, 'and what was left');
($code, $out, my $err) = $t->stoactl('trace', 'never', '-t', 'acme');
is($code, 3, 'stoactl trace: none');
like($err, qr/no gateway has a trace/, 'and says so');

my $last = $t->api('GET', '/v1/tenants/acme/traces', undef,
                   token => $token{acme});
is($last->{status}, 200, 'the last ones of a tenant');
is("$last->{json}{asked} $last->{json}{answered}", '2 2', 'of all gateways');
my @at = map { $_->{at_ms} } @{ $last->{json}{items} };
is("@at", join(' ', sort { $b <=> $a } @at), 'the youngest first');
ok((grep { $_->{request_id} eq $id } @{ $last->{json}{items} }),
   'a refusal is among them');
ok((grep { $_->{sampled} } @{ $last->{json}{items} }), 'and a sampled call');
is_deeply($t->api('GET', '/v1/tenants/other/traces', undef,
    token => $token{other})->{json}{items}, [], 'another tenant has none');
($code, $out) = $t->stoactl('trace', '-t', 'acme');
is($code, 0, 'stoactl trace, without an id');
like($out, qr/^\Q$id\E +429 +rate_exceeded +acme +slow /m, 'has a line for it');

# What is no text.

$r = call("alone/%7f%ff/%c3%bc/" . 'x%e2%82%ac' x 100);
$tr = asked($r->{headers}{'x-request-id'}, 'acme', token => $token{acme});
is($tr->{status}, 200, 'a path that is no text has a trace');
same_story($r, $tr->{json}, 'a path that is no text');
like($tr->{json}{path}, qr{^/apis/acme/alone/\?\?/\xfc/(?:x\x{20ac})+x?\?*$},
     'without what is none');
$last = $t->api('GET', '/v1/tenants/acme/traces', undef,
                token => $token{acme})->{json};
is("$last->{asked} $last->{answered}", '2 2', 'nor does it hide the others');
ok((grep { $_->{request_id} eq $r->{headers}{'x-request-id'} }
    @{ $last->{items} }), 'it is among them');
ok((grep { $_->{request_id} eq $id } @{ $last->{items} }), 'as they are');


# Whose call it was, and whose api.

$r = $t->get('/apis/other/lent/', key => $key);
$r = $t->get('/apis/other/lent/', key => $key);
is($r->{status}, 429, 'a call of an api of another tenant');
my %side = map { ($_ => asked($r->{headers}{'x-request-id'}, $_,
                              token => $token{$_})->{json}) } qw(acme other);
is_deeply([@{ refused($side{$_}) }{qw(type from)}], [qw(rate plan)],
          "$_ sees what refused it") for qw(acme other);
ok(refused($side{other})->{id}, 'whose api it is sees which record that is');
ok(!exists refused($side{acme})->{id}, 'who calls does not');
ok($side{acme}{credential} && !$side{other}{credential},
   'keys are of who calls');
is("$side{other}{consumer} $side{other}{application}", 'acme demo',
   'whose call it was');


# A gateway that says what is none, or answers for another one.

my $odd = Test::Stoa::Feed->new($t, 'odd', 'default');
sub says {
    my ($wait, @answers) = @_;
    return $odd->call('POST', '/gateway/v1/questions',
        { answers => \@answers }, timeout => 40,
        headers => $wait ? { Prefer => "wait=$wait" } : {});
}
is($t->api('POST', '/gateway/v1/questions', { answers => [] })->{status}, 401,
   'questions are for gateways');
is(says(0, map { +{ id => 'x', answer => '' } } 1 .. 9)->{status}, 422,
   'too many answers');
is(says(0, { id => 'x', answer => '' })->{status}, 422, 'to no question');
is(says(0, { id => '0' x 16, answer => '{}' })->{status}, 200,
   'to one that nobody asks any more');
is_deeply(says(1)->{json}, { questions => [] }, 'it waits, and is asked nothing');
for (['[1]', 'no object'], ['{"a":', 'no JSON'], ['', 'nothing']) {
    my $asks = Test::Stoa::HTTP->connect($t->port('control'));
    $asks->send_raw($asks->request_text('GET', '/v1/tenants/acme/traces/never',
        headers => { Authorization => "Bearer $token{acme}" }));
    my $q = says(30)->{json}{questions}[0];
    is($q->{trace}, 'never', "$_->[1]: the question");
    says(0, { id => $q->{id}, answer => $_->[0] });
    is($asks->response(timeout => 10)->{status}, 404, "$_->[1]: is no trace");
}


my $asks = Test::Stoa::HTTP->connect($t->port('control'));
$asks->send_raw($asks->request_text('GET', '/v1/tenants/acme/traces/never',
    headers => { Authorization => "Bearer $token{acme}" }));
my $q = says(30)->{json}{questions}[0];
$r = says(0, { id => 'x', answer => '' }, { answer => '' },
          { id => $q->{id}, answer => '{"request_id":"told"}' });
is($r->{status}, 422, 'answers that are none');
is_deeply([map { $_->{field} } @{ $r->{json}{errors} }],
          ['answers[0].id', 'answers[1].id'], 'are named');
is(JSON::PP::decode_json($asks->response(timeout => 10)->{body})->{request_id},
   'told', 'and take no other one with them');


# ---- bounded ---------------------------------------------------------------

call('alone/') for 1 .. 400;
wait_until { ($t->metrics->{stoa_traces_dropped_total} // 0) > 0 } 5;
my $m = $t->metrics;
cmp_ok($m->{stoa_traces_kept_total}, '>=', 400, 'traces are counted');
cmp_ok($m->{stoa_traces_dropped_total}, '>', 0, 'old ones make room');
$id = call('alone/last')->{headers}{'x-request-id'};
is(asked($id, 'acme')->{status}, 200, 'the youngest of many is found');
ok((grep { $_->{request_id} eq $id }
    @{ $t->api('GET', '/v1/tenants/acme/traces')->{json}{items} }),
   'and is in the list');

# A restart forgets them, and who had seen all of them gets the next ones.

my $next = traces('')->{json}{next};
$t->stop('gw');
$t->start_nginx('gw');
$t->sync;
$id = call('alone/')->{headers}{'x-request-id'};
trace({ headers => { 'x-request-id' => $id } });
is(join(' ', map { $_->{request_id} }
        @{ traces("after=$next")->{json}{items} }), $id, 'after a restart');

$t->done;
