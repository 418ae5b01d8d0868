/* RTCP extended reports, RFC 3611: the statistics summary (section 4.6) and the VoIP metrics (section 4.7), written where the far end
 * wants them, read wherever they come. Bursts are told from single losses as in appendix A.2. */
#include <math.h>

#include "core.h"

enum { SUMMARY = 6, VOIP = 7, SUMMARY_WORDS = 10, VOIP_WORDS = 9, GMIN = 16, UNAVAILABLE = 127, LOST_AND_JITTER = 0xA0, PACKET_MS = 20 };

static uint32_t in_bytes(uint32_t a, uint32_t b, uint32_t c, uint32_t d) { return a << 24 | b << 16 | c << 8 | d; }
static uint32_t pair(double high, double low) {
    return (uint32_t)(high > 65535 ? 65535 : high) << 16 | (uint32_t)(low > 65535 ? 65535 : low);
}
static uint32_t part(double share) { return share >= 1 ? 255 : share <= 0 ? 0 : (uint32_t)(share * 256); }

static void new_interval(struct session *s) {
    struct extended *x = &s->xr;
    x->begin = s->in.cycles + s->in.highest + 1;
    x->received_before = s->in.received;
    x->distances = 0;
    x->least = x->most = x->sum = x->squares = 0;
}

/* A source starts, or starts anew. */
void xr_start(struct session *s) {
    struct extended kept = s->xr;
    s->xr = (struct extended){.summary = kept.summary, .voip = kept.voip, .heard = kept.heard};
    new_interval(s);
    s->xr.begin--;
    s->xr.received_before = 0;
}

static void lost_one(struct extended *x) {
    if (x->since_loss >= GMIN) {
        if (x->lost_near == 1) x->c14++;
        else x->c13++;
        x->lost_near = 1;
        x->c11 += x->since_loss;
    } else {
        x->lost_near++;
        if (!x->since_loss) x->c33++;
        else {
            x->c23++;
            x->c22 += x->since_loss - 1;
        }
    }
    x->since_loss = 0;
}

/* A packet came after `lost` that did not. */
void xr_count(struct session *s, uint32_t lost) {
    for (; lost; lost--) lost_one(&s->xr);
    s->xr.since_loss++;
}

/* How much longer or shorter than the one before it the packet was under way, in ticks. */
void xr_distance(struct session *s, double distance) {
    struct extended *x = &s->xr;
    if (!x->distances++ || distance < x->least) x->least = distance;
    if (distance > x->most) x->most = distance;
    x->sum += distance;
    x->squares += distance * distance;
}

static uint8_t *summary(struct session *s, uint8_t *at) {
    struct extended *x = &s->xr;
    uint32_t end = s->in.cycles + s->in.highest + 1;
    int64_t lost = (int64_t)(end - x->begin) - (int64_t)(s->in.received - x->received_before);
    double count = x->distances ? x->distances : 1, mean = x->sum / count, spread = x->squares / count - mean * mean;
    at = put32(at, in_bytes(SUMMARY, LOST_AND_JITTER, 0, SUMMARY_WORDS - 1));
    at = put32(at, s->in.ssrc);
    at = put32(at, (x->begin & 0xFFFF) << 16 | (end & 0xFFFF));
    at = put32(at, lost > 0 ? (uint32_t)lost : 0);
    at = put32(at, 0);
    at = put32(at, (uint32_t)x->least);
    at = put32(at, (uint32_t)x->most);
    at = put32(at, (uint32_t)mean);
    at = put32(at, (uint32_t)sqrt(spread > 0 ? spread : 0));
    new_interval(s);
    return put32(at, 0);
}

/* ITU-T G.107 with all but loss and delay at their defaults, for codecs as good as G.711 with concealment. */
static double r_factor(double loss, double one_way_ms) {
    double late = one_way_ms > 177.3 ? one_way_ms - 177.3 : 0, percent = 100 * loss;
    double r = 93.2 - 0.024 * one_way_ms - 0.11 * late - 95 * percent / (percent + 25.1);
    return r > 0 ? r : 0;
}
static uint32_t mos_tenths(double r) {
    double mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;
    return (uint32_t)(10 * (mos < 1 ? 1 : mos) + 0.5);
}

static uint8_t *voip(const struct session *s, uint8_t *at) {
    const struct extended *x = &s->xr;
    double expected = (double)s->in.cycles + s->in.highest - s->in.base + 1, lost = expected - (double)s->in.received;
    double loss = lost > 0 ? lost / expected : 0, round_trip = s->report.round_trip_ms > 0 ? s->report.round_trip_ms : 0;
    double in_burst = x->c13 + x->c23 + x->c33, stays = x->c22 + x->c23;
    double p32 = in_burst ? x->c23 / in_burst : 0, p23 = stays ? 1 - x->c22 / stays : 1, of_gap = x->c11 + x->c14;
    double all = of_gap + 2.0 * x->c13 + x->c22 + 2.0 * x->c23 + x->c33 + x->since_loss;
    double gap = x->c13 ? (of_gap + x->c13) / x->c13 : all, burst = x->c13 ? all / x->c13 - gap : 0;
    uint32_t r = UNAVAILABLE, lq = UNAVAILABLE, cq = UNAVAILABLE;
    if (s->codec.kind != PLANE_OTHER) {
        double listening = r_factor(loss, 0), talking = r_factor(loss, round_trip / 2);
        r = (uint32_t)(talking + 0.5), lq = mos_tenths(listening), cq = mos_tenths(talking);
    }
    at = put32(at, in_bytes(VOIP, 0, 0, VOIP_WORDS - 1));
    at = put32(at, s->in.ssrc);
    at = put32(at, in_bytes(part(loss), 0, x->c13 ? part(p23 / (p23 + p32)) : 0, part(of_gap ? x->c14 / of_gap : 0)));
    at = put32(at, pair(burst > 0 ? burst * PACKET_MS : 0, gap * PACKET_MS));
    at = put32(at, pair(round_trip, 0));
    at = put32(at, in_bytes(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, GMIN));
    at = put32(at, in_bytes(r, UNAVAILABLE, lq, cq));
    return put32(put32(at, 0), 0);
}

/* At most 84 bytes. */
uint8_t *xr_write(struct session *s, uint8_t *at) {
    if (!s->xr.summary && !s->xr.voip) return at;
    uint8_t *head = at;
    at = put32(at + 4, s->out.ssrc);
    if (s->xr.summary) at = summary(s, at);
    if (s->xr.voip) at = voip(s, at);
    put32(head, 0x80u << 24 | RTCP_XR << 16 | ((uint32_t)(at - head) / 4 - 1));
    return at;
}

static void read_voip(plane_xr *to, const uint8_t *at) {
    to->voip = 1;
    to->loss = at[8], to->discard = at[9], to->burst_density = at[10], to->gap_density = at[11];
    to->burst_ms = get16(at + 12), to->gap_ms = get16(at + 14), to->end_system_ms = get16(at + 18);
    to->r_factor = at[24], to->mos_lq = at[26], to->mos_cq = at[27];
    to->buffer_ms = get16(at + 30);
}

static void read_summary(plane_xr *to, const uint8_t *at, uint32_t rate) {
    to->summary = 1;
    to->lost = at[1] & 0x80 ? get32(at + 12) : 0;
    to->duplicates = at[1] & 0x40 ? get32(at + 16) : 0;
    if (!(at[1] & 0x20)) return;
    to->jitter_least_ms = get32(at + 20) * 1000.0 / rate;
    to->jitter_most_ms = get32(at + 24) * 1000.0 / rate;
    to->jitter_mean_ms = get32(at + 28) * 1000.0 / rate;
}

/* The blocks of one extended report; those that are of another stream or kind, or not as long as their kind is, say nothing to us. */
void xr_read(struct session *s, const uint8_t *at, uint32_t length) {
    while (length >= 8) {
        uint32_t size = 4u + 4u * get16(at + 2);
        if (size > length) return;
        bool ours = size >= 8 && get32(at + 4) == s->out.ssrc;
        if (ours && at[0] == VOIP && size == 4 * VOIP_WORDS) read_voip(&s->xr.heard, at);
        if (ours && at[0] == SUMMARY && size == 4 * SUMMARY_WORDS) read_summary(&s->xr.heard, at, s->out.rate);
        at += size;
        length -= size;
    }
}
