package Test::Stoa::Count;

# Instructions and system calls of one nginx process per request: the same
# number on a busy machine as on a quiet one, within half a percent.
#
#   my $c = Test::Stoa::Count->start($t, 'gw');     # below callgrind
#   my $n = $c->row($row, 200);    # { all, objects => {}, calls => {} }
#   $c->stop;
#
# The configuration of that name is run again with one process, and only its
# first thread is counted, which is the event loop.  Only user space is: the
# kernel's part is told as system calls.

use strict;
use warnings;

use Test::Stoa;
use Time::HiRes qw(sleep);


sub start {
    my ($class, $t, $name) = @_;
    my $self = bless { t => $t, name => $name, part => 0 }, $class;
    my $dir = $t->dir($name);
    my $out = $self->{out} = $t->dir("callgrind.$name");

    $t->has('valgrind');
    $t->stop($name);
    (my $conf = slurp("$dir/nginx.conf"))
        =~ s/^daemon off;/daemon off; master_process off;/m;
    spew("$dir/counted.conf", $conf);

    $t->start($name, stop => 'QUIT', cwd => $dir, argv => ['valgrind',
        '--tool=callgrind', '--instr-atstart=no', '--separate-threads=yes',
        '--trace-syscalls=yes', "--callgrind-out-file=$out",
        $t->{nginx}, '-p', "$dir/", '-c', 'counted.conf',
        '-e', 'logs/error.log']);

    return $self;                # several may start at once
}

sub ready {
    my ($self) = @_;
    my ($t, $name) = @$self{qw(t name)};
    my $ok = wait_until {
        return -1 unless $t->alive($name);
        my $c = $t->connection(gateway => $name, timeout => 5) or return 0;
        my $r = $c->request('GET', '/');
        $c->close;
        $r->{status} && $r->{status} != 503;
    } 60;
    die "$name is not ready: ", slurp($t->dir("$name.out")) if $ok ne 1;
    $self->{pid} = $t->pid($name);
    $self->control('-i', 'on');
    return $self;
}

sub stop { my ($self) = @_; $self->{t}->stop($self->{name}) }

sub control {
    my ($self, @args) = @_;
    my ($code, $out, $err) = $self->{t}->run_cmd(
        ['callgrind_control', @args, $self->{pid}]);
    die "callgrind_control: $out$err\n" if $code;
}


# One keep-alive connection; a fifth of the requests warm up.

sub row {
    my ($self, $row, $n) = @_;
    my $t = $self->{t};
    my $log = $t->dir("$self->{name}.out");
    my $c = $t->connection(gateway => $self->{name}, timeout => 30);
    my $go = sub {
        for (1 .. $_[0]) {
            my $r = Test::Stoa::Bench::request($c, $row);
            die "$row->{name}: $r->{status} $r->{error}\n"
                if $r->{status} != $row->{want};
        }
    };

    $go->($n / 5 + 5);
    $self->control('-z');
    my $from = -s $log;
    $go->($n);
    my %calls = calls(substr slurp($log), $from);
    $self->control('-d');
    $c->close;

    my $dump = "$self->{out}." . ++$self->{part} . '-01';
    my ($all, %objects) = cost(slurp($dump));
    unlink glob("$self->{out}.*");
    $_ /= $n for values %objects, values %calls;
    return { all => $all / $n, objects => \%objects, calls => \%calls };
}


# The system calls of the first thread.

sub calls {
    my ($text) = @_;
    my %n;
    $n{$1}++ while $text =~ /SYSCALL\[\d+,1\]\(\s*\d+\) sys_(\w+)/g;
    return %n;
}

# A dump: lines of cost below "ob=" and "fn="; what stands behind "calls=" is
# the cost of the callee once more.

sub cost {
    my ($text) = @_;
    my ($all, $ob, $skip, %name, %n) = (0, '');

    for (split /\n/, $text) {
        if (/^ob=\((\d+)\)(?: (.*))?/) {
            $name{$1} = $2 if defined $2;
            $ob = $name{$1};
        } elsif (/^cob=\((\d+)\) (.*)/) {
            $name{$1} = $2;
        } elsif (/^calls=/) {
            $skip = 1;
        } elsif (/^[+\-*]?\d* (\d+)$/) {
            ($skip, my $callee) = (0, $skip);
            next if $callee;
            $all += $1;
            $n{$ob} += $1;
        }
    }
    my %short;
    for my $ob (keys %n) {
        my ($file) = $ob =~ m{([^/]+)$};
        $short{ $file =~ /stoa_module/ ? 'module' : $file =~ /^nginx/
            ? 'nginx' : $file =~ /^libc[.-]/ ? 'libc' : 'other' } += $n{$ob};
    }
    return ($all, %short);
}


1;
