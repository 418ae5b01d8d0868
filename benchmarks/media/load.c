/* Paced RTP load for the relay, and a listener for prompts; exact loss, added delay and spacing.
 *
 * usage: load WARM_SECONDS MEASURE_SECONDS < FILE, where FILE has a line "A PORT" or "B PORT" for each leg of the plane.
 * Two sockets stand for all phones: the one of side A and of side B. Their ports are printed first ("ports A B"); the legs are
 * told to the plane meanwhile, then "go" is read. Each leg gets one packet of 20 ms; its payload carries when it was sent. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { LEGS = 20000, AT_ONCE = 64, PACKET = 172, PHASES = 20, DELAYS = 1000000, SPACINGS = 100000, MAGIC = 0x43524c4e };

struct stamp { uint32_t magic, leg, number, measured; int64_t sent_ns; };
struct leg { int side; uint16_t port; uint16_t sequence; uint32_t number; };
static struct leg legs[LEGS];
static int leg_count, sockets[2];
static uint64_t sent, got, foreign, late;
static uint32_t delays[DELAYS], spacings[SPACINGS]; /* microseconds */
static int64_t heard_ns[65536];
static enum { WARM, MEASURE, DRAIN } phase;
static uint8_t in[AT_ONCE][2048], out[AT_ONCE][PACKET];
static struct mmsghdr in_messages[AT_ONCE], out_messages[AT_ONCE];
static struct iovec in_parts[AT_ONCE], out_parts[AT_ONCE];
static struct sockaddr_in in_from[AT_ONCE], out_to[AT_ONCE];

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static uint16_t open_socket(int side) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int room = 64 << 20;
    sockets[side] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (setsockopt(sockets[side], SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room)) setsockopt(sockets[side], SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(sockets[side], (struct sockaddr *)&address, size)) exit(1);
    getsockname(sockets[side], (struct sockaddr *)&address, &size);
    return ntohs(address.sin_port);
}

static void prepare(void) {
    for (int i = 0; i < AT_ONCE; i++) {
        for (int j = 0; j < PACKET; j++) out[i][j] = (uint8_t)(0xD5 ^ (rand() & 0x3F)); /* noise: silence would be cheap to encode */
        in_parts[i] = (struct iovec){in[i], sizeof in[i]};
        out_parts[i] = (struct iovec){out[i], PACKET};
        out_to[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        in_messages[i].msg_hdr = (struct msghdr){.msg_iov = &in_parts[i], .msg_iovlen = 1, .msg_name = &in_from[i], .msg_namelen = sizeof in_from[i]};
        out_messages[i].msg_hdr = (struct msghdr){.msg_iov = &out_parts[i], .msg_iovlen = 1, .msg_name = &out_to[i], .msg_namelen = sizeof out_to[i]};
    }
}

static void heard(const uint8_t *packet, const struct sockaddr_in *from, int64_t now) {
    struct stamp stamp;
    memcpy(&stamp, packet + 12, sizeof stamp);
    if (stamp.magic == MAGIC && stamp.sent_ns <= now && now - stamp.sent_ns < 10000000000) { /* not what a codec made of it */
        if (!stamp.measured) return;
        got++;
        int64_t delay = (now - stamp.sent_ns) / 1000;
        delays[delay < DELAYS ? delay : DELAYS - 1]++;
        return;
    }
    uint16_t port = ntohs(from->sin_port); /* a prompt, or converted audio */
    if (phase == MEASURE) {
        foreign++;
        int64_t spacing = (now - heard_ns[port]) / 1000;
        if (heard_ns[port]) spacings[spacing < SPACINGS ? spacing : SPACINGS - 1]++;
    }
    heard_ns[port] = now;
}

static void receive(void) {
    for (int side = 0; side < 2; side++)
        for (int count = AT_ONCE; count == AT_ONCE;) {
            count = recvmmsg(sockets[side], in_messages, AT_ONCE, MSG_DONTWAIT, NULL);
            int64_t now = now_ns();
            for (int i = 0; i < count; i++)
                if (in_messages[i].msg_len == PACKET) heard(in[i], &in_from[i], now);
        }
}

static void send_phase(int turn) {
    for (int side = 0; side < 2; side++) {
        int count = 0;
        for (int i = turn; i <= leg_count + PHASES; i += PHASES) {
            if (i < leg_count && legs[i].side == side) {
                struct leg *leg = &legs[i];
                struct stamp stamp = {MAGIC, (uint32_t)i, leg->number, phase == MEASURE, now_ns()};
                uint16_t sequence = htons(++leg->sequence);
                uint32_t timestamp = htonl(leg->number++ * 160), ssrc = htonl((uint32_t)i + 1);
                out[count][0] = 0x80;
                out[count][1] = 8;
                memcpy(out[count] + 2, &sequence, 2);
                memcpy(out[count] + 4, &timestamp, 4);
                memcpy(out[count] + 8, &ssrc, 4);
                memcpy(out[count] + 12, &stamp, sizeof stamp);
                out_to[count++].sin_port = htons(leg->port);
                sent += phase == MEASURE;
            }
            if (count == AT_ONCE || (i >= leg_count && count)) {
                sendmmsg(sockets[side], out_messages, (unsigned)count, 0);
                count = 0;
            }
        }
    }
}

static uint32_t quantile(const uint32_t *histogram, int size, double share) {
    uint64_t all = 0, seen = 0;
    for (int i = 0; i < size; i++) all += histogram[i];
    for (int i = 0; i < size; i++)
        if ((seen += histogram[i]) > (uint64_t)((double)all * share)) return (uint32_t)i;
    return 0;
}

static void wait_until(int64_t due) {
    for (int64_t now = now_ns(); now < due; now = now_ns()) {
        struct pollfd there[2] = {{.fd = sockets[0], .events = POLLIN}, {.fd = sockets[1], .events = POLLIN}};
        struct timespec rest = {0, (long)(due - now)};
        ppoll(there, 2, &rest, NULL);
        receive();
    }
    if (now_ns() - due > 5000000) late++;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    double warm = atof(argv[1]), measure = atof(argv[2]);
    printf("ports %d", open_socket(0));
    printf(" %d\n", open_socket(1));
    fflush(stdout);
    char line[64];
    while (fgets(line, sizeof line, stdin) && strcmp(line, "go\n"))
        if (leg_count < LEGS) legs[leg_count++] = (struct leg){.side = line[0] == 'B', .port = (uint16_t)atoi(line + 2)};
    prepare();
    int64_t start = now_ns();
    int ticks[3] = {(int)(warm * 1000), (int)(measure * 1000), 500};
    for (int tick = 0; tick < ticks[0] + ticks[1] + ticks[2]; tick++) {
        wait_until(start + tick * 1000000ll);
        if (tick == ticks[0]) phase = MEASURE, printf("measure\n"), fflush(stdout);
        if (tick == ticks[0] + ticks[1]) phase = DRAIN, printf("end\n"), fflush(stdout);
        if (phase != DRAIN) send_phase(tick % PHASES);
    }
    receive();
    printf("{\"sent\":%lu,\"got\":%lu,\"foreign\":%lu,\"late_ticks\":%lu,\"delay_us\":{\"p50\":%u,\"p99\":%u,\"p999\":%u},\"spacing_us\":{\"p1\":%u,\"p50\":%u,\"p99\":%u}}\n",
           sent, got, foreign, late, quantile(delays, DELAYS, .5), quantile(delays, DELAYS, .99), quantile(delays, DELAYS, .999),
           quantile(spacings, SPACINGS, .01), quantile(spacings, SPACINGS, .5), quantile(spacings, SPACINGS, .99));
    return 0;
}
