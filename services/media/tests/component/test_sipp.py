"""SIPp, which we did not write, as phones against the service with the real plane."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from carillon_kit.testing import eventually

SCENARIOS = Path(__file__).parent / "sipp"
pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sipp:
    """One sipp process."""

    def __init__(self, house: Any, scenario: str, port: int, *options: str, user: str = "anne", transport: str = "udp") -> None:
        server = house.running.sip[transport]
        self.command = [
            "sipp",
            f"{server[0]}:{server[1]}",
            *("-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(port), "-nostdin", "-timeout", "30"),
            *("-t", "u1" if transport == "udp" else "t1"),
            *("-key", "user", user, "-au", user, "-ap", f"secret-{user}", "-key", "domain", "dupont.example", "-key", "dest", "102"),
            *options,
        ]
        self.folder = house.folder

    async def start(self) -> asyncio.subprocess.Process:
        quiet = asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(*self.command, stdin=quiet, stdout=quiet, stderr=quiet, cwd=self.folder)

    async def run(self) -> int:
        """Exit code: 0 when every call went as the scenario says."""
        process = await self.start()
        try:
            return await asyncio.wait_for(process.wait(), 40)
        finally:
            if process.returncode is None:
                process.kill()


@contextlib.asynccontextmanager
async def phone(house: Any, scenario: str) -> AsyncIterator[None]:
    """Bob's phone, registered, playing this scenario."""
    port = free_port()
    assert await Sipp(house, "register", port, "-m", "1", user="bob").run() == 0
    process = await Sipp(house, scenario, port, user="bob").start()
    await eventually(lambda: port_taken(port))
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def port_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


@pytest.mark.feature("M-1")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_calls_from_a_stranger_to_a_stranger(house: Any, words: Any, transport: str) -> None:
    house.application.follow(words.ring("bob"))
    async with phone(house, "uas"):
        assert await Sipp(house, "uac", free_port(), "-m", "30", "-r", "30", "-d", "200", transport=transport).run() == 0
        await house.ended(30)
    assert house.ends() == 30
    assert {words.last([event], "ended")["cause"] for event in house.events() if event.type == "carillon.call.ended.v1"} == {
        "normal_clearing"
    }
    calls = {event.callid for event in house.events()}
    for call_id in calls:
        seqs = [event.seq for event in house.events(call_id)]
        assert seqs == list(range(1, len(seqs) + 1))
    assert len(calls) == 30


@pytest.mark.feature("M-3")
async def test_a_stranger_gives_up(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    async with phone(house, "uas_ringing"):
        assert await Sipp(house, "uac_cancel", free_port(), "-m", "1").run() == 0
        assert words.last(await house.ended(), "ended")["cause"] == "caller_gave_up"


async def test_a_stranger_is_busy(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.hang_up(17))
    async with phone(house, "uas_busy"):
        assert await Sipp(house, "uac_refused", free_port(), "-m", "1").run() == 0
        assert words.last(await house.ended(), "ring_ended")["result"] == "busy"


async def test_a_stranger_does_not_answer(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob", seconds=1), words.hang_up(19))
    async with phone(house, "uas_ringing"):
        assert await Sipp(house, "uac_refused", free_port(), "-m", "1").run() == 0
        assert words.last(await house.ended(), "ring_ended")["result"] == "no_answer"


@pytest.mark.feature("M-1")
async def test_lost_messages_are_repeated_and_calls_go_through(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    async with phone(house, "uas"):
        assert await Sipp(house, "uac", free_port(), "-m", "10", "-r", "20", "-d", "100", "-lost", "5").run() == 0
        await house.ended(10)
