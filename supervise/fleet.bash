# A fleet: several machines run the same inputs and share their pipelines by leases, which `writer lease` keeps in the
# database (see writer/lease.c). Here stands what a pipeline does as its lease comes and goes. Beside the states of
# pipeline.bash there is `away`: another machine works on it, or nobody does yet.
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

readonly LEASE_MS=${ACCTFLOW_LEASE_MS:-5000} # so long a lease holds, as writer/lease.c says; tests prolong it

fleet='' machine=''       # whether there is one; our name in it, a new one after we were expelled
joined='' incarnation=0   # whether that name was answered to; how many we had
machine_args=()           # for claim
lease_args=()             # for ack
list='' list_number=0     # what `writer lease` is told, and its number
renewed=0 lease_silent='' # when the leases were renewed last, in us; whether that fails
held=''                   # how many we have
declare -A answer=()      # what `writer lease` said, by pipeline
told=()                   # what it was told: w wanted, l left, d done, r refused
# Why a pipeline leaves us, or what is to be reported of it:
#   asked  another machine wants it, and its programs are to end   lost     it is another's, and they are killed
#   left   they have ended                                         doubt    one of them says that it is another's;
#   done   as it says                                              doubted  that was reported
#   refused  it cannot be worked on here
leaving=()
parting='' # whether we leave the fleet

fleet_options() {
	local i name
	fleet=${opt[fleet]-}
	[[ $fleet ]] || return 0
	for name in again follow count; do
		[[ ! ${opt[$name]-} ]] || misused "--$name is not for a fleet, whose machines begin and end at any time"
	done
	((${#source[@]} + ${#topic[@]})) || misused '--fleet wants an INPUT: the same on all machines'
	for i in "${!source[@]}"; do
		[[ ${kind[i]} == file ]] || misused "--fleet is for files and topics of Kafka: \"${source[i]}\" can only be read by one machine"
		[[ ${source[i]} != *$'\n'* ]] || misused '--fleet wants sources without a line feed in their names'
	done
	! db_private || misused '--fleet wants a database that all machines reach; see --db'
}

# Takes a new name and a new lease: what still runs under the old one is not to go on by the new one.
fleet_join() {
	printf -v machine '%s-%08x' "${HOSTNAME:-machine}" "$SRANDOM"
	joined=''
	machine_args=(--machine "$machine")
	lease_args=(--lease "$run/lease.$((++incarnation))")
	answer=()
	rm -f -- "${lease_args[1]}"
	state_write '>' "$run/machine" "$machine"
	lease_tell
	lease_start
}

# pipeline_enter K: begins with it; in a fleet once it is ours.
pipeline_enter() {
	if [[ $fleet ]]; then state[$1]=away && due_in s.lease 0; else claim_start "$1"; fi
}

# Writes down for `writer lease` what has changed. It renews by itself, so that a lease does not end because we have much to do.
lease_tell() {
	local k lines='' again=''
	due_in s.lease 1000
	# Without a lease ack holds callbacks back, and a stop would wait for it.
	if [[ $stopping ]] && ((${EPOCHREALTIME/./} - renewed > LEASE_MS * 1000)); then
		for k in "${!owner[@]}"; do child_signal TERM "$k.ack"; done
	fi
	for k in "${!owner[@]}"; do
		told[k]=w
		case ${leaving[k]} in
		left) told[k]=l ;;
		'done') told[k]=d ;;
		refused) told[k]=r ;;
		doubt) leaving[k]=doubted again=true ;;
		esac
		[[ ! $stopping || ${state[k]} != away ]] || told[k]=l
		lines+=$'\n'"$k ${told[k]} ${shard[k]} ${base[owner[k]]}"
	done
	[[ $lines != "$list" || $again ]] || return 0
	list=$lines
	state_write '>' "$run/lease.list" "$((++list_number))$lines"
}

# What it prints is an event of ours.
lease_start() {
	local join=(--join)
	[[ ! $joined ]] || join=()
	[[ ! $lease_silent ]] || join+=(--log-level error)
	[[ -e $run/lease.list ]] || state_write '>' "$run/lease.list" 0
	live[s.renew]=''
	child s.renew "$writer" lease "${machine_args[@]}" "${lease_args[@]}" --list "$run/lease.list" --prefix 's.renew line ' "${join[@]}" \
		</dev/null >&"$events" &
}

# lease_line WORD...: what it says. All answers are there once it has renewed by the newest list.
lease_line() {
	local k had=$held
	case $1 in
	renewed)
		[[ ! $lease_silent ]] || log info 'the leases are renewed again'
		joined=true renewed=${EPOCHREALTIME/./} lease_silent=''
		(($2 == list_number)) || return 0
		held=0
		for k in "${!told[@]}"; do lease_apply "$k" ${answer[$k]-}; done
		[[ $held == "$had" ]] || state_write '>' "$run/leases" "$held"
		;;
	failed) lease_fails ;;
	*) answer[$1]=${2-} ;;
	esac
}

lease_fails() {
	[[ $lease_silent ]] || log warn 'could not renew the leases; unless that changes soon other machines take over'
	lease_silent=true
}

# lease_ended STATUS
lease_ended() {
	local delay
	[[ ! $parting ]] || return 0
	if [[ -v answer[expelled] ]]; then
		fleet_expelled
	elif (($1 == PERMANENT)) && [[ ! $stopping ]]; then
		result=$PERMANENT stopping='the leases cannot be kept'
		run_stop
	else
		lease_fails
		restart_later s.renew
	fi
}

fleet_expelled() {
	local k
	log warn "machine $machine was silent for too long, and others have taken over; it joins anew"
	for k in "${!owner[@]}"; do lease_lose "$k"; done
	fleet_join
}

# lease_apply K ANSWER
lease_apply() {
	local k=$1
	[[ ${leaving[k]} != left || ${told[k]} != l ]] || leaving[k]=''
	case ${2-} in
	mine)
		held=$((held + 1))
		if [[ ${leaving[k]} == doubted ]]; then
			pipeline_complain "$k" ''
			pipeline_finish "$k" $PERMANENT
		elif [[ ${state[k]} == away && ! ${leaving[k]}$stopping ]]; then
			before[k]='' idle[k]=0 verdict[k]='' cause[k]=''
			claim_start "$k"
		fi
		;;
	asked) lease_hand_over "$k" ;;
	other | free) lease_lose "$k" ;;
	'done')
		lease_lose "$k"
		[[ ${state[k]} != away ]] || pipeline_finish "$k" 0
		;;
	esac
}

# Another machine is to have more work: ends in the ordinary way here.
lease_hand_over() {
	local k=$1
	held=$((held + 1))
	case ${state[k]} in
	running)
		[[ ! ${leaving[k]} ]] || return 0
		log info "another machine takes over source \"${source[owner[k]]}\", shard ${shard[k]}"
		leaving[k]=asked
		pipeline_stop "$k"
		;;
	pausing | waiting | away) pipeline_away "$k" left ;;
	esac
}

# It is another's already: its programs are killed, or what they do would only be refused.
lease_lose() {
	local k=$1
	case ${state[k]} in
	running)
		[[ ${leaving[k]} == lost ]] || log warn "source \"${source[owner[k]]}\", shard ${shard[k]}, is not ours any more; ending its programs"
		leaving[k]=lost
		pipeline_kill "$k"
		;;
	pausing | waiting | away) pipeline_away "$k" '' ;;
	esac
}

pipeline_kill() {
	local name
	for name in ${chain[$1]}; do child_signal KILL "$1.$name"; done
}

# pipeline_away K LEAVING
pipeline_away() {
	state[$1]=away leaving[$1]=$2
	unset "due[$1]"
	rm -rf -- "$run/pipelines/$1"
	[[ ! $2 ]] || due_in s.lease 0
	# The others may have waited for it.
	[[ ${looked[owner[$1]]} ]] || input_look "${owner[$1]}"
}

# fleet_round K: a round has ended; succeeds where it is settled by that. What gave up for good may have been fenced off:
# the next answer says so.
fleet_round() {
	[[ $fleet ]] || return 1
	case ${leaving[$1]}${stopping:+stopping} in
	lost) pipeline_away "$1" '' ;;
	loststopping) pipeline_finish "$1" 0 ;;
	asked) pipeline_away "$1" left ;;
	'') [[ ${verdict[$1]} == permanent ]] && pipeline_away "$1" doubt ;;
	*) return 1 ;;
	esac
}

# fleet_finish K: it is done here, or ended.
fleet_finish() {
	leaving[$1]=refused
	((result[$1] > 1)) || leaving[$1]='done'
	[[ ! $stopping ]] || leaving[$1]=left
	due_in s.lease 0
}

# Others take over at once.
fleet_leave() {
	local status
	parting=true
	services_end s.renew
	[[ ! $machine ]] || call "$writer" lease --leave "${machine_args[@]}" </dev/null
}
