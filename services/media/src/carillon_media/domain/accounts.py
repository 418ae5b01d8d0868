"""Who may call from where: credentials, realms, trunks and numbers of all tenants, indexed for the first message of a call.

Invariant: an index entry belongs to exactly one tenant, and goes away with the configuration that held it. SIP user names are unique
in the installation; where two tenants claim the same one, the first keeps it. A change costs what it changes, not what the tenant holds.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from carillon_contracts.config import Contact, Extension, Number, Resource, SipCredential, Tenant, Trunk
from carillon_contracts.emergency_numbers import countries_in
from carillon_contracts.inherited import departments_from
from carillon_contracts.tenant_config import TenantConfig
from carillon_media.domain.numbers import e164
from carillon_media.domain.trunk_lines import TrunkAddress, servers_of
from carillon_sip.digest import Algorithm
from carillon_sip.locate import Destination

NO_TENANT_REALM = "carillon"
R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Credential:
    """What a device proves itself with."""

    sip_user: str
    tenant: str
    user_id: str
    realm: str
    ha1: Mapping[Algorithm, str]


@dataclass(slots=True)
class _Tenant:
    """A tenant's share of the indexes; `extensions` and `devices` by user, `contacts` by number, in order."""

    config: TenantConfig
    realm: str
    credentials: dict[str, Credential] = field(default_factory=dict)
    trunks: Mapping[str, tuple[TrunkAddress, ...]] = field(default_factory=dict)
    extensions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    devices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    contacts: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Accounts:
    """All tenants' accounts as of their latest configuration."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}
        self._credentials: dict[str, Credential] = {}
        self._realms: dict[str, str] = {}
        self._numbers: dict[str, str] = {}
        self._hosts: dict[str, tuple[TrunkAddress, ...]] = {}
        self._decoys: tuple[str, ...] = ()
        self._tenants_in: Counter[str] = Counter()
        #: ISO 3166, of every tenant and site.
        self.countries: frozenset[str] = frozenset()

    def update(self, config: TenantConfig) -> None:
        """Take a tenant's new configuration in place of its last one."""
        tenant, realm = config.tenant_id, _realm(config)
        known = self._tenants.get(tenant)
        if known is not None and known.realm != realm:
            self._change(known, TenantConfig(tenant))
            del self._tenants[tenant]
            self._realm_changed(known.realm)
            known = None
        if known is None and realm is not None:
            known = self._tenants[tenant] = _Tenant(TenantConfig(tenant), realm)
            self._realm_changed(realm)
        if known is not None:
            self._change(known, config)

    def _realm_changed(self, realm: str) -> None:
        """A tenant has it from now on, or has it no more; the first that has it keeps it."""
        owners = [tenant for tenant, known in self._tenants.items() if known.realm == realm]
        if not owners:
            self._realms.pop(realm, None)
        elif self._realms.get(realm) not in owners:
            self._realms[realm] = owners[0]
        self._decoys = tuple(sorted(self._realms))

    def _change(self, known: _Tenant, config: TenantConfig) -> None:
        """Take what differs."""
        before, known.config = known.config, config
        self._change_credentials(known, before)
        _move(known.extensions, *config.differences(Extension, before), lambda each: {each.destination.user_id})
        _move(known.contacts, *config.differences(Contact, before), lambda each: {each.phone, each.mobile} - {""})
        numbers, freed = config.differences(Number, before)
        for number in freed:
            if self._numbers.get(number) == config.tenant_id:
                del self._numbers[number]
        for number in numbers:
            self._numbers.setdefault(number, config.tenant_id)
        if any(config.differences(Trunk, before)):
            self._change_trunks(known)
        self._change_countries(countries_in(before), countries_in(config))

    def _change_countries(self, before: frozenset[str], after: frozenset[str]) -> None:
        if before == after:
            return
        self._tenants_in.update(after - before)
        self._tenants_in.subtract(before - after)
        self.countries = frozenset(+self._tenants_in)

    def _change_credentials(self, known: _Tenant, before: TenantConfig) -> None:
        put, gone = known.config.differences(SipCredential, before)
        for item in gone.values():
            old = known.credentials.pop(item.id)
            if self._credentials.get(item.id) is old:
                del self._credentials[item.id]
                heir = next((other.credentials[item.id] for other in self._tenants.values() if item.id in other.credentials), None)
                if heir is not None:
                    self._credentials[item.id] = heir
        for item in put.values():
            credential = known.credentials[item.id] = _credential(known, item)
            self._credentials.setdefault(item.id, credential)
        _move(known.devices, put, gone, lambda each: {each.user_id})

    def _change_trunks(self, known: _Tenant) -> None:
        for server in _servers(known):
            rest = tuple(other for other in self._hosts.get(server.host, ()) if other is not server)
            if rest:
                self._hosts[server.host] = rest
            else:
                self._hosts.pop(server.host, None)
        known.trunks = {trunk.id: servers_of(known.config.tenant_id, trunk) for trunk in known.config.trunks.values()}
        for server in _servers(known):
            self._hosts[server.host] = (*self._hosts.get(server.host, ()), server)

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
        return found.extensions.get(user_id, ("",))[0] if found else ""

    def name_of(self, tenant: str, user_id: str) -> str:
        """The name that colleagues see; empty if unknown."""
        found = self._tenants.get(tenant)
        user = found.config.users.get(user_id) if found else None
        return user.shown_name if user else ""

    def contact_name(self, tenant: str, user_id: str, number: str) -> str:
        """What a user's contacts call who has this number outside: their own contact first, then the nearest department's, then the
        company's; empty: nobody knows them, or the number is withheld or the tenant's own."""
        found = self._tenants.get(tenant)
        full = e164(number, found.config.tenant.country) if found and found.contacts else ""
        if found is None or full in found.config.numbers:
            return ""
        user = found.config.users.get(user_id)
        departments = [each.id for each in departments_from(found.config, user.department_id)] if user else []
        contacts = (found.config.all(Contact)[name] for name in found.contacts.get(full, ()))
        theirs = [each for each in contacts if each.owner_user_id in ("", user_id)]
        return min(theirs, key=partial(_distance, departments)).full_name if theirs else ""

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


def _distance(departments: Sequence[str], contact: Contact) -> int:
    """How far a contact is from who has these departments, the nearest first: 0 is their own."""
    if contact.owner_user_id:
        return 0
    if contact.department_id in departments:
        return 1 + departments.index(contact.department_id)
    return 1 + len(departments) + bool(contact.department_id)


def _realm(config: TenantConfig) -> str | None:
    tenant = config.get(Tenant, config.tenant_id)
    return tenant.realm if tenant is not None else None


def _credential(known: _Tenant, item: SipCredential) -> Credential:
    ha1: dict[Algorithm, str] = {}
    if item.ha1_sha256:
        ha1["SHA-256"] = item.ha1_sha256
    if item.ha1_md5:
        ha1["MD5"] = item.ha1_md5
    return Credential(item.id, known.config.tenant_id, item.user_id, item.realm or known.realm, ha1)


def _move(
    index: dict[str, tuple[str, ...]], put: Mapping[str, R], gone: Mapping[str, R], keys: Callable[[R], Iterable[str | None]]
) -> None:
    """Ids by user or number, as `TenantConfig.differences` has them; each list is put in order once."""
    changed: dict[str, set[str]] = {}
    for resources, change in ((gone, set.discard), (put, set.add)):
        for name, resource in resources.items():
            for key in keys(resource):
                if key is not None and key not in changed:
                    changed[key] = set(index.get(key, ()))
                if key is not None:
                    change(changed[key], name)
    for key, names in changed.items():
        if names:
            index[key] = tuple(sorted(names))
        else:
            index.pop(key, None)


def _servers(tenant: _Tenant) -> Iterator[TrunkAddress]:
    for servers in tenant.trunks.values():
        yield from servers
