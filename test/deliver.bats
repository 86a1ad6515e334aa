#!/usr/bin/env bats
# deliver by itself, and in a run: what is handed over, what passes, and when.
# shellcheck disable=SC2154,SC2164,SC2016,SC2034,SC2046 # helper sets bin, root, supervisor; a cd that fails ends the test; for another shell
load helper

build=$(cd "$root" && realpath -m "${BUILD:-build}")

setup() {
	cd "$BATS_TEST_TMPDIR"
	unset "${!ACCTFLOW_EX@}" ACCTFLOW_WORKER ACCTFLOW_POST
}

teardown() {
	[[ ! ${receiver-} ]] || kill -9 "$receiver" 2>/dev/null || :
	[[ ! ${filter-} ]] || kill -9 "$filter" 2>/dev/null || :
	database_drop
}

# fired ID VERSION [MEMBERS]: an event; indexed ID VERSION likewise.
fired() {
	printf '{"event":"fired","source":"s","offset":%d,"id":"%s","version":%d,"accountType":"mint","tokens":7,"data":{"a":"b c"},"dueAt":"2026-01-01T00:00:00.000000Z","firedAt":"2026-01-01T00:00:00.000200Z","latenessUs":200%s}\n' \
		"$2" "$1" "$2" "${3-}"
}
indexed() { printf '{"event":"indexed","source":"s","offset":%d,"id":"%s","version":%d,"dueAt":null}\n' "$2" "$1" "$2"; }
end() { printf '{"event":"end","source":"s","shard":"0/1","read":9,"lastOffset":8,"complete":%s}\n{"event":"summary","source":"s"}\n' "${1-true}"; }

# names: of each line of the output the event, id and version, in a line.
names() { jq -r '[.event, .id // empty, .version // empty] | join(" ")' <<<"${1-$output}" | paste -s -d ,; }

# start OPTION...: deliver, fed by descriptor 8, its output in the file out.
start() {
	mkfifo in
	"$bin/deliver" "$@" <in >out 2>err 3>&- &
	filter=$!
	exec 8>in
}
finished() {
	exec 8>&-
	wait "$filter"
	filter='' output=$(<out) stderr=$(<err)
}
lines_are() { (($(wc -l <"$1") == $2)); }

# receive [FAIL HANG STATUS]: starts the receiver; url is its.
receive() {
	"$build/receiver" 0 "$BATS_TEST_TMPDIR/requests" "$@" >port 3>&- &
	receiver=$!
	retry 50 test -s port
	url=http://127.0.0.1:$(<port)/
}

# --- commands

@test "a fired event passes once a command has taken it, and all others in their order" {
	{ indexed A 1 && fired A 1 && indexed B 2 && end; } >events
	ok "$bin/deliver" --exec 'cat >>taken; env | grep ^ACCTFLOW_ | sort >>variables' <events
	same "$(names)" 'indexed A 1,indexed B 2,fired A 1,end,summary'
	# Each line as it came.
	same "$(sort <<<"$output")" "$(sort events)"
	same "$(<taken)" "$(fired A 1)"
	for line in ACCTFLOW_ID=A ACCTFLOW_VERSION=1 ACCTFLOW_ACCOUNT_TYPE=mint ACCTFLOW_TOKENS=7 'ACCTFLOW_DATA={"a":"b c"}' \
		ACCTFLOW_ATTEMPT=1 ACCTFLOW_SOURCE=s ACCTFLOW_EVENT=fired; do
		grep -qxF "$line" variables
	done
}

@test "a command that exits 100 refuses for good; its output and the number of attempts are kept" {
	ok "$bin/deliver" --exec 'echo no such account; exit 100' < <(fired A 1)
	same "$(jq -c '[.event, .id, .version, .tokens, .data, .dueAt, .attempts, .error]' <<<"$output")" \
		'["failed","A",1,7,{"a":"b c"},"2026-01-01T00:00:00.000000Z",1,"no such account"]'
}

@test "a command that fails is run again, later each time, until it takes or there were enough attempts" {
	ok "$bin/deliver" --backoff-ms 20:100 --exec 'echo >>tries; test $(wc -l <tries) = 3' < <(fired A 1)
	same "$(names)" 'fired A 1'
	same "$(wc -l <tries)" 3
	err_has 'the receiver does not take callbacks, trying again: the command exited 1'
	err_has 'the receiver answers again'
	ok "$bin/deliver" --backoff-ms 1:5 --attempts 4 --exec 'echo "$ACCTFLOW_ATTEMPT" >>numbers; exit 3' < <(fired A 1)
	same "$(jq -c '[.event, .attempts, .error]' <<<"$output")" '["failed",4,"the command exited 3"]'
	same "$(paste -s -d ' ' numbers)" '1 2 3 4'
	# No attempt after the time that is given.
	ok "$bin/deliver" --backoff-ms 60000:60000 --give-up-after 20 --exec 'exit 3' < <(fired A 1)
	same "$(jq -c '[.event, .attempts]' <<<"$output")" '["failed",1]'
}

@test "a command that hangs is killed with all it has started" {
	ok "$bin/deliver" --timeout-ms 300 --attempts 1 --exec 'sleep 1000 & echo $! >pid; wait' < <(fired A 1)
	same "$(jq -r .error <<<"$output")" 'no answer within 300 ms'
	retry 20 gone "$(<pid)"
}

@test "a command dies with deliver" {
	start --exec 'echo $$ >pid; exec sleep 1000'
	fired A 1 >&8
	retry 50 test -s pid
	kill -9 "$filter"
	retry 20 gone "$(<pid)"
}

@test "workers live on, and answer ok, retry or refuse for each line" {
	cat >worker <<'W'
while IFS= read -r line; do
	case $line in
	*'"id":"A"'*) echo ok ;;
	*'"id":"B"'*) echo refuse 'not ours' ;;
	*'"id":"C"'*) [ -e again ] && echo ok || { touch again; echo retry; } ;;
	*) exit 1 ;;
	esac
	echo $$ >>workers
done
W
	{ fired A 1 && fired B 1 && fired C 1 && fired D 1; } >events
	ok "$bin/deliver" -j 1 --backoff-ms 10:20 --attempts 2 --worker 'exec sh worker' <events
	same "$(names | tr , '\n' | sort | paste -s -d ,)" 'failed B 1,failed D 1,fired A 1,fired C 1'
	same "$(jq -r 'select(.id == "B") | .error' <<<"$output")" 'not ours'
	same "$(jq -r 'select(.id == "D") | .error' <<<"$output")" 'the command exited 1'
	# One, and one more for each that ended.
	(($(sort -u workers | wc -l) <= 3))
}

@test "an event of 16 MB is handed to a command and to a worker whole" {
	perl -e 'print q({"event":"fired","id":"A","version":1,"accountType":"x","tokens":1,"data":"), "x" x 15_000_000, qq(","dueAt":"2026-01-01T00:00:00Z","firedAt":"2026-01-01T00:00:00Z"}\n)' >events
	ok "$bin/deliver" --exec 'cat >taken' <events
	cmp events taken
	ok "$bin/deliver" --worker "perl -ne 'BEGIN { \$| = 1 } open F, q(>), q(got); print F; close F; print qq(ok\\n)'" <events
	cmp events got
}

# --- a URL

@test "a POST carries the event, what identifies it, and a signature that its receiver can check" {
	cat >listen.pl <<'P'
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die;
open my $port, '>', 'port.new'; print $port $server->sockport; close $port; rename 'port.new', 'port';
my $c = $server->accept;
my ($head, $length) = ('', 0);
while (<$c>) { $head .= $_; $length = $1 if /^content-length: (\d+)/i; last if /^\r\n/ }
read $c, my $body, $length;
print $c "HTTP/1.1 204 No Content\r\n\r\n";
open my $f, '>', 'head'; print $f $head =~ s/\r//gr; close $f;
open $f, '>', 'body'; print $f $body;
P
	perl listen.pl 3>&- &
	receiver=$!
	retry 50 test -s port
	printf 'whsec_%s\n' "$(printf 'a secret of some bytes' | base64)" >secret
	fired 'A/é.1' 3 ',"trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"' >event
	ok "$bin/deliver" --allow-private --secret-file secret --post "http://127.0.0.1:$(<port)/hook" <event
	same "$(names)" 'fired A/é.1 3'
	same "$(<body)" "$(<event)"
	grep -qx 'POST /hook HTTP/1.1' head
	grep -qix 'content-type: application/json' head
	grep -qix 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' head
	id=$(sed -n 's/^webhook-id: //p' head) at=$(sed -n 's/^webhook-timestamp: //p' head)
	same "$id" 'A%2F%C3%A9%2E1:3'
	(($(date +%s) - at < 600 && at <= $(date +%s)))
	export id at
	same "$(sed -n 's/^webhook-signature: //p' head)" "v1,$(perl -MDigest::SHA=hmac_sha256 -MMIME::Base64 -0777 -ne \
		'print encode_base64(hmac_sha256("$ENV{id}.$ENV{at}.$_", "a secret of some bytes"), "")' body)"
}

@test "2xx takes, 4xx refuses, but 408, 409, 425, 429 and all else are tried again, and no redirect is followed" {
	for code in 200 204 400 404 410 408 409 425 500 503 302; do
		rm -f requests port
		receive 0 0 $code
		ok "$bin/deliver" --allow-private --attempts 2 --backoff-ms 5:10 --post "$url" < <(fired A 1)
		case $code in
		2*) same "$(names) $(wc -l <requests)" 'fired A 1 2' ;;
		400 | 404 | 410)
			same "$(jq -c '[.event, .attempts, .error]' <<<"$output")" "[\"failed\",1,\"status $code: try later\"]"
			;;
		*) same "$(jq -c '[.event, .attempts]' <<<"$output")" '["failed",2]' ;;
		esac
		kill -9 "$receiver"
		wait "$receiver" 2>/dev/null || :
	done
}

@test "Retry-After is kept" {
	receive 0 0 429
	ok "$bin/deliver" --allow-private --attempts 2 --backoff-ms 1:2 --post "$url" < <(fired A 1)
	# A second, as the receiver asks, and not the two milliseconds.
	mapfile -t times < <(sed -n 's/ begin .*//p' requests)
	((${#times[@]} == 2 && times[1] - times[0] >= 900000))
}

@test "private addresses are posted to only if that is allowed, and no other scheme is" {
	receive
	for address in "$url" "${url/127.0.0.1/localhost}" "${url/127.0.0.1/[::ffff:127.0.0.1]}" 'http://[::1]:9/' 'http://10.1.2.3/'; do
		ok "$bin/deliver" --attempts 1 --post "$address" < <(fired A 1)
		same "$(jq -r '.event + ": " + .error' <<<"$output")" 'failed: it has a private address; see --allow-private'
	done
	[[ ! -s requests ]]
	for address in ftp://example.net/ file:///etc/passwd example.net; do
		fails 100 "$bin/deliver" --post "$address" < <(fired A 1)
		err_has 'expected an http:// or https:// URL'
	done
}

# --- newer versions, order, bounds

@test "a newer version ends the attempts for the older one: cancelled stands directly behind it" {
	start --backoff-ms 60000:60000 --exec 'echo "$ACCTFLOW_ID$ACCTFLOW_VERSION" >>tries; [ "$ACCTFLOW_VERSION" -gt 1 ]'
	{ fired A 1 && fired B 1; } >&8
	retry 50 lines_are tries 2
	# Not of another account, nor an older version's.
	{ indexed A 0 && indexed A 2 && fired A 2; } >&8
	retry 50 grep -q '"fired".*"id":"A","version":2' out
	{ indexed B 5 && indexed C 1; } >&8
	retry 50 grep -q '"id":"C"' out
	finished
	same "$(names)" 'indexed A 0,indexed A 2,cancelled A 1,fired A 2,indexed B 5,cancelled B 1,indexed C 1'
	same "$(sort tries | paste -s -d ' ')" 'A1 A2 B1'
	same "$(jq -c 'select(.event == "cancelled" and .id == "A") | [.source, .offset, .version, .supersededBy, .dueAt]' <<<"$output")" \
		'["s",1,1,2,"2026-01-01T00:00:00.000000Z"]'
	same "$(jq -r 'select(.event == "cancelled") | .cancelledAt > "2026-02"' <<<"$output" | sort -u)" true
}

@test "an attempt in flight decides what a newer version makes of it" {
	for case in 0:fired 7:cancelled 100:failed; do
		rm -f in go began
		start --backoff-ms 1:2 --exec 'echo "$ACCTFLOW_VERSION" >>began; while [ ! -e go ]; do sleep 0.05; done; exit '"${case%:*}"
		fired A 1 >&8
		retry 50 test -s began
		{ indexed A 2 && fired A 2 && indexed A 3 && indexed Z 1; } >&8
		retry 50 grep -q '"id":"Z"' out
		# The second one never began, and is cancelled at once; the first has no word of its own yet.
		same "$(names "$(<out)")" 'indexed A 2,indexed A 3,cancelled A 2,indexed Z 1'
		touch go
		finished
		same "$(names)" "indexed A 2,indexed A 3,cancelled A 2,indexed Z 1,${case#*:} A 1"
		same "$(<began)" 1
	done
}

@test "an account's callbacks go one at a time in their order; another's do not wait for them" {
	start -j 4 --backoff-ms 20:40 --exec 'echo "$ACCTFLOW_ID$ACCTFLOW_VERSION" >>began; [ "$ACCTFLOW_ID" = B ] || [ -e go ]'
	# No indexed stands between them, as where only what fired is handed over.
	{ fired A 1 && fired A 2 && fired A 3 && fired B 1; } >&8
	retry 50 grep -q '"id":"B"' out
	same "$(grep 'A[23]' began)" ''
	touch go
	finished
	same "$(names)" 'fired B 1,fired A 1,fired A 2,fired A 3'
	same "$(grep -v B began | uniq | paste -s -d ' ')" 'A1 A2 A3'
}

@test "nothing more is read once so many are held" {
	start --waiting 3 --backoff-ms 60000:60000 --exec '[ -e go ]'
	for i in 1 2 3; do fired "A$i" 1; done >&8
	{ indexed Z 1 && indexed Z 2; } >&8
	indexed A1 2 >&8
	# The next line to come through would be Z's.
	sleep 0.3
	[[ ! -s out ]]
	kill -TERM "$filter"
	finished
	same "$(names)" ''
	err_has '3 callbacks were not delivered; they stay pending'
}

@test "end and summary wait until nothing is held; behind a stop they do not, and what is held is left" {
	{ fired A 1 && end; } >events
	ok "$bin/deliver" --backoff-ms 5:10 --exec 'echo >>tries; test $(wc -l <tries) = 3' <events
	same "$(names)" 'fired A 1,end,summary'
	{ fired A 1 && indexed B 1 && end false; } >events
	ok "$bin/deliver" --backoff-ms 60000:60000 --exec 'exit 1' <events
	same "$(names)" 'indexed B 1,end,summary'
	ok "$bin/deliver" --no-wait --backoff-ms 60000:60000 --exec 'exit 1' < <(fired A 1 && end)
	same "$(names)" 'end,summary'
	# A signal, while it waits.
	start --backoff-ms 60000:60000 --exec 'echo >>tried; exit 1'
	{ fired A 1 && end; } >&8
	retry 50 test -s tried
	exec 8>&-
	kill -TERM "$filter"
	finished
	same "$(names)" 'end,summary'
	# Input that breaks off is a crash where it was started by the supervisor: nothing more is begun.
	fails 111 "$bin/deliver" --resume --exec true < <(indexed B 1)
	same "$(names)" 'indexed B 1'
}

@test "wrong options are refused, each with a word about which" {
	fails 100 "$bin/deliver" </dev/null
	err_has 'one of --exec, --worker and --post is wanted'
	fails 100 "$bin/deliver" --exec true --post http://example.net </dev/null
	err_has 'and no other'
	fails 100 "$bin/deliver" --exec true --secret-file x </dev/null
	err_has '--secret-file and --allow-private are for --post'
	fails 100 "$bin/deliver" --post http://example.net --secret-file nowhere </dev/null
	err_has 'could not read the secret "nowhere"'
	: >empty
	fails 100 "$bin/deliver" --post http://example.net --secret-file empty </dev/null
	err_has 'the secret "empty" is empty'
	for wrong in 0:5 5 9:3 x:y; do
		fails 100 "$bin/deliver" --exec true --backoff-ms "$wrong" </dev/null
		err_has '--backoff-ms: expected MIN:MAX'
	done
}

@test "no attempt begins once the machine's leases have ended, until they are renewed" {
	# Microseconds of the boot clock, as `writer lease` writes them.
	lease() { perl -e 'open my $f, "+<", "lease"; syswrite $f, pack "q", $ARGV[0]' "$1"; }
	head -c 8 /dev/zero >lease
	chmod 600 lease
	start --lease lease --exec 'echo >>began'
	{ fired A 1 && indexed B 1; } >&8
	retry 50 grep -q '"id":"B"' out
	sleep 0.2
	[[ ! -e began ]]
	lease $((1 << 62))
	retry 50 test -s began
	finished
	same "$(names)" 'indexed B 1,fired A 1'
}

# --- in a run

@test "a run delivers where a receiver is configured; what failed is shown, and retried on demand" {
	database
	for i in 1 2 3 4; do
		printf '{"id":"A%d","accountType":"x","tokens":1,"callbackTimeMs":%d,"version":1}\n' $i $((i * 10))
	done >input
	cat >config.yaml <<-'C'
		deliver:
		  exec: '[ "$ACCTFLOW_ID" != A3 ] || { echo closed; exit 100; }'
	C
	export ACCTFLOW_CONFIG=$PWD/config.yaml
	ok "$supervisor" run --format json --arrival none input
	same "$(jq -r 'select(.event == "fired" or .event == "failed") | .event + .id' <<<"$output" | sort | paste -s -d ' ')" 'failedA3 firedA1 firedA2 firedA4'
	ok "$supervisor" status --format json
	same "$(jq -c '[.fired, .failed, .pending, .consistent]' <<<"$output")" '[3,1,0,true]'
	same "$(sql "SELECT id, state FROM acctflow.callbacks WHERE state <> 'fired'")" 'A3|failed'
	# What has fired is none of retry's business.
	fails 1 "$supervisor" retry A1
	err_has 'no failed callback of account "A1"'
	ok "$supervisor" retry A3 A1
	same "$output" '{"id":"A3","version":1,"state":"pending"}'
	: >config.yaml
	ACCTFLOW_EXEC='echo "$ACCTFLOW_ID $ACCTFLOW_RECOVERED" >>taken' ok "$supervisor" run --format json
	same "$(<taken)" 'A3 true'
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'fired'")" 4
	# One that was superseded meanwhile is cancelled.
	printf '{"id":"B","accountType":"x","tokens":1,"callbackTimeMs":0,"version":1}\n' >second
	ACCTFLOW_EXEC='exit 100' ok "$supervisor" run --format json --arrival none second
	printf '{"id":"B","accountType":"x","tokens":1,"callbackTimeMs":null,"version":2}\n' >third
	ok "$supervisor" run --format json --arrival none third
	ok "$supervisor" retry
	same "$output" '{"id":"B","version":1,"state":"cancelled"}'
}

@test "a run that is stopped while its receiver hangs leaves the callback pending, and ends" {
	database
	printf '{"id":"A","accountType":"x","tokens":1,"callbackTimeMs":0,"version":1}\n' >input
	export ACCTFLOW_TIMEOUT_MS=3000 ACCTFLOW_BACKOFF_MS=60000:60000
	ACCTFLOW_EXEC='echo >>began; sleep 1000' "$supervisor" run --format json --arrival none input >out 2>err 3>&- &
	filter=$!
	retry 100 test -s began
	kill -TERM "$filter"
	wait "$filter"
	filter=''
	same "$(sql "SELECT state FROM acctflow.callbacks")" pending
	ACCTFLOW_EXEC='echo "$ACCTFLOW_ID" >>taken' ok "$supervisor" run --format json input
	same "$(<taken)" A
}

@test "struck at random, each callback is taken or recorded, in order, and none after a newer version" {
	command -v perl >/dev/null || skip 'no perl'
	[[ ! ${ACCTFLOW_SANITIZED-} && ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'it makes a Postgres of its own'
	unset ACCTFLOW_BIN ACCTFLOW_CONFIG ACCTFLOW_HOME
	BIN=$bin BUILD=$build ok "$root/test/faults/deliver" --kills "${FAULTS_KILLS:-15}"
	echo "${lines[-1]}" >&3
}
