# What the bats files of writer share, on top of helper.bash.
# shellcheck shell=bash disable=SC2034,SC2154 # helper and bats set them

# What a test started ends with it.
writer_end() {
	exec 5>&- 6>&-
	[[ -z ${pid-} ]] || kill -9 "$pid" 2>/dev/null || true
}

# batches RELATION: how many rows each batch wrote to it. A shard of Citus has transactions of its own, but a batch has one time.
batches() {
	local by=xmin::text
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || by=ingested_at
	sql "SELECT count(*) FROM acctflow.$1 GROUP BY $by ORDER BY 1"
}

# update ID VERSION [MORE]: one update as a line, MORE being further members.
update() {
	printf '{"id":"%s","accountType":"t","tokens":1,"callbackTimeMs":2,"version":%s%s}\n' "$1" "$2" "${3:+,$3}"
}

# placed SOURCE OFFSET ID VERSION [MORE]: the same of a source.
placed() {
	update "$3" "$4" "\"source\":\"$1\",\"offset\":$2${5:+,$5}"
}

# skipped SOURCE OFFSET [MORE]: a record that a map has nothing for.
skipped() {
	printf '{"event":"ignored","source":"%s","offset":%d,"reason":"skipped"%s}\n' "$1" "$2" "${3:+,$3}"
}

# feed ARGUMENT...: runs writer in the background as $pid, its input is descriptor 5, its output the file out.
feed() {
	mkfifo fifo
	writer "$@" <fifo >out 2>err 3>&- 5>&- 6>&- &
	pid=$!
	exec 5>fifo
	rm fifo
}

# emitted N: out has N lines by now.
emitted() {
	(($(wc -l <out) == $1))
}

told() {
	emitted "$1"
}

# ended CODE: the one in the background has ended so.
ended() {
	local code=0
	wait "$pid" || code=$?
	pid=
	[[ $code == "$1" ]] || {
		echo "exited $code, wanted $1"
		cat err
		return 1
	}
}

# held [STATEMENT]: makes every batch wait, in a transaction that `release` ends.
held() {
	mkfifo hold
	psql -Xqt -f hold >held 2>&1 3>&- 5>&- 6>&- &
	exec 6>hold
	rm hold
	echo "BEGIN; ${1-LOCK TABLE acctflow.latest IN SHARE MODE}; SELECT 'locked';" >&6
	retry 100 grep -q locked held
}
release() {
	exec 6>&-
}

# waits N: as many backends wait for a lock.
waits() {
	(($(sql "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") == $1))
}

# members NAME...: of each record on standard input these members' values, as they stand.
members() {
	local line name
	while IFS= read -r line; do
		for name; do
			[[ $line =~ \"$name\":(\"[^\"]*\"|[^,}]*) ]] || BASH_REMATCH=('' -)
			printf '%s ' "${BASH_REMATCH[1]//\"/}"
		done
		echo
	done
}

counts() {
	sql 'SELECT read, indexed, stale, duplicate, conflict, skipped, rejected FROM acctflow.sources ORDER BY name'
}
