/* See paths.h. The supervisor says the same (settings.bash). */
#include "paths.h"

#include "buf.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

/* Whether the programs are installed: then the supervisor stands beside them. */
static bool
installed(void)
{
	char path[PATH_MAX + sizeof "acctflow"];
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
	if (n <= 0)
		return false;
	path[n] = '\0';
	memcpy(strrchr(path, '/') + 1, "acctflow", sizeof "acctflow");
	return access(path, F_OK) == 0;
}

/* A file or folder below the one that the variable names, or below HOME where it is not set. NULL where neither is. */
static const char *
xdg_path(const char *variable, const char *below_home, const char *name)
{
	const char *base = getenv(variable), *home = getenv("HOME");
	struct buf path = {0};
	if (base && base[0] == '/')
		buf_printf(&path, "%s/%s", base, name);
	else if (home && home[0] == '/')
		buf_printf(&path, "%s/%s/%s", home, below_home, name);
	return path.len ? buf_cstr(&path) : NULL;
}

const char *
paths_home(void)
{
	const char *path = installed() ? xdg_path("XDG_STATE_HOME", ".local/state", "acctflow") : "var";
	return path ? path : "/var/lib/acctflow";
}

const char *
paths_config(void)
{
	if (!installed())
		return "config.yaml";
	const char *path = xdg_path("XDG_CONFIG_HOME", ".config", "acctflow/config.yaml");
	return path && access(path, F_OK) == 0 ? path : SYSCONFDIR "/acctflow/config.yaml";
}
