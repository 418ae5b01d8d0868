"""Who may call from where: credentials, realms, trunks and numbers of all tenants, indexed for the first message of a call.

Invariant: an index entry belongs to exactly one tenant, and goes away with the configuration that held it. SIP user names are unique
in the installation; where two tenants claim the same one, the first keeps it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from carillon_contracts.tenant_config import TenantConfig
from carillon_media.domain.trunk_lines import TrunkAddress, servers_of
from carillon_sip.digest import Algorithm
from carillon_sip.locate import Destination

NO_TENANT_REALM = "carillon"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a device proves itself with."""

    sip_user: str
    tenant: str
    user_id: str
    realm: str
    ha1: Mapping[Algorithm, str]


@dataclass(frozen=True, slots=True)
class _Tenant:
    """A tenant's share of the indexes."""

    config: TenantConfig
    realm: str
    credentials: Mapping[str, Credential]
    trunks: Mapping[str, tuple[TrunkAddress, ...]]
    extensions: Mapping[str, str]
    devices: Mapping[str, tuple[str, ...]]


class Accounts:
    """All tenants' accounts as of their latest configuration."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}
        self._credentials: dict[str, Credential] = {}
        self._realms: dict[str, str] = {}
        self._numbers: dict[str, str] = {}
        self._hosts: dict[str, tuple[TrunkAddress, ...]] = {}
        self._decoys: tuple[str, ...] = ()

    def update(self, config: TenantConfig) -> None:
        """Take a tenant's new configuration in place of its last one."""
        old = self._tenants.pop(config.tenant_id, None)
        if old is not None:
            self._drop(old)
        new = _index(config)
        if new is None:
            return
        self._tenants[config.tenant_id] = new
        for sip_user, credential in new.credentials.items():
            self._credentials.setdefault(sip_user, credential)
        self._realms.setdefault(new.realm, config.tenant_id)
        for number in config.numbers:
            self._numbers.setdefault(number, config.tenant_id)
        for server in _servers(new):
            self._hosts[server.host] = (*self._hosts.get(server.host, ()), server)
        self._decoys = tuple(sorted(self._realms))

    def _drop(self, old: _Tenant) -> None:
        tenant = old.config.tenant_id
        for sip_user in old.credentials:
            if self._credentials.get(sip_user, None) is old.credentials[sip_user]:
                del self._credentials[sip_user]
        if self._realms.get(old.realm) == tenant:
            del self._realms[old.realm]
        for number in old.config.numbers:
            if self._numbers.get(number) == tenant:
                del self._numbers[number]
        for server in _servers(old):
            rest = tuple(other for other in self._hosts.get(server.host, ()) if other is not server)
            if rest:
                self._hosts[server.host] = rest
            else:
                self._hosts.pop(server.host, None)

    def tenants(self) -> Sequence[str]:
        """Every tenant."""
        return tuple(self._tenants)

    # -- who ----------------------------------------------------------------------------------------------------------

    def config(self, tenant: str) -> TenantConfig | None:
        """The tenant's configuration."""
        found = self._tenants.get(tenant)
        return found.config if found else None

    def credential(self, sip_user: str) -> Credential | None:
        """By SIP user name."""
        return self._credentials.get(sip_user)

    def realm_for(self, host: str, sip_user: str) -> str:
        """The realm of a challenge: the domain's if it is one of ours, else that of the user, else one that always is the same for
        this unknown user, so that unknown users are challenged like known ones."""
        host = host.lower()
        if host in self._realms:
            return host
        # Unknown users cost the same work as known ones.
        digest = hashlib.sha256(sip_user.encode("utf-8", "surrogateescape")).digest()
        credential = self._credentials.get(sip_user)
        if credential is not None:
            return credential.realm
        return self._decoys[int.from_bytes(digest[:4], "big") % len(self._decoys)] if self._decoys else NO_TENANT_REALM

    def is_house_of(self, tenant: str, host: str) -> bool:
        """Whether a URI with this host means the tenant: its realm, or a host that is no tenant's realm (an address of ours)."""
        return self._realms.get(host.lower(), tenant) == tenant

    def user_named(self, tenant: str, name: str) -> str:
        """The user whom an extension leads to, or whose id or SIP user name it is; empty if none."""
        config = self.config(tenant)
        if config is None:
            return ""
        extension = config.extensions.get(name)
        if extension is not None:
            return extension.destination.user_id or ""
        credential = config.sip_credentials.get(name)
        found = credential.user_id if credential is not None else name
        return found if found in config.users else ""

    def is_admin(self, tenant: str, user_id: str) -> bool:
        """Whether the user runs the tenant."""
        config = self.config(tenant)
        user = config.users.get(user_id) if config else None
        return user is not None and user.role == "admin"

    def is_slot(self, tenant: str, name: str) -> bool:
        """Whether calls can be parked there."""
        config = self.config(tenant)
        return config is not None and any(lot.holds(name) for lot in config.parking_lots.values())

    def mailbox_of(self, tenant: str, user_id: str) -> str:
        """The user's mailbox; empty if none."""
        config = self.config(tenant)
        user = config.users.get(user_id) if config else None
        return user.mailbox_id if user else ""

    def realm_of(self, tenant: str) -> str:
        """SIP domain of a tenant."""
        found = self._tenants.get(tenant)
        return found.realm if found else NO_TENANT_REALM

    def extension_of(self, tenant: str, user_id: str) -> str:
        """The user's lowest extension; empty if none."""
        found = self._tenants.get(tenant)
        return found.extensions.get(user_id, "") if found else ""

    def name_of(self, tenant: str, user_id: str) -> str:
        """The user's full name; empty if unknown."""
        found = self._tenants.get(tenant)
        user = found.config.users.get(user_id) if found else None
        return user.full_name if user else ""

    def caller_number_of(self, tenant: str, user_id: str) -> str:
        """The number that the user shows outside; empty if none is set."""
        found = self._tenants.get(tenant)
        user = found.config.users.get(user_id) if found else None
        return user.caller_number if user else ""

    def country_of(self, tenant: str) -> str:
        """ISO 3166."""
        found = self._tenants.get(tenant)
        return found.config.tenant.country if found else "CH"

    def devices_of(self, tenant: str, user_id: str) -> Sequence[str]:
        """SIP user names of a user."""
        found = self._tenants.get(tenant)
        return found.devices.get(user_id, ()) if found else ()

    # -- trunks and numbers -------------------------------------------------------------------------------------------

    def trunk(self, tenant: str, trunk_id: str) -> TrunkAddress | None:
        """A tenant's trunk, by its first server."""
        found = self._tenants.get(tenant)
        servers = found.trunks.get(trunk_id) if found else None
        return servers[0] if servers else None

    def trunks_of_host(self, host: str) -> Sequence[TrunkAddress]:
        """Trunks whose address names this host (a name or an IP address)."""
        return self._hosts.get(host, ())

    def trunk_destinations(self) -> frozenset[Destination]:
        """What DNS is asked for."""
        return frozenset(server.destination for servers in self._hosts.values() for server in servers)

    def trunk_hosts(self) -> Sequence[str]:
        """Every host that a trunk stands at."""
        return tuple(self._hosts)

    def owner_of(self, dialled: str, tenants: Sequence[str]) -> tuple[str, str] | None:
        """Which of the tenants owns what a carrier dialled, and the number in E.164; None if no one or more than one does."""
        plain = dialled.lstrip("+")
        candidates = [dialled, f"+{plain}"] + ([f"+{plain[2:]}"] if plain.startswith("00") else [])
        for candidate in candidates:
            owner = self._numbers.get(candidate)
            if owner is not None and owner in tenants:
                return owner, candidate
        if not plain.startswith("0") or len(plain) < 6:
            return None
        national = plain.lstrip("0")
        found = [
            (tenant, number)
            for tenant in tenants
            if (config := self.config(tenant))
            for number in config.numbers
            if number.endswith(national) and 1 <= len(number) - 1 - len(national) <= 3
        ]
        return found[0] if len(found) == 1 else None


def _index(config: TenantConfig) -> _Tenant | None:
    try:
        realm = config.tenant.realm
    except KeyError:
        return None
    tenant = config.tenant_id
    credentials: dict[str, Credential] = {}
    devices: dict[str, tuple[str, ...]] = {}
    for item in config.sip_credentials.values():
        ha1: dict[Algorithm, str] = {}
        if item.ha1_sha256:
            ha1["SHA-256"] = item.ha1_sha256
        if item.ha1_md5:
            ha1["MD5"] = item.ha1_md5
        credentials[item.id] = Credential(item.id, tenant, item.user_id, item.realm or realm, ha1)
        devices[item.user_id] = (*devices.get(item.user_id, ()), item.id)
    extensions: dict[str, str] = {}
    for digits in sorted(config.extensions, reverse=True):
        user_id = config.extensions[digits].destination.user_id
        if user_id is not None:
            extensions[user_id] = digits
    trunks = {trunk.id: servers_of(tenant, trunk) for trunk in config.trunks.values()}
    return _Tenant(config, realm, credentials, trunks, extensions, devices)


def _servers(tenant: _Tenant) -> Iterator[TrunkAddress]:
    for servers in tenant.trunks.values():
        yield from servers
