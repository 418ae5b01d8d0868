"""Subscriptions on this node's disk: a process that was killed goes on telling those who watched.

Invariant: one JSON object a line, the last of a key holds; a line cut short by a death is left out. What has changed is appended every
`SAVE_SECONDS`; the file is written anew when most of it is past, so that it is never much longer than what is alive. It survives the
death of the process, not that of the machine: nothing is synced.
"""

import asyncio
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from carillon_kit.logs import get_logger
from carillon_media.domain.kept_watcher import KeptWatcher

_log = get_logger(__name__)
SAVE_SECONDS = 0.5
#: Lines that may be past beside as many as are alive, before the file is written anew.
PAST_LINES = 1000


class WatcherFile:
    """`handlers.kept_watchers.WatcherStore`; `load` before anybody is heard, `run` as a task."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alive: dict[str, KeptWatcher] = {}
        self._writing = threading.Lock()
        self._changed: set[str] = set()
        #: Lines in the file; more than any bound as long as it is not known to be whole.
        self._lines: float = float("inf")

    def load(self) -> None:
        """What the process before kept."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("subscriptions of before cannot be read", path=str(self._path), error=str(error))
            return
        for line in lines:
            if (gone := _gone(line)) is not None:
                self._alive.pop(gone, None)
            elif (found := KeptWatcher.read(line)) is not None:
                self._alive[found.key] = found

    def kept(self) -> Sequence[KeptWatcher]:
        """All that is kept now."""
        return tuple(self._alive.values())

    def keep(self, watcher: KeptWatcher) -> None:
        """New, or in place of what was kept by this key."""
        self._alive[watcher.key] = watcher
        self._changed.add(watcher.key)

    def forget(self, key: str) -> None:
        """It is over."""
        if self._alive.pop(key, None) is not None:
            self._changed.add(key)

    async def run(self) -> None:
        """Save what has changed, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(SAVE_SECONDS)
                if batch := self._batch():
                    await asyncio.to_thread(self._save, *batch)
        finally:
            if batch := self._batch():
                self._save(*batch)

    def _batch(self) -> tuple[list[KeptWatcher], list[str], bool] | None:
        """What is to be written: watchers, keys that are gone, and whether the file is written anew."""
        if not self._changed:
            return None
        changed, self._changed = self._changed, set()
        if self._lines + len(changed) > 2 * len(self._alive) + PAST_LINES:
            return list(self._alive.values()), [], True
        return [self._alive[key] for key in changed if key in self._alive], [key for key in changed if key not in self._alive], False

    def _save(self, watchers: list[KeptWatcher], gone: list[str], anew: bool) -> None:
        data = "".join([*(f"{one.model_dump_json()}\n" for one in watchers), *(f"{json.dumps({'gone': key})}\n" for key in gone)])
        path = self._path.with_suffix(".new") if anew else self._path
        how = os.O_TRUNC if anew else os.O_APPEND
        try:
            with self._writing:
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600), "wb") as file:
                    file.write(data.encode())
                if anew:
                    path.replace(self._path)
            self._lines = len(watchers) + len(gone) + (0 if anew else self._lines)
        except OSError as error:
            # Perhaps cut short: next time the whole file is written.
            self._lines = float("inf")
            _log.warning("subscriptions are not saved", path=str(self._path), error=str(error))


def _gone(line: bytes) -> str | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return str(found["gone"]) if isinstance(found, dict) and "gone" in found else None
