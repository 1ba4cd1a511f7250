package Test::Stoa;

# The harness: a real nginx, a real stoa-control and real or scripted
# upstreams per test, in a temporary folder, on free loopback ports.
#
#   use Test::Stoa;                         # Test::More comes with it
#   my $t = Test::Stoa->new->has('pg');
#   $t->control;                            # stoa-control
#   my $port = $t->origin;                  # an HTTP server that echoes
#   $t->apply($yaml);
#   $t->gateway;                            # nginx, registered and in sync
#   my $key = $t->key('acme', 'demo');
#   my $r = $t->get('/apis/acme/echo/x', key => $key);
#   is($r->{status}, 200, 'a call');
#   $t->done;                               # teardown asserts, done_testing
#
# done() asserts what no test may leave behind: [alert], [crit] or [emerg] in a
# log, a sanitizer's report, a core file, a leaked socket, an exit code other
# than 0, a process.  What a test provokes on purpose it names by allow_log().
#
# Environment: STOA_OBJS (objs), STOA_NGINX, STOA_TEST_DB (sqlite, pg),
# STOA_TEST_PORTS (20000-29999), STOA_PARTS, STOA_LEAVE (keep the folder),
# STOA_VERBOSE (logs of a failed test), CI (what is missing fails).

use strict;
use warnings;

use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use Test::More ();
use Time::HiRes qw(sleep time);

use parent -norequire, 'Test::Stoa::Base';
use Test::Stoa::Base qw(wait_until slurp spew json_decode json_encode config
    pg_bin);
use Test::Stoa::HTTP;

our @EXPORT = qw(wait_until slurp spew json_decode json_encode);

*ROOT = \$Test::Stoa::Base::ROOT;
*OBJS = \$Test::Stoa::Base::OBJS;
*PARTS = \$Test::Stoa::Base::PARTS;
*SLOW = \$Test::Stoa::Base::SLOW;
our ($ROOT, $OBJS, $PARTS, $SLOW);


sub import {
    my ($class) = @_;
    my $caller = caller;

    strict->import;
    warnings->import;
    no strict 'refs';
    *{"${caller}::$_"} = \&{$_} for @EXPORT;
    eval "package $caller; Test::More->import; 1" or die $@;
}


sub new {
    my ($class, %o) = @_;

    Test::More::BAIL_OUT("$OBJS holds no build: run make")
        unless -f "$OBJS/config.mk";
    $SLOW = 4 if config('SANITIZE');
    $Test::Stoa::HTTP::TIMEOUT = 20 * $SLOW unless $ENV{STOA_TEST_TIMEOUT};

    my $dir = tempdir('stoa-XXXXXX', TMPDIR => 1);
    chmod 0711, $dir;            # PostgreSQL runs as another user

    my $self = bless {
        dir => $dir, owner => $$, procs => {}, ports => {}, locks => [],
        allow => [], db => $o{db} || $ENV{STOA_TEST_DB} || 'sqlite',
        nginx => $ENV{STOA_NGINX} || config('NGINX_BINARY') || 'nginx',
        origins => 0,
    }, $class;

    $Test::Stoa::Base::current = $self;
    return $self;
}

# ---- stoa-control -------------------------------------------------------

sub control_url { my ($self) = @_;
                  return 'http://127.0.0.1:' . $self->port('control') }

# Starts it (again, over the same database) and waits until it is ready.
# args => [more flags], wait => 0 to return at once.

sub control {
    my ($self, %o) = @_;
    $self->has('control');

    my $token = $self->dir('admin.token');
    my $port = $self->port('control');

    $self->start('control',
        argv => ["$OBJS/stoa-control", "--listen=127.0.0.1:$port",
                 '--database=' . $self->database,
                 "--admin-token-file=$token", '--log-level=info',
                 '--outbound-allow=loopback',
                 '--rate-caller=0', '--rate-address=0',
                 @{ $o{args} || [] }],
        env => { $self->sanitizer_env('control'), %{ $o{env} || {} } },
        exit => $o{exit});

    return $self if exists $o{wait} && !$o{wait};

    my $ready = wait_until {
        return -1 unless $self->alive('control');
        my $r = http_once($port, 'GET', '/health/ready', timeout => 2);
        return $r->{status} == 200;
    } 30;
    if ($ready != 1) {
        Test::More::diag(slurp($self->dir('control.out')));
        $self->give_up('stoa-control is not ready');
    }
    ($self->{token}) = slurp($token) =~ /(\S+)/ if -f $token;
    return $self;
}

sub give_up { my ($self, $why) = @_;
              Test::More::fail($why); $self->done; exit 1 }


sub stoactl {
    my ($self, @args) = @_;
    my %o = ref $args[-1] eq 'HASH' ? %{ pop @args } : ();
    return $self->run_cmd(["$OBJS/stoactl", @args], %o, env => {
        STOA_URL => $self->control_url, STOA_TOKEN => $self->{token} // '',
        STOA_CONFIG => $self->dir('stoactl.yaml'), %{ $o{env} || {} } });
}


# One database per test, on the engine that STOA_TEST_DB names.

sub database {
    my ($self) = @_;
    return $self->{database} //= $self->{db} eq 'pg' ? $self->postgres
        : 'sqlite:' . $self->dir('control.db');
}

# A throwaway cluster.  initdb once per build (objs/t/), a copy per test.

sub postgres {
    my ($self) = @_;
    $self->has('pg');

    my $bin = pg_bin();
    my @user = $> == 0 ? (user => 'postgres') : ();
    my $owner = $> == 0 ? 'postgres' : scalar getpwuid $>;
    my $data = $self->dir('pg');
    my $cache = ($ENV{TMPDIR} || '/tmp') . "/stoa-pg-template-$>";

    make_path($cache);
    chmod 0711, $cache;
    chown((getpwnam $owner)[2, 3], $cache) if $> == 0;
    open my $lock, '>>', "$cache.lock" or die "$cache.lock: $!\n";
    flock $lock, LOCK_EX;
    if (!-f "$cache/data/ok") {
        remove_tree("$cache/data");
        $self->start('initdb', @user, cwd => $cache,
            argv => ["$bin/initdb", '-D', "$cache/data", '-A', 'trust',
                     '-U', 'stoa', '-E', 'UTF8', '--locale=C', '-N']);
        waitpid $self->pid('initdb'), 0;
        die 'initdb: ', slurp($self->dir('initdb.out')) if $?;
        delete $self->{procs}{initdb};
        spew("$cache/data/ok", '');
    }
    system('cp', '-a', "$cache/data", $data) == 0 or die "cp\n";
    close $lock;

    my $port = $self->port('postgres');
    $self->start('postgres', @user, stop => 'INT',
        argv => ["$bin/postgres", '-D', $data, '-p', $port,
                 map { ('-c', $_) } 'listen_addresses=127.0.0.1',
                 "unix_socket_directories=$data", 'fsync=off',
                 'synchronous_commit=off', 'full_page_writes=off',
                 'max_connections=50', 'shared_buffers=16MB']);
    wait_until {
        system("$bin/pg_isready -q -h 127.0.0.1 -p $port") == 0
    } 30 or $self->give_up('PostgreSQL is not ready: '
                           . slurp($self->dir('postgres.out')));
    return "postgresql://stoa\@127.0.0.1:$port/postgres";
}


# The admin API, as the platform admin unless token => says otherwise.

sub api {
    my ($self, $method, $path, $body, %o) = @_;
    my %h = %{ $o{headers} || {} };
    my $token = exists $o{token} ? $o{token} : $self->{token};

    $h{Authorization} //= "Bearer $token" if defined $token;
    if (ref $body) {
        $body = json_encode($body);
        $h{'Content-Type'} //= 'application/json';
    }
    my $r = http_once($self->port('control'), $method, $path,
        headers => \%h, body => $body, timeout => $o{timeout});
    $r->{json} = json_decode($r->{body})
        if ($r->{headers}{'content-type'} // '') =~ /json/;
    return $r;
}

# The same, but an answer that is no 2xx ends the test.

sub must {
    my ($self, $method, $path, $body, %o) = @_;
    my $r = $self->api($method, $path, $body, %o);
    $self->give_up("$method $path: $r->{status} $r->{error} $r->{body}")
        unless $r->{status} =~ /^2/;
    return $r->{json};
}

sub apply {
    my ($self, $yaml, %o) = @_;
    return $self->must('POST', '/v1/apply' . ($o{query} ? "?$o{query}" : ''),
        $self->expand($yaml), timeout => 60,
        headers => { 'Content-Type' => 'application/yaml' });
}

# An API key of an application; more members of the credential in %o.

sub key {
    my ($self, $tenant, $application, %o) = @_;
    return $self->must('POST', "/v1/tenants/$tenant/applications/"
        . "$application/credentials", \%o)->{key};
}


# ---- nginx --------------------------------------------------------------

# gateway(name => 'gw', group => 'default', workers => 1, conf => TEXT,
# http => TEXT, server => TEXT, main => TEXT, allow => TEXT, level => 'info', wait => 1):
# registers a gateway once, writes its nginx.conf, starts nginx and waits until
# it has what the control plane has.  conf replaces the whole template.

sub gateway {
    my ($self, %o) = @_;
    my $name = $o{name} ||= 'gw';

    $self->has('module');
    make_path($self->dir("$name/logs"));
    my $token = $self->dir("$name/token");
    $self->register($name, $o{group} || 'default') unless -f $token;

    $self->write_file("$name/nginx.conf", $o{conf} // $self->template(%o));
    $self->start_nginx($name, %o);
    $self->sync($name) unless exists $o{wait} && !$o{wait};
    return $self;
}

sub register {
    my ($self, $name, $group) = @_;
    my $r = $self->api('POST', '/v1/gateway-groups', { name => $group });
    $self->give_up("gateway group $group: $r->{status} $r->{body}")
        unless $r->{status} =~ /^(?:2|409)/;
    my $gw = $self->must('POST', '/v1/gateways',
        { name => $name, group => $group });
    make_path($self->dir("$name/logs"));
    spew($self->dir("$name/token"), "$gw->{token}\n", 0600);
}

sub template {
    my ($self, %o) = @_;
    my $name = $o{name};
    my $zone = $o{zone} || 'stoa:8m';
    my $group = $o{group} || 'default';

    $o{main} = 'load_module %%MODULE%%; ' . ($o{main} // '');
    $o{location} //= '';
    $o{store} //= '';
    $o{http} = <<"END" . ($o{http} // '');
    stoa_control_plane http://127.0.0.1:%%PORT_control%%;
    stoa_gateway_token_file %%DIR%%/$name/token;
    stoa_gateway_group $group;
    stoa_store %%DIR%%/$name/store $o{store};
    @{[ $o{allow} // 'stoa_upstream_allow private loopback;' ]}
    stoa_zone $zone;
END
    return $self->bare_conf(<<"END" . ($o{server} // ''), %o);
        location / { stoa; $o{location} }
        location = /stoa/status { stoa_status; }
        location = /stoa/ready { stoa_ready; }
        location = /stoa/traces { stoa_traces; }
        location = /stoa/metrics { stoa_metrics; }
END
}

# An nginx.conf without the module: the text is the inside of its server.

sub bare_conf {
    my ($self, $server, %o) = @_;
    my $port = $self->port($o{name} || 'gw');
    my $user = $> == 0 ? 'user root;' : '';
    my $workers = $o{workers} || 1;
    my $level = $o{level} || 'info';
    my $connections = $o{connections} || 1024;
    $o{$_} //= '' for qw(main http);

    return <<"END";
$o{main}
$user
daemon off;
worker_processes $workers;
pid nginx.pid;
error_log logs/error.log $level;
events { worker_connections $connections; }

http {
    log_format harness '\$status \$request_method \$request_uri';
    access_log logs/access.log harness;
    client_body_temp_path tmp-body;
    proxy_temp_path tmp-proxy;
    fastcgi_temp_path tmp-fastcgi;
    uwsgi_temp_path tmp-uwsgi;
    scgi_temp_path tmp-scgi;
$o{http}
    server {
        listen 127.0.0.1:$port;
$server
    }
}
END
}

sub start_nginx {
    my ($self, $name, %o) = @_;
    my $prefix = $self->dir($name);
    make_path("$prefix/logs");

    $self->start($name, stop => 'QUIT', cwd => $prefix,
        argv => [$self->{nginx}, '-p', "$prefix/", '-c', 'nginx.conf',
                 '-e', 'logs/error.log'],
        env => { $self->sanitizer_env($name, 1) });

    wait_until {
        !$self->alive($name) || $self->workers($name)
    } 20;
    $self->give_up("nginx did not start: "
                   . slurp("$prefix/logs/error.log")
                   . slurp($self->dir("$name.out")))
        unless $self->alive($name);
}

# nginx -t: (exit code, messages), with the template or conf => TEXT.

sub nginx_t {
    my ($self, %o) = @_;
    my $name = $o{name} ||= 'conftest';
    make_path($self->dir("$name/logs"));
    spew($self->dir("$name/token"), $o{token}, 0600) if defined $o{token};
    $self->write_file("$name/nginx.conf", $o{conf} // $self->template(%o));
    my %env = $self->sanitizer_env($name, 1);
    $env{ASAN_OPTIONS} .= ':detect_leaks=0' if %env;   # it exits as it is
    my ($code, $out, $err) = $self->run_cmd(
        [$self->{nginx}, '-t', '-p', $self->dir($name) . '/',
         '-c', 'nginx.conf', '-e', 'stderr'],
        env => { %env });
    return ($code, $out . $err);
}

# The pids of the workers that take new connections.

sub workers {
    my ($self, $name) = @_;
    my $pid = $self->pid($name || 'gw') or return;
    my @pids = split ' ', slurp("/proc/$pid/task/$pid/children");
    return grep {
        my $title = slurp("/proc/$_/cmdline");
        $title =~ /worker process/ && $title !~ /shutting down/
    } @pids;
}

# What processes hold of their own, in KiB; files that they map are no growth.

sub memory {
    my ($self, @pids) = @_;
    my $sum = 0;
    for my $pid (@pids) {
        $sum += $1 if slurp("/proc/$pid/status") =~ /RssAnon:\s+(\d+)/;
    }
    return $sum;
}

# Reloads and waits for the new workers (and the end of the old: drain => 1).

sub reload {
    my ($self, $name, %o) = @_;
    $name ||= 'gw';
    my @old = $self->workers($name);
    my %old = map { ($_ => 1) } @old;
    kill 'HUP', $self->pid($name);
    my $done = wait_until {
        my @now = $self->workers($name);
        @now >= 1 && !grep { $old{$_} } @now;
    } 20;
    wait_until { !grep { kill 0, $_ } @old } 20 if $o{drain};
    return $done;
}

# Waits until the gateway serves the control plane's newest revision.

sub sync {
    my ($self, $name, $seconds) = @_;
    $name ||= 'gw';
    my $last = '';
    my $ok = wait_until {
        return -1 unless $self->alive($name);
        my $g = $self->api('GET', "/v1/gateways/$name");
        $last = $g->{body};
        return 0 unless $g->{status} == 200
                        && ($g->{json}{sync} // '') eq 'in-sync';
        my $r = $self->get('/stoa/ready', gateway => $name);
        $last .= " ready: $r->{status} $r->{body}";
        return $r->{status} == 200;
    } $seconds || 20;
    $self->give_up("gateway $name is not in sync: $last\n"
                   . slurp($self->dir("$name/logs/error.log")))
        if $ok ne 1;
    return $self;
}

# Counters by their full name, 'stoa_x{a="b"}' => value.

sub metrics {
    my ($self, $name) = @_;
    my $r = $name && $name eq 'control'
        ? http_once($self->port('control'), 'GET', '/metrics')
        : $self->get('/stoa/metrics', gateway => $name || 'gw');
    my %m;
    $m{$1} = $2
        while $r->{body} =~ /^([^#\s][^\s{]*(?:\{[^\n]*\})?) (\S+)/mg;
    return \%m;
}

sub log_lines { my ($self, $name, $file) = @_;
                return split /\n/, slurp($self->dir(
                    ($name || 'gw') . '/logs/' . ($file || 'access.log'))) }


# ---- requests to a gateway ----------------------------------------------

sub http_once {
    my ($port, $method, $target, %o) = @_;
    my $c = Test::Stoa::HTTP->connect($port, %o)
        or return Test::Stoa::HTTP::fail_response("connect: $!");
    my $r = $c->request($method, $target, %o);
    $c->close;
    return $r;
}

sub connection {
    my ($self, %o) = @_;
    return Test::Stoa::HTTP->connect($o{port}
        // $self->port($o{gateway} || 'gw'), %o);
}

# http(METHOD, target, key =>, json => DATA, body =>, headers => {},
# gateway => 'gw', port =>): one request on its own connection.

sub http {
    my ($self, $method, $target, %o) = @_;
    my %h = %{ $o{headers} || {} };

    $h{'X-API-Key'} //= $o{key} if defined $o{key};
    if (exists $o{json}) {
        $o{body} = json_encode($o{json});
        $h{'Content-Type'} //= 'application/json';
    }
    my $r = http_once($o{port} // $self->port($o{gateway} || 'gw'), $method,
        $target, %o, headers => \%h);
    $r->{json} = json_decode($r->{body})
        if ($r->{headers}{'content-type'} // '') =~ /json/;
    return $r;
}

sub get { my $self = shift; return $self->http('GET', @_) }

sub post { my ($self, $target, $data, %o) = @_;
           return $self->http('POST', $target, json => $data, %o) }


# ---- upstreams ----------------------------------------------------------

# origin(handler, name => 'origin', port =>): see Test::Stoa::HTTP::serve.
# Without a handler it answers with what it got.  origin_log(name) lists the
# requests of all its connections.

sub origin {
    my ($self, $handler, %o) = @_;
    my $name = $o{name} || 'origin' . (++$self->{origins} > 1
                                       ? $self->{origins} : '');
    my $port = $o{port} || $self->port($name);
    my $log = $self->dir("$name.requests");
    my $listen = IO::Socket::INET->new(Proto => 'tcp', Listen => 128,
        ReuseAddr => 1, LocalAddr => $o{address} || '127.0.0.1',
        LocalPort => $port)
        or die "origin: $!\n";

    $handler ||= sub {
        my ($q) = @_;
        return [200, ['Content-Type' => 'application/json'], json_encode({
            method => $q->{method}, path => $q->{path},
            query => $q->{query}, headers => $q->{headers},
            body => $q->{body} })];
    };

    $self->start($name, code => sub {
        Test::Stoa::HTTP::serve($listen, sub {
            my ($q, $c) = @_;
            open my $fh, '>>', $log;
            flock $fh, LOCK_EX;
            print $fh json_encode({ %$q, time => time() }), "\n";
            close $fh;
            return $handler->($q, $c);
        });
    });
    close $listen;
    return $port;
}

sub origin_log {
    my ($self, $name) = @_;
    return map { json_decode($_) }
        split /\n/, slurp($self->dir(($name || 'origin') . '.requests'));
}


# ---- the end ------------------------------------------------------------

sub stop_all {
    my ($self) = @_;
    my %rank = (postgres => 3, control => 2);
    for my $name (sort { ($rank{$a} || 1) <=> ($rank{$b} || 1) || $a cmp $b }
                  keys %{ $self->{procs} })
    {
        $self->stop($name);
    }
}

sub done {
    my ($self) = @_;
    return if $self->{done}++;

    $self->stop_all;
    my @logs = (glob($self->dir('*/logs/error.log')),
                grep { !/initdb|postgres/ } glob($self->dir('*.out')));
    my @bad;
    for my $log (@logs) {
        for my $line (split /\n/, slurp($log)) {
            next unless $line =~ /\[(?:alert|crit|emerg)\]|open socket #/;
            next if grep { $line =~ $_ } @{ $self->{allow} };
            push @bad, $line;
        }
    }
    Test::More::is(join("\n", @bad[0 .. ($#bad > 9 ? 9 : $#bad)]), '',
        'no alert in a log');

    my @reports = map { slurp($_) } glob($self->dir('sanitizer.*'));
    push @reports, map {
        slurp($_) =~ /^(.*(?:Sanitizer|runtime error:).*(?:\n[ #=].*)*)/mg
    } @logs;
    Test::More::is(join("\n", map { substr $_, 0, 4000 } @reports), '',
        'no report of a sanitizer');

    my @cores = (glob($self->dir('core*')), glob($self->dir('*/core*')));
    Test::More::is(join("\n", @{ $self->{problems} || [] }, @cores), '',
        'all processes ended well');

    if ($ENV{STOA_VERBOSE} && !Test::More->builder->is_passing) {
        Test::More::diag("$_:\n" . slurp($_)) for @logs;
    }
    Test::More::done_testing();
    $self->clean;
}

sub clean {
    my ($self) = @_;
    if ($ENV{STOA_LEAVE}) {
        Test::More::diag("left: $self->{dir}");
    } else {
        remove_tree($self->{dir});
    }
    $Test::Stoa::Base::current = undef;
}

# A test that died: nothing of it may live on.

END {
    if ($Test::Stoa::Base::current && $Test::Stoa::Base::current->{owner} == $$) {
        my $code = $?;
        for my $p (values %{ $Test::Stoa::Base::current->{procs} }) {
            kill 'KILL', -$p->{pid};
            waitpid $p->{pid}, 0;
        }
        $Test::Stoa::Base::current->clean;
        $? = $code;
    }
}


1;
