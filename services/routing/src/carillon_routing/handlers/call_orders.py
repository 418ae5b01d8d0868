"""Calls that routing makes itself: kept when a call asks for them, begun when they are due, looked after until they are over.

Always: what a caller is told is kept first; while the database or media is away nothing is lost, and goes on when they are back.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby

from pydantic import JsonValue

from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import Clock
from carillon_kit.ids import Ids, SystemIds
from carillon_kit.logs import get_logger
from carillon_routing.domain.asks import AcknowledgeNotice, CallsOnTrunks, CancelCallBacks, NoticeWords, OrderCallBack
from carillon_routing.domain.call_orders import (
    Order,
    Over,
    TrunkNow,
    due,
    for_a_line,
    has_line,
    missed,
    places_for,
    places_of,
    settled,
    trunks_for,
)
from carillon_routing.domain.emergency_notices import ARGUMENT
from carillon_routing.domain.facts import CallFacts
from carillon_routing.ports import CallMaker, Lines, Orders, OrdersAway

_log = get_logger(__name__)
TICK_SECONDS = 1.0
SWEEP_TICKS = 600
RING_SECONDS = 30
#: What a decision of a call may wait for.
DATABASE_SECONDS = 0.2


Asked = CallsOnTrunks | OrderCallBack | CancelCallBacks | NoticeWords | AcknowledgeNotice


class CallOrders:
    """Of all tenants. `config` gives a tenant's configuration of now; `clock` is the machine's; without `calls` none can be made."""

    def __init__(
        self,
        orders: Orders,
        config: Callable[[str], TenantConfig | None],
        clock: Clock,
        calls: CallMaker | None,
        lines: Lines | None,
        ids: Ids | None = None,
    ) -> None:
        self._orders = orders
        self._config = config
        self._clock = clock
        self._calls = calls
        self._lines = lines
        self._ids = ids or SystemIds()

    async def find(self, call: CallFacts, ask: Asked) -> JsonValue:
        """As `ports.FactFinder`."""
        if self._calls is None or not self._orders.up:
            return None
        tenant = call.tenant_id
        try:
            match ask:
                case NoticeWords(order_id):
                    found = await self._orders.words(tenant, order_id, DATABASE_SECONDS)
                    return None if found is None else {"text": found[0], "language": found[1]}
                case AcknowledgeNotice(order_id):
                    return await self._orders.acknowledge(tenant, order_id, DATABASE_SECONDS)
                case CallsOnTrunks():
                    states = await self._lines(tenant) if self._lines is not None else None
                    return None if states is None else {trunk: states[trunk][0] for trunk in ask.trunk_ids if trunk in states}
                case OrderCallBack(user_id, number, colleague, blocked):
                    return await self._orders.add(
                        tenant, "call_back", user_id, number, call.call_id, seconds=DATABASE_SECONDS, blocked=blocked, watched=colleague
                    )
                case CancelCallBacks(user_id):
                    waiting = await self._orders.open(tenant, DATABASE_SECONDS)
                    mine = [order for order in waiting if order.kind == "call_back" and order.who == user_id]
                    done = [await self._orders.settle(Over(order, "cancelled"), DATABASE_SECONDS) for order in mine]
                    return sum(done)
        except OrdersAway as away:
            _log.warning("a call-back is not kept", call_id=call.call_id, error=str(away))
            return None

    async def run(self) -> None:
        """Look after them until cancelled; one replica at a time does."""
        ticks = 0
        while True:
            try:
                async with self._orders.clock_turn() as mine:
                    if mine:
                        await self.tick()
                        if ticks % SWEEP_TICKS == 0:
                            await self._orders.sweep()
                        ticks += 1
            except OrdersAway as away:
                _log.warning("calls that are to be made wait", error=str(away))
            except Exception as error:  # noqa: BLE001 - the edge: one bad order must not stop the others
                _log.error("calls that are to be made cannot be looked after", error=repr(error))
            await asyncio.sleep(TICK_SECONDS)

    async def tick(self) -> None:
        """One look at every order that is open: whoever must know of a call for help is called first. Raises `OrdersAway`."""
        orders, changed = await self._orders.open(), False
        for order in orders:
            with _alone(order.tenant, order.order_id):
                if (found := settled(order, self._clock.now())) is not None:
                    changed = True
                    await self._orders.settle(found)
        if any(not order.via for order in orders):
            if changed:
                orders = await self._orders.open()
            for (_, tenant), theirs in groupby(sorted(orders, key=_turn), _turn):
                config = self._config(tenant)
                if config is not None:
                    with _alone(tenant):
                        await self._begin_due(config, list(theirs))
                await asyncio.sleep(0)

    async def _begin_due(self, config: TenantConfig, orders: Sequence[Order]) -> None:
        tenant = config.tenant_id
        people = {user_id for order in orders if order.kind == "call_back" for user_id in (order.who, order.watched) if user_id}
        busy = await self._orders.busy(tenant, sorted(people)) if people else set[str]()
        for_lines = [order for order in orders if for_a_line(order)]
        lines = dict[str, tuple[str, ...]]()
        for order in for_lines:
            with _alone(tenant, order.order_id):
                lines[order.order_id] = trunks_for(config, order)
            # There may be many, and calls are decided here.
            await asyncio.sleep(0)
        trunks = await self._trunks(config, for_lines, lines)
        places = {place.counter for order in orders for place in places_for(config, order, lines.get(order.order_id, ()))}
        standing = await self._orders.standing(tenant, sorted(places)) if places else {}
        for order in due(config, orders, busy, trunks, self._clock.now(), lines, standing):
            with _alone(tenant, order.order_id):
                await self._begin(order)

    async def without_line(self, tenant: str, wanted: Collection[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Which of these users cannot be connected with these numbers now. Raises `OrdersAway`."""
        config = self._config(tenant)
        if config is None or not self._orders.up:
            return frozenset()
        counters = set[str]()
        for user_id, number in wanted:
            counters |= {place.counter for place in places_of(config, user_id, number)}
            # There may be many, and calls are decided here.
            await asyncio.sleep(0)
        standing = await self._orders.standing(tenant, sorted(counters)) if counters else {}
        states = await self._lines(tenant) if self._lines is not None else None
        trunks = None if states is None else {trunk_id: TrunkNow(usable) for trunk_id, (_, usable) in states.items()}
        found = set[tuple[str, str]]()
        for each in wanted:
            if not has_line(config, *each, trunks, standing):
                found.add(each)
            await asyncio.sleep(0)
        return frozenset(found)

    async def _trunks(self, config: TenantConfig, orders: Sequence[Order], lines: Mapping[str, tuple[str, ...]]) -> Mapping[str, TrunkNow]:
        needed = sorted({trunk_id for trunk_ids in lines.values() for trunk_id in trunk_ids})
        states = await self._lines(config.tenant_id) if needed and self._lines is not None else None
        if states is None:
            return {}
        freed = await self._orders.freed(config.tenant_id, needed, min(order.asked_at for order in orders))
        return {trunk_id: TrunkNow(states[trunk_id][1], freed.get(trunk_id)) for trunk_id in needed if trunk_id in states}

    async def _begin(self, order: Order) -> None:
        """The call's id is stored first, so that a replica that is killed then calls nobody twice."""
        via = str(self._ids.uuid7())
        if self._calls is None or not await self._orders.start(order, via):
            return
        if order.kind == "call_back":
            made = await self._calls(order.tenant, order.who, order.number, RING_SECONDS, via)
        else:
            made = await self._calls.tell(order.tenant, order.who, {ARGUMENT: order.order_id}, RING_SECONDS, via)
        if made:
            await self._orders.accepted(order, via)
        else:
            await self._orders.settle(missed(replace(order, via=via), self._clock.now(), counted=False))


def _turn(order: Order) -> tuple[bool, str]:
    return order.kind != "emergency_notice", order.tenant


@contextmanager
def _alone(tenant: str, order_id: str = "") -> Iterator[None]:
    """What goes wrong here stops no other tenant or order; that the database is away does."""
    try:
        yield
    except OrdersAway:
        raise
    except Exception as error:  # noqa: BLE001 - the edge
        _log.error("a call that is to be made cannot be looked after", tenant=tenant, order_id=order_id, error=repr(error))
