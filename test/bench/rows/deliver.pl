# deliver, posting to a receiver on this machine, which shares its processors.
use strict;
use warnings;
use Bench;
use Rows;
use Time::HiRes qw(time sleep);

sub fired {
	my ($i) = @_;
	return "{\"event\":\"fired\",\"source\":\"bench\",\"offset\":$i,\"id\":\"" . account_id($i) . "\",\"version\":1,\"accountType\":\"escrow\",\"tokens\":243,"
	    . "\"data\":{\"mintId\":\"XuuexCjFKqqGPix4agRMJAX3yifYRAynYWYTR19GthNg\"},\"dueAt\":\"2026-01-01T00:00:00.000000Z\","
	    . "\"firedAt\":\"2026-01-01T00:00:00.000100Z\",\"latenessUs\":100}\n";
}

# with_receiver STATUS, SUB: a receiver that answers so; its URL and the file of its requests.
sub with_receiver {
	my ($status, $sub) = @_;
	my $program = ($ENV{BUILD} // "$root/build") . '/receiver';
	unlink "$dir/requests";
	my $pid = open(my $said, '-|', $program, 0, "$dir/requests", 0, 0, $status) // die "$program: $!\n";
	my $port = <$said> // die "$program does not start\n";
	my $result = eval { $sub->('http://127.0.0.1:' . ($port + 0) . '/') };
	my $error = $@;
	kill 'KILL', $pid;
	close $said;
	die $error if $error;
	return $result;
}

sub rss_kb {
	my ($pid) = @_;
	my $kb = 0;
	file_lines("/proc/$pid/status", sub { $kb = $1 if /^VmRSS:\s+(\d+)/ });
	return $kb;
}

# What 100,000 held callbacks take, at once and after so many seconds of attempts that fail.
sub memory_run {
	my ($url) = @_;
	my $n = 100_000;
	pipe my $in, my $feed or die "pipe: $!\n";
	my $pid = spawn($in, '/dev/null', "$bin/deliver", qw(-j 16 --allow-private --backoff-ms 1000:2000 -l error --post), $url);
	close $in;
	syswrite $feed, fired($_) for 0 .. $n - 1;
	sleep 1;
	my $before = rss_kb($pid);
	sleep 10;
	my $after = rss_kb($pid);
	kill 'TERM', $pid;
	close $feed;
	ended($pid, 'deliver');
	return {growth => $after / $before, mb => $after / 1024};
}

# At an even rate: from an event's being written until its request begins.
sub latency_run {
	my ($url) = @_;
	my ($rate, $n, $i, @written) = (1000, 2000, 0);
	pipe my $in, my $feed or die "pipe: $!\n";
	my $pid = spawn($in, '/dev/null', "$bin/deliver", qw(-j 16 --allow-private -l error --post), $url);
	close $in;
	sleep 0.2;
	my $start = time;
	for ($i = 0; $i < $n; $i++) {
		my $left = $start + $i / $rate - time;
		sleep $left if $left > 0;
		$written[$i] = time;
		syswrite $feed, fired($i);
	}
	close $feed;
	ended($pid, 'deliver');
	my @ms;
	file_lines("$dir/requests", sub { push @ms, ($1 / 1e6 - $written[$2 + 0]) * 1e3 if /^(\d+) begin A72KnHfa(\d+):1/ });
	die 'posted ' . @ms . " of $n\n" if @ms != $n;
	return {p50 => median(@ms), p99 => quantile(0.99, @ms)};
}

sub bench_deliver {
	my ($want) = @_;
	my $n = $size{DELIVERIES};
	open my $f, '>', "$dir/fired" or die "$dir/fired: $!\n";
	print $f fired($_) for 0 .. $n - 1;
	close $f or die "$dir/fired: $!\n";
	if ($want->{deliver}) {
		my $t = turns($size{RUNS}, ours => sub {
			with_receiver(200, sub { pipeline(in => "$dir/fired", stages => [["$bin/deliver", qw(-j 16 --allow-private -l error --post), $_[0]]]) });
		});
		row(name => 'deliver', what => 'callbacks posted and taken, 16 in flight, receiver on the same machine', unit => 'callbacks/s',
			ours => [map { $n / $_->{wall} } @{$t->{ours}}], reach => [['ours', '>=', 10_000]]);
	}
	if ($want->{'deliver-p50'}) {
		my $t = turns($size{RUNS}, ours => sub { with_receiver(200, \&latency_run) });
		row(name => 'deliver-p50', what => 'from a fired event to its request, 1,000 per second, p50', unit => 'ms', ours => samples($t->{ours}, 'p50'),
			reach => [['ours', '<=', 1]], more => {p99 => median(map { $_->{p99} } @{$t->{ours}})});
	}
	if ($want->{'deliver-memory'}) {
		my $t = turns($size{RUNS} < 3 ? $size{RUNS} : 3, ours => sub { with_receiver(503, \&memory_run) });
		row(name => 'deliver-memory', what => 'memory with 100,000 held, after 10 s of failing attempts, to that before', unit => 'times',
			ours => samples($t->{ours}, 'growth'), reach => [['ours', '<=', 1.05]], more => {mb => median(map { $_->{mb} } @{$t->{ours}})});
	}
	unlink "$dir/fired";
}

1;
