"""What a decision was made of, as it is kept with the call: enough to make it again, and to see whether it is the same.

Always: `decode(encode(made)) == made`. Of an outcome that is a secret it is kept that there was one, and in `read` whether it was right.
What a queue did with the caller is kept as the reasons for which the caller left queues on the way to this step, and, where the step is a
queue's own, as what the queue saw.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, get_args

from pydantic import JsonValue, TypeAdapter, ValidationError

from carillon_routing.domain import compact
from carillon_routing.domain import cursor as cursors
from carillon_routing.domain.cursor import Cursor
from carillon_routing.domain.facts import CallFacts, FactRead, Gathered, Outcome
from carillon_routing.domain.queue_steps import QueueReason, QueueSeen

VERSION = 1
#: In a secret's place.
HIDDEN = "?"
_OUTCOMES = {kind.__name__: kind for kind in get_args(Outcome)}
_CALL: TypeAdapter[CallFacts] = TypeAdapter(CallFacts)
_OUTCOME: dict[str, TypeAdapter[Outcome]] = {name: TypeAdapter(kind) for name, kind in _OUTCOMES.items()}
_SAID: TypeAdapter[tuple[QueueReason, ...]] = TypeAdapter(tuple[QueueReason, ...])
_SEEN: TypeAdapter[QueueSeen] = TypeAdapter(QueueSeen)
_READ: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
#: The call's, which the event tells.
_TOLD = frozenset({"tenant_id", "call_id"})


_DEFAULTS: dict[type, tuple[tuple[str, object], ...]] = {
    kind: tuple((each.name, each.default_factory() if each.default_factory is not MISSING else each.default) for each in fields(kind))
    for kind in (CallFacts, QueueSeen, *_OUTCOMES.values())
}


class BadRecord(ValueError):
    """No record of a decision, or of a version that this one does not know."""


@dataclass(frozen=True, slots=True)
class MadeOf:
    """`outcome` None: the caller left the queue of the cursor, for the first of `left`, or stays there. `sums`: of step, cursor and trace,
    as decided. `seen`: by the queue that the step is of."""

    call: CallFacts
    cursor: Cursor | None
    outcome: Outcome | None
    now: datetime
    config_seq: int
    read: Mapping[str, JsonValue] = field(default_factory=dict)
    left: tuple[QueueReason, ...] = ()
    sums: tuple[str, str, str] = ("", "", "")
    seen: QueueSeen | None = None


def encode(made: MadeOf) -> bytes:
    """Compact JSON; see `document`."""
    return compact.encode(document(made))


def document(made: MadeOf) -> dict[str, Any]:
    """What JSON has; keys that say nothing are absent."""
    found: dict[str, Any] = {
        "v": VERSION,
        "now": made.now.isoformat(),
        "seq": made.config_seq,
        "call": {name: value for name, value in _plain(made.call).items() if name not in _TOLD},
        "sums": made.sums,
    }
    if made.cursor is not None:
        found["cursor"] = cursors.document(made.cursor)
    if made.outcome is not None:
        found["outcome"] = [type(made.outcome).__name__, _plain(made.outcome)]
    found |= {name: value for name, value in (("read", made.read), ("left", made.left)) if value}
    if made.seen is not None:
        found["seen"] = _plain(made.seen)
    return found


def _plain(value: Any) -> dict[str, Any]:
    return {name: found for name, default in _DEFAULTS[type(value)] if (found := getattr(value, name)) != default}


def went_on(document: Mapping[str, Any]) -> bool:
    """Whether it is a decision that followed another one."""
    return "cursor" in document


def what_became(document: Mapping[str, Any]) -> tuple[Outcome | None, Mapping[str, JsonValue], tuple[QueueReason, ...]]:
    """Outcome, what was read and the queues left, alone: without what it costs to read the rest. Raises `BadRecord`."""
    try:
        outcome = _outcome(*document["outcome"]) if "outcome" in document else None
        left = document.get("left", ())
        return outcome, _READ.validate_python(document.get("read", {})), _SAID.validate_python(tuple(left)) if left else ()
    except (KeyError, TypeError, ValidationError) as error:
        raise BadRecord(f"not a record of a decision: {error}") from error


def decode(document: Mapping[str, Any], tenant_id: str, call_id: str) -> MadeOf:
    """Raises `BadRecord`."""
    if document.get("v") != VERSION:
        raise BadRecord(f"version {document.get('v')!r} of a record of decisions, this software knows {VERSION}")
    try:
        step, cursor, trace = map(str, document["sums"])
        return MadeOf(
            _CALL.validate_python({**document["call"], "tenant_id": tenant_id, "call_id": call_id}),
            cursors.decode(compact.encode(document["cursor"])) if "cursor" in document else None,
            _outcome(*document["outcome"]) if "outcome" in document else None,
            _moment(document["now"]),
            int(document["seq"]),
            _READ.validate_python(document.get("read", {})),
            _SAID.validate_python(tuple(document.get("left", ()))),
            (step, cursor, trace),
            _SEEN.validate_python(document["seen"]) if "seen" in document else None,
        )
    except (KeyError, TypeError, ValueError, ValidationError, cursors.BadCursor) as error:
        raise BadRecord(f"not a record of a decision: {error}") from error


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise BadRecord("a moment without an offset")
    return found


def _outcome(kind: str, value: Mapping[str, Any]) -> Outcome:
    if kind not in _OUTCOME:
        raise BadRecord(f"an outcome {kind!r}")
    return _OUTCOME[kind].validate_python(value)


def hidden(cursor: Cursor | None, outcome: Outcome) -> Outcome:
    """The outcome as it is kept: of a PIN or a code only that something was pressed."""
    if cursor is None or not isinstance(outcome, Gathered) or not isinstance(cursor.wait, cursors.SECRET_WAITS):
        return outcome
    if isinstance(cursor.wait, cursors.DeskWait) and not cursor.wait.extension:
        return outcome
    return replace(outcome, digits=HIDDEN if outcome.digits else "")


def as_read(read: Iterable[FactRead]) -> dict[str, JsonValue]:
    """By key of what was asked."""
    return {each.key: each.value for each in read}
