"""The codecs we encode and decode, outside the plane: for phones in tests and measurements. The plane's own packets never come here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from carillon_rtp._core import ffi, lib

#: The core's numbers of what it understands, by upper-case name; everything else is relayed only.
KINDS: Mapping[str, int] = {"PCMU": lib.PLANE_PCMU, "PCMA": lib.PLANE_PCMA, "G722": lib.PLANE_G722, "OPUS": lib.PLANE_OPUS}
MOST_SAMPLES = 5760  # of one packet: 120 ms of Opus at 48 kHz
MOST_BYTES = 1500


class Encoder:
    """Linear samples to payloads. `rate` is that of the samples, 8000 or 16000 Hz. Raises KeyError for another codec."""

    def __init__(self, codec: str, rate: int = 8000) -> None:
        self._core = ffi.gc(lib.encoder_new(KINDS[codec.upper()], rate), lib.encoder_free)

    def encode(self, samples: Sequence[int]) -> bytes:
        """The payload of 20 ms. Raises ValueError when the codec refuses the length."""
        to = ffi.new("uint8_t[]", MOST_BYTES)
        length = lib.encoder_encode(self._core, ffi.new("int16_t[]", list(samples)), len(samples), to, MOST_BYTES)
        if not length:
            raise ValueError(f"{len(samples)} samples cannot be encoded")
        return bytes(ffi.buffer(to, length))


class Decoder:
    """Payloads to linear samples at `rate`, 8000 or 16000 Hz. Raises KeyError for another codec."""

    def __init__(self, codec: str, rate: int = 8000) -> None:
        self._core = ffi.gc(lib.decoder_new(KINDS[codec.upper()], rate), lib.decoder_free)

    def decode(self, payload: bytes) -> list[int]:
        """Raises ValueError when it is not of this codec."""
        to = ffi.new("int16_t[]", MOST_SAMPLES)
        count = lib.decoder_decode(self._core, payload, len(payload), to, MOST_SAMPLES)
        if not count:
            raise ValueError("the payload cannot be decoded")
        return list(to[0:count])
