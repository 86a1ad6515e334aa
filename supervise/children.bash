# The children of a run. Each runs below a small wrapper that reports over one pipe: lines "GROUP.NAME wrapped WRAPPER",
# "GROUP.NAME started PID", "GROUP.NAME ended STATUS WRAPPER". GROUP is a pipeline's number, i and an input's number, t and
# a topic's, or s for the services. What a child_list prints travels there too, as lines "GROUP.NAME line TEXT".
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

events='' half=''     # the pipe's descriptor; the beginning of an event
keeper=''             # the descriptor of what shows and keeps the logs
stopping=''           # why nothing new is to begin
closing='' ending=''  # whether nobody reads the output any more; whether we are about to exit
called=''             # pid of the one that is waited for in the foreground
signals=0 stopped=0   # how many asked for a stop, and when the first did
building=0 late=0     # whether a pipeline is being started; the signal that came meanwhile
pending_lines=''      # what `writer pending --pipelines` printed
locked=''             # whether we hold the supervisor's lock
db_away=''            # since when the private Postgres is away
declare -A live=()    # pid by child, "" until it has started
declare -A wrapper=() # its wrapper's pid
declare -A code=()    # exit code by child, once it has ended
declare -A due=()     # when something is to be done, in us: by child, pipeline, or what else has a name
declare -A tries=()   # that failed, by the same names

readonly LOG_BYTES=10000000 LOG_FILES=5

# Dies with us, also where we died before that was arranged; its program dies with it. 3: the program's standard error,
# without the shell's own words about how it died. 4: the pipe. $2: whether its output is a list for us.
# shellcheck disable=SC2016 # for the shell behind -c
readonly WRAPPER='[ "$PPID" = "$0" ] || exit 1
id=$1 list=$2
shift 2
exec 3>&2 2>/dev/null
set -- setpriv --pdeathsig KILL -- sh -c '\''[ "$PPID" = "$0" ] && echo "$1 started $$" >&4 && shift && exec "$@" 2>&3 3>&- 4>&-'\'' $$ "$id" "$@"
if [ "$list" ]; then lines=$(exec "$@"); else "$@"; fi
status=$?
[ ! "$lines" ] || printf "%s\n" "$lines" | while IFS= read -r line; do printf "%s line %s\n" "$id" "$line" >&4; done
echo "$id ended $status $$" >&4'

# descriptors_close [KEEP]: all but the standard ones.
descriptors_close() {
	local fd
	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		((fd < 3 || fd == 255 || fd == ${1:-0})) || exec {fd}>&-
	done
}

# Both ends of the pipe are ours.
events_open() {
	exec {events}<> <(:)
	# A full file system or a limit is an error of a write, not a death.
	trap '' XFSZ
}

# wrap ID LIST COMMAND...: becomes the wrapper of a program, in a session of its own, where the terminal's ^C does not
# reach it.
wrap() {
	# Until it has left our process group, a signal to that is not for it.
	trap '' INT TERM HUP
	[[ ! $keeper ]] || exec 2>&"$keeper"
	exec 4>&"$events"
	descriptors_close 4
	echo "$1 wrapped $BASHPID" >&4
	exec setsid env --default-signal=INT,QUIT,TERM,HUP setpriv --pdeathsig KILL -- sh -c "$WRAPPER" $$ "$@"
}

child() { wrap "$1" '' "${@:2}"; }

# child_start ID COMMAND...: in the background, by itself. child_list: its lines come as events.
child_start() {
	live[$1]=''
	child "$@" </dev/null >/dev/null &
}
child_list() {
	live[$1]=''
	wrap "$1" list "${@:2}" </dev/null >/dev/null &
}

# child_signal SIGNAL ID...: to those that live. One that is stopped is woken to hear it; not one that is traced: CONT
# discards the STOP by which a debugger, or LeakSanitizer at the exit, attaches.
child_signal() {
	local id
	for id in "${@:2}"; do
		[[ ${live[$id]-} ]] || continue
		kill "-$1" "${live[$id]}" 2>/dev/null || continue
		grep -qs '^TracerPid:.[1-9]' "/proc/${live[$id]}/status" || kill -CONT "${live[$id]}" 2>/dev/null || :
	done
}

# event_wait SECONDS: handles the next event, if one comes in time. When we are about
# to exit it only counts who lives.
event_wait() {
	local id='' what='' value='' whose='' line=''
	# When the time is up `read` may have taken a line's end without saying so: only the first byte is waited for, since
	# the rest comes with it in one write.
	IFS= read -r -N 1 -t "$1" -u "$events" half || [[ $half ]] || return 0
	IFS= read -r -u "$events" line
	read -r id what value <<<"$half$line"
	case $what in
	line) [[ $ending ]] || child_line "$id" "$value" ;;
	signal) [[ $ending ]] || run_stop ;;
	wrapped) [[ ! -v live[$id] ]] || wrapper[$id]=$value ;;
	started)
		[[ -v live[$id] ]] || return 0
		live[$id]=$value
		if [[ ! $ending ]]; then child_started "$id"; elif [[ $id != s.keeper ]]; then child_signal KILL "$id"; fi
		;;
	ended)
		read -r value whose <<<"$value"
		[[ -v live[$id] && $whose == "${wrapper[$id]-}" ]] || return 0
		code[$id]=$value last_pid=${live[$id]}
		unset "live[$id]" "wrapper[$id]"
		[[ $ending ]] || child_ended "$id" "$value"
		;;
	esac
}

child_started() {
	[[ $1 == [ist]* ]] || pipeline_started "${1%%.*}"
}

child_line() {
	case $1 in
	i*.sources) spool_trim "${1//[!0-9]/}" "$2" ;;
	s.pending) pending_lines+=$2$'\n' ;;
	s.renew) lease_line $2 ;;
	t*.list) topic_partition "${1//[!0-9]/}" "$2" ;;
	*) claim[${1%%.*}.${2%%=*}]=${2#*=} ;;
	esac
}

child_ended() {
	local group=${1%%.*} name=${1#*.}
	case $1 in
	s.*) service_ended "$name" "$2" ;;
	i*.compare) input_compared "${group#i}" "$2" ;;
	i*.sources) trim_ended "${group#i}" ;;
	i*.copier) copier_ended "${group#i}" "$2" ;;
	t*.list) topic_listed "${group#t}" "$2" ;;
	*) pipeline_ended "$group" "$name" "$2" ;;
	esac
}

# A wrapper that was killed reports nothing, and nothing of it is still on its way when we say it in its stead. One that
# was killed before it had reported at all is missing among our processes, where the kernel lists these.
children_look() {
	local id pid pids=() known=" ${wrapper[*]} " coming=''
	for id in "${!wrapper[@]}"; do
		kill -0 "${wrapper[$id]}" 2>/dev/null || printf '%s ended 137 %s\n' "$id" "${wrapper[$id]}" >&"$events"
	done
	[[ -r /proc/$$/task/$$/children ]] || coming=true
	[[ $coming ]] || read -ra pids <"/proc/$$/task/$$/children" || :
	for pid in "${pids[@]}"; do [[ $known == *" $pid "* ]] || coming=true; done
	# What one reported that has ended since may not have been read yet.
	! read -r -t 0 -u "$events" || coming=true
	for id in "${!live[@]}"; do
		[[ $coming || ${live[$id]} || -v wrapper[$id] ]] || printf '%s ended 137 \n' "$id" >&"$events"
	done
	due_in s.look 1000
}

# --- what is due, and restarts

# due_in WHAT MS
due_in() {
	due[$1]=$((${EPOCHREALTIME/./} + $2 * 1000))
}

# due_reached WHAT
due_reached() {
	local group=${1%%.*}
	unset "due[$1]"
	case $1 in
	s.look) children_look ;;
	s.page) page_name ;;
	s.statusd) statusd_start ;;
	s.revive) db_revive ;;
	s.lease) lease_tell ;;
	s.renew) lease_start ;;
	s.watchdog) watchdog_start ;;
	s.pending) ;; # pending_find waits for it
	i*.trim) trim_start "${group#i}" ;;
	i*.hold) copier_hold "${group#i}" ;;
	i*.copier) copier_due "${group#i}" ;;
	t*.list) topic_list "${group#t}" ;;
	*) pipeline_due "$1" ;;
	esac
}

# backoff TRY: sets delay, in ms: 100 doubling to 10,000, the upper half of it at random.
backoff() {
	local most=10000
	(($1 > 6)) || most=$((100 << $1))
	delay=$((most / 2 + RANDOM % (most / 2 + 1)))
}

# restart_later WHAT: the one way to begin again what failed. Sets delay.
restart_later() {
	backoff "${tries[$1]:-0}"
	tries[$1]=$((${tries[$1]:-0} + 1))
	due_in "$1" "$delay"
}

# ended_how STATUS: sets how, in words.
ended_how() {
	how="exited $1"
	(($1 < 129)) || how="was killed by signal $(($1 - 128))"
}

# restart_note PROGRAM STATUS: for statusd, which counts them.
restart_note() {
	local cause="exit $2"
	(($2 < 129)) || cause="signal $(($2 - 128))"
	state_write '>>' "$run/restarts" "${EPOCHREALTIME/./} $1 $cause"
}

# seconds_since US: sets seconds, with one decimal.
seconds_since() {
	local tenths=$(((${EPOCHREALTIME/./} - $1) / 100000))
	seconds=$((tenths / 10)).$((tenths % 10))
}

# --- logs

# What the programs log goes into a file, and to standard error where it is a warning or worse; all of it where a level was
# asked for. What is no line of a log is shown too. A file that has grown large is followed by another at the next run.
logs_start() {
	local i filter=(grep --line-buffered -vE '^([^ ]+ |\{"time":"[^"]*","level":")(info|debug|trace)[" ]')
	logs=$ACCTFLOW_HOME/log/acctflow.log
	(umask 077 && { [[ -d $ACCTFLOW_HOME/log ]] || mkdir -p -- "$ACCTFLOW_HOME/log"; } && : >>"$logs") 2>/dev/null || {
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
	live[s.keeper]=''
	exec {keeper}> >(
		trap '' INT TERM HUP
		descriptors_close "$events"
		{
			echo "s.keeper started $BASHPID" >&"$events"
			exec tee -a -p -- "$logs" 2>/dev/null
		} | "${filter[@]}" >&2 || :
		echo "s.keeper ended 0 $BASHPID" >&"$events"
	)
	wrapper[s.keeper]=$!
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
		[[ $id == s.keeper || $id == s.statusd ]] || child_signal KILL "$id"
	done
	services_end s.statusd
	child_signal KILL s.statusd
	while [[ ! ${!live[*]} =~ ^(s\.keeper)?$ ]] && ((SECONDS < until)); do event_wait 0.5; done
	if [[ $locked ]]; then
		rm -f -- "$run"/pipelines/*/pids "$run/anchor" "$run/machine" "$run"/lease* && : >"$run/lock"
	fi
	db_release
	logs_end
	exit $status
}

traps_set() {
	# A simple command of a trap that runs between two parts of a pipeline would have bash wait for the parts begun so far.
	trap '((building ? (late = 2) : 0)) || on_signal 2' INT
	trap '((building ? (late = 15) : 0)) || on_signal 15' TERM
	trap '((building ? (late = 1) : 0)) || on_signal 1' HUP
	trap on_exit EXIT
}
