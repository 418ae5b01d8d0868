"""The guard's memory on this node's disk: a process that was killed bans on where it stopped.

Invariant: the file is whole or not there (written beside it, synced, renamed); at most `SAVE_SECONDS` of counting are lost. A file that
cannot be read or written is reported, and the guard starts with what it has.
"""

import asyncio
import os
from pathlib import Path

from carillon_kit.logs import get_logger
from carillon_media.handlers.gate import Gate

_log = get_logger(__name__)
SAVE_SECONDS = 2.0


class BanFile:
    """`load` before anybody is heard, `run` as a task."""

    def __init__(self, path: Path, gate: Gate) -> None:
        self._path = path
        self._gate = gate

    def load(self) -> None:
        """What the process before remembered."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("bans of before cannot be read", path=str(self._path), error=str(error))
            return
        if not self._gate.remember(data):
            _log.warning("bans of before cannot be read", path=str(self._path), error="no memory of a guard")

    async def run(self) -> None:
        """Save what has changed, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(SAVE_SECONDS)
                await asyncio.to_thread(self._save, self._gate.memory())
        finally:
            self._save(self._gate.memory())

    def _save(self, data: bytes | None) -> None:
        if data is None:
            return
        new = self._path.with_suffix(".new")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            _log.warning("bans are not saved", path=str(self._path), error=str(error))
