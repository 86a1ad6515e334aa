# A pipeline whose updates are sampled, with a collector on the same machine, against one without traces.
use strict;
use warnings;
use Bench;
use Rows;

# traced_run(JSON[, N[, URL]]): one update in N is sampled, and exported; else none. In seconds.
sub traced_run {
	my ($json, $every, $url) = @_;
	db_fresh('a');
	unlink "$dir/spans";
	my @db = ('--db', db_conninfo('a'), '--log-level', 'error');
	my $before = pg_cpu();
	my $r = pipeline(stages => [["$bin/reader", qw(--arrival none --log-level error --source bench), $every ? ('--trace-sample', "1/$every") : (), $json],
		["$bin/writer", @db], ["$bin/timerd"], $url ? ["$bin/tracer", '--keep', "$dir/spans", '--to', $url] : (), ["$bin/writer", 'ack', @db]]);
	return {wall => $r->{wall}, cpu => $r->{cpu} + pg_cpu() - $before};
}

sub bench_traces {
	my ($want) = @_;
	my ($n, $accounts) = ($size{UPDATES}, $size{ACCOUNTS});
	my $json = generated("short-$n-$accounts.json", '--updates', $n, '--accounts', $accounts, '--callback-ms', '0:500');
	my $t = with_receiver(200, sub {
		my ($url) = @_;
		turns($size{RUNS}, none => sub { traced_run($json) }, thousandth => sub { traced_run($json, 1000, $url) },
			all => sub { traced_run($json, 1, $url) });
	});
	db_drop('a');
	unlink "$dir/spans", "$dir/requests";
	for ([traces => 'thousandth', 1.01, 'one update in 1,000 sampled'], ['traces-all' => 'all', 1.2, 'every update sampled']) {
		my ($name, $which, $most, $what) = @$_;
		row(name => $name, what => "a pipeline of " . number($n) . " updates to its end, $what, to one without traces", unit => 's',
			ours => samples($t->{$which}, 'wall'), theirs => samples($t->{none}, 'wall'), reach => [['ratio', '<=', $most]],
			more => {processorRatio => median(ratios(samples($t->{$which}, 'cpu'), samples($t->{none}, 'cpu')))}) if $want->{$name};
	}
}

1;
