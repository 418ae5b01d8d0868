"""A decision that waits for a web address: what it is to be made of, as it travels with the call in the place of a cursor.

Always: `decode(encode(pending)) == pending`; what is decided in the end is decided of the same call, outcome and moment, so that it can be
made again like any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import JsonValue

from carillon_routing.domain import compact, made_of
from carillon_routing.domain.cursor import MAX_BYTES, BadCursor, Cursor
from carillon_routing.domain.facts import CallFacts, Outcome
from carillon_routing.domain.made_of import BadRecord, MadeOf

_MARK = "pending"


@dataclass(frozen=True, slots=True)
class Pending:
    """What `advance` is to be given once the answer to `asked` (the ask's key) is there, or it is later than `until` (ms since 1970)."""

    cursor: Cursor | None
    outcome: Outcome
    now: datetime
    config_seq: int
    asked: str
    until: int
    known: Mapping[str, JsonValue] = field(default_factory=dict)


def encode(pending: Pending, call: CallFacts) -> bytes:
    """Compact JSON, which no cursor is."""
    made = MadeOf(call, pending.cursor, pending.outcome, pending.now, pending.config_seq, pending.known)
    return compact.encode({_MARK: made_of.document(made), "asked": pending.asked, "until": pending.until})


def decode(raw: bytes, tenant_id: str, call_id: str) -> Pending | None:
    """None: it is a cursor, or nothing that routing knows. Raises `BadCursor` for what looks like one and is none."""
    if not raw.startswith(b'{"pending":'):
        return None
    if len(raw) > MAX_BYTES:
        raise BadCursor(f"{len(raw)} bytes, at most {MAX_BYTES} allowed")
    try:
        fields: dict[str, Any] = compact.decode(raw)
        made = made_of.decode(fields[_MARK], tenant_id, call_id)
        asked, until = fields["asked"], fields["until"]
    except (BadRecord, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise BadCursor("not a decision that waits") from error
    if made.outcome is None or not isinstance(asked, str) or not isinstance(until, int) or isinstance(until, bool):
        raise BadCursor("not a decision that waits")
    return Pending(made.cursor, made.outcome, made.now, made.config_seq, asked, until, dict(made.read))
