"""Files that people upload become audio that the system plays: checked, decoded by a process of its own, kept by content.

Invariant: nothing of a file is decoded in this process; a decoder ends within `SECONDS`, and at most two run at a time.
"""

import asyncio
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from carillon_kit.object_store import ObjectStore

MAX_BYTES = 16 * 1024 * 1024
MAX_SECONDS = {"announcement": 300.0, "music": 900.0}
SECONDS = 90.0
_ANSWER_BYTES = 4096


class BadAudio(Exception):
    """The file cannot be taken; the message says why."""


@dataclass(frozen=True, slots=True)
class Imported:
    """Object names of both forms, the length, and what the file was."""

    object: str
    wide_object: str
    duration_ms: int
    source_format: str


class AudioImporter:
    """Brings files into the object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._decoders = asyncio.Semaphore(2)

    async def take(self, content: bytes, purpose: str) -> Imported:
        """Check, convert, keep; raises BadAudio, or ConnectionError when the object store is away."""
        check_header(content)
        async with self._decoders:
            with tempfile.TemporaryDirectory(prefix="audio-") as folder:
                answer, narrow, wide = await _decode(Path(folder), content, MAX_SECONDS[purpose])
        if "error" in answer:
            raise BadAudio(str(answer["error"]))
        kept = [await self._store.put(data, "audio/wav") for data in (narrow, wide)]
        return Imported(kept[0], kept[1], int(answer["duration_ms"]), str(answer["format"]))


async def _decode(folder: Path, content: bytes, max_seconds: float) -> tuple[dict[str, str | int], bytes, bytes]:
    source, narrow, wide = folder / "source", folder / "narrow.wav", folder / "wide.wav"
    await asyncio.to_thread(source.write_bytes, content)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "carillon_media.adapters.audio_decoder", str(source), str(narrow), str(wide), str(max_seconds)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    try:
        async with asyncio.timeout(SECONDS):
            assert process.stdout is not None
            line = await process.stdout.read(_ANSWER_BYTES)
            await process.wait()
    except TimeoutError:
        raise BadAudio("takes too long to decode") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        answer: dict[str, str | int] = json.loads(line)
    except ValueError:
        raise BadAudio(f"cannot be decoded (the decoder ended with {process.returncode})") from None
    if "error" in answer:
        return answer, b"", b""
    return answer, await asyncio.to_thread(narrow.read_bytes), await asyncio.to_thread(wide.read_bytes)


def check_header(content: bytes) -> None:
    """By its first bytes a WAV, MP3 or OGG file, and a WAV of the size that it says; raises BadAudio."""
    if not content:
        raise BadAudio("is empty")
    if len(content) > MAX_BYTES:
        raise BadAudio(f"is larger than {MAX_BYTES >> 20} MB")
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        said = int.from_bytes(content[4:8], "little") + 8
        # A writer that padded or was cut by a byte is forgiven; sizes of streams (0, 2^32 - 1) are not.
        if abs(said - len(content)) > 1:
            raise BadAudio(f"says that it has {said} bytes but has {len(content)}")
    elif content[:4] != b"OggS" and content[:3] != b"ID3" and not (content[0] == 0xFF and len(content) > 1 and content[1] & 0xE0 == 0xE0):
        raise BadAudio("is no WAV, MP3 or OGG file")
