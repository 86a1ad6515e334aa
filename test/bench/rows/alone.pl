# One update alone: how long from its arrival until it is committed and emitted, against its statements by pgbench.
use strict;
use warnings;
use Bench;
use Rows;
use Time::HiRes qw(time sleep);

# Feeds a pipeline one update at a time, when what was emitted before has come out. Returns latencies in ms.
sub alone_run {
	my ($n, $conninfo) = @_;
	db_fresh('a');
	pipe my $reader_in, my $feed or die "pipe: $!\n";
	pipe my $writer_in, my $reader_out or die "pipe: $!\n";
	pipe my $events, my $writer_out or die "pipe: $!\n";
	my @pids = (
		spawn($reader_in, $reader_out, "$bin/reader", '--arrival', 'none', '--source', 'alone', '-'),
		spawn($writer_in, $writer_out, "$bin/writer", '--db', $conninfo // db_conninfo('a')));
	close $_ for $reader_in, $reader_out, $writer_in, $writer_out;
	my ($got, @ms) = ('');
	for my $i (-20 .. $n - 1) {
		my $id = 'alone' . int rand 1e9;
		my $line = "{\"id\":\"$id\",\"accountType\":\"escrow\",\"tokens\":$$,\"callbackTimeMs\":400,\"version\":1,"
		    . "\"data\":{\"mintId\":\"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg\"}}\n";
		sleep 0.01 * -log(1 - rand);
		my $start = time;
		syswrite $feed, $line;
		until ($got =~ /^\{"event":"indexed"[^\n]*"id":"$id"[^\n]*\n/m) {
			sysread $events, $got, 65536, length $got or die "the pipeline ended early\n";
		}
		push @ms, (time - $start) * 1e3 if $i >= 0;
		$got = '';
	}
	close $feed;
	1 while sysread $events, $got, 65536;
	ended($_, 'pipeline') for @pids;
	return {p50 => median(@ms), p99 => quantile(0.99, @ms)};
}

# The statements that writer sends for it, in the same two round trips, as a script for pgbench.
sub alone_script {
	my $data = q('{"mintId":"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg"}');
	my @update = ("ARRAY['alone' || :n]", 'ARRAY[1]', 'ARRAY[400]', 'ARRAY[now()]', 'ARRAY[:n]');
	my %parameters = (
		pipelines_lock => [1, 0],
		latest_upsert => [1, @update, 'ARRAY[243]', "ARRAY['escrow']", 'ARRAY[false]', "ARRAY[$data]"],
		history_insert => [1, @update, 'ARRAY[true]', 'ARRAY[false]', 'ARRAY[243]', "ARRAY['escrow']", 'ARRAY[NULL]', "ARRAY[$data]", 'ARRAY[NULL]'],
		pipelines_advance => [1, ':n', 'now()', 1, 0, 0, 0, 0, 0, 0, ':n', ':n', 'pg_current_xact_id()'],
	);
	my $statement = sub {
		my ($name) = @_;
		open my $file, '<', "$root/sql/$name.sql" or die "sql/$name.sql: $!\n";
		my $text = join '', grep { !/^--/ } <$file>;
		$text =~ s/\$(\d+)/$parameters{$name}[$1 - 1]/g;
		return "$text;\n";
	};
	my $path = "$dir/alone.sql";
	open my $out, '>', $path or die "$path: $!\n";
	print $out "\\set n random(1, 1000000000)\n\\startpipeline\n",
	    "BEGIN ISOLATION LEVEL READ COMMITTED;\n",
	    "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('jit', 'off', true);\n",
	    "SELECT pg_current_xact_id()::text;\n", $statement->('pipelines_lock'), $statement->('latest_upsert'),
	    "\\endpipeline\n\\startpipeline\n", $statement->('history_insert'), $statement->('pipelines_advance'), "COMMIT;\n\\endpipeline\n";
	close $out or die "$path: $!\n";
	return $path;
}

sub pgbench_run {
	my ($script, $n) = @_;
	db_fresh('b');
	psql('b', '-c', "INSERT INTO acctflow.inputs (name, shards) VALUES ('pgbench', 1)",
		'-c', "INSERT INTO acctflow.pipelines (source, shard) VALUES ('pgbench', 0)", '-c', 'INSERT INTO acctflow.deliveries (pipeline) VALUES (1)');
	unlink glob "$dir/latency.*";
	# A rate spaces them as ours are; what a transaction waited for its time is taken off.
	ended(spawn('/dev/null', '/dev/null', tool('pgbench'), '-n', '-M', 'extended', '-c', 1, '-t', $n + 20, '-R', 90, '-l',
		"--log-prefix=$dir/latency", '-f', $script, 'b'), 'pgbench');
	my @ms;
	file_lines((glob "$dir/latency.*")[0], sub {
		my (undef, $k, $us, undef, undef, undef, $lag) = split ' ';
		push @ms, ($us - ($lag // 0)) / 1e3 if $k > 20 || @ms || $. > 20;
	});
	return {p50 => median(@ms), p99 => quantile(0.99, @ms)};
}

sub bench_alone {
	my ($want) = @_;
	my $n = $size{LATENCY_UPDATES};
	if (!tool('pgbench')) { $left_out{$_} = 'pgbench is missing' for keys %$want; return }
	my $script = alone_script();
	my $t = turns($size{RUNS}, ours => sub { alone_run($n) }, theirs => sub { pgbench_run($script, $n) });
	db_drop($_) for qw(a b);
	my %reach = (p50 => 1.2, p99 => 3);
	for my $p (qw(p50 p99)) {
		row(name => "alone-$p", what => "one update alone, arrival to emitted, $p", contender => 'its SQL by pgbench', unit => 'ms',
			ours => samples($t->{ours}, $p), theirs => samples($t->{theirs}, $p), reach => [['ratio', '<=', $reach{$p}]])
		    if $want->{"alone-$p"};
	}
}

1;
