#!/usr/bin/env bats
# statusd: what it answers, by itself and while a run goes on, dies or stands still; and the logs that a run keeps.
# STATUSD_UPDATES and STATUSD_KILLS size the test of the totals.

load helper

setup() {
	export ACCTFLOW_LISTEN=127.0.0.1:0
	statusd='' started='' clients='' opened='' stopped='' page=''
	mkdir -p "$ACCTFLOW_HOME/run"
	exec {hold}</dev/null
}

teardown() {
	[[ ! $stopped ]] || kill -CONT "$stopped" 2>/dev/null || :
	local pid
	# Asked to end it writes down what `make coverage` counts.
	[[ ! $statusd ]] || ! kill -TERM "$statusd" 2>/dev/null || retry 50 gone "$statusd" || :
	for pid in $clients $statusd $started; do kill -KILL "$pid" 2>/dev/null || :; done
	if [[ $opened ]]; then
		"$supervisor" stop 2>/dev/null || :
		rm -rf -- "$opened"
	fi
	database_drop
}

# Starts statusd by itself, and waits until it has asked the database; its pid is $statusd, its port $port.
# shellcheck disable=SC2120 # options of its own
serve() {
	rm -f "$ACCTFLOW_HOME/run/statusd.url"
	"$bin/statusd" --home "$ACCTFLOW_HOME" "$@" 2>"$BATS_TEST_TMPDIR/statusd.err" 3>&- &
	statusd=$!
	retry 100 port_read
}

port_read() {
	[[ -s $ACCTFLOW_HOME/run/statusd.url ]] || return 1
	port=$(sed 's/.*:\([0-9]*\).*/\1/' "$ACCTFLOW_HOME/run/statusd.url")
}

# get PATH [METHOD]: settles status, head and page.
get() {
	local web answer
	status='' head='' page=''
	{ exec {web}<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || return 0
	# It may be refused before all of it is sent, which ends whoever sends it.
	(printf '%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n' "${2:-GET}" "$1" >&"$web") 2>/dev/null || :
	answer=$(timeout 20 cat <&"$web" | tr -d '\r')
	exec {web}>&-
	read -r _ status _ <<<"$answer"
	head=${answer%%$'\n\n'*} page=''
	[[ $answer != *$'\n\n'* ]] || page=${answer#*$'\n\n'}
}

# is STATUS PATH: whether that is the answer now.
is() {
	get "$2"
	[[ $status == "$1" ]]
}

# metric NAME: its value now.
metric() {
	get /metrics
	awk -v name="acctflow_$1" '$1 == name { print $2 }' <<<"$page"
}

metric_is() {
	[[ $(metric "$1") == "$2" ]]
}

# run_start ARGUMENT...: a supervised run in the background, whose statusd answers.
run_start() {
	rm -f "$ACCTFLOW_HOME/run/statusd.url"
	"$supervisor" run "$@" <&0 >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- {hold}>&- &
	started=$!
	retry 300 port_read
}

run_end() {
	local result=0
	wait "$started" || result=$?
	started=''
	[[ $result == "$1" ]] || {
		echo "run: $result"
		cat "$BATS_TEST_TMPDIR/err"
		return 1
	}
}

# child NAME: its pid.
child() {
	awk -v name="$1" '$1 == name { print $2 }' "$ACCTFLOW_HOME/run/pids" 2>/dev/null || :
}

child_is_there() {
	[[ $(child "$1") ]]
}

# Whether what the metrics say is what SQL counts.
metrics_equal_sql() {
	local want is
	want=$(sql "SELECT sum(read), sum(indexed), sum(stale), sum(duplicate), sum(conflict), sum(rejected),
		(SELECT count(*) FILTER (WHERE state = 'fired') || '|' || count(*) FILTER (WHERE state = 'cancelled') || '|' ||
			count(*) FILTER (WHERE state = 'pending') FROM acctflow.callbacks) FROM acctflow.sources")
	get /metrics
	is=$(awk '/^#/ { next } { v[$1] = $2 } /^acctflow_rejected_total/ { rejected += $2 }
		END { print v["acctflow_read_total"] "|" v["acctflow_indexed_total"] "|" \
			v["acctflow_ignored_total{reason=\"stale\"}"] "|" v["acctflow_ignored_total{reason=\"duplicate\"}"] "|" \
			v["acctflow_ignored_total{reason=\"conflict\"}"] "|" rejected "|" v["acctflow_fired_total"] "|" \
			v["acctflow_cancelled_total"] "|" v["acctflow_pending_callbacks"] }' <<<"$page")
	echo "metrics: $is, sql: $want"
	[[ $is == "$want" ]]
}

@test "options: what is wrong is said, none is an end" {
	ok statusd --help
	has --most-lag
	fails 100 statusd --listen nowhere.invalid:x
	err_has 'not an address to listen on'
	fails 100 statusd extra
	err_has 'unexpected argument'
	fails 100 statusd --writer /nowhere --listen 256.0.0.1:80
	ok statusd --listen none
	fails 100 statusd --most-lag soon
}

@test "a port in use is an error of statusd's, and only a warning of a run's" {
	database
	serve
	fails 100 "$bin/statusd" --listen "127.0.0.1:$port"
	err_has 'Address already in use'
	ACCTFLOW_LISTEN=127.0.0.1:$port ok "$supervisor" run --clock virtual --format json "$root/data/challenge-input.json"
	err_has 'going on without statusd'
	has '"event":"summary"'
}

@test "each path has its answer, all else is refused, and nothing may be loaded from elsewhere" {
	database
	ok writer migrate
	serve
	for path in /healthz /readyz; do
		retry 50 is 200 "$path"
		same "$page" ok
	done
	get /api/status
	[[ $head == *'application/json'* && $head == *'no-store'* ]]
	same "$(sql "SELECT j->>'ready' || ' ' || jsonb_array_length(j->'programs') FROM (SELECT \$json\$$page\$json\$::jsonb AS j) x")" 'true 4'
	get /metrics
	same "$status" 200
	[[ $page == *'acctflow_build_info{version="'* && $page == *$'\nacctflow_ready 1\n'* ]]
	if command -v promtool >/dev/null; then promtool check metrics <<<"$page"; fi
	[[ $head == *"default-src 'none'"* && $head == *nosniff* && $head == *no-referrer* ]]
	get /metrics HEAD
	same "$status/$page" 200/
	for method in POST PUT DELETE OPTIONS; do
		get /metrics $method
		same "$status" 405
		[[ $head == *'Allow: GET, HEAD'* ]]
	done
	for path in /nothing /../../etc/passwd /statusd.c '/%2e%2e/secret' /metrics/; do
		get "$path"
		same "$status" 404
	done
	get "/$(printf '%040000d' 0)"
	[[ $status == 4* || $status == '' ]]
	retry 50 is 200 /healthz
	# It has given up what it does not need (see sandbox.bats for what that is worth).
	[[ ${ACCTFLOW_SANITIZED-} ]] || grep -qE '^NoNewPrivs:.*1$' "/proc/$statusd/status"
}

@test "a run is seen: programs, progress, histograms, events; hostile text stays text" {
	database
	local id='<script>alert(1)</script>\u0001\"'
	for i in 1 2 3; do
		printf '{"id":"%s","accountType":"</td>","tokens":%s,"callbackTimeMs":1,"version":%d}\n' "$id" 18446744073709551615 $i
	done >"$BATS_TEST_TMPDIR/in"
	echo '{"id":"<img src=x>"}' >>"$BATS_TEST_TMPDIR/in"
	mkfifo "$BATS_TEST_TMPDIR/more"
	exec {hold}<>"$BATS_TEST_TMPDIR/more"
	cat "$BATS_TEST_TMPDIR/in" >&"$hold"
	run_start --arrival none - <"$BATS_TEST_TMPDIR/more"
	retry 200 metric_is 'rejected_total{reason="accountType"}' 1
	retry 200 metric_is fired_total 1
	for name in reader writer timerd ack; do same "$(metric "up{program=\"$name\"}")" 1; done
	retry 100 metric_is lag_records 0
	(($(metric callback_lateness_seconds_count) >= 1 && $(metric arrival_to_told_seconds_count) == 3))
	(($(metric batches_total) == $(metric commit_seconds_count)))
	spooled() { (($(metric spool_bytes) > 100)); }
	retry 100 spooled
	(($(metric disk_free_bytes) > 0))
	get /api/status
	same "$(sql "SELECT concat_ws(' ', j->'events'->0->>'event', jsonb_array_length(j->'rejects'), j->'rejects'->0->>'raw',
		j->'richest'->0->>'tokens', j->'richest'->0->>'id' = e'<script>alert(1)</script>\\x01\"', j->'totals'->>'read')
		FROM (SELECT \$json\$$page\$json\$::jsonb AS j) x")" 'fired 1 {"id":"<img src=x>"} 18446744073709551615 t 4'
	exec {hold}>&-
	run_end 0
	same "$(compgen -G "$ACCTFLOW_HOME/run/*.stats" | wc -l)" 4
}

@test "at rest the metrics equal what SQL counts, also after kill -9 of whatever runs" {
	database
	local kills=0 name pid
	"$bin/generate" --updates "${STATUSD_UPDATES:-20000}" --accounts 2000 --callback-ms 0:3000 --lines >"$BATS_TEST_TMPDIR/in"
	run_start --arrival gap --delay-ms 0:2 --speed 10 "$BATS_TEST_TMPDIR/in"
	while ((kills < ${STATUSD_KILLS:-8})) && kill -0 "$started" 2>/dev/null; do
		for name in reader writer timerd ack; do
			retry 300 child_is_there "$name" || break 2
			pid=$(child "$name")
			[[ $pid ]] || continue
			retry 100 metric_is "up{program=\"$name\"}" 1 || continue
			kill -KILL "$pid" 2>/dev/null || continue
			kills=$((kills + 1))
			retry 100 gone "$pid"
		done
	done
	((kills >= 4))
	run_end 0
	serve
	retry 300 metrics_equal_sql
	# As many restarts as the supervisor listed: some kills hit what was ending already.
	get /metrics
	same "$(awk '/^acctflow_restarts_total/ { n += $NF } END { print n + 0 }' <<<"$page")" "$(wc -l <"$ACCTFLOW_HOME/run/restarts")"
	[[ $page == *'",cause="signal 9"} '* ]]
}

@test "a program that stands still is seen, and that it goes on again" {
	database
	mkfifo "$BATS_TEST_TMPDIR/more"
	exec {hold}<>"$BATS_TEST_TMPDIR/more"
	echo '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":1,"version":1}' >&"$hold"
	run_start - <"$BATS_TEST_TMPDIR/more"
	for name in reader writer timerd ack; do
		retry 200 metric_is "up{program=\"$name\"}" 1
		stopped=$(child "$name")
		kill -STOP "$stopped"
		retry 200 is 503 /healthz
		[[ $page == "${name}[$stopped] has stood still for "* ]]
		retry 20 is 503 /readyz
		kill -CONT "$stopped"
		retry 100 is 200 /healthz
	done
	stopped=''
	exec {hold}>&-
	run_end 0
}

@test "a database that is away, or has no schema, is not ready but healthy" {
	opened=$(mktemp -d /tmp/acctflow-home.XXXXXX)
	ACCTFLOW_HOME=$opened/var
	chmod 755 "$opened"
	ok "$supervisor" postgres
	serve
	retry 100 is 503 /readyz
	retry 50 metric_is ready 0
	get /readyz
	[[ $page == *"schema's version is 0"* ]]
	ok "$supervisor" createdb
	retry 100 is 200 /readyz
	ok "$supervisor" stop
	retry 100 is 503 /readyz
	[[ $page == *'the database does not answer'* ]]
	retry 20 is 200 /healthz
	metric_is read_total 0
	ok "$supervisor" postgres
	retry 200 is 200 /readyz
}

@test "writer status that dies is started again" {
	database
	ok writer migrate
	serve
	retry 100 is 200 /readyz
	local pid launcher
	launcher=$(pgrep -P "$statusd")
	pid=$(pgrep -P "$launcher")
	kill -KILL "$pid"
	retry 100 is 503 /readyz
	[[ $page == *'killed by signal 9'* ]]
	retry 100 is 200 /readyz
	pid=$(pgrep -P "$launcher")
	kill -KILL "$statusd"
	retry 50 gone "$launcher"
	retry 50 gone "$pid"
}

@test "a thousand slow and broken clients shut nobody out" {
	database
	ok writer migrate
	serve
	retry 100 is 200 /readyz
	for i in 1 2 3; do
		perl -MIO::Socket::INET -e '$| = 1; my @s; for (1 .. 400) { my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0])
			or next; $s->autoflush; print $s $_ % 3 == 0 ? "GET /met" : $_ % 3 == 1 ? "\0\xff\r\n\r\n" : ""; push @s, $s }
			print "there\n"; $SIG{PIPE} = "IGNORE"; while (1) { for (@s) { print $_ "x" } select undef, undef, undef, 0.2 }' \
			"$port" >"$BATS_TEST_TMPDIR/there$i" 2>/dev/null 3>&- &
		clients+=" $!"
	done
	there() { (($(cat "$BATS_TEST_TMPDIR"/there? | grep -c there) == 3)); }
	retry 100 there
	for i in {1..20}; do is 200 /metrics; done
	ok writer status
	for i in $clients; do kill -KILL "$i"; done
	clients=''
	retry 100 is 200 /healthz
	# What they held is given back.
	few() { (($(ls /proc/"$statusd"/fd | wc -l) < 30)); }
	retry 200 few
}

@test "logs: kept in files that are few, warnings and errors shown, all of it where a level is asked for" {
	database
	printf '%s\n' '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":1,"version":1}' >"$BATS_TEST_TMPDIR/in"
	ok "$supervisor" run "$BATS_TEST_TMPDIR/in"
	same "$(grep -c ' info writer\[.* migrated the schema' "$ACCTFLOW_HOME/log/acctflow.log")" 1
	same "$(grep -c ' migrated the schema' <<<"$stderr" || :)" 0
	ok "$supervisor" run --again --log-level trace --log-format json "$BATS_TEST_TMPDIR/in"
	err_has '"level":"trace","program":"writer"'
	same "$(grep -c '"level":"trace","program":"writer".*committed a batch' "$ACCTFLOW_HOME/log/acctflow.log")" 1
	# By its size a file is followed by another, five in all.
	source "$supervisor"
	logs=$BATS_TEST_TMPDIR/log/x.log
	mkdir "${logs%/*}"
	log_bytes=10000
	logs_keep < <(yes "$(printf '2026-01-01T00:00:00Z info writer[1] %050d' 0)" | head -n 1000) 2>&1
	same "$(echo "${logs%/*}"/*)" "$logs $logs.1 $logs.2 $logs.3 $logs.4"
	(($(stat -c %s "$logs.1") <= 10000))
	same "$({ echo '2026-01-01T00:00:00Z warn writer[1] w' && echo '{"time":"x","level":"info","program":"y"}' && echo odd; } | logs_keep 2>&1)" \
		$'2026-01-01T00:00:00Z warn writer[1] w\nodd'
}

@test "logs: what repeats is counted" {
	yes '{"event":"indexed","id":"a"}' | head -n 1225 >"$BATS_TEST_TMPDIR/in"
	ok bash -c 'timerd <"$1" >/dev/null' _ "$BATS_TEST_TMPDIR/in"
	same "$(wc -l <<<"$stderr")" 21
	err_has '… and 1,205 more, the last: line 1225: '
	ok bash -c 'timerd -l debug <"$1" >/dev/null' _ "$BATS_TEST_TMPDIR/in"
	same "$(grep -c ' warn ' <<<"$stderr")" 1225
}
