/* Where a session's packets come from: the signalled address at once, another one (behind a NAT) after a trial, then locked. Nobody is
 * heard but from the signalled IP address and the networks named beside it (where its SIP comes from): a stranger never gets on trial.
 *
 * LEARNING: nobody is known. RELEARNING: after a new set_remote with the same address, the known source is confirmed by its next
 * packet, and only its silence lets another one on trial. LOCKED: everybody else is dropped. */
#include <string.h>
#include <sys/socket.h>

#include "core.h"

enum { TRIAL_PACKETS = 2, QUIET_MS = 200 };

/* Once the far end is known the socket is connected to it: strangers' packets end in the kernel, and no route is looked up any more. */
static void connect_to(struct session *s, const address *to) {
    address anybody = {.any.sa_family = AF_UNSPEC};
    if (!to && !s->source.connected) return;
    s->source.connected = !connect(s->fd, &(to ? to : &anybody)->any, to ? address_size(to) : sizeof anybody.v4) && to;
}

void source_signalled(struct session *s, const plane_remote *remote, int64_t now_ms) {
    address to;
    address_make(&to, remote->ip, remote->port);
    struct source *source = &s->source;
    bool same = s->has_remote && same_address(&to, &s->signalled);
    source->nets = remote->sources;
    memcpy(source->net, remote->source_net, sizeof source->net);
    memcpy(source->prefix, remote->source_prefix, sizeof source->prefix);
    source->opened_ms = now_ms;
    source->trial_packets = 0;
    connect_to(s, NULL);
    if (same && source->state == LOCKED) {
        source->state = RELEARNING;
        return;
    }
    if (same) return;
    source->former = source->known;
    source->known = (address){0};
    source->state = LEARNING;
    s->signalled = s->target = to;
}

bool source_known(const struct session *s, const address *from) {
    return s->source.state == LOCKED && same_address(from, &s->source.known);
}

static bool permitted(const struct session *s, const address *from) {
    if (same_host(from, &s->signalled)) return true;
    uint8_t ip[16];
    address_ip(from, ip);
    for (int i = 0; i < s->source.nets; i++)
        if (ip_within(ip, s->source.net[i], s->source.prefix[i])) return true;
    return false;
}

static bool lock_on(struct worker *w, struct session *s, const address *from) {
    struct source *source = &s->source;
    bool again = same_address(&source->known, from);
    source->state = LOCKED;
    source->known = s->target = *from;
    connect_to(s, &s->target);
    if (!again) {
        plane_event event = {.kind = PLANE_SOURCE_LOCKED, .handle = session_handle(w->plane, s), .port = ntohs(from->v4.sin_port)};
        address_ip(from, event.ip);
        event_put(w->plane, &event);
    }
    return true;
}

/* One on trial: heard at once, sent to once its packets follow one another, locked when the window ends without the signalled one. */
static bool on_trial(struct worker *w, struct session *s, const struct packet *packet) {
    struct source *source = &s->source;
    const address *from = packet->from;
    bool same = same_address(from, &source->trial);
    if (!source->trial_packets || w->now_ms - source->trial_ms > w->plane->settings.learn_ms) {
        if (source->trial_packets >= TRIAL_PACKETS) {
            if (same) return lock_on(w, s, from);
            if (w->now_ms - s->in.last_ms < QUIET_MS) return false;
        }
        source->trial = *from;
        source->trial_ssrc = packet->ssrc;
        source->trial_sequence = packet->sequence;
        source->trial_ms = w->now_ms;
        source->trial_packets = 1;
        return true;
    }
    if (!same) return false;
    if (packet->ssrc != source->trial_ssrc || (uint16_t)(packet->sequence - source->trial_sequence) > 10) {
        source->trial_packets = 0;
        return false;
    }
    source->trial_sequence = packet->sequence;
    if (++source->trial_packets >= TRIAL_PACKETS) s->target = *from;
    return true;
}

bool source_accepts(struct worker *w, struct session *s, const struct packet *packet) {
    const address *from = packet->from;
    struct source *source = &s->source;
    uint32_t learn_ms = w->plane->settings.learn_ms;
    if (source_known(s, from)) return true;
    if (source->state == LOCKED || !permitted(s, from)) return false;
    if (same_address(from, &s->signalled)) return lock_on(w, s, from);
    if (source->state == RELEARNING) {
        if (same_address(from, &source->known)) return lock_on(w, s, from);
        if (w->now_ms - source->opened_ms > learn_ms) source->state = LOCKED;
        if (source->state == LOCKED || (!source->trial_packets && w->now_ms - s->in.last_ms < QUIET_MS)) return false;
    }
    if (same_address(from, &source->former) && w->now_ms - source->opened_ms <= learn_ms) return false;
    uint8_t ip[16];
    address_ip(from, ip);
    if (target_refused(&w->plane->settings, ip, ntohs(from->v4.sin_port))) return false;
    return on_trial(w, s, packet);
}
