"""What a held party hears: a WAV file of the operator's, or a soft arpeggio of our own, as one file that the media plane loops.

Always: the file lies in the prompts' folder (the plane reads nothing else of ours), is complete when its name exists, and joins its own
beginning without a click when it is ours.
"""

import hashlib
import io
import wave
from pathlib import Path

import numpy as np
import soxr

from carillon_media.adapters.prompts import RATE, WIDE_RATE, Samples, write_wav

#: Changes when the melody does.
_MELODY = "1"
_BEAT = 0.4
_BEATS_A_CHORD = 8
#: A minor, F, C, G, from A2 up; four notes up and down again.
_CHORDS = ((110.0, 220.0, 261.63, 329.63), (87.31, 174.61, 220.0, 261.63), (130.81, 196.0, 261.63, 329.63), (98.0, 196.0, 246.94, 293.66))
_FIGURE = (0, 1, 2, 3, 2, 3, 2, 1)
#: Peak of the loudest moment, of full scale: music stays below speech.
_LEVEL = 0.22
#: Nobody holds a file of more than this in memory to hear music; 8 kHz 16 bit would be 87 minutes.
MAX_BYTES = 64 * 1024 * 1024


def hold_music(folder: Path, given: Path | None, rate: int = RATE) -> Path:
    """The file to loop at this rate, made in `folder` if need be. Raises ValueError or OSError when `given` cannot be used."""
    end = "-wide.wav" if rate == WIDE_RATE else ".wav"
    folder.mkdir(parents=True, exist_ok=True)
    if given is None:
        path = folder / f"hold-music-{_MELODY}{end}"
        if not path.exists():
            write_wav(path, melody(rate), rate)
        return path
    if given.stat().st_size > MAX_BYTES:
        raise ValueError(f"{given} is larger than {MAX_BYTES} bytes")
    content = given.read_bytes()
    path = folder / f"hold-{hashlib.sha256(content).hexdigest()[:32]}{end}"
    if not path.exists():
        write_wav(path, _samples(given, content, rate), rate)
    return path


def _samples(given: Path, content: bytes, wanted: int) -> Samples:
    """Any 16 bit WAV as mono at the wanted rate."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{given} is not a WAV file of 16 bit samples: {error}") from error
    if width != 2 or len(frames) < 2 * channels * rate // 10:
        raise ValueError(f"{given} is not a WAV file of 16 bit samples, a tenth of a second or longer")
    found = np.frombuffer(frames, dtype="<i2").astype(np.float64).reshape(-1, channels).mean(axis=1) / 32768
    return found if rate == wanted else np.asarray(soxr.resample(found, rate, wanted))


def melody(rate: int = RATE) -> Samples:
    """Twelve seconds of broken chords; notes that ring on beyond the end ring on at the beginning."""
    beat = round(rate * _BEAT)
    whole = np.zeros(beat * _BEATS_A_CHORD * len(_CHORDS))
    for bar, chord in enumerate(_CHORDS):
        for step, voice in enumerate(_FIGURE):
            sound = _note(2 * chord[voice], rate)
            places = ((bar * _BEATS_A_CHORD + step) * beat + np.arange(len(sound))) % len(whole)
            np.add.at(whole, places, sound)
    return np.asarray(whole * (_LEVEL / np.abs(whole).max()))


def _note(hertz: float, rate: int) -> Samples:
    """A plucked sound of two seconds: the higher the partial, the weaker and the shorter."""
    time = np.arange(2 * rate) / rate
    sound = sum(np.exp(-time * (1.6 + partial)) / partial**1.7 * np.sin(2 * np.pi * hertz * partial * time) for partial in (1, 2, 3))
    attack, release = np.minimum(1.0, time / 0.012), np.minimum(1.0, (2.0 - time) / 0.1)
    return np.asarray(sound * attack * release)
