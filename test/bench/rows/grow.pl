# What an update costs as there are more of them, and what recording outcomes costs.
use strict;
use warnings;
use Bench;
use Rows;
use POSIX ();

sub bench_scale {
	my $n = $size{SCALE_UPDATES};
	my @files = map { updates_file($n * $_, POSIX::ceil($n * $_ / 10)) } 10, 1;
	my $run = sub {
		my ($file, $count) = @_;
		my $r = load_run($file, $count, 'a', 1);
		return {us => $r->{wall} * 1e6 / $count, cpu => ($r->{cpu} + $r->{pg}) * 1e6 / $count};
	};
	my $t = turns($size{RUNS}, ours => sub { $run->($files[0], $n * 10) }, theirs => sub { $run->($files[1], $n) });
	db_drop('a');
	row(name => 'scale', what => 'an update, of ' . number($n * 10) . ', accounts a tenth', contender => 'itself, of ' . number($n), unit => 'us',
		ours => samples($t->{ours}, 'us'), theirs => samples($t->{theirs}, 'us'), reach => [['ratio', '<=', 1.3]],
		more => {cpuRatio => median(ratios(samples($t->{ours}, 'cpu'), samples($t->{theirs}, 'cpu')))});
}

# On the virtual clock, an update a millisecond in the mean: callbacks are due after up to twenty times as long as an account
# waits for its next update, so that one in twenty fires all along the run; another one in twenty, each account's last, at its
# end.
sub bench_ack {
	my $n = $size{UPDATES};
	my $json = generated('ack.json', '--updates', $n, '--accounts', POSIX::ceil($n / 20), '--callback-ms', "0:$n");
	my $fired = 0;
	my $run = sub {
		my ($ack) = @_;
		db_fresh('a');
		my @clock = ('--clock', 'virtual');
		my $before = pg_cpu();
		my $r = pipeline(out => "$dir/events", stages => [["$bin/reader", @clock, '--delay-ms', '0:2', '--seed', 1, $json],
			["$bin/writer", @clock, '--db', db_conninfo('a')], ["$bin/timerd", @clock],
			$ack ? ["$bin/writer", 'ack', '--db', db_conninfo('a')] : ()]);
		my $pg = pg_cpu() - $before;
		$fired = sql('a', 'SELECT count(*) FROM acctflow.outcomes') if $ack;
		return {us => ($r->{cpu} + $pg) * 1e6 / $n, pg => $pg * 1e6 / $n, stages => [map { $_->{cpu} * 1e6 / $n } @{$r->{stage}}]};
	};
	my $t = turns($size{RUNS}, ours => sub { $run->(1) }, theirs => sub { $run->(0) });
	db_drop('a');
	row(name => 'ack', what => 'processor time an update, ' . number(100 * $fired / $n) . ' % fired and recorded', contender => 'not recorded',
		unit => 'us', ours => samples($t->{ours}, 'us'), theirs => samples($t->{theirs}, 'us'), reach => [['ratio', '<=', 1.2]],
		more => {ack => median(map { $_->{stages}[3] } @{$t->{ours}}), timerd => median(map { $_->{stages}[2] } @{$t->{ours}}),
			postgres => median(map { $_->{pg} } @{$t->{ours}}), postgresContender => median(map { $_->{pg} } @{$t->{theirs}})});
}

1;
