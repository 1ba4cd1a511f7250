package Test::Stoa::Matrix;

# Clients of MCP as their users have them, and the real servers, for the
# matrix of both (t/mcp/matrix.t).  Those with full => 1 are of the part
# "matrix", which "make test-matrix" has.

use strict;
use warnings;

use Test::Stoa::Base qw(wait_until slurp spew json_decode json_encode);
use Test::Stoa::MCP;

my $parts = $Test::Stoa::Base::PARTS;
my $sdk = "$Test::Stoa::Base::ROOT/t/sdk";
my $python = sub { my ($dir, $kind) = @_;
    return ["$parts/$dir/bin/python", "$sdk/jobs.py", $kind] };
my $node = sub { return ['node', "$sdk/jobs.mjs", @_] };

# name, program, modes; all read jobs as t/sdk/jobs.mjs has them

our @CLIENTS = (
    { name => 'TypeScript 1.32', argv => $node->('v1'), modes => ['default'] },
    { name => 'TypeScript 2.4', argv => $node->('v2'),
      modes => [qw(default auto 2026-07-28)] },
    { name => 'Python 2.3', argv => $python->('python/venv', 'v2'),
      modes => [qw(default legacy 2026-07-28)] },
    { name => 'Python 1.30', argv => $python->('clients/venv', 'v1'),
      modes => ['default'] },
    { name => 'TypeScript 1.32, SSE', argv => $node->('sse'),
      modes => ['default'] },
    { name => 'Python 1.30, SSE', argv => $python->('clients/venv', 'sse'),
      modes => ['default'] },
    { name => 'Go 1.8', argv => ["$parts/clients/go-client"],
      modes => [qw(default 2025-11-25)] },
    { name => 'Python 1.9', argv => $python->('matrix/mcp0', 'v1'),
      modes => ['default'], full => 1 },
    (map { { name => "FastMCP $_", argv => $python->("matrix/fastmcp$_",
             'fastmcp'), modes => ['default'], full => 1 } } 2 .. 4),
    { name => 'mcp-go 1.2', argv => ["$parts/matrix/mcpgo-client"],
      modes => [qw(default 2025-11-25)], full => 1 },
    { name => 'Rust 3.11', argv => ["$parts/matrix/rust-client"],
      modes => [qw(default auto 2026-07-28)], full => 1 },
    { name => 'Java 2.1', argv => ['java', '-cp',
          "$parts/matrix/java:$parts/matrix/java/*", 'Client'],
      modes => ['default'], full => 1 },
    { name => 'mcp-remote 0.15', argv => $node->('remote'),
      modes => ['default'], full => 1 },
    { name => 'Inspector 2.12', argv => $node->('inspector'),
      modes => ['default'], full => 1 },
);


# name, how it is started, how many tools, a tool, its arguments, what its
# answer is like; alone: not federated with the others

sub scripted { my ($t, $name, $tools) = @_;
               return $t->mcp_origin(name => $name, tools => $tools) }

sub bridged {
    my ($t, $name, @argv) = @_;
    my $port = $t->port($name);
    $t->start($name, foreign => 1, argv => ['node', '-r',
        "$parts/node/loopback.cjs", map { s/%PORT/$port/r } @argv]);
    $t->listening($name, $port);
    return $port;
}

our @UPSTREAMS = (
    { name => 'go', title => 'Go, stateless', tool => 'test_simple_text',
      start => sub { $_[0]->mcp_go(name => 'go') }, like => qr/simple text/ },
    { name => 'old', title => 'Go, sessions', tool => 'test_simple_text',
      start => sub { $_[0]->mcp_go(name => 'old', stateless => 0) },
      like => qr/simple text/ },
    { name => 'ev', title => 'server-everything', tool => 'echo',
      start => sub { $_[0]->mcp_everything(name => 'ev') },
      arguments => { message => 'hello' }, like => qr/hello/ },
    { name => 'first', title => 'server-everything, SSE', tool => 'echo',
      start => sub { return { path => '/sse', port => $_[0]->mcp_everything(
          name => 'first', transport => 'sse') } },
      arguments => { message => 'hello' }, like => qr/hello/ },
    { name => 'new', title => '2026-07-28 only', tool => 'echo',
      start => sub { $_[0]->mcp_origin(name => 'new', era => 'modern') },
      like => qr/\{/ },
    { name => 'big', title => '1,200 tools', tool => 'tool1199', tools => 1200,
      start => sub { scripted($_[0], 'big', { map { my $n = $_;
          (sprintf('tool%04d', $n) => sub { "this is $n" }) } 0 .. 1199 }) },
      like => qr/this is 1199/ },
    { name => 'fs', title => 'filesystem', tool => 'list_allowed_directories',
      full => 1, like => qr/files/, start => sub {
          mkdir $_[0]->dir('files');
          bridged($_[0], 'fs', "$parts/matrix/node_modules/.bin/supergateway",
              '--stdio', "$parts/matrix/node_modules/.bin/"
              . 'mcp-server-filesystem ' . $_[0]->dir('files'),
              qw(--outputTransport streamableHttp --port %PORT --stateful
                 --logLevel none)) } },
    { name => 'mem', title => 'memory', tool => 'read_graph', full => 1,
      like => qr/entities/, start => sub {
          local $ENV{MEMORY_FILE_PATH} = $_[0]->dir('memory.jsonl');
          bridged($_[0], 'mem', "$parts/matrix/node_modules/.bin/mcp-proxy",
              qw(--port %PORT --host 127.0.0.1 --server stream --),
              "$parts/matrix/node_modules/.bin/mcp-server-memory") } },
    { name => 'fm', title => 'FastMCP 4', tool => 'add', full => 1,
      arguments => { a => 2, b => 3 }, like => qr/5/, start => sub {
          my ($t) = @_;
          my $port = $t->port('fm');
          $t->write_file('fm.py', <<'END');
import sys
from fastmcp import FastMCP
m = FastMCP("fm")


@m.tool
def add(a: int, b: int) -> int:
    return a + b


m.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]))
END
          $t->start('fm', foreign => 1, argv => [
              "$parts/matrix/fastmcp4/bin/python", $t->dir('fm.py'), $port]);
          $t->listening('fm', $port);
          return $port } },
);


# Runs clients, two at a time: [[argv, jobs], ...] -> their answers.

sub run {
    my ($t, @work) = @_;
    my (@running, @names);

    for my $i (0 .. $#work) {
        my ($argv, $jobs) = @{ $work[$i] };
        my $in = spew($t->dir("client$i.in"), json_encode($jobs));
        wait_until { @running = grep { $t->alive($_) } @running;
                     @running < 2 } 600;
        $t->start("client$i", foreign => 1,
            argv => ['sh', '-c', 'exec "$@" <"$0"', $in, @$argv],
            env => { STOA_NODE_DIR => "$parts/node",
                     STOA_MATRIX_DIR => "$parts/matrix", HOME => $t->dir });
        push @running, "client$i";
        push @names, "client$i";
    }
    wait_until { !grep { $t->alive($_) } @running } 600;
    return map { my $name = $_; [ map { json_decode($_) // () }
        grep { /^\{/ } split /\n/, slurp($t->dir("$name.out")) ] } @names;
}


1;
