#!/usr/bin/env bats
# The verb replay: what was recorded, emitted again, is what timerd makes of it on the virtual clock; and as updates it makes
# the same state in another database.
# shellcheck disable=SC2154,SC2164 # helper sets root; a cd that fails ends the test
load helper
load writer

setup() {
	cd "$BATS_TEST_TMPDIR"
	database
	writer migrate 2>/dev/null
}

# pipeline SOURCE READER-OPTION...: one on the virtual clock; its events are in events.SOURCE.
pipeline() {
	local source=$1
	shift
	(
		set -o pipefail
		reader --clock virtual --source "$source" "$@" 2>>log | writer --clock virtual 2>>log | timerd --clock virtual |
			writer ack 2>>log >>"events.$source"
	)
}

# many: with deletes, versions without a callback, late ones, every kind of content.
many() {
	generate --updates 3000 --accounts 150 --seed "$1" --edges --deleted 8 --silent 12 --callback-ms 0:40000
}

# outcomes: what became of the callbacks, of the events on standard input.
outcomes() {
	grep -E '^\{"event":"(fired|cancelled)"' | LC_ALL=C sort
}

@test "replay of one pipeline is, byte by byte, what writer emitted, and timerd makes the same of it" {
	many 1 >in
	pipeline s --arrival offset --delay-ms 0:90000 --seed 3 in
	ok writer replay
	echo "$output" >replayed
	grep '^{"event":"indexed"' events.s | cmp - replayed
	timerd --clock virtual <replayed >played
	(($(grep -c '^{"event":"fired"' played) > 100 && $(grep -c '^{"event":"cancelled"' played) > 100))
	same "$(outcomes <played)" "$(outcomes <events.s)"
	# In the same order, too.
	grep -vE '^\{"event":"(begin|end|ignored|rejected|summary)"' events.s | cmp - <(grep -v '^{"event":"summary"' played)
}

@test "replay of several shards and sources: the same fired and cancelled as was recorded" {
	many 2 >in
	generate --updates 1000 --accounts 150 --lines --seed 5 --deleted 8 --silent 12 | sed 's/"id":"/"id":"other /' >other
	(($(grep -c '"id":"other ' other) == 1000))
	for i in 0 1 2; do pipeline s --shard $i/3 --arrival gap --delay-ms 0:40 --seed 3 in; done
	pipeline t --arrival gap --delay-ms 0:60 --seed 4 other
	writer replay | timerd --clock virtual >played
	cat events.s events.t | outcomes >wanted
	[[ -s wanted ]]
	outcomes <played | diff wanted -
	same "$(sql 'SELECT state, count(*) FROM acctflow.callbacks GROUP BY 1 ORDER BY 1')" \
		"cancelled|$(grep -c '^{"event":"cancelled"' played)"$'\n'"fired|$(grep -c '^{"event":"fired"' played)"
	# One of them.
	writer replay --source t | timerd --clock virtual | outcomes | diff <(outcomes <events.t) -
	# Chosen accounts, as they are given.
	id=$(sql "SELECT id FROM acctflow.account_updates WHERE applied AND source = 't' AND id ~ '^[ -~]+\$' AND id !~ '[\"\\\\\\\\]' GROUP BY id ORDER BY count(*) DESC LIMIT 1")
	ok writer replay "$id" nobody
	same "$(wc -l <<<"$output")" "$(sql "SELECT count(*) FROM acctflow.account_updates WHERE applied AND id = '$id'")"
	same "$(members id <<<"$output" | sort -u)" "$id "
}

@test "replay --updates: read with its times in another database it makes the same state, history and callbacks" {
	many 3 >in
	pipeline s --arrival offset --delay-ms 0:90000 --seed 3 in
	writer replay --updates >updates
	same "$(grep -c '^{"id":' updates)" "$(sql 'SELECT count(*) FROM acctflow.account_updates')"
	(($(sql 'SELECT count(*) FROM acctflow.account_updates WHERE NOT applied') > 50))
	relations() {
		psql -Xqf "$root/test/relations.sql" | grep -E '^(account|update|callback)' | cut -f 1-10,12- | LC_ALL=C sort
	}
	relations >wanted
	database_drop
	database
	pipeline s --arrival recorded - <updates
	relations | diff wanted -
}

@test "replay --callback-ms: what would have been, by another rule" {
	{ placed s 0 a 1 '"arriveMs":100' && placed s 1 a 2 '"arriveMs":150' && placed s 2 b 1 '"arriveMs":160'; } |
		sed 's/"callbackTimeMs":2/"callbackTimeMs":40/' >in
	sed '3s/"callbackTimeMs":40/"callbackTimeMs":null/' in | writer --clock virtual | timerd --clock virtual | writer ack >events
	same "$(members event id version firedAt <events | grep fired)" 'fired a 1 2000-01-01T00:00:00.140000Z 
fired a 2 2000-01-01T00:00:00.190000Z '
	writer replay --callback-ms 60 | timerd --clock virtual >played
	same "$(members event id version dueAt <played | grep -v summary)" 'indexed a 1 2000-01-01T00:00:00.160000Z 
indexed a 2 2000-01-01T00:00:00.210000Z 
cancelled a 1 2000-01-01T00:00:00.160000Z 
indexed b 1 null 
fired a 2 2000-01-01T00:00:00.210000Z '
	ok writer replay --callback-ms 0 --updates
	same "$(members id callbackTimeMs arriveMs <<<"$output")" $'a 0 0 \na 0 50 \nb null 60 '
	# A due time that is stored is replayed as it is, and another rule goes by when it was ingested.
	sql "UPDATE acctflow.history SET due_at = '2000-01-01 00:00:00.123Z' WHERE id = 'a' AND version = 1"
	ok writer replay a
	has '"version":1,"accountType":"t","tokens":1,"callbackTimeMs":40,"data":null,"ingestedAt":"2000-01-01T00:00:00.100000Z","dueAt":"2000-01-01T00:00:00.123000Z"}'
	ok writer replay --callback-ms 1 a
	has '"dueAt":"2000-01-01T00:00:00.101000Z"'
}

@test "replay --from --to: a span, by times or from the start; what is not there is said" {
	for i in 0 1 2 3 4; do update "a$i" 1 "\"arriveMs\":$((i * 100))"; done >in
	pipeline s --arrival recorded in
	versions() { writer replay "$@" | members id | tr -d ' \n'; }
	same "$(versions)" a0a1a2a3a4
	same "$(versions --from +200)" a2a3a4
	same "$(versions --from +100 --to +299)" a1a2
	start=$(sql "SELECT to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS') FROM acctflow.inputs")
	same "$(versions --to "${start}Z")" a0
	# arriveMs counts from the source's start, wherever the span begins.
	same "$(writer replay --updates --from +300 | members arriveMs)" $'300 \n400 '
	for arguments in '--from +500' '--source nobody' 'nobody' '--to 1999-01-01T00:00:00Z'; do
		# shellcheck disable=SC2086
		fails 1 writer replay $arguments
		err_has 'there is nothing to replay'
		same "$output" ''
	done
	fails 1 writer replay --source nobody --from +5
	err_has 'there is no such source'
	for wrong in yesterday +1.5 +; do
		fails 100 writer replay --from $wrong
		err_has 'is no moment; it is a time such as 2000-01-01T00:00:00Z, +MS'
	done
	fails 100 writer status --from +1
	err_has 'status takes no option --from'
}

@test "replay of what two pipelines indexed: an account's versions come in their order, whatever their times" {
	placed s 0 a 5 '"arriveMs":1000' | writer --clock virtual >/dev/null
	placed t 0 a 6 '"arriveMs":500' | writer --clock virtual >/dev/null
	ok writer replay
	same "$(members id version ingestedAt <<<"$output")" 'a 5 2000-01-01T00:00:01.000000Z 
a 6 2000-01-01T00:00:00.500000Z '
	same "$(timerd --clock virtual <<<"$output" | members event version | grep -v -e indexed -e summary)" $'cancelled 5 \nfired 6 '
}

@test "replay for people, and to somebody who leaves" {
	for ((i = 0; i < 3000; i++)); do placed s $i "a$i" 1; done | writer >/dev/null
	ok writer replay --format text a7
	has 'indexed a7 v1'
	set -o pipefail
	writer replay 2>err | head -n 1 >first
	same "$(<err)" ''
	"$supervisor" replay --db "dbname=$PGDATABASE host=$PGHOST user=$PGUSER" a8 --updates >out
	same "$(members id arriveMs <out)" 'a8 0 '
}
