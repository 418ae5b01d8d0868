"""Passwords and keys of one data folder: made once, kept in `secrets.json` that only its owner can read.

Always: a secret that was once given out stays the same; the file is written whole or not at all.
"""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carillon_cli.errors import CliError


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically, readable by its owner alone."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in the file; empty when there is none. Raises `CliError` for a damaged one."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CliError(f"{path} cannot be read: {error}", "Restore it from a backup, or start with another --data DIR.") from error
    if not isinstance(found, dict):
        raise CliError(f"{path} does not hold an object")
    return found


class Secrets:
    """The secrets of a data folder by name; what is missing is made on first use and kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str] = {str(name): str(value) for name, value in read_json(path).items()}

    def get(self, name: str) -> str:
        """The secret: 64 hexadecimal digits, fit for a URL."""
        if name not in self._known:
            self._known[name] = secrets.token_hex(32)
            write_private(self._path, self._known)
        return self._known[name]
