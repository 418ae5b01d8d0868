"""A user's line as it is configured: digits, SIP user names with the devices that have them, who sees its lamp, who supervises it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from carillon_contracts.config import Device, Extension, Number, Resource, SipCredential, Supervision, User
from carillon_contracts.config.devices import DeviceLine
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.index import Index

R = TypeVar("R", bound=Resource)


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


def line_of(config: TenantConfig, index: Index, user: User) -> Line:
    """The line of a user of the configuration, with its index."""

    def referring(kind: type[R], to: Resource) -> Iterator[R]:
        """Resources of a kind, in the order of their ids."""
        found = (config.get(kind, name) for of, name in index.referring(to.KIND, to.id) if of == kind.KIND)
        return (each for each in found if each is not None)

    def phone(credential: SipCredential) -> Phone:
        lines = ((device, line) for device in referring(Device, credential) for line in device.lines)
        return Phone(credential, *next((each for each in lines if each[1].sip_credential_id == credential.id), (None, None)))

    supervisions = (each for each in referring(Supervision, user) if user.id in each.user_ids)
    return Line(
        user,
        [each.id for each in referring(Extension, user) if each.destination.user_id == user.id],
        [each.id for each in referring(Number, user) if each.destination is not None and each.destination.user_id == user.id],
        [phone(each) for each in referring(SipCredential, user) if each.user_id == user.id],
        [each.id for each in referring(User, user) if any(key.user_id == user.id for key in each.function_keys)],
        sorted({name for each in supervisions for name in each.supervisor_user_ids}),
    )
