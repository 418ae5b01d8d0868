"""The e-mails of the demo: read from the Maildir like any mail program does."""

import asyncio
import email
import email.policy
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from carillon_cli.errors import CliError

POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Post:
    """One e-mail with its audio."""

    to: str
    subject: str
    date: str
    text: str
    #: Name and content of the first audio attachment.
    audio_name: str
    audio: bytes


def read(raw: bytes) -> Post:
    """A message as it lies in the Maildir."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    body = message.get_body(("plain", "html"))
    audio = next((part for part in message.iter_attachments() if part.get_content_maintype() == "audio"), None)
    return Post(
        str(message["To"]),
        str(message["Subject"]),
        str(message["Date"]),
        "" if body is None else str(body.get_content()),
        "" if audio is None else str(audio.get_filename() or ""),
        b"" if audio is None else bytes(audio.get_content()),
    )


def delivered(maildir: Path) -> set[Path]:
    """The e-mails that are there."""
    return {path for folder in ("new", "cur") for path in (maildir / folder).glob("*") if path.is_file()}


async def next_post(maildir: Path, before: set[Path], seconds: float) -> Post:
    """The e-mail that was not there before. Raises `CliError` when none comes in time."""
    until = monotonic() + seconds
    while not (new := delivered(maildir) - before):
        if monotonic() > until:
            raise CliError(f"no e-mail came within {seconds:g} s")
        await asyncio.sleep(POLL_SECONDS)
    return read(min(new).read_bytes())
