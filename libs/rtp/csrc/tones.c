/* Tones of the network and of fax machines, told apart by what they are made of and how long they and their pauses last.
 *
 * Every 20 ms the energy near a few frequencies is compared with all there is. CNG and CED: ITU-T T.30 sections 4.3.3.2 and 4.3.3.3;
 * special information tone: ITU-T E.180 section 9; busy and ringback: E.180 sections 6 and 4 with the national cadences of E.180
 * supplement 2, made of anything between 330 and 650 Hz. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { BLOCK = 160, BLOCK_MS = 20, FIRST_BIN = 6, BINS = 38, FAINT = 60, SEGMENTS = 8, QUIET_PART = 8 };
enum kind { NOTHING, PROGRESS, FAX_1100, FAX_2100, SIT_LOW, SIT_MIDDLE, SIT_HIGH, OTHER };

struct segment { enum kind kind; uint32_t blocks; };

struct tones {
    void (*told)(void *data, int tone);
    void *data;
    int16_t samples[BLOCK];
    uint32_t count;
    double loudest;                /* of the tone before: what is quiet is measured against it */
    struct segment last[SEGMENTS]; /* the newest one at 0, still going on */
};

static float window[BLOCK], coefficient[BINS];

__attribute__((constructor)) static void prepare(void) {
    for (int i = 0; i < BLOCK; i++) window[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * (i + 0.5) / BLOCK));
    for (int i = 0; i < BINS; i++) coefficient[i] = (float)(2 * cos(2 * M_PI * (i + FIRST_BIN) / BLOCK)); /* every 50 Hz from 300 */
}

struct tones *tones_new(void (*told)(void *data, int tone), void *data) {
    struct tones *t = calloc(1, sizeof *t);
    if (t) *t = (struct tones){.told = told, .data = data};
    return t;
}

void tones_free(struct tones *t) { free(t); }

static float power(const float *samples, int bin) {
    float before = 0, last = 0, by = coefficient[bin];
    for (int i = 0; i < BLOCK; i++) {
        float now = samples[i] + by * last - before;
        before = last;
        last = now;
    }
    return before * before + last * last - by * before * last;
}

/* The part of the block's energy between two frequencies, both multiples of 50 Hz. A windowed tone shows in three bins. */
static float part(const float *samples, float energy, int from, int to) {
    float sum = 0;
    for (int hertz = from; hertz <= to; hertz += 50) sum += power(samples, hertz / 50 - FIRST_BIN);
    return 2 * sum / (BLOCK * energy);
}

static enum kind classify(struct tones *t) {
    float samples[BLOCK], energy = 0;
    double sum = 0;
    for (int i = 0; i < BLOCK; i++) {
        samples[i] = t->samples[i] * window[i];
        energy += samples[i] * samples[i];
        sum += abs(t->samples[i]);
    }
    double level = sum / BLOCK;
    if (level < FAINT || level < t->loudest / QUIET_PART) return NOTHING;
    enum kind found = part(samples, energy, 300, 650) > 0.9f    ? PROGRESS
                      : part(samples, energy, 1050, 1150) > 0.9f ? FAX_1100
                      : part(samples, energy, 2050, 2150) > 0.9f ? FAX_2100
                      : part(samples, energy, 900, 1000) > 0.9f  ? SIT_LOW
                      : part(samples, energy, 1350, 1450) > 0.9f ? SIT_MIDDLE
                      : part(samples, energy, 1750, 1850) > 0.9f ? SIT_HIGH
                                                                 : OTHER;
    if (found != OTHER) t->loudest = level > t->loudest ? level : t->loudest * 0.9 + level * 0.1;
    return found;
}

static bool lasts(const struct segment *s, enum kind kind, uint32_t least_ms, uint32_t most_ms) {
    return s->kind == kind && s->blocks * BLOCK_MS + BLOCK_MS >= least_ms && s->blocks * BLOCK_MS <= most_ms + BLOCK_MS;
}

static bool as_long(const struct segment *a, const struct segment *b) {
    uint32_t longer = a->blocks > b->blocks ? a->blocks : b->blocks, shorter = a->blocks < b->blocks ? a->blocks : b->blocks;
    return longer - shorter <= longer / 5 + 2;
}

/* Three tones of one length, their pauses of one length. */
static bool busy(const struct segment *s) {
    for (int i = 1; i <= 6; i++)
        if (!lasts(&s[i], i % 2 ? NOTHING : PROGRESS, 160, 800)) return false;
    return as_long(&s[2], &s[4]) && as_long(&s[4], &s[6]) && as_long(&s[1], &s[3]) && as_long(&s[3], &s[5]);
}

/* One long tone, a longer pause, the next tone; or the double ring of Britain and its kin. */
static bool ringback(const struct segment *s) {
    if (lasts(&s[1], NOTHING, 1700, 6000) && lasts(&s[2], PROGRESS, 700, 2300) && s[3].kind != OTHER) return true;
    return lasts(&s[1], NOTHING, 1600, 2400) && lasts(&s[2], PROGRESS, 300, 500) && lasts(&s[3], NOTHING, 140, 300) &&
           lasts(&s[4], PROGRESS, 300, 500);
}

/* The tone before one, across a pause of at most 60 ms. */
static int before(const struct segment *s, int at) { return at + 1 + (s[at + 1].kind == NOTHING && s[at + 1].blocks <= 3); }

/* Told when a segment begins: those before it are whole. */
static void look(struct tones *t) {
    const struct segment *s = t->last;
    if (s->kind == PROGRESS && busy(s)) t->told(t->data, PLANE_TONE_BUSY);
    if (s->kind == PROGRESS && ringback(s)) t->told(t->data, PLANE_TONE_RINGBACK);
    if (lasts(&s[1], FAX_1100, 400, 620) && s->kind == NOTHING) t->told(t->data, PLANE_TONE_CNG);
    int middle = before(s, 1), low = before(s, middle);
    if (lasts(&s[1], SIT_HIGH, 220, 440) && lasts(&s[middle], SIT_MIDDLE, 220, 440) && lasts(&s[low], SIT_LOW, 220, 440))
        t->told(t->data, PLANE_TONE_SIT);
}

static void shift(struct tones *t, enum kind kind) {
    memmove(t->last + 1, t->last, (SEGMENTS - 1) * sizeof *t->last);
    t->last[0] = (struct segment){kind, 1};
}

/* One block of something else between two of a kind is its edge (or CED's turn of phase): it belongs to what it breaks. */
static void block(struct tones *t, enum kind kind) {
    struct segment *s = t->last;
    if (s->kind == kind) s->blocks++;
    else if (s->blocks == 1 && s[1].kind == kind && kind != NOTHING) {
        uint32_t blocks = s[1].blocks + 2;
        memmove(t->last, t->last + 1, (SEGMENTS - 1) * sizeof *t->last);
        s->blocks = blocks;
    } else {
        if (s->kind == OTHER && s->blocks == 1) { /* the edge between a tone and its pause */
            memmove(t->last, t->last + 1, (SEGMENTS - 1) * sizeof *t->last);
            if (s->kind == kind) {
                s->blocks += 2;
                return;
            }
        }
        shift(t, kind);
        if (kind != OTHER) look(t);
    }
    if (s->kind == FAX_2100 && s->blocks * BLOCK_MS == 600) t->told(t->data, PLANE_TONE_CED);
}

void tones_feed(struct tones *t, const int16_t *samples, uint32_t count) {
    while (count) {
        uint32_t part = BLOCK - t->count < count ? BLOCK - t->count : count;
        memcpy(t->samples + t->count, samples, part * sizeof *samples);
        t->count += part;
        samples += part;
        count -= part;
        if (t->count < BLOCK) return;
        t->count = 0;
        block(t, classify(t));
    }
}
