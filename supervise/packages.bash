# The Debian packages that acctflow is built and tested with.
# shellcheck shell=bash disable=SC2154,SC2086 # set by the other parts

# Those that are missing, a line each. pgbouncer and kcat serve some tests only, which are left out where they are not there.
packages_missing() {
	local want
	for want in cc:gcc make:make pkg-config:pkg-config bats:bats jq:jq psql:postgresql-client setpriv:util-linux \
		flock:util-linux setsid:util-linux fallocate:util-linux; do
		command -v "${want%%:*}" >/dev/null || printf '%s\n' "${want#*:}"
	done
	[[ -e /usr/include/stdlib.h ]] || printf 'libc6-dev\n'
	[[ -e /usr/share/javascript/dygraphs/dygraph.min.js ]] || printf 'libjs-dygraphs\n'
	# For the tests; moreutils has another program of that name.
	[[ $(parallel --version 2>/dev/null) == GNU* ]] || printf 'parallel\n'
	for want in libpq:libpq-dev libcjson:libcjson-dev yaml-0.1:libyaml-dev libmicrohttpd:libmicrohttpd-dev \
		libxxhash:libxxhash-dev rdkafka:librdkafka-dev libcurl:libcurl4-openssl-dev libcrypto:libssl-dev; do
		pkg-config --exists "${want%%:*}" 2>/dev/null || printf '%s\n' "${want#*:}"
	done
	[[ $(db_binaries) ]] || printf 'postgresql\n'
}

packages_wanted() {
	[[ -x /usr/sbin/pgbouncer ]] || command -v pgbouncer >/dev/null || printf 'pgbouncer\n'
	command -v kcat >/dev/null || printf 'kcat\n'
}

# Debian's own cluster is neither wanted nor made: its tools read a file of theirs that says so while we install. Nor is a
# service to be started.
packages_install() (
	no_cluster=/etc/postgresql-common/createcluster.d/acctflow.conf made=''
	[[ -d ${no_cluster%/*} ]] || made=${no_cluster%/*}
	mkdir -p "${no_cluster%/*}"
	trap 'rm -f "$no_cluster"; [[ ! $made ]] || rmdir --ignore-fail-on-non-empty "$made" 2>/dev/null || :' EXIT
	echo 'create_main_cluster = false' >"$no_cluster"
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update && apt-get -q install -y --no-install-recommends "$@"
)

verb_packages() {
	local missing command
	mapfile -t missing < <(packages_missing | sort -u)
	((${#missing[@]})) || return 0
	command="apt-get install -y --no-install-recommends ${missing[*]}"
	command -v apt-get >/dev/null || fail $PERMANENT "missing, and there is no apt-get to install it: ${missing[*]}"
	((EUID == 0)) || fail $PERMANENT "packages are missing; install them by: sudo $command"
	log info "installing packages: ${missing[*]}"
	packages_install "${missing[@]}" >&2 || fail $PERMANENT "could not install packages; try: $command"
	# shellcheck disable=SC2046 # a word each
	packages_install $(packages_wanted) >/dev/null 2>&1 || log info "going on without $(packages_wanted | paste -s -d ' '); some tests are left out"
	mapfile -t missing < <(packages_missing | sort -u)
	((${#missing[@]} == 0)) || fail $PERMANENT "still missing after the installation: ${missing[*]}"
}
