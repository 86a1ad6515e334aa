#!/usr/bin/env bats
# The verbs that only look: what they say of what is there, of what is not, and how it fits the terminal. The rows are put
# there by hand.
# shellcheck disable=SC2030,SC2031,SC2154 # helper and bats set them
load helper

path=/home/somebody/some/rather/long/path/to/a/folder/with/data/in/it/challenge-input.json

setup() {
	cd "$BATS_TEST_TMPDIR"
	database
}

filled() {
	writer migrate
	psql -Xq -v ON_ERROR_STOP=1 -v path="$path" <<-'END'
		SET search_path = acctflow;
		INSERT INTO inputs (name, shards) VALUES (:'path', 2), ('b', 1);
		INSERT INTO pipelines (source, shard, committed_offset, indexed, stale, duplicate, conflict, skipped, rejected, without_callback, complete)
		VALUES (:'path', 0, 1234567, 3, 1, 2, 1, 5, 1, 1, true), (:'path', 1, 1234567, 0, 0, 0, 0, 0, 0, 0, false), ('b', 0, 1, 2, 0, 0, 0, 0, 0, 0, false);
		INSERT INTO deliveries (pipeline, token, delivered_offset) SELECT pipeline, 1, committed_offset FROM pipelines;
		INSERT INTO history (id, version, ingested_at, source_offset, callback_time_ms, pipeline, applied, deleted, account_type, tokens, data) VALUES
			('ID1', 1, '2000-01-01Z', 0, 400, 1, true, false, 'user', 1234567, '{"a": 1, "b": [1]}'),
			('ID1', 3, '2000-01-01 00:00:01Z', 1, 400, 1, true, false, 'user', 12345678901234567890, '{"a": 1, "b": [2], "c": 12345678901234567890}'),
			('ID1', 2, '2000-01-01 00:00:02Z', 2, 400, 1, false, false, 'user', 5, 'null'),
			('ID2', 1, '2000-01-01Z', 3, NULL, 1, true, true, NULL, NULL, 'null'),
			('ID3', 1, '2000-01-01Z', 0, 400, 3, true, false, 'mint', 5, '[1]'),
			('ID4', 1, '2000-01-01Z', 1, 400, 3, true, false, 'mint', 6, '[1]');
		INSERT INTO latest (id, version, ingested_at, source_offset, callback_time_ms, pipeline, deleted, account_type, tokens, data)
		SELECT DISTINCT ON (id) id, version, ingested_at, source_offset, callback_time_ms, pipeline, deleted, account_type, tokens, data::jsonb
		FROM history ORDER BY id, version DESC;
		INSERT INTO outcomes (id, version, settled_at, failed) VALUES ('ID4', 1, '2000-01-01 00:00:03Z', false);
		INSERT INTO rejects (pipeline, source_offset, rejected_at, raw_bytes, kind, reason, raw, raw_encoding) VALUES
			(1, 4, '2000-01-01Z', 20, 'conflict', 'the same version had other content', '{"id":"ID1"}', 'utf8'),
			(1, 5, '2000-01-01Z', 500, 'record', 'tokens: missing', '{"id":"' || repeat('x', 400) || '"}', 'utf8');
	END
}

@test "status: a line a shard, and what became of the callbacks" {
	filled
	ok writer status
	has "{\"source\":\"$path\",\"shard\":\"0/2\",\"read\":13,\"indexed\":3,\"stale\":1,\"duplicate\":2,\"conflict\":1,\"skipped\":5,\"rejected\":1,\"fired\":0,\"failed\":0,\"cancelled\":1,\"pending\":1,\"withoutCallback\":1,\"pruned\":0,\"committed\":1234567,\"delivered\":1234567,\"complete\":true,\"broken\":false,\"consistent\":true}"
	has "\"shard\":\"1/2\",\"read\":0"
	has '{"source":"b","shard":"0/1","read":2,"indexed":2,"stale":0,"duplicate":0,"conflict":0,"skipped":0,"rejected":0,"fired":1,"failed":0,"cancelled":0,"pending":1'
	same "${#lines[@]}" 3
	ok writer sources -S "$path"
	has '"shards":2,"read":13,'
}

@test "status: counts that do not add up with the rows are said, shard by shard" {
	filled
	sql "DELETE FROM acctflow.history WHERE id = 'ID4'"
	fails 1 writer status
	err_has 'the counts of source "b", shard 0/1, do not add up'
	[[ $stderr != *"$path"* ]]
	has '"consistent":false'
	sql 'DELETE FROM acctflow.rejects WHERE source_offset = 5'
	fails 1 writer status -S "$path"
	err_has "the counts of source \"$path\", shard 0/2, do not add up"
	same "$(grep -c '"consistent":true' <<<"$output")" 1
}

@test "richest leaves out what is deleted; history says what changed; rejected says of which kind" {
	filled
	ok writer richest
	same "$(sed 's/.*"id":"\([^"]*\)".*/\1/' <<<"$output")" $'ID4\nID1'
	has '"tokens":12345678901234567890'
	ok writer history ID1
	has '"changes":[{"path": "/tokens", "value": 12345678901234567890, "before": 1234567}, {"path": "/data/b/0", "value": 2, "before": 1}, {"path": "/data/c", "value": 12345678901234567890}]'
	has '"settledAt":"2000-01-01T00:00:01.000000Z","supersededBy":3'
	has '"state":"cancelled"'
	has '"state":"stale"'
	has '"state":"pending"'
	ok writer history ID2
	has '"deleted":true,"accountType":null,"tokens":null'
	ok writer rejected
	has '"kind":"conflict"'
	has '"kind":"record","reason":"tokens: missing"'
}

@test "what is not there: one sentence, and 1" {
	filled
	fails 1 writer history nobody
	same "$output" ''
	same "${stderr#*] }" 'no account "nobody" in this database'
	fails 1 writer richest --type nosuch
	same "${stderr#*] }" 'no account of type "nosuch" in this database'
	for verb in status sources rejected; do
		fails 1 writer $verb --source $'no\e[31mne'
		same "${stderr#*] }" 'no source "no\u001b[31mne" in this database'
	done
	# A source without rejects is one.
	ok writer rejected --source b
	same "$output$stderr" ''
	fails 1 writer history --format text nobody
}

@test "a verb that only looks makes nothing: not in an empty database, not in an older one" {
	for verb in status sources richest rejected 'history a'; do
		# shellcheck disable=SC2086 # verbs have operands
		fails 100 writer $verb
		err_has 'there is nothing in this database yet'
		err_has 'writer migrate'
	done
	same "$(sql "SELECT count(*) FROM pg_namespace WHERE nspname = 'acctflow'")" 0
	writer migrate
	sql 'DELETE FROM acctflow.migrations'
	fails 100 writer status
	err_has 'writer migrate'
	same "$(sql 'SELECT count(*) FROM acctflow.migrations')" 0
}

@test "a schema that is newer, or was made by other files, is refused" {
	writer migrate
	sql 'INSERT INTO acctflow.migrations (version, hash, oldest) SELECT max(version) + 1, 0, max(version) + 1 FROM acctflow.migrations'
	for verb in status migrate; do
		fails 100 writer $verb
		err_has 'use a newer acctflow'
	done
	sql 'UPDATE acctflow.migrations SET hash = hash + 1 WHERE version = 1'
	for verb in status migrate; do
		fails 100 writer $verb
		err_has 'made by an unreleased version; make freshdb'
	done
	sql 'ALTER TABLE acctflow.migrations DROP COLUMN oldest'
	for verb in status migrate; do
		fails 100 writer $verb
		err_has 'made by an unreleased version; make freshdb'
	done
}

@test "tables fit 80 and 100 columns, and one line a row where there is room" {
	filled
	for columns in 60 80 100; do
		for verb in status sources richest rejected 'history ID1'; do
			# shellcheck disable=SC2086 # verbs have operands
			COLUMNS=$columns ok writer --format text $verb
			while IFS= read -r line; do
				((${#line} <= columns)) || { echo "$line" && false; }
			done < <(LC_ALL=C.UTF-8 sed 's/[…→]/./g' <<<"$output")
		done
	done
	COLUMNS=80 ok writer --format text sources
	has $'Sources\n\n'
	has $'\n  committed         1,234,567\n'
	# Cut in the middle: the file's name is what matters.
	COLUMNS=60 ok writer --format text sources
	has '/home/somebody/some…'
	has '/challenge-input.json'
	COLUMNS=200 ok writer --format text sources
	same "${#lines[@]}" 4
	ok writer --format text richest
	has '12,345,678,901,234,567,890'
	# A column without any content is not shown.
	hasnt broken
	sql 'TRUNCATE acctflow.rejects'
	ok writer --format text rejected
	same "$output" 'Rejected records: none'
}

@test "a terminal's own width decides" {
	filled
	command -v script >/dev/null || skip 'no script'
	script -qec "stty cols 80; writer sources" /dev/null </dev/null >out
	tr -d '\r' <out | sed 's/\x1b\[[0-9]*m//g' | grep -q '^  committed         1,234,567$'
}
