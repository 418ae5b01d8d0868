/* The plane as a whole: its start, its end and its totals. Each command finds its session, takes its worker's lock, does one thing
 * and lets go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

/* Two sockets a session: take what the system lets us have. */
static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int start(plane *p) {
    int error = events_new(p);
    if (!error) error = ports_new(p);
    if (error) return error;
    p->room = p->port_room;
    p->sessions = calloc(p->room, sizeof *p->sessions);
    p->unused = calloc(p->room, sizeof *p->unused);
    p->owners = calloc(p->room, sizeof *p->owners);
    if (!p->sessions || !p->unused || !p->owners) return -ENOMEM;
    error = continuity_start(p);
    if (error) return error;
    for (uint32_t i = p->room; i--;) p->unused[p->unused_count++] = (int32_t)i;
    error = beep_new(p);
    if (!error) error = disk_start(p);
    int workers = p->settings.threads ? p->settings.threads : 1;
    if (workers > MAX_WORKERS) workers = MAX_WORKERS;
    for (int i = 0; i < workers && !error; i++) {
        p->worker_count++;
        error = worker_start(p, i);
    }
    return error;
}

plane *plane_new(const plane_settings *settings, int *error) {
    plane *p = calloc(1, sizeof *p);
    if (!p) {
        *error = -ENOMEM;
        return NULL;
    }
    p->settings = *settings;
    p->event_fd = p->state_fd = -1;
    raise_file_limit();
    *error = start(p);
    p->settings.state_path = NULL; /* the caller's */
    if (!*error) return p;
    plane_free(p);
    return NULL;
}

void plane_free(plane *p) {
    for (int i = 0; i < ROOMS; i++)
        if (p->rooms[i]) plane_close_room(p, (int64_t)((uint64_t)p->rooms[i]->generation << 32 | (uint64_t)i));
    for (uint32_t i = 0; i < p->room && p->sessions; i++)
        if (p->sessions[i].used) session_end(p, &p->sessions[i], NULL, false);
    atomic_store(&p->stopping, true);
    for (int i = 0; i < p->worker_count; i++) worker_stop(&p->workers[i]);
    disk_stop(p);
    beep_free(p);
    audio_forget(p);
    ports_free(p);
    events_free(p);
    continuity_stop(p);
    free(p->sessions);
    free(p->unused);
    free(p->owners);
    free(p);
}

struct worker *least_loaded(plane *p) {
    struct worker *best = &p->workers[0];
    for (int i = 1; i < p->worker_count; i++)
        if (p->workers[i].sessions < best->sessions) best = &p->workers[i];
    return best;
}

void plane_totals_of(plane *p, plane_totals *totals) {
    *totals = (plane_totals){.ports_total = p->port_room, .threads = (uint32_t)p->worker_count, .sessions = p->room - p->unused_count};
    totals->ports_free = ports_rested(p, clock_ns() / 1000000);
    totals->recording_overruns = atomic_load(&p->recording_overruns);
    pthread_mutex_lock(&p->event_lock);
    totals->events_lost = p->events_lost;
    pthread_mutex_unlock(&p->event_lock);
    for (int i = 0; i < p->worker_count; i++) {
        struct worker *w = &p->workers[i];
        clockid_t clock;
        struct timespec used = {0};
        if (!pthread_getcpuclockid(w->thread, &clock)) clock_gettime(clock, &used);
        totals->thread_cpu_ns[i] = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
        totals->cpu_ns += totals->thread_cpu_ns[i];
        worker_lock(w);
        totals->packets_in += w->packets_in;
        totals->packets_out += w->packets_out;
        totals->ticks += w->ticks;
        totals->late_ticks += w->late_ticks;
        for (int j = 0; j < PLANE_DROPS; j++) totals->dropped[j] += w->dropped[j];
        worker_unlock(w);
    }
}
