#!/usr/bin/perl

# docs/identity.md: its examples verify what a gateway signs, and refuse what
# they should.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Identity;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    [200, ['Content-Type' => 'application/json'],
     json_encode({ jws => $_[0]{headers}{'x-stoa-identity'} })] });
$t->apply(docs(tenant('acme'), app('acme', 'demo'), plan('acme', 'free'),
    map { (rest('acme', $_, $to, identity => 'signed'),
           sub_('acme', 'demo', $_, 'free')) } qw(mine other)));
$t->gateway(group => 'prod');
my $key = $t->key('acme', 'demo');
$t->sync;
my ($mine, $other) =
    map { $t->get("/apis/acme/$_/", key => $key)->{json}{jws} } qw(mine other);
my $aud = $t->must(GET => '/v1/tenants/acme/apis/mine')->{id};
my ($token) = slurp($t->dir('gw/token')) =~ /(\S+)/;
my ($signer) = group_keys($t, $token);
my (undef, $claims) = parts($mine);

my $page = slurp("$Test::Stoa::ROOT/docs/identity.md");
$page =~ s{https://control\.example}{$t->control_url}ge;
$page =~ s{01kb3r0zx2m5w8qe}{$aud}g;
my %code = $page =~ /```(\w+)\n(.*?)```/gs;

my @cases = (
    ['what a gateway signed', $mine, 1],
    ['one for another api', $other, 0],
    ['one that has ended', assertion($t, $signer, { %$claims,
        iat => time - 200, exp => time - 100 }), 0],
    ['one of another issuer', assertion($t, $signer,
        { %$claims, iss => 'me' }), 0],
    ['one by another key', assertion($t, { %$signer, private => 'ab' x 32 },
        $claims), 0],
    ['one by an unknown key', assertion($t, { %$signer, id => '0' x 16 },
        $claims), 0],
    ['one that is not signed', assertion($t, $signer, $claims,
        { alg => 'none' }) =~ s/[^.]*$//r, 0],
);

# Runs a program that says whom it takes each argument for.

sub judged {
    my ($name, @argv) = @_;
    my ($code, $out, $err) = $t->run_cmd([@argv, map { $_->[1] } @cases],
        env => { no_proxy => '*', NO_PROXY => '*' });
    my @said = split /\n/, $out;
    is($said[$_] // $err, $cases[$_][2] ? 'demo' : 'refused',
       "$name: $cases[$_][0]") for 0 .. $#cases;
}

my $parts = $Test::Stoa::PARTS;

SKIP: {
    skip 'no Python parts', 1 if !$ENV{CI} && !-f "$parts/python/.ok";
    my $file = $t->write_file('caller.py', $code{python} . <<'END');

import sys
for header in sys.argv[1:]:
    try:
        print(caller(header))
    except jwt.PyJWTError as e:
        print("refused")
END
    judged('Python', "$parts/python/venv/bin/python", $file);
}

SKIP: {
    skip 'no Node parts', 1 if !$ENV{CI} && !-f "$parts/node/.ok";
    my $file = $t->write_file('node/caller.mjs', $code{js} . <<'END');

for (const header of process.argv.slice(2)) {
  try {
    console.log(await caller(header));
  } catch (e) {
    console.log("refused");
  }
}
END
    symlink "$parts/node/node_modules", $t->dir('node/node_modules');
    judged('Node', 'node', $file);
}

# openssl by hand: the signature alone

my ($head) = parts($mine);
my ($jwk) = grep { $_->{kid} eq $head->{kid} } @{ $t->api(
    GET => '/.well-known/jwks.json?group=prod')->{json}{keys} };
my $sh = $t->write_file('verify.sh', $code{sh});
for my $case (@cases[0, 4]) {
    my ($code, $out) = $t->run_cmd(['sh', $sh], cwd => $t->dir,
        env => { X_STOA_IDENTITY => $case->[1], x => $jwk->{x} });
    $case->[2] ? like($out, qr/Verified Success.*"iss":"stoa-gateway"/s,
                      "openssl: $case->[0]")
               : like($out, qr/Verification Fail/, "openssl: $case->[0]");
}

$t->done;
