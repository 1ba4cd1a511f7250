#!/usr/bin/perl

# Rows F6, S2: tasks of both eras, routed by an id that is their upstream's,
# sealed for one caller.  The servers here are strict ones of this test's own:
# no public server passes a task scenario.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Demo;

# what is read after it is freed is no text

$ENV{MALLOC_PERTURB_} = 165;

my $t = Test::Stoa->new;
$t->control;

my $NS = 'io.modelcontextprotocol';
my $n = 0;
my %caps = (tasks => { list => {}, cancel => {}, requests => { tools => {
    call => {} } } }, extensions => { "$NS/tasks" => {} });

# Ids say to which session they belong; Mcp-Name has to repeat them.

my $up = sub {
    my ($name, $q, $c) = @_;
    my $m = json_decode($q->{body}) || {};
    my ($method, $p) = ($m->{method} // '', $m->{params} || {});
    my $modern = exists(($p->{_meta} || {})->{"$NS/protocolVersion"});
    my $sid = $q->{headers}{'mcp-session-id'} // '';
    if ($q->{method} eq 'GET') {
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "Connection: close\r\n\r\n");
        my ($at, $file) = (0, $t->dir("get.$name"));
        wait_until {
            my $text = -f $file ? substr(slurp($file), $at) : '';
            $c->send_raw($text) if length $text;
            $at += length $text;
            $c->fill(time + 0.01);
            !$c->{sock}->connected;
        } 30;
        return undef;
    }
    my $give = sub { [200, ['Content-Type' => 'application/json'],
        json_encode({ jsonrpc => '2.0', id => $m->{id}, @_ })] };
    if ($method =~ m{^tasks/(get|result|cancel|update)$}) {
        my $what = $1;
        my $id = $p->{taskId} // '';
        my $said = Test::Stoa::MCP::plain($q->{headers}{'mcp-name'} // '');
        return $give->(error => { code => -32602, message => "no task $id" })
            unless $id =~ m{^job \Q$name\E (\S*) \d+$}
                && ($modern ? $1 eq '-' && $said eq $id && $sid eq ''
                            : $1 eq $sid);
        return $give->(result => { content => [ { type => 'text',
            text => 'done' } ], _meta => { "$NS/related-task" => {
            taskId => $id } } }) if $what eq 'result';
        return $give->(result => { $modern ? (resultType => 'complete') : (),
            status => $what eq 'cancel' ? 'cancelled' : 'working',
            taskId => $id, ttl => 60000, of => $q->{body} });
    }
    if ($method eq 'tasks/list') {
        # everybody's, two on a page
        my $at = ($p->{cursor} // 'page 0') =~ /^(?:page )?(\d+)$/ ? $1 : return
            $give->(error => { code => -32602, message => 'no such cursor' });
        return [500, [], 'no'] if -f $t->dir("down.$name");
        my @all = ('job of another', grep { length } split /\n/,
            -f $t->dir("jobs.$name") ? slurp($t->dir("jobs.$name")) : '');
        my @page = grep { defined } @all[$at, $at + 1];
        return $give->(result => { tasks => [ map { { taskId => $_, status =>
            'working', ttl => 60000 } } @page ], $at + 2 < @all
            ? (nextCursor => 'page ' . ($at + 2)) : () });
    }
    if ($method eq 'tools/call' && ($modern || $p->{task})
        && $p->{name} eq 'work') {
        my $id = "job $name " . ($modern ? '-' : $sid) . " $$" . $n++;
        spew($t->dir("jobs.$name"), (-f $t->dir("jobs.$name")
            ? slurp($t->dir("jobs.$name")) : '') . "$id\n") unless $modern;
        return [200, ['Content-Type' => 'application/json'], json_encode({
            jsonrpc => '2.0', method => 'notifications/cancelled', params => {
            reason => 'r' x 3000, requestId => 'mine' } })]
            if $p->{arguments}{cancel};
        my $r = { $modern ? (resultType => 'task') : (), task => {
            taskId => $id, status => 'working', ttl => 60000 } };
        return $give->(result => $r) unless $p->{arguments}{stream};
        $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            . "Connection: close\r\n\r\n" . join '', map { 'data: '
            . json_encode({ jsonrpc => '2.0', %$_ }) . "\n\n" }
            { method => 'notifications/tasks/status', params => { taskId =>
                $id, status => 'working' } },
            { id => $m->{id}, result => $r });
        return undef;
    }
    my $r = Test::Stoa::MCP::answer({ name => $name, era => 'dual', sessions
        => 0, tools => { work => sub { 'at once' }, rest => sub { 'rest' } },
        versions => [$Test::Stoa::MCP::MODERN, @Test::Stoa::MCP::LEGACY],
        capabilities => \%caps }, $q, $c);
    push @{ $r->[1] }, 'Mcp-Session-Id' => "$name-$$-" . $n++
        if $method eq 'initialize';
    return $r;
};
my %port = map { my $name = $_;
    ($name => $t->origin(sub { $up->($name, @_) }, name => $name)) } qw(a b);
$t->apply(demo(mcp => \%port)
    . document('Application', 'acme', 'other')
    . subscribe('acme', 'other', 'api', 'a', 'basic'));
for my $api (keys %port) {
    wait_until { @{ $t->api('GET', "/v1/tenants/acme/apis/$api/tools")
        ->{json}{items} || [] } == 2 } 20 or $t->give_up("$api: not found");
}
my %key = map { $_ => $t->key('acme', $_) } qw(app other);
$t->gateway(workers => 2);
$t->sync;

my %session;
sub ask { my ($who, $era, $method, $params, %o) = @_;
    $session{$who} ||= $t->mcp('/mcp/acme', 'initialize', { protocolVersion =>
        '2025-11-25', capabilities => {}, clientInfo => { name => 'test',
        version => '1' } }, era => 'legacy', key => $key{$who});
    $params = { %$params, _meta => { %{ $o{more} || {} },
        $era eq 'modern' ? ("$NS/clientCapabilities" => { extensions => {
        "$NS/tasks" => {} } }) : () } } if $era eq 'modern' || $o{more};
    return $t->mcp('/mcp/acme', $method, $params, era => $era,
        key => $key{$who}, $era eq 'legacy' ? (session =>
        $session{$who}{session}) : (), %o);
}
sub make { my ($who, $era, $api, %args) = @_;
    return ask($who, $era, 'tools/call', { name => "${api}__work",
        arguments => \%args, $era eq 'legacy' ? (task => { ttl => 60000 })
        : () });
}
sub code { my ($r) = @_; return $r->{rpc}{error} ? $r->{rpc}{error}{code}
    : $r->{rpc}{result}{status} // 'result' }

for my $era (qw(legacy modern)) {
    my $r = make('app', $era, 'a');
    my $id = $r->{rpc}{result}{task}{taskId} // '';
    like($id, qr/^t0[\w-]+$/, "F6: a task has an id of ours, $era");
    is($r->{rpc}{result}{task}{ttl}, 60000, '... else it is as it came');
    my $other = make('app', $era, 'b')->{rpc}{result}{task}{taskId};
    for my $task ([a => $id], [b => $other]) {
        $r = ask('app', $era, 'tasks/get', { taskId => $task->[1] });
        is(code($r), 'working', "F6: tasks/get at $task->[0], $era");
        is($r->{rpc}{result}{taskId}, $task->[1], '... by the same id');
        like($r->{rpc}{result}{of} // '', qr/"job $task->[0] /,
             '... which is its own there');
    }
    if ($era eq 'legacy') {
        $r = ask('app', $era, 'tasks/result', { taskId => $id });
        is($r->{rpc}{result}{content}[0]{text}, 'done', 'F6: tasks/result');
        is($r->{rpc}{result}{_meta}{"$NS/related-task"}{taskId}, $id,
           '... names the task by our id');
        is(code(ask('app', $era, 'tasks/update', { taskId => $id })), -32601,
           'F6: tasks/update is not of this era');
    } else {
        is(code(ask('app', $era, 'tasks/update', { taskId => $id })),
           'working', 'F6: tasks/update');
        is(code(ask('app', $era, 'tasks/result', { taskId => $id })), -32601,
           'F6: tasks/result is not of this era');
        is(code(ask('app', $era, 'tasks/get', { taskId => $id }, headers => {
            'Mcp-Name' => 'else' })), -32020, 'F6: a header that disagrees');
    }
    is(code(ask('app', $era, 'tasks/cancel', { taskId => $id })), 'cancelled',
       "F6: tasks/cancel, $era");
    is(code(ask('app', $era, 'tasks/list', {})), -32601,
       "F6: tasks/list is not there, $era") if $era eq 'modern';

    # ---- whose it is

    my $seen = () = $t->origin_log('a');
    is(code(ask('other', $era, 'tasks/get', { taskId => $id })), -32602,
       "S2: another application's, $era");
    (my $forged = $id) =~ s/(.)$/$1 eq 'A' ? 'B' : 'A'/e;
    $forged =~ s/^(t0.{8})(.)/$1 . ($2 eq 'A' ? 'B' : 'A')/e;
    for my $bad ($forged, 'job a - 1', substr($id, 0, 40), '', 'x' x 5000) {
        is(code(ask('app', $era, 'tasks/get', { taskId => $bad })), -32602,
           'S2: no task of ours: ' . substr $bad, 0, 12);
    }
    my $twice = ask('app', $era, 'tasks/get', { taskId => $id,
        TaskID => 'job a - 1' });
    is(code($twice), -32600, 'S2: nor one that is named twice');
    my $era2 = $era eq 'legacy' ? 'modern' : 'legacy';
    is(code(ask('app', $era2, 'tasks/get', { taskId => $id })), -32602,
       'S2: nor one of the other era');
    is(scalar(grep { $_->{body} =~ m{tasks/} }
        splice @{[ $t->origin_log('a') ]}, $seen), 0,
       '... and no upstream sees any of that');
}

my $r = make('app', 'legacy', 'a', stream => 1);
my @ids = map { $_->{params}{taskId} // $_->{result}{task}{taskId} // '' }
    @{ $r->{events} };
is(scalar(@ids), 2, 'F6: a stream that begins with the status');
is($ids[0], $ids[1], '... names it by one id');
like($ids[0], qr/^t0/, '... of ours');

# what is no answer may stand in the place of one; its id is marked

$r = make('app', 'legacy', 'a', cancel => 1);
my $cancelled = $r->{events}[0]{params} || {};
like($cancelled->{requestId} // '', qr/^r0[\w-]+$/,
     'F6: one that is cancelled at once');
is($cancelled->{reason}, 'r' x 3000, '... says why');
is($r->{events}[1]{error} ? 1 : 0, 1, '... and the call has an error')
    or diag $r->{body};

is_deeply($session{app}{rpc}{result}{capabilities}{tasks}, { cancel => {},
    list => {}, requests => { tools => { call => {} } } }, 'F6: what is carried is told');
is_deeply($t->mcp('/mcp/acme', 'server/discover', undef, key => $key{app})
    ->{rpc}{result}{capabilities}{extensions}, { "$NS/tasks" => {} },
   '... in both eras');
is(ask('app', 'legacy', 'tools/call', { name => 'a__work', arguments => {} })
    ->{rpc}{result}{content}[0]{text}, 'at once', 'F6: a call without');

# ---- tasks/list: of all upstreams, and of this caller alone

sub all_tasks { my ($who, %o) = @_;
    my ($cursor, @all, @pages);
    for (1 .. 20) {
        my $r = ask($who, 'legacy', 'tasks/list', { defined $cursor ? (cursor
            => $cursor) : () });
        push @pages, $r;
        push @all, map { $_->{taskId} } @{ $r->{rpc}{result}{tasks} || [] };
        $cursor = $r->{rpc}{result}{nextCursor};
        last if !defined $cursor;
    }
    return $o{pages} ? @pages : @all; }
my %made = map { my $api = $_; map { (make('app', 'legacy', $api)
    ->{rpc}{result}{task}{taskId} => 1) } 1 .. 2 } qw(a b);
my $others = make('other', 'legacy', 'a')->{rpc}{result}{task}{taskId};
my @listed = all_tasks('app');
my %listed = map { $_ => 1 } @listed;
is(scalar(grep { $listed{$_} } keys %made), 4,
   'F6: tasks/list has those of both upstreams, by the ids of their calls');
is(scalar(@listed), scalar(keys %listed), '... each once');
is(scalar(grep { !/^t0/ } @listed), 0, '... and no id of an upstream');
is($listed{$others}, undef, "S2: none is another application's");
is(join(' ', all_tasks('other')), $others, '... whose own is listed to it');
my ($page) = all_tasks('app', pages => 1);
my $cursor = $page->{rpc}{result}{nextCursor} // '';
like($cursor, qr/^c0[\w-]+$/, 'F6: a cursor is sealed');
is($page->{rpc}{result}{tasks}[0]{ttl}, 60000, '... a task as it came');
is(code(ask('other', 'legacy', 'tasks/list', { cursor => $cursor })), -32602,
   "S2: another application's cursor is none");
is(code(ask('app', 'legacy', 'tasks/list', { cursor => $_ })), -32602,
   'S2: nor is ' . substr $_, 0, 8) for 'page 2', 'x' x 3000, "$cursor-";
spew($t->dir('down.a'), '1');
my @pages = all_tasks('app', pages => 1);
is_deeply([ map { @{ $_->{rpc}{result}{_meta}{'gateway.stoa/left_out'}
    || [] } } @pages ], [ { api => 'a', reason => 'tasks not read' } ], 'F6: an upstream that does not '
    . 'answer is left out, and named');
is(scalar(grep { $made{$_->{taskId}} } map { @{ $_->{rpc}{result}{tasks} } }
    @pages), 2, '... the others are listed');
unlink $t->dir('down.a');

# ---- what is said of tasks outside of calls

my $asked = $t->mcp('/mcp/acme', 'initialize', { protocolVersion =>
    '2025-11-25', capabilities => { elicitation => {} }, clientInfo => {
    name => 'test', version => '1' } }, era => 'legacy', key => $key{app});
($session{app}, my $before) = ($asked, $session{app});
$r = make('app', 'legacy', 'a');
my $mine = $r->{rpc}{result}{task}{taskId};
my ($own) = ask('app', 'legacy', 'tasks/get', { taskId => $mine })
    ->{rpc}{result}{of} =~ /"taskId":"(job [^"]+)"/;
my $get = $t->connection;
$get->request('GET', '/mcp/acme', headers => ['X-API-Key' => $key{app},
    'Mcp-Session-Id' => $asked->{session}, Accept => 'text/event-stream'],
    headers_only => 1, timeout => 10);
$get->event(10);
my $related = sub { (_meta => { "$NS/related-task" => { taskId => $_[0] } }) };
spew($t->dir('get.a'), join '', map { 'data: ' . json_encode({ jsonrpc =>
    '2.0', %$_ }) . "\n\n" } (map { { method => 'notifications/tasks/status',
    params => { taskId => $_, status => 'working' } } } 'job a else 9', $own),
    { id => 5, method => 'elicitation/create', params => { message => 'm',
      $related->($own) } },
    { method => 'notifications/message', params => { data => { taskId => 'x' },
      $related->($own) } });
my @said = map { json_decode(($get->event(10) || {})->{data} // '{}') } 1 .. 3;
is($said[0]{params}{taskId}, $mine, 'F6: the stream of the session names a '
   . 'task as its call did, and only one of this caller');
is($said[$_]{params}{_meta}{"$NS/related-task"}{taskId}, $mine,
   "... so does what belongs to it: $said[$_]{method}") for 1, 2;
is($said[2]{params}{data}{taskId}, 'x', '... other members stay');
$t->http('POST', '/mcp/acme', key => $key{app}, headers => { 'Content-Type' =>
    'application/json', 'Mcp-Session-Id' => $asked->{session} }, body =>
    json_encode({ jsonrpc => '2.0', id => $said[1]{id}, result => { action =>
    'cancel', $related->($mine) } }));
ok((wait_until { grep { my $m = json_decode($_->{body}) || {};
    ($m->{id} // '') eq '5' && $m->{result}{_meta}{"$NS/related-task"}{taskId}
    eq $own } $t->origin_log('a') } 10),
   'F6: what the client answers names it as its server does');
$get->close;
$session{app} = $before;

# ---- what a client says that belongs to a task

for my $era (qw(legacy modern)) {
    my $task = make('app', $era, 'a')->{rpc}{result}{task}{taskId};
    my $theirs = make('app', $era, 'b')->{rpc}{result}{task}{taskId};
    my $heard = sub {
        my ($id) = @_;
        ask('app', $era, 'tools/call', { name => 'a__rest', arguments =>
            { rest => 'taskId' } }, more => { progressToken => 5,
            "$NS/related-task" => { taskId => $id, else => 1 } });
        my ($m) = map { json_decode($_->{body}) } grep { $_->{body} =~
            /"rest"/ } reverse $t->origin_log('a');
        return $m->{params};
    };
    my $got = $heard->($task);
    like($got->{_meta}{"$NS/related-task"}{taskId}, qr/^job a \S/,
         "F6: $era: a call names its task by its server's id");
    is_deeply([@{ $got->{_meta} }{'progressToken'}, $got->{_meta}{
        "$NS/related-task"}{else}, $got->{name}, $got->{arguments}{rest}],
        [5, 1, 'rest', 'taskId'], '... and all else stays');
    is($heard->($_)->{_meta}{"$NS/related-task"}{taskId}, $_,
       '... what is none of this server is not touched')
        for $theirs, 'x', "t$task";
}

# ---- the rights of the tool

$r = make('app', 'legacy', 'a');
my $id = $r->{rpc}{result}{task}{taskId};
is($t->api('POST', '/v1/tenants/acme/apis/a/tools/work/disable')->{status},
   200, 'the tool is disabled');
ok((wait_until { code(ask('app', 'legacy', 'tasks/get', { taskId => $id }))
    eq '-32602' } 15), 'S2: who may not call the tool has no task of it');
is(scalar(grep { $_ eq $id } all_tasks('app')), 0, '... nor is it listed');

done_testing();
