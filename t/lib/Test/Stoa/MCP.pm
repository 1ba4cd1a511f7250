package Test::Stoa::MCP;

# MCP for tests: a strict scripted server, the real servers, and calls of
# both eras in one line.  All are methods of Test::Stoa:
#
#   use Test::Stoa; use Test::Stoa::MCP;
#   my $port = $t->mcp_origin(name => 'm', era => 'modern',
#                             tools => { add => sub { ... } });
#   my $port = $t->mcp_everything(name => 'e');      # npm server-everything
#   my $port = $t->mcp_go(name => 'g');              # go-sdk, both eras
#   my $r = $t->mcp('/mcp/acme', 'tools/call',
#                   { name => 'm__add', arguments => {} }, key => $key);
#   $r->{status} $r->{rpc}{result} $r->{rpc}{error} $r->{events}
#
# The scripted server refuses what the specification lets a server refuse,
# so that a gateway's sloppiness shows.

use strict;
use warnings;

use Test::Stoa::Base qw(wait_until json_decode json_encode);
use Test::Stoa::HTTP;

our $MODERN = '2026-07-28';
our @LEGACY = qw(2025-11-25 2025-06-18 2025-03-26);
my $NS = 'io.modelcontextprotocol';


# A tool: sub (arguments, message, request) -> text, or a result (hash), or
# { error => {...} }, or { sse => [messages before], result => ... }.
#
# era modern, legacy or dual (default); sessions => 1: legacy with ids; speaks
# => '2025-03-26': no other version of those;
# sse => 1: every answer is a stream.
#
# prompts => { name => sub }, resources => { uri => sub }, templates => [..],
# complete => sub: as tools; list => { method => sub (message) -> its array }.

sub mcp_origin {
    my ($self, %o) = @_;
    my $era = $o{era} || 'dual';
    my $tools = $o{tools} || { echo => sub { json_encode($_[0]) } };
    my $server = {
        %o, era => $era, tools => $tools,
        versions => [ $era eq 'legacy' ? () : $MODERN,
                      $era eq 'modern' ? () : @LEGACY ],
    };
    return $self->origin(sub { answer($server, @_) }, %o);
}


sub problem {
    my ($status, $id, $code, $message, $data) = @_;
    return [$status, ['Content-Type' => 'application/json'], json_encode({
        jsonrpc => '2.0', id => $id, error => { code => $code,
            message => $message, defined $data ? (data => $data) : () } })];
}


sub answer {
    my ($s, $q, $c) = @_;
    my $h = $q->{headers};

    return [405, [Allow => 'POST'], ''] unless $q->{method} eq 'POST';
    return problem(415, undef, -32600, 'content type')
        unless ($h->{'content-type'} // '') =~ m{^application/json\b};
    return problem(406, undef, -32600, 'accept')
        unless ($h->{accept} // '') =~ m{application/json}
               && $h->{accept} =~ m{text/event-stream};

    my $m = json_decode($q->{body});
    return problem(400, undef, -32700, 'no JSON') unless ref $m eq 'HASH';

    my $version = ref $m->{params} eq 'HASH'
        ? $m->{params}{_meta}{"$NS/protocolVersion"} : undef;

    return defined $version ? modern($s, $q, $m, $version, $c)
                            : legacy($s, $q, $m, $c);
}


sub modern {
    my ($s, $q, $m, $version, $c) = @_;
    my ($h, $p) = ($q->{headers}, $m->{params});

    return problem(400, $m->{id}, -32022, 'unsupported protocol version',
                   { supported => $s->{versions}, requested => $version })
        if $s->{era} eq 'legacy' || $version ne $MODERN;
    return problem(400, $m->{id}, -32602, 'no clientCapabilities')
        unless ref $p->{_meta}{"$NS/clientCapabilities"} eq 'HASH';

    my %want = ('mcp-protocol-version' => $version,
                'mcp-method' => $m->{method});
    $want{'mcp-name'} = $p->{name}
        if $m->{method} =~ m{^(?:tools/call|prompts/get)$};
    $want{'mcp-name'} = $p->{uri} if $m->{method} eq 'resources/read';
    for my $name (sort keys %want) {
        return problem(400, $m->{id}, -32020, "header $name")
            unless plain($h->{$name} // '') eq ($want{$name} // '');
    }
    return problem(400, $m->{id}, -32600, 'a session id in the modern era')
        if defined $h->{'mcp-session-id'};

    return dispatch($s, $q, $m, $c, {
        resultType => 'complete', _meta => { "$NS/serverInfo" => {
            name => $s->{name} || 'scripted', version => '1' } } });
}


sub legacy {
    my ($s, $q, $m, $c) = @_;
    my $h = $q->{headers};

    return problem(400, $m->{id}, -32022, 'unsupported protocol version',
                   { supported => $s->{versions} })
        if $s->{era} eq 'modern';

    if (($m->{method} // '') eq 'initialize') {
        my $want = $m->{params}{protocolVersion} // '';
        my ($v) = grep { $_ eq $want } $s->{speaks} || @LEGACY;
        return [200, ['Content-Type' => 'application/json',
                      $s->{sessions} ? ('Mcp-Session-Id' => "s-$$") : ()],
            json_encode({ jsonrpc => '2.0', id => $m->{id}, result => {
                protocolVersion => $v || $s->{speaks} || $LEGACY[0],
                capabilities => capabilities($s),
                serverInfo => { name => $s->{name} || 'scripted',
                                version => '1' } } })];
    }

    if ($s->{sessions}) {
        my $id = $h->{'mcp-session-id'};
        return problem(400, $m->{id}, -32000, 'no session')
            unless defined $id;
        return problem(404, $m->{id}, -32001, 'unknown session')
            unless $id =~ /^s-\d+$/;
    }
    my $v = $h->{'mcp-protocol-version'};
    return problem(400, $m->{id}, -32000, 'bad protocol version header')
        if defined $v && !grep { $_ eq $v } @LEGACY;

    return [202] unless exists $m->{id};
    return dispatch($s, $q, $m, $c, {});
}


sub plain {
    my ($v) = @_;
    return $v unless $v =~ /^=\?base64\?(.*)\?=$/;
    require MIME::Base64;
    my $s = MIME::Base64::decode_base64($1);
    utf8::decode($s);
    return $s;
}

sub capabilities {
    my ($s) = @_;
    return { tools => {},
             $s->{prompts} ? (prompts => {}) : (),
             $s->{resources} || $s->{templates} ? (resources => {}) : (),
             $s->{complete} ? (completions => {}) : (),
             %{ $s->{capabilities} || {} } };
}

sub listed {
    my ($s, $m) = @_;
    my $method = $m->{method} // '';
    return { prompts => [ map { { name => $_, description => "p $_" } }
                          sort keys %{ $s->{prompts} } ] }
        if $method eq 'prompts/list' && $s->{prompts};
    return { resources => [ map { { uri => $_, name => "r $_" } }
                            sort keys %{ $s->{resources} || {} } ] }
        if $method eq 'resources/list';
    return { resourceTemplates => [ map { { uriTemplate => $_, name => $_ } }
                                    @{ $s->{templates} } ] }
        if $method eq 'resources/templates/list' && $s->{templates};
    return undef;
}

sub item {
    my ($s, $m) = @_;
    my ($method, $p) = ($m->{method} // '', $m->{params} || {});
    return $s->{prompts}{ $p->{name} // '' } if $method eq 'prompts/get';
    return $s->{resources}{ $p->{uri} // '' } || $s->{read}
        if $method eq 'resources/read';
    return $s->{complete} if $method eq 'completion/complete';
    return undef;
}


sub dispatch {
    my ($s, $q, $m, $c, $base) = @_;
    my $method = $m->{method} // '';
    my %cached = %$base ? (ttlMs => 0, cacheScope => 'public') : ();
    my $result;

    if ($method eq 'server/discover' && %$base) {
        $result = { %$base, %cached, supportedVersions => $s->{versions},
                    capabilities => capabilities($s) };
    } elsif ($method eq 'ping') {
        $result = {};
    } elsif ($s->{list}{$method}) {
        $result = { %$base, %cached, %{ $s->{list}{$method}->($m) } };
    } elsif ($method eq 'tools/list') {
        $result = { %$base, %cached, tools => [ map { {
            name => $_, description => "the tool $_",
            inputSchema => { type => 'object' } } }
            sort keys %{ $s->{tools} } ] };
    } elsif (my $list = listed($s, $m)) {
        $result = { %$base, %cached, %$list };
    } elsif (my $item = item($s, $m)) {
        $result = $item->($m->{params}, $m, $q);
    } elsif ($method eq 'tools/call') {
        my $tool = $s->{tools}{ $m->{params}{name} // '' }
            or return problem(200, $m->{id}, -32602, 'unknown tool');
        $result = $tool->($m->{params}{arguments}, $m, $q);
        $result = { content => [ { type => 'text', text => "$result" } ] }
            unless ref $result;
        return problem(200, $m->{id}, @{ $result->{error} }
                       {qw(code message data)}) if $result->{error};
    } else {
        return problem(%$base ? 404 : 200, $m->{id}, -32601,
                       'method not found');
    }

    my @before = @{ delete $result->{sse} || [] };
    $result = { %$base, %{ $result->{result} || $result } };
    my $answer = { jsonrpc => '2.0', id => $m->{id}, result => $result };

    return [200, ['Content-Type' => 'application/json'],
            json_encode($answer)] unless $s->{sse} || @before;

    # a stream: each message its own write, so that buffering shows
    $c->send_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                 . "Cache-Control: no-cache\r\nConnection: close\r\n\r\n");
    for my $message (@before, $answer) {
        if (!ref $message) { select undef, undef, undef, $message; next; }
        $c->send_raw('event: message' . "\n" . 'data: '
                     . json_encode($message) . "\n\n");
    }
    return undef;
}


# ---- the real ones -------------------------------------------------------

# transport => 'sse': of 2024-11-05, at /sse.

sub mcp_everything {
    my ($self, %o) = @_;
    $self->has('node');
    my $name = $o{name} || 'everything';
    my $port = $self->port($name);
    my $dir = "$Test::Stoa::Base::PARTS/node";

    $self->start($name, cwd => $dir, foreign => 1,
        argv => ['node', '-r', "$dir/loopback.cjs",
                 "$dir/node_modules/.bin/mcp-server-everything",
                 $o{transport} || 'streamableHttp'],
        env => { PORT => $port });
    $self->listening($name, $port);
    return $port;
}


# The Python SDK's, by HTTP+SSE of 2024-11-05 at /sse.

sub mcp_python_sse {
    my ($self, %o) = @_;
    $self->has('python');
    my $name = $o{name} || 'pysse';
    my $port = $self->port($name);

    $self->start($name, foreign => 1, argv => [
        "$Test::Stoa::Base::PARTS/python/venv/bin/python",
        "$Test::Stoa::Base::ROOT/t/sdk/sse_server.py", $port]);
    $self->listening($name, $port);
    return $port;
}


# stateless => 1 (default): both eras; 0: legacy with sessions.

sub mcp_go {
    my ($self, %o) = @_;
    $self->has('go');
    my $name = $o{name} || 'go';
    my $port = $self->port($name);
    my $stateless = ($o{stateless} // 1) ? 'true' : 'false';

    $self->start($name, foreign => 1,
        argv => ["$Test::Stoa::Base::PARTS/go/bin/everything-server",
                 "-http=127.0.0.1:$port", "-stateless=$stateless"]);
    $self->listening($name, $port);
    return $port;
}


sub listening {
    my ($self, $name, $port) = @_;
    my $ok = wait_until {
        return -1 unless $self->alive($name);
        my $c = Test::Stoa::HTTP->connect($port) or return 0;
        $c->close;
        return 1;
    } 30;
    $self->give_up("$name does not listen") unless $ok == 1;
}


# ---- a client in one line ------------------------------------------------

my $next_id = 1;

# mcp(path, method, params, era => 'modern'|'legacy', version =>, session =>,
# id =>, key =>, headers => {}, wrap => what becomes of the body, and what
# Test::Stoa::http takes).

sub mcp {
    my ($self, $path, $method, $params, %o) = @_;
    my $modern = ($o{era} || 'modern') eq 'modern';
    my $version = $o{version} || ($modern ? $MODERN : $LEGACY[0]);
    my $p = $params ? { %$params } : undef;
    my %h = (Accept => 'application/json, text/event-stream',
             'Content-Type' => 'application/json');

    if ($modern) {
        $p = { %{ $p || {} }, _meta => {
            "$NS/protocolVersion" => $version,
            "$NS/clientCapabilities" => {},
            %{ $p->{_meta} || {} } } };
        $h{'Mcp-Method'} = $method;
        $h{'Mcp-Name'} = $p->{name} if defined $p->{name};
        $h{'Mcp-Name'} = $p->{uri} if $method eq 'resources/read';
    }
    $h{'MCP-Protocol-Version'} = $version
        if $modern || $method ne 'initialize';
    $h{'Mcp-Session-Id'} = $o{session} if defined $o{session};

    my $notification = $method =~ m{^notifications/};
    my $body = json_encode({ jsonrpc => '2.0', method => $method,
        $notification ? () : (id => $o{id} // $next_id++),
        $p ? (params => $p) : () });

    $body = $o{wrap}->($body) if $o{wrap};
    my $r = $self->http('POST', $path, %o, body => $body,
        headers => { %h, %{ $o{headers} || {} } });
    $r->{events} = events($r);
    $r->{rpc} = $r->{json} || $r->{events}[-1];
    $r->{session} = $r->{headers}{'mcp-session-id'};
    return $r;
}

sub events {
    my ($r) = @_;
    return [] unless ($r->{headers}{'content-type'} // '')
                     =~ m{^text/event-stream};
    return [ map { json_decode(join "\n", $_ =~ /^data: ?(.*)$/mg) }
             grep { /^data: ?\{/m } split /\n\n/, $r->{body} ];
}

# A legacy session: (session id, result of initialize).

sub mcp_session {
    my ($self, $path, %o) = @_;
    my $r = $self->mcp($path, 'initialize', {
        protocolVersion => $o{version} || $LEGACY[0], capabilities => {},
        clientInfo => { name => 'test', version => '1' } },
        %o, era => 'legacy');
    return (undef, $r) unless $r->{rpc} && $r->{rpc}{result};
    $self->mcp($path, 'notifications/initialized', undef, %o,
        era => 'legacy', session => $r->{session});
    return ($r->{session}, $r);
}


for my $name (qw(mcp_origin mcp_everything mcp_go mcp_python_sse listening mcp mcp_session))
{
    no strict 'refs';
    *{"Test::Stoa::$name"} = \&$name;
}


1;
