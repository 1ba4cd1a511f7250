package Test::Stoa::Identity;

# Signed identities (X-Stoa-Identity), made and verified by openssl alone.
#
#   my ($key) = group_keys($t, $gateway_token);   # {id, private, signs_ms}
#   my $jws = assertion($t, $key, { claim => 1 }, { header => 1 });
#   my ($head, $claims) = parts($jws);
#   ok(verifies($t, $jwks, $jws), 'as any upstream does');

use strict;
use warnings;

use Exporter 'import';
use MIME::Base64 qw(encode_base64 encode_base64url decode_base64url);
use Test::Stoa::Base qw(json_decode json_encode spew);

our @EXPORT = qw(group_keys assertion parts signed verifies);


# What the feed gives the gateway, the youngest first.

sub group_keys {
    my ($t, $token) = @_;
    my $r = Test::Stoa::http_once($t->port('control'), 'GET',
        '/gateway/v1/feed?since=0',
        headers => { Authorization => "Bearer $token" });
    return sort { $b->{signs_ms} <=> $a->{signs_ms} || $b->{id} cmp $a->{id} }
        map { $_->{body} } grep { ($_->{kind} // '') eq 'groupkey' }
        map { json_decode($_) } split /\n/, $r->{body};
}

sub pem {
    my ($t, $what, $der) = @_;
    my $file = $t->dir('identity.' . lc $what =~ s/ .*//r);
    spew($file, "-----BEGIN $what-----\n" . encode_base64($der)
                . "-----END $what-----\n");
    return $file;
}

sub signed {
    my ($t, $key, $text) = @_;
    my $pem = pem($t, 'PRIVATE KEY', pack 'H*',
        '302e020100300506032b657004220420' . $key->{private});
    my $file = $t->dir('identity.text');
    spew($file, $text);
    my $sig = `openssl pkeyutl -sign -rawin -inkey $pem -in $file`;
    return "$text." . encode_base64url($sig);
}

sub assertion {
    my ($t, $key, $claims, $head) = @_;
    return signed($t, $key, join '.', map { encode_base64url(json_encode($_)) }
        { alg => 'EdDSA', kid => $key->{id}, typ => 'JWT', %{ $head || {} } },
        { iss => 'stoa-gateway', iat => time, exp => time + 60, %$claims });
}

sub parts {
    my ($head, $claims) = split /\./, $_[0];
    return map { json_decode(decode_base64url($_)) } $head, $claims;
}

sub verifies {
    my ($t, $jwks, $jws) = @_;
    my ($head, $claims, $sig) = split /\./, $jws;
    my $h = json_decode(decode_base64url($head));
    my ($key) = grep { $_->{kid} eq $h->{kid} } @{ $jwks->{keys} }
        or return 0;
    my $pem = pem($t, 'PUBLIC KEY', pack('H*', '302a300506032b6570032100')
                                    . decode_base64url($key->{x}));
    my ($text, $file) = ($t->dir('identity.text'), $t->dir('identity.sig'));
    spew($text, "$head.$claims");
    spew($file, decode_base64url($sig));
    return system("openssl pkeyutl -verify -rawin -pubin -inkey $pem "
                  . "-sigfile $file -in $text >/dev/null 2>&1") == 0;
}


1;
