/* The floor: what relaying costs without any logic. Reads "A PORT" and "B PORT" lines with the load's two ports, then the number of calls;
 * prints a port for each leg and "ready"; every packet that comes to a leg goes out from the other leg of its call. With `plays` each leg
 * sends a packet every 20 ms instead, in 20 phases as prompts do, from sockets that are waited on and hear nothing.
 *
 * usage: floor [plays] [connected] */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { LEGS = 20000, BATCH = 64, PACKET = 172, PHASES = 20 };
static int fds[LEGS];

static void play(int legs, int connected, const struct sockaddr_in *far) {
    uint8_t packet[PACKET] = {0x80, 8};
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (int turn = 0;; turn = (turn + 1) % PHASES) {
        if ((due.tv_nsec += 1000000) >= 1000000000) due.tv_sec++, due.tv_nsec -= 1000000000;
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL)) {}
        for (int leg = turn; leg < legs; leg += PHASES) {
            if (connected) send(fds[leg], packet, PACKET, MSG_DONTWAIT);
            else sendto(fds[leg], packet, PACKET, MSG_DONTWAIT, (const struct sockaddr *)&far[leg % 2], sizeof far[0]);
        }
    }
}

int main(int argc, char **argv) {
    int connected = argc > 1 && !strcmp(argv[argc - 1], "connected"), plays = argc > 1 && !strcmp(argv[1], "plays");
    int calls = 0, ports[2] = {0, 0};
    if (scanf("A %d B %d %d", &ports[0], &ports[1], &calls) != 3 || calls * 2 > LEGS) return 2;
    int epoll = epoll_create1(0);
    struct sockaddr_in far[2];
    for (int i = 0; i < 2; i++)
        far[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)ports[i]), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < calls * 2; i++) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof own;
        fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (bind(fds[i], (struct sockaddr *)&own, sizeof own) || getsockname(fds[i], (struct sockaddr *)&own, &size)) return 1;
        if (connected && connect(fds[i], (struct sockaddr *)&far[i % 2], sizeof far[0])) return 1;
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
        printf("%d\n", ntohs(own.sin_port));
    }
    printf("ready\n");
    fflush(stdout);
    if (plays) play(calls * 2, connected, far);
    static uint8_t packet[2048];
    for (;;) {
        struct epoll_event events[BATCH];
        int count = epoll_wait(epoll, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            uint32_t leg = events[i].data.u32, other = leg ^ 1;
            struct sockaddr_in from;
            socklen_t size = sizeof from;
            ssize_t length = recvfrom(fds[leg], packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
            if (length < 0) continue;
            if (connected) send(fds[other], packet, (size_t)length, MSG_DONTWAIT);
            else sendto(fds[other], packet, (size_t)length, MSG_DONTWAIT, (struct sockaddr *)&far[other % 2], sizeof far[0]);
        }
    }
}
