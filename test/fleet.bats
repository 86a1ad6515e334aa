#!/usr/bin/env bats
# A fleet: machines that share pipelines by leases. Each machine is a supervisor with a state folder of its own, on one
# database; what one machine is, is all processes that have its folder in their environment.
# shellcheck disable=SC2030,SC2031,SC2154 # helper and bats set them
load helper
load kafka

setup() {
	kafka_begin
	database
	started=()
	# So that a slow machine expels nobody who is only slow.
	export ACCTFLOW_LEASE_MS=30000
}

teardown() {
	for m in "${!started[@]}"; do strike "$m" KILL; done
	broker_stop
	database_drop
}

# input N CALLBACK_MS: the file in, of so many versions, three of each account.
input() {
	perl -e 'printf qq({"id":"a%d","accountType":"t","tokens":1,"callbackTimeMs":%d,"version":%d}\n), $_ % ($ARGV[0] / 3), $ARGV[1] + $_ * 7919 % 1000, $_ + 1
		for 0 .. $ARGV[0] - 1' "$1" "$2" >in
}

# An input that does not end while a test looks at its machines.
LONG=300000

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

# complete N: all versions are there once, and each callback has an outcome.
complete() {
	same "$(sql 'SELECT count(*), count(DISTINCT (id, version)) FROM acctflow.history')" "$1|$1"
	same "$(sql 'SELECT read - indexed, complete FROM acctflow.sources')" '0|t'
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending'")" 0
}

# whole SHARDS: each shard has read all that the file has for it up to where it committed.
whole() {
	local shard committed read
	for ((shard = 0; shard < $1; shard++)); do
		IFS='|' read -r committed read < <(sql "SELECT committed_offset, read FROM acctflow.source_shards WHERE shard = $shard")
		same "$shard: $read" "$shard: $(reader --arrival none --shard "$shard/$1" --to "$committed" in 2>/dev/null | grep -c '"offset":')"
	done
}

# The counts add up, and what is recorded as fired was emitted. Sets again, how many callbacks the machines emitted twice.
reconciled() {
	ok writer status
	sql "SELECT id, version FROM acctflow.callbacks WHERE state = 'fired'" | sort >fired
	cat out* | fired_of | sort >emitted
	same "$(comm -23 fired <(uniq emitted) | wc -l)" 0
	again=$(uniq -d emitted | wc -l)
}

fired_of() {
	sed -n 's/^{"event":"fired".*"id":"\([^"]*\)","version":\([0-9]*\).*/\1|\2/p'
}

# Whether each pipeline has been claimed by the second machine, or again.
claimed_twice() {
	[[ $(sql 'SELECT min(token) FROM acctflow.pipelines') == 2 ]]
}

@test "two machines share the pipelines, and agree on the seed" {
	input $LONG 100
	machine 0 --shards 4 --delay-ms 20:40
	retry 300 has_leases 0 4
	machine 1 --shards 4 --delay-ms 20:40
	retry 300 has_leases 1 2
	retry 300 has_leases 0 2
	ok writer fleet --format json
	same "$(grep -c "\"owner\":\"$(<1/run/machine)\",\"source\":\"$PWD/in\",\"shard\":\"[0-3]/4\",\"token\":" <<<"$output")" 2
	ACCTFLOW_HOME=$PWD/0 ok "$supervisor" status --fleet
	has "$(<0/run/machine)"
	begun() { grep -q '"event":"begin"' "out$1"; }
	retry 300 begun 0
	retry 300 begun 1
	for m in 0 1; do kill -TERM "${started[$m]}" && ended "$m" 0; done
	whole 4
	reconciled
	same "$again" 0
	same "$(grep -ho '"event":"begin".*"seed":[0-9]*' out* | grep -o 'seed.*' | sort -u)" "seed\":$(cksum <<<"$PWD/in" | cut -d ' ' -f 1)"
	same "$(sql 'SELECT count(*) FROM acctflow.machines')" 0
}

@test "two machines share an input that ends, and both end" {
	input 900 100
	machine 0 --shards 4 --arrival none
	machine 1 --shards 4 --arrival none
	ended 0 0
	ended 1 0
	complete 900
	reconciled
	same "$again" 0
}

@test "a machine that joins takes its share, and nothing else is restarted" {
	input $LONG 2000
	machine 0 --shards 3 --delay-ms 20:40
	retry 300 has_leases 0 3
	running() { (($(cat "$1"/run/pipelines/*/pids 2>/dev/null | wc -l) == $2)); }
	retry 300 running 0 12
	cat 0/run/pipelines/*/pids | sort >before
	machine 1 --shards 3 --delay-ms 20:40
	retry 300 running 1 4
	retry 300 running 0 8
	same "$(cat 0/run/pipelines/*/pids | sort | comm -12 before - | wc -l)" 8
	# Who leaves gives all back at once, long before its leases would end.
	kill -TERM "${started[1]}"
	ended 1 0
	retry 50 has_leases 0 3
	kill -TERM "${started[0]}"
	ended 0 0
	reconciled
	same "$again" 0
}

# two_share: two machines have a pipeline each.
two_share() {
	ACCTFLOW_LEASE_MS=10000
	input $LONG 3000
	machine 0 --shards 2 --delay-ms 20:40
	retry 300 has_leases 0 2
	machine 1 --shards 2 --delay-ms 20:40
	retry 300 has_leases 1 1
}

@test "the machine that is killed: others take over, with what is pending" {
	two_share
	seen=$(sql 'SELECT coalesce(sum(read), 0) FROM acctflow.sources')
	retry 300 committed $((seen + 100))
	killed_at=$(sql 'SELECT now()')
	strike 0 KILL
	sleep 0.1
	sql "SELECT id, version FROM acctflow.callbacks WHERE state = 'fired'" | sort >recorded
	retry 120 claimed_twice
	wait "${started[0]}" || unset "started[0]"
	recovered() { grep -q '"recovered":true' out1; }
	retry 300 recovered
	# What was due then and is still wanted fires now.
	caught_up() { [[ $(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending' AND due_at < '$killed_at'") == 0 ]]; }
	retry 300 caught_up
	kill -TERM "${started[1]}"
	ended 1 0
	whole 2
	reconciled
	# Emitted again is only what was not recorded.
	same "$(uniq -d emitted | comm -12 - recorded | wc -l)" 0
}

@test "the machine that is frozen: expelled, it records nothing and emits no callback, and joins anew" {
	two_share
	fires() { grep -q '"event":"fired"' out0; }
	retry 600 fires
	name=$(<0/run/machine)
	strike 0 STOP
	strike 0 STOP
	frozen_at=$(stat -c %s out0)
	retry 300 claimed_twice
	sql "SELECT id, version FROM acctflow.callbacks WHERE state = 'fired'" | sort >recorded
	strike 0 CONT
	anew() { [[ $(cat 0/run/machine) != "$name" ]] && has_leases 0 1; }
	retry 300 anew
	grep -q "machine $name was silent for too long, and others have taken over; it joins anew" err0
	for m in 0 1; do kill -TERM "${started[$m]}" && ended "$m" 0; done
	reconciled
	# What it emitted under its old name once it was thawed is one write at most; and nothing that others had recorded.
	tail -c "+$((frozen_at + 1))" out0 | sed '/"event":"begin"/,$d' | fired_of | sort >late
	(($(wc -l <late) <= 30))
	same "$(comm -12 late recorded | wc -l)" 0
}

@test "two machines share the partitions of a topic; the one that is killed is replaced" {
	local p
	# Three versions of each account, all in its partition.
	input 1200 500
	for p in 0 1 2 3; do
		head -n 600 in | perl -ne 'print if /"id":"a(\d+)"/ && $1 % 4 == '$p >"first.$p"
		tail -n 600 in | perl -ne 'print if /"id":"a(\d+)"/ && $1 % 4 == '$p >"second.$p"
	done
	broker_start
	broker topic t 4
	for p in 0 1 2 3; do broker load t $p "first.$p"; done
	for p in 0 1; do
		ACCTFLOW_HOME=$PWD/$p "$supervisor" run --fleet --format json "kafka://$brokers/t" >>"out$p" 2>>"err$p" 3>&- &
		started[p]=$!
	done
	retry 300 has_leases 0 2
	retry 300 has_leases 1 2
	retry 300 committed 600
	strike 0 KILL
	wait "${started[0]}" || unset "started[0]"
	for p in 0 1 2 3; do broker load t $p "second.$p"; done
	retry 600 has_leases 1 4
	retry 300 committed 1200
	none_pending() { [[ $(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending'") == 0 ]]; }
	retry 300 none_pending
	kill -TERM "${started[1]}"
	ended 1 0
	same "$(sql 'SELECT count(*), count(DISTINCT (id, version)) FROM acctflow.history')" '1200|1200'
	same "$(sql 'SELECT sum(read), sum(indexed), count(*) FROM acctflow.sources')" '1200|1200|4'
	reconciled
}

@test "a fleet refuses what several machines cannot read, one sentence each" {
	input 3 1
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
