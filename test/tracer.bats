#!/usr/bin/env bats
# tracer by itself, and in a run: what passes, which spans a collector gets, and what a bad one costs.
# shellcheck disable=SC2154,SC2164,SC2016,SC2034 # helper sets bin, root, supervisor; a cd that fails ends the test
load helper
load http

build=$(cd "$root" && realpath -m "${BUILD:-build}")
OTLP='@opentelemetry/otlp-transformer@0.57.2' PROTOBUF=protobufjs@7.4.0

setup() {
	cd "$BATS_TEST_TMPDIR"
	unset ACCTFLOW_TO ACCTFLOW_TRACE_TO "${!ACCTFLOW_EX@}" ACCTFLOW_WORKER ACCTFLOW_POST
	export ACCTFLOW_LISTEN=127.0.0.1:0 RECEIVER_BODIES=$PWD/bodies ACCTFLOW_METRICS=$ACCTFLOW_HOME/run/pipelines/0
	mkdir -p "$ACCTFLOW_METRICS"
	echo 's 0/1' >"$ACCTFLOW_METRICS/name"
	started=''
}

teardown() {
	local pid
	for pid in $started; do kill -9 "$pid" 2>/dev/null || :; done
	database_drop
}

# collect [FAIL HANG STATUS]: starts a collector; url is its.
collect() {
	rm -f "$BATS_TEST_TMPDIR/port"
	"$build/receiver" "${port:-0}" "$BATS_TEST_TMPDIR/requests" "$@" >port 3>&- &
	collector=$!
	started+=" $!"
	retry 50 test -s port
	port=$(<port)
	url=http://127.0.0.1:$port/
}

# trace N: a sampled trace from outside. event NAME N MEMBERS: an event of update N, in trace N.
trace() { printf '00-%032x-00000000000000ff-01' "$((0xabc000 + $1))"; }
event() {
	printf '{"event":"%s","source":"s","offset":%d,"id":"A%d","version":%d,"trace":"%s"%s}\n' "$1" "$2" "$2" "$2" "$(trace "$2")" "${3:+,$3}"
}
at() { printf '"%s":"2026-01-01T00:00:%09.6fZ"' "$1" "$2"; }
# committed: members of an update that says all about its commit.
committed() { printf '%s,%s,%s,%s,"batch":0' "$(at ingestedAt 1)" "$(at readAt 0.5)" "$(at commitAt 1.25)" "$(at committedAt 1.5)"; }

# spans EXPRESSION: that of each span that the collector took, by jq; a is its attributes.
spans() {
	jq -r ".resourceSpans[].scopeSpans[].spans[] |
		(.attributes | map({(.key): (.value.stringValue // .value.intValue // .value.boolValue)}) | add // {}) as \$a | $1" bodies
}
names() { spans .name | sort | paste -s -d ,; }
# judged EVENTS OUTPUT OPTION...: by the judge of the whole.
judged() { ok "$root/test/tracer/judge" "${@:3}" bodies "$1" && same "$output" "$2"; }

# counts N NAME [REASON]: whether /metrics says so of that counter.
counts() {
	local port=${served-}
	if [[ ! $port ]]; then
		rm -f "$ACCTFLOW_HOME/run/statusd.url"
		env -u ACCTFLOW_METRICS "$bin/statusd" --home "$ACCTFLOW_HOME" >/dev/null 2>statusd.err 3>&- &
		started+=" $!"
		retry 100 port_read
		served=$port
	fi
	get /metrics
	grep -qxF "acctflow_trace_spans_$2{source=\"s\",shard=\"0/1\"${3:+,reason=\"$3\"}} $1" <<<"$page"
}

# passes OPTION...: the events go through a tracer, byte for byte.
passes() {
	ok timeout -s KILL 60 "$bin/tracer" --to "$url" "$@" <events
	same "$output" "$(<events)"
}

# --- shapes

@test "tracer: an update has a trace of three spans, and its callback another, linked to it" {
	collect
	{
		event indexed 1 "\"tokens\":5,$(committed),$(at dueAt 2)"
		event indexed 2 "\"deleted\":true,\"dueAt\":null,$(committed)"
		event ignored 3 "\"reason\":\"stale\",\"currentVersion\":9,$(committed)"
		event fired 1 "$(at ingestedAt 1),$(at dueAt 2),$(at firedAt 2.1),\"latenessUs\":100000"
		event cancelled 4 "$(at ingestedAt 1),$(at dueAt 2),$(at cancelledAt 1.75),\"supersededBy\":5"
		event failed 5 "$(at ingestedAt 1),$(at dueAt 2),$(at firedAt 2),\"attempts\":2,\"error\":\"no\",\"attemptsAt\":[[\"2026-01-01T00:00:02Z\",\"2026-01-01T00:00:03Z\",\"again\"], [\"2026-01-01T00:00:04Z\",\"2026-01-01T00:00:05.5Z\",\"refused\"]]"
		event fired 6 "$(at ingestedAt 1),$(at dueAt 2),$(at firedAt 2),\"attemptsAt\":[[\"2026-01-01T00:00:02Z\",\"2026-01-01T00:00:03Z\",\"200\"]]"
	} >events
	passes
	judged events 'ok: 3 updates, 4 callbacks, 1 batches; 20 spans, 0 of them sent again'
	local s=1767225600 all
	all=$(spans 'select($a["acctflow.version"] == "1" or .name == "commit") | [.name, .kind, .startTimeUnixNano, .endTimeUnixNano] | join(" ")' | sort -u)
	same "$all" "$(printf '%s\n' "commit 3 $((s + 1))250000000 $((s + 1))500000000" "fire 4 $((s + 2))000000000 $((s + 2))100000000" \
		"read 3 $((s + 0))500000000 $((s + 1))000000000" "scheduled 1 $((s + 1))000000000 $((s + 2))000000000")"
	same "$(spans 'select(.name == "deliver") | [$a["acctflow.attempt"], $a["acctflow.outcome"], $a["error.type"], .status.code, .startTimeUnixNano[8:10]] | join(" ")' | sort)" \
		"$(printf '%s\n' '1 200   02' '1 again again 2 02' '2 refused refused 2 04')"
	same "$(spans 'select(.name == "read") | $a["acctflow.verdict"]' | sort | paste -s -d ,)" indexed,indexed,stale
	same "$(spans 'select(.name == "scheduled" and $a["acctflow.outcome"] == "cancelled") | [$a["acctflow.superseded_by"], .links[0].spanId, .endTimeUnixNano[9:]] | join(" ")')" '5 00000000000000ff 1750000000'
	same "$(spans 'select(.name == "fire" and .status.code == 2) | $a["acctflow.version"]')" 5
	# The conventions' attributes, and of which program it is; an account is named only with --ids.
	same "$(spans 'select(.name == "read" and $a["acctflow.version"] == "1") | $a | [.["messaging.system"], .["messaging.destination.name"], .["messaging.message.id"], .["messaging.operation.type"], .["messaging.operation.name"]] | join(" ")')" 'acctflow s 1 receive read'
	same "$(spans 'select(.name == "commit") | $a["db.system.name"]' | sort -u)" postgresql
	same "$(jq -r '[.resourceSpans[0].resource.attributes[] | .key, .value.stringValue] | join(" ")' bodies)" \
		"service.name acctflow service.version $("$bin/tracer" --version | sed 's/.* //')"
	run ! grep -q A1 bodies
	rm bodies && kill "$collector" && sleep 0 && collect
	passes --ids
	same "$(spans 'select($a["acctflow.version"] == "1") | $a["acctflow.account.id"]' | sort -u)" A1
}

@test "tracer: a partition of Kafka has the names of its conventions" {
	collect
	event ignored 7 "\"reason\":\"stale\",$(committed)" | sed 's|"source":"s"|"source":"kafka:orders/accounts.v1/12"|' >events
	passes
	same "$(spans 'select(.name == "read") | $a | [.["messaging.system"], .["messaging.destination.name"], .["messaging.destination.partition.id"], .["messaging.kafka.offset"], .["messaging.message.id"]] | join(" ")')" \
		'kafka accounts.v1 12 7 7'
}

@test "tracer: where only the last of many attempts are known, they keep their numbers" {
	collect
	event failed 1 "$(at dueAt 2),$(at firedAt 2),\"attempts\":40,\"error\":\"no\",\"attemptsAt\":[[\"2026-01-01T00:00:02Z\",\"2026-01-01T00:00:03Z\",\"again\"],[\"2026-01-01T00:00:04Z\",\"2026-01-01T00:00:05Z\",\"again\"]]" >events
	passes
	same "$(spans 'select(.name == "deliver") | $a["acctflow.attempt"]')" $'39\n40'
	judged events 'ok: 0 updates, 1 callbacks, 0 batches; 4 spans, 0 of them sent again'
}

@test "tracer: a trace that reader made begins with read; where it came from outside, read is below what it names" {
	collect
	event indexed 1 "$(committed)" >events
	sed 's/"trace":"[^"]*"/"trace":"00-11112222333344445555666677778888-5555666677778888-01"/' events >>events
	passes
	same "$(spans 'select(.name == "read") | [.traceId, .parentSpanId // "root"] | join(" ")')" \
		"$(printf '%s\n' "$(trace 1 | cut -c4-35) 00000000000000ff" '11112222333344445555666677778888 root')"
	same "$(spans 'select(.traceId[:4] == "1111" and .name == "read") | .spanId')" 5555666677778888
	judged events 'ok: 2 updates, 0 callbacks, 1 batches; 7 spans, 0 of them sent again'
}

@test "tracer: what is emitted again makes the same spans, also where less is known of it; whoever has its queue does not repeat them" {
	local first
	collect
	event indexed 1 "$(committed)" >events
	event cancelled 1 "$(at ingestedAt 1),$(at dueAt 2),$(at cancelledAt 1.75),\"supersededBy\":2" >>events
	passes
	first=$(spans 'select(.name != "batch") | .spanId')
	event indexed 1 "$(at ingestedAt 1),\"replayed\":true" >events
	event cancelled 1 "$(at dueAt 2),$(at cancelledAt 3),\"supersededBy\":2,\"replayed\":true" >>events
	passes
	same "$(spans 'select(.name != "batch") | .spanId')" "$first"$'\n'"$first"
	judged events 'ok: 1 updates, 1 callbacks, 1 batches; 5 spans, 4 of them sent again' --apart
	# One process does not repeat them, and neither does one that has the queue of another.
	rm bodies && kill "$collector" && collect
	{ event indexed 3 "$(committed)" && event cancelled 2 "$(at dueAt 2),$(at cancelledAt 3),\"supersededBy\":3"; } >events
	{ sed 's/}$/,"replayed":true}/' events && event indexed 4 "$(at ingestedAt 1),\"replayed\":true"; } >again
	cat again >>events
	passes --keep kept
	cp again events
	passes --keep kept
	same "$(names)" 'batch,commit,commit,read,read,scheduled,wait for commit,wait for commit'
	same "$(spans 'select(.name == "read") | .traceId[-1:]' | paste -s -d ,)" 3,4
}

@test "tracer: updates that are not sampled, and whose traces are none, cost no span and no request" {
	collect
	local parent
	for parent in 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02 \
		00-00000000000000000000000000000000-b7ad6b7169203331-01 00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01 \
		00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01 ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 \
		00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0 01 '' \
		00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01 00-0af7651916cd43dd8448eb211c8\\u003319c-b7ad6b7169203331-01; do
		event indexed 1 "$(committed)" | sed "s/\"trace\":\"[^\"]*\"/\"trace\":\"$parent\"/"
	done >events
	event indexed 1 "$(committed)" | sed 's/,"trace":"[^"]*"//' >>events
	# A traceparent in the data is none of the update's.
	printf '{"event":"indexed","id":"A","data":{"trace":"%s"},%s}\n' "$(trace 1)" "$(committed)" >>events
	passes
	[[ ! -s requests ]]
}

@test "tracer: hostile text stays text, and hostile times and numbers leave a span whole" {
	collect
	printf '%s\n' '{"event":"indexed","source":"\"},{\\\"\u001b[31m\u202e\u00e9","offset":1,"id":"\"}]}\u0007\\","version":9223372036854775807,"trace":"'"$(trace 1)"'",'"$(committed)"'}' \
		'{"event":"indexed","source":{"a":[1]},"offset":"x","id":7,"version":1.5,"trace":"'"$(trace 2)"'","ingestedAt":"9999-12-31T23:59:59Z","readAt":"0001-01-01T00:00:00Z","commitAt":7,"batch":[]}' \
		'{"event":"failed","source":"s","offset":3,"id":"A","version":3,"trace":"'"$(trace 3)"'","dueAt":"2026-01-01T00:00:02Z","firedAt":"2026-01-01T00:00:01Z","latenessUs":-1000000,"attemptsAt":[7,[],["x"],["2026-01-01T00:00:02Z","2026-01-01T00:00:01Z","\"},{"],["2026-01-01T00:00:02Z","2026-01-01T00:00:01Z",null],{"a":1}]}' \
		'{"event":"fired","trace":"'"$(trace 4)"'","attemptsAt":5}' '{"event":"indexed","trace":"'"$(trace 5)"'"' 'not json "trace":"'"$(trace 6)"'"' >events
	passes --ids
	same "$(names)" 'batch,batch,commit,commit,deliver,fire,read,read,scheduled,wait for commit,wait for commit'
	spans 'select((.endTimeUnixNano | tonumber) < (.startTimeUnixNano | tonumber)) | error("ends before it starts")'
	same "$(spans 'select(.traceId[-1:] == "1" and .name == "read") | $a["acctflow.version"], $a["acctflow.account.id"]')" "$(printf '9223372036854775807\n"}]}\a\\')"
	same "$(spans 'select(.name == "deliver") | $a["error.type"]')" '"},{'
	run ! grep -q $'\e' bodies
}

@test "tracer: requests are what the proto of OTLP says" {
	command -v node >/dev/null && command -v npm >/dev/null || skip 'node and npm are not installed'
	local modules=${TRACER_MODULES:-$PWD}
	[[ -e $modules/node_modules/protobufjs ]] || timeout -k 5 120 npm install --prefix "$modules" --no-save --no-audit --no-fund \
		--ignore-scripts --legacy-peer-deps --loglevel=error "$OTLP" "$PROTOBUF" >npm 2>&1 3>&- || skip "$OTLP could not be fetched: $(tail -n 1 npm)"
	collect
	event indexed 1 "$(committed),$(at dueAt 2)" >events
	event failed 1 "$(at dueAt 2),$(at firedAt 2),\"latenessUs\":0,\"recovered\":true,\"attemptsAt\":[[\"2026-01-01T00:00:02Z\",\"2026-01-01T00:00:03Z\",\"again\"]]" >>events
	printf '%s\n' '{"event":"indexed","source":"\"},{\\\"\u001b\u202e","offset":1,"id":"\"}]}\u0007\\","version":9223372036854775807,"trace":"'"$(trace 2)"'","ingestedAt":"9999-12-31T23:59:59Z","readAt":"0001-01-01T00:00:00Z"}' >>events
	passes --ids
	ok node "$root/test/tracer/proto.cjs" "$modules" bodies
	same "$output" '10 spans'
	# It notices what is wrong.
	for wrong in 's/"kind":/"sort":/' 's/"kind":4/"kind":"x"/' 's/"spanId":"../"spanId":"/' 's/"intValue":"1"/"intValue":true/' 's/"code":2/"code":9/'; do
		sed "$wrong" bodies >broken
		run ! cmp -s bodies broken
		run node "$root/test/tracer/proto.cjs" "$modules" broken
		echo "$wrong: $output"
		[[ $status == 1 ]]
	done
}

# --- off the data's way

@test "tracer: a line passes at once, though the collector hangs; at the end its output closes first" {
	collect 0 100
	mkfifo in out
	"$bin/tracer" --to "$url" <in >out 2>err 3>&- &
	tracer=$! started+=" $!"
	exec 8>in 9<out
	local line sent i
	for i in {1..40}; do
		sent=$(event indexed "$i" "$(committed)")
		printf '%s\n' "$sent" >&8
		IFS= read -r -t 30 line <&9
		same "$line" "$sent"
		((i != 20)) || retry 50 grep -q begin requests
	done
	exec 8>&-
	run cat <&9
	same "$output" ''
	exec 9>&-
	kill -0 "$tracer"
	kill "$tracer" && kill "$tracer"
	retry 50 gone "$tracer"
}

@test "tracer: a collector that is dead, slow or refuses costs spans, which are counted, and no line" {
	local i
	for i in {1..200}; do event indexed "$i" "$(at ingestedAt 1)"; done >events
	# Nobody listens.
	collect && kill "$collector"
	retry 50 gone "$collector"
	passes --queue 500
	err_has 'the collector cannot be reached: '
	err_has '498 spans were not exported'
	retry 50 counts 102 dropped_total queue_full
	counts 498 dropped_total ended
	# One that accepts, and never answers.
	collect 0 100
	passes
	err_has '600 spans were not exported'
	retry 50 counts 1098 dropped_total ended
	kill "$collector" && retry 50 gone "$collector"
	# One that does not want them, and one that always wants them later.
	collect 0 0 400
	passes
	err_has 'the collector answers with status 400: spans are dropped'
	retry 50 counts 600 dropped_total refused
	kill "$collector" && retry 50 gone "$collector"
	collect 0 0 503
	passes
	err_has 'the collector answers with status 503: trying again'
	retry 50 counts 1698 dropped_total ended
	counts 0 exported_total
	# One that takes a part of each request: 600 are two of them.
	kill "$collector" && retry 50 gone "$collector"
	export RECEIVER_ANSWER='{"partialSuccess": {"rejectedSpans": "7"}}'
	collect
	passes --keep partly
	retry 50 counts 614 dropped_total refused
	counts 586 exported_total
	unset RECEIVER_ANSWER
	rm bodies
	# All others together have cost nothing of what one that works gets, though it fails half of the time.
	kill "$collector" && retry 50 gone "$collector"
	collect 50
	passes --keep kept
	while [[ $stderr == *'were not exported'* ]]; do ok "$bin/tracer" --to "$url" --keep kept </dev/null; done
	retry 50 counts 1186 exported_total
	judged events 'ok: 200 updates, 0 callbacks, 0 batches; 600 spans, 0 of them sent again'
}

@test "tracer: its memory does not grow with what a collector does not take" {
	collect 0 100
	mkfifo in
	"$bin/tracer" --to "$url" --queue 1000 <in >out 2>err 3>&- &
	tracer=$! started+=" $!"
	exec 8>in
	event indexed 1 "$(at ingestedAt 1)" >line
	for _ in {1..2000}; do cat line; done >many
	timeout 30 cat many >&8
	retry 50 lines_are out 2000
	local before
	before=$(awk '/VmHWM/ { print $2 }' "/proc/$tracer/status")
	for _ in {1..40}; do timeout 30 cat many >&8; done
	retry 100 lines_are out 82000
	(($(awk '/VmHWM/ { print $2 }' "/proc/$tracer/status") < before + 2000))
	exec 8>&-
	kill "$tracer" && kill "$tracer" || :
}
lines_are() { (($(wc -l <"$1") == $2)); }

@test "tracer: spans that wait in a file outlive a kill, and another process exports them" {
	collect 0 100
	mkfifo in
	"$bin/tracer" --to "$url" --keep kept <in >out 2>err 3>&- &
	tracer=$! started+=" $!"
	exec 8>in
	for i in {1..20}; do event indexed "$i" "$(at ingestedAt 1)"; done >events
	cat events >&8
	retry 50 lines_are out 20
	retry 50 grep -q begin requests
	# Nobody else takes the file meanwhile.
	ok "$bin/tracer" --to "$url" --keep kept </dev/null
	err_has 'could not map "kept"'
	kill -9 "$tracer"
	exec 8>&-
	retry 50 gone "$tracer"
	kill "$collector" && retry 50 gone "$collector"
	collect
	# As if the kill had met it before it noted their keys.
	dd if=/dev/zero of=kept bs=32 seek=1 count=32768 conv=notrunc status=none
	ok "$bin/tracer" --to "$url" --keep kept </dev/null
	judged events 'ok: 20 updates, 0 callbacks, 0 batches; 60 spans, 0 of them sent again'
	passes --keep kept
	judged events 'ok: 20 updates, 0 callbacks, 0 batches; 60 spans, 0 of them sent again'
	# What was taken is there no more; what is no queue is none.
	: >bodies
	ok "$bin/tracer" --to "$url" --keep kept </dev/null
	[[ ! -s bodies ]]
	head -c 20000000 /dev/urandom >kept
	passes --keep kept
	judged events 'ok: 20 updates, 0 callbacks, 0 batches; 60 spans, 0 of them sent again'
}

@test "tracer: an URL that is none, and a missing one, are refused" {
	local wrong
	for wrong in ftp://127.0.0.1 127.0.0.1:4318 http:// 'http://a b' http://a:port; do
		fails 100 "$bin/tracer" --to "$wrong" </dev/null
		err_has 'expected an http:// or https:// URL'
	done
	# A run does not begin with one.
	fails 100 "$supervisor" run --trace-to 127.0.0.1:4318 "$root/data/scenario-2.json"
	err_has '--trace-to: expected an http:// or https:// URL, not "127.0.0.1:4318"'
	[[ ! -e $ACCTFLOW_HOME/postgres ]]
	fails 100 "$bin/tracer" </dev/null
	err_has '--to is wanted'
}

# --- in a run

@test "tracer: a pipeline finds its own queue, whichever others there are" {
	local name
	unset ACCTFLOW_METRICS
	database
	updates 1 30 | tee a >b
	collect && kill "$collector"
	retry 50 gone "$collector"
	ok "$supervisor" run --arrival none --trace-to "$url" a b
	# The second is the first now.
	updates 1 60 >b
	collect
	ok "$supervisor" run --arrival none --trace-to "$url" b
	same "$(spans 'select(.name == "read") | $a["messaging.destination.name"]' | uniq -c | awk '{ print $1, $2 }')" "60 $PWD/b"
	# Only a queue in which spans wait is kept.
	same "$(ls "$ACCTFLOW_HOME/trace" | wc -l)" 1
	for name in "$ACCTFLOW_HOME"/trace/*a-*; do ok "$bin/tracer" --to "$url" --keep "$name" </dev/null; done
	same "$(spans 'select(.name == "read") | $a["messaging.destination.name"]' | uniq -c | awk '{ print $1, $2 }')" "$(printf '%s\n' "60 $PWD/b" "30 $PWD/a")"
}

# follow KILLS ROLE...: a run of two shards, whose programs are killed, with a collector; its events are in the file log. Its
# input ends behind the last kill.
follow() {
	local kills=$1 i=0 n victim pids
	shift
	unset ACCTFLOW_METRICS
	database
	collect
	mkfifo input
	"$supervisor" run --arrival gap --delay-ms 0:10 --seed 1 --shards 2 --trace-to "$url" --source s - <input >log 2>err 3>&- &
	run=$! started+=" $!"
	exec 8>input
	feed 1 200
	while ((i < kills)) && ! gone "$run"; do
		victim=$(($# ? i % $# + 1 : 1))
		pids=$ACCTFLOW_HOME/run/pipelines/$((i % 2))/pids
		n=$(awk -v name="${!victim}" '$1 == name { print $2 }' "$pids" 2>/dev/null) || :
		if [[ $n ]] && grep -q tracer "$pids" && kill -9 "$n" 2>/dev/null; then
			((++i))
			feed $((i * 20 + 181)) $((i * 20 + 200))
			sleep 0.2
		fi
		sleep 0.05
	done
	feed $((i * 20 + 201)) 400
	exec 8>&-
	wait "$run" || { cat err && return 1; }
}

# feed FROM TO: those updates, if the run still is.
feed() { (updates "$@" >&8) 2>/dev/null || :; }

# updates FROM TO: as lines, each with a trace of its own, some of them stale or without a callback.
updates() {
	local i
	for ((i = $1; i <= $2; i++)); do
		printf '{"id":"A%d","accountType":"t","tokens":%d,"callbackTimeMs":%s,"version":%d,"trace":"%s"}\n' \
			$((i % 40)) "$i" "$((i % 7 ? i % 5 * 40 : 0))" $((i % 11 ? i : i - 60 > 0 ? i - 60 : i)) "$(trace "$i")"
	done
}

@test "tracer: a run exports what it emits, and each line is whole" {
	follow 0
	ok "$root/test/tracer/judge" bodies log
	has "ok: $(grep -c '^{"event":"i[^"]*",.*"trace":' log) updates,"
	(($(grep -c '^{"event":"indexed"' log) > 300))
	same "$(jq -s 'length' log)" "$(wc -l <log)"
}

@test "tracer: whoever is killed, each update has one trace of the right shape" {
	follow 8 tracer writer tracer ack tracer timerd
	ok "$root/test/tracer/judge" --lost 8 bodies log
	has "ok: $(grep '^{"event":"i[^"]*",.*"trace":' log | grep -o '"trace":"[^"]*"' | sort -u | wc -l) updates,"
	same "$(sql 'SELECT sum(delivered_offset - committed_offset) FROM acctflow.source_shards')" 0
}
