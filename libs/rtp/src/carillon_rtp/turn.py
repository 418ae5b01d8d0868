"""Whose turn it is: of several planes started over one socket one serves, and the next is ready to in its place.

What always holds: who has the turn is a living process, and the process that had it before is gone with all its sockets.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import time
from pathlib import Path

#: How long a dead process may take to be gone; the number may be another process's by now, or one of another PID namespace.
LEAVING_MS = 300


def take_turn(path: Path) -> int:
    """Waits, without end, until no other process has the turn that the file `path` stands for; it is kept as long as the descriptor
    returned is open. Blocks; a signal that ends a process ends the wait. Raises OSError when the file cannot be made."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    _until_gone(os.pread(descriptor, 16, 0))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _until_gone(former: bytes) -> None:
    """The kernel frees a lock before the sockets beside it."""
    with contextlib.suppress(ValueError, OSError):
        if int(former) == os.getpid():  # of another PID namespace (each container's first process is 1), where nobody can look
            time.sleep(LEAVING_MS / 1000)
            return
        process = os.pidfd_open(int(former))
        try:
            waiting = select.poll()
            waiting.register(process, select.POLLIN)
            waiting.poll(LEAVING_MS)
        finally:
            os.close(process)
