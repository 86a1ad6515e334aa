# The state as of past moments: how long the first question takes, then the later ones, in the server.
use strict;
use warnings;
use Bench;
use Rows;

# Milliseconds of a query in the server, each at another of so many random moments of the run.
sub past_times {
	my ($moments, $query) = @_;
	my @ms = split ' ', sql('a', <<"END");
		CREATE OR REPLACE FUNCTION public.timed(query text, t timestamptz) RETURNS float LANGUAGE plpgsql AS \$\$
		DECLARE since CONSTANT timestamptz := clock_timestamp();
		BEGIN
			EXECUTE query USING t;
			RETURN extract(epoch FROM clock_timestamp() - since) * 1000;
		END \$\$;
		SELECT string_agg(public.timed(\$q\$$query\$q\$, t)::text, ' ')
		FROM (SELECT least + random() * (most - least) AS t
			  FROM (SELECT min(ingested_at) AS least, max(ingested_at) AS most FROM acctflow.account_updates) m, generate_series(1, $moments)) t
END
	return @ms;
}

sub bench_past {
	my ($want) = @_;
	my ($n, $accounts) = @size{qw(PAST_UPDATES PAST_ACCOUNTS)};
	my $file = generated("past-$n-$accounts.ndjson", '--updates', $n, '--accounts', $accounts, qw(--types 4 --deleted 2 --lines --arrive-ms 0:10));
	db_fresh('a');
	pipeline(stages => [["$bin/reader", qw(--clock virtual --arrival recorded --log-level error --source bench), $file],
		["$bin/writer", qw(--clock virtual --log-level error --db), db_conninfo('a')]]);
	psql('a', '-c', 'VACUUM ANALYZE acctflow.history, acctflow.latest');
	my $t = turns($size{RUNS}, ours => sub {
		sql('a', 'TRUNCATE acctflow.tops, acctflow.top_slices, acctflow.top_watermarks');
		my ($first) = past_times(1, 'SELECT count(*) FROM acctflow.richest_at($1)');
		my @richest = past_times(400, 'SELECT count(*) FROM acctflow.richest_at($1)');
		my $id = "(SELECT id FROM acctflow.accounts OFFSET floor(random() * 1000) LIMIT 1)";
		return {
			follow => $first / 1000 * 1e6 / $n,
			p50 => median(@richest),
			p99 => quantile(0.99, @richest),
			account => median(past_times(100, "SELECT count(*) FROM acctflow.accounts_at(\$1, $id)")),
			history => median(past_times(100, "SELECT count(*) FROM acctflow.account_history($id)")),
		};
	});
	db_drop('a');
	my $of = number($n) . ' updates of ' . number($accounts) . ' accounts';
	row(name => 'past-follow', what => "the first richest_at, per million of $of", unit => 's', ours => samples($t->{ours}, 'follow'),
		reach => [['ours', '<=', 20]]) if $want->{'past-follow'};
	row(name => 'past-p50', what => "richest_at, $of", unit => 'ms', ours => samples($t->{ours}, 'p50'), reach => [['ours', '<=', 10]])
		if $want->{'past-p50'};
	row(name => 'past-p99', what => 'the same', unit => 'ms', ours => samples($t->{ours}, 'p99'), reach => [['ours', '<=', 50]])
		if $want->{'past-p99'};
	row(name => 'past-account', what => 'accounts_at of one account', unit => 'ms', ours => samples($t->{ours}, 'account'),
		reach => [['ours', '<=', 10]]) if $want->{'past-account'};
	row(name => 'past-history', what => 'account_history', unit => 'ms', ours => samples($t->{ours}, 'history'),
		reach => [['ours', '<=', 10]]) if $want->{'past-history'};
}

1;
