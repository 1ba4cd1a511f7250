package Test::Stoa::Docs;

# Documents for apply, one line each: what most tests need of a tenant.
#
#   $t->apply(docs(tenant('acme'), plan('acme', 'free'),
#       app('acme', 'demo'), rest('acme', 'echo', "http://127.0.0.1:$port"),
#       sub_('acme', 'demo', 'echo', 'free')));
#
# JSON is YAML too, so a value may hold %%PORT_x%% as in any text.

use strict;
use warnings;

use Exporter qw(import);
use Test::Stoa::Base qw(json_encode);

our @EXPORT = qw(docs doc tenant plan app rest sub_);


sub docs { return join '', map { "---\n$_\n" } @_ }

sub doc {
    my ($kind, $tenant, $name, $spec) = @_;
    return json_encode({ apiVersion => 'stoa/v1', kind => $kind,
        metadata => { defined $name ? (name => $name) : (),
                      defined $tenant ? (tenant => $tenant) : () },
        spec => $spec || {} });
}

sub tenant { my ($name, %spec) = @_;
             return doc('Tenant', undef, $name, { title => $name, %spec }) }

sub plan { my ($tenant, $name, %spec) = @_;
           return doc('Plan', $tenant, $name, \%spec) }

sub app { my ($tenant, $name, %spec) = @_;
          return doc('Application', $tenant, $name,
                     { title => $name, %spec }) }

# rest(tenant, name, url or [urls] or [{ url, weight }], upstream => {...},
# more of the spec): published.

sub rest {
    my ($tenant, $name, $to, %spec) = @_;
    my $upstream = delete $spec{upstream} || {};
    my @targets = map { ref $_ ? $_ : { url => $_ } } ref $to ? @$to : $to;
    return doc('Api', $tenant, $name, { kind => 'rest',
        state => 'published', upstream => { targets => \@targets,
                                            %$upstream }, %spec });
}

# sub_(tenant, application, api, plan, more of the spec)

sub sub_ {
    my ($tenant, $application, $api, $plan, %spec) = @_;
    return doc('Subscription', $tenant, undef, { application => $application,
        api => $api, plan => $plan, %spec });
}


1;
