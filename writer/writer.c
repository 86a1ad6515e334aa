/* writer: updates in, events out, each emitted only after its commit. The verbs beside
 * that look at what is stored, or keep the source's books. */
#include "writer.h"

#include "ack.h"
#include "claim.h"
#include "lease.h"
#include "log.h"
#include "paths.h"
#include "pg_connect.h"
#include "playback.h"
#include "prune.h"
#include "query.h"
#include "redrive.h"
#include "report.h"
#include "run.h"
#include "sandbox.h"
#include "schema.h"
#include "source.h"
#include "sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct writer_options options = {
    .shard = {0, 1}, .batch = 60000, .deadline = 60, .top = 1, .kind = -1, .epoch = OPTION_EPOCH_DEFAULT};

const char *const callback_states[] = {NULL, "pending", "fired", "cancelled", "failed"};

static int
migrate_main(const struct writer_options *o)
{
	if (o->shard_count && !o->distributed)
		die(EXIT_PERMANENT, "--shard-count is for --distributed");
	struct pg *pg = writer_open(o, "acctflow migrate", true);
	log_info("the schema is at version %d", schema_check(pg));
	pg_free(pg);
	return EXIT_OK;
}

/* For an administrator, who reads it first. It connects to nothing. */
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

/* The verbs, in the order of `verbs` and `mains`; a bit each for the options that they take. */
/* clang-format off */
enum { RUN, ACK, MIGRATE, ROLES, STATUS, SOURCES, RICHEST, ACCOUNTS, HISTORY, DIFF, CALLBACKS, REJECTED, REDRIVE, RETRY, REPLAY,
       PRUNE, FORGET, REPORT, PENDING, CLAIM, LEASE, FLEET };
/* clang-format on */
#define BIT(verb) (1u << (verb))
#define PIPELINE_BITS (BIT(RUN) | BIT(ACK) | BIT(PENDING) | BIT(CLAIM))
#define REJECT_BITS (BIT(REJECTED) | BIT(REDRIVE))
#define PAST_BITS (BIT(RICHEST) | BIT(ACCOUNTS) | BIT(DIFF))
#define SOURCE_BITS                                                                                                    \
	(PIPELINE_BITS | PAST_BITS | BIT(STATUS) | BIT(SOURCES) | BIT(CALLBACKS) | REJECT_BITS | BIT(FLEET) |          \
	    BIT(REPLAY) | BIT(REPORT))

static const struct option_verb verbs[] = {
    [RUN] = {"run", NULL, "updates in, events out (default)"},
    [ACK] = {"ack", NULL, "events in, events out; records which callbacks fired and how far events were passed on"},
    [MIGRATE] = {"migrate", NULL, "make the schema, or bring it up to date"},
    [ROLES] = {"roles", NULL, "print SQL for roles that own, write and read the schema: writer roles | psql"},
    [STATUS] = {"status", NULL, "counts, offsets and callbacks of each source and shard"},
    [SOURCES] = {"sources", NULL, "the same for each source without its callbacks: fast, however large the history"},
    [RICHEST] = {"richest", NULL, "the account with the most tokens of each account type"},
    [ACCOUNTS] = {"accounts", "[ID]", "the state of all accounts, or of one"},
    [HISTORY] = {"history", "ID", "all versions of an account, what each changed, and what became of its callback"},
    [DIFF] = {"diff", "T1 T2", "the accounts whose state at one moment is another than at the other"},
    [CALLBACKS] = {"callbacks", NULL, "callbacks, when they are due, and what became of them"},
    [REJECTED] = {"rejected", "[OFFSET...]", "rejected records, why, and what became of them"},
    [REDRIVE] = {"redrive", "[OFFSET...]", "rejects as lines, to be read again; see acctflow redrive"},
    [RETRY] = {"retry", "[ID...]", "make failed callbacks pending again: of these accounts, or all"},
    [REPLAY] = {"replay", "[ID...]", "the history once more, of these accounts or all, as indexed events or updates"},
    [PRUNE] = {"prune", NULL, "remove what no state from a moment on needs: old versions and their callbacks"},
    [FORGET] = {"forget", "ID", "remove all that is known of an account but that it had this version"},
    [REPORT] = {"report", NULL, "a run as one HTML file, on standard output"},
    [PENDING] = {"pending", NULL, "callbacks that are pending, as events"},
    [CLAIM] = {"claim", NULL, "take a source's shard over from whoever holds it, and print where it stands"},
    [LEASE] = {"lease", NULL, "keep a machine's leases, and share out the pipelines of a fleet"},
    [FLEET] = {"fleet", NULL, "which machine works on which pipeline"},
    {0},
};

static int (*const mains[])(const struct writer_options *) = {
    [RUN] = run_main,
    [ACK] = ack_main,
    [MIGRATE] = migrate_main,
    [ROLES] = roles_main,
    [STATUS] = query_main,
    [SOURCES] = query_main,
    [RICHEST] = query_main,
    [ACCOUNTS] = query_main,
    [HISTORY] = query_main,
    [DIFF] = query_main,
    [CALLBACKS] = query_main,
    [REJECTED] = rejected_main,
    [REDRIVE] = redrive_main,
    [RETRY] = retry_main,
    [REPLAY] = playback_main,
    [PRUNE] = prune_main,
    [FORGET] = forget_main,
    [REPORT] = report_main,
    [PENDING] = pending_main,
    [CLAIM] = claim_main,
    [LEASE] = lease_main,
    [FLEET] = query_main,
};

/* clang-format off */
static const struct option_spec specs[] = {
    {.name = "db", .letter = 'd', .type = OPTION_TEXT, .value = &options.database, .argument = "CONNINFO",
	.help = "connection string or URI (default: the PG* variables, else `database` of the configuration file, else "
		"the private Postgres of ACCTFLOW_HOME)"},
    {.name = "database", .type = OPTION_TEXT, .value = &options.config_database, .key = "database"},
    {.name = "password-file", .type = OPTION_TEXT, .value = &options.password_file, .argument = "FILE",
	.key = "password-file", .help = "passwords, in the form of ~/.pgpass"},
    {.name = "home", .type = OPTION_TEXT, .value = &options.home, .argument = "DIR", .key = "home",
	.help = "the supervisor's state folder (default: var; installed, ~/.local/state/acctflow)"},
    OPTION_SPEC_SOURCE(&options.source, "this source only", SOURCE_BITS),
    {.name = "shard", .type = OPTION_CUSTOM, .value = &options.shard, .set = shard_set, .argument = "I/N",
	.verbs = PIPELINE_BITS, .help = "this shard of the source (default: 0/1)"},
    {.name = "resume", .letter = 'r', .type = OPTION_FLAG, .value = &options.resume, .verbs = BIT(RUN) | BIT(ACK),
	.help = "go on where the source was left; input that stops without `end` is a crash (exit 111)"},
    {.name = "token", .type = OPTION_COUNT, .value = &options.token, .argument = "N", .max = INT64_MAX,
	.given = &options.token_given, .verbs = BIT(RUN) | BIT(ACK) | BIT(PENDING),
	.help = "the claim, as the verb claim printed it"},
    {.name = "batch", .letter = 'b', .type = OPTION_COUNT, .value = &options.batch, .argument = "N", .min = 1,
	.max = 100000, .verbs = BIT(RUN), .help = "most records in a batch (default: 60000)"},
    {.name = "strict", .type = OPTION_FLAG, .value = &options.strict, .verbs = BIT(RUN),
	.help = "exit 1 if anything was rejected"},
    {.name = "distributed", .type = OPTION_ACTION, .value = &options.distributed, .verbs = BIT(MIGRATE),
	.help = "distribute the tables over the nodes of a Citus, by account"},
    {.name = "shard-count", .type = OPTION_COUNT, .value = &options.shard_count, .argument = "N", .min = 1,
	.max = 64000, .verbs = BIT(MIGRATE), .help = "with --distributed: Citus's shards (default: citus.shard_count)"},
    {.name = "output-lock", .type = OPTION_TEXT, .value = &options.output_lock, .argument = "FILE", .verbs = BIT(ACK),
	.help = "several pipelines share standard output, by a lock on that file"},
    {.name = "lease", .type = OPTION_TEXT, .value = &options.lease, .argument = "FILE", .verbs = BIT(ACK) | BIT(LEASE),
	.help = "when the machine's leases end: lease writes it, ack emits no callback after it"},
    {.name = "machine", .type = OPTION_TEXT, .value = &options.machine, .argument = "NAME",
	.verbs = BIT(CLAIM) | BIT(LEASE), .help = "the machine; claim takes over only what it has the lease of"},
    {.name = "list", .type = OPTION_TEXT, .value = &options.list, .argument = "FILE", .verbs = BIT(LEASE),
	.help = "the pipelines that the machine could run; read for each renewal, and at once where it is replaced"},
    {.name = "prefix", .type = OPTION_TEXT, .value = &options.prefix, .argument = "TEXT", .verbs = BIT(LEASE),
	.help = "printed before each line"},
    {.name = "once", .type = OPTION_ACTION, .value = &options.once, .verbs = BIT(LEASE), .help = "renew once, and end"},
    {.name = "join", .type = OPTION_ACTION, .value = &options.join, .verbs = BIT(LEASE),
	.help = "join the fleet where the machine is not in it yet"},
    {.name = "leave", .type = OPTION_ACTION, .value = &options.leave, .verbs = BIT(LEASE),
	.help = "leave it: others take over at once"},
    {.name = "pipelines", .type = OPTION_ACTION, .value = &options.pipelines, .verbs = BIT(PENDING),
	.help = "list the pipelines that have callbacks pending and that nobody works for"},
    {.name = "type", .letter = 't', .type = OPTION_TEXT, .value = &options.type, .argument = "TYPE",
	.verbs = BIT(RICHEST) | BIT(ACCOUNTS), .help = "this account type only"},
    {.name = "at", .type = OPTION_TEXT, .value = &options.at, .argument = "T", .verbs = BIT(RICHEST) | BIT(ACCOUNTS),
	.help = "as of then: a time, +MS from the start of the source, or an offset of the source"},
    {.name = "top", .type = OPTION_COUNT, .value = &options.top, .argument = "N", .min = 1, .max = 1000000,
	.verbs = BIT(RICHEST), .help = "so many of each type (default: 1); all that tie"},
    {.name = "state", .type = OPTION_CHOICE, .value = &options.state, .argument = CALLBACK_STATES,
	.verbs = BIT(CALLBACKS), .help = "callbacks in this state (default: any)"},
    {.name = "due-within", .type = OPTION_COUNT, .value = &options.due_within, .argument = "MS", .max = INT64_C(31536000000),
	.given = &options.due_within_given, .verbs = BIT(CALLBACKS), .help = "pending, and due within so many milliseconds"},
    {.name = "later-than", .type = OPTION_COUNT, .value = &options.later_than, .argument = "MS", .max = INT64_C(31536000000),
	.given = &options.later_than_given, .verbs = BIT(CALLBACKS),
	.help = "more than so many milliseconds behind their time: settled so late, or pending still"},
    {.name = "kind", .type = OPTION_CHOICE, .value = &options.kind, .argument = "record|refused|conflict",
	.verbs = REJECT_BITS, .help = "rejects of this kind only"},
    {.name = "reason", .type = OPTION_TEXT, .value = &options.reason, .argument = "TEXT", .verbs = REJECT_BITS,
	.help = "only rejects whose reason has this in it; … stands for anything"},
    {.name = "open", .type = OPTION_ACTION, .value = &options.open, .verbs = BIT(REJECTED),
	.help = "only what was neither redriven nor discarded"},
    {.name = "counts", .type = OPTION_ACTION, .value = &options.counts, .verbs = BIT(REJECTED),
	.help = "how many there are of each reason"},
    {.name = "as", .type = OPTION_TEXT, .value = &options.as, .argument = "NAME", .verbs = BIT(REDRIVE),
	.help = "mark the rejects whose keys stand on standard input as records of this source"},
    {.name = "discard", .type = OPTION_ACTION, .value = &options.discard, .verbs = BIT(REDRIVE),
	.help = "mark them as needing nothing more"},
    {.name = "from", .letter = 'o', .type = OPTION_TEXT, .value = &options.from, .argument = "T", .verbs = BIT(REPLAY),
	.help = "what was ingested from then on: a moment, as for --at"},
    {.name = "to", .letter = 'O', .type = OPTION_TEXT, .value = &options.to, .argument = "T", .verbs = BIT(REPLAY),
	.help = "and up to then"},
    {.name = "callback-ms", .type = OPTION_COUNT, .value = &options.callback_ms, .argument = "MS", .max = CALLBACK_MAX,
	.given = &options.callback_given, .verbs = BIT(REPLAY),
	.help = "as if every version that has a callback had this one"},
    {.name = "updates", .type = OPTION_ACTION, .value = &options.updates, .verbs = BIT(REPLAY),
	.help = "updates with arriveMs, for a reader that follows recorded times; those that came late too"},
    {.name = "before", .type = OPTION_CUSTOM, .value = &options.before, .set = option_time, .argument = "TIME",
	.given = &options.before_given, .form = "a time such as 2000-01-01T00:00:00Z", .verbs = BIT(PRUNE),
	.help = "the state as of that moment, and of every later one, stays as it is"},
    {.name = "keep", .type = OPTION_COUNT, .value = &options.keep, .argument = "N", .max = INT64_MAX,
	.verbs = BIT(PRUNE), .help = "keep the N highest versions of each account (default: 1)"},
    {.name = "interval", .type = OPTION_COUNT, .value = &options.interval, .argument = "SECONDS", .min = 1,
	.max = 3600, .verbs = BIT(STATUS), .help = "again and again, as name=value lines, for statusd"},
    {.name = "deadline", .type = OPTION_COUNT, .value = &options.deadline, .argument = "SECONDS", .max = 31536000,
	.help = "how long an unreachable database is tried again (default: 60)"},
    OPTION_SPEC_CLOCK(&options.clock, BIT(RUN)),
    OPTION_SPEC_EPOCH(&options.epoch, BIT(RUN)),
    {.name = "format", .letter = 'f', .type = OPTION_OUTPUT, .value = &options.format, .argument = "auto|json|text|csv",
	.key = "format",
	.help = "records, or lines for people (default: auto, by whether output is a terminal); csv: of verbs that look"},
    {0},
};
/* clang-format on */

static int verb;
static const struct program program = {
    .name = "writer",
    .usage = "[options] [VERB]",
    .purpose = "Indexes updates from standard input into Postgres, and emits each one's outcome once it is committed.",
    .verbs = verbs,
    .verb = &verb,
};

/* Finds the connection string: option or environment; else PG*; else configuration file; else the private Postgres that
 * runs; else libpq's own. */
static const char *
conninfo_find(const struct writer_options *o)
{
	static const char *const variables[] = {"PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE", "PGUSER"};
	if (o->database)
		return o->database;
	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
		const char *value = getenv(variables[i]);
		if (value && *value) /* empty is as if it were not set, to libpq too */
			return "";
	}
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
	pg_configure(conninfo_find(o), o->password_file, deadline, o->resume);
}

struct pg *
writer_open(const struct writer_options *o, const char *application, bool migrates)
{
	static struct pg *pg; /* found by a leak checker where we end here */
	sandbox_privileges();
	writer_configure(o, o->deadline);
	pg = pg_new(application);
	enum pg_status status = pg_connect(pg);
	if (status == PG_OK) {
		if (migrates)
			schema_migrate(pg, o->distributed, (unsigned)o->shard_count);
		else
			schema_check(pg);
		return pg;
	}
	if (loop_stopping())
		exit(EXIT_OK);
	if (status == PG_RETRY && pg_absent(pg) && !o->resume)
		die(EXIT_TEMPORARY,
		    "no Postgres runs here: %s; acctflow postgres starts the private one of ACCTFLOW_HOME (%s), --db "
		    "names another",
		    pg_error(pg), o->home);
	if (status == PG_FATAL)
		die(EXIT_PERMANENT, "could not connect to the database: %s", pg_error(pg));
	die(EXIT_TEMPORARY,
	    "could not connect to the database within %llu s: %s; is it running, and is --db or PGHOST right?",
	    (unsigned long long)o->deadline, pg_error(pg));
}

int
main(int argc, char **argv)
{
	loop_init();
	options.home = paths_home();
	int at = options_read(&program, specs, argc, argv);
	options.verb = verbs[verb].name;
	options.operands = argv + at;
	if (options.format == FORMAT_CSV && (BIT(verb) & (PIPELINE_BITS | BIT(LEASE))))
		die_usage("--format csv is for the verbs that look");
	return mains[verb](&options);
}
