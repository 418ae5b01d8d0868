"""Instant messages between users of one tenant (RFC 3428): to every phone of who is meant, or to the one that a GRUU names; the first
that takes it answers for all.

Invariant: a message leaves only to registered phones of its sender's own tenant; who it is from is what the sender proved; what it says
is in no log and no event; every MESSAGE is answered within `ANSWER_SECONDS`.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from carillon_contracts import hops
from carillon_media.domain.accounts import Accounts, Credential
from carillon_media.domain.facts import Contact
from carillon_media.domain.invitation import own_contact
from carillon_media.handlers.authenticated import HousePhones, Refused
from carillon_media.handlers.device_uris import DeviceGruus, NamedDevice
from carillon_media.ports import Fields
from carillon_sip.commands import RequestOut
from carillon_sip.errors import ParseError, SipError
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.outputs import RequestTimedOut, ResponseReceived
from carillon_sip.uri import NameAddr, Uri

#: Bytes of a message, and what of it may go by UDP (RFC 3428 section 8).
MAX_BYTES = 8192
MAX_UDP_BYTES = 1300
#: Well before the sender's transaction times out.
ANSWER_SECONDS = 10.0
#: Messages under way: of one account, and all in all.
MAX_PER_ACCOUNT = 20
MAX_WAITING = 2000
#: Phones that one message goes to.
MAX_CONTACTS = 20
TYPES = ("text/plain", "text/html", "message/cpim", "application/im-iscomposing+xml")
_ACCEPT = (("Accept", ", ".join(TYPES)),)


class MessageSip(Protocol):
    """The SIP stack, as far as messages go."""

    def respond(self, transaction: str, status: int, *, reason: str | None = None, headers: Fields = (), body: bytes = b"") -> None: ...
    def request(self, request: RequestOut) -> str: ...
    def own_address(self, flow: Flow) -> tuple[str, int]: ...


@dataclass(slots=True, eq=False)
class _Forwarded:
    """A message under way: whom to answer, and which of its copies have no answer yet. `failure`: the best refusal so far."""

    transaction: str
    account: str
    copies: set[str] = field(default_factory=set)
    failure: int = 0
    answered: bool = False
    deadline: asyncio.TimerHandle | None = None


class Messages:
    """All messages under way."""

    def __init__(
        self,
        accounts: Accounts,
        phones: HousePhones,
        sip: MessageSip,
        contacts_of_user: Callable[[str, str], Sequence[Contact]],
        gruus: DeviceGruus | None = None,
    ) -> None:
        self._accounts = accounts
        self._phones = phones
        self._sip = sip
        self._contacts_of_user = contacts_of_user
        self._gruus = gruus
        self._copies: dict[str, _Forwarded] = {}
        self._waiting: set[_Forwarded] = set()
        self.closed = False

    def requested(self, transaction: str, request: Request, flow: Flow) -> None:
        """A MESSAGE outside any dialog."""
        admitted = Refused(503, (("Retry-After", "5"),)) if self.closed else self._phones.admit(request, flow)
        refused = admitted if isinstance(admitted, Refused) else self._unfit(request, admitted)
        if isinstance(refused, Refused) or isinstance(admitted, Refused):
            assert isinstance(refused, Refused)
            self._sip.respond(transaction, refused.status, headers=refused.headers)
            return
        number, user_id, device = self._meant(admitted.tenant, request.uri)
        if not user_id:
            self._sip.respond(transaction, 404)
            return
        there = self._contacts_of_user(admitted.tenant, user_id)
        here = [contact for contact in there if contact.flow != flow and device in (None, contact.device)][:MAX_CONTACTS]
        fit = [contact for contact in here if contact.flow.transport != "udp" or len(request.body) <= MAX_UDP_BYTES]
        if fit:
            self._forward(transaction, request, admitted, number, fit)
        else:
            self._sip.respond(transaction, 413 if here else 480)

    def _meant(self, tenant: str, uri: str) -> tuple[str, str, str | None]:
        """What was dialled, its user, and which of the user's phones; None: all."""
        try:
            named = self._gruus.named(tenant, uri) if self._gruus is not None else None
        except ParseError:
            named = 404
        if isinstance(named, NamedDevice):
            return named.number, named.user_id, named.instance
        return ("", "", None) if named is not None else (*self._phones.meant(tenant, uri), None)

    def _unfit(self, request: Request, sender: Credential) -> Refused | None:
        if len(request.body) > MAX_BYTES:
            return Refused(413)
        if request.content_type.partition(";")[0].strip().lower() not in TYPES:
            return Refused(415, _ACCEPT)
        mine = sum(forwarded.account == sender.sip_user for forwarded in self._waiting)
        if mine >= MAX_PER_ACCOUNT or len(self._waiting) >= MAX_WAITING:
            return Refused(503, (("Retry-After", "5"),))
        return None

    def _forward(self, transaction: str, request: Request, sender: Credential, number: str, contacts: Sequence[Contact]) -> None:
        forwarded = _Forwarded(transaction, sender.sip_user)
        self._waiting.add(forwarded)
        for contact in contacts:
            try:
                name = self._sip.request(self._copy(request, sender, number, contact))
            except SipError:
                continue
            forwarded.copies.add(name)
            self._copies[name] = forwarded
        if forwarded.copies:
            forwarded.deadline = asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._late, forwarded)
        else:
            self._end(forwarded, 480)

    def _copy(self, request: Request, sender: Credential, number: str, contact: Contact) -> RequestOut:
        accounts, tenant = self._accounts, sender.tenant
        realm = accounts.realm_of(tenant)
        shown = accounts.extension_of(tenant, sender.user_id) or sender.sip_user
        return RequestOut(
            "MESSAGE",
            flow=contact.flow,
            request_uri=contact.uri,
            from_=NameAddr(Uri("sip", shown, realm), accounts.name_of(tenant, sender.user_id)),
            to=NameAddr(Uri("sip", number, realm)),
            contact=own_contact(self._sip.own_address(contact.flow), contact.flow.transport),
            headers=tuple(("Route", route) for route in contact.route),
            body=request.body,
            content_type=request.headers.get("Content-Type"),
            max_forwards=max(0, hops.left(hops.spent(request.max_forwards, 0), sent_on=False)),
        )

    def responded(self, output: ResponseReceived | RequestTimedOut) -> bool:
        """Whether the output was for us."""
        forwarded = self._copies.get(output.transaction)
        if forwarded is None:
            return False
        status = output.response.status if isinstance(output, ResponseReceived) else 480
        if status < 200:
            return True
        del self._copies[output.transaction]
        forwarded.copies.discard(output.transaction)
        if status < 300:
            self._end(forwarded, 202 if status == 202 else 200)
        else:
            forwarded.failure = status if 400 <= status < 500 and status not in (401, 407, 408, 481) else forwarded.failure
            if not forwarded.copies:
                self._end(forwarded, forwarded.failure or 480)
        return True

    def _late(self, forwarded: _Forwarded) -> None:
        self._end(forwarded, forwarded.failure or 480)

    def _end(self, forwarded: _Forwarded, status: int) -> None:
        if forwarded.answered:
            return
        forwarded.answered = True
        self._waiting.discard(forwarded)
        if forwarded.deadline is not None:
            forwarded.deadline.cancel()
        self._sip.respond(forwarded.transaction, status)
