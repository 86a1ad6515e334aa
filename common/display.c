/* The one place that knows how an event looks to a person; the records stay the
 * data. Everything from outside goes through buf_safe. */
#include "display.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct display_style
display_style(enum format format, int fd)
{
	bool terminal = isatty(fd) == 1;
	const char *plain = getenv("NO_COLOR");
	bool people = format == FORMAT_TEXT || (format == FORMAT_AUTO && terminal);
	return (struct display_style){people, people && terminal && !(plain && *plain)};
}

struct line {
	struct buf *out;
	const struct record *r;
	struct buf room;
};

/* Appends a member's text, or the JSON of what is no string, at most so many bytes of it. */
static void
member(struct line *l, enum member m, size_t most)
{
	struct slice s = l->r->m[m];
	if (s.n && s.p[0] == '"')
		s = record_text(l->r, m, &l->room);
	bool cut = s.n > most;
	if (cut)
		for (s.n = most; s.n > 0 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80;)
			s.n--;
	buf_safe(l->out, s);
	if (cut)
		buf_text(l->out, "…");
}

static void
word(struct line *l, const char *before, enum member m, const char *after)
{
	buf_text(l->out, before);
	member(l, m, 300);
	buf_text(l->out, after);
}

static void
account(struct line *l)
{
	word(l, "", M_ID, " v");
	member(l, M_VERSION, 20);
}

static void
contents(struct line *l)
{
	word(l, " ", M_ACCOUNT_TYPE, ", ");
	word(l, "", M_TOKENS, " tokens");
}

static void
say_update(struct line *l)
{
	account(l);
	contents(l);
	word(l, ", callback after ", M_CALLBACK_TIME_MS, " ms");
}

static void
say_ignored(struct line *l)
{
	account(l);
	word(l, " (", M_REASON, ", current is v");
	word(l, "", M_CURRENT_VERSION, ")");
}

static void
say_rejected(struct line *l)
{
	if (record_has(l->r, M_LINE))
		word(l, "line ", M_LINE, ": ");
	member(l, M_REASON, 300);
	buf_text(l->out, ": ");
	member(l, M_RAW, 80);
}

static void
say_cancelled(struct line *l)
{
	account(l);
	word(l, " (superseded by v", M_SUPERSEDED_BY, ")");
}

static void
say_fired(struct line *l)
{
	uint64_t late = 0;
	account(l);
	contents(l);
	buf_char(l->out, ' ');
	member(l, M_DATA, 200);
	if (record_integer(l->r, M_LATENESS_US, INT64_MAX, &late) == 0)
		buf_printf(l->out, " (%llu.%llu ms late)", (unsigned long long)(late / 1000),
		    (unsigned long long)(late % 1000 / 100));
	if (record_has(l->r, M_RECOVERED))
		buf_text(l->out, " (recovered)");
}

static void
say_begin(struct line *l)
{
	member(l, M_SOURCE, 300);
	if (record_has(l->r, M_ARRIVAL))
		word(l, " (arrival ", M_ARRIVAL, "");
	if (record_has(l->r, M_SEED))
		word(l, ", seed ", M_SEED, ")");
}

static void
say_end(struct line *l)
{
	member(l, M_SOURCE, 300);
	word(l, " (", M_READ, " read");
	buf_text(l->out, slice_is(l->r->m[M_COMPLETE], "false") ? ", stopped)" : ")");
}

/* How each event is said: the colour is an ANSI attribute. */
static const struct {
	const char *event;
	const char *color;
	enum member time;
	void (*say)(struct line *);
} sayings[] = {
    {"indexed", "32", M_INGESTED_AT, say_update},
    {"ignored", "2", M_INGESTED_AT, say_ignored},
    {"rejected", "31", M_INGESTED_AT, say_rejected},
    {"cancelled", "33", M_CANCELLED_AT, say_cancelled},
    {"fired", "1;36", M_FIRED_AT, say_fired},
    {"begin", "1", M_STARTED_AT, say_begin},
    {"end", "1", M_COUNT, say_end},
};

/* Any other event: its name was said, its members follow as they are. */
static void
say_other(struct line *l, struct slice line)
{
	const char *comma = memchr(line.p, ',', line.n);
	if (comma)
		for (const char *p = comma + 1; p < line.p + line.n - 1; p++)
			buf_safe(l->out, *p == ',' ? SLICE(", ") : *p == '"' ? SLICE("") : (struct slice){p, 1});
}

static void
say_record(struct buf *out, struct display_style style, struct slice line, const struct record *r)
{
	struct line l = {.out = out, .r = r};
	char clock[13] = "            ";
	size_t i = 0, n = sizeof sayings / sizeof *sayings;
	for (; i < n && !record_is(r, M_EVENT, sayings[i].event); i++)
		continue;
	if (i < n && sayings[i].time < M_COUNT && r->m[sayings[i].time].n >= 26)
		memcpy(clock, r->m[sayings[i].time].p + 12, 12);

	buf_safe(out, slice_of(clock));
	buf_char(out, ' ');
	if (style.color)
		buf_printf(out, "\033[%sm", i < n ? sayings[i].color : "1");
	if (record_has(r, M_EVENT))
		member(&l, M_EVENT, 40);
	else
		buf_text(out, "update");
	if (style.color)
		buf_text(out, "\033[0m");
	buf_char(out, ' ');
	if (i < n)
		sayings[i].say(&l);
	else if (!record_has(r, M_EVENT))
		say_update(&l);
	else
		say_other(&l, line);
	if (slice_is(r->m[M_REPLAYED], "true"))
		buf_text(out, " (replayed)");
	buf_char(out, '\n');
	buf_free(&l.room);
}

void
display_record(struct buf *out, struct display_style style, struct slice line)
{
	static struct record r;
	if (style.people && record_parse_line(line, &r) == 0) {
		say_record(out, style, line, &r);
		return;
	}
	if (style.people)
		buf_safe(out, line);
	else
		buf_slice(out, line);
	buf_char(out, '\n');
}
