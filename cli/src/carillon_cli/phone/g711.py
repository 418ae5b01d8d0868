"""G.711 as tables (ITU-T G.711 tables 1a and 2a): one byte is one sample of 1/8000 s.

Always: decoding then encoding gives the same byte back, except for mu-law's second zero.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

RATE = 8000


def _alaw(byte: int) -> int:
    byte ^= 0x55
    exponent = (byte >> 4) & 7
    magnitude = ((byte & 0x0F) << 4) + 8
    if exponent:
        magnitude = (magnitude + 0x100) << (exponent - 1)
    return magnitude if byte & 0x80 else -magnitude


def _ulaw(byte: int) -> int:
    byte = ~byte & 0xFF
    magnitude = ((((byte & 0x0F) << 3) + 0x84) << ((byte >> 4) & 7)) - 0x84
    return -magnitude if byte & 0x80 else magnitude


#: Codec name -> 256 linear samples, 16 bit.
DECODE: dict[str, tuple[int, ...]] = {
    "PCMA": tuple(_alaw(byte) for byte in range(256)),
    "PCMU": tuple(_ulaw(byte) for byte in range(256)),
}
_SORTED = {name: sorted((value, byte) for byte, value in enumerate(table)) for name, table in DECODE.items()}
_EDGES = {name: [(a[0] + b[0]) / 2 for a, b in pairwise(pairs)] for name, pairs in _SORTED.items()}


def decode(codec: str, payload: bytes) -> list[int]:
    """Samples, 16 bit linear, of a payload. Raises KeyError for another codec."""
    table = DECODE[codec]
    return [table[byte] for byte in payload]


def encode(codec: str, samples: Sequence[float]) -> bytes:
    """The nearest code word of each sample; what is too loud is clipped."""
    edges, pairs = _EDGES[codec], _SORTED[codec]
    return bytes(pairs[bisect_right(edges, sample)][1] for sample in samples)
