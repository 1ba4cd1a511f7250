#!/usr/bin/perl

# What becomes of keys: rotation within their end, when they were last used,
# those that were made elsewhere, those that are found in public.

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256 sha256_hex);
use MIME::Base64 qw(encode_base64 decode_base64);
use POSIX qw(strftime);
use Test::Stoa;
use Test::Stoa::Feed;

my $t = Test::Stoa->new->has('openssl');
my $keys = $t->dir('leak.json');

sub openssl {
    my (@args) = @_;
    my ($code, $out) = $t->run_cmd(['openssl', @args]);
    die "openssl @args: $out\n" if $code;
}
for my $who (qw(scanner stranger)) {
    openssl(qw(ecparam -genkey -name prime256v1 -noout -out), $t->dir($who));
    openssl(qw(ec -pubout -in), $t->dir($who), '-out', $t->dir("$who.pub"));
}
sub ring {
    my (%of) = @_;
    spew($keys, json_encode({ public_keys => [map { { key_identifier => $_,
        key => slurp($t->dir("$of{$_}.pub")), is_current => JSON::PP::true } }
        sort keys %of] }));
}
ring(k1 => 'scanner');

sub crc32 {
    my $crc = 0xffffffff;
    for my $c (unpack 'C*', shift) {
        $crc ^= $c;
        $crc = $crc & 1 ? $crc >> 1 ^ 0xedb88320 : $crc >> 1 for 1 .. 8;
    }
    return $crc ^ 0xffffffff;
}

sub stamp { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime shift) }

my @args = (args => ["--leak-keys=$keys"]);
$t->control;
is($t->api(POST => '/v1/leaked-keys', [], token => undef)->{status}, 404,
   'nobody reports where nobody is let');
$t->stop('control');
$t->control(@args);

$t->must(POST => '/v1/tenants', { name => 'con' });
my $c = '/v1/tenants/con';
$t->must(POST => "$c/applications", { name => $_ }) for qw(shop till);
my $path = "$c/applications/shop/credentials";
my $gw = Test::Stoa::Feed->new($t, 'gw', 'default');
sub state_of {
    my ($id) = @_;
    $gw->pull;
    return $gw->{rows}{"cred:$id"}{body};
}

# a rotation stays within the end of the key

my $end = stamp(time + 7200);
my $old = $t->must(POST => $path, { expires_at => $end, title => 'trial' });
my $new = $t->must(POST => "$path/$old->{id}/rotate", { grace_s => 86400 });
(my $ends = $new->{expires_at}) =~ s/\.000Z$/Z/;
is($ends, $end, 'the successor inherits the end');
is($new->{title}, 'trial', 'and the title');
($ends = $t->must(GET => "$path/$old->{id}")->{expires_at}) =~ s/\.000Z$/Z/;
is($ends, $end, 'the grace does not outlive it');
$t->must(POST => "$path/$old->{id}/revoke");
my $later = $t->must(POST => "$path/$new->{id}/rotate", { grace_s => 0,
    expires_at => stamp(time + 86400) });
like($later->{expires_at}, qr/^\d{4}-/, 'another end, where it is said');
isnt($later->{expires_at}, $new->{expires_at}, '... so');
$t->must(POST => "$path/$later->{id}/revoke");
is($t->api(POST => "$path/$later->{id}/rotate")->{status}, 409,
   'a revoked key has no successor');
my %idem = (headers => { 'Idempotency-Key' => 'r' });
my $twice = $t->must(POST => $path, {});
my @r = map { $t->must(POST => "$path/$twice->{id}/rotate", {}, %idem) } 1, 2;
is($r[1]{key}, $r[0]{key}, 'the repeated request makes no second key');

# when it was last used

$t->must(POST => "$c/apis", { name => 'own', kind => 'rest',
    base_path => '/own', upstream => { targets => [
    { url => 'http://10.0.0.1' }] } });
$t->must(POST => "$c/apis/own/publish");
my %id = (tenant => $t->must(GET => $c)->{id},
    api => $t->must(GET => "$c/apis/own")->{id},
    application => $t->must(GET => "$c/applications/shop")->{id});
my $n = 0;
sub used {
    my ($key, $refused) = @_;
    my $now = int(time) * 1000;
    is($gw->call('POST', '/gateway/v1/usage', { file => 'c' x 32,
        batch => ++$n, from_ms => $now, to_ms => $now + 1000, rows => [{
        %id, credential => $key, subscription => '', operation => '',
        refused => $refused, c2xx => 1, c3xx => 0, c4xx => 0, c5xx => 0,
        bytes_in => 0, bytes_out => 0, latency_us => [(0) x 6, 1, (0) x 19]
        }] })->{status}, 200, 'usage');
}
my $live = $t->must(POST => $path, {});
used($live->{id}, 'quota_exceeded');
is($t->must(GET => "$path/$live->{id}")->{last_used_at}, undef,
   'what was refused is no use');
my $tag = $t->api(GET => "$path/$live->{id}")->{headers}{etag};
used($live->{id}, '');
like($t->must(GET => "$path/$live->{id}")->{last_used_at},
     qr/^\d{4}-\d\d-\d\dT\d\d:00:00\.000Z$/, 'last used, to the hour');
is($t->api(GET => "$path/$live->{id}")->{headers}{etag}, $tag,
   'which is no change of the key');

# a key is shown once, which many at once have no place for

is($t->api(POST => '/v1/credentials/bulk', { event => 'rotate',
    ids => [$live->{id}] })->{status}, 422, 'rotated are keys one by one');
is($t->must(GET => "$path/$live->{id}")->{state}, 'active', 'nothing is done');

# keys of elsewhere

my $foreign = 'stoa_live_01jd0000000000aa_' . 'x' x 32;
$foreign .= sprintf '_%08x', crc32($foreign);
my $pre = 'stoa_live_01jd0000000000aa';
my $in = { keys => [
    { sha256 => uc sha256_hex($foreign), prefix => $pre, last4 => 'cdef',
      title => 'from before' },
    { sha256 => sha256_hex('past'), prefix => 'stoa_live_01jd0000000000ab',
      expires_at => stamp(time - 5) },
    { sha256 => sha256_hex('odd'), prefix => 'stoa_live_short' },
    { sha256 => sha256_hex('odd'), prefix => 'stoa_gone' },
    { sha256 => sha256_hex('odd'), prefix => 'stoa_adm_01jd0000000000ae' },
    { sha256 => sha256_hex('odd'), prefix => 'stoa_gw_01jd0000000000ae' },
    { sha256 => 'g' x 64, prefix => 'stoa_live_01jd0000000000ac' },
    { sha256 => sha256_hex($foreign), prefix => $pre } ] };
my $got = $t->must(POST => "$path/import", $in)->{items};
is(join(' ', map { $_->{result} } @$got),
   'created failed failed failed failed failed failed exists', 'each has its result');
is($got->[0]{id}, '01jd0000000000aa', 'the id is the one in the key');
like($got->[1]{detail}, qr/expires_at is in the past/, 'and its reason');
my $shown = $t->must(GET => "$path/$got->[0]{id}");
is("$shown->{imported} $shown->{prefix} $shown->{last4}", "1 $pre cdef",
   'it is shown as what it is');
is(state_of($got->[0]{id})->{digest}, sha256_hex($foreign),
   'gateways get the digest');
is(state_of($got->[0]{id})->{alg}, 'sha256', 'without a pepper');
is($t->must(POST => "$path/import", $in)->{items}[0]{result}, 'exists',
   'a second import makes none');
my $beside = $path =~ s{/shop/}{/beside/}r;
$t->must(POST => $path =~ s{/shop/.*}{}r, { name => 'beside' });
for my $case ([$beside, $in->{keys}[0], 'of another application'],
              [$path, { %{ $in->{keys}[0] }, sha256 => '0' x 64 },
               'by the id of another key'])
{
    my $is = $t->must(POST => "$case->[0]/import", { keys => [$case->[1]] })
        ->{items}[0];
    is("$is->{result} $is->{code}", 'failed conflict',
       "$case->[2] is not one that is here already");
}
is($t->api(POST => "$path/import", { keys => [] })->{status}, 422, 'none');
is($t->api(POST => "$path/import", { keys => [({ sha256 => 'a' x 64 })
    x 1001] })->{status}, 422, 'too many');
spew($t->dir('import.json'), json_encode([{ sha256 => sha256_hex('cli'),
    prefix => 'stoa_live_01jd0000000000ad' }]));
my ($code, $out) = $t->stoactl(qw(key import till), $t->dir('import.json'),
    qw(--tenant con));
like($out, qr/^0 +created +\w{16}/m, 'stoactl key import');

# keys that are found in public

sub report {
    my ($body, %o) = @_;
    my $text = ref $body ? json_encode($body) : $body;
    spew($t->dir('body'), $o{signed} // $text);
    openssl(qw(dgst -sha256 -sign), $t->dir($o{by} // 'scanner'), '-out',
            $t->dir('sig'), $t->dir('body'));
    return $t->api(POST => '/v1/leaked-keys', $text, token => undef,
        headers => { 'Content-Type' => 'application/json',
            'Github-Public-Key-Identifier' => $o{id} // 'k1',
            'Github-Public-Key-Signature' => $o{sig}
                // encode_base64(slurp($t->dir('sig')), ''),
            %{ $o{headers} || {} } });
}
sub leak { my ($key, $url) = @_;
           return { token => $key, type => 'stoa_key', url => $url,
                    source => 'commit' } }

my $batch = [leak($live->{key}, "https://git.example/a\nb"),
    leak($foreign, 'https://git.example/c'),
    leak($later->{key}, 'https://git.example/d'),
    leak('stoa_live_01jd0000000000bb_' . 'y' x 32 . '_00000000', 'https://x'),
    leak('no key at all', 'https://x'),
    leak($live->{key}, "https://git.example/a\nb"),
    { type => 'no token' }];

my %wrong = (
    'no signature' => { sig => '' },
    'no base64' => { sig => '!!!!' },
    'a signature of something else' => { signed => 'other' },
    'a key of somebody else' => { by => 'stranger' },
    'an unknown key id' => { id => 'k2' },
);
for my $why (sort keys %wrong) {
    my $r = report($batch, %{ $wrong{$why} });
    is($r->{status}, 401, $why);
    unlike($r->{body}, qr/positive|label/, 'and nothing is said');
}
is($t->api(POST => '/v1/leaked-keys', $batch, token => undef)->{status}, 401,
   'unsigned');
is($t->api(POST => '/v1/leaked-keys', $batch)->{status}, 401,
   'an administrator is not asked either');
my $indented = JSON::PP->new->pretty->encode($batch);
is(report($indented, signed => json_encode($batch))->{status}, 401,
   'written anew, it is not what was signed');
is(state_of($live->{id})->{state}, 'active', 'nothing was revoked');

my $r = report($batch);
is($r->{status}, 200, 'signed');
is(join(' ', map { $_->{label} } @{ $r->{json} }),
   join(' ', map { "${_}_positive" } qw(true true true false false true)),
   'a label for each token');
is($r->{json}[0]{token_hash}, encode_base64(sha256($live->{key}), ''),
   'by its hash');
is(state_of($live->{id})->{state}, 'revoked', 'a live key ends at once');
is(state_of($got->[0]{id})->{state}, 'revoked', 'one of elsewhere too');
my @told = @{ $t->must(GET => '/v1/notices?kind=credential_leaked')->{items} };
is(scalar @told, 3, 'their owner is told, once for each place');
my ($of) = grep { $_->{about}{id} eq $live->{id} } @told;
is($of->{text}, "The key $live->{prefix}... of shop was found in public, at"
   . ' https://git.example/a?b; it is revoked now.', 'where, never the key');
($of) = grep { $_->{about}{id} eq $later->{id} } @told;
like($of->{text}, qr/it did not work any more/, 'one that was over already');
my $seen = $t->must(GET => "/v1/audit?resource=$live->{id}&action=revoke")
    ->{items}[0];
is($seen->{actor}, 'leak report', 'and the audit log');
my $secret = substr $live->{key}, 27;
unlike(slurp($t->dir('control.out')), qr/\Q$secret\E/, 'no key in a log');

is(report($batch)->{status}, 200, 'the same report again');
is(scalar(@{ $t->must(GET => '/v1/notices?kind=credential_leaked')
             ->{items} }), 3, 'does nothing');
$r = report([map { leak("stoa_live_01jd00000000$_" . '_' . 'z' x 32
    . '_00000000', 'https://x') } 1000 .. 1999]);
is($r->{status}, 200, 'a thousand');
is(scalar(@{ $r->{json} }), 1000, 'labels');
is(report([(leak('x', 'y')) x 1001])->{status}, 422, 'and no more');
is(report('{"a": 1}')->{status}, 422, 'no list');
is(report('[')->{status}, 400, 'no JSON');

# keys of who reports come and go; "tell" only

$t->stop('control');
ring(k1 => 'stranger');
$t->control(args => ["--leak-keys=$keys", '--leak-action=tell']);
is(report($batch)->{status}, 401, 'a key that was withdrawn');
my $other = $t->must(POST => $path, {});
$r = report([leak($other->{key}, 'https://git.example/e')],
            by => 'stranger');
is($r->{json}[0]{label}, 'true_positive', 'the new one');
is(state_of($other->{id})->{state}, 'active', '"tell" revokes nothing');
@told = @{ $t->must(GET => '/v1/notices?kind=credential_leaked')->{items} };
like($told[0]{text}, qr/git\.example\/e; it still works: revoke it/,
     'and tells');
spew($keys, 'nonsense');
is(report([], by => 'stranger', id => 'k9')->{status}, 401, 'an id more');
is(report([], by => 'stranger')->{status}, 200,
   'a list that cannot be read takes no key away');
like($t->api(GET => '/metrics')->{body},
     qr/^stoa_control_leak_reports_total\{result="refused"\} [1-9]/m,
     'a metric');

$t->done;
