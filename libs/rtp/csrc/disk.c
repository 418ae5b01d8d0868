/* The disk thread: empties the recordings' rings every 100 ms, so that no packet ever waits for a disk. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

enum { HEADER = 58, EVERY_MS = 100 };

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

static void flush(struct recording *r) {
    uint64_t ready = atomic_load_explicit(&r->ready, memory_order_acquire);
    uint64_t at = atomic_load_explicit(&r->flushed, memory_order_relaxed);
    while (at < ready) {
        size_t place = at % RECORD_RING, part = RECORD_RING - place;
        if (part > ready - at) part = (size_t)(ready - at);
        if (!r->error && !write_all(r->fd, r->ring + place, part, HEADER + at)) {
            r->error = errno;
            atomic_store(&r->failed, true);
        }
        at += part;
    }
    atomic_store_explicit(&r->flushed, at, memory_order_release);
}

static bool put32(int fd, uint64_t at, uint32_t value) {
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
    return write_all(fd, bytes, 4, at);
}

static void finish(plane *p, struct recording *r) {
    uint32_t samples = (uint32_t)atomic_load(&r->flushed), padded = samples + (samples & 1);
    bool whole = !r->error && (padded == samples || write_all(r->fd, (const uint8_t *)"", 1, HEADER + samples)) &&
                 put32(r->fd, 4, HEADER - 8 + padded) && put32(r->fd, 46, samples) && put32(r->fd, 54, samples) && fdatasync(r->fd) == 0;
    if (!whole && !r->error) r->error = errno;
    if (close(r->fd) < 0 && !r->error) r->error = errno;
    plane_event event = {.kind = PLANE_RECORDING_ENDED,
                         .handle = r->handle,
                         .number = r->number,
                         .reason = r->reason,
                         .error = r->error,
                         .duration_ms = samples / 8};
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
        free(r);
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
