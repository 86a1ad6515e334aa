/* See map.h. The pointers of a map form a tree of names. The record is walked beside it:
 * where a name of the tree stands, its value is noted, and what stands beside the tree is
 * only scanned. A string on the way of a pointer holds JSON text, and is walked in its turn. */
#include "map.h"

#include "config.h"
#include "log.h"
#include "maps.h"
#include "options.h"

#include <stdlib.h>
#include <string.h>

enum { NODES = 128, RULES = 16, POINTERS = 8, VALUES = 16, NAMES = 16 };

/* A name on the way of a pointer. Where a pointer ends: what was found there in this record. */
struct node {
	struct slice name;	 /* without escapes */
	size_t index;		 /* the name as an array's index; SIZE_MAX: it is none */
	int child, sibling;	 /* 0: none */
	struct lead *lead;	 /* of its members, where it has children */
	const char *pointer;	 /* NULL: no pointer ends here */
	struct slice value;	 /* empty: not there */
	bool escaped, spaced;	 /* as json_scan has them */
	struct json_fault fault; /* what Postgres would refuse in it */
	struct buf text;	 /* of a string that holds JSON: the value is that, then */
};

/* Where a member comes from. */
struct rule {
	const char *name;
	enum member member; /* M_COUNT: skip */
	int from[POINTERS], from_n;
	bool joined;
	const char *separator;
	const char *constant, *fallback; /* the text as it was given; NULL: none */
	const char *value[VALUES];
	int values_n;
	struct slice constant_token, fallback_token;
	struct buf text; /* of a value that was put together */
	int found;	 /* the node that it came from; -1: none */
};

struct map {
	struct node node[NODES]; /* the first one is the record */
	int nodes;
	struct rule rule[RULES];
	int rules;
	int unwrap; /* the node of the array; 0: none */
	struct json_scan scan;
	struct buf name;
	const struct node *broken; /* a string on the way of a pointer that begins like JSON, and is not */
	bool skipped;
	struct slice elements; /* what is left of the array */
	int root;	       /* of what is walked: the record, or an element */
};

static const enum member mapped[] = {
    M_ID, M_ACCOUNT_TYPE, M_TOKENS, M_VERSION, M_CALLBACK_TIME_MS, M_DATA, M_DELETED, M_TRACE, M_ARRIVE_MS, M_OFFSET};

/* --- walking ------------------------------------------------------------------------ */

static enum json_status value_walk(struct map *m, struct node *n, const char *p, const char *end, int depth);

/* Notes what was scanned last, from p on, as the node's value. */
static void
node_set(struct node *n, const char *p, const struct json_scan *s)
{
	n->value = (struct slice){p, (size_t)(s->end - p)};
	n->spaced = s->spaced;
	n->escaped = s->escaped;
	n->fault = s->refuse;
}

/* A node's child; where there is none, the record, which is nobody's. */
static struct node *
child_named(struct map *m, const struct node *n, struct slice token, bool escaped)
{
	struct slice name = {token.p + 1, token.n - 2};
	if (escaped) {
		m->name.len = 0;
		json_unescape(&m->name, token);
		name = slice_buf(&m->name);
	}
	for (int i = n->child; i; i = m->node[i].sibling)
		if (slice_same(m->node[i].name, name))
			return &m->node[i];
	return m->node;
}

static struct node *
child_at(struct map *m, const struct node *n, size_t index)
{
	for (int i = n->child; i; i = m->node[i].sibling)
		if (m->node[i].index == index)
			return &m->node[i];
	return m->node;
}

/* Walks an object's members, from behind the brace. */
static enum json_status
members_walk(struct map *m, const struct node *n, const char *p, const char *end, int depth)
{
	struct json_scan *s = &m->scan;
	for (struct lead *lead = n->lead;; lead += lead < n->lead + LEADS - 1) {
		struct node *child;
		if (lead_is(lead, p, end)) {
			child = &m->node[lead->member];
			p += lead->n;
		} else {
			struct slice token;
			bool spaced = s->spaced;
			s->spaced = s->escaped = false;
			enum json_status status = lead_parse(p, end, lead == n->lead, &token, s);
			bool known = status == JSON_OK && token.n;
			if (known)
				child = child_named(m, n, token, s->escaped);
			/* One with white space would hide that there was some. */
			if (known && !s->spaced)
				lead_keep(lead, (struct slice){p, (size_t)(s->end - p)}, token,
				    (unsigned char)(child - m->node));
			s->spaced |= spaced;
			if (!known)
				return status;
			p = s->end;
		}
		enum json_status status =
		    child != m->node ? value_walk(m, child, p, end, depth + 1) : json_value(p, end, depth + 1, s);
		if (status != JSON_OK)
			return status;
		p = s->end;
	}
}

static enum json_status
elements_walk(struct map *m, const struct node *n, const char *p, const char *end, int depth)
{
	struct json_scan *s = &m->scan;
	for (size_t i = 0;; i++) {
		p = json_space(p, end, &s->spaced);
		if (p == end)
			return JSON_MORE;
		if (*p == ']') {
			s->end = p + 1;
			return JSON_OK;
		}
		if (i && *p != ',')
			return json_bad(s, p, "expected ',' or ']'");
		if (i)
			p = json_space(p + 1, end, &s->spaced);
		struct node *child = child_at(m, n, i);
		enum json_status status =
		    child != m->node ? value_walk(m, child, p, end, depth + 1) : json_value(p, end, depth + 1, s);
		if (status != JSON_OK)
			return status;
		p = s->end;
	}
}

/* Walks the object or array that begins at p. */
static enum json_status
nested_walk(struct map *m, const struct node *n, const char *p, const char *end, int depth)
{
	return *p == '{' ? members_walk(m, n, p + 1, end, depth) : elements_walk(m, n, p + 1, end, depth);
}

/* Walks the JSON that a string holds, if it begins like an object or an array: then that is the node's value. */
static enum json_status
string_walk(struct map *m, struct node *n, const char *p, const char *end, int depth)
{
	struct json_scan *s = &m->scan;
	enum json_status status = json_string(p, end, s);
	if (status != JSON_OK)
		return status;
	struct json_scan outer = *s;
	bool ignored;
	n->text.len = 0;
	if (outer.escaped)
		json_unescape(&n->text, (struct slice){p, (size_t)(s->end - p)});
	else
		buf_add(&n->text, p + 1, (size_t)(s->end - p) - 2);
	const char *stop = n->text.p + n->text.len, *q = json_space(n->text.p, stop, &ignored);
	node_set(n, p, s);
	if (q == stop || (*q != '{' && *q != '['))
		return JSON_OK;
	*s = (struct json_scan){0};
	status = nested_walk(m, n, q, stop, depth);
	if (status != JSON_OK || !s->end || json_space(s->end, stop, &ignored) != stop)
		m->broken = n;
	else
		node_set(n, q, s);
	/* The place of a fault is the string's: the text in it is no part of the input. */
	n->fault.at = p;
	*s = outer;
	return JSON_OK;
}

static enum json_status
value_walk(struct map *m, struct node *n, const char *p, const char *end, int depth)
{
	struct json_scan *s = &m->scan;
	const struct json_fault refused = s->refuse;
	enum json_status status;
	if (p == end)
		return JSON_MORE;
	bool twice = n->value.n, holds = n->child && *p == '"', spaced = s->spaced;
	s->spaced = s->escaped = false;
	s->refuse = (struct json_fault){0};
	if (holds)
		status = string_walk(m, n, p, end, depth);
	else if (n->child && (*p == '{' || *p == '['))
		status = nested_walk(m, n, p, end, depth);
	else
		status = json_value(p, end, depth, s);
	if (status != JSON_OK)
		return status;
	if (!holds)
		node_set(n, p, s);
	if (twice)
		n->fault = (struct json_fault){"member name given twice", p};
	s->spaced |= spaced;
	if (refused.why)
		s->refuse = refused;
	return JSON_OK;
}

/* --- mapping ------------------------------------------------------------------------ */

/* What stands between a string's quotes, as it is meant; another token as it stands. */
static struct slice
node_text(struct map *m, const struct node *n)
{
	if (*n->value.p != '"')
		return n->value;
	if (!n->escaped)
		return (struct slice){n->value.p + 1, n->value.n - 2};
	m->name.len = 0;
	json_unescape(&m->name, n->value);
	return slice_buf(&m->name);
}

static bool
rule_matches(struct map *m, struct rule *r)
{
	for (int i = 0; i < r->from_n; i++) {
		const struct node *n = &m->node[r->from[i]];
		for (int k = 0; n->value.n && k < r->values_n; k++)
			if (slice_is(node_text(m, n), r->value[k])) {
				r->found = r->from[i];
				return true;
			}
	}
	return false;
}

static bool
is_null(struct slice value)
{
	return value.n && *value.p == 'n';
}

/* A scalar that is not null. */
static bool
is_scalar(struct slice value)
{
	return value.n && *value.p != '{' && *value.p != '[' && !is_null(value);
}

/* All parts of an id, joined: into r->text, as a string. Empty where one is missing. */
static struct slice
rule_join(struct map *m, struct rule *r)
{
	struct buf text = {0};
	for (int i = 0; i < r->from_n; i++) {
		const struct node *n = &m->node[r->from[i]];
		if (!is_scalar(n->value)) {
			buf_free(&text);
			return (struct slice){0};
		}
		buf_text(&text, i ? r->separator : "");
		buf_slice(&text, node_text(m, n));
	}
	r->text.len = 0;
	buf_json(&r->text, slice_buf(&text));
	buf_free(&text);
	r->found = r->from[0];
	return slice_buf(&r->text);
}

/* The value of the first pointer that leads to one; of those that lead to null the last. */
static struct slice
rule_find(struct map *m, struct rule *r)
{
	struct slice value = {0};
	for (int i = 0; i < r->from_n && (!value.n || is_null(value)); i++)
		if (m->node[r->from[i]].value.n) {
			r->found = r->from[i];
			value = m->node[r->found].value;
		}
	return value;
}

static bool
is_digits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

/* The value as the member wants it: a name may be a number, and an integer may be a string. */
static struct slice
rule_convert(struct rule *r, struct slice value)
{
	struct slice inner = {value.p + 1, value.n - 2};
	switch (r->member) {
	case M_ID:
	case M_ACCOUNT_TYPE:
		if (*value.p == '"' || !is_scalar(value))
			return value;
		r->text.len = 0;
		buf_json(&r->text, value);
		return slice_buf(&r->text);
	case M_TOKENS:
	case M_VERSION:
	case M_CALLBACK_TIME_MS:
	case M_ARRIVE_MS:
	case M_OFFSET:
		return *value.p == '"' && is_digits(inner) ? inner : value;
	default:
		return value;
	}
}

/* Notes why the record has to be refused, once. */
static void
refuse(struct record *out, struct json_fault fault, const char *name)
{
	if (!fault.why || out->fault.why)
		return;
	out->fault = fault;
	out->member = slice_of(name);
}

static void
rule_apply(struct map *m, struct rule *r, struct record *out)
{
	struct slice value;
	r->found = -1;
	if (r->values_n) {
		value = rule_matches(m, r) ? SLICE("true") : (struct slice){0};
	} else {
		value = r->constant ? r->constant_token : r->joined ? rule_join(m, r) : rule_find(m, r);
		bool allowed = r->constant || r->member == M_DATA || r->member == M_CALLBACK_TIME_MS;
		if (is_null(value) && (!allowed || r->fallback))
			value = (struct slice){0};
		if (!value.n && r->fallback) {
			value = r->fallback_token;
			r->found = -1;
		}
	}
	/* Only what is taken over can be refused. */
	for (int i = 0; i < r->from_n && !r->values_n; i++)
		if (r->joined || r->from[i] == r->found)
			refuse(out, m->node[r->from[i]].fault, r->name);
	if (r->member == M_COUNT)
		m->skipped = value.n;
	if (r->member == M_COUNT || !value.n)
		return;
	value = rule_convert(r, value);
	out->m[r->member] = value;
	if (r->member == M_DATA && r->found >= 0 && m->node[r->found].spaced) {
		out->spaced[M_DATA] = true;
		json_compact(&out->compact, value);
	} else if (*value.p == '"' && r->member != M_DATA) {
		out->escaped |= (uint64_t)(memchr(value.p, '\\', value.n) != NULL) << r->member;
	}
}

/* Walks one record, or element, and applies the rules to what was found. */
static enum json_status
record_map(struct map *m, const char *p, const char *end, struct record *r)
{
	for (int i = 0; i < m->nodes; i++)
		m->node[i].value = (struct slice){0};
	m->scan = (struct json_scan){0};
	m->skipped = false;
	m->broken = NULL;
	record_clear(r);
	enum json_status status = record_end(r, value_walk(m, &m->node[m->root], p, end, 0), &m->scan, p);
	if (status != JSON_OK)
		return status;
	if (m->broken) {
		r->fault = (struct json_fault){"a string that holds broken JSON", p};
		r->member = m->broken->name;
	} else if (!m->unwrap || m->root) {
		for (int i = 0; i < m->rules; i++)
			rule_apply(m, &m->rule[i], r);
	}
	/* A record that is skipped is not looked at any further. */
	if (m->skipped)
		r->fault = (struct json_fault){0};
	return status;
}

/* Goes to what stands behind p: an element, or the end of all. */
static void
elements_move(struct map *m, const char *p, const char *end)
{
	bool ignored;
	p = json_space(p, end, &ignored);
	if (*p == ',')
		p = json_space(p + 1, end, &ignored);
	m->elements = (struct slice){0};
	if (*p != ']')
		m->elements = (struct slice){p, (size_t)(end - p)};
}

enum json_status
map_parse(struct map *m, const char *p, const char *end, struct record *r)
{
	m->root = 0;
	m->elements = (struct slice){0};
	enum json_status status = record_map(m, p, end, r);
	if (status == JSON_OK && m->unwrap && !m->broken) {
		struct slice all = m->node[m->unwrap].value;
		if (all.n && *all.p == '[')
			elements_move(m, all.p + 1, all.p + all.n);
		else
			refuse(r, (struct json_fault){"no array there", p}, "unwrap");
	}
	return status;
}

void
map_drop(struct map *m)
{
	m->elements = (struct slice){0};
}

bool
map_next(struct map *m, struct slice *raw, struct record *r)
{
	if (!m->elements.p)
		return false;
	const char *p = m->elements.p, *end = p + m->elements.n;
	m->root = 1;
	/* It is JSON: it was walked over before. */
	record_map(m, p, end, r);
	*raw = (struct slice){p, (size_t)(r->end - p)};
	elements_move(m, r->end, end);
	return true;
}

bool
map_has_offset(const struct map *m)
{
	for (int i = 0; i < m->rules; i++)
		if (m->rule[i].member == M_OFFSET)
			return true;
	return false;
}

bool
map_skipped(const struct map *m)
{
	return m->skipped;
}

bool
map_unwraps(const struct map *m)
{
	return m->unwrap;
}

bool
map_left(const struct map *m)
{
	return m->elements.p;
}

/* --- explaining --------------------------------------------------------------------- */

static void
pointers_add(const struct map *m, const struct rule *r, struct buf *b)
{
	for (int i = 0; i < r->from_n; i++) {
		const char *pointer = m->node[r->from[i]].pointer;
		buf_text(b, !i ? "" : r->joined ? " and " : " or ");
		buf_safe(b, *pointer ? slice_of(pointer) : SLICE("the whole record"));
	}
}

void
map_reason(const struct map *m, struct buf *reason)
{
	if (m->unwrap && reason->len > 7 && memcmp(reason->p, "unwrap:", 7) == 0)
		buf_printf(reason, " (mapped from %s)", m->node[m->unwrap].pointer);
	for (int i = 0; i < m->rules; i++) {
		const struct rule *r = &m->rule[i];
		size_t n = strlen(r->name);
		if (r->from_n && reason->len > n && memcmp(reason->p, r->name, n) == 0 && reason->p[n] == ':') {
			buf_text(reason, " (mapped from ");
			pointers_add(m, r, reason);
			buf_char(reason, ')');
			return;
		}
	}
}

void
map_explain(const struct map *m, const struct record *r, struct buf *b)
{
	for (int i = 0; i < m->rules; i++) {
		const struct rule *rule = &m->rule[i];
		struct slice value = rule->member < M_COUNT ? r->m[rule->member]
				     : m->skipped	    ? SLICE("true")
							    : SLICE("false");
		if (rule->member == M_DATA && r->spaced[M_DATA])
			value = slice_buf(&r->compact);
		buf_printf(b, "%s\t", rule->name);
		buf_safe(b, value.n ? value : SLICE("missing"));
		buf_char(b, '\t');
		if (rule->found >= 0 && !rule->joined)
			buf_safe(b, *m->node[rule->found].pointer ? slice_of(m->node[rule->found].pointer)
								  : SLICE("the whole record"));
		else if (rule->constant)
			buf_text(b, "constant");
		else if (value.n && !rule->joined && !rule->values_n && rule->member < M_COUNT)
			buf_text(b, "default");
		else
			pointers_add(m, rule, b);
		buf_char(b, '\n');
	}
}

/* --- loading ------------------------------------------------------------------------ */

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
	if (l->map->nodes == NODES)
		refused(l, "pointers", "too many names in all");
	l->map->node[l->map->nodes] = (struct node){.index = SIZE_MAX};
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

static struct rule *
rule_named(struct loading *l, const char *key)
{
	struct map *m = l->map;
	for (int i = 0; i < m->rules; i++)
		if (strcmp(m->rule[i].name, key) == 0)
			return &m->rule[i];
	struct rule r = {.member = M_COUNT, .separator = ":", .found = -1};
	for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++)
		if (strcmp(member_name[mapped[i]], key) == 0)
			r.member = mapped[i];
	if (r.member == M_COUNT && strcmp(key, "skip") != 0)
		refused(l, key, "no member of an update can be mapped by this name");
	r.name = r.member < M_COUNT ? member_name[r.member] : "skip";
	m->rule[m->rules] = r;
	return &m->rule[m->rules++];
}

static void
from_add(struct loading *l, struct rule *r, const char *text)
{
	if (r->from_n == POINTERS)
		refused(l, r->name, "more than 8 pointers");
	/* The record is the first node, an element of it the second. */
	r->from[r->from_n++] = pointer_read(l, r->name, text, l->map->unwrap ? 1 : 0);
}

/* A member's value: a pointer, or a constant. */
static void
rule_short(struct loading *l, const char *key, const char *value)
{
	struct rule *r = rule_named(l, key);
	if (r->from_n || r->constant)
		refused(l, key, "given twice; alternatives are a list under `from`");
	if (!*value || *value == '/')
		from_add(l, r, value);
	else
		r->constant = mem_string(slice_of(value));
}

/* A key of a member's mapping. */
static void
rule_set(struct loading *l, const char *member, const char *key, const char *value)
{
	struct rule *r = rule_named(l, member);
	if (strcmp(key, "from") == 0 || strcmp(key, "join") == 0) {
		r->joined = *key == 'j';
		from_add(l, r, value);
	} else if (strcmp(key, "separator") == 0) {
		r->separator = mem_string(slice_of(value));
	} else if (strcmp(key, "value") == 0) {
		r->constant = mem_string(slice_of(value));
	} else if (strcmp(key, "default") == 0) {
		r->fallback = mem_string(slice_of(value));
	} else if (strcmp(key, "values") == 0 && (r->member == M_DELETED || r->member == M_COUNT)) {
		if (r->values_n == VALUES)
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
	if (*section)
		rule_set(l, section, key, value);
	else if (strcmp(key, "unwrap") != 0)
		rule_short(l, key, value);
	return 0;
}

/* Pointers are relative to the elements: so `unwrap` is looked for first, wherever it stands. */
static int
unwrap_read(void *context, const char *section, const char *key, const char *value, int line)
{
	struct loading *l = context;
	if (*section || strcmp(key, "unwrap") != 0)
		return 0;
	l->line = line;
	if (l->map->unwrap)
		refused(l, key, "given twice");
	node_new(l); /* the element */
	l->map->unwrap = pointer_read(l, key, value, 0);
	if (l->map->unwrap == 0)
		refused(l, key, "an array of records is no map's: reader reads it as it is");
	return 0;
}

/* A constant as a JSON token. */
static struct slice
constant_token(const struct loading *l, const struct rule *r, const char *text)
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
		break;
	case M_DELETED:
		right = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
		break;
	case M_OFFSET:
	case M_COUNT:
		right = false;
		break;
	default:
		right = json_integer(slice_of(text), UINT64_MAX, &ignored) == 0 ||
			(r->member == M_CALLBACK_TIME_MS && strcmp(text, "null") == 0);
	}
	if (!right)
		die(EXIT_PERMANENT, "map \"%s\": %s: \"%s\" is no value for it", l->name, r->name, text);
	return slice_of(text);
}

static void
rules_check(const struct loading *l)
{
	struct map *m = l->map;
	static const enum member needed[] = {M_ID, M_ACCOUNT_TYPE, M_TOKENS, M_VERSION, M_CALLBACK_TIME_MS};
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		bool there = false;
		for (int k = 0; k < m->rules; k++)
			there |= m->rule[k].member == needed[i];
		if (!there)
			die(EXIT_PERMANENT, "map \"%s\" does not say what %s is%s", l->name, member_name[needed[i]],
			    needed[i] == M_CALLBACK_TIME_MS ? " (null: no callback)" : "");
	}
	for (int i = 0; i < m->rules; i++) {
		struct rule *r = &m->rule[i];
		bool matches = r->values_n || r->member == M_COUNT;
		if (r->joined && r->member != M_ID && r->member != M_ACCOUNT_TYPE)
			die(EXIT_PERMANENT, "map \"%s\": %s: only id and accountType are joined", l->name, r->name);
		if (matches && (!r->values_n || !r->from_n || r->constant || r->fallback || r->joined))
			die(EXIT_PERMANENT, "map \"%s\": %s wants `from` and `values`", l->name, r->name);
		if (!matches && !r->from_n == !r->constant)
			die(EXIT_PERMANENT, "map \"%s\": %s wants either pointers or a constant", l->name, r->name);
		if (r->constant)
			r->constant_token = constant_token(l, r, r->constant);
		if (r->fallback)
			r->fallback_token = constant_token(l, r, r->fallback);
	}
	if (m->unwrap && map_has_offset(m))
		die(EXIT_PERMANENT, "map \"%s\": unwrap makes several records of one, which cannot share its offset",
		    l->name);
}

struct map *
map_load(const char *name)
{
	struct loading l = {.map = mem_grow(NULL, sizeof *l.map), .name = name};
	config_fn *const pass[] = {unwrap_read, line_read};
	const char *text = NULL;
	char error[256];
	*l.map = (struct map){0};
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
	for (int i = 0; i < 2; i++) {
		int status = text ? config_read_text(text, true, pass[i], &l, error, sizeof error)
				  : config_read(name, true, pass[i], &l, error, sizeof error);
		if (status != 0)
			die(status == -2 ? EXIT_TEMPORARY : EXIT_PERMANENT, "map \"%s\": %s", name, error);
	}
	rules_check(&l);
	return l.map;
}
