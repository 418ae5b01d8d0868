"""An index of a tenant's resources by the words that people know them by. Pure; kept up to date change by change.

Always: a resource is found by what it is now; a secret, a reference or a setting is no word; work for a query does not grow with the
tenant, but with what its rarest word finds.
"""

import re
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from carillon_contracts.config import ConfigChanged

#: Fields of resources, at any depth, whose texts are looked at. What is not here is a setting or a reference.
FIELDS = frozenset(
    {
        *("id", "display_name", "title", "first_name", "last_name", "function", "name", "login", "company", "owner", "username", "service"),
        *("email", "emails", "address", "realm", "description", "comment", "label", "mac", "serial", "model", "vendor"),
        *("mobile", "phone", "fax", "number", "numbers", "phones", "external_number", "short_number", "short_numbers", "main_number"),
    }
)
#: What a resource is called by, the first that is not empty.
_NAMES = ("display_name", "label", "name")
_MOST_WORDS, _LONGEST_WORD = 200, 64
#: What one query looks at, and what it ranks; beyond that people have to say more.
_MOST_LOOKED_AT, _MOST_CANDIDATES = 5000, 500
#: Words with one beginning that are counted to find a query's rarest.
_WEIGHED = 50
_SPLIT = re.compile(r"[^0-9a-z]+")
#: Country codes of two digits (ITU-T E.164 list); 1 and 7 have one, the others three.
_TWO_DIGITS = re.compile("2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[12346]|9[0-58]")
_MAC = re.compile(r"\b[0-9a-f]{2}([:-][0-9a-f]{2}){1,5}(?![0-9a-f])")
_DIALLED = re.compile(r"(?<![0-9a-z])\+?[0-9][0-9 ()./-]{2,}(?![0-9a-z])")


@dataclass(frozen=True, slots=True)
class Found:
    """A resource and the text of it that matched the query's first word."""

    kind: str
    resource_id: str
    display_name: str
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: str
    resource_id: str
    display_name: str
    words: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]


def plain(text: str) -> str:
    """Without accents and case: `Élise` is `elise`."""
    return "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))


def words(text: str) -> Iterator[str]:
    """The words of a text as they are looked up: plain, cut at what is no letter or digit; the whole, run together, is one too.

    A number in E.164 is found by its digits and by its national form with a trunk prefix 0.
    """
    parts = [part for part in _SPLIT.split(plain(text)) if part]
    yield from (part[:_LONGEST_WORD] for part in parts)
    if len(parts) > 1:
        yield "".join(parts)[:_LONGEST_WORD]
    if text.startswith("+") and len(parts) == 1 and parts[0].isdecimal():
        code = 1 if parts[0][0] in "17" else 2 if _TWO_DIGITS.match(parts[0]) else 3
        yield f"0{parts[0][code:]}"


def asked(query: str) -> list[str]:
    """The words of a query; a number written with blanks is one word."""
    text = _MAC.sub(lambda match: re.sub("[^0-9a-f]", "", match[0]), plain(query))
    text = _DIALLED.sub(lambda match: f" {re.sub('[^0-9]', '', match[0])} ", text)
    return [part for part in _SPLIT.split(text) if part]


class SearchIndex:
    """Of one tenant; `seq` is the configuration version that it knows."""

    def __init__(self) -> None:
        self.seq = 0
        self._entries: dict[int, _Entry] = {}
        self._places: dict[tuple[str, str], int] = {}
        self._next = 0
        #: Word -> places of the entries that have it.
        self._holders: dict[str, list[int]] = {}
        self._sorted: list[str] = []

    def begin(self, seq: int, resources: Mapping[str, Mapping[str, Any]]) -> None:
        """Take a whole configuration: documents by kind and id."""
        for kind, of_kind in resources.items():
            for resource_id, document in of_kind.items():
                self._put(kind, resource_id, document, sort=False)
        self._sorted = sorted(self._holders)
        self.seq = seq

    def apply(self, seq: int, change: ConfigChanged) -> None:
        """One change; older ones change nothing."""
        if seq <= self.seq:
            return
        self.seq = seq
        self._drop((change.resource, change.resource_id))
        if change.after is not None:
            self._put(change.resource, change.resource_id, change.after, sort=True)

    def find(
        self,
        query: str,
        limit: int,
        kinds: Collection[str] = (),
        visible: Callable[[str, str], Collection[str]] = lambda kind, resource_id: FIELDS,
    ) -> tuple[list[Found], bool]:
        """At most `limit` resources, the best first, and whether there are more. `visible(kind, id)` is the caller's right: the fields
        of it that they may see, which alone are looked at."""
        wanted = asked(query)
        if not wanted:
            return [], False
        first = min(wanted, key=self._weight)
        scored: dict[int, tuple[int, str, _Entry]] = {}
        looked = 0
        for place in self._holding(first):
            entry = self._entries[place]
            if place in scored or (kinds and entry.kind not in kinds) or not (fields := visible(entry.kind, entry.resource_id)):
                continue
            looked += 1
            if fields is not FIELDS:
                entry = _narrowed(entry, fields)
            if (rank := _rank(entry, wanted)) is not None:
                scored[place] = (rank, plain(entry.display_name), entry)
            if len(scored) >= _MOST_CANDIDATES or looked >= _MOST_LOOKED_AT:
                break
        best = sorted(scored.values(), key=lambda item: (item[0], item[1], item[2].kind, item[2].resource_id))
        found = [Found(entry.kind, entry.resource_id, entry.display_name, *_matching(entry, first)) for _, _, entry in best[:limit]]
        return found, len(best) > limit or looked >= _MOST_LOOKED_AT

    def _weight(self, start: str) -> int:
        """About how many entries have a word with this beginning; exact while they are few."""
        total = 0
        for count, word in enumerate(self._beginning(start)):
            total += len(self._holders[word])
            if count >= _WEIGHED:
                return total * 100
        return total

    def _holding(self, start: str) -> Iterator[int]:
        for word in self._beginning(start):
            yield from self._holders[word]

    def _beginning(self, start: str) -> Iterator[str]:
        position = bisect_left(self._sorted, start)
        while position < len(self._sorted) and self._sorted[position].startswith(start):
            yield self._sorted[position]
            position += 1

    def _put(self, kind: str, resource_id: str, document: Mapping[str, Any], *, sort: bool) -> None:
        place = self._places[kind, resource_id] = self._next
        self._next += 1
        self._entries[place] = entry = _entry(kind, resource_id, document)
        for word in entry.words:
            holders = self._holders.get(word)
            if holders is None:
                holders = self._holders[word] = []
                if sort:
                    insort(self._sorted, word)
            holders.append(place)

    def _drop(self, key: tuple[str, str]) -> None:
        place = self._places.pop(key, None)
        if place is None:
            return
        for word in self._entries.pop(place).words:
            holders = self._holders[word]
            holders.remove(place)
            if not holders:
                del self._holders[word]
                del self._sorted[bisect_left(self._sorted, word)]


def _entry(kind: str, resource_id: str, document: Mapping[str, Any]) -> _Entry:
    texts = tuple(_texts(document))
    return _Entry(kind, resource_id, _display_name(document) or resource_id, _words_of(texts), texts)


def _words_of(texts: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for _, text in texts for word in words(text)))[:_MOST_WORDS]


def _narrowed(entry: _Entry, fields: Collection[str]) -> _Entry:
    texts = tuple(each for each in entry.texts if each[0] in fields)
    return replace(entry, words=_words_of(texts), texts=texts)


def _matching(entry: _Entry, start: str) -> tuple[str, str]:
    """Field and text of the entry that has a word with this beginning."""
    return next((field, text) for field, text in entry.texts if any(word.startswith(start) for word in words(text)))


def _texts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field, value in document.items():
        if isinstance(value, str):
            if value and field in FIELDS:
                yield field, value
        elif isinstance(value, Mapping):
            yield from _texts(value)
        elif isinstance(value, list | tuple):
            for item in value:
                yield from _texts(item if isinstance(item, Mapping) else {field: item})


def _display_name(document: Mapping[str, Any]) -> str:
    if document.get("last_name"):
        return f"{document.get('first_name', '')} {document['last_name']}".strip()
    return next((str(document[name]) for name in _NAMES if document.get(name)), "")


def _rank(entry: _Entry, wanted: Iterable[str]) -> int | None:
    """0: every word is a whole one; then one more for each that is only a beginning. None: a word is missing."""
    rank = 0
    for word in wanted:
        if word in entry.words:
            continue
        if not any(known.startswith(word) for known in entry.words):
            return None
        rank += 1
    return rank
