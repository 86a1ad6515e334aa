/* The verbs that only look: which statement each asks, with which parameters. None of them migrates. The exit code is
 * 1 where what was asked for is not there, or where counts do not add up. */
#include "query.h"

#include "log.h"
#include "moment.h"
#include "rows.h"
#include "sql.h"
#include "watch.h"

#include <signal.h>

const char *
source_name(const struct writer_options *o)
{
	return o->source;
}

static const char *
type_name(const struct writer_options *o)
{
	return o->type;
}

static const char *
operand_name(const struct writer_options *o)
{
	return *o->operands;
}

/* Says, of a row of status, whether its counts add up. */
static bool
counts_consistent(struct pg *pg)
{
	int last = pg_columns(pg, 0) - 1;
	if (slice_is(pg_text(pg, 0, 0, last), "t"))
		return true;
	struct buf safe = {0};
	buf_safe(&safe, pg_text(pg, 0, 0, 0));
	log_error("the counts of source \"%s\", shard %s, do not add up with its rows: were rows deleted, or was the "
		  "database set back?",
	    buf_cstr(&safe), pg_text(pg, 0, 0, 1).p);
	buf_free(&safe);
	return false;
}

void
query_absent(const char *what, const char *name, const char *when)
{
	struct buf safe = {0};
	buf_safe(&safe, slice_of(name));
	log_error("no %s \"%s\" in this database%s", what, buf_cstr(&safe), when);
	buf_free(&safe);
}

/* Where there are no rows: whether what was asked for is there all the same, as a source without rejects is. Emits what
 * there is none of. */
static bool
query_found(struct pg *pg, const char *what, const char *name, bool past)
{
	if (strcmp(what, "source") == 0) {
		enum pg_status status = pg_exec(pg, sql_inputs_shards, PG_PARAMS(pg_text_param(slice_of(name))));
		if (status != PG_OK)
			rows_failed(pg, status);
		if (pg_rows(pg, 0) > 0)
			return true;
	}
	query_absent(what, name, past ? " as of then" : "");
	return false;
}

/* i: the account, of which the beginning is enough. a: --at. f, u: from and until, the operands. p: for people. */
static struct pg_param
param_of(char letter, const struct writer_options *o, struct pg *pg)
{
	switch (letter) {
	case 's':
		return pg_string_param(o->source);
	case 't':
		return pg_string_param(o->type);
	case 'i':
		return pg_string_param(account_find(pg, *o->operands));
	case 'a':
		return pg_string_param(moment_find(pg, o->at, o->source));
	case 'f':
		return pg_string_param(moment_find(pg, o->operands[0], o->source));
	case 'u':
		return pg_string_param(moment_find(pg, o->operands[1], o->source));
	case 'p':
		return pg_bool_param(rows_format(o) == FORMAT_TEXT);
	case 'n':
		return pg_i64_param((int64_t)o->top);
	case 'c':
		return pg_string_param(callback_states[o->state]);
	case 'd':
		return o->due_within_given ? pg_i64_param((int64_t)o->due_within) : pg_null_param();
	default: /* l */
		return o->later_than_given ? pg_i64_param((int64_t)o->later_than) : pg_null_param();
	}
}

struct pg *
query_open(const struct writer_options *o)
{
	struct pg *pg = writer_open(o, "acctflow query", false);
	sigset_t none;
	/* There is nothing to be finished: ^C ends it as it ends any other program. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return pg;
}

int
query_show(
    const struct writer_options *o, const struct query *q, struct pg *pg, const struct pg_param *params, size_t n)
{
	struct rows r = {.pg = pg, .title = q->title, .format = rows_format(o), .judge = q->judge};
	pg_each(pg, QUERY_PATIENCE_S, q->sql, params, n);
	rows_show(&r);
	const char *name = q->name ? q->name(o) : NULL;
	bool found = r.n > 0 || !name || query_found(pg, q->what, name, q->params && strchr(q->params, 'a') && o->at);
	pg_free(pg);
	return r.sound && found ? EXIT_OK : EXIT_REJECTED;
}

int
retry_main(const struct writer_options *o)
{
	static const struct query q = {
	    "retry", "Tried again", sql_outcomes_retry, "", "failed callback of account", operand_name, NULL};
	static struct pg_array ids;
	pg_array(&ids, PG_TEXTS);
	for (char **id = o->operands; *id; id++)
		pg_push_text(&ids, slice_of(*id));
	struct pg_param param = *o->operands ? pg_array_param(&ids) : pg_null_param();
	return query_show(o, &q, query_open(o), &param, 1);
}

/* clang-format off */
static const struct query queries[] = {
    {"status", "Sources, by shard", sql_status, "s", "source", source_name, counts_consistent},
    {"sources", "Sources", sql_sources, "s", "source", source_name, NULL},
    {"fleet", "Fleet, by machine", sql_fleet, "s", "source", source_name, NULL},
    {"richest", "Highest-token account of each type", sql_richest, "tn", "account of type", type_name, NULL},
    {"history", "Versions", sql_history, "ip", "account", operand_name, NULL},
    {"accounts", "Accounts", sql_accounts, "t", "account of type", type_name, NULL},
    {"diff", "Differences", sql_history_diff, "fup", NULL, NULL, NULL},
    {"callbacks", "Callbacks", sql_callbacks, "scdl", "source", source_name, NULL},
    {0},
}, past[] = {
    {"richest", "Highest-token account of each type as of then", sql_richest_at, "tna", "account of type", type_name, NULL},
    {"accounts", "Accounts as of then", sql_accounts_at, "ta", "account of type", type_name, NULL},
    {0},
}, one[] = {
    {"accounts", "Account", sql_account_at, "ia", "account", operand_name, NULL},
    {0},
};
/* clang-format on */

/* The verb's query among these, or that other one. */
static const struct query *
query_find(const struct query *from, const char *verb, const struct query *otherwise)
{
	while (from->verb && strcmp(from->verb, verb) != 0)
		from++;
	return from->verb ? from : otherwise;
}

int
query_main(const struct writer_options *o)
{
	const struct query *q = query_find(queries, o->verb, queries);
	if (o->interval && q->sql == sql_status)
		return watch_main(o);
	if (o->at)
		q = query_find(past, o->verb, q);
	if (*o->operands) {
		const struct query *single = query_find(one, o->verb, q);
		if (single != q && o->operands[1])
			die_usage("unexpected operand \"%s\"; see writer --help", o->operands[1]);
		q = single;
	}
	struct pg *pg = query_open(o);
	struct pg_param params[8];
	for (size_t i = 0; i < strlen(q->params); i++)
		params[i] = param_of(q->params[i], o, pg);
	return query_show(o, q, pg, params, strlen(q->params));
}
