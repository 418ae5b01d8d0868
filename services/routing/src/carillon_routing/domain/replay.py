"""A decision made again, from what it was made of: with the configuration of its time it is the same, to the letter."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import JsonValue

from carillon_contracts.call import RoutingDecided
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain import cursor as cursors
from carillon_routing.domain.advance import BadOutcome, decided
from carillon_routing.domain.asks import Ask
from carillon_routing.domain.facts import Advance, CallFacts, Outcome, TraceLine
from carillon_routing.domain.made_of import MadeOf
from carillon_routing.domain.queue_steps import EnterQueue, QueueOver, QueueSeen
from carillon_routing.domain.queued import queued

#: The same to the letter; the same step for reasons that read otherwise; another step, or another way on.
Verdict = Literal["equal", "other_reasons", "different"]
#: Of a step's fields: where the call stands in queues, which media adds; how it is recorded, which media leaves out.
_ADDED, _LEFT_OUT = frozenset({"queues"}), frozenset({"recording"})


class FactMissing(Exception):
    """The decision asks what it did not ask then."""


def again(config: TenantConfig, made: MadeOf) -> Advance:
    """The decision; its step is `EnterQueue` where the queue took the caller and what it saw was not kept. Raises `FactMissing` and
    `BadOutcome`."""

    def find_out(ask: Ask) -> JsonValue:
        raise FactMissing(ask.key)

    if made.cursor is not None and made.seen is not None and made.outcome is None and not made.left:
        return _queued(config, made.call, made.cursor, made.seen)
    found = through_queues(made, lambda cursor, outcome: decided(config, made.call, cursor, outcome, made.now, find_out, made.read))
    if isinstance(found.step, EnterQueue) and found.at is not None and made.seen is not None:
        said = _queued(config, made.call, found.at, made.seen)
        return replace(said, trace=found.trace + said.trace)
    return found


def _queued(config: TenantConfig, call: CallFacts, cursor: cursors.Cursor, seen: QueueSeen) -> Advance:
    if not isinstance(cursor.wait, cursors.QueueWait) or (seen.queue_id or cursor.wait.queue_id) not in config.queues:
        raise BadOutcome("there is no queue that the caller could wait in")
    return queued(config, call, cursor, seen)


def through_queues(made: MadeOf, decide: Callable[[cursors.Cursor | None, Outcome], Advance]) -> Advance:
    """What `decide` says, with the ways out of queues that the caller took."""
    left = list(made.left)
    if made.outcome is None and not left:
        raise BadOutcome("nothing became of the step before")
    outcome: Outcome = QueueOver(left.pop(0)) if made.outcome is None else made.outcome
    found = decide(made.cursor, outcome)
    while isinstance(found.step, EnterQueue) and left:
        after = decide(found.at, QueueOver(left.pop(0)))
        found = replace(after, trace=found.trace + after.trace, read=found.read + after.read)
    return found


def sums(step: bytes, decision: Advance) -> tuple[str, str, str]:
    """Short digests of the step (as its message), the cursor and the trace."""
    trace = "\n".join(map(_line, decision.trace)).encode()
    return (_sum(step), _sum(decision.cursor), _sum(trace))


def _line(line: TraceLine) -> str:
    return f"{line.subject}\t{line.matched}\t{line.reason}\t{line.next}"


def _sum(value: bytes) -> str:
    return hashlib.blake2b(value, digest_size=8).hexdigest()


def verdict(then: tuple[str, str, str], now: tuple[str, str, str]) -> Verdict:
    """How like two decisions are, by their sums."""
    if then == now:
        return "equal"
    return "other_reasons" if then[:2] == now[:2] else "different"


def alike(then: RoutingDecided, step: str, details: Mapping[str, Any], trace: Sequence[TraceLine]) -> bool:
    """Whether a decision reads as it was kept, which is less than equal sums say: its trace, and what media keeps of its step.

    For what was kept of a person who was erased since: its sums are of other words. A `queue` tells the rest of the trace, and its step.
    """
    kept = [(line.subject, line.matched, line.reason, line.next) for line in then.trace]
    lines = [(line.subject, line.matched, line.reason, line.next) for line in trace]
    if step == "queue":
        return kept[: len(lines)] == lines
    return (then.step, kept) == (step, lines) and _alike(_without(then.details, _ADDED), _without(details, _LEFT_OUT))


def _without(fields: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _alike(kept: Any, value: Any) -> bool:
    """Long texts are kept shortened."""
    match kept:
        case dict():
            return isinstance(value, dict) and kept.keys() == value.keys() and all(_alike(each, value[name]) for name, each in kept.items())
        case list():
            return isinstance(value, list) and len(kept) == len(value) and all(map(_alike, kept, value))
        case str() if kept.endswith("…") and isinstance(value, str):
            return value.startswith(kept[:-1])
        case _:
            return bool(kept == value)
