#!/usr/bin/perl

# What the two sides of a subscription tell each other: reasons, who decided,
# notices, mails of them, reminders of ends and of quotas; who is let in by his
# role.

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX qw(strftime);
use Test::Stoa;
use Test::Stoa::Feed;
use Test::Stoa::Mail;

my $t = Test::Stoa->new;
my $mail = Test::Stoa::Mail->new($t);
$t->control(args => [$mail->args]);

sub stamp { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime shift) }

$t->must(POST => '/v1/tenants', { name => $_ }) for qw(pub con);
my %token = map { my ($name, $role, $tenant) = @$_;
    ($name => $t->must(POST => '/v1/admin-tokens', { name => $name,
        role => $role, tenant => $tenant })->{token}) }
    ['pub', 'tenant-admin', 'pub'], ['con', 'tenant-admin', 'con'],
    ['dev', 'developer', 'con'], ['see', 'viewer', 'con'];
my ($p, $c) = ('/v1/tenants/pub', '/v1/tenants/con');
$t->must(POST => "$p/apis", { name => 'orders', kind => 'rest',
    audience => 'public', base_path => '/o',
    upstream => { targets => [{ url => 'http://10.0.0.1' }] } });
$t->must(POST => "$p/apis/orders/publish");
my ($page) = slurp("$Test::Stoa::ROOT/docs/subscriptions.md")
    =~ /^(    stoactl apply .*?^    END\n)/ms;
my ($code, $out, $err) = $t->run_cmd(['sh', '-c', $page =~ s/^ {4}//mgr],
    env => { STOA_URL => $t->control_url, STOA_TOKEN => $t->{token},
             PATH => "$Test::Stoa::OBJS:$ENV{PATH}" });
is($code, 0, 'docs/subscriptions.md: a plan that lets developers in')
    or diag $err;
$t->must(POST => "$c/applications", { name => $_ }) for qw(shop till bar);

sub sub_of {
    my ($who, $app) = @_;
    return $t->must(POST => "$c/subscriptions", { application => $app,
        target_tenant => 'pub', api => 'orders', plan => 'gold' },
        token => $token{$who});
}
sub event {
    my ($who, $id, $event, %args) = @_;
    my $base = $who eq 'pub' ? $p : $c;
    return $t->api(POST => "$base/subscriptions/$id/$event",
                   %args ? \%args : undef, token => $token{$who});
}
sub notices {
    my ($who, $query) = @_;
    return $t->must(GET => '/v1/notices' . ($query // ''), undef,
                    token => $token{$who});
}

# the settings

my $set = "$c/notice-settings";
is($t->api(PUT => $set, { mail => 'team@con.example' },
           token => $token{see})->{status}, 403, 'a viewer sets no address');
is($t->api(PUT => $set, { mail => $_->[0], kinds => $_->[1] },
           token => $token{con})->{status}, 422, "settings: $_->[2]")
    for ['x', [], 'no address'], ["a\@b.example\nX: y", [], 'a line break'],
        ['a@b.example', ['none'], 'no such kind'];
is($t->api(PUT => $set, { mail => 'team@con.example' },
           token => $token{con})->{status}, 422,
   'nor a tenant one that is nobody\'s there');
my %kinds = (kinds =>
    ['subscription_suspended', 'credential_expiring', 'near_limit']);
$t->must(PUT => $set, { mail => 'team@con.example' });
$t->must(PUT => $set, { mail => 'team@con.example', %kinds },
    token => $token{con});
is_deeply($t->must(GET => $set, undef, token => $token{see})->{kinds},
    ['subscription_suspended', 'credential_expiring', 'near_limit'],
    'they are read back');
is($t->api(GET => "$p/notice-settings", undef, token => $token{con})
    ->{status}, 404, 'those of others are not there');

# a role that needs no approval

my $one = sub_of('dev', 'shop');
is($one->{state}, 'active', 'a developer is let in by the plan');
my $two = sub_of('con', 'till');
is($two->{state}, 'pending', 'another role waits');
is($t->api(PATCH => "$p/plans/gold", { auto_roles => ['mine'] })->{status},
   422, 'only built-in roles count: a consumer names his own');

# reasons

is(event('con', $two->{id}, 'approve')->{status}, 403,
   'a consumer does not approve');
is(event('pub', $two->{id}, 'reject', reason => "not\x{e9} yet")->{status},
   200, 'rejected with a reason');
my $seen = $t->must(GET => "$c/subscriptions/$two->{id}", undef,
                    token => $token{con});
is($seen->{reason}, "not\x{e9} yet", 'which the other side sees');
is($seen->{decided_by}, 'publisher', 'and which side it was');
like($seen->{decided_at}, qr/^\d{4}-/, 'and when');
my $again = event('pub', $two->{id}, 'approve');
is($again->{status}, 409, 'a second decision comes too late');
like($again->{json}{detail}, qr/rejected, by publisher at \d{4}-/,
     'and is told who was first, and when');
is(event('pub', $one->{id}, 'suspend', reason => 'x' x 501)->{status}, 422,
   'a reason has an end');
is(event('pub', $one->{id}, 'suspend', reason => 'too much')->{status}, 200,
   'suspended');
is(event('pub', $one->{id}, 'resume')->{status}, 200, 'resumed');
ok(!defined $t->must(GET => "$c/subscriptions/$one->{id}")->{reason},
   'the reason of before is gone');

# notices

my $list = notices('con');
is(join(' ', map { $_->{kind} } @{ $list->{items} }),
   'subscription_resumed subscription_suspended subscription_rejected',
   'the consumer is told, youngest first');
is($list->{items}[1]{text}, 'The subscription of shop to pub/orders is'
   . ' suspended: too much', 'with the reason');
is($list->{items}[1]{about}{id}, $one->{id}, 'and what it is about');
is($list->{unread}, 3, 'all are unread');
is(scalar(@{ notices('pub')->{items} }), 0, 'the publisher has none');
is($t->api(GET => '/v1/notices?tenant=pub', undef, token => $token{con})
    ->{status}, 404, 'nor does a foreign tenant exist');
is($t->api(GET => '/v1/notices?kind=x')->{status}, 400, 'a kind that is none');

$t->must(POST => '/v1/notices/read', { ids => [$list->{items}[0]{id}] },
         token => $token{con});
is(notices('con')->{unread}, 2, 'one is read');
is(notices('see')->{unread}, 3, 'by one reader, not by others');
is(scalar(@{ notices('con', '?unread=1')->{items} }), 2, 'unread ones only');
$t->must(POST => '/v1/notices/read', { upto => $list->{items}[0]{id} },
         token => $token{pub});
is(notices('con')->{unread}, 2, 'nobody marks what he does not see');
$t->must(POST => '/v1/notices/read', { upto => $list->{items}[0]{id} },
         token => $token{con});
is(notices('con')->{unread}, 0, 'all of them up to one');
my $page = notices('con', '?limit=2');
is(scalar(@{ notices('con', "?limit=2&cursor=$page->{next}")->{items} }), 1,
   'pages');

my ($m) = $mail->wait(1);
is($m->{to}, 'team@con.example', 'it is mailed');
like($m->{subject}, qr/^STOA, con: subscription suspended/, 'what about');
like($m->{text}, qr{shop to pub/orders is suspended: too much}, 'and what');

# ends that come near

my $app = "$c/applications/shop/credentials";
my $soon = $t->must(POST => $app, { expires_at => stamp(time + 86402) });
my $brief = $t->must(POST => $app, { expires_at => stamp(time + 3600) });
my $late = $t->must(POST => $app, { expires_at => stamp(time + 86400 * 90) });
my @of;
wait_until { @of = @{ notices('con', '?kind=credential_expiring')->{items} } }
    30;
is(join(' ', map { $_->{about}{id} } @of), $soon->{id},
   'a key that ends tomorrow, and not one that was made for an hour');
like($of[0]{text}, qr/of shop ends at \d{4}-/, 'with its end');
is(($mail->wait(2))[1]{subject}, 'STOA, con: credential expiring', 'mailed');
$t->must(PATCH => "$c/subscriptions/$one->{id}",
         { expires_at => stamp(time + 5 * 86400) });
wait_until { @of = @{ notices('con', '?kind=subscription_expiring')
                      ->{items} } } 2;
is(scalar @of, 0, 'nor what has just been made for some days');

# 80 per cent of a quota

my $gw = Test::Stoa::Feed->new($t, 'gw', 'default');
my %id = (tenant => $t->must(GET => $p)->{id},
    api => $t->must(GET => "$p/apis/orders")->{id},
    application => $t->must(GET => "$c/applications/shop")->{id});
my $n = 0;
sub used {
    my ($calls, $ago) = @_;
    my $now = (int(time) - ($ago // 0)) * 1000;
    my $r = $gw->call('POST', '/gateway/v1/usage', { file => 'b' x 32,
        batch => ++$n, from_ms => $now, to_ms => $now + 1000, rows => [{
        %id, subscription => $one->{id}, operation => '', refused => '',
        c2xx => $calls, c3xx => 0, c4xx => 0, c5xx => 0, bytes_in => 0,
        bytes_out => 0, latency_us => [(0) x 6, $calls, (0) x 19] }] });
    is($r->{status}, 200, "$calls calls") or diag($r->{body});
}
my $hour = (13 - (gmtime)[2]) % 24 - 12;     # its day began some time ago
$t->must(PATCH => "$p/plans/gold",
         { time_zone => sprintf '%+03d:00', $hour });
used(50, 3 * 3600);                          # yesterday, there
used(79);
used(1);
wait_until { @of = @{ notices('con', '?kind=near_limit')->{items} } } 30;
is(scalar @of, 1, 'told once');
is($of[0]{text}, 'shop at pub/orders has used 80 of the 100 requests of this'
   . ' day.', 'with the numbers');
used(5);
$t->stop('control');
$t->control(args => [$mail->args]);
wait_until { @of = @{ notices('con', '?kind=near_limit')->{items} };
             @of > 1 } 2;
is(scalar @of, 1, 'a restart does not tell it again');

# two of them over one database tell, and mail, each once

SKIP: {
    skip 'one process over SQLite', 2 if $t->{db} ne 'pg';
    my $port = $t->port('second');
    $t->start('second', argv => ["$Test::Stoa::OBJS/stoa-control",
        "--listen=127.0.0.1:$port", '--database=' . $t->database,
        '--admin-token-file=' . $t->dir('second.token'), $mail->args],
        env => { $t->sanitizer_env('control') });
    my @ends = map { $t->must(POST => $app, { expires_at =>
        stamp(time + 86403) })->{id} } 1 .. 20;
    my %of = map { ($_ => 1) } @ends;
    my $mails = sub { scalar grep { $_->{subject} =~ /credential expiring/ }
                      $mail->all };
    wait_until { @of = grep { $of{ $_->{about}{id} } } @{ notices('con',
                 '?kind=credential_expiring&limit=500')->{items} };
                 @of >= 20 && $mails->() >= 21 } 40;
    is(scalar @of, 20, 'two processes: a notice for each end');
    is($mails->(), 21, 'and a mail');
    $t->stop('second');
}

# more that end in one instant than are told of at once

$t->must(POST => '/v1/tenants', { name => 'many' });
$t->must(POST => '/v1/tenants/many/applications', { name => 'bulk' });
my $bulk = '/v1/tenants/many/applications/bulk/credentials';
my $then = time + 86405;
$t->must(POST => $bulk, { expires_at => stamp($then) }) for 1 .. 201;
my $behind = $t->must(POST => $bulk, { expires_at => stamp($then + 1) })->{id};
wait_until { @of = @{ $t->must(GET => '/v1/notices?tenant=many&limit=500'
                      . '&kind=credential_expiring')->{items} };
             @of >= 202 } 30;
is(scalar @of, 202, 'each of 201 that end in one instant is told of');
is(scalar(grep { $_->{about}{id} eq $behind } @of), 1,
   '... and what ends behind them');

# a reminder waits for nobody who changes configuration

SKIP: {
    skip 'SQLite has one writer', 1 if $t->{db} ne 'pg';
    my $held = Test::Stoa::Feed::hold($t);
    Test::Stoa::Feed::sql($t, 'UPDATE credentials SET expires_at = '
        . (time + 86402) . "000 WHERE id = '$late->{id}'");
    ok((wait_until { grep { $_->{about}{id} eq $late->{id} } @{ notices('con',
        '?kind=credential_expiring&limit=500')->{items} } } 30),
       'a reminder comes while the order of configuration is locked');
    close $held;
}

# what becomes of an api and of a plan

sub ended {
    my ($kind) = @_;
    return map { $_->{text} } @{ notices('con', "?kind=$kind")->{items} };
}
my $orders = "$p/apis/orders";
my $keeps = $t->must(POST => "$c/subscriptions", { application => 'bar',
    target_tenant => 'pub', api => 'orders', plan => 'gold' })->{id};
$t->must(POST => "$p/subscriptions/$keeps/approve");
$t->must(POST => "$orders/deprecate");
is(join('|', ended('api_deprecated')), 'The api pub/orders is deprecated.',
   'subscribers are told that an api is deprecated');
my $sunset = stamp(time + 20 * 86400);
$t->must(PATCH => $orders, { sunset_at => $sunset });
like((ended('api_deprecated'))[0], qr{orders is deprecated, and ends at 20},
     'and when it ends');
$t->must(PATCH => $orders, { title => 'Old' });
is(scalar(ended('api_deprecated')), 2, 'once');
is(scalar(@{ notices('see', '?kind=api_deprecated')->{items} }), 2,
   'also a viewer of the tenant');
$t->must(PATCH => $orders, { sunset_at => stamp(time + 86401) });
ok((wait_until { ended('api_ending') } 15), 'and again when it comes near')
    or diag(join '|', ended('api_deprecated'));
$t->must(POST => "$p/plans/gold/deprecate");
is(join('|', ended('plan_deprecated')), 'The plan pub/gold is deprecated: it'
   . ' takes no new subscriptions.', 'a plan');
$t->must(POST => "$orders/publish");
$t->must(PATCH => $orders, { sunset_at => undef });
is(scalar(ended('api_deprecated')), 3, 'not that it is not');

# the command line

($code, $out) = $t->stoactl(qw(notice list --unread --tenant con));
like($out, qr/^\S+ +con +near_limit +shop at pub/m, 'stoactl notice list');
($code, $out) = $t->stoactl(qw(notice read --all));
(undef, $out) = $t->stoactl(qw(notice list --unread));
unlike($out, qr/near_limit/, 'stoactl notice read');
($code, $out) = $t->stoactl(qw(subscription suspend con/shop/orders --no-wait
    --reason), 'by hand', '--tenant', 'pub');
is($code, 0, 'stoactl subscription suspend --reason');
is($t->must(GET => "$c/subscriptions/$one->{id}")->{reason}, 'by hand',
   'says why');

# mails of a tenant that says an address by itself go to its people alone

my $link = $t->must(POST => '/v1/invitations', { mail => 'Ann@con.example',
    role => 'viewer', tenant => 'con' })->{token};
$t->must(POST => '/v1/invitation/accept', { token => $link, name => 'ann',
    password => 'a password of ann' }, token => undef,
    headers => { 'Stoa-Client' => 'test' });
$t->must(PUT => $set, { mail => 'ann@con.example' }, token => $token{con});
sub to_ann { return Test::Stoa::Feed::sql($t, "SELECT COUNT(*) FROM mails"
    . " WHERE recipient = 'ann\@con.example'") }
is(event('pub', $one->{id}, 'resume')->{status}, 200, 'something to tell');
is(to_ann(), 1, 'is mailed to a person of the tenant');
$t->must(POST => '/v1/users/ann/disable');
is(event('pub', $one->{id}, 'suspend')->{status}, 200, 'something more');
is(to_ann(), 1, 'not to who is none any more');
$t->must(POST => '/v1/users/ann/enable');
Test::Stoa::Feed::sql($t, "INSERT INTO mails (id, recipient, sealed, state,"
    . " tries, next_at, created_at, updated_at, tenant) SELECT n.id || k.id,"
    . " 'x', 'x', 'waiting', 0, 9000000000000, 1, 1, t.id FROM notices n,"
    . " notices k, tenants t WHERE t.name = 'con' LIMIT 500");
is(event('pub', $one->{id}, 'resume')->{status}, 200, 'and more');
is(to_ann(), 1, 'not past what of a tenant may wait');
Test::Stoa::Feed::sql($t, "DELETE FROM mails WHERE recipient = 'x'");

# rotation; a tenant goes with its notices

$t->must(POST => "$app/$late->{id}/rotate", { grace_s => 60 });
is(notices('con', '?kind=credential_rotated')->{items}[0]{about}{id},
   $late->{id}, 'a rotation is told');
is($t->api(DELETE => "$c?force=1")->{status}, 204, 'a tenant is deleted');
is(scalar(@{ notices('pub')->{items} }), 0, 'and its notices');

$t->done;
