"""Which phones are set otherwise after a change of the configuration, so that they are told to fetch their settings again."""

from collections.abc import Iterable
from typing import Any

from carillon_contracts.config import ConfigChanged, Device, ProvisioningProfile, SipCredential, User
from carillon_contracts.tenant_config import TenantConfig

#: Fields of a user that stand in the settings of their phones.
USER_FIELDS = frozenset(
    {"first_name", "last_name", "display_name", "language", "function_keys", "provisioning_profile_id", "site_id", "department_id"}
)


def touched(config: TenantConfig, changes: Iterable[ConfigChanged]) -> frozenset[str]:
    """SIP users of lines whose device's settings the changes concern; `config` is the one after them. Devices are looked at once."""
    found: set[str] = set()
    users: set[str] = set()
    profiles: set[str] = set()
    for change in changes:
        before, after = change.before or {}, change.after or {}
        if change.resource == Device.KIND:
            found.update(_lines_of([before, after]))
        elif change.resource == ProvisioningProfile.KIND:
            profiles.add(change.resource_id)
        elif change.resource == SipCredential.KIND and change.before and before.get("user_id") != after.get("user_id"):
            found.add(change.resource_id)
        elif change.resource == User.KIND and any(before.get(field) != after.get(field) for field in USER_FIELDS):
            users.add(change.resource_id)
    for device in config.all(Device).values() if users or profiles else ():
        if not users.isdisjoint(_owners(config, device)) or not profiles.isdisjoint(_profiles(config, device)):
            found.update(line.sip_credential_id for line in device.lines)
    return frozenset(found)


def _owners(config: TenantConfig, device: Device) -> set[str]:
    credentials = (config.sip_credentials.get(line.sip_credential_id) for line in device.lines)
    return {credential.user_id for credential in credentials if credential is not None}


def _profiles(config: TenantConfig, device: Device) -> set[str]:
    users = (config.users.get(owner) for owner in _owners(config, device))
    return {device.provisioning_profile_id, *(user.provisioning_profile_id for user in users if user is not None)} - {""}


def _lines_of(documents: Iterable[dict[str, Any]]) -> Iterable[str]:
    for document in documents:
        for line in document.get("lines", ()):
            yield str(line.get("sip_credential_id", ""))
