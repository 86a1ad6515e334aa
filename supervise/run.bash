# The verb run: all inputs and their pipelines, the one loop, and what it came to.
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

# Asks all that read to stop; the rest ends by the end of its input.
run_stop() {
	local i k
	for i in "${!source[@]}"; do child_signal TERM "i$i.copier" "i$i.compare"; done
	for k in "${!owner[@]}"; do pipeline_stop "$k"; done
}

# Until all pipelines are done: waits for what comes next, be it an event or a time.
run_loop() {
	local k now next looked_at=0
	while :; do
		now=${EPOCHREALTIME/./} next=$((now + 1000000))
		for k in "${!owner[@]}"; do
			((due[k] == 0 || due[k] > now)) || pipeline_due "$k"
			((due[k] == 0 || due[k] >= next)) || next=${due[k]}
		done
		for k in "${!source[@]}"; do
			# A named pipe that the copier is about to open is looked for more often.
			[[ ${kind[k]} != spool || ${from[k]} ]] || next=$((now + 200000))
			((copier_due[k] == 0 || copier_due[k] >= next)) || next=${copier_due[k]}
		done
		services_tend
		spools_tend
		if ((now - looked_at > 1000000)); then
			children_look
			looked_at=$now
		fi
		run_on || return 0
		now=$((next > now ? next - now : 0))
		printf -v now '%d.%06d' $((now / 1000000)) $((now % 1000000))
		event_wait "$now"
	done
}

run_on() {
	local k
	for k in "${!owner[@]}"; do [[ ${state[k]} == 'done' ]] || return 0; done
	[[ " ${!live[*]} " == *.copier\ * ]]
}

# What is pending of pipelines that nobody owns, but for those of the spools.
pending_find() {
	local lines line name='' part='' tries=0 delay status spooled=("${source[@]}")
	until lines=$("$writer" pending --pipelines); do
		status=$?
		((status != PERMANENT)) || result=$PERMANENT
		[[ $status != "$PERMANENT" && ! $stopping ]] || return 0
		backoff "$((tries++))"
		sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
	done
	while IFS= read -r line; do
		case $line in
		source=*) name=${line#*=} ;;
		shard=*) part=${line#*=} ;;
		'')
			[[ ! $name ]] || one_of "$name" "${spooled[@]}" || input_add pending '' "$name" "$part"
			name=''
			;;
		esac
	done <<<"$lines"$'\n'
}

# What it came to, after a stop too: records on standard output, and a sentence a source. --strict counts what any round
# rejected. Without INPUT it is about all that is stored.
summary_print() {
	local i name lines line status names=('') text='' rejects=0 reads=0 open=''
	[[ ! $asked ]] || names=("${source[@]}")
	[[ ${opt[format]-} != text ]] && { [[ ${opt[format]-auto} == json ]] || [[ ! -t 1 ]]; } || text=true
	for name in "${names[@]}"; do
		lines=$("$writer" status ${name:+--source "$name"} --format json) || continue
		if [[ $text ]]; then call "$writer" status ${name:+--source "$name"} "${out_format[@]}"; else printf '%s\n' "$lines"; fi
		while IFS= read -r line; do
			member() { [[ $line =~ \"$1\":([0-9]+|true|false) ]] && printf '%s' "${BASH_REMATCH[1]}" || printf 0; }
			[[ ! $asked ]] || log info "source \"$name\": read $(member read), indexed $(member indexed), rejected $(member rejected), pending $(member pending); it took $(seconds_since "$run_began") s"
			[[ $(member pending) == 0 && $(member complete) != false ]] || open=true
			rejects=$((rejects + $(member rejected))) reads=$((reads + $(member read)))
		done <<<"$lines"
	done
	call "$writer" richest "${out_format[@]}"
	[[ ! $open || ! $asked ]] || log info 'not all is done yet; the same command goes on'
	((rejects == 0)) || log warn "$rejects of $reads records were rejected; see: supervisor rejected"
	[[ $result != 0 || ! ${opt[strict]-}${ACCTFLOW_STRICT-} ]] || ((rejects == 0)) || result=1
}

verb_run() {
	local result=0 k writer reader timerd statusd run_began=${EPOCHREALTIME/./}
	shards=${opt[shards]:-${ACCTFLOW_SHARDS:-1}}
	[[ $shards =~ ^0*[1-9][0-9]{0,3}$ ]] || misused "--shards: expected a whole number from 1, not \"$shards\""
	shards=$((10#$shards))
	[[ ${opt[count]-0} =~ ^[0-9]{1,18}$ ]] || misused "--count: expected a whole number, not \"${opt[count]}\""
	[[ ! ${opt[count]-} ]] || opt[count]=$((10#${opt[count]}))
	one_of "${opt[format]-auto}" auto json text || misused "--format: expected one of auto|json|text, not \"${opt[format]}\""
	[[ ! ${opt[format]-} ]] || out_format=(--format "${opt[format]}")
	(($# < 2)) || [[ ! ${opt[source]-} ]] || misused '--source names one INPUT, and there are several'
	(($# == 0)) || asked=true
	inputs_read "$@"
	writer=$(program writer) reader=$(program reader) timerd=$(program timerd)
	statusd=$(program statusd 2>/dev/null) || log warn 'going on without statusd, which is not built'
	lock_take
	events_open
	traps_set
	logs_start
	rm -rf -- "$run/pipelines"
	rm -f -- "$run/restarts" "$run/output.lock"
	db_acquire
	db_watch
	anchor_set
	[[ ! $statusd ]] || { service_start statusd && meter_start; }
	[[ $asked && ! " ${kind[*]} " == *' spool '* ]] || spools_left
	[[ $asked ]] || pending_find
	if [[ ! $stopping ]]; then
		for k in "${!owner[@]}"; do claim_start "$k"; done
		run_loop
	fi
	for k in "${!owner[@]}"; do result=$(worse "$result" "${result[k]}"); done
	meter_end
	[[ ! $known && $asked ]] || summary_print
	exit "$result"
}
