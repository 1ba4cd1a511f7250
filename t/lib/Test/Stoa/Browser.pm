package Test::Stoa::Browser;

# As much of a browser as a login needs: cookies, redirects one by one, and
# Keycloak's pages.
#
#   my $b = Test::Stoa::Browser->new($t);
#   my $back = $b->at_keycloak('/v1/session/oidc?to=/x', 'alice');
#   my $r = $b->get($back);                        # the callback's URL

use strict;
use warnings;

use Digest::SHA ();
use HTTP::Tiny;

use Test::Stoa::Base qw(json_decode json_encode);
use Test::Stoa::Keycloak;

sub new {
    my ($class, $t) = @_;
    return bless { t => $t, jar => {}, ua => HTTP::Tiny->new(
        max_redirect => 0, timeout => 30, cookie_jar => undef) }, $class;
}

sub url { my ($self, $url) = @_;
          return $url =~ m{^/} ? $self->{t}->control_url . $url : $url }

sub request {
    my ($self, $method, $url, %o) = @_;
    $url = $self->url($url);
    my ($path) = $url =~ m{^\w+://[^/]+([^?#]*)};
    my $cookies = join '; ', map { "$_->[0]=$_->[1]" }
        grep { index($path, $_->[2]) == 0 } values %{ $self->{jar} };
    my %h = (%{ $o{headers} || {} }, length $cookies ? (Cookie => $cookies)
                                                     : ());
    if ($o{form}) {
        $o{body} = $self->{ua}->www_form_urlencode($o{form});
        $h{'Content-Type'} = 'application/x-www-form-urlencoded';
    } elsif (ref $o{body}) {
        $o{body} = json_encode($o{body});
        $h{'Content-Type'} = 'application/json';
    }
    my $r = $self->{ua}->request($method, $url, { headers => \%h,
        defined $o{body} ? (content => $o{body}) : () });
    my $set = $r->{headers}{'set-cookie'} // [];
    for (ref $set ? @$set : $set) {
        my ($name, $value) = /^([^=]+)=([^;]*)/ or next;
        my $at = /;\s*path=([^;]+)/i ? $1 : '/';
        delete $self->{jar}{"$name $at"};
        $self->{jar}{"$name $at"} = [$name, $value, $at]
            unless /max-age=0\b/i || !length $value;
    }
    $r->{json} = json_decode($r->{content})
        if ($r->{headers}{'content-type'} // '') =~ /json/;
    $r->{to} = $r->{headers}{location} // '';
    $r->{to} =~ s{^/}{($url =~ m{^(\w+://[^/]+/)})[0]}e
        if index($url, $self->{t}->control_url) != 0;
    return $r;
}

sub get { my ($self, $url, %o) = @_;
          return $self->request(GET => $url, %o) }

# Of ours, as a page of ours does.

sub page { my ($self, $method, $path, $body) = @_;
           return $self->request($method, $path, body => $body,
                                 headers => { 'Stoa-Client' => 'test' }) }

sub cookie { my ($self, $name) = @_;
             my $c = $self->{jar}{"$name /"}; return $c && $c->[1] }

# Begins at a path of ours, or a URL of the provider's, goes through all the
# forms that come, and stops before the callback, whose URL it returns.
# otp: keeps the secret of an authenticator, made when it is asked for.

sub at_keycloak {
    my ($self, $start, $user, %o) = @_;
    my $r = $self->get($start);
    my %given;
    for (1 .. 12) {
        if ($r->{status} =~ /^30/) {
            return $r->{to} if $r->{to} =~ m{/v1/session/oidc/callback};
            $r = $self->get($r->{to});
            next;
        }
        my ($action) = $r->{content} =~ /<form[^>]*?\saction="([^"]+)"/s
            or last;
        $action =~ s/&amp;/&/g;
        $action =~ s{^/}{($r->{url} =~ m{^(\w+://[^/]+/)})[0]}e;
        my %form;
        if ($o{device} && $r->{content} =~ /name="accept"/) {
            %form = ($o{device} => 'x', $r->{content} =~
                /name="code"\s+value="([^"]*)"/ ? (code => $1) : ());
        } elsif ($r->{content} =~ /name="totpSecret"[^>]*value="([^"]+)"/
            || $r->{content} =~ /value="([^"]+)"[^>]*name="totpSecret"/)
        {
            ${ $o{otp} } = $1;
            %form = (totp => totp($1), totpSecret => $1, userLabel => 'x');
        } elsif ($r->{content} =~ /name="otp"/) {
            %form = (otp => totp(${ $o{otp} }, $o{later}));
        } else {
            %form = (username => $user, credentialId => '',
                password => $o{password} // $Test::Stoa::Keycloak::PASSWORD);
        }
        my $asked = join ' ', sort keys %form;
        last if $given{$asked}++;               # it was not taken
        push @{ $self->{asked} }, $asked;
        $r = $self->request(POST => $action, form => \%form);
    }
    ($self->{stuck} = $r->{content}) =~ s/<[^>]+>|\s+/ /g;
    return undef;
}

# The same at the page for a code of a terminal; say: accept or cancel.

sub at_device {
    my ($self, $url, $user, $say) = @_;
    $self->at_keycloak($url, $user, device => $say);
    return $self->{stuck};
}

sub totp {
    my ($secret, $later) = @_;
    my $sum = Digest::SHA::hmac_sha1(pack('Q>', int(time / 30)
                                          + ($later // 0)), $secret);
    my $at = ord(substr $sum, -1) & 15;
    return sprintf '%06d', (unpack('N', substr $sum, $at, 4) & 0x7fffffff)
        % 1e6;
}

1;
