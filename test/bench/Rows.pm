# What the files of rows/ share, on top of Bench.pm: the sizes, the rows that were measured, and inputs.
package Rows;
use strict;
use warnings;
use Bench;
use Exporter qw(import);

our @EXPORT = qw(%size @pgsettings @rows %left_out row samples generated updates_file tab_separated outcomes_check);

our %size = (
	RUNS => 5, UPDATES => 1_000_000, ACCOUNTS => 100_000, ROW_UPDATES => 1500, LATENCY_UPDATES => 200, READER_MB => 200,
	JQ_MB => 10, MEMORY_MB => 400, PENDING => 1_000_000, LATENESS_S => 3, CROWD => 100_000, DELIVERIES => 100_000, PAST_UPDATES => 1_000_000, PAST_ACCOUNTS => 100_000, SCALE_UPDATES => 50_000,
	KAFKA_UPDATES => 400_000, DISTANCE_UPDATES => 300_000, CITUS_UPDATES => 300_000, MINUTES => 2, HORIZON_RATE => 300, HORIZON_ACCOUNTS => 10_000,
);
our (@pgsettings, @rows, %left_out);

# row NAME => …: what was measured. ours and theirs are samples, in turn; ratio is ours to theirs pair by pair, or theirs
# to ours where `faster` is set; reach: [of, op, value] each, of the ratio or of ours.
sub row {
	my (%r) = @_;
	$r{runs} = @{$r{ours}};
	$r{ratios} //= [$r{faster} ? ratios($r{theirs}, $r{ours}) : ratios($r{ours}, $r{theirs})] if $r{theirs};
	$r{ratio} = median(@{$r{ratios}}) if $r{ratios};
	$r{median} = median(@{$r{ours}});
	$r{contenderMedian} = median(@{$r{theirs}}) if $r{theirs};
	my $met = 1;
	for (@{$r{reach} // []}) {
		my ($of, $op, $value) = @$_;
		my $is = $of eq 'ratio' ? $r{ratio} : $r{median};
		$met = 0 if !defined $is || ($op eq '>=' ? $is < $value : $is > $value);
	}
	$r{met} = \$met if $r{reach};
	push @rows, \%r;
	note("$r{name}: " . number($r{median}) . " $r{unit}" . (defined $r{ratio} ? ', ratio ' . number($r{ratio}) : ''));
}

sub samples { return [map { $_->{$_[1]} } @{$_[0]}] }

# --- inputs -----------------------------------------------------------------------

# A file of generated updates, made once.
sub generated {
	my ($name, @options) = @_;
	my $path = "$dir/$name";
	pipeline(stages => [["$bin/generate", @options]], out => $path) if !-e $path;
	return $path;
}

sub updates_file {
	my ($n, $accounts) = @_;
	return generated("updates-$n-$accounts.json", '--updates', $n, '--accounts', $accounts);
}

# What by hand would be copied: reader's records as tab-separated text. Its making is not measured.
sub tab_separated {
	my ($json) = @_;
	my $path = "$json.tsv";
	return $path if -e $path;
	pipeline(stages => [["$bin/reader", '--arrival', 'none', $json]], out => "$json.lines");
	open my $out, '>', $path or die "$path: $!\n";
	file_lines("$json.lines", sub {
		my @field;
		if (/^\{"source":"[^"]*","offset":(\d+),"id":"([^"]*)","accountType":"([^"]*)","tokens":(\d+),"callbackTimeMs":(\d+),"version":(\d+),"data":(.*)\}$/) {
			@field = ($1, $2, $6, $3, $4, $5, $7, undef, undef, undef);
		} elsif (/^\{"event":"rejected".*?"offset":(\d+),"reason":"(.*?)","line":\d+,"raw":"(.*)","rawBytes":(\d+)/) {
			@field = ($1, (undef) x 6, $2, $3, $4);
		} else {
			return;
		}
		for (@field) { $_ //= "\0"; s/\\/\\\\/g; s/\0/\\N/ }
		print $out join("\t", @field), "\n";
	});
	close $out or die "$path: $!\n";
	return $path;
}

# Whether these files hold an outcome for each of n updates.
sub outcomes_check {
	my ($n, @files) = @_;
	my $have = 0;
	for my $file (@files) { file_lines($file, sub { $have++ if !/^\{"event":"(begin|end|summary|fired|cancelled)"/ }) }
	die "$have outcomes of $n\n" if $have != $n;
}

1;
