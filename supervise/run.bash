# The verb run: all inputs and their pipelines, the one loop, the services beside them, and what it came to.
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

# Asks all that read to stop; the rest ends by the end of its input.
run_stop() {
	local i k
	child_signal TERM s.pending
	for i in "${!topic[@]}"; do child_signal TERM "t$i.list"; done
	for i in "${!source[@]}"; do child_signal TERM "i$i.copier" "i$i.compare"; done
	for k in "${!owner[@]}"; do pipeline_stop "$k"; done
}

# Waits for what comes next, be it an event or a time, for a second at most.
due_handle() {
	local what now=${EPOCHREALTIME/./} next
	for what in "${!due[@]}"; do
		((${due[$what]:-$((now + 1))} > now)) || due_reached "$what"
	done
	now=${EPOCHREALTIME/./} next=$((now + 1000000))
	for what in "${!due[@]}"; do ((due["$what"] >= next)) || next=${due[$what]}; done
	next=$((next > now + 1000 ? next - now : 1000))
	printf -v next '%d.%06d' $((next / 1000000)) $((next % 1000000))
	event_wait "$next"
}

# worse A B: sets worst, of two exit codes the one that the run has: 100 before 111 before 1 before 0.
worse() {
	for worst in $PERMANENT $TEMPORARY 1 0; do
		[[ $1 != "$worst" && $2 != "$worst" ]] || return 0
	done
}

run_on() {
	local k
	for k in "${!owner[@]}"; do [[ ${state[k]} == 'done' ]] || return 0; done
	topics_known || [[ $stopping ]] || return 0
	[[ " ${!live[*]} " == *.copier\ * ]]
}

# --- services: what a run can do without, and what comes back: statusd, the progress line, the private Postgres

statusd_start() {
	[[ $statusd && ! $stopping ]] || return 0
	rm -f -- "$run/statusd.url" || :
	child_start s.statusd "$statusd"
	due_in s.page 100
}

# notify WORD...: to systemd, where it has started us.
notify() {
	[[ ! ${NOTIFY_SOCKET-} ]] || systemd-notify "$@" 2>/dev/null || log warn "could not notify systemd: $*"
}

# The watchdog is fed while this loop turns and no program stands still, which statusd looks at.
watchdog_start() {
	[[ ${WATCHDOG_USEC-} && $statusd ]] || return 0
	child_start s.alive "$statusd" --alive
	due_in s.watchdog $((WATCHDOG_USEC / 3000))
}

# Once statusd has said where it listens.
page_name() {
	if [[ -s $run/statusd.url ]]; then
		[[ ${page-} == "$(<"$run/statusd.url")" ]] || log info "the page is at $(<"$run/statusd.url")"
		page=$(<"$run/statusd.url")
	elif [[ -v live[s.statusd] ]]; then
		due_in s.page 200
	fi
}

# service_ended NAME STATUS
service_ended() {
	local delay how
	case $1 in
	statusd)
		(($2)) || return 0
		ended_how "$2"
		(($2 == TEMPORARY || $2 > 128)) || { log warn "going on without statusd, which $how; see --listen" && return; }
		restart_later s.statusd
		restart_note statusd "$2"
		log warn "statusd[$last_pid] $how; starting again in $delay ms"
		;;
	renew) lease_ended "$2" ;;
	watch) db_revive ;;
	alive) (($2)) || notify WATCHDOG=1 ;;
	revive) db_revived "$2" ;;
	esac
}

# Shows on a terminal how far the reading is: in one line, or in some between those of the events. Not in a pipe.
meter_start() {
	local show=progress
	[[ $statusd && -t 2 && ! -p /dev/stdout ]] || return 0
	[[ ! -t 1 ]] || show=lines
	live[s.meter]=''
	keeper='' child s.meter "$statusd" --show $show </dev/null >&2 2>/dev/null &
}

# services_end NAME...: by TERM, waited for for at most two seconds.
services_end() {
	local id until=$((SECONDS + 2))
	child_signal TERM "$@"
	for id; do
		while [[ ${live[$id]-} ]] && ((SECONDS < until)); do event_wait 0.2; done
	done
}

# --- what is left, and what it came to

# What is pending of pipelines that nobody owns, but for those of the spools. Meanwhile the private Postgres is looked after.
pending_find() {
	local line name='' part='' delay spooled=("${source[@]}")
	while true; do
		pending_lines=''
		child_list s.pending "$writer" pending --pipelines
		while [[ -v live[s.pending] || -v live[s.revive] ]]; do due_handle; done
		[[ ${code[s.pending]} != 0 ]] || break
		[[ ${code[s.pending]} != "$PERMANENT" ]] || result=$PERMANENT
		[[ ${code[s.pending]} != "$PERMANENT" && ! $stopping ]] || return 0
		restart_later s.pending
		while [[ -v due[s.pending] && ! $stopping ]]; do due_handle; done
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
	done <<<"$pending_lines"$'\n'
}

# member NAME: sets value, of a record in line.
member() {
	value=0
	[[ ! $line =~ \"$1\":([0-9]+|true|false) ]] || value=${BASH_REMATCH[1]}
}

# What it came to, after a stop too: a record a source on standard output, all of its shards in one, and a sentence. Without
# INPUT it is about all that is stored. --strict counts what any round rejected.
summary_print() {
	local i k only names=('') line value status read indexed rejected pending open='' rejects=0 reads=0 text='' seconds
	[[ ! $asked ]] || names=("${source[@]}")
	[[ ${opt[format]-} != text && (${opt[format]-auto} == json || ! -t 1) ]] || text=true
	for i in "${!names[@]}"; do
		only=(${names[i]:+--source "${names[i]}"})
		line=$("$writer" sources "${only[@]}" --format json) || continue
		if [[ $text ]]; then call "$writer" sources "${only[@]}" "${out_format[@]}"; else (printf '%s\n' "$line") || :; fi # nobody may read any more
		while IFS= read -r line; do
			member read && read=$value && member indexed && indexed=$value && member rejected && rejected=$value pending=0
			rejects=$((rejects + rejected)) reads=$((reads + read))
			[[ $asked ]] || continue
			for k in ${pipelines[i]}; do pending=$((pending + ${claim[$k.pending]:-0})); done
			seconds_since "$run_began"
			log info "source \"${names[i]}\": read $read, indexed $indexed, rejected $rejected, pending $pending; it took $seconds s"
			member complete
			[[ $pending == 0 && $value != false ]] || open=true
		done <<<"$line"
	done
	call "$writer" richest "${out_format[@]}"
	[[ ! $open ]] || log info 'not all is done yet; the same command goes on'
	((rejects == 0)) || log warn "$rejects of $reads records were rejected; see: acctflow rejected"
	[[ $result != 0 || ! ${opt[strict]-}${ACCTFLOW_STRICT-} ]] || ((rejects == 0)) || result=1
}

# The options of run, and what each INPUT is.
run_options() {
	local name
	shards=${opt[shards]:-${ACCTFLOW_SHARDS:-1}}
	[[ $shards =~ ^0*[1-9][0-9]{0,3}$ ]] || misused "--shards: expected a whole number from 1, not \"$shards\""
	shards=$((10#$shards))
	[[ ${opt[count]-0} =~ ^[0-9]{1,18}$ ]] || misused "--count: expected a whole number, not \"${opt[count]}\""
	[[ ! ${opt[count]-} ]] || opt[count]=$((10#${opt[count]}))
	one_of "${opt[format]-auto}" auto json text || misused "--format: expected one of auto|json|text, not \"${opt[format]}\""
	[[ ! ${opt[format]-} ]] || out_format=(--format "${opt[format]}")
	(($# < 2)) || [[ ! ${opt[source]-} ]] || misused '--source names one INPUT, and there are several'
	(($# == 0)) || asked=true
	kafka_cluster=${opt[cluster]-${ACCTFLOW_CLUSTER:-main}}
	inputs_read "$@"
	for name in cluster properties until-end accept-gap; do
		[[ ! -v opt[$name] || ${#topic[@]} != 0 ]] || misused "--$name is for an INPUT kafka://HOST:PORT,…/TOPIC"
	done
	for name in kind reason filter discard; do
		[[ ! -v opt[$name] || $verb == redrive ]] || misused "--$name is for redrive"
	done
	fleet_options
}

verb_run() {
	local result=0 worst k run_began=${EPOCHREALTIME/./}
	run_options "$@"
	programs reader writer timerd
	receiver=${config[deliver.exec]-}${config[deliver.worker]-}${config[deliver.post]-}${ACCTFLOW_EXEC-}${ACCTFLOW_WORKER-}${ACCTFLOW_POST-}
	[[ ! $receiver ]] || programs deliver
	trace_to=${opt["trace-to"]-${ACCTFLOW_TRACE_TO:-${config[tracer.to]-}}}
	[[ $trace_to =~ ^([Hh][Tt][Tt][Pp][Ss]?://[^[:space:]]+)?$ ]] || misused "--trace-to: expected an http:// or https:// URL, not \"$trace_to\""
	[[ ! $trace_to ]] || programs tracer
	((${#topic[@]} == 0)) || programs kafka-reader
	statusd=$(programs statusd 2>/dev/null && echo "$statusd") || log warn 'going on without statusd, which is not built'
	lock_take
	[[ ! $trace_to ]] || mkdir -p -- "$ACCTFLOW_HOME/trace" || log warn 'spans that wait are lost in a crash'
	events_open
	traps_set
	logs_start
	rm -rf -- "$run/pipelines" "$run/restarts" "$run/output.lock" "$run/anchor" "$run/machine" "$run"/lease*
	db_acquire
	[[ $verb != redrive ]] || redrives_add
	db_watch
	statusd_start
	meter_start
	[[ $asked && ! " ${kind[*]} " == *' spool '* ]] || spools_left
	children_look
	notify --ready
	watchdog_start
	[[ $asked ]] || pending_find
	if [[ ! $stopping ]]; then
		[[ ! $fleet ]] || fleet_join
		for k in "${!owner[@]}"; do pipeline_enter "$k"; done
		for k in "${!topic[@]}"; do topic_list "$k"; done
		while run_on; do due_handle; done
	fi
	for k in "${!owner[@]}"; do worse "$result" "${result[k]}" && result=$worst; done
	[[ ! $topic_missing ]] || result=$PERMANENT
	[[ ! $fleet ]] || fleet_leave
	services_end s.meter
	[[ ! $known && $asked ]] || summary_print
	exit "$result"
}
