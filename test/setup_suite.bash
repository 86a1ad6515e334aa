# One throw-away Postgres for all bats files of a run, on a Unix socket only. It is a private one of the supervisor's, but
# for not being durable: nothing here needs to outlive a power cut. Each test makes a database of its own in it. With
# ACCTFLOW_TEST_CITUS it is three servers that are one Citus; see citus.bash.
setup_suite() {
	local root
	root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	unset "${!PG@}" ACCTFLOW_DB
	# Not in bats's own folder: user postgres, who runs it for root, could not enter that.
	SUITE_HOME=$(mktemp -d /tmp/acctflow-suite.XXXXXX)
	chmod 755 "$SUITE_HOME"
	if [[ ${ACCTFLOW_TEST_CITUS-} ]]; then
		# shellcheck source=test/citus.bash
		source "$root/test/citus.bash"
		citus_make "$SUITE_HOME"
		citus_prepare "$SUITE_HOME" "${BIN:-$root/bin}/writer"
		export SUITE_HOME SUITE_PGHOST=$SUITE_HOME
		return 0
	fi
	ACCTFLOW_CONFIG=/dev/null ACCTFLOW_HOME=$SUITE_HOME "$root/supervisor" postgres >/dev/null
	SUITE_PGHOST=$SUITE_HOME/postgres/socket
	export SUITE_HOME SUITE_PGHOST
	psql -X -q -h "$SUITE_PGHOST" -U acctflow -d postgres -c 'ALTER SYSTEM SET fsync = off' \
		-c 'ALTER SYSTEM SET full_page_writes = off' -c 'ALTER SYSTEM SET log_min_messages = error' -c 'ALTER SYSTEM SET autovacuum = off' \
		-c 'SELECT pg_reload_conf()' >/dev/null
}

teardown_suite() {
	local root
	root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	[[ ${SUITE_HOME-} ]] || return 0
	if [[ ${ACCTFLOW_TEST_CITUS-} ]]; then
		# shellcheck source=test/citus.bash
		source "$root/test/citus.bash"
		citus_remove "$SUITE_HOME"
		return 0
	fi
	ACCTFLOW_CONFIG=/dev/null ACCTFLOW_HOME=$SUITE_HOME "$root/supervisor" stop
	rm -rf -- "$SUITE_HOME"
}
