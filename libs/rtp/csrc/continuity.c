/* Where every stream stands, in a file that outlives the process: a plane started anew goes on with the very next sequence number,
 * timestamp and SRTP index of a session of the same name, at whatever rate its packets went.
 *
 * A mapping that is shared with the kernel costs a few stores a packet and survives any death but that of the machine: the file's
 * header names the boot, and what another one wrote is not believed. No keys are in it, only fingerprints of them. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core.h"

struct head { char magic[8]; uint32_t size, count; char boot[40]; };
static const char MAGIC[8] = "CRLNRTP1";

static void this_boot(char boot[40]) {
    memset(boot, 0, 40);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (read(fd, boot, 36) != 36) memset(boot, 0, 40);
    close(fd);
}

/* What the process before left; nothing where the file is not ours, of another boot or cut short. */
static int read_former(plane *p, int fd) {
    struct head head;
    char boot[40];
    this_boot(boot);
    if (pread(fd, &head, sizeof head, 0) != sizeof head || memcmp(head.magic, MAGIC, sizeof MAGIC) || memcmp(head.boot, boot, sizeof boot) ||
        head.size != sizeof(struct saved) || head.count > 65536)
        return 0;
    p->former = calloc(head.count ? head.count : 1, sizeof *p->former);
    if (!p->former) return -ENOMEM;
    ssize_t got = pread(fd, p->former, head.count * sizeof *p->former, sizeof head);
    p->former_count = got > 0 ? (uint32_t)((size_t)got / sizeof *p->former) : 0;
    return 0;
}

static int map_file(plane *p, int fd) {
    struct head head = {.size = sizeof(struct saved), .count = p->room};
    memcpy(head.magic, MAGIC, sizeof MAGIC);
    this_boot(head.boot);
    p->state_size = sizeof head + p->room * sizeof(struct saved);
    if (ftruncate(fd, 0) < 0) return -errno;
    int error = posix_fallocate(fd, 0, (off_t)p->state_size); /* no store may find the disk full */
    if (error) return -error;
    p->state = mmap(NULL, p->state_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p->state == MAP_FAILED) return -errno;
    memcpy(p->state, &head, sizeof head);
    p->saved = (struct saved *)((uint8_t *)p->state + sizeof head);
    return 0;
}

/* -EADDRINUSE: another plane has the file. Without a path nothing outlives the process. */
int continuity_start(plane *p) {
    p->state = MAP_FAILED;
    p->state_fd = -1;
    if (!p->settings.state_path) {
        p->saved = calloc(p->room, sizeof *p->saved);
        return p->saved ? 0 : -ENOMEM;
    }
    p->state_fd = open(p->settings.state_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (p->state_fd < 0) return -errno;
    if (flock(p->state_fd, LOCK_EX | LOCK_NB) < 0) return errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
    int error = read_former(p, p->state_fd);
    return error ? error : map_file(p, p->state_fd);
}

void continuity_stop(plane *p) {
    if (p->state == MAP_FAILED) free(p->saved);
    else if (p->state) munmap(p->state, p->state_size);
    if (p->state_fd >= 0) close(p->state_fd);
    free(p->former);
}

/* The record of a session of this name in the process before, once. */
const struct saved *continuity_of(plane *p, uint64_t identity, int64_t now_ms) {
    for (uint32_t i = 0; i < p->former_count; i++) {
        struct saved *at = &p->former[i];
        if (!at->used || at->taken || at->identity != identity || at->last_ms > now_ms) continue;
        at->taken = true;
        return at;
    }
    return NULL;
}

/* Equal for equal keys; says nothing about them. 0: no key. */
uint64_t continuity_key(int suite, const uint8_t *master) {
    int length = srtp_key_length(suite);
    if (length <= 0) return 0;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    uint64_t fingerprint;
    SHA256(master, (size_t)length, digest);
    memcpy(&fingerprint, digest, sizeof fingerprint);
    return fingerprint | 1;
}
