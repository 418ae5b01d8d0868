/* Playout: every 20 ms one packet of the session's outgoing stream, made from the files of its play.
 *
 * Nothing is lost of a prompt that starts before the far end is known: it waits. While the far end is on hold (send is off) it
 * goes on unheard. */
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { LATE_MS = 60 };

void play_end(struct worker *w, struct session *s, bool completed) {
    struct play *play = s->play;
    if (!play) return;
    s->play = NULL;
    s->out.mapped = false;
    plane_event event = {.kind = PLANE_PLAY_ENDED,
                         .handle = session_handle(w->plane, s),
                         .number = play->number,
                         .completed = completed,
                         .duration_ms = (uint32_t)(play->played / 8)};
    event_put(w->plane, &event);
    for (int i = 0; i < play->count; i++) audio_release(play->files[i]);
    free(play);
}

/* Copies up to `room` samples in the session's codec and moves on; fewer only at the very end. */
static uint32_t take(struct play *play, uint8_t *to, uint32_t room, uint8_t codec) {
    uint32_t got = 0;
    int empty = 0;
    while (got < room && empty <= play->count) {
        if (play->current == play->count) {
            if (!play->loop) break;
            play->current = 0;
        }
        struct audio *audio = play->files[play->current];
        uint32_t part = audio->length - play->offset < room - got ? audio->length - play->offset : room - got;
        g711_convert(to + got, audio->samples + play->offset, part, audio->codec, codec);
        got += part;
        play->offset += part;
        empty = part ? 0 : empty + 1;
        if (play->offset == audio->length) {
            play->offset = 0;
            play->current++;
        }
    }
    play->played += got;
    return got;
}

static bool at_end(const struct play *play) { return !play->loop && play->current == play->count; }

void play_tick(struct worker *w, struct session *s) {
    struct play *play = s->play;
    if (!play || !s->has_remote) return;
    if (!is_g711(&s->codec)) return play_end(w, s, false); /* the far end has changed to what we cannot encode */
    uint8_t frame[12 + FRAME + SRTP_TAIL], *payload = frame + 12;
    uint32_t got = take(play, payload, FRAME, s->codec.kind);
    if (got) {
        memset(payload + got, g711_silence(s->codec.kind), FRAME - got);
        struct outgoing *out = &s->out;
        bool marker = !play->started, late = w->now_ms - out->last_ms > LATE_MS;
        out->timestamp += marker || late ? outgoing_gap(out, w->now_ms) : FRAME;
        out->last_ms = w->now_ms;
        out->last_samples = FRAME;
        play->started = true;
        if (s->send) outgoing_send(w, s, payload, FRAME, s->codec.payload_type, marker, ++out->sequence, out->timestamp);
    }
    if (!got || at_end(play)) play_end(w, s, true);
}
