#!/usr/bin/env bats
# The verbs prune and forget: what leaves, what stays exact, and that the counts say so, whatever happens meanwhile.
# shellcheck disable=SC2154,SC2164 # helper sets root; a cd that fails ends the test
load helper
load writer

setup() {
	cd "$BATS_TEST_TMPDIR"
	database
	writer migrate 2>/dev/null
}

teardown() {
	writer_end
	database_drop
}

# pipeline SOURCE READER-OPTION...: one on the virtual clock, all of it acknowledged.
pipeline() {
	local source=$1
	shift
	(
		set -o pipefail
		reader --clock virtual --source "$source" "$@" 2>>log | writer --clock virtual 2>>log | timerd --clock virtual |
			writer ack 2>>log >>events
	)
}

# state MOMENT...: every account as of each of them, by brute force.
state() {
	local at
	for at; do
		echo "$at"
		sql "SELECT id, version, account_type, tokens, data, ingested_at FROM acctflow.account_updates u
			WHERE ingested_at <= '$at' AND NOT deleted AND NOT EXISTS (SELECT FROM acctflow.account_updates n
				WHERE n.id = u.id AND n.version > u.version AND n.ingested_at <= '$at') ORDER BY id"
	done
}

# prunable MOMENT: how many versions may leave, by another way of saying it than the statement's; all is acknowledged.
prunable() {
	sql "SELECT count(*) FROM acctflow.history u WHERE EXISTS (SELECT FROM acctflow.history n WHERE n.id = u.id AND n.version > u.version
			AND n.applied AND n.ingested_at <= '$1')
		AND u.ingested_at <= '$1' AND NOT EXISTS (SELECT FROM acctflow.history e WHERE e.id = u.id AND e.version < u.version AND e.applied AND e.ingested_at > '$1')"
}

totals() {
	psql -XAtq -F ' ' -f "$root/sql/watch_outcomes.sql" | cut -d ' ' -f 1-4
}

# consistent: status finds no fault, and the views add up as the contract says.
consistent() {
	ok writer status
	same "$(sql "SELECT count(*) FROM (SELECT s.indexed, s.without_callback + s.pruned + count(c.state) AS sum, s.stale - s.pruned_stale AS stale,
			count(*) FILTER (WHERE NOT u.applied) AS late
		FROM acctflow.sources s
		LEFT JOIN acctflow.account_updates u ON u.source = s.name
		LEFT JOIN acctflow.callbacks c ON c.id = u.id AND c.version = u.version
		GROUP BY s.name, s.indexed, s.without_callback, s.pruned, s.pruned_stale, s.stale) r
		WHERE r.indexed <> r.sum OR r.stale <> r.late")" 0
}

# count NAME: a member of what was printed.
count() {
	sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" <<<"$output"
}

# versions SOURCE ID FROM TO: so many of an account, one a millisecond, all acknowledged.
versions() {
	local i
	for ((i = $3; i <= $4; i++)); do placed "$1" $((i - $3)) "$2" "$i" "\"arriveMs\":$((i - $3))"; done |
		writer --clock virtual 2>>log | timerd --clock virtual | writer ack 2>>log >/dev/null
}

@test "prune: the state as of that moment and of all later ones stays, to the byte; counts and totals add up" {
	local at=2000-01-01T00:00:30.000000Z moments wanted
	generate --updates 4000 --accounts 300 --edges --deleted 8 --silent 12 --callback-ms 0:20000 --seed 3 >in
	for i in 0 1; do pipeline s --shard $i/2 --arrival offset --delay-ms 0:90000 --seed 3 in; done
	moments=("$at" 2000-01-01T00:00:30.001Z 2000-01-01T00:00:41.7Z 2000-01-01T00:01:02Z 2000-01-01T00:01:29.999Z 2100-01-01Z)
	state "${moments[@]}" >before
	totals >totals
	writer richest >richest
	wanted=$(prunable "$at")
	# Whatever is left is as it was.
	sql "SELECT to_json(r) FROM acctflow.account_updates r ORDER BY id, version" >updates
	sql "SELECT to_json(r) FROM acctflow.callbacks r ORDER BY id, version" >callbacks
	same "$(sql 'SELECT pruned_before FROM acctflow.retention')" -infinity
	ok writer prune --before "$at"
	same "$(count pruned)" "$wanted"
	((wanted > 500 && $(count bytes) > wanted * 100))
	state "${moments[@]}" | diff before -
	totals | diff totals -
	writer richest | diff richest -
	consistent
	same "$(sql 'SELECT sum(pruned + pruned_stale) FROM acctflow.source_shards')" "$wanted"
	(($(sql 'SELECT min(pruned) FROM acctflow.source_shards') > 100 && $(sql 'SELECT sum(pruned_stale) FROM acctflow.source_shards') > 10))
	for relation in updates callbacks; do
		view=${relation/updates/account_updates}
		sql "SELECT to_json(r) FROM acctflow.$view r ORDER BY id, version" >"$relation.after"
		same "$(diff "$relation" "$relation.after" | grep -c '^>')" 0
		[[ -s $relation.after ]]
	done
	same "$(sql 'SELECT count(*) FROM acctflow.outcomes o WHERE NOT EXISTS (SELECT FROM acctflow.history u WHERE u.id = o.id AND u.version = o.version)')" 0
	same "$(sql "SELECT pruned_before = '$at' FROM acctflow.retention")" t
	# Again there is nothing to do, and an earlier moment changes nothing.
	ok writer prune --before "$at"
	same "$(count pruned)" 0
	ok writer prune --before 2000-01-01T00:00:10Z
	same "$(sql "SELECT pruned_before = '$at' FROM acctflow.retention")" t
	# All but each account's latest, which is a delete sometimes.
	ok writer prune --before 2001-01-01T00:00:00Z
	same "$(sql 'SELECT count(*), count(DISTINCT id) FROM acctflow.history')" "$(sql 'SELECT count(*), count(*) FROM acctflow.latest')"
	state 2100-01-01Z | diff <(sed -n '/^2100/,$p' before) -
	totals | diff totals -
	consistent
}

@test "prune --keep N: the N highest versions of each account stay" {
	versions s a 1 6
	versions t b 1 2
	ok writer prune --before 2001-01-01T00:00:00Z --keep 3
	same "$(sql "SELECT id, version FROM acctflow.history ORDER BY 1, 2")" $'a|4\na|5\na|6\nb|1\nb|2'
	consistent
	ok writer prune --before 2001-01-01T00:00:00Z --keep 0
	same "$(sql "SELECT id, version FROM acctflow.history ORDER BY 1, 2")" $'a|6\nb|2'
	consistent
	ok writer --format text prune --before 2001-01-01T00:00:00Z
	same "$output" '2 accounts looked at, 0 versions removed, 0 bytes'
}

@test "prune: without a moment, or in the future, it is refused" {
	fails 100 writer prune
	err_has 'prune wants --before TIME'
	fails 100 writer prune --before "$(date -u -d '+1 hour' +%FT%TZ)"
	err_has 'in the future'
	same "$(sql 'SELECT pruned_before FROM acctflow.retention')" -infinity
	fails 100 writer prune --before yesterday
	err_has 'expected a time such as'
	fails 100 writer prune --before 2000-01-01T00:00:00Z a
	err_has 'unexpected operand'
	ok "$supervisor" prune --db "dbname=$PGDATABASE host=$PGHOST user=$PGUSER" --before 2000-01-01T00:00:00Z
	same "$output" '{"accounts":0,"pruned":0,"bytes":0}'
}

# half: a source whose events were acknowledged up to somewhere. rest: its rest, by a new claim.
half() {
	reader --arrival gap --clock virtual --seed 7 --source s in 2>/dev/null | writer --clock virtual 2>/dev/null |
		timerd --clock virtual --no-wait | sed -n 1,700p | writer ack >acked 2>/dev/null
}
rest() {
	local token delivered
	writer claim --source s --log-level warn >claimed
	token=$(sed -n 's/^token=//p' claimed) delivered=$(sed -n 's/^delivered=//p' claimed)
	reader --arrival gap --clock virtual --seed 7 --from $((delivered + 1)) --source s in 2>/dev/null | writer --clock virtual --resume --source s --token "$token" 2>>log |
		timerd --clock virtual --resume | writer ack --resume --source s --token "$token" 2>>log
}

@test "prune leaves what is not acknowledged: a crash replays the same, byte by byte" {
	generate --updates 1000 --accounts 40 --duplicate 0 --conflict 0 --stale 25 --deleted 5 --silent 5 --callback-ms 0:9000 --seed 4 >in
	half
	same "$(sql 'SELECT delivered_offset < committed_offset - 100 FROM acctflow.sources')" t
	rest >wanted
	state 2100-01-01Z >state
	grep -q '"replayed":true' wanted
	database_drop
	database
	writer migrate 2>/dev/null
	half
	delivered=$(sql 'SELECT delivered_offset FROM acctflow.sources')
	unacknowledged=$(sql "SELECT count(*) FROM acctflow.history WHERE source_offset > $delivered")
	ok writer prune --before 2001-01-01T00:00:00Z
	(($(count pruned) > 100))
	same "$(sql "SELECT count(*) FROM acctflow.history WHERE source_offset > $delivered")" "$unacknowledged"
	consistent
	rest >got
	cmp wanted got
	state 2100-01-01Z | diff state -
	consistent
	ok writer prune --before 2001-01-01T00:00:00Z
	same "$(sql 'SELECT count(*) FROM acctflow.history')" "$(sql 'SELECT count(*) FROM acctflow.latest')"
	consistent
	# Read from the beginning by hand: what is not known any more is stale.
	token=$(writer claim --source s --log-level warn | sed -n 's/^token=//p')
	reader --arrival gap --clock virtual --seed 7 --source s in 2>/dev/null | writer --clock virtual --resume --source s --token "$token" >got 2>>log
	(($(grep -c '"reason":"stale","replayed":true' got) > 700))
	same "$(grep -c '"currentVersion":-1' got)" 0
	consistent
	# Nobody ever acknowledged: all stays.
	placed t 0 q 1 | writer --clock virtual >/dev/null 2>&1
	placed t 1 q 2 | writer --clock virtual >/dev/null 2>&1
	ok writer prune --before 2001-01-01T00:00:00Z
	same "$(count pruned)" 0
	# Without a source nothing is ever emitted again.
	{ update r 1 && update r 2; } | writer --clock virtual >/dev/null 2>&1
	ok writer prune --before 2001-01-01T00:00:00Z
	same "$(count pruned)" 1
	consistent
}

@test "a version that was pruned and comes again is stale; one that stayed is a duplicate" {
	versions s a 1 4
	writer prune --before 2001-01-01T00:00:00Z >/dev/null
	{ placed t 0 a 2 '"arriveMs":9' && placed t 1 a 4 '"arriveMs":9' && placed t 2 a 2 '"arriveMs":9'; } | writer --clock virtual >out 2>/dev/null
	same "$(members event version reason currentVersion <out)" $'ignored 2 stale 4 \nignored 4 duplicate 4 \nignored 2 duplicate 4 '
	same "$(sql "SELECT version, applied FROM acctflow.history ORDER BY 1")" $'2|f\n4|t'
	consistent
}

@test "prune beside a running pipeline: neither ends the other, and all adds up" {
	local rounds=0 pruned=0 half
	generate --updates 60000 --accounts 500 --deleted 4 --silent 4 --seed 6 >in
	half=$(($(stat -c %s in) / 2))
	{ head -c "$half" in && until [[ -e go ]]; do sleep 0.05; done && tail -c "+$((half + 1))" in; } | pipeline s --arrival none - &
	pid=$!
	retry 100 test -s events
	while ! gone "$pid"; do
		ok writer prune --before 2001-01-01T00:00:00Z
		pruned=$((pruned + $(count pruned))) rounds=$((rounds + 1))
		# However fast it is, half of it is still to come.
		: >go
	done
	ended 0
	ok writer prune --before 2001-01-01T00:00:00Z
	pruned=$((pruned + $(count pruned)))
	same "$(grep -cE 'deadlock|trying' log)" 0
	echo "$rounds rounds, $pruned pruned"
	((rounds > 1 && pruned > 10000))
	same "$(sql 'SELECT sum(pruned + pruned_stale) FROM acctflow.sources')" "$pruned"
	consistent
	# The same accounts as without; a version that came again when it was pruned was stale, else a duplicate or conflict.
	reader --clock virtual --source s --arrival none in 2>/dev/null >told
	"$root/test/model" --relations told | grep '^account' | LC_ALL=C sort >wanted
	psql -Xqf "$root/test/relations.sql" | grep '^account' | LC_ALL=C sort | diff wanted -
}

@test "prune killed between two chunks: what left is counted, what is there is whole, and the next goes on" {
	versions s a 1 4500
	versions t z 1 3
	state 2100-01-01Z >state
	totals >totals
	# The last chunk is of t as well, and waits there.
	held "SELECT FROM acctflow.pipelines WHERE source = 't' FOR UPDATE"
	writer prune --before 2001-01-01T00:00:00Z >out 2>err 3>&- 5>&- 6>&- &
	pid=$!
	retry 300 waits 1
	same "$(sql 'SELECT pruned FROM acctflow.sources ORDER BY name')" $'4000\n0'
	consistent
	kill -KILL "$pid"
	wait "$pid" || pid=
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'acctflow prune' AND datname = current_database()" >/dev/null
	release
	consistent
	same "$(sql 'SELECT pruned FROM acctflow.sources ORDER BY name')" $'4000\n0'
	ok writer prune --before 2001-01-01T00:00:00Z
	same "$(count pruned)" 501
	same "$(sql 'SELECT pruned FROM acctflow.sources ORDER BY name')" $'4499\n2'
	consistent
	state 2100-01-01Z | diff state -
	totals | diff totals -
}

@test "prune whose connection is cut off tries again, and is asked to stop between two chunks" {
	versions s a 1 2500
	versions t z 1 3
	held "SELECT FROM acctflow.pipelines WHERE source = 't' FOR UPDATE"
	writer prune --before 2001-01-01T00:00:00Z >out 2>err 3>&- 5>&- 6>&- &
	pid=$!
	retry 300 waits 1
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'acctflow prune' AND datname = current_database()" >/dev/null
	retry 100 grep -q 'trying again' err
	release
	ended 0
	same "$(sql 'SELECT sum(pruned) FROM acctflow.sources')" 2501
	consistent
}

# forgotten: nothing of a is left but that it had version 3.
forgotten() {
	same "$(sql "SELECT version, deleted, account_type, tokens, callback_time_ms, data, trace, due_at, applied FROM acctflow.history WHERE id = 'a'")" \
		'3|t||||null|||t'
	same "$(sql "SELECT version, deleted, account_type, tokens, callback_time_ms, data FROM acctflow.latest WHERE id = 'a'")" '3|t||||null'
	same "$(sql "SELECT count(*) FROM acctflow.outcomes WHERE id = 'a'")" 0
	consistent
}

@test "forget: all of an account leaves but its latest version's number; counts and totals add up" {
	{
		placed s 0 a 1 '"data":"secret","arriveMs":1' && placed s 1 a 3 '"data":"secret","trace":"secret","arriveMs":10'
		placed s 2 a 2 '"data":"secret","arriveMs":11' && placed s 3 a 3 '"data":"other secret","arriveMs":12'
		placed s 4 ab 3 '"data":"kept","arriveMs":12' && placed s 5 ab 3 '"data":"kept too","arriveMs":12'
		echo '{"id":"a","tokens":"secret","source":"s","offset":6}'
	} | writer --clock virtual 2>/dev/null | timerd --clock virtual | writer ack >/dev/null 2>&1
	totals >totals
	ok writer forget a
	same "$(count pruned)/$(count rejects)" 2/2
	forgotten
	totals | diff totals -
	same "$(sql "SELECT pruned, pruned_stale, without_callback FROM acctflow.sources")" '1|1|1'
	same "$(pg_dump -n acctflow --inserts 2>/dev/null | grep -c secret)" 0
	same "$(sql "SELECT count(*), count(*) FILTER (WHERE raw = '') FROM acctflow.rejects")" '3|2'
	same "$(sql "SELECT data FROM acctflow.accounts")" '"kept"'
	# It is in no state, of whatever moment, and guards its version.
	same "$(state 2000-01-01T00:00:00.005Z 2000-01-01T00:00:00.011Z)" $'2000-01-01T00:00:00.005Z\n2000-01-01T00:00:00.011Z'
	ok writer forget a
	same "$(count pruned)" 0
	forgotten
	{ placed t 0 a 1 && placed t 1 a 4; } | writer --clock virtual >out 2>/dev/null
	same "$(members event version reason <out)" $'ignored 1 stale \nindexed 4 - '
	consistent
}

@test "forget: a delete, a version without a callback, one that failed, and none of a source" {
	echo '{"id":"a","version":3,"deleted":true,"source":"s","offset":0}' | writer --clock virtual 2>/dev/null | writer ack >/dev/null 2>&1
	placed s 1 b 1 | sed 's/"callbackTimeMs":2/"callbackTimeMs":null/' | writer --clock virtual 2>/dev/null | writer ack >/dev/null 2>&1
	placed s 2 c 1 | writer --clock virtual 2>/dev/null | timerd --clock virtual | deliver --exec 'exit 100' 2>/dev/null | writer ack >/dev/null 2>&1
	update d 1 | writer --clock virtual 2>/dev/null | timerd --clock virtual | writer ack >/dev/null 2>&1
	totals >totals
	same "$(<totals)" '1 1 0 0'
	for id in a b c; do
		ok writer forget "$id"
		totals | diff totals -
		consistent
	done
	forgotten
	ok writer forget d
	same "$(sql 'SELECT count(*) FROM acctflow.outcomes')/$(sql 'SELECT count(*) FROM acctflow.accounts')" 0/0
	consistent
	# A failed callback of an account that is forgotten is not tried again.
	fails 1 writer retry c
}

@test "forget: refused while the callback is pending or something is not acknowledged; nobody is not there" {
	placed s 0 a 3 | sed 's/"callbackTimeMs":2/"callbackTimeMs":600000/' | writer 2>/dev/null | timerd --no-wait | writer ack >/dev/null 2>&1
	fails 100 writer forget a
	err_has 'the callback of account "a" is pending: send a delete of the account first, or let it fire'
	same "$(sql "SELECT deleted FROM acctflow.latest")" f
	echo '{"id":"a","version":4,"deleted":true,"source":"s","offset":1}' | writer >events 2>/dev/null
	fails 100 writer forget a
	err_has 'version 4 of account "a" is not acknowledged yet'
	same "$(sql "SELECT count(*) FROM acctflow.history")" 2
	writer ack <events >/dev/null 2>&1
	ok writer forget a
	consistent
	fails 1 writer forget $'no\e[31mbody'
	err_has 'no account "no\u001b[31mbody" in this database'
	fails 100 writer forget
	err_has 'forget wants an operand'
	ok "$supervisor" forget --db "dbname=$PGDATABASE host=$PGHOST user=$PGUSER" a
}

@test "forget empties rejects that have the id as JSON or base64 writes it, and no others" {
	psql -Xq -v ON_ERROR_STOP=1 <<-'END'
		SET search_path = acctflow;
		INSERT INTO latest (id, version, ingested_at, deleted, data) VALUES ('q"u.t', 3, '2000-01-01Z', true, 'null');
		INSERT INTO history (id, version, ingested_at, applied, deleted, data) VALUES ('q"u.t', 3, '2000-01-01Z', true, true, 'null');
		INSERT INTO rejects (rejected_at, raw_bytes, kind, reason, raw, raw_encoding) VALUES
			('2000-01-01Z', 1, 'record', '1', '{"id":"q\"u.t"}', 'utf8'),
			('2000-01-01Z', 1, 'record', '2', 'csv,q"u.t,5', 'utf8'),
			('2000-01-01Z', 1, 'record', '3', encode('\xff7122752e740a', 'base64'), 'base64'),
			('2000-01-01Z', 1, 'record', '4', '{"id":"q\"uxt"}', 'utf8'),
			('2000-01-01Z', 1, 'record', '5', 'csv,q"u.tt,5', 'utf8'),
			('2000-01-01Z', 1, 'record', '6', encode('\xff7122752e750a', 'base64'), 'base64');
	END
	ok writer forget 'q"u.t'
	same "$(count rejects)" 3
	same "$(sql "SELECT string_agg(reason, ',' ORDER BY reason) FROM acctflow.rejects WHERE raw = ''")" 1,2,3
}
