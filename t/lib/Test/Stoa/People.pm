package Test::Stoa::People;

# People who log in to the control plane by name and password, as a browser
# does.
#
#   Test::Stoa::People::at($t);
#   my $cookie = cookie_of(login('admin', $password));
#   my $r = ask(GET => '/v1/session', undef, cookie => $cookie);

use strict;
use warnings;

use Digest::SHA ();
use Exporter 'import';

our @EXPORT = qw(ask cookie_of login both code_of);

my $t;

sub at { ($t) = @_ }

# A request of a browser: cookie NAME=VALUE, no token.

sub ask {
    my ($method, $path, $body, %o) = @_;
    my %h = (%{ $o{headers} || {} },
        $o{cookie} ? (Cookie => "__Host-stoa=$o{cookie}") : ());
    $h{'Stoa-Client'} = 'test' if !exists $o{client} || $o{client};
    return $t->api($method, $path, $body, token => undef, headers => \%h);
}

sub cookie_of {
    my ($r) = @_;
    my ($v) = ($r->{headers}{'set-cookie'} // '') =~ /__Host-stoa=([^;]*)/;
    return $v;
}

sub login {
    my ($name, $password, %o) = @_;
    my $more = delete $o{body} || {};
    return ask(POST => '/v1/session',
        { name => $name, password => $password, %$more }, %o);
}

# The answers to the same request, sent twice at once.

sub both {
    my ($work) = @_;
    return [$t->together($work, $work)];
}

# A code of a second factor; later: so many steps of 30 s from now.

sub code_of {
    my ($secret, $later) = @_;
    my $bits = join '', map { sprintf '%05b', index
        'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', $_ } split //, $secret;
    my $sum = Digest::SHA::hmac_sha1(pack('Q>',
        int(time / 30) + ($later // 0)), pack 'B*', $bits);
    my $at = ord(substr $sum, 19) & 15;
    return sprintf '%06d', (unpack('N', substr $sum, $at, 4) & 0x7fffffff)
        % 1_000_000;
}

1;
