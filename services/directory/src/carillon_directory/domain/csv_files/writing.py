"""A table of the tenant as a CSV file that spreadsheets open and `reading` takes back."""

import csv
import io
from collections.abc import Iterator

from carillon_contracts.config import Resource
from carillon_contracts.languages import Language
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.csv_files.reading import GUARDED
from carillon_directory.domain.csv_files.tables import Column, Table

_ROWS_A_CHUNK = 500


def written(table: Table, config: TenantConfig, language: Language) -> Iterator[bytes]:
    """The file in chunks: byte order mark, header, a row a resource by id; no cell is a formula to a spreadsheet."""
    extensions = {each.destination.user_id: name for name, each in sorted(config.extensions.items(), reverse=True)}
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
    value: object = resource
    for name in column.field.split("."):
        value = getattr(value, name, None)
    return "" if value is None else str(value)


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(GUARDED) else cell


def _taken(out: io.StringIO) -> bytes:
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return text.encode()
