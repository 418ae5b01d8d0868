"""The service of search.proto."""

import asyncio
from collections.abc import Callable, Collection, Iterable

from carillon.directory.v1 import search_pb2 as pb
from carillon.directory.v1.search_pb2_grpc import SearchServiceServicer, add_SearchServiceServicer_to_server
from carillon_contracts.config import RESOURCES
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.tenant_log import PostgresTenantLog
from carillon_directory.domain.finding_tenants import beginnings, claimants, tenants_called
from carillon_directory.domain.search import FIELDS, Found
from carillon_directory.grpc_common import reach_of
from carillon_directory.grpc_tenants import Sold
from carillon_directory.searching import Searches
from carillon_kit import pages
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, RESELLER, USER
from carillon_kit.errors import InvalidArgument, NotFound
from carillon_kit.grpc_server import GrpcServer, current_principal, current_tenant

_SERVICE = "carillon.directory.v1.SearchService"
_RIGHTS = {
    "Search": frozenset({str(OPERATOR), str(ADMIN), str(DEPARTMENT_ADMIN), str(USER)}),
    "ListUses": frozenset({str(OPERATOR), str(ADMIN), str(DEPARTMENT_ADMIN)}),
    "SearchTenants": frozenset({str(OPERATOR), str(RESELLER)}),
}
#: For looking into one tenant after the other.
_PATIENCE = 1.0
_LONGEST_QUERY = 200
_PAGE, _LARGEST_PAGE = 20, 200


def add_services(server: GrpcServer, searches: Searches, sold: Sold, log: PostgresTenantLog) -> None:
    """The service with its rights."""
    server.add(add_SearchServiceServicer_to_server, SearchApi(searches, sold, log), _SERVICE, _RIGHTS)


class SearchApi(SearchServiceServicer):
    """See search.proto."""

    def __init__(self, searches: Searches, sold: Sold, log: PostgresTenantLog) -> None:
        self._searches = searches
        self._sold = sold
        self._log = log

    async def Search(self, request: pb.SearchRequest, context: object) -> pb.SearchResponse:
        """See search.proto."""
        violations = {}
        if len(request.query) > _LONGEST_QUERY:
            violations["query"] = f"at most {_LONGEST_QUERY} characters"
        for index, kind in enumerate(request.kinds):
            if kind not in RESOURCES:
                violations[f"kinds[{index}]"] = f"no kind of resource {kind[:64]!r}"
        if violations:
            raise InvalidArgument(violations)
        tenant = current_tenant()
        known = await self._searches.index(tenant)
        if known is None:
            raise NotFound(f"tenant {tenant!r}")
        index_, config = known
        size = pages.page_size(request.page_size, _PAGE, _LARGEST_PAGE)
        found, more = index_.find(request.query, size, frozenset(request.kinds), _seen(config))
        return pb.SearchResponse(results=map(_result, found), more=more)

    async def ListUses(self, request: pb.ListUsesRequest, context: object) -> pb.ListUsesResponse:
        """See search.proto."""
        if request.kind not in RESOURCES:
            raise InvalidArgument({"kind": f"no kind of resource {request.kind[:64]!r}"})
        read = await self._sold.directory.read(current_tenant())
        config = read if isinstance(read, TenantConfig) else TenantConfig(current_tenant())
        seen = _seen(config)
        if request.id not in config.resources.get(request.kind, {}) or not seen(request.kind, request.id):
            raise NotFound(f"{request.kind} {request.id[:64]!r}")
        holders = await self._searches.uses(config, request.kind, request.id)
        shown = [each for each in holders if seen(each.kind, each.resource_id)]
        uses = [pb.Use(kind=each.kind, id=each.resource_id, field=each.field) for each in shown[:_LARGEST_PAGE]]
        return pb.ListUsesResponse(uses=uses, more=len(shown) > _LARGEST_PAGE)

    async def SearchTenants(self, request: pb.SearchTenantsRequest, context: object) -> pb.SearchTenantsResponse:
        """See search.proto."""
        if len(request.query) > _LONGEST_QUERY:
            raise InvalidArgument({"query": f"at most {_LONGEST_QUERY} characters"})
        size = pages.page_size(request.page_size, _PAGE, _LARGEST_PAGE)
        configs = await self._sold.seen()
        called, more = await asyncio.to_thread(tenants_called, configs.values(), request.query, size)
        found = [(each.resource_id, each) for each in called]
        starts = beginnings(request.query, (config.tenant.country for config in configs.values()))
        if starts and len(found) <= size:
            found += claimants(await self._log.claimed(starts, list(configs), size + 1), configs)
        if OPERATOR in current_principal().roles and len(found) <= size:
            more |= await self._look_inside(request.query, configs, found, size)
        results = [pb.TenantSearchResult(tenant_id=tenant, result=_result(each)) for tenant, each in found[:size]]
        return pb.SearchTenantsResponse(results=results, more=more or len(found) > size)

    async def _look_inside(self, query: str, configs: Iterable[str], found: list[tuple[str, Found]], size: int) -> bool:
        """Add what lies in the tenants; whether time ran out, or one has more."""
        known = {(tenant, each.kind, each.resource_id) for tenant, each in found}
        more = False
        try:
            async with asyncio.timeout(_PATIENCE):
                for tenant in configs:
                    if len(found) > size:
                        break
                    index = await self._searches.index(tenant)
                    inside, left = index[0].find(query, size) if index is not None else ([], False)
                    found += ((tenant, each) for each in inside if (tenant, each.kind, each.resource_id) not in known)
                    more |= left
                    await asyncio.sleep(0)
        except TimeoutError:
            return True
        return more


def _seen(config: TenantConfig) -> Callable[[str, str], Collection[str]]:
    """The fields of a resource that who asks may see; none: it is not there for them."""
    reach = reach_of(config)

    def seen(kind: str, resource_id: str) -> Collection[str]:
        resource = config.resources.get(kind, {}).get(resource_id)
        if reach.bounds.whole or (resource is not None and reach.covers(resource)):
            return FIELDS
        return () if resource is None else reach.as_contact(resource)

    return seen


def _result(each: Found) -> pb.SearchResult:
    return pb.SearchResult(kind=each.kind, id=each.resource_id, display_name=each.display_name, field=each.field, value=each.value)
