#!/usr/bin/env bats
# What the compiler and the linker were asked for, read back from the programs themselves: an option that was
# misspelt, or lost on the way, makes no noise.
# shellcheck disable=SC2154 # helper sets root and bin
load helper

setup() {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'the sanitizers are built without hardening'
	build=$(cd "$root" && realpath -m "${BUILD:-build}")
	programs=("$bin/reader" "$bin/writer" "$bin/timerd" "$bin/tracer" "$bin/statusd")
}

# elf OPTION PROGRAM: what readelf says, in $output.
elf() {
	ok readelf -W "$@"
	[[ $output ]]
}

@test "programs are position independent, bound at the start, and then read-only where they can be" {
	for program in "${programs[@]}"; do
		elf -h -l -d "$program"
		has 'DYN (Position-Independent Executable file)'
		has ' BIND_NOW'
		[[ $output =~ Flags:\ NOW\ PIE ]]
		has ' GNU_RELRO '
		hasnt TEXTREL
		hasnt RPATH
		hasnt RUNPATH
	done
}

@test "no memory of a program can be both written and executed" {
	for program in "${programs[@]}"; do
		elf -l "$program"
		[[ $output =~ GNU_STACK\ +[0-9a-fx\ ]+\ RW\ +0x ]]
		[[ ! $output =~ LOAD\ +[0-9a-fx\ ]+\ RWE ]]
	done
}

@test "stack protector and checked library calls are in use" {
	for program in "${programs[@]}"; do
		elf --dyn-syms "$program"
		has ' __stack_chk_fail@'
		has ' __vsnprintf_chk@'
		# Only level 3 checks copies whose room is known when they run.
		has ' __memcpy_chk@'
		# In a program of more than one file each function that has an array is to be protected, not one.
		(($(objdump -d "$program" | grep -c 'call.*<__stack_chk_fail@plt>') > 5))
	done
}

@test "branches and returns are checked where the processor can" {
	case $(uname -m) in
	x86_64) ;;
	*) skip 'read back for x86-64 only' ;;
	esac
	# The C library's own start-up code says no IBT, so that the program as a whole cannot: our objects do.
	for object in common/json reader/split common/wheel writer/pg; do
		elf -n "$build/$object.o"
		has 'IBT, SHSTK'
	done
	for program in "${programs[@]}"; do
		elf -n "$program"
		has SHSTK
	done
}

@test "the compiler was asked for all of the list that it has" {
	local asked
	asked=$(cat "$build"/harden-*)
	for option in -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fno-delete-null-pointer-checks \
		-fno-strict-overflow -fno-strict-aliasing -ftrivial-auto-var-init=zero -Werror=format-security; do
		[[ $asked == *"$option"* ]]
	done
}
