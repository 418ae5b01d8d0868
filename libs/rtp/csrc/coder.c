/* Encoders and decoders of one stream: G.711 by tables, G.722 by libspandsp, Opus by libopus; linear samples of 8 or 16 kHz, mono.
 *
 * G.722 and Opus work at both rates by themselves, G.711 is resampled where 16 kHz are wanted. What is lost is concealed: Opus by its own means (its forward
 * error correction where the next packet is there), the others by repeating the pitch. Made by the control thread, used by a worker. */
#include <opus/opus.h>
#include <spandsp/telephony.h>
#include <spandsp/fast_convert.h>
#include <spandsp/g722.h>
#include <stdlib.h>

#include "core.h"

enum { G722_BITS = 64000, OPUS_BITS_8000 = 20000, OPUS_BITS_16000 = 28000, OPUS_COMPLEXITY = 5, EXPECTED_LOSS = 5, LAW_MOST = 1920,
       NOT_SENT = 2 };

struct decoder {
    uint8_t kind, law;             /* `law`: of the newest payload of G.711, the worker's alone */
    uint32_t rate;
    g722_decode_state_t *g722;
    OpusDecoder *opus;
    struct halfband up;
    struct concealment concealment;
};

struct encoder {
    uint8_t kind;
    uint32_t rate;
    g722_encode_state_t *g722;
    OpusEncoder *opus;
    bool fec, dtx;
    uint32_t playback_rate;
    struct halfband down;
};

static bool is_law(uint8_t kind) { return kind == PLANE_PCMU || kind == PLANE_PCMA; }
static int g722_options(uint32_t rate) { return rate == 8000 ? G722_SAMPLE_RATE_8000 : 0; }

void decoder_free(struct decoder *d) {
    if (!d) return;
    if (d->g722) g722_decode_free(d->g722);
    if (d->opus) opus_decoder_destroy(d->opus);
    free(d);
}

struct decoder *decoder_new(uint8_t kind, uint32_t rate) {
    struct decoder *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    int error = 0;
    *d = (struct decoder){.kind = kind, .law = kind, .rate = rate};
    if (kind == PLANE_G722) d->g722 = g722_decode_init(NULL, G722_BITS, g722_options(rate));
    if (kind == PLANE_OPUS) d->opus = opus_decoder_create((opus_int32)rate, 1, &error);
    if (!error && (kind != PLANE_G722 || d->g722)) {
        concealment_new(&d->concealment, is_law(kind) ? 8000 : rate);
        return d;
    }
    decoder_free(d);
    return NULL;
}

static bool wide_law(uint8_t kind, uint32_t rate) { return is_law(kind) && rate == 16000; }

bool decoder_is(const struct decoder *d, uint8_t kind) { return d && d->kind == kind; }

static uint32_t decode_law(struct decoder *d, const uint8_t *payload, uint32_t length, int16_t *to) {
    int16_t narrow[LAW_MOST], *at = wide_law(d->kind, d->rate) ? narrow : to;
    if (length > LAW_MOST) length = LAW_MOST;
    g711_decode(at, payload, length, d->law);
    concealment_heard(&d->concealment, at, length);
    if (at == to) return length;
    halfband_up(&d->up, narrow, length, to);
    return 2 * length;
}

/* The samples of a payload, at most `room`; 0: it cannot be decoded. */
uint32_t decoder_decode(struct decoder *d, const uint8_t *payload, uint32_t length, int16_t *to, uint32_t room) {
    int got = 0;
    if (d->kind == PLANE_OPUS) {
        got = opus_decode(d->opus, payload, (opus_int32)length, to, (int)room, 0);
        return got > 0 ? (uint32_t)got : 0;
    }
    uint32_t each = d->rate / 8000;
    if (length > room / each) length = room / each;
    if (d->kind == PLANE_G722) {
        got = g722_decode(d->g722, to, payload, (int)length);
    } else {
        return decode_law(d, payload, length, to);
    }
    if (got <= 0) return 0;
    concealment_heard(&d->concealment, to, (uint32_t)got);
    return (uint32_t)got;
}

/* A far end of G.711 may change between the laws. */
uint32_t decoder_decode_as(struct decoder *d, uint8_t kind, const uint8_t *payload, uint32_t length, int16_t *to, uint32_t room) {
    if (is_law(kind)) d->law = kind;
    return decoder_decode(d, payload, length, to, room);
}

/* In place of a lost packet; `next` is the one after it, or NULL. */
void decoder_conceal(struct decoder *d, int16_t *to, uint32_t samples, const uint8_t *next, uint32_t next_length) {
    if (wide_law(d->kind, d->rate)) {
        int16_t narrow[LAW_MOST];
        if (samples > 2 * LAW_MOST) samples = 2 * LAW_MOST;
        concealment_fill(&d->concealment, narrow, samples / 2);
        halfband_up(&d->up, narrow, samples / 2, to);
        return;
    }
    if (d->kind != PLANE_OPUS) {
        concealment_fill(&d->concealment, to, samples);
        return;
    }
    if (opus_decode(d->opus, next, (opus_int32)next_length, to, (int)samples, next != NULL) == (int)samples) return;
    for (uint32_t i = 0; i < samples; i++) to[i] = 0;
}

void encoder_free(struct encoder *e) {
    if (!e) return;
    if (e->g722) g722_encode_free(e->g722);
    if (e->opus) opus_encoder_destroy(e->opus);
    free(e);
}

struct encoder *encoder_new(uint8_t kind, uint32_t rate) {
    struct encoder *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    int error = 0;
    *e = (struct encoder){.kind = kind, .rate = rate};
    if (kind == PLANE_G722) e->g722 = g722_encode_init(NULL, G722_BITS, g722_options(rate));
    if (kind == PLANE_OPUS) e->opus = opus_encoder_create((opus_int32)rate, 1, OPUS_APPLICATION_VOIP, &error);
    if (error || (kind == PLANE_G722 && !e->g722)) {
        encoder_free(e);
        return NULL;
    }
    if (!e->opus) return e;
    opus_encoder_ctl(e->opus, OPUS_SET_BITRATE(rate == 8000 ? OPUS_BITS_8000 : OPUS_BITS_16000));
    opus_encoder_ctl(e->opus, OPUS_SET_COMPLEXITY(OPUS_COMPLEXITY));
    opus_encoder_ctl(e->opus, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
    opus_encoder_ctl(e->opus, OPUS_SET_PACKET_LOSS_PERC(EXPECTED_LOSS));
    opus_encoder_ctl(e->opus, OPUS_SET_INBAND_FEC(1));
    e->fec = true;
    return e;
}

static opus_int32 bandwidth(uint32_t rate) {
    if (!rate || rate > 24000) return OPUS_BANDWIDTH_FULLBAND;
    return rate <= 8000 ? OPUS_BANDWIDTH_NARROWBAND
         : rate <= 12000 ? OPUS_BANDWIDTH_MEDIUMBAND
         : rate <= 16000 ? OPUS_BANDWIDTH_WIDEBAND : OPUS_BANDWIDTH_SUPERWIDEBAND;
}

/* From now on as its receiver likes it; the same again costs nothing. */
void encoder_suit(struct encoder *e, const struct codec *receiver) {
    if (!e->opus || (e->fec == receiver->fec && e->dtx == receiver->dtx && e->playback_rate == receiver->playback_rate)) return;
    opus_encoder_ctl(e->opus, OPUS_SET_INBAND_FEC(receiver->fec));
    opus_encoder_ctl(e->opus, OPUS_SET_DTX(receiver->dtx));
    opus_encoder_ctl(e->opus, OPUS_SET_MAX_BANDWIDTH(bandwidth(receiver->playback_rate)));
    e->fec = receiver->fec;
    e->dtx = receiver->dtx;
    e->playback_rate = receiver->playback_rate;
}

/* What it encoded last was encoded elsewhere: it goes on from there. */
void encoder_continue(struct encoder *e, const struct halfband *past) { e->down = *past; }

bool encoder_is(const struct encoder *e, uint8_t kind) { return e && e->kind == kind; }

/* The payload of 20 ms, at most `room` bytes (ENCODED is enough); 0: it failed, or nothing is to be sent. */
uint32_t encoder_encode(struct encoder *e, const int16_t *samples, uint32_t count, uint8_t *to, uint32_t room) {
    if (e->kind == PLANE_OPUS) {
        opus_int32 got = opus_encode(e->opus, samples, (int)count, to, (opus_int32)room);
        if (got <= 0 || (e->dtx && got <= NOT_SENT)) return 0;
        return (uint32_t)got;
    }
    int16_t narrow[WIDE_FRAME / 2];
    if (wide_law(e->kind, e->rate)) {
        if (count > WIDE_FRAME) return 0;
        halfband_down(&e->down, samples, count, narrow);
        samples = narrow;
        count /= 2;
    }
    if (count > room) return 0;
    if (e->kind == PLANE_G722) return (uint32_t)g722_encode(e->g722, to, samples, (int)count);
    g711_encode(to, samples, count, e->kind);
    return count;
}
