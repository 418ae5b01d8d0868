"""Phones whose settings changed are told to fetch them again: NOTIFY with event check-sync, as makers have it.

Always: changes that come together make one notice; notices leave a few at a time, so that a change for all is no flood of fetches; only
phones that this node hears are told by it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from carillon_contracts.config import ConfigChanged
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.logs import get_logger
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.invitation import own_contact
from carillon_media.domain.resync import touched
from carillon_media.handlers.registrar import Device
from carillon_sip.commands import RequestOut
from carillon_sip.errors import SipError
from carillon_sip.flow import Flow
from carillon_sip.uri import NameAddr, Uri

#: Changes are gathered for so long; then so many phones a second.
GATHER_SECONDS = 2.0
PHONES_PER_SECOND = 20
#: SIP users that wait; past that the change is told at their next boot.
MOST_WAITING = 50_000
_HEADERS = (("Event", "check-sync;reboot=false"), ("Subscription-State", "terminated"))
_log = get_logger(__name__)


class NoticeSip(Protocol):
    """The SIP stack, as far as notices go."""

    def request(self, request: RequestOut) -> str: ...
    def own_address(self, flow: Flow) -> tuple[str, int]: ...


class Resync:
    """Give `changed` to the configuration, run `run` as a task."""

    def __init__(
        self, accounts: Accounts, sip: NoticeSip, devices_of: Callable[[str], Sequence[Device]], gather_seconds: float = GATHER_SECONDS
    ) -> None:
        self._accounts = accounts
        self._sip = sip
        self._devices_of = devices_of
        self._gather_seconds = gather_seconds
        self._waiting: dict[str, None] = {}
        self._work = asyncio.Event()

    def changed(self, config: TenantConfig, changes: Sequence[ConfigChanged]) -> None:
        """Changes that came at once; `config` is the one after them."""
        for sip_user in touched(config, changes):
            if len(self._waiting) < MOST_WAITING:
                self._waiting[sip_user] = None
                self._work.set()

    async def run(self) -> None:
        """Tell phones until cancelled."""
        while True:
            await self._work.wait()
            await asyncio.sleep(self._gather_seconds)
            self._work.clear()
            sip_users = len(self._waiting)
            while self._waiting:
                for sip_user in list(self._waiting)[:PHONES_PER_SECOND]:
                    del self._waiting[sip_user]
                    self._tell(sip_user)
                if self._waiting:
                    await asyncio.sleep(1.0)
            _log.info("phones that are here were told to fetch their settings", sip_users=sip_users)

    def _tell(self, sip_user: str) -> None:
        for device in self._devices_of(sip_user):
            if device.node:
                continue
            try:
                self._sip.request(self._notice(device))
            except SipError as error:
                _log.info("a phone could not be told of its new settings", sip_user=sip_user, error=str(error))

    def _notice(self, device: Device) -> RequestOut:
        realm = self._accounts.realm_of(device.tenant)
        binding = device.binding
        own = NameAddr(Uri("sip", device.sip_user, realm), "")
        return RequestOut(
            "NOTIFY",
            flow=binding.flow,
            request_uri=binding.contact,
            from_=own,
            to=own,
            contact=own_contact(self._sip.own_address(binding.flow), binding.flow.transport),
            headers=(*_HEADERS, *(("Route", route) for route in binding.path)),
        )
