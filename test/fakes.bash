# Programs that are made up, which die in chosen ways, for the tests of the supervisor's wiring, on top of helper.bash.
# $fakes is their folder, and BATS_TEST_TMPDIR/in an input.
# shellcheck shell=bash disable=SC2034,SC2154 # helper and bats set them

# Starts a run in the background with the signals of a terminal's job; its pid is $started, its streams out and err.
start() {
	env --default-signal=INT,TERM "$supervisor" run "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	started=$!
}

# finished CODE: waits for it.
finished() {
	local status=0
	wait "$started" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/out") stderr=$(<"$BATS_TEST_TMPDIR/err") command='run' started=''
	[[ $status == "$1" ]] || {
		echo "wanted status: $1"
		shown
		return 1
	}
}

# fake NAME: a program in its stead, from standard input. $state is a folder to keep things in.
fake() {
	mkdir -p "$fakes"
	{
		echo '#!/usr/bin/env bash'
		echo "state=$fakes"
		cat
	} >"$fakes/$1"
	chmod +x "$fakes/$1"
}

# A whole set: reader tells an end, the others pass on, writer's claim is done once ack has ended well. A file named
# CODE-NAME in the state folder has that program die so in each round that finds a line in it.
fake_all() {
	fake die <<'END'
if [[ -s $state/deaths-$1 ]]; then
	how=$(head -n 1 "$state/deaths-$1")
	sed -i 1d "$state/deaths-$1"
	# Where the anchors are counted, not before reader has written this round's down.
	echo >>"$state/dead"
	until [[ ! -e $state/counted ]] || (($(cat "$state/anchors" | wc -l) >= $(wc -l <"$state/dead"))); do sleep 0.01; done
	case $how in
	KILL | TERM | SEGV) kill -"$how" $PPID && sleep 5 ;;
	*) exit "$how" ;;
	esac
fi
END
	fake reader <<'END'
case $* in
--copy-to*)
	echo "$*" >>"$state/copier.args"
	"$state/die" copier || exit
	cat >>"$2/data"
	echo '0 0 1 lines input' >"$2/index"
	: >"$2/end"
	exit
	;;
"-n 0 "*) exit "$(cat "$state/compared")" ;;
esac
echo "$*" >>"$state/reader.args"
env | grep ^ACCTFLOW_ANCHOR >>"$state/anchors"
"$state/die" reader || exit
echo '{"event":"end","complete":true}'
END
	fake timerd <<'END'
"$state/die" timerd || exit
cat
END
	fake writer <<'END'
echo "$*" >>"$state/writer.args"
case $* in
--config*) cat "$state/config" ;;
claim*)
	"$state/die" claim || exit
	printf 'source=s\ntoken=%d\n' $(($(cat "$state/token" 2>/dev/null) + 1)) | tee "$state/claim"
	sed -n 's/token=//p' "$state/claim" >"$state/token"
	echo "anchor=1$(<"$state/token")"
	cat "$state/claim.more" 2>/dev/null
	[[ ! -e $state/done ]] || echo done=true
	;;
*ack*)
	"$state/die" ack || exit
	cat
	: >"$state/done"
	;;
*--pipelines*) cat "$state/pipelines" ;;
sources*) echo '{"sources":1,"rejected":0}' ;;
richest*) echo '{"richest":1}' ;;
*)
	"$state/die" writer || exit
	cat
	;;
esac
END
	export ACCTFLOW_BIN=$fakes PGHOST=/nowhere
	echo '[]' >"$BATS_TEST_TMPDIR/in"
}
