#!/usr/bin/env bats
# Standard input on its way through files: nothing that was read of it is lost, whoever dies, and nothing piles up. First
# reader by itself, then the whole chain under the supervisor.
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

# --- reader by itself -------------------------------------------------------------

# inputs: lines and array, each with all that a segment's head has to know about.
inputs() {
	local i
	{
		updates 1 100
		printf '\n\nrubbish\n'
		printf '{"id":"%070000d"}\n' 0
		updates 101 200
	} >lines
	{
		printf ' \n [ '
		for i in {1..100}; do printf '%s,\n\n' "$(updates "$i" "$i")"; done
		printf '12 , {"a":\n"]"},"%0300000d\\"" ,\n' 0
		printf '[%.0s' {1..3000}
		printf '"\\"]"'
		printf ']%.0s' {1..3000}
		for i in {101..200}; do printf ',%s' "$(updates "$i" "$i")"; done
		printf ' ]\n'
	} >array
}

@test "what comes out is what comes out without a spool" {
	inputs
	for input in lines array; do
		for arrival in gap offset recorded none; do
			whole=$(reader --clock virtual -s 3 -a $arrival -S x <$input)
			for segment in 1 1000 1000000; do
				rm -rf d
				ok bash -c "cat $input | reader --clock virtual -s 3 -a $arrival -S x --spool d --spool-segment $segment"
				same "$output" "$whole"
				[[ -e d/end ]]
			done
		done
	done
	# Also from a file, and from what can only be read.
	rm -rf d
	ok reader --clock virtual -s 3 -a none -S x --spool d <array
	same "$output" "$whole"
	rm -rf d
	ok perl -MSocket -e 'socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die; if (!fork) { close $a;
		open STDIN, "<&", $b or die; close $b; exec qw(reader --clock virtual -s 3 -a none -S x --spool d) } close $b;
		open my $f, "<", "array"; print $a $_ while <$f>; close $a; wait; exit $? >> 8'
	same "$output" "$whole"
}

@test "each segment is enough by itself: the same records, stamps and lines from there on" {
	inputs
	for input in lines array; do
		for arrival in gap recorded; do
			rm -rf d
			# In pieces, so that segments begin in many places.
			{ perl -e 'while (sysread STDIN, my $c, 200) { syswrite STDOUT, $c; select undef, undef, undef, 0.001 }' |
				reader --clock virtual -s 3 -a $arrival --spool d --spool-segment 300; } <$input | records >whole
			segments=(d/0*)
			((${#segments[@]} > 15))
			for segment in "${segments[@]}"; do
				first=$((10#${segment##*/}))
				tail -n +$((first + 1)) whole >"tail"
				reader --clock virtual -a $arrival --spool d --from $first </dev/null | records >again || :
				cmp tail again
				rm "$segment"
			done
		done
	done
}

@test "a reader that is killed loses nothing that was read" {
	inputs
	for input in lines array; do
		whole=$(reader --clock virtual -s 3 <$input | records)
		for ((try = 0; try < 5; try++)); do
			rm -rf d out
			: >out
			exec 6< <(perl -e 'while (sysread STDIN, my $c, 1 + rand 9000) { syswrite STDOUT, $c; select undef, undef, undef, rand 0.003 }' <$input)
			for ((kills = 0; ; kills++)); do
				: >part # or one killed before it even began would seem to have told what the one before did
				reader --clock virtual -s 3 --spool d --from "$(wc -l <out)" <&6 >part &
				started=$!
				# At any moment, but later and later, or it would never be done.
				sleep "0.0$((RANDOM % (90 * (1 + kills / 4)) + 10))"
				kill -KILL $started 2>/dev/null || :
				status=0
				wait $started || status=$?
				# As little of it may have been delivered as there are whole lines.
				{ records <part || :; } | sed -n '/}$/p' | head -n $((status ? RANDOM % 20 : 1000)) >>out
				((status)) || break
				same $status 137
			done
			started=''
			exec 6<&-
			same "$(<out)" "$whole"
		done
	done
}

@test "a reader stops reading when nobody takes what it tells" {
	yes "$(updates 1 1)" | tee >(wc -c >taken) | reader -a none --spool d > >(read -r _ && retry 100 test -e enough) &
	size() { cat d/0* | wc -c; }
	still() { local before && before=$(size) && sleep 0.3 && [[ $before == "$(size)" && $before -gt 0 ]]; }
	retry 30 still
	((10#$(size) < 600000))
	: >enough
	wait
}

@test "a record of any length leaves no more of it than its beginning" {
	long() {
		printf '%s%s' "$1" "$2"
		head -c 60000000 /dev/zero | tr '\0' x
		printf '%s' "$3"
	}
	# In files of at most 40 MB.
	ok bash -c "ulimit -f 40000; $(declare -f long); { long '[1,' '\"' '\"]'; } | reader -a none --spool d | cut -c 1-90; du -sm d"
	has '"reason":"longer than 16 MiB"'
	# What is held until it is known to be too long, once.
	[[ ${lines[-1]} =~ ^1?[0-9][[:space:]] ]]
	ok bash -c "ulimit -f 40000; $(declare -f long); { echo 1; long '\"' '' $'\"\n'; } | reader -a none --spool e | cut -c 1-90"
	has '"reason":"longer than 16 MiB"'
}

@test "the end of the input: seen, given up, or not there yet" {
	printf '[%s,%s' "$(updates 1 1)" "$(updates 2 2)" >f
	fails 100 bash -c 'cat f | reader -a none --spool d'
	err_has 'the input ends inside the array'
	# It is remembered: nothing more is read.
	fails 100 bash -c 'updates() { echo 1; }; updates | reader -a none --spool d'
	same "$(records <<<"$output" | wc -l)" 2
	# Given up by somebody else it is no fault of the input.
	mv d/end d/cut
	ok reader -a none --spool d
	same "$(records <<<"$output" | wc -l)" 2
	err_has 'it was given up there'
	fails 100 bash -c ': | reader -a none --spool e'
	err_has 'is empty'
	mv e/end e/cut
	ok reader -a none --spool e
	# A last record that is not whole waits for its rest.
	mkfifo p
	reader -a none --spool g <p >out &
	started=$!
	exec 5>p
	updates 1 1 >&5
	printf '{"id":"b","acc' >&5
	retry 50 grep -q '"offset":0' out
	retry 50 grep -q 'acc$' g/0*
	exec 6<p
	kill -KILL $started
	wait $started || :
	printf '%s\n' 'ountType":"t","tokens":1,"callbackTimeMs":2,"version":1}' >&5
	exec 5>&-
	ok reader -a none --spool g --from 1 <&6
	same "$(records <<<"$output" | cut -c 1-30)" '{"source":"-","offset":1,"id":'
}

@test "a spool that is in use, damaged, or not for this" {
	updates 1 9 >f
	mkfifo p
	reader -a none --spool d <p >out &
	started=$!
	exec 5>p
	retry 50 test -s d/00000000000000000000
	fails 111 reader -a none --spool d <f
	err_has 'another reader uses the spool "d"'
	exec 5>&-
	retry 50 gone $started
	fails 100 reader --spool d f
	err_has '--spool is for standard input'
	fails 100 reader --spool f <f
	err_has 'could not open folder "f"'
	fails 100 reader --spool none/d <f
	err_has 'could not make folder "none/d": No such file or directory'
	fails 100 reader --spool d -s 1 </dev/null
	err_has 'was begun with --seed'
	echo rubbish >d/00000000000000000000
	fails 100 reader --spool d </dev/null
	err_has 'the spool "d" is damaged: 00000000000000000000'
	mv d/00000000000000000000 d/00000000000000000007
	fails 100 reader --spool d </dev/null
	err_has 'the segment that has the record to go on with is missing'
}

# follows N [FROM]: tells the followed file until N records were told, then is killed; output is theirs.
follows() {
	reader -a none --follow --spool d --from "${2:-0}" f >out 2>err &
	started=$!
	told_all() { (($(records <out | wc -l) >= $1)); }
	retry 100 told_all "$1" || {
		cat err
		return 1
	}
	kill -KILL $started
	wait $started || :
	started=''
	output=$(records <out | sed 's/.*"offset":\([0-9]*\),.*"version":\([0-9]*\),.*/\1=\2/' | tr '\n' ' ')
}

@test "a followed file goes on behind what was read, whatever its name is by now" {
	updates 1 30 >f
	follows 30
	updates 31 31 >>f
	follows 3 28
	same "$output" '28=29 29=30 30=31 '
	# Renamed while nobody reads; more is written to it; another takes its place.
	updates 32 32 >>f
	mv f f.1
	updates 33 33 | tr -d '\n' >>f.1
	updates 34 35 >f
	follows 4 31
	same "$output" '31=32 32=33 33=34 34=35 '
	# And from before the change once more, though the old one is not there any more.
	rm f.1
	updates 36 36 >>f
	follows 5 31
	same "$output" '31=32 32=33 33=34 34=35 35=36 '
}

@test "a followed file that was cut off, written anew or is gone is refused" {
	refused() {
		fails 100 timeout 30 reader -a none --follow --spool d --from 30 f
		err_has "$1"
		err_has 'supervisor run --again'
	}
	updates 1 30 >f
	follows 30
	cp f g
	updates 1 3 >f
	refused 'was cut off below'
	updates 100 300 >f
	refused '"f" does not begin as it did'
	mv g new && mv new f # the same bytes, but not the same file
	refused 'is gone from there and from its folder'
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
