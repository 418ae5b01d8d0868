"""What a decision says: the changes, or a refusal that names what is wrong and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from carillon_contracts.config import ConfigChanged

if TYPE_CHECKING:
    from carillon_contracts.tenant_config import TenantConfig
    from carillon_directory.domain.index import Index


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is wrong: its dotted path (`ring_group.members[2].user_id`) and the reason."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A resource that refers to another, by which field."""

    kind: str
    resource_id: str
    field: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The changes in order, none when nothing differs; `passwords` are those made for credentials, by credential id.

    `remarks`: (subject, text) of what was left undone because it would have overwritten something.
    """

    changes: tuple[ConfigChanged, ...] = ()
    passwords: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    remarks: tuple[tuple[str, str], ...] = ()
    #: The configuration after the changes and its index; nobody works them out a second time.
    after: "TenantConfig | None" = field(default=None, repr=False, compare=False)
    index: "Index | None" = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Invalid:
    """The input is wrong in these fields; `excesses`: what would be more than was bought besides, as in `Exceeded`."""

    violations: tuple[Violation, ...]
    excesses: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such resource."""

    kind: str
    resource_id: str


@dataclass(frozen=True, slots=True)
class Exists:
    """There is such a resource already."""

    kind: str
    resource_id: str


@dataclass(frozen=True, slots=True)
class Stale:
    """The etag given is not the current one."""

    kind: str
    resource_id: str
    current: str


@dataclass(frozen=True, slots=True)
class Held:
    """Others depend on what would go."""

    kind: str
    resource_id: str
    holders: tuple[Holder, ...]


@dataclass(frozen=True, slots=True)
class Exceeded:
    """More than was bought: (what, reason)."""

    excesses: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """What was to be undone or brought back does not fit what is there now: (kind/id, reason)."""

    conflicts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Forbidden:
    """The one who asks may not."""

    reason: str


Refused = Invalid | Missing | Exists | Stale | Held | Exceeded | Conflict | Forbidden
Decision = Accepted | Refused


def under(prefix: str, violation: Violation) -> Violation:
    """The violation with its field below `prefix`."""
    return Violation(f"{prefix}.{violation.field}" if violation.field else prefix, violation.reason)
