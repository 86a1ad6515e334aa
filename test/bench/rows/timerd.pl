# timerd and its timers by themselves.
use strict;
use warnings;
use Bench;
use Rows;
use List::Util qw(sum);
use POSIX ();
use Time::HiRes qw(time sleep);

sub bench_timers {
	my ($want) = @_;
	my $program = ($ENV{BUILD} // 'build') . '/bench/timers';
	if (!-x "$root/$program" && !-x $program) { $left_out{$_} = 'libev is missing (package libev-dev)' for keys %$want; return }
	$program = -x $program ? $program : "$root/$program";
	my @rounds = map {
		pipeline(stages => [[$program, $size{PENDING}, 1]], out => "$dir/timers");
		my %result;
		file_lines("$dir/timers", sub { $result{$1} = {mix => $2, worst => $3} if /"contender":"(\w+)".*"mixNs":([\d.]+),"worstStepMs":([\d.]+)/ });
		\%result;
	} 1 .. $size{RUNS};
	my %what = (wheel => 'timer structure alone', timers => 'timer structure with ids and contents');
	for my $name (qw(wheel timers)) {
		my $row = $name eq 'wheel' ? 'timers' : 'timers-by-id';
		row(name => $row, what => "$what{$name}, " . number($size{PENDING}) . ' pending', contender => 'libev, no ids', unit => 'ns',
			ours => [map { $_->{$name}{mix} } @rounds], theirs => [map { $_->{libev}{mix} } @rounds], faster => 1,
			$name eq 'wheel' ? (reach => [['ratio', '>=', 2]]) : (),
			more => {worstStepMs => median(map { $_->{$name}{worst} } @rounds)}) if $want->{$row};
	}
}

sub time_text {
	my ($t) = @_;
	my @utc = gmtime int $t;
	return POSIX::strftime('%Y-%m-%dT%H:%M:%S', @utc) . sprintf '.%06dZ', ($t - int $t) * 1e6;
}

sub event {
	my ($i, $id, $version, $due) = @_;
	return "{\"event\":\"indexed\",\"source\":\"bench\",\"offset\":$i,\"id\":\"$id\",\"version\":$version,\"accountType\":\"escrow\","
	    . "\"tokens\":243,\"callbackTimeMs\":400,\"data\":{\"mintId\":\"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg\"},"
	    . "\"ingestedAt\":\"2026-01-01T00:00:00.000000Z\",\"dueAt\":\"$due\"}\n";
}

sub account_id { return sprintf 'A72KnHfa%036d', $_[0] }

# What timerd keeps of such an event: the texts of the members that `fired` will print.
sub kept_bytes {
	my ($event) = @_;
	my $sum = 0;
	$sum += length for $event =~ /"(?:source|offset|id|accountType|tokens|data)":("[^"]*"|\d+|\{[^}]*\})/g;
	return $sum;
}

sub bench_timerd {
	my ($want) = @_;
	my $n = $size{PENDING};
	my @far = map { time_text(time + 3600 + rand 86400) } 1 .. 4096; # none is due while it is measured
	my ($own, $mix) = (0, $n);
	open my $fill, '>', "$dir/fill" or die "$dir/fill: $!\n";
	for my $i (0 .. $n - 1) {
		my $e = event($i, account_id($i), 1, $far[rand @far]);
		$own = kept_bytes($e) if $i == int $n / 2;
		print $fill $e;
	}
	close $fill or die "$dir/fill: $!\n";
	# Then a mix: six in ten are newer versions, the others were stale.
	system('cp', "$dir/fill", "$dir/full") == 0 or die "could not copy $dir/fill\n";
	open my $full, '>>', "$dir/full" or die "$dir/full: $!\n";
	for my $i (0 .. $mix - 1) {
		my $id = account_id(int rand $n);
		print $full $i % 10 < 6 ? event($n + $i, $id, 2 + $i, $far[rand @far])
		    : "{\"event\":\"ignored\",\"source\":\"bench\",\"offset\":" . ($n + $i) . ",\"id\":\"$id\",\"version\":1,"
		    . "\"ingestedAt\":\"2026-01-01T00:00:00.000000Z\",\"currentVersion\":2,\"reason\":\"stale\"}\n";
	}
	close $full or die "$dir/full: $!\n";
	open my $none, '>', "$dir/none" or die "$dir/none: $!\n";
	print $none event(0, 'one', 1, $far[0]);
	close $none;
	my $run = sub { pipeline(in => "$dir/$_[0]", stages => [["$bin/timerd", '--no-wait']]) };
	my $t = turns($size{RUNS}, none => sub { $run->('none') }, fill => sub { $run->('fill') }, full => sub { $run->('full') });
	row(name => 'timerd', what => 'timerd, events through, ' . number($n) . ' pending', unit => 'events/s', reach => [['ours', '>=', 500_000]],
		ours => [map { $mix / ($t->{full}[$_]{wall} - $t->{fill}[$_]{wall}) } 0 .. $size{RUNS} - 1],
		more => {whileFilling => median(map { $n / $t->{fill}[$_]{wall} } 0 .. $size{RUNS} - 1)}) if $want->{timerd};
	row(name => 'timerd-memory', what => "timerd, a callback beyond its record's own $own bytes", unit => 'bytes', reach => [['ours', '<=', 96]],
		ours => [map { ($t->{fill}[$_]{stage}[0]{rss} - $t->{none}[$_]{stage}[0]{rss}) / $n - $own } 0 .. $size{RUNS} - 1]) if $want->{'timerd-memory'};
	unlink "$dir/fill", "$dir/full";
}

# Events at an even rate, each due 100 to 1,100 ms later.
sub lateness_run {
	my ($seconds) = @_;
	my ($rate, $i) = (10_000, 0);
	pipe my $in, my $feed or die "pipe: $!\n";
	my $pid = spawn($in, "$dir/fired", "$bin/timerd");
	close $in;
	sleep 0.1;
	my $start = time;
	while ($i < $rate * $seconds) {
		my $now = time;
		my $lines = '';
		for (; $i < ($now - $start) * $rate; $i++) { $lines .= event($i, account_id($i), 1, time_text($now + 0.1 + rand)) }
		syswrite $feed, $lines if length $lines;
		sleep 0.001;
	}
	close $feed;
	ended($pid, 'timerd');
	my @us;
	file_lines("$dir/fired", sub { push @us, $1 / 1e3 if /^\{"event":"fired".*"latenessUs":(\d+)/ });
	die 'fired ' . @us . " of $i\n" if @us != $i;
	return {p50 => median(@us), p99 => quantile(0.99, @us), mean => sum(@us) / @us};
}

sub bench_lateness {
	my ($want) = @_;
	my $t = turns($size{RUNS}, ours => sub { lateness_run($size{LATENESS_S}) });
	my %reach = (p50 => 0.2, p99 => 1);
	for my $p (qw(p50 p99)) {
		row(name => "lateness-$p", what => "lateness at 10,000 callbacks/s, $p", contender => "graphile-worker's published mean: 4.28", unit => 'ms',
			ours => samples($t->{ours}, $p), reach => [['ours', '<=', $reach{$p}]], more => {mean => median(map { $_->{mean} } @{$t->{ours}})})
		    if $want->{"lateness-$p"};
	}
}

# All due at one moment; when the last one came out.
sub bench_crowd {
	my $n = $size{CROWD};
	my $t = turns($size{RUNS}, ours => sub {
		my $due = time + 2 + $n / 200_000;
		my $text = time_text($due);
		my $lines = join '', map { event($_, account_id($_), 1, $text) } 1 .. $n;
		pipe my $in, my $feed or die "pipe: $!\n";
		pipe my $out, my $timerd_out or die "pipe: $!\n";
		my $pid = spawn($in, $timerd_out, "$bin/timerd", '--log-level', 'warn');
		my $feeder = fork // die "could not fork: $!\n";
		if ($feeder == 0) {
			close $out;
			my $at = 0;
			while ($at < length $lines) { $at += syswrite($feed, $lines, 65536, $at) // last }
			POSIX::_exit(0);
		}
		close $_ for $in, $feed, $timerd_out;
		my ($fired, $rest, $last) = (0, '');
		while (sysread $out, my $got, 1 << 20) {
			my $now = time;
			$rest .= $got;
			my $end = rindex $rest, "\n";
			my $count = () = substr($rest, 0, $end + 1) =~ /^\{"event":"fired"/mg;
			$rest = substr $rest, $end + 1;
			($fired, $last) = ($fired + $count, $now) if $count;
		}
		waitpid $feeder, 0;
		ended($pid, 'timerd');
		die "fired $fired of $n\n" if $fired != $n;
		return {last => $last - $due};
	});
	row(name => 'crowd', what => number($n) . ' callbacks due at one moment, the last one out', unit => 's', ours => samples($t->{ours}, 'last'),
		reach => [['ours', '<=', 0.5]]);
}

1;
