package Test::Stoa::Keycloak;

# One Keycloak and one slapd for all tests of a run, and a realm of its own,
# conf/keycloak/stoa-realm.json, for each that asks.
#
#   my $t = Test::Stoa->new->has('control', 'keycloak');
#   my $kc = Test::Stoa::Keycloak->new($t);    # starts it if nobody has
#   $t->control(args => $kc->control_args);
#   $kc->user('alice', groups => ['/tenants/acme/developer']);
#   $kc->admin(PUT => "/users/$id", { enabled => JSON::PP::false });
#   my $token = $kc->token('stoactl-test', username => 'alice');
#
# The first test of a run starts both, by a process that ends them when the run
# has: prove's process, or STOA_TEST_RUN, a pid, for a run of several proves.

use strict;
use warnings;

use Fcntl qw(:flock);
use File::Path qw(make_path remove_tree);
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);

use Test::Stoa::Base qw(wait_until slurp spew json_decode json_encode);

our $ADMIN_PASSWORD = 'of-the-tests-alone';
our $PASSWORD = 'correct-horse-battery';         # of everybody in the realms
our $LDAP_BASE = 'dc=stoa,dc=test';


# ---- the two servers of a run -------------------------------------------

sub run_pid {
    return $ENV{STOA_TEST_RUN} if $ENV{STOA_TEST_RUN};
    my $parent = getppid();
    return slurp("/proc/$parent/cmdline") =~ m{(?:^|[/\0])prove\0}
        ? $parent : $$;
}

# A pid may be another's by now.

sub started { return (slurp("/proc/$_[0]/stat") =~ /\) \S (?:\S+ ){18}(\d+)/)[0]
              // '' }

sub servers {
    my ($t) = @_;
    my $run = run_pid();
    my $dir = ($ENV{TMPDIR} || '/tmp') . "/stoa-keycloak-$>-$run-"
        . started($run);

    open my $lock, '>>', "$dir.lock" or die "$dir.lock: $!\n";
    flock $lock, LOCK_EX;
    if (!-f "$dir/ready") {
        remove_tree($dir);
        make_path($dir);
        # a program of its own: none of our descriptors, prove's pipes
        my $pid = fork // die "fork: $!\n";
        if ($pid == 0) {
            { no warnings 'exec'; exec $^X, "-I$Test::Stoa::Base::ROOT/t/lib",
              '-MTest::Stoa::Keycloak', '-e',
              'Test::Stoa::Keycloak::keep(@ARGV)', $dir, $run; }
            POSIX::_exit(127);
        }
        waitpid $pid, 0;
        wait_until { -f "$dir/ready" || -f "$dir/failed" } 240;
    }
    my $ports = json_decode(slurp("$dir/ready"))
        or $t->give_up('Keycloak is not ready: '
                       . substr(slurp("$dir/keycloak.out"), -2000)
                       . slurp("$dir/slapd.out"));
    return $ports;
}

sub keep {
    my ($dir, $run) = @_;
    POSIX::close($_) for 3 .. 255;
    POSIX::setsid();
    POSIX::_exit(0) if fork;                     # nobody's child
    open STDIN, '<', '/dev/null';
    open STDOUT, '>>', "$dir/keep.out";
    open STDERR, '>&', \*STDOUT;

    my $since = started($run);
    my $self = bless { dir => $dir, ports => {}, locks => [], procs => {} },
        'Test::Stoa::Base';
    my $ok = eval { start($self); 1 };
    spew("$dir/failed", $@) unless $ok;
    while ($ok && started($run) eq $since) { sleep 0.3 }
    for my $p (values %{ $self->{procs} }) {
        kill 'KILL', -$p->{pid};
        waitpid $p->{pid}, 0;
    }
    remove_tree($dir) if $ok;
    unlink "$dir.lock";
    POSIX::_exit(0);
}

sub start {
    my ($self) = @_;
    my %port = map { ($_ => $self->port($_)) } qw(http health ldap);

    slapd($self, $port{ldap});
    my $kc = $self->dir('kc');
    system('cp', '-a', "$Test::Stoa::Base::PARTS/keycloak/.", $kc) == 0
        or die "cp: $?\n";
    $self->start('keycloak', foreign => 1, cwd => $kc, argv => [
        "$kc/bin/kc.sh", 'start', '--optimized', '--cache=local',
        '--http-enabled=true', '--http-host=127.0.0.1',
        "--http-port=$port{http}", "--http-management-port=$port{health}",
        '--hostname-strict=false', '--log-level=warn'],
        env => { JAVA_OPTS_KC_HEAP => '-Xms32m -Xmx192m'
                     . ' -XX:TieredStopAtLevel=1' });
    my $http = HTTP::Tiny->new(timeout => 5);
    wait_until {
        !$self->alive('keycloak') || $http->get(
            "http://127.0.0.1:$port{health}/health/ready")->{success}
    } 200;
    die "keycloak is not ready\n" unless $self->alive('keycloak');
    spew($self->dir('ready.new'), json_encode(\%port));
    rename $self->dir('ready.new'), $self->dir('ready');
}

sub slapd {
    my ($self, $port) = @_;
    make_path($self->dir('ldap'));
    my ($modules) = grep { -e "$_/back_mdb.la" || -e "$_/back_mdb.so" }
        glob('/usr/lib/ldap /usr/lib/openldap /usr/lib*/openldap');
    my $person = sub { my ($uid, $first) = @_; <<"END" };
dn: uid=$uid,ou=people,$LDAP_BASE
objectClass: inetOrgPerson
uid: $uid
cn: $first Example
givenName: $first
sn: Example
mail: $uid\@ldap.example
userPassword: $PASSWORD

END
    spew($self->dir('ldap.ldif'), <<"END" . $person->('lena', 'Lena')
dn: $LDAP_BASE
objectClass: dcObject
objectClass: organization
dc: stoa
o: stoa

dn: cn=reader,$LDAP_BASE
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: $PASSWORD

dn: ou=people,$LDAP_BASE
objectClass: organizationalUnit
ou: people

dn: ou=groups,$LDAP_BASE
objectClass: organizationalUnit
ou: groups

END
        . $person->('luis', 'Luis') . <<"END");
dn: cn=ldap-ops,ou=groups,$LDAP_BASE
objectClass: groupOfNames
cn: ldap-ops
member: uid=lena,ou=people,$LDAP_BASE

END
    spew($self->dir('slapd.conf'), <<"END");
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
@{[ $modules ? "modulepath $modules\nmoduleload back_mdb" : '' ]}
pidfile @{[ $self->dir('slapd.pid') ]}
database mdb
suffix "$LDAP_BASE"
rootdn "cn=root,$LDAP_BASE"
rootpw $PASSWORD
directory @{[ $self->dir('ldap') ]}
END
    my @sbin = ('/usr/sbin', '/usr/local/sbin', split /:/, $ENV{PATH});
    my ($slapd) = grep { -x } map { "$_/slapd" } @sbin;
    my ($add) = grep { -x } map { "$_/slapadd" } @sbin;
    system($add, '-f', $self->dir('slapd.conf'), '-l',
           $self->dir('ldap.ldif')) == 0 or die "slapadd: $?\n";
    $self->start('slapd', foreign => 1, argv => [$slapd, '-d', '0', '-f',
        $self->dir('slapd.conf'), '-h', "ldap://127.0.0.1:$port/"]);
}


# ---- a realm --------------------------------------------------------------

# realm => name; import => 0: without one.

sub new {
    my ($class, $t, %o) = @_;
    my $ports = servers($t);
    my $self = bless { t => $t, %$ports,
        url => "http://127.0.0.1:$ports->{http}",
        realm => $o{realm} // 'stoa-' . $$ . '-' . int(rand 1e6),
        ua => HTTP::Tiny->new(timeout => 120, max_redirect => 0) }, $class;
    $self->{secret}{$_} = "secret-of-$_-0123456789"
        for qw(console portal control groups broker);
    $self->import_realm unless exists $o{import} && !$o{import};
    return $self;
}

sub issuer { return "$_[0]{url}/realms/$_[0]{realm}" }
sub oidc { return $_[0]->issuer . "/protocol/openid-connect/$_[1]" }

# The file that ships, with its placeholders as Keycloak's own import would
# fill them, under another name, as tests run at once.

sub import_realm {
    my ($self) = @_;
    my %value = (STOA_URL => $self->{t}->control_url,
        STOA_LDAP_URL => "ldap://127.0.0.1:$self->{ldap}",
        STOA_LDAP_BASE => $LDAP_BASE, STOA_LDAP_PASSWORD => $PASSWORD,
        STOA_BROKER_ISSUER => $self->issuer,
        map { ('STOA_' . uc . '_SECRET' => $self->{secret}{$_}) }
            keys %{ $self->{secret} });
    my $text = slurp("$Test::Stoa::Base::ROOT/conf/keycloak/stoa-realm.json");
    $text =~ s/\$\{(\w+)\}/$value{$1} \/\/ die "no value of $1\n"/ge;
    my $realm = json_decode($text) or die "stoa-realm.json is no JSON\n";
    $realm->{realm} = $self->{realm};
    $self->must(POST => '', $realm, realm => 0);
}

# What stoa-control is told of it: the configuration of docs/identity.md.

sub control_args {
    my ($self, @more) = @_;
    my ($yaml) = slurp("$Test::Stoa::Base::ROOT/docs/identity.md")
        =~ /```yaml\n(# stoa-control\.yaml\n.*?)```/s or die "no yaml\n";
    $yaml =~ s{https://keycloak\.example/realms/stoa}{$self->issuer}ge;
    $yaml =~ s{https://stoa\.example}{$self->{t}->control_url}ge;
    my $dir = $self->{t}->dir;
    $yaml =~ s{/etc/stoa/}{$dir/}g;
    spew("$dir/keycloak.secret", $self->{secret}{control}, 0600);
    spew("$dir/$_.secret", $self->{secret}{$_}, 0600) for qw(console groups);
    return ['--config=' . spew("$dir/stoa-control.yaml", $yaml), @more];
}

# A key of the test's own among the realm's, to sign what Keycloak never
# would: as of token_key().

sub own_key {
    my ($self, $key, $priority) = @_;
    $self->{realm_id} //= $self->must(GET => '')->{json}{id};
    my %before = map { ($_->{kid} => 1) }
        @{ $self->must(GET => '/keys')->{json}{keys} };
    my $id = $self->must(POST => '/components', { name => "own-$key->{kid}",
        providerId => 'rsa', providerType => 'org.keycloak.keys.KeyProvider',
        parentId => $self->{realm_id}, config => {
            priority => [$priority // -1], enabled => ['true'],
            active => ['true'], algorithm => ['RS256'],
            privateKey => [slurp($key->{pem})] } })->{id};
    ($key->{kid}) = grep { !$before{$_} } map { $_->{kid} }
        @{ $self->must(GET => '/keys')->{json}{keys} };
    return $id;
}

sub token_of {
    my ($self, $realm, %form) = @_;
    my $r = $self->{ua}->post_form(
        "$self->{url}/realms/$realm/protocol/openid-connect/token", \%form);
    return { %{ json_decode($r->{content}) || {} }, status => $r->{status} };
}

# The admin API of the realm, as Keycloak's first administrator.

sub admin {
    my ($self, $method, $path, $body, %o) = @_;
    if (time() > ($self->{admin_until} || 0)) {
        my $got = $self->token_of('master', grant_type => 'password',
            client_id => 'admin-cli', username => 'admin',
            password => $ADMIN_PASSWORD);
        $self->{admin_token} = $got->{access_token}
            or $self->{t}->give_up('no token of Keycloak: '
                                   . json_encode($got));
        $self->{admin_until} = time() + $got->{expires_in} / 2;
    }
    my $realm = exists $o{realm} && !$o{realm} ? '' : "/$self->{realm}";
    my $r = $self->{ua}->request($method, "$self->{url}/admin/realms$realm$path",
        { headers => { Authorization => "Bearer $self->{admin_token}",
                       'Content-Type' => 'application/json' },
          defined $body ? (content => json_encode($body)) : () });
    $r->{json} = json_decode($r->{content});
    return $r;
}

sub must {
    my ($self, $method, $path, @more) = @_;
    my $r = $self->admin($method, $path, @more);
    $self->{t}->give_up("Keycloak, $method $path: $r->{status} $r->{content}")
        unless $r->{success};
    ($r->{id}) = ($r->{headers}{location} // '') =~ m{([^/]+)$};
    return $r;
}

# A user with the password of all, and more of its representation; the id.

sub user {
    my ($self, $name, %more) = @_;
    return $self->must(POST => '/users', { username => $name,
        enabled => JSON::PP::true, firstName => ucfirst $name,
        lastName => 'Example', email => "$name\@example.org",
        emailVerified => JSON::PP::true,
        credentials => [{ type => 'password', value => $PASSWORD }],
        %more })->{id};
}

sub client {
    my ($self, $id, %more) = @_;
    return $self->must(POST => '/clients', { clientId => $id,
        enabled => JSON::PP::true, protocol => 'openid-connect',
        defaultClientScopes => ['basic', 'profile', 'stoa'],
        %more })->{id};
}

sub group { my ($self, $path) = @_;
            return $self->must(GET => "/group-by-path$path")->{json}{id} }

# Gives a user a role of the realm.
sub role {
    my ($self, $user, $role) = @_;
    $self->must(POST => "/users/$user/role-mappings/realm",
                [$self->must(GET => "/roles/$role")->{json}]);
}

# By a client that may ask with a password, made at first need.

sub token {
    my ($self, $username, %form) = @_;
    $self->{direct} //= $self->client('direct', publicClient => JSON::PP::true,
        directAccessGrantsEnabled => JSON::PP::true);
    return $self->token_of($self->{realm}, grant_type => 'password',
        client_id => 'direct', username => $username, password => $PASSWORD,
        scope => 'openid', %form);
}


1;
