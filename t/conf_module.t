#!/usr/bin/perl

# nginx -t: each wrong use of a directive gets a line that says what is wrong
# and where; nothing is made on disk by a test that fails.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t, down => 1);
my $token = slurp($t->dir('gw/token'));

# What a configuration that is right consists of; a row changes some of it.

my %ok = (
    plane => 'stoa_control_plane http://127.0.0.1:1;',
    token => 'stoa_gateway_token_file %%DIR%%/gw/token;',
    store => 'stoa_store %%DIR%%/conftest/store;',
    zone => 'stoa_zone stoa:1m;',
    more => '',
    loc => 'stoa;',
);

sub conf {
    my (%o) = (%ok, @_);
    my $c = $t->bare_conf("location / { $o{loc} }\n" . ($o{server} // ''),
        name => 'conftest', main => 'load_module %%MODULE%%;',
        http => join "\n", @o{qw(plane token store zone more)});
    return $t->nginx_t(conf => $t->expand($c));
}

my ($code, $out) = conf();
is($code, 0, 'a right configuration') or diag($out);
ok(!-e $t->dir('conftest/store/counters'), 'a test makes no counter file');

$t->run_cmd([qw(openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=ca -days 2),
    '-keyout', '/dev/null', '-out', $t->dir('ca.pem')]);

my @right = (
    ['https with a path', plane => 'stoa_control_plane https://a.b:1/x/;'],
    ['a ca', plane => 'stoa_control_plane https://a ca=%%DIR%%/ca.pem;'],
    ['sizes', store => 'stoa_store %%DIR%%/conftest/store size=2g '
        . 'counters=1m;'],
    ['on_full=allow', zone => 'stoa_zone a:2m on_full=allow;'],
    ['the least of what is kept',
     more => 'stoa_answers 1m; stoa_idempotency 1m;'],
    ['all the others', more => 'stoa_max_stale off; stoa_legacy_headers on; '
        . 'stoa_usage_interval 1s; stoa_external_url https://gw.example; '
        . 'stoa_peer https://10.0.0.1:8443; '
        . 'stoa_gateway_group dev;'],
    ['max_stale', more => 'stoa_max_stale 5m;'],
    ['protect', loc => 'stoa_protect tenant=acme api=orders; '
        . 'proxy_pass http://127.0.0.1:1;'],
    ['protect off inside', loc => 'stoa_protect tenant=a1 api=b1; '
        . 'location /x { stoa_protect off; }'],
    ['proxy settings after stoa', loc => 'stoa; proxy_http_version 1.0; '
        . 'proxy_buffering off; proxy_read_timeout 5s; proxy_redirect off; '
        . 'proxy_set_header Host x; proxy_ssl_server_name off;'],
    ['proxy settings before stoa', loc => 'proxy_http_version 1.1; '
        . 'proxy_intercept_errors on; proxy_set_header X-A b; stoa;'],
    ['proxy settings further out', loc => 'stoa;',
        more => 'proxy_set_header X-A b; proxy_http_version 1.1;'],
    ['two locations', loc => 'stoa;', server => 'location /b { stoa; }'],
    ['nothing used, nothing needed', loc => '',
        map { ($_ => '') } qw(plane token store zone)],
    ['limit_except', loc => 'stoa; limit_except GET { deny all; }'],
);

for my $row (@right) {
    my ($name, %o) = @$row;
    my ($code, $out) = conf(%o);
    is($code, 0, "right: $name") or diag($out);
}

my $file = qr{in \S*conftest/nginx\.conf:\d+};
my @wrong = (
    ['no control plane', qr/"stoa" $file needs "stoa_control_plane"/,
     plane => ''],
    ['no token', qr/"stoa" $file needs "stoa_gateway_token_file"/,
     token => ''],
    ['no store', qr/"stoa" $file needs "stoa_store"/, store => ''],
    ['no zone', qr/"stoa" $file needs "stoa_zone"/, zone => ''],
    ['a status page needs it too', qr/"stoa_status" $file needs/,
     zone => '', loc => 'stoa_status;'],

    ['no scheme', qr{invalid URL "127.0.0.1:1" of "stoa_control_plane": it},
     plane => 'stoa_control_plane 127.0.0.1:1;'],
    ['no host', qr{URL "http:" of|has no host},
     plane => 'stoa_control_plane http://;'],
    ['a query', qr/must be host, port and path only/,
     plane => 'stoa_control_plane http://a/?x;'],
    ['a user', qr/must be host, port and path only/,
     plane => 'stoa_control_plane http://u@a/;'],
    ['twice', qr/"stoa_control_plane" directive is duplicate/,
     plane => 'stoa_control_plane http://a; stoa_control_plane http://b;'],
    ['a strange parameter', qr/invalid parameter "cert=x".*ca=FILE/,
     plane => 'stoa_control_plane http://a cert=x;'],
    ['no such ca', qr{cannot read "/nonexistent" of "stoa_control_plane"},
     plane => 'stoa_control_plane http://a ca=/nonexistent;'],

    ['no such token file', qr{cannot read "\S*nofile" of "stoa_gateway},
     token => 'stoa_gateway_token_file %%DIR%%/nofile;'],
    ['an empty token file', qr/must hold 1 to 1024 bytes/,
     token => 'stoa_gateway_token_file %%DIR%%/empty;'],
    ['no token in it', qr/holds no gateway token, whose form is stoa_gw_/,
     token => 'stoa_gateway_token_file %%DIR%%/text;'],
    ['a token with a wrong checksum', qr/holds no gateway token/,
     token => 'stoa_gateway_token_file %%DIR%%/wrong;'],
    ['an api key', qr/holds no gateway token/,
     token => 'stoa_gateway_token_file %%DIR%%/apikey;'],
    ['a huge token file', qr/must hold 1 to 1024 bytes/,
     token => 'stoa_gateway_token_file %%DIR%%/huge;'],

    ['a short pepper', qr/"stoa_pepper_file" must hold 16 to 1024 bytes/,
     more => 'stoa_pepper_file %%DIR%%/short;'],
    ['a group', qr/invalid name "Dev" of "stoa_gateway_group"/,
     more => 'stoa_gateway_group Dev;'],

    ['no parent', qr{cannot create the directory "/nonexistent/a"},
     store => 'stoa_store /nonexistent/a;'],
    ['a file', qr{gw/token" of "stoa_store" is no directory},
     store => 'stoa_store %%DIR%%/gw/token;'],
    ['a small store', qr/invalid "size=1k" of "stoa_store"/,
     store => 'stoa_store %%DIR%%/s size=1k;'],
    ['a bad size', qr/invalid "counters=x" of "stoa_store"/,
     store => 'stoa_store %%DIR%%/s counters=x;'],
    ['a strange size', qr/invalid parameter "zise=1g" of "stoa_store"/,
     store => 'stoa_store %%DIR%%/s zise=1g;'],

    ['a small zone', qr/zone "stoa" is too small: 65536 bytes/,
     zone => 'stoa_zone stoa:64k;'],
    ['a zone without size', qr/invalid zone "stoa", its form is NAME:SIZE/,
     zone => 'stoa_zone stoa;'],
    ['too little for answers',
     qr/invalid size "1023k" of "stoa_answers", the least is 1048576/,
     more => 'stoa_answers 1023k;'],
    ['too little for keys',
     qr/invalid size "x" of "stoa_idempotency", the least is/,
     more => 'stoa_idempotency x;'],
    ['answers twice', qr/"stoa_answers" directive is duplicate/,
     more => 'stoa_answers 1m; stoa_answers 1m;'],
    ['a zone of bad size', qr/invalid size "x" of zone "stoa"/,
     zone => 'stoa_zone stoa:x;'],
    ['on_full', qr/must be on_full=deny or on_full=allow/,
     zone => 'stoa_zone stoa:1m on_full=maybe;'],

    ['an address', qr/invalid value "10.0.0" of "stoa_upstream_allow": it must/,
     more => 'stoa_upstream_allow private 10.0.0;'],
    ['max_stale', qr/invalid value "1s" of "stoa_max_stale"/,
     more => 'stoa_max_stale 1s;'],
    ['usage interval', qr/invalid value "1ms" of "stoa_usage_interval"/,
     more => 'stoa_usage_interval 1ms;'],
    ['external url', qr/invalid URL "gw" of "stoa_external_url"/,
     more => 'stoa_external_url gw;'],
    ['peer', qr/invalid URL "gw" of "stoa_peer"/, more => 'stoa_peer gw;'],
    ["a peer's path", qr/"stoa_peer" directive has a URL with a path/,
     more => 'stoa_peer http://gw:1/x;'],
    (map { ["redis: $_->[0]", $_->[1], more => "stoa_redis $_->[2];"] }
        ['no port', qr/it is no HOST:PORT/, 'a'],
        ['no address', qr/"stoa_redis" has no address/, 'tls'],
        ['two', qr/several addresses, but neither/, '10.0.0.1:1 10.0.0.2:1'],
        ['twice', qr/duplicate address "10\.0\.0\.1:1"/,
         '10.0.0.1:1 10.0.0.1:1 cluster'],
        ['both', qr/is either sentinel= or cluster/,
         '10.0.0.1:1 cluster sentinel=m'],
        ['a user', qr/user= without password_file=/, '10.0.0.1:1 user=u'],
        ['sentinel_tls', qr/says something of Sentinels/,
         '10.0.0.1:1 sentinel_tls'],
        ['sentinel_user', qr/sentinel_user= without sentinel_password_file=/,
         '10.0.0.1:1 sentinel=m sentinel_user=u'],
        ['tls_name', qr/tls_name=, but no tls/, '10.0.0.1:1 tls_name=n'],
        ['timeout', qr/from 1 to 1000 ms/, '10.0.0.1:1 timeout=2s']),
    (map { ["opa: $_->[0]", $_->[1], more => "stoa_opa a $_->[2];"] }
        ['a word', qr/is neither http\(s\):/, 'opa:8181'],
        ['a path', qr/of "stoa_opa": invalid host/, 'http://10.0.0.1:1/v1']),
    ['no such ca file', qr{cannot read "\S*nofile" of "stoa_upstream_ca"},
     more => 'stoa_upstream_ca %%DIR%%/nofile;'],

    ['stoa twice', qr/"stoa" directive is duplicate/, loc => 'stoa; stoa;'],
    ['stoa and protect', qr/"stoa_protect" directive cannot be in one loc/,
     loc => 'stoa; stoa_protect tenant=a1 api=b1;'],
    ['protect and stoa', qr/cannot be in one location with "stoa_protect"/,
     loc => 'stoa_protect tenant=a1 api=b1; stoa;'],
    ['proxy_pass before', qr/"stoa" directive cannot be in one location with/,
     loc => 'proxy_pass http://127.0.0.1:1; stoa;'],
    ['proxy_pass after', qr/"stoa" $file cannot be in one location with "p/,
     loc => 'stoa; proxy_pass http://127.0.0.1:1;'],
    ['status and stoa', qr/cannot be in one location with another/,
     loc => 'stoa_status; stoa;'],
    ['protect without api', qr/needs both tenant=NAME and api=NAME/,
     loc => 'stoa_protect tenant=a1;'],
    ['protect with a bad name', qr/invalid parameter "api=A\/b"/,
     loc => 'stoa_protect tenant=a1 api=A/b;'],
    ['stoa in the server', qr/"stoa" directive is not allowed here/,
     server => 'stoa;'],
    ['zone in the server', qr/"stoa_zone" directive is not allowed here/,
     server => 'stoa_zone x:1m;'],
);

spew($t->dir('empty'), '', 0600);
spew($t->dir('text'), "hello\n", 0600);
spew($t->dir('short'), "123456789\n", 0600);
spew($t->dir('huge'), 'x' x 5000, 0600);
spew($t->dir('wrong'), $token =~ s/.$/$& eq '0' ? '1' : '0'/er, 0600);
spew($t->dir('apikey'),
     Test::Stoa::FakeControl::token('live', 'c' . '0' x 15), 0600);

for my $row (@wrong) {
    my ($name, $like, %o) = @$row;
    my ($code, $out) = conf(%o);
    isnt($code, 0, "wrong: $name");
    like($out, $like, "... and says so");
    unlike($out, qr/A{32}/, '... without the token');
}

for (['return', "return 200 'x';"], ['rewrite', 'rewrite ^/a /b;'],
     ['return', 'if ($arg_a) { return 204; }'],
     ['rewrite', 'location /x { rewrite ^ /c break; empty_gif; }'],
     [undef, 'set $a b; if ($uri ~ c) { set $a d; } empty_gif;'],
     [undef, "location /y { stoa_protect off; return 200 'x'; }"])
{
    my ($what, $text) = @$_;
    my ($rc, $said) = conf(loc => "stoa_protect tenant=a1 api=b1; $text");
    is($rc, 0, "with $text");
    $what ? like($said, qr/\[warn\].*"$what" in location "\S+" comes before/,
                 'is a warning')
          : unlike($said, qr/comes before/, 'is none');
}


spew($t->dir('open'), $token, 0644);
($code, $out) = conf(token => 'stoa_gateway_token_file %%DIR%%/open;');
is($code, 0, 'a token that others may read');
like($out, qr/\[warn\].*is a secret, but others may access it \(mode 0644\)/,
     'is a warning');

# the store of another "user": workers could not open it

SKIP: {
    skip 'not root', 4 if $> != 0;
    my $store = $t->dir('theirs');
    mkdir $store or die "mkdir: $!\n";
    my $as = sub { my ($user) = @_; my $c = $t->bare_conf(
        "location / { stoa; }\n", name => 'conftest',
        main => 'load_module %%MODULE%%;', http => join "\n",
        @ok{qw(plane token zone)}, "stoa_store $store;");
        return $t->nginx_t(conf => $t->expand($c =~ s/user root/user $user/r)) };
    ($code, $out) = $as->('daemon daemon');
    is($code, 0, 'an empty store is for the workers') or diag($out);
    spew("$store/counters", 'x', 0600);
    my $owner = (stat $store)[4];
    ($code, $out) = $as->('daemon daemon');
    is($code, 1, 'a file that is not');
    like($out, qr{theirs/counters" belongs to the user 0, but workers run as},
         'is told, with both users');
    is((stat $store)[4], $owner, 'and nothing is given away');
}


$t->allow_log(qr/of "stoa_store"/, qr/belongs to the user/);
$f->done;
