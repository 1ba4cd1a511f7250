package Test::Stoa::Load;

# Callers that do not stop: forked processes that send one request after the
# other and count the answers by status in a file mapped by all.
#
#   my $load = load($t, clients => 4, request => [METHOD, PATH, HEADERS],
#                   keepalive => 1);
#   wait_until { $load->count > 100 };
#   my $got = $load->stop;        # { 200 => 812, 0 => 2 }: 0 is no answer
#
# Ends by itself after `seconds` (60).

use strict;
use warnings;

use Exporter 'import';
use POSIX ();
use Time::HiRes qw(time);
use Test::Stoa::HTTP;

our @EXPORT = qw(load);


sub load {
    my ($t, %o) = @_;
    my ($method, $path, $headers) = @{ $o{request} };
    my $self = bless { t => $t, pids => [], files => [], owner => $$ },
        __PACKAGE__;
    my $port = $o{port} // $t->port($o{gateway} || 'gw');

    for my $i (1 .. $o{clients} || 2) {
        my $file = $t->dir('load-' . ++$t->{loads} . "-$i");
        my $pid = fork // die "fork: $!\n";
        if ($pid == 0) {
            client($file, $port, $method, $path, $headers || {}, \%o);
            POSIX::_exit(0);
        }
        push @{ $self->{pids} }, $pid;
        push @{ $self->{files} }, $file;
    }
    return $self;
}

sub client {
    my ($file, $port, $method, $path, $headers, $o) = @_;
    my $end = time() + ($o->{seconds} || 60);
    my ($stop, $c) = (0);

    $SIG{TERM} = sub { $stop = 1 };
    $SIG{PIPE} = 'IGNORE';
    open my $fh, '>', $file or POSIX::_exit(1);
    $fh->autoflush(1);

    until ($stop || time() > $end) {
        my $status = 0;
        undef $c unless $o->{keepalive};
        $c ||= Test::Stoa::HTTP->connect($port, timeout => 10);
        if ($c) {
            my $r = $c->request($method, $path, headers => {
                %$headers, $o->{keepalive} ? () : (Connection => 'close') },
                timeout => 10, defined $o->{body} ? (body => $o->{body}) : ());
            $status = $r->{status} && $r->{status} < 599 ? $r->{status} : 0;
        }
        undef $c unless $status;
        print $fh "$status\n";
        select undef, undef, undef, 0.01 unless $status;
    }
}

sub statuses {
    my ($self) = @_;
    my %n;
    for my $file (@{ $self->{files} }) {
        open my $fh, '<', $file or next;
        while (<$fh>) { chomp; $n{$_}++ }
    }
    return \%n;
}

sub count {
    my ($self) = @_;
    my $n = 0;
    $n += (-s $_ || 0) for @{ $self->{files} };
    return int($n / 4);
}

sub stop {
    my ($self) = @_;
    kill 'TERM', @{ $self->{pids} };
    waitpid $_, 0 for @{ $self->{pids} };
    $self->{pids} = [];
    return $self->statuses;
}

sub DESTROY { my ($self) = @_;
              $self->stop if $self->{owner} == $$ && @{ $self->{pids} } }


1;
