#!/usr/bin/env bats
# Standard input on its way through files, under the supervisor: nothing that was read of it is lost, whoever dies, and
# nothing piles up. The spool by itself: spool.bats.
# shellcheck disable=SC2154 # helper sets root, bin and supervisor

load helper

setup() {
	cd "$BATS_TEST_TMPDIR"
	started=''
	export ACCTFLOW_SPOOL_SEGMENT=1000
}

teardown() {
	[[ ! $started ]] || kill -KILL "$started" 2>/dev/null || :
	exec 5>&- 6<&-
	database_drop
}

# updates FIRST LAST: numbered ones, some of their accounts coming again.
updates() {
	local i
	for ((i = $1; i <= $2; i++)); do
		printf '{"id":"a%d","accountType":"t","tokens":%d,"callbackTimeMs":%d,"version":%d,"arriveMs":%d}\n' \
			$((i % 17)) "$i" $((i % 5)) "$i" $((i * 3))
	done
}

records() {
	grep -v -e '^{"event":"begin"' -e '^{"event":"end"'
}

# --- under the supervisor ---------------------------------------------------------

# start [OPTION...]: `run -` in the background, reading what is written to descriptor 5.
start() {
	rm -f in
	mkfifo in
	"$supervisor" run "$@" - <in >out 2>err 3>&- &
	started=$!
	exec 5>in
}

# The pid of a process of the run, if it is there now.
child() {
	awk -v name="$1" '$1 == name { print $2 }' "$ACCTFLOW_HOME/run/pids" 2>/dev/null || :
}

finished() {
	local status=0
	wait "$started" || status=$?
	output=$(<out) stderr=$(<err) command='run -' started=''
	[[ $status == "$1" ]] || {
		echo "wanted status: $1"
		shown
		return 1
	}
}

# another_than PID: whether a reader works that is not that one.
another_than() {
	local now
	now=$(child reader)
	[[ $now && $now != "$1" ]] && kill -0 "$now"
}

# told N: whether so many records were told.
told() {
	(($(grep -c '"event":"indexed"' out) >= $1))
}

# segments: how many there are now.
segments() {
	set -- "$ACCTFLOW_HOME"/spool/*/0*
	[[ -e $1 ]] && echo $# || echo 0
}

# all N: whether each of the records 1 to N is indexed, once, at its place.
all() {
	same "$(sql "SELECT count(*), count(DISTINCT source_offset), min(version), max(version), bool_and(version = source_offset + 1) FROM acctflow.account_updates")" "$1|$1|1|$1|t"
}

nothing_left() {
	same "$(find "$ACCTFLOW_HOME/spool" -mindepth 1)" ''
}

@test "run -: whoever is killed, as often as it may be, each record is indexed once" {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'too slow with sanitizers to be struck in time'
	for clock in virtual real; do
		database
		start --clock $clock --delay-ms 0:4 --seed 5
		for ((i = 0; i < 30; i++)); do
			updates $((i * 20 + 1)) $((i * 20 + 10)) >&5
			sleep "0.0$((RANDOM % 90 + 10))"
			names=(reader writer timerd ack)
			pid=$(child "${names[i % 4]}")
			((i % 2)) || [[ ! $pid ]] || kill -KILL "$pid" 2>/dev/null || :
			updates $((i * 20 + 11)) $((i * 20 + 20)) >&5
		done
		exec 5>&-
		finished 0
		(($(grep -c 'was killed by signal 9' err) >= 8))
		all 600
		nothing_left
		same "$(sql "SELECT read, complete FROM acctflow.sources")" '600|t'
		[[ $clock == real ]] || relations_of_virtual
		database_drop
	done
}

# The relations are those of an undisturbed run, times included, where nobody waits.
relations_of_virtual() {
	local killed
	killed=$(sql 'SELECT id, version, ingested_at, applied FROM acctflow.account_updates ORDER BY source_offset')
	database_drop
	database
	ok bash -c "'$supervisor' run --clock virtual --delay-ms 0:4 --seed 5 - < <(for ((i = 0; i < 30; i++)); do $(declare -f updates); updates \$((i * 20 + 1)) \$((i * 20 + 20)); done)"
	same "$(sql 'SELECT id, version, ingested_at, applied FROM acctflow.account_updates ORDER BY source_offset')" "$killed"
}

@test "run -: delivered segments are deleted while it runs" {
	database
	start --arrival none
	few() { (($(segments) < 4)); }
	for ((i = 0; i < 10; i++)); do
		# A handful of segments each time.
		for ((j = 0; j < 6; j++)); do
			updates $((i * 120 + j * 20 + 1)) $((i * 120 + j * 20 + 20)) >&5
			retry 100 told $((i * 120 + j * 20 + 20))
		done
		retry 100 few
	done
	set -- "$ACCTFLOW_HOME"/spool/*/0*
	((10#${1##*/} > 1000))
	updates 1201 1201 >&5
	exec 5>&-
	finished 0
	all 1201
	nothing_left
}

@test "run -: a writer that stands still stops the producer, and spool and memory stay small" {
	database
	start --arrival none
	perl -e '$| = 1; for (1 .. 400000) { print qq({"id":"a) . $_ % 17 . qq(","accountType":"t","tokens":$_,"callbackTimeMs":0,"version":$_}\n);
		if ($_ % 100 == 0) { open my $f, ">", "count"; print $f $_ } }' >&5 &
	producer=$!
	exec 5>&-
	retry 100 told 100
	writer=$(child writer) reader=$(child reader)
	kill -STOP "$writer"
	still() { local before && before=$(<count) && sleep 0.3 && [[ $before && $before == "$(<count)" ]]; }
	retry 50 still
	((10#$(<count) < 400000))
	(($(du -sk "$ACCTFLOW_HOME/spool" | cut -f 1) < 8000))
	(($(awk '/VmHWM/ { print $2 }' "/proc/$reader/status") < 20000))
	kill -CONT "$writer"
	wait $producer
	finished 0
	all 400000
	nothing_left
}

@test "run -: a killed supervisor's spool is finished first by the next run -" {
	database
	start --arrival none --source first
	updates 1 100 >&5
	printf '{"half' >&5
	retry 100 told 10
	kill -STOP "$(child writer)"
	updates 101 200 | sed '1s/^/"}\n/' >&5
	spooled() { grep -q '"version":200,' "$ACCTFLOW_HOME"/spool/*/0*; }
	retry 50 spooled
	kill -KILL "$started"
	wait "$started" || :
	started=''
	# Nobody reads it any more.
	run ! bash -c 'echo x >&5'
	exec 5>&-
	updates 201 210 >"more"
	fails 0 bash -c "cat more | '$supervisor' run --arrival none --source second -"
	err_has 'source "first": finishing what was read of it before'
	[[ $output == *'"source":"first","offset":200,'*'"event":"end","source":"first","read":'*'"source":"second","offset":0,'* ]]
	same "$(sql "SELECT name, read, indexed, rejected, complete FROM acctflow.sources ORDER BY name")" $'first|201|200|1|t\nsecond|10|10|0|t'
	nothing_left
}

@test "run without FILE finishes it too, as it was begun; an array that breaks off there is no error" {
	database
	start --clock virtual --seed 7 --delay-ms 5:5
	printf '[%s,%s,' "$(updates 1 1)" "$(updates 2 2)" >&5
	retry 100 told 2
	kill -KILL "$started"
	wait "$started" || :
	started=''
	exec 5>&-
	ok "$supervisor" run
	err_has 'the input ends inside the array'
	same "$(sql 'SELECT read, complete, seed, clock, delay_ms FROM acctflow.sources')" '2|t|7|virtual|5:5'
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending'")" 0
	nothing_left
	# On the real clock, before anything of it was stored.
	PGHOST=/nowhere ACCTFLOW_DEADLINE=1 timeout -s KILL 1 "$supervisor" run --arrival none --source x - < <(updates 1 3) || :
	ok "$supervisor" run
}

@test "run -: callbacks of what was left do not hold up what is new" {
	database
	start --arrival none --source first
	echo '{"id":"b","accountType":"t","tokens":1,"callbackTimeMs":31536000000,"version":1}' >&5
	retry 100 told 1
	kill -KILL "$started"
	wait "$started" || :
	started=''
	exec 5>&-
	updates 1 3 >"more"
	ok timeout 60 bash -c "cat more | '$supervisor' run --arrival none --source second -"
	same "$(sql "SELECT name, complete FROM acctflow.sources ORDER BY name")" $'first|t\nsecond|t'
	same "$(sql "SELECT id, state FROM acctflow.callbacks WHERE state = 'pending'")" 'b|pending'
	nothing_left
}

@test "run -: a stop keeps what was read and not told; --count and an array" {
	database
	start --delay-ms 100000:100000 --source slow
	updates 1 5 >&5
	spooled() { grep -q '"version":5,' "$ACCTFLOW_HOME"/spool/*/0*; }
	retry 100 spooled
	kill -TERM "$started"
	finished 0
	err_has 'is kept; run takes it up'
	exec 5>&-
	ok "$supervisor" run
	same "$(sql 'SELECT read, indexed, complete FROM acctflow.sources')" '5|5|t'
	ok bash -c "yes '$(updates 1 1)' | '$supervisor' run --arrival none --count 7 --source counted -"
	same "$(sql "SELECT read FROM acctflow.sources WHERE name = 'counted'")" 7
	ok bash -c "printf '[%s , 5]' '$(updates 1 1)' | '$supervisor' run --arrival none --source 'an/array' -"
	same "$(sql "SELECT read, rejected FROM acctflow.sources WHERE name = 'an/array'")" '2|1'
	# Standard input that was read to its end is not read again under that name.
	ok bash -c "'$supervisor' run --source counted - <<<1"
	err_has 'was read to its end'
	nothing_left
}

@test "run -: a broken array is finished to its place, callbacks too, and leaves nothing behind" {
	database
	for clock in real virtual; do
		printf '[%s,%s, oops' "$(updates 1 1 | sed 's/"callbackTimeMs":[0-9]*/"callbackTimeMs":2500/')" "$(updates 2 2)" >broken
		fails 100 bash -c "'$supervisor' run --arrival none --clock $clock --source $clock - <broken"
		err_has 'unexpected character'
		same "$(sql "SELECT read, complete, committed_offset, delivered_offset FROM acctflow.sources WHERE name = '$clock'")" '2|t|1|1'
		same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending'")" 0
		nothing_left
	done
	fails 100 bash -c "'$supervisor' run --source empty - </dev/null"
	nothing_left
}

@test "run --follow: offsets run on over renames, whenever reader is killed" {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'too slow with sanitizers to be struck in time'
	database
	: >f
	"$supervisor" run --follow --arrival none --source log f >out 2>err 3>&- &
	started=$!
	retry 100 test -s out
	for ((i = 0; i < 20; i++)); do
		updates $((i * 10 + 1)) $((i * 10 + 5)) >>f
		if ((i % 3)); then
			updates $((i * 10 + 6)) $((i * 10 + 10)) >>f
		else
			# Of two renames while nobody looks the first one's file would not be found.
			retry 100 told $((i * 10))
			mv f "f.$i"
			updates $((i * 10 + 6)) $((i * 10 + 10)) >>"f.$i"
		fi
		sleep "0.0$((RANDOM % 90 + 10))"
		pid=$(child reader)
		[[ ! $pid ]] || kill -KILL "$pid" 2>/dev/null || :
		sleep "0.0$((RANDOM % 90 + 10))"
		[[ -e f ]] || : >f
	done
	retry 100 told 200
	# Asked to stop between two rounds it says that the last one failed: wait for the next.
	retry 100 another_than "$pid"
	kill -TERM "$started"
	finished 0
	all 200
	# Another run, behind another rename, goes on there; what is not meant is refused, and --again says that it is.
	mv f g
	updates 201 202 >>g
	fails 100 "$supervisor" run --follow --source other f
	err_has 'does not exist'
	"$supervisor" run --follow --source log --count 5 f >>out 2>err 3>&- &
	started=$!
	retry 100 told 202
	updates 203 205 >f
	finished 0
	all 205
	same "$(sql 'SELECT count(*) FROM acctflow.sources')" 1
	# Cut off, which is refused unless --again says that it is meant.
	: >out
	"$supervisor" run --follow --arrival none --source cut f >out 2>err 3>&- &
	started=$!
	retry 100 grep -q '"offset":2' out
	kill -TERM "$started"
	finished 0
	updates 206 206 >f
	fails 100 timeout 60 "$supervisor" run --follow --source cut f
	err_has 'was cut off below'
	ok timeout 60 "$supervisor" run --follow --arrival none --source cut --again --count 1 f
	has '"source":"cut#2","offset":0,"id":"a2"'
}
