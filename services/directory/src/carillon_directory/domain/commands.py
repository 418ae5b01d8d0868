"""What can be asked of a tenant's configuration.

A command carries documents: resources as people write them, JSON values by field name of `carillon_contracts.config`, not checked yet.
A SIP credential's document may hold `password`, which is turned into hashes by the decision and goes no further; a trunk credential's
holds `sealed_password` in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import JsonValue

Document = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asked, and why; both are kept in the history."""

    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateResource(Asked):
    """Make a new resource. `spare_password` is used for a credential that brings none."""

    kind: str
    document: Document = field(repr=False)
    spare_password: str = field(default="", repr=False)


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
    may_change_tenant: bool = False
    #: By credential id, for new ones that bring no password.
    spare_passwords: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)


Command = CreateResource | UpdateResource | DeleteResource | ApplyCompany
