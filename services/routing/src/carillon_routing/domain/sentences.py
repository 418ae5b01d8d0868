"""Sentences of traces, recognised and told in another language.

A trace is written in English words (`en.toml` holds them all, with `{name}` for each value), so that it reads without any of this and an
old one reads as a new one. Here a line is recognised by these words: that gives its kind and the values it saw, which the other
languages' files put into sentences of their own. What is not recognised is told as it is written.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from carillon_contracts.languages import Language

Table = Literal["reasons", "subjects", "ways"]
#: What is told of something that is not recognised.
AS_WRITTEN = "as_written"
#: Reasons inside reasons.
MAX_DEPTH = 4
#: A longer text is told as it is written.
MAX_TEXT = 1000

_REF = r"[a-z_]+/[^\s;,:()]*(?: node [^\s;,:()]+)?"
_NUMBER = r"-?\d+(?:\.\d+)?"
_RESULT = r"answered|no_answer|busy|unreachable|congested|rejected|otherwise|cause \d+"
_CLASSES = r"[a-z]+(?:(?: and |, )[a-z]+)*"
#: What a value looks like, by its name without a figure at the end.
SHAPES: Mapping[str, str] = {
    **dict.fromkeys(("who", "other", "trunk"), _REF),
    **dict.fromkeys(("count", "most", "most_starts", "least", "seconds", "milliseconds", "calls", "starts"), _NUMBER),
    **dict.fromkeys(("percent", "price", "priority", "position", "days", "status", "cause", "then", "now"), _NUMBER),
    "queue": r"queue/\S+",
    "others": rf"{_REF}(?:, {_REF})*",
    "target": rf"{_REF}|\S+ by {_REF}",
    "result": _RESULT,
    "end": "normal|busy|rejected",
    "left": "answered|full|waited_too_long|no_agents|left_by_key|removed|called_back",
    "passes": "always|never",
    "reach": "extension|mobile|both",
    "ordinal": "first|second|third",
    "moment": r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?: \d{4}-\d\d-\d\d)? \d\d:\d\d \S+",
    "range": r"\d\d:\d\d-\d\d:\d\d(?:, \d\d:\d\d-\d\d:\d\d)*",
    "date": r"\d{4}-\d\d-\d\d",
    "mode": r"[a-z_]+",
    "strategy": r"[a-z_]+",
    "feature": r"[a-z_]+",
    "verb": r"[a-z]+",
    "recording": r"[a-z_]+",
    "direction": r"[a-z_]+",
    "classes": _CLASSES,
    "number": r"\S+|a withheld number",
    "value": r"'.*'|\".*\"",
    "name": r"\S+",
    # Several: of the tenant, and of sites in other countries.
    "country": r"(?:[A-Z]{2}(?: or [A-Z]{2})*)?",
    "key": r"\S+",
    "prefix": r"\S+",
    "url": r"\S+",
    "id": r"\S+",
    "dialled": ".*",
    "code": ".*",
    "exit": "the plain exit|.+",
}
#: Values that are words, by the beginning of their keys in `words`.
_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("result", "end"), ""),
    **{
        name: f"{name}_" for name in ("mode", "passes", "reach", "strategy", "direction", "ordinal", "verb", "recording", "left", "feature")
    },
}
_PLACE = re.compile(r"\{([a-z_]+\d?)\}")


@dataclass(frozen=True, slots=True)
class Recognised:
    """The kind of sentence, and the values in it as they are written."""

    kind: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Book:
    """A language's file: templates by table and key."""

    tables: Mapping[str, Mapping[str, str]]

    def word(self, table: str, key: str, otherwise: str = "") -> str:
        """One entry; if it is not there, what else."""
        return self.tables.get(table, {}).get(key, otherwise or key)

    def filled(self, table: str, key: str, /, **values: object) -> str:
        """A template with its values."""
        return _PLACE.sub(lambda match: str(values.get(match.group(1), match.group(0))), self.tables[table][key])


def shape_of(name: str) -> str:
    """The pattern of a value."""
    return SHAPES.get(name) or SHAPES.get(name.rstrip("0123456789"), ".+")


def pattern_of(template: str) -> str:
    """The regular expression that matches what the template writes."""
    parts = _PLACE.split(template)
    return "".join(f"(?P<{part}>{shape_of(part)})" if index % 2 else re.escape(part) for index, part in enumerate(parts))


#: By table, the kinds of sentences in the order in which they are tried.
Patterns = Mapping[Table, Sequence[tuple[str, re.Pattern[str]]]]


def patterns_of(english: Book) -> Patterns:
    """What recognises sentences: some hundred expressions, which take a while to be made."""
    tables: tuple[Table, ...] = ("reasons", "subjects", "ways")
    return {table: _ordered(english.tables[table]) for table in tables}


@dataclass(frozen=True)
class Library:
    """Every language's book; `patterns` are the English one's."""

    books: Mapping[Language, Book]
    patterns: Patterns

    def recognise(self, table: Table, text: str) -> Recognised:
        """What kind of sentence it is: of those that fit, the one with the most words of its own."""
        if len(text) <= MAX_TEXT:
            for kind, pattern in self.patterns[table]:
                if (match := pattern.fullmatch(text)) is not None:
                    return Recognised(kind, match.groupdict())
        return Recognised(AS_WRITTEN, {"text": text})


def _ordered(templates: Mapping[str, str]) -> list[tuple[str, re.Pattern[str]]]:
    ordered = sorted(templates.items(), key=lambda item: (-len(_PLACE.sub("", item[1])), len(_PLACE.findall(item[1]))))
    return [(kind, re.compile(pattern_of(template), re.DOTALL)) for kind, template in ordered]


#: The display name of a resource by kind and id; empty: it has none.
Names = Callable[[str, str], str]


@dataclass(frozen=True)
class Teller:
    """Tells in one language; `names` gives people and things the names they are known by."""

    library: Library
    language: Language
    names: Names

    @property
    def book(self) -> Book:
        """The language's."""
        return self.library.books[self.language]

    def tell(self, table: Table, found: Recognised, depth: int = 0) -> str:
        """The sentence."""
        if found.kind == AS_WRITTEN:
            return found.values["text"]
        values = {name: self._value(name, value, depth) for name, value in found.values.items()}
        return self.book.filled(table, found.kind, **values)

    def told(self, table: Table, text: str, depth: int = 0) -> str:
        """The sentence for what is written."""
        return self.tell(table, self.library.recognise(table, text), depth)

    def _value(self, name: str, value: str, depth: int) -> str:
        plain = name.rstrip("0123456789")
        if plain in _WORDS:
            return self._word(_WORDS[plain], value)
        match plain:
            case "why" | "day" if depth < MAX_DEPTH:
                return self.book.word("days", value) if value in self.book.tables["days"] else self.told("reasons", value, depth + 1)
            case "who" | "other" | "trunk" | "queue":
                return self.named(value)
            case "others":
                return ", ".join(self.named(each) for each in value.split(", "))
            case "target":
                return self.told("ways", value, depth + 1)
            case "moment":
                return f"{self.book.word('days', value[:3])}{value[3:]}"
            case "classes":
                both = f" {self.book.word('glue', 'and')} "
                return ", ".join(both.join(self._word("class_", word) for word in part.split(" and ")) for part in value.split(", "))
            case "country":
                return f" {self.book.word('glue', 'or')} ".join(value.split(" or "))
            case "number" if value in ("withheld", "a withheld number"):
                return self.book.word("glue", "withheld")
            case "prefix" if value == "any":
                return self.book.word("words", "any")
            case "exit" if value == "the plain exit":
                return self.book.word("words", "plain_exit")
            case _:
                return value

    def _word(self, beginning: str, value: str) -> str:
        if value.startswith("cause "):
            return self.cause(value.removeprefix("cause "))
        return self.book.word("words", f"{beginning}{value}", value)

    def cause(self, value: str | int) -> str:
        """Of Q.850."""
        causes = self.book.tables["causes"]
        return causes.get(str(value)) or self.book.filled("causes", "other", cause=value)

    def named(self, reference: str) -> str:
        """`user/anna` by the user's name; `plan/main node x` as the node of the plan."""
        thing, _, node = reference.partition(" node ")
        kind, _, name = thing.partition("/")
        shown = f"{self.book.word('kinds', kind, kind)} {self.names(kind, name) or name}".rstrip()
        return f"{self.book.word('kinds', 'node')} {node} ({shown})" if node else shown
