"""Calls that routing makes itself, later: what is due, what became of a try, when it is over.

Two kinds: a user is called back once the number that they want can be called, one at a time on each trunk in the order in which they asked;
who must know of a call for help is called at once, all at the same time, until they acknowledge it.

Always: an order ends; a try is counted when its call was there; while a call is under way for an order no other one is begun for it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from carillon_contracts.call_order import Blocked, CallBackResult, NoticeResult
from carillon_contracts.config import User
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain import limits
from carillon_routing.domain.asks import TakePlace
from carillon_routing.domain.authorise import Allowed, authorise
from carillon_routing.domain.facts import CallFacts

Kind = Literal["call_back", "emergency_notice"]
Result = CallBackResult | NoticeResult
MAX_TRIES: Mapping[Kind, int] = {"call_back": 3, "emergency_notice": 5}
#: ITU-T Q.733.3 (CCBS-T7) gives up after 15 to 45 minutes; whoever asked for a line waits as long for it as for a colleague.
EXPIRES: Mapping[Kind, timedelta] = {"call_back": timedelta(hours=1), "emergency_notice": timedelta(minutes=30)}
#: Between two tries.
PAUSE: Mapping[Kind, timedelta] = {"call_back": timedelta(minutes=1), "emergency_notice": timedelta(seconds=15)}
#: Until the first. A carrier that is busy is asked again when one of its calls is over, or after that long.
FIRST_PAUSE: Mapping[Blocked, timedelta] = {
    "colleague": timedelta(0),
    "limit": timedelta(0),
    "carrier": timedelta(minutes=1),
}
#: A call that media did not say it has begun, and of which no event has come for so long, was never begun.
NEVER_BEGUN = timedelta(minutes=1)
#: A call whose end was never told.
LONGEST_CALL = timedelta(hours=2)
MAX_PER_USER = 10
MAX_PER_TENANT = 500


@dataclass(frozen=True, slots=True)
class Order:
    """`who`: the user who is called, or of a notice the phone (E.164); `number`: what is then called, or the emergency number.

    `watched`: the colleague whose talk must end; `caused_by`: the call that it came from; `via`: the call under way; `via_accepted`:
    media said that it has begun it; what follows is what was heard of it."""

    tenant: str
    order_id: str
    kind: Kind
    who: str
    number: str
    asked_at: datetime
    not_before: datetime
    expires_at: datetime
    blocked: Blocked | Literal[""] = ""
    watched: str = ""
    caused_by: str = ""
    tries: int = 0
    via: str = ""
    via_at: datetime | None = None
    via_accepted: bool = False
    via_seen: bool = False
    via_reached: bool = False
    via_ended: bool = False


@dataclass(frozen=True, slots=True)
class Missed:
    """The try led to nothing; the next one not before `again`. `counted`: it was one."""

    order: Order
    again: datetime
    counted: bool


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more is done for it."""

    order: Order
    result: Result


@dataclass(frozen=True, slots=True)
class TrunkNow:
    """Whether calls out can go by it, and when the last one that was answered ended."""

    usable: bool
    freed_at: datetime | None = None


def settled(order: Order, now: datetime) -> Missed | Over | None:
    """What the time and the events of its call have made of it; None: it goes on."""
    if not order.via:
        return Over(order, _failed(order)) if now >= order.expires_at else None
    since = now - (order.via_at or order.asked_at)
    if order.kind == "call_back" and order.via_reached:
        return Over(order, "reached")
    if not order.via_seen and not order.via_accepted:
        return missed(order, now, counted=False) if since >= NEVER_BEGUN else None
    if order.via_ended or since >= LONGEST_CALL:
        return missed(order, now, counted=True)
    return None


def missed(order: Order, now: datetime, *, counted: bool) -> Missed | Over:
    """The call under way reached nobody, or (not `counted`) was not begun."""
    if order.tries + counted >= MAX_TRIES[order.kind] or now >= order.expires_at:
        return Over(order, _failed(order))
    return Missed(order, now + PAUSE[order.kind], counted)


def _failed(order: Order) -> Result:
    if order.kind == "emergency_notice":
        return "not_acknowledged"
    return "not_reached" if order.tries or order.via else "expired"


def trunks_for(config: TenantConfig, order: Order) -> tuple[str, ...]:
    """Which trunks may carry the call, best first; none if the user may not call the number any more."""
    user = config.users.get(order.who)
    return () if user is None else trunks_out(config, user, order.number)


def trunks_out(config: TenantConfig, user: User, number: str) -> tuple[str, ...]:
    """Which trunks may carry a call to the number that is made for the user, best first."""
    call = CallFacts(config.tenant_id, "", "from_user", number, caller_user_id=user.id)
    decision, _ = authorise(config, user, number, call, ("pin", "account"))
    return tuple(trunk.id for trunk, _ in decision.trunks) if isinstance(decision, Allowed) else ()


def places_for(config: TenantConfig, order: Order, needed: Sequence[str]) -> tuple[TakePlace, ...]:
    """Under which limits its call would take a place: the tenant's, the departments', and those of the trunks that may carry it."""
    return (*_made_for(config, order), *filter(None, (_out_by(config, trunk_id) for trunk_id in needed)))


def _made_for(config: TenantConfig, order: Order) -> tuple[TakePlace, ...]:
    user = config.users.get(order.who) if order.kind == "call_back" else None
    return () if user is None else limits.made_for(config, user, outside=for_a_line(order))


def _out_by(config: TenantConfig, trunk_id: str) -> TakePlace | None:
    trunk = config.trunks.get(trunk_id)
    return None if trunk is None else limits.out_by(trunk)


def has_line(
    config: TenantConfig, user_id: str, number: str, trunks: Mapping[str, TrunkNow] | None, standing: limits.Standing = MappingProxyType({})
) -> bool:
    """Whether a call that is made for the user now could go to the number; where no trunk may carry it ever, the call itself finds out.

    `trunks` None: nobody knows how they stand, and each is tried."""
    user = config.users.get(user_id)
    if user is None:
        return True
    inside = number in config.extensions or number in config.numbers
    if not all(limits.has_room(place, standing) for place in limits.made_for(config, user, outside=not inside)):
        return False
    allowed = () if inside else trunks_out(config, user, number)
    return not allowed or any(
        limits.has_room(_out_by(config, each), standing) and (trunks is None or each not in trunks or trunks[each].usable)
        for each in allowed
    )


def places_of(config: TenantConfig, user_id: str, number: str) -> tuple[TakePlace, ...]:
    """What `has_line` must know of limits."""
    user = config.users.get(user_id)
    if user is None:
        return ()
    by = (_out_by(config, each) for each in trunks_out(config, user, number))
    return (*limits.made_for(config, user, outside=True), *filter(None, by))


def due(
    config: TenantConfig,
    orders: Iterable[Order],
    busy: Collection[str],
    trunks: Mapping[str, TrunkNow] | None,
    now: datetime,
    lines: Mapping[str, tuple[str, ...]],
    standing: limits.Standing = MappingProxyType({}),
) -> list[Order]:
    """Which of a tenant's open orders are begun now, the oldest first. `busy`: users; `trunks` None: nobody knows how they stand.

    A suspended tenant's users are not called back; those who must know of a call for help are called. `lines`: `trunks_for` each
    order that is `for_a_line`, by its id; `standing`: of the limits of `places_for` each."""
    open_orders = sorted(orders, key=lambda order: (order.asked_at, order.order_id))
    found = list[Order]()
    under_way = [order for order in open_orders if order.via]
    rung = {each for order in under_way for each in (order.who, order.watched) if each}
    taken = {trunk_id for order in under_way for trunk_id in lines.get(order.order_id, ())}
    suspended, now_standing = config.tenant.subscription.suspended, dict(standing)
    for order in open_orders:
        if order.via or (suspended and order.kind == "call_back"):
            continue
        needed = lines.get(order.order_id, ())
        with_room = tuple(each for each in needed if limits.has_room(_out_by(config, each), now_standing))
        made = _made_for(config, order)
        if not all(limits.has_room(place, now_standing) for place in made):
            continue
        if not _ready(order, with_room, {*busy, *rung}, trunks or {}, taken, now):
            continue
        found.append(order)
        rung |= {each for each in (order.who, order.watched) if each}
        taken |= set(needed)
        for place in made:
            calls, starts = now_standing.get(place.counter, (0, 0))
            now_standing[place.counter] = calls + 1, starts + 1
    return found


def for_a_line(order: Order) -> bool:
    """Whether it is the trunks that are waited for."""
    return order.kind == "call_back" and not order.watched


def _ready(
    order: Order,
    needed: tuple[str, ...],
    busy: Collection[str],
    trunks: Mapping[str, TrunkNow],
    taken: Collection[str],
    now: datetime,
) -> bool:
    if order.kind == "emergency_notice":
        return now >= order.not_before
    if order.who in busy or order.watched in busy:
        return False
    return _line_free(order, needed, trunks, taken, now) if not order.watched else now >= order.not_before


def _line_free(order: Order, needed: tuple[str, ...], trunks: Mapping[str, TrunkNow], taken: Collection[str], now: datetime) -> bool:
    since = order.not_before - (PAUSE["call_back"] if order.blocked == "carrier" or order.tries else timedelta(0))
    for trunk_id in needed:
        state = trunks.get(trunk_id)
        if state is None or not state.usable or trunk_id in taken:
            continue
        if now >= order.not_before or (state.freed_at is not None and state.freed_at > since):
            return True
    return False
