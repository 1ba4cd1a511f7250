#!/usr/bin/perl

# Some thousand requests made of right bodies with random damage: never a 5xx,
# never a broken audit chain, and afterwards the feed says what the resources
# say.  STOA_SEED repeats a run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::HTTP;

my $seed = $ENV{STOA_SEED} || time ^ $$;
my $rounds = $ENV{STOA_ROUNDS} || 2000;
srand $seed;
diag("STOA_SEED=$seed") if $ENV{STOA_VERBOSE};

my $t = Test::Stoa->new;
$t->control(args => ['--access-log=false']);

my $acme = '/v1/tenants/acme';
my $up = { targets => [{ url => 'http://127.0.0.1:1' }] };
$t->must(POST => '/v1/tenants', { name => $_ }) for qw(acme globex);
$t->must(POST => '/v1/gateway-groups', { name => 'g' });
$t->must(POST => "$acme/apis",
    { name => 'a', kind => 'rest', upstream => $up });
$t->must(POST => "$acme/apis",
    { name => 'm', kind => 'mcp', upstream => $up });
$t->must(POST => "$acme/applications", { name => 'p' });
$t->must(POST => "$acme/plans", { name => 'l' });

my $later = '2037-01-01T00:00:00Z';
my %good = (
    '/v1/gateway-groups' => { name => 'x', title => 't' },
    '/v1/gateways' => { name => 'x', group => 'g' },
    '/v1/admin-tokens' => { name => 'x', role => 'viewer',
        tenant => 'acme', expires_at => $later },
    "$acme/apis" => { name => 'x', kind => 'rest', version => '1',
        description => "d\nd", audience => 'partner',
        partners => ['globex'], host => 'h.test', base_path => '/b',
        upstream => { targets => [{ url => 'https://h.test:1/x',
            weight => 2 }], balance => 'least_conn', retries => 2,
            host_header => 'h.test:80', tls => { server_name => 's.test' } },
        key_query => 'k', ip_allow => ['10.0.0.0/8'], ip_deny => ['::1'],
        max_body_bytes => 10, identity => 'signed', sunset_at => $later,
        gateway_groups => ['g'], spec => { a => [1, { b => undef }] } },
    "$acme/apis/a/operations" => { name => 'x', method => 'GET',
        path => '/{id}' },
    "$acme/servers" => { name => 'x', instructions => 'i',
        prefix => 'never', tools => [{ api => 'm', tool => 't',
            alias => 'z' }] },
    "$acme/plans" => { name => 'x', rate => 1, per_ms => 1000, burst => 1,
        quota_day => 1, quota_month => 1, concurrency => 1,
        approval => 'manual', limit_by => 'application' },
    "$acme/applications" => { name => 'x', title => 't' },
    "$acme/subscriptions" => { application => 'p', api => 'a', plan => 'l',
        expires_at => $later },
    "$acme/applications/p/credentials" => { env => 'live', title => 'x',
        expires_at => $later },
);
my @junk = (undef, JSON::PP::true, 0, -1, 1, 2 ** 31, 1.5, '', 'x',
    'x' x 64, 'x' x 300, "\xe9", '../..', '0' x 16, 'acme', 'globex', 'a',
    'm', '-', 'a--b', [], {}, [[]], [{}], { a => 1 }, ['x', 'x'], [undef],
    $later, '2030-13-01', 'http://x', 'https://[::1]:1/a', '*', "';--",
    '{id}', '/', '10.0.0.0/8', '::/0', 'y' x 70000);
my @events = qw(publish deprecate retire suspend resume revoke approve
    reject rotate archive enable disable unpublish expire);

sub pick { return $_[rand @_] }

sub damage {
    my ($v) = @_;
    return pick(@junk) if rand() < 0.15;
    if (ref $v eq 'HASH') {
        my %o;
        for (sort keys %$v) {
            next if rand() < 0.06;
            $o{ rand() < 0.04 ? 'no_such' : $_ } =
                rand() < 0.5 ? damage($v->{$_}) : $v->{$_};
        }
        $o{ pick(qw(id state tenant ver key_digest token discovery)) } =
            pick(@junk) if rand() < 0.05;
        return \%o;
    }
    return [map { damage($_) } @$v, rand() < 0.2 ? @$v : ()]
        if ref $v eq 'ARRAY';
    return $v;
}

my (%status, @made, @bad, $c);

sub call {
    my ($method, $path, $body, %h) = @_;
    for (1 .. 2) {
        $c ||= Test::Stoa::HTTP->connect($t->port('control'));
        my $r = $c && $c->request($method, $path, keepalive => 1, headers => {
            Authorization => "Bearer $t->{token}", %h,
            defined $body ? ('Content-Type' => 'application/json') : () },
            body => defined $body ? json_encode($body) : undef);
        return $r if $r && $r->{status} =~ /^[2-5]/;
        undef $c;
    }
    return { status => 599, headers => {}, body => 'no answer' };
}

for my $i (1 .. $rounds) {
    my $dice = rand;
    my ($r, $what);
    if ($dice < 0.5 || !@made) {
        my $path = pick(sort keys %good);
        my %b = %{ $good{$path} };
        $b{name} = 'n' . int rand 500 if $b{name};
        $b{base_path} = '/p' . int rand 300 if $b{base_path};
        $r = call(POST => $path, rand() < 0.7 ? damage(\%b) : \%b,
            rand() < 0.3 ? ('Idempotency-Key' => 'k' . int rand 100) : ());
        $what = "POST $path";
        push @made, $r->{headers}{location} if $r->{status} == 201;
    } else {
        my $path = pick(@made);
        my ($of) = $path =~ m{^(.*)/};
        my ($method, $body);
        if ($dice < 0.7) {
            ($method, $body) = (pick(qw(PUT PATCH)), damage($good{$of}));
        } elsif ($dice < 0.88) {
            ($method, $path) = ('POST', "$path/" . pick(@events));
            $body = pick(undef, {}, { grace_s => pick(@junk) }, []);
        } elsif ($dice < 0.95) {
            ($method, $path) = ('GET', "$of?" . pick('limit=1', 'limit=0',
                'cursor=ff', 'cursor=6161', 'state=active', 'name=x',
                'plan=l', 'kind=rest', 'x=1', 'application=p&api=a'));
        } else {
            ($method, $path) = ('DELETE', $path . pick('', '?force=1'));
        }
        $r = call($method, $path, $body);
        $what = "$method $path";
    }
    $status{ substr $r->{status}, 0, 1 }++;
    push @bad, "$what: $r->{status} $r->{body}" if $r->{status} >= 500;
}

is(join("\n", @bad), '', "no 5xx (STOA_SEED=$seed)");
cmp_ok($status{2} // 0, '>', $rounds / 10, 'some were right');
cmp_ok($status{4} // 0, '>', $rounds / 10, 'some were wrong');
is($t->must(GET => '/v1/audit/verify')->{ok}, JSON::PP::true,
    'the audit log is whole');
unlike(slurp($t->dir('control.out')), qr/ error /, 'no error in the log');

# The feed against the resources.

sub all {
    my ($path) = @_;
    my ($cursor, @items) = ('');
    do {
        my $p = $t->must(GET => "$path?limit=500&cursor=$cursor");
        push @items, @{ $p->{items} };
        $cursor = $p->{next} // '';
    } while $cursor ne '';
    return @items;
}

my $gw = $t->must(POST => '/v1/gateways',
    { name => 'probe', group => 'g' })->{token};
my %feed;
for (split /\n/, $t->api(GET => '/gateway/v1/feed?since=0', undef,
    token => $gw, timeout => 30)->{body})
{
    my $row = json_decode($_);
    $feed{ $row->{key} } = $row->{body} if $row->{body};
}

my %want;
for (all("$acme/apis")) {
    $want{"api:$_->{id}"} = $_->{state}
        if $_->{state} =~ /^(?:published|deprecated)$/;
}
$want{"server:$_->{id}"} = $_->{state}
    for grep { $_->{state} eq 'published' } all("$acme/servers");
$want{"plan:$_->{id}"} = $_->{state}
    for grep { $_->{state} ne 'archived' } all("$acme/plans");
for my $app (all("$acme/applications")) {
    $want{"app:$app->{id}"} = $app->{state};
    $want{"cred:$_->{id}"} = $_->{state}
        for all("$acme/applications/$app->{name}/credentials");
}
my %have = map { ($_ => $feed{$_}{state}) }
    grep { !/^(?:tenant|sub|tool|groupkey|sealkey):/ } keys %feed;
is_deeply(\%have, \%want, "the feed says what is there (STOA_SEED=$seed)");
my %subs = map { $_->{id} => $_->{state} } all("$acme/subscriptions");
my @wrong = grep { ($subs{ $feed{$_}{id} } // '') ne $feed{$_}{state} }
    grep { /^sub:/ } keys %feed;
is_deeply(\@wrong, [], 'subscriptions too');

$t->done;
