"""The service of csv.proto: files in chunks, progress while a file is read, everything in one change of the log."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from carillon.directory.v1 import csv_pb2 as pb
from carillon.directory.v1.csv_pb2_grpc import CsvServiceServicer, add_CsvServiceServicer_to_server
from carillon_contracts.config import RESOURCES
from carillon_contracts.languages import Language
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.refusals import api_error
from carillon_directory.domain.commands import ApplyCompany
from carillon_directory.domain.csv_files.reading import MOST_BYTES, Import, RowError, exceeding, listed, located, reading
from carillon_directory.domain.csv_files.tables import TABLES, Table
from carillon_directory.domain.csv_files.writing import written
from carillon_directory.domain.outcomes import Exceeded, Invalid, Refused
from carillon_directory.grpc_common import bounds_of, clashes_of, language_of
from carillon_directory.handlers import Directory, Executed, TooBusy
from carillon_directory.whole_tenant import current_whole_tenant
from carillon_kit.auth import ADMIN, OPERATOR
from carillon_kit.errors import InvalidArgument, Unavailable
from carillon_kit.grpc_server import GrpcServer, current_principal

_SERVICE = "carillon.directory.v1.CsvService"
_RIGHTS = dict.fromkeys(("ImportCsv", "ExportCsv"), frozenset({str(OPERATOR), str(ADMIN)}))
_KINDS = {model.PLURAL: kind for kind, model in RESOURCES.items()}
#: Errors that are listed; a file with more has the same mistake everywhere.
_MOST_ERRORS = 1000


def add_services(server: GrpcServer, directory: Directory) -> None:
    """The service with its rights."""
    server.add(add_CsvServiceServicer_to_server, CsvApi(directory), _SERVICE, _RIGHTS)


class CsvApi(CsvServiceServicer):
    """See csv.proto."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def ImportCsv(self, requests: AsyncIterator[pb.ImportCsvRequest], context: object) -> AsyncIterator[pb.ImportCsvResponse]:
        """See csv.proto."""
        tenant = current_whole_tenant()
        options, raw = await _received(requests)
        table = _table(options.table)
        config = await self._config(tenant)
        language = language_of(config, options.language)
        made = Import()
        steps = reading(table, raw, config, language, made)
        while (rows := await asyncio.to_thread(next, steps, None)) is not None:
            yield pb.ImportCsvResponse(progress=pb.CsvProgress(rows_read=rows))
        yield pb.ImportCsvResponse(progress=pb.CsvProgress(rows_read=made.rows, checking=True))
        command = ApplyCompany(
            actor=current_principal().subject,
            bounds=bounds_of(current_principal()),
            reason=options.reason or "CSV import",
            documents=made.documents,
            short_numbers=True,
        )
        try:
            # Of a file that could not be read everywhere, the rest is checked among what the tenant has as well.
            done = await self._directory.execute(tenant, command, dry_run=options.dry_run or bool(made.errors))
        except TooBusy as busy:
            raise Unavailable(str(busy)) from busy
        errors = listed(made, _refused(done, made, table, config, language))
        for error in errors[:_MOST_ERRORS]:
            yield pb.ImportCsvResponse(error=_error(error))
        if not errors and isinstance(done, Executed):
            yield pb.ImportCsvResponse(result=_result(done, table, made))

    async def ExportCsv(self, request: pb.ExportCsvRequest, context: object) -> AsyncIterator[pb.ExportCsvResponse]:
        """See csv.proto."""
        table = _table(request.table)
        config = await self._config(current_whole_tenant())
        for chunk in written(table, config, language_of(config, request.language)):
            yield pb.ExportCsvResponse(chunk=chunk)

    async def _config(self, tenant: str) -> TenantConfig:
        found = await self._directory.read(tenant)
        if isinstance(found, Refused):
            raise api_error(found)
        return found


async def _received(requests: AsyncIterator[pb.ImportCsvRequest]) -> tuple[pb.ImportCsvOptions, bytes]:
    options: pb.ImportCsvOptions | None = None
    raw = bytearray()
    async for request in requests:
        match request.WhichOneof("part"):
            case "options" if options is None and not raw:
                options = request.options
            case "chunk" if options is not None:
                raw += request.chunk
                if len(raw) > MOST_BYTES:
                    raise InvalidArgument({"chunk": f"the file is larger than {MOST_BYTES} bytes"})
            case _:
                raise InvalidArgument({"part": "options come once and first, then chunks"})
    if options is None:
        raise InvalidArgument({"options": "are needed first"})
    return options, bytes(raw)


def _refused(done: Executed | Refused, made: Import, table: Table, config: TenantConfig, language: Language) -> Iterator[RowError]:
    """What the log finds wrong, row by row; raises the error of what is not about rows."""
    if isinstance(done, Executed):
        return
    if not isinstance(done, Invalid | Exceeded):
        raise api_error(done)
    for violation in done.violations if isinstance(done, Invalid) else ():
        yield located(made, violation.field, violation.reason, _KINDS, language)
    for what, reason in done.excesses:
        limit = getattr(config.tenant.subscription, what) if what == table.kind.PLURAL else None
        yield exceeding(made, table.kind.KIND, config.resources.get(table.kind.KIND, {}), limit, reason, language)


def _table(name: str) -> Table:
    if name not in TABLES:
        raise InvalidArgument({"table": f"must be one of {', '.join(TABLES)}"})
    return TABLES[name]


def _result(done: Executed, table: Table, made: Import) -> pb.CsvResult:
    own = [change.action for change in done.changes if change.resource == table.kind.KIND]
    created, updated = own.count("created"), own.count("updated")
    return pb.CsvResult(
        created=created,
        updated=updated,
        unchanged=made.rows - created - updated,
        config_seq=done.config.seq,
        clashes=clashes_of(done.remarks),
    )


def _error(error: RowError) -> pb.CsvError:
    return pb.CsvError(line=error.line, column=error.column, value=error.value, reason=error.reason)
