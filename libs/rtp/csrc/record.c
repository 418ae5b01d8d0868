/* Recording: tracks, laid out by the timestamps of their packets into rings that the disk thread empties.
 *
 * The first track is what a session says, the second one what it hears. Sample n of a track is n/8 ms after the first one. A gap is
 * concealed for CONCEALED samples, then silence; a packet that overtook another still finds its place while that part has not gone to
 * the disk (LAG); a clock that jumps goes on where the track stands. With no packets at all a track grows by silence, FILL_AFTER
 * behind the clock, so that length and silence still end it. A room's only track is what it mixes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core.h"

enum { LAG = 2400, FILL_AFTER = 1600, AHEAD = 1600, QUIET = 256, DECODED = 960, CONCEALED = 480 };

void recording_free(struct recording *r) {
    if (!r) return;
    for (int i = 0; i < TRACKS; i++) free(r->tracks[i].ring);
    decoder_free(r->heard);
    if (r->fd >= 0) close(r->fd);
    free(r);
}

static bool make_rings(struct recording *r) {
    for (int i = 0; i < r->track_count; i++) {
        concealment_new(&r->tracks[i].concealment, 8000);
        if (!(r->tracks[i].ring = calloc(RECORD_RING, r->codec == LINEAR ? 2 : 1))) return false;
    }
    return true;
}

/* `codec` is a law at 8 kHz, or LINEAR at 16 kHz. NULL: `error` says why. */
struct recording *recording_new(const char *path, uint8_t codec, uint8_t layout, int *error) {
    struct recording *r = calloc(1, sizeof *r);
    *error = -ENOMEM;
    if (!r) return NULL;
    r->codec = codec;
    r->rate = codec == LINEAR ? 16000 : 8000;
    r->layout = layout;
    r->track_count = layout == PLANE_SAID ? 1 : 2;
    r->fd = -1;
    if (make_rings(r)) {
        r->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
        *error = r->fd < 0 ? -errno : disk_header(r);
        if (!*error) return r;
    }
    recording_free(r);
    return NULL;
}

static void publish(struct recording *r) {
    uint64_t least = r->tracks[0].written;
    if (r->track_count > 1 && r->tracks[1].written < least) least = r->tracks[1].written;
    uint64_t ready = least > LAG ? least - LAG : 0;
    if (ready > atomic_load_explicit(&r->ready, memory_order_relaxed)) atomic_store_explicit(&r->ready, ready, memory_order_release);
}

static uint64_t room_end(const struct recording *r) { return atomic_load_explicit(&r->flushed, memory_order_acquire) + RECORD_RING; }

static void grow(struct worker *w, struct recording *r, struct track *t, uint64_t end, bool conceal) {
    uint64_t room = room_end(r);
    if (end > room) {
        atomic_fetch_add(&w->plane->recording_overruns, 1);
        end = room;
    }
    if (end <= t->written) return;
    int16_t made[CONCEALED] = {0};
    if (conceal && end - t->written <= CONCEALED) concealment_fill(&t->concealment, made, (uint32_t)(end - t->written));
    else conceal = false;
    for (uint32_t i = 0; t->written < end; t->written++, i++) {
        int16_t sample = conceal ? made[i] : 0;
        t->ring[t->written % RECORD_RING] = conceal ? r->codec == PLANE_PCMA ? g711_alaw_encode(sample) : g711_ulaw_encode(sample) : g711_silence(r->codec);
    }
}

static void put(struct worker *w, struct recording *r, struct track *t, uint64_t at, const struct packet *packet) {
    uint64_t end = at + packet->length;
    if (end > r->most) end = r->most;
    if (end > room_end(r)) {
        atomic_fetch_add(&w->plane->recording_overruns, 1);
        return;
    }
    int16_t linear[MAX_PACKET];
    bool joins = t->concealment.lost != 0, next = at >= t->written;
    g711_decode(linear, packet->payload, packet->length, packet->codec);
    if (next) concealment_heard(&t->concealment, linear, packet->length);
    for (uint32_t i = 0; at < end; at++, i++) {
        uint8_t *to = &t->ring[at % RECORD_RING];
        if (joins && next) *to = r->codec == PLANE_PCMA ? g711_alaw_encode(linear[i]) : g711_ulaw_encode(linear[i]);
        else g711_convert(to, packet->payload + i, 1, packet->codec, r->codec);
    }
    if (end > t->written) t->written = end;
}

static bool voiced(const struct packet *packet) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < packet->length; i++) sum += (uint32_t)abs(g711_linear(packet->payload[i], packet->codec));
    return sum > packet->length * QUIET;
}

/* Where a track's new source begins: where the track stands, or where the clock does, so that two tracks stay side by side. */
static uint64_t start_of(struct worker *w, const struct recording *r, const struct track *t, uint32_t length) {
    int64_t now = (w->now_ms - r->started_ms) * 8 - length;
    return r->track_count > 1 && now > (int64_t)t->written ? (uint64_t)now : t->written;
}

/* Where the packet belongs, or -1: too late, its place is on the disk. */
static int64_t place(struct worker *w, struct recording *r, struct track *t, const struct packet *packet) {
    if (!t->based || t->ssrc != packet->ssrc) {
        uint64_t start = start_of(w, r, t, packet->length);
        t->based = true;
        t->ssrc = packet->ssrc;
        t->base = packet->timestamp - (uint32_t)start;
        t->sequence = packet->sequence;
        return (int64_t)start;
    }
    int16_t step = (int16_t)(packet->sequence - t->sequence);
    int64_t offset = (int32_t)(packet->timestamp - (t->base + (uint32_t)t->written));
    int64_t at = (int64_t)t->written + offset;
    if (step > 0) t->sequence = packet->sequence;
    bool writable = at >= (int64_t)atomic_load_explicit(&r->ready, memory_order_relaxed);
    if (offset <= 0 && writable) return at;
    if (step <= 0 && step > -100) return -1;
    if (offset > 0 && at <= (w->now_ms - r->started_ms) * 8 + AHEAD) return at;
    t->base = packet->timestamp - (uint32_t)t->written; /* its clock jumped: go on here */
    t->sequence = packet->sequence;
    return (int64_t)t->written;
}

/* A packet of G.711 with timestamps of 8 kHz. */
static void lay(struct worker *w, struct session *s, struct track *t, const struct packet *packet) {
    struct recording *r = s->recording;
    if (r->paused_ms) return;
    t->last_ms = w->now_ms;
    int64_t at = place(w, r, t, packet);
    if (at < 0) return;
    uint64_t start = (uint64_t)at < r->most ? (uint64_t)at : r->most;
    if (start > t->written) grow(w, r, t, start, t->written > 0);
    if (start <= t->written) put(w, r, t, start, packet);
    publish(r);
    if (t->written >= r->most && t == r->tracks) recording_end(w, s, PLANE_BY_LENGTH);
}

void recording_packet(struct worker *w, struct session *s, const struct packet *packet) {
    struct recording *r = s->recording;
    if (voiced(packet)) r->voice_ms = w->now_ms;
    lay(w, s, &r->tracks[0], packet);
}

/* What is not G.711 is decoded as it comes, and laid out by its timestamps like everything else. */
static struct packet as_law(const struct session *s, const struct packet *packet, const int16_t *samples, uint32_t count, uint8_t law[DECODED]) {
    g711_encode(law, samples, count, PLANE_PCMA);
    struct packet decoded = *packet;
    decoded.payload = law;
    decoded.length = count;
    decoded.codec = PLANE_PCMA;
    decoded.timestamp = packet->timestamp / (s->codec.clock_rate / 8000);
    return decoded;
}

void recording_decoded(struct worker *w, struct session *s, const struct packet *packet, const int16_t *samples, uint32_t count) {
    uint8_t law[DECODED];
    struct packet decoded = as_law(s, packet, samples, count, law);
    recording_packet(w, s, &decoded);
}

/* What goes out to a session whose both sides are recorded. */
void recording_heard(struct worker *w, struct session *s, uint8_t *payload, uint32_t length, uint16_t sequence, uint32_t timestamp) {
    struct recording *r = s->recording;
    struct packet packet = {.payload = payload, .length = length, .sequence = sequence, .timestamp = timestamp, .codec = s->codec.kind};
    if (r->track_count < 2) return;
    if (is_g711(&s->codec)) return lay(w, s, &r->tracks[1], &packet);
    int16_t samples[DECODED];
    uint8_t law[DECODED];
    if (!decoder_is(r->heard, s->codec.kind)) return;
    uint32_t count = decoder_decode(r->heard, payload, length, samples, DECODED);
    if (!count) return;
    packet = as_law(s, &packet, samples, count, law);
    lay(w, s, &r->tracks[1], &packet);
}

/* A room's 20 ms. */
void recording_append(struct worker *w, struct recording *r, const int16_t *samples, uint32_t count) {
    struct track *t = &r->tracks[0];
    if (r->paused_ms || t->written + count > r->most) return;
    if (t->written + count > room_end(r)) {
        atomic_fetch_add(&w->plane->recording_overruns, 1);
        return;
    }
    for (uint32_t i = 0; i < count; i++, t->written++) memcpy(t->ring + t->written % RECORD_RING * 2, &samples[i], 2);
    atomic_store_explicit(&r->ready, t->written, memory_order_release);
}

static void keep_up(struct worker *w, struct recording *r) {
    int64_t due = (w->now_ms - r->started_ms) * 8 - FILL_AFTER;
    if (due > (int64_t)r->most) due = (int64_t)r->most;
    for (int i = 0; i < r->track_count; i++) {
        struct track *t = &r->tracks[i];
        if (due > (int64_t)t->written && w->now_ms - t->last_ms > FILL_AFTER / 8) grow(w, r, t, (uint64_t)due, false);
    }
    publish(r);
}

/* That it is recorded is heard by both sides, where nothing else is played to them. */
static void announce(struct worker *w, struct session *s) {
    struct recording *r = s->recording;
    if (!r->tone_ms || w->now_ms < r->next_tone_ms) return;
    r->next_tone_ms = w->now_ms + r->tone_ms;
    play_beep(w, s);
    if (s->peer != NOBODY) play_beep(w, &w->plane->sessions[s->peer]);
}

void recording_tick(struct worker *w, struct session *s) {
    struct recording *r = s->recording;
    if (!r) return;
    if (atomic_load(&r->failed)) return recording_end(w, s, PLANE_BY_STOP);
    if (r->paused_ms) return;
    keep_up(w, r);
    announce(w, s);
    if (r->tracks[0].written >= r->most) recording_end(w, s, PLANE_BY_LENGTH);
    else if (r->silence_ms && w->now_ms - r->voice_ms >= r->silence_ms) recording_end(w, s, PLANE_BY_SILENCE);
}

static void level(struct worker *w, struct recording *r) {
    uint64_t end = r->tracks[0].written;
    if (r->track_count > 1 && r->tracks[1].written > end) end = r->tracks[1].written;
    for (int i = 0; i < r->track_count && r->codec != LINEAR; i++) grow(w, r, &r->tracks[i], end, false);
    atomic_store_explicit(&r->ready, r->tracks[0].written, memory_order_release);
}

/* Hands a recording to the disk thread, which reports its end once the file is whole. */
void recording_finish(struct worker *w, struct recording *r, uint8_t reason) {
    level(w, r);
    r->reason = reason;
    atomic_store_explicit(&r->ended, true, memory_order_release);
}

void recording_end(struct worker *w, struct session *s, uint8_t reason) {
    struct recording *r = s->recording;
    s->recording = NULL;
    if (r) recording_finish(w, r, reason);
}

/* Time that passes meanwhile is not in the file. */
void recording_pause(struct worker *w, struct recording *r, bool paused) {
    if (!r || paused == (r->paused_ms != 0)) return;
    if (paused) {
        if (r->codec != LINEAR) level(w, r);
        r->paused_ms = w->now_ms;
        return;
    }
    r->started_ms += w->now_ms - r->paused_ms;
    r->voice_ms += w->now_ms - r->paused_ms;
    r->paused_ms = 0;
    for (int i = 0; i < r->track_count; i++) r->tracks[i].based = false;
}

static struct recording *made(const plane_recording *wanted, uint64_t handle, uint8_t codec, uint8_t layout, int *error) {
    struct recording *r = recording_new(wanted->path, codec, layout, error);
    if (!r) return NULL;
    r->number = wanted->number;
    r->handle = handle;
    r->most = (uint64_t)wanted->max_ms * (r->rate / 1000);
    r->silence_ms = wanted->silence_ms;
    r->finish_events = wanted->finish_events;
    r->tone_ms = wanted->tone_ms;
    return r;
}

int plane_record(plane *p, int64_t handle, const plane_recording *wanted) {
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    if (s->codec.kind == PLANE_OTHER) return PLANE_NO_CODER;
    if (wanted->layout > PLANE_STEREO) return -EINVAL;
    s->records = true;
    s->plays |= wanted->tone_ms != 0;
    if (fit_coders(p, s, s->codec.kind, s->plays, true)) return -ENOMEM;
    int error;
    struct recording *r = made(wanted, (uint64_t)handle, coded(s->codec.kind) ? PLANE_PCMA : s->codec.kind, wanted->layout, &error);
    if (!r) return error;
    if (coded(s->codec.kind) && r->track_count > 1 && !(r->heard = decoder_new(s->codec.kind, 8000))) {
        recording_free(r);
        return -ENOMEM;
    }
    recording_start(p, r);
    struct worker *w = session_lock(p, s);
    recording_end(w, s, PLANE_BY_STOP);
    r->started_ms = r->voice_ms = r->next_tone_ms = r->tracks[0].last_ms = r->tracks[1].last_ms = w->now_ms;
    s->recording = r;
    worker_time(w, s);
    worker_unlock(w);
    return 0;
}

int plane_stop_record(plane *p, int64_t handle) {
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    struct worker *w = session_lock(p, s);
    recording_end(w, s, PLANE_BY_STOP);
    worker_unlock(w);
    return 0;
}

int plane_pause_record(plane *p, int64_t handle, int paused) {
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    struct worker *w = session_lock(p, s);
    recording_pause(w, s->recording, paused);
    worker_unlock(w);
    return 0;
}

int plane_room_record(plane *p, int64_t room, const plane_recording *wanted) {
    struct room *to = room_find(p, room);
    if (!to) return -ENOENT;
    int error;
    struct recording *r = made(wanted, 0, LINEAR, PLANE_SAID, &error);
    if (!r) return error;
    recording_start(p, r);
    struct worker *w = &p->workers[to->worker];
    worker_lock(w);
    if (to->recording) recording_finish(w, to->recording, PLANE_BY_STOP);
    to->recording = r;
    worker_unlock(w);
    return 0;
}

int plane_room_stop_record(plane *p, int64_t room) {
    struct room *from = room_find(p, room);
    if (!from) return -ENOENT;
    struct worker *w = &p->workers[from->worker];
    worker_lock(w);
    if (from->recording) recording_finish(w, from->recording, PLANE_BY_STOP);
    from->recording = NULL;
    worker_unlock(w);
    return 0;
}

int plane_room_pause_record(plane *p, int64_t room, int paused) {
    struct room *of = room_find(p, room);
    if (!of) return -ENOENT;
    struct worker *w = &p->workers[of->worker];
    worker_lock(w);
    recording_pause(w, of->recording, paused);
    worker_unlock(w);
    return 0;
}
