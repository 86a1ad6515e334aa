#!/usr/bin/env bats
# Traces: which updates begin one, who carries it, and what the programs add to the records of those that are sampled.
# shellcheck disable=SC2016,SC2030,SC2031,SC2094,SC2154,SC2164 # the receivers expand them; helper and bats set them; a cd that fails ends the test
load helper
load http
load writer

own=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331

setup() {
	cd "$BATS_TEST_TMPDIR"
	generate --updates 400 --accounts 90 --lines --seed 5 >in
}

# traced FILE: offset and traceparent of each record that has both.
traced() {
	sed -nE 's/.*"offset":([0-9]+),.*"trace":"([^"]*)".*/\1 \2/p' "$1"
}

@test "traces: one in N updates begins one, and without the option none does" {
	local n
	reader -a none --seed 7 --source s in >plain
	same "$(grep -c trace plain)" 0
	for n in 1 2 10 401; do
		reader -a none --seed 7 --source s --trace-sample 1/$n in >out
		# But for the traces not a byte changes.
		same "$(sed -E 's/,"trace":"[^"]*"//; s/,"readAt":"[^"]*"//; s/"startedAt.*//' out | cksum)" "$(sed 's/"startedAt.*//' plain | cksum)"
		traced out >"traced.$n"
		grep -vcE '^[0-9]+ 00-[0-9a-f]{32}-[0-9a-f]{16}-01$' "traced.$n" | grep -x 0
		grep -E '00-0{32}|-0{16}-' "traced.$n" && return 1
	done
	n=$(grep -c '^{"source"' plain)
	((n > 300))
	# Each update has one, and no two have an id in common.
	same "$(wc -l <traced.1)" "$n"
	same "$(cut -d - -f 2 traced.1 | sort -u | wc -l)" "$n"
	same "$(cut -d - -f 3 traced.1 | sort -u | wc -l)" "$n"
	# Near the share; one that is sampled more seldom is sampled with the same ids.
	(($(wc -l <traced.2) > 150 && $(wc -l <traced.2) < 250))
	(($(wc -l <traced.10) > 15 && $(wc -l <traced.10) < 80))
	same "$(sort traced.1 traced.10 | uniq -d | wc -l)" "$(wc -l <traced.10)"
}

@test "traces: what is read again begins the same ones, from any offset, by any shard" {
	local arrival shard other options
	for arrival in gap offset; do
		options=(--clock virtual --seed 7 --source s --arrival "$arrival" --trace-sample 1/3)
		reader "${options[@]}" in >whole
		traced whole >want
		(($(wc -l <want) > 60))
		reader "${options[@]}" in | cmp - whole
		reader "${options[@]}" --from 133 in | grep '"offset":' | cmp - <(grep '"offset":' whole | tail -n +134)
		for shard in 0 1 2; do reader "${options[@]}" --shard $shard/3 in; done >shards
		same "$(traced shards | sort -n)" "$(cat want)"
	done
	# Another seed, another source: others.
	for other in '8 s' '7 t'; do
		reader --clock virtual --seed "${other% *}" --source "${other#* }" --arrival none --trace-sample 1/1 in >out
		same "$(traced out | cut -d ' ' -f 2 | cat - <(cut -d ' ' -f 2 want) | sort | uniq -d)" ''
	done
}

@test "traces: an update that brings one keeps it" {
	local trace
	for trace in $own-00 $own-01 anything; do
		reader -a none --source s --trace-sample 1/1 - >out <<<"{\"id\":\"a\",\"accountType\":\"t\",\"tokens\":1,\"callbackTimeMs\":5,\"version\":2,\"trace\":\"$trace\"}"
		same "$(traced out)" "0 $trace"
	done
	for n in 0 1 2/3 1/0 1/ 1/x -1/2 1/18446744073709551616; do
		fails 100 reader --trace-sample "$n" in
		err_has "--trace-sample: expected 1/N, N a whole number above 0, not \"$n\""
	done
}

@test "traces: a run samples as it is told, and one that goes on makes the same" {
	database
	ok "$supervisor" run --clock virtual --seed 3 --source a --count 150 --trace-sample 1/2 in
	ok "$supervisor" run --source a --trace-sample 1/2 in
	ok "$supervisor" run --clock virtual --seed 3 --source b in
	same "$(sql "SELECT count(*) FROM acctflow.account_updates WHERE trace IS NOT NULL AND source = 'b'")" 0
	reader --clock virtual --seed 3 --source a --trace-sample 1/2 in >out
	same "$(sql "SELECT source_offset || ' ' || trim('\"' FROM trace) FROM acctflow.account_updates WHERE trace IS NOT NULL ORDER BY source_offset" |
		cat - <(traced out) | sort -n | uniq -u | wc -l)" "$(($(traced out | wc -l) - $(sql "SELECT count(*) FROM acctflow.account_updates WHERE trace IS NOT NULL")))"
	(($(sql "SELECT count(*) FROM acctflow.account_updates WHERE trace IS NOT NULL AND source_offset >= 150") > 80))
}

@test "traces: each record of an update carries its own, and so does what is emitted again and what is pending" {
	local token
	database
	# Indexed, cancelled, stale, duplicate, conflict, fired; and what does not fire before the end.
	cat >in <<-END
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":50,"version":2,"trace":"$own-00"}
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":50,"version":1,"trace":"stale"}
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":50,"version":2,"trace":"duplicate"}
		{"id":"a","accountType":"t","tokens":2,"callbackTimeMs":50,"version":2,"trace":"conflict"}
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":50,"version":3,"trace":"fired"}
		{"id":"b","accountType":"t","tokens":1,"callbackTimeMs":900000,"version":1,"trace":"pending"}
		{"id":"c","accountType":"t","tokens":1,"callbackTimeMs":5,"version":1}
	END
	cat >want <<-END
		cancelled 0 $own-00
		fired 4 fired
		ignored 1 stale
		ignored 2 duplicate
		ignored 3 conflict
		indexed 0 $own-00
		indexed 4 fired
		indexed 5 pending
	END
	# events FILE: kind, offset and trace.
	events() { sed -nE 's/^\{"event":"([a-z]+)",.*"offset":([0-9]+),.*"trace":"([^"]*)".*/\1 \2 \3/p' "$1" | sort; }
	reader -a none --source s in | writer >written
	timerd --no-wait <written >timed
	events timed >had
	diff <(grep -v ^fired want) <(grep -v ^fired had)
	claim s
	reader -a none --source s --catch-up-to 6 in | writer --resume --source s --token "$token" >again
	events again | diff <(grep -E '^(ignored|indexed)' want) -
	[[ $(grep -c '"replayed":true' again) -ge 7 ]]
	timerd --clock virtual <again | deliver --exec 'exit 100' >failed
	events failed | grep -x 'failed 4 fired'
	writer pending --format json | sed -nE 's/.*"offset":([0-9]+),.*"trace":"([^"]*)".*/\1 \2/p' | sort | diff <(printf '%s\n' '4 fired' '5 pending') -
}

# claim SOURCE: sets token.
claim() {
	token=$(writer claim --source "$1" --log-level warn | sed -n 's/^token=//p')
}

# sampled ID VERSION CALLBACK: an update that is.
sampled() {
	printf '{"id":"%s","accountType":"t","tokens":1,"callbackTimeMs":%s,"version":%s,"trace":"%s-01"}\n' "$1" "$3" "$2" "$own"
}

# ordered FILE NAME...: in each record of the file that has the first of these times, they do not go back.
ordered() {
	perl -e '
		my ($file, @name) = @ARGV;
		my $seen = 0;
		open my $in, "<", $file or die;
		while (my $line = <$in>) {
			my @t = map { $line =~ /"$_":"([^"]*)"/ ? $1 : () } @name;
			next if $line !~ /"$name[0]":/;
			$seen++;
			die "not in order: $line" if @t != @name || grep { $t[$_ - 1] gt $t[$_] } 1 .. $#t;
		}
		die "none" unless $seen;' "$@"
}

@test "traces: an update that is sampled shows when it was read and committed, and none else does" {
	local token i
	database
	{
		sampled a 2 900000
		sampled a 1 900000
		for i in 00 "${own%-*}-01" ff "0-${own:2}-01" "00-${own:3:32}-0000000000000000-01" "00-00000000000000000000000000000000-${own: -16}-01" "${own^^}-01" "$own-01-x" "$own-0g"; do
			printf '{"id":"x","accountType":"t","tokens":1,"callbackTimeMs":null,"version":%d,"trace":"%s"}\n' $((++n)) "$i"
		done
		printf '{"id":"y","accountType":"t","tokens":1,"callbackTimeMs":null,"version":1,"readAt":"2000-01-01T00:00:00Z"}\n'
	} >in
	reader -a none --source s in | tee read | writer >written
	same "$(grep -c '"readAt":' read)" 2
	same "$(grep -c -e '"readAt":.*"commitAt":.*"committedAt":.*"batch":' written)" 2
	same "$(grep -c -e '"readAt":' -e '"commitAt"' -e '"committedAt"' -e '"batch"' written)" 2
	grep -q '"event":"ignored".*"reason":"stale","trace":.*,"readAt":.*,"batch":0}' written
	ordered written readAt ingestedAt committedAt
	ordered written readAt commitAt committedAt
	# What is emitted again does not claim to know.
	claim s
	reader -a none --source s in | writer --resume --source s --token "$token" >again
	same "$(grep -c '"replayed":true' again)" 12
	same "$(grep -c -e '"readAt":' -e '"commitAt"' -e '"batch"' again)" 0
	# Under the virtual clock the time is simulated, and nothing else is there.
	reader -a recorded --clock virtual --source v - <<<"$(sampled v 1 5 | sed 's/}$/,"arriveMs":250}/')" | tee read | writer --clock virtual >written
	grep -q '"readAt":"2000-01-01T00:00:00.250000Z"}$' read
	grep -q '"readAt":"2000-01-01T00:00:00.250000Z"}$' written
	same "$(grep -c -e '"commitAt"' -e '"batch"' written)" 0
}

@test "traces: batch is the first record of the transaction" {
	database
	for i in {0..99}; do sampled "a$i" 1 null; done >in
	reader -a none --source s in | writer --batch 30 >written
	same "$(sed -nE 's/.*"batch":([0-9]+).*/\1/p' written | sort -n | uniq | head -1)" 0
	perl -ne '
		next unless /"offset":(\d+),.*"commitAt":"([^"]*)","committedAt":"([^"]*)","batch":(\d+)/;
		die $_ if $4 > $1 || $1 - $4 >= 30;
		die $_ if ($at{$4} //= "$2 $3") ne "$2 $3";
		$first{$4} = 1; $n++; $own{$4} = 1 if $1 == $4;
		END { die "n" if $n != 100 || keys %at < 4 || grep { !$own{$_} } keys %first }' written
}

@test "traces: a callback that is sampled shows each attempt" {
	local n attempt='\["[^"]*Z","[^"]*Z","'
	fired() {
		printf '{"event":"fired","source":"s","offset":1,"id":"%s","version":1,"accountType":"t","tokens":1,"data":"}","dueAt":"2026-01-01T00:00:00.000000Z","firedAt":"2026-01-01T00:00:00.000000Z","latenessUs":0,"trace":"%s"}\n' "$1" "$2"
	}
	fired a $own-01 >in
	deliver --backoff-ms 1:2 --exec '[ "$ACCTFLOW_ATTEMPT" = 3 ] || exit 7' <in >out
	grep -qE "\"trace\":\"$own-01\",\"attempts\":3,\"attemptsAt\":\[${attempt}exit 7\"\],${attempt}exit 7\"\],${attempt}exit 0\"\]\]\}\$" out
	# The receiver gets it as it came.
	deliver --exec 'cat >got' <in >/dev/null
	cmp in got
	deliver --backoff-ms 1:2 --attempts 2 --timeout-ms 50 --exec 'sleep 9' <in >out
	grep -qE "\"attempts\":2,\"error\":\"[^\"]*\",\"attemptsAt\":\[${attempt}timeout\"\],${attempt}timeout\"\]\]\}\$" out
	deliver --worker 'while read -r line; do echo refuse; done' <in | grep -q '"attemptsAt":\[\[.*,"refuse"\]\]}$'
	deliver --backoff-ms 1:2 --attempts 40 --exec 'kill -9 $$' <in >out
	same "$(grep -o '"signal 9"' out | wc -l)" 32
	# Attempts do not overlap, and follow each other.
	perl -ne '@t = /"(2\d{3}-[^"]*Z)","(2\d{3}-[^"]*Z)","signal 9"/g; die if @t != 64 || grep { $t[$_ - 1] gt $t[$_] } 1 .. $#t' out
	# Delivered once more, it keeps what it has; not sampled, or under the virtual clock, it gets nothing.
	deliver --exec true <in >out
	deliver --exec true <out | cmp out -
	fired a $own-00 >in
	deliver --exec true <in | cmp in -
	{ echo '{"event":"begin","source":"s","clock":"virtual"}' && fired a $own-01; } >in
	deliver --exec true <in | cmp in -
}

# scraped ACCEPT: sets head and page, of /metrics.
scraped() {
	exec {web}<>"/dev/tcp/127.0.0.1/$port"
	printf 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: %s\r\n\r\n' "$1" >&"$web"
	page=$(timeout 20 cat <&"$web" | tr -d '\r')
	exec {web}>&-
	head=${page%%$'\n\n'*} page=${page#*$'\n\n'}
}

# still: the metrics of the pipelines, which no longer run.
still() { grep -E '^(# (HELP|TYPE) )?acctflow_(batch|commit|arrival|callback|delivery|retries|database_retries|held|up)' <<<"$page"; }

# serve OPTION...: starts statusd; sets statusd and port.
# shellcheck disable=SC2120 # options of its own
serve() {
	statusd --home "$ACCTFLOW_HOME" --listen 127.0.0.1:0 "$@" 2>statusd.err 3>&- &
	statusd=$!
	retry 100 port_read
}

teardown() {
	[[ ! ${statusd-} ]] || kill "$statusd" 2>/dev/null || :
	writer_end
	database_drop
}

@test "traces: whoever scrapes OpenMetrics gets the last trace of each latency, and all others what they got" {
	local folder=$ACCTFLOW_HOME/run/pipelines/0 plain id=${own:3:32} name
	database
	mkdir -p "$folder"
	echo 's 0/1' >"$folder/name"
	{ sampled a 1 5 && printf '{"id":"b","accountType":"t","tokens":1,"callbackTimeMs":5,"version":1,"trace":"00-%032d-%016d-00"}\n' 7 7; } >in
	export ACCTFLOW_METRICS=$folder
	reader -a none --source s in | writer | timerd | writer ack >out
	unset ACCTFLOW_METRICS
	serve
	scraped 'text/plain'
	[[ $head == *'Content-Type: text/plain; version=0.0.4; charset=utf-8'* ]]
	plain=$(still)
	grep -c '^acctflow_callback_lateness_seconds_count{source="s",shard="0/1"} 2$' <<<"$plain"
	run ! grep -e trace_id -e '# EOF' <<<"$page"
	scraped 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5'
	[[ $head == *'Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8'* ]]
	[[ $page == *$'\n# EOF' ]]
	same "$(grep -c '^# EOF' <<<"$page")" 1
	for name in arrival_to_emitted callback_lateness; do
		same "$(grep -cE "^acctflow_${name}_seconds_bucket\{source=\"s\",shard=\"0/1\",le=\"[0-9.e+-]+\"\} [12] # \{trace_id=\"$id\"\} [0-9.e-]+ [0-9]+\.[0-9]{6}\$" <<<"$page")" 1
	done
	same "$(grep -c trace_id <<<"$page")" 2
	# A value lies in its bucket, and its time is now.
	perl -ne '
		$low = 0 if /^# TYPE/;
		next unless /le="([^"]*)"\} \S+(?: # \{[^}]*\} (\S+) (\S+))?$/;
		die $_ if defined $2 && ($2 > $1 || $2 <= $low && $2 > 0 || abs($3 - time) > 300);
		$low = $1' <<<"$page"
	# A counter is named without the end of its samples; but for that, points and traces it is the same.
	grep -q '^# TYPE acctflow_database_retries counter$' <<<"$page"
	same "$(still | sed -E 's/ # \{.*//; s/^(# (HELP|TYPE) acctflow_(database_retries|held_callbacks|batches|delivery_attempts))\>/\1_total/; s/(le="[0-9]+)\.0"/\1"/')" "$plain"
	[[ $(grep -c ',le="[0-9]*"' <<<"$page") == 0 ]]
}

@test "traces: the page knows where to link the last ones" {
	local folder=$ACCTFLOW_HOME/run/pipelines/0 url traces
	database
	mkdir -p "$folder"
	echo 's 0/1' >"$folder/name"
	sampled a 1 5 >in
	export ACCTFLOW_METRICS=$folder
	reader -a none --source s in | writer | timerd | writer ack >out
	unset ACCTFLOW_METRICS
	traces='"traces":\[\{"histogram":"emitted","value":[0-9]+,"at":[0-9]+,"traceId":"0af7651916cd43dd8448eb211c80319c"\},\{"histogram":"lateness","value":[0-9]+,"at":[0-9]+,"traceId":"0af7651916cd43dd8448eb211c80319c"\}\]'
	serve --trace-url 'https://traces.example/{traceId}'
	get /api/status
	[[ $page =~ ,\"traceUrl\":\"https://traces.example/\{traceId\}\",$traces, ]]
	kill "$statusd"
	retry 100 gone "$statusd"
	rm "$ACCTFLOW_HOME/run/statusd.url"
	serve
	get /api/status
	[[ $page =~ $traces && $page != *traceUrl* ]]
	for url in '' x '{traceId}' 'ftp://h/{traceId}' 'javascript:alert({traceId})' 'http://h/{traceid}' 'http://h/ {traceId}' $'http://h/{traceId}\n' 'http://ö/{traceId}'; do
		fails 100 statusd --listen none --trace-url "$url"
		err_has '--trace-url: expected an http:// or https:// URL with {traceId} in it'
	done
}

@test "traces: sampled or not, a run on the virtual clock is the model's, to the byte" {
	local arrival
	for arrival in gap offset; do
		database_drop
		database
		reader --clock virtual --arrival "$arrival" --seed 4 --source "$arrival" --trace-sample 1/2 in >updates
		(($(grep -c '"readAt":' updates) > 120))
		writer --clock virtual <updates | timerd --clock virtual >out
		"$root/test/model" --events <updates | cmp - out
		(($(grep -c '"event":"ignored".*"readAt":' out) > 0))
		# What is delivered on it says nothing of attempts.
		deliver --exec true <out >delivered
		grep -q '"event":"fired".*"trace"' delivered
		run ! grep attemptsAt delivered
	done
}
