package Test::Stoa::Demo;

# Documents that most end-to-end tests begin with: tenant acme, a plan, an
# application with subscriptions to what the caller names.
#
#   use Test::Stoa::Demo;
#   $t->apply(demo(mcp => { m => $port }, rest => { echo => $port },
#                  plan => 'rate: 1000'));
#
# mcp and rest: name => port of an upstream on loopback (path /mcp, or none);
# or name => { port =>, path =>, spec => "more lines" }.

use strict;
use warnings;

use Exporter 'import';
our @EXPORT = qw(demo document subscribe);


sub document {
    my ($kind, $tenant, $name, $spec) = @_;
    $spec = '' unless defined $spec;
    $spec =~ s/^/  /mg;
    my $in = defined $tenant ? ", tenant: $tenant" : '';
    return "---\napiVersion: stoa/v1\nkind: $kind\n"
           . "metadata: { name: $name$in }\nspec:\n"
           . ($spec =~ /\S/ ? $spec : '  {}') . "\n";
}


sub subscribe {
    my ($tenant, $application, $what, $name, $plan, $more) = @_;
    return "---\napiVersion: stoa/v1\nkind: Subscription\n"
           . "metadata: { tenant: $tenant }\nspec:\n"
           . "  application: $application\n  $what: $name\n  plan: $plan\n"
           . ($more // '');
}


sub demo {
    my (%o) = @_;
    my $tenant = $o{tenant} || 'acme';
    my $app = $o{application} || 'app';
    my $plan = $o{plan} // 'rate: 0';

    my $yaml = document('Tenant', undef, $tenant, 'title: ' . ucfirst $tenant)
        . document('Plan', $tenant, 'basic', $plan)
        . document('Application', $tenant, $app);

    for my $kind (qw(rest mcp)) {
        my $apis = $o{$kind} || {};
        for my $name (sort keys %$apis) {
            my $api = $apis->{$name};
            $api = { port => $api } unless ref $api;
            my $path = $api->{path} // ($kind eq 'mcp' ? '/mcp' : '');
            $yaml .= document('Api', $tenant, $name,
                "kind: $kind\nstate: published\nupstream:\n"
                . "  targets:\n    - url: http://127.0.0.1:$api->{port}$path\n"
                . ($api->{upstream} // '') . ($api->{spec} // ''));
            $yaml .= subscribe($tenant, $app, 'api', $name, 'basic');
        }
    }
    return $yaml;
}


1;
