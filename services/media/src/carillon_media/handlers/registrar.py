"""Devices that register: authenticated, bound to where they were heard from, persisted, announced, forgotten when they fall silent.

Invariant: a binding belongs to the credential that proved itself; times in memory are monotonic, times outside are wall-clock. Devices that
other nodes heard are known here too; what becomes of them is announced by the node that hears it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, Protocol

from carillon_contracts import streams
from carillon_contracts.config import ConfigChanged, SipCredential
from carillon_contracts.registration import Registered, Unregistered
from carillon_kit.clock import Clock
from carillon_kit.ids import Ids
from carillon_kit.logs import get_logger
from carillon_media.domain.accounts import Accounts, Credential
from carillon_media.domain.due import Due
from carillon_media.handlers.doorkeeper import TRY_LATER, Doorkeeper, TryLater
from carillon_media.handlers.quiet import QuietLog
from carillon_media.ports import Announcer, SipPort
from carillon_sip.digest import Verdict
from carillon_sip.errors import ParseError
from carillon_sip.flow import Flow, host_port
from carillon_sip.gruu import Gruus
from carillon_sip.message import Request
from carillon_sip.registrar import Binding, RegistrarSettings, register

_log = get_logger(__name__)
#: How long it is known of a SIP user that is registered nowhere what it was registered with.
REMEMBERED = timedelta(days=30)
Reason = Literal["asked", "expired", "connection_lost", "deleted"]


@dataclass(frozen=True, slots=True)
class Device:
    """A binding with whose it is, in wall-clock time; what is stored and listed. `node`: the one that hears it, "" for this one.
    `left_at`: since when it is not registered any more; None while it is."""

    tenant: str
    sip_user: str
    user_id: str
    binding: Binding
    registered_at: datetime
    expires_at: datetime
    heard_at: datetime
    node: str = ""
    left_at: datetime | None = None

    @property
    def known_at(self) -> datetime:
        """When this became known; what is known later holds."""
        return self.left_at or self.heard_at


def at_once(done: Callable[[], None]) -> None:
    """What is saved nowhere is waited for by nobody."""
    done()


class DeviceUris(Protocol):
    """Makes the GRUUs of a credential's device."""

    def of(self, credential: Credential, instance: str, call_id: str, cseq: int) -> Gruus: ...


class DeviceStore(Protocol):
    """Where bindings survive a restart; writes happen in the background."""

    def save(self, devices: Iterable[Device]) -> None:
        """Added or refreshed, or gone: those have `left_at`."""


class Registrar:
    """All registrations of this node."""

    def __init__(
        self,
        accounts: Accounts,
        doorkeeper: Doorkeeper,
        sip: SipPort,
        store: DeviceStore,
        announcer: Announcer,
        clock: Clock,
        ids: Ids,
        settings: RegistrarSettings | None = None,
        gruus: DeviceUris | None = None,
        settled: Callable[[Callable[[], None]], None] = at_once,
    ) -> None:
        """`settled` calls what it is given when all that was saved is on the disk, or cannot be soon."""
        self._settled = settled
        self._gruus = gruus
        self._accounts = accounts
        self._doorkeeper = doorkeeper
        self._sip = sip
        self._store = store
        self._announcer = announcer
        self._clock = clock
        self._ids = ids
        self._settings = settings or RegistrarSettings()
        self._quiet = QuietLog(_log, clock)
        self._devices: dict[str, tuple[Device, ...]] = {}
        #: Of SIP users that are registered nowhere, the device that was last.
        self._departed: dict[str, Device] = {}
        self._due = Due()
        #: Credentials that registered over each connection.
        self._flows: dict[Flow, set[str]] = {}
        self.closed = True
        #: Told of devices that came, went or moved as other nodes heard them.
        self.heard_elsewhere: Callable[[Sequence[Device]], None] = lambda devices: None
        #: Set while the calls that are up are waited for: whoever asks for new ones (an edge, by OPTIONS) is sent elsewhere.
        self.draining = False

    # -- SIP ----------------------------------------------------------------------------------------------------------

    def requested(self, transaction: str, request: Request, flow: Flow) -> None:
        """A request outside any dialog."""
        if request.method == "OPTIONS" and self.draining:
            self._sip.respond(transaction, 503, headers=TRY_LATER)
        elif request.method == "OPTIONS":
            self._sip.respond(transaction, 200, headers=(("Accept", "application/sdp"), ("Allow", _ALLOW)))
        elif request.method != "REGISTER":
            self._sip.respond(transaction, 405, headers=(("Allow", _ALLOW),))
        elif self.closed:
            self._sip.respond(transaction, 503, headers=(("Retry-After", "5"),))
        else:
            try:
                self._register(transaction, request, flow)
            except ParseError:
                self._sip.respond(transaction, 400)
            except TryLater:
                self._sip.respond(transaction, 503, headers=TRY_LATER)

    def _register(self, transaction: str, request: Request, flow: Flow) -> None:
        verdict, credential, realm = self._doorkeeper.check(request, "Authorization", flow)
        if credential is None:
            if verdict is Verdict.WRONG:
                self._quiet.warning("REGISTER with wrong credentials", source=flow.remote[0], account=request.to.uri.user[:64])
                self._sip.respond(transaction, 403)
                return
            challenges = self._doorkeeper.challenges(request, realm, flow, stale=verdict is Verdict.STALE, salt=self._ids.token())
            self._sip.respond(transaction, 401, headers=[("WWW-Authenticate", value) for value in challenges])
            return
        if request.to.uri.user != credential.sip_user:
            self._sip.respond(transaction, 403)
            return
        self._apply(transaction, request, flow, credential)

    def _apply(self, transaction: str, request: Request, flow: Flow, credential: Credential) -> None:
        known = self._devices.get(credential.sip_user, ())
        now = self._clock.monotonic()
        alive = [device.binding for device in known if device.binding.expires_at > now]
        make = partial(self._gruus.of, credential) if self._gruus is not None else None
        outcome = register(request, alive, flow, now, self._settings, make)
        answer = partial(self._sip.respond, transaction, outcome.status, reason=outcome.reason, headers=outcome.headers)
        if outcome.status != 200:
            answer()
            return
        before = {device.binding.key: device for device in known}
        since = {key: device.registered_at for key, device in before.items()}
        changed = {binding.key for binding in (*outcome.added, *outcome.refreshed)}
        devices = tuple(
            self._device(credential, binding, since.get(binding.key)) if binding.key in changed else before[binding.key]
            for binding in outcome.bindings
        )
        self._keep(credential.sip_user, devices)
        kept = {device.binding.key for device in devices}
        removed = self._left(device for device in known if device.binding.key not in kept)
        self._store.save((*(device for device in devices if device.binding.key in changed), *removed))
        for device in devices:
            if device.binding.flow.reliable and not device.node:
                self._flows.setdefault(device.binding.flow, set()).add(device.sip_user)
        for device in devices:
            if device.binding.key not in since:
                self._announce(device)
        for device in known:
            if device.binding in outcome.removed:
                self._announce_gone(device, "asked")
        self._settled(answer)

    def _keep(self, sip_user: str, devices: tuple[Device, ...]) -> None:
        if devices:
            self._devices[sip_user] = devices
            self._due.note(sip_user, min(device.binding.expires_at for device in devices))
            self._departed.pop(sip_user, None)
        else:
            self._devices.pop(sip_user, None)

    def _left(self, gone: Iterable[Device]) -> list[Device]:
        """These are not registered any more, as of now unless it was before; to be told after `_keep`."""
        now = self._clock.now()
        left = [replace(device, left_at=device.left_at or now) for device in gone]
        for device in left:
            last = self._departed.get(device.sip_user)
            if device.sip_user not in self._devices and (last is None or last.known_at <= device.known_at):
                self._departed[device.sip_user] = device
        return left

    def _device(self, credential: Credential, binding: Binding, since: datetime | None) -> Device:
        now = self._clock.now()
        expires = now + timedelta(seconds=binding.expires_at - self._clock.monotonic())
        return Device(credential.tenant, credential.sip_user, credential.user_id, binding, since or now, expires, now)

    # -- time and restarts ----------------------------------------------------------------------------------------------

    def load(self, devices: Iterable[Device]) -> None:
        """What was stored before a restart, with `binding.expires_at` monotonic again, and what had left by then.

        Connections ended with the process that had them: what is bound to one as a flow is gone, and rings again when its phone has
        registered by a new one; until then calls go to the user's other phones, or on."""
        dead: list[Device] = []
        gone: list[Device] = []
        for device in devices:
            if device.left_at is not None:
                gone.append(device)
                continue
            known = self._devices.get(device.sip_user, ())
            if any(other.binding.key == device.binding.key for other in known):
                continue
            if device.binding.flow.reliable and device.binding.reg_id > 0 and not device.node:
                dead.append(device)
            else:
                self._keep(device.sip_user, (*known, device))
        self._left(gone)
        self._store.save(self._left(dead))
        for device in dead:
            self._announce_gone(device, "connection_lost")

    def elsewhere(self, changes: Iterable[Device]) -> None:
        """Other nodes heard these, or that they left. What was heard last holds, wherever."""
        told: list[Device] = []
        for device in changes:
            devices = self._devices.get(device.sip_user, ())
            known = next((one for one in devices if one.binding.key == device.binding.key), None)
            if known is not None and known.known_at > device.known_at:
                continue
            others = tuple(one for one in devices if one is not known)
            self._keep(device.sip_user, others if device.left_at is not None else (*others, device))
            if device.left_at is not None:
                self._left([device])
            told.append(device if known is None else known)
        if told:
            self.heard_elsewhere(told)

    def lost(self, devices: Iterable[Device]) -> None:
        """These ran out while their node was dead; nobody else announces it."""
        for device in self._left(devices):
            self._announce_gone(device, "expired")

    def flow_lost(self, flow: Flow) -> None:
        """A connection is gone: flows that registered over it as such are unbound (RFC 5626 section 5.3); a phone that did not say that
        it keeps connections may be reached by a new one."""
        for sip_user in self._flows.pop(flow, ()):
            self._forget(
                sip_user, lambda device: device.binding.flow == flow and device.binding.reg_id > 0 and not device.node, "connection_lost"
            )

    def expire(self) -> None:
        """Forget who was not heard of any more; to be called every few seconds."""
        now = self._clock.monotonic()
        for sip_user in self._due.take(now):
            self._forget(sip_user, lambda device: device.binding.expires_at <= now, "expired")

    def configured(self, changes: Iterable[ConfigChanged]) -> None:
        """Of credentials that are gone no device is remembered, whichever node it registered at."""
        for change in changes:
            if change.resource == SipCredential.KIND and change.after is None:
                self._forget(change.resource_id, lambda device: True, "deleted")
                self._departed.pop(change.resource_id, None)

    def _forget(self, sip_user: str, is_dead: Callable[[Device], bool], reason: Reason) -> None:
        devices = self._devices.get(sip_user, ())
        dead = [device for device in devices if is_dead(device)]
        self._keep(sip_user, tuple(device for device in devices if not is_dead(device)))
        left = self._left(dead)
        if reason == "deleted":  # Whoever is erased is not remembered.
            left = [replace(device, expires_at=self._clock.now() - REMEMBERED) for device in left]
        self._store.save(device for device in left if not device.node)
        for device in dead:
            if not device.node:
                self._announce_gone(device, reason)

    def uses(self, flow: Flow) -> bool:
        """Whether a device is registered over this connection."""
        users = self._flows.get(flow, ())
        if any(device.binding.flow == flow for sip_user in users for device in self.devices_of(sip_user)):
            return True
        self._flows.pop(flow, None)
        return False

    # -- asking -------------------------------------------------------------------------------------------------------

    def devices_of(self, sip_user: str) -> Sequence[Device]:
        """Bindings of a credential that is (still) configured, alive now."""
        now = self._clock.monotonic()
        return [device for device in self._devices.get(sip_user, ()) if device.binding.expires_at > now]

    def devices(self, tenant: str, user_id: str = "") -> list[Device]:
        """A tenant's devices; with `user_id`, that user's."""
        return self._of(tenant, user_id, (device for devices in self._devices.values() for device in devices))

    def departed(self, tenant: str, user_id: str = "") -> list[Device]:
        """Of a tenant's SIP users that are registered nowhere, the device that was last; with `user_id`, of that user's."""
        after = self._clock.now() - REMEMBERED
        return self._of(tenant, user_id, (device for device in self._departed.values() if device.known_at > after))

    def _of(self, tenant: str, user_id: str, devices: Iterable[Device]) -> list[Device]:
        """Each as of whoever has its credential now."""
        found = []
        for device in devices:
            credential = self._accounts.credential(device.sip_user) if device.tenant == tenant else None
            if credential is not None and credential.tenant == tenant and user_id in ("", credential.user_id):
                found.append(replace(device, user_id=credential.user_id))
        return found

    # -- events -------------------------------------------------------------------------------------------------------

    def _announce(self, device: Device) -> None:
        binding = device.binding
        event = Registered(
            user_id=device.user_id,
            sip_user=device.sip_user,
            contact=binding.contact,
            user_agent=binding.user_agent,
            source=source_of(binding.flow),
            expires_at=device.expires_at,
        )
        self._announcer.announce(device.tenant, streams.registration_subject(device.tenant, "registered"), event, self._clock.now())

    def _announce_gone(self, device: Device, reason: Reason) -> None:
        event = Unregistered(user_id=device.user_id, sip_user=device.sip_user, contact=device.binding.contact, reason=reason)
        self._announcer.announce(device.tenant, streams.registration_subject(device.tenant, "unregistered"), event, self._clock.now())


_ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, REFER, NOTIFY, SUBSCRIBE, MESSAGE"


def source_of(flow: Flow) -> str:
    """`udp:192.0.2.7:5060`"""
    return f"{flow.transport}:{host_port(flow.remote)}"
