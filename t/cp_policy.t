#!/usr/bin/perl

# Policies at the control plane: what is refused and with which line, what of
# them records carry, dump and diff, what is in use, what applies to a place.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Docs;
use Test::Stoa::Feed;

my $t = Test::Stoa->new;
$t->control;
my $gw = Test::Stoa::Feed->new($t, 'gw1', 'default');
my $up = 'http://127.0.0.1:1';
my $P = '/v1/tenants/acme/policies';
my $E = '/v1/tenants/acme/effective-policies';

sub policy { my ($name, $type, %spec) = @_;
             return doc('Policy', 'acme', $name, { type => $type, %spec }) }
sub global { my ($name, $type, %spec) = @_;
             return doc('GlobalPolicy', undef, $name,
                        { type => $type, %spec }) }

my @base = (tenant('acme'), tenant('other'), plan('acme', 'free'),
    app('acme', 'demo'), doc('GatewayGroup', undef, 'edge'),
    rest('acme', 'orders', $up, operations => [
        { name => 'list', method => 'GET', path => '/orders' },
        { name => 'add', method => 'POST', path => '/orders' }]),
    doc('Api', 'acme', 'weather', { kind => 'mcp', state => 'published',
        upstream => { targets => [{ url => $up }] } }),
    rest('other', 'theirs', $up),
    doc('Server', 'acme', 'desk', { state => 'published' }),
    sub_('acme', 'demo', 'orders', 'free'));
$t->apply(docs(@base));

sub row { my ($kind, $name) = @_;
          $gw->pull;
          my ($r) = grep { $_->{kind} eq $kind && $_->{body}{name} eq $name }
              values %{ $gw->{rows} };
          return $r->{body} || {} }
sub has { my ($kind, $name) = @_;
          return join ' ', map { join ':', @$_{qw(name type scope)} }
              @{ row($kind, $name)->{policies} || [] } }


# what is refused: the document, the field, a part of the message

my %cors = (origins => ['https://a.example']);
my @bad = (
    ['an unknown type', policy('p', 'teleport'), 'spec.type', 'one of cors'],
    ['no type', doc('Policy', 'acme', 'p', {}), 'spec.type', 'required'],
    ['an unknown field of it', policy('p', 'headers', colour => 1),
     'spec.colour', 'not known'],
    ['an unknown state', policy('p', 'headers', state => 'on'), 'spec.state',
     'enabled, shadow, disabled'],
    ['an unknown field of the configuration',
     policy('p', 'cors', config => { %cors, colour => 1 }),
     'spec.config.colour', 'not known'],
    ['what the configuration needs', policy('p', 'cors'),
     'spec.config.origins', 'missing'],
    ['a value out of bounds',
     policy('p', 'cors', config => { %cors, max_age_s => 86401 }),
     'spec.config.max_age_s', '0..86400'],
    ['a wrong item',
     policy('p', 'cors', config => { origins => ['https://a', 'b'] }),
     'spec.config.origins[1]', 'origin'],
    ['a wildcard with credentials',
     policy('p', 'cors', config => { origins => ['*'],
                                     credentials => JSON::PP::true() }),
     'spec.config.credentials', 'not be together'],
    ['a line break in a header',
     policy('p', 'headers', config => { response_set => [
         { name => 'X-A', value => "a\r\nb" }] }),
     'spec.config.response_set[0].value', 'control'],
    ['nowhere in particular', policy('p', 'headers', attach => [{}]),
     'spec.attach[0]', 'must name one of'],
    ['two places at once', policy('p', 'headers', attach => [
        { plan => 'free', application => 'demo' }]),
     'spec.attach[0]', 'must name one of'],
    ['an operation without its api', policy('p', 'headers', attach => [
        { operation => 'list' }]), 'spec.attach[0].operation',
     'of an api, which must be named'],
    ['what there is not', policy('p', 'headers', attach => [
        { api => 'orders' }, { api => 'nothing' }]),
     'spec.attach[1].api', 'no api'],
    ['no such operation', policy('p', 'headers', attach => [
        { api => 'orders', operation => 'x' }]),
     'spec.attach[0].operation', 'no operation'],
    ['another tenant', policy('p', 'headers', attach => [
        { tenant => 'other' }]), 'spec.attach[0]', 'own tenant'],
    ['another tenant\'s api', policy('p', 'headers', attach => [
        { api => 'theirs' }]), 'spec.attach[0].api', 'no api'],
    ['the group, by a tenant', policy('p', 'headers', attach => [
        { gateway_group => 'edge' }]), 'spec.attach[0]', 'must name one of'],
    ['an api, by the platform', global('p', 'headers', attach => [
        { api => 'orders' }]), 'spec.attach[0].api', 'no api'],
    ['a scope that the type does not have', policy('p', 'cors',
        config => \%cors, attach => [{ plan => 'free' }]), 'spec.attach[0]',
     'do not apply to a plan'],
    ['an application, for what people of its publisher decide',
     policy('p', 'approval', attach => [{ application => 'demo' }]),
     'spec.attach[0]', 'do not apply to an application'],
    ['an mcp api, for what is of the endpoint', policy('p', 'cors',
        config => \%cors, attach => [{ api => 'weather' }]),
     'spec.attach[0]', 'kind mcp'],
    ['a tool of a rest api', policy('p', 'headers', attach => [
        { api => 'orders', tool => 'x' }]), 'spec.attach[0]', 'no tools'],
    ['twice', policy('p', 'headers', attach => [
        { api => 'orders' }, { api => 'orders', order => 7 }]),
     'spec.attach[1]', 'twice'],
);


for (@bad) {
    my ($what, $doc, $field, $text) = @$_;
    my $r = $t->api(POST => '/v1/apply', docs(doc('Plan', 'acme', 'new', {}),
                    $doc), headers => { 'Content-Type' => 'application/yaml' });
    is($r->{status}, 422, "$what: 422");
    my ($e) = @{ $r->{json}{errors} || [{}] };
    is($e->{field} // '', $field, "$what: the field");
    like($e->{message} // '', qr/\Q$text/, "$what: why");
    is($e->{line} // 0, 4, "$what: the line");
}
is($t->api(GET => '/v1/tenants/acme/plans/new')->{status}, 404,
   'nothing of such documents is applied');

my $r = $t->api(POST => '/v1/apply', <<'END',
apiVersion: stoa/v1
kind: Policy
metadata: {name: p, tenant: acme}
spec:
  type: cors
  config:
    origins:
      - https://a.example
      - https://B.example
END
    headers => { 'Content-Type' => 'application/yaml' });
is($r->{json}{errors}[0]{line}, 9, 'the line within the configuration');


# attached: what records carry

$t->apply(docs(
    policy('web', 'cors', config => \%cors, attach => [{ api => 'orders' },
                                                       { server => 'desk' }]),
    policy('all', 'cors', config => { origins => ['*'] },
           attach => [{ tenant => 'acme' }]),
    policy('two', 'headers', attach => [{ api => 'orders', order => 20 },
        { api => 'orders', operation => 'add' },
        { api => 'weather', tool => 'now' }, { plan => 'free' }]),
    policy('one', 'headers', config => { response_remove => ['X-A'] },
           attach => [{ api => 'orders', order => 10 },
                      { application => 'demo' }, { tenant => 'acme' }]),
    policy('off', 'headers', state => 'disabled',
           attach => [{ api => 'orders' }]),
    policy('spare', 'headers'),
    global('ops', 'headers', attach => [{ tenant => 'acme' },
                                        { gateway_group => 'default' }])));

is(has('api', 'orders'), 'ops:headers:tenant one:headers:tenant '
   . 'one:headers:api two:headers:api web:cors:api two:headers:operation',
   'an api: from the widest, by order, the narrowest of a single type');
is_deeply(row('api', 'orders')->{requires},
          [{ id => 3, version => 1 }, { id => 1, version => 1 }],
          'what a gateway has to know for it');
is(has('api', 'weather'), 'two:headers:tool', 'an mcp api: its tools\'');
is(row('api', 'weather')->{policies}[0]{tool}, 'now', 'with the name');
is(has('tenant', 'acme'), 'ops:headers:tenant all:cors:tenant '
   . 'one:headers:tenant', 'the tenant: its MCP endpoint');
is(has('server', 'desk'), 'ops:headers:tenant one:headers:tenant '
   . 'web:cors:server', 'a server');
is(has('plan', 'free'), 'two:headers:plan', 'a plan');
is(has('application', 'demo'), 'one:headers:application', 'an application');
is(has('group', 'default'), 'ops:headers:gateway_group', 'the group');
is(row('group', 'edge')->{name}, undef, 'no other group is told');
is_deeply(row('api', 'orders')->{policies}[1]{config},
          { response_remove => ['X-A'] }, 'with the configuration');

$r = $t->api(POST => $P, { name => 'again', type => 'cors', config => \%cors,
                           attach => [{ api => 'orders' }] });
is($r->{status}, 422, 'a second one of a type of which one counts');
is($r->{json}{errors}[0]{field}, 'attach[0]', 'the field');
like($r->{json}{errors}[0]{message}, qr/"web"/, 'the other one is named');

$t->apply(docs(policy('web', 'cors', config => \%cors,
                      attach => [{ server => 'desk' }]),
               policy('next', 'cors', config => \%cors,
                      attach => [{ api => 'orders' }])));
$t->apply(docs(policy('web', 'cors', config => \%cors,
                      attach => [{ api => 'orders' }, { server => 'desk' }]),
               policy('next', 'cors', config => \%cors)));
like(has('api', 'orders'), qr/web:cors:api/, 'two that change places');
$r = $t->api(POST => '/v1/apply', docs(
    policy('web', 'cors', config => \%cors, attach => [{ api => 'orders' }]),
    policy('next', 'cors', config => \%cors,
           attach => [{ server => 'desk' }, { api => 'orders' }])),
    headers => { 'Content-Type' => 'application/yaml' });
is($r->{status}, 422, 'two of them in one apply');
ok((grep { $_->{field} eq 'spec.attach[1]' && $_->{document} == 1 }
    @{ $r->{json}{errors} }) > 0, 'the field') or diag(explain($r->{json}));

is($t->api(PATCH => "$P/web", { type => 'headers' })->{status}, 422,
   'the type is for good');
$t->must(PATCH => "$P/web", { state => 'disabled' });
is(row('api', 'orders')->{policies}[4]{state}, 'disabled',
   'a single one that is off is told: it keeps the wider one away');
$t->must(PATCH => "$P/web", { state => 'shadow' });
is(row('api', 'orders')->{policies}[4]{state}, 'shadow', 'shadow');


# in use

for (['api', 'apis/orders'], ['server', 'servers/desk'],
     ['plan', 'plans/free'], ['application', 'applications/demo'],
     ['operation', 'apis/orders/operations/add'])
{
    my ($kind, $path) = @$_;
    my $r = $t->api(DELETE => "/v1/tenants/acme/$path?force=1");
    is("$r->{status} $r->{json}{type}", '409 urn:stoa:problem:in_use',
       "$kind: what a policy is attached to stays");
}
is($t->api(DELETE => '/v1/gateway-groups/default')->{status}, 409, 'a group');


# dump, diff, apply

my $dump = $t->api(GET => '/v1/dump')->{body};
like($dump, qr/kind: GlobalPolicy/, 'a dump has them');
$r = $t->api(POST => '/v1/diff?prune=1', $dump,
             headers => { 'Content-Type' => 'application/yaml' });
is_deeply($r->{json}{changes}, [], 'and changes nothing when applied')
    or diag(explain($r->{json}));
$r = $t->api(POST => '/v1/apply?prune=1', docs(@base),
             headers => { 'Content-Type' => 'application/yaml' });
is($r->{status} < 300, 1, 'pruned') or diag(explain($r->{json}));
is(has('api', 'orders'), 'ops:headers:tenant', 'the tenant\'s are gone');
$t->must(DELETE => '/v1/policies/ops');
is(has('api', 'orders') . has('group', 'default'), '', 'the platform\'s too');


# detached

$t->apply(docs(policy('one', 'headers', attach => [{ api => 'orders' },
                                                   { plan => 'free' }])));
$t->apply(docs(policy('one', 'headers', attach => [{ plan => 'free' }])));
is(has('api', 'orders') . '|' . has('plan', 'free'), '|one:headers:plan',
   'from where it was taken off, it is gone');
$t->must(DELETE => "$P/one");
is(has('plan', 'free'), '', 'deleted');


# what applies

sub effective {
    my ($query) = @_;
    my $r = $t->must(GET => "/v1/tenants/acme/effective-policies?$query");
    return join ' ', map { join ':', map { $_ // '-' }
        @$_{qw(source policy type scope state)}, $_->{in_force} ? 1 : 0 }
        @{ $r->{items} };
}
my $own = sub { return join ' ', map { "$_:enabled:1" } 'default:-:publisher:-',
    @_, 'default:-:key:-', 'default:-:subscription:-' };
my $default = 'default:-:response-locations:-:enabled:1';
my $body = 'api:-:body-limit:-';
is(effective('api=orders'), $own->($body) . " $default",
   'a default, and what its fields ask for');
$t->apply(docs(
    policy('web', 'cors', config => \%cors, attach => [{ api => 'orders' }]),
    policy('all', 'cors', config => { origins => ['*'] },
           attach => [{ tenant => 'acme' }]),
    policy('h', 'headers', attach => [{ api => 'orders', operation => 'add' },
                                      { plan => 'free' }]),
    policy('plain', 'response-locations', state => 'disabled',
           attach => [{ api => 'orders' }]),
    global('ops', 'headers', state => 'shadow',
           attach => [{ gateway_group => 'default' }])));
my $all = 'policy:all:cors:tenant:enabled:';
is(effective('api=orders'), "${all}0 policy:web:cors:api:enabled:1 "
   . $own->($body) . ' policy:plain:response-locations:api:disabled:0',
   'the narrowest counts');
is(effective('api=orders&operation=add&plan=free&gateway_group=default'),
   "${all}0 policy:web:cors:api:enabled:1 " . $own->($body)
   . ' global_policy:ops:headers:gateway_group:shadow:1 '
   . 'policy:plain:response-locations:api:disabled:0 '
   . 'policy:h:headers:operation:enabled:1 policy:h:headers:plan:enabled:1',
   'all of a call');
is(effective('server=desk'), "${all}1 " . $own->() . " $default",
   'an MCP endpoint');

$t->apply(docs(policy('near', 'ip-filter', config => { deny => ['::1/128'] },
                      attach => [{ api => 'weather' }, { tenant => 'acme' }]),
               policy('size', 'body-limit', config => { max_bytes => 9 },
                      attach => [{ plan => 'free' }])));
is(join(' ', grep { /:(?:ip-|key|body-)/ } split / /,
        effective('api=weather&plan=free')),
   'policy:near:ip-filter:tenant:enabled:1 default:-:key:-:enabled:1 '
   . 'policy:size:body-limit:plan:enabled:1 '
   . 'policy:near:ip-filter:api:enabled:1 api:-:body-limit:-:enabled:1',
   "an MCP call's api is found last");
$t->must(DELETE => "$P/$_") for qw(near size);

# a plan's limits: what its fields say, in the state that a policy says

$t->apply(docs(plan('acme', 'tight', rate => 5, quota_day => 9),
    policy('try', 'rate', state => 'shadow', attach => [{ plan => 'tight' }]),
    policy('off', 'quota', state => 'disabled',
           attach => [{ plan => 'tight' }])));
is(join(' ', grep { /rate|quota|concurr/ } split / /, effective('plan=tight')),
   'policy:off:quota:plan:disabled:0 policy:try:rate:plan:shadow:1 '
   . 'plan:-:rate:-:shadow:1 plan:-:quota:-:disabled:0', 'limits of a plan');
is((grep { $_->{type} eq 'rate' && $_->{source} eq 'plan' }
    @{ $t->must(GET => '/v1/tenants/acme/effective-policies?plan=tight')
       ->{items} })[0]{config}{rate}, 5, 'with the plan\'s fields');
is(has('plan', 'tight'), 'off:quota:plan try:rate:plan',
   'the record carries the states');
$t->must(DELETE => "$P/$_") for qw(try off);
for my $type (qw(key subscription identity publisher)) {
    is($t->api(POST => $P, { name => "no-$type", type => $type,
                             state => 'shadow' })->{status}, 422,
       "$type is nothing that a policy switches off");
}
is($t->api(POST => $P, { name => 'wide', type => 'rate', state => 'shadow',
    attach => [{ application => 'demo' }] })->{status}, 422,
   'nor does a consumer say the state of his plan');
is($t->api(POST => $P, { name => 'more', type => 'rate',
    config => { rate => 1 } })->{status}, 422, 'or its fields');

# a gateway group's are the platform's: that there are some, not how they are

my $people = $t->must(POST => '/v1/admin-tokens', { name => 'theirs',
    role => 'tenant-admin', tenant => 'acme' })->{token};
for ([acme => $people], [platform => undef]) {
    my ($who, $theirs) = @$_;
    my $r = $t->api(GET => '/v1/tenants/acme/effective-policies'
        . '?gateway_group=default', undef, $theirs ? (token => $theirs) : ());
    my ($wide) = grep { ($_->{scope} // '') eq 'gateway_group' }
        @{ $r->{json}{items} };
    is($wide->{type} && exists $wide->{config} ? 'all' : $wide->{type},
       $who eq 'acme' ? 'headers' : 'all', "what $who is told of them");
}
is($t->api(GET => '/v1/tenants/acme/effective-policies?api=no')->{status},
   404, 'no such api');
is($t->api(GET => '/v1/tenants/acme/effective-policies?tool=x')->{status},
   422, 'a tool of nothing');
is($t->api(GET => '/v1/tenants/acme/effective-policies?x=1')->{status}, 400,
   'an unknown parameter');


# rights

my $token = $t->must(POST => '/v1/admin-tokens', { name => 'ta',
    role => 'tenant-admin', tenant => 'acme' })->{token};
my @as = (headers => {}, token => $token);
is($t->api(GET => $P, undef, @as)->{status}, 200, 'a tenant sees its own');
is($t->api(GET => '/v1/policies', undef, @as)->{status}, 403,
   'the platform\'s list it does not');
is($t->api(GET => '/v1/tenants/other/policies', undef, @as)->{status}, 404,
   'nor another\'s');
is($t->api(PATCH => "$P/web", { title => 'x' }, @as)->{status}, 200,
   'it may change its own');


# a gateway of version 0.1, which passes `requires` over

my $old = Test::Stoa::Feed->new($t, 'gw0', 'edge', old => 1);
my $apis = sub { return join ' ', sort map { $_->{body}{name} }
                     grep { $_->{kind} eq 'api' } values %{ $old->{rows} } };
my %weather = (kind => 'mcp', state => 'published',
               upstream => { targets => [{ url => $up }] });
$old->pull;
is($apis->(), 'theirs weather', 'it gets no api with a policy');
$old->status;
is(join(' ', sort map { $_->{key} =~ /^(\w+)/ } @{ $old->shown->{rejected} }),
   'api plan server tenant', 'which is told as refused, and all that has one');
like($old->shown->{rejected}[0]{error}, qr/knows no policies/, 'and why');
$t->apply(docs(doc('Secret', 'acme', 'late', { value => 'hush' }),
    policy('late', 'headers', config => { request_set => [
        { name => 'X-Late', value => '${secret:late}' }] },
        attach => [{ api => 'weather' }])));
my $answer = $old->pull->{body};
is($apis->(), 'theirs', 'nor what gets one later');
unlike($answer, qr/hush/, 'nor its secret');
$old->status;
$r = $t->api(POST => '/v1/apply?wait=10s', docs(doc('Api', 'acme',
    'weather', \%weather)), headers => { 'Content-Type' =>
                                         'application/yaml' });
is((grep { $_->{name} eq 'gw0' } @{ $r->{json}{gateways} })[0]{state},
   'rejected', 'an apply tells it, too');
$t->must(DELETE => "$P/late");
$old->pull;
is($apis->(), 'theirs weather', 'without the policy it is back');
$t->apply(docs(global('wide', 'headers', config => {},
                      attach => [{ gateway_group => 'edge' }])));
is($old->pull->{status}, 410, 'a policy of its group: it starts over');
my $afresh = sub { $old->{rev} = 0; $old->{rows} = {}; $old->pull };
$afresh->();
is($apis->(), '', 'and gets nothing');
$old->status;
is((grep { $_->{key} =~ /^group:/ } @{ $old->shown->{rejected} }), 1,
   'which is told');
is($old->pull->{status}, 200, 'it goes on');
$t->must(DELETE => '/v1/policies/wide');
is($old->pull->{status}, 410, 'without the policy it starts over');
$afresh->();
is($apis->(), 'theirs weather', 'and has what it had');

# -- what it was -------------------------------------------------------------

my $limit = sub { return { max_bytes => $_[0] } };
$t->must(POST => $P, { name => 'size', type => 'body-limit',
    config => $limit->(100), attach => [{ api => 'orders' }] });
$t->must(PATCH => "$P/size", { config => $limit->(200) });
$t->must(PATCH => "$P/size", { state => 'shadow', title => 'Looked at' });
$t->must(PATCH => "$P/size", { title => 'Looked at' });
my $v = $t->must(GET => "$P/size/versions")->{items};
is(@$v, 3, 'a version of a policy per change');
is(join(' ', map { $_->{current} ? 1 : 0 } @$v), '1 0 0',
   'the youngest first, which is the one in force');
like($v->[0]{actor}, qr/^bootstrap-/, 'who made it so');
is_deeply($v->[0]{diff}{state}, { before => 'enabled', after => 'shadow' },
          'each with what it changed');
is($v->[1]{diff}{config}{after}{max_bytes}, 200, 'the configuration, too');
my $first = $v->[2]{version};
my $one = $t->must(GET => "$P/size/versions/$first");
is($one->{policy}{config}{max_bytes}, 100, 'it is there as it was');
is($one->{policy}{attach}[0]{api}, 'orders', 'with names');
is_deeply($one->{diff}{state}, { before => 'shadow', after => 'enabled' },
          'and what restoring it changes');
my ($code, $out) = $t->stoactl('request', 'get', "$P/size/versions/$first");
is($code, 0, 'stoactl has no command for it, and "request"');
is(json_decode($out)->{version}, $first, 'which prints what is answered');
($code, $out) = $t->stoactl('request', 'POST', "$E?api=orders", '-f', '-',
    { stdin => 'name: none' });
is($code, 3, 'an error as of every command');
is($t->api(POST => "$P/size/versions/$first/restore", undef, headers =>
           { 'If-Match' => '"x"' })->{status}, 412, 'restoring looks first');
my $back = $t->must(POST => "$P/size/versions/$first/restore");
is($back->{config}{max_bytes}, 100, 'restored');
is($back->{state}, 'enabled', 'as a whole');
is(@{ $t->must(GET => "$P/size/versions")->{items} }, 4,
   'which is a version, too');
is((grep { $_->{name} eq 'size' } @{ row(api => 'orders')->{policies} })[0]
   {config}{max_bytes}, 100,
   'gateways have it');
for (0, 99, 'x', '1x', '-1', '9' x 20) {
    is($t->api(GET => "$P/size/versions/$_")->{status}, 404,
       "no version $_");
}
is($t->api(GET => '/v1/tenants/other/policies/size/versions')->{status}, 404,
   'of another tenant there is none');
$t->must(PATCH => "$P/size", { config => $limit->($_) }) for 1 .. 55;
$v = $t->must(GET => "$P/size/versions")->{items};
is(@$v, 50, 'fifty are kept');
$t->must(POST => "$P", { name => 'tmp', type => 'body-limit',
    config => $limit->(7), attach => [{ api => 'weather' }] });
$t->must(PATCH => "$P/tmp", { attach => [] });
$t->must(DELETE => '/v1/tenants/acme/apis/weather?force=1');
my $gone = $t->must(GET => "$P/tmp/versions")->{items}[-1]{version};
is($t->api(POST => "$P/tmp/versions/$gone/restore")->{status}, 422,
   'what it was attached to is gone: it is not restored');
$t->must(DELETE => "$P/tmp");
$t->must(POST => $P, { name => 'tmp', type => 'body-limit',
                       config => $limit->(8) });
is(@{ $t->must(GET => "$P/tmp/versions")->{items} }, 1,
   'a new policy of the name inherits none');
$t->must(POST => '/v1/policies', { name => 'g', type => 'body-limit',
    config => $limit->(5), attach => [{ tenant => 'acme' }] });
$t->must(PATCH => '/v1/policies/g', { state => 'disabled' });
is(@{ $t->must(GET => '/v1/policies/g/versions')->{items} }, 2,
   'global ones have versions');


# -- what would be -----------------------------------------------------------

my $at = 'application=demo&api=orders&operation=list';
my $before = $t->must(GET => "$E?$at")->{items};
my $try = $t->must(POST => "$E?$at", { name => 'size',
                                       config => $limit->(9) });
is_deeply($try->{before}, $before, 'a dry run tells what is');
is(join(' ', map { "$_->{action} $_->{type}" } @{ $try->{changes} }),
   'changed body-limit', 'and what changes');
is($try->{changes}[0]{after}{config}{max_bytes}, 9, 'into what');
is_deeply($t->must(GET => "$E?$at")->{items}, $before, 'nothing is kept');
$try = $t->must(POST => "$E?$at", { name => 'new', type => 'headers',
    config => { response_set => [{ name => 'X-A', value => 'b' }] },
    attach => [{ application => 'demo' }] });
is(join(' ', map { "$_->{action} $_->{type} $_->{after}{scope}" }
             @{ $try->{changes} }), 'added headers application',
   'one that is not there yet');
is($t->api(GET => "$P/new")->{status}, 404, 'nor is it then');
$try = $t->must(POST => "$E?$at", { name => 'size', remove => \1 });
is($try->{changes}[0]{action}, 'removed', 'one taken away');
is(scalar(@{ $try->{after} }), @$before - 1, 'is not in what would apply');
$try = $t->must(POST => "$E?application=demo&api=orders", { name => 'size',
    attach => [{ api => 'orders', operation => 'add' }] });
is($try->{changes}[0]{action}, 'removed', 'moved to another place');
is($t->api(POST => "$E?$at", { name => 'size', config => { max_bytes => -1 } })
   ->{status}, 422, 'what would be refused is refused');
is($t->api(POST => "$E?$at", { name => 'none', remove => \1 })->{status}, 404,
   'what is not there is not taken away');
my $look = $t->must(POST => '/v1/admin-tokens', { name => 'look2',
    role => 'viewer', tenant => 'acme' })->{token};
is($t->api(POST => "$E?$at", { name => 'size' }, token => $look)->{status},
   403, 'who may not write policies does not try');

# -- gateways that say what they know ----------------------------------------

my $size = { name => 'sized', type => 'body-limit', config => $limit->(1) };
my $few = Test::Stoa::Feed->new($t, 'few', 'edge');
$few->pull;
$few->status(policies => 'cors:1 headers:1 body-limited:9 body-limit:0');
is($t->must(GET => '/v1/gateways/few')->{policies},
   'cors:1 headers:1 body-limited:9 body-limit:0', 'a gateway says so');
my $refused = $t->api(POST => $P, $size);
is($refused->{status}, 422, 'a type that a connected gateway lacks');
is($refused->{json}{errors}[0]{field}, 'type', '... is refused');
is($refused->{json}{errors}[0]{message},
   'is not known at 1 connected gateway: "few"', '... with its name');
my $admin = $t->must(POST => '/v1/admin-tokens', { name => 'acme-admin',
    role => 'tenant-admin', tenant => 'acme' })->{token};
is($t->api(POST => $P, $size, token => $admin)->{json}{errors}[0]{message},
   'is not known at 1 connected gateway', '... for the platform\'s people');
is($t->api(GET => "$P/sized")->{status}, 404, 'it is not stored');
is($t->api(POST => '/v1/apply', docs(policy('sized', 'body-limit',
    config => $limit->(1))), headers => { 'Content-Type' =>
    'application/yaml' })->{status}, 422, 'nor by a document');
$t->must(PATCH => "$P/size", { config => $limit->(3) });
pass('what is there is changed all the same');
$few->status(policies => 'cors:1 body-limit:1');
is($t->must(POST => $P, $size)->{name}, 'sized', 'known everywhere: taken');
$few->status;
$t->must(POST => $P, { name => 'quiet', type => 'headers', config => {} });
pass('who does not say is told by what it withholds');

# -- templates: many policies of one form -------------------------------------

my $T = '/v1/tenants/acme/policy-templates';
my $S = '/v1/tenants/acme/policy-sets';
my %first = (version => 1,
    parameters => { type => 'object', required => ['api'], properties => {
        api => { type => 'string' },
        max => { type => 'integer', minimum => 1, default => 100 },
        age => { type => 'integer' },
        who => { type => 'array', items => { type => 'string' } } } },
    policies => [
        { name => 'web', type => 'cors', config => { origins => '{{who}}',
          max_age_s => '{{age}}' }, attach => [{ api => '{{api}}' }] },
        { name => 'size', type => 'body-limit', title => '{{set}}: {{max}}',
          config => { max_bytes => '{{max}}' },
          attach => [{ api => '{{api}}' }] }]);
sub version { my ($n, %change) = @_;
              return { %first, version => $n, %change } }
sub errors { my ($r) = @_;
             return join '; ', "$r->{status}", map { "$_->{field}:"
                 . " $_->{message}" } @{ $r->{json}{errors} || [] } }

for (['a placeholder of nothing', { policies => [{ name => 'a',
        type => 'headers', title => '{{nope}}' }] },
      qr/^422; versions\[0\]\.policies\[0\]: has \{\{nope\}\}, which is none/],
     ['one that is broken', { policies => [{ name => 'a', type => 'headers',
        title => '{{ api }}' }] }, qr/\{\{ api \}\}", which is no/],
     ['no type', { policies => [{ name => 'a', type => 'teleport' }] },
      qr/policies\[0\]\.type: is no type of policies/],
     ['the same name twice', { policies => [{ name => 'a', type => 'cors' },
        { name => 'a', type => 'headers' }] }, qr/policies\[1\]\.name: is there twice/],
     ['no schema', { parameters => { type => 'array' } },
      qr/versions\[0\]\.parameters\.type: must be object/],
     ['a word that schemas have not', { parameters => { propertees => {} } },
      qr/versions\[0\]\.parameters/],
     ['what each set knows by itself', { parameters => { properties => {
        tenant => {} } } }, qr/properties\.tenant: is known/]) {
    my ($what, $change, $re) = @$_;
    like(errors($t->api(POST => $T, { name => 'bad',
         versions => [version(1, %$change)] })), $re, "a template with $what");
}
like(errors($t->api(POST => $T, { name => 'bad', versions => [version(2),
     version(2, note => 'again')] })), qr/versions\[1\]\.version: must be higher/,
     'versions rise');

is($t->must(POST => $T, { name => 'partner', versions => [version(1)] })
   ->{latest}, 1, 'a template');
is(errors($t->api(POST => $S, { name => 'p', template => 'partner',
   version => 1, parameters => { api => 'orders', max => 0 } })),
   '422; parameters.max: is too small', 'parameters are judged');
like(errors($t->api(POST => $S, { name => 'p', template => 'partner',
     version => 1, parameters => { api => 'orders', moon => 1 } })),
     qr/^422; parameters\.moon: is no parameter/, '... each of them');
like(errors($t->api(POST => $S, { name => 'p', template => 'partner',
     version => 2, parameters => { api => 'orders' } })),
     qr/^422; version: is none of the template; its newest is 1/,
     'a version that there is not');
like(errors($t->api(POST => $S, { name => 'p', version => 1 })),
     qr/^422; template: must be there/, 'neither template');
like(errors($t->api(POST => $S, { name => 'p', template => 'partner',
     version => 1, parameters => { api => 'nothing', who => ['*'] } })),
     qr/^422; policies\.p-web\.attach\[0\]\.api: /,
     'what the policies themselves refuse is told with their names');
is($t->api(GET => "$P/p-web")->{status}, 404, 'and nothing is made');
like(errors($t->api(POST => $S, { name => 'p', template => 'partner',
     version => 1, parameters => { api => 'orders' } })),
     qr/policies\.p-web\.config\.origins: /, 'also what their types need');
$t->must(PATCH => '/v1/tenants/acme/apis/orders', { title => 'orders' });
$t->must(PATCH => "$P/web", { attach => [] });

my $set = $t->must(POST => $S, { name => 'p', template => 'partner',
    version => 1, parameters => { api => 'orders', who => ['https://p.example'] } });
is("$set->{policies} $set->{drift} $set->{latest}", '2 0 1', 'a set');
my $made = $t->must(GET => "$P/p-web");
is_deeply([$made->{config}, $made->{attach}[0]{api}, $made->{policy_set},
           $made->{drifted}], [{ origins => ['https://p.example'] }, 'orders',
           'p', JSON::PP::false()], 'its policies are policies');
is($t->must(GET => "$P/p-size")->{title}, 'p: 100', 'with values in texts');
like(has('api', 'orders'), qr/p-size:body-limit:api/, 'which gateways get');
is_deeply([map { $_->{name} } @{ $t->must(GET => "$P?policy_set=p")->{items} }],
          ['p-size', 'p-web'], 'those of a set are listed');

$t->must(PATCH => "$P/p-size", { state => 'disabled' });
is($t->must(GET => "$S/p")->{drift}, 1, 'what somebody changes has drifted');
is(join(',', map { $_->{name} } @{ $t->must(GET => "$P?drifted=true")
   ->{items} }), 'p-size', '... and says so');
my $seen = $t->must(POST => "$S/p/preview", {});
is(join(' ', map { "$_->{action} $_->{policy} $_->{diff}{state}{before}" }
   @{ $seen->{changes} }), 'changed p-size disabled',
   'a preview of nothing says what has drifted');
is($t->must(GET => "$P/p-size")->{state}, 'disabled', 'nothing is kept');
$t->must(PATCH => "$P/p-size", { state => 'enabled' });
is($t->must(GET => "$S/p")->{drift}, 0, 'changed back it has not');
$t->must(DELETE => "$P/p-web");
is($t->must(GET => "$S/p")->{drift}, 1, 'so has what is gone');
my ($rc, $said) = $t->stoactl('policy-set', 'restore', 'p', '-t', 'acme',
                              '--dry-run');
like($said, qr/p-web\s+added/, 'stoactl policy-set restore --dry-run');
($rc, $said) = $t->stoactl('policy-set', 'restore', 'p', '-t', 'acme',
                           '--no-wait');
is($rc, 0, 'stoactl policy-set restore');
is($t->must(GET => "$S/p")->{drift}, 0, 'puts it back');

is($t->api(PUT => "$T/partner", { name => 'partner', versions => [
   version(1, note => 'x')] })->{status}, 409,
   'a version that sets are made of stays what it is');
is($t->api(PUT => "$T/partner", { name => 'partner', versions => [
   version(2)] })->{status}, 409, '... and there');
is($t->api(DELETE => "$T/partner")->{status}, 409, 'so does the template');
is($t->must(PUT => "$T/partner", { name => 'partner', versions => [version(1),
   version(2, policies => [$first{policies}[1], { name => 'mark',
   type => 'headers', config => { response_set => [{ name => 'X-Of',
   value => '{{tenant}}' }] }, attach => [{ tenant => '{{tenant}}' }] }])] })
   ->{latest}, 2, 'a new version');
is($t->must(GET => "$S/p")->{latest}, 2, 'sets see that there is one');
is($t->must(GET => "$S/p")->{version}, 1, 'and stay with theirs');
($rc, $said) = $t->stoactl('policy-set', 'upgrade', 'p', 'max=7', '-t', 'acme',
                           '--dry-run');
like($said, qr/p-web\s+removed.*p-mark\s+added|p-mark\s+added.*p-web\s+removed/s,
     'stoactl policy-set upgrade --dry-run');
like($said, qr/p-size\s+changed/, '... with a parameter');
is($t->must(GET => "$S/p")->{version}, 1, 'changes nothing');
($rc, $said) = $t->stoactl('policy-set', 'upgrade', 'p', 'max=7', '-t', 'acme',
                           '--no-wait');
is($rc, 0, 'stoactl policy-set upgrade') or diag $said;
is($t->must(GET => "$P/p-size")->{config}{max_bytes}, 7, 'the parameter');
is($t->must(GET => "$P/p-mark")->{config}{response_set}[0]{value}, 'acme',
   'the new policy');
is($t->api(GET => "$P/p-web")->{status}, 404, 'the old one is gone');

# the platform's, for all tenants

$t->must(POST => '/v1/policy-templates', { name => 'base', versions => [
    version(3, policies => [$first{policies}[1]])] });
is($t->must(GET => '/v1/policy-templates/base', undef, token => $admin)
   ->{latest}, 3, 'a tenant sees the platform\'s templates');
is(scalar @{ $t->must(GET => '/v1/policy-templates', undef, token => $admin)
   ->{items} }, 1, '... in their list');
is($t->api(PATCH => '/v1/policy-templates/base', { title => 'x' },
   token => $admin)->{status}, 403, 'and does not change them');
$t->must(POST => $S, { name => 'b', global_template => 'base', version => 3,
    parameters => { api => 'orders' } }, token => $admin);
is($t->must(GET => "$P/b-size")->{policy_set}, 'b', 'it makes policies of them');
is($t->api(POST => '/v1/tenants/other/policy-sets', { name => 'b',
   template => 'partner', version => 1, parameters => { api => 'theirs' } })
   ->{status}, 422, 'another tenant\'s template is none');
is($t->api(DELETE => '/v1/policy-templates/base')->{status}, 409,
   'what is used stays');
$t->must(POST => '/v1/tenants/acme/roles', { name => 'sets', permissions => [
    qw(self:read policy_set:read policy_set:write)] });
my $sets = $t->must(POST => '/v1/admin-tokens', { name => 'sets',
    role => 'sets', tenant => 'acme' })->{token};
is($t->api(DELETE => "$S/b", undef, token => $sets)->{status}, 403,
   'who may not write policies does not delete them with their set');
is($t->api(GET => "$P/b-size")->{status}, 200, 'they are there');
$t->must(POST => $T, { name => 'boom', versions => [version(1,
    parameters => { properties => { a => {} } }, policies => [map {
    { name => "p$_", type => 'headers', config => { response_set => [
      { name => 'X-A', value => '{{a}}' x 2000 }] } } } 1 .. 3])] });
like(errors($t->api(POST => $S, { name => 'boom', template => 'boom',
     version => 1, parameters => { a => 'x' x 20000 } })),
     qr/^422; parameters: p1: becomes too large/,
     'what a set becomes has a maximum before it grows');
$t->must(DELETE => "$T/boom");

# documents

$t->must(PATCH => "$P/b-size", { state => 'shadow' });
$dump = $t->api(GET => '/v1/dump?tenant=acme')->{body};
like($dump, qr/kind: PolicyTemplate\n/, 'a dump has templates');
like($dump, qr/kind: PolicySet\n/, 'and sets');
unlike($dump, qr/name: p-size\n/, 'what a set makes it does not have');
like($dump, qr/name: b-size\n/, 'but what has drifted');
my $again = $t->api(POST => '/v1/apply?prune=true&max_delete=0', $dump,
    headers => { 'Content-Type' => 'application/yaml' });
like($again->{status}, qr/^20[02]$/, 'it is applied');
is(join(' ', map { $_->{kind} . '/' . $_->{name} }
   grep { $_->{action} ne 'none' && $_->{action} ne 'unchanged' }
   @{ $again->{json}{changes} || $again->{json}{documents} || [] }), '',
   'and changes nothing, prunes nothing');
$t->must(DELETE => "$P/p-mark");
$dump = $t->api(GET => '/v1/dump?tenant=acme')->{body};
like($dump, qr/\n  gone:\n(?:  )?  - p-mark\n/, 'it tells what somebody deleted');
sub put_back { return $t->api(POST => '/v1/apply' . ($_[1] // ''), $_[0],
    headers => { 'Content-Type' => 'application/yaml' }) }
put_back($dump);
is($t->must(GET => "$S/p")->{drift}, 1, '... which stays so');
$t->must(PATCH => "$S/p", {});
$again = put_back($dump);
is($t->api(GET => "$P/p-mark")->{status}, 404, '... or comes to be so');
is(join(' ', map { "$_->{field} $_->{after}" } map { @{ $_->{diff} } }
   grep { ($_->{kind} // '') =~ /set/i && $_->{name} eq 'p' }
   @{ $again->{json}{changes} || $again->{json}{documents} }), 'gone p-mark',
   '... and the answer says so');
$t->must(PATCH => "$S/p", {});

# a version goes, its set to another one, in one apply

my ($tdoc) = $dump =~ /^(apiVersion.*\nkind: PolicyTemplate\n.*?)(?=^---|\z)/ms;
my ($sdoc) = grep { /^kind: PolicySet$/m && /^  name: p$/m }
    split /^---\n/m, $dump;
(my $dropped = $tdoc) =~ s/^( *)- (?:[^\n]*\n\1  )*?version: 1\n.*?(?=^\1- )//ms;
$t->must(PATCH => "$S/p", { version => 1, parameters => { api => 'orders',
    who => ['https://p.example'] } });
is(put_back($dropped)->{status}, 409, 'a version that is used stays, ...');
$again = put_back("$dropped---\n$sdoc");
like($again->{status}, qr/^20[02]$/, '... but where its set leaves it')
    or diag $again->{body};
is_deeply([map { $_->{version} } @{ $t->must(GET => "$T/partner")->{versions} }],
          [2], '... it goes');
is($t->must(GET => "$S/p")->{version}, 2, 'and the set is at the other');
put_back($tdoc);
$t->must(PATCH => "$S/p", {});
(my $moved = $dump) =~ s/max: 7\b/max: 8/;
$t->api(POST => '/v1/apply', $moved,
        headers => { 'Content-Type' => 'application/yaml' });
is($t->must(GET => "$P/p-size")->{config}{max_bytes}, 8,
   'a document changes parameters');
$t->must(DELETE => "$S/p");
is($t->api(GET => "$P/p-size")->{status}, 404, 'a set takes its policies along');
$t->must(DELETE => "$T/partner");
pass('and then the template goes');
my ($shown) = grep { /^kind: PolicyTemplate$/m }
    slurp("$Test::Stoa::ROOT/docs/policies.md") =~ /^```yaml\n(.*?)^```$/msg;
$t->apply($shown);
is_deeply($t->must(GET => "$P/shop-cors")->{config},
          { origins => ['https://shop.example'] }, 'as docs/policies.md has it');
is($t->api(POST => "$S/b/preview", {}, token => $look)->{status}, 403,
   'who may not write sets does not try');

$t->done;
