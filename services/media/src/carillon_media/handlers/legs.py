"""A leg's ends in the world, its SIP session and its media port, and the media plane told about them.

Invariant: a leg has at most one media port, opened once; the plane knows of a leg what `told` says.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_media.domain.families import Families
from carillon_media.domain.key_memory import NOTHING_REMEMBERED, KeyMemory, heard_in_audio, told_beside_events
from carillon_media.domain.media import LegMedia, offered_codecs, offered_version
from carillon_media.domain.media_sources import MediaSources
from carillon_media.domain.secrecy import SrtpSetting, TrunkSrtp, secrecy_of
from carillon_media.domain.snapshots import SavedLeg
from carillon_media.ports import Parts, PlanePort
from carillon_rtp.protocol import PlaneError
from carillon_rtp.values import IpVersion, Remote, Restored, Tone
from carillon_sip.flow import Flow

_log = get_logger(__name__)


class PortLost(Exception):
    """The plane could not give a leg its port back."""


@dataclass(slots=True)
class LegIo:
    """A leg's SIP session and media port. `told` is what the plane knows; `reoffer` waits for AcceptReoffer (empty: a delayed offer)."""

    leg_id: str
    session: str
    flow: Flow
    plane: str
    media: LegMedia | None = None
    told: Remote | None = None
    offer: bytes = b""
    answered: bool = False
    awaits_answer: bool = False
    reoffer: bytes | None = None
    bridged_with: str = ""
    #: We called it.
    outgoing: bool = False
    #: Of a call for help: it gets a media port however busy the plane is.
    urgent: bool = False
    #: Hold music: since when it plays (monotonic; None: it does not) and how much of it was heard before, in seconds.
    music_since: float | None = None
    music_heard: float = 0.0
    #: Its 2xx waits for our ACK, until the answer is in the journal.
    unacknowledged: bool = False
    #: The REFER whose sender is to be told how its transfer goes; empty: none.
    refer: str = ""
    #: Calls it once more with other media and returns the session; None: it called us, or may not be called again.
    again: Callable[[LegMedia], str] | None = None
    #: It refused audio of one IP version and was offered the other.
    turned: bool = False
    #: Number and name of whom its phone was told to be connected with; None: nothing was said yet.
    connected: tuple[str, str] | None = None
    #: How often it was told again because its phone could not take it then.
    told_again: int = 0
    #: Networks of its trunk's media, and what the trunk says of SRTP.
    media_networks: tuple[str, ...] = ()
    srtp: TrunkSrtp = "by_transport"
    #: The last snapshot of it that is in the journal.
    kept: SavedLeg | None = None
    #: Tones that the call wants to hear of, and what the plane was told to listen for.
    tones: tuple[Tone, ...] = ()
    listening: tuple[Tone, ...] = ()
    keys: KeyMemory = NOTHING_REMEMBERED
    #: The far end as the plane has to know it, and what it was made of.
    heard: tuple[tuple[Remote, str, tuple[str, ...], bool], Remote] | None = None


def _session_id(plane: str) -> int:
    """sess-id of the leg's descriptions (RFC 8866 section 5.2). The same in every process: a 200 that is said again after a kill, because
    nobody knows whether it went out, is the same description."""
    return int.from_bytes(sha256(plane.encode()).digest()[:6])


def codecs_offered(parts: Parts, body: bytes, flow: Flow, srtp: TrunkSrtp = "by_transport") -> tuple[str, ...]:
    """Those of an offer that came by the flow which are ours; none: it cannot be used."""
    return offered_codecs(body, secrecy_of(parts.srtp, flow.transport, srtp), parts.plane.ip_versions) if body else ()


def has_keys_in_audio(leg: LegIo) -> bool:
    """Never beside telephone events: keys would count twice."""
    return leg.told is not None and leg.told.telephone_event is None


def listened_for(leg: LegIo) -> tuple[Tone, ...]:
    """What the plane has to listen for in what the leg says."""
    return ("dtmf", *leg.tones) if has_keys_in_audio(leg) else leg.tones


def key_counts(leg: LegIo | None, digit: str, now: float, *, by_info: bool, held: float = 0.0) -> bool:
    """Whether a key is not one that counts already. `now` is monotonic; `held`: seconds before that in which it was pressed already."""
    if leg is None:
        return True
    if has_keys_in_audio(leg):
        leg.keys, counts = heard_in_audio(leg.keys, digit, now, by_info=by_info)
    else:
        leg.keys, counts = told_beside_events(leg.keys, digit, now, now - held, by_info=by_info)
    return counts


def _other(media: LegMedia) -> IpVersion:
    return 4 if media.ip_version == 6 else 6


class MediaPorts:
    """Media ports of legs on one plane. Every method raises `PlaneError` when the plane refuses or is away."""

    __slots__ = ("_clock", "_comfort_noise", "_families", "_plane", "_sources", "_srtp")

    def __init__(
        self,
        plane: PlanePort,
        clock: Clock,
        srtp: SrtpSetting,
        sources: MediaSources,
        comfort_noise: bool = False,
        families: Families | None = None,
    ) -> None:
        self._plane = plane
        self._clock = clock
        self._srtp = srtp
        self._sources = sources
        self._comfort_noise = comfort_noise
        self._families = families or Families()

    async def open(self, leg: LegIo) -> LegMedia:
        """The leg with a media port."""
        if leg.media is None:
            address = await self._plane.open(leg.plane, urgent=leg.urgent, ip_version=self._version_of(leg))
            leg.media = LegMedia(
                address.ip,
                address.port,
                session_id=_session_id(leg.plane),
                secrecy=secrecy_of(self._srtp, leg.flow.transport, leg.srtp),
                secret=secrets.token_bytes(32),
                comfort_noise=self._comfort_noise,
            )
        return leg.media

    def _version_of(self, leg: LegIo) -> IpVersion:
        """That of its offer; whom we call is taken to have the one that it had last, else the one that its SIP comes by."""
        host = leg.flow.remote[0]
        if leg.offer:
            version = offered_version(leg.offer)
            self._learn(host, version)
            return version
        return 6 if self._families.expected(host) == 6 and 6 in self._plane.ip_versions else 4

    def _learn(self, host: str, version: IpVersion) -> None:
        """Behind an edge there are many phones."""
        if not self._sources.is_edge(host):
            self._families.learn(host, version)

    def heard_of(self, leg: LegIo) -> None:
        """Its far end takes audio of the version that it was offered."""
        if leg.media is not None:
            self._learn(leg.flow.remote[0], leg.media.ip_version)

    def may_turn(self, leg: LegIo) -> bool:
        """Whether it can be offered the other IP version, once."""
        return not leg.turned and leg.media is not None and _other(leg.media) in self._plane.ip_versions

    async def turn(self, leg: LegIo) -> LegMedia:
        """The leg with a media port of the other IP version, and nothing said yet."""
        assert leg.media is not None
        leg.turned = True
        await self._plane.close(leg.plane)
        address = await self._plane.open(leg.plane, urgent=leg.urgent, ip_version=_other(leg.media))
        leg.told, leg.listening, leg.bridged_with = None, (), ""
        leg.media = replace(leg.media, ip=address.ip, port=address.port, description=None, remote=None)
        return leg.media

    async def agree(self, leg: LegIo, preferred: str = "") -> LegMedia:
        """The leg with our description: the answer to its offer, with this codec if it has it, or our offer. Raises SipError if they
        cannot agree."""
        media = await self.open(leg)
        if media.description is None:
            media = media.answering(leg.offer, preferred) if leg.offer else media.offering()
            leg.media = media
        return media

    async def tell(self, leg: LegIo) -> None:
        """Tell the plane what the far end said, unless it knows."""
        remote = self._untold(leg)
        if remote is not None:
            await self._plane.set_remote(leg.plane, remote)
            leg.told = remote
            await self._listen(leg)

    async def listen(self, leg: LegIo, tones: tuple[Tone, ...]) -> None:
        """For exactly these tones; where no telephone events are agreed, for keys in the audio as well."""
        leg.tones = tones
        await self._listen(leg, anew=True)

    async def _listen(self, leg: LegIo, *, anew: bool = False) -> None:
        """What it listens for changes with what is agreed. A codec that is only relayed says nothing to us; a plane that is away is told
        when it is back."""
        wanted = listened_for(leg)
        if not anew and wanted == leg.listening:
            return
        try:
            await self._plane.detect(leg.plane, wanted)
            leg.listening = wanted
        except PlaneError as error:
            leg.listening = ()
            _log.debug("nothing is listened for", session=leg.plane, error=str(error))

    def _untold(self, leg: LegIo) -> Remote | None:
        """The far end as the plane does not know it yet; None: it does, or there is none."""
        if leg.media is None or self.remote_of(leg) == leg.told:
            return None
        leg.media = leg.media.agreed_at(self._clock.now().timestamp())
        return self.remote_of(leg)

    def remote_of(self, leg: LegIo) -> Remote | None:
        """The far end as the plane has to know it, None: nothing is known of it."""
        if leg.media is None or leg.media.remote is None:
            return None
        sip = leg.flow.remote[0]
        asked = (leg.media.remote, sip, leg.media_networks, self._sources.is_edge(sip))
        if leg.heard is None or leg.heard[0] != asked:
            sources = self._sources.of(leg.media.remote.ip, sip, leg.media_networks)
            leg.heard = (asked, replace(leg.media.remote, sources=sources))
        return leg.heard[1]

    async def join(self, one: LegIo, other: LegIo) -> None:
        """Both hear each other, by one command. Raises PortLost."""
        news = [(leg, leg.media, remote) for leg in (one, other) if (remote := self._untold(leg)) is not None and leg.media is not None]
        bridges = [(one.plane, other.plane)] if one.bridged_with != other.leg_id else []
        if not news and not bridges:
            return
        await self._set_up(news, bridges)
        one.bridged_with, other.bridged_with = other.leg_id, one.leg_id

    async def part(self, leg: LegIo, other: LegIo | None) -> None:
        """The leg and who it was joined with hear nobody."""
        leg.bridged_with = ""
        if other is not None:
            other.bridged_with = ""
        await self._plane.unbridge(leg.plane)

    async def restore(self, legs: Iterable[LegIo]) -> None:
        """Same ports, same far ends, same bridges on a plane that is a new process. Raises PortLost."""
        alive = {leg.leg_id: leg for leg in legs if leg.media is not None}
        wanted = []
        for leg in alive.values():
            assert leg.media is not None
            leg.listening = ()
            leg.media = leg.media.agreed_at(self._clock.now().timestamp())
            wanted.append((leg, leg.media, self.remote_of(leg)))
        both = ((leg, alive.get(leg.bridged_with)) for leg in alive.values())
        bridges = [(leg.plane, other.plane) for leg, other in both if other is not None and leg.leg_id < other.leg_id]
        if wanted:
            await self._set_up(wanted, bridges)

    async def _set_up(self, legs: Sequence[tuple[LegIo, LegMedia, Remote | None]], bridges: Sequence[tuple[str, str]]) -> None:
        """The plane knows these far ends and bridges, by one command. Raises PortLost."""
        wanted = [Restored(leg.plane, media.port, remote, media.ip_version) for leg, media, remote in legs]
        for (leg, media, remote), address in zip(legs, await self._plane.restore(wanted, bridges), strict=True):
            if address.port != media.port:
                raise PortLost(leg.plane)
            leg.told = remote
            await self._listen(leg)
