#!/usr/bin/env bats
# What a user sees of bin/timerd. Needs no database: its events are written by hand.
# shellcheck disable=SC2154,SC2164 # helper sets bin and root; a cd that fails ends the test
# shellcheck disable=SC2013,SC2016,SC2030,SC2031 # words are wanted; for the inner shell; a test is a subshell
load helper

setup() {
	cd "$BATS_TEST_TMPDIR"
	mkfifo in out
}

teardown() {
	[[ -z ${pid-} ]] || kill -9 "$pid" 2>/dev/null || true
}

# at MS: a time under the virtual clock, in ms from its start.
at() {
	printf '2000-01-01T00:%02d:%02d.%03d000Z' $(($1 / 60000)) $(($1 / 1000 % 60)) $(($1 % 1000))
}

# soon MS: a time on the real clock, in ms from now, which may be negative.
soon() {
	local us=$((${EPOCHREALTIME/[^0-9]/} + $1 * 1000))
	date -u -d "@${us:0:-6}.${us: -6}" +%FT%T.%6NZ
}

# scheduled EVENT OFFSET ID VERSION INGESTED DUE [MORE]
scheduled() {
	printf '{"event":"%s","source":"s","offset":%d,"id":"%s","version":%d,"accountType":"mint","tokens":%d,' "$1" "$2" "$3" "$4" "$4"
	printf '"callbackTimeMs":400,"data":{"of":%d},"ingestedAt":"%s","dueAt":"%s"%s}\n' "$4" "$5" "$6" "${7:+,$7}"
}

# indexed OFFSET ID VERSION MS CALLBACK [MORE]: under the virtual clock.
indexed() {
	scheduled indexed "$1" "$2" "$3" "$(at "$4")" "$(at $(($4 + $5)))" "${6-}"
}

# starts OFFSET ID VERSION CALLBACK [MORE]: indexed now, on the real clock.
starts() {
	scheduled indexed "$1" "$2" "$3" "$(soon 0)" "$(soon "$4")" "${5-}"
}

# ends true|false
ends() {
	printf '{"event":"end","source":"s","read":1,"complete":%s}\n' "$1"
}

# outcomes: of the records on standard input, event, id and version of those that have an id.
outcomes() {
	sed -n 's/^{"event":"\([a-z]*\)".*"id":"\([^"]*\)","version":\([0-9]*\).*/\1 \2 v\3/p' | paste -s -d ';'
}

# told FILE TEXT: FILE has it.
told() {
	grep -q -F -e "$2" "$1"
}

# Starts timerd in the background with the fifo `in`, kept open by us as descriptor 7.
background() {
	timerd "$@" <in 2>errors &
	pid=$!
	exec 7>in
}

# exits CODE: the one in the background does.
exits() {
	local status=0
	wait "$pid" || status=$?
	pid=
	[[ $status == "$1" ]] || {
		echo "wanted status $1, is $status"
		cat events errors 2>/dev/null
		return 1
	}
}

@test "the contract's example, to the byte" {
	{
		echo '{"event":"begin","source":"s","shard":"1/3","startedAt":"2000-01-01T00:00:00.000000Z"}'
		indexed 0 ID1 1 550 400
		indexed 1 ID1 3 650 400
		echo '{"event":"ignored","source":"s","offset":2,"id":"ID1","version":2,"reason":"stale","currentVersion":3,"ingestedAt":"'"$(at 700)"'"}'
		ends true
	} >events
	ok timerd --clock virtual <events
	{
		sed -n 1,3p events
		echo '{"event":"cancelled","source":"s","offset":0,"id":"ID1","version":1,"supersededBy":3,"dueAt":"'"$(at 950)"'","cancelledAt":"'"$(at 650)"'"}'
		sed -n 4,5p events
		echo '{"event":"fired","source":"s","offset":1,"id":"ID1","version":3,"accountType":"mint","tokens":3,"data":{"of":3},"dueAt":"'"$(at 1050)"'","firedAt":"'"$(at 1050)"'","latenessUs":0}'
		echo '{"event":"summary","source":"s","shard":"1/3","indexed":2,"stale":1,"duplicate":0,"conflict":0,"skipped":0,"rejected":0,"restored":0,"fired":1,"cancelled":1,"pending":0}'
	} >wanted
	diff - wanted <<<"$output"
}

@test "virtual clock: what is due at the time of an update fires before it is told" {
	{
		indexed 0 a 1 100 400
		indexed 1 b 1 200 299
		indexed 2 a 2 500 400
		echo '{"event":"ignored","offset":3,"id":"b","version":1,"reason":"duplicate","currentVersion":1,"ingestedAt":"'"$(at 900)"'"}'
		indexed 4 b 2 1000 1
		# A time that goes back moves nothing.
		indexed 5 c 1 300 5000
		echo '{"event":"rejected","offset":6,"reason":"x","line":1,"ingestedAt":"'"$(at 1001)"'"}'
		ends true
	} >events
	ok timerd --clock virtual <events
	same "$(outcomes <<<"$output")" "indexed a v1;indexed b v1;fired b v1;fired a v1;indexed a v2;fired a v2;ignored b v1;indexed b v2;indexed c v1;fired b v2;fired c v1"
	has '"summary","indexed":5,"stale":0,"duplicate":1,"conflict":0,"skipped":0,"rejected":1,"restored":0,"fired":5,"cancelled":0,"pending":0}'
	same "$(grep -c '"rejected","offset":6' <<<"$output")" 1
}

@test "what was skipped passes as it is, is counted, and moves no clock" {
	{
		indexed 0 a 1 100 400
		echo '{"event":"ignored","source":"s","offset":1,"reason":"skipped","arriveMs":900}'
		indexed 2 b 1 900 100
		echo '{"event":"ignored","source":"s","offset":3,"reason":"skipped","replayed":true}'
		echo '{"event":"ignored","source":"s","offset":4,"reason":"else"}'
	} >events
	ok timerd --clock virtual <events
	same "$(grep -v -e fired -e summary <<<"$output")" "$(cat events)"
	# What was due before 900 ms fires only before the record whose time is known.
	same "$(sed 's/^{"event":"\([a-z]*\)".*/\1/' <<<"$output" | paste -s -d ' ')" 'indexed ignored fired indexed ignored ignored fired summary'
	has '{"event":"summary","indexed":2,"stale":0,"duplicate":0,"conflict":0,"skipped":2,"rejected":0,"restored":0,"fired":2,"cancelled":0,"pending":0}'
}

@test "virtual clock: the end goes through what is pending in order, equal due times as indexed" {
	{
		indexed 0 far 1 0 3000000
		indexed 1 e1 1 1 999
		indexed 2 e2 1 2 998
		indexed 3 near 1 3 100
		indexed 4 e3 1 4 996
		indexed 5 e1 2 5 995
		ends true
	} >events
	ok timerd --clock virtual <events
	same "$(grep '"fired"' <<<"$output" | outcomes)" "fired near v1;fired e2 v1;fired e3 v1;fired e1 v2;fired far v1"
}

@test "what a callback tells is what was indexed" {
	cat >events <<-END
		{"event":"indexed","id":"\u0041\"\u00e9","version":9223372036854775807,"accountType":"t\\n","tokens":18446744073709551615,"callbackTimeMs":0,"data":{"a": [1.50, "x y" ],"b":1e400},"ingestedAt":"$(at 0)","dueAt":"$(at 1)","trace":"00-aa-bb-01"}
		{"event":"indexed","source":"s","offset":7,"id":"b","version":0,"accountType":"t","tokens":0,"callbackTimeMs":0,"ingestedAt":"$(at 0)","dueAt":"$(at 2)","replayed":true}
		{"event":"pending","id":"c","version":1,"accountType":"t","tokens":0,"data":"","ingestedAt":"$(at 0)","dueAt":"$(at 3)"}
		{"event":"indexed","id":"d","version":1,"accountType":"t","tokens":0,"data":0,"ingestedAt":"$(at 0)","dueAt":"$(at 4)","trace":"x"}
		{"event":"indexed","id":"\u0064","version":2,"accountType":"t","tokens":0,"data":0,"ingestedAt":"$(at 0)","dueAt":"$(at 5)"}
	END
	ok timerd --clock virtual <events
	has '{"event":"fired","id":"A\"é","version":9223372036854775807,"accountType":"t\n","tokens":18446744073709551615,"data":{"a":[1.50,"x y"],"b":1e400},"dueAt":"'"$(at 1)"'","firedAt":"'"$(at 1)"'","latenessUs":0,"trace":"00-aa-bb-01"}'
	has '{"event":"fired","source":"s","offset":7,"id":"b","version":0,"accountType":"t","tokens":0,"data":null,"dueAt":"'"$(at 2)"'","firedAt":"'"$(at 2)"'","latenessUs":0,"recovered":true}'
	has '{"event":"fired","id":"c","version":1,"accountType":"t","tokens":0,"data":"","dueAt":"'"$(at 3)"'","firedAt":"'"$(at 3)"'","latenessUs":0,"recovered":true}'
	has '{"event":"cancelled","id":"d","version":1,"supersededBy":2,"dueAt":"'"$(at 4)"'","cancelledAt":"'"$(at 0)"'","trace":"x"}'
	hasnt '"pending",'
	has '"indexed":4,"stale":0,"duplicate":0,"conflict":0,"skipped":0,"rejected":0,"restored":1,"fired":4,"cancelled":1,"pending":0}'
}

@test "a version that is not newer than the pending one is passed on and schedules nothing" {
	{
		indexed 0 a 2 0 500
		indexed 1 a 2 1 100
		indexed 2 a 1 2 100
	} >events
	ok timerd --clock virtual <events
	same "$(outcomes <<<"$output")" "indexed a v2;indexed a v2;indexed a v1;fired a v2"
	has "\"firedAt\":\"$(at 500)\""
}

@test "what it does not know passes unchanged" {
	cat >events <<-END
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":0,"version":1}
		{ "event" : "news",  "indexed": [ ] }
		  {"event":7}
		not JSON at all
		[1, 2]
		{"event":"indexed","event":"indexed"}
		{"event":"fired","id":"a","version":1}
		{"event":"summary"}
	END
	cp events wanted
	printf '\n \t\n' >>events
	ok timerd --clock virtual <events
	diff - wanted <<<"$(head -n -1 <<<"$output")"
	has '{"event":"summary","indexed":0,"stale":0,"duplicate":0,"conflict":0,"skipped":0,"rejected":0,"restored":0,"fired":0,"cancelled":0,"pending":0}'
	same "$stderr" ""
}

@test "an indexed event that lacks what it needs passes with a warning" {
	local member i=0
	for member in id version dueAt accountType tokens; do
		indexed 0 a 1 0 1 | sed "s/\"$member\":/\"_$member\":/" >events
		ok timerd --clock virtual <events
		err_has "line 1: \"$member\" is missing or wrong, so no callback is set"
		same "$(head -n 1 <<<"$output")" "$(cat events)"
		has '"indexed":1,"stale":0,"duplicate":0,"conflict":0,"skipped":0,"rejected":0,"restored":0,"fired":0,'
	done
	for member in '"id":7' '"source":7' '"offset":-1' '"trace":7'; do
		indexed 0 a 1 0 1 '"trace":"t"' | sed "s/${member%:*}:[^,}]*/$member/" >events
		ok timerd --clock virtual <events
		err_has "line 1: ${member%:*} is missing or wrong, so no callback is set"
		same "$(head -n 1 <<<"$output")" "$(cat events)"
	done
}

@test "what is told again as fired by now does not fire again, whether it was pending or is set anew" {
	{
		scheduled pending 0 a 1 "$(at 0)" "$(at 400)"
		scheduled pending 1 b 1 "$(at 1)" "$(at 401)"
		indexed 0 a 1 0 400 "\"firedAt\":\"$(at 400)\",\"replayed\":true"
		indexed 2 c 1 2 400 "\"firedAt\":\"$(at 402)\",\"replayed\":true"
		indexed 3 d 1 3 400
		ends true
	} >events
	ok timerd --clock virtual <events
	same "$(outcomes <<<"$output")" 'indexed a v1;indexed c v1;indexed d v1;fired b v1;fired d v1'
	has '"restored":2,"fired":2,"cancelled":0,"pending":0}'
}

@test "real clock: never early, in order of due time" {
	local i
	for i in {1..20}; do
		starts "$i" "a$i" 1 $((200 - i * 7))
	done >events
	ok timerd <events
	sed -n 's/.*"dueAt":"\([^"]*\)","firedAt":"\([^"]*\)","latenessUs":\([0-9]*\)}$/\1 \2 \3/p' <<<"$output" >moments
	same "$(wc -l <moments)" 20
	awk '$1 > $2 { print "early: " $0; bad = 1 } END { exit bad }' moments
	sort -c moments
}

@test "real clock: cancelled right behind what supersedes it, and never fired" {
	background >events
	starts 0 a 1 60000 >&7
	retry 50 told events '"indexed"'
	starts 1 a 2 50 >&7
	retry 50 told events '"fired"'
	exec 7>&-
	exits 0
	same "$(outcomes <events)" "indexed a v1;indexed a v2;cancelled a v1;fired a v2"
	grep -q '"cancelled":1,"pending":0}' events
}

@test "input that is already waiting is read before anything fires" {
	{
		scheduled indexed 0 a 1 "$(soon -9000)" "$(soon -4000)"
		scheduled indexed 1 b 1 "$(soon -9000)" "$(soon -2000)"
		scheduled indexed 2 a 2 "$(soon -8000)" "$(soon -3000)"
	} >events
	ok timerd <events
	same "$(outcomes <<<"$output")" "indexed a v1;indexed b v1;indexed a v2;cancelled a v1;fired a v2;fired b v1"
	# However much it is.
	{
		cat events
		yes '{"event":"news"}' | head -n 20000
		scheduled indexed 3 b 2 "$(soon -7000)" "$(soon -1000)"
	} >many
	ok timerd <many
	same "$(outcomes <<<"$output")" "indexed a v1;indexed b v1;indexed a v2;cancelled a v1;indexed b v2;cancelled b v1;fired a v2;fired b v2"
	# The same by a pipe, in which all of it waits before timerd starts.
	exec 7<>in
	cat events >&7
	exec 8<in 7>&-
	ok timerd <&8
	exec 8<&-
	same "$(outcomes <<<"$output")" "indexed a v1;indexed b v1;indexed a v2;cancelled a v1;fired a v2;fired b v1"
}

@test "input that never ends starves no callback" {
	# Due late enough that the flood is there before.
	starts 0 a 1 800 >events
	run bash -c '{ cat events; yes "{\"event\":\"news\"}"; } | timeout 20 timerd --format json | grep -m 1 "\"fired\""'
	same "$(outcomes <<<"$output")" "fired a v1"
}

@test "a crowd that is due at one moment fires in the order it was indexed" {
	starts 0 a 1 500 | awk '{ for (i = 0; i < 20000; i++) { s = $0; sub(/"offset":0/, "\"offset\":" i, s); sub(/"id":"a"/, "\"id\":\"a" i "\"", s); print s } }' >events
	ok timerd <events
	same "$(sed -n 's/.*"fired".*"offset":\([0-9]*\).*/\1/p' <<<"$output" | md5sum)" "$(seq 0 19999 | md5sum)"
}

@test "the anchor the programs share is the time" {
	local uptime
	read -r uptime _ </proc/uptime
	starts 0 a 1 1800000 >events
	# A clock that is an hour ahead of the wall clock.
	ACCTFLOW_ANCHOR=$((${EPOCHREALTIME/[^0-9]/} - ${uptime/./} * 10000 + 3600000000)) ok timerd <events
	has '"fired"'
}

@test "--no-wait, and an end that is not complete, leave what is pending" {
	starts 0 a 1 60000 >open
	{
		cat open
		ends false
	} >told_to_stop
	ok timerd --no-wait <open
	has '"fired":0,"cancelled":0,"pending":1}'
	ok timerd <told_to_stop
	has '"fired":0,"cancelled":0,"pending":1}'
	indexed 0 a 1 0 1000 >open
	ok timerd --no-wait --clock virtual <open
	has '"fired":0,"cancelled":0,"pending":1}'
	{
		cat open
		ends false
	} >told_to_stop
	ok timerd --clock virtual <told_to_stop
	has '"fired":0,"cancelled":0,"pending":1}'
}

@test "behind an array that broke off what is pending comes to its end" {
	local clock
	for clock in real virtual; do
		{
			indexed 0 a 1 0 0
			ends 'false,"broken":true'
		} >broken
		ok timerd --clock $clock <broken
		has '"fired":1,"cancelled":0,"pending":0}'
	done
	{
		starts 0 a 1 500
		ends 'false,"broken":true'
	} >broken
	ok timerd <broken
	has '"fired":1,"cancelled":0,"pending":0}'
}

@test "--resume: input without end is a crash, nothing more fires, exit 111" {
	indexed 0 a 1 0 0 >events
	local clock
	for clock in real virtual; do
		fails 111 timerd --resume --clock $clock <events
		same "$output" "$(cat events)"
		err_has 'input ended without "end"'
	done
	# After caughtup too, and a half line changes nothing about it.
	{
		echo '{"event":"caughtup","source":"s"}'
		starts 0 a 1 3600000
		printf '{"event":"end","source":"s","re'
	} >events
	fails 111 timerd --resume <events
	same "$output" "$(sed -n 2p events)"
	ends true >>open
	ok timerd --resume <open
	has '"summary"'
}

@test "--resume: nothing fires before caughtup, and what is told again supersedes first" {
	background --resume >events
	{
		scheduled pending 0 a 1 "$(soon -900)" "$(soon -500)"
		scheduled pending 1 b 1 "$(soon -900)" "$(soon -400)"
		scheduled pending 2 c 1 "$(soon -900)" "$(soon -300)"
		scheduled indexed 3 b 2 "$(soon -200)" "$(soon -100)" '"replayed":true'
	} >&7
	retry 50 told events '"cancelled"'
	# Any time is too short to show that nothing comes; what was told before must be the first in the file.
	scheduled indexed 4 a 2 "$(soon -150)" "$(soon 0)" '"replayed":true' >&7
	retry 50 told events '"a","version":2'
	run told events '"fired"'
	same "$status" 1
	echo '{"event":"caughtup","source":"s"}' >&7
	retry 50 told events '"id":"a","version":2,"accountType":"mint","tokens":2,"data":{"of":2},"dueAt"'
	scheduled indexed 5 d 1 "$(soon 0)" "$(soon 1)" >&7
	ends true >&7
	exec 7>&-
	exits 0
	same "$(outcomes <events)" "indexed b v2;cancelled b v1;indexed a v2;cancelled a v1;fired c v1;fired b v2;fired a v2;indexed d v1;fired d v1"
	same "$(grep -c '"recovered":true' events)" 3
	grep '"fired".*"id":"d"' events >last
	run told last '"recovered"'
	same "$status" 1
	grep -q '"indexed":3,.*"restored":3,"fired":4,"cancelled":2,"pending":0}' events
}

@test "SIGTERM and SIGINT: what was read is told, the rest stays pending" {
	local signal
	for signal in TERM INT; do
		background >events
		starts 0 a 1 60000 >&7
		retry 50 told events '"indexed"'
		kill -$signal "$pid"
		exits 0
		exec 7>&-
		grep -q '"summary","indexed":1,.*"fired":0,"cancelled":0,"pending":1}' events
	done
	# And while it waits for what is pending after the end of input.
	background --resume >events
	{
		echo '{"event":"caughtup","source":"s"}'
		starts 0 a 1 60000
		ends true
	} >&7
	exec 7>&-
	retry 50 told events '"end"'
	kill -TERM "$pid"
	exits 0
	grep -q '"summary","indexed":1,.*"pending":1}' events
}

@test "a second signal ends it at once, also where nobody takes its output" {
	exec 8<>out
	dd if=/dev/zero of=out bs=4096 oflag=nonblock 2>/dev/null || true # until it is full
	background >&8
	starts 0 a 1 60000 >&7
	kill -TERM "$pid"
	# The first was heard, if only to stand before the full pipe with the summary; more of them end it.
	again() {
		kill -TERM "$pid" 2>/dev/null
		gone "$pid"
	}
	retry 50 again
	exits 143
	exec 8>&-
}

@test "nobody reads: an ordinary end, found out at once" {
	starts 0 a 1 60000 >events
	run --separate-stderr bash -c 'timerd <events | true; echo "${PIPESTATUS[0]}"'
	same "$output$stderr" 0
	# While it waits for the callback.
	exec 7<>in
	cat events >&7
	run --separate-stderr bash -c 'timeout 20 timerd <in 7<&- | head -n 1 7<&- >first; echo "${PIPESTATUS[0]}"'
	exec 7>&-
	same "$output" 0
	diff first events
}

@test "output that fails is named, exit 111" {
	starts 0 a 1 0 >events
	fails 111 bash -c 'timerd <events >/dev/full'
	err_has 'could not write standard output: No space left on device'
}

@test "input that fails is named, exit 111" {
	fails 111 bash -c 'timerd </'
	err_has 'could not read standard input: Is a directory'
	fails 111 bash -c 'timerd <&-'
	err_has 'could not read standard input: Bad file descriptor'
}

@test "a last line without newline: taken if it is whole, else dropped with a warning" {
	indexed 0 a 1 0 10 >events
	printf '%s' "$(indexed 1 b 1 1 10)" >>events
	ok timerd --clock virtual <events
	same "$(outcomes <<<"$output")" "indexed a v1;indexed b v1;fired a v1;fired b v1"
	truncate -s -1 events
	ok timerd --clock virtual <events
	same "$(outcomes <<<"$output")" "indexed a v1;fired a v1"
	err_has 'dropped the last line'
}

@test "a line that is too long is left out with a warning" {
	{
		printf '{"event":"news","x":"'
		head -c 33600000 /dev/zero | tr '\0' x
		printf '"}\n'
		indexed 0 a 1 0 1
	} >events
	ok timerd --clock virtual <events
	err_has 'line 1: left out, its 33600023 bytes are more than 33554432'
	same "$(outcomes <<<"$output")" "indexed a v1;fired a v1"
}

@test "a version without a callback cancels the older one's and starts none; a delete has none" {
	without() { # OFFSET ID VERSION MS [MORE]
		scheduled indexed "$1" "$2" "$3" "$(at "$4")" x "${5-}" | sed 's/"callbackTimeMs":400/"callbackTimeMs":null/; s/"dueAt":"x"/"dueAt":null/'
	}
	{
		indexed 0 a 1 0 400
		indexed 1 b 1 1 400
		indexed 2 c 7 2 400
		without 3 a 2 3
		without 4 b 2 4 '"deleted":true,"replayed":true' | sed 's/"accountType":"mint","tokens":2/"accountType":null,"tokens":null/'
		without 5 c 6 5
		without 6 d 1 6
		# A delete never has a callback, whatever it says.
		indexed 7 e 1 7 400 '"deleted":true'
		indexed 8 a 3 8 400
		ends true
	} >events
	ok timerd --clock virtual <events
	same "$(outcomes <<<"$output")" "indexed a v1;indexed b v1;indexed c v7;indexed a v2;cancelled a v1;indexed b v2;cancelled b v1;indexed c v6;indexed d v1;indexed e v1;indexed a v3;fired c v7;fired a v3"
	has '{"event":"cancelled","source":"s","offset":0,"id":"a","version":1,"supersededBy":2,"dueAt":"'"$(at 400)"'","cancelledAt":"'"$(at 3)"'"}'
	has '{"event":"cancelled","source":"s","offset":1,"id":"b","version":1,"supersededBy":2,"dueAt":"'"$(at 401)"'","cancelledAt":"'"$(at 4)"'","replayed":true}'
	has '"indexed":9,"stale":0,"duplicate":0,"conflict":0,"skipped":0,"rejected":0,"restored":0,"fired":2,"cancelled":2,"pending":0}'
	same "$stderr" ''
}

@test "cancelled is marked replayed where its cause is" {
	{
		scheduled pending 0 a 1 "$(at 0)" "$(at 400)"
		scheduled pending 1 b 1 "$(at 0)" "$(at 400)"
		indexed 2 a 2 1 400 '"replayed":true'
		indexed 3 b 2 2 400
	} >events
	ok timerd --clock virtual <events
	same "$(grep -c '"cancelled".*"id":"a".*"replayed":true}' <<<"$output")" 1
	same "$(grep '"cancelled".*"id":"b"' <<<"$output" | grep -c replayed)" 0
}

@test "--resume: begin undoes what an earlier end said" {
	{
		echo '{"event":"begin","source":"a","shard":"0/1"}'
		ends false
		echo '{"event":"begin","source":"b","shard":"0/1"}'
		indexed 0 x 1 0 0
	} >events
	fails 111 timerd --resume --clock virtual <events
	same "$output" "$(cat events)"
	err_has 'input ended without "end"'
	# What is not complete is so for its own source only.
	ends true >>events
	ok timerd --resume --clock virtual <events
	has '"event":"fired"'
}

@test "nobody reads a socket: found out at once, not when the next callback is due" {
	command -v perl >/dev/null || skip 'no perl'
	starts 0 a 1 600000 >event
	run perl -MSocket -e '
		socketpair(my $near, my $far, AF_UNIX, SOCK_STREAM, 0) or die;
		pipe(my $read, my $write) or die;
		my $pid = fork // die;
		if (!$pid) {
			open STDIN, "<&", $read; open STDOUT, ">&", $far;
			close $_ for $near, $far, $read, $write;
			exec "timerd";
		}
		close $far; close $read;
		open my $f, "<", "event"; syswrite $write, join "", <$f>;
		sysread $near, my $line, 1 << 16;
		close $near;
		waitpid $pid, 0;
		my @t = times;
		print $? >> 8, $t[2] + $t[3] < 0.5 ? " idle" : " busy";'
	same "$output" '0 idle'
}

@test "it sleeps by a clock that counts the time suspended" {
	background >events
	starts 0 a 1 600000 >&7
	retry 50 told events '"indexed"'
	sleeps() {
		# CLOCK_BOOTTIME is 7.
		grep -l '^clockid: 7' /proc/"$pid"/fdinfo/* 2>/dev/null | xargs -r grep -q '^it_value: ([1-9]'
	}
	retry 50 sleeps
	exec 7>&-
}

@test "lines for people" {
	{
		indexed 0 ID1 1 550 400
		indexed 1 ID1 3 650 400
		echo '{"event":"ignored","source":"s","offset":2,"reason":"skipped","replayed":true}'
	} >events
	ok timerd --clock virtual --format text <events
	same "$output" "00:00:00.550 indexed ID1 v1 mint, 1 tokens, callback after 400 ms
00:00:00.650 indexed ID1 v3 mint, 3 tokens, callback after 400 ms
00:00:00.650 cancelled ID1 v1 (superseded by v3)
             ignored (skipped) (replayed)
00:00:01.050 fired ID1 v3 mint, 3 tokens {\"of\":3} (0.0 ms late)
             summary indexed:2, stale:0, duplicate:0, conflict:0, skipped:1, rejected:0, restored:0, fired:1, cancelled:1, pending:0"
	has "$output"
	{
		indexed 0 ID1 1 550 400 '"replayed":true'
		scheduled pending 1 ID2 1 "$(at 560)" "$(at 960)"
	} >events
	ok timerd --clock virtual --format text <events
	has 'indexed ID1 v1 mint, 1 tokens, callback after 400 ms (replayed)'
	has 'fired ID2 v1 mint, 1 tokens {"of":1} (0.0 ms late) (recovered)'
	ACCTFLOW_FORMAT=text ACCTFLOW_CLOCK=virtual ok timerd --format json <events
	has '{"event":"fired"'
}

@test "help, version, man page" {
	ok timerd --help
	local option
	for option in $(grep -o -e ' --[a-z-]*' <<<"$output"); do
		grep -q -e "Fl Fl ${option#--}" "$root/timerd/timerd.1" || {
			echo "not in the manual: $option"
			false
		}
	done
	has 'usage: timerd [options]'
	ok timerd -V
	has 'timerd (acctflow) '
	# The manual's way to read the lateness off what was written.
	local line
	line=$(sed -n 's/^\.Dl \(sed .*\)/\1/p' "$root/timerd/timerd.1" | sed 's/\\e/\\/g')
	indexed 0 a 1 0 10 >recorded
	timerd --clock virtual <recorded >events.ndjson
	ok bash -c "$line"
	same "$output" 0
	command -v mandoc >/dev/null || skip "no mandoc"
	mandoc -T lint -W warning "$root/timerd/timerd.1"
}

@test "wrong options are refused by name" {
	refuses() {
		fails 100 timerd "${@:2}" </dev/null
		err_has "$1"
		same "$output" ''
	}
	refuses 'unknown option "--wrong"' --wrong
	refuses '--clock: expected one of real|virtual, not "x"' --clock x
	refuses '--format: expected one of auto|json|text, not "x"' -f x
	refuses '--epoch: expected a time such as 2000-01-01T00:00:00Z, not "yesterday"' --epoch yesterday
	refuses 'option "--epoch" wants a value' --epoch
	refuses 'option "--resume=1" takes no value' --resume=1
	refuses 'unexpected operand "f": events are read from standard input' f
}

@test "an indexed event that cannot be read drops nobody's callback" {
	{
		indexed 0 a 1 0 400
		indexed 1 b 1 1 400 | sed 's/"id":"b",//; s/}$/,"firedAt":"'"$(at 1)"'"}/'
	} >events
	ok timerd --clock virtual <events
	err_has '"id" is missing or wrong'
	same "$(grep -c '"event":"fired".*"id":"a"' <<<"$output")" 1
}
