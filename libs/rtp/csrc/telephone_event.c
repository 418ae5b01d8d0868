/* Telephone events, RFC 4733: one key press is one event, however often its packets come and whichever of them are lost.
 *
 * All packets of a press carry the timestamp of its start; the end is sent three times (section 2.5.1.4); a press longer than
 * 65,535 samples goes on in segments, each starting where the former ended (section 2.5.1.3). */
#include <string.h>

#include "core.h"

enum { LOST_END_MS = 150, SEGMENT = 0xFFFF, LATE_SECONDS = 5 };

static const char DIGITS[] = "0123456789*#ABCD";

/* A key has been pressed, however we know of it: what waits for it ends at once. */
void key_began(struct worker *w, struct session *s, uint8_t digit) {
    const char *at = strchr(DIGITS, digit);
    if (!digit || !at) return;
    if (s->play && s->play->barge_in) play_end(w, s, false);
    if (s->recording && s->recording->finish_events >> (at - DIGITS) & 1) recording_end(w, s, PLANE_BY_DIGIT);
}

void key_released(struct worker *w, struct session *s, uint8_t digit, uint32_t duration_ms) {
    plane_event event = {.kind = PLANE_DIGIT, .handle = session_handle(w->plane, s), .digit = digit, .duration_ms = duration_ms};
    event_put(w->plane, &event);
}

static void released(struct worker *w, struct session *s) {
    struct key *key = &s->key;
    key->pressed = false;
    if (key->event > 15) return; /* flash and the like are no keys */
    key_released(w, s, (uint8_t)DIGITS[key->event], (uint32_t)((uint64_t)(key->before + key->duration) * 1000 / s->event_rate));
}

static void pressed(struct worker *w, struct session *s) {
    if (s->key.event <= 15) key_began(w, s, (uint8_t)DIGITS[s->key.event]);
}

void key_packet(struct worker *w, struct session *s, const struct packet *packet) {
    if (packet->length < 4) {
        drop(w, s, PLANE_DROP_MALFORMED);
        return;
    }
    struct key *key = &s->key;
    uint8_t event = packet->payload[0];
    bool end = packet->payload[1] & 0x80;
    uint32_t duration = get16(packet->payload + 2);
    bool known = key->known && key->ssrc == packet->ssrc;
    if (known && packet->timestamp == key->timestamp && event == key->event) {
        if (!key->pressed) return; /* the end again */
    } else {
        int32_t later = (int32_t)(packet->timestamp - key->timestamp);
        if (known && later < 0 && later > -(int32_t)(LATE_SECONDS * s->event_rate)) return; /* an older press, overtaken */
        if (known && key->pressed && event == key->event && later == SEGMENT) {
            key->before += SEGMENT;
            key->duration = 0;
            key->timestamp = packet->timestamp;
        } else {
            if (key->pressed) released(w, s); /* its end was lost */
            *key = (struct key){.known = true, .pressed = true, .event = event, .ssrc = packet->ssrc, .timestamp = packet->timestamp};
            pressed(w, s);
        }
    }
    if (duration > key->duration) key->duration = duration;
    key->last_ms = w->now_ms;
    if (end) released(w, s);
    worker_time(w, s);
}

void key_tick(struct worker *w, struct session *s) {
    if (s->key.pressed && w->now_ms - s->key.last_ms > LOST_END_MS) released(w, s);
}
