#!/usr/bin/perl

# upstream-certificate: the client certificate that a gateway, and discovery,
# have in the handshake with an api's upstream.  The upstreams demand one, from
# one authority, and say whose they saw.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::MCP;

my $t = Test::Stoa->new->has('module', 'control', 'tls', 'openssl');
my $dir = $t->dir;
sub openssl { my @c = ('openssl', @_);
              my ($code, $out, $err) = $t->run_cmd(\@c);
              die "@c: $err" if $code; return $out }
my $serial = 1;
sub issue {                            # a certificate by $by, $ext: of what
    my ($name, $by, $ext) = @_;
    $t->write_file("$name.ext", "$ext\n");
    openssl(qw(req -newkey rsa:2048 -nodes -subj), "/CN=$name", '-keyout',
            "$dir/$name.key", '-out', "$dir/$name.csr");
    openssl(qw(x509 -req -days 20 -set_serial), $serial++, '-in',
            "$dir/$name.csr", '-CA', "$dir/$by.pem", '-CAkey', "$dir/$by.key",
            '-extfile', "$dir/$name.ext", '-out', "$dir/$name.pem");
    return slurp("$dir/$name.pem");
}
openssl(qw(req -x509 -newkey rsa:2048 -nodes -days 20 -subj /CN=root),
        '-keyout', "$dir/root.key", '-out', "$dir/root.pem");
my $between = issue('between', 'root', 'basicConstraints=critical,CA:TRUE');
issue('good.test', 'root', 'subjectAltName=DNS:good.test');
my %pem = map { my $c = issue($_, 'between', 'extendedKeyUsage=clientAuth');
                ($_ => $c . $between . slurp("$dir/$_.key")) }
    qw(one two three);

my ($tls, $mcp) = ($t->port('tls'), $t->mcp_origin(tools => {
    who => sub { $_[2]{headers}{"x-dn"} // 'nobody' } }));
$t->write_file('up/nginx.conf', $t->bare_conf(<<"END", name => 'up'));
        listen 127.0.0.1:$tls ssl;
        ssl_certificate $dir/good.test.pem;
        ssl_certificate_key $dir/good.test.key;
        ssl_client_certificate $dir/root.pem;
        ssl_verify_depth 2;
        ssl_verify_client on;
        location / { return 200 "\$ssl_client_s_dn \$connection"; }
        location /mcp {
            proxy_pass http://127.0.0.1:$mcp;
            proxy_set_header X-DN \$ssl_client_s_dn;
        }
END
$t->start_nginx('up');
$t->control(args => ["--upstream-ca-file=$dir/root.pem"]);
my $base = '/v1/tenants/acme';
my %up = (tls => { verify => \1, server_name => 'good.test' });
my $at = "https://127.0.0.1:$tls";
sub rule { my ($name, $secret, $api, %o) = @_;
    return doc('Policy', 'acme', $name, { type => 'upstream-certificate',
        config => { certificate => "\${secret:$secret}" },
        attach => [{ api => $api }], %o }) }
$t->apply(docs(tenant('acme'), app('acme', 'demo'), plan('acme', 'free'),
    (map { rest('acme', $_, $at, upstream => { %up }),
           sub_('acme', 'demo', $_, 'free') } qw(one same two bare shadow)),
    doc('Secret', 'acme', 'text', { value => 'a-word' }),
    (map { doc('Secret', 'acme', $_, { value => $pem{$_} }) } qw(one two)),
    rule('one', 'one', 'one'), rule('same', 'one', 'same'),
    rule('two', 'two', 'two'),
    rule('shadow', 'one', 'shadow', state => 'shadow')));
my %said;
sub said { my ($what, $r) = @_; $said{$what} .= $r->{body} // ''; return $r }


# what may be one, and what is told of it

my $r = said('a secret', $t->api(GET => "$base/secrets/one"));
my $c = $r->{json}{certificate};
is("$c->{subject} $c->{issuer} $c->{above}", 'CN=one CN=between 1',
   'a certificate says whose it is');
like($c->{not_after}, qr/^20\d\d-.*Z$/, 'and when it ends');
like($c->{sha256}, qr/^[0-9a-f]{64}$/, 'and which it is');
is($t->must(GET => "$base/secrets/text")->{certificate}, undef,
   'other secrets do not');
openssl(qw(req -x509 -newkey rsa:5120 -nodes -days 2 -subj /CN=slow),
        '-keyout', "$dir/slow.key", '-out', "$dir/slow.pem");
openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:brainpoolP256r1
           -nodes -days 2 -subj /CN=odd), '-keyout', "$dir/odd.key", '-out',
        "$dir/odd.pem");
my $locked = openssl(qw(pkcs8 -topk8 -passout pass:word -in),
                     "$dir/one.key");
for my $case (
    ['no key', slurp("$dir/one.pem"), qr/no private key/],
    ['a key alone', slurp("$dir/one.key"), qr/no certificate/],
    ["another one's key", slurp("$dir/one.pem") . slurp("$dir/two.key"),
     qr/another key/],
    ['a key that is locked', slurp("$dir/one.pem") . $locked,
     qr/must not be encrypted/],
    ['a key that takes long', join('', map { slurp("$dir/$_") }
        'slow.pem', 'slow.key'), qr/2048 to 4096 bits/],
    ['a curve of its own', join('', map { slurp("$dir/$_") }
        'odd.pem', 'odd.key'), qr/P-256/],
    ['garbage', "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
     qr/no certificate/],
    ['too much', $pem{one} x 5, qr/16384/],
    ['a long text', 'x' x 513, qr/512/],
    ['lines of no certificate', "a\nb", qr/control characters/],
) {
    my ($what, $value, $why) = @$case;
    $r = $t->api(POST => "$base/secrets", { name => 'bad', value => $value });
    is($r->{status}, 422, "not $what");
    like($r->{body}, $why, "$what: the reason");
}
for my $case (
    ['a text for a certificate', 'upstream-certificate',
     { certificate => '${secret:text}' }, qr/text\\" is no certificate/],
    ['more than one', 'upstream-certificate',
     { certificate => '${secret:one} ' }, qr/must be a secret/],
    ['none', 'upstream-certificate', { certificate => $pem{one} },
     qr/must be a secret/],
    ['a certificate for a header', 'upstream-credential',
     { kind => 'header', value => '${secret:one}' },
     qr/one\\" is a certificate/],
    ['nor that', 'headers', { request_set => [{ name => 'X-A',
        value => '${secret:one}' }] }, qr/one\\" is a certificate/],
) {
    my ($what, $type, $config, $why) = @$case;
    $r = $t->api(POST => "$base/policies", { name => 'bad', type => $type,
        config => $config, attach => [{ api => 'bare' }] });
    is($r->{status}, 422, "not $what");
    like($r->{body}, $why, "$what: the reason");
}
is($t->api(PATCH => "$base/secrets/one", { value => 'word' })->{status}, 422,
   'what was a certificate stays one');
is($t->api(PATCH => "$base/secrets/text", { value => $pem{one} })->{status},
   422, 'what was none becomes none');
is($t->must(PATCH => "$base/secrets/one", { title => 'x' })
   ->{certificate}{subject}, 'CN=one', 'another title is no other value');


# calls

$t->gateway(http => "stoa_upstream_ca $dir/root.pem;");
my $key = $t->key('acme', 'demo');
$t->sync;
sub call { my ($api) = @_;
           my $r = $t->get("/apis/acme/$api/", key => $key);
           return $r->{status} == 200 ? $r->{body} : $r->{status} }
sub who { return (split ' ', call(@_))[0] }
is(who('one'), 'CN=one', 'a call has it, and what leads to it');
is(who('two'), 'CN=two', 'another api another one');
is(who('bare'), 400, 'one without has none');
is(who('shadow'), 400, 'nor does a shadow');
my %seen = map { ($_ => call($_)) } qw(one same two);
isnt($seen{one}, $seen{same}, 'two apis share no connection');
for my $round (1, 2) {
    is(call($_), $seen{$_}, "$_ keeps its own") for sort keys %seen;
    is(who('bare'), 400, 'one without gets none of theirs');
}

$t->must(PATCH => "$base/secrets/one", { value => $pem{three} });
wait_until { who('one') eq 'CN=three' } 10;
is(join(' ', map { who('one') } 1 .. 4), join(' ', ('CN=three') x 4),
   'another value counts without a reload, on no old connection');
is(who('same'), 'CN=three', 'for all that use it');
is(who('two'), 'CN=two', 'for nobody else');
is($t->must(GET => "$base/secrets/one")->{certificate}{subject}, 'CN=three',
   'and is told');
my %m = %{ $t->metrics };
cmp_ok($m{'stoa_policy_total{policy_type="upstream-certificate",'
    . 'outcome="applied"}'} // 0, '>', 0, 'it is counted')
    or diag join "\n", grep { /policy/ } sort keys %m;
my $ends = $t->metrics('control')->{stoa_control_certificates_end_seconds};
cmp_ok(abs($ends - time - 20 * 86400), '<', 86400, 'and when it ends')
    or diag $ends;
is($t->api(DELETE => "$base/secrets/one")->{status}, 409,
   'what is used stays');


# MCP: discovery, sessions and calls

$t->apply(docs(doc('Api', 'acme', 'm', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => "$at/mcp" }], %up } }),
    sub_('acme', 'demo', 'm', 'free')));
wait_until { ($t->must(GET => "$base/apis/m")->{discovery}{state} // '')
             eq 'failed' } 20;
is($t->must(GET => "$base/apis/m")->{discovery}{state}, 'failed',
   'discovery without');
$t->apply(docs(rule('m', 'two', 'm')));
wait_until { @{ $t->api('GET', "$base/apis/m/tools")
             ->{json}{items} || [] } } 20;
is($t->must(GET => "$base/apis/m")->{discovery}{state}, 'ok',
   'discovery with a certificate');
$t->sync;
$r = $t->mcp('/mcp/acme', 'tools/call', { name => 'm__who', arguments => {} },
             key => $key);
is($r->{rpc}{result}{content}[0]{text}, 'CN=two', 'a call of a tool')
    or diag $r->{body};


# nobody is told the key

said('a dump', $t->api(GET => '/v1/dump?tenant=acme'));
said('the audit', $t->api(GET => '/v1/audit?tenant=acme'));
my ($secret) = slurp("$dir/one.key") =~ /\n(\S{40})/;
is(scalar(grep { $said{$_} =~ /\Q$secret\E/ } keys %said), 0, 'not by REST');
is(scalar(grep { /\Q$secret\E/ } $t->log_lines), 0, 'not by a log');

$t->done;
