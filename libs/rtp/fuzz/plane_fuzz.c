/* What the network may do to the core: an input is a script of datagrams and of time passing, for three sessions bridged or in a room.
 *
 * The packet thread's own code runs here, on this thread, with a clock and sockets of the input's making (the linker's --wrap), so that
 * an input does the same each time. Bytes after a datagram are poisoned: reading past its end is found.
 * `LLVMFuzzerTestOneInput` is libFuzzer's; with STANDALONE defined: plane_fuzz ROUNDS SEED FILE..., which tries files and changes of them. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include "../csrc/worker.c"

enum { LINES = 3, MOST_DATAGRAM = MAX_PACKET + 64, MOST_STEPS = 400, START_S = 1000000 };
enum { RAW, RAW_RTCP, SHAPED, KEY, WAIT, REPORTS, JUMP, COMMAND, STEPS };

struct input { const uint8_t *at, *end; };
struct line { int64_t handle; uint16_t port, sequence; uint32_t timestamp, ssrc; plane_remote remote; srtp *sends; };

static plane *core;
static struct line lines[LINES];
static __thread bool virtual;      /* this thread lives in the input's time, the disk's does not */
static int64_t now_us;             /* since START_S */
static uint8_t datagram[MOST_DATAGRAM];
static size_t datagram_length;
static bool datagram_waits;
static address datagram_from;
static const uint8_t LISTEN[16] = {[10] = 0xFF, [11] = 0xFF, [12] = 127, [13] = 77, [15] = 1}, LISTEN6[16] = {[15] = 1};
static const uint8_t FAR[LINES][16] = { /* the last one over IPv6 */
    {[10] = 0xFF, [11] = 0xFF, [12] = 127, [13] = 77, [15] = 16}, {[10] = 0xFF, [11] = 0xFF, [12] = 127, [13] = 77, [15] = 32},
    {0x20, 0x01, 0x0D, 0xB8, [15] = 48}};
static char prompt[64];

int __real_clock_gettime(clockid_t clock, struct timespec *to);
int __wrap_clock_gettime(clockid_t clock, struct timespec *to) {
    if (!virtual) return __real_clock_gettime(clock, to);
    *to = (struct timespec){START_S + now_us / 1000000, now_us % 1000000 * 1000};
    return 0;
}

int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *to, struct itimerspec *old) {
    (void)fd, (void)flags, (void)to, (void)old;
    return 0;
}

ssize_t __real_read(int fd, void *to, size_t room);
ssize_t __wrap_read(int fd, void *to, size_t room) {
    if (!virtual || (fd != core->workers[0].timer && fd != core->workers[0].report_timer)) return __real_read(fd, to, room);
    memcpy(to, &(uint64_t){1}, sizeof(uint64_t));
    return sizeof(uint64_t);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size) {
    (void)fd, (void)address, (void)size;
    return 0;
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size) {
    (void)fd, (void)address, (void)size;
    return 0;
}

ssize_t __wrap_recvfrom(int fd, void *to, size_t room, int flags, struct sockaddr *from, socklen_t *size) {
    (void)fd, (void)flags;
    if (!datagram_waits) return errno = EAGAIN, -1;
    datagram_waits = false;
    size_t part = datagram_length < room ? datagram_length : room;
    memcpy(to, datagram, part);
    memcpy(from, &datagram_from, sizeof datagram_from);
    *size = address_size(&datagram_from);
    struct worker *w = &core->workers[0];
    uint8_t *rest = (uint8_t *)to + part;
    for (int i = 0; i < LINES; i++) rest = lines[i].remote.suite ? (uint8_t *)to + part + SRTP_TAIL : rest; /* protection appends */
    uint8_t *end = w->buffer + sizeof w->buffer;
    if (rest < end) __asan_poison_memory_region(rest, (size_t)(end - rest));
    return (ssize_t)datagram_length;
}

/* All that goes out is RTP or RTCP of version 2, of a size that was received or made. */
ssize_t __wrap_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
    (void)fd, (void)flags, (void)to, (void)size;
    const uint8_t *bytes = data;
    assert(length >= 8 && length <= MAX_PACKET + SRTP_TAIL && bytes[0] >> 6 == 2);
    uint8_t sum = 0;
    for (size_t i = 0; i < length; i++) sum ^= bytes[i]; /* each byte may be read */
    return sum == 0xA5 && length > 64 ? (errno = EAGAIN, -1) : (ssize_t)length;
}

static uint32_t byte(struct input *in) { return in->at < in->end ? *in->at++ : 0; }
static uint32_t word(struct input *in) {
    uint32_t high = byte(in);
    return high << 8 | byte(in);
}

static size_t take(struct input *in, uint8_t *to, size_t wanted) {
    size_t part = wanted < (size_t)(in->end - in->at) ? wanted : (size_t)(in->end - in->at);
    memcpy(to, in->at, part);
    in->at += part;
    return part;
}

static void put(uint8_t *to, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static void deliver(const struct line *line, size_t length, uint32_t stranger, bool rtcp) {
    struct worker *w = &core->workers[0];
    datagram_length = length;
    datagram_waits = true;
    uint8_t ip[16];
    memcpy(ip, line->remote.ip, sizeof ip);
    ip[15] = (uint8_t)(ip[15] + (stranger >> 2));
    address_make(&datagram_from, ip, (uint16_t)(line->remote.port + (stranger & 3)));
    w->now_ns = clock_ns();
    w->now_ms = w->now_ns / 1000000;
    handle(w, (uint64_t)line->handle | (rtcp ? RTCP : 0));
    __asan_unpoison_memory_region(w->buffer, sizeof w->buffer);
    datagram_waits = false;
}

/* A byte says where from (the line's far end or strangers near it) and whether it is protected under the line's key. */
static void send_to(struct line *line, size_t length, uint32_t how, bool rtcp) {
    if (line->sends && how & 0x80 && length <= MAX_PACKET) {
        int protected = rtcp ? srtcp_protect(line->sends, datagram, (uint32_t)length) : srtp_protect(line->sends, datagram, (uint32_t)length);
        if (protected > 0) length = (size_t)protected;
    }
    deliver(line, length, how & 0x40 ? how & 7 : 0, rtcp && !(how & 0x20));
}

static void shaped(struct input *in, struct line *line, bool key) {
    uint32_t how = byte(in), step = byte(in), type = byte(in);
    line->sequence = (uint16_t)(line->sequence + (step & 0x80 ? (step & 0x40 ? word(in) : (uint32_t)-(int32_t)(step & 15)) : step & 15));
    line->timestamp += key ? 0 : step & 0x10 ? word(in) << 8 : 160;
    if (step & 0x20) line->ssrc++;
    const uint8_t types[] = {line->remote.payload_type, line->remote.payload_type, 0, 8, 13, 96};
    datagram[0] = 0x80;
    datagram[1] = (uint8_t)((type & 0x80) | (key ? 101 : types[(type & 0x7F) % sizeof types]));
    put(datagram + 2, line->sequence, 2);
    put(datagram + 4, line->timestamp, 4);
    put(datagram + 8, line->ssrc, 4);
    size_t length = key ? 4 : byte(in);
    size_t got = take(in, datagram + 12, key ? 4 : length & 0x80 ? 8 : length);
    if (!key && length & 0x80) { /* a long one without its bytes in the input */
        memset(datagram + 12 + got, 0x55, length * 8 - got);
        got = length * 8;
    }
    send_to(line, 12 + got, how, false);
}

static void pass(uint32_t ms) {
    struct worker *w = &core->workers[0];
    while (ms--) {
        now_us += 1000;
        w->now_ns = clock_ns();
        w->now_ms = w->now_ns / 1000000;
        handle(w, TIMER);
    }
}

static plane_remote remote_of(struct input *in, int number) {
    static const struct { uint8_t codec, type; uint32_t rate; const char *name; } codecs[] = {
        {PLANE_PCMA, 8, 8000, "PCMA"}, {PLANE_PCMU, 0, 8000, "PCMU"}, {PLANE_G722, 9, 8000, "G722"}, {PLANE_OPUS, 97, 48000, "OPUS"},
        {PLANE_OTHER, 18, 8000, "G729"}, {PLANE_PCMA, 98, 8000, "PCMA"}};
    uint32_t codec = byte(in) % 6, flags = byte(in), suite = byte(in);
    plane_remote remote = {.port = (uint16_t)(30000 + 16 * number), .codec = codecs[codec].codec,
                           .payload_type = codecs[codec].type, .clock_rate = codecs[codec].rate,
                           .telephone_event = flags & 1 ? PLANE_NO_EVENT : 101, .event_rate = flags & 2 ? 48000 : 8000,
                           .send = !(flags & 4), .receive = !(flags & 8), .agreed_ms = flags & 0x20 ? 1 : 0,
                           .suite = (uint8_t)(suite < 16 ? suite % (PLANE_AEAD_AES_256_GCM + 1) : 0)};
    memcpy(remote.ip, FAR[number], sizeof remote.ip);
    remote.xr_summary = remote.xr_voip = suite >> 7;
    remote.comfort_noise = suite & 0x40 ? COMFORT_NOISE : PLANE_NO_EVENT;
    if (flags & 0x10) remote.rtcp_port = remote.port;
    remote.sources = !(flags & 0x40); /* of any address */
    strcpy(remote.name, codecs[codec].name);
    memset(remote.local_key, 1, sizeof remote.local_key);
    memset(remote.remote_key, 2, sizeof remote.remote_key);
    return remote;
}

static void set_remote(struct input *in, int number) {
    struct line *line = &lines[number];
    line->remote = remote_of(in, number);
    int result = plane_set_remote(core, line->handle, &line->remote);
    assert(!result || result == PLANE_NO_CODER);
    srtp_free(line->sends);
    line->sends = srtp_new(line->remote.suite, line->remote.remote_key);
}

static void command(struct input *in, int number) {
    struct line *line = &lines[number];
    const char *files[] = {prompt};
    char why[128];
    plane_counters counters;
    int how;
    switch (byte(in) % 7) {
    case 0: set_remote(in, number); break;
    case 1: plane_play(core, line->handle, 1, files, 1, (int)(byte(in) & 1), 1, why, sizeof why); break;
    case 2:
        how = byte(in);
        plane_send_digits(core, line->handle, 2, "1,#", 60, 40, how & 1, how >> 1 & 1);
        break;
    case 3: plane_detect(core, line->handle, byte(in)); break;
    case 4:
        plane_record(core, line->handle, &(plane_recording){.number = 3, .path = "/dev/null", .max_ms = 60000, .silence_ms = word(in),
                                                            .finish_events = 0x800, .layout = (uint8_t)(byte(in) % 3)});
        break;
    case 5: plane_counters_of(core, line->handle, &counters); break;
    default: plane_bridge(core, line->handle, lines[(number + 1) % LINES].handle);
    }
}

static void step(struct input *in) {
    uint32_t what = byte(in);
    struct line *line = &lines[what >> 4 & 3 ? (what >> 4 & 3) - 1 : 0];
    uint32_t how, length;
    switch (what % STEPS) {
    case RAW: case RAW_RTCP:
        how = byte(in);
        length = word(in) % (MOST_DATAGRAM - SRTP_TAIL);
        send_to(line, take(in, datagram, length), how, what % STEPS == RAW_RTCP);
        break;
    case SHAPED: shaped(in, line, false); break;
    case KEY: shaped(in, line, true); break;
    case WAIT: pass(1 + byte(in) % 64); break;
    case REPORTS:
        for (uint32_t i = byte(in); i--;) handle(&core->workers[0], REPORT);
        break;
    case JUMP: now_us += 1000ll << byte(in) % 32; break; /* up to 25 days */
    default: command(in, (int)(line - lines));
    }
}

static int64_t arrange(uint32_t how) {
    int64_t room = NOBODY;
    char why[128];
    plane_party party = {.says = 1, .hears = 1, .gain = 4096, .silent = 1};
    if (how & 1) assert(!plane_bridge(core, lines[0].handle, lines[1].handle));
    if (!(how & 6)) return room;
    room = plane_open_room(core, &(plane_room){.tell_talkers = 1}, why, sizeof why);
    assert(room >= 0);
    for (int i = how & 4 ? 0 : 2; i < LINES; i++) plane_join(core, lines[i].handle, room, &party);
    if (how & 8) plane_room_record(core, room, &(plane_recording){.number = 4, .path = "/dev/null", .max_ms = 60000});
    return room;
}

static void start(void) {
    static const uint8_t head[44] = "RIFF\xa4\x0c\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\x80\x0c\0";
    uint8_t wav[44 + 3200] = {0};
    memcpy(wav, head, sizeof head);
    int fd = memfd_create("prompt", 0), error;
    assert(fd >= 0 && write(fd, wav, sizeof wav) == (ssize_t)sizeof wav);
    snprintf(prompt, sizeof prompt, "/proc/self/fd/%d", fd);
    plane_settings settings = {.six = 1, .port_low = 20000, .port_high = 20000 + 4 * LINES, .threads = 1, .learn_ms = 20, .report_ms = 400, .allow_loopback = 1};
    memcpy(settings.listen_ip, LISTEN, sizeof LISTEN);
    memcpy(settings.listen_ip6, LISTEN6, sizeof LISTEN6);
    core = plane_new(&settings, &error);
    assert(core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!core) start();
    struct worker *w = &core->workers[0];
    struct input in = {data, data + size};
    plane_event events[64];
    virtual = true;
    now_us = w->tick_ms = 0;
    w->random = w->report_slot = 0;
    core->opened = 0;
    uint32_t how = byte(&in);
    for (int i = 0; i < LINES; i++) {
        lines[i] = (struct line){.ssrc = (uint32_t)i + 1, .sequence = 65530};
        lines[i].handle = plane_open(core, (uint64_t)i, 0, !ip_is_v4(FAR[i]), &lines[i].port);
        assert(lines[i].handle >= 0);
        set_remote(&in, i);
    }
    int64_t room = arrange(how);
    for (int steps = 0; steps < MOST_STEPS && in.at < in.end; steps++) step(&in);
    if (room != NOBODY) assert(!plane_close_room(core, room));
    for (int i = 0; i < LINES; i++) {
        assert(!plane_close(core, lines[i].handle, &(plane_counters){0}));
        srtp_free(lines[i].sends);
    }
    for (uint32_t i = 0; i < core->port_room; i++) core->ports[i].free_at = INT64_MIN; /* the next input's clock starts anew */
    while (plane_events(core, events, 64) == 64) continue;
    virtual = false;
    return 0;
}

#ifdef STANDALONE
static uint64_t state;
static uint32_t chance(uint32_t below) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 33) % below;
}

int main(int argc, char **argv) {
    assert(argc > 3);
    int rounds = atoi(argv[1]);
    state = strtoull(argv[2], NULL, 10);
    for (int i = 0; i < argc - 3 + rounds; i++) {
        uint8_t data[8192];
        FILE *file = fopen(argv[3 + (i < argc - 3 ? i : (int)chance((uint32_t)argc - 3))], "rb");
        assert(file);
        size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        for (uint32_t changes = i < argc - 3 ? 0 : 1 + chance(8); changes-- && size;) data[chance((uint32_t)size)] = (uint8_t)chance(256);
        LLVMFuzzerTestOneInput(data, size);
    }
    plane_free(core);
    printf("%d files, %d changes of them\n", argc - 3, rounds);
    return 0;
}
#endif
