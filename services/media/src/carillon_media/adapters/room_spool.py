"""Recordings of conference rooms on this node's disk: WAV while they are written, MP3 for the object store.

Invariant: beside a recording lie its facts, so that another process can finish it; both are deleted only when the MP3 waits for upload.
"""

import asyncio
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from carillon_kit.logs import get_logger
from carillon_media.ports import RecordedFile

_log = get_logger(__name__)
#: A day of talk takes about ten minutes.
ENCODE_SECONDS = 3600.0
_SWITCHED = {True: b"on", False: b"off"}


class RoomSpool:
    """`ports.RoomFiles` in a folder; `handed_over` takes a finished file's object name and path, and owns it from then on."""

    def __init__(self, folder: Path, handed_over: Callable[[str, Path], None]) -> None:
        self._folder = folder
        self._handed_over = handed_over
        self._encoders = asyncio.Semaphore(1)
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self, recording_id: str, facts: bytes) -> Path:
        """Where it is to be written."""
        new = self._folder / f"{recording_id}.new"
        new.write_bytes(facts)
        new.replace(self._facts(recording_id))
        return self._wav(recording_id)

    def facts(self, recording_id: str) -> bytes | None:
        """What `begin` was given; None: it is finished."""
        try:
            return self._facts(recording_id).read_bytes()
        except OSError:
            return None

    def leftovers(self) -> list[str]:
        """Recordings that are not finished."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def switch(self, name: str, on: bool | None) -> None:
        """Keep whether somebody wants the room recorded; None: no more. Raises OSError."""
        kept = self._switch(name)
        if on is None:
            kept.unlink(missing_ok=True)
        else:
            new = kept.with_suffix(".new")
            new.write_bytes(_SWITCHED[on])
            new.replace(kept)

    def switched(self, name: str) -> bool | None:
        """What `switch` was given last."""
        try:
            return {raw: on for on, raw in _SWITCHED.items()}.get(self._switch(name).read_bytes())
        except OSError:
            return None

    async def finish(self, recording_id: str) -> RecordedFile | None:
        """Make it MP3 and hand it over; None: nothing was recorded. Raises OSError or ValueError: it stays where it is."""
        wav, mp3 = self._wav(recording_id), self._folder / f"{recording_id}.mp3"
        if not wav.exists():
            self._facts(recording_id).unlink(missing_ok=True)
            return None
        async with self._encoders:
            duration_ms = await _encode(wav, mp3)
        content = await asyncio.to_thread(_digest, mp3)
        size = mp3.stat().st_size
        self._handed_over(content, mp3)
        wav.unlink()
        self._facts(recording_id).unlink(missing_ok=True)
        return RecordedFile(content, size, duration_ms)

    def _wav(self, recording_id: str) -> Path:
        return self._folder / f"{recording_id}.wav"

    def _switch(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.switch"

    def _facts(self, recording_id: str) -> Path:
        return self._folder / f"{recording_id}.json"


async def _encode(wav: Path, mp3: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "carillon_media.adapters.mp3_encoder", str(wav), str(mp3)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(ENCODE_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0 or not output.isdigit():
        raise ValueError(f"{wav.name} cannot be made MP3 (the encoder ended with {process.returncode})")
    return int(output)


def _digest(path: Path) -> str:
    """The object's name; the file is on the disk afterwards."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return f"sha256-{hashlib.file_digest(file, 'sha256').hexdigest()}"
