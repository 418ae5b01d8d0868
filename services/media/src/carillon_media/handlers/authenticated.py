"""Requests of the house's phones other than INVITE and REGISTER: whose they are, and whom of the same house they are about.

Invariant: nobody learns anything of a tenant that is not theirs: whoever is named there is as unknown as who does not exist.
"""

from typing import NamedTuple

from carillon_kit.ids import Ids
from carillon_media.domain.accounts import Accounts, Credential
from carillon_media.domain.identity import dialled
from carillon_media.domain.lamps import slot_name
from carillon_media.handlers.doorkeeper import TRY_LATER, Doorkeeper, TryLater
from carillon_media.ports import Fields
from carillon_sip.digest import Verdict
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.uri import Uri

#: The name by which a phone watches all that its user's function keys watch (RFC 4662): sip:keys@realm.
KEYS = "keys"


class Refused(NamedTuple):
    """How to answer who is not let in."""

    status: int
    headers: Fields = ()


class HousePhones:
    """Lets requests in."""

    def __init__(self, accounts: Accounts, doorkeeper: Doorkeeper, ids: Ids) -> None:
        self._accounts = accounts
        self._doorkeeper = doorkeeper
        self._ids = ids

    def admit(self, request: Request, flow: Flow) -> Credential | Refused:
        """The credential that the request proves."""
        try:
            verdict, credential, realm = self._doorkeeper.check(request, "Authorization", flow)
        except ParseError:
            return Refused(400)
        except TryLater:
            return Refused(503, TRY_LATER)
        if credential is not None:
            return credential
        if verdict is Verdict.WRONG:
            return Refused(403)
        challenges = self._doorkeeper.challenges(request, realm, flow, stale=verdict is Verdict.STALE, salt=self._ids.token())
        return Refused(401, [("WWW-Authenticate", value) for value in challenges])

    def meant(self, tenant: str, request_uri: str) -> tuple[str, str]:
        """What was dialled, and the user of the tenant whom it means, or a parking slot by its `slot_name`; both empty when there is
        neither in this house."""
        name = self._named(tenant, request_uri)
        if not name:
            return "", ""
        if self._accounts.is_slot(tenant, name):
            return name, slot_name(name)
        user_id = self._accounts.user_named(tenant, name)
        return (name, user_id) if user_id else ("", "")

    def means_keys(self, tenant: str, request_uri: str) -> bool:
        """Whether it is the list of what the asking user's function keys watch."""
        return self._named(tenant, request_uri) == KEYS

    def _named(self, tenant: str, request_uri: str) -> str:
        """What was dialled in this house; empty: it is another's."""
        try:
            name = dialled(request_uri)
            return name if self._accounts.is_house_of(tenant, Uri.parse(request_uri).host) else ""
        except ParseError:
            return ""
