#!/usr/bin/perl

# configure and the Makefile, as a person meets them.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;

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
my @conf = glob "$dest" . ($prefix eq '/usr' ? '' : $prefix)
                . '/etc/stoa/stoa.conf';
is(scalar @conf, 1, 'stoa.conf');

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
