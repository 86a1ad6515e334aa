#!/usr/bin/env bats
# The spool by itself, without supervisor and database: what is read of an input that cannot be read twice is not lost,
# whoever dies, and nothing piles up.
# shellcheck disable=SC2154 # helper sets root, bin

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	started=()
}

teardown() {
	((!${#started[@]})) || kill -KILL "${started[@]}" 2>/dev/null || :
	exec 5>&- 6<&-
	! mountpoint -q "$BATS_TEST_TMPDIR/disk" || umount -l "$BATS_TEST_TMPDIR/disk"
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

ended() {
	local status=0
	retry 100 gone "$1" || return 99
	wait "$1" || status=$?
	return $status
}

# inputs: lines and an array of some MiB each, so that there are entries, with all that an entry has to know about.
inputs() {
	{
		updates 1 300
		printf '\n\nrubbish\n'
		printf '{"id":"%070000d"}\n' 0
		perl -e 'print qq({"id":"b$_","accountType":"t","tokens":1,"callbackTimeMs":2,"version":$_,"data":") . "x" x 3000 . qq("}\n) for 1 .. 1000'
		updates 301 400
	} >lines
	{
		printf ' \n [ '
		updates 1 300 | sed 's/$/,\n/'
		printf '12 , {"a":\n"]"},"%0300000d\\"" ,\n' 0
		printf '[%.0s' {1..3000}
		printf '"\\"]"'
		printf ']%.0s' {1..3000}
		perl -e 'print qq(,{"id":"b$_","accountType":"t","tokens":1,"callbackTimeMs":2,"version":$_,\n"data":") . "x" x 3000 . qq("}) for 1 .. 1000'
		printf ' ]\n'
	} >array
}

# copies INPUT: all of it into the new spool d.
copies() {
	rm -rf d
	cat "$1" | reader --copy-to d --copy-ahead 0
}

@test "what comes out is what comes out without a spool, for each shard" {
	inputs
	for input in lines array; do
		copies $input
		cmp d/data $input
		[[ -e d/end && $(wc -l <d/index) -ge 3 ]]
		for arrival in gap offset recorded none; do
			for shard in 0/1 0/2 1/2; do
				reader --clock virtual -s 3 -a $arrival -S x --shard $shard <$input 2>/dev/null | sed 's/,"fingerprint":[^}]*}$/}/' >whole
				reader --clock virtual -s 3 -a $arrival -S x --shard $shard --spool d 2>/dev/null | sed 's/,"fingerprint":[^}]*}$/}/' >spooled
				cmp whole spooled
			done
		done
	done
	# Also from a file, and from what can only be read.
	for kind in file socket; do
		rm -rf d
		case $kind in
		file) ok reader --copy-to d --copy-ahead 0 <array ;;
		socket) ok perl -MSocket -e 'socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die; if (!fork) { close $a;
			open STDIN, "<&", $b or die; close $b; exec qw(reader --copy-to d --copy-ahead 0) } close $b;
			open my $f, "<", "array"; print $a $_ while <$f>; close $a; wait; exit $? >> 8' ;;
		esac
		cmp d/data array
	done
}

@test "each entry of the index is enough by itself: the same records, stamps and lines from there on" {
	inputs
	for input in lines array; do
		copies $input
		for arrival in gap recorded; do
			reader --clock virtual -s 3 -a $arrival -S x <$input 2>/dev/null | records >whole
			# Where the data before an entry are gone, as behind what was delivered.
			while read -r ordinal byte _; do
				cp -r d cut
				((byte < 4096)) || fallocate -p -o 0 -l $((byte / 4096 * 4096)) cut/data
				for from in "$ordinal" $((ordinal + 1)); do
					reader --clock virtual -s 3 -a $arrival -S x --spool cut --from "$from" 2>/dev/null | records >again
					tail -n +$((from + 1)) whole | cmp - again
				done
				rm -r cut
			done <d/index
			# What is gone is not taken for something else.
			cp -r d cut
			fallocate -p -o 0 -l 1000000 cut/data
			fails 100 reader --clock virtual -s 3 -a $arrival -S x --spool cut --from 5
			err_has 'it was removed'
			rm -r cut
		done
		# An index that lacks entries, or ends in half a line, is only slower.
		cp d/index index
		while read -r size; do
			head -c "$size" index >d/index
			reader --clock virtual -s 3 -S x --spool d --from 700 2>/dev/null | records >again
			reader --clock virtual -s 3 -S x --from 700 $input 2>/dev/null | records >whole
			cmp whole again
		done < <(seq 16 7 "$(wc -c <index)")
	done
}

@test "a copier that is killed at any moment loses nothing, and its readers read on" {
	inputs
	for input in lines array; do
		reader --clock virtual -s 3 -S x <$input 2>/dev/null | records >whole
		for try in 1 2 3; do
			rm -rf d
			exec 6< <(perl -e 'while (sysread STDIN, my $c, 1 + rand 60000) { syswrite STDOUT, $c; select undef, undef, undef, rand 0.01 }' <$input)
			reader --clock virtual -s 3 -S x --spool d >out 2>err 6<&- &
			consumer=$!
			started+=("$consumer")
			for ((kills = 0; ; kills++)); do
				reader --copy-to d <&6 2>>err &
				started+=("$!")
				copier=$!
				# Later and later, or it would never be done.
				sleep "0.0$((RANDOM % (90 * (1 + kills / 4)) + 10))"
				kill -KILL $copier 2>/dev/null || :
				status=0
				wait $copier || status=$?
				((status)) || break
				same $status 137
				# The leak sanitizer looks from a task that shares the descriptors, and so the lock: it outlives a
				# copier that is killed at that moment. In other builds the lock is free at once.
				[[ ! ${ACCTFLOW_SANITIZED-} || ! -d d ]] || retry 100 flock -n d true
				# A torn line at the end of the index.
				((RANDOM % 2)) || [[ ! -e d/index ]] || printf '%d 12' $RANDOM >>d/index
			done
			exec 6<&-
			ended $consumer
			cmp d/data $input
			records <out | cmp - whole
			((kills > 0))
			# Each line of the index is true.
			same "$(grep -c -v -E '^([0-9]+ ){5}(array|lines|input)$' d/index)" 0
		done
	done
}

@test "a reader that is killed goes on by --from" {
	inputs
	copies lines
	reader -a none -S x <lines 2>/dev/null | records >whole
	ok reader -a none -S x --spool d --count 700
	ok reader -a none -S x --spool d --from 700
	records <<<"$output" | cmp - <(tail -n +701 whole)
	has '"lastOffset":1401,"complete":true'
}

@test "several inputs behind one another: array or lines anew, offsets run on" {
	updates 1 3 >one
	printf '{"half' >>one
	printf '[%s,%s]' "$(updates 4 4)" "$(updates 5 5)" >two
	printf '\xef\xbb\xbf%s\n' "$(updates 6 6)" >three
	for input in one two three; do
		ok bash -c "cat $input | reader --copy-to d"
		[[ -e d/end ]]
	done
	ok reader -a none -S x --spool d
	same "$(records <<<"$output" | sed 's/.*"offset":\([0-9]*\),.*"version":\([0-9]*\),.*/\1=\2/' | tr '\n' ' ')" '0=1 1=2 2=3 3=4 4=5 5=6 '
	has '"read":6,"lastOffset":5,"complete":true'
	err_has 'dropped the last line'
	same "$(sed -n 's/ input$//p' d/index | cut -d ' ' -f 1 | tr '\n' ' ')" '0 3 5 '
	ok reader -a none -S x --spool d --from 4
	same "$(records <<<"$output" | sed 's/.*"version":\([0-9]*\),.*/\1/' | tr '\n' ' ')" '5 6 '
	# An array that breaks off ends there; who goes on behind it reads the next input.
	printf '[%s,' "$(updates 7 7)" | reader --copy-to d
	updates 8 8 | reader --copy-to d
	fails 100 reader -a none -S x --spool d --from 6
	has '"read":1,"lastOffset":6,"complete":false,"broken":true'
	ok reader -a none -S x --spool d --from 7
	has '"version":8,'
	# A new folder goes on behind what another one had.
	ok bash -c "cat three | reader --copy-to e --copy-from 100"
	ok reader -a none -S x --spool e --from 100
	has '"offset":100,'
	fails 100 reader -a none -S x --spool e --from 7
	err_has 'begins at record 100'
}

@test "an end that an input is queued behind is not the last one, before its copier has begun" {
	printf '[%s,%s]' "$(updates 1 1)" "$(updates 2 2)" | reader --copy-to d
	mv d/end d/before
	reader -a none -S x --spool d >out &
	started+=("$!")
	retry 50 grep -q '"offset":1' out
	printf '[%s]' "$(updates 3 3)" | reader --copy-to d
	ended "${started[-1]}"
	grep -q '"read":3,"lastOffset":2,"complete":true' out
	[[ ! -e d/before ]]
	# The same behind a followed file.
	updates 1 1 >f
	reader --copy-to g --follow f &
	copier=$!
	started+=("$copier")
	retry 50 test -s g/data
	kill -TERM $copier
	ended $copier
	mv g/end g/before
	reader --copy-to g --follow f &
	copier=$!
	started+=("$copier")
	retry 50 test ! -e g/before
	kill -TERM $copier
	ended $copier
	same "$(ls g/end g/data | wc -l)" 2
	cmp f g/data
}

@test "the end of the input: its own, given up, or not there yet" {
	printf '[%s,%s' "$(updates 1 1)" "$(updates 2 2)" | reader --copy-to d
	fails 100 reader -a none -S x --spool d
	err_has 'the input ends inside the array'
	# Given up it is no fault of the input.
	echo cut >d/end
	ok reader -a none -S x --spool d
	has '"read":2,"lastOffset":1,"complete":true'
	err_has 'it was given up there'
	reader --copy-to e </dev/null
	fails 100 reader -a none -S x --spool e
	err_has 'is empty'
	# A signal ends the copier, and what it moved is kept; a last record that is not whole waits for its rest.
	mkfifo p
	reader --copy-to g <p &
	copier=$!
	started+=("$copier")
	exec 5>p
	updates 1 1 >&5
	printf '{"id":"b","acc' >&5
	reader -a none -S x --spool g >out &
	consumer=$!
	started+=("$consumer")
	retry 50 grep -q '"offset":0' out
	retry 50 grep -q 'acc$' g/data
	same "$(records <out | wc -l)" 1
	printf '%s\n' 'ountType":"t","tokens":1,"callbackTimeMs":2,"version":1}' >&5
	retry 50 grep -q '"offset":1' out
	kill -TERM $copier
	ended $copier
	same "$(<g/end)" cut
	ended $consumer
	exec 5>&-
}

@test "nobody waits without end: who may use a spool" {
	mkfifo p
	reader --copy-to d <p &
	started+=("$!")
	exec 5>p
	updates 1 1 >&5
	retry 50 test -s d/data
	fails 111 reader --copy-to d <p
	err_has 'another copier fills the spool "d"'
	reader -a none -S x --spool d >out &
	started+=("$!")
	retry 50 grep -q '"offset":0' out
	fails 111 reader -a none -S x --spool d
	err_has 'another reader reads shard 0 of the spool "d"'
	updates 1 1 >f
	fails 100 reader --spool d f
	err_has 'not for files'
	fails 100 reader --copy-to f <p
	err_has 'could not open folder "f"'
	fails 100 reader --copy-to none/d <p
	err_has 'could not make folder "none/d": No such file or directory'
	exec 5>&-
}

@test "readers that stand still stop the copier, and the producer" {
	mkfifo p
	yes "$(updates 1 1)" >p 2>/dev/null &
	started+=("$!")
	reader --copy-to d <p &
	started+=("$!")
	size() { stat -c %s d/data; }
	still() { local before && before=$(size) && sleep 0.5 && [[ $before == "$(size)" && $before -gt 0 ]]; }
	retry 30 still
	(($(size) < 1400000))
	# It goes by the slowest one that lives.
	: >out
	reader -a none -S x --spool d --shard 0/2 >out0 &
	started+=("$!")
	one=$!
	reader -a none -S x --spool d --shard 1/2 >out1 &
	two=$!
	started+=("$!")
	grew() { (($(size) > $1)); }
	retry 50 grew 5000000
	kill -STOP $two
	retry 50 still
	kill -KILL $two
	retry 50 grew $(($(size) + 3000000))
	kill -KILL $one
}

@test "a copier that looks who reads keeps no reader out" {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'the sanitizers do not go along with strace'
	command -v strace >/dev/null || skip 'no strace'
	mkfifo p
	yes "$(updates 1 1)" >p 2>/dev/null &
	started+=("$!")
	# Were it a lock that it takes, it would have it most of the time.
	strace -qq -D -o trace -e trace=flock,fcntl -e inject=flock,fcntl:delay_exit=50000 reader --copy-to d --copy-ahead 100000 <p &
	started+=("$!")
	looked() { (($(grep -c LK trace) > $1)); }
	retry 100 test -s d/data
	for i in {1..20}; do
		ok reader -a none -S x --spool d --count 1
		retry 100 looked "$i"
	done
}

@test "disk full: nothing that was read is lost, and it goes on when there is room" {
	((EUID == 0)) || skip 'wants to mount'
	mkdir disk
	mount -t tmpfs -o size=1m none disk || skip 'cannot mount'
	perl -e 'print qq({"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2,"version":$_,"data":") . "x" x 900 . qq("}\n) for 1 .. 3000' >f
	for kind in pipe socket; do
		head -c 300000 /dev/zero >disk/other
		case $kind in
		pipe) cat f | reader --copy-to disk/d --copy-ahead 0 2>err & ;;
		socket) perl -MSocket -e 'socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die; if (!fork) { close $a;
			open STDIN, "<&", $b or die; close $b; exec qw(reader --copy-to disk/d --copy-ahead 0) } close $b;
			open my $f, "<", "f"; print $a $_ while <$f>; close $a; wait; exit $? >> 8' 2>err & ;;
		esac
		copier=$!
		retry 50 grep -q 'No space left on device; waiting for room' err
		sleep 0.5 # it tries again, and does not say so again
		same "$(grep -c 'No space left' err)" 1
		mount -o remount,size=8m disk
		ended $copier
		cmp f disk/d/data
		same "$(reader -a none -S x --spool disk/d | records | wc -l)" 3000
		rm -r disk/d
		mount -o remount,size=1m disk
	done
}

# follows N: copies the followed file f until its readers have N records.
follows() {
	reader --copy-to d --follow f 2>>err &
	copier=$!
	started+=("$copier")
	reader -a none -S x --spool d >out 2>>err &
	consumer=$!
	started+=("$consumer")
	emitted() { (($(records <out | wc -l) >= $1)); }
	retry 150 emitted "$1" || {
		cat err
		return 1
	}
	kill -KILL $copier $consumer
	wait $copier $consumer || :
	output=$(records <out | sed 's/.*"offset":\([0-9]*\),.*"version":\([0-9]*\),.*/\1=\2/' | tr '\n' ' ')
}

# upto N: what the records 1 to N look like.
upto() {
	local i
	for ((i = 1; i <= $1; i++)); do printf '%d=%d ' $((i - 1)) "$i"; done
}

@test "a followed file goes on behind what was moved, whatever its name is by now" {
	updates 1 30 >f
	follows 30
	updates 31 31 >>f
	follows 31
	same "$output" "$(upto 31)"
	# Renamed while nobody reads; more is written to it; another takes its place.
	updates 32 32 >>f
	mv f f.1
	updates 33 33 | tr -d '\n' >>f.1
	updates 34 35 >f
	follows 35
	same "$output" "$(upto 35)"
	# Copied and cut off while nobody reads.
	updates 36 36 >>f
	cp f f.2
	updates 37 40 >f
	follows 40
	same "$output" "$(upto 40)"
	# Cut off without a copy: said, and what is there is read.
	follows 40
	updates 41 41 >f
	follows 41
	same "$output" "$(upto 41)"
	grep -q 'was cut off or written anew' err
	# Gone.
	mv f elsewhere && mkdir other && mv elsewhere other
	updates 1 1 >f
	fails 100 timeout 20 reader --copy-to d --follow f
	err_has 'is gone from there and from its folder'
	err_has 'acctflow run --again'
}

@test "a file that was at the path while nobody followed it is named" {
	updates 1 10 >f
	follows 10
	# Rotated three times: the first of them is what was read, and the last is there.
	updates 11 11 >>f
	touch -d '1 hour ago' f
	mv f f.3
	updates 12 12 >f
	mv f f.2
	updates 13 13 >f
	mv f f.1
	updates 14 14 >f
	echo other >g
	: >err
	follows 12
	same "$output" "$(upto 11)11=14 "
	local name
	for name in 1 2; do grep -q "\"./f.$name\" was at \"f\" while nobody followed it: it is not read" err; done
	same "$(grep -c 'while nobody followed it' err)" 2
}
