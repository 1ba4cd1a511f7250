#!/usr/bin/perl

# stoactl apply, diff and dump: what changes is said, what is wrong is shown
# in the file it came from, and the exit code tells which of both it was.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new->has('stoactl');
$t->control;
$t->must('POST', '/v1/gateway-groups', { name => 'default' });

my $yaml = <<'END';
apiVersion: stoa/v1
kind: Tenant
metadata: { name: acme }
spec: { title: Acme }
---
apiVersion: stoa/v1
kind: Plan
metadata: { name: gold, tenant: acme }
spec: { rate: 10 }
END
my $file = $t->write_file('in/a.yaml', $yaml);

my ($code, $out, $err) = $t->stoactl('diff', $file);
is($code, 2, 'diff: there are differences');
like($out, qr/^  \+ Tenant acme\n  \+ Plan acme\/gold\n2 to create/m,
     'which are shown');

($code, $out) = $t->stoactl('apply', $file, '--dry-run');
is($code, 0, 'a dry run');
like($out, qr/nothing was changed/, 'says that it is one');
is($t->api('GET', '/v1/tenants/acme')->{status}, 404, 'and is');

($code, $out, $err) = $t->stoactl('apply', $file);
is("$code$err", '0', 'apply');
like($out, qr/2 created, 0 updated, 0 deleted, 0 unchanged\nrevision \d+/,
     'what was done');

($code, $out) = $t->stoactl('apply', '-', { stdin => $yaml });
like($out, qr/0 created, 0 updated, 0 deleted, 2 unchanged/,
     'the same from stdin changes nothing');
is(($t->stoactl('diff', $file))[0], 0, 'diff: no differences');

($code, $out) = $t->stoactl('diff', '-', { stdin => $yaml =~ s/10/11/r });
is($code, 2, 'a difference');
like($out, qr/~ Plan acme\/gold\n      rate: 10 -> 11\n/, 'in words');
($code, $out) = $t->stoactl('diff', '-', '-o', 'json',
                            { stdin => $yaml =~ s/10/11/r });
is(json_decode($out)->{changes}[0]{diff}[0]{after}, 11, 'in JSON');
is($code, 2, 'with the same exit code');

# what is made and not in force says so

($code, $out) = $t->stoactl('apply', '-', { stdin => <<'END' });
apiVersion: stoa/v1
kind: Tenant
metadata: { name: drafts }
---
apiVersion: stoa/v1
kind: Api
metadata: { name: hidden, tenant: drafts }
spec: { kind: rest, upstream: { targets: [{ url: "http://127.0.0.1:1" }] } }
---
apiVersion: stoa/v1
kind: Api
metadata: { name: open, tenant: drafts }
spec: { kind: rest, state: published,
        upstream: { targets: [{ url: "http://127.0.0.1:1" }] } }
---
apiVersion: stoa/v1
kind: Plan
metadata: { name: asked, tenant: drafts }
spec: { approval: manual }
---
apiVersion: stoa/v1
kind: Application
metadata: { name: asks, tenant: drafts }
---
apiVersion: stoa/v1
kind: Subscription
metadata: { tenant: drafts }
spec: { application: asks, api: open, plan: asked }
END
like($out, qr{^  \+ Api drafts/hidden: a draft, which nobody can call$}m,
     'a draft');
like($out, qr{^  \+ Api drafts/open$}m, 'and not what is published');
like($out, qr{^  \+ Subscription drafts/\S+: waits for approval$}m,
     'a subscription that waits');

# a dump is an apply that changes nothing

($code, my $dump) = $t->stoactl('dump', '-t', 'acme');
like($dump, qr/^kind: Plan$/m, 'a dump');
is(($t->stoactl('diff', '-', { stdin => $dump }))[0], 0, 'is no difference');
($code, $out) = $t->stoactl('dump', '--all', '-o', 'json');
is((grep { $_->{kind} eq 'GatewayGroup' } @{ json_decode($out) }) + 0, 1,
   'a dump of everything, as JSON');

# several files are one transaction; faults name file, line and field

spew($t->dir('in/b.yaml'), <<'END');
# a comment
---
---
apiVersion: stoa/v1
kind: Api
metadata: { name: x, tenant: acme }
spec:
  kind: rest
  upstream:
    targets:
      - url: http://ok
      - url: ftp://bad
        weight: 0
  colour: red
END
spew($t->dir('in/c.json'), <<'END');
[ {"apiVersion": "stoa/v1", "kind": "Plan",
   "metadata": {"name": "new", "tenant": "acme"},
   "spec": {"rate": 1}},
  {"apiVersion": "stoa/v1", "kind": "Nope",
   "metadata": {"name": "y"}} ]
END
($code, $out, $err) = $t->stoactl('apply', $t->dir('in'));
is($code, 3, 'a refusal');
is($out, '', 'has no output');
for my $line ('b.yaml:12: spec.upstream.targets[1].url: ',
              'b.yaml:13: spec.upstream.targets[1].weight: must be',
              'b.yaml:14: spec.colour: ', 'c.json:4: kind: ')
{
    like($err, qr{^\Q$t->{dir}\E/in/\Q$line\E}m, $line);
}
is($t->api('GET', '/v1/tenants/acme/plans/new')->{status}, 404,
   'and changes nothing');

for my $case (["a: b\n c: d\n", qr/^stdin:2: /, 'no YAML'],
              ["a: 1\na: 2\n", qr/^stdin:2: /, 'a key twice'],
              ["a: \xff\n", qr/^stdin:1: /, 'no UTF-8'],
              ['', qr/no documents/, 'nothing'],
              ["---\n---\n", qr/no documents/, 'empty documents'],
              ['[' x 200, qr/stdin:1: /, 'too deep'])
{
    ($code, undef, $err) = $t->stoactl('apply', '-', { stdin => $case->[0] });
    is($code, 1, "$case->[2]: not sent");
    like($err, $case->[1], "$case->[2]: why");
}

($code, undef, $err) = $t->stoactl('apply', '-', { stdin =>
    "apiVersion: stoa/v1\nkind: Api\nmetadata:\n  name: y\n"
    . "  tenant: acme\nspec:\n  kind: rest\n" });
like($err, qr/^stdin:\d+: spec\.upstream: is required/m,
     'what is missing has the line of its parent');

# prune and its guard

spew($t->dir('prune.yaml'), $yaml =~ s/\n---.*//sr . "\n");
($code, $out) = $t->stoactl('diff', $t->dir('prune.yaml'), '--prune');
like($out, qr/- Plan acme\/gold/, 'what prune would delete');
($code, undef, $err) = $t->stoactl('apply', $t->dir('prune.yaml'), '--prune',
                                   '--max-delete', '0');
is($code, 3, 'the guard');
($code, $out) = $t->stoactl('apply', '-f', $t->dir('prune.yaml'), '--prune');
like($out, qr/0 created, 0 updated, 1 deleted/, 'prune');

# waiting for gateways: one that never comes

my $gw = $t->must('POST', '/v1/gateways',
                  { name => 'slow', group => 'default' });
my $status = sub {
    $t->api('POST', '/gateway/v1/status', { epoch => 'x' x 16, rev => 0,
        digest => '0' x 32, version => '0', nginx => '0', uptime_s => 1,
        workers => 1, pid => 1, rejected => [], requests => 0,
        connections => 0, store_bytes => 0, feed_age_ms => 0 },
        token => $gw->{token});
};
$status->();
is($t->api('GET', '/v1/gateways/slow')->{json}{state}, 'online',
   'a gateway that is online and behind');
($code, $out, $err) = $t->stoactl('apply', $file, '--wait', '1s');
is($code, 4, 'apply --wait: timed out');
like($out, qr/1 created/, 'but applied');
like($out, qr/gateway slow: /, 'it says for whom it waited');
is(($t->stoactl('wait', 'gateway', 'slow', '--timeout', '500ms'))[0], 4,
   'wait gateway');
is(($t->stoactl('wait', 'gateway', 'slow', '--for', 'online'))[0], 0,
   'wait gateway --for online');
is(($t->stoactl('wait', 'rev', '0'))[0], 0, 'wait rev, reached');
is(($t->stoactl('wait', 'rev', '999999', '--timeout', '500ms'))[0], 4,
   'wait rev, not reached');

is(($t->stoactl('apply', $file, { env => { STOA_TOKEN => 'no' } }))[0], 3,
   'a wrong token');

# what ships is right

for my $doc (grep { slurp($_) =~ /^apiVersion:/m }
             glob("$Test::Stoa::ROOT/conf/*.yaml"),
             glob("$Test::Stoa::ROOT/conf/examples/*.yaml"))
{
    my ($name) = $doc =~ m{/(conf/.*)};
    ($code, $out, $err) = $t->stoactl('apply', $doc);
    is("$code$err", '0', "$name applies");
    like(($t->stoactl('apply', $doc))[1],
         qr/0 created, 0 updated, 0 deleted/, "$name twice changes nothing");
}

is(($t->stoactl('diff', "$Test::Stoa::ROOT/conf/examples"))[0], 0,
   'the examples do not contradict each other');

$t->done;
