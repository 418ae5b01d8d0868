/* Paced RTP load for the relay, and a listener for prompts; exact loss, added delay and spacing.
 *
 * usage: load WARM_SECONDS MEASURE_SECONDS < FILE, where FILE has a line "A PORT" or "B PORT" for each leg of the plane.
 * Two sockets stand for all phones: the one of side A and of side B. Their ports are printed first ("ports A B"); the legs are
 * told to the plane meanwhile, then "go" is read. Each leg gets one packet of 20 ms; its payload carries when it was sent, in samples that
 * the other law has too. When a packet came is the kernel's word: nobody waits on the sockets, so that who sends to them wakes nobody up,
 * as on a network. */
#include <arpa/inet.h>
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
static union { struct cmsghdr header; uint8_t room[CMSG_SPACE(sizeof(struct timespec))]; } in_times[AT_ONCE];

/* Half a byte of a stamp is a sign and a segment of A-law, which is told by the sample in either law (ITU-T G.711, 16-bit scale). */
static uint8_t half_of[2][256]; /* by payload type: mu-law 0, A-law 8 */

static int a_law(uint8_t code) {
    int segment = code >> 4 & 7, low = (code & 15) << 4, value = segment ? (low + 0x108) << (segment - 1) : low + 8;
    return code & 0x80 ? value : -value;
}

static int mu_law(uint8_t code) {
    int value = ((((code & 15) << 3) + 0x84) << (code >> 4 & 7)) - 0x84;
    return code & 0x80 ? -value : value; /* inverted, as it is here */
}

static uint8_t code_of(int half) { return (uint8_t)((half << 4 | 8) ^ 0x55); }

static void prepare_halves(void) {
    for (int code = 0; code < 256; code++)
        for (int law = 0; law < 2; law++) {
            int value = law ? a_law((uint8_t)(code ^ 0x55)) : mu_law((uint8_t)~code), best = 0;
            for (int half = 1; half < 16; half++)
                if (abs(value - a_law((uint8_t)(half << 4 | 8))) < abs(value - a_law((uint8_t)(best << 4 | 8)))) best = half;
            half_of[law][code] = (uint8_t)best;
        }
}

/* Each stamp has its own, so that a mix of several is none. */
static uint32_t magic_of(const struct stamp *stamp) {
    return MAGIC ^ stamp->leg * 2654435761u ^ stamp->number * 40503u ^ (uint32_t)stamp->sent_ns;
}

static void write_stamp(uint8_t *to, const struct stamp *stamp) {
    const uint8_t *bytes = (const uint8_t *)stamp;
    for (size_t i = 0; i < sizeof *stamp; i++) {
        to[2 * i] = code_of(bytes[i] >> 4);
        to[2 * i + 1] = code_of(bytes[i] & 15);
    }
}

static struct stamp read_stamp(const uint8_t *packet) {
    struct stamp stamp;
    const uint8_t *half = half_of[(packet[1] & 0x7F) == 8];
    for (size_t i = 0; i < sizeof stamp; i++) ((uint8_t *)&stamp)[i] = (uint8_t)(half[packet[12 + 2 * i]] << 4 | half[packet[13 + 2 * i]]);
    return stamp;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now); /* the clock of SO_TIMESTAMPNS */
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static uint16_t open_socket(int side) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int room = 64 << 20, on = 1;
    sockets[side] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (setsockopt(sockets[side], SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room)) setsockopt(sockets[side], SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (setsockopt(sockets[side], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on)) exit(1);
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
    struct stamp stamp = read_stamp(packet);
    if (stamp.magic == magic_of(&stamp) && stamp.sent_ns <= now && now - stamp.sent_ns < 10000000000) { /* not what a codec made of it */
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

/* When the kernel had it. */
static int64_t came_ns(int i) {
    struct timespec at;
    memcpy(&at, CMSG_DATA(&in_times[i].header), sizeof at);
    return at.tv_sec * 1000000000ll + at.tv_nsec;
}

static void receive(void) {
    for (int side = 0; side < 2; side++)
        for (int count = AT_ONCE; count == AT_ONCE;) {
            for (int i = 0; i < AT_ONCE; i++) {
                in_messages[i].msg_hdr.msg_control = &in_times[i];
                in_messages[i].msg_hdr.msg_controllen = sizeof in_times[i];
            }
            count = recvmmsg(sockets[side], in_messages, AT_ONCE, MSG_DONTWAIT, NULL);
            for (int i = 0; i < count; i++)
                if (in_messages[i].msg_len == PACKET) heard(in[i], &in_from[i], came_ns(i));
        }
}

static void send_phase(int turn) {
    for (int side = 0; side < 2; side++) {
        int count = 0;
        for (int i = turn; i <= leg_count + PHASES; i += PHASES) {
            if (i < leg_count && legs[i].side == side) {
                struct leg *leg = &legs[i];
                struct stamp stamp = {0, (uint32_t)i, leg->number, phase == MEASURE, now_ns()};
                stamp.magic = magic_of(&stamp);
                uint16_t sequence = htons(++leg->sequence);
                uint32_t timestamp = htonl(leg->number++ * 160), ssrc = htonl((uint32_t)i + 1);
                out[count][0] = 0x80;
                out[count][1] = 8;
                memcpy(out[count] + 2, &sequence, 2);
                memcpy(out[count] + 4, &timestamp, 4);
                memcpy(out[count] + 8, &ssrc, 4);
                write_stamp(out[count] + 12, &stamp);
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
    struct timespec then = {due / 1000000000, due % 1000000000};
    receive();
    while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &then, NULL)) {}
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
    prepare_halves();
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
