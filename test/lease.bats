#!/usr/bin/env bats
# Leases by themselves: how `writer lease` shares pipelines out, who may claim, and what ack does once they have ended.
# shellcheck disable=SC2030,SC2031,SC2154 # helper and bats set them
load helper
load writer

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	database
}

@test "ack holds callbacks back after the lease, and what is behind them" {
	update='"accountType":"t","tokens":1,"data":null,"dueAt":"2020-01-01T00:00:00.000000Z","firedAt":"2020-01-01T00:00:00.000000Z","latenessUs":0'
	writer <<<'{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":1,"version":1}
{"id":"b","accountType":"t","tokens":1,"callbackTimeMs":1,"version":2}' >/dev/null
	ok writer claim --source s
	token=$(sed -n 's/^token=//p' <<<"$output")
	ends() { perl -MTime::HiRes=clock_gettime -e 'print pack "q", 1e6 * (clock_gettime(7) + $ARGV[0])' -- "$1" | dd of=lease conv=notrunc status=none; }
	ends 1000
	mkfifo feed
	writer ack --source s --token "$token" --lease lease --format json <feed >out 2>err 3>&- &
	ack=$!
	exec 7>feed
	echo '{"event":"fired","id":"a","version":1,'"$update"'}' >&7
	retry 100 grep -q '"id":"a"' out
	recorded() { [[ $(sql "SELECT string_agg(id, ',' ORDER BY id) FROM acctflow.outcomes") == "$1" ]]; }
	retry 100 recorded a
	ends -1
	printf '%s\n' '{"event":"hello"}' '{"event":"fired","id":"b","version":2,'"$update"'}' '{"event":"bye"}' >&7
	retry 100 grep -q hello out
	sleep 0.5
	same "$(wc -l <out)" 2
	recorded a
	ends 1000
	retry 100 grep -q bye out
	retry 100 recorded a,b
	same "$(grep -o '"event":"[a-z]*"' out | tr '\n' ' ')" '"event":"fired" "event":"hello" "event":"fired" "event":"bye" '
	# Asked to stop it ends without it.
	ends -1
	echo '{"event":"fired","id":"c","version":3,'"$update"'}' >&7
	sleep 0.3
	kill -TERM "$ack"
	wait "$ack"
	exec 7>&-
	same "$(grep -c '"id":"c"' out || :)" 0
	recorded a,b
}

@test "ack holds callbacks back while it cannot record those before" {
	writer < <(for n in {1..300}; do echo "{\"id\":\"a$n\",\"accountType\":\"t\",\"tokens\":1,\"callbackTimeMs\":1,\"version\":1}"; done) >/dev/null
	ok writer claim --source s
	token=$(sed -n 's/^token=//p' <<<"$output")
	perl -e 'print pack "q", 1 << 62' >lease
	held 'LOCK TABLE acctflow.outcomes IN SHARE MODE'
	mkfifo feed
	writer ack --source s --token "$token" --lease lease --format json <feed >out 2>err 3>&- 6>&- &
	exec 7>feed
	fired() { echo "{\"event\":\"fired\",\"id\":\"a$1\",\"version\":1,\"firedAt\":\"2020-01-01T00:00:00.000000Z\"}" >&7; }
	fired 1
	retry 100 grep -qs '"a1"' out
	retry 100 waits 1
	# For a second more it emits what comes; then no longer, though its lease goes on.
	for n in {2..300}; do
		fired "$n"
		sleep 0.1
		((n - $(wc -l <out) < 20)) || break
	done
	seen=$(wc -l <out)
	((n < 300))
	sleep 0.5
	same "$(wc -l <out)" "$seen"
	release
	retry 100 grep -q "\"a$n\"" out
	exec 7>&-
	wait
	same "$(sql 'SELECT count(*) FROM acctflow.outcomes')" "$n"
}

# lease M LINE...: what it answers.
lease() {
	ok writer lease --machine "$1" --lease "lease.$1" --list <(printf '7\n%s\n' "$2") --once "${@:3}"
	[[ $output == *$'\nrenewed 7' ]] || [[ $output == expelled ]]
	output=${output%$'\nrenewed 7'}
}

four='0 w 0/4 s
1 w 1/4 s
2 w 2/4 s
3 w 3/4 s'

@test "leases: shares, handing over, leaving, being done" {
	lease a "$four" --join
	same "$output" $'0 mine\n1 mine\n2 mine\n3 mine'
	lease b "$four" --join
	same "$output" $'0 other\n1 other\n2 other\n3 other'
	lease a "$four"
	same "$(sort -k 2 <<<"$output" | cut -d ' ' -f 2 | uniq -c | tr -s ' \n' ' ')" ' 2 asked 2 mine '
	asked=$(awk '/asked/ { print $1 }' <<<"$output" | head -n 1)
	lease a "${four/"$asked w"/"$asked l"}"
	same "$(sed -n "$((asked + 1))p" <<<"$output")" "$asked other"
	lease b "$four"
	same "$(sed -n "$((asked + 1))p" <<<"$output")" "$asked mine"
	# A third one asks for nothing more than its share, of whoever has most.
	lease c "$four" --join
	same "$(sql "SELECT count(*) FROM acctflow.leases WHERE wanted_by = 'c'")" 1
	ok writer lease --machine b --leave </dev/null
	same "$(sql "SELECT count(*) FROM acctflow.leases WHERE machine = 'b' OR wanted_by = 'b'")" 0
	# Done for all that had joined before, not for one that comes later.
	lease a '0 d 0/4 s'
	same "$output" '0 done'
	lease c '0 w 0/4 s'
	same "$output" '0 done'
	lease d '0 w 0/4 s' --join
	same "$output" '0 mine'
	lease a '0 d 0/4 s'
	same "$output" '0 other'
}

@test "leases: who was silent is expelled, also where it would still renew; who was only late is not" {
	lease a "$four" --join
	sql "UPDATE acctflow.machines SET until = now() - interval '1 minute'"
	lease a "$four"
	same "$output" $'0 mine\n1 mine\n2 mine\n3 mine'
	sql "UPDATE acctflow.machines SET until = now() - interval '1 minute'"
	lease b "$four" --join
	same "$(cut -d ' ' -f 2 <<<"$output" | sort -u)" mine
	ends=$(od -An -td8 lease.a)
	lease a "$four"
	same "$output" expelled
	same "$(od -An -td8 lease.a)" "$ends"
	same "$(sql "SELECT machine FROM acctflow.machines")" b
	# Its file says when it ends: five seconds from the renewal, by the boot clock.
	lease b "$four"
	perl -MTime::HiRes=clock_gettime -e 'my $left = shift() / 1e6 - clock_gettime(7); exit !($left > 0 && $left <= 5)' "$(od -An -td8 lease.b)"
}

@test "only who has the lease can claim, also of a source that is read anew" {
	lease a '0 w 0/1 s' --join
	ok writer claim --source s --machine a
	ok writer claim --source 's#2' --machine a
	fails 111 writer claim --source s --machine b
	err_has 'another machine has the lease of this source by now'
	same "$(sql "SELECT token FROM acctflow.pipelines WHERE source = 's'")" 1
}

@test "a list that is none is refused" {
	for line in '1 w 0/1' '1 w 0/1 ' '1 wl 0/1 s' 'one w 0/1 s' '1 w 1/1 s'; do
		fails 100 writer lease --machine a --lease lease.a --list <(printf '7\n%s\n' "$line") --once --join
		err_has "lease wants lines \"NUMBER STATE I/N SOURCE\", not \"$line\""
	done
}
