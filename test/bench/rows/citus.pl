# The same four pipelines on a Citus of three servers, all on this machine, and on one plain Postgres; see test/citus.bash.
use strict;
use warnings;
use Bench;
use Rows;

my @servers = qw(coordinator worker1 worker2);

# citus COMMAND [ARGUMENT...]: of test/citus.bash, with the servers' folder.
sub citus {
	my ($command, @arguments) = @_;
	system('bash', '-c', 'source "$1" && shift && "$@"', 'bash', "$root/test/citus.bash", $command, "$dir/citus", @arguments) == 0
	    or die "$command @arguments failed\n";
}

sub citus_conninfo { return "host=$dir/citus user=acctflow dbname=$_[0]" }

sub bench_citus {
	my ($want) = @_;
	local $ENV{ACCTFLOW_TEST_CITUS} = setting('CITUS', '');
	if (!-x "$ENV{ACCTFLOW_TEST_CITUS}/postgres") {
		$left_out{$_} = 'CITUS names no folder of Postgres programs' for keys %$want;
		return;
	}
	my ($n, $accounts) = @size{qw(CITUS_UPDATES ACCOUNTS)};
	my $json = updates_file($n, $accounts);
	mkdir "$dir/citus";
	local $ENV{PATH} = "$ENV{ACCTFLOW_TEST_CITUS}:$ENV{PATH}";
	my $t = eval {
		citus('citus_make');
		citus('citus_all', 'postgres', map { my ($name, $value) = split /=/, $_, 2; "ALTER SYSTEM SET $name = '$value'" } @pgsettings);
		for my $server (@servers) { citus('citus_down', $server, 'fast'); citus('citus_up', $server) }
		citus('citus_prepare', "$bin/writer");
		my %server = map { $_ => postmaster_of("$dir/citus/$_") } @servers;
		turns($size{RUNS}, citus => sub {
			citus('citus_database', 'a', 'prepared');
			my %before = map { $_ => pg_cpu($server{$_}) } keys %server;
			my $r = shards_run($json, $n, 4, citus_conninfo('a'));
			$r->{$_} = (pg_cpu($server{$_}) - $before{$_}) * 1e6 / $n for keys %server;
			citus('citus_database_drop', 'a');
			return $r;
		}, plain => sub {
			my $r = load_run($json, $n, 'a', 4);
			$r->{pg} *= 1e6 / $n;
			return $r;
		});
	};
	my $why = $@;
	citus('citus_remove');
	db_drop('a');
	die $why if !$t;
	my $servers = {plain => median(@{samples($t->{plain}, 'pg')}), map { $_ => median(@{samples($t->{citus}, $_)}) } @servers};
	row(name => 'citus', what => 'updates a second on Citus, four shards, three servers on this machine', contender => 'plain Postgres', unit => '/s',
		ours => [map { $n / $_->{wall} } @{$t->{citus}}], theirs => [map { $n / $_->{wall} } @{$t->{plain}}], reach => [['ratio', '>=', 0.65]],
		more => $servers) if $want->{citus};
	row(name => 'citus-coordinator', what => "the coordinator's processor time an update", contender => 'plain Postgres', unit => 'us',
		ours => samples($t->{citus}, 'coordinator'), theirs => samples($t->{plain}, 'pg'), reach => [['ours', '<=', 8]]) if $want->{'citus-coordinator'};
}

1;
