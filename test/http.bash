# Asking statusd, on top of helper.bash.
# shellcheck shell=bash disable=SC2034 # for the tests

# The port of the one that last said where it listens. Fails where none did.
port_read() {
	[[ -s $ACCTFLOW_HOME/run/statusd.url ]] || return 1
	port=$(sed 's/.*:\([0-9]*\).*/\1/' "$ACCTFLOW_HOME/run/statusd.url")
}

# get PATH [METHOD]: settles status, head and page.
get() {
	local web answer
	status='' head='' page=''
	{ exec {web}<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || return 0
	# It may be refused before all of it is sent, which ends whoever sends it.
	(printf '%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n' "${2:-GET}" "$1" >&"$web") 2>/dev/null || :
	answer=$(timeout 20 cat <&"$web" | tr -d '\r')
	exec {web}>&-
	read -r _ status _ <<<"$answer"
	head=${answer%%$'\n\n'*} page=''
	[[ $answer != *$'\n\n'* ]] || page=${answer#*$'\n\n'}
}
