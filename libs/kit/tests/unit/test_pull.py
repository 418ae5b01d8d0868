"""A pull ends, whatever the connection does."""

import asyncio
from typing import Any

import pytest

from carillon_kit.bus import pull as module
from carillon_kit.bus.pull import Pull


class Silent:
    """A connection that never hears of its server again, and its one subscription."""

    is_closed, is_connected = False, True

    def new_inbox(self) -> str:
        return "_INBOX.x"

    async def subscribe(self, subject: str, **options: Any) -> "Silent":
        return self

    async def drain(self) -> None:
        await asyncio.Event().wait()


async def test_a_pull_closes_though_what_it_has_under_way_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.01)
    pull = Pull(Silent(), "S", "c", 10, refill_below=5)
    await pull.open()
    async with asyncio.timeout(30):
        await pull.close()
    assert pull.arrived() == []
