# What an update costs while another session holds an old snapshot, so that nothing that was superseded since can be
# removed: a row that is updated again and again leaves a version each time.
use strict;
use warnings;
use Bench;
use Rows;
use IO::Handle ();
use List::Util qw(sum);
use POSIX ();
use Time::HiRes qw(time sleep);

my $WINDOWS = 12;

# A transaction that has a snapshot. It ends when its standard input does.
sub snapshot_held {
	my ($database) = @_;
	open my $session, '|-', tool('psql'), qw(-X -q -A -t -o /dev/null -d), $database or die "psql: $!\n";
	$session->autoflush;
	print $session "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT 1;\n";
	until (sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$database' AND backend_xmin IS NOT NULL") > 0) { sleep 0.05 }
	return $session;
}

# All four programs on a database: {feed, events, pids, …}.
sub offered_start {
	my ($database) = @_;
	db_fresh($database);
	my @stages = (["$bin/reader", qw(--arrival none --source load -)], ["$bin/writer", '--db', db_conninfo($database)], ["$bin/timerd"],
		["$bin/writer", 'ack', '--db', db_conninfo($database)]);
	pipe my $in, my $feed or die "pipe: $!\n";
	my %p = (feed => $feed, database => $database, got => '', sent => 0, at => []);
	for (@stages) {
		pipe my $read, my $write or die "pipe: $!\n";
		push @{$p{pids}}, spawn($in, $write, @$_);
		close $in;
		$in = $read;
	}
	$p{events} = $in;
	return \%p;
}

# Processor time so far, in microseconds: all programs', and their backends'.
sub offered_cpu {
	my ($p) = @_;
	my @backends = split /\n/, sql('postgres', "SELECT pid FROM pg_stat_activity WHERE datname = '$p->{database}' AND application_name LIKE 'acctflow%'");
	my $ticks = 0;
	for (@{$p->{pids}}, @backends) {
		open my $file, '<', "/proc/$_/stat" or die "process $_ is gone: $!\n";
		$ticks += sum((split ' ', <$file> =~ s/.*\) //sr)[11, 12]);
	}
	return $ticks * 1e6 / POSIX::sysconf(&POSIX::_SC_CLK_TCK);
}

sub offered_send {
	my ($p, $accounts) = @_;
	my $n = $p->{sent}++;
	$p->{at}[$n] = time;
	syswrite $p->{feed}, sprintf "{\"id\":\"account%06d\",\"accountType\":\"escrow\",\"tokens\":%d,\"callbackTimeMs\":1000,\"version\":%d,"
	    . "\"data\":{\"mintId\":\"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg\"}}\n", $n % $accounts, $n, $n + 1;
}

# Takes what came out.
sub offered_take {
	my ($p) = @_;
	sysread $p->{events}, $p->{got}, 65536, length $p->{got} or die "the pipeline ended early\n";
	my $now = time;
	while ($p->{got} =~ s/^([^\n]*)\n//) {
		next if $1 !~ /^\{"event":"indexed".*?"tokens":(\d+),/;
		push @{$p->{ms}}, ($now - $p->{at}[$1]) * 1e3;
		undef $p->{at}[$1];
	}
}

# Offers each of them so many updates a second, for so long.
sub offered_window {
	my ($seconds, $rate, $accounts, @each) = @_;
	for (@each) { @$_{qw(before ms first)} = (offered_cpu($_), [], $_->{sent}) }
	my $next = my $start = time;
	while ((my $now = time) < $start + $seconds) {
		if ($now >= $next) {
			offered_send($_, $accounts) for @each;
			$next += 1 / $rate;
			next;
		}
		my $ready = '';
		vec($ready, fileno $_->{events}, 1) = 1 for @each;
		next if select($ready, undef, undef, $next - $now) <= 0;
		for (@each) { offered_take($_) if vec $ready, fileno $_->{events}, 1 }
	}
	for (@each) {
		push @{$_->{us}}, (offered_cpu($_) - $_->{before}) / (@{$_->{ms}} || 1);
		push @{$_->{p50}}, median(@{$_->{ms}}) // $seconds * 1e3;
	}
}

sub bench_horizon {
	my ($want) = @_;
	my ($seconds, @p) = ($size{MINUTES} * 60 / $WINDOWS, map { offered_start($_) } qw(a b));
	my ($held, $free) = @p;
	# What belongs to starting is over.
	offered_window(2, @size{qw(HORIZON_RATE HORIZON_ACCOUNTS)}, @p);
	@$_{qw(us p50)} = ([], []) for @p;
	my $session = snapshot_held('a');
	for my $k (1 .. $WINDOWS) {
		offered_window($seconds, @size{qw(HORIZON_RATE HORIZON_ACCOUNTS)}, @p);
		note("horizon, window $k of $WINDOWS: held " . number($held->{us}[-1]) . ' us, ' . number($held->{p50}[-1]) . ' ms; free '
		    . number($free->{us}[-1]) . ' us, ' . number($free->{p50}[-1]) . ' ms');
	}
	my %bytes = map { split /\|/ } split /\n/, sql('a', "SELECT relname, pg_relation_size(oid) FROM pg_class WHERE relnamespace = 'acctflow'::regnamespace"
	    . " AND relname IN ('pipelines', 'pipelines_pkey', 'deliveries', 'deliveries_pkey', 'latest', 'latest_pkey')");
	for my $p (@p) {
		close $p->{feed};
		1 while sysread $p->{events}, $p->{got}, 65536;
		ended($_, 'pipeline') for @{$p->{pids}};
	}
	close $session;
	db_drop($_) for qw(a b);
	my $what = "an update while a snapshot is held, the last of " . number($size{MINUTES}) . ' minutes';
	row(name => 'horizon', what => "$what, processor time", contender => 'none is held', unit => 'us', ours => [$held->{us}[-1]], theirs => [$free->{us}[-1]],
		reach => [['ratio', '<=', 1.5]], more => {held => $held->{us}, free => $free->{us}, bytes => \%bytes}) if $want->{horizon};
	row(name => 'horizon-p50', what => "$what, p50", contender => 'none is held', unit => 'ms', ours => [$held->{p50}[-1]], theirs => [$free->{p50}[-1]],
		reach => [['ratio', '<=', 1.5]], more => {held => $held->{p50}, free => $free->{p50}}) if $want->{'horizon-p50'};
}

1;
