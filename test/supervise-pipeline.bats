#!/usr/bin/env bats
# Pipelines side by side, with programs made up: each is claimed, restarted and judged alone; and how they are stopped.

load helper
load fakes

setup() {
	fakes=$BATS_TEST_TMPDIR/fakes
	fake_all
	input=$BATS_TEST_TMPDIR/in
}

teardown() {
	[[ ! ${started-} ]] || kill -KILL "$started" 2>/dev/null || :
}

# slow_reader: one that goes on until it is told to stop.
slow_reader() {
	fake reader <<'END'
echo "$*" >>"$state/reader.args"
trap 'echo "{\"event\":\"end\",\"complete\":false}"; exit' TERM
echo "{\"event\":\"begin\",\"pid\":$$}"
while :; do sleep 0.1; done
END
}

# began N: whether N readers have begun.
began() {
	(($(grep -cs begin "$BATS_TEST_TMPDIR/out") >= $1))
}

@test "each shard of each input is a pipeline of its own" {
	echo x >"$BATS_TEST_TMPDIR/in2"
	ok "$supervisor" run --shards 2 "$input" "$BATS_TEST_TMPDIR/in2"
	same "$(sed 's/ --from.*//' "$fakes/reader.args" | sort)" "--source $input --shard 0/2
--source $input --shard 1/2
--source ${input}2 --shard 0/2
--source ${input}2 --shard 1/2"
	same "$(grep -c "^claim --source .* --shard ./2" "$fakes/writer.args")" 8
	same "$(sort -u "$ACCTFLOW_HOME"/run/pipelines/*/name | wc -l)" 4
}

@test "a killed one never disturbs its neighbours" {
	slow_reader
	start --shards 2 --source s "$input"
	retry 300 began 2
	complete() { (($(wc -l <"$ACCTFLOW_HOME/run/pipelines/$1/pids") == 4)); }
	retry 300 complete 0
	retry 300 complete 1
	mapfile -t first < <(cat "$ACCTFLOW_HOME/run/pipelines/1/pids")
	kill -KILL "$(awk '$1 == "writer" { print $2 }' "$ACCTFLOW_HOME/run/pipelines/0/pids")"
	retry 300 began 3
	same "$(cat "$ACCTFLOW_HOME/run/pipelines/1/pids")" "$(printf '%s\n' "${first[@]}")"
	kill -TERM "$started"
	finished 0
	same "$(grep -c 'was killed by signal 9; starting again in .* (source\|killed by signal 9 (source "s", shard 0/2); starting again' <<<"$stderr")" 1
	same "$(wc -l <"$ACCTFLOW_HOME/run/restarts")" 1
}

@test "run exits with 100 if any did, else 111, else 1, else 0" {
	source "$supervisor"
	for case in '0 0 0' '0 1 1' '1 111 111' '111 100 100' '100 1 100'; do
		read -r a b want <<<"$case"
		worse "$a" "$b"
		same "$worst" "$want"
	done
	sed -i 's|^"$state/die" reader.*|[[ $* != *"--shard 1/2"* ]] \|\| exit 100\n&|' "$fakes/reader"
	fails 100 "$supervisor" run --source s --shards 2 "$input"
	has '"complete":true'
}

@test "a stop during a pause ends it, also when it goes to the whole group" {
	yes 111 | head -n 50 >"$fakes/deaths-writer"
	for target in '' -; do
		rm -f "$fakes/done" "$BATS_TEST_TMPDIR/err"
		env --default-signal=INT,TERM setsid "$supervisor" run --source s "$input" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
		started=$!
		# The sixth pause takes more than a second.
		paused() { (($(grep -c 'starting again' "$BATS_TEST_TMPDIR/err") >= 6)); }
		retry 300 paused
		kill -TERM -- "$target$started"
		finished 0
		err_has 'asked to stop'
	done
}

@test "a stop that comes between the starts of a pipeline's programs" {
	local real=$supervisor calls before
	command -v strace >/dev/null || skip 'no strace'
	slow_reader
	supervisor=$BATS_TEST_TMPDIR/traced
	# traced OPTION...: run with its process traced, whose pid stays the same.
	traced() {
		printf '#!/bin/sh\nexec strace -qq -D -o "%s" -e signal=none %s "%s" "$@"\n' "$BATS_TEST_TMPDIR/trace" "$*" "$real" >"$supervisor"
		chmod +x "$supervisor"
		rm -f "$fakes/done" "$BATS_TEST_TMPDIR"/{out,err}
		start --source s "$input"
	}
	traced -e trace=clone,clone3,pipe,pipe2,wait4
	retry 300 began 1
	kill -TERM "$started"
	finished 0
	calls=$(sed 's/[3(].*//; s/pipe2/pipe/' "$BATS_TEST_TMPDIR/trace" | tr '\n' ' ')
	before=${calls%%pipe clone pipe clone pipe clone clone*}
	[[ $before != "$calls" ]]
	before=$(grep -o clone <<<"$before" | wc -l)
	for n in 1 2 3; do
		traced -e trace=clone,clone3 -e "inject=clone,clone3:signal=TERM:when=$((before + n))"
		retry 300 grep -q 'asked to stop' "$BATS_TEST_TMPDIR/err"
		finished 0
	done
}

@test "one stop that arrives twice is one; asked again later it ends at once" {
	slow_reader
	start --source s "$input"
	retry 300 began 1
	kill -TERM "$started"
	kill -HUP "$started"
	finished 0
	[[ $stderr != *'asked again'* ]]
	rm -f "$fakes/done" "$BATS_TEST_TMPDIR"/{out,err}
	sed -i 's/^trap .*/trap "" TERM/' "$fakes/reader"
	start --source s "$input"
	retry 300 began 1
	kill -TERM "$started"
	retry 300 grep -q 'asked to stop' "$BATS_TEST_TMPDIR/err"
	sleep 1
	kill -TERM "$started"
	finished 143
	err_has 'asked again to stop; ending at once'
}

@test "a stop that meets a reader which has read all reaches timerd, which waits for its callbacks" {
	fake reader <<'END'
trap exit TERM
echo '{"event":"begin"}'
echo '{"event":"end","complete":true}'
while :; do sleep 0.1; done
END
	fake timerd <<'END'
trap exit TERM
cat
while :; do sleep 0.1; done
END
	start --source s "$input"
	retry 300 began 1
	kill -TERM "$started"
	finished 0
}

@test "a wrapper that is killed counts as its program's death" {
	slow_reader
	start --source s "$input"
	retry 300 began 1
	noted() { pid=$(awk '$1 == "reader" { print $2 }' "$ACCTFLOW_HOME/run/pipelines/0/pids") && [[ $pid ]]; }
	retry 300 noted
	kill -KILL "$(ps -o ppid= -p "$pid")"
	retry 300 began 2
	kill -TERM "$started"
	finished 0
}

@test "without INPUT: what is pending of each pipeline that nobody owns, each claimed" {
	printf '%s\n' source=a shard=0/2 pending=3 '' source=a shard=1/2 pending=1 '' source=b shard=0/1 pending=2 >"$fakes/pipelines"
	ok "$supervisor" run
	for one in 'a --shard 0/2' 'a --shard 1/2' 'b --shard 0/1'; do
		grep -q "^claim --source $one" "$fakes/writer.args"
		grep -qE "^pending --token [0-9]+ --source $one --format json" "$fakes/writer.args"
		grep -qE "^ack --resume --token [0-9]+ --source $one" "$fakes/writer.args"
	done
}

@test "the end says how long it took, what was rejected, and how to go on" {
	sed -i 's|^sources.*|sources*) echo "{\\"source\\":\\"s\\",\\"read\\":9,\\"indexed\\":7,\\"rejected\\":2,\\"complete\\":false}" ;;|' "$fakes/writer"
	echo pending=2 >"$fakes/claim.more"
	ok "$supervisor" run --source s --shards 2 "$input"
	same "$(grep -c '"source":"s"' <<<"$output")" 1
	same "$(grep -c 'source "s": read 9, indexed 7, rejected 2, pending 4; it took ' <<<"$stderr")" 1
	err_has 'the same command goes on'
	[[ ${stderr##*$'\n'} == *'2 of 9 records were rejected; see: acctflow rejected' ]]
}

@test "restarts of earlier runs do not count" {
	mkdir -p "$ACCTFLOW_HOME/run"
	echo '1 writer exit 111' >"$ACCTFLOW_HOME/run/restarts"
	ok "$supervisor" run --source s "$input"
	[[ ! -s $ACCTFLOW_HOME/run/restarts ]]
}

@test "a database that goes back behind the last round is read on; --count need not read all" {
	fake_all
	echo complete=false >"$fakes/claim.more"
	sed -i 's|: >"$state/done"|(($(wc -l <"$state/reader.args") < 2)) \|\| &|' "$fakes/writer"
	ok "$supervisor" run --source s "$BATS_TEST_TMPDIR/in"
	same "$(wc -l <"$fakes/reader.args")" 2
	rm "$fakes/reader.args" "$fakes/done"
	ok "$supervisor" run --source s --count 1 "$BATS_TEST_TMPDIR/in"
	same "$(wc -l <"$fakes/reader.args")" 1
}

@test "an output that nobody reads ends the run, also where all programs have ended at once" {
	fake_all
	echo complete=false >"$fakes/claim.more"
	# ack ends well; once its wrapper has reported that, so do the others.
	sed -i 's|"$state/die" ack .*|echo $PPID >"$state/wrapper"; exit|' "$fakes/writer"
	sed -i 's|"$state/die" reader .*|until [[ -s $state/wrapper ]] \&\& ! kill -0 "$(<"$state/wrapper")" 2>/dev/null; do sleep 0.01; done|' "$fakes/reader"
	ok "$supervisor" run --source s "$BATS_TEST_TMPDIR/in"
	same "$(wc -l <"$fakes/reader.args")" 1
}

@test "an input that breaks off is read to there, also where another program is killed meanwhile" {
	sed -i 's|^echo .*"end".*|&; exit 100|' "$fakes/reader"
	echo KILL >"$fakes/deaths-timerd"
	fails 100 "$supervisor" run --source s "$input"
	same "$(wc -l <"$fakes/reader.args")" 2
	has '"event":"end"'
}

@test "a map that is a file is known by its whole path, so that another folder can finish what is left" {
	cd "$BATS_TEST_TMPDIR" || return
	ok "$supervisor" run --map ./my.yaml --source s "$input"
	grep -q -- "--map $PWD/my.yaml" "$fakes/reader.args"
	rm "$fakes/done"
	ok "$supervisor" run --map kcat --source s "$input"
	grep -q -- '--map kcat' "$fakes/reader.args"
}
