#!/usr/bin/env bats
# Every statement of sql/ on this server, be it a plain Postgres or a Citus (ACCTFLOW_TEST_CITUS), with the types of
# parameters that the programs send. On Citus each must say what it says on a plain database, and an error be its own.
load helper
load writer

setup() {
	cd "$BATS_TEST_TMPDIR"
	database
	writer migrate 2>/dev/null
}

# statements_run: all of test/statements in this database, what each says behind its name.
statements_run() {
	local name types values n=0
	while IFS='|' read -r name types values; do
		[[ $name && $name != '#'* ]] || continue
		name=${name// /} types=${types# } types=${types% }
		echo "\\echo == $((++n)) $name"
		echo "BEGIN; PREPARE q$n${types:+($types)} AS"
		cat "$root/sql/$name.sql"
		echo "; EXECUTE q$n${types:+(${values# })}; COMMIT;"
	done <"$root/test/statements" >script
	psql -Xq -A -t -v ON_ERROR_STOP=1 -f script
}

# What differs from run to run; rows come in any order.
settled() { sed -E 's/[0-9]{10,}(\.[0-9]+)?/N/g; s/20[1-9][0-9]-..-..T[0-9:.]+Z/T/g' | awk '/^==/ { part = $0 } { print part " " $0 }' | sort; }

@test "every statement runs, and says the same wherever it runs" {
	statements_run >here || { cat here && false; }
	if [[ ${ACCTFLOW_TEST_CITUS-} ]]; then
		distributed=$PGDATABASE
		citus_sql "$PGHOST" 5432 postgres "CREATE DATABASE plain_$distributed"
		PGDATABASE=plain_$distributed
		writer migrate 2>/dev/null
		statements_run >plain
		PGDATABASE=$distributed
		citus_sql "$PGHOST" 5432 postgres "DROP DATABASE plain_$distributed WITH (FORCE)"
		same "$(settled <here)" "$(settled <plain)"
	fi
	same "$(grep -c '^==' here)" "$(grep -c '|' "$root/test/statements")"
}

@test "no statement is left out" {
	for file in "$root"/sql/*.sql; do
		name=${file##*/}
		case ${name%.sql} in
		[0-9]* | views* | functions | roles | distribute | fence | history_copy) ;; # scripts, and a COPY, which every larger batch runs
		*) grep -q "^${name%.sql} |" "$root/test/statements" || { echo "not in test/statements: $name" && false; } ;;
		esac
	done
}

@test "an account's history is asked for on one shard" {
	[[ ${ACCTFLOW_TEST_CITUS-} ]] || skip 'without Citus'
	plan=$({
		echo 'PREPARE q(text) AS'
		sed -n '/RETURN QUERY WITH u AS/,/;$/{s/RETURN QUERY//;s/\baccount\b/$1/g;p}' "$root/sql/functions.sql"
		echo "; EXPLAIN (COSTS off) EXECUTE q('a');"
	} | psql -Xq -A -t)
	same "$(grep -c 'Distributed Subplan' <<<"$plan")/$(sed -n 's/.*Task Count: //p' <<<"$plan" | head -n 1)" 1/1
}

@test "a value that a node refuses is alone a reject, in a batch that is copied" {
	sql "ALTER TABLE acctflow.history ADD CONSTRAINT refuses CHECK (id <> 'a299')"
	for ((i = 0; i < 600; i++)); do placed s "$i" "a$i" 1; done >in
	writer <in >out 2>err
	same "$(sql "SELECT indexed, rejected FROM acctflow.sources")" '599|1'
	same "$(sql "SELECT source_offset, kind FROM acctflow.rejected_updates")" '299|refused'
	grep -q '"event":"rejected","source":"s","offset":299,.*violates check constraint' out
}

@test "the tables of an existing schema are distributed, with what is in them" {
	[[ ${ACCTFLOW_TEST_CITUS-} ]] || skip 'without Citus'
	database_drop
	database empty
	for i in 1 2 3; do placed s "$i" "a$i" 1; done | writer >/dev/null
	ok writer migrate --distributed --shard-count 2
	err_has 'distributed the schema'
	same "$(sql "SELECT count(*) FROM citus_shards WHERE table_name = 'acctflow.history'::regclass")" 2
	same "$(sql 'SELECT id, source FROM acctflow.accounts ORDER BY 1')" $'a1|s\na2|s\na3|s'
	ok writer migrate --distributed
	err_has 'the schema is distributed already'
}

@test "--distributed without Citus, and a number of shards without it, are refused" {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'on Citus'
	fails 100 writer migrate --distributed
	err_has 'there is no Citus in this database, which --distributed wants: CREATE EXTENSION citus'
	fails 100 writer migrate --shard-count 4
	err_has '--shard-count is for --distributed'
}
