/* See map.h. The pointers of a map form a tree of names. The record is walked beside it:
 * where a name of the tree stands, its value is noted, and what stands beside the tree is
 * only scanned. A string on the way of a pointer holds JSON text, and is walked in its turn. */
#include "map.h"

/* --- walking ------------------------------------------------------------------------ */

static enum json_status value_walk(struct map *m, struct map_node *n, const char *p, const char *end, int depth);

/* Notes what was scanned last, from p on, as the node's value. */
static void
node_set(struct map_node *n, const char *p, const struct json_scan *s)
{
	n->value = (struct slice){p, (size_t)(s->end - p)};
	n->spaced = s->spaced;
	n->escaped = s->escaped;
	n->fault = s->refuse;
}

/* A node's child: by its name, or an array's element by its index. Where there is none, the record, which is nobody's.
 */
static struct map_node *
child_find(struct map *m, const struct map_node *n, struct slice name, size_t index)
{
	for (int i = n->child; i; i = m->node[i].sibling)
		if (name.p ? slice_same(m->node[i].name, name) : m->node[i].index == index)
			return &m->node[i];
	return m->node;
}

/* By the token that stands in the record. */
static struct map_node *
child_named(struct map *m, const struct map_node *n, struct slice token, bool escaped)
{
	if (!escaped)
		return child_find(m, n, (struct slice){token.p + 1, token.n - 2}, SIZE_MAX);
	m->name.len = 0;
	json_unescape(&m->name, token);
	return child_find(m, n, slice_buf(&m->name), SIZE_MAX);
}

static enum json_status
child_walk(struct map *m, struct map_node *child, const char *p, const char *end, int depth)
{
	return child != m->node ? value_walk(m, child, p, end, depth) : json_value(p, end, depth, &m->scan);
}

/* Walks an object's members, from behind the brace. */
static enum json_status
members_walk(struct map *m, const struct map_node *n, const char *p, const char *end, int depth)
{
	struct json_scan *s = &m->scan;
	for (struct lead *lead = n->lead;; lead += lead < n->lead + LEADS - 1) {
		struct map_node *child;
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
		enum json_status status = child_walk(m, child, p, end, depth + 1);
		if (status != JSON_OK)
			return status;
		p = s->end;
	}
}

static enum json_status
elements_walk(struct map *m, const struct map_node *n, const char *p, const char *end, int depth)
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
		enum json_status status = child_walk(m, child_find(m, n, (struct slice){0}, i), p, end, depth + 1);
		if (status != JSON_OK)
			return status;
		p = s->end;
	}
}

/* Walks the object or array that begins at p. */
static enum json_status
nested_walk(struct map *m, const struct map_node *n, const char *p, const char *end, int depth)
{
	return *p == '{' ? members_walk(m, n, p + 1, end, depth) : elements_walk(m, n, p + 1, end, depth);
}

/* Walks the JSON that a string holds, if it begins like an object or an array: then that is the node's value. */
static enum json_status
string_walk(struct map *m, struct map_node *n, const char *p, const char *end, int depth)
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
	node_set(n, p, s);
	if (n->text.len == 0)
		return JSON_OK;
	const char *stop = n->text.p + n->text.len, *q = json_space(n->text.p, stop, &ignored);
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
value_walk(struct map *m, struct map_node *n, const char *p, const char *end, int depth)
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
node_text(struct map *m, const struct map_node *n)
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
rule_matches(struct map *m, struct map_rule *r)
{
	for (int i = 0; i < r->from_n; i++) {
		const struct map_node *n = &m->node[r->from[i]];
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
rule_join(struct map *m, struct map_rule *r)
{
	r->parts.len = 0;
	for (int i = 0; i < r->from_n; i++) {
		const struct map_node *n = &m->node[r->from[i]];
		if (!is_scalar(n->value))
			return (struct slice){0};
		buf_text(&r->parts, i ? r->separator : "");
		buf_slice(&r->parts, node_text(m, n));
	}
	r->text.len = 0;
	buf_json(&r->text, slice_buf(&r->parts));
	r->found = r->from[0];
	return slice_buf(&r->text);
}

/* The value of the first pointer that leads to one; of those that lead to null the last. */
static struct slice
rule_find(struct map *m, struct map_rule *r)
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
rule_convert(struct map_rule *r, struct slice value)
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
rule_apply(struct map *m, struct map_rule *r, struct record *out)
{
	struct slice value;
	r->found = -1;
	if (r->values_n) {
		value = rule_matches(m, r) ? SLICE("true") : (struct slice){0};
	} else {
		value = r->constant.n ? r->constant : r->joined ? rule_join(m, r) : rule_find(m, r);
		bool allowed = r->constant.n || r->member == M_DATA || r->member == M_CALLBACK_TIME_MS;
		if (is_null(value) && (!allowed || r->fallback.n))
			value = (struct slice){0};
		if (!value.n && r->fallback.n) {
			value = r->fallback;
			r->found = -1;
		}
	}
	/* Only what is taken over can be refused. */
	for (int i = 0; i < r->from_n && !r->values_n; i++)
		if (r->joined || r->from[i] == r->found)
			refuse(out, m->node[r->from[i]].fault, r->name);
	if (r->member == MAP_SKIP)
		m->skipped = value.n;
	if (r->member == MAP_PARTITION)
		m->partition = value;
	if (r->member >= M_COUNT || !value.n)
		return;
	value = rule_convert(r, value);
	out->m[r->member] = value;
	if (r->member != M_DATA) {
		out->escaped |= (uint64_t)(memchr(value.p, '\\', value.n) != NULL) << r->member;
		return;
	}
	out->spaced[M_DATA] = r->found >= 0 && m->node[r->found].spaced;
	if (out->spaced[M_DATA])
		json_compact(&out->compact, value);
}

/* Walks a record, or what one is unwrapped from. */
static enum json_status
record_walk(struct map *m, int root, const char *p, const char *end, struct record *r)
{
	for (int i = 0; i < m->nodes; i++)
		m->node[i].value = (struct slice){0};
	m->scan = (struct json_scan){0};
	m->skipped = false;
	m->partition = (struct slice){0};
	m->broken = NULL;
	record_clear(r);
	enum json_status status = record_end(r, value_walk(m, &m->node[root], p, end, 0), &m->scan, p);
	if (status == JSON_OK && m->broken) {
		r->fault = (struct json_fault){"a string that holds broken JSON", p};
		r->member = m->broken->name;
	}
	return status;
}

/* Walks one and applies the rules to what was found. */
static enum json_status
record_map(struct map *m, const char *p, const char *end, struct record *r)
{
	enum json_status status = record_walk(m, MAP_RECORD, p, end, r);
	if (status != JSON_OK || m->broken)
		return status;
	for (int i = 0; i < m->rules; i++)
		rule_apply(m, &m->rule[i], r);
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
	m->elements = (struct slice){0};
	if (!m->unwrap)
		return record_map(m, p, end, r);
	enum json_status status = record_walk(m, MAP_WRAPPER, p, end, r);
	struct slice all = m->node[m->unwrap].value;
	if (status != JSON_OK || m->broken)
		return status;
	if (all.n && *all.p == '[')
		elements_move(m, all.p + 1, all.p + all.n);
	else
		refuse(r, (struct json_fault){"no array there", p}, "unwrap");
	return status;
}

bool
map_next(struct map *m, struct slice *raw, struct record *r)
{
	if (!m->elements.p)
		return false;
	const char *p = m->elements.p, *end = p + m->elements.n;
	/* It is JSON: it was walked over before. */
	record_map(m, p, end, r);
	*raw = (struct slice){p, (size_t)(r->end - p)};
	elements_move(m, r->end, end);
	return true;
}

/* --- explaining --------------------------------------------------------------------- */

static struct slice
pointer_shown(const struct map *m, int node)
{
	const char *pointer = m->node[node].pointer;
	return *pointer ? slice_of(pointer) : SLICE("the whole record");
}

static void
pointers_add(const struct map *m, const struct map_rule *r, struct buf *b)
{
	for (int i = 0; i < r->from_n; i++) {
		buf_text(b, !i ? "" : r->joined ? " and " : " or ");
		buf_safe(b, pointer_shown(m, r->from[i]));
	}
}

void
map_reason(const struct map *m, struct buf *reason)
{
	if (m->unwrap && reason->len > 7 && memcmp(reason->p, "unwrap:", 7) == 0)
		buf_printf(reason, " (mapped from %s)", m->node[m->unwrap].pointer);
	for (int i = 0; i < m->rules; i++) {
		const struct map_rule *r = &m->rule[i];
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
		const struct map_rule *rule = &m->rule[i];
		struct slice value = rule->member < M_COUNT	     ? r->m[rule->member]
				     : rule->member == MAP_PARTITION ? m->partition
				     : m->skipped		     ? SLICE("true")
								     : SLICE("false");
		if (rule->member == M_DATA && r->spaced[M_DATA])
			value = slice_buf(&r->compact);
		buf_printf(b, "%s\t", rule->name);
		buf_safe(b, value.n ? value : SLICE("missing"));
		buf_char(b, '\t');
		if (rule->found >= 0 && !rule->joined)
			buf_safe(b, pointer_shown(m, rule->found));
		else if (rule->constant.n)
			buf_text(b, "constant");
		else if (value.n && !rule->joined && !rule->values_n && rule->member < M_COUNT)
			buf_text(b, "default");
		else
			pointers_add(m, rule, b);
		buf_char(b, '\n');
	}
}
