# What the bats files share. `load helper` gives:
#
#   database [empty]    a database of this test's own (PGHOST, PGUSER, PGDATABASE are set), dropped by teardown; on Citus
#                       its tables are there and distributed, unless it is to be empty
#   sql STATEMENT       its result in it, unaligned, without headings
#   ok COMMAND...       runs it; fails unless it exits 0
#   fails CODE COMMAND...   runs it; fails unless it exits with CODE
#   has TEXT, hasnt TEXT    whether $output has it; err_has TEXT: whether $stderr has it
#   same ACTUAL WANTED  whether they are equal
#   retry N COMMAND...  tries it until it succeeds, every 0.1 s, at most N times where the machine is quick; PATIENCE (5)
#                       times as often before it gives up, so that no test counts on speed
#   gone PID            whether that process has ended (a zombie has)
#
# $root is the checkout, $bin the programs under test (BIN, by default bin/), $supervisor the supervisor. Every test has
# a state folder of its own in ACCTFLOW_HOME; no test sees the user's database or configuration.
# Whatever fails says which command it was, its status and what it printed.
# shellcheck disable=SC2154 # bats sets status, output, stderr
bats_require_minimum_version 1.5.0

root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
bin=$(cd "$root" && realpath -m "${BIN:-bin}")
# shellcheck disable=SC2034 # for the tests
supervisor=$root/supervisor
# Debian's psql is a script that takes longer to start than psql itself.
for psql in /usr/lib/postgresql/*/bin/psql; do [[ ! -x $psql ]] || PATH=${psql%/*}:$PATH; done
export PATH=$bin:$PATH ACCTFLOW_BIN=$bin ACCTFLOW_HOME=$BATS_TEST_TMPDIR/var
# The user's own settings are none of the tests' business: an empty configuration file, no PG* but what we set.
export ACCTFLOW_CONFIG=/dev/null LC_ALL=C TZ=UTC
# Whoever wants statusd lets it take any port.
export ACCTFLOW_LISTEN=none
unset ACCTFLOW_DB ACCTFLOW_LOG_LEVEL ACCTFLOW_LOG_FORMAT ACCTFLOW_FORMAT ACCTFLOW_ANCHOR ACCTFLOW_CLOCK ACCTFLOW_EPOCH \
	ACCTFLOW_METRICS NO_COLOR POSIXLY_CORRECT CDPATH "${!PG@}"

# With ACCTFLOW_TEST_CITUS every test runs on a Citus, its tables distributed.
if [[ ${ACCTFLOW_TEST_CITUS-} ]]; then source "$root/test/citus.bash"; fi

# database [empty]
database() {
	local name=t${BATS_SUITE_TEST_NUMBER}_$RANDOM
	PGHOST=$SUITE_PGHOST PGPORT=${SUITE_PGPORT-5432} PGUSER=acctflow PGDATABASE=postgres
	export PGHOST PGPORT PGUSER PGDATABASE
	if [[ ${ACCTFLOW_TEST_CITUS-} ]]; then
		if [[ ${1-} ]]; then citus_database "$PGHOST" "$name"; else citus_database "$PGHOST" "$name" prepared; fi
	else
		sql "CREATE DATABASE $name"
	fi
	PGDATABASE=$name
}

database_drop() {
	local name=${PGDATABASE-}
	[[ $name == t*_* ]] || return 0
	PGDATABASE=postgres
	if [[ ${ACCTFLOW_TEST_CITUS-} ]]; then
		citus_database_drop "$PGHOST" "$name"
	else
		sql "DROP DATABASE IF EXISTS $name WITH (FORCE)"
	fi
}

teardown() {
	database_drop
}

sql() {
	psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"
}

shown() {
	((${#output} < 2000)) || output="...${output: -2000}"
	((${#stderr} < 3000)) || stderr="...${stderr: -3000}"
	printf 'command: %s\nstatus: %s\nstdout:\n%s\nstderr:\n%s\n' "$command" "$status" "$output" "$stderr"
}

ok() {
	fails 0 "$@"
}

fails() {
	local want=$1
	shift
	command=$*
	run --separate-stderr -- "$@"
	[[ $status == "$want" ]] || {
		echo "wanted status: $want"
		shown
		return 1
	}
}

has() {
	[[ $output == *"$1"* ]] || {
		echo "not in stdout: $1"
		shown
		return 1
	}
}

hasnt() {
	[[ $output != *"$1"* ]] || {
		echo "should not be in stdout: $1"
		shown
		return 1
	}
}

err_has() {
	[[ $stderr == *"$1"* ]] || {
		echo "not in stderr: $1"
		shown
		return 1
	}
}

same() {
	[[ $1 == "$2" ]] || {
		printf 'is:     %s\nwanted: %s\n' "$1" "$2"
		return 1
	}
}

retry() {
	local left=$(($1 * ${PATIENCE:-5}))
	shift
	until "$@"; do
		((--left > 0)) || {
			echo "still fails: $*"
			return 1
		}
		sleep 0.1
	done
}

gone() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
	[[ ${stat##*) } == Z* ]]
}

# child NAME: the pid of that program of the run of one pipeline.
child() {
	local pids=$ACCTFLOW_HOME/run/pipelines/0/pids
	# Events may be there before the supervisor has noted who emitted them.
	retry 300 grep -qs "^$1 " "$pids" >&2
	awk -v name="$1" '$1 == name { print $2 }' "$pids"
}
