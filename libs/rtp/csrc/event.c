/* Events on their way to the control thread: a bounded ring and an eventfd that wakes its reader. A full ring counts what it loses. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core.h"

int events_new(plane *p) {
    pthread_mutex_init(&p->event_lock, NULL);
    p->events = calloc(EVENT_RING, sizeof *p->events);
    p->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!p->events) return -ENOMEM;
    return p->event_fd < 0 ? -errno : 0;
}

void events_free(plane *p) {
    free(p->events);
    if (p->event_fd >= 0) close(p->event_fd);
    pthread_mutex_destroy(&p->event_lock);
}

void event_put(plane *p, const plane_event *event) {
    pthread_mutex_lock(&p->event_lock);
    bool wake = p->event_count == 0;
    if (p->event_count == EVENT_RING) p->events_lost++;
    else p->events[(p->event_head + p->event_count++) % EVENT_RING] = *event;
    pthread_mutex_unlock(&p->event_lock);
    if (wake) eventfd_write(p->event_fd, 1);
}

int plane_event_fd(plane *p) { return p->event_fd; }

/* The oldest events, at most `room`; returns how many. Fewer than `room`: the ring is empty and the eventfd reset. */
int plane_events(plane *p, plane_event *events, int room) {
    int count = 0;
    pthread_mutex_lock(&p->event_lock);
    for (; count < room && p->event_count; count++, p->event_count--) {
        events[count] = p->events[p->event_head];
        p->event_head = (p->event_head + 1) % EVENT_RING;
    }
    if (!p->event_count) {
        eventfd_t ignored;
        eventfd_read(p->event_fd, &ignored);
    }
    pthread_mutex_unlock(&p->event_lock);
    return count;
}
