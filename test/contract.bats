#!/usr/bin/env bats
# The contract's tables of records against what the programs emit: for each kind the members that it has, in their
# order, from real runs. Brackets hold what a record has only where it applies.
# shellcheck disable=SC2154,SC2164 # helper sets root; a cd that fails ends the test
load helper

setup() {
	cd "$BATS_TEST_TMPDIR"
	shape_update='source offset id accountType tokens callbackTimeMs version [deleted] data [arriveMs] [trace] [readAt]'
	shape_begin='event source shard seed arrival delayMs speed clock fingerprint [from] startedAt'
	shape_end='event source shard read lastOffset complete [broken] fingerprint'
	shape_rejected='event source offset [ingestedAt] reason line raw rawBytes rawEncoding [arriveMs] [replayed]'
	shape_indexed='event source offset id version accountType tokens callbackTimeMs data ingestedAt dueAt [deleted] [trace] [readAt] [commitAt committedAt batch] [replayed]'
	shape_ignored='event source offset id version ingestedAt currentVersion reason [trace] [readAt] [commitAt committedAt batch] [replayed]'
	shape_skipped='event source offset reason [arriveMs] [replayed]'
	shape_pending='event source offset id version accountType tokens callbackTimeMs data ingestedAt dueAt [trace] [firedAt]'
	shape_caughtup='event source'
	shape_cancelled='event source offset id version supersededBy dueAt cancelledAt [trace] [ingestedAt] [replayed]'
	shape_fired='event source offset id version accountType tokens data dueAt firedAt latenessUs [recovered] [trace] [ingestedAt] [attempts attemptsAt]'
	shape_summary='event source shard indexed stale duplicate conflict skipped rejected restored fired cancelled pending'
	# One of everything: indexed, stale, duplicate, conflict, delete, without a callback, traced, rejected, superseded.
	cat >in <<'END'
{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":5000,"version":2,"data":{"x":1},"trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":5000,"version":1}
{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":5000,"version":2,"data":{"x":1}}
{"id":"a","accountType":"t","tokens":9,"callbackTimeMs":5000,"version":2}
{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":5000,"version":3}
{"id":"b","accountType":"t","tokens":1,"callbackTimeMs":null,"version":1}
{"id":"c","accountType":"t","tokens":1,"callbackTimeMs":5000,"version":1,"trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
{"id":"c","version":2,"deleted":true}
{"id":"d","accountType":"t","tokens":1,"callbackTimeMs":100,"version":1,"trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
{"id":"e","accountType":"t","tokens":1,"callbackTimeMs":100,"version":1,"arriveMs":1}
{"id":7}
END
}

# The members of each record of a file, the kind first; each combination once. What was ignored without having been an
# update is of a kind of its own.
shapes() {
	perl -ne '
		my ($depth, $kind, @name) = (0, "update");
		while (/\G("(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^"{}\[\]:,]+)/gc) {
			my $token = $1;
			$depth++ if $token =~ /^[{\[]$/;
			$depth-- if $token =~ /^[}\]]$/;
			push @name, $token =~ s/"//gr if $depth == 1 && $token =~ /^"/ && /\G:/;
			$kind = $1 if @name == 1 && $name[0] eq "event" && $token =~ /^"(\w+)"$/ && $1 ne "event";
		}
		$kind = "skipped" if $kind eq "ignored" && !grep { $_ eq "id" } @name;
		print "$kind @name\n";' "$1" | sort -u
}

# as_tabled FILE KIND...: each record is as its table says, and of each of these kinds there is one.
as_tabled() {
	local file=$1 kind names table pattern
	shift
	shapes "$file" >shapes
	while read -r kind names; do
		table=shape_$kind
		[[ ${!table-} ]] || {
			echo "not in the contract: $kind $names"
			return 1
		}
		pattern=$(sed -E 's/ \[([A-Za-z ]+)\]/( \1)?/g' <<<"${!table}")
		[[ $names =~ ^$pattern$ ]] || {
			printf '%s of %s\n  has:   %s\n  table: %s\n' "$kind" "$file" "$names" "${!table}"
			return 1
		}
	done <shapes
	for kind; do
		grep -q "^$kind " shapes || {
			echo "no $kind in $file:"
			cat shapes
			return 1
		}
	done
}

# has_member FILE KIND NAME...: one record of that kind has all of these.
has_member() {
	local kind=$2 found
	shapes "$1" >shapes
	found=$(grep "^$kind " shapes)
	shift 2
	for name; do
		found=$(grep -w -- "$name" <<<"$found") || {
			echo "no $kind with $*"
			cat shapes
			return 1
		}
	done
}

# A record more at the end of what reader emits, that a map has nothing for.
skipping() {
	sed 's/^{"event":"end".*"lastOffset":10,/{"event":"ignored","source":"s","offset":11,"reason":"skipped"}\n&/; s/"lastOffset":10,/"lastOffset":11,/'
}

@test "contract: what reader emits" {
	reader --arrival none --source s in >real
	as_tabled real begin update rejected end
	has_member real update deleted
	has_member real update trace readAt
	as_tabled real update
	reader --clock virtual --source s in >virtual
	as_tabled virtual begin update rejected end
	same "$(shapes virtual | grep -E '^(update|rejected)' | grep -vc arriveMs)" 0
	reader --arrival none --source s --from 2 in >from
	as_tabled from begin end
	has_member from begin from
	printf '[{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":5,"version":2}, nonsense' >array
	fails 100 reader --arrival none --source s array
	printf '%s\n' "$output" >broken
	as_tabled broken begin update end
	has_member broken end broken
	# A delete that says no more is told with null.
	grep -q '"id":"c","accountType":null,"tokens":null,"callbackTimeMs":null,"version":2,"deleted":true,"data":null}' real
	grep -q '"id":"b","accountType":"t","tokens":1,"callbackTimeMs":null,"version":1,"data":null}' real
}

@test "contract: what writer, timerd and ack emit" {
	database
	reader --arrival none --source s in 2>log | skipping | writer 2>>log >written
	as_tabled written begin indexed ignored skipped rejected end
	has_member written rejected ingestedAt
	has_member written indexed deleted
	has_member written indexed trace
	has_member written indexed readAt commitAt batch
	same "$(grep -o '"reason":"[a-z]*"}' written | sort -u | tr -d '\n')" '"reason":"conflict"}"reason":"duplicate"}"reason":"skipped"}"reason":"stale"}'
	grep -q '"event":"indexed".*"id":"c","version":2,"accountType":null,"tokens":null,"callbackTimeMs":null,.*"dueAt":null,"deleted":true}' written
	grep -q '"event":"indexed".*"id":"b",.*"callbackTimeMs":null,.*"dueAt":null}' written
	timerd <written >timed 2>>log
	as_tabled timed begin indexed ignored skipped rejected end fired cancelled summary
	has_member timed fired trace
	has_member timed cancelled trace
	grep -q '"event":"summary","source":"s","shard":"0/1",' timed
	writer ack <timed >acked 2>>log
	cmp timed acked
	# What is not an event of ours passes unchanged.
	echo '{"event":"heartbeat","n":1}' | writer | timerd | writer ack | grep -q '^{"event":"heartbeat","n":1}$'
}

@test "contract: what is emitted again after a crash" {
	database
	# Committed and never acknowledged: the next process emits it again.
	reader --arrival none --source s in 2>log | skipping | writer 2>>log >/dev/null
	writer claim --source s --shard 0/1 2>>log >claim
	token=$(sed -n 's/^token=//p' claim)
	committed=$(sed -n 's/^committed=//p' claim)
	[[ $token && $committed ]]
	reader --arrival none --source s --catch-up-to "$committed" in 2>>log | skipping |
		writer --resume --source s --shard 0/1 --token "$token" 2>>log >written
	as_tabled written begin indexed ignored skipped rejected caughtup end
	has_member written indexed replayed
	has_member written ignored replayed
	has_member written skipped replayed
	has_member written rejected replayed ingestedAt
	timerd --resume <written 2>>log >timed
	as_tabled timed begin indexed ignored skipped rejected end fired cancelled summary
	has_member timed fired recovered
	has_member timed cancelled replayed
	# Acknowledged to its end, but for what fired: what is pending comes from the database.
	reader --arrival none --source t <<<'{"id":"z","accountType":"t","tokens":1,"callbackTimeMs":100,"version":1}' - 2>>log |
		writer 2>>log | timerd --no-wait 2>>log | writer ack >/dev/null 2>>log
	writer pending >pending 2>>log
	as_tabled pending pending
}

@test "contract: members are named by common/event.c, and in no other program file" {
	local names
	names=$(set | sed -n "s/^shape_[a-z]*='*\(.*\)/\1/p" | tr -d "[]'" | tr ' ' '\n' | sort -u | paste -s -d '|')
	[[ $names == *accountType*version* ]]
	# The log's own lines have a source, too.
	run grep -nE "\\\\\"($names)\\\\\":" "$root"/common/*.c "$root"/reader/*.c "$root"/writer/*.c "$root"/timerd/*.c
	output=$(grep -v -e '/common/event\.c:' -e '/common/log\.c:' <<<"$output" || :)
	same "$output" ''
}
