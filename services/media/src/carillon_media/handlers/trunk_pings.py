"""Which servers of carriers answer: OPTIONS sent when due, silence of calls noted, what changed announced.

Invariant: a server that was never asked counts as up; one OPTIONS of a server is under way at most, and given up after the trunk's time.
"""

from dataclasses import dataclass, field
from datetime import datetime

from carillon_contracts import streams
from carillon_contracts.registration import TrunkServerDown, TrunkServerUp
from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_media.domain import trunk_health as machine
from carillon_media.domain.trunk_health import Health
from carillon_media.domain.trunk_lines import TrunkAddress, TrunkLine
from carillon_media.handlers.registrar import source_of
from carillon_media.handlers.trunk_book import TrunkBook
from carillon_media.handlers.trunk_registrations import FlowsTo, TrunkSip
from carillon_media.ports import Announcer
from carillon_sip.commands import RequestOut
from carillon_sip.flow import Flow
from carillon_sip.outputs import RequestTimedOut, ResponseReceived
from carillon_sip.uri import NameAddr, Uri

_log = get_logger(__name__)
#: OPTIONS sent in one turn.
PER_TURN = 50
#: Servers that are not due are looked up again after this, because DNS may have others.
LOOK_SECONDS = 5.0
Key = tuple[str, str, Flow]


@dataclass(slots=True)
class _Entry:
    line: TrunkLine
    flow: Flow
    health: Health
    since: datetime
    transaction: str = ""
    deadline: float = field(default=0.0)


class TrunkPings:
    """`turn` often; hand in what the stack says with `heard`."""

    def __init__(self, book: TrunkBook, sip: TrunkSip, flows_to: FlowsTo, announcer: Announcer, clock: Clock) -> None:
        self._book = book
        self._sip = sip
        self._flows_to = flows_to
        self._announcer = announcer
        self._clock = clock
        self._entries: dict[Key, _Entry] = {}
        self._asked: dict[str, _Entry] = {}
        #: When a line's servers are looked at again, and the line that was looked at.
        self._looks: dict[tuple[str, str], tuple[TrunkLine, float]] = {}

    def usable(self, line: TrunkLine, flow: Flow) -> bool:
        """Whether calls may try this server."""
        entry = self._entries.get((*line.key, flow))
        return entry is None or entry.health.usable(self._clock.monotonic())

    def health(self, line: TrunkLine, flow: Flow) -> tuple[Health, datetime | None]:
        """A server as it was last seen, and since when it is in that state."""
        entry = self._entries.get((*line.key, flow))
        return (entry.health, entry.since) if entry is not None else (Health(line.trunk.ping_seconds), None)

    def silent(self, line: TrunkLine, flow: Flow) -> None:
        """A call heard nothing from the server."""
        entry = self._entry(line, flow)
        self._set(entry, machine.silent(entry.health, self._clock.monotonic()))

    def answering(self, line: TrunkLine, flow: Flow) -> None:
        """A call heard something from it."""
        entry = self._entries.get((*line.key, flow))
        if entry is not None and entry.health.state == "down":
            self._set(entry, machine.answered(entry.health, 200, self._clock.monotonic()))

    def turn(self) -> None:
        """Follow the configuration, give up what was not answered, ask who is due."""
        now, room = self._clock.monotonic(), PER_TURN
        for entry in [entry for entry in self._asked.values() if now >= entry.deadline]:
            self._forget(entry)
            self._set(entry, machine.silent(entry.health, now))
        lines = {line.key: line for line in self._book.lines()}
        for line in lines.values():
            if line.trunk.ping_seconds and room and self._due(line, now):
                room -= self._look(line, now, room)
        for gone in [key for key in self._entries if key[:2] not in lines]:
            self._asked.pop(self._entries.pop(gone).transaction, None)
            self._looks.pop(gone[:2], None)

    def heard(self, output: ResponseReceived | RequestTimedOut) -> bool:
        """Whether the output was for us."""
        entry = self._asked.get(output.transaction)
        if entry is None:
            return False
        now = self._clock.monotonic()
        if isinstance(output, RequestTimedOut):
            self._forget(entry)
            self._set(entry, machine.silent(entry.health, now))
        elif output.response.status >= 200:
            self._forget(entry)
            self._set(entry, machine.answered(entry.health, output.response.status, now))
        return True

    def _entry(self, line: TrunkLine, flow: Flow) -> _Entry:
        key = (*line.key, flow)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(line, flow, Health(line.trunk.ping_seconds), self._clock.now())
        elif entry.line is not line:
            if entry.health.ping != line.trunk.ping_seconds:
                entry.health = Health(line.trunk.ping_seconds)
            entry.line = line
        return entry

    def _due(self, line: TrunkLine, now: float) -> bool:
        """A line that is new, or one whose time has come."""
        known, at = self._looks.get(line.key, (None, 0.0))
        return known is not line or now >= at

    def _look(self, line: TrunkLine, now: float, room: int) -> int:
        """Ask the servers that are due; how many were. Where they are is looked up again then, or after a while."""
        sent, at = 0, now + LOOK_SECONDS
        current: set[Key] = set()
        for server in line.servers:
            for flow in self._flows_to(server):
                entry = self._entry(line, flow)
                current.add((*line.key, flow))
                if not entry.transaction and sent < room and entry.health.due(now):
                    sent += 1
                    self._ask(entry, server, now)
                at = min(at, max(now, entry.health.next_at))
        for key in [key for key in self._entries if key[:2] == line.key and key not in current]:
            self._asked.pop(self._entries.pop(key).transaction, None)
        self._looks[line.key] = (line, at)
        return sent

    def _ask(self, entry: _Entry, server: TrunkAddress, now: float) -> None:
        entry.health = machine.asked(entry.health, now)
        entry.deadline = now + entry.line.trunk.silence_seconds
        entry.transaction = self._sip.request(self._options(entry.flow, server))
        self._asked[entry.transaction] = entry

    def _options(self, flow: Flow, server: TrunkAddress) -> RequestOut:
        host = f"[{server.host}]" if ":" in server.host else server.host
        parameters = () if flow.transport == "udp" else (("transport", flow.transport),)
        target = Uri("sip", "", host, server.port, parameters)
        own = self._sip.own_address(flow)
        ours = Uri("sip", "ping", f"[{own[0]}]" if ":" in own[0] else own[0])
        return RequestOut("OPTIONS", flow=flow, request_uri=str(target), from_=NameAddr(ours), to=NameAddr(target))

    def _forget(self, entry: _Entry) -> None:
        self._asked.pop(entry.transaction, None)
        entry.transaction = ""

    def _set(self, entry: _Entry, health: Health) -> None:
        before, entry.health = entry.health, health
        if before.state == health.state:
            return
        entry.since = self._clock.now()
        self._looks.pop(entry.line.key, None)
        tenant, trunk_id, server = entry.line.tenant, entry.line.trunk.id, source_of(entry.flow)
        _log.info("a carrier's server changed", tenant=tenant, trunk=trunk_id, server=server, state=health.state, status=health.sip_status)
        if health.state == "down":
            event: TrunkServerDown | TrunkServerUp = TrunkServerDown(trunk_id=trunk_id, server=server, sip_status=health.sip_status)
        elif before.state == "down":
            event = TrunkServerUp(trunk_id=trunk_id, server=server)
        else:
            return
        self._announcer.announce(tenant, streams.registration_subject(tenant, event.fact()), event, self._clock.now())
