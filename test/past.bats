#!/usr/bin/env bats
# Questions as of a moment: richest, accounts, diff, history, callbacks. What is answered from an index is compared with
# what the whole history says.
# shellcheck disable=SC2030,SC2031,SC2154,SC2164 # helper and bats set them; a cd that fails ends the test
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

# virtual SOURCE FILE [ARGUMENT...]: reads it, at its own times.
virtual() {
	reader -a recorded --clock virtual --source "$1" "${@:3}" "$2" 2>/dev/null | writer --clock virtual 2>/dev/null >>events
}

# by_hand MOMENT N: the N richest of each type by the rule itself, over the whole history, as a query.
by_hand() {
	cat <<-END
		SELECT account_type, place, tokens, version, id
		FROM (SELECT s.*, rank() OVER (PARTITION BY account_type ORDER BY tokens DESC) AS place
			  FROM (SELECT DISTINCT ON (id) * FROM acctflow.account_updates WHERE ingested_at <= $1 ORDER BY id, version DESC) s
			  WHERE NOT deleted) r
		WHERE place <= $2
	END
}

# differing N: so many of N random moments have another answer than by hand, each asked for a random number of places.
differing() {
	sql "CREATE OR REPLACE FUNCTION pg_temp.differs(t timestamptz, n integer) RETURNS boolean LANGUAGE sql AS \$\$
			WITH a AS MATERIALIZED (SELECT account_type, place, tokens, version, id FROM acctflow.richest_at(t, n)), b AS MATERIALIZED ($(by_hand t n))
			SELECT EXISTS ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) \$\$;
		SELECT count(*) FROM (
			SELECT ('2000-01-01Z'::timestamptz + (random() * 1.1 * (SELECT extract(epoch FROM max(ingested_at) - '2000-01-01Z') FROM acctflow.history)) * interval '1 s') AS t,
				   1 + (random() * 6)::integer AS n
			FROM generate_series(1, $1)) m
		WHERE pg_temp.differs(m.t, m.n)"
}

# stream SEED UPDATES ACCOUNTS MODE [FIRST_MS]: random updates of four types: deletes, accounts that change their type, versions
# that come late. The tokens are any, fall, rise, or tie.
stream() {
	awk -v seed="$1" -v n="$2" -v accounts="$3" -v mode="$4" -v t="${5:-0}" 'BEGIN {
		srand(seed)
		for (i = 0; i < n; i++) {
			t += int(rand() * 6)
			a = int(rand() * accounts)
			version = rand() < 0.9 ? newest[a] + 1 + int(rand() * 2) : newest[a] - int(rand() * 4)
			if (version < 0) version = 0
			if (version > newest[a]) newest[a] = version
			tokens = mode == "falls" ? 1000000 - i * 300 + int(rand() * 400) : mode == "rises" ? i * 100 + int(rand() * 500) : \
				mode == "ties" ? int(rand() * 7) : int(10 ^ (rand() * 15))
			if (rand() < 0.06) printf "{\"id\":\"A%d\",\"version\":%d,\"deleted\":true,\"arriveMs\":%d}\n", a, version, t
			else printf "{\"id\":\"A%d\",\"accountType\":\"%s\",\"tokens\":%.0f,\"callbackTimeMs\":null,\"version\":%d,\"arriveMs\":%d}\n", a,
				substr("pqrs", 1 + (rand() < 0.3 ? int(rand() * 4) : a % 4), 1), tokens < 0 ? 0 : tokens, version, t
		}
	}'
}

# hasty: the functions once more, with slices and floors so small that a few hundred updates need many.
hasty() {
	{
		cat "$root/sql/views_drop.sql"
		echo ';'
		cat "$root/sql/views.sql"
		sed -E 's/(few CONSTANT integer := )64/\14/; s/(many CONSTANT integer := )20000/\1150/; s/1000 \+ next/100 + next/; s/\+ 300/+ 10/' "$root/sql/functions.sql"
	} >hasty.sql
	same "$(diff <(cat "$root"/sql/{views_drop,views,functions}.sql) hasty.sql | grep -c '^>')" 5
	psql -Xq -v ON_ERROR_STOP=1 -f hasty.sql
}

@test "the contract's example, at every millisecond from 0 to 1,100" {
	printf '{"id":"ID1","accountType":"user","tokens":%d,"callbackTimeMs":400,"version":%d,"arriveMs":%d}\n' 1 1 550 3 3 650 2 2 700 >in
	reader -a recorded --clock virtual --source s in | writer --clock virtual | timerd --clock virtual | writer ack >events
	same "$(sql "SELECT m, r.version FROM generate_series(0, 1100) m, LATERAL acctflow.richest_at('2000-01-01Z'::timestamptz + m * interval '1 ms') r" |
		awk -F'|' '{ n[$2]++; if (!($2 in first)) first[$2] = $1; last[$2] = $1 } END { for (v in n) print v, n[v], first[v], last[v] }' | sort)" \
		$'1 100 550 649\n3 451 650 1100'
	same "$(sql "SELECT count(*) FROM generate_series(0, 1100) m, LATERAL acctflow.accounts_at('2000-01-01Z'::timestamptz + m * interval '1 ms') a
		WHERE a.version <> CASE WHEN m < 650 THEN 1 ELSE 3 END")" 0
	for ((m = 0; m <= 1100; m += 50)); do
		ok writer richest --at +$m
		same "$output" "$( ((m < 550)) || echo '{"accountType":"user","tokens":'$((m < 650 ? 1 : 3))',"version":'$((m < 650 ? 1 : 3))',"id":"ID1","data":null}')"
	done
	# The record at offset 2 was late: the state is still that of version 3.
	for offset in 0 1 2; do
		ok writer accounts --at "$offset" ID1
		has "\"version\":$((offset ? 3 : 1)),"
	done
}

@test "richest --at is what the history says: random streams, late versions, several sources, and none" {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'on Citus the history is asked each time'
	hasty
	local mode seed=$((RANDOM * 4))
	echo "seed $seed"
	for mode in any falls rises ties; do
		stream $((++seed)) 500 $((RANDOM % 150 + 5)) "$mode" >one
		stream $((++seed)) 400 $((RANDOM % 150 + 5)) "$mode" $((RANDOM % 900)) >two
		stream $((++seed)) 200 $((RANDOM % 150 + 5)) "$mode" $((RANDOM % 900)) >three
		virtual "$mode-1" one
		same "$(differing 60)" 0
		# A second source's times lie before what was taken in already, and what has no source has a time of its own.
		virtual "$mode-2" two --shard 0/2
		virtual "$mode-2" two --shard 1/2
		same "$(differing 60)" 0
		writer --clock virtual <three >>events 2>/dev/null
		same "$(differing 60)" 0
	done
	# A source without any version is no reason to look at the whole history each time.
	printf 'nonsense\n' >bad
	reader --clock virtual --source bad bad 2>/dev/null | writer --clock virtual >>events
	same "$(differing 20)" 0
	same "$(sql "SELECT count(*) FROM acctflow.pipelines p WHERE NOT EXISTS (SELECT FROM acctflow.top_watermarks w WHERE w.pipeline = p.pipeline)")" 0
	# There were slices with a floor, and moments at which a slice knew too few.
	(($(sql 'SELECT count(*) FROM acctflow.top_slices WHERE floor > 0') > 4))
	(($(sql 'SELECT count(DISTINCT (id, version)) FROM acctflow.tops') < $(sql 'SELECT count(*) FROM acctflow.history WHERE NOT deleted')))
	same "$(sql "SELECT count(*) FROM acctflow.top_watermarks w JOIN acctflow.pipelines p ON p.pipeline = w.pipeline WHERE p.xid IS DISTINCT FROM w.xid")" 0
}

# Whether nobody else is connected to this database.
alone() {
	same "$(sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")" 0
}

@test "richest --at while pipelines write, and are killed" {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'on Citus the history is asked each time'
	hasty
	stream 7 6000 300 any >in
	local i shard
	for i in 1 2 3 4 5 6; do
		for shard in 0 1; do
			reader -a none --source s --shard $shard/2 in 2>/dev/null | timeout -s KILL 0.$((RANDOM % 5 + 2)) writer --resume >/dev/null 2>&1 &
		done
		sql "SELECT count(*) FROM generate_series(1, 5), LATERAL acctflow.richest_at(now(), 3)" >/dev/null
		wait
		# What a writer had asked for when it was killed may still be committed.
		retry 100 alone
		same "$(sql "WITH a AS MATERIALIZED (SELECT account_type, place, tokens, version, id FROM acctflow.richest_at(now(), 3)), b AS MATERIALIZED ($(by_hand 'now()' 3))
			SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) d")" 0
	done
}

@test "a type that few are left of, and more places than are kept: the history is asked" {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'on Citus the history is asked each time'
	hasty
	for ((i = 0; i < 60; i++)); do printf '{"id":"A%d","accountType":"t","tokens":%d,"callbackTimeMs":null,"version":1,"arriveMs":%d}\n' $i $i $i; done >in
	for ((i = 59; i >= 0; i--)); do printf '{"id":"A%d","version":2,"deleted":true,"arriveMs":%d}\n' $i $((159 - i)); done >gone
	virtual first in
	same "$(differing 20)" 0
	virtual second gone
	same "$(differing 40)" 0
	same "$(sql "SELECT count(*) FROM acctflow.richest_at('2000-01-01 00:00:00.08Z', 1000)")" 60
	same "$(sql "SELECT id FROM acctflow.richest_at('2000-01-01 00:00:00.155Z')")" A3
	same "$(sql "SELECT count(*) FROM acctflow.richest_at('2000-01-01 00:00:00.2Z')")" 0
}

@test "moments: a time, +MS from a source's start, an offset; and what is none" {
	printf '{"id":"A","accountType":"t","tokens":%d,"callbackTimeMs":null,"version":%d,"arriveMs":%d}\n' 1 1 100 2 2 200 >in
	virtual s in
	for at in 2000-01-01T00:00:00.1Z +100 +199 0 2000-01-01T01:00:00.15+01:00; do
		ok writer richest --at "$at"
		has '"version":1,'
	done
	ok writer richest --at 2000-01-01T00:00:00.0999Z
	same "$output" ''
	fails 1 writer richest --at 2
	err_has '"2" is nothing that the source has got to yet'
	for at in yesterday '' +1.5 -5 1234567890123456; do
		fails 100 writer accounts --at "$at"
		err_has 'is no moment; it is a time such as 2000-01-01T00:00:00Z, +MS'
	done
	# The environment's is for the verbs that take it.
	ACCTFLOW_AT=0 ok writer history A
	ACCTFLOW_AT=0 ok writer richest
	has '"version":1,'
	# Nor is it in what is said by others.
	ACCTFLOW_AT=0 fails 1 writer history B
	[[ $stderr == *'no account "B" in this database' ]]
	fails 1 writer accounts --at 0 --source nobody
	err_has 'there is no such source'
	virtual other in
	fails 100 writer accounts --at 0
	err_has 'there are several; name one by --source'
	ok writer accounts --at 0 --source s
	fails 1 writer accounts --at 0 --source s B
	err_has 'no account "B" in this database as of then'
	fails 1 writer richest --at 0 --source s --type u
	err_has 'no account of type "u" in this database as of then'
}

@test "ids: by any beginning that is one account's" {
	for id in alpha alphabet beta 'ü1'; do update "$id" 1; done | writer >events
	for id in alphab alphabet; do
		ok writer history "$id"
		has '"id":"alphabet"'
	done
	# An id that is itself another's beginning is that id.
	ok writer accounts alpha
	has '"id":"alpha"'
	ok writer accounts b
	has '"id":"beta"'
	ok writer accounts $'\xc3\xbc'
	has '"id":"ü1"'
	fails 100 writer history al
	err_has 'several accounts begin with "al": alpha, alphabet'
	fails 1 writer history 'al%'
	err_has 'no account "al%" in this database'
	fails 100 writer accounts alpha beta
	err_has 'unexpected operand "beta"'
}

@test "history: what each version changed, down to members of data, and by whom its callback was cancelled" {
	update a 1 '"data":{"n":1,"x/y":{"~":[1,{"k":true}]}},"arriveMs":1' >in
	update a 4 '"data":{"n":1.0,"x/y":{"~":[1,{"k":null,"l":2}]}},"arriveMs":2' >>in
	update a 3 '"data":7,"arriveMs":3' >>in
	printf '{"id":"a","version":5,"deleted":true,"arriveMs":4}\n' >>in
	virtual s in
	ok writer history a
	has '"version":1,"deleted":false,"accountType":"t","tokens":1,"callbackTimeMs":2,"data":{"n":1,"x/y":{"~":[1,{"k":true}]}},"ingestedAt":"2000-01-01T00:00:00.001000Z","dueAt":"2000-01-01T00:00:00.003000Z","state":"cancelled","settledAt":"2000-01-01T00:00:00.002000Z","supersededBy":4,"changes":null,"source":"s","offset":0}'
	has '"version":3,"deleted":false,"accountType":"t","tokens":1,"callbackTimeMs":2,"data":7,"ingestedAt":"2000-01-01T00:00:00.003000Z","dueAt":null,"state":"stale"'
	has '"supersededBy":5,"changes":[{"path": "/data/x~1y/~0/1/k", "value": null, "before": true}, {"path": "/data/x~1y/~0/1/l", "value": 2}],"source":"s","offset":1}'
	has '"changes":[{"path": "/accountType", "before": "t"}, {"path": "/tokens", "before": 1}, {"path": "/data", "value": null, "before": {'
	COLUMNS=140 ok writer history a --format text
	has '/data/x~1y/~0/1/k true → null, /data/x~1y/~0/1/l 2'
	has '-/accountType, -/tokens'
}

@test "diff: what was added, changed and removed between two moments, either way" {
	update stays 1 '"arriveMs":1' >in
	update changes 1 '"data":[1,2],"arriveMs":1' >>in
	update goes 1 '"arriveMs":1' >>in
	update comes 1 '"arriveMs":9' >>in
	update changes 2 '"data":[1,3],"arriveMs":10' >>in
	printf '{"id":"goes","version":2,"deleted":true,"arriveMs":11}\n{"id":"goes","version":3,"deleted":true,"arriveMs":12}\n' >>in
	virtual s in
	ok writer diff +5 +20
	same "$output" '{"id":"changes","change":"changed","versionBefore":1,"version":2,"accountTypeBefore":"t","accountType":"t","tokensBefore":1,"tokens":1,"changes":[{"path": "/data/1", "value": 3, "before": 2}]}
{"id":"comes","change":"added","versionBefore":null,"version":1,"accountTypeBefore":null,"accountType":"t","tokensBefore":null,"tokens":1,"changes":[{"path": "/data", "value": null}]}
{"id":"goes","change":"removed","versionBefore":1,"version":3,"accountTypeBefore":"t","accountType":null,"tokensBefore":1,"tokens":null,"changes":[]}'
	ok writer diff +20 +5
	has '"id":"comes","change":"removed"'
	has '"id":"goes","change":"added"'
	ok writer diff +11 +12
	same "$output" ''
	fails 100 writer diff +5
	err_has 'diff wants two operands: writer diff T1 T2'
}

@test "callbacks: by state, due within, and later than" {
	update fires 1 >in
	update waits 1 | sed 's/"callbackTimeMs":2/"callbackTimeMs":3600000/' >>in
	update replaced 1 >>in
	update replaced 2 | sed 's/"callbackTimeMs":2/"callbackTimeMs":86400000/' >>in
	reader -a none --source s in | writer | timerd --no-wait | writer ack >events
	sql "INSERT INTO acctflow.outcomes (id, version, settled_at, failed)
		SELECT id, version, due_at + interval '750 ms', true FROM acctflow.callbacks WHERE id = 'fires' ON CONFLICT (id, version) DO UPDATE SET settled_at = excluded.settled_at, failed = true"
	ok writer callbacks
	same "${#lines[@]}" 4
	ok writer callbacks --state failed
	has '"id":"fires","version":1,"state":"failed"'
	has '"lateMs":750}'
	ok writer callbacks --state cancelled
	has '"id":"replaced","version":1'
	ok writer callbacks --due-within 7200000
	has '"id":"waits"'
	same "${#lines[@]}" 1
	ok writer callbacks --later-than 749
	has '"id":"fires"'
	same "${#lines[@]}" 1
	ok writer callbacks --later-than 750
	same "$output" ''
	fails 100 writer callbacks --state gone
	err_has 'any|pending|fired|cancelled|failed'
}

@test "csv: a heading, quotes where they are needed, null empty; only of verbs that look" {
	update 'a,\"b\"' 1 '"data":{"k":"line\nbreak"}' >in
	printf '{"id":"d","version":1,"deleted":true}\n' >>in
	writer <in >events
	ok writer history 'a,"' --format csv
	same "${lines[0]}" id,version,deleted,accountType,tokens,callbackTimeMs,data,ingestedAt,dueAt,state,settledAt,supersededBy,changes,source,offset
	has $'\n"a,""b""",1,false,t,1,2,"{""k"":""line\\nbreak""}",'
	ok writer history d --format csv
	has $'\nd,1,true,,,,null,'
	sql "COPY (SELECT 1) TO STDOUT" >/dev/null
	# What reads CSV reads it.
	writer accounts --format csv >accounts.csv
	sql 'CREATE TABLE public.back (id text, account_type text, tokens numeric, version bigint, callback bigint, data json, at timestamptz, source text, o bigint)'
	psql -Xq -v ON_ERROR_STOP=1 -c '\copy public.back FROM accounts.csv CSV HEADER'
	same "$(sql 'SELECT count(*) FROM public.back b JOIN acctflow.accounts a USING (id, account_type, tokens, version)')" 1
	fails 100 writer --format csv run
	err_has '--format csv is for the verbs that look'
}

@test "a terminal is sent no control characters, whatever the format" {
	command -v script >/dev/null || skip 'no script'
	update 'x\u001b[31m' 1 | writer >events
	for format in csv text json; do
		script -qec "writer accounts --format $format" /dev/null </dev/null >out
		grep -q x out
		! grep -q $'\x1b\[31' out
	done
}

@test "moments that were pruned are refused, later ones are as they were; who is forgotten is in none" {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'on Citus the history is asked each time'
	hasty
	stream 3 800 60 any >in
	reader -a recorded --clock virtual --source s in 2>/dev/null | writer --clock virtual 2>/dev/null | timerd --clock virtual | writer ack >events
	same "$(differing 20)" 0
	sql "CREATE TABLE public.before AS SELECT m, r.* FROM generate_series(1000, 2200, 20) m, LATERAL acctflow.richest_at('2000-01-01Z'::timestamptz + m * interval '1 ms', 3) r"
	ok writer prune --before 2000-01-01T00:00:01Z
	for question in "richest --at +999" "accounts --at +999" "diff +999 +1500" "accounts A1 --at +999"; do
		# shellcheck disable=SC2086 # words
		fails 100 writer $question
		err_has 'versions were pruned: states are known from 2000-01-01T00:00:01.000000Z on'
	done
	same "$(sql "SELECT count(*) FROM (SELECT m, r.account_type, r.place, r.tokens, r.version, r.id FROM generate_series(1000, 2200, 20) m, LATERAL acctflow.richest_at('2000-01-01Z'::timestamptz + m * interval '1 ms', 3) r
		EXCEPT SELECT m, account_type, place, tokens, version, id FROM public.before) d")" 0
	sql 'TRUNCATE acctflow.tops, acctflow.top_slices, acctflow.top_watermarks'
	same "$(sql "SELECT count(*) FROM (SELECT m, account_type, place, tokens, version, id FROM public.before
		EXCEPT SELECT m, r.account_type, r.place, r.tokens, r.version, r.id FROM generate_series(1000, 2200, 20) m, LATERAL acctflow.richest_at('2000-01-01Z'::timestamptz + m * interval '1 ms', 3) r) d")" 0
	id=$(sql "SELECT id FROM acctflow.richest_at(now()) ORDER BY tokens DESC LIMIT 1")
	ok writer forget "$id"
	same "$(sql "SELECT count(*) FROM generate_series(1000, 2200, 20) m, LATERAL acctflow.richest_at('2000-01-01Z'::timestamptz + m * interval '1 ms', 3) r WHERE id = '$id'")" 0
	same "$(sql "WITH a AS MATERIALIZED (SELECT account_type, place, tokens, version, id FROM acctflow.richest_at('2000-01-01 00:00:01.5Z', 3)), b AS MATERIALIZED ($(by_hand "'2000-01-01 00:00:01.5Z'" 3))
		SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) d")" 0
}

@test "a transaction that may not write is answered all the same" {
	stream 5 200 20 any >in
	virtual s in
	same "$(sql "SET default_transaction_read_only = on; SELECT md5(string_agg(r::text, ',' ORDER BY r)) FROM acctflow.richest_at(now(), 3) r")" \
		"$(sql "SELECT md5(string_agg(r::text, ',' ORDER BY r)) FROM acctflow.richest_at(now(), 3) r")"
}

@test "a terminal gets tables through PAGER; what is no table, and what is not a terminal, does not" {
	command -v script >/dev/null || skip 'no script'
	update a 1 | writer >events
	terminal() { script -qec "$*" /dev/null </dev/null | tr -d '\r'; }
	export PAGER="sed 's/^/paged: /'"
	terminal "$supervisor accounts" >out
	grep -q '^paged: Accounts$' out
	terminal "$supervisor accounts --format json" >out
	grep -q '^{"id":"a"' out
	terminal "$supervisor report" >out || :
	grep -q 'which a terminal does not show' out
	PAGER='' terminal "$supervisor accounts" >out
	grep -q Accounts out
	same "$(grep -c paged out)" 0
	same "$("$supervisor" accounts | grep -c paged)" 0
	# The exit code is writer's.
	run script -qec "$supervisor accounts nobody" /dev/null </dev/null
	same "$status" 1
	has 'no account "nobody"'
}
