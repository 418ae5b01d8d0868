/* The core's interface: each command finds its session, takes its worker's lock, does one thing and lets go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

enum { CLOCK_LEAST = 1000, CLOCK_MOST = 192000 }; /* Hz */

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
    for (uint32_t i = p->room; i--;) p->unused[p->unused_count++] = (int32_t)i;
    error = disk_start(p);
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
    p->event_fd = -1;
    raise_file_limit();
    *error = start(p);
    if (!*error) return p;
    plane_free(p);
    return NULL;
}

static struct session *find(plane *p, int64_t handle) {
    uint64_t index = (uint64_t)handle & 0xFFFFFFFF;
    if (handle < 0 || index >= p->room) return NULL;
    struct session *s = &p->sessions[index];
    return s->used && s->generation == (uint32_t)(handle >> 32) ? s : NULL;
}

static struct worker *lock(plane *p, struct session *s) {
    struct worker *w = &p->workers[s->worker];
    worker_lock(w);
    return w;
}

void plane_free(plane *p) {
    for (uint32_t i = 0; i < p->room && p->sessions; i++)
        if (p->sessions[i].used) plane_close(p, (int64_t)session_handle(p, &p->sessions[i]), NULL);
    atomic_store(&p->stopping, true);
    for (int i = 0; i < p->worker_count; i++) worker_stop(&p->workers[i]);
    disk_stop(p);
    audio_forget(p);
    ports_free(p);
    events_free(p);
    free(p->sessions);
    free(p->unused);
    free(p->owners);
    free(p);
}

static struct worker *least_loaded(plane *p) {
    struct worker *best = &p->workers[0];
    for (int i = 1; i < p->worker_count; i++)
        if (p->workers[i].sessions < best->sessions) best = &p->workers[i];
    return best;
}

int64_t plane_open(plane *p, uint64_t identity, uint16_t wanted_port, uint16_t *port) {
    if (!p->unused_count) return -EADDRNOTAVAIL;
    int64_t now_ms = clock_ns() / 1000000;
    struct session *s = &p->sessions[p->unused[p->unused_count - 1]], fresh = {.fd = -1, .rtcp_fd = -1};
    int error = port_take(p, wanted_port, now_ms, &fresh);
    if (error) return error;
    p->unused_count--;
    struct worker *w = least_loaded(p);
    worker_lock(w);
    fresh.generation = (s->generation + 1) & 0x7FFFFFFF;
    fresh.worker = w->number;
    fresh.phase = (uint8_t)(p->opened++ % PHASES);
    fresh.codec = (struct codec){.kind = PLANE_PCMA, .payload_type = PLANE_PCMA, .clock_rate = 8000, .name = "PCMA"};
    fresh.report.round_trip_ms = -1;
    fresh.event_rate = 8000;
    fresh.telephone_event = PLANE_NO_EVENT;
    fresh.peer = fresh.previous = fresh.next = NOBODY;
    fresh.used = true;
    *s = fresh;
    outgoing_start(&s->out, identity, now_ms);
    error = worker_watch(w, s);
    worker_unlock(w);
    *port = s->port;
    int64_t handle = (int64_t)session_handle(p, s);
    if (!error) return handle;
    plane_close(p, handle, NULL);
    return error;
}

/* Gives one direction of a bridge the converter it needs, or none. Only the control thread changes bridges and codecs. */
static int fit_converter(plane *p, struct session *s) {
    if (s->peer == NOBODY) return 0;
    const struct codec *from = &s->codec, *to = &p->sessions[s->peer].codec;
    bool needed = !alike(from, to) && convertible(from, to);
    if (needed ? converter_is(s->converter, from->kind, to->kind) : !s->converter) return 0;
    struct converter *fresh = needed ? converter_new(from->kind, to->kind) : NULL;
    struct worker *w = lock(p, s);
    struct converter *old = s->converter;
    s->converter = fresh;
    p->sessions[s->peer].out.mapped = false;
    worker_unlock(w);
    converter_free(old);
    return needed && !fresh ? -ENOMEM : 0;
}

static int fit_bridge(plane *p, struct session *s) {
    if (s->peer == NOBODY) return 0;
    int error = fit_converter(p, s), other = fit_converter(p, &p->sessions[s->peer]);
    return error ? error : other;
}

/* Prompts to and recordings of what is not G.711 need a coder of their own. */
static int fit_coders(plane *p, struct session *s, uint8_t kind, bool plays, bool records) {
    struct encoder *voice = s->voice, *old_voice = NULL;
    struct decoder *hearing = s->hearing, *old_hearing = NULL;
    if (plays && coded(kind) && !encoder_is(voice, kind)) voice = encoder_new(kind, 8000);
    if (records && coded(kind) && !decoder_is(hearing, kind)) hearing = decoder_new(kind, 8000);
    struct worker *w = lock(p, s);
    if (voice != s->voice) old_voice = s->voice;
    if (hearing != s->hearing) old_hearing = s->hearing;
    s->voice = voice;
    s->hearing = hearing;
    worker_unlock(w);
    encoder_free(old_voice);
    decoder_free(old_hearing);
    return (plays && coded(kind) && !voice) || (records && coded(kind) && !hearing) ? -ENOMEM : 0;
}

static bool usable(const plane_remote *remote) {
    bool g711 = remote->codec == PLANE_PCMU || remote->codec == PLANE_PCMA;
    if (!g711 && !coded(remote->codec) && remote->codec != PLANE_OTHER) return false;
    if (remote->codec != PLANE_OTHER && remote->clock_rate != (remote->codec == PLANE_OPUS ? 48000 : 8000)) return false;
    if (remote->payload_type > 127 || remote->payload_type == remote->telephone_event) return false;
    if (remote->clock_rate < CLOCK_LEAST || remote->clock_rate > CLOCK_MOST) return false;
    return remote->event_rate >= CLOCK_LEAST && remote->event_rate <= CLOCK_MOST && remote->suite <= PLANE_AEAD_AES_256_GCM;
}

static struct codec codec_of(const plane_remote *remote) {
    struct codec codec = {.kind = remote->codec, .payload_type = remote->payload_type, .clock_rate = remote->clock_rate};
    memcpy(codec.name, remote->name, sizeof codec.name - 1);
    return codec;
}

/* The directions that the remote's keys ask for: those there already where their key is the same (a re-INVITE without new keys). */
static int keys(const plane_remote *remote, struct srtp **in, struct srtp **out) {
    struct srtp *old_in = *in, *old_out = *out;
    if (!srtp_same(old_in, remote->suite, remote->remote_key)) *in = srtp_new(remote->suite, remote->remote_key);
    if (!srtp_same(old_out, remote->suite, remote->local_key)) *out = srtp_new(remote->suite, remote->local_key);
    if (remote->suite == PLANE_NO_SRTP || (*in && *out)) return 0;
    if (*in != old_in) srtp_free(*in);
    if (*out != old_out) srtp_free(*out);
    return -ENOMEM;
}

/* A stream that has sent nothing begins where its keys' age says; one that goes on under new keys begins without a roll-over. */
static void start_srtp(struct session *s, struct srtp *out, struct srtp *in, uint64_t agreed_ms) {
    uint64_t elapsed, index = outgoing_index(&s->out, agreed_ms, &elapsed);
    if (s->packets_out) index = s->out.sequence;
    else s->out.sequence = (uint16_t)index;
    srtp_start(out, s->out.ssrc, index, (uint32_t)elapsed);
    srtp_expect(in, (uint32_t)(elapsed >> 16));
}

int plane_set_remote(plane *p, int64_t handle, const plane_remote *remote) {
    struct session *s = find(p, handle);
    if (!s) return -ENOENT;
    if (!usable(remote)) return -EINVAL;
    if (target_refused(&p->settings, remote->ip, remote->port)) return PLANE_REFUSED;
    struct srtp *in = s->srtp_in, *out = s->srtp_out;
    int error = keys(remote, &in, &out);
    if (error) return error;
    if (s->codec.kind != remote->codec && coded(remote->codec)) fit_coders(p, s, remote->codec, s->plays, s->records);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(remote->port), .sin_addr.s_addr = htonl(remote->ip)};
    struct worker *w = lock(p, s);
    source_signalled(s, &address, w->now_ms);
    s->has_remote = true;
    if (s->codec.clock_rate != remote->clock_rate) s->in.jitter = s->in.transit = 0; /* counted in ticks of the former clock */
    s->codec = codec_of(remote);
    s->event_rate = remote->event_rate;
    s->telephone_event = remote->telephone_event;
    uint16_t rtcp_port = remote->rtcp_port ? remote->rtcp_port : (uint16_t)(remote->port + 1);
    if (rtcp_port != s->rtcp_port || s->source.state == LEARNING) s->report.heard_port = 0;
    s->rtcp_port = rtcp_port;
    outgoing_clock(&s->out, s->codec.clock_rate, w->now_ms);
    s->send = remote->send;
    s->receive = remote->receive;
    struct srtp *old_in = in == s->srtp_in ? NULL : s->srtp_in, *old_out = out == s->srtp_out ? NULL : s->srtp_out;
    if (out != s->srtp_out && out) start_srtp(s, out, in, remote->agreed_ms);
    s->srtp_in = in;
    s->srtp_out = out;
    worker_unlock(w);
    srtp_free(old_in);
    srtp_free(old_out);
    return fit_bridge(p, s);
}

static void part(plane *p, struct session *s) {
    if (s->peer == NOBODY) return;
    struct session *other = &p->sessions[s->peer];
    converter_free(s->converter);
    converter_free(other->converter);
    s->converter = other->converter = NULL;
    s->peer = other->peer = NOBODY;
    s->out.mapped = other->out.mapped = false;
}

int plane_unbridge(plane *p, int64_t handle) {
    struct session *s = find(p, handle);
    if (!s) return -ENOENT;
    struct worker *w = lock(p, s);  /* the peer has the same worker */
    part(p, s);
    worker_unlock(w);
    return 0;
}

/* Bridged sessions share a worker, so that the relay touches both under one lock. */
static int move(plane *p, struct session *s, struct worker *to) {
    struct worker *from = lock(p, s);
    part(p, s);
    bool timed = s->timed;
    worker_untime(from, s);
    worker_unwatch(from, s); /* nobody's now: one lock at a time is enough */
    worker_unlock(from);
    worker_lock(to);
    int error = worker_watch(to, s);
    if (timed) worker_time(to, s);
    worker_unlock(to);
    return error;
}

int plane_bridge(plane *p, int64_t a, int64_t b) {
    struct session *left = find(p, a), *right = find(p, b);
    if (!left || !right) return -ENOENT;
    if (left == right) return -EINVAL;
    int error = left->worker == right->worker ? 0 : move(p, right, &p->workers[left->worker]);
    if (error) return error;
    struct worker *w = lock(p, left);
    int32_t right_index = (int32_t)(right - p->sessions);
    if (left->peer != right_index) {
        part(p, left);
        part(p, right);
        left->peer = right_index;
        right->peer = (int32_t)(left - p->sessions);
    }
    worker_unlock(w);
    return fit_bridge(p, left);
}

static void release(struct play *play) {
    for (int i = 0; i < play->count; i++) audio_release(play->files[i]);
    free(play);
}

int plane_play(plane *p, int64_t handle, uint64_t number, const char **files, int count, int loop, int barge_in, char *why, int why_room) {
    struct session *s = find(p, handle);
    if (!s) return -ENOENT;
    if (count < 1) return -EINVAL;
    if (s->codec.kind == PLANE_OTHER) return PLANE_NO_CODER;
    s->plays = true;
    if (fit_coders(p, s, s->codec.kind, true, false)) return -ENOMEM;
    uint8_t codec = coded(s->codec.kind) ? LINEAR : s->codec.kind;
    struct play *play = calloc(1, sizeof *play + (size_t)count * sizeof play->files[0]);
    if (!play) return -ENOMEM;
    play->number = number;
    play->loop = loop;
    play->barge_in = barge_in;
    for (; play->count < count; play->count++) {
        int error = audio_load(p, files[play->count], codec, &play->files[play->count], why, why_room);
        if (!error) continue;
        release(play);
        return error;
    }
    struct worker *w = lock(p, s);
    play_end(w, s, false);
    s->play = play;
    s->out.mapped = false;
    worker_time(w, s);
    worker_unlock(w);
    return 0;
}

int plane_stop_play(plane *p, int64_t handle) {
    struct session *s = find(p, handle);
    if (!s) return -ENOENT;
    struct worker *w = lock(p, s);
    play_end(w, s, false);
    worker_unlock(w);
    return 0;
}

int plane_record(plane *p, int64_t handle, uint64_t number, const char *path, uint32_t max_ms, uint32_t silence_ms,
                 uint16_t finish_events) {
    struct session *s = find(p, handle);
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
    struct worker *w = lock(p, s);
    recording_end(w, s, PLANE_BY_STOP);
    r->started_ms = r->voice_ms = w->now_ms;
    s->recording = r;
    worker_time(w, s);
    worker_unlock(w);
    return 0;
}

int plane_stop_record(plane *p, int64_t handle) {
    struct session *s = find(p, handle);
    if (!s) return -ENOENT;
    struct worker *w = lock(p, s);
    recording_end(w, s, PLANE_BY_STOP);
    worker_unlock(w);
    return 0;
}

static void count(const struct session *s, int64_t now_ms, plane_counters *to) {
    *to = (plane_counters){
        .packets_in = s->packets_in,
        .packets_out = s->packets_out,
        .bytes_in = s->bytes_in,
        .bytes_out = s->bytes_out,
        .lost = incoming_lost(&s->in),
        .out_of_order = s->out_of_order,
        .jitter_ms = s->in.jitter * 1000 / s->codec.clock_rate,
        .round_trip_ms = s->report.round_trip_ms,
        .remote_lost = s->report.remote_known ? s->report.remote_lost : -1,
        .remote_loss_fraction = -1,
        .remote_jitter_ms = s->report.remote_known ? s->report.remote_jitter_ms : -1,
        .reports_in = s->report.heard,
        .reports_out = s->report.sent,
        .last_packet_ms = s->in.started ? now_ms - s->in.last_ms : -1,
        .source_ip = s->source.state == LOCKED || s->source.state == RELEARNING ? ntohl(s->source.ip) : 0,
        .source_port = ntohs(s->source.port),
    };
    memcpy(to->dropped, s->dropped, sizeof to->dropped);
    memcpy(to->codec, s->codec.name, sizeof to->codec);
    uint64_t received = s->in.received + s->in.received_before;
    if (to->lost) to->loss_fraction = (double)to->lost / (double)(to->lost + received);
    const struct report *report = &s->report;
    if (!report->remote_known) return;
    if (to->remote_lost < 0) to->remote_lost = 0; /* duplicates there: more came than was sent */
    to->remote_loss_fraction = report->remote_span ? (double)to->remote_lost / report->remote_span : 0;
    if (to->remote_loss_fraction > 1) to->remote_loss_fraction = 1;
}

int plane_counters_of(plane *p, int64_t handle, plane_counters *counters) {
    struct session *s = find(p, handle);
    if (!s) return -ENOENT;
    struct worker *w = lock(p, s);
    count(s, w->now_ms, counters);
    worker_unlock(w);
    return 0;
}

int plane_close(plane *p, int64_t handle, plane_counters *counters) {
    struct session *s = find(p, handle);
    if (!s) return -ENOENT;
    struct worker *w = lock(p, s);
    if (counters) count(s, w->now_ms, counters);
    rtcp_bye(w, s);
    part(p, s);
    play_end(w, s, false);
    recording_end(w, s, PLANE_BY_STOP);
    worker_untime(w, s);
    worker_unwatch(w, s);
    s->used = false;
    int64_t now_ms = w->now_ms;
    struct srtp *in = s->srtp_in, *out = s->srtp_out;
    struct encoder *voice = s->voice;
    struct decoder *hearing = s->hearing;
    s->srtp_in = s->srtp_out = NULL;
    s->voice = NULL;
    s->hearing = NULL;
    worker_unlock(w);
    encoder_free(voice);
    decoder_free(hearing);
    srtp_free(in);
    srtp_free(out);
    port_give_back(p, s, now_ms);
    p->unused[p->unused_count++] = (int32_t)(s - p->sessions);
    return 0;
}

void plane_totals_of(plane *p, plane_totals *totals) {
    *totals = (plane_totals){.ports_total = p->port_room, .sessions = p->room - p->unused_count};
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
        totals->cpu_ns += (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
        worker_lock(w);
        totals->packets_in += w->packets_in;
        totals->packets_out += w->packets_out;
        totals->late_ticks += w->late_ticks;
        for (int j = 0; j < PLANE_DROPS; j++) totals->dropped[j] += w->dropped[j];
        worker_unlock(w);
    }
}
