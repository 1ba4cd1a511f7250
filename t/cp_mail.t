#!/usr/bin/perl

# Mail: by a real SMTP server, over TLS with a login, and in the clear; a
# server that is away, that says no, that says later; what does not fit into a
# mail.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Mail;

my $t = Test::Stoa->new;
my $mail = Test::Stoa::Mail->new($t, tls => 1);

# options that do not fit

for (['smtp_from', '--smtp-url=smtp://localhost'],
     ['begin with', '--smtp-url=http://localhost', '--smtp-from=a@b.example'],
     ['login', '--smtp-url=smtp://a:b@localhost', '--smtp-from=a@b.example'],
     ['without TLS', '--smtp-url=smtp://localhost', '--smtp-from=a@b.example',
      '--smtp-auth-file=x', '--smtp-tls=none'])
{
    my ($why, @args) = @$_;
    my ($code, undef, $err) = $t->run_cmd(["$Test::Stoa::OBJS/stoa-control",
        '--database=sqlite:' . $t->dir('none.db'), '--check-config', @args]);
    isnt($code, 0, "refused at the start: @args");
    like($err, qr/\Q$why\E/, 'and says why');
}

$t->control;
is($t->must(GET => '/v1/mails')->{enabled}, JSON::PP::false, 'it is off');
is($t->api(POST => '/v1/mails/test', { to => 'a@x.example' })->{status}, 503,
   'without a mail server there is no mail');
$t->stop('control');
$t->control(args => [$mail->args]);

sub try { my ($to, %o) = @_;
          return $t->api(POST => '/v1/mails/test', { to => $to }, %o) }
sub mails {
    my ($query) = @_;
    return @{ $t->must(GET => '/v1/mails' . ($query // ''))->{items} };
}

is(try('ann@x.example')->{status}, 202, 'a mail is queued');
my ($m) = $mail->wait(1);
is($m->{to}, 'ann@x.example', 'and sent');
is($m->{login}, 'gateway', 'over TLS, by a login');
like($m->{subject}, qr/mail works/, 'with a subject');
like($m->{text}, qr/^Somebody .*\n\z/s, 'and a text');
like($m->{head}, qr/^From: <stoa\@gateway\.example>\r?$/m, 'from whom');
like($m->{head}, qr/^Message-ID: <\w{16}\@gateway\.example>\r?$/m, 'an id');
like($m->{head}, qr/^Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000\r?$/m,
     'a date');
my $row;
wait_until { ($row) = mails(); $row->{state} eq 'sent' };
is($row->{state}, 'sent', 'the list says so');
is($row->{to}, 'ann@x.example', 'of whom');
ok(!exists $row->{text} && !exists $row->{subject}, 'and not what');

# nothing but an address is one

my @bad = ("a\@x.example\r\nBcc: b\@x.example", "a\@x.example\nx", 'a', '@x',
    'a@', 'a b@x.example', 'a@x..example', 'a@-x.example', 'a@x-',
    '<a@x.example>', 'a@x.example,b@x.example', "a\0\@x.example",
    '"a b"@x.example', 'a@x.example>', 'a' x 65 . '@x.example',
    'a@' . 'x' x 64 . '.example', "\xc3\xa4\@x.example", '.a@x.example');
my @taken = grep { try($_)->{status} !~ /^4/ } @bad;
is(join(' ', map { s/[^ -~]/?/gr } @taken), '', 'no other address is taken');

# the table of who may

my $viewer = $t->must(POST => '/v1/admin-tokens', { name => 'v', role =>
    'viewer' })->{token};
$t->must(POST => '/v1/tenants', { name => 'acme' });
my $tenant = $t->must(POST => '/v1/admin-tokens', { name => 't', role =>
    'tenant-admin', tenant => 'acme' })->{token};
is(try('a@x.example', token => $viewer)->{status}, 403, 'a viewer sends none');
is(try('a@x.example', token => $tenant)->{status}, 403, 'nor does a tenant');
is($t->api(GET => '/v1/mails', undef, token => $tenant)->{status}, 403,
   'which sees none');
is($t->api(GET => '/v1/mails?state=x')->{status}, 400, 'a state that is none');

# a server that says no, that says later, that is away

$mail->refuse('no@x.example' => 550, 'later@x.example' => 451);
try($_) for 'no@x.example', 'later@x.example', 'bob@x.example';
my @all = $mail->wait(2);
is($all[1]{to}, 'bob@x.example', 'one that is refused holds up no other');
my %row;
wait_until { %row = map { ($_->{to} => $_) } mails();
             $row{'no@x.example'}{state} eq 'failed'
             && $row{'later@x.example'}{tries} > 1 };
is($row{'no@x.example'}{state}, 'failed', 'a refusal is final');
is($row{'no@x.example'}{tries}, 1, 'at once');
like($row{'no@x.example'}{error}, qr/550/, 'and told');
is($row{'later@x.example'}{state}, 'waiting', '"later" is not');
is(scalar(mails('?state=failed')), 1, 'a filter');
is(scalar(@{ $t->must(GET => '/v1/mails?limit=1')->{items} }), 1, 'a page');

$mail->stop;
my $begin = Time::HiRes::time();
is(try('eve@x.example')->{status}, 202, 'no server: it is queued all the same');
cmp_ok(Time::HiRes::time() - $begin, '<', 5, 'and nobody waits');
wait_until { %row = map { ($_->{to} => $_) } mails();
             $row{'eve@x.example'}{error} };
is($row{'eve@x.example'}{state}, 'waiting', 'it waits');
like($t->api(GET => '/metrics')->{body},
     qr/^stoa_control_mails_total\{result="again"\} [1-9]/m, 'a metric');

# a restart loses none; the file of the database does not hold it

if ($t->{db} ne 'pg') {
    my $db = slurp($t->dir('control.db')) . slurp($t->dir('control.db-wal'));
    ok(index($db, 'There is nothing to do') < 0, 'its text is sealed');
}
$t->stop('control');
$mail->start;
$mail->refuse();
$t->control(args => [$mail->args]);
@all = $mail->wait(3);
wait_until { @all = $mail->all; grep { $_->{to} eq 'eve@x.example' } @all } 30;
is(scalar(grep { $_->{to} eq 'eve@x.example' } @all), 1,
   'what waited is sent after a restart, once');

# a login that is wrong, and is mended

$t->stop('control');
spew("$mail->{dir}/auth", "gateway:wrong\n", 0600);
$t->control(args => [$mail->args]);
try('fay@x.example');
wait_until { %row = map { ($_->{to} => $_) } mails();
             $row{'fay@x.example'}{error} };
is($row{'fay@x.example'}{state}, 'waiting', 'a wrong login is no refusal');
unlike(slurp($t->dir('control.out')), qr/wrong|pass:word/,
       'no password in the log');
spew("$mail->{dir}/auth", "gateway:pass:word\n", 0600);
ok(scalar(&wait_until(sub { grep { $_->{to} eq 'fay@x.example' } $mail->all },
                      30)), 'it is read again for each mail');

# a certificate of somebody else

$t->stop('control');
$t->control(args => [grep({ !/ca-file/ } $mail->args)]);
try('gus@x.example');
wait_until { %row = map { ($_->{to} => $_) } mails();
             $row{'gus@x.example'}{error} };
like($row{'gus@x.example'}{error}, qr/certificate|SSL/i,
     'the certificate is verified');
$t->stop('control');

# in the clear, where the operator says so; 60 an hour to one address

$mail->stop;
delete $mail->{tls};
$mail->start;
my $before = $mail->all;
$t->control(args => [$mail->args, '--public-url=https://stoa.example']);
my @codes = map { try('hal@x.example')->{status} } 1 .. 61;
is(join(' ', sort { $a <=> $b } @codes[0 .. 59]), join(' ', (202) x 60),
   'an address gets 60 an hour');
is($codes[60], 429, 'and no more');
ok(scalar(&wait_until(sub { 60 <= grep { $_->{to} eq 'hal@x.example' }
                            $mail->all }, 60)), 'all are sent');
is((grep { $_->{to} eq 'hal@x.example' } $mail->all)[0]{login}, '-',
   'without a login');

# a tenant whose first administrator is invited

sub tenant { return $t->must(GET => "/v1/tenants/$_[0]") }
my $r = $t->api(POST => '/v1/tenants', { name => 'invited',
    invite => 'ida@x.example', provision => { plan => {} } });
is($r->{status}, 201, 'a tenant with an invitation');
unlike($r->{body}, qr/ida/, 'whose address is not shown');
ok(scalar(&wait_until(sub { tenant('invited')->{state} eq 'active' })),
   'is active');
my $letter;
ok(scalar(&wait_until(sub { ($letter) = grep { $_->{to} eq 'ida@x.example' }
    $mail->all; $letter }, 30)), 'it is mailed');
my ($token) = $letter->{text} =~ m{https://stoa\.example/invitation#(\S+)};
is($t->api(POST => '/v1/invitation/accept', { token => $token,
    name => 'ida', password => 'correct horse battery' }, token => undef,
    headers => { 'Stoa-Client' => 'test' })->{status}, 200, 'and accepted');
is_deeply([map { "$_->{user} $_->{role}" } @{ $t->must(GET =>
    '/v1/tenants/invited/role-bindings')->{items} }], ['ida tenant-admin'],
    'she administers it');
unlike(join('', map { $t->api(GET => "/v1/audit?kind=tenant&$_")->{body} }
    'tenant=invited', 'tenant='), qr/ida\@/, 'no address in the audit log');
$t->must(POST => '/v1/tenants', { name => 'uninvited',
    invite => 'hal@x.example', provision => { plan => {} } });
ok(scalar(&wait_until(sub { tenant('uninvited')->{state} eq 'failed' })),
   'a mail that is not taken');
like(tenant('uninvited')->{provisioning}{error}, qr/could not be mailed/,
   'says so');
is_deeply($t->must(GET => '/v1/tenants/uninvited/plans')->{items}, [],
   'and undoes the rest');

$t->done;
