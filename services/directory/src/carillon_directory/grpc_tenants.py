"""The tenants themselves and what was sold to them: for operators, for resellers those below them, and for admins their own.

Always: a tenant that is not the caller's to see is not there for them, and nobody brings one to somebody whom they do not see.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.subscription_pb2_grpc import SubscriptionServiceServicer, add_SubscriptionServiceServicer_to_server
from carillon.directory.v1.tenant_pb2_grpc import TenantServiceServicer, add_TenantServiceServicer_to_server
from carillon_contracts.config import Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.postgres_resellers import PostgresResellers, Resellers
from carillon_directory.adapters.proto_mapping import to_document, to_message
from carillon_directory.authentication import Authentication
from carillon_directory.domain import resellers as tree
from carillon_directory.domain.commands import CreateResource, DeleteResource, UpdateResource
from carillon_directory.domain.documents import dump
from carillon_directory.domain.outcomes import Refused
from carillon_directory.domain.subscriptions import in_use
from carillon_directory.grpc_common import (
    bounds_of,
    execute,
    moment_of,
    or_raise,
    paged,
    paths_of,
    position_of,
    reach_of,
    required,
    seen_of,
    tenant_message,
    tenants_of,
)
from carillon_directory.handlers import Directory, Moment
from carillon_kit import pages
from carillon_kit.auth import ADMIN, OPERATOR, RESELLER
from carillon_kit.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from carillon_kit.grpc_server import GrpcServer, current_principal

_PACKAGE = "carillon.directory.v1"
_SELLERS = frozenset({str(OPERATOR), str(RESELLER)})
_ALL = _SELLERS | {str(ADMIN)}
TENANT_RIGHTS: Mapping[str, frozenset[str]] = {
    "GetTenant": _ALL,
    "ListTenants": _SELLERS,
    "CreateTenant": _SELLERS,
    "UpdateTenant": _ALL,
    "DeleteTenant": _SELLERS,
    "EnterTenant": frozenset({str(RESELLER)}),
}
SUBSCRIPTION_RIGHTS: Mapping[str, frozenset[str]] = {
    "GetSubscription": _ALL,
    "ListSubscriptions": _SELLERS,
    "UpdateSubscription": _SELLERS,
}


class Sold:
    """The tenants as the caller sees them."""

    def __init__(self, directory: Directory, resellers: PostgresResellers) -> None:
        self.directory = directory
        self.resellers = resellers

    async def get(self, tenant_id: str, moment: Moment = None) -> TenantConfig:
        """Who sells to it now decides, also of its past. Raises `NotFound`."""
        await self.check_seen(tenant_id, await self.resellers.all())
        config = or_raise(await self.directory.read(tenant_id, moment))
        if not reach_of(config).covers(config.tenant):
            raise NotFound(f"tenant {tenant_id!r}")
        return config

    async def seen(self) -> dict[str, TenantConfig]:
        """Every tenant that the caller sees, by id."""
        seen = seen_of(await self.resellers.all())
        return {each.tenant_id: each async for each in tenants_of(self.directory) if seen is None or each.tenant.reseller_id in seen}

    async def page(self, request: Any, moment: Moment = None) -> tuple[list[TenantConfig], str]:
        """Those that the caller sees (of a reseller, those that it and the ones below it sell to), and the token of the next page.

        Without a filter and an order no more of them are read than the page shows. Raises `InvalidArgument`.
        """
        known = await self.resellers.all()
        seen = seen_of(known)
        if request.reseller_id:
            if request.reseller_id not in known or (seen is not None and request.reseller_id not in seen):
                raise InvalidArgument({"reseller_id": f"no reseller {request.reseller_id!r}"})
            seen = tree.below(known, request.reseller_id)
        plain = not (request.filter.strip() or request.order_by.strip())
        after = str(position_of(request.page_token, {"after": str}).get("after", "")) if plain else ""
        found: dict[str, TenantConfig] = {}
        for name in await self.directory.tenants():
            if name <= after:
                continue
            config = await self.directory.read(name)
            if isinstance(config, TenantConfig) and (seen is None or config.tenant.reseller_id in seen):
                then = config if moment is None else await self.directory.read(name, moment)
                found |= {name: then} if isinstance(then, TenantConfig) else {}
            if plain and len(found) > pages.page_size(request.page_size):
                break
        page, token = paged(Tenant, (config.tenant for config in found.values()), request)
        return [found[each.id] for each in page], token

    async def check_seen(self, tenant_id: str, known: Resellers) -> str:
        """Who sells to the tenant. Raises `NotFound` unless the caller sees it."""
        own, seen = current_principal().tenant, seen_of(known)
        if own is not None and own != tenant_id:
            raise NotFound(f"tenant {tenant_id!r}")
        seller = or_raise(await self.directory.read(tenant_id)).tenant.reseller_id
        if own is None and seen is not None and seller not in seen:
            raise NotFound(f"tenant {tenant_id!r}")
        return seller

    async def check_seller(self, reseller_id: str, before: str) -> None:
        """Whether a tenant may become the reseller's. Raises `InvalidArgument`, `FailedPrecondition`."""
        if current_principal().tenant is not None:
            return  # Refused by the decision, which says that it is not an admin's to change.
        known = await self.resellers.all()
        seen = seen_of(known)
        if reseller_id not in (known if seen is None else seen) and (reseller_id or seen is not None):
            raise InvalidArgument({"tenant.reseller_id": f"no reseller {reseller_id!r}"})
        if reseller_id and reseller_id != before:
            sold_by = [each.tenant.reseller_id async for each in tenants_of(self.directory)]
            if reason := tree.full(known, reseller_id, sold_by):
                raise FailedPrecondition([("SUBSCRIPTION", "reseller.max_tenants", reason)])

    async def check_past(self, tenant_id: str) -> None:
        """Whether a tenant of the id may begin: the past of one that was deleted is for operators and for who sees its last seller.

        Raises `AlreadyExists`."""
        seen = seen_of(await self.resellers.all())
        past = await self.directory.history(tenant_id, None, 1, Tenant.KIND)
        if seen is None or isinstance(past, Refused) or not past or past[0].change.after is not None:
            return
        if (past[0].change.before or {}).get("reseller_id", "") not in seen:
            raise AlreadyExists(f"tenant {tenant_id!r}")

    async def update(self, request: Any, message: Any, paths: tuple[str, ...]) -> TenantConfig:
        """Fields of a tenant become what the message, which has them by the same names, says."""
        command = UpdateResource(
            actor=current_principal().subject,
            bounds=bounds_of(current_principal()),
            reason=request.reason,
            kind=Tenant.KIND,
            resource_id=message.id,
            document=to_document(message),
            paths=paths,
            etag=message.etag,
        )
        return (await execute(self.directory, message.id, command)).config


class TenantServicer(TenantServiceServicer):
    """See tenant.proto."""

    def __init__(self, sold: Sold, authentication: Authentication) -> None:
        self._sold = sold
        self._authentication = authentication

    async def GetTenant(self, request: pb.GetTenantRequest, context: object) -> pb.GetTenantResponse:
        """One tenant, as of a moment."""
        return pb.GetTenantResponse(tenant=tenant_message(await self._sold.get(request.id, moment_of(request))))

    async def ListTenants(self, request: pb.ListTenantsRequest, context: object) -> pb.ListTenantsResponse:
        """A page by id, or in the order that is asked for."""
        page, token = await self._sold.page(request)
        return pb.ListTenantsResponse(tenants=map(tenant_message, page), next_page_token=token)

    async def CreateTenant(self, request: pb.CreateTenantRequest, context: object) -> pb.CreateTenantResponse:
        """A new company, empty; a reseller's own unless it names one below."""
        tenant = required(request, Tenant.KIND)
        if not tenant.reseller_id and RESELLER in current_principal().roles:
            tenant.reseller_id = current_principal().reseller
        async with self._sold.resellers.selling():
            await self._sold.check_seller(tenant.reseller_id, "")
            await self._sold.check_past(tenant.id)
            command = CreateResource(actor=current_principal().subject, kind=Tenant.KIND, document=to_document(tenant))
            executed = await execute(self._sold.directory, tenant.id, command)
        return pb.CreateTenantResponse(tenant=tenant_message(executed.config))

    async def UpdateTenant(self, request: pb.UpdateTenantRequest, context: object) -> pb.UpdateTenantResponse:
        """The fields of the mask."""
        tenant = required(request, Tenant.KIND)
        paths = paths_of(request, tenant)
        # Who is inside stays the tenant's own whoever sells to it, and waits for nobody's sale.
        above = current_principal().tenant is None
        async with self._sold.resellers.selling() if above or "reseller_id" in paths else nullcontext():
            before = await self._sold.check_seen(tenant.id, await self._sold.resellers.all())
            if "reseller_id" in paths:
                await self._sold.check_seller(tenant.reseller_id, before)
            config = await self._sold.update(request, tenant, paths)
        return pb.UpdateTenantResponse(tenant=tenant_message(config))

    async def DeleteTenant(self, request: pb.DeleteTenantRequest, context: object) -> pb.DeleteTenantResponse:
        """An empty one; its keys and logins go with it."""
        await self._sold.check_seen(request.id, await self._sold.resellers.all())
        actor = current_principal().subject
        command = DeleteResource(actor=actor, reason=request.reason, kind=Tenant.KIND, resource_id=request.id, etag=request.etag)
        await execute(self._sold.directory, request.id, command)
        return pb.DeleteTenantResponse()

    async def EnterTenant(self, request: pb.EnterTenantRequest, context: object) -> pb.EnterTenantResponse:
        """A token for what admins do, in the reseller's name."""
        await self._sold.check_seen(request.id, await self._sold.resellers.all())
        tokens = await self._authentication.enter(request.id, current_principal(), request.reason)
        response = pb.EnterTenantResponse(access_token=tokens.access)
        response.access_token_expires_at.FromDatetime(tokens.access_expires_at)
        return response


class SubscriptionServicer(SubscriptionServiceServicer):
    """See subscription.proto."""

    def __init__(self, sold: Sold) -> None:
        self._sold = sold

    async def GetSubscription(self, request: pb.GetSubscriptionRequest, context: object) -> pb.GetSubscriptionResponse:
        """One, as of a moment."""
        return pb.GetSubscriptionResponse(tenant_subscription=_subscription(await self._sold.get(request.id, moment_of(request))))

    async def ListSubscriptions(self, request: pb.ListSubscriptionsRequest, context: object) -> pb.ListSubscriptionsResponse:
        """A page by id, or in the order that is asked for."""
        moment = moment_of(request)
        if isinstance(moment, int):
            raise InvalidArgument({"as_of.config_seq": "counts within one tenant; give a time"})
        page, token = await self._sold.page(request, moment)
        return pb.ListSubscriptionsResponse(tenant_subscriptions=map(_subscription, page), next_page_token=token)

    async def UpdateSubscription(self, request: pb.UpdateSubscriptionRequest, context: object) -> pb.UpdateSubscriptionResponse:
        """The fields of the mask; what is output only stays."""
        message = required(request, "tenant_subscription")
        paths = tuple(path for path in paths_of(request, message) if path.partition(".")[0] in ("subscription", "limits"))
        await self._sold.check_seen(message.id, await self._sold.resellers.all())
        return pb.UpdateSubscriptionResponse(tenant_subscription=_subscription(await self._sold.update(request, message, paths)))


def add_services(server: GrpcServer, sold: Sold, authentication: Authentication) -> None:
    """Both services with their rights."""
    tenants, subscriptions = TenantServicer(sold, authentication), SubscriptionServicer(sold)
    server.add(add_TenantServiceServicer_to_server, tenants, f"{_PACKAGE}.TenantService", TENANT_RIGHTS)
    server.add(add_SubscriptionServiceServicer_to_server, subscriptions, f"{_PACKAGE}.SubscriptionService", SUBSCRIPTION_RIGHTS)


def _subscription(config: TenantConfig) -> pb.TenantSubscription:
    message = to_message(dump(config.tenant), pb.TenantSubscription)
    message.in_use.CopyFrom(pb.SubscriptionUse(**in_use(config)))
    return message
