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

/* How each event reads: {member} is its text, [member:...] is there only where the member is. The colour is an ANSI
 * attribute. */
static const struct saying {
	const char *event, *color;
	enum member time;
	const char *text;
} sayings[] = {
    {"", "1", M_COUNT, "{id} v{version} {accountType}, {tokens} tokens, callback after {callbackTimeMs} ms"},
    {"indexed", "32", M_INGESTED_AT,
	"{id} v{version} {accountType}, {tokens} tokens, callback after {callbackTimeMs} ms"},
    {"ignored", "2", M_INGESTED_AT, "[id:{id} v{version} ]({reason}[currentVersion:, current is v{currentVersion}])"},
    {"rejected", "31", M_INGESTED_AT, "[line:line {line}: ]{reason}: {raw}"},
    {"cancelled", "33", M_CANCELLED_AT, "{id} v{version} (superseded by v{supersededBy})"},
    {"fired", "1;36", M_FIRED_AT,
	"{id} v{version} {accountType}, {tokens} tokens {data}[latenessUs: ({latenessUs} ms late)][recovered: "
	"(recovered)]"},
    {"failed", "1;31", M_FIRED_AT, "{id} v{version} {accountType}, after {attempts} attempts: {error}"},
    {"begin", "1", M_STARTED_AT, "{source}[arrival: (arrival {arrival}][seed:, seed {seed})]"},
    {"end", "1", M_COUNT, "{source} ({read} read)"},
};

/* Appends a member's text, or the JSON of what is no string, cut where it is long. */
static void
display_member(struct buf *out, const struct record *r, enum member m)
{
	struct slice s = r->m[m];
	struct buf room = {0};
	size_t most = m == M_RAW ? 80 : m == M_DATA ? 200 : 300;
	uint64_t us;
	if (m == M_LATENESS_US && record_integer(r, m, INT64_MAX, &us) == 0) {
		buf_printf(out, "%llu.%llu", (unsigned long long)(us / 1000), (unsigned long long)(us % 1000 / 100));
		return;
	}
	if (s.n && s.p[0] == '"')
		s = record_text(r, m, &room);
	bool cut = s.n > most;
	if (cut)
		for (s.n = most; s.n > 0 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80;)
			s.n--;
	buf_safe(out, s);
	if (cut)
		buf_text(out, "…");
	buf_free(&room);
}

/* The member of that name, which is one. */
static enum member
display_find(const char *name, size_t n)
{
	enum member m = 0;
	while (m < M_COUNT - 1 && (strncmp(member_name[m], name, n) != 0 || member_name[m][n]))
		m++;
	return m;
}

static void
display_text(struct buf *out, const struct record *r, const char *t)
{
	for (; *t; t++) {
		size_t n = strcspn(t + 1, "}:");
		if (*t == '{')
			display_member(out, r, display_find(t + 1, n));
		if (*t == '[' && !record_has(r, display_find(t + 1, n)))
			t = strchr(t, ']');
		else if (*t == '{' || *t == '[')
			t += n + 1;
		else if (*t != ']')
			buf_char(out, *t);
	}
}

/* Any other event: its name was said, its members follow as they are. */
static void
display_other(struct buf *out, struct slice line)
{
	const char *comma = memchr(line.p, ',', line.n);
	if (comma)
		for (const char *p = comma + 1; p < line.p + line.n - 1; p++)
			buf_safe(out, *p == ',' ? SLICE(", ") : *p == '"' ? SLICE("") : (struct slice){p, 1});
}

static void
display_people(struct buf *out, bool color, struct slice line, const struct record *r)
{
	const size_t n = sizeof sayings / sizeof *sayings;
	char clock[13] = "            ";
	size_t i = 0;
	if (record_has(r, M_EVENT))
		for (i = 1; i < n && !record_is(r, M_EVENT, sayings[i].event);)
			i++;
	if (i < n && sayings[i].time < M_COUNT && r->m[sayings[i].time].n >= 26)
		memcpy(clock, r->m[sayings[i].time].p + 12, 12);
	buf_safe(out, slice_of(clock));
	buf_char(out, ' ');
	if (color)
		buf_printf(out, "\033[%sm", i < n ? sayings[i].color : "1");
	if (i == 0)
		buf_text(out, "update");
	else
		display_member(out, r, M_EVENT);
	buf_text(out, color ? "\033[0m " : " ");
	if (i < n)
		display_text(out, r, sayings[i].text);
	else
		display_other(out, line);
	if (i < n && slice_is(r->m[M_COMPLETE], "false"))
		buf_text(out, " (stopped)");
	if (slice_is(r->m[M_REPLAYED], "true"))
		buf_text(out, " (replayed)");
	buf_char(out, '\n');
}

void
display_record(struct buf *out, struct display_style style, struct slice line)
{
	static struct record r;
	if (style.people && record_parse_line(line, &r) == 0) {
		display_people(out, style.color, line, &r);
		return;
	}
	if (style.people)
		buf_safe(out, line);
	else
		buf_slice(out, line);
	buf_char(out, '\n');
}
