#!/usr/bin/perl

# Random documents: what was applied is there, an apply of it or of the dump
# changes nothing, a prune leaves exactly what is named, gateways that follow
# the feed have it; and broken documents are refused, never a 5xx.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Feed;

my $seed = $ENV{STOA_SEED} // time;
my $rounds = $ENV{STOA_ROUNDS} // 25;
srand $seed;
note("STOA_SEED=$seed");

my $t = Test::Stoa->new;
$t->control;
my $gw = Test::Stoa::Feed->new($t, 'gw', 'g1');

sub post {
    my ($path, $docs) = @_;
    my $r = $t->api('POST', $path, ref $docs ? json_encode($docs) : $docs,
        headers => { 'Content-Type' => ref $docs ? 'application/json'
                                                 : 'application/yaml' });
    $r->{touched} = join ' ', map { "$_->{kind}/$_->{name}:$_->{action} "
        . json_encode($_->{diff}) }
        grep { $_->{action} ne 'none' } @{ $r->{json}{changes} || [] };
    return $r;
}

sub pick { return $_[rand @_] }
sub maybe { my ($p, @v) = @_; return rand() < $p ? @v : () }

sub doc {
    my ($kind, $meta, $spec) = @_;
    return { apiVersion => 'stoa/v1', kind => $kind, metadata => $meta,
             spec => $spec };
}

sub text {
    return join '', map { pick('a' .. 'z', ' ', '"', "'", ':', '#', '-',
        "\x{e9}", "\x{2603}", '{', '}', '[', ',', '&', '*', '!', '|', '>',
        '%', '@', '`', '\\', '~', '0' .. '9') } 1 .. 1 + rand 12;
}

# A set of documents that is whole in itself.  State is left to what can be
# reached from everywhere.

sub world {
    my @d = (doc('Tenant', { name => 'acme' }, { maybe(0.5, title => text()) }),
             doc('GatewayGroup', { name => 'g1' }, {}),
             doc('GatewayGroup', { name => 'g2' }, {}));
    my (%plan, %api, %app, %pair);

    for my $n (grep { rand() < 0.7 } 1 .. 4) {
        push @d, doc('Plan', { name => "p$n", tenant => 'acme' }, {
            maybe(0.5, rate => 1 + int rand 99,
                  maybe(0.3, burst => int rand 9)),
            maybe(0.3, limit_by => pick(qw(application credential))),
            maybe(0.4, title => text()) });
        $plan{"p$n"} = 1;
    }
    for my $n (grep { rand() < 0.7 } 1 .. 5) {
        my %ops;
        my @ops = map { my $p = "/$_" . (rand() < 0.5 ? '/{id}' : '');
            +{ maybe(0.7, name => "op$_"), method => pick(qw(GET POST)),
              path => $p, maybe(0.5, state => pick(qw(enabled disabled))) } }
            grep { rand() < 0.5 } 1 .. 4;
        push @d, doc('Api', { name => "a$n", tenant => 'acme' }, {
            kind => 'rest', state => 'published', operations => \@ops,
            upstream => { targets => [ map { +{ url => "http://h$_:8$_/x",
                maybe(0.5, weight => 1 + int rand 9) } } 1 .. 1 + rand 3 ],
                maybe(0.3, retries => int rand 3),
                maybe(0.3, tls => { verify => pick(JSON::PP::true(),
                                                   JSON::PP::false()) }) },
            maybe(0.3, base_path => "/b$n"), maybe(0.4, title => text()),
            maybe(0.4, description => text() . "\n" . text()),
            maybe(0.4, gateway_groups => [maybe(0.5, 'g1'), 'g2']),
            maybe(0.3, ip_allow => ['10.0.0.0/8']),
            maybe(0.3, spec => { openapi => '3.1.0', text() => [text(), 1.5,
                                 { text() => undef }] }),
        });
        $api{"a$n"} = 1;
    }
    for my $n (grep { rand() < 0.7 } 1 .. 4) {
        push @d, doc('Application', { name => "x$n", tenant => 'acme' }, {
            maybe(0.4, title => text()),
            state => pick(qw(active suspended)) });
        $app{"x$n"} = 1;
    }
    if (%plan && %api && %app) {
        for (1 .. rand 6) {
            my ($x, $a) = (pick(sort keys %app), pick(sort keys %api));
            next if $pair{"$x $a"}++;
            push @d, doc('Subscription', { tenant => 'acme' }, {
                application => $x, api => $a, plan => pick(sort keys %plan),
                state => pick(qw(active suspended)) });
        }
    }
    return [sort { rand() <=> 0.5 } @d];
}

my $bad = '';
my $say = sub { $bad .= join(' ', @_) . "\n" };

for my $n (1 .. $rounds) {
    my $docs = world();
    my $r = post('/v1/diff?prune=1&max_delete=1000', $docs);
    $say->("round $n: diff $r->{status} $r->{body}") if $r->{status} != 200;
    my $told = $r->{touched};

    $r = post('/v1/apply?prune=1&max_delete=1000', $docs);
    if ($r->{status} !~ /^20[02]$/) {
        $say->("round $n: apply $r->{status} $r->{body}");
        next;
    }
    $say->("round $n: diff told\n  $told\n  but was\n  $r->{touched}")
        if $told ne $r->{touched};

    $r = post('/v1/apply?prune=1&max_delete=0', $docs);
    $say->("round $n: again: $r->{status} $r->{touched}")
        if $r->{touched} ne '' || $r->{status} !~ /^20/;

    my $dump = $t->api('GET', '/v1/dump')->{body};
    my $docs_in_dump = () = $dump =~ /^---$/mg;
    $say->("round $n: $docs_in_dump of " . @$docs . ' in the dump')
        if $docs_in_dump != @$docs;
    $r = post('/v1/apply?prune=1&max_delete=0', $dump);
    $say->("round $n: dump: $r->{status} $r->{touched} $r->{body}")
        if $r->{touched} ne '' || $r->{status} !~ /^20/;
    $say->("round $n: another dump")
        if $t->api('GET', '/v1/dump')->{body} ne $dump;

    $gw->pull;
    $gw->status;
    $say->("round $n: the gateway is " . $gw->shown->{sync})
        if $gw->shown->{sync} ne 'in-sync';

    # one thing broken: refused, and nothing changed

    my $text = json_encode($docs);
    for (1 .. 8) {
        my $broken = $text;
        my $at = int rand length $broken;
        pick(sub { substr($broken, $at, 1) = chr rand 256 },
             sub { substr($broken, $at, 1 + rand 20) = '' },
             sub { substr($broken, $at, 0) = substr $broken, rand $at,
                   rand 40 },
             sub { $broken =~ s/"[a-z]\d"/"zz"/ },
             sub { $broken =~ s/"rate":\d+/"rate":-1/ })->();
        for my $type (qw(json yaml)) {
            my $b = $t->api('POST', '/v1/diff', $broken, headers => {
                'Content-Type' => "application/$type" });
            $say->("round $n: $type $b->{status} $b->{body}\n  $broken")
                if $b->{status} !~ /^(?:200|4\d\d)$/;
        }
    }
    $say->("round $n: a diff changed something")
        if $t->api('GET', '/v1/dump')->{body} ne $dump;
}
is($bad, '', "$rounds rounds (STOA_SEED=$seed)");

my $verify = $t->must('GET', '/v1/audit/verify');
ok($verify->{ok}, 'the audit chain is whole') or diag json_encode($verify);

$t->done;
