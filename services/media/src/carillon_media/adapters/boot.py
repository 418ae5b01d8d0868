"""The run of this machine: its monotonic clock counts from there, so that times of one process mean the same to the next one."""

from pathlib import Path
from uuid import uuid4

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """The same for every process until the machine starts anew; where nobody knows, one of this process alone."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return str(uuid4())
