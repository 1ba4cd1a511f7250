package Test::Stoa::Mail;

# A mail server (t/mail/smtpd.py) and what it was sent.
#
#   my $mail = Test::Stoa::Mail->new($t);            # in the clear
#   my $mail = Test::Stoa::Mail->new($t, tls => 1);  # STARTTLS and a login
#   $t->control(args => [$mail->args]);
#   my ($m) = $mail->wait(1);           # {to, login, subject, text, head}
#   $mail->refuse('a@x.example' => 450);
#   $mail->stop; $mail->start;

use strict;
use warnings;

use Encode qw(decode encode);
use File::Path qw(make_path);
use MIME::Base64 qw(decode_base64);
use Test::Stoa::Base qw(wait_until slurp spew);

sub new {
    my ($class, $t, %o) = @_;
    $t->has('smtpd', $o{tls} ? 'openssl' : ());

    my $self = bless { t => $t, dir => $t->dir('mail'), tls => $o{tls} },
        $class;
    make_path($self->{dir});
    if ($o{tls}) {
        my ($key, $cert) = ("$self->{dir}/key", "$self->{dir}/cert");
        my ($code, $out) = $t->run_cmd(['openssl', qw(req -x509 -newkey ec
            -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost
            -addext), "subjectAltName=DNS:localhost,IP:127.0.0.1",
            '-keyout',
            $key, '-out', $cert]);
        die "openssl: $out\n" if $code;
        spew("$self->{dir}/auth", "gateway:pass:word\n", 0600);
    }
    return $self->start;
}

sub start {
    my ($self) = @_;
    my $t = $self->{t};
    my $port = $t->port('smtpd');
    $t->start('smtpd', argv => ['/usr/bin/python3', "$Test::Stoa::ROOT/t/mail/smtpd.py",
        $port, $self->{dir}, $self->{tls} ? map { "$self->{dir}/$_" }
        qw(cert key) : ()], exit => [0, 1, 15], foreign => 1);
    wait_until { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") } 20
        or die 'smtpd: ' . slurp($t->dir('smtpd.out'));
    return $self;
}

sub stop { my ($self) = @_; $self->{t}->stop('smtpd') }

# What stoa-control needs.
sub args {
    my ($self) = @_;
    my $d = $self->{dir};
    return ('--smtp-url=smtp://localhost:' . $self->{t}->port('smtpd'),
        '--smtp-from=stoa@gateway.example',
        $self->{tls} ? ("--smtp-auth-file=$d/auth", "--smtp-ca-file=$d/cert")
        : '--smtp-tls=none');
}

sub refuse {
    my ($self, %codes) = @_;
    spew("$self->{dir}/refuse", join '', map { "$_ $codes{$_}\n" }
         keys %codes);
}

sub all {
    my ($self) = @_;
    my ($n) = (1);
    my @all;
    push @all, parse(slurp("$self->{dir}/$n.eml")), $n++
        while -f "$self->{dir}/$n.eml";
    return grep { ref } @all;
}

# At least n mails.
sub wait {
    my ($self, $n) = @_;
    my @all;
    wait_until { @all = $self->all; @all >= $n } 30;
    return @all;
}

sub parse {
    my ($raw) = @_;
    my ($head, $body) = split /\r?\n\r?\n/, $raw, 2;
    my ($to, $login) = $head =~ /^X-Envelope: (\S+) (\S+)/m;
    my ($subject) = $head =~ /^Subject: ((?:.*\r?\n[ \t])*.*)/m;
    $subject =~ s/\r?\n[ \t]+/ /g;
    $subject =~ s/\r//g;
    return { raw => $raw, head => $head, to => $to, login => $login,
             subject => encode('UTF-8', decode('MIME-Header', $subject)),
             text => decode_base64($body) };
}

1;
