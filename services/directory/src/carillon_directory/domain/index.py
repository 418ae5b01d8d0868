"""What a tenant's resources refer to and which values they take, kept so that a change costs what it changes and not what there is.

An index is a function of the configuration alone: `Index.of(config)`; `changed` makes the next one from the resources that differ.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from carillon_contracts.config import Contact, Extension, Resource, ShortCode, User
from carillon_contracts.sorted_map import SortedMap
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.references import everything, references

#: (before, after); one of them may be None.
Pair = tuple[Resource | None, Resource | None]
#: (kind, id) referred to, (kind, id) that refers.
Edge = tuple[str, str, str, str]
#: Namespace, value, (kind, id) that takes it.
Taken = tuple[str, str, str, str]


def values_of(resource: Resource) -> Iterator[tuple[str, str, str]]:
    """(field, namespace, value) of what may stand once in the tenant."""
    match resource:
        case User():
            if resource.login:
                yield "login", "login", resource.login
        case Extension():
            yield "id", "digits", resource.id
        case Contact():
            if resource.short_number:
                yield "short_number", f"digits of {resource.owner_user_id}" if resource.owner_user_id else "digits", resource.short_number
        case ShortCode():
            yield "code", f"digits in {resource.department_id}" if resource.department_id else "digits", resource.code
        case _:
            pass


@dataclass(frozen=True, slots=True)
class Index:
    """See the module."""

    edges: SortedMap[Edge, None] = field(default_factory=SortedMap)
    taken: SortedMap[Taken, str] = field(default_factory=SortedMap)

    @classmethod
    def of(cls, config: TenantConfig) -> "Index":
        """From nothing."""
        return cls().changed((None, each) for each in everything(config))

    def changed(self, pairs: Iterable[Pair]) -> "Index":
        """With these resources in place of those."""
        gone: set[Edge] = set()
        come: set[Edge] = set()
        free: set[Taken] = set()
        took: dict[Taken, str] = {}
        for before, after in pairs:
            for resource, edges in ((before, gone), (after, come)):
                if resource is not None:
                    edges.update((each.kind, each.resource_id, resource.KIND, resource.id) for each in references(resource))
            if before is not None:
                free.update((space, value, before.KIND, before.id) for _, space, value in values_of(before))
            if after is not None:
                took |= {(space, value, after.KIND, after.id): field for field, space, value in values_of(after)}
        return Index(
            self.edges.update(dict.fromkeys(come - {edge for edge in come if edge in self.edges}), gone - come),
            self.taken.update(took, free - took.keys()),
        )

    def referring(self, kind: str, resource_id: str) -> Iterator[tuple[str, str]]:
        """(kind, id) of every resource that refers to this one."""
        for edge, _ in self.edges.items_from((kind, resource_id, "", "")):
            if edge[:2] != (kind, resource_id):
                return
            yield edge[2], edge[3]

    def takers(self, space: str, value: str) -> Iterator[tuple[str, str]]:
        """(kind, id) of every resource that takes the value."""
        for taken, _ in self.taken.items_from((space, value, "", "")):
            if taken[:2] != (space, value):
                return
            yield taken[2], taken[3]
