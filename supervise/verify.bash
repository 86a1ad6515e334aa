# `acctflow verify [INPUT]`: the relations judged by queries of their own (verify/*.sql), which share nothing with writer.
# With INPUT, reader reads it again as it was read, and psql copies that into the transaction.
# shellcheck shell=bash disable=SC2154,SC2086 # set by the other parts

readonly SHOWN=100 # differences

# verify_settings INPUT: sets source, and ACCTFLOW_READ, a script that reads all of its shards. The virtual clock waits for
# nothing, and what is emitted is the same.
# shellcheck disable=SC2016,SC2089,SC2090 # it is for another bash
verify_settings() {
	local line row i=0 name value args=(--clock virtual --format json --log-level error)
	source=${opt[source]-}
	if [[ $1 == - ]]; then
		[[ $source ]] || misused 'verify - wants --source NAME: what standard input was called when it was read'
	else
		[[ $1 != kafka://* ]] || misused 'verify reads no Kafka; without INPUT it compares the relations with each other'
		source=${source:-$(realpath -m -- "$1")}
	fi
	line=$(verify_psql -At -F $'\x02' -v source="$source" \
		<<<"SELECT shards, seed, arrival, delay_ms, speed FROM acctflow.inputs WHERE name = :'source'") || verify_failed $?
	[[ $line ]] || misused "source \"$source\" was never read; --source names one, and acctflow status lists them"
	IFS=$'\x02' read -r -a row <<<"$line"
	for name in seed arrival delay-ms speed; do
		value=${row[++i]-}
		value=${opt[$name]:-$value}
		[[ ! $value ]] || args+=("--$name=$value")
	done
	[[ ! ${opt[map]-} ]] || args+=("--map=${opt[map]}")
	ACCTFLOW_READ='export LC_ALL=C;'
	for ((i = 0; i < row[0]; i++)); do
		printf -v value '%q ' "$reader" "${args[@]}" --source "$source" --shard "$i/${row[0]}" -- "$1"
		printf -v value '%s| sed "s/^/%d"$'"'\\\\x02/'"'\n' "$value" $i
		ACCTFLOW_READ+=$value
	done
	export ACCTFLOW_READ
}

verify_psql() { (PGCLIENTENCODING=UTF8 verb_psql -X -q -v ON_ERROR_STOP=1 "$@"); }

# verify_failed STATUS: of psql, which has said why.
verify_failed() {
	(($1 != 2)) || exit $TEMPORARY
	exit $PERMANENT
}

# verify_show: some of the lines, how many more there are, and the totals. Fails by 1 where there are any, by 2 where the totals
# are missing. A control character in an id would do what it likes on a terminal.
# shellcheck disable=SC2016 # awk's
verify_show() {
	awk -v most=$SHOWN -v json="$1" '
		$1 == "accounted" { accounted = $2; total = $3; beyond = $4; complete = $5 == "t"; ended = 1; next }
		++n <= most { gsub(/[\001-\037\177]|\302[\200-\237]/, "?"); print }
		END {
			if (!ended) exit 2
			if (json) {
				printf "{\"records\":%d,\"accountedFor\":%d,\"differences\":%d,\"uncompared\":%d,\"complete\":%s}\n", total, accounted, n, beyond, complete ? "true" : "false"
			} else {
				if (n > most) printf "... and %d more differences\n", n - most
				printf "%d of %d records accounted for%s\n", accounted, total, n ? sprintf(", %d difference%s", n, n > 1 ? "s" : "") : ""
				if (!complete || beyond) printf "%s%d records of the input are not committed and were not compared\n", complete ? "" : "the source is not complete: ", beyond
			}
			exit n > 0
		}'
}

verb_verify() {
	local source='' json='' statuses
	(($# <= 1)) || misused 'verify takes one INPUT at most'
	(($#)) || [[ ! ${opt[source]-} ]] || misused '--source names an INPUT, and verify got none'
	[[ ${opt[format]-} != json ]] || json=true
	programs reader
	traps_set
	db_acquire
	(($# == 0)) || verify_settings "$1"
	verify_psql -v given=$(($# > 0)) -v source="$source" -v json=${json:-false} -f "$here/verify/verify.sql" | verify_show "$json" ||
		statuses=("${PIPESTATUS[@]}")
	((${statuses[1]:-0} != 2)) || {
		((statuses[0])) && verify_failed "${statuses[0]}"
		fail $PERMANENT "the input of source \"$source\" could not be read to its end"
	}
	exit "${statuses[1]:-0}"
}
