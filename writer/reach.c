/* See reach.h. libpq reads its files anew at each connection, and so does the resolver. By a Unix socket nothing else
 * is needed; by TCP, the ports of the database and of name servers, and what the resolver, TLS and Kerberos read. No
 * system calls are filtered: libpq and the libraries below it make too many. */
#include "reach.h"

#include "sandbox.h"
#include "json.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_POSTGRES = 5432, PORT_NAMES = 53, PORT_KERBEROS = 88 };

/* A file that is renewed by another being put in its place: then its folder is wanted, unless that holds who knows
 * what. */
static void
renewable(struct sandbox *c, const char *path)
{
	const char *home = getenv("HOME");
	const char *const wide[] = {"/", "/etc", "/tmp", ".", home ? home : "/"};
	char *copy = mem_string(slice_of(path));
	const char *folder = dirname(copy);
	bool narrow = true;
	for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
		narrow = narrow && strcmp(folder, wide[i]) != 0;
	if (*path)
		sandbox_read(c, narrow ? folder : path);
	free(copy);
}

/* The nth of a comma-separated list. */
static bool
nth(const char *list, size_t n, struct slice *s)
{
	for (; n > 0; n--) {
		list = strchr(list, ',');
		if (!list++)
			return false;
	}
	*s = (struct slice){list, strcspn(list, ",")};
	return true;
}

/* The TCP ports of the connection. Returns whether there are any: no host, or a folder, means a Unix socket. */
static bool
ports(struct sandbox *c, const struct pg *db)
{
	struct buf host = {0}, address = {0}, port = {0};
	struct slice h = {0}, a = {0}, p = {0};
	bool tcp = false;
	pg_setting(db, "host", &host);
	pg_setting(db, "hostaddr", &address);
	pg_setting(db, "port", &port);
	for (size_t i = 0;; i++) {
		bool more = nth(buf_cstr(&host), i, &h);
		more = nth(buf_cstr(&address), i, &a) || more;
		if (!more)
			break;
		/* One port may stand for all hosts. */
		uint64_t number = 0;
		if (!nth(buf_cstr(&port), i, &p))
			nth(buf_cstr(&port), 0, &p);
		if (json_integer(p, UINT16_MAX, &number) != 0)
			number = PORT_POSTGRES;
		if (a.n == 0 && (h.n == 0 || *h.p == '/' || *h.p == '@'))
			continue;
		sandbox_connect(c, (uint16_t)number);
		tcp = true;
	}
	buf_free(&host);
	buf_free(&address);
	buf_free(&port);
	return tcp;
}

void
reach_confine(const struct pg *db)
{
	static const char *const own[] = {"passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir"};
	static const char *const names[] = {"/etc/nsswitch.conf", "/etc/passwd"};
	static const char *const network[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf",
	    "/etc/services", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/usr/share/ca-certificates",
	    "/usr/local/share/ca-certificates", "/etc/krb5.conf", "/etc/krb5.conf.d", "/etc/gss",
	    "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/etc/ld.so.cache", "/usr/lib", "/lib"};
	static const char *const services[] = {"PGSERVICEFILE", "PGSYSCONFDIR"};
	struct sandbox c;
	struct buf path = {0};
	const char *home = getenv("HOME");

	sandbox_begin(&c, SANDBOX_ABSTRACT);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		pg_setting(db, own[i], &path);
		renewable(&c, buf_cstr(&path));
	}
	for (size_t i = 0; i < sizeof services / sizeof *services; i++)
		if (getenv(services[i]))
			sandbox_read(&c, getenv(services[i]));
	sandbox_read(&c, "/etc/postgresql-common/pg_service.conf");
	for (size_t i = 0; home && i < 2; i++) {
		path.len = 0;
		buf_printf(&path, "%s/%s", home, i ? ".pg_service.conf" : ".postgresql");
		sandbox_read(&c, buf_cstr(&path));
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		sandbox_read(&c, names[i]);
	if (ports(&c, db)) {
		sandbox_connect(&c, PORT_NAMES);
		sandbox_connect(&c, PORT_KERBEROS);
		for (size_t i = 0; i < sizeof network / sizeof *network; i++)
			sandbox_read(&c, network[i]);
	}
	sandbox_end(&c);
	buf_free(&path);
}
