"""Decodes one file that a stranger made, in a process of its own that may use so much memory and time and no more.

    python -m carillon_media.adapters.audio_decoder SOURCE NARROW WIDE MAX_SECONDS

Writes two WAV files, 8 kHz A-law and 16 kHz 16 bit, mono, of the same loudness; then prints one line of JSON: `duration_ms` and `format`,
or `error`. Always: what it says of the source it has read from its samples, not from its header.
"""

import json
import resource
import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

WIDE_RATE, NARROW_RATE = 16_000, 8_000
MEMORY_BYTES = 1 << 30
CPU_SECONDS = 60
BLOCK_FRAMES = 65_536
#: RMS of the loudest tenth of all 50 ms windows, in full scale; and the peak that is not passed.
TARGET_LEVEL, PEAK = 0.12, 0.89
FORMATS = {"WAV", "WAVEX", "MP3", "MPEG", "OGG"}
SUBTYPES = {"PCM_U8", "PCM_16", "PCM_24", "ALAW", "ULAW", "VORBIS", "OPUS", "MPEG_LAYER_III", "MPEG_LAYER_II", "MPEG_LAYER_I"}
Samples = NDArray[np.float32]


class Unfit(Exception):
    """The file cannot be taken; the message says why."""


def decoded(source: Path, max_seconds: float) -> tuple[Samples, str]:
    """Mono at `WIDE_RATE`, and what it was; raises `Unfit`."""
    try:
        with soundfile.SoundFile(source) as file:
            return _read(file, max_seconds), f"{file.format} {file.subtype}, {file.samplerate} Hz, {file.channels} channels"
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        raise Unfit(f"is no sound file that can be read: {error}") from error


def _read(file: soundfile.SoundFile, max_seconds: float) -> Samples:
    if file.format not in FORMATS or file.subtype not in SUBTYPES:
        raise Unfit(f"{file.format} {file.subtype} is not taken: WAV (8, 16 or 24 bit, A-law, mu-law), MP3 or OGG")
    if not 8_000 <= file.samplerate <= 48_000:
        raise Unfit(f"{file.samplerate} Hz is not 8 to 48 kHz")
    if not 1 <= file.channels <= 2:
        raise Unfit(f"{file.channels} channels; one or two are taken")
    stream = soxr.ResampleStream(file.samplerate, WIDE_RATE, 1, dtype="float32")
    parts: list[Samples] = []
    frames = 0
    for block in file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
        frames += len(block)
        if frames > max_seconds * file.samplerate:
            raise Unfit(f"is longer than {max_seconds:g} s")
        parts.append(stream.resample_chunk(np.ascontiguousarray(block.mean(axis=1))))
    parts.append(stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
    samples = np.nan_to_num(np.concatenate(parts), posinf=0.0, neginf=0.0)
    if len(samples) < WIDE_RATE // 10:
        raise Unfit("is shorter than a tenth of a second")
    return samples


def normalised(samples: Samples) -> Samples:
    """Brought to one loudness, never beyond the peak; silence stays silence."""
    window = WIDE_RATE // 20
    whole = samples[: max(1, len(samples) // window) * window]
    levels = np.sqrt(np.mean(np.square(whole.reshape(-1, min(window, len(whole)))), axis=1))
    loud = float(np.mean(np.sort(levels)[-max(1, len(levels) // 10) :]))
    peak = float(np.max(np.abs(samples)))
    if loud < 1e-5:
        return samples
    return (samples * min(TARGET_LEVEL / loud, PEAK / peak)).astype(np.float32)


def convert(source: Path, narrow: Path, wide: Path, max_seconds: float) -> dict[str, object]:
    """Both forms; raises `Unfit`."""
    raw, kind = decoded(source, max_seconds)
    samples = normalised(raw)
    soundfile.write(wide, samples, WIDE_RATE, subtype="PCM_16", format="WAV")
    telephone = soxr.resample(samples, WIDE_RATE, NARROW_RATE)
    soundfile.write(narrow, np.clip(telephone, -1, 1), NARROW_RATE, subtype="ALAW", format="WAV")
    return {"duration_ms": round(len(samples) * 1000 / WIDE_RATE), "format": kind}


def main() -> int:
    """The process."""
    source, narrow, wide, seconds = sys.argv[1:5]
    for what, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_FSIZE, MEMORY_BYTES)):
        resource.setrlimit(what, (most, most))
    try:
        answer = convert(Path(source), Path(narrow), Path(wide), float(seconds))
    except Unfit as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": "takes too much memory"}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
