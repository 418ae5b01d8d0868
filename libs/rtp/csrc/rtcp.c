/* RTCP, RFC 3550 section 6: every session reports for itself, to its own far end, and hears what that one says of our stream.
 *
 * A report is due at a random moment around the interval; sessions wait in a wheel of SLOTS moments of 20 ms. A compound packet is
 * a sender or receiver report and the CNAME, and an extended report where it is wanted; a goodbye ends the session. Reports are heard
 * from the far end's address only. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

enum { SR = 200, RR = 201, SDES = 202, BYE = 203, CNAME = 1, BLOCK = 24, COMPOUND = 256, TICK_MS = 20, LOST_MOST = 0x7FFFFF };
#define NTP_EPOCH 2208988800u /* seconds from 1900 to 1970 */

static uint64_t ntp_now(void) {
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return ((uint64_t)wall.tv_sec + NTP_EPOCH) << 32 | ((uint64_t)wall.tv_nsec << 32) / 1000000000;
}

/* The wheel. */
static uint32_t delay_slots(struct worker *w) {
    w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
    uint32_t interval = w->plane->settings.report_ms / TICK_MS; /* times 0.5 to 1.5, section 6.2 */
    uint32_t slots = interval / 2 + (uint32_t)((w->random >> 33) % (interval + 1));
    return slots < 1 ? 1 : slots > REPORT_SLOTS - 2 ? REPORT_SLOTS - 2 : slots;
}

static void insert(struct worker *w, struct session *s) {
    int32_t index = (int32_t)(s - w->plane->sessions);
    s->report.slot = (uint16_t)((w->report_slot + delay_slots(w)) % REPORT_SLOTS);
    int32_t *head = &w->report_heads[s->report.slot];
    s->report.previous = NOBODY;
    s->report.next = *head;
    if (*head != NOBODY) w->plane->sessions[*head].report.previous = index;
    *head = index;
}

static void take_out(struct worker *w, struct session *s) {
    if (s->report.previous == NOBODY) w->report_heads[s->report.slot] = s->report.next;
    else w->plane->sessions[s->report.previous].report.next = s->report.next;
    if (s->report.next != NOBODY) w->plane->sessions[s->report.next].report.previous = s->report.previous;
}

static void arm(struct worker *w, bool on) {
    long period = on ? TICK_MS * 1000000l : 0;
    struct itimerspec every = {.it_interval.tv_nsec = period, .it_value.tv_nsec = period};
    timerfd_settime(w->report_timer, 0, &every, NULL);
}

void rtcp_schedule(struct worker *w, struct session *s) {
    if (!w->plane->settings.report_ms || s->report.scheduled) return;
    s->report.scheduled = true;
    insert(w, s);
    if (!w->reporting++) arm(w, true);
}

void rtcp_unschedule(struct worker *w, struct session *s) {
    if (!s->report.scheduled) return;
    s->report.scheduled = false;
    take_out(w, s);
    if (!--w->reporting) arm(w, false);
}

/* What we say. Section 6.4.1 and appendix A.3: the fraction since the last report, the rest since the source began. */
static uint8_t *report_block(struct session *s, uint8_t *at, int64_t now_ns) {
    struct incoming *in = &s->in;
    struct report *report = &s->report;
    uint32_t highest = in->cycles + in->highest;
    uint64_t expected = (uint64_t)highest - in->base + 1;
    if (report->ssrc != in->ssrc || expected < report->expected_before || in->received < report->received_before) {
        report->expected_before = report->received_before = 0;
        report->ssrc = in->ssrc;
    }
    int64_t interval = (int64_t)(expected - report->expected_before), got = (int64_t)(in->received - report->received_before);
    int64_t lost = (int64_t)expected - (int64_t)in->received;
    int64_t fraction = interval > 0 && interval > got ? (interval - got) * 256 / interval : 0;
    report->expected_before = expected;
    report->received_before = in->received;
    if (lost > LOST_MOST) lost = LOST_MOST;
    if (lost < -LOST_MOST) lost = -LOST_MOST;
    at = put32(at, in->ssrc);
    at = put32(at, (uint32_t)(fraction > 255 ? 255 : fraction) << 24 | ((uint32_t)lost & 0xFFFFFF));
    at = put32(at, highest);
    at = put32(at, (uint32_t)in->jitter);
    at = put32(at, report->sender_middle);
    return put32(at, report->sender_middle ? (uint32_t)((now_ns - report->sender_ns) / 1000 * 65536 / 1000000) : 0);
}

static uint8_t *cname(const struct session *s, uint8_t *at) {
    char name[17];
    snprintf(name, sizeof name, "%016llx", (unsigned long long)s->out.identity);
    at = put32(at, 0x81u << 24 | SDES << 16 | 6);
    at = put32(at, s->out.ssrc);
    *at++ = CNAME;
    *at++ = 16;
    memcpy(at, name, 16);
    memset(at + 16, 0, 2);
    return at + 18;
}

static uint32_t compound(struct worker *w, struct session *s, uint8_t *to, bool bye) {
    const struct outgoing *out = &s->out;
    bool sender = s->packets_out != s->report.packets_before, heard = s->in.started;
    uint8_t *at = put32(to, (0x80u | heard) << 24 | (sender ? SR : RR) << 16 | (1u + (sender ? 5 : 0) + (heard ? 6 : 0)));
    at = put32(at, out->ssrc);
    if (sender) {
        uint64_t ntp = ntp_now();
        at = put32(at, (uint32_t)(ntp >> 32));
        at = put32(at, (uint32_t)ntp);
        at = put32(at, out->timestamp + (uint32_t)((uint64_t)(w->now_ms - out->last_ms) * out->rate / 1000));
        at = put32(at, (uint32_t)s->packets_out);
        at = put32(at, (uint32_t)s->octets_out);
    }
    if (heard) at = report_block(s, at, w->now_ns);
    at = cname(s, at);
    if (heard) at = xr_write(s, at);
    if (bye) at = put32(put32(at, 0x81u << 24 | BYE << 16 | 1), out->ssrc);
    s->report.packets_before = s->packets_out;
    return (uint32_t)(at - to);
}

static void send_report(struct worker *w, struct session *s, bool bye) {
    if (!s->has_remote || (!s->packets_out && !s->in.started)) return;
    uint8_t packet[COMPOUND + SRTP_TAIL];
    uint32_t length = compound(w, s, packet, bye);
    if (s->srtp_out) {
        int protected = srtcp_protect(s->srtp_out, packet, length);
        if (protected < 0) return;
        length = (uint32_t)protected;
        s->saved->rtcp_index = srtp_next_rtcp(s->srtp_out);
    }
    address to = s->target;
    uint16_t *port = &to.v4.sin_port;
    bool one_port = s->rtcp_port == ntohs(s->signalled.v4.sin_port);
    if (s->report.heard_port) *port = s->report.heard_port;
    else if (!one_port) *port = htons(same_address(&to, &s->signalled) ? s->rtcp_port : (uint16_t)(ntohs(*port) + 1));
    if (!*port) return;
    int fd = one_port ? s->fd : s->rtcp_fd;
    if (sendto(fd, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL, &to.any, address_size(&to)) > 0) s->report.sent++;
}

void rtcp_bye(struct worker *w, struct session *s) { send_report(w, s, true); }

void rtcp_tick(struct worker *w) {
    uint64_t expirations;
    if (read(w->report_timer, &expirations, sizeof expirations) < 0) return;
    for (; expirations && w->reporting; expirations--) {
        w->report_slot = (w->report_slot + 1) % REPORT_SLOTS;
        for (int32_t index = w->report_heads[w->report_slot], next; index != NOBODY; index = next) {
            struct session *s = &w->plane->sessions[index];
            next = s->report.next;
            take_out(w, s);
            insert(w, s);
            send_report(w, s, false);
        }
    }
}

/* What we hear: a block about our stream gives the round trip (section 6.4.1), the loss and the jitter at the far end. */
static void heard_block(struct session *s, const uint8_t *at) {
    struct report *report = &s->report;
    if (get32(at) != s->out.ssrc) return;
    uint32_t sent = get32(at + 16), now = (uint32_t)(ntp_now() >> 16), span = get32(at + 8) - s->out.first + 1;
    int32_t lost = (int32_t)(get32(at + 4) << 8) >> 8;
    report->remote_known = true;
    report->remote_lost = lost;
    report->remote_span = span < 1u << 31 ? span : 0;
    report->remote_jitter_ms = (double)get32(at + 12) * 1000 / s->out.rate;
    if (!sent) return;
    int32_t round_trip = (int32_t)(now - sent - get32(at + 20));
    report->round_trip_ms = round_trip > 0 ? (double)round_trip * 1000 / 65536 : 0;
}

static void heard_packet(struct worker *w, struct session *s, const uint8_t *at, uint32_t length) {
    uint32_t blocks = at[0] & 31, start = at[1] == SR ? 28 : 8;
    if ((at[1] != SR && at[1] != RR) || length < start) return;
    if (at[1] == SR && get32(at + 4) == s->in.ssrc) {
        s->report.sender_middle = get32(at + 10);
        s->report.sender_ns = w->now_ns;
    }
    for (uint32_t i = 0; i < blocks && start + BLOCK <= length; i++, start += BLOCK) heard_block(s, at + start);
}

void rtcp_received(struct worker *w, struct session *s, uint8_t *data, uint32_t length, const address *from) {
    if (!s->has_remote || !same_host(from, &s->target) || length > MAX_PACKET) return;
    if (s->srtp_in) {
        int plain = srtcp_unprotect(s->srtp_in, data, length);
        if (plain < 0) return;
        length = (uint32_t)plain;
    }
    if (length < 8 || data[0] >> 6 != 2 || (data[1] != SR && data[1] != RR)) return; /* a compound begins with a report, section 6.1 */
    s->report.heard++;
    if (from->v4.sin_port != s->target.v4.sin_port) s->report.heard_port = from->v4.sin_port;
    for (uint32_t at = 0; at + 4 <= length && data[at] >> 6 == 2;) {
        uint32_t size = 4u + 4u * get16(data + at + 2);
        if (at + size > length) return;
        if (size >= 8 && data[at + 1] == RTCP_XR) xr_read(s, data + at + 8, size - 8);
        else if (size >= 8) heard_packet(w, s, data + at, size);
        at += size;
    }
}
