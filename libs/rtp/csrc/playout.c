/* Playout: every 20 ms one packet of the session's outgoing stream, made from the files of its play.
 *
 * Nothing is lost of a prompt that starts before the far end is known: it waits. While the far end is on hold (send is off) it
 * goes on unheard. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { BEEP = 1600, BEEP_AMPLITUDE = 3000 };

void play_free(struct play *play) {
    if (!play) return;
    for (int i = 0; i < play->count; i++) audio_release(play->files[i]);
    free(play);
}

/* NULL: `error` says why; `why` names the file that cannot be played. Control thread only. */
struct play *play_new(plane *p, uint64_t number, const char **files, int count, uint8_t codec, char *why, int why_room, int *error) {
    *error = count < 1 ? -EINVAL : -ENOMEM;
    struct play *play = count < 1 ? NULL : calloc(1, sizeof *play + (size_t)count * sizeof play->files[0]);
    if (!play) return NULL;
    play->number = number;
    for (*error = 0; play->count < count; play->count++) {
        *error = audio_load(p, files[play->count], codec, &play->files[play->count], why, why_room);
        if (!*error) continue;
        play_free(play);
        return NULL;
    }
    return play;
}

/* The same files once more from the beginning; NULL: no memory. */
struct play *play_again(const struct play *model) {
    size_t size = sizeof *model + (size_t)model->count * sizeof model->files[0];
    struct play *play = malloc(size);
    if (!play) return NULL;
    memcpy(play, model, size);
    for (int i = 0; i < play->count; i++) audio_share(play->files[i]);
    return play;
}

/* Number 0 is nobody's: a sound that is over without a word. */
void play_report(struct worker *w, const struct play *play, uint64_t handle, bool completed) {
    if (!play || !play->number) return;
    plane_event event = {.kind = PLANE_PLAY_ENDED,
                         .handle = handle,
                         .number = play->number,
                         .completed = completed,
                         .duration_ms = (uint32_t)(play->played / 8)};
    event_put(w->plane, &event);
}

void play_end(struct worker *w, struct session *s, bool completed) {
    struct play *play = s->play;
    if (!play) return;
    s->play = NULL;
    s->out.mapped = false;
    play_report(w, play, session_handle(w->plane, s), completed);
    play_free(play);
}

/* 200 ms of 1400 Hz, ITU-T E.180 section 10 (recording tone), soft at both ends. */
int beep_new(plane *p) {
    struct audio *audio = calloc(1, sizeof *audio);
    struct play *play = calloc(1, sizeof *play + sizeof play->files[0]);
    int16_t *samples = calloc(BEEP, sizeof *samples);
    if (!audio || !play || !samples) {
        free(audio);
        free(play);
        free(samples);
        return -ENOMEM;
    }
    for (int i = 0; i < BEEP; i++) {
        int edge = i < BEEP - 1 - i ? i : BEEP - 1 - i;
        samples[i] = (int16_t)(BEEP_AMPLITUDE * (edge < 80 ? edge / 80.0 : 1) * sin(1400 * 2 * M_PI * i / 8000));
    }
    *audio = (struct audio){.codec = LINEAR, .length = BEEP, .samples = (uint8_t *)samples};
    play->count = 1;
    play->files[0] = audio;
    p->beep = play;
    return 0;
}

void beep_free(plane *p) {
    if (!p->beep) return;
    free(p->beep->files[0]->samples);
    free(p->beep->files[0]);
    free(p->beep);
}

void play_beep(struct worker *w, struct session *s) {
    if (occupied(s) || !s->has_remote || (s->play = play_again(w->plane->beep)) == NULL) return;
    s->out.mapped = false;
    worker_time(w, s);
}

/* Copies up to `room` samples (of 8 kHz, or twice as many where it is WIDE) in the session's codec and moves on; fewer only at the very end. */
uint32_t play_take(struct play *play, uint8_t *to, uint32_t room, uint8_t codec) {
    uint32_t got = 0;
    int empty = 0;
    while (got < room && empty <= play->count) {
        if (play->current == play->count) {
            if (!play->loop) break;
            play->current = 0;
        }
        struct audio *audio = play->files[play->current];
        uint32_t part = audio->length - play->offset < room - got ? audio->length - play->offset : room - got;
        audio_copy(to + got * sample_size(codec), audio, play->offset, part, codec);
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

bool play_at_end(const struct play *play) { return !play->loop && play->current == play->count; }

void play_tick(struct worker *w, struct session *s) {
    struct play *play = s->play;
    if (!play || !s->has_remote) return;
    bool law = is_g711(&s->codec);
    if (!law && !encoder_is(s->voice, s->codec.kind)) return play_end(w, s, false); /* the far end has changed to what we cannot encode */
    uint8_t frame[12 + FRAME + SRTP_TAIL], *payload = frame + 12;
    int16_t linear[WIDE_FRAME] = {0};
    uint32_t got = law ? play_take(play, payload, FRAME, s->codec.kind) : play_take(play, (uint8_t *)linear, FRAME, WIDE);
    if (got && law) {
        memset(payload + got, g711_silence(s->codec.kind), FRAME - got);
        outgoing_frame(w, s, payload, FRAME, !play->started);
    } else if (got) outgoing_say(w, s, s->voice, linear, WIDE_FRAME, !play->started);
    play->started |= got > 0;
    if (!got || play_at_end(play)) play_end(w, s, true);
}

int plane_play(plane *p, int64_t handle, uint64_t number, const char **files, int count, int loop, int barge_in, char *why, int why_room) {
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    if (count < 1) return -EINVAL;
    if (s->codec.kind == PLANE_OTHER) return PLANE_NO_CODER;
    s->plays = true;
    if (fit_coders(p, s, s->codec.kind, true, false)) return -ENOMEM;
    int error;
    struct play *play = play_new(p, number, files, count, coded(s->codec.kind) ? WIDE : s->codec.kind, why, why_room, &error);
    if (!play) return error;
    play->loop = loop;
    play->barge_in = barge_in;
    struct worker *w = session_lock(p, s);
    play_end(w, s, false);
    s->play = play;
    s->out.mapped = false;
    worker_time(w, s);
    worker_unlock(w);
    return 0;
}

int plane_stop_play(plane *p, int64_t handle) {
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    struct worker *w = session_lock(p, s);
    play_end(w, s, false);
    worker_unlock(w);
    return 0;
}
