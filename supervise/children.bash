# The children of a run. Each runs below a small wrapper that reports over one fifo when it has started and how it ended:
# lines "GROUP.NAME started PID", "GROUP.NAME ended STATUS". GROUP is a pipeline's number, i and an input's number, or s
# for the services. A list that a child prints travels there too, as lines "GROUP.NAME line TEXT".
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

events=''                 # the fifo's descriptor
keeper=''                 # the descriptor of what shows and keeps the logs
stopping=''               # why nothing new is to begin
closing=''                # whether nobody reads the output any more
ending=''                 # whether we are about to exit
called=''                 # pid of the one that is waited for in the foreground
signals=0 stopped=0       # how many asked for a stop, and when the first did
locked=''                 # whether we hold the supervisor's lock
db_away='' db_tries=0     # since when the private Postgres is away, and how often it could not be started
declare -A live=()        # pid by child, "" until it has started
declare -A code=()        # exit code by child, once it has ended
declare -A missed=()      # children that were not there at the last look
declare -A service_due=() # when a service is to be started, in us

readonly LOG_BYTES=10000000 LOG_FILES=5

# Dies with us, also where we died before that was arranged; its program dies with it. 3: the program's standard error,
# without the shell's own words about how it died. 4: the fifo.
# shellcheck disable=SC2016 # for the shell behind -c
readonly WRAPPER='[ "$PPID" = "$0" ] || exit 1
id=$1
shift
exec 3>&2 2>/dev/null
setpriv --pdeathsig KILL -- sh -c '\''[ "$PPID" = "$0" ] && echo "$1 started $$" >&4 && shift && exec "$@" 2>&3 3>&- 4>&-'\'' $$ "$id" "$@"
echo "$id ended $?" >&4'

# descriptors_close [KEEP]: all but the standard ones.
descriptors_close() {
	local fd
	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		((fd < 3 || fd == 255 || fd == ${1:-0})) || exec {fd}>&-
	done
}

events_open() {
	rm -f -- "$run/events"
	mkfifo -m 600 -- "$run/events" || fail $TEMPORARY "could not make \"$run/events\""
	exec {events}<>"$run/events"
	rm -f -- "$run/events"
	# A full file system or a limit is an error of a write, not a death.
	trap '' XFSZ
}

# child ID COMMAND...: becomes the wrapper of a program, in a session of its own, where the terminal's ^C does not reach it.
child() {
	# Until it has left our process group, a signal to that is not for it.
	trap '' INT TERM HUP
	[[ ! $keeper ]] || exec 2>&"$keeper"
	exec 4>&"$events"
	descriptors_close 4
	exec setsid env --default-signal=INT,QUIT,TERM,HUP setpriv --pdeathsig KILL -- sh -c "$WRAPPER" $$ "$@"
}

# child_lines ID: passes standard input on as that child's lines. Stands behind another in a pipe.
child_lines() {
	child "$1" sed -u -e "s/^/$1 line /" >&"$events"
}

# child_signal SIGNAL ID...: to those that live. One that is stopped is woken to hear it.
child_signal() {
	local id
	for id in "${@:2}"; do
		[[ ${live[$id]-} ]] || continue
		kill "-$1" "${live[$id]}" 2>/dev/null || :
		kill -CONT "${live[$id]}" 2>/dev/null || :
	done
}

# event_wait SECONDS: handles the next event, if one comes in time.
event_wait() {
	local id='' what='' value=''
	read -r -t "$1" -u "$events" id what value || return 0
	case $what in
	started)
		[[ -v live[$id] ]] || return 0
		live[$id]=$value missed[$id]=0
		if [[ $ending && $id != s.keeper ]]; then child_signal KILL "$id"; else child_started "$id"; fi
		;;
	line) [[ $ending ]] || child_line "$id" "$value" ;;
	ended)
		[[ -v live[$id] ]] || return 0
		code[$id]=$value last_pid=${live[$id]}
		unset "live[$id]"
		[[ $ending ]] || child_ended "$id" "$value"
		;;
	signal) [[ $ending ]] || run_stop ;;
	esac
}

child_started() {
	[[ $1 == [is]* ]] || pipeline_started "${1%%.*}"
}

child_line() {
	case $1 in
	i*) input_line "${1%%.*}" "${1#*.}" "$2" ;;
	*) claim[${1%%.*}.${2%%=*}]=${2#*=} ;;
	esac
}

child_ended() {
	case $1 in
	s.*) service_ended "${1#*.}" "$2" ;;
	i*) input_ended "${1%%.*}" "${1#*.}" "$2" ;;
	*) pipeline_ended "${1%%.*}" "${1#*.}" "$2" ;;
	esac
}

# A wrapper that was killed reports nothing: whoever is missing at two looks, or has not started at ten, counts as killed.
children_look() {
	local id times most
	for id in "${!live[@]}"; do
		if [[ ${live[$id]} ]] && kill -0 "${live[$id]}" 2>/dev/null; then
			unset "missed[$id]"
		else
			times=$((${missed[$id]-0} + 1)) most=$((${#live[$id]} ? 2 : 10))
			missed[$id]=$times
			((times < most)) || printf '%s ended 137\n' "$id" >&"$events"
		fi
	done
}

# restart_note PROGRAM STATUS: for statusd, which counts them.
restart_note() {
	local cause="exit $2"
	(($2 < 129)) || cause="signal $(($2 - 128))"
	state_write '>>' "$run/restarts" "${EPOCHREALTIME/./} ${1// /-} $cause"
}

# seconds_since US: with one decimal.
seconds_since() {
	local tenths=$(((${EPOCHREALTIME/./} - $1) / 100000))
	printf '%d.%d\n' $((tenths / 10)) $((tenths % 10))
}

# --- services: statusd and the private Postgres

# service_start NAME: what a run can do without, and what comes back.
service_start() {
	unset "service_due[$1]"
	case $1 in
	statusd)
		rm -f -- "$run/statusd.url"
		live[s.statusd]=''
		child s.statusd "$statusd" </dev/null >/dev/null &
		;;
	revive) db_revive ;;
	esac
}

# service_ended NAME STATUS
service_ended() {
	case $1 in
	statusd)
		(($2)) || return 0
		(($2 != PERMANENT)) || { log warn 'going on without statusd; see --listen' && return 0; }
		restart_note statusd "$2"
		log warn "statusd ended with $2; starting it again"
		service_due[statusd]=$((${EPOCHREALTIME/./} + 500000))
		;;
	watch) db_revive ;;
	revive) db_revived "$2" ;;
	esac
}

services_tend() {
	local name now=${EPOCHREALTIME/./}
	for name in "${!service_due[@]}"; do
		((service_due[$name] > now)) || service_start "$name"
	done
	if [[ ! ${page_named-} && -s $run/statusd.url ]]; then
		page_named=true
		log info "the page is at $(<"$run/statusd.url")"
	fi
}

# Shows on a terminal how far the reading is: in one line, or in some between those of the events. Not in a pipe.
meter_start() {
	local show=progress
	[[ -t 2 && ! -p /dev/stdout ]] || return 0
	[[ ! -t 1 ]] || show=lines
	live[s.meter]=''
	keeper='' child s.meter "$statusd" --show $show </dev/null >&2 2>/dev/null &
}

meter_end() {
	local until=$((SECONDS + 3))
	while [[ -v live[s.meter] ]] && ((SECONDS < until)); do
		child_signal TERM s.meter
		event_wait 0.2
	done
}

# --- logs

# What the programs log goes into a file, and to standard error where it is a warning or worse; all of it where a level was
# asked for. What is no line of a log is shown too. A file that has grown large is followed by another at the next run.
logs_start() {
	local i filter=(grep --line-buffered -vE '^([^ ]+ |\{"time":"[^"]*","level":")(info|debug|trace)[" ]')
	logs=$ACCTFLOW_HOME/log/acctflow.log
	(umask 077 && mkdir -p -- "$ACCTFLOW_HOME/log" && : >>"$logs") 2>/dev/null || {
		logs=''
		log warn "could not write logs to \"$ACCTFLOW_HOME/log\"; they are only shown"
		return 0
	}
	if (($(stat -c %s -- "$logs") > LOG_BYTES)); then
		for ((i = LOG_FILES - 1; i > 1; i--)); do
			[[ ! -e $logs.$((i - 1)) ]] || mv -f -- "$logs.$((i - 1))" "$logs.$i"
		done
		mv -f -- "$logs" "$logs.1"
	fi
	[[ ! ${opt["log-level"]-} ]] || filter=(cat)
	exec {keeper}> >(
		trap '' INT TERM HUP
		descriptors_close "$events"
		{
			echo "s.keeper started $BASHPID" >&"$events"
			exec tee -a -p -- "$logs" 2>/dev/null
		} | "${filter[@]}" >&2 || :
		echo 's.keeper ended 0' >&"$events"
	)
	live[s.keeper]=''
}

# Whatever was logged is shown before we end.
logs_end() {
	local until=$((SECONDS + 3))
	[[ $keeper ]] || return 0
	exec {keeper}>&-
	while [[ -v live[s.keeper] ]] && ((SECONDS < until)); do event_wait 0.5; done
	# A program's own child may have outlived it and still hold the other end.
	child_signal KILL s.keeper
}

# --- signals

# call COMMAND...: one program, waited for; a signal that we get goes on to it. Sets status.
call() {
	local before in
	exec {in}<&0
	(exec <&"$in" && descriptors_close && exec env --default-signal=INT,QUIT -- "$@") &
	called=$!
	exec {in}<&-
	while before=$signals status=0; do
		wait "$called" || status=$?
		((before != signals)) || break
	done
	called=''
}

# The first signal: no more is read, what was read goes through. The second: an end at once. One stop may arrive twice,
# as from timeout(1), which signals its child and then the group, or from a terminal that goes away.
on_signal() {
	local now=${EPOCHREALTIME/./}
	((++signals))
	if [[ $called ]]; then
		kill -TERM "$called" 2>/dev/null || :
	elif [[ ! $locked ]]; then
		exit $((128 + $1))
	elif [[ $stopping != 'asked to stop' ]]; then
		stopping='asked to stop' stopped=$now
		log info 'asked to stop: finishing what was read'
		printf 's.run signal\n' >&"$events"
	elif ((now - stopped > 500000)); then
		log warn 'asked again to stop; ending at once'
		exit $((128 + $1))
	fi
}

on_exit() {
	local status=$? id until=$((SECONDS + 3))
	trap '' INT TERM HUP
	set +e
	ending=true
	for id in "${!live[@]}"; do
		[[ $id == s.keeper ]] || child_signal KILL "$id"
	done
	while [[ ! ${!live[*]} =~ ^(s\.keeper)?$ ]] && ((SECONDS < until)); do event_wait 0.5; done
	if [[ $locked ]]; then
		rm -f -- "$run"/pipelines/*/pids
		: >"$run/lock"
	fi
	db_release
	logs_end
	exit $status
}

traps_set() {
	trap 'on_signal 2' INT
	trap 'on_signal 15' TERM
	trap 'on_signal 1' HUP
	trap on_exit EXIT
}
