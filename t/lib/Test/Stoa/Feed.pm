package Test::Stoa::Feed;

# A gateway without nginx: reads the feed into a hash, knows its digest,
# reports status and usage.  For tests of the control plane's side of the
# contract.
#
#   my $g = Test::Stoa::Feed->new($t, 'gw1', 'default');
#   $g->pull(wait => 5);        # everything newer; $g->{rows}{$key}, {rev}
#   $g->status;                 # what it has, as a gateway reports it

use strict;
use warnings;

use File::Path qw(make_path);
use Digest::SHA qw(sha256 sha256_hex);
use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use Test::Stoa ();
use Test::Stoa::Base qw(json_decode json_encode slurp);


sub new {
    my ($class, $t, $name, $group, %o) = @_;
    make_path($t->dir($name));
    $t->register($name, $group) unless $o{token};
    my ($token) = $o{token} // slurp($t->dir("$name/token")) =~ /(\S+)/;
    return bless { t => $t, name => $name, token => $token, rev => 0,
                   old => $o{old},          # as version 0.1: no policies
                   epoch => '', rows => {}, lines => [] }, $class;
}


# A raw GET: since, epoch, wait, gzip.

sub get {
    my ($self, %o) = @_;
    my $query = join '&', map { defined $o{$_} ? "$_=$o{$_}" : () }
        qw(since epoch wait);
    return $self->call('GET', "/gateway/v1/feed?$query", undef,
        timeout => ($o{wait} || 0) + 30,
        headers => $o{gzip} ? { 'Accept-Encoding' => 'gzip' } : {});
}


sub call {
    my ($self, $method, $path, $body, %o) = @_;
    my $r = $self->{t}->api($method, $path, $body, token => $self->{token},
        %o, headers => { $self->{old} ? () : ('Stoa-Contract' => 2),
                         %{ $o{headers} || {} } });
    if (($r->{headers}{'content-encoding'} // '') eq 'gzip') {
        my $packed = $r->{body};
        gunzip(\$packed, \$r->{body}) or die "gunzip: $GunzipError\n";
    }
    return $r;
}


# Takes over what is new, as a gateway does; returns the answer.  {lines}: the
# rows of the last answer.  Dies when it breaks the contract.

sub pull {
    my ($self, %o) = @_;
    my $r = $self->get(since => $self->{rev},
        epoch => $self->{rev} ? $self->{epoch} : undef, %o);
    return $r if $r->{status} != 200;

    my @lines = map {
        my $l = json_decode($_) // die "no JSON: $_\n";
        ($l->{text}) = /"body":(.*)\}$/;
        $l;
    } split /\n/, $r->{body};
    my ($head, $end) = (shift @lines, pop @lines);
    die "no head line\n" unless $head && $head->{feed} && $head->{epoch};
    die "no closing line\n" unless $end && $end->{end};

    my $last = $self->{rev};
    for my $l (@lines) {
        die "rev $l->{rev} after $last\n" if $l->{rev} <= $last;
        die "rev $l->{rev} beyond $end->{rev}\n" if $l->{rev} > $end->{rev};
        $last = $l->{rev};
        if ($l->{deleted}) { delete $self->{rows}{ $l->{key} } }
        else { $self->{rows}{ $l->{key} } = $l }
    }
    @$self{qw(rev epoch lines)} = ($end->{rev}, $head->{epoch}, \@lines);
    return $r;
}


# ARCHITECTURE.md, section 4.

sub digest {
    my ($self) = @_;
    my $sum = "\0" x 16;
    for my $l (values %{ $self->{rows} }) {
        my $d = sha256("$l->{key}\n$l->{rev}\n" . sha256_hex($l->{text}));
        $sum ^= substr $d, 0, 16;
    }
    return unpack 'H*', $sum;
}


sub status {
    my ($self, %o) = @_;
    return $self->call('POST', '/gateway/v1/status', {
        epoch => $self->{epoch}, rev => $self->{rev},
        digest => $self->digest, version => '0.1.0', nginx => '1.22.1',
        uptime_s => 1, workers => 1, pid => 1, rejected => [], requests => 0,
        connections => 0, store_bytes => 0, feed_age_ms => 0, %o });
}


# What the control plane thinks of it.

sub shown { my ($self) = @_;
            return $self->{t}->must('GET', "/v1/gateways/$self->{name}") }


# Runs SQL beside the control plane, for what no test can wait for (timeout:
# seconds, 60).

sub sql {
    my ($t, $sql, %o) = @_;
    my $db = $t->database;
    my @argv = $db =~ /^sqlite:(.*)/
        ? ('sqlite3', '-cmd', '.timeout 10000', $1, $sql)
        : (Test::Stoa::Base::pg_bin() . '/psql', '-qAt', $db, '-c', $sql);
    my ($code, $out, $err) = $t->run_cmd(\@argv, %o);
    die "$argv[0]: $err\n" if $code;
    chomp $out;
    return $out;
}

# Holds the lock that orders configuration, of PostgreSQL, until what it
# returns is closed.

sub hold {
    my ($t) = @_;
    open my $held, '|-', Test::Stoa::Base::pg_bin() . '/psql', '-qAt', '-o',
        '/dev/null', $t->database or die "psql: $!\n";
    syswrite $held, "BEGIN; SELECT rev FROM feed_head FOR UPDATE;\n";
    Test::Stoa::Base::wait_until(sub {
        !eval { sql($t, 'SELECT rev FROM feed_head FOR UPDATE NOWAIT'); 1 }
    }, 20) or die "the lock is not held\n";
    return $held;
}

1;
