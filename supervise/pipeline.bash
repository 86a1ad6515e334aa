# One shard of one source: claimed, run as reader | writer | timerd | ack, judged, and begun again after a pause where
# something was lacking. Pipelines know nothing of each other. Each is in one of these states:
#
#   claiming  `writer claim` runs                 pausing  until due
#   waiting   claimed; its input is looked at     done     with a result
#   running   its programs run
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

# By the pipeline's number:
owner=() shard=() state=() result=()
chain=()            # the names of the programs that were started, head first
due=()              # when a pause is over, or patience is; us, 0 for never
tries=()            # that failed, for the backoff
idle=()             # rounds that ended well and brought nothing
before=()           # where it stood at the last claim
began=()            # when the round began, in s
verdict=()          # of the round: ok, strict, temporary, permanent; empty where that is judged already
after=()            # the verdict that the claim is to confirm
failing=()          # the child that ended badly first
cause=()            # in words
told=()             # whether it was asked to stop
step=()             # how often those that linger were hinted to end
away=()             # since when the claim fails
declare -A claim=() # what `writer claim` printed, by "K.NAME"

# pipeline_add INPUT SHARD
pipeline_add() {
	local k=${#owner[@]}
	owner[k]=$1 shard[k]=$2 state[k]='' result[k]=0 chain[k]='' due[k]=0 tries[k]=0 idle[k]=0 before[k]='' began[k]=0
	verdict[k]='' failing[k]='' cause[k]='' told[k]='' step[k]=0 away[k]=''
}

# backoff TRY: sets delay, in ms: 100 doubling to 10,000, the upper half of it at random.
backoff() {
	local most=10000
	(($1 > 6)) || most=$((100 << $1))
	delay=$((most / 2 + RANDOM % (most / 2 + 1)))
}

# round_begin K STATE NAME...: the names of the programs that are started next.
round_begin() {
	local name
	state[$1]=$2 chain[$1]=${*:3} due[$1]=0 failing[$1]='' cause[$1]='' told[$1]='' step[$1]=0 verdict[$1]=ok
	for name in "${@:3}"; do live[$1.$name]=''; done
}

# Asks writer where the source stands, and fences off whoever held it. How the last round ended is still to be judged.
claim_start() {
	local k=$1 i=${owner[$1]} name
	after[k]=${verdict[k]}
	for name in "${!claim[@]}"; do [[ $name != "$k".* ]] || unset "claim[$name]"; done
	round_begin "$k" claiming claim lines
	child "$k.claim" "$writer" claim --source "${source[i]}" --shard "${shard[k]}" </dev/null | child_lines "$k.lines" &
}

claim_judge() {
	local k=$1 i=${owner[$1]} now
	if [[ ${verdict[k]} == ok && ${claim[$k.token]-} ]]; then
		[[ ! ${away[k]} ]] || log info "the database answers again after $(seconds_since "${away[k]}") s"
		away[k]='' known=true
		if [[ ${looked[i]} ]]; then
			pipeline_claimed "$k"
		elif [[ $stopping ]]; then
			pipeline_finish "$k" 0
		else
			state[k]=waiting
			input_look "$i"
		fi
	elif [[ ${verdict[k]} == permanent && ${opt[again]-} && ! ${looked[i]} ]]; then
		refused[i]=true state[k]=waiting
		input_look "$i"
	elif [[ ${verdict[k]} == permanent ]]; then
		pipeline_complain "$k" ''
		pipeline_finish "$k" $PERMANENT
	else
		away[k]=${away[k]:-${EPOCHREALTIME/./}}
		[[ ! $stopping ]] || cause[k]=''
		pipeline_pause "$k"
	fi
}

# A claim that is not the first: whether the source is done, or another round is needed.
pipeline_claimed() {
	local k=$1 now=${claim[$1.committed]-}/${claim[$1.delivered]-}/${claim[$1.pending]-} ended=${after[$1]}
	if [[ $ended == permanent ]]; then
		pipeline_finish "$k" $PERMANENT
		return
	elif [[ $ended == ok || $ended == strict ]]; then
		# Each program says it is done: then so it must be, or reader was asked to end.
		if pipeline_over "$k" || [[ ${claim[$k.complete]-} != true || $stopping ]]; then
			pipeline_finish "$k" 0
			return
		fi
	fi
	if [[ $stopping ]]; then
		pipeline_finish "$k" 0
	elif [[ $now != "${before[k]}" ]]; then
		before[k]=$now tries[k]=0 idle[k]=0
		pipeline_start "$k"
	elif [[ $ended == ok || $ended == strict ]]; then
		if ((++idle[k] >= 5)); then
			log error "source \"${source[owner[k]]}\" was read to its end but does not get done"
			pipeline_finish "$k" $TEMPORARY
		else
			pipeline_pause "$k"
		fi
	else
		pipeline_start "$k"
	fi
}

# Whether it is done; or, where earlier runs left it, only callbacks are awaited, which `run` without INPUT takes up.
pipeline_over() {
	[[ ${claim[$1.done]-} != true ]] || return 0
	[[ ${nowait[owner[$1]]} && ${claim[$1.complete]-} == true && ${claim[$1.committed]-} == "${claim[$1.delivered]-}" ]]
}

pipeline_start() {
	local k=$1 i=${owner[$1]} name next args=() clock=() timer=() resume
	next=$((${claim[$k.delivered]:--1} + 1))
	resume=(--resume --token "${claim[$k.token]}" --source "${source[i]}" --shard "${shard[k]}")
	for name in clock epoch; do
		[[ -z ${keep[$i.$name]-} ]] || clock+=("--$name" "${keep[$i.$name]}")
	done
	began[k]=$SECONDS
	mkdir -p -- "$run/pipelines/$k" 2>/dev/null || :
	state_write '>' "$run/pipelines/$k/name" "${source[i]} ${shard[k]}"
	export ACCTFLOW_METRICS=$run/pipelines/$k
	if [[ ${kind[i]} == pending ]]; then
		round_begin "$k" running pending timerd ack
		child "$k.pending" "$writer" pending "${resume[@]:1}" --format json </dev/null |
			child "$k.timerd" "$timerd" "${clock[@]}" --format json |
			child "$k.ack" "$writer" ack "${resume[@]}" --output-lock "$run/output.lock" "${out_format[@]}" &
		unset ACCTFLOW_METRICS
		return
	fi
	args=(--source "${source[i]}" --shard "${shard[k]}" --from "$next" --format json)
	for name in seed arrival delay-ms speed; do
		[[ -z ${keep[$i.$name]-} ]] || args+=("--$name" "${keep[$i.$name]}")
	done
	[[ -z ${opt[strict]-} ]] || args+=(--strict)
	[[ ! ${nowait[i]} ]] || timer=(--no-wait)
	if [[ ${left[i]} ]]; then
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
		args+=(-- "${path[i]}")
	fi
	round_begin "$k" running reader writer timerd ack
	child "$k.reader" "$reader" "${clock[@]}" "${args[@]}" </dev/null |
		child "$k.writer" "$writer" "${clock[@]}" "${resume[@]}" --format json |
		child "$k.timerd" "$timerd" "${clock[@]}" --resume "${timer[@]}" --format json |
		child "$k.ack" "$writer" ack "${resume[@]}" --output-lock "$run/output.lock" "${out_format[@]}" &
	unset ACCTFLOW_METRICS
}

# One of its programs has started: its pid is known, and a stop can reach it.
pipeline_started() {
	local k=$1 name pids=''
	for name in ${chain[k]}; do
		[[ -z ${live[$k.$name]-} ]] || pids+="${pids:+$'\n'}$name ${live[$k.$name]}"
	done
	[[ ${state[k]} != running ]] || state_write '>' "$run/pipelines/$k/pids" "$pids"
	[[ ! $stopping && ! ${failing[k]} ]] || pipeline_stop "$k"
}

# pipeline_lives K: whether one of its programs does.
pipeline_lives() {
	local name
	for name in ${chain[$1]}; do
		[[ ! -v live[$1.$name] ]] || return 0
	done
	return 1
}

# Whether one has ended well before the one that feeds it, as when nobody reads the output any more; then early names it.
pipeline_gap() {
	local name lives=''
	for name in ${chain[$1]}; do
		early=$name
		[[ ! $lives || -v live[$1.$name] ]] || return 0
		[[ ! -v live[$1.$name] ]] || lives=true
	done
	return 1
}

# pipeline_ended K NAME STATUS
pipeline_ended() {
	local k=$1 early
	case $3 in
	0 | 141) ;; # 141: by SIGPIPE, which is an ordinary end
	1) [[ ${verdict[k]} != ok ]] || verdict[k]=strict ;;
	*) pipeline_failed "$@" ;;
	esac
	if ! pipeline_lives "$k"; then
		due[k]=0
		if [[ ${state[k]} == claiming ]]; then claim_judge "$k"; else round_judge "$k"; fi
	elif [[ ${failing[k]} || $stopping ]]; then
		((due[k])) || [[ ! ${failing[k]}$closing ]] || due[k]=$((${EPOCHREALTIME/./} + 2000000))
		pipeline_stop "$k"
	elif ((due[k] == 0)) && [[ ${state[k]} == running ]] && pipeline_gap "$k"; then
		due[k]=$((${EPOCHREALTIME/./} + 300000))
	fi
}

# pipeline_failed K NAME STATUS: the end of the round. The cause is whoever was killed or gave up for good; those that only
# follow exit 111, and those that we end are no cause either.
pipeline_failed() {
	local k=$1 how="exited $3"
	(($3 < 129)) || how="was killed by signal $(($3 - 128))"
	if (($3 == TEMPORARY || $3 > 128)); then
		[[ ${verdict[k]} == permanent ]] || verdict[k]=temporary
	else
		verdict[k]=permanent
	fi
	if [[ ! ${cause[k]} ]] || ((step[k] == 0 && $3 != TEMPORARY && ${cause[k]%% *} == TEMPORARY)); then
		cause[k]="$3 $2 ${2/#claim/writer claim}[$last_pid] $how"
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
	local k=$1 i=${owner[$1]}
	rm -f -- "$run/pipelines/$k/pids"
	[[ ${verdict[k]} != strict ]] || result[k]=$(worse "${result[k]}" 1)
	case ${verdict[k]} in
	permanent)
		pipeline_complain "$k" ''
		# Whether a spool is needed any more is asked.
		if [[ ${spool[i]} && ! $stopping ]]; then claim_start "$k"; else pipeline_finish "$k" $PERMANENT; fi
		;;
	temporary)
		if [[ ! $stopping ]]; then
			((SECONDS - began[k] <= 30)) || tries[k]=0
			pipeline_pause "$k"
		else
			pipeline_complain "$k" ''
			# TERM may have met reader before it could listen: then it has read nothing.
			if [[ ${code[$k.reader]-} == 143 ]]; then pipeline_finish "$k" 0; else pipeline_finish "$k" $TEMPORARY; fi
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
		return
	fi
	backoff "$((tries[k]++))"
	pipeline_complain "$k" "; starting again in $delay ms"
	verdict[k]='' state[k]=pausing due[k]=$((${EPOCHREALTIME/./} + delay * 1000))
}

# A pause is over, or patience is.
pipeline_due() {
	local k=$1 early name signal=TERM
	due[k]=0
	if [[ ${state[k]} == pausing ]]; then
		claim_start "$k"
	elif [[ ${failing[k]} || $stopping ]]; then
		# The others got a moment to end by themselves; then come less and less gentle hints.
		((step[k] == 0)) || signal=KILL
		for name in ${chain[k]}; do child_signal $signal "$k.$name"; done
		step[k]=$((step[k] + 1)) due[k]=$((${EPOCHREALTIME/./} + 2000000))
	elif pipeline_gap "$k"; then
		stopping="$early ended by itself" closing=true
		log info "$stopping; the rest follows"
		run_stop
	fi
}

# Asks it to stop, once: its head, and the rest sees the end of its input. Where the head has read all already it is timerd
# that waits, and that is asked when nothing more comes to it.
pipeline_stop() {
	local k=$1 name
	case ${state[k]} in
	pausing | waiting) pipeline_finish "$k" 0 ;;
	running | claiming)
		((due[k])) || [[ ! $closing ]] || due[k]=$((${EPOCHREALTIME/./} + 2000000))
		for name in ${chain[k]}; do
			[[ -v live[$k.$name] ]] || continue
			if [[ ! ${told[k]} && ${live[$k.$name]} && ($name == "${chain[k]%% *}" || ($name == timerd && ! ${failing[k]})) ]]; then
				told[k]=true
				child_signal TERM "$k.$name"
			fi
			return 0
		done
		;;
	esac
}

# worse A B: which of two exit codes the run has: 100 before 111 before 1 before 0.
worse() {
	local code
	for code in $PERMANENT $TEMPORARY 1 0; do
		[[ $1 != "$code" && $2 != "$code" ]] || { echo "$code" && return; }
	done
}

# pipeline_finish K RESULT
pipeline_finish() {
	[[ ${state[$1]} != 'done' ]] || return 0
	state[$1]='done' due[$1]=0
	result[$1]=$(worse "${result[$1]}" "$2")
	input_ripe "${owner[$1]}" || return 0
	input_finish "${owner[$1]}"
}
