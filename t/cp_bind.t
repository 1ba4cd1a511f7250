#!/usr/bin/perl

# Names of tools in servers and subscriptions: bound when the tool is there,
# loose when it is not, whatever came first.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::MCP;

my $t = Test::Stoa->new;
$t->control;

my $names = $t->dir('names');
my $origin = $t->origin(sub {
    my ($q) = @_;
    my $m = json_decode($q->{body}) || {};
    return [202, [], ''] unless defined $m->{id};
    my $answer = { jsonrpc => '2.0', id => $m->{id} };
    if ($m->{method} eq 'initialize') {
        $answer->{result} = { protocolVersion => '2025-06-18',
            capabilities => { tools => {} },
            serverInfo => { name => 'x', version => '1' } };
    } elsif ($m->{method} eq 'tools/list') {
        $answer->{result} = { tools => [map { { name => $_,
            inputSchema => { type => 'object' } } }
            split ' ', slurp($names)] };
    } else {
        $answer->{error} = { code => -32601, message => 'no' };
    }
    return [200, ['Content-Type' => 'application/json'],
            json_encode($answer)];
});

my $acme = '/v1/tenants/acme';
$t->must(POST => '/v1/tenants', { name => 'acme' });
$t->must(POST => '/v1/gateway-groups', { name => 'g' });
my $gw = $t->must(POST => '/v1/gateways', { name => 'g', group => 'g' })
    ->{token};

sub feed {
    my %rows;
    for (split /\n/, $t->api(GET => '/gateway/v1/feed?since=0', undef,
        token => $gw)->{body})
    {
        my $row = json_decode($_);
        push @{ $rows{ $row->{kind} } }, $row->{body} if $row->{body};
    }
    return \%rows;
}

# What a server shows, as name=tool's own name.

sub shown {
    my $f = feed();
    my %tool = map { $_->{id} => $_->{name} } @{ $f->{tool} || [] };
    return join ' ', map { "$_->{name}=$tool{$_->{tool}}" }
        map { @{ $_->{tools} } } @{ $f->{server} || [] };
}

sub selected {
    my ($target) = @_;
    my $f = feed();
    my %tool = map { $_->{id} => $_->{name} } @{ $f->{tool} || [] };
    my ($sub) = grep { $_->{target_kind} eq $target }
        @{ $f->{subscription} || [] };
    return $sub->{tools}
        ? join(' ', sort map { $tool{$_} } @{ $sub->{tools} }) : 'all';
}

sub discover {
    spew($names, join ' ', @_);
    $t->must(POST => "$acme/apis/m/discover", undef, timeout => 30);
}

# everything is named before anything was found

spew($names, '');
$t->must(POST => "$acme/apis", { name => 'm', kind => 'mcp',
    upstream => { targets => [{ url => "http://127.0.0.1:$origin/" }] } });
$t->must(POST => "$acme/apis/m/publish");
$t->must(POST => "$acme/servers", { name => 's', tools => [
    { api => 'm', tool => 'add' }, { api => 'm', tool => 'sub' },
    { api => 'm', tool => 'add', alias => 'a.plus' }] });
$t->must(POST => "$acme/servers/s/publish");
$t->must(POST => "$acme/plans", { name => 'p' });
$t->must(POST => "$acme/applications", { name => 'app' });
my $api_sub = $t->must(POST => "$acme/subscriptions", { application => 'app',
    api => 'm', plan => 'p', tools => ['sub', 'later'] });
my $server_sub = $t->must(POST => "$acme/subscriptions", {
    application => 'app', server => 's', plan => 'p',
    tools => ['a.plus', 'm__sub'] });

is(shown(), '', 'nothing was found: nothing is shown');
is(selected('api'), '', 'and nothing may be called');

discover(qw(add sub other));
is(shown(), 'a.plus=add m__add=add m__sub=sub', 'found, by name, in order');
is(selected('api'), 'sub', 'the api\'s subscription');
is(selected('server'), 'add sub', 'the server\'s, by the names it shows');

discover(qw(add later));
is(shown(), 'a.plus=add m__add=add', 'what is gone is not shown');
is(selected('api'), 'later', 'what has come may be called');
is(selected('server'), 'add', 'what is gone may not');

discover(qw(add sub));
is(shown(), 'a.plus=add m__add=add m__sub=sub', 'it comes back');

$t->must(POST => "$acme/apis/m/tools/add/disable");
my ($add) = grep { $_->{name} eq 'add' } @{ feed()->{tool} };
is($add->{enabled}, JSON::PP::false, 'disabled, but there');

# changes of the server reach its subscriptions

$t->must(PATCH => "$acme/servers/s", { prefix => 'never' });
is(shown(), 'a.plus=add add=add sub=sub', 'without prefix');
is(selected('server'), 'add', 'm__sub is no name of the server now');
$t->must(PATCH => "$acme/subscriptions/$server_sub->{id}",
    { tools => ['sub'] });
is(selected('server'), 'sub', 'other tools');
$t->must(PATCH => "$acme/subscriptions/$server_sub->{id}",
    { tools => undef });
is(selected('server'), 'all', 'absent: all');

# an api that is not served takes its tools out

$t->must(POST => "$acme/apis/m/retire");
is(scalar @{ feed()->{tool} || [] }, 0, 'no tools of a retired api');
is($t->api(GET => '/v1/audit/verify')->{json}{ok}, JSON::PP::true,
    'the audit log is whole');

$t->done;
