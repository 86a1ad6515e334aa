# Claims: where a pipeline stands, asked of writer before each round, and what follows from it.
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

# Asks writer where the source stands, and fences off whoever held it. How the last round ended is still to be judged.
claim_start() {
	local k=$1 name
	for name in "${!claim[@]}"; do [[ $name != "$k".* ]] || unset "claim[$name]"; done
	round_begin "$k" claiming claim
	child_list "$k.claim" "$writer" claim --source "${source[owner[k]]}" --shard "${shard[k]}" "${machine_args[@]}"
}

# claim_judge K STATUS
claim_judge() {
	local k=$1 i=${owner[$1]} seconds how
	unset "due[$k]"
	ended_how "$2"
	cause[k]="$2 claim writer claim[$last_pid] $how"
	if (($2 == 0)) && [[ ${claim[$k.token]-} ]]; then
		cause[k]='' known=true
		anchor_keep "${claim[$k.anchor]-}"
		[[ ! $db_silent ]] || { seconds_since "$db_silent" && log info "the database answers again after $seconds s"; }
		db_silent=''
		if [[ ${looked[i]} ]]; then
			pipeline_claimed "$k"
		elif [[ $stopping ]]; then
			pipeline_finish "$k" 0
		else
			state[k]=waiting
			input_look "$i"
		fi
	elif (($2 == PERMANENT)) && [[ ${opt[again]-} && ! ${looked[i]} ]]; then
		refused[i]=true state[k]=waiting
		input_look "$i"
	elif (($2 == 0 || $2 == TEMPORARY || $2 > 128)); then
		db_silent=${db_silent:-${EPOCHREALTIME/./}}
		[[ ! $stopping ]] || cause[k]=''
		pipeline_pause "$k"
	else
		pipeline_complain "$k" ''
		pipeline_finish "$k" $PERMANENT
	fi
}

# A claim that is not the first: whether the source is done, or another round is needed. Where each program says that it is
# done, so it must be.
pipeline_claimed() {
	local k=$1 now=${claim[$1.committed]-}/${claim[$1.delivered]-}/${claim[$1.pending]-} well=''
	[[ ${verdict[k]} != ok && ${verdict[k]} != strict ]] || well=true
	if [[ ${verdict[k]} == permanent ]]; then
		pipeline_finish "$k" $PERMANENT
	elif [[ $stopping ]] || { [[ $well ]] && { pipeline_over "$k" || pipeline_partial "$k"; }; }; then
		pipeline_finish "$k" 0
	elif [[ $now == "${before[k]}" && $well ]]; then
		if ((++idle[k] < 5)); then
			verdict[k]=''
			pipeline_pause "$k"
		else
			log error "source \"${source[owner[k]]}\" was read to its end but does not get done"
			pipeline_finish "$k" $TEMPORARY
		fi
	else
		[[ $now == "${before[k]}" ]] || { before[k]=$now idle[k]=0 && unset "tries[$k]"; }
		pipeline_start "$k"
	fi
}

# Whether it is done; or, where earlier runs left it, only callbacks are awaited, which `run` without INPUT takes up.
pipeline_over() {
	[[ ${claim[$1.done]-} != true ]] || return 0
	nowait "${owner[$1]}" && [[ ${claim[$1.complete]-} == true && ${claim[$1.committed]-} == "${claim[$1.delivered]-}" ]]
}

# Whether its input need not be read to its end. Where it must be, and was, and the claim does not say so, the database has
# gone back since.
pipeline_partial() {
	local k=$1 i=${owner[$1]}
	[[ ${claim[$k.complete]-} != true ]] && { [[ ${count[i]}${closed[k]} ]] || one_of "${kind[i]}" follow left; }
}
