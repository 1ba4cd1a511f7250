package Test::Stoa::HTTP;

# A raw HTTP/1.1 client and a scripted HTTP/1.1 server for tests: core Perl
# only, every socket with a deadline, nothing repaired on the way, so that a
# test sees (and can send) exactly what is on the wire.
#
#   my $c = Test::Stoa::HTTP->connect($port, timeout => 5);
#   my $r = $c->request('GET', '/x', headers => { ... }, body => '...');
#   $r->{status} $r->{reason} $r->{headers}{lower-case} $r->{body} $r->{error}
#
# A header that came twice is joined by ", "; $r->{raw} has all of the head.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

our $TIMEOUT = $ENV{STOA_TEST_TIMEOUT} || 20;


sub connect {
    my ($class, $port, %o) = @_;

    my $self = bless {
        in => '', timeout => $o{timeout} || $TIMEOUT,
        host => $o{host} // '127.0.0.1:' . $port,
    }, $class;

    if ($o{tls}) {
        require IO::Socket::SSL;
        $self->{sock} = IO::Socket::SSL->new(
            PeerAddr => $o{addr} // '127.0.0.1', PeerPort => $port,
            SSL_verify_mode => 0, Timeout => $self->{timeout},
        );
    } else {
        $self->{sock} = IO::Socket::INET->new(
            PeerAddr => $o{addr} // '127.0.0.1', PeerPort => $port,
            Proto => 'tcp', Timeout => $self->{timeout},
        );
    }

    return undef unless $self->{sock};
    setsockopt($self->{sock}, IPPROTO_TCP, TCP_NODELAY, 1);
    return $self;
}


# Wraps an accepted or connected socket.

sub wrap {
    my ($class, $sock, %o) = @_;
    return bless { sock => $sock, in => '',
                   timeout => $o{timeout} || $TIMEOUT }, $class;
}


sub close { my ($self) = @_; close($self->{sock}) if $self->{sock};
            delete $self->{sock}; }

sub reset {
    my ($self) = @_;
    setsockopt($self->{sock}, Socket::SOL_SOCKET(), Socket::SO_LINGER(),
        pack('ii', 1, 0));
    $self->close;
}


sub send_raw {
    my ($self, $data) = @_;
    local $SIG{PIPE} = 'IGNORE';

    my $end = time() + $self->{timeout};
    my $off = 0;

    while ($off < length $data) {
        IO::Select->new($self->{sock})->can_write($end - time())
            or return 0;
        my $n = syswrite($self->{sock}, $data, length($data) - $off, $off);
        return 0 unless defined $n;
        $off += $n;
    }
    return 1;
}


# Reads what there is; 1 data, 0 end of stream, undef deadline.

sub fill {
    my ($self, $end) = @_;

    until ($self->{sock}->can('pending') && $self->{sock}->pending) {
        my $left = $end - time();
        return undef if $left <= 0;
        last if IO::Select->new($self->{sock})->can_read($left);
    }

    my $n = sysread($self->{sock}, $self->{in}, 65536, length $self->{in});
    return $n ? 1 : 0;
}


sub request_text {
    my ($self, $method, $target, %o) = @_;

    my @headers = ref $o{headers} eq 'ARRAY' ? @{ $o{headers} }
                                             : %{ $o{headers} || {} };
    my %have;
    for (my $i = 0; $i < @headers; $i += 2) { $have{lc $headers[$i]} = 1; }

    unshift @headers, Host => $self->{host} unless $have{host};
    if (defined $o{body} && !$have{'content-length'}
        && !$have{'transfer-encoding'})
    {
        push @headers, 'Content-Length' => length $o{body};
    }
    push @headers, Connection => 'close'
        unless $o{keepalive} || $have{connection};

    my $text = "$method $target HTTP/1.1\r\n";
    while (my ($k, $v) = splice @headers, 0, 2) {
        $text .= "$k: $v\r\n" if defined $v;
    }
    return "$text\r\n";
}


sub request {
    my ($self, $method, $target, %o) = @_;

    my $text = $self->request_text($method, $target, %o);
    $text .= $o{body} if defined $o{body};
    $self->send_raw($text);      # a refusal may come before all was taken
    return $self->response(%o, head => $method eq 'HEAD');
}


sub fail_response {
    my ($error, $raw) = @_;
    return { status => 0, reason => '', headers => {}, body => '',
             raw => $raw // '', error => $error };
}


# Reads one response.  headers_only => 1 leaves the body to ->chunk, for
# streams.

sub response {
    my ($self, %o) = @_;
    my $end = time() + ($o{timeout} || $self->{timeout});

    my $r;
    for (;;) {                   # past interim responses
        until ($self->{in} =~ /\r\n\r\n/) {
            my $rc = $self->fill($end);
            return fail_response($rc // 'timeout', $self->{in}) unless $rc;
        }
        $self->{in} =~ s/\A(.*?\r\n)\r\n//s;
        $r = parse_head($1) or return fail_response('no HTTP', $1);
        last if $r->{status} >= 200 || $r->{status} == 101;
    }

    $self->{left} = undef;
    $self->{mode} = 'eof';
    if ($o{head} || $r->{status} == 204 || $r->{status} == 304) {
        $self->{mode} = 'length';
        $self->{left} = 0;
    } elsif (($r->{headers}{'transfer-encoding'} // '') =~ /chunked/i) {
        $self->{mode} = 'chunked';
    } elsif (defined(my $n = $r->{headers}{'content-length'})) {
        $self->{mode} = 'length';
        $self->{left} = $n;
    }

    return $r if $o{headers_only};

    for (;;) {
        my $part = $self->chunk($end - time());
        if (!defined $part) { $r->{error} = $self->{error}; last; }
        last if $part eq '';
        $r->{body} .= $part;
    }
    return $r;
}


sub parse_head {
    my ($text) = @_;
    my ($line, @lines) = split /\r\n/, $text;
    my $r = { raw => $text, headers => {}, body => '', error => '' };

    if ($line =~ m{^HTTP/1\.[01] (\d{3}) ?(.*)}) {
        @$r{qw(status reason)} = ($1, $2);
    } elsif ($line =~ m{^(\S+) (\S+) HTTP/(1\.[01])$}) {
        @$r{qw(method target version)} = ($1, $2, $3);
        @$r{qw(path query)} = split /\?/, $2, 2;
    } else {
        return undef;
    }

    for (@lines) {
        my ($k, $v) = /^([^:\s]+):[ \t]*(.*?)[ \t]*$/ or next;
        $k = lc $k;
        $r->{headers}{$k} = exists $r->{headers}{$k}
                            ? "$r->{headers}{$k}, $v" : $v;
    }
    return $r;
}


# The next piece of a body: '' at its end, undef on an error ({error}).

sub chunk {
    my ($self, $timeout) = @_;
    my $end = time() + ($timeout // $self->{timeout});
    $self->{error} = '';

    for (;;) {
        if ($self->{mode} eq 'chunked') {
            if ($self->{in} =~ /\A([0-9a-fA-F]+)[^\r\n]*\r\n/) {
                my ($n, $skip) = (hex $1, $+[0]);
                if ($n == 0) {
                    if ($self->{in} =~ s/\A.{$skip}(?:[^\r\n]+\r\n)*\r\n//s) {
                        $self->{mode} = 'length';
                        $self->{left} = 0;
                        return '';
                    }
                } elsif (length $self->{in} >= $skip + $n + 2) {
                    my $data = substr $self->{in}, $skip, $n;
                    substr($self->{in}, 0, $skip + $n + 2) = '';
                    return $data;
                }
            } elsif ($self->{in} =~ /\A[^0-9a-fA-F]/) {
                $self->{error} = 'bad chunk';
                return undef;
            }

        } elsif (defined $self->{left}) {
            return '' if $self->{left} == 0;
            if (length $self->{in}) {
                my $data = substr $self->{in}, 0, $self->{left}, '';
                $self->{left} -= length $data;
                return $data;
            }

        } elsif (length $self->{in}) {
            my $data = $self->{in};
            $self->{in} = '';
            return $data;
        }

        my $rc = $self->fill($end);
        if (!defined $rc) { $self->{error} = 'timeout'; return undef; }
        if ($rc == 0) {
            return '' if $self->{mode} eq 'eof';
            $self->{error} = 'closed in the body';
            return undef;
        }
    }
}


# The next event of a text/event-stream that ->response(headers_only => 1)
# opened: { event, id, data }, or undef at the end.

sub event {
    my ($self, $timeout) = @_;
    my $end = time() + ($timeout // $self->{timeout});
    $self->{sse} //= '';

    for (;;) {
        while ($self->{sse} =~ s/\A(.*?)(?:\r\n\r\n|\n\n)//s) {
            my %e = (event => 'message', id => '', data => undef);
            for (split /\r?\n/, $1) {
                my ($k, $v) = /^([^:]+):? ?(.*)$/ or next;
                if ($k eq 'data') {
                    $e{data} = defined $e{data} ? "$e{data}\n$v" : $v;
                } else {
                    $e{$k} = $v;
                }
            }
            return \%e if defined $e{data};
        }
        my $part = $self->chunk($end - time());
        return undef if !defined $part || $part eq '';
        $self->{sse} .= $part;
    }
}


# ---- the server ----------------------------------------------------------

# Serves $listen until killed; one child per connection.  The handler gets the
# request (as parse_head, with body and n, its number on the connection) and
# the connection; it returns [status, [headers], body], or undef when it wrote
# to the connection itself and the connection is to be closed.

sub serve {
    my ($listen, $handler) = @_;

    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = $SIG{INT} = sub { POSIX::_exit(0) };

    for (;;) {
        my $sock = $listen->accept or next;
        my $pid = fork;
        if ($pid) { CORE::close($sock); next; }

        CORE::close($listen);
        setsockopt($sock, IPPROTO_TCP, TCP_NODELAY, 1);
        serve_connection(Test::Stoa::HTTP->wrap($sock, timeout => 60),
                         $handler);
        POSIX::_exit(0);
    }
}


sub serve_connection {
    my ($c, $handler) = @_;

    for (my $n = 1;; $n++) {
        my $q = read_request($c) or return;
        $q->{n} = $n;

        my $answer = $handler->($q, $c);
        return unless $answer;

        my ($status, $headers, $body) = @$answer;
        my $text = "HTTP/1.1 $status " . ($status < 400 ? 'OK' : 'Error')
                   . "\r\n";
        my @h = @{ $headers || [] };
        while (my ($k, $v) = splice @h, 0, 2) { $text .= "$k: $v\r\n"; }
        $body //= '';
        $text .= 'Content-Length: ' . length($body) . "\r\n"
            unless $status == 204 || $status == 304;
        my $close = ($q->{headers}{connection} // '') =~ /close/i
                    || ($q->{version} // '') eq '1.0';
        $text .= "Connection: close\r\n" if $close;
        $c->send_raw("$text\r\n" . ($q->{method} eq 'HEAD' ? '' : $body));
        return if $close;
    }
}


sub read_request {
    my ($c) = @_;
    my $end = time() + $c->{timeout};

    until ($c->{in} =~ /\r\n\r\n/) {
        return undef unless $c->fill($end);
    }
    $c->{in} =~ s/\A(.*?\r\n)\r\n//s;
    my $q = parse_head($1) or return undef;
    return undef unless $q->{method};

    $c->send_raw("HTTP/1.1 100 Continue\r\n\r\n")
        if ($q->{headers}{expect} // '') =~ /100-continue/i;

    if (($q->{headers}{'transfer-encoding'} // '') =~ /chunked/i) {
        @$c{qw(mode left)} = ('chunked', undef);
    } else {
        @$c{qw(mode left)} = ('length', $q->{headers}{'content-length'} // 0);
    }
    for (;;) {
        my $part = $c->chunk;
        return undef unless defined $part;
        last if $part eq '';
        $q->{body} .= $part;
    }
    return $q;
}


1;
