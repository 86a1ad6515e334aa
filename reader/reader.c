/* reader: the door for what comes from outside. Takes records out of files, of standard
 * input or of a spool, checks each against the contract, and emits it in its place, at its
 * time. Everything behind it may rely on what passes here. Its options, and what has to be
 * right before the stream begins. */
#include "log.h"
#include "loop.h"
#include "map_load.h"
#include "metrics.h"
#include "options.h"
#include "sandbox.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>

enum { SOURCE_BYTES = 1024 };

/* "OFFSET:HASH" */
static int
check_set(const char *text, void *value)
{
	struct check *c = value;
	const char *colon = strchr(text, ':');
	if (!*text)
		return 0;
	if (!colon || json_integer((struct slice){text, (size_t)(colon - text)}, VERSION_MAX, &c->offset) != 0 ||
	    json_integer(slice_of(colon + 1), UINT64_MAX, &c->hash) != 0)
		return -1;
	c->text = mem_string(slice_of(text));
	return 0;
}

/* Where the source is kafka:NAME/TOPIC/P, or that and #2, its records are to be of TOPIC/P. */
static void
prepare_partition(struct stream *st, struct slice source)
{
	const char *again = memrchr(source.p, '#', source.n);
	size_t end = again ? (size_t)(again - source.p) : source.n, at = end;
	if (source.n < 6 || memcmp(source.p, "kafka:", 6) != 0)
		return;
	for (int slashes = 0; at > 0 && (slashes += source.p[at - 1] == '/') < 2; at--)
		continue;
	if (at > 0)
		buf_json(&st->partition, (struct slice){source.p + at, end - at});
}

/* Sets the source's name. */
static void
prepare_source(struct stream *st)
{
	static struct buf name, token;
	if (!st->source) {
		char *const spool[] = {(char *)(uintptr_t)st->spool.path};
		files_name(&name, *spool ? spool : st->paths, *spool ? 1 : st->paths_n);
		st->source = buf_cstr(&name);
	}
	struct slice source = slice_of(st->source);
	if (!name_is_plain(source))
		die(EXIT_PERMANENT, "--source: the name is not UTF-8, or it has a control character");
	if (source.n < 1 || source.n > SOURCE_BYTES)
		die(EXIT_PERMANENT, "the source's name has %zu bytes, not 1 to %d: give it one by --source", source.n,
		    SOURCE_BYTES);
	log_source(st->source);
	buf_json(&token, source);
	st->token = slice_buf(&token);
	if (st->map)
		prepare_partition(st, source);
}

/* Refuses options that do not go together, and inputs that cannot be read. Nothing was emitted yet. */
static void
prepare_inputs(struct stream *st)
{
	bool whole = st->shard.count == 1;
	if (st->lines && (st->follows || st->spool.path || st->copier.folder))
		die(EXIT_PERMANENT, "--lines is for files and standard input, each read by itself");
	if (st->follows && st->paths_n != 1)
		die(EXIT_PERMANENT, "--follow wants one file, not %d", st->paths_n);
	if (st->follows && file_is_stdin(st->paths[0]))
		die(EXIT_PERMANENT, "--follow wants a file, not standard input");
	if (st->follows && st->arrival.mode == ARRIVAL_OFFSET)
		die(EXIT_PERMANENT, "--arrival offset reads the input to its end first and cannot go with --follow");
	if (st->follows && !whole)
		die(EXIT_PERMANENT, "--follow is for the whole of a source: its shards read a spool, see --copy-to");
	if ((st->spool.path || st->copier.folder) && !st->follows && (st->paths_n != 1 || !file_is_stdin(st->paths[0])))
		die(EXIT_PERMANENT, "--spool and --copy-to are not for files, which can be read twice");
	if (st->spool.path && (st->follows || st->copier.folder))
		die(EXIT_PERMANENT, "--spool reads what --copy-to writes, in another process");
	if (!st->spool.path && !st->copier.folder)
		files_check(st->paths, st->paths_n, st->follows ? "--follow" : whole ? NULL : "--shard");
	else if (!st->spool.path && !st->follows)
		files_check(st->paths, 1, NULL);
}

/* Loads the map. A stream with a position of its own has no order but that. */
static void
prepare_map(struct stream *st)
{
	struct map *map = st->map ? map_load(st->map) : NULL;
	st->split.map = st->copier.map = map;
	if (st->explains && !map)
		die(EXIT_PERMANENT, "--explain is for --map");
	if (st->resumes && (!map || !map->has_offset))
		die(EXIT_PERMANENT, "--resume is for a map that gives each record its offset");
	if (map && map->unwrap && st->lines)
		die(EXIT_PERMANENT, "map \"%s\" unwraps: with --lines a line is one record", st->map);
	if (map && st->lines)
		map->has_offset = false;
	if (map && map->has_offset) {
		if (!st->paced)
			st->mode = ARRIVAL_NONE;
		if (st->mode != ARRIVAL_NONE && st->mode != ARRIVAL_RECORDED)
			die(EXIT_PERMANENT,
			    "map \"%s\" gives each record its offset: only --arrival none and recorded go with it",
			    st->map);
	}
	st->arrival.mode = (enum arrival_mode)st->mode;
}

static void
prepare(struct stream *st)
{
	if (st->fingerprint && *st->fingerprint)
		files_recognise(st->paths, st->paths_n, st->fingerprint);
	/* Small enough that tools that keep numbers in doubles show it unharmed. */
	if (!st->seeded && getrandom(&st->arrival.seed, sizeof st->arrival.seed, 0) == sizeof st->arrival.seed)
		st->arrival.seed >>= 11;
	sample_source(&st->sample, st->arrival.seed, slice_of(st->source));
	st->enough = (st->counted && st->count == 0) || (st->limited && st->to < st->from);
	st->first = st->catching_up && st->catch_up >= st->from ? st->catch_up + 1 : st->from;
}

/* From here on the inputs can be read and nothing else opened. Nothing of the input was looked at. */
static void
restrict_rights(struct stream *st)
{
	struct sandbox c;
	if (st->follows)
		follow_open(&st->follow, st->paths[0], NULL, 0);
	if (st->spool.path) {
		spool_open(&st->spool);
		spool_enter(&st->spool, st->shard.index);
	}
	sandbox_begin(&c, SANDBOX_CALLS);
	if (st->spool.path)
		sandbox_read(&c, st->spool.path);
	else if (st->follows)
		follow_sandbox(&c, st->paths[0], 0);
	else
		for (int i = 0; i < st->paths_n; i++)
			if (!file_is_stdin(st->paths[i]))
				sandbox_read(&c, st->paths[i]);
	sandbox_end(&c);
}

/* Prints what the map makes of the first record. Returns the exit code. */
static int
explain(struct stream *st)
{
	struct split *s = &st->split;
	enum split_status status;
	const char *path = st->paths[0];
	st->fd = file_is_stdin(path) ? 0 : open(path, O_RDONLY | O_CLOEXEC);
	if (st->fd < 0)
		die(EXIT_PERMANENT, "could not open file \"%s\": %m", path);
	output_open(&st->out, 1);
	split_start(s, st->fd, false);
	while ((status = split_next(s)) == SPLIT_MORE)
		if (split_read(s) < 0 && errno != EAGAIN)
			die(EXIT_TEMPORARY, "could not read \"%s\": %m", path);
	if (status != SPLIT_RECORD)
		die(EXIT_PERMANENT, "\"%s\" %s", path, status == SPLIT_BROKEN ? buf_cstr(&s->error) : "has no record");
	bool rejected = s->reason.len || (!s->skipped && update_read(&s->record, &st->update, &s->reason) != 0);
	map_explain(s->map, &s->record, &st->out.buf);
	if (rejected)
		map_reason(s->map, &s->reason);
	buf_printf(&st->out.buf, "%s%s\n",
	    rejected	 ? "rejected: "
	    : s->skipped ? "skipped"
			 : "an update",
	    buf_cstr(&s->reason));
	if (output_flush(&st->out) != 0)
		output_failed();
	return rejected ? EXIT_REJECTED : EXIT_OK;
}

/* Emits the stream. Returns the exit code. */
static int
run(struct stream *st)
{
	prepare_source(st);
	prepare(st);
	st->style = display_style((enum format)st->format, 1);
	output_open(&st->out, 1);
	metrics_open("reader");
	restrict_rights(st);
	metrics_set(METRIC_BEGUN, st->from);
	metrics_set(METRIC_EMITTED, st->from);
	metrics_set(METRIC_SIZE, st->follows || st->spool.path ? 0 : files_size(st->paths, st->paths_n));
	stream_emit(st);
	if (st->follows)
		follow_end(&st->follow);
	return st->code ? st->code : st->strict && st->refused ? EXIT_REJECTED : EXIT_OK;
}

static struct stream reader = {
    .arrival = {.delay = {"0:1000", 0, 1000000000}, .speed = {"1", 1000000}},
    .epoch = OPTION_EPOCH_DEFAULT,
    .shard = SHARD_WHOLE,
    .copier.ahead = 1 << 20,
};

/* clang-format off */
static const struct option_spec specs[] = {
	{.name = "arrival", .letter = 'a', .type = OPTION_CHOICE, .value = &reader.mode, .given = &reader.paced,
	 .argument = "gap|offset|recorded|none",
	 .help = "random gaps; a random time each; their arriveMs; at once (default: gap)"},
	{.name = "delay-ms", .letter = 'D', .type = OPTION_CUSTOM, .value = &reader.arrival.delay, .set = delay_set,
	 .argument = "MIN:MAX", .form = "MIN:MAX, two numbers of milliseconds, the first not larger",
	 .help = "the random time's range (default: 0:1000)"},
	{.name = "speed", .letter = 'x', .type = OPTION_CUSTOM, .value = &reader.arrival.speed, .set = speed_set,
	 .argument = "X", .form = "a decimal number above 0", .help = "times as fast (default: 1)"},
	{.name = "seed", .letter = 's', .type = OPTION_COUNT, .value = &reader.arrival.seed, .argument = "N",
	 .max = UINT64_MAX, .given = &reader.seeded,
	 .help = "the same seed gives the same stream (default: random)"},
	{.name = "shard", .type = OPTION_CUSTOM, .value = &reader.shard, .set = shard_set, .argument = "I/N",
	 .help = "only the accounts of shard I of N (default: 0/1)"},
	{.name = "from", .letter = 'o', .type = OPTION_COUNT, .value = &reader.from, .argument = "OFFSET",
	 .max = VERSION_MAX - 1, .help = "emit nothing before this offset"},
	{.name = "to", .letter = 'O', .type = OPTION_COUNT, .value = &reader.to, .argument = "OFFSET",
	 .max = VERSION_MAX - 1, .given = &reader.limited, .help = "emit nothing after this offset"},
	{.name = "count", .letter = 'n', .type = OPTION_COUNT, .value = &reader.count, .argument = "N", .max = UINT64_MAX,
	 .given = &reader.counted, .help = "stop after N records of the stream"},
	{.name = "follow", .letter = 'F', .type = OPTION_FLAG, .value = &reader.follows,
	 .help = "keep reading as the file grows, one record a line"},
	{.name = "lines", .type = OPTION_ACTION, .value = &reader.lines,
	 .help = "one record a line, whatever the input begins with, and its offset is the line's"},
	OPTION_SPEC_SOURCE(&reader.source, "the source's name (default: the file's real path)", 0),
	{.name = "map", .letter = 'm', .type = OPTION_TEXT, .value = &reader.map, .argument = "NAME|FILE",
	 .help = "make updates of another format's records: see doc/maps.md"},
	{.name = "explain", .type = OPTION_ACTION, .value = &reader.explains,
	 .help = "print what the map makes of the first record, and end"},
	{.name = "resume", .letter = 'r', .type = OPTION_ACTION, .value = &reader.resumes,
	 .help = "input that stops without `end` is a crash (exit 111): behind kafka-reader"},
	{.name = "trace-sample", .type = OPTION_CUSTOM, .value = &reader.sample, .set = sample_set, .argument = "1/N",
	 .form = "1/N, N a whole number above 0", .help = "one in N updates that have no trace begins one (default: none)"},
	{.name = "strict", .type = OPTION_FLAG, .value = &reader.strict, .help = "exit 1 if a record was rejected"},
	{.name = "catch-up-to", .type = OPTION_COUNT, .value = &reader.catch_up, .argument = "OFFSET",
	 .max = VERSION_MAX - 1, .given = &reader.catching_up, .help = "wait for nothing up to this offset"},
	{.name = "fingerprint", .type = OPTION_TEXT, .value = &reader.fingerprint, .argument = "BYTES:HASH",
	 .help = "refuse a file whose first bytes are others"},
	{.name = "check", .type = OPTION_CUSTOM, .value = &reader.check, .set = check_set, .argument = "OFFSET:HASH",
	 .help = "refuse an input whose skipped update there is another"},
	{.name = "spool", .type = OPTION_TEXT, .value = &reader.spool.path, .argument = "DIR",
	 .help = "read what is copied to this folder"},
	{.name = "copy-to", .type = OPTION_TEXT, .value = &reader.copier.folder, .argument = "DIR",
	 .help = "only move standard input, or the followed file, to this folder"},
	{.name = "copy-from", .type = OPTION_COUNT, .value = &reader.copier.from, .argument = "OFFSET",
	 .max = VERSION_MAX - 1, .help = "the first record's offset there (default: 0)"},
	{.name = "copy-ahead", .type = OPTION_COUNT, .value = &reader.copier.ahead, .argument = "BYTES", .max = INT64_MAX,
	 .help = "how far ahead of its readers; 0: any distance (default: 1048576)"},
	OPTION_SPEC_CLOCK(&reader.clock, 0),
	OPTION_SPEC_EPOCH(&reader.epoch, 0),
	OPTION_SPEC_FORMAT(&reader.format, 0),
	{0},
};
/* clang-format on */

int
main(int argc, char **argv)
{
	static char *standard_input[] = {"-", NULL};
	static const struct program program = {
	    .name = "reader",
	    .usage = "[options] [FILE... | -]",
	    .purpose = "Emits the account updates of files or of standard input as NDJSON, each at its time.",
	};
	loop_init();
	int operands = options_read(&program, specs, argc, argv);
	reader.paths = operands < argc ? argv + operands : standard_input;
	reader.paths_n = operands < argc ? argc - operands : 1;
	prepare_map(&reader);
	prepare_inputs(&reader);
	if (reader.explains)
		return explain(&reader);
	if (!reader.copier.folder)
		return run(&reader);
	reader.copier.follow = reader.follows ? reader.paths[0] : NULL;
	return copier_run(&reader.copier);
}
