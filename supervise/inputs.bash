# The inputs of a run: what each is, the first look at it, and its end.
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

readonly HEAD_BYTES=65536 # of a longer file only so many are known until it was read to its end
readonly SETTLED=(seed arrival delay-ms speed map clock epoch)
asked='' # whether an INPUT was named
known='' # whether the database has answered
shards=1
out_format=()

# By the input's number. kind: file; spool (copied first); follow; left (a spool of an earlier run); kafka; pending; redrive.
kind=() path=() source=()
pipelines=()         # the numbers of its pipelines
base=() number=()    # of NAME#number
broken=()            # whether an array broke off
looked=() refused=() # whether the first look has decided; whether a claim of it was refused
first=() count=()    # the first record of this run, how many
spool=() origin=()   # its folder, the first record there
read_before=()       # the fingerprint of a file that was read before
clash=()             # what was asked for and contradicts what the source was begun with
declare -A keep=()   # settings that hold, by "I.NAME"
declare -A given=()  # settings that are asked for

# input_add KIND PATH SOURCE SHARDS|SHARD: with its pipelines.
input_add() {
	local i=${#source[@]} n name
	kind[i]=$1 path[i]=$2 source[i]=$3 base[i]=$3 number[i]=1 looked[i]='' refused[i]='' first[i]=0 count[i]=''
	spool[i]='' origin[i]=0 clash[i]='' read_before[i]='' from[i]='' trimmed[i]=0
	[[ $1 == left ]] || for name in "${SETTLED[@]}" strict count; do given[$i.$name]=${opt[$name]-}; done
	[[ $1 != kafka ]] || given[$i.map]=${opt[map]:-kafka}
	[[ $4 != */* ]] || pipeline_add "$i" "$4"
	[[ $4 == */* ]] || for ((n = 0; n < $4; n++)); do pipeline_add "$i" "$n/$4"; done
}

# Whether its callbacks are not waited for: what is left of earlier runs does not hold up what is new.
nowait() { [[ $asked && ${kind[$1]} == left ]]; }

# input_ripe INPUT: whether all of its pipelines are done. input_waits INPUT: whether all that are not another machine's
# wait for it; sets ours, those that wait.
input_ripe() {
	local k
	for k in ${pipelines[$1]}; do [[ ${state[k]} == 'done' ]] || return 1; done
}
input_waits() {
	local k
	ours=()
	for k in ${pipelines[$1]}; do
		case ${state[k]} in
		waiting) ours+=("$k") ;;
		away | 'done') [[ $fleet ]] || return 1 ;;
		*) return 1 ;;
		esac
	done
	((${#ours[@]}))
}

# inputs_read INPUT...: what each is, before anything is started.
inputs_read() {
	local input name file descriptor how
	# What is left of it may be finished from another folder.
	[[ ${opt[map]-} != *[/.]* ]] || opt[map]=$(realpath -m -- "${opt[map]}")
	for input; do
		[[ $input ]] || misused 'an INPUT is empty: a file, - or kafka://HOST:PORT,…/TOPIC is wanted'
		[[ $input != kafka://* ]] || { topic_add "$input" && continue; }
		descriptor='' file=''
		case $input in
		-) descriptor=0 ;;
		/dev/stdin) [[ -f $input ]] || descriptor=0 ;;
		/dev/fd/* | /proc/self/fd/*) [[ -f $input ]] || descriptor=${input##*/} ;;
		esac
		if [[ $descriptor ]]; then
			[[ -e /proc/self/fd/$descriptor ]] || fail $PERMANENT "input \"$input\" is closed"
			name=$(date -u "+stdin-%Y%m%dT%H%M%SZ-$$")
			((${#source[@]} == 0)) || name+=-${#source[@]}
		else
			[[ ! -d $input ]] || fail $PERMANENT "input \"$input\" is a directory"
			file=$(realpath -m -- "$input")
			name=$file
			[[ ! -e $input || -r $input ]] || fail $PERMANENT "input \"$input\" cannot be read by user $(id -un)"
		fi
		name=${opt[source]:-${ACCTFLOW_SOURCE:-$name}}
		# A file that is followed may just have been renamed: then its spool knows where to go on.
		[[ $descriptor || -e $input || (${opt[follow]-} && -d $(spool_path "$name")) ]] || fail $PERMANENT "input \"$input\" does not exist"
		! one_of "$name" "${source[@]}" || misused "source \"$name\" was given twice"
		how=spool
		[[ ! -f $file ]] || how='file'
		[[ ! ${opt[follow]-} || $descriptor ]] || how=follow
		input_add $how "$file" "$name" "$shards"
		[[ $how == spool ]] || continue
		if [[ ! $file ]]; then
			exec {descriptor}<&"$descriptor"
		elif [[ ! -p $file ]]; then
			exec {descriptor}<"$file" || fail $PERMANENT "could not open input \"$input\""
		fi
		from[-1]=$descriptor
	done
}

# same_setting NAME A B: whether two ways of writing it mean the same.
same_setting() {
	case $1 in
	speed) [[ $2 =~ ^[0-9.]+$ ]] && awk -v a="$2" -v b="$3" 'BEGIN { exit !(a + 0 == b + 0) }' ;;
	epoch) [[ $(date -u -d "$2" +%s.%6N 2>/dev/null) == "$(date -u -d "$3" +%s.%6N 2>/dev/null)" ]] ;;
	*) [[ $2 == "$3" ]] ;;
	esac
}

# settings_keep INPUT K: what a source was begun with holds until it is done. All shards draw from one seed, and all machines
# of a fleet.
settings_keep() {
	local i=$1 name old new
	clash[i]=''
	for name in "${SETTLED[@]}"; do
		old=${claim[$2.${name/delay-ms/delayMs}]-} new=${given[$i.$name]-}
		keep[$i.$name]=${old:-$new}
		[[ ! $old || ! $new ]] || same_setting "$name" "$new" "$old" || clash[i]="--$name $old, not $new"
	done
	if [[ $fleet && ! ${keep[$i.seed]} ]]; then keep[$i.seed]=$(cksum <<<"${source[i]}") keep[$i.seed]=${keep[$i.seed]%% *}; fi
	keep[$i.seed]=${keep[$i.seed]:-$((SRANDOM << 20 ^ SRANDOM))}
}

# input_look INPUT: once all of its pipelines are claimed: whether there is anything to do, and whether it may be done as
# asked. What is copied goes on behind what was read.
input_look() {
	local i=$1 k finished=true print='' ours
	broken[i]=''
	input_waits "$i" || return 0
	for k in "${ours[@]}"; do
		print=${print:-${claim[$k.fingerprint]-}}
		[[ ${claim[$k.done]-} == true ]] || finished=''
		[[ ${claim[$k.broken]-} != true ]] || broken[i]=true
	done
	settings_keep "$i" "${ours[0]}"
	if [[ ${opt[again]-} && ${kind[i]} != left ]] && [[ ${number[i]} == 1 || $finished${clash[i]}${refused[i]} ]]; then
		input_rename "$i"
		return
	fi
	# A partition that was read anew goes on there.
	if [[ ${kind[i]} == kafka ]] && ((${claim[${pipelines[i]}.again]:-0} > number[i])) && [[ ! ${opt[again]-} ]]; then
		number[i]=$((claim[${pipelines[i]}.again] - 1))
		input_rename "$i"
		return
	fi
	looked[i]=true
	! one_of "${kind[i]}" left spool kafka || finished=''
	if [[ ${kind[i]} == file && $print && $finished${broken[i]} ]]; then
		read_before[i]=$print
		keeper='' child_start "i$i.compare" "$reader" -n 0 --fingerprint "$print" --source "${source[i]}" -- "${path[i]}" 2>/dev/null
	elif [[ $stopping ]]; then
		input_end "$i" 0
	elif [[ $finished ]]; then
		input_done "$i"
	else
		input_begin "$i"
	fi
}

# input_rename INPUT: it is read anew under the next number.
input_rename() {
	local i=$1 k
	if [[ ${refused[i]} ]] && ((number[i] > 2)); then
		input_end "$i" $PERMANENT
		return
	fi
	source[i]="${base[i]}#$((++number[i]))" looked[i]='' refused[i]=''
	for k in ${pipelines[i]}; do claim_start "$k"; done
}

# input_end INPUT RESULT [MESSAGE]: without a round.
input_end() {
	local k
	[[ ! ${3-} ]] || log error "$3"
	for k in ${pipelines[$1]}; do
		# What another machine has is not done because ours is.
		[[ ${state[k]} == away && $2 == 0 && ! $stopping ]] || pipeline_finish "$k" "$2"
	done
}

input_done() {
	log info "source \"${source[$1]}\" was read to its end and nothing is pending; --again reads it anew"
	input_end "$1" 0
}

# input_compared INPUT STATUS: whether its file begins as it did when it was read before. Lines that were only appended are
# read on, unless they are put in order of arrival; an array that broke off is read anew once it has changed.
input_compared() {
	local i=$1 k old=${read_before[$1]%%:*} new sizes
	new=$(stat -L -c %s -- "${path[i]}") || new=0
	sizes="its file has changed since ($old to $new bytes)"
	if [[ $stopping ]]; then
		input_end "$i" 0
	elif (($2 && $2 != PERMANENT)); then
		input_end "$i" $TEMPORARY "could not read \"${path[i]}\" again: reader exited $2"
	elif (($2 == 0 && (new == old || old == HEAD_BYTES))); then
		if [[ ${broken[i]} ]]; then input_begin "$i"; else input_done "$i"; fi
	elif [[ ${broken[i]} ]]; then
		log info "source \"${source[i]}\" broke off, and $sizes: it is read anew as \"${base[i]}#$((number[i] + 1))\""
		input_rename "$i"
	elif (($2 == 0)) && ! is_array "${path[i]}" && [[ ${keep[$i.arrival]} != offset ]]; then
		log info "source \"${source[i]}\" has grown since it was read ($old to $new bytes): reading on"
		input_begin "$i"
	else
		input_end "$i" $PERMANENT "source \"${source[i]}\" was read to its end, and $sizes; --again reads it anew"
	fi
}

is_array() { [[ $(head -c 4096 -- "$1" | tr -d '\357\273\277 \t\r\n\0') == '['* ]]; }

# input_begin INPUT: the copier, if it needs one, and the first round of each pipeline.
input_begin() {
	local i=$1 k least='' most=-1 delivered
	if [[ ${clash[i]} ]]; then
		input_end "$i" $PERMANENT "source \"${source[i]}\" was begun with ${clash[i]}; leave that option away to finish it, or add --again to read it anew"
		return
	fi
	for k in ${pipelines[i]}; do
		delivered=${claim[$k.delivered]:--1}
		[[ $least ]] && ((least <= delivered)) || least=$delivered
		((${claim[$k.committed]:--1} <= most)) || most=${claim[$k.committed]}
		before[k]=${claim[$k.committed]-}/${claim[$k.delivered]-}/${claim[$k.pending]-}
	done
	first[i]=${given[$i.first]:-$((least + 1))} origin[i]=$((most + 1)) count[i]=${given[$i.count]-}
	case ${kind[i]} in spool | follow | left)
		spool[i]=$(spool_path "${source[i]}")
		spool_make "$i" || {
			spool[i]=''
			input_end "$i" $TEMPORARY "could not write the spool \"$(spool_path "${source[i]}")\""
			return
		}
		due_in "i$i.trim" 1000
		[[ ${kind[i]} == left ]] || copier_start "$i"
		;;
	esac
	for k in ${pipelines[i]}; do [[ ${state[k]} != waiting ]] || pipeline_start "$k"; done
}

# input_finish INPUT: all of its pipelines are done. Its copier may still read, as where --count is reached.
input_finish() {
	unset "due[i$1.trim]"
	if [[ -v live[i$1.copier] ]]; then
		child_signal TERM "i$1.copier"
		due_in "i$1.copier" 3000
	else
		input_close "$1"
	fi
}

# input_close INPUT: its spool goes where all of it is delivered.
input_close() {
	local i=$1 k
	unset "due[i$i.copier]" "due[i$i.hold]"
	[[ ${kind[i]} != redrive ]] || redrive_close "$i"
	[[ ${spool[i]} ]] || return 0
	for k in ${pipelines[i]}; do
		if [[ ${claim[$k.done]-}${claim[$k.complete]-}${claim[$k.broken]-} != *true* || ${claim[$k.committed]-} != "${claim[$k.delivered]-}" ]]; then
			[[ ${kind[i]} == follow ]] || log info "what was read of source \"${source[i]}\" and is not finished is kept; run takes it up"
			return 0
		fi
	done
	spool_remove "$i"
}
