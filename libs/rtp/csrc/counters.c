/* What a session received and sent, for its statistics. */
#include <errno.h>
#include <string.h>

#include "core.h"

void session_count(const struct session *s, int64_t now_ms, plane_counters *to) {
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
        .source_port = ntohs(s->source.known.v4.sin_port),
        .xr = s->xr.heard,
    };
    address_ip(&s->source.known, to->source_ip);
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
    struct session *s = session_find(p, handle);
    if (!s) return -ENOENT;
    struct worker *w = session_lock(p, s);
    session_count(s, w->now_ms, counters);
    worker_unlock(w);
    return 0;
}
