/* writer: updates in, events out, each told only after its commit. The verbs beside
 * that look at what is stored, or keep the source's books. */
#include "loop.h"
#include "writer.h"

#include "time.h"
#include "log.h"
#include "schema.h"
#include "sandbox.h"
#include "source.h"
#include "sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct writer_options options = {.batch = 60000, .lanes = 2, .deadline = 60, .home = "var"};

static int
epoch_set(const char *text, void *value)
{
	return time_parse(slice_of(text), value);
}

static const struct option_spec specs[] = {
    {.name = "db",
	.letter = 'd',
	.type = OPTION_TEXT,
	.value = &options.database,
	.argument = "CONNINFO",
	.help = "connection string or URI; default: the PG* variables, else the configuration file's `database`, else "
		"the private Postgres of ACCTFLOW_HOME"},
    {.name = "database", .type = OPTION_TEXT, .value = &options.config_database, .key = "database"},
    {.name = "password-file",
	.type = OPTION_TEXT,
	.value = &options.password_file,
	.argument = "FILE",
	.key = "password_file",
	.help = "passwords, in the form of ~/.pgpass"},
    {.name = "home",
	.type = OPTION_TEXT,
	.value = &options.home,
	.argument = "DIR",
	.key = "home",
	.help = "where the supervisor keeps its state (default: var)"},
    {.name = "source",
	.letter = 's',
	.type = OPTION_TEXT,
	.value = &options.source,
	.argument = "NAME",
	.help = "claim, pending, status, sources, rejected, ack --resume: this source only"},
    {.name = "type",
	.letter = 't',
	.type = OPTION_TEXT,
	.value = &options.type,
	.argument = "TYPE",
	.help = "richest: this account type only"},
    {.name = "format",
	.letter = 'f',
	.type = OPTION_CHOICE,
	.value = &options.format,
	.argument = "auto|json|text",
	.key = "format",
	.help = "NDJSON, or lines for people (default: by whether output is a terminal)"},
    {.name = "batch",
	.letter = 'b',
	.type = OPTION_COUNT,
	.value = &options.batch,
	.argument = "N",
	.min = 1,
	.max = 100000,
	.help = "most records in a batch (default: 60000)"},
    {.name = "lanes",
	.type = OPTION_COUNT,
	.value = &options.lanes,
	.argument = "N",
	.min = 1,
	.max = MOST_LANES,
	.help = "connections that share a large batch (default: 2)"},
    {.name = "deadline",
	.type = OPTION_COUNT,
	.value = &options.deadline,
	.argument = "SECONDS",
	.max = 31536000,
	.help = "how long an unreachable database is tried again (default: 60)"},
    {.name = "clock",
	.type = OPTION_CHOICE,
	.value = &options.clock,
	.argument = "real|virtual",
	.key = "clock",
	.help = "virtual: ingest at the arrival times that reader stamped (default: real)"},
    {.name = "epoch",
	.type = OPTION_CUSTOM,
	.value = &options.epoch,
	.set = epoch_set,
	.argument = "TIME",
	.key = "epoch",
	.help = "where the virtual clock starts (default: 2000-01-01T00:00:00Z)"},
    {.name = "resume",
	.type = OPTION_FLAG,
	.value = &options.resume,
	.help = "go on where the source was left; an input without `end` is a crash (exit 111)"},
    {.name = "token",
	.type = OPTION_COUNT,
	.value = &options.token,
	.argument = "N",
	.max = INT64_MAX,
	.given = &options.token_given,
	.help = "the claim, as the verb claim printed it"},
    {.name = "interval",
	.type = OPTION_COUNT,
	.value = &options.interval,
	.argument = "SECONDS",
	.min = 1,
	.max = 3600,
	.help = "status: again and again, as name=value lines, for statusd"},
    {.name = "strict", .type = OPTION_FLAG, .value = &options.strict, .help = "exit 1 if anything was rejected"},
    {0},
};

static const struct program program = {
    .name = "writer",
    .usage = "[options] [VERB]",
    .purpose = "Indexes updates from standard input into Postgres, and tells each one's outcome once it is committed.",
    .more = "verbs:\n"
	    "  run           updates in, events out (default)\n"
	    "  ack           events in, events out; records what fired and how far events were delivered\n"
	    "  migrate       make the schema, or bring it up to date\n"
	    "  roles         print the SQL that makes roles which own, write and read it: writer roles | psql\n"
	    "  status        one line a source: counts, offsets, what is pending\n"
	    "  sources       the same, but for what is pending, at no cost\n"
	    "  richest       of each account type the account with the most tokens\n"
	    "  history ID    all versions of an account\n"
	    "  rejected      what was rejected, and why\n"
	    "  pending       the callbacks that have not fired\n"
	    "  claim         take a source over from whoever holds it, and print where it stands\n",
};

/* Finds the connection string: option or environment; else PG*; else configuration file; else the private Postgres that
 * runs; else libpq's own. */
static const char *
conninfo_find(const struct writer_options *o)
{
	static const char *const variables[] = {"PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE", "PGUSER"};
	if (o->database)
		return o->database;
	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		if (getenv(variables[i]))
			return "";
	if (o->config_database && *o->config_database)
		return o->config_database;
	char path[4096];
	static char line[4096];
	snprintf(path, sizeof path, "%s/run/db", o->home);
	FILE *f = fopen(path, "re");
	if (!f)
		return "";
	bool read = fgets(line, sizeof line, f) != NULL;
	fclose(f);
	line[read ? strcspn(line, "\n") : 0] = '\0';
	return line;
}

void
writer_configure(const struct writer_options *o, uint64_t deadline)
{
	pg_configure(conninfo_find(o), o->password_file, deadline);
}

struct pg *
writer_connect(const struct writer_options *o, const char *application)
{
	static struct pg *db; /* found by a leak checker where we end here */
	writer_configure(o, o->deadline);
	db = pg_new(application);
	enum pg_status status = pg_connect(db);
	if (status != PG_OK && loop_stopping())
		exit(EXIT_OK);
	if (status == PG_FATAL)
		die(EXIT_PERMANENT, "could not connect to the database: %s", pg_error(db));
	if (status != PG_OK)
		die(EXIT_TEMPORARY,
		    "could not connect to the database within %llu s: %s; is it running, and is --db or PGHOST right?",
		    (unsigned long long)o->deadline, pg_error(db));
	sandbox_privileges();
	migrate(db);
	return db;
}

static int
migrate_main(const struct writer_options *o)
{
	struct pg *db = writer_connect(o, "acctflow migrate");
	log_info("the schema is at version %d", migrate_version());
	pg_free(db);
	return EXIT_OK;
}

/* For an administrator, who reads it first: nothing is connected to. */
static int
roles_main(const struct writer_options *o)
{
	(void)o;
	if (printf("\\set ON_ERROR_STOP on\nBEGIN;\nSELECT " PG_PATH " \\g /dev/null\n\n%s\nCOMMIT;\n", sql_roles) <
		0 ||
	    fflush(stdout) != 0)
		die(EXIT_TEMPORARY, "could not write standard output: %m");
	return EXIT_OK;
}

static int
status_main(const struct writer_options *o)
{
	return o->interval ? watch_main(o) : show_main(o, sql_status, o->source);
}

static int
sources_main(const struct writer_options *o)
{
	return show_main(o, sql_sources, o->source);
}

static int
richest_main(const struct writer_options *o)
{
	return show_main(o, sql_richest, o->type);
}

static int
history_main(const struct writer_options *o)
{
	return show_main(o, sql_history, o->operand);
}

static int
rejected_main(const struct writer_options *o)
{
	return show_main(o, sql_rejected, o->source);
}

static const struct {
	const char *name;
	int (*main)(const struct writer_options *);
	bool operand;
} verbs[] = {
    {"run", run_main, false},
    {"ack", ack_main, false},
    {"migrate", migrate_main, false},
    {"roles", roles_main, false},
    {"status", status_main, false},
    {"sources", sources_main, false},
    {"richest", richest_main, false},
    {"history", history_main, true},
    {"rejected", rejected_main, false},
    {"pending", pending_main, false},
    {"claim", claim_main, false},
};

int
main(int argc, char **argv)
{
	time_parse(SLICE("2000-01-01T00:00:00Z"), &options.epoch);
	loop_init();
	int at = options_read(&program, specs, argc, argv);
	const char *verb = at < argc ? argv[at++] : "run";
	size_t i = 0, n = sizeof verbs / sizeof *verbs;
	while (i < n && strcmp(verbs[i].name, verb) != 0)
		i++;
	if (i == n)
		die(EXIT_PERMANENT, "unknown verb \"%s\"; see writer --help", verb);
	if (verbs[i].operand && at == argc)
		die(EXIT_PERMANENT, "%s wants an account id: writer %s ID", verb, verb);
	if (verbs[i].operand)
		options.operand = argv[at++];
	if (at < argc)
		die(EXIT_PERMANENT, "unexpected operand \"%s\"; writer reads standard input; see writer --help",
		    argv[at]);
	return verbs[i].main(&options);
}
