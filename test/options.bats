#!/usr/bin/env bats
# How programs are told what to do: option over environment over configuration file
# over default, and whatever is wrong is named with the place where it stands.
# shellcheck disable=SC2154,SC2164 # helper sets root; a cd that fails ends the test
load helper

setup() {
	cd "$BATS_TEST_TMPDIR"
	for name in $(compgen -e | grep '^ACCTFLOW_'); do
		unset "$name"
	done
	echo '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2,"version":3}' >in
}

# A member of what reader tells first: how it understood what it was told.
begun() {
	local member=$1
	shift
	reader "$@" --arrival none in | sed -n "1s/.*\"$member\":\"\\{0,1\\}\\([^,\"]*\\).*/\\1/p"
}

# Runs what follows; it must fail for good, with one line that matches.
refused() {
	local pattern=$1
	shift
	run "$@"
	echo "$output"
	[ "$status" -eq 100 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output =~ $pattern ]]
}

@test "option over environment over file over default" {
	[ "$(begun delayMs)" = 0:1000 ]
	printf 'reader:\n  delay-ms: 1:2\n' >config.yaml
	[ "$(begun delayMs)" = 1:2 ]
	[ "$(ACCTFLOW_DELAY_MS=3:4 begun delayMs)" = 3:4 ]
	[ "$(ACCTFLOW_DELAY_MS=3:4 begun delayMs --delay-ms 5:6)" = 5:6 ]
	[ "$(begun delayMs --delay-ms 5:6)" = 5:6 ]
	[ "$(begun delayMs --delay-ms 5:6 --delay-ms 7:8)" = 7:8 ]
	[ "$(ACCTFLOW_DELAY_MS='' begun delayMs)" = 1:2 ]
}

@test "the configuration file is config.yaml here, ACCTFLOW_CONFIG, or --config" {
	printf 'reader: {seed: 1}\n' >config.yaml
	printf 'reader: {seed: 2}\n' >two.yaml
	printf 'reader: {seed: 3}\n' >three.yaml
	[ "$(begun seed)" = 1 ]
	[ "$(ACCTFLOW_CONFIG=two.yaml begun seed)" = 2 ]
	[ "$(ACCTFLOW_CONFIG=two.yaml begun seed --config three.yaml)" = 3 ]
	[ "$(begun seed -c three.yaml)" = 3 ]
}

@test "a configuration file that is named must be there" {
	refused 'configuration file "none.yaml": No such file' reader --config none.yaml in
	ACCTFLOW_CONFIG=none.yaml refused 'configuration file "none.yaml": No such file' reader in
	refused 'configuration file "/": ' reader --config / in
}

@test "the top level is for what programs share" {
	printf '# of all\nclock: virtual\nepoch: 2001-02-03T04:05:06Z\ndatabase: ""\n' >config.yaml
	[ "$(begun clock)" = virtual ]
	[ "$(begun startedAt)" = 2001-02-03T04:05:06.000000Z ]
	run bash -c 'timerd < /dev/null'
	[ "$status" -eq 0 ]
}

@test "sections of other programs are left to them, other names are not" {
	printf 'timerd:\n  nonsense: 1\nwriter:\n  batch: 7\n' >config.yaml
	[ "$(begun delayMs)" = 0:1000 ]
	refused 'config.yaml line 2: unknown name "nonsense"' timerd
	printf '\nreaders:\n  seed: 1\n' >config.yaml
	refused 'config.yaml line 3: unknown section "readers"' reader in
	printf 'seed: 1\n' >config.yaml
	refused 'config.yaml line 1: "seed" belongs in the section "reader"' reader in
	printf 'sed: 1\n' >config.yaml
	refused 'config.yaml line 1: unknown name "sed"' reader in
	printf 'reader:\n  seed: 1\n  sead: 1\n' >config.yaml
	refused 'config.yaml line 3: unknown name "sead"' reader in
	printf 'reader:\n  config: other.yaml\n' >config.yaml
	refused 'config.yaml line 2: unknown name "config"' reader in
}

@test "wrong values, wherever they stand" {
	printf 'reader:\n  seed: twelve\n' >config.yaml
	refused 'config.yaml line 2: seed: expected a whole number from 0 to 18446744073709551615, not "twelve"' reader in
	printf 'reader:\n  arrival: sometimes\n' >config.yaml
	refused 'config.yaml line 2: arrival: expected one of gap\|offset\|recorded\|none, not "sometimes"' reader in
	printf 'reader:\n  strict: maybe\n' >config.yaml
	refused 'config.yaml line 2: strict: expected true or false, not "maybe"' reader in
	rm config.yaml
	ACCTFLOW_SEED=-1 refused 'ACCTFLOW_SEED: expected a whole number' reader in
	ACCTFLOW_CLOCK=sun refused 'ACCTFLOW_CLOCK: expected one of real\|virtual, not "sun"' timerd
	refused '--delay-ms: expected .*, not "9:1"' reader --delay-ms 9:1 in
	refused '--delay-ms: expected .*, not "1"' reader --delay-ms 1 in
	refused '--seed: .* not "18446744073709551616"' reader --seed 18446744073709551616 in
	refused '--seed: .* not "007"' reader --seed 007 in
	refused '--epoch: .* not "yesterday"' timerd --epoch yesterday
	refused '--log-level: expected one of error\|warn\|info\|debug\|trace, not "loud"' timerd --log-level loud
	refused 'not "\\u001b\[2J"' timerd --log-level $'\e[2J'
}

@test "flags in file and environment" {
	printf '{"id":1}\n' >>in
	run reader --arrival none --strict in
	[ "$status" -eq 1 ]
	for value in true yes 1 True YES; do
		ACCTFLOW_STRICT=$value run reader --arrival none in
		[ "$status" -eq 1 ]
		printf 'reader:\n  strict: %s\n' "$value" >config.yaml
		run reader --arrival none in
		[ "$status" -eq 1 ]
		ACCTFLOW_STRICT=no run reader --arrival none in
		[ "$status" -eq 0 ]
		rm config.yaml
	done
}

@test "what is no configuration" {
	printf 'reader:\n  seed: [1]\n' >config.yaml
	refused 'config.yaml": line 2: expected a plain value' reader in
	printf 'reader:\n  seed:\n    deep: 1\n' >config.yaml
	refused 'config.yaml": line [23]: nested too deep' reader in
	printf 'just text\n' >config.yaml
	refused 'config.yaml": line 1: expected a mapping' reader in
	printf -- '- 1\n' >config.yaml
	refused 'config.yaml": line 1: expected a plain value' reader in
	printf '%080d: 1\n' 7 >config.yaml
	refused 'config.yaml": line 1: name too long' reader in
	printf 'a: "b\n' >config.yaml
	refused 'config.yaml": line [12]: ' reader in
	printf '\x00\xff' >config.yaml
	refused 'config.yaml": line [12]: ' reader in
	: >config.yaml
	[ "$(begun delayMs)" = 0:1000 ]
	printf '# nothing\n---\n' >config.yaml
	[ "$(begun delayMs)" = 0:1000 ]
}

@test "unknown options and missing values" {
	for program in reader timerd writer; do
		refused "unknown option \"--nonsense\"; see $program --help" "$program" --nonsense
		refused "unknown option \"-y\"; see $program --help" "$program" -y
		refused "option \"--log-level\" wants a value; see $program --help" "$program" --log-level
		refused "option \"--epoch\" wants a value; see $program --help" "$program" --epoch
		refused "$program: unknown option \"--log-levle\"; did you mean --log-level\?" "$program" --log-levle error
		refused "$program: unknown option \"--epo\"; did you mean --epoch\?" "$program" --epo x
	done
	refused 'option "--strict=1" takes no value' reader --strict=1
}

@test "options may stand behind operands, short and long, with and without =" {
	[ "$(reader in --arrival none -s 5 | sed -n '1s/.*"seed":\([0-9]*\).*/\1/p')" = 5 ]
	[ "$(begun seed --seed=6)" = 6 ]
	[ "$(begun seed -s7)" = 7 ]
	[ "$(POSIXLY_CORRECT=1 reader in --arrival none -s 9 | sed -n '1s/.*"seed":\([0-9]*\).*/\1/p')" = 9 ]
	cp in -- --seed
	[ "$(reader --arrival none -s 8 -- --seed | sed -n '1s/.*"seed":\([0-9]*\).*/\1/p')" = 8 ]
}

@test "--help and --version go before everything else" {
	printf 'nonsense\n' >config.yaml
	for program in reader timerd writer; do
		run "$program" --help --log-level loud
		[ "$status" -eq 0 ]
		[ "${lines[0]}" = "${lines[0]#*error}" ]
		[[ ${lines[0]} = "usage: $program "* ]]
		[[ $output = *--config*--log-level*--log-format*--help*--version* ]]
		run "$program" -V
		[ "$status" -eq 0 ]
		[[ $output = "$program (acctflow) "[0-9]* ]]
		run bash -c "$program --help > /dev/full"
		[ "$status" -eq 111 ]
	done
}

@test "the log: levels and formats" {
	printf '{"id":1}\nx' >>in
	run reader --arrival none in --log-level error
	run bash -c 'reader --arrival none in 2>&1 > /dev/null'
	[[ ${lines[0]} =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{15}Z\ warn\ reader\[[0-9]+\]\ dropped ]]
	run bash -c 'reader --arrival none in --log-level error 2>&1 > /dev/null'
	[ -z "$output" ]
	ACCTFLOW_LOG_LEVEL=error run bash -c 'reader --arrival none in 2>&1 > /dev/null'
	[ -z "$output" ]
	run bash -c 'reader --arrival none in --log-format json 2>&1 > /dev/null | head -1'
	[[ $output =~ ^\{\"time\":\"[^\"]*\",\"level\":\"warn\",\"program\":\"reader\",\"pid\":[0-9]+,\"message\":\"dropped ]]
	printf 'log-format: json\n' >config.yaml
	run bash -c 'reader --arrival none in 2>&1 > /dev/null | head -1'
	[[ $output = '{"time":'* ]]
}

@test "usage errors are plain lines for a person, log lines where the log is JSON" {
	run timerd --nope
	[ "$output" = 'timerd: unknown option "--nope"; see timerd --help' ]
	run timerd --epoch yesterday
	[ "$output" = 'timerd: --epoch: expected a time such as 2000-01-01T00:00:00Z, not "yesterday"' ]
	run timerd what
	[ "$status" -eq 100 ]
	[ "$output" = 'timerd: unexpected operand "what": events are read from standard input' ]
	printf 'timerd:\n  no_wiat: true\n' >config.yaml
	run timerd
	[ "$output" = 'timerd: config.yaml line 2: unknown name "no_wiat"; did you mean no-wait?' ]
	printf 'cloc: real\n' >config.yaml
	run timerd
	[ "$output" = 'timerd: config.yaml line 1: unknown name "cloc"; did you mean clock?' ]
	printf 'no-wait: true\n' >config.yaml
	run timerd
	[ "$output" = 'timerd: config.yaml line 1: "no-wait" belongs in the section "timerd"' ]
	printf 'timred:\n  no-wait: true\n' >config.yaml
	run timerd
	[ "$output" = 'timerd: config.yaml line 2: unknown section "timred"; did you mean timerd?' ]
	rm config.yaml
	for given in "--nope --log-format json" "-L json --nope" "--log-format=json --nope"; do
		# shellcheck disable=SC2086 # words
		run timerd $given
		[[ $output = '{"time":'*'"message":"unknown option \"--nope\"'* ]]
	done
	ACCTFLOW_LOG_FORMAT=json run timerd --nope
	[[ $output = '{"time":'* ]]
	printf 'log-format: json\n' >config.yaml
	run timerd --nope
	[[ $output = '{"time":'* ]]
}

@test "keys are written with - or _" {
	local key
	for key in delay-ms delay_ms; do
		printf 'reader:\n  %s: 1:2\n' $key >config.yaml
		[ "$(begun delayMs)" = 1:2 ]
	done
	for key in database password_file password-file; do
		printf '%s: ""\n' $key >config.yaml
		run bash -c 'timerd </dev/null'
		[ "$status" -eq 0 ]
		run writer --help
		[ "$status" -eq 0 ]
	done
}

@test "--print-config: what the file says, one NAME=VALUE a line" {
	printf 'database: host=x dbname=y z\npassword_file: "/a b"\n"clock": virtual\nwriter: {batch: 7}\nsupervisor:\n  keep_logs: '"'it''s'"'\n' >config.yaml
	local program
	for program in reader timerd writer tracer statusd; do
		run "$program" --print-config
		[ "$status" -eq 0 ]
		[ "$output" = $'database=host=x dbname=y z\npassword-file=/a b\nclock=virtual\nwriter.batch=7\nsupervisor.keep-logs=it\'s' ]
	done
	printf 'home: "a\\nb"\n' >config.yaml
	refused 'config.yaml line 1: home: a value of several lines' timerd --print-config
	printf 'supervisor:\n  "a=b": 1\n' >config.yaml
	refused 'config.yaml line 2: unknown name "a=b"' timerd --print-config
	printf 'home: "a\\0b"\n' >config.yaml
	refused 'line 1: a NUL byte' timerd
	rm config.yaml
	run timerd --print-config
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "file and environment do not turn the middle of a pipeline into lines for people" {
	local begin='{"event":"begin","source":"s","startedAt":"2000-01-01T00:00:00.000000Z"}'
	printf 'format: text\n' >config.yaml
	[[ $(timerd <<<"$begin" | head -n 1) = "$begin" ]]
	rm config.yaml
	[[ $(ACCTFLOW_FORMAT=text timerd <<<"$begin" | head -n 1) = "$begin" ]]
	[[ $(timerd --format text <<<"$begin" | head -n 1) != "$begin" ]]
	ACCTFLOW_FORMAT=text timerd <<<"$begin" >to_file
	[[ $(head -n 1 to_file) != "$begin" ]]
	ACCTFLOW_FORMAT=loud refused 'ACCTFLOW_FORMAT: expected one of' timerd
}

@test "no line of --help is longer than 100 columns" {
	for program in reader timerd writer tracer statusd; do
		"$program" --help >help
		awk 'length > 100 { print; bad = 1 } END { exit bad }' help
	done
}

@test "JSON logs stay JSON, whatever the message holds" {
	local name i
	name=$(printf 'é%.0s' {1..120})
	# Of both parities, so that one is cut inside a character.
	for i in '' x; do
		run bash -c 'reader --log-format json "$1" 2>&1 >/dev/null' - "/tmp/$i$name/$name/$name/$name/$name"
		[ "$status" -eq 100 ]
		iconv -f UTF-8 -t UTF-8 <<<"$output" >/dev/null
		[[ $output = '{"time":'*'"}' ]]
		[ "$(jq -r .level <<<"$output")" = error ]
	done
	run bash -c 'reader --log-format json "$1" 2>&1 >/dev/null' - $'/tmp/\xff\e[2J"\\\n'
	[ "$(jq -r .level <<<"$output")" = error ]
}
