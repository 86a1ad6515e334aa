# reader by itself.
use strict;
use warnings;
use Bench;
use Rows;

sub bench_reader {
	my $jq = tool('jq');
	if (!$jq) { $left_out{reader} = 'jq is missing'; return }
	my @files = map {
		my $mb = $_;
		# About 231 bytes an update, spread over lines.
		generated("array-$mb.json", '--updates', int($mb * 1e6 / 231), '--accounts', int($mb * 1e6 / 2310) + 1, '--unversioned', 0)
	} @size{qw(READER_MB JQ_MB)};
	my @bytes = map { -s } @files;
	my $t = turns($size{RUNS},
		ours => sub { pipeline(stages => [["$bin/reader", '--arrival', 'none', $files[0]]]) },
		theirs => sub { pipeline(stages => [[$jq, '-c', '.[]', $files[1]]]) });
	row(name => 'reader', what => 'reader, array to NDJSON, ' . number($bytes[0] / 1e6) . ' MB', contender => "jq -c '.[]', " . number($bytes[1] / 1e6) . ' MB',
		unit => 'MB/s', ours => [map { $bytes[0] / 1e6 / $_->{wall} } @{$t->{ours}}], theirs => [map { $bytes[1] / 1e6 / $_->{wall} } @{$t->{theirs}}],
		reach => [['ratio', '>=', 30], ['ours', '>=', 400]]);
	unlink @files;
}

# A map of seven pointers, on records of the same bytes.
sub bench_map {
	my ($want) = @_;
	my $jq = tool('jq');
	my @members = qw(id accountType tokens version callbackTimeMs data deleted);
	my @files = map { generated("lines-$_.json", '--updates', int($_ * 1e6 / 178), '--accounts', int($_ * 1e6 / 1780) + 1, '--unversioned', 0, '--lines') }
		@size{qw(READER_MB JQ_MB)};
	my $map = "$files[0].yaml";
	open my $f, '>', $map or die "$map: $!\n";
	print $f "$_: /$_\n" for @members;
	close $f;
	my $mapped = sub { pipeline(stages => [["$bin/reader", '--arrival', 'none', '--map', $map, $files[0]]]) };
	if ($want->{map}) {
		my $t = turns($size{RUNS}, ours => $mapped, theirs => sub { pipeline(stages => [["$bin/reader", '--arrival', 'none', $files[0]]]) });
		row(name => 'map', what => "reader with a map, processor time, $size{READER_MB} MB", contender => 'without', unit => 's',
			ours => samples($t->{ours}, 'cpu'), theirs => samples($t->{theirs}, 'cpu'), reach => [['ratio', '<=', 1.5]]);
	}
	if ($want->{'map-jq'} && !$jq) {
		$left_out{'map-jq'} = 'jq is missing';
	} elsif ($want->{'map-jq'}) {
		my $t = turns($size{RUNS}, ours => $mapped, theirs => sub { pipeline(stages => [[$jq, '-c', '{' . join(',', @members) . '}', $files[1]]]) });
		row(name => 'map-jq', what => "reader with a map, by processor time, $size{READER_MB} MB", contender => "jq doing the same, $size{JQ_MB} MB",
			unit => 'MB/s', ours => [map { (-s $files[0]) / 1e6 / $_->{cpu} } @{$t->{ours}}],
			theirs => [map { (-s $files[1]) / 1e6 / $_->{cpu} } @{$t->{theirs}}], reach => [['ratio', '>=', 20]]);
	}
	unlink @files, $map;
}

# Records up to 64 KiB, through a pipe.
sub bench_reader_memory {
	my $run = sub {
		my ($mb) = @_;
		my $r = pipeline(stages => [
			["$bin/generate", '--updates', int($mb * 1e6 / 64_000), '--accounts', 100, '--data-bytes', 64_000, '--lines'],
			["$bin/reader", '--arrival', 'none', '-']]);
		return {rss => $r->{stage}[1]{rss} / 2**20};
	};
	my $t = turns($size{RUNS}, ours => sub { $run->($size{MEMORY_MB}) }, theirs => sub { $run->(20) });
	row(name => 'reader-memory', what => "reader, peak memory, $size{MEMORY_MB} MB, records of 64 kB", contender => 'itself, 20 MB',
		unit => 'MiB', ours => samples($t->{ours}, 'rss'), theirs => samples($t->{theirs}, 'rss'),
		reach => [['ours', '<=', 4], ['ratio', '<=', 1.1]]);
}

1;
