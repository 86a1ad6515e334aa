#!/usr/bin/env bats
# Whole pipelines on the virtual clock against the model (test/model): the events to the
# byte, the relations row by row, whatever the arrival mode, the seed and the batches.
# shellcheck disable=SC2154,SC2164 # helper sets root; a cd that fails ends the test
load helper

setup() {
	cd "$BATS_TEST_TMPDIR"
	model=$root/test/model
	sample=$root/data/challenge-input.json
	challenge=$root/../shared/data/challenge-input.json
}

# A database of its own for every run of a pipeline, however many a test has.
fresh() {
	database_drop
	database
}

# pipeline BATCH READER-OPTION...: runs it all on a fresh database; what reader emitted is in `told`, the events in `events`.
pipeline() {
	local batch=$1
	shift
	fresh
	writer migrate 2>log
	(
		set -o pipefail
		reader --clock virtual "$@" 2>>log | tee told | writer --clock virtual --batch "$batch" 2>>log |
			timerd --clock virtual 2>>log | writer ack >events 2>>log
	)
}

# sharded N READER-OPTION...: the same by N pipelines at once, each on a shard; `told` is the whole stream, the events of
# shard I are in events.I.
sharded() {
	local n=$1 i pids=() failed=0
	shift
	fresh
	writer migrate 2>log
	reader --clock virtual "$@" >told 2>>log || return
	for ((i = 0; i < n; i++)); do
		(
			set -o pipefail
			reader --clock virtual --shard "$i/$n" "$@" | writer --clock virtual --batch $((7 + i)) | timerd --clock virtual |
				writer ack >"events.$i"
		) 2>>"log.$i" 3>&- &
		pids+=($!)
	done
	for i in "${!pids[@]}"; do
		wait "${pids[i]}" || {
			echo "shard $i of $n failed: $*"
			cat "log.$i"
			failed=1
		}
	done
	return "$failed"
}

relations() {
	psql -X -q -v ON_ERROR_STOP=1 -f "$root/test/relations.sql" | LC_ALL=C sort
}

# Whether events and relations are what the model says; shows where they begin to differ.
as_modelled() {
	"$model" --events told >events.model
	cmp -s events events.model || {
		echo "events differ: $*"
		diff events events.model | head -n 6
		cat log
		return 1
	}
	"$model" --relations told | sort >relations.model
	relations >relations.is
	cmp -s relations.is relations.model || {
		echo "relations differ: $*"
		diff relations.is relations.model | head -n 6
		cat log
		return 1
	}
}

# The same of N shards; leaves the relations but for the shards' own rows in `state`.
shards_as_modelled() {
	local n=$1 i
	for ((i = 0; i < n; i++)); do
		"$model" --events --shard "$i/$n" told | diff "events.$i" - | head -n 6 >differ
		[[ ! -s differ ]] || {
			echo "events of shard $i/$n differ"
			cat differ
			return 1
		}
	done
	"$model" --relations --shards "$n" told >relations.model
	relations >relations.is
	diff relations.is relations.model
	grep -v ^shard relations.is >state
}

# checked BATCH READER-OPTION...
checked() {
	pipeline "$@" || {
		echo "failed: $*"
		cat log
		return 1
	}
	as_modelled "$@"
}

# Of each type the accounts with the most tokens, as the contract has it.
richest() {
	sql "WITH a AS MATERIALIZED (SELECT account_type, tokens, version, id FROM acctflow.accounts)
		SELECT account_type, tokens, version, left(id, 8) FROM a
		WHERE tokens = (SELECT max(tokens) FROM a b WHERE b.account_type = a.account_type) ORDER BY 1, id"
}

@test "the contract's example, to the byte" {
	pipeline 100 --arrival recorded --source example "$root/data/scenario-2.json"
	sed '/"begin"/d; s/,"fingerprint":"[^"]*"//' events >is
	cat >wanted <<'END'
{"event":"indexed","source":"example","offset":0,"id":"ID1","version":1,"accountType":"account","tokens":10,"callbackTimeMs":400,"data":{"note":"cancelled by v3"},"ingestedAt":"2000-01-01T00:00:00.550000Z","dueAt":"2000-01-01T00:00:00.950000Z"}
{"event":"indexed","source":"example","offset":1,"id":"ID1","version":3,"accountType":"account","tokens":30,"callbackTimeMs":400,"data":{"note":"fires at 1050"},"ingestedAt":"2000-01-01T00:00:00.650000Z","dueAt":"2000-01-01T00:00:01.050000Z"}
{"event":"cancelled","source":"example","offset":0,"id":"ID1","version":1,"supersededBy":3,"dueAt":"2000-01-01T00:00:00.950000Z","cancelledAt":"2000-01-01T00:00:00.650000Z"}
{"event":"ignored","source":"example","offset":2,"id":"ID1","version":2,"ingestedAt":"2000-01-01T00:00:00.700000Z","currentVersion":3,"reason":"stale"}
{"event":"end","source":"example","shard":"0/1","read":3,"lastOffset":2,"complete":true}
{"event":"fired","source":"example","offset":1,"id":"ID1","version":3,"accountType":"account","tokens":30,"data":{"note":"fires at 1050"},"dueAt":"2000-01-01T00:00:01.050000Z","firedAt":"2000-01-01T00:00:01.050000Z","latenessUs":0}
{"event":"summary","source":"example","shard":"0/1","indexed":2,"stale":1,"duplicate":0,"conflict":0,"skipped":0,"rejected":0,"restored":0,"fired":1,"cancelled":1,"pending":0}
END
	diff is wanted
	as_modelled
	same "$(richest)" 'account|30|3|ID1'
}

@test "one update alone" {
	checked 1 --arrival recorded "$root/data/scenario-1.json"
	same "$(sed -n 's/.*"event":"fired".*"firedAt":"\([^"]*\)".*/\1/p' events)" 2000-01-01T00:00:00.950000Z
}

@test "the sample, in all arrival modes and batches" {
	batch=(10000 1 7 10000) turn=0
	for mode in gap offset recorded none; do
		checked "${batch[turn++]}" --arrival "$mode" --seed 5 "$sample"
	done
}

@test "generated inputs with values at the edges, in all arrival modes and batches" {
	for seed in 1 2; do
		generate --seed "$seed" --updates 400 --accounts 9 --types 9 --edges --lines --arrive-ms 0:40 --callback-ms 0:60 \
			--stale 15 --duplicate 6 --conflict 5 --deleted 15 --silent 15 >in
		batch=(10000 1 7) turn=$seed
		for mode in gap offset recorded none; do
			checked "${batch[turn++ % 3]}" --arrival "$mode" --delay-ms 0:40 --seed "$seed" in
		done
	done
}

@test "more seeds" {
	for seed in $(seq 11 3 40); do
		generate --seed "$seed" --updates $((seed * 17)) --accounts $((1 + seed % 5)) --edges --arrive-ms 0:3 --callback-ms 0:9 \
			--stale 20 --duplicate 10 --conflict 10 --unversioned $((seed % 20)) --deleted $((seed % 30)) --silent $((seed % 7 * 10)) >in
		checked $((1 + seed % 50)) --arrival recorded --seed "$seed" in
	done
}

@test "timerd alone, fed with what the model says writer emits" {
	for seed in $(seq 50 4 120); do
		generate --seed "$seed" --updates 500 --accounts $((1 + seed % 7)) --edges --lines --arrive-ms 0:$((seed % 4)) \
			--callback-ms 0:$((seed % 9)) --deleted $((seed % 20)) --silent $((seed % 15)) >in
		reader --clock virtual --arrival recorded in >told
		"$model" --events told >wanted
		sed '/^{"event":"\(fired\|cancelled\|summary\)"/d' wanted | timerd --clock virtual >events
		cmp wanted events
	done
}

@test "the state is the same with 1, 2 and 3 shards, and each shard's events are the model's" {
	modes=(gap offset recorded none)
	for seed in 0 1 2 3; do
		mode=${modes[seed]}
		generate --seed "$seed" --updates 500 --accounts 20 --edges --arrive-ms 0:5 --callback-ms 0:60 --stale 15 --duplicate 6 \
			--conflict 5 --deleted 10 --silent 10 >in
		for n in 1 2 3; do
			sharded "$n" --arrival "$mode" --delay-ms 0:9 --seed "$seed" --source s in
			shards_as_modelled "$n"
			[[ $n != 1 ]] || mv state state.1
			[[ $n == 1 ]] || diff state state.1
		done
	done
}

@test "deletes: no account is left, the history knows it, nothing fires" {
	cat >in <<'END'
{"id":"a","accountType":"t","tokens":5,"callbackTimeMs":9000,"version":1,"arriveMs":10}
{"id":"b","accountType":"t","tokens":4,"callbackTimeMs":null,"version":1,"arriveMs":10}
{"id":"a","version":3,"deleted":true,"arriveMs":20}
{"id":"a","accountType":"t","tokens":9,"callbackTimeMs":1,"version":2,"arriveMs":30}
END
	checked 10 --arrival recorded --source s in
	same "$(sql 'SELECT id, tokens, callback_time_ms FROM acctflow.accounts')" 'b|4|'
	same "$(sql "SELECT version, account_type, tokens, callback_time_ms, applied, deleted FROM acctflow.account_updates WHERE id = 'a' ORDER BY 1")" "1|t|5|9000|t|f
2|t|9|1|f|f
3||||t|t"
	same "$(sql 'SELECT id, version, state FROM acctflow.callbacks')" 'a|1|cancelled'
	run writer richest --format json
	[[ $output == *'"id":"b"'* && $output != *'"id":"a"'* ]]
	# It comes back with a newer version.
	echo '{"id":"a","accountType":"u","tokens":7,"callbackTimeMs":1,"version":4,"arriveMs":40}' >>in
	checked 10 --arrival recorded --source s in
	same "$(sql "SELECT version FROM acctflow.accounts WHERE id = 'a'")" 4
}

@test "twenty thousand updates of one account, and of twenty thousand" {
	for accounts in 1 20000; do
		generate --updates 20000 --accounts "$accounts" --lines --duplicate 10 --deleted 3 --silent 5 >in
		checked 10000 --arrival gap --delay-ms 0:100 --seed 1 in
	done
}

@test "the same seed gives the same bytes, another seed others" {
	pipeline 7 --arrival gap --seed 1 "$sample"
	mv events first
	pipeline 10000 --arrival gap --seed 1 "$sample"
	cmp first events
	pipeline 10000 --arrival gap --seed 2 "$sample"
	run cmp -s first events
	same "$status" 1
	as_modelled
}

@test "another epoch" {
	fresh
	writer migrate 2>log
	(
		set -o pipefail
		reader --clock virtual --epoch 2026-02-28T23:59:58.5Z --seed 1 "$sample" | tee told |
			writer --clock virtual --epoch 2026-02-28T23:59:58.5Z |
			timerd --clock virtual --epoch 2026-02-28T23:59:58.5Z | writer ack >events
	) 2>>log
	"$model" --events --epoch 2026-02-28T23:59:58.5Z told | diff events -
	"$model" --relations --epoch 2026-02-28T23:59:58.5Z told | sort | diff <(relations) -
}

@test "programs that migrate at the same time" {
	for _ in 1 2 3 4 5; do
		fresh
		(
			set -o pipefail
			reader --clock virtual --seed 1 "$sample" | tee told | writer --clock virtual | timerd --clock virtual |
				writer ack >events
		) 2>log || {
			cat log
			false
		}
		as_modelled
	done
}

@test "settings of the database that change how values look" {
	fresh
	sql "ALTER DATABASE $PGDATABASE SET datestyle = 'German, DMY'"
	sql "ALTER DATABASE $PGDATABASE SET timezone = 'Asia/Kathmandu'"
	sql "ALTER DATABASE $PGDATABASE SET intervalstyle = 'sql_standard'"
	sql "ALTER DATABASE $PGDATABASE SET standard_conforming_strings = off"
	sql "ALTER DATABASE $PGDATABASE SET backslash_quote = off"
	sql "ALTER DATABASE $PGDATABASE SET search_path = ''"
	sql "ALTER DATABASE $PGDATABASE SET client_encoding = 'LATIN1'"
	generate --updates 300 --edges --arrive-ms 0:9 --callback-ms 0:20 >in
	writer migrate 2>log
	(
		set -o pipefail
		reader --clock virtual --arrival recorded in | tee told | writer --clock virtual --batch 9 | timerd --clock virtual |
			writer ack >events
	) 2>>log || {
		cat log
		false
	}
	PGCLIENTENCODING=UTF8 as_modelled
}

@test "without ack superseded callbacks are cancelled, the others pending" {
	fresh
	writer migrate 2>log
	reader --clock virtual --seed 3 "$sample" | tee told | writer --clock virtual 2>>log | timerd --clock virtual >events
	"$model" --events told | diff events -
	"$model" --relations --unsettled told | sort | diff <(relations) -
}

@test "updates without source and offset" {
	fresh
	writer migrate 2>log
	generate --updates 300 --lines --edges --unversioned 0 --arrive-ms 0:9 --callback-ms 0:20 |
		reader --clock virtual --arrival recorded - |
		sed -n 's/^{"source":"[^"]*","offset":[0-9]*,/{/p' >told
	(
		set -o pipefail
		writer --clock virtual --batch 7 <told | timerd --clock virtual | writer ack >events
	) 2>>log
	as_modelled
}

@test "bad lines among good ones" {
	generate --updates 200 --lines --arrive-ms 0:9 --callback-ms 0:20 |
		awk 'NR % 3 == 0 { print "{\"id\":" NR "}" } NR % 5 == 0 { print "nonsense \\ \"" NR } NR % 7 == 0 { printf "\xff\001%d\n\n", NR } { print }' >in
	for batch in 1 7 10000; do
		checked "$batch" --arrival recorded in
	done
	[[ $(grep -c '"event":"rejected"' events) -gt 120 ]]
}

@test "an array that breaks off: all before it is processed to the end" {
	head -c 9000 "$sample" >in
	pipeline 7 --arrival none in || same "$?" 100
	as_modelled
	grep -q '"event":"fired"' events
	grep -q 'line [0-9]' log
}

@test "the same input again by hand gives duplicates and changes nothing" {
	pipeline 10000 --arrival none "$sample"
	as_modelled
	relations | grep -E '^(account|update|callback)' >before
	reader --clock virtual --arrival none "$sample" 2>log | writer --clock virtual 2>>log | timerd --clock virtual >again
	# What was indexed or stale is a duplicate now; duplicates, conflicts and rejects are what they were.
	for reason in duplicate conflict; do
		grep -c "\"reason\":\"$reason\"" again
	done >is
	printf '%s\n' 117 2 >wanted
	diff is wanted
	run grep -c -e '"event":"indexed"' -e '"reason":"stale"' -e '"event":"fired"' again
	same "$output" 0
	relations | grep -E '^(account|update|callback)' | diff before -
}

@test "the challenge's input" {
	[[ -e $challenge ]] || skip "it is not at ../shared/data"
	for mode in gap offset recorded none; do
		checked 10000 --arrival "$mode" --seed 9 "$challenge"
		[[ $(richest) == "account|517|39|gkDF8QaR
auction|271|11|kbtvQBEr
auctionData|960|11|cYcekbx6
escrow|880|12|A72KnHfa
masterEdition|772|12|U5kG5d2y
metadata|696|12|ZBTDeX9W
mint|330|39|6BhkGCMV" ]] || {
			richest
			false
		}
		same "$(sql 'SELECT read, rejected, indexed + stale FROM acctflow.sources')" '124|5|119'
	done
	# In file order.
	same "$(sql 'SELECT read, indexed, stale, duplicate, conflict, rejected FROM acctflow.sources')" '124|96|23|0|0|5'
	same "$(sql 'SELECT count(*) FROM acctflow.account_updates')" 119
}

@test "counts reconcile" {
	generate --updates 3000 --accounts 40 --edges --duplicate 9 --conflict 9 --stale 9 --unversioned 9 --deleted 9 --silent 9 >in
	pipeline 1000 --seed 4 in
	same "$(sql 'SELECT read = 3000 AND read = indexed + stale + duplicate + conflict + skipped + rejected FROM acctflow.sources')" t
	same "$(sql "SELECT s.indexed - s.without_callback = count(*) FILTER (WHERE state = 'fired') + count(*) FILTER (WHERE state = 'cancelled')
		FROM acctflow.sources s, acctflow.callbacks GROUP BY s.indexed, s.without_callback")" t
	same "$(sql "SELECT s.without_callback > 200 AND s.without_callback = count(*) FROM acctflow.sources s, acctflow.account_updates u
		WHERE u.applied AND u.callback_time_ms IS NULL GROUP BY s.without_callback")" t
	same "$(sql "SELECT s.conflict + s.rejected = count(*) FROM acctflow.sources s, acctflow.rejected_updates GROUP BY s.conflict, s.rejected")" t
}

@test "twenty random streams with hostile records in them (make sweep: as many as you like)" {
	database
	ok "$root/test/sweep" --seeds 20 --db "host=$PGHOST port=$PGPORT user=$PGUSER dbname=$PGDATABASE"
	has '20 seeds, 0 differences'
}
