"""Digits as the two tones of a keypad (ITU-T Q.23), one file for each digit: no file says which digits were sent to whom."""

from pathlib import Path

import numpy as np

from carillon_media.adapters.prompts import RATE, Samples, write_wav

_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = "123A456B789C*0#D"
TONE_MS, PAUSE_MS = 100, 80
#: Of full scale, each: -12 dB, the higher one 2 dB louder as ITU-T Q.24 expects.
_LOW, _HIGH = 0.2, 0.25


def keypad_files(folder: Path, digits: str) -> list[Path]:
    """A file for each digit, made if need be. Raises OSError; digits that no keypad has are left out."""
    return [_file(folder, digit) for digit in digits.upper() if digit in KEYS]


def _file(folder: Path, digit: str) -> Path:
    path = folder / f"key-{KEYS.index(digit):02}.wav"
    if not path.exists():
        write_wav(path, dial_tone(digit))
    return path


def dial_tone(digit: str) -> Samples:
    """The digit's tones, and a pause behind them."""
    place = KEYS.index(digit)
    time = np.arange(RATE * TONE_MS // 1000) / RATE
    low, high = _ROWS[place // 4], _COLUMNS[place % 4]
    sound = _LOW * np.sin(2 * np.pi * low * time) + _HIGH * np.sin(2 * np.pi * high * time)
    return np.concatenate([sound, np.zeros(RATE * PAUSE_MS // 1000)])
