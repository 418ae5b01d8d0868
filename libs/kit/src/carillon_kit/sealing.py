"""Secrets that must be readable again, sealed so that only holders of the installation's key can read them: AES-SIV (RFC 5297).

Invariant: a sealed text opens only with the key, the purpose and the context that it was sealed with; the same text in the same context
gives the same seal, so that storing it twice changes nothing. Whoever sees two seals learns whether they are equal, and no more.
"""

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

#: Bytes of an AES-256-SIV key.
_KEY_BYTES = 64


class SealBroken(Exception):
    """The text was sealed with another key or for another place, or was changed."""


class Sealer:
    """`key` is the installation's secret, at least 32 bytes; `purpose` keeps seals of different kinds apart."""

    def __init__(self, key: bytes, purpose: str) -> None:
        self._cipher = AESSIV(HKDF(SHA256(), _KEY_BYTES, salt=None, info=purpose.encode()).derive(key))

    def seal(self, text: str, *context: str) -> str:
        """URL-safe text without padding. `context` says whose secret it is; a seal moved elsewhere does not open."""
        return base64.urlsafe_b64encode(self._cipher.encrypt(text.encode(), _associated(context))).rstrip(b"=").decode()

    def seal_bytes(self, data: bytes, *context: str) -> bytes:
        """As `seal`, for bytes."""
        return self._cipher.encrypt(data, _associated(context))

    def open_bytes(self, sealed: bytes, *context: str) -> bytes:
        """What `seal_bytes` sealed; raises `SealBroken`."""
        try:
            return self._cipher.decrypt(sealed, _associated(context))
        except (InvalidTag, ValueError) as error:
            raise SealBroken from error

    def open(self, sealed: str, *context: str) -> str:
        """What was sealed; raises `SealBroken`."""
        try:
            raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            return self._cipher.decrypt(raw, _associated(context)).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SealBroken from error


def _associated(context: tuple[str, ...]) -> list[bytes]:
    return [part.encode() for part in context]
