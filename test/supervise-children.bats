#!/usr/bin/env bats
# How children are started, report and end; the logs; and what a full disk or a limit does to a run.

load helper
load fakes

setup() {
	fakes=$BATS_TEST_TMPDIR/fakes
	fake_all
	input=$BATS_TEST_TMPDIR/in
}

@test "a child reports its pid and how it ended, and holds none of our descriptors" {
	source "$supervisor"
	run=$BATS_TEST_TMPDIR
	events_open
	exec {held}<"$input"
	live[s.x]=''
	child s.x bash -c 'ls -l /proc/self/fd >"$0"; kill -KILL $$' "$BATS_TEST_TMPDIR/fds" </dev/null &
	service_ended() { ended="$1 $2 $last_pid"; }
	ended=''
	for ((i = 0; i < 100 && ${#ended} == 0; i++)); do event_wait 0.3; done
	[[ $ended =~ ^x\ 137\ [0-9]+$ ]]
	run ! grep -qE "events|$input" "$BATS_TEST_TMPDIR/fds"
}

@test "logs: appended, rotated at the start of a run, warnings shown, all of it where a level is asked for" {
	echo 'echo "2026-01-01T00:00:00.000000Z info reader[1] hidden" >&2; echo "2026-01-01T00:00:00.000000Z warn reader[1] seen" >&2; echo odd >&2' >>"$fakes/reader"
	mkdir -p "$ACCTFLOW_HOME/log"
	head -c 11000000 /dev/zero | tr '\0' x >"$ACCTFLOW_HOME/log/acctflow.log"
	echo old >"$ACCTFLOW_HOME/log/acctflow.log.1"
	ok "$supervisor" run --source s "$input"
	err_has ' seen'
	err_has 'odd'
	[[ $stderr != *hidden* ]]
	grep -q hidden "$ACCTFLOW_HOME/log/acctflow.log"
	same "$(cat "$ACCTFLOW_HOME/log/acctflow.log.2")" old
	rm "$fakes/done"
	ok "$supervisor" run -l info --source s "$input"
	err_has hidden
	same "$(grep -c hidden "$ACCTFLOW_HOME/log/acctflow.log")" 2
}

@test "ulimit -f: a plain sentence, and the run goes on" {
	echo 111 >"$fakes/deaths-timerd"
	# No file may pass a kilobyte: the log and the restarts have more than that already.
	mkdir -p "$ACCTFLOW_HOME/log"
	head -c 2000 /dev/zero >"$ACCTFLOW_HOME/log/acctflow.log"
	ok bash -c 'ulimit -f 1; exec "$@"' - "$supervisor" run --source s "$input"
	[[ $stderr != *'line '[0-9]* ]]
	has '{"richest":1}'
}
