"""Trunks as calls use them: where a number goes out, who a call from a carrier is for, how many fit.

Invariant: a server that is down, a registration that failed and a limit that is reached keep calls away, but never a call for help.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Protocol, Self

from carillon_contracts.config import TRUNK_PASSWORDS
from carillon_contracts.emergency_numbers import countries_in, is_emergency
from carillon_kit.clock import Clock
from carillon_kit.sealing import Sealer
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.causes import RingResult
from carillon_media.domain.diversion import MAX_DIVERSIONS, Diverted, sent_on_by
from carillon_media.domain.facts import CallFacts, Contact
from carillon_media.domain.identity import phone_number
from carillon_media.domain.secrecy import TrunkSrtp
from carillon_media.domain.trunk_health import Health
from carillon_media.domain.trunk_limits import TrunkCalls
from carillon_media.domain.trunk_lines import TrunkAddress, TrunkLine, shared
from carillon_media.domain.trunk_numbers import called, written
from carillon_media.domain.trunk_registration import Registration
from carillon_media.handlers.registrar import source_of
from carillon_media.handlers.trunk_book import TrunkBook
from carillon_media.handlers.trunk_pings import TrunkPings
from carillon_media.handlers.trunk_registrations import FlowsTo, TrunkRegistrations, TrunkSip
from carillon_media.ports import Announcer
from carillon_sip.digest import Credentials
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.outputs import RequestTimedOut, ResponseReceived
from carillon_sip.uri import NameAddr

TURN_SECONDS = 0.25
#: A phone says 100 or 180 at once; by UDP it was sent the INVITE four times by then.
FLOW_SECONDS = 4.0
#: Contacts of a trunk's server for a number as it is dialled there.
ContactsAt = Callable[[TrunkAddress, str], Sequence[Contact]]


class SipForTrunks(TrunkSip, Protocol):
    """What is asked of the SIP stack."""

    def heard(self, session: str) -> bool | None:
        """Whether anything at all, be it 100, has come to our INVITE; None: the session is over."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server, as it is listed."""

    address: str
    health: Health
    since: datetime | None


@dataclass(frozen=True, slots=True)
class TrunkState:
    """A trunk, as it is listed."""

    line: TrunkLine
    registration: Registration | None
    servers: tuple[ServerState, ...]
    calls: int
    usable: bool


@dataclass(frozen=True, slots=True)
class Arrival:
    """Whose a call from a carrier is, and the number of theirs, or the extension, that it is for."""

    tenant: str
    trunk_id: str
    number: str


class Trunks:
    """`ports.TrunkPort`, and what admission and reach ask; `turn` every half second."""

    def __init__(
        self,
        accounts: Accounts,
        book: TrunkBook,
        registrations: TrunkRegistrations,
        pings: TrunkPings,
        flows_to: FlowsTo,
        heard: Callable[[str], bool | None],
        clock: Clock,
    ) -> None:
        self._heard = heard
        self._accounts = accounts
        self._book = book
        self._registrations = registrations
        self._pings = pings
        self._flows_to = flows_to
        self._clock = clock
        self._calls = TrunkCalls()

    @classmethod
    def made_of(
        cls,
        accounts: Accounts,
        key: bytes,
        sip: SipForTrunks,
        flows_to: FlowsTo,
        announcer: Announcer,
        clock: Clock,
        *,
        registers: bool = True,
    ) -> Self:
        """`key` is the installation's; `registers`: this node does (one of several must)."""
        book = TrunkBook(accounts, Sealer(key, TRUNK_PASSWORDS))
        registrations = TrunkRegistrations(book, sip, flows_to, announcer, clock, sha256(b"trunk contacts" + key).digest())
        registrations.closed = not registers
        return cls(accounts, book, registrations, TrunkPings(book, sip, flows_to, announcer, clock), flows_to, sip.heard, clock)

    @property
    def registers(self) -> bool:
        """Whether this node is the one that registers with carriers."""
        return not self._registrations.closed

    def may_register(self, may: bool) -> None:
        """Whether this node registers with carriers: one of several does."""
        if may:
            self._registrations.closed = False
        else:
            self._registrations.stop()

    def turn(self) -> None:
        """REGISTER and OPTIONS that are due."""
        self._registrations.turn()
        self._pings.turn()

    async def run(self) -> None:
        """`turn` until cancelled."""
        while True:
            self.turn()
            await asyncio.sleep(TURN_SECONDS)

    def responded(self, output: ResponseReceived | RequestTimedOut) -> None:
        """An answer to one of them."""
        if not self._registrations.heard(output):
            self._pings.heard(output)

    # -- out ----------------------------------------------------------------------------------------------------------

    def contact(self, tenant: str, trunk_id: str, number: str, contacts_at: ContactsAt, call_id: str = "") -> Contact | None:
        """The first server that may be called with the number, the others as its spares; None: the trunk cannot be used now."""
        line = self._book.line(tenant, trunk_id)
        if line is None:
            return None
        config = self._accounts.config(tenant)
        emergency = is_emergency(number, countries_in(config) if config is not None else frozenset())
        if not emergency and not self._usable(line):
            return None
        dialled = written(number, line.trunk.dialled_format, line.country)
        found = [
            replace(contact, number=number, trunk=line, emergency=emergency)
            for server in shared(line.servers, call_id)
            for contact in contacts_at(server, dialled)
        ]
        alive = [contact for contact in found if self._pings.usable(line, contact.flow)]
        if emergency:
            alive += [contact for contact in found if contact not in alive]
        return replace(alive[0], spare=tuple(alive[1:])) if alive else None

    def _usable(self, line: TrunkLine) -> bool:
        registration = self._registrations.registration(line.key)
        if line.fault or (registration is not None and registration.state == "failed"):
            return False
        return not self._calls.full(line.key, line.trunk.max_calls)

    def begin(self, leg: str, contact: Contact) -> bool:
        """Count a leg that is about to go out; False: one of the trunk's limits is reached."""
        line = contact.trunk
        return line is None or self._begin(leg, line, emergency=contact.emergency)

    def again(self, leg: str, tenant: str, trunk_id: str) -> Credentials | None:
        """Count a leg that a process before has begun, whatever the limits; what it proves itself with, if it must."""
        line = self._book.line(tenant, trunk_id)
        if line is None:
            return None
        self._begin(leg, line, emergency=True)
        return line.credentials

    def media_networks(self, tenant: str, trunk_id: str) -> tuple[str, ...]:
        """Where the trunk's audio may come from besides; none for a trunk that is not there."""
        line = self._book.line(tenant, trunk_id) if trunk_id else None
        return () if line is None else line.trunk.media_networks

    def srtp(self, tenant: str, trunk_id: str) -> TrunkSrtp:
        """What the trunk says of SRTP."""
        line = self._book.line(tenant, trunk_id) if trunk_id else None
        return "by_transport" if line is None else line.trunk.srtp

    def watch(self, contact: Contact, session: str, silent: Callable[[], None]) -> None:
        """Call `silent` if the server has said nothing at all to our INVITE after the trunk's time, or a phone that can be called over
        another flow after `FLOW_SECONDS`."""
        if contact.trunk is not None or contact.spare:
            seconds = contact.trunk.trunk.silence_seconds if contact.trunk is not None else FLOW_SECONDS
            asyncio.get_running_loop().call_later(seconds, self._look, contact, session, silent)

    def _look(self, contact: Contact, session: str, silent: Callable[[], None]) -> None:
        line, heard = contact.trunk, self._heard(session)
        if heard is None:
            return
        if line is not None:
            (self._pings.answering if heard else self._pings.silent)(line, contact.flow)
        if not heard:
            silent()

    def end(self, leg: str) -> None:
        """The leg is over."""
        self._calls.end(leg)

    def silent(self, contact: Contact) -> None:
        """The server said nothing to an INVITE."""
        if contact.trunk is not None:
            self._pings.silent(contact.trunk, contact.flow)

    def answering(self, contact: Contact) -> None:
        """The server said something to an INVITE."""
        if contact.trunk is not None:
            self._pings.answering(contact.trunk, contact.flow)

    def diversions(self, facts: CallFacts, result: RingResult | None) -> tuple[Diverted, ...]:
        """Who sent the call on, first first; `result`: what became of the users rung before."""
        config = self._accounts.config(facts.tenant)
        ours = sent_on_by(config, facts.dialled, facts.direction == "inbound", result)
        found = (*facts.diversions, ours) if ours is not None else facts.diversions
        return found[-MAX_DIVERSIONS:]

    def _begin(self, leg: str, line: TrunkLine, *, emergency: bool) -> bool:
        limits = line.trunk
        return self._calls.begin(
            leg,
            line.key,
            self._clock.monotonic(),
            max_calls=limits.max_calls,
            max_per_second=limits.max_calls_per_second,
            emergency=emergency,
        )

    # -- in -----------------------------------------------------------------------------------------------------------

    def at_contact(self, user: str) -> list[tuple[str, str]]:
        """The trunk whose registered Contact has this user part, if any; whoever knows it learnt it from us or the carrier."""
        key = self._registrations.owner_of_contact(user)
        return [key] if key is not None else []

    def arrival(self, request: Request, number: str, trunks: Sequence[tuple[str, str]]) -> Arrival | None:
        """Whose a call is that came by one of the trunks; None: nobody's. `number`: the user part of its Request-URI."""
        at_contact = bool(self.at_contact(number))
        numbers = _called_numbers(request) if at_contact else [number]
        for text in numbers:
            by_text: dict[str, list[tuple[str, str]]] = {}
            for tenant, trunk_id in trunks:
                line = self._book.line(tenant, trunk_id)
                if line is not None:
                    by_text.setdefault(called(text, line.trunk.incoming), []).append((tenant, trunk_id))
            for candidate, ways in by_text.items():
                owner = self._accounts.owner_of(candidate, [tenant for tenant, _ in ways])
                if owner is not None:
                    return Arrival(owner[0], next(trunk_id for tenant, trunk_id in ways if tenant == owner[0]), owner[1])
        for text in numbers:
            if (found := self._extension(text, trunks)) is not None:
                return found
        return self._default(trunks[0]) if at_contact and trunks else None

    def admit(self, leg: str, arrival: Arrival) -> bool:
        """Count a call that came in; False: one of the trunk's limits is reached."""
        line = self._book.line(arrival.tenant, arrival.trunk_id)
        return line is None or self._begin(leg, line, emergency=False)

    def _extension(self, text: str, trunks: Sequence[tuple[str, str]]) -> Arrival | None:
        """An extension that another exchange dials. Where exchanges of several tenants stand, nobody knows whose is meant."""
        lines = [line for key in trunks if (line := self._book.line(*key)) is not None and line.trunk.short_ranges]
        config = self._accounts.config(lines[0].tenant) if len({line.tenant for line in lines}) == 1 else None
        return Arrival(*lines[0].key, text) if config is not None and text in config.extensions else None

    def _default(self, key: tuple[str, str]) -> Arrival | None:
        line = self._book.line(*key)
        registration = line.trunk.registration if line is not None else None
        number = registration.default_number if registration is not None else ""
        return Arrival(*key, number) if number and self._accounts.owner_of(number, [key[0]]) else None

    # -- asking -------------------------------------------------------------------------------------------------------

    def states(self, tenant: str) -> list[TrunkState]:
        """A tenant's trunks by id."""
        return [self._state(line) for line in self._book.of_tenant(tenant)]

    def _state(self, line: TrunkLine) -> TrunkState:
        flows: list[Flow] = [flow for server in line.servers for flow in self._flows_to(server)]
        servers = tuple(ServerState(source_of(flow), *self._pings.health(line, flow)) for flow in flows)
        usable = self._usable(line) and any(self._pings.usable(line, flow) for flow in flows)
        return TrunkState(line, self._registrations.registration(line.key), servers, self._calls.count(line.key), usable)


def _called_numbers(request: Request) -> list[str]:
    """What a call to our registered Contact is for: P-Called-Party-ID (RFC 7315 section 4.2), then To."""
    found: list[str] = []
    for value in (request.headers.get("P-Called-Party-ID"), request.headers.get("To")):
        try:
            number = phone_number(NameAddr.parse(value).uri) if value else ""
        except ParseError:
            continue
        if number:
            found.append(number)
    return found
