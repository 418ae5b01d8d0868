"""What phones of one house want of each other beside calls, put together: lamps, presence, messages.

Invariant: a request that is for none of these goes on to the registrar, an answer to the trunks.
"""

from typing import Protocol

from carillon_kit.clock import Clock
from carillon_kit.ids import Ids
from carillon_media.domain.accounts import Accounts
from carillon_media.handlers.authenticated import HousePhones
from carillon_media.handlers.device_uris import DeviceGruus
from carillon_media.handlers.doorkeeper import Doorkeeper
from carillon_media.handlers.kept_watchers import WatcherStore
from carillon_media.handlers.messages import Messages, MessageSip
from carillon_media.handlers.reach import Reachability
from carillon_media.handlers.registrar import Device, Registrar
from carillon_media.handlers.switchboard import Switchboard
from carillon_media.handlers.topics import Mailboxes
from carillon_media.handlers.trunks import Trunks
from carillon_media.handlers.watching import WatchedSip, Watching
from carillon_sip.flow import Flow
from carillon_sip.message import Request
from carillon_sip.outputs import RequestTimedOut, ResponseReceived


class PhoneSip(WatchedSip, MessageSip, Protocol):
    """The SIP stack."""


class BetweenPhones:
    """Takes requests and answers outside dialogs, and subscriptions by `watching`."""

    def __init__(
        self,
        accounts: Accounts,
        doorkeeper: Doorkeeper,
        sip: PhoneSip,
        board: Switchboard,
        registrar: Registrar,
        trunks: Trunks,
        reach: Reachability,
        mailboxes: Mailboxes,
        ids: Ids,
        store: WatcherStore,
        clock: Clock,
        gruus: DeviceGruus | None = None,
    ) -> None:
        phones = HousePhones(accounts, doorkeeper, ids)

        def online(tenant: str, user_id: str) -> bool:
            return bool(reach.contacts_of_user(tenant, user_id))

        def registrations(tenant: str, sip_user: str) -> list[Device]:
            return [device for device in registrar.devices_of(sip_user) if device.tenant == tenant]

        self.watching = Watching(accounts, phones, sip, board.calls, mailboxes, online, registrations, store, clock)
        self._messages = Messages(accounts, phones, sip, reach.contacts_of_user, gruus)
        self._registrar = registrar
        self._keys = board.keys
        self._trunks = trunks
        board.changed = self.watching.changed

    def requested(self, transaction: str, request: Request, flow: Flow) -> None:
        """A request outside any dialog."""
        if request.method == "MESSAGE":
            self._messages.requested(transaction, request, flow)
        else:
            self._registrar.requested(transaction, request, flow)

    def responded(self, output: ResponseReceived | RequestTimedOut) -> None:
        """An answer to a request of ours."""
        if not self._messages.responded(output) and not self._keys.responded(output):
            self._trunks.responded(output)

    def close(self) -> None:
        """The service ends."""
        self._messages.closed = True
        self.watching.close()
