"""Music on hold as a file."""

import wave
from pathlib import Path

import numpy as np
import pytest

from carillon_media.adapters.hold_music import hold_music, melody

RATE = 8000


def written(path: Path, samples: np.ndarray, rate: int, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2" if width == 2 else "u1").tobytes())
    return path


def read(path: Path) -> tuple[int, int, np.ndarray]:
    with wave.open(str(path)) as file:
        return file.getframerate(), file.getnchannels(), np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


def test_our_melody_is_never_silent_never_loud_and_joins_its_beginning() -> None:
    samples = melody()
    windows = samples[: len(samples) // 400 * 400].reshape(-1, 400)
    assert np.sqrt((windows**2).mean(axis=1)).min() > 0.005
    assert 0.1 < np.abs(samples).max() <= 0.25
    assert abs(samples[0] - samples[-1]) <= np.abs(np.diff(samples)).max()


@pytest.mark.feature("M-4")
def test_it_is_made_once(tmp_path: Path) -> None:
    path = hold_music(tmp_path, None)
    made = path.stat().st_mtime_ns
    assert hold_music(tmp_path, None) == path
    assert path.stat().st_mtime_ns == made
    assert read(path)[:2] == (RATE, 1)
    wide = hold_music(tmp_path, None, 2 * RATE)
    assert wide != path
    assert read(wide)[:2] == (2 * RATE, 1)


@pytest.mark.feature("M-4")
def test_the_operators_music_is_made_fit_for_telephones(tmp_path: Path) -> None:
    seconds = np.arange(44_100) / 44_100
    given = written(tmp_path / "given.wav", np.repeat(10_000 * np.sin(2 * np.pi * 500 * seconds), 2), 44_100, channels=2)
    rate, channels, samples = read(hold_music(tmp_path / "prompts", given))
    assert (rate, channels) == (RATE, 1)
    assert len(samples) == pytest.approx(RATE, abs=10)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * RATE / len(samples) == pytest.approx(500, abs=2)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no music at all" * 100])
def test_what_is_no_music_is_refused_at_the_start(tmp_path: Path, content: bytes) -> None:
    given = tmp_path / "given.wav"
    given.write_bytes(content)
    with pytest.raises(ValueError, match=r"given\.wav"):
        hold_music(tmp_path / "prompts", given)


def test_eight_bit_samples_and_a_blink_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="16 bit"):
        hold_music(tmp_path / "p", written(tmp_path / "a.wav", np.zeros(8000), RATE, width=1))
    with pytest.raises(ValueError, match="16 bit"):
        hold_music(tmp_path / "p", written(tmp_path / "b.wav", np.zeros(10), RATE))
    with pytest.raises(OSError, match="missing"):
        hold_music(tmp_path / "p", tmp_path / "missing.wav")
