/* The disk thread: empties the recordings' rings every 100 ms, so that no packet ever waits for a disk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

enum { HEADER = 58, EVERY_MS = 100, PART = 8192 };

static bool write_all(int fd, const uint8_t *from, size_t length, uint64_t at) {
    while (length) {
        ssize_t part = pwrite(fd, from, length, (off_t)at);
        if (part < 0 && errno == EINTR) continue;
        if (part <= 0) {
            if (!part) errno = EIO;
            return false;
        }
        from += part;
        at += (uint64_t)part;
        length -= (size_t)part;
    }
    return true;
}

static uint32_t frame_size(const struct recording *r) { return r->codec == LINEAR ? 2 : r->layout == PLANE_STEREO ? 2 : 1; }

/* RIFF, a fmt chunk of 18 bytes, a fact chunk; sizes are zero until the end is known: repair_wav mends them after a crash. */
int disk_header(struct recording *r) {
    static const uint8_t model[HEADER] = {'R', 'I', 'F', 'F', 0, 0, 0, 0, 'W', 'A', 'V', 'E', 'f', 'm', 't', ' ', 18, 0, 0, 0,
                                          0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0,
                                          'f', 'a', 'c', 't', 4, 0, 0, 0, 0, 0, 0, 0, 'd', 'a', 't', 'a', 0, 0, 0, 0};
    uint8_t head[HEADER];
    uint32_t bytes = r->rate * frame_size(r);
    memcpy(head, model, sizeof head);
    head[20] = r->codec == LINEAR ? 1 : r->codec == PLANE_PCMA ? 6 : 7;
    head[22] = r->layout == PLANE_STEREO ? 2 : 1;
    for (int i = 0; i < 4; i++) {
        head[24 + i] = (uint8_t)(r->rate >> 8 * i);
        head[28 + i] = (uint8_t)(bytes >> 8 * i);
    }
    head[32] = (uint8_t)frame_size(r);
    head[34] = r->codec == LINEAR ? 16 : 8;
    return write_all(r->fd, head, sizeof head, 0) ? 0 : -errno;
}

static uint8_t law_sum(const struct recording *r, uint8_t a, uint8_t b) {
    int32_t sum = g711_linear(a, r->codec) + g711_linear(b, r->codec);
    int16_t sample = (int16_t)(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
    return r->codec == PLANE_PCMA ? g711_alaw_encode(sample) : g711_ulaw_encode(sample);
}

/* A part of the rings that does not wrap, as the file has it. */
static const uint8_t *arranged(const struct recording *r, size_t place, size_t part, uint8_t *to) {
    const uint8_t *a = r->tracks[0].ring + place * (r->codec == LINEAR ? 2 : 1);
    if (r->layout == PLANE_SAID) return a; /* the only track */
    const uint8_t *b = r->tracks[1].ring + place;
    for (size_t i = 0; i < part; i++) {
        if (r->layout == PLANE_MIX) to[i] = law_sum(r, a[i], b[i]);
        else {
            to[2 * i] = a[i];
            to[2 * i + 1] = b[i];
        }
    }
    return to;
}

static void flush(struct recording *r) {
    uint64_t ready = atomic_load_explicit(&r->ready, memory_order_acquire);
    uint64_t at = atomic_load_explicit(&r->flushed, memory_order_relaxed);
    uint8_t room[2 * PART];
    while (at < ready) {
        size_t place = at % RECORD_RING, part = RECORD_RING - place;
        if (part > ready - at) part = (size_t)(ready - at);
        if (part > PART) part = PART;
        const uint8_t *from = arranged(r, place, part, room);
        if (!r->error && !write_all(r->fd, from, part * frame_size(r), HEADER + at * frame_size(r))) {
            r->error = errno;
            atomic_store(&r->failed, true);
        }
        at += part;
        atomic_store_explicit(&r->flushed, at, memory_order_release);
    }
}

static bool write32(int fd, uint64_t at, uint64_t value) {
    uint32_t low = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    uint8_t bytes[4] = {(uint8_t)low, (uint8_t)(low >> 8), (uint8_t)(low >> 16), (uint8_t)(low >> 24)};
    return write_all(fd, bytes, 4, at);
}

static void finish(plane *p, struct recording *r) {
    uint64_t samples = atomic_load(&r->flushed), bytes = samples * frame_size(r), padded = bytes + (bytes & 1);
    bool whole = !r->error && (padded == bytes || write_all(r->fd, (const uint8_t *)"", 1, HEADER + bytes)) &&
                 write32(r->fd, 4, HEADER - 8 + padded) && write32(r->fd, 46, samples) && write32(r->fd, 54, bytes) && fdatasync(r->fd) == 0;
    if (!whole && !r->error) r->error = errno;
    int fd = r->fd;
    r->fd = -1;
    if (close(fd) < 0 && !r->error) r->error = errno;
    plane_event event = {.kind = PLANE_RECORDING_ENDED,
                         .handle = r->handle,
                         .number = r->number,
                         .reason = r->reason,
                         .error = r->error,
                         .duration_ms = (uint32_t)(samples / (r->rate / 1000))};
    event_put(p, &event);
}

/* One round over all recordings; ended ones leave the list. The lock guards the links only: the control thread adds at the head. */
static bool round_of(plane *p) {
    pthread_mutex_lock(&p->disk_lock);
    struct recording *first = p->recordings, *done = NULL;
    pthread_mutex_unlock(&p->disk_lock);
    for (struct recording *r = first, *next; r; r = next) {
        next = r->next;
        bool ended = atomic_load_explicit(&r->ended, memory_order_acquire);
        flush(r);
        if (!ended) continue;
        pthread_mutex_lock(&p->disk_lock);
        struct recording **link = &p->recordings;
        while (*link != r) link = &(*link)->next;
        *link = r->next;
        pthread_mutex_unlock(&p->disk_lock);
        r->next = done;
        done = r;
    }
    for (struct recording *r = done, *next; r; r = next) {
        next = r->next;
        finish(p, r);
        recording_free(r);
    }
    return first != NULL;
}

static void *disk_main(void *argument) {
    plane *p = argument;
    for (;;) {
        bool busy = round_of(p);
        pthread_mutex_lock(&p->disk_lock);
        if (!p->recordings && atomic_load(&p->stopping)) {
            pthread_mutex_unlock(&p->disk_lock);
            return NULL;
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += EVERY_MS * 1000000l;
        if (until.tv_nsec >= 1000000000l) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000l;
        }
        if (busy || p->recordings) pthread_cond_timedwait(&p->disk_work, &p->disk_lock, &until);
        else pthread_cond_wait(&p->disk_work, &p->disk_lock);
        pthread_mutex_unlock(&p->disk_lock);
    }
}

void recording_start(plane *p, struct recording *r) {
    pthread_mutex_lock(&p->disk_lock);
    r->next = p->recordings;
    p->recordings = r;
    pthread_cond_signal(&p->disk_work);
    pthread_mutex_unlock(&p->disk_lock);
}

int disk_start(plane *p) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->disk_lock, NULL);
    pthread_cond_init(&p->disk_work, &attributes);
    pthread_condattr_destroy(&attributes);
    int error = pthread_create(&p->disk, NULL, disk_main, p);
    p->disk_running = !error;
    return -error;
}

/* Every recording has ended by now. */
void disk_stop(plane *p) {
    if (!p->disk_running) return;
    pthread_mutex_lock(&p->disk_lock);
    pthread_cond_signal(&p->disk_work);
    pthread_mutex_unlock(&p->disk_lock);
    pthread_join(p->disk, NULL);
    pthread_cond_destroy(&p->disk_work);
    pthread_mutex_destroy(&p->disk_lock);
}
