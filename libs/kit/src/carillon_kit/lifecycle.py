"""A service's process: ordered start, wait for a signal, ordered stop, meaningful exit code."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn, Self, TypeVar

from carillon_kit.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)


def run(name: str, settings_factory: Callable[[], S], app: Callable[[S], AbstractAsyncContextManager[None]]) -> NoReturn:
    """For `__main__`: enter `app(settings)`, wait for SIGTERM or SIGINT, leave it within `shutdown_seconds`, exit."""
    raise NotImplementedError


class Tasks:
    """Background tasks that must not die: `async with Tasks() as tasks: tasks.start(coroutine, name)`."""

    def start(self, coroutine: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Run in the background; its death ends the process, loudly."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel what runs and wait for it."""
