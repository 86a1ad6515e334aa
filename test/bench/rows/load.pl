# File to committed and emitted, against what one would do by hand; with shards; disk and memory.
use strict;
use warnings;
use Bench;
use Rows;
use List::Util qw(max sum);
use POSIX ();
use Time::HiRes qw(time);

# shards_run(JSON, N, SHARDS, CONNINFO): reader | writer, so many at once, each on a shard.
sub shards_run {
	my ($json, $n, $shards, $conninfo) = @_;
	my @out = map { "$dir/events.$_" } 0 .. $shards - 1;
	my $r = pipelines(map { {out => $out[$_], stages => [
		["$bin/reader", qw(--arrival none --source bench), $shards > 1 ? ('--shard', "$_/$shards") : (), $json],
		["$bin/writer", '--db', $conninfo]]} } 0 .. $shards - 1);
	outcomes_check($n, @out);
	return $r;
}

# load_run(JSON, N, DATABASE, SHARDS[, CONNINFO]): that on an empty database: what it cost, in seconds and bytes.
sub load_run {
	my ($json, $n, $database, $shards, $conninfo) = @_;
	db_fresh($database);
	my ($before, $lsn) = (pg_cpu(), sql($database, 'SELECT pg_current_wal_insert_lsn()'));
	my $r = shards_run($json, $n, $shards, $conninfo // db_conninfo($database));
	$r->{pg} = pg_cpu() - $before;
	$r->{wal} = sql($database, "SELECT pg_current_wal_insert_lsn() - '$lsn'");
	$r->{reader} = sum(map { $_->{stage}[0]{cpu} } @{$r->{all}});
	$r->{writer} = sum(map { $_->{stage}[1]{cpu} } @{$r->{all}});
	$r->{rss} = max(map { $_->{stage}[1]{rss} } @{$r->{all}});
	return $r;
}

sub timed {
	my ($sub) = @_;
	my ($cpu, $start) = (pg_cpu(), time);
	$sub->();
	my $wall = time - $start;
	return {wall => $wall, pg => pg_cpu() - $cpu};
}

# The same by hand, in one statement a set.
sub merge_run {
	my ($tsv, $database) = @_;
	db_fresh($database);
	return timed(sub {
		ended(spawn($tsv, '/dev/null', tool('psql'), qw(-X -q -v ON_ERROR_STOP=1 -d), $database, '-f', "$FindBin::Bin/merge.sql"),
			'psql');
	});
}

# One select and two transactions an update.
sub row_script {
	my ($tsv, $n) = @_;
	my $path = "$dir/row.sql";
	return $path if -e $path;
	open my $out, '>', $path or die "$path: $!\n";
	my $count = 0;
	file_lines($tsv, sub {
		return if $count >= $n;
		chomp;
		my ($ordinal, $id, $version, $type, $tokens, $ms, $data, $reason) = split /\t/;
		return if $reason ne '\N';
		$count++;
		$data =~ s/\\\\/\\/g;
		$data =~ s/'/''/g;
		print $out <<"END";
SELECT version FROM acctflow.latest WHERE id = '$id';
INSERT INTO acctflow.history (id, version, callback_time_ms, ingested_at, source_offset, applied, deleted, tokens, account_type, pipeline, data) VALUES ('$id', $version, $ms, now(), $ordinal, true, false, $tokens, '$type', 1, '$data') ON CONFLICT DO NOTHING;
INSERT INTO acctflow.latest AS a (id, version, callback_time_ms, ingested_at, source_offset, deleted, tokens, account_type, pipeline, data) VALUES ('$id', $version, $ms, now(), $ordinal, false, $tokens, '$type', 1, '$data') ON CONFLICT (id) DO UPDATE SET version = excluded.version, previous_version = a.version, callback_time_ms = excluded.callback_time_ms, ingested_at = excluded.ingested_at, source_offset = excluded.source_offset, tokens = excluded.tokens, account_type = excluded.account_type, pipeline = excluded.pipeline, data = excluded.data WHERE a.version < excluded.version;
END
	});
	close $out or die "$path: $!\n";
	$size{ROW_UPDATES} = $count;
	return $path;
}

sub row_run {
	my ($script, $database) = @_;
	db_fresh($database);
	return timed(sub {
		ended(spawn('/dev/null', '/dev/null', tool('psql'), qw(-X -q -v ON_ERROR_STOP=1 -d), $database, '-f', $script), 'psql');
	});
}

# The history's rows, binary, as the first run left them: all, and dealt to two backends by account.
sub history_files {
	my ($database) = @_;
	my @parts = (['history', 'true'], ['history-0', 'hashtext(id) & 1 = 0'], ['history-1', 'hashtext(id) & 1 = 1']);
	for (@parts) {
		psql($database, '-c', "\\copy (SELECT * FROM acctflow.history WHERE $_->[1] ORDER BY source_offset) TO '$dir/$_->[0]' (FORMAT binary)");
	}
}

sub copy_run {
	my ($database, @files) = @_;
	db_fresh($database);
	return timed(sub {
		my @pids = map {
			spawn('/dev/null', '/dev/null', tool('psql'), qw(-X -q -v ON_ERROR_STOP=1 -d), $database, '-c',
				"\\copy acctflow.history FROM '$dir/$_' (FORMAT binary)")
		} @files;
		ended($_, 'psql') for @pids;
	});
}

# What both ways must leave alike.
sub state {
	my ($database) = @_;
	return sql($database, "SELECT count(*), sum(hashtextextended(concat_ws('|', id, version, applied, tokens, data), 0)) FROM acctflow.account_updates") . ' '
	    . sql($database, "SELECT count(*), sum(hashtextextended(concat_ws('|', id, version, tokens, data), 0)) FROM acctflow.accounts");
}

sub bench_load {
	my ($want) = @_;
	my ($n, $accounts) = @size{qw(UPDATES ACCOUNTS)};
	my $json = updates_file($n, $accounts);
	my $tsv = tab_separated($json);
	my $half = POSIX::ceil($n / 2);
	my $small = updates_file($half, $accounts) if $want->{'writer-memory'};
	my $script = row_script($tsv, $size{ROW_UPDATES}) if $want->{row};
	# One turn that does not count: it warms the caches, leaves the history for raw COPY, and shows that all agree.
	load_run($json, $n, 'a', 1);
	merge_run($tsv, 'b');
	die "row load: the two ways do not leave the same relations\n" if state('a') ne state('b');
	load_run($json, $n, 'b', 2);
	die "row load: two shards do not leave the same relations\n" if state('a') ne state('b');
	history_files('a') if $want->{copy1} || $want->{copy2};
	bench_disk($n) if $want->{disk};
	db_drop($_) for qw(a b);
	my @turns;
	push @turns, one => sub { load_run($json, $n, 'a', 1) } if grep { $want->{$_} } qw(load1 row copy1 writer-memory);
	push @turns, merge => sub { merge_run($tsv, 'b') } if $want->{load} || $want->{load1};
	push @turns, two => sub { load_run($json, $n, 'a', 2) } if $want->{load} || $want->{copy2};
	push @turns, row => sub { row_run($script, 'b') } if $want->{row};
	push @turns, copy1 => sub { copy_run('b', 'history') } if $want->{copy1};
	push @turns, copy2 => sub { copy_run('b', 'history-0', 'history-1') } if $want->{copy2};
	push @turns, small => sub { load_run($small, $half, 'b', 1) } if $want->{'writer-memory'};
	my $t = @turns ? turns($size{RUNS}, @turns) : {};
	db_drop($_) for qw(a b);

	my $what = 'file to committed and emitted, ' . number($n) . ' updates';
	my @one = (what => "$what, one pipeline", unit => 's', ours => samples($t->{one}, 'wall')) if $t->{one};
	my @two = (what => "$what, two shards", unit => 's', ours => samples($t->{two}, 'wall')) if $t->{two};
	my @merge = (contender => '\copy + merge', theirs => samples($t->{merge}, 'wall'), faster => 1) if $t->{merge};
	row(name => 'load', @two, @merge, reach => [['ratio', '>=', 1.6]], more => microseconds($n, $t->{two}, $t->{merge})) if $want->{load};
	row(name => 'load1', @one, @merge, reach => [['ratio', '>=', 1]], more => microseconds($n, $t->{one}, $t->{merge})) if $want->{load1};
	row(name => 'row', what => "$what, per s", contender => 'transaction a row', unit => '/s',
		ours => [map { $n / $_->{wall} } @{$t->{one}}], theirs => [map { $size{ROW_UPDATES} / $_->{wall} } @{$t->{row}}],
		reach => [['ratio', '>=', 150]]) if $want->{row};
	row(name => 'copy1', @one, contender => 'raw COPY of its history, 1 backend', theirs => samples($t->{copy1}, 'wall')) if $want->{copy1};
	row(name => 'copy2', @two, contender => 'raw COPY of its history, 2 backends', theirs => samples($t->{copy2}, 'wall'),
		reach => [['ratio', '<=', 1.8]]) if $want->{copy2};
	row(name => 'writer-memory', what => 'writer, peak memory, ' . number($n) . ' updates', contender => 'itself, half of them',
		unit => 'MiB', ours => [map { $_->{rss} / 2**20 } @{$t->{one}}], theirs => [map { $_->{rss} / 2**20 } @{$t->{small}}],
		reach => [['ours', '<=', 64]]) if $want->{'writer-memory'};
}

# Processor time of each program an update, in microseconds.
sub microseconds {
	my ($n, $ours, $merge) = @_;
	my %more = map { my $of = $_; $of => median(map { $_->{$of} * 1e6 / $n } @$ours) } qw(reader writer pg wall);
	$more{contenderPg} = median(map { $_->{pg} * 1e6 / $n } @$merge);
	return \%more;
}

# What more shards cost: processor time an update of four against two, and the reader's part of it, since each reads all.
sub bench_shards {
	my ($want) = @_;
	my ($n, $accounts) = @size{qw(UPDATES ACCOUNTS)};
	my $json = updates_file($n, $accounts);
	my @numbers = $want->{'reader-share'} ? (1, 2, 4, 8) : (2, 4);
	my $t = turns($size{RUNS}, map { my $of = $_; $of => sub {
		my $r = load_run($json, $n, 'a', $of);
		return {us => ($r->{cpu} + $r->{pg}) * 1e6 / $n, reader => $r->{reader} * 1e6 / $n, wall => $r->{wall} * 1e6 / $n};
	} } @numbers);
	db_drop('a');
	row(name => 'shards', what => 'processor time an update, four shards', contender => 'two shards', unit => 'us', ours => samples($t->{4}, 'us'),
		theirs => samples($t->{2}, 'us'), reach => [['ratio', '<=', 1.1]], more => {wallFour => median(@{samples($t->{4}, 'wall')}),
			wallTwo => median(@{samples($t->{2}, 'wall')})}) if $want->{shards};
	row(name => 'reader-share', what => "the readers' part of it, eight shards", contender => 'one', unit => 'us', ours => samples($t->{8}, 'reader'),
		theirs => samples($t->{1}, 'reader'), more => {map { ("reader$_" => median(@{samples($t->{$_}, 'reader')}),
			"all$_" => median(@{samples($t->{$_}, 'us')})) } @numbers}) if $want->{'reader-share'};
}

sub bench_disk {
	my ($n) = @_;
	my %bytes = map { split /\|/ } split /\n/, sql('a', <<'END');
SELECT c.relname, pg_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'acctflow' AND c.relkind IN ('r', 'i') AND pg_relation_size(c.oid) > 100000
END
	my $sum = sql('a', "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'acctflow'::regnamespace AND relkind = 'r'");
	# The write-ahead log of one more load into empty relations; their making is not in it.
	my $wal = load_run(updates_file($n, $size{ACCOUNTS}), $n, 'd', 1)->{wal};
	db_drop('d');
	row(name => 'disk', what => 'tables and indexes of ' . number($n) . ' updates', unit => 'bytes an update', ours => [$sum / $n], reach => [['ours', '<=', 320]],
		more => {relations => {map { $_ => $bytes{$_} / $n } keys %bytes}, writeAheadLog => $wal / $n});
}

1;
