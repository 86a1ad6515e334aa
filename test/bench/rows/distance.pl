# Postgres far away: its round trip made longer by build/delay, with TLS and without.
use strict;
use warnings;
use Bench;
use Rows;

my @round_trips = (0, 500, 2500, 12_000); # in microseconds

# A self-signed certificate, which nobody checks, where Postgres looks for it: it costs what any other does.
sub certificate_make {
	my ($key, $certificate) = map { pg_folder() . "/server.$_" } qw(key crt);
	system(tool('openssl') . " req -new -x509 -days 1 -nodes -subj /CN=bench -keyout $key -out $certificate 2>/dev/null") == 0
	    or die "openssl could not make a certificate\n";
	chmod 0600, $key;
	chown((getpwnam('postgres'))[2, 3], $key, $certificate) if $> == 0;
}

# One that is so far away: its port.
sub delayed {
	my ($us, $target) = @_;
	pipe my $from, my $to or die "pipe: $!\n";
	spawn('/dev/null', $to, ($ENV{BUILD} // "$root/build") . '/delay', $us, 0, $target);
	close $to;
	chomp(my $port = <$from> // die "delay does not start\n");
	return $port;
}

sub bench_distance {
	my ($want) = @_;
	if (!tool('openssl')) { $left_out{$_} = 'openssl is missing' for keys %$want; return }
	my $n = $size{DISTANCE_UPDATES};
	my $json = updates_file($n, $size{ACCOUNTS});
	my $server = port_free();
	certificate_make();
	pg_restart($server, listen_addresses => '127.0.0.1', ssl => 'on');
	my %port = map { $_ => delayed($_, $server) } @round_trips;
	my @turns;
	for my $tls ('', '-tls') {
		for my $us (@round_trips) {
			my $conninfo = "host=127.0.0.1 port=$port{$us} user=acctflow dbname=a sslmode=" . ($tls ? 'require' : 'disable');
			push @turns, "load$tls-$us" => sub { return {rate => $n / load_run($json, $n, 'a', 1, $conninfo)->{wall}} }
			    if grep { /^distance$tls(-12)?$/ } keys %$want;
			push @turns, "alone$tls-$us" => sub { return alone_run(int(($size{LATENCY_UPDATES} + 3) / 4), $conninfo) } if $want->{"distance-alone$tls"};
		}
	}
	push @turns, socket => sub { return {rate => $n / load_run($json, $n, 'a', 1)->{wall}} } if grep { /^distance(-tls)?(-12)?$/ } keys %$want;
	my $t = turns($size{RUNS}, @turns);
	db_drop('a');
	pg_restart(5432);
	my $each = sub { my ($of, $value) = @_; return {map { ("${_}us" => median(@{samples($t->{"$of-$_"}, $value)})) } @round_trips} };
	for my $tls ('', '-tls') {
		my $with = $tls ? ', TLS' : '';
		for my $far (['', 2500, [['ratio', '>=', 0.8]]], ['-12', 12_000]) {
			my ($name, $us, $reach) = @$far;
			row(name => "distance$tls$name", what => 'updates a second, ' . $us / 1000 . " ms away$with", contender => 'no distance', unit => '/s',
				ours => samples($t->{"load$tls-$us"}, 'rate'), theirs => samples($t->{"load$tls-0"}, 'rate'), $reach ? (reach => $reach) : (),
				more => {%{$each->("load$tls", 'rate')}, unixSocket => median(@{samples($t->{socket}, 'rate')})}) if $want->{"distance$tls$name"};
		}
		row(name => "distance-alone$tls", what => "one update alone, 2.5 ms away, p50$with", contender => 'no distance', unit => 'ms',
			ours => samples($t->{"alone$tls-2500"}, 'p50'), theirs => samples($t->{"alone$tls-0"}, 'p50'),
			more => $each->("alone$tls", 'p50')) if $want->{"distance-alone$tls"};
	}
}

1;
