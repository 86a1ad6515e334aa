# Completion for fish: verbs and options as --help has them; sources and account ids where a database answers.
function __acctflow_options
    $argv[1] --help 2>/dev/null | grep -oE '(^|[ ,(])--[a-z][a-z-]*' | tr -d ' ,('
end
function __acctflow_verbs
    $argv[1] --help 2>/dev/null | sed -n '/^  [a-z]/{s/^  //;s/   .*//;p}' | tr , '\n' | awk '{ print $1 }'
end
for command in acctflow acctflow-reader acctflow-writer acctflow-timerd acctflow-deliver acctflow-tracer acctflow-statusd acctflow-kafka-reader
    complete -c $command -n 'string match -q -- "-*" (commandline -ct)' -a "(__acctflow_options $command)"
    complete -c $command -n __fish_use_subcommand -a "(__acctflow_verbs $command)"
    complete -c $command -l source -x -a '(acctflow complete sources 2>/dev/null)'
    complete -c $command -n '__fish_seen_subcommand_from accounts history retry replay forget' -a '(acctflow complete ids (commandline -ct) 2>/dev/null)'
end
