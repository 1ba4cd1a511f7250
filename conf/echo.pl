#!/usr/bin/perl
#
# What the demo publishes: a REST API that tells what it was sent, and an MCP
# server with two tools, in both generations of the protocol.  For "make run"
# alone: one connection a process, nothing but core Perl.
#
#   conf/echo.pl 127.0.0.1:8500
#
#   /mcp          the MCP server: echo, add
#   /anything     answers with method, path, query, headers and body, as JSON

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP;

my $NS = 'io.modelcontextprotocol';
my $BODY_MAX = 1024 * 1024;
my @VERSIONS = qw(2026-07-28 2025-11-25 2025-06-18 2025-03-26);
my $json = JSON::PP->new->utf8->canonical;

my %tools = (
    echo => {
        definition => {
            title => 'Echo', description => 'Says what it was told.',
            inputSchema => { type => 'object', required => ['text'],
                properties => { text => { type => 'string' } } },
        },
        call => sub { my $text = $_[0]{text} // ''; return "$text" },
    },
    add => {
        definition => {
            title => 'Add', description => 'Adds two numbers.',
            inputSchema => { type => 'object', required => ['a', 'b'],
                properties => { a => { type => 'number' },
                                b => { type => 'number' } } },
        },
        call => sub { no warnings; return '' . ($_[0]{a} + $_[0]{b}) },
    },
);

my %server = (
    capabilities => { tools => {} },
    serverInfo => { name => 'demo', version => '1' },
);


# Results by method; undef: there is no such method.

sub mcp_result {
    my ($method, $params) = @_;

    return { %server, protocolVersion =>
             (grep { $_ eq ($params->{protocolVersion} // '') }
              @VERSIONS[1 .. $#VERSIONS])[0] // $VERSIONS[1] }
        if $method eq 'initialize';
    return { %server, supportedVersions => \@VERSIONS, ttlMs => 300000,
             cacheScope => 'public' } if $method eq 'server/discover';
    return {} if $method eq 'ping';
    return { ttlMs => 300000, cacheScope => 'public', tools => [
             map { { name => $_, %{ $tools{$_}{definition} } } }
             sort keys %tools ] } if $method eq 'tools/list';

    if ($method eq 'tools/call') {
        my $tool = $tools{ $params->{name} // '' } or return;
        my $arguments = $params->{arguments};
        return { content => [ { type => 'text', text => $tool->{call}->(
                 ref $arguments eq 'HASH' ? $arguments : {}) } ] };
    }
    return;
}


sub mcp {
    my ($q) = @_;
    return (405, '') if $q->{method} ne 'POST';

    my $m = eval { $json->decode($q->{body}) };
    return (400, $json->encode({ jsonrpc => '2.0', id => undef,
            error => { code => -32700, message => 'no JSON object' } }))
        if ref $m ne 'HASH';
    return (202, '') unless defined $m->{id} && defined $m->{method};

    my $params = ref $m->{params} eq 'HASH' ? $m->{params} : {};
    my %answer = (jsonrpc => '2.0', id => $m->{id});
    my $result = mcp_result($m->{method}, $params);

    if (!$result) {
        $answer{error} = { code => -32601, message => 'there is no such '
                           . ($m->{method} eq 'tools/call' ? 'tool'
                                                           : 'method') };
    } else {
        @$result{qw(resultType _meta)} =
            ('complete', { "$NS/serverInfo" => $server{serverInfo} })
            if ref $params->{_meta}
               && defined $params->{_meta}{"$NS/protocolVersion"};
        $answer{result} = $result;
    }
    return (200, $json->encode(\%answer));
}


sub rest {
    my ($q) = @_;
    return (200, $json->encode({ map { $_ => $q->{$_} }
                                 qw(method path query headers body) }));
}


# One request; undef at the end of the connection or for what is no request.

sub request {
    my ($c) = @_;
    my $line = <$c> // return;
    my ($method, $target) = $line =~ m{^([A-Z]+) (\S+) HTTP/1\.[01]\r\n}
        or return;
    my ($path, $query) = split /\?/, $target, 2;
    my %q = (method => $method, path => $path, query => $query // '',
             headers => {}, body => '');

    while (defined($line = <$c>) && $line ne "\r\n") {
        $q{headers}{lc $1} = $2 if $line =~ /^([^:\s]+):[ \t]*(.*?)\s*$/;
    }
    my $length = $q{headers}{'content-length'} // 0;
    return if $length !~ /^\d{1,7}$/ || $length > $BODY_MAX
              || read($c, $q{body}, $length) != $length;
    return \%q;
}


my $address = shift // '127.0.0.1:8500';
my $listen = IO::Socket::INET->new(LocalAddr => $address, Listen => 64,
    ReuseAddr => 1) or die "echo: cannot listen at $address: $@\n";

$SIG{CHLD} = 'IGNORE';
my $parent = $$;

while (1) {
    my $c = $listen->accept or next;
    next if fork // 1;          # too many: the caller meets a closed socket
    close $listen;
    my $idle_s = 0;
    $SIG{ALRM} = sub { exit 0 if getppid != $parent || ++$idle_s > 60;
                       alarm 1 };
    alarm 1;
    while (1) {
        $idle_s = 0;
        my $q = request($c) // last;
        my ($status, $body) = ($q->{path} eq '/mcp' ? \&mcp : \&rest)->($q);
        print $c "HTTP/1.1 $status OK\r\nContent-Type: application/json\r\n",
            'Content-Length: ', length $body, "\r\n\r\n",
            $q->{method} eq 'HEAD' ? '' : $body;
        $c->flush;
    }
    exit 0;
}
