#!/usr/bin/perl

# The configuration of stoa-control: what is wrong is said exactly, and the
# later source wins.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new;
$t->has('control');
my $bin = "$Test::Stoa::OBJS/stoa-control";

sub conf { my ($name, $text) = @_; spew($t->dir($name), $text);
           return '--config=' . $t->dir($name) }

sub run { my ($args, %env) = @_;
          my ($code, $out, $err) = $t->run_cmd([$bin, @$args], env => \%env,
                                               cwd => $t->dir);
          return ($code, $out, $err) }

sub refused {
    my ($args, $want, $what, %env) = @_;
    my ($code, $out, $err) = run($args, %env);
    my $dir = $t->dir;
    $err =~ s/\Q$dir\E/DIR/g;
    is($code, 1, $what);
    is($err, "stoa-control: $want\n", "$what: the message");
}

refused(['--nope=1'], 'unknown option "--nope", see --help', 'unknown flag');
refused(['nope'], 'unexpected argument "nope", see --help', 'no flag');
refused(['--backup=x', '--new-admin-token'], '--backup and --new-admin-token '
        . 'are two things to do: only one of them', 'two commands');
refused(['--check-config=1'], 'unknown option "--check-config", see --help',
        'a value of a command that has none');
refused(['--listen'], '--listen needs a value', 'a flag without value');
refused(['--io-threads=0'],
        '--io-threads: io_threads must be a number from 1 to 64', 'too small');
refused(['--io-threads', '1x'],
        '--io-threads: io_threads must be a number from 1 to 64', 'no number');
refused(['--log-level=loud'],
        '--log-level: log_level must be one of: debug info warn error',
        'no level');
refused(['--access-log=maybe'],
        '--access-log: access_log must be true or false', 'no boolean');
refused([], 'STOA_CONTROL_WORKER_THREADS: worker_threads must be a number '
        . 'from 1 to 256', 'the environment',
        STOA_CONTROL_WORKER_THREADS => 'many');
refused([conf('a.yaml', "listen: 127.0.0.1:1\nfoo: 1\n")],
        'DIR/a.yaml:2: unknown option "foo"', 'unknown in YAML');
refused([conf('b.yaml', "io_threads: 1\nio_threads: 2\n")],
        'DIR/b.yaml: line 2: the key "io_threads" is there twice',
        'twice in YAML');
refused([conf('c.yaml', "listen: [a]\n")],
        'DIR/c.yaml:1: listen must have one value', 'a list in YAML');
refused([conf('d.yaml', "- listen\n")],
        'DIR/d.yaml: must be one list of "name: value"', 'no mapping');
refused([conf('e.conf', "# c\n\nlisten = 127.0.0.1:1\nbar=1\n")],
        'DIR/e.conf:4: unknown option "bar"', 'unknown in lines');
refused([conf('f.conf', "listen\n")], 'DIR/f.conf:1: no "name=value"',
        'no equals sign');
refused(['--config=' . $t->dir('none.yaml')],
        'cannot open "DIR/none.yaml": No such file or directory',
        'no such file');
refused(['--tls-key=x'],
        'tls_certificate and tls_key are needed together', 'half of TLS');
refused(['--database=mysql://root:secret@db/x'],
        'the database must be "sqlite:PATH" or "postgresql://..."',
        'another database, its password is not repeated');
refused(['--database=sqlite:' . $t->dir('no/such/x.db')],
        'cannot open "DIR/no/such/x.db.lock": No such file or directory',
        'no such folder');
refused(['--database=sqlite:' . $t->dir('x.db'),
         '--pepper-file=' . $t->dir('none')],
        'pepper_file: cannot open "DIR/none": No such file or directory',
        'no pepper');
spew($t->dir('pepper'), "short\n");
refused(['--database=sqlite:' . $t->dir('x.db'),
         '--pepper-file=' . $t->dir('pepper')],
        'pepper_file: "DIR/pepper" must hold 16 to 1024 bytes',
        'a short pepper');

for (['cors_origins: "*" is no origin such as https://console.example',
      '--cors-origins=*'],
     ['tenant_limits: "api=many" is no limit: a kind, = and 0 to 10000000',
      '--tenant-limits=api=many'],
     ['--trusted-proxies: trusted_proxies must have addresses, ranges such as '
      . '10.1.0.0/16, private, loopback or none',
      '--trusted-proxies=10.1.0.0/16,proxy.example'],
     ['trusted_proxies: a range of all addresses lets everybody say where he '
      . 'is from', '--trusted-proxies=10.1.0.0/16 ::/0'])
{
    my ($why, @args) = @$_;
    refused([@args, '--check-config'], $why, "@args, to be checked");
    refused([@args, '--database=sqlite:' . $t->dir('never.db')], $why,
            "@args, to serve with");
}
ok(!-e $t->dir('never.db'), 'before a database is made');

my ($code, $out, $err) = run([conf('g.yaml', "io_threads: 3\n"),
                              '--check-config']);
is($code, 0, 'a good one');
is($out, "stoa-control: the configuration is fine\n", 'is said to be');

($code, $out) = run(['--help']);
is($code, 0, '--help');
like($out, qr/^  --worker-threads +threads that handle requests \[8\]$/m,
     'help comes from the table');
($code, $out) = run(['--version']);
like($out, qr/^stoa-control \d+\.\d+\.\d+$/, '--version');

# the file that ships has every option, with its default

my $ships = "$Test::Stoa::ROOT/conf/stoa-control.yaml";
($code, $out, $err) = run(["--config=$ships", '--check-config']);
is("$code $err", '0 ', 'the file that ships is good');
my (undef, $help) = run(['--help']);
my %dflt = map { /^  --([a-z-]+) +.*?(?: \[(.*)\])?$/
                 ? (do { (my $n = $1) =~ tr/-/_/; $n } => $2 // '""') : () }
    grep { /^  --(?!config|check-config|new-admin-token|new-admin-password|backup|print-openapi|version|help)/ } split /\n/, $help;
my %has = slurp($ships) =~ /^([a-z_]+): (.+)$/mg;
ok(keys %dflt > 10, 'help lists the options');
is_deeply(\%has, \%dflt, 'the file that ships has them all');

# file < environment < flag: whoever is asked last names the port

sub port_of {
    my ($args, %env) = @_;
    my $log = $t->dir('run.out');
    unlink $log;
    $t->start('run', argv => [$bin, '--database=sqlite:' . $t->dir('r.db'),
              @$args], env => { $t->sanitizer_env('run'), %env });
    wait_until { slurp($log) =~ /listening/ } 10;
    my ($port) = slurp($log) =~ /listening address:127\.0\.0\.1:(\d+)/;
    $t->stop('run');
    return $port // 'none';
}

my @p = map { $t->port("p$_") } 1 .. 3;
my $file = conf('h.yaml', "listen: 127.0.0.1:$p[0]\n");
is(port_of([$file]), $p[0], 'the file');
is(port_of([$file], STOA_CONTROL_LISTEN => "127.0.0.1:$p[1]",
           STOA_CONTROL_SERVICE_HOST => 'ignored'), $p[1],
   'the environment wins over it');
is(port_of([$file, "--listen=127.0.0.1:$p[2]"],
           STOA_CONTROL_LISTEN => "127.0.0.1:$p[1]"), $p[2],
   'a flag over both');
is(port_of([], STOA_CONTROL_CONFIG => $t->dir('h.yaml')), $p[0],
   'the file from the environment');

$t->start('busy', argv => [$bin, "--listen=127.0.0.1:$p[0]",
          '--database=sqlite:' . $t->dir('busy.db')]);
wait_until { slurp($t->dir('busy.out')) =~ /listening/ } 10;
($code, $out, $err) = run(["--listen=127.0.0.1:$p[0]",
                           '--database=sqlite:' . $t->dir('other.db')]);
is($code, 1, 'a port in use');
like($err, qr/cannot listen on "127\.0\.0\.1:$p[0]": Address already in use/,
     'is said to be');

my $json = $t->dir('json.out');
$t->start('json', argv => [$bin, "--listen=127.0.0.1:$p[1]",
          '--database=sqlite:' . $t->dir('json.db'), '--log-format=json', '--admin-user=']);
wait_until { slurp($json) =~ /listening/ } 10;
Test::Stoa::http_once($p[1], 'GET', "/%22%5C%0a\x01\xc3\x28");
$t->stop('json');
my @lines = split /\n/, slurp($json);
is(scalar(grep { !defined json_decode($_) } @lines), 0,
   'a log of JSON is JSON, whatever was asked for');
ok(scalar(grep { (json_decode($_)->{area} // '') eq 'access' } @lines),
   'with the requests');
like((grep { /"area":"access"/ } @lines)[0] // '',
     qr/"status":404,"bytes":\d+,"ms":[\d.]+,/, 'and numbers as numbers');

$t->done;
