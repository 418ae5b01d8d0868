"""Making and hearing tones: how a test phone says which party it heard, for how long, and when there was silence.

Always: pure; a window of 50 ms is silence, one clear tone, or something else (speech, music, several tones).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from carillon_cli.phone.g711 import RATE

WINDOW = RATE // 20
#: Root mean square below this is silence (about -50 dBFS; a phone's comfort noise is below it).
SILENCE_RMS = 100.0
#: A window is a tone when this part of its energy lies at one frequency.
PURITY = 0.8
#: Frequencies are told to this many Hz; a tone within it is the same tone.
STEP_HZ = 10


def tone(hz: float, samples: int, *, start: int = 0, amplitude: int = 8000) -> list[float]:
    """`samples` samples of a sine from sample number `start` on, so that pieces join without a click."""
    step = 2 * math.pi * hz / RATE
    return [amplitude * math.sin(step * (start + n)) for n in range(samples)]


def goertzel(samples: Sequence[float], hz: float) -> float:
    """Mean power at one frequency, in the unit of the samples squared: a sine of amplitude A gives A*A/2."""
    if not samples:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * hz / RATE)
    last = before = 0.0
    for sample in samples:
        last, before = sample + coefficient * last - before, last
    power = last * last + before * before - coefficient * last * before
    return 2 * power / len(samples) ** 2


def rms(samples: Sequence[float]) -> float:
    """Root mean square; 0 for no samples."""
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples)) if samples else 0.0


def estimate_hz(samples: Sequence[float]) -> float:
    """Frequency by interpolated zero crossings upward; 0 if there are fewer than two. Exact for a single sine."""
    crossings = [n - 1 + a / (a - b) for n, (a, b) in enumerate(pairwise(samples), 1) if a < 0 <= b]
    if len(crossings) < 2:
        return 0.0
    return (len(crossings) - 1) * RATE / (crossings[-1] - crossings[0])


def classify(samples: Sequence[float]) -> int | None:
    """0 for silence, the frequency (a multiple of `STEP_HZ`) for one clear tone, None for anything else."""
    level = rms(samples)
    if level < SILENCE_RMS:
        return 0
    hz = estimate_hz(samples)
    if hz and goertzel(samples, hz) >= PURITY * level * level:
        return round(hz / STEP_HZ) * STEP_HZ
    return None


@dataclass(frozen=True, slots=True)
class Heard:
    """What an ear made of some audio, in seconds: by tone, of other sound, of silence."""

    tones: tuple[tuple[int, float], ...]
    other: float
    silence: float

    @property
    def total(self) -> float:
        """Seconds of audio in all."""
        return self.other + self.silence + sum(seconds for _, seconds in self.tones)

    def tone_seconds(self, hz: int) -> float:
        """Seconds of the tone, with a tolerance of one step to both sides."""
        return sum(seconds for found, seconds in self.tones if abs(found - hz) <= STEP_HZ)

    def __str__(self) -> str:
        parts = [f"{hz} Hz {seconds:.1f} s" for hz, seconds in self.tones if seconds >= 0.1]
        if self.other >= 0.1:
            parts.append(f"speech or other sound {self.other:.1f} s")
        if self.silence >= 0.1:
            parts.append(f"silence {self.silence:.1f} s")
        return ", ".join(parts) or "nothing"


def hear(samples: Sequence[float]) -> Heard:
    """Classify all whole windows; tones longest first."""
    tones: dict[int, float] = {}
    other = silence = 0.0
    seconds = WINDOW / RATE
    for at in range(0, len(samples) - WINDOW + 1, WINDOW):
        match classify(samples[at : at + WINDOW]):
            case 0:
                silence += seconds
            case None:
                other += seconds
            case hz:
                tones[hz] = tones.get(hz, 0.0) + seconds
    ranked = sorted(tones.items(), key=lambda item: (-item[1], item[0]))
    return Heard(tuple((hz, round(total, 2)) for hz, total in ranked), round(other, 2), round(silence, 2))
