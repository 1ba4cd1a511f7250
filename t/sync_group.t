#!/usr/bin/perl

# stoa_gateway_group is a promise: a token of another group loads nothing.

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Stoa;
use Test::Stoa::Demo;

my $t = Test::Stoa->new;
$t->control;
$t->apply(demo(rest => { echo => $t->origin }));
$t->gateway(group => 'prod');
my $key = $t->key('acme', 'app');
$t->sync;
is($t->get('/apis/acme/echo/x', key => $key)->{status}, 200,
   'the right group');

# the same gateway, told that it is another one's

(my $conf = slurp($t->dir('gw/nginx.conf')))
    =~ s/stoa_gateway_group prod/stoa_gateway_group dev/;
$t->write_file('gw/nginx.conf', $conf);
$t->reload('gw');
ok((wait_until { join("\n", $t->log_lines('gw', 'error.log'))
                 =~ /is of another group than "stoa_gateway_group" says/ } 10),
   'another group: the log says so');
like($t->get('/stoa/status')->{body}, qr/another group/, '... and the status');
is($t->get('/apis/acme/echo/x', key => $key)->{status}, 200,
   'what was loaded stays in force');
$t->must('POST', '/v1/tenants/acme/applications/app/suspend');

$t->register('fresh', 'prod') if mkdir $t->dir('fresh');
$t->gateway(name => 'fresh', group => 'dev', wait => 0);
ok((wait_until { join("\n", $t->log_lines('fresh', 'error.log'))
                 =~ /is of another group/ } 10), 'a new one');
is($t->get('/stoa/ready', gateway => 'fresh')->{status}, 503,
   '... never becomes ready');
$t->must('DELETE', '/v1/gateways/fresh');

$conf =~ s/stoa_gateway_group dev/stoa_gateway_group prod/;
$t->write_file('gw/nginx.conf', $conf);
$t->reload('gw');
$t->sync;
is($t->get('/apis/acme/echo/x', key => $key)->{status}, 403,
   'set right, changes arrive');

$t->done;
