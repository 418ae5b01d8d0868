/* The core's interface: declarations only, read by the C compiler and by cffi alike, so no preprocessor lines here.
 *
 * All functions are called by one control thread. Those that return int give 0, or a negative errno. A handle names a session
 * until it is closed and never another one. Times are milliseconds. An IP address is 16 bytes in network
 * order; an IPv4 one stands as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), and so its networks have prefixes of 96 and more. */

enum { PLANE_PCMU = 0, PLANE_PCMA = 8, PLANE_G722 = 9, PLANE_OPUS = 10, PLANE_OTHER = 255 };
enum { PLANE_NO_EVENT = 255, PLANE_NO_FILE = -1000, PLANE_REFUSED = -1001, PLANE_NO_CODER = -1002 };
enum { PLANE_NO_SRTP, PLANE_AES_CM_128_HMAC_SHA1_80, PLANE_AES_CM_128_HMAC_SHA1_32, PLANE_AES_256_CM_HMAC_SHA1_80,
       PLANE_AES_256_CM_HMAC_SHA1_32, PLANE_AEAD_AES_128_GCM, PLANE_AEAD_AES_256_GCM };
enum { PLANE_DROP_SOURCE, PLANE_DROP_MALFORMED, PLANE_DROP_PAYLOAD_TYPE, PLANE_DROP_UNWANTED, PLANE_DROP_UNSENT, PLANE_DROP_FLOOD,
       PLANE_DROP_CODEC, PLANE_DROP_UNAUTHENTIC, PLANE_DROP_REPLAYED, PLANE_DROPS };
enum { PLANE_DIGIT = 1, PLANE_PLAY_ENDED, PLANE_RECORDING_ENDED, PLANE_SOURCE_LOCKED, PLANE_TALKING, PLANE_DIGITS_SENT, PLANE_TONE };
enum { PLANE_TONE_DTMF, PLANE_TONE_CNG, PLANE_TONE_CED, PLANE_TONE_BUSY, PLANE_TONE_RINGBACK, PLANE_TONE_SIT };
enum { PLANE_BY_SILENCE, PLANE_BY_LENGTH, PLANE_BY_DIGIT, PLANE_BY_STOP };

typedef struct plane plane;

typedef struct {
    uint8_t listen_ip[16];         /* IPv4 */
    uint8_t listen_ip6[16];        /* of sessions over IPv6, if `six` */
    uint8_t six;
    uint16_t port_low, port_high;  /* RTP takes the even ports, RTCP the odd ones above */
    uint32_t rest_ms;              /* how long a port rests after its call */
    uint32_t learn_ms;             /* how long a source that was not signalled is on trial, and a former one is refused */
    uint32_t report_ms;            /* between two RTCP reports of a session, on average; 0: none, at most 6,500 */
    uint16_t threads;
    int8_t nice;                   /* of the packet threads; where it is not allowed they stay as they are */
    uint8_t allow_loopback;
    uint8_t refused_nets;          /* entries used of the two arrays below */
    uint8_t refused_net[32][16], refused_prefix[32];
    const char *state_path;        /* a file by which a plane started anew goes on with every stream, or NULL */
} plane_settings;

typedef struct {
    uint8_t ip[16];
    uint16_t port;
    uint16_t rtcp_port;       /* 0: port + 1; the RTP port itself: both on one, RFC 5761 */
    uint8_t codec;            /* PLANE_PCMU ... PLANE_OPUS, or PLANE_OTHER: only relayed, to a far end of the same name and clock */
    uint8_t payload_type;     /* a dynamic one, or the codec's own */
    uint8_t telephone_event;  /* payload type or PLANE_NO_EVENT */
    uint32_t clock_rate;      /* of the timestamps, Hz */
    uint32_t event_rate;      /* of telephone events, Hz */
    char name[32];            /* zero-terminated */
    uint8_t send, receive;
    uint8_t suite;            /* PLANE_NO_SRTP, or both keys are there: each a master key with its salt after it, RFC 4568 section 6.1 */
    uint8_t local_key[46], remote_key[46];
    uint8_t fec, dtx;         /* of Opus: what the far end likes to receive, RFC 7587 section 6.1 */
    uint32_t playback_rate;   /* Hz, the highest it plays; 0: any */
    uint8_t sources;          /* entries used of the two arrays below: whose packets are heard besides those from `ip` itself */
    uint8_t source_net[8][16], source_prefix[8];
    uint8_t xr_summary, xr_voip; /* the reports that the far end wants, RFC 3611 section 5 */
    uint8_t comfort_noise;    /* payload type agreed for RFC 3389, or PLANE_NO_EVENT */
    uint64_t agreed_ms;       /* Unix time when the keys were agreed, 0: now */
} plane_remote;

typedef struct {
    uint8_t kind;
    uint8_t digit;     /* DIGIT: its character */
    uint8_t completed; /* PLAY_ENDED; TALKING: it began */
    uint8_t reason;    /* RECORDING_ENDED: PLANE_BY_*; TONE: PLANE_TONE_* */
    uint16_t port;     /* SOURCE_LOCKED */
    uint8_t ip[16];
    uint32_t duration_ms;
    int32_t error;     /* RECORDING_ENDED: errno of the disk, or 0 */
    uint64_t handle;
    uint64_t number;   /* the play's or recording's, as given by the control thread */
} plane_event;

/* What the far end told of our stream in extended reports, RFC 3611 sections 4.6 and 4.7; there 127 stands for "unavailable". */
typedef struct {
    uint8_t voip, summary;         /* which of the two came */
    uint8_t loss, discard, burst_density, gap_density; /* 256ths */
    uint8_t r_factor, mos_lq, mos_cq;                  /* MOS in tenths */
    uint16_t burst_ms, gap_ms, end_system_ms, buffer_ms;
    uint32_t lost, duplicates;     /* of the last interval */
    double jitter_least_ms, jitter_most_ms, jitter_mean_ms;
} plane_xr;

typedef struct {
    uint64_t packets_in, packets_out, bytes_in, bytes_out, lost, out_of_order, dropped[9];
    double jitter_ms, loss_fraction;
    double round_trip_ms;          /* -1: not known yet, as in those of `remote_` */
    double remote_loss_fraction, remote_jitter_ms;
    int64_t remote_lost;
    uint64_t reports_in, reports_out;
    char codec[32];
    int64_t last_packet_ms;        /* age, -1: none came */
    uint8_t source_ip[16];
    uint16_t source_port;          /* 0: not locked yet */
    plane_xr xr;
} plane_counters;

typedef struct {
    uint64_t packets_in, packets_out, dropped[9], events_lost, ticks, late_ticks, cpu_ns, recording_overruns;
    uint64_t thread_cpu_ns[64];    /* of each packet thread */
    uint32_t sessions, ports_free, ports_total, threads;
} plane_totals;

/* How a session takes part in a room: one hears another when a channel of its `hears` is one of the other's `says`. */
typedef struct {
    uint64_t says, hears;
    int32_t gain;     /* of what it says, times 4096 */
    uint8_t silent;   /* it comes without the room's sound */
} plane_party;

typedef struct {
    const char *entry_sound, *exit_sound, *music; /* WAV files or NULL; music plays to one who is alone */
    uint8_t tell_talkers;                         /* TALKING events */
} plane_room;

/* What a session says, or with what it hears: mixed, or each on a channel. A room's is what it mixes, as 16-bit samples of 16 kHz. */
enum { PLANE_SAID, PLANE_MIX, PLANE_STEREO };
typedef struct {
    uint64_t number;
    const char *path;
    uint32_t max_ms, silence_ms; /* silence_ms 0: silence does not end it */
    uint32_t tone_ms;            /* between two tones that both sides hear, 0: none */
    uint16_t finish_events;      /* a bit a key */
    uint8_t layout;
} plane_recording;

plane *plane_new(const plane_settings *settings, int *error);
void plane_free(plane *p);
int plane_event_fd(plane *p);
int plane_events(plane *p, plane_event *events, int room);

/* `six`: over IPv6. -EAFNOSUPPORT: the plane has no address of that family. */
int64_t plane_open(plane *p, uint64_t identity, uint16_t wanted_port, int six, uint16_t *port);
int plane_set_remote(plane *p, int64_t handle, const plane_remote *remote);
int plane_bridge(plane *p, int64_t a, int64_t b);
int plane_unbridge(plane *p, int64_t handle);
int plane_play(plane *p, int64_t handle, uint64_t number, const char **files, int count, int loop, int barge_in,
               char *why, int why_room);
int plane_stop_play(plane *p, int64_t handle);
int plane_send_digits(plane *p, int64_t handle, uint64_t number, const char *keys, uint32_t on_ms, uint32_t off_ms, int tones,
                      int after);
int plane_detect(plane *p, int64_t handle, uint32_t wanted);
int plane_record(plane *p, int64_t handle, const plane_recording *recording);
int plane_stop_record(plane *p, int64_t handle);
int plane_pause_record(plane *p, int64_t handle, int paused);
int plane_close(plane *p, int64_t handle, plane_counters *counters);
int plane_counters_of(plane *p, int64_t handle, plane_counters *counters);
/* Rooms: up to 256 parties, in at most 16 different ways of hearing. -ENOSPC: more of something than there may be. */
int64_t plane_open_room(plane *p, const plane_room *settings, char *why, int why_room);
int plane_close_room(plane *p, int64_t room);
int plane_join(plane *p, int64_t session, int64_t room, const plane_party *party);
int plane_leave(plane *p, int64_t session, int silent);
int plane_room_play(plane *p, int64_t room, uint64_t number, const char **files, int count, int loop, char *why, int why_room);
int plane_room_record(plane *p, int64_t room, const plane_recording *recording);
int plane_room_stop_record(plane *p, int64_t room);
int plane_room_pause_record(plane *p, int64_t room, int paused);
int plane_room_stop_play(plane *p, int64_t room);
void plane_totals_of(plane *p, plane_totals *totals);

/* SRTP, one direction of one master key; for the core itself, test phones and published vectors. All lengths are bytes. */
typedef struct srtp srtp;
int srtp_key_length(int suite);
srtp *srtp_new(int suite, const uint8_t *master);
srtp *srtp_new_from_session_keys(int suite, const uint8_t *cipher, const uint8_t *tag, const uint8_t *salt);
void srtp_free(srtp *s);
int srtp_derive(int suite, const uint8_t *master, int label, uint8_t *to, int length);
void srtp_start(srtp *s, uint32_t ssrc, uint64_t index, uint32_t rtcp_index);
void srtp_expect(srtp *s, uint32_t roll_overs);
void srtp_resume(srtp *s, uint32_t ssrc, uint64_t index);
int srtp_protect(srtp *s, uint8_t *packet, uint32_t length);
int srtp_unprotect(srtp *s, uint8_t *packet, uint32_t length);
int srtcp_protect(srtp *s, uint8_t *packet, uint32_t length);
int srtcp_unprotect(srtp *s, uint8_t *packet, uint32_t length);

/* Call-progress and fax tones in 8 kHz; `told` gets a PLANE_TONE_*. */
typedef struct tones tones;
tones *tones_new(void (*told)(void *data, int tone), void *data);
void tones_free(tones *t);
void tones_feed(tones *t, const int16_t *samples, uint32_t count);

/* Keys and tones in a stream of 8 kHz whose packets may be lost, doubled or overtaken. `wanted`: 1 << PLANE_TONE_*; `key` gets a key's
 * character when it is pressed (`down`) and when it is let go. */
typedef struct detector detector;
detector *detector_new(uint32_t wanted, void (*key)(void *data, int key, int down, uint32_t duration_ms), void (*tone)(void *data, int tone),
                       void *data);
void detector_free(detector *d);
void detector_hear(detector *d, uint16_t sequence, const int16_t *samples, uint32_t count);

/* One stream in PLANE_PCMU ... PLANE_OPUS, mono, `rate` 8000 or 16000. Counts of samples and bytes; 0: it failed. */
typedef struct decoder decoder;
typedef struct encoder encoder;
decoder *decoder_new(uint8_t kind, uint32_t rate);
void decoder_free(decoder *d);
uint32_t decoder_decode(decoder *d, const uint8_t *payload, uint32_t length, int16_t *to, uint32_t room);
encoder *encoder_new(uint8_t kind, uint32_t rate);
void encoder_free(encoder *e);
uint32_t encoder_encode(encoder *e, const int16_t *samples, uint32_t count, uint8_t *to, uint32_t room);

uint8_t g711_alaw_encode(int16_t sample);
uint8_t g711_ulaw_encode(int16_t sample);
int16_t g711_alaw_decode(uint8_t code);
int16_t g711_ulaw_decode(uint8_t code);
uint8_t g711_alaw_to_ulaw(uint8_t code);
uint8_t g711_ulaw_to_alaw(uint8_t code);
