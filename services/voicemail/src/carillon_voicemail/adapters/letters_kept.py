"""E-mails that are still here: those that wait, and those that were delivered into a folder of the installation.

Always: an e-mail is a tenant's by the row of the letter or message that it was made of, never by an address that stands in it.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from email.utils import getaddresses
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from carillon_voicemail.adapters.maildir import Maildir

_WAITING = """
select letter_id, body from letter_job where tenant = $1 and body is not null
   and exists (select from jsonb_array_elements_text(body -> 'to') as address where lower(address) = $2) order by letter_id"""
_OF_TENANT = """
select letter_id from letter_job where tenant = $1 and letter_id = any($2::uuid[])
union select message_id from message where tenant = $1 and message_id = any($2::uuid[])"""


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """One; `content`: the text of one that waits, all of one that was delivered."""

    letter_id: UUID
    delivered: bool
    to: tuple[str, ...]
    subject: str
    content: bytes


class KeptLetters:
    """Of all tenants; `folder` None: e-mails are handed to a mail server, and none lies here."""

    def __init__(self, folder: Maildir | None) -> None:
        self._folder = folder

    async def to(self, pool: "asyncpg.Pool[Any]", tenant: str, address: str) -> AsyncIterator[KeptLetter]:
        """A tenant's to an address, one at a time."""
        wanted = address.lower()
        async with pool.acquire() as connection:
            waiting, delivered = await connection.fetch(_WAITING, tenant, wanted), await self._of(connection, tenant)
        for row in waiting:
            body = row["body"]
            yield KeptLetter(row["letter_id"], False, tuple(body["to"]), body["subject"], body["text"].encode())
        for letter_id, path in delivered.items():
            content = await asyncio.to_thread(_read, path)
            head = _head(content)
            if wanted in _addresses(head):
                yield KeptLetter(letter_id, True, tuple(sorted(_addresses(head))), str(head["subject"] or ""), content)

    async def erase(self, connection: Any, tenant: str, addresses: Collection[str]) -> int:
        """Destroy a tenant's delivered ones that are to these addresses and to nobody else; how many."""
        gone, count = {address.lower() for address in addresses}, 0
        for path in (await self._of(connection, tenant)).values():
            found = _addresses(_head(await asyncio.to_thread(_read, path)))
            if found and found <= gone:
                await asyncio.to_thread(path.unlink, missing_ok=True)
                count += 1
        return count

    async def _of(self, connection: Any, tenant: str) -> dict[UUID, Path]:
        there = await self._folder.kept() if self._folder is not None else {}
        rows = await connection.fetch(_OF_TENANT, tenant, list(there)) if there else ()
        return {row["letter_id"]: there[row["letter_id"]] for row in rows}


def _read(path: Path) -> bytes:
    """Nothing of one that its reader has moved or deleted meanwhile."""
    with suppress(OSError):
        return path.read_bytes()
    return b""


def _head(content: bytes) -> EmailMessage:
    return BytesParser(policy=default).parsebytes(content, headersonly=True)


def _addresses(head: EmailMessage) -> frozenset[str]:
    values = [str(value) for name in ("to", "cc") for value in head.get_all(name, [])]
    return frozenset(address.lower() for _, address in getaddresses(values) if address)
