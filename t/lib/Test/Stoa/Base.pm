package Test::Stoa::Base;

# What Test::Stoa stands on: what the machine has, files, ports and processes
# of one test.  Nothing here knows what STOA is.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use IO::Socket::INET;
use JSON::PP ();
use POSIX qw(:sys_wait_h);
use Storable ();
use Test::More ();
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(wait_until slurp spew json_decode json_encode config
    command pg_bin);

our $ROOT = abs_path(dirname(__FILE__) . '/../../../..');
our $OBJS = $ENV{STOA_OBJS} || 'objs';
$OBJS = "$ROOT/$OBJS" unless $OBJS =~ m{^/};
our $PARTS = $ENV{STOA_PARTS} || ($ENV{HOME} // '') . '/.cache/stoa-parts';
our $SLOW = 1;                   # factor of deadlines
our $current;                    # the test that is running, for END

my %config;                      # of configure
my $json = JSON::PP->new->utf8->canonical->allow_nonref;


sub json_decode { my ($s) = @_; return eval { $json->decode($s) } }
sub json_encode { return $json->encode($_[0]) }

sub slurp {
    my ($path) = @_;
    open my $fh, '<:raw', $path or return '';
    local $/;
    return scalar(<$fh>) // '';
}

sub spew {
    my ($path, $content, $mode) = @_;
    open my $fh, '>:raw', $path or die "$path: $!\n";
    print $fh $content;
    close $fh or die "$path: $!\n";
    chmod $mode, $path if defined $mode;
    return $path;
}

# Polls instead of sleeping; the value that was true, or the last false one.

sub wait_until(&;$) {
    my ($code, $seconds) = @_;
    my $end = time() + ($seconds || 10) * $SLOW;
    my $pause = 0.005;
    my $value;

    for (;;) {
        $value = $code->();
        return $value if $value || time() > $end;
        sleep $pause;
        $pause = $pause * 1.5 if $pause < 0.1;
    }
}


sub config {
    my ($name) = @_;
    unless (%config) {
        my $text = slurp("$OBJS/config.mk");
        $config{$1} = $2 while $text =~ /^(\w+) =[ \t]*(.*?)[ \t]*$/mg;
    }
    return $config{$name} // '';
}


sub dir { return $_[0]{dir} . (defined $_[1] ? "/$_[1]" : '') }
sub module { return "$OBJS/ngx_http_stoa_module.so" }
sub allow_log { my $s = shift; push @{ $s->{allow} }, @_; return $s }


# ---- what the machine has -----------------------------------------------

sub pg_bin {
    my ($dir) = grep { -x "$_/initdb" && -x "$_/postgres" }
        reverse(sort glob('/usr/lib/postgresql/*/bin')),
        split(/:/, $ENV{PATH} // '');
    return $dir;
}

my %HAS = (
    module   => sub { -f module() || 'make built no module' },
    control  => sub { -x "$OBJS/stoa-control"
                      || 'make built no stoa-control' },
    stoactl  => sub { -x "$OBJS/stoactl" || 'make built no stoactl' },
    pg       => sub { config('HAVE_PG') ne '1' ? 'built without PostgreSQL'
                      : pg_bin() ? 1 : 'no PostgreSQL server' },
    nginx128 => sub { -x "$PARTS/nginx128/sbin/nginx" || 'no nginx 1.28' },
    node     => sub { -f "$PARTS/node/.ok" || 'no Node parts' },
    python   => sub { -f "$PARTS/python/.ok" || 'no Python parts' },
    schemathesis => sub { -f "$PARTS/schemathesis/.ok"
                              || 'no schemathesis' },
    go       => sub { -f "$PARTS/go/.ok" || 'no Go parts' },
    signatures => sub { -f "$PARTS/signatures/.ok"
                            || 'no library of signatures' },
    wire     => sub { -f "$PARTS/wire/.ok" || 'no gRPC, no WebSocket' },
    clients  => sub { -f "$PARTS/clients/.ok" || 'no clients' },
    matrix   => sub { -f "$PARTS/matrix/.ok" || 'no parts of the matrix' },
    keycloak => sub { -f "$PARTS/keycloak/data/h2/keycloakdb.mv.db"
                      || 'no Keycloak' },
    slapd    => sub { -x '/usr/sbin/slapd' || command('slapd') },
    conformance => sub { -f "$PARTS/conformance/.ok"
                         || 'no conformance suite' },
    root     => sub { $> == 0 || 'not root' },
    smtpd    => sub { system('/usr/bin/python3 -c "import aiosmtpd" 2>/dev/null')
                      == 0 || 'no aiosmtpd' },
    openssl  => sub { command('openssl') },
    redis    => sub { -x '/usr/bin/redis-server' || 'no redis-server' },
    curl     => sub { command('curl') },
    valgrind => sub { command('valgrind') },
    tls      => sub { eval { require IO::Socket::SSL; 1 }
                      || 'no IO::Socket::SSL' },
);
$HAS{sdk} = $HAS{node};

sub command {
    my ($name) = @_;
    return (grep { -x "$_/$name" } split /:/, $ENV{PATH}) ? 1
        : "no program $name";
}

# Skips the test where something is missing; fails it in CI.

sub has {
    my ($self, @names) = @_;

    for my $name (@names) {
        my $check = $HAS{$name} or die "has: unknown \"$name\"\n";
        my $why = $check->();
        next if $why eq 1;
        $why .= '; t/parts/get.sh gets it'
            if $name =~ /^(?:nginx128|node|sdk|python|go|conformance
                         |clients|wire|signatures|matrix|keycloak|schemathesis)$/x;

        if ($ENV{CI}) {
            Test::More::fail("$name is there, which CI must have: $why");
            Test::More::done_testing();
            exit 1;
        }
        Test::More::plan(skip_all => $why);
    }
    return $self;
}


# ---- files and ports ----------------------------------------------------

sub write_file {
    my ($self, $name, $content, $mode) = @_;
    make_path(dirname($self->dir($name)));
    return spew($self->dir($name), $self->expand($content), $mode);
}

# %%PORT_x%%, %%DIR%%, %%MODULE%%, %%ROOT%%

sub expand {
    my ($self, $text) = @_;
    $text =~ s/%%PORT_(\w+)%%/$self->port($1)/ge;
    $text =~ s/%%DIR%%/$self->{dir}/g;
    $text =~ s/%%ROOT%%/$ROOT/g;
    $text =~ s/%%MODULE%%/module()/ge;
    return $text;
}


# A free TCP port by name, the same at each call.  Its UDP twin stays bound
# while the test runs: that is the lock between tests that run at once.
# STOA_TEST_PORTS: FROM-TO, or FROM for a thousand.

sub port {
    my ($self, $name) = @_;
    return $self->{ports}{$name} if $self->{ports}{$name};

    my ($from, $to) = ($ENV{STOA_TEST_PORTS} || '20000-29999')
        =~ /^(\d+)(?:-(\d+))?$/ or die "STOA_TEST_PORTS: not FROM-TO\n";
    $to //= $from + 999;

    for (1 .. 1000) {
        my $port = $from + int rand($to - $from + 1);
        my $lock = IO::Socket::INET->new(Proto => 'udp',
            LocalAddr => '127.0.0.1', LocalPort => $port) or next;
        my $tcp = IO::Socket::INET->new(Proto => 'tcp', Listen => 1,
            ReuseAddr => 1, LocalAddr => '127.0.0.1', LocalPort => $port)
            or next;
        close $tcp;
        push @{ $self->{locks} }, $lock;
        return $self->{ports}{$name} = $port;
    }
    die "no free port in $from-$to\n";
}


# ---- processes ----------------------------------------------------------

# start(name, argv => [...], env => {...}, user => name, exit => [codes],
# foreign => 1 for a program that is not ours, whose end is not judged):
# its own process group, output to <dir>/<name>.out.

sub start {
    my ($self, $name, %o) = @_;
    my $out = $self->dir("$name.out");

    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        setpgid_self();
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $out;
        open STDERR, '>&', \*STDOUT;
        $SIG{$_} = 'DEFAULT' for qw(INT TERM QUIT HUP PIPE CHLD ALRM);
        set_env($o{env} || {});
        chdir($o{cwd} || $self->{dir});
        become($o{user}) if $o{user};
        if ($o{code}) {
            $current = undef;
            $o{code}->();
            POSIX::_exit(0);
        }
        { no warnings 'exec'; exec { $o{argv}[0] } @{ $o{argv} }; }
        print STDERR "exec $o{argv}[0]: $!\n";
        POSIX::_exit(127);
    }

    POSIX::setpgid($pid, $pid);
    $self->{procs}{$name} = { pid => $pid, exit => $o{exit} || [0],
                              stop => $o{stop} || 'TERM', out => $out,
                              killed => $o{foreign},
                              group => defined $o{code} };
    return $pid;
}

# undef takes a variable away

sub set_env {
    my ($env) = @_;
    for my $name (keys %$env) {
        if (defined $env->{$name}) { $ENV{$name} = $env->{$name} }
        else { delete $ENV{$name} }
    }
}

sub setpgid_self { POSIX::setpgid(0, 0) }

sub become {
    my ($user) = @_;
    my (undef, undef, $uid, $gid) = getpwnam $user or die "no user $user\n";
    POSIX::setgid($gid);
    $) = "$gid $gid";
    POSIX::setuid($uid);
}

sub pid { my ($self, $name) = @_; my $p = $self->{procs}{$name};
          return $p ? $p->{pid} : undef }

sub alive {
    my ($self, $name) = @_;
    my $p = $self->{procs}{$name} or return 0;
    reap($p);
    return !defined $p->{status};
}

sub reap {
    my ($p) = @_;
    return if defined $p->{status};
    my $rc = waitpid $p->{pid}, WNOHANG;
    $p->{status} = $? if $rc == $p->{pid};
    $p->{status} = -1 if $rc == -1;
}

# Whether a process group has anybody.  Orphans that have ended are not waited
# for: who is process 1 may take seconds to collect them.

sub in_group {
    my ($group) = @_;
    return 0 unless kill 0, -$group;
    for (glob '/proc/[0-9]*/stat') {
        my ($state, $of) = slurp($_) =~ /.*\) (\S) \d+ (\d+) /s or next;
        return 1 if $of == $group && $state !~ /[ZX]/;
    }
    return 0;
}

# Stops one process gracefully; its exit status is judged in done().

sub stop {
    my ($self, $name, %o) = @_;
    my $p = $self->{procs}{$name} or return;

    reap($p);
    if (!defined $p->{status}) {
        kill $o{signal} || $p->{stop}, $p->{group} ? -$p->{pid} : $p->{pid};
        wait_until { reap($p); defined $p->{status} } $o{timeout} || 15;
        if (!defined $p->{status}) {
            $self->problem("$name did not stop");
            kill 'KILL', -$p->{pid};
            waitpid $p->{pid}, 0;
            $p->{status} = -1;
        }
    }

    my $code = $p->{status};
    $self->problem("$name ended with "
                   . ($code & 127 ? 'signal ' . ($code & 127)
                                  : 'exit code ' . ($code >> 8)))
        unless $p->{killed} || $code == -1
               || grep { $_ == $code >> 8 && !($code & 127) } @{ $p->{exit} };

    # stopping workers of nginx may outlive their master for a moment
    wait_until { !in_group($p->{pid}) } 5;
    if (in_group($p->{pid})) {
        $self->problem("$name left processes behind") unless $p->{killed};
        kill 'KILL', -$p->{pid};
    }
    delete $self->{procs}{$name};
}

# kill -9 of the whole group: no exit code is asked for.

sub kill9 {
    my ($self, $name) = @_;
    my $p = $self->{procs}{$name} or return;
    $p->{killed} = 1;
    kill 'KILL', -$p->{pid};
    waitpid $p->{pid}, 0 unless defined $p->{status};
    $p->{status} = -1;
    $self->stop($name);
}

sub problem { my ($self, $what) = @_; push @{ $self->{problems} }, $what }

# Runs a program to its end: (exit code, stdout, stderr).

sub run_cmd {
    my ($self, $argv, %o) = @_;
    my ($in, $out, $err) = map { $self->dir("cmd-$$.$_") } qw(in out err);
    spew($in, $o{stdin} // '');

    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        open STDIN, '<', $in;
        open STDOUT, '>', $out;
        open STDERR, '>', $err;
        my %env = ($self->sanitizer_env('cmd'), %{ $o{env} || {} });
        set_env(\%env);
        chdir $o{cwd} if $o{cwd};
        { no warnings 'exec'; exec { $argv->[0] } @$argv; }
        POSIX::_exit(127);
    }
    my $end = time() + ($o{timeout} || 60) * $SLOW;
    until (waitpid($pid, WNOHANG) == $pid) {
        kill 'KILL', $pid if time() > $end;
        sleep 0.005;
    }
    my $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    return ($code, slurp($out), slurp($err));
}

# What each of the subs returned, a scalar: all run at the same time, each in a
# process of its own, so that waiting for a product's timeouts costs the
# longest of them and not their sum.

sub together {
    my ($self, @code) = @_;
    my @pids;

    for my $i (0 .. $#code) {
        my $pid = fork // die "fork: $!\n";
        if ($pid == 0) {
            my $ok = eval {
                Storable::store([$code[$i]->()], $self->dir("together.$i"));
                1 };
            print STDERR $@ unless $ok;
            POSIX::_exit($ok ? 0 : 1);
        }
        push @pids, $pid;
    }
    my @failed = grep { waitpid($_, 0); $? } @pids;
    die "a sub of together() died\n" if @failed;
    return map { Storable::retrieve($self->dir("together.$_"))->[0] }
           0 .. $#code;
}

# Stock nginx under a sanitized module wants the runtimes preloaded; programs
# of ours have them linked.

sub sanitizer_env {
    my ($self, $name, $preload) = @_;
    return () unless config('SANITIZE');

    my %env = (
        ASAN_OPTIONS => "detect_odr_violation=0:exitcode=99:"
                        . "log_path=$self->{dir}/sanitizer.$name",
        UBSAN_OPTIONS => "print_stacktrace=1:"
                         . "log_path=$self->{dir}/sanitizer.$name",
        LSAN_OPTIONS => "print_suppressions=0:"
                        . "suppressions=$ROOT/t/lib/lsan.supp",
    );
    if ($preload) {
        my $cc = config('CC') || 'cc';
        chomp(my @libs = map { `$cc -print-file-name=$_` }
                         qw(libasan.so libubsan.so));
        push @libs, "$OBJS/t/nodlclose.so";
        $env{LD_PRELOAD} = join ' ', @libs;
    }
    return %env;
}



1;
