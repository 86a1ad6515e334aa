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
	refused 'config.yaml line 1: unknown name "seed"' reader in
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
	refused '--delay-ms: expected MIN:MAX, not "9:1"' reader --delay-ms 9:1 in
	refused '--delay-ms: expected MIN:MAX, not "1"' reader --delay-ms 1 in
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
	done
	refused 'option "--strict=1" takes no value' reader --strict=1
}

@test "options may stand behind operands, short and long, with and without =" {
	[ "$(reader in --arrival none -s 5 | sed -n '1s/.*"seed":\([0-9]*\).*/\1/p')" = 5 ]
	[ "$(begun seed --seed=6)" = 6 ]
	[ "$(begun seed -s7)" = 7 ]
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
