"""A stream read from its first message to its present end."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from carillon_kit.bus import Bus, Message, StreamLike

T = TypeVar("T")


async def looked_through(bus: Bus, stream: StreamLike, subject: str, take: Callable[[Message], T | None], patience: float) -> list[T]:
    """What `take` makes of each message on a subject (None: nothing to keep), message by message as the bus hands them out.

    Raises `TimeoutError` after `patience` seconds.
    """
    found: list[T] = []
    follower = bus.follow(stream.name, subject)

    async def read() -> None:
        async for message in follower:
            if (kept := take(message)) is not None:
                found.append(kept)

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        try:
            await follower.caught_up(patience)
        finally:
            await follower.close()
    return found
