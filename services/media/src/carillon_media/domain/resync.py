"""Which phones are set otherwise after a change of the configuration, so that they are told to fetch their settings again."""

from collections.abc import Callable, Iterable
from typing import Any

from carillon_contracts.config import ConfigChanged, Device, ProvisioningProfile, User
from carillon_contracts.tenant_config import TenantConfig

#: Fields of a user that stand in the settings of their phones.
USER_FIELDS = frozenset({"first_name", "last_name", "display_name", "language", "function_keys", "provisioning_profile_id"})


def touched(config: TenantConfig, change: ConfigChanged) -> frozenset[str]:
    """SIP users of lines whose device's settings the change concerns; `config` is the one after it."""
    match change.resource:
        case Device.KIND:
            return frozenset(_lines_of([change.before or {}, change.after or {}]))
        case User.KIND:
            before, after = change.before or {}, change.after or {}
            if not any(before.get(field) != after.get(field) for field in USER_FIELDS):
                return frozenset()
            return _of_devices(config, lambda device: change.resource_id in _owners(config, device))
        case ProvisioningProfile.KIND:
            return _of_devices(config, lambda device: change.resource_id in _profiles(config, device))
        case _:
            return frozenset()


def _of_devices(config: TenantConfig, concerned: Callable[[Device], bool]) -> frozenset[str]:
    return frozenset(
        line.sip_credential_id for device in config.all(Device).values() if device.lines and concerned(device) for line in device.lines
    )


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
