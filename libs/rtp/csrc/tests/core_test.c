/* The core under a sanitizer: commands of every kind in random order while random and well-formed datagrams arrive.
 *
 * usage: core_test FOLDER [ROUNDS] [SEED]. Exit code 0: what always has to hold did, and no sanitizer spoke. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../core.h"

static const uint8_t LOOPBACK[16] = {[10] = 0xFF, [11] = 0xFF, [12] = 127, [15] = 1};
enum { SESSIONS = 24, LOW = 45000, HIGH = LOW + 2 * SESSIONS + 7 };

static uint64_t state;
static uint32_t chance(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

struct line { int64_t handle; uint16_t port; int fd; uint16_t local, sequence; uint32_t timestamp; };
static struct line lines[SESSIONS];
static int64_t rooms[3] = {NOBODY, NOBODY, NOBODY};
static uint64_t number, plays, recordings, plays_ended, recordings_ended;
static char prompt[512], folder[400];

static void write_prompt(void) {
    uint8_t wav[44 + 3200] = "RIFF\xa4\x0c\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\x80\x0c\0";
    for (size_t i = 44; i < sizeof wav; i++) wav[i] = (uint8_t)chance(256);
    snprintf(prompt, sizeof prompt, "%s/prompt.wav", folder);
    FILE *file = fopen(prompt, "wb");
    assert(file && fwrite(wav, sizeof wav, 1, file) == 1 && !fclose(file));
}

static void open_phone(struct line *line) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    line->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert(line->fd >= 0 && !bind(line->fd, (struct sockaddr *)&address, size));
    getsockname(line->fd, (struct sockaddr *)&address, &size);
    line->local = ntohs(address.sin_port);
}

/* As SRTP of some suite and one of two keys, so that now and then it is the right one. */
static uint32_t protected(uint8_t *data, uint32_t length) {
    uint8_t key[SRTP_KEY];
    memset(key, (int)chance(2), sizeof key);
    struct srtp *srtp = srtp_new(1 + (int)chance(PLANE_AEAD_AES_256_GCM), key);
    int result = chance(8) ? srtp_protect(srtp, data, length) : srtcp_protect(srtp, data, length);
    srtp_free(srtp);
    return result > 0 ? (uint32_t)result : length;
}

static void send_some(struct line *line) {
    uint8_t data[640];
    uint32_t length = chance(500);
    for (uint32_t i = 0; i < length; i++) data[i] = (uint8_t)chance(256);
    if (chance(4)) {
        static const uint8_t types[] = {0, 8, 101, 101 | 128, 13, 200, 97, 201};
        static const uint8_t heads[] = {0x80, 0x80, 0x80, 0x90, 0xA0, 0xB3};
        uint16_t sequence = htons(line->sequence += (uint16_t)chance(3));
        uint32_t stamp = htonl(line->timestamp += 160 * chance(3)), source = 7;
        if (length < 172) length = 12 + chance(161);
        data[0] = heads[chance(6)];
        data[1] = types[chance(8)];
        memcpy(data + 2, &sequence, 2);
        memcpy(data + 4, &stamp, 4);
        memcpy(data + 8, &source, 4);
        if (data[1] >= 200) {
            data[2] = 0;
            data[3] = (uint8_t)chance(30);
        }
    }
    if (!chance(3)) length = protected(data, length);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(line->port)};
    if (!chance(20)) to.sin_port = htons((uint16_t)(line->port + 1)); /* RTCP */
    if (sendto(line->fd, data, length, 0, (struct sockaddr *)&to, sizeof to) < 0) assert(errno == EAGAIN || errno == ECONNREFUSED);
    while (recv(line->fd, data, sizeof data, 0) > 0) assert(data[0] >> 6 == 2);
}

static plane_remote some_remote(const struct line *line) {
    static const plane_remote codecs[] = {
        {.codec = PLANE_PCMA, .payload_type = 8, .clock_rate = 8000, .event_rate = 8000},
        {.codec = PLANE_PCMU, .payload_type = 0, .clock_rate = 8000, .event_rate = 8000},
        {.codec = PLANE_PCMA, .payload_type = 97, .clock_rate = 8000, .event_rate = 8000},
        {.codec = PLANE_OTHER, .payload_type = 97, .clock_rate = 48000, .event_rate = 8000, .name = "ONE"},
        {.codec = PLANE_G722, .payload_type = 9, .clock_rate = 8000, .event_rate = 8000, .name = "G722"},
        {.codec = PLANE_G722, .payload_type = 97, .clock_rate = 8000, .event_rate = 8000, .name = "G722"},
        {.codec = PLANE_OPUS, .payload_type = 97, .clock_rate = 48000, .event_rate = 8000, .name = "OPUS"},
        {.codec = PLANE_OPUS, .payload_type = 97, .clock_rate = 48000, .event_rate = 48000, .name = "OPUS"},
        {.codec = PLANE_OTHER, .payload_type = 0, .clock_rate = 48000, .event_rate = 48000, .name = "ONE"},
    };
    plane_remote remote = codecs[chance(sizeof codecs / sizeof *codecs)];
    memcpy(remote.ip, LOOPBACK, sizeof remote.ip);
    remote.comfort_noise = chance(2) ? 13 : PLANE_NO_EVENT;
    remote.xr_summary = chance(2) != 0;
    remote.xr_voip = chance(2) != 0;
    remote.port = line->local;
    remote.telephone_event = chance(3) ? 101 : PLANE_NO_EVENT;
    remote.send = chance(5) != 0;
    remote.receive = chance(5) != 0;
    if (!chance(3)) remote.suite = (uint8_t)chance(PLANE_AEAD_AES_256_GCM + 1);
    if (!chance(3)) remote.rtcp_port = line->local;
    remote.agreed_ms = chance(2) ? 0 : 1;
    memset(remote.local_key, (int)chance(2), sizeof remote.local_key);
    memset(remote.remote_key, (int)chance(2), sizeof remote.remote_key);
    return remote;
}

static void room_command(plane *p, struct line *line) {
    const char *files[2] = {prompt, prompt};
    char why[256], path[512];
    int64_t *room = &rooms[chance(3)];
    plane_party party = {.says = chance(8), .hears = chance(8), .gain = (int32_t)chance(9000), .silent = (uint8_t)chance(2)};
    plane_room settings = {chance(2) ? prompt : NULL, chance(2) ? prompt : NULL, chance(2) ? prompt : NULL, (uint8_t)chance(2)};
    int result = 0;
    if (*room == NOBODY) *room = plane_open_room(p, &settings, why, sizeof why);
    assert(*room >= 0);
    switch (chance(9)) {
    case 0:
        assert(!plane_close_room(p, *room) && plane_close_room(p, *room) == -ENOENT);
        *room = NOBODY;
        break;
    case 1:
        assert(!plane_leave(p, line->handle, (int)chance(2)));
        break;
    case 2:
        assert(!plane_room_play(p, *room, ++number, files, 1 + (int)chance(2), (int)chance(2), why, sizeof why));
        plays++;
        break;
    case 3:
        assert(!plane_room_stop_play(p, *room));
        snprintf(path, sizeof path, "%s/room%u.wav", folder, (unsigned)(room - rooms));
        assert(!plane_room_record(p, *room, &(plane_recording){.number = ++number, .path = path, .max_ms = 1 + chance(3000)}));
        recordings++;
        assert(!plane_room_pause_record(p, *room, (int)chance(2)));
        if (chance(2)) assert(!plane_room_stop_record(p, *room));
        break;
    default:
        result = plane_join(p, line->handle, *room, &party);
        assert(!result || result == PLANE_NO_CODER || result == -EBUSY);
    }
}

static void command(plane *p, struct line *line) {
    struct line *other = &lines[chance(SESSIONS)];
    plane_remote remote = some_remote(line);
    int result;
    const char *files[3] = {prompt, prompt, prompt};
    char path[512], why[256];
    plane_counters counters;
    plane_totals totals;
    switch (chance(13)) {
    case 0:
        if (chance(4)) break;
        assert(!plane_close(p, line->handle, &counters));
        assert(plane_close(p, line->handle, &counters) == -ENOENT);
        line->handle = plane_open(p, state, 0, 0, &line->port);
        assert(line->handle >= 0);
        break;
    case 1: case 2:
        assert(!plane_set_remote(p, line->handle, &remote));
        break;
    case 3: case 4:
        result = plane_bridge(p, line->handle, other->handle);
        assert(line == other ? result == -EINVAL : !result || result == -EBUSY);
        break;
    case 5:
        assert(!plane_unbridge(p, line->handle));
        break;
    case 6:
        result = plane_play(p, line->handle, ++number, files, 1 + (int)chance(3), chance(2), chance(2), why, sizeof why);
        assert(!result || result == PLANE_NO_CODER);
        plays += !result;
        break;
    case 7:
        snprintf(path, sizeof path, "%s/%u.wav", folder, (unsigned)(line - lines));
        result = plane_record(p, line->handle, &(plane_recording){++number, path, 1 + chance(3000), chance(2) * chance(400), chance(2) * 50,
                                                                  (uint16_t)chance(65536), (uint8_t)chance(3)});
        assert(!result || result == PLANE_NO_CODER);
        recordings += !result;
        break;
    case 8:
        assert(!(chance(2) ? plane_stop_play(p, line->handle) : plane_stop_record(p, line->handle)));
        assert(!plane_pause_record(p, line->handle, (int)chance(2)));
        result = plane_detect(p, line->handle, chance(64));
        assert(!result || result == PLANE_NO_CODER);
        result = plane_send_digits(p, line->handle, ++number, "1,#", 40 + chance(100), 40, (int)chance(2), (int)chance(2));
        assert(!result || result == PLANE_NO_CODER);
        break;
    case 9: case 10: case 11:
        room_command(p, line);
        break;
    default:
        assert(!plane_counters_of(p, line->handle, &counters));
        plane_totals_of(p, &totals);
        assert(totals.sessions == SESSIONS);
    }
}

static void read_events(plane *p) {
    plane_event events[64];
    int count;
    do {
        count = plane_events(p, events, 64);
        for (int i = 0; i < count; i++) {
            plays_ended += events[i].kind == PLANE_PLAY_ENDED;
            recordings_ended += events[i].kind == PLANE_RECORDING_ENDED;
            assert(events[i].kind != PLANE_RECORDING_ENDED || !events[i].error);
        }
    } while (count == 64);
}

int main(int argc, char **argv) {
    assert(argc > 1);
    int rounds = argc > 2 ? atoi(argv[2]) : 20000;
    state = argc > 3 ? strtoull(argv[3], NULL, 10) : 88172645463325252ull;
    snprintf(folder, sizeof folder, "%s", argv[1]);
    write_prompt();
    plane_settings settings = {.port_low = LOW, .port_high = HIGH, .threads = 2, .learn_ms = 20, .report_ms = 40, .allow_loopback = 1};
    memcpy(settings.listen_ip, LOOPBACK, sizeof settings.listen_ip);
    int error;
    plane *p = plane_new(&settings, &error);
    if (!p) return fprintf(stderr, "plane_new: %s\n", strerror(-error)), 1;
    for (int i = 0; i < SESSIONS; i++) {
        open_phone(&lines[i]);
        lines[i].handle = plane_open(p, (uint64_t)i, 0, 0, &lines[i].port);
        assert(lines[i].handle >= 0);
    }
    for (int i = 0; i < rounds; i++) {
        for (int n = 0; n < 4; n++) send_some(&lines[chance(SESSIONS)]);
        command(p, &lines[chance(SESSIONS)]);
        if (i % 16 == 0) read_events(p);
    }
    for (int i = 0; i < 3; i++) assert(rooms[i] == NOBODY || !plane_close_room(p, rooms[i]));
    for (int i = 0; i < SESSIONS; i++) {
        assert(!plane_close(p, lines[i].handle, NULL));
        close(lines[i].fd);
    }
    for (int64_t until = clock_ns() + 60000000000ll; recordings_ended < recordings && clock_ns() < until;) {
        struct pollfd there = {.fd = plane_event_fd(p), .events = POLLIN};
        poll(&there, 1, 100);
        read_events(p);
    }
    read_events(p);
    printf("%d rounds, %llu plays, %llu recordings: each ended once\n", rounds, (unsigned long long)plays, (unsigned long long)recordings);
    assert(plays_ended == plays && recordings_ended == recordings);
    plane_free(p);
    return 0;
}
