#!/usr/bin/env bats
# Our verdict on `data` against Postgres's own: equal on every document, but for the two
# kinds that the contract refuses in addition. DOCUMENTS says how many are made (CI: few),
# SEED which.
# shellcheck disable=SC2154,SC2164 # helper sets root; a cd that fails ends the test
load helper

setup() {
	cd "$BATS_TEST_TMPDIR"
	suite=$root/../shared/data/JSONTestSuite/test_parsing
	documents=$(cd "$root" && realpath "${BUILD:-build}/documents")
}

# judged N SEED FILE...: adds to relation `judged` how many documents of each class Postgres took or refused, and how.
judged() {
	"$documents" "$@" | psql -X -q -v ON_ERROR_STOP=1 -c 'COPY document (class, doc) FROM STDIN'
	sql 'INSERT INTO judged SELECT class, state, count(*), (array_agg(doc ORDER BY length(doc)))[1]
		FROM (SELECT class, verdict(doc) AS state, doc FROM document) d GROUP BY class, state; TRUNCATE document'
}

# Any other answer than these SQLSTATEs, as lack of memory, is nothing to agree about.
relations() {
	sql "CREATE UNLOGGED TABLE document (class text, doc bytea);
		CREATE TABLE judged (class text, state text, n bigint, example bytea);
		CREATE FUNCTION verdict(doc bytea) RETURNS text LANGUAGE plpgsql AS \$\$
		BEGIN
			PERFORM convert_from(doc, 'UTF8')::jsonb;
			RETURN 'taken';
		EXCEPTION
			WHEN invalid_text_representation THEN RETURN 'syntax';
			WHEN untranslatable_character THEN RETURN 'zero';
			WHEN character_not_in_repertoire THEN RETURN 'utf8';
			WHEN numeric_value_out_of_range THEN RETURN 'digits';
			WHEN statement_too_complex THEN RETURN 'deep';
			WHEN OTHERS THEN RETURN SQLSTATE;
		END \$\$"
}

# What Postgres took and we did not, or the other way round, and is not named by the contract. It may name another of two
# reasons: it looks at a document's characters first, at its end last.
differences() {
	sql "SELECT class, state, sum(n), encode((array_agg(example))[1], 'escape') FROM judged
		WHERE (class = 'taken') <> (state = 'taken') AND class NOT IN ('digits', 'deep')
			OR state NOT IN ('taken', 'syntax', 'zero', 'utf8', 'digits', 'deep')
		GROUP BY class, state"
}

@test "jsonb takes what we take, and of what it takes we refuse only long numbers and deep nesting" {
	local left=${DOCUMENTS:-20000} seed=${SEED:-$RANDOM$RANDOM} n files=()
	[[ ! -d $suite ]] || files=("$suite"/*.json)
	database
	relations
	echo "# $left documents from seed $seed, ${#files[@]} of JSONTestSuite" >&3
	while ((left > 0)); do
		n=$((left < 100000 ? left : 100000))
		judged $n "$seed" ${files[@]+"${files[@]}"} "$root"/test/fuzz/corpus/record/*
		left=$((left - n)) seed=$((seed + 1))
	done
	sql "SELECT '# ' || class || ', Postgres: ' || state || ': ' || sum(n) FROM judged GROUP BY class, state ORDER BY class, state" >&3
	same "$(differences)" ''
	# Each kind was there, in number.
	same "$(sql "SELECT count(*) FROM (SELECT class FROM judged GROUP BY class HAVING sum(n) >= ${DOCUMENTS:-20000} / 2000) c")" 7
}

@test "documents that Postgres could be surprised by" {
	local name data
	database
	relations
	mkdir docs
	printf '1e131071' >docs/long
	printf '1e131072' >docs/longer
	printf '1e999' >docs/999
	printf '1e-999' >docs/-999
	printf '"\\u0000"' >docs/zero
	printf '"\\\\u0000"' >docs/no-zero
	printf '"\\ud800"' >docs/lone
	printf '1\0' >docs/nul
	printf '\xef\xbb\xbf1' >docs/mark
	printf '9007199254740993' >docs/integer
	judged 0 0 docs/*
	same "$(differences)" ''
	same "$(sql "SELECT string_agg(convert_from(example, 'UTF8'), ' ' ORDER BY example) FROM judged WHERE class = 'digits' AND state = 'taken'")" 1e131071
	same "$(sql "SELECT sum(n) FROM judged WHERE class = 'taken'")" 4
}
