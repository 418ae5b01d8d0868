"""Audio of the object store on this node's disk.

Invariant: a file is complete when its name exists and is called as its content; nobody waits for the store longer than the deadline (the
fetch goes on, so that the next call has it); together the files take `max_bytes`, but those used within a minute stay.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from carillon_kit.logs import get_logger
from carillon_kit.object_store import ObjectNotFound, ObjectStore

_log = get_logger(__name__)
IN_USE_SECONDS = 60.0
MAX_FETCHES = 8


class ObjectCache:
    """Objects by name in a folder."""

    def __init__(
        self,
        folder: Path,
        store: ObjectStore,
        *,
        max_bytes: int,
        deadline: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._store = store
        self._max_bytes = max_bytes
        self._deadline = deadline
        self._monotonic = monotonic
        self._fetching: dict[str, asyncio.Task[Path | None]] = {}
        self._limit = asyncio.Semaphore(MAX_FETCHES)
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(folder.glob("sha256-*"), key=lambda path: path.stat().st_mtime)
        #: Name to (bytes, last use), the one that was used longest ago first.
        self._files: dict[str, tuple[int, float]] = {path.name: (path.stat().st_size, float("-inf")) for path in found}

    async def get(self, name: str) -> Path | None:
        """The object's file; None when the store does not have it, is away, or takes longer than the deadline."""
        if name in self._files:
            self._touch(name, self._files[name][0])
            path = self._folder / name
            if path.exists():
                return path
            del self._files[name]
        fetching = self._fetching.get(name)
        if fetching is None:
            fetching = self._fetching[name] = asyncio.ensure_future(self._fetch(name))
            fetching.add_done_callback(lambda _: self._fetching.pop(name, None))
        try:
            async with asyncio.timeout(self._deadline):
                return await asyncio.shield(fetching)
        except TimeoutError:
            _log.warning("audio is not there in time", object=name)
            return None

    async def keep(self, name: str, data: bytes) -> None:
        """An object that is at hand already."""
        await asyncio.to_thread(self._write, name, data)
        self._touch(name, len(data))
        self._make_room()

    def adopt(self, name: str, path: Path) -> bool:
        """An object that lies in a file of this disk, which may be deleted afterwards. False: it is not there any more."""
        if name not in self._files:
            target = self._folder / name
            try:
                if not target.exists():
                    os.link(path, target)
                self._touch(name, target.stat().st_size)
            except OSError:
                return False
            self._make_room()
        return True

    def forget(self, name: str) -> None:
        """The object is not to be kept here any more."""
        self._files.pop(name, None)
        (self._folder / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Nothing that is here is to be kept any more."""
        for name in list(self._files):
            self.forget(name)

    async def _fetch(self, name: str) -> Path | None:
        async with self._limit:
            try:
                data = await self._store.get(name)
            except ObjectNotFound:
                _log.error("audio is not in the object store", object=name)
                return None
            except (ConnectionError, OSError, TimeoutError) as error:
                _log.warning("audio cannot be fetched", object=name, error=str(error))
                return None
            try:
                await self.keep(name, data)
            except OSError as error:
                _log.error("audio cannot be kept", object=name, error=str(error))
                return None
        return self._folder / name

    def _write(self, name: str, data: bytes) -> None:
        descriptor, new = tempfile.mkstemp(dir=self._folder, prefix=".")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.chmod(new, 0o644)
        os.replace(new, self._folder / name)

    def _touch(self, name: str, size: int) -> None:
        self._files.pop(name, None)
        self._files[name] = (size, self._monotonic())

    def _make_room(self) -> None:
        total = sum(size for size, _ in self._files.values())
        for name, (size, used) in list(self._files.items()):
            if total <= self._max_bytes or self._monotonic() - used < IN_USE_SECONDS:
                return
            (self._folder / name).unlink(missing_ok=True)
            del self._files[name]
            total -= size
