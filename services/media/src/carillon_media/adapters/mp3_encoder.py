"""`python -m carillon_media.adapters.mp3_encoder WAV MP3`: a room's recording as MP3, in a process of its own; prints its length in ms.

Invariant: memory does not grow with the recording.
"""

import sys
from pathlib import Path

import lameenc

from carillon_rtp.wav import DATA_OFFSET, repair_wav

#: Speech at 16 kHz, mono.
KBIT = 48
RATE = 16_000
CHUNK = 1 << 20


def encode(source: Path, target: Path) -> int:
    """Length in ms. Raises OSError, or ValueError when the file is no recording of a room."""
    duration_ms = repair_wav(source)
    encoder = lameenc.Encoder()
    encoder.set_bit_rate(KBIT)
    encoder.set_in_sample_rate(RATE)
    encoder.set_channels(1)
    encoder.set_quality(5)
    encoder.silence()
    with source.open("rb") as wav, target.open("wb") as mp3:
        header = wav.read(DATA_OFFSET)
        if int.from_bytes(header[24:28], "little") != RATE or int.from_bytes(header[34:36], "little") != 16:
            raise ValueError(f"{source} is no recording of a room")
        while chunk := wav.read(CHUNK):
            mp3.write(encoder.encode(chunk[: len(chunk) // 2 * 2]))
        mp3.write(encoder.flush())
    return duration_ms


if __name__ == "__main__":
    sys.stdout.write(str(encode(Path(sys.argv[1]), Path(sys.argv[2]))))
