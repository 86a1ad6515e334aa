# The inputs of a run: what each is, the first look at it, and its end.
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

asked='' # whether an INPUT was named
known='' # whether the database has answered
shards=1
out_format=()

# By the input's number. kind: file; spool (copied first); follow; left (a spool of an earlier run); pending.
kind=() path=() source=()
base=() number=() # of NAME#number
looked=()         # whether the first look has decided
refused=() nowait=() left=()
first=() origin=() # the first record of this run; of a spool
count=() spool=()
compared=()         # what reader says of a file that was read before
declare -A keep=()  # settings that hold, by "I.NAME"
declare -A given=() # settings that are asked for

# input_add KIND PATH SOURCE SHARDS: with its pipelines.
input_add() {
	local i=${#source[@]} n name
	kind[i]=$1 path[i]=$2 source[i]=$3 base[i]=$3 number[i]=1 looked[i]='' refused[i]='' nowait[i]='' left[i]=''
	first[i]=0 origin[i]=0 count[i]='' spool[i]='' compared[i]='' from[i]='' copier_due[i]=0 copier_tries[i]=0 trim_due[i]=0 trimmed[i]=0
	if [[ $1 == left ]]; then
		left[i]=true
	else
		for name in seed arrival delay-ms speed clock epoch strict count; do given[$i.$name]=${opt[$name]-}; done
	fi
	if [[ $1 == pending ]]; then
		pipeline_add "$i" "$4"
	else
		for ((n = 0; n < $4; n++)); do pipeline_add "$i" "$n/$4"; done
	fi
}

# input_pipelines INPUT: their numbers.
input_pipelines() {
	local k
	for k in "${!owner[@]}"; do ((owner[k] != $1)) || echo "$k"; done
}

# input_ripe INPUT [STATE]: whether all of its pipelines are in that state.
input_ripe() {
	local k
	for k in "${!owner[@]}"; do
		((owner[k] != $1)) || [[ ${state[k]} == "${2-done}" ]] || return 1
	done
}

# inputs_read INPUT...: what each is, before anything is started.
inputs_read() {
	local input name file descriptor
	for input; do
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
		if [[ ${opt[follow]-} && ! $descriptor ]]; then
			input_add follow "$file" "$name" "$shards"
		elif [[ -f $file ]]; then
			input_add file "$file" "$name" "$shards"
		else
			input_add spool "$file" "$name" "$shards"
			if [[ ! $file ]]; then
				exec {descriptor}<&"$descriptor"
			elif [[ ! -p $file ]]; then
				exec {descriptor}<"$file" || fail $PERMANENT "could not open input \"$input\""
			fi
			from[-1]=$descriptor
		fi
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

# What a source was begun with holds until it is done. Sets keep[]; says in clash what contradicts.
settings_keep() {
	local i=$1 k=$2 name old new
	clash=''
	for name in seed arrival delay-ms speed clock epoch; do
		old=${claim[$k.${name/delay-ms/delayMs}]-} new=${given[$i.$name]-}
		keep[$i.$name]=${old:-$new}
		if [[ $old && $new ]] && ! same_setting "$name" "$new" "$old"; then
			clash="--$name $old, not $new"
		fi
	done
	# All shards draw from one seed.
	keep[$i.seed]=${keep[$i.seed]:-$((SRANDOM << 20 ^ SRANDOM))}
}

# input_look INPUT: once all of its pipelines are claimed: whether there is anything to do, and whether it may be done as
# asked.
input_look() {
	local i=$1 k one='' finished=true broken='' print='' clash
	input_ripe "$i" waiting || return 0
	for k in $(input_pipelines "$i"); do
		one=${one:-$k} print=${print:-${claim[$k.fingerprint]-}}
		[[ ${claim[$k.done]-} == true ]] || finished=''
		[[ ${claim[$k.broken]-} != true ]] || broken=true
	done
	settings_keep "$i" "$one"
	if [[ ${opt[again]-} && ${kind[i]} != left ]] && [[ ${number[i]} == 1 || $finished$clash${refused[i]} ]]; then
		input_rename "$i"
		return
	fi
	looked[i]=true
	case ${kind[i]} in
	file)
		if [[ $print && $finished$broken ]]; then
			input_compare "$i" "$print"
			return
		fi
		;;
	left | spool) finished='' ;; # goes on behind what was read
	esac
	if [[ $stopping ]]; then
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
	for k in $(input_pipelines "$i"); do claim_start "$k"; done
}

# input_end INPUT RESULT: without a round.
input_end() {
	local k
	for k in $(input_pipelines "$1"); do pipeline_finish "$k" "$2"; done
}

input_done() {
	log info "source \"${source[$1]}\" was read to its end and nothing is pending; --again reads it anew"
	input_end "$1" 0
}

# input_compare INPUT FINGERPRINT: whether a file that was read before has changed.
input_compare() {
	live[i$1.compare]='' live[i$1.lines]=''
	child "i$1.compare" "$reader" --compare "$2" -- "${path[$1]}" </dev/null | child_lines "i$1.lines" &
}

# What reader says: same|grown|changed OLD NEW array|lines. Lines that were only appended are read on, unless they are put
# in order of arrival; an array that broke off is read anew once it has changed.
input_compared() {
	local i=$1 k verb='' old new form clash broken=''
	[[ ! $stopping ]] || { input_end "$i" 0 && return; }
	case ${code[i$i.compare]} in
	0) ;;
	"$PERMANENT") input_end "$i" $PERMANENT && return ;;
	*) input_end "$i" $TEMPORARY && return ;;
	esac
	read -r verb old new form <<<"${compared[i]}"
	for k in $(input_pipelines "$i"); do [[ ${claim[$k.broken]-} != true ]] || broken=true; done
	settings_keep "$i" "$(input_pipelines "$i" | head -n 1)"
	if [[ $verb == same ]]; then
		if [[ $broken ]]; then input_begin "$i"; else input_done "$i"; fi
	elif [[ $broken ]]; then
		log info "source \"${source[i]}\" broke off, and its file has changed since ($old to $new bytes): it is read anew as \"${base[i]}#$((number[i] + 1))\""
		input_rename "$i"
	elif [[ $verb == grown && $form == lines && ${keep[$i.arrival]} != offset ]]; then
		log info "source \"${source[i]}\" has grown since it was read ($old to $new bytes): reading on"
		input_begin "$i"
	else
		log error "source \"${source[i]}\" was read to its end, and its file has changed since ($old to $new bytes); --again reads it anew"
		input_end "$i" $PERMANENT
	fi
}

# input_begin INPUT: the copier, if it needs one, and the first round of each pipeline.
input_begin() {
	local i=$1 k least='' most=-1 clash
	for k in $(input_pipelines "$i"); do
		[[ ! $least ]] && least=${claim[$k.delivered]:--1}
		((${claim[$k.delivered]:--1} >= least)) || least=${claim[$k.delivered]:--1}
		((${claim[$k.committed]:--1} <= most)) || most=${claim[$k.committed]}
		settings_keep "$i" "$k"
		before[k]=${claim[$k.committed]-}/${claim[$k.delivered]-}/${claim[$k.pending]-}
	done
	if [[ $clash ]]; then
		log error "source \"${source[i]}\" was begun with $clash; leave that option away to finish it, or add --again to read it anew"
		input_end "$i" $PERMANENT
		return
	fi
	first[i]=${given[$i.first]:-$((least + 1))} origin[i]=$((most + 1)) count[i]=${given[$i.count]-}
	if [[ ${kind[i]} =~ ^(spool|follow|left)$ ]]; then
		spool[i]=$(spool_path "${source[i]}") trim_due[i]=1
		spool_make "$i" || {
			log error "could not write the spool \"${spool[i]}\""
			spool[i]=''
			input_end "$i" $TEMPORARY
			return
		}
		[[ ${kind[i]} == left ]] || copier_start "$i"
	fi
	for k in $(input_pipelines "$i"); do pipeline_start "$k"; done
}

# input_line GROUP NAME TEXT
input_line() {
	case $2 in
	lines) compared[${1#i}]=$3 ;;
	delivered) spool_trim "${1#i}" "$3" ;;
	esac
}

# input_ended GROUP NAME STATUS
input_ended() {
	case $2 in
	compare | lines) [[ -v live[$1.compare] || -v live[$1.lines] ]] || input_compared "${1#i}" ;;
	delivered) trim_ended "${1#i}" ;;
	copier) copier_ended "${1#i}" "$3" ;;
	esac
}

# input_finish INPUT: all of its pipelines are done. Its copier may still read, as where --count is reached.
input_finish() {
	trim_due[$1]=0
	if [[ -v live[i$1.copier] ]]; then
		child_signal TERM "i$1.copier"
		copier_due[$1]=$((${EPOCHREALTIME/./} + 3000000))
	else
		input_close "$1"
	fi
}

# input_close INPUT: its spool goes where all of it is delivered.
input_close() {
	local i=$1 k
	copier_due[i]=0
	[[ ${spool[i]} ]] || return 0
	for k in $(input_pipelines "$i"); do
		if [[ ${claim[$k.done]-}${claim[$k.complete]-}${claim[$k.broken]-} != *true* || ${claim[$k.committed]-} != "${claim[$k.delivered]-}" ]]; then
			[[ ${kind[i]} == follow ]] || log info "what was read of source \"${source[i]}\" and is not finished is kept; run takes it up"
			return 0
		fi
	done
	spool_remove "$i"
}
