"""INVITEs of phones that are about a call of another node: a pick-up, a slot, a talk to be supervised, Replaces.

They are passed on to that node as they are; it authenticates them and does the rest, and the phone's own node keeps its flow (`cluster`).

Invariant: all messages of one INVITE go the same way, whatever becomes of the call meanwhile; only phones that are registered from where
the message comes are passed on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from carillon_media.domain.accounts import Accounts
from carillon_media.domain.elsewhere import NodeCall, Wanted, oldest, wanted
from carillon_media.domain.identity import dialled
from carillon_media.handlers.actor import CallActor
from carillon_media.handlers.elsewhere import Elsewhere, summary
from carillon_media.handlers.registrar import Device
from carillon_sip.digest import parse_authorization
from carillon_sip.errors import ParseError
from carillon_sip.flow import Address, Flow
from carillon_sip.message import Request
from carillon_sip.replaces import Replaces

#: INVITEs whose way is remembered, for their ACK, CANCEL and retransmissions.
MAX_WAYS = 10_000
Way = tuple[str, str, int]


class Peers(Protocol):
    """`Cluster`, as far as it is asked here."""

    @property
    def peers(self) -> Mapping[str, Address]: ...
    def is_peer(self, address: Address) -> bool: ...


class Crossing:
    """Where messages go that are about calls of other nodes. `devices`: the registrations of a SIP user."""

    def __init__(
        self,
        elsewhere: Elsewhere,
        accounts: Accounts,
        peers: Peers,
        calls: Mapping[str, CallActor],
        devices: Callable[[str], Iterable[Device]],
    ) -> None:
        self._elsewhere = elsewhere
        self._accounts = accounts
        self._peers = peers
        self._calls = calls
        self._devices = devices
        self._ways: dict[Way, str] = {}

    def way(self, request: Request, flow: Flow) -> Address | None:
        """The node that the request goes on to; None: it is ours."""
        if not self._peers.peers or request.method not in ("INVITE", "ACK", "CANCEL") or self._peers.is_peer(flow.remote):
            return None
        way = (request.call_id, request.from_tag, request.cseq.number)
        node = self._ways.get(way)
        if node is None:
            if request.method != "INVITE" or request.to_tag:
                return None
            node = self._node_for(request, flow)
            if node is None:
                return None
            if len(self._ways) >= MAX_WAYS:
                del self._ways[next(iter(self._ways))]
            self._ways[way] = node
        return self._peers.peers.get(node)

    def _node_for(self, request: Request, flow: Flow) -> str | None:
        """The node whose call it is about, empty for ours; None: it is about no call that is there."""
        replaces = request.headers.raw("Replaces")
        number = dialled(request.uri)
        if not replaces and not number:
            return None
        device = self._device(request, flow)
        if device is None:
            return None
        others = list(self._elsewhere.of(device.tenant))
        if replaces:
            return self._with_session(replaces[0], others)
        config = self._accounts.config(device.tenant)
        wish = wanted(config, device.user_id, number) if config is not None else None
        if wish is None:
            return None
        found = oldest(wish, (call for _, call in others))
        if found is None:
            return ""
        here = oldest(wish, self._own(device.tenant, wish))
        if here is not None and here.since <= found.since:
            return ""
        return next(node for node, call in others if call is found)

    def _with_session(self, value: str, others: list[tuple[str, NodeCall]]) -> str | None:
        try:
            replaces = Replaces.parse(value)
        except ParseError:
            return None
        return next((node for node, call in others if {replaces.to_tag, replaces.from_tag} & set(call.sessions)), None)

    def _device(self, request: Request, flow: Flow) -> Device | None:
        """The registered phone that it comes from, as far as can be said before it has proved itself to the other node."""
        answers = [parsed for value in request.headers.raw("Proxy-Authorization") if (parsed := parse_authorization(value)) is not None]
        sip_user = answers[0].username if answers else request.from_.uri.user
        for device in self._devices(sip_user):
            if device.binding.flow.remote[0] == flow.remote[0]:
                return device
        return None

    def _own(self, tenant: str, wish: Wanted) -> Iterator[NodeCall]:
        return (summary(actor) for actor in self._calls.values() if actor.call.facts.tenant == tenant)
