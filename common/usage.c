/* See usage.h. */
#include "usage.h"

#include "log.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS = 100, HELP_COLUMN = 34, GUESS_BYTES = 32 };

/* Prints text in columns from `indent` to COLUMNS, broken between words; the cursor is at `at`. */
static void
usage_wrap(const char *text, int at, int indent)
{
	for (const char *p = text; *p;) {
		int n = (int)strcspn(p, " ");
		if (at > indent && at + 1 + n > COLUMNS) {
			printf("\n%*s", indent, "");
			at = indent;
		} else if (p != text) {
			putchar(' ');
			at++;
		}
		printf("%.*s", n, p);
		at += n;
		p += n;
		p += strspn(p, " ");
	}
	putchar('\n');
}

/* One line: what stands left, its help behind. */
static void
usage_row(const char *left, const char *help)
{
	int n = printf("  %s", left);
	if (n > HELP_COLUMN - 2) {
		putchar('\n');
		n = 0;
	}
	printf("%*s", HELP_COLUMN - n, "");
	usage_wrap(help, HELP_COLUMN, HELP_COLUMN);
}

static void
usage_options(const struct program *program, const struct option_spec *specs)
{
	for (; specs->name; specs++) {
		if (!specs->help)
			continue;
		struct buf left = {0}, help = {0};
		if (specs->letter)
			buf_printf(&left, "-%c, --%s", specs->letter, specs->name);
		else
			buf_printf(&left, "    --%s", specs->name);
		if (specs->argument)
			buf_printf(&left, " %s", specs->argument);
		for (unsigned i = 0, n = 0; specs->verbs && program->verbs && program->verbs[i].name; i++)
			if (specs->verbs >> i & 1)
				buf_printf(&help, "%s%s", n++ ? ", " : "", program->verbs[i].name);
		buf_printf(&help, "%s%s", help.len ? ": " : "", specs->help);
		usage_row(buf_cstr(&left), buf_cstr(&help));
		buf_free(&left);
		buf_free(&help);
	}
}

void
usage_print(const struct program *program, const struct option_spec *own, const struct option_spec *common)
{
	printf("usage: %s %s\n", program->name, program->usage);
	usage_wrap(program->purpose, 0, 0);
	putchar('\n');
	usage_options(program, own);
	usage_options(program, common);
	for (const struct option_verb *v = program->verbs; v && v->name; v++) {
		struct buf left = {0};
		if (v == program->verbs)
			printf("\nverbs:\n");
		buf_printf(&left, "%s%s%s", v->name, v->operand ? " " : "", v->operand ? v->operand : "");
		usage_row(buf_cstr(&left), v->help);
		buf_free(&left);
	}
	if (program->more)
		printf("\n%s", program->more);
	if (fflush(stdout) != 0)
		die(EXIT_TEMPORARY, "could not write standard output: %m");
	exit(EXIT_OK);
}

static unsigned
usage_least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Letters to add, drop, change or swap with their neighbour to make one name of the other (optimal string alignment).
 * Both are shorter than GUESS_BYTES. */
static unsigned
usage_distance(const char *a, const char *b)
{
	unsigned d[GUESS_BYTES][GUESS_BYTES];
	unsigned n = (unsigned)strlen(a), m = (unsigned)strlen(b);
	for (unsigned i = 0; i <= n; i++)
		for (unsigned j = 0; j <= m; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = usage_least(
			    usage_least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = usage_least(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[n][m];
}

void
usage_try(struct usage_guess *g, const char *name)
{
	size_t n = strlen(g->wrong);
	if (n < 2 || n >= GUESS_BYTES || strlen(name) >= GUESS_BYTES)
		return;
	/* The beginning of a name is near to it. */
	unsigned d = n >= 3 && strncmp(name, g->wrong, n) == 0 ? 1 : usage_distance(g->wrong, name);
	if (d <= (n < 5 ? 1 : 2) && (!g->best || d < g->distance)) {
		g->best = name;
		g->distance = d;
	}
}
