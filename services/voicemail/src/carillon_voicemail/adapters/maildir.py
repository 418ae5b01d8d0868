"""E-mails into a Maildir: written whole to `tmp`, synced, then linked into `new` (https://cr.yp.to/proto/maildir.html).

Always: a file's name comes from the message's id, so that the same message given twice is there once, read or unread.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from carillon_voicemail.ports import Mail, MailUnavailable


class Maildir:
    """`MailTransport` into the folder `path`, which is made when it is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, mail: Mail) -> None:
        """See the port; on disk when it returns."""
        try:
            await asyncio.to_thread(self._write, mail)
        except OSError as error:
            raise MailUnavailable(f"maildir: {error}") from error

    def _write(self, mail: Mail) -> None:
        for folder in ("tmp", "new", "cur"):
            (self._path / folder).mkdir(parents=True, exist_ok=True)
        name = f"{int(mail.at.timestamp())}.{mail.message_id}.carillon"
        if self._there(name):
            return
        temporary = self._path / "tmp" / f"{name}.{os.getpid()}"
        with temporary.open("wb") as file:
            file.write(mail.content.replace(b"\r\n", b"\n"))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._path / "new" / name)
        self._sync("new")

    async def kept(self) -> dict[UUID, Path]:
        """What lies there of ours, by message id."""
        return await asyncio.to_thread(self._kept)

    def _kept(self) -> dict[UUID, Path]:
        found = {}
        for folder in ("new", "cur"):
            for path in (self._path / folder).glob("*.carillon*"):
                with suppress(ValueError, IndexError):
                    found[UUID(path.name.split(".")[1])] = path
        return found

    def _there(self, name: str) -> bool:
        """In `new`, or moved to `cur` by a reader, which adds `:2,` and flags."""
        read = any(entry.name.split(":")[0] == name for entry in (self._path / "cur").iterdir())
        return read or (self._path / "new" / name).exists()

    def _sync(self, folder: str) -> None:
        descriptor = os.open(self._path / folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
