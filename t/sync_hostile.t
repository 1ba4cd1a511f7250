#!/usr/bin/perl

# A control plane that is broken or means harm: whatever it answers, the
# configuration in force stays, calls go on, the gateway says what is wrong,
# its memory stays bounded and its log short.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;
use Test::Stoa::Base qw(slurp spew wait_until);
use IO::Compress::Gzip qw(gzip);
use Time::HiRes qw(sleep time);

my $t = Test::Stoa->new->has('module');
my $port = $t->origin;

# The feed of FakeControl, or what the mode says.

my $f = Test::Stoa::FakeControl->new($t, down => 1);
my $head = sub { my ($s) = @_;
                 return qq({"feed":1,"epoch":"$s->{epoch}","rev":$s->{rev}}\n) };
my $end = sub { return qq({"end":true,"rev":$_[0]{rev}}\n) };

my %hostile = (
    'long line' => sub { my ($s) = @_;
        return $head->($s) . qq({"key":"cred:x","rev":999,"kind":") . 'x' x 9e6
               . qq("}\n) . $end->($s) },
    'line without end' => sub { return $head->($_[0]) . 'x' x 9e6 },
    'deep' => sub { return $head->($_[0])
                    . '{"a":' x 5000 . '1' . '}' x 5000 . "\n" },
    'bytes' => sub { return join '', map { chr(($_ * 7919) % 256) } 1 .. 50000 },
    'html' => sub { return "<html><body>Sign in</body></html>\n" x 50 },
    'empty' => sub { return '' },
    'two headers' => sub { return $head->($_[0]) x 2 . $end->($_[0]) },
    'no rev' => sub { return qq({"feed":1,"epoch":"$_[0]{epoch}"}\n) },
    'version 2' => sub { return $head->($_[0]) =~ s/"feed":1/"feed":2/r },
    'short epoch' => sub { return qq({"feed":1,"epoch":"12","rev":1}\n) },
    'negative' => sub { my ($s) = @_; return $head->($s)
        . qq({"key":"tenant:x","rev":-5,"kind":"tenant","deleted":true}\n) },
    'float' => sub { my ($s) = @_; return $head->($s)
        . qq({"key":"tenant:x","rev":1e400,"kind":"tenant","body":{}}\n) },
    'no body' => sub { my ($s) = @_; return $head->($s)
        . qq({"key":"tenant:x","rev":99999,"kind":"tenant"}\n) },
    'a list' => sub { return $head->($_[0]) . "[1,2]\n" },
    'bad end' => sub { return $head->($_[0]) . qq({"end":true}\n) },
);

$t->origin(sub {
    my ($q, $c) = @_;
    my $s = $f->state;
    my $mode = $s->{mode};
    return $f->answer($q, $c) if $q->{method} eq 'POST';

    if ($hostile{$mode}) {
        sleep 0.05;
        return [200, ['Content-Type' => 'application/x-ndjson'],
                $hostile{$mode}->($s)];
    }
    return [200, ['Content-Encoding' => 'gzip'], slurp($t->dir($mode))]
        if $mode =~ /bomb/;
    if ($mode eq 'bad gzip') {
        return [200, ['Content-Encoding' => 'gzip'], 'no gzip at all' x 99];
    }
    if ($mode eq 'drip') {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        for (1 .. 200) {
            last unless $c->send_raw('x');
            sleep 0.1;
            last if $f->state->{mode} ne 'drip';
        }
        return undef;
    }
    if ($mode eq 'redirect') {
        return [302, [Location => 'http://127.0.0.1:' . $port . '/stolen'],
                ''];
    }
    if ($mode eq 'headers') {
        $c->send_raw("HTTP/1.1 200 OK\r\n" . join('', map {
            "X-$_: " . 'y' x 1000 . "\r\n" } 1 .. 2000) . "\r\n");
        return undef;
    }
    if ($mode eq 'no http') {
        $c->send_raw("SSH-2.0-OpenSSH_9.2\r\n");
        return undef;
    }
    if ($mode eq 'close') { return undef }
    return $f->answer($q, $c);
}, name => 'fake', port => $t->port('control'));

my $key = $f->world($port);
$f->save;
$t->gateway(workers => 2, wait => 0);
$f->ready or die 'not ready';

# Packed once, not for each question.

sub pack_bomb { my ($name, $plain) = @_;
                gzip \$plain, $t->dir($name) or die }
pack_bomb('bomb', 'x' x 2e8);             # 200 MB of one line, in 200 KB
pack_bomb('blank bomb', $head->($f->state) . "\n" x 1e8);

my $rev = $f->{rev};
my $digest = $f->digest;
sub call { return $t->get('/apis/acme/echo/x', key => $key)->{status} }
sub memory {
    my $max = 0;
    for ($t->workers) {
        my ($kb) = slurp("/proc/$_/status") =~ /^VmHWM:\s+(\d+)/m;
        $max = $kb if ($kb || 0) > $max;
    }
    return $max;
}
sub lines { return scalar(my @l = $t->log_lines('gw', 'error.log')) }

is(call(), 200, 'a call');
wait_until { my @w = $t->workers; @w == 2 } 10;
my @pids = sort $t->workers;
my $sanitized = $t->{asan} || ($ENV{STOA_OBJS} // '') =~ /asan/;

# Something newer waits behind each fault.

for my $mode (sort(keys %hostile), 'bomb', 'blank bomb', 'bad gzip', 'drip',
              'redirect', 'headers', 'no http', 'close', 401, 500, 204, 304)
{
    my $fails = $f->status_of->{sync}{failures} // 0;
    my $lines = lines();
    $f->set(mode => $mode);
    my $ok = wait_until {
        my $s = $f->status_of->{sync} || {};
        return $mode eq 'drip' ? $s->{state} && 1 : $s->{failures} > $fails;
    } 15;
    sleep 0.3 if $mode eq 'drip';         # past the question that is held
    $f->credential(2);
    $f->save;
    is($ok, 1, "$mode: noticed") or diag(explain($f->status_of->{sync}));
    if ($mode eq 'drip') { sleep 2 }
    else { $fails = $f->status_of->{sync}{failures};    # asked once more
           wait_until { $f->status_of->{sync}{failures} > $fails } }
    my $s = $f->status_of;
    is("$s->{revision} $s->{digest}", "$rev $digest",
       "$mode: what was in force stays");
    isnt($s->{sync}{error}, '', "$mode: the reason is shown: "
         . ($s->{sync}{error} // '')) unless $mode eq 'drip';
    is(call(), 200, "$mode: served");
    cmp_ok(lines() - $lines, '<', 12, "$mode: a short log");

    $f->set(mode => 'ok');
    ok($f->ready(undef, 30), "$mode: and then it goes on");
    $rev = $f->{rev};
    $digest = $f->digest;
    is($f->status_of->{digest}, $digest, "$mode: whole");
}

is(join(' ', sort $t->workers), "@pids", 'no worker was lost');
cmp_ok(memory(), '<', ($sanitized ? 900 : 150) * 1024, 'memory is bounded');
is(scalar(grep { $_->{path} =~ /stolen/ } $t->origin_log), 0,
   'the token follows no redirect');

# records that do not validate, by the thousand

my $lines = lines();
for my $i (1000 .. 3000) {
    my $id = Test::Stoa::FakeControl::id('c', $i);
    $f->put('credential', "cred:$id", { id => $id, state => 'x' x 100 });
}
$f->save;
ok($f->ready(undef, 30), 'two thousand bad records do not stop the feed');
my $s = $f->status_of;
cmp_ok($s->{rejected}, '>=', 1000, 'are counted');
cmp_ok(scalar @{ $s->{rejected_records} }, '<=', 100, 'some are named');
cmp_ok(lines() - $lines, '<', 120, 'the log is not flooded');
is(call(), 200, 'and calls go on');
ok((wait_until { my @p = $f->posts('status');
                 @p && @{ $p[-1]{rejected} || [] } > 0 } 20) == 1,
   'they are reported');
my @p = $f->posts('status');
cmp_ok(length(Test::Stoa::Base::json_encode($p[-1])), '<', 1_000_000,
       'in a report of bounded size');

$f->done;
