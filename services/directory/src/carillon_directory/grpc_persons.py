"""The service of person.proto."""

import asyncio
from collections.abc import AsyncIterator

from google.protobuf.timestamp_pb2 import Timestamp

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.person_pb2_grpc import PersonServiceServicer, add_PersonServiceServicer_to_server
from carillon_directory.authentication import Authentication
from carillon_directory.domain import persons
from carillon_directory.domain.documents import dump
from carillon_directory.domain.index import Index
from carillon_directory.grpc_common import or_raise, struct_of
from carillon_directory.grpc_history import change_message
from carillon_directory.handlers import Directory
from carillon_directory.whole_tenant import current_whole_tenant
from carillon_kit.auth import ADMIN, OPERATOR, USER
from carillon_kit.errors import NotFound, PermissionDenied
from carillon_kit.grpc_server import GrpcServer, current_principal, current_tenant

_SERVICE = "carillon.directory.v1.PersonService"
_ADMINS = frozenset({str(OPERATOR), str(ADMIN)})
#: Changes looked through in one step.
_STEP = 500


def add_services(server: GrpcServer, directory: Directory, authentication: Authentication) -> None:
    """The service with its rights."""
    api = PersonApi(directory, authentication)
    server.add(add_PersonServiceServicer_to_server, api, _SERVICE, {"ExportPerson": _ADMINS | {str(USER)}})


class PersonApi(PersonServiceServicer):
    """See person.proto."""

    def __init__(self, directory: Directory, authentication: Authentication) -> None:
        self._directory = directory
        self._authentication = authentication

    async def ExportPerson(self, request: pb.ExportPersonRequest, context: object) -> AsyncIterator[pb.ExportPersonResponse]:
        """What is theirs now, what names them, their login, then the changes."""
        principal, user_id = current_principal(), request.user_id
        if principal.roles & _ADMINS:
            tenant_id = current_whole_tenant()
        elif principal.subject == f"user/{user_id}":
            tenant_id = current_tenant()
        else:
            raise PermissionDenied("users export themselves alone")
        config = or_raise(await self._directory.read(tenant_id))
        if user_id not in config.users:
            raise NotFound(f"user {user_id!r}")
        own = await asyncio.to_thread(lambda: list(persons.theirs(config, user_id)))
        for each in own:
            resource = pb.PersonalResource(kind=each.KIND, id=each.id, document=struct_of(dump(each)))
            yield pb.ExportPersonResponse(resource=resource)
        for kind, name in await asyncio.to_thread(lambda: persons.mentions(config, Index.of(config), user_id)):
            yield pb.ExportPersonResponse(mention=pb.Mention(kind=kind, id=name))
        if (login := await self._login(tenant_id, user_id)) is not None:
            yield pb.ExportPersonResponse(login=login)
        keys = {(each.KIND, each.id) for each in own}
        for first in range(1, config.seq + 1, _STEP):
            for recorded in await self._directory.changes(tenant_id, first, min(first + _STEP - 1, config.seq)):
                if persons.concerns(recorded.change, user_id, keys):
                    yield pb.ExportPersonResponse(change=change_message(recorded))

    async def _login(self, tenant_id: str, user_id: str) -> pb.PersonalLogin | None:
        try:
            person, stored = await self._authentication.login(tenant_id, user_id)
        except NotFound:
            return None
        found = pb.PersonalLogin(login=person.login, second_factor=stored.totp_confirmed)
        if stored.last_login_at is not None:
            stamp = Timestamp()
            stamp.FromDatetime(stored.last_login_at)
            found.last_login_at.CopyFrom(stamp)
        return found
