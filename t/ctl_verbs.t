#!/usr/bin/perl

# The other verbs of stoactl against a control plane.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Demo;

my $t = Test::Stoa->new->has('stoactl');
$t->control;
$t->apply(demo(rest => { echo => 9 }, mcp => { dead => 9 }));

sub ctl { my @args = @_; return $t->stoactl(@args) }
sub json { my ($code, $out) = ctl(@_, '-o', 'json');
           return json_decode($out) }

my @acme = ('-t', 'acme');

like((ctl('whoami'))[1], qr/platform-admin/, 'whoami');

# get

my ($code, $out, $err) = ctl('get', 'apis', @acme);
like($out, qr/^NAME +KIND .*\ndead +mcp .*\necho +rest /, 'a table');
is(scalar @{ json('get', 'api', @acme) }, 2, 'all as JSON');
($code, $out) = ctl('get', 'apis', 'echo', @acme, '-o', 'yaml');
like($out, qr/^kind: rest$/m, 'one as YAML');
is(scalar @{ json('get', 'apis', '--filter', 'kind=rest', @acme) }, 1,
   'filtered');
is((ctl('get', 'apis', 'nope', @acme))[0], 3, 'an absent one');
is((ctl('get', 'tools', @acme))[0], 1, 'tools of which api?');
is_deeply(json('get', 'tools', '--api', 'dead', @acme), [], 'no tools');
is((ctl('get', 'apis'))[0], 1, 'of which tenant?');
is((ctl('get', 'apis', '-t', 'a/../b'))[0], 3, 'a name is no path');

# more than a page

$t->must('POST', '/v1/tenants/acme/applications', { name => "app-$_" })
    for 1 .. 3;
is(scalar @{ json('get', 'applications', @acme) }, 4, 'a list');

# keys

($code, my $key, $err) = ctl('key', 'create', 'app', @acme, '-o', 'key');
like($key, qr/\Astoa_live_\w+\n\z/, 'a bare key');
is($err, '', 'and nothing else');
my $id = (split /_/, $key)[2];
($code, $out, $err) = ctl('key', 'create', 'app', @acme, '--env', 'test',
                          '--title', 'ci');
like($out, qr/^key +stoa_test_/, 'a key for a person');
like($err, qr/not shown again/, 'with a warning');

# into a file, which is its owner's alone, and nowhere else

my $file = $t->dir('key');
for my $case ([table => qr/\Akey +in \Q$file\E\nid +\w+\n/],
              [json => qr/\A\{"id"/], [key => qr/\A\z/])
{
    my ($as, $want) = @$case;
    unlink $file;
    ($code, $out, $err) = ctl('key', 'create', 'app', @acme, '-o', $as,
                              '--output-file', $file, '--no-wait');
    is($code, 0, "--output-file with -o $as");
    like($out, $want, 'tells what it did');
    like(slurp($file), qr/\Astoa_live_\w+\n\z/, 'the key is in the file');
    unlike("$out$err", qr/\Q${\ substr slurp($file), 0, -1 }\E/, 'only');
    is((stat $file)[2] & 0777, 0600, 'which others cannot read');
}
spew($file, 'old', 0644);
is((ctl('key', 'rotate', 'app', (split /_/, $key)[2], @acme,
        '--output-file', $file))[0], 0, 'one that is there');
like(slurp($file) . ((stat $file)[2] & 0777), qr/^stoa_live_\w+\n384$/,
     'is replaced, and becomes private');
my $keys = @{ json('key', 'list', 'app', @acme) };
for my $bad ($t->dir('no/such/key'), $t->dir('.'), '/dev/null') {
    is((ctl('key', 'create', 'app', @acme, '--output-file', $bad))[0], 1,
       'what cannot be one');
}
is(scalar @{ json('key', 'list', 'app', @acme) }, $keys,
   'is found before a key is made');

my $soon = json('key', 'create', 'app', @acme, '--expires-at', '90d');
like($soon->{expires_at}, qr/^20\d\d-/, '--expires-at takes a duration');
my ($days) = map { /^(\d+)-(\d+)/ ? $1 * 12 + $2 : 0 } $soon->{expires_at};
my @now = gmtime;
cmp_ok(abs($days - ($now[5] + 1900) * 12 - $now[4] - 1 - 3), '<=', 1,
       'from now');
$key = (ctl('key', 'create', 'app', @acme, '-o', 'key'))[1];
$id = (split /_/, $key)[2];

my ($row) = grep { $_->{id} eq $id } @{ json('key', 'list', 'app', @acme) };
is($row->{state}, 'active', 'key list');
ok(!exists $row->{key}, 'without the key');

my $new = json('key', 'rotate', 'app', $id, @acme, '--grace', '1h');
like($new->{key}, qr/^stoa_live_/, 'key rotate');
is(json('get', 'credentials', $id, '--application', 'app', @acme)->{state},
   'rotating', 'the old one works on');
is((ctl('key', 'rotate', 'app', $id, @acme, '--grace', '31d'))[0], 3,
   'not so long');
like((ctl('key', 'revoke', 'app', $id, @acme))[1], qr/revoked/,
     'key revoke');
is((ctl('key', 'revoke', 'app', $id, @acme))[0], 3, 'once');
my ($by) = map { json('key', 'rotate', $_, '--grace', '1h') } $new->{key};
is($by->{application}, 'app', 'key rotate by the key alone');
is((ctl('key', 'rotate', 'stoa_live_0123456789abcdef'))[0], 3, 'no such key');

is((ctl('event', 'api', 'echo', 'publsih', @acme))[2],
   "stoactl: 404: there is no such path\n"
   . "stoactl: events of the kind api: publish deprecate retire\n",
   'an event that there is not');

# policies

my @in = map { "$_->{type} $_->{source}" }
    @{ json('effective-policies', '--api', 'echo', @acme) };
ok((grep { $_ eq 'key default' } @in), 'effective-policies') or diag "@in";
is((ctl('effective-policies', '--api', 'nope', @acme))[0], 3, 'no such api');

# subscriptions: by what they are to, or by id

for my $step (['suspend', 'suspended'], ['resume', 'active']) {
    is(json('subscription', $step->[0], 'app/echo', @acme)->{state},
       $step->[1], "subscription $step->[0]");
}
is((ctl('subscription', 'approve', 'app/echo', @acme))[0], 3,
   'an illegal one');
is((ctl('subscription', 'suspend', 'app/nope', @acme))[0], 3, 'no such');

$t->must('PATCH', '/v1/tenants/acme/plans/basic', { approval => 'manual' });
for my $step (['app-1', 'approve', 'active'], ['app-2', 'reject',
              'rejected'], ['app-3', 'revoke', 'revoked'])
{
    my ($app, $event, $state) = @$step;
    my $s = $t->must('POST', '/v1/tenants/acme/subscriptions',
        { application => $app, api => 'echo', plan => 'basic' });
    is($s->{state}, 'pending', "$app waits");
    is(json('subscription', $event, $s->{id}, @acme)->{state}, $state,
       "subscription $event");
}

# completion asks for names

is((ctl('names', 'apis', @acme))[1], "dead\necho\n", 'names');
my $script = $t->write_file('names.bash', (ctl('completion', 'bash'))[1]
    . "S=$Test::Stoa::OBJS/stoactl\n" . <<'END');
try() { COMP_WORDS=("$S" "$@"); COMP_CWORD=$#; COMPREPLY=(); _stoactl
        echo "${COMPREPLY[*]}"; }
try -t acme get apis e
try get api --tenant acme e
try get tenants ac
try -t ac
try --tenant = ac
try -t acme get tools --api d
try -t acme get apis echo ''
try -t acme delete apis echo d
try -t acme key create ap
try -t acme get apis '$(echo echo)'
try -t acme get apis --fil
END
my @tries = split /\n/, ($t->run_cmd(['bash', $script],
    env => { STOA_URL => $t->control_url, STOA_TOKEN => $t->{token},
    STOA_CONFIG => $t->dir("stoactl.yaml") }))[1], -1;
is(join('|', @tries[0 .. 7]), 'echo|echo|acme|acme|acme|dead||dead',
   'of what stands before');
is($tries[8], 'app app-1 app-2 app-3', 'arguments have names, too');
is("$tries[9]|$tries[10]", '|--filter', 'and nothing is run');

# events, delete

is(json('event', 'api', 'echo', 'deprecate', @acme)->{state}, 'deprecated',
   'event');
is((ctl('event', 'api', 'echo', 'nope', @acme))[0], 3, 'an unknown event');
is((ctl('delete', 'application', 'app', @acme))[0], 3, 'delete: in use');
($code, $out) = ctl('delete', 'application', 'app', @acme, '--force');
like("$code $out", qr/^0 application app deleted\nrevision \d+\n$/,
     'delete --force');

# gateways

is((ctl('gateway', 'create', 'edge', '--output-file', $file))[0], 0,
   'gateway create');
my $token = slurp($file);
like($token, qr/\Astoa_gw_\w+\n\z/, 'gateway create, with the default group');
is((ctl('gateway', 'create', 'edge'))[0], 3, 'once');
like((ctl('gateway', 'status'))[1], qr/^edge +default +offline +never/m,
     'gateway status');
is(json('gateway', 'status', 'edge')->{sync}, 'never', 'of one');

chomp $token;
my $head = $t->api('GET', '/gateway/v1/feed?since=0', undef,
                   token => $token)->{body};
my ($epoch) = $head =~ /"epoch":"(\w+)"/;
$t->api('POST', '/gateway/v1/status', { epoch => $epoch, rev => 1,
    digest => '0' x 32, version => '0.1.0', nginx => '1', uptime_s => 1,
    workers => 1, pid => 1, requests => 0, connections => 0,
    store_bytes => 0, feed_age_ms => 0,
    rejected => [{ key => 'api:x', rev => 1, error => 'too odd' }],
    sync_state => 'store_full', sync_error => "MAP_FULL" },
    token => $token);
like((ctl('gateway', 'status'))[1],
     qr/^edge .* store_full +1 .*\n\nedge is store_full: MAP_FULL/ms,
     'why it is behind');
like((ctl('gateway', 'status', 'edge'))[1],
     qr/edge refused:\n  api:x \(revision 1\): too odd/, 'what it refused');
like((ctl('gateway', 'delete', 'edge'))[1], qr/deleted/, 'gateway delete');

# admin tokens: a tenant's own needs no --tenant

($code, my $admin) = ctl('token', 'create', 'ta', '--role', 'tenant-admin',
                         @acme, '-o', 'token');
like($admin, qr/^stoa_adm_/, 'token create');
chomp $admin;
my $as = { env => { STOA_TOKEN => $admin } };
is(($t->stoactl('get', 'apis', $as))[0], 0, 'its tenant is known');
is(($t->stoactl('get', 'gateways', $as))[0], 3, 'it may not do all');
like((ctl('token', 'list'))[1], qr/^ta +tenant-admin +acme/m, 'token list');
is((ctl('token', 'revoke', 'ta'))[0], 0, 'token revoke');
is(($t->stoactl('get', 'apis', $as))[0], 3, 'it is over');

# audit, usage

like((ctl('audit', 'list', '--limit', '3'))[1], qr/revoke +admin_token +ta/,
     'audit list');
is(scalar @{ json('audit', 'list', '--limit', '3') }, 3, 'limited');
cmp_ok(scalar @{ json('audit', 'list', '--since', '1h', '--limit', '1000') },
       '>', 10, 'since');
is((ctl('audit', 'verify'))[0], 0, 'audit verify');
my ($cpc, $cpo) = ctl('audit', 'checkpoint');
is($cpc, 0, 'audit checkpoint');
spew($t->dir('checkpoint'), $cpo);
is((ctl('audit', 'verify', '--checkpoint', $t->dir('checkpoint')))[0], 0,
   'the log has what it says');
spew($t->dir('checkpoint'),
     $cpo =~ s{"signature":"(.)}{'"signature":"' . ($1 eq '_' ? 'A' : '_')}er);
isnt((ctl('audit', 'verify', '--checkpoint', $t->dir('checkpoint')))[0], 0,
   'a forged one');
like((ctl('audit', 'export', '--csv'))[1], qr/^"at","tenant",/,
   'audit export');
like((ctl('audit', 'erase', '0' x 16))[1], qr/that somebody of this id/,
   'audit erase');
is_deeply(json('usage', @acme), [], 'usage');
is((ctl('usage', @acme, '--by', 'colour'))[0], 3, 'by what?');
is((ctl('usage', '-A'))[0], 0, 'usage of all tenants');
is((ctl('usage', @acme, '--csv', '--by', 'status', '--step', 'day', '--zone',
        'Asia/Kolkata', '--from', '2026-01-01'))[1],
   "start,status,requests\r\n", 'usage as a file');
is((ctl('usage', @acme, '--zone', 'Mars'))[0], 3, 'no such zone');

# a server that answers strangely

my $odd = $t->origin(sub {
    my ($q) = @_;
    return [200, ['Content-Type' => 'text/html'], '<html>']
        if $q->{path} =~ /whoami/;
    return [302, [Location => 'http://127.0.0.1:9/']] if $q->{path} =~ /apis/;
    return [500, [], "\e[31mboom"];
});
my $at = { env => { STOA_URL => "http://127.0.0.1:$odd" } };
is(($t->stoactl('whoami', $at))[0], 1, 'no JSON');
is(($t->stoactl('get', 'apis', @acme, $at))[0], 1, 'a redirect');
($code, undef, $err) = $t->stoactl('get', 'plans', @acme, $at);
is($code, 1, 'a 500');
unlike($err, qr/\e/, 'its control characters stay out of the terminal');
my $hang = $t->origin(sub { select undef, undef, undef, 5; return undef },
                      name => 'hang');
is(($t->stoactl('whoami', '--timeout', '300ms',
    { env => { STOA_URL => "http://127.0.0.1:$hang" } }))[0], 4,
   'no answer: timed out');

# a token that was given as an option is not seen in the process list

my $pid = fork // die "fork: $!\n";
if ($pid == 0) {
    open STDERR, '>', '/dev/null';
    exec "$Test::Stoa::OBJS/stoactl", '--url', "http://127.0.0.1:$hang",
        '--token', 'very-secret', 'whoami', '--timeout', '1s';
    exit 127;
}
my $wiped = wait_until { slurp("/proc/$pid/cmdline") =~ /--token\0x{11}\0/ } 3;
ok($wiped, 'a token on the command line is wiped');
waitpid $pid, 0;

$t->done;
