package Test::Stoa::Redis;

# Real servers of Redis: one, with Sentinels, a Cluster, with TLS.
#
#   my $r = Test::Stoa::Redis->new($t, 'redis', conf => ['--maxmemory 8mb']);
#   $r->cmd('GET', 'x');  $r->freeze;  $r->thaw;  $r->kill9;  $r->start;
#
# cmd() speaks RESP itself, so that redis-cli is not started for each.

use strict;
use warnings;

use IO::Socket::INET;
use Test::Stoa::Base qw(wait_until);


sub new {
    my ($class, $t, $name, %o) = @_;
    my $self = bless { t => $t, name => $name, port => $t->port($name),
                       %o }, $class;
    return $self->start;
}

sub port { return $_[0]{port} }
sub address { return "127.0.0.1:$_[0]{port}" }

sub start {
    my ($self) = @_;
    my $t = $self->{t};
    my $dir = $t->dir("$self->{name}.d");
    mkdir $dir;
    my @listen = $self->{tls}
        ? ('--port', 0, '--tls-port', $self->{port}) : ('--port',
                                                        $self->{port});
    $t->start($self->{name}, argv => ['/usr/bin/redis-server',
        $self->{file} ? $self->{file} : (), @listen,
        '--bind', '127.0.0.1', '--dir', $dir,
        $self->{sentinel} ? '--sentinel'
            : ('--save', '', '--appendonly', 'no'),
        map { split / /, $_ } @{ $self->{conf} || [] }]);
    $self->{tls} or wait_until {
        eval { $self->cmd('PING') =~ /PONG|NOAUTH/ }
    } 10 or $t->give_up("$self->{name} does not start");
    return $self;
}

sub signal { my ($self, $signal) = @_;
             kill $signal, $self->{t}->pid($self->{name}); return $self }
sub freeze { return $_[0]->signal('STOP') }
sub thaw { return $_[0]->signal('CONT') }
sub kill9 { my ($self) = @_; delete $self->{sock};
            $self->{t}->kill9($self->{name}); return $self }
sub stop { my ($self) = @_; delete $self->{sock};
           $self->{t}->stop($self->{name}); return $self }

# (a failover closes connections)

sub cmd {
    my ($self, @words) = @_;
    my $old = $self->{sock};
    my @got = eval { $self->once(@words) };
    @got = $self->once(@words) if $@ && $old;
    die $@ if !@got && $@;
    return wantarray ? @got : $got[0];
}

sub once {
    my ($self, @words) = @_;
    my $s = $self->{sock} ||= IO::Socket::INET->new(Proto => 'tcp',
        PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Timeout => 5)
        or die "$self->{name}: $!\n";
    my $text = '*' . @words . "\r\n"
             . join '', map { '$' . length($_) . "\r\n$_\r\n" } @words;
    local $SIG{PIPE} = 'IGNORE';
    print {$s} $text or do { delete $self->{sock}; die "$self->{name}\n" };
    my $got = eval { local $SIG{ALRM} = sub { die "late\n" }; alarm 10;
                     my $v = reply($s); alarm 0; [$v] };
    alarm 0;
    if (!$got) { delete $self->{sock}; die "$self->{name}: no answer\n" }
    return ref $got->[0] ? @{ $got->[0] } : $got->[0];
}

sub reply {
    my ($s) = @_;
    defined(my $line = <$s>) or die "closed\n";
    $line =~ s/\r\n\z//;
    my ($type, $rest) = $line =~ /^(.)(.*)$/;
    return $rest if $type =~ /[+:]/;
    return "-$rest" if $type eq '-';
    if ($type eq '$') {
        return undef if $rest < 0;
        read $s, my $data, $rest + 2;
        return substr $data, 0, $rest;
    }
    return $rest < 0 ? undef : [map { reply($s) } 1 .. $rest];
}

1;
