/* See filter.h. What is allowed stands in filter/rules.c. */
#include "filter.h"

#include "filter-rules.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int
filter_load(bool reads, bool writes)
{
	struct sock_filter rules[512];
	const struct sock_filter *made = writes ? filter_writes : reads ? filter_reads : filter_nothing;
	size_t size = writes ? sizeof filter_writes : reads ? sizeof filter_reads : sizeof filter_nothing;
	_Static_assert(sizeof filter_writes <= sizeof rules && sizeof filter_reads <= sizeof rules &&
			   sizeof filter_nothing <= sizeof rules,
	    "too long for a copy");
	struct sock_fprog program = {.len = (unsigned short)(size / sizeof *rules), .filter = rules};
	memcpy(rules, made, size);
	for (size_t i = 0; i < program.len; i++)
		if (rules[i].k == FILTER_SELF)
			rules[i].k = (uint32_t)getpid();
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &program) == 0 ? 0 : errno;
}
