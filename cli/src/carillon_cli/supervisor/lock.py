"""One supervisor per data folder, and what an earlier one that was killed has left behind.

Always: a process is ended only when both its pid and its start time are those that this folder's supervisor wrote down, so a
process of someone else that got the same pid is never touched.
"""

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carillon_cli.errors import CliError

LOCK, PIDS = "up.lock", "processes.json"


class FolderLock:
    """Held as long as the supervisor lives; the kernel lets go of it whatever ends the process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / LOCK).open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            raise CliError(
                f"a system is already running in {folder} (process {owner})",
                "Stop it with Ctrl-C where it runs, or choose another folder with --data DIR.",
            ) from error
        self._file.seek(0)
        self._file.truncate()
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let others start here."""
        self._file.close()


def held(folder: Path) -> bool:
    """Whether a supervisor lives on the folder; True also when that cannot be told, because there is no lock file."""
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which a living process began (proc(5), field 22); None when there is none or it is a zombie."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if after_name[0] == "Z" else int(after_name[19])


@dataclass(frozen=True, slots=True)
class Stale:
    """A child of an earlier supervisor that is still alive."""

    name: str
    pid: int
    started: int

    def alive(self) -> bool:
        return start_time(self.pid) == self.started


def write_pids(folder: Path, pids: Mapping[str, int]) -> None:
    """Note the children that live now, atomically."""
    known = {name: {"pid": pid, "started": started} for name, pid in pids.items() if (started := start_time(pid)) is not None}
    temporary = folder / f".{PIDS}"
    temporary.write_text(json.dumps(known))
    temporary.replace(folder / PIDS)


def find_stale(folder: Path) -> list[Stale]:
    """Children noted in the folder that are still alive."""
    try:
        noted = json.loads((folder / PIDS).read_text())
        found = [Stale(str(name), int(entry["pid"]), int(entry["started"])) for name, entry in noted.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [stale for stale in found if stale.alive()]


def end_stale(stale: Sequence[Stale], *, seconds: float = 5.0, pause: Callable[[float], None] = time.sleep) -> None:
    """Ask them to end, Postgres for a fast shutdown; kill what is left after `seconds`."""
    for child in stale:
        _signal(child, signal.SIGINT if child.name == "postgres" else signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while any(child.alive() for child in stale) and time.monotonic() < deadline:
        pause(0.05)
    for child in stale:
        if child.alive():
            _signal(child, signal.SIGKILL)
    deadline = time.monotonic() + 1.0
    while any(child.alive() for child in stale) and time.monotonic() < deadline:
        pause(0.02)


def _signal(child: Stale, number: signal.Signals) -> None:
    if child.alive():
        try:
            os.kill(child.pid, number)
        except ProcessLookupError:
            return
