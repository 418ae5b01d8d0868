"""Resources of a kind in an order that somebody asked for, kept so that the next page, and the list after a change, need no sorting.

An order is a function of the resources alone: what is kept only saves work. Numbers come before texts, texts without regard to letters'
case, and the id decides where all else is equal.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from heapq import nlargest, nsmallest
from typing import Any

from pydantic import BaseModel

from carillon_contracts.config import Resource
from carillon_contracts.sorted_map import SortedMap
from carillon_contracts.tenant_config import TenantConfig

#: (dotted path as parts, descending) of each field that counts, the first before the second.
Order = tuple[tuple[tuple[str, ...], bool], ...]
Resources = SortedMap[str, Resource]
#: More differences than that are sorted anew.
_MANY = 200
#: Resources of a kind that take longer to sort than a page may take.
MANY = 5000
_USUAL: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "user": (("last_name",), ("last_name", "first_name"), ("first_name",), ("display_name",), ("login",), ("email",)),
    "contact": (("last_name",), ("last_name", "first_name"), ("company",)),
    "number": (("label",),),
    "device": (("label",), ("mac",)),
}
#: Which decides in the end, letter by letter.
_ID = ("id",)
#: Orders kept, however small.
_MOST = 1000


class Falling:
    """A value that comes before those that are less."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "Falling") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Falling) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]


class Ordered:
    """Resources in an order; never changes."""

    __slots__ = ("_key", "of", "order", "resources")

    def __init__(self, of: Resources, order: Order, resources: list[Resource]) -> None:
        self.of, self.order, self.resources = of, order, resources
        self._key = key_of(order)

    @classmethod
    def sort(cls, of: Resources, order: Order) -> "Ordered":
        """From nothing."""
        resources = list(of.values())
        places = list(range(len(resources)))
        for path, descending in reversed(order):
            places.sort(key=_alike(list(values_at(resources, path))).__getitem__, reverse=descending)
        return cls(of, order, [resources[place] for place in places])

    def moved(self, of: Resources) -> "Ordered":
        """The same order of other resources; quick where they come of these."""
        put, gone = of.differences(self.of)
        if len(put) + len(gone) > _MANY:
            return self.sort(of, self.order)
        resources = self.resources.copy()
        for resource in gone.values():
            del resources[bisect_left(resources, self._key(resource), key=self._key)]
        for resource in put.values():
            resources.insert(bisect_left(resources, self._key(resource), key=self._key), resource)
        return Ordered(of, self.order, resources)


def smallest(resources: Sequence[Resource], order: Order, count: int) -> list[Resource]:
    """The first `count` in an order, without sorting the rest: a look at each, and for each field one more at those that tie."""
    sure: list[Resource] = []
    tied = resources
    for path, descending in (*order, (_ID, False)):
        left = count - len(sure)
        if len(tied) <= left:
            break
        values = [each.id for each in tied] if path is _ID else _alike(list(values_at(tied, path)))
        edge = (nlargest if descending else nsmallest)(left, values)[-1]
        near = [(each, value) for each, value in zip(tied, values, strict=True) if (value >= edge if descending else value <= edge)]
        sure += [each for each, value in near if value != edge]
        tied = [each for each, value in near if value == edge]
    return sorted([*sure, *tied], key=key_of(order))[:count]


def _alike(values: list[Any]) -> list[Any]:
    """What sorts as `sortable` of each does; of one type they are compared several times as fast."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return list(map(str.casefold, values))
    return values if kinds == {int} else [sortable(value) for value in values]


class Orders:
    """The orders that were asked for last, each of the newest resources that it was asked of; at most `capacity` resources in all.

    Several threads may ask if there is a `lock`, which is held for moments.
    """

    def __init__(self, capacity: int = 400_000, lock: AbstractContextManager[Any] | None = None) -> None:
        self._capacity = capacity
        self._known: OrderedDict[tuple[str, str, Order], tuple[int, Ordered]] = OrderedDict()
        self._lock = nullcontext() if lock is None else lock
        self._missed: tuple[str, str, int, Resources, Order] | None = None

    def knows(self, tenant_id: str, kind: str, seq: int, resources: Resources, order: Order) -> bool:
        """Whether the order is at hand; one that is not is remembered for `make_missed`."""
        if (tenant_id, kind, order) in self._known:
            return True
        self._missed = (tenant_id, kind, seq, resources, order)
        return False

    def make_missed(self) -> None:
        """Make the order that was missed last, for who asks next; to be called beside the loop."""
        missed, self._missed = self._missed, None
        if missed is not None:
            self.of(*missed)

    def make_usual(self, config: TenantConfig) -> None:
        """Make what people ask for most, of kinds that are too many to be sorted while somebody waits; to be called beside the loop."""
        for kind, usual in _USUAL.items():
            resources = SortedMap.of(config.resources.get(kind, {}))
            if len(resources) > MANY:
                for fields in usual:
                    self.of(config.tenant_id, kind, config.seq, resources, tuple(((field,), False) for field in fields))

    @property
    def missed(self) -> bool:
        """Whether there is one to make."""
        return self._missed is not None

    def of(self, tenant_id: str, kind: str, seq: int, resources: Mapping[str, Resource], order: Order) -> Sequence[Resource]:
        """The tenant's resources of a kind in their version `seq`, in the order."""
        key, now = (tenant_id, kind, order), SortedMap.of(resources)
        version, known = self._known.get(key, (-1, None))
        if known is None or known.of is not now:
            known = Ordered.sort(now, order) if known is None else known.moved(now)
        with self._lock:
            if seq >= version:
                self._known[key] = (seq, known)
                self._known.move_to_end(key)
            while sum(len(each.resources) for _, each in self._known.values()) > self._capacity or len(self._known) > _MOST:
                self._known.popitem(last=False)
        return known.resources


def key_of(order: Order) -> Callable[[Resource], Any]:
    """By which resources in the order are sorted."""

    def key(resource: Resource) -> Any:
        values = (sortable(value_at(resource, path)) for path, _ in order)
        return (*(Falling(value) if descending else value for value, (_, descending) in zip(values, order, strict=True)), resource.id)

    return key


def values_at(resources: Iterable[Resource], path: Sequence[str]) -> Iterator[Any]:
    """`value_at` of each."""
    name, *inner = path
    values: Iterable[Any] = [resource.__dict__[name] for resource in resources]
    for each in inner:
        values = [getattr(value, each, None) if isinstance(value, BaseModel) else None for value in values]
    return iter(values)


def value_at(resource: Resource, path: Sequence[str]) -> Any:
    """What a dotted path leads to; None where it leads nowhere."""
    value: Any = resource
    for part in path:
        value = getattr(value, part, None) if isinstance(value, BaseModel) else None
    return value


def sortable(value: Any) -> tuple[int, Any]:
    """Numbers before texts; texts without regard to letters' case."""
    return (0, int(value)) if isinstance(value, int) else (1, "" if value is None else str(value).casefold())
