"""Which calls are told to who watches numbers: those that begin while it watches, from or to one of them.

Always: no more than `MAX_CALLS` at a time; an event of another call costs a look at its subject.
"""

from collections.abc import Iterable

from pydantic import ValidationError

from carillon_contracts.call import CallEnded, CallStarted
from carillon_contracts.envelope import Event
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.callers import normalised
from carillon_routing.domain.explain import Part, Telling
from carillon_routing.domain.sentences import Teller

MAX_CALLS = 200
_STARTED = CallStarted.TYPE.split(".")[1]


class Watching:
    """Of one tenant."""

    def __init__(self, config: TenantConfig, numbers: Iterable[str], teller: Teller) -> None:
        self._config = config
        self._numbers = {normalised(config, number) for number in numbers}
        self.teller = teller
        self._calls: dict[str, Telling] = {}
        self.left_out = 0

    def wants(self, subject: str) -> bool:
        """Whether the message of this subject (`carillon.<tenant>.call.<callid>.<fact>`) may tell something."""
        call_id, _, fact = subject.split(".", 3)[-1].partition(".")
        return fact == _STARTED or call_id in self._calls

    def part(self, raw: bytes) -> Part | None:
        """What is told of an event; nothing of one that cannot be read."""
        try:
            event = Event.from_json(raw)
            return self._part(event, event.callid or "")
        except ValidationError:
            return None

    def _part(self, event: Event, call_id: str) -> Part | None:
        try:
            if event.type == f"carillon.{CallStarted.TYPE}" and call_id not in self._calls and not self._begins(event, call_id):
                return None
            telling = self._calls.get(call_id)
            return telling.part(event) if telling is not None else None
        finally:
            if event.type == f"carillon.{CallEnded.TYPE}":
                self._calls.pop(call_id, None)

    def _begins(self, event: Event, call_id: str) -> bool:
        started = CallStarted.model_validate(event.data)
        if not self._numbers & {normalised(self._config, started.caller), normalised(self._config, started.dialled)}:
            return False
        if len(self._calls) >= MAX_CALLS:
            self.left_out += 1
            return False
        self._calls[call_id] = Telling(self.teller)
        return True
