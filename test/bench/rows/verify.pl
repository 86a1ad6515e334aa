# The audit of a run whose callbacks have fired or were cancelled, with its input.
use strict;
use warnings;
use Bench;
use Rows;

sub bench_verify {
	my ($want) = @_;
	my $n = $size{UPDATES};
	my $json = updates_file($n, $size{ACCOUNTS});
	db_fresh('a');
	my @db = ('--db', db_conninfo('a'), '--log-level', 'error');
	my @virtual = qw(--clock virtual);
	pipeline(stages => [["$bin/reader", @virtual, qw(--arrival none --log-level error --source bench), $json], ["$bin/writer", @virtual, @db],
		["$bin/timerd", @virtual], ["$bin/writer", 'ack', @db]]);
	local @ENV{qw(ACCTFLOW_BIN ACCTFLOW_CONFIG ACCTFLOW_HOME)} = ($bin, '/dev/null', "$dir/home");
	my $t = turns($size{RUNS}, ours => sub {
		my $before = pg_cpu();
		my $r = pipeline(out => "$dir/differences",
			stages => [["$root/acctflow", '--db', db_conninfo('a'), qw(--source bench --format json verify), $json]]);
		file_lines("$dir/differences", sub { /^\{"records":$n,"accountedFor":$n,"differences":0,/ or die "row verify: $_" });
		return {wall => $r->{wall}, rss => $r->{stage}[0]{rss} / 2**20, cpu => $r->{cpu}, pg => pg_cpu() - $before};
	});
	db_drop('a');
	unlink "$dir/differences";
	my $what = 'acctflow verify INPUT, ' . number($n) . ' updates';
	row(name => 'verify', what => $what, unit => 's', ours => samples($t->{ours}, 'wall'), reach => [['ours', '<=', 30]],
		more => {pgS => median(@{samples($t->{ours}, 'pg')}), processorS => median(@{samples($t->{ours}, 'cpu')})}) if $want->{verify};
	row(name => 'verify-memory', what => "$what, its largest process", unit => 'MiB', ours => samples($t->{ours}, 'rss'),
		reach => [['ours', '<=', 64]]) if $want->{'verify-memory'};
}

1;
