"""SRTP of one direction outside the plane: for phones in tests and for published vectors. The plane's own packets never come here.

A tag that is wrong, a replay, or an index used before raises; nothing of such a packet is given out. Keys are in no message.
"""

from __future__ import annotations

import errno
from typing import Any

from carillon_rtp._core import ffi, lib
from carillon_rtp.values import SRTP_KEY_LENGTHS, SrtpSuite

SUITES: dict[SrtpSuite, int] = {
    "AES_CM_128_HMAC_SHA1_80": lib.PLANE_AES_CM_128_HMAC_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": lib.PLANE_AES_CM_128_HMAC_SHA1_32,
    "AES_256_CM_HMAC_SHA1_80": lib.PLANE_AES_256_CM_HMAC_SHA1_80,
    "AES_256_CM_HMAC_SHA1_32": lib.PLANE_AES_256_CM_HMAC_SHA1_32,
    "AEAD_AES_128_GCM": lib.PLANE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": lib.PLANE_AEAD_AES_256_GCM,
}
MOST = 2048  # bytes of a packet
TAIL = 20  # bytes that protection may append


class SrtpError(Exception):
    """The packet was not protected or not believed; `reason` is `malformed`, `replayed` or `unauthentic`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_REASONS = {-errno.EINVAL: "malformed", -errno.EALREADY: "replayed", -errno.EACCES: "unauthentic"}


def derive(suite: SrtpSuite, master_key: bytes, label: int, length: int) -> bytes:
    """`length` bytes of the key of a label, RFC 3711 section 4.3.1."""
    to = ffi.new("uint8_t[]", length)
    lib.srtp_derive(SUITES[suite], master_key, label, to, length)
    return bytes(ffi.buffer(to))


class SrtpStream:
    """One direction under one master key (key and salt, as SDES carries them), or under session keys given as such."""

    def __init__(self, suite: SrtpSuite, master_key: bytes) -> None:
        if len(master_key) != SRTP_KEY_LENGTHS[suite]:
            raise ValueError(f"{suite} needs {SRTP_KEY_LENGTHS[suite]} bytes")
        self._take(lib.srtp_new(SUITES[suite], master_key))

    @classmethod
    def of_session_keys(cls, suite: SrtpSuite, cipher: bytes, tag: bytes, salt: bytes) -> SrtpStream:
        """Keys that were derived already, the same ones for SRTCP."""
        stream = cls.__new__(cls)
        stream._take(lib.srtp_new_from_session_keys(SUITES[suite], cipher, tag.ljust(20, b"\0"), salt))
        return stream

    def _take(self, core: Any) -> None:
        if core == ffi.NULL:
            raise MemoryError
        self._core = ffi.gc(core, lib.srtp_free)

    def start(self, ssrc: int, index: int, rtcp_index: int = 0) -> None:
        """As a sender: `index` (roll-overs * 65536 + sequence number) was the last one used; `rtcp_index` is SRTCP's next."""
        lib.srtp_start(self._core, ssrc, index, rtcp_index)

    def expect(self, roll_overs: int) -> None:
        """As a receiver: a far end not heard so far may have rolled over about so often."""
        lib.srtp_expect(self._core, roll_overs)

    def protect(self, packet: bytes) -> bytes:
        """RTP to SRTP. Raises SrtpError."""
        return self._do(lib.srtp_protect, packet)

    def unprotect(self, packet: bytes) -> bytes:
        """SRTP to RTP. Raises SrtpError."""
        return self._do(lib.srtp_unprotect, packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """A compound RTCP packet to SRTCP. Raises SrtpError."""
        return self._do(lib.srtcp_protect, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """SRTCP to RTCP. Raises SrtpError."""
        return self._do(lib.srtcp_unprotect, packet)

    def _do(self, operation: Any, packet: bytes) -> bytes:
        if len(packet) > MOST:
            raise SrtpError("malformed")
        buffer = ffi.new("uint8_t[]", len(packet) + TAIL)
        ffi.buffer(buffer)[: len(packet)] = packet
        length = operation(self._core, buffer, len(packet))
        if length < 0:
            raise SrtpError(_REASONS.get(length, "failed"))
        return bytes(ffi.buffer(buffer, length))
