"""Forgets what no stream can deliver any more. Always: an event is remembered longer than stream CALLS keeps it."""

import asyncio

from carillon_contracts.streams import CALLS
from carillon_kit.inbox import Inbox
from carillon_kit.logs import get_logger
from carillon_kit.postgres import UNAVAILABLE

_DAY = 86_400.0
_EVERY_SECONDS = 3600.0
_log = get_logger("housekeeping")


async def keep_inbox_small(inbox: Inbox) -> None:
    """Once an hour, until cancelled; the database's absence only delays."""
    while True:
        try:
            forgotten = await inbox.forget((CALLS.max_age_seconds or 0) + _DAY)
        except UNAVAILABLE as away:
            _log.warning("store_unavailable", error=str(away))
        else:
            _log.debug("inbox_forgot", events=forgotten)
        await asyncio.sleep(_EVERY_SECONDS)
