"""Media's journal: what a call must not lose lies here, synced, before anyone acts on it.

Always: when `append` returns, its records are on the disk (`fdatasync`) and every later `open` gives them back, in order, until their
call is forgotten. All appends that wait share one write and one sync; the event loop never touches a file.

On disk: segments `<number>.journal` of records (see `journal_format`). Beside a segment, `<number>.forgotten` names the calls in it
that are not needed any more; a segment in which no call is left is deleted, one that is mostly forgotten is rewritten without them.
Bytes that are no record go to `quarantine/`, never nowhere.
"""

import asyncio
import errno
import fcntl
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from carillon_kit.logs import get_logger
from carillon_media.adapters.journal_format import FORGOTTEN, KIND_NAMES, KINDS, MAGIC, CallKey, Found, JournalRecord, frame, scan

__all__ = ["CallKey", "Damage", "Journal", "JournalError", "JournalOverloaded", "JournalRecord"]

_log = get_logger(__name__)

SEGMENT_BYTES = 16 * 1024 * 1024
#: What may wait for the disk; more means that the disk is stuck and appends are refused.
MAX_PENDING_BYTES = 64 * 1024 * 1024


class JournalError(Exception):
    """The journal cannot be used or written; what was acknowledged before is still there."""


class JournalOverloaded(JournalError):
    """More waits for the disk than memory may hold."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are no record; they were copied to `kept`. `torn`: the end of an unfinished, unacknowledged write."""

    segment: str
    offset: int
    length: int
    torn: bool
    kept: Path


@dataclass(slots=True)
class _Segment:
    """What is known of a segment file; `live` holds the bytes of each call in it that is not forgotten."""

    number: int
    path: Path
    size: int
    live: dict[CallKey, int] = field(default_factory=dict)
    #: Nothing of forgotten calls is to stay in it, however little that is; taken out by `purge`, not whenever a call is forgotten.
    purged: bool = False

    @property
    def forgotten_path(self) -> Path:
        return self.path.with_suffix(".forgotten")


class _Waiting(NamedTuple):
    blob: bytes
    sizes: tuple[tuple[CallKey, int], ...]
    done: "asyncio.Future[None]"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_file(path: Path, data: bytes) -> None:
    """Put a whole file there durably: written beside, synced, renamed."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        _write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(new, path)
    _sync_folder(path.parent)


class _Disk:
    """The files of the journal. Blocking; after `recover`, used by the one writer thread only."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self.folder = folder
        self.segments: dict[int, _Segment] = {}
        self.damages: list[Damage] = []
        self._segment_bytes = segment_bytes
        self._where: dict[CallKey, list[int]] = {}
        self._active: tuple[int, _Segment] | None = None
        self._lock = self._take_lock()

    def _take_lock(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(self.folder.parent)
        lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise JournalError(f"journal {self.folder} is in use by another process") from error
        return lock

    def recover(self) -> list[JournalRecord]:
        """Read everything, cut torn ends, quarantine damage; the records of calls that are not forgotten, in order."""
        for unfinished in self.folder.glob("*.new"):
            unfinished.unlink()
        numbers = sorted(int(path.stem) for path in self.folder.glob("*.journal"))
        forgotten: set[CallKey] = set()
        for path in self.folder.glob("*.forgotten"):
            forgotten |= {(found.tenant, found.call_id) for found in scan(path.read_bytes()) if found.kind == FORGOTTEN}
        records: list[JournalRecord] = []
        for path in self.folder.glob("*.forgotten"):
            if int(path.stem) not in numbers:
                path.unlink()
        for number in numbers:
            records += self._recover_segment(number, forgotten, last=number == numbers[-1])
        return records

    def _recover_segment(self, number: int, forgotten: set[CallKey], last: bool) -> list[JournalRecord]:
        path = self._path(number)
        data = path.read_bytes()
        segment = _Segment(number, path, len(MAGIC))
        records: list[JournalRecord] = []
        damaged: list[Found] = []
        for found in scan(data):
            if found.kind == 0:
                damaged.append(found)
            elif (found.tenant, found.call_id) not in forgotten and found.kind in KIND_NAMES:
                records.append(JournalRecord(KIND_NAMES[found.kind], found.tenant, found.call_id, found.seq, found.data))
                self._note(segment, records[-1].call, found.end - found.offset)
            segment.size = found.end
        for found in damaged:
            torn = last and found is damaged[-1] and found.end == segment.size
            self._quarantine(segment, found, data, torn)
            if torn:
                segment.size = found.offset
        if segment.size < len(data):
            os.truncate(path, segment.size)
        self.segments[number] = segment
        self._tidy(segment)
        return records

    def _quarantine(self, segment: _Segment, found: Found, data: bytes, torn: bool) -> None:
        folder = self.folder / "quarantine"
        folder.mkdir(exist_ok=True)
        kept = folder / f"{segment.path.stem}-{found.offset}.{'torn' if torn else 'damaged'}"
        if not kept.exists():
            _write_file(kept, data[found.offset : found.end])
        self.damages.append(Damage(segment.path.name, found.offset, found.end - found.offset, torn, kept))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:010d}.journal"

    def _note(self, segment: _Segment, call: CallKey, size: int) -> None:
        if call not in segment.live:
            self._where.setdefault(call, []).append(segment.number)
        segment.live[call] = segment.live.get(call, 0) + size

    def write(self, batch: Sequence[_Waiting]) -> None:
        """One write and one sync for all; on an error nothing of the batch counts as written."""
        blob = b"".join(waiting.blob for waiting in batch)
        try:
            descriptor, segment = self._room_for(len(blob))
            os.lseek(descriptor, segment.size, os.SEEK_SET)
            _write_all(descriptor, blob)
            os.fdatasync(descriptor)
        except OSError as error:
            self._seal()
            reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error)
            raise JournalError(f"journal {self.folder} cannot be written: {reason}") from error
        segment.size += len(blob)
        for waiting in batch:
            for call, size in waiting.sizes:
                self._note(segment, call, size)

    def _room_for(self, size: int) -> tuple[int, _Segment]:
        if self._active is not None:
            segment = self._active[1]
            if segment.size + size <= self._segment_bytes or segment.size == len(MAGIC):
                return self._active
            self._seal()
        self._active = self._begin(max(self.segments, default=0) + 1, max(size, self._segment_bytes))
        return self._active

    def _begin(self, number: int, space: int) -> tuple[int, _Segment]:
        segment = _Segment(number, self._path(number), len(MAGIC))
        descriptor = os.open(segment.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            _write_all(descriptor, MAGIC)
            if space > 1024 * 1024:  # space taken ahead makes each sync cheaper
                os.posix_fallocate(descriptor, 0, space)
            os.fsync(descriptor)
            _sync_folder(self.folder)
        except OSError:
            os.close(descriptor)
            segment.path.unlink()
            raise
        self.segments[number] = segment
        return descriptor, segment

    def _seal(self) -> None:
        """End the active segment at its last acknowledged record; the next write begins a new one."""
        if self._active is None:
            return
        descriptor, segment = self._active
        self._active = None
        try:
            os.ftruncate(descriptor, segment.size)
            os.fdatasync(descriptor)
            self._tidy(segment)
        except OSError:  # a failing disk: the next `open` cuts or quarantines what lies behind the last record
            self.segments[segment.number] = segment
        finally:
            os.close(descriptor)

    def forget(self, calls: Iterable[CallKey]) -> None:
        """Write the calls beside each segment that holds them, synced; then delete or shrink what is no longer needed."""
        by_segment: dict[int, list[CallKey]] = {}
        gone = {call: numbers for call in calls if (numbers := self._where.get(call))}
        for call, numbers in gone.items():
            for number in numbers:
                by_segment.setdefault(number, []).append(call)
        try:
            # Beside every segment before any is deleted: whatever is interrupted, a call is forgotten as a whole or not at all.
            for number, here in by_segment.items():
                self._append_forgotten(self.segments[number], here)
            for call, numbers in gone.items():
                del self._where[call]
                for number in numbers:
                    del self.segments[number].live[call]
            for number in by_segment:
                self._tidy(self.segments[number])
        except OSError as error:
            raise JournalError(f"journal {self.folder} cannot forget: {error}") from error

    def turn_over(self) -> None:
        """End the active segment, and take out of all what is forgotten now; `purge` does with what is forgotten later."""
        try:
            self._seal()
            for segment in list(self.segments.values()):
                segment.purged = True
                self._clear(segment)
        except OSError as error:
            raise JournalError(f"journal {self.folder} cannot be turned over: {error}") from error

    def purge(self, number: int) -> None:
        """Take out of a segment what is forgotten by now, if it was there when the journal was turned over."""
        segment = self.segments.get(number)
        if segment is None or not segment.purged:
            return
        try:
            self._clear(segment)
        except OSError as error:
            raise JournalError(f"journal {self.folder} cannot be purged: {error}") from error

    def _append_forgotten(self, segment: _Segment, calls: Sequence[CallKey]) -> None:
        path = segment.forgotten_path
        new = not path.exists()
        descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        try:
            _write_all(descriptor, b"".join(frame(FORGOTTEN, 0, tenant, call_id, b"") for tenant, call_id in calls))
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            _sync_folder(self.folder)

    def _is_active(self, segment: _Segment) -> bool:
        return self._active is not None and self._active[1] is segment

    def _tidy(self, segment: _Segment) -> None:
        if self._is_active(segment):
            return
        if not segment.live:
            del self.segments[segment.number]
            segment.path.unlink(missing_ok=True)
            _sync_folder(self.folder)
            segment.forgotten_path.unlink(missing_ok=True)
            return
        if segment.size > 65536 and sum(segment.live.values()) * 4 < segment.size:
            self._shrink(segment)

    def _clear(self, segment: _Segment) -> None:
        """As `_tidy`, and shrink it however little of it is forgotten."""
        self._tidy(segment)
        if segment.number in self.segments and sum(segment.live.values()) < segment.size - len(MAGIC):
            self._shrink(segment)

    def _shrink(self, segment: _Segment) -> None:
        data = segment.path.read_bytes()
        kept = [data[found.offset : found.end] for found in scan(data) if (found.tenant, found.call_id) in segment.live]
        _write_file(segment.path, MAGIC + b"".join(kept))
        segment.size = len(MAGIC) + sum(map(len, kept))
        segment.forgotten_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Seal and let go of the lock."""
        self._seal()
        os.close(self._lock)


def _noted(done: "asyncio.Future[None]") -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None:
        _log.warning("the journal lost a note", error=str(error))


class Journal:
    """The journal as the event loop sees it. One journal per folder and one loop per journal."""

    def __init__(self, disk: _Disk, max_pending_bytes: int) -> None:
        self._disk = disk
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Future[None] | None = None
        self._pending_bytes = 0
        self._max_pending_bytes = max_pending_bytes
        self._closed = False
        #: Batches written and records in them, for metrics.
        self.batches = 0
        self.records = 0

    @classmethod
    def open(
        cls, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, max_pending_bytes: int = MAX_PENDING_BYTES
    ) -> "tuple[Journal, list[JournalRecord]]":
        """Open the folder (made if absent); blocking. Gives the records of every call that is not forgotten, in order of appending.

        Raises `JournalError` if another process holds it. See `damages` for what was unreadable.
        """
        disk = _Disk(Path(folder), segment_bytes)
        try:
            records = disk.recover()
        except BaseException:
            disk.close()
            raise
        for damage in disk.damages:
            report = _log.warning if damage.torn else _log.error
            report(
                "an unfinished write was cut off the journal" if damage.torn else "the journal is damaged; what could be read is kept",
                segment=damage.segment,
                offset=damage.offset,
                bytes=damage.length,
                quarantine=str(damage.kept),
            )
        return cls(disk, max_pending_bytes), records

    @property
    def damages(self) -> tuple[Damage, ...]:
        """What `open` found unreadable."""
        return tuple(self._disk.damages)

    async def append(self, records: Sequence[JournalRecord]) -> None:
        """Return when all of them are on the disk.

        Raises `JournalError` (disk full or failing: none of them counts), `JournalOverloaded`, `ValueError` (a record is too large).
        """
        await self._add(records)

    def note(self, records: Sequence[JournalRecord]) -> None:
        """Have them on the disk soon, in order with what is appended before and after; when they cannot be, the log says so.

        Raises as `append` does for what is refused at once.
        """
        self._add(records).add_done_callback(_noted)

    def _add(self, records: Sequence[JournalRecord]) -> "asyncio.Future[None]":
        if self._closed:
            raise JournalError("the journal is closed")
        blobs = [frame(KINDS[r.kind], r.seq, r.tenant, r.call_id, r.data) for r in records]
        blob = b"".join(blobs)
        if self._pending_bytes + len(blob) > self._max_pending_bytes:
            raise JournalOverloaded(f"{self._pending_bytes} bytes wait for the disk already")
        done = asyncio.get_running_loop().create_future()
        sizes = tuple((record.call, len(raw)) for record, raw in zip(records, blobs, strict=True))
        self._waiting.append(_Waiting(blob, sizes, done))
        self._pending_bytes += len(blob)
        self._write_next()
        return done

    def _write_next(self) -> None:
        if self._writing is not None or not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        self._writing = asyncio.get_running_loop().run_in_executor(self._executor, self._disk.write, batch)
        self._writing.add_done_callback(partial(self._written, batch))

    def _written(self, batch: Sequence[_Waiting], writing: "asyncio.Future[None]") -> None:
        self._writing = None
        error = writing.exception()
        for waiting in batch:
            self._pending_bytes -= len(waiting.blob)
            if waiting.done.done():
                continue
            if error is None:
                waiting.done.set_result(None)
            else:
                waiting.done.set_exception(error)
        if error is None:
            self.batches += 1
            self.records += sum(len(waiting.sizes) for waiting in batch)
        self._write_next()

    async def forget(self, calls: Iterable[CallKey]) -> None:
        """Return when the calls will not come back at the next `open`. A call that is not there is no error."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._disk.forget, list(calls))

    async def turn_over(self) -> None:
        """Return when no byte of a forgotten call is in a file; those that are forgotten later go with the next `purge`. Raises
        `JournalError`."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._disk.turn_over)

    async def purge(self) -> None:
        """Take what was forgotten since out of what was there when the journal was turned over; appends go on between two files. Raises
        `JournalError`."""
        for number in self.segments():
            await asyncio.get_running_loop().run_in_executor(self._executor, self._disk.purge, number)

    def segments(self) -> list[int]:
        """Numbers of the segments that exist now, oldest first."""
        return sorted(self._disk.segments.copy())

    async def read(self, number: int, calls: frozenset[CallKey]) -> list[JournalRecord]:
        """These calls' records in one segment, in order; none if the segment is gone. For publishing again what memory does not hold."""
        return await asyncio.to_thread(self._read, number, calls)

    def _read(self, number: int, calls: frozenset[CallKey]) -> list[JournalRecord]:
        segment = self._disk.segments.get(number)
        if segment is None:
            return []
        size = segment.size
        try:
            with segment.path.open("rb") as file:
                data = file.read(size)
        except FileNotFoundError:
            return []
        return [
            JournalRecord(KIND_NAMES[found.kind], found.tenant, found.call_id, found.seq, found.data)
            for found in scan(data)
            if found.kind in KIND_NAMES and (found.tenant, found.call_id) in calls
        ]

    async def close(self) -> None:
        """Write what waits, end the active segment, let go of the folder."""
        self._closed = True
        while self._writing is not None:
            await asyncio.wait([self._writing])
            await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(self._executor, self._disk.close)
        self._executor.shutdown(wait=False)
