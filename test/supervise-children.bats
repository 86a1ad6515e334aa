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
	events_open
	exec {held}<"$input"
	live[s.x]=''
	child s.x bash -c 'ls -l /proc/self/fd >"$0"; kill -KILL $$' "$BATS_TEST_TMPDIR/fds" </dev/null &
	service_ended() { ended="$1 $2 $last_pid"; }
	ended=''
	for ((i = 0; i < 100 && ${#ended} == 0; i++)); do event_wait 0.3; done
	[[ $ended =~ ^x\ 137\ [0-9]+$ ]]
	# The shell behind -c holds none but the standard ones, and ls its own.
	run ! grep -q "$input" "$BATS_TEST_TMPDIR/fds"
	same "$(grep -c -e '->' "$BATS_TEST_TMPDIR/fds")" 4
}

@test "a wrapper that is slow to report is not one that was killed; one that was killed is" {
	source "$supervisor"
	events_open
	live[s.x]='' live[s.y]=''
	child s.x sleep 100 </dev/null >/dev/null &
	child s.y sleep 100 </dev/null >/dev/null &
	service_ended() { ended+="$1 $2;"; }
	ended=''
	until [[ ${live[s.x]} && ${live[s.y]} ]]; do event_wait 0.3; done
	# Its program is gone, and its report does not come yet.
	kill -STOP "${wrapper[s.y]}"
	kill -KILL "${live[s.y]}" "${wrapper[s.x]}"
	until [[ $ended ]]; do children_look && event_wait 0.3; done
	for i in 1 2 3 4 5; do children_look && event_wait 0.1; done
	same "$ended" 'x 137;'
	kill -CONT "${wrapper[s.y]}"
	until [[ $ended == *y* ]]; do children_look && event_wait 0.3; done
	same "$ended" 'x 137;y 137;'
}

@test "no event is torn or lost, however often the time is over in the middle of one" {
	source "$supervisor"
	events_open
	live["0.x"]=''
	child_line() { got+="$2;"; }
	got='' want=''
	for ((i = 0; i < 500; i++)); do want+="line $i;"; done
	(for ((i = 0; i < 500; i++)); do echo "0.x line line $i" >&"$events"; done) &
	for ((n = 0; n < 100000 && ${#got} < ${#want}; n++)); do event_wait 0.00005; done
	same "$got" "$want"
}

@test "a child that was killed before it had reported is missed, one that is yet to report is not" {
	source "$supervisor"
	events_open
	service_ended() { ended+="$1 $2;"; }
	ended=''
	sleep 100 &
	live[s.x]=''
	children_look
	event_wait 0.3
	same "$ended" ''
	kill $!
	wait $! || :
	children_look
	event_wait 1
	same "$ended" 'x 137;'
}

@test "a child's list comes with its exit code behind it, whatever is in it" {
	source "$supervisor"
	events_open
	child_line() { got+="$2|"; }
	service_ended() { ended=$2; }
	got='' ended=''
	child_list s.x printf '%s\n' 'a=\n b' 'c=-e  d'
	until [[ $ended ]]; do event_wait 0.3; done
	same "$ended $got" '0 a=\n b|c=-e  d|'
	ended=''
	child_list s.x bash -c 'exit 111'
	until [[ $ended ]]; do event_wait 0.3; done
	same "$ended" 111
}

@test "statusd is started again where that helps, and ended by TERM" {
	fake statusd <<'ENDS'
echo "$*" >>"$state/statusd.args"
[[ -e $state/again ]] || { : >"$state/again"; exit 111; }
trap ': >"$state/ended"; exit' TERM
while :; do sleep 0.1; done
ENDS
	sed -i '/die" reader/i until [[ ! -e $state/again || $(wc -l <"$state/statusd.args") == 2 ]]; do sleep 0.1; done; sleep 0.5' "$fakes/reader"
	ok "$supervisor" run --source s "$input"
	err_has 'exited 111; starting again in'
	[[ -e $fakes/ended ]]
	same "$(cut -d ' ' -f 3- "$ACCTFLOW_HOME/run/restarts")" 'exit 111'
	rm -f "$fakes/done"
	sed -i '2i exit 100' "$fakes/statusd"
	sed -i '/^until/d' "$fakes/reader"
	ok "$supervisor" run --source s "$input"
	err_has 'going on without statusd, which exited 100'
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
