#!/usr/bin/env bats
# What the programs can no longer do once they read their input: plant.c tries it inside them, at that moment.
# shellcheck disable=SC2154,SC2164 # helper sets root and bin; a cd that fails ends the test
load helper

setup_file() {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || return 0
	"${CC:-cc}" -O1 -shared -fPIC -D_GNU_SOURCE -o "$BATS_FILE_TMPDIR/plant.so" "$BATS_TEST_DIRNAME/sandbox/plant.c"
}

setup() {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'no sandbox in a build with sanitizers'
	cd "$BATS_TEST_TMPDIR"
	echo '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2,"version":3}' >in
	echo secret >other
	chmod 644 in other
}

# planted WHAT AT COMMAND...: runs it with that in it; the result is in $status, $output, $stderr.
planted() {
	local what=$1 at=$2
	shift 2
	command=$*
	run --separate-stderr env LD_PRELOAD="$BATS_FILE_TMPDIR/plant.so" PLANT="$what" PLANT_AT="$at" "$@"
}

# refused WHAT AT ANSWER COMMAND...: the program goes on, what was planted got that answer.
refused() {
	local what=$1 answer=$3
	planted "$1" "$2" "${@:4}"
	[[ $status == 0 && $stderr == *"planted $what: $answer"* ]] || {
		echo "wanted of $what: $answer"
		shown
		return 1
	}
}

# killed WHAT AT COMMAND...: the program ends by SIGSYS there and then.
killed() {
	planted "$@"
	[[ $status == 159 && $stderr != *planted* ]] || {
		echo "wanted for $1: killed by SIGSYS"
		shown
		return 1
	}
}

# The version of Landlock; 0: there is none.
landlock() {
	local version
	version=$(LD_PRELOAD=$BATS_FILE_TMPDIR/plant.so PLANT=version timerd --help | head -n 1)
	echo $((version < 0 ? 0 : version))
}

needs() {
	(($(landlock) >= $1)) || skip "this kernel's Landlock has not version $1"
}

# What no program that has the filter of system calls may do, whatever it reads.
nothing_foreign() {
	killed connect 9 "$@"
	killed listen 0 "$@"
	killed execute /bin/true "$@"
	killed ptrace '' "$@"
	killed code '' "$@"
	killed fork '' "$@"
	killed signal '' "$@"
	refused strange '' 'Function not implemented' "$@"
}

@test "timerd opens nothing, and reaches no other process and no network" {
	nothing_foreign timerd <in
	refused read other 'Permission denied' timerd <in
	refused write new 'Permission denied' timerd <in
	refused list . 'Permission denied' timerd <in
	[[ ! -e new ]]
}

@test "reader of standard input opens nothing, and reaches no other process and no network" {
	nothing_foreign reader -a none <in
	refused read other 'Permission denied' reader -a none <in
	refused write new 'Permission denied' reader -a none <in
}

@test "reader opens the files that it was given, for reading, and no other" {
	needs 1
	nothing_foreign reader -a none in
	refused read in 'done' reader -a none in
	refused read other 'Permission denied' reader -a none in
	refused list . 'Permission denied' reader -a none in
	refused write in 'Permission denied' reader -a none in
	cp in in2
	refused read in2 'done' reader -a none in in2
	same "$(grep -c '"version":3' <<<"$output")" 2
	refused delete other 'Function not implemented' reader -a none in
}

@test "reader --copy-to writes in its spool, and nowhere else; reader --spool only reads it" {
	needs 1
	nothing_foreign reader --copy-to s <in
	rm -r s
	refused write s/x 'done' reader --copy-to s <in
	rm -r s
	refused write new 'Permission denied' reader --copy-to s <in
	rm -r s
	refused read other 'Permission denied' reader --copy-to s <in
	refused read other 'Permission denied' reader -a none --spool s
	refused write s/x 'Permission denied' reader -a none --spool s
	[[ ! -e new ]]
}

@test "reader --follow opens what is in the file's folder" {
	needs 1
	mkdir logs
	mv in logs
	for at in logs/in other; do
		: >err
		LD_PRELOAD=$BATS_FILE_TMPDIR/plant.so PLANT=read PLANT_AT=$at reader -a none -F logs/in >out 2>err 3>&- &
		pid=$!
		retry 100 grep -q planted err
		kill "$pid"
		wait "$pid"
		grep planted err >>all
	done
	same "$(cat all)" $'planted read: done\nplanted read: Permission denied'
}

@test "writer and ack gain no privileges, and keep what their database needs" {
	database
	echo '*:*:*:*:x' >pgpass
	chmod 600 pgpass
	export PGPASSFILE=$PWD/pgpass
	refused read pgpass 'done' writer <in
	refused read pgpass 'done' writer ack <in
	# Also what is replaced while they run: a name server, a certificate, a password file.
	refused read /etc/passwd 'done' writer <in
	refused connect 9 'Connection refused' writer <in
}

# sandboxed PID SECCOMP: as the kernel sees it.
sandboxed() {
	same "$(sed -n 's/^\(NoNewPrivs\|Seccomp\):\t//p' "/proc/$1/status" | tr '\n' ' ')" "1 $2 "
}

@test "the kernel reports each running program as sandboxed" {
	database
	mkfifo a b c
	reader -a none - <a >/dev/null 3>&- 4>&- &
	local reader=$!
	timerd <b >/dev/null 3>&- 4>&- &
	local timerd=$!
	writer <c >/dev/null 3>&- 4>&- &
	local writer=$!
	exec 4>a 5>b 6>c
	retry 100 sandboxed $reader 2
	retry 100 sandboxed $timerd 2
	retry 100 sandboxed $writer 0
	mkfifo d
	writer ack <d >/dev/null 3>&- 4>&- &
	local ack=$!
	exec 7>d
	retry 100 sandboxed $ack 0
	exec 7>&-
	exec 4>&- 5>&- 6>&-
	wait $timerd $writer $ack
}

@test "--no-sandbox keeps all rights, as do the environment and the configuration file" {
	for program in 'timerd' 'reader -a none'; do
		# shellcheck disable=SC2086 # words
		refused read other 'done' $program --no-sandbox <in
		# shellcheck disable=SC2086
		refused connect 9 'Connection refused' $program --no-sandbox <in
		# shellcheck disable=SC2086
		ACCTFLOW_NO_SANDBOX=1 refused read other 'done' $program <in
		printf 'no-sandbox: true\n' >config.yaml
		# shellcheck disable=SC2086
		refused read other 'done' $program -c config.yaml <in
	done
	database
	mkfifo c
	writer --no-sandbox <c >/dev/null 3>&- 4>&- &
	local writer=$!
	exec 6>c
	running() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'acctflow%' AND datname = current_database()") == 1 ]]; }
	retry 100 running
	same "$(sed -n 's/^NoNewPrivs:\t//p' "/proc/$writer/status")" 0
	exec 6>&-
	wait $writer
}

@test "a kernel that lacks the means is named in one warning, and all goes on" {
	command -v strace >/dev/null || skip 'no strace'
	local without=(strace -qq -o trace -e 'trace=landlock_create_ruleset,seccomp,prctl'
		-e inject=landlock_create_ruleset:error=EOPNOTSUPP -e 'inject=seccomp,prctl:error=EINVAL')
	ok "${without[@]}" timerd <in
	err_has 'this kernel cannot sandbox the program fully'
	err_has 'Landlock: Operation not supported: seccomp: Invalid argument'
	has '"summary"'
	ok "${without[@]}" reader -a none in
	err_has 'Landlock: Operation not supported: seccomp: Invalid argument'
	has '"end"'
	database
	ok "${without[@]}" writer <in
	err_has 'could not give up gaining privileges'
	has '"indexed"'
}
