# What the fault programs share: a Postgres of their own (the supervisor's private
# one, fsync on), a database a run, processes to strike, and the judgement of what is
# left: relations against test/model, the event log against the contract's rules. No
# code of the product's is used but its programs.
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
$ENV{ACCTFLOW_LISTEN} //= 'none';

delete @ENV{grep { /^(PG|ACCTFLOW_)/ } keys %ENV};
@ENV{qw(LC_ALL TZ ACCTFLOW_CONFIG ACCTFLOW_BIN)} = ('C', 'UTC', '/dev/null', $bin);

# --- a place and a Postgres ---------------------------------------------------------

# Opens a work folder and starts its Postgres.
sub open_work {
	$owner = $$;
	$work = tempdir('/tmp/acctflow-faults.XXXXXX');
	chmod 0755, $work;
	$home = "$work/home";
	postgres_start() or die "faults: the private Postgres does not start\n";
	$socket = "$home/postgres/socket";
	sql('postgres', 'ALTER SYSTEM SET log_min_messages = panic');
	$SIG{INT} = $SIG{TERM} = sub { exit 130 };
}

sub close_work {
	return unless defined $work && $owner == $$;
	system("ACCTFLOW_HOME=$home timeout -s KILL 60 $supervisor stop >/dev/null 2>&1");
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
	return system("ACCTFLOW_HOME=$home timeout -s KILL 90 $supervisor -l error postgres >/dev/null") == 0;
}

sub postmaster {
	open my $f, '<', "$home/postgres/postmaster.pid" or return 0;
	my $pid = <$f>;
	return $pid && $pid =~ /^(\d+)$/ ? $1 : 0;
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

sub output {
	open my $f, '-|', @_ or die "faults: $_[0]: $!\n";
	chomp(my @lines = <$f>);
	close $f;
	return @lines;
}

sub spill { my ($path, $text) = @_; open my $f, '>', $path or die "faults: $path: $!\n"; print $f $text; close $f }
sub slurp { my ($path) = @_; open my $f, '<', $path or return ''; local $/; return <$f> // '' }

# --- a run's input and what it must come to -----------------------------------------

# $run: folder, database, clock, reader => [options], home, env => {}, file
sub shell { return join ' ', map { my $s = $_; $s =~ s/'/'\\''/g; "'$s'" } @_ }

sub input_make {
	my ($run, @options) = @_;
	$run->{file} = "$run->{folder}/input";
	system(shell("$bin/generate", @options) . " >$run->{file}") == 0 or die "faults: could not make the input\n";
	my $told = "$run->{folder}/told";
	my @reader = grep { !/^--clock$|^(real|virtual)$/ } @{$run->{reader}};
	system(shell("$bin/reader", '--clock', 'virtual', '--source', 's', @reader, $run->{file}) . " >$told") == 0
		or die "faults: reader failed on the input\n";
	$run->{relations} = [output("$root/test/model", '--relations', $told)];
	$run->{model} = [output("$root/test/model", '--events', $told)];
}

# --- processes ----------------------------------------------------------------------

# The name of the next life's source: where they are heirs of an input, each has its own.
sub source { my ($run) = @_; return $run->{heirs} ? "s$run->{heirs}" : 's' }

# start($run, @arguments): the supervisor on the run's input; its pid. All its lives append to the same log.
sub start {
	my ($run, @arguments) = @_;
	my $log = $run->{log} // "$run->{folder}/log";
	push @{$run->{lives}}, -s $log // 0;
	$run->{heirs} += !@arguments if $run->{heirs};
	my $pid = fork // die "faults: fork: $!\n";
	return $pid if $pid;
	$SIG{INT} = $SIG{TERM} = 'DEFAULT';
	open STDIN, $run->{stdin} ? '<&' : '<', $run->{stdin} // '/dev/null';
	open STDOUT, '>>', $log or POSIX::_exit(99);
	open STDERR, '>>', "$run->{folder}/err" or POSIX::_exit(99);
	@ENV{keys %{$run->{env}}} = values %{$run->{env}};
	@arguments = ('--source', source($run), '--clock', $run->{clock}, @{$run->{reader}}, $run->{kind} eq 'follow' ? '--follow' : (),
		$run->{stdin} ? '-' : $run->{file}) unless @arguments;
	exec 'setpriv', '--pdeathsig', 'KILL', '--', $run->{supervisor} // $supervisor, 'run', '--format', 'json', @arguments;
	POSIX::_exit(99);
}

# The role of a process: what it was started as, '' where it is none of ours (yet).
sub role {
	my ($pid) = @_;
	my @argv = split /\0/, slurp("/proc/$pid/cmdline");
	return '' unless @argv && $argv[0] =~ m{(?:^|/)(reader|writer|timerd)$};
	my $name = $1;
	return $name unless $name eq 'writer';
	for (@argv[1 .. $#argv]) {
		return $_ if /^(ack|claim|pending|status|sources|richest)$/;
	}
	return $name;
}

# role => pid of a supervisor's children.
sub children {
	my ($pid) = @_;
	my %found;
	for (split ' ', slurp("/proc/$pid/task/$pid/children")) {
		my $role = role($_);
		$found{$role} = $_ if $role;
	}
	return %found;
}

# The backends that work for a database.
sub backends {
	my ($database) = @_;
	my $postmaster = postmaster() or return;
	return grep { slurp("/proc/$_/cmdline") =~ /: acctflow $database \[local\]/ }
		split ' ', slurp("/proc/$postmaster/task/$postmaster/children");
}

sub kill_hard { kill 'CONT', @_; kill 'KILL', @_ }

# --- judgement ----------------------------------------------------------------------

my $string = qr/"(?:[^"\\]|\\.)*"/s;

# Notes what is recorded as fired now, while nothing runs: none of it may be told from here on.
sub note_recorded {
	my ($run) = @_;
	my @rows = output(qw(sh -c), q{exec "$@" 2>&-}, qw(sh timeout -s KILL 5 psql -XqAt -d), conninfo($run->{database}),
		'-c', 'SELECT to_json(id), version FROM acctflow.callbacks_fired');
	push @{$run->{recorded}}, [-s ($run->{log} // "$run->{folder}/log"), {map { s/\|(\d+)$/ $1/r => 1 } @rows}] if $? == 0;
}

# What of a row must be the same on the real clock: everything but times and who came first, callback or newer version.
sub timeless {
	my @column = split /\t/, $_[0], -1;
	if ($column[0] =~ /^(account|update)$/) {
		splice @column, 6, 1;
	} elsif ($column[0] eq 'callback') {
		splice @column, 3;
	} elsif ($column[0] eq 'reject') {
		# A conflict's line has its arrival's stamp on the virtual clock only.
		splice @column, 5;
		$column[4] =~ s/,\\"arriveMs\\":\d+//;
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

# Where an input came in parts, as the sources s2, s3, …: puts their places in rows (and, by place_whole, in events) as if it
# had been one. By which line of its input a record is known is not compared then: renames and parts begin anew.
sub relations_whole {
	my ($run, @rows) = @_;
	my ($all, @source, @whole) = 0;
	for (@rows) {
		push @source, [$1, split /\t/, $2, -1] if /^source\t"s(\d+)"\t(.*)$/;
	}
	my @sum = (0) x 8;
	for (sort { $a->[0] <=> $b->[0] } @source) {
		my ($heir, $committed, $delivered, @count) = @$_;
		$run->{base}{$heir} = $all;
		$all += $count[0];
		# Each has to be told to its end.
		@sum[0, 1] = map { $_ eq '' ? $_ : $_ + $run->{base}{$heir} } $committed, $delivered if $count[0] && $sum[1] eq $sum[0];
		$sum[$_ + 2] += $count[$_] for 0 .. $#count;
	}
	for (@rows) {
		next if /^source\t"s\d+"/;
		s/\t"s(\d+)"\t(\d+)\t/"\t\"s\"\t" . ($2 + $run->{base}{$1}) . "\t"/e;
		push @whole, place_whole($run, $_);
	}
	return sort @whole, join "\t", 'source', '"s"', @sum;
}

sub place_whole {
	my ($run, $text) = @_;
	return $text unless $run->{kind} =~ /^(stdin|follow)$/;
	$text =~ s/(\\?"source\\?":\\?"s)(\d+)(\\?",\\?"offset\\?":)(\d+)/$1 . $3 . ($4 + $run->{base}{$2})/e;
	$text =~ s/,"line":\d+//;
	return $text;
}

# Complaints about the relations.
sub relations_check {
	my ($run, @got) = @_;
	my @want = @{$run->{relations}};
	if ($run->{clock} eq 'real') {
		@want = sort map { timeless($_) } @want;
		@got = sort map { timeless($_) } @got;
	}
	my (%count, @wrong);
	$count{$_}++ for @got;
	$count{$_}-- for @want;
	for (sort grep { $count{$_} } keys %count) {
		push @wrong, ($count{$_} > 0 ? 'not in the model: ' : 'missing: ') . substr $_, 0, 200;
	}
	return @wrong;
}

# Complaints about the relations by themselves: times, and what the rest says about each other (G3, G5).
sub relations_reconcile {
	my ($run, @rows) = @_;
	my (@wrong, %ingested, %version, %count, %callback, @along, %source);
	for (@rows) {
		my @c = split /\t/, $_, -1;
		if ($c[0] eq 'update') {
			$along[$c[9]] = $c[6] if $c[9] ne '';
			push @{$version{$c[1]}}, [$c[2], $c[6]] if $c[7] eq 't';
		} elsif ($c[0] eq 'callback') {
			$callback{"$c[1] $c[2]"} = [@c[3 .. 5]];
			$count{$c[4]}++;
		} elsif ($c[0] eq 'source') {
			@source{qw(read indexed stale duplicate conflict rejected)} = @c[4 .. 9];
		}
	}
	my $last = '';
	for (grep { defined } @along) {
		push @wrong, "times go back along the source: $_ after $last" if $_ lt $last;
		$last = $_;
	}
	for my $id (keys %version) {
		my @v = sort { length $a->[0] <=> length $b->[0] || $a->[0] cmp $b->[0] } @{$version{$id}};
		for my $i (0 .. $#v) {
			my $c = $callback{"$id $v[$i][0]"} or push(@wrong, "no callback for $id $v[$i][0]"), next;
			my ($due, $state, $settled) = @$c;
			push @wrong, "the newest version's callback is $state: $id $v[$i][0]" if $i == $#v && $state ne 'fired';
			push @wrong, "still pending: $id $v[$i][0]" if $state eq 'pending';
			push @wrong, "fired early: $id $v[$i][0]" if $state eq 'fired' && $settled lt $due;
			push @wrong, "cancelled at another time than its successor came: $id $v[$i][0]"
				if $state eq 'cancelled' && $settled ne $v[$i + 1][1];
		}
	}
	my %n = map { $_ => $source{$_} // 0 } qw(read indexed stale duplicate conflict rejected);
	push @wrong, 'read is not the sum of its parts' if $n{read} != $n{indexed} + $n{stale} + $n{duplicate} + $n{conflict} + $n{rejected};
	my $settled = ($count{fired} // 0) + ($count{cancelled} // 0) + ($count{pending} // 0);
	push @wrong, "indexed $n{indexed}, but $settled callbacks" if $n{indexed} != $settled;
	return @wrong;
}

# An outcome as far as it must be the same whenever it is told. What was current then may have been replaced since.
sub outcome {
	my ($line) = @_;
	my $end = rindex $line, ',"ingestedAt":';
	return $line if $end < 0;
	my $text = substr $line, 0, $end;
	$text =~ s/,"currentVersion":\d+$// if $line =~ /^\{"event":"ignored"/;
	return $text;
}

# Complaints about the event log (G2, G3); counts into %$tally. `loose`: two pipelines wrote it at once, so that order
# between events is not promised.
sub log_check {
	my ($run, $tally, @rows) = @_;
	my (%want, @wrong, %told, %fired, %cancelled, %newest, %life_of_fired, $life, $starts, $lines);
	for (@{$run->{model}}) {
		$want{$1} = outcome(place_whole($run, $_)) if /^\{"event":"(?:indexed|ignored|rejected)","source":$string,"offset":(\d+)/;
	}
	$life = 0;
	open my $f, '<', $run->{log} // "$run->{folder}/log" or return "no log: $!";
	my ($position, $next) = (0, 0);
	my @lives = @{$run->{lives} // []};
	while (my $line = <$f>) {
		($position, $next) = ($next, tell $f);
		while (@lives && $position >= $lives[0]) {
			shift @lives;
			$life++;
		}
		# The half line of a killed program ends, or an empty one is, where a resumed ack begins.
		($life, $starts) = ($life + 1, 1) if $line !~ /\}$/;
		next unless $line =~ s/^(\{.*\})\n$/$1/;
		next unless $line =~ /^\{"event":"(\w+)"/;
		my $event = $1;
		$line = place_whole($run, $line);
		$lines++;
		push @wrong, 'before begin: ' . substr $line, 0, 200
			if $starts && $event !~ /^(?:begin|summary)$/ && !$run->{fileless} && !$run->{loose};
		$starts = 0;
		if ($event eq 'pending' || $event eq 'caughtup') {
			push @wrong, "passed on: $line";
		} elsif ($event =~ /^(indexed|ignored|rejected)$/) {
			$line =~ /^\{"event":"\w+","source":$string,"offset":(\d+)/ or push(@wrong, "no place: $line"), next;
			my $offset = $1;
			my $replayed = $line =~ /,"replayed":true\}$/;
			push @wrong, "another outcome than the model's: " . substr $line, 0, 200 if outcome($line) ne ($want{$offset} // '');
			push @wrong, "told again without replayed: " . substr $line, 0, 200 if $told{$offset} && !$replayed && !$run->{loose};
			$tally->{replayed}++ if $replayed;
			$told{$offset}++;
			if ($event eq 'indexed' && $line =~ /"id":($string),"version":(\d+)/) {
				$newest{$1} = $2 if !defined $newest{$1} || $2 > $newest{$1};
				my ($ingested, $due) = $line =~ /,"ingestedAt":"([^"]*)","dueAt":"([^"]*)"/;
				push @wrong, "due before it was ingested: " . substr $line, 0, 200 if $due lt $ingested;
			}
		} elsif ($event eq 'cancelled') {
			$line =~ /"id":($string),"version":(\d+)/ and $cancelled{"$1 $2"}++;
		} elsif ($event eq 'fired') {
			$line =~ /"id":($string),"version":(\d+)/ or next;
			my ($key, $id, $version) = ("$1 $2", $1, $2);
			my ($due, $at, $late) = $line =~ /,"dueAt":"([^"]*)","firedAt":"([^"]*)","latenessUs":(-?\d+)/;
			push @wrong, "fired early: " . substr $line, 0, 200 if $at lt $due || $late < 0;
			my $again = $fired{$key};
			if ($again) {
				$tally->{fired_twice}++;
				push @wrong, "fired twice without a crash in between: " . substr $line, 0, 200
					if $life_of_fired{$key} == $life && !$run->{loose};
				push @wrong, "fired again although it was recorded: " . substr $line, 0, 200
					if grep { $_->[0] <= $position && $_->[1]{$key} } @{$run->{recorded}};
				push @wrong, "fired again but not recovered: " . substr $line, 0, 200
					if $line !~ /,"recovered":true/ && !$run->{loose};
			}
			# What is told again on the virtual clock, at its due time, may have been superseded since it was first told.
			push @wrong, "fired after version $newest{$id} was told: " . substr $line, 0, 200
				if defined $newest{$id} && $newest{$id} > $version && !$run->{loose} && !($again && $run->{clock} eq 'virtual');
			$fired{$key}{$at} = 1;
			$life_of_fired{$key} = $life;
		}
	}
	close $f;
	for my $offset (sort { $a <=> $b } keys %want) {
		push @wrong, "never told: " . substr $want{$offset}, 0, 200 unless $told{$offset};
	}
	for (@rows) {
		my ($what, $id, $version, $due, $state, $settled) = split /\t/, $_, -1;
		next unless $what eq 'callback';
		my $key = "$id $version";
		push @wrong, "recorded as fired at $settled, told otherwise: $key" if $state eq 'fired' && !$fired{$key}{$settled};
		push @wrong, "cancelled, never told so: $key" if $state eq 'cancelled' && !$cancelled{$key} && !$run->{heirs};
		$tally->{fired_then_cancelled}++ if $state eq 'cancelled' && $fired{$key};
	}
	$tally->{events} += $lines // 0;
	return @wrong;
}

# All of it; no complaints is what we want.
sub judge {
	my ($run, $tally) = @_;
	my @rows = relations_read($run);
	@rows = relations_whole($run, @rows) if $run->{heirs};
	return (relations_check($run, @rows), relations_reconcile($run, @rows), log_check($run, $tally, @rows));
}

1;
