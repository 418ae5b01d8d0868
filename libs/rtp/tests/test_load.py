"""When new sessions are refused: before those there lose audio, and not for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from carillon_rtp.client import LoadChanged, Overloaded, PlaneClient, Remote
from carillon_rtp.load import LoadWatch
from carillon_rtp.testing import EventLog, plane_process


def test_the_busiest_thread_decides_and_there_is_room_between_refusing_and_accepting() -> None:
    watch = LoadWatch(0.85, 0.7)
    assert not watch.look(0, [0, 0])
    assert [watch.look(at, cpu) for at, cpu in ((1000, [100, 840]), (2000, [200, 1700]), (3000, [300, 2450]), (4000, [400, 3100]))] == [
        False,
        True,
        False,
        True,
    ]
    assert (watch.refusing, watch.load) == (False, 0.65)
    assert not watch.look(4050, [400, 5000])  # too soon to say


@pytest.mark.feature("M-7")
async def test_new_sessions_are_refused_where_the_plane_is_too_busy(tmp_path: Path) -> None:
    """At a limit of nothing everything is too busy; known ports (a call taken up again) and emergency calls are taken."""
    async with plane_process(tmp_path, "--most-load", "0") as plane:
        client = await PlaneClient.connect(plane.socket)
        events = EventLog(client)
        reading = asyncio.create_task(events.read())
        assert (await events.wait_for(LoadChanged))[0].refusing
        with pytest.raises(Overloaded):
            await client.open("new")
        urgent = await client.open("112", urgent=True)
        assert await client.open("112") == urgent
        again = await client.open("again", port=urgent.port + 2)
        await client.set_remote("again", Remote("127.0.0.1", again.port + 1))
        assert (await client.statistics()).refusing
        await client.disconnect()
        await reading
