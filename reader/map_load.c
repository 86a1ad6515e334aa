/* See map_load.h. */
#include "map_load.h"

#include "config.h"
#include "log.h"
#include "maps.h"

#include <string.h>

enum { NAMES = 16 };

static const enum member mapped[] = {
    M_ID, M_ACCOUNT_TYPE, M_TOKENS, M_VERSION, M_CALLBACK_TIME_MS, M_DATA, M_DELETED, M_TRACE, M_ARRIVE_MS, M_OFFSET};

struct loading {
	struct map *map;
	const char *name;
	int line;
};

static _Noreturn void
refused(const struct loading *l, const char *key, const char *why)
{
	die(EXIT_PERMANENT, "map \"%s\" line %d: %s: %s", l->name, l->line, key, why);
}

static int
node_new(struct loading *l)
{
	if (l->map->nodes == MAP_NODES)
		refused(l, "pointers", "too many names in all");
	l->map->node[l->map->nodes] = (struct map_node){.index = SIZE_MAX};
	return l->map->nodes++;
}

/* One name of a pointer, from *p to the next slash, its escapes resolved: ~1 is a slash, ~0 a tilde. It stands in the
 * map's scratch. */
static struct slice
name_read(const struct loading *l, const char *key, const char **p)
{
	struct buf *b = &l->map->name;
	b->len = 0;
	for (; **p && **p != '/'; ++*p) {
		if (**p == '~' && (*p)[1] != '0' && (*p)[1] != '1')
			refused(l, key, "in a pointer ~ stands before 0 or 1");
		buf_char(b, **p != '~' ? **p : *++*p == '0' ? '~' : '/');
	}
	return slice_buf(b);
}

/* The node that a pointer leads to, made where it is not there. */
static int
pointer_read(struct loading *l, const char *key, const char *text, int root)
{
	struct map *m = l->map;
	const char *p = text;
	int at = root, depth = 0;
	if (*p && *p != '/')
		refused(l, key, "a JSON pointer begins with a slash");
	while (*p == '/') {
		p++;
		struct slice name = name_read(l, key, &p);
		int child = m->node[at].child;
		while (child && !slice_same(m->node[child].name, name))
			child = m->node[child].sibling;
		if (++depth > NAMES)
			refused(l, key, "more than 16 names in a pointer");
		if (!child) {
			child = node_new(l);
			m->node[child].name = slice_of(mem_string(name));
			m->node[child].sibling = m->node[at].child;
			uint64_t index;
			if (json_integer(name, SIZE_MAX - 1, &index) == 0)
				m->node[child].index = (size_t)index;
			m->node[at].child = child;
			if (!m->node[at].lead)
				m->node[at].lead =
				    memset(mem_grow(NULL, LEADS * sizeof(struct lead)), 0, LEADS * sizeof(struct lead));
		}
		at = child;
	}
	if (!m->node[at].pointer)
		m->node[at].pointer = mem_string(slice_of(text));
	return at;
}

static struct map_rule *
rule_named(struct loading *l, const char *key)
{
	struct map *m = l->map;
	for (int i = 0; i < m->rules; i++)
		if (strcmp(m->rule[i].name, key) == 0)
			return &m->rule[i];
	static const char *const others[] = {"skip", "partition"};
	struct map_rule r = {.separator = ":", .found = -1};
	for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++)
		if (strcmp(member_name[mapped[i]], key) == 0)
			r.name = member_name[r.member = (int)mapped[i]];
	for (int i = 0; i < 2; i++)
		if (strcmp(others[i], key) == 0)
			r.name = others[i], r.member = MAP_SKIP + i;
	if (!r.name)
		refused(l, key, "no member of an update can be mapped by this name");
	m->rule[m->rules] = r;
	return &m->rule[m->rules++];
}

static void
from_add(struct loading *l, struct map_rule *r, const char *text)
{
	if (r->from_n == MAP_POINTERS)
		refused(l, r->name, "more than 8 pointers");
	r->from[r->from_n++] = pointer_read(l, r->name, text, MAP_RECORD);
}

/* A constant as a JSON token. */
static struct slice
constant_read(const struct loading *l, const struct map_rule *r, const char *text)
{
	struct buf b = {0};
	uint64_t ignored;
	struct json_scan s = {0};
	const char *end = text + strlen(text);
	bool right;
	switch (r->member) {
	case M_ID:
	case M_ACCOUNT_TYPE:
	case M_TRACE:
		buf_json(&b, slice_of(text));
		return slice_buf(&b);
	case M_DATA:
		right = json_value(text, end, 0, &s) == JSON_OK && s.end == end && !s.refuse.why;
		if (right)
			json_compact(&b, slice_of(text));
		break;
	case M_DELETED:
		right = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
		break;
	case M_OFFSET:
	case MAP_SKIP:
	case MAP_PARTITION:
		right = false;
		break;
	default:
		right = json_integer(slice_of(text), UINT64_MAX, &ignored) == 0 ||
			(r->member == M_CALLBACK_TIME_MS && strcmp(text, "null") == 0);
	}
	if (!right)
		die(EXIT_PERMANENT, "map \"%s\" line %d: %s: \"%s\" is no value for it", l->name, l->line, r->name,
		    text);
	if (!b.len)
		buf_text(&b, text);
	return slice_buf(&b);
}

/* A member's value: a pointer, or a constant. */
static void
rule_short(struct loading *l, const char *key, const char *value)
{
	struct map_rule *r = rule_named(l, key);
	if (r->from_n || r->constant.n)
		refused(l, key, "given twice; alternatives are a list under `from`");
	if (!*value || *value == '/')
		from_add(l, r, value);
	else
		r->constant = constant_read(l, r, value);
}

/* A key of a member's mapping. */
static void
rule_set(struct loading *l, const char *member, const char *key, const char *value)
{
	struct map_rule *r = rule_named(l, member);
	if (strcmp(key, "from") == 0 || strcmp(key, "join") == 0) {
		r->joined = *key == 'j';
		from_add(l, r, value);
	} else if (strcmp(key, "separator") == 0) {
		r->separator = mem_string(slice_of(value));
	} else if (strcmp(key, "value") == 0) {
		r->constant = constant_read(l, r, value);
	} else if (strcmp(key, "default") == 0) {
		r->fallback = constant_read(l, r, value);
	} else if (strcmp(key, "values") == 0 && (r->member == M_DELETED || r->member == MAP_SKIP)) {
		if (r->values_n == MAP_VALUES)
			refused(l, member, "more than 16 values");
		r->value[r->values_n++] = mem_string(slice_of(value));
	} else {
		refused(l, member, "knows from, join, separator, value, default and, for deleted and skip, values");
	}
}

static int
line_read(void *context, const char *section, const char *key, const char *value, int line)
{
	struct loading *l = context;
	l->line = line;
	if (*section) {
		rule_set(l, section, key, value);
	} else if (strcmp(key, "unwrap") != 0) {
		rule_short(l, key, value);
	} else {
		if (l->map->unwrap)
			refused(l, key, "given twice");
		l->map->unwrap = pointer_read(l, key, value, MAP_WRAPPER);
		if (l->map->unwrap == MAP_WRAPPER)
			refused(l, key, "an array of records needs none: reader reads it as it is");
	}
	return 0;
}

static void
rules_check(const struct loading *l)
{
	struct map *m = l->map;
	static const enum member needed[] = {M_ID, M_ACCOUNT_TYPE, M_TOKENS, M_VERSION, M_CALLBACK_TIME_MS};
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		bool there = false;
		for (int k = 0; k < m->rules; k++)
			there |= m->rule[k].member == (int)needed[i];
		if (!there)
			die(EXIT_PERMANENT, "map \"%s\" does not say what %s is%s", l->name, member_name[needed[i]],
			    needed[i] == M_CALLBACK_TIME_MS ? " (null: no callback)" : "");
	}
	for (int i = 0; i < m->rules; i++) {
		struct map_rule *r = &m->rule[i];
		bool matches = r->values_n || r->member == MAP_SKIP;
		if (r->joined && r->member != M_ID && r->member != M_ACCOUNT_TYPE && r->member != MAP_PARTITION)
			die(EXIT_PERMANENT, "map \"%s\": %s: only id, accountType and partition are joined", l->name,
			    r->name);
		if (matches && (!r->values_n || !r->from_n || r->constant.n || r->fallback.n || r->joined))
			die(EXIT_PERMANENT, "map \"%s\": %s wants `from` and `values`", l->name, r->name);
		if (!matches && !r->from_n == !r->constant.n)
			die(EXIT_PERMANENT, "map \"%s\": %s wants either pointers or a constant", l->name, r->name);
		m->has_offset |= r->member == M_OFFSET;
	}
	if (m->unwrap && m->has_offset)
		die(EXIT_PERMANENT, "map \"%s\": unwrap makes several records of one, which cannot share its offset",
		    l->name);
}

struct map *
map_load(const char *name)
{
	struct loading l = {.map = mem_grow(NULL, sizeof *l.map), .name = name};
	const char *text = NULL;
	char error[256];
	*l.map = (struct map){0};
	node_new(&l);
	node_new(&l);
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
		if (strcmp(maps[i].name, name) == 0)
			text = maps[i].text;
	if (!text && !strpbrk(name, "/.")) {
		struct buf all = {0};
		for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
			buf_printf(&all, "%s%s", i ? ", " : "", maps[i].name);
		die(EXIT_PERMANENT, "there is no map \"%s\"; there are %s, and files, such as ./%s.yaml", name,
		    buf_cstr(&all), name);
	}
	int status = text ? config_read_text(text, true, line_read, &l, error, sizeof error)
			  : config_read(name, true, line_read, &l, error, sizeof error);
	if (status != 0)
		die(status == -2 ? EXIT_TEMPORARY : EXIT_PERMANENT, "map \"%s\": %s", name, error);
	rules_check(&l);
	return l.map;
}
