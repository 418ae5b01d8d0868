/* Rooms and who is in them. A room belongs to one worker; its parties' sessions, and whom these are bridged with, move there.
 *
 * A session in a room hears the room instead of its bridge, which stays for its keys and is heard again when it leaves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { UNITY = 1 << 15 };

struct room *room_find(plane *p, int64_t handle) {
    uint64_t index = (uint64_t)handle & 0xFFFFFFFF;
    if (handle < 0 || index >= ROOMS) return NULL;
    struct room *r = p->rooms[index];
    return r && r->generation == (uint32_t)(handle >> 32) ? r : NULL;
}

static struct play *whole(plane *p, const char *path, char *why, int why_room, int *error) {
    *error = 0;
    struct play *play = NULL;
    if (path && *path) play = play_new(p, 0, &path, 1, LINEAR, why, why_room, error);
    return play;
}

static void free_room(struct room *r) {
    play_free(r->play);
    play_free(r->music);
    play_free(r->entry);
    play_free(r->leaving);
    for (int i = 0; i < EFFECTS; i++) play_free(r->effects[i]);
    free(r);
}

int64_t plane_open_room(plane *p, const plane_room *settings, char *why, int why_room) {
    int index = 0, error = 0;
    while (index < ROOMS && p->rooms[index]) index++;
    if (index == ROOMS) return -ENOSPC;
    struct room *r = calloc(1, sizeof *r);
    if (!r) return -ENOMEM;
    r->entry = whole(p, settings->entry_sound, why, why_room, &error);
    if (!error) r->leaving = whole(p, settings->exit_sound, why, why_room, &error);
    if (!error) r->music = whole(p, settings->music, why, why_room, &error);
    if (error) {
        free_room(r);
        return error;
    }
    if (r->music) r->music->loop = true;
    r->rate = 8000;
    r->tells_talkers = settings->tell_talkers;
    r->generation = ++p->rooms_opened & 0x7FFFFFFF;
    r->phase = (uint8_t)(p->opened++ % PHASES);
    struct worker *w = least_loaded(p);
    worker_lock(w);
    r->worker = w->number;
    r->next = w->rooms[r->phase];
    w->rooms[r->phase] = r;
    worker_keep_ticking(w);
    worker_unlock(w);
    p->rooms[index] = r;
    return (int64_t)((uint64_t)r->generation << 32 | (uint64_t)index);
}

static void sound(struct room *r, const struct play *model) {
    if (!model) return;
    for (int i = 0; i < EFFECTS; i++) {
        if (r->effects[i]) continue;
        r->effects[i] = play_again(model);
        return;
    }
}

/* What a party needs for the codec it speaks now. Another one than we decode: it is neither heard nor spoken to. */
static int new_coders(const struct session *s, uint32_t rate, struct stream **in, struct encoder **voice) {
    *in = NULL;
    *voice = NULL;
    if (!decodable(s->codec.kind)) return 0;
    *in = stream_new(s->codec.kind, rate);
    *voice = encoder_new(s->codec.kind, rate);
    if (*in && *voice) return 0;
    stream_free(*in);
    encoder_free(*voice);
    return -ENOMEM;
}

static uint32_t rate_of(const struct room *r) {
    uint32_t rate = r->rate;
    for (int i = 0; i < r->count; i++)
        if (coded(r->parties[i]->session->codec.kind)) rate = 16000;
    return rate;
}

/* After a party came or changed its codec: every party has coders of its codec and of the room's rate, which rises with the first
 * wide-band party and stays. */
int room_fit(plane *p, struct room *r) {
    uint32_t rate = rate_of(r);
    struct stream *in[ROOM_MOST] = {0};
    struct encoder *voice[ROOM_MOST] = {0};
    bool renewed[ROOM_MOST] = {0};
    int error = 0;
    for (int i = 0; i < r->count && !error; i++) {
        const struct party *at = r->parties[i];
        uint8_t kind = at->session->codec.kind;
        renewed[i] = decodable(kind) ? !stream_is(at->in, kind, rate) || !encoder_is(at->voice, kind) : at->in != NULL;
        if (renewed[i]) error = new_coders(at->session, rate, &in[i], &voice[i]);
    }
    struct worker *w = &p->workers[r->worker];
    if (!error) worker_lock(w);
    for (int i = 0; i < r->count; i++) {
        struct party *at = r->parties[i];
        if (!error && renewed[i]) {
            struct stream *old_in = at->in;
            struct encoder *old_voice = at->voice;
            at->in = in[i];
            at->voice = voice[i];
            at->sharing = at->audible = at->chosen = at->mixed = false;
            in[i] = old_in;
            voice[i] = old_voice;
        }
    }
    if (!error) {
        r->rate = rate;
        worker_unlock(w);
    }
    for (int i = 0; i < r->count; i++) {
        stream_free(in[i]);
        encoder_free(voice[i]);
    }
    return error;
}

static int class_of(struct room *r, uint64_t hears) {
    int unused = -1;
    for (int i = 0; i < CLASSES; i++) {
        if (r->classes[i].users && r->classes[i].hears == hears) return i;
        if (!r->classes[i].users && unused < 0) unused = i;
    }
    if (unused >= 0) r->classes[unused] = (struct class){.hears = hears, .gain = UNITY};
    return unused;
}

static int settle(struct room *r, struct party *at, const plane_party *settings) {
    int class = class_of(r, settings->hears);
    if (class < 0) return -ENOSPC;
    if (at->session->party) r->classes[at->class].users--;
    r->classes[class].users++;
    at->class = (uint8_t)class;
    at->says = settings->says;
    at->hears = settings->hears;
    at->gain = settings->gain;
    at->sharing = false;
    return 0;
}

static int enter(plane *p, struct room *r, struct session *s, const plane_party *settings) {
    if (r->count == ROOM_MOST) return -ENOSPC;
    struct party *at = calloc(1, sizeof *at);
    if (!at) return -ENOMEM;
    at->session = s;
    at->room = r;
    struct worker *w = session_lock(p, s);
    int error = settle(r, at, settings);
    if (!error) {
        s->party = at;
        r->parties[r->count++] = at;
        s->out.mapped = false;
        if (!settings->silent) sound(r, r->entry);
    }
    worker_unlock(w);
    if (error) free(at);
    else error = room_fit(p, r);
    return error;
}

/* Idempotent: a session that is in the room already gets the new settings; one that is in another room leaves that one. */
int plane_join(plane *p, int64_t session, int64_t room, const plane_party *settings) {
    struct session *s = session_find(p, session);
    struct room *r = room_find(p, room);
    if (!s || !r) return -ENOENT;
    if (!decodable(s->codec.kind)) return PLANE_NO_CODER;
    if (s->party && s->party->room == r) {
        struct worker *w = session_lock(p, s);
        int error = settle(r, s->party, settings);
        worker_unlock(w);
        return error;
    }
    if (s->party) room_leave(p, s, false);
    if (s->worker != r->worker) {
        struct session *peer = s->peer == NOBODY ? NULL : &p->sessions[s->peer];
        if (peer && peer->party) return -EBUSY;
        int error = session_move(p, s, &p->workers[r->worker]);
        if (error) return error;
    }
    return enter(p, r, s, settings);
}

void room_leave(plane *p, struct session *s, bool silent) {
    struct party *at = s->party;
    if (!at) return;
    struct room *r = at->room;
    struct worker *w = session_lock(p, s);
    for (int i = 0; i < r->count; i++)
        if (r->parties[i] == at) r->parties[i] = r->parties[--r->count];
    r->classes[at->class].users--;
    s->party = NULL;
    s->out.mapped = false;
    if (!silent && r->count) sound(r, r->leaving);
    worker_unlock(w);
    stream_free(at->in);
    encoder_free(at->voice);
    free(at);
}

int plane_leave(plane *p, int64_t session, int silent) {
    struct session *s = session_find(p, session);
    if (!s) return -ENOENT;
    room_leave(p, s, silent);
    return 0;
}

int plane_close_room(plane *p, int64_t room) {
    struct room *r = room_find(p, room);
    if (!r) return -ENOENT;
    while (r->count) room_leave(p, r->parties[0]->session, true);
    struct worker *w = &p->workers[r->worker];
    worker_lock(w);
    struct room **link = &w->rooms[r->phase];
    while (*link != r) link = &(*link)->next;
    *link = r->next;
    w->timed--;
    room_play_end(w, r, false);
    if (r->recording) recording_finish(w, r->recording, PLANE_BY_STOP);
    worker_unlock(w);
    p->rooms[(uint64_t)room & 0xFFFFFFFF] = NULL;
    free_room(r);
    return 0;
}

int plane_room_play(plane *p, int64_t room, uint64_t number, const char **files, int count, int loop, char *why, int why_room) {
    struct room *r = room_find(p, room);
    if (!r) return -ENOENT;
    int error;
    struct play *play = play_new(p, number, files, count, LINEAR, why, why_room, &error);
    if (!play) return error;
    play->loop = loop;
    struct worker *w = &p->workers[r->worker];
    worker_lock(w);
    room_play_end(w, r, false);
    r->play = play;
    worker_unlock(w);
    return 0;
}

int plane_room_stop_play(plane *p, int64_t room) {
    struct room *r = room_find(p, room);
    if (!r) return -ENOENT;
    struct worker *w = &p->workers[r->worker];
    worker_lock(w);
    room_play_end(w, r, false);
    worker_unlock(w);
    return 0;
}

void room_play_end(struct worker *w, struct room *r, bool completed) {
    struct play *play = r->play;
    r->play = NULL;
    play_report(w, play, 0, completed);
    play_free(play);
}
