#!/usr/bin/env bats
# A fleet: machines that share pipelines by leases. Each machine is a supervisor with a state folder of its own, on one
# database; what one machine is, is all processes that have its folder in their environment.
# shellcheck disable=SC2030,SC2031,SC2154 # helper and bats set them
load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	database
	started=()
	# So that a slow machine expels nobody who is only slow.
	export ACCTFLOW_LEASE_MS=30000
}

teardown() {
	for m in "${!started[@]}"; do strike "$m" KILL; done
	database_drop
}

# input N CALLBACK_MS: the file in, of so many versions.
input() {
	for ((i = 0; i < $1; i++)); do
		printf '{"id":"a%d","accountType":"t","tokens":1,"callbackTimeMs":%d,"version":%d}\n' $((i % 500)) $(($2 + i * 7919 % 1000)) $((i + 1))
	done >in
}

# machine M [OPTION...]: starts one.
machine() {
	ACCTFLOW_HOME=$PWD/$1 "$supervisor" run --fleet --format json "${@:2}" "$PWD/in" >>"out$1" 2>>"err$1" 3>&- &
	started[$1]=$!
}

# strike M SIGNAL: to all of its processes.
strike() {
	local file pids=()
	for file in /proc/[0-9]*/environ; do
		! grep -qszxF "ACCTFLOW_HOME=$PWD/$1" "$file" || pids+=("$(basename "${file%/environ}")")
	done
	((${#pids[@]} == 0)) || kill "-$2" "${pids[@]}" 2>/dev/null || :
}

# ended M CODE
ended() {
	local status=0
	wait "${started[$1]}" || status=$?
	unset "started[$1]"
	[[ $status == "$2" ]] || { echo "machine $1 exited $status" && tail -n 20 "err$1" && false; }
}

# has_leases M N: whether machine M has that many.
has_leases() {
	[[ -s $1/run/machine && $(sql "SELECT count(*) FROM acctflow.leases WHERE machine = '$(<"$1/run/machine")'" 2>/dev/null) == "$2" ]]
}

committed() {
	(($(sql 'SELECT coalesce(sum(read), 0) FROM acctflow.sources' 2>/dev/null || echo 0) >= $1))
}

# judged N: all versions are there once, each callback has one outcome, and what is recorded as fired was emitted. Sets
# again, how many callbacks fired twice in the union of what the machines emitted.
judged() {
	same "$(sql "SELECT count(*), count(DISTINCT (id, version)), (SELECT read - indexed FROM acctflow.sources), (SELECT complete FROM acctflow.sources) FROM acctflow.history")" "$1|$1|0|t"
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending'")" 0
	ok writer status
	sql "SELECT id, version FROM acctflow.callbacks WHERE state = 'fired'" | sort >fired
	sed -n 's/^{"event":"fired".*"id":"\([^"]*\)","version":\([0-9]*\).*/\1|\2/p' out* | sort >emitted
	same "$(comm -23 fired <(uniq emitted) | wc -l)" 0
	again=$(uniq -d emitted | wc -l)
}

@test "two machines share the pipelines, agree on the seed, and both end when all is done" {
	input 6000 100
	machine 0 --shards 4 --delay-ms 0:10
	retry 300 has_leases 0 4
	machine 1 --shards 4 --delay-ms 0:10
	retry 300 has_leases 1 2
	retry 300 has_leases 0 2
	ok writer fleet --format json
	same "$(grep -c "\"owner\":\"$(<1/run/machine)\",\"source\":\"$PWD/in\",\"shard\":\"[0-3]/4\",\"token\":" <<<"$output")" 2
	ACCTFLOW_HOME=$PWD/0 ok "$supervisor" status --fleet
	has "$(<0/run/machine)"
	ended 0 0
	ended 1 0
	judged 6000
	same "$again" 0
	same "$(grep -ho '"event":"begin".*"seed":[0-9]*' out* | grep -o 'seed.*' | sort -u)" "seed\":$(cksum <<<"$PWD/in" | cut -d ' ' -f 1)"
	same "$(sql 'SELECT count(*) FROM acctflow.machines')" 0
}

@test "a machine that joins takes its share, and nothing else is restarted" {
	input 6000 2000
	machine 0 --shards 3 --delay-ms 0:10
	retry 300 has_leases 0 3
	running() { (($(cat 0/run/pipelines/*/pids 2>/dev/null | wc -l) == 12)); }
	retry 300 running
	cat 0/run/pipelines/*/pids | sort >before
	machine 1 --shards 3 --delay-ms 0:10
	retry 300 has_leases 1 1
	handed_over() { (($(cat 0/run/pipelines/*/pids 2>/dev/null | sort | comm -12 before - | wc -l) == 8)); }
	retry 100 handed_over
	retry 300 test -s 1/run/pipelines/0/pids || retry 10 compgen -G '1/run/pipelines/*/pids'
	same "$(cat 0/run/pipelines/*/pids | sort | comm -12 before - | wc -l)" 8
	# The one that leaves gives all back at once.
	kill -TERM "${started[1]}"
	ended 1 0
	retry 30 has_leases 0 3
	ended 0 0
	judged 6000
	same "$again" 0
}

@test "the machine that is killed: others take over, with what is pending" {
	ACCTFLOW_LEASE_MS=10000
	input 5000 3000
	machine 0 --shards 2 --delay-ms 0:10
	retry 300 has_leases 0 2
	machine 1 --shards 2 --delay-ms 0:10
	retry 300 has_leases 1 1
	seen=$(sql 'SELECT coalesce(sum(read), 0) FROM acctflow.sources')
	retry 300 committed $((seen + 100))
	strike 0 KILL
	sleep 0.1
	sql "SELECT id, version FROM acctflow.callbacks WHERE state = 'fired'" | sort >recorded
	taken() { has_leases 1 2; }
	retry 120 taken
	wait "${started[0]}" || unset "started[0]"
	ended 1 0
	judged 5000
	# Emitted again is only what was not recorded.
	same "$(uniq -d emitted | comm -12 - recorded | wc -l)" 0
	(($(grep -c '"recovered":true' out1) > 0))
}

@test "the machine that is frozen: expelled, it records nothing and emits no callback, and joins anew" {
	ACCTFLOW_LEASE_MS=10000
	input 5000 4000
	machine 0 --shards 2 --delay-ms 0:10
	retry 300 has_leases 0 2
	machine 1 --shards 2 --delay-ms 0:10
	retry 300 has_leases 1 1
	fires() { grep -q '"event":"fired"' out0; }
	retry 600 fires
	name=$(<0/run/machine)
	strike 0 STOP
	retry 300 has_leases 1 2
	fenced() { [[ $(sql 'SELECT min(token) FROM acctflow.pipelines') == 2 ]]; }
	retry 300 fenced
	before=$(grep -c '"event":"fired"' out0)
	sql "SELECT pipeline, token, delivered_offset FROM acctflow.deliveries ORDER BY 1" >tokens
	strike 0 CONT
	joined() { [[ $(<0/run/machine) != "$name" ]] && has_leases 0 1; }
	retry 300 joined
	grep -q "machine $name was silent for too long, and others have taken over; it joins anew" err0
	ended 0 0
	ended 1 0
	judged 5000
	# Each of its callbacks that another emitted too was emitted before it was frozen.
	awk -v n="$before" '/"event":"fired"/ && ++seen > n' out0 | sed 's/.*"id":"\([^"]*\)","version":\([0-9]*\).*/\1|\2/' | sort >late
	sed -n 's/^{"event":"fired".*"id":"\([^"]*\)","version":\([0-9]*\).*/\1|\2/p' out1 | sort | comm -12 - late >both
	(($(wc -l <both) <= 30))
	uniq -d emitted | wc -l >&2
}

@test "ack holds callbacks back after the lease, and what is behind them" {
	update='"accountType":"t","tokens":1,"data":null,"dueAt":"2020-01-01T00:00:00.000000Z","firedAt":"2020-01-01T00:00:00.000000Z","latenessUs":0'
	writer <<<'{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":1,"version":1}
{"id":"b","accountType":"t","tokens":1,"callbackTimeMs":1,"version":2}' >/dev/null
	ok writer claim --source s
	token=$(sed -n 's/^token=//p' <<<"$output")
	ends() { perl -MTime::HiRes=clock_gettime -e 'print pack "q", 1e6 * (clock_gettime(7) + $ARGV[0])' -- "$1" | dd of=lease conv=notrunc status=none; }
	ends 1000
	mkfifo feed
	writer ack --source s --token "$token" --lease lease --format json <feed >out 2>err 3>&- &
	ack=$!
	exec 7>feed
	echo '{"event":"fired","id":"a","version":1,'"$update"'}' >&7
	retry 100 grep -q '"id":"a"' out
	recorded() { [[ $(sql "SELECT string_agg(id, ',' ORDER BY id) FROM acctflow.outcomes") == "$1" ]]; }
	retry 100 recorded a
	ends -1
	printf '%s\n' '{"event":"hello"}' '{"event":"fired","id":"b","version":2,'"$update"'}' '{"event":"bye"}' >&7
	retry 100 grep -q hello out
	sleep 0.5
	same "$(wc -l <out)" 2
	recorded a
	ends 1000
	retry 100 grep -q bye out
	retry 100 recorded a,b
	same "$(grep -o '"event":"[a-z]*"' out | tr '\n' ' ')" '"event":"fired" "event":"hello" "event":"fired" "event":"bye" '
	# Asked to stop it ends without it.
	ends -1
	echo '{"event":"fired","id":"c","version":3,'"$update"'}' >&7
	sleep 0.3
	kill -TERM "$ack"
	wait "$ack"
	exec 7>&-
	same "$(grep -c '"id":"c"' out || :)" 0
	recorded a,b
}

# lease M LINE...: what it answers.
lease() {
	ok writer lease --machine "$1" --lease "lease.$1" --list <(printf '7\n%s\n' "$2") --once "${@:3}"
	[[ $output == *$'\nrenewed 7' ]] || [[ $output == expelled ]]
	output=${output%$'\nrenewed 7'}
}

four='0 w 0/4 s
1 w 1/4 s
2 w 2/4 s
3 w 3/4 s'

@test "leases: shares, handing over, leaving, being done" {
	lease a "$four" --join
	same "$output" $'0 mine\n1 mine\n2 mine\n3 mine'
	lease b "$four" --join
	same "$output" $'0 other\n1 other\n2 other\n3 other'
	lease a "$four"
	same "$(sort -k 2 <<<"$output" | cut -d ' ' -f 2 | uniq -c | tr -s ' \n' ' ')" ' 2 asked 2 mine '
	asked=$(awk '/asked/ { print $1 }' <<<"$output" | head -n 1)
	lease a "${four/"$asked w"/"$asked l"}"
	same "$(sed -n "$((asked + 1))p" <<<"$output")" "$asked other"
	lease b "$four"
	same "$(sed -n "$((asked + 1))p" <<<"$output")" "$asked mine"
	# A third one asks for nothing more than its share, of whoever has most.
	lease c "$four" --join
	same "$(sql "SELECT count(*) FROM acctflow.leases WHERE wanted_by = 'c'")" 1
	ok writer lease --machine b --leave </dev/null
	same "$(sql "SELECT count(*) FROM acctflow.leases WHERE machine = 'b' OR wanted_by = 'b'")" 0
	# Done for all that had joined before, not for one that comes later.
	lease a '0 d 0/4 s'
	same "$output" '0 done'
	lease c '0 w 0/4 s'
	same "$output" '0 done'
	lease d '0 w 0/4 s' --join
	same "$output" '0 mine'
	lease a '0 d 0/4 s'
	same "$output" '0 other'
}

@test "leases: who was silent is expelled, also where it would still renew; who was only late is not" {
	lease a "$four" --join
	sql "UPDATE acctflow.machines SET until = now() - interval '1 minute'"
	lease a "$four"
	same "$output" $'0 mine\n1 mine\n2 mine\n3 mine'
	sql "UPDATE acctflow.machines SET until = now() - interval '1 minute'"
	lease b "$four" --join
	same "$(cut -d ' ' -f 2 <<<"$output" | sort -u)" mine
	ends=$(od -An -td8 lease.a)
	lease a "$four"
	same "$output" expelled
	same "$(od -An -td8 lease.a)" "$ends"
	same "$(sql "SELECT machine FROM acctflow.machines")" b
	# Its file says when it ends: five seconds from the renewal, by the boot clock.
	unset ACCTFLOW_LEASE_MS
	lease b "$four"
	perl -MTime::HiRes=clock_gettime -e 'my $left = shift() / 1e6 - clock_gettime(7); exit !($left > 0 && $left <= 5)' "$(od -An -td8 lease.b)"
}

@test "only who has the lease can claim, also of a source that is read anew" {
	lease a '0 w 0/1 s' --join
	ok writer claim --source s --machine a
	ok writer claim --source 's#2' --machine a
	fails 111 writer claim --source s --machine b
	err_has 'another machine has the lease of this source by now'
	same "$(sql "SELECT token FROM acctflow.pipelines WHERE source = 's'")" 1
}

@test "a fleet refuses what several machines cannot read, one sentence each" {
	input 1 1
	mkfifo fifo
	for case in '--again in|--again is not for a fleet' '--follow in|--follow is not for a fleet' '--count 1 in|--count is not for a fleet' \
		'-|can only be read by one machine' 'fifo|can only be read by one machine' '|--fleet wants an INPUT'; do
		# shellcheck disable=SC2086
		fails 100 "$supervisor" run --fleet ${case%|*}
		err_has "${case#*|}"
		same "$(wc -l <<<"$stderr")" 1
	done
	unset "${!PG@}"
	fails 100 "$supervisor" run --fleet in
	err_has '--fleet wants a database that all machines reach'
}
