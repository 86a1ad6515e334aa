# A start with many callbacks pending.
use strict;
use warnings;
use Bench;
use Rows;
use IO::Handle;
use POSIX ();
use Time::HiRes qw(time);

# So many callbacks are pending, and all was acknowledged: what the supervisor does then, from `writer claim` until the first
# new record is emitted behind them.
sub bench_restore {
	my $n = $size{PENDING};
	my $record = sub {
		return sprintf "{\"id\":\"%s\",\"accountType\":\"escrow\",\"tokens\":243,\"callbackTimeMs\":%d,\"version\":1,"
		    . "\"data\":{\"mintId\":\"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg\"}}\n", account_id($_[0]), 3_600_000 + rand 8e7;
	};
	open my $input, '>', "$dir/pending" or die "$dir/pending: $!\n";
	print $input $record->($_) for 0 .. $n - 1;
	$input->flush;
	db_fresh('a');
	my @db = ('--db', db_conninfo('a'), '--log-level', 'warn');
	my @reader = ("$bin/reader", qw(--arrival none --source bench));
	pipeline(stages => [[@reader, "$dir/pending"], ["$bin/writer", @db], ["$bin/timerd", '--no-wait'], ["$bin/writer", 'ack', @db]]);
	my $t = turns($size{RUNS}, ours => sub {
		my $offset = $n + $_[0] - 1;
		print $input $record->($offset);
		$input->flush;
		my ($cpu, $start) = (pg_cpu(), time);
		ended(spawn('/dev/null', "$dir/claim", "$bin/writer", 'claim', @db, '--source', 'bench', '--shard', '0/1'), 'writer claim');
		my %claim;
		file_lines("$dir/claim", sub { $claim{$1} = $2 if /^(\w+)=(.*)$/ });
		my (@pids, $in);
		for my $command ([@reader, '--from', $claim{delivered} + 1, '--catch-up-to', $claim{committed}, "$dir/pending"],
			["$bin/writer", @db, '--resume', '--source', 'bench', '--shard', '0/1', '--token', $claim{token}], ["$bin/timerd", '--resume']) {
			pipe my $read, my $out or die "could not make a pipe: $!\n";
			push @pids, spawn($in // '/dev/null', $out, @$command);
			$in = $read;
		}
		my $events = '';
		until ($events =~ /"offset":$offset,[^\n]*"ingestedAt"/) {
			sysread $in, $events, 65536, length $events or die "the pipeline ended early\n";
		}
		my $wall = time - $start;
		$cpu = pg_cpu() - $cpu;
		for my $pid (@pids) {
			file_lines("/proc/$pid/stat", sub { my @f = split ' ', s/^.*\) //r; $cpu += ($f[11] + $f[12]) / POSIX::sysconf(&POSIX::_SC_CLK_TCK) });
		}
		my $rss = 0;
		file_lines("/proc/$pids[2]/status", sub { $rss = $1 / 1024 if /^VmHWM:\s+(\d+)/ });
		kill 'KILL', @pids;
		eval { ended($_, '') } for @pids;
		return {wall => $wall, rss => $rss, cpu => $cpu};
	});
	db_drop('a');
	unlink "$dir/pending";
	row(name => 'restore', what => 'a start with ' . number($n) . ' pending callbacks, until a new record is emitted', unit => 's',
		ours => samples($t->{ours}, 'wall'), reach => [['ours', '<=', 3.4]], more => {timerdMiB => median(map { $_->{rss} } @{$t->{ours}}), processorS => median(map { $_->{cpu} } @{$t->{ours}})});
}

1;
