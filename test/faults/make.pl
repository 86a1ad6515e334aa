# What a run of test/faults/run is: its kind, its inputs and where they come from, all drawn by its seed. Part of it.
use strict;
use warnings;
no warnings 'once';
use Time::HiRes qw(time sleep);

our ($only, $shards, %tally);

sub between { my ($least, $most) = @_; return $least + int rand($most - $least + 1) }
sub one_of { return $_[rand @_] }

# --- what a run is ------------------------------------------------------------------

sub kind_draw {
	my $r = rand;
	return $r < 0.27 ? 'virtual' : $r < 0.54 ? 'real' : $r < 0.63 ? 'several' : $r < 0.71 ? 'stdin' : $r < 0.77 ? 'follow' : $r < 0.83 ? 'large'
		: $r < 0.88 ? 'pending' : $r < 0.91 ? 'back' : $r < 0.95 && -e "$Faults::work/step.so" ? 'step' : 'takeover';
}

sub environment_make {
	my ($run) = @_;
	my $kind = $run->{kind};
	my %env = (ACCTFLOW_HOME => $run->{private} ? $Faults::home : "$run->{folder}/home");
	$env{ACCTFLOW_DB} = Faults::conninfo($run->{database}) unless $run->{private};
	$env{ACCTFLOW_BATCH} = $kind eq 'large' ? between(513, 2000) : between(1, 40) if rand() < 0.8;
	if (-e "$Faults::work/slow.so" && rand() < 0.75) {
		$env{LD_PRELOAD} = "$Faults::work/slow.so";
		$env{FAULTS_SLOW_US} = between(100, $kind eq 'large' ? 40000 : 6000);
		$env{FAULTS_SLOW_ONLY} = one_of(qw(reader writer timerd)) if rand() < 0.2;
	}
	if ($kind eq 'step') {
		# The wall clock alone: what measures time must go on as it does.
		$env{LD_PRELOAD} = join ':', grep { defined } "$Faults::work/step.so", $env{LD_PRELOAD};
		$env{FAULTS_STEP} = "$run->{folder}/step";
		Faults::spill("$run->{folder}/step", pack 'q', 0);
	}
	return \%env;
}

# A map that leaves updates as they are, and skips heartbeats.
sub map_make {
	my ($run) = @_;
	my @members = qw(id accountType tokens version callbackTimeMs data deleted);
	Faults::spill("$run->{folder}/map.yaml", join('', map { "$_: /$_\n" } @members) . "skip: {from: /heartbeat, values: [true]}\n");
	push @{$run->{reader}}, '--map', "$run->{folder}/map.yaml";
	$run->{mapped} = 1;
	$tally{'runs: with a map that skips'}++;
}

sub run_make {
	my ($number, $run_seed) = @_;
	srand $run_seed;
	my $kind = $only || kind_draw();
	my $clock = $kind eq 'virtual' || ($kind =~ /^(large|several)$/ && rand() < 0.5) ? 'virtual' : 'real';
	$clock = one_of(qw(virtual real)) if $kind eq 'stdin';
	my $updates = $kind eq 'large' ? between(1500, 4000) : $kind eq 'several' ? between(60, 200) : between(100, 400);
	my $arrival = $kind eq 'large' ? 'none' : one_of(qw(gap gap gap offset none));
	$arrival = one_of(qw(gap gap none)) if $kind =~ /^(stdin|follow)$/;
	$arrival = 'gap' if $kind eq 'back';
	my $most = $arrival eq 'offset' ? between(500, 3000) : between(2, 20);
	my $folder = "$Faults::work/run-$number";
	mkdir $folder or die "faults: $folder: $!\n";
	my $of = one_of(1, 1, 2, 2, 4);
	$of = $shards if $shards;
	$of = 1 if $kind eq 'follow';
	# Every fifth uses the private Postgres as such, so that it is the supervisor who must start it again.
	my $private = $kind !~ /^(takeover|stdin|follow|back)$/ && rand() < 0.2;
	my $run = {
		folder => $folder, kind => $kind, clock => $clock, seed => $run_seed, private => $private, shards => $of, several => $kind eq 'several',
		database => $private ? 'acctflow' : "r$number", may_tear => 0,
		reader => ['--seed', between(1, 1_000_000), '--arrival', $arrival, '--delay-ms', "0:$most"],
	};
	Faults::sql('postgres', "DROP DATABASE IF EXISTS $run->{database} WITH (FORCE)");
	Faults::sql('postgres', "CREATE DATABASE $run->{database}");
	map_make($run) if $run_seed % 3 == 0;
	$run->{env} = environment_make($run);
	# Edges have callbacks a year away, and ids that several inputs would share.
	my @more = $clock eq 'virtual' && $kind ne 'several' && rand() < 0.25 ? ('--edges') : ();
	# Half of the large ones do not fit the sockets: what is sent piece by piece is struck in between.
	my $accounts = $kind eq 'large' && rand() < 0.5 ? between(500, 4000) : between(10, 30);
	push @more, '--data-bytes', between(200, 2000) if $accounts > 30;
	# A spool of more than a piece, its lines still whole in a pipe.
	push @more, '--data-bytes', 3000 if $kind eq 'stdin' && rand() < 0.5;
	push @more, '--deleted', between(1, 25) if rand() < 0.6;
	push @more, '--silent', between(1, 30) if rand() < 0.6;
	for (0 .. $kind eq 'several') {
		Faults::input_make($run, '--updates', $updates, '--accounts', $accounts, '--seed', between(1, 1_000_000),
			'--stale', between(0, 30), '--duplicate', between(0, 10), '--conflict', between(0, 8), '--unversioned', between(0, 6),
			'--callback-ms', $clock eq 'real' ? '0:' . between(1, 300) : '0:' . between(10, 9900), '--lines', @more);
	}
	stdin_make($run) if $kind eq 'stdin';
	follow_make($run) if $kind eq 'follow';
	$tally{"runs: $kind, $clock clock, $of shard" . ($of > 1 ? 's' : '')}++;
	return $run;
}

# --- inputs that cannot be read twice -----------------------------------------------

# A producer that outlives the supervisors; we hold the pipe's other end. A line a write: a pipe does not tear it, so that
# each supervisor that is killed leaves a whole number of them behind, and the next one goes on behind what was read.
sub stdin_make {
	my ($run) = @_;
	my @pause = map { rand() < 0.1 ? rand 0.05 : 0 } 1 .. 100;
	pipe $run->{stdin}, my $feed or die "faults: pipe: $!\n";
	my $pid = fork // die "faults: fork: $!\n";
	if (!$pid) {
		close $run->{stdin};
		$SIG{$_} = 'DEFAULT' for qw(INT TERM PIPE);
		open my $f, '<', $run->{files}[0] or POSIX::_exit(1);
		while (my $line = <$f>) {
			sleep $pause[$. % 100];
			syswrite $feed, $line;
		}
		POSIX::_exit(0);
	}
	$run->{producer} = $pid;
}

# The file that is followed: it grows as lines and parts of lines are added to it, and is renamed now and then.
sub follow_make {
	my ($run) = @_;
	open my $f, '<', $run->{files}[0] or die;
	$run->{rest} = [<$f>];
	$run->{lines} = @{$run->{rest}};
	# It is never read to its end.
	s/^((?:shard|source)\t.*\t)t$/$1f/ for @{$run->{relations}};
	$run->{file} = "$run->{folder}/followed";
	$run->{files} = [$run->{file}];
	open $run->{growing}, '>', $run->{file} or die;
	@$run{qw(next_line begun grow_at renamed)} = (0, 0, 0, 0);
}

# Adds to it. A second rename has to wait until the first was noticed.
sub follow_grow {
	my ($run) = @_;
	return if time < $run->{grow_at} || !@{$run->{rest}};
	$run->{grow_at} = time + rand 0.03;
	# A line is not torn between two files.
	if (!$run->{torn} && !-e $run->{file}) {
		open $run->{growing}, '>', $run->{file} or die;
		$run->{begun} = $run->{lines} - @{$run->{rest}};
	} elsif (!$run->{torn} && ($run->{reached} // -1) > $run->{begun} && rand() < 0.06) {
		rename $run->{file}, "$run->{file}." . ++$run->{renamed} or die;
		$tally{'renames of a followed file'}++;
	}
	for (0 .. rand 12) {
		my $line = shift @{$run->{rest}} // return;
		my $torn = $run->{torn} = rand() < 0.05 && length $line > 9 ? 1 : 0;
		unshift @{$run->{rest}}, substr $line, 9, length $line, '' if $torn;
		syswrite $run->{growing}, $line;
		return if $torn;
	}
}

# Whether all of it was emitted and recorded: nothing but a signal ends it.
sub follow_done {
	my ($run) = @_;
	return if @{$run->{rest}} || ($run->{reached} // -1) < $run->{lines} - 1 || time < $run->{grow_at};
	$run->{grow_at} = time + 0.1;
	$run->{strikes} = 99;
	my %now = Faults::children($run->{supervisor_pid});
	return if @{$run->{frozen}} || grep { !$now{$_} } qw(reader writer timerd ack);
	my ($acked) = Faults::sql($run->{database}, 'SELECT delivered_offset FROM acctflow.sources');
	return ($acked // '') eq $run->{lines} - 1;
}

1;
