/* Prompts in memory: a file is read once for a codec, converted, and shared by all who play it.
 *
 * It is read and not mapped: a mapped file that somebody shortens ends the process with SIGBUS. A changed file (size, time, inode)
 * is another one. What nobody plays is dropped, oldest first, once all together exceed CACHE bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core.h"

enum { FILE_MOST = 64 << 20, CACHE = 128 << 20 };
enum { TAG_PCM = 1, TAG_ALAW = 6, TAG_ULAW = 7, TAG_EXTENSIBLE = 0xFFFE };

static uint32_t le32(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24; }
static uint32_t le16(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8; }

struct format { uint32_t tag, channels, rate, bits; const uint8_t *data; uint32_t size; };

__attribute__((format(printf, 3, 4))) static int bad(char *why, int room, const char *text, ...) {
    va_list arguments;
    va_start(arguments, text);
    vsnprintf(why, (size_t)room, text, arguments);
    va_end(arguments);
    return PLANE_NO_FILE;
}

/* Walks the RIFF chunks. A data chunk of size 0, or longer than the file, reaches to the file's end: a recording cut by a crash. */
static bool wav_format(const uint8_t *file, uint32_t length, struct format *format) {
    if (length < 12 || memcmp(file, "RIFF", 4) || memcmp(file + 8, "WAVE", 4)) return false;
    for (uint32_t at = 12; at + 8 <= length;) {
        uint32_t size = le32(file + at + 4), rest = length - at - 8;
        const uint8_t *body = file + at + 8;
        if (!memcmp(file + at, "data", 4)) {
            format->data = body;
            format->size = !size || size > rest ? rest : size;
            return format->tag != 0;
        }
        if (size > rest) return false;
        if (!memcmp(file + at, "fmt ", 4)) {
            if (size < 16) return false;
            format->tag = le16(body);
            format->channels = le16(body + 2);
            format->rate = le32(body + 4);
            format->bits = le16(body + 14);
            if (format->tag == TAG_EXTENSIBLE && size >= 40) format->tag = le16(body + 24);
        }
        at += 8 + size + (size & 1);
        if (size + 9 < size) return false;
    }
    return false;
}

static size_t audio_size(const struct audio *audio) { return (size_t)audio->length * sample_size(audio->codec); }
static bool is_linear(uint8_t codec) { return codec == LINEAR || codec == WIDE; }

/* 16-bit samples at the file's rate. NULL: no memory. */
static int16_t *linear_of(const struct format *format, bool pcm, uint32_t count) {
    uint8_t law = format->tag == TAG_ALAW ? PLANE_PCMA : PLANE_PCMU;
    int16_t *to = malloc(((size_t)count + 1) * sizeof *to);
    if (!to) return NULL;
    for (uint32_t i = 0; i < count; i++) to[i] = pcm ? (int16_t)le16(format->data + 2 * (size_t)i) : g711_linear(format->data[i], law);
    return to;
}

/* From 8 to 16 kHz or back where the codec is of the other rate; the new count, 0: no memory. */
static uint32_t at_rate_of(uint8_t codec, int16_t **samples, uint32_t count, bool wide) {
    struct halfband past = {0};
    if (wide == (codec == WIDE)) return count;
    if (wide) {
        halfband_down(&past, *samples, count & ~1u, *samples);
        return count / 2;
    }
    int16_t *twice = malloc(((size_t)count * 2 + 2) * sizeof *twice);
    if (!twice) return 0;
    halfband_up(&past, *samples, count, twice);
    free(*samples);
    *samples = twice;
    return count * 2;
}

static int decode(struct audio *audio, const uint8_t *file, uint32_t length, char *why, int room) {
    struct format format = {0};
    if (!wav_format(file, length, &format)) return bad(why, room, "%s is not a WAV file", audio->path);
    bool pcm = format.tag == TAG_PCM && format.bits == 16, law = (format.tag == TAG_ALAW || format.tag == TAG_ULAW) && format.bits == 8;
    bool wide = format.rate == 16000 && pcm;
    if (format.channels != 1 || (format.rate != 8000 && !wide) || !(pcm || law))
        return bad(why, room, "%s: %u Hz, %u channels, %u bits, format %u; needed: mono, 8000 Hz of A-law, mu-law or 16 bits, or 16000 Hz of 16 bits",
                   audio->path, format.rate, format.channels, format.bits, format.tag);
    uint32_t count = pcm ? format.size / 2 : format.size;
    if (law && !is_linear(audio->codec)) {
        audio->samples = malloc((size_t)count + 1);
        if (!audio->samples) return -ENOMEM;
        g711_convert(audio->samples, format.data, count, format.tag == TAG_ALAW ? PLANE_PCMA : PLANE_PCMU, audio->codec);
        audio->length = count;
        return 0;
    }
    int16_t *linear = linear_of(&format, pcm, count);
    if (!linear) return -ENOMEM;
    uint32_t samples = count ? at_rate_of(audio->codec, &linear, count, wide) : 0;
    audio->length = audio->codec == WIDE ? samples / 2 : samples;
    audio->samples = (uint8_t *)linear;
    if (count > 1 && !samples) return -ENOMEM;
    for (uint32_t i = 0; i < samples && !is_linear(audio->codec); i++) /* in place: each byte is written behind what is read */
        audio->samples[i] = audio->codec == PLANE_PCMA ? g711_alaw_encode(linear[i]) : g711_ulaw_encode(linear[i]);
    uint8_t *fitting = realloc(audio->samples, audio_size(audio) + 1); /* what the cache counts, and no more */
    if (fitting) audio->samples = fitting;
    return 0;
}

static int read_whole(int fd, const char *path, uint32_t length, uint8_t **file, char *why, int room) {
    *file = malloc(length ? length : 1);
    if (!*file) return -ENOMEM;
    for (uint32_t got = 0; got < length;) {
        ssize_t part = pread(fd, *file + got, length - got, got);
        if (part < 0 && errno == EINTR) continue;
        if (part <= 0) return bad(why, room, "%s: %s", path, part < 0 ? strerror(errno) : "shortened while it was read");
        got += (uint32_t)part;
    }
    return 0;
}

static void drop_audio(plane *p, struct audio **link) {
    struct audio *audio = *link;
    *link = audio->next;
    p->audio_bytes -= audio_size(audio);
    free(audio->samples);
    free(audio->path);
    free(audio);
}

static void make_room(plane *p) {
    while (p->audio_bytes > CACHE) {
        struct audio **oldest = NULL;
        for (struct audio **at = &p->audio; *at; at = &(*at)->next)
            if (!atomic_load(&(*at)->users) && (!oldest || (*at)->used < (*oldest)->used)) oldest = at;
        if (!oldest) return;
        drop_audio(p, oldest);
    }
}

static int64_t modified_ns(const struct stat *state) { return state->st_mtim.tv_sec * 1000000000ll + state->st_mtim.tv_nsec; }

static struct audio *cached(plane *p, const char *path, uint8_t codec, const struct stat *state) {
    for (struct audio *at = p->audio; at; at = at->next)
        if (at->codec == codec && at->inode == state->st_ino && at->device == state->st_dev && at->size == (uint64_t)state->st_size &&
            at->modified_ns == modified_ns(state) && !strcmp(at->path, path))
            return at;
    return NULL;
}

static int load_new(plane *p, int fd, const char *path, uint8_t codec, const struct stat *state, struct audio **found, char *why, int room) {
    if (!S_ISREG(state->st_mode)) return bad(why, room, "%s is not a file", path);
    if (state->st_size > FILE_MOST) return bad(why, room, "%s: larger than %d bytes", path, FILE_MOST);
    struct audio *audio = calloc(1, sizeof *audio);
    if (!audio) return -ENOMEM;
    *audio = (struct audio){.path = strdup(path), .device = state->st_dev, .inode = state->st_ino, .size = (uint64_t)state->st_size,
                            .modified_ns = modified_ns(state), .codec = codec};
    uint8_t *file = NULL;
    int error = audio->path ? read_whole(fd, path, (uint32_t)state->st_size, &file, why, room) : -ENOMEM;
    if (!error) error = decode(audio, file, (uint32_t)state->st_size, why, room);
    free(file);
    if (error) {
        free(audio->samples);
        free(audio->path);
        free(audio);
        return error;
    }
    audio->next = p->audio;
    p->audio = audio;
    p->audio_bytes += audio_size(audio);
    *found = audio;
    return 0;
}

/* The file's audio in the codec, with one more user. Control thread only. */
int audio_load(plane *p, const char *path, uint8_t codec, struct audio **found, char *why, int why_room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return bad(why, why_room, "%s: %s", path, strerror(errno));
    struct stat state;
    int error = fstat(fd, &state) < 0 ? bad(why, why_room, "%s: %s", path, strerror(errno)) : 0;
    *found = error ? NULL : cached(p, path, codec, &state);
    if (!error && !*found) error = load_new(p, fd, path, codec, &state, found, why, why_room);
    close(fd);
    if (error) return error;
    (*found)->used = ++p->audio_loads;
    atomic_fetch_add(&(*found)->users, 1);
    make_room(p);
    return 0;
}

static int16_t narrow_at(const struct audio *audio, uint32_t at) {
    const int16_t *linear = (const int16_t *)audio->samples;
    return audio->codec == WIDE ? linear[2 * at] : audio->codec == LINEAR ? linear[at] : g711_linear(audio->samples[at], audio->codec);
}

/* Samples in another codec than the file was read for, too: the far end may change while it plays. */
void audio_copy(void *to, const struct audio *audio, uint32_t offset, uint32_t count, uint8_t codec) {
    uint32_t size = sample_size(codec);
    int16_t *linear = to;
    uint8_t *law = to;
    if (codec == audio->codec) memcpy(to, audio->samples + (size_t)offset * size, (size_t)count * size);
    else if (!is_linear(codec) && !is_linear(audio->codec)) g711_convert(to, audio->samples + offset, count, audio->codec, codec);
    else
        for (uint32_t i = 0; i < count; i++) {
            int16_t sample = narrow_at(audio, offset + i);
            if (codec == WIDE) {
                int16_t next = offset + i + 1 < audio->length ? narrow_at(audio, offset + i + 1) : sample;
                linear[2 * i] = sample;
                linear[2 * i + 1] = (int16_t)((sample + next) / 2);
            } else if (codec == LINEAR) linear[i] = sample;
            else law[i] = codec == PLANE_PCMA ? g711_alaw_encode(sample) : g711_ulaw_encode(sample);
        }
}

void audio_share(struct audio *audio) { atomic_fetch_add(&audio->users, 1); }
void audio_release(struct audio *audio) { atomic_fetch_sub(&audio->users, 1); }

void audio_forget(plane *p) {
    while (p->audio) drop_audio(p, &p->audio);
}
