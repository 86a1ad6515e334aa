# Topics of Kafka: each partition is an input of its own, with kafka-reader at the head of its pipeline. Partitions that
# come later are seen, and begun.
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

readonly LIST_MS=${ACCTFLOW_LIST_MS:-30000} # between two looks at a topic's partitions; tests shorten it

# By the topic's number:
topic=()  # its address, kafka://BROKERS/TOPIC
listed=() # whether its partitions have been asked for with success
seen=()   # how many of them have a pipeline

kafka_cluster='' # its name in those of sources; cluster is the private Postgres's folder
topic_missing='' # whether one does not exist
ends_before=()   # by input: with --until-end, the offset where its partition ended at the start

topic_add() {
	[[ $1 =~ ^kafka://[^/@]+/[A-Za-z0-9._-]+$ ]] || misused "input \"$1\": kafka://HOST:PORT,…/TOPIC is wanted; a password belongs into a --properties file"
	! one_of "$1" "${topic[@]}" || misused "input \"$1\" was given twice"
	((shards == 1)) || misused '--shards is not for Kafka: each partition is a pipeline of its own'
	[[ ! ${opt[follow]-} ]] || misused '--follow is for files: a partition is read on without it'
	[[ ! ${opt[source]-}${ACCTFLOW_SOURCE-} ]] || misused '--source is not for Kafka: a partition is the source kafka:CLUSTER/TOPIC/PARTITION; see --cluster'
	[[ $kafka_cluster =~ ^[A-Za-z0-9._-]+$ ]] || misused "--cluster: expected letters, digits, dots, dashes and underscores, not \"$kafka_cluster\""
	topic+=("$1") listed+=('') seen+=(0)
}

# Whether each has answered, or does not exist.
topics_known() { ! one_of '' "${listed[@]}"; }

# topic_list TOPIC: asks for its partitions. The answer waits until there is a broker; that there is none the pipelines say.
topic_list() { child_list "t$1.list" "$kafka_reader" ${listed[$1]:+--log-level error} --list "${topic[$1]}"; }

# topic_partition TOPIC "PARTITION FIRST END": a new one gets a pipeline.
topic_partition() {
	local t=$1 partition end name=${topic[$1]##*/}
	read -r partition _ end <<<"$2"
	((partition >= seen[t])) && [[ ! $stopping ]] || return 0
	[[ ! ${listed[t]} ]] || log info "topic \"$name\" has a new partition, $partition"
	seen[t]=$((partition + 1))
	input_add kafka "${topic[t]}/$partition" "kafka:$kafka_cluster/$name/$partition" 0/1
	ends_before[${#source[@]} - 1]=${opt["until-end"]+$end}
	pipeline_enter "${pipelines[-1]}"
}

# topic_listed TOPIC STATUS
topic_listed() {
	local t=$1 delay
	if (($2 == 0 || $2 == PERMANENT)) && [[ ! ${listed[t]} ]]; then
		listed[t]=true
		(($2 == 0)) || { topic_missing=true && return; }
	fi
	[[ ! $stopping && ! (${listed[t]} && ${opt["until-end"]-}) ]] || return 0
	if (($2 == 0)); then due_in "t$t.list" $LIST_MS; else restart_later "t$t.list"; fi
}

# partition_read PIPELINE: becomes its kafka-reader, which goes on where events were acknowledged last.
partition_read() {
	local k=$1 i=${owner[$1]} args=()
	[[ ! ${claim[$k.delivered]-} ]] || args+=(--from $((claim[$k.delivered] + 1)))
	[[ ! ${claim[$k.check]-} ]] || args+=(--check "${claim[$k.check]}")
	[[ ! ${ends_before[i]} ]] || args+=(--until "${ends_before[i]}")
	[[ ! ${opt["accept-gap"]-} ]] || args+=(--accept-gap)
	child "$k.kafka-reader" "$kafka_reader" "${args[@]}" "${path[i]}" </dev/null
}
