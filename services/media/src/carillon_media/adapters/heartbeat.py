"""When this process was alive for the last time, for the durations of calls that its death cut: a file touched every second."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

BEAT_SECONDS = 1.0


class Heartbeat:
    """Read `last` before `run`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def last(self) -> datetime | None:
        """The last beat of the process before; None if there was none."""
        try:
            return datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        except OSError:
            return None

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._path.touch()
            os.utime(self._path)
            await asyncio.sleep(BEAT_SECONDS)
