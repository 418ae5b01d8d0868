"""Which legs speak SRTP, and where our keys come from.

Invariant: a key is a function of its leg's secret, which is random and in memory only; two suites, or two keys of the far end's, never
get the same one, so that no key stream is used twice.
"""

import hashlib
from typing import Literal

from carillon_sip.flow import Transport
from carillon_sip.sdes import KEY_LENGTHS

#: The setting: `optional` answers SRTP with SRTP, and offers it to who is there by TLS; `required`: whoever is there by TLS must.
SrtpSetting = Literal["off", "optional", "required"]
#: What it means for one leg: not spoken, answered when offered, offered besides RTP (both under RTP/AVP), or nothing else.
Secrecy = Literal["none", "answered", "offered", "required"]


def secrecy_of(setting: SrtpSetting, transport: Transport) -> Secrecy:
    """Keys travel in the session description: only TLS keeps them, so only there do we begin."""
    if setting == "off":
        return "none"
    if transport != "tls":
        return "answered"
    return "required" if setting == "required" else "offered"


def key_for(secret: bytes, suite: str, theirs: bytes = b"") -> bytes:
    """Our master key and salt for a suite; `theirs`: the key that it answers, empty for an offer."""
    return hashlib.shake_256(b"carillon srtp\0" + secret + suite.encode() + b"\0" + theirs).digest(KEY_LENGTHS[suite])
