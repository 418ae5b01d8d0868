"""What one leg has agreed to send and hear: offer and answer with our own address, and what the media plane is to be told.

Invariant: `version` of our description rises whenever what we send differs from what we sent last (RFC 3264 section 8), and a
description that was sent once as an answer is sent the same again (183, then 200).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import cast

from carillon_media.domain.addresses import address_of
from carillon_media.domain.secrecy import Secrecy, key_for
from carillon_rtp.values import AudioCodec, IpVersion, Remote, SrtpKeys, SrtpSuite
from carillon_rtp.values import Codec as CodecName
from carillon_sip.errors import ParseError
from carillon_sip.offer_answer import (
    G722,
    OPUS,
    PCMA,
    PCMU,
    Negotiated,
    NotAcceptable,
    answer_offer,
    audio_of,
    make_offer,
    read_answer,
)
from carillon_sip.sdes import OFFERED, Crypto
from carillon_sip.sdp import SECURE_PROTOCOLS, Codec, SessionDescription

#: What we offer when nobody has said what he likes.
CODECS: tuple[Codec, ...] = (PCMA, PCMU)
#: What we can make into one another; everything else is not agreed to.
_KNOWN = {codec.name: codec for codec in (PCMA, PCMU, G722, OPUS)}
_KNOWN_RATES = {(codec.name, codec.clock_rate) for codec in _KNOWN.values()}
_EVENT_48K = 110
#: The offer of a call is looked at when it comes and when it is answered.
_parse = lru_cache(maxsize=512)(SessionDescription.parse)
#: Extended reports (RFC 3611) that we want, and write where they are wanted.
_XR = ("stat-summary", "voip-metrics")
#: Hold as RFC 2543 had it.
_NOWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class LegMedia:
    """A leg with its media port. `description` is what we sent last, `remote` what the far end said last (None: not yet).

    `secret` is what our SRTP keys are made from: 32 random bytes, never written down.
    """

    ip: str
    port: int
    session_id: int
    version: int = 0
    description: SessionDescription | None = field(default=None, repr=False)
    remote: Remote | None = None
    codec: str = ""
    secrecy: Secrecy = "none"
    secret: bytes = field(default=b"", repr=False)
    #: Comfort noise is agreed to where it is offered.
    comfort_noise: bool = False

    @property
    def ip_version(self) -> IpVersion:
        """Of our address."""
        return _version_of(self.ip)

    @property
    def body(self) -> bytes:
        """Our last description as it is sent; empty if there is none."""
        return b"" if self.description is None else self.description.to_bytes()

    @property
    def on_hold(self) -> bool:
        """The far end does not want to hear us."""
        return self.remote is not None and not self.remote.send

    @property
    def srtp(self) -> str:
        """The suite that the audio is under; empty: none."""
        return "" if self.remote is None or self.remote.crypto is None else self.remote.crypto.suite

    def offering(self, preferred: Sequence[str] = (), *, srtp_only: bool = False) -> "LegMedia":
        """With our offer: the preferred codecs in their order, then those that everybody has. `srtp_only`: RTP will not do."""
        names = dict.fromkeys((*(name for name in preferred if name in _KNOWN), *(codec.name for codec in CODECS)))
        version = self.version + 1
        must = srtp_only or self.secrecy in ("preferred", "required") or self.secured
        offer = make_offer(
            self.ip,
            self.port,
            session_id=self.session_id,
            version=version,
            codecs=[_KNOWN[name] for name in names],
            telephone_event_48k=_EVENT_48K if OPUS.name in names else None,
            crypto=self._offered_keys(),
            protocol="RTP/SAVP" if must else "RTP/AVP",
            rtcp_xr=_XR,
        )
        return replace(self, version=version, description=offer)

    @property
    def secured(self) -> bool:
        """What we sent last was SRTP and nothing else."""
        return self.description is not None and any(media.port and media.protocol in SECURE_PROTOCOLS for media in self.description.media)

    def _offered_keys(self) -> list[Crypto]:
        """Keys in use are offered again, so that no stream begins anew."""
        known = self.remote.crypto if self.remote is not None else None
        if self.secrecy == "none":
            return []
        if known is not None:
            return [Crypto(1, known.suite, known.local_key)]
        suites = OFFERED if self.secrecy in ("offered", "preferred", "required") else ()
        return [Crypto(tag, suite, key_for(self.secret, suite)) for tag, suite in enumerate(suites, 1)]

    def otherwise(self, preferred: Sequence[str] = ()) -> "LegMedia | None":
        """With another offer than that which was not acceptable: SRTP alone, or RTP alone where SRTP was tried first; None: no other."""
        match self.secrecy:
            case "offered" if not self.secured:
                return self.offering(preferred, srtp_only=True)
            case "preferred":
                return replace(self, secrecy="none", description=None).offering(preferred)
            case _:
                return None

    def answered(self, body: bytes) -> "LegMedia":
        """With the far end's answer to our offer. Raises NotAcceptable or ParseError."""
        if self.description is None:
            raise NotAcceptable("an answer without an offer")
        return self._agreed(read_answer(self.description, _parse(body)), self.description)

    def answering(self, body: bytes, preferred: str = "") -> "LegMedia":
        """With our answer to the far end's offer: one codec, `preferred` if it is there, else the first. Raises NotAcceptable or
        ParseError."""
        offer = _parse(body)
        version = self.version + 1
        names = offered_codecs(body, self.secrecy, (self.ip_version,))
        if not names:
            raise NotAcceptable("no codec in common")
        agreed = answer_offer(
            offer,
            self.ip,
            self.port,
            session_id=self.session_id,
            version=version,
            codecs=[_KNOWN[preferred if preferred in names else names[0]]],
            local_key=None if self.secrecy == "none" else self._answering_key,
            rtcp_xr=_XR,
            comfort_noise=self.comfort_noise,
        )
        return replace(self._agreed(agreed, agreed.local), version=version)

    def _answering_key(self, theirs: Crypto) -> bytes:
        """Another key of the far end's is a new beginning, for which no key is used again."""
        known = self.remote.crypto if self.remote is not None else None
        if known is not None and (known.suite, known.remote_key) == (theirs.suite, theirs.key):
            return known.local_key
        return key_for(self.secret, theirs.suite, theirs.key)

    def _agreed(self, agreed: Negotiated, local: SessionDescription) -> "LegMedia":
        stream = agreed.remote
        nowhere = stream.address in _NOWHERE
        if not reaches(stream.address, (self.ip_version,)):
            raise NotAcceptable("the media plane does not reach that address")
        if self.secrecy == "required" and agreed.crypto is None:
            raise NotAcceptable("SRTP is required")
        codec, known = agreed.codec, self.remote
        rate = agreed.telephone_event_rate
        remote = Remote(
            ip=known.ip if nowhere and known is not None else str(address_of(stream.address)),
            port=stream.port,
            codec=_plane_codec(codec),
            telephone_event=agreed.telephone_event,
            send=agreed.send and not nowhere,
            receive=agreed.receive,
            telephone_event_rate=None if rate == codec.clock_rate else rate,
            crypto=None if agreed.crypto is None else _keys(*agreed.crypto, known.crypto if known is not None else None),
            rtcp_port=stream.port if stream.rtcp_mux else stream.rtcp_port,
            xr_summary="stat-summary" in stream.rtcp_xr,
            xr_voip="voip-metrics" in stream.rtcp_xr,
            comfort_noise=self.comfort_noise and stream.comfort_noise,
        )
        return replace(self, description=local, remote=remote, codec=codec.name)

    def agreed_at(self, now: float) -> "LegMedia":
        """With the Unix time at which keys came into use, unless that is known."""
        remote = self.remote
        if remote is None or remote.crypto is None or remote.crypto.agreed_at is not None:
            return self
        return replace(self, remote=replace(remote, crypto=replace(remote.crypto, agreed_at=now)))


def _plane_codec(codec: Codec) -> AudioCodec | CodecName:
    """G.711 under its static payload types by name alone."""
    if (codec.name, codec.payload_type) in (("PCMU", 0), ("PCMA", 8)):
        return cast(CodecName, codec.name)
    return AudioCodec(codec.name, codec.payload_type, codec.clock_rate, codec.fmtp if codec.name == OPUS.name else "")


def _keys(ours: Crypto, theirs: Crypto, known: SrtpKeys | None) -> SrtpKeys:
    """What the plane is told; keys that were in use already are the same ones since the same time."""
    keys = SrtpKeys(cast(SrtpSuite, ours.suite), ours.key, theirs.key)
    return known if known is not None and replace(known, agreed_at=None) == keys else keys


def reaches(address: str, versions: Sequence[int] = (4,)) -> bool:
    """Whether a media port of one of these IP versions can send there: an IP address (or "hold"), and no name."""
    if address in _NOWHERE:
        return True
    try:
        return address_of(address).version in versions
    except ValueError:
        return False


def _version_of(address: str) -> IpVersion:
    """That of an IP address; 4 for a name, too."""
    return 6 if ":" in address else 4


def offered_version(body: bytes) -> IpVersion:
    """The IP version of an offer's audio; 4 for what cannot be read, too."""
    try:
        audio, _ = audio_of(_parse(body), secure=True)
    except (ParseError, NotAcceptable):
        return 4
    return _version_of(audio.address)


def offered_codecs(body: bytes, secrecy: Secrecy = "none", versions: Sequence[int] = (4,)) -> tuple[str, ...]:
    """The codecs of an offer that are ours, in its order; none: the offer is unusable, to be refused with 488. `versions`: the IP versions
    of our media ports."""
    try:
        audio, _ = audio_of(_parse(body), secure=secrecy != "none")
    except (ParseError, NotAcceptable):
        return ()
    if not reaches(audio.address, versions) or (secrecy == "required" and not audio.crypto):
        return ()
    return tuple(dict.fromkeys(codec.name for codec in audio.codecs if (codec.name, codec.clock_rate) in _KNOWN_RATES))
