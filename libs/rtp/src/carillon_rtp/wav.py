"""WAV files of telephone audio: what a recording's header says, and how it is mended after a crash.

A recording is A-law or mu-law of 8 kHz, mono or stereo, or (a room's) 16-bit mono of 16 kHz, with a `fact` chunk; its samples start at
DATA_OFFSET and reach to the end of the file.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

DATA_OFFSET = 58


def repair_wav(path: str | os.PathLike[str]) -> int:
    """Makes the sizes in the header of a recording agree with the file's length (a crash leaves them at zero).

    Returns the recording's length in milliseconds. A file that is right already is not written. Raises ValueError when the file
    is not a recording of the plane, OSError when it cannot be read or written.
    """
    with Path(path).open("r+b") as file:
        header = file.read(DATA_OFFSET)
        if len(header) < DATA_OFFSET or header[:4] != b"RIFF" or header[8:16] != b"WAVEfmt " or header[50:54] != b"data":
            raise ValueError(f"{path} is not a recording of the media plane")
        rate, frame = int.from_bytes(header[24:28], "little"), int.from_bytes(header[32:34], "little")
        if rate not in (8000, 16000) or frame not in (1, 2):
            raise ValueError(f"{path} is not a recording of the media plane")
        declared = int.from_bytes(header[54:58], "little")
        size = file.seek(0, os.SEEK_END) - DATA_OFFSET
        if declared and declared + declared % 2 == size:
            return declared * 1000 // (rate * frame)
        size = file.truncate(DATA_OFFSET + size - size % frame) - DATA_OFFSET  # half a sample of the second side
        file.seek(0, os.SEEK_END)
        if size % 2:  # RIFF: a chunk of odd size is padded
            file.write(b"\0")
        for offset, value in ((4, DATA_OFFSET - 8 + size + size % 2), (46, size // frame), (54, size)):
            file.seek(offset)
            file.write(struct.pack("<I", value))
        file.flush()
        os.fsync(file.fileno())
    return size * 1000 // (rate * frame)
