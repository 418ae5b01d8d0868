/* Between 8 and 16 kHz by a half-band filter of 31 taps (windowed sinc): flat to 3.3 kHz, 55 dB down from 5 kHz.
 *
 * Half of its taps are zero and the middle one is a half, so that eight multiplications make a sample. */
#include <string.h>

#include "core.h"

/* Taps at distances 1, 3, 5 ... 15 from the middle, times 2^15. */
static const int32_t taps[HALF_TAPS] = {10336, -3186, 1629, -906, 495, -250, 109, -35};

static int16_t clip(int32_t value) { return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value); }

/* `count` samples of 8 kHz to twice as many; `to` does not overlap. */
void halfband_up(struct halfband *h, const int16_t *from, uint32_t count, int16_t *to) {
    int16_t line[2 * HALF_TAPS - 1 + FRAME];
    for (uint32_t at = 0; at < count; at += FRAME) {
        uint32_t part = count - at < FRAME ? count - at : FRAME;
        memcpy(line, h->past, (2 * HALF_TAPS - 1) * sizeof *line);
        memcpy(line + 2 * HALF_TAPS - 1, from + at, part * sizeof *line);
        for (uint32_t i = 0; i < part; i++) {
            int32_t sum = 0;
            for (int tap = 0; tap < HALF_TAPS; tap++) sum += taps[tap] * (line[i + HALF_TAPS - 1 - (uint32_t)tap] + line[i + HALF_TAPS + (uint32_t)tap]);
            to[2 * (at + i)] = line[i + HALF_TAPS - 1];
            to[2 * (at + i) + 1] = clip((sum + 8192) >> 14);
        }
        memmove(h->past, line + part, (2 * HALF_TAPS - 1) * sizeof *line);
    }
}

/* `count` samples of 16 kHz, an even number, to half as many; `to` may be `from`. */
void halfband_down(struct halfband *h, const int16_t *from, uint32_t count, int16_t *to) {
    int16_t line[4 * HALF_TAPS - 2 + 2 * FRAME];
    for (uint32_t at = 0; at < count; at += 2 * FRAME) {
        uint32_t part = count - at < 2 * FRAME ? count - at : 2 * FRAME;
        memcpy(line, h->past, (4 * HALF_TAPS - 2) * sizeof *line);
        memcpy(line + 4 * HALF_TAPS - 2, from + at, part * sizeof *line);
        for (uint32_t i = 0; i < part; i += 2) {
            const int16_t *middle = line + i + 2 * HALF_TAPS - 1;
            int32_t sum = middle[0] * 16384;
            for (int tap = 0; tap < HALF_TAPS; tap++) sum += taps[tap] * (middle[2 * tap + 1] + middle[-2 * tap - 1]);
            to[(at + i) / 2] = clip((sum + 16384) >> 15);
        }
        memmove(h->past, line + part, (4 * HALF_TAPS - 2) * sizeof *line);
    }
}
