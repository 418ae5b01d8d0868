"""Who is let in: devices prove themselves by digest, carriers by where they stand, everybody else is refused cheaply.

Invariant: an unknown user is challenged and refused exactly like a known one with a wrong password; the caller's identity is that of the
credential, never what the message claims.
"""

from typing import Protocol

from carillon_contracts.emergency_numbers import is_emergency
from carillon_contracts.hops import spent
from carillon_kit.clock import Clock
from carillon_kit.ids import Ids
from carillon_kit.logs import get_logger
from carillon_media.domain import identity
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.backlog import Backlog
from carillon_media.domain.diversion import diversions_of
from carillon_media.domain.facts import CallFacts
from carillon_media.domain.numbers import e164
from carillon_media.domain.state import CALLER
from carillon_media.handlers.device_uris import DeviceGruus
from carillon_media.handlers.doorkeeper import TRY_LATER, Doorkeeper, TryLater
from carillon_media.handlers.quiet import QuietLog
from carillon_media.handlers.switchboard import Switchboard
from carillon_media.handlers.trunks import Trunks
from carillon_media.ports import SipPort
from carillon_sip.digest import Verdict
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.message import Request

_log = get_logger(__name__)
RETRY_AFTER = (("Retry-After", "5"),)


class TrunkHosts(Protocol):
    """Names of trunks as IP addresses."""

    def trunks_at(self, ip: str) -> list[tuple[str, str]]:
        """(tenant, trunk id) of every trunk that stands at this address."""


class Admission:
    """Takes INVITEs and makes calls of them."""

    def __init__(
        self,
        accounts: Accounts,
        doorkeeper: Doorkeeper,
        hosts: TrunkHosts,
        trunks: Trunks,
        board: Switchboard,
        sip: SipPort,
        clock: Clock,
        ids: Ids,
        node: str,
        backlog: Backlog,
        gruus: DeviceGruus | None = None,
    ) -> None:
        self._backlog = backlog
        self._gruus = gruus
        self._accounts = accounts
        self._doorkeeper = doorkeeper
        self._hosts = hosts
        self._trunks = trunks
        self._board = board
        self._sip = sip
        self._clock = clock
        self._ids = ids
        self._node = node
        #: Set while the service starts or stops.
        self.closed = True
        #: Set while the calls that are up are waited for; help can still be called.
        self.draining = False
        self._quiet = QuietLog(_log, clock)

    def invited(self, session: str, request: Request, flow: Flow) -> None:
        """An INVITE that begins a dialog."""
        if self._board.transfers.joins(session, request, flow):
            return
        busy = self.draining or self._board.full or self._backlog.high(self._clock.monotonic())
        if self.closed or (busy and not _calls_for_help(request, self._accounts.countries)):
            self._sip.reject(session, 503, RETRY_AFTER)
            return
        if request.body and request.content_type != "application/sdp":
            self._sip.reject(session, 415, (("Accept", "application/sdp"),))
            return
        try:
            number = identity.dialled(request.uri)
            at_contact = self._trunks.at_contact(number)
            trunks = at_contact or self._hosts.trunks_at(flow.remote[0])
            if at_contact or (trunks and not self._is_device(request)):
                self._from_trunk(session, request, flow, number, trunks)
            else:
                self._from_user(session, request, flow, number)
        except ParseError:
            self._sip.reject(session, 400)
        except TryLater:
            self._sip.reject(session, 503, TRY_LATER)

    def _is_device(self, request: Request) -> bool:
        """A phone that stands where a trunk stands says so: it names a credential, or proves one."""
        return "Proxy-Authorization" in request.headers or self._accounts.credential(request.from_.uri.user) is not None

    def _from_trunk(self, session: str, request: Request, flow: Flow, number: str, trunks: list[tuple[str, str]]) -> None:
        arrival = self._trunks.arrival(request, number, trunks)
        if arrival is None:
            self._sip.reject(session, 404)
            return
        call_id = str(self._ids.uuid7())
        if not self._trunks.admit(f"{call_id}/{CALLER}", arrival):
            self._sip.reject(session, 503, RETRY_AFTER)
            return
        caller, name = identity.caller_from_trunk(request)
        diversions = diversions_of(request)
        facts = CallFacts(
            tenant=arrival.tenant,
            call_id=call_id,
            direction="inbound",
            caller=e164(caller, self._accounts.country_of(arrival.tenant)),
            caller_name=name,
            caller_user_id=None,
            dialled=arrival.number,
            trunk_id=arrival.trunk_id,
            started_at=self._clock.now(),
            sip_call_id=request.call_id,
            node=self._node,
            diversions=diversions,
            hops_spent=spent(request.max_forwards, len(diversions)),
        )
        self._board.begin(session, request, flow, facts)

    def _from_user(self, session: str, request: Request, flow: Flow, number: str) -> None:
        verdict, credential, realm = self._doorkeeper.check(request, "Proxy-Authorization", flow)
        if credential is None:
            if verdict is Verdict.WRONG:
                self._quiet.warning("INVITE with wrong credentials", source=flow.remote[0], account=request.from_.uri.user[:64])
                self._sip.reject(session, 403)
                return
            challenges = self._doorkeeper.challenges(request, realm, flow, stale=verdict is Verdict.STALE, salt=self._ids.token())
            self._sip.reject(session, 407, [("Proxy-Authenticate", value) for value in challenges])
            return
        accounts, tenant, user = self._accounts, credential.tenant, credential.user_id
        device = self._gruus.named(tenant, request.uri) if self._gruus is not None else None
        if isinstance(device, int):
            self._sip.reject(session, device)
            return
        number = device.number if device is not None else number
        if not number:
            self._sip.reject(session, 484)
            return
        facts = CallFacts(
            tenant=tenant,
            call_id=str(self._ids.uuid7()),
            direction="from_user",
            caller=accounts.extension_of(tenant, user) or accounts.caller_number_of(tenant, user),
            caller_name=accounts.name_of(tenant, user),
            caller_user_id=user,
            dialled=number,
            trunk_id=None,
            started_at=self._clock.now(),
            sip_call_id=request.call_id,
            node=self._node,
            device_user=device.user_id if device is not None else "",
            device=device.instance if device is not None else "",
            withheld=identity.withholds(request),
            caller_credential=credential.sip_user,
            hops_spent=spent(request.max_forwards, 0),
        )
        self._board.begin(session, request, flow, facts)


def _calls_for_help(request: Request, countries: frozenset[str]) -> bool:
    """An emergency number of any tenant's or site's country: such a call passes every cap, and is then looked at like any other."""
    user = request.uri.partition(":")[2].partition("@")[0]
    return is_emergency(user, countries)
