/* ITU-T G.711: companding, and the direct conversion of one law into the other by tables 3 and 4 of the recommendation.
 *
 * Samples are 16 bits, the recommendation's 13 (A) or 14 bits (mu) in the upper ones; negative values are mirrored by one's
 * complement, as the ITU's own tool (G.191) does, so that every decision value falls on the same side for both signs. */
#include <string.h>

#include "core.h"

/* Table 3: the A-law value for each mu-law one, smallest amplitude first. A-law values count from 1, mu-law ones from 0. */
static const uint8_t table3[128] = {
    1,   1,   2,   2,   3,   3,   4,   4,   5,   5,   6,   6,   7,   7,   8,   8,   9,   10,  11,  12,  13,  14,
    15,  16,  17,  18,  19,  20,  21,  22,  23,  24,  25,  27,  29,  31,  33,  34,  35,  36,  37,  38,  39,  40,
    41,  42,  43,  44,  46,  48,  49,  50,  51,  52,  53,  54,  55,  56,  57,  58,  59,  60,  61,  62,  64,  65,
    66,  67,  68,  69,  70,  71,  72,  73,  74,  75,  76,  77,  78,  79,  80,  82,  83,  84,  85,  86,  87,  88,
    89,  90,  91,  92,  93,  94,  95,  96,  97,  98,  99,  100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110,
    111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128,
};

/* Table 4: the other way. */
static const uint8_t table4[128] = {
    1,   3,   5,   7,   9,   11,  13,  15,  16,  17,  18,  19,  20,  21,  22,  23,  24,  25,  26,  27,  28,  29,
    30,  31,  32,  32,  33,  33,  34,  34,  35,  35,  36,  37,  38,  39,  40,  41,  42,  43,  44,  45,  46,  47,
    48,  48,  49,  49,  50,  51,  52,  53,  54,  55,  56,  57,  58,  59,  60,  61,  62,  63,  64,  64,  65,  66,
    67,  68,  69,  70,  71,  72,  73,  74,  75,  76,  77,  78,  79,  80,  80,  81,  82,  83,  84,  85,  86,  87,
    88,  89,  90,  91,  92,  93,  94,  95,  96,  97,  98,  99,  100, 101, 102, 103, 104, 105, 106, 107, 108, 109,
    110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127,
};

uint8_t g711_ulaw_alaw[256], g711_alaw_ulaw[256];
static int16_t alaw_linear[256], ulaw_linear[256];
static uint8_t linear_alaw[4096], linear_ulaw[16384];

static uint8_t alaw_of(int16_t sample) {
    int magnitude = (sample < 0 ? ~sample : sample) >> 4;
    int code = magnitude;
    if (magnitude > 15) {
        int segment = 1;
        while (magnitude > 31) { magnitude >>= 1; segment++; }
        code = segment << 4 | (magnitude - 16);
    }
    return (uint8_t)((sample < 0 ? code : code | 0x80) ^ 0x55);
}

static uint8_t ulaw_of(int16_t sample) {
    int magnitude = ((sample < 0 ? ~sample : sample) >> 2) + 33;
    if (magnitude > 0x1FFF) magnitude = 0x1FFF;
    int segment = 0;
    while (magnitude >> (segment + 6)) segment++;
    int code = segment << 4 | (magnitude >> (segment + 1) & 15);
    return (uint8_t)((sample < 0 ? code : code | 0x80) ^ 0x7F);
}

static int16_t linear_of_alaw(uint8_t code) {
    int bits = code ^ 0x55, segment = bits >> 4 & 7, step = bits & 15;
    int magnitude = segment ? ((step + 16) << 4 | 8) << (segment - 1) : step << 4 | 8;
    return (int16_t)(bits & 0x80 ? magnitude : -magnitude);
}

static int16_t linear_of_ulaw(uint8_t code) {
    int bits = (uint8_t)~code, segment = bits >> 4 & 7, step = bits & 15;
    int magnitude = (((step << 1 | 33) << segment) - 33) * 4;
    return (int16_t)(bits & 0x80 ? -magnitude : magnitude);
}

/* Filled once, before main: read only ever after. */
__attribute__((constructor)) void g711_init(void) {
    for (int i = 0; i < 4096; i++) linear_alaw[i] = alaw_of((int16_t)(uint16_t)(i << 4));
    for (int i = 0; i < 16384; i++) linear_ulaw[i] = ulaw_of((int16_t)(uint16_t)(i << 2));
    for (int i = 0; i < 256; i++) {
        alaw_linear[i] = linear_of_alaw((uint8_t)i);
        ulaw_linear[i] = linear_of_ulaw((uint8_t)i);
    }
    for (int i = 0; i < 128; i++) {
        uint8_t alaw = (uint8_t)((table3[i] - 1) ^ 0x55), ulaw = table4[i] ^ 0x7F;
        g711_ulaw_alaw[i ^ 0x7F] = alaw;
        g711_ulaw_alaw[i ^ 0xFF] = alaw ^ 0x80;
        g711_alaw_ulaw[i ^ 0x55] = ulaw;
        g711_alaw_ulaw[i ^ 0xD5] = ulaw ^ 0x80;
    }
}

/* Both laws look at the sample's upper bits only: 12 for A (16-bit values >> 4), 14 for mu (>> 2). */
uint8_t g711_alaw_encode(int16_t sample) { return linear_alaw[(uint16_t)sample >> 4]; }
uint8_t g711_ulaw_encode(int16_t sample) { return linear_ulaw[(uint16_t)sample >> 2]; }
int16_t g711_alaw_decode(uint8_t code) { return alaw_linear[code]; }
int16_t g711_ulaw_decode(uint8_t code) { return ulaw_linear[code]; }
uint8_t g711_alaw_to_ulaw(uint8_t code) { return g711_alaw_ulaw[code]; }
uint8_t g711_ulaw_to_alaw(uint8_t code) { return g711_ulaw_alaw[code]; }

uint8_t g711_silence(uint8_t codec) { return codec == PLANE_PCMA ? 0xD5 : 0xFF; }
int16_t g711_linear(uint8_t code, uint8_t codec) { return codec == PLANE_PCMA ? alaw_linear[code] : ulaw_linear[code]; }

void g711_decode(int16_t *to, const uint8_t *from, uint32_t count, uint8_t codec) {
    const int16_t *table = codec == PLANE_PCMA ? alaw_linear : ulaw_linear;
    for (uint32_t i = 0; i < count; i++) to[i] = table[from[i]];
}

void g711_encode(uint8_t *to, const int16_t *from, uint32_t count, uint8_t codec) {
    if (codec == PLANE_PCMA)
        for (uint32_t i = 0; i < count; i++) to[i] = linear_alaw[(uint16_t)from[i] >> 4];
    else
        for (uint32_t i = 0; i < count; i++) to[i] = linear_ulaw[(uint16_t)from[i] >> 2];
}

/* `to` and `from` are the same place, or do not overlap. */
void g711_convert(uint8_t *to, const uint8_t *from, uint32_t length, uint8_t from_codec, uint8_t to_codec) {
    if (from_codec == to_codec) {
        if (to != from) memcpy(to, from, length);
        return;
    }
    const uint8_t *table = from_codec == PLANE_PCMA ? g711_alaw_ulaw : g711_ulaw_alaw;
    for (uint32_t i = 0; i < length; i++) to[i] = table[from[i]];
}
