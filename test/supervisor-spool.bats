#!/usr/bin/env bats
# What cannot be read twice, on its way through a spool, under the supervisor: nothing that was read of it is lost, whoever
# dies, and nothing piles up. The spool by itself: spool.bats; the wiring, with programs made up: supervise-spool.bats.
# shellcheck disable=SC2154 # helper sets root, bin and supervisor

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	started=''
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

# start [OPTION...]: `run -` in the background, reading what is written to descriptor 5.
start() {
	rm -f in
	mkfifo in
	"$supervisor" run "$@" - <in >out 2>err 3>&- 5>&- &
	started=$!
	exec 5>in
}

# child NAME: the pid of a program of the run, if it is there now. The copier belongs to no pipeline.
child() {
	local pid
	if [[ $1 != copier ]]; then
		awk -v name="$1" '$1 == name { print $2 }' "$ACCTFLOW_HOME/run/pipelines/0/pids" 2>/dev/null || :
		return
	fi
	for pid in $(pgrep -x reader); do
		[[ $(tr '\0' ' ' <"/proc/$pid/cmdline") != *"--copy-to $ACCTFLOW_HOME/"* ]] || echo "$pid"
	done 2>/dev/null
}

known() {
	[[ $(child "$1") ]]
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

# strike NAME: kills it, if it is there.
strike() {
	local pid
	pid=$(child "$1")
	[[ ! $pid ]] || kill -KILL "$pid" 2>/dev/null || :
}

# supervisor_kill: and waits until nobody reads what it read.
supervisor_kill() {
	kill -KILL "$started"
	wait "$started" || :
	started=''
	# An empty line is no record: a copier that outlives it for a moment may still take that.
	deaf() { ! bash -c 'echo >&5' 2>/dev/null; }
	retry 100 deaf
	exec 5>&-
}

# told N: whether so many records were indexed.
told() {
	(($(grep -c '"event":"indexed"' out) >= $1))
}

# copied TEXT: whether it is in the spool.
copied() {
	grep -q "$1" "$ACCTFLOW_HOME"/spool/*/data
}

# all N: whether each of the records 1 to N is indexed, once, at its place.
all() {
	same "$(sql "SELECT count(*), count(DISTINCT source_offset), min(version), max(version), bool_and(version = source_offset + 1) FROM acctflow.account_updates")" "$1|$1|1|$1|t"
}

nothing_left() {
	same "$(find "$ACCTFLOW_HOME/spool" -mindepth 1)" ''
}

@test "run -: whoever is killed, the copier too, each record is indexed once" {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'too slow with sanitizers to be struck in time'
	for clock in virtual real; do
		database
		start --clock $clock --delay-ms 0:4 --seed 5
		for ((i = 0; i < 30; i++)); do
			updates $((i * 20 + 1)) $((i * 20 + 10)) >&5
			sleep "0.0$((RANDOM % 90 + 10))"
			names=(reader copier writer timerd copier ack)
			((i % 2)) || strike "${names[i / 2 % 6]}"
			updates $((i * 20 + 11)) $((i * 20 + 20)) >&5
		done
		# At least one of each, however slow the machine.
		for name in copier writer; do
			there() { [[ $(child $name) ]]; }
			retry 100 there
			strike $name
		done
		exec 5>&-
		finished 0
		grep -q 'the copier\[.*was killed by signal 9; starting again' err
		grep -q ' writer\[.*was killed by signal 9; starting again' err
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
	updates 1 600 >undisturbed
	ok bash -c "cat undisturbed | '$supervisor' run --clock virtual --delay-ms 0:4 --seed 5 -"
	same "$(sql 'SELECT id, version, ingested_at, applied FROM acctflow.account_updates ORDER BY source_offset')" "$killed"
}

@test "run --shards 2 -: delivered bytes are given back while it runs" {
	fallocate --length 8192 holes && fallocate --punch-hole --offset 0 --length 4096 holes 2>/dev/null || skip 'no holes in this file system'
	database
	start --arrival none --shards 2
	perl -e '$| = 1; print qq({"id":"a) . $_ % 17 . qq(","accountType":"t","tokens":$_,"callbackTimeMs":0,"version":$_,"data":") . "x" x 3000 . qq("}\n) for 1 .. 2000' >&5
	retry 300 told 2000
	given_back() { (($(stat -c '%b * %B' "$ACCTFLOW_HOME"/spool/*/data) < 4000000)); }
	retry 300 given_back
	(($(stat -c %s "$ACCTFLOW_HOME"/spool/*/data) > 6000000))
	# Who begins again begins behind the hole.
	strike writer
	updates 2001 2001 >&5
	exec 5>&-
	finished 0
	all 2001
	nothing_left
}

@test "run -: a writer that stands still stops the producer, and spool and memory stay small" {
	database
	start --arrival none
	perl -e '$| = 1; for (1 .. 100000) { print qq({"id":"a) . $_ % 17 . qq(","accountType":"t","tokens":$_,"callbackTimeMs":0,"version":$_}\n);
		if ($_ % 100 == 0) { open my $f, ">", "count.new"; print $f $_; close $f; rename "count.new", "count" } }' >&5 &
	producer=$!
	exec 5>&-
	retry 100 told 100
	retry 100 known writer
	retry 100 known reader
	writer=$(child writer) reader=$(child reader)
	kill -STOP "$writer"
	still() { local before && before=$(<count) && sleep 1 && [[ $before == "$(<count)" ]]; }
	retry 50 still
	((10#$(<count) < 100000))
	(($(du -sk "$ACCTFLOW_HOME/spool" | cut -f 1) < 8000))
	(($(awk '/VmHWM/ { print $2 }' "/proc/$reader/status") < 20000))
	kill -CONT "$writer"
	wait $producer
	finished 0
	all 100000
	nothing_left
}

@test "run -: a killed supervisor's spool is finished by the next run -" {
	database
	start --arrival none --source first
	updates 1 100 >&5
	printf '{"half' >&5
	retry 100 told 10
	retry 100 known writer
	kill -STOP "$(child writer)"
	updates 101 200 | sed '1s/^/"}\n/' >&5
	retry 100 copied '"version":200,'
	supervisor_kill
	updates 201 210 >extra
	ok bash -c "cat extra | '$supervisor' run --arrival none --source second -"
	err_has 'source "first": finishing what was read of it before'
	has '"source":"first","offset":200,'
	has '"source":"second","offset":0,'
	# They run side by side: versions that the other one overtook are stale.
	same "$(sql "SELECT name, read, indexed + stale, rejected, complete FROM acctflow.sources ORDER BY name")" $'first|201|200|1|t\nsecond|10|10|0|t'
	nothing_left
}

@test "run -: a second input of that name is queued behind what was left of the first" {
	database
	start --arrival none --source s
	updates 1 3 >&5
	retry 100 told 3
	retry 100 known writer
	kill -STOP "$(child writer)"
	updates 4 6 >&5
	retry 100 copied '"version":6,'
	supervisor_kill
	{ printf '[' && updates 7 9 | sed '$!s/$/,/' && printf ']'; } >extra
	ok bash -c "cat extra | '$supervisor' run --arrival none --source s -"
	all 9
	nothing_left
	# And behind what is done.
	updates 10 12 >extra
	ok bash -c "cat extra | '$supervisor' run --arrival none --source s -"
	all 12
	same "$(sql 'SELECT name, read, complete FROM acctflow.sources')" 's|12|t'
	nothing_left
}

@test "run without INPUT finishes it too, as it was begun; an array that breaks off there is no error" {
	database
	start --clock virtual --seed 7 --delay-ms 5:5
	printf '[%s,%s,' "$(updates 1 1)" "$(updates 2 2)" >&5
	retry 100 told 2
	supervisor_kill
	ok "$supervisor" run
	err_has 'the input ends inside the array'
	same "$(sql 'SELECT read, complete, seed, clock, delay_ms FROM acctflow.sources')" '2|t|7|virtual|5:5'
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending'")" 0
	nothing_left
}

@test "run -: callbacks of what was left do not hold up what is new" {
	database
	start --arrival none --source first
	echo '{"id":"b","accountType":"t","tokens":1,"callbackTimeMs":31536000000,"version":1}' >&5
	retry 100 told 1
	supervisor_kill
	updates 1 3 >extra
	ok timeout 200 bash -c "cat extra | '$supervisor' run --arrival none --source second -"
	same "$(sql "SELECT name, complete FROM acctflow.sources ORDER BY name")" $'first|t\nsecond|t'
	same "$(sql "SELECT id, state FROM acctflow.callbacks WHERE state = 'pending'")" 'b|pending'
	nothing_left
}

@test "run -: a stop keeps what was read and not emitted; --count and an array" {
	database
	start --delay-ms 100000:100000 --source slow
	updates 1 5 >&5
	retry 100 copied '"version":5,'
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
	nothing_left
}

@test "run -: a broken array is finished to its place, callbacks too, and leaves nothing behind" {
	database
	for clock in real virtual; do
		printf '[%s,%s, oops' "$(updates 1 1 | sed 's/"callbackTimeMs":[0-9]*/"callbackTimeMs":2500/')" "$(updates 2 2)" >broken
		fails 100 bash -c "'$supervisor' run --arrival none --clock $clock --source $clock - <broken"
		err_has 'unexpected character'
		same "$(sql "SELECT read, committed_offset, delivered_offset FROM acctflow.sources WHERE name = '$clock'")" '2|1|1'
		same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending'")" 0
		nothing_left
	done
	fails 100 bash -c "'$supervisor' run --source empty - </dev/null"
	nothing_left
}

@test "run PIPE: its copier is killed, and who writes there does not notice" {
	database
	mkfifo pipe
	"$supervisor" run --arrival none --source p pipe >out 2>err 3>&- &
	started=$!
	exec 5>pipe
	updates 1 10 >&5
	retry 100 told 10
	held() { find "/proc/$started/fd" -lname '*/pipe' | grep -q .; }
	retry 100 held
	strike copier
	updates 11 20 >&5
	retry 100 told 20
	exec 5>&-
	finished 0
	err_has 'was killed by signal 9'
	all 20
	nothing_left
}

@test "run --follow: offsets run on over renames, whenever reader or copier is killed" {
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
			# After two renames while nobody looks the first one's file would not be found.
			retry 100 told $((i * 10))
			mv f "f.$i"
			updates $((i * 10 + 6)) $((i * 10 + 10)) >>"f.$i"
		fi
		sleep "0.0$((RANDOM % 90 + 10))"
		if ((i % 2)); then strike copier; else strike reader; fi
		sleep "0.0$((RANDOM % 90 + 10))"
		[[ -e f ]] || : >f
	done
	retry 300 told 200
	kill -TERM "$started"
	finished 0
	all 200
	# Another run, behind another rename, goes on there.
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
}
