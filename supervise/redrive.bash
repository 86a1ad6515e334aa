# The verb redrive: chosen rejects are read again, once, as a source of their own. Its folder, redrive/NAME, has the lines to
# be read, the keys of the rejects that they come from, and how they are read. It is there as a whole or not at all, and
# from then on whatever was begun may be done again: the mark on the rejects, and the run.
# shellcheck shell=bash disable=SC2034,SC2086,SC2154 # set and used by the other parts

# redrive_ask ARGUMENT...: asks writer about the rejects that are chosen. Sets status.
redrive_ask() {
	call "$writer" redrive ${opt[source]+--source "${opt[source]}"} ${opt[kind]+--kind "${opt[kind]}"} \
		${opt[reason]+--reason "${opt[reason]}"} "$@" -- "${rest[@]}"
}

verb_redrive() {
	local name status
	for name in again follow fleet count cluster properties until-end accept-gap; do
		[[ ! -v opt[$name] ]] || misused "--$name is not for redrive"
	done
	if [[ ! -v opt[discard] ]]; then
		asked=true
		verb_run
	fi
	[[ ! -v opt[map] && ! -v opt[filter] ]] || misused '--discard reads nothing: --map and --filter do not go with it'
	programs writer
	traps_set
	db_acquire
	redrive_ask --discard
	exit "$status"
}

# redrive_refuse CODE [MESSAGE]: ends before anything was done.
redrive_refuse() {
	rm -rf -- "$folder"
	[[ ! ${2-} ]] || fail "$@"
	exit "$1"
}

# The folder's keys and lines, from what was chosen.
redrive_filter() {
	local status n emitted locale=(-u LC_ALL)
	[[ ! $people_locale ]] || locale=("LC_ALL=$people_locale")
	cut -d ' ' -f 1 <"$folder/chosen" >"$folder/keys"
	cut -d ' ' -f 2- <"$folder/chosen" >"$folder/lines"
	[[ -v opt[filter] ]] || return 0
	mv -- "$folder/lines" "$folder/raw"
	call env "${locale[@]}" sh -c "${opt[filter]}" <"$folder/raw" >"$folder/lines"
	ended_how "$status"
	((status == 0)) || redrive_refuse $PERMANENT "the filter $how; nothing is redriven"
	sed -i -e "\$a\\" -- "$folder/lines"
	n=$(wc -l <"$folder/keys") emitted=$(grep -ac '[^[:blank:]'$'\r'']' -- "$folder/lines") || :
	((n == emitted && n == $(wc -l <"$folder/lines"))) ||
		redrive_refuse $PERMANENT "the filter got $n lines and emitted $emitted that are not blank; it is to emit one for each, and nothing is redriven"
}

# Puts the rejects that are chosen into a folder of their own. Sets folder.
redrive_choose() {
	local status name settings setting arrival=none map=(${opt[map]:+--map "${opt[map]}"})
	folder=$ACCTFLOW_HOME/redrive/new
	name=$(date -u +redrive-%Y%m%dT%H%M%SZ)
	printf -v name '%s-%08x' "$name" "$SRANDOM"
	[[ ${opt[clock]:-${ACCTFLOW_CLOCK:-${config[clock]-}}} != virtual ]] || arrival=recorded
	opt[arrival]=${opt[arrival]:-$arrival}
	rm -rf -- "$folder"
	(umask 077 && mkdir -p -- "$folder") || fail $TEMPORARY "could not write \"$folder\""
	redrive_ask >"$folder/chosen"
	((status == 0)) || redrive_refuse "$status"
	redrive_filter
	# A map that cannot be read by is found before anything is marked.
	call "$reader" --lines --count 0 --arrival "${opt[arrival]}" --source "$name" "${map[@]}" -- "$folder/lines" >/dev/null
	((status == 0)) || redrive_refuse "$status"
	settings="shards=$shards"
	for setting in "${SETTLED[@]}"; do
		[[ -z ${opt[$setting]-} ]] || settings+=$'\n'"$setting=${opt[$setting]}"
	done
	printf '%s\n' "$settings" >"$folder/settings"
	rm -f -- "$folder/chosen" "$folder/raw"
	sync -- "$folder"/*
	mv -T -- "$folder" "${folder%/*}/$name"
	folder=${folder%/*}/$name
	sync -- "${folder%/*}"
}

# redrive_remove FOLDER: as a whole, so that a kill leaves no half of one.
redrive_remove() {
	rm -rf -- "${1%/*}/new"
	mv -T -- "$1" "${1%/*}/new"
	rm -rf -- "${1%/*}/new"
}

# redrive_add FOLDER: marks its rejects, where they are still open, and adds its lines as an input. One that was there
# before may be of another database.
redrive_add() {
	local i=${#source[@]} status name=${1##*/} line
	local -A saved=()
	call "$writer" redrive --as "$name" <"$1/keys"
	if [[ $fresh ]] && ((status == 1 || status == PERMANENT)); then redrive_remove "$1"; fi
	if [[ ! $fresh ]] && ((status == 1)); then
		log warn "\"$1\" was begun, and its rejects are not to be had in this database; remove it if it is not wanted"
		return
	fi
	((status == 0)) || exit "$status"
	while IFS= read -r line; do saved[${line%%=*}]=${line#*=}; done <"$1/settings"
	input_add redrive "$1/lines" "$name" "${saved[shards]}"
	for name in "${SETTLED[@]}"; do given[$i.$name]=${saved[$name]-}; done
}

# Whatever was begun is finished first, and by itself: what it rejects again is not to be chosen meanwhile.
redrives_add() {
	local folder fresh=''
	for folder in "$ACCTFLOW_HOME"/redrive/redrive-*; do [[ ! -d $folder ]] || redrive_add "$folder"; done
	if ((${#source[@]})); then
		log info "finishing what was begun: ${source[*]}; the same command then redrives what it chooses"
		return
	fi
	redrive_choose
	fresh=true
	redrive_add "$folder"
}

# redrive_close INPUT: its folder goes where all of it was read and delivered.
redrive_close() {
	local k
	for k in ${pipelines[$1]}; do
		[[ ${claim[$k.complete]-} == true && ${claim[$k.committed]-} == "${claim[$k.delivered]-}" ]] || {
			log info "source \"${source[$1]}\" is not finished; acctflow redrive takes it up"
			return
		}
	done
	redrive_remove "${path[$1]%/*}"
}
