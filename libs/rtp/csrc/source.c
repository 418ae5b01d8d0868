/* Where a session's packets come from: the signalled address at once, another one (behind a NAT) after a trial, then locked. Nobody is
 * heard but from the signalled IP address and the networks named beside it (where its SIP comes from): a stranger never gets on trial.
 *
 * LEARNING: nobody is known. RELEARNING: after a new set_remote with the same address, the known source is confirmed by its next
 * packet, and only its silence lets another one on trial. LOCKED: everybody else is dropped. */
#include <string.h>
#include <sys/socket.h>

#include "core.h"

enum { TRIAL_PACKETS = 2, QUIET_MS = 200 };

bool target_refused(const plane_settings *settings, uint32_t ip, uint16_t port) {
    uint8_t top = (uint8_t)(ip >> 24);
    if (!port || top == 0 || top >= 224 || ip >> 16 == 0xA9FE) return true; /* this network, multicast, reserved, link-local */
    if (top == 127 && !settings->allow_loopback) return true;
    for (unsigned i = 0; i < settings->refused_nets; i++)
        if ((ip & settings->refused_mask[i]) == settings->refused_net[i]) return true;
    return false;
}

/* Once the far end is known the socket is connected to it: strangers' packets end in the kernel, and no route is looked up any more. */
static void connect_to(struct session *s, const struct sockaddr_in *to) {
    struct sockaddr_in anybody = {.sin_family = AF_UNSPEC};
    if (!to && !s->source.connected) return;
    s->source.connected = !connect(s->fd, (const struct sockaddr *)(to ? to : &anybody), sizeof anybody) && to;
}

void source_signalled(struct session *s, const plane_remote *remote, int64_t now_ms) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(remote->port), .sin_addr.s_addr = htonl(remote->ip)};
    struct source *source = &s->source;
    bool same = s->has_remote && address.sin_addr.s_addr == s->signalled.sin_addr.s_addr && address.sin_port == s->signalled.sin_port;
    source->nets = remote->sources;
    memcpy(source->net, remote->source_net, sizeof source->net);
    memcpy(source->mask, remote->source_mask, sizeof source->mask);
    source->opened_ms = now_ms;
    source->trial_packets = 0;
    connect_to(s, NULL);
    if (same && source->state == LOCKED) {
        source->state = RELEARNING;
        return;
    }
    if (same) return;
    source->former_ip = source->state == UNKNOWN ? 0 : source->ip;
    source->former_port = source->port;
    source->ip = 0;
    source->port = 0;
    source->state = LEARNING;
    s->signalled = s->target = address;
}

bool source_known(const struct session *s, const struct sockaddr_in *from) {
    return s->source.state == LOCKED && from->sin_addr.s_addr == s->source.ip && from->sin_port == s->source.port;
}

static bool permitted(const struct session *s, const struct sockaddr_in *from) {
    if (from->sin_addr.s_addr == s->signalled.sin_addr.s_addr) return true;
    uint32_t ip = ntohl(from->sin_addr.s_addr);
    for (int i = 0; i < s->source.nets; i++)
        if ((ip & s->source.mask[i]) == s->source.net[i]) return true;
    return false;
}

static bool lock_on(struct worker *w, struct session *s, const struct sockaddr_in *from) {
    struct source *source = &s->source;
    bool again = source->ip == from->sin_addr.s_addr && source->port == from->sin_port;
    source->state = LOCKED;
    source->ip = from->sin_addr.s_addr;
    source->port = from->sin_port;
    s->target.sin_addr = from->sin_addr;
    s->target.sin_port = from->sin_port;
    connect_to(s, &s->target);
    if (!again) {
        plane_event event = {.kind = PLANE_SOURCE_LOCKED,
                             .handle = session_handle(w->plane, s),
                             .ip = ntohl(source->ip),
                             .port = ntohs(source->port)};
        event_put(w->plane, &event);
    }
    return true;
}

/* One on trial: heard at once, sent to once its packets follow one another, locked when the window ends without the signalled one. */
static bool on_trial(struct worker *w, struct session *s, const struct packet *packet) {
    struct source *source = &s->source;
    const struct sockaddr_in *from = packet->from;
    bool same = from->sin_addr.s_addr == source->trial_ip && from->sin_port == source->trial_port;
    if (!source->trial_packets || w->now_ms - source->trial_ms > w->plane->settings.learn_ms) {
        if (source->trial_packets >= TRIAL_PACKETS) {
            if (same) return lock_on(w, s, from);
            if (w->now_ms - s->in.last_ms < QUIET_MS) return false;
        }
        source->trial_ip = from->sin_addr.s_addr;
        source->trial_port = from->sin_port;
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
    if (++source->trial_packets >= TRIAL_PACKETS) {
        s->target.sin_addr = from->sin_addr;
        s->target.sin_port = from->sin_port;
    }
    return true;
}

bool source_accepts(struct worker *w, struct session *s, const struct packet *packet) {
    const struct sockaddr_in *from = packet->from;
    struct source *source = &s->source;
    uint32_t learn_ms = w->plane->settings.learn_ms;
    if (source_known(s, from)) return true;
    if (source->state == LOCKED || !permitted(s, from)) return false;
    if (from->sin_addr.s_addr == s->signalled.sin_addr.s_addr && from->sin_port == s->signalled.sin_port) return lock_on(w, s, from);
    if (source->state == RELEARNING) {
        if (from->sin_addr.s_addr == source->ip && from->sin_port == source->port) return lock_on(w, s, from);
        if (w->now_ms - source->opened_ms > learn_ms) source->state = LOCKED;
        if (source->state == LOCKED || (!source->trial_packets && w->now_ms - s->in.last_ms < QUIET_MS)) return false;
    }
    bool former = source->former_ip && from->sin_addr.s_addr == source->former_ip && from->sin_port == source->former_port;
    if (former && w->now_ms - source->opened_ms <= learn_ms) return false;
    if (target_refused(&w->plane->settings, ntohl(from->sin_addr.s_addr), ntohs(from->sin_port))) return false;
    return on_trial(w, s, packet);
}
