"""Rows in which something must not stand any more: found by words, read, replaced.

Invariant: a row that holds none of the words is neither read nor written; one that was rewritten holds none of them where `Rewriter` found
and replaced them, so that a second run changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg

#: Subjects are `<system>.<tenant>. ...`, or have the tenant as their fourth part.
_FORGET_LETTERS = """
delete from dead_letter
 where $1 in (split_part(subject, '.', 2), split_part(subject, '.', 4))
   and (error ilike any($2::text[]) or encode(data, 'escape') ilike any($3::text[]))
"""


class Rewriter(Protocol):
    """What replaces words; `key` is the name of the field or column that a value stands in."""

    @property
    def needles(self) -> Sequence[str]:
        """One of these stands in whatever has something to replace, in any case of its letters."""

    def text(self, value: str, key: str = "") -> str:
        """A text without the words."""

    def value(self, value: Any, key: str = "") -> Any:
        """A JSON value without the words."""

    def json(self, raw: bytes, key: str = "") -> bytes:
        """A JSON document without the words."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where in a table words may stand; `scope` is an SQL condition in which `$1` is the tenant."""

    table: str
    texts: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    #: `bytea` with a JSON document.
    blobs: tuple[str, ...] = ()
    #: `text[]`
    lists: tuple[str, ...] = ()
    scope: str = "tenant = $1"
    #: Type of the columns in `documents`.
    type: str = "jsonb"
    #: Texts are in the table's key: a row whose new name stands there already is the same one told again, and goes.
    in_key: bool = False


def patterns(words: Sequence[str]) -> list[str]:
    """The words for `ilike`, anywhere in a value."""
    return ["%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%" for word in words if word]


def patterns_of_bytes(words: Sequence[str]) -> list[str]:
    """The words for `ilike`, anywhere in what `encode(..., 'escape')` makes of UTF-8.

    `ilike` sees no letters beyond ASCII there, so their case is taken as the word has it, and all small, all capital, each word's first.
    """
    forms = (form for word in words for form in (word, word.lower(), word.upper(), word.title()))
    return patterns(sorted({"".join(map(_escaped, form.encode())).lower() for form in forms}))


async def rewrite_rows(connection: Any, columns: Columns, tenant: str, rewriter: Rewriter) -> int:
    """Replace what is to be replaced in one tenant's rows; returns how many rows changed. In the caller's transaction."""
    every = [
        *((name, name, "text") for name in columns.texts),
        *((name, f"{name}::jsonb::text", columns.type) for name in columns.documents),
        *((name, f"convert_from({name}, 'UTF8')", "bytea") for name in columns.blobs),
        *((name, f"to_jsonb({name})::text", "text[]") for name in columns.lists),
    ]
    shown = ", ".join(f"{read} as {name}" for name, read, _ in every)
    anywhere = " || ' ' || ".join(f"coalesce({read}, '')" for _, read, _ in every)
    where = f"{columns.scope} and {anywhere} ilike any($2::text[])"
    found = f"select ctid::text as place, {shown} from {columns.table} where {where} for update"
    changed = 0
    for row in await connection.fetch(found, tenant, patterns(rewriter.needles)):
        new = {name: (kind, after) for name, _, kind in every if (after := _after(row[name], name, kind, rewriter)) != row[name]}
        if new:
            sets = ", ".join(f"{name} = {_cast(kind, number)}" for number, (name, (kind, _)) in enumerate(new.items(), start=2))
            statement = f"update {columns.table} set {sets} where ctid = $1::text::tid"
            values = (row["place"], *(after for _, after in new.values()))
            if columns.in_key:
                await _rename(connection, columns.table, statement, values)
            else:
                await connection.execute(statement, *values)
            changed += 1
    return changed


async def _rename(connection: Any, table: str, statement: str, values: tuple[Any, ...]) -> None:
    try:
        async with connection.transaction():
            await connection.execute(statement, *values)
    except asyncpg.UniqueViolationError:
        await connection.execute(f"delete from {table} where ctid = $1::text::tid", values[0])


async def forget_letters(connection: Any, tenant: str, words: Sequence[str]) -> int:
    """Delete a tenant's dead letters that hold one of the words; returns how many."""
    found = await connection.execute(_FORGET_LETTERS, tenant, patterns(words), patterns_of_bytes(words))
    return int(found.split()[-1])


def _escaped(byte: int) -> str:
    if byte == ord("\\"):
        return "\\\\"
    return chr(byte) if 0 < byte < 128 else f"\\{byte:03o}"


def _after(value: str | None, name: str, kind: str, rewriter: Rewriter) -> str | None:
    if value is None:
        return None
    return rewriter.text(value, name) if kind == "text" else rewriter.json(value.encode(), name).decode()


def _cast(kind: str, number: int) -> str:
    match kind:
        case "text":
            return f"${number}::text"
        case "bytea":
            return f"convert_to(${number}::text, 'UTF8')"
        case "text[]":
            return f"array(select jsonb_array_elements_text(${number}::text::jsonb))"
        case _:
            return f"${number}::text::{kind}"
