#!/usr/bin/env bats
# A sample of the fault harness (test/faults/), small enough for every change: the whole of it is `make soak`.
# FAULTS_KILLS, FAULTS_WRITERS_UPDATES and FAULTS_ROTATE_MINUTES say how large it is.
# shellcheck disable=SC2154 # helper sets bin and root
load helper

setup() {
	# Each has a Postgres of its own, which it kills.
	command -v perl >/dev/null || skip 'no perl'
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'the sanitizers do not go along with strace and LD_PRELOAD'
	unset ACCTFLOW_BIN ACCTFLOW_CONFIG ACCTFLOW_HOME
	export BIN=$bin
}

@test "faults: struck at random, the relations are the model's and every event was emitted" {
	ok "$root/test/faults/run" --kills "${FAULTS_KILLS:-20}" --jobs 2
	[[ ${lines[-1]} == 'ok: seed '* ]]
	has 'strikes: KILL '
	echo "$output" | grep -v ' not in ' >&3
	# Twenty strikes drawn at random can all miss one role, and one in five freezes instead of killing.
	ok "$root/test/faults/run" --only virtual --strike writer --kills 4
	[[ $output =~ 'strikes: '(KILL|STOP)' writer: ' ]]
}

@test "faults: every mutant can still be made" {
	ok "$root/test/faults/mutants" --apply
	has ' apply, 0 do not'
}

@test "faults: two shards and four, several inputs, a database that goes back" {
	local each=$((${FAULTS_KILLS:-20} / 4))
	ok "$root/test/faults/run" --shards 2 --kills "$each" --jobs 2
	ok "$root/test/faults/run" --shards 4 --only virtual --kills "$each" --jobs 2
	ok "$root/test/faults/run" --only several --kills "$each" --jobs 2
	ok "$root/test/faults/run" --only back --kills 2 --jobs 2
}

@test "faults: a topic of Kafka whose brokers fail, too: every message counts once, in its order" {
	ok "$root/test/faults/run" --only kafka --kills $((${FAULTS_KILLS:-20} / 2))
	[[ ${lines[-1]} == 'ok: seed '* ]]
}

@test "faults: three writers on the same accounts at once: the newest wins, and no deadlock" {
	ok "$root/test/faults/writers" --updates "${FAULTS_WRITERS_UPDATES:-30000}"
	has '0 deadlocks'
	echo "${lines[-1]}" >&3
}

@test "faults: a followed file that is rotated in all ways while its readers are killed: each line is indexed once" {
	ok "$root/test/faults/rotate" --minutes "${FAULTS_ROTATE_MINUTES:-0.3}"
	[[ ${lines[-1]} == 'ok: '* ]]
}
