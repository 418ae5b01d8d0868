"""Phones fetch their files: who asks, which file, what is in it.

Always: whoever has no valid secret, or asks for another device's file, gets the same nothing; a source that guesses gets nothing for a
while whatever it brings. A line's password is known here only if it was made here; one that is not is made anew when its phone asks.
"""

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from carillon_contracts import audit
from carillon_contracts.config import Device, SipCredential
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.device_certificates import DeviceCertificates
from carillon_directory.adapters.postgres_provisioning import PostgresProvisioning, Provisioned
from carillon_directory.adapters.refusals import api_error
from carillon_directory.domain.claims import device_with
from carillon_directory.domain.commands import UpdateResource
from carillon_directory.domain.credentials import hashes
from carillon_directory.domain.outcomes import Refused
from carillon_directory.domain.provisioning.forms import File
from carillon_directory.domain.provisioning.makers import MAKERS, Maker, Named, maker_named, maker_of
from carillon_directory.domain.provisioning.phone import Server, gathered, phone_book
from carillon_directory.handlers import Directory
from carillon_directory.ports import Audit
from carillon_kit.clock import Clock
from carillon_kit.errors import FailedPrecondition, NotFound
from carillon_kit.ids import Ids
from carillon_kit.sealing import SealBroken, Sealer

#: Purpose of the seals of phones' passwords.
PHONE_PASSWORDS = "provisioned phone passwords"
_SECRET_BYTES, _PASSWORD_BYTES = 20, 16
#: Wrong secrets of one source until it is kept out, and for how long: doubled each time, up to an hour.
_TRIES, _FIRST_BAN, _LONGEST_BAN = 10, timedelta(minutes=1), timedelta(hours=1)
_MOST_SOURCES = 10_000
_NOTHING = File("text/plain", b"")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: the secret (from the path or the password), the name given with it (empty: from the path), the file, and the certificate
    that the client has shown (PEM; empty: none)."""

    secret: str
    user: str
    file: str
    source: str
    user_agent: str
    certificate: str = ""


@dataclass(slots=True)
class _Source:
    failures: int = 0
    bans: int = 0
    until: datetime | None = None


class Doors:
    """Sources that guessed; the longest unheard of is forgotten when there are too many."""

    def __init__(self) -> None:
        self._sources: OrderedDict[str, _Source] = OrderedDict()

    def closed(self, source: str, now: datetime) -> bool:
        """Whether nothing is given to the source now."""
        known = self._sources.get(source)
        return known is not None and known.until is not None and now < known.until

    def failed(self, source: str, now: datetime) -> bool:
        """One more wrong secret; whether the source is kept out from now on."""
        known = self._sources.setdefault(source, _Source())
        self._sources.move_to_end(source)
        if len(self._sources) > _MOST_SOURCES:
            self._sources.popitem(last=False)
        known.failures += 1
        if known.failures < _TRIES:
            return False
        known.until = now + min(_FIRST_BAN * 2 ** min(known.bans, 10), _LONGEST_BAN)
        known.failures, known.bans = 0, known.bans + 1
        return True

    def passed(self, source: str) -> None:
        """A right secret: the source is no guesser."""
        self._sources.pop(source, None)


class Provisioning:
    """What phones and admins ask."""

    def __init__(
        self,
        directory: Directory,
        store: PostgresProvisioning,
        sealer: Sealer,
        trail: Audit,
        clock: Clock,
        ids: Ids,
        sip: Server,
        base_url: str,
        certificates: DeviceCertificates,
    ) -> None:
        self._certificates = certificates
        self._directory = directory
        self._store = store
        self._sealer = sealer
        self._trail = trail
        self._clock = clock
        self._ids = ids
        self._sip = sip
        self._base_url = base_url.rstrip("/")
        self._doors = Doors()

    # -- phones --------------------------------------------------------------------------------------------------------

    async def file(self, asked: Asked) -> File | None:
        """The file, or None: whatever the reason."""
        now = self._clock.now()
        if self._doors.closed(asked.source, now):
            return None
        device = await (self._store.by_secret(_digest(asked.secret)) if asked.secret else self._by_certificate(asked.certificate))
        if device is None:
            self._refused(asked, now, "")
            return None
        found = await self._found(device, asked)
        if found is None:
            self._refused(asked, now, device.tenant)
            return None
        self._doors.passed(asked.source)
        config, resource, maker, named = found
        made = await self._made(config, resource, maker, named, asked)
        if named.kind not in ("nothing", "boot"):
            await self._store.fetched(device, now, asked.file, asked.user_agent, asked.source)
        return made

    async def proves(self, certificate: str) -> bool:
        """Whether a certificate stands for a device here; who shows another one may still have a password."""
        return bool(certificate) and await self._by_certificate(certificate) is not None

    async def _by_certificate(self, certificate: str) -> Provisioned | None:
        """The device with the MAC that the certificate proves, if the authority is its maker's and it was not withdrawn."""
        shown = self._certificates.shown(certificate) if certificate else None
        tenant = await self._store.tenant_of(shown.mac) if shown is not None else None
        config = await self._directory.read(tenant) if tenant is not None else None
        if shown is None or not isinstance(config, TenantConfig):
            return None
        device = device_with(config, shown.mac)
        if device is None or not shown.makers & {"*", maker_named(device.vendor)}:
            return None
        known = await self._store.of_device(config.tenant_id, device.id) or Provisioned(config.tenant_id, device.id)
        return None if known.withdrawn else known

    async def _found(self, device: Provisioned, asked: Asked) -> tuple[TenantConfig, Device, Maker, Named] | None:
        config = await self._directory.read(device.tenant)
        if isinstance(config, Refused):
            return None
        resource = config.get(Device, device.device_id)
        maker = maker_of(resource.vendor) if resource is not None else None
        named = maker.asked(asked.file) if maker is not None else None
        if resource is None or maker is None or named is None or maker.template(resource) is None:
            return None
        own = {resource.mac.lower(), resource.serial.lower()} - {""}
        if (named.identity and named.identity not in own) or (asked.user and asked.user.lower().replace(":", "") not in own):
            return None
        return config, resource, maker, named

    async def _made(self, config: TenantConfig, device: Device, maker: Maker, named: Named, asked: Asked) -> File:
        files_url = f"{self._base_url}/p/{asked.secret}".rstrip("/")
        if named.kind == "nothing":
            return _NOTHING
        if named.kind == "boot" and maker.boot is not None:
            return maker.boot(named.identity)
        if named.kind == "phone_book":
            entries = phone_book(config, device)
            if maker.pages is not None:
                return maker.pages(entries, named.page, files_url)
            return maker.phone_book(entries) if maker.phone_book is not None else _NOTHING
        passwords = {}
        for line in device.lines:
            credential = config.sip_credentials.get(line.sip_credential_id)
            if credential is not None:
                passwords[credential.id] = await self._password(config, credential)
        server = Server(self._sip.host, self._sip.port, self._sip.transport, files_url)
        template = maker.template(device)
        return template(gathered(config, device, passwords, server)) if template is not None else _NOTHING

    async def _password(self, config: TenantConfig, credential: SipCredential) -> str:
        known = (await self._store.passwords(config.tenant_id, [credential.id])).get(credential.id)
        if known is not None and hmac.compare_digest(known[0], credential.ha1_sha256):
            try:
                return self._sealer.open(known[1], config.tenant_id, credential.id)
            except SealBroken:
                pass
        password = self._ids.token(_PASSWORD_BYTES)
        ha1 = str(hashes(credential.id, config.tenant.realm, password)["ha1_sha256"])
        await self._store.keep_password(config.tenant_id, credential.id, ha1, self._sealer.seal(password, config.tenant_id, credential.id))
        command = UpdateResource(
            actor="provisioning",
            reason="a phone fetched its settings, and its password was not known",
            kind=SipCredential.KIND,
            resource_id=credential.id,
            document={"id": credential.id, "password": password},
            paths=("password",),
        )
        result = await self._directory.execute(config.tenant_id, command)
        if isinstance(result, Refused):
            raise api_error(result)
        return password

    def _refused(self, asked: Asked, now: datetime, tenant: str) -> None:
        kept_out = self._doors.failed(asked.source, now)
        event = audit.ProvisioningRefused(file=asked.file[:100], source=asked.source, user_agent=asked.user_agent[:200], kept_out=kept_out)
        self._trail.tell(tenant, event, f"source/{asked.source}")

    # -- admins --------------------------------------------------------------------------------------------------------

    async def prepare(self, tenant: str, device_id: str, by: str) -> tuple[str, str]:
        """The device's address and its secret. Raises `NotFound`, `FailedPrecondition`."""
        device = await self._device(tenant, device_id)
        maker = maker_of(device.vendor)
        if maker is None or maker.template(device) is None:
            kind = "bases" if device.type == "base" else "phones"
            known = ", ".join(name for name, each in MAKERS.items() if each.template(device) is not None)
            raise FailedPrecondition([("VENDOR", f"device/{device_id}", f"of {kind} vendor {device.vendor!r} is none of {known}")])
        if not device.mac and not device.serial:
            raise FailedPrecondition([("IDENTITY", f"device/{device_id}", "has no MAC and no serial number")])
        secret = self._ids.token(_SECRET_BYTES)
        await self._store.prepare(tenant, device_id, _digest(secret))
        self._trail.tell(tenant, audit.AccessChanged(action="device_prepared", about=device_id, by=by), f"device/{device_id}")
        return f"{self._base_url}/p/{secret}/", secret

    async def withdraw(self, tenant: str, device_id: str, by: str) -> None:
        """Raises `NotFound`."""
        await self._device(tenant, device_id)
        await self._store.withdraw(tenant, device_id)
        self._trail.tell(tenant, audit.AccessChanged(action="device_withdrawn", about=device_id, by=by), f"device/{device_id}")

    async def stands(self, tenant: str, device_id: str) -> Provisioned | None:
        """None: it has no address. Raises `NotFound` when there is no such device."""
        await self._device(tenant, device_id)
        return await self._store.of_device(tenant, device_id)

    async def _device(self, tenant: str, device_id: str) -> Device:
        config = await self._directory.read(tenant)
        if isinstance(config, Refused):
            raise api_error(config)
        device = config.get(Device, device_id)
        if device is None:
            raise NotFound(f"device {device_id!r}")
        return device


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
