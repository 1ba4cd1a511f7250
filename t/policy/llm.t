#!/usr/bin/perl

# llm-tokens: what models used, by answers as their vendors give them, in any
# cut; budgets that calls at once cannot pass together, and that get back what
# was not used, however a call ends.

use FindBin;
use lib "$FindBin::Bin/../lib";
use IO::Compress::Gzip ();
use Test::Stoa;
use Test::Stoa::Docs;

my $t = Test::Stoa->new->has('module', 'control');
$t->control;

my @json = ('Content-Type' => 'application/json');
my @sse = ('Content-Type' => 'text/event-stream; charset=utf-8');
sub events { return join '', map { 'data: ' . (ref $_ ? json_encode($_) : $_)
                                   . "\n\n" } @_ }
my @chat = map { { choices => [{ index => 0, delta => { content => $_ } }] } }
    'Hello ', 'world, "usage":{"prompt_tokens":1}', ' and more';
my $of = 'gpt-4o-2024-08-06';
my %chat = (prompt_tokens => 19, completion_tokens => 10, total_tokens => 29);
my $start = { type => 'message_start', message => { content => [],
    usage => { input_tokens => 25, cache_read_input_tokens => 5,
               output_tokens => 1 } } };
my @rows = (
    chat => [@json], { model => $of, choices => [{ message => {
        content => 'hi' } }],
        usage => { %chat, prompt_tokens_details => { cached_tokens => 4 } } },
    messages => [@json], { content => [{ type => 'text', text => 'hi' }],
        usage => { input_tokens => 12, output_tokens => 6 } },
    responses => [@json], { output => [], usage => { input_tokens => 36,
        output_tokens => 87, total_tokens => 123 } },
    chats => [@sse], events(@chat, { choices => [], usage => \%chat },
                            '[DONE]'),
    messagess => [@sse], events($start, { type => 'content_block_delta',
        delta => { type => 'text_delta', text => 'Hello' } },
        { type => 'message_delta', usage => { output_tokens => 15 } }),
    responsess => [@sse], events({ type => 'response.output_text.delta',
        delta => 'x' }, { type => 'response.completed', response => {
        usage => { input_tokens => 3, output_tokens => 4 } } }),
    silent => [@sse], events(@chat, '[DONE]'),
    lies => [@json], { choices => [{ text => '","usage":{"prompt_tokens":1}' }],
        usage => { prompt_tokens => -5, completion_tokens => '7' } },
    huge => [@json], '{"usage":{"prompt_tokens":7,"completion_tokens":'
        . '99999999999999999999999}}',
    text => ['Content-Type' => 'text/plain'], 'words',
    much => [@json], { usage => { prompt_tokens => 500,
                                  completion_tokens => 1000 } },
);
my %answer;
while (my ($name, $head, $body) = splice @rows, 0, 3) {
    $answer{$name} = [200, $head, ref $body ? json_encode($body) : $body];
}
IO::Compress::Gzip::gzip(\$answer{chat}[2], \my $packed);
$answer{gzip} = [200, [@json, 'Content-Encoding' => 'gzip'], $packed];
$answer{"e$_"} = [$_, [@json], $answer{much}[2]] for 429, 500;

my $held = $t->dir('held');
my $to = 'http://127.0.0.1:' . $t->origin(sub {
    my ($q, $c) = @_;
    my ($how, $what) = $q->{path} =~ m{/(?:(\w+)-)?(\w+)$};
    my $a = $answer{$what} or return [404, [], ''];
    return [400, [], ''] if ($q->{headers}{'accept-encoding'} // '') ne
        ($q->{method} eq 'POST' ? 'identity' : '');
    return $a unless $how;
    my %h = @{ $a->[1] };
    my $head = "HTTP/1.1 $a->[0] x\r\nConnection: close\r\n"
        . join('', map { "$_: $h{$_}\r\n" } sort keys %h);
    if ($how eq 'held' || $how eq 'never') {   # until the test says so
        wait_until { !-e $held } 30;
        return $a if $how eq 'held';
    }
    $c->send_raw("${head}Transfer-Encoding: chunked\r\n\r\n");
    if ($how eq 'chunks') {
        $c->send_raw(sprintf "%x\r\n%s\r\n", length, $_)
            for $a->[2] =~ /.{1,7}/gs;
        $c->send_raw("0\r\n\r\n");
        return undef;
    }

    # the beginning of a stream: 30 tokens asked, 4000 bytes said

    my $text = events($start, { type => 'content_block_delta', delta => {
        type => 'text_delta', text => 'four' x 1000 } });
    $c->send_raw(sprintf "%x\r\n%s\r\n", length $text, $text);
    wait_until { !-e $held } 30 if $how eq 'begun';
    return undef;
});

sub llm { my ($name, %o) = @_;
          return doc('Policy', 'acme', $name, { type => 'llm-tokens',
              config => { tokens => 1000, per_ms => 3_600_000, reserve => 100,
                          %o }, attach => [{ api => $name }] }) }
my @apis = qw(count once at each debt left cut fault order broken try bare);
$t->apply(docs(tenant('acme'), plan('acme', 'free', rate => 0),
    plan('acme', 'one', quota_day => 1), (map { app('acme', $_) } qw(a b)),
    (map { my $n = $_; (rest('acme', $n, $to),
        map { sub_('acme', $_, $n, $n eq 'order' ? 'one' : 'free') }
        qw(a b)) } @apis),
    llm('count', tokens => 0), llm('at'), llm('each', by => ['application']),
    (map { llm($_) } qw(debt fault order)),
    (map { llm($_, tokens => 1200) } qw(left cut broken)),
    doc('Policy', 'acme', 'all', { type => 'llm-tokens', config => {
        tokens => 2000, by => ['api'], per_ms => 3_600_000 },
        attach => [{ plan => 'more' }, { application => 'c' }] }),
    plan('acme', 'more', rate => 0), app('acme', 'c'),
    sub_('acme', 'c', 'bare', 'more'),
    doc('Policy', 'acme', 'try', { type => 'llm-tokens', state => 'shadow',
        config => { tokens => 10 }, attach => [{ api => 'try' }] })));
$t->gateway(workers => 2, http => "log_format llm '\$request_uri \$stoa_llm_input "
    . "\$stoa_llm_output \$stoa_llm_cached \$stoa_llm_source';\n"
    . "access_log logs/llm.log llm;\n");
my %key = map { $_ => $t->key('acme', $_) } qw(a b c);
$t->sync;

my $n = 0;
sub call { my ($path, %o) = @_;
           $path .= '?n=' . ++$n;
           my $who = delete $o{who} // 'a';
           my $body = delete $o{body};
           return $t->http($o{method} // 'POST', "/apis/acme/$path",
               key => $key{$who}, headers => { @json, %{ $o{headers} || {} } },
               body => $body // json_encode({ model => 'm', %o })) }
sub code { my $r = call(@_);
           logged();                           # what it used is known then
           return $r->{status} == 200 ? 'ok'
               : $r->{json} && $r->{json}{code} || $r->{status} }
sub logged { my $last;
             wait_until { ($last) = slurp($t->dir('gw/logs/llm.log'))
                 =~ m{^/apis/acme/\S+\?n=$n (.*)$}m } 5;
             return $last }

# what is said, whole and in pieces of seven bytes

my %says = (chat => '19 10 4 told', messages => '12 6 0 told',
    responses => '36 87 0 told', chats => '19 10 0 told',
    messagess => '30 15 5 told', responsess => '3 4 0 told',
    silent => '4 14 0 estimated', lies => '4 9 0 estimated',
    huge => '7 0 0 estimated', text => '4 100 0 estimated',
    gzip => '4 100 0 estimated');
for my $what (sort keys %says) {
    for my $path ($what eq 'gzip' || $what eq 'text' ? $what
                  : ($what, "chunks-$what"))
    {
        is(call("count/$path")->{body}, $answer{$what}[2],
           "$path: as it came");
        is(logged(), $says{$what}, '... and counted');
    }
}

is(code('count/chat', method => 'GET', body => ''), 'ok', 'a GET');
is(logged(), '- - - -', '... is of no model');
is(code('count/e500'), 500, 'what an upstream refuses');
is(logged(), '- - - -', '... uses nothing');
is(code('count/chat', body => 'x', headers => { 'Content-Encoding' => 'br' }),
   'tokens_unknown', 'a body that cannot be read');

my $sum = 2 * (19 + 12 + 36 + 19 + 30 + 3);
ok((wait_until { ($t->metrics->{
    'stoa_llm_tokens_total{kind="input",source="told"}'} // 0) == $sum } 10),
   'the metric has the sum');
my $model = "stoa_llm_model_tokens_total{model=\"$of\",kind=";
ok((wait_until { ($t->metrics->{"${model}\"input\"}"} // 0) == 38 } 10),
   '... the one by model what was answered in its name');
is(join(' ', map { $t->metrics->{"$model\"$_\"}"} } qw(output cached)),
   '20 8', '... of all kinds');

# rows of usage: the same, when the gateway has told them

my $by = sub { my %o = map { $_->{model} // '-' => $_ }
    @{ $t->must(GET => "/v1/tenants/acme/usage?by=model&api=count")->{items} };
    return \%o };
ok((wait_until { ($by->()->{$of}{tokens_in} // 0) == 38 } 20),
   'usage has them by model');
is(join(' ', @{ $by->()->{$of} }{qw(requests tokens_out tokens_cached)}),
   '2 20 8', '... each call once');
is($by->()->{'-'}{tokens_in}, $sum - 38 + 4 * 2 + 4 * 2 + 7 * 2 + 4 + 4,
   '... and what names no model');

# twenty at once, each of which may use 300 of 1000

spew($held, '');
my @pids = map { my $i = $_; my $pid = fork // die "fork: $!";
    if (!$pid) {
        my $r = call('at/held-chat', who => $i % 2 ? 'a' : 'b',
                     max_tokens => 300);
        spew($t->dir("at.$i"), $r->{json}{code} // 'ok');
        POSIX::_exit(0);
    } $pid } 1 .. 20;
sub done { return grep { -s $t->dir("at.$_") } 1 .. 20 }
ok((wait_until { done() == 17 } 20), 'those that cannot all be made');
unlink $held;
waitpid $_, 0 for @pids;
wait_until { 3 == (() = slurp($t->dir('gw/logs/llm.log'))
    =~ m{/at/held-chat\S+ 19 10 }g) } 10;
my @said = map { slurp($t->dir("at.$_")) } 1 .. 20;
is(scalar(grep { $_ eq 'ok' } @said), 3, 'three may');
is(scalar(grep { $_ eq 'rate_exceeded' } @said), 17, 'the others are told');

# they have used 3 x 29

is(code('at/chat', max_tokens => 920), 'rate_exceeded', 'what was used is');
is(code('at/held-chat', max_tokens => 880), 'ok', 'the rest came back');
my $r = call('at/chat', max_tokens => 5000);
is($r->{status}, 429, 'more than the budget ever has');
like($r->{json}{detail}, qr/may use 1000 tokens, and 88\d of a budget of 1000/,
     '... waits for all of it');
cmp_ok($r->{headers}{'retry-after'}, '>', 380, '... and is told how long');

is(code('each/much', who => 'a'), 'ok', 'by application');
is(code('each/chat', who => 'a'), 'rate_exceeded', '... what one has used');
is(code('each/chat', who => 'b'), 'ok', "... is not the other's");

is(code('debt/much'), 'ok', 'more than was set aside');
$r = call('debt/chat', max_tokens => 1);
is($r->{status}, 429, '... is owed');
cmp_ok($r->{headers}{'retry-after'}, '>', 1800, '... until it is refilled');
cmp_ok($r->{headers}{'retry-after'}, '<=', 1830, '... and no longer');

# ends that are none: 30 in, 4000 bytes out

sub hang_up { my ($path, $bytes) = @_;
    spew($held, '');
    my $c = $t->connection;
    $n++;
    my $body = json_encode({ max_tokens => 1000 });
    $c->send_raw("POST /apis/acme/$path?n=$n HTTP/1.1\r\nHost: x\r\n"
        . "X-API-Key: $key{a}\r\nContent-Type: application/json\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
    my $end = Test::Stoa::HTTP::time() + 10;
    while (length $c->{in} < $bytes) { $c->fill($end) or last }
    ok((wait_until { grep { $_->{path} =~ /never-chats$/ } $t->origin_log } 10),
       "$path: is under way") unless $bytes;
    $c->close;
    is(logged(), $bytes ? '30 1000 5 estimated' : '5 0 0 estimated',
       "$path: what came so far");
    unlink $held }
hang_up('cut/begun-chats', 4100);
is(code('cut/chat', max_tokens => 170), 'rate_exceeded', '... is charged');
is(code('cut/chat', max_tokens => 130), 'ok', '... and no more');
hang_up('left/never-chats', 0);
is(code('left/chat', max_tokens => 1185), 'ok', '... what was asked is');
call('broken/broken-chats');
is(logged(), '30 1000 5 estimated',
   'an upstream that breaks off');
is(code('broken/chat', max_tokens => 170), 'rate_exceeded', '... is charged');

# what was not made

is(join(' ', map { code('fault/e500', max_tokens => 800) } 1 .. 3),
   '500 500 500', 'what an upstream refuses');
is(code('fault/e429', max_tokens => 985), 429, '... is given back');
is(code('order/messages', max_tokens => 500), 'ok', 'a quota of one');
is(join(' ', map { code('order/chat', max_tokens => 900) } 1 .. 2),
   'quota_exceeded quota_exceeded', '... is refused after the budget');
is(code('order/chat', who => 'b', max_tokens => 950), 'ok',
   '... which has it again');

is(join(' ', map { code('bare/much', who => 'c') } 1 .. 2), 'ok rate_exceeded',
   'of a plan and of an application');
is(join(' ', map { code('try/chat') } 1 .. 2), 'ok ok', 'a shadow');
my $m = 'stoa_policy_total{policy_type="llm-tokens",outcome="shadow_refused"}';
ok((wait_until { ($t->metrics->{$m} // 0) >= 1 } 10), '... counts');

$t->done;
