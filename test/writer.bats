#!/usr/bin/env bats
# What a user sees of bin/writer on a database that works: the verbs, each event to the
# byte, and the relations behind them. What a database can do to it: writer-database.bats;
# taking up where it was left: writer-resume.bats.
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

# many N VERSIONS: N updates of 100 accounts with data of 2 kB, versions counting from VERSIONS.
many() {
	seq "$2" $(($1 + $2 - 1)) | sed "s/.*\(..\)\$/{\"id\":\"a\1\",\"accountType\":\"t\",\"tokens\":1,\"callbackTimeMs\":2,\"version\":&,\"data\":\"$(printf '%02000d' 7)\"}/"
}

# refuses MESSAGE ARGUMENT...: exits 100, tells nothing, and the error has MESSAGE.
refuses() {
	fails 100 writer "${@:2}" </dev/null
	err_has "$1"
	same "$output" ''
}

@test "help, version, man page" {
	run writer --help
	[[ $status = 0 && $output = usage:\ writer* ]]
	help=$output
	while read -r option; do
		grep -q -e "Fl Fl ${option#--}" "$root/writer/writer.1" || { echo "not in the manual: $option" && false; }
	done < <(grep -o -e '  *\(-.,\)\? --[a-z-]*' <<<"$help" | grep -o -e '--[a-z-]*')
	while read -r verb; do
		grep -q -e "^\.It Cm $verb" "$root/writer/writer.1" || { echo "not in the manual: $verb" && false; }
	done < <(sed -n '/^verbs:/,$s/^  \([a-z]*\) .*/\1/p' <<<"$help")
	run writer -V
	[[ $status = 0 && $output = "writer (acctflow) "* ]]
	command -v mandoc >/dev/null || skip "no mandoc"
	mandoc -T lint -W warning "$root/writer/writer.1"
}

@test "wrong options, verbs and operands are refused by name" {
	refuses 'unknown option "--wrong"; see writer --help' --wrong
	refuses 'option "--db" wants a value' --db
	refuses '--batch: expected a whole number from 1 to 100000, not "0"' --batch 0
	refuses '--batch: expected a whole number' -b 100001
	refuses '--shard: expected I/N, not "2/2"' --shard 2/2
	refuses '--shard: expected I/N, not "1"' claim --source s --shard 1
	refuses 'unknown option "--lanes"' --lanes 1
	refuses '--deadline: expected a whole number from 0 to 31536000, not "-1"' --deadline -1
	refuses '--clock: expected one of real|virtual, not "x"' --clock x
	refuses '--epoch: expected a time such as 2000-01-01T00:00:00Z, not "2000"' --epoch 2000
	refuses '--format: expected one of auto|json|text|csv, not "xml"' -f xml
	refuses '--token: expected a whole number' --resume --token -1
	refuses 'unknown verb "wrong"' wrong
	refuses 'unexpected operand "file.json"' run file.json
	refuses 'unexpected operand "more"' status more
	refuses 'history wants an operand: writer history ID' history
	refuses 'unexpected operand "B"' history A B
	refuses 'claim wants --source NAME' claim
	refuses '"pasword"' --db 'host=x pasword=y'
	[[ ${ACCTFLOW_TEST_CITUS-} || -z $(sql "SELECT to_regnamespace('acctflow')") ]]
}

@test "each event, to the byte, and rows to match" {
	cat >in <<-'END'
		{"event":"begin","source":"s","seed":5,"arrival":"recorded","delayMs":"0:1000","speed":"1","clock":"virtual","fingerprint":null,"startedAt":"2000-01-01T00:00:00.000000Z"}
		{"source":"s","offset":0,"id":"ID1","accountType":"mint","tokens":7,"callbackTimeMs":400,"version":1,"data":{"a":1},"arriveMs":550}
		{"source":"s","offset":1,"id":"ID1","accountType":"mint","tokens":9,"callbackTimeMs":400,"version":3,"data":{"a":2},"arriveMs":650,"trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
		{"source":"s","offset":2,"id":"ID1","accountType":"mint","tokens":8,"callbackTimeMs":0,"version":2,"data":null,"arriveMs":700}
		{"source":"s","offset":3,"id":"ID1","accountType":"mint","tokens":9,"callbackTimeMs":400,"version":3,"data":{ "a" : 2 },"arriveMs":700}
		{"source":"s","offset":4,"id":"ID1","accountType":"mint","tokens":10,"callbackTimeMs":400,"version":3,"data":{"a":2},"arriveMs":699}
		{"event":"rejected","source":"s","offset":5,"reason":"version: missing","line":7,"raw":"{\"id\":\"ID1\"}","rawBytes":12,"rawEncoding":"utf8"}
		{"event":"news","anything":[1, 2],"source":"s"}
		{"event":"ignored","source":"s","offset":6,"reason":"skipped","arriveMs":710}
		{"event":"ignored","reason":"skipped"}
		{"event":"ignored","source":"s","offset":6,"reason":"other", "n":1}
		{"source":"s","offset":7,"id":"ID2","accountType":"mint","tokens":0,"callbackTimeMs":31536000000,"version":0}
		{"event":"ignored","source":"s","offset":8,"more":1,"reason":"skipped"}
		{"event":"end","source":"s","read":9,"complete":true}
	END
	cat >want <<-'END'
		{"event":"begin","source":"s","seed":5,"arrival":"recorded","delayMs":"0:1000","speed":"1","clock":"virtual","fingerprint":null,"startedAt":"2000-01-01T00:00:00.000000Z"}
		{"event":"indexed","source":"s","offset":0,"id":"ID1","version":1,"accountType":"mint","tokens":7,"callbackTimeMs":400,"data":{"a":1},"ingestedAt":"2000-01-01T00:00:00.550000Z","dueAt":"2000-01-01T00:00:00.950000Z"}
		{"event":"indexed","source":"s","offset":1,"id":"ID1","version":3,"accountType":"mint","tokens":9,"callbackTimeMs":400,"data":{"a":2},"ingestedAt":"2000-01-01T00:00:00.650000Z","dueAt":"2000-01-01T00:00:01.050000Z","trace":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
		{"event":"ignored","source":"s","offset":2,"id":"ID1","version":2,"ingestedAt":"2000-01-01T00:00:00.700000Z","currentVersion":3,"reason":"stale"}
		{"event":"ignored","source":"s","offset":3,"id":"ID1","version":3,"ingestedAt":"2000-01-01T00:00:00.700000Z","currentVersion":3,"reason":"duplicate"}
		{"event":"ignored","source":"s","offset":4,"id":"ID1","version":3,"ingestedAt":"2000-01-01T00:00:00.700000Z","currentVersion":3,"reason":"conflict"}
		{"event":"rejected","source":"s","offset":5,"ingestedAt":"2000-01-01T00:00:00.700000Z","reason":"version: missing","line":7,"raw":"{\"id\":\"ID1\"}","rawBytes":12,"rawEncoding":"utf8"}
		{"event":"news","anything":[1, 2],"source":"s"}
		{"event":"ignored","source":"s","offset":6,"reason":"skipped","arriveMs":710}
		{"event":"ignored","reason":"skipped"}
		{"event":"ignored","source":"s","offset":6,"reason":"other", "n":1}
		{"event":"indexed","source":"s","offset":7,"id":"ID2","version":0,"accountType":"mint","tokens":0,"callbackTimeMs":31536000000,"data":null,"ingestedAt":"2000-01-01T00:00:00.710000Z","dueAt":"2000-12-31T00:00:00.710000Z"}
		{"event":"ignored","source":"s","offset":8,"reason":"skipped"}
		{"event":"end","source":"s","read":9,"complete":true}
	END
	writer --clock virtual <in >out
	diff want out
	same "$(counts)" '9|3|1|1|1|2|1'
	same "$(sql "SELECT id, version, account_type, tokens, data, callback_time_ms, ingested_at FROM acctflow.accounts ORDER BY id")" \
		'ID1|3|mint|9|{"a": 2}|400|2000-01-01 00:00:00.65+00
ID2|0|mint|0|null|31536000000|2000-01-01 00:00:00.71+00'
	same "$(sql "SELECT id, version, account_type, tokens, data, callback_time_ms, ingested_at, applied, source, source_offset, trace
		FROM acctflow.account_updates ORDER BY id, version")" \
		'ID1|1|mint|7|{"a":1}|400|2000-01-01 00:00:00.55+00|t|s|0|
ID1|2|mint|8|null|0|2000-01-01 00:00:00.7+00|f|s|2|
ID1|3|mint|9|{"a":2}|400|2000-01-01 00:00:00.65+00|t|s|1|"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ID2|0|mint|0|null|31536000000|2000-01-01 00:00:00.71+00|t|s|7|'
	same "$(sql "SELECT * FROM acctflow.callbacks ORDER BY id, version")" \
		'ID1|1|2000-01-01 00:00:00.95+00|cancelled|2000-01-01 00:00:00.65+00
ID1|3|2000-01-01 00:00:01.05+00|pending|
ID2|0|2000-12-31 00:00:00.71+00|pending|'
	same "$(sql "SELECT source, source_offset, kind, reason, raw, raw_bytes, raw_encoding, rejected_at FROM acctflow.rejected_updates ORDER BY 2")" \
		's|4|conflict|version 3 is known with other content|{"source":"s","offset":4,"id":"ID1","accountType":"mint","tokens":10,"callbackTimeMs":400,"version":3,"data":{"a":2},"arriveMs":699}|132|utf8|2000-01-01 00:00:00.7+00
s|5|record|version: missing|{"id":"ID1"}|12|utf8|2000-01-01 00:00:00.7+00'
	same "$(sql "SELECT name, committed_offset, delivered_offset, complete, seed, arrival, delay_ms, speed, clock, fingerprint, started_at FROM acctflow.sources")" \
		's|8||t|5|recorded|0:1000|1|virtual||2000-01-01 00:00:00+00'
}

@test "the relations have the contract's columns and types" {
	writer migrate
	same "$(sql "SELECT string_agg(table_name || '.' || column_name || ' ' || data_type
			|| CASE WHEN data_type = 'numeric' AND table_name <> 'sources' THEN ' ' || numeric_precision || ' ' || numeric_scale ELSE '' END, E'\n'
			ORDER BY table_name, column_name)
		FROM information_schema.columns WHERE table_schema = 'acctflow' AND table_name || '.' || column_name IN (
		'accounts.id', 'accounts.account_type', 'accounts.tokens', 'accounts.version', 'accounts.data', 'accounts.callback_time_ms',
		'accounts.ingested_at', 'account_updates.id', 'account_updates.version', 'account_updates.account_type', 'account_updates.tokens',
		'account_updates.data', 'account_updates.callback_time_ms', 'account_updates.ingested_at', 'account_updates.applied',
		'account_updates.source', 'account_updates.source_offset', 'callbacks.id', 'callbacks.version', 'callbacks.due_at',
		'callbacks.state', 'callbacks.settled_at', 'rejected_updates.source', 'rejected_updates.source_offset', 'rejected_updates.reason',
		'rejected_updates.raw', 'rejected_updates.raw_bytes', 'rejected_updates.rejected_at', 'sources.name', 'sources.committed_offset',
		'sources.delivered_offset', 'sources.read', 'sources.indexed', 'sources.stale', 'sources.duplicate', 'sources.conflict',
		'sources.skipped', 'sources.rejected', 'sources.updated_at')")" \
		'account_updates.account_type text
account_updates.applied boolean
account_updates.callback_time_ms bigint
account_updates.data json
account_updates.id text
account_updates.ingested_at timestamp with time zone
account_updates.source text
account_updates.source_offset bigint
account_updates.tokens numeric 20 0
account_updates.version bigint
accounts.account_type text
accounts.callback_time_ms bigint
accounts.data jsonb
accounts.id text
accounts.ingested_at timestamp with time zone
accounts.tokens numeric 20 0
accounts.version bigint
callbacks.due_at timestamp with time zone
callbacks.id text
callbacks.settled_at timestamp with time zone
callbacks.state text
callbacks.version bigint
rejected_updates.raw text
rejected_updates.raw_bytes bigint
rejected_updates.reason text
rejected_updates.rejected_at timestamp with time zone
rejected_updates.source text
rejected_updates.source_offset bigint
sources.committed_offset bigint
sources.conflict bigint
sources.delivered_offset bigint
sources.duplicate bigint
sources.indexed bigint
sources.name text
sources.read bigint
sources.rejected bigint
sources.skipped bigint
sources.stale bigint
sources.updated_at timestamp with time zone'
}

@test "v1, v3, v2 and v3 again of one account in one batch, outcomes in the order of input" {
	{
		update a 1
		update a 3
		update b 0
		update a 2
		update a 3
		update a 3 '"data":1'
		update a 1
		update a 4
	} >in
	writer <in >out
	same "$(members event id version reason currentVersion <out)" \
		'indexed a 1 - - 
indexed a 3 - - 
indexed b 0 - - 
ignored a 2 stale 3 
ignored a 3 duplicate 3 
ignored a 3 conflict 3 
ignored a 1 duplicate 3 
indexed a 4 - - '
	same "$(batches history | wc -l)" 1
	same "$(sql "SELECT version, state FROM acctflow.callbacks WHERE id = 'a' ORDER BY 1")" $'1|cancelled\n3|cancelled\n4|pending'
}

@test "a batch of 1, of 7, of all: the same bytes and the same relations" {
	generate --updates 1300 --accounts 40 --seed 3 --edges >data
	reader --arrival offset --clock virtual --seed 9 --source s data >in
	for n in 1 7 300 100000; do
		database_drop
		database
		writer --clock virtual --batch $n <in >out.$n
		psql -Xq -f "$root/test/relations.sql" | LC_ALL=C sort >rows.$n
		cmp out.1 out.$n
		cmp rows.1 rows.$n
	done
	[[ $(wc -l <out.1) == 1302 ]]
	many=$(batches history | wc -l)
	# There each record has a time of its own, and each shard transactions of its own.
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] ||
		many=$(sql "SELECT max(result::integer) FROM run_command_on_shards('acctflow.history', 'SELECT count(DISTINCT xmin::text) FROM %s')")
	((many < 10))
	for reason in stale duplicate conflict; do
		grep -q "\"reason\":\"$reason\"" out.1
	done
}

@test "integers are exact to 64 bits" {
	for id in a b; do
		printf '{"id":"%s","accountType":"t","tokens":18446744073709551615,"callbackTimeMs":31536000000,"version":9223372036854775807}\n' $id
		update $id 9223372036854775806 | sed 's/"tokens":1/"tokens":18446744073709551614/'
		update $id 0 | sed 's/"tokens":1/"tokens":9007199254740993/'
	done >in
	# By arrays and by COPY.
	for i in {1..500}; do update "n$i" 0 | sed "s/\"tokens\":1/\"tokens\":$((i * 9999))/"; done >>in
	head -n 3 in | writer >out
	writer <in >>out
	has_line() { grep -q -e "$1" out; }
	has_line '"version":9223372036854775807,.*"tokens":18446744073709551615,"callbackTimeMs":31536000000,'
	has_line '"version":9223372036854775806,.*"currentVersion":9223372036854775807,"reason":"stale"'
	same "$(sql "SELECT id, version, tokens FROM acctflow.account_updates WHERE id < 'n' ORDER BY 1, 2")" \
		'a|0|9007199254740993
a|9223372036854775806|18446744073709551614
a|9223372036854775807|18446744073709551615
b|0|9007199254740993
b|9223372036854775806|18446744073709551614
b|9223372036854775807|18446744073709551615'
	same "$(sql "SELECT version, tokens FROM acctflow.accounts WHERE id < 'n'")" \
		$'9223372036854775807|18446744073709551615\n9223372036854775807|18446744073709551615'
	same "$(sql "SELECT count(*) FROM acctflow.account_updates WHERE id LIKE 'n%' AND tokens = substr(id, 2)::integer * 9999")" 500
	same "$(writer richest | head -n 2)" \
		'{"accountType":"t","tokens":18446744073709551615,"version":9223372036854775807,"id":"a","data":null}
{"accountType":"t","tokens":18446744073709551615,"version":9223372036854775807,"id":"b","data":null}'
	same "$(writer history a | members version tokens)" $'0 9007199254740993 \n9223372036854775806 18446744073709551614 \n9223372036854775807 18446744073709551615 '
}

@test "names that would break a query, a line or a terminal" {
	cat >in <<-'END'
		{"id":"';DROP TABLE x;--","accountType":"\"quoted\" \\back","tokens":1,"callbackTimeMs":2,"version":1,"data":{"$1":"%s"}}
		{"id":"tab\tnewline\ncontrol\u0001\u001b[2J","accountType":"t","tokens":1,"callbackTimeMs":2,"version":1}
		{"id":"\u00e9 \ud83d\udcb0","accountType":"日本","tokens":1,"callbackTimeMs":2,"version":1,"data":"\u202e"}
		{"id":"é 💰","accountType":"日本","tokens":1,"callbackTimeMs":2,"version":1,"data":"\u202e"}
		{"id":"NULL","accountType":"{a,\"b\"}","tokens":1,"callbackTimeMs":2,"version":1}
	END
	printf '{"id":"%0255d","accountType":"%0255d","tokens":1,"callbackTimeMs":2,"version":1}\n' 1 2 >>in
	writer <in >out 2>err
	run ! grep -v ' info ' err
	same "$(members event reason id <out | cut -c -50 | sed -n 3,4p)" $'indexed - é 💰 \nignored duplicate é 💰 '
	grep -qF '"id":"'"';DROP TABLE x;--"'","version":1,"accountType":"\"quoted\" \\back"' out
	grep -qF '"id":"tab\tnewline\ncontrol\u0001\u001b[2J","version":1' out
	same "$(sql "SELECT count(*), count(*) FILTER (WHERE id = E'tab\tnewline\ncontrol\x01\x1b[2J'), count(*) FILTER (WHERE id = 'é 💰'),
		count(*) FILTER (WHERE length(id) = 255 AND length(account_type) = 255), count(*) FILTER (WHERE account_type = '{a,\"b\"}')
		FROM acctflow.accounts")" '5|1|1|1|1'
	ok writer history $'tab\tnewline\ncontrol\x01\x1b[2J'
	has '"id":"tab\tnewline\ncontrol\u0001\u001b[2J"'
	ok writer history --format text $'tab\tnewline\ncontrol\x01\x1b[2J'
	hasnt $'\x1b'
	hasnt $'\x01'
	fails 1 writer richest --type "x' OR true --"
	same "$output" ''
	ok writer richest --type '日本'
	has '"id":"é 💰"'
}

@test "data is kept as it came, and can be queried" {
	cat >in <<-'END'
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2,"version":1,"data":{"z":1.500,"a":[1e2,{}],"\u00e9":"\u0041\/","z2":12345678901234567890123.10}}
		{"id":"b","accountType":"t","tokens":1,"callbackTimeMs":2,"version":1,"data": { "k" : [ 1 , " s p " ] , "k" : 2 } }
		{"id":"c","accountType":"t","tokens":1,"callbackTimeMs":2,"version":1,"data":"text"}
		{"id":"d","accountType":"t","tokens":1,"callbackTimeMs":2,"version":1}
	END
	writer <in >out
	same "$(sed -n 's/.*"data":\(.*\),"ingestedAt".*/\1/p' out)" \
		'{"z":1.500,"a":[1e2,{}],"\u00e9":"\u0041\/","z2":12345678901234567890123.10}
{"k":[1," s p "],"k":2}
"text"
null'
	same "$(sql 'SELECT data FROM acctflow.account_updates ORDER BY id')" "$(sed -n 's/.*"data":\(.*\),"ingestedAt".*/\1/p' out)"
	same "$(sql "SELECT data->>'é', data->'z2', data->'a'->0 FROM acctflow.accounts WHERE data @> '{\"z\":1.5}'")" 'A/|12345678901234567890123.10|100'
	same "$(sql "SELECT data FROM acctflow.accounts WHERE id = 'd'")" null
	ok writer history a
	has '"data":{"z":1.500,"a":[1e2,{}],"\u00e9":"\u0041\/","z2":12345678901234567890123.10}'
	# The same with white space elsewhere is the same; another text is not.
	sed -n '2s/ //gp' in | sed 's/"sp"/" s p "/' | writer >again
	sed -n '3s/"text"/"te\\u0078t"/p' in | writer >>again
	same "$(members reason <again)" $'duplicate \nconflict '
}

@test "a record that breaks a rule is rejected in its place, told and kept, and the rest goes on" {
	{
		update a 1
		echo 'not JSON'
		update b 1 | sed 's/,"version":1//'
		update c -1
		printf '{"id":"\xff"}\n'
		update d 18446744073709551616
		echo '{"id":"a\u0000"}'
		update e 1
	} >in
	ok writer <in
	same "$(members event id reason rawBytes rawEncoding <<<"$output")" 'indexed a - - - 
rejected - unknown word, at byte 1 8 utf8 
rejected - version: missing 58 utf8 
rejected - version: not an integer of digits only, 0 to 9223372036854775807 71 utf8 
rejected - id: invalid UTF-8, at byte 8 10 base64 
rejected - version: out of range 0 to 9223372036854775807 89 utf8 
rejected - id: \\u0000 in a string, which Postgres cannot store, at byte 9 16 utf8 
indexed e - - - '
	same "$(sql 'SELECT count(*), count(source), count(source_offset), min(raw_bytes) FROM acctflow.rejected_updates')" '6|0|0|8'
	same "$(sql "SELECT raw, raw_encoding FROM acctflow.rejected_updates WHERE reason LIKE 'id: invalid%'")" 'eyJpZCI6Iv8ifQ==|base64'
	same "$(sql "SELECT raw FROM acctflow.rejected_updates WHERE reason LIKE 'unknown%'")" 'not JSON'
	fails 1 writer --strict <in
	has '"event":"rejected"'
	update z 1 | ok writer --strict
	ok writer rejected
	same "$(members reason rawBytes <<<"$output" | head -n 1)" 'unknown word, at byte 1 8 '
	same "$(wc -l <<<"$output")" 12
}

@test "a rejected record on the virtual clock has a time of it" {
	{
		echo x
		update a 1 '"arriveMs":5'
		echo y
		update b 1
	} >in
	writer --clock virtual --epoch 2010-01-01T00:00:00Z <in >out
	same "$(members ingestedAt <out)" '2010-01-01T00:00:00.000000Z 
2010-01-01T00:00:00.005000Z 
2010-01-01T00:00:00.005000Z 
2010-01-01T00:00:00.005000Z '
}

@test "nothing but what is skipped: each is emitted only behind its commit, counted, and writes no row" {
	writer migrate
	feed
	skipped s 0 >&5
	retry 100 emitted 1
	same "$(counts)" '1|0|0|0|0|1|0'
	held 'LOCK TABLE acctflow.pipelines IN SHARE MODE'
	skipped s 1 >&5
	retry 100 waits 1
	same "$(counts)" '1|0|0|0|0|1|0'
	emitted 1
	release
	for i in {2..400}; do skipped s "$i"; done >&5
	exec 5>&-
	ended 0
	same "$(cat out)" "$(for i in {0..400}; do skipped s "$i"; done)"
	same "$(counts)" '401|0|0|0|0|401|0'
	same "$(sql "SELECT committed_offset FROM acctflow.sources")" 400
	same "$(sql "SELECT (SELECT count(*) FROM acctflow.history) + (SELECT count(*) FROM acctflow.latest) + (SELECT count(*) FROM acctflow.rejects)")" 0
	ok writer status
	has '"read":401,"indexed":0,"stale":0,"duplicate":0,"conflict":0,"skipped":401,"rejected":0,'
	has '"committed":400,"delivered":null,"complete":false,"broken":false,"consistent":true}'
	writer ack <out >/dev/null
	same "$(sql "SELECT delivered_offset FROM acctflow.sources")" 400
}

@test "long records: raw is kept up to 64 KiB, a giant is indexed whole" {
	{
		printf '{"id":"a","data":"'
		head -c 100000 /dev/zero | tr '\0' x
		printf '"}\n'
		printf '{"id":"b","accountType":"t","tokens":1,"callbackTimeMs":2,"version":1,"data":"'
		head -c 9000000 /dev/zero | tr '\0' y
		printf '"}\n'
		printf '{"id":"c","data":"'
		head -c 40000000 /dev/zero | tr '\0' z
		printf '"}\n'
		update d 1
	} >in
	writer <in >out
	same "$(members event reason rawBytes <out | cut -c -80)" 'rejected accountType: missing 100020 
indexed - - 
rejected longer than 16 MiB 40000020 
indexed - - '
	same "$(sql 'SELECT length(raw), raw_bytes FROM acctflow.rejected_updates ORDER BY 2')" $'65536|100020\n65536|40000020'
	same "$(sql "SELECT length(data::text) FROM acctflow.account_updates WHERE id = 'b'")" 9000002
}

@test "what Postgres refuses is rejected with its own words, and its neighbours go on" {
	writer migrate
	sql "ALTER TABLE acctflow.history ADD CONSTRAINT unlucky CHECK (tokens <> 13)"
	for n in 700 20; do
		for ((i = 0; i < n; i++)); do
			placed "s$n" $i "a$n-$i" 1 | sed "s/\"tokens\":1,/\"tokens\":$((i % 300 == 13 ? 13 : 1)),/"
		done >in
		writer <in >out 2>err
		emitted $n
		same "$(members event offset reason <out | grep -v indexed | cut -d ' ' -f 1,2,3,4,5,6)" \
			"$(for ((i = 13; i < n; i += 300)); do echo "rejected $i new row for relation"; done)"
	done
	same "$(counts)" $'20|19|0|0|0|0|1\n700|697|0|0|0|0|3'
	same "$(sql "SELECT count(*) FROM acctflow.accounts")" 716
	same "$(sql "SELECT raw::json->>'id', raw_bytes = length(raw) FROM acctflow.rejected_updates WHERE source = 's20'")" 'a20-13|t'
}

@test "updates without a source are indexed all the same, and belong to no source" {
	{
		update a 1
		update a 2
		update b 1 '"offset":7'
		update c 1 '"source":"s"'
	} | writer >out
	same "$(members event source offset id <out)" 'indexed - - a 
indexed - - a 
indexed - - b 
indexed s - c '
	same "$(sql 'SELECT name, committed_offset, read FROM acctflow.sources')" 's||1'
	same "$(sql "SELECT count(*) FROM acctflow.account_updates WHERE source IS NULL AND source_offset IS NULL")" 3
}

@test "several sources in one input: each has its counts, the newest version wins" {
	{
		placed s 0 a 1
		placed t 0 a 3
		placed s 1 a 2
		placed t 1 b 1
		placed s 2 a 3
		update a 9
		placed t 2 a 4
	} | writer >out
	same "$(members event source offset id version reason <out)" 'indexed s 0 a 1 - 
indexed t 0 a 3 - 
ignored s 1 a 2 stale 
indexed t 1 b 1 - 
ignored s 2 a 3 duplicate 
indexed - - a 9 - 
ignored t 2 a 4 stale '
	same "$(sql 'SELECT name, committed_offset, read, indexed, stale, duplicate FROM acctflow.sources ORDER BY 1')" $'s|2|3|1|1|1\nt|2|3|2|1|0'
	same "$(writer status --source t | members source read indexed cancelled pending)" 't 3 2 1 1 '
}

@test "by hand the same again is all duplicates" {
	reader --clock virtual --source s "$root/data/challenge-input.json" >in
	writer --clock virtual <in >first
	before=$(sql 'SELECT * FROM acctflow.account_updates ORDER BY id, version')
	accounts=$(sql 'SELECT id, version, tokens, data, ingested_at FROM acctflow.accounts ORDER BY id')
	writer --clock virtual <in >second
	same "$(members event reason <second | sort | uniq -c | sed 's/^ *//')" "$(members event reason <first |
		sed 's/indexed - /ignored duplicate /; s/ignored stale /ignored duplicate /' | sort | uniq -c | sed 's/^ *//')"
	same "$(sql 'SELECT * FROM acctflow.account_updates ORDER BY id, version')" "$before"
	same "$(sql 'SELECT id, version, tokens, data, ingested_at FROM acctflow.accounts ORDER BY id')" "$accounts"
	run ! grep -q replayed second
}

@test "the project's sample: the counts reconcile, and the highest versions are the richest" {
	reader --clock virtual --source s "$root/data/challenge-input.json" | writer --clock virtual >out
	same "$(sql 'SELECT read = indexed + stale + duplicate + conflict + skipped + rejected FROM acctflow.sources')" t
	same "$(sql "SELECT read FROM acctflow.sources")" "$(grep -vc -e '"event":"begin"' -e '"event":"end"' out)"
	for kind in stale duplicate conflict; do
		same "$(sql "SELECT $kind FROM acctflow.sources")" "$(grep -c "\"reason\":\"$kind\"" out || true)"
	done
	same "$(sql "SELECT indexed FROM acctflow.sources")" "$(grep -c '"event":"indexed"' out)"
	same "$(sql "SELECT rejected FROM acctflow.sources")" "$(grep -c '"event":"rejected"' out)"
	same "$(sql "SELECT count(*) FROM acctflow.callbacks")" "$(grep -c '"event":"indexed"' out)"
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending'")" "$(sql 'SELECT count(*) FROM acctflow.accounts')"
	same "$(writer richest | members accountType tokens id)" "$(sql "SELECT DISTINCT ON (account_type) account_type || ' ' || tokens || ' ' || id || ' '
		FROM acctflow.accounts ORDER BY account_type, tokens DESC, id")"
}

@test "the challenge's own input" {
	input=$root/../shared/data/challenge-input.json
	[[ -e $input ]] || skip "not here"
	reader --arrival none --source s "$input" | writer >out
	same "$(counts)" '124|96|23|0|0|0|5'
	same "$(sql 'SELECT count(*) FROM acctflow.account_updates')" 119
	same "$(writer richest | members accountType tokens version id | sed 's/\( [^ ]\{8\}\)[^ ]* $/\1/')" 'account 517 39 gkDF8QaR
auction 271 11 kbtvQBEr
auctionData 960 11 cYcekbx6
escrow 880 12 A72KnHfa
masterEdition 772 12 U5kG5d2y
metadata 696 12 ZBTDeX9W
mint 330 39 6BhkGCMV'
}

@test "richest: ties by id, one type, a table for people" {
	{
		update b 1
		update a 1
		update c 1 | sed 's/"tokens":1/"tokens":99/'
		update c 2 | sed 's/"tokens":1/"tokens":1/'
		update d 1 | sed 's/"t"/"other"/'
	} | writer >/dev/null
	same "$(writer richest | members accountType tokens version id)" 'other 1 1 d 
t 1 1 a 
t 1 1 b 
t 1 2 c '
	same "$(writer richest --type other | members id)" 'd '
	same "$(writer richest --format text)" 'Highest-token account of each type
account type  tokens  version  id  data
other              1        1  d   null
t                  1        1  a   null
t                  1        1  b   null
t                  1        2  c   null'
}

@test "history: every version, its outcome, and what changed" {
	cat >in <<-'END'
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2,"version":1,"data":{"x":1,"y":2},"source":"s","offset":0,"arriveMs":1}
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2,"version":4,"data":{"x":1,"z":2},"source":"s","offset":1,"arriveMs":2}
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2,"version":3,"data":[],"source":"s","offset":2,"arriveMs":3}
		{"id":"b","accountType":"t","tokens":1,"callbackTimeMs":2,"version":1,"source":"s","offset":3,"arriveMs":4}
	END
	writer --clock virtual <in >/dev/null
	same "$(writer history a)" '{"id":"a","version":1,"deleted":false,"accountType":"t","tokens":1,"callbackTimeMs":2,"data":{"x":1,"y":2},"ingestedAt":"2000-01-01T00:00:00.001000Z","dueAt":"2000-01-01T00:00:00.003000Z","state":"cancelled","settledAt":"2000-01-01T00:00:00.002000Z","supersededBy":4,"changes":null,"source":"s","offset":0}
{"id":"a","version":3,"deleted":false,"accountType":"t","tokens":1,"callbackTimeMs":2,"data":[],"ingestedAt":"2000-01-01T00:00:00.003000Z","dueAt":null,"state":"stale","settledAt":null,"supersededBy":null,"changes":null,"source":"s","offset":2}
{"id":"a","version":4,"deleted":false,"accountType":"t","tokens":1,"callbackTimeMs":2,"data":{"x":1,"z":2},"ingestedAt":"2000-01-01T00:00:00.002000Z","dueAt":"2000-01-01T00:00:00.004000Z","state":"pending","settledAt":null,"supersededBy":null,"changes":[{"path": "/data/y", "before": 2}, {"path": "/data/z", "value": 2}],"source":"s","offset":1}'
	fails 1 writer history $'no\nbody'
	same "$output" ''
	err_has ' error writer['
	err_has ' no account "no\u000abody"'
	fails 1 writer history --format text nobody
	same "$output" 'Versions: none'
}

@test "status and pending: of all, of one source, for people" {
	{
		placed s 0 a 1 '"arriveMs":0'
		placed s 1 b 1 '"arriveMs":5'
		placed s 2 a 2 '"arriveMs":9,"trace":"x"'
		placed t 0 c 1 '"arriveMs":1'
		update d 1 '"arriveMs":10'
	} | writer --clock virtual >/dev/null
	same "$(writer status)" '{"source":"s","shard":"0/1","read":3,"indexed":3,"stale":0,"duplicate":0,"conflict":0,"skipped":0,"rejected":0,"fired":0,"failed":0,"cancelled":1,"pending":2,"withoutCallback":0,"pruned":0,"committed":2,"delivered":null,"complete":false,"broken":false,"consistent":true}
{"source":"t","shard":"0/1","read":1,"indexed":1,"stale":0,"duplicate":0,"conflict":0,"skipped":0,"rejected":0,"fired":0,"failed":0,"cancelled":0,"pending":1,"withoutCallback":0,"pruned":0,"committed":0,"delivered":null,"complete":false,"broken":false,"consistent":true}'
	same "$(writer status -S t | members source)" 't '
	same "$(writer pending | members event source id version dueAt)" 'pending t c 1 2000-01-01T00:00:00.003000Z 
pending s b 1 2000-01-01T00:00:00.007000Z 
pending s a 2 2000-01-01T00:00:00.011000Z 
pending - d 1 2000-01-01T00:00:00.012000Z '
	same "$(writer pending --source s | tail -n 1)" \
		'{"event":"pending","source":"s","offset":2,"id":"a","version":2,"accountType":"t","tokens":1,"callbackTimeMs":2,"data":null,"ingestedAt":"2000-01-01T00:00:00.009000Z","dueAt":"2000-01-01T00:00:00.011000Z","trace":"x"}'
	echo '{"event":"fired","id":"b","version":1,"firedAt":"2000-01-01T00:00:01Z"}' | writer ack >/dev/null
	same "$(writer pending --source s | members id)" 'a '
	same "$(writer status -S s | members fired cancelled pending)" '1 1 1 '
	same "$(writer status -f text | sed -n '1p;3s/ .*//p')" $'Sources, by shard\ns'
}

@test "sources: what is kept of each, without a look at any account" {
	for name in s t; do
		{
			placed $name 0 a 1
			placed $name 1 a 1
		} | writer | writer ack >/dev/null
	done
	held 'LOCK TABLE acctflow.latest, acctflow.history, acctflow.outcomes, acctflow.rejects IN ACCESS EXCLUSIVE MODE'
	ok timeout 60 writer sources
	same "$output" '{"source":"s","shards":1,"read":2,"indexed":1,"stale":0,"duplicate":1,"conflict":0,"skipped":0,"rejected":0,"withoutCallback":0,"pruned":0,"committed":1,"delivered":1,"complete":false,"broken":false}
{"source":"t","shards":1,"read":2,"indexed":0,"stale":0,"duplicate":2,"conflict":0,"skipped":0,"rejected":0,"withoutCallback":0,"pruned":0,"committed":1,"delivered":1,"complete":false,"broken":false}'
	ok timeout 60 writer sources --source t --format text
	same "${lines[2]%% *}" t
	same "${#lines[@]}" 3
}

@test "an update that arrives alone is committed at once, and told only then" {
	feed run
	placed s 0 a 1 >&5
	retry 100 emitted 1
	same "$(sql 'SELECT count(*) FROM acctflow.account_updates')" 1
	held
	placed s 1 b 1 >&5
	retry 100 waits 1
	emitted 1
	release
	retry 100 emitted 2
	exec 5>&-
	ended 0
}

@test "what comes in while a batch is in flight makes the next one" {
	feed run
	update first 1 >&5
	retry 100 emitted 1
	held
	update alone 1 >&5
	retry 100 waits 1
	for i in {1..200}; do update "a$i" 1; done >&5
	release
	retry 100 emitted 202
	exec 5>&-
	ended 0
	same "$(batches latest)" $'1\n1\n200'
}

@test "told to stop it finishes what was read" {
	feed run
	placed s 0 a 1 >&5
	retry 100 emitted 1
	held
	placed s 1 b 1 >&5
	placed s 2 c 1 >&5
	retry 100 waits 1
	kill -TERM "$pid"
	release
	ended 0
	emitted 3
	same "$(counts)" '3|3|0|0|0|0|0'
}

@test "told to stop while nothing comes it ends, and so it does while everything comes" {
	feed run
	placed s 0 a 1 >&5
	retry 100 emitted 1
	kill -INT "$pid"
	ended 0
	feed run
	yes "$(update b 1)" >&5 2>/dev/null &
	retry 100 test -s out
	kill -TERM "$pid"
	retry 100 gone "$pid"
	ended 0
}

@test "told to stop in the middle of a file it does not go on to its end" {
	writer migrate
	many 30000 1000 >in
	held
	writer <in >out 2>err 3>&- 6>&- &
	pid=$!
	retry 100 waits 1
	kill -TERM "$pid"
	release
	ended 0
	same "$(sql 'SELECT count(*) FROM acctflow.account_updates')" "$(wc -l <out)"
	(($(wc -l <out) > 0 && $(wc -l <out) < 15000))
}

@test "a second signal ends it at once" {
	feed run
	placed s 0 a 1 >&5
	retry 100 emitted 1
	held
	placed s 1 b 1 >&5
	retry 100 waits 1
	kill -TERM "$pid"
	retry 100 grep -q '^SigPnd:.*0000$' "/proc/$pid/status"
	stopped() {
		kill -TERM "$pid" 2>/dev/null
		gone "$pid"
	}
	retry 100 stopped
	ended 143
	release
	retry 100 waits 0
	emitted 1
}

@test "output that cannot be written" {
	update a 1 >in
	fails 111 bash -c 'writer <in >/dev/full'
	err_has 'could not write standard output: No space left on device'
	for verb in status richest 'history a' pending rejected 'claim --source s'; do
		update a 1 | writer >/dev/null
		echo x | writer >/dev/null
		placed s 0 a 1 | writer >/dev/null
		fails 111 bash -c "writer $verb >/dev/full"
	done
	fails 111 bash -c 'echo "{\"event\":\"x\"}" | writer ack >/dev/full'
	for ((i = 0; i < 9999; i++)); do update new $i; done >in
	fails 0 bash -c 'set -o pipefail; writer <in | head -n 1 | grep -q indexed'
	same "$stderr" ''
}

@test "input that is not whole" {
	{
		update a 1
		update b 1 | tr -d '\n'
	} | writer >out
	emitted 2
	ok bash -c 'printf "{\"id\":\"c\"" | writer'
	err_has 'dropped the last line, 9 bytes: it has no newline and is not complete JSON'
	same "$output" ''
	ok writer </dev/null
	same "$output$stderr" ''
	fails 111 bash -c 'writer <.'
	err_has 'could not read standard input: Is a directory'
}

@test "lines for people" {
	{
		placed s 0 a 1 '"arriveMs":1'
		placed s 1 a 0 '"arriveMs":1'
		echo '{"event":"news"}'
		skipped s 2
		printf '{"event":"end","read":1}\n{"event":"begin","startedAt":"2000-01-01T\302\2332J12345678123456"}\n'
	} | writer --clock virtual --format text >out
	same "$(cat out)" '00:00:00.001 indexed a v1 t, 1 tokens, callback after 2 ms
00:00:00.001 ignored a v0 (stale, current is v1)
             news 
             ignored (skipped)
             end  (1 read)
\u009b2J12345678 begin '
}

@test "ack passes everything on, and records what fired and was delivered" {
	{
		placed s 0 a 1
		placed s 1 a 2
		placed s 2 b 1
		placed s 3 b 0
	} | writer --clock virtual >events
	{
		cat events
		echo '{"event":"fired","source":"s","offset":2,"id":"b","version":1,"accountType":"t","tokens":1,"data":null,"dueAt":"2000-01-01T00:00:00.002000Z","firedAt":"2000-01-01T00:00:00.002000Z","latenessUs":0}'
		echo '{"event":"summary","indexed":3}'
		echo 'not JSON'
	} >in
	writer ack <in >out
	cmp in out
	same "$(sql "SELECT id, version, state, settled_at FROM acctflow.callbacks ORDER BY 1, 2")" 'a|1|cancelled|2000-01-01 00:00:00+00
a|2|pending|
b|1|fired|2000-01-01 00:00:00.002+00'
	same "$(sql 'SELECT committed_offset, delivered_offset FROM acctflow.sources')" '3|3'
	# Once recorded it stays; a callback that is told again changes nothing.
	{
		sed 's/"firedAt":"2000-01-01T00:00:00/"firedAt":"2000-01-01T00:00:09/' in
		echo '{"event":"fired","id":"a","version":2,"firedAt":"2000-01-01T00:00:09Z"}'
	} | writer ack >/dev/null
	same "$(sql "SELECT id, settled_at FROM acctflow.callbacks WHERE state = 'fired' ORDER BY 1")" 'a|2000-01-01 00:00:09+00
b|2000-01-01 00:00:00.002+00'
	same "$(writer ack --format text <in | tail -n 3 | head -n 1)" '00:00:00.002 fired b v1 t, 1 tokens null (0.0 ms late)'
}

@test "ack: what each event means for the offset and the outcomes, to the line" {
	writer migrate
	{ for i in {0..31}; do placed s "$i" "a$i" 1; done; } | writer >/dev/null
	placed t 21 c 1 | writer >/dev/null
	local i
	event() { echo "{\"event\":\"$1\",\"source\":\"${source:-s}\",\"offset\":$2,\"id\":\"a\",\"version\":$2,\"firedAt\":\"2000-01-01T00:00:00Z\"}"; }
	{
		event indexed 0
		event ignored 1
		event indexed 2
		event cancelled 2
		event indexed 3
		event indexed 4 | sed 's/.$//'
		event fired 1
		event fired 2 | sed 's/.$//'
		event indexed 9 | sed 's/:9/:09/'
		event rejected 7
		event indexed 6
		event cancelled 6
		echo
		event indexed 11 | sed 's/"offset":11/&,"offset":11/'
		event failed 3
		echo '{"event":"fired","version":1,"firedAt":"2000-01-01T00:00:00Z"}'
		source=t event indexed 20
		source=t event ignored 21
		event indexed 30
		event fired 4
		event indexed 31
		skipped s 31
	} >in
	# After so many lines: s, t, and what was recorded.
	cat >want <<-'END'
		2 1||
		4 1||
		5 2||
		7 3||1
		9 3||1
		14 7||1
		15 6||1 3
		17 6||1 3
		18 6|21|1 3
		20 30|21|1 3 4
		21 30|21|1 3 4
		22 31|21|1 3 4
	END
	while read -r i _; do
		sql 'TRUNCATE acctflow.outcomes; UPDATE acctflow.deliveries SET delivered_offset = NULL'
		head -n "$i" in | writer ack --resume >out 2>/dev/null || :
		head -n "$i" in | grep . | diff <(grep . out) -
		echo "$i $(sql "SELECT (SELECT delivered_offset FROM acctflow.source_shards WHERE name = 's'),
			(SELECT delivered_offset FROM acctflow.source_shards WHERE name = 't'),
			(SELECT string_agg(version::text, ' ' ORDER BY version) FROM acctflow.outcomes)")"
	done <want >got
	diff want got
	same "$(sql "SELECT version FROM acctflow.outcomes WHERE failed")" 3
}

@test "ack passes on what it cannot make sense of, but for a line that is longer than any event" {
	{
		echo '{"event":"fired","id":"a","firedAt":"2000-01-01T00:00:00Z"}'
		echo '{"event":"fired","id":"a","version":1,"firedAt":"yesterday"}'
		echo '{"event":"indexed","id":"a","version":1}'
		echo '{"event":"fired","id":"a","version":2,"firedAt":"2000-01-01T00:00:00Z"}'
	} >in
	{
		head -n 2 in
		head -c 68000000 /dev/zero | tr '\0' x
		echo
		tail -n 2 in
	} | writer ack >out 2>err
	cmp in out
	grep -q 'dropped a line of 68000000 bytes: longer than any event' err
	same "$(sql 'SELECT id, version FROM acctflow.outcomes')" 'a|2'
}

@test "a schema that somebody took a piece out of: what the database says, exit 100" {
	placed s 0 a 1 | writer >/dev/null
	sql 'ALTER TABLE acctflow.outcomes RENAME TO elsewhere'
	for verb in status pending; do
		fails 100 writer $verb
		err_has 'relation "acctflow.outcomes" does not exist'
	done
	echo '{"event":"fired","id":"a","version":1,"firedAt":"2000-01-01T00:00:00Z"}' >in
	fails 100 writer ack <in
	err_has 'the database refused: relation "acctflow.outcomes" does not exist'
	# What was passed on was passed on.
	same "$output" "$(<in)"
	sql 'ALTER TABLE acctflow.pipelines RENAME TO nowhere'
	placed s 1 a 2 >in
	for how in '' --resume; do
		# shellcheck disable=SC2086 # an option or none
		fails 100 writer $how <in
		err_has 'the database refused: relation "acctflow.pipelines" does not exist'
		same "$output" ''
	done
}

@test "ack passes events on while the database does not answer" {
	writer migrate
	feed ack
	echo '{"event":"fired","id":"a","version":1,"firedAt":"2000-01-01T00:00:00Z"}' >&5
	retry 100 emitted 1
	same "$(sql 'SELECT count(*) FROM acctflow.outcomes')" 1
	held 'LOCK TABLE acctflow.outcomes IN ACCESS EXCLUSIVE MODE'
	echo '{"event":"fired","id":"a","version":2,"firedAt":"2000-01-01T00:00:00Z"}' >&5
	retry 100 waits 1
	for i in {1..5000}; do echo "{\"event\":\"fired\",\"id\":\"b\",\"version\":$i,\"firedAt\":\"2000-01-01T00:00:00Z\"}"; done >&5
	retry 100 emitted 5002
	exec 6>&-
	exec 5>&-
	ended 0
	same "$(sql 'SELECT count(*) FROM acctflow.outcomes')" 5002
}

@test "migrating: fresh, again, and many at once" {
	database_drop
	database empty
	ok writer migrate
	err_has 'migrated the schema from version 0 to'
	version=$(sql 'SELECT max(version) FROM acctflow.migrations')
	ok writer migrate
	err_has "the schema is at version $version"
	[[ $stderr != *migrated* ]]
	database_drop
	database empty
	for i in {1..12}; do
		update "a$i" 1 | writer >"out.$i" 2>"err.$i" &
		pids[i]=$!
	done
	for i in {1..12}; do wait "${pids[i]}" || { cat "err.$i" && false; }; done
	same "$(sql 'SELECT count(*) FROM acctflow.accounts')" 12
	same "$(sql 'SELECT count(*) = max(version) FROM acctflow.migrations')" t
	same "$(cat err.* | grep -c migrated)" 1
}

@test "a schema that is newer is refused" {
	writer migrate
	sql 'INSERT INTO acctflow.migrations (version, hash, oldest) SELECT max(version) + 1, 0, max(version) + 1 FROM acctflow.migrations'
	for verb in run ack migrate status pending; do
		refuses "the schema's version is $(sql 'SELECT max(version) FROM acctflow.migrations'), this program knows" $verb
		err_has 'use a newer acctflow'
	done
}

@test "a role that may not migrate is told the command" {
	database_drop
	database empty
	sql "DROP ROLE IF EXISTS reader_only; CREATE ROLE reader_only LOGIN"
	PGUSER=reader_only refuses 'may not migrate the schema' run
	err_has 'writer migrate'
	# Where the owner has done it, and granted what is needed, it works.
	writer migrate
	PGUSER=reader_only refuses 'permission denied for schema acctflow' status
	sql 'GRANT USAGE ON SCHEMA acctflow TO reader_only; GRANT SELECT ON ALL TABLES IN SCHEMA acctflow TO reader_only'
	PGUSER=reader_only ok writer status
	placed s 0 a 1 >in
	PGUSER=reader_only fails 100 writer <in
	err_has 'permission denied for'
	sql 'GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA acctflow TO reader_only'
	PGUSER=reader_only ok writer <in
	has '"event":"indexed"'
	sql 'DROP OWNED BY reader_only; DROP ROLE reader_only'
}

@test "a database of another encoding is refused, with the command for a right one" {
	local name=${PGDATABASE}_latin
	sql "CREATE DATABASE $name ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
	PGDATABASE=$name fails 100 writer migrate
	err_has 'encoding is LATIN1, acctflow needs UTF8; make it with: createdb'
	sql "DROP DATABASE $name"
}

@test "memory does not grow with the input" {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'the sanitizers have a memory of their own'
	local size
	peak() {
		sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status"
	}
	feed run --batch 2000
	many 8000 1000 >&5
	retry 300 emitted 8000
	size=$(peak)
	many 24000 10000 >&5
	retry 600 emitted 32000
	echo "$size kB after 16 MB, $(peak) kB after 64 MB"
	(($(peak) < size + size / 4 + 4096))
	exec 5>&-
	ended 0
}

@test "memory does not grow with what is shown" {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'the sanitizers have a memory of their own'
	writer migrate
	sql "INSERT INTO acctflow.rejects (source_offset, kind, reason, raw, raw_encoding, raw_bytes, rejected_at)
		SELECT i, 'record', 'a reason', repeat('x', 1000), 'utf8', 1000, now() FROM generate_series(1, 60000) i"
	mkfifo shown
	for format in json text; do
		writer rejected --format $format >shown 3>&- &
		pid=$!
		exec 5<shown
		# All but what the pipe holds: then it stands still.
		same "$(head -n 50000 <&5 | tail -n 1 | wc -l)" 1
		size=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
		echo "$size kB"
		((size > 0 && size < 40000))
		same "$(tail -c 1 <&5 | wc -l)" 1
		exec 5>&-
		ended 0
	done
}

@test "while the database stands still, the input waits" {
	local size=0
	feed run
	update a 0 >&5
	retry 100 emitted 1
	held
	{
		many 15000 1000 >&5
		echo all >fed
	} 3>&- 6>&- &
	exec 5>&-
	retry 100 waits 1
	# It reads on until a batch is full, then no more.
	settled() {
		local before=$size
		size=$(sed -n 's/^rchar: //p' "/proc/$pid/io")
		[[ $size == "$before" ]]
	}
	retry 200 settled
	[[ ! -e fed ]]
	((size < 20000000))
	release
	retry 600 test -e fed
	ended 0
	emitted 15001
}
