"""The values that cross the control socket: addresses, remote parties, statistics, events.

Both ends use these types; each knows its JSON shape (`to_json` / `from_json`), so that the protocol is written in one place.
Durations are whole milliseconds, sizes bytes, ports numbers of UDP ports.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Codec = Literal["PCMU", "PCMA"]  # G.711 under its static payload types
RecordingEnd = Literal["silence", "length", "digit", "stopped"]
#: What a recording holds: what the session says; that and what it hears, mixed; the two on the left and the right channel.
RecordedSides = Literal["said", "mix", "stereo"]
SrtpSuite = Literal[
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AEAD_AES_128_GCM",
    "AEAD_AES_256_GCM",
]
#: Bytes of a master key followed by its salt: RFC 4568 section 6.2, RFC 6188, RFC 7714 section 14.1.
SRTP_KEY_LENGTHS: Mapping[SrtpSuite, int] = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}


#: Of a session's port, and of its far end.
IpVersion = Literal[4, 6]


@dataclass(frozen=True, slots=True)
class MediaAddress:
    """Where the plane receives a session's RTP; RTCP is at `port + 1`."""

    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """A codec as `a=rtpmap` agreed it: its name (case does not matter), payload type and RTP clock in Hz.

    The clock is the one of the timestamps: 8000 for G.722 (RFC 3551 section 4.5.2), 48000 for Opus (RFC 7587). What is not PCMU or
    PCMA is relayed untouched to a far end of the same name and clock; parameters that make two ends of one name differ
    (AMR's `octet-align`) belong into the name.
    """

    name: str  # 1 to 31 ASCII characters
    payload_type: int  # 0 to 127
    clock_rate: int = 8000  # Hz, 1000 to 192000
    parameters: str = ""  # `a=fmtp` of the far end: how it likes to be sent to. Of Opus alone

    @classmethod
    def of(cls, codec: Codec | AudioCodec) -> AudioCodec:
        """The description of a static payload type, or the description itself."""
        return codec if isinstance(codec, AudioCodec) else cls(codec, 0 if codec == "PCMU" else 8)


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """SRTP as SDES agreed it (RFC 4568): a suite and two master keys, each with its salt after it, as `inline:` carries them in base64.

    We send under `local_key` (our own `a=crypto`) and hear under `remote_key`. `agreed_at` is the Unix time in seconds when these keys
    came into use: given again to a plane started anew it lets the roll-over counters go on; None is now. Neither `repr` nor any
    message shows a key. Raises ValueError for a suite we do not have or a key of another length.
    """

    suite: SrtpSuite
    local_key: bytes = field(repr=False)
    remote_key: bytes = field(repr=False)
    agreed_at: float | None = None

    def __post_init__(self) -> None:
        length = SRTP_KEY_LENGTHS.get(self.suite)
        if length is None:
            raise ValueError("no such SRTP suite")
        if len(self.local_key) != length or len(self.remote_key) != length:
            raise ValueError(f"a key of {self.suite} has {length} bytes with its salt")

    def to_json(self) -> dict[str, Any]:
        keys = {"local_key": b64encode(self.local_key).decode(), "remote_key": b64encode(self.remote_key).decode()}
        return {"suite": self.suite, "agreed_at": self.agreed_at, **keys}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SrtpKeys:
        agreed_at = None if data["agreed_at"] is None else float(data["agreed_at"])
        return cls(data["suite"], b64decode(data["local_key"]), b64decode(data["remote_key"]), agreed_at)


@dataclass(frozen=True, slots=True)
class Remote:
    """The far end as signalling told it. `send`: we send to it; `receive`: we take what it sends.

    `telephone_event` is the payload type agreed for RFC 4733 events, None when there is none; `telephone_event_rate` its clock in
    Hz, None when it is the codec's. With `crypto` everything both ways is SRTP and SRTCP, without it nothing is.
    `sources` are networks (at most 8; a single address is one) whose packets are heard besides those from `ip`: where the far end's SIP
    comes from, so that a phone behind a NAT is heard; `0.0.0.0/0`: anybody's, which lets strangers in until the far end has spoken.
    `xr_summary` and `xr_voip`: the far end wants these extended reports (`a=rtcp-xr`, RFC 3611 section 5). `comfort_noise`: it agreed to be
    sent comfort noise (RFC 3389, payload type 13) in place of silence. `ip` is of the session's own IP version.
    `rtcp_port` is where RTCP goes (`a=rtcp`), None: `port` + 1; `port` itself: both on one port (`a=rtcp-mux`).
    """

    ip: str
    port: int
    codec: Codec | AudioCodec = "PCMA"
    telephone_event: int | None = None
    send: bool = True
    receive: bool = True
    telephone_event_rate: int | None = None
    crypto: SrtpKeys | None = None
    rtcp_port: int | None = None
    sources: tuple[str, ...] = ()
    xr_summary: bool = False
    xr_voip: bool = False
    comfort_noise: bool = False

    def to_json(self) -> dict[str, Any]:
        """Keys included: for the control socket only."""
        return {
            "ip": self.ip,
            "port": self.port,
            "codec": self.codec if isinstance(self.codec, str) else asdict(self.codec),
            "telephone_event": self.telephone_event,
            "send": self.send,
            "receive": self.receive,
            "telephone_event_rate": self.telephone_event_rate,
            "crypto": None if self.crypto is None else self.crypto.to_json(),
            "rtcp_port": self.rtcp_port,
            "sources": self.sources,
            "xr_summary": self.xr_summary,
            "xr_voip": self.xr_voip,
            "comfort_noise": self.comfort_noise,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Remote:
        return cls(
            ip=str(data["ip"]),
            port=int(data["port"]),
            codec=_codec_from_json(data["codec"]),
            telephone_event=None if data["telephone_event"] is None else int(data["telephone_event"]),
            send=bool(data["send"]),
            receive=bool(data["receive"]),
            telephone_event_rate=None if data.get("telephone_event_rate") is None else int(data["telephone_event_rate"]),
            crypto=None if data.get("crypto") is None else SrtpKeys.from_json(data["crypto"]),
            rtcp_port=None if data.get("rtcp_port") is None else int(data["rtcp_port"]),
            sources=tuple(str(source) for source in data.get("sources", ())),
            xr_summary=bool(data.get("xr_summary")),
            xr_voip=bool(data.get("xr_voip")),
            comfort_noise=bool(data.get("comfort_noise")),
        )


def _codec_from_json(data: object) -> Codec | AudioCodec:
    if isinstance(data, Mapping):
        return AudioCodec(str(data["name"]), int(data["payload_type"]), int(data["clock_rate"]), str(data.get("parameters", "")))
    return "PCMU" if data == "PCMU" else "PCMA"


@dataclass(frozen=True, slots=True)
class Restored:
    """A session as it was on a plane that is gone: its name, its port and its far end, None where none was known."""

    session: str
    port: int
    remote: Remote | None = None
    ip_version: IpVersion = 4

    def to_json(self) -> dict[str, Any]:
        """Keys included: for the control socket only."""
        remote = None if self.remote is None else self.remote.to_json()
        return {"session": self.session, "port": self.port, "ip_version": self.ip_version, "remote": remote}


@dataclass(frozen=True, slots=True)
class Dropped:
    """Received packets that went nowhere, by reason."""

    source: int = 0  # from an address that is not this session's far end
    malformed: int = 0  # not RTP version 2, lengths that do not add up
    payload_type: int = 0  # a payload type that was not agreed
    unwanted: int = 0  # we do not receive (hold)
    unsent: int = 0  # the socket refused the packet we wanted to send
    flood: int = 0  # more than 500 packets in a second
    codec: int = 0  # the bridged far end speaks another codec, and we cannot convert
    unauthentic: int = 0  # SRTP was agreed, and the tag is not the far end's
    replayed: int = 0  # an SRTP packet that came before, or is older than the last 128


@dataclass(frozen=True, slots=True)
class ExtendedReport:
    """What the far end said last of the stream we send to it (RTCP XR): VoIP metrics (RFC 3611 section 4.7) and statistics summary (4.6).

    Fractions are 0 to 1; None: not told, or "unavailable".
    """

    loss_fraction: float | None = None
    discard_fraction: float | None = None  # came too late for its jitter buffer
    burst_density: float | None = None  # share of packets lost or discarded within bursts, and between them
    gap_density: float | None = None
    burst_ms: int | None = None  # mean lengths
    gap_ms: int | None = None
    end_system_ms: int | None = None
    buffer_ms: int | None = None  # nominal delay of the jitter buffer
    r_factor: int | None = None
    mos_lq: float | None = None  # listening, conversational
    mos_cq: float | None = None
    lost: int | None = None  # packets of the last interval
    duplicates: int | None = None
    jitter_least_ms: float | None = None
    jitter_mean_ms: float | None = None
    jitter_most_ms: float | None = None


def _flat(value: Any) -> dict[str, Any]:
    """A dataclass's fields; `asdict` copies what they hold, which takes ten times as long."""
    return {name: getattr(value, name) for name in value.__slots__}


@dataclass(frozen=True, slots=True)
class Statistics:
    """What one session received and sent. `lost` and `jitter_ms` follow RFC 3550 appendix A.3 and A.8.

    `remote_*` is what the far end says (RTCP) of the stream we send to it, as of its last report; None: it never reported.
    """

    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    lost: int = 0
    out_of_order: int = 0
    jitter_ms: float = 0.0
    dropped: Dropped = field(default_factory=Dropped)
    last_packet_ms: int | None = None  # age of the last packet received; None: nothing ever came
    loss_fraction: float = 0.0  # 0 to 1, of the whole call
    round_trip_ms: float | None = None  # between us and the far end, None: no report told it yet
    mos: float | None = None  # of what we received, 1 to 4.5 (`carillon_rtp.quality`); None: nothing came
    remote_lost: int | None = None
    remote_loss_fraction: float | None = None
    remote_jitter_ms: float | None = None
    remote_mos: float | None = None
    reports_in: int = 0
    reports_out: int = 0
    extended: ExtendedReport | None = None

    def to_json(self) -> dict[str, Any]:
        extended = None if self.extended is None else _flat(self.extended)
        return {**_flat(self), "dropped": _flat(self.dropped), "extended": extended}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Statistics:
        values = dict(data)
        values["dropped"] = Dropped(**values["dropped"])
        values["extended"] = None if values.get("extended") is None else ExtendedReport(**values["extended"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Party:
    """How a session takes part in a room, by channels: bit n of a mask is channel n, 0 to 63.

    One party hears another when a channel of its `hears` is one of the other's `says`; nobody hears itself. `gain_db` (-40 to 18)
    is put on what it says. With one channel that is a conference; `says=0` is muted, `hears=0` speaks only (paging), and whispering
    takes a channel that one party alone hears.
    """

    says: int = 1
    hears: int = 1
    gain_db: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Party:
        return cls(int(data["says"]), int(data["hears"]), float(data["gain_db"]))


SPEAKER = Party()
MUTED = Party(says=0)
PAGER = Party(hears=0)

#: `listen`: hears both sides and is heard by none; `whisper`: is heard by the target alone; `barge`: by both.
TapMode = Literal["listen", "whisper", "barge"]


@dataclass(frozen=True, slots=True)
class Tap:
    """A supervisor's session on the call of `target`."""

    target: str
    mode: TapMode

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tap:
        return cls(str(data["target"]), data["mode"])


@dataclass(frozen=True, slots=True)
class RoomState:
    """One living room and who is in it, by session name."""

    room: str
    parties: Mapping[str, Party]
    play_id: str | None = None
    recording_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RoomState:
        parties = {str(name): Party.from_json(party) for name, party in data["parties"].items()}
        return cls(str(data["room"]), parties, data["play_id"], data["recording_id"])


@dataclass(frozen=True, slots=True)
class SessionState:
    """One living session, for a signalling process that takes the plane over."""

    session: str
    address: MediaAddress
    remote: Remote | None  # without its keys
    bridged_with: str | None
    play_id: str | None
    recording_id: str | None
    source: MediaAddress | None  # the address its packets come from, once locked
    srtp: SrtpSuite | None = None
    room: str | None = None
    tap: Tap | None = None
    recording_path: str | None = None
    adopted: bool = True  # its client is connected; False: it ends unless somebody adopts it

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SessionState:
        values = dict(data)
        values["tap"] = None if values["tap"] is None else Tap.from_json(values["tap"])
        values["address"] = MediaAddress(**values["address"])
        values["remote"] = None if values["remote"] is None else Remote.from_json(values["remote"])
        values["source"] = None if values["source"] is None else MediaAddress(**values["source"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class PlaneStatistics:
    """The whole process since its start. `cpu_ms` is what its packet threads used."""

    sessions: int
    ports_free: int
    ports_total: int
    packets_in: int
    packets_out: int
    dropped: Dropped
    events_lost: int
    cpu_ms: int
    late_ticks: int  # 1 ms ticks that came more than 5 ms late
    uptime_ms: int
    pid: int
    load: float = 0.0  # of one core, by the busiest packet thread, 0 to 1
    late: float = 0.0  # share of the ticks since the last look that came late, 0 to 1
    refusing: bool = False  # new sessions, until the load falls
    threads: int = 0  # that touch packets
    ticks: int = 0  # of all threads, while something is played, mixed, converted or recorded
    rooms: int = 0
    recording_overruns: int = 0  # pieces of recordings that were lost because the disk was too slow
    refused: Mapping[str, int] = field(default_factory=dict)  # commands, by error code (`overloaded`, `no_ports`, `refused_target`, ...)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlaneStatistics:
        values = dict(data)
        values["dropped"] = Dropped(**values["dropped"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """One key, counted once when it is released (or its end was lost). `digit` is one of `0-9*#ABCD`."""

    session: str
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class DigitsSent:
    """Keys that were sent; not `completed`: broken off by others, by the end of the session or of the agreement on events."""

    session: str
    digits_id: str
    completed: bool


#: What can be listened for: keys by their tones (DigitPressed), fax machines calling and answering, busy, ringback, "not in service".
Tone = Literal["dtmf", "cng", "ced", "busy", "ringback", "sit"]


@dataclass(frozen=True, slots=True)
class ToneDetected:
    """A tone that was asked for was heard; each is told once."""

    session: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class PlayEnded:
    """A playout is over. `completed`: heard to its end; otherwise stopped, replaced or broken off by a digit.

    One that was played to a room has its name in `room` and an empty `session`.
    """

    session: str
    play_id: str
    completed: bool
    played_ms: int
    room: str | None = None


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """A recording is over and its file is whole. That of a room has the room's name in `room` and an empty `session`."""

    session: str
    recording_id: str
    path: Path
    duration_ms: int
    reason: RecordingEnd
    room: str | None = None


@dataclass(frozen=True, slots=True)
class SourceLocked:
    """From now on the session hears this address only."""

    session: str
    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class LoadChanged:
    """From now on new sessions are refused (Overloaded), or taken again; `load` is the busiest packet thread's, of one core."""

    refusing: bool
    load: float


@dataclass(frozen=True, slots=True)
class SessionAbandoned:
    """The plane closed a session whose client went away and that no other one adopted in time."""

    session: str


@dataclass(frozen=True, slots=True)
class PartyTalking:
    """A party of a room that tells its talkers began to speak (60 ms of voice) or ended (400 ms without)."""

    room: str
    session: str
    talking: bool


@dataclass(frozen=True, slots=True)
class PlaneRestarted:
    """The plane behind the socket is a new process: every earlier session is gone and has to be set up again."""


Event = (
    DigitPressed
    | PlayEnded
    | RecordingEnded
    | SourceLocked
    | PartyTalking
    | SessionAbandoned
    | DigitsSent
    | ToneDetected
    | LoadChanged
    | PlaneRestarted
)


def event_to_json(event: Event) -> dict[str, Any]:
    data = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(event).items()}
    return {"event": type(event).__name__, **data}


def event_from_json(data: Mapping[str, Any]) -> Event:
    """The event of a frame. Raises KeyError or TypeError when it has another shape."""
    values = {key: value for key, value in data.items() if key not in ("event", "number")}
    match data["event"]:
        case "DigitPressed":
            return DigitPressed(**values)
        case "PlayEnded":
            return PlayEnded(**values)
        case "RecordingEnded":
            return RecordingEnded(**{**values, "path": Path(values["path"])})
        case "SourceLocked":
            return SourceLocked(**values)
        case "PartyTalking":
            return PartyTalking(**values)
        case "SessionAbandoned":
            return SessionAbandoned(**values)
        case "DigitsSent":
            return DigitsSent(**values)
        case "ToneDetected":
            return ToneDetected(**values)
        case "LoadChanged":
            return LoadChanged(**values)
        case other:
            raise KeyError(other)
