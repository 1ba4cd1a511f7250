package Test::Stoa::Token;

# Tokens and the keys that sign them: a strict little issuer of our own, by
# openssl, for what no real one would ever sign.

use strict;
use warnings;

use Exporter 'import';
use MIME::Base64 qw(encode_base64url);
use Test::Stoa::Base qw(json_encode spew);

our @EXPORT = qw(token_key token sign jwks claims part);

my $made = 0;
my %MAKE = (
    RS => ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
    PS => ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
    ES256 => ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ES384 => ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
    ES512 => ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
    EdDSA => ['-algorithm', 'ED25519'],
);

my %CURVE = (ES256 => ['P-256', 32], ES384 => ['P-384', 48],
             ES512 => ['P-521', 66]);


# A key pair: its file, its public half as a JWK.

sub token_key {
    my ($t, $kid, $alg, %jwk) = @_;
    my $pem = $t->dir("$kid-" . ++$made . ".pem");
    my $make = $MAKE{$alg} // $MAKE{substr $alg, 0, 2};
    system("openssl genpkey @$make -out $pem 2>/dev/null") == 0
        or die "openssl genpkey: $?\n";
    my $der = `openssl pkey -in $pem -pubout -outform DER`;
    my %key = (kid => $kid, use => 'sig', alg => $alg);
    if ($CURVE{$alg}) {
        my ($crv, $n) = @{ $CURVE{$alg} };
        @key{qw(kty crv x y)} = ('EC', $crv,
            map { encode_base64url($_) } substr($der, -2 * $n, $n),
                                         substr($der, -$n));
    } elsif ($alg eq 'EdDSA') {
        @key{qw(kty crv x)} = ('OKP', 'Ed25519',
                               encode_base64url(substr $der, -32));
    } else {
        my ($n) = `openssl rsa -in $pem -noout -modulus` =~ /=(\w+)/;
        @key{qw(kty n e)} = ('RSA', encode_base64url(pack 'H*', $n), 'AQAB');
    }
    return { pem => $pem, alg => $alg, kid => $kid, t => $t,
             jwk => { %key, %jwk } };
}

sub jwks { return { keys => [map { $_->{jwk} } @_] } }

sub part { return encode_base64url(ref $_[0] ? json_encode($_[0]) : $_[0]) }

# What a token of now says.

sub claims {
    my ($iss, $aud, %more) = @_;
    my $now = time;
    my %claims = (iss => $iss, aud => $aud, iat => $now, exp => $now + 300,
                  sub => 'user-1', azp => 'agent', %more);
    delete @claims{grep { !defined $claims{$_} } keys %claims};
    return \%claims;
}

# header: more of it, or undef for what it leaves out.

sub token {
    my ($key, $claims, %header) = @_;
    my %h = (alg => $key->{alg}, kid => $key->{kid}, typ => 'JWT', %header);
    delete @h{grep { !defined $h{$_} } keys %h};
    my $text = part(\%h) . '.' . part($claims);
    return $text . '.' . encode_base64url(sign($key, $text));
}

sub sign {
    my ($key, $text) = @_;
    my ($kind, $bits) = $key->{alg} =~ /^(..)(.*)$/;
    my $in = $key->{t}->dir('signed');
    spew($in, $text);
    return scalar `openssl pkeyutl -sign -rawin -inkey $key->{pem} -in $in`
        if $key->{alg} eq 'EdDSA';
    my $pss = $kind eq 'PS' ? '-sigopt rsa_padding_mode:pss'
        . ' -sigopt rsa_pss_saltlen:-1' : '';
    my $sig = `openssl dgst -sha$bits -sign $key->{pem} $pss $in`;
    return $sig if $kind ne 'ES';
    my $n = $CURVE{$key->{alg}}[1];
    return join '', map { substr(("\0" x $n) . $_, -$n) } der_pair($sig);
}

sub der_pair {
    my ($der) = @_;
    my $at = ord(substr $der, 1, 1) & 0x80 ? 3 : 2;
    my @n;
    for (1 .. 2) {
        my $len = ord substr $der, $at + 1, 1;
        push @n, substr $der, $at + 2, $len;
        $at += 2 + $len;
    }
    return @n;
}

1;
