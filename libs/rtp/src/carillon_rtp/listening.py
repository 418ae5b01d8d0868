"""What the plane listens for in a stream, outside the plane: for tests and measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carillon_rtp._core import ffi, lib
from carillon_rtp.core import TONE_NAMES, tone_mask
from carillon_rtp.values import Tone

DTMF: tuple[Tone, ...] = ("dtmf",)


class Listener:
    """One stream of 8 kHz samples. `keys` are (character, milliseconds), in the order of being let go. Nothing `wanted`: keys."""

    def __init__(self, *wanted: Tone) -> None:
        self.keys: list[tuple[str, int]] = []
        self.tones: list[Tone] = []
        self._callbacks = (ffi.callback("void(void *, int, int, uint32_t)", self._key), ffi.callback("void(void *, int)", self._tone))
        self._core = ffi.gc(lib.detector_new(tone_mask(wanted or DTMF), *self._callbacks, ffi.NULL), lib.detector_free)

    def hear(self, sequence: int, samples: Sequence[int]) -> None:
        """The samples of one packet, at most 960."""
        lib.detector_hear(self._core, sequence % 65536, ffi.new("int16_t[]", list(samples)), len(samples))

    def _key(self, _data: Any, key: int, down: int, duration_ms: int) -> None:
        if not down:
            self.keys.append((chr(key), duration_ms))

    def _tone(self, _data: Any, tone: int) -> None:
        self.tones.append(TONE_NAMES[tone])
