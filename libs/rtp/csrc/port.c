/* Ports: a ring of even numbers, the longest rested at its head. A port is taken with its RTCP neighbour or not at all. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core.h"

int ports_new(plane *p) {
    uint32_t low = p->settings.port_low + (p->settings.port_low & 1u), high = p->settings.port_high;
    p->port_room = high > low ? (high - low + 1) / 2 : 0;
    if (!p->port_room || low < 2) return -EINVAL;
    p->ports = calloc(p->port_room, sizeof *p->ports);
    if (!p->ports) return -ENOMEM;
    for (uint32_t i = 0; i < p->port_room; i++) {
        /* A random order: who does not know the port cannot send to it. */
        uint32_t other = 0;
        if (getrandom(&other, sizeof other, GRND_NONBLOCK) != sizeof other) other = i * 2654435761u;
        other %= i + 1;
        p->ports[i] = p->ports[other];
        p->ports[other] = (struct port){.number = (uint16_t)(low + 2 * i), .free_at = INT64_MIN};
    }
    p->port_count = p->port_room;
    return 0;
}

void ports_free(plane *p) { free(p->ports); }

static int bound_socket(const plane *p, uint16_t port, bool six) {
    address here;
    address_make(&here, six ? p->settings.listen_ip6 : p->settings.listen_ip, port);
    int fd = socket(here.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int traffic_class = 0xB8, only = 1; /* DSCP EF, RFC 4594 section 4.1 */
    int never_fragment = IP_PMTUDISC_PROBE; /* and so no search for an IP identifier per packet */
    if (six) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
        setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &traffic_class, sizeof traffic_class);
        setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &never_fragment, sizeof never_fragment);
    } else {
        setsockopt(fd, IPPROTO_IP, IP_TOS, &traffic_class, sizeof traffic_class);
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &never_fragment, sizeof never_fragment);
    }
    if (bind(fd, &here.any, address_size(&here)) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static int bind_pair(const plane *p, uint16_t port, bool six, struct session *s) {
    int rtp = bound_socket(p, port, six);
    if (rtp < 0) return rtp;
    int rtcp = bound_socket(p, (uint16_t)(port + 1), six);
    if (rtcp < 0) {
        close(rtp);
        return rtcp;
    }
    s->fd = rtp;
    s->rtcp_fd = rtcp;
    s->port = port;
    return 0;
}

static void put_back(plane *p, uint16_t number, int64_t free_at) {
    p->ports[(p->port_head + p->port_count++) % p->port_room] = (struct port){number, free_at};
}

/* Brings the wanted port to the head, rested or not: who asks for one by number had it before. */
static bool bring_forward(plane *p, uint16_t wanted) {
    for (uint32_t i = 0; i < p->port_count; i++) {
        struct port *at = &p->ports[(p->port_head + i) % p->port_room];
        if (at->number != wanted) continue;
        struct port *head = &p->ports[p->port_head], kept = *at;
        *at = *head;
        *head = kept;
        head->free_at = INT64_MIN;
        return true;
    }
    return false;
}

int port_take(plane *p, uint16_t wanted, bool six, int64_t now_ms, struct session *s) {
    if (wanted) bring_forward(p, wanted);
    for (uint32_t tries = p->port_count; tries; tries--) {
        struct port head = p->ports[p->port_head];
        p->port_head = (p->port_head + 1) % p->port_room;
        p->port_count--;
        int error = head.free_at > now_ms ? -EBUSY : bind_pair(p, head.number, six, s);
        if (!error) return 0;
        put_back(p, head.number, head.free_at);
        if (error != -EADDRINUSE && error != -EBUSY && error != -EACCES) return error;
    }
    return -EADDRNOTAVAIL;
}

void port_give_back(plane *p, struct session *s, int64_t now_ms) {
    close(s->fd);
    close(s->rtcp_fd);
    s->fd = s->rtcp_fd = -1;
    put_back(p, s->port, now_ms + p->settings.rest_ms);
}

uint32_t ports_rested(const plane *p, int64_t now_ms) {
    uint32_t rested = 0;
    for (uint32_t i = 0; i < p->port_count; i++) rested += p->ports[(p->port_head + i) % p->port_room].free_at <= now_ms;
    return rested;
}
