"""When new sessions are refused: before those there lose audio, and not for ever."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from carillon_rtp.client import LoadChanged, Overloaded, PlaneClient, Remote
from carillon_rtp.load import LoadSample, LoadWatch
from carillon_rtp.testing import EventLog, plane_process, sine, write_wav


def looks(watch: LoadWatch, *samples: LoadSample) -> list[bool]:
    """A second apart."""
    assert not watch.look(0, LoadSample([0, 0]))
    return [watch.look(1000 * number, sample) for number, sample in enumerate(samples, 1)]


def test_the_busiest_thread_decides_and_there_is_room_between_refusing_and_accepting() -> None:
    watch = LoadWatch(0.85, 0.7)
    assert looks(watch, *(LoadSample(cpu) for cpu in ([100, 840], [200, 1700], [300, 2450], [400, 3100]))) == [False, True, False, True]
    assert (watch.refusing, watch.load) == (False, 0.65)
    assert not watch.look(4050, LoadSample([400, 5000]))  # too soon to say


def test_ticks_that_come_late_again_and_again_refuse_new_sessions_however_idle_we_are() -> None:
    watch = LoadWatch(late=0.5)
    samples = [
        LoadSample([0, 0], ticks, late) for ticks, late in ((200, 150), (400, 160), (600, 280), (800, 400), (1000, 480), (1200, 500))
    ]
    assert looks(watch, *samples) == [False, False, False, True, False, True]
    assert (watch.refusing, watch.late) == (False, 0.1)


def test_few_ticks_say_nothing() -> None:
    watch = LoadWatch(late=0.5)
    assert looks(watch, *(LoadSample([0, 0], 49 * at, 49 * at) for at in range(1, 5))) == [False] * 4


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
        statistics = await client.statistics()
        assert statistics.refusing
        assert statistics.refused == {"overloaded": 1}
        await client.disconnect()
        await reading


@pytest.mark.feature("M-7")
async def test_a_plane_that_gets_no_processor_counts_all_that_time_as_late(tmp_path: Path) -> None:
    """Stopped for a third of a second it has one turn where three hundred were due."""
    away = 0.33
    async with plane_process(tmp_path) as plane:
        client = await PlaneClient.connect(plane.socket, deadline=30)
        port = (await client.open("hears")).port
        await client.set_remote("hears", Remote("127.0.0.1", port + 1))
        await client.play("hears", "music", [write_wav(tmp_path / "music.wav", sine(440, 1000))], loop=True)
        async with asyncio.timeout(30):
            before = await client.statistics()
            while not before.ticks:
                before = await client.statistics()
            os.kill(plane.pid, signal.SIGSTOP)
            await asyncio.sleep(away)
            os.kill(plane.pid, signal.SIGCONT)
            now = await client.statistics()
            while now.ticks - before.ticks < now.uptime_ms - before.uptime_ms - 100:
                now = await client.statistics()
        assert now.late_ticks - before.late_ticks >= 1000 * away - 100
        await client.disconnect()
