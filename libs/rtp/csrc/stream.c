/* A stream that ends here (mixed, transcoded): a jitter buffer, the decoder and concealment, taken 20 ms at a time.
 *
 * It starts with two packets or twice the jitter; an underrun is concealed for CONCEAL frames and lengthens the delay; a buffer that
 * never runs low for a second gives one packet up. A pause of the sender is a pause here, unless it said what silence sounds like (RFC
 * 3389, or an Opus frame of nothing): then that noise goes on until it speaks again, for NOISE_MOST frames at most. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { SLOTS = 32, PAYLOAD = 800, SAMPLES = 4096, LONGEST = 1920, CONCEAL = 3, LEAST_HELD = 2, MOST_HELD = 10, REVIEW = 50, JUMP = 200, NOISE_MOST = 60 * FRAMES_A_SECOND, OPUS_NOTHING = 2 };

struct slot { bool full; uint8_t kind; uint16_t length; uint8_t payload[PAYLOAD]; };

struct stream {
    uint32_t rate, frame;          /* of the linear samples, Hz; samples in 20 ms */
    struct decoder *decoder;
    bool started, waiting;
    uint32_t ssrc, held, least, reviewed, waited, concealed, last;
    enum { NO_NOISE, WHITE, OPUS_OWN } noise;
    uint32_t noise_frames, random; /* `noise_frames`: made since a packet came last */
    int32_t noise_peak;
    uint16_t next;                 /* sequence number of what is taken next */
    uint32_t count;                /* samples decoded and not taken yet */
    int16_t samples[SAMPLES];
    struct slot slots[SLOTS];
};

void stream_free(struct stream *t) {
    if (!t) return;
    decoder_free(t->decoder);
    free(t);
}

struct stream *stream_new(uint8_t kind, uint32_t rate) {
    struct stream *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->rate = rate;
    t->frame = t->last = rate / FRAMES_A_SECOND;
    t->waiting = true;
    t->decoder = decoder_new(kind, rate);
    if (t->decoder) return t;
    stream_free(t);
    return NULL;
}

bool stream_is(const struct stream *t, uint8_t kind, uint32_t rate) { return t && t->rate == rate && decoder_is(t->decoder, kind); }

static void restart(struct stream *t, const struct packet *packet) {
    for (int i = 0; i < SLOTS; i++) t->slots[i].full = false;
    t->started = t->waiting = true;
    t->ssrc = packet->ssrc;
    t->next = packet->sequence;
    t->held = 0;
    t->least = SLOTS;
    t->reviewed = t->waited = t->concealed = 0;
    t->noise = NO_NOISE;
}

/* False: no packet of a codec we decode is so long. */
bool stream_put(struct stream *t, const struct packet *packet) {
    if (packet->length > PAYLOAD) return false;
    int16_t ahead = (int16_t)(packet->sequence - t->next);
    if (!t->started || t->ssrc != packet->ssrc || ahead >= SLOTS || ahead < -JUMP) restart(t, packet);
    else if (ahead < 0) return true; /* its moment has passed */
    struct slot *slot = &t->slots[packet->sequence % SLOTS];
    if (slot->full) return true;
    slot->full = true;
    t->noise_frames = 0;
    slot->kind = packet->codec;
    slot->length = (uint16_t)packet->length;
    memcpy(slot->payload, packet->payload, packet->length);
    t->held++;
    return true;
}

/* Packets to hold before playing: two, or twice the jitter. */
static uint32_t wanted(const struct stream *t, double jitter_ms) {
    double packets = 1 + 2 * jitter_ms / (t->last * 1000.0 / t->rate);
    return packets > MOST_HELD ? MOST_HELD : packets < LEAST_HELD ? LEAST_HELD : (uint32_t)packets;
}

/* RFC 3389 section 3: the first byte is the level in -dBov. What follows it, the colour, is not made. Evenly spread values have a root mean
 * square of their peak by the root of three. */
static void white_noise(struct stream *t, int16_t *to) {
    for (uint32_t i = 0; i < t->frame; i++) {
        t->random = t->random * 1664525u + 1013904223u;
        to[i] = (int16_t)((int64_t)(int32_t)t->random * t->noise_peak >> 31);
    }
}

static void make_noise(struct stream *t, int16_t *to) {
    t->noise_frames++;
    if (t->noise == OPUS_OWN) decoder_conceal(t->decoder, to, t->frame, NULL, 0);
    else white_noise(t, to);
}

static bool noisy(const struct stream *t) { return t->noise != NO_NOISE && t->noise_frames < NOISE_MOST; }

static uint32_t decode_slot(struct stream *t, const struct slot *slot, uint32_t room) {
    int16_t *to = t->samples + t->count;
    if (slot->kind == COMFORT_NOISE) {
        double peak = 32768 * sqrt(3) * pow(10, -(slot->payload[0] & 0x7F) / 20.0);
        t->noise = WHITE;
        t->noise_peak = peak > 32767 ? 32767 : (int32_t)peak;
        make_noise(t, to);
        return t->frame;
    }
    t->noise = slot->kind == PLANE_OPUS && slot->length <= OPUS_NOTHING ? OPUS_OWN : NO_NOISE;
    return decoder_decode_as(t->decoder, slot->kind, slot->payload, slot->length, to, room);
}

static void decode_next(struct stream *t) {
    struct slot *slot = &t->slots[t->next % SLOTS];
    uint32_t room = SAMPLES - t->count < LONGEST ? SAMPLES - t->count : LONGEST;
    uint32_t got = decode_slot(t, slot, room);
    slot->full = false;
    t->held--;
    t->next++;
    t->concealed = 0;
    t->count += got;
    if (got) t->last = got;
}

static void conceal(struct stream *t, bool lost) {
    const struct slot *after = &t->slots[(uint16_t)(t->next + 1) % SLOTS];
    uint32_t samples = lost ? t->last : t->frame;
    bool there = lost && after->full && after->kind != COMFORT_NOISE;
    if (noisy(t)) {
        make_noise(t, t->samples + t->count);
        samples = t->frame;
    } else decoder_conceal(t->decoder, t->samples + t->count, samples, there ? after->payload : NULL, there ? after->length : 0);
    t->count += samples;
    t->concealed++;
    if (lost) t->next++;
}

/* Fills up to one frame, or less when the stream stands still. */
static void fill(struct stream *t) {
    while (t->count < t->frame) {
        if (t->slots[t->next % SLOTS].full) decode_next(t);
        else if (t->concealed >= CONCEAL && !t->held && !noisy(t)) break;
        else conceal(t, t->held > 0);
    }
    t->waiting = !t->held && (t->count < t->frame || (noisy(t) && t->concealed >= CONCEAL));
}

/* Every second: a buffer that never ran low is longer than it has to be. */
static void review(struct stream *t, double jitter_ms) {
    if (t->held < t->least) t->least = t->held;
    if (++t->reviewed < REVIEW) return;
    if (t->least > wanted(t, jitter_ms) && t->slots[t->next % SLOTS].full) {
        uint32_t before = t->count;
        decode_next(t);
        t->count = before;
    }
    t->reviewed = 0;
    t->least = SLOTS;
}

/* The next 20 ms. STREAM_IDLE: nothing is there and nothing comes; STREAM_WAITS: a packet or two have come, more are awaited. */
enum taken stream_take(struct stream *t, double jitter_ms, int16_t *to) {
    if (t->waiting && t->held < wanted(t, jitter_ms) && !(t->held && ++t->waited > MOST_HELD)) {
        if (!noisy(t)) return t->held ? STREAM_WAITS : STREAM_IDLE;
        make_noise(t, to);
        return STREAM_FRAME;
    }
    t->waiting = false;
    t->waited = 0;
    fill(t);
    review(t, jitter_ms);
    if (!t->count) return STREAM_IDLE;
    uint32_t part = t->count < t->frame ? t->count : t->frame;
    memcpy(to, t->samples, part * sizeof *to);
    memset(to + part, 0, (t->frame - part) * sizeof *to);
    t->count -= part;
    memmove(t->samples, t->samples + part, t->count * sizeof *t->samples);
    return STREAM_FRAME;
}
