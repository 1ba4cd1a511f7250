#!/usr/bin/perl

# Groups of targets: shares, rules by header and claim, what keeps its group,
# other shares without a reload, and what operators see of it.  Mirrors: what
# a copy of a call is, and that nobody waits for one.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Token;

my $t = Test::Stoa->new->has('module', 'control', 'openssl');

$t->control;
my %to = map {
    my $name = $_;
    ($name => 'http://127.0.0.1:' . $t->origin(sub {
        my ($q) = @_;
        return undef if $q->{path} =~ /drop/;
        return [$q->{path} =~ /ill/ ? 500 : 200,
                ['Content-Type' => 'application/json'],
                json_encode({ at => $name })];
    }, name => $name));
} qw(blue green);
my $dead = $t->port('dead');
my $shadow = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q, $c) = @_;
    select undef, undef, undef, 20 if $q->{path} =~ /hang/;
    if ($q->{path} =~ /endless/) {
        $c->send_raw("HTTP/1.1 200 OK\r\n\r\n");
        1 while $c->send_raw('x' x 1000)
                && !select undef, undef, undef, 0.01;
        return undef;
    }
    return [500, [], 'of no interest'];
}, name => 'shadow');
my $token_key = token_key($t, 'k1', 'ES256');
my $iss = 'https://idp.example/realms/a';

my @both = map { { url => $to{$_}, group => $_ } } qw(blue green);
sub split_ { my ($blue, $green, %o) = @_;
    return { groups => [{ name => 'blue', weight => $blue },
                        { name => 'green', weight => $green }], %o } }
my %apis = (
    shares => [\@both, split_(90, 10)],
    thirds => [\@both, split_(1, 2)],
    zero => [\@both, split_(100, 0)],
    rules => [\@both, split_(100, 0, rules => [
        { header => 'X-Canary', value => 'yes', group => 'green' },
        { header => 'X-Try', group => 'green' },
        { claim => '/realm_access/roles', value => 'tester',
          group => 'green' },
        { claim => 'beta', value => 'true', group => 'green' }])],
    principal => [\@both, split_(50, 50, sticky => 'principal')],
    application => [\@both, split_(50, 50, sticky => 'application')],
    cookie => [\@both, split_(50, 50, sticky => 'cookie')],
    gone => [[{ url => "http://127.0.0.1:$dead", group => 'green' },
              { url => $to{blue}, group => 'blue' }],
             split_(50, 50, sticky => 'cookie')],
);
my ($example) = grep { /split:/ } slurp("$FindBin::Bin/../docs/resilience.md")
    =~ /```yaml\n(.*?)```/gs;
$example =~ s{http://10\.0\.0\.1:8080}{$to{blue}};
$example =~ s{http://10\.0\.0\.2:8080}{$to{green}};

sub documents {
    my (%more) = @_;
    my %now = (%apis, %more);
    return docs($example, tenant('acme'), (map {
            my ($name, %o) = @$_;
            (rest('acme', $name, $to{blue}, upstream => { mirror => {
                 url => "$shadow/copy", %o } }),
             sub_('acme', 'demo', $name, 'free'))
        } ['mirror', headers => ['X-Extra']], ['quarter', percent => 25],
          ['none', percent => 0],
          ['slow', concurrency => 1, timeout_ms => 500, max_body_bytes => 100],
          ['away', url => "http://127.0.0.1:$dead"]), plan('acme', 'free'),
        (map { app('acme', $_) } qw(demo web)),
        doc('Issuer', 'acme', 'idp', { issuer => $iss,
            jwks => jwks($token_key), audiences => ['orders'],
            application => 'demo' }),
        sub_('acme', 'demo', 'orders', 'free'),
        map { (rest('acme', $_, $now{$_}[0], upstream => {
                   max_fails => 0, split => $now{$_}[1] }),
               sub_('acme', 'demo', $_, 'free'),
               sub_('acme', 'web', $_, 'free')) } sort keys %now);
}
$t->apply(documents());
$t->gateway(workers => 2, http => "log_format group "
    . "'\$uri \$stoa_target_group';", server => 'access_log logs/group.log '
    . 'group;');
my $key = $t->key('acme', 'demo');
$t->sync;

sub call { my ($api, %o) = @_;
    return $t->http('GET', "/apis/acme/$api/" . ($o{path} // ''),
                    key => $o{key} // $key, headers => $o{headers}) }
sub counts { my ($n, $api, %o) = @_;
    my %n;
    for (1 .. $n) {
        my $r = call($api, %o);
        $n{ $r->{json}{at} // $r->{status} }++;
    }
    return join ' ', map { "$_:$n{$_}" } sort keys %n }


# what is refused

sub wrong {
    my ($targets, $split, $field, $what) = @_;
    my $r = $t->api('POST', '/v1/apply', documents(
        shares => [$targets, $split]),
        headers => { 'Content-Type' => 'application/yaml' });
    is("$r->{status} " . ($r->{json}{errors}[0]{field} // $r->{body}),
       "422 spec.upstream.$field", $what);
}
wrong([@both, $to{blue}], split_(1, 1), 'targets[2].group',
      'a target in no group');
wrong([@both, { url => $to{blue}, group => 'red' }], split_(1, 1),
      'targets[2].group', 'one in a group that there is not');
wrong(\@both, { groups => [{ name => 'blue', weight => 1 },
    { name => 'green' }, { name => 'red' }] }, 'split.groups[2].name',
    'a group without targets');
wrong(\@both, { groups => [{ name => 'blue', weight => 1 },
    { name => 'green' }, { name => 'blue' }] }, 'split.groups[0].name',
    'a group twice');
wrong(\@both, split_(0, 0), 'split.groups[0].weight', 'no shares at all');
wrong(\@both, split_(1, 1, rules => [{ group => 'blue' }]),
      'split.rules[0].header', 'a rule that asks for nothing');
wrong(\@both, split_(1, 1, rules => [{ header => 'a b', group => 'blue' }]),
      'split.rules[0].header', 'what is no header');
wrong(\@both, split_(1, 1, rules => [{ claim => 'c', group => 'red' }]),
      'split.rules[0].group', 'a rule for no group');
wrong(\@both, split_(1, 1, cookie => 'c'), 'split.cookie',
      'a cookie that nobody looks at');


# shares, over all workers

is(counts(200, 'shares'), 'blue:180 green:20', '90 and 10 of 200');
is(counts(30, 'thirds'), 'blue:10 green:20', 'weights are no percent');
is(counts(50, 'zero'), 'blue:50', '0 is none, 100 is all');
like(join('', map { substr call('thirds')->{json}{at}, 0, 1 } 1 .. 9),
     qr/g.*b.*g.*b.*g/, 'mixed');
is(call('orders')->{status}, 200, 'the example of the documentation');


# rules

is(counts(5, 'rules', headers => { 'X-Canary' => 'yes' }), 'green:5',
   'a header with a value');
is(counts(5, 'rules', headers => { 'X-Canary' => 'no' }), 'blue:5',
   'with another one');
is(counts(5, 'rules', headers => { 'x-try' => '' }), 'green:5', 'any value');
sub with { my (%more) = @_;
    return { Authorization => 'Bearer ' . token($token_key,
        claims($iss, 'orders', %more)) } }
for ([{}, 'blue', 'without the claim'],
     [{ realm_access => { roles => ['a', 'tester'] } }, 'green', 'a claim'],
     [{ realm_access => { roles => ['tester2'] } }, 'blue', 'another value'],
     [{ beta => JSON::PP::true }, 'green', 'that is true'],
     [{ beta => 'no' }, 'blue', 'that is not']) {
    my $r = $t->http('GET', '/apis/acme/rules/',
                     headers => with(%{ $_->[0] }));
    is($r->{json}{at} // $r->{body}, $_->[1], "a token: $_->[2]");
}


# what keeps its group

my @keys = map { $t->key('acme', 'demo') } 1 .. 8;
$t->sync;
my %kept;
for my $k (@keys) {
    my $one = counts(6, 'principal', key => $k);
    like($one, qr/^(?:blue|green):6$/, 'a credential keeps its group');
    $kept{$one}++;
}
my @app = map { counts(3, 'application', key => $_) } @keys;
is(scalar(keys %{ { map { ($_ => 1) } @app } }), 1,
   'so do all of an application');

my $r = call('cookie');
my ($cookie) = $r->{headers}{'set-cookie'} =~ /^(stoa_group=(?:blue|green));/;
like($r->{headers}{'set-cookie'}, qr{; Path=/apis/acme/cookie; HttpOnly},
     'a cookie');
is(counts(6, 'cookie', headers => { Cookie => "a=b; $cookie" }),
   "$r->{json}{at}:6", 'keeps it');
$r = call('cookie', headers => { Cookie => $cookie });
is($r->{headers}{'set-cookie'}, undef, 'is set once');
is(counts(10, 'cookie', headers => { Cookie => 'stoa_group=red' }),
   'blue:5 green:5', 'one of no group keeps nothing');
is(counts(4, 'gone', headers => { Cookie => 'stoa_group=green' }), '502:4',
   'a group whose targets are gone has no other');


# other shares

my @pids = $t->workers('gw');
$t->apply(documents(shares => [\@both, split_(0, 100)],
                    cookie => [\@both, split_(100, 0, sticky => 'cookie')]));
$t->sync;
is(counts(50, 'shares'), 'green:50', 'from 10 to 100');
is(counts(6, 'cookie', headers => { Cookie => 'stoa_group=green' }), 'blue:6',
   'a group without a share keeps nobody');
is(join(' ', $t->workers('gw')), join(' ', @pids), 'without a reload');


# mirrors

sub copies { my ($what) = @_;
    return grep { $_->{path} =~ $what } $t->origin_log('shadow') }
my $body = 'b' x 40_000;
$r = $t->http('POST', '/apis/acme/mirror/a%20b?q=1&q=2', body => $body,
    headers => { Authorization => "Bearer $key", Cookie => 'c=1',
                 'Content-Type' => 'text/x', 'X-Extra' => 'e',
                 'X-Other' => 'o' });
is("$r->{status} $r->{json}{at}", '200 blue', 'the client gets his answer');
my ($copy) = wait_until { (copies(qr{/a}))[0] };
is("$copy->{method} $copy->{path}?$copy->{query}",
   'POST /copy/a%20b?q=1&q=2', 'a copy of the call');
ok($copy->{body} eq $body, 'with its body');
my %h = %{ $copy->{headers} };
is(join(' ', map { $h{$_} // '-' } qw(content-type x-extra x-other
    x-stoa-mirror authorization cookie x-api-key)), 'text/x e - 1 - - -',
   'what is asked, and no credential') or diag(join ' ', %h);
call('quarter', path => "quarter$_") for 1 .. 100;
wait_until { copies(qr/quarter/) == 25 };
is(scalar(copies(qr/quarter/)), 25, 'a quarter of them');
call('none', path => 'nothing') for 1 .. 20;
$t->http('GET', '/apis/acme/mirror/unknown', key => 'stoa_live_x');

my $before = $t->metrics;
is(join(' ', map { call('slow', path => "hang$_")->{status} } 1 .. 6),
   join(' ', (200) x 6), 'a mirror that hangs holds up nobody');
is($t->http('POST', '/apis/acme/slow/long', key => $key,
            body => 'x' x 101)->{status}, 200, 'a body that is too long');
my $n = wait_until {
    my $now = $t->metrics;
    my $d = $now->{stoa_mirror_dropped_total}
            - $before->{stoa_mirror_dropped_total};
    $d >= 4 && $d };
cmp_ok($n, '>=', 4, 'two workers have one copy each, the others are dropped');
is(scalar(copies(qr/long/)), 0, 'so is the long one');
wait_until { $t->metrics->{stoa_mirror_failed_total}
             - $before->{stoa_mirror_failed_total} >= 1 };
$before = $t->metrics;
wait_until { call('slow', path => 'endless'); copies(qr/endless/) };
ok(wait_until { $t->metrics->{stoa_mirror_failed_total}
                > $before->{stoa_mirror_failed_total} },
   'an answer that never ends is cut');
is(call('away')->{status}, 200, 'a mirror that is away');
is(scalar(copies(qr/nothing|unknown/)), 0, 'no share, a refused call: none');
for ([{ percent => 101 }, 'percent', 'more than all'],
     [{ headers => ['X-A', 'Cookie'] }, 'headers[1]', 'a credential'],
     [{ headers => ['Transfer-Encoding'] }, 'headers[0]', 'a framing'],
     [{ headers => ['X-A', 'content-length'] }, 'headers[1]', 'a length'],
     [{ headers => ['Host'] }, 'headers[0]', 'another host'],
     [{ headers => ['Connection'] }, 'headers[0]', 'a connection'],
     [{ headers => ['X A'] }, 'headers[0]', 'what is no header'],
     [{ url => 'http://169.254.169.254/' }, 'url', 'a special address']) {
    $r = $t->api('POST', '/v1/apply', rest('acme', 'mirror', $to{blue},
        upstream => { mirror => { url => $shadow, %{ $_->[0] } } }),
        headers => { 'Content-Type' => 'application/yaml' });
    is("$r->{status} " . ($r->{json}{errors}[0]{field} // $r->{body}),
       "422 spec.upstream.mirror.$_->[1]", $_->[2]);
}


# what is seen

call('thirds', path => 'ill') for 1 .. 3;
my $label = 'stoa_group_requests_total{tenant="acme",api="%s",group="%s"'
            . ',class="%s"}';
my $m;
wait_until { $m = $t->metrics;
             ($m->{ sprintf $label, 'shares', 'green', '2xx' } // 0) == 70 };
is($m->{ sprintf $label, 'shares', 'green', '2xx' }, 70, 'calls of a group');
is($m->{ sprintf $label, 'thirds', 'green', '5xx' }
   + $m->{ sprintf $label, 'thirds', 'blue', '5xx' }, 3, 'by class');
like(join("\n", $t->log_lines('gw', 'group.log')),
     qr{^/apis/acme/shares/ green$}m, 'in a log');

$t->done;
