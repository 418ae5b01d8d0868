/* The core's own structures. A session belongs to one worker and is touched under that worker's lock only: by the worker for a
 * whole batch of packets, by the control thread for one command. Nothing here is allocated while packets flow. */
#ifndef CARILLON_CORE_H
#define CARILLON_CORE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "plane_api.h"

enum {
    PHASES = 20,              /* 1 ms each: a session's 20 ms fall into one of them */
    FRAMES_A_SECOND = 50,
    FRAME = 160,              /* samples in 20 ms at 8 kHz */
    WIDE_FRAME = 320,         /* at 16 kHz */
    HALF_TAPS = 8,
    ROOMS = 4096,
    ROOM_MOST = 256,          /* parties of a room */
    CLASSES = 16,             /* of a room's parties: those that hear the same channels */
    EFFECTS = 4,              /* sounds of coming and going at once */
    MAX_PACKET = 2048,        /* bytes received of a datagram; larger ones are malformed */
    BATCH = 64,               /* packets handled under one lock */
    MAX_WORKERS = 64,
    FLOOD_PACKETS = 500,      /* packets a session takes in a second; 10 ms packets both as audio and events are 200 */
    REPORT_SLOTS = 512,       /* 20 ms each */
    EVENT_RING = 8192,
    RECORD_RING = 1 << 16,    /* samples of a track waiting for the disk: 8 s, 4 s of a room */
    TRACKS = 2,
    SRTP_KEY = 46, SRTP_TAIL = 20, /* bytes: the longest master key with its salt; what protection may append */
    ENCODED = 400,            /* bytes of 20 ms in any codec we encode */
    LINEAR = 254,             /* of a prompt: 16-bit samples, for rooms */
    WIDE = 253,               /* of a prompt: those of 16 kHz, for the codecs that are encoded as it plays */
    COMFORT_NOISE = 13,            /* RFC 3389 section 5.1, payload type and our mark of such a packet */
    RTCP_XR = 207,                 /* packet type of extended reports, RFC 3611 section 2 */
    NOBODY = -1,
};

/* What a far end speaks. PLANE_OTHER is passed on as it is. */
struct codec {
    uint8_t kind, payload_type;
    bool fec, dtx;                 /* of Opus: its receiver makes use of error correction, likes to be sent nothing in silence */
    uint32_t clock_rate;           /* Hz */
    uint32_t playback_rate;        /* Hz, of Opus: no higher one is heard; 0: any */
    char name[32];
};

/* The family and the port stand at the same place in both. */
typedef union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } address;

struct packet {
    const address *from;
    uint8_t *payload;  /* with at least 12 writable bytes before it, and SRTP_TAIL after it */
    uint32_t length;
    uint32_t timestamp, ssrc;
    uint16_t sequence;
    uint8_t type, codec;           /* `codec`: of audio, its kind */
    bool marker;
};

/* What a session receives, RFC 3550 appendix A. */
struct incoming {
    bool started;
    uint32_t ssrc, base, cycles;   /* extended sequence numbers of the present source */
    uint16_t highest;
    uint64_t received, lost_before, received_before;
    uint32_t transit;
    double jitter;
    int64_t last_ms, flood_second;
    uint32_t flood_count;
};

/* Of the stream that is heard, for extended reports: bursts since it began (RFC 3611 appendix A.2), jitter since the last report. */
struct extended {
    bool summary, voip;            /* the far end wants them */
    uint32_t since_loss, lost_near, c11, c13, c14, c22, c23, c33;
    uint32_t begin, distances;     /* extended sequence number and count of the present interval */
    uint64_t received_before;
    double least, most, sum, squares; /* ticks of the stream's clock */
    plane_xr heard;
};

/* What a session sends: one SSRC, one run of sequence numbers and timestamps, whoever the audio comes from. */
struct outgoing {
    uint64_t identity;
    uint32_t ssrc, timestamp;      /* of the newest packet sent */
    uint16_t sequence, first;      /* `first`: of the first packet sent */
    int64_t last_ms;
    uint32_t last_samples, rate;   /* of the timestamps, Hz */
    bool mapped;                   /* the relay's numbers below hold */
    uint32_t map_ssrc, map_timestamp, timestamp_delta;
    bool event_mapped;             /* a key of another clock than the audio's keeps the timestamp it was given */
    uint32_t event_in, event_out;
    uint16_t sequence_delta, in_sequence, oldest;
};

/* RTCP of a session: its place in the worker's wheel, what the last report covered, and what was heard. */
struct report {
    bool scheduled, remote_known;
    uint16_t slot, heard_port;     /* `heard_port`: where reports come from, network byte order */
    int32_t previous, next;
    uint32_t ssrc, sender_middle;  /* the middle of the NTP time of the far end's last sender report, and when it came */
    int64_t sender_ns;
    uint64_t expected_before, received_before, packets_before, sent, heard;
    int32_t remote_lost;
    uint32_t remote_span;          /* packets the far end expected */
    double remote_jitter_ms, round_trip_ms;
};

/* Where a session's streams stand, as the process after this one needs it. Times are of the monotonic clock, which is the same there. */
struct saved {
    uint64_t identity;
    uint64_t local_key, remote_key;   /* fingerprints, 0: no SRTP */
    uint64_t out_index, in_index;     /* SRTP: the newest ones used and heard */
    int64_t last_ms;
    uint32_t in_ssrc, rtcp_index, timestamp, rate, samples;
    uint16_t sequence;
    bool used, taken, heard;
};

enum learning { UNKNOWN, LEARNING, RELEARNING, LOCKED };

struct source {
    enum learning state;
    bool connected;                /* the kernel hands us nothing but the far end's packets, and knows the way to it */
    address known, former, trial;  /* of family 0: nobody */
    uint32_t trial_ssrc, trial_packets;
    uint16_t trial_sequence;
    int64_t opened_ms, trial_ms;
    uint8_t nets;                  /* who may send besides the signalled address */
    uint8_t net[8][16], prefix[8];
};

struct key {
    bool known, pressed;
    uint8_t event;
    uint32_t ssrc, timestamp, before, duration;
    int64_t last_ms;
};

struct audio {
    struct audio *next;
    char *path;
    uint64_t device, inode, size;
    int64_t modified_ns;
    uint8_t codec;
    atomic_uint users;
    uint64_t used;                 /* a counter of loads, for the oldest to go first */
    uint32_t length;               /* samples of 8 kHz */
    uint8_t *samples;              /* bytes, or 16-bit values where codec is LINEAR; twice as many where it is WIDE */
};

/* What a resampler still needs of the past: 8 to 16 kHz uses the first half. */
struct halfband { int16_t past[4 * HALF_TAPS - 2]; };

struct play {
    uint64_t number, played;
    int count, current;
    uint32_t offset;
    bool loop, barge_in, started;
    struct halfband up;            /* in a room of 16 kHz */
    struct audio *files[];
};

/* What is known of the packet loss in a stream of linear samples. */
struct concealment {
    uint32_t rate, pitch, position, lost;  /* Hz; samples: of a cycle, in it, made up since the last one heard */
    int16_t history[560], cycle[240];
};

struct track {
    bool based;
    uint32_t ssrc, base;
    uint16_t sequence;
    uint64_t written;              /* samples */
    int64_t last_ms;
    struct concealment concealment;
    uint8_t *ring;                 /* RECORD_RING samples */
};

struct recording {
    struct recording *next;
    int fd;
    uint64_t number, handle;
    uint8_t codec, layout, reason; /* `codec`: of the tracks and the file */
    uint16_t finish_events;
    uint32_t silence_ms, tone_ms, rate;
    uint64_t most;                 /* samples */
    int64_t started_ms, voice_ms, paused_ms, next_tone_ms; /* `paused_ms`: since when, 0: it is not */
    struct decoder *heard;
    int track_count;
    struct track tracks[TRACKS];
    _Atomic uint64_t ready, flushed;   /* the worker writes at and after ready, the disk thread reads before it */
    atomic_bool ended, failed;
    int error;
};

/* Keys being sent, and those that are sent after them. */
struct dial {
    struct dial *next;
    uint64_t number;
    char keys[128];
    uint32_t current, elapsed_ms, on_ms, off_ms, ends, timestamp;
    bool events, gap, started;
};

/* A session in a room. */
struct party {
    struct session *session;
    struct room *room;
    struct stream *in;             /* NULL, as `voice`: its codec is one we do not decode */
    struct encoder *voice;
    uint64_t says, hears;          /* channels */
    int32_t gain;                  /* times 2^12 */
    uint8_t class;
    bool audible, was_audible, chosen, mixed, talking, speaking, sharing;
    int run;                       /* voiced frames in a row, or unvoiced ones below zero */
    uint32_t level;
    int16_t frame[WIDE_FRAME];
};

/* What all parties that hear the same channels share of one tick. */
struct class {
    uint64_t hears;
    uint32_t users;
    int32_t gain;                  /* of the limiter, times 2^15 */
    bool plain, narrow_ready, encoded[2];
    struct halfband down, before;
    int32_t sum[WIDE_FRAME];
    int16_t shared[WIDE_FRAME], narrow[FRAME];
    uint8_t law[2][FRAME];         /* A, mu */
};

struct room {
    struct room *next;             /* in its phase */
    uint32_t generation, rate;
    uint8_t worker, phase;
    bool tells_talkers, sounds;
    int count;
    struct party *parties[ROOM_MOST];
    struct class classes[CLASSES];
    struct recording *recording;
    struct halfband recorded_up;   /* files are of 16 kHz */
    struct play *play, *music, *entry, *leaving, *effects[EFFECTS];
    int32_t own[WIDE_FRAME], music_sum[WIDE_FRAME];
};

/* What a relayed packet touches comes first, so that worker.c can have it fetched in time. */
struct session {
    uint32_t generation;
    int32_t peer;                  /* index of the bridged session or NOBODY */
    int fd, rtcp_fd;
    uint16_t port, rtcp_port;
    uint8_t worker, phase, telephone_event;
    uint8_t comfort_noise;         /* payload type or PLANE_NO_EVENT */
    bool six, used, has_remote, send, receive, timed;
    bool plays, records;           /* prompts were played to it, it was recorded: the control thread's own note */
    uint32_t event_rate;
    struct codec codec;
    struct saved *saved;           /* never NULL: kept up with every packet */
    struct srtp *srtp_in, *srtp_out;
    struct party *party;           /* in a room: it stands in the bridge's place */
    struct play *play;
    struct dial *dial;
    struct detector *detector;
    struct recording *recording;
    uint64_t packets_in, packets_out, bytes_in, bytes_out, octets_out;
    struct outgoing out;
    struct incoming in;
    struct extended xr;
    struct source source;
    address signalled, target;
    const struct saved *former;    /* of the process before, or NULL */
    struct report report;
    struct converter *converter;   /* of what this session says, for a peer of another codec */
    struct encoder *voice;         /* of prompts, where they are encoded as they play */
    struct halfband tone_up;       /* of tones of 8 kHz that go to it */
    struct decoder *hearing;       /* of recordings */
    struct key key;
    uint32_t quiet;                /* frames made in a row that are as good as silent */
    int32_t previous, next;        /* neighbours in the phase */
    uint64_t out_of_order, dropped[PLANE_DROPS];
};

struct worker {
    plane *plane;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    atomic_int wanted;             /* control threads waiting for the lock: they go before the next batch */
    int epoll, timer, report_timer, wake;
    uint8_t number;
    bool ticking;
    int64_t now_ns, now_ms, tick_ms;
    int32_t phase[PHASES];
    struct room *rooms[PHASES];
    uint32_t timed, sessions, reporting, report_slot;
    int32_t report_heads[REPORT_SLOTS];
    uint64_t random;
    uint64_t packets_in, packets_out, dropped[PLANE_DROPS], ticks, late_ticks;
    uint8_t buffer[MAX_PACKET + 16 + SRTP_TAIL];
};

struct port { uint16_t number; int64_t free_at; };

struct plane {
    plane_settings settings;
    struct session *sessions;
    _Atomic uint64_t *owners;      /* per session: generation << 32 | worker + 1, or 0; changed under that worker's lock */
    uint32_t room, opened;
    int32_t *unused;
    uint32_t unused_count;
    struct port *ports;            /* a ring: the longest rested first */
    uint32_t port_head, port_count, port_room;
    struct saved *saved, *former;  /* by session; what the process before left */
    uint32_t former_count;
    void *state;
    size_t state_size;
    int state_fd;
    struct room *rooms[ROOMS];
    uint32_t rooms_opened;
    struct worker workers[MAX_WORKERS];
    int worker_count;
    atomic_bool stopping;
    struct play *beep;             /* what tells that a call is recorded */
    struct audio *audio;
    uint64_t audio_bytes, audio_loads;
    pthread_mutex_t event_lock;
    plane_event *events;
    uint32_t event_head, event_count;
    uint64_t events_lost;
    int event_fd;
    pthread_t disk;
    bool disk_running;
    pthread_mutex_t disk_lock;
    pthread_cond_t disk_work;
    struct recording *recordings;
    atomic_ullong recording_overruns;
};

/* Numbers of a packet, in network byte order. */
static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t get32(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }
static inline uint8_t *put32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
    return at + 4;
}

/* Bytes that a sample of 8 kHz takes. */
static inline uint32_t sample_size(uint8_t codec) { return codec == WIDE ? 4 : codec == LINEAR ? 2 : 1; }
/* A prompt or keys stand in the place of whatever else the session would hear. */
static inline bool occupied(const struct session *s) { return s->play || s->dial; }
/* A key in what one says is told to the other as an event, and not heard there besides; nor is what a phone says while it tells a key as
 * an event to one who knows none, which is told the key as tones. */
bool key_in_audio(const struct session *s);
static inline bool told_otherwise(const struct session *from, const struct session *to) {
    if (to->telephone_event == PLANE_NO_EVENT) return from->telephone_event != PLANE_NO_EVENT && from->key.pressed;
    return from->detector && key_in_audio(from);
}
int64_t clock_ns(void);
static inline uint64_t session_handle(const plane *p, const struct session *s) {
    return (uint64_t)s->generation << 32 | (uint64_t)(s - p->sessions);
}
static inline void drop(struct worker *w, struct session *s, int why) { s->dropped[why]++; w->dropped[why]++; }

/* port.c */
int ports_new(plane *p);
void ports_free(plane *p);
int port_take(plane *p, uint16_t wanted, bool six, int64_t now_ms, struct session *s);
void port_give_back(plane *p, struct session *s, int64_t now_ms);
uint32_t ports_rested(const plane *p, int64_t now_ms);
/* continuity.c */
int continuity_start(plane *p);
void continuity_stop(plane *p);
const struct saved *continuity_of(plane *p, uint64_t identity, int64_t now_ms);
uint64_t continuity_key(int suite, const uint8_t *master);
/* address.c */
bool ip_is_v4(const uint8_t ip[16]);
bool ip_within(const uint8_t ip[16], const uint8_t net[16], uint8_t prefix);
void address_make(address *to, const uint8_t ip[16], uint16_t port);
void address_ip(const address *from, uint8_t ip[16]);
bool target_refused(const plane_settings *settings, const uint8_t ip[16], uint16_t port);
static inline socklen_t address_size(const address *a) { return a->any.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4; }
static inline bool same_host(const address *a, const address *b) {
    if (a->any.sa_family != b->any.sa_family) return false;
    if (a->any.sa_family == AF_INET) return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->any.sa_family && !memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr);
}
static inline bool same_address(const address *a, const address *b) { return a->v4.sin_port == b->v4.sin_port && same_host(a, b); }
/* source.c */
void source_signalled(struct session *s, const plane_remote *remote, int64_t now_ms);
bool source_known(const struct session *s, const address *from);
bool source_accepts(struct worker *w, struct session *s, const struct packet *packet);
/* rtp.c */
bool rtp_parse(uint8_t *datagram, uint32_t length, struct packet *packet);
void incoming_count(struct session *s, const struct packet *packet, int64_t now_ns, bool audio);
uint64_t incoming_lost(const struct incoming *in);
double incoming_jitter_ms(const struct session *s);
bool incoming_flood(struct incoming *in, int64_t now_ms);
void outgoing_start(struct outgoing *out, uint64_t identity, int64_t now_ms, const struct saved *former);
uint32_t outgoing_gap(const struct outgoing *out, int64_t now_ms);
void outgoing_clock(struct outgoing *out, uint32_t rate, int64_t now_ms);
uint64_t outgoing_index(const struct outgoing *out, uint64_t agreed_ms, uint64_t *elapsed);
void outgoing_send(struct worker *w, struct session *s, uint8_t *payload, uint32_t length, uint8_t type, bool marker, uint16_t sequence,
                   uint32_t timestamp);
void outgoing_frame(struct worker *w, struct session *s, uint8_t *payload, uint32_t length, bool first);
void outgoing_linear(struct worker *w, struct session *s, const int16_t *samples, bool first);
void outgoing_say(struct worker *w, struct session *s, struct encoder *encoder, const int16_t *samples, uint32_t count, bool first);
/* relay.c */
bool alike(const struct codec *a, const struct codec *b);
void relay(struct worker *w, struct session *from, struct packet *packet, bool audio);
/* xr.c */
void xr_start(struct session *s);
void xr_count(struct session *s, uint32_t lost);
void xr_distance(struct session *s, double distance);
uint8_t *xr_write(struct session *s, uint8_t *at);
void xr_read(struct session *s, const uint8_t *at, uint32_t length);
/* rtcp.c */
void rtcp_schedule(struct worker *w, struct session *s);
void rtcp_unschedule(struct worker *w, struct session *s);
void rtcp_tick(struct worker *w);
void rtcp_received(struct worker *w, struct session *s, uint8_t *data, uint32_t length, const address *from);
void rtcp_bye(struct worker *w, struct session *s);
/* srtp.c */
uint64_t srtp_newest(const struct srtp *s);
uint32_t srtp_next_rtcp(const struct srtp *s);
bool srtp_same(const struct srtp *s, int suite, const uint8_t *master);
/* telephone_event.c */
void key_packet(struct worker *w, struct session *s, const struct packet *packet);
void key_began(struct worker *w, struct session *s, uint8_t digit);
void key_released(struct worker *w, struct session *s, uint8_t digit, uint32_t duration_ms);
void key_tick(struct worker *w, struct session *s);
/* conceal.c */
void concealment_new(struct concealment *c, uint32_t rate);
void concealment_heard(struct concealment *c, int16_t *samples, uint32_t count);
void concealment_fill(struct concealment *c, int16_t *to, uint32_t count);
/* coder.c */
bool decoder_is(const struct decoder *d, uint8_t kind);
void decoder_conceal(struct decoder *d, int16_t *to, uint32_t samples, const uint8_t *next, uint32_t next_length);
bool encoder_is(const struct encoder *e, uint8_t kind);
void encoder_suit(struct encoder *e, const struct codec *receiver);
uint32_t decoder_decode_as(struct decoder *d, uint8_t kind, const uint8_t *payload, uint32_t length, int16_t *to, uint32_t room);
void encoder_continue(struct encoder *e, const struct halfband *past);
/* resample.c */
void halfband_up(struct halfband *h, const int16_t *from, uint32_t count, int16_t *to);
void halfband_down(struct halfband *h, const int16_t *from, uint32_t count, int16_t *to);
/* stream.c */
enum taken { STREAM_IDLE, STREAM_WAITS, STREAM_FRAME };
struct stream *stream_new(uint8_t kind, uint32_t rate);
void stream_free(struct stream *t);
bool stream_is(const struct stream *t, uint8_t kind, uint32_t rate);
bool stream_put(struct stream *t, const struct packet *packet);
enum taken stream_take(struct stream *t, double jitter_ms, int16_t *to);
/* transcode.c */
bool coded(uint8_t kind);
bool decodable(uint8_t kind);
bool convertible(const struct codec *from, const struct codec *to);
struct converter *converter_new(uint8_t from, uint8_t to);
void converter_free(struct converter *c);
bool converter_is(const struct converter *c, uint8_t from, uint8_t to);
void comfort_noise(struct worker *w, struct session *s, struct packet *packet);
void converter_put(struct worker *w, struct session *from, const struct packet *packet);
bool converter_tick(struct worker *w, struct session *from);
/* audio.c */
int audio_load(plane *p, const char *path, uint8_t codec, struct audio **found, char *why, int why_room);
void audio_copy(void *to, const struct audio *audio, uint32_t offset, uint32_t count, uint8_t codec);
void audio_share(struct audio *audio);
void audio_release(struct audio *audio);
void audio_forget(plane *p);
/* playout.c */
struct play *play_new(plane *p, uint64_t number, const char **files, int count, uint8_t codec, char *why, int why_room, int *error);
struct play *play_again(const struct play *model);
void play_free(struct play *play);
void play_beep(struct worker *w, struct session *s);
int beep_new(plane *p);
void beep_free(plane *p);
uint32_t play_take(struct play *play, uint8_t *to, uint32_t room, uint8_t codec);
bool play_at_end(const struct play *play);
void play_report(struct worker *w, const struct play *play, uint64_t handle, bool completed);
void play_tick(struct worker *w, struct session *s);
void play_end(struct worker *w, struct session *s, bool completed);
/* mix.c, room.c */
void room_tick(struct worker *w, struct room *r);
void room_play_end(struct worker *w, struct room *r, bool completed);
void room_leave(plane *p, struct session *s, bool silent);
int room_fit(plane *p, struct room *r);
struct room *room_find(plane *p, int64_t handle);
/* session.c, bridge.c, counters.c */
struct session *session_find(plane *p, int64_t handle);
struct worker *session_lock(plane *p, struct session *s);
void session_end(plane *p, struct session *s, plane_counters *counters, bool for_good);
int session_move(plane *p, struct session *s, struct worker *to);
int fit_coders(plane *p, struct session *s, uint8_t kind, bool plays, bool records);
int fit_bridge(plane *p, struct session *s);
void bridge_part(plane *p, struct session *s);
void session_count(const struct session *s, int64_t now_ms, plane_counters *to);
/* core.c */
struct worker *least_loaded(plane *p);
/* dial.c, detect.c, tones.c */
void dial_tick(struct worker *w, struct session *s);
void dial_end(struct worker *w, struct session *s, bool completed);
void dial_end_all(struct worker *w, struct session *s);
void hear_packet(struct worker *w, struct session *s, const struct packet *packet);
/* record.c */
struct recording *recording_new(const char *path, uint8_t codec, uint8_t layout, int *error);
void recording_free(struct recording *r);
void recording_heard(struct worker *w, struct session *s, uint8_t *payload, uint32_t length, uint16_t sequence, uint32_t timestamp);
void recording_append(struct worker *w, struct recording *r, const int16_t *samples, uint32_t count);
void recording_finish(struct worker *w, struct recording *r, uint8_t reason);
void recording_pause(struct worker *w, struct recording *r, bool paused);
void recording_start(plane *p, struct recording *r);
void recording_packet(struct worker *w, struct session *s, const struct packet *packet);
void recording_decoded(struct worker *w, struct session *s, const struct packet *packet, const int16_t *samples, uint32_t count);
void recording_tick(struct worker *w, struct session *s);
void recording_end(struct worker *w, struct session *s, uint8_t reason);
/* disk.c */
int disk_start(plane *p);
int disk_header(struct recording *r);
void disk_stop(plane *p);
/* event.c */
int events_new(plane *p);
void events_free(plane *p);
void event_put(plane *p, const plane_event *event);
/* worker.c */
int worker_start(plane *p, int number);
void worker_stop(struct worker *w);
void worker_lock(struct worker *w);
void worker_unlock(struct worker *w);
int worker_watch(struct worker *w, struct session *s);
void worker_unwatch(struct worker *w, struct session *s);
void worker_keep_ticking(struct worker *w);
void worker_time(struct worker *w, struct session *s);
void worker_untime(struct worker *w, struct session *s);
/* g711.c */
extern uint8_t g711_ulaw_alaw[256], g711_alaw_ulaw[256];
void g711_convert(uint8_t *to, const uint8_t *from, uint32_t length, uint8_t from_codec, uint8_t to_codec);
void g711_init(void);
static inline bool is_g711(const struct codec *codec) { return codec->kind == PLANE_PCMU || codec->kind == PLANE_PCMA; }
uint8_t g711_silence(uint8_t codec);
int16_t g711_linear(uint8_t code, uint8_t codec);
void g711_decode(int16_t *to, const uint8_t *from, uint32_t count, uint8_t codec);
void g711_encode(uint8_t *to, const int16_t *from, uint32_t count, uint8_t codec);

#endif
