/* See tell.h. Records are written straight into the output buffer; only lines for
 * people take the way through a buffer of their own. */
#include "tell.h"

static void
add(struct buf *b, struct slice s)
{
	buf_slice(b, s);
}

void
tell_init(struct teller *t, enum format format, struct slice source)
{
	*t = (struct teller){.style = display_style(format, 1)};
	output_open(&t->out, 1);
	buf_text(&t->update, "{\"source\":");
	buf_text(&t->rejected, "{\"event\":\"rejected\",\"source\":");
	buf_json(&t->update, source);
	buf_json(&t->rejected, source);
	buf_text(&t->update, ",\"offset\":");
	buf_text(&t->rejected, ",\"offset\":");
}

void
tell_free(struct teller *t)
{
	buf_free(&t->out.buf);
	buf_free(&t->update);
	buf_free(&t->rejected);
	buf_free(&t->line);
}

void
tell_flush(struct teller *t)
{
	if (t->out.buf.len && output_flush(&t->out) != 0)
		output_failed();
}

struct buf *
tell_open(struct teller *t)
{
	return t->style.people ? &t->line : &t->out.buf;
}

static struct buf *
open_at(struct teller *t, const struct buf *start, uint64_t offset)
{
	struct buf *b = tell_open(t);
	buf_slice(b, slice_buf(start));
	buf_u64(b, offset);
	return b;
}

struct buf *
tell_open_update(struct teller *t, uint64_t offset)
{
	return open_at(t, &t->update, offset);
}

struct buf *
tell_open_rejected(struct teller *t, uint64_t offset)
{
	return open_at(t, &t->rejected, offset);
}

void
tell_close(struct teller *t)
{
	if (t->style.people) {
		display_record(&t->out.buf, t->style, slice_buf(&t->line));
		t->line.len = 0;
	} else {
		buf_char(&t->out.buf, '\n');
	}
	if (output_full(&t->out))
		tell_flush(t);
}

/* A string's token is its canonical form already where nothing in it is escaped, and an escape is always longer than
 * what it stands for. */
static void
text(struct buf *b, struct slice token, struct slice text)
{
	if (token.n == text.n + 2)
		buf_slice(b, token);
	else
		buf_json(b, text);
}

/* Checked integers stand in the record as they are told. */
void
tell_body(struct buf *b, const struct update *u, const struct record *r)
{
	add(b, SLICE(",\"id\":"));
	text(b, r->m[M_ID], u->id);
	add(b, SLICE(",\"accountType\":"));
	text(b, r->m[M_ACCOUNT_TYPE], u->account_type);
	add(b, SLICE(",\"tokens\":"));
	add(b, r->m[M_TOKENS]);
	add(b, SLICE(",\"callbackTimeMs\":"));
	add(b, r->m[M_CALLBACK_TIME_MS]);
	add(b, SLICE(",\"version\":"));
	add(b, r->m[M_VERSION]);
	add(b, SLICE(",\"data\":"));
	add(b, u->data);
}

void
tell_stamp(struct buf *b, int64_t ms)
{
	if (ms < 0)
		return;
	add(b, SLICE(",\"arriveMs\":"));
	buf_i64(b, ms);
}

void
tell_tail(struct buf *b, const struct update *u)
{
	if (u->trace.n) {
		add(b, SLICE(",\"trace\":"));
		buf_slice(b, u->trace);
	}
	buf_char(b, '}');
}

void
tell_rejected(struct buf *b, struct slice reason, uint64_t line, struct slice raw, uint64_t total)
{
	add(b, SLICE(",\"reason\":"));
	buf_json(b, reason);
	buf_printf(b, ",\"line\":%llu,", (unsigned long long)line);
	record_raw(b, raw, total);
	buf_char(b, '}');
}
