/* SRTP: RFC 3711 (AES-CM, HMAC-SHA1), RFC 6188 (256 bits), RFC 7714 (AES-GCM). One object is one direction under one master key.
 *
 * The ciphers' contexts are made once and get a new IV a packet; HMAC starts from the two SHA-1 states that its key gives. A packet
 * index is used once: it is never encrypted twice and never taken twice. Nothing of a packet is believed before its tag is. */
#define OPENSSL_API_COMPAT 0x10100000L /* SHA-1 states that can be kept and copied, without an allocation a packet */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { RTP, RTCP, STREAMS = 8, WINDOW = 128, SHA1_BLOCK = 64, E_FLAG = 0x80 };
enum { LABEL_CIPHER, LABEL_TAG, LABEL_SALT, LABELS };  /* and three more of the same for SRTCP, RFC 3711 section 4.3.2 */

struct suite { uint8_t key, salt, tags[2]; bool gcm; };
static const struct suite suites[] = {
    [PLANE_AES_CM_128_HMAC_SHA1_80] = {16, 14, {10, 10}, false}, [PLANE_AES_CM_128_HMAC_SHA1_32] = {16, 14, {4, 10}, false},
    [PLANE_AES_256_CM_HMAC_SHA1_80] = {32, 14, {10, 10}, false}, [PLANE_AES_256_CM_HMAC_SHA1_32] = {32, 14, {4, 10}, false},
    [PLANE_AEAD_AES_128_GCM] = {16, 12, {16, 16}, true},         [PLANE_AEAD_AES_256_GCM] = {32, 12, {16, 16}, true},
};

/* What is known of one SSRC: its highest index, and which of the WINDOW indices up to it have been used. */
struct stream { bool used; uint32_t ssrc; uint64_t highest, touched; unsigned __int128 window; };

struct srtp {
    const struct suite *suite;
    uint8_t master[SRTP_KEY];
    EVP_CIPHER_CTX *ciphers[2];
    SHA_CTX inner[2], outer[2];
    uint8_t salts[2][14];
    uint32_t roc_hint, rtcp_index;
    uint64_t clock, newest;        /* `newest`: the highest RTP index of the stream used last */
    struct stream streams[2][STREAMS];
};

static const struct suite *suite_of(int number) {
    return number > 0 && number < (int)(sizeof suites / sizeof *suites) ? &suites[number] : NULL;
}

int srtp_key_length(int suite) { return suite_of(suite) ? suite_of(suite)->key + suite_of(suite)->salt : -EINVAL; }

/* Section 4.3.1 with a derivation rate of 0; a salt of 96 bits is followed by zeros (RFC 7714 section 11). */
int srtp_derive(int number, const uint8_t *master, int label, uint8_t *to, int length) {
    const struct suite *suite = suite_of(number);
    if (!suite || length < 0 || length > 256) return -EINVAL;
    uint8_t block[16] = {0}, zeros[256] = {0};
    memcpy(block, master + suite->key, suite->salt);
    block[7] ^= (uint8_t)label;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    int got = 0;
    bool done = cipher && EVP_EncryptInit_ex(cipher, suite->key == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr(), NULL, master, block) &&
                EVP_EncryptUpdate(cipher, to, &got, zeros, length);
    EVP_CIPHER_CTX_free(cipher);
    return done ? 0 : -ENOMEM;
}

static void hmac_key(struct srtp *s, int kind, const uint8_t key[20]) {
    uint8_t block[SHA1_BLOCK];
    for (int i = 0; i < SHA1_BLOCK; i++) block[i] = (uint8_t)((i < 20 ? key[i] : 0) ^ 0x36);
    SHA1_Init(&s->inner[kind]);
    SHA1_Update(&s->inner[kind], block, sizeof block);
    for (int i = 0; i < SHA1_BLOCK; i++) block[i] ^= 0x36 ^ 0x5C;
    SHA1_Init(&s->outer[kind]);
    SHA1_Update(&s->outer[kind], block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
}

static void hmac(const struct srtp *s, int kind, const uint8_t *data, uint32_t length, const uint8_t *roc, uint8_t tag[20]) {
    SHA_CTX state = s->inner[kind];
    SHA1_Update(&state, data, length);
    if (roc) SHA1_Update(&state, roc, 4);
    SHA1_Final(tag, &state);
    state = s->outer[kind];
    SHA1_Update(&state, tag, 20);
    SHA1_Final(tag, &state);
}

/* The keys of a session: `keys` holds the cipher's key, the tag's and the salt. */
static bool set_keys(struct srtp *s, int kind, const uint8_t *cipher, const uint8_t *tag, const uint8_t *salt) {
    static const EVP_CIPHER *(*const kinds[2][2])(void) = {{EVP_aes_128_ctr, EVP_aes_256_ctr}, {EVP_aes_128_gcm, EVP_aes_256_gcm}};
    memcpy(s->salts[kind], salt, s->suite->salt);
    hmac_key(s, kind, tag);
    s->ciphers[kind] = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *with = kinds[s->suite->gcm][s->suite->key == 32]();
    return s->ciphers[kind] && EVP_CipherInit_ex(s->ciphers[kind], with, NULL, cipher, NULL, 1);
}

static struct srtp *blank(int number) {
    if (!suite_of(number)) return NULL;
    struct srtp *s = calloc(1, sizeof *s);
    if (s) s->suite = suite_of(number);
    return s;
}

/* NULL: no such suite, or no memory. `master` is the key followed by its salt, as SDES carries them. */
struct srtp *srtp_new(int number, const uint8_t *master) {
    struct srtp *s = blank(number);
    if (!s) return NULL;
    memcpy(s->master, master, s->suite->key + s->suite->salt);
    bool done = true;
    for (int kind = RTP; kind <= RTCP; kind++) {
        uint8_t cipher[32], tag[20], salt[14];
        int label = kind * LABELS;
        done = done && !srtp_derive(number, master, label + LABEL_CIPHER, cipher, s->suite->key) &&
               !srtp_derive(number, master, label + LABEL_TAG, tag, sizeof tag) &&
               !srtp_derive(number, master, label + LABEL_SALT, salt, s->suite->salt) && set_keys(s, kind, cipher, tag, salt);
        OPENSSL_cleanse(cipher, sizeof cipher);
        OPENSSL_cleanse(tag, sizeof tag);
    }
    if (done) return s;
    srtp_free(s);
    return NULL;
}

/* With session keys as published test vectors give them, the same for SRTP and SRTCP. */
struct srtp *srtp_new_from_session_keys(int number, const uint8_t *cipher, const uint8_t *tag, const uint8_t *salt) {
    struct srtp *s = blank(number);
    if (!s || (set_keys(s, RTP, cipher, tag, salt) && set_keys(s, RTCP, cipher, tag, salt))) return s;
    srtp_free(s);
    return NULL;
}

void srtp_free(struct srtp *s) {
    if (!s) return;
    for (int kind = RTP; kind <= RTCP; kind++) EVP_CIPHER_CTX_free(s->ciphers[kind]);
    OPENSSL_cleanse(s, sizeof *s);
    free(s);
}

bool srtp_same(const struct srtp *s, int number, const uint8_t *master) {
    return s && s->suite == suite_of(number) && !CRYPTO_memcmp(s->master, master, s->suite->key + s->suite->salt);
}

static struct stream *find(struct srtp *s, int kind, uint32_t ssrc) {
    for (struct stream *at = s->streams[kind]; at < s->streams[kind] + STREAMS; at++)
        if (at->used && at->ssrc == ssrc) return at;
    return NULL;
}

/* A place for a new SSRC: a free one, or that of the one longest unheard. */
static struct stream *add(struct srtp *s, int kind, uint32_t ssrc, uint64_t index) {
    struct stream *place = s->streams[kind];
    for (struct stream *at = place; at < s->streams[kind] + STREAMS && place->used; at++)
        if (!at->used || at->touched < place->touched) place = at;
    *place = (struct stream){.used = true, .ssrc = ssrc, .highest = index, .touched = ++s->clock};
    return place;
}

static bool seen(const struct stream *at, uint64_t index) {
    if (index > at->highest) return false;
    return at->highest - index >= WINDOW || at->window >> (at->highest - index) & 1;
}

static void mark(struct srtp *s, struct stream *at, uint64_t index) {
    if (index > at->highest) {
        uint64_t step = index - at->highest;
        at->window = step >= WINDOW ? 0 : at->window << step;
        at->highest = index;
    }
    at->window |= (unsigned __int128)1 << (at->highest - index);
    at->touched = ++s->clock;
    s->newest = at->highest;
}

uint64_t srtp_newest(const struct srtp *s) { return s->newest; }
uint32_t srtp_next_rtcp(const struct srtp *s) { return s->rtcp_index; }

/* As a receiver: nothing up to `index` of this source is taken. */
void srtp_resume(struct srtp *s, uint32_t ssrc, uint64_t index) {
    struct stream *at = find(s, RTP, ssrc);
    if (!at) at = add(s, RTP, ssrc, index);
    at->highest = index;
    at->window = ~(unsigned __int128)0;
}

/* Where a sender stands: `index` was its last one, and nothing up to it will be used. `rtcp_index` is the next of SRTCP. */
void srtp_start(struct srtp *s, uint32_t ssrc, uint64_t index, uint32_t rtcp_index) {
    struct stream *at = find(s, RTP, ssrc);
    if (!at) at = add(s, RTP, ssrc, index);
    at->highest = index;
    at->window = ~(unsigned __int128)0;
    s->rtcp_index = rtcp_index & 0x7FFFFFFF;
}

/* How often a far end that we have not heard may have rolled over by now. */
void srtp_expect(struct srtp *s, uint32_t roll_overs) { s->roc_hint = roll_overs; }

/* Appendix A: the index nearest to the highest one. */
static uint64_t estimate(uint64_t highest, uint16_t sequence) {
    uint64_t roc = highest >> 16;
    uint32_t last = highest & 0xFFFF;
    if (last < 32768) roc -= sequence > last + 32768 && roc;
    else roc += last - 32768 > sequence;
    return roc << 16 | sequence;
}

/* Section 4.1.1 and RFC 7714 section 8.1: salt, SSRC, index; a counter of blocks follows where it is AES-CM. */
static void make_iv(const struct srtp *s, int kind, uint32_t ssrc, uint64_t index, uint8_t iv[16]) {
    uint32_t at = s->suite->gcm ? 2 : 4;
    memset(iv, 0, 16);
    put32(iv + at, ssrc);
    for (int i = 0; i < 6; i++) iv[at + 4 + i] = (uint8_t)(index >> (40 - 8 * i));
    for (int i = 0; i < s->suite->salt; i++) iv[i] ^= s->salts[kind][i];
}

struct parts { uint8_t *packet; uint32_t length, clear; const uint8_t *also; };  /* `clear`: bytes in front that are not encrypted */

static bool encrypt(EVP_CIPHER_CTX *cipher, const uint8_t *iv, const struct parts *parts, uint8_t *tag) {
    int got, length = (int)(parts->length - parts->clear);
    uint8_t *body = parts->packet + parts->clear;
    bool done = EVP_CipherInit_ex(cipher, NULL, NULL, NULL, iv, 1);
    if (tag) done = done && EVP_EncryptUpdate(cipher, NULL, &got, parts->packet, (int)parts->clear);
    if (tag && parts->also) done = done && EVP_EncryptUpdate(cipher, NULL, &got, parts->also, 4);
    done = done && EVP_EncryptUpdate(cipher, body, &got, body, length);
    if (tag) done = done && EVP_EncryptFinal_ex(cipher, tag, &got) && EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, tag);
    return done;
}

/* AES-GCM: false, and the packet as it was, when the tag is wrong. */
static bool open_gcm(EVP_CIPHER_CTX *cipher, const uint8_t *iv, const struct parts *parts, uint8_t *tag) {
    uint8_t plain[MAX_PACKET + 16];
    int got, length = (int)(parts->length - parts->clear);
    bool done = EVP_CipherInit_ex(cipher, NULL, NULL, NULL, iv, 0) && EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, 16, tag) &&
                EVP_DecryptUpdate(cipher, NULL, &got, parts->packet, (int)parts->clear) &&
                (!parts->also || EVP_DecryptUpdate(cipher, NULL, &got, parts->also, 4)) &&
                EVP_DecryptUpdate(cipher, plain, &got, parts->packet + parts->clear, length) &&
                EVP_DecryptFinal_ex(cipher, plain + got, &got) > 0;
    if (done) memcpy(parts->packet + parts->clear, plain, (size_t)length);
    return done;
}

/* The fixed header, the contributing sources and the extension stay readable. 0: not an RTP packet. */
static uint32_t rtp_header(const uint8_t *packet, uint32_t length) {
    if (length < 12 || packet[0] >> 6 != 2) return 0;
    uint32_t clear = 12u + 4u * (packet[0] & 15);
    if (packet[0] & 0x10) {
        if (clear + 4 > length) return 0;
        clear += 4u + 4u * get16(packet + clear + 2);
    }
    return clear <= length ? clear : 0;
}

/* Encrypts in place and appends the tag, up to SRTP_TAIL bytes. The new length; -EINVAL: not RTP; -EALREADY: its index was used. */
int srtp_protect(struct srtp *s, uint8_t *packet, uint32_t length) {
    struct parts parts = {packet, length, rtp_header(packet, length), NULL};
    if (!parts.clear || length > MAX_PACKET) return -EINVAL;
    uint32_t ssrc = get32(packet + 8);
    uint16_t sequence = get16(packet + 2);
    struct stream *at = find(s, RTP, ssrc);
    if (!at) at = add(s, RTP, ssrc, sequence);
    uint64_t index = estimate(at->highest, sequence);
    if (seen(at, index)) return -EALREADY;
    mark(s, at, index);
    uint8_t iv[16], tag[20], roc[4], width = s->suite->tags[RTP];
    make_iv(s, RTP, ssrc, index, iv);
    if (!encrypt(s->ciphers[RTP], iv, &parts, s->suite->gcm ? tag : NULL)) return -EIO;
    put32(roc, (uint32_t)(index >> 16));
    if (!s->suite->gcm) hmac(s, RTP, packet, length, roc, tag);
    memcpy(packet + length, tag, width);
    return (int)(length + width);
}

static bool open_rtp(struct srtp *s, const struct parts *parts, uint32_t ssrc, uint64_t index) {
    uint8_t iv[16], tag[20], roc[4], *theirs = parts->packet + parts->length;
    make_iv(s, RTP, ssrc, index, iv);
    if (s->suite->gcm) return open_gcm(s->ciphers[RTP], iv, parts, theirs);
    put32(roc, (uint32_t)(index >> 16));
    hmac(s, RTP, parts->packet, parts->length, roc, tag);
    return !CRYPTO_memcmp(tag, theirs, s->suite->tags[RTP]) && encrypt(s->ciphers[RTP], iv, parts, NULL);
}

/* An SSRC we have not heard starts at no roll-over, or where the age of the keys says (a call that another process had before). */
static struct stream *open_first(struct srtp *s, const struct parts *parts, uint32_t ssrc, uint16_t sequence) {
    uint32_t hint = s->roc_hint, tries[4] = {0, hint, hint + 1, hint ? hint - 1 : 0};
    for (int i = 0; i < (hint ? 4 : 1); i++) {
        uint64_t index = (uint64_t)tries[i] << 16 | sequence;
        if (open_rtp(s, parts, ssrc, index)) return add(s, RTP, ssrc, index);
    }
    return NULL;
}

/* Checks and decrypts in place. The length without the tag; -EINVAL: not SRTP; -EALREADY: a replay; -EACCES: the tag is wrong. */
int srtp_unprotect(struct srtp *s, uint8_t *packet, uint32_t length) {
    uint32_t width = s->suite->tags[RTP];
    struct parts parts = {packet, length - width, 0, NULL};
    if (length < 12 + width || length > MAX_PACKET || !(parts.clear = rtp_header(packet, parts.length))) return -EINVAL;
    uint32_t ssrc = get32(packet + 8);
    uint16_t sequence = get16(packet + 2);
    struct stream *at = find(s, RTP, ssrc);
    if (at) {
        uint64_t index = estimate(at->highest, sequence);
        if (seen(at, index)) return -EALREADY;
        if (!open_rtp(s, &parts, ssrc, index)) return -EACCES;
        mark(s, at, index);
    } else {
        at = open_first(s, &parts, ssrc, sequence);
        if (!at) return -EACCES;
        mark(s, at, at->highest);
    }
    return (int)parts.length;
}

/* Section 3.4: the first eight bytes stay readable; E flag and index follow (before the tag, or after it where it is AES-GCM). */
int srtcp_protect(struct srtp *s, uint8_t *packet, uint32_t length) {
    if (length < 8 || length > MAX_PACKET) return -EINVAL;
    uint8_t iv[16], tag[20], trailer[4], width = s->suite->tags[RTCP];
    uint32_t index = s->rtcp_index;
    struct parts parts = {packet, length, 8, trailer};
    s->rtcp_index = (index + 1) & 0x7FFFFFFF;
    put32(trailer, index | (uint32_t)E_FLAG << 24);
    make_iv(s, RTCP, get32(packet + 4), index, iv);
    if (!encrypt(s->ciphers[RTCP], iv, &parts, s->suite->gcm ? tag : NULL)) return -EIO;
    if (s->suite->gcm) {
        memcpy(packet + length, tag, width);
        memcpy(packet + length + width, trailer, 4);
    } else {
        memcpy(packet + length, trailer, 4);
        hmac(s, RTCP, packet, length + 4, NULL, tag);
        memcpy(packet + length + 4, tag, width);
    }
    return (int)(length + 4 + width);
}

int srtcp_unprotect(struct srtp *s, uint8_t *packet, uint32_t length) {
    uint32_t width = s->suite->tags[RTCP];
    if (length < 8 + 4 + width || length > MAX_PACKET) return -EINVAL;
    uint32_t plain = length - 4 - width, ssrc = get32(packet + 4);
    uint8_t *trailer = s->suite->gcm ? packet + length - 4 : packet + plain, *theirs = s->suite->gcm ? packet + plain : packet + plain + 4;
    uint32_t index = get32(trailer) & 0x7FFFFFFF;
    bool encrypted = trailer[0] & E_FLAG;
    struct stream *at = find(s, RTCP, ssrc);
    if (at && seen(at, index)) return -EALREADY;
    struct parts parts = {packet, plain, encrypted ? 8 : plain, trailer};
    uint8_t iv[16], tag[20];
    make_iv(s, RTCP, ssrc, index, iv);
    if (s->suite->gcm) {
        if (!open_gcm(s->ciphers[RTCP], iv, &parts, theirs)) return -EACCES;
    } else {
        hmac(s, RTCP, packet, plain + 4, NULL, tag);
        if (CRYPTO_memcmp(tag, theirs, width)) return -EACCES;
        if (encrypted && !encrypt(s->ciphers[RTCP], iv, &parts, NULL)) return -EIO;
    }
    if (!at) at = add(s, RTCP, ssrc, index);
    mark(s, at, index);
    return (int)plain;
}
