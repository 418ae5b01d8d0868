/* Sessions: opened, told of their far end, closed. */
#include <errno.h>
#include <string.h>

#include "core.h"

enum { CLOCK_LEAST = 1000, CLOCK_MOST = 192000 }; /* Hz */

struct session *session_find(plane *p, int64_t handle) {
    uint64_t index = (uint64_t)handle & 0xFFFFFFFF;
    if (handle < 0 || index >= p->room) return NULL;
    struct session *s = &p->sessions[index];
    return s->used && s->generation == (uint32_t)(handle >> 32) ? s : NULL;
}

struct worker *session_lock(plane *p, struct session *s) {
    struct worker *w = &p->workers[s->worker];
    worker_lock(w);
    return w;
}

int64_t plane_open(plane *p, uint64_t identity, uint16_t wanted_port, int six, uint16_t *port) {
    if (six && !p->settings.six) return -EAFNOSUPPORT;
    if (!p->unused_count) return -EADDRNOTAVAIL;
    int64_t now_ms = clock_ns() / 1000000;
    struct session *s = &p->sessions[p->unused[p->unused_count - 1]], fresh = {.fd = -1, .rtcp_fd = -1, .six = six};
    int error = port_take(p, wanted_port, six, now_ms, &fresh);
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
    fresh.telephone_event = fresh.comfort_noise = PLANE_NO_EVENT;
    fresh.peer = fresh.previous = fresh.next = NOBODY;
    fresh.used = true;
    *s = fresh;
    s->former = continuity_of(p, identity, now_ms);
    outgoing_start(&s->out, identity, now_ms, s->former);
    s->saved = &p->saved[s - p->sessions];
    *s->saved = s->former ? *s->former : (struct saved){.identity = identity, .timestamp = s->out.timestamp, .rate = s->out.rate, .sequence = s->out.sequence};
    s->saved->last_ms = now_ms;
    s->saved->taken = false;
    s->saved->used = true;
    error = worker_watch(w, s);
    worker_unlock(w);
    *port = s->port;
    int64_t handle = (int64_t)session_handle(p, s);
    if (!error) return handle;
    plane_close(p, handle, NULL);
    return error;
}

/* Prompts to and recordings of what is not G.711 need a coder of their own. */
int fit_coders(plane *p, struct session *s, uint8_t kind, bool plays, bool records) {
    struct encoder *voice = s->voice, *old_voice = NULL;
    struct decoder *hearing = s->hearing, *old_hearing = NULL;
    if (plays && coded(kind) && !encoder_is(voice, kind)) voice = encoder_new(kind, 16000);
    if (records && coded(kind) && !decoder_is(hearing, kind)) hearing = decoder_new(kind, 8000);
    struct worker *w = session_lock(p, s);
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
    return remote->event_rate >= CLOCK_LEAST && remote->event_rate <= CLOCK_MOST && remote->sources <= sizeof remote->source_prefix && remote->suite <= PLANE_AEAD_AES_256_GCM;
}

static struct codec codec_of(const plane_remote *remote) {
    struct codec codec = {.kind = remote->codec, .payload_type = remote->payload_type, .clock_rate = remote->clock_rate,
                          .fec = remote->fec, .dtx = remote->dtx, .playback_rate = remote->playback_rate};
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

/* A stream that another process had goes on with its very indices, where its keys are the same. Else one that has sent nothing begins
 * where its keys' age says; one that goes on under new keys begins without a roll-over. */
static void start_srtp(struct session *s, struct srtp *out, struct srtp *in, const plane_remote *remote) {
    const struct saved *former = s->former;
    uint64_t elapsed, index = outgoing_index(&s->out, remote->agreed_ms, &elapsed);
    uint64_t local = continuity_key(remote->suite, remote->local_key), theirs = continuity_key(remote->suite, remote->remote_key);
    uint32_t rtcp_index = (uint32_t)elapsed;
    bool resumed = former && former->local_key == local && !s->packets_out;
    if (resumed) {
        index = former->out_index;
        s->out.sequence = (uint16_t)index;
        rtcp_index = former->rtcp_index;
    } else if (s->packets_out || former) index = s->out.sequence;
    else s->out.sequence = (uint16_t)index;
    srtp_start(out, s->out.ssrc, index, rtcp_index);
    srtp_expect(in, (uint32_t)(elapsed >> 16));
    if (former && former->remote_key == theirs && former->heard && !s->in.started) srtp_resume(in, former->in_ssrc, former->in_index);
    else if (s->saved->remote_key != theirs) s->saved->heard = false;
    s->saved->local_key = local;
    s->saved->remote_key = theirs;
    s->saved->out_index = index;
    s->saved->rtcp_index = rtcp_index;
}

int plane_set_remote(plane *p, int64_t handle, const plane_remote *remote) {
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    if (!usable(remote)) return -EINVAL;
    if (ip_is_v4(remote->ip) == s->six) return -EAFNOSUPPORT;
    if (target_refused(&p->settings, remote->ip, remote->port)) return PLANE_REFUSED;
    struct srtp *in = s->srtp_in, *out = s->srtp_out;
    int error = keys(remote, &in, &out);
    if (error) return error;
    if (s->codec.kind != remote->codec && coded(remote->codec)) fit_coders(p, s, remote->codec, s->plays, s->records);
    struct worker *w = session_lock(p, s);
    source_signalled(s, remote, w->now_ms);
    s->has_remote = true;
    if (s->codec.clock_rate != remote->clock_rate) s->in.jitter = s->in.transit = 0; /* counted in ticks of the former clock */
    s->codec = codec_of(remote);
    s->event_rate = remote->event_rate;
    s->telephone_event = remote->telephone_event;
    s->comfort_noise = remote->comfort_noise;
    s->xr.summary = remote->xr_summary;
    s->xr.voip = remote->xr_voip;
    uint16_t rtcp_port = remote->rtcp_port ? remote->rtcp_port : (uint16_t)(remote->port + 1);
    if (rtcp_port != s->rtcp_port || s->source.state == LEARNING) s->report.heard_port = 0;
    s->rtcp_port = rtcp_port;
    outgoing_clock(&s->out, s->codec.clock_rate, w->now_ms);
    s->send = remote->send;
    s->receive = remote->receive;
    struct srtp *old_in = in == s->srtp_in ? NULL : s->srtp_in, *old_out = out == s->srtp_out ? NULL : s->srtp_out;
    if (out != s->srtp_out && out) start_srtp(s, out, in, remote);
    s->srtp_in = in;
    s->srtp_out = out;
    worker_unlock(w);
    srtp_free(old_in);
    srtp_free(old_out);
    int unfit = s->party ? room_fit(p, s->party->room) : 0;
    return unfit ? unfit : fit_bridge(p, s);
}

/* `for_good`: the far end is told, and nobody takes the stream up again. */
void session_end(plane *p, struct session *s, plane_counters *counters, bool for_good) {
    room_leave(p, s, false);
    struct worker *w = session_lock(p, s);
    if (counters) session_count(s, w->now_ms, counters);
    if (for_good) {
        rtcp_bye(w, s);
        s->saved->used = false;
    }
    bridge_part(p, s);
    play_end(w, s, false);
    dial_end_all(w, s);
    recording_end(w, s, PLANE_BY_STOP);
    worker_untime(w, s);
    worker_unwatch(w, s);
    s->used = false;
    int64_t now_ms = w->now_ms;
    struct srtp *in = s->srtp_in, *out = s->srtp_out;
    struct encoder *voice = s->voice;
    struct decoder *hearing = s->hearing;
    struct detector *detector = s->detector;
    s->detector = NULL;
    s->srtp_in = s->srtp_out = NULL;
    s->voice = NULL;
    s->hearing = NULL;
    worker_unlock(w);
    encoder_free(voice);
    decoder_free(hearing);
    detector_free(detector);
    srtp_free(in);
    srtp_free(out);
    port_give_back(p, s, now_ms);
    p->unused[p->unused_count++] = (int32_t)(s - p->sessions);
}

int plane_close(plane *p, int64_t handle, plane_counters *counters) {
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    session_end(p, s, counters, true);
    return 0;
}
