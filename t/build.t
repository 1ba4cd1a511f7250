#!/usr/bin/perl

# configure and the Makefile, as a person meets them.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Compress::Zlib ();

my $t = Test::Stoa->new->has('module', 'control', 'stoactl');
my $root = $Test::Stoa::ROOT;
my $objs = $Test::Stoa::OBJS;

sub configure {
    my (@args) = @_;
    my %env = ref $args[-1] ? %{ pop @args } : ();
    my ($code, $out, $err) = $t->run_cmd(["$root/configure", @args],
        env => { STOA_OBJS => undef, %env }, cwd => $t->dir, timeout => 120);
    return ($code, $out . $err);
}

my ($code, $out) = configure('--help');
is($code, 0, '--help');
like($out, qr/--with-nginx=DIR/, 'names the options');

($code, $out) = configure('--frobnicate');
is($code, 1, 'an unknown option');
like($out, qr/unknown option "--frobnicate"/, 'is named');

($code, $out) = configure('--prefix=here');
like($out, qr/--prefix: not absolute: "here"/, 'a relative prefix');

($code, $out) = configure('--with-nginx=' . $t->dir);
like($out, qr/is no source tree of nginx/, 'a folder that is not nginx');

# a compiler that knows two headers less
my $cc = Test::Stoa::config('CC') || 'cc';
$t->write_file('cc', <<"END", 0755);
#!/bin/sh
for arg; do
    case \$arg in
    *.c) ! grep -q 'yaml.h\\|sqlite3.h' "\$arg" || exit 1 ;;
    esac
done
exec $cc "\$@"
END
($code, $out) = configure('--objs=' . $t->dir('objs'),
                          { CC => $t->dir('cc') });
is($code, 1, 'two libraries are missing');
like($out, qr/apt-get install libsqlite3-dev libyaml-dev$/m,
     'both packages are named at once');
ok(!-e $t->dir('objs/config.mk'), 'and nothing was written');

# an nginx that would refuse the module
$t->write_file('nginx', "#!/bin/sh\necho 'nginx version: nginx/1.0.0' >&2\n",
               0755);
($code, $out) = configure('--with-nginx-binary=' . $t->dir('nginx'),
                          '--objs=' . $t->dir('objs'));
is($code, 1, 'source and binary of different versions');
like($out, qr/is nginx 1\.0\.0, the source in .* is 1\.\d+/, 'both named');

($code, $out) = $t->run_cmd(
    ['make', '-C', $root, "OBJS=$objs", 'install',
     'DESTDIR=' . $t->dir('dest')], timeout => 300);
is($code, 0, 'make install') or diag($out);
my $dest = $t->dir('dest');
my $prefix = Test::Stoa::config('PREFIX');
my $modules = Test::Stoa::config('MODULES_PATH');
ok(-f "$dest$modules/ngx_http_stoa_module.so", 'the module');
ok(-x "$dest$prefix/sbin/stoa-control", 'stoa-control');
ok(-x "$dest$prefix/bin/stoactl", 'stoactl');
like(slurp("$dest$prefix/share/man/man1/stoactl.1"), qr/^\.TH STOACTL 1/,
     'and its manual');
my @conf = glob "$dest" . ($prefix eq '/usr' ? '' : $prefix)
                . '/etc/stoa/stoa.conf';
is(scalar @conf, 1, 'stoa.conf');
like(slurp($conf[0]), qr/^load_module \Q$modules\E\//m,
     'which loads the module from where it is');

# an administrator's file stays as it is
my $admins = "# mine\n" . slurp($conf[0]);
spew($conf[0], $admins);
($code, $out) = $t->run_cmd(
    ['make', '-C', $root, "OBJS=$objs", 'install',
     'DESTDIR=' . $t->dir('dest')], timeout => 300);
is($code, 0, 'make install again');
is(slurp($conf[0]), $admins, 'a changed file is kept');
like($out, qr/kept \S+stoa\.conf; ours is \S+stoa\.conf\.new/, 'and said');
ok(-f "$conf[0].new" && !-e "$conf[0]/../stoa-control.yaml.new",
   'ours is beside it, and only that one');

# it starts as its first lines say
my $home = $t->dir('home');
mkdir $home;
spew("$home/stoa.conf", slurp("$conf[0].new")
    =~ s/^load_module .*/load_module $objs\/ngx_http_stoa_module.so;/mr
    =~ s/listen 8080/listen 127.0.0.1:${\ $t->port('home')}/r);
my $token = 'stoa_gw_01hzzzzzzzzzzzzz_abcdefghijklmnopqrstuvwxyz012345';
spew("$home/token", sprintf '%s_%08x', $token, Compress::Zlib::crc32($token));
chmod 0600, "$home/token";
my $lines = join '', slurp("$conf[0].new") =~ /^#   (mkdir.*\n)/mg;
like($lines, qr/nginx -p/, 'the first lines');
$lines =~ s{nginx -p}{$t->{nginx} -t -p};
($code, undef, my $said) = $t->run_cmd(['sh', '-ec', $lines], cwd => $home,
    env => { $t->sanitizer_env('home', 1) });
like($said, qr/test is successful/,
     'are all that nginx needs') or diag($said);

# root installs what is needed, somebody else builds
SKIP: {
    skip 'not root', 2 if $> != 0;
    my $clone = $t->dir('clone');
    my @nobody = (getpwnam 'nobody')[2, 3];
    system('cp', '-R', "$root/configure", "$root/Makefile",
           "$root/ngx_stoa_module", mkdir($clone) ? $clone : die);
    system('chown', '-R', "$nobody[0]:$nobody[1]", $clone);
    ($code, $out) = $t->run_cmd(["$clone/configure"], timeout => 120,
                                env => { STOA_OBJS => undef });
    is($code, 0, 'configure by root in another one\'s tree');
    is(`find $clone/objs ! -user nobody | head -n 3`, '',
       'leaves nothing there that its owner cannot write');
}

# what the linker was told; a sanitizer's build has other aims
SKIP: {
    my ($has) = grep { -x "$_/readelf" } split /:/, $ENV{PATH};
    skip 'no readelf', 4 unless $has;

    for my $file ('ngx_http_stoa_module.so', 'stoa-control') {
        my ($c, $elf) = $t->run_cmd(['readelf', '-W', '-l', '-d',
                                     "$objs/$file"]);
        like($elf, qr/GNU_RELRO/, "$file: relro");
        like($elf, qr/BIND_NOW|\bNOW\b/, "$file: bound at start");
    }
}

# symbols of ours that nginx or another module could meet by accident
my ($c, $symbols) = $t->run_cmd(['nm', '-D', '--defined-only',
                                 "$objs/ngx_http_stoa_module.so"]);
my @visible = grep { !/^(?:_|ngx_module_(?:names|order)$|ngx_modules$)/ }
    $symbols =~ / [A-TV-Z] (\S+)$/mg;
is("@visible", '', 'the module shows only what nginx asks for');

$t->done;
