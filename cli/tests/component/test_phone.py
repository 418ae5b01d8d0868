import asyncio
from collections.abc import AsyncIterator

import pytest

from carillon_cli.phone.call import BUSY, NEVER, Behaviour, Identity, PhoneError
from carillon_cli.phone.phone import Phone

pytestmark = pytest.mark.feature("P-6")
CALLER_HZ, CALLED_HZ = 440, 700


async def called_phone(behaviour: Behaviour) -> Phone:
    return await Phone.start(Identity("called", "example"), ("127.0.0.1", 9), CALLED_HZ, behaviour)


async def calling_phone(called: Phone) -> Phone:
    return await Phone.start(Identity("caller", "example"), called.address, CALLER_HZ)


@pytest.fixture
async def phones(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Phone, Phone]]:
    called = await called_phone(request.param)
    caller = await calling_phone(called)
    yield caller, called
    await caller.stop()
    await called.stop()


@pytest.mark.parametrize("phones", [Behaviour(ring_seconds=0)], indirect=True)
async def test_both_sides_hear_the_other_s_tone(phones: tuple[Phone, Phone]) -> None:
    caller, called = phones
    call = await caller.call("102")
    taken = await called.next_call()
    assert await caller.answered(call)
    async with asyncio.timeout(30):
        while min(len(call.audio.ear.samples), len(taken.audio.ear.samples)) < 4000:
            await asyncio.sleep(0.02)
    caller.hang_up(call)
    await called.ended(taken)
    assert call.heard.tone_seconds(CALLED_HZ) >= 0.4
    assert taken.heard.tone_seconds(CALLER_HZ) >= 0.4
    assert taken.reason == "the other side hangs up"


@pytest.mark.parametrize("phones", [Behaviour(ring_seconds=0)], indirect=True)
async def test_each_key_is_heard_once(phones: tuple[Phone, Phone]) -> None:
    caller, called = phones
    call = await caller.call("102")
    taken = await called.next_call()
    assert await caller.answered(call)
    caller.press(call, "11#")
    async with asyncio.timeout(30):
        while len(taken.audio.ear.keys) < 3:
            await asyncio.sleep(0.02)
    assert taken.audio.ear.keys == "11#"


@pytest.mark.parametrize("phones", [BUSY], indirect=True)
async def test_a_busy_phone_refuses(phones: tuple[Phone, Phone]) -> None:
    caller, _ = phones
    call = await caller.call("102")
    assert not await caller.answered(call)
    assert call.status == 486


@pytest.mark.parametrize("phones", [NEVER], indirect=True)
async def test_a_call_that_is_given_up_ends_on_both_sides(phones: tuple[Phone, Phone]) -> None:
    caller, called = phones
    call = await caller.call("102")
    taken = await called.next_call()
    with pytest.raises(PhoneError, match="not answered within"):
        await caller.answered(call, 0.05)
    caller.hang_up(call)
    await caller.ended(call)
    await called.ended(taken)
    assert (call.status, taken.status) == (487, 487)


@pytest.mark.parametrize("phones", [Behaviour(ring_seconds=0)], indirect=True)
async def test_a_held_phone_is_silent_until_it_is_taken_back(phones: tuple[Phone, Phone]) -> None:
    caller, called = phones
    call = await caller.call("102")
    taken = await called.next_call()
    assert await caller.answered(call)
    caller.hold(call)
    async with asyncio.timeout(30):
        while taken.audio.speaking is False:
            await asyncio.sleep(0.01)
        while not any(text == "is held" for _, text in taken.diary):
            await asyncio.sleep(0.01)
    caller.hold(call, held=False)
    async with asyncio.timeout(30):
        while not any(text == "gets a new offer" for _, text in taken.diary):
            await asyncio.sleep(0.01)
    assert not call.over.is_set()
