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
        audio_copy(to + got * (codec == LINEAR ? 2 : 1), audio, play->offset, part, codec);
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
    bool law = is_g711(&s->codec);
    if (!law && !encoder_is(s->voice, s->codec.kind)) return play_end(w, s, false); /* the far end has changed to what we cannot encode */
    uint8_t frame[12 + ENCODED + SRTP_TAIL], *payload = frame + 12;
    int16_t linear[FRAME] = {0};
    uint32_t length = FRAME, got = law ? take(play, payload, FRAME, s->codec.kind) : take(play, (uint8_t *)linear, FRAME, LINEAR);
    if (got) {
        if (law) memset(payload + got, g711_silence(s->codec.kind), FRAME - got);
        else length = encoder_encode(s->voice, linear, FRAME, payload, ENCODED);
        struct outgoing *out = &s->out;
        bool marker = !play->started, late = w->now_ms - out->last_ms > LATE_MS;
        out->timestamp += marker || late ? outgoing_gap(out, w->now_ms) : out->rate / 50;
        out->last_ms = w->now_ms;
        out->last_samples = out->rate / 50;
        play->started = true;
        if (s->send && length) outgoing_send(w, s, payload, length, s->codec.payload_type, marker, ++out->sequence, out->timestamp);
    }
    if (!got || at_end(play)) play_end(w, s, true);
}
