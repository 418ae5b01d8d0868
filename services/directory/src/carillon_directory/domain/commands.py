"""What can be asked of a tenant's configuration.

A command carries documents: resources as people write them, JSON values by field name of `carillon_contracts.config`, not checked yet.
A SIP credential's document may hold `password`, which is turned into hashes by the decision and goes no further; a trunk credential's
holds `sealed_password` in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from pydantic import JsonValue

Document = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Bounds:
    """`department`: an admin of it alone; `user`: that person alone; neither: the whole tenant. A department of None is nothing."""

    department: str | None = ""
    user: str = ""
    rights_profile: str = ""
    #: Not above the tenant: what was sold to it is not theirs to change.
    inside: bool = False
    #: A reseller that entered the tenant: the ways to its people's logins are not theirs to change.
    visiting: bool = False

    @property
    def whole(self) -> bool:
        """Whether nothing is kept from them."""
        return self.department == "" and not self.user and not self.rights_profile


EVERYTHING = Bounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asked, and why; both are kept in the history."""

    actor: str
    reason: str = ""
    #: How far whoever asks reaches.
    bounds: Bounds = EVERYTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateResource(Asked):
    """Make a new resource. `spare_password` is used for a credential that brings none, `usual_hours` for a schedule that says none."""

    kind: str
    document: Document = field(repr=False)
    spare_password: str = field(default="", repr=False)
    usual_hours: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateResource(Asked):
    """Change the fields named by `paths` (dotted) to what the document holds, or to their default where it holds nothing."""

    kind: str
    resource_id: str
    document: Document = field(repr=False)
    paths: tuple[str, ...]
    #: Empty: whatever the current one is.
    etag: str = ""
    spare_password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResource(Asked):
    """Remove a resource that nothing refers to."""

    kind: str
    resource_id: str
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyCompany(Asked):
    """Make the tenant hold these resources, by kind; all or nothing. `prune` deletes what is not named."""

    documents: Mapping[str, Sequence[Document]] = field(repr=False)
    prune: bool = False
    #: Those of numbers that lead elsewhere follow, and new contacts get theirs; otherwise they are what the documents say.
    short_numbers: bool = False
    #: By credential id, for new ones that bring no password.
    spare_passwords: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(Asked):
    """All of these at once, or none; they may refer to one another in any order."""

    items: tuple[CreateResource | UpdateResource | DeleteResource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignNumber(Asked):
    """Send the number's calls there, and make its short numbers; no destination frees it, and its short numbers with it."""

    number_id: str
    destination: Document | None
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignExtensions(Asked):
    """Give each user (or the users of the devices' lines) the next free extension, from `first` on or (empty) of the tenant's ranges."""

    user_ids: tuple[str, ...] = ()
    first: str = ""
    device_ids: tuple[str, ...] = ()
    #: From `first` on without a gap; digits that are taken refuse all.
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignShortCodes(Asked):
    """Give each number (E.164, with a label) the next code, from `first` on; all or none."""

    first: str
    entries: tuple[tuple[str, str], ...]
    #: Empty: the whole tenant's.
    department_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveShortCodes(Asked):
    """Codes from `first` to `last` of a department (empty: the whole tenant's) become another's."""

    first: str
    last: str
    from_department_id: str
    department_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetLine(Asked):
    """Hand a line to somebody else: what was personal goes, its credentials get new passwords."""

    user_id: str
    spare_passwords: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    #: Out of ring groups, hunt groups and the like as well.
    leave_groups: bool = False
    #: Field of what is kept of a PIN -> what is kept of a new one; taken where the user had one.
    spare_pins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HotDesk(Asked):
    """Let a user have the phone of a credential until they log out (`user_id` empty)."""

    sip_credential_id: str
    user_id: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportHolidays(Asked):
    """Put these (documents of `Holiday`) into a schedule, in place of those of the same country, region and year."""

    schedule_id: str
    country: str
    region: str
    year: int
    holidays: tuple[Document, ...]
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveDevice(Asked):
    """Bring a device to a site; without one into stock, where it has no lines."""

    device_id: str
    site_id: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignDevice(Asked):
    """Give a port to a user or to a credential's line; to neither: it is free, and all ports are if `port` is 0."""

    device_id: str
    port: int
    user_id: str = ""
    sip_credential_id: str = ""
    label: str = ""
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack(Asked):
    """Make resources what they were: (kind, id) -> the resource then as a document, or None if there was none.

    `expected` (kind, id) -> the etag that each must have now (empty: must not be there); what is not named may be whatever it is.
    """

    then: Mapping[tuple[str, str], Document | None] = field(repr=False)
    expected: Mapping[tuple[str, str], str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasePerson(Asked):
    """Take a user out of the tenant and of all that is known of its past; what stays of them is the pseudonym."""

    user_id: str
    pseudonym: str
    erasure_id: str
    #: Of calls that they had part in.
    recordings: Literal["delete", "keep"] = "delete"


Command = (
    CreateResource
    | UpdateResource
    | DeleteResource
    | ApplyCompany
    | Batch
    | AssignNumber
    | AssignExtensions
    | AssignShortCodes
    | MoveShortCodes
    | ResetLine
    | HotDesk
    | ImportHolidays
    | MoveDevice
    | AssignDevice
    | PutBack
)
