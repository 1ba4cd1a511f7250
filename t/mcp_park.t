#!/usr/bin/perl

# Rows C5, S5: what an upstream with sessions asks while it works for a client
# of 2026-07-28 is the client's to answer: his call is answered by what is
# asked, and waits (its upstream's stream stays open) until he calls again with
# the requestState, at any worker.  Whoever else has that, has changed it, uses
# it twice or too late gets an error, and nothing is executed twice.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;
my $ns = 'io.modelcontextprotocol';

# A server that asks as its arguments say: rounds [[what, ...], ...]; where:
# on the stream of the call, or of the session.  What it is told is in $book.

my $book = $t->dir('book');
sub mark {
    open my $fh, '>>', $book or die;
    syswrite $fh, join(' ', @_) . "\n";
    close $fh;
}
sub flag { return -f $t->dir($_[0]) }
sub event { return 'data: ' . json_encode($_[0]) . "\n\n" }

my %ask = (form => ['elicitation/create', { message => 'm',
               requestedSchema => { type => 'object', properties => {} } }],
           url => ['elicitation/create', { mode => 'url', message => 'm',
               elicitationId => 'e', url => 'https://x.example/' }],
           sample => ['sampling/createMessage', { maxTokens => 5,
               messages => [] }],
           tools => ['sampling/createMessage', { maxTokens => 5,
               messages => [], tools => [] }],
           list => ['elicitation/create', ['mode', 'form']],
           roots => ['roots/list']);

sub work {
    my ($c, $m, $sid, $out) = @_;
    my $args = $m->{params}{arguments} || {};
    my (%got, $n);
    for my $round (@{ $args->{rounds} || [] }) {
        $out->({ jsonrpc => '2.0', method => 'notifications/progress',
                 params => { progressToken => $m->{params}{_meta}
                     {progressToken}, progress => 1 } });
        my @ids;
        for my $what (@$round) {
            my ($method, $params) = @{ $ask{$what} };
            push @ids, "$what." . ++$n . ".$m->{id}";
            $out->({ jsonrpc => '2.0', id => $ids[-1], method => $method,
                     $params ? (params => $params) : () });
        }
        for my $id (@ids) {
            wait_until { slurp($book) =~ /^told $sid \Q$id\E /m
                         || flag('give-up') } 30 or die 'no answer';
            return if flag('give-up');
            ($got{ $id =~ s/\.stoa.*//r }) =
                slurp($book) =~ /^told $sid \Q$id\E (.*)$/m;
        }
    }
    for my $level (@{ $args->{logs} || [] }) {
        $out->({ jsonrpc => '2.0', method => 'notifications/message',
                 params => { level => $level, data => 'd' } });
    }
    wait_until { !flag('hold') } 20;
    my $pad = $args->{pad} ? 'x' x $args->{pad} : '';
    my $e = $args->{urls} && !flag('been-there');
    $c->send_raw(event({ jsonrpc => '2.0', id => $m->{id}, $e
        ? (error => { code => -32042, message => 'url', data => {
            elicitations => [$ask{url}[1]] } })
        : (result => { content => [{ type => 'text', text => json_encode({
            %got, $pad ? (pad => $pad) : () }) }] }) }));
}

my $port = $t->origin(sub {
    my ($q, $c) = @_;
    my @type = ('Content-Type' => 'application/json');
    my $sid = $q->{headers}{'mcp-session-id'} // '';
    if ($q->{method} eq 'DELETE') { mark(ended => $sid); return [200] }
    if ($q->{method} eq 'GET') {
        if (flag('no-get')) { mark('none'); return [405] }
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "Connection: close\r\n\r\n");
        if (defined(my $id = $q->{headers}{'last-event-id'})) {
            my $m = json_decode(slurp($t->dir("poll.$id")));
            if ($m->{params}{arguments}{poll} > 1) {
                $c->send_raw("id: $id\nretry: 100\ndata: \n\n");
                return undef;
            }
            work($c, $m, $sid, sub { $c->send_raw(event($_[0])) });
            return undef;
        }
        mark(stream => $sid);
        my %sent;
        my $end = time + 60;
        while (time < $end && !IO::Select->new($c->{sock})->can_read(0.02)) {
            my $all = slurp($book);
            for ($all =~ /^say $sid (.*)$/mg) {     # what is not answered
                my $id = json_decode($_)->{id} // 'none';
                next if $sent{$_}++ || $all =~ /^told $sid \Q$id\E /m;
                $c->send_raw("data: $_\n\n");
            }
        }
        return undef;
    }
    my $m = json_decode($q->{body}) or return [400];
    my $ok = sub { [200, [@type, @{ $_[1] || [] }], json_encode({
        jsonrpc => '2.0', id => $m->{id}, result => $_[0] })] };
    return [404, [@type], json_encode({ jsonrpc => '2.0', id => $m->{id},
        error => { code => -32601, message => 'none' } })]
        if ($m->{method} // '') eq 'server/discover';
    if (($m->{method} // '') eq 'initialize') {
        srand($$ * 1000 + length slurp($book));
        my $new = 's' . join '', map { int rand 10 } 1 .. 20;
        mark(opened => $new, json_encode($m->{params}{capabilities}));
        return $ok->({ protocolVersion => '2025-11-25', capabilities => {
            tools => {}, logging => {}, prompts => {} }, serverInfo => {
            name => 's', version => '1' } }, ['Mcp-Session-Id' => $new]);
    }
    return [404, [@type], '{"jsonrpc":"2.0","id":null,"error":'
            . '{"code":-32001,"message":"no session"}}']
        if slurp($book) !~ /^opened $sid /m
           || slurp($book) =~ /^forgotten $sid$/m;
    if (!defined $m->{method}) {
        if (flag('deaf')) {
            mark(deaf => $sid);
            IO::Select->new($c->{sock})->can_read(60);
            return undef;
        }
        mark(told => $sid, $m->{id}, json_encode($m->{result}
            // $m->{error}));
        return [202];
    }
    if (!exists $m->{id}) {
        mark($m->{method} =~ /cancelled/ ? ('cancelled', $sid) : 'other');
        return [202];
    }
    return $ok->({ tools => [ map { { name => $_, inputSchema => {
        type => 'object' } } } qw(asks who careful half) ] })
        if $m->{method} eq 'tools/list';
    return $ok->({ prompts => [{ name => 'p' }] })
        if $m->{method} eq 'prompts/list';
    if ($m->{method} eq 'logging/setLevel') {
        mark(level => $sid, $m->{params}{level});
        return $ok->({});
    }
    mark(called => $sid, json_encode($m->{id}));
    return $ok->({ content => [{ type => 'text', text => $sid }] })
        if $m->{params}{name} eq 'who';
    if ($m->{params}{name} eq 'half') {
        mark(forgotten => $sid);
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            . "Content-Length: 5000\r\nConnection: close\r\n\r\n"
            . '{"jsonrpc":"2.0","result":{"x":"session');
        return undef;
    }
    $m->{params}{arguments} = { rounds => [['form']] }
        if $m->{method} eq 'prompts/get';
    my $own = $m->{params}{arguments}{where};
    $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        . "Connection: close\r\n\r\n");
    if ($m->{params}{arguments}{poll}) {
        my $id = $m->{id} =~ s/\W//gr;
        spew($t->dir("poll.$id"), json_encode($m));
        $c->send_raw("id: $id\nretry: 100\ndata: \n\n");
        return undef;
    }
    work($c, $m, $sid, sub {
        $own ? mark(say => $sid, json_encode($_[0]))
             : $c->send_raw(event($_[0])) });
    return undef;
}, name => 'old');

$t->apply(demo(mcp => { old => $port, brief => { port => $port, upstream =>
    "  max_call_ms: 2000\n" } })
    . document('Application', 'acme', 'other')
    . subscribe('acme', 'other', 'api', 'old', 'basic')
    . document('Policy', 'acme', 'careful', "type: approval\nconfig: {}\n"
        . "attach: [ { api: old, tool: careful } ]\n")
    . document('Policy', 'acme', 'short', "type: result-limit\n"
        . "config: {max_bytes: 3000}\nattach: [ { application: other } ]\n"));
wait_until {
    @{ $t->api('GET', '/v1/tenants/acme/apis/old/tools')->{json}{items} || [] }
} 20 or $t->give_up('tools were not discovered');
$t->gateway(workers => 4, http => 'stoa_mcp_keepalive 3s;');
$t->gateway(name => 'gw2', workers => 2,
            http => 'stoa_mcp_input_timeout 1s;');
my ($key, $other) = map { $t->key('acme', $_) } qw(app other);
$t->sync($_) for qw(gw gw2);

my $all = { elicitation => { form => {}, url => {} }, sampling => {},
            roots => { listChanged => JSON::PP::true() } };

# calls, and goes on with what came: say => what is said to a method
sub call {
    my ($args, %o) = @_;
    my $caps = delete $o{caps} || $all;
    my $meta = delete $o{meta} || {};
    return $t->mcp('/mcp/acme', $o{method} || 'tools/call',
        { name => $o{name} || 'old__asks',
          $o{method} ? () : (arguments => $args), %{ $o{with} || {} },
          _meta => { "$ns/clientCapabilities" => $caps, %$meta } },
        key => $key, era => 'modern', timeout => 25, %o);
}
my %say = ('elicitation/create' => { action => 'accept', content => {} },
           'sampling/createMessage' => { role => 'assistant', model => 'm',
               content => { type => 'text', text => 'hi' } },
           'roots/list' => { roots => [] });
sub says { my ($r) = @_;
    my $in = $r->{rpc}{result}{inputRequests} || {};
    return { map { ($_ => $say{ $in->{$_}{method} }) } keys %$in } }
sub again { my ($r, $args, %o) = @_;
    return call($args, %o, with => { inputResponses => says($r),
        requestState => $r->{rpc}{result}{requestState}, %{ $o{with} || {} } }) }
sub text { my ($r) = @_;
    my $e = ($r->{rpc} || {})->{error};
    return $e ? "$r->{status} " . ($e->{data}{code} // $e->{code})
        : ($r->{rpc}{result}{content}[0]{text}
           // ($r->{rpc}{result}{resultType} || "$r->{status} $r->{body}")) }
sub got { return eval { json_decode(text($_[0])) } || text($_[0]) }
sub count { my ($re) = @_; return scalar(() = slurp($book) =~ /$re/mg) }
sub lost { return $t->metrics('gw2')->{stoa_mcp_answers_lost_total} // 0 }
sub calls { return count(qr/^called/m) }
my $accept = json_encode($say{'elicitation/create'});


# asked, and answered

my $r = call({ rounds => [['form']] }, id => 9);
is_deeply([$r->{status}, $r->{rpc}{id}, $r->{rpc}{result}{resultType}],
          [200, 9, 'input_required'], 'C5: what a server asks is the answer')
    or diag $r->{body};
is_deeply($r->{rpc}{result}{inputRequests}, { 1 => { method =>
    'elicitation/create', params => { mode => 'form', %{ $ask{form}[1] } } } },
    '... as this era has it');
like($r->{rpc}{result}{requestState}, qr/^m[0-9A-Za-z][\w-]+$/,
     '... with a state that says nothing');
my $done = again($r, { rounds => [['form']] }, id => 10);
is($done->{rpc}{id}, 10, 'C5: the next call gets the result') or diag $done->{body};
is_deeply(got($done), { 'form.1' => $accept }, '... of what was said');
is($done->{rpc}{result}{resultType}, 'complete', '... as this era has it');
is(calls(), 1, '... of one execution');
my ($declared) = slurp($book) =~ /^opened \w+ (\{.*elicitation.*)$/m;
is_deeply(json_decode($declared), { elicitation => { form => {}, url => {} },
    sampling => {}, roots => {} }, 'C5: the server knows what can be asked');
is(text(again($r, { rounds => [['form']] })), '400 mcp_state',
   'C5: the state is good once');
is(text(call({}, name => 'old__who')) =~ /^s\d+$/ ? 1 : text($done), 1,
   'S6: the session is used again') ;
is(calls(), 2, '... by one call');

my %seen;
for (1 .. 12) {
    my $r = call({ rounds => [['form']] });
    $seen{ json_encode(got(again($r, { rounds => [['form']] }))) }++;
}
is_deeply(\%seen, { json_encode({ 'form.1' => $accept }) => 12 },
          'C5: at any worker');

$r = call({ rounds => [['form', 'sample', 'roots'], ['form']] });
is(join(' ', map { $_->{method} } @{ $r->{rpc}{result}{inputRequests} }
    {qw(1 2 3)}), 'elicitation/create sampling/createMessage roots/list',
   'C5: what is asked at once comes at once') or diag $r->{body};
my $two = again($r, { rounds => [['form', 'sample', 'roots'], ['form']] });
is(join(' ', keys %{ $two->{rpc}{result}{inputRequests} }), 4,
   'C5: asked once more in the same call') or diag $two->{body};
isnt($two->{rpc}{result}{requestState}, $r->{rpc}{result}{requestState},
     '... with another state');
is(text(again($r, { rounds => [['form', 'sample', 'roots'], ['form']] })),
   '400 mcp_state', '... the one before is used');
is(join(' ', sort keys %{ got(again($two, { rounds => [['form', 'sample',
    'roots'], ['form']] })) }), 'form.1 form.4 roots.3 sample.2',
   '... and the answers are all there');

$r = call({ rounds => [['form', 'roots']] });
my $part = again($r, { rounds => [['form', 'roots']] }, with =>
    { inputResponses => { 1 => $say{'elicitation/create'}, 77 => {} } });
is(join(' ', keys %{ $part->{rpc}{result}{inputRequests} }), 2,
   'C5: what was not said is asked once more') or diag $part->{body};
is(join(' ', sort keys %{ got(again($part, { rounds => [['form', 'roots']] }))
    }), 'form.1 roots.2', '... and then it goes on');

$r = call({ rounds => [['url']] });
is_deeply($r->{rpc}{result}{inputRequests}{1}{params}, { mode => 'url',
    message => 'm', url => 'https://x.example/' }, 'C5: a URL')
    or diag $r->{body};
is_deeply(got(again($r, { rounds => [['url']] })), { 'url.1' => $accept },
          '... likewise');
$r = call({ rounds => [['form']], where => 'session' });
is_deeply(got(again($r, { rounds => [['form']], where => 'session' })),
          { 'form.1' => $accept },
          'C5: what is asked on the stream of the session') or diag $r->{body};
for my $caps ($all, {}) {
    my $args = { poll => 1, %$caps ? (rounds => [['form']]) : () };
    $r = call($args, caps => $caps, meta => { "$ns/logLevel" => 'error' });
    $r = again($r, $args) if %$caps;
    is_deeply(got($r), %$caps ? { 'form.1' => $accept } : {},
              'S4: a stream that its server ends to be polled')
        or diag $r->{body};
}
is(text(call({ poll => 2 }, name => 'brief__asks')), '200 upstream_timeout',
   'S4: one that is polled for ever ends with the time of calls');
spew($t->dir('no-get'), '');
$r = call({ rounds => [['form']] });
is_deeply(got(again($r, { rounds => [['form']] })), { 'form.1' => $accept },
          'C5: a server without such a stream');
call({}) for 1 .. 12;
cmp_ok(count(qr/^none/m), '<', 10, '... is asked for it once in a while');
unlink $t->dir('no-get');
$r = call(undef, method => 'prompts/get', name => 'old__p');
is($r->{rpc}{result}{resultType}, 'input_required', 'C5: a prompt, too')
    or diag $r->{body};
is(again($r, undef, method => 'prompts/get', name => 'old__p')
    ->{rpc}{result}{resultType}, 'complete', '... is answered');

$r = call({ urls => 1 });
is($r->{rpc}{result}{inputRequests}{1}{params}{mode}, 'url',
   'C5: an error that wants a URL seen') or diag $r->{body};
for my $caps ({}, { elicitation => {} }) {
    my $r = call({ urls => 1 }, caps => $caps);
    is_deeply([$r->{status}, @{ $r->{rpc}{error} }{qw(code message data)}],
        [400, -32021, 'url', { requiredCapabilities => {
            elicitation => { url => {} } } }],
        '... of a client that can be shown none') or diag $r->{body};
}
my $before = calls();
is(text(again($r, { urls => 2 })), '400 mcp_state', '... for that call only');
spew($t->dir('been-there'), '');
is(again($r, { urls => 1 })->{rpc}{result}{resultType}, 'complete',
   '... is one to call again');
is(calls() - $before, 1, '... from the beginning');


is(text(call({ pad => 5000 }, key => $other)), '200 result_too_large',
   'C5: an answer that is longer than a policy says');
$r = call({ rounds => [['form']], pad => 5000 }, key => $other);
is(text(again($r, { rounds => [['form']], pad => 5000 }, key => $other)),
   '200 result_too_large', '... also of a call that goes on');
like(text(call({ pad => 5000 })), qr/xxx/, '... is for others');


call({}, name => 'old__who');
$before = calls();
is(text(call({}, name => 'old__half')), '200 upstream_invalid',
   'S3: an answer that breaks off');
is(calls() - $before, 1, '... is not asked for again, whatever it speaks of');


# what was not declared

for ([{ sampling => {} }, 'form', -32601], [{ elicitation => {} }, 'url',
      -32602], [{ sampling => {} }, 'tools', -32602],
     [{ elicitation => { url => {} } }, 'form', -32602])
{
    my ($caps, $what, $code) = @$_;
    my $r = call({ rounds => [[$what]] }, caps => $caps);
    my $said = ref got($r) ? got($r)->{"$what.1"} : text($r);
    like($said, qr/"code":$code/, 'C5: what was not declared is answered by '
         . 'an error: ' . $what);
}
like(got(call({ rounds => [['list']] }))->{'list.1'} // '', qr/"code":-32602/,
     'C5: params that are no object are none');
is(count(qr/^opened \w+ \{"sampling":\{\}\}$/m), 1,
   'S6: sessions that declare the same are shared');


# what comes besides

$r = call({ rounds => [['form']], logs => [qw(debug warning error)] },
    meta => { progressToken => 'first', "$ns/logLevel" => 'warning' });
is(join(' ', map { $_->{method} ? $_->{params}{progressToken} // 'log' : 'end' }
    @{ $r->{events} }), 'first end', 'C5: progress comes before what is asked')
    or diag $r->{body};
like(slurp($book), qr/^level \w+ warning$/m, 'C5: the level is told');
$r = again($r, { rounds => [['form']], logs => [qw(debug warning error)] },
    meta => { "$ns/logLevel" => 'error' });
is(join(' ', map { $_->{method} ? $_->{params}{level} : 'end' }
    @{ $r->{events} }), 'error end', '... of each request counts its own')
    or diag $r->{body};
$r = call({ logs => [qw(debug error)] }, meta => { "$ns/logLevel" => 'info' },
          caps => {});
is(join(' ', map { $_->{params}{level} // 'end' } @{ $r->{events} }),
   'error end', 'C5: a client that can do nothing has its messages, too')
    or diag $r->{body};
%seen = ();
for (1 .. 8) {
    $r = call({ rounds => [['form'], ['form']] },
              meta => { progressToken => 1 });
    $r = again($r, { rounds => [['form'], ['form']] },
               meta => { progressToken => 'second' });
    $seen{ join ' ', map { $_->{params}{progressToken} // 'end' }
        @{ $r->{events} } }++;
    again($r, { rounds => [['form'], ['form']] });
}
is_deeply(\%seen, { 'second end' => 8 },
          'C5: progress has the token of the request that waits');
%seen = ();
for (1 .. 8) {
    my $args = { rounds => [['form']], pad => 400_000 };
    $seen{ length(got(again(call($args), $args))->{pad} // '') }++;
}
is_deeply(\%seen, { 400_000 => 8 }, 'C5: results of any length');


# whose it is

$r = call({ rounds => [['form']] });
my $state = $r->{rpc}{result}{requestState};
$before = calls();
my $with = sub { { with => { requestState => $_[0],
                             inputResponses => says($r) } } };
my $flip = $state;
substr($flip, 20, 1) = substr($flip, 20, 1) eq 'A' ? 'B' : 'A';
for ([altered => $flip], [longer => "$state-TAMPERED"], [cut =>
      substr $state, 0, -3], [nothing => ''], [short => 'm'], [number => 7],
     [old => 'm' . 'z' x 90])
{
    my ($what, $bad) = @$_;
    my $r = call({ rounds => [['form']] }, %{ $with->($bad) });
    is("$r->{status} " . ($r->{rpc}{error}{code} // ''), '400 -32602',
       "C5: a state that is none: $what") or diag $r->{body};
}
is(text(call({ rounds => [['form'], []] }, %{ $with->($state) })),
   '400 mcp_state', 'C5: nor for other arguments');
is(text(again($r, { rounds => [['form']] }, name => 'old__who')),
   '400 mcp_state', '... another tool');
is(text(again($r, { rounds => [['form']] }, key => $other)), '400 mcp_state',
   "... another caller's");
is(text(again($r, { rounds => [['form']] }, gateway => 'gw2')),
   '200 mcp_elsewhere', 'C5: another gateway of the group says so');
is(text(call({ rounds => [['form']] }, with => { requestState => $state,
    inputResponses => { 1 => 12345 } })), '400 mcp_params',
   'C5: what is no answer is refused before it counts');
is(calls(), $before, 'C5: none of that was executed');
is_deeply(got(again($r, { rounds => [['form']] })), { 'form.1' => $accept },
          'C5: and it is still good') or diag $r->{body};

# both at once: one gets the result

$before = calls();
for (1 .. 6) {
    my $r = call({ rounds => [['form']] });
    my @c = map { $t->connection } 1 .. 3;
    raw($r, { rounds => [['form']] }, $_) for @c;
    my @s = sort map { $_->response(timeout => 20)->{status} } @c;
    $seen{"@s"}++;
    $_->close for @c;
}
is($seen{'200 400 400'}, 6, 'C5: of those that come at once one goes on')
    or diag explain(\%seen);
is(calls() - $before, 6, '... and each call was executed once');


# the upstream, the client and the gateway end

spew($t->dir('hold'), '');
$r = call({ rounds => [['form']] });
my $c = $t->connection;
{
    my $n = count(qr/^told/m);
    raw($r, { rounds => [['form']] }, $c);
    ok((wait_until { count(qr/^told/m) > $n }), 'a call goes on');
    my $cancelled = count(qr/^cancelled/m);
    $c->reset;
    ok((wait_until { count(qr/^cancelled/m) > $cancelled }),
       'C1: a client that leaves then: the server is told');
    my ($sid) = (slurp($book) =~ /^cancelled (\w+)$/mg)[-1];
    ok((wait_until { slurp($book) =~ /^ended $sid$/m }),
       '... and the session ended');
}
unlink $t->dir('hold');

# the worker that has the call, and not the one that has its client

sub inodes {
    my ($port) = map { sprintf ':%04X', $_ } @_;
    return map { ((split)[9] => 1) } grep { (split)[2] =~ /$port$/
        && (split)[3] eq '01' } split /\n/, slurp('/proc/net/tcp');
}
sub has {
    my ($pid, %inode) = @_;
    return grep { (readlink($_) // '') =~ /\[(\d+)\]/ && $inode{$1} }
        glob "/proc/$pid/fd/*";
}
sub holder {
    my %inode = inodes(@_);
    return grep { has($_, %inode) } $t->workers('gw');
}
sub raw { my ($r, $args, $c) = @_;
    my $body = json_encode({ jsonrpc => '2.0', id => 5, method => 'tools/call',
        params => { name => 'old__asks', arguments => $args,
            inputResponses => says($r), requestState =>
            $r->{rpc}{result}{requestState}, _meta => {
            "$ns/protocolVersion" => '2026-07-28',
            "$ns/clientCapabilities" => $all } } });
    $c->send_raw("POST /mcp/acme HTTP/1.1\r\nHost: x\r\nX-API-Key: $key\r\n"
        . "Content-Type: application/json\r\nMcp-Method: tools/call\r\n"
        . "Mcp-Name: old__asks\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        . "Content-Length: " . length($body)
        . "\r\nConnection: close\r\n\r\n$body");
}
# what is done to a call while it works: (its worker, its client's worker)
sub elsewhere {
    my ($do) = @_;
    for my $try (1 .. 40) {
        unlink $t->dir('hold');
        $r = call({ rounds => [['form']] });
        spew($t->dir('hold'), '');
        my ($pid) = wait_until { my @p = holder($port); @p == 1 && \@p }
            ? holder($port) : ();
        my $n = count(qr/^told/m);
        my $c = $t->connection;
        raw($r, { rounds => [['form']] }, $c);
        wait_until { count(qr/^told/m) > $n };
        my ($mine) = holder($c->{sock}->sockport);
        my $other = $pid && $mine && $mine != $pid;
        $do->($pid, $mine) if $other;
        unlink $t->dir('hold') if !$other;
        my $answer = $c->response(timeout => 20);
        $c->close;
        next if !$other;
        return text({ %$answer, rpc => json_decode($answer->{body}
            =~ /(\{"jsonrpc.*)/ ? $1 : '') });
    }
}
is(elsewhere(sub { kill KILL => $_[0] }), '200 call_lost',
   'S3: the worker that has the call is killed: its client is told');
$t->allow_log(qr/exited on signal 9/);
unlink $t->dir('hold');
$t->sync('gw');

my $doors = $t->dir('gw/store');
is(elsewhere(sub {
    my ($pid, $mine) = @_;
    my %inode = inodes($port);
    rename "$doors/door.$mine", "$doors/away" or die "no door: $!";
    unlink $t->dir('hold');
    wait_until { !has($pid, %inode) };
    rename "$doors/away", "$doors/door.$mine" or die;
}), '200 call_lost', 'S3: an answer that did not reach its client\'s worker');
is(elsewhere(sub { rename "$doors/door.$_[0]", "$doors/away" or die;
                   $r->{gone} = $_[0] }),
   '200 call_lost', 'S3: a process that is no worker has the pid of one');
rename "$doors/away", "$doors/door.$r->{gone}" or die;
unlink $t->dir('hold');
unlink $t->dir('hold');
$t->sync('gw');

$r = call({ rounds => [['form'], ['form']] }, gateway => 'gw2');
my $ends = count(qr/^cancelled/m);
ok((wait_until { count(qr/^cancelled/m) > $ends } 10),
   'C5: a client that never comes back: the server is told');
like(slurp($book), qr/^told \w+ form\.1\S+ \{"action":"cancel"\}$/m,
     '... that he cancels');
is(text(again($r, { rounds => [['form'], ['form']] }, gateway => 'gw2')),
   '400 mcp_state', '... and then he gets an error');

$r = call({ rounds => [['form'], ['form']] });
spew($t->dir('give-up'), '');
my ($sid) = (slurp($book) =~ /^called (\w+)/mg)[-1];
ok((wait_until { slurp($book) =~ /^ended $sid$/m }),
   'C5: an upstream whose stream ends while it waits');
$before = calls();
is(text(again($r, { rounds => [['form'], ['form']] })),
   '200 upstream_invalid', '... the client is told then');
is(text(again($r, { rounds => [['form'], ['form']] })), '400 mcp_state',
   '... once');
is(calls(), $before, '... and nothing is executed again');
unlink $t->dir('give-up');

$r = call({ rounds => [['form']] });
$t->reload('gw');
is_deeply(got(again($r, { rounds => [['form']] })), { 'form.1' => $accept },
          'S3: a reload in between') or diag $r->{body};
$r = call({ rounds => [['form']] });
kill KILL => $_ for $t->workers('gw');
$t->allow_log(qr/exited on signal 9/);
$t->sync('gw');
$before = calls();
is(text(again($r, { rounds => [['form']] })), '200 call_lost',
   'S3: workers that were killed in between: the call is lost');
is(calls(), $before, '... and not made again');

spew($t->dir('give-up'), '');
$r = call({ rounds => [['form']] });
unlink $t->dir('give-up');
spew($book, slurp($book) . join '', map { "forgotten $_\n" }
    slurp($book) =~ /^opened (\w+)/mg);
is_deeply(got(again(call({ rounds => [['form']] }), { rounds => [['form']] })),
          { 'form.1' => $accept }, 'S2: a session that was forgotten');

$r = call({ rounds => [['form']] }, name => 'old__careful');
my $id = $r->{rpc}{result}{inputRequests} ? $r->{rpc}{result}{requestState}
                                          : undef;
my ($wait) = @{ $t->api('GET', '/v1/tenants/acme/approvals')->{json}{items} };
$t->api('POST', "/v1/tenants/acme/approvals/$wait->{id}/approve", {});
$before = calls();
my $go = $id ? again($r, { rounds => [['form']] }, name => 'old__careful')
             : call({ rounds => [['form']] }, name => 'old__careful');
is(join(' ', map { $_->{params}{message} }
    values %{ $go->{rpc}{result}{inputRequests} }), 'm',
   'what a person has approved asks its client') or diag $go->{body};
is_deeply(got(again($go, { rounds => [['form']] }, name => 'old__careful')),
    { 'form.1' => $accept }, '... and is not approved once more');
is(calls() - $before, 1, '... and executed once');

my @many = map { call({ rounds => [['form']] }) } 1 .. 80;
my @more = grep { ref got($_) } @many;
ok(@more >= 16, 'C5: a caller has so many that wait, not more')
    or diag scalar @more;
like(got($more[0])->{'form.1'}, qr/cancel/, '... the others end');
is(scalar(grep { ref got(again($_, { rounds => [['form']] })) }
    grep { !ref got($_) } @many), 80 - @more, '... and those go on');

# an upstream that takes no answers: at two workers an application has 256

spew($t->dir('deaf'), '');
my $lost = lost();
call({ rounds => [[('form') x 16]] }, gateway => 'gw2') for 1 .. 18;
ok((wait_until { lost() - $lost + count(qr/^deaf/m) >= 18 * 16 } 20),
   'answers that an upstream does not take') or diag lost() - $lost;
cmp_ok(count(qr/^deaf/m), '<=', 256, '... are so many of an application');
spew($t->dir('give-up'), '');
unlink $t->dir('deaf');
unlink $t->dir('give-up');
$r = call({ rounds => [['form']] }, key => $other, gateway => 'gw2');
is_deeply(got(again($r, { rounds => [['form']] }, key => $other,
    gateway => 'gw2')), { 'form.1' => $accept }, '... another one has its own');

$r = call({ rounds => [['form']] });
$t->kill9('old');
$r = again($r, { rounds => [['form']] });
is($r->{status}, 200, 'an upstream that dies while a call waits');
is(text($r), '200 upstream_invalid', '... its client is told')
    or diag $r->{body};
$t->allow_log(qr/upstream|connect/);

$t->done;
