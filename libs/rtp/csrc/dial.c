/* Keys that we press: as telephone events where the far end agreed to them (RFC 4733), else as the two tones of ITU-T Q.23.
 *
 * While keys are sent they stand in the place of everything else that session hears. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { WAITING_MOST = 64, TICK_MS = 20, VOLUME = 10, ENDS = 3, PAUSE_MS = 1000, LOW_AMPLITUDE = 7000, HIGH_AMPLITUDE = 8800 };

static const char KEYS[] = "0123456789*#ABCD";
/* The row and the column of each key, Hz. */
static const uint16_t rows[] = {941, 697, 697, 697, 770, 770, 770, 852, 852, 852, 941, 941, 697, 770, 852, 941};
static const uint16_t columns[] = {1336, 1209, 1336, 1477, 1209, 1336, 1477, 1209, 1336, 1477, 1209, 1477, 1633, 1633, 1633, 1633};

void dial_end(struct worker *w, struct session *s, bool completed) {
    struct dial *dial = s->dial;
    if (!dial) return;
    s->dial = dial->next;
    s->out.mapped = false;
    plane_event event = {.kind = PLANE_DIGITS_SENT, .handle = session_handle(w->plane, s), .number = dial->number, .completed = completed};
    event_put(w->plane, &event);
    free(dial);
}

void dial_end_all(struct worker *w, struct session *s) {
    while (s->dial) dial_end(w, s, false);
}

/* Behind those that are being sent, for which they wait; false: too many do. */
static bool dial_after(struct session *s, struct dial *dial) {
    struct dial **end = &s->dial;
    for (int waiting = 0; *end; end = &(*end)->next) {
        if (++waiting > WAITING_MOST) return false;
    }
    *end = dial;
    return true;
}

static void send_event(struct worker *w, struct session *s, uint8_t event) {
    struct dial *dial = s->dial;
    struct outgoing *out = &s->out;
    uint8_t packet[12 + 4 + SRTP_TAIL], *body = packet + 12;
    bool first = !dial->elapsed_ms, end = dial->elapsed_ms + TICK_MS >= dial->on_ms;
    if (first) dial->timestamp = out->timestamp + outgoing_gap(out, w->now_ms);
    uint32_t ms = end ? dial->on_ms : dial->elapsed_ms + TICK_MS;
    uint32_t duration = (uint32_t)((uint64_t)ms * s->event_rate / 1000);
    if (duration > 0xFFFF) duration = 0xFFFF;
    body[0] = event;
    body[1] = (uint8_t)(end ? 0x80 | VOLUME : VOLUME);
    body[2] = (uint8_t)(duration >> 8);
    body[3] = (uint8_t)duration;
    out->timestamp = dial->timestamp;
    out->last_ms = w->now_ms;
    out->last_samples = (uint32_t)((uint64_t)ms * out->rate / 1000);
    out->mapped = false;
    if (s->send) outgoing_send(w, s, body, 4, s->telephone_event, first, ++out->sequence, dial->timestamp);
}

static void send_tone(struct worker *w, struct session *s, int key) {
    struct dial *dial = s->dial;
    int16_t samples[FRAME] = {0};
    for (int i = 0; i < FRAME && key >= 0; i++) {
        double at = (dial->elapsed_ms * 8 + i) * 2 * M_PI / 8000;
        if (dial->elapsed_ms * 8 + i < dial->on_ms * 8) samples[i] = (int16_t)(LOW_AMPLITUDE * sin(rows[key] * at) + HIGH_AMPLITUDE * sin(columns[key] * at));
    }
    outgoing_linear(w, s, samples, !dial->started);
    dial->started = true;
}

/* True where the key has ended, its repeated ends too. */
static bool pressing(struct worker *w, struct session *s, int key) {
    struct dial *dial = s->dial;
    if (dial->events && key >= 0) send_event(w, s, (uint8_t)key);
    else if (!dial->events) send_tone(w, s, dial->elapsed_ms < dial->on_ms ? key : -1);
    if (dial->events && key >= 0 && dial->elapsed_ms + TICK_MS >= dial->on_ms && ++dial->ends < ENDS) return false;
    dial->elapsed_ms += TICK_MS;
    return dial->elapsed_ms >= (key >= 0 ? dial->on_ms : PAUSE_MS);
}

void dial_tick(struct worker *w, struct session *s) {
    struct dial *dial = s->dial;
    if (!dial || !s->has_remote) return;
    if (dial->events && s->telephone_event == PLANE_NO_EVENT) return dial_end(w, s, false); /* agreed away meanwhile */
    if (!dial->gap) {
        const char *key = strchr(KEYS, dial->keys[dial->current]);
        if (!pressing(w, s, key ? (int)(key - KEYS) : -1)) return;
        dial->gap = true;
        dial->elapsed_ms = dial->ends = 0;
        return;
    }
    if (!dial->events) send_tone(w, s, -1);
    dial->elapsed_ms += TICK_MS;
    if (dial->elapsed_ms < dial->off_ms) return;
    dial->gap = false;
    dial->elapsed_ms = 0;
    if (!dial->keys[++dial->current]) dial_end(w, s, true);
}

/* Keys of `0-9*#A-D` and `,` for a second of nothing. Keys that are being sent are broken off, or with `after` sent first; -ENOSPC: too
 * many wait. */
int plane_send_digits(plane *p, int64_t handle, uint64_t number, const char *keys, uint32_t on_ms, uint32_t off_ms, int tones, int after) {
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    bool events = !tones && s->telephone_event != PLANE_NO_EVENT;
    if (strlen(keys) >= sizeof s->dial->keys || !*keys || on_ms < 2 * TICK_MS || on_ms > 8000 || off_ms < 2 * TICK_MS) return -EINVAL;
    if (!events && !decodable(s->codec.kind)) return PLANE_NO_CODER;
    s->plays = true;
    if (!events && fit_coders(p, s, s->codec.kind, true, false)) return -ENOMEM;
    struct dial *dial = calloc(1, sizeof *dial);
    if (!dial) return -ENOMEM;
    *dial = (struct dial){.number = number, .events = events, .on_ms = on_ms, .off_ms = off_ms};
    strcpy(dial->keys, keys);
    struct worker *w = session_lock(p, s);
    if (!after) dial_end_all(w, s);
    bool taken = dial_after(s, dial);
    s->out.mapped = false;
    worker_time(w, s);
    worker_unlock(w);
    if (!taken) free(dial);
    return taken ? 0 : -ENOSPC;
}
