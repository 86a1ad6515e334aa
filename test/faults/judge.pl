# The judgement of what a run left: relations against test/model, the event log against
# the contract's rules. Part of lib.pl.
package Faults;
use strict;
use warnings;
no warnings 'exec', 'once';
use POSIX ':sys_wait_h';
use Time::HiRes qw(time sleep);

our ($root, $work);
my $string = qr/"(?:[^"\\]|\\.)*"/s;

# Notes what is recorded as fired now, while nothing runs: none of it may be emitted from here on.
sub note_recorded {
	my ($run) = @_;
	my @rows = sql_once($run->{database}, "SELECT to_json(id), version FROM acctflow.callbacks WHERE state IN ('fired', 'failed')");
	push @{$run->{recorded}}, [-s ($run->{log} // "$run->{folder}/log"), {map { s/\|(\d+)$/ $1/r => 1 } @rows}] if $? == 0;
}

# --- shards -------------------------------------------------------------------------

# Which of n shards an id belongs to, a JSON string without escapes that matter here: FNV-1a with 64 bits.
sub shard_of {
	my ($id, $n) = @_;
	return 0 if $n == 1;
	use integer;
	my $hash = -3750763034362895579;
	my %short = (b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");
	(my $text = substr $id, 1, -1) =~ s/\\(?:u00(..)|(.))/defined $1 ? chr hex $1 : $short{$2} \/\/ $2/ge;
	$hash = ($hash ^ ord $_) * 1099511628211 for split //, $text;
	no integer;
	return ($hash & ~0) % $n;
}

# The pipeline that a line of the log came from: 'SOURCE I/N', with the source as the JSON string it is; '' where none can be told.
sub pipeline_of {
	my ($run, $line) = @_;
	my ($source) = $line =~ /^\{"event":"\w+","source":($string)/ or return '';
	return "$source $1" if $line =~ /^\{"event":"(?:begin|end|summary)","source":$string,"shard":"([^"]*)"/;
	my $n = $run->{shards} // 1;
	return "$source 0/$n" unless $line =~ /^\{"event":"(?!rejected)\w+","source":$string,"offset":\d+,"id":($string)/;
	return "$source " . shard_of($1, $n) . "/$n";
}

# --- relations ----------------------------------------------------------------------

# What of a row must be the same on the real clock: everything but times and who came first, callback or newer version.
sub timeless {
	my @column = split /\t/, $_[0], -1;
	if ($column[0] =~ /^(account|update)$/) {
		splice @column, 6, 1;
	} elsif ($column[0] eq 'callback') {
		splice @column, 3;
	} elsif ($column[0] eq 'reject') {
		# A conflict's line has its arrival's stamp on the virtual clock only.
		splice @column, 6;
		$column[5] =~ s/,\\"arriveMs\\":\d+//;
	}
	return join "\t", @column;
}

sub relations_read {
	my ($run) = @_;
	# The schema is there once any run has begun.
	for my $try (1 .. 400) {
		my @rows = output(qw(sh -c), q{exec "$@" 2>&-}, qw(sh timeout -s KILL 60 psql -Xq -v ON_ERROR_STOP=1 -d), conninfo($run->{database}),
			'-f', "$root/test/relations.sql");
		return sort { $a cmp $b } @rows if $? == 0;
		postgres_start() if $try % 20 == 10;
		sleep 0.1;
	}
	die "faults: the relations cannot be read\n";
}

# Where an input came in parts the line of a record begins anew with each: it is not compared then.
sub lineless {
	my ($run, $text) = @_;
	$text =~ s/,"line":\d+// if $run->{kind} =~ /^(stdin|follow|kafka)$/;
	return stampless($run, $text);
}

# A message has the time at which it was sent, which stands in what is kept of a record that was rejected.
sub stampless {
	my ($run, $text) = @_;
	$text =~ s/(\\"timestamp\\":)\d+/${1}0/ if $run->{topic};
	return $text;
}

# Complaints about the relations.
sub relations_check {
	my ($run, @got) = @_;
	my @want = map { stampless($run, $_) } @{$run->{relations}};
	@got = map { stampless($run, $_) } @got;
	if ($run->{clock} eq 'real') {
		@want = map { timeless($_) } @want;
		@got = map { timeless($_) } @got;
	}
	my (%count, @wrong);
	$count{$_}++ for @got;
	$count{$_}-- for @want;
	for (sort grep { $count{$_} } keys %count) {
		push @wrong, ($count{$_} > 0 ? 'not in the model: ' : 'missing: ') . substr $_, 0, 200;
	}
	return @wrong;
}

# Complaints about one account's callbacks: each applied version that has one is settled, as its successor says.
sub callbacks_check {
	my ($id, $callback, @versions) = @_;
	my @wrong;
	my @v = sort { length $a->[0] <=> length $b->[0] || $a->[0] cmp $b->[0] } @versions;
	for my $i (0 .. $#v) {
		my ($version, undef, $silent) = @{$v[$i]};
		my $c = $callback->{"$id $version"};
		push @wrong, "a callback for $id $version, which has none" if $silent && $c;
		next if $silent;
		$c or push(@wrong, "no callback for $id $version"), next;
		my ($due, $state, $settled) = @$c;
		push @wrong, "the newest version's callback is $state: $id $version" if $i == $#v && $state ne 'fired';
		push @wrong, "still pending: $id $version" if $state eq 'pending';
		push @wrong, "fired early: $id $version" if $state eq 'fired' && $settled lt $due;
		push @wrong, "cancelled at another time than its successor came: $id $version" if $state eq 'cancelled' && $i < $#v && $settled ne $v[$i + 1][1];
	}
	return @wrong;
}

# Complaints about the relations by themselves: times, and what the rest says about each other, for each shard (G3, G5).
sub relations_reconcile {
	my ($run, @rows) = @_;
	my (@wrong, %version, %settled, %callback, %along, %pipeline_of);
	my $n = $run->{shards} // 1;
	for (@rows) {
		my @c = split /\t/, $_, -1;
		if ($c[0] eq 'update') {
			my $pipeline = "$c[9] " . shard_of($c[1], $n) . "/$n";
			$along{$pipeline}[$c[10]] = $c[6] if $c[10] ne '';
			push @{$version{$c[1]}}, [$c[2], $c[6], $c[5] eq ''] if $c[7] eq 't';
			$pipeline_of{$c[1]} = $pipeline;
		} elsif ($c[0] eq 'callback') {
			$callback{"$c[1] $c[2]"} = [@c[3 .. 5]];
		}
	}
	for my $pipeline (keys %along) {
		my $last = '';
		for (grep { defined } @{$along{$pipeline}}) {
			push @wrong, "times go back along $pipeline: $_ after $last" if $_ lt $last;
			$last = $_;
		}
	}
	for my $id (keys %version) {
		push @wrong, callbacks_check($id, \%callback, @{$version{$id}});
		$settled{$pipeline_of{$id}} += grep { $callback{"$id $_->[0]"} || $_->[2] } @{$version{$id}};
	}
	for (grep { /^shard\t/ } @rows) {
		my (undef, $name, $shard, $committed, $delivered, $read, $indexed, $stale, $duplicate, $conflict, $skipped, $rejected) = split /\t/, $_, -1;
		my $pipeline = "$name " . $shard =~ tr/"//dr;
		push @wrong, "$pipeline: read is not the sum of its parts" if $read != $indexed + $stale + $duplicate + $conflict + $skipped + $rejected;
		push @wrong, "$pipeline: committed $committed, acknowledged $delivered" if $committed ne $delivered;
		my $have = $settled{$pipeline} // 0;
		push @wrong, "$pipeline: indexed $indexed, but $have callbacks or versions without one" if $indexed != $have;
	}
	return @wrong;
}

# --- the event log ------------------------------------------------------------------

# An outcome as far as it must be the same whenever it is emitted. What was current then may have been replaced since.
sub outcome {
	my ($line) = @_;
	$line =~ s/,"replayed":true\}$/}/;
	if ($line =~ /^\{"event":"indexed"/) {
		$line =~ s/,"ingestedAt":"[^"]*","dueAt":(?:"[^"]*"|null)/,"dueAt":x/;
		$line =~ s/,"firedAt":"[^"]*"\}$/}/;
	} else {
		$line =~ s/,"ingestedAt":"[^"]*"//;
		$line =~ s/,"currentVersion":\d+//;
		$line =~ s/,"arriveMs":\d+\}$/}/;
	}
	return $line;
}

# Whether a line is whole: its braces and quotes match. Cheaper than to parse it.
sub whole {
	my ($line) = @_;
	return 0 unless $line =~ /^\{.*\}$/s;
	$line =~ s/$string//g;
	return $line !~ /"/ && $line =~ tr/{// == $line =~ tr/}// && $line =~ tr/[// == $line =~ tr/]//;
}

# What is known of the log while it is read: %$s. Complaints go to $s->{wrong}.
sub log_wrong {
	my ($s, $what, $line) = @_;
	push @{$s->{wrong}}, "$what: " . substr $line, 0, 200;
}

sub log_outcome {
	my ($run, $s, $tally, $event, $line, $pipeline) = @_;
	$line =~ /^\{"event":"\w+",("source":$string,"offset":\d+)/ or return log_wrong($s, 'no place', $line);
	my $place = $1;
	my $replayed = $line =~ /,"replayed":true\}$/;
	log_wrong($s, "another outcome than the model's", $line) if outcome($line) ne ($s->{want}{$place} // '');
	log_wrong($s, 'emitted again without replayed', $line) if $s->{seen}{$place} && !$replayed && !$run->{loose};
	$tally->{replayed}++ if $replayed;
	# Of a reject nobody can tell the shard.
	if (!$s->{seen}{$place}++ && !$run->{loose} && ($event ne 'rejected' || $run->{shards} == 1)) {
		my ($offset) = $place =~ /(\d+)$/;
		log_wrong($s, "emitted after offset $s->{along}{$pipeline}", $line) if $offset < ($s->{along}{$pipeline} // 0);
		$s->{along}{$pipeline} = $offset;
	}
	return unless $event eq 'indexed' && $line =~ /"id":($string),"version":(\d+)/;
	$s->{newest}{$1} = $2 if !defined $s->{newest}{$1} || $2 > $s->{newest}{$1};
	log_wrong($s, 'due before it was ingested', $line) if $line =~ /,"ingestedAt":"([^"]*)","dueAt":"([^"]*)"/ && $2 lt $1;
}

sub log_fired {
	my ($run, $s, $tally, $line, $position) = @_;
	$line =~ /"id":($string),"version":(\d+)/ or return log_wrong($s, 'fired without id', $line);
	my ($key, $id, $version) = ("$1 $2", $1, $2);
	my ($due, $at, $late) = $line =~ /,"dueAt":"([^"]*)","firedAt":"([^"]*)","latenessUs":(-?\d+)/ or return log_wrong($s, 'no times', $line);
	my $life = pipeline_of($run, $line);
	$life .= ' ' . ($s->{life}{$life} // 0) . ' ' . $s->{runs};
	log_wrong($s, 'fired early', $line) if $at lt $due || $late < 0;
	my $again = $s->{fired}{$key};
	if ($again) {
		$tally->{fired_twice}++;
		# Where no input is read no `begin` shows that a pipeline was started again.
		log_wrong($s, 'fired twice without a crash in between', $line) if $s->{life_of}{$key} eq $life && !$run->{loose} && !$run->{fileless};
		log_wrong($s, 'fired again although it was recorded', $line) if grep { $_->[0] <= $position && $_->[1]{$key} } @{$run->{recorded}};
		log_wrong($s, 'fired again but not recovered', $line) if $line !~ /,"recovered":true/ && !$run->{loose};
	}
	# What is replayed on the virtual clock, at its due time, may have been superseded since it was first emitted.
	log_wrong($s, "fired after version $s->{newest}{$id} was emitted", $line)
		if defined $s->{newest}{$id} && $s->{newest}{$id} > $version && !$run->{loose} && !($again && $run->{clock} eq 'virtual');
	$s->{fired}{$key}{$at} = 1;
	$s->{life_of}{$key} = $life;
}

# Complaints about the event log (G2, G3); counts into %$tally. `loose`: two pipelines wrote of one shard at once, so that
# order between events is not promised.
sub log_check {
	my ($run, $tally, @rows) = @_;
	my $s = {wrong => [], runs => 0};
	my ($torn, $lines, $position, $next) = (0, 0, 0, 0);
	for (@{$run->{model}}) {
		$s->{want}{$1} = outcome(lineless($run, $_)) if /^\{"event":"(?:indexed|ignored|rejected)",("source":$string,"offset":\d+)/;
	}
	open my $f, '<', $run->{log} // "$run->{folder}/log" or return "no log: $!";
	my @lives = @{$run->{lives} // []};
	while (my $line = <$f>) {
		($position, $next) = ($next, tell $f);
		while (@lives && $position >= $lives[0]) {
			shift @lives;
			$s->{runs}++;
		}
		chomp $line;
		# What one that was killed left of a line, ended by the next.
		$torn++, next unless whole($line);
		next unless $line =~ /^\{"event":"(\w+)"/;
		my $event = $1;
		$line = lineless($run, $line);
		$lines++;
		my $pipeline = pipeline_of($run, $line);
		$s->{life}{$pipeline}++ if $event eq 'begin';
		log_wrong($s, 'before begin', $line) if $event ne 'summary' && $pipeline ne '' && !$s->{life}{$pipeline} && !$run->{fileless} && !$run->{loose};
		log_wrong($s, 'passed on', $line) if $event eq 'pending' || $event eq 'caughtup';
		log_outcome($run, $s, $tally, $event, $line, $pipeline) if $event =~ /^(indexed|ignored|rejected)$/;
		log_fired($run, $s, $tally, $line, $position) if $event eq 'fired';
		$s->{cancelled}{"$1 $2"}++ if $event eq 'cancelled' && $line =~ /"id":($string),"version":(\d+)/;
	}
	close $f;
	push @{$s->{wrong}}, "$torn lines are torn, by " . ($run->{may_tear} // 0) . ' kills' if defined $run->{may_tear} && $torn > $run->{may_tear};
	log_wrong($s, 'never emitted', $s->{want}{$_}) for sort grep { !$s->{seen}{$_} } keys %{$s->{want}};
	my %has_callback;
	for (@rows) {
		my ($what, $id, $version, $due, $state, $settled) = split /\t/, $_, -1;
		next unless $what eq 'callback';
		my $key = "$id $version";
		$has_callback{$key} = 1;
		log_wrong($s, "recorded as fired at $settled, emitted otherwise", $key) if $state eq 'fired' && !$s->{fired}{$key}{$settled};
		log_wrong($s, 'cancelled, and no event says so', $key) if $state eq 'cancelled' && !$s->{cancelled}{$key};
		$tally->{fired_then_cancelled}++ if $state eq 'cancelled' && $s->{fired}{$key};
	}
	log_wrong($s, 'fired or cancelled, but it has no callback', $_) for grep { !$has_callback{$_} } sort keys %{$s->{fired}}, keys %{$s->{cancelled}};
	$tally->{torn} += $torn;
	$tally->{events} += $lines;
	return @{$s->{wrong}};
}

# All of it; no complaints is what we want.
sub judge {
	my ($run, $tally) = @_;
	my @rows = relations_read($run);
	return (relations_check($run, @rows), relations_reconcile($run, @rows), log_check($run, $tally, @rows));
}

1;
