#!/usr/bin/perl

# A whole tenant out and in again: what it has, its secrets by a passphrase,
# its keys, which go on working.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Base qw(wait_until);

my $t = Test::Stoa->new->has('module', 'control');
$t->control;
my $to = 'http://127.0.0.1:' . $t->origin;
$t->apply(docs(
    doc('Tenant', undef, 'acme', { title => 'Acme',
        labels => { team => 'pay' }, limits => { application => 7 } }),
    doc('Role', 'acme', 'keeper', { permissions => ['self:read'] }),
    doc('Secret', 'acme', 'upstream', { value => 'swordfish-in-acme' }),
    app('acme', 'demo'), plan('acme', 'free'), rest('acme', 'echo', $to),
    sub_('acme', 'demo', 'echo', 'free'), tenant('other')));
my $doc = "openapi: 3.1.0\ninfo: {title: Echo, version: '1'}\npaths:\n"
    . "  /a: {get: {responses: {'200': {description: ok}}}}\n";
$t->must(POST => '/v1/tenants/acme/apis/echo/documents?operations=add', $doc,
    headers => { 'Content-Type' => 'application/yaml' });
$t->must(POST => '/v1/tenants/acme/apis/echo/pages',
    { name => 'start', body => "# Echo\n" });
$t->gateway(group => 'prod');
my $key = $t->key('acme', 'demo');
my $old = $t->key('acme', 'demo');
$t->sync;
is($t->get('/apis/acme/echo/', key => $key)->{status}, 200, 'a call');

my $phrase = 'correct horse battery';
sub export { return $t->api(POST => '/v1/tenants/acme/export', undef,
    headers => { $_[0] ? ('Stoa-Passphrase' => $_[0]) : () },
    $_[1] ? (token => $_[1]) : ()) }
sub import_ { my ($body, $query, $with) = @_;
    return $t->api(POST => "/v1/tenant-imports?$query", $body, headers => {
        'Content-Type' => 'application/yaml',
        $with ? ('Stoa-Passphrase' => $with) : () }) }

my $plain = export()->{body};
my $whole = export($phrase)->{body};
unlike("$plain$whole", qr/swordfish/, 'no secret is readable');
unlike($plain, qr/TenantSecrets/, 'none is there without a passphrase');
like($plain, qr/kind: Role/, 'roles are');
is($t->api(POST => '/v1/apply', $plain, headers => { 'Content-Type' =>
    'application/yaml' })->{status}, 200, 'an apply takes it');

my $ta = $t->must(POST => '/v1/admin-tokens', { name => 'ta',
    role => 'tenant-admin', tenant => 'acme' })->{token};
is(export(undef, $ta)->{status}, 200, 'a tenant exports itself');
is(export($phrase, $ta)->{status}, 403, 'without its secrets');
my $to_ = $t->must(POST => '/v1/admin-tokens', { name => 'to',
    role => 'tenant-admin', tenant => 'other' })->{token};
is(export(undef, $to_)->{status}, 404, 'not another');
is(export('short')->{status}, 400, 'a short passphrase');

# what does not go in

is(import_($whole, '', $phrase)->{status}, 409, 'it is there already');
is(import_($whole, 'name=copy', 'correct horse battery 2')->{status}, 400,
    'another passphrase');
(my $cut = $whole) =~ s{(sealed: \S{40})(.)}{$1 . ($2 eq "-" ? "_" : "-")}e;
is(import_($cut, 'name=copy', $phrase)->{status}, 400, 'changed');
is(import_($plain . "---\n" . tenant('two') . "\n", 'name=copy')->{status},
    400, 'two tenants');
is(import_($plain, 'name=Not%20A%20Name')->{status}, 422, 'no name');
my $others = $t->api(POST => '/v1/tenants/other/export')->{body};
my ($sealed) = $whole =~ /^(---\n[^-]*TenantSecrets.*)/ms;
is(import_($others . $sealed, 'name=copy', $phrase)->{status}, 400,
    "one tenant's secrets with another's documents");
(my $bad = $plain) =~ s/kind: Plan\n/kind: Plan\nfoo: 1\n/;
is(import_($bad, 'name=copy')->{status}, 422, 'a fault');
is($t->api(GET => '/v1/tenants/copy')->{status}, 404, 'nothing is left');

# a copy beside it: the keys are the first one's

my $file = $t->write_file('acme.yaml', $whole);
my $pass = $t->write_file('phrase', "$phrase\n");
my ($code, $said) = $t->stoactl('tenant', 'export', 'acme',
    '--passphrase-file', $pass);
like($said, qr/^---.*kind: TenantSecrets/s, 'stoactl tenant export');
($code, $said) = $t->stoactl('tenant', 'import', $file, '--name', 'cli',
    '--passphrase-file', $pass);
is($code, 0, 'stoactl tenant import') or diag $said;
$t->must(DELETE => '/v1/tenants/cli?force=1');
my $r = import_($whole, 'name=copy', $phrase);
like($r->{status}, qr{^20[02]$}, 'a copy');
is_deeply([@{ $r->{json} }{qw(credentials credentials_left)}], [0, 2],
    'whose keys stay behind');
is($t->must(GET => '/v1/tenants/copy')->{labels}{team}, 'pay', 'its labels');
is($t->must(GET => '/v1/tenants/copy/apis/echo')->{state}, 'published',
    'its apis');
is($t->api(GET => '/v1/tenants/copy/apis/echo/documents/latest')->{body}, $doc,
    'with their documents');
is($t->must(GET => '/v1/tenants/copy/apis/echo/pages/start')->{body},
    "# Echo\n", 'and pages');
is($t->must(GET => '/v1/tenants/copy/apis/echo/operations')->{items}[0]
    {imported}, JSON::PP::true, 'and whose the operations are');
(my $again = export($phrase)->{body}) =~ s/^---\n[^-]*TenantSecrets.*//ms;
$r = $t->api(POST => '/v1/tenants/copy/export')->{body};
$r =~ s/\bcopy\b/acme/g;
is($r, $plain, 'exported again it is the same');

# of a tenant whose limits were lowered since

$t->must(POST => '/v1/tenants/acme/applications', { name => 'second' });
$t->must(PATCH => '/v1/tenants/acme', { limits => { application => 1 } });
$r = import_(export()->{body}, 'name=low');
like($r->{status}, qr{^20[02]$}, 'a tenant above its limit comes in');
is(scalar @{ $t->must(GET => '/v1/tenants/low/applications')->{items} }, 2,
    'whole');
is($t->api(POST => '/v1/tenants/low/applications', { name => 'third' })
    ->{status}, 409, 'and makes no more');
$t->must(DELETE => '/v1/tenants/low?force=1');

# moved: old keys work under the new name

$t->must(DELETE => '/v1/tenants/copy?force=1');
$t->must(DELETE => '/v1/tenants/acme?force=1');
ok(scalar wait_until(sub { $t->get('/apis/acme/echo/', key => $key)->{status}
    == 404 }), 'it is gone');
$r = import_($whole, 'name=moved', $phrase);
is($r->{json}{credentials}, 2, 'keys come along') or diag $r->{body};
ok(scalar wait_until(sub { $t->get('/apis/moved/echo/', key => $key)->{status}
    == 200 }), 'and work');
is($t->get('/apis/moved/echo/', key => $old)->{status}, 200, 'all of them');
is($t->must(GET => '/v1/tenants/moved/limits')->{items}[4]{limit}, 7,
    'its limits');
my @events = @{ $t->must(GET => '/v1/audit?tenant=moved&action=import')
    ->{items} };
is($events[0]{diff}{credentials}, 2, 'the audit log has it');
is($t->must(GET => '/v1/audit/verify')->{ok}, JSON::PP::true, 'and is whole');

# suspended: all of it, at once

$t->must(POST => '/v1/tenants/moved/suspend?wait=5s');
is($t->get('/apis/moved/echo/', key => $key)->{json}{type},
    'urn:stoa:problem:tenant_suspended', 'a suspended tenant is refused');
$t->must(POST => '/v1/tenants/moved/resume?wait=5s');
is($t->get('/apis/moved/echo/', key => $key)->{status}, 200, 'and resumed');
$t->must(POST => '/v1/tenants/moved/archive?wait=5s');
is($t->get('/apis/moved/echo/', key => $key)->{json}{type},
    'urn:stoa:problem:tenant_suspended', 'an archived one too');
is($t->api(POST => '/v1/tenants/moved/resume')->{status}, 409, 'for ever');
is($t->api(POST => '/v1/tenants/moved/applications', { name => 'x' })
    ->{status}, 409, 'and is kept as it is');

$t->done;
