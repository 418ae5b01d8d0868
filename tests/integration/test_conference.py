"""Three baresip phones in Dupont SA's conference room; tones tell who hears whom."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from carillon_cli.phone.baresip import Baresip
from strangers.phones import among, holds, phone, type_digits
from strangers.system import System

pytestmark = pytest.mark.feature("M-9")
HZ = {"101": 1900, "102": 700, "106": 1300}
ROOM, PIN = "600", "314159"


@pytest.fixture
def known(system: System) -> set[str]:
    return system.call_ids()


async def phones(stack: AsyncExitStack, system: System, *extensions: str) -> list[Baresip]:
    return [await stack.enter_async_context(phone(system, extension, HZ[extension])) for extension in extensions]


async def dial(system: System, who: Baresip, what: str = ROOM) -> None:
    await who.command("dial", f"sip:{what}@{system.tenant['realm']}")
    await who.until_event("CALL_ESTABLISHED")


async def is_told_more(ear: Baresip) -> None:
    """The next prompt begins: it is spoken to from now on."""
    before = ear.heard()
    await holds(lambda: (heard := ear.heard()).total - heard.silence > before.total - before.silence + 0.3, "the next prompt")


async def hears(ear: Baresip, *hz: int) -> None:
    """A second of each from now on, and nothing of itself to speak of."""
    before = {each: among(ear, each) for each in hz}
    await holds(lambda: all(among(ear, each) >= before[each] + 1 for each in hz), f"{ear.folder} hears {hz} Hz", 30)


async def test_three_hear_each_other_once_the_creator_has_opened_the_room(system: System, known: set[str]) -> None:
    async with AsyncExitStack() as stack:
        dumas, alain, elise = await phones(stack, system, "101", "102", "106")
        await dial(system, dumas)
        await type_digits(dumas, "#")
        await dial(system, elise)
        await type_digits(elise, f"**{PIN}#")
        await hears(dumas, HZ["106"])
        await dial(system, alain)  # the owner needs no PIN
        await hears(dumas, HZ["102"], HZ["106"])
        await hears(alain, HZ["101"], HZ["106"])
        await hears(elise, HZ["101"], HZ["102"])
        assert among(dumas, HZ["101"]) < 0.5
        assert among(alain, HZ["102"]) < 0.5
        await type_digits(elise, "*9")
        for one in (dumas, alain, elise):
            await one.until_event("CALL_CLOSED", 30)
    records = await asyncio.to_thread(system.new_records, known, 3)
    assert {record["dialled"] for record in records} == {ROOM}
    assert all(record["cause"] == "normal_clearing" for record in records)


async def test_a_wrong_pin_three_times_ends_the_call_and_a_restart_forgets_no_try(system: System, known: set[str]) -> None:
    async with AsyncExitStack() as stack:
        (dumas,) = await phones(stack, system, "101")
        for round_ in range(2):
            await dial(system, dumas)
            for left in (2, 1, 0) if round_ == 0 else (2, 1):
                await type_digits(dumas, "**9999#")
                if left:
                    await is_told_more(dumas)
            if round_ == 0:
                await dumas.until_event("CALL_CLOSED", 30)
                old = await asyncio.to_thread(system.kill, "voicemail")
                await asyncio.to_thread(system.until_restarted, "voicemail", old)
            else:
                await type_digits(dumas, f"**{PIN}#")
                await dumas.until_event("CALL_CLOSED", 30)
    records = await asyncio.to_thread(system.new_records, known, 2)
    assert {record["dialled"] for record in records} == {ROOM}
