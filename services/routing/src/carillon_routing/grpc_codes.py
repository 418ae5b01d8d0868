"""`CodeService`: codes that were given wrongly too often count again."""

from carillon.routing.v1 import codes_pb2 as pb
from carillon.routing.v1.codes_pb2_grpc import CodeServiceServicer
from carillon_kit.auth import ADMIN, OPERATOR
from carillon_kit.errors import NotFound, Unavailable
from carillon_kit.grpc_server import current_tenant
from carillon_kit.postgres import UNAVAILABLE
from carillon_routing.adapters.postgres_facts import PostgresFacts
from carillon_routing.projections.configuration import Configuration

SERVICE_NAME = "carillon.routing.v1.CodeService"
RIGHTS = {"UnlockCodes": frozenset({str(OPERATOR), str(ADMIN)})}


class Codes(CodeServiceServicer):
    """Of users of the caller's tenant."""

    def __init__(self, configuration: Configuration, facts: PostgresFacts) -> None:
        self._configuration = configuration
        self._facts = facts

    async def UnlockCodes(self, request: pb.UnlockCodesRequest, context: object) -> pb.UnlockCodesResponse:
        """See codes.proto."""
        tenant = current_tenant()
        config = self._configuration.current(tenant)
        if config is None or request.user_id not in config.users:
            raise NotFound(f"users/{request.user_id}")
        try:
            await self._facts.unlock(tenant, request.user_id)
        except UNAVAILABLE as error:
            raise Unavailable("the database is away") from error
        return pb.UnlockCodesResponse()
