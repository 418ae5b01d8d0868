"""Resources of a kind in an order that somebody asked for, kept so that the next page, and the list after a change, need no sorting.

An order is a function of the resources alone: what is kept only saves work. Numbers come before texts, texts without regard to letters'
case, and the id decides where all else is equal.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pydantic import BaseModel

from carillon_contracts.config import Resource
from carillon_contracts.sorted_map import SortedMap

#: (dotted path as parts, descending) of each field that counts, the first before the second.
Order = tuple[tuple[tuple[str, ...], bool], ...]
Resources = SortedMap[str, Resource]
#: More differences than that are sorted anew.
_MANY = 200
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


def _alike(values: list[Any]) -> list[Any]:
    """What sorts as `sortable` of each does; of one type they are compared several times as fast."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return [value.casefold() for value in values]
    return values if kinds == {int} else [sortable(value) for value in values]


class Orders:
    """The orders that were asked for last, each of the newest resources that it was asked of; at most `capacity` resources in all.

    Several threads may ask if there is a `lock`, which is held for moments.
    """

    def __init__(self, capacity: int = 400_000, lock: AbstractContextManager[Any] | None = None) -> None:
        self._capacity = capacity
        self._known: OrderedDict[tuple[str, str, Order], tuple[int, Ordered]] = OrderedDict()
        self._lock = nullcontext() if lock is None else lock

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
