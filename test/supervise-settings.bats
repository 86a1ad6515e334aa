#!/usr/bin/env bats
# What options, environment and configuration file say, and what of the caller's shell must not matter.

load helper
load fakes

setup() {
	fakes=$BATS_TEST_TMPDIR/fakes
	fake_all
	input=$BATS_TEST_TMPDIR/in
}

@test "option before environment before file, which the writer reads" {
	echo x >"$BATS_TEST_TMPDIR/config"
	printf '%s\n' 'database=host=file x=y' log-level=debug home=/tmp/of-file >"$fakes/config"
	source "$supervisor"
	unset PGHOST ACCTFLOW_HOME
	opt[config]=$BATS_TEST_TMPDIR/config
	settings_read
	same "${config[database]} $log_level $ACCTFLOW_HOME" 'host=file x=y debug /tmp/of-file'
	run ! db_private
	ACCTFLOW_LOG_LEVEL=warn settings_read
	same "$log_level" warn
	opt["log-level"]=trace
	settings_read
	same "$log_level" trace
}

@test "a configuration that the writer refuses is refused" {
	echo x >"$BATS_TEST_TMPDIR/config"
	rm -f "$fakes/config"
	fails 100 "$supervisor" run -c "$BATS_TEST_TMPDIR/config" "$input"
}

@test "an empty PG* variable is one that is not set; the private Postgres sees none" {
	source "$supervisor"
	unset PGHOST
	export PGHOST='' PGDATABASE='' PGHOSTADDR='' PGSERVICE='' ACCTFLOW_DB=''
	export PGCHANNELBINDING=require PGTARGETSESSIONATTRS=standby PGOPTIONS='-c nonsense=1' PGGSSENCMODE=require PGPORT=1
	settings_read
	db_private
	same "$(env | grep -c ^PG || :)" 0
}

@test "a configuration file that nobody named and that cannot be read is left alone" {
	source "$supervisor"
	here=$BATS_TEST_TMPDIR/nowhere
	unset ACCTFLOW_CONFIG
	cd "$BATS_TEST_TMPDIR"
	settings_read
	same "$ACCTFLOW_CONFIG" /dev/null
}

@test "run starts whatever the shell and the locale are" {
	for setting in POSIXLY_CORRECT=1 LC_ALL=de_DE.UTF-8 LC_NUMERIC=fr_FR.UTF-8 CDPATH=/tmp GREP_OPTIONS=-v \
		SHELLOPTS=noclobber:noglob:posix BASHOPTS=failglob:nocasematch TZ=Asia/Tokyo; do
		rm -f "$fakes/done"
		ok env "$setting" "$supervisor" run --source s "$input"
		has '{"richest":1}'
	done
	rm -f "$fakes/done"
	echo 'set -o noclobber; cd() { exit 7; }' >"$BATS_TEST_TMPDIR/env"
	rm -rf "$ACCTFLOW_HOME"
	ok bash -c 'umask 0777; exec "$@"' - "$supervisor" run --source s "$input"
	same "$(stat -c %a "$ACCTFLOW_HOME" "$ACCTFLOW_HOME/run" | tr '\n' ' ')" '755 700 '
}

@test "--count 010 is ten, 08 is eight" {
	for count in 010=10 08=8; do
		rm -f "$fakes/done" "$fakes/reader.args"
		ok "$supervisor" run --source s --count "${count%=*}" "$input"
		[[ $(<"$fakes/reader.args") == *" --count ${count#*=} "* ]]
	done
}

@test "a lock that is held is a run that is on; one that cannot be taken is not" {
	mkdir -p "$ACCTFLOW_HOME/run"
	exec 5<>"$ACCTFLOW_HOME/run/lock"
	flock 5
	# The last one's, and only if it has the lock.
	printf '%s\n' 1 "$BASHPID" >&5
	fails 100 "$supervisor" run --source s "$input"
	err_has "a supervisor is running on \"$ACCTFLOW_HOME\" already, pid $BASHPID;"
	echo 1 >&5
	fails 100 "$supervisor" run --source s "$input"
	err_has "a supervisor is running on \"$ACCTFLOW_HOME\" already, pid unknown;"
	exec 5>&-
	mkdir "$BATS_TEST_TMPDIR/path"
	printf '#!/bin/sh\nexit 71\n' >"$BATS_TEST_TMPDIR/path/flock"
	chmod +x "$BATS_TEST_TMPDIR/path/flock"
	fails 111 env "PATH=$BATS_TEST_TMPDIR/path:$PATH" "$supervisor" run --source s "$input"
	err_has 'flock exited 71'
}

@test "a state folder that takes no more: said once, and nothing ends" {
	source "$supervisor"
	run=/dev/full disk_full=''
	state_write '>>' /dev/full x 2>"$BATS_TEST_TMPDIR/said"
	state_write '>>' /dev/full x 2>>"$BATS_TEST_TMPDIR/said"
	same "$(grep -c 'the disk is full' "$BATS_TEST_TMPDIR/said")/$(wc -l <"$BATS_TEST_TMPDIR/said")" 1/1
	state_write '>>' "$BATS_TEST_TMPDIR/there" x 2>"$BATS_TEST_TMPDIR/said"
	grep -q 'can be written again' "$BATS_TEST_TMPDIR/said"
}
