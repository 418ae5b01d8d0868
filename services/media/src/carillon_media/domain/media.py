"""What one leg has agreed to send and hear: offer and answer with our own address, and what the media plane is to be told.

Invariant: `version` of our description rises whenever what we send differs from what we sent last (RFC 3264 section 8), and a
description that was sent once as an answer is sent the same again (183, then 200).
"""

import ipaddress
from dataclasses import dataclass, replace
from functools import lru_cache

from carillon_rtp.values import Codec as CodecName
from carillon_rtp.values import Remote
from carillon_sip.errors import ParseError
from carillon_sip.offer_answer import PCMA, PCMU, Negotiated, NotAcceptable, answer_offer, make_offer, read_answer
from carillon_sip.sdp import Codec, SessionDescription

CODECS: tuple[Codec, ...] = (PCMA, PCMU)
#: The offer of a call is looked at when it comes and when it is answered.
_parse = lru_cache(maxsize=512)(SessionDescription.parse)
#: Hold as RFC 2543 had it.
_NOWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class LegMedia:
    """A leg with its media port. `description` is what we sent last, `remote` what the far end said last (None: not yet)."""

    ip: str
    port: int
    session_id: int
    version: int = 0
    description: SessionDescription | None = None
    remote: Remote | None = None
    codec: str = ""

    @property
    def body(self) -> bytes:
        """Our last description as it is sent; empty if there is none."""
        return b"" if self.description is None else self.description.to_bytes()

    @property
    def on_hold(self) -> bool:
        """The far end does not want to hear us."""
        return self.remote is not None and not self.remote.send

    def offering(self, preferred: str = "") -> "LegMedia":
        """With our offer, the preferred codec first."""
        codecs = sorted(CODECS, key=lambda codec: codec.name != preferred)
        version = self.version + 1
        offer = make_offer(self.ip, self.port, session_id=self.session_id, version=version, codecs=codecs)
        return replace(self, version=version, description=offer)

    def answered(self, body: bytes) -> "LegMedia":
        """With the far end's answer to our offer. Raises NotAcceptable or ParseError."""
        if self.description is None:
            raise NotAcceptable("an answer without an offer")
        return self._agreed(read_answer(self.description, _parse(body)), self.description)

    def answering(self, body: bytes) -> "LegMedia":
        """With our answer to the far end's offer. Raises NotAcceptable or ParseError."""
        offer = _parse(body)
        version = self.version + 1
        agreed = answer_offer(offer, self.ip, self.port, session_id=self.session_id, version=version, codecs=CODECS)
        return replace(self._agreed(agreed, agreed.local), version=version)

    def _agreed(self, agreed: Negotiated, local: SessionDescription) -> "LegMedia":
        stream = agreed.remote
        nowhere = stream.address in _NOWHERE
        if not reaches(stream.address, self.ip):
            raise NotAcceptable("the media plane does not reach that address")
        name: CodecName = "PCMU" if agreed.codec.name == "PCMU" else "PCMA"
        known = self.remote
        remote = Remote(
            ip=known.ip if nowhere and known is not None else stream.address,
            port=stream.port,
            codec=name,
            telephone_event=agreed.telephone_event,
            send=agreed.send and not nowhere,
            receive=agreed.receive,
        )
        return replace(self, description=local, remote=remote, codec=name)


def reaches(address: str, plane_ip: str = "0.0.0.0") -> bool:
    """Whether a media port at `plane_ip` can send there: an IP address of its own family (or "hold"), and no name."""
    if address in _NOWHERE:
        return True
    try:
        return ipaddress.ip_address(address).version == ipaddress.ip_address(plane_ip).version
    except ValueError:
        return False


def offered_codec(body: bytes) -> str:
    """The first codec of an offer that is ours; empty: the offer is unusable, to be refused with 488."""
    try:
        audio = _parse(body).audio
    except ParseError:
        return ""
    if audio is None or audio.port == 0 or not reaches(audio.address):
        return ""
    names = {codec.name for codec in CODECS}
    return next((codec.name.upper() for codec in audio.codecs if codec.name.upper() in names), "")
