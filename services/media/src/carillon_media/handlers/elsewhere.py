"""Calls of the other media nodes: what is told of ours, and what is heard of theirs.

Each node tells the others of its calls, over the bus, while there are others. So every node shows the lamps of all, parks in slots that are
free on all, and knows which node an INVITE is for (`crossing`).

Invariant: without other nodes nothing is told; a node that is not alive has no calls here.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from carillon_contracts.streams import NODES, node_subject
from carillon_kit.bus import Bus, Message, Outgoing
from carillon_kit.bus.announcements import Announcements
from carillon_kit.ids import Ids
from carillon_kit.logs import get_logger
from carillon_media.domain.elsewhere import NodeCall, NodeLeg, NodeNews
from carillon_media.domain.lamps import slot_name
from carillon_media.domain.state import Parked, Ringing, Talking
from carillon_media.handlers.actor import CallActor
from carillon_sip.dialog_info import WatchedDialog
from carillon_sip.flow import Address

_log = get_logger(__name__)
#: Changes that come so close together are told at once.
GATHER_SECONDS = 0.03
#: Everything is told again so often, for whoever missed something.
AGAIN_SECONDS = 60.0
#: Calls in one message.
PER_MESSAGE = 200
#: How long news of a call is waited for that a phone has just had to do with.
NEWS_SECONDS = 3.0
_NEWS = TypeAdapter(NodeNews)


class Peers(Protocol):
    """`Cluster`, as far as it is asked here."""

    @property
    def peers(self) -> Mapping[str, Address]: ...


class Elsewhere:
    """`calls` are this node's. `watched` hears a tenant and whose lamps have changed; `dialogs` shows a call to a watcher of somebody."""

    def __init__(self, bus: Bus, node: str, calls: Mapping[str, CallActor], peers: Peers, ids: Ids) -> None:
        self._node = node
        self._calls = calls
        self._peers = peers
        self._ids = ids
        self._follower = bus.follow(NODES.name, NODES.subjects[0])
        self._announcements = Announcements(bus, NODES.name)
        self._others: dict[str, dict[str, NodeCall]] = {}
        self._told: dict[str, NodeCall] = {}
        self._apis: dict[str, str] = {}
        #: Where this node's gRPC is reached by the others; empty: it is not.
        self.api = ""
        self._dirty: set[str] = set()
        self._wants_whole = False
        self._work = asyncio.Event()
        self._news = asyncio.Event()
        self._alive: frozenset[str] = frozenset()
        self.watched: Callable[[str, Iterable[str]], None] = lambda tenant, abouts: None
        self.dialogs: Callable[[CallActor, str], tuple[WatchedDialog, ...]] = lambda actor, about: ()
        #: Ends a call of ours whose phone has asked another node for it.
        self.ends: Callable[[CallActor], None] = lambda actor: None
        #: Lets a SIP user that another node names try again, in the name of who said so.
        self.unlocks: Callable[[str, str], object] = lambda account, by: None

    # -- asking -------------------------------------------------------------------------------------------------------

    def of(self, tenant: str) -> Iterator[tuple[str, NodeCall]]:
        """The tenant's calls on other nodes that are alive, each with its node."""
        for node in self._peers.peers:
            for call in self._others.get(node, {}).values():
                if call.tenant == tenant:
                    yield node, call

    def dialogs_of(self, tenant: str, about: str) -> list[WatchedDialog]:
        """As who watches a user or a slot sees the other nodes' calls."""
        return [dialog for _, call in self.of(tenant) for seen, dialogs in call.dialogs if seen == about for dialog in dialogs]

    @property
    def alive(self) -> Collection[str]:
        """The other nodes that are alive."""
        return self._peers.peers.keys()

    @property
    def apis(self) -> Mapping[str, str]:
        """Where the gRPC of the other nodes that are alive is reached."""
        return {node: self._apis[node] for node in self._peers.peers if node in self._apis}

    def node_of(self, tenant: str, call_id: str) -> str | None:
        """The other node that has this call of the tenant."""
        return next((node for node, call in self.of(tenant) if call.call_id == call_id), None)

    async def with_session(self, tenant: str, sessions: Collection[str]) -> tuple[str, NodeCall] | None:
        """The tenant's call that has one of these, and its node; it may have begun so lately that it has still to be told."""

        def found() -> tuple[str, NodeCall] | None:
            return next((each for each in self.of(tenant) if set(sessions) & set(each[1].sessions)), None)

        return found() if self._peers.peers and await self._until(lambda: found() is not None) else None

    async def end(self, tenant: str, call_id: str, session: str) -> NodeCall | bool | None:
        """Have its node end a call in which nobody talks to this session; True: it is over; the call: somebody does. None: neither."""

        def now() -> NodeCall | bool | None:
            known = next((call for _, call in self.of(tenant) if call.call_id == call_id), None)
            return True if known is None else known if known.other_than(session) is not None else None

        self._send(NodeNews(self._node, end=(call_id,)))
        await self._until(lambda: now() is not None)
        return now()

    async def _until(self, holds: Callable[[], bool]) -> bool:
        try:
            async with asyncio.timeout(NEWS_SECONDS):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    # -- telling ------------------------------------------------------------------------------------------------------

    def changed(self, actor: CallActor) -> None:
        """Something has happened in this call of ours, or it is over."""
        if self._peers.peers:
            self._dirty.add(actor.call.facts.call_id)
            self._work.set()

    def seen(self) -> None:
        """Who else is alive has been looked at."""
        alive = frozenset(self._peers.peers)
        if alive - self._alive:
            self._tell_whole()
        for node in self._alive - alive:
            self._mark(self._others.pop(node, {}).values())
        self._alive = alive

    def _tell_whole(self) -> None:
        self._wants_whole = True
        self._work.set()

    def unlock(self, accounts: Sequence[str], by: str) -> None:
        """Have the other nodes let these SIP users try again."""
        if accounts and self._peers.peers:
            self._send(NodeNews(self._node, unlock=tuple(accounts), by=by))

    async def run(self) -> None:
        """Tell and hear until cancelled."""
        self._send(NodeNews(self._node, hello=True, whole=True, api=self.api))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._announcements.run())
            tasks.create_task(self._hear())
            tasks.create_task(self._tell())

    async def _tell(self) -> None:
        while True:
            try:
                async with asyncio.timeout(AGAIN_SECONDS):
                    await self._work.wait()
                await asyncio.sleep(GATHER_SECONDS)
            except TimeoutError:
                self._wants_whole = True
            self._work.clear()
            dirty, self._dirty = self._dirty, set()
            if not self._peers.peers:
                self._told.clear()
            elif self._wants_whole:
                self._wants_whole = False
                self._told = {call_id: summary(actor, self.dialogs) for call_id, actor in self._calls.items()}
                self._send_all(tuple(self._told.values()), ())
            else:
                self._tell_of(dirty)

    def _tell_of(self, dirty: Iterable[str]) -> None:
        news, gone = [], []
        for call_id in dirty:
            actor = self._calls.get(call_id)
            if actor is None:
                if self._told.pop(call_id, None) is not None:
                    gone.append(call_id)
            elif (now := summary(actor, self.dialogs)) != self._told.get(call_id):
                self._told[call_id] = now
                news.append(now)
        if news or gone:
            self._send(NodeNews(self._node, tuple(news), tuple(gone)))

    def _send_all(self, calls: tuple[NodeCall, ...], gone: tuple[str, ...]) -> None:
        self._send(NodeNews(self._node, calls[:PER_MESSAGE], gone, whole=True, api=self.api))
        for start in range(PER_MESSAGE, len(calls), PER_MESSAGE):
            self._send(NodeNews(self._node, calls[start : start + PER_MESSAGE]))

    def _send(self, news: NodeNews) -> None:
        self._announcements.add(Outgoing(node_subject(self._node), _NEWS.dump_json(news), str(self._ids.uuid7())))

    # -- hearing ------------------------------------------------------------------------------------------------------

    async def _hear(self) -> None:
        async for message in self._follower:
            self.heard(message)

    def heard(self, message: Message) -> None:
        """One message of a node."""
        try:
            news = _NEWS.validate_json(message.data)
        except ValidationError as error:
            _log.error("what a node told was not understood", subject=message.subject, error=str(error))
            return
        if news.node == self._node:
            return
        if news.api:
            self._apis[news.node] = news.api
        known = self._others.setdefault(news.node, {})
        before = list(known.values()) if news.whole else [known[each] for each in news.gone if each in known]
        before += [known[call.call_id] for call in news.calls if call.call_id in known and not news.whole]
        if news.whole:
            known.clear()
        for call_id in news.gone:
            known.pop(call_id, None)
        known.update({call.call_id: call for call in news.calls})
        self._mark((*before, *news.calls))
        for call_id in news.end:
            if call_id in self._calls:
                self.ends(self._calls[call_id])
        for account in news.unlock:
            self.unlocks(account, news.by)
        if news.hello:
            self._tell_whole()
        self._news.set()

    def _mark(self, calls: Iterable[NodeCall]) -> None:
        for call in calls:
            self.watched(call.tenant, [about for about, _ in call.dialogs])


def summary(actor: CallActor, dialogs: Callable[[CallActor, str], tuple[WatchedDialog, ...]] | None = None) -> NodeCall:
    """A call of ours as others need to know it."""
    state = actor.call.state
    facts, phase = state.facts, state.phase
    up = [leg for leg in state.legs.values() if leg.state != "ended"]
    rings = tuple(leg.party for leg in up if leg.outgoing and leg.state != "answered") if isinstance(phase, Ringing) else ()
    slot = phase.slot if isinstance(phase, Parked) else ""
    pair = (state.anchor, phase.peer) if isinstance(phase, Talking) else ()
    abouts = [*dict.fromkeys(leg.party for leg in up), *([slot_name(slot)] if slot else [])] if dialogs is not None else []
    shown = [(about, dialogs(actor, about)) for about in abouts] if dialogs is not None else []
    return NodeCall(
        facts.call_id,
        facts.tenant,
        facts.started_at.timestamp(),
        facts.dialled,
        tuple(NodeLeg(session, leg.party, leg.number) for leg in up if (session := _session(actor, leg.leg_id))),
        tuple(filter(None, (_session(actor, leg_id) for leg_id in pair))),
        rings,
        tuple(leg.party for leg in up if leg.state == "answered"),
        tuple(state.legs[leg].party for leg in pair),
        slot,
        tuple((about, seen) for about, seen in shown if seen),
    )


def _session(actor: CallActor, leg_id: str) -> str:
    leg = actor.legs.get(leg_id)
    return leg.session if leg is not None else ""
