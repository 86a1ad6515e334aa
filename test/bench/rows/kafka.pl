# Two partitions of a Kafka topic against the same records in two files.
use strict;
use warnings;
use Bench;
use Rows;
use IO::Handle;
use Time::HiRes qw(sleep time);

my ($pid, $in, $out);

# Tells the broker of test/kafka/broker.c something: its answer.
sub broker {
	print $in join("\t", @_), "\n";
	chomp(my $answer = <$out> // 'error: it is gone');
	die "the broker, at \"@_\": $answer\n" if $answer =~ /^error/;
	return $answer;
}

# Starts it: its addresses, or nothing where that cannot be.
sub broker_start {
	my $program = ($ENV{BUILD} // "$root/build") . '/kafka-broker';
	-x $program or return;
	pipe my $read, $in or die "could not make a pipe: $!\n";
	pipe $out, my $write or die "could not make a pipe: $!\n";
	$in->autoflush(1);
	$pid = spawn($read, $write, $program);
	close $write;
	return map { chomp; $_ } scalar(<$out>) // ();
}

sub broker_stop {
	close $in;
	ended($pid, 'kafka-broker');
}

# The updates, each account's in one of two files.
sub dealt {
	my ($n, $accounts) = @_;
	my $all = generated('kafka', '--updates', $n, '--accounts', $accounts, '--lines', '--unversioned', 0, '--callback-ms', '3600000:7200000');
	my @files = map { "$all.$_" } 0, 1;
	my @handles = map { open my $f, '>', $_ or die "$_: $!\n"; $f } @files;
	file_lines($all, sub { print {$handles[/"id":"([^"]*)"/ ? unpack('%32C*', $1) % 2 : 0]} $_ });
	close $_ for @handles;
	unlink $all;
	return @files;
}

# kafka_run(N, READERS…): two pipelines, each behind its own. What they cost without kafka-reader, in seconds.
sub kafka_run {
	my ($n, $database, @readers) = @_;
	db_fresh($database);
	my $before = pg_cpu();
	my @out = map { "$dir/events.$_" } 0, 1;
	my @db = ('--db', db_conninfo($database));
	my $r = pipelines(map { {out => $out[$_], stages => [@{$readers[$_]}, ["$bin/writer", @db], ["$bin/timerd", '--no-wait'], ["$bin/writer", 'ack', @db]]} } 0, 1);
	my $pg = pg_cpu() - $before;
	outcomes_check($n, @out);
	my %cpu = (postgres => $pg);
	for my $one (@{$r->{all}}) {
		my @names = qw(ack timerd writer reader kafkaReader);
		$cpu{shift @names} += $_->{cpu} for reverse @{$one->{stage}};
	}
	my $ours = 0;
	$ours += $cpu{$_} for grep { $_ ne 'kafkaReader' } keys %cpu;
	return {wall => $r->{wall}, rate => $n / $ours, map { $_ => $cpu{$_} * 1e6 / $n } keys %cpu};
}

sub bench_kafka {
	my ($want) = @_;
	my ($n, $accounts) = @size{qw(KAFKA_UPDATES ACCOUNTS)};
	my ($brokers) = broker_start();
	if (!$brokers) {
		$left_out{$_} = 'there is no broker, or it does not know this librdkafka; make units shows more' for keys %$want;
		return;
	}
	my @files = dealt($n, $accounts);
	broker('topic', 't', 2);
	broker('load', 't', $_, $files[$_]) for 0, 1;
	my @reader = ("$bin/reader", qw(--arrival none));
	my $kafka = sub {
		return kafka_run($n, $_[0], map { [["$bin/kafka-reader", '--until', 'end', "kafka://$brokers/t/$_"],
			[@reader, qw(--resume --map kafka --source), "kafka:main/t/$_"]] } 0, 1);
	};
	my $file = sub { kafka_run($n, $_[0], map { [[@reader, $files[$_]]] } 0, 1) };
	# One turn that does not count: it warms the caches, and shows that both leave the same.
	$kafka->('a');
	$file->('b');
	die "row kafka: the two ways do not leave the same relations\n" if state('a') ne state('b');
	my $t = turns($size{RUNS}, ours => sub { $kafka->('a') }, theirs => sub { $file->('b') });
	broker_stop();
	db_drop($_) for qw(a b);
	unlink @files;
	my ($what, @contender) = (number($n) . ' updates from two partitions of Kafka', contender => 'from two files');
	row(name => 'kafka', what => "$what, by processor time without kafka-reader", @contender, unit => '/s', ours => samples($t->{ours}, 'rate'),
		theirs => samples($t->{theirs}, 'rate'), reach => [['ratio', '>=', 0.9]], more => {
			(map { $_ => median(@{samples($t->{ours}, $_)}) } qw(kafkaReader reader writer timerd ack postgres)),
			(map { $_ . 'Contender' => median(@{samples($t->{theirs}, $_)}) } qw(reader writer timerd ack postgres))}) if $want->{kafka};
	row(name => 'kafka-wall', what => $what, @contender, unit => 's', ours => samples($t->{ours}, 'wall'), theirs => samples($t->{theirs}, 'wall'))
		if $want->{'kafka-wall'};
}

1;
