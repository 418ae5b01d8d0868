"""Which legs speak SRTP, and where our keys come from.

Invariant: a key is a function of its leg's secret, which is random and in memory only; two suites, or two keys of the far end's, never
get the same one, so that no key stream is used twice.
"""

import hashlib
from collections.abc import Mapping
from typing import Literal

from carillon_sip.flow import Transport
from carillon_sip.sdes import KEY_LENGTHS

#: The setting: `optional` answers SRTP with SRTP, and offers it to who is there by TLS; `required`: whoever is there by TLS must.
SrtpSetting = Literal["off", "optional", "required"]
#: What a trunk says of its own.
TrunkSrtp = Literal["by_transport", "off", "optional", "preferred", "required"]
#: What it means for one leg: not spoken, answered when offered, offered besides RTP (both under RTP/AVP), before RTP, or nothing else.
Secrecy = Literal["none", "answered", "offered", "preferred", "required"]
_OF_TRUNK: Mapping[TrunkSrtp, Secrecy] = {"off": "none", "optional": "offered", "preferred": "preferred", "required": "required"}


def secrecy_of(setting: SrtpSetting, transport: Transport, trunk: TrunkSrtp = "by_transport") -> Secrecy:
    """Keys travel in the session description: only TLS keeps them, so only there do we begin, unless a trunk says otherwise."""
    if trunk != "by_transport":
        return _OF_TRUNK[trunk]
    if setting == "off":
        return "none"
    if transport != "tls":
        return "answered"
    return "required" if setting == "required" else "offered"


def key_for(secret: bytes, suite: str, theirs: bytes = b"") -> bytes:
    """Our master key and salt for a suite; `theirs`: the key that it answers, empty for an offer."""
    return hashlib.shake_256(b"carillon srtp\0" + secret + suite.encode() + b"\0" + theirs).digest(KEY_LENGTHS[suite])
