"""Keys of SRTP in session descriptions (RFC 4568): `a=crypto` lines, and the suites they may name.

Invariant: a key is in no `repr` and in no message; a line that asks for more than we do (an MKI, session parameters, several keys, an
unknown suite, a key of another length) is passed over, never half obeyed.
"""

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Bytes of a master key followed by its salt: RFC 4568 section 6.2, RFC 6188, RFC 7714 section 14.1.
KEY_LENGTHS: Mapping[str, int] = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
#: What we offer, the best first: one with an authenticated mode, and those that every phone has.
OFFERED = ("AEAD_AES_256_GCM", "AES_256_CM_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80")
_INLINE = "inline:"


@dataclass(frozen=True, slots=True)
class Crypto:
    """One `a=crypto` line: its tag, suite, and master key with salt, under which its sender sends."""

    tag: int
    suite: str
    key: bytes = field(repr=False)

    @property
    def value(self) -> str:
        """As it is written after `crypto:`. Holds the key."""
        return f"{self.tag} {self.suite} {_INLINE}{b64encode(self.key).decode()}"


def parse_crypto(value: str) -> Crypto | None:
    """The line after `crypto:`; None for one that is passed over. A lifetime is allowed: keys live as long as calls do."""
    parts = value.split()
    if len(parts) != 3:
        return None
    tag, suite, parameters = parts
    if not (tag.isascii() and tag.isdigit()) or len(tag) > 9 or suite not in KEY_LENGTHS or parameters[:7].lower() != _INLINE:
        return None
    text, *more = parameters[len(_INLINE) :].split("|")
    if ";" in parameters or len(more) > 1 or any(":" in part for part in more):
        return None
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (Error, ValueError):
        return None
    return Crypto(int(tag), suite, key) if len(key) == KEY_LENGTHS[suite] else None
