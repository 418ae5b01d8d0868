"""A map in the order of its keys that never changes: a changed one shares all but a few hundred entries with the one before.

A tenant of 50,000 users changes one entry at a time; copying a whole dict for each would cost quadratic time and memory. Keys lie in
chunks of at most `_LARGEST` entries; a change copies one chunk and the list of chunks. Looking up is two bisections; reading on from a key
(a page of a list) starts there at once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
_LARGEST = 256
_ABSENT = object()
#: Changes that are made one by one.
_FEW = 8
_Chunk = tuple[tuple[Any, ...], tuple[Any, ...]]


class SortedMap(Mapping[K, V], Generic[K, V]):
    """Keys are of one kind that has an order. Iteration, `items` and `values` go in it."""

    __slots__ = ("_chunks", "_firsts", "_length")

    def __init__(self, entries: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        known = dict(entries)
        keys = sorted(known)  # type: ignore[type-var]
        half = _LARGEST // 2
        parts = [keys[at : at + half] for at in range(0, len(keys), half)]
        self._set([(tuple(part), tuple(map(known.__getitem__, part))) for part in parts], len(keys))

    def _set(self, chunks: list[_Chunk], length: int) -> None:
        self._chunks = tuple(chunks)
        self._firsts = [keys[0] for keys, _ in chunks]
        self._length = length

    @classmethod
    def _of(cls, chunks: list[_Chunk], length: int) -> "SortedMap[K, V]":
        made: SortedMap[K, V] = cls.__new__(cls)
        made._set(chunks, length)
        return made

    @classmethod
    def of(cls, entries: Mapping[K, V]) -> "SortedMap[K, V]":
        """The mapping itself if it is one already."""
        return entries if isinstance(entries, SortedMap) else cls(entries)

    def _find(self, key: K) -> tuple[int, int, bool]:
        """Which chunk, where in it the key is or would be, and whether it is."""
        at = max(bisect_right(self._firsts, key) - 1, 0)
        keys = self._chunks[at][0] if self._chunks else ()
        place = bisect_left(keys, key)
        return at, place, place < len(keys) and keys[place] == key

    def __getitem__(self, key: K) -> V:
        at, place, there = self._find(key)
        if not there:
            raise KeyError(key)
        value: V = self._chunks[at][1][place]
        return value

    def get(self, key: K, default: Any = None) -> Any:
        """As of a dict."""
        at = bisect_right(self._firsts, key) - 1
        if at < 0:
            return default
        keys, values = self._chunks[at]
        place = bisect_left(keys, key)
        return values[place] if place < len(keys) and keys[place] == key else default

    def __contains__(self, key: object) -> bool:
        return self.get(key, _ABSENT) is not _ABSENT  # type: ignore[arg-type]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        for keys, _ in self._chunks:
            yield from keys

    def items(self) -> ItemsView[K, V]:
        """As of a dict."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """As of a dict."""
        return _Values(self)

    def __repr__(self) -> str:
        return f"SortedMap({dict(self)!r})"

    def chunks(self) -> Sequence[tuple[tuple[K, ...], tuple[V, ...]]]:
        """The entries in order, some hundred at a time, as keys and values; a changed map has the same object for those it shares."""
        return self._chunks

    def items_from(self, key: K, *, after: bool = False) -> Iterator[tuple[K, V]]:
        """Entries from this key on (or `after` it), in order, whether it is there or not."""
        at, place, there = self._find(key)
        if there and after:
            place += 1
        for keys, values in self._chunks[at:]:
            yield from zip(keys[place:], values[place:], strict=True)
            place = 0

    def set(self, key: K, value: V) -> "SortedMap[K, V]":
        """With this entry."""
        at, place, there = self._find(key)
        keys, values = self._chunks[at] if self._chunks else ((), ())
        if there:
            return self._with(at, (keys, (*values[:place], value, *values[place + 1 :])), 0)
        keys, values = (*keys[:place], key, *keys[place:]), (*values[:place], value, *values[place:])
        if len(keys) <= _LARGEST and self._chunks:
            return self._with(at, (keys, values), 1)
        half = (len(keys) + 1) // 2
        halves = [part for part in ((keys[:half], values[:half]), (keys[half:], values[half:])) if part[0]]
        return self._of([*self._chunks[:at], *halves, *self._chunks[at + 1 :]], self._length + 1)

    def remove(self, key: K) -> "SortedMap[K, V]":
        """Without this entry, if it is there."""
        at, place, there = self._find(key)
        if not there:
            return self
        keys, values = self._chunks[at]
        if len(keys) == 1:
            return self._of([*self._chunks[:at], *self._chunks[at + 1 :]], self._length - 1)
        return self._with(at, (keys[:place] + keys[place + 1 :], values[:place] + values[place + 1 :]), -1)

    def _with(self, at: int, chunk: _Chunk, more: int) -> "SortedMap[K, V]":
        """With one chunk in place of another."""
        made: SortedMap[K, V] = SortedMap.__new__(SortedMap)
        made._chunks = (*self._chunks[:at], chunk, *self._chunks[at + 1 :])
        made._firsts = self._firsts
        if chunk[0][0] != self._firsts[at]:
            made._firsts = [*self._firsts]
            made._firsts[at] = chunk[0][0]
        made._length = self._length + more
        return made

    def update(self, put: Mapping[K, V], removed: Iterable[K] = ()) -> "SortedMap[K, V]":
        """With all of `put` and without `removed`; each chunk that they concern is made once."""
        gone = set(removed) - put.keys()
        if len(put) + len(gone) <= _FEW:
            made = self
            for key in gone:
                made = made.remove(key)
            for key, value in put.items():
                made = made.set(key, value)
            return made
        if not self._chunks:
            return SortedMap(put)
        keys: list[K] = sorted({*put, *gone})  # type: ignore[type-var]
        chunks: list[_Chunk] = []
        start = 0
        for at, chunk in enumerate(self._chunks):
            end = bisect_left(keys, self._firsts[at + 1], start) if at + 1 < len(self._chunks) else len(keys)
            chunks += _merged(chunk, keys[start:end], put) if end > start else (chunk,)
            start = end
        return self._of(chunks, sum(len(chunk[0]) for chunk in chunks))

    def differences(self, before: "SortedMap[K, V]") -> tuple[dict[K, V], dict[K, V]]:
        """Entries that `before` lacks or has otherwise, and entries of `before` that this lacks or has otherwise.

        Quick where one was made from the other: what they share is not looked at.
        """
        ours, theirs = {id(chunk) for chunk in self._chunks}, {id(chunk) for chunk in before._chunks}
        put = {key: value for chunk in self._chunks if id(chunk) not in theirs for key, value in zip(*chunk, strict=True)}
        gone = {key: value for chunk in before._chunks if id(chunk) not in ours for key, value in zip(*chunk, strict=True)}
        same = [key for key, value in put.items() if key in gone and gone[key] is value]
        for key in same:
            del put[key], gone[key]
        return put, gone


def _merged(chunk: _Chunk, keys: Sequence[Any], put: Mapping[Any, Any]) -> Iterator[_Chunk]:
    """The chunk, in parts if it grew, with those of the keys that are in `put` and without the others."""
    entries = dict(zip(*chunk, strict=True))
    for key in keys:
        if key in put:
            entries[key] = put[key]
        else:
            entries.pop(key, None)
    names = sorted(entries)
    size = len(names) if len(names) <= _LARGEST else _LARGEST // 2
    for at in range(0, len(names), size or 1):
        part = names[at : at + size]
        yield tuple(part), tuple(entries[name] for name in part)


class _Items(ItemsView[K, V]):
    """Chunk by chunk; the inherited one would look up each key."""

    _mapping: SortedMap[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        for keys, values in self._mapping._chunks:
            yield from zip(keys, values, strict=True)


class _Values(ValuesView[V]):
    """As `_Items`."""

    _mapping: SortedMap[Any, V]

    def __iter__(self) -> Iterator[V]:
        for _, values in self._mapping._chunks:
            yield from values
