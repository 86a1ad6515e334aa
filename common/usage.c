/* See usage.h. */
#include "usage.h"

#include "log.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS = 100, HELP_COLUMN = 34 };

/* Prints words up to COLUMNS, further lines from `indent` on, where the cursor is. */
static void
usage_wrap(const char *text, int indent)
{
	int at = indent;
	while (*text) {
		int n = (int)strcspn(text, " ");
		if (at > indent && at + 1 + n > COLUMNS) {
			printf("\n%*s", indent, "");
			at = indent;
		}
		at += printf("%s%.*s", at > indent ? " " : "", n, text);
		text += n + (text[n] == ' ');
	}
	putchar('\n');
}

/* One line: what stands left, its help behind. */
static void
usage_row(struct buf *left, const char *help)
{
	int n = printf("  %s", buf_cstr(left));
	if (n > HELP_COLUMN - 2)
		n = printf("\n") - 1;
	printf("%*s", HELP_COLUMN - n, "");
	usage_wrap(help, HELP_COLUMN);
	left->len = 0;
}

void
usage_print(const struct program *program, const struct option_spec *specs)
{
	struct buf left = {0}, help = {0};
	printf("usage: %s %s\n", program->name, program->usage);
	usage_wrap(program->purpose, 0);
	putchar('\n');
	for (; specs->name; specs++) {
		if (!specs->help)
			continue;
		const char letter[] = {'-', specs->letter, ',', '\0'};
		buf_printf(&left, "%s --%s %s", specs->letter ? letter : "   ", specs->name,
		    specs->argument ? specs->argument : "");
		for (unsigned i = 0; specs->verbs && program->verbs && program->verbs[i].name; i++)
			if (specs->verbs >> i & 1)
				buf_printf(&help, "%s%s", help.len ? ", " : "", program->verbs[i].name);
		buf_printf(&help, "%s%s", help.len ? ": " : "", specs->help);
		usage_row(&left, buf_cstr(&help));
		help.len = 0;
	}
	for (const struct option_verb *v = program->verbs; v && v->name; v++) {
		printf("%s", v == program->verbs ? "\nverbs:\n" : "");
		buf_printf(&left, "%s %s", v->name, v->operand ? v->operand : "");
		usage_row(&left, v->help);
	}
	if (program->more)
		printf("\n%s", program->more);
	usage_end();
}

void
usage_end(void)
{
	if (fflush(stdout) != 0)
		die(EXIT_TEMPORARY, "could not write standard output: %m");
	exit(EXIT_OK);
}

/* How many letters of the longer name are left between a common beginning and a common end. */
void
usage_try(struct usage_guess *g, const char *name)
{
	size_t n = strlen(g->wrong), m = strlen(name), least = n < m ? n : m, head = 0, tail = 0;
	while (head < least && g->wrong[head] == name[head])
		head++;
	while (tail < least - head && g->wrong[n - 1 - tail] == name[m - 1 - tail])
		tail++;
	/* The beginning of a name is near to it. */
	size_t d = n >= 3 && head == n ? 1 : (n > m ? n : m) - head - tail;
	if (n >= 2 && d <= (n < 5 ? 1 : 2) && (!g->best || d < g->distance)) {
		g->best = name;
		g->distance = d;
	}
}
