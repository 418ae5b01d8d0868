"""A user's line as it is configured: digits, SIP user names with the devices that have them, who sees its lamp, who supervises it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from carillon_contracts.config import Device, Extension, Number, Resource, SipCredential, Supervision, User
from carillon_contracts.config.devices import DeviceLine
from carillon_contracts.tenant_config import TenantConfig

R = TypeVar("R", bound=Resource)
_Index = Mapping[str, Sequence[R]]


@dataclass(frozen=True, slots=True)
class Phone:
    """A SIP user name that is the user's now, and where it is set up."""

    credential: SipCredential
    device: Device | None
    on: DeviceLine | None


@dataclass(frozen=True, slots=True)
class Line:
    """Everything by id."""

    user: User
    extensions: Sequence[str]
    numbers: Sequence[str]
    phones: Sequence[Phone]
    lamps: Sequence[str]
    supervisors: Sequence[str]


def line_of(config: TenantConfig, user: User) -> Line:
    """The line of a user of the configuration."""
    devices = _by(config, Device, lambda each: [line.sip_credential_id for line in each.lines])
    supervisions = _by(config, Supervision, lambda each: each.user_ids).get(user.id, ())
    return Line(
        user,
        _ids(_by(config, Extension, lambda each: [each.destination.user_id]).get(user.id, ())),
        _ids(_by(config, Number, lambda each: [each.destination.user_id if each.destination else None]).get(user.id, ())),
        [
            _phone(credential, next(iter(devices.get(credential.id, ())), None))
            for credential in _by(config, SipCredential, lambda each: [each.user_id]).get(user.id, ())
        ],
        _ids(_by(config, User, lambda each: [key.user_id for key in each.function_keys]).get(user.id, ())),
        sorted({name for each in supervisions for name in each.supervisor_user_ids}),
    )


def _phone(credential: SipCredential, device: Device | None) -> Phone:
    lines = device.lines if device is not None else ()
    return Phone(credential, device, next((line for line in lines if line.sip_credential_id == credential.id), None))


def _ids(resources: Iterable[Resource]) -> list[str]:
    return [each.id for each in resources]


def _by(config: TenantConfig, kind: type[R], keys: Callable[[R], Iterable[str | None]]) -> _Index[R]:
    """Resources of a kind by what `keys` says of each, in the order of their ids; made once as long as none of the kind changes."""

    def made(every: Mapping[str, R]) -> _Index[R]:
        found: dict[str, list[R]] = {}
        for _, each in sorted(every.items()):
            for key in set(filter(None, keys(each))):
                found.setdefault(key, []).append(each)
        return found

    return config.derived(f"lines: {kind.KIND}", kind, made)
