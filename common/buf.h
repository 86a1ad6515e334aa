/* Growable byte buffers and slices, the two shapes that text has everywhere in
 * acctflow. A slice borrows bytes from whoever owns them; a buffer owns its own.
 * Out of memory is fatal and says so, so that no caller needs a path for it. */
#ifndef ACCTFLOW_BUF_H
#define ACCTFLOW_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *p;
	size_t n;
};

struct buf {
	char *p;
	size_t len, cap;
};

#define SLICE(literal) ((struct slice){literal, sizeof(literal) - 1})

/* malloc, realloc and strdup that end the program (exit 111) when memory is out. */
void *mem_alloc(size_t n);
void *mem_grow(void *p, size_t n);
char *mem_string(struct slice s);

/* Makes room for `more` bytes after len; the pointer may move. buf_grow is for when there is none. */
void buf_grow(struct buf *b, size_t more);

static inline void
buf_reserve(struct buf *b, size_t more)
{
	if (more > b->cap - b->len)
		buf_grow(b, more);
}

/* These are inline because each record takes some dozens of them. */
static inline void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	buf_reserve(b, n);
	if (!b->p) /* never; for analysers */
		__builtin_unreachable();
	memcpy(b->p + b->len, p, n);
	b->len += n;
}

static inline void
buf_char(struct buf *b, char c)
{
	buf_reserve(b, 1);
	b->p[b->len++] = c;
}

static inline void
buf_slice(struct buf *b, struct slice s)
{
	buf_add(b, s.p, s.n);
}

static inline void
buf_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_u64(struct buf *b, uint64_t v);
void buf_i64(struct buf *b, int64_t v);
/* Appends digits in groups of three, "12,345"; what is no integer as it is. */
void buf_number(struct buf *b, struct slice digits);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends `s` as a JSON string with its quotes. `s` must be valid UTF-8; the shortest escapes are used, so equal
 * strings give equal bytes. */
void buf_json(struct buf *b, struct slice s);

/* Appends `s` so that it can be printed on a terminal: control characters, bidirectional controls and invalid UTF-8
 * become visible escapes. */
void buf_safe(struct buf *b, struct slice s);

void buf_base64(struct buf *b, struct slice s);

/* Drops the first n bytes. */
void buf_drop(struct buf *b, size_t n);

/* The content as a C string; valid until the buffer changes. */
const char *buf_cstr(struct buf *b);
void buf_free(struct buf *b);

bool slice_is(struct slice s, const char *text);
bool slice_same(struct slice a, struct slice b);
struct slice slice_of(const char *text);
struct slice slice_buf(const struct buf *b);

#endif
