"""A network in one process on a virtual clock: it loses, doubles, delays and reorders datagrams, the same way for the same seed.

Invariant: time only moves when nothing is left to do now; a run of one seed is always the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from carillon_sip.flow import Address, Flow, Transport
from carillon_sip.outputs import CloseFlow, Output, Send
from carillon_sip.user_agent import UserAgent


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities of losing and of doubling a datagram; delay in seconds, drawn for each, so datagrams overtake each other."""

    loss: float = 0.0
    duplicate: float = 0.0
    delay_min: float = 0.01
    delay_max: float = 0.01


class Tokens:
    """Predictable tokens: the name, a counter. Only for tests."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count:012x}"


@dataclass(slots=True, eq=False)
class Node:
    """A user agent at an address; `events` keeps (time, output) of all that was not for the network."""

    name: str
    agent: UserAgent
    address: Address
    handler: Callable[["Node", Output, float], None] | None = None
    events: list[tuple[float, Output]] = field(default_factory=list)

    def of_kind(self, kind: type) -> list[Output]:
        """Outputs of one type, in order."""
        return [output for _, output in self.events if isinstance(output, kind)]


class VirtualNetwork:
    """Nodes, what is on its way between them, and the time."""

    def __init__(self, seed: int = 0, faults: Faults | None = None) -> None:
        self.now = 0.0
        self.faults = faults or Faults()
        self.sent: list[tuple[float, Flow, bytes]] = []
        self.nodes: dict[Address, Node] = {}
        self._random = Random(seed)
        self._queue: list[tuple[float, int, Address, bytes, Flow]] = []
        self._sequence = 0
        #: Returns False for what the test wants lost, beside the random faults.
        self.passes: Callable[[Flow, bytes], bool] = lambda flow, data: True

    def add(self, name: str, agent: UserAgent, address: Address, handler: Callable[[Node, Output, float], None] | None = None) -> Node:
        """Put a user agent into the network; its `handler` hears every output that is not for the network."""
        node = Node(name, agent, address, handler)
        self.nodes[address] = node
        return node

    def flow(self, source: Node, target: Node, transport: Transport = "udp") -> Flow:
        """The flow from one node to another."""
        return Flow(transport, source.address, target.address)

    def settle(self) -> None:
        """Take every output that is there now to the network and to the handlers."""
        busy = True
        while busy:
            busy = False
            for node in list(self.nodes.values()):
                for output in node.agent.drain():
                    busy = True
                    self._take(node, output)

    def run(self, until: float) -> None:
        """Let time pass up to `until`."""
        self.settle()
        while True:
            upcoming = self._next()
            if upcoming is None or upcoming > until:
                break
            self.now = max(self.now, upcoming)
            self._step()
            self.settle()
        self.now = max(self.now, until)

    def run_until_idle(self, limit: float = 3600.0) -> None:
        """Let time pass until nothing is on its way and no timer is set; at most `limit` seconds more."""
        self.settle()
        end = self.now + limit
        while (upcoming := self._next()) is not None and upcoming <= end:
            self.now = max(self.now, upcoming)
            self._step()
            self.settle()

    def _next(self) -> float | None:
        times = [timer for node in self.nodes.values() if (timer := node.agent.next_timer()) is not None]
        if self._queue:
            times.append(self._queue[0][0])
        return min(times, default=None)

    def _step(self) -> None:
        while self._queue and self._queue[0][0] <= self.now:
            _, _, address, data, flow = heappop(self._queue)
            node = self.nodes.get(address)
            if node is not None:
                node.agent.receive(data, flow, self.now)
        for node in self.nodes.values():
            timer = node.agent.next_timer()
            if timer is not None and timer <= self.now:
                node.agent.handle_timer(self.now)

    def _take(self, node: Node, output: Output) -> None:
        if isinstance(output, Send):
            self.sent.append((self.now, output.flow, output.data))
            self._carry(output)
        elif isinstance(output, CloseFlow):
            node.events.append((self.now, output))
        else:
            node.events.append((self.now, output))
            if node.handler is not None:
                node.handler(node, output, self.now)

    def _carry(self, send: Send) -> None:
        flow, faults, random = send.flow, self.faults, self._random
        if not self.passes(flow, send.data):
            return
        back = Flow(flow.transport, flow.remote, flow.local)
        if flow.transport != "udp":
            self._put(self.now + faults.delay_min, flow.remote, send.data, back)
            return
        copies = 0 if random.random() < faults.loss else 2 if random.random() < faults.duplicate else 1
        for _ in range(copies):
            self._put(self.now + random.uniform(faults.delay_min, faults.delay_max), flow.remote, send.data, back)

    def _put(self, at: float, address: Address, data: bytes, flow: Flow) -> None:
        self._sequence += 1
        heappush(self._queue, (at, self._sequence, address, data, flow))
