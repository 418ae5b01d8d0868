/* RTP, RFC 3550: the header, what a receiver counts (appendix A), and the one outgoing stream of a session. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>

#include "core.h"

enum { MAX_DROPOUT = 3000, MAX_MISORDER = 100, LATE_MS = 60 };
/* Frames of silence before nothing but its noise is sent, and from one telling of the noise to the next; the loudest sample of silence. */
enum { HUSH = 10, REMIND = FRAMES_A_SECOND, QUIET = 24, NO_NOISE_AT_ALL = 127 };

/* Section 5.1. False: not RTP version 2, a length that does not add up, no payload, or RTCP on the RTP port (RFC 5761). */
bool rtp_parse(uint8_t *datagram, uint32_t length, struct packet *packet) {
    if (length < 12 || length > MAX_PACKET || datagram[0] >> 6 != 2) return false;
    if (datagram[1] >= 192 && datagram[1] <= 223) return false;
    uint32_t start = 12u + 4u * (datagram[0] & 15), end = length;
    if (datagram[0] & 0x10) {
        if (start + 4 > length) return false;
        start += 4u + 4u * get16(datagram + start + 2);
    }
    if (start >= end) return false;
    if (datagram[0] & 0x20) {
        uint8_t padding = datagram[length - 1];
        if (!padding || start + padding >= end) return false;
        end -= padding;
    }
    packet->payload = datagram + start;
    packet->length = end - start;
    packet->type = datagram[1] & 0x7F;
    packet->marker = datagram[1] >> 7;
    packet->sequence = get16(datagram + 2);
    packet->timestamp = get32(datagram + 4);
    packet->ssrc = get32(datagram + 8);
    return true;
}

uint64_t incoming_lost(const struct incoming *in) {
    if (!in->started) return in->lost_before;
    uint64_t expected = (uint64_t)in->cycles + in->highest - in->base + 1;
    return in->lost_before + (expected > in->received ? expected - in->received : 0);
}

/* A source starts, or starts anew. */
static void incoming_start(struct incoming *in, const struct packet *packet) {
    in->lost_before = incoming_lost(in);
    in->received_before += in->started ? in->received : 0;
    in->started = true;
    in->ssrc = packet->ssrc;
    in->base = in->highest = packet->sequence;
    in->cycles = 0;
    in->received = 1;
    in->transit = 0;
}

/* Appendix A.1, A.3 and A.8; `audio` packets only count for jitter, events keep the timestamp of their start. */
void incoming_count(struct session *s, const struct packet *packet, int64_t now_ns, bool audio) {
    struct incoming *in = &s->in;
    uint16_t ahead = (uint16_t)(packet->sequence - in->highest);
    if (!in->started || in->ssrc != packet->ssrc || (ahead >= MAX_DROPOUT && ahead <= 65535 - MAX_MISORDER)) {
        incoming_start(in, packet);
        xr_start(s);
    } else {
        in->received++;
        if (ahead && ahead < MAX_DROPOUT) {
            if (packet->sequence < in->highest) in->cycles += 65536;
            in->highest = packet->sequence;
            xr_count(s, ahead - 1u);
        } else {
            s->out_of_order++;
        }
    }
    in->last_ms = now_ns / 1000000;
    if (!audio) return;
    uint32_t rate = s->codec.clock_rate, transit = (uint32_t)((uint64_t)(now_ns / 1000) * rate / 1000000) - packet->timestamp;
    if (in->transit) {
        int32_t change = (int32_t)(transit - in->transit);
        double distance = change < 0 ? -(double)change : change;
        if (distance < rate) { /* a second is a new talkspurt's clock, no jitter */
            in->jitter += (distance - in->jitter) / 16;
            xr_distance(s, distance);
        }
    }
    in->transit = transit ? transit : 1;
}

double incoming_jitter_ms(const struct session *s) { return s->in.jitter * 1000 / s->codec.clock_rate; }

bool incoming_flood(struct incoming *in, int64_t now_ms) {
    int64_t second = now_ms / 1000;
    if (second != in->flood_second) {
        in->flood_second = second;
        in->flood_count = 0;
    }
    return ++in->flood_count > FLOOD_PACKETS;
}

static uint64_t wall_clock_ms(void) {
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
}

/* The SSRC is the session's name's, so that it is the same in a plane started anew. Where that one knows nothing of the stream its
 * numbers come from the wall clock: later than those before, as long as those were not more than 50 a second. */
void outgoing_start(struct outgoing *out, uint64_t identity, int64_t now_ms, const struct saved *former) {
    uint64_t wall_ms = wall_clock_ms();
    *out = (struct outgoing){
        .identity = identity,
        .ssrc = (uint32_t)identity,
        .sequence = (uint16_t)(wall_ms / 20 + (identity >> 32) - 1),
        .timestamp = (uint32_t)(wall_ms * 8 + (identity >> 20)),
        .last_ms = now_ms,
        .last_samples = FRAME,
        .rate = 8000,
    };
    if (!former) return;
    out->sequence = former->sequence;
    out->timestamp = former->timestamp;
    out->last_ms = former->last_ms;
    out->last_samples = former->samples;
    out->rate = former->rate;
}

/* Samples between the newest packet sent and one sent now by another source: never less than what was sent. */
uint32_t outgoing_gap(const struct outgoing *out, int64_t now_ms) {
    uint64_t elapsed = (uint64_t)(now_ms - out->last_ms) * out->rate / 1000;
    return elapsed > out->last_samples ? (uint32_t)elapsed : out->last_samples;
}

/* The stream goes on with another clock: what passed at the old one counts, RFC 7160 section 4.2. */
void outgoing_clock(struct outgoing *out, uint32_t rate, int64_t now_ms) {
    if (out->rate == rate) return;
    out->timestamp += outgoing_gap(out, now_ms);
    out->last_ms = now_ms;
    out->last_samples = 0;
    out->rate = rate;
    out->mapped = out->event_mapped = false;
}

/* The SRTP index of the last packet before now, for a stream whose keys were agreed then: below 2^15 at first, so that a receiver who
 * misses the first packets does not miss a roll-over (RFC 3711 section 3.3.1), and the same in a plane started anew. */
uint64_t outgoing_index(const struct outgoing *out, uint64_t agreed_ms, uint64_t *elapsed) {
    uint64_t now = wall_clock_ms(), agreed = agreed_ms && agreed_ms < now ? agreed_ms : now;
    *elapsed = (now - agreed) / 20;
    return ((agreed / 20 + (out->identity >> 32)) & 0x7FFF) + *elapsed;
}

/* Writes the header into the twelve bytes before the payload and sends. The caller keeps `out` up to date. */
void outgoing_send(struct worker *w, struct session *s, uint8_t *payload, uint32_t length, uint8_t type, bool marker, uint16_t sequence,
                   uint32_t timestamp) {
    uint8_t *header = payload - 12;
    uint16_t sequence_be = htons(sequence);
    uint32_t timestamp_be = htonl(timestamp), ssrc_be = htonl(s->out.ssrc);
    header[0] = 0x80;
    header[1] = (uint8_t)(marker << 7 | type);
    memcpy(header + 2, &sequence_be, 2);
    memcpy(header + 4, &timestamp_be, 4);
    memcpy(header + 8, &ssrc_be, 4);
    uint32_t size = length + 12;
    if (s->recording && type == s->codec.payload_type) recording_heard(w, s, payload, length, sequence, timestamp);
    if (s->srtp_out) {
        int protected = srtp_protect(s->srtp_out, header, size);
        if (protected < 0) return drop(w, s, PLANE_DROP_UNSENT); /* a duplicate: no index is used twice */
        size = (uint32_t)protected;
        s->saved->out_index = srtp_newest(s->srtp_out);
    }
    struct saved *saved = s->saved; /* before it is sent: nothing goes out that a successor would repeat */
    saved->sequence = s->out.sequence;
    saved->timestamp = s->out.timestamp;
    saved->samples = s->out.last_samples;
    saved->rate = s->out.rate;
    saved->last_ms = s->out.last_ms;
    const struct sockaddr *to = s->source.connected ? NULL : &s->target.any;
    ssize_t sent = sendto(s->fd, header, size, MSG_DONTWAIT | MSG_NOSIGNAL, to, to ? address_size(&s->target) : 0);
    if (sent < 0) {
        drop(w, s, PLANE_DROP_UNSENT);
        return;
    }
    if (!s->packets_out++) s->out.first = sequence;
    s->octets_out += length;
    s->bytes_out += size;
    w->packets_out++;
}

static int32_t peak_of_law(uint8_t kind, const uint8_t *payload, uint32_t length) {
    int32_t peak = 0;
    for (uint32_t i = 0; i < length && peak <= QUIET; i++) {
        int32_t value = g711_linear(payload[i], kind);
        if (value < 0) value = -value;
        if (value > peak) peak = value;
    }
    return peak;
}

static int32_t peak_of(const int16_t *samples, uint32_t count) {
    int32_t peak = 0;
    for (uint32_t i = 0; i < count && peak <= QUIET; i++) {
        int32_t value = samples[i] < 0 ? -samples[i] : samples[i];
        if (value > peak) peak = value;
    }
    return peak;
}

/* Whether the frame, of that loudest sample, is left out: its far end makes the noise, RFC 3389 section 4. Level in -dBov, section 3.1. */
static bool hush(struct worker *w, struct session *s, int32_t peak) {
    if (peak > QUIET) {
        s->quiet = 0;
        return false;
    }
    if (++s->quiet <= HUSH) return false;
    if ((s->quiet - HUSH) % REMIND != 1 || !s->send) return true;
    uint8_t packet[12 + 1 + SRTP_TAIL];
    packet[12] = peak ? (uint8_t)(20 * log10(32768 * sqrt(3) / peak)) : NO_NOISE_AT_ALL;
    outgoing_send(w, s, packet + 12, 1, s->comfort_noise, false, ++s->out.sequence, s->out.timestamp);
    return true;
}

/* `peak`: the frame's loudest sample, where silence may be left out; else -1. */
static void frame(struct worker *w, struct session *s, uint8_t *payload, uint32_t length, bool first, int32_t peak) {
    struct outgoing *out = &s->out;
    first |= peak > QUIET && s->quiet > HUSH;
    bool late = w->now_ms - out->last_ms > LATE_MS;
    out->timestamp += first || late ? outgoing_gap(out, w->now_ms) : out->rate / FRAMES_A_SECOND;
    out->last_ms = w->now_ms;
    out->last_samples = out->rate / FRAMES_A_SECOND;
    out->mapped = false;
    if (peak >= 0 && hush(w, s, peak)) return;
    if (s->send && length) outgoing_send(w, s, payload, length, s->codec.payload_type, first, ++out->sequence, out->timestamp);
}

static bool may_hush(const struct session *s) { return s->comfort_noise != PLANE_NO_EVENT && s->codec.kind != PLANE_OPUS; }

/* The next 20 ms of audio that we make ourselves; `first`: after a pause or after another source. */
void outgoing_frame(struct worker *w, struct session *s, uint8_t *payload, uint32_t length, bool first) {
    frame(w, s, payload, length, first, may_hush(s) && is_g711(&s->codec) ? peak_of_law(s->codec.kind, payload, length) : -1);
}

/* 20 ms of 8 kHz in the session's codec, by the encoder of its prompts where it has to be encoded. */
void outgoing_linear(struct worker *w, struct session *s, const int16_t *samples, bool first) {
    uint8_t packet[12 + ENCODED + SRTP_TAIL], *payload = packet + 12;
    if (!is_g711(&s->codec)) {
        int16_t wide[WIDE_FRAME];
        halfband_up(&s->tone_up, samples, FRAME, wide);
        if (encoder_is(s->voice, s->codec.kind)) outgoing_say(w, s, s->voice, wide, WIDE_FRAME, first);
        return;
    }
    g711_encode(payload, samples, FRAME, s->codec.kind);
    outgoing_frame(w, s, payload, FRAME, first);
}

void outgoing_say(struct worker *w, struct session *s, struct encoder *encoder, const int16_t *samples, uint32_t count, bool first) {
    uint8_t packet[12 + ENCODED + SRTP_TAIL];
    encoder_suit(encoder, &s->codec);
    uint32_t length = encoder_encode(encoder, samples, count, packet + 12, ENCODED);
    frame(w, s, packet + 12, length, first, may_hush(s) ? peak_of(samples, count) : -1);
}
