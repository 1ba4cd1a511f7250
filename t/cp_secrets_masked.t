#!/usr/bin/perl

# What is secret stands nowhere but where it is for.  Marks are written through
# every route of the OpenAPI document that takes a secret, in requests that are
# good and in ones that are refused, and looked for in all answers, the audit
# log, documents, logs, metrics, processes and the database.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Feed;
use Test::Stoa::Mail;
use Test::Stoa::People qw(code_of);

use MIME::Base64 qw(encode_base64);

my $t = Test::Stoa->new->has('openssl');
my $mail = Test::Stoa::Mail->new($t, tls => 1);
my %file = map { ($_ => $t->dir($_)) } qw(password stoa.key pepper leak.json);
sub openssl { my ($code, $out) = $t->run_cmd(['openssl', @_]);
              die "openssl @_: $out\n" if $code }
openssl(qw(ecparam -genkey -name prime256v1 -noout -out), $t->dir('ec'));
openssl(qw(ec -pubout -in), $t->dir('ec'), '-out', $t->dir('ec.pub'));
spew($file{'leak.json'}, json_encode({ public_keys => [{ key_identifier =>
    'k', key => slurp($t->dir('ec.pub')), is_current => JSON::PP::true }] }));

# What must not be seen: text => what it is.  A mark is different each time.

my (%hidden, $marks);
sub mark { my $m = sprintf 'mArk%04dXq7z', ++$marks;
           $hidden{$m} = $_[0]; return $m }
sub hide { my ($what, @texts) = @_; $hidden{$_} = $what for @texts;
           return wantarray ? @texts : $texts[0] }
sub seen {
    my ($text, %but) = @_;
    my $any = join '|', map { quotemeta } grep { !$but{$_} } keys %hidden;
    my %found = map { ($hidden{$_} => 1) } $text =~ /($any)/g;
    return join ', ', sort keys %found;
}

spew($file{pepper}, 'ab' x 16 . mark('the pepper') . "\n", 0600);
hide('the mail server\'s password', 'pass:word');
$t->control(args => ['--log-level=debug', "--admin-password-file=$file{password}",
    "--secret-key-file=$file{'stoa.key'}", "--pepper-file=$file{pepper}",
    "--leak-keys=$file{'leak.json'}", '--public-url=https://stoa.example',
    $mail->args]);
hide('the key of secrets', slurp($file{'stoa.key'}) =~ /(\w{32})/);
hide('the administrator\'s token', $t->{token});
my ($once) = hide('the first password', slurp($file{password}) =~ /(\S+)/);

# What the document says is secret: by route, the members and headers.

my $doc = $t->api(GET => '/v1/openapi.json')->{json};
my $odd = qr/passw|passphrase|secret$|token$|^code$|^key$|private|^value$/i;
my %plain = map { ($_ => 1) } (
    'client_secret',            # names a secret, in an issuer and a policy
    'POST /gateway/v1/status key',              # of a record
    'password',                 # of a policy: ${secret:NAME} or refused
    map { "$_ value" }          # of a header or claim, in upstream.split
        'POST /v1/apply', 'POST /v1/diff', 'POST /v1/tenant-imports',
        'POST /v1/tenants/{tenant}/apis',
        map { "$_ /v1/tenants/{tenant}/apis/{api}" } 'PATCH', 'PUT'
);
my (%takes, @unmarked);
sub walk {
    my ($schema, $path, $found, $depth) = @_;
    return if ref $schema ne 'HASH' || $depth > 12;
    return walk($doc->{components}{schemas}{$1}, $path, $found, $depth + 1)
        if ($schema->{'$ref'} // '') =~ m{([^/]+)$};
    walk($_, $path, $found, $depth + 1)
        for map { @{ $schema->{$_} || [] } } qw(oneOf anyOf allOf);
    walk($schema->{items}, $path, $found, $depth + 1);
    for my $name (sort keys %{ $schema->{properties} || {} }) {
        my $p = $schema->{properties}{$name};
        $found->{$name} = 1 if $p->{'x-secret'};
        push @unmarked, "$path $name" if $name =~ $odd && !$p->{'x-secret'}
            && !$plain{$name} && !$plain{"$path $name"} && ($p->{type} // '') =~ /string/;
        walk($p, $path, $found, $depth + 1);
    }
}
for my $path (sort keys %{ $doc->{paths} }) {
    for my $method (grep { $_ ne 'get' } sort keys %{ $doc->{paths}{$path} }) {
        my $op = $doc->{paths}{$path}{$method};
        my $route = uc($method) . " $path";
        my $json = $op->{requestBody}{content}{'application/json'};
        my %found;
        walk($json->{schema}, $route, \%found, 0) if $json;
        for (grep { $_->{in} eq 'header' } @{ $op->{parameters} || [] }) {
            $found{$_->{name}} = 1 if $_->{schema}{'x-secret'};
            push @unmarked, "$route $_->{name}"
                if $_->{name} =~ $odd && !$_->{schema}{'x-secret'};
        }
        $takes{$route} = { body => !!$json, secret => \%found };
    }
}
is(join("\n", @unmarked), '', 'what sounds secret is marked so');

# One request.  What it answers may hold what it made, and nothing else; what
# it makes is hidden from then on.

my ($cookie, %well, @leaks);
my %of = (tenant => 'acme', api => 'echo', application => 'demo',
    secret => 'token', global_secret => 'token', plan => 'free', user => 'admin',
    gateway_group => 'default', gateway => 'gw', policy => 'p',
    global_policy => 'p', issuer => 'i', server => 's', operation => 'o');
sub made {
    my ($v, $into) = @_;
    if (ref $v eq 'ARRAY') { made($_, $into) for @$v; return }
    return unless ref $v eq 'HASH';
    for (sort keys %$v) {
        made($v->{$_}, $into);
        push @$into, hide("a $_ that was made", ref $v->{$_} ? @{ $v->{$_} }
            : $v->{$_}) if /^(?:key|token|link|secret|recovery_codes)$/
            && (ref $v->{$_} eq 'ARRAY' || !ref $v->{$_} && length($v->{$_}) > 15);
    }
}
sub members {
    my ($v) = @_;
    return map { members($_) } @$v if ref $v eq 'ARRAY';
    return ref $v eq 'HASH' ? map { ($_, members($v->{$_})) } keys %$v : ();
}
sub ask {
    my ($route, $body, %o) = @_;
    my ($method, $path) = split / /, $route;
    $path =~ s/\{(\w+)\}/$o{of}{$1} || $of{$1} || 'x'/ge;
    my $who = $o{as} || 'admin';
    my %h = (%{ $o{headers} || {} }, 'Stoa-Client' => 'test');
    $h{Cookie} = "__Host-stoa=$cookie" if $who eq 'cookie';
    $h{'Content-Type'} //= 'application/json'
        if defined $body && !ref $body;
    my $r = $t->api($method, $path . ($o{query} // ''), $body, headers => \%h,
        $who eq 'admin' ? () : (token => $o{token}));
    my @new;
    made($r->{json}, \@new) if $r->{status} =~ /^2/ && !$o{made};
    if (($r->{headers}{'set-cookie'} // '') =~ /__Host-stoa=([\w-]{20,})/) {
        push @new, $cookie = hide('a cookie', $1);
    }
    my $shown = join "\n", $r->{body}, grep { defined } map { ref ? @$_ : $_ }
        values %{ $r->{headers} };
    my $leak = seen($shown, map { ($_ => 1) } @new, @{ $o{made} || [] });
    push @leaks, "$route $r->{status} answers $leak: $r->{body}" if $leak;
    if ($r->{status} =~ /^2/) {
        $well{$route}{$_} = 1 for keys %{ $o{headers} || {} }, members($body);
    }
    $r->{made} = \@new;
    return $r;
}
sub good {
    my ($route, @more) = @_;
    my $r = ask($route, @more);
    like($r->{status}, qr/^2/, "good: $route") or diag $r->{body};
    return $r;
}


# Good ones

$t->apply(docs(doc('GatewayGroup', undef, 'default'),
    tenant('acme', sign_up => 'open'), app('acme', 'demo'),
    plan('acme', 'free'), doc('Server', 'acme', 's'),
    rest('acme', 'echo', 'http://127.0.0.1:1', operations =>
         [{ name => 'o', method => 'GET', path => '/' }]),
    doc('Secret', 'acme', 'base', { value => mark('a secret by apply') }),
    sub_('acme', 'demo', 'echo', 'free')));
my %as = (as => 'cookie');
my $password = mark('a password');
good('POST /v1/session', { name => 'admin', password => $once,
    new_password => $password }, as => 'nobody');
my $two = 'POST /v1/session/second-factor';
my $r = good($two, { password => $password }, %as);
$r = good("$two/confirm", { code => code_of($r->{json}{secret}, -1) }, %as);
my @code = @{ $r->{json}{recovery_codes} };
good('POST /v1/session', { name => 'admin', password => $password,
    code => shift @code }, as => 'nobody');
my $next = mark('another password');
good('POST /v1/session/password', { password => $password,
    new_password => $next, code => shift @code }, %as);
$password = $next;
$r = good('POST /v1/session/recovery-codes', { password => $password,
    code => shift @code }, %as);
@code = @{ $r->{json}{recovery_codes} };
good($two, { password => $password, code => shift @code }, %as);
good("$two/remove", { password => $password, code => shift @code }, %as);
good('POST /v1/sign-up', { tenant => 'acme', name => 'sam', mail => 's@y.org',
    password => mark('the password of a sign-up') }, as => 'nobody');
good('POST /v1/invitations', { mail => 'jay@x.org', role => 'viewer',
    tenant => 'acme' });
my ($token) = map { hide('an invitation', $_->{text} =~ /#([\w-]{43})/) }
    grep { $_->{to} eq 'jay@x.org' } $mail->wait(1);
my %no = (as => 'nobody');
good('POST /v1/invitation/look', { token => $token }, %no);
good('POST /v1/invitation/accept', { token => $token, name => 'jay',
    password => mark('the password of an invited') }, %no);
$r = good('POST /v1/users/{user}/reset', {}, of => { user => 'sam' });

for (['secrets', 'secret'], ['', 'global_secret']) {
    my ($at, $kind) = ($_->[0] ? '/v1/tenants/{tenant}/secrets'
                               : '/v1/secrets', $_->[1]);
    good("POST $at", { name => 'token', value => mark("$kind: POST") });
    good("PUT $at/{$kind}", { name => 'token', value => mark("$kind: PUT") });
    good("PATCH $at/{$kind}", { value => mark("$kind: PATCH") });
}
sub pem {
    openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes
        -subj /CN=a -days 2 -keyout), $t->dir('k'), '-out', $t->dir('c'));
    my ($line) = slurp($t->dir('k')) =~ /^([\w+\/]{40,})/m;
    hide('a certificate\'s key', $line, substr $line, 0, 40);
    return slurp($t->dir('c')) . slurp($t->dir('k'));
}
good('POST /v1/tenants/{tenant}/secrets', { name => 'pair', value => pem() });
sub document { return [{ apiVersion => 'stoa/v1', kind => 'Secret',
    metadata => { name => 'doc', tenant => $_[1] || 'acme' },
    spec => { value => mark("a document: $_[0]") } }] }
good('POST /v1/diff', document('diff'));
good('POST /v1/apply', document('apply'));
good('POST /v1/apply', document('apply again'));
good('POST /v1/diff', document('diff again'));
my $phrase = mark('a passphrase');
my %with = (headers => { 'Stoa-Passphrase' => $phrase });
my $tenant = good('POST /v1/tenants/{tenant}/export', undef, %with)->{body};
good('POST /v1/tenant-imports', $tenant, query => '?name=copy',
     headers => { %{ $with{headers} }, 'Content-Type' => 'application/yaml' });
good('POST /v1/tenant-imports', [{ apiVersion => 'stoa/v1', kind => 'Tenant',
    metadata => { name => 'two' }, spec => { invite => 'a@z.org' } },
    @{ document('import', 'two') }]);
good('POST /v1/tenants', { name => 'three', invite => 'b@z.org' });
for ('POST /v1/admin-tokens', 'POST /v1/gateways',
     'POST /v1/tenants/{tenant}/applications/{application}/credentials')
{
    my %once = (headers => { 'Idempotency-Key' => 'once' . ++$marks });
    my $body = /tokens/ ? { name => 'v', role => 'viewer' }
        : /gateways/ ? { name => 'gw', group => 'default' } : { title => 'k' };
    $r = good($_, $body, %once);
    good($_, $body, %once, made => $r->{made});    # the same, again
}
my $key = $r->{json}{key};
good('POST /v1/tenants/{tenant}/applications/{application}/credentials/'
     . '{credential}/rotate', {}, of => { credential => $r->{json}{id} });
sub report {
    my ($text) = @_;
    spew($t->dir('body'), $text);
    openssl(qw(dgst -sha256 -sign), $t->dir('ec'), '-out', $t->dir('sig'),
            $t->dir('body'));
    return (headers => { 'Github-Public-Key-Identifier' => 'k',
        'Github-Public-Key-Signature' =>
            encode_base64(slurp($t->dir('sig')), '') }, %no);
}
my @leak = map { { token => $_, type => 'k', url => 'https://x.example' } }
    $key, mark('a text that leaked'), substr($key, 0, -1) . 'x';
good('POST /v1/leaked-keys', json_encode(\@leak), report(json_encode(\@leak)));
$well{'POST /v1/leaked-keys'}{token} = 1;
ask('POST /v1/leaked-keys', \@leak, %no);

# ... every one that the document knows of

my @missed;
for my $route (sort keys %takes) {
    for (sort keys %{ $takes{$route}{secret} }) {
        push @missed, "$route $_" unless $well{$route}{$_}
            || /^invite$/;                       # goes in with its tenant
    }
}
is(join("\n", @missed), '', 'every secret of the document was written');


# Refused ones: every route that takes a body, with what is not known, too
# long, of another type, no JSON; without a right, or the right version.

my $viewer = $t->must(POST => '/v1/admin-tokens',
    { name => 'look', role => 'viewer' })->{token};
hide('a viewer\'s token', $viewer);
my %status;
for my $route (sort grep { $takes{$_}{body} } keys %takes) {
    my $login = $route =~ m{/session/|/sessions} ? 'cookie' : 'admin';
    my @secret = sort keys %{ $takes{$route}{secret} };
    my %more = map { ($_ => mark("$route: no value of $_")) }
        grep { /-/ } @secret;
    my $m = sub { mark("$route: $_[0]") };
    my @bodies;
    for my $name (@secret ? grep { !/-/ } @secret : 'password') {
        push @bodies, map { { $name => $_ } } $m->('given'),
            { value => $m->('in an object') }, [$m->('in a list')],
            $m->('long') x 1500, $m->('with a byte') . "\x01\n",
            'https://u:' . $m->('of a URL') . '@a.example/';
    }
    push @bodies, { name => 'x', passwort => $m->('not known') },
        [$m->('a list')], [{ value => $m->('in a list') }];
    my @texts = ('"' . $m->('a text') . '"', '{"password": "' . $m->('cut'),
        '{"password": ' . $m->('no JSON') . '}',
        "{\"value\": \"$marks\", \"value\": \"" . $m->('twice') . '"}',
        '{"value": "' . $m->('bytes') . "\xff\"}");
    my %o = (as => $login, headers => \%more);
    for (@bodies, @texts) {
        $status{ ask($route, $_, %o)->{status} }++;
    }
    my $yaml = 'value: ' . $m->('YAML') . ": [\n - &a *a";
    $status{ ask($route, $yaml, %o, headers => { %more, 'Content-Type' =>
        'application/yaml' })->{status} }++;
    next if $login eq 'cookie';
    for my $h ({ as => 'token', token => $viewer }, { %no },
               { headers => { %more, 'If-Match' => '"x-1"' } })
    {
        $status{ ask($route, $bodies[0], %o, %$h)->{status} }++;
    }
}
cmp_ok($status{422} // 0, '>', 100, 'refused by what they say')
    or diag explain \%status;
cmp_ok($status{400} // 0, '>', 100, '... and as no document');
cmp_ok($status{$_} // 0, '>', 10, "... $_") for 401, 403;
ok(!$status{500}, 'no request is the control plane\'s fault');
ok($t->alive('control'), '... nor its end');

# ... in what a schema cannot say: policies, addresses, documents, headers

sub bad { my $r = ask(@_); like($r->{status}, qr/^4/, "refused: $_[0]")
          or diag $r->{body} }
sub at { return 'https://user:' . mark($_[0]) . '@up.example/' }
for my $config ({ type => 'basic', user => 'u', password => mark('basic') },
    { type => 'header', name => 'X-Key', value => mark('header') },
    { type => 'client_credentials', token_url => at('a token endpoint'),
      client_id => 'c', client_secret => mark('client secret') })
{
    for ('POST /v1/tenants/{tenant}/policies', 'POST /v1/policies') {
        bad($_, { name => 'bad', type => 'upstream-credential',
            attach => [], config => $config });
    }
}
bad('POST /v1/tenants/{tenant}/policies', { name => 'bad', attach => [],
    type => 'upstream-certificate', config => { pem => pem() } });
bad('POST /v1/tenants/{tenant}/apis', { name => 'bad', kind => 'rest',
    upstream => { targets => [{ url => at('a target') }] } });
bad('POST /v1/tenants/{tenant}/issuers', { name => 'bad',
    issuer => at('an issuer'), jwks_url => at('keys of an issuer') });
bad('POST /v1/tenants/{tenant}/secrets', { name => 'base',
    value => mark('of a name that is taken') });
bad('POST /v1/tenants/{tenant}/secrets', { name => 'No name',
    value => mark('with a wrong name') });
bad('POST /v1/tenants/{tenant}/secrets', { name => 'cut',
    value => substr pem(), 0, -60 });
my $yaml = document('a wrong document');
$yaml->[0]{spec}{what} = mark('a member that is not known');
$yaml->[0]{metadata}{token} = mark('in metadata');
bad("POST /v1/$_", $yaml) for qw(apply diff tenant-imports);
bad('POST /v1/tenant-imports', $tenant, query => '?name=again', headers => {
    'Stoa-Passphrase' => mark('a wrong passphrase'),
    'Content-Type' => 'application/yaml' });
bad('GET /v1/users/{user}', undef, of => { user => $key });
bad('GET /v1/tenants', undef, query => '?token=' . mark('a query'));
bad('GET /v1/tenants', undef, as => 'token', token => $_)
    for mark('a token'), substr($viewer, 0, -1) . 'g';
bad('GET /v1/session', undef, headers => {
    Cookie => '__Host-stoa=' . mark('a cookie') }, %no);
my @tries = map { mark('a wrong password') } 1 .. 3;
bad('POST /v1/session', { name => 'admin', password => $_ }, %no) for @tries;
bad('POST /v1/session', { name => mark('a password in the wrong place'),
    password => 'x' }, %no);
is(join("\n", map { substr $_, 0, 300 } @leaks), '', 'no answer says one');


# Nowhere: all that can be read, and what the process leaves behind

@leaks = ();
for my $path (sort grep { $doc->{paths}{$_}{get} && !m{^/gateway/} }
              keys %{ $doc->{paths} })
{
    ask("GET $path", undef, as => $path =~ m{/session} ? 'cookie' : 'admin');
}
my ($cursor, $events, $n) = ('', '', 0);
do {
    my $page = $t->api(GET => "/v1/audit?limit=500$cursor");
    $events .= $page->{body};
    $n += @{ $page->{json}{items} };
    $cursor = $page->{json}{next} ? "&cursor=$page->{json}{next}" : '';
} while ($cursor);
cmp_ok($n, '>', 30, 'events of it');
$mail->wait(1);
my $pid = $t->pid('control');
my %where = ('the audit log' => $events,
    map({ ("the audit log of $_" => $t->api(GET =>
        "/v1/audit?limit=500&tenant=$_")->{body}) } qw(acme copy two)),
    'its export' => $t->api(GET => '/v1/audit/export')->{body},
    'the metrics' => $t->api(GET => '/metrics')->{body},
    'its arguments' => slurp("/proc/$pid/cmdline"),
    'its environment' => slurp("/proc/$pid/environ"),
    'the database' => $t->{db} eq 'sqlite'
        ? join('', map { slurp($_) } grep { -f } glob $t->dir('control.db*'))
        : (map { s/\\x((?:[0-9a-f]{2})+)/pack 'H*', $1/ger } ($t->run_cmd([
            Test::Stoa::Base::pg_bin() . '/pg_dump', '--inserts',
            $t->database]))[1])[0]);
$where{'PostgreSQL\'s log'} = slurp($t->dir('postgres.out'))
    if $t->{db} eq 'pg';
like($where{'its export'}, qr/"create"/, 'an export');
like($where{'the metrics'}, qr/^stoa_control/m, 'metrics');
like($where{'the database'}, qr{http://127\.0\.0\.1:1}, 'a database');
$t->stop('control');
$where{'the log'} = slurp($t->dir('control.out'));
like($where{'the log'}, qr/POST \S*\/v1\/leaked-keys|leaked-keys/, 'a log');
is(join("\n", map { substr $_, 0, 300 } @leaks), '', 'no list says one');
is(seen($where{$_}), '', "none in $_") for sort keys %where;

$t->done;
