#!/usr/bin/env bats
# Rejects and what becomes of them: counted, discarded, or read again as a source of their own, once, through the whole
# pipeline, whoever is killed meanwhile.
# shellcheck disable=SC2154 # helper sets root, bin and supervisor
load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	started=''
	database
}

teardown() {
	[[ ! $started ]] || kill -KILL "$started" 2>/dev/null || :
	exec 5>&-
	database_drop
}

# update ID VERSION [TOKENS]
update() {
	printf '{"id":"%s","accountType":"t","tokens":%s,"callbackTimeMs":0,"version":%s}\n' "$1" "${3-5}" "$2"
}

# Six records, of which four are rejected: offsets 1, 2, 4, and 5, a conflict.
filled() {
	{
		update a 1
		update b 1 '"7"'
		update c 1 '"8"'
		update d 1
		echo 'nothing of JSON'
		update a 1 6
	} >in
	ok "$supervisor" run --arrival none --source s in
}

redrive() {
	"$supervisor" redrive "$@"
}

# became: of all rejects: source, offset, what became of it, and where.
became() {
	sql "SELECT CASE WHEN source LIKE 'redrive-%' THEN 'redrive' ELSE source END, source_offset, coalesce(became, '-'), coalesce(redriven_offset, -1)
		FROM acctflow.rejected_updates ORDER BY 1 DESC, 2, rejected_at"
}

# Whether all counts add up, and how many were read as the redriven.
counted() {
	same "$(sql "SELECT sum(read), bool_and(complete) FROM acctflow.sources WHERE name LIKE 'redrive-%'")" "$1|t"
	writer status | grep -q '"consistent":true'
	if writer status | grep '"consistent":false'; then return 1; fi
	if compgen -G "$ACCTFLOW_HOME/redrive/*"; then return 1; fi
}

# Makes numbers of the tokens that are strings.
unquote='s/"tokens":"\([0-9]*\)"/"tokens":\1/'

@test "redrive: a kill while its folder is removed leaves no half of one" {
	source "$supervisor"
	mkdir -p redrive/one
	touch redrive/one/{keys,lines,settings}
	rm() { :; }
	redrive_remove redrive/one
	same "$(ls redrive)" new
	unset -f rm
	mkdir redrive/two
	redrive_remove redrive/two
	same "$(ls redrive)" ''
}

@test "redrive: a filter mends what can be mended; each reject goes through once, and its row says what became of it" {
	filled
	same "$(became)" 's|1|-|-1
s|2|-|-1
s|4|-|-1
s|5|-|-1'
	ok redrive --filter "sed '$unquote'"
	has '"indexed":2'
	err_has 'see: acctflow rejected'
	same "$(became)" 's|1|indexed|0
s|2|indexed|1
s|4|rejected|2
s|5|conflict|3
redrive|2|-|-1
redrive|3|-|-1'
	counted 4
	same "$(sql "SELECT id, tokens FROM acctflow.accounts ORDER BY id")" $'a|5\nb|7\nc|8\nd|5'
	# The counts of the first source stay.
	same "$(sql "SELECT read, rejected, conflict FROM acctflow.sources WHERE name = 's'")" '6|3|1'
	same "$(sql "SELECT raw FROM acctflow.rejected_updates WHERE source = 's' AND source_offset = 4")" 'nothing of JSON'
	# Those are through; what was rejected again is a reject as any other.
	fails 1 redrive --source s
	err_has 'no such reject that was neither redriven nor discarded'
	ok redrive --kind record --filter "sed 's/.*/$(update e 9)/'"
	same "$(became | tail -n 2)" 'redrive|2|indexed|0
redrive|3|-|-1'
	counted 5
	same "$(sql "SELECT count(DISTINCT redriven_as) FROM acctflow.rejects")" 2
	# A duplicate leaves no row, and is told all the same; so is a version that came too late.
	sql "UPDATE acctflow.rejects SET raw = '$(update d 1)', raw_bytes = $(update d 1 | tr -d '\n' | wc -c) WHERE kind = 'conflict' AND redriven_as IS NULL"
	sql "INSERT INTO acctflow.rejects (rejected_at, raw_bytes, kind, reason, raw, raw_encoding)
		VALUES (now(), $(update e 8 | tr -d '\n' | wc -c), 'refused', 'r', '$(update e 8)', 'utf8')"
	before=$(sql "SELECT string_agg(quote_literal(redriven_as), ',') FROM acctflow.rejects")
	ok redrive
	same "$(sql "SELECT became FROM acctflow.rejected_updates WHERE redriven_as NOT IN ($before) ORDER BY redriven_offset")" $'duplicate\nstale'
}

@test "redrive: chosen by source, kind, reason and offset; counted by reason" {
	filled
	ok writer rejected --counts
	same "$(sed 's/"first.*"source"/"source"/' <<<"$output")" '{"kind":"record","reason":"tokens: not an integer of digits only, … to …","count":2,"open":2,"source":"s","offset":2}
{"kind":"conflict","reason":"version … is known with other content","count":1,"open":1,"source":"s","offset":5}
{"kind":"record","reason":"unknown word, at byte …","count":1,"open":1,"source":"s","offset":4}'
	# A reason as it is counted chooses what was counted.
	ok "$supervisor" rejected --reason 'tokens: not an integer of digits only, … to …'
	same "${#lines[@]}" 2
	ok "$supervisor" rejected --reason '100%'
	same "$output" ''
	ok "$supervisor" rejected --source s --kind record 4 5
	same "${#lines[@]}" 1
	has '"offset":4,'
	fails 1 "$supervisor" rejected --source nosuch
	err_has 'no source "nosuch"'
	ok redrive --source s --filter "sed '$unquote'" 2
	same "$(became)" 's|1|-|-1
s|2|indexed|0
s|4|-|-1
s|5|-|-1'
	ok "$supervisor" rejected --open
	same "${#lines[@]}" 3
	ok "$supervisor" rejected
	has '"became":"indexed","redrivenAs":"redrive-'
	ok writer rejected --counts --open --kind record
	has '"count":1,"open":1'
	ok writer rejected --counts
	has '"count":2,"open":1'
}

@test "redrive: discarded: nothing more is to be done, and nothing more can be" {
	filled
	ok redrive --discard --reason 'unknown word'
	err_has 'discarded 1 rejects'
	same "$(became)" 's|1|-|-1
s|2|-|-1
s|4|discarded|-1
s|5|-|-1'
	[[ $(sql 'SELECT discarded_at > rejected_at FROM acctflow.rejected_updates WHERE source_offset = 4') == t ]]
	fails 1 redrive --discard --reason 'unknown word'
	err_has 'no such reject'
	fails 1 redrive 4
	err_has 'no such reject'
	ok redrive --filter "sed '$unquote'"
	same "$(became | head -n 4)" 's|1|indexed|0
s|2|indexed|1
s|4|discarded|-1
s|5|conflict|2'
	fails 1 redrive --discard --source s
	counted 3
}

@test "redrive: through a map; an array's records and those that begin one are lines" {
	# Nothing that a file of its own would be taken for: an array, several lines, CSV.
	printf '[{"name":"x",\n "amount":1,\r\n"n":[1,2]},[1,\n2],"id,type\\n1",{"name":"y\\n","amount":2}]' >in
	ok "$supervisor" run --arrival none --source s in
	same "$(became)" 's|0|-|-1
s|1|-|-1
s|2|-|-1
s|3|-|-1'
	cat >map.yaml <<-'END'
		id: /name
		accountType: {value: t}
		tokens: /amount
		version: {value: 1}
		callbackTimeMs: {value: null}
		offset: /amount
	END
	sed 's,^offset.*,unwrap: /n,' map.yaml >unwrap.yaml
	fails 100 redrive --map unwrap.yaml
	err_has 'a line is one record'
	fails 100 redrive --map nosuch
	same "$(sql 'SELECT count(*) FROM acctflow.rejects WHERE redriven_as IS NOT NULL')" 0
	ok redrive --map map.yaml 1 2 0
	same "$(became)" 's|0|indexed|0
s|1|rejected|1
s|2|rejected|2
s|3|-|-1
redrive|1|-|-1
redrive|2|-|-1'
	# The first line is an array.
	ok redrive --shards 2 --map map.yaml --reason '(mapped from'
	same "$(became | tail -n 4)" 'redrive|0|-|-1
redrive|1|rejected|0
redrive|1|-|-1
redrive|2|rejected|1'
	ok redrive --map map.yaml --source s
	same "$(sql 'SELECT id FROM acctflow.accounts ORDER BY id')" $'x\ny'
	counted 6
}

@test "redrive: what cannot be a line is left alone: cut, blank, of several lines that are no JSON; base64 is bytes" {
	writer migrate
	sql "INSERT INTO acctflow.rejects (source_offset, rejected_at, raw_bytes, kind, reason, raw, raw_encoding) VALUES
		(1, '2000-01-01Z', 7, 'record', 'r', '{\"a\":', 'utf8'),
		(2, '2000-01-01Z', 2, 'record', 'r', E' \\t', 'utf8'),
		(3, '2000-01-01Z', 3, 'record', 'r', E'a\\nb', 'utf8'),
		(4, '2000-01-01Z', 3, 'record', 'r', 'a*==', 'base64'),
		(5, '2000-01-01Z', 0, 'record', 'r', '', 'utf8'),
		(6, '2000-01-01Z', 5, 'record', 'r', '/2EKAGI=', 'base64')"
	fails 1 redrive
	err_has '6 of 6 rejects cannot be redriven, the first is that of offset 1 of source "": only its beginning was kept'
	# A NUL, and what is no UTF-8.
	printf '{"id":"\xff","accountType":"t","tokens":5,\n"callbackTimeMs":null,"version":1}' >bytes
	printf 'a\0b' >nul
	for file in bytes nul; do
		sql "INSERT INTO acctflow.rejects (source_offset, rejected_at, raw_bytes, kind, reason, raw, raw_encoding)
			VALUES (7, '2000-01-01Z', $(wc -c <$file), 'record', 'r', '$(base64 -w 0 $file)', 'base64')"
	done
	ok redrive --filter 'tee seen | iconv -f LATIN1 -t UTF-8'
	err_has '6 of 8 rejects cannot be redriven'
	same "$(tr '\n' ' ' <bytes && echo && cat nul && echo | sha256sum)" "$(head -c -1 seen && echo | sha256sum)"
	same "$(sql 'SELECT id FROM acctflow.accounts')" 'ÿ'
	same "$(sql 'SELECT coalesce(became, $$-$$) FROM acctflow.rejected_updates WHERE source IS NULL ORDER BY source_offset, redriven_offset')" $'-\n-\n-\n-\n-\n-\nindexed\nrejected'
	ok redrive --discard
	err_has 'discarded 7 rejects'
}

@test "redrive: a filter that fails, or emits another number of lines, is refused, and nothing was done" {
	filled
	fails 100 redrive --filter 'cat; exit 3'
	err_has 'the filter exited 3; nothing is redriven'
	for filter in 'sed 1d' 'cat; echo {}' 'sed "1s/.*//"' 'sed "1s/.*/ /"' 'sed "1s/.*/\n&/"' true; do
		fails 100 redrive --filter "$filter"
		err_has 'it is to emit one for each, and nothing is redriven'
		if compgen -G "$ACCTFLOW_HOME/redrive/*"; then return 1; fi
	done
	same "$(became | grep -c -- '-|-1')" 4
	same "$(sql "SELECT count(*) FROM acctflow.sources")" 1
	# The last line without its end is one.
	ok redrive --filter "sed '$unquote' | head -c -1"
	counted 4
}

@test "redrive: options that do not go together, and operands that are none" {
	writer migrate
	for option in --again --follow --fleet --until-end --accept-gap; do
		fails 100 redrive $option
		err_has "$option is not for redrive"
	done
	fails 100 redrive --discard --map kafka
	err_has '--discard reads nothing'
	fails 100 "$supervisor" run --filter cat
	err_has '--filter is for redrive'
	fails 100 redrive --kind nosuch
	err_has 'record|refused|conflict'
	for operand in x -1 1.5 99999999999999999999; do
		fails 100 redrive -- "$operand"
		err_has "an OFFSET is a whole number, not \"$operand\""
	done
	fails 100 writer redrive --as n --discard
	fails 100 writer redrive --as n 1 </dev/null
	err_has 'and no others'
	fails 100 writer redrive --as n <<<x
	err_has 'one a line'
	fails 1 redrive
	err_has 'no such reject'
	if compgen -G "$ACCTFLOW_HOME/redrive/*"; then return 1; fi
	fails 100 reader --lines --follow in
	err_has '--lines is for files'
}

@test "redrive: two at once: one of them gets each reject" {
	filled
	writer redrive --source s | cut -d ' ' -f 1 >keys
	same "$(wc -l <keys)" 4
	# Held between choosing and marking.
	mkfifo go
	ACCTFLOW_HOME=$PWD/other redrive --filter "sed '$unquote'; cat go" >out 2>err 5>&- &
	pid=$!
	exec 5>go
	ok redrive --filter "sed '$unquote'" 1
	exec 5>&-
	wait "$pid" && false
	same "$?" 1
	grep -q '1 of 4 rejects were redriven or discarded meanwhile: none is redriven now' err
	same "$(became)" 's|1|indexed|0
s|2|-|-1
s|4|-|-1
s|5|-|-1'
	counted 1
	# All or none, of more than go into one statement too; again is the same.
	fails 1 writer redrive --as n <keys
	tail -n +2 keys >rest
	ok writer redrive --as n <rest
	ok writer redrive --as n <rest
	fails 1 writer redrive --as m <rest
	tac rest >turned
	fails 1 writer redrive --as n <turned
	same "$(sql "SELECT string_agg(redriven_offset::text, ',' ORDER BY reject) FROM acctflow.rejects WHERE redriven_as = 'n'")" 0,1,2
	same "$(became | grep -c pending)" 3
}

# killed LOCK: a redrive that waits for a lock of that kind is killed, and all that it started with it.
killed() {
	local holder
	mkfifo lock
	psql -Xq <lock >/dev/null 5>&- &
	holder=$!
	exec 5>lock
	echo "BEGIN; LOCK TABLE $1;" >&5
	retry 100 held "$1"
	"$supervisor" redrive --filter "sed '$unquote'" >>out 2>>err 5>&- &
	started=$!
	retry 300 waits
	kill -KILL "$started"
	wait "$started" || :
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()" >/dev/null
	exec 5>&-
	wait "$holder"
	rm lock
}
held() {
	[[ $(sql "SELECT count(*) FROM pg_locks WHERE relation = '${1%% *}'::regclass AND granted AND mode = 'ShareLock'") == 1 ]]
}
waits() {
	[[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") -gt 0 ]]
}

@test "redrive: killed while it marks, while it begins, and while it reads: the second time finishes it, once" {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'Citus takes its locks elsewhere'
	for table in rejects inputs history; do
		database_drop
		database
		filled
		killed "acctflow.$table IN SHARE MODE"
		compgen -G "$ACCTFLOW_HOME/redrive/redrive-*/lines"
		case $table in
		rejects) same "$(became | grep -c -- '-|-1')" 4 ;;
		*) same "$(became | grep -c 'pending')" 4 ;;
		esac
		# What it was given the first time holds.
		ok redrive
		err_has 'finishing what was begun: redrive-'
		same "$(became)" 's|1|indexed|0
s|2|indexed|1
s|4|rejected|2
s|5|conflict|3
redrive|2|-|-1
redrive|3|-|-1'
		counted 4
		same "$(sql 'SELECT count(DISTINCT redriven_as) FROM acctflow.rejects')" 1
	done
}

@test "redrive: killed by its filter: nothing was done; killed when all is read: nothing is read again" {
	filled
	fails 137 redrive --filter 'kill -KILL $(ps -o ppid= -p $PPID); sleep 1'
	same "$(became | grep -c -- '-|-1')" 4
	ok redrive --filter "sed '$unquote'; cp -a $ACCTFLOW_HOME/redrive/new kept; sed '$unquote' kept/raw >kept/lines"
	counted 4
	name=$(sql 'SELECT max(redriven_as) FROM acctflow.rejects')
	# As it was before its folder went.
	echo shards=1 >kept/settings
	cp -a kept "$ACCTFLOW_HOME/redrive/$name"
	sql 'SELECT id, version, ingested_at FROM acctflow.history ORDER BY id' >before
	ok redrive --source s
	err_has 'was read to its end and nothing is pending'
	counted 4
	sql 'SELECT id, version, ingested_at FROM acctflow.history ORDER BY id' | cmp - before
}

@test "redrive: under the virtual clock rejects keep their times" {
	{
		printf '%s,"arriveMs":100}\n' "$(update a 1 | sed 's/}$//')"
		printf '%s,"arriveMs":300}\n' "$(update b 1 '"7"' | sed 's/}$//')"
	} >in
	ok "$supervisor" run --clock virtual --arrival recorded --source s in
	ok redrive --clock virtual --filter "sed '$unquote'"
	same "$(sql "SELECT ingested_at AT TIME ZONE 'UTC' FROM acctflow.history WHERE id = 'b'")" '2000-01-01 00:00:00.3'
	same "$(became)" 's|1|indexed|0'
	counted 1
}
