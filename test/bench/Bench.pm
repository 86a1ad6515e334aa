# What the benchmark's rows share: processes timed and accounted for, the throw-away Postgres, turns and medians,
# the table and the JSON. Core modules of Perl only.
package Bench;
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use IO::Socket::INET ();
use POSIX ();
use Time::HiRes qw(time sleep);

our @EXPORT = qw($root $bin $dir dir_make setting note tool install pipeline pipelines spawn ended turns median quantile ratios
    file_lines pg_start pg_restart pg_folder postmaster_of port_free pg_settings pg_cpu db_fresh db_drop db_conninfo psql sql json_write table_print number);

our $root = abs_path(dirname(__FILE__) . '/../..');
our $bin = abs_path($ENV{BIN} // "$root/bin");
our $dir;
my ($main, $home, $socket, %children, %settings) = ($$);
my $port = 5432;

# The user's own settings are none of the benchmark's business.
delete @ENV{grep { /^PG|^ACCTFLOW_/ } keys %ENV};
@ENV{qw(ACCTFLOW_CONFIG LC_ALL TZ)} = ('/dev/null', 'C', 'UTC');
$ENV{PATH} = "$bin:$ENV{PATH}";
$SIG{$_} = sub { exit 130 }
    for qw(INT TERM HUP);
$SIG{PIPE} = 'IGNORE';

# Makes $dir, for all that is measured with; it goes when we do.
sub dir_make {
	$dir = tempdir('acctflow-bench.XXXXXX', DIR => setting('BENCH_DIR', '/tmp'));
	chmod 0755, $dir; # user postgres must reach what is in it
}

END {
	if (defined $main && $$ == $main && defined $dir) {
		my $status = $?;
		kill TERM => keys %children;
		if ($home) {
			local $ENV{ACCTFLOW_HOME} = $home;
			system "$root/supervisor", 'stop';
		}
		system 'rm', '-rf', '--', $dir;
		$? = $status;
	}
}

# setting NAME, DEFAULT: an environment variable, as `make bench NAME=…` sets it.
sub setting {
	my ($name, $default) = @_;
	my $value = length($ENV{$name} // '') ? $ENV{$name} : $default;
	$settings{$name} = $value;
	return $value;
}

sub note { print STDERR "bench: @_\n" }

# Whether a command is there, in PATH or where Debian keeps Postgres's own.
sub tool {
	my ($name) = @_;
	for (split(/:/, $ENV{PATH}), reverse sort glob '/usr/lib/postgresql/*/bin') {
		return "$_/$name" if -x "$_/$name" && !-d _;
	}
	return undef;
}

# install PACKAGE…: where we may; whatever needs it looks for itself whether it is there.
sub install {
	my @packages = @_ or return;
	if ($> != 0 || !tool('apt-get')) {
		note("missing, and not ours to install: apt-get install -y --no-install-recommends @packages");
		return;
	}
	note("installing packages: @packages");
	local $ENV{DEBIAN_FRONTEND} = 'noninteractive';
	my $log = '/dev/null';
	system("apt-get -q update && apt-get -q install -y --no-install-recommends @packages >&2") == 0
	    or note("could not install: @packages");
}

# --- processes --------------------------------------------------------------------

# spawn IN, OUT, COMMAND…: a child that reads and writes these (handles or paths). Returns its pid.
sub spawn {
	my ($in, $out, @command) = @_;
	my $pid = fork // die "could not fork: $!\n";
	if ($pid == 0) {
		undef $main;
		@SIG{qw(INT TERM HUP PIPE)} = ('DEFAULT') x 4;
		ref $in or open(my $i, '<', $in) or die "$in: $!\n";
		ref $out or open(my $o, '>', $out) or die "$out: $!\n";
		POSIX::dup2(fileno(ref $in ? $in : $i), 0);
		POSIX::dup2(fileno(ref $out ? $out : $o), 1);
		exec { $command[0] } @command or do {
			print STDERR "bench: could not start $command[0]: $!\n";
			POSIX::_exit(127);
		};
	}
	$children{$pid} = 1;
	return $pid;
}

# Waits for a child, and dies if it failed.
sub ended {
	my ($pid, $name) = @_;
	waitpid $pid, 0;
	delete $children{$pid};
	die "$name failed: exit code " . ($? >> 8) . ", signal " . ($? & 127) . "\n" if $?;
}

# pipeline_start TAG, in => PATH, out => PATH, stages => [[COMMAND…], …]: the pids. Each stage runs under time(1), whose small
# process keeps our own memory out of the peak.
sub pipeline_start {
	my ($tag, %o) = (shift, in => '/dev/null', out => '/dev/null', @_);
	my $time = tool('time') // die "time(1) is missing; install package time\n";
	my @stages = @{$o{stages}};
	my ($in, @pids) = ($o{in});
	for my $i (0 .. $#stages) {
		my ($read, $out);
		if ($i == $#stages) {
			$out = $o{out};
		} else {
			pipe $read, $out or die "could not make a pipe: $!\n";
		}
		push @pids, spawn($in, $out, $time, '-q', '-f', '%U %S %M', '-o', "$dir/time.$tag.$i", @{$stages[$i]});
		$in = $read;
	}
	return \@pids;
}

# pipelines {…}, …: these at once. Returns {wall, cpu, all => [{cpu, stage => [{cpu, rss}, …]}, …]}, in seconds and bytes.
sub pipelines {
	my @each = @_;
	my $start = time;
	my @pids = map { pipeline_start($_, %{$each[$_]}) } 0 .. $#each;
	for my $k (0 .. $#each) { ended($pids[$k][$_], $each[$k]{stages}[$_][0]) for 0 .. $#{$pids[$k]} }
	my %result = (wall => time - $start, cpu => 0, all => []);
	for my $k (0 .. $#each) {
		my %one = (cpu => 0, stage => []);
		for my $i (0 .. $#{$pids[$k]}) {
			open my $file, '<', "$dir/time.$k.$i" or die "time.$k.$i: $!\n";
			my ($user, $system, $kilobytes) = split ' ', <$file> // '';
			push @{$one{stage}}, {cpu => $user + $system, rss => $kilobytes * 1024};
			$one{cpu} += $user + $system;
		}
		push @{$result{all}}, \%one;
		$result{cpu} += $one{cpu};
	}
	return \%result;
}

# pipeline in => PATH, out => PATH, stages => …: one of them: {wall, cpu, stage => [{cpu, rss}, …]}.
sub pipeline {
	my $r = pipelines({@_});
	return {wall => $r->{wall}, cpu => $r->{cpu}, stage => $r->{all}[0]{stage}};
}

# --- turns and medians ------------------------------------------------------------

# turns RUNS, NAME => SUB…: A B A B …; each sub returns a hash. Returns {NAME => [hash, …]}.
sub turns {
	my ($runs, @contenders) = @_;
	my %results;
	for my $run (1 .. $runs) {
		for (my $i = 0; $i < @contenders; $i += 2) {
			my $result = $contenders[$i + 1]->($run);
			push @{$results{$contenders[$i]}}, $result;
		}
	}
	return \%results;
}

sub quantile {
	my ($q, @values) = @_;
	@values = sort { $a <=> $b } @values;
	return undef if !@values;
	my $at = $q * $#values;
	my $low = int $at;
	return $values[$low] if $low == $#values;
	return $values[$low] + ($at - $low) * ($values[$low + 1] - $values[$low]);
}

sub median { return quantile(0.5, @_) }

# ratios A, B: pair by pair.
sub ratios {
	my ($x, $y) = @_;
	return map { $y->[$_] ? $x->[$_] / $y->[$_] : 0 } 0 .. ($#$x < $#$y ? $#$x : $#$y);
}

# file_lines PATH, SUB: the sub on each line.
sub file_lines {
	my ($path, $sub) = @_;
	open my $file, '<', $path or die "$path: $!\n";
	while (<$file>) { $sub->($_) }
}

# --- Postgres ---------------------------------------------------------------------

my $postmaster;

# Starts it with these settings: a private one of the supervisor's, so root's runs as user postgres.
sub pg_start {
	my (@with) = @_;
	$home = "$dir/home";
	mkdir $home;
	chmod 0755, $home;
	local $ENV{ACCTFLOW_HOME} = $home;
	local $ENV{ACCTFLOW_LOG_LEVEL} = 'warn';
	my $start = sub {
		# A list, not a shell's line: the path may have a space.
		open(my $out, '>&', \*STDOUT) and open(STDOUT, '>', '/dev/null') or die "standard output: $!\n";
		my $failed = system "$root/supervisor", 'postgres';
		open STDOUT, '>&', $out or die "standard output: $!\n";
		$failed == 0 or die "Postgres does not start\n";
		open my $file, '<', "$home/run/db" or die "$home/run/db: $!\n";
		($socket) = <$file> =~ /host=(\S+)/ or die "no socket in $home/run/db\n";
		@ENV{qw(PGHOST PGPORT PGUSER)} = ($socket, 5432, 'acctflow');
	};
	$start->();
	psql('postgres', map { my ($n, $v) = split /=/, $_, 2; ('-c', "ALTER SYSTEM SET $n = '$v'") } @with);
	delete @ENV{qw(PGHOST PGPORT PGUSER)};
	system("$root/supervisor", 'stop') == 0 or die "Postgres does not stop\n";
	$start->();
	$postmaster = postmaster_of("$home/postgres");
	psql('postgres', '-c', 'CREATE DATABASE ready');
	# A writer that has nothing to write leaves the relations.
	system("$bin/writer", '--log-level', 'warn', '--db', db_conninfo('ready'), 'migrate') == 0
	    or die "writer migrate failed\n";
}

# The pid of the postmaster that has that folder.
sub postmaster_of {
	my ($folder) = @_;
	open my $file, '<', "$folder/postmaster.pid" or die "$folder/postmaster.pid: $!\n";
	chomp(my $pid = <$file>);
	return $pid;
}

# Where it has its files, and user postgres may look.
sub pg_folder { return abs_path("$home/postgres") }

# Starts it anew, on that port, with settings of a row's own.
sub pg_restart {
	($port, my %with) = @_;
	my @as = $> == 0 ? qw(runuser -u postgres --) : ();
	my $options = join ' ', map { "-c $_=$with{$_}" } sort keys %with;
	system('sh', '-c', 'cd / && exec "$@" >/dev/null', 'sh', @as, tool('pg_ctl'), '-D', pg_folder(), '-l', '/dev/null', qw(-s -w -m fast),
		'-o', "-p $port $options", 'restart') == 0
	    or die "Postgres does not start with $options\n";
	$ENV{PGPORT} = $port;
	$postmaster = postmaster_of("$home/postgres");
}

# A port that nobody listens on now.
sub port_free {
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "no free port: $!\n";
	return $socket->sockport;
}

sub pg_settings {
	my (@names) = @_;
	return map { $_ => sql('postgres', "SHOW $_") } @names;
}

# pg_cpu [PID]: all processor time a Postgres took so far, ours by default, in seconds: the postmaster's, its dead and its
# living children's.
sub pg_cpu {
	my $of = shift // $postmaster;
	my $hertz = POSIX::sysconf(&POSIX::_SC_CLK_TCK);
	my $sum = 0;
	sleep 0.1; # for those that end just now
	for my $path (glob '/proc/[0-9]*/stat') {
		open my $file, '<', $path or next;
		my ($pid, $rest) = (<$file> // '') =~ /^(\d+) \(.*\) (.*)/s or next;
		my @field = split ' ', $rest;
		next if $pid != $of && $field[1] != $of;
		$sum += $field[11] + $field[12] + ($pid == $of ? $field[13] + $field[14] : 0);
	}
	return $sum / $hertz;
}

sub db_conninfo { return "host=$socket port=$port user=acctflow dbname=$_[0]" }

# A new database with empty relations; what was written before is on disk before its clock starts.
sub db_fresh {
	my ($name) = @_;
	db_drop($name);
	psql('postgres', '-c', "CREATE DATABASE $name TEMPLATE ready", '-c', 'CHECKPOINT');
	return $name;
}

sub db_drop { psql('postgres', '-c', "DROP DATABASE IF EXISTS $_[0] WITH (FORCE)") }

sub psql {
	my ($database, @arguments) = @_;
	local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
	system('psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $database, @arguments) == 0
	    or die "psql @arguments failed\n";
}

# The result of one statement.
sub sql {
	my ($database, $statement) = @_;
	open my $out, '-|', 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $database, '-c', $statement
	    or die "psql: $!\n";
	my $text = join '', <$out>;
	close $out or die "psql: $statement failed\n";
	chomp $text;
	return $text;
}

# --- what is shown ----------------------------------------------------------------

# Three digits that count.
sub number {
	my ($n) = @_;
	return '-' if !defined $n;
	return $n if $n !~ /^-?[\d.]+(e[-+]?\d+)?$/;
	my $text = abs($n) >= 100 ? sprintf '%.0f', $n : $n == 0 ? '0' : sprintf '%.*f', 2 - POSIX::floor(log(abs $n) / log 10), $n;
	1 while $text =~ s/^(-?\d+)(\d{3})/$1,$2/;
	return $text;
}

# table_print RIGHT, LISTS…: the first is the heading; the columns RIGHT are set to the right.
sub table_print {
	my ($right, @lines) = @_;
	my %right = map { $_ => 1 } @$right;
	my @width;
	for my $line (@lines) {
		for my $i (0 .. $#$line) {
			my $n = length $line->[$i];
			$width[$i] = $n if $n >= ($width[$i] // 0);
		}
	}
	for my $line (@lines) {
		my $text = join '  ', map {
			my $pad = ' ' x ($width[$_] - length $line->[$_]);
			$right{$_} ? $pad . $line->[$_] : $line->[$_] . $pad;
		} 0 .. $#$line;
		$text =~ s/\s+$//;
		print "$text\n";
	}
}

sub json {
	my ($v, $indent) = @_;
	return 'null' if !defined $v;
	if (ref $v eq 'HASH') {
		my @members = map { "\"$_\": " . json($v->{$_}, "$indent  ") } sort keys %$v;
		return '{}' if !@members;
		return "{\n$indent  " . join(",\n$indent  ", @members) . "\n$indent}";
	}
	return '[' . join(', ', map { json($_, "$indent  ") } @$v) . ']' if ref $v eq 'ARRAY';
	return $$v ? 'true' : 'false' if ref $v eq 'SCALAR';
	return $v + 0 if $v =~ /^-?(0|[1-9]\d*)(\.\d+)?(e[-+]?\d+)?$/;
	$v =~ s/(["\\])/\\$1/g;
	$v =~ s/([\x00-\x1f])/sprintf '\\u%04x', ord $1/ge;
	return "\"$v\"";
}

sub json_write {
	my ($path, $value) = @_;
	$value->{settings} = {%settings};
	open my $file, '>', $path or die "$path: $!\n";
	print $file json($value, ''), "\n";
	close $file or die "$path: $!\n";
}

1;
