"""Phones of other media nodes, and ours for them: each node keeps the flows of its phones for all (as an edge does, RFC 5626 section 5).

A node that calls a phone registered elsewhere sends its INVITE to the phone's node, with a Route that holds the phone's flow as a token;
that node passes it on over the flow, and everything after it both ways. So goes the INVITE of a phone that is about a call of another node.

Invariant: tokens are made with the installation's key, so nobody else makes us send anywhere. From a node messages go to a phone only,
from a phone to nodes only, and only over the phone's own flow; answers go back where their request came from.
"""

from collections.abc import Callable, Mapping

from carillon_kit.sealing import SealBroken, Sealer
from carillon_media.handlers.registrar import Device
from carillon_sip.errors import ParseError
from carillon_sip.flow import DEFAULT_PORTS, Address, Flow, Transport, host_port
from carillon_sip.forwarding import TooManyHops, forward_request, forward_response, token_of_via, tokens_of_routes
from carillon_sip.message import Request, Response
from carillon_sip.outputs import Send
from carillon_sip.uri import NameAddr, Uri

_TRANSPORTS: Mapping[str, Transport] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}
_LONGEST_TOKEN = 400


class Cluster:
    """The other nodes by name. `local` is our address for a far end."""

    def __init__(self, key: bytes, local: Callable[[Transport, str], Address]) -> None:
        self._sealer = Sealer(key, "flow tokens")
        self._local = local
        self._peers: dict[str, Address] = {}
        self._addresses: frozenset[Address] = frozenset()
        self._hosts: frozenset[str] = frozenset()
        #: Told after every look at who is alive.
        self.on_seen: Callable[[], None] = lambda: None
        #: The node whose call a request from a phone is about, when it is another one's.
        self.way: Callable[[Request, Flow], Address | None] = lambda request, flow: None

    def seen(self, peers: Mapping[str, Address]) -> None:
        """These are alive now."""
        self._peers = dict(peers)
        self._addresses = frozenset(peers.values())
        self._hosts = frozenset(host for host, _ in peers.values())
        self.on_seen()

    @property
    def peers(self) -> Mapping[str, Address]:
        """The other nodes that are alive, and where each is reached."""
        return self._peers

    def is_peer(self, address: Address) -> bool:
        """Whether another node is reached there."""
        return address in self._addresses

    def is_peers_host(self, ip: str) -> bool:
        """Whether another node stands at this address, on whatever port."""
        return ip in self._hosts

    def flow_to(self, peer: Address) -> Flow:
        """To another node."""
        return Flow("udp", self._local("udp", peer[0]), peer)

    def way_to(self, device: Device) -> tuple[Flow, tuple[str, ...]] | None:
        """How a phone registered at another node is reached: a flow of ours and a route; None: not now.

        Behind an edge by that edge, at the address that its REGISTER came from, whatever its Path says; else through its node.
        """
        binding, flow = device.binding, device.binding.flow
        if binding.path:
            return self._to_edge(flow, binding.path[0]), binding.path
        peer = self._peers.get(device.node)
        if peer is None:
            return None
        return self.flow_to(peer), (f"<sip:{self._token(flow)}@{host_port(peer)};lr>",)

    def _to_edge(self, flow: Flow, path: str) -> Flow:
        ip, port = flow.remote
        if flow.transport != "udp":
            try:
                port = NameAddr.parse(path).uri.port or DEFAULT_PORTS[flow.transport]
            except ParseError:
                port = DEFAULT_PORTS[flow.transport]
        return Flow(flow.transport, self._local(flow.transport, ip), (ip, port), ip if flow.transport == "tls" else "")

    # -- passing on ---------------------------------------------------------------------------------------------------

    def pass_on(self, message: Request | Response, flow: Flow) -> Send | int | None:
        """`carillon_sip.reception.PassOn`."""
        if not self._peers:
            return None
        if isinstance(message, Response):
            token = token_of_via(message)
            back = self._flow(token) if token else None
            return None if back is None else Send(back, forward_response(message))
        phone, ours = self._phone_of(message) if "route" in message.headers else (None, 0)
        if phone is None:
            return self._to_its_call(message, flow)
        target = phone if self.is_peer(flow.remote) else self._node_beyond(message, ours) if _same_far_end(phone, flow) else None
        return 403 if target is None else self._sent(message, flow, target, phone, ours)

    def _to_its_call(self, request: Request, flow: Flow) -> Send | int | None:
        peer = self.way(request, flow)
        if peer is None:
            return None
        return self._sent(request, flow, self.flow_to(peer), flow, len(request.headers.all("route")))

    def _sent(self, request: Request, flow: Flow, target: Flow, phone: Flow, ours: int) -> Send | int:
        recorded = self._recorded(phone, target)
        try:
            return Send(target, forward_request(request, flow, target, routes_of_ours=ours, back=self._token(flow), record_routes=recorded))
        except TooManyHops:
            return 483

    def _phone_of(self, request: Request) -> tuple[Flow | None, int]:
        """The flow that the first Route is about, and how many of the first Routes are ours."""
        phone: Flow | None = None
        for count, token in enumerate(tokens_of_routes(request)):
            flow = self._flow(token)
            if flow is None or (phone is not None and flow != phone):
                return phone, count
            phone = flow
        return phone, len(request.headers.all("route"))

    def _node_beyond(self, request: Request, ours: int) -> Flow | None:
        """The node that a phone's request is for, when it is one."""
        routes = request.headers.all("route")
        uri = NameAddr.parse(routes[ours]).uri if len(routes) > ours else Uri.parse(request.uri)
        address = (uri.host.strip("[]"), uri.port or DEFAULT_PORTS["udp"])
        return self.flow_to(address) if self.is_peer(address) else None

    def _recorded(self, phone: Flow, target: Flow) -> list[str]:
        """The Record-Route for nodes, and where the phone does not speak UDP one for it: nearest to who gets the message first."""
        token = self._token(phone)
        nodes = f"<sip:{token}@{host_port(self._local('udp', target.remote[0]))};lr>"
        if phone.transport == "udp":
            return [nodes]
        phones = f"<sip:{token}@{host_port(phone.local)};transport={phone.transport};lr>"
        return [phones, nodes] if target == phone else [nodes, phones]

    def _token(self, flow: Flow) -> str:
        return self._sealer.seal(f"{flow.transport} {flow.local[0]} {flow.local[1]} {flow.remote[0]} {flow.remote[1]}")

    def _flow(self, token: str) -> Flow | None:
        if not token or len(token) > _LONGEST_TOKEN:
            return None
        try:
            transport, own, own_port, ip, port = self._sealer.open(token).split(" ")
        except (SealBroken, ValueError):
            return None
        return Flow(_TRANSPORTS[transport], (own, int(own_port)), (ip, int(port)))


def _same_far_end(phone: Flow, flow: Flow) -> bool:
    return (phone.transport, phone.remote) == (flow.transport, flow.remote)
