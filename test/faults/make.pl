# What a run of test/faults/run is: its kind, its inputs and where they come from, all drawn by its seed. Part of it.
use strict;
use warnings;
no warnings 'once';
use IPC::Open2;
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
	my ($text, $in) = $run->{kind} eq 'kafka' ? (Faults::slurp("$Faults::root/maps/kafka.yaml"), '/payload') : (join('', map { "$_: /$_\n" } @members), '');
	Faults::spill("$run->{folder}/map.yaml", $text . "skip: {from: $in/heartbeat, values: [true]}\n");
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
	my $updates = $kind eq 'large' ? between(1500, 4000) : $kind eq 'several' ? between(60, 200)
		: $kind eq 'kafka' ? between(800, 4000) : between(100, 400);
	my $arrival = $kind eq 'large' ? 'none' : one_of(qw(gap gap gap offset none));
	$arrival = one_of(qw(gap gap none)) if $kind =~ /^(stdin|follow)$/;
	$arrival = 'gap' if $kind eq 'back';
	$arrival = 'none' if $kind eq 'kafka';
	my $most = $arrival eq 'offset' ? between(500, 3000) : between(2, 20);
	my $folder = "$Faults::work/run-$number";
	mkdir $folder or die "faults: $folder: $!\n";
	my $of = one_of(1, 1, 2, 2, 4);
	$of = $shards if $shards;
	$of = 1 if $kind =~ /^(follow|kafka)$/;
	# Every fifth uses the private Postgres as such, so that it is the supervisor who must start it again.
	my $private = $kind !~ /^(takeover|stdin|follow|back|kafka)$/ && rand() < 0.2;
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
	push @more, '--data-bytes', between(100, 1000) if $kind eq 'kafka' && rand() < 0.5;
	push @more, '--deleted', between(1, 25) if rand() < 0.6;
	push @more, '--silent', between(1, 30) if rand() < 0.6;
	for (0 .. $kind eq 'several') {
		my $make = $kind eq 'kafka' ? \&topic_make : \&Faults::input_make;
		$make->($run, '--updates', $updates, '--accounts', $accounts, '--seed', between(1, 1_000_000),
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

# --- a topic ------------------------------------------------------------------------

use constant PARTITIONS => 4;

# broker($run, COMMAND, …): its answer, see test/kafka/broker.c. While brokers are away it must not be told to send.
sub broker {
	my ($run, @command) = @_;
	print {$run->{broker}{in}} join("\t", @command), "\n";
	my $answer = readline($run->{broker}{out}) // 'error: it is gone';
	chomp $answer;
	die "faults: the broker, at \"@command\": $answer\n" if $answer =~ /^error/;
	return $answer;
}

sub broker_stop {
	my ($run) = @_;
	my $broker = delete $run->{broker} or return;
	kill 'KILL', $broker->{pid};
	waitpid $broker->{pid}, 0;
}

# A topic, dealt by account, as producers do that have it for a key. Some of it is there before the run, the rest comes while it
# runs, and offsets are left out as where a log was compacted.
sub topic_make {
	my ($run, @options) = @_;
	my $program = ($ENV{BUILD} // "$Faults::root/build") . '/kafka-broker';
	-x $program or die "faults: there is no $program; run make units\n";
	$run->{brokers} = one_of(1, 3);
	my $pid = open2($run->{broker}{out}, $run->{broker}{in}, $program, $run->{brokers});
	$run->{broker}{pid} = $pid;
	$run->{broker}{in}->autoflush(1);
	chomp(my $addresses = readline($run->{broker}{out}) // die "faults: no broker\n");
	$run->{topic} = "kafka://$addresses/t";
	broker($run, 'topic', 't', PARTITIONS);

	Faults::generate($run, "$run->{folder}/input", @options);
	open my $input, '<', "$run->{folder}/input" or die;
	my @files = map { "$run->{folder}/partition$_" } 0 .. PARTITIONS - 1;
	my @out = map { open my $f, '>', $_ or die; $f } @files;
	my @offset = (0) x PARTITIONS;
	while (my $line = <$input>) {
		my $p = $line =~ /"id":"([^"]*)"/ ? unpack('%32C*', $1) % PARTITIONS : int rand PARTITIONS;
		my $left_out = rand() < 0.01 ? between(1, 50) : 0;
		$offset[$p] += $left_out;
		push @{$run->{rest}}, [$p, $left_out, $line];
		chomp $line;
		# Its time is as long as those of today.
		print {$out[$p]} qq({"topic":"t","partition":$p,"offset":$offset[$p],"timestamp":1000000000000,"key":null,"payload":$line}\n);
		$offset[$p]++;
	}
	close $_ for @out;
	$run->{reader} = ['--map', 'kafka', @{$run->{reader}}] unless $run->{mapped};
	Faults::input_add($run, $files[$_], "kafka:main/t/$_") for 0 .. PARTITIONS - 1;
	@$run{qw(ends low)} = ([(0) x PARTITIONS], [(0) x PARTITIONS]);
	$run->{grow_at} = 0;
	topic_load($run, @{$run->{rest}} * (rand() < 0.2 ? 0 : rand 0.6));
	$tally{'runs: brokers ' . $run->{brokers}}++;
}

# Sends so many records more. Those of a partition go together, up to where offsets are left out.
sub topic_load {
	my ($run, $n) = @_;
	my @part;
	my $send = sub {
		my ($p) = @_;
		my $part = delete $part[$p] // return;
		Faults::spill("$run->{folder}/part", join '', @$part);
		broker($run, 'load', 't', $p, "$run->{folder}/part");
		$run->{ends}[$p] += @$part;
		my $end = broker($run, 'end', 't', $p);
		$end eq "$run->{low}[$p] $run->{ends}[$p]" or die "faults: partition $p goes $end, not to $run->{ends}[$p]\n";
	};
	for (splice @{$run->{rest}}, 0, $n) {
		my ($p, $left_out, $line) = @$_;
		if ($left_out) {
			$send->($p);
			broker($run, 'skip', 't', $p, $left_out);
			$run->{ends}[$p] += $left_out;
			push @{$part[$p]}, $line;
			$send->($p);
		} else {
			push @{$part[$p]}, $line;
		}
	}
	$send->($_) for 0 .. PARTITIONS - 1;
}

# Sends some more now and then. Once all is there a run that goes on for ever is told to end.
sub topic_grow {
	my ($run) = @_;
	return if time < $run->{grow_at} || $run->{mend};
	$run->{grow_at} = time + rand 0.3;
	if (@{$run->{rest}}) {
		topic_load($run, between(1, 25));
		$run->{grow_at} = time + rand 3 if !@{$run->{rest}};
	} elsif (!$run->{until_end} && !$run->{asked}) {
		my %now = Faults::children($run->{supervisor_pid});
		$run->{asked} = $now{'kafka-reader'} && kill 'TERM', $run->{supervisor_pid};
	}
}

# How the next supervisor is started; what it leaves is all where everything was there before.
sub topic_next {
	my ($run) = @_;
	$run->{asked} = 0;
	$run->{last} = $run->{until_end} = !@{$run->{rest}};
	$run->{until_end} ||= rand() < 0.3;
}

# Lets the brokers fail in some way; returns what was done, '' where that cannot be now. What does not pass by itself is mended
# a while later.
sub topic_strike {
	my ($run) = @_;
	my $while = time + (rand() < 0.2 ? rand 4 : rand 0.6);
	my ($p, $one) = (int rand PARTITIONS, between(1, $run->{brokers}));
	my $how = one_of(qw(down down down leader slow error error error truncate));
	if ($how eq 'down') {
		my $which = one_of('all', $one);
		broker($run, 'down', $which);
		$run->{mend} = [$while, 'up', $which];
	} elsif ($how eq 'leader') {
		my $none = rand() < 0.3;
		broker($run, 'leader', 't', $p, $none ? -1 : $one);
		$run->{mend} = [$while, 'leader', 't', $p, $one] if $none;
	} elsif ($how eq 'slow') {
		broker($run, 'rtt', 'all', between(10, 800));
		$run->{mend} = [$while, 'rtt', 'all', 0];
	} elsif ($how eq 'error') {
		# Fetch, ListOffsets, Metadata; NOT_LEADER, REQUEST_TIMED_OUT, LEADER_NOT_AVAILABLE, a connection that breaks, and once
		# OFFSET_OUT_OF_RANGE.
		my ($request, $code) = (one_of(1, 1, 1, 2, 3), one_of(6, 7, 5, -195));
		($request, $code) = (1, 1) if rand() < 0.15;
		broker($run, 'error', $request, $code, $code == 1 ? 1 : between(1, 8));
		$how .= " $code of request $request";
	} else {
		# What was acknowledged need not be kept.
		my @rows = Faults::sql_once($run->{database}, 'SELECT name, delivered_offset FROM acctflow.sources WHERE delivered_offset IS NOT NULL');
		my ($name, $offset) = split /\|/, one_of(@rows) // '|';
		($p) = $name =~ m{/(\d+)$} or return '';
		my $low = between($run->{low}[$p], $offset + 1);
		broker($run, 'truncate', 't', $p, $low);
		$run->{low}[$p] = $low;
	}
	return $how;
}

sub topic_mend {
	my ($run, $all) = @_;
	my $mend = $run->{mend} or return;
	return if !$all && time < $mend->[0];
	broker($run, @$mend[1 .. $#$mend]);
	delete $run->{mend};
}

1;
