/* What is listened for in a session's audio, on demand: keys by their tones (libspandsp), call-progress and fax tones (tones.c).
 *
 * Samples come in the order of their sequence numbers: behind a gap of one packet the next waits for it, as long as one more packet takes.
 * What is lost is silence; but up to LEFT_OUT lost packets are left out of what keys are looked for in, where their silence would end a key
 * that is down, or begins, and begin it again. A pause that is longer than they are still ends it. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <spandsp/telephony.h>
#include <spandsp/async.h>
#include <spandsp/logging.h>
#include <spandsp/queue.h>
#include <spandsp/tone_generate.h>
#include <spandsp/super_tone_rx.h>
#include <spandsp/dtmf.h>

#include "core.h"

enum { LOST_MOST = 10, LEFT_OUT = 3, DECODED = 960, DTMF_BLOCK = 102 };

/* dB: the low tone above the high one by a little more than the 8 of ITU-T Q.24, and the other way round than its 4. */
enum { TWIST = 9, REVERSE_TWIST = 5, LEVEL_AS_IT_IS = -99 };

struct detector {
    uint32_t wanted;               /* 1 << PLANE_TONE_* */
    dtmf_rx_state_t *dtmf;
    struct tones *tones;
    void (*key_told)(void *data, int key, int down, uint32_t duration_ms);
    void (*tone_told)(void *data, int tone);
    void *data;
    bool started;
    uint16_t sequence;
    int key;
    uint32_t left_out;             /* samples of the key that were lost */
    uint32_t ahead;                /* samples of the packet behind a gap of one, kept in `kept`; 0: none */
    int16_t kept[DECODED];
};

/* `samples`: how long what came before this lasted. */
static void heard_key(void *data, int code, int level, int samples) {
    (void)level;
    struct detector *d = data;
    if (d->key && code != d->key) {
        d->key_told(d->data, d->key, false, ((uint32_t)samples + DTMF_BLOCK + d->left_out) / 8);
        d->key = 0;
    }
    if (!code || d->key) return;
    d->key = code;
    d->left_out = 0;
    d->key_told(d->data, code, true, 0);
}

static void heard_tone(void *data, int tone) {
    struct detector *d = data;
    if (!(d->wanted >> tone & 1)) return;
    d->wanted &= ~(1u << tone); /* once */
    d->tone_told(d->data, tone);
}

void detector_free(struct detector *d) {
    if (!d) return;
    if (d->dtmf) dtmf_rx_free(d->dtmf);
    tones_free(d->tones);
    free(d);
}

detector *detector_new(uint32_t wanted, void (*key)(void *, int, int, uint32_t), void (*tone)(void *, int), void *data) {
    struct detector *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    *d = (struct detector){.wanted = wanted, .key_told = key, .tone_told = tone, .data = data};
    if (wanted & 1u << PLANE_TONE_DTMF) {
        d->dtmf = dtmf_rx_init(NULL, NULL, NULL);
        if (d->dtmf) {
            dtmf_rx_set_realtime_callback(d->dtmf, heard_key, d);
            dtmf_rx_parms(d->dtmf, 0, TWIST, REVERSE_TWIST, LEVEL_AS_IT_IS);
        }
    }
    if (wanted >> 1) d->tones = tones_new(heard_tone, d);
    if ((!(wanted & 1u << PLANE_TONE_DTMF) || d->dtmf) && (!(wanted >> 1) || d->tones)) return d;
    detector_free(d);
    return NULL;
}

static void feed(struct detector *d, const int16_t *samples, uint32_t count) {
    if (d->dtmf) dtmf_rx(d->dtmf, samples, (int)count);
    if (d->tones) tones_feed(d->tones, samples, count);
}

/* What is missing before it, then the packet. */
static void take(struct detector *d, uint16_t sequence, const int16_t *samples, uint32_t count) {
    static const int16_t silence[FRAME];
    int16_t step = (int16_t)(sequence - d->sequence);
    uint32_t frame = count < FRAME ? count : FRAME;
    bool left_out = step - 1 <= LEFT_OUT;
    for (int16_t lost = 1; d->started && lost < step && step <= LOST_MOST; lost++) {
        if (d->tones) tones_feed(d->tones, silence, frame);
        if (left_out) d->left_out += frame;
        else if (d->dtmf) dtmf_rx(d->dtmf, silence, (int)frame);
    }
    d->started = true;
    d->sequence = sequence;
    feed(d, samples, count);
}

void detector_hear(detector *d, uint16_t sequence, const int16_t *samples, uint32_t count) {
    int16_t step = (int16_t)(sequence - d->sequence);
    if (d->started && step <= 0 && step > -100) return; /* overtaken: its place is gone */
    if (d->ahead) {
        if (step == 2) return; /* the same again */
        uint16_t ahead = (uint16_t)(d->sequence + 2);
        if (step == 1) take(d, sequence, samples, count);
        take(d, ahead, d->kept, d->ahead);
        d->ahead = 0;
        if (step == 1) return;
        step = (int16_t)(sequence - d->sequence);
    }
    if (d->started && step == 2 && count <= DECODED) {
        d->ahead = count;
        memcpy(d->kept, samples, count * sizeof *samples);
        return;
    }
    take(d, sequence, samples, count);
}

bool key_in_audio(const struct session *s) { return s->detector && s->detector->key; }

/* Whose audio is heard, while it is. */
struct hearing { struct worker *worker; struct session *session; };

static void session_key(void *data, int key, int down, uint32_t duration_ms) {
    const struct hearing *at = data;
    if (down) key_began(at->worker, at->session, (uint8_t)key);
    else key_released(at->worker, at->session, (uint8_t)key, duration_ms);
}

static void session_tone(void *data, int tone) {
    const struct hearing *at = data;
    plane_event event = {.kind = PLANE_TONE, .handle = session_handle(at->worker->plane, at->session), .reason = (uint8_t)tone};
    event_put(at->worker->plane, &event);
}

/* Everything that takes a session's audio as it comes, decoded once: what looks for tones and, but for G.711, a recording. */
void hear_packet(struct worker *w, struct session *s, const struct packet *packet) {
    int16_t samples[DECODED];
    uint32_t count = packet->length < DECODED ? packet->length : DECODED;
    if (is_g711(&s->codec)) {
        if (s->recording) recording_packet(w, s, packet);
        if (!s->detector) return;
        g711_decode(samples, packet->payload, count, packet->codec);
    } else {
        if (!decoder_is(s->hearing, s->codec.kind)) return;
        count = decoder_decode(s->hearing, packet->payload, packet->length, samples, DECODED);
        if (!count) return drop(w, s, PLANE_DROP_MALFORMED);
        if (s->recording) recording_decoded(w, s, packet, samples, count);
    }
    if (!s->detector || !count) return;
    struct hearing here = {w, s};
    s->detector->data = &here;
    detector_hear(s->detector, packet->sequence, samples, count);
}

/* `wanted` is a mask of 1 << PLANE_TONE_*; 0 ends it. Each call-progress or fax tone is told once, keys every time. */
int plane_detect(plane *p, int64_t handle, uint32_t wanted) {
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    if (!decodable(s->codec.kind) && wanted) return PLANE_NO_CODER;
    if (wanted) s->records = true;
    if (wanted && fit_coders(p, s, s->codec.kind, false, true)) return -ENOMEM;
    struct detector *d = wanted ? detector_new(wanted, session_key, session_tone, NULL) : NULL;
    if (wanted && !d) return -ENOMEM;
    struct worker *w = session_lock(p, s);
    struct detector *old = s->detector;
    s->detector = d;
    worker_unlock(w);
    detector_free(old);
    return 0;
}
