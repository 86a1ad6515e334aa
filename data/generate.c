/* Makes inputs: a stream of account updates with known shares of stale, duplicate,
 * conflicting and unversioned ones. What an update holds is drawn from (seed, account,
 * version) alone, so that a duplicate is made again instead of remembered: memory is
 * eight bytes an account, and billions of records are as easy as a hundred. */
#include "log.h"
#include "options.h"
#include "output.h"
#include "record.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct range {
	uint64_t min, max;
};

static struct {
	uint64_t updates, accounts, types, seed;
	uint64_t stale, duplicate, conflict, unversioned, deleted, silent;
	uint64_t data_bytes;
	struct range callback_ms, arrive_ms;
	bool edges, lines, compact, arrives;
} want = {
    .updates = 124,
    .accounts = 12,
    .types = 7,
    .seed = 1,
    .stale = 10,
    .duplicate = 3,
    .conflict = 2,
    .unversioned = 4,
    .callback_ms = {0, 9900},
};

static const char *const type_names[] = {
    "mint", "metadata", "masterEdition", "account", "auction", "auctionData", "escrow"};
enum { TYPE_NAMES = sizeof type_names / sizeof *type_names };

/* splitmix64 (Sebastiano Vigna, public domain): any state is a good start, so that each (account, version) has its own.
 */
static uint64_t
random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t
random_below(uint64_t *state, uint64_t n)
{
	return (uint64_t)((unsigned __int128)random_next(state) * n >> 64);
}

static uint64_t
random_in(uint64_t *state, struct range r)
{
	return r.min + random_below(state, r.max - r.min + 1);
}

static uint64_t
random_of(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t s = a;
	s = random_next(&s) ^ b;
	s = random_next(&s) ^ c;
	return random_next(&s);
}

/* n characters of the alphabet that such ids have. */
static void
put_base58(struct buf *b, uint64_t state, size_t n)
{
	static const char set[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
	buf_reserve(b, n + 8);
	char *p = b->p + b->len;
	for (size_t i = 0; i < n; i += 8) {
		uint64_t r = random_next(&state);
		for (int j = 0; j < 8; j++, r >>= 8)
			p[i + (size_t)j] = set[(r & 0xff) * 58 >> 8];
	}
	b->len += n;
}

static void
put_id(struct buf *text, uint64_t account)
{
	uint64_t state = random_of(want.seed, 1, account);
	text->len = 0;
	switch (want.edges ? account % 8 : 0) {
	default:
		put_base58(text, state, 44);
		break;
	case 3:
		buf_printf(text, "%llu", (unsigned long long)account);
		break;
	case 4:
		buf_printf(text, "\"\\/\b\f\n\r\t\x01\x1f\x7f %llu", (unsigned long long)account);
		break;
	case 5:
		buf_printf(text, "\xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xb0\xe2\x80\xae\xef\xbf\xbf\xf4\x8f\xbf\xbf %llu",
		    (unsigned long long)account);
		break;
	case 6:
		buf_printf(text, "%llu ", (unsigned long long)account);
		put_base58(text, state, NAME_BYTES - text->len);
		break;
	case 7:
		buf_printf(text, "'; drop table accounts; -- %llu", (unsigned long long)account);
		break;
	}
}

static void
put_type(struct buf *text, uint64_t type)
{
	text->len = 0;
	if (want.edges && type % 5 == 3) {
		buf_printf(text, "\"type\\\t%llu\xc3\xa4\xf0\x9f\x98\x80", (unsigned long long)type);
	} else if (want.edges && type % 5 == 4) {
		buf_printf(text, "%llu ", (unsigned long long)type);
		put_base58(text, type, NAME_BYTES - text->len);
	} else if (type < TYPE_NAMES) {
		buf_text(text, type_names[type]);
	} else {
		buf_printf(text, "type%llu", (unsigned long long)type);
	}
}

/* A string; with --edges now and then in another spelling of the same characters. */
static void
put_string(struct buf *b, struct slice s, uint64_t *how)
{
	if (!want.edges || random_below(how, 3)) {
		buf_json(b, s);
		return;
	}
	buf_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x20 || c == '"' || c == '\\' || (c < 0x80 && random_below(how, 4) == 0))
			buf_printf(b, c & 1 ? "\\u%04x" : "\\u%04X", c);
		else if (c == '/')
			buf_text(b, "\\/");
		else
			buf_char(b, (char)c);
	}
	buf_char(b, '"');
}

/* One of every kind of JSON value, and what parsers are known to get wrong in them. */
static void
put_edge_data(struct buf *b, uint64_t *state)
{
	static const char *const values[] = {"null", "true", "false", "0", "-0", "0.0", "-0.0e-0", "1e400", "1E+2",
	    "0.1e-5", "9007199254740993", "18446744073709551616", "-9223372036854775809",
	    "3.14159265358979323846264338327950288", "123e997", "\"\"", "\" \"", "[]", "{}", "[[],{}]", "{\"\":{}}",
	    "{\"a\":1,\"a\":2,\"A\":3}", "{\"event\":\"fired\",\"id\":\"x\"}",
	    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\ud83d\\ude00\"",
	    "\"\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80\\u2028\x7f\"", "\"  , : [ ] { } \\\" \\\\\"",
	    "[1,-2,3.5,\"x\",null,true,false,{\"k\":[]}]", "{\"\\u0061\":\"\\u0001\",\"b\\nc\":[[[[]]]]}"};
	uint64_t n = sizeof values / sizeof *values, i = random_below(state, n + 3);
	if (i < n) {
		buf_text(b, values[i]);
	} else if (i == n) {
		for (int digit = 0; digit < JSON_DIGITS; digit++)
			buf_char(b, (char)('1' + random_below(state, 9)));
	} else {
		/* As deep as a record may be: the record itself is one level. */
		size_t depth = i == n + 1 ? JSON_DEPTH - 1 : 1 + random_below(state, 40);
		for (size_t j = 0; j < depth; j++)
			buf_char(b, '[');
		for (size_t j = 0; j < depth; j++)
			buf_char(b, ']');
	}
}

static void
put_data(struct buf *b, struct slice id, uint64_t type, uint64_t *state)
{
	if (want.data_bytes) {
		size_t n = want.data_bytes > 13 ? want.data_bytes - 13 : 0;
		buf_text(b, "{\"content\":\"");
		put_base58(b, random_next(state), n);
		buf_text(b, "\"}");
		return;
	}
	if (want.edges && random_below(state, 4)) {
		put_edge_data(b, state);
		return;
	}
	switch (type % TYPE_NAMES) {
	case 0:
	case 1:
		buf_text(b, "{\"mintId\":");
		buf_json(b, id);
		break;
	case 2:
		buf_text(b, "{\"img\":\"https://arweave.net/");
		put_base58(b, random_next(state), 43);
		buf_char(b, '"');
		break;
	case 3:
		buf_char(b, '{');
		break;
	default:
		buf_text(b, "{\"expiry\":-1,\"currentBid\":");
		buf_u64(b, random_below(state, 1000));
		break;
	}
	buf_char(b, '}');
}

static uint64_t
draw_tokens(uint64_t *state)
{
	static const uint64_t edges[] = {0, 1, UINT64_C(9007199254740992), UINT64_C(9007199254740993), INT64_MAX,
	    UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};
	uint64_t i = want.edges ? random_below(state, 12) : 12;
	return i < 8 ? edges[i] : i < 10 ? random_next(state) : random_below(state, 1000);
}

static uint64_t
draw_callback(uint64_t *state)
{
	uint64_t i = want.edges ? random_below(state, 16) : 16;
	return i == 0	? 0
	       : i == 1 ? CALLBACK_MAX
	       : i == 2 ? random_below(state, CALLBACK_MAX)
			: random_in(state, want.callback_ms);
}

struct known {
	uint64_t account;
	int64_t version; /* -1: none */
};

/* Whether an account's version is a delete, and what it leaves out; whether it has a callback. Drawn apart from what it
 * holds, so that it holds the same whatever the shares are. */
struct shape {
	bool deleted, bare, silent;
};

static struct shape
shape_of(struct known k)
{
	uint64_t state = random_of(want.seed ^ UINT64_C(0x5ca1ab1e), k.account, (uint64_t)k.version);
	struct shape s = {.deleted = random_below(&state, 100) < want.deleted};
	s.bare = s.deleted && random_below(&state, 2);
	s.silent = random_below(&state, 100) < want.silent;
	return s;
}

static void
put_callback(struct buf *b, struct shape shape, uint64_t *state)
{
	uint64_t callback = draw_callback(state);
	if (shape.bare)
		return;
	buf_text(b, ",\"callbackTimeMs\":");
	if (shape.silent)
		buf_text(b, "null");
	else
		buf_u64(b, callback);
}

/* One update without white space. `how` decides on what makes no difference, such as spellings. */
static void
put_update(struct buf *b, struct known k, bool conflict, uint64_t arrive, uint64_t *how)
{
	static struct buf id, type;
	uint64_t state = random_of(want.seed, k.account, (uint64_t)k.version);
	struct shape shape = shape_of(k);
	/* Accounts keep their type, but for --edges. */
	uint64_t t =
	    want.edges && random_below(&state, 16) == 0 ? random_below(&state, want.types) : k.account % want.types;
	put_id(&id, k.account);
	put_type(&type, t);

	b->len = 0;
	buf_text(b, "{\"id\":");
	put_string(b, slice_buf(&id), how);
	uint64_t tokens = draw_tokens(&state);
	bool other_data = (conflict && random_below(how, 2)) || (conflict && shape.bare);
	if (!shape.bare) {
		buf_text(b, ",\"accountType\":");
		put_string(b, slice_buf(&type), how);
		buf_text(b, ",\"tokens\":");
		buf_u64(b, conflict && !other_data ? tokens ^ 1 : tokens);
	}
	put_callback(b, shape, &state);
	if (shape.deleted)
		buf_text(b, ",\"deleted\":true");
	if (other_data) {
		buf_printf(b, ",\"data\":{\"conflict\":%llu}", (unsigned long long)random_below(how, 1000));
	} else if (!want.edges || random_below(&state, 16)) {
		buf_text(b, ",\"data\":");
		put_data(b, slice_buf(&id), t, &state);
	}
	if (k.version >= 0) {
		buf_text(b, ",\"version\":");
		buf_i64(b, k.version);
	}
	if (want.arrives) {
		buf_text(b, ",\"arriveMs\":");
		buf_u64(b, arrive);
	}
	buf_char(b, '}');
}

/* What was emitted (to be emitted again), and which versions were left out (to come late). */
struct pool {
	struct known at[4096];
	size_t len, next;
};

static void
pool_put(struct pool *p, struct known k)
{
	size_t most = sizeof p->at / sizeof *p->at;
	p->next = p->len < most ? p->len++ : (p->next + 1) % most;
	p->at[p->next] = k;
}

struct stream {
	uint64_t state;
	int64_t *version; /* of each account the newest, -1 before the first */
	struct pool emitted, left_out;
	uint64_t owed; /* stale ones that were due when no version had been left out */
};

static struct known
stream_fresh(struct stream *s, bool leave_out)
{
	uint64_t account = random_below(&s->state, want.accounts);
	int64_t *newest = &s->version[account];
	uint64_t before = (uint64_t)*newest + 1, v = before + random_below(&s->state, 3);
	if (want.edges && account % 4 == 1 && *newest < 0)
		v = VERSION_MAX - random_below(&s->state, 20);
	else if (want.edges && account % 4 == 2)
		v = before + random_below(&s->state, UINT64_C(1) << 60);
	if (leave_out && v == before)
		v++;
	if (v > VERSION_MAX)
		v = VERSION_MAX;
	/* At the last version there is: a duplicate. */
	if (v > before)
		pool_put(&s->left_out, (struct known){account, (int64_t)v - 1});
	if ((int64_t)v > *newest)
		*newest = (int64_t)v;
	return (struct known){account, *newest};
}

static struct known
stream_stale(struct stream *s)
{
	struct pool *p = &s->left_out;
	size_t i = random_below(&s->state, p->len);
	struct known k = p->at[i];
	p->at[i] = p->at[--p->len];
	return k;
}

/* Draws the next update: fresh, or of one of the four kinds that change nothing. */
static void
stream_next(struct stream *s, struct buf *b, uint64_t arrive)
{
	uint64_t draw = random_below(&s->state, 100), how = random_next(&s->state);
	struct known k;
	if (draw < want.unversioned) {
		k = (struct known){random_below(&s->state, want.accounts), -1};
		put_update(b, k, false, arrive, &how);
		return;
	}
	draw -= want.unversioned;
	if (draw < want.duplicate + want.conflict && s->emitted.len) {
		k = s->emitted.at[random_below(&s->state, s->emitted.len)];
		put_update(b, k, draw < want.conflict, arrive, &how);
		return;
	}
	draw -= want.duplicate + want.conflict;
	bool stale = draw < want.stale;
	if (stale && !s->left_out.len) {
		s->owed++;
		k = stream_fresh(s, true);
	} else if (stale || (s->owed && s->left_out.len)) {
		s->owed -= !stale;
		k = stream_stale(s);
	} else {
		k = stream_fresh(s, s->owed > 0);
	}
	pool_put(&s->emitted, k);
	put_update(b, k, false, arrive, &how);
}

static void
new_line(struct buf *b, int level)
{
	buf_char(b, '\n');
	for (int i = 0; i < level; i++)
		buf_text(b, "  ");
}

/* Appends JSON, a member or element a line. */
static void
put_pretty(struct buf *b, struct slice s, int level)
{
	bool inside = false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!inside && (c == '}' || c == ']') && s.p[i - 1] != '{' && s.p[i - 1] != '[')
			new_line(b, --level);
		buf_char(b, c);
		if (c == '\\')
			buf_char(b, s.p[++i]);
		if (c == '"')
			inside = !inside;
		if (inside)
			continue;
		if (c == ':')
			buf_char(b, ' ');
		else if (c == ',')
			new_line(b, level);
		else if ((c == '{' || c == '[') && s.p[i + 1] != '}' && s.p[i + 1] != ']')
			new_line(b, ++level);
	}
}

/* Appends JSON with white space of all kinds between the tokens. */
static void
put_spaced(struct buf *b, struct slice s, uint64_t *how)
{
	bool inside = false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		buf_char(b, c);
		if (c == '\\')
			buf_char(b, s.p[++i]);
		if (c == '"')
			inside = !inside;
		if (!inside && i + 1 < s.n && memchr("{}[]:,\"", c, 7))
			buf_char(b, " \t\r "[random_below(how, 4)]);
	}
}

static void
generate(struct output *o)
{
	static struct stream s;
	struct buf record = {0};
	uint64_t arrive = 0;
	s.state = random_of(want.seed, 2, 3);
	s.version = mem_alloc(want.accounts * sizeof *s.version);
	for (uint64_t i = 0; i < want.accounts; i++)
		s.version[i] = -1;

	if (!want.lines)
		buf_char(&o->buf, '[');
	for (uint64_t i = 0; i < want.updates; i++) {
		uint64_t how = random_of(want.seed, 4, i);
		if (want.arrives)
			arrive += random_in(&how, want.arrive_ms);
		arrive = arrive > ARRIVE_MAX ? ARRIVE_MAX : arrive;
		/* With --edges one arrival in eight lies before the one before it. */
		stream_next(&s, &record, want.edges && random_below(&how, 8) == 0 ? arrive / 2 : arrive);
		if (!want.lines) {
			buf_text(&o->buf, &",\n"[i ? 0 : 1]);
			buf_text(&o->buf, want.compact ? "" : "  ");
		}
		if (want.edges && random_below(&how, 4) == 0)
			put_spaced(&o->buf, slice_buf(&record), &how);
		else if (want.lines || want.compact)
			buf_slice(&o->buf, slice_buf(&record));
		else
			put_pretty(&o->buf, slice_buf(&record), 1);
		if (want.lines)
			buf_char(&o->buf, '\n');
		if (output_full(o) && output_flush(o) != 0)
			output_failed();
	}
	if (!want.lines)
		buf_text(&o->buf, "\n]\n");
	if (output_flush(o) != 0)
		output_failed();
	buf_free(&record);
	buf_free(&o->buf);
	free(s.version);
}

static int
range_set(const char *text, void *value)
{
	struct range *r = value;
	const char *colon = strchr(text, ':');
	if (!colon || json_integer((struct slice){text, (size_t)(colon - text)}, CALLBACK_MAX, &r->min) != 0 ||
	    json_integer(slice_of(colon + 1), CALLBACK_MAX, &r->max) != 0)
		return -1;
	return r->min <= r->max ? 0 : -1;
}

/* clang-format off */
static const struct option_spec specs[] = {
	{.name = "updates", .letter = 'n', .type = OPTION_COUNT, .value = &want.updates, .argument = "N",
	 .max = UINT64_MAX, .help = "how many updates (default: 124)"},
	{.name = "accounts", .letter = 'a', .type = OPTION_COUNT, .value = &want.accounts, .argument = "N", .min = 1,
	 .max = UINT32_MAX, .help = "of how many accounts (default: 12)"},
	{.name = "types", .letter = 't', .type = OPTION_COUNT, .value = &want.types, .argument = "N", .min = 1,
	 .max = UINT32_MAX, .help = "of how many types (default: 7)"},
	{.name = "seed", .letter = 's', .type = OPTION_COUNT, .value = &want.seed, .argument = "N", .max = UINT64_MAX,
	 .help = "the same seed and options give the same bytes (default: 1)"},
	{.name = "stale", .type = OPTION_COUNT, .value = &want.stale, .argument = "PERCENT", .max = 100,
	 .help = "share that comes after a newer version (default: 10)"},
	{.name = "duplicate", .type = OPTION_COUNT, .value = &want.duplicate, .argument = "PERCENT", .max = 100,
	 .help = "share that comes a second time (default: 3)"},
	{.name = "conflict", .type = OPTION_COUNT, .value = &want.conflict, .argument = "PERCENT", .max = 100,
	 .help = "share that comes again with other content (default: 2)"},
	{.name = "unversioned", .type = OPTION_COUNT, .value = &want.unversioned, .argument = "PERCENT", .max = 100,
	 .help = "share without a version, to be rejected (default: 4)"},
	{.name = "deleted", .type = OPTION_COUNT, .value = &want.deleted, .argument = "PERCENT", .max = 100,
	 .help = "share of the versions that are deletes, half of them with nothing but id and version (default: 0)"},
	{.name = "silent", .type = OPTION_COUNT, .value = &want.silent, .argument = "PERCENT", .max = 100,
	 .help = "share of the versions without a callback (default: 0)"},
	{.name = "edges", .type = OPTION_FLAG, .value = &want.edges,
	 .help = "values up to the limits of the contract, all kinds of data, odd spellings"},
	{.name = "callback-ms", .type = OPTION_CUSTOM, .value = &want.callback_ms, .argument = "MIN:MAX",
	 .set = range_set, .help = "callbackTimeMs (default: 0:9900)"},
	{.name = "data-bytes", .type = OPTION_COUNT, .value = &want.data_bytes, .argument = "N", .max = 15 << 20,
	 .help = "data of about so many bytes (default: small, by type)"},
	{.name = "arrive-ms", .type = OPTION_CUSTOM, .value = &want.arrive_ms, .argument = "MIN:MAX", .set = range_set,
	 .given = &want.arrives, .help = "stamp arriveMs, so many milliseconds apart (default: none)"},
	{.name = "lines", .type = OPTION_FLAG, .value = &want.lines, .help = "one update a line instead of an array"},
	{.name = "compact", .type = OPTION_FLAG, .value = &want.compact, .help = "in an array too, one update a line"},
	{0},
};
/* clang-format on */

int
main(int argc, char **argv)
{
	static const struct program program = {.name = "generate",
	    .usage = "[options]",
	    .purpose = "Write a JSON array of account updates, made from a seed, to standard output.",
	    .more = "Its source is data/generate.c; data/README.md has the commands that made the files there.\n"};
	int operands = options_read(&program, specs, argc, argv);
	if (operands != argc)
		die(EXIT_PERMANENT, "unexpected operand \"%s\"; see generate --help", argv[operands]);
	if (want.stale + want.duplicate + want.conflict + want.unversioned > 100)
		die(EXIT_PERMANENT, "--stale, --duplicate, --conflict and --unversioned make more than 100 percent");
	signal(SIGPIPE, SIG_IGN);
	struct output o;
	output_open(&o, STDOUT_FILENO);
	generate(&o);
	return EXIT_OK;
}
