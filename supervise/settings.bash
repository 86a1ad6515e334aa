# What the options, the environment and the configuration file say: settled once, exported for the programs.
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

declare -A config=() # the configuration file's top level, as `writer --print-config` reads it

version_print() {
	local version=''
	[[ ! -r $here/Makefile ]] || version=$(sed -n 's/^VERSION *= *//p' "$here/Makefile")
	[[ $version ]] || { programs writer && version=$("$writer" --version | sed 's/.* //'); }
	printf 'acctflow %s\n' "$version"
}

# programs NAME...: sets a variable of each one's name, with _ for -, to its path.
programs() {
	local name dir
	for name; do
		for dir in ${ACCTFLOW_BIN:+"$ACCTFLOW_BIN"} "$here/bin" "$here"; do
			[[ ! -f $dir/$name || ! -x $dir/$name ]] || { printf -v "${name//-/_}" %s "$dir/$name" && continue 2; }
		done
		fail $PERMANENT "program \"$name\" is not built; run make build in $here"
	done
}

# Whether this is not a checkout: then nothing is looked for, or kept, in the current folder.
installed() { [[ ! -e $here/Makefile || ! -d $here/common ]]; }

# Sets ACCTFLOW_CONFIG. A file that nobody named is left alone where it cannot be read, as in another's clone.
config_find() {
	local file
	if [[ ${opt[config]-}${ACCTFLOW_CONFIG-} ]]; then
		ACCTFLOW_CONFIG=${opt[config]:-$ACCTFLOW_CONFIG}
		[[ -r $ACCTFLOW_CONFIG ]] || fail $PERMANENT "could not read configuration file \"$ACCTFLOW_CONFIG\""
		[[ $ACCTFLOW_CONFIG == /* ]] || ACCTFLOW_CONFIG=$(realpath -- "$ACCTFLOW_CONFIG")
	else
		local files=("$here/config.yaml" "$PWD/config.yaml")
		! installed || files=("${XDG_CONFIG_HOME:-${HOME-}/.config}/acctflow/config.yaml" "@SYSCONFDIR@/acctflow/config.yaml")
		for file in "${files[@]}" /dev/null; do
			[[ ! -r $file ]] || { ACCTFLOW_CONFIG=$file && break; }
		done
	fi
	export ACCTFLOW_CONFIG
}

# The programs read the file; this asks one of them, so that there is one reader of YAML.
config_read() {
	local line lines
	config=()
	[[ -s $ACCTFLOW_CONFIG ]] || return 0
	programs writer
	lines=$("$writer" --config "$ACCTFLOW_CONFIG" --print-config) || exit $PERMANENT
	while IFS= read -r line; do
		[[ $line != *=* ]] || config[${line%%=*}]=${line#*=}
	done <<<"$lines"
}

# An empty variable is one that is not set, for us, for libpq and for whoever looks.
environment_clean() {
	local name
	for name in ACCTFLOW_DB "${!PG@}"; do
		[[ ${!name-} ]] || unset "$name"
	done
}

# Whether no database is configured, so that the private one is meant.
db_private() {
	[[ -z ${ACCTFLOW_DB-}${PGHOST-}${PGHOSTADDR-}${PGSERVICE-}${PGDATABASE-}${config[database]-} ]]
}

# Sets configuration, log and state folder, and exports what the programs are to agree on. A conninfo travels by the
# environment, where other users cannot read it. The private Postgres is reached without any PG* variable.
settings_read() {
	local home
	environment_clean
	config_find
	if [[ $verb != packages ]]; then config_read; fi
	log_level=${opt["log-level"]:-${ACCTFLOW_LOG_LEVEL:-${config["log-level"]:-info}}}
	log_format=${opt["log-format"]:-${ACCTFLOW_LOG_FORMAT:-${config["log-format"]:-text}}}
	one_of "$log_level" "${LEVELS[@]}" ||
		misused "--log-level: expected one of error|warn|info|debug|trace, not \"$log_level\""
	one_of "$log_format" text json || misused "--log-format: expected one of text|json, not \"$log_format\""
	export ACCTFLOW_LOG_LEVEL=$log_level ACCTFLOW_LOG_FORMAT=$log_format
	[[ -z ${opt[db]-} ]] || export ACCTFLOW_DB=${opt[db]}
	[[ -z ${opt[listen]-} ]] || export ACCTFLOW_LISTEN=${opt[listen]}
	[[ -z ${opt[properties]-} ]] || export ACCTFLOW_PROPERTIES=${opt[properties]}
	if db_private; then unset "${!PG@}"; fi

	home=${ACCTFLOW_HOME:-${config[home]-}}
	if [[ ! $home ]] && installed; then
		home=${XDG_STATE_HOME:-${HOME:+$HOME/.local/state}}
		home=${home:-/var/lib}/acctflow
	fi
	home=${home:-$here/var}
	ACCTFLOW_HOME=$(realpath -m -- "$home") || fail $PERMANENT "could not find the state folder \"$home\""
	export ACCTFLOW_HOME
	run=$ACCTFLOW_HOME/run
}

# Makes the state folder, for verbs that keep something there.
home_make() {
	[[ -d $run ]] || (mkdir -p -- "$ACCTFLOW_HOME" && umask 077 && mkdir -p -- "$run") 2>/dev/null || :
	[[ -d $run && -w $run && -x $run ]] || fail $PERMANENT \
		"could not write the state folder \"$ACCTFLOW_HOME\" as user $(id -un); set ACCTFLOW_HOME to one of your own"
}

# --- one run a state folder

# file_lock NAME FILE SECONDS: locks it by a descriptor that is then in that variable. Fails where another keeps the lock.
file_lock() {
	local status=0 descriptor
	home_make
	exec {descriptor}>>"$2" || fail $TEMPORARY "could not open \"$2\""
	flock -w "$3" -E 75 "$descriptor" || status=$?
	((status == 0 || status == 75)) || fail $TEMPORARY "could not lock \"$2\": flock exited $status"
	printf -v "$1" %d "$descriptor"
	((status == 0))
}

# Takes the supervisor's lock, held by a descriptor for as long as we live. `stop` and `health` look at it by taking it, so
# there is a moment's patience.
lock_take() {
	local lock
	file_lock lock "$run/lock" 1 || fail $PERMANENT "a supervisor is running on \"$ACCTFLOW_HOME\" already, pid $(lock_holder); wait for its end, or set ACCTFLOW_HOME to another folder"
	locked=true
	state_write '>>' "$run/lock" "$$"
}

# The last line, should an earlier one's have been left. Only where that process has the file open: one that was killed
# left its pid, which may be another's by now.
lock_holder() {
	local pid='' fd
	pid=$(tail -n 1 "$run/lock" 2>/dev/null) || :
	for fd in ${pid:+"/proc/$pid/fd"/*}; do
		[[ ! $fd -ef $run/lock ]] || { printf '%s\n' "$pid" && return; }
	done
	echo unknown
}

# Whether a run is on.
lock_held() {
	[[ -e $run/lock ]] || return 1
	local status=0
	flock -n -E 75 -s "$run/lock" true || status=$?
	((status == 75))
}

# anchor_keep US: one anchor for all programs of all rounds, the database's distance from the boot clock as the first claim
# found it. statusd, which runs already, finds it in a file.
anchor_keep() {
	[[ $1 && ! ${ACCTFLOW_ANCHOR-} ]] || return 0
	export ACCTFLOW_ANCHOR=$1
	state_write '>' "$run/anchor" "$1"
}
