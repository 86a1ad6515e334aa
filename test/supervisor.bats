#!/usr/bin/env bats
# The supervisor: its functions by themselves, then with programs that are made up to die in chosen ways, then with the
# real ones and a private Postgres.

load helper
load fakes

setup() {
	sample=$root/data/challenge-input.json
	fakes=$BATS_TEST_TMPDIR/fakes
	started='' opened=''
}

teardown() {
	if [[ $started ]]; then kill -KILL "$started" 2>/dev/null || :; fi
	"$supervisor" stop 2>/dev/null || :
	[[ ! $opened ]] || rm -rf -- "$opened"
	database_drop
}

# A state folder that user postgres can enter, if we are root; bats's own he cannot.
home_open() {
	opened=$(mktemp -d /tmp/acctflow-home.XXXXXX)
	ACCTFLOW_HOME=$opened/var
	chmod 755 "$opened"
}

# told TEXT [N]: whether the run has printed it (N times).
told() {
	(($(grep -c -- "$1" "$BATS_TEST_TMPDIR/out") >= ${2:-1}))
}

# titled PATTERN: settles pid, of the process whose title that is.
titled() {
	local file title
	for file in /proc/[0-9]*/cmdline; do
		title=''
		IFS= read -r -d '' title 2>/dev/null <"$file" || :
		# shellcheck disable=SC2053 # a pattern
		[[ $title != $1* ]] || {
			pid=${file//[!0-9]/}
			return 0
		}
	done
	return 1
}

# Whether none of the programs under test lives in our state folder.
nothing_runs() {
	local file
	for file in /proc/[0-9]*/environ; do
		if tr '\0' '\n' <"$file" 2>/dev/null | grep -qxF "ACCTFLOW_HOME=$ACCTFLOW_HOME"; then
			file=${file%/environ}
			# Whom the tests themselves run is not meant.
			[[ $(readlink "$file/exe") != "$bin"/* ]] || return 1
		fi
	done
}

# What is left in the state folder hinders no one: no socket, no fifo, no pids, empty lock files; but for what statusd sees.
nothing_left() {
	same "$(find "$ACCTFLOW_HOME/" -type p -o -type s)" ''
	same "$(find "$ACCTFLOW_HOME/run/" -type f -size +0 ! -name '*.metrics' ! -name '*.stats' ! -name restarts ! -name name ! -name output.lock)" ''
	same "$(find "$ACCTFLOW_HOME/run/" -name 'pids' -o -name 'claim')" ''
}

# --- functions --------------------------------------------------------------------

@test "backoff doubles from 0.1 s to 10 s, half of it at random" {
	source "$supervisor"
	for try in 0 1 2 3 4 5 6 7 20; do
		most=$((100 << try))
		((try <= 6)) || most=10000
		for _ in {1..50}; do
			backoff $try
			((delay >= most / 2 && delay <= most))
		done
	done
}

@test "arguments: options stand anywhere, with = or without" {
	source "$supervisor"
	arguments_read --db x run -cfile --seed=7 in --again -l debug
	same "$verb ${rest[*]} ${opt[db]} ${opt[config]} ${opt[seed]} ${opt[again]} ${opt["log-level"]}" 'run in x file 7 true debug'
}

@test "arguments: what is writer's or psql's goes there" {
	source "$supervisor"
	arguments_read richest --type mint --format json
	same "$verb ${rest[*]} ${opt[format]}" 'richest --type mint json'
	verb='' rest=()
	arguments_read psql -c 'select 1' --csv
	same "$verb ${#rest[@]}" 'psql 3'
}

@test "arguments that are wrong: one plain line, with what may have been meant" {
	wrong() {
		fails 100 "$supervisor" "${@:2}"
		same "$stderr" "acctflow: $1"
	}
	wrong 'unknown verb "frobnicate"; see acctflow --help' frobnicate
	wrong 'unknown verb "ststus"; did you mean "status"?' ststus
	wrong 'unknown verb "statsu"; did you mean "status"?' statsu
	wrong 'unknown option "--nope"; see acctflow --help' run --nope
	wrong 'unknown option "--arival"; did you mean "--arrival"?' run --arival gap
	wrong 'unknown option "--watc"; did you mean "--watch"?' stop --watc
	wrong 'unknown option "-q"; see acctflow --help' run -q
	wrong 'option "--seed" wants a value; see acctflow --help' run --seed
	wrong 'option "--again" takes no value' run --again=yes
	wrong 'stop takes no argument, and "now" was given' stop now
	wrong 'health takes no argument, and "x" was given' health x
	wrong '--source names one INPUT, and there are several' run --source s "$sample" "$sample"
	wrong "source \"$sample\" was given twice" run "$sample" "$sample"
	wrong 'an INPUT is empty: a file, - or kafka://HOST:PORT,…/TOPIC is wanted' run ''
	wrong '--format: expected one of auto|json|text, not "loud"' run --format loud "$sample"
	wrong '--count: expected a whole number, not "x"' run --count x "$sample"
	wrong '--shards: expected a whole number from 1, not "0"' run --shards 0 "$sample"
	wrong '--log-level: expected one of error|warn|info|debug|trace, not "loud"' status --log-level loud
	fails 100 "$supervisor" status -c /nowhere
	err_has 'could not read configuration file "/nowhere"'
}

@test "arguments: behind -- all are operands, also those that begin with -" {
	source "$supervisor"
	arguments_read history -- -x
	same "$verb ${rest[*]}" 'history -- -x'
	verb='' rest=()
	arguments_read run --seed 1 -- -x --seed
	same "$verb ${rest[*]} ${opt[seed]}" 'run -x --seed 1'
}

@test "help and version" {
	for word in --help -h help; do
		ok "$supervisor" $word
		has 'usage: acctflow'
	done
	fails 100 "$supervisor"
	err_has 'usage: acctflow'
	ok "$supervisor" --version
	[[ $output =~ ^acctflow\ [0-9.]+$ ]]
}

@test "an input that is missing, or a folder, before anything is started" {
	fails 100 "$supervisor" run /nowhere/at.all
	err_has 'input "/nowhere/at.all" does not exist'
	fails 100 "$supervisor" run /tmp
	err_has 'input "/tmp" is a directory'
	[[ ! -e $ACCTFLOW_HOME ]]
}

@test "which database: option, environment and file before a private one" {
	source "$supervisor"
	unset PGHOST PGPORT PGUSER PGDATABASE
	db_private
	PGUSER=somebody db_private
	for name in PGHOST PGHOSTADDR PGSERVICE PGDATABASE ACCTFLOW_DB; do
		run ! env "$name=x" bash -c "source '$supervisor'; db_private"
	done
	config[database]=host=x
	run ! db_private
}

@test "the sample configuration names no database and is read by all" {
	sed 's/^#\([a-z_-]*:\)/\1/; s/^#\(  \)/\1/; /^home:\|^database:\|^password_file:/d' "$root/config.yaml" >"$BATS_TEST_TMPDIR/config.yaml"
	for program in kafka-reader reader timerd writer tracer statusd; do ok "$bin/$program" -c "$BATS_TEST_TMPDIR/config.yaml" --version; done
	ok "$bin/reader" -c "$BATS_TEST_TMPDIR/config.yaml" --arrival none "$sample"
}

@test "log lines: level, format, and nothing in them forges another" {
	source "$supervisor"
	same "$(log debug hidden 2>&1)" ''
	[[ $(log warn $'a\nb\e[1m' 2>&1) =~ ^[0-9-]{10}T[0-9:]{8}\.[0-9]{6}Z\ warn\ supervisor\[[0-9]+\]\ a\?b\?\[1m$ ]]
	log_format=json log_level=debug
	[[ $(log debug 'a "b" \' 2>&1) == *'"level":"debug","program":"supervisor","pid":'*'"message":"a \"b\" \\"}' ]]
}

@test "the anchor takes the boot clock to the database's within 5 ms, and is kept" {
	source "$supervisor"
	database
	run=$BATS_TEST_TMPDIR
	ok "$bin/writer" claim --source s
	anchor_keep "$(sed -n 's/^anchor=//p' <<<"$output")"
	cat >"$BATS_TEST_TMPDIR/off.pl" <<-'END'
		use Time::HiRes qw(clock_gettime CLOCK_REALTIME);
		my $off = $ENV{ACCTFLOW_ANCHOR} + clock_gettime(7) * 1e6 - clock_gettime(CLOCK_REALTIME) * 1e6;
		die "off by $off us\n" if abs($off) > 5000;
	END
	ok perl "$BATS_TEST_TMPDIR/off.pl"
	before=$ACCTFLOW_ANCHOR
	anchor_keep 1
	same "$ACCTFLOW_ANCHOR $(<"$run/anchor")" "$before $before"
}

@test "settings that mean the same are the same" {
	source "$supervisor"
	same_setting speed 1.0 1
	same_setting epoch 2000-01-01T01:00:00+01:00 2000-01-01T00:00:00.000000Z
	run ! same_setting speed 1.5 1
	run ! same_setting seed 1 2
	run ! same_setting epoch 2000-01-01T00:00:00Z 2000-01-01T00:00:01Z
}

@test "packages: nothing to say where all is there; the command where we may not install" {
	ok "$supervisor" packages
	mkdir "$BATS_TEST_TMPDIR/few"
	chmod 755 "${BATS_TEST_TMPDIR%/*/*}" "${BATS_TEST_TMPDIR%/*}" "$BATS_TEST_TMPDIR"
	ln -s /usr/bin/* "$BATS_TEST_TMPDIR/few/"
	rm "$BATS_TEST_TMPDIR/few/bats"
	source "$supervisor"
	packages_missing() { printf 'libcjson-dev\nbats\n'; }
	if ((EUID == 0)); then
		packages_install() { echo "install $*"; }
		fails 100 verb_packages
		err_has 'install bats libcjson-dev'
		err_has 'still missing after the installation: bats libcjson-dev'
		# As an ordinary user, in whose path there is no bats.
		mkdir /tmp/acctflow-few.$$
		cp -rL "$supervisor" "$root/supervise" /tmp/acctflow-few.$$
		fails 100 setpriv --reuid=65534 --regid=65534 --clear-groups env PATH="$BATS_TEST_TMPDIR/few" /bin/bash /tmp/acctflow-few.$$/supervisor packages
		rm -r /tmp/acctflow-few.$$
		err_has 'packages are missing; install them by: sudo apt-get install -y --no-install-recommends bats'
		return 0
	fi
	fails 100 verb_packages
	err_has 'install them by: sudo apt-get install -y --no-install-recommends bats libcjson-dev'
}

# --- rounds, with programs made up --------------------------------------------------

@test "a source is claimed, run, and done" {
	fake_all
	ok "$supervisor" run --source s "$BATS_TEST_TMPDIR/in"
	same "$output" $'{"event":"end","complete":true}\n{"sources":1,"rejected":0}\n{"richest":1}'
	same "$(sed 's/ --seed [0-9]*//' "$fakes/reader.args")" "--source s --shard 0/1 --from 0 --format json -- $BATS_TEST_TMPDIR/in"
	grep -qx -- '--resume --token 1 --source s --shard 0/1 --format json' "$fakes/writer.args"
	grep -qx -- "ack --resume --token 1 --source s --shard 0/1 --output-lock $ACCTFLOW_HOME/run/output.lock" "$fakes/writer.args"
	nothing_left
}

@test "where it goes on, and with which settings, is what the claim says" {
	fake_all
	printf '%s\n' committed=9 delivered=4 complete=false pending=0 done=false seed=5 arrival=gap delayMs=0:10 speed=1 \
		clock=virtual epoch=2000-01-01T00:00:00.000000Z fingerprint=9:ab check=9:77 >"$fakes/claim.more"
	ok "$supervisor" run --source s --seed 5 --speed 1.0 --count 7 --strict "$BATS_TEST_TMPDIR/in"
	same "$(cat "$fakes/reader.args")" "--clock virtual --epoch 2000-01-01T00:00:00.000000Z --source s --shard 0/1 --from 5 --format json --seed 5 --arrival gap --delay-ms 0:10 --speed 1 --strict --catch-up-to 9 --count 7 --fingerprint 9:ab --check 9:77 -- $BATS_TEST_TMPDIR/in"
	rm "$fakes/done"
	fails 100 "$supervisor" run --source s --seed 6 "$BATS_TEST_TMPDIR/in"
	err_has 'was begun with --seed 5, not 6; leave that option away to finish it, or add --again'
}

@test "who dies is named, and the round begins again" {
	fake_all
	: >"$fakes/counted"
	for name in reader writer timerd ack; do
		rm -f "$fakes/done" "$fakes/dead"
		: >"$fakes/anchors"
		echo KILL >"$fakes/deaths-$name"
		echo 111 >>"$fakes/deaths-$name"
		ok "$supervisor" run --source s "$BATS_TEST_TMPDIR/in"
		[[ $stderr =~ $name\[[0-9]+\]\ was\ killed\ by\ signal\ 9 ]]
		[[ $stderr =~ $name\[[0-9]+\]\ exited\ 111 ]]
		same "$(grep -c 'starting again in' <<<"$stderr")" 2
		[[ $stderr != *Killed* ]]
		# One anchor for all three rounds.
		same "$(uniq "$fakes/anchors" | wc -l)/$(wc -l <"$fakes/anchors")" 1/3
		nothing_left
	done
}

@test "every child's permanent failure ends the run with 100, after the summary" {
	fake_all
	for name in claim reader writer timerd ack; do
		rm -f "$fakes/done"
		echo 100 >"$fakes/deaths-$name"
		fails 100 "$supervisor" run --source s "$BATS_TEST_TMPDIR/in"
		err_has 'exited 100'
		hasnt again
		[[ $name == claim ]] || has '{"richest":1}'
	done
}

@test "strict: what reader says is passed on" {
	fake_all
	echo 1 >"$fakes/deaths-reader"
	fails 1 "$supervisor" run --source s --strict "$BATS_TEST_TMPDIR/in"
}

@test "standard input goes by way of a spool, in each round the same" {
	fake_all
	echo 111 >"$fakes/deaths-timerd"
	ok "$supervisor" run - <"$BATS_TEST_TMPDIR/in"
	mapfile -t args <"$fakes/reader.args"
	same "${#args[@]}" 2
	same "${args[0]}" "${args[1]}"
	[[ ${args[0]} =~ ^--source\ stdin-([0-9]{8}T[0-9]{6}Z-[0-9]+)\ .*\ --spool\ ($ACCTFLOW_HOME/spool/stdin-([^ ]*)-[0-9a-f]{16})$ ]]
	same "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]}"
	same "$(cat "$fakes/copier.args")" "--copy-to ${BASH_REMATCH[2]} --copy-from 0 -"
}

@test "all say they are done but the source is not: given up after five rounds" {
	fake_all
	echo complete=true >"$fakes/claim.more"
	sed -i '/: >"$state\/done"/d' "$fakes/writer"
	cp -rL "$supervisor" "$root/supervise" "$BATS_TEST_TMPDIR"
	sed -i 's/most=$((100 << $1))/most=2/' "$BATS_TEST_TMPDIR/supervise/children.bash"
	fails 111 "$BATS_TEST_TMPDIR/supervisor" run --source s "$BATS_TEST_TMPDIR/in"
	err_has 'was read to its end but does not get done'
	same "$(wc -l <"$fakes/reader.args")" 5
}

@test "one that does not end by itself is made to, also while it is stopped" {
	fake_all
	fake timerd <<'END'
trap '' TERM
if [[ ! -e $state/stuck ]]; then : >"$state/stuck"; echo $$ >"$state/pid"; kill -STOP $$; sleep 100 & wait; sleep 100; fi
cat
END
	echo 111 >"$fakes/deaths-reader"
	ok "$supervisor" run --source s "$BATS_TEST_TMPDIR/in"
	retry 20 gone "$(cat "$fakes/pid")"
}

@test "--again takes the next number that is not done" {
	fake_all
	sed -i 's|\[\[ ! -e $state/done \]\] .*|case $* in *"#3 "*) echo done=$([[ -e $state/done ]] \&\& echo true) ;; *) echo done=true ;; esac|' "$fakes/writer"
	ok "$supervisor" run --source s --again "$BATS_TEST_TMPDIR/in"
	[[ $(cat "$fakes/reader.args") == '--source s#3 '* ]]
	ok "$supervisor" run --source s "$BATS_TEST_TMPDIR/in"
	err_has 'source "s" was read to its end and nothing is pending; --again reads it anew'
	same "$(wc -l <"$fakes/reader.args")" 1
}

@test "a conninfo is on no command line" {
	fake_all
	unset PGHOST
	echo 'tr "\0" " " </proc/$PPID/cmdline >>"$state/cmdline"; echo "$ACCTFLOW_DB" >>"$state/db"' >>"$fakes/reader"
	ok "$supervisor" run --db 'host=/secret' --source s "$BATS_TEST_TMPDIR/in"
	same "$(cat "$fakes/db")" host=/secret
	run ! grep -q secret "$fakes/reader.args" "$fakes/writer.args"
}

# --- the private Postgres -----------------------------------------------------------

@test "private Postgres: made, on a socket only, found again, stopped by its last user" {
	home_open
	ok "$supervisor" psql -At -c 'show listen_addresses' -c 'show fsync' -c 'show data_checksums' -c 'show server_encoding' -c 'select 1'
	same "$output" $'\non\non\nUTF8\n1'
	nothing_left
	same "$(stat -c %a "$ACCTFLOW_HOME/postgres")" 700
	ok "$supervisor" postgres
	has "host=$ACCTFLOW_HOME/postgres/socket port=5432 dbname=acctflow user=acctflow"
	same "$(cat "$ACCTFLOW_HOME/run/db")" "$output"
	pid=$(head -n 1 "$ACCTFLOW_HOME/postgres/postmaster.pid")
	ok "$supervisor" psql -At -c 'create table t as select 5 as n'
	same "$(head -n 1 "$ACCTFLOW_HOME/postgres/postmaster.pid")" "$pid"
	ok "$supervisor" stop
	gone "$pid"
	nothing_left
	ok "$supervisor" psql -At -c 'select n from t'
	same "$output" 5
	nothing_left
}

@test "private Postgres: two users, the first to go leaves it" {
	home_open
	mkfifo "$BATS_TEST_TMPDIR/hold"
	"$supervisor" psql -At -f "$BATS_TEST_TMPDIR/hold" >"$BATS_TEST_TMPDIR/held" 3>&- &
	started=$!
	exec 5>"$BATS_TEST_TMPDIR/hold"
	retry 100 test -e "$ACCTFLOW_HOME/run/db"
	ok "$supervisor" psql -At -c 'select 1'
	echo 'select 2;' >&5
	retry 50 grep -qx 2 "$BATS_TEST_TMPDIR/held"
	exec 5>&-
	wait "$started"
	nothing_left
}

@test "private Postgres: after a kill -9 it starts again, whoever lingers" {
	home_open
	ok "$supervisor" postgres
	"$supervisor" psql -c 'select pg_sleep(100)' >/dev/null 2>&1 3>&- &
	started=$!
	sleeper="postgres: acctflow-$(cksum <<<"$ACCTFLOW_HOME/postgres" | cut -d ' ' -f 1): * SELECT"
	retry 100 titled "$sleeper"
	lingers=$pid
	pid=$(head -n 1 "$ACCTFLOW_HOME/postgres/postmaster.pid")
	kill -STOP "$lingers"
	kill -KILL "$pid"
	ok "$supervisor" psql -At -c 'select 1'
	same "$output" 1
	gone "$lingers"
	ok "$supervisor" stop
	echo 1 >"$ACCTFLOW_HOME/postgres/postmaster.pid" # as after a reboot, somebody else's
	ok "$supervisor" psql -At -c 'select 1'
	same "$output" 1
}

@test "private Postgres: a path too long or too odd for a socket" {
	home_open
	base=${ACCTFLOW_HOME%/var}
	ACCTFLOW_HOME="$base/$(printf 'deeper/%.0s' {1..20})it's, a/var"
	ok "$supervisor" postgres
	[[ $output == host=/tmp/acctflow-??????\ * ]]
	short=${output#host=}
	short=${short%% *}
	ok "$supervisor" psql -At -c 'select 1'
	kill -KILL "$(head -n 1 "$ACCTFLOW_HOME/postgres/postmaster.pid")"
	ok "$supervisor" psql -At -c 'select 1'
	ok "$supervisor" stop
	[[ ! -e $short ]]
	nothing_left
}

@test "private Postgres: for root where user postgres cannot go" {
	((EUID == 0)) || skip 'only root can be in that place'
	ACCTFLOW_HOME=$(mktemp -d /tmp/acctflow-closed.XXXXXX)/var # 0700
	ok "$supervisor" psql -At -c 'create table t as select 6 as n'
	err_has "user postgres cannot reach \"$ACCTFLOW_HOME\""
	place=$(readlink "$ACCTFLOW_HOME/postgres")
	[[ $place == /var/lib/postgresql/acctflow-* ]]
	ok "$supervisor" psql -At -c 'select n from t'
	same "$output" 6
	rm -r "${ACCTFLOW_HOME%/var}"
	mkdir -m 700 "${ACCTFLOW_HOME%/var}"
	fails 1 "$supervisor" psql -At -c 'select n from t'
	err_has 'the cluster of an earlier state folder of that name was moved'
	"$supervisor" stop
	rm -rf "${ACCTFLOW_HOME%/var}" "$place" "$place.old"
}

@test "psql has the password file of the configuration" {
	printf '#!/bin/sh\necho "$PGPASSFILE $*"\n' >"$BATS_TEST_TMPDIR/psql"
	chmod +x "$BATS_TEST_TMPDIR/psql"
	echo 'password-file: /a/pgpass' >"$BATS_TEST_TMPDIR/config"
	ACCTFLOW_CONFIG=$BATS_TEST_TMPDIR/config ACCTFLOW_DB=host=db PATH=$BATS_TEST_TMPDIR:$PATH ok "$supervisor" psql -l
	same "$output" '/a/pgpass -d host=db -l'
}

@test "an ordinary user has it in his own folder, and is told where he cannot" {
	((EUID == 0)) || skip 'all tests run as an ordinary user already'
	home_open
	base=${ACCTFLOW_HOME%/var}
	mkdir -p "$base/tree/bin" "$base/tree/data"
	cp -rL "$supervisor" "$root/supervise" "$base/tree/"
	cp "$bin"/{reader,writer,timerd,statusd} "$base/tree/bin/"
	cp "$sample" "$base/tree/data/"
	chown -R nobody "$base/tree"
	as=(runuser -u nobody -- env -u ACCTFLOW_BIN -u ACCTFLOW_CONFIG "ACCTFLOW_HOME=$base/tree/var")
	ok "${as[@]}" "$base/tree/supervisor" run --clock virtual "$base/tree/data/challenge-input.json"
	has '"read":124'
	same "$(stat -c %U "$base/tree/var/postgres")" nobody
	# What he began root goes on with, as him.
	ACCTFLOW_HOME=$base/tree/var ok "$supervisor" status
	has '"read":124'
	mkdir -m 700 "$base/closed"
	fails 100 runuser -u nobody -- env -u ACCTFLOW_BIN "ACCTFLOW_HOME=$base/closed/var" "$base/tree/supervisor" status
	err_has 'could not write the state folder'
	err_has 'as user nobody; set ACCTFLOW_HOME'
	rm -rf "$base"
}

# --- whole runs ---------------------------------------------------------------------

@test "run: the sample, on the virtual clock, in the private Postgres" {
	home_open
	ok "$supervisor" run --clock virtual "$sample"
	has '"event":"summary"'
	has '"read":124,"indexed":97,"stale":16,"duplicate":4,"conflict":2,"skipped":0,"rejected":5'
	same "$(grep -c '^{"accountType"' <<<"$output")" 7
	same "$(tail -n 1 <<<"$output" | cut -c -21)" '{"accountType":"mint"'
	nothing_left
	nothing_runs
	ok "$supervisor" run "$sample"
	err_has 'was read to its end and nothing is pending; --again reads it anew'
	same "$(wc -l <<<"$output")" 8
	ok "$supervisor" run --clock virtual --again "$sample"
	has "\"source\":\"$sample#2\",\"shards\":1,\"read\":124,\"indexed\":0"
	for verb in richest status rejected; do
		ok "$supervisor" $verb
		has '{'
	done
	ok "$supervisor" richest --type mint --format text
	same "$(wc -l <<<"$output")" 3
	ok "$supervisor" health
	has 'database: ok'
	has 'run: none'
	nothing_left
}

@test "run: --strict tells of rejects, also later" {
	database
	fails 1 "$supervisor" run --clock virtual --strict "$sample"
	has '"rejected":5'
	# Once, not by reader too.
	same "$(grep -c 'records were rejected' <<<"$stderr")" 1
	fails 1 "$supervisor" run --strict "$sample"
	ok "$supervisor" run "$sample"
}

@test "run: a second supervisor is refused; stop ends the first" {
	database
	start --seed 1 "$sample"
	retry 100 told '"event":"indexed"'
	ok "$supervisor" health
	has 'ack['
	fails 100 "$supervisor" run "$sample"
	err_has "a supervisor is running on \"$ACCTFLOW_HOME\" already, pid $started"
	# A pid is believed only where that process has the lock.
	sleep 1000 3>&- &
	echo "$!" >>"$ACCTFLOW_HOME/run/lock"
	fails 100 "$supervisor" stop
	err_has 'could not signal supervisor[unknown]'
	kill "$!"
	echo "$started" >>"$ACCTFLOW_HOME/run/lock"
	ok "$supervisor" stop
	finished 0
	has '"complete":false'
	nothing_left
	nothing_runs
}

@test "run: ^C ends it with the summary, and the next run goes on" {
	database
	start --seed 2 --delay-ms 0:100 "$sample"
	retry 100 told '"event":"indexed"' 5
	kill -INT "$started"
	finished 0
	err_has 'asked to stop: finishing what was read'
	has '"event":"end"'
	has '"event":"summary"'
	has '{"accountType"'
	read=$(sql 'SELECT read FROM acctflow.sources')
	((read >= 5 && read < 124))
	ok "$supervisor" run --speed 1 --count 3 "$sample"
	same "$(sql 'SELECT read FROM acctflow.sources')" $((read + 3))
	nothing_left
}

@test "run: a reader that is stopped is woken when the run is to end" {
	database
	start --seed 1 "$sample"
	retry 100 told '"event":"indexed"'
	kill -STOP "$(child reader)"
	kill -TERM "$started"
	retry 300 gone "$started"
	finished 0
}

@test "run: a stop while only callbacks are awaited leaves them to run without FILE" {
	database
	echo '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":3600000,"version":1}' >"$BATS_TEST_TMPDIR/one"
	start --arrival none "$BATS_TEST_TMPDIR/one"
	retry 100 told '"event":"end"'
	kill -TERM "$started"
	finished 0
	same "$(sql 'SELECT state FROM acctflow.callbacks')" pending
	# An hour later.
	sql "UPDATE acctflow.latest SET ingested_at = ingested_at - interval '1 hour'; UPDATE acctflow.history SET ingested_at = ingested_at - interval '1 hour'"
	ok "$supervisor" run
	[[ $output == '{'* ]]
	has '"event":"fired"'
	has '"recovered":true'
	same "$(sql 'SELECT state FROM acctflow.callbacks')" fired
}

@test "run: whoever is killed, the result is complete" {
	database
	start --seed 3 --delay-ms 0:300 "$sample"
	for name in timerd writer reader ack; do
		before=$(grep -c . "$BATS_TEST_TMPDIR/out" || :)
		retry 200 bash -c "((\$(grep -c . '$BATS_TEST_TMPDIR/out') > $before + 3))"
		# The one that is noted may be of the round before.
		strike() { kill -KILL "$(child "$1")" 2>/dev/null; }
		retry 100 strike $name
	done
	finished 0
	for name in timerd writer reader ack; do
		[[ $stderr =~ $name\[[0-9]+\]\ was\ killed\ by\ signal\ 9 ]]
	done
	same "$(sql 'SELECT read, indexed + stale + duplicate + conflict + skipped + rejected, rejected FROM acctflow.sources')" '124|124|5'
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending'")" 0
	nothing_left
	nothing_runs
}

@test "run: the postmaster is killed before anybody looks after it, and started again" {
	home_open
	ok "$supervisor" postgres
	# shellcheck disable=SC2016 # expanded there
	timeout -s KILL 120 bash -c 'source "$1"
		settings_read
		db_acquire
		pid=$(head -n 1 "$cluster/postmaster.pid")
		kill -KILL "$pid"
		while [[ -d /proc/$pid ]]; do sleep 0.05; done
		db_watch
		until db_running; do
			db_revive
			sleep 0.05
		done' - "$supervisor" 8>&- 9>&-
}

@test "run without INPUT: the postmaster is killed before it is known what is pending" {
	home_open
	mkdir "$BATS_TEST_TMPDIR/bin"
	ln -s "$bin"/* "$BATS_TEST_TMPDIR/bin"
	rm "$BATS_TEST_TMPDIR/bin/writer"
	cat >"$BATS_TEST_TMPDIR/bin/writer" <<-END
		#!/usr/bin/env bash
		if [[ "\$*" == 'pending --pipelines' && ! -e "$BATS_TEST_TMPDIR/killed" ]]; then
			: >"$BATS_TEST_TMPDIR/killed"
			kill -KILL "\$(head -n 1 "\$ACCTFLOW_HOME/postgres/postmaster.pid")"
		fi
		exec "$bin/writer" "\$@"
	END
	chmod +x "$BATS_TEST_TMPDIR/bin/writer"
	ACCTFLOW_BIN=$BATS_TEST_TMPDIR/bin ok timeout -s KILL 300 "$supervisor" run
	[[ -e $BATS_TEST_TMPDIR/killed ]]
	err_has 'the private Postgres is back after'
}

@test "run: the postmaster is killed, and started again" {
	home_open
	start --seed 4 --delay-ms 0:60 "$sample"
	retry 100 told '"event":"indexed"' 5
	kill -KILL "$(head -n 1 "$ACCTFLOW_HOME/postgres/postmaster.pid")"
	finished 0
	err_has 'the private Postgres is gone; starting it again'
	has '"read":124'
	nothing_left
}

@test "run: a killed supervisor takes its children along and hinders no one" {
	database
	start --seed 5 "$sample"
	retry 100 told '"event":"indexed"'
	all_noted() { (($(wc -l <"$ACCTFLOW_HOME/run/pipelines/0/pids") == 4)); }
	retry 300 all_noted
	mapfile -t pids < <(cut -d ' ' -f 2 "$ACCTFLOW_HOME/run/pipelines/0/pids")
	same "${#pids[@]}" 4
	kill -KILL "$started"
	wait "$started" || :
	started=''
	for pid in "${pids[@]}"; do retry 20 gone "$pid"; done
	same "$(find "$ACCTFLOW_HOME" -type p -o -type s)" ''
	ok "$supervisor" health
	has 'run: none'
	ok "$supervisor" run --count 2 "$sample"
	nothing_left
}

@test "run: a closed output ends it" {
	database
	ok bash -c "set -o pipefail; '$supervisor' run --seed 6 --delay-ms 0:50 '$sample' | head -n 3 | wc -l"
	same "${output// /}" 3
	nothing_runs
	nothing_left
}

@test "run: what a person sees on a terminal" {
	script -qec true /dev/null >/dev/null 2>&1 || skip 'no pseudo-terminal'
	database
	ok env NO_COLOR=1 script -qec "'$supervisor' run --clock virtual '$sample'" /dev/null
	hasnt $'\e['
	hasnt '{"event"'
	has ' indexed '
	has ' fired '
	has 'accountType'
	ok script -qec "'$supervisor' run --clock virtual --again '$sample'" /dev/null
	has $'\e['
}

@test "createdb, dropdb and freshdb" {
	home_open
	ok "$supervisor" createdb
	ok "$supervisor" psql -At -c 'select count(*) from acctflow.accounts'
	same "$output" 0
	ok "$supervisor" run --clock virtual "$sample"
	ok "$supervisor" freshdb
	ok "$supervisor" psql -At -c 'select count(*) from acctflow.accounts'
	same "$output" 0
	ok "$supervisor" dropdb
	fails 1 "$supervisor" psql -At -c 'select count(*) from acctflow.accounts'
	nothing_left
}

@test "dropdb of a configured database takes our schema only" {
	database
	ok "$supervisor" createdb
	sql 'CREATE TABLE public.theirs ()'
	ok "$supervisor" dropdb
	same "$(sql "SELECT to_regnamespace('acctflow') IS NULL, to_regclass('public.theirs') IS NOT NULL")" 't|t'
}
