#!/usr/bin/env bats
# Who may write for a source, and how bin/writer takes up where one was left: claim,
# join, fence, --resume, what is told again and what is not.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154,SC2164 # helper and bats set them; a cd that fails ends the test
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

# claim NAME: claims it; what was printed is in the file claimed, its token in $token.
claim() {
	writer claim --source "$1" --log-level warn >claimed
	token=$(sed -n 's/^token=//p' claimed)
}

# rows: all that the relations have, without when rows were touched.
rows() {
	psql -Xq -f "$root/test/relations.sql" | LC_ALL=C sort
}

# without EVENT...: standard input without these events.
without() {
	local wanted=()
	for event; do wanted+=(-e "{\"event\":\"$event\""); done
	grep -v "${wanted[@]}" || true
}

# sample: a stream of everything there is, as reader tells it, in the file in; from offset $1.
sample() {
	[[ -e data ]] || generate --updates 900 --accounts 25 --seed 4 >data
	reader --arrival offset --clock virtual --seed 7 --source s --from "${1-0}" data >in
}

@test "claim says where a source stands" {
	claim new
	same "$(sed 's/^\(anchor=\)-\?[0-9]\{6,\}$/\1N/' claimed)" 'source=new
shard=0/1
shards=1
pipeline=1
token=1
committed=
delivered=
complete=false
broken=false
pending=
done=false
seed=
arrival=
delayMs=
speed=
clock=
epoch=
fingerprint=
check=
startedAt=
again=
anchor=N'
	{
		echo '{"event":"begin","source":"new","seed":18446744073709551615,"arrival":"gap","delayMs":"0:5","speed":"2.5","clock":"virtual","fingerprint":"1:0123456789abcdef","startedAt":"2001-02-03T04:05:06.000007Z"}'
		placed new 0 a 1
		placed new 1 b 1
		echo '{"event":"end","source":"new","read":2,"lastOffset":4,"complete":true,"fingerprint":"2:fedcba9876543210"}'
	} | writer --clock virtual >events
	claim new
	same "$(tail -n +6 claimed | grep -v -e check -e anchor)" 'committed=4
delivered=
complete=true
broken=false
pending=
done=false
seed=18446744073709551615
arrival=gap
delayMs=0:5
speed=2.5
clock=virtual
epoch=2001-02-03T04:05:06.000007Z
fingerprint=2:fedcba9876543210
startedAt=2001-02-03T04:05:06.000007Z
again='
	before=$token
	writer ack <events >/dev/null
	claim new
	same "$(grep -e delivered -e pending -e '^done' claimed)" $'delivered=4\npending=2\ndone=false'
	for id in a b; do
		claim new
		((token > before))
		same "$(sed -n 's/^done=//p' claimed)" false
		echo "{\"event\":\"fired\",\"source\":\"new\",\"id\":\"$id\",\"version\":1,\"firedAt\":\"2001-02-03T04:05:06Z\"}" | writer ack >/dev/null
	done
	claim new
	same "$(grep -e delivered -e pending -e '^done' claimed)" $'delivered=4\npending=0\ndone=true'
}

@test "claim: a name in which lines and controls hide adds none" {
	claim $'a\ndone=true\ntoken=0\e[2J'
	same "$(sed -n '1p;5p' claimed)" $'source=a\\u000adone=true\\u000atoken=0\\u001b[2J\ntoken=1'
	same "$(grep -c '^done=' claimed)" 1
}

@test "a source that was told to stop is not done" {
	{
		placed s 0 a 1
		echo '{"event":"end","source":"s","read":1,"complete":false}'
	} | writer --resume >events
	echo '{"event":"fired","source":"s","id":"a","version":1,"firedAt":"2001-02-03T04:05:06Z"}' | writer ack >/dev/null
	writer ack <events >/dev/null
	claim s
	same "$(grep -e complete -e pending -e '^done' claimed)" $'complete=false\npending=\ndone=false'
}

@test "--resume: an input without an end is a crash upstream" {
	placed s 0 a 1 >in
	fails 111 writer --resume <in
	has '"event":"indexed"'
	err_has 'the program feeding this one died (its input stopped without an `end` event)'
	fails 111 writer --resume </dev/null
	echo '{"event":"end","source":"s","read":1,"complete":true}' >>in
	ok writer --resume <in
	ok writer ack --resume <in
	same "$output" "$(cat in)"
	head -n 1 in >short
	fails 111 writer ack --resume <short
	err_has 'the program feeding this one died (its input stopped without an `end` event)'
	fails 111 writer ack --resume </dev/null
	ok writer ack --resume <<<'{"event":"summary","fired":0}'
	same "$output" '{"event":"summary","fired":0}'
	ok writer ack <short
	# By hand the end of input is the end.
	ok writer <short
}

@test "told to stop under --resume it ends well without an end" {
	feed run --resume
	placed s 0 a 1 >&5
	retry 100 grep -q indexed out
	kill -TERM "$pid"
	ended 0
}

@test "by hand, the second writer on a source is refused while the first lives" {
	feed run
	placed s 0 a 1 >&5
	retry 100 emitted 1
	placed s 1 b 1 >in
	fails 100 writer <in
	err_has 'another writer works on this source (database process '
	err_has 'wait for it, or name another with reader --source'
	same "$output" ''
	# Another source is free, and so is this one once the first is gone, however it went.
	placed t 0 b 1 | ok writer
	placed s 1 c 1 >&5
	retry 100 emitted 2
	exec 5>&-
	ended 0
	ok writer <in
	feed run
	placed s 0 a 1 >&5
	retry 100 emitted 1
	kill -9 "$pid"
	wait "$pid" || true
	pid=
	exec 5>&-
	alone() { writer <in; }
	retry 50 alone
}

@test "by hand, the second is refused also after the first lost its connection" {
	feed run
	placed s 0 a 1 >&5
	retry 100 emitted 1
	same "$(sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'acctflow writer' AND datname = current_database()")" 1
	placed s 1 b 1 >&5
	retry 100 emitted 2
	placed s 2 c 1 >in
	fails 100 writer <in
	err_has 'another writer works on this source'
	placed s 2 d 1 >&5
	retry 100 emitted 3
	exec 5>&-
	ended 0
}

@test "by hand, a supervised writer is left alone" {
	claim s
	feed run --resume --token "$token"
	placed s 0 a 1 >&5
	retry 100 grep -q indexed out
	placed s 1 b 1 >in
	fails 100 writer <in
	err_has 'another writer works on this source'
	echo '{"event":"end","source":"s","read":1,"complete":true}' >&5
	exec 5>&-
	ended 0
}

@test "a writer whose source was taken over writes nothing more" {
	for how in idle busy; do
		claim s
		feed run --resume --token "$token"
		placed s 0 a$how 1 >&5
		retry 100 grep -q '"indexed"\|"replayed"\|"ignored"' out
		before=$(rows)
		if [[ $how == busy ]]; then
			held
			for i in {1..600}; do placed s "$i" "b$i" 1; done >&5
			retry 100 waits 1
			# Who holds the source now is ended after two seconds.
			claim s
			release
		else
			claim s
			placed s 1 b 1 >&5
		fi
		retry 100 gone "$pid"
		ended 100
		exec 5>&-
		grep -q 'another writer has taken the source over; this one stops' err
		same "$(rows)" "$before"
	done
}

@test "a writer that was frozen while its source was taken over writes nothing more" {
	claim s
	feed run --resume --token "$token"
	placed s 0 a 1 >&5
	retry 100 grep -q indexed out
	before=$(rows)
	held
	placed s 1 b 1 >&5
	retry 100 waits 1
	kill -STOP "$pid"
	release
	claim s
	kill -CONT "$pid"
	retry 100 gone "$pid"
	ended 100
	same "$(rows)" "$before"
}

@test "a writer whose source was taken over while it said what the source is, says nothing more" {
	echo '{"event":"begin","source":"s","seed":5,"arrival":"gap"}' >begin
	for how in '' --resume; do
		claim s
		held "SELECT FROM acctflow.inputs WHERE name = 's' FOR UPDATE"
		feed run $how ${how:+--token "$token"}
		cat begin >&5
		retry 100 waits 1
		# Its transaction holds the source: it is waited for, then ended.
		claim s
		grep -q . claimed
		retry 100 gone "$pid"
		exec 5>&-
		release
		ended 100
		same "$(sql "SELECT seed, arrival FROM acctflow.inputs")" '|'
	done
}

@test "a token that is no longer the source's is refused at the first record" {
	claim s
	old=$token
	claim s
	placed s 0 a 1 >in
	fails 100 writer --resume --token "$old" <in
	err_has 'another writer has taken the source over'
	same "$output" ''
	same "$(sql 'SELECT count(*) FROM acctflow.account_updates')" 0
	fails 111 writer --resume --token "$token" <in
	has '"event":"indexed"'
}

@test "under --resume the newer one takes over from one by hand, which can write no more" {
	feed run
	placed s 0 a 1 >&5
	retry 100 emitted 1
	claim s
	placed s 1 b 1 >&5
	retry 100 gone "$pid"
	ended 100
	emitted 1
	same "$(sql 'SELECT count(*) FROM acctflow.account_updates')" 1
}

@test "ack is fenced off in the same way, whatever it has to record" {
	fired='{"event":"fired","source":"s","offset":0,"id":"a","version":1,"firedAt":"2000-01-01T00:00:00Z"}'
	{
		placed s 0 a 1
		placed s 1 a 1
	} | writer >events
	for what in events fired; do
		claim s
		feed ack --resume --token "$token" --source s
		cat events >&5
		delivered() { [[ $(sql 'SELECT delivered_offset FROM acctflow.sources') == 1 ]]; }
		retry 100 delivered || { cat err && false; }
		claim s
		if [[ $what == events ]]; then
			sed -n 's/"offset":1/"offset":2/p' events >&5
		else
			echo "$fired" >&5
		fi
		retry 100 gone "$pid"
		ended 100
		exec 5>&-
		grep -q 'another pipeline has taken the source over; this one stops' err
		delivered
		same "$(sql 'SELECT count(*) FROM acctflow.outcomes')" 0
	done
	fails 100 writer ack --resume --token 1 --source s <<<"$fired"
	fails 111 writer ack --resume --token "$token" --source s <<<"$fired"
	same "$(sql 'SELECT count(*) FROM acctflow.outcomes')" 1
}

@test "fed again from where delivery ended: told as before, written once" {
	sample
	claim s
	writer --clock virtual --resume --token "$token" --batch 100 <in >first
	same "$(without begin <first | head -n 1 | members event)" 'caughtup '
	without caughtup <first >whole
	cp in all
	done_rows=$(rows | grep -vE '^"*(source|shard)')
	for d in 899 700 300 5 -1; do
		# Delivery stands at d: begin, and that many records behind it.
		sql "UPDATE acctflow.deliveries SET delivered_offset = CASE WHEN $d >= 0 THEN $d END"
		counted=$(counts)
		claim s
		sample $((d + 1))
		for batch in 1 50 100000; do
			writer --clock virtual --resume --token "$token" --batch $batch <in >again
			# Each record is told as it was told first, and says that it is told again.
			without begin pending caughtup end <whole | tail -n +$((d + 2)) >want
			without begin pending caughtup end <again | sed 's/,"replayed":true}$/}/; s/,"firedAt":"[^"]*"//' >got
			diff want got
			same "$(grep -c '"replayed":true}$' again)" "$(wc -l <want)"
			# What timerd held then comes first, then what is told again, then caughtup.
			case $d in
			-1) order='record caughtup end ' ;;
			899) order='pending caughtup end ' ;;
			*) order='pending record caughtup end ' ;;
			esac
			same "$(without begin <again | members event | sed 's/^\(indexed\|ignored\|rejected\) $/record /' | uniq | tr -d '\n')" "$order"
			same "$(rows | grep -vE '^"*(source|shard)')" "$done_rows"
			same "$(counts)" "$counted"
		done
	done
}

@test "pending is what the accounts had when delivery ended" {
	sample
	writer --clock virtual --resume <in | without begin caughtup end >events
	for d in 0 10 450 899; do
		sql "UPDATE acctflow.deliveries SET delivered_offset = $d"
		claim s
		sample $((d + 1))
		writer --clock virtual --resume --token "$token" <in | grep '"event":"pending"' >told
		# Of each account the last one indexed, in order of due time, then offset.
		head -n $((d + 1)) events | grep '"event":"indexed"' | sed 's/"event":"indexed"/"event":"pending"/' |
			perl -ne '/"offset":(\d+),"id":("[^"]*").*"dueAt":"([^"]*)"/; $last{$2} = [$3, $1, $_];
				END { print $_->[2] for sort { $a->[0] cmp $b->[0] || $a->[1] <=> $b->[1] } values %last }' >want
		diff want told
	done
}

@test "pending leaves out what fired, and what another source superseded" {
	{
		placed s 0 a 1
		placed s 1 b 1
		placed s 2 c 1
		placed s 3 d 1
		placed s 4 d 3
	} >in
	writer <in >/dev/null
	echo '{"event":"fired","id":"a","version":1,"firedAt":"2000-01-01T00:00:00Z"}' | writer ack >/dev/null
	placed t 0 b 2 | writer >/dev/null
	update c 2 | writer >/dev/null
	sql 'UPDATE acctflow.deliveries SET delivered_offset = 4'
	claim s
	sed -n 5p in | writer --resume --token "$token" >out 2>/dev/null || true
	same "$(grep pending out | members id version)" 'd 3 '
	# At 3 it was d's first version.
	sql 'UPDATE acctflow.deliveries SET delivered_offset = 3'
	claim s
	sed -n 5p in | writer --resume --token "$token" >out 2>/dev/null || true
	same "$(grep pending out | members id version)" 'd 1 '
	# But not where a record of no source had superseded that before the next one came.
	sed -n 4p in | sed 's/"d"/"e"/' | writer >/dev/null
	update e 2 | writer >/dev/null
	sed -n 5p in | sed 's/"d"/"e"/' | writer >/dev/null
	sql 'UPDATE acctflow.deliveries SET delivered_offset = 3'
	claim s
	sed -n 5p in | writer --resume --token "$token" >out 2>/dev/null || true
	same "$(grep pending out | members id version)" 'd 1 '
}

@test "what was never committed comes behind caughtup, new" {
	sample
	head -n 400 in | writer --clock virtual --resume >first 2>/dev/null || true
	sql "UPDATE acctflow.deliveries SET delivered_offset = 200"
	claim s
	same "$(grep committed claimed)" committed=398
	sample 201
	writer --clock virtual --resume --token "$token" <in >second
	same "$(sed -n '/caughtup/,$p' second | grep -c replayed || true)" 0
	same "$(sed '/caughtup/,$d' second | without pending begin | grep -vc replayed || true)" 0
	same "$(sed '/caughtup/,$d' second | grep -c replayed)" 198
	# All in all the same as undisturbed.
	rows | grep -vE '^"*(source|shard)' >got
	counts >>got
	{
		without caughtup <first | head -n 202
		without begin pending caughtup <second | sed 's/,"replayed":true}$/}/; s/,"firedAt":"[^"]*"//'
	} >told
	database_drop
	database
	sample
	writer --clock virtual <in >undisturbed
	rows | grep -vE '^"*(source|shard)' >want
	counts >>want
	diff want got
	diff <(without end <undisturbed) <(without end <told)
}

@test "what was rejected is told again as it was recorded, also what the server refused" {
	writer migrate
	sql 'ALTER TABLE acctflow.history ADD CONSTRAINT unlucky CHECK (tokens <> 13)'
	{
		echo '{"event":"begin","source":"s","clock":"virtual"}'
		for ((i = 0; i < 700; i += 10)); do
			at="\"arriveMs\":$((5 * i + 1000))"
			placed s $i "a$i" 2 "$at"
			placed s $((i + 1)) "b$i" 1 "$at" | sed 's/"tokens":1,/"tokens":13,/'
			# The same version again with other content is the first of it, then it has a duplicate and a conflict.
			placed s $((i + 2)) "b$i" 1 "$at"
			placed s $((i + 3)) "b$i" 1 "$at"
			placed s $((i + 4)) "b$i" 1 "$at" | sed 's/"tokens":1,/"tokens":2,/'
			echo "{\"event\":\"rejected\",\"source\":\"s\",\"offset\":$((i + 5)),\"reason\":\"id: missing\",\"raw\":\"x\",\"rawBytes\":1,\"rawEncoding\":\"utf8\"}"
			placed s $((i + 6)) "a$i" 1 "$at"
			placed s $((i + 7)) "a$i" 3 "$at" | sed 's/"tokens":1,/"tokens":13,/'
			placed s $((i + 8)) "a$i" 2 "$at"
			placed s $((i + 9)) "a$i" 4 "$at"
		done
		echo '{"event":"end","source":"s","read":700,"complete":true}'
	} >in
	writer --clock virtual --resume <in >first
	same "$(counts)" '700|210|70|140|70|0|210'
	same "$(grep -c '"rejected".*violates check constraint' first)" 140
	done_rows=$(rows)
	for d in -1 4 5 400; do
		sql "UPDATE acctflow.deliveries SET delivered_offset = CASE WHEN $d >= 0 THEN $d END"
		for batch in 1 7 100000; do
			claim s
			{ head -n 1 in && tail -n +$((d + 3)) in; } | writer --clock virtual --resume --token "$token" --batch $batch >again
			same "$(grep -c '"replayed":true}$' again)" $((699 - d))
			diff <(without begin caughtup <first | tail -n +$((d + 2))) \
				<(without begin pending caughtup <again | sed 's/,"replayed":true}$/}/')
		done
	done
	sql 'UPDATE acctflow.deliveries SET delivered_offset = NULL'
	same "$(rows)" "$done_rows"
	# What was refused once, and taken when it was read again by hand.
	sql 'ALTER TABLE acctflow.history DROP CONSTRAINT unlucky'
	writer --clock virtual <in >/dev/null
	claim s
	writer --clock virtual --resume --token "$token" <in >again
	same "$(grep '"offset":[0-9]*7,.*"replayed":true' again | members event reason | sort | uniq -c)" '     70 ignored stale '
}

@test "a record that was skipped: after a crash at any point it is counted once, and told again" {
	{
		echo '{"event":"begin","source":"s","clock":"virtual"}'
		placed s 0 a 1 '"arriveMs":1'
		skipped s 1 '"arriveMs":5'
		# Its time is the skipped one's.
		placed s 2 a 2
		skipped s 3 '"arriveMs":6'
		skipped s 4
		echo '{"event":"rejected","source":"s","offset":5,"reason":"id: missing","raw":"x","rawBytes":1,"rawEncoding":"utf8"}'
		placed s 6 b 1
		skipped s 7 '"arriveMs":9'
		echo '{"event":"end","source":"s","read":8,"complete":true}'
	} >in
	writer --clock virtual --resume <in | without caughtup begin end >whole
	same "$(counts)" '8|3|0|0|0|4|1'
	same "$(members event offset ingestedAt <whole | sed -n 3p)" 'indexed 2 2000-01-01T00:00:00.005000Z '
	same "$(grep skipped whole)" "$(grep skipped in)"
	rows >want
	for k in {0..8}; do
		for ((d = -1; d < k; d++)); do
			# The k first records were committed, those up to d acknowledged.
			sql 'TRUNCATE acctflow.latest, acctflow.history, acctflow.rejects, acctflow.pipelines, acctflow.deliveries, acctflow.inputs'
			head -n $((k + 1)) in | writer --clock virtual --resume --batch 3 >first 2>/dev/null || true
			sql "UPDATE acctflow.deliveries SET delivered_offset = CASE WHEN $d >= 0 THEN $d END"
			claim s
			{ head -n 1 in && tail -n +$((d + 3)) in; } |
				writer --clock virtual --resume --token "$token" --batch $((k % 3 + 1)) >second
			same "$k $d $(grep -c '"replayed":true}$' second)" "$k $d $((k - 1 - d))"
			{
				without begin caughtup <first | head -n $((d + 1))
				without begin pending caughtup end <second | sed 's/,"replayed":true}$/}/'
			} | diff whole -
			sql 'UPDATE acctflow.deliveries SET delivered_offset = NULL'
			rows | diff want -
		done
	done
}

@test "by hand nothing is told again, and a source starts from where reader says" {
	sample
	writer --clock virtual <in >/dev/null
	sample 500
	writer --clock virtual <in >again
	run ! grep -e replayed -e caughtup -e pending again
	same "$(without rejected <again | members reason | sort -u | tr -d '\n')" '- conflict duplicate '
	same "$(grep -c '"indexed"' again || true)" 0
	same "$(sql 'SELECT committed_offset FROM acctflow.sources')" 899
	head -n 101 in | writer --clock virtual >/dev/null
	same "$(sql 'SELECT committed_offset FROM acctflow.sources')" 599
}

@test "three writers over the same accounts: no deadlock, the newest wins, nothing is missing" {
	generate --updates 3000 --accounts 30 --seed 5 --conflict 0 >data
	for i in 1 2 3; do
		reader --arrival offset --clock virtual --seed $i --source "s$i" data >"in.$i"
		writer <"in.$i" >"out.$i" 2>"err.$i" &
		pids[i]=$!
	done
	for i in 1 2 3; do wait "${pids[i]}" || { cat "err.$i" && false; }; done
	for i in 1 2 3; do run ! grep -v ' info ' "err.$i"; done
	same "$(sql 'SELECT count(*), bool_and(indexed + stale + duplicate + conflict + skipped + rejected = read) FROM acctflow.sources')" '3|t'
	same "$(sql 'SELECT sum(indexed + stale) FROM acctflow.sources')" "$(sql 'SELECT count(*) FROM acctflow.account_updates')"
	same "$(sql "SELECT count(*) FROM acctflow.accounts a WHERE version <> (SELECT max(version) FROM acctflow.account_updates u WHERE u.id = a.id)")" 0
	rows | grep -e '"account"' -e '^account' | cut -f 1-6 >got
	database_drop
	database
	writer <in.1 >/dev/null
	rows | grep -e '"account"' -e '^account' | cut -f 1-6 | diff - got
}
