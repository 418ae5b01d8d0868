"""How long streams last."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest

from carillon_kit.auth import Principal, TokenVerifier, Verified
from carillon_kit.lasting_streams import LastingStreams, TokenOver

pytestmark = pytest.mark.feature("P-3")
ANN = Principal("user/ann", "dupont", frozenset({"admin"}))


def expiring(seconds: float) -> Verified:
    return Verified(ANN, datetime.now(UTC).timestamp() + seconds, None)


async def counting(most: int | None = None) -> AsyncGenerator[int, None]:
    """Without end unless there is a most; never waits for anything but the others' turn."""
    number = 0
    while most is None or number < most:
        await asyncio.sleep(0)
        yield number
        number += 1


async def waiting() -> AsyncGenerator[int, None]:
    yield 0
    await asyncio.Event().wait()


async def stubborn() -> AsyncGenerator[int, None]:
    """Ends by itself, or otherwise than it was told to, when it is cancelled."""
    yield 0
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise RuntimeError("cancelled") from None


@pytest.mark.parametrize("make", [counting, waiting, stubborn])
async def test_what_watches_ends_when_its_token_expires(make: type) -> None:
    streams = LastingStreams(TokenVerifier("k" * 32))
    async with asyncio.timeout(60):
        with pytest.raises(TokenOver, match="has expired; ask again"):
            async for _ in streams.lasting("WatchCalls", expiring(0.1), make()):
                pass


async def test_what_ends_by_itself_is_finished_though_its_token_has_expired() -> None:
    streams = LastingStreams(TokenVerifier("k" * 32))
    assert [each async for each in streams.lasting("FetchAudio", expiring(-1), counting(3))] == [0, 1, 2]


async def test_a_token_without_an_end_watches_on_and_a_time_out_of_the_servicer_is_its_own() -> None:
    async def late() -> AsyncGenerator[int, None]:
        yield 0
        raise TimeoutError

    streams = LastingStreams(TokenVerifier("k" * 32))
    for token in (None, Verified(ANN, None, None), expiring(600)):
        told = streams.lasting("WatchCalls", token, late())
        assert await anext(told) == 0
        with pytest.raises(TimeoutError):
            await anext(told)


async def test_an_end_that_is_told_again_while_a_stream_leaves_keeps_no_other_open() -> None:
    leaving, leave, failures = asyncio.Event(), asyncio.Event(), list[object]()

    async def slow() -> AsyncGenerator[int, None]:
        try:
            yield 0
            await asyncio.Event().wait()
        finally:
            leaving.set()
            await leave.wait()

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: failures.append(context))
    verifier = TokenVerifier("k" * 32)
    streams, now = LastingStreams(verifier), datetime.now(UTC).timestamp()
    told = [streams.lasting("WatchCalls", Verified(ANN, now + 600, now), each) for each in (slow(), waiting(), slow())]
    async with asyncio.timeout(60):
        assert [await anext(each) for each in told] == [0, 0, 0]
        coming = [asyncio.ensure_future(anext(each)) for each in told]
        await asyncio.sleep(0)
        verifier.ended.add("dupont", "user/ann", now + 1, now + 600)
        await leaving.wait()
        verifier.ended.add("dupont", "user/ann", now + 2, now + 600)
        with pytest.raises(TokenOver):
            await coming[1]
        leave.set()
        assert [type(each) for each in await asyncio.gather(*coming, return_exceptions=True)] == [TokenOver] * 3
    loop.set_exception_handler(None)
    assert not failures


@pytest.mark.parametrize("make", [counting, waiting])
async def test_whatever_is_streamed_ends_when_its_token_is_ended(make: type) -> None:
    verifier = TokenVerifier("k" * 32)
    streams, now = LastingStreams(verifier), datetime.now(UTC).timestamp()
    told = streams.lasting("FetchAudio", Verified(ANN, now + 600, now), make())
    assert await anext(told) == 0
    coming = asyncio.ensure_future(anext(told))
    verifier.ended.add("dupont", "user/ann", now + 1, now + 600)
    async with asyncio.timeout(60):
        with pytest.raises(TokenOver, match="was ended"):
            await coming
