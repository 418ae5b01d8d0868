"""The state of a call in routing: a small JSON object that travels with the call and comes back with each outcome.

Always: `decode(encode(cursor)) == cursor`, and what is not such an object is refused with `BadCursor` and a reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, get_args

from carillon_contracts.call_order import Blocked
from carillon_routing.domain import compact

VERSION = 2
MAX_BYTES = 16_384
#: Places of one call that can be given back before it ends; the oldest beyond them are held to its end.
MAX_HELD = 16


class BadCursor(ValueError):
    """Not a cursor of routing, or of a version that this one does not know."""


@dataclass(frozen=True, slots=True)
class UserWait:
    """A user's devices ring, or (`secretary`) those of who is rung first for the user, who rings next for `ring_seconds`."""

    user_id: str
    secretary: str = ""
    ring_seconds: int = 0


@dataclass(frozen=True, slots=True)
class ExternalWait:
    """A number is called by the last of the tried trunks, in the rights of a user (empty: of the tenant's admins)."""

    number: str
    tried: tuple[str, ...]
    ring_ms: int
    for_user_id: str = ""
    #: One of the trunks before was busy.
    busy: bool = False


@dataclass(frozen=True, slots=True)
class GroupWait:
    """A group rings; `hunt`: a hunt group."""

    group_id: str
    hunt: bool = False


@dataclass(frozen=True, slots=True)
class StickyWait:
    """The agent of the sticky agent node that sent the call rings."""

    user_id: str


@dataclass(frozen=True, slots=True)
class RefusedWait:
    """The caller is told that the number may not be called; then the call ends."""


@dataclass(frozen=True, slots=True)
class CodeWait:
    """The caller is asked for the `pin` or an `account` code before `number` is called; `turn` times before this one."""

    kind: str
    number: str
    ring_ms: int = 0
    turn: int = 0


@dataclass(frozen=True, slots=True)
class CallBackWait:
    """The caller is asked whether to be called back, because every trunk for `number` is busy."""

    number: str
    blocked: Blocked


@dataclass(frozen=True, slots=True)
class NoticeWait:
    """A phone is told of a call for help, `turn` times before this one."""

    order_id: str
    turn: int = 0


@dataclass(frozen=True, slots=True)
class MenuWait:
    """A menu was played `turn` times before; `digits` were pressed that may be a key or the beginning of an extension."""

    menu_id: str
    turn: int = 0
    digits: str = ""
    #: When the menu was entered: seconds since 1970.
    since: int = 0
    #: The last words to a caller who chose nothing are spoken.
    last: bool = False


@dataclass(frozen=True, slots=True)
class PlayWait:
    """Something is spoken; then comes node `next` of the sender's plan, or the end."""

    next: str = ""


@dataclass(frozen=True, slots=True)
class QueueWait:
    """The caller is in a queue, `since` milliseconds after 1970; `turn` waits were begun before this one."""

    queue_id: str
    priority: int = 0
    since: int = 0
    turn: int = 0
    #: What an agent must know for this caller: `french:5,printers:1`, until so many seconds of waiting (0: always).
    skills: str = ""
    skills_for: int = 0
    #: How often being called back was offered.
    offers: int = 0
    #: Of what is said to who becomes first: 0 nothing yet, 1 somebody stands before still, 2 it was said.
    first: int = 0


@dataclass(frozen=True, slots=True)
class FeatureWait:
    """What was dialled by code is being done: `park`, `recall` (of a parked call), `take`, `intercom`, `page`, `supervise`."""

    what: str
    lot_id: str = ""
    slot: str = ""
    #: Who parked the call, or whom an intercom calls.
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class DeskWait:
    """Who wants to log in on the phone is asked for the extension (empty here), then for the PIN; `turn` times before this one."""

    extension: str = ""
    turn: int = 0


Wait = (
    UserWait
    | ExternalWait
    | GroupWait
    | StickyWait
    | RefusedWait
    | CodeWait
    | CallBackWait
    | NoticeWait
    | MenuWait
    | PlayWait
    | FeatureWait
    | DeskWait
    | QueueWait
)

#: Waits whose outcome may be a PIN or a code, which is kept nowhere (`hidden`).
SECRET_WAITS: tuple[type[Wait], ...] = (CodeWait, DeskWait)


@dataclass(frozen=True, slots=True)
class Held:
    """A place under a limit, see `TakePlace`. `there`: the call has come to what the limit guards, and gives it back on leaving that."""

    counter: str
    visit: int
    there: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a call stands. `sender`: plan and node whose ways count for what is being carried out; None: nobody's."""

    config_seq: int
    wait: Wait
    sender: tuple[str, str] | None = None
    language: str = ""
    #: Visits of nodes and destinations so far, and users' forwardings among them.
    hops: int = 0
    forwards: int = 0
    variables: tuple[tuple[str, str], ...] = ()
    #: Sub-plan nodes (plan and node) that wait for a return, outermost first.
    stack: tuple[tuple[str, str], ...] = ()
    #: Codes that the caller gave: kind, and of an account what it is charged to.
    codes: tuple[tuple[str, str], ...] = ()
    #: A user has sent the call there, by transfer or deflection.
    sent: bool = False
    #: Of a call that was transferred: the user who stays (empty: somebody outside), and the recording policy of the talk before.
    before: tuple[str, str] | None = None
    #: Places that the call gives back before it ends, and how many were asked for so far.
    places: tuple[Held, ...] = ()
    visits: int = 0


def encode(cursor: Cursor) -> bytes:
    """Compact JSON; keys that say nothing are absent."""
    return compact.encode(document(cursor))


def document(cursor: Cursor) -> dict[str, Any]:
    """What `encode` makes JSON of."""
    fields = {
        "v": VERSION,
        "c": cursor.config_seq,
        "w": _encode_wait(cursor.wait),
        "s": cursor.sender,
        "l": cursor.language,
        "h": cursor.hops,
        "f": cursor.forwards,
        "x": cursor.variables,
        "d": cursor.stack,
        "k": cursor.codes,
        "t": int(cursor.sent),
        "b": cursor.before,
        "p": [[each.counter, each.visit, each.there] for each in cursor.places],
        "n": cursor.visits,
    }
    return {key: value for key, value in fields.items() if value or key == "c"}


def _encode_wait(wait: Wait) -> list[Any]:
    match wait:
        case UserWait(user_id, secretary, ring_seconds):
            return ["user", user_id, secretary, ring_seconds]
        case ExternalWait(number, tried, ring_ms, for_user_id, busy):
            return ["external_busy" if busy else "external", number, list(tried), ring_ms, for_user_id]
        case CallBackWait(number, blocked):
            return ["call_back", number, blocked]
        case NoticeWait(order_id, turn):
            return ["notice", order_id, turn]
        case GroupWait(group_id, hunt):
            return ["group", group_id, hunt]
        case StickyWait(user_id):
            return ["sticky", user_id]
        case RefusedWait():
            return ["refused"]
        case CodeWait(kind, number, ring_ms, turn):
            return ["code", kind, number, ring_ms, turn]
        case MenuWait(menu_id, turn, digits, since, last):
            return ["menu", menu_id, turn, digits, since, last]
        case PlayWait(following):
            return ["play", following]
        case QueueWait(queue_id, priority, since, turn, "", 0, 0, 0):
            return ["queue", queue_id, priority, since, turn]
        case QueueWait(queue_id, priority, since, turn, skills, skills_for, offers, first):
            return ["queue_with", queue_id, priority, since, turn, skills, skills_for, offers, first]
        case DeskWait(extension, turn):
            return ["desk", extension, turn]
        case FeatureWait(what, lot_id, slot, user_id):
            return ["feature", what, lot_id, slot, user_id]


def decode(raw: bytes) -> Cursor:
    """Raises `BadCursor`."""
    if len(raw) > MAX_BYTES:
        raise BadCursor(f"{len(raw)} bytes, at most {MAX_BYTES} allowed")
    try:
        fields = compact.decode(raw)
    except (ValueError, RecursionError) as error:
        raise BadCursor("not JSON") from error
    if not isinstance(fields, dict):
        raise BadCursor("not a JSON object")
    if fields.get("v") != VERSION:
        raise BadCursor(f"version {fields.get('v')!r}, this is {VERSION}")
    sender = fields.get("s")
    if sender is not None and not (isinstance(sender, list) and len(sender) == 2 and all(_is_text(part) for part in sender)):
        raise BadCursor("s is not a plan and a node")
    language = fields.get("l", "")
    if not _is_text(language):
        raise BadCursor("l is not a language")
    before = fields.get("b")
    if before is not None and not (_is_texts(before) and len(before) == 2):
        raise BadCursor("b is not a user and a policy")
    seq, wait = _count(fields, "c"), _decode_wait(fields.get("w"))
    variables, stack = _pairs(fields, "x"), _pairs(fields, "d")
    hops, forwards, codes = _count(fields, "h"), _count(fields, "f"), _pairs(fields, "k")
    sent = bool(_count(fields, "t"))
    came_by = tuple(sender) if sender else None
    last = tuple(before) if before else None
    held, visits = _held(fields.get("p", [])), _count(fields, "n")
    return Cursor(seq, wait, came_by, language, hops, forwards, variables, stack, codes, sent, last, held, visits)


def _pairs(fields: Mapping[str, Any], key: str) -> tuple[tuple[str, str], ...]:
    value = fields.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > 100 or not all(_is_texts(pair) and len(pair) == 2 for pair in value):
        raise BadCursor(f"{key} is not a list of pairs")
    return tuple((pair[0], pair[1]) for pair in value)


def _held(value: object) -> tuple[Held, ...]:
    if not isinstance(value, list) or len(value) > MAX_HELD or not all(isinstance(each, list) and len(each) == 3 for each in value):
        raise BadCursor("p is not a list of places")
    if not all(_is_text(counter) and _is_count(visit) and _is_flag(there) for counter, visit, there in value):
        raise BadCursor("p is not a list of places")
    return tuple(Held(*each) for each in value)


def _decode_wait(parts: object) -> Wait:
    if not isinstance(parts, list) or not parts or not isinstance(parts[0], str) or parts[0] not in _WAITS:
        raise BadCursor("w is not a wait")
    accepts, make = _WAITS[parts[0]]
    if len(parts) - 1 != len(accepts) or not all(accept(part) for accept, part in zip(accepts, parts[1:], strict=True)):
        raise BadCursor(f"w is not a wait of kind {parts[0]}")
    return make(*parts[1:])


def _count(fields: Mapping[str, Any], key: str) -> int:
    value = fields.get(key, 0)
    if not _is_count(value):
        raise BadCursor(f"{key} is not a count")
    return value


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= 256


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and len(value) <= 100 and all(_is_text(part) for part in value)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _is_blocked(value: object) -> bool:
    return value in get_args(Blocked)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


#: Kind of wait: what its parts must be, and how it is made of them.
_WAITS: dict[str, tuple[tuple[Callable[[object], bool], ...], Callable[..., Wait]]] = {
    "user": ((_is_text, _is_text, _is_count), UserWait),
    "external": (
        (_is_text, _is_texts, _is_count, _is_text),
        lambda number, tried, *rest: ExternalWait(number, tuple(tried), *rest),
    ),
    "external_busy": (
        (_is_text, _is_texts, _is_count, _is_text),
        lambda number, tried, ring_ms, user: ExternalWait(number, tuple(tried), ring_ms, user, busy=True),
    ),
    "call_back": ((_is_text, _is_blocked), CallBackWait),
    "notice": ((_is_text, _is_count), NoticeWait),
    "group": ((_is_text, _is_flag), GroupWait),
    "sticky": ((_is_text,), StickyWait),
    "refused": ((), RefusedWait),
    "code": ((_is_text, _is_text, _is_count, _is_count), CodeWait),
    "menu": ((_is_text, _is_count, _is_text, _is_count, _is_flag), MenuWait),
    "play": ((_is_text,), PlayWait),
    "desk": ((_is_text, _is_count), DeskWait),
    "queue": ((_is_text, _is_count, _is_count, _is_count), QueueWait),
    "queue_with": ((_is_text, _is_count, _is_count, _is_count, _is_text, _is_count, _is_count, _is_count), QueueWait),
    "feature": ((_is_text, _is_text, _is_text, _is_text), FeatureWait),
}
