#!/usr/bin/perl

# Plans, states and usage hold for MCP as for REST, and are told in JSON-RPC.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;
my $port = $t->mcp_origin(name => 'm', tools => { one => sub { 1 },
                                                  two => sub { 2 } });
my $slow = $t->mcp_origin(name => 's', tools => { wait => sub {
    select undef, undef, undef, 1; 'done' } });
$t->apply(demo(mcp => { m => $port, s => $slow })
    . document('Plan', 'acme', 'tight', "rate: 3\nper_ms: 3600000\nburst: 3\n")
    . document('Plan', 'acme', 'daily', "quota_day: 2\n")
    . document('Plan', 'acme', 'single', "concurrency: 1\n")
    . join('', map { document('Application', 'acme', $_) }
           qw(tight daily single))
    . subscribe('acme', 'tight', 'api', 'm', 'tight')
    . subscribe('acme', 'daily', 'api', 'm', 'daily')
    . subscribe('acme', 'single', 'api', 's', 'single'));
wait_until {
    ($t->api('GET', '/v1/tenants/acme/apis/m')->{json}{discovery}{state}
        // '') eq 'ok'
    && ($t->api('GET', '/v1/tenants/acme/apis/s')->{json}{discovery}{state}
        // '') eq 'ok'
} 20 or $t->give_up('not discovered');
$t->gateway(workers => 4, http => 'stoa_mcp_streams 3;');
my %key = map { $_ => $t->key('acme', $_) } qw(app tight daily single);
$t->sync;

my $good = 0;

sub call {
    my ($who, $tool, %o) = @_;
    my $r = $t->mcp('/mcp/acme', 'tools/call', { name => $tool || 'm__one',
        arguments => {} }, key => $key{$who}, %o);
    $good++ if !$r->{rpc}{error} && ($tool // 'm__one') eq 'm__one';
    return $r->{rpc}{error} ? "$r->{rpc}{error}{code} $r->{rpc}{error}{data}{code}"
                            : $r->{rpc}{result}{content}[0]{text};
}

# rate: 1 + burst at once, whichever worker

is_deeply([sort map { call('tight') } 1 .. 5],
    [1, 1, 1, '429 rate_exceeded', '429 rate_exceeded'], 'rate and burst');
my $r = $t->mcp('/mcp/acme', 'tools/call', { name => 'm__one',
    arguments => {} }, key => $key{tight}, id => 99);
is($r->{rpc}{id}, 99, 'the error has the id');
is($r->{rpc}{error}{code}, 429, 'and the status as its code');
like($r->{headers}{'retry-after'}, qr/^\d+$/, 'Retry-After');
like($r->{headers}{ratelimit}, qr/^"rate";r=0;t=\d+/, 'RateLimit');
like($r->{headers}{'ratelimit-policy'}, qr/^"rate";q=3;w=3600/,
     'RateLimit-Policy');
my $trace;
wait_until {
    my $x = $t->get('/stoa/traces?request_id=' . $r->{headers}{'x-request-id'});
    $trace = $x->{json}{items}[-1] if $x->{status} == 200;
    return defined $trace;
} 5;
is_deeply([@$trace{qw(edge status code tool plan application)}],
          [qw(mcp 429 rate_exceeded one tight tight)],
          'the trace tells the same story');
is_deeply([map { "$_->{step} $_->{type} $_->{from}" }
           grep { $_->{verdict} eq 'refused' } @{ $trace->{steps} }],
          ['judge rate plan'], 'and what refused');
is_deeply([map { "$_->{limit} $_->{left} of $_->{of}" }
           grep { $_->{refused} } @{ $trace->{limits} }], ['rate 0 of 3'],
          'with what was left');
is($t->mcp('/mcp/acme', 'tools/list', undef, key => $key{tight})->{status},
   200, 'a list is not counted');

is_deeply([map { call('daily') } 1 .. 3], [1, 1, '429 quota_exceeded'],
    'quota of a day');
$t->stop('gw');
$t->start_nginx('gw');
$t->sync;
is(call('daily'), '429 quota_exceeded', '... survives a restart');

{
    my $pid = fork // die;
    if (!$pid) { call('single', 's__wait'); POSIX::_exit(0) }
    wait_until { ($t->metrics->{stoa_in_flight} // 0) == 1 } 5;
    is(call('single', 's__wait'), '429 concurrency_exceeded', 'concurrency');
    waitpid $pid, 0;
    # after the answer, when the call is logged
    ok((wait_until { call('single', 's__wait') eq 'done' } 10),
       '... given back');
}

# streams that are held: the application's at all workers, of both kinds

my ($session) = $t->mcp_session('/mcp/acme', key => $key{app});
my @held;
sub hold {
    my ($kind, $who) = @_;
    my $c = $t->connection;
    my $r = $kind eq 'get'
        ? $c->request('GET', '/mcp/acme', headers_only => 1, headers => [
            'X-API-Key' => $key{$who}, 'Mcp-Session-Id' => $session,
            Accept => 'text/event-stream'])
        : $c->request('POST', '/mcp/acme', headers_only => 1, headers => [
            'X-API-Key' => $key{$who}, 'Content-Type' => 'application/json',
            Accept => 'application/json, text/event-stream',
            'MCP-Protocol-Version' => '2026-07-28',
            'Mcp-Method' => 'subscriptions/listen'],
            body => json_encode({ jsonrpc => '2.0', id => 9, method =>
            'subscriptions/listen', params => { notifications => {
            toolsListChanged => JSON::PP::true }, _meta => { map {
            ("io.modelcontextprotocol/$_->[0]" => $_->[1]) }
            [protocolVersion => '2026-07-28'], [clientCapabilities => {}]
            } } }));
    push @held, $c;
    return ($r->{headers}{'content-type'} // '') =~ /event-stream/ ? 'held'
        : "$r->{status} " . ($r->{headers}{'retry-after'} // '');
}
is(join('|', map { hold($_, 'app') } qw(get listen listen)),
   'held|held|held', 'as many streams as an application may hold');
is(hold('get', 'app'), '429 1', '... one more is refused, by its status');
is(hold('listen', 'app'), '200 1', '... or as the answer to its message');
is(hold('listen', 'tight'), 'held', '... another application\'s is not');
is(call('app'), 1, '... nor is a call');
$_->close for @held;
is((wait_until { hold('get', 'app') eq 'held' } 10), 1,
   '... when others have ended it may again');
$_->close for @held;

# states

my ($sub) = grep { $_->{application} eq 'app' && $_->{api} eq 'm' }
    @{ $t->must('GET', '/v1/tenants/acme/subscriptions')->{items} };
my $path = "/v1/tenants/acme/subscriptions/$sub->{id}";
is(call('app'), 1, 'an active subscription');
$t->must('POST', "$path/suspend");
ok((wait_until { call('app') eq '403 subscription_suspended' } 1),
   'suspended: 403 within a second');
$t->must('POST', "$path/resume");
ok((wait_until { call('app') eq '1' } 1), 'resumed');
$t->must('POST', "$path/revoke");
ok((wait_until { call('app') eq '403 subscription_revoked' } 1), 'revoked');

# the api's own lists and audience

$t->must('PATCH', '/v1/tenants/acme/apis/s', { ip_deny => ['127.0.0.0/8'] });
ok((wait_until { call('app', 's__wait') eq '403 ip_denied' } 5),
   'an address that the api denies');
$t->must('PATCH', '/v1/tenants/acme/apis/s', { ip_deny => [],
    audience => 'public' });
$t->apply(document('Tenant', undef, 'guest')
    . document('Application', 'guest', 'far') . subscribe('guest', 'far',
      'api', 's', 'basic', "  target_tenant: acme\n"));
$key{far} = $t->key('guest', 'far');
$t->sync;
is(call('far', 's__wait'), 'done', 'a public api of another tenant');
$t->must('PATCH', '/v1/tenants/acme/apis/s', { audience => 'internal' });
ok((wait_until { call('far', 's__wait') =~ /404|mcp_tool/ } 5),
   '... no longer there when it is internal');

# usage, by tool

my %seen;
wait_until {
    %seen = map { ($_->{operation} // '') => $_ }
        @{ $t->must('GET', '/v1/tenants/acme/usage?by=operation')->{items} };
    ($seen{one}{c2xx} // 0) >= $good;
} 15;
is($seen{one}{c2xx}, $good, "the $good calls of a tool are counted");

$t->done;
