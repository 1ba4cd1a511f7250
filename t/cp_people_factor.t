#!/usr/bin/perl

# People without a provider: a second factor, recovery codes, another password.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;
use Test::Stoa::People;

my $t = Test::Stoa->new;
my $first = $t->dir('admin.password');
$t->control(args => ["--admin-password-file=$first",
                     '--secret-key-file=' . $t->dir('stoa.key'),
                     '--public-url=https://stoa.example']);
Test::Stoa::People::at($t);

my $db = sub {
    my ($sql) = @_;
    return Test::Stoa::Feed::sql($t, $sql);
};
my ($once) = slurp($first) =~ /(\S+)/;
my $good = 'correct horse battery';
my $r = login('admin', $once, body => { new_password => $good });


# A second factor: codes are good once, so are recovery codes

my $c1 = cookie_of(login('admin', $good));
my $c2 = cookie_of(login('admin', $good));
my $two = '/v1/session/second-factor';
is(ask(POST => $two, { password => 'wrong wrong wrong' }, cookie => $c1)
   ->{status}, 401, 'a second factor is set up by who knows the password');
$r = ask(POST => $two, { password => $good }, cookie => $c1);
is($r->{status}, 200, 'a key');
my $secret = $r->{json}{secret};
like($r->{json}{uri}, qr{^otpauth://totp/STOA:admin\?secret=$secret&}, 'its URI');
my $before = $c1;
$c1 = cookie_of($r);
is(ask(GET => '/v1/session', undef, cookie => $before)->{status}, 401,
   'the id before that step is over');
is(login('admin', $good)->{status}, 201, 'it does not count yet');
is(ask(POST => "$two/confirm", { code => '000000' }, cookie => $c1)->{status},
   422, 'a wrong code does not confirm it');
$r = ask(POST => "$two/confirm", { code => code_of($secret, -1) },
         cookie => $c1);
is($r->{status}, 200, 'one of it does');
my @recovery = @{ $r->{json}{recovery_codes} };
is(scalar @recovery, 10, 'ten recovery codes');
$c1 = cookie_of($r);
is(ask(GET => '/v1/session', undef, cookie => $c2)->{status}, 401,
   'the other logins are over');
is(login('admin', $good)->{json}{type},
   'urn:stoa:problem:second_factor_needed', 'a code is asked for');
like(login('admin', 'wrong wrong wrong')->{json}{detail},
     qr/name or the password/, 'of who knows the password');
is(login('admin', $good, body => { code => code_of($secret, -1) })->{status},
   401, 'the code that confirmed is spent');
my $now = code_of($secret);
my @at_once = sort map { $_->{status} } @{ both(sub {
    login('admin', $good, body => { code => $now }) }) };
is("@at_once", '201 401', 'of two at once with one code one gets in');
is(login('admin', $good, body => { code => $now })->{status}, 401,
   'a replayed code is none');
is(login('admin', $good, body => { code => code_of($secret, -1) })->{status},
   401, 'an older one is none either');
$db->("DELETE FROM login_tries");
@at_once = sort map { $_->{status} } @{ both(sub {
    login('admin', $good, body => { code => $recovery[0] }) }) };
is("@at_once", '201 401', 'of two at once with one recovery code, one');
$r = login('admin', $good, body => { code => lc $recovery[1] });
is($r->{status}, 201, 'another one, in small letters');
$c1 = cookie_of($r);
ok(!(grep { slurp($_) =~ /\Q$recovery[2]\E|\Q$secret\E/ } grep { -f }
     glob($t->dir('*'))), 'neither codes nor the key are to be read anywhere');
for (1 .. 5) { login('admin', $good, body => { code => '123456' }) }
is(login('admin', $good, body => { code => $recovery[3] })->{status}, 429,
   'guessing codes is put off');
$db->("DELETE FROM login_tries");
is(ask(POST => "$two/remove", { password => $good }, cookie => $c1)->{status},
   401, 'to be without it needs a code');
$r = ask(POST => '/v1/session/recovery-codes', { password => $good,
    code => $recovery[3] }, cookie => $c1);
is($r->{status}, 200, 'new recovery codes');
is(login('admin', $good, body => { code => $recovery[4] })->{status}, 401,
   'the old ones are over');
my @fresh = @{ $r->{json}{recovery_codes} };
$c1 = cookie_of($r);
$r = ask(POST => "$two/remove", { password => $good, code => $fresh[0] },
         cookie => $c1);
is($r->{status}, 200, 'without it');
$c1 = cookie_of($r);
is(login('admin', $good)->{status}, 201, 'the password does again');


# Another password ends the other logins

$c2 = cookie_of(login('admin', $good));
my $better = 'staple battery horse';
is(ask(POST => '/v1/session/password', { password => 'x' x 12,
    new_password => $better }, cookie => $c1)->{status}, 401,
   'another password needs the one before');
$r = ask(POST => '/v1/session/password', { password => $good,
    new_password => $better }, cookie => $c1);
is($r->{status}, 200, 'and has it');
is(ask(GET => '/v1/session', undef, cookie => $c2)->{status}, 401,
   'the others are out');
is(ask(GET => '/v1/session', undef, cookie => $c1)->{status}, 401,
   'the one that did it has another id');
is(ask(GET => '/v1/session', undef, cookie => cookie_of($r))->{status}, 200,
   'and goes on');
is(login('admin', $good)->{status}, 401, 'the old password is over');

$t->done;
