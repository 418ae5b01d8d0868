/* Bridges: two sessions whose audio goes to one another, through a converter where their codecs differ. */
#include <errno.h>

#include "core.h"

/* Gives one direction of a bridge the converter it needs, or none. Only the control thread changes bridges and codecs. */
static int fit_converter(plane *p, struct session *s) {
    if (s->peer == NOBODY) return 0;
    const struct codec *from = &s->codec, *to = &p->sessions[s->peer].codec;
    bool needed = !alike(from, to) && convertible(from, to);
    if (needed ? converter_is(s->converter, from->kind, to->kind) : !s->converter) return 0;
    struct converter *fresh = needed ? converter_new(from->kind, to->kind) : NULL;
    struct worker *w = session_lock(p, s);
    struct converter *old = s->converter;
    s->converter = fresh;
    p->sessions[s->peer].out.mapped = false;
    worker_unlock(w);
    converter_free(old);
    return needed && !fresh ? -ENOMEM : 0;
}

int fit_bridge(plane *p, struct session *s) {
    if (s->peer == NOBODY) return 0;
    int error = fit_converter(p, s), other = fit_converter(p, &p->sessions[s->peer]);
    return error ? error : other;
}

void bridge_part(plane *p, struct session *s) {
    if (s->peer == NOBODY) return;
    struct session *other = &p->sessions[s->peer];
    converter_free(s->converter);
    converter_free(other->converter);
    s->converter = other->converter = NULL;
    s->peer = other->peer = NOBODY;
    s->out.mapped = other->out.mapped = false;
}

int plane_unbridge(plane *p, int64_t handle) {
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    struct worker *w = session_lock(p, s);  /* the peer has the same worker */
    bridge_part(p, s);
    worker_unlock(w);
    return 0;
}

/* Bridged sessions share a worker, so that the relay touches both under one lock: a session moves with its peer. In no room. */
int session_move(plane *p, struct session *s, struct worker *to) {
    struct session *both[2] = {s, s->peer == NOBODY ? NULL : &p->sessions[s->peer]};
    bool timed[2] = {false, false};
    struct worker *from = session_lock(p, s);
    for (int i = 0; i < 2 && both[i]; i++) {
        timed[i] = both[i]->timed;
        worker_untime(from, both[i]);
        worker_unwatch(from, both[i]); /* nobody's now: one lock at a time is enough */
    }
    worker_unlock(from);
    worker_lock(to);
    int error = 0;
    for (int i = 0; i < 2 && both[i]; i++) {
        int failed = worker_watch(to, both[i]);
        if (failed) error = failed;
        if (timed[i]) worker_time(to, both[i]);
    }
    worker_unlock(to);
    return error;
}

/* To where the left one is; to where the right one is when that one is in a room and so cannot move. */
static int bring_together(plane *p, struct session *left, struct session *right) {
    if (left->worker == right->worker) return 0;
    struct session *moves = right->party ? left : right, *stays = moves == left ? right : left;
    if (moves->party) return -EBUSY;
    struct worker *w = session_lock(p, moves);
    bridge_part(p, moves);
    worker_unlock(w);
    return session_move(p, moves, &p->workers[stays->worker]);
}

int plane_bridge(plane *p, int64_t a, int64_t b) {
    struct session *left = session_find(p, a), *right = session_find(p, b);
    if (!left || !right) return -ENOENT;
    if (left == right) return -EINVAL;
    int error = bring_together(p, left, right);
    if (error) return error;
    struct worker *w = session_lock(p, left);
    int32_t right_index = (int32_t)(right - p->sessions);
    if (left->peer != right_index) {
        bridge_part(p, left);
        bridge_part(p, right);
        left->peer = right_index;
        right->peer = (int32_t)(left - p->sessions);
    }
    worker_unlock(w);
    return fit_bridge(p, left);
}
