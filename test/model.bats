#!/usr/bin/env bats
# The model that pipelines are measured by must itself be right: the contract's example by hand.
# shellcheck disable=SC2154,SC2164 # helper sets root; a cd that fails ends the test
load helper

setup() {
	model=$root/test/model
	cd "$BATS_TEST_TMPDIR"
}

# An update of ID1: offset, version, tokens, arrival, and the callback's time.
update() {
	printf '{"source":"s","offset":%d,"id":"ID1","accountType":"account","tokens":%s,"callbackTimeMs":%s,"version":%s,"data":{"n":[%s,"}\\"\\\\"]},"arriveMs":%s}\n' \
		"$1" "$3" "${5:-400}" "$2" "$3" "$4"
}

example() {
	echo '{"event":"begin","source":"s","shard":"0/1","startedAt":"2000-01-01T00:00:00.000000Z"}'
	update 0 1 10 550
	update 1 3 30 650
	update 2 2 20 700
	echo '{"event":"end","source":"s","shard":"0/1","read":3,"lastOffset":2,"complete":true,"fingerprint":null}'
}

# Events in short.
short() {
	sed -E 's/.*"event":"([a-z]+)".*"version":([0-9]+).*/\1 v\2 \0/; s/^(\w+ v\w+) .*"(ingestedAt|cancelledAt|firedAt)":"[^."]*:([0-9.]*)Z".*/\1 \3/; s/^\{"event":"([a-z]+)".*/\1/'
}

@test "the contract's example" {
	example | "$model" --events >events
	run short <events
	[ "$output" = "begin
indexed v1 00.550000
indexed v3 00.650000
cancelled v1 00.650000
ignored v2 00.700000
end
fired v3 01.050000
summary" ]
	[ "$(sed -n 2p events)" = '{"event":"indexed","source":"s","offset":0,"id":"ID1","version":1,"accountType":"account","tokens":10,"callbackTimeMs":400,"data":{"n":[10,"}\"\\"]},"ingestedAt":"2000-01-01T00:00:00.550000Z","dueAt":"2000-01-01T00:00:00.950000Z"}' ]
	[ "$(sed -n 4p events)" = '{"event":"cancelled","source":"s","offset":0,"id":"ID1","version":1,"supersededBy":3,"dueAt":"2000-01-01T00:00:00.950000Z","cancelledAt":"2000-01-01T00:00:00.650000Z"}' ]
	[ "$(sed -n 5p events)" = '{"event":"ignored","source":"s","offset":2,"id":"ID1","version":2,"ingestedAt":"2000-01-01T00:00:00.700000Z","currentVersion":3,"reason":"stale"}' ]
	[ "$(sed -n 7p events)" = '{"event":"fired","source":"s","offset":1,"id":"ID1","version":3,"accountType":"account","tokens":30,"data":{"n":[30,"}\"\\"]},"dueAt":"2000-01-01T00:00:01.050000Z","firedAt":"2000-01-01T00:00:01.050000Z","latenessUs":0}' ]
	[ "$(sed -n 8p events)" = '{"event":"summary","source":"s","shard":"0/1","indexed":2,"stale":1,"duplicate":0,"conflict":0,"skipped":0,"rejected":0,"restored":0,"fired":1,"cancelled":1,"pending":0}' ]
}

@test "the contract's example as relations" {
	run bash -c "$(declare -f update example); example | '$model' --relations | tr '\t' ' '"
	[ "$output" = 'account "ID1" "account" 30 3 400 2000-01-01T00:00:00.650000Z t
callback "ID1" 1 2000-01-01T00:00:00.950000Z cancelled 2000-01-01T00:00:00.650000Z
callback "ID1" 3 2000-01-01T00:00:01.050000Z fired 2000-01-01T00:00:01.050000Z
shard "s" "0/1" 2 2 3 2 1 0 0 0 0 0 t
source "s" 2 2 3 2 1 0 0 0 0 0 t
update "ID1" 1 "account" 10 400 2000-01-01T00:00:00.550000Z t f "s" 0 {"n":[10,"}\"\\"]}
update "ID1" 2 "account" 20 400 2000-01-01T00:00:00.700000Z f f "s" 2 {"n":[20,"}\"\\"]}
update "ID1" 3 "account" 30 400 2000-01-01T00:00:00.650000Z t f "s" 1 {"n":[30,"}\"\\"]}' ]
	run bash -c "$(declare -f update example); example | '$model' --relations --unsettled | tr '\t' ' ' | grep -e ^callback -e ^source"
	[ "$output" = 'callback "ID1" 1 2000-01-01T00:00:00.950000Z cancelled 2000-01-01T00:00:00.650000Z
callback "ID1" 3 2000-01-01T00:00:01.050000Z pending 
source "s" 2  3 2 1 0 0 0 0 0 t' ]
}

@test "due at the very time of an update fires before it is emitted" {
	run bash -c "$(declare -f update short); { update 0 1 1 100 50; update 1 2 1 150 50; update 2 3 1 150 0; update 3 4 1 150 0; } | '$model' --events | short"
	[ "$output" = "indexed v1 00.100000
fired v1 00.150000
indexed v2 00.150000
indexed v3 00.150000
cancelled v2 00.150000
fired v3 00.150000
indexed v4 00.150000
fired v4 00.150000
summary" ]
}

@test "arrivals never go back, rejects take the time of the record before" {
	{
		echo '{"event":"rejected","source":"s","offset":0,"reason":"not JSON","line":1,"raw":"x","rawBytes":1,"rawEncoding":"utf8"}'
		update 1 1 1 500
		update 2 2 1 300
		printf '%s\n' '{"event":"rejected","source":"s","offset":3,"reason":"not JSON","line":4,"raw":"x\n","rawBytes":2,"rawEncoding":"utf8"}'
	} >in
	"$model" --events --epoch 2026-02-28T23:59:59.6Z in >events
	[ "$(sed -n 1p events)" = '{"event":"rejected","source":"s","offset":0,"ingestedAt":"2026-02-28T23:59:59.600000Z","reason":"not JSON","line":1,"raw":"x","rawBytes":1,"rawEncoding":"utf8"}' ]
	[ "$(grep -c '"ingestedAt":"2026-03-01T00:00:00.100000Z"' events)" -eq 3 ]
	run bash -c "'$model' --relations in | tr '\t' ' ' | grep reject"
	[ "$output" = 'reject "s" 0 record "not JSON" "x" 1 2000-01-01T00:00:00.000000Z
reject "s" 3 record "not JSON" "x\n" 2 2000-01-01T00:00:00.500000Z' ]
}

@test "duplicates and conflicts, also of what was stale and of the greatest version" {
	{
		update 0 9223372036854775807 18446744073709551615 1
		update 1 9223372036854775806 1 2
		update 2 9223372036854775806 1 3
		update 3 9223372036854775806 2 4
		update 4 9223372036854775807 18446744073709551615 5
		update 5 9223372036854775807 18446744073709551614 6
		update 6 0 1 7
	} >in
	run bash -c "'$model' --events in | sed -n 's/.*\"currentVersion\":9223372036854775807,\"reason\":\"\([a-z]*\)\".*/\1/p'"
	[ "$output" = "stale
duplicate
conflict
duplicate
conflict
stale" ]
	[ "$("$model" --relations in | grep -c '^reject')" -eq 2 ]
	[ "$("$model" --relations in | grep -c '^update')" -eq 3 ]
}

@test "an end that is not complete leaves callbacks pending" {
	run bash -c "$(declare -f update example); example | sed 's/plete.:true/plete\":false/' | '$model' --events"
	[[ ${lines[-1]} = *'"fired":0,"cancelled":1,"pending":1}' ]]
}

# An update as reader emits it: offset, arrival, members from id to data.
emitted() {
	printf '{"source":"s","offset":%d,%s,"data":null,"arriveMs":%d}\n' "$1" "$3" "$2"
}

@test "a delete cancels, has no callback, guards its version, and is no account" {
	{
		update 0 1 10 100 50
		emitted 1 120 '"id":"ID1","accountType":null,"tokens":null,"callbackTimeMs":null,"version":3,"deleted":true'
		emitted 2 130 '"id":"ID1","accountType":null,"tokens":null,"callbackTimeMs":null,"version":3,"deleted":true'
		emitted 3 140 '"id":"ID1","accountType":null,"tokens":null,"callbackTimeMs":null,"version":3'
		update 4 2 10 150 50
	} >in
	run bash -c "'$model' --events in | tail -n +2"
	[ "$output" = '{"event":"indexed","source":"s","offset":1,"id":"ID1","version":3,"accountType":null,"tokens":null,"callbackTimeMs":null,"data":null,"ingestedAt":"2000-01-01T00:00:00.120000Z","dueAt":null,"deleted":true}
{"event":"cancelled","source":"s","offset":0,"id":"ID1","version":1,"supersededBy":3,"dueAt":"2000-01-01T00:00:00.150000Z","cancelledAt":"2000-01-01T00:00:00.120000Z"}
{"event":"ignored","source":"s","offset":2,"id":"ID1","version":3,"ingestedAt":"2000-01-01T00:00:00.130000Z","currentVersion":3,"reason":"duplicate"}
{"event":"ignored","source":"s","offset":3,"id":"ID1","version":3,"ingestedAt":"2000-01-01T00:00:00.140000Z","currentVersion":3,"reason":"conflict"}
{"event":"ignored","source":"s","offset":4,"id":"ID1","version":2,"ingestedAt":"2000-01-01T00:00:00.150000Z","currentVersion":3,"reason":"stale"}
{"event":"summary","indexed":2,"stale":1,"duplicate":1,"conflict":1,"skipped":0,"rejected":0,"restored":0,"fired":0,"cancelled":1,"pending":0}' ]
	run bash -c "'$model' --relations in | tr '\t' ' ' | grep -v -e ^reject -e ^shard"
	[ "$output" = 'callback "ID1" 1 2000-01-01T00:00:00.150000Z cancelled 2000-01-01T00:00:00.120000Z
source "s" 4 4 5 2 1 1 1 0 0 1 f
update "ID1" 1 "account" 10 50 2000-01-01T00:00:00.100000Z t f "s" 0 {"n":[10,"}\"\\"]}
update "ID1" 2 "account" 10 50 2000-01-01T00:00:00.150000Z f f "s" 4 {"n":[10,"}\"\\"]}
update "ID1" 3    2000-01-01T00:00:00.120000Z t t "s" 1 null' ]
}

@test "a version without a callback cancels, and has no row of its own" {
	{
		update 0 1 10 100 50
		emitted 1 110 '"id":"ID1","accountType":"t","tokens":1,"callbackTimeMs":null,"version":2'
		update 2 3 10 200 50
	} >in
	run bash -c "'$model' --relations in | tr '\t' ' ' | grep -e ^callback -e ^account"
	[ "$output" = 'account "ID1" "account" 10 3 50 2000-01-01T00:00:00.200000Z t
callback "ID1" 1 2000-01-01T00:00:00.150000Z cancelled 2000-01-01T00:00:00.110000Z
callback "ID1" 3 2000-01-01T00:00:00.250000Z fired 2000-01-01T00:00:00.250000Z' ]
}

@test "shards: accounts dealt out by FNV-1a of the id's bytes, rejects to shard 0, the union always the same" {
	{
		echo '{"event":"begin","source":"s","shard":"0/1"}'
		# Published vectors: 'a' af63dc4c8601ec8c, 'foobar' 85944171f73967e8, '' is no id; and an id whose bytes are escaped.
		for id in a foobar 'A\u001f\n' $'\xc3\xbc'; do
			emitted "$((n++))" 5 "\"id\":\"$id\",\"accountType\":\"t\",\"tokens\":1,\"callbackTimeMs\":1,\"version\":1"
		done
		echo '{"event":"rejected","source":"s","offset":4,"reason":"not JSON","line":1,"raw":"x","rawBytes":1,"rawEncoding":"utf8","arriveMs":5}'
		echo '{"event":"end","source":"s","shard":"0/1","read":5,"lastOffset":4,"complete":true,"fingerprint":null}'
	} >in
	# 0xec8c and 0x67e8 modulo 16 are 12 and 8.
	"$model" --events --shard 12/16 in | grep -q '"indexed".*"id":"a"'
	"$model" --events --shard 8/16 in | grep -q '"indexed".*"id":"foobar"'
	[ "$("$model" --events --shard 0/2 in | grep -c '"rejected"')" -eq 2 ] # and the summary
	[ "$("$model" --events --shard 1/2 in | sed -n '/"end"/p')" = '{"event":"end","source":"s","shard":"1/2","read":'"$("$model" --events --shard 1/2 in | grep -c '"indexed","')"',"lastOffset":4,"complete":true,"fingerprint":null}' ]
	"$model" --relations in | grep -v ^shard >one
	for n in 2 3 7; do
		"$model" --relations --shards "$n" in | grep -v ^shard | cmp one -
		[ "$("$model" --relations --shards "$n" in | grep -c ^shard)" -eq "$n" ]
	done
}

@test "what was skipped counts, is shard 0's, and its arrival is what nothing behind it comes before" {
	{
		echo '{"event":"begin","source":"s","shard":"0/1"}'
		update 0 1 1 100 50
		echo '{"event":"ignored","source":"s","offset":1,"reason":"skipped","arriveMs":160}'
		update 2 2 1 120 50
		echo '{"event":"ignored","reason":"skipped"}'
		echo '{"event":"end","source":"s","shard":"0/1","read":3,"lastOffset":2,"complete":true,"fingerprint":null}'
	} >in
	run bash -c "$(declare -f short); '$model' --events in | short"
	[ "$output" = "begin
indexed v1 00.100000
ignored
fired v1 00.150000
indexed v2 00.160000
ignored
end
fired v2 00.210000
summary" ]
	"$model" --events in | grep -q '"conflict":0,"skipped":1,"rejected":0'
	[ "$("$model" --events in | grep -c '^{"event":"ignored","source":"s","offset":1,"reason":"skipped","arriveMs":160}$')" -eq 1 ]
	[ "$("$model" --relations in | tr '\t' ' ' | grep ^source)" = 'source "s" 2 2 3 2 0 0 0 1 0 0 t' ]
	"$model" --events --shard 0/2 in | grep -q '"skipped":1'
	"$model" --events --shard 1/2 in | grep -q '"skipped":0'
}

@test "a reject's arrival moves the clock" {
	{
		update 0 1 1 100 50
		echo '{"event":"rejected","source":"s","offset":1,"reason":"not JSON","line":1,"raw":"x","rawBytes":1,"rawEncoding":"utf8","arriveMs":160}'
	} >in
	run bash -c "'$model' --events in | sed -n '2,3p'"
	[[ ${lines[0]} == *'"fired"'* ]]
	[[ ${lines[1]} == *'"offset":1,"ingestedAt":"2000-01-01T00:00:00.160000Z","reason"'*'"arriveMs":160}' ]]
}
