"""Reading WAV files of telephony: 8 kHz, mono, A-law, mu-law or 16 bit, as mailboxes and recordings have them.

Always: sizes are checked against what is there; nothing else than those formats is taken.
"""

import struct
from array import array
from collections.abc import Iterator

from carillon_cli.phone.g711 import RATE, decode

PCM, EXTENSIBLE = 1, 0xFFFE


class BadWav(ValueError):
    """Not a WAV file that a phone system would make; says why."""


def chunks(data: bytes, *, strict: bool = True) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a RIFF file: id and body. When not strict, a last one that is cut short is taken as it is, and one of size 0 too:
    whoever still writes the file fills the size in at the end."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise BadWav("no RIFF/WAVE header")
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if strict and at + 8 + size > len(data):
            raise BadWav(f"chunk {name!r} claims {size} bytes, {len(data) - at - 8} are there")
        if size == 0 and not strict:
            size = len(data) - at - 8
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + (size & 1)


def read(data: bytes, *, strict: bool = True) -> list[int]:
    """Samples, 16 bit linear at 8 kHz. Raises `BadWav`."""
    return _read(data, (RATE,), strict)[0]


def read_wide(data: bytes) -> list[int]:
    """The same of what may be at 16 kHz or 48, as G.722 and Opus are heard, and may still be written: of that every second or sixth
    sample. Raises `BadWav`."""
    samples, rate = _read(data, (RATE, 2 * RATE, 6 * RATE), strict=False)
    return samples[:: rate // RATE]


def _read(data: bytes, rates: tuple[int, ...], strict: bool) -> tuple[list[int], int]:
    """Samples and their rate."""
    found = dict(chunks(data, strict=strict))
    if len(found.get(b"fmt ", b"")) < 16 or b"data" not in found:
        raise BadWav("no fmt or no data chunk")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", found[b"fmt "])
    if kind == EXTENSIBLE and len(found[b"fmt "]) >= 26:
        kind = struct.unpack_from("<H", found[b"fmt "], 24)[0]
    if not (channels == 1 or (channels, bits, rate) == (2, 16, 6 * RATE)) or rate not in rates:
        raise BadWav(f"{channels} channel(s) at {rate} Hz, not one at {RATE} Hz")
    match kind, bits:
        case (1, 16):
            samples = array("h")
            samples.frombytes(found[b"data"][: len(found[b"data"]) // 2 * 2])
            return samples[::channels].tolist(), rate
        case (6, 8):
            return decode("PCMA", found[b"data"]), rate
        case (7, 8):
            return decode("PCMU", found[b"data"]), rate
        case _:
            raise BadWav(f"format {kind} with {bits} bits is neither 16 bit nor G.711")


def write(samples: list[int], rate: int = RATE, channels: int = 1) -> bytes:
    """A 16 bit WAV file of samples at `rate` Hz, the same in each channel."""
    body = array("h", [sample for sample in samples for _ in range(channels)]).tobytes()
    size = 2 * channels
    form = (PCM, channels, rate, size * rate, size, 16)
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(body), b"WAVE", b"fmt ", 16, *form, b"data", len(body))
    return header + body
