"""Our registrations with carriers: REGISTER sent when it is due, its answer taken, what changed announced.

Invariant: a trunk has one Contact and one Call-ID for ever (made of the installation's key), and its CSeq follows the clock, so that a
restarted service refreshes the binding that it had; at most one REGISTER of a trunk is under way.
"""

import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import Literal, Protocol

from carillon_contracts import streams
from carillon_contracts.envelope import EventData
from carillon_contracts.registration import TrunkRegistered, TrunkUnregistered
from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_media.domain import trunk_registration as machine
from carillon_media.domain.invitation import own_contact
from carillon_media.domain.trunk_lines import TrunkAddress, TrunkLine
from carillon_media.domain.trunk_registration import Registration
from carillon_media.handlers.registrar import source_of
from carillon_media.handlers.trunk_book import TrunkBook
from carillon_media.ports import Announcer
from carillon_sip.commands import RequestOut
from carillon_sip.errors import ParseError
from carillon_sip.flow import Address, Flow
from carillon_sip.message import Response
from carillon_sip.outputs import RequestTimedOut, ResponseReceived
from carillon_sip.uri import NameAddr, Uri

_log = get_logger(__name__)
#: REGISTERs sent in one turn, so that a restart with thousands of trunks is no flood.
PER_TURN = 25
#: 2025-01-01 UTC; a CSeq has 31 bits (RFC 3261 section 8.1.1.5), enough for 17 years of quarter seconds.
_CSEQ_EPOCH = 1_735_689_600
_LARGEST_CSEQ = 0x7FFFFFFF
_REALM = re.compile(r'realm="([^"]{0,128})"')
Key = tuple[str, str]
#: Flows to a server of a trunk, none while its name is not known.
FlowsTo = Callable[[TrunkAddress], Sequence[Flow]]


class TrunkSip(Protocol):
    """What is asked of the SIP stack."""

    def request(self, request: RequestOut) -> str:
        """Send a request outside a dialog; returns its transaction."""

    def own_address(self, flow: Flow) -> Address:
        """Host and port that the far end of this flow reaches us at."""


@dataclass(slots=True)
class _Entry:
    line: TrunkLine
    contact_user: str
    call_id: str
    cseq: int
    registration: Registration = field(default_factory=Registration)
    #: The REGISTER under way, where it went, and the seconds it asked for.
    transaction: str = ""
    flow: Flow | None = None
    asked: int = 0


class TrunkRegistrations:
    """`turn` often; hand in what the stack says with `heard`."""

    def __init__(self, book: TrunkBook, sip: TrunkSip, flows_to: FlowsTo, announcer: Announcer, clock: Clock, key: bytes) -> None:
        self._book = book
        self._sip = sip
        self._flows_to = flows_to
        self._announcer = announcer
        self._clock = clock
        self._key = key
        self._entries: dict[Key, _Entry] = {}
        self._contacts: dict[str, Key] = {}
        self._asked: dict[str, _Entry] = {}
        #: Another node registers.
        self.closed = False

    def registration(self, key: Key) -> Registration | None:
        """How it stands; None: the trunk does not register."""
        entry = self._entries.get(key)
        return entry.registration if entry is not None else None

    def owner_of_contact(self, user: str) -> Key | None:
        """Whose Contact has this user part."""
        return self._contacts.get(user)

    def turn(self) -> None:
        """Follow the configuration, send what is due."""
        if self.closed:
            return
        wanted = {line.key: line for line in self._book.lines() if line.trunk.registration is not None}
        for key in [key for key in self._entries if key not in wanted]:
            self._leave(self._entries.pop(key))
        now, room = self._clock.monotonic(), PER_TURN
        for key, line in wanted.items():
            entry = self._entry(key, line)
            self._set(entry, machine.aged(entry.registration, now))
            if room and not entry.transaction and entry.registration.next_at <= now and not line.fault:
                room -= 1
                self._register(entry, now)

    def stop(self) -> None:
        """Another node registers from now on: carriers forget our Contacts, and calls that still come to them are understood."""
        self.closed = True
        entries, self._entries = tuple(self._entries.values()), {}
        for entry in entries:
            self._asked.pop(entry.transaction, None)
            if entry.registration.state == "registered" and entry.flow is not None:
                self._send(entry, entry.flow, 0)

    def heard(self, output: ResponseReceived | RequestTimedOut) -> bool:
        """Whether the output was for us."""
        entry = self._asked.get(output.transaction)
        if entry is None:
            return False
        if isinstance(output, ResponseReceived) and output.response.status < 200:
            return True
        del self._asked[output.transaction]
        entry.transaction = ""
        now = self._clock.monotonic()
        if isinstance(output, RequestTimedOut):
            self._set(entry, machine.silent(entry.registration, now, share=self._share(entry)))
        else:
            entry.cseq = output.response.cseq.number
            self._set(entry, self._answered(entry, output.response, now))
        return True

    # -- sending ------------------------------------------------------------------------------------------------------

    def _entry(self, key: Key, line: TrunkLine) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            user = f"t{self._secret('contact', key)[:24]}"
            entry = _Entry(line, user, self._secret("call-id", key)[:32], self._first_cseq())
            self._entries[key] = entry
            self._contacts[user] = key
        elif entry.line is not line:
            if entry.line != line:
                entry.registration = replace(entry.registration, next_at=self._clock.monotonic(), failures=0)
            entry.line = line
        if line.fault:
            self._set(entry, Registration("failed", reason=line.fault))
        return entry

    def _register(self, entry: _Entry, now: float) -> None:
        flows = [flow for server in entry.line.servers for flow in self._flows_to(server)]
        if not flows:
            late = machine.silent(entry.registration, now, share=self._share(entry))
            self._set(entry, replace(late, reason="the carrier's name is not known"))
            return
        configured = entry.line.trunk.registration
        asked = configured.expires_seconds if configured is not None else 0
        entry.asked = max(asked, entry.registration.at_least)
        entry.flow = flows[entry.registration.failures % len(flows)]
        entry.transaction = self._send(entry, entry.flow, entry.asked)
        self._asked[entry.transaction] = entry

    def _send(self, entry: _Entry, flow: Flow, expires: int) -> str:
        line = entry.line
        entry.cseq += 1
        address = NameAddr(Uri("sip", line.account, line.registrar))
        contact = own_contact(self._sip.own_address(flow), flow.transport)
        return self._sip.request(
            RequestOut(
                "REGISTER",
                flow=flow,
                request_uri=str(Uri("sip", "", line.registrar)),
                from_=address,
                to=address,
                contact=replace(contact, uri=replace(contact.uri, user=entry.contact_user)),
                headers=(("Expires", str(expires)),),
                call_id=entry.call_id,
                cseq=entry.cseq,
                credentials=line.credentials,
            )
        )

    def _leave(self, entry: _Entry) -> None:
        """The trunk is gone, or registers no more: the carrier is told, whatever it answers."""
        self._contacts.pop(entry.contact_user, None)
        self._asked.pop(entry.transaction, None)
        if entry.registration.state == "registered" and entry.flow is not None:
            self._send(entry, entry.flow, 0)
            self._announce(entry, TrunkUnregistered(trunk_id=entry.line.trunk.id, reason="removed"))

    # -- answers ------------------------------------------------------------------------------------------------------

    def _answered(self, entry: _Entry, response: Response, now: float) -> Registration:
        status = response.status
        seconds = _granted(response, entry.contact_user, entry.asked) if 200 <= status < 300 else 0
        if seconds > 0:
            return machine.granted(entry.registration, seconds, now)
        return machine.refused(
            entry.registration,
            status,
            _why(response, entry.line),
            now,
            share=self._share(entry),
            retry_after=_number(response, "Retry-After"),
            min_expires=min(_number(response, "Min-Expires"), 86_400),
        )

    def _set(self, entry: _Entry, registration: Registration) -> None:
        before, entry.registration = entry.registration, registration
        if before.state == registration.state:
            return
        tenant, trunk_id, flow = entry.line.tenant, entry.line.trunk.id, entry.flow
        _log.info("a trunk's registration changed", tenant=tenant, trunk=trunk_id, state=registration.state, why=registration.reason)
        if registration.state == "registered" and flow is not None:
            at = self._clock.now() + timedelta(seconds=registration.expires_at - self._clock.monotonic())
            self._announce(entry, TrunkRegistered(trunk_id=trunk_id, server=source_of(flow), expires_at=at))
        elif registration.state == "failed":
            reason: Literal["refused", "silent"] = "refused" if registration.sip_status or entry.line.fault else "silent"
            self._announce(entry, TrunkUnregistered(trunk_id=trunk_id, reason=reason, sip_status=registration.sip_status))

    def _announce(self, entry: _Entry, event: EventData) -> None:
        tenant = entry.line.tenant
        self._announcer.announce(tenant, streams.registration_subject(tenant, event.fact()), event, self._clock.now())

    # -- names --------------------------------------------------------------------------------------------------------

    def _secret(self, what: str, key: Key) -> str:
        """The same for ever, and not to be guessed."""
        return hmac.new(self._key, f"{what}\0{key[0]}\0{key[1]}".encode(), sha256).hexdigest()

    def _first_cseq(self) -> int:
        """Above any that a process before used with the same Call-ID, as long as it sent fewer than four a second."""
        return int((self._clock.now().timestamp() - _CSEQ_EPOCH) * 4) & _LARGEST_CSEQ

    def _share(self, entry: _Entry) -> float:
        text = f"{entry.call_id}{entry.registration.failures}"
        return int.from_bytes(sha256(text.encode()).digest()[:2], "big") / 0xFFFF


def _granted(response: Response, contact_user: str, asked: int) -> int:
    """Seconds that our Contact in a 200 has (RFC 3261 section 10.2.4), else those of Expires, else what was asked for."""
    for value in response.headers.all("Contact"):
        try:
            address = NameAddr.parse(value)
        except ParseError:
            continue
        granted = _seconds(address.parameter("expires"))
        if address.uri.user == contact_user and granted is not None:
            return min(granted, asked)
    granted = _seconds(response.headers.get("Expires"))
    return asked if granted is None else min(granted, asked)


def _seconds(text: str | None) -> int | None:
    return int(text[:9]) if text and text.isascii() and text.isdigit() else None


def _why(response: Response, line: TrunkLine) -> str:
    """For people; whatever stands in the response is shortened, the password is in neither."""
    if response.status in (401, 407):
        if line.credentials is None:
            return "the carrier wants a user name and a password"
        challenge = " ".join(response.headers.raw("WWW-Authenticate") + response.headers.raw("Proxy-Authenticate"))
        realms = _REALM.findall(challenge)
        if line.credentials.realm and realms and line.credentials.realm not in realms:
            return f"the carrier asks for realm {realms[0]!r}, the credential is for {line.credentials.realm!r}"
        return "the carrier does not take the user name and password"
    return f"{response.status} {response.reason[:80]}".strip()


def _number(response: Response, name: str) -> int:
    """The leading number of a header; 0 if there is none."""
    found = re.match(r"\s*([0-9]{1,9})", response.headers.get(name) or "")
    return int(found[1]) if found else 0
