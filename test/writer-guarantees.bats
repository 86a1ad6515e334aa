#!/usr/bin/env bats
# Guarantees of bin/writer beyond one stream: shards beside each other, deletes and versions without a callback, a
# database that goes back, a clock that ran ahead, statements that take too long.
# shellcheck disable=SC2030,SC2031,SC2154,SC2164 # helper and bats set them; a cd that fails ends the test
load helper
load writer

setup() {
	cd "$BATS_TEST_TMPDIR"
	database
}

teardown() {
	writer_end
	database_drop
}

# claim SHARD: claims that one of source s; what was printed is in the file claimed, its token in $token.
claim() {
	writer claim --source s --shard "$1" --log-level warn >claimed 2>claim.err
	token=$(sed -n 's/^token=//p' claimed)
}

# begin_of SHARD, end_of SHARD LAST [MORE]
begin_of() {
	echo "{\"event\":\"begin\",\"source\":\"s\",\"shard\":\"$1\",\"seed\":1,\"arrival\":\"none\"}"
}
end_of() {
	echo "{\"event\":\"end\",\"source\":\"s\",\"shard\":\"$1\",\"read\":1,\"lastOffset\":$2,\"complete\":${3:-true}}"
}

@test "two shards of a source: each has its row, its token and its pending callbacks" {
	claim 0/2
	same "$(sed -n 's/^shards=//p' claimed)" 2
	first=$token
	claim 1/2
	{
		begin_of 1/2
		placed s 1 b 1
		placed s 3 d 1
		end_of 1/2 4
	} | writer --resume --token "$token" --source s --shard 1/2 >out.1
	before=$(sql "SELECT p FROM acctflow.pipelines p WHERE shard = 1")
	{
		begin_of 0/2
		placed s 0 a 1
		placed s 2 c 1
		placed s 4 c 0
		end_of 0/2 4 false
	} | writer --resume --token "$first" --source s --shard 0/2 >out.0
	same "$(sql "SELECT p FROM acctflow.pipelines p WHERE shard = 1")" "$before"
	same "$(sql 'SELECT shard, shards, committed_offset, delivered_offset, read, indexed, stale, complete FROM acctflow.source_shards ORDER BY 1')" \
		$'0|2|4||3|2|1|f\n1|2|4||2|2|0|t'
	same "$(sql 'SELECT committed_offset, read, indexed, complete, shards FROM acctflow.sources')" '4|5|4|f|2'
	writer ack --resume --token "$token" --source s --shard 1/2 <out.1 >/dev/null
	same "$(sql 'SELECT shard, delivered_offset FROM acctflow.source_shards ORDER BY 1')" $'0|\n1|4'
	# Delivered is what all have delivered, also where one was complete once and more came.
	same "$(sql 'SELECT delivered_offset FROM acctflow.sources')" ''
	sql 'UPDATE acctflow.deliveries d SET delivered_offset = 9 FROM acctflow.pipelines p WHERE p.pipeline = d.pipeline AND shard = 0'
	same "$(sql 'SELECT delivered_offset FROM acctflow.sources')" 4
	sql 'UPDATE acctflow.deliveries d SET delivered_offset = NULL FROM acctflow.pipelines p WHERE p.pipeline = d.pipeline AND shard = 0'
	# Nobody works for either.
	same "$(writer pending --pipelines)" $'source=s\nshard=0/2\npending=2\n\nsource=s\nshard=1/2\npending=2'
	claim 1/2
	same "$(writer pending --source s --shard 1/2 --token "$token" | members id)" $'b \nd '
	fails 100 writer pending --source s --shard 1/2 --token "$((token - 1))"
	err_has 'another pipeline has taken it over'
	# A claim restores its own.
	end_of 1/2 4 | writer --resume --token "$token" --source s --shard 1/2 >out
	same "$(members event id <out | grep pending)" $'pending b \npending d '
	# The other one's token is not touched by it.
	placed s 5 e 1 >in
	fails 111 writer --resume --token "$first" --source s --shard 0/2 <in
	has '"indexed"'
}

@test "another number of shards is refused, with the number that the source has" {
	claim 0/2
	for how in 'claim --source s --shard 0/1' 'claim --source s --shard 2/3' '--resume --source s --shard 0/4'; do
		# shellcheck disable=SC2086 # several words
		fails 100 writer $how <<<"$(placed s 0 a 1)"
		err_has 'source "s" has 2 shards, not '
		err_has 'acctflow run --again'
	done
	same "$(sql 'SELECT count(*) FROM acctflow.pipelines')" 1
	{
		begin_of 1/3
		placed s 0 a 1
	} >in
	fails 100 writer <in
	err_has 'has 2 shards, not 3'
}

@test "deletes and versions without a callback, to the byte" {
	cat >in <<-'END'
		{"source":"s","offset":0,"id":"a","accountType":"t","tokens":7,"callbackTimeMs":400,"version":1,"data":1,"arriveMs":1}
		{"source":"s","offset":1,"id":"a","version":3,"deleted":true,"arriveMs":2}
		{"source":"s","offset":2,"id":"a","accountType":"t","tokens":7,"callbackTimeMs":400,"version":2,"data":1,"arriveMs":3}
		{"source":"s","offset":3,"id":"a","version":3,"deleted":true,"callbackTimeMs":9,"arriveMs":4}
		{"source":"s","offset":4,"id":"a","version":3,"deleted":true,"tokens":0,"arriveMs":5}
		{"source":"s","offset":5,"id":"b","accountType":"t","tokens":9,"callbackTimeMs":null,"version":1,"arriveMs":6}
		{"event":"end","source":"s","read":6,"lastOffset":5,"complete":true}
	END
	cat >want <<-'END'
		{"event":"indexed","source":"s","offset":0,"id":"a","version":1,"accountType":"t","tokens":7,"callbackTimeMs":400,"data":1,"ingestedAt":"2000-01-01T00:00:00.001000Z","dueAt":"2000-01-01T00:00:00.401000Z"}
		{"event":"indexed","source":"s","offset":1,"id":"a","version":3,"accountType":null,"tokens":null,"callbackTimeMs":null,"data":null,"ingestedAt":"2000-01-01T00:00:00.002000Z","dueAt":null,"deleted":true}
		{"event":"ignored","source":"s","offset":2,"id":"a","version":2,"ingestedAt":"2000-01-01T00:00:00.003000Z","currentVersion":3,"reason":"stale"}
		{"event":"ignored","source":"s","offset":3,"id":"a","version":3,"ingestedAt":"2000-01-01T00:00:00.004000Z","currentVersion":3,"reason":"duplicate"}
		{"event":"ignored","source":"s","offset":4,"id":"a","version":3,"ingestedAt":"2000-01-01T00:00:00.005000Z","currentVersion":3,"reason":"conflict"}
		{"event":"indexed","source":"s","offset":5,"id":"b","version":1,"accountType":"t","tokens":9,"callbackTimeMs":null,"data":null,"ingestedAt":"2000-01-01T00:00:00.006000Z","dueAt":null}
		{"event":"end","source":"s","read":6,"lastOffset":5,"complete":true}
	END
	for batch in 1 3 100; do
		database_drop
		database
		writer --clock virtual --resume --batch $batch <in | grep -v caughtup >out
		diff want out
	done
	same "$(sql 'SELECT id, version, callback_time_ms FROM acctflow.accounts')" 'b|1|'
	same "$(sql 'SELECT id, version, deleted, applied, tokens, account_type, callback_time_ms FROM acctflow.account_updates ORDER BY 1, 2')" \
		$'a|1|f|t|7|t|400\na|2|f|f|7|t|400\na|3|t|t|||\nb|1|f|t|9|t|'
	same "$(sql 'SELECT id, version, state FROM acctflow.callbacks')" 'a|1|cancelled'
	same "$(sql 'SELECT indexed, without_callback FROM acctflow.sources')" '3|2'
	same "$(writer pending)" ''
	claim 0/1
	writer --clock virtual --resume --token "$token" <in >again
	diff <(grep -v '"end"' want) <(grep -v -e caughtup -e '"end"' again | sed 's/,"replayed":true}$/}/')
	echo '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2,"version":4}' | writer >/dev/null
	same "$(sql 'SELECT id, version FROM acctflow.accounts ORDER BY 1')" $'a|4\nb|1'
}

@test "the check is of the last update, and the hash is one number for reader and writer" {
	printf '%s\n' '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2,"version":1}' '{"id":"b"}' >data
	reader --arrival none --source s data | writer >/dev/null
	claim 0/1
	check=$(sed -n 's/^check=//p' claimed)
	[[ $check =~ ^0:[0-9]+$ ]]
	# FNV-1a, by itself.
	same "$check" "0:$(perl -Mbigint -e '
		my $b = "a" . pack("Q<4", 1, 2, 1, 2) . "t" . "null"; my $h = 0xcbf29ce484222325;
		for (unpack "C*", $b) { $h = (($h ^ $_) * 0x100000001b3) & 0xffffffffffffffff } print $h')"
	for id in {a..p}; do
		placed "s$id" 0 $id 1 | writer >/dev/null
		[[ $(writer claim --source "s$id" | grep '^check=') =~ ^check=0:[0-9]+$ ]]
	done
}

@test "end: complete, broken and fingerprint are kept, and where the stream ended" {
	echo '{"event":"end","source":"s","read":0,"lastOffset":9,"complete":false,"broken":true,"fingerprint":"1:ab"}' >end
	writer <end | writer ack >/dev/null
	claim 0/1
	same "$(grep -e committed -e delivered -e complete -e broken -e fingerprint claimed)" \
		$'committed=9\ndelivered=9\ncomplete=false\nbroken=true\nfingerprint=1:ab'
	begin_of 0/1 | writer --resume --token "$token" || true
	claim 0/1
	same "$(grep -e complete -e broken -e committed claimed)" $'committed=9\ncomplete=false\nbroken=false'
}

@test "a database that goes back behind what was committed: one loud sentence, 111" {
	for how in "UPDATE acctflow.pipelines SET committed_offset = 1" "UPDATE acctflow.pipelines SET token = 0" \
		"DELETE FROM acctflow.deliveries; DELETE FROM acctflow.pipelines"; do
		for next in "$(placed s 3 d 1)" "$(end_of 0/1 2)"; do
			database_drop
			database
			claim 0/1
			feed run --resume --token "$token"
			for i in 0 1 2; do placed s $i "a$i" 1; done >&5
			retry 300 grep -q a2 out
			same "$(sql 'SELECT committed_offset FROM acctflow.pipelines')" 2
			sql "$how"
			echo "$next" >&5
			retry 300 gone "$pid"
			exec 5>&-
			ended 111
			same "$(grep -c 'the database lost commits: its last one is .*, but offset 2 had been committed' err)" 1
			same "$(sql 'SELECT count(*) FROM acctflow.history')" 3
		done
	done
}

@test "ack notices a database that lost what it recorded, and nothing else" {
	placed s 0 a 1 | writer >events
	feed ack
	cat events >&5
	echo '{"event":"fired","source":"s","offset":0,"id":"a","version":1,"firedAt":"2000-01-01T00:00:00Z"}' >&5
	recorded() { [[ $(sql 'SELECT count(*) FROM acctflow.outcomes') == "$1" ]]; }
	retry 300 recorded 1
	# As it was a moment before: the row of the version is there, the offset too.
	sql "DELETE FROM acctflow.outcomes; UPDATE acctflow.deliveries SET updated_at = updated_at - interval '1 microsecond'"
	echo '{"event":"fired","source":"s","offset":0,"id":"a","version":1,"firedAt":"2000-01-01T00:00:00Z"}' >&5
	retry 300 gone "$pid"
	exec 5>&-
	ended 111
	grep -q 'the database lost what was recorded of emitted events' err
	recorded 0
}

@test "ack records neither offset nor outcome past what is committed, and a claim starts behind the lesser" {
	for i in 0 1 2; do placed s $i "a$i" 1; done | writer >events
	fired='{"event":"fired","source":"s","offset":2,"id":"a2","version":1,"firedAt":"2000-01-01T00:00:00Z"}'
	sql 'UPDATE acctflow.pipelines SET committed_offset = 1'
	{ cat events && echo "$fired"; } >in
	fails 111 writer ack <in
	err_has 'the database lost commits: its last one is of offset 1, but offset 2 had been committed'
	same "$output" "$(<in)"
	same "$(sql 'SELECT delivered_offset FROM acctflow.deliveries')$(sql 'SELECT count(*) FROM acctflow.outcomes')" 0
	# Nor an outcome alone, once more was acknowledged before.
	sql 'UPDATE acctflow.pipelines SET committed_offset = 2'
	feed ack
	cat events >&5
	acknowledged() { [[ $(sql 'SELECT delivered_offset FROM acctflow.deliveries') == 2 ]]; }
	# The last `indexed` counts once something follows it.
	echo '{"event":"news"}' >&5
	retry 300 acknowledged
	sql 'UPDATE acctflow.pipelines SET committed_offset = 1'
	echo "$fired" >&5
	retry 300 gone "$pid"
	exec 5>&-
	ended 111
	same "$(sql 'SELECT count(*) FROM acctflow.outcomes')" 0
	claim 0/1
	same "$(grep -c 'the database lost commits' claim.err)" 1
	placed s 2 a2 1 >again
	fails 111 writer --resume --token "$token" <again
	same "$(grep -c '"replayed"' <<<"$output" || true)" 0
}

@test "a statement that takes too long is halved, a trigger's veto is a reject" {
	writer migrate
	sql "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN
		IF (SELECT count(*) FROM new) > 100 THEN PERFORM pg_sleep(60); END IF; RETURN NULL; END\$\$;
		CREATE TRIGGER slow AFTER INSERT ON acctflow.history REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION slow();
		CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN
		IF NEW.id = 'a13' THEN RAISE EXCEPTION 'no luck'; END IF;
		IF NEW.id = 'a14' THEN RAISE EXCEPTION 'too deep' USING ERRCODE = '54001'; END IF; RETURN NEW; END\$\$;
		CREATE TRIGGER veto BEFORE INSERT ON acctflow.history FOR EACH ROW EXECUTE FUNCTION veto()"
	for ((i = 0; i < 300; i++)); do placed s $i "a$i" 1; done >in
	PGOPTIONS='-c statement_timeout=3000' ok writer <in
	same "$(members event reason <<<"$output" | sort | uniq -c | sed 's/^ *//')" $'298 indexed - \n1 rejected no luck \n1 rejected too deep '
	same "$(sql 'SELECT kind, reason FROM acctflow.rejected_updates ORDER BY source_offset')" $'refused|no luck\nrefused|too deep'
	same "$(counts)" '300|298|0|0|0|0|2'
}

@test "a clock that ran ahead: one warning, and callbacks are due by the true time" {
	placed s 0 a 1 | writer >/dev/null
	sql "UPDATE acctflow.pipelines SET ingested_at = '2100-01-01'"
	claim 0/1
	{ for i in {1..3}; do placed s $i "b$i" 1; done; } >in
	fails 111 writer --resume --token "$token" --batch 1 <in
	same "$(grep -c "s behind the last run's" <<<"$stderr")" 1
	same "$(members ingestedAt <<<"$(grep indexed <<<"$output")" | sort -u)" '2100-01-01T00:00:00.000000Z '
	same "$(sql "SELECT count(*) FROM acctflow.history WHERE due_at < now() + interval '1 day'")" 3
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE due_at < now() + interval '1 day'")" 4
	same "$(writer pending | members dueAt | grep -c 2100 || true)" 0
}
