#!/usr/bin/env bats
# Upgrades: the dumps of test/dumps/ are migrated and go on; and the current version runs beside a next one, which is made
# here of a copy of the tree with one migration more. Of that there are two: `later` only adds to the schema, so that
# programs of the current version work with it; `apart` makes one that they do not work with.
# shellcheck disable=SC2030,SC2031,SC2154,SC2164 # helper sets root and bin; a cd that fails ends the test
load helper
load writer

# next NAME OLDEST: a folder of that name with programs of the next version, of which the migration says OLDEST.
next() {
	local program
	perl -0pi -e 's/(migrations\[\] = \{.*?\{sql_\w+, \d+\},)(\n *\{sql_next, [^}]+\},)?\n\};/$1\n    {sql_next, '"$2"'},\n};/s or die' tree/writer/schema.c
	env -u MAKEFLAGS make -s -C tree BUILD=build BIN="../$1" CFLAGS=-O0 HARDEN= LINKHARDEN= "../$1/writer"
	for program in "$bin"/*; do [[ -e $1/${program##*/} ]] || ln -s "$program" "$1/"; done
}

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	mkdir tree
	tar -c -C "$root" Makefile common writer sql | tar -x -C tree
	perl -0pi -e 's/SCHEMA_VERSION = \K(\d+)/$1 + 1/e or die' tree/writer/schema.h
	# The name that the Makefile makes of it has no version in it.
	cat >tree/sql/next.sql <<-'SQL'
		ALTER TABLE acctflow.latest ADD COLUMN later text;
		CREATE TABLE acctflow.later (id text COLLATE "C" PRIMARY KEY);
		ALTER TABLE acctflow.history ADD COLUMN later text;
	SQL
	perl -pi -e 's/FROM acctflow\.latest a$/, a.later\n$&/' tree/sql/views.sql
	next later SCHEMA_VERSION-1
	next apart SCHEMA_VERSION
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	later=$BATS_FILE_TMPDIR/later apart=$BATS_FILE_TMPDIR/apart
	model=$root/test/model
	current=$(printf '%s\n' "$root"/sql/0*.sql | wc -l)
	started=()
}

teardown() {
	writer_end
	for pid in ${started[@]+"${started[@]}"}; do kill -KILL -- "-$pid" 2>/dev/null || :; done
	database_drop
}

# anew [FILE]: an empty database, or one that is restored.
anew() {
	database_drop
	database empty
	[[ ! ${1-} ]] || psql -Xq -v ON_ERROR_STOP=1 -f "$1" >/dev/null
}

relations() {
	psql -X -q -v ON_ERROR_STOP=1 -f "$root/test/relations.sql" | LC_ALL=C sort
}

# The schema as it is, and which migrations made it.
schema() {
	pg_dump --schema-only --no-owner | sed -E '/^--/d; /^\\(un)?restrict /d'
	sql 'SELECT version, hash, oldest FROM acctflow.migrations ORDER BY 1'
}

version() { sql 'SELECT max(version) FROM acctflow.migrations'; }

# Which the views are: whoever makes them anew changes this.
views() { sql "SELECT oid, relname FROM pg_class WHERE relnamespace = 'acctflow'::regnamespace AND relkind = 'v' ORDER BY 1"; }

consistent() {
	ok writer status --format json
	has '"consistent":true'
	hasnt '"consistent":false'
}

# run_with BIN ARGUMENT...: the supervisor with the programs of that folder, and a state folder of their own.
run_with() {
	ACCTFLOW_BIN=$1 ACCTFLOW_HOME=$PWD/var.${1##*/} "$supervisor" run --format json "${@:2}"
}

@test "upgrade: each dump becomes what a new database is, and keeps what is in it; once more changes nothing" {
	local dump programs
	((current >= 1))
	for programs in "$bin" "$later" "$apart"; do
		anew
		"$programs/writer" migrate
		schema >wanted
		for dump in "$root"/test/dumps/[0-9]*.sql; do
			anew "$dump"
			relations >before
			(($(grep -c ^callback before) > 20))
			"$programs/writer" migrate
			schema | diff wanted -
			relations | diff before -
			PATH=$programs:$PATH consistent
			views >made
			ok "$programs/writer" migrate
			[[ $stderr != *migrated* ]]
			schema | diff wanted -
			views | diff made -
		done
	done
	# The last one was made by this version, so that the next has one to begin with.
	[[ -e $root/test/dumps/$(printf %03d "$current").sql ]]
}

@test "upgrade: what a dump has begun goes on, and what was pending in it fires" {
	local dump programs
	reader --clock virtual --seed 7 --source sample "$root/data/challenge-input.json" 2>log >told
	"$model" --relations told | LC_ALL=C sort | grep -v ^source >wanted
	for programs in "$bin" "$later"; do
		for dump in "$root"/test/dumps/[0-9]*.sql; do
			anew "$dump"
			relations | grep -vE $'^(shard|source)\t"(sample|waiting)"' >before
			same "$(sql "SELECT count(*) > 3, count(*) FILTER (WHERE id LIKE 'waiting-%') FROM acctflow.callbacks WHERE state = 'pending'")" 't|3'
			run_with "$programs" --source sample "$root/data/challenge-input.json" >sample.out 2>log || { cat log && false; }
			# It went on behind the last record that was delivered.
			same "$(members event offset <sample.out | grep -E '^(indexed|ignored|rejected) ' | grep -vc -E ' (7[0-9]|[89][0-9]|1[0-9][0-9]) $')" 0
			run_with "$programs" >waiting.out 2>log || { cat log && false; }
			same "$(grep '"event":"fired"' waiting.out | members id | sort)" $'waiting-1 \nwaiting-2 \nwaiting-3 '
			relations >after
			LC_ALL=C comm -13 after wanted >missing
			[[ ! -s missing ]] || { head missing && false; }
			# The other sources' rows are what they were; only pending ones have an outcome by now.
			LC_ALL=C comm -13 after <(grep -v -e '"sample"' -e $'\tpending\t' before | grep -E '"(made|refused|waiting)[-"]|"nowhere"') >missing
			[[ ! -s missing ]] || { head missing && false; }
			same "$(sql "SELECT state, count(*) FROM acctflow.callbacks WHERE id LIKE 'refused-%' GROUP BY 1 ORDER BY 1")" $'failed|2\nfired|1'
			same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending'")" 0
			PATH=$programs:$PATH consistent
		done
	done
}

@test "upgrade: a migration that is killed, or fails, in the middle leaves what was there, and it is in use" {
	anew
	writer migrate
	schema >before
	placed s 0 a 1 | writer >/dev/null
	# Its first two statements are done, the third waits.
	held 'LOCK TABLE acctflow.history IN ACCESS SHARE MODE'
	"$later/writer" migrate 2>err 3>&- 5>&- 6>&- &
	pid=$!
	retry 100 waits 1
	kill -KILL "$pid"
	wait "$pid" || :
	pid=
	release
	ended_backend() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'acctflow migrate' AND datname = current_database()") == 0 ]]; }
	retry 100 ended_backend
	schema | diff before -
	placed s 1 a 2 | writer >out
	grep -q '"event":"indexed","source":"s","offset":1,' out
	# Its second statement fails.
	sql 'CREATE TABLE acctflow.later (id text)'
	fails 100 "$later/writer" migrate
	err_has 'could not migrate the schema: relation "later" already exists'
	sql 'DROP TABLE acctflow.later'
	schema | diff before -
	placed s 2 a 3 | writer >out
	grep -q '"event":"indexed","source":"s","offset":2,' out
	ok "$later/writer" migrate
	err_has "migrated the schema from version $current to $((current + 1))"
	same "$(sql 'SELECT id, version, later FROM acctflow.accounts')" 'a|3|'
}

@test "upgrade: a schema that is too new is refused by each verb, and by a run" {
	anew
	"$apart/writer" migrate
	schema >before
	for verb in run ack migrate status sources pending 'claim --source s' 'pending --pipelines' 'lease --machine m --lease x --list /dev/null'; do
		# shellcheck disable=SC2086 # verbs have operands
		fails 100 writer $verb </dev/null
		err_has "the schema's version is $((current + 1)), this program knows $current: use a newer acctflow"
	done
	echo '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":1,"version":1}' >in
	fails 100 run_with "$bin" in
	err_has "use a newer acctflow"
	schema | diff before -
	same "$(sql 'SELECT count(*) FROM acctflow.inputs')" 0
	ok run_with "$apart" in
}

@test "upgrade: a newer schema that only adds is worked with, and left as it is" {
	anew
	"$later/writer" migrate
	schema >before
	views >made
	ok writer migrate
	err_has "the schema is at version $((current + 1))"
	placed s 0 a 1 | writer >out
	grep -q '"event":"indexed"' out
	for verb in status richest 'history a' 'claim --source s'; do
		# shellcheck disable=SC2086 # verbs have operands
		ok writer $verb
	done
	# statusd compares these two.
	writer status --interval 3600 >watched 2>err 3>&- &
	pid=$!
	retry 100 grep -q schema.wanted watched
	kill "$pid"
	ended 0
	same "$(grep ^schema watched)" "schema=$((current + 1))"$'\n'"schema.wanted=$((current + 1))"
	schema | diff before -
	views | diff made -
	# Were there a migration behind it that they do not work with, then no more.
	sql "INSERT INTO acctflow.migrations (version, hash, oldest) VALUES ($((current + 2)), 0, $((current + 1)))"
	fails 100 writer status
	err_has 'use a newer acctflow'
	ok "$later/writer" status
}

# flow NAME BIN [OPTION...]: a run that reads the file in for minutes.
flow() {
	[[ -e in ]] || generate --updates 6000 --accounts 300 --lines --seed 5 --callback-ms 0:500 --conflict 3 --deleted 5 --silent 5 >in
	ACCTFLOW_BIN=$2 ACCTFLOW_HOME=$PWD/var.$1 setsid env --default-signal=INT,TERM "$supervisor" run --format json --delay-ms 0:40 \
		--source flow "${@:3}" in >"out.$1" 2>"err.$1" 3>&- &
	started+=($!)
}

# more N: waits until so many more records are committed.
more() {
	local goal
	goal=$(($(committed) + $1))
	retry 300 reached "$goal"
}
committed() { sql "SELECT coalesce(sum(read), 0) FROM acctflow.sources" 2>/dev/null || echo 0; }
reached() { (($(committed) >= $1)); }
token() { sql 'SELECT token FROM acctflow.pipelines'; }

# The old run ends by itself, and says why.
taken_over() {
	local code=0
	retry 300 gone "${started[0]}"
	wait "${started[0]}" || code=$?
	same "$code" 100
	grep -rq 'has taken the source over' var.old/log
}

# picked NAME...: as members does, fast.
picked() {
	perl -ne 'BEGIN { @names = splice @ARGV } my $r = $_; print join(" ", map { $r =~ /"$_":("[^"]*"|[^,}]*)/ ? $1 =~ tr/"//dr : "-" } @names), " \n"' "$@"
}

# finished BIN [SHARDS]: the last run stops, the rest is read at once, and all is as the model says but for times and for which callbacks fired before
# they were superseded; each event was emitted.
finished() {
	kill -TERM "${started[-1]}"
	wait "${started[-1]}" || { cat err.* && false; }
	sql "UPDATE acctflow.inputs SET speed = '100000'"
	run_with "$1" --source flow --shards "${2:-1}" in >out.last 2>err.last || { cat err.last && false; }
	reader --clock virtual --arrival none --source flow in 2>log >told
	timeless() {
		awk -F '\t' -v OFS='\t' '$1 == "account" || $1 == "update" { $7 = "" } $1 == "reject" { $8 = "" }
			$4 == "conflict" { $6 = $7 = "" } $1 == "callback" { print $1, $2, $3; next } 1'
	}
	"$model" --relations --shards "${2:-1}" told | timeless | LC_ALL=C sort >wanted
	relations | timeless | LC_ALL=C sort | diff wanted - | head -n 6 >differ
	[[ ! -s differ ]] || { cat differ && false; }
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state NOT IN ('fired', 'cancelled')")" 0
	cat out.* | picked event id version | LC_ALL=C sort -u >emitted
	sql "SELECT state || ' ' || id || ' ' || version || ' ' FROM acctflow.callbacks" | LC_ALL=C sort >wanted
	LC_ALL=C comm -13 emitted wanted >missing
	cat out.* | grep -E '"event":"(indexed|ignored|rejected)"' | picked offset | sort -un | diff - <(seq 0 $(($(wc -l <in) - 1)) | sed 's/$/ /') | head >>missing
	[[ ! -s missing ]] || { head missing && false; }
	PATH=$1:$PATH consistent
}

@test "upgrade: a running pipeline goes on while the next version migrates, and that takes it over" {
	anew
	flow old "$bin"
	retry 300 reached 30
	held=$(token)
	ok "$later/writer" migrate
	err_has "migrated the schema from version $current to $((current + 1))"
	more 30
	same "$(token)" "$held"
	# Connected anew,
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'acctflow%' AND datname = current_database()" >/dev/null
	more 30
	same "$(token)" "$held"
	# and started again.
	kill -KILL "$(awk '$1 == "writer" { print $2 }' var.old/run/pipelines/0/pids)"
	more 30
	(($(token) > held))
	flow new "$later"
	taken_over
	more 30
	finished "$later"
	same "$(version)" $((current + 1))
}

@test "upgrade: a migration that is not for running pipelines ends them, and nothing is lost" {
	anew
	flow old "$bin"
	retry 300 reached 30
	ok "$apart/writer" migrate
	taken_over
	fails 100 writer claim --source flow
	err_has 'use a newer acctflow'
	flow new "$apart"
	more 30
	finished "$apart"
}

# has_leases NAME N: whether the machine of that run has as many.
has_leases() {
	[[ -s var.$1/run/machine && $(sql "SELECT count(*) FROM acctflow.leases WHERE machine = '$(<"var.$1/run/machine")'") == "$2" ]]
}

@test "upgrade: machines of both versions share a fleet's pipelines, and take over from each other" {
	# So that a slow machine expels nobody who is only slow.
	export ACCTFLOW_LEASE_MS=30000
	anew
	flow old "$bin" --fleet --shards 2
	retry 300 reached 30
	"$later/writer" migrate
	flow new "$later" --fleet --shards 2
	retry 300 has_leases new 1
	retry 300 has_leases old 1
	more 30
	# The new one leaves, and the old one takes over,
	kill -TERM "${started[1]}"
	wait "${started[1]}" || { cat err.new && false; }
	retry 300 has_leases old 2
	more 30
	# and the other way round.
	flow newer "$later" --fleet --shards 2
	retry 300 has_leases newer 1
	kill -TERM "${started[0]}"
	wait "${started[0]}" || { cat err.old && false; }
	retry 300 has_leases newer 2
	more 30
	finished "$later" 2
}
