# A Kafka broker of a test's own, on top of helper.bash: librdkafka's mock cluster, see kafka/broker.c for its commands.
#
#   kafka_begin, kafka_end   in setup and teardown; started is the pid of what a test has in the background
#   broker_start [N]     N brokers (1); sets brokers to their list, as for -b
#   broker COMMAND...    a word each; sets answer to what it answers, fails where that is an error
#   broker_has T P TEXT  whether partition P of T goes from and to: `0 1000`
#   broker_stop          does no harm where none was started
# shellcheck shell=bash disable=SC2034,SC2154 # helper and bats set them

kafka_begin() {
	cd "$BATS_TEST_TMPDIR" || return
	started=''
}

kafka_end() {
	[[ ! $started ]] || kill -KILL "$started" 2>/dev/null || :
	broker_stop
	exec 5>&-
}

broker_start() {
	coproc broker_process { exec "${BUILD:-$root/build}/kafka-broker" "${1-1}" 2>"$BATS_TEST_TMPDIR/broker.err" 3>&-; }
	# bash forgets its own names for them when it ends.
	broker_pid=$broker_process_PID broker_in=${broker_process[1]} broker_out=${broker_process[0]}
	IFS= read -r -t $((10 * ${PATIENCE:-5})) brokers <&"$broker_out" || {
		echo 'no broker:'
		cat "$BATS_TEST_TMPDIR/broker.err"
		return 1
	}
}

broker() {
	local IFS=$'\t'
	printf '%s\n' "$*" >&"$broker_in"
	answer='error: none came'
	IFS= read -r -t $((20 * ${PATIENCE:-5})) answer <&"$broker_out" || :
	[[ $answer != error:* ]] || {
		echo "broker $*: $answer"
		return 1
	}
}

broker_has() {
	broker end "$1" "$2" && [[ $answer == "$3" ]]
}

broker_stop() {
	[[ ${broker_pid-} ]] || return 0
	kill -KILL "$broker_pid" 2>/dev/null || :
	wait "$broker_pid" 2>/dev/null || :
	exec {broker_in}>&- {broker_out}<&-
	broker_pid=''
}
