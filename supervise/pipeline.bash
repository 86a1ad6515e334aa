# One shard of one source: claimed, run as reader | writer | timerd | ack, judged, and begun again after a pause where
# something was lacking. Where a receiver is configured deliver stands before ack, and so does tracer where
# a collector is: ack records, and writes under the lock, only what has passed it. Pipelines know nothing of each other. Each is in one of these states:
#
#   claiming  `writer claim` runs                 pausing  until it is due
#   waiting   claimed; its input is looked at     done     with a result
#   running   its programs run
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

# By the pipeline's number:
owner=() shard=() state=() result=()
chain=()            # the names of the programs that were started, head first
before=() idle=()   # where it stood at the last claim; rounds since then that ended well and brought nothing
began=()            # when the round began, in s
verdict=()          # of the round: ok, strict, temporary, permanent; none before the first
closed=()           # whether the round has ended from its tail on: nobody reads the output
failing=() cause=() # the child that ended badly first; "STATUS NAME words"
heard=()            # the program that was asked to stop last: the head, timerd, or deliver
step=()             # how it is forced to end: 1 all were asked to, 2 killed
declare -A claim=() # what `writer claim` printed, by "K.NAME"
db_silent=''        # since when claims fail
receiver=''         # whether there is one for deliver
trace_to=''         # the collector's URL for tracer

# pipeline_add INPUT SHARD
pipeline_add() {
	local k=${#owner[@]}
	pipelines[$1]+="${pipelines[$1]+ }$k"
	owner[k]=$1 shard[k]=$2 state[k]='' result[k]=0 chain[k]='' before[k]='' idle[k]=0 began[k]=0 verdict[k]='' closed[k]='' failing[k]='' cause[k]='' step[k]=0 heard[k]='' leaving[k]=''
}

# round_begin K STATE NAME...: the names of the programs that are started next.
round_begin() {
	local name
	state[$1]=$2 chain[$1]=${*:3} failing[$1]='' cause[$1]='' step[$1]=0 heard[$1]=''
	unset "due[$1]"
	for name in "${@:3}"; do live[$1.$name]=''; done
}

# pipeline_reads K: sets args, what reader is to read, and how.
pipeline_reads() {
	local k=$1 i=${owner[$1]} name next=$((${claim[$1.delivered]:--1} + 1))
	args=(--source "${source[i]}" --shard "${shard[k]}" --from "$next" --format json)
	for name in seed arrival delay-ms speed map; do
		[[ -z ${keep[$i.$name]-} ]] || args+=("--$name" "${keep[$i.$name]}")
	done
	[[ -z ${opt[strict]-} ]] || args+=(--strict)
	# Not settled with the source: each run decides by its own option, and the source's seed makes the same ids.
	[[ -z ${opt["trace-sample"]-} ]] || args+=(--trace-sample "${opt["trace-sample"]}")
	if [[ ${kind[i]} == left ]]; then
		args+=(--catch-up-to $((2 ** 63 - 2)))
	elif [[ ${claim[$k.committed]-} ]]; then
		args+=(--catch-up-to "${claim[$k.committed]}")
	fi
	[[ ! ${count[i]} ]] || args+=(--count $((count[i] > next - first[i] ? count[i] - (next - first[i]) : 0)))
	if [[ ${spool[i]} ]]; then
		args+=(--spool "${spool[i]}")
	else
		[[ -z ${claim[$k.fingerprint]-} ]] || args+=(--fingerprint "${claim[$k.fingerprint]}")
		[[ -z ${claim[$k.check]-} ]] || args+=(--check "${claim[$k.check]}")
		[[ ${kind[i]} != redrive ]] || args+=(--lines)
		if [[ ${kind[i]} == kafka ]]; then args+=(--resume -); else args+=(-- "${path[i]}"); fi
	fi
}

# pipeline_behind: starts what `last` says, in pipeline k, before the descriptor out, which then leads to it.
pipeline_behind() {
	local to=$out
	exec {out}> >(child "$k.${last[0]}" "${last[@]:1}" >&"$to")
	exec {to}>&-
}

# spans_path K: where its spans wait. Not by K: another run numbers pipelines otherwise.
spans_path() {
	local folder
	folder=$(spool_path "${source[${owner[$1]}]}")
	printf '%s\n' "$ACCTFLOW_HOME/trace/${folder##*/}.${shard[$1]/\//-}"
}

# spans_remove K: its queue, where nothing waits in it: the bytes before its first and behind its last one are as many.
spans_remove() {
	local path head tail
	path=$(spans_path "$1")
	! read -r head tail < <(od -A n -v -t u8 -w16 -j 16 -N 16 -- "$path" 2>/dev/null) || [[ $head != "$tail" ]] || rm -f -- "$path"
}

pipeline_start() {
	local k=$1 i=${owner[$1]} name args clock=() wait=() own ack last in out kafka=''
	own=(--token "${claim[$k.token]}" --source "${source[i]}" --shard "${shard[k]}")
	ack=("$writer" ack --resume "${own[@]}" --output-lock "$run/output.lock" "${out_format[@]}" "${lease_args[@]}")
	for name in clock epoch; do
		[[ -z ${keep[$i.$name]-} ]] || clock+=("--$name" "${keep[$i.$name]}")
	done
	began[k]=$SECONDS verdict[k]=ok closed[k]=''
	[[ -d $run/pipelines/$k ]] || mkdir -p -- "$run/pipelines/$k" 2>/dev/null || :
	state_write '>' "$run/pipelines/$k/name" "${source[i]} ${shard[k]}"
	export ACCTFLOW_METRICS=$run/pipelines/$k
	! nowait "$i" || wait=(--no-wait)
	last=(ack "${ack[@]}")
	building=1 late=0
	exec {out}>&1
	if [[ $trace_to ]]; then
		pipeline_behind
		last=(tracer "$tracer" --to "$trace_to" --keep "$(spans_path "$k")" --format json)
	fi
	if [[ $receiver ]]; then
		pipeline_behind
		last=(deliver "$deliver" --resume "${wait[@]}" "${lease_args[@]}" --format json)
	fi
	# In the chain tracer stands last: it goes on exporting when ack has ended.
	if [[ ${kind[i]} == pending ]]; then
		round_begin "$k" running pending timerd ${receiver:+deliver} ack ${trace_to:+tracer}
		child "$k.pending" "$writer" pending "${own[@]}" --format json </dev/null |
			child "$k.timerd" "$timerd" "${clock[@]}" --format json |
			child "$k.${last[0]}" "${last[@]:1}" >&"$out" &
	else
		pipeline_reads "$k"
		[[ ${kind[i]} != kafka ]] || kafka='kafka-reader'
		round_begin "$k" running $kafka reader writer timerd ${receiver:+deliver} ack ${trace_to:+tracer}
		if [[ $kafka ]]; then exec {in}< <(partition_read "$k"); else exec {in}</dev/null; fi
		child "$k.reader" "$reader" "${clock[@]}" "${args[@]}" <&"$in" |
			child "$k.writer" "$writer" "${clock[@]}" --resume "${own[@]}" --format json |
			child "$k.timerd" "$timerd" "${clock[@]}" --resume "${wait[@]}" --format json |
			child "$k.${last[0]}" "${last[@]:1}" >&"$out" &
		exec {in}<&-
	fi
	exec {out}>&-
	building=0
	((late == 0)) || on_signal $late
	unset ACCTFLOW_METRICS
}

# One of its programs has started: its pid is known, and a stop can reach it.
pipeline_started() {
	local k=$1 name pids=''
	for name in ${chain[k]}; do
		[[ -z ${live[$k.$name]-} ]] || pids+="${pids:+$'\n'}$name ${live[$k.$name]}"
	done
	[[ ${state[k]} != running ]] || state_write '>' "$run/pipelines/$k/pids" "$pids"
	[[ ! $stopping${failing[k]}${leaving[k]} ]] || pipeline_stop "$k"
}

# pipeline_first K: sets first_name, of the programs that live the one nearest the head. Fails where none does.
pipeline_first() {
	for first_name in ${chain[$1]}; do [[ ! -v live[$1.$first_name] ]] || return 0; done
	return 1
}

# Whether one has ended well before the one that feeds it, as when nobody reads the output any more; then early names it.
pipeline_gap() {
	local first_name
	pipeline_first "$1" || return 1
	for early in ${chain[$1]#*"$first_name"}; do [[ -v live[$1.$early] ]] || return 0; done
	return 1
}

# pipeline_ended K NAME STATUS
pipeline_ended() {
	local k=$1 early first_name
	if [[ $2 == claim ]]; then
		claim_judge "$k" "$3"
		return
	fi
	case $3 in
	0 | 141) ;; # 141: by SIGPIPE, which is an ordinary end
	1) [[ ${verdict[k]} != ok ]] || verdict[k]=strict ;;
	*) pipeline_failed "$@" ;;
	esac
	if ! pipeline_first "$k"; then
		# It has ended from its tail on, as when nobody reads the output.
		[[ ! -v due[$k] || ${failing[k]} ]] || closed[k]=true
		unset "due[$k]"
		round_judge "$k"
	elif [[ $stopping${failing[k]}${leaving[k]} ]]; then
		[[ -v due[$k] || ! ${failing[k]}$closing ]] || due_in "$k" 2000
		pipeline_stop "$k"
	elif [[ ! -v due[$k] ]] && pipeline_gap "$k"; then
		due_in "$k" 300
	fi
}

# pipeline_failed K NAME STATUS: the end of the round. The cause is whoever was killed or gave up for good; those that only
# follow exit 111, and those that we end are no cause either.
pipeline_failed() {
	local k=$1 how
	ended_how "$3"
	if (($3 > 128 && step[k] == 0)) && [[ ${cause[k]} == "$PERMANENT reader "* ]]; then
		# All before that is to get to its end: the next round does, and reader gives up again there.
		cause[k]='' verdict[k]=temporary
	elif (($3 != TEMPORARY && $3 <= 128)) && [[ $2 != reader || ${verdict[k]} != temporary ]]; then
		verdict[k]=permanent
	elif [[ ${verdict[k]} != permanent ]]; then
		verdict[k]=temporary
	fi
	if [[ ! ${cause[k]} ]] || ((step[k] == 0 && $3 != TEMPORARY && ${cause[k]%% *} == TEMPORARY)); then
		cause[k]="$3 $2 $2[$last_pid] $how"
	fi
	# A reader that gives up for good has emitted its end, and the others are to get there; or else they notice by themselves.
	[[ $2 == reader && $3 == "$PERMANENT" ]] || failing[k]=${failing[k]:-$2}
	log debug "$2[$last_pid] $how"
}

# pipeline_complain K MORE: names the cause, once.
pipeline_complain() {
	local status name words
	[[ ${cause[$1]} ]] || return 0
	read -r status name words <<<"${cause[$1]}"
	((${#owner[@]} == 1)) || words+=" (source \"${source[owner[$1]]}\", shard ${shard[$1]})"
	[[ $name == claim ]] || restart_note "$name" "$status"
	log warn "$words$2"
	cause[$1]=''
}

# All programs of the round have ended.
round_judge() {
	local k=$1 i=${owner[$1]} worst
	rm -f -- "$run/pipelines/$k/pids" || :
	[[ ${verdict[k]} != strict ]] || { worse "${result[k]}" 1 && result[k]=$worst; }
	! fleet_round "$k" || return 0
	case ${verdict[k]} in
	permanent)
		pipeline_complain "$k" ''
		# Whether a spool is needed any more is asked.
		if [[ ${spool[i]} && ! $stopping ]]; then claim_start "$k"; else pipeline_finish "$k" $PERMANENT; fi
		;;
	temporary)
		((SECONDS - began[k] <= 30)) || unset "tries[$k]"
		# TERM may have met its head before that could listen: then it has read nothing.
		if [[ ! $stopping || ${code[$k.${chain[k]%% *}]-} == 143 ]]; then
			pipeline_pause "$k"
		else
			pipeline_complain "$k" ''
			pipeline_finish "$k" $TEMPORARY
		fi
		;;
	*) if [[ ${kind[i]} == pending ]]; then pipeline_finish "$k" 0; else claim_start "$k"; fi ;;
	esac
}

# Waits a while before the next claim, unless we are to stop.
pipeline_pause() {
	local k=$1 delay
	if [[ $stopping ]]; then
		pipeline_complain "$k" ''
		pipeline_finish "$k" 0
	else
		restart_later "$k"
		pipeline_complain "$k" "; starting again in $delay ms"
		state[k]=pausing
	fi
}

# A pause is over, or patience is.
pipeline_due() {
	local k=$1 early name first_name
	if [[ ${state[k]} == pausing ]]; then
		claim_start "$k"
	elif [[ $stopping${leaving[k]} && ! ${failing[k]} ]] && pipeline_first "$k" && pipeline_lingers "$first_name" &&
		[[ ${heard[k]} != "$first_name" ]]; then
		heard[k]=$first_name
		child_signal TERM "$k.$first_name"
		[[ ! $closing ]] || due_in "$k" 2000
	elif [[ ${failing[k]} || $closing ]]; then
		# The others got a moment to end by themselves; then come less and less gentle hints.
		step[k]=$((step[k] == 0 ? 1 : 2))
		for name in ${chain[k]}; do
			if ((step[k] == 1)); then child_signal TERM "$k.$name"; else child_signal KILL "$k.$name"; fi
		done
		due_in "$k" 2000
	elif pipeline_gap "$k"; then
		pipeline_first "$k"
		# The one that feeds it may have been killed with its wrapper, and then nobody has reported that yet.
		if [[ ${wrapper[$k.$first_name]-} ]] && ! kill -0 "${wrapper[$k.$first_name]}" 2>/dev/null; then
			children_look
			return
		fi
		stopping="$early ended by itself" closing=true
		log info "$stopping; the rest follows"
		run_stop
	fi
}

# Whether it may have to wait once its input has ended.
pipeline_lingers() { [[ $1 == timerd || $1 == deliver ]]; }

# Asks it to stop: its head, once, and the rest sees the end of its input. Where the head has read all already it is timerd
# or deliver that waits, and that is asked when nothing more comes to it; a while later where another was asked as it ended.
pipeline_stop() {
	local k=$1 first_name
	[[ ${leaving[k]} != lost ]] || pipeline_kill "$k"
	case ${state[k]} in
	pausing | waiting | away) pipeline_finish "$k" 0 ;;
	running | claiming)
		[[ -v due[$k] || ! $closing ]] || due_in "$k" 2000
		pipeline_first "$k" && [[ ${live[$k.$first_name]} && ${heard[k]} != "$first_name" ]] && ((step[k] == 0)) || return 0
		[[ $first_name == "${chain[k]%% *}" ]] || { pipeline_lingers "$first_name" && [[ ! ${failing[k]} ]]; } || return 0
		if [[ ${heard[k]} ]]; then
			[[ -v due[$k] ]] || due_in "$k" 1000
			return
		fi
		heard[k]=$first_name
		child_signal TERM "$k.$first_name"
		;;
	esac
}

# pipeline_finish K RESULT
pipeline_finish() {
	local worst
	[[ ${state[$1]} != 'done' ]] || return 0
	state[$1]='done'
	unset "due[$1]"
	worse "${result[$1]}" "$2"
	result[$1]=$worst
	[[ ! $trace_to || $2 != 0 ]] || spans_remove "$1"
	[[ ! $fleet ]] || fleet_finish "$1"
	! input_ripe "${owner[$1]}" || input_finish "${owner[$1]}"
}
