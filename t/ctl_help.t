#!/usr/bin/perl

# stoactl without a server: help, completion and the reference page from one
# table, how a command line is read, the configuration file.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

my $t = Test::Stoa->new->has('stoactl');
my $nobody = { env => { STOA_URL => 'http://127.0.0.1:' . $t->port('none'),
                        STOA_TOKEN => 'x' } };

sub ctl {
    my @args = @_;
    return $t->stoactl(@args, $nobody);
}

my ($code, $page, $err) = ctl('help', '--markdown');
is($code, 0, 'the reference page');
is($page, slurp("$Test::Stoa::ROOT/docs/stoactl.md"),
   'docs/stoactl.md is what "stoactl help --markdown" prints');

my @commands = $page =~ /^### stoactl ((?:[a-z-]+(?: |$))+)/mg;
s/ $// for @commands;
cmp_ok(scalar @commands, '>', 25, 'commands');

for my $command (@commands) {
    my @words = split / /, $command;
    my ($code, $out) = ctl(@words, '--help');
    is($code, 0, "$command --help");
    like($out, qr/^stoactl \Q$command\E.*: \S/, "$command explains itself");
    (undef, my $same) = ctl('help', @words);
    is($same, $out, "help $command says the same");
}

# the manual

my (undef, $man) = ctl('help', '--man');
(my $plain = $man) =~ s/\\-/-/g;
is(join(' ', grep { $plain !~ /^\.SS stoactl \Q$_\E(?: |$)/m } @commands), '',
   'the manual has every command');
like($plain, qr/^\.B -t, --tenant TENANT$/m, 'and the options');
unlike($man, qr/^(?!\.(?:TH|SH|SS|TP|B|PP|nf|fi|RS|RE|ad)\b)[.']/m,
       'no text is taken for a request');
SKIP: {
    skip 'no groff', 1 if !$ENV{CI} && !grep { -x "$_/groff" }
        split /:/, $ENV{PATH};
    my (undef, undef, $said) = $t->run_cmd(['groff', '-man', '-ww', '-z',
        '-Tutf8', $t->write_file('stoactl.1', $man)]);
    is($said, '', 'groff has nothing to say of it');
}

# what every test of the issue's list needs is there

for my $command ('apply', 'diff', 'dump', 'get', 'delete', 'wait',
    'key create', 'key rotate', 'key revoke', 'key list',
    'subscription approve', 'subscription suspend', 'subscription resume',
    'subscription revoke', 'subscription reject', 'gateway status',
    'gateway create', 'gateway delete', 'audit list', 'audit verify',
    'completion', 'config get-contexts', 'config use-context',
    'config set-context', 'usage', 'version', 'whoami')
{
    ok((grep { $_ eq $command } @commands), "has $command");
}


# mistakes: the exit code, and a message that helps

for my $case (
    [[], qr/Commands:/, 'nothing'],
    [['nope'], qr/unknown command "nope"/, 'an unknown command'],
    [['key'], qr/key create/, 'half a command'],
    [['key', 'nope'], qr/unknown command "key nope"/, 'an unknown half'],
    [['get'], qr/missing arguments; usage: stoactl get KIND/, 'too few'],
    [['version', 'x'], qr/too many arguments/, 'too many'],
    [['get', 'apis', '--nope'], qr/unknown option --nope/, 'an option'],
    [['get', 'apis', '--api'], qr/--api needs a value/, 'no value'],
    [['apply', 'x', '--prune=1'], qr/--prune takes no value/, 'a value'],
    [['-o', 'xml', 'get', 'apis'], qr/"xml" is none of/, 'a wrong value'],
    [['get', 'nope'], qr/unknown kind "nope"; kinds:\n  tenants\n/,
     'a wrong kind'],
    [['aply', 'x'], qr/did you mean "apply"\?\n\z/, 'a letter too few'],
    [['gatewya', 'status'], qr/did you mean "gateway"\?/, 'letters swapped'],
    [['key', 'revooke', 'x'], qr/did you mean "key revoke"\?/, 'one too many'],
    [['get', 'aips'], qr/unknown kind "aips"\n.*did you mean "apis"\?\n\z/,
     'a kind'],
    [['get', 'apis', '--tennant', 'a'], qr/did you mean "--tenant"\?/,
     'a global option'],
    [['delete', 'api', 'x', '--no-wiat'], qr/did you mean "--no-wait"\?/,
     'one of the command'],
    [['--prnue', 'apply'], qr/unknown option --prnue\n\z/,
     'none of another command'],
    [['x' x 5000], qr/unknown command "x+"; see stoactl --help\n\z/,
     'a long word'],
    [['wait', 'x', 'y'], qr/"x" is none of: gateway\|rev\|api/, 'a choice'],
    [['wait', 'rev', 'x'], qr/"x" is no revision/, 'a wrong revision'],
    [['wait', 'rev', '1', '--timeout', 'soon'], qr/"soon" is no duration/,
     'a wrong duration'],
    [['wait', 'rev', '1', '--timeout', '0'], qr/must not be 0/, 'no time'],
    [['get', 'apis', '-o', 'key'], qr/-o key: "get" makes none/, 'no key'],
    [['key', 'create', 'a', '-o', 'token'], qr/makes none/, 'no token'],
    [['apply', $t->dir('absent.yaml')], qr/absent\.yaml: No such file/,
     'an absent file'],
    [['apply', $t->dir('.')], qr/no \*\.yaml/, 'an empty directory'],
    [['whoami', '--token-file', '/dev/null'], qr/holds no token/,
     'an empty token file'],
    [['get', 'apis', '-t', 'a'], qr/Couldn't connect/, 'nobody there'],
) {
    my ($args, $want, $what) = @$case;
    my ($code, $out, $err) = ctl(@$args);
    is($code, 1, "$what: exit code");
    like($err, $want, "$what: message");
    is($out, '', "$what: no output");
}

($code, my $out) = ctl('version');
like($out, qr/^stoactl \d+\.\d+\.\d+$/, 'version');
is((ctl($_))[1], $out, $_) for qw(--version -V);

# options may stand anywhere, "--" ends them

($code, undef, $err) = ctl('--url', 'http://127.0.0.1:1', 'get', '-v',
                           'apis', '--tenant=a');
like($err, qr{> GET http://127\.0\.0\.1:1/v1/tenants/a/apis}, 'order');
($code, undef, $err) = ctl('apply', '--', '--x.yaml');
like($err, qr/^stoactl: --x\.yaml: No such file/, 'after --');
unlike($err, qr/Bearer/, 'no token on stderr');


# completion: both scripts are valid, and know what the table knows

my $bash = (ctl('completion', 'bash'))[1];
my $script = $t->write_file('c.bash', $bash . <<'END');
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _stoactl
        echo "${COMPREPLY[*]}"; }
try stoactl a
try stoactl key r
try stoactl get to
try stoactl -o j
try stoactl apply --max
try stoactl completion z
try stoactl subscription su
try stoactl get apis --tim
try stoactl -t a key r
try stoactl --tenant = a key r
try stoactl get apis ""
try stoactl key create ""
END
my ($rc, $tries, $errors) = $t->run_cmd(['bash', $script]);
is("$rc$errors", '0', 'bash takes the script');
is($tries, "apply approval audit auth\nrotate revoke\ntools\njson\n"
   . "--max-delete\nzsh\nsuspend\n--timeout\nrotate revoke\nrotate revoke\n\n\n",
   'bash completes; names are of the server, of which nothing is heard');
like((ctl('completion', 'zsh'))[1], qr/\A#compdef stoactl\n.*bashcompinit/,
     'zsh');


# contexts

my $config = $t->dir('sub/dir/config.yaml');

sub conf {
    my @args = @_;
    return $t->stoactl(@args, { env => { STOA_CONFIG => $config,
        STOA_URL => '', STOA_TOKEN => '' } });
}

is((conf('config', 'get-contexts'))[0], 0, 'no file yet');
is((conf('config', 'set-context', 'dev', '--url', 'http://127.0.0.1:1',
         '--token', 'secret-1', '--tenant', 'acme'))[0], 0, 'a context');
is(((stat $config)[2]) & 0777, 0600, 'only the owner reads it');
is(((stat $t->dir('sub/dir'))[2]) & 0777, 0700, 'nor its folder');
is((conf('config', 'set-context', 'prod', '--url', 'http://127.0.0.1:2',
         '--token-file', $t->write_file('tok', "secret-2\n")))[0], 0,
   'another');
($code, $out) = conf('config', 'get-contexts');
like($out, qr/^\*\s+dev\s+http:\S+\s+acme$/m, 'the first is the current');
like($out, qr/^\s+prod\s/m, 'the second is there');
unlike($out, qr/secret/, 'no token is shown');

like((conf('get', 'apis', '-v'))[2], qr{127\.0\.0\.1:1/v1/tenants/acme/apis},
     'the context is used');
like((conf('get', 'apis', '-v', '-t', 'x', '--context', 'prod'))[2],
     qr{127\.0\.0\.1:2/v1/tenants/x/apis}, '--context');
is((conf('config', 'use-context', 'prod'))[0], 0, 'use-context');
like((conf('get', 'apis', '-v', '-t', 'x'))[2], qr{127\.0\.0\.1:2/}, 'used');
like((conf('config', 'use-context', 'nope'))[2], qr/no context "nope"/,
     'an unknown context');
chmod 0644, $config;
like((conf('whoami'))[2], qr/can be read by others/, 'a warning');
spew($config, "a: [\n", 0600);
like((conf('whoami'))[2], qr/config\.yaml:\d+: /, 'a broken file');
is((conf('version'))[0], 0, 'which harms no other command');

$t->done;
