#!/usr/bin/env bats
# What cannot be read twice goes by way of a spool, and a file that has changed since it was read: with programs made up.

load helper
load fakes

setup() {
	fakes=$BATS_TEST_TMPDIR/fakes
	fake_all
	input=$BATS_TEST_TMPDIR/in
	cd "$BATS_TEST_TMPDIR"
}

# claims NAME=VALUE...: what the claim says besides.
claims() {
	printf '%s\n' "$@" >"$fakes/claim.more"
}

@test "standard input that has a name goes on behind what was read" {
	claims committed=9 delivered=9 complete=true
	: >"$fakes/done"
	ok "$supervisor" run --source s - <in
	[[ $(<"$fakes/copier.args") == "--copy-to $ACCTFLOW_HOME/spool/s-"*' --copy-from 10 -' ]]
	[[ $(<"$fakes/reader.args") == *'--from 10 '* ]]
	same "$(ls "$ACCTFLOW_HOME/spool")" ''
}

@test "what is not finished is kept, and a second input is queued behind it" {
	claims committed=4 delivered=2 complete=false
	: >"$fakes/done"
	sed -i 's/echo done=true/echo done=false/' "$fakes/writer"
	ok "$supervisor" run --source s --count 1 - <<<one
	err_has 'what was read of source "s" and is not finished is kept; run takes it up'
	# A reader that begins before the copier does not take the first one's end for the last.
	sed -i 's|^\tcat >>|\tuntil [[ -e $state/looked ]]; do sleep 0.05; done\n&|
		s|^"$state/die" reader|ls "${*: -1}" >"$state/look" \&\& mv "$state/look" "$state/looked"; &|' "$fakes/reader"
	ok "$supervisor" run --source s --count 1 - <<<two
	same "$(grep -xE 'before|end' "$fakes/looked")" before
	same "$(cat "$ACCTFLOW_HOME"/spool/s-*/data)" $'one\ntwo'
	[[ $(tail -n 1 "$fakes/copier.args") != *--copy-from* ]]
	rm "$fakes/reader.args"
	sed -i 's/echo done=false/echo done=true/' "$fakes/writer"
	claims committed=9 delivered=9 complete=true
	echo '' >"$fakes/pipelines"
	ok "$supervisor" run
	err_has 'source "s": finishing what was read of it before'
	grep -q -- "--catch-up-to 9223372036854775806 --count 0 --spool $ACCTFLOW_HOME/spool/s-" "$fakes/reader.args"
	same "$(ls "$ACCTFLOW_HOME/spool")" ''
}

@test "a named pipe, /dev/stdin and <(…) are spooled too" {
	mkfifo pipe
	{ sleep 1 && cat in; } >pipe &
	ok "$supervisor" run pipe
	[[ $(<"$fakes/reader.args") == "--source $PWD/pipe "*" --spool "* ]]
	rm "$fakes/done"
	ok bash -c "cat in | '$supervisor' run /dev/stdin"
	rm "$fakes/done"
	ok bash -c "'$supervisor' run <(cat in)"
	same "$(grep -c '^--source stdin-' "$fakes/reader.args")" 2
	same "$(ls "$ACCTFLOW_HOME/spool")" ''
}

@test "standard input that is closed" {
	fails 100 bash -c "'$supervisor' run - <&-"
	err_has 'input "-" is closed'
	[[ ! -e $ACCTFLOW_HOME ]]
}

@test "a copier that is killed is started again on the same input; shards have one" {
	echo KILL >"$fakes/deaths-copier"
	claims committed=0 delivered=0 complete=true
	sed -i 's|^"$state/die" reader.*|until [[ -e $state/done \|\| -e "${*: -1}/end" ]]; do sleep 0.05; done|' "$fakes/reader"
	ok "$supervisor" run --shards 2 - <in
	same "$(wc -l <"$fakes/copier.args")" 2
	[[ $stderr =~ the\ copier\[[0-9]+\]\ of\ source\ \"stdin-[^\"]*\"\ was\ killed\ by\ signal\ 9\;\ starting\ again ]]
}

@test "a copier that is killed behind the end has copied all" {
	claims committed=0 delivered=0 complete=true
	sed -i 's|^\t: >"$2/end"|&; kill -KILL $$|
		s|^"$state/die" reader.*|until [[ -e "${*: -1}/end" ]]; do sleep 0.05; done|' "$fakes/reader"
	ok "$supervisor" run --source s - <in
	same "$(wc -l <"$fakes/copier.args")" 1
	[[ $stderr != *'starting again'* ]]
}

# left SOURCE FILE...: what an earlier run left of it.
left() {
	local folder=$ACCTFLOW_HOME/spool/left
	mkdir -p "$folder"
	printf '%s\n' "source=$1" shards=1 first=0 >"$folder/settings"
	(cd "$folder" && for file in "${@:2}"; do echo '0 0 1 0 0 input' >"$file"; done)
}

@test "what was left of a source before its copier had begun is nothing" {
	left other
	ok "$supervisor" run --source s - <in
	same "$(ls "$ACCTFLOW_HOME/spool")" ''
	same "$(wc -l <"$fakes/reader.args")" 1
	rm "$fakes/done"
	left other data
	ok "$supervisor" run --source s - <in
	err_has 'left" has no index, as after a power failure'
	same "$(ls "$ACCTFLOW_HOME/spool/left")" $'data\nsettings'
}

@test "what --again began goes on with --again, and not beside it" {
	left 's#2' data index
	ok "$supervisor" run --source s --again - <in
	[[ $stderr != *'finishing what was read of it before'* ]]
	left 's#2' data index
	ok "$supervisor" run --source s - <in
	err_has 'source "s#2": finishing what was read of it before'
}

@test "a kill while a spool is removed leaves no half of one" {
	source "$supervisor"
	left s data index end
	rm() { :; }
	spool[0]=$ACCTFLOW_HOME/spool/left
	spool_remove 0
	same "$(compgen -G "$ACCTFLOW_HOME/spool/*")" ''
	unset -f rm
	left s data index end
	spool_remove 0
	same "$(ls -A "$ACCTFLOW_HOME/spool")" ''
}

@test "delivered bytes are given back" {
	source "$supervisor"
	mkdir d
	head -c 3000000 /dev/zero | tr '\0' x >d/data
	printf '%s\n' '0 0 1 0 0 input' '100 1048576 101 1048576 0 lines' '200 2097152 201 2097152 0 lines' >d/index
	fallocate --punch-hole --offset 0 --length 4096 d/data 2>/dev/null || skip 'no holes in this file system'
	spool[0]=d trimmed[0]=0
	pipeline_add 0 0/1
	live["0.reader"]=1
	before=$(stat -c %b d/data)
	for line in '{"committed":900,"delivered":98,"complete":false}' '{"committed":900,"delivered":900,"complete":true}' \
		'{"committed":null,"delivered":null,"complete":false}'; do
		spool_trim 0 "$line"
		same "${trimmed[0]}" 0
	done
	# One shard has read all: what is said may be about the others.
	pipeline_add 0 1/2
	spool_trim 0 '{"committed":900,"delivered":150,"complete":false}'
	same "${trimmed[0]}" 0
	live["1.reader"]=2
	spool_trim 0 '{"committed":900,"delivered":150,"complete":false}'
	same "${trimmed[0]}" 1048576
	(($(stat -c %b d/data) < before))
	same "$(stat -c %s d/data)" 3000000
	same "$(tail -c +1048577 d/data | head -c 3)" xxx
}

@test "nothing is given back where records are put in order of arrival" {
	source "$supervisor"
	child_list() { asked_for=$1; }
	source[0]=s asked_for='' writer=writer
	keep["0.arrival"]=offset
	trim_start 0
	same "$asked_for" ''
	config["reader.arrival"]=offset keep["0.arrival"]=''
	trim_start 0
	same "$asked_for" ''
	keep["0.arrival"]=gap
	trim_start 0
	same "$asked_for" i0.sources
}

@test "a file that was read before: the same, grown, changed" {
	claims committed=9 delivered=9 complete=true fingerprint=100:ab arrival=gap
	: >"$fakes/done"
	echo 0 >"$fakes/compared"
	head -c 100 /dev/zero | tr '\0' x >in
	ok "$supervisor" run --source s in
	err_has 'source "s" was read to its end and nothing is pending; --again reads it anew'
	[[ ! -e $fakes/reader.args ]]
	head -c 130 /dev/zero | tr '\0' x >in
	ok "$supervisor" run --source s in
	err_has 'source "s" has grown since it was read (100 to 130 bytes): reading on'
	[[ $(<"$fakes/reader.args") == *'--from 10 '*'--fingerprint 100:ab '* ]]
	printf '\xef\xbb\xbf \n[%200s' x >array
	for how in '100 in' '0 array'; do
		echo "${how% *}" >"$fakes/compared"
		fails 100 "$supervisor" run --source s "${how#* }"
		err_has 'its file has changed since (100 to '
		err_has '--again reads it anew'
	done
	echo 111 >"$fakes/compared"
	fails 111 "$supervisor" run --source s in
	err_has 'in" again: reader exited 111'
	claims committed=9 delivered=9 complete=true fingerprint=100:ab arrival=offset
	echo 0 >"$fakes/compared"
	fails 100 "$supervisor" run --source s in
}

@test "an array that broke off is read anew once it has changed" {
	claims committed=1 delivered=1 complete=false broken=true fingerprint=100:ab
	: >"$fakes/done"
	sed -i 's|\[\[ ! -e $state/done \]\] .*|case $* in *"#2"*) [[ ! -e $state/reader.args ]] \|\| echo done=true ;; esac|; s|cat "$state/claim.more".*|[[ $* == *"#2"* ]] \|\| cat "$state/claim.more"|' "$fakes/writer"
	echo 100 >"$fakes/compared"
	printf '[%100s' x >in
	ok "$supervisor" run --source s in
	err_has 'source "s" broke off, and its file has changed since (100 to 101 bytes): it is read anew as "s#2"'
	[[ $(<"$fakes/reader.args") == '--source s#2 '* ]]
}
