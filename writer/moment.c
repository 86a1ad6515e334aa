#include "moment.h"

#include "log.h"
#include "rows.h"
#include "sql.h"
#include "time.h"

#include <stdlib.h>

static void
ask(struct pg *pg, const char *sql, const struct pg_param *params, size_t n)
{
	enum pg_status status = pg_exec(pg, sql, params, n);
	if (status != PG_OK)
		rows_failed(pg, status);
}

/* The time of a source's offset, or so many milliseconds after its start. */
static const char *
moment_of_source(struct pg *pg, const char *text, const char *source)
{
	bool after = *text == '+';
	char *end;
	int64_t n = strtoll(text + after, &end, 10);
	ask(pg, sql_inputs_moment,
	    PG_PARAMS(pg_string_param(source), after ? pg_null_param() : pg_i64_param(n),
		after ? pg_i64_param(n) : pg_null_param()));
	if (pg_rows(pg, 0) == 0)
		die(EXIT_REJECTED, "\"%s\" is counted from a source, and there is no such source; see --source", text);
	if (pg_rows(pg, 0) > 1)
		die(EXIT_PERMANENT, "\"%s\" is counted from a source, and there are several; name one by --source",
		    text);
	if (pg_null(pg, 0, 0, 0))
		die(EXIT_REJECTED, "\"%s\" is nothing that the source has got to yet", text);
	return mem_string(pg_text(pg, 0, 0, 0));
}

const char *
moment_find(struct pg *pg, const char *text, const char *source)
{
	int64_t t;
	if (!text)
		return NULL;
	if (time_parse(slice_of(text), &t) == 0) {
		char exact[TIME_TEXT];
		time_format(t, exact);
		return mem_string(slice_of(exact));
	}
	const char *digits = text + (*text == '+');
	size_t n = strspn(digits, "0123456789");
	if (n == 0 || n > 15 || digits[n])
		die(EXIT_PERMANENT,
		    "\"%s\" is no moment; it is a time such as 2000-01-01T00:00:00Z, +MS from a source's start, or a "
		    "source's offset",
		    text);
	return moment_of_source(pg, text, source);
}

const char *
account_find(struct pg *pg, const char *text)
{
	if (!text)
		return NULL;
	ask(pg, sql_latest_ids, PG_PARAMS(pg_text_param(slice_of(text))));
	int n = pg_rows(pg, 0);
	if (n == 0 || slice_is(pg_text(pg, 0, 0, 0), text))
		return text;
	if (n == 1)
		return mem_string(pg_text(pg, 0, 0, 0));
	struct buf ids = {0};
	for (int i = 0; i < n; i++) {
		buf_text(&ids, i ? ", " : "");
		buf_safe(&ids, pg_text(pg, 0, i, 0));
	}
	die(EXIT_PERMANENT, "several accounts begin with \"%s\": %s%s", text, buf_cstr(&ids), n == 4 ? " ..." : "");
}
