#!/usr/bin/perl

# proxy_cache in a location with "stoa": what one caller got is never given to
# another, nor to another api.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;
my @up = map { my $n = $_; $t->origin(sub {
    my ($q) = @_;
    if (($q->{headers}{range} // '') =~ /^bytes=(\d+)-(\d+)$/) {
        return [206, ['Content-Range' => "bytes $1-$2/30", ETag => '"1"'],
                substr '0123456789' x 3, $1, $2 - $1 + 1];
    }
    [200, [$q->{path} =~ /old/ ? () : ('Cache-Control' => 'max-age=60')],
     "$n $q->{path} $$ " . rand]
}, name => "up$n") } 1, 2;
$t->apply(demo(rest => { one => $up[0], two => $up[1] })
    . document('Application', 'acme', 'other')
    . subscribe('acme', 'other', 'api', 'one', 'basic'));
my $slices = `$t->{nginx} -V 2>&1` =~ /http_slice_module/;
my $sliced = $slices ? <<'END' : '';
        location /apis/acme/one/sliced/ {
            stoa;
            slice 10;
            proxy_cache c;
            proxy_cache_valid 206 1m;
            proxy_cache_key $stoa_subscription$request_uri$slice_range;
            proxy_set_header Range $slice_range;
        }
END
$t->gateway(http => 'proxy_cache_path %%DIR%%/cache keys_zone=c:1m;',
    location => 'proxy_cache c; proxy_cache_valid 200 1m;',
    server => <<"END");
        location /apis/acme/one/old/ {
            stoa;
            proxy_cache c;
            proxy_cache_valid 200 1s;
            proxy_cache_background_update on;
            proxy_cache_use_stale updating;
        }
        $sliced
        location /guard/ {
            stoa_protect tenant=acme api=one;
            proxy_cache c;
            proxy_cache_valid 200 1m;
            proxy_pass http://127.0.0.1:$up[0];
            location /guard/in/ { proxy_pass http://127.0.0.1:$up[0]; }
            location /guard/shared/ {
                proxy_cache_key \$request_uri;
                proxy_pass http://127.0.0.1:$up[0];
                location /guard/shared/in/ {
                    proxy_pass http://127.0.0.1:$up[0];
                }
            }
        }
END
my %key = map { $_ => $t->key('acme', $_) } qw(app other);
$t->sync;

sub body { my ($who, $api, $path) = @_;
    my $r = $t->get("/apis/acme/$api/" . ($path // 'x'), key => $key{$who});
    return $r->{status} == 200 ? $r->{body} : $r->{status} }

my $first = body('app', 'one');
like($first, qr/^1 /, 'a call');
is(body('app', 'one'), $first, 'the same caller gets it from the cache');
like(body('app', 'two'), qr/^2 /, 'another api with the same path does not');
isnt(body('other', 'one'), $first, 'another caller does not');
isnt(body('app', 'one', 'x?y'), $first, 'another query does not');

for my $path ('/guard/x', '/guard/in/x') {
    my $get = sub { $t->get($path, key => $key{$_[0]})->{body} };
    my $mine = $get->('app');
    is($get->('app'), $mine, "stoa_protect: the same caller ($path)");
    isnt($get->('other'), $mine, 'and not another one');
}
is($t->get("/guard/shared/$_", key => $key{other})->{body},
   $t->get("/guard/shared/$_", key => $key{app})->{body},
   'a key of the location\'s own wins') for 'x', 'in/x';

my $stale = body('app', 'one', 'old/x');
ok((wait_until { body('app', 'one', 'old/x') ne $stale } 10),
   'what is stale is fetched in the background');
like(body('app', 'one', 'old/x'), qr{^1 /old/x }, 'from the same place');
is(body('app', 'one', 'sliced/x'), '0123456789' x 3, 'slices') if $slices;

is($t->get('/apis/acme/one/x')->{status}, 401, 'without a key: 401 as ever');
$t->must('POST', '/v1/tenants/acme/applications/app/suspend');
$t->sync;
is(body('app', 'one'), 403, 'who is suspended gets nothing from the cache');

$t->done;
