"""Watching calls as they happen: the events of calls that are up, from their first one on, and those that come.

Invariant: a watcher gets each call's events by seq without a gap, and is cut off when it falls too far behind, never waited for; a call's
events are kept here only while it is up.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import orjson

#: Events that wait for a slow watcher.
MAX_WAITING = 1000
#: Events kept of one call; a watcher who begins later than that cannot have the first ones.
MAX_KEPT = 2000
MAX_WATCHERS = 500


class FellBehind(Exception):
    """The watcher did not keep up: begin again after the last seq that was seen."""


class Tap:
    """One watcher, of one call or of a tenant's calls. `get` gives events as CloudEvents JSON, None at the call's end."""

    def __init__(self, tenant: str, call_id: str) -> None:
        self.tenant = tenant
        self.call_id = call_id
        self._waiting: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self._lost = False

    def put(self, events: Sequence[bytes]) -> None:
        """More events; too many cut the watcher off."""
        if len(self._waiting) + len(events) > MAX_WAITING + MAX_KEPT:
            self._lost = True
        else:
            self._waiting.extend(events)
        self._news.set()

    def end(self) -> None:
        """Nothing comes after what waits."""
        self._ended = True
        self._news.set()

    async def get(self) -> bytes | None:
        """The next event. Raises FellBehind."""
        while not self._waiting:
            if self._lost:
                raise FellBehind
            if self._ended:
                return None
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()


class Taps:
    """All watchers, and the past of the calls that are up."""

    def __init__(self) -> None:
        self._past: dict[tuple[str, str], deque[bytes]] = {}
        self._taps: set[Tap] = set()

    def happened(self, tenant: str, call_id: str, events: Sequence[bytes]) -> None:
        """Events of a call, in order."""
        self._past.setdefault((tenant, call_id), deque(maxlen=MAX_KEPT)).extend(events)
        for tap in self._taps:
            if tap.tenant == tenant and tap.call_id in ("", call_id):
                tap.put(events)

    def over(self, tenant: str, call_id: str) -> None:
        """The call has ended."""
        self._past.pop((tenant, call_id), None)
        for tap in self._taps:
            if tap.call_id == call_id and tap.tenant == tenant:
                tap.end()

    @property
    def full(self) -> bool:
        """Nobody else may watch."""
        return len(self._taps) >= MAX_WATCHERS

    def open(self, tenant: str, call_id: str = "", after_seq: int = 0) -> Tap:
        """Watch a call from the event after `after_seq` on, or (no `call_id`) every call of the tenant that is up or will be."""
        tap = Tap(tenant, call_id)
        for (owner, past_call), events in self._past.items():
            if owner == tenant and call_id in ("", past_call):
                tap.put([event for event in events if not after_seq or orjson.loads(event)["seq"] > after_seq])
        self._taps.add(tap)
        return tap

    def close(self, tap: Tap) -> None:
        """Watch no more."""
        self._taps.discard(tap)
