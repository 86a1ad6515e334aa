#!/usr/bin/env bats
# The generator of inputs: the same bytes for a seed, the shares that were asked for.
# shellcheck disable=SC2154,SC2164 # helper sets root; a cd that fails ends the test
load helper

setup() {
	cd "$BATS_TEST_TMPDIR"
}

# What became of each record of a JSON array, by a reading of the rules that is not the product's: counts as name=value.
kinds() {
	perl -MJSON::PP -e '
		my (%known, %current, %n);
		my $json = JSON::PP->new->canonical->allow_bignum->allow_nonref;
		my $text = do { local $/; <> };
		# One a line needs no parser, which would take minutes over many. Else each is put in the same order.
		my @all = $text =~ /^\[\n\{"id"/ ? $text =~ /^(\{.*\}),?$/mg : map { my $u = $_;
			"{" . join(",", map { "\"$_\":" . $json->encode($u->{$_}) } grep { exists $u->{$_} } qw(id accountType version tokens callbackTimeMs data)) . "}"
		} @{$json->decode($text)};
		for my $u (@all) {
			my ($id) = $u =~ /"id":("(?:[^"\\]|\\.)*")/;
			my ($v) = $u =~ /"version":(\d+)/;
			my ($t) = $u =~ /"accountType":("(?:[^"\\]|\\.)*")/;
			my $kind = !defined $v ? "unversioned"
				: exists $known{"$id $v"} ? ($known{"$id $v"} eq $u ? "duplicate" : "conflict")
				: defined $current{$id} && $v < $current{$id} ? "stale" : "newer";
			$known{"$id $v"} = $u if $kind eq "newer" || $kind eq "stale";
			$current{$id} = $v if $kind eq "newer";
			$n{$kind}++;
			$n{records}++;
			$n{accounts}++ unless $seen{$id}++;
			$n{types}++ unless !defined $t || $type{$t}++;
		}
		print join(" ", map { "$_=$n{$_}" } sort keys %n), "\n";
	' "$@"
}

@test "the sample is what its command makes" {
	command=$(sed -n 's,^    bin/\(generate .*\) > data/challenge-input.json$,\1,p' "$root/data/README.md")
	[ -n "$command" ]
	$command | cmp - "$root/data/challenge-input.json"
}

@test "the sample holds what data/README.md says" {
	run kinds "$root/data/challenge-input.json"
	[ "$output" = "accounts=12 conflict=2 duplicate=4 newer=97 records=124 stale=16 types=7 unversioned=5" ]
	run grep -c '"callbackTimeMs": \([0-9]\|[1-9][0-9]\{1,2\}\|[1-9][0-9][0-9][0-9]\),' "$root/data/challenge-input.json"
	[ "$output" = 124 ]
}

@test "the same seed gives the same bytes, another seed others" {
	for options in "" "--edges --arrive-ms 0:9 --types 40" "--lines --data-bytes 300"; do
		# shellcheck disable=SC2086
		generate $options --updates 3000 --seed 5 >a
		# shellcheck disable=SC2086
		generate $options --updates 3000 --seed 5 >b
		# shellcheck disable=SC2086
		generate $options --updates 3000 --seed 6 >c
		cmp a b
		run cmp -s a c
		[ "$status" -eq 1 ]
	done
}

@test "array, compact array and lines hold the same records" {
	generate --updates 500 >array
	generate --updates 500 --compact >compact
	generate --updates 500 --lines >lines
	[ "$(wc -l <compact)" -eq 502 ]
	[ "$(wc -l <lines)" -eq 500 ]
	sed -n '2,501s/,$//p; 501p' compact | sort -u | cmp - <(sort -u lines)
	perl -MJSON::PP -e 'my @t = map { local (@ARGV, $/) = $_; decode_json(<>) } @ARGV;
		my $j = JSON::PP->new->canonical; exit($j->encode($t[0]) ne $j->encode($t[1]))' array compact
}

@test "shares are kept" {
	generate --updates 40000 --accounts 500 --compact --stale 20 --duplicate 10 --conflict 5 --unversioned 15 >in
	run kinds in
	local -A n
	for pair in $output; do
		n[${pair%=*}]=${pair#*=}
	done
	[ "${n[records]}" -eq 40000 ]
	[ "${n[accounts]}" -eq 500 ]
	while read -r kind percent; do
		echo "$kind: ${n[$kind]}, expected about $((percent * 400))"
		[ $((${n[$kind]} - percent * 400)) -lt 400 ]
		[ $((percent * 400 - ${n[$kind]})) -lt 400 ]
	done <<<"stale 20
duplicate 10
conflict 5
unversioned 15
newer 50"
	generate --updates 3000 --stale 0 --duplicate 0 --conflict 0 --unversioned 0 --compact >in
	run kinds in
	[ "$output" = "accounts=12 newer=3000 records=3000 types=7" ]
}

@test "deletes and versions without a callback, in their shares, and nothing else is changed by them" {
	generate --updates 10000 --accounts 500 --compact --deleted 20 --silent 30 --conflict 5 >in
	run perl -ne '
		next unless /^\{/;
		$n{records}++;
		my $deleted = /"deleted":true/;
		$n{$deleted ? "deleted" : "kept"}++;
		$n{bare}++ if $deleted && !/"(tokens|accountType|callbackTimeMs)":/;
		$n{silent}++ if /"callbackTimeMs":null/;
		END { print join(" ", map { "$_=" . ($n{$_} // 0) } qw(records deleted bare silent)) }' in
	[[ $output =~ ^records=10000\ deleted=(1[89]|2[012])[0-9][0-9]\ bare=(9|10|11)[0-9]+\ silent=2[5-9][0-9][0-9]$ ]]
	# A duplicate says the same, a conflict of a delete says something else.
	run kinds in
	[[ $output =~ conflict=([0-9]+)\ duplicate=([0-9]+) ]]
	((BASH_REMATCH[1] > 400 && BASH_REMATCH[2] > 200))
	generate --updates 3000 --conflict 0 --deleted 20 --silent 30 --compact >in
	generate --updates 3000 --conflict 0 --compact >plain
	diff <(grep -o '"id":"[^"]*"\|"data".*' in) <(grep -o '"id":"[^"]*"\|"data".*' plain)
}

@test "--edges reaches the edges" {
	generate --updates 20000 --accounts 100 --types 40 --edges --lines --arrive-ms 0:50 >in
	for value in '"tokens" *: *0 *,' '"tokens" *:[ \t]*18446744073709551615[^0-9]' '"version" *:[ \t]*9223372036854775807[^0-9]' \
		'"callbackTimeMs" *:[ \t]*0[^0-9]' '"callbackTimeMs" *:[ \t]*31536000000[^0-9]' '"data" *:[ \t]*null' '"data" *:[ \t]*-0[^.0-9]' \
		'"data" *:[ \t]*\[\[\[' '9007199254740993' '1e400' '\\ud83d\\ude00' '\\u0069'; do
		echo "$value"
		grep -aq "$value" in
	done
	# Not one of them is refused but for the version that is missing.
	if command -v reader >/dev/null; then
		run bash -c "reader --clock virtual --arrival recorded in 2>/dev/null | grep '\"event\":\"rejected\"' | grep -vc '\"reason\":\"version: missing\"'"
		[ "$output" = 0 ]
	fi
}

@test "--data-bytes gives data of that size" {
	generate --updates 20 --lines --data-bytes 5000 --unversioned 0 >in
	[ "$(wc -l <in)" -eq 20 ]
	while read -r line; do
		data=${line#*\"data\":}
		data=${data%,\"version\"*}
		[ "${data:0:1}" = "{" ]
		[ ${#data} -ge 4990 ] || [ ${#data} -lt 40 ] # a conflict's
		[ ${#data} -le 5010 ]
	done <in
}

@test "a reader that goes away is an ordinary end" {
	run bash -c 'set -o pipefail; generate --updates 1000000 --lines | head -1 > /dev/null'
	[ "$status" -eq 0 ]
}

@test "wrong options are told" {
	for options in "--updates x" "--stale 101" "--callback-ms 5" "--callback-ms 9:5" "--callback-ms 1:31536000001" "--accounts 0" \
		"--stale 60 --conflict 60" "operand"; do
		# shellcheck disable=SC2086
		run generate $options
		echo "$options: $output"
		[ "$status" -eq 100 ]
		[ "${#lines[@]}" -eq 1 ]
	done
}
