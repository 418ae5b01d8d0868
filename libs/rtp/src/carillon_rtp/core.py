"""The C core as a typed object: handles and numbers in, values and events out.

One thread calls it. The core's own threads do the packets and never touch Python.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import ipaddress
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NewType

from carillon_rtp._core import ffi, lib
from carillon_rtp.codecs import KINDS
from carillon_rtp.extended import extended_report
from carillon_rtp.load import LoadSample
from carillon_rtp.protocol import BadFile, BadRequest, NoCoder, NoSession, PlaneError, PortsExhausted, RefusedTarget
from carillon_rtp.quality import mos
from carillon_rtp.srtp import SUITES
from carillon_rtp.values import (
    AudioCodec,
    Dropped,
    IpVersion,
    Party,
    PlaneStatistics,
    RecordedSides,
    RecordingEnd,
    Remote,
    SrtpKeys,
    Statistics,
    Tone,
)

Handle = NewType("Handle", int)
RoomHandle = NewType("RoomHandle", int)

DIGITS = "0123456789*#ABCD"  # in the order of RFC 4733 section 3.2
_REASONS: dict[int, RecordingEnd] = {
    lib.PLANE_BY_SILENCE: "silence",
    lib.PLANE_BY_LENGTH: "length",
    lib.PLANE_BY_DIGIT: "digit",
    lib.PLANE_BY_STOP: "stopped",
}
TONES: dict[Tone, int] = {
    "dtmf": lib.PLANE_TONE_DTMF,
    "cng": lib.PLANE_TONE_CNG,
    "ced": lib.PLANE_TONE_CED,
    "busy": lib.PLANE_TONE_BUSY,
    "ringback": lib.PLANE_TONE_RINGBACK,
    "sit": lib.PLANE_TONE_SIT,
}
TONE_NAMES = {number: tone for tone, number in TONES.items()}
_SIDES: dict[RecordedSides, int] = {"said": lib.PLANE_SAID, "mix": lib.PLANE_MIX, "stereo": lib.PLANE_STEREO}
_EVENTS_AT_ONCE = 256
COMFORT_NOISE = 13  # RFC 3389 section 5.1
_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291 section 2.5.5.2
#: Networks of one far end, by the core's room for them.
MOST_SOURCES = 8


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """Where the core listens. Ports are inclusive, `rest_seconds` is how long one rests after its call."""

    listen_ip: str
    port_low: int
    port_high: int
    threads: int = 1
    nice: int = -10  # of the packet threads, where the system allows it
    rest_seconds: float = 5.0
    learn_seconds: float = 0.5
    report_seconds: float = 5.0  # between two RTCP reports of a session, on average; 0: none, at most 6.5
    allow_loopback: bool = True
    refused_networks: tuple[str, ...] = ()
    listen_ip6: str | None = None  # of sessions over IPv6, None: there are none
    state_path: Path | None = None  # by this file a core started anew goes on with the streams of its predecessor


@dataclass(frozen=True, slots=True)
class DigitHeard:
    handle: Handle
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class PlayOver:
    handle: Handle
    number: int
    completed: bool
    played_ms: int


@dataclass(frozen=True, slots=True)
class RecordingOver:
    number: int
    reason: RecordingEnd
    duration_ms: int
    error: int  # errno of the disk, or 0


@dataclass(frozen=True, slots=True)
class SourceLearned:
    handle: Handle
    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class DialOver:
    handle: Handle
    number: int
    completed: bool


@dataclass(frozen=True, slots=True)
class ToneHeard:
    handle: Handle
    tone: Tone


@dataclass(frozen=True, slots=True)
class TalkNoticed:
    handle: Handle
    talking: bool


CoreEvent = DialOver | ToneHeard | TalkNoticed | DigitHeard | PlayOver | RecordingOver | SourceLearned


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """Of a session or a room (which has neither sides nor keys nor silence nor tone)."""

    path: Path
    max_ms: int
    silence_ms: int = 0
    finish_digits: str = ""
    sides: RecordedSides = "said"
    tone_ms: int = 0


class Core:
    """The packet threads of one process. Raises OSError when they cannot start."""

    def __init__(self, settings: CoreSettings) -> None:
        error = ffi.new("int *")
        state_path = ffi.NULL if settings.state_path is None else ffi.new("char[]", os.fsencode(settings.state_path))
        self._plane = lib.plane_new(_settings(settings, state_path), error)
        if self._plane == ffi.NULL:
            raise OSError(-error[0], f"the media plane cannot start: {os.strerror(-error[0])}")
        self._buffer = ffi.new("plane_event[]", _EVENTS_AT_ONCE)

    def stop(self) -> None:
        """Ends every session and thread; recordings are whole afterwards."""
        plane, self._plane = self._plane, ffi.NULL
        if plane != ffi.NULL:
            lib.plane_free(plane)

    @property
    def event_fd(self) -> int:
        """Readable while `events` has something."""
        return int(lib.plane_event_fd(self._plane))

    def events(self) -> list[CoreEvent]:
        """What happened since the last time."""
        found: list[CoreEvent] = []
        while True:
            count = lib.plane_events(self._plane, self._buffer, _EVENTS_AT_ONCE)
            found.extend(_event(self._buffer[index]) for index in range(count))
            if count < _EVENTS_AT_ONCE:
                return found

    def open(self, session: str, wanted_port: int | None, ip_version: IpVersion = 4) -> tuple[Handle, int]:
        """A handle and its port. Raises PortsExhausted, BadRequest (no address of that IP version)."""
        identity = int.from_bytes(hashlib.blake2b(session.encode(), digest_size=8).digest(), "big")
        port = ffi.new("uint16_t *")
        handle = lib.plane_open(self._plane, identity, wanted_port or 0, ip_version == 6, port)
        if handle == -errno.EADDRNOTAVAIL:
            raise PortsExhausted("no_ports", "every port of the range is taken or rests")
        _check(min(handle, 0))
        return Handle(handle), port[0]

    def set_remote(self, handle: Handle, remote: Remote) -> None:
        values = _remote(remote)
        try:
            _check(lib.plane_set_remote(self._plane, handle, values), f"nothing is sent to {remote.ip}:{remote.port}")
        finally:
            ffi.buffer(values)[:] = bytes(ffi.sizeof("plane_remote"))  # no key stays behind

    def bridge(self, a: Handle, b: Handle) -> None:
        _check(lib.plane_bridge(self._plane, a, b))

    def unbridge(self, handle: Handle) -> None:
        _check(lib.plane_unbridge(self._plane, handle))

    def play(self, handle: Handle, number: int, files: Sequence[str], *, loop: bool, barge_in: bool) -> None:
        """Raises BadFile with what is wrong with which file, NoCoder."""
        names = [ffi.new("char[]", os.fsencode(file)) for file in files]
        why = ffi.new("char[]", 512)
        result = lib.plane_play(self._plane, handle, number, ffi.new("char *[]", names), len(names), loop, barge_in, why, 512)
        _check(result, ffi.string(why).decode(errors="replace"))

    def stop_play(self, handle: Handle) -> None:
        _check(lib.plane_stop_play(self._plane, handle))

    def record(self, handle: Handle, number: int, recording: RecordingRequest) -> None:
        """Raises BadFile when the file cannot be made, NoCoder."""
        with _recording(number, recording) as wanted:
            _check_file(lib.plane_record(self._plane, handle, wanted), recording.path)

    def pause_record(self, handle: Handle, *, paused: bool) -> None:
        _check(lib.plane_pause_record(self._plane, handle, paused))

    def record_room(self, room: RoomHandle, number: int, recording: RecordingRequest) -> None:
        """Raises BadFile."""
        with _recording(number, recording) as wanted:
            _check_file(lib.plane_room_record(self._plane, room, wanted), recording.path)

    def stop_record_room(self, room: RoomHandle) -> None:
        _check(lib.plane_room_stop_record(self._plane, room))

    def pause_record_room(self, room: RoomHandle, *, paused: bool) -> None:
        _check(lib.plane_room_pause_record(self._plane, room, paused))

    def send_digits(self, handle: Handle, number: int, digits: str, *, on_ms: int, off_ms: int, tones: bool, after: bool) -> None:
        """Raises NoCoder where neither events nor tones can be sent."""
        _check(lib.plane_send_digits(self._plane, handle, number, digits.encode(), on_ms, off_ms, tones, after))

    def detect(self, handle: Handle, tones: Iterable[Tone]) -> None:
        """Replaces what was listened for. Raises NoCoder."""
        _check(lib.plane_detect(self._plane, handle, tone_mask(tones)))

    def stop_record(self, handle: Handle) -> None:
        _check(lib.plane_stop_record(self._plane, handle))

    def open_room(self, *, entry_sound: str | None, exit_sound: str | None, music: str | None, tell_talkers: bool) -> RoomHandle:
        """Raises BadFile, BadRequest where there are too many rooms."""
        sounds = [ffi.NULL if path is None else ffi.new("char[]", os.fsencode(path)) for path in (entry_sound, exit_sound, music)]
        why = ffi.new("char[]", 512)
        result = lib.plane_open_room(self._plane, ffi.new("plane_room *", (*sounds, tell_talkers)), why, 512)
        _check(min(result, 0), ffi.string(why).decode(errors="replace"))
        return RoomHandle(result)

    def close_room(self, room: RoomHandle) -> None:
        """Its parties leave it and hear their bridges again."""
        _check(lib.plane_close_room(self._plane, room))

    def join(self, handle: Handle, room: RoomHandle, party: Party, *, silent: bool) -> None:
        """Or changes how it takes part. Raises NoCoder, BadRequest."""
        gain = round(4096 * 10 ** (party.gain_db / 20))
        _check(lib.plane_join(self._plane, handle, room, ffi.new("plane_party *", (party.says, party.hears, gain, silent))))

    def leave(self, handle: Handle, *, silent: bool) -> None:
        _check(lib.plane_leave(self._plane, handle, silent))

    def play_room(self, room: RoomHandle, number: int, files: Sequence[str], *, loop: bool) -> None:
        """Raises BadFile."""
        names = [ffi.new("char[]", os.fsencode(file)) for file in files]
        why = ffi.new("char[]", 512)
        result = lib.plane_room_play(self._plane, room, number, ffi.new("char *[]", names), len(names), loop, why, 512)
        _check(result, ffi.string(why).decode(errors="replace"))

    def stop_play_room(self, room: RoomHandle) -> None:
        _check(lib.plane_room_stop_play(self._plane, room))

    def close(self, handle: Handle) -> Statistics:
        counters = ffi.new("plane_counters *")
        _check(lib.plane_close(self._plane, handle, counters))
        return _statistics(counters)

    def statistics(self, handle: Handle) -> tuple[Statistics, tuple[str, int] | None]:
        """The session's statistics and the address it is locked to."""
        counters = ffi.new("plane_counters *")
        _check(lib.plane_counters_of(self._plane, handle, counters))
        source = (_ip(counters.source_ip), int(counters.source_port)) if counters.source_port else None
        return _statistics(counters), source

    def load(self) -> LoadSample:
        """What the packet threads have used of their processors, and how late they were."""
        totals = ffi.new("plane_totals *")
        lib.plane_totals_of(self._plane, totals)
        used = [totals.thread_cpu_ns[thread] / 1e6 for thread in range(totals.threads)]
        return LoadSample(used, totals.ticks, totals.late_ticks)

    def totals(self, uptime_ms: int) -> PlaneStatistics:
        totals = ffi.new("plane_totals *")
        lib.plane_totals_of(self._plane, totals)
        return PlaneStatistics(
            sessions=totals.sessions,
            ports_free=totals.ports_free,
            ports_total=totals.ports_total,
            packets_in=totals.packets_in,
            packets_out=totals.packets_out,
            dropped=_dropped(totals.dropped),
            events_lost=totals.events_lost,
            cpu_ms=totals.cpu_ns // 1_000_000,
            late_ticks=totals.late_ticks,
            uptime_ms=uptime_ms,
            pid=os.getpid(),
            threads=totals.threads,
            ticks=totals.ticks,
            recording_overruns=totals.recording_overruns,
        )


@contextlib.contextmanager
def _recording(number: int, wanted: RecordingRequest) -> Iterator[Any]:
    path = ffi.new("char[]", os.fsencode(wanted.path))
    mask = sum(1 << DIGITS.index(digit) for digit in set(wanted.finish_digits))
    yield ffi.new("plane_recording *", (number, path, wanted.max_ms, wanted.silence_ms, wanted.tone_ms, mask, _SIDES[wanted.sides]))


def _check_file(result: int, path: Path) -> None:
    if result in (lib.PLANE_NO_CODER, -errno.EINVAL):
        _check(result)
    if result < 0:
        raise BadFile("bad_file", f"{path}: {os.strerror(-result)}")


def _settings(settings: CoreSettings, state_path: Any) -> Any:
    networks = [ipaddress.ip_network(network, strict=False) for network in settings.refused_networks]
    if len(networks) > 32:
        raise ValueError("at most 32 refused networks")
    return ffi.new(
        "plane_settings *",
        {
            "listen_ip": _packed(settings.listen_ip),
            "listen_ip6": bytes(16) if settings.listen_ip6 is None else _packed(settings.listen_ip6),
            "six": settings.listen_ip6 is not None,
            "port_low": settings.port_low,
            "port_high": settings.port_high,
            "rest_ms": int(settings.rest_seconds * 1000),
            "learn_ms": int(settings.learn_seconds * 1000),
            "report_ms": int(settings.report_seconds * 1000),
            "threads": settings.threads,
            "nice": settings.nice,
            "allow_loopback": settings.allow_loopback,
            "state_path": state_path,
            "refused_nets": len(networks),
            "refused_net": [_packed(network.network_address) for network in networks],
            "refused_prefix": [_prefix(network) for network in networks],
        },
    )


def _remote(remote: Remote) -> Any:
    try:
        address = _packed(remote.ip)
    except ValueError:
        raise BadRequest("bad_request", f"{remote.ip!r} is not an IP address") from None
    event = lib.PLANE_NO_EVENT if remote.telephone_event is None else remote.telephone_event
    if (
        not 0 <= remote.port <= 65535
        or not 0 <= (remote.rtcp_port or 0) <= 65535
        or (remote.telephone_event is not None and not 0 <= event <= 127)
    ):
        raise BadRequest("bad_request", "port or payload type out of range")
    codec = AudioCodec.of(remote.codec)
    name = codec.name.upper().encode()
    if not 0 < len(name) < 32 or not name.isascii() or not 0 <= codec.payload_type <= 127 or not 1000 <= codec.clock_rate <= 192000:
        raise BadRequest("bad_request", "codec name, payload type or clock rate out of range")
    if codec.payload_type == event:
        raise BadRequest("bad_request", f"payload type {event} cannot be audio and telephone-event")
    return ffi.new(
        "plane_remote *",
        {
            "ip": address,
            "port": remote.port,
            "rtcp_port": remote.rtcp_port or 0,
            "codec": KINDS.get(name.decode(), lib.PLANE_OTHER),
            "payload_type": codec.payload_type,
            "clock_rate": codec.clock_rate,
            "name": name,
            "telephone_event": event,
            "event_rate": remote.telephone_event_rate or codec.clock_rate,
            "send": remote.send,
            "receive": remote.receive,
            "xr_summary": remote.xr_summary,
            "xr_voip": remote.xr_voip,
            "comfort_noise": COMFORT_NOISE if remote.comfort_noise else lib.PLANE_NO_EVENT,
            **_sources(remote.sources),
            **_opus(codec.parameters),
            **_keys(remote.crypto),
        },
    )


def _opus(parameters: str) -> dict[str, Any]:
    """What RFC 7587 section 6.1 says of a receiver; what is not understood is left out."""
    values = dict(part.strip().lower().split("=", 1) for part in parameters.split(";") if "=" in part)
    rate = values.get("maxplaybackrate", "").strip()
    return {
        "fec": values.get("useinbandfec", "").strip() == "1",
        "dtx": values.get("usedtx", "").strip() == "1",
        "playback_rate": int(rate) if rate.isascii() and rate.isdigit() and len(rate) <= 6 else 0,
    }


def _sources(sources: Sequence[str]) -> dict[str, Any]:
    if len(sources) > MOST_SOURCES:
        raise BadRequest("bad_request", f"at most {MOST_SOURCES} sources")
    try:
        networks = [ipaddress.ip_network(source, strict=False) for source in sources]
    except ValueError as error:
        raise BadRequest("bad_request", f"sources: {error}") from None
    return {
        "sources": len(networks),
        "source_net": [_packed(network.network_address) for network in networks],
        "source_prefix": [_prefix(network) for network in networks],
    }


def tone_mask(tones: Iterable[Tone]) -> int:
    """As the core takes what is to be listened for."""
    return sum(1 << TONES[tone] for tone in set(tones))


def _keys(crypto: SrtpKeys | None) -> dict[str, Any]:
    if crypto is None:
        return {"suite": lib.PLANE_NO_SRTP}
    agreed_ms = 0 if crypto.agreed_at is None else int(crypto.agreed_at * 1000)
    return {"suite": SUITES[crypto.suite], "local_key": crypto.local_key, "remote_key": crypto.remote_key, "agreed_ms": agreed_ms}


def _check(result: int, why: str = "") -> None:
    if not result:
        return
    if result == -errno.ENOENT:
        raise NoSession("no_session", "no such session")
    if result == lib.PLANE_REFUSED:
        raise RefusedTarget("refused_target", why)
    if result == lib.PLANE_NO_FILE:
        raise BadFile("bad_file", why)
    if result == lib.PLANE_NO_CODER:
        raise NoCoder("no_coder", "the far end's codec can be relayed only: nothing is played to it or recorded")
    if result == -errno.EAFNOSUPPORT:
        raise BadRequest("bad_request", "another IP version than the session's, or one that the plane has no address of")
    if result == -errno.ENOSPC:
        raise BadRequest("bad_request", "too many rooms, parties of a room, ways of hearing in it, or keys that wait")
    if result == -errno.EBUSY:
        raise BadRequest("bad_request", "the two are in different rooms")
    if result == -errno.EINVAL:
        raise BadRequest("bad_request", "the core refuses these arguments")
    raise PlaneError("failed", os.strerror(-result))


def _packed(address: str | ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    """16 bytes, IPv4 as `::ffff:a.b.c.d`; raises ValueError, for an address with a zone too."""
    known = ipaddress.ip_address(address)
    if known.version == 6 and known.scope_id is not None:
        raise ValueError(f"{address} has a zone")
    return known.packed if known.version == 6 else _MAPPED + known.packed


def _prefix(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> int:
    return network.prefixlen if network.version == 6 else 96 + network.prefixlen


def _ip(packed: Any) -> str:
    address = ipaddress.IPv6Address(bytes(ffi.buffer(packed)))
    return str(address.ipv4_mapped or address)


def _dropped(counts: Any) -> Dropped:
    return Dropped(
        source=counts[lib.PLANE_DROP_SOURCE],
        malformed=counts[lib.PLANE_DROP_MALFORMED],
        payload_type=counts[lib.PLANE_DROP_PAYLOAD_TYPE],
        unwanted=counts[lib.PLANE_DROP_UNWANTED],
        unsent=counts[lib.PLANE_DROP_UNSENT],
        flood=counts[lib.PLANE_DROP_FLOOD],
        codec=counts[lib.PLANE_DROP_CODEC],
        unauthentic=counts[lib.PLANE_DROP_UNAUTHENTIC],
        replayed=counts[lib.PLANE_DROP_REPLAYED],
    )


def _statistics(counters: Any) -> Statistics:
    codec, heard, told = ffi.string(counters.codec).decode(), counters.last_packet_ms >= 0, counters.remote_jitter_ms >= 0
    round_trip_ms = None if counters.round_trip_ms < 0 else round(counters.round_trip_ms, 3)
    return Statistics(
        packets_in=counters.packets_in,
        packets_out=counters.packets_out,
        bytes_in=counters.bytes_in,
        bytes_out=counters.bytes_out,
        lost=counters.lost,
        out_of_order=counters.out_of_order,
        jitter_ms=round(counters.jitter_ms, 3),
        dropped=_dropped(counters.dropped),
        last_packet_ms=counters.last_packet_ms if heard else None,
        loss_fraction=round(counters.loss_fraction, 5),
        round_trip_ms=round_trip_ms,
        mos=mos(codec, counters.loss_fraction, counters.jitter_ms, round_trip_ms) if heard else None,
        remote_lost=counters.remote_lost if told else None,
        remote_loss_fraction=round(counters.remote_loss_fraction, 5) if told else None,
        remote_jitter_ms=round(counters.remote_jitter_ms, 3) if told else None,
        remote_mos=mos(codec, counters.remote_loss_fraction, counters.remote_jitter_ms, round_trip_ms) if told else None,
        reports_in=counters.reports_in,
        reports_out=counters.reports_out,
        extended=extended_report(counters.xr),
    )


def _event(event: Any) -> CoreEvent:
    handle = Handle(event.handle)
    match event.kind:
        case lib.PLANE_DIGIT:
            return DigitHeard(handle, chr(event.digit), event.duration_ms)
        case lib.PLANE_PLAY_ENDED:
            return PlayOver(handle, event.number, bool(event.completed), event.duration_ms)
        case lib.PLANE_RECORDING_ENDED:
            return RecordingOver(event.number, _REASONS[event.reason], event.duration_ms, event.error)
        case lib.PLANE_DIGITS_SENT:
            return DialOver(handle, event.number, bool(event.completed))
        case lib.PLANE_TONE:
            return ToneHeard(handle, TONE_NAMES[event.reason])
        case lib.PLANE_TALKING:
            return TalkNoticed(handle, bool(event.completed))
        case _:
            return SourceLearned(handle, _ip(event.ip), event.port)
