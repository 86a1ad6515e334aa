# The spool: what cannot be read twice is copied to a folder by one `reader --copy-to` and read there by the pipelines.
# A folder is DIR/data, DIR/index, DIR/end and DIR/before (see reader), and `settings`: whose it is and how it was begun.
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

from=()                  # by input: the descriptor that its copier reads
trimmed=() trim_began=() # bytes given back; when it was asked what is delivered

# spool_path SOURCE: its folder.
spool_path() {
	local name=${1//[!A-Za-z0-9_-]/_} sum
	sum=$(sha256sum <<<"$1")
	printf '%s\n' "$ACCTFLOW_HOME/spool/${name:0:60}-${sum:0:16}"
}

# spool_make INPUT: makes the folder, or finds what an earlier run left there, and writes down whose it is.
spool_make() {
	local i=$1 name settings
	(umask 077 && mkdir -p -- "${spool[i]}") 2>/dev/null || return 1
	# What an earlier run was killed over is an input of its own, cut off there; this run's is queued behind it. Readers do
	# not take that end for the last one, even where they begin before the copier.
	[[ ! -e ${spool[i]}/before ]] || mv -- "${spool[i]}/before" "${spool[i]}/end" || return 1
	[[ ! -e ${spool[i]}/settings || -e ${spool[i]}/end ]] || echo cut >"${spool[i]}/end" || return 1
	[[ ${kind[i]} == left || ! -e ${spool[i]}/end ]] || mv -- "${spool[i]}/end" "${spool[i]}/before" || return 1
	[[ ${kind[i]} != follow && ! -e ${spool[i]}/settings ]] || return 0
	settings="source=${source[i]}"$'\n'"shards=$shards"$'\n'"first=${first[i]}"
	for name in "${SETTLED[@]}" strict count; do
		[[ -z ${given[$i.$name]-} ]] || settings+=$'\n'"$name=${given[$i.$name]}"
	done
	(umask 077 && printf '%s\n' "$settings" >"${spool[i]}/settings.new" && mv -- "${spool[i]}/settings.new" "${spool[i]}/settings") 2>/dev/null
}

# spool_remove INPUT: it is needed no more. It goes as a whole, so that a kill leaves no half of one.
spool_remove() {
	local gone=${spool[$1]%/*}/.gone
	rm -rf -- "${gone:?}"
	mv -T -- "${spool[$1]:?}" "$gone" || return 0
	rm -rf -- "$gone"
}

# Takes up what earlier runs copied and could not finish, but for the inputs that this run has.
spools_left() {
	local settings line name i
	for settings in "$ACCTFLOW_HOME"/spool/*/settings; do
		[[ -e $settings ]] || continue
		local -A saved=()
		while IFS= read -r line; do saved[${line%%=*}]=${line#*=}; done <"$settings"
		! one_of "${saved[source]}" "${source[@]}" || continue
		# --again goes on with the number that was begun.
		[[ ! ${opt[again]-} ]] || ! one_of "${saved[source]%#*}" "${source[@]}" || continue
		if [[ ! -s ${settings%/*}/index ]]; then
			# Its copier had not begun.
			if [[ -s ${settings%/*}/data ]]; then
				log warn "\"${settings%/*}\" has no index, as after a power failure: what was read of source \"${saved[source]}\" is left there"
			else
				rm -rf -- "${settings%/*}"
			fi
			continue
		fi
		[[ -e ${settings%/*}/end ]] || echo cut >"${settings%/*}/end"
		i=${#source[@]}
		for name in "${!saved[@]}"; do given[$i.$name]=${saved[$name]}; done
		input_add left '' "${saved[source]}" "${saved[shards]:-1}"
		log info "source \"${saved[source]}\": finishing what was read of it before"
	done
}

# --- the copier

copier_start() {
	local i=$1 args=(--copy-to "${spool[$1]}")
	[[ -s ${spool[i]}/index ]] || args+=(--copy-from "${origin[i]}")
	if [[ ${kind[i]} == follow ]]; then
		child_start "i$i.copier" "$reader" "${args[@]}" --follow -- "${path[i]}"
	elif [[ ${from[i]} ]]; then
		live[i$i.copier]=''
		child "i$i.copier" "$reader" "${args[@]}" - <&"${from[i]}" >/dev/null &
	else
		# A named pipe waits for its writer, so it is the child that opens it.
		# shellcheck disable=SC2016 # for the shell behind -c
		child_start "i$i.copier" sh -c 'exec "$@" <"$0"' "${path[i]}" "$reader" "${args[@]}" -
		due_in "i$i.hold" 100
	fi
}

# Holds a named pipe that the copier has opened, so that a copier that is killed takes nobody's reader away.
copier_hold() {
	local i=$1 both held
	[[ ! ${from[i]} && -v live[i$i.copier] ]] || return 0
	due_in "i$i.hold" 200
	[[ ${live[i$i.copier]} && /proc/${live[i$i.copier]}/fd/0 -ef ${path[i]} ]] || return 0
	# shellcheck disable=SC2094 # neither is read here
	exec {both}<>"${path[i]}" {held}<"${path[i]}" {both}>&-
	from[i]=$held
	unset "due[i$i.hold]"
}

# It is to be started again, or it has not ended when it was asked to.
copier_due() {
	if [[ -v live[i$1.copier] ]]; then
		# One that has not started yet cannot be signalled yet.
		[[ ${live[i$1.copier]} ]] || due_in "i$1.copier" 1000
		child_signal KILL "i$1.copier"
	elif [[ ! $stopping ]]; then copier_start "$1"; fi
}

# copier_ended INPUT STATUS: it has copied all, also where it was killed behind that, or gives up, or is started again and
# goes on.
copier_ended() {
	local i=$1 k delay how
	ended_how "$2"
	if input_ripe "$i"; then
		input_close "$i"
	elif (($2 == 0)) || [[ $stopping || -e ${spool[i]}/end ]]; then
		return 0
	elif (($2 == TEMPORARY || $2 > 128)); then
		restart_later "i$i.copier"
		restart_note copier "$2"
		log warn "the copier[$last_pid] of source \"${source[i]}\" $how; starting again in $delay ms"
	else
		log warn "the copier[$last_pid] of source \"${source[i]}\" $how"
		for k in ${pipelines[i]}; do
			result[k]=$PERMANENT
			pipeline_stop "$k"
		done
	fi
}

# --- giving back what is delivered

# trim_start INPUT: asks how far all shards have delivered: once a second, less often where the answer takes long. Where
# records are put in order of arrival, what is delivered is not what comes first.
trim_start() {
	[[ ${keep[$1.arrival]:-${ACCTFLOW_ARRIVAL:-${config[reader.arrival]-}}} != offset ]] || return 0
	trim_began[$1]=${EPOCHREALTIME/./}
	child_list "i$1.sources" "$writer" sources --source "${source[$1]}" --format json 2>/dev/null
}

trim_ended() {
	local took=$((${EPOCHREALTIME/./} - trim_began[$1]))
	input_ripe "$1" || due_in "i$1.trim" $((1000 + took / 111))
}

# spool_trim INPUT LINE: makes a hole of what stands before the last index entry that is delivered up to. Not at the end,
# when some shards are complete and the answer is about the others.
spool_trim() {
	local i=$1 k byte
	for k in ${pipelines[i]}; do [[ -v live[$k.reader] ]] || return 0; done
	[[ $2 =~ \"delivered\":([0-9]+),\"complete\":false ]] || return 0
	byte=$(awk -v next_record=$((BASH_REMATCH[1] + 1)) '$1 > next_record { exit } { byte = $2 } END { print byte + 0 }' "${spool[i]}/index" 2>/dev/null) || return 0
	((byte > trimmed[i])) || return 0
	fallocate --punch-hole --offset "${trimmed[i]}" --length $((byte - trimmed[i])) "${spool[i]}/data" 2>/dev/null || return 0
	trimmed[i]=$byte
}
