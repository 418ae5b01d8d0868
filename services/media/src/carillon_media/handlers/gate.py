"""The guard at work: asked before anything is parsed and before any digest is computed, told what came of it, and heard by auditors.

Invariant: nothing here waits or raises; trunks and the networks that the settings name pass; what the guard finds worth telling goes to the
tenant that it concerns, or to the operator.
"""

from collections.abc import Callable, Iterable, Sequence

from carillon_contracts.audit import OPERATOR, AccountLocked, AuthenticationFailed, BanLifted, SourceBanned
from carillon_contracts.config import ConfigChanged, SipCredential
from carillon_contracts.envelope import EventData
from carillon_contracts.streams import audit_subject
from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_media.domain.addresses import Addresses, Network, is_inside
from carillon_media.domain.first_line import Kind, beginnings, kind_of
from carillon_media.domain.guard import Ban, Guard, Verdict, source_name
from carillon_media.domain.guard_memory import GuardMemory
from carillon_media.handlers.quiet import QuietLog
from carillon_media.handlers.registrar import Device, DeviceStore
from carillon_media.ports import Announcer
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.parser import parse_message
from carillon_sip.reply import ReplyHead, reply_flow

_log = get_logger(__name__)
RETRY_AFTER = 30
#: How long it is believed that an address is a trunk's.
_FREE_SECONDS = 10.0
#: All challenges through an edge are one client's: the edge chooses anew where each message comes in.
_EDGE = "edge"


class Gate:
    """`io.sip_transport.Gate`, and what `Doorkeeper` asks."""

    def __init__(
        self,
        guard: Guard,
        addresses: Addresses,
        trunks_at: Callable[[str], Sequence[object]],
        tenant_of: Callable[[str], str | None],
        auditor: Announcer,
        clock: Clock,
        never_ban: Sequence[Network] = (),
        countries: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        """`countries` (ISO 3166): whose emergency numbers pass."""
        self._guard = guard
        self._addresses = addresses
        self._trunks_at = trunks_at
        self._tenant_of = tenant_of
        self._auditor = auditor
        self._clock = clock
        self._never_ban = never_ban
        self._countries = countries
        self._quiet = QuietLog(_log, clock)
        self._saved = 0

    # -- packets ------------------------------------------------------------------------------------------------------

    def arrived(self, data: bytes, transport: str, remote: tuple[str, int], now: float) -> Verdict:
        """What becomes of a datagram, or of a chunk of a stream."""
        if not self._addresses.allows(*remote, stream=transport != "udp"):
            return Verdict.DROP
        kind, requests = kind_of(data, self._countries()), 1
        if transport != "udp":
            requests = beginnings(data)
            if kind is not Kind.HELP:
                kind = Kind.OUTSIDE if requests else Kind.WITHIN
        verdict = self._guard.arrive(transport, remote[0], remote[1], kind, now, requests)
        if verdict is not Verdict.PASS:
            if self._is_free(remote[0], now):
                self._guard.take_facts()
                return Verdict.PASS
            self._tell()
        return verdict

    def refusal(self, data: bytes, flow: Flow, retry_after: int = RETRY_AFTER) -> tuple[Flow, bytes] | None:
        """503 to a datagram that is not heard, without a transaction; None: it is no request. `retry_after` in seconds."""
        try:
            message = parse_message(data)
            if not isinstance(message, Request) or message.method == "ACK":
                return None
            head = ReplyHead(message, flow)
            head.to_tag = "busy"
            return reply_flow(message, flow), head.make(503, None, f"Retry-After: {retry_after}\r\n")
        except ParseError:
            return None

    def connected(self, remote: tuple[str, int]) -> bool:
        """A connection was opened; False: close it."""
        now = self._clock.monotonic()
        allowed = self._addresses.allows(*remote, stream=True)
        return allowed and (self._guard.connected(remote[0], now) or self._is_free(remote[0], now))

    def may_send(self, flow: Flow) -> bool:
        """Whether something may be sent over this flow, whoever named the address."""
        return self._addresses.allows(*flow.remote, stream=flow.transport != "udp") and flow.remote != flow.local

    # -- passwords ----------------------------------------------------------------------------------------------------

    def client(self, flow: Flow) -> str:
        """Whom a nonce is for."""
        edge = self._never_ban and is_inside(flow.remote[0], self._never_ban)
        return _EDGE if edge else source_name(flow.remote[0])

    def may_try(self, flow: Flow, account: str) -> bool:
        """Whether a password for this account is looked at; the answer is to a challenge that was sent there."""
        now = self._clock.monotonic()
        if self._guard.may_try(flow.remote[0], account, now):
            return True
        if not self._is_free(flow.remote[0], now):
            self._guard.persisted(flow.remote[0], now)
            self._tell()
        return False

    def challenged(self, flow: Flow) -> None:
        """A challenge was sent."""
        now = self._clock.monotonic()
        if flow.transport != "udp" and not self._is_free(flow.remote[0], now):
            self._guard.challenged(flow.transport, flow.remote[0], now)
            self._tell()

    def succeeded(self, flow: Flow, account: str) -> None:
        """A password was right."""
        self._guard.succeeded(flow.transport, flow.remote[0], account, self._clock.monotonic())

    def failed(self, flow: Flow, account: str, method: str) -> None:
        """A password was wrong."""
        now = self._clock.monotonic()
        self._is_free(flow.remote[0], now)
        self._guard.failed(flow.transport, flow.remote[0], account, method, now)
        self._tell()

    # -- devices ------------------------------------------------------------------------------------------------------

    def registered(self, devices: Iterable[Device]) -> None:
        """These stand where they say."""
        for device in devices:
            flow = device.binding.flow
            self._guard.registered(flow.transport, *flow.remote, device.binding.expires_at)

    def unregistered(self, devices: Iterable[Device]) -> None:
        """These do not any more."""
        for device in devices:
            flow = device.binding.flow
            self._guard.registered(flow.transport, *flow.remote, self._clock.monotonic())

    def expire(self) -> None:
        """To be called every few seconds."""
        self._guard.expire(self._clock.monotonic())

    # -- memory -------------------------------------------------------------------------------------------------------

    def memory(self) -> bytes | None:
        """What a process that comes after must know, if that has changed since it was asked last."""
        if self._guard.changes == self._saved:
            return None
        self._saved = self._guard.changes
        return self._guard.memory(self._clock.monotonic(), self._clock.now().timestamp()).model_dump_json().encode()

    def remember(self, data: bytes) -> bool:
        """Go on where the process before stopped; False: this is not what `memory` gave."""
        memory = GuardMemory.read(data)
        if memory is not None:
            self._guard.remember(memory, self._clock.monotonic(), self._clock.now().timestamp())
        return memory is not None

    # -- operators ----------------------------------------------------------------------------------------------------

    def bans(self) -> list[Ban]:
        """Banned sources."""
        return self._guard.bans(self._clock.monotonic())

    def locks(self) -> list[Ban]:
        """Locked accounts."""
        return self._guard.locks(self._clock.monotonic())

    def lift(self, source: str, by: str) -> bool:
        """Let a source in again; False: it was not banned."""
        return self._lifted(self._guard.lift(source, self._clock.monotonic()), BanLifted(source=source, by=by), OPERATOR)

    def unlock(self, account: str, by: str) -> bool:
        """Let an account in again; False: it was not locked."""
        tenant = self._tenant_of(account) or OPERATOR
        return self._lifted(self._guard.unlock(account, self._clock.monotonic()), BanLifted(account=account, by=by), tenant)

    def configured(self, changes: Iterable[ConfigChanged]) -> None:
        """Of accounts that are gone nothing is remembered."""
        for change in changes:
            if change.resource == SipCredential.KIND and change.after is None:
                self._guard.forget(change.resource_id)

    def _lifted(self, done: bool, event: BanLifted, tenant: str) -> bool:
        if done:
            self._announce(tenant, event)
        return done

    # -- inside -------------------------------------------------------------------------------------------------------

    def _is_free(self, ip: str, now: float) -> bool:
        free = bool(self._trunks_at(ip)) or (bool(self._never_ban) and is_inside(ip, self._never_ban))
        if free:
            self._guard.free(ip, now + _FREE_SECONDS)
        return free

    def _tell(self) -> None:
        if not self._guard.facts:
            return
        for fact in self._guard.take_facts():
            account = fact.account if isinstance(fact, AuthenticationFailed | AccountLocked) else ""
            self._announce(self._tenant_of(account) or OPERATOR, fact)
            if isinstance(fact, SourceBanned):
                self._quiet.warning("source banned", source=fact.source, reason=fact.reason, seconds=fact.seconds, accounts=fact.accounts)

    def _announce(self, tenant: str, event: EventData) -> None:
        self._auditor.announce(tenant, audit_subject(tenant, event.fact()), event, self._clock.now())


class WatchedDevices:
    """A `DeviceStore` of which the gate hears."""

    def __init__(self, store: DeviceStore, gate: Gate) -> None:
        self._store = store
        self._gate = gate

    def save(self, devices: Iterable[Device]) -> None:
        """Added or refreshed, or gone."""
        saved = tuple(devices)
        self._gate.registered(device for device in saved if device.left_at is None)
        self._gate.unregistered(device for device in saved if device.left_at is not None)
        self._store.save(saved)
