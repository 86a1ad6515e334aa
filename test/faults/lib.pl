# What the fault programs share: a Postgres of their own (the supervisor's private
# one), a database a run, its inputs and what the model makes of them,
# processes to strike. judge.pl has the judgement of what is left. No code of the
# product's is used but its programs.
package Faults;
use strict;
use warnings;
no warnings 'exec', 'once';
use Cwd 'abs_path';
use Fcntl;
use File::Temp 'tempdir';
use POSIX ':sys_wait_h';
use Time::HiRes qw(time sleep);

our $root = abs_path(__FILE__ =~ s{[^/]*$}{}r . '../..');
our $bin = abs_path($ENV{BIN} // "$root/bin") // "$root/bin";
our $supervisor = "$root/supervisor";
our ($work, $home, $keep, $socket);
my $owner = 0;
delete @ENV{grep { /^(PG|ACCTFLOW_)/ } keys %ENV};
@ENV{qw(LC_ALL TZ ACCTFLOW_CONFIG ACCTFLOW_BIN ACCTFLOW_LISTEN)} = ('C', 'UTC', '/dev/null', $bin, 'none');

# --- a place and a Postgres ---------------------------------------------------------

# Opens a work folder and starts its Postgres. Processes are killed, not machines: what was written stays without fsync, which
# only makes the time of a commit longer, so that more strikes meet it.
sub open_work {
	my ($fsync) = @_;
	place_make();
	postgres_start() or die "faults: the private Postgres does not start\n";
	$socket = "$home/postgres/socket";
	sql('postgres', 'ALTER SYSTEM SET log_min_messages = panic');
	sql('postgres', 'ALTER SYSTEM SET fsync = off') unless $fsync;
	sql('postgres', 'SELECT pg_reload_conf()');
}

# The work folder alone, which goes when we do.
sub place_make {
	$owner = $$;
	$work = tempdir('/tmp/acctflow-faults.XXXXXX');
	chmod 0755, $work;
	$home = "$work/home";
	$SIG{INT} = $SIG{TERM} = sub { exit 130 };
}

sub close_work {
	return unless defined $work && $owner == $$;
	local $ENV{ACCTFLOW_HOME} = $home;
	system('timeout -s KILL 60 ' . shell($supervisor) . ' stop >/dev/null 2>&1');
	# A cluster that user postgres could not have here is a link to one elsewhere.
	my $place = readlink "$home/postgres";
	system('rm', '-rf', $place) if $place && $place =~ m{^/var/lib/postgresql/acctflow-};
	$keep ? print("# kept: $work\n") : system('rm', '-rf', $work);
	undef $work;
}

END {
	my $status = $?;
	close_work();
	$? = $status;
}

sub postgres_start {
	local $ENV{ACCTFLOW_HOME} = $home;
	return system('timeout -s KILL 90 ' . shell($supervisor) . ' -l error postgres >/dev/null') == 0;
}

sub postmaster {
	open my $f, '<', "$home/postgres/postmaster.pid" or return 0;
	my $pid = <$f>;
	return $pid && $pid =~ /^(\d+)$/ ? $1 : 0;
}

# The cluster's folder, also where it is a link to one that user postgres can have.
sub cluster { my $place = readlink "$home/postgres"; return $place // "$home/postgres" }

# postgres_copy FROM, TO: crashes the server, copies its folder, starts it again: what an asynchronous standby or a backup is.
sub postgres_copy {
	my ($from, $to) = @_;
	my $pid = postmaster();
	kill 'QUIT', $pid if $pid;
	for (1 .. 3000) {
		last if !$pid || !kill 0, $pid;
		sleep 0.01;
	}
	system('rm', '-rf', $to);
	system('cp', '-a', $from, $to) == 0 && postgres_start() or die "faults: Postgres was not copied or does not start\n";
}

sub conninfo { my ($database) = @_; return "host=$socket port=5432 dbname=$database user=acctflow" }

# A statement's rows, unaligned; tried again while Postgres recovers.
sub sql {
	my ($database, $statement) = @_;
	for my $try (1 .. 400) {
		my @rows = output(qw(sh -c), q{exec "$@" 2>&-}, qw(sh timeout -s KILL 60 psql), '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', conninfo($database), '-c', $statement);
		return @rows if $? == 0;
		die "faults: $statement failed\n" if $? >> 8 != 2 && $try > 50;
		postgres_start() if $try % 20 == 10;
		sleep 0.1;
	}
	die "faults: the database does not come back\n";
}

# The same, once: $? is 0 where it went well.
sub sql_once {
	my ($database, $statement) = @_;
	return output(qw(sh -c), q{exec "$@" 2>&-}, qw(sh timeout -s KILL 5 psql -XqAt -d), conninfo($database), '-c', $statement);
}

sub output {
	open my $f, '-|', @_ or die "faults: $_[0]: $!\n";
	chomp(my @lines = <$f>);
	close $f;
	return @lines;
}

sub spill { my ($path, $text) = @_; open my $f, '>', $path or die "faults: $path: $!\n"; print $f $text; close $f }
sub slurp { my ($path) = @_; open my $f, '<', $path or return ''; local $/; return <$f> // '' }

# --- a run's input and what it must come to -----------------------------------------

# $run: folder, database, clock, shards, reader => [options], home, env => {}, files => [path, …]; mapped: there are records
# that the map of its reader skips; topic => address: there the files are what its partitions have in the end
sub shell { return join ' ', map { my $s = $_; $s =~ s/'/'\\''/g; "'$s'" } @_ }

# The source of an input: several have their paths for names.
sub source { my ($run, $file) = @_; return $run->{several} ? $file : 's' }

sub generate {
	my ($run, $file, @options) = @_;
	my $heartbeats = $run->{mapped} ? q( | awk '{ print } NR % 4 == 0 { print "{\"heartbeat\":true}" }') : '';
	system(shell("$bin/generate", @options) . "$heartbeats >$file") == 0 or die "faults: could not make the input\n";
}

# Adds an input, and what the model makes of it. The accounts of several inputs must not be the same: then the model of all is
# the models together.
sub input_add {
	my ($run, $file, $source) = @_;
	$run->{shards} //= 1;
	push @{$run->{files}}, $file;
	my $told = "$run->{folder}/told";
	my @reader = grep { !/^--clock$|^(real|virtual)$/ } @{$run->{reader}};
	system(shell("$bin/reader", '-l', 'error', '--clock', 'virtual', '--source', $source, @reader, $file) . " >$told") == 0
		or die "faults: reader failed on the input\n";
	push @{$run->{relations}}, output("$root/test/model", '--relations', '--shards', $run->{shards}, $told);
	push @{$run->{model}}, output("$root/test/model", '--events', $told);
}

sub input_make {
	my ($run, @options) = @_;
	my $file = "$run->{folder}/input" . ($run->{files} ? @{$run->{files}} : '');
	generate($run, $file, @options);
	input_add($run, $file, source($run, $file));
}

# --- processes ----------------------------------------------------------------------

# start($run, @arguments): the supervisor on the run's input; its pid. All its lives append to the same log.
sub start {
	my ($run, @arguments) = @_;
	my $log = $run->{log} // "$run->{folder}/log";
	push @{$run->{lives}}, -s $log // 0;
	$run->{said_at} = -s "$run->{folder}/err" // 0;
	my $pid = fork // die "faults: fork: $!\n";
	return $pid if $pid;
	$SIG{INT} = $SIG{TERM} = 'DEFAULT';
	open STDIN, $run->{stdin} ? '<&' : '<', $run->{stdin} // '/dev/null';
	open STDOUT, '>>', $log or POSIX::_exit(99);
	open STDERR, '>>', "$run->{folder}/err" or POSIX::_exit(99);
	@ENV{keys %{$run->{env}}} = values %{$run->{env}};
	@arguments = ($run->{several} || $run->{topic} ? () : ('--source', 's'), ($run->{shards} // 1) > 1 ? ('--shards', $run->{shards}) : (),
		'--clock', $run->{clock}, @{$run->{reader}}, $run->{kind} eq 'follow' ? '--follow' : (), $run->{until_end} ? '--until-end' : (),
		$run->{topic} // ($run->{stdin} ? '-' : @{$run->{files}})) unless @arguments;
	exec 'setpriv', '--pdeathsig', 'KILL', '--', $run->{supervisor} // $supervisor, 'run', '--format', 'json', @arguments;
	POSIX::_exit(99);
}

# What a process was started as, '' where it is none of ours (yet); and of which pipeline: "SOURCE I/N", '' where it is of none.
sub role {
	my ($pid) = @_;
	my @argv = split /\0/, slurp("/proc/$pid/cmdline");
	return ('', '') unless @argv && $argv[0] =~ m{(?:^|/)(reader|writer|timerd|deliver|tracer|kafka-reader)$};
	my $role = $1;
	my %option;
	for my $i (1 .. $#argv) {
		$option{$1} = $2 // $argv[$i + 1] if $argv[$i] =~ /^--(source|shard|copy-to)(?:=(.*))?$/s;
		$role = $argv[$i] if $role eq 'writer' && $argv[$i] =~ /^(ack|claim|pending|status|sources|richest)$/;
	}
	return ('copier', '') if defined $option{'copy-to'};
	return ('compare', '') if grep { $_ eq '-n' } @argv; # only checks a file
	return ('list', '') if grep { $_ eq '--list' } @argv;
	return ($role, "$option{source} " . ($option{shard} // '0/1')) if defined $option{source};
	# timerd and kafka-reader know of no source; their folder does.
	my ($folder) = slurp("/proc/$pid/environ") =~ /(?:^|\0)ACCTFLOW_METRICS=([^\0]+)/;
	my $name = defined $folder ? slurp("$folder/name") : '';
	chomp $name;
	return ($role, $name);
}

# [role, pipeline, pid] of all that a supervisor started, itself or by way of shells.
sub processes {
	my ($pid) = @_;
	my @found;
	for (split ' ', slurp("/proc/$pid/task/$pid/children")) {
		my ($role, $pipeline) = role($_);
		push @found, $role ? [$role, $pipeline, $_] : processes($_);
	}
	return @found;
}

# role => pid of a supervisor's children, where it has one pipeline.
sub children { return map { $_->[0] => $_->[2] } processes($_[0]) }

# The backends that work for a database.
sub backends {
	my ($database) = @_;
	my $postmaster = postmaster() or return;
	return grep { slurp("/proc/$_/cmdline") =~ /: acctflow $database \[local\]/ }
		split ' ', slurp("/proc/$postmaster/task/$postmaster/children");
}

sub kill_hard { kill 'CONT', @_; kill 'KILL', @_ }

require "$root/test/faults/judge.pl";

1;
