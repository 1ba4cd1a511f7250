#!/usr/bin/perl

# Bundles: a real Open Policy Agent fetches its rules from the control plane.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $opa = "$Test::Stoa::Base::PARTS/opa/bin/opa";
my $t = Test::Stoa->new->has('control', 'stoactl');
-x $opa or $t->give_up('no opa: t/parts/get.sh opa');
$t->control;

# the bundle of the documentation

my ($shop) = slurp("$FindBin::Bin/../../docs/policies.md")
    =~ /```yaml\n([^`]*kind: Bundle\n.*?)```/s;
$t->apply(docs(tenant('acme'), tenant('other')) . "---\n$shop");
my $P = '/v1/tenants/acme/bundles';
my $bundle = $t->must(GET => "$P/shop");
like($bundle->{revision}, qr/^[0-9a-f]{32}$/, 'a bundle has a revision');
is($t->must(GET => $P)->{items}[0]{modules}, undef, 'lists are without rules');
is($bundle->{checked}, JSON::PP::false, 'nobody has checked it');

# checked by a real one

sub checker { $t->stop('control'); $t->control(args => ["--opa-binary=$_[0]"]) }
checker($opa);
is($t->must(PATCH => "$P/shop", { title => 'checked' })->{checked}, JSON::PP::true,
   'OPA has checked it');
for (['unsafe' => { modules => [{ path => 'ok.rego', rego => "package ok\n" },
          { path => 'x/a.rego', rego => "package a\n\nyes if { foo }\n" }] },
      'modules[1].rego', qr{^x/a\.rego:3: .*foo.*unsafe}],
     ['strict' => { modules => [{ path => 'a.rego',
          rego => "package a\nimport data.x\n" }] },
      'modules[0].rego', qr{^a\.rego:2: .*unused}],
     ['no rego' => { modules => [{ path => 'a.rego', rego => "pack age\n" }] },
      'modules[0].rego', qr{^a\.rego:1: }],
     ['outside' => { roots => ['a'], modules => [{ path => 'a.rego',
          rego => "package b\n" }] }, 'modules', qr{roots.*do not permit}]) {
    my ($what, $spec, $field, $said) = @$_;
    my $r = $t->api(POST => $P, { name => 'bad', %$spec });
    is("$r->{status} $r->{json}{errors}[0]{field}", "422 $field", $what);
    like($r->{json}{errors}[0]{message}, $said, "$what: and where");
}
my $two = docs(map { doc('Bundle', 'acme', $_, { modules => [{ path => 'a.rego',
    rego => $_ eq 'good' ? "package a\n" : "package\n" }] }) } qw(good broken));
my $r = $t->api(POST => '/v1/apply', $two,
    headers => { 'Content-Type' => 'application/yaml' });
is("$r->{status} $r->{json}{errors}[0]{document}", '422 1',
   'the broken one of two documents');
is($t->api(GET => "$P/good")->{status}, 404, 'and neither is kept');

# what bounds it

my $fake = $t->dir('fake');
my $body = { name => 'x', modules => [{ path => 'a.rego', rego => "package a\n" }] };
spew("$fake.read", 'x');
spew($fake, <<'END');
#!/usr/bin/perl
use Socket;
$SIG{XFSZ} = 'IGNORE';
my $net = socket(my $s, PF_INET, SOCK_STREAM, 0) ? 'net' : 'none';
my $unix = socket(my $u, PF_UNIX, SOCK_STREAM, 0) ? 'unix' : 'none';
my $fds = join ',', grep { $_ > 2 && -e "/proc/self/fd/$_" } 0 .. 99;
my $in = do { local $/; <STDIN> } =~ /^\x1f\x8b/ ? 'archive' : 'other';
open my $f, '>', "$0.new"; my $wrote = print($f 'x') && close($f) ? 'wrote' : 'none';
unlink "$0.new";
my $read = join ',', grep { open my $l, '<', $_ } '/etc/passwd',
    "/proc/$$/limits", "$0.read", '/dev/null';
chomp(my $as = `sh -c 'ulimit -v'`);
my $env = join ',', grep { !/^(?:HOME|LANG|GO|PWD|OLDPWD|SHLVL|_$)/ } sort keys %ENV;
print qq({"errors":[{"message":"$net $unix fds:$fds in:$in $wrote read:$read $as env:$env"}]});
exit 1;
END
chmod 0755, $fake;
checker($fake);
$r = $t->api(POST => $P, $body);
is($r->{json}{errors}[0]{message}, 'none none fds: in:archive none read: 2097152 env:',
   'no network, no descriptor but the archive, no file, no environment, bounded'
   . ' memory');
for (['says too much' => 'print "x" x 4096 while 1', 422],
     ['never ends' => 'close STDOUT; close STDERR; sleep 1 while 1', 422],
     ['is killed' => 'kill 9, $$', 422], ['is odd' => 'exit 3', 422],
     ['is content' => 'exit 0', 201]) {
    my ($what, $code, $want) = @$_;
    spew($fake, "#!/usr/bin/perl\n$code\n");
    is($t->api(POST => $P, $body, timeout => 30)->{status}, $want, "one that $what");
}
spew($fake, "#!/usr/bin/perl\nsleep 1 while 1\n");
my $cut = $t->connection(port => $t->port('control'));
my $text = json_encode({ %$body, name => 'cut' });
$cut->send_raw($cut->request_text(POST => $P, body => $text, headers => {
    'Content-Type' => 'application/json', Authorization => "Bearer $t->{token}" })
    . $text);
sub runs { return scalar grep { (eval { slurp($_) } // '') =~ /^[^\0]*perl\0\Q$fake\E/ }
               glob('/proc/[0-9]*/cmdline') }
is((wait_until { runs() } 10), 1, 'one that takes its time');
$t->kill9('control');
is(join(' ', glob(($ENV{TMPDIR} || '/tmp') . '/stoa-run-*')), '',
   'nothing is left behind where stoa-control is killed meanwhile');
checker($fake);
unlink $fake;
is($t->api(POST => $P, { %$body, name => 'y' })->{status}, 503, 'one that is not there');
is($t->must(PATCH => "$P/x", { title => 'x' })->{checked}, JSON::PP::true,
   'nor is asked about what it has seen');
is(join(' ', glob(($ENV{TMPDIR} || '/tmp') . '/stoa-run-*')), '',
   'nothing is left behind');
$t->allow_log(qr/cannot run program/);
checker($opa);

# tried, by the real one

sub try_ { my ($in, %o) = @_;
           my $r = $t->api(POST => ($o{at} // "$P/shop") . '/try', $in, %o);
           return $r->{status} == 200
               ? "$r->{json}{decision} " . ($r->{json}{defined} ? 1 : 0)
               : "$r->{status} " . ($r->{json}{errors}[0]{field} // '') }
my $read = { method => 'GET', application => 'demo', odd => "a\"] with \x{e9}" };
for (['allowed' => { path => 'shop/authz/decision', input => $read }, 'allow 1'],
     ['denied' => { path => 'shop/authz/decision',
                    input => { %$read, method => 'PUT' } }, 'deny 1'],
     ['without an input' => { path => 'shop/authz/decision' }, 'deny 1'],
     ['undefined' => { path => 'shop/authz/none', input => $read }, 'none 0'],
     ['data, no decision' => { path => 'shop/readers' }, 'none 1'],
     ['no path' => { input => {} }, '422 path'],
     ['one that is more than a path' => { path => 'a"] with input as {}' },
      '422 path'],
     ['... ends too soon' => { path => 'shop/' }, '422 path'],
     ['what is not known' => { path => 'a', query => 'x' }, '422 query'],
     ['a long input' => { path => 'a', input => 'x' x 70_000 }, '422 input']) {
    my ($what, $in, $want) = @$_;
    is(try_($in), $want, "try: $what");
}
is($t->api(POST => "$P/shop/try", $_)->{status}, 400, 'try: no object')
    for ['x'], [];
my $tried = $t->must(POST => "$P/shop/try", { path => 'shop/authz/decision',
                                              input => $read });
is_deeply($tried->{value}, { allow => JSON::PP::true }, 'and its value');
is($tried->{revision}, $bundle->{revision}, 'and of which revision');
$t->must(POST => $P, { name => 'loops', modules => [{ path => 'a.rego',
    rego => "package a\n\nn := count([1 | some i in numbers.range(1, 100000000);"
        . " i > 0])\n" }] });
is(try_({ path => 'a/n' }, at => "$P/loops", timeout => 30), '422 path',
   'one without end is bounded');
my $long = $t->connection(port => $t->port('control'));
$text = json_encode({ path => 'a/n' });
$long->send_raw($long->request_text(POST => "$P/loops/try", body => $text,
    headers => { 'Content-Type' => 'application/json',
                 Authorization => "Bearer $t->{token}" }) . $text);
wait_until { grep { (eval { slurp($_) } // '') =~ /^\Q$opa\E\0eval\0/ }
             glob('/proc/[0-9]*/cmdline') } 10;
is(try_({ path => 'shop/readers' }), '503 ', 'one is tried at a time');
is($t->api(POST => $P, { %$body, name => 'beside' })->{status}, 201,
   'and bundles are checked beside it');
$long->response(timeout => 30);
spew($t->dir('secret.json'), '{"enum":["hidden"]}');
$t->must(POST => $P, { name => 'looks', modules => [{ path => 'a.rego',
    rego => <<"END" }] });
package a

x := json.match_schema("1", {"\$ref": "file://@{[ $t->dir('secret.json') ]}"})
END
my $looks = $t->api(POST => "$P/looks/try", { path => 'a' });
is($looks->{status}, 200, 'a schema that is a file of ours');
unlike($looks->{body}, qr/hidden/, 'is not read');
spew($t->dir('in.json'), json_encode($read));
my ($code, $said) = $t->stoactl('opa', 'try', '-t', 'acme', 'shop',
                                'shop/authz/decision', $t->dir('in.json'));
like($said, qr/allow/, 'stoactl opa try');
is($code, 0, 'which ends well');

# who fetches it needs one permission

sub fetch { return $t->api(GET => "$P/$_[0]/bundle.tar.gz", undef, @_[1 .. $#_]) }
$t->must(POST => '/v1/tenants/acme/roles', { name => 'agent',
    permissions => ['bundle:read'] });
my $token = $t->must(POST => '/v1/admin-tokens', { name => 'opa',
    role => 'agent', tenant => 'acme' })->{token};
my $far = $t->must(POST => '/v1/admin-tokens', { name => 'far',
    role => 'devops', tenant => 'other' })->{token};
my $got = fetch('shop', token => $token);
is("$got->{status} $got->{headers}{'content-type'} $got->{headers}{etag}",
   qq{200 application/gzip "$bundle->{revision}"}, 'the archive');
is(fetch('shop', token => undef)->{status}, 401, 'not without a token');
is(fetch('shop', token => $far)->{status}, 404, 'nor of another tenant');
is(fetch('none', token => $token)->{status}, 404, 'nor one that is not there');
my $shop_try = { path => 'shop/authz/decision' };
is(try_($shop_try, token => $token), '403 ', 'nor tried');
is(try_($shop_try, token => $far), '404 ', 'nor by another tenant');
is($t->api(PATCH => "$P/shop", { title => 'x' }, token => $token)->{status}, 403,
   'nor is it changed with that');
is(fetch('shop', headers => { 'If-None-Match' => $got->{headers}{etag} })
   ->{status}, 304, 'who has it gets nothing');
spew($t->dir('b.tar.gz'), $got->{body});
is(join(' ', split /\n/, qx(tar tzf ${\ $t->dir('b.tar.gz') })),
   '.manifest data.json shop/authz.rego', 'tar reads it');
is_deeply(json_decode(qx(tar xzOf ${\ $t->dir('b.tar.gz') } .manifest)),
   { revision => $bundle->{revision}, roots => ['shop'] }, 'its manifest');
is(fetch('shop')->{body}, $got->{body}, 'the same bytes each time');
$t->must(PATCH => "$P/shop", { title => 'Shop' });
is(fetch('shop')->{headers}{etag}, $got->{headers}{etag},
   'a title makes no other revision');

# what it must not be

my $module = { path => 'a.rego', rego => "package a\n" };
for (['no place for it' => { modules => [{ %$module, path => '../a.rego' }] },
      'modules[0].path'],
     ['hidden' => { modules => [{ %$module, path => 'x/.a.rego' }] },
      'modules[0].path'],
     ['absolute' => { modules => [{ %$module, path => '/a.rego' }] },
      'modules[0].path'],
     ['data in disguise' => { modules => [{ %$module, path => 'data.json' }] },
      'modules[0].path'],
     ['twice' => { modules => [$module,
          { %$module, rego => "package b\n" }] }, 'modules[1].path'],
     ['long' => { modules => [map { { path => "$_.rego",
          rego => 'x' x 600_000 } } 1, 2] }, 'modules'],
     ['roots that overlap' => { roots => ['a', 'a/b'] }, 'roots'],
     ['a root twice' => { roots => ['a', 'a'] }, 'roots[1]'],
     ['a root that ends with a slash' => { roots => ['a/'] }, 'roots'],
     ['data beside the roots' => { roots => ['a/b'], data => { c => 1 } },
      'data'],
     ['data above them' => { roots => ['a/b'], data => { a => 1 } }, 'data'],
     ['data next to them' => { roots => ['a/b'],
          data => { a => { b => 1, c => 1 } } }, 'data']) {
    my ($what, $spec, $field) = @$_;
    my $r = $t->api(POST => $P, { name => 'bad', %$spec });
    is("$r->{status} $r->{json}{errors}[0]{field}", "422 $field", $what);
}
my $big = { map { ("k$_" => 'x' x 1_000_000) } 1 .. 7 };
is($t->api(POST => $P, { name => 'big', data => $big })->{status}, 201,
   'data of 7 MB');
$big->{k8} = $big->{k9} = $big->{k1};
is($t->api(POST => $P, { name => 'bigger', data => $big })->{status}, 422,
   'data of 9 MB');

# OPA itself

my $conf = $t->dir('opa.json');
my $at = $t->port('opa');
spew($t->dir('token'), $token);
spew($conf, json_encode({
    services => { stoa => { url => $t->control_url,
        credentials => { bearer => { token_path => $t->dir('token') } } } },
    bundles => { shop => { service => 'stoa',
        resource => "$P/shop/bundle.tar.gz",
        polling => { min_delay_seconds => 1, max_delay_seconds => 1 } } } }));
$t->start('opa', argv => [$opa, 'run', '--server', '--disable-telemetry',
    '--addr', "127.0.0.1:$at", '--config-file', $conf], exit => [0, 2]);
sub decides {
    my ($input) = @_;
    my $r = Test::Stoa::http_once($at, 'POST', '/v1/data/shop/authz/decision?provenance',
        headers => { 'Content-Type' => 'application/json' },
        body => json_encode({ input => $input }));
    my $json = json_decode($r->{body}) or return '';
    return join ' ', $json->{result}{allow} ? 1 : 0,
        $json->{provenance}{bundles}{shop}{revision} // 'none';
}
my $get = { method => 'GET', segments => ['orders'], application => 'demo' };
my $asks = sub { my ($want) = @_; my $said = '';
    wait_until { ($said = decides($get)) eq $want } 30; return $said };
my $rev = $bundle->{revision};
is($asks->("1 $rev"), "1 $rev", 'OPA fetches it and decides');
is(decides({ %$get, application => 'none' }), "0 $rev", 'by its data');

my $next = $t->must(PATCH => "$P/shop", { data => { shop => {
    readers => ['else'] } } })->{revision};
isnt($next, $rev, 'other data make another revision');
is($asks->("0 $next"), "0 $next", 'OPA goes by it');
is($t->must(PATCH => "$P/shop", { data => $bundle->{data} })->{revision}, $rev,
   'what was is what it was');
is($asks->("1 $rev"), "1 $rev", 'also for OPA');

# as documents

my ($rc, $out) = $t->stoactl('dump', '-t', 'acme');
like($out, qr/kind: Bundle\n.*package shop\.authz/s, 'dump has it');
spew($t->dir('dump.yaml'), $out);
($rc, $out) = $t->stoactl('diff', $t->dir('dump.yaml'));
is($rc, 0, 'which is what there is') or diag($out);
($rc, $out) = $t->stoactl('get', 'bundle', '-t', 'acme');
like($out, qr/shop +Shop +$rev +yes/, 'stoactl get');

$t->done;
