"""From a file's bytes to the documents of an import, or everything that is wrong with it, by line and column.

Always: a column that the file lacks leaves the field as it is, an empty cell of one that it has empties it; an id is made of what the row
says and is the same for the same row; what a cell was guarded with against spreadsheets' formulas is taken off.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import phonenumbers
from pydantic import JsonValue

from carillon_contracts.config import DESTINATION_KINDS, Extension, Number, User
from carillon_contracts.languages import Language
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.csv_files.reasons import in_words
from carillon_directory.domain.csv_files.tables import Column, Table
from carillon_directory.domain.csv_files.texts import Problem, told
from carillon_directory.domain.csv_files.writing import GUARDED, destination_text
from carillon_directory.domain.documents import dump

MOST_ROWS = 100_000
MOST_BYTES = 16 * 1024 * 1024
LONGEST_CELL = 2000
_DATES = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y")
_SEPARATORS = (";", ",", "\t")
_ROWS_A_STEP = 1000


@dataclass(frozen=True, slots=True)
class RowError:
    """`column` as the file names it; empty: the whole row."""

    line: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document came from: its line, and the file's column of each field."""

    line: int
    columns: Mapping[str, str]


@dataclass(slots=True)
class Import:
    """Documents by kind with their places, and errors; of a row that has some, the document is of its other cells."""

    documents: dict[str, list[dict[str, JsonValue]]] = field(default_factory=dict)
    places: dict[str, list[Place]] = field(default_factory=dict)
    errors: list[RowError] = field(default_factory=list)
    rows: int = 0
    header: list[str] = field(default_factory=list)

    def add(self, kind: str, document: dict[str, JsonValue], place: Place) -> None:
        """One more document."""
        self.documents.setdefault(kind, []).append(document)
        self.places.setdefault(kind, []).append(place)


def text_of(raw: bytes) -> str:
    """UTF-8 with or without byte order mark, else Windows-1252, which Latin-1 files mostly are."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def separator_of(header: str) -> str:
    """The one that stands most often in the header, quoted cells aside."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(_SEPARATORS, key=bare.count)


def reading(table: Table, raw: bytes, config: TenantConfig, language: Language, made: Import) -> Iterator[int]:
    """Read the file into `made`, some rows a step; how many were read is told after each."""
    text = text_of(raw)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if "\0" in text or not first:
        problem = told("not_text", language, "NUL") if "\0" in text else told("empty", language)
        made.errors.append(RowError(1, "", "", problem))
        return
    rows = _rows(text, separator_of(first))
    try:
        _, header = next(rows, (1, list[str]()))
        columns = _columns(table, header, made, language)
        if not made.errors:
            reader = _Reader(table, columns, header, config, language, made)
            for line, cells in rows:
                made.rows += 1
                if made.rows > MOST_ROWS:
                    made.errors.append(RowError(line, "", "", told("too_many_rows", language, str(MOST_ROWS))))
                    break
                reader.row(line, cells)
                if made.rows % _ROWS_A_STEP == 0:
                    yield made.rows
            if not made.rows:
                made.errors.append(RowError(1, "", "", told("empty", language)))
    except csv.Error as error:
        made.errors.append(RowError(1, "", "", told("not_text", language, str(error))))
    yield made.rows


def _rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line that the row begins on, cells) of every row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    begins = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield begins, cells
        begins = reader.line_num + 1


def _columns(table: Table, header: list[str], made: Import, language: Language) -> list[Column | None]:
    found: list[Column | None] = []
    for name in header:
        column = table.column(name) if name.strip() else None
        if column is None and name.strip():
            known = ", ".join(table.header(language))
            made.errors.append(RowError(1, name.strip(), "", told("unknown_column", language, known)))
        elif column is not None and column in found:
            made.errors.append(RowError(1, name.strip(), "", told("column_twice", language)))
        found.append(column)
    for column in table.columns:
        if column.needed and column not in found:
            made.errors.append(RowError(1, column.names[language][0], "", told("missing_column", language)))
    return found


@dataclass(frozen=True, slots=True)
class _Bad:
    """What is wrong with a cell."""

    problem: Problem
    about: str = ""


class _Reader:
    """Rows of one file."""

    def __init__(
        self, table: Table, columns: list[Column | None], header: list[str], config: TenantConfig, language: Language, made: Import
    ) -> None:
        self._table = table
        self._columns = columns
        self._header = made.header = [name.strip() for name in header]
        self._config = config
        self._language = language
        self._made = made
        self._current = config.resources.get(table.kind.KIND, {})
        self._lines: dict[str, int] = {}
        #: By what ids are made of: the number that the last of them has.
        self._numbers: dict[str, int] = {}
        self._names: dict[str, dict[str, str]] = {}

    def row(self, line: int, cells: list[str]) -> None:
        """One row."""
        if len(cells) > len(self._columns) and any(cell.strip() for cell in cells[len(self._columns) :]):
            self._wrong(line, "", "", told("too_many_cells", self._language))
            return
        values: dict[str, JsonValue] = {}
        extension = ""
        places = {}
        for column, name, cell in zip(self._columns, self._header, cells, strict=False):
            if column is None:
                continue
            text = unguarded(cell.strip())
            places[column.field] = name
            value = self._value(line, column, name, text)
            if column.form == "extension":
                extension = text
            elif value is not None or not text:
                values[column.field] = value
        self._take(line, values, extension, Place(line, places))

    def _take(self, line: int, values: dict[str, JsonValue], extension: str, place: Place) -> None:
        resource_id = str(values.pop("id", "") or "") or self._made_id(values)
        if (first := self._lines.setdefault(resource_id, line)) != line:
            self._wrong(line, place.columns.get("id", ""), resource_id, told("twice", self._language, str(first)))
            return
        current = self._current.get(resource_id)
        document: dict[str, JsonValue] = {} if current is None else dump(current)
        document["id"] = resource_id
        leads = current.destination if isinstance(current, Number) else None
        for name, stored in values.items():
            if leads is not None and name == "destination" and stored == self._destination(destination_text(leads)):
                continue  # An announcement has more than what is written of it.
            if stored is None or stored == "":
                document.pop(name, None)
            else:
                document[name] = stored
        self._made.add(self._table.kind.KIND, document, place)
        if extension:
            self._extend(line, extension, resource_id, place)

    def _extend(self, line: int, digits: str, user_id: str, place: Place) -> None:
        """One that leads elsewhere is not taken away from there."""
        current = self._config.extensions.get(digits)
        if current is None:
            self._made.add(Extension.KIND, {"id": digits, "destination": {"user_id": user_id}}, place)
        elif current.destination.user_id != user_id:
            self._wrong(line, place.columns["extension"], digits, told("taken", self._language, destination_text(current.destination)))

    def _value(self, line: int, column: Column, name: str, text: str) -> JsonValue:
        """The cell as the field's value; None after an error, or for an empty cell."""
        value = self._parsed(column, name, text)
        if isinstance(value, _Bad):
            self._wrong(line, name, text, told(value.problem, self._language, value.about))
            return None
        return value

    def _parsed(self, column: Column, name: str, text: str) -> "JsonValue | _Bad":
        if not text:
            return _Bad("needed") if column.needed else None
        if len(text) > LONGEST_CELL:
            return _Bad("too_long", str(LONGEST_CELL))
        match column.form:
            case "phone":
                return e164(text, self._config.tenant.country) or _Bad("not_a_phone_number")
            case "mac":
                plain = re.sub("[^0-9a-f]", "", text.lower())
                return plain if len(plain) == 12 else _Bad("not_a_mac")
            case "count":
                return int(text) if re.fullmatch("[0-9]{1,9}", text) else _Bad("not_a_number")
            case "date":
                found = _date(text)
                return found.isoformat() if found is not None else _Bad("not_a_date")
            case "destination":
                return self._destination(text) or _Bad("unknown", name)
            case "user" | "department" | "site":
                return self._named(column.form, text) or _Bad("unknown", name)
            case _:
                return text

    def _destination(self, text: str) -> dict[str, JsonValue]:
        """The opposite of `destination_text`; empty: it is none."""
        kind, slash, value = text.partition("/")
        if slash and f"{kind}_id" in DESTINATION_KINDS:
            return {f"{kind}_id": value}
        if slash and kind in DESTINATION_KINDS and value:
            return {kind: {"text": value}} if kind == "announcement" else {kind: value}
        user_id = self._named(User.KIND, text)
        return {"operator": True} if text == "operator" else {"user_id": user_id} if user_id else {}

    def _named(self, kind: str, text: str) -> str:
        """The id of a resource by its id or its name."""
        names = self._names.get(kind)
        if names is None:
            names = self._names[kind] = {}
            for each in self._config.resources.get(kind, {}).values():
                shown = getattr(each, "full_name", "") or getattr(each, "display_name", "")
                names.setdefault(str(shown).casefold(), each.id)
        return text if text in self._config.resources.get(kind, {}) else names.get(text.casefold(), "")

    def _made_id(self, values: Mapping[str, JsonValue]) -> str:
        """Of the row's own words: `Élise Moreau` is `elise.moreau`; the same name again is told apart by a number."""
        words = [str(values.get(name) or "") for name in self._table.id_from]
        base = slug(".".join(word for word in words if word))[:60] or "row"
        if self._current.get(base) is not None and base not in self._lines:
            return base
        name, number = base, self._numbers.get(base, 1)
        while name in self._lines:
            number += 1
            name = f"{base}-{number}"
        self._numbers[base] = number
        return name

    def _wrong(self, line: int, column: str, value: str, reason: str) -> None:
        self._made.errors.append(RowError(line, column, value[:100], reason))


def unguarded(cell: str) -> str:
    """Without the apostrophe that `writing` put before a cell."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in GUARDED else cell


def slug(text: str) -> str:
    """What an id may be: plain lower case letters, digits, dots and dashes."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))
    return re.sub(r"[^a-z0-9]*\.[^a-z0-9]*", ".", re.sub(r"[^a-z0-9.]+", "-", plain)).strip("-.")


def e164(text: str, country: str) -> str:
    """A number as people of the country write it; empty when it is none."""
    try:
        parsed = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(parsed):
        return ""
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def _date(text: str) -> date | None:
    for form in _DATES:
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007  (a day has no zone)
        except ValueError:
            continue
    return None


def located(made: Import, path: str, reason: str, plural_of: Mapping[str, str], language: Language) -> RowError:
    """A refusal of the log (`users[3].email`) by the line and column that it is about."""
    match = re.fullmatch(r"([a-z_]+)\[([0-9]+)\]\.?(.*)", path)
    kind = plural_of.get(match[1]) if match else None
    if match is None or kind is None:
        return RowError(1, "", "", in_words(f"{path}: {reason}", language))
    place, document = made.places[kind][int(match[2])], made.documents[kind][int(match[2])]
    name = "extension" if kind == Extension.KIND else match[3]
    outer = match[3].partition(".")[0]
    value = document.get(outer, "")
    shown = "" if isinstance(value, dict | list) else str(value)[:100]
    return RowError(place.line, place.columns.get(name) or place.columns.get(outer) or match[3], shown, in_words(reason, language))


def exceeding(made: Import, kind: str, current: Collection[str], limit: int | None, reason: str, language: Language) -> RowError:
    """What was bought does not do: told by the first new row that is above it, or by the first new one where all are."""
    added = [place for document, place in zip(made.documents[kind], made.places[kind], strict=True) if document["id"] not in current]
    if not added:
        return RowError(1, "", "", in_words(reason, language))
    beyond = 0 if limit is None else max(0, limit - len(current))
    return RowError(added[min(beyond, len(added) - 1)].line, "", "", in_words(reason, language))


def listed(made: Import, others: Iterable[RowError]) -> list[RowError]:
    """All that is wrong, by line and in the file's order of columns: a cell that could not be read, or a row of which one could not, is
    blamed for nothing that comes of it."""
    cells = {(error.line, error.column) for error in made.errors}
    lines = {error.line for error in made.errors}
    more = [each for each in others if (each.line, each.column) not in cells and (each.column in made.header or each.line not in lines)]
    places = {name: place for place, name in enumerate(made.header)}
    return sorted({*made.errors, *more}, key=lambda error: (error.line, places.get(error.column, -1), error.reason))
