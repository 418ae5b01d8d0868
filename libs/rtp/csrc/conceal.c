/* Packet-loss concealment for codecs that have none: the last pitch cycle again and again, fading, after ITU-T G.711 appendix I. */
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { SHORTEST = 40, LONGEST = 120, SPAN = 160, STEADY_MS = 10, SILENT_MS = 60, JOIN_MS = 5 }; /* the first three in samples at 8 kHz */

static uint32_t scale(const struct concealment *c) { return c->rate / 8000; }
static const int16_t *end_of(const struct concealment *c) { return c->history + (SPAN + LONGEST) * scale(c); }

void concealment_new(struct concealment *c, uint32_t rate) { *c = (struct concealment){.rate = rate}; }

/* The lag at which the newest samples are most like those before them. */
static uint32_t find_pitch(const struct concealment *c) {
    uint32_t by = scale(c), best = LONGEST;
    uint64_t least = UINT64_MAX;
    const int16_t *end = end_of(c);
    for (uint32_t lag = SHORTEST; lag <= LONGEST; lag++) {
        uint64_t distance = 0;
        for (uint32_t i = 1; i <= SPAN; i++) distance += (uint64_t)abs(end[-(int)(i * by)] - end[-(int)((i + lag) * by)]);
        if (distance < least) least = distance, best = lag;
    }
    return best * by;
}

/* One cycle whose end leads into its beginning: its last quarter becomes what stood before the cycle. */
static void make_cycle(struct concealment *c) {
    c->pitch = find_pitch(c);
    c->position = 0;
    const int16_t *from = end_of(c) - c->pitch;
    uint32_t overlap = c->pitch / 4;
    memcpy(c->cycle, from, c->pitch * sizeof *c->cycle);
    for (uint32_t i = 0; i < overlap; i++) {
        uint32_t at = c->pitch - overlap + i;
        int32_t before = from[(int)at - (int)c->pitch];
        c->cycle[at] = (int16_t)((before * (int32_t)(i + 1) + c->cycle[at] * (int32_t)(overlap - i - 1)) / (int32_t)overlap);
    }
}

static int16_t next_sample(struct concealment *c) {
    uint32_t steady = STEADY_MS * c->rate / 1000, silent = SILENT_MS * c->rate / 1000;
    int32_t left = c->lost < steady ? (int32_t)(silent - steady) : c->lost < silent ? (int32_t)(silent - c->lost) : 0;
    int32_t value = c->cycle[c->position] * left / (int32_t)(silent - steady);
    c->position = (c->position + 1) % c->pitch;
    c->lost++;
    return (int16_t)value;
}

void concealment_fill(struct concealment *c, int16_t *to, uint32_t count) {
    if (!c->lost) make_cycle(c);
    for (uint32_t i = 0; i < count; i++) to[i] = next_sample(c);
}

/* Samples that came; after a loss they are faded in over what was made up. */
void concealment_heard(struct concealment *c, int16_t *samples, uint32_t count) {
    uint32_t join = JOIN_MS * c->rate / 1000, room = (SPAN + LONGEST) * scale(c);
    for (uint32_t i = 0; c->lost && i < join && i < count; i++)
        samples[i] = (int16_t)((samples[i] * (int32_t)i + next_sample(c) * (int32_t)(join - i)) / (int32_t)join);
    c->lost = 0;
    uint32_t part = count < room ? count : room;
    memmove(c->history, c->history + part, (room - part) * sizeof *c->history);
    memcpy(c->history + room - part, samples + count - part, part * sizeof *c->history);
}
