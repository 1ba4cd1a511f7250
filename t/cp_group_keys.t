#!/usr/bin/perl

# Keys of gateway groups: sealed at rest by a key that is a file, handed to the
# group's own gateways alone, public halves for everybody, rotated with overlap.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;
use Test::Stoa::Identity;

my $t = Test::Stoa->new;
my $file = $t->dir('secret.key');
my @args = (args => ["--secret-key-file=$file"]);
$t->control(@args);
$t->must(POST => '/v1/gateway-groups', { name => $_ }) for qw(dev prod);
my %token = map { ($_ => $t->must(POST => '/v1/gateways',
    { name => "gw-$_", group => $_ })->{token}) } qw(dev prod);

sub keys_of { return group_keys($t, $token{ $_[0] }) }
sub jwks { my ($query) = @_;
           return $t->api(GET => '/.well-known/jwks.json' . ($query // ''),
                          undef, token => undef) }
sub kids { return join ' ', sort map { $_->{kid} } @{ $_[0]{json}{keys} } }

# What the job of keys does every ten seconds it does at a start, too.

sub run_job { $t->stop('control'); $t->control(@args) }
sub rotate { return $t->api(POST => "/v1/gateway-groups/$_[0]/rotate", $_[1]) }


# where a key is, and where it is not

my ($dev, @more) = keys_of('dev');
my ($prod) = keys_of('prod');
is(scalar @more, 0, 'a group has one key');
isnt($dev->{id}, $prod->{id}, 'each its own');
like($dev->{private}, qr/^[0-9a-f]{64}$/, 'its gateways get it');
ok(!grep({ $_->{id} eq $dev->{id} } keys_of('prod')), 'others do not');
is((stat $file)[2] & 07777, 0600, 'the key file is ours alone');
like(slurp($file), qr/^[0-9a-f]{64}\n\z/, '64 hex digits');
my %where = (
    'the audit log' => $t->api(GET => '/v1/audit?limit=500')->{body},
    'the dump' => $t->api(GET => '/v1/dump')->{body},
    'the group' => $t->api(GET => '/v1/gateway-groups/dev')->{body},
    'the JWKS' => jwks()->{body}, 'the metrics' =>
        $t->api(GET => '/metrics')->{body},
    'the log' => slurp($t->dir('control.out')),
);
$where{'the database'} = join '', map { slurp($_) }
    grep { -f } glob $t->dir('control.db*') if $t->{db} eq 'sqlite';
for my $what (sort keys %where) {
    unlike($where{$what}, qr/$dev->{private}/, "not in $what");
    unlike($where{$what}, qr/\Q${\ pack 'H*', $dev->{private} }\E/,
           "nor as bytes");
    unlike($where{$what}, qr/${\ slurp($file) =~ s{\n}{}r }/,
           "nor what seals it");
}


# public

my $r = jwks();
is($r->{status}, 200, 'a JWKS, without a token');
is($r->{headers}{'cache-control'}, 'public, max-age=60', 'to be kept');
is(kids($r), join(' ', sort $dev->{id}, $prod->{id}), 'of all groups');
is_deeply([sort keys %{ $r->{json}{keys}[0] }], [qw(alg crv kid kty use x)],
          'only what is public');
is(kids(jwks('?group=prod')), $prod->{id}, 'or of one');
is(kids(jwks('?group=none')), '', 'none');
ok(verifies($t, jwks()->{json}, assertion($t, $dev, { aud => 'x' })),
   'what the private one signs, the public one verifies');


# rotated: the next one is told before it signs, the last one stays until what
# it signed has ended

$r = rotate('dev');
is($r->{status}, 200, 'a rotation');
my @now = keys_of('dev');
is(scalar @now, 2, 'the gateways have both');
is($now[0]{id}, $r->{json}{kid}, 'the new one ...');
cmp_ok($now[0]{signs_ms}, '>', (time + 100) * 1000, '... signs later');
like(kids(jwks('?group=dev')), qr/\b$_->{id}\b/, 'public') for @now;
is(join(' ', map { $_->{id} } keys_of('prod')), $prod->{id},
   'another group keeps its own');
is(rotate('dev', { lead_s => -1 })->{status}, 422, 'no lead of less than 0');
is(rotate('dev', { lead_s => '5' })->{status}, 422, 'nor a text');
is(rotate('dev', { lag_s => 5 })->{status}, 422, 'nor what is not known');
is(rotate('dev', [5])->{status}, 422, 'nor a list');
is(rotate('none')->{status}, 404, 'no group');
rotate('dev', { lead_s => 0 }) for 3 .. 8;
is(scalar(my @all = keys_of('dev')), 8, 'eight at once');
is(rotate('dev', { lead_s => 0 })->{status}, 409, 'and no more');
my ($event) = @{ $t->must(GET => '/v1/audit?action=rotate')->{items} };
is("$event->{kind} $event->{name}", 'gateway_group dev', 'it is audited');

SKIP: {
    skip 'needs the database', 3 if $t->{db} ne 'sqlite';
    my $db = $t->dir('control.db');
    system("python3", '-c', "import sqlite3; c = sqlite3.connect('$db');"
        . "c.execute(\"update group_keys set ends_at = 1 where id = "
        . "'$dev->{id}'\"); c.commit()") == 0 or die;
    is(jwks('?group=dev')->{body} =~ /$dev->{id}/, '',
       'one that has ended is not public');
    ok((wait_until { !grep { $_->{id} eq $dev->{id} } keys_of('dev') } 25)
       == 1, 'and goes from the gateways');
    is(scalar(grep { $_->{id} eq $prod->{id} } keys_of('prod')), 1,
       'others stay');
}


# those by which it seals: made with the group, at its gateways alone, followed
# by a new one after 30 days, the one before kept for a week and a day more

sub seals_of {
    my ($group) = @_;
    my $feed = Test::Stoa::Feed->new($t, "f-$group", $group,
                                     token => $token{$group});
    $feed->pull;
    return sort { $b->{since_ms} <=> $a->{since_ms} || $b->{kid} <=> $a->{kid} }
        map { $_->{body} } grep { $_->{kind} eq 'sealkey' }
        values %{ $feed->{rows} };
}
my @seals = seals_of('prod');
is(scalar @seals, 1, 'a group has a sealing key');
like($seals[0]{key}, qr/^[0-9a-f]{64}$/, 'which its gateways get');
is($seals[0]{kid}, 0, 'with its number');
cmp_ok($seals[0]{since_ms}, '<=', (time + 1) * 1000, 'used from the start');
ok(!grep({ $_->{id} eq $seals[0]{id} } seals_of('dev')),
   'those of another group do not');
my $sealed = $t->{db} eq 'sqlite'
    ? join('', map { slurp($_) } grep { -f } glob $t->dir('control.db*'))
    : Test::Stoa::Feed::sql($t, 'select private from group_keys')
      . Test::Stoa::Feed::sql($t, 'select body from feed');
unlike($sealed, qr/$seals[0]{key}/, 'sealed at rest');
unlike(jwks()->{body}, qr/$seals[0]{id}/, 'and in no JWKS');
@seals = seals_of('dev');
is(scalar @seals, 3, 'rotating makes one, too; two before it are kept');
is(join(' ', map { $_->{kid} } @seals), '7 6 5', 'each has its number');

Test::Stoa::Feed::sql($t, 'update group_keys set signs_at = signs_at - '
    . '2592000000 where purpose = \'seal\' and "group" = (select id from '
    . 'gateway_groups where name = \'prod\')');
run_job();
ok((wait_until { (@seals = seals_of('prod')) == 2 } 25) == 1,
   'after 30 days there is another one');
is(join(' ', map { $_->{kid} } @seals), '1 0', 'beside the one before');
cmp_ok($seals[0]{since_ms}, '>', (time + 60) * 1000,
       'which is used when all have it');
Test::Stoa::Feed::sql($t, 'update group_keys set ends_at = 1 where id = '
                          . "'$seals[1]{id}'");
run_job();
ok((wait_until { (@seals = seals_of('prod')) == 1 } 25) == 1,
   'and goes after its time');


# a group goes with its keys

$t->must(DELETE => '/v1/gateways/gw-dev');
$t->must(DELETE => '/v1/gateway-groups/dev');
is(kids(jwks()), $prod->{id}, 'no keys of a group that is gone');


# the key file belongs to the database

sub start {
    my ($name) = @_;
    $t->stop('control');
    my ($code, $out, $err) = $t->run_cmd(["$Test::Stoa::OBJS/stoa-control",
        '--listen=127.0.0.1:' . $t->port('control'),
        '--database=' . $t->database, "--secret-key-file=$file"],
        timeout => 5);
    return ($code, $out . $err);
}
my $good = slurp($file);
for my $case (
    ['another key', sub { spew($file, 'ab' x 32 . "\n", 0600) },
     qr/is not the key of this database/],
    ['none', sub { unlink $file }, qr/cannot open .* is lost without it/],
    ['half of one', sub { spew($file, 'ab' x 16, 0600) },
     qr/must hold 64 hex digits/],
    ['one that others can read', sub { spew($file, $good, 0644) },
     qr/its mode must be 0600/],
) {
    my ($name, $how, $why) = @$case;
    $t->stop('control');
    $how->();
    my ($code, $text) = start();
    is($code, 1, "$name: no start");
    like($text, $why, "$name: the reason");
    unlike($text, qr/\Q${\ $good =~ s{\n}{}r }\E/, "$name: no key in it");
    unlink $file;
}
spew($file, $good, 0600);
$t->control(@args);
is((keys_of('prod'))[0]{private}, $prod->{private}, 'with its key all is there');

$t->done;
