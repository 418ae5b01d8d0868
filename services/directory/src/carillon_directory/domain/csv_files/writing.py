"""A table of the tenant as a CSV file that spreadsheets open and `reading` takes back."""

import csv
import io
from collections.abc import Iterator

from carillon_contracts.config import Announcement, Destination, Resource
from carillon_contracts.languages import Language
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.csv_files.tables import Column, Table

_ROWS_A_CHUNK = 500
#: What spreadsheets take for a formula (OWASP: CSV injection); such a cell is written with an apostrophe before it.
GUARDED = ("=", "+", "-", "@", "\t", "\r")


def written(table: Table, config: TenantConfig, language: Language) -> Iterator[bytes]:
    """The file in chunks: byte order mark, header, a row a resource by id; no cell is a formula to a spreadsheet."""
    own_first = sorted(config.extensions.values(), key=lambda each: (bool(each.number_id), each.id), reverse=True)
    extensions = {each.destination.user_id: each.id for each in own_first}
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";")
    writer.writerow(table.header(language))
    yield b"\xef\xbb\xbf"
    of_kind = config.resources.get(table.kind.KIND, {})
    for count, resource_id in enumerate(sorted(of_kind), 1):
        writer.writerow([_guarded(_cell(column, of_kind[resource_id], extensions)) for column in table.columns])
        if count % _ROWS_A_CHUNK == 0:
            yield _taken(out)
    yield _taken(out)


def _cell(column: Column, resource: Resource, extensions: dict[str | None, str]) -> str:
    if column.form == "extension":
        return extensions.get(resource.id, "")
    value: object = getattr(resource, column.field, None)
    if isinstance(value, Destination):
        return destination_text(value)
    return "" if value is None else str(value)


def destination_text(destination: Destination) -> str:
    """Of a user the id, else `ring_group/sales`, `external_number/+41...`, `operator`, `announcement/Closed.`"""
    kind = destination.kind
    value = getattr(destination, kind)
    if isinstance(value, Announcement):
        return f"{kind}/{value.text or value.audio_id}"
    return kind if value is True else str(value) if kind == "user_id" else f"{kind.removesuffix('_id')}/{value}"


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(GUARDED) else cell


def _taken(out: io.StringIO) -> bytes:
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return text.encode()
