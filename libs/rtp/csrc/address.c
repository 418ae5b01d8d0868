/* Addresses of both families: as the kernel has them, and as 16 bytes in which IPv4 stands as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
#include <string.h>

#include "core.h"

static const uint8_t MAPPED[12] = {[10] = 0xFF, [11] = 0xFF}, NAT64[12] = {0x00, 0x64, 0xFF, 0x9B};

bool ip_is_v4(const uint8_t ip[16]) { return !memcmp(ip, MAPPED, sizeof MAPPED); }

void address_make(address *to, const uint8_t ip[16], uint16_t port) {
    memset(to, 0, sizeof *to);
    to->any.sa_family = ip_is_v4(ip) ? AF_INET : AF_INET6;
    to->v4.sin_port = htons(port);
    if (ip_is_v4(ip)) memcpy(&to->v4.sin_addr, ip + 12, 4);
    else memcpy(&to->v6.sin6_addr, ip, 16);
}

void address_ip(const address *from, uint8_t ip[16]) {
    if (from->any.sa_family == AF_INET6) {
        memcpy(ip, &from->v6.sin6_addr, 16);
        return;
    }
    memcpy(ip, MAPPED, sizeof MAPPED);
    memcpy(ip + 12, &from->v4.sin_addr, 4);
}

bool ip_within(const uint8_t ip[16], const uint8_t net[16], uint8_t prefix) {
    uint8_t whole = prefix / 8, rest = prefix % 8;
    if (memcmp(ip, net, whole)) return false;
    return !rest || !((ip[whole] ^ net[whole]) & (0xFF << (8 - rest)));
}

/* This network, multicast and what is above it, link-local. */
static bool v4_refused(const plane_settings *settings, const uint8_t ip[4]) {
    if (ip[0] == 0 || ip[0] >= 224 || (ip[0] == 169 && ip[1] == 254)) return true;
    return ip[0] == 127 && !settings->allow_loopback;
}

/* Multicast, link-local and the former site-local, ::/64 (unspecified, loopback, IPv4-compatible), and IPv4 behind a NAT64 (RFC 6052). */
static bool v6_refused(const plane_settings *settings, const uint8_t ip[16]) {
    static const uint8_t LOOPBACK[16] = {[15] = 1}, NOWHERE[8] = {0};
    if (ip[0] == 0xFF || (ip[0] == 0xFE && ip[1] >= 0x80)) return true;
    if (!memcmp(ip, LOOPBACK, sizeof LOOPBACK)) return !settings->allow_loopback;
    if (!memcmp(ip, NOWHERE, sizeof NOWHERE)) return true;
    if (memcmp(ip, NAT64, sizeof NAT64)) return false;
    uint8_t behind[16];
    memcpy(behind, MAPPED, sizeof MAPPED);
    memcpy(behind + 12, ip + 12, 4);
    return target_refused(settings, behind, 1);
}

bool target_refused(const plane_settings *settings, const uint8_t ip[16], uint16_t port) {
    if (!port || (ip_is_v4(ip) ? v4_refused(settings, ip + 12) : v6_refused(settings, ip))) return true;
    for (unsigned i = 0; i < settings->refused_nets; i++)
        if (ip_within(ip, settings->refused_net[i], settings->refused_prefix[i])) return true;
    return false;
}
