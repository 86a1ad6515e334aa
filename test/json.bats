#!/usr/bin/env bats
# RFC 8259 as the contract narrows it, by the real reader: what parsers are known to get
# wrong, and JSONTestSuite where it is there.
# shellcheck disable=SC2154,SC2164,SC2059 # helper sets root; formats are the tests' own; a cd that fails ends the test
load helper

setup() {
	cd "$BATS_TEST_TMPDIR"
}

# doc NAME TEXT: a document; TEXT has printf's escapes. NAME need not be the only one.
doc() {
	n=$((${n:-0} + 1))
	printf -- "$2" >"docs/$1_$n.json"
}

@test "known traps, in every place" {
	mkdir docs
	# Numbers.
	for text in -01 01 00 -00 2. -2. .5 -.5 1.e5 1e 1e+ 1E- + +1 - -- 1.2.3 '{"a":1,5}' 0x1F 1_000 1e5.5 Infinity -Infinity NaN -NaN １; do
		doc n_number "$text"
	done
	for text in 0 -0 0.0 -0.0e-0 0e0 1E+2 1e-2 9007199254740993 18446744073709551616 -9223372036854775809 1e400 123e997 0.1e-998; do
		doc y_number "$text"
	done
	for text in 1e1000 -1e1000 1e-1000 1e131071 1e-131072 1e99999999999999999999 "$(printf '%01001d' 0 | tr 0 7)"; do
		doc r_number "$text"
	done
	# White space, and what is none.
	doc y_space '\t\n\r [ \t\n\r 1 \t\n\r , \t2 ] \t\n\r '
	doc n_form_feed '[\f1]'
	doc n_vertical_tab '\v1'
	doc n_no_break_space '\xc2\xa01'
	doc n_line_separator '[1,\xe2\x80\xa82]'
	doc n_byte_order_mark '\xef\xbb\xbf1'
	doc n_byte_order_mark_inside '[\xef\xbb\xbf1]'
	doc n_nul_behind '1\0'
	doc n_nul_behind_array '[1]\0'
	doc n_nul_inside '[1,\0002]'
	doc n_nothing ''
	doc n_space ' '
	# What stands behind.
	for text in '1 2' '"a" "b"' '{}{}' '[][]' '{},' '[]]' '1]' 'null,' 'true false' '{"a":1}x' '[1]//' '1#' '1;'; do
		doc n_behind "$text"
	done
	# Strings.
	local c
	for c in {1..31}; do doc n_control "\"a\\$(printf '%03o' "$c")b\""; done
	doc n_control_nul '"a\0b"'
	doc y_delete '"\x7f"'
	doc y_escapes '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\uD83D\\ude00"'
	doc y_no_zero '"\\\\u0000"'
	doc y_noncharacters '"\xef\xbf\xbe\xef\xbf\xbf\xf4\x8f\xbf\xbf\\uffff"'
	for c in '\\x41' '\\a' '\\0' "\\\\'" '\\u12' '\\u123g' '\\U0041' '\\u+123' '\\u 123' '\\' '\\ud83d\\u12'; do
		doc n_escape "\"$c\""
	done
	for c in "'a'" '"a' 'a"' 'a' "\"a'" '\x60a\x60'; do doc n_quotes "$c"; done
	doc r_zero '"a\\u0000b"'
	doc r_zero_in_name '{"\\u0000":1}'
	for c in '\\ud800' '\\udc00' '\\ud800x' '\\ud800\\n' '\\ud800\\ud800' '\\udc00\\ud800' '\\ud83d\\u0041'; do
		doc r_surrogate "\"$c\""
	done
	for c in '\xff' '\xfe' '\x80' '\xc0\x80' '\xc1\xbf' '\xe0\x80\xaf' '\xed\xa0\x80' '\xed\xbf\xbf' '\xf0\x80\x80\xaf' '\xf4\x90\x80\x80' \
		'\xf8\x88\x80\x80\x80' '\xc3' '\xe2\x82' '\xf0\x9f\x98'; do
		doc r_utf8 "\"$c\""
	done
	doc n_utf8_outside '[\xff]'
	doc n_utf16 '\xff\xfe[\0]\0'
	# Members.
	doc y_case '{"a":1,"A":2}'
	doc y_twice_inside '[{"a":1,"a":2,"\\u0061":3}]'
	doc y_empty_name '{"":{"":[]}}'
	for c in '{a:1}' "{'a':1}" '{1:1}' '{"a"}' '{"a":}' '{"a" 1}' '{"a"::1}' '{"a":1,}' '{,"a":1}' '{"a":1 "b":2}' '{"a":1;"b":2}' \
		'{null:1}' '{"a":1]' '{"a"=1}' '{"a":1,,"b":2}'; do
		doc n_member "$c"
	done
	for c in '[1,]' '[,1]' '[1,,2]' '[1 2]' '[1}' '[1:2]' '[' ']' '{' '}' '[[1]' '[1' '[1,' '["a"' '["a' '{"a":1' '{"a":' '{"a"' '{"a' \
		'[true' '[tru' '[1e' '[-' '["\\' '["\\u1'; do
		doc n_bracket "$c"
	done
	for c in True TRUE nul nulll truefalse none undefined '// a' '/* a */1' '<a/>' '*' 'é'; do doc n_word "$c"; done
	# 512 levels are the most, and the record and the array around it are among them.
	deep() { printf "%$1s" '' | tr ' ' "$2"; }
	doc y_deep "$(deep 510 '[')$(deep 510 ']')"
	doc r_deep "$(deep 513 '[')$(deep 513 ']')"
	doc n_deep_unclosed "$(deep 100000 '[')"
	doc n_deep_object "$(deep 50000 '[' | sed 's/\[/[{"":/g')"
	ok "$root/test/conformance" docs
	[[ $output = *' y, '*' n, 0 i, '*' r, 0 refused; 0 differences' ]]
	[[ $(ls docs | wc -l) = $(grep -oE '[0-9]+ [ynr],' <<<"$output" | awk '{ n += $1 } END { print n }') ]]
}

@test "JSONTestSuite, in every place: a third of it, drawn at random" {
	suite=$root/../shared/data/JSONTestSuite/test_parsing
	[[ -d $suite ]] || skip 'it is not at ../shared/data'
	mkdir third
	all=("$suite"/*.json)
	for ((i = RANDOM % 3; i < ${#all[@]}; i += 3)); do ln -s "$(realpath "${all[i]}")" third/; done
	ok "$root/test/conformance" third --refused '^y_(object_escaped_null_in_key|string_null_escape)$=\u0000'
	[[ $output == *'; 0 differences' ]]
	same "$(grep -oE '[0-9]+ [ynir],' <<<"$output" | awk '{ n += $1 } END { print n }')" "$(find third -type l | wc -l)"
	(($(find third -type l | wc -l) > 100))
}

@test "eight times the rubbish costs no more than its share of processor time" {
	# Quadratic would be 64 times; linear is eight, and what starting costs is taken off. Through a pipe, so that it comes
	# in pieces.
	cat >measure <<'END'
use strict;
use warnings;
my $long = 1 << 20;
my %kind = (
	'opening brackets' => sub { '[' x $_[0] }, 'brackets in a line' => sub { '0' . '[' x $_[0] },
	'objects without end' => sub { '[' . '{"a":' x ($_[0] / 5) }, 'a string without end' => sub { '["' . 'x' x $_[0] },
	'backslashes' => sub { '["' . '\\' x $_[0] }, 'escapes' => sub { '["' . '\\u0041' x ($_[0] / 6) }, 'digits' => sub { '[' . '1' x $_[0] },
	'digits in a line' => sub { '1' x $_[0] . "\n" }, 'white space' => sub { " \n" x ($_[0] / 2) }, 'no UTF-8' => sub { "\"\xff" . "\xff" x $_[0] },
	'short lines' => sub { ('x' x 999 . "\n") x ($_[0] / 1000) }, 'a comma too many' => sub { '[' . '[],' x ($_[0] / 3) },
	'members' => sub { '{' . join(',', map { "\"$_\":0" } 1 .. $_[0] / 10) . "}\n" },
	'the same member' => sub { '{' . '"a":0,' x ($_[0] / 6) . '"a":0}' . "\n" },
	'escaped members' => sub { '[{' . join(',', map { "\"\\u0061$_\":0" } 1 .. $_[0] / 16) . '}]' },
	'deep and closed' => sub { '[' . '[' x ($_[0] / 2) . ']' x ($_[0] / 2) . ']' },
);
my $bad = 0;
sub cost {
	my ($text) = @_;
	my $before = (times)[2] + (times)[3];
	open my $reader, '|-', 'reader -a none -S s --format json - >/dev/null 2>&1' or die;
	$SIG{PIPE} = 'IGNORE';
	print $reader $text;
	close $reader;
	die "ended with $?\n" if $? & 127;
	return (times)[2] + (times)[3] - $before;
}
my $start = cost("0\n");
for my $kind (sort keys %kind) {
	my ($small, $large) = map { cost($kind{$kind}->($_ * $long)) - $start } 1, 8;
	# The clock's ticks are 10 ms.
	my $right = $large <= 24 * ($small > 0.01 ? $small : 0.01);
	printf "%s: %.2f s, %.2f s%s\n", $kind, $small, $large, $right ? '' : ' TOO MUCH';
	$bad = 1 unless $right;
}
exit $bad;
END
	ok perl measure
}
