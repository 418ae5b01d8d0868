/* Transcoding: the stream of one session is ended here and made anew for a peer of another codec, 20 ms at a time. */
#include <stdlib.h>

#include "core.h"

struct converter {
    uint8_t from, to;
    uint32_t rate;                 /* of the linear samples between, Hz */
    struct stream *stream;
    struct encoder *encoder;
    bool pause;
};

bool coded(uint8_t kind) { return kind == PLANE_G722 || kind == PLANE_OPUS; }
bool decodable(uint8_t kind) { return coded(kind) || kind == PLANE_PCMA || kind == PLANE_PCMU; }
bool convertible(const struct codec *from, const struct codec *to) { return decodable(from->kind) && decodable(to->kind); }

void converter_free(struct converter *c) {
    if (!c) return;
    stream_free(c->stream);
    encoder_free(c->encoder);
    free(c);
}

struct converter *converter_new(uint8_t from, uint8_t to) {
    struct converter *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    uint32_t rate = coded(from) && coded(to) ? 16000 : 8000;
    *c = (struct converter){.from = from, .to = to, .rate = rate, .pause = true};
    c->stream = stream_new(from, rate);
    c->encoder = encoder_new(to, rate);
    if (c->stream && c->encoder) return c;
    converter_free(c);
    return NULL;
}

bool converter_is(const struct converter *c, uint8_t from, uint8_t to) { return c && c->from == from && c->to == to; }

void converter_put(struct worker *w, struct session *from, const struct packet *packet) {
    if (!stream_put(from->converter->stream, packet)) return drop(w, from, PLANE_DROP_MALFORMED);
    worker_time(w, from);
}

/* Where a stream ends here the noise is made here; elsewhere it is passed on to a far end that has agreed to it. */
void comfort_noise(struct worker *w, struct session *s, struct packet *packet) {
    packet->codec = COMFORT_NOISE;
    if (s->party && s->party->in) stream_put(s->party->in, packet);
    else if (!s->party && s->peer != NOBODY) relay(w, s, packet, true);
}

/* One 20 ms tick of the session whose stream is ended. True: there is more to come. */
bool converter_tick(struct worker *w, struct session *from) {
    struct converter *c = from->converter;
    if (!c || from->peer == NOBODY) return false;
    struct session *to = &w->plane->sessions[from->peer];
    int16_t samples[WIDE_FRAME];
    enum taken taken = stream_take(c->stream, incoming_jitter_ms(from), samples);
    if (taken != STREAM_FRAME) {
        c->pause |= taken == STREAM_IDLE;
        return taken == STREAM_WAITS;
    }
    bool heard = to->has_remote && to->send && !occupied(to) && !to->party && to->codec.kind == c->to && !told_otherwise(from, to);
    if (heard) outgoing_say(w, to, c->encoder, samples, c->rate / FRAMES_A_SECOND, c->pause);
    c->pause = !heard;
    return true;
}
