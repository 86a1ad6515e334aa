# What the tests of the page and of the alerts share, on top of helper.bash: a run that goes on, with its statusd.
# shellcheck shell=bash disable=SC2034,SC2154 # helper and bats set them

# live [OPTION...]: starts a run that follows the file $input, which must not be empty, and sets url to statusd's. The run's
# pid is $started.
live() {
	export ACCTFLOW_LISTEN=127.0.0.1:0
	env --default-signal=INT,TERM "$supervisor" run --follow --arrival none --source live "$@" "$input" \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	started=$!
	retry 300 test -s "$ACCTFLOW_HOME/run/statusd.url"
	url=$(<"$ACCTFLOW_HOME/run/statusd.url")
}

# What a test started ends with it.
live_end() {
	[[ ! ${started-} ]] || kill -KILL "$started" 2>/dev/null || :
	started=''
	if [[ ${own-} ]]; then
		ACCTFLOW_HOME=$own/var "$supervisor" stop || :
		rm -rf -- "$own"
		own=''
	fi
}

# A Postgres of this test's own, that it may stop. It is nobody's private one, so that nobody starts it again.
own_database() {
	own=$(mktemp -d /tmp/acctflow-live.XXXXXX)
	chmod 755 "$own"
	ACCTFLOW_DB=$(ACCTFLOW_HOME=$own/var "$supervisor" postgres)
	export ACCTFLOW_DB
}

# update ID VERSION CALLBACK_MS: one update as a line. ID is as it stands within a JSON string.
update() {
	printf '{"id":"%s","accountType":"t","tokens":%d,"callbackTimeMs":%d,"version":%d}\n' "$1" "$2" "$3" "$2"
}
