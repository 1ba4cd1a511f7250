#!/usr/bin/perl

# stoa_protect: the same checks before content that exists already: somebody's
# own proxy_pass, files, a return; satisfy any; internal redirects; error pages.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->allow_log(qr/a subrequest for/);

$t->control;
my $port = $t->origin;
my $to = "http://127.0.0.1:$port";
my %raw = (none => "220 mail ESMTP\r\n", zero => "HTTP/1.1 000 X\r\n\r\n",
    early => "HTTP/1.1 103 Early\r\n\r\n", json => '{"a":1}',
    more => "HTTP/1.1 999 X\r\n\r\n", old => "HTTP/1.0 200 OK\r\n\r\nold");
my $raw = $t->origin(sub { my ($q, $c) = @_;
    $c->send_raw($raw{ $q->{path} =~ m{/raw/(\w+)} ? $1 : 'none' });
    return undef }, name => 'raw');
$t->apply(docs(tenant('acme'), tenant('beta'), app('acme', 'demo'),
    app('beta', 'other'), plan('acme', 'free'),
    plan('acme', 'few', rate => 3, per_ms => 600_000, burst => 3),
    rest('acme', 'orders', $to, identity => 'headers', base_path => '/own',
         operations_only => \1,
         operations => [{ method => 'GET', path => '/a' },
                        { method => 'POST', path => '/a' }]),
    rest('acme', 'files', $to), rest('acme', 'few', $to),
    rest('acme', 'judged', $to, base_path => '/judged', operations_only => \1,
         key_query => 'k',
         operations => [{ method => 'GET', path => '/a/{id}' }]),
    rest('acme', 'small', $to, max_body_bytes => 100),
    rest('acme', 'tools', "$to/mcp", kind => 'mcp'),
    sub_('acme', 'demo', 'tools', 'free'),
    sub_('acme', 'demo', 'orders', 'free'),
    sub_('acme', 'demo', 'judged', 'free'),
    sub_('acme', 'demo', 'files', 'free'),
    sub_('acme', 'demo', 'small', 'free'),
    sub_('acme', 'demo', 'few', 'few')));

$t->write_file('html/files/a.txt', "a file\n");
$t->write_file('html/files/index.html', "an index\n");
$t->write_file('html/ssi/i.html', '<!--# include virtual="/inner/frame" -->');
$t->write_file('html/ssi/s.html',
    '<!--# include virtual="/apis/acme/files/x" -->');
$t->write_file('html/inner/i.html', '<!--# include virtual="/inner/frame" -->');
$t->write_file('html/mirrored/a.txt', 'mirrored');
$t->write_file('html/page/401.html', "my own page\n");
my $html = $t->dir('html');

$t->gateway(workers => 2, server => <<"END");
        location /own/ {
            stoa_protect tenant=acme api=orders;
            proxy_pass $to;
            proxy_set_header X-Forwarded-For mine;
        }
        location /judged/ {
            stoa_protect tenant=acme api=judged;
            proxy_pass $to;
        }
        set \$early \$request_uri;
        location ~ ^/judged/a/v {
            stoa_protect tenant=acme api=judged;
            proxy_pass $to\$request_uri;
        }
        location /asked/ { auth_request /_auth; proxy_pass $to; }
        location = /_auth {
            internal;
            stoa_protect tenant=acme api=files;
            proxy_pass $to;
        }
        location /ssi/ { ssi on; ssi_types *; root $html; }
        location /inner/ { stoa_protect tenant=acme api=files; ssi on;
                           ssi_types *; root $html; }
        location /inner/frame { stoa_protect tenant=acme api=files; ssi on;
                                ssi_types *; proxy_pass $to; }
        location /mirrored/ { mirror /_auth; root $html; }
        location /raw/ {
            stoa_protect tenant=acme api=files;
            proxy_pass http://127.0.0.1:$raw;
        }
        location /tools/ {
            stoa_protect tenant=acme api=tools;
            proxy_pass $to;
        }
        location /files/ { stoa_protect tenant=acme api=files; root $html; }
        location /any/ {
            stoa_protect tenant=acme api=files;
            satisfy any; allow all;
            empty_gif;
        }
        location /paged/ {
            stoa_protect tenant=acme api=files;
            error_page 401 /page/401.html;
            root $html;
        }
        location /page/ { internal; root $html; }
        location /self/ {
            stoa_protect tenant=acme api=files;
            error_page 401 404 /self/401.html;
            root $html;
        }
        location /down/ {
            stoa_protect tenant=acme api=files;
            error_page 502 /down/50x.html;
            proxy_pass http://127.0.0.1:%%PORT_dead%%;
            location = /down/50x.html {
                stoa_protect tenant=acme api=files;
                alias $html/page/401.html;
            }
        }
        location /plaindown/ {
            stoa_protect tenant=acme api=files;
            proxy_pass http://127.0.0.1:%%PORT_dead%%;
        }
        location /few/ { stoa_protect tenant=acme api=few; root $html;
                         try_files \$uri /few/x/; }
        location /few/x/ { stoa_protect tenant=acme api=few;
                           empty_gif; }
        location /jump/ {
            stoa_protect tenant=acme api=files;
            root $html; try_files \$uri /few/y/;
        }
        location /few/y/ { stoa_protect tenant=acme api=few; empty_gif; }
        location /small/ {
            stoa_protect tenant=acme api=small;
            proxy_pass $to;
        }
        location /unknown/ { stoa_protect tenant=acme api=nope; empty_gif; }
        location /open/ { root $html; }
END
my $key = $t->key('acme', 'demo');
my $other = $t->key('beta', 'other');
$t->sync;

sub code { my ($path, %o) = @_;
           my $r = $t->http($o{method} || 'GET', $path, key => $key, %o);
           return $r->{status} . ($r->{json} && $r->{json}{code}
                                  ? " $r->{json}{code}" : '') }

# an own proxy_pass

my $r = $t->get('/own/a?x=1', key => $key, headers => {
    'X-Stoa-Tenant' => 'evil' });
is($r->{status}, 200, 'with the key');
is("$r->{json}{path}?$r->{json}{query}", '/own/a?x=1', 'its own path');
is($r->{json}{headers}{'x-api-key'}, undef, 'without the credential');
is($r->{json}{headers}{'x-stoa-tenant'}, 'acme', 'with the identity');
is($r->{json}{headers}{'x-forwarded-for'}, 'mine', 'its own headers stay');
is($r->{json}{headers}{'x-request-id'}, $r->{headers}{'x-request-id'},
   'a request id');
is(code('/own/a', key => undef), '401 key_missing', 'without a key');
is(code('/own/a', key => 'junk'), '401 key_invalid', 'a wrong key');
is(code('/own/a', key => $other), '404 no_route', 'a foreign key');
is(code('/own/b'), '404 no_route', 'no such operation');
is(code('/own/a', method => 'PUT'), '405 method_not_allowed', 'no such method');
is(code('/unknown/'), '404 no_route', 'an api that is not there');

# what is judged is what is sent, however the content handler gets it

for my $v ('', 'v') {
    for ([ "/judged/a/${v}1?x=%2f#", "/judged/a/${v}1?x=%2f" ],
         [ "/judged/a/${v}%31", "/judged/a/${v}%31" ],
         [ "/judged/secret/../a/${v}1", "/judged/a/${v}1" ],
         [ "/judged/secret/%2e%2e/a/${v}1", "/judged/a/${v}1" ],
         [ "/judged/secret/..%2fa/${v}1?x", "/judged/a/${v}1?x" ],
         [ "/judged/secret%2f../a/${v}1", "/judged/a/${v}1" ],
         [ "/secret/../judged/a/${v}1", "/judged/a/${v}1" ],
         [ "//judged/./a//${v}1", "/judged/a/${v}1" ],
         [ "/judged/x;/../a/${v}1", "/judged/a/${v}1" ],
         [ "/judged%2fa%2f${v}1", "/judged/a/${v}1" ],
         [ "/judged/a/${v}1#/../secret", "/judged/a/${v}1" ],
         [ "/judged/a/${v}1?x#/../secret", "/judged/a/${v}1?x" ],
         [ "/judged/a/${v}1?y&k=1&x=k", "/judged/a/${v}1?y&x=k", 'query' ])
    {
        my ($path, $want, $query) = @$_;
        $path =~ s/k=1/k=$key/ if $query;
        my $r = $t->get($path, $query ? () : (key => $key));
        is($r->{json}{path} . (defined $r->{json}{query}
               ? "?$r->{json}{query}" : ''), $want,
           ($v ? '$request_uri ' : 'proxy_pass ') . $path =~ s/$key/KEY/r);
    }
    is(code("/judged/$_"), '400 bad_request', "ambiguous: $_")
        for "a/${v}1\\delete", "a/${v}1%5cdelete", "a/${v}/..;/x";
}

# files

is($t->get('/files/a.txt', key => $key)->{body}, "a file\n", 'a file');
is($t->get('/files/', key => $key)->{body}, "an index\n",
   'an index: an internal redirect');
is(code('/files/a.txt', key => undef), '401 key_missing', 'not without');
is(code('/files/', key => undef), '401 key_missing', 'no index either');
$r = $t->get('/files/none', key => $key);
like($r->{body}, qr/<html>/, 'the location\'s own 404 is its own');
is($t->get('/open/none')->{headers}{'content-type'}, 'text/html',
   'other locations of the server too');

is(code('/any/', key => undef), '401 key_missing', 'satisfy any: no way round');
is($t->get('/paged/x', key => undef)->{body}, "my own page\n",
   'an error_page wins');
is($t->get('/paged/x', key => undef)->{status}, 401, 'with its status');
is(code('/self/x', key => undef), '401 key_missing',
   'an error_page that is protected too stays refused');

$r = $t->get('/down/x', key => $key);
is("$r->{status} $r->{body}", "502 my own page\n",
   'also when the content behind it fails');
is(code('/plaindown/x'), '502 upstream_unreachable',
   'without one it is explained');

# internal redirects count once, but another api's checks are made

is(code('/few/a'), '200', 'redirected inside one api');
$r = $t->get('/few/b', key => $key);
like($r->{headers}{ratelimit}, qr/r=1;/, 'counted once each');
is(code('/jump/a'), '200', 'to another api');
is(code('/jump/a'), '429 rate_exceeded', 'whose limits count');

# subrequests: what nobody has asked for is not let in

my $asked;
wait_until {                           # the last calls may not be written yet
    my $n = () = $t->origin_log;
    my $same = defined $asked && $n == $asked;
    $asked = $n;
    $same;
} 5;
is($t->get('/asked/x', key => $_)->{status}, 403, 'auth_request: closed')
    for undef, $key, $other;
for my $page ('i', 's') {
    unlike($t->get("/ssi/$page.html", key => $_)->{body}, qr/"path"/,
           "an include of $page: closed") for undef, $key;
}
is($t->get('/mirrored/a.txt')->{body}, 'mirrored', 'a mirror');
is(scalar(my @later = $t->origin_log), $asked, 'no upstream was asked');
$r = $t->get('/inner/i.html', key => $key);
like($r->{body}, qr{"path":"/inner/frame"}, 'inside one api it is open');
unlike($r->{body}, qr/stoa_live/, 'without the key');
is(code('/inner/i.html', key => undef), '401 key_missing', 'for its callers');

# bodies

is(code('/small/', method => 'POST', body => 'x' x 100), '200', 'small');
is(code('/small/', method => 'POST', body => 'x' x 101),
   '413 body_too_large', 'too large');
is(code('/small/', method => 'POST', headers =>
        { 'Transfer-Encoding' => 'chunked' },
        body => "65\r\n" . 'x' x 101 . "\r\n0\r\n\r\n"),
   '413 body_too_large', 'too large, chunked');
is(code('/small/', method => 'POST', headers =>
        { 'Transfer-Encoding' => 'chunked' },
        body => "64\r\n" . 'x' x 100 . "\r\n0\r\n\r\n"),
   '200', 'small, chunked');

for my $what (sort keys %raw) {
    my $r = $t->get("/raw/$what", key => $key);
    is("$r->{status} " . ($r->{json}{code} // $r->{body}), $what eq 'old'
       ? '200 old' : '502 upstream_invalid', "an answer of no HTTP: $what");
}
is($t->post('/tools/', { method => 'tools/call' }, key => $key)->{status},
   404, 'an MCP api, whose tools cannot be judged there');

$t->done;
