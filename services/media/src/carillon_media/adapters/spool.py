"""Recordings on this node's disk, until the object store has them.

Invariant: a file is in `recordings/` while it is written, in `outbox/` under its object name once its event is journalled, and deleted
only after the object store has taken it. What is found at start goes on from there.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from carillon_kit.logs import get_logger
from carillon_kit.object_store import ObjectStore, object_name
from carillon_media.ports import RecordedFile
from carillon_rtp.wav import repair_wav

_log = get_logger(__name__)
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
UPLOAD_SECONDS = 30.0


class FileSpool:
    """`ports.Spool` in a folder; run `upload_for_ever` as a task."""

    def __init__(self, folder: Path, store: ObjectStore) -> None:
        self._recordings = folder / "recordings"
        self._outbox = folder / "outbox"
        self._store = store
        self._work = asyncio.Event()
        self._work.set()
        for part in (self._recordings, self._outbox):
            part.mkdir(parents=True, exist_ok=True)

    def path_for(self, recording_id: str) -> Path:
        """Where a recording is written."""
        return self._recordings / f"{recording_id}.wav"

    async def weigh(self, recording_id: str, *, still_open: bool = False) -> RecordedFile:
        """As the port."""
        return await asyncio.to_thread(weigh, self.path_for(recording_id), still_open)

    def release(self, recording_id: str, object_name: str) -> None:
        """To be uploaded."""
        try:
            self.path_for(recording_id).rename(self.path_of(object_name))
        except OSError as error:
            _log.error("a recording is lost", recording_id=recording_id, error=str(error))
        self._work.set()

    def take(self, object_name: str, path: Path) -> None:
        """A finished file of this disk, to be uploaded. Raises OSError."""
        path.rename(self._outbox / f"{object_name}{path.suffix}")
        self._work.set()

    def path_of(self, object_name: str) -> Path:
        """Where a recording lies until the object store has it."""
        return self._outbox / f"{object_name}.wav"

    def discard(self, recording_id: str) -> None:
        """Nobody wants it."""
        self.path_for(recording_id).unlink(missing_ok=True)

    def leftovers(self) -> Iterator[str]:
        """Recordings that were being written when the last process died."""
        yield from sorted(path.stem for path in self._recordings.glob("*.wav"))

    def waiting(self) -> list[Path]:
        """Files to upload, oldest first."""
        return sorted(self._outbox.glob("sha256-*.*"), key=lambda path: path.stat().st_mtime)

    async def upload_for_ever(self) -> None:
        """Upload what waits; the object store may be away for long."""
        failures = 0
        while True:
            self._work.clear()
            if await self._upload_all():
                failures = 0
                await self._work.wait()
            else:
                await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1

    async def _upload_all(self) -> bool:
        for path in self.waiting():
            try:
                async with asyncio.timeout(UPLOAD_SECONDS):
                    kind = "audio/mpeg" if path.suffix == ".mp3" else "audio/wav"
                    await self._store.put(await asyncio.to_thread(path.read_bytes), kind)
            except Exception as error:  # noqa: BLE001 - the edge to the object store: whatever it is, try again later
                _log.warning("a recording waits for the object store", file=path.name, error=str(error))
                return False
            with contextlib.suppress(OSError):
                path.unlink()
        return True


def weigh(path: Path, still_open: bool = False) -> RecordedFile:
    """Blocking part of `FileSpool.weigh`."""
    if still_open:
        # A name follows from the content: the writer keeps the old file, which ends with him.
        copy = path.with_suffix(".copy")
        shutil.copyfile(path, copy)
        copy.replace(path)
    duration_ms = repair_wav(path)
    data = path.read_bytes()
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return RecordedFile(object_name(data), len(data), duration_ms)
