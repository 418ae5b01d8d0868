"""Web addresses that take longer than a decision may: the request goes on while the call waits, and its answer is kept for who goes on.

Always: a question of a call is asked once by a process, however often the decision is made; what is kept has bounds: number, bytes, time.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import orjson
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
#: Of all answers that are kept, as JSON.
MAX_KEPT_BYTES = 64 * 1024 * 1024
POLL_SECONDS = 0.25
#: Tenant, call, and what is asked.
_Key = tuple[str, str, str]
Start = Callable[[Coroutine[Any, Any, None], str], object]


class NotYet(Exception):
    """The answer is not there in time; it is still waited for."""


@dataclass(slots=True)
class _Asked:
    answer: "asyncio.Future[JsonValue]"
    slow: bool = False


class SlowAnswers:
    """Of one process. `answers` keeps them for the others; `start` runs a task; `clock` is the machine's, never a test's."""

    def __init__(self, finder: FactFinder, answers: Answers, start: Start, clock: Clock) -> None:
        self._finder = finder
        self._answers = answers
        self._start = start
        self._clock = clock
        self._asked: dict[_Key, _Asked] = {}
        #: What is answered, in that order: when, and how many bytes.
        self._kept: deque[tuple[_Key, float, int]] = deque()
        self._kept_bytes = 0

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
            asked = self._asked[key] = _Asked(asyncio.get_running_loop().create_future())
            asked.answer.add_done_callback(lambda answer: self._keep(key, answer))
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

    def _keep(self, key: _Key, answer: "asyncio.Future[JsonValue]") -> None:
        size = len(key[2]) + (0 if answer.cancelled() else len(orjson.dumps(answer.result())))
        self._kept.append((key, self._clock.monotonic(), size))
        self._kept_bytes += size
        self._forget()

    def _forget(self) -> None:
        """The oldest first, until there is room for one more."""
        old = self._clock.monotonic() - KEPT_SECONDS
        while self._kept and (self._kept[0][1] <= old or len(self._asked) >= MAX_KEPT or self._kept_bytes > MAX_KEPT_BYTES):
            key, _, size = self._kept.popleft()
            self._kept_bytes -= size
            del self._asked[key]
