"""Resellers, and the tenants themselves: for operators, and for resellers what is below them.

Always: what is not below a reseller is not there for it, and it brings no tenant to anybody else.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.reseller_pb2_grpc import ResellerServiceServicer
from carillon.directory.v1.tenant_pb2_grpc import TenantServiceServicer
from carillon_contracts.config import Reseller, Tenant
from carillon_directory.adapters.postgres_resellers import PostgresResellers, Resellers
from carillon_directory.adapters.proto_mapping import mask_error, mask_paths, to_document, to_message
from carillon_directory.domain import resellers as tree
from carillon_directory.domain.commands import CreateResource, UpdateResource
from carillon_directory.domain.documents import dump, patched
from carillon_directory.grpc_common import execute, moment_of, or_raise, page_of, position_of, required, tenant_message
from carillon_directory.handlers import Directory
from carillon_kit import pages
from carillon_kit.auth import OPERATOR, RESELLER
from carillon_kit.errors import FailedPrecondition, InvalidArgument, NotFound
from carillon_kit.grpc_server import current_principal

_OPERATORS = frozenset({str(OPERATOR)})
_BOTH = _OPERATORS | {str(RESELLER)}
TENANT_RIGHTS: Mapping[str, frozenset[str]] = dict.fromkeys(("GetTenant", "ListTenants", "CreateTenant", "UpdateTenant"), _BOTH)
RESELLER_RIGHTS: Mapping[str, frozenset[str]] = dict.fromkeys(("GetReseller", "ListResellers"), _BOTH) | dict.fromkeys(
    ("CreateReseller", "UpdateReseller", "DeleteReseller"), _OPERATORS
)


def _seen(known: Resellers) -> frozenset[str] | None:
    """Resellers that the caller sees; None: an operator sees everything."""
    principal = current_principal()
    return None if OPERATOR in principal.roles else tree.below(known, principal.reseller)


class TenantServicer(TenantServiceServicer):
    """See tenant.proto."""

    def __init__(self, directory: Directory, resellers: PostgresResellers) -> None:
        self._directory = directory
        self._resellers = resellers

    async def GetTenant(self, request: pb.GetTenantRequest, context: object) -> pb.GetTenantResponse:
        """One tenant, as of a moment."""
        await self._check_seen(request.id, await self._resellers.all())
        config = or_raise(await self._directory.read(request.id, moment_of(request)))
        return pb.GetTenantResponse(tenant=tenant_message(config))

    async def ListTenants(self, request: pb.ListTenantsRequest, context: object) -> pb.ListTenantsResponse:
        """A page by id; of a reseller, those that it and the ones below it sell to."""
        known = await self._resellers.all()
        seen = _seen(known)
        if request.reseller_id:
            if request.reseller_id not in known or (seen is not None and request.reseller_id not in seen):
                raise InvalidArgument({"reseller_id": f"no reseller {request.reseller_id!r}"})
            seen = tree.below(known, request.reseller_id)
        after = position_of(request.page_token, {"after": str}).get("after", "")
        size = pages.page_size(request.page_size)
        found: list[pb.Tenant] = []
        for name in await self._directory.tenants():
            if name > after and len(found) <= size:
                config = or_raise(await self._directory.read(name))
                if seen is None or config.tenant.reseller_id in seen:
                    found.append(tenant_message(config))
        page, more = page_of(found, size)
        return pb.ListTenantsResponse(tenants=page, next_page_token=pages.encode_token({"after": page[-1].id}) if more else "")

    async def CreateTenant(self, request: pb.CreateTenantRequest, context: object) -> pb.CreateTenantResponse:
        """A new company, empty; a reseller's own unless it names one below."""
        tenant = required(request, Tenant.KIND)
        if not tenant.reseller_id and RESELLER in current_principal().roles:
            tenant.reseller_id = current_principal().reseller
        async with self._resellers.selling():
            await self._check_seller(tenant.reseller_id, "")
            command = CreateResource(actor=current_principal().subject, kind=Tenant.KIND, document=to_document(tenant))
            executed = await execute(self._directory, tenant.id, command)
        return pb.CreateTenantResponse(tenant=tenant_message(executed.config))

    async def UpdateTenant(self, request: pb.UpdateTenantRequest, context: object) -> pb.UpdateTenantResponse:
        """The fields of the mask."""
        tenant = required(request, Tenant.KIND)
        paths = _paths(request, tenant)
        async with self._resellers.selling():
            known = await self._resellers.all()
            before = await self._check_seen(tenant.id, known)
            if "reseller_id" in paths:
                await self._check_seller(tenant.reseller_id, before)
            command = UpdateResource(
                actor=current_principal().subject,
                reason=request.reason,
                kind=Tenant.KIND,
                resource_id=tenant.id,
                document=to_document(tenant),
                paths=paths,
                etag=tenant.etag,
            )
            executed = await execute(self._directory, tenant.id, command)
        return pb.UpdateTenantResponse(tenant=tenant_message(executed.config))

    async def _check_seen(self, tenant_id: str, known: Resellers) -> str:
        """Who sells to the tenant. Raises `NotFound` unless the caller sees it."""
        seller = or_raise(await self._directory.read(tenant_id)).tenant.reseller_id
        seen = _seen(known)
        if seen is not None and seller not in seen:
            raise NotFound(f"tenant {tenant_id!r}")
        return seller

    async def _check_seller(self, reseller_id: str, before: str) -> None:
        """Whether a tenant may become the reseller's. Raises `InvalidArgument`, `FailedPrecondition`."""
        known = await self._resellers.all()
        seen = _seen(known)
        if reseller_id not in (known if seen is None else seen) and (reseller_id or seen is not None):
            raise InvalidArgument({"tenant.reseller_id": f"no reseller {reseller_id!r}"})
        if reseller_id and reseller_id != before:
            sold_by = [or_raise(await self._directory.read(name)).tenant.reseller_id for name in await self._directory.tenants()]
            if reason := tree.full(known, reseller_id, sold_by):
                raise FailedPrecondition([("SUBSCRIPTION", "reseller.max_tenants", reason)])


class ResellerServicer(ResellerServiceServicer):
    """See reseller.proto."""

    def __init__(self, directory: Directory, resellers: PostgresResellers) -> None:
        self._directory = directory
        self._resellers = resellers

    async def GetReseller(self, request: pb.GetResellerRequest, context: object) -> pb.GetResellerResponse:
        """One."""
        known = await self._resellers.all()
        seen = _seen(known)
        if request.id not in (known if seen is None else seen):
            raise NotFound(f"reseller {request.id!r}")
        return pb.GetResellerResponse(reseller=_message(known[request.id]))

    async def ListResellers(self, request: pb.ListResellersRequest, context: object) -> pb.ListResellersResponse:
        """A page by id."""
        after = position_of(request.page_token, {"after": str}).get("after", "")
        known = await self._resellers.all()
        seen = _seen(known)
        found = [each for name, each in known.items() if name > after and (seen is None or name in seen)]
        page, more = page_of(found, pages.page_size(request.page_size))
        token = pages.encode_token({"after": page[-1].id}) if more else ""
        return pb.ListResellersResponse(resellers=[_message(each) for each in page], next_page_token=token)

    async def CreateReseller(self, request: pb.CreateResellerRequest, context: object) -> pb.CreateResellerResponse:
        """A new one."""
        document = to_document(required(request, Reseller.KIND))
        return pb.CreateResellerResponse(reseller=_message(await self._resellers.create(lambda known: _checked(known, document))))

    async def UpdateReseller(self, request: pb.UpdateResellerRequest, context: object) -> pb.UpdateResellerResponse:
        """The fields of the mask."""
        message = required(request, Reseller.KIND)
        paths, document = _paths(request, message), to_document(message)

        def change(known: Resellers) -> Reseller:
            return _checked(known, {**patched(dump(known[message.id]), document, paths), "id": message.id})

        return pb.UpdateResellerResponse(reseller=_message(await self._resellers.update(message.id, message.etag, change)))

    async def DeleteReseller(self, request: pb.DeleteResellerRequest, context: object) -> pb.DeleteResellerResponse:
        """Its API keys go with it."""
        async with self._resellers.selling():
            sold = [(name, or_raise(await self._directory.read(name)).tenant.reseller_id) for name in await self._directory.tenants()]
            tenants = [f"tenant/{name}" for name, seller in sold if seller == request.id]

            def check(known: Resellers) -> None:
                holders = [*(f"reseller/{each.id}" for each in known.values() if each.parent_reseller_id == request.id), *tenants]
                if holders:
                    raise FailedPrecondition([("REFERENCE", holder, f"is below reseller {request.id!r}") for holder in holders])

            await self._resellers.delete(request.id, request.etag, check)
        return pb.DeleteResellerResponse()


def _checked(known: Resellers, document: Mapping[str, Any]) -> Reseller:
    """Raises `InvalidArgument` with every field that is wrong."""
    try:
        reseller = Reseller.model_validate({name: value for name, value in document.items() if name != "etag"})
    except ValidationError as error:
        found = InvalidArgument.of(error).violations
        raise InvalidArgument({f"reseller.{field}": reason for field, reason in found.items()}) from error
    if wrong := tree.wrong(known, reseller):
        raise InvalidArgument(wrong)
    return reseller


def _message(reseller: Reseller) -> pb.Reseller:
    return to_message(dump(reseller), pb.Reseller)


def _paths(request: Any, message: Any) -> tuple[str, ...]:
    """Of the update mask; raises `InvalidArgument`."""
    wrong = {path: mask_error(path, message.DESCRIPTOR) for path in request.update_mask.paths if path != "*"}
    if violations := {f"update_mask.{path}": reason for path, reason in wrong.items() if reason}:
        raise InvalidArgument(violations)
    return mask_paths(request.update_mask.paths, message)
