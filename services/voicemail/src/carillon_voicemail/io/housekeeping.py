"""Forgets what no stream can deliver any more, and purges what was deleted. Always: an event is remembered longer than stream CALLS keeps
it; a deleted message can be taken back for `DELETED_FOR`.
"""

import asyncio
from datetime import timedelta

from carillon_contracts.streams import CALLS
from carillon_kit.inbox import Inbox
from carillon_kit.logs import get_logger
from carillon_kit.postgres import UNAVAILABLE
from carillon_voicemail.adapters.postgres_messages import PostgresMessages
from carillon_voicemail.ports import StoreUnavailable

_DAY = 86_400.0
_EVERY_SECONDS = 3600.0
DELETED_FOR = timedelta(days=7)
_log = get_logger("housekeeping")


async def keep_small(inbox: Inbox, messages: PostgresMessages) -> None:
    """Once an hour, until cancelled; the absence of the database or the object store only delays."""
    while True:
        try:
            forgotten = await inbox.forget((CALLS.max_age_seconds or 0) + _DAY)
            purged = await messages.purge(DELETED_FOR)
        except (*UNAVAILABLE, StoreUnavailable, OSError) as away:
            _log.warning("store_unavailable", error=str(away))
        else:
            _log.debug("inbox_forgot", events=forgotten, messages=purged)
        await asyncio.sleep(_EVERY_SECONDS)
