#!/usr/bin/env bats
# statusd: its answers, alone and while pipelines run, die or stand still. STATUSD_UPDATES and STATUSD_KILLS size the test
# of the totals.

load helper
load http

setup() {
	export ACCTFLOW_LISTEN=127.0.0.1:0
	statusd='' started='' clients='' opened='' stopped='' page='' chain=''
	mkdir -p "$ACCTFLOW_HOME/run"
	exec {hold}</dev/null
}

teardown() {
	[[ ! $stopped ]] || kill -CONT "$stopped" 2>/dev/null || :
	local pid
	# Asked to end it writes down what `make coverage` counts.
	[[ ! $statusd ]] || ! kill -TERM "$statusd" 2>/dev/null || retry 50 gone "$statusd" || :
	for pid in $clients $statusd $started $chain; do kill -KILL "$pid" 2>/dev/null || :; done
	if [[ $opened ]]; then
		"$supervisor" stop 2>/dev/null || :
		rm -rf -- "$opened"
	fi
	database_drop
}

# Starts statusd alone; its pid is $statusd, its port $port.
# shellcheck disable=SC2120 # options of its own
serve() {
	rm -f "$ACCTFLOW_HOME/run/statusd.url"
	"$bin/statusd" --home "$ACCTFLOW_HOME" "$@" 2>"$BATS_TEST_TMPDIR/statusd.err" 3>&- {hold}>&- &
	statusd=$!
	retry 100 port_read
}

# is STATUS PATH: whether that is the answer now.
is() {
	get "$2"
	[[ $status == "$1" ]]
}

# stalled TEXT: whether /healthz says so; on a machine that is very busy others may be stalled too.
stalled() {
	is 503 /healthz && [[ $page == *"$1"* ]]
}

# json EXPRESSION: of /api/status, j, as SQL has it.
json() {
	get /api/status
	sql "SELECT $1 FROM (SELECT \$json\$$page\$json\$::jsonb AS j) x"
}

json_is() {
	[[ $(json "$1") == "$2" ]]
}

# chain K SOURCE I/N READER-ARGUMENT...: a pipeline by hand, as the supervisor would name it; its pids are added to $chain.
chain_start() {
	local folder=$ACCTFLOW_HOME/run/pipelines/$1 source=$2 shard=$3
	shift 3
	mkdir -p "$folder"
	echo "$source $shard" >"$folder/name"
	mkfifo "$folder/a" "$folder/b" "$folder/c"
	ACCTFLOW_METRICS=$folder reader --source "$source" "$@" <&0 >"$folder/a" 2>>"$BATS_TEST_TMPDIR/chain.err" 3>&- {hold}>&- &
	chain+=" $!"
	ACCTFLOW_METRICS=$folder writer <"$folder/a" >"$folder/b" 2>>"$BATS_TEST_TMPDIR/chain.err" 3>&- {hold}>&- &
	chain+=" $!"
	ACCTFLOW_METRICS=$folder timerd <"$folder/b" >"$folder/c" 2>>"$BATS_TEST_TMPDIR/chain.err" 3>&- {hold}>&- &
	chain+=" $!"
	ACCTFLOW_METRICS=$folder writer ack <"$folder/c" >>"$BATS_TEST_TMPDIR/out" 2>>"$BATS_TEST_TMPDIR/chain.err" 3>&- {hold}>&- &
	chain+=" $!"
}

chain_end() {
	local pid
	for pid in $chain; do retry 600 gone "$pid"; done
	chain=''
}

update() {
	printf '{"id":"%s","accountType":"t","tokens":%d,"callbackTimeMs":%d,"version":%d}\n' "$1" "$2" "$3" "$2"
}

# check_has TEXT: whether statusd --check prints that, with the exit code that /readyz agrees with.
check_has() {
	local wanted=0
	run --separate-stderr statusd --check --home "$ACCTFLOW_HOME"
	[[ $output == *"$1"* ]] || return 1
	[[ $output == *$'\nready' || $output == ready ]] || wanted=1
	same "$status" "$wanted"
}

# metric NAME: its value now. A label may have spaces.
metric() {
	get /metrics
	NAME=acctflow_$1 awk '{ value = $NF; sub(/ [^ ]*$/, "") } $0 == ENVIRON["NAME"] { print value }' <<<"$page"
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

# child NAME: its pid in a supervised run of one pipeline.
child() {
	awk -v name="$1" '$1 == name { print $2 }' "$ACCTFLOW_HOME/run/pipelines/0/pids" 2>/dev/null || :
}

child_is_there() {
	[[ $(child "$1") ]]
}

# Whether the metrics equal SQL's counts.
metrics_equal_sql() {
	local want is
	want=$(sql "SELECT sum(read), sum(indexed), sum(stale), sum(duplicate), sum(conflict), sum(skipped), sum(rejected),
		(SELECT count(*) FILTER (WHERE state = 'fired') || '|' || count(*) FILTER (WHERE state = 'cancelled') || '|' ||
			count(*) FILTER (WHERE state = 'pending') FROM acctflow.callbacks) FROM acctflow.sources")
	get /metrics
	is=$(awk '/^#/ { next } { v[$1] = $2 } /^acctflow_rejected_total/ { rejected += $2 }
		END { print v["acctflow_read_total"] "|" v["acctflow_indexed_total"] "|" \
			v["acctflow_ignored_total{reason=\"stale\"}"] "|" v["acctflow_ignored_total{reason=\"duplicate\"}"] "|" \
			v["acctflow_ignored_total{reason=\"conflict\"}"] "|" v["acctflow_ignored_total{reason=\"skipped\"}"] "|" rejected "|" v["acctflow_fired_total"] "|" \
			v["acctflow_cancelled_total"] "|" v["acctflow_pending_callbacks"] }' <<<"$page")
	echo "metrics: $is, sql: $want"
	[[ $is == "$want" ]]
}

@test "options: errors are named, none is an end, a port is a port" {
	ok statusd --help
	has --most-lag
	fails 100 statusd --listen nowhere.invalid:x
	err_has 'not a port to listen on'
	for port in 99999 65536 70000 -1 ''; do
		fails 100 statusd --listen "127.0.0.1:$port"
		err_has 'expected 0 to 65535'
	done
	fails 100 statusd extra
	err_has 'unexpected argument'
	fails 100 statusd --writer /nowhere --listen 256.0.0.1:80
	ok statusd --listen none
	fails 100 statusd --most-lag soon
}

@test "a port in use is an error" {
	serve
	fails 100 statusd --listen "127.0.0.1:$port"
	err_has 'Address already in use'
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
	json_is "concat_ws(' ', j->>'ready', j->>'running', jsonb_array_length(j->'pipelines'))" 'true false 0'
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

@test "the page's files are sent compressed, and not again while they are the same" {
	serve
	local url=http://127.0.0.1:$port/dygraph.min.js tag
	command -v curl >/dev/null || skip 'no curl'
	curl -fsS --noproxy '*' -D head -H 'Accept-Encoding: gzip' -o compressed "$url"
	grep -qi '^Content-Encoding: gzip' head
	(($(wc -c <compressed) < 60000))
	curl -fsS --noproxy '*' -o plain "$url"
	gzip -dc <compressed | cmp - plain
	tag=$(sed -n 's/^ETag: \(.*\)\r$/\1/ip' head)
	same "$(curl -sS --noproxy '*' -o body -w '%{http_code}' -H "If-None-Match: $tag" "$url")" 304
	same "$(curl -sS --noproxy '*' -o body -w '%{http_code}' -H 'If-None-Match: "x"' "$url")" 200
	rm -f head compressed plain body
}

@test "pipelines that come and go are seen, each by source and shard; hostile text stays text" {
	database
	local id='<script>alert(1)</script>\u0001\"' i name
	mkfifo "$BATS_TEST_TMPDIR/more"
	exec {hold}<>"$BATS_TEST_TMPDIR/more"
	for i in 1 2 3; do update "$id" $i 1; done >&"$hold"
	echo '{"id":"<img src=x>"}' >&"$hold"
	update other 1 3600000 >"$BATS_TEST_TMPDIR/in"
	ok writer migrate
	serve
	json_is "jsonb_array_length(j->'pipelines')" 0
	chain_start 0 'live "x"' 0/2 -a none - <"$BATS_TEST_TMPDIR/more"
	local label='source="live \"x\"",shard="0/2"'
	retry 200 metric_is 'rejected_total{reason="accountType"}' 1
	fired() { (($(metric fired_total) >= 1)); }
	retry 900 fired
	for name in reader writer timerd ack; do retry 100 metric_is "up{$label,program=\"$name\"}" 1; done
	retry 100 metric_is "lag_records{$label}" 0
	(($(metric "callback_lateness_seconds_count{$label}") >= 1))
	(($(metric "batches_total{$label}") == $(metric "commit_seconds_count{$label}")))
	(($(metric disk_free_bytes) > 0))
	retry 100 json_is "concat_ws(' ', jsonb_array_length(j->'rejects'), j->'rejects'->0->>'raw', j->'rejects'->0->>'count',
		j->'richest'->0->>'id' = e'<script>alert(1)</script>\\x01\"', j->'totals'->>'read')" '1 {"id":"<img src=x>"} 1 t 4'
	chain_start 1 other 1/2 -a none "$BATS_TEST_TMPDIR/in"
	retry 200 json_is "jsonb_array_length(j->'pipelines')" 2
	retry 100 metric_is 'up{source="other",shard="1/2",program="timerd"}' 1
	retry 100 check_has 'other 1/2: timerd['
	retry 100 metric_is pending_callbacks 1
	rm -r "$ACCTFLOW_HOME/run/pipelines/1"
	retry 100 json_is "jsonb_array_length(j->'pipelines')" 1
	exec {hold}>&-
}

@test "a program that stands still is seen by all that ask, with one answer, and so is that it goes on" {
	database
	mkfifo "$BATS_TEST_TMPDIR/more"
	exec {hold}<>"$BATS_TEST_TMPDIR/more"
	ok writer migrate
	serve
	chain_start 0 live 0/1 -a none - <"$BATS_TEST_TMPDIR/more"
	local name nth=1
	update a 1 1 >&"$hold"
	for name in reader writer timerd ack; do
		retry 200 metric_is "up{source=\"live\",shard=\"0/1\",program=\"$name\"}" 1
		nth=$((nth + 1))
		stopped=$(cut -d ' ' -f "$nth" <<<"$chain")
		kill -STOP "$stopped"
		retry 200 stalled "${name}[$stopped] has been stalled for "
		retry 20 is 503 /readyz
		check_has "${name}[$stopped]: stalled for "
		kill -CONT "$stopped"
		retry 100 is 200 /healthz
		retry 100 check_has "${name}[$stopped]: running"
	done
	stopped=''
	exec {hold}>&-
	chain_end
	check_has 'no run is on'
}

@test "records of another shard are no lag" {
	local i shard other input=$BATS_TEST_TMPDIR/in
	database
	for i in {1..20}; do update "ID$i" 1 0; done >"$input"
	# All that follows is of one shard.
	shard=$(reader --arrival none --shard 0/2 "$input" 2>/dev/null | grep -c '"id":"ID1",' || :)
	shard=$((1 - shard)) other=$((shard == 0))
	run_start --follow --arrival none --source live --shards 2 "$input"
	retry 200 metric_is 'read_total' 20
	for i in {2..60}; do update ID1 "$i" 0; done >>"$input"
	retry 200 metric_is 'read_total' 79
	retry 100 metric_is "lag_records{source=\"live\",shard=\"$other/2\"}" 0
	retry 100 metric_is "lag_records{source=\"live\",shard=\"$shard/2\"}" 0
	[[ $(sql "SELECT committed_offset < 20 FROM acctflow.source_shards WHERE shard = $other") == t ]]
	kill -TERM "$started"
	run_end 0
}

@test "lag has the same age for whoever has only just begun to look" {
	database
	ok writer migrate
	mkfifo "$BATS_TEST_TMPDIR/more"
	exec {hold}<>"$BATS_TEST_TMPDIR/more"
	chain_start 0 live 0/1 -a none - <"$BATS_TEST_TMPDIR/more"
	update a 1 1 >&"$hold"
	serve
	retry 200 metric_is 'lag_records{source="live",shard="0/1"}' 0
	stopped=$(cut -d ' ' -f 3 <<<"$chain")
	kill -STOP "$stopped"
	update b 1 1 >&"$hold"
	old() { (($(metric 'lag_seconds{source="live",shard="0/1"}' | cut -d . -f 1) >= 8)); }
	retry 300 old
	run --separate-stderr statusd --show status --home "$ACCTFLOW_HOME"
	[[ $output =~ 'lag 1 records, '([0-9]+)' s' ]] && ((BASH_REMATCH[1] >= 8))
	kill -CONT "$stopped"
	retry 100 metric_is 'lag_records{source="live",shard="0/1"}' 0
	stopped=''
}

@test "time left and rate do not count what was skipped" {
	database
	ok writer migrate
	local i
	for i in {1..2000}; do update "ID$i" 1 1; done >"$BATS_TEST_TMPDIR/in"
	serve
	# Twenty records per second, of which 1,000 are skipped: fifty seconds and more are left.
	chain_start 0 resumed 0/1 -a gap --delay-ms 50:50 --from 1000 "$BATS_TEST_TMPDIR/in"
	left() { (($(json "trunc((j->'progress'->>'left')::numeric)") >= 0)); }
	retry 200 left
	(($(json "trunc((j->'progress'->>'left')::numeric)") >= 30))
	(($(json "trunc((j->'progress'->>'rate')::numeric)") <= 25))
	run --separate-stderr statusd --show status --home "$ACCTFLOW_HOME"
	has 's left'
	# Without it timeout sends SIGCONT behind the signal, which may stop the leak sanitizer for ever.
	run --separate-stderr timeout --foreground -s INT 8 statusd --show progress --home "$ACCTFLOW_HOME"
	has '% read, '
	same "$stderr" ''
}

# watched NAME: a program of pipeline 0 that only keeps its metrics file; its input is descriptor $NAME, without a dash.
watched() {
	local -n input=${1/-/_}
	mkfifo "$BATS_TEST_TMPDIR/$1"
	ACCTFLOW_METRICS=$ACCTFLOW_HOME/run/pipelines/0 "$metrics" "$1" <"$BATS_TEST_TMPDIR/$1" 3>&- {hold}>&- &
	chain+=" $!"
	exec {input}>"$BATS_TEST_TMPDIR/$1"
}

# lag_is RECORDS SECONDS: whether that is the lag now, give or take what a slow machine needs.
lag_is() {
	local records seconds
	records=$(metric "lag_records{$label}") seconds=$(metric "lag_seconds{$label}")
	[[ $records == "$1" ]] && ((${seconds%.*} >= $2 && ${seconds%.*} < $2 + 60))
}

@test "kafka-reader: what is still in the partition is lag, and no broker is a reason; others show nothing of it" {
	database
	ok writer migrate
	local metrics kafka_reader reader writer label='source="kafka:k/t/3",shard="0/1"'
	metrics=$(cd "$root" && realpath "${BUILD:-build}/unit/metrics")
	mkdir -p "$ACCTFLOW_HOME/run/pipelines/0"
	echo 'kafka:k/t/3 0/1' >"$ACCTFLOW_HOME/run/pipelines/0/name"
	serve
	retry 100 is 200 /readyz
	watched writer
	watched reader
	retry 100 lag_is 0 0
	get /metrics
	[[ $page != *kafka-reader* ]]
	get /api/status
	[[ $page != *kafka-reader* ]]
	check_has 'writer['
	hasnt kafka-reader
	json_is "jsonb_path_query_array(j, '\$.pipelines[0].programs[*].name')" '["reader", "writer", "timerd", "ack"]'

	# A partition whose first offset is not 0, nothing in it.
	watched kafka-reader
	printf '%s\n' 'begun 1000' 'emitted 1000' >&"$kafka_reader"
	retry 100 metric_is "up{$label,program=\"kafka-reader\"}" 1
	retry 100 lag_is 0 0
	json_is "jsonb_path_query_array(j, '\$.pipelines[0].programs[*].name')" '["kafka-reader", "reader", "writer", "timerd", "ack"]'
	# One is on its way, and waits since kafka-reader emitted it.
	echo 'emitted 1001' >&"$kafka_reader"
	retry 200 lag_is 1 3
	# Ten are on their way, 1,234 in the partition, and those have waited longer.
	printf '%s\n' 'emitted 1010' 'behind 1234' 'stamp now-300' >&"$kafka_reader"
	retry 100 lag_is 1244 300
	check_has 'not ready: the database is 3'
	[[ ${lines[0]} == 'kafka-reader['*']: running, 1,234 messages behind' && $output == *'lag 1,244 records, 5 min'* ]]
	json_is "j->'pipelines'->0->'programs'->0->>'behind'" 1234
	# A lag is known also without reader; a time to come is no age.
	kill "$(cut -d ' ' -f 3 <<<"$chain")"
	retry 100 metric_is "up{$label,program=\"reader\"}" 0
	echo 'committed 1004' >&"$writer"
	retry 100 lag_is 1240 300
	echo 'committed 1010' >&"$writer"
	echo 'stamp now+900' >&"$kafka_reader"
	retry 100 lag_is 1234 0
	# With none left in the partition the time of the last one says nothing.
	printf '%s\n' 'behind 0' 'stamp now-500' >&"$kafka_reader"
	retry 100 lag_is 0 0
	retry 100 is 200 /readyz
	echo 'retrying now-20' >&"$kafka_reader"
	retry 100 is 503 /readyz
	[[ $page == 'no Kafka broker has answered for '*' s' ]]
	check_has 'not ready: no Kafka broker has answered for '
	echo 'retrying 0' >&"$kafka_reader"
	retry 100 is 200 /readyz
	exec {kafka_reader}>&- {reader}>&- {writer}>&-
	retry 100 check_has 'no run is on'
	[[ ${lines[0]} == 'kafka-reader: stopped' ]]
}

@test "tracer: one more program where there is one, with what it exported and dropped" {
	database
	ok writer migrate
	local label='source="s",shard="0/1"' events=$BATS_TEST_TMPDIR/events
	mkdir -p "$ACCTFLOW_HOME/run/pipelines/0"
	echo 's 0/1' >"$ACCTFLOW_HOME/run/pipelines/0/name"
	mkfifo "$events"
	serve
	retry 100 is 200 /readyz
	retry 100 json_is "jsonb_path_query_array(j, '\$.pipelines[0].programs[*].name')" '["reader", "writer", "timerd", "ack"]'
	get /metrics
	[[ $page != *'{'*tracer* ]]
	ACCTFLOW_METRICS=$ACCTFLOW_HOME/run/pipelines/0 tracer --to http://127.0.0.1:9 --queue 1 <"$events" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- {hold}>&- &
	chain=$!
	exec {hold}>"$events"
	echo '{"event":"ignored","source":"s","offset":1,"id":"A","version":1,"ingestedAt":"2026-01-01T00:00:00Z","trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}' >&"$hold"
	retry 100 metric_is "trace_spans_dropped_total{$label,reason=\"queue_full\"}" 3
	retry 100 metric_is "trace_spans_exported_total{$label}" 0
	retry 100 metric_is "up{$label,program=\"tracer\"}" 1
	retry 100 json_is "jsonb_path_query_array(j, '\$.pipelines[0].programs[*].name')" '["reader", "writer", "timerd", "tracer", "ack"]'
	json_is "concat_ws(' ', j->'pipelines'->0->'programs'->3->>'exported', j->'pipelines'->0->'programs'->3->>'dropped')" '0 3'
	retry 100 check_has 'tracer['
	[[ $output == *': running, 0 spans exported, 3 dropped'* ]]
	stopped=$chain
	kill -STOP "$chain"
	retry 100 stalled "tracer[$chain] has been stalled for "
	kill -CONT "$chain"
	stopped=''
	retry 100 is 200 /healthz
}

@test "reasons: the disk, retries in a row, overdue callbacks with and without a run" {
	database
	ok writer migrate
	serve --least-disk 1000000000
	retry 100 is 503 /readyz
	retry 50 is 503 /readyz
	[[ $page == *'the disk of the state folder is nearly full'* ]]
	kill -TERM "$statusd"
	retry 100 gone "$statusd"
	serve
	retry 100 is 200 /readyz
	mkfifo "$BATS_TEST_TMPDIR/more"
	exec {hold}<>"$BATS_TEST_TMPDIR/more"
	chain_start 0 live 0/1 -a none - <"$BATS_TEST_TMPDIR/more"
	update a 1 1 >&"$hold"
	retry 200 metric_is fired_total 1
	sql "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE serialization_failure; END \$\$;
		CREATE TRIGGER again BEFORE INSERT ON acctflow.history EXECUTE FUNCTION again()"
	update b 1 1 >&"$hold"
	retry 600 is 503 /readyz
	[[ $page == *'writer has been retrying for '* ]]
	check_has 'not ready: writer has been retrying for '
	sql "DROP FUNCTION again CASCADE"
	retry 600 is 200 /readyz
	# Nothing runs any more, and one callback falls due.
	kill -STOP "$(cut -d ' ' -f 4 <<<"$chain")"
	update c 1 2000 >&"$hold"
	retry 200 metric_is pending_callbacks 1
	local pid
	for pid in $chain; do kill -KILL "$pid" || :; done
	chain=''
	retry 300 is 503 /readyz
	[[ $page == 'no run is on, and '*' overdue'* ]]
	check_has 'not ready: no run is on, and '
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
	check_has 'not ready: the database does not answer'
	retry 20 is 200 /healthz
	metric_is read_total 0
	ok "$supervisor" postgres
	retry 200 is 200 /readyz
}

@test "settings are handed on to writer" {
	database
	ok writer migrate
	local conninfo="host=$PGHOST port=$PGPORT user=$PGUSER dbname=$PGDATABASE"
	printf 'database: "%s"\n' "$conninfo" >"$BATS_TEST_TMPDIR/config.yaml"
	PGHOST=/nowhere ok env -u PGDATABASE statusd --check --home "$ACCTFLOW_HOME" --db "$conninfo"
	has ready
	ok env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE -u ACCTFLOW_CONFIG statusd --check --home "$ACCTFLOW_HOME" -c "$BATS_TEST_TMPDIR/config.yaml"
	has ready
}

@test "writer status that dies ends statusd, and ends with it" {
	database
	ok writer migrate
	serve
	retry 100 is 200 /readyz
	local pid result=0
	pid=$(pgrep -P "$statusd")
	kill -KILL "$pid"
	wait "$statusd" || result=$?
	same "$result" 111
	serve
	retry 100 is 200 /readyz
	pid=$(pgrep -P "$statusd")
	kill -KILL "$statusd"
	retry 100 gone "$pid"
}

@test "a watch ends by q and by ^C, which nobody takes for a stop of the run" {
	database
	ok writer migrate
	command -v script >/dev/null || skip 'no script'
	# shellcheck disable=SC2016 # for the shell within
	ok bash -c '(for i in {1..60}; do sleep 1 && printf q; done) | timeout 50 script -qec "statusd --show watch --home $1" /dev/null' _ "$ACCTFLOW_HOME"
	has 'no run is on'
	run --separate-stderr timeout --foreground -s INT 5 statusd --show watch --home "$ACCTFLOW_HOME"
	same "$stderr" ''
}

@test "a page that is open hears how the run ended" {
	database
	ok writer migrate
	# A page asks each second; a machine that is too slow for that now is tried again.
	hears() {
		serve
		get /api/status
		[[ $page == *'"ending":false'* ]] || return 1
		kill -TERM "$statusd"
		get /api/status
		retry 100 gone "$statusd"
		[[ $page == *'"ending":true'* ]]
	}
	retry 5 hears
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

@test "at rest the metrics equal what SQL counts, also after kill -9 of whatever runs" {
	database
	local kills=0 name pid
	"$bin/generate" --updates "${STATUSD_UPDATES:-20000}" --accounts 2000 --callback-ms 0:3000 --lines >"$BATS_TEST_TMPDIR/in"
	# The input stays open, so that there is a run to be struck however slow this machine is.
	mkfifo "$BATS_TEST_TMPDIR/more"
	exec {hold}<>"$BATS_TEST_TMPDIR/more"
	run_start --arrival none - <"$BATS_TEST_TMPDIR/more"
	cat "$BATS_TEST_TMPDIR/in" >&"$hold" &
	clients+=" $!"
	while ((kills < ${STATUSD_KILLS:-8})); do
		for name in reader writer timerd ack; do
			retry 600 child_is_there "$name"
			pid=$(child "$name")
			kill -KILL "$pid" 2>/dev/null || continue
			kills=$((kills + 1))
			retry 600 gone "$pid"
		done
	done
	exec {hold}>&-
	run_end 0
	echo '{"event":"ignored","source":"by hand","offset":0,"reason":"skipped"}' | writer >/dev/null
	serve
	retry 600 metrics_equal_sql
	[[ $page == *'acctflow_ignored_total{reason="skipped"} 1'* ]]
	# As many restarts as the supervisor listed: some kills hit a program that was ending already.
	get /metrics
	same "$(awk '/^acctflow_restarts_total/ { n += $NF } END { print n + 0 }' <<<"$page")" "$(wc -l <"$ACCTFLOW_HOME/run/restarts")"
	[[ $page == *'",cause="signal 9"} '* ]]
}

@test "logs: what repeats is counted" {
	yes '{"event":"indexed","id":"a"}' | head -n 1225 >"$BATS_TEST_TMPDIR/in"
	ok bash -c 'timerd <"$1" >/dev/null' _ "$BATS_TEST_TMPDIR/in"
	same "$(wc -l <<<"$stderr")" 21
	err_has '… and 1,205 more, the last: line 1225: '
	ok bash -c 'timerd -l debug <"$1" >/dev/null' _ "$BATS_TEST_TMPDIR/in"
	same "$(grep -c ' warn ' <<<"$stderr")" 1225
}

@test "a reader that begins far behind the first record, and has emitted none, is not behind" {
	database
	ok writer migrate
	local metrics writer label='source="late",shard="0/1"'
	metrics=$(cd "$root" && realpath "${BUILD:-build}/unit/metrics")
	mkdir -p "$ACCTFLOW_HOME/run/pipelines/0"
	echo 'late 0/1' >"$ACCTFLOW_HOME/run/pipelines/0/name"
	serve
	watched writer
	echo '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":null,"version":1}' >in
	ACCTFLOW_METRICS=$ACCTFLOW_HOME/run/pipelines/0 reader --follow --from 1000 --arrival none in >/dev/null 2>&1 3>&- {hold}>&- {writer}>&- &
	chain+=" $!"
	retry 100 metric_is "up{$label,program=\"reader\"}" 1
	retry 100 lag_is 0 0
	exec {writer}>&-
}
