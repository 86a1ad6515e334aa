# What the checks of the package and of the container share.
# shellcheck shell=bash

# soon COMMAND...: tries it for a minute, until it succeeds.
soon() {
	local i
	for ((i = 0; i < 600; i++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	"$@"
}

# bare ROOT [PACKAGE,...]: a bare Debian, from where apt has its packages here, that reaches the same network.
bare() {
	local mirror
	mirror=$(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' | head -n 1)
	debootstrap --variant=minbase ${2:+"--include=$2"} bookworm "$1" "$mirror" >"$1.log" 2>&1 || { tail "$1.log" && return 1; }
	cp -L /etc/resolv.conf /etc/hosts "$1/etc/"
}
