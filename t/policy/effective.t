#!/usr/bin/perl

# What effective-policies says is what calls get: random policies, states,
# scopes and orders, and for each place the view beside a call, in a location
# with stoa, with stoa_protect, and on MCP.  STOA_SEED repeats a run,
# STOA_ROUNDS makes more tenants.

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Stoa;
use Test::Stoa::MCP;
use Test::Stoa::Docs;

my $seed = $ENV{STOA_SEED} || time ^ $$;
srand $seed;
my $t = Test::Stoa->new->has('module', 'control');
$t->control(args => ['--access-log=false']);

my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q) = @_;
    my ($in) = ($q->{query} // '') =~ /^in=([\w.-]+)/;
    return [$in ? 302 : 200, ['Content-Type' => 'application/json',
            $in ? (Location => "http://$in.in/x") : ()],
            json_encode($q->{headers})];
});
my $seen = sub { json_encode($_[2]{headers}) };
my $mcp = $t->mcp_origin(name => 'm', tools => { one => $seen, two => $seen });

sub any { return $_[rand @_] }
my %config = (
    headers => sub { { response_add => [{ name => 'X-P', value => $_[0] }],
                       request_add => [{ name => 'X-Q', value => $_[0] }] } },
    cors => sub { { origins => ["https://$_[0].o"] } },
    'response-locations' => sub { { inside => ["http://$_[0].in"] } },
    'ip-filter' => sub { { deny => [rand() < 0.15 ? '127.0.0.0/8'
                                    : '10.0.0.0/8'] } },
    'body-limit' => sub { { max_bytes => any(100, 200, 300, 400) } },
    'require-token' => sub { { keys => rand() < 0.85 ? \1 : \0 } },
    'upstream-credential' => sub { { kind => 'header', header => 'X-Cred',
                                     value => '${secret:s}-' . $_[0] } },
    rate => sub { {} },
);
my @all = qw(gtenant tenant server rest mcp operation tool plan application);
my %on = (headers => \@all, 'ip-filter' => \@all, 'body-limit' => \@all,
    cors => [qw(gtenant tenant server rest)],
    'response-locations' => [qw(gtenant tenant rest)],
    'require-token' => [@all[0 .. 6]], rate => ['plan'],
    'upstream-credential' => [qw(rest mcp)]);
my %single = map { ($_ => 1) } qw(cors response-locations
    upstream-credential rate);
my %item = (gtenant => sub { { tenant => $_[0] } },
    tenant => sub { { tenant => $_[0] } }, server => sub { { server => 's' } },
    rest => sub { { api => 'r' } }, mcp => sub { { api => 'm' } },
    operation => sub { { api => 'r', operation => any(qw(one two)) } },
    tool => sub { { api => 'm', tool => any(qw(one two)) } },
    plan => sub { { plan => any(qw(pa pb)) } },
    application => sub { { application => any(qw(aa ab)) } });

my (@docs, @policies, %used);
my $named = 0;

sub policy {
    my ($tenant, $type, $global, $attach) = @_;
    my $name = sprintf 'p%d-%d', rand 1000, $named++;  # another order
    push @policies, doc($global ? 'GlobalPolicy' : 'Policy',
        $global ? undef : $tenant, $name, { type => $type, attach => $attach,
        state => any(qw(enabled enabled enabled shadow disabled)),
        config => $config{$type}->($name) });
}

my @tenants = map { "t$_" } 1 .. $ENV{STOA_ROUNDS} || 5;
for my $tn (@tenants) {
    push @docs, tenant($tn), doc('Secret', $tn, 's', { value => 'sec' }),
        (map { plan($tn, $_, rand() < 0.3 ? (rate => 1000) : ()) } qw(pa pb)),
        app($tn, 'aa'), app($tn, 'ab'),
        rest($tn, 'r', $to, base_path => "/p/$tn",
             identity => any('none', 'headers'),
             max_body_bytes => any(350, 1000), operations => [
             map { { name => $_, method => 'POST', path => "/$_" } }
             qw(one two)]),
        doc('Api', $tn, 'm', { kind => 'mcp', state => 'published',
            upstream => { targets => [{ url =>
                "http://127.0.0.1:$mcp/mcp" }] } });
    push @policies, doc('Server', $tn, 's', { state => 'published',
        prefix => 'never', tools => [map { { api => 'm', tool => $_ } }
                                     qw(one two)] }),
        map { my ($a, $p) = @$_;
              (sub_($tn, $a, 'r', $p), sub_($tn, $a, 'm', $p),
               doc('Subscription', $tn, undef, { application => $a,
                   server => 's', plan => $p })) } ['aa', 'pa'], ['ab', 'pb'];

    for (1 .. 10) {
        my $type = any('headers', 'headers', sort keys %on);
        my ($global, %there, @attach);
        for (0 .. rand 3) {
            my $where = any(@{ $on{$type} });
            my $g = $where eq 'gtenant' ? 1 : 0;
            my $item = $item{$where}->($tn);
            my $at = join ' ', $type, $g, %$item{sort keys %$item};
            next if ($global // $g) != $g || $there{$at}++
                || ($single{$type} && $used{"$tn $at"}++);
            $global = $g;
            push @attach, { %$item, order => int rand 4 };
        }
        policy($tn, $type, $global, \@attach) if @attach;
    }
}
for my $type (qw(headers cors response-locations body-limit)) {
    policy(undef, $type, 1, [{ gateway_group => 'default' }])
        if rand() < 0.7;
}

$t->apply(docs(doc('GatewayGroup', undef, 'default'), @docs));
for my $tn (@tenants) {
    wait_until { @{ $t->api('GET', "/v1/tenants/$tn/apis/m/tools")
                 ->{json}{items} || [] } == 2 } 30 or $t->give_up('no tools');
}
$t->apply(docs(@policies));
$t->gateway(server => join '', map { "location /p/$_/ { stoa_protect "
    . "tenant=$_ api=r; proxy_pass $to/; }\n" } @tenants);
my %key = map { my $tn = $_; map { ("$tn $_" => $t->key($tn, $_)) }
                qw(aa ab) } @tenants;
$t->sync;


# The verdict of what is in force and enabled, in this order.

sub verdict {
    my ($len, $list, @on) = @_;
    for my $p (@on) {
        my ($type, $c) = @$p{qw(type config)};
        return 'ip_denied' if $type eq 'ip-filter'
            && grep { $_ eq '127.0.0.0/8' } @{ $c->{deny} };
        return 'body_too_large' if $type eq 'body-limit'
            && $len > $c->{max_bytes};
        return 'role_required' if $type eq 'require-token' && !$list
            && !$c->{keys};               # lists show what may be called
    }
    return 'ok';
}

my $compared = 0;
sub differs {
    my ($where, $what, $got, $want, $view) = @_;
    $compared++;
    return if $got eq $want;
    fail("$where: $what");
    diag("STOA_SEED=$seed\ngot $got, the view says $want:\n",
         map { json_encode($_) . "\n" } @$view);
}

sub compare {
    my ($tn, $app, $plan, $kind, $part) = @_;
    my $rest = $kind =~ /^(?:stoa|protect)$/;
    my $where = "$tn $app $kind $part";
    my $view = $t->must(GET => "/v1/tenants/$tn/effective-policies?"
        . "gateway_group=default&application=$app"
        . ($kind eq 'list' ? '' : "&plan=$plan")
        . ($rest ? '&api=r' . ($part eq 'none' ? '' : "&operation=$part")
           : $kind =~ /list/ ? '' : "&api=m&tool=$part")
        . ($kind =~ /server/ ? '&server=s' : ''))->{items};
    my @in = grep { $_->{in_force} } @$view;
    my @on = grep { $_->{state} eq 'enabled' } @in;
    my %one = map { ($_->{type} => $_) } grep { $single{$_->{type}} } @on;
    my %named = map { my $type = $_; ($type => any(map { $_->{policy} // () }
        grep { $_->{type} eq $type } @$view)) } qw(cors response-locations);
    my $size = any(50, 150, 250, 320, 380);
    my ($r, $len);

    if ($rest) {
        my $in = $named{'response-locations'} // 'nix';
        $len = $size;
        $r = $t->http('POST', ($kind eq 'stoa' ? "/apis/$tn/r" : "/p/$tn")
            . "/$part?in=$in", key => $key{"$tn $app"}, body => 'x' x $size,
            headers => { $named{cors} ? (Origin => "https://$named{cors}.o")
                         : () });
    } else {
        my $tool = $kind eq 'tenant' ? "m__$part" : $part;
        $r = $t->mcp("/mcp/$tn" . ($kind =~ /server/ ? '/s' : ''),
            $kind =~ /list/ ? ('tools/list', { _meta => { x => 'x' x $size } })
            : ('tools/call', { name => $tool, arguments => {},
                               _meta => { x => 'x' x $size } }),
            key => $key{"$tn $app"}, wrap => sub { $len = length $_[0];
                                                   return $_[0] });
    }

    my $want = verdict($len, $kind =~ /list/ ? 1 : 0, @on);
    my $got = $r->{json}{code} // $r->{rpc}{error}{data}{code}
        // ($r->{status} =~ /^(?:200|302)$/ ? 'ok' : $r->{status});
    differs($where, 'verdict', $got, $want, $view);
    return if $got ne 'ok' || $want ne 'ok';

    my $h = $r->{headers};
    my $names = join ', ', map { $_->{policy} }
        grep { $_->{type} eq 'headers' } @on;
    differs($where, 'the answer', $h->{'x-p'} // '', $names, $view);
    differs($where, 'the limits', defined $h->{ratelimit} ? 1 : 0,
            (grep { $_->{type} eq 'rate' && $_->{source} eq 'plan' } @on)
            ? 1 : 0, $view) if $kind !~ /list/;

    if ($rest) {
        my $is = sub { ($one{$_[0]}{policy} // '') eq ($named{$_[0]} // '-') };
        differs($where, 'cors', $h->{'access-control-allow-origin'} // '',
                $is->('cors') ? "https://$named{cors}.o" : '', $view);
        differs($where, 'locations', $h->{location} =~ m{^/apis} ? 1 : 0,
                $kind eq 'stoa' && $is->('response-locations') ? 1 : 0,
                $view);
    }
    return if $kind =~ /list/;
    my $up = $rest ? json_decode($r->{body})
        : json_decode($r->{rpc}{result}{content}[0]{text});
    differs($where, 'the request', $up->{'x-q'} // '', $names, $view);
    differs($where, 'the credential', $up->{'x-cred'} // '',
            $one{'upstream-credential'}
            ? "sec-$one{'upstream-credential'}{policy}" : '', $view);
    differs($where, 'the identity', $up->{'x-stoa-application'} // '',
            (grep { $_->{type} eq 'identity' } @on) ? $app : '', $view);
}

for my $tn (@tenants) {
    for (['aa', 'pa'], ['ab', 'pb']) {
        my ($app, $plan) = @$_;
        compare($tn, $app, $plan, @$_) for map({ my $part = $_;
            map { [$_, $part] } qw(stoa protect tenant server) } qw(one two)),
            ['stoa', 'none'], ['list', ''], ['server list', ''];
    }
}
cmp_ok($compared, '>', 20 * @tenants, 'calls were compared with the view');

$t->done;
