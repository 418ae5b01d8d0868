"""Fields of all resources of a kind as columns, so that a filter looks through tens of thousands of values and not of resources.

A column is a function of the resources alone, made when somebody first filters by its field; what is kept only saves work. It lies in
chunks, as the map does that the resources are in: those that the next version shares are not made again.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import compress, repeat
from operator import contains, eq, ge, gt, le, lt, ne
from typing import Any

from carillon_contracts.config import Resource
from carillon_contracts.sorted_map import SortedMap
from carillon_directory.domain.orders import values_at

Path = tuple[str, ...]
Chunk = tuple[tuple[str, ...], tuple[Resource, ...]]
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
CONTAINS = ":"
#: Between the items of a list; no text holds it.
_BETWEEN = "\0"
#: Columns kept, however small.
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Condition:
    """`field operator text`, as of `lists`: a comparison, or "contains" without regard to letters' case (of a list: an item does)."""

    path: Path
    operator: str
    text: str

    @property
    def column(self) -> tuple[Path, bool]:
        """The column that it looks through: the field's, with texts in lower case or as they are."""
        return self.path, self.operator == CONTAINS

    def holds(self, value: Any) -> bool:
        """Of one value, as resources have it."""
        if self.operator == CONTAINS:
            items = value if isinstance(value, tuple) else (value,)
            return any(self.text.lower() in str(item).lower() for item in items if item is not None)
        left, right = _comparable(value, self.text)
        return bool(_COMPARE[self.operator](left, right))

    @property
    def columnar(self) -> bool:
        """Whether its column decides: what is empty is in every text, but not where there is none; what lies between items is no text's."""
        return self.operator != CONTAINS or (self.text != "" and _BETWEEN not in self.text)

    def flags(self, part: "Part") -> Iterator[Any]:
        """Whether it holds, of each value of a part of its column."""
        if self.operator == CONTAINS:
            return map(contains, part.values, repeat(self.text.lower()))
        if part.texts:
            return map(_COMPARE[self.operator], part.values, repeat(self.text))
        # Few of them differ.
        outcomes = {value: self.holds(value) for value in set(part.values)}
        return map(outcomes.__getitem__, part.values)


@dataclass(frozen=True, slots=True)
class Among:
    """The field, a text, is one of these."""

    path: Path
    texts: frozenset[str]

    @property
    def column(self) -> tuple[Path, bool]:
        """As of a condition."""
        return self.path, False

    def flags(self, part: "Part") -> Iterator[Any]:
        """As of a condition."""
        return map(self.texts.__contains__, part.values)


Test = Condition | Among


@dataclass(frozen=True, slots=True)
class Part:
    """The values of a chunk of resources; `texts`: they are nothing else."""

    chunk: Chunk
    values: Sequence[Any]
    texts: bool


def _comparable(value: Any, text: str) -> tuple[Any, Any]:
    if isinstance(value, bool | _Truth):
        return str(value.value if isinstance(value, _Truth) else value).lower(), text.lower()
    if isinstance(value, int):
        try:
            return value, int(text)
        except ValueError:
            return str(value), text
    return "" if value is None else str(value), text


@dataclass(frozen=True, slots=True, eq=False)
class _Truth:
    """True or false in a column: there is one of each."""

    value: bool


_TRUTHS = (_Truth(False), _Truth(True))


def _lowered(value: Any) -> str:
    if type(value) is not str:
        items = value if isinstance(value, tuple) else (value,)
        value = _BETWEEN.join(str(item) for item in items if item is not None)
    low: str = value.lower()
    # The text itself takes no more memory.
    return value if low == value else low


def _plain(value: Any) -> Any:
    """As it compares: a number or a text. A truth value does not compare as the number that it equals."""
    if isinstance(value, bool):
        return _TRUTHS[value]
    return value if isinstance(value, str | int) else "" if value is None else str(value)


def _part(chunk: Chunk, path: Path, lowered: bool) -> Part:
    found = list(values_at(chunk[1], path))
    texts = set(map(type, found)) == {str}
    if lowered:
        return Part(chunk, [_lowered(value) for value in found], True)
    return Part(chunk, found if texts else [_plain(value) for value in found], texts)


class Columns:
    """The columns that were asked for last, each of the newest resources that it was asked of; at most `capacity` values in all.

    Several threads may ask if there is a `lock`, which is held for moments.
    """

    def __init__(self, capacity: int = 1_000_000, lock: AbstractContextManager[Any] | None = None) -> None:
        self._capacity = capacity
        self._known: OrderedDict[tuple[str, str, Path, bool], tuple[int, SortedMap[str, Resource], dict[int, Part]]] = OrderedDict()
        self._lock = nullcontext() if lock is None else lock

    def matching(
        self,
        tenant_id: str,
        kind: str,
        seq: int,
        resources: Mapping[str, Resource],
        conditions: Sequence[Test],
        after: str = "",
    ) -> Iterator[Resource]:
        """The tenant's resources of a kind in their version `seq` of which all conditions hold, by id, those after an id."""
        now = SortedMap.of(resources)
        # What few fit comes first.
        conditions = sorted(conditions, key=lambda each: isinstance(each, Condition) and ("=", CONTAINS).count(each.operator) == 0)
        columns = [self._parts(tenant_id, kind, seq, now, condition) for condition in conditions]
        for chunk in now.chunks():
            if after and chunk[0][-1] <= after:
                continue
            hits: Sequence[int] = range(len(chunk[0]))
            for condition, parts in zip(conditions, columns, strict=True):
                flags = condition.flags(parts[id(chunk)])
                hits = list(compress(hits, flags)) if len(hits) == len(chunk[0]) else _both(hits, flags)
                if not hits:
                    break
            yield from (chunk[1][at] for at in hits if not after or chunk[0][at] > after)

    def _parts(self, tenant_id: str, kind: str, seq: int, now: SortedMap[str, Resource], condition: Test) -> Mapping[int, Part]:
        """By the identity of the chunk, which the part keeps alive."""
        key = (tenant_id, kind, *condition.column)
        version, of, known = self._known.get(key, (-1, None, {}))
        if of is not now:
            known = {id(chunk): known.get(id(chunk)) or _part(chunk, *condition.column) for chunk in now.chunks()}
        with self._lock:
            if seq >= version:
                self._known[key] = (seq, now, known)
                self._known.move_to_end(key)
            while sum(len(of) for _, of, _ in self._known.values()) > self._capacity or len(self._known) > _MOST:
                self._known.popitem(last=False)
        return known


def _both(hits: Sequence[int], flags: Iterator[Any]) -> list[int]:
    there = list(flags)
    return [at for at in hits if there[at]]
