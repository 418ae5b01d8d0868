"""The service of import.proto: a whole company in and out, in one message or in parts.

A company may be tens of thousands of resources: what costs by the resource is done beside the loop.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import islice

from pydantic import JsonValue

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.import_pb2_grpc import ImportServiceServicer
from carillon_contracts.config import RESOURCES, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.postgres_resellers import PostgresResellers
from carillon_directory.adapters.proto_mapping import to_document, to_message
from carillon_directory.adapters.secrets_in import SecretsIn
from carillon_directory.domain.commands import ApplyCompany
from carillon_directory.domain.documents import dump
from carillon_directory.grpc_common import (
    PASSWORD_BYTES,
    applied,
    bounds_of,
    credential_message,
    execute,
    is_operator,
    moment_of,
    or_raise,
)
from carillon_directory.grpc_findings import warnings_of_all
from carillon_directory.handlers import Directory, Executed
from carillon_directory.whole_tenant import current_whole_tenant
from carillon_kit.errors import InvalidArgument
from carillon_kit.grpc_server import current_principal, current_tenant
from carillon_kit.ids import Ids

#: Of all parts of an import; 50,000 users with all that belongs to them are a fifth of it.
MOST_BYTES = 256 * 1024 * 1024
#: Resources or changes in one part of an answer; each resource is 256 KiB at most, so a part of large ones is kept small by its bytes.
_PART = 2000
#: Plans in one part, of 500 nodes each at most.
_PLANS = 10
_PART_BYTES = 4 * 1024 * 1024


class ImportServicer(ImportServiceServicer):
    """A whole company in one step."""

    def __init__(self, directory: Directory, ids: Ids, secrets: SecretsIn, resellers: PostgresResellers) -> None:
        self._directory = directory
        self._resellers = resellers
        self._ids = ids
        self._secrets = secrets

    async def ApplyTenant(self, request: pb.ApplyTenantRequest, context: object) -> pb.ApplyTenantResponse:
        """All or nothing; in a dry run nothing, with every change, or every error (of very many the first ones, and how many more)."""
        executed = await self._execute(request)
        return await asyncio.to_thread(_answer, executed, dry_run=request.dry_run)

    async def ImportTenant(
        self, requests: AsyncIterator[pb.ImportTenantRequest], context: object
    ) -> AsyncIterator[pb.ImportTenantResponse]:
        """The same of joined parts."""
        whole = pb.ApplyTenantRequest()
        room = MOST_BYTES
        async for request in requests:
            room -= request.ByteSize()
            if room < 0:
                raise InvalidArgument({"part": f"all parts together are larger than {MOST_BYTES} bytes"})
            whole.MergeFrom(request.part)
        count = sum(len(value) for field, value in whole.ListFields() if field.is_repeated)
        yield pb.ImportTenantResponse(progress=pb.ImportProgress(resources=count))
        executed = await self._execute(whole)
        answers = _answers(executed, dry_run=whole.dry_run)
        while (part := await asyncio.to_thread(next, answers, None)) is not None:
            yield pb.ImportTenantResponse(applied=part)

    async def ExportTenant(self, request: pb.ExportTenantRequest, context: object) -> AsyncIterator[pb.ExportTenantResponse]:
        """Everything as of a moment, in parts."""
        config = or_raise(await self._directory.read(current_whole_tenant(), moment_of(request)))
        parts = _exported(config)
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            yield pb.ExportTenantResponse(part=part, config_seq=config.seq)

    async def _execute(self, request: pb.ApplyTenantRequest) -> Executed:
        tenant_id = _applied_tenant(request)
        if is_operator() and request.tenant.reseller_id and request.tenant.reseller_id not in await self._resellers.all():
            raise InvalidArgument({"tenant.reseller_id": f"no reseller {request.tenant.reseller_id!r}"})
        principal = current_principal()
        command = ApplyCompany(
            actor=principal.subject,
            bounds=bounds_of(principal),
            reason=request.reason,
            documents=await asyncio.to_thread(lambda: self._secrets.sealed_all(tenant_id, _documents(request))),
            prune=request.prune,
            spare_passwords={each.id: self._ids.token(PASSWORD_BYTES) for each in request.sip_credentials if not each.password},
        )
        return await execute(self._directory, tenant_id, command, dry_run=request.dry_run)


def _applied_tenant(request: pb.ApplyTenantRequest) -> str:
    """The caller's tenant; an operator may name it by the request's tenant alone."""
    named = request.tenant.id if request.HasField("tenant") else ""
    try:
        tenant_id = current_tenant()
    except InvalidArgument:
        if not is_operator() or not named:
            raise
        return named
    if request.HasField("tenant") and named != tenant_id:
        raise InvalidArgument({"tenant.id": f"is not the tenant that is being changed, {tenant_id!r}"})
    return tenant_id


def _documents(request: pb.ApplyTenantRequest) -> dict[str, list[dict[str, JsonValue]]]:
    kinds = {kind: model.PLURAL for kind, model in RESOURCES.items() if model is not Tenant}
    found = {kind: [to_document(message) for message in getattr(request, plural)] for kind, plural in kinds.items()}
    if request.HasField("tenant"):
        found[Tenant.KIND] = [to_document(request.tenant)]
    return found


def _answer(executed: Executed, *, dry_run: bool) -> pb.ApplyTenantResponse:
    """The answer in one."""
    whole = pb.ApplyTenantResponse()
    for part in _answers(executed, dry_run=dry_run):
        whole.MergeFrom(part)
    return whole


def _answers(executed: Executed, *, dry_run: bool) -> Iterator[pb.ApplyTenantResponse]:
    """The answer in parts: changes, then passwords that were made, then what is odd about plans, then the version."""
    changes = iter(executed.changes)
    while some := list(islice(changes, _PART)):
        yield pb.ApplyTenantResponse(changes=applied(some))
    made = iter(() if dry_run else executed.passwords.items())
    while passwords := list(islice(made, _PART)):
        shown = [credential_message(executed.config.sip_credentials[name], password) for name, password in passwords]
        yield pb.ApplyTenantResponse(new_credentials=shown)
    odd = iter(warnings_of_all(executed))
    while warnings := list(islice(odd, _PLANS)):
        yield pb.ApplyTenantResponse(warnings=warnings)
    yield pb.ApplyTenantResponse(config_seq=executed.config.seq)


def _exported(config: TenantConfig) -> Iterator[pb.ApplyTenantRequest]:
    """The tenant first, then kind by kind, each by id."""
    part = pb.ApplyTenantRequest(tenant=to_message(dump(config.tenant), pb.Tenant))
    count = size = 0
    for kind, model in RESOURCES.items():
        for resource in () if model is Tenant else config.resources.get(kind, {}).values():
            message = getattr(part, model.PLURAL).add()
            message.CopyFrom(to_message(dump(resource), type(message)))
            count, size = count + 1, size + message.ByteSize()
            if count >= _PART or size >= _PART_BYTES:
                yield part
                part, count, size = pb.ApplyTenantRequest(), 0, 0
    yield part
