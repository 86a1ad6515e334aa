#!/usr/bin/env bats
# What is installed, and how it behaves there: where it keeps things, what shells complete, what systemd starts.
# shellcheck disable=SC2154,SC2164 # helper sets root and bin; a cd that fails ends the test
load helper

setup() {
	unset ACCTFLOW_BIN ACCTFLOW_CONFIG ACCTFLOW_HOME XDG_STATE_HOME XDG_CONFIG_HOME
	# User postgres, who runs the private Postgres for root, must be able to enter it.
	place=$(mktemp -d "/tmp/acctflow install.XXXXXX")
	chmod 755 "$place"
	into="$place/root" HOME=$place/home
	mkdir -p "$HOME/empty"
	export HOME
	cd "$HOME/empty"
}

teardown() {
	[[ ! ${started-} ]] || kill -9 "$started" 2>/dev/null || :
	[[ ! -x $into/usr/local/bin/acctflow ]] || "$into/usr/local/bin/acctflow" stop || :
	database_drop
	rm -rf -- "$place"
}

# installed: into a root of its own, from what is built.
installed() {
	ok make -s -C "$root" install "BIN=$bin" "BUILD=${BUILD:-build}" "DESTDIR=$into" "$@"
	PATH=$into/usr/local/bin:$PATH
}

@test "make install: one command, programs by its name, pages, maps and rules; uninstall leaves nothing" {
	local name
	installed
	for name in acctflow acctflow-{reader,writer,timerd,deliver,tracer,statusd,kafka-reader}; do
		ok "$name" --version
		[[ $output =~ acctflow.*\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
		[[ -s $into/usr/local/share/man/man1/$name.1 ]]
	done
	same "$(find "$into/usr/local/bin" -type l | wc -l)" 8
	# Links that hold wherever the root is.
	same "$(find "$into" -xtype l)" ''
	[[ -s $into/etc/acctflow/config.yaml && -s $into/usr/local/share/acctflow/maps/kafka.yaml ]]
	[[ -s $into/usr/local/lib/systemd/system/acctflow@.service ]]
	same "$(grep -rl '@[a-z]*dir@\|@SYSCONFDIR@' "$into")" ''
	ok make -s -C "$root" uninstall "DESTDIR=$into"
	same "$(find "$into" -mindepth 1)" ''
	# A configuration that was changed stays.
	installed
	echo 'log-level: debug' >>"$into/etc/acctflow/config.yaml"
	ok make -s -C "$root" uninstall "DESTDIR=$into"
	same "$(find "$into" -type f)" "$into/etc/acctflow/config.yaml"
}

@test "make install: GNU's directory variables" {
	installed PREFIX=/opt/a libexecdir=/opt/a/lib mandir=/man sysconfdir=/opt/etc
	ok "$into/opt/a/bin/acctflow-writer" --version
	ok "$into/opt/a/bin/acctflow" --help
	[[ -s $into/man/man1/acctflow.1 && -s $into/opt/etc/acctflow/config.yaml && -x $into/opt/a/lib/acctflow/writer ]]
}

@test "installed, it keeps its state in XDG's folder and reads no file of the current one" {
	installed
	echo 'log-level: nonsense' >config.yaml
	ok acctflow postgres
	ok acctflow run --listen none --clock virtual --format json "$root/data/scenario-2.json"
	has '"event":"fired"'
	ok acctflow status --format json
	ok acctflow-writer richest --format json
	ok acctflow verify "$root/data/scenario-2.json"
	has ' records accounted for'
	ok acctflow stop
	same "$(ls -A)" config.yaml
	[[ -s $HOME/.local/state/acctflow/log/acctflow.log ]]
	XDG_STATE_HOME=$place/state ok acctflow run --listen none --clock virtual "$root/data/scenario-2.json"
	[[ -s $place/state/acctflow/log/acctflow.log ]]
	XDG_STATE_HOME=$place/state ok acctflow stop
	# Its own configuration file is read.
	mkdir -p "$HOME/.config/acctflow"
	echo 'log-level: nonsense' >"$HOME/.config/acctflow/config.yaml"
	fails 100 acctflow status
	err_has "$HOME/.config/acctflow/config.yaml"
	fails 100 acctflow-reader </dev/null
	err_has "$HOME/.config/acctflow/config.yaml"
}

# offered COMMAND WORD...: what bash completes the last word to, a line each.
offered() {
	bash -c 'source "$1" && shift && COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) &&
		_acctflow "$1" "${@: -1}" "${@: -2:1}" && printf "%s\n" "${COMPREPLY[@]}"' _ "$root/deploy/completion/acctflow.bash" "$@" | sort -u
}

@test "bash completes the options that --help has, the verbs, sources and ids" {
	local name
	installed
	for name in acctflow acctflow-{reader,writer,timerd,deliver,tracer,statusd,kafka-reader}; do
		same "$(offered "$name" --)" "$("$name" --help | grep -oE '(^|[ ,(])--[a-z][a-z-]*' | tr -d ' ,(' | sort -u)"
	done
	same "$(offered acctflow h | paste -s -d ' ')" 'health history'
	same "$(offered acctflow-writer ri)" richest
	# Where no database runs nothing is started, and nothing offered.
	same "$(offered acctflow history '')" ''
	[[ ! -e $HOME/.local/state/acctflow/postgres ]]
	ok acctflow postgres
	ok acctflow run --listen none --clock virtual --source one "$root/data/scenario-2.json"
	same "$(offered acctflow status --source '')" one
	same "$(offered acctflow history ID)" "$(acctflow psql -XAtc 'SELECT id FROM acctflow.accounts ORDER BY id')"
	same "$(offered acctflow history nobody)" ''
}

@test "zsh and fish take their completions" {
	command -v zsh >/dev/null || command -v fish >/dev/null || skip 'neither is there'
	! command -v zsh >/dev/null || ok zsh -n "$root/deploy/completion/_acctflow"
	! command -v fish >/dev/null || ok fish --no-execute "$root/deploy/completion/acctflow.fish"
}

@test "the units are right, and give up what they can" {
	local unit
	command -v systemd-analyze >/dev/null || skip 'systemd is not there'
	installed
	mkdir units
	cp "$into"/usr/local/lib/systemd/system/*.service units/
	# Its programs are looked for.
	sed -i "s,/usr/local/bin/,/bin/true ,; s,^ExecStart=/bin/true [a-z-]*,ExecStart=/bin/true," units/*
	for unit in units/*; do
		ok systemd-analyze verify "$PWD/$unit"
		same "$output$stderr" ''
		ok systemd-analyze security --offline=yes --threshold=15 --no-pager "$PWD/$unit"
	done
}

# said N TEXT: whether systemd was sent it so often.
said() { (($(grep -c "$2" notes) >= $1)); }

@test "a run notifies systemd, and feeds its watchdog only while its programs go on" {
	local count writer
	command -v systemd-notify >/dev/null || skip 'systemd is not there'
	database
	: >notes
	perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die; open my $f, ">>", "notes"; $f->autoflush;
		while (defined $s->recv(my $text, 4096)) { print $f "$text\n" }' "$place/notify" 3>&- &
	started=$!
	retry 50 test -S "$place/notify"
	: >in
	NOTIFY_SOCKET=$place/notify WATCHDOG_USEC=600000 ACCTFLOW_CONFIG=/dev/null ACCTFLOW_BIN=$bin ACCTFLOW_HOME=$place/var ACCTFLOW_LISTEN=none \
		"$root/acctflow" run --follow --source s in >out 2>err 3>&- &
	run=$!
	retry 100 said 1 READY=1
	retry 100 said 3 WATCHDOG=1
	# A program that is stopped is one that stands still.
	retry 100 grep -q writer "$place/var/run/pipelines/0/pids"
	writer=$(sed -n 's/^writer //p' "$place/var/run/pipelines/0/pids")
	kill -STOP "$writer"
	dead() { ! "$bin/statusd" --home "$place/var" --alive; }
	retry 200 dead
	# One may be on its way.
	silent() { count=$(grep -c WATCHDOG=1 notes) && sleep 1.5 && [[ $(grep -c WATCHDOG=1 notes) == "$count" ]]; }
	retry 4 silent
	kill -CONT "$writer"
	retry 100 said $((count + 2)) WATCHDOG=1
	kill -TERM "$run"
	wait "$run"
}
