/* See sandbox.h. Landlock has no wrapper in the C library. The rights that newer kernels know, and the headers of
 * Debian 12 do not, are numbered here as linux/landlock.h has them since. */
#include "sandbox.h"

#include "buf.h"
#include "filter.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <string.h>
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
/* What a rule on something that is no folder may say. */
#define OF_A_FILE (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE)
enum { RULE_NET_PORT = 2 };
#define BIND_TCP BIT(0)
#define CONNECT_TCP BIT(1)
#define SCOPE_ABSTRACT BIT(0)
#define SCOPE_SIGNAL BIT(1)

struct ruleset {
	uint64_t files, net, scoped;
};

struct net_rule {
	uint64_t allowed, port;
};

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
sandbox_begin(struct sandbox *c, unsigned flags)
{
	/* The first version knows thirteen rights on files; since then came one with each of these. */
	static const struct {
		int version, rights;
	} later[] = {{2, 14}, {3, 15}, {5, 16}};
	int rights = 13;
	*c = (struct sandbox){.flags = flags, .ruleset = -1};
	if (never)
		return;
	long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1) {
		c->error = errno;
		return;
	}
	for (size_t i = 0; i < sizeof later / sizeof *later; i++)
		if (version >= later[i].version)
			rights = later[i].rights;
	c->known = BIT(rights) - 1;
	struct ruleset all = {.files = c->known};
	if (version >= 4)
		all.net = BIND_TCP | CONNECT_TCP;
	if (version >= 6)
		all.scoped = SCOPE_SIGNAL | (flags & SANDBOX_ABSTRACT ? 0 : SCOPE_ABSTRACT);
	/* An older kernel takes a longer struct whose rest is zero. */
	c->ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
	if (c->ruleset < 0)
		c->error = errno;
}

static void
allow(struct sandbox *c, const char *path, uint64_t rights)
{
	struct stat st;
	int fd = c->ruleset < 0 ? -1 : open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rights &= OF_A_FILE;
	struct landlock_path_beneath_attr rule = {.allowed_access = rights & c->known, .parent_fd = fd};
	/* Refused for pipes behind /proc, which need no rule. */
	if (syscall(SYS_landlock_add_rule, c->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0 && errno != EBADFD)
		log_debug("could not except \"%s\" from what is given up: %m", path);
	close(fd);
}

void
sandbox_read(struct sandbox *c, const char *path)
{
	c->reads = true;
	allow(c, path, READING);
}

void
sandbox_write(struct sandbox *c, const char *path)
{
	c->reads = c->writes = true;
	allow(c, path, WRITING);
}

void
sandbox_execute(struct sandbox *c, const char *path)
{
	c->reads = true;
	allow(c, path, READING | LANDLOCK_ACCESS_FS_EXECUTE);
}

static void
allow_port(struct sandbox *c, uint16_t port, uint64_t right)
{
	struct net_rule rule = {right, port};
	/* Before version 4 there is nothing to be excepted from. */
	if (c->ruleset >= 0 && syscall(SYS_landlock_add_rule, c->ruleset, RULE_NET_PORT, &rule, 0) != 0)
		log_debug("could not except port %u from what is given up: %m", port);
}

void
sandbox_connect(struct sandbox *c, uint16_t port)
{
	allow_port(c, port, CONNECT_TCP);
}

void
sandbox_listen(struct sandbox *c, uint16_t port)
{
	allow_port(c, port, BIND_TCP);
}

void
sandbox_end(struct sandbox *c)
{
	int filter_error = 0;
	if (never)
		return;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		log_warn("could not give up gaining privileges: %m");
	if (c->ruleset >= 0) {
		c->error = syscall(SYS_landlock_restrict_self, c->ruleset, 0) != 0 ? errno : 0;
		close(c->ruleset);
	}
	if (c->flags & SANDBOX_CALLS)
		filter_error = filter_load(c->reads, c->writes);
	if (c->error == ENOMEM)
		die(EXIT_TEMPORARY, "out of memory");
	if (!c->error && !filter_error)
		return;
	struct buf why = {0};
	if (c->error)
		buf_printf(&why, ": Landlock: %s", strerror(c->error));
	if (filter_error)
		buf_printf(&why, ": seccomp: %s", strerror(filter_error));
	log_warn("this kernel does not let all be given up that is not needed, going on without%s", buf_cstr(&why));
	buf_free(&why);
}
