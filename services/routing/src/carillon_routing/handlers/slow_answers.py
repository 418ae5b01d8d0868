"""Web addresses that take longer than a decision may: the request goes on while the call waits, and its answer is kept for who goes on.

Always: a question of a call is asked once by a process, however often the decision is made; what is kept is bounded in number and time.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_routing.domain.asks import Fetch
from carillon_routing.domain.facts import CallFacts
from carillon_routing.ports import Answers, FactFinder

_log = get_logger(__name__)
#: How long an answer is kept in memory: media asks the same again when a reply was lost.
KEPT_SECONDS = 60.0
MAX_KEPT = 10_000
POLL_SECONDS = 0.25
Start = Callable[[Coroutine[Any, Any, None], str], object]


class NotYet(Exception):
    """The answer is not there in time; it is still waited for."""


@dataclass(slots=True)
class _Asked:
    answer: "asyncio.Future[JsonValue]"
    at: float
    slow: bool = False


class SlowAnswers:
    """Of one process. `answers` keeps them for the others; `start` runs a task; `clock` is the machine's, never a test's."""

    def __init__(self, finder: FactFinder, answers: Answers, start: Start, clock: Clock) -> None:
        self._finder = finder
        self._answers = answers
        self._start = start
        self._clock = clock
        self._asked: dict[tuple[str, str, str], _Asked] = {}

    def until(self, ask: Fetch) -> int:
        """When it is given up, if it is asked now: milliseconds since 1970."""
        return self.now() + ask.timeout_ms

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int(self._clock.now().timestamp() * 1000)

    async def find(self, call: CallFacts, ask: Fetch, seconds: float) -> JsonValue:
        """The answer, None if there is none; raises `NotYet` after so long."""
        key = (call.tenant_id, call.call_id, ask.key)
        asked = self._asked.get(key)
        if asked is None:
            self._forget()
            asked = self._asked[key] = _Asked(asyncio.get_running_loop().create_future(), self._clock.monotonic())
            self._start(self._ask(call, ask, asked), "web request")
        if not asked.answer.done():
            await asyncio.wait({asked.answer}, timeout=max(0.0, seconds))
        if not asked.answer.done():
            asked.slow = True
            raise NotYet
        return asked.answer.result()

    async def known(self, call: CallFacts, key: str) -> tuple[bool, JsonValue]:
        """Whether the answer is there, and the answer."""
        asked = self._asked.get((call.tenant_id, call.call_id, key))
        if asked is not None and asked.answer.done():
            return True, asked.answer.result()
        return await self._answers.read(call.tenant_id, call.call_id, key)

    async def came(self, call: CallFacts, key: str, seconds: float) -> bool:
        """Whether it is there after so long at the latest."""
        deadline = self._clock.monotonic() + seconds
        while not (await self.known(call, key))[0]:
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            asked = self._asked.get((call.tenant_id, call.call_id, key))
            if asked is not None:
                await asyncio.wait({asked.answer}, timeout=left)
            else:
                # Another process has asked.
                await asyncio.sleep(min(left, POLL_SECONDS))
        return True

    async def _ask(self, call: CallFacts, ask: Fetch, asked: _Asked) -> None:
        value: JsonValue = None
        try:
            value = await self._finder.find(call, ask)
        except Exception as error:  # noqa: BLE001 - the edge: no answer of a web address ends the process
            _log.error("a web address could not be asked", call_id=call.call_id, url=ask.url, error=repr(error))
        asked.answer.set_result(value)
        if not asked.slow:
            return
        try:
            await self._answers.keep(call.tenant_id, call.call_id, ask.key, value)
        except Exception as error:  # noqa: BLE001 - the edge: another replica finds none, and the call goes on without
            _log.error("a web address's answer could not be kept", call_id=call.call_id, url=ask.url, error=repr(error))

    def _forget(self) -> None:
        """The oldest come first."""
        for key, asked in list(self._asked.items()):
            if asked.at > self._clock.monotonic() - KEPT_SECONDS and len(self._asked) < MAX_KEPT:
                return
            if asked.answer.done():
                del self._asked[key]
