/* A worker: one thread, one epoll, one packet a socket and round, and a 1 ms tick while something has to be timed.
 *
 * The sockets stay readable until they are empty, so one receive per readiness is enough and none is spent on finding them empty. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

enum { HEADROOM = 16, RTCP_ROUND = 16, LATE_MS = 5, GIVE_UP_MS = 60 };
#define TIMER UINT64_MAX
#define WAKE (UINT64_MAX - 1)
#define REPORT (UINT64_MAX - 2)
#define RTCP (1ull << 63)

int64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* A far end of G.711 may send either law; any other codec comes under its agreed payload type only. */
static bool is_audio(const struct session *s, struct packet *packet) {
    packet->codec = s->codec.kind;
    if (packet->type == s->codec.payload_type) return true;
    packet->codec = packet->type;
    return is_g711(&s->codec) && (packet->type == PLANE_PCMU || packet->type == PLANE_PCMA);
}

static void received(struct worker *w, struct session *s, struct packet *packet, bool well_formed) {
    s->packets_in++;
    w->packets_in++;
    if (!well_formed) return drop(w, s, PLANE_DROP_MALFORMED);
    if (!s->has_remote) return drop(w, s, PLANE_DROP_UNWANTED);
    if (s->source.state == LOCKED && !source_known(s, packet->from)) return drop(w, s, PLANE_DROP_SOURCE);
    bool event = packet->type == s->telephone_event, audio = !event && is_audio(s, packet);
    if (!audio && !event && packet->type != COMFORT_NOISE) return drop(w, s, PLANE_DROP_PAYLOAD_TYPE);
    if (!source_accepts(w, s, packet)) return drop(w, s, PLANE_DROP_SOURCE);
    if (incoming_flood(&s->in, w->now_ms)) return drop(w, s, PLANE_DROP_FLOOD);
    incoming_count(s, packet, w->now_ns, audio);
    if (!s->receive) return drop(w, s, PLANE_DROP_UNWANTED);
    if (audio && (s->recording || s->detector)) hear_packet(w, s, packet);
    if (event) key_packet(w, s, packet);
    if (!audio && !event) return comfort_noise(w, s, packet);
    if (audio && s->party) {
        if (s->party->in && !stream_put(s->party->in, packet)) return drop(w, s, PLANE_DROP_MALFORMED);
    } else if ((audio || event) && s->peer != NOBODY) {
        relay(w, s, packet, audio);
    }
}

/* SRTP: what does not prove where it comes from is nothing to us. The new length, or 0: dropped. */
static uint32_t opened(struct worker *w, struct session *s, uint8_t *datagram, uint32_t length, const address *from) {
    if (s->source.state == LOCKED && !source_known(s, from)) return length; /* dropped for its source further on */
    int plain = srtp_unprotect(s->srtp_in, datagram, length);
    if (plain > 0) {
        s->saved->in_ssrc = get32(datagram + 8);
        s->saved->in_index = srtp_newest(s->srtp_in);
        s->saved->heard = true;
        return (uint32_t)plain;
    }
    s->packets_in++;
    w->packets_in++;
    drop(w, s, plain == -EACCES ? PLANE_DROP_UNAUTHENTIC : plain == -EALREADY ? PLANE_DROP_REPLAYED : PLANE_DROP_MALFORMED);
    return 0;
}

/* What a packet of a session will touch is fetched while the one before it is still in the kernel, and during its own receive: a
 * thousand sessions do not stay in a core's cache. */
static void fetch(const void *at, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)at + i, 1);
}

static void fetch_session(const plane *p, uint32_t index) { fetch(&p->sessions[index], offsetof(struct session, source.former)); }

static void fetch_peer(const struct worker *w, const struct session *s) {
    if (s->peer == NOBODY) return;
    fetch(&w->plane->sessions[s->peer], offsetof(struct session, in));
    fetch(&w->plane->saved[s->peer], sizeof *s->saved);
}

static void receive(struct worker *w, struct session *s) {
    fetch_peer(w, s);
    address from;
    socklen_t size = sizeof from;
    uint8_t *datagram = w->buffer + HEADROOM;
    ssize_t length = recvfrom(s->fd, datagram, MAX_PACKET, MSG_DONTWAIT | MSG_TRUNC, &from.any, &size);
    if (length < 0) return;
    s->bytes_in += (uint64_t)length;
    if (s->has_remote && s->rtcp_port == ntohs(s->signalled.v4.sin_port) && length >= 8 && datagram[1] >= 192 && datagram[1] <= 223)
        return rtcp_received(w, s, datagram, (uint32_t)length, &from);
    uint32_t plain = s->srtp_in ? opened(w, s, datagram, (uint32_t)length, &from) : (uint32_t)length;
    if (s->srtp_in && !plain) return;
    struct packet packet = {.from = &from};
    received(w, s, &packet, rtp_parse(datagram, plain, &packet));
}

static void receive_rtcp(struct worker *w, struct session *s) {
    for (int i = 0; i < RTCP_ROUND; i++) {
        address from;
        socklen_t size = sizeof from;
        ssize_t length = recvfrom(s->rtcp_fd, w->buffer, MAX_PACKET, MSG_DONTWAIT | MSG_TRUNC, &from.any, &size);
        if (length < 0) return;
        rtcp_received(w, s, w->buffer, (uint32_t)length, &from);
    }
}

static void arm(struct worker *w, bool on) {
    struct itimerspec every = {.it_interval.tv_nsec = on ? 1000000 : 0, .it_value.tv_nsec = on ? 1000000 : 0};
    timerfd_settime(w->timer, 0, &every, NULL);
    w->ticking = on;
}

/* One more that is timed. */
void worker_keep_ticking(struct worker *w) {
    w->timed++;
    if (w->ticking) return;
    w->tick_ms = clock_ns() / 1000000;
    arm(w, true);
}

void worker_time(struct worker *w, struct session *s) {
    if (s->timed) return;
    int32_t index = (int32_t)(s - w->plane->sessions), *head = &w->phase[s->phase];
    s->timed = true;
    s->previous = NOBODY;
    s->next = *head;
    if (*head != NOBODY) w->plane->sessions[*head].previous = index;
    *head = index;
    worker_keep_ticking(w);
}

void worker_untime(struct worker *w, struct session *s) {
    if (!s->timed) return;
    s->timed = false;
    if (s->previous == NOBODY) w->phase[s->phase] = s->next;
    else w->plane->sessions[s->previous].next = s->next;
    if (s->next != NOBODY) w->plane->sessions[s->next].previous = s->previous;
    w->timed--;
}

static void tick_session(struct worker *w, struct session *s) {
    key_tick(w, s);
    recording_tick(w, s);
    if (s->dial) dial_tick(w, s);
    else play_tick(w, s);
    bool converting = converter_tick(w, s);
    if (!s->play && !s->dial && !s->recording && !s->key.pressed && !converting) worker_untime(w, s);
}

/* Every millisecond since the last tick has its phase; after a long stop each phase has one turn and no burst is sent. */
static void tick(struct worker *w) {
    uint64_t due; /* milliseconds since the last turn: who is starved has few turns, and all the more to catch up */
    if (read(w->timer, &due, sizeof due) < 0) return;
    w->ticks += due;
    if (w->now_ms - w->tick_ms > LATE_MS) w->late_ticks += due;
    if (w->now_ms - w->tick_ms > GIVE_UP_MS) w->tick_ms = w->now_ms - PHASES;
    while (w->tick_ms < w->now_ms) {
        w->tick_ms++;
        for (int32_t index = w->phase[w->tick_ms % PHASES], next; index != NOBODY; index = next) {
            next = w->plane->sessions[index].next;
            tick_session(w, &w->plane->sessions[index]);
        }
        for (struct room *room = w->rooms[w->tick_ms % PHASES]; room; room = room->next) room_tick(w, room);
    }
    if (!w->timed) arm(w, false);
}

static void handle(struct worker *w, uint64_t tag) {
    if (tag == TIMER) return tick(w);
    if (tag == REPORT) return rtcp_tick(w);
    if (tag == WAKE) {
        eventfd_t ignored;
        eventfd_read(w->wake, &ignored);
        return;
    }
    uint32_t index = (uint32_t)tag;
    uint64_t mine = (tag & ~RTCP) >> 32 << 32 | (w->number + 1u);
    if (atomic_load_explicit(&w->plane->owners[index], memory_order_acquire) != mine) return; /* closed or moved since epoll_wait */
    struct session *s = &w->plane->sessions[index];
    if (tag & RTCP) receive_rtcp(w, s);
    else receive(w, s);
}

/* The control thread goes first: its flag makes the worker let go between two batches. */
void worker_lock(struct worker *w) {
    atomic_fetch_add(&w->wanted, 1);
    pthread_mutex_lock(&w->lock);
    atomic_fetch_sub(&w->wanted, 1);
    w->now_ns = clock_ns();
    w->now_ms = w->now_ns / 1000000;
}

void worker_unlock(struct worker *w) { pthread_mutex_unlock(&w->lock); }

static void *worker_main(void *argument) {
    struct worker *w = argument;
    struct epoll_event events[BATCH];
    setpriority(PRIO_PROCESS, 0, w->plane->settings.nice); /* of this thread alone, on Linux */
    while (!atomic_load_explicit(&w->plane->stopping, memory_order_relaxed)) {
        int count = epoll_wait(w->epoll, events, BATCH, -1);
        while (atomic_load_explicit(&w->wanted, memory_order_relaxed)) sched_yield();
        pthread_mutex_lock(&w->lock);
        w->now_ns = clock_ns();
        w->now_ms = w->now_ns / 1000000;
        for (int i = 0; i < count; i++) {
            if (i + 1 < count && events[i + 1].data.u64 < REPORT) fetch_session(w->plane, (uint32_t)events[i + 1].data.u64);
            handle(w, events[i].data.u64);
        }
        pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

static int watch(struct worker *w, int fd, uint64_t tag) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int worker_watch(struct worker *w, struct session *s) {
    uint64_t tag = session_handle(w->plane, s);
    s->worker = w->number;
    w->sessions++;
    rtcp_schedule(w, s);
    atomic_store_explicit(&w->plane->owners[s - w->plane->sessions], (tag >> 32 << 32) | (w->number + 1u), memory_order_release);
    int error = watch(w, s->fd, tag);
    return error ? error : watch(w, s->rtcp_fd, tag | RTCP);
}

void worker_unwatch(struct worker *w, struct session *s) {
    epoll_ctl(w->epoll, EPOLL_CTL_DEL, s->fd, NULL);
    epoll_ctl(w->epoll, EPOLL_CTL_DEL, s->rtcp_fd, NULL);
    w->sessions--;
    rtcp_unschedule(w, s);
    atomic_store_explicit(&w->plane->owners[s - w->plane->sessions], 0, memory_order_release);
}

int worker_start(plane *p, int number) {
    struct worker *w = &p->workers[number];
    w->plane = p;
    w->number = (uint8_t)number;
    for (int i = 0; i < PHASES; i++) w->phase[i] = NOBODY;
    for (int i = 0; i < REPORT_SLOTS; i++) w->report_heads[i] = NOBODY;
    w->random = (uint64_t)clock_ns();
    pthread_mutex_init(&w->lock, NULL);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    w->report_timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    w->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->epoll < 0 || w->timer < 0 || w->report_timer < 0 || w->wake < 0) return -errno;
    int error = watch(w, w->timer, TIMER);
    if (!error) error = watch(w, w->report_timer, REPORT);
    if (!error) error = watch(w, w->wake, WAKE);
    if (!error) error = -pthread_create(&w->thread, NULL, worker_main, w);
    w->running = !error;
    return error;
}

void worker_stop(struct worker *w) {
    if (w->running) {
        eventfd_write(w->wake, 1);
        pthread_join(w->thread, NULL);
    }
    close(w->epoll);
    close(w->timer);
    close(w->report_timer);
    close(w->wake);
    pthread_mutex_destroy(&w->lock);
}
