/* Recording: what a session says, laid out by its timestamps into a ring that the disk thread empties.
 *
 * Sample n of the file is n/8 ms after the first one. A gap is silence; a packet that overtook another still finds its place while
 * that part has not gone to the disk (LAG); a clock that jumps goes on where the file stands. With no packets at all the file
 * grows by silence, FILL_AFTER behind the clock, so that length and silence still end it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core.h"

enum { LAG = 2400, FILL_AFTER = 1600, AHEAD = 1600, QUIET = 256, DECODED = 960 };

/* RIFF, a fmt chunk of 18 bytes, a fact chunk; sizes are zero until the end is known: repair_wav mends them after a crash. */
static void header(uint8_t head[58], uint8_t codec) {
    static const uint8_t model[58] = {'R', 'I', 'F', 'F', 0, 0, 0, 0, 'W', 'A', 'V', 'E', 'f', 'm', 't', ' ', 18, 0, 0, 0,
                                      0, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x40, 0x1F, 0, 0, 1, 0, 8, 0, 0, 0,
                                      'f', 'a', 'c', 't', 4, 0, 0, 0, 0, 0, 0, 0, 'd', 'a', 't', 'a', 0, 0, 0, 0};
    memcpy(head, model, sizeof model);
    head[20] = codec == PLANE_PCMA ? 6 : 7;
}

struct recording *recording_new(const char *path, uint8_t codec, int *error) {
    struct recording *r = calloc(1, sizeof *r);
    if (!r) {
        *error = -ENOMEM;
        return NULL;
    }
    uint8_t head[58];
    header(head, codec);
    r->codec = codec;
    r->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    *error = r->fd < 0 ? -errno : 0;
    if (!*error && pwrite(r->fd, head, sizeof head, 0) != (ssize_t)sizeof head) *error = errno ? -errno : -EIO;
    if (!*error) return r;
    if (r->fd >= 0) close(r->fd);
    free(r);
    return NULL;
}

/* Room in the ring for samples up to `end`. */
static bool fits(const struct recording *r, uint64_t end) {
    return end - atomic_load_explicit(&r->flushed, memory_order_acquire) <= RECORD_RING;
}

static void publish(struct recording *r) {
    uint64_t ready = r->written > LAG ? r->written - LAG : 0;
    if (ready > atomic_load_explicit(&r->ready, memory_order_relaxed)) atomic_store_explicit(&r->ready, ready, memory_order_release);
}

static void silence_up_to(struct worker *w, struct recording *r, uint64_t end) {
    uint64_t room = atomic_load_explicit(&r->flushed, memory_order_acquire) + RECORD_RING;
    if (end > room) {
        atomic_fetch_add(&w->plane->recording_overruns, 1);
        end = room;
    }
    for (; r->written < end; r->written++) r->ring[r->written % RECORD_RING] = g711_silence(r->codec);
}

static void put(struct worker *w, struct recording *r, uint64_t at, const struct packet *packet) {
    uint64_t end = at + packet->length;
    if (end > r->most) end = r->most;
    if (!fits(r, end)) {
        atomic_fetch_add(&w->plane->recording_overruns, 1);
        return;
    }
    for (const uint8_t *from = packet->payload; at < end;) {
        uint32_t place = (uint32_t)(at % RECORD_RING), part = RECORD_RING - place;
        if (part > end - at) part = (uint32_t)(end - at);
        g711_convert(r->ring + place, from, part, packet->codec, r->codec);
        at += part;
        from += part;
    }
    if (end > r->written) r->written = end;
}

static bool voiced(const struct packet *packet) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < packet->length; i++) {
        int sample = g711_linear(packet->payload[i], packet->codec);
        sum += (uint32_t)(sample < 0 ? -sample : sample);
    }
    return sum > packet->length * QUIET;
}

/* What is not G.711 is decoded as it comes, and laid out by its timestamps like everything else. */
void recording_decoded(struct worker *w, struct session *s, const struct packet *packet, const int16_t *samples, uint32_t count) {
    uint8_t law[DECODED];
    for (uint32_t i = 0; i < count; i++) law[i] = g711_alaw_encode(samples[i]);
    struct packet decoded = *packet;
    decoded.payload = law;
    decoded.length = count;
    decoded.codec = PLANE_PCMA;
    decoded.timestamp = packet->timestamp / (s->codec.clock_rate / 8000);
    recording_packet(w, s, &decoded);
}

/* Where the packet belongs, or -1: too late, its place is on the disk. */
static int64_t place(struct worker *w, struct recording *r, const struct packet *packet) {
    if (!r->based || r->ssrc != packet->ssrc) {
        r->based = true;
        r->ssrc = packet->ssrc;
        r->base = packet->timestamp - (uint32_t)r->written;
        r->sequence = (uint16_t)(packet->sequence - 1);
    }
    int16_t step = (int16_t)(packet->sequence - r->sequence);
    int64_t offset = (int32_t)(packet->timestamp - (r->base + (uint32_t)r->written));
    int64_t at = (int64_t)r->written + offset;
    if (step > 0) r->sequence = packet->sequence;
    bool writable = at >= (int64_t)atomic_load_explicit(&r->ready, memory_order_relaxed);
    if (offset <= 0 && writable) return at;
    if (step <= 0 && step > -100) return -1;
    if (offset > 0 && at <= (w->now_ms - r->started_ms) * 8 + AHEAD) return at;
    r->base = packet->timestamp - (uint32_t)r->written; /* its clock jumped: go on here */
    r->sequence = packet->sequence;
    return (int64_t)r->written;
}

void recording_packet(struct worker *w, struct session *s, const struct packet *packet) {
    struct recording *r = s->recording;
    if (voiced(packet)) r->voice_ms = w->now_ms;
    int64_t at = place(w, r, packet);
    if (at < 0) return;
    uint64_t start = (uint64_t)at < r->most ? (uint64_t)at : r->most;
    if (start > r->written) silence_up_to(w, r, start);
    if (start <= r->written) put(w, r, start, packet);
    publish(r);
    if (r->written >= r->most) recording_end(w, s, PLANE_BY_LENGTH);
}

void recording_tick(struct worker *w, struct session *s) {
    struct recording *r = s->recording;
    if (!r) return;
    int64_t due = (w->now_ms - r->started_ms) * 8 - FILL_AFTER;
    if (due > (int64_t)r->most) due = (int64_t)r->most;
    if (due > (int64_t)r->written && w->now_ms - s->in.last_ms > FILL_AFTER / 8) {
        silence_up_to(w, r, (uint64_t)due);
        publish(r);
    }
    if (atomic_load(&r->failed)) recording_end(w, s, PLANE_BY_STOP);
    else if (r->written >= r->most) recording_end(w, s, PLANE_BY_LENGTH);
    else if (r->silence_ms && w->now_ms - r->voice_ms >= r->silence_ms) recording_end(w, s, PLANE_BY_SILENCE);
}

/* Hands the recording to the disk thread, which reports its end once the file is whole. */
void recording_end(struct worker *w, struct session *s, uint8_t reason) {
    (void)w;
    struct recording *r = s->recording;
    if (!r) return;
    s->recording = NULL;
    r->reason = reason;
    atomic_store_explicit(&r->ready, r->written, memory_order_release);
    atomic_store_explicit(&r->ended, true, memory_order_release);
}

int plane_record(plane *p, int64_t handle, uint64_t number, const char *path, uint32_t max_ms, uint32_t silence_ms,
                 uint16_t finish_events) {
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    if (s->codec.kind == PLANE_OTHER) return PLANE_NO_CODER;
    s->records = true;
    if (fit_coders(p, s, s->codec.kind, false, true)) return -ENOMEM;
    int error;
    struct recording *r = recording_new(path, coded(s->codec.kind) ? PLANE_PCMA : s->codec.kind, &error);
    if (!r) return error;
    r->number = number;
    r->handle = (uint64_t)handle;
    r->most = (uint64_t)max_ms * 8;
    r->silence_ms = silence_ms;
    r->finish_events = finish_events;
    recording_start(p, r);
    struct worker *w = session_lock(p, s);
    recording_end(w, s, PLANE_BY_STOP);
    r->started_ms = r->voice_ms = w->now_ms;
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
