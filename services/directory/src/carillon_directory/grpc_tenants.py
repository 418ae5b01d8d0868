"""The tenants themselves and what was sold to them: for operators, for resellers those below them, and for admins their own.

Always: a tenant that is not the caller's to see is not there for them, and nobody brings one to somebody whom they do not see.
"""

from collections.abc import Container, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
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
from carillon_directory.grpc_history import change_message
from carillon_directory.handlers import Directory, Executed, Moment
from carillon_directory.looking_back import Page
from carillon_directory.ports import Recorded
from carillon_kit import pages
from carillon_kit.auth import ADMIN, OPERATOR, RESELLER
from carillon_kit.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from carillon_kit.grpc_server import GrpcServer, current_principal, current_tenant, current_token

_PACKAGE = "carillon.directory.v1"
_ABOVE = "is for ApplyInstallationBatch, or the tenant's own service"
SELLERS = frozenset({str(OPERATOR), str(RESELLER)})
_ALL = SELLERS | {str(ADMIN)}
TENANT_RIGHTS: Mapping[str, frozenset[str]] = {
    "GetTenant": _ALL,
    "ListTenants": SELLERS,
    "ListTenantChanges": _ALL,
    "CreateTenant": SELLERS,
    "UpdateTenant": _ALL,
    "DeleteTenant": SELLERS,
    "EnterTenant": frozenset({str(RESELLER)}),
}
SUBSCRIPTION_RIGHTS: Mapping[str, frozenset[str]] = {
    "GetSubscription": _ALL,
    "ListSubscriptions": SELLERS,
    "UpdateSubscription": SELLERS,
}


class Sold:
    """The tenants as the caller sees them."""

    def __init__(self, directory: Directory, resellers: PostgresResellers) -> None:
        self.directory = directory
        self.resellers = resellers

    async def get(self, tenant_id: str, moment: Moment = None) -> TenantConfig:
        """Who sells to it now, or did last, decides, also of its past. Raises `NotFound`."""
        await self.check_seen(tenant_id, await self.resellers.all(), gone=moment is not None)
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
            now = await self.directory.read(name)
            seller = await self._seller(name, now, gone=moment is not None)
            if seller is not None and (seen is None or seller in seen):
                then = now if moment is None else await self.directory.read(name, moment)
                found |= {name: then} if isinstance(then, TenantConfig) else {}
            if plain and len(found) > pages.page_size(request.page_size):
                break
        page, token = paged(Tenant, (config.tenant for config in found.values()), request)
        return [found[each.id] for each in page], token

    async def changes(self, request: pb.ListTenantChangesRequest) -> tuple[Sequence[Recorded], str]:
        """A page of what happened to a tenant itself, newest first, and the token of the next. Raises `NotFound`."""
        await self.check_seen(request.id, await self.resellers.all(), gone=True)
        config = await self.directory.read(request.id)
        if isinstance(config, TenantConfig) and not reach_of(config).covers(config.tenant):
            raise NotFound(f"tenant {request.id!r}")
        before, size = position_of(request.page_token, {"before": int}).get("before"), pages.page_size(request.page_size)
        page = or_raise(await self.directory.history(request.id, before, size, Tenant.KIND, request.id))
        return page.changes, pages.encode_token({"before": page.before}) if page.before else ""

    async def check_seen(self, tenant_id: str, known: Resellers, *, gone: bool = False) -> str:
        """Who sells to the tenant, or (`gone`: one that is no more will do) did last. Raises `NotFound` unless the caller sees it."""
        own, seen = current_principal().tenant, seen_of(known)
        if own is not None and own != tenant_id:
            raise NotFound(f"tenant {tenant_id!r}")
        seller = await self._seller(tenant_id, await self.directory.read(tenant_id), gone=gone)
        if seller is None or (own is None and seen is not None and seller not in seen):
            raise NotFound(f"tenant {tenant_id!r}")
        return seller

    async def _seller(self, tenant_id: str, now: TenantConfig | Refused, *, gone: bool) -> str | None:
        """Who sells to the tenant, or did last; None: there is none."""
        if isinstance(now, TenantConfig):
            return now.tenant.reseller_id
        past = await self.directory.history(tenant_id, None, 1, Tenant.KIND, tenant_id) if gone else now
        return str((past.changes[0].change.before or {}).get("reseller_id", "")) if isinstance(past, Page) and past.changes else None

    async def check_seller(self, reseller_id: str, before: str) -> None:
        """Whether a tenant may become the reseller's. Raises `InvalidArgument`, `FailedPrecondition`."""
        if current_principal().tenant is not None:
            return  # Refused by the decision, which says that it is not an admin's to change.
        known = await self.resellers.all()
        seen = seen_of(known)
        check_known(reseller_id, known if seen is None else seen, seen is None)
        if reseller_id and reseller_id != before:
            sold_by = [each.tenant.reseller_id async for each in tenants_of(self.directory)]
            if reason := tree.full(known, reseller_id, sold_by):
                raise FailedPrecondition([("SUBSCRIPTION", "reseller.max_tenants", reason)])

    async def check_past(self, tenant_id: str, known: Resellers) -> None:
        """Whether a tenant of the id may begin: the past of one that was deleted is for operators and for who sees its last seller.

        Raises `AlreadyExists`."""
        seen, now = seen_of(known), await self.directory.read(tenant_id)
        if seen is None or isinstance(now, TenantConfig):
            return
        if (seller := await self._seller(tenant_id, now, gone=True)) is not None and seller not in seen:
            raise AlreadyExists(f"tenant {tenant_id!r}")

    async def update(self, request: Any, message: Any, paths: tuple[str, ...]) -> TenantConfig:
        """Fields of a tenant become what the message, which has them by the same names, says."""
        return (await execute(self.directory, message.id, update_of(message, paths, request.reason))).config


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
        page, token = await self._sold.page(request, _time_of(request))
        return pb.ListTenantsResponse(tenants=map(tenant_message, page), next_page_token=token)

    async def CreateTenant(self, request: pb.CreateTenantRequest, context: object) -> pb.CreateTenantResponse:
        """A new company, empty; a reseller's own unless it names one below."""
        tenant = new_tenant(request)
        async with self._sold.resellers.selling():
            await self._sold.check_seller(tenant.reseller_id, "")
            await self._sold.check_past(tenant.id, await self._sold.resellers.all())
            executed = await execute(self._sold.directory, tenant.id, creation_of(tenant, request.reason))
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
        await execute(self._sold.directory, request.id, deletion_of(request, request.reason))
        return pb.DeleteTenantResponse()

    async def ListTenantChanges(self, request: pb.ListTenantChangesRequest, context: object) -> pb.ListTenantChangesResponse:
        """Newest first."""
        page, token = await self._sold.changes(request)
        return pb.ListTenantChangesResponse(changes=map(change_message, page), next_page_token=token)

    async def EnterTenant(self, request: pb.EnterTenantRequest, context: object) -> pb.EnterTenantResponse:
        """A token for what admins do, in the reseller's name."""
        await self._sold.check_seen(request.id, await self._sold.resellers.all())
        tokens = await self._authentication.enter(request.id, current_token(), request.reason)
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
        page, token = await self._sold.page(request, _time_of(request))
        return pb.ListSubscriptionsResponse(tenant_subscriptions=map(_subscription, page), next_page_token=token)

    async def UpdateSubscription(self, request: pb.UpdateSubscriptionRequest, context: object) -> pb.UpdateSubscriptionResponse:
        """The fields of the mask; what is output only stays."""
        message = required(request, "tenant_subscription")
        paths = tuple(path for path in paths_of(request, message) if path.partition(".")[0] in ("subscription", "limits"))
        await self._sold.check_seen(message.id, await self._sold.resellers.all())
        return pb.UpdateSubscriptionResponse(tenant_subscription=_subscription(await self._sold.update(request, message, paths)))


class OwnTenant:
    """The tenant in a batch of what is in it (`grpc_batch.Servicer`): changed, but for what is looked at among all tenants."""

    async def create_command(self, request: pb.CreateTenantRequest) -> CreateResource:
        """Raises `InvalidArgument`."""
        raise InvalidArgument({"@type": _ABOVE})

    async def delete_command(self, request: pb.DeleteTenantRequest) -> DeleteResource:
        """Raises `InvalidArgument`."""
        raise InvalidArgument({"@type": _ABOVE})

    async def update_command(self, request: pb.UpdateTenantRequest) -> UpdateResource:
        """Raises `InvalidArgument`, `PermissionDenied`."""
        message = required(request, Tenant.KIND)
        if not current_principal().roles & _ALL:
            raise PermissionDenied("the tenant itself is changed by its admins")
        if message.id != current_tenant():
            raise InvalidArgument({"tenant.id": f"is not the tenant that is being changed, {current_tenant()!r}"})
        paths = paths_of(request, message)
        if wrong := {"realm", "reseller_id"}.intersection(paths):
            raise InvalidArgument({f"tenant.{name}": _ABOVE for name in wrong})
        return update_of(message, paths, "")

    def written(self, verb: str, executed: Executed, resource_id: str) -> pb.UpdateTenantResponse:
        """The answer."""
        return pb.UpdateTenantResponse(tenant=tenant_message(executed.config))


def add_services(server: GrpcServer, sold: Sold, authentication: Authentication) -> None:
    """Both services with their rights."""
    tenants, subscriptions = TenantServicer(sold, authentication), SubscriptionServicer(sold)
    server.add(add_TenantServiceServicer_to_server, tenants, f"{_PACKAGE}.TenantService", TENANT_RIGHTS)
    server.add(add_SubscriptionServiceServicer_to_server, subscriptions, f"{_PACKAGE}.SubscriptionService", SUBSCRIPTION_RIGHTS)


def new_tenant(request: pb.CreateTenantRequest) -> pb.Tenant:
    """What a request makes; a reseller's own unless it names one below. Raises `InvalidArgument`."""
    tenant: pb.Tenant = required(request, Tenant.KIND)
    if not tenant.reseller_id and RESELLER in current_principal().roles:
        tenant.reseller_id = current_principal().reseller
    return tenant


def creation_of(tenant: pb.Tenant, reason: str) -> CreateResource:
    """The command that makes it."""
    return CreateResource(actor=current_principal().subject, reason=reason, kind=Tenant.KIND, document=to_document(tenant))


def update_of(message: Any, paths: tuple[str, ...], reason: str) -> UpdateResource:
    """The command that lets fields of a tenant become what the message, which has them by the same names, says."""
    return UpdateResource(
        actor=current_principal().subject,
        bounds=bounds_of(current_principal()),
        reason=reason,
        kind=Tenant.KIND,
        resource_id=message.id,
        document=to_document(message),
        paths=paths,
        etag=message.etag,
    )


def deletion_of(request: pb.DeleteTenantRequest, reason: str) -> DeleteResource:
    """The command that takes it out."""
    return DeleteResource(actor=current_principal().subject, reason=reason, kind=Tenant.KIND, resource_id=request.id, etag=request.etag)


def check_known(reseller_id: str, among: Container[str], or_none: bool) -> None:
    """Whether a tenant may be sold by the reseller; `or_none`: or by the operator. Raises `InvalidArgument`."""
    if reseller_id not in among and (reseller_id or not or_none):
        raise InvalidArgument({"tenant.reseller_id": f"no reseller {reseller_id!r}"})


def _time_of(request: Any) -> datetime | None:
    moment = moment_of(request)
    if isinstance(moment, int):
        raise InvalidArgument({"as_of.config_seq": "counts within one tenant; give a time"})
    return moment


def _subscription(config: TenantConfig) -> pb.TenantSubscription:
    message = to_message(dump(config.tenant), pb.TenantSubscription)
    message.in_use.CopyFrom(pb.SubscriptionUse(**in_use(config)))
    return message
