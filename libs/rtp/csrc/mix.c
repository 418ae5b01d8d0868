/* The mixer: every 20 ms each party of a room gets the sum of what it is to hear, less itself.
 *
 * A party speaks into the channels of `says` and hears those of `hears`; parties that hear the same share one sum, so that the cost
 * grows with the number of parties and not with its square. Of more than SPEAKERS who speak only the loudest are mixed. */
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { SPEAKERS = 10, VOICED = 200, TALK_FRAMES = 3, HUSH_FRAMES = 20, CEILING = 30000, UNITY = 1 << 15, UNITY_GAIN = 1 << 12 };

static int16_t clip(int32_t value) { return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value); }
static uint32_t frame_of(const struct room *r) { return r->rate / FRAMES_A_SECOND; }

static void talk_event(struct worker *w, const struct party *p) {
    plane_event event = {.kind = PLANE_TALKING, .handle = session_handle(w->plane, p->session), .completed = p->talking};
    event_put(w->plane, &event);
}

/* Three voiced frames in a row begin a talk, 400 ms without one end it. */
static void notice_talk(struct worker *w, struct room *r, struct party *p, bool voiced) {
    p->run = voiced ? (p->run < 0 ? 1 : p->run + 1) : (p->run > 0 ? -1 : p->run - 1);
    bool talking = p->talking ? p->run > -HUSH_FRAMES : p->run >= TALK_FRAMES;
    if (talking == p->talking) return;
    p->talking = talking;
    if (r->tells_talkers) talk_event(w, p);
}

/* A key is heard by nobody but whom its session is bridged with, unless that one is told it otherwise. */
static bool key_is_told(const struct worker *w, const struct session *s) {
    return s->peer == NOBODY ? key_in_audio(s) || s->key.pressed : told_otherwise(s, &w->plane->sessions[s->peer]);
}

static void hear(struct worker *w, struct room *r, struct party *p) {
    uint32_t count = frame_of(r), sum = 0;
    p->was_audible = p->audible;
    p->audible = p->in && stream_take(p->in, incoming_jitter_ms(p->session), p->frame) == STREAM_FRAME && !key_is_told(w, p->session);
    for (uint32_t i = 0; i < count && p->audible; i++) {
        if (p->gain != UNITY_GAIN) p->frame[i] = clip(p->frame[i] * p->gain / UNITY_GAIN);
        sum += (uint32_t)abs(p->frame[i]);
    }
    uint32_t level = sum / count;
    p->level = level > p->level * 7 / 8 ? level : p->level * 7 / 8;
    notice_talk(w, r, p, p->says && level > VOICED);
}

/* The least level that is mixed; those mixed already count twice, so that two of the same loudness do not take turns. */
static uint32_t threshold(const struct room *r) {
    uint32_t loudest[SPEAKERS] = {0}, candidates = 0;
    for (int i = 0; i < r->count; i++) {
        const struct party *p = r->parties[i];
        if (!p->audible || !p->says) continue;
        uint32_t level = p->level << p->chosen;
        candidates++;
        for (int at = SPEAKERS - 1; at >= 0 && level > loudest[at]; at--) {
            if (at + 1 < SPEAKERS) loudest[at + 1] = loudest[at];
            loudest[at] = level;
        }
    }
    return candidates > SPEAKERS ? loudest[SPEAKERS - 1] : 0;
}

static void fade(int16_t *samples, uint32_t count, bool in) {
    for (uint32_t i = 0; i < count; i++) samples[i] = (int16_t)(samples[i] * (int32_t)(in ? i : count - i) / (int32_t)count);
}

/* Who comes into the mix or falls out of it while speaking is faded. */
static void choose(struct room *r) {
    uint32_t least = threshold(r), taken = 0;
    for (int i = 0; i < r->count; i++) {
        struct party *p = r->parties[i];
        bool before = p->chosen;
        p->chosen = p->audible && p->says && p->level << before >= least && (!least || taken < SPEAKERS);
        taken += p->chosen;
        p->mixed = p->chosen || (before && p->audible && p->says);
        if (p->mixed && p->was_audible && before != p->chosen) fade(p->frame, frame_of(r), p->chosen);
    }
}

static void add(int32_t *sum, const int16_t *samples, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) sum[i] += samples[i];
}

/* Files speak at 8 kHz. False: nothing is there. */
static bool add_file(struct room *r, struct play *play, int32_t *sum) {
    int16_t narrow[FRAME] = {0}, wide[WIDE_FRAME];
    uint32_t got = play_take(play, (uint8_t *)narrow, FRAME, LINEAR);
    if (r->rate == 8000) add(sum, narrow, FRAME);
    else {
        halfband_up(&play->up, narrow, FRAME, wide);
        add(sum, wide, WIDE_FRAME);
    }
    return got && !play_at_end(play);
}

/* What the room itself says: sounds of coming and going, a prompt, music for one who is alone. */
static void files(struct worker *w, struct room *r) {
    memset(r->own, 0, sizeof r->own);
    memset(r->music_sum, 0, sizeof r->music_sum);
    r->sounds = r->play != NULL;
    for (int i = 0; i < EFFECTS; i++) {
        struct play *effect = r->effects[i];
        if (!effect) continue;
        r->sounds = true;
        if (add_file(r, effect, r->own)) continue;
        play_free(effect);
        r->effects[i] = NULL;
    }
    if (r->play && !add_file(r, r->play, r->own)) room_play_end(w, r, true);
    if (r->music && r->count == 1) add_file(r, r->music, r->music_sum);
}

/* A sum too loud for 16 bits is turned down at once and comes back within a second. */
static void limit(struct class *c, uint32_t count) {
    int32_t peak = 0, before = c->gain, wanted = UNITY;
    for (uint32_t i = 0; i < count; i++) {
        int32_t size = abs(c->sum[i]);
        if (size > peak) peak = size;
    }
    if (peak > CEILING) wanted = (int32_t)((int64_t)CEILING * UNITY / peak);
    c->gain = wanted < before ? wanted : before + before / 32 + 1 < wanted ? before + before / 32 + 1 : wanted;
    c->plain = c->gain == UNITY && before == UNITY;
}

static void sum_class(struct room *r, struct class *c) {
    uint32_t count = frame_of(r);
    memcpy(c->sum, r->own, count * sizeof *c->sum);
    if (r->count == 1)
        for (uint32_t i = 0; i < count; i++) c->sum[i] += r->music_sum[i];
    for (int i = 0; i < r->count; i++) {
        const struct party *p = r->parties[i];
        if (p->mixed && p->says & c->hears) add(c->sum, p->frame, count);
    }
    limit(c, count);
    c->encoded[0] = c->encoded[1] = false;
    for (uint32_t i = 0; i < count; i++) c->shared[i] = c->plain ? clip(c->sum[i]) : clip((int32_t)((int64_t)c->sum[i] * c->gain / UNITY));
}

static void send_copy(struct worker *w, struct session *s, const uint8_t *frame, uint32_t length, bool first) {
    uint8_t packet[12 + ENCODED + SRTP_TAIL];
    memcpy(packet + 12, frame, length);
    outgoing_frame(w, s, packet + 12, length, first);
}

/* Whoever adds nothing to its sum hears what the others of its class hear: one encoding for all of G.711. */
static void say_shared(struct worker *w, struct room *r, struct party *p, struct class *c) {
    bool mu = p->session->codec.kind == PLANE_PCMU;
    if (!c->narrow_ready) {
        c->before = c->down;
        if (r->rate == 8000) memcpy(c->narrow, c->shared, sizeof c->narrow);
        else halfband_down(&c->down, c->shared, WIDE_FRAME, c->narrow);
        c->narrow_ready = true;
    }
    if (!c->encoded[mu]) g711_encode(c->law[mu], c->narrow, FRAME, mu ? PLANE_PCMU : PLANE_PCMA);
    c->encoded[mu] = true;
    send_copy(w, p->session, c->law[mu], FRAME, !p->speaking);
    p->sharing = true;
}

static void say_own(struct worker *w, struct room *r, struct party *p, struct class *c, bool contributes) {
    uint32_t count = frame_of(r);
    int16_t out[WIDE_FRAME];
    const int16_t *from = c->shared;
    if (contributes) {
        for (uint32_t i = 0; i < count; i++) {
            int32_t value = c->sum[i] - p->frame[i];
            out[i] = c->plain ? clip(value) : clip((int32_t)((int64_t)value * c->gain / UNITY));
        }
        from = out;
    }
    if (p->sharing) encoder_continue(p->voice, c->narrow_ready ? &c->before : &c->down);
    p->sharing = false;
    outgoing_say(w, p->session, p->voice, from, count, !p->speaking);
}

static void say(struct worker *w, struct room *r, struct party *p) {
    struct session *s = p->session;
    struct class *c = &r->classes[p->class];
    bool heard = s->has_remote && s->send && !occupied(s) && encoder_is(p->voice, s->codec.kind);
    if (heard) {
        bool contributes = p->mixed && p->says & p->hears;
        if (!contributes && is_g711(&s->codec)) say_shared(w, r, p, c);
        else say_own(w, r, p, c, contributes);
    }
    p->speaking = heard;
}

/* All that is said, whoever hears it. */
static void keep(struct worker *w, struct room *r) {
    uint32_t count = frame_of(r);
    int32_t sum[WIDE_FRAME];
    int16_t samples[WIDE_FRAME], wide[WIDE_FRAME];
    memcpy(sum, r->own, sizeof sum);
    for (int i = 0; i < r->count; i++)
        if (r->parties[i]->mixed) add(sum, r->parties[i]->frame, count);
    for (uint32_t i = 0; i < count; i++) samples[i] = clip(sum[i]);
    if (r->rate == 8000) halfband_up(&r->recorded_up, samples, FRAME, wide);
    recording_append(w, r->recording, r->rate == 8000 ? wide : samples, WIDE_FRAME);
    bool full = r->recording->tracks[0].written + WIDE_FRAME > r->recording->most, failed = atomic_load(&r->recording->failed);
    if (!full && !failed) return;
    recording_finish(w, r->recording, full ? PLANE_BY_LENGTH : PLANE_BY_STOP);
    r->recording = NULL;
}

void room_tick(struct worker *w, struct room *r) {
    for (int i = 0; i < r->count; i++) hear(w, r, r->parties[i]);
    choose(r);
    files(w, r);
    for (int i = 0; i < CLASSES; i++) {
        r->classes[i].narrow_ready = false;
        if (r->classes[i].users) sum_class(r, &r->classes[i]);
    }
    for (int i = 0; i < r->count; i++) say(w, r, r->parties[i]);
    if (r->recording) keep(w, r);
}
