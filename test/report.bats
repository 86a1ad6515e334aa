#!/usr/bin/env bats
# The verb report: the data in its file, whatever is in an update, and when there is none. How it looks is in page.bats.
# shellcheck disable=SC2154 # helper sets root
load helper
load writer

setup() {
	cd "$BATS_TEST_TMPDIR"
	database
}

# pipe NAME READER-ARGUMENT...: through the whole pipeline, on the virtual clock, as that source.
pipe() {
	reader --clock virtual --seed 7 --source "$1" "${@:2}" | writer --clock virtual | timerd --clock virtual | writer ack >/dev/null
}

# reported ARGUMENT...: makes the file report.html, and data of what is embedded in it.
reported() {
	writer report "$@" >report.html
	sed '1,/ id="data">$/d; /^<\/script>$/,$d' report.html >data
}

# section NAME: its rows, one a line, without the names of the columns.
section() { jq -c --arg name "$1" '.[$name][1:][]' data; }

# figure NAME: one of the figures of the run.
figure() { jq -r --arg name "$1" '.run | .[1][.[0] | index($name)]' data; }

@test "report: the contract's example" {
	pipe example --arrival recorded "$root/data/scenario-2.json"
	reported
	same "$(jq -c '.run[1] | del(.[2])' data)" \
		'["example","2000-01-01T00:00:00.000000Z",1050,5,1,3,3,2,1,0,0,0,0,0,1,0,1,0,0,0,0,0,1,"recorded","7","virtual",true,false]'
	same "$(section lanes)" '[550,"1",2,0,"10",950,650,"ID1",3]
[650,"3",1,0,"30",1050,1050]
[700,"2",4,0,"20"]'
	same "$(section changes)" '[550,"account",null,null,"ID1","10",1]'
	same "$(section types)" '["account",1,"ID1","30","3",1]'
	same "$(section density)" $'[0,110,1]\n[0,130,1]\n[0,140,1]'
	same "$(section rates)" $'[110,1,1,0,0]\n[130,1,1,0,0]\n[140,1,0,0,0]\n[210,0,0,1,0]'
	same "$(section lateness)" '[0,1]'
	same "$(section rejects)" ''
	# The front door has it too.
	ok "$supervisor" report --source example
	same "$(sed 's/"20[^"]*Z",1050/T/' <<<"$output")" "$(sed 's/"20[^"]*Z",1050/T/' report.html)"
}

@test "report: the sample adds up, and every state has its number" {
	pipe sample "$root/data/challenge-input.json"
	reported --source sample
	same "$(figure read) $(figure indexed) $(figure stale) $(figure duplicate) $(figure conflict) $(figure rejected)" '124 97 16 4 2 5'
	same "$(jq -r '[.lanes[1:][] | .[2]] | group_by(.) | map("\(.[0]) \(length)") | join(" ")' data)" "1 $(figure fired) 2 $(figure cancelled) 4 16"
	same "$(jq '[.lanes[1:][] | select(length > 7)] | length' data)" 12
	same "$(jq '[.density[1:][][2]] | add' data)" 113
	same "$(jq -c '[.rates[1:] | transpose[1:][] | add]' data)" "[120,97,$(figure fired),7]"
	same "$(jq '[.lateness[1:][][1]] | add' data)" "$(figure fired)"
	same "$(section rejects | jq -c '[.[0], .[1], .[2], (.[3] | length)]')" \
		$'["record","version: missing",5,3]\n["conflict","version N is known with other content",2,2]'
	same "$(section types | jq -r '"\(.[0]) \(.[3]) \(.[2])"')" "$(sql "SELECT DISTINCT ON (account_type) account_type || ' ' || tokens || ' ' || id
		FROM acctflow.accounts ORDER BY account_type, tokens DESC, id")"
	# In the order in which the accounts came, and within one in the order of its versions.
	same "$(jq -c '[.lanes[1:][] | select(length > 7) | .[0]] | . == sort' data)" true
	sql "UPDATE acctflow.outcomes SET failed = true, settled_at = settled_at + interval '1.5 s' WHERE id = (SELECT min(id) FROM acctflow.outcomes)"
	failed=$(sql 'SELECT count(*) FROM acctflow.outcomes WHERE failed')
	sql "DELETE FROM acctflow.outcomes o USING acctflow.latest l WHERE l.id = o.id AND l.version = o.version AND o.id = (SELECT max(id) FROM acctflow.outcomes)"
	sql "UPDATE acctflow.outcomes SET settled_at = settled_at + interval '30 us' WHERE NOT failed"
	reported
	same "$(figure failed) $(figure pending) $(figure p50) $(figure most)" "$failed 1 30 30"
	same "$(jq '[.lanes[1:][] | select(.[2] == 3 and .[6] - .[5] == 1500)] | length' data)" "$failed"
	same "$(jq -c '[.lanes[1:][] | select(.[2] == 0) | .[6]]' data)" '[null]'
	same "$(section lateness)" "[20,$(figure fired)]"
	# Deletes, and versions without a callback.
	generate --updates 500 --accounts 20 --deleted 20 --silent 20 --lines >in
	pipe other in
	reported
	same "$(figure source)" other
	same "$(jq -r '[.lanes[1:][] | select(.[2] == 5 or .[2] == 6)] | length' data)" "$(figure withoutCallback)"
	same "$(jq -r '[.lanes[1:][] | select(.[2] == 6)] | length' data)" "$(sql 'SELECT count(*) FROM acctflow.account_updates WHERE deleted AND applied')"
}

# highest SEED: a random stream of few accounts, types and tokens, up to two milliseconds apart; no two have a version in common.
highest() {
	awk -v seed="$1" 'BEGIN { srand(seed); t = 0
		for (i = 0; i < 400; i++) {
			t += int(3 * rand())
			printf "{\"id\":\"a%d\",\"version\":%d,\"arriveMs\":%d,", 6 * rand(), 3 * (i + int(60 * rand())) + seed % 3, t
			if (rand() < 0.15) print "\"deleted\":true}"
			else printf "\"accountType\":\"t%d\",\"tokens\":%d,\"callbackTimeMs\":null}\n", 2 * rand(), 8 * rand()
		} }'
}

@test "report: the first place of each type, and when it changed, against every moment looked at by itself" {
	for seed in 1 2 3; do # versions of the other sources are not this one's
		highest $seed >in
		pipe "s$seed" --arrival recorded in
		reported --source "s$seed"
		section changes | jq -r '"\(.[0])|\(.[1])|\(.[2])|\(.[3])|\(.[4])|\(.[5])"' | sed 's/null//g' >is
		sql "WITH u AS (SELECT * FROM acctflow.account_updates WHERE source = 's$seed'),
			m AS (SELECT DISTINCT ingested_at AS at FROM u),
			top AS (SELECT m.at, t.account_type, f.id, f.tokens
				FROM m CROSS JOIN (SELECT DISTINCT account_type FROM u WHERE account_type IS NOT NULL) t
				LEFT JOIN LATERAL (SELECT a.id, a.tokens
					FROM (SELECT DISTINCT ON (id) * FROM u WHERE ingested_at <= m.at ORDER BY id, version DESC) a
					WHERE NOT a.deleted AND a.account_type = t.account_type ORDER BY a.tokens DESC, a.id LIMIT 1) f ON true),
			step AS (SELECT *, lag(id) OVER w AS before, lag(tokens) OVER w AS before_tokens FROM top WINDOW w AS (PARTITION BY account_type ORDER BY at))
			SELECT trim_scale((extract(epoch FROM at - '2000-01-01Z') * 1000)::numeric), account_type, before, before_tokens, id, tokens
			FROM step WHERE id IS DISTINCT FROM before ORDER BY at, account_type" >wanted
		diff is wanted
		(($(wc -l <wanted) > 50))
		same "$(jq '.changes[1][6]' data)" "$(wc -l <wanted)"
	done
}

@test "report: of too many versions, accounts with the most are shown, and all are counted" {
	generate --updates 300 --accounts 20 --lines >in
	pipe s in
	lanes() { { echo "PREPARE q (text, text, bigint) AS" && cat "$root/sql/report_lanes.sql" && echo "; EXECUTE q ('s', '2000-01-01Z', $1)"; } | psql -XqAt; }
	most=$(sql 'SELECT max(n) FROM (SELECT count(*) AS n FROM acctflow.account_updates GROUP BY id) c')
	same "$(lanes 1000 | wc -l)" "$(sql 'SELECT count(*) FROM acctflow.account_updates')"
	# The first one always is there, but no more of its versions than that.
	same "$(lanes 5 | wc -l)" 5
	same "$(lanes 5 | head -n 1 | cut -d '|' -f 9)" "$most"
	same "$(lanes "$most" | cut -d '|' -f 8 | grep -c .)" 1
	same "$(lanes $((most + 1)) | cut -d '|' -f 8 | grep -c .)" 2
}

@test "report: hostile text stays text" {
	local id='</script><script>alert(1)</script><!--<script>' separators=$'\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xae'
	{
		jq -cn --arg id "$id" --arg type "$separators$id" '{id: $id, accountType: $type, tokens: 0, callbackTimeMs: 0, version: 0}' |
			sed 's/"tokens":[0-9]*/"tokens":18446744073709551615/; s/"version":[0-9]*/"version":9007199254740993/'
		jq -cn --arg id "$id$separators" '{id: $id, accountType: "t", tokens: 1, version: 1, callbackTimeMs: $id}'
		echo "not JSON: $id"
	} >in
	pipe "$id$separators" in
	reported
	same "$(figure source)" "$id$separators"
	same "$(section lanes | jq -c 'del(.[0, 5, 6])')" "[\"9007199254740993\",1,0,\"18446744073709551615\",$(jq -cn --arg id "$id" '$id'),1]"
	same "$(section types | jq -r '.[0], .[2]')" "$separators$id"$'\n'"$id"
	same "$(section rejects | jq '.[3] | length' | tr '\n' ' ')" '1 1 '
	# What a browser takes for the end of a script is there where the page itself has it.
	same "$(grep -o '</script' report.html | wc -l)" 2
	same "$(grep -c '<!--\|<script' data || :)" 0
	same "$(grep -c $'\xe2\x80[\xa8\xa9]' report.html || :)" 0
	# The style and the script are those whose hashes the policy names, and nothing may be fetched.
	for part in style script; do
		perl -0777 -ne "m,<$part>(.*?)</$part>,s && print \$1" report.html >part
		[[ -s part ]]
		grep -qF "$part-src 'sha256-$(perl -MDigest::SHA=sha256_base64 -0777 -ne 'print sha256_base64($_)' part)='" report.html
	done
	grep -qF "content=\"default-src 'none'; " report.html
	same "$(grep -oE 'https?://|url\(|@import|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(' report.html)" ''
}

@test "report: a source without any record; no such source, no source, no schema; a terminal" {
	fails 100 writer report
	err_has 'there is nothing in this database yet'
	writer migrate
	fails 1 writer report
	same "$output" ''
	same "${stderr#*] }" 'no source in this database yet: acctflow run reads one'
	writer claim --source empty >/dev/null
	fails 1 writer report --source nosuch
	same "$output" ''
	same "${stderr#*] }" 'no source "nosuch" in this database'
	reported
	same "$(figure source) $(figure length) $(figure bin) $(figure versions) $(figure p50)" 'empty 0 1 0 null'
	for name in types density rates lateness rejects changes lanes; do same "$(section $name)" ''; done
	command -v script >/dev/null || skip 'no script'
	fails 100 script -qec 'writer report' /dev/null
	has 'redirect it: report > report.html'
}

@test "report: rows of one moment, however long it takes" {
	pipe s "$root/data/challenge-input.json"
	reported
	cp data before
	# Held up behind its first look, while all that it is about goes away.
	mkfifo fifo
	sql 'ALTER TABLE acctflow.rejects RENAME TO held'
	sql "CREATE FUNCTION acctflow.wait() RETURNS boolean LANGUAGE plpgsql AS \$\$BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN true; END\$\$"
	sql 'CREATE VIEW acctflow.rejects AS SELECT * FROM acctflow.held WHERE acctflow.wait()'
	psql -Xq <fifo >/dev/null 3>&- &
	pid=$!
	exec 5>fifo
	echo 'SELECT pg_advisory_lock(42);' >&5
	retry 100 eval '[[ $(sql "SELECT count(*) FROM pg_locks WHERE locktype = '\''advisory'\'' AND granted") == 1 ]]'
	writer report >report.html 3>&- 5>&- &
	report=$!
	retry 100 eval '[[ $(sql "SELECT count(*) FROM pg_locks WHERE locktype = '\''advisory'\'' AND NOT granted") == 1 ]]'
	sql 'DELETE FROM acctflow.history'
	sql 'DELETE FROM acctflow.outcomes'
	exec 5>&-
	wait "$pid" "$report"
	sed '1,/ id="data">$/d; /^<\/script>$/,$d' report.html >data
	same "$(jq -c 'del(.run[1][2])' data)" "$(jq -c 'del(.run[1][2])' before)"
}
