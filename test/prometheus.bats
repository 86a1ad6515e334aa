#!/usr/bin/env bats
# deploy/prometheus: checked by Prometheus's own tools, against the metrics that exist, and one alert all the way from a
# broken pipeline to a receiver, through the real Prometheus and Alertmanager.

load helper
load live

setup() {
	local tool
	started='' own='' input=$BATS_TEST_TMPDIR/input aside=()
	for tool in promtool prometheus amtool prometheus-alertmanager curl; do
		command -v "$tool" >/dev/null || skip "$tool is not installed (Debian: prometheus, prometheus-alertmanager, curl)"
	done
	deploy=$root/deploy/prometheus
}

teardown() {
	local pid
	for pid in ${aside[@]+"${aside[@]}"}; do
		kill -KILL "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	live_end
	database_drop
}

@test "promtool and amtool find nothing in configuration and rules" {
	ok promtool check config "$deploy/prometheus.yml"
	ok promtool check rules "$deploy/rules.yml"
	hasnt WARN
	ok amtool check-config "$deploy/alertmanager.yml"
}

@test "each alert fires when it should and not otherwise, and has its section in the runbook" {
	local alert alerts
	ok promtool test rules "$root/test/prometheus/rules.yml"
	mapfile -t alerts < <(sed -n 's/^ *- alert: //p' "$deploy/rules.yml")
	((${#alerts[@]} >= 8))
	for alert in "${alerts[@]}"; do
		echo "$alert"
		grep -A 3 -e "- alertname: $alert\$" "$root/test/prometheus/rules.yml" | grep exp_labels
		grep -e "- {alertname: $alert," "$root/test/prometheus/rules.yml"
		grep "runbook: doc/runbook.md#${alert,,}\$" "$deploy/rules.yml"
		grep "^## $alert\$" "$root/doc/runbook.md"
	done
}

# known NAME: whether statusd has that metric now; a histogram's by its samples.
known() {
	curl -fsS --noproxy '*' "${url}metrics" >"$BATS_TEST_TMPDIR/metrics" || return 1
	if [[ $1 == *_bucket || $1 == *_count ]]; then
		grep -q "^$1{" "$BATS_TEST_TMPDIR/metrics"
	else
		grep -q "^# TYPE $1 " "$BATS_TEST_TMPDIR/metrics"
	fi
}

@test "every metric that a rule names exists" {
	local name names
	database
	update ID1 1 1 >"$input"
	live
	mapfile -t names < <(grep -oE '(instance:)?acctflow_[a-z_]+' "$deploy/rules.yml" | grep -v '^instance:' | sort -u)
	((${#names[@]} >= 10))
	for name in "${names[@]}"; do retry 200 known "$name"; done
	promtool check metrics <"$BATS_TEST_TMPDIR/metrics"
}

# beside COMMAND...: runs it in the background until the test's end.
beside() {
	"$@" >>"$BATS_TEST_TMPDIR/beside" 2>&1 3>&- &
	aside+=($!)
}

port_free() {
	perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# received STATUS ALERT: whether the receiver got it.
received() {
	grep -q "\"status\":\"$1\",\"labels\":{\"alertname\":\"$2\"" "$bodies"
}

# asked EXPRESSION VALUE: whether Prometheus says so.
asked() {
	promtool query instant "http://127.0.0.1:$prometheus" "$1" 2>/dev/null | grep -q "=> $2 @"
}

# exemplified: whether Prometheus has an exemplar of each latency.
exemplified() {
	local name
	for name in arrival_to_emitted callback_lateness; do
		curl -fsS --noproxy '*' -G "http://127.0.0.1:$prometheus/api/v1/query_exemplars" --data-urlencode "query=acctflow_${name}_seconds_bucket" \
			--data-urlencode 'start=2020-01-01T00:00:00Z' --data-urlencode 'end=2100-01-01T00:00:00Z' >"$BATS_TEST_TMPDIR/exemplars" || return 1
		grep -q '"trace_id":"[0-9a-f]\{32\}"' "$BATS_TEST_TMPDIR/exemplars" || return 1
	done
}

@test "Prometheus takes OpenMetrics, and with it the traces of what was seen last" {
	local prometheus place=$BATS_TEST_TMPDIR/prometheus
	database
	update ID1 1 1 >"$input"
	live --trace-sample 1/1
	prometheus=$(port_free)
	cp -r "$deploy" "$place"
	sed -i -e 's/_interval: .*/_interval: 1s/' -e "s|127.0.0.1:9732|$(sed 's|http://\(.*\)/|\1|' <<<"$url")|" "$place/prometheus.yml"
	beside prometheus --config.file="$place/prometheus.yml" --storage.tsdb.path="$place/data" \
		--web.listen-address="127.0.0.1:$prometheus" --log.level=warn --enable-feature=exemplar-storage
	retry 600 asked acctflow_indexed_total 1
	retry 600 exemplified
	curl -fsS --noproxy '*' "${url}metrics" | promtool check metrics
}

@test "a stopped Postgres reaches a receiver as an alert, and so does its end" {
	local place=$BATS_TEST_TMPDIR/prometheus prometheus alertmanager bodies=$BATS_TEST_TMPDIR/bodies
	own_database
	update ID1 1 1 >"$input"
	live
	beside "$root/test/prometheus/receiver" "$BATS_TEST_TMPDIR/port" "$bodies"
	retry 100 test -s "$BATS_TEST_TMPDIR/port"
	prometheus=$(port_free)
	alertmanager=$(port_free)

	# The files that are delivered, but for addresses, and for waits that a test need not sit through.
	cp -r "$deploy" "$place"
	sed -i -e 's/_interval: .*/_interval: 1s/' -e "s/127.0.0.1:9093/127.0.0.1:$alertmanager/" \
		-e "s|127.0.0.1:9732|$(sed 's|http://\(.*\)/|\1|' <<<"$url")|" "$place/prometheus.yml"
	sed -i 's/^\( *\)for: .*/\1for: 1s/' "$place/rules.yml"
	sed -i -e 's/group_wait: .*/group_wait: 0s/' -e 's/group_interval: .*/group_interval: 1s/' \
		-e "s/127.0.0.1:9095/127.0.0.1:$(<"$BATS_TEST_TMPDIR/port")/" "$place/alertmanager.yml"
	beside prometheus-alertmanager --config.file="$place/alertmanager.yml" --storage.path="$place/alertmanager" \
		--web.listen-address="127.0.0.1:$alertmanager" --cluster.listen-address= --log.level=warn
	beside prometheus --config.file="$place/prometheus.yml" --storage.tsdb.path="$place/data" \
		--web.listen-address="127.0.0.1:$prometheus" --log.level=warn

	retry 600 asked acctflow_ready 1
	same "$(wc -c <"$bodies")" 0
	ACCTFLOW_HOME=$own/var "$supervisor" stop
	retry 900 received firing AcctflowNotReady
	grep -q '"runbook":"doc/runbook.md#acctflownotready"' "$bodies"
	run ! received resolved AcctflowNotReady
	env -u ACCTFLOW_DB ACCTFLOW_HOME="$own/var" "$supervisor" postgres
	retry 900 received resolved AcctflowNotReady
}
