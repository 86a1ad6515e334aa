/* Prints the filters of system calls as C, for common/filter.c; made and run while building, so that programs start
 * without libseccomp and the thousand allocations that it needs. Three answers:
 *   allowed    what the programs and the C library under them are seen to call in all modes, and what the library may
 *              fall back to;
 *   killed     what neither ever calls and only foreign code would, to get out: another program, a socket, another
 *              process, memory that can be executed. To go on with code like that inside helps nobody, and SIGSYS with
 *              a line in the kernel's log is seen;
 *   ENOSYS     all else, as of a kernel that has no such call: a newer C library tries newer calls, then falls back.
 * Opening a file is in between: without `reads` it fails as if for want of permission, so that it is reported. */
#include "../filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LIST_END = -1 }; /* no call, nor a number that libseccomp gives to calls that this processor lacks */

static const int base[] = {
    /* input and output */
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64),
    SCMP_SYS(lseek), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(fcntl),
    SCMP_SYS(poll), SCMP_SYS(ppoll),
    /* memory */
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(sysinfo),
    /* time */
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(restart_syscall),
    /* the process itself */
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(rseq), SCMP_SYS(set_robust_list), SCMP_SYS(getrandom),
    SCMP_SYS(exit), SCMP_SYS(exit_group), LIST_END};

static const int reading[] = {SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(stat),
    SCMP_SYS(lstat), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(getdents64),
    SCMP_SYS(fadvise64), SCMP_SYS(inotify_init1), SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch), LIST_END};

static const int writing[] = {SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(renameat), SCMP_SYS(renameat2),
    SCMP_SYS(rename), SCMP_SYS(flock), SCMP_SYS(splice), SCMP_SYS(sendfile), LIST_END};

static const int foreign[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(clone),
    SCMP_SYS(clone3), SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen),
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(pidfd_open), SCMP_SYS(memfd_create), SCMP_SYS(io_uring_setup),
    SCMP_SYS(bpf), SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open), SCMP_SYS(unshare), SCMP_SYS(setns),
    SCMP_SYS(mount), SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(keyctl), LIST_END};

static int
add_all(scmp_filter_ctx filter, uint32_t action, const int *calls)
{
	int result = 0;
	for (; *calls != LIST_END && result == 0; calls++)
		result = seccomp_rule_add(filter, action, *calls, 0);
	return result;
}

/* Calls that are allowed, or killed, by what they ask for. */
static int
add_by_argument(scmp_filter_ctx filter)
{
	const uint32_t allow = SCMP_ACT_ALLOW, kill = SCMP_ACT_KILL_PROCESS;
	const uint64_t self = FILTER_SELF;
	const struct {
		uint32_t action;
		int call;
		struct scmp_arg_cmp argument;
	} rules[] = {
	    {allow, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
	    {kill, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)},
	    {allow, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
	    {kill, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)},
	    {allow, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, FIONREAD, 0)},
	    {allow, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, TCGETS, 0)},
	    /* abort(3), by which the C library's own checks end a program. */
	    {allow, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, self, 0)},
	    {kill, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_NE, self, 0)},
	    /* Limits may be asked for, not set. */
	    {allow, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0, 0)},
	};
	int result = 0;
	for (size_t i = 0; i < sizeof rules / sizeof *rules && result == 0; i++)
		result = seccomp_rule_add_array(filter, rules[i].action, rules[i].call, 1, &rules[i].argument);
	return result;
}

static int
add_rules(scmp_filter_ctx filter, bool reads, bool writes)
{
	/* A tree, for where the kernel keeps no table of calls that are always allowed. */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int result = add_all(filter, SCMP_ACT_ALLOW, base);
	if (result == 0)
		result = add_by_argument(filter);
	if (result == 0)
		result = add_all(filter, SCMP_ACT_KILL_PROCESS, foreign);
	if (result == 0 && reads)
		result = add_all(filter, SCMP_ACT_ALLOW, reading);
	if (result == 0 && writes)
		return add_all(filter, SCMP_ACT_ALLOW, writing);
	if (result == 0 && reads)
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, 0));
	return result ? result : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
}

/* Prints one filter as an array of that name. `program` is its file meanwhile. */
static int
print(const char *name, bool reads, bool writes, FILE *program)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	struct sock_filter f;
	if (!filter || add_rules(filter, reads, writes) != 0 || ftruncate(fileno(program), 0) != 0)
		return -1;
	rewind(program);
	if (seccomp_export_bpf(filter, fileno(program)) != 0)
		return -1;
	seccomp_release(filter);
	rewind(program);
	printf("static const struct sock_filter %s[] = {\n", name);
	while (fread(&f, sizeof f, 1, program) == 1)
		printf("{%u, %u, %u, %uU},\n", f.code, f.jt, f.jf, f.k);
	printf("};\n");
	return ferror(program) ? -1 : 0;
}

int
main(void)
{
	FILE *program = tmpfile();
	if (program && print("filter_nothing", false, false, program) == 0 &&
	    print("filter_reads", true, false, program) == 0 && print("filter_writes", true, true, program) == 0 &&
	    fclose(program) == 0 && fflush(stdout) == 0)
		return EXIT_SUCCESS;
	fputs("could not make the filters of system calls\n", stderr);
	return EXIT_FAILURE;
}
