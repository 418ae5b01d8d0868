/* The relay: a packet of one session becomes the next one of its peer's outgoing stream, in place.
 *
 * Sequence and timestamp are shifted by constants while one source lasts, so that loss, order and pauses stay visible to the
 * receiver; a new source (another peer, a prompt before it, another SSRC, a jump) continues where the stream stands. */
#include "core.h"

enum { FORWARD = 3000, BACKWARD = -100, FORGET = 1000 };

static uint32_t samples_of(const struct packet *packet, bool audio) {
    if (audio) return packet->length;
    return packet->length >= 4 ? (uint32_t)(packet->payload[2] << 8 | packet->payload[3]) : 0;
}

static void map(struct outgoing *out, const struct packet *packet, int64_t now_ms) {
    out->mapped = true;
    out->map_ssrc = packet->ssrc;
    out->sequence_delta = (uint16_t)(out->sequence + 1 - packet->sequence);
    out->timestamp_delta = out->timestamp + outgoing_gap(out, now_ms) - packet->timestamp;
    out->oldest = packet->sequence;
    out->in_sequence = (uint16_t)(packet->sequence - 1);
}

void relay(struct worker *w, struct session *from, struct packet *packet) {
    struct session *to = &w->plane->sessions[from->peer];
    if (!to->has_remote || !to->send || to->play) return;
    bool audio = packet->type == PLANE_PCMU || packet->type == PLANE_PCMA;
    uint8_t type = audio ? to->codec : to->telephone_event;
    if (type == PLANE_NO_EVENT) return;
    struct outgoing *out = &to->out;
    int16_t step = (int16_t)(packet->sequence - out->in_sequence);
    bool marker = packet->marker;
    if (!out->mapped || out->map_ssrc != packet->ssrc || step > FORWARD || step < BACKWARD) {
        map(out, packet, w->now_ms);
        marker |= audio;
        step = 1;
    }
    if ((int16_t)(packet->sequence - out->oldest) < 0) return; /* sent before the switch: its numbers are another source's */
    if ((uint16_t)(packet->sequence - out->oldest) > FORGET) out->oldest = (uint16_t)(packet->sequence - FORGET / 2);
    uint16_t sequence = (uint16_t)(packet->sequence + out->sequence_delta);
    uint32_t timestamp = packet->timestamp + out->timestamp_delta;
    if (step > 0) {
        out->in_sequence = packet->sequence;
        out->sequence = sequence;
        out->timestamp = timestamp;
        out->last_samples = samples_of(packet, audio);
        out->last_ms = w->now_ms;
    }
    if (audio && packet->type != to->codec) g711_convert(packet->payload, packet->payload, packet->length, packet->type, to->codec);
    outgoing_send(w, to, packet->payload, packet->length, type, marker, sequence, timestamp);
}
