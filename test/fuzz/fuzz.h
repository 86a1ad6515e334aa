/* What the fuzz targets share: a check that ends the process where a property does
 * not hold, input that comes out of read(2) in chosen pieces, and die() caught.
 * A target is one file with LLVMFuzzerTestOneInput; libFuzzer drives it, or replay.c,
 * for compilers without it. What must hold says each target's head. */
#ifndef ACCTFLOW_FUZZ_H
#define ACCTFLOW_FUZZ_H

#include "event.h"

#include <setjmp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define check(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))
_Noreturn void check_failed(const char *what, const char *file, int line);

/* read(FEED_FD) gives these bytes, then the end: all at once where `cuts` is 0, else in pieces whose lengths are drawn
 * from it. */
enum { FEED_FD = 1 << 20 };
void feed_start(struct slice bytes, uint64_t cuts);

/* What was not read yet. */
struct slice feed_rest(void);

/* Where a target sets `fuzz_catches` behind setjmp(fuzz_died), die() goes there; else it is a finding. */
extern jmp_buf fuzz_died;
extern bool fuzz_catches;

/* The next of a sequence of numbers that depends on its state alone. */
uint64_t fuzz_random(uint64_t *state);

/* Sets b to the update that was read from the record, as reader emits it. */
void fuzz_emit(struct buf *b, const struct update *update, const struct record *record);

/* Whether it may be shown on a terminal: valid UTF-8, nothing that acts on one or reorders text. */
bool fuzz_is_safe(struct slice text);

#endif
