#!/usr/bin/env bats
# The page of statusd, as headless Chromium shows it. What is done in the browser is in test/page/; here is what is done
# to the pipeline meanwhile. Chromium and Node.js are from Debian; playwright-core and axe-core are fetched from npm.

load helper
load live

PLAYWRIGHT=1.65.1 AXE=4.14.1

setup_file() {
	local tool
	PAGE_MISSING='' CHROMIUM=$(command -v chromium || command -v google-chrome || :)
	export PAGE_MISSING CHROMIUM PAGE_MODULES=${BUILD:-build}/page/node_modules
	for tool in node npm curl; do
		command -v "$tool" >/dev/null || PAGE_MISSING="$tool is not installed"
	done
	[[ $CHROMIUM ]] || PAGE_MISSING='chromium is not installed'
	[[ ! $PAGE_MISSING ]] || return 0
	mkdir -p "$PAGE_MODULES/.."
	PAGE_MODULES=$(realpath "$PAGE_MODULES/..")/node_modules
	[[ -e $PAGE_MODULES/playwright-core && -e $PAGE_MODULES/axe-core ]] ||
		timeout -k 5 120 npm install --prefix "${PAGE_MODULES%/*}" --no-save --no-audit --no-fund --loglevel=error \
			"playwright-core@$PLAYWRIGHT" "axe-core@$AXE" >"$BATS_FILE_TMPDIR/npm" 2>&1 3>&- ||
		PAGE_MISSING="playwright-core could not be fetched: $(tail -n 1 "$BATS_FILE_TMPDIR/npm")"
}

setup() {
	[[ ! $PAGE_MISSING ]] || skip "$PAGE_MISSING"
	started='' own='' input=$BATS_TEST_TMPDIR/input
}

teardown() {
	live_end
	database_drop
}

# browse NAME ARGUMENT...: runs test/page/NAME.mjs on the page.
browse() {
	ok timeout -k 5 500 node "$root/test/page/$1.mjs" "$url" "${@:2}" 3>&-
}

@test "page: looks, keyboard and screen reader; hostile text is text; answers that are none" {
	mkdir -p "$ACCTFLOW_HOME/run"
	statusd --home "$ACCTFLOW_HOME" --listen 127.0.0.1:0 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	started=$!
	retry 100 test -s "$ACCTFLOW_HOME/run/statusd.url"
	url=$(<"$ACCTFLOW_HOME/run/statusd.url")
	browse look
}

@test "page: a real run, an account that is a script, a kill -9, and statusd gone" {
	local i
	database
	{
		for ((i = 1; i <= 200; i++)); do update "ID$i" "$i" $((i % 2 ? 1 : 3600000)); done
		update '<script>alert(1)</script>' 9007199254740993 1
		update ID2 3 7200000
		update ID2 1 1
		echo '{"id":"<img src=x onerror=alert(2)>","accountType":"t","tokens":-1,"callbackTimeMs":0,"version":1}'
	} >"$input"
	live
	retry 300 test -s "$ACCTFLOW_HOME/run/pipelines/0/pids"
	PAGE_KILL="kill -9 $(child writer)" PAGE_MORE="$(update ID4 5 3600000)" PAGE_INPUT=$input PAGE_STOP="kill -9 $started" browse run
	same "$(sql 'SELECT read, indexed, stale, rejected FROM acctflow.sources')" '205|203|1|1'
}

@test "page: a stopped Postgres, and one that is back" {
	own_database
	update ID1 1 1 >"$input"
	live
	PAGE_STOP="ACCTFLOW_HOME=$own/var '$supervisor' stop" PAGE_START="env -u ACCTFLOW_DB ACCTFLOW_HOME=$own/var '$supervisor' postgres" \
		PAGE_MORE="$(update after 1 1)" PAGE_INPUT=$input browse postgres
}

@test "page: the file of a report: looks, keyboard, pointer and screen reader; thousands of accounts" {
	database
	{
		jq -c '.[]' "$root/data/scenario-2.json"
		echo '{"id":"ID2","accountType":"account","tokens":18446744073709551615,"callbackTimeMs":1,"version":1,"arriveMs":800}'
		echo '{"id":"</script><script>alert(1)</script>","accountType":"<img src=x onerror=alert(2)>","tokens":1,"callbackTimeMs":1,"version":1,"arriveMs":900}'
		echo '{"id":"<img src=x onerror=alert(3)>","accountType":"t","tokens":1,"callbackTimeMs":0,"arriveMs":900}'
	} >"$input"
	generate --updates 20000 --accounts 3000 --lines >"$input.big"
	for name in "$input" "$input.big"; do
		reader --clock virtual --seed 1 --arrival "$([[ $name == *.big ]] && echo gap || echo recorded)" --source "$name" "$name" |
			writer --clock virtual | timerd --clock virtual | writer ack >/dev/null
		writer report >"$name.html"
	done
	url=file://$input.html
	browse report "file://$input.big.html"
}
