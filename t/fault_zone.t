#!/usr/bin/perl

# A full shared zone: what cannot be counted is refused with on_full=deny and
# let through with on_full=allow; both are told.  Who has a place keeps exact
# limits all the while.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::FakeControl;

my $n = 32_000;                   # 1m has 28 thousand rate slots
my $t = Test::Stoa->new->has('module');
my $f = Test::Stoa::FakeControl->new($t);
my $port = $t->port('up');
$f->world($port, rate => 1, per_ms => 86_400_000, burst => 2,
          limit_by => 'credential');
my @keys = map { $f->credential($_) } 2 .. $n;
$f->save;

# The status of each key's call, over one connection, in windows: [status].

sub calls {
    my (@k) = @_;
    my ($c, @got);
    while (my @part = splice @k, 0, 50) {
        $c = $t->connection(timeout => 30) unless @got % 900;
        $c->send_raw(join '', map { "HEAD /apis/acme/echo/x HTTP/1.1\r\n"
            . "Host: x\r\nX-API-Key: $_\r\n\r\n" } @part);
        push @got, $c->response(head => 1, timeout => 30)->{status} for @part;
    }
    return @got;
}
sub sum { my %s; $s{$_}++ for @_; return \%s }


for my $full ('deny', 'allow') {
    $t->gateway(wait => 0, workers => 2, zone => "stoa:1m on_full=$full",
        level => 'notice', http => "server { listen 127.0.0.1:$port; "
            . "access_log off; location / { return 200 ok; } }");
    $f->ready(undef, 60) or die 'not ready';
    $f->down if $full eq 'deny';          # it has said all it has to say

    my $lines = scalar(my @l = $t->log_lines('gw', 'error.log'));
    my $first = sum(calls(@keys));
    my $m = $t->metrics;
    my $none = $m->{stoa_rate_slots_missed_total} // 0;

    cmp_ok($none, '>', 0, "$full: the zone is full");
    if ($full eq 'deny') {
        is($first->{503}, $none, 'deny: what has no place is refused');
        is($first->{200}, @keys - $none, 'deny: the others are served');
        is($t->get('/apis/acme/echo/x', key => $keys[-1])->{json}{code}
           // '', 'limits_unavailable', 'deny: the reason')
            if (calls($keys[-1]))[0] == 503;
    } else {
        is($first->{200}, @keys, 'allow: all are served');
    }

    # 2 for each that has a place: the second, then never again

    my @some = @keys[0 .. 499];
    my $second = sum(calls(@some));
    my $third = sum(calls(@some));
    is($second->{200}, 500, "$full: who has a place has his burst");
    is($third->{429}, 500, "$full: and no more");
    cmp_ok(scalar(my @m = $t->log_lines('gw', 'error.log')) - $lines, '<',
           20, "$full: no line per call");
    $t->stop('gw');
}

$t->done;
