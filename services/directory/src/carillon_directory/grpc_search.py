"""The service of search.proto."""

from carillon.directory.v1 import search_pb2 as pb
from carillon.directory.v1.search_pb2_grpc import SearchServiceServicer, add_SearchServiceServicer_to_server
from carillon_contracts.config import RESOURCES
from carillon_directory.grpc_common import reach_of
from carillon_directory.searching import Searches
from carillon_kit import pages
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR
from carillon_kit.errors import InvalidArgument, NotFound
from carillon_kit.grpc_server import GrpcServer, current_tenant

_SERVICE = "carillon.directory.v1.SearchService"
_RIGHTS = {"Search": frozenset({str(OPERATOR), str(ADMIN), str(DEPARTMENT_ADMIN)})}
_LONGEST_QUERY = 200
_PAGE, _LARGEST_PAGE = 20, 200


def add_services(server: GrpcServer, searches: Searches) -> None:
    """The service with its rights."""
    server.add(add_SearchServiceServicer_to_server, SearchApi(searches), _SERVICE, _RIGHTS)


class SearchApi(SearchServiceServicer):
    """See search.proto."""

    def __init__(self, searches: Searches) -> None:
        self._searches = searches

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
        reach = reach_of(config)

        def visible(kind: str, resource_id: str) -> bool:
            resource = config.resources.get(kind, {}).get(resource_id)
            return reach.bounds.whole or (resource is not None and reach.covers(resource))

        size = pages.page_size(request.page_size, _PAGE, _LARGEST_PAGE)
        found, more = index_.find(request.query, size, frozenset(request.kinds), visible)
        results = [
            pb.SearchResult(kind=each.kind, id=each.resource_id, display_name=each.display_name, field=each.field, value=each.value)
            for each in found
        ]
        return pb.SearchResponse(results=results, more=more)
