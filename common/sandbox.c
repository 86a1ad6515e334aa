/* See sandbox.h. Neither Landlock nor seccomp has a wrapper in the C library. Rights that are newer than the headers of
 * Debian 12 are numbered as in later versions of linux/landlock.h. */
#include "sandbox.h"

#include "buf.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer) ||          \
    __has_feature(undefined_behavior_sanitizer)
#define ACCTFLOW_UNSANDBOXED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ACCTFLOW_UNSANDBOXED
#endif

#define BIT(n) (UINT64_C(1) << (n))
#define TRUNCATE BIT(14)
#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING                                                                                                        \
	(READING | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE |      \
	    TRUNCATE)
/* The rights that a rule on a file, not a folder, may name. */
#define ON_A_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE)

#ifdef ACCTFLOW_UNSANDBOXED
static bool never = true;
#else
static bool never;
#endif

void
sandbox_never(void)
{
	never = true;
}

void
sandbox_privileges(void)
{
	if (!never && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		log_warn("could not give up gaining privileges: %m");
}

void
sandbox_begin(struct sandbox *s, unsigned flags)
{
	struct {
		uint64_t files, net, scoped;
	} all = {0};
	*s = (struct sandbox){.flags = flags, .ruleset = -1};
	if (never)
		return;
	long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
	/* The first version knows thirteen rights on files; the second, third and fifth added one each. */
	all.files = s->known = BIT(13 + (version >= 2) + (version >= 3) + (version >= 5)) - 1;
	all.net = version >= 4 ? BIT(0) | BIT(1) : 0;	 /* binding and connecting TCP sockets */
	all.scoped = version >= 6 ? BIT(0) | BIT(1) : 0; /* abstract Unix sockets and signals */
	/* An older kernel takes a longer struct whose rest is zero. */
	s->ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
	if (s->ruleset < 0)
		s->error = errno;
}

static void
sandbox_allow(struct sandbox *s, const char *path, uint64_t rights)
{
	struct stat st;
	int fd = s->ruleset < 0 ? -1 : open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rights &= ON_A_FILE;
	struct landlock_path_beneath_attr rule = {.allowed_access = rights & s->known, .parent_fd = fd};
	/* Refused for pipes behind /proc, which need no rule. */
	if (syscall(SYS_landlock_add_rule, s->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0 && errno != EBADFD)
		log_debug("could not allow \"%s\" in the sandbox: %m", path);
	close(fd);
}

void
sandbox_read(struct sandbox *s, const char *path)
{
	s->reads = true;
	sandbox_allow(s, path, READING);
}

void
sandbox_write(struct sandbox *s, const char *path)
{
	s->reads = s->writes = true;
	sandbox_allow(s, path, WRITING);
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE
/* The table of system calls, in the order of looking. Calls that are not in it fail with ENOSYS, as on an older kernel,
 * so that a newer C library finds its way back to what it knows. */
struct call {
	int number;
	enum { ALWAYS, IF_READS, IF_WRITES } when;
	uint32_t action, argument; /* 0: any; N: only if the low word of argument N - 1, masked, has the value */
	uint32_t mask, value;	   /* mask 0: has our process id */
};
/* clang-format off */
#define ALLOW(name) {SYS_##name, ALWAYS, SECCOMP_RET_ALLOW, 0, 0, 0}
#define ONLY(name, argument, mask, value) {SYS_##name, ALWAYS, SECCOMP_RET_ALLOW, argument, mask, value}
#define READS(name) {SYS_##name, IF_READS, SECCOMP_RET_ALLOW, 0, 0, 0}
#define WRITES(name) {SYS_##name, IF_WRITES, SECCOMP_RET_ALLOW, 0, 0, 0}
/* Neither program nor C library calls these: code from outside runs here, and there is no right way to go on. */
#define KILL(name) {SYS_##name, ALWAYS, SECCOMP_RET_KILL_PROCESS, 0, 0, 0}

static const struct call calls[] = {
	/* input and output */
	ALLOW(read), ALLOW(write), ALLOW(ppoll), ALLOW(readv), ALLOW(writev), ALLOW(pread64), ALLOW(pwrite64), ALLOW(lseek),
	ALLOW(close), ALLOW(fstat), ALLOW(newfstatat), ALLOW(statx), ALLOW(fcntl), ALLOW(splice), ALLOW(fallocate),
	ALLOW(ftruncate), ALLOW(fsync), ALLOW(fdatasync), ONLY(ioctl, 2, UINT32_MAX, FIONREAD), ONLY(ioctl, 2, UINT32_MAX, TCGETS),
	/* memory, which stays without executable pages */
	ALLOW(brk), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise), ALLOW(sysinfo), ONLY(mmap, 3, PROT_EXEC, 0), KILL(mmap),
	ONLY(mprotect, 3, PROT_EXEC, 0), KILL(mprotect),
	/* time */
	ALLOW(clock_gettime), ALLOW(clock_getres), ALLOW(clock_nanosleep), ALLOW(nanosleep), ALLOW(gettimeofday),
	ALLOW(restart_syscall), ALLOW(timerfd_settime),
	/* the process itself; tgkill only for abort(3), and limits only to be asked for */
	ALLOW(rt_sigaction), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(getpid), ALLOW(gettid), ALLOW(futex),
	ALLOW(sched_yield), ALLOW(rseq), ALLOW(set_robust_list), ALLOW(getrandom), ALLOW(exit), ALLOW(exit_group),
	ONLY(tgkill, 1, 0, 0), KILL(tgkill), ONLY(prlimit64, 3, UINT32_MAX, 0),
	/* files */
	READS(faccessat), READS(faccessat2), READS(readlinkat), READS(getcwd), READS(getdents64), READS(fadvise64),
	READS(fstatfs), READS(inotify_init1), READS(inotify_add_watch), READS(inotify_rm_watch), WRITES(openat),
	{SYS_openat, IF_READS, SECCOMP_RET_ALLOW, 3, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
	{SYS_openat, ALWAYS, SECCOMP_RET_ERRNO | EACCES, 0, 0, 0}, WRITES(renameat), WRITES(renameat2), WRITES(unlinkat),
	WRITES(mkdirat), WRITES(flock), WRITES(sendfile), WRITES(copy_file_range),
#ifdef SYS_open /* x86_64 has the older calls too */
	ALLOW(poll), ALLOW(time), READS(access), READS(stat), READS(lstat), READS(readlink), WRITES(open), WRITES(rename),
	WRITES(unlink), WRITES(mkdir), KILL(fork), KILL(vfork),
#endif
	KILL(execve), KILL(execveat), KILL(clone), KILL(clone3), KILL(socket), KILL(socketpair), KILL(connect), KILL(bind),
	KILL(listen), KILL(accept), KILL(accept4), KILL(ptrace), KILL(process_vm_readv), KILL(process_vm_writev), KILL(kill),
	KILL(tkill), KILL(pidfd_open), KILL(memfd_create), KILL(io_uring_setup), KILL(bpf), KILL(userfaultfd),
	KILL(perf_event_open), KILL(unshare), KILL(setns), KILL(mount), KILL(init_module), KILL(finit_module), KILL(keyctl),
};
/* clang-format on */

#define LOAD(member) (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(member))
#define MASK(bits) (struct sock_filter) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits)
#define UNLESS(is, skip) (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(is), 0, skip)
#define RETURN(what) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, what)

/* Returns 0 or an errno. */
static int
sandbox_filter(bool reads, bool writes)
{
	struct sock_filter code[6 * sizeof calls / sizeof *calls + 5];
	unsigned short n = 0;
	code[n++] = LOAD(offsetof(struct seccomp_data, arch));
	code[n++] = UNLESS(ARCHITECTURE, 1);
	code[n++] = LOAD(offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		const struct call *c = &calls[i];
		if ((c->when == IF_READS && !reads) || (c->when == IF_WRITES && !writes))
			continue;
		code[n++] = UNLESS(c->number, c->argument ? 5 : 1);
		if (c->argument) {
			code[n++] = LOAD(offsetof(struct seccomp_data, args) + 8 * (size_t)(c->argument - 1));
			code[n++] = MASK(c->mask ? c->mask : UINT32_MAX);
			code[n++] = UNLESS(c->mask ? c->value : (uint32_t)getpid(), 1);
		}
		code[n++] = RETURN(c->action);
		if (c->argument)
			code[n++] = LOAD(offsetof(struct seccomp_data, nr));
	}
	code[n++] = RETURN(SECCOMP_RET_ERRNO | ENOSYS);
	struct sock_fprog program = {.len = n, .filter = code};
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &program) == 0 ? 0 : errno;
}
#else
static int
sandbox_filter(bool reads, bool writes)
{
	return (void)reads, (void)writes, ENOTSUP;
}
#endif

void
sandbox_end(struct sandbox *s)
{
	if (never)
		return;
	sandbox_privileges();
	if (s->ruleset >= 0) {
		s->error = syscall(SYS_landlock_restrict_self, s->ruleset, 0) != 0 ? errno : 0;
		close(s->ruleset);
	}
	int filter = s->flags & SANDBOX_CALLS ? sandbox_filter(s->reads, s->writes) : 0;
	if (s->error == ENOMEM || filter == ENOMEM)
		die(EXIT_TEMPORARY, "out of memory");
	if (s->error || filter)
		log_warn("this kernel cannot sandbox the program fully, going on without%s%s%s%s",
		    s->error ? ": Landlock: " : "", s->error ? strerrordesc_np(s->error) : "",
		    filter ? ": seccomp: " : "", filter ? strerrordesc_np(filter) : "");
}
