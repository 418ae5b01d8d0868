"""What a phone is to be, in no maker's words: gathered from the tenant's configuration.

Always: what stands here is one line each, without control characters, so that no name can become a setting of its own.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from carillon_contracts.config import Contact, Device, DeviceLine, ProvisioningProfile, Site, User
from carillon_contracts.config.features import codes_of
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.organisation import site_of

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
#: Entries of a phone book; phones take no more.
MOST_ENTRIES = 2000


@dataclass(frozen=True, slots=True)
class Server:
    """Where phones find SIP and their files; `transport` is what they register over."""

    host: str
    port: int
    transport: Literal["udp", "tcp", "tls"]
    #: `https://provisioning.example.com/p/<secret>`, without a slash at the end.
    files_url: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the phone."""

    port: int
    sip_user: str
    password: str = field(repr=False)
    realm: str
    #: As the phone's own display shows it, and what others see.
    label: str
    display_name: str
    #: Of the handset that has it; empty: any.
    ipei: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A function key: watches an extension, or dials."""

    key: int
    kind: Literal["busy_lamp", "speed_dial"]
    number: str
    label: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the phone book."""

    name: str
    number: str


@dataclass(frozen=True, slots=True)
class Phone:
    """Everything that a maker's file says."""

    server: Server
    lines: tuple[Line, ...]
    keys: tuple[Key, ...]
    settings: ProvisioningProfile
    language: str
    time_zone: str
    #: What is dialled for these; empty: the tenant switched it off.
    voicemail: str
    pick_up: str


def gathered(config: TenantConfig, device: Device, passwords: dict[str, str], server: Server) -> Phone:
    """The phone that `device` is; lines whose credential has no password here are left out."""
    lines = tuple(
        _line(config, each, passwords[each.sip_credential_id])
        for each in sorted(device.lines, key=lambda line: line.port)
        if each.sip_credential_id in passwords and each.sip_credential_id in config.sip_credentials
    )
    owner = owner_of(config, device)
    profile_id = device.provisioning_profile_id or (owner.provisioning_profile_id if owner is not None else "")
    settings = config.get(ProvisioningProfile, profile_id) or ProvisioningProfile(id="default")
    site = config.get(Site, site_of(config, device))
    codes = codes_of(config.tenant.feature_codes)
    return Phone(
        server,
        lines,
        _keys(config, owner),
        settings,
        settings.language or (owner.language if owner is not None else "") or config.tenant.language,
        (site.time_zone if site is not None else "") or config.tenant.time_zone,
        codes.get("voicemail", ""),
        codes.get("pick_up", ""),
    )


def owner_of(config: TenantConfig, device: Device) -> User | None:
    """Whose the first line is."""
    first = min(device.lines, key=lambda line: line.port, default=None)
    credential = config.sip_credentials.get(first.sip_credential_id) if first is not None else None
    return config.users.get(credential.user_id) if credential is not None else None


def phone_book(config: TenantConfig, device: Device) -> tuple[Entry, ...]:
    """Colleagues with an extension, the company's contacts, and those of the phone's owner; by name."""
    owner = owner_of(config, device)
    entries = []
    for user in config.users.values():
        if extension := config.extension_of(user.id):
            entries.append(Entry(clean(user.shown_name), extension))
    for contact in config.all(Contact).values():
        if not contact.owner_user_id or (owner is not None and contact.owner_user_id == owner.id):
            numbers = dict.fromkeys(number for number in (contact.phone, contact.mobile) if number)
            entries += [Entry(clean(contact.full_name), number) for number in numbers]
    return tuple(sorted(entries, key=lambda entry: (entry.name.casefold(), entry.number)))[:MOST_ENTRIES]


def clean(text: str) -> str:
    """One line without control characters."""
    return _CONTROL.sub(" ", text).strip()


def _line(config: TenantConfig, line: DeviceLine, password: str) -> Line:
    credential = config.sip_credentials[line.sip_credential_id]
    user = config.users.get(credential.user_id)
    name = clean(user.shown_name) if user is not None else credential.id
    shown = clean(line.label) or (config.extension_of(user.id) if user is not None else "") or credential.id
    return Line(line.port, credential.id, password, config.tenant.realm, shown, name, line.ipei)


def _keys(config: TenantConfig, owner: User | None) -> tuple[Key, ...]:
    found = []
    for each in owner.function_keys if owner is not None else ():
        colleague = config.users.get(each.user_id)
        if colleague is None:
            if each.number:
                found.append(Key(each.key, "speed_dial", each.number, clean(each.label) or each.number))
        elif extension := config.extension_of(colleague.id):
            found.append(Key(each.key, "busy_lamp", extension, clean(each.label or colleague.shown_name)))
    return tuple(found)
