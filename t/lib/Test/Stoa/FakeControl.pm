package Test::Stoa::FakeControl;

# A control plane that does what a test says: for the gateway's side of the
# contract (ARCHITECTURE.md, section 4).
#
#   my $f = Test::Stoa::FakeControl->new($t);   # listens; writes gw's token
#   $f->set(rows => [$f->row('tenant', ...)]);  # also: mode, epoch, oldest
#   $t->gateway(wait => 0); $f->ready($t);
#   my @posts = $f->posts('usage');
#   $f->done;                     # instead of $t->done
#
# State is a file, because every connection has a process of its own.
# mode: ok; 401, 410, 500, ... the status of every feed; cut, garbage,
# noheader, noend: what is wrong with the answer.  usage: ok, a status (of
# somebody in between, or "ours 422"), or lost (taken, but the answer does not
# arrive).

use strict;
use warnings;

use Digest::SHA qw(sha256 sha256_hex);
use File::Path qw(make_path);
use Fcntl qw(:flock);
use Time::HiRes qw(sleep time);
use Test::Stoa ();
use Test::Stoa::Base qw(json_decode json_encode slurp spew wait_until);


sub crc {
    my ($text) = @_;
    my $crc = 0xffffffff;
    for (unpack 'C*', $text) {
        $crc ^= $_;
        $crc = $crc & 1 ? ($crc >> 1) ^ 0xedb88320 : $crc >> 1 for 1 .. 8;
    }
    return sprintf '%08x', $crc ^ 0xffffffff;
}

sub token { my ($env, $id) = @_;
            my $head = "stoa_${env}_${id}_" . 'A' x 32;
            return $head . '_' . crc($head) }

# Ids that sort: a kind's letter and a number.

sub id { my ($letter, $n) = @_; return sprintf '%s%015d', $letter, $n }


sub new {
    my ($class, $t, %o) = @_;
    my $self = bless { t => $t, rev => 0, rows => {},
        state => { epoch => '0' x 15 . '1', mode => 'ok', usage => 'ok',
                   status => 'ok' } }, $class;

    make_path($t->dir('gw/logs'));
    spew($t->dir('gw/token'), token('gw', id('g', 1)) . "\n", 0600);
    $self->save;
    $self->listen unless $o{down};
    return $self;
}

sub listen {
    my ($self) = @_;
    my $t = $self->{t};
    $t->origin(sub { return $self->answer(@_) }, name => 'fake',
               port => $t->port('control'));
}

# With its connections, as when a process dies.

sub down { my ($self) = @_; $self->{t}->kill9('fake') }
sub done { my ($self) = @_; $self->down; $self->{t}->done }


# ---- state ----------------------------------------------------------------

sub file { my ($self, $name) = @_; return $self->{t}->dir("fake.$name") }

sub save {
    my ($self) = @_;
    my $tmp = $self->file('state.new');
    my @rows = sort { $a->{rev} <=> $b->{rev} } values %{ $self->{rows} };
    spew($tmp, json_encode({ %{ $self->{state} }, rev => $self->{rev},
        rows => [map { { rev => $_->{rev}, key => $_->{key},
                         deleted => $_->{deleted} ? 1 : 0,
                         line => $_->{line} } } @rows] }));
    rename $tmp, $self->file('state') or die "rename: $!";
}

sub set {
    my ($self, %o) = @_;
    @{ $self->{state} }{ keys %o } = values %o;
    $self->save;
    return $self;
}

# A new history: what a control plane restored from a backup has.

sub forget { my ($self, $epoch) = @_;
             $self->{rows} = {}; $self->{rev} = 0;
             $self->{state}{epoch} = $epoch; return $self }

sub put {
    my ($self, $kind, $key, $body) = @_;
    my $text = ref $body ? json_encode($body) : $body;
    my $rev = ++$self->{rev};
    $self->{rows}{$key} = { key => $key, rev => $rev, text => $text,
        line => qq({"key":"$key","rev":$rev,"kind":"$kind","body":$text}) };
    return $self;
}

sub delete {
    my ($self, $kind, $key) = @_;
    my $rev = ++$self->{rev};
    $self->{rows}{$key} = { key => $key, rev => $rev, deleted => 1, line =>
        qq({"key":"$key","rev":$rev,"kind":"$kind","deleted":true}) };
    return $self;
}

sub digest {
    my ($self, @without) = @_;
    my %skip = map { ($_ => 1) } @without;
    my $sum = "\0" x 16;
    for my $r (values %{ $self->{rows} }) {
        next if $r->{deleted} || $skip{ $r->{key} };
        $sum ^= substr sha256("$r->{key}\n$r->{rev}\n"
                              . sha256_hex($r->{text})), 0, 16;
    }
    return unpack 'H*', $sum;
}


# ---- a small world ----------------------------------------------------------

# A sealing key, tenant 1, application 1, plan 1, api 1 with one target, a subscription; the
# key is returned.

sub world {
    my ($self, $port, %plan) = @_;
    $self->put('tenant', 'tenant:' . id('t', 1),
        { id => id('t', 1), name => 'acme', state => 'active' });
    $self->put('sealkey', 'sealkey:' . id('k', 1),
        { id => id('k', 1), kid => 0, since_ms => 0, key => '00' x 32 });
    $self->put('application', 'app:' . id('a', 1),
        { id => id('a', 1), tenant => id('t', 1), name => 'demo',
          state => 'active' });
    $self->put('plan', 'plan:' . id('p', 1),
        { id => id('p', 1), tenant => id('t', 1), name => 'free',
          state => 'active', rate => 0, per_ms => 1000, burst => 0,
          quota_day => 0, quota_month => 0, concurrency => 0,
          limit_by => 'subscription', %plan });
    $self->api(1, $port);
    $self->put('subscription', 'sub:' . id('a', 1) . ':' . id('r', 1),
        { id => id('s', 1), tenant => id('t', 1), application => id('a', 1),
          target => id('r', 1), target_kind => 'api', plan => id('p', 1),
          state => 'active', expires_ms => 0 });
    return $self->credential(1);
}

sub api {
    my ($self, $n, $port, %o) = @_;
    my $id = id('r', $n);
    return $self->put('api', "api:$id",
        { id => $id, tenant => id('t', 1), tenant_name => 'acme',
          name => $n == 1 ? 'echo' : "api$n", title => 'Echo',
          kind => 'rest', version => '1', state => 'published',
          audience => 'internal', partners => [], host => '',
          base_path => '', strip_base_path => \1,
          targets => [{ tls => \0, host => '127.0.0.1', port => $port,
                        path => '', weight => 1 }],
          balance => 'round_robin', connect_timeout_ms => 2000,
          read_timeout_ms => 60000, retries => 1, max_fails => 1,
          fail_timeout_ms => 10000, host_header => '', tls_verify => \1,
          tls_server_name => '', key_query => '', ip_allow => [],
          ip_deny => [], max_body_bytes => 1048576, identity => 'none',
          operations_only => \0, sunset_ms => 0, era => 'unknown',
          protocol_version => '', operations => [], %o });
}

sub credential {
    my ($self, $n, %o) = @_;
    my $id = id('c', $n);
    my $key = token('live', $id);
    $self->put('credential', "cred:$id",
        { id => $id, tenant => id('t', 1), application => id('a', 1),
          digest => sha256_hex($key), alg => 'sha256', state => 'active',
          expires_ms => 0, %o });
    return $key;
}


# ---- serving ----------------------------------------------------------------

sub state { my ($self) = @_;
            return json_decode(slurp($self->file('state'))) }

sub answer {
    my ($self, $q, $c) = @_;
    return $self->post($q) if $q->{method} eq 'POST';

    my %arg = map { split /=/, $_, 2 } split /&/, $q->{query} // '';
    $self->note('feed', json_encode(\%arg));
    my $end = time() + ($arg{wait} || 0);
    my $s = $self->state;
    my $parent = getppid;

    while ($s->{mode} eq 'ok' && $arg{since} == $s->{rev}
           && ($arg{epoch} // $s->{epoch}) eq $s->{epoch} && time() < $end)
    {
        sleep 0.005;
        return undef if getppid != $parent;
        $s = $self->state;
    }
    return [$s->{mode}, ['Content-Type' => 'application/problem+json'], '{}']
        if $s->{mode} =~ /^\d+$/;
    return [410, [], '{}']
        if $arg{since} && (($arg{epoch} // '') ne $s->{epoch}
                           || $arg{since} > $s->{rev}
                           || $arg{since} < ($s->{oldest} || 0));

    my @lines = map { $_->{line} }
        grep { $_->{rev} > $arg{since} && ($arg{since} || !$_->{deleted}) }
        @{ $s->{rows} };
    my $body = join "\n", qq({"feed":1,"epoch":"$s->{epoch}",)
        . qq("rev":$s->{rev}}), @lines, qq({"end":true,"rev":$s->{rev}}), '';

    $body = join "\n", @lines, '' if $s->{mode} eq 'noheader';
    $body =~ s/\{"end".*\n// if $s->{mode} eq 'noend';
    $body =~ s/\n/\n{"key": garbage}\n/ if $s->{mode} eq 'garbage';
    if ($s->{mode} eq 'cut') {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Length: "
            . length($body) . "\r\n\r\n"
            . substr $body, 0, int(length($body) * 2 / 3));
        return undef;
    }
    return [200, ['Content-Type' => 'application/x-ndjson'], $body];
}

sub note {
    my ($self, $what, $text) = @_;
    open my $fh, '>>', $self->file($what) or die $!;
    flock $fh, LOCK_EX;
    syswrite $fh, "$text\n";
    close $fh;
}

# Every POST is kept, and what each GET asked (feed); usage is applied once per file and batch.

sub post {
    my ($self, $q) = @_;
    my ($what) = $q->{path} =~ m{/(status|usage)$} or return [404, [], ''];
    my $s = $self->state;
    my $mode = $s->{$what};

    return [$mode, [], '{"type":"urn:stoa:problem:x","detail":"told"}']
        if $mode =~ s/^ours //;
    return [$mode, [], '{}'] if $mode =~ /^\d+$/;
    $self->note($what, $q->{body});
    return undef if $mode eq 'lost';
    return [200, ['Content-Type' => 'application/json'],
            $what eq 'usage' ? '{"applied":true,"refused":'
                               . ($s->{refused} // 0) . '}'
                             : qq({"rev":$s->{rev},"interval_ms":500})];
}


# ---- what a test asks -----------------------------------------------------

sub posts { my ($self, $what) = @_;
            return map { json_decode($_) // die "no JSON: $_" }
                split /\n/, slurp($self->file($what)) }

# Calls per "code:status class", each batch once.

sub usage {
    my ($self) = @_;
    my (%seen, %sum);
    for my $b ($self->posts('usage')) {
        next if $seen{"$b->{file} $b->{batch}"}++;
        for my $row (@{ $b->{rows} }) {
            $sum{"$row->{refused}:$_"} += $row->{"c${_}xx"} for 2 .. 5;
            $sum{all} += $row->{"c${_}xx"} for 2 .. 5;
            $sum{latency} += $_ for @{ $row->{latency_us} };
        }
    }
    return \%sum;
}

sub status_of { my ($self, $gw) = @_;
                my $r = $self->{t}->get('/stoa/status',
                                        gateway => $gw || 'gw');
                return $r->{json} || {} }

# Until the gateway has this revision (default: the newest).

sub ready {
    my ($self, $rev, $seconds) = @_;
    $rev //= $self->{rev};
    my $last = {};
    my $ok = wait_until {
        $last = $self->status_of;
        $last->{ready} && ($last->{revision} // -1) == $rev;
    } $seconds || 15;
    return $ok == 1;
}


1;
