#!/usr/bin/env bats
# What the packages are, and make's targets that set all up.

load helper

@test "the sandbox needs no library any more, fingerprints do; pgbouncer is not missed" {
	source "$supervisor"
	pkg-config() { return 1; }
	output=$(packages_missing)
	has libxxhash-dev
	hasnt seccomp
	hasnt pgbouncer
}

@test "make run, postgres and demo in a path with a space" {
	mkdir "$BATS_TEST_TMPDIR/a b"
	cd "$BATS_TEST_TMPDIR/a b"
	cp "$root/Makefile" .
	printf '#!/bin/sh\necho "$ACCTFLOW_BIN: $*"\n' >acctflow
	chmod +x acctflow
	unset BIN BUILD MAKEFLAGS MFLAGS
	for target in run postgres demo; do
		ok make -s $target MAKE=true
		has "$BATS_TEST_TMPDIR/a b/bin: "
	done
	ok make -s run MAKE=true BIN=/else/where
	has '/else/where: run data/challenge-input.json'
}
