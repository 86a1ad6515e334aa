#!/usr/bin/env bats
# deploy/prometheus: what Prometheus's own tools say of it, that it speaks of metrics that there are, and one alert all
# the way from a broken pipeline to a receiver, through the real Prometheus and Alertmanager.

load helper

setup() {
	local tool
	for tool in promtool prometheus amtool prometheus-alertmanager; do
		command -v "$tool" >/dev/null || skip "$tool is not installed (Debian: prometheus, prometheus-alertmanager)"
	done
	deploy=$root/deploy/prometheus
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
