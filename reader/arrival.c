/* See arrival.h. The generator is splitmix64 (Steele, Lea, Flood, "Fast Splittable
 * Pseudorandom Number Generators", OOPSLA 2014; Vigna's public domain splitmix64.c),
 * used by counter: its nth output is a mix of seed + n * gamma. */
#include "arrival.h"

#include "record.h"

#include <stdbool.h>

__extension__ typedef unsigned __int128 u128;

#define NS_PER_MS UINT64_C(1000000)
#define LATEST (ARRIVE_MAX * NS_PER_MS)
#define LONGEST (CALLBACK_MAX * NS_PER_MS)
#define GAMMA UINT64_C(0x9e3779b97f4a7c15)

static uint64_t
mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A uniform draw from min to max; the seed is mixed first so that neighbouring seeds share no stretch. */
static uint64_t
draw(const struct arrival *a)
{
	uint64_t random = mix(mix(a->seed + GAMMA) + (a->ordinal + 1) * GAMMA);
	return a->delay.min + (uint64_t)((u128)random * (a->delay.max - a->delay.min + 1) >> 64);
}

uint64_t
arrival_last(const struct arrival *a)
{
	u128 t = a->sum;
	if (a->speed.millionths != 1000000)
		t = t * 1000000 / a->speed.millionths;
	return t > LATEST ? LATEST : (uint64_t)t;
}

uint64_t
arrival_next(struct arrival *a, int64_t arrive_ms)
{
	switch (a->mode) {
	case ARRIVAL_GAP:
		a->sum += draw(a);
		break;
	case ARRIVAL_OFFSET:
		a->sum = draw(a);
		break;
	case ARRIVAL_RECORDED:
		if (arrive_ms >= 0 && (uint64_t)arrive_ms * NS_PER_MS > a->sum)
			a->sum = (uint64_t)arrive_ms * NS_PER_MS;
		break;
	case ARRIVAL_NONE:
		break;
	}
	a->ordinal++;
	if (a->sum > LATEST)
		a->sum = LATEST;
	return arrival_last(a);
}

void
arrival_skip(struct arrival *a, uint64_t ordinal, int64_t recorded)
{
	if (a->mode == ARRIVAL_RECORDED && recorded >= 0)
		a->sum = (uint64_t)recorded * NS_PER_MS;
	if (a->mode != ARRIVAL_GAP || a->delay.max == 0)
		a->ordinal = ordinal;
	while (a->ordinal < ordinal)
		arrival_next(a, -1);
}

/* Reads a decimal number in millionths at *p and moves on. 0, or -1 where it is none or above `max` millionths. */
static int
decimal(const char **p, uint64_t max, uint64_t *value)
{
	u128 v = 0;
	int digits = 0, behind = -1;
	for (; (**p >= '0' && **p <= '9') || (**p == '.' && behind < 0 && digits); (*p)++) {
		if (**p == '.') {
			behind = 0;
			continue;
		}
		if (behind == 6 || ++digits > 24)
			return -1;
		v = v * 10 + (unsigned)(**p - '0');
		behind += behind >= 0;
	}
	if (!digits || behind == 0)
		return -1;
	for (int i = behind < 0 ? 0 : behind; i < 6; i++)
		v *= 10;
	*value = (uint64_t)v;
	return v > max ? -1 : 0;
}

int
delay_set(const char *text, void *delay)
{
	struct delay d = {.text = text};
	const char *p = text;
	/* Millionths of a millisecond are nanoseconds. */
	if (decimal(&p, LONGEST, &d.min) != 0 || *p++ != ':' || decimal(&p, LONGEST, &d.max) != 0 || *p ||
	    d.max < d.min)
		return -1;
	d.text = mem_string(slice_of(text));
	*(struct delay *)delay = d;
	return 0;
}

int
speed_set(const char *text, void *speed)
{
	struct speed s = {.text = text};
	const char *p = text;
	if (decimal(&p, UINT64_C(1000000000000000), &s.millionths) != 0 || *p || s.millionths == 0)
		return -1;
	s.text = mem_string(slice_of(text));
	*(struct speed *)speed = s;
	return 0;
}
