# Completion for bash: verbs and options as --help has them; sources and account ids where a database answers.
# shellcheck shell=bash
_acctflow() {
	local command=$1 word=$2 before=$3 help words='' verb='' i
	help=$("$command" --help 2>/dev/null)
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == -* ]] || { verb=${COMP_WORDS[i]} && break; }
	done
	if [[ $before == --source || $before == -S ]]; then
		words=$(acctflow complete sources 2>/dev/null)
	elif [[ $word == -* ]]; then
		words=$(grep -oE '(^|[ ,(])--[a-z][a-z-]*' <<<"$help" | tr -d ' ,(')
	elif [[ $before != -* && ! $verb ]]; then
		words=$(sed -n '/^  [a-z]/{s/^  //;s/   .*//;p}' <<<"$help" | tr , '\n' | awk '{ print $1 }')
	elif [[ $verb == accounts || $verb == history || $verb == retry || $verb == replay || $verb == forget ]]; then
		words=$(acctflow complete ids "$word" 2>/dev/null)
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _acctflow acctflow acctflow-{reader,writer,timerd,deliver,tracer,statusd,kafka-reader}
