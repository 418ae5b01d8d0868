/* The relay: a packet of one session becomes the next one of its peer's outgoing stream, in place.
 *
 * Sequence and timestamp are shifted by constants while one source lasts, so that loss, order and pauses stay visible to the
 * receiver; a new source (another peer, a prompt before it, another SSRC, a jump) continues where the stream stands. */
#include <string.h>

#include "core.h"

enum { FORWARD = 3000, BACKWARD = -100, FORGET = 1000 };

bool alike(const struct codec *a, const struct codec *b) {
    if (is_g711(a) && is_g711(b)) return true;
    return a->kind == b->kind && a->clock_rate == b->clock_rate && !strcmp(a->name, b->name);
}

/* How long a packet is: what we do not decode tells it by the timestamps of two neighbours. */
static uint32_t samples_of(const struct outgoing *out, const struct packet *packet, bool audio, uint32_t rate) {
    if (!audio) return packet->length >= 4 ? get16(packet->payload + 2) : 0u;
    if (packet->codec == PLANE_PCMU || packet->codec == PLANE_PCMA) return packet->length;
    uint32_t since = packet->timestamp - out->map_timestamp;
    return (uint16_t)(packet->sequence - out->in_sequence) == 1 && since && since <= rate / 5 ? since : rate / FRAMES_A_SECOND;
}

static void map(struct outgoing *out, const struct packet *packet, int64_t now_ms) {
    out->mapped = true;
    out->map_ssrc = packet->ssrc;
    out->sequence_delta = (uint16_t)(out->sequence + 1 - packet->sequence);
    out->timestamp_delta = out->timestamp + outgoing_gap(out, now_ms) - packet->timestamp;
    out->oldest = packet->sequence;
    out->in_sequence = (uint16_t)(packet->sequence - 1);
    out->event_mapped = false;
}

/* A key whose clock is not the audio's on either side: all its packets get one timestamp of our own, and the duration our clock. */
static uint32_t convert_event(struct worker *w, const struct session *from, struct session *to, struct packet *packet) {
    struct outgoing *out = &to->out;
    if (!out->event_mapped || out->event_in != packet->timestamp) {
        out->event_mapped = true;
        out->event_in = packet->timestamp;
        out->event_out = out->timestamp + outgoing_gap(out, w->now_ms);
    }
    if (packet->length >= 4 && from->event_rate != to->event_rate) {
        uint64_t duration = (uint64_t)get16(packet->payload + 2) * to->event_rate / from->event_rate;
        if (duration > 0xFFFF) duration = 0xFFFF;
        packet->payload[2] = (uint8_t)(duration >> 8);
        packet->payload[3] = (uint8_t)duration;
    }
    return out->event_out;
}

/* A key beside audio that is made here, in the same numbers. */
static void relay_key(struct worker *w, struct session *from, struct session *to, struct packet *packet) {
    if (!to->has_remote || !to->send || occupied(to) || to->telephone_event == PLANE_NO_EVENT) return;
    uint32_t timestamp = convert_event(w, from, to, packet);
    to->out.mapped = false;
    outgoing_send(w, to, packet->payload, packet->length, to->telephone_event, packet->marker, ++to->out.sequence, timestamp);
}

/* Between codecs: audio goes through the converter. */
static void convert(struct worker *w, struct session *from, struct session *to, struct packet *packet, bool audio) {
    if (!converter_is(from->converter, from->codec.kind, to->codec.kind)) return drop(w, from, PLANE_DROP_CODEC);
    if (audio) converter_put(w, from, packet);
    else relay_key(w, from, to, packet);
}

static bool one_clock(const struct session *s) { return s->event_rate == s->codec.clock_rate; }

void relay(struct worker *w, struct session *from, struct packet *packet, bool audio) {
    struct session *to = &w->plane->sessions[from->peer];
    if (from->party || to->party) { /* a room has taken the bridge's place: its audio is the mixer's */
        if (!audio) relay_key(w, from, to, packet);
        return;
    }
    if (!alike(&from->codec, &to->codec)) return convert(w, from, to, packet, audio);
    if (!to->has_remote || !to->send || occupied(to)) return;
    if (audio && told_otherwise(from, to)) {
        to->out.mapped = false;
        return;
    }
    bool noise = audio && packet->codec == COMFORT_NOISE;
    uint8_t type = noise ? to->comfort_noise : audio ? to->codec.payload_type : to->telephone_event;
    if (type == PLANE_NO_EVENT) return;
    struct outgoing *out = &to->out;
    int16_t step = (int16_t)(packet->sequence - out->in_sequence);
    bool marker = packet->marker;
    if (!out->mapped || out->map_ssrc != packet->ssrc || step > FORWARD || step < BACKWARD) {
        map(out, packet, w->now_ms);
        marker |= audio && !noise;
        step = 1;
    }
    if ((int16_t)(packet->sequence - out->oldest) < 0) return; /* sent before the switch: its numbers are another source's */
    if ((uint16_t)(packet->sequence - out->oldest) > FORGET) out->oldest = (uint16_t)(packet->sequence - FORGET / 2);
    uint16_t sequence = (uint16_t)(packet->sequence + out->sequence_delta);
    uint32_t timestamp = packet->timestamp + out->timestamp_delta, samples = samples_of(out, packet, audio, out->rate);
    bool converted = !audio && !(one_clock(from) && one_clock(to));
    if (converted) timestamp = convert_event(w, from, to, packet);
    if (step > 0) {
        out->in_sequence = packet->sequence;
        out->sequence = sequence;
        if (audio) out->map_timestamp = packet->timestamp;
    }
    if (step > 0 && !converted) {
        out->timestamp = timestamp;
        out->last_samples = samples;
        out->last_ms = w->now_ms;
    }
    if (audio && !noise && is_g711(&to->codec)) g711_convert(packet->payload, packet->payload, packet->length, packet->codec, to->codec.kind);
    outgoing_send(w, to, packet->payload, packet->length, type, marker, sequence, timestamp);
}
