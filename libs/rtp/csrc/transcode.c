/* Transcoding: the stream of one session is ended here and made anew for a peer of another codec, 20 ms at a time.
 *
 * Only here does a jitter buffer stand. It starts with two packets or twice the jitter; an underrun is concealed for CONCEAL frames
 * and lengthens the delay; a buffer that never runs low for a second gives one packet up. A pause of the sender is a pause here. */
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { SLOTS = 32, PAYLOAD = 800, SAMPLES = 4096, LONGEST = 1920, CONCEAL = 3, LEAST_HELD = 2, MOST_HELD = 10, REVIEW = 50, JUMP = 200 };

struct slot { bool full; uint16_t length; uint8_t payload[PAYLOAD]; };

struct converter {
    uint8_t from, to;
    uint32_t rate, frame;          /* of the linear samples between; in 20 ms */
    struct decoder *decoder;
    struct encoder *encoder;
    bool started, waiting, pause;
    uint32_t ssrc, held, least, reviewed, waited, concealed, last;
    uint16_t next;                 /* sequence number of what is played next */
    uint32_t count;                /* samples decoded and not sent yet */
    int16_t samples[SAMPLES];
    struct slot slots[SLOTS];
};

bool coded(uint8_t kind) { return kind == PLANE_G722 || kind == PLANE_OPUS; }
static bool known(uint8_t kind) { return coded(kind) || kind == PLANE_PCMA || kind == PLANE_PCMU; }
bool convertible(const struct codec *from, const struct codec *to) { return known(from->kind) && known(to->kind); }

void converter_free(struct converter *c) {
    if (!c) return;
    decoder_free(c->decoder);
    encoder_free(c->encoder);
    free(c);
}

struct converter *converter_new(uint8_t from, uint8_t to) {
    struct converter *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->from = from;
    c->to = to;
    c->rate = coded(from) && coded(to) ? 16000 : 8000;
    c->frame = c->last = c->rate / 50;
    c->decoder = decoder_new(from, c->rate);
    c->encoder = encoder_new(to, c->rate);
    c->pause = true;
    if (c->decoder && c->encoder) return c;
    converter_free(c);
    return NULL;
}

bool converter_is(const struct converter *c, uint8_t from, uint8_t to) { return c && c->from == from && c->to == to; }

static void restart(struct converter *c, const struct packet *packet) {
    for (int i = 0; i < SLOTS; i++) c->slots[i].full = false;
    c->started = c->waiting = true;
    c->ssrc = packet->ssrc;
    c->next = packet->sequence;
    c->held = 0;
    c->least = SLOTS;
    c->reviewed = c->waited = c->concealed = 0;
}

void converter_put(struct worker *w, struct session *from, const struct packet *packet) {
    struct converter *c = from->converter;
    if (packet->length > PAYLOAD) return drop(w, from, PLANE_DROP_MALFORMED);
    int16_t ahead = (int16_t)(packet->sequence - c->next);
    if (!c->started || c->ssrc != packet->ssrc || ahead >= SLOTS || ahead < -JUMP) restart(c, packet);
    else if (ahead < 0) return; /* its moment has passed */
    struct slot *slot = &c->slots[packet->sequence % SLOTS];
    if (slot->full) return;
    slot->full = true;
    slot->length = (uint16_t)packet->length;
    memcpy(slot->payload, packet->payload, packet->length);
    c->held++;
    worker_time(w, from);
}

/* Packets to hold before playing: two, or twice the jitter. */
static uint32_t wanted(const struct converter *c, const struct session *from) {
    double packet_ms = c->last * 1000.0 / c->rate, jitter_ms = from->in.jitter * 1000 / from->codec.clock_rate;
    double packets = 1 + 2 * jitter_ms / packet_ms;
    return packets > MOST_HELD ? MOST_HELD : packets < LEAST_HELD ? LEAST_HELD : (uint32_t)packets;
}

static void decode_next(struct converter *c) {
    struct slot *slot = &c->slots[c->next % SLOTS];
    uint32_t room = SAMPLES - c->count < LONGEST ? SAMPLES - c->count : LONGEST;
    uint32_t got = decoder_decode(c->decoder, slot->payload, slot->length, c->samples + c->count, room);
    slot->full = false;
    c->held--;
    c->next++;
    c->concealed = 0;
    c->count += got;
    if (got) c->last = got;
}

static void conceal(struct converter *c, bool lost) {
    const struct slot *after = &c->slots[(uint16_t)(c->next + 1) % SLOTS];
    uint32_t samples = lost ? c->last : c->frame;
    bool there = lost && after->full;
    decoder_conceal(c->decoder, c->samples + c->count, samples, there ? after->payload : NULL, there ? after->length : 0);
    c->count += samples;
    c->concealed++;
    if (lost) c->next++;
}

/* Fills up to one frame, or less when the stream stands still. */
static void fill(struct converter *c) {
    while (c->count < c->frame) {
        if (c->slots[c->next % SLOTS].full) decode_next(c);
        else if (c->concealed >= CONCEAL && !c->held) break;
        else conceal(c, c->held > 0);
    }
    c->waiting = c->count < c->frame && !c->held;
}

/* Every second: a buffer that never ran low is longer than it has to be. */
static void review(struct converter *c, const struct session *from) {
    if (c->held < c->least) c->least = c->held;
    if (++c->reviewed < REVIEW) return;
    if (c->least > wanted(c, from) && c->slots[c->next % SLOTS].full) {
        uint32_t before = c->count;
        decode_next(c);
        c->count = before;
    }
    c->reviewed = 0;
    c->least = SLOTS;
}

static void say(struct worker *w, struct session *to, struct converter *c) {
    uint8_t packet[12 + ENCODED + SRTP_TAIL];
    struct outgoing *out = &to->out;
    uint32_t length = encoder_encode(c->encoder, c->samples, c->frame, packet + 12, ENCODED);
    if (!length) return;
    bool marker = c->pause;
    out->timestamp += marker ? outgoing_gap(out, w->now_ms) : out->rate / 50;
    out->last_ms = w->now_ms;
    out->last_samples = out->rate / 50;
    out->mapped = c->pause = false;
    outgoing_send(w, to, packet + 12, length, to->codec.payload_type, marker, ++out->sequence, out->timestamp);
}

/* One 20 ms tick of the session whose stream is ended. True: there is more to come. */
bool converter_tick(struct worker *w, struct session *from) {
    struct converter *c = from->converter;
    if (!c || from->peer == NOBODY) return false;
    struct session *to = &w->plane->sessions[from->peer];
    if (c->waiting && c->held < wanted(c, from) && !(c->held && ++c->waited > MOST_HELD)) {
        if (!c->held) c->pause = true;
        return c->held > 0;
    }
    c->waiting = false;
    c->waited = 0;
    fill(c);
    review(c, from);
    if (!c->count) {
        c->pause = true;
        return false;
    }
    if (c->count < c->frame) memset(c->samples + c->count, 0, (c->frame - c->count) * sizeof *c->samples);
    bool heard = to->has_remote && to->send && !to->play && to->codec.kind == c->to;
    if (heard) say(w, to, c);
    else c->pause = true;
    c->count = c->count > c->frame ? c->count - c->frame : 0;
    memmove(c->samples, c->samples + c->frame, c->count * sizeof *c->samples);
    return true;
}
